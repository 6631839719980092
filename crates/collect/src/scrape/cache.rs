//! What one target's scrapes have in common: from the text of a series straight to its reference.
//!
//! A slot is 32 bytes and holds no text, only its 128-bit hash and length. Targets list their series in the
//! same order each time, so that the slot expected next is compared first; an index is built only while
//! that fails. Slots carry the iteration they were last seen in, from which vanished series follow
//! without any set.

use hashbrown::HashTable;
use model::SeriesRef;
use wire::KnownSeries;
use xxhash_rust::xxh3::xxh3_128;

/// Position of a slot. It stays valid until the iteration ends.
pub(super) type SlotId = u32;

/// A series the storage has not been asked for yet.
pub(super) const UNRESOLVED: SeriesRef = SeriesRef(u64::MAX);

/// Tells the series of a target apart, from scrape to scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SeriesKey(pub [u64; 2]);

/// A series or a dropped one.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: [u64; 2],
    series: SeriesRef,
    text_len: u32,
    /// The iteration the slot was last seen in, above the flags.
    stamp: u32,
}

const _: () = assert!(size_of::<Slot>() == 32, "a million series must stay cheap");

/// The series takes part in staleness handling in the iteration of the stamp.
const TRACKED: u32 = 1;
/// It did so in the iteration before.
const WAS_TRACKED: u32 = 2;
/// Relabelling drops the series.
const DROPPED: u32 = 4;
const FLAG_BITS: u32 = 3;
const ITERATION_MASK: u32 = u32::MAX >> FLAG_BITS;

impl Slot {
    fn iteration(&self) -> u32 {
        self.stamp >> FLAG_BITS
    }

    fn has(&self, flag: u32) -> bool {
        self.stamp & flag != 0
    }
}

fn hash_of(text: &[u8]) -> [u64; 2] {
    let hash = xxh3_128(text);
    [hash as u64, (hash >> 64) as u64]
}

/// What the cache knows of a series when a scrape meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Never seen, or forgotten.
    New,
    /// Dropped by relabelling.
    Dropped,
    /// Known; `again` if this scrape has had it already.
    Known { slot: SlotId, series: SeriesRef, again: bool },
}

/// The series of one target.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    slots: Vec<Slot>,
    index: Option<HashTable<SlotId>>,
    iteration: u32,
    /// The slot expected next.
    expected: usize,
    /// Where the expected order was left for a series out of order.
    resume: usize,
    /// The slot [`KnownSeries::known_len`] recognised.
    recognised: usize,
    /// Lookups through the index in this iteration.
    index_lookups: usize,
    /// Slots in the order this iteration met them, recorded when the order was bad the time before.
    met: Option<Vec<SlotId>>,
    /// Tracked in the iteration before.
    tracked_before: usize,
    /// Tracked in this iteration.
    tracked: usize,
    /// Tracked in both.
    tracked_both: usize,
    /// Slots at the end of the last successful iteration.
    successful_len: usize,
}

impl SeriesCache {
    /// Begins the next scrape.
    pub fn begin(&mut self) {
        self.iteration = (self.iteration + 1) & ITERATION_MASK;
        self.rewind();
    }

    fn rewind(&mut self) {
        (self.expected, self.resume) = (0, 0);
        (self.tracked, self.tracked_both, self.index_lookups) = (0, 0, 0);
    }

    /// Slots in use.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Heap bytes in use.
    #[cfg(test)]
    pub fn memory_bytes(&self) -> usize {
        let index =
            self.index.as_ref().map_or(0, |index| index.capacity() * 8 / 7 * (size_of::<SlotId>() + 1));
        self.slots.capacity() * size_of::<Slot>() + index
    }

    /// The series the parser has just recognised through [`KnownSeries`].
    #[inline]
    pub fn recognised(&mut self) -> Lookup {
        self.meet(self.recognised)
    }

    /// Looks the text of a series up.
    pub fn look_up(&mut self, text: &[u8]) -> Lookup {
        let hash = hash_of(text);
        for candidate in [self.expected, self.resume] {
            if self.slots.get(candidate).is_some_and(|slot| slot.hash == hash) {
                self.expected = candidate + 1;
                return self.meet(candidate);
            }
        }
        self.index_lookups += 1;
        let slots = &self.slots;
        let index = self.index.get_or_insert_with(|| build_index(slots));
        let Some(&at) = index.find(hash[0], |&at| slots[at as usize].hash == hash) else {
            return Lookup::New;
        };
        // Remember the place left, for a series inserted there is followed by the one that was expected.
        self.resume = self.expected;
        self.expected = at as usize + 1;
        self.meet(at as usize)
    }

    #[inline]
    fn meet(&mut self, at: usize) -> Lookup {
        let slot = &mut self.slots[at];
        if let Some(met) = &mut self.met {
            met.push(at as SlotId);
        }
        let again = slot.iteration() == self.iteration;
        if slot.has(DROPPED) {
            slot.stamp = self.iteration << FLAG_BITS | DROPPED;
            return Lookup::Dropped;
        }
        if !again {
            let before = self.iteration.wrapping_sub(1) & ITERATION_MASK;
            let was_tracked = slot.iteration() == before && slot.has(TRACKED);
            slot.stamp = self.iteration << FLAG_BITS | if was_tracked { WAS_TRACKED } else { 0 };
        }
        Lookup::Known { slot: at as SlotId, series: slot.series, again }
    }

    /// Remembers a new series.
    pub fn add(&mut self, text: &[u8], series: SeriesRef) -> SlotId {
        self.insert(text, series, 0)
    }

    /// Remembers that relabelling drops a series.
    pub fn add_dropped(&mut self, text: &[u8]) {
        self.insert(text, SeriesRef(0), DROPPED);
    }

    fn insert(&mut self, text: &[u8], series: SeriesRef, flags: u32) -> SlotId {
        let at = self.slots.len();
        let hash = hash_of(text);
        let text_len = u32::try_from(text.len()).unwrap_or(0);
        self.slots.push(Slot { hash, series, text_len, stamp: self.iteration << FLAG_BITS | flags });
        let slots = &self.slots;
        if let Some(index) = &mut self.index {
            index.insert_unique(hash[0], at as SlotId, |&at| slots[at as usize].hash[0]);
        }
        if let Some(met) = &mut self.met {
            met.push(at as SlotId);
        }
        // Series after a new one are looked for where the order was left, and behind it.
        if self.expected == at {
            self.expected = at + 1;
        }
        at as SlotId
    }

    /// What the series is known by as long as it is in the cache.
    pub fn key(&self, slot: SlotId) -> SeriesKey {
        SeriesKey(self.slots[slot as usize].hash)
    }

    /// The series got a new reference from the storage.
    pub fn set_series(&mut self, slot: SlotId, series: SeriesRef) {
        self.slots[slot as usize].series = series;
    }

    /// The series becomes stale when the next scrape lacks it.
    #[inline]
    pub fn track(&mut self, slot: SlotId) {
        let slot = &mut self.slots[slot as usize];
        if !slot.has(TRACKED) {
            slot.stamp |= TRACKED;
            self.tracked += 1;
            self.tracked_both += usize::from(slot.has(WAS_TRACKED));
        }
    }

    /// Hands on every series that was tracked in the iteration before and is not in this one.
    pub fn for_each_stale(&self, mut stale: impl FnMut(SeriesRef)) {
        if self.tracked_before == self.tracked_both {
            return;
        }
        let before = self.iteration.wrapping_sub(1) & ITERATION_MASK;
        for slot in &self.slots {
            let vanished = slot.iteration() == before && slot.has(TRACKED);
            let refused = slot.iteration() == self.iteration && slot.has(WAS_TRACKED) && !slot.has(TRACKED);
            if vanished || refused {
                stale(slot.series);
            }
        }
    }

    /// Gives up what this iteration tracked, as if the scrape had been empty: it failed halfway.
    pub fn forget_tracking(&mut self) {
        for slot in &mut self.slots {
            if slot.iteration() == self.iteration {
                slot.stamp &= !TRACKED;
            }
        }
        (self.tracked, self.tracked_both) = (0, 0);
    }

    /// Ends the iteration. After a success, series it lacked are forgotten; after a failure they are kept
    /// for their return, unless failing scrapes fill the cache: then the result is true.
    pub fn finish(&mut self, succeeded: bool) -> bool {
        let overflows = !succeeded && self.slots.len() > self.successful_len * 2 + 1000;
        self.tracked_before = self.tracked;
        if let Some(met) = self.met.take().filter(|_| succeeded) {
            self.reorder(&met);
        }
        if succeeded || overflows {
            self.forget_unseen();
        }
        if succeeded {
            self.successful_len = self.slots.len();
            let disordered = self.index_lookups > self.slots.len() / 8;
            if disordered {
                self.met = Some(Vec::with_capacity(self.slots.len()));
            }
            if self.index_lookups == 0 {
                self.index = None;
            }
        }
        overflows
    }

    fn forget_unseen(&mut self) {
        let (iteration, len) = (self.iteration, self.slots.len());
        self.slots.retain(|slot| slot.iteration() == iteration);
        if self.slots.len() != len {
            self.index = None;
        }
        if self.slots.capacity() > self.slots.len() + self.slots.len() / 8 + 16 {
            self.slots.shrink_to_fit();
        }
    }

    /// Puts the slots into the order in which a scrape met them.
    fn reorder(&mut self, met: &[SlotId]) {
        let mut ordered = Vec::with_capacity(self.slots.len());
        // Taken slots get a mark that no iteration has, so that a series met twice is moved once.
        let mut taken = vec![false; self.slots.len()];
        let rest = 0..self.slots.len() as SlotId;
        for at in met.iter().copied().chain(rest) {
            if !std::mem::replace(&mut taken[at as usize], true) {
                ordered.push(self.slots[at as usize]);
            }
        }
        self.slots = ordered;
        self.index = None;
    }
}

fn build_index(slots: &[Slot]) -> HashTable<SlotId> {
    let mut index = HashTable::with_capacity(slots.len());
    for (at, slot) in slots.iter().enumerate() {
        index.insert_unique(slot.hash[0], at as SlotId, |&at| slots[at as usize].hash[0]);
    }
    index
}

impl KnownSeries for SeriesCache {
    #[inline]
    fn known_len(&mut self, rest: &[u8]) -> usize {
        for candidate in [self.expected, self.resume] {
            let Some(slot) = self.slots.get(candidate) else { continue };
            let len = slot.text_len as usize;
            if len != 0 && len < rest.len() && slot.hash == hash_of(&rest[..len]) {
                self.recognised = candidate;
                self.expected = candidate + 1;
                return len;
            }
            if self.resume == self.expected {
                break;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scrapes the named series and returns those that became stale, and how many needed the index.
    fn scrape(cache: &mut SeriesCache, names: &[&str]) -> (Vec<u64>, usize) {
        cache.begin();
        for name in names {
            let text = format!("{name} 1\n");
            let known = cache.known_len(text.as_bytes());
            let lookup =
                if known == name.len() { cache.recognised() } else { cache.look_up(name.as_bytes()) };
            let slot = match lookup {
                Lookup::New => cache.add(name.as_bytes(), SeriesRef(number(name))),
                Lookup::Known { slot, .. } => slot,
                Lookup::Dropped => continue,
            };
            cache.track(slot);
        }
        let mut stale = Vec::new();
        cache.for_each_stale(|series| stale.push(series.0));
        let lookups = cache.index_lookups;
        cache.finish(true);
        (stale, lookups)
    }

    fn number(name: &str) -> u64 {
        xxhash_rust::xxh3::xxh3_64(name.as_bytes())
    }

    #[test]
    fn the_same_order_needs_no_index_and_an_inserted_series_one_lookup() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, &["a", "b", "c", "d"]);
        assert_eq!(scrape(&mut cache, &["a", "b", "c", "d"]), (vec![], 0));
        assert!(cache.index.is_none());
        assert_eq!(scrape(&mut cache, &["a", "b", "x", "c", "d"]).1, 1);
        assert_eq!(scrape(&mut cache, &["a", "b", "x", "c", "d"]).1, 1);
        assert_eq!(cache.len(), 5);
    }

    #[test]
    fn a_shuffled_order_is_learnt() {
        let mut cache = SeriesCache::default();
        let order: Vec<String> = (0..200).map(|i| format!("series{i}")).collect();
        let names: Vec<&str> = order.iter().map(String::as_str).collect();
        let shuffled: Vec<&str> = (0..200).map(|i| names[i * 77 % 200]).collect();
        scrape(&mut cache, &names);
        scrape(&mut cache, &shuffled);
        scrape(&mut cache, &shuffled);
        assert_eq!(scrape(&mut cache, &shuffled).1, 0);
    }

    #[test]
    fn vanished_series_are_stale_once_and_forgotten() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, &["a", "b", "c"]);
        assert_eq!(scrape(&mut cache, &["a", "c"]).0, [number("b")]);
        assert_eq!(scrape(&mut cache, &["a", "c"]).0, [0u64; 0]);
        assert_eq!(cache.len(), 2);
        assert_eq!(scrape(&mut cache, &["a", "b", "c"]).0, [0u64; 0]);
    }

    #[test]
    fn a_failed_scrape_marks_all_stale_and_keeps_the_series() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, &["a", "b"]);
        cache.begin();
        let Lookup::Known { slot, again: false, .. } = cache.look_up(b"a") else { panic!("known") };
        cache.track(slot);
        cache.forget_tracking();
        let mut stale = 0;
        cache.for_each_stale(|_| stale += 1);
        assert_eq!(stale, 2);
        assert!(!cache.finish(false));
        assert_eq!(cache.len(), 2);
        // The next failure has nothing left to mark.
        cache.begin();
        let mut stale = 0;
        cache.for_each_stale(|_| stale += 1);
        assert_eq!(stale, 0);
        cache.finish(false);
        assert_eq!(scrape(&mut cache, &["a", "b"]), (vec![], 0));
    }

    #[test]
    fn a_series_met_twice_is_told_apart_and_dropped_ones_are_remembered() {
        let mut cache = SeriesCache::default();
        cache.begin();
        cache.add(b"a", SeriesRef(7));
        cache.add_dropped(b"b");
        assert_eq!(cache.look_up(b"a"), Lookup::Known { slot: 0, series: SeriesRef(7), again: true });
        assert_eq!(cache.look_up(b"b"), Lookup::Dropped);
        assert_eq!(cache.look_up(b"c"), Lookup::New);
    }

    #[test]
    fn a_series_costs_at_most_forty_bytes_in_the_steady_state() {
        let mut cache = SeriesCache::default();
        let names: Vec<String> = (0..50_000).map(|i| format!("metric{{label=\"{i}\"}}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for _ in 0..2 {
            scrape(&mut cache, &names);
        }
        assert!(cache.memory_bytes() <= 40 * names.len(), "{}", cache.memory_bytes() / names.len());
    }

    #[test]
    fn failing_scrapes_cannot_fill_the_cache() {
        let mut cache = SeriesCache::default();
        for i in 0..5000 {
            cache.begin();
            cache.add(format!("s{i}").as_bytes(), SeriesRef(i));
            cache.finish(false);
        }
        assert!(cache.len() <= 1001);
    }
}
