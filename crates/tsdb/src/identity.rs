//! Recognising a series in several sources: by a hash of all its labels.
//!
//! Holding the labels of all series at once would cost far more than the rest of a query, and so would
//! making them only to compare them. Every source numbers its strings, so each string is hashed once, and
//! a series is the hash of its strings' hashes.

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

/// A hash of all labels of a series: 128 bits, so that no two series of one query share one.
pub type SeriesHash = u128;

/// Hashes the label sets of one source.
#[derive(Debug, Default)]
pub(crate) struct LabelHasher {
    /// The hashes of strings met so far, by their number in the source.
    strings: HashMap<u32, u128>,
    bytes: Vec<u8>,
}

impl LabelHasher {
    /// Forgets the strings added since the last [`Self::finish`].
    pub(crate) fn begin(&mut self) {
        self.bytes.clear();
    }

    /// Adds a name or a value, which alternate, in the order of names. `text` is asked for once per string.
    #[inline]
    pub(crate) fn add<'a, E>(
        &mut self,
        number: u32,
        text: impl FnOnce() -> Result<&'a str, E>,
    ) -> Result<(), E> {
        let hash = match self.strings.get(&number) {
            Some(&hash) => hash,
            None => {
                let hash = xxh3_128(text()?.as_bytes());
                self.strings.insert(number, hash);
                hash
            }
        };
        self.bytes.extend_from_slice(&hash.to_le_bytes());
        Ok(())
    }

    /// The hash of the series whose strings were added.
    pub(crate) fn finish(&self) -> SeriesHash {
        xxh3_128(&self.bytes)
    }
}

/// The hash of a label set given as texts, in the order of names.
pub fn hash_labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> SeriesHash {
    let strings = pairs.flat_map(|(name, value)| [name, value]);
    let bytes: Vec<u8> = strings.flat_map(|text| xxh3_128(text.as_bytes()).to_le_bytes()).collect();
    xxh3_128(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_one_hash_however_its_strings_are_numbered() {
        let pairs = [("__name__", "up"), ("job", "up")];
        let expected = hash_labels(pairs.into_iter());
        for offset in [0, 7] {
            let mut hasher = LabelHasher::default();
            for _ in 0..2 {
                hasher.begin();
                for (number, text) in [(0, "__name__"), (2, "up"), (1, "job"), (2, "up")] {
                    hasher.add(number + offset, || Ok::<_, ()>(text)).unwrap();
                }
                assert_eq!(hasher.finish(), expected);
            }
        }
        assert_ne!(hash_labels([("__name__", "up"), ("job", "u")].into_iter()), expected);
        assert_ne!(hash_labels([("__name__", "upjob"), ("", "up")].into_iter()), expected);
    }
}
