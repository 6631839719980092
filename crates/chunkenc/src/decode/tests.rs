use model::SampleValue;
use proptest::prelude::*;

use super::*;
use crate::encode::SeriesEncoder;
use crate::xor2::Xor2Appender;

fn encode(samples: &[(i64, i64, f64)]) -> crate::EncodedChunk {
    let mut encoder = SeriesEncoder::new();
    for &(start_ms, t_ms, value) in samples {
        encoder.append(start_ms, t_ms, SampleValue::Float(value)).unwrap();
    }
    encoder.finish().remove(0)
}

fn decode(chunk: &crate::EncodedChunk, range: TimeRange, max_samples: usize) -> SampleColumns {
    let mut out = SampleColumns::default();
    decode_into(&chunk.bytes, chunk.encoding, range, max_samples, &mut out).unwrap();
    out
}

#[test]
fn range_and_limit_are_honoured() {
    for start_ms in [0, 5] {
        let samples: Vec<_> = (0..100).map(|i| (start_ms, i * 10, i as f64)).collect();
        let chunk = encode(&samples);
        assert_eq!(chunk.encoding, if start_ms == 0 { Encoding::Xor } else { Encoding::Xor2 });
        let out = decode(&chunk, TimeRange::new(95, 120), usize::MAX);
        assert_eq!(out.timestamps_ms, [100, 110, 120]);
        assert_eq!(out.values, [10.0, 11.0, 12.0]);
        assert_eq!(decode(&chunk, TimeRange::ALL, 3).timestamps_ms, [0, 10, 20]);
        assert!(decode(&chunk, TimeRange::new(1, 9), usize::MAX).is_empty());
        let mut last = SampleColumns::default();
        assert!(
            decode_last(&chunk.bytes, chunk.encoding, TimeRange::new(95, 125), usize::MAX, &mut last)
                .unwrap()
        );
        assert_eq!((last.timestamps_ms[0], last.values[0]), (120, 12.0));
        assert!(
            !decode_last(&chunk.bytes, chunk.encoding, TimeRange::new(121, 129), usize::MAX, &mut last)
                .unwrap()
        );
        assert_eq!(time_range(&chunk.bytes, chunk.encoding).unwrap(), Some(TimeRange::new(0, 990)));
    }
}

#[test]
fn floats_after_histograms_keep_the_columns_aligned() {
    let mut out = SampleColumns::default();
    out.push_histogram(1, Arc::new(FloatHistogram::default()));
    let chunk = encode(&[(0, 2, 1.0), (0, 3, 2.0)]);
    decode_into(&chunk.bytes, chunk.encoding, TimeRange::ALL, usize::MAX, &mut out).unwrap();
    assert_eq!(out.histograms.len(), 3);
    assert_eq!(out.values, [0.0, 1.0, 2.0]);
}

#[test]
fn the_encoder_cuts_by_count_and_by_type() {
    let h = Histogram { count: 1, zero_count: 1, ..Histogram::default() };
    let mut encoder = SeriesEncoder::new();
    for t_ms in 0..130 {
        encoder.append(0, t_ms, SampleValue::Float(1.0)).unwrap();
    }
    encoder.append(0, 130, SampleValue::Histogram(&h)).unwrap();
    encoder.append(0, 131, SampleValue::Float(1.0)).unwrap();
    encoder.append(7, 132, SampleValue::Float(1.0)).unwrap();
    encoder.append(0, 133, SampleValue::Float(1.0)).unwrap();
    let chunks = encoder.finish();
    let shape: Vec<_> = chunks.iter().map(|c| (c.encoding, c.samples, c.min_ms, c.max_ms)).collect();
    let expected = [
        (Encoding::Xor, 120, 0, 119),
        (Encoding::Xor, 10, 120, 129),
        (Encoding::Histogram, 1, 130, 130),
        (Encoding::Xor, 1, 131, 131),
        (Encoding::Xor2, 2, 132, 133),
    ];
    assert_eq!(shape, expected);
}

fn xor2_samples() -> impl Strategy<Value = Vec<(i64, i64, u64)>> {
    let step =
        prop_oneof![6 => Just(15_000_i64), 2 => 14_000..16_000_i64, 1 => 0..9_000_000_i64, 1 => any::<i64>()];
    let bits = prop_oneof![
        4 => Just(1.5_f64.to_bits()),
        4 => (0..1000_u32).prop_map(|v| f64::from(v).to_bits()),
        2 => Just(model::STALE_NAN_BITS),
        2 => any::<u64>(),
    ];
    let start = prop_oneof![5 => Just(0_i64), 3 => 1..40_000_i64];
    proptest::collection::vec((step, bits, start), 1..200).prop_map(|steps| {
        let mut t_ms = 1_000_000;
        let next = |(step, bits, start)| {
            t_ms = i64::wrapping_add(t_ms, step);
            (if start == 0 { 0 } else { i64::wrapping_sub(t_ms, start) }, t_ms, bits)
        };
        steps.into_iter().map(next).collect()
    })
}

fn read_xor2(bytes: &[u8]) -> Result<Vec<(i64, i64, u64)>, ChunkError> {
    let mut cursor = Cursor::new(bytes)?;
    let mut all = Vec::new();
    while let Some((start_ms, t_ms, value)) = cursor.next()? {
        all.push((start_ms, t_ms, value.to_bits()));
    }
    Ok(all)
}

proptest! {
    #[test]
    fn xor2_samples_read_back_also_after_a_rebuild(samples in xor2_samples(), rebuild_at in 0..200_usize) {
        let mut appender = Xor2Appender::new();
        for (i, &(start_ms, t_ms, bits)) in samples.iter().enumerate() {
            if i == rebuild_at {
                appender = Xor2Appender::from_bytes(appender.bytes()).unwrap();
            }
            appender.append(start_ms, t_ms, f64::from_bits(bits)).unwrap();
        }
        prop_assert_eq!(read_xor2(appender.bytes()).unwrap(), samples);
    }

    #[test]
    fn xor2_damage_never_panics(
        samples in xor2_samples(), at in any::<prop::sample::Index>(), mask in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut appender = Xor2Appender::new();
        for (start_ms, t_ms, bits) in samples {
            appender.append(start_ms, t_ms, f64::from_bits(bits)).unwrap();
        }
        let mut bytes = appender.into_bytes();
        let i = at.index(bytes.len());
        bytes[i] ^= mask;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _ = read_xor2(&bytes);
    }
}

/// Chunks of every encoding as another program wrote them: they must be understood, and written again
/// to the same bytes.
#[test]
fn golden_chunks_read_and_write_back() {
    let golden = include_str!("../../testdata/chunks-prometheus-3.14.txt");
    let mut seen = std::collections::BTreeMap::new();
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let (number, hex) = line.split_once(' ').unwrap();
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let encoding = Encoding::from_byte(number.parse().unwrap()).unwrap();
        let rewritten = rewrite(&bytes, encoding);
        // Whether the chunk continued another one is not in its samples.
        let mut expected = bytes.clone();
        match encoding {
            Encoding::Xor | Encoding::Xor2 => {}
            Encoding::Histogram | Encoding::FloatHistogram => expected[2] = rewritten[2],
            _ => expected[0] = (expected[0] & 0x3f) | (rewritten[0] & 0xc0),
        }
        assert_eq!(rewritten, expected, "{line}");
        *seen.entry(encoding.as_byte()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 6);
}

fn rewrite(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut xor = crate::XorAppender::new();
    let mut xor2 = Xor2Appender::new();
    let start_times = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    let mut integers = crate::HistogramAppender::new(start_times);
    let mut floats = crate::FloatHistogramAppender::new(start_times);
    let gauge = crate::counter_reset_hint(bytes, encoding).unwrap() == model::CounterResetHint::Gauge;
    for_each(bytes, encoding, |sample| {
        let RawSample { start_ms, t_ms, value } = sample;
        match value {
            RawValue::Float(v) if encoding == Encoding::Xor => xor.append(t_ms, v)?,
            RawValue::Float(v) => xor2.append(start_ms, t_ms, v)?,
            RawValue::Histogram(mut h) => {
                // A stale marker does not tell that it is a gauge.
                if gauge {
                    h.0.counter_reset_hint = model::CounterResetHint::Gauge;
                }
                assert!(matches!(
                    integers.append(None, start_ms, t_ms, &h.0)?,
                    crate::AppendOutcome::Appended
                ));
            }
            RawValue::FloatHistogram(mut h) => {
                if gauge {
                    h.counter_reset_hint = model::CounterResetHint::Gauge;
                }
                assert!(matches!(floats.append(None, start_ms, t_ms, &h)?, crate::AppendOutcome::Appended));
            }
        }
        Ok::<_, ChunkError>(())
    })
    .unwrap();
    match encoding {
        Encoding::Xor => xor.into_bytes(),
        Encoding::Xor2 => xor2.into_bytes(),
        Encoding::Histogram | Encoding::HistogramSt => integers.into_bytes(),
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => floats.into_bytes(),
    }
}
