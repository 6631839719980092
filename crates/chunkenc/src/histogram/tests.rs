use model::{CounterResetHint, FloatHistogram, Histogram, Span, stale_nan};
use proptest::prelude::*;

use super::native::NativeHistogram;
use super::spans::{indices, union, widen};
use super::*;
use crate::decode::IntegerHistogram;

fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

fn integer(spans: &[Span], buckets: &[i64]) -> Histogram {
    let mut count = 0;
    let total: i64 = buckets.iter().fold(0, |sum, delta| {
        count += delta;
        sum + count
    });
    Histogram {
        count: total as u64,
        sum: total as f64,
        zero_threshold: 1e-128,
        positive_spans: spans.to_vec(),
        positive_buckets: buckets.to_vec(),
        ..Histogram::default()
    }
}

fn read_all<H: NativeHistogram>(bytes: &[u8], encoding: Encoding) -> Result<Vec<(i64, i64, H)>, ChunkError> {
    let mut reader = HistogramReader::<H>::new(bytes, encoding)?;
    let mut all = Vec::new();
    while reader.advance()? {
        all.push((reader.start_ms(), reader.t_ms(), reader.histogram()));
    }
    Ok(all)
}

fn assert_same(got: &Histogram, wanted: &Histogram) {
    assert_eq!(IntegerHistogram(got.clone()), IntegerHistogram(wanted.clone()));
}

#[test]
fn a_chunk_is_recoded_when_buckets_appear() {
    // The worked example of the format's description of layout changes.
    let old =
        integer(&[span(0, 2), span(2, 1), span(3, 2), span(3, 1), span(1, 1)], &[6, -3, 0, -1, 2, 1, -4]);
    let new_spans = [span(0, 3), span(1, 1), span(1, 4), span(3, 3)];
    let new = integer(&new_spans, &[7, -4, -2, 2, -2, 0, 2, 2, 2, -6, 1]);
    let mut appender = HistogramAppender::new(false);
    assert!(matches!(appender.append(None, 0, 1000, &old), Ok(AppendOutcome::Appended)));
    // Bucket 15 went from 1 to 2, bucket 14 is new.
    assert!(matches!(appender.append(None, 0, 2000, &new), Ok(AppendOutcome::Recoded)));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram).unwrap();
    let widened = widen::<Histogram>(&old.positive_spans, &old.positive_buckets, &new_spans);
    assert_eq!(widened, [6, -3, -3, 3, -3, 0, 2, 2, 1, -5, 1]);
    assert_eq!(read[0].2.positive_buckets, widened);
    assert_same(&read[1].2, &new);
    assert_eq!(read[0].2.counter_reset_hint, CounterResetHint::Unknown);
    assert_eq!(read[1].2.counter_reset_hint, CounterResetHint::NotCounterReset);
}

#[test]
fn a_histogram_without_the_empty_buckets_of_the_chunk_is_widened() {
    let wide = integer(&[span(0, 4)], &[3, -3, 0, 2]);
    let narrow = integer(&[span(0, 1), span(2, 1)], &[4, -1]);
    let mut appender = HistogramAppender::new(false);
    assert!(matches!(appender.append(None, 0, 1, &wide), Ok(AppendOutcome::Appended)));
    assert!(matches!(appender.append(None, 0, 2, &narrow), Ok(AppendOutcome::Appended)));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram).unwrap();
    assert_eq!(read[1].2.positive_spans, wide.positive_spans);
    assert_eq!(read[1].2.positive_buckets, [4, -4, 0, 3]);
    // Missing one bucket and adding another widens both ways.
    let both = integer(&[span(0, 1), span(2, 2)], &[4, -1, 1]);
    assert!(matches!(appender.append(None, 0, 3, &both), Ok(AppendOutcome::Recoded)));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram).unwrap();
    assert_eq!(read[2].2.positive_spans, [span(0, 5)]);
    assert_eq!(read[0].2.positive_buckets, [3, -3, 0, 2, -2]);
}

#[test]
fn what_does_not_fit_starts_a_new_chunk_with_the_right_hint() {
    let first = integer(&[span(0, 2)], &[5, 1]);
    let cases: [(Histogram, CounterResetHint); 6] = [
        (integer(&[span(0, 2)], &[4, 2]), CounterResetHint::CounterReset),
        (integer(&[span(1, 1)], &[50]), CounterResetHint::CounterReset),
        (Histogram { schema: 1, ..integer(&[span(0, 2)], &[5, 1]) }, CounterResetHint::Unknown),
        (Histogram { zero_threshold: 1.0, ..integer(&[span(0, 2)], &[5, 1]) }, CounterResetHint::Unknown),
        (
            Histogram {
                counter_reset_hint: CounterResetHint::CounterReset,
                ..integer(&[span(0, 2)], &[9, 1])
            },
            CounterResetHint::CounterReset,
        ),
        (
            Histogram { counter_reset_hint: CounterResetHint::Gauge, ..integer(&[span(0, 2)], &[9, 1]) },
            CounterResetHint::Gauge,
        ),
    ];
    for (next, hint) in cases {
        let mut appender = HistogramAppender::new(false);
        assert!(matches!(appender.append(None, 0, 1, &first), Ok(AppendOutcome::Appended)));
        let Ok(AppendOutcome::Cut(cut)) = appender.append(None, 0, 2, &next) else {
            panic!("not cut: {next:?}")
        };
        assert_eq!(cut.hint(), hint);
        assert_eq!(appender.samples(), 1);
        assert_eq!(cut.samples(), 1);
    }
}

#[test]
fn after_a_stale_marker_only_stale_markers_fit() {
    let h = integer(&[span(0, 2)], &[5, 1]);
    let stale = Histogram { sum: stale_nan(), ..Histogram::default() };
    let mut appender = HistogramAppender::new(false);
    for (t_ms, sample) in [(1, &h), (2, &stale), (3, &stale)] {
        assert!(matches!(appender.append(None, 0, t_ms, sample), Ok(AppendOutcome::Appended)));
    }
    assert!(matches!(appender.append(None, 0, 4, &h), Ok(AppendOutcome::Cut(_))));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram).unwrap();
    assert!(model::is_stale_nan(read[2].2.sum));
    assert!(read[2].2.positive_buckets.is_empty());
}

#[test]
fn gauges_may_fall_and_change_buckets_both_ways() {
    let gauge = |spans: &[Span], buckets: &[i64]| Histogram {
        counter_reset_hint: CounterResetHint::Gauge,
        ..integer(spans, buckets)
    };
    let mut appender = HistogramAppender::new(false);
    assert!(matches!(
        appender.append(None, 0, 1, &gauge(&[span(0, 2)], &[5, 1])),
        Ok(AppendOutcome::Appended)
    ));
    assert!(matches!(
        appender.append(None, 0, 2, &gauge(&[span(1, 2)], &[1, 1])),
        Ok(AppendOutcome::Recoded)
    ));
    assert!(matches!(appender.append(None, 0, 3, &gauge(&[], &[])), Ok(AppendOutcome::Appended)));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram).unwrap();
    let buckets: Vec<_> = read.iter().map(|(_, _, h)| h.positive_buckets.clone()).collect();
    assert_eq!(buckets, [vec![5, 1, -6], vec![0, 1, 1], vec![0, 0, 0]]);
    assert!(read.iter().all(|(_, _, h)| h.counter_reset_hint == CounterResetHint::Gauge));
}

#[test]
fn the_first_sample_notes_whether_it_continues_the_chunk_before() {
    let before = integer(&[span(0, 2)], &[5, 1]);
    let mut previous = HistogramAppender::new(false);
    assert!(matches!(previous.append(None, 0, 1, &before), Ok(AppendOutcome::Appended)));
    let hint_of = |h: &Histogram| {
        let mut next = HistogramAppender::new(false);
        assert!(matches!(next.append(Some(&previous), 0, 2, h), Ok(AppendOutcome::Appended)));
        counter_reset_hint(next.bytes(), next.encoding()).unwrap()
    };
    assert_eq!(hint_of(&integer(&[span(0, 3)], &[5, 1, 0])), CounterResetHint::NotCounterReset);
    assert_eq!(hint_of(&integer(&[span(0, 2)], &[1, 1])), CounterResetHint::CounterReset);
}

#[test]
fn finer_schemas_of_newer_programs_are_coarsened() {
    let fine = Histogram { schema: 9, ..integer(&[span(0, 4), span(1, 1)], &[1, 1, 1, 1, 1]) };
    let mut appender = HistogramAppender::new(false);
    assert!(matches!(appender.append(None, 0, 1, &fine), Ok(AppendOutcome::Appended)));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram).unwrap();
    let h = &read[0].2;
    // Buckets 0, 1-2, 3-4, 5-6 of the fine schema hold 1, 2+3, 4, 5.
    assert_eq!((h.schema, &h.positive_spans), (8, &vec![span(0, 4)]));
    assert_eq!(h.positive_buckets, [1, 4, -1, 1]);
}

#[test]
fn unknown_schemas_and_wrong_bucket_counts_are_refused() {
    let mut appender = HistogramAppender::new(false);
    let wrong = integer(&[span(0, 3)], &[1]);
    let expected = ChunkError::BucketMismatch { buckets: 1, described: 3 };
    assert_eq!(appender.append(None, 0, 1, &wrong).unwrap_err(), expected);
    let unknown = Histogram { schema: 99, ..integer(&[span(0, 1)], &[1]) };
    assert!(matches!(appender.append(None, 0, 1, &unknown), Ok(AppendOutcome::Appended)));
    let read = read_all::<Histogram>(appender.bytes(), Encoding::Histogram);
    assert_eq!(read.unwrap_err(), ChunkError::UnknownSchema(99));
}

#[test]
fn spans_cannot_promise_more_buckets_than_the_chunk_holds() {
    let mut writer = crate::bits::BitWriter::with_header(3);
    writer.bytes_mut()[1] = 1;
    writer.put(0, 8);
    writer.put_varbit_int(0);
    writer.put_varbit_uint(1);
    writer.put_varbit_uint(u64::from(u32::MAX));
    writer.put_varbit_int(0);
    writer.put_varbit_uint(0);
    let bytes = writer.into_bytes();
    assert_eq!(read_all::<Histogram>(&bytes, Encoding::Histogram).unwrap_err(), ChunkError::Truncated);
}

#[test]
fn unions_are_in_their_shortest_form() {
    assert_eq!(union(&[span(-2, 1), span(1, 1)], &[span(-1, 1), span(5, 1)]), [span(-2, 3), span(4, 1)]);
    assert_eq!(union(&[span(3, 0), span(0, 1)], &[]), [span(3, 1)]);
    assert_eq!(indices(&[span(-2, 1), span(1, 2)]).collect::<Vec<_>>(), [-2, 0, 1]);
}

/// Counter histograms whose layouts shrink and grow at random.
fn histograms() -> impl Strategy<Value = Vec<(i64, i64, Histogram)>> {
    let side = proptest::collection::vec((0..3_u8, 0..50_u32), 0..12);
    let one = (side, any::<bool>(), -1_000..1_000_i64, 0..20_u8, any::<f64>());
    proptest::collection::vec(one, 1..25).prop_map(|all| {
        let mut t_ms = 1_700_000_000_000;
        let build = |(side, gauge, jitter, kind, sum): (Vec<(u8, u32)>, bool, i64, u8, f64)| {
            t_ms += 15_000 + jitter;
            let mut spans = super::spans::SpanBuilder::default();
            let mut buckets = Vec::new();
            let (mut index, mut before) = (-3, 0);
            for (gap, count) in side {
                index += i64::from(gap) + 1;
                spans.push(index);
                buckets.push(i64::from(count) - before);
                before = i64::from(count);
            }
            let mut h = integer(&spans.spans, &buckets);
            h.negative_spans = h.positive_spans.clone();
            h.negative_buckets = h.positive_buckets.clone();
            h.sum = if kind == 0 { stale_nan() } else { sum };
            h.counter_reset_hint = if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
            let start_ms = if kind < 10 { 0 } else { t_ms - i64::from(kind) * 7_000 };
            (start_ms, t_ms, h)
        };
        all.into_iter().map(build).collect()
    })
}

/// The buckets in use, by index.
fn used(spans: &[Span], buckets: &[f64]) -> Vec<(i64, f64)> {
    indices(spans).zip(buckets.iter().copied()).filter(|&(_, count)| count != 0.0).collect()
}

fn to_float(h: &Histogram) -> FloatHistogram {
    let absolute = |deltas: &[i64]| {
        let mut count = 0;
        let running = deltas.iter().map(|delta| {
            count += delta;
            count as f64
        });
        running.collect()
    };
    FloatHistogram {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as f64,
        count: h.count as f64,
        sum: h.sum,
        positive_spans: h.positive_spans.clone(),
        negative_spans: h.negative_spans.clone(),
        positive_buckets: absolute(&h.positive_buckets),
        negative_buckets: absolute(&h.negative_buckets),
        custom_values: None,
    }
}

fn check_round_trip<H: NativeHistogram>(
    samples: &[(i64, i64, H)],
    start_times: bool,
    float: impl Fn(&H) -> FloatHistogram,
) {
    let mut chunks = Vec::new();
    let mut open = Appender::<H>::new(start_times);
    for (start_ms, t_ms, h) in samples {
        if let AppendOutcome::Cut(next) = open.append(None, *start_ms, *t_ms, h).unwrap() {
            chunks.push(std::mem::replace(&mut open, *next));
        }
        // A rebuilt appender must be as good as the one it replaces.
        open = Appender::from_bytes(open.bytes(), open.encoding()).unwrap();
    }
    chunks.push(open);
    let read: Vec<_> = chunks.iter().flat_map(|c| read_all::<H>(c.bytes(), c.encoding()).unwrap()).collect();
    assert_eq!(read.len(), samples.len());
    for ((start_ms, t_ms, wanted), (read_start_ms, read_t_ms, got)) in samples.iter().zip(&read) {
        assert_eq!(t_ms, read_t_ms);
        assert_eq!(if start_times { *start_ms } else { 0 }, *read_start_ms);
        let (wanted, got) = (float(wanted), float(got));
        assert_eq!(wanted.sum.to_bits(), got.sum.to_bits());
        if !model::is_stale_nan(wanted.sum) {
            assert_eq!((wanted.count, wanted.zero_count), (got.count, got.zero_count));
            let used = |h: &FloatHistogram| {
                (used(&h.positive_spans, &h.positive_buckets), used(&h.negative_spans, &h.negative_buckets))
            };
            assert_eq!(used(&wanted), used(&got));
        }
    }
}

proptest! {
    #[test]
    fn histograms_read_back(samples in histograms(), start_times in any::<bool>()) {
        check_round_trip(&samples, start_times, to_float);
        let floats: Vec<_> = samples.iter().map(|(s, t, h)| (*s, *t, to_float(h))).collect();
        check_round_trip(&floats, start_times, Clone::clone);
    }

    #[test]
    fn damage_is_an_error_or_other_samples_but_never_a_panic(
        samples in histograms(), start_times in any::<bool>(), float in any::<bool>(),
        at in any::<prop::sample::Index>(), mask in 1..=255_u8, cut in any::<prop::sample::Index>(),
    ) {
        let mut encoder = crate::SeriesEncoder::new();
        for (start_ms, t_ms, h) in &samples {
            let start_ms = if start_times { t_ms - 1 } else { *start_ms };
            let fh = to_float(h);
            let value = if float { model::SampleValue::FloatHistogram(&fh) } else { model::SampleValue::Histogram(h) };
            encoder.append(start_ms, *t_ms, value).unwrap();
        }
        for mut chunk in encoder.finish() {
            let i = at.index(chunk.bytes.len());
            chunk.bytes[i] ^= mask;
            chunk.bytes.truncate(cut.index(chunk.bytes.len()) + 1);
            let mut out = model::SampleColumns::default();
            let decoded = crate::decode_into(
                &chunk.bytes, chunk.encoding, model::TimeRange::ALL, usize::MAX, &mut out,
            );
            prop_assert!(decoded.is_ok() || out.is_empty());
            // Every decoded count takes at least a bit of the chunk.
            let counts: usize =
                out.histograms.iter().flatten().map(|h| h.positive_buckets.len() + h.negative_buckets.len()).sum();
            prop_assert!(counts <= chunk.bytes.len() * 8);
        }
    }
}
