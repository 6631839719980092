use proptest::prelude::*;

use super::*;

fn samples_of(bytes: &[u8]) -> Result<Vec<(i64, u64)>, ChunkError> {
    let mut samples = Vec::new();
    walk(bytes, usize::MAX, |t_ms, value| {
        samples.push((t_ms, value.to_bits()));
        true
    })?;
    Ok(samples)
}

fn encode(samples: &[(i64, u64)]) -> XorAppender {
    let mut appender = XorAppender::new();
    for &(t_ms, bits) in samples {
        appender.append(t_ms, f64::from_bits(bits)).unwrap();
    }
    appender
}

#[test]
fn the_appender_is_48_bytes() {
    assert_eq!(size_of::<XorAppender>(), 48);
}

#[test]
fn bytes_are_those_of_the_format() {
    // Worked out by hand from the description of the format: count 4; varint 1000 (zigzag 2000);
    // float 1; uvarint 15; a changed value with a new window; a sample on schedule and unchanged; and
    // one 100 ms late.
    let mut appender = XorAppender::new();
    for (t_ms, value) in [(1000, 1.0), (1015, 2.0), (1030, 2.0), (1145, 2.0)] {
        appender.append(t_ms, value).unwrap();
    }
    // 1.0 ^ 2.0 = 0x7ff0...: leading 1, trailing 52, so 11 ones are stored: 11 00001 001011 1{11}.
    // Then 0 0; then dod 100 in 14 bits: 10 00000001100100, value unchanged 0.
    let bits = "11".to_owned() + "00001" + "001011" + "11111111111" + "00" + "10" + "00000001100100" + "0";
    let mut expected = vec![0, 4, 0xd0, 0x0f, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 15];
    let padded = format!("{bits:0<48}");
    expected.extend(
        padded.as_bytes().chunks(8).map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 2).unwrap()),
    );
    expected.truncate(13 + bits.len().div_ceil(8));
    assert_eq!(appender.bytes(), expected);
}

#[test]
fn a_chunk_takes_65535_samples_and_no_more() {
    let mut appender = XorAppender::new();
    for i in 0..65_535 {
        appender.append(i, 0.0).unwrap();
    }
    assert_eq!(appender.append(65_535, 0.0), Err(ChunkError::Full));
    assert_eq!(samples_of(appender.bytes()).unwrap().len(), 65_535);
}

#[test]
fn a_promise_of_more_samples_than_bits_is_refused() {
    let mut bytes = encode(&[(1, 0), (2, 0)]).into_bytes();
    bytes[0] = 0xff;
    assert_eq!(samples_of(&bytes), Err(ChunkError::Truncated));
    assert_eq!(samples_of(&[0]), Err(ChunkError::Truncated));
    assert_eq!(samples_of(&[]), Err(ChunkError::Truncated));
    assert_eq!(samples_of(&[0, 0]), Ok(vec![]));
}

fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let step = prop_oneof![
        6 => Just(15_000_i64),
        2 => 14_900..15_100_i64,
        1 => 0..1_000_000_i64,
        1 => any::<i64>(),
    ];
    let bits = prop_oneof![
        4 => Just(1.5_f64.to_bits()),
        4 => (0..1000_u32).prop_map(|v| f64::from(v).to_bits()),
        1 => Just(model::STALE_NAN_BITS),
        2 => any::<u64>(),
    ];
    (any::<i64>(), proptest::collection::vec((step, bits), 0..200)).prop_map(|(start, steps)| {
        let mut t_ms = start;
        let next = |(step, bits)| {
            t_ms = i64::wrapping_add(t_ms, step);
            (t_ms, bits)
        };
        steps.into_iter().map(next).collect()
    })
}

proptest! {
    #[test]
    fn samples_read_back(samples in samples()) {
        prop_assert_eq!(samples_of(encode(&samples).bytes()).unwrap(), samples);
    }

    #[test]
    fn appending_goes_on_after_a_rebuild(samples in samples(), at in 0..200_usize) {
        let at = at.min(samples.len());
        let mut appender = XorAppender::from_bytes(encode(&samples[..at]).bytes()).unwrap();
        for &(t_ms, bits) in &samples[at..] {
            appender.append(t_ms, f64::from_bits(bits)).unwrap();
        }
        let whole = encode(&samples);
        prop_assert_eq!(appender.bytes(), whole.bytes());
    }

    #[test]
    fn damage_is_an_error_or_other_samples_but_never_a_panic(
        samples in samples(), at in any::<prop::sample::Index>(), mask in 1..=255_u8, cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&samples).into_bytes();
        let i = at.index(bytes.len());
        bytes[i] ^= mask;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(read) = samples_of(&bytes) {
            prop_assert!(read.len() <= 65_535);
        }
    }
}
