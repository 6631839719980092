//! Parquet's DELTA_BINARY_PACKED: differences of integers, each block of them from its least, packed into bits.
//!
//! The length of byte strings (DELTA_LENGTH_BYTE_ARRAY) is the same, with the bytes behind.

use crate::codec::{Damaged, Input, put_ivarint, put_uvarint};

const BLOCK: usize = 128;
const MINI: usize = 32;
const MINIS: usize = BLOCK / MINI;

/// Appends `values`, each block with as few bits as will do.
pub fn encode(out: &mut Vec<u8>, values: &[i64]) {
    encode_with(out, values, 1);
}

/// Appends `values` with whole bytes for each: more than bits, but what compresses bytes sees those that repeat.
pub fn encode_bytes(out: &mut Vec<u8>, values: &[i64]) {
    encode_with(out, values, 8);
}

fn encode_with(out: &mut Vec<u8>, values: &[i64], width_step: u32) {
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
        encode_block(out, &deltas[..block.len()], width_step);
    }
}

fn encode_block(out: &mut Vec<u8>, deltas: &[i64], width_step: u32) {
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
        let width = (64 - all.leading_zeros()).next_multiple_of(width_step);
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
    decode_each(input, count, out, |out, value| out.push(value))
}

/// Reads `count` lengths as the ends of what they are lengths of, after a 0, and leaves `input` behind them.
pub fn decode_ends(input: &mut Input<'_>, count: usize) -> Result<Vec<u32>, Damaged> {
    let mut sums = Sums { ends: Vec::new(), end: 0, all: 0 };
    decode_each(input, count, &mut sums, Sums::add)?;
    // Lengths below 2^31 each, of at most 2^31 rows, cannot wrap around: the last end tells of all.
    if sums.all < 0 || sums.all > MAX_END || sums.end > MAX_END {
        return Err(Damaged("a string is too long"));
    }
    let mut ends = sums.ends;
    if count == 0 {
        ends.push(0);
    }
    Ok(ends)
}

const MAX_END: i64 = (u32::MAX >> 1) as i64;

struct Sums {
    ends: Vec<u32>,
    end: i64,
    all: i64,
}

impl Sums {
    #[inline]
    fn add(&mut self, length: i64) {
        self.all |= length;
        self.end = self.end.wrapping_add(length);
        self.ends.push(self.end as u32);
    }
}

/// What values are gathered in.
trait Gather {
    fn reserve(&mut self, count: usize);
}

impl Gather for Vec<i64> {
    fn reserve(&mut self, count: usize) {
        Vec::reserve(self, count);
    }
}

impl Gather for Sums {
    fn reserve(&mut self, count: usize) {
        self.ends.reserve_exact(count + 1);
        self.ends.push(0);
    }
}

fn decode_each<G: Gather>(
    input: &mut Input<'_>,
    count: usize,
    out: &mut G,
    mut each: impl FnMut(&mut G, i64),
) -> Result<(), Damaged> {
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
    each(out, value);
    let mut left = count - 1;
    while left > 0 {
        let least = input.ivarint()?;
        let widths: [u8; MINIS] = input.take(MINIS)?.try_into().map_err(|_| Damaged("cut short"))?;
        for width in widths {
            if left == 0 {
                break;
            }
            if width > 64 {
                return Err(Damaged("an integer has more than 64 bits"));
            }
            let (width, here) = (usize::from(width), left.min(MINI));
            let behind = input.rest();
            let packed = input.take(width * MINI / 8)?;
            unpack(packed, behind, width, here, |offset| {
                value = value.wrapping_add(least).wrapping_add(offset as i64);
                each(out, value);
            });
            left -= here;
        }
    }
    Ok(())
}

/// The numbers of a miniblock; `behind` is where it begins, with all that follows it.
#[inline]
fn unpack(packed: &[u8], behind: &[u8], width: usize, count: usize, mut each: impl FnMut(u64)) {
    match width {
        0 => return (0..count).for_each(|_| each(0)),
        8 => return packed[..count].iter().for_each(|&byte| each(u64::from(byte))),
        16 => {
            let pairs = packed.chunks_exact(2).take(count);
            return pairs.for_each(|pair| each(u64::from(u16::from_le_bytes([pair[0], pair[1]]))));
        }
        _ => {}
    }
    // Room to read eight bytes, or sixteen, from any position: at the end of a page there is none.
    let mut padded = [0_u8; 64 * MINI / 8 + 16];
    let bytes = if behind.len() >= packed.len() + 16 {
        behind
    } else {
        padded[..packed.len()].copy_from_slice(packed);
        &padded
    };
    if width <= 56 {
        let mask = (1_u64 << width) - 1;
        for i in 0..count {
            let bit = i * width;
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[bit / 8..bit / 8 + 8]);
            each((u64::from_le_bytes(word) >> (bit % 8)) & mask);
        }
    } else {
        let mask = if width == 64 { u64::MAX } else { (1_u64 << width) - 1 };
        for i in 0..count {
            let bit = i * width;
            let mut word = [0; 16];
            word.copy_from_slice(&bytes[bit / 8..bit / 8 + 16]);
            each((u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trips(values: &[i64]) {
        for encode in [encode, encode_bytes] {
            let mut encoded = Vec::new();
            encode(&mut encoded, values);
            encoded.push(42);
            let mut input = Input::new(&encoded);
            let mut decoded = Vec::new();
            decode(&mut input, values.len(), &mut decoded).unwrap();
            assert_eq!(decoded, values);
            assert_eq!(input.rest(), [42]);
        }
    }

    #[test]
    fn extremes_round_trip() {
        round_trips(&[]);
        round_trips(&[7]);
        round_trips(&[i64::MIN, i64::MAX, 0, i64::MIN, i64::MIN, i64::MAX]);
        round_trips(&(0..1000).map(|i| i * 1_000_000_007).collect::<Vec<_>>());
    }

    #[test]
    fn lengths_are_read_as_ends() {
        for lengths in [vec![], vec![5], (0..300).map(|i| i % 7).collect::<Vec<i64>>()] {
            let mut encoded = Vec::new();
            encode_bytes(&mut encoded, &lengths);
            let ends = decode_ends(&mut Input::new(&encoded), lengths.len()).unwrap();
            let sums = lengths.iter().scan(0, |end, length| {
                *end += *length as u32;
                Some(*end)
            });
            assert_eq!(ends, [0].into_iter().chain(sums).collect::<Vec<u32>>());
        }
        let mut encoded = Vec::new();
        encode(&mut encoded, &[5, -1, 3]);
        assert!(decode_ends(&mut Input::new(&encoded), 3).is_err());
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
