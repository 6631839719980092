//! Parquet's DELTA_BINARY_PACKED: differences of integers, each block of them from its least, packed into bits.
//!
//! The length of byte strings (DELTA_LENGTH_BYTE_ARRAY) is the same, with the bytes behind.

use crate::codec::{Damaged, Input, put_ivarint, put_uvarint};

const BLOCK: usize = 128;
const MINI: usize = 32;
const MINIS: usize = BLOCK / MINI;

/// Appends `values`.
pub fn encode(out: &mut Vec<u8>, values: &[i64]) {
    put_uvarint(out, BLOCK as u64);
    put_uvarint(out, MINIS as u64);
    put_uvarint(out, values.len() as u64);
    put_ivarint(out, values.first().copied().unwrap_or(0));
    let mut previous = values.first().copied().unwrap_or(0);
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut deltas = [0_i64; BLOCK];
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(previous);
            previous = value;
        }
        encode_block(out, &deltas[..block.len()]);
    }
}

fn encode_block(out: &mut Vec<u8>, deltas: &[i64]) {
    let least = deltas.iter().copied().min().unwrap_or(0);
    put_ivarint(out, least);
    let widths_at = out.len();
    out.extend_from_slice(&[0; MINIS]);
    for (i, mini) in deltas.chunks(MINI).enumerate() {
        let mut offsets = [0_u64; MINI];
        for (offset, delta) in offsets.iter_mut().zip(mini) {
            *offset = delta.wrapping_sub(least) as u64;
        }
        let all = offsets.iter().fold(0, |bits, offset| bits | offset);
        let width = 64 - all.leading_zeros();
        out[widths_at + i] = width as u8;
        pack(out, &offsets, width);
    }
}

fn pack(out: &mut Vec<u8>, values: &[u64; MINI], width: u32) {
    let (mut buffer, mut filled) = (0_u128, 0);
    for &value in values {
        buffer |= u128::from(value) << filled;
        filled += width;
        while filled >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    }
}

/// Reads `count` values into `out`, which is cleared, and leaves `input` behind them.
pub fn decode(input: &mut Input<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Damaged> {
    out.clear();
    let (block, minis) = (input.size()?, input.size()?);
    if (block, minis) != (BLOCK, MINIS) {
        return Err(Damaged("blocks of integers are of an unknown size"));
    }
    if input.size()? != count {
        return Err(Damaged("the number of integers is not that of the rows"));
    }
    let mut value = input.ivarint()?;
    if count == 0 {
        return Ok(());
    }
    // At least one byte for each 128 values follows, so the memory taken is bounded by what is there.
    if count / BLOCK > input.rest().len() {
        return Err(Damaged("integers are cut short"));
    }
    out.reserve(count);
    out.push(value);
    while out.len() < count {
        let least = input.ivarint()?;
        let widths: [u8; MINIS] = input.take(MINIS)?.try_into().map_err(|_| Damaged("cut short"))?;
        for width in widths {
            let left = count - out.len();
            if left == 0 {
                break;
            }
            if width > 64 {
                return Err(Damaged("an integer has more than 64 bits"));
            }
            let width = usize::from(width);
            let packed = input.take(width * MINI / 8)?;
            unpack(packed, width, left.min(MINI), |offset| {
                value = value.wrapping_add(least).wrapping_add(offset as i64);
                out.push(value);
            });
        }
    }
    Ok(())
}

#[inline]
fn unpack(packed: &[u8], width: usize, count: usize, mut each: impl FnMut(u64)) {
    if width == 0 {
        (0..count).for_each(|_| each(0));
        return;
    }
    // Room to read eight bytes, or sixteen, from any position.
    let mut padded = [0_u8; 64 * MINI / 8 + 16];
    padded[..packed.len()].copy_from_slice(packed);
    if width <= 56 {
        let mask = (1_u64 << width) - 1;
        for i in 0..count {
            let bit = i * width;
            let mut word = [0; 8];
            word.copy_from_slice(&padded[bit / 8..bit / 8 + 8]);
            each((u64::from_le_bytes(word) >> (bit % 8)) & mask);
        }
    } else {
        let mask = if width == 64 { u64::MAX } else { (1_u64 << width) - 1 };
        for i in 0..count {
            let bit = i * width;
            let mut word = [0; 16];
            word.copy_from_slice(&padded[bit / 8..bit / 8 + 16]);
            each((u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trips(values: &[i64]) {
        let mut encoded = Vec::new();
        encode(&mut encoded, values);
        encoded.push(42);
        let mut input = Input::new(&encoded);
        let mut decoded = Vec::new();
        decode(&mut input, values.len(), &mut decoded).unwrap();
        assert_eq!(decoded, values);
        assert_eq!(input.rest(), [42]);
    }

    #[test]
    fn extremes_round_trip() {
        round_trips(&[]);
        round_trips(&[7]);
        round_trips(&[i64::MIN, i64::MAX, 0, i64::MIN, i64::MIN, i64::MAX]);
        round_trips(&(0..1000).map(|i| i * 1_000_000_007).collect::<Vec<_>>());
    }

    #[test]
    fn a_count_that_lies_is_refused() {
        let mut encoded = Vec::new();
        encode(&mut encoded, &[1, 2, 3]);
        assert!(decode(&mut Input::new(&encoded), 4, &mut Vec::new()).is_err());
        let mut lying = Vec::new();
        for value in [BLOCK as u64, MINIS as u64, 1 << 40, 0] {
            put_uvarint(&mut lying, value);
        }
        assert!(decode(&mut Input::new(&lying), 1 << 40, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn any_integers_round_trip(values in prop::collection::vec(any::<i64>(), 0..400), shift in 0..64) {
            round_trips(&values.iter().map(|v| v >> shift).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..300) {
            let _ = decode(&mut Input::new(&bytes), count, &mut Vec::new());
        }
    }
}
