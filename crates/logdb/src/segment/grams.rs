//! Filters that tell which page groups cannot hold a byte string, or a value of structured metadata.
//!
//! A line is every run of five of its bytes: a string is in a line only if each five bytes of the string are. A set of
//! them is kept as a Bloom filter with about four bits and two probes for each; shorter strings cannot be looked for.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a gram. Strings below that length are not filtered.
pub const GRAM_BYTES: usize = 5;

/// A gram is a number of this many bits, by a hash; that two share one only makes a filter pass more often.
const ID_BITS: u32 = 24;
const LOW_FIVE_BYTES: u64 = 0xff_ffff_ffff;

fn gram_id(five: u64) -> u32 {
    (five.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ID_BITS)) as u32
}

/// Two positions in a filter of `bits`.
fn positions(id: u64, bits: u64) -> [u64; 2] {
    let mut z = id.wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 32;
    [((z & 0xffff_ffff) * bits) >> 32, ((z >> 32) * bits) >> 32]
}

fn set(filter: &mut [u8], position: u64) {
    filter[(position / 8) as usize] |= 1 << (position % 8);
}

fn is_set(filter: &[u8], position: u64) -> bool {
    filter[(position / 8) as usize] >> (position % 8) & 1 == 1
}

/// Gathers the grams of the lines of one page group.
pub struct GramSet {
    seen: Vec<u64>,
    ids: Vec<u32>,
}

impl Default for GramSet {
    /// An empty set. It takes 2 MiB and is meant to be used again.
    fn default() -> Self {
        Self { seen: vec![0; 1 << (ID_BITS - 6)], ids: Vec::new() }
    }
}

impl GramSet {
    fn add(&mut self, id: u32) {
        let (word, bit) = ((id >> 6) as usize, 1_u64 << (id & 63));
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.ids.push(id);
        }
    }

    /// Adds a line.
    pub fn add_line(&mut self, line: &[u8]) {
        if line.len() < GRAM_BYTES {
            return;
        }
        let mut window = 0;
        for (i, &byte) in line[..GRAM_BYTES].iter().enumerate() {
            window |= u64::from(byte) << (8 * i);
        }
        self.add(gram_id(window));
        for &byte in &line[GRAM_BYTES..] {
            window = window >> 8 | u64::from(byte) << (8 * (GRAM_BYTES - 1));
            self.add(gram_id(window & LOW_FIVE_BYTES));
        }
    }

    /// The filter of what was added, after which the set is empty again.
    pub fn take_filter(&mut self, bits_per_gram: f32, out: &mut Vec<u8>) {
        let start = out.len();
        let bytes = (self.ids.len() as f32 * bits_per_gram / 8.0).ceil() as usize;
        out.resize(start + bytes, 0);
        let filter = &mut out[start..];
        for id in self.ids.drain(..) {
            self.seen[(id >> 6) as usize] = 0;
            for position in positions(u64::from(id), bytes as u64 * 8) {
                set(filter, position);
            }
        }
    }
}

/// What a byte string needs to be in a line.
#[derive(Debug, Clone)]
pub struct Needle {
    ids: Vec<u32>,
}

impl Needle {
    /// `None` when the string is too short to tell anything.
    pub fn new(text: &[u8]) -> Option<Self> {
        let number = |five: &[u8]| five.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let mut ids: Vec<u32> = text.windows(GRAM_BYTES).map(|five| gram_id(number(five))).collect();
        ids.sort_unstable();
        ids.dedup();
        (!ids.is_empty()).then_some(Self { ids })
    }

    /// Whether a page group with this filter may hold the string. An empty filter is one of no lines.
    pub fn may_be_in(&self, filter: &[u8]) -> bool {
        let bits = filter.len() as u64 * 8;
        bits > 0
            && self.ids.iter().all(|&id| positions(u64::from(id), bits).iter().all(|&at| is_set(filter, at)))
    }
}

const VALUE_PROBES: u64 = 4;
const BITS_PER_VALUE: usize = 8;

/// The hash under which a value of structured metadata is in filters.
pub fn value_hash(name: &str, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64_with_seed(name.as_bytes(), 0))
}

fn value_positions(hash: u64, bits: u64) -> impl Iterator<Item = u64> {
    let (first, step) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    (0..VALUE_PROBES).map(move |i| ((first.wrapping_add(i * step) & 0xffff_ffff) * bits) >> 32)
}

/// Appends the filter of these hashes, each of which is there once.
pub fn value_filter(hashes: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + (hashes.len() * BITS_PER_VALUE).div_ceil(8), 0);
    let filter = &mut out[start..];
    let bits = filter.len() as u64 * 8;
    for hash in hashes {
        value_positions(hash, bits).for_each(|position| set(filter, position));
    }
}

/// Whether a page group with this filter may hold the value of this hash.
pub fn value_may_be_in(hash: u64, filter: &[u8]) -> bool {
    let bits = filter.len() as u64 * 8;
    bits > 0 && value_positions(hash, bits).all(|position| is_set(filter, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(lines: &[String]) -> Vec<u8> {
        let mut set = GramSet::default();
        lines.iter().for_each(|line| set.add_line(line.as_bytes()));
        let mut filter = Vec::new();
        set.take_filter(4.0, &mut filter);
        assert!(set.seen.iter().all(|&word| word == 0), "empty again");
        filter
    }

    #[test]
    fn what_is_there_passes_and_what_is_not_seldom() {
        let lines: Vec<String> = (0..2000_u64)
            .map(|i| format!("id={:016x} done", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let filter = filter_of(&lines);
        for line in &lines {
            for part in [&line[..], &line[3..8], &line[7..15], "d=", ""] {
                assert!(
                    Needle::new(part.as_bytes()).is_none_or(|needle| needle.may_be_in(&filter)),
                    "{part}"
                );
            }
        }
        let absent = (0..1000_u64).filter(|i| {
            let text = format!("id={:016x} done", i.wrapping_mul(0xd134_2543_de82_ef95) | 1 << 63);
            let absent = !lines.contains(&text);
            absent && Needle::new(text.as_bytes()).unwrap().may_be_in(&filter)
        });
        assert!(absent.count() < 10);
        assert!(Needle::new(b"four").is_none());
        assert!(!Needle::new(b"fifth").unwrap().may_be_in(&[]));
    }

    #[test]
    fn values_are_found_under_their_name_only() {
        let hashes: Vec<u64> = (0..500).map(|i| value_hash("id", format!("{i}").as_bytes())).collect();
        let mut filter = Vec::new();
        value_filter(hashes.iter().copied(), &mut filter);
        assert!(hashes.iter().all(|&hash| value_may_be_in(hash, &filter)));
        let wrong =
            (0..1000).filter(|i| value_may_be_in(value_hash("di", format!("{i}").as_bytes()), &filter));
        assert!(wrong.count() < 60);
        assert!(!value_may_be_in(1, &[]));
    }
}
