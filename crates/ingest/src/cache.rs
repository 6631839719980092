//! From the bytes of a series' labels straight to its reference.
//!
//! Senders repeat the labels of a series with every sample. What is kept of them is a 128-bit hash under a
//! secret of the process, so that nobody can make two series meet on purpose, and the reference: a series
//! that is known costs one hash and one lookup, and neither parsing nor sorting nor memory.
//!
//! A lookup is a cache miss of the processor, which takes longer than all else about a sample. So keys
//! are looked up many at a time: first their places are touched, which the processor does at once, then they
//! are compared.
//!
//! There are two generations: what is used moves to the young one, and the old one is dropped whole when the young
//! one is full or time has passed. That bounds the memory and forgets series that are fed no more.

use model::SeriesRef;
use parking_lot::RwLock;
use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_128_with_secret};

/// Bytes of [`Secret`].
pub const SECRET_BYTES: usize = 192;

/// What hashes are made with: random bytes, new in each process.
pub type Secret = [u8; SECRET_BYTES];

/// The hash of labels as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Key(pub [u64; 2]);

impl Key {
    /// No key: never found.
    pub const NONE: Self = Self([0, 0]);
    /// Where a key was that is there no more.
    const REMOVED: Self = Self([0, 1]);

    /// The key of these bytes.
    #[inline]
    pub fn of(bytes: &[u8], secret: &Secret) -> Self {
        let hash = xxh3_128_with_secret(bytes, secret);
        // The two above are no keys.
        Self([(hash as u64).max(1), (hash >> 64) as u64])
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

/// A lookup that found something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The series.
    pub known: Known,
    /// It was in the old generation: the first use for some time.
    pub is_renewed: bool,
}

/// The series of one tenant.
#[derive(Debug)]
pub(crate) struct SeriesCache {
    generations: RwLock<Generations>,
    /// Series of a generation.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: Table,
    old: Table,
}

impl SeriesCache {
    /// A cache of at most `capacity` series.
    pub fn new(capacity: usize) -> Self {
        Self { generations: RwLock::default(), capacity: (capacity / 2).max(1) }
    }

    /// Looks a series up.
    pub fn find(&self, key: Key) -> Option<Found> {
        let mut found = [None];
        self.find_all(&[key], &mut found);
        found[0]
    }

    /// Looks series up, each result to the place of its key; [`Key::NONE`] is not found.
    pub fn find_all(&self, keys: &[Key], found: &mut [Option<Found>]) {
        let mut renewed = false;
        {
            let generations = self.generations.read();
            generations.young.touch(keys);
            for (key, found) in keys.iter().zip(&mut *found) {
                *found = generations.find(*key);
                renewed |= found.is_some_and(|found| found.is_renewed);
            }
        }
        if renewed {
            self.renew(keys, found);
        }
    }

    /// Moves what was found in the old generation to the young one.
    #[cold]
    fn renew(&self, keys: &[Key], found: &[Option<Found>]) {
        let mut generations = self.generations.write();
        for (key, found) in keys.iter().zip(found) {
            // Somebody else may have moved it meanwhile.
            if let Some(Found { is_renewed: true, .. }) = found
                && let Some(known) = generations.old.remove(*key)
            {
                generations.put(*key, known, self.capacity);
            }
        }
    }

    /// Remembers a series, in place of what was known under the key.
    pub fn insert(&self, key: Key, known: Known) {
        if key == Key::NONE {
            return;
        }
        let mut generations = self.generations.write();
        generations.old.remove(key);
        generations.put(key, known, self.capacity);
    }

    /// Begins a new generation: what is not used in it is forgotten with the next.
    pub fn age(&self) {
        self.generations.write().age();
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.generations.write() = Generations::default();
    }

    /// Series that are remembered.
    pub fn len(&self) -> usize {
        let generations = self.generations.read();
        generations.young.len + generations.old.len
    }
}

impl Generations {
    #[inline]
    fn find(&self, key: Key) -> Option<Found> {
        if let Some(known) = self.young.find(key) {
            return Some(Found { known, is_renewed: false });
        }
        self.old.find(key).map(|known| Found { known, is_renewed: true })
    }

    fn put(&mut self, key: Key, known: Known, capacity: usize) {
        if self.young.len >= capacity {
            self.age();
        }
        self.young.put(key, known);
    }

    fn age(&mut self) {
        // Nearly all series live on: the next generation will be about as large.
        let next = Table::with_room_for(self.young.len);
        self.old = std::mem::replace(&mut self.young, next);
    }
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    known: Known,
}

const _: () = assert!(size_of::<Slot>() == 32, "a million series must stay cheap");

const EMPTY: Slot = Slot { key: Key::NONE, known: Known { series: SeriesRef(0), identity: 0 } };

/// A hash table with open addressing: hashes are random, so that runs of taken slots stay short.
#[derive(Debug, Default)]
struct Table {
    /// None, or a power of two.
    slots: Vec<Slot>,
    /// Keys.
    len: usize,
    /// Slots that are not empty.
    used: usize,
}

impl Table {
    fn with_room_for(len: usize) -> Self {
        let slots = if len == 0 { 0 } else { (len * 3 / 2).next_power_of_two().max(64) };
        Self { slots: vec![EMPTY; slots], len: 0, used: 0 }
    }

    #[inline]
    fn home(&self, key: Key) -> usize {
        key.0[0] as usize & (self.slots.len() - 1)
    }

    /// Has the processor load the places of all keys at once.
    #[inline]
    fn touch(&self, keys: &[Key]) {
        if self.slots.is_empty() {
            return;
        }
        let mut any = 0;
        for key in keys {
            any |= self.slots[self.home(*key)].key.0[0];
        }
        std::hint::black_box(any);
    }

    /// The slot of a key, or the empty one where it would go.
    #[inline]
    fn slot(&self, key: Key) -> usize {
        let mut at = self.home(key);
        loop {
            let here = self.slots[at].key;
            if here == key || here == Key::NONE {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    fn find(&self, key: Key) -> Option<Known> {
        if self.slots.is_empty() || key == Key::NONE {
            return None;
        }
        let slot = &self.slots[self.slot(key)];
        (slot.key == key).then_some(slot.known)
    }

    fn remove(&mut self, key: Key) -> Option<Known> {
        let known = self.find(key)?;
        let at = self.slot(key);
        self.slots[at].key = Key::REMOVED;
        self.len -= 1;
        Some(known)
    }

    fn put(&mut self, key: Key, known: Known) {
        // An eighth stays empty, so that looking for what is not there ends soon.
        if self.used + 1 > self.slots.len() - self.slots.len() / 8 {
            self.grow();
        }
        let at = self.slot(key);
        if self.slots[at].key != key {
            self.len += 1;
            self.used += 1;
        }
        self.slots[at] = Slot { key, known };
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = Self::with_room_for((self.len * 2).max(32));
        for slot in self.slots.iter().filter(|slot| slot.key.0[0] != 0) {
            let at = larger.slot(slot.key);
            larger.slots[at] = *slot;
        }
        (larger.len, larger.used) = (self.len, self.len);
        *self = larger;
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
            let generations = cache.generations.read();
            assert!(generations.young.slots.len() + generations.old.slots.len() <= 4 * 640);
        }
        assert!(cache.len() >= 320, "{}", cache.len());
        assert!(cache.find(key(9_999)).is_some());
        cache.clear();
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn many_are_looked_up_at_once_and_renewed() {
        let cache = SeriesCache::new(10_000);
        (0..1000).for_each(|i| cache.insert(key(i), known(i)));
        cache.age();
        let keys: Vec<Key> = (0..1200).map(key).chain([Key::NONE]).collect();
        for is_renewed in [true, false] {
            let mut found = vec![None; keys.len()];
            cache.find_all(&keys, &mut found);
            for (i, found) in found.into_iter().enumerate() {
                let expected = (i < 1000).then(|| Found { known: known(i as u64), is_renewed });
                assert_eq!(found, expected, "{i}");
            }
        }
        assert_eq!(cache.len(), 1000);
    }

    #[test]
    fn the_table_agrees_with_a_map_whatever_is_done() {
        let (mut table, mut map) = (Table::default(), std::collections::HashMap::new());
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few homes, so that runs form and are broken.
            let key = Key([1 + (state >> 33) % 64 * 1024, (state >> 40) % 8]);
            match state >> 61 {
                0..4 => {
                    table.put(key, known(state));
                    map.insert(key.0, known(state));
                }
                4..6 => assert_eq!(table.remove(key), map.remove(&key.0)),
                _ => assert_eq!(table.find(key), map.get(&key.0).copied()),
            }
            assert_eq!(table.len, map.len());
            assert!(table.slots.len() <= 4096, "{}", table.slots.len());
        }
    }
}
