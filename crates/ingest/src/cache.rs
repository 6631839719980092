//! From the bytes of a series' labels straight to its reference.
//!
//! Senders repeat the labels of a series with every sample. What is kept of them is a 128-bit hash under a
//! secret of the process, so that nobody can make two series meet on purpose, and the reference: a series
//! that is known costs one hash and one lookup, and neither parsing nor sorting nor memory.
//!
//! The cache is divided so that requests do not wait for each other, and each part has two generations: what
//! is used moves to the young one, and the old one is dropped whole when the young one is full or
//! time has passed. That bounds the memory and forgets series that are fed no more.

use hashbrown::HashTable;
use model::SeriesRef;
use parking_lot::Mutex;
use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_128_with_secret};

/// Bytes of [`Secret`].
pub const SECRET_BYTES: usize = 192;

/// What hashes are made with: random bytes, new in each process.
pub type Secret = [u8; SECRET_BYTES];

/// The hash of labels as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Key(pub [u64; 2]);

impl Key {
    /// The key of these bytes.
    #[inline]
    pub fn of(bytes: &[u8], secret: &Secret) -> Self {
        let hash = xxh3_128_with_secret(bytes, secret);
        Self([hash as u64, (hash >> 64) as u64])
    }
}

/// A short name of a label set however it is written, for counting series.
pub(crate) fn identity(labels: &model::Labels, secret: &Secret) -> u64 {
    xxh3_64_with_secret(labels.as_bytes(), secret)
}

/// A series that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The storage's reference.
    pub series: SeriesRef,
    /// Equal for equal label sets however they are written.
    pub identity: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    known: Known,
}

const _: () = assert!(size_of::<Slot>() == 32, "a million series must stay cheap");

#[derive(Debug, Default)]
struct Shard {
    young: HashTable<Slot>,
    old: HashTable<Slot>,
}

/// A lookup that found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The series.
    pub known: Known,
    /// It was in the old generation: the first use for some time.
    pub is_renewed: bool,
}

/// Parts of a cache; requests that run at once are far fewer.
const SHARDS: usize = 32;

/// The series of one tenant.
#[derive(Debug)]
pub(crate) struct SeriesCache {
    shards: [Mutex<Shard>; SHARDS],
    /// Series of a generation of one part.
    shard_capacity: usize,
}

impl SeriesCache {
    /// A cache of at most `capacity` series.
    pub fn new(capacity: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, shard_capacity: (capacity / SHARDS / 2).max(1) }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        // The table below uses the other half of the hash.
        &self.shards[(key.0[1] >> 59) as usize % SHARDS]
    }

    /// Looks a series up.
    #[inline]
    pub fn find(&self, key: Key) -> Option<Found> {
        let mut shard = self.shard(key).lock();
        if let Some(slot) = shard.young.find(key.0[0], |slot| slot.key == key) {
            return Some(Found { known: slot.known, is_renewed: false });
        }
        let known = shard.take_old(key)?;
        self.put(&mut shard, Slot { key, known });
        Some(Found { known, is_renewed: true })
    }

    /// Remembers a series, in place of what was known under the key.
    pub fn insert(&self, key: Key, known: Known) {
        let mut shard = self.shard(key).lock();
        if let Some(slot) = shard.young.find_mut(key.0[0], |slot| slot.key == key) {
            slot.known = known;
            return;
        }
        shard.take_old(key);
        self.put(&mut shard, Slot { key, known });
    }

    fn put(&self, shard: &mut Shard, slot: Slot) {
        if shard.young.len() >= self.shard_capacity {
            shard.age();
        }
        shard.young.insert_unique(slot.key.0[0], slot, |slot| slot.key.0[0]);
    }

    /// Begins a new generation: what is not used in it is forgotten with the next.
    pub fn age(&self) {
        self.shards.iter().for_each(|shard| shard.lock().age());
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.shards.iter().for_each(|shard| *shard.lock() = Shard::default());
    }

    /// Series that are remembered.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

impl Shard {
    fn take_old(&mut self, key: Key) -> Option<Known> {
        let entry = self.old.find_entry(key.0[0], |slot| slot.key == key).ok()?;
        Some(entry.remove().0.known)
    }

    fn age(&mut self) {
        // Nearly all series live on: the next generation will be about as large.
        let next = HashTable::with_capacity(self.young.len());
        self.old = std::mem::replace(&mut self.young, next);
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = [7; SECRET_BYTES];

    fn key(i: u64) -> Key {
        Key::of(&i.to_le_bytes(), &SECRET)
    }

    fn known(i: u64) -> Known {
        Known { series: SeriesRef(i), identity: i }
    }

    #[test]
    fn series_are_found_until_two_generations_have_passed_without_them() {
        let cache = SeriesCache::new(1000);
        cache.insert(key(1), known(1));
        cache.insert(key(2), known(2));
        assert_eq!(cache.find(key(1)), Some(Found { known: known(1), is_renewed: false }));
        cache.age();
        assert_eq!(cache.find(key(1)), Some(Found { known: known(1), is_renewed: true }));
        assert_eq!(cache.len(), 2);
        cache.age();
        assert_eq!(cache.find(key(2)), None);
        assert_eq!(cache.find(key(1)).map(|found| found.known), Some(known(1)));
    }

    #[test]
    fn a_new_reference_replaces_the_old_in_either_generation() {
        let cache = SeriesCache::new(1000);
        cache.insert(key(1), known(1));
        cache.insert(key(1), known(2));
        assert_eq!(cache.len(), 1);
        cache.age();
        cache.insert(key(1), known(3));
        assert_eq!(cache.len(), 1);
        assert_eq!(cache.find(key(1)).map(|found| found.known), Some(known(3)));
    }

    #[test]
    fn the_capacity_is_never_exceeded() {
        let cache = SeriesCache::new(640);
        for i in 0..10_000 {
            cache.insert(key(i), known(i));
            assert!(cache.len() <= 640);
        }
        assert!(cache.len() > 300, "{}", cache.len());
        assert!(cache.find(key(9_999)).is_some());
        cache.clear();
        assert_eq!(cache.len(), 0);
    }
}
