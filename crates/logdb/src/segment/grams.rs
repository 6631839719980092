//! Which parts of lines filters know of.
//!
//! A line is every run of five of its bytes: a string is in a line only if each five bytes of the string are. Text in
//! which nearly every five bytes can be found anywhere (hexadecimal numbers and nothing else) is taken apart into longer
//! runs instead, of which one in four is kept, chosen by what it is. What is shorter cannot be looked for.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How lines are taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Every five bytes.
    #[default]
    Fine,
    /// One in four of every seven bytes.
    Coarse,
}

/// A gram is a number of this many bits, by a hash; that two share one only makes a filter pass more often.
const ID_BITS: u32 = 24;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Scheme {
    /// The number it has in an index.
    pub fn number(self) -> u8 {
        match self {
            Self::Fine => 1,
            Self::Coarse => 2,
        }
    }

    /// The scheme of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::Fine, Self::Coarse].into_iter().find(|scheme| scheme.number() == number)
    }

    fn bytes(self) -> usize {
        match self {
            Self::Fine => 5,
            Self::Coarse => 7,
        }
    }

    /// Calls back with the number of each gram of a text that is kept, repeated ones included.
    #[inline]
    fn each(self, text: &[u8], mut add: impl FnMut(u32)) {
        let bytes = self.bytes();
        let Some(grams) = (text.len() + 1).checked_sub(bytes) else { return };
        let is_coarse = self == Self::Coarse;
        let shift = 64 - 8 * bytes as u32;
        let mut take = |window: u64| {
            // The shift leaves out the bytes behind the gram.
            let hash = (window << shift).wrapping_mul(FACTOR);
            if !is_coarse {
                add((hash >> (64 - ID_BITS)) as u32);
            } else if hash >> 62 == 0 {
                add((hash << 2 >> (64 - ID_BITS)) as u32);
            }
        };
        let whole = (text.len() + 1).saturating_sub(8).min(grams);
        for eight in text.windows(8).take(whole) {
            take(u64::from_le_bytes([
                eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7],
            ]));
        }
        for at in whole..grams {
            let mut window = [0; 8];
            window[..bytes].copy_from_slice(&text[at..at + bytes]);
            take(u64::from_le_bytes(window));
        }
    }
}

/// Gathers the grams of lines, each once.
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
    /// Adds a line.
    pub fn add_line(&mut self, scheme: Scheme, line: &[u8]) {
        let Self { seen, ids } = self;
        scheme.each(line, |id| {
            let (word, bit) = ((id >> 6) as usize, 1_u64 << (id & 63));
            if seen[word] & bit == 0 {
                seen[word] |= bit;
                ids.push(id);
            }
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Takes the hashes of what was added out, after which the set is empty again.
    pub fn drain(&mut self) -> impl Iterator<Item = u32> {
        let Self { seen, ids } = self;
        ids.drain(..).map(|id| {
            seen[(id >> 6) as usize] = 0;
            spread(id)
        })
    }
}

/// A number of a gram as one whose upper bits are as good as any.
fn spread(id: u32) -> u32 {
    let mut z = id.wrapping_add(1).wrapping_mul(0x85eb_ca6b);
    z = (z ^ (z >> 15)).wrapping_mul(0xc2b2_ae35);
    z ^ (z >> 16)
}

/// What a byte string needs to be in a line.
#[derive(Debug, Clone)]
pub struct Needle {
    fine: Vec<u32>,
    coarse: Vec<u32>,
    first: super::first::Needle,
}

impl Needle {
    /// `None` when the string is too short to tell anything.
    pub fn new(text: &[u8]) -> Option<Self> {
        let ids = |scheme: Scheme| {
            let mut ids = Vec::new();
            scheme.each(text, |id| ids.push(spread(id)));
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let first = super::first::Needle::new(text)?;
        Some(Self { fine: ids(Scheme::Fine), coarse: ids(Scheme::Coarse), first })
    }

    /// Hashes all of which are in the filter of lines that hold the string.
    pub fn hashes(&self, scheme: Scheme) -> &[u32] {
        match scheme {
            Scheme::Fine => &self.fine,
            Scheme::Coarse => &self.coarse,
        }
    }

    /// What it needs in filters of the first version.
    pub fn of_first_version(&self) -> &super::first::Needle {
        &self.first
    }
}

/// The hash under which a value of structured metadata is in filters.
pub fn value_hash(name: &str, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64_with_seed(name.as_bytes(), 0))
}

/// The hashes of one value: all of them are in the filter of rows that have it.
pub fn value_hashes(hash: u64) -> [u32; 4] {
    let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
    [0, 1, 2, 3].map(|i| first.wrapping_add(step.wrapping_mul(i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grams_of_a_part_are_among_those_of_the_whole() {
        let line = b"id=9f86d081884c7d65 took=12ms caf\xc3\xa9";
        for scheme in [Scheme::Fine, Scheme::Coarse] {
            let mut set = GramSet::default();
            set.add_line(scheme, line);
            set.add_line(scheme, line);
            let all: Vec<u32> = set.drain().collect();
            assert!(set.is_empty() && set.seen.iter().all(|&word| word == 0), "empty again");
            for begin in 0..line.len() {
                for end in begin..=line.len() {
                    let needle = Needle::new(&line[begin..end]);
                    assert_eq!(needle.is_some(), end - begin >= 5);
                    let Some(needle) = needle else { continue };
                    assert!(needle.hashes(scheme).iter().all(|hash| all.contains(hash)), "{begin}..{end}");
                }
            }
            assert_eq!(Scheme::of_number(scheme.number()), Some(scheme));
        }
        assert_eq!(Needle::new(b"abcdefgh").unwrap().hashes(Scheme::Fine).len(), 4);
    }

    #[test]
    fn one_in_four_of_long_grams_is_kept() {
        let mut set = GramSet::default();
        for i in 0..4000_u64 {
            set.add_line(Scheme::Coarse, format!("{:016x}", i.wrapping_mul(FACTOR)).as_bytes());
        }
        let share = set.len() as f64 / 40_000.0;
        assert!((0.23..0.27).contains(&share), "{share}");
    }
}
