//! What an agent knows of its series: a hash of the labels, a reference, the newest timestamp. Some forty bytes
//! each; the labels themselves are in the log.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hashbrown::HashMap;
use model::Labels;
use parking_lot::RwLock;
use xxhash_rust::xxh3::xxh3_128_with_seed;

const PAGE_SERIES: usize = 512;
const PAGE_SHIFT: u32 = PAGE_SERIES.trailing_zeros();

/// The newest timestamp of a series without samples, from its creation to the next collection.
const NEW: i64 = i64::MIN;
/// The same after that: the next collection ends it.
const NEW_AND_SEEN: i64 = i64::MIN + 1;
/// A series that ended; transactions may still hold its reference.
const ENDED: i64 = i64::MAX - 1;
/// No series has this reference.
const NONE: i64 = i64::MAX;

/// 128 bits of a hash with a secret seed: that two series share one need not be feared.
type Key = [u64; 2];

/// The key is a hash already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.as_chunks::<8>().0 {
            self.write_u64(u64::from_le_bytes(*chunk));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn write_usize(&mut self, _: usize) {}
}

type Ids = HashMap<Key, u64, BuildHasherDefault<KeyHasher>>;

/// Neighbouring series' newest timestamps.
pub struct Page([AtomicI64; PAGE_SERIES]);

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

impl Page {
    fn cell(&self, series: u64) -> &AtomicI64 {
        &self.0[series as usize % PAGE_SERIES]
    }
}

/// All series.
#[derive(Debug)]
pub struct SeriesTable {
    seed: u64,
    ids: RwLock<State>,
    pages: RwLock<HashMap<u64, Arc<Page>>>,
}

#[derive(Debug)]
struct State {
    ids: Ids,
    next: u64,
}

/// What became of a series that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// It was there.
    Known(u64),
    /// It was made.
    New(u64),
    /// There are as many as allowed.
    Full,
}

/// A page that is looked at again and again.
#[derive(Debug, Default)]
pub struct Cursor(Option<(u64, Arc<Page>)>);

impl Cursor {
    /// The cell of a series, if its page is there.
    #[inline]
    fn cell(&mut self, table: &SeriesTable, series: u64) -> Option<&AtomicI64> {
        let number = series >> PAGE_SHIFT;
        if self.0.as_ref().is_none_or(|(n, _)| *n != number) {
            self.0 = table.pages.read().get(&number).cloned().map(|page| (number, page));
        }
        self.0.as_ref().map(|(_, page)| page.cell(series))
    }

    /// The newest timestamp of a series, `i64::MIN` while it has no sample; `None` when there is no such series
    /// any more.
    #[inline]
    pub fn newest_ms(&mut self, table: &SeriesTable, series: u64) -> Option<i64> {
        match self.cell(table, series)?.load(Ordering::Relaxed) {
            ENDED | NONE => None,
            NEW_AND_SEEN => Some(NEW),
            newest_ms => Some(newest_ms),
        }
    }

    /// Notes a sample; false when it is older than the newest one. Nothing changes for a series that ended.
    #[inline]
    pub fn note(&mut self, table: &SeriesTable, series: u64, t_ms: i64) -> bool {
        // The extreme values mean something else here.
        let t_ms = t_ms.clamp(NEW_AND_SEEN + 1, ENDED - 1);
        self.cell(table, series).is_none_or(|cell| cell.fetch_max(t_ms, Ordering::Relaxed) <= t_ms)
    }
}

impl SeriesTable {
    /// An empty table whose hashes depend on `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State { ids: Ids::default(), next: 1 };
        Self { seed, ids: RwLock::new(state), pages: RwLock::default() }
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.ids.read().ids.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn key(&self, labels: &Labels) -> Key {
        let hash = xxh3_128_with_seed(labels.as_bytes(), self.seed);
        [hash as u64, (hash >> 64) as u64]
    }

    /// The series with these labels, made if missing and fewer than `limit` are there. `made` is called with
    /// its reference before anybody else can get it.
    pub fn resolve(&self, labels: &Labels, limit: usize, made: impl FnOnce(u64)) -> Resolved {
        let key = self.key(labels);
        if let Some(&series) = self.ids.read().ids.get(&key) {
            return Resolved::Known(series);
        }
        let mut state = self.ids.write();
        if let Some(&series) = state.ids.get(&key) {
            return Resolved::Known(series);
        }
        if limit > 0 && state.ids.len() >= limit {
            return Resolved::Full;
        }
        let series = state.next;
        state.next += 1;
        state.ids.insert(key, series);
        self.begin(series);
        made(series);
        Resolved::New(series)
    }

    /// Adds a series found in the log. The reference it has here: another one if it is there already.
    pub fn restore(&self, series: u64, labels: &Labels) -> u64 {
        let mut state = self.ids.write();
        state.next = state.next.max(series.saturating_add(1));
        let first = *state.ids.entry(self.key(labels)).or_insert(series);
        drop(state);
        if first == series {
            self.begin(series);
        }
        first
    }

    fn begin(&self, series: u64) {
        let mut pages = self.pages.write();
        let page = pages.entry(series >> PAGE_SHIFT);
        let page = page.or_insert_with(|| Arc::new(Page([const { AtomicI64::new(NONE) }; PAGE_SERIES])));
        // A checkpoint may name a series whose samples were read already.
        let _ = page.cell(series).compare_exchange(NONE, NEW, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether a reference is in use, be it by a transaction alone.
    pub fn is_used(&self, series: u64) -> bool {
        let pages = self.pages.read();
        let page = pages.get(&(series >> PAGE_SHIFT));
        page.is_some_and(|page| page.cell(series).load(Ordering::Relaxed) != NONE)
    }

    /// Ends the series that have no sample since `before_ms`, and hands out their references. Transactions that
    /// are open may still hold them: [`SeriesTable::forget`] follows when none does.
    pub fn end_idle(&self, before_ms: i64) -> Vec<u64> {
        let mut ended = Vec::new();
        let mut cursor = Cursor::default();
        self.ids.write().ids.retain(|_, &mut series| {
            let Some(cell) = cursor.cell(self, series) else { return false };
            let newest_ms = cell.load(Ordering::Relaxed);
            if newest_ms >= before_ms {
                return true;
            }
            // A sample that is committed right now keeps its series.
            let next = if newest_ms == NEW { NEW_AND_SEEN } else { ENDED };
            let changed = cell.compare_exchange(newest_ms, next, Ordering::Relaxed, Ordering::Relaxed);
            let is_over = changed.is_ok() && next == ENDED;
            if is_over {
                ended.push(series);
            }
            !is_over
        });
        ended
    }

    /// Forgets references of ended series.
    pub fn forget(&self, ended: &[u64]) {
        let mut pages = self.pages.write();
        for &series in ended {
            let number = series >> PAGE_SHIFT;
            let Some(page) = pages.get(&number) else { continue };
            page.cell(series).store(NONE, Ordering::Relaxed);
            if page.0.iter().all(|cell| cell.load(Ordering::Relaxed) == NONE) {
                pages.remove(&number);
            }
        }
    }

    /// Bytes of all of it, about.
    pub fn memory_bytes(&self) -> usize {
        let ids = self.ids.read().ids.allocation_size();
        ids + self.pages.read().len() * (size_of::<Page>() + 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(i: usize) -> Labels {
        Labels::from_pairs([("__name__", "some_metric".to_owned()), ("instance", i.to_string())])
    }

    #[test]
    fn series_are_found_again_and_end_when_they_are_idle() {
        let table = SeriesTable::new(7);
        let mut made = Vec::new();
        let mut resolve = |i| table.resolve(&labels(i), 3, |series| made.push(series));
        assert_eq!(
            [resolve(0), resolve(1), resolve(0)],
            [Resolved::New(1), Resolved::New(2), Resolved::Known(1)]
        );
        assert_eq!([resolve(2), resolve(3)], [Resolved::New(3), Resolved::Full]);
        assert_eq!(made, [1, 2, 3]);
        let mut cursor = Cursor::default();
        assert_eq!(cursor.newest_ms(&table, 1), Some(i64::MIN));
        assert!(cursor.note(&table, 1, 100) && !cursor.note(&table, 1, 50) && cursor.note(&table, 2, 10));
        // The third is new: it has until the next collection to get a sample.
        assert_eq!(table.end_idle(60), [2]);
        assert_eq!((cursor.newest_ms(&table, 3), cursor.newest_ms(&table, 2)), (Some(i64::MIN), None));
        assert_eq!(table.end_idle(60), [3]);
        assert!(table.is_used(2) && table.is_used(3));
        table.forget(&[2, 3]);
        assert!(!table.is_used(2) && table.is_used(1));
        assert_eq!(table.resolve(&labels(1), 3, |_| ()), Resolved::New(4));
    }

    #[test]
    fn a_series_of_the_log_keeps_its_first_reference() {
        let table = SeriesTable::new(7);
        assert_eq!(table.restore(9_000_000_000, &labels(1)), 9_000_000_000);
        assert_eq!(table.restore(9_000_000_007, &labels(1)), 9_000_000_000);
        assert_eq!(table.resolve(&labels(2), 0, |_| ()), Resolved::New(9_000_000_008));
    }

    #[test]
    fn a_series_takes_less_than_sixty_bytes() {
        let table = SeriesTable::new(7);
        let series = 100_000;
        (0..series).for_each(|i| {
            table.resolve(&labels(i), 0, |_| ());
        });
        let each = table.memory_bytes() / series;
        assert!(each < 60, "{each} bytes");
    }
}
