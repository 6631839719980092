use base::ByteBudget;
use model::{CounterResetHint, FloatHistogram, Histogram, MetricType, Span, stale_nan};

use super::*;
use crate::remote_write::decode::{AnyHistogram, decode};

/// Symbols in a list, for tests.
#[derive(Default)]
struct List(Vec<Vec<u8>>);

impl Symbols for List {
    fn bytes(&self, id: u32) -> &[u8] {
        &self.0[id as usize]
    }

    fn bound(&self) -> u32 {
        self.0.len() as u32
    }
}

impl List {
    fn intern(&mut self, bytes: Vec<u8>) -> u32 {
        let at = self.0.iter().position(|known| *known == bytes);
        at.unwrap_or_else(|| {
            self.0.push(bytes);
            self.0.len() - 1
        }) as u32
    }

    fn series(&mut self, message: MessageType, labels: &[(&str, &str)]) -> (Vec<u32>, u32) {
        let mut ids = Vec::new();
        for (name, value) in labels {
            match message {
                MessageType::V1 => {
                    let mut field = Vec::new();
                    put_label(&mut field, name, value);
                    ids.push(self.intern(field));
                }
                MessageType::V2 => {
                    ids.push(self.intern(name.as_bytes().to_vec()));
                    ids.push(self.intern(value.as_bytes().to_vec()));
                }
            }
        }
        let bytes = ids.iter().map(|&id| self.0[id as usize].len()).sum::<usize>();
        (ids, bytes as u32)
    }
}

fn plain(ids: &[u32], bytes: u32) -> SeriesSymbols<'_> {
    SeriesSymbols { ids, bytes, metadata: None }
}

type Decoded = Vec<(Vec<(String, String)>, Vec<(i64, i64, u64)>)>;

/// Labels, and start, time and bits of the float samples, of every series of a body.
fn read_floats(message: MessageType, body: &[u8]) -> Decoded {
    let raw = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let mut memory = ByteBudget::unlimited().reserve(0).unwrap();
    let request = decode(message, &raw, &mut memory).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (0..request.len())
        .map(|i| {
            let series = request.series(i);
            let mut labels = Vec::new();
            series.for_each_label(|(name, value)| labels.push((text(name), text(value)))).unwrap();
            let samples = series.samples().iter().map(|s| (s.start_ms, s.t_ms, s.value.to_bits()));
            (labels, samples.collect())
        })
        .collect()
}

#[test]
fn floats_of_many_series_survive_in_both_versions() {
    for message in MessageType::ALL {
        let (mut symbols, mut batch, mut expected) = (List::default(), Batch::new(message), Decoded::new());
        let mut encoder = Encoder::new();
        for request in 0..3_i64 {
            batch.clear();
            expected.clear();
            for i in 0..700_i64 {
                let (path, code) = (format!("/{}", i % 90), format!("{}", 200 + i % 5));
                let long = "x".repeat((i % 300) as usize * 3 + 1);
                let labels = [
                    ("__name__", "http_requests_total"),
                    ("code", code.as_str()),
                    ("instance", if i % 11 == 0 { "b:80" } else { "a:80" }),
                    ("long", if i % 7 == 0 { long.as_str() } else { "short" }),
                    ("path", path.as_str()),
                ];
                let value = match i % 6 {
                    0 => 0.0,
                    1 => stale_nan(),
                    2 => -0.0,
                    n => (i * n + request) as f64,
                };
                let t_ms = match i % 50 {
                    0 => -5,
                    1 => 0,
                    2 => i64::MAX,
                    _ => 1_700_000_000_000 + i / 40,
                };
                let start_ms =
                    if message == MessageType::V2 && i % 3 == 0 { t_ms.saturating_sub(60) } else { 0 };
                let (ids, bytes) = symbols.series(message, &labels);
                batch.push_float(plain(&ids, bytes), start_ms, t_ms, value);
                let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
                expected.push((labels, vec![(start_ms, t_ms, value.to_bits())]));
            }
            let body = encoder.encode(&batch, &symbols);
            assert_eq!(read_floats(message, &body), expected, "{message} request {request}");
        }
        assert_eq!(batch.counts(), Counts { samples: 700, ..Counts::default() });
        assert_eq!(batch.bounds_ms(), (-5, i64::MAX));
    }
}

#[test]
fn series_that_share_labels_compress_well() {
    let (mut symbols, mut batch) = (List::default(), Batch::new(MessageType::V1));
    for i in 0..500 {
        let (le, path) = (format!("{}", i % 10), format!("/{}", i / 10));
        let (ids, bytes) = symbols.series(
            MessageType::V1,
            &[
                ("__name__", "http_request_duration_seconds_bucket"),
                ("cluster", "prod-eu-1"),
                ("instance", "10.0.0.1:8080"),
                ("job", "load"),
                ("le", &le),
                ("path", &path),
            ],
        );
        batch.push_float(plain(&ids, bytes), 0, 1_700_000_000_000, f64::from(i) * 1.1);
    }
    let body = Encoder::new().encode(&batch, &symbols);
    let raw = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let general = snap::raw::Encoder::new().compress_vec(&raw).unwrap();
    assert!(body.len() < raw.len() / 4, "{} of {}", body.len(), raw.len());
    assert!(body.len() < general.len() * 9 / 8, "{} against {}", body.len(), general.len());
}

fn integer() -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: -3,
        zero_threshold: 0.5,
        zero_count: 3,
        count: 17,
        sum: 12.5,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: vec![5, -2, 1],
        negative_buckets: vec![2],
        custom_values: None,
    }
}

fn float() -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: -53,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 4.5,
        sum: stale_nan(),
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: vec![],
        positive_buckets: vec![1.5, 3.0],
        negative_buckets: vec![],
        custom_values: Some(vec![1.0, 2.5].into()),
    }
}

#[test]
fn histograms_and_exemplars_survive_in_both_versions() {
    for message in MessageType::ALL {
        let (mut symbols, mut batch) = (List::default(), Batch::new(message));
        let (ids, bytes) = symbols.series(message, &[("__name__", "h"), ("job", "j")]);
        batch.push_histogram(plain(&ids, bytes), 7, 100, HistogramRef::Integer(&integer()));
        batch.push_exemplar(plain(&ids, bytes), 101, 0.25, [("trace_id", "abc"), ("span", "")].into_iter());
        batch.push_histogram(plain(&ids, bytes), 0, 102, HistogramRef::Float(&float()));
        batch.push_exemplar(plain(&ids, bytes), 103, 4.0, [("trace_id", "abc")].into_iter());
        let body = Encoder::new().encode(&batch, &symbols);
        let raw = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let mut memory = ByteBudget::unlimited().reserve(0).unwrap();
        let request = decode(message, &raw, &mut memory).unwrap();
        let histogram = |i: usize| {
            let i = if message == MessageType::V2 { i / 2 } else { i };
            request.series(i).histograms().next().unwrap().unwrap()
        };
        assert_eq!(histogram(0).value, AnyHistogram::Integer(integer()));
        assert_eq!((histogram(0).t_ms, histogram(2).t_ms), (100, 102));
        assert_eq!(histogram(0).start_ms, if message == MessageType::V2 { 7 } else { 0 });
        let AnyHistogram::Float(read) = histogram(2).value else { panic!("an integer histogram") };
        assert_eq!(
            (read.sum.to_bits(), read.custom_values.clone()),
            (stale_nan().to_bits(), float().custom_values)
        );
        assert_eq!((read.count, read.positive_buckets.clone()), (4.5, float().positive_buckets));
        // In version 2.0 an exemplar goes with the sample before it.
        let exemplar = |i: usize| {
            let i = if message == MessageType::V2 { i / 2 } else { i };
            let exemplar = request.series(i).exemplars().next().unwrap().unwrap();
            let mut labels = Vec::new();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            exemplar.for_each_label(|(name, value)| labels.push((text(name), text(value)))).unwrap();
            (exemplar.t_ms, exemplar.value, labels)
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(exemplar(1), (101, 0.25, vec![pair("trace_id", "abc"), pair("span", "")]));
        assert_eq!(exemplar(3), (103, 4.0, vec![pair("trace_id", "abc")]));
        assert_eq!(batch.counts(), Counts { samples: 0, histograms: 2, exemplars: 2 });
    }
}

#[test]
fn metadata_goes_along_with_its_series_in_version_2_and_alone_in_version_1() {
    let mut symbols = List::default();
    let (ids, bytes) = symbols.series(MessageType::V2, &[("__name__", "requests_total")]);
    let (help, unit) = (symbols.intern(b"All requests.".to_vec()), symbols.intern(Vec::new()));
    let metadata = Some(SeriesMetadata { metric_type: MetricType::Counter, help, unit });
    let mut batch = Batch::new(MessageType::V2);
    batch.push_float(SeriesSymbols { ids: &ids, bytes, metadata }, 0, 1, 1.0);
    batch.push_float(plain(&ids, bytes), 0, 2, 1.0);
    let body = Encoder::new().encode(&batch, &symbols);
    let raw = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let mut memory = ByteBudget::unlimited().reserve(0).unwrap();
    let request = decode(MessageType::V2, &raw, &mut memory).unwrap();
    let first = request.series(0).metadata().unwrap();
    assert_eq!(
        (first.metric_type, first.help, first.unit),
        (MetricType::Counter, &b"All requests."[..], &b""[..])
    );
    assert_eq!(request.series(1).metadata().unwrap().metric_type, MetricType::Unknown);

    let family = FamilyMetadata {
        family: "requests".to_owned(),
        metric_type: MetricType::StateSet,
        help: "All.".to_owned(),
        unit: "s".to_owned(),
    };
    let raw = snap::raw::Decoder::new().decompress_vec(&encode_metadata(&[family])).unwrap();
    let request = decode(MessageType::V1, &raw, &mut memory).unwrap();
    let (name, metadata) = request.families().next().unwrap().unwrap();
    assert_eq!(
        (name, metadata.metric_type, metadata.help),
        (&b"requests"[..], MetricType::StateSet, &b"All."[..])
    );
}

#[test]
fn what_is_too_old_is_left_out_of_a_request() {
    for message in MessageType::ALL {
        let (mut symbols, mut batch) = (List::default(), Batch::new(message));
        for t_ms in 0..10 {
            let (ids, bytes) = symbols.series(message, &[("__name__", "a"), ("i", &t_ms.to_string())]);
            batch.push_float(plain(&ids, bytes), 0, t_ms, t_ms as f64);
            batch.push_exemplar(plain(&ids, bytes), t_ms, 1.0, [("a", "b")].into_iter());
            batch.push_histogram(plain(&ids, bytes), 0, t_ms, HistogramRef::Integer(&integer()));
        }
        let body = Encoder::new().encode(&batch, &symbols);
        let (kept, dropped) = without_older(message, &body, 7).unwrap();
        assert_eq!(dropped, Counts { samples: 7, histograms: 7, exemplars: 7 });
        let expected: Decoded =
            read_floats(message, &body).split_off(if message == MessageType::V2 { 14 } else { 21 });
        assert_eq!(read_floats(message, &kept), expected);
        assert!(without_older(message, b"garbage", 7).is_err());
    }
}

#[test]
fn a_request_is_cut_in_halves_down_to_single_samples() {
    for message in MessageType::ALL {
        let (mut symbols, mut batch) = (List::default(), Batch::new(message));
        for t_ms in 0..5 {
            let (ids, bytes) = symbols.series(message, &[("__name__", "a"), ("i", &t_ms.to_string())]);
            batch.push_float(plain(&ids, bytes), 0, t_ms, t_ms as f64);
        }
        let body = Encoder::new().encode(&batch, &symbols);
        let [first, second] = halves(message, &body).unwrap().unwrap();
        assert_eq!((first.counts.samples, second.counts.samples), (2, 3));
        let mut both = read_floats(message, &first.body);
        both.extend(read_floats(message, &second.body));
        assert_eq!(both, read_floats(message, &body));
        let [single, _] = halves(message, &first.body).unwrap().unwrap();
        assert_eq!(halves(message, &single.body).unwrap(), None);
    }
}
