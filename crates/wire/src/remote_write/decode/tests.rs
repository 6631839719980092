use base::ByteBudget;
use model::{CounterResetHint, Span};
use proptest::prelude::*;

use super::hostile::drive;
use super::*;
use crate::protobuf::{put_bytes, put_double, put_message, put_uint, to_zigzag};

fn unlimited() -> Reservation {
    ByteBudget::unlimited().reserve(0).unwrap()
}

fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    put_message(out, 1, |out| {
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    });
}

fn put_sample(out: &mut Vec<u8>, value: f64, t_ms: i64) {
    put_message(out, 2, |out| {
        put_double(out, 1, value);
        put_uint(out, 2, t_ms as u64);
    });
}

fn v1() -> Vec<u8> {
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_label(out, "__name__", "up");
        put_label(out, "job", "a");
        put_sample(out, 1.5, 1_700_000_000_000);
        put_sample(out, model::stale_nan(), -5);
    });
    put_message(&mut body, 1, |out| {
        put_label(out, "__name__", "h");
        put_message(out, 3, |out| {
            put_label(out, "trace_id", "x");
            put_double(out, 2, 0.25);
            put_uint(out, 3, 7);
        });
        put_message(out, 4, |out| put_histogram(out, false));
        put_message(out, 4, |out| put_histogram(out, true));
    });
    put_message(&mut body, 1, |out| put_label(out, "__name__", "nothing"));
    put_message(&mut body, 3, |out| {
        put_uint(out, 1, 1);
        put_bytes(out, 2, b"up");
        put_bytes(out, 4, b"Help.");
        put_bytes(out, 5, b"seconds");
    });
    body
}

fn put_histogram(out: &mut Vec<u8>, is_float: bool) {
    if is_float {
        put_double(out, 2, 3.5);
        put_double(out, 7, 0.5);
        put_bytes(out, 13, &[1.0_f64, 2.0].map(f64::to_le_bytes).concat());
    } else {
        put_uint(out, 1, 4);
        put_uint(out, 6, 1);
        // Not packed, as an old encoder may write it.
        put_uint(out, 12, to_zigzag(1));
        put_bytes(out, 12, &[to_zigzag(1) as u8]);
    }
    put_double(out, 3, 9.0);
    put_uint(out, 4, to_zigzag(-2));
    put_double(out, 5, 0.001);
    put_message(out, 11, |out| {
        put_uint(out, 1, to_zigzag(-3));
        put_uint(out, 2, 2);
    });
    put_uint(out, 14, 3);
    put_uint(out, 15, 42);
    put_uint(out, 17, 40);
}

fn v2() -> Vec<u8> {
    let mut body = Vec::new();
    for symbol in ["", "__name__", "up", "job", "a", "Help.", "trace_id"] {
        put_bytes(&mut body, 4, symbol.as_bytes());
    }
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[1, 2, 3, 4]);
        put_message(out, 2, |out| {
            put_double(out, 1, 2.5);
            put_uint(out, 2, 1000);
            put_uint(out, 3, 900);
        });
        put_message(out, 4, |out| {
            put_bytes(out, 1, &[6, 4]);
            put_double(out, 2, 0.5);
            put_uint(out, 3, 999);
        });
        put_message(out, 5, |out| {
            put_uint(out, 1, 2);
            put_uint(out, 3, 5);
        });
    });
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[1, 2]);
        put_message(out, 3, |out| put_histogram(out, false));
    });
    body
}

fn labels(series: &Series<'_>) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut labels = Vec::new();
    series.for_each_label(|(name, value)| labels.push((text(name), text(value)))).unwrap();
    labels
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect()
}

#[test]
fn version_one_is_read_whole() {
    let body = v1();
    let request = decode(MessageType::V1, &body, &mut unlimited()).unwrap();
    assert_eq!((request.len(), request.samples(), request.histograms(), request.exemplars()), (2, 2, 2, 1));
    assert_eq!(request.empty_series(), 1);
    let first = request.series(0);
    assert_eq!(labels(&first), pairs(&[("__name__", "up"), ("job", "a")]));
    assert_eq!(first.samples()[0], Sample { value: 1.5, t_ms: 1_700_000_000_000, start_ms: 0 });
    assert!(model::is_stale_nan(first.samples()[1].value));
    assert_eq!(first.samples()[1].t_ms, -5);
    let second = request.series(1);
    assert!(second.samples().is_empty());
    let exemplar = second.exemplars().next().unwrap().unwrap();
    assert_eq!((exemplar.value, exemplar.t_ms), (0.25, 7));
    let mut trace = None;
    exemplar.for_each_label(|pair| trace = Some(pair)).unwrap();
    assert_eq!(trace, Some((&b"trace_id"[..], &b"x"[..])));
    let (family, metadata) = request.families().next().unwrap().unwrap();
    assert_eq!((family, metadata.help, metadata.unit), (&b"up"[..], &b"Help."[..], &b"seconds"[..]));
    assert_eq!(metadata.metric_type, MetricType::Counter);
}

#[test]
fn histograms_are_of_the_kind_their_count_is() {
    let body = v1();
    let request = decode(MessageType::V1, &body, &mut unlimited()).unwrap();
    let read: Vec<_> = request.series(1).histograms().collect::<Result<_, _>>().unwrap();
    let AnyHistogram::Integer(integer) = &read[0].value else { panic!("{:?}", read[0]) };
    assert_eq!((integer.count, integer.zero_count, integer.sum, integer.schema), (4, 1, 9.0, -2));
    assert_eq!(integer.positive_spans, [Span { offset: -3, length: 2 }]);
    assert_eq!(integer.positive_buckets, [1, 1]);
    assert_eq!(integer.counter_reset_hint, CounterResetHint::Gauge);
    assert_eq!((read[0].t_ms, read[0].start_ms), (42, 40));
    let AnyHistogram::Float(float) = &read[1].value else { panic!("{:?}", read[1]) };
    assert_eq!((float.count, float.zero_count, &float.positive_buckets[..]), (3.5, 0.5, &[1.0, 2.0][..]));
}

#[test]
fn version_two_resolves_symbols() {
    let body = v2();
    let request = decode(MessageType::V2, &body, &mut unlimited()).unwrap();
    assert_eq!((request.len(), request.symbols().len()), (2, 7));
    let first = request.series(0);
    assert_eq!(first.raw_labels(), RawLabels::References(&[1, 2, 3, 4]));
    assert_eq!(labels(&first), pairs(&[("__name__", "up"), ("job", "a")]));
    assert_eq!(first.samples(), [Sample { value: 2.5, t_ms: 1000, start_ms: 900 }]);
    let metadata = first.metadata().unwrap();
    assert_eq!(
        (metadata.metric_type, metadata.help, metadata.unit),
        (MetricType::Gauge, &b"Help."[..], &b""[..])
    );
    let exemplar = first.exemplars().next().unwrap().unwrap();
    let mut trace = None;
    exemplar.for_each_label(|pair| trace = Some(pair)).unwrap();
    assert_eq!(trace, Some((&b"trace_id"[..], &b"a"[..])));
    assert_eq!(request.series(1).histograms().next().unwrap().unwrap().start_ms, 40);
}

#[test]
fn references_outside_of_the_table_concern_their_series_alone() {
    let mut body = v2();
    for (references, metadata) in [(&[1, 2, 3][..], 0), (&[1, 99], 0), (&[1, 2], 99)] {
        put_message(&mut body, 5, |out| {
            put_bytes(out, 1, references);
            put_message(out, 5, |out| put_uint(out, 4, metadata));
        });
    }
    let request = decode(MessageType::V2, &body, &mut unlimited()).unwrap();
    let told = |i: usize| request.series(i).for_each_label(drop).unwrap_err().to_string();
    assert_eq!(told(2), "invalid labelRefs length 3");
    assert_eq!(told(3), "labelRefs 1 (name) = 99 (value) outside of symbols table (size 7)");
    let error = request.series(4).metadata().unwrap_err();
    assert_eq!(error.to_string(), "metadata unit_ref 99 outside of symbols table (size 7)");
}

#[test]
fn symbols_may_come_last() {
    let whole = v2();
    let request = decode(MessageType::V2, &whole, &mut unlimited()).unwrap();
    let symbols_end = request.symbols.last().unwrap().1 as usize;
    let turned = [&whole[symbols_end..], &whole[..symbols_end]].concat();
    let turned = decode(MessageType::V2, &turned, &mut unlimited()).unwrap();
    assert_eq!(labels(&turned.series(0)), labels(&request.series(0)));
}

#[test]
fn labels_in_several_pieces_are_joined() {
    let mut body = Vec::new();
    for i in 0..2 {
        put_message(&mut body, 1, |out| {
            put_label(out, "__name__", "up");
            put_sample(out, 1.0, 1);
            put_label(out, "a", &i.to_string());
            put_uint(out, 9, 1);
            put_label(out, "b", "2");
        });
        put_message(&mut body, 1, |out| {
            put_label(out, "__name__", "plain");
            put_sample(out, 1.0, 1);
        });
    }
    let request = decode(MessageType::V1, &body, &mut unlimited()).unwrap();
    for i in 0..2 {
        let joined = pairs(&[("__name__", "up"), ("a", &i.to_string()), ("b", "2")]);
        assert_eq!(labels(&request.series(2 * i)), joined);
        assert_eq!(labels(&request.series(2 * i + 1)), pairs(&[("__name__", "plain")]));
    }
    let RawLabels::Fields(fields) = request.series(0).raw_labels() else { panic!("version 1.0") };
    let mut expected = Vec::new();
    for (name, value) in [("__name__", "up"), ("a", "0"), ("b", "2")] {
        put_label(&mut expected, name, value);
    }
    assert_eq!(fields, expected);
}

#[test]
fn a_cut_is_an_error_with_its_place_or_leaves_whole_series() {
    for (message, body) in [(MessageType::V1, v1()), (MessageType::V2, v2())] {
        let mut whole = 0;
        for cut in 0..body.len() {
            match drive(message, &body[..cut]) {
                Ok(()) => whole += 1,
                // Cut between symbols, series refer to what is not there.
                Err(text) => assert!(text.contains(" at byte ") || text.contains("symbols table"), "{text}"),
            }
        }
        assert!(whole < 16, "{whole}");
    }
}

#[test]
fn bodies_that_stand_for_much_memory_are_refused() {
    let budget = ByteBudget::new("ingest.max-memory", 1 << 20);
    // Two bytes are an empty sample; two hundred thousand of them would take megabytes.
    let samples = [0x12, 0].repeat(200_000);
    let mut one_series = Vec::new();
    put_bytes(&mut one_series, 1, &samples);
    let mut many_series = Vec::new();
    for _ in 0..100_000 {
        put_bytes(&mut many_series, 1, &[0x12, 0]);
    }
    let symbols = [0x22, 0].repeat(500_000);
    let cases = [
        (MessageType::V1, one_series),
        (MessageType::V1, many_series),
        (MessageType::V2, symbols),
        (MessageType::V1, [0x1a, 0].repeat(500_000)),
    ];
    for (message, body) in cases {
        let mut memory = budget.reserve(0).unwrap();
        let error = decode(message, &body, &mut memory).unwrap_err();
        assert!(matches!(error, DecodeError::Memory(_)), "{error}");
        assert!(error.to_string().starts_with("ingest.max-memory: "), "{error}");
        drop(memory);
        assert_eq!(budget.used_bytes(), 0);
    }
}

#[test]
fn errors_name_field_and_byte() {
    let mut body = v1();
    let at = body.len();
    put_message(&mut body, 1, |out| {
        put_label(out, "a", "b");
        put_bytes(out, 2, &[0x09, 1, 2]);
    });
    let error = decode(MessageType::V1, &body, &mut unlimited()).unwrap_err().to_string();
    let expected =
        format!("protobuf: prometheus.Sample.value at byte {}: unexpected end of message", at + 12);
    assert_eq!(error, expected);
    let error = decode(MessageType::V2, &[0x22, 0x80], &mut unlimited()).unwrap_err().to_string();
    assert_eq!(
        error,
        "protobuf: io.prometheus.write.v2.Request.symbols at byte 0: unexpected end of message"
    );
}

proptest! {
    #[test]
    fn garbage_never_panics(body: Vec<u8>) {
        let _ = drive(MessageType::V1, &body);
        let _ = drive(MessageType::V2, &body);
    }

    #[test]
    fn damage_never_panics(at in 0_usize..400, with: u8) {
        for (message, mut body) in [(MessageType::V1, v1()), (MessageType::V2, v2())] {
            let at = at % body.len();
            body[at] = with;
            let _ = drive(message, &body);
        }
    }
}
