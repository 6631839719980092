//! Filters of the first version of objects: one for each page group, a Bloom filter with two probes for each gram of five
//! bytes, or four for each value of metadata. They are read, and not written any more.

const GRAM_BYTES: usize = 5;
const ID_BITS: u32 = 24;

/// Two positions in a filter of `bits`.
fn positions(id: u64, bits: u64) -> [u64; 2] {
    let mut z = id.wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 32;
    [((z & 0xffff_ffff) * bits) >> 32, ((z >> 32) * bits) >> 32]
}

fn is_set(filter: &[u8], position: u64) -> bool {
    filter[(position / 8) as usize] >> (position % 8) & 1 == 1
}

/// What a byte string needs to be in a line.
#[derive(Debug, Clone)]
pub struct Needle {
    ids: Vec<u64>,
}

impl Needle {
    /// `None` when the string is too short to tell anything.
    pub fn new(text: &[u8]) -> Option<Self> {
        let number = |five: &[u8]| five.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let id = |five: &[u8]| number(five).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ID_BITS);
        let ids: Vec<u64> = text.windows(GRAM_BYTES).map(id).collect();
        (!ids.is_empty()).then_some(Self { ids })
    }

    /// Whether a page group with this filter may hold the string. An empty filter is one of no lines.
    pub fn may_be_in(&self, filter: &[u8]) -> bool {
        let bits = filter.len() as u64 * 8;
        bits > 0 && self.ids.iter().all(|&id| positions(id, bits).iter().all(|&at| is_set(filter, at)))
    }
}

/// Whether a page group with this filter may hold the value of this hash.
pub fn value_may_be_in(hash: u64, filter: &[u8]) -> bool {
    let bits = filter.len() as u64 * 8;
    let (first, step) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    let position = |i: u64| ((first.wrapping_add(i * step) & 0xffff_ffff) * bits) >> 32;
    bits > 0 && (0..4).all(|i| is_set(filter, position(i)))
}
