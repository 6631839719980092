//! Parquet's hybrid of runs and packed bits: levels (one bit wide), and numbers of a dictionary.

use crate::codec::{Damaged, Input, put_uvarint};

/// Appends levels of 0 and 1, with their length before them, as data pages have them.
pub fn encode_bits(out: &mut Vec<u8>, bits: &[bool]) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let first = bits.first().copied().unwrap_or(false);
    if bits.iter().all(|&bit| bit == first) {
        put_uvarint(out, (bits.len() as u64) << 1);
        out.push(u8::from(first));
    } else {
        put_uvarint(out, (bits.len().div_ceil(8) as u64) << 1 | 1);
        for eight in bits.chunks(8) {
            out.push(eight.iter().enumerate().fold(0, |byte, (i, &bit)| byte | u8::from(bit) << i));
        }
    }
    let len = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Reads `count` levels; `None` when all of them are 1.
pub fn decode_bits(input: &mut Input<'_>, count: usize) -> Result<Option<Vec<bool>>, Damaged> {
    let len = input.u32()? as usize;
    let mut input = Input::new(input.take(len)?);
    let header = input.uvarint()?;
    if header & 1 == 0 {
        let one = input.u8()? == 1;
        return match header >> 1 == count as u64 {
            true if one => Ok(None),
            // Rows are bounded by what the index of the object says of the page.
            true => Ok(Some(vec![false; count])),
            false => Err(Damaged("the number of levels is not that of the rows")),
        };
    }
    if header >> 1 != count.div_ceil(8) as u64 {
        return Err(Damaged("the number of levels is not that of the rows"));
    }
    let packed = input.take(count.div_ceil(8))?;
    Ok(Some((0..count).map(|i| packed[i / 8] >> (i % 8) & 1 == 1).collect()))
}

/// Bits a number below `count` needs.
pub fn width_of(count: usize) -> u8 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()) as u8
}

/// Appends numbers of a dictionary of `count` as runs of `(number, rows)`.
pub fn encode_runs(out: &mut Vec<u8>, count: usize, runs: impl Iterator<Item = (u32, usize)>) {
    let width = width_of(count);
    out.push(width);
    for (number, rows) in runs {
        put_uvarint(out, (rows as u64) << 1);
        out.extend_from_slice(&number.to_le_bytes()[..usize::from(width).div_ceil(8)]);
    }
}

/// Appends numbers of a dictionary of at most 256 values, a byte each: what compresses pages sees bytes.
pub fn encode_codes(out: &mut Vec<u8>, codes: &[u8]) {
    out.push(8);
    match codes.first() {
        Some(&first) if codes.iter().all(|&code| code == first) => {
            put_uvarint(out, (codes.len() as u64) << 1);
            out.push(first);
        }
        _ => {
            let eights = codes.len().div_ceil(8);
            put_uvarint(out, (eights as u64) << 1 | 1);
            out.extend_from_slice(codes);
            out.resize(out.len() + eights * 8 - codes.len(), 0);
        }
    }
}

/// Numbers of a dictionary, as [`encode_codes`] writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes<'a> {
    /// All are the same.
    All(u8),
    /// One for each value.
    Each(&'a [u8]),
}

/// Reads `count` numbers of a dictionary.
pub fn decode_codes<'a>(input: &mut Input<'a>, count: usize) -> Result<Codes<'a>, Damaged> {
    const WRONG: Damaged = Damaged("the numbers of a dictionary are not those of the rows");
    let (width, header) = (input.u8()?, input.uvarint()?);
    match (width, header & 1, header >> 1) {
        (8, 0, run) if run == count as u64 => Ok(Codes::All(input.u8()?)),
        (8, 1, eights) if eights == count.div_ceil(8) as u64 => {
            let all = input.take(count.div_ceil(8) * 8)?;
            Ok(Codes::Each(&all[..count]))
        }
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_round_trip() {
        for bits in [vec![true; 9], vec![false; 9], (0..21).map(|i| i % 3 == 0).collect::<Vec<_>>()] {
            let mut encoded = Vec::new();
            encode_bits(&mut encoded, &bits);
            let decoded = decode_bits(&mut Input::new(&encoded), bits.len()).unwrap();
            assert_eq!(decoded.unwrap_or_else(|| vec![true; bits.len()]), bits);
            assert!(decode_bits(&mut Input::new(&encoded), bits.len() + 9).is_err());
        }
    }

    #[test]
    fn numbers_of_dictionaries_round_trip() {
        for codes in [vec![3_u8; 9], vec![1, 2, 255, 0, 4, 5, 6, 7, 8], vec![1, 0]] {
            let mut encoded = Vec::new();
            encode_codes(&mut encoded, &codes);
            let mut input = Input::new(&encoded);
            let decoded = match decode_codes(&mut input, codes.len()).unwrap() {
                Codes::All(code) => vec![code; codes.len()],
                Codes::Each(codes) => codes.to_vec(),
            };
            assert!(input.is_empty());
            assert_eq!(decoded, codes);
            assert!(decode_codes(&mut Input::new(&encoded), codes.len() + 9).is_err());
        }
    }

    #[test]
    fn numbers_take_as_many_bits_as_the_greatest() {
        assert_eq!([1, 2, 3, 256, 257].map(width_of), [0, 1, 2, 8, 9]);
    }
}
