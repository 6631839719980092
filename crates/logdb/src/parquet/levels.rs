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
    fn numbers_take_as_many_bits_as_the_greatest() {
        assert_eq!([1, 2, 3, 256, 257].map(width_of), [0, 1, 2, 8, 9]);
    }
}
