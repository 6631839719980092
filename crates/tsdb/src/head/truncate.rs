//! Forgetting what is in blocks: samples, series without any, log segments; and deleting on request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashSet;
use model::{Matcher, TimeRange};

use super::chunk_store::ChunkRef;
use super::index::EncodedLabels;
use super::matching::matching_series;
use super::read::is_live;
use super::table::{NO_SAMPLE, NO_SERIES, PAGE_SERIES, Page, Series, Slot, locate};
use super::{Expiry, Head, Inner};
use crate::wal::checkpoint::write_checkpoint;
use crate::wal::record::{self, Tombstone};
use crate::wal::segment::{delete_checkpoints_before, list_segments};
use crate::wal::{LogTail, RecordBatch, WalError};

/// What a garbage collection left.
#[derive(Debug)]
struct Remains {
    min_ms: i64,
    late: Option<(i64, i64)>,
    first_file: u32,
    empty: Vec<Slot>,
    chunks_removed: u64,
}

impl Head {
    /// Forgets in-order samples before `t_ms`, which are in a block by now, and series without any others;
    /// then shortens the log. Waits for readers that may look at those samples and for transactions that
    /// are open: the caller holds neither.
    pub fn truncate(&self, t_ms: i64) -> Result<(), WalError> {
        let inner = &self.inner;
        let _maintenance = inner.maintenance.lock();
        let was_used = self.max_ms() != i64::MIN;
        let truncated = inner.truncate_memory(t_ms, was_used);
        if truncated.is_err() {
            inner.metrics.truncations_failed.inc();
        }
        truncated?;
        if was_used { inner.truncate_wal(t_ms) } else { Ok(()) }
    }

    /// Shortens the log if that was put off because a reader needed what would have gone. Returns whether it still
    /// is to be done.
    pub fn shorten_held_log(&self) -> Result<bool, WalError> {
        let inner = &self.inner;
        let held_ms = inner.held_truncation_ms.load(Ordering::Relaxed);
        if held_ms <= inner.last_wal_truncation_ms.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let _maintenance = inner.maintenance.lock();
        inner.truncate_wal(held_ms)?;
        Ok(inner.last_wal_truncation_ms.load(Ordering::Relaxed) < held_ms)
    }

    /// The log as those see it who read along; `None` without a log.
    pub fn log_tail(&self) -> Option<LogTail> {
        self.inner.wal.get().map(|wal| wal.tail().clone())
    }

    /// Forgets the out-of-order chunks before `chunk` and the out-of-order log before `wbl_segment`: they
    /// are in blocks by now.
    pub fn truncate_out_of_order(&self, chunk: ChunkRef, wbl_segment: u32) -> Result<(), WalError> {
        let inner = &self.inner;
        let _maintenance = inner.maintenance.lock();
        inner.drop_late_chunks(chunk);
        // Readers keep what they saw of the chunks; they must be done before files and series go.
        inner.activity.wait_for_current_readers();
        inner.collect_garbage(inner.min_valid_ms.load(Ordering::Relaxed));
        let wbl = inner.wbl.read().clone();
        match wbl {
            Some(wbl) => wbl.truncate_before(wbl_segment),
            None => Ok(()),
        }
    }

    /// Deletes the samples in `range` of matching series; returns how many series had any. In memory they
    /// are hidden, and left out of the block.
    pub fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<usize, WalError> {
        let inner = &self.inner;
        let slots = matching_series(&inner.index.read().index, &inner.table, matchers);
        let mut stones = Vec::new();
        inner.table.for_each(&slots, |_, slot, series, last_t_ms| {
            let Some(bounds) = series_bounds(series, last_t_ms) else { return };
            // Samples still to come are not deleted.
            let deleted =
                TimeRange::new(range.start_ms.max(bounds.start_ms), range.end_ms.min(bounds.end_ms));
            if !deleted.is_empty() {
                stones.push((slot, deleted));
            }
        });
        if stones.is_empty() {
            return Ok(0);
        }
        if let Some(wal) = inner.wal.get() {
            let entries = stones.iter().map(|(slot, deleted)| Tombstone {
                series: inner.series_ref(*slot),
                start_ms: deleted.start_ms,
                end_ms: deleted.end_ms,
            });
            let entries: Vec<_> = entries.collect();
            let mut records = RecordBatch::new(wal.compression());
            records.push(|out| record::put_tombstones(out, &entries))?;
            let _commit = inner.commit.lock();
            wal.append(&[&records])?;
        }
        let mut tombstones = inner.tombstones.write();
        let all = Arc::make_mut(&mut tombstones);
        for (slot, deleted) in &stones {
            all.add(u64::from(*slot), *deleted);
        }
        Ok(stones.len())
    }
}

/// The first and last time of a series' samples of any kind.
pub(super) fn series_bounds(series: &Series, last_t_ms: i64) -> Option<TimeRange> {
    let in_order = series.first_in_order_t_ms().map(|first| (first, last_t_ms));
    let late = series.out_of_order().and_then(|late| late.bounds());
    let (start_ms, end_ms) = match (in_order, late) {
        (Some(a), Some(b)) => (a.0.min(b.0), a.1.max(b.1)),
        (one, other) => one.or(other)?,
    };
    Some(TimeRange::new(start_ms, end_ms))
}

impl Inner {
    fn truncate_memory(&self, t_ms: i64, was_used: bool) -> Result<(), WalError> {
        let levels = &self.metrics.levels;
        if levels.min_ms.load(Ordering::Relaxed) >= t_ms && was_used {
            return Ok(());
        }
        // Announced first: readers and appenders that begin from now on leave the samples and series
        // alone that are about to go. Those that began before are waited for.
        self.truncated_ms.fetch_max(t_ms, Ordering::SeqCst);
        self.min_valid_ms.fetch_max(t_ms, Ordering::SeqCst);
        self.activity.wait_for_readers_before(t_ms);
        self.activity.wait_for_current_appenders();
        if !was_used {
            return Ok(());
        }
        levels.min_ms.fetch_max(t_ms, Ordering::Relaxed);
        levels.max_ms.fetch_max(t_ms, Ordering::Relaxed);
        self.metrics.truncations.inc();
        self.collect_garbage(t_ms);
        Ok(())
    }

    /// Drops in-order chunks that end before `t_ms`, then series without samples, then files nothing refers
    /// to.
    pub(super) fn collect_garbage(&self, t_ms: i64) {
        let start = self.clock.monotonic();
        let end_file = self.store.end().file();
        let mut remains = Remains {
            min_ms: i64::MAX,
            late: None,
            first_file: end_file,
            empty: Vec::new(),
            chunks_removed: 0,
        };
        for (number, page) in self.table.pages() {
            collect_page(number, &page, t_ms, &mut remains);
        }
        let empty = std::mem::take(&mut remains.empty);
        self.remove_series(&empty);
        self.metrics.chunks_removed.add(remains.chunks_removed);
        self.metrics.levels.chunks.fetch_sub(remains.chunks_removed as i64, Ordering::Relaxed);
        self.adjust_bounds(&remains);
        self.drop_old_tombstones(t_ms);
        if let Err(error) = self.store.truncate_before(remains.first_file) {
            tracing::error!(%error, "old head chunk files could not be deleted");
        }
        self.metrics.gc_seconds.observe((self.clock.monotonic() - start).as_secs_f64());
    }

    fn adjust_bounds(&self, remains: &Remains) {
        let levels = &self.metrics.levels;
        if remains.min_ms != i64::MAX && remains.min_ms > levels.min_ms.load(Ordering::Relaxed) {
            // Nothing is as old as was asked for. New samples may still be, within the appendable window.
            let min_ms = remains.min_ms.min(self.appendable_min_valid_ms());
            levels.min_ms.fetch_max(min_ms, Ordering::Relaxed);
        }
        let (min_ms, max_ms) = remains.late.unwrap_or((i64::MAX, i64::MIN));
        self.min_out_of_order_ms.store(min_ms, Ordering::Relaxed);
        self.max_out_of_order_ms.store(max_ms, Ordering::Relaxed);
    }

    fn drop_old_tombstones(&self, t_ms: i64) {
        let mut tombstones = self.tombstones.write();
        if tombstones.is_empty() {
            return;
        }
        let kept = Arc::make_mut(&mut tombstones);
        kept.drop_before(t_ms);
        kept.retain(|slot| Slot::try_from(slot).is_ok_and(|slot| is_live(self, slot)));
    }

    /// Removes those of `candidates` that have no samples and that no appender holds.
    pub(super) fn remove_series(&self, candidates: &[Slot]) {
        const BATCH: usize = 1024;
        let (mut gone, mut slots) = (Vec::new(), HashSet::new());
        for batch in candidates.chunks(BATCH) {
            let mut state = self.index.write();
            let pinned = self.pinned.lock();
            for &slot in batch.iter().filter(|slot| !pinned.contains_key(*slot)) {
                let (number, at) = locate(slot);
                let Some(page) = self.table.page(number) else { continue };
                let mut all = page.series.write();
                if page.last_t_ms(at) == NO_SERIES || has_data(&all[at]) {
                    continue;
                }
                let series = std::mem::take(&mut all[at]);
                page.set_last_t_ms(at, NO_SERIES);
                drop(all);
                self.count_removed(&series);
                let Some(cold) = series.cold else { continue };
                if cold.labels.is_empty() {
                    continue;
                }
                state.index.unlink(&cold.labels, slot);
                gone.push(cold.labels);
                slots.insert(slot);
            }
        }
        self.forget_series(&gone, &slots);
    }

    /// Takes a series that is removed out of the numbers that are published.
    pub(super) fn count_removed(&self, series: &Series) {
        let levels = &self.metrics.levels;
        levels.stale_series.fetch_sub(i64::from(series.stale), Ordering::Relaxed);
        levels.histogram_series.fetch_sub(i64::from(series.last_kind.is_histogram()), Ordering::Relaxed);
        levels.histogram_buckets.fetch_sub(i64::from(series.histogram_buckets()), Ordering::Relaxed);
    }

    /// Forgets the labels of series that are unlinked and whose slots are empty.
    pub(super) fn forget_series(&self, gone: &[EncodedLabels], slots: &HashSet<Slot>) {
        if gone.is_empty() {
            return;
        }
        let mut state = self.index.write();
        state.index.forget(gone, |slot| !slots.contains(&slot));
        self.drop_empty_pages(slots, state.next_slot);
        self.metrics.levels.series.store(state.index.len() as u64, Ordering::Relaxed);
        drop(state);
        self.metrics.series_removed.add(gone.len() as u64);
        let until_ms = self.metrics.levels.max_ms.load(Ordering::Relaxed);
        let mut expiries = self.expiries.lock();
        let segment = self.wal.get().map_or(0, |wal| wal.position().0);
        expiries.extend(slots.iter().map(|&slot| (self.series_ref(slot), Expiry { until_ms, segment })));
        drop(expiries);
        self.metadata.write().retain(|slot, _| !slots.contains(slot));
    }

    /// The caller holds the index, under which slots are given out.
    fn drop_empty_pages(&self, removed: &HashSet<Slot>, next_slot: Slot) {
        let numbers: HashSet<u32> = removed.iter().map(|&slot| locate(slot).0).collect();
        for number in numbers.into_iter().filter(|&number| number < locate(next_slot).0) {
            let Some(page) = self.table.page(number) else { continue };
            if (0..PAGE_SERIES).all(|at| page.last_t_ms(at) == NO_SERIES) {
                self.table.drop_page(number);
            }
        }
    }

    fn drop_late_chunks(&self, before: ChunkRef) {
        for (_, page) in self.table.pages() {
            let mut all = page.series.write();
            for series in all.iter_mut().filter(|series| series.out_of_order().is_some()) {
                let late = &mut series.extra_mut().out_of_order;
                if let Some(some) = late {
                    some.chunks.retain(|chunk| chunk.chunk >= before);
                    if some.is_empty() {
                        *late = None;
                    }
                }
            }
        }
    }

    /// Replaces the older two thirds of the log by a checkpoint: the newest third has the samples that are
    /// not in blocks.
    fn truncate_wal(&self, t_ms: i64) -> Result<(), WalError> {
        let Some(wal) = self.wal.get() else { return Ok(()) };
        if t_ms <= self.last_wal_truncation_ms.load(Ordering::Relaxed) {
            return Ok(());
        }
        let start = self.clock.monotonic();
        let segments = list_segments(wal.dir())?;
        let range = checkpoint_range(&segments);
        if range.is_some_and(|(_, to)| !wal.tail().release(to)) {
            // Readers need what would go: it is tried again from time to time.
            self.held_truncation_ms.fetch_max(t_ms, Ordering::Relaxed);
            return Ok(());
        }
        wal.next_segment()?;
        self.last_wal_truncation_ms.store(t_ms, Ordering::Relaxed);
        let Some((first, to)) = range else { return Ok(()) };
        self.metrics.checkpoints.inc();
        let expiries: BTreeMap<u64, Expiry> = self.expiries.lock().iter().map(|(&r, &e)| (r, e)).collect();
        let base = self.ref_base.load(Ordering::Relaxed);
        let keep = |series: u64| {
            let slot = series.checked_sub(base).and_then(|slot| Slot::try_from(slot).ok());
            slot.is_some_and(|slot| is_live(self, slot))
                || expiries.get(&series).is_some_and(|expiry| expiry.is_needed(t_ms, to))
        };
        let stats = write_checkpoint(wal, to, t_ms, &keep).inspect_err(|_| {
            self.metrics.checkpoints_failed.inc();
        })?;
        for segment in stats.damages.segments() {
            let (places, first) = (segment.places, &segment.first);
            tracing::warn!(places, %first, "damage in the log is left out of the checkpoint");
        }
        self.metrics.wal_corruptions.add(stats.damages.places());
        if let Err(error) = wal.truncate_before(to + 1) {
            // The checkpoint stands for them; they go with the next one.
            tracing::error!(%error, "old log segments could not be deleted");
        }
        self.expiries.lock().retain(|_, expiry| expiry.is_needed(t_ms, to));
        self.metrics.checkpoint_deletions.inc();
        if let Err(error) = delete_checkpoints_before(wal.dir(), to) {
            tracing::error!(%error, "old checkpoints could not be deleted");
            self.metrics.checkpoint_deletions_failed.inc();
        }
        let elapsed = self.clock.monotonic() - start;
        self.metrics.wal_truncate_seconds.observe(elapsed.as_secs_f64());
        tracing::info!(first, last = to, duration_ms = elapsed.as_millis() as u64, "log checkpoint written");
        Ok(())
    }
}

/// The first segment of a log, and the last one the next checkpoint is to cover; `None` while there is too little
/// to be worth it.
pub(crate) fn checkpoint_range(segments: &[u32]) -> Option<(u32, u32)> {
    let (&first, last) = (segments.first()?, segments.last()?.checked_sub(1)?);
    let to = first + last.saturating_sub(first) * 2 / 3;
    (to > first).then_some((first, to))
}

fn has_data(series: &Series) -> bool {
    series.open_chunk().is_some()
        || series.cold.as_ref().is_some_and(|cold| !cold.chunks.is_empty())
        || series.out_of_order().is_some_and(|late| !late.is_empty())
}

fn collect_page(number: u32, page: &Page, t_ms: i64, remains: &mut Remains) {
    let mut all = page.series.write();
    for (at, series) in all.iter_mut().enumerate() {
        let last_t_ms = page.last_t_ms(at);
        if last_t_ms == NO_SERIES {
            continue;
        }
        remains.chunks_removed += drop_chunks_before(series, last_t_ms, t_ms);
        if let Some(extra) = series.cold.as_mut().and_then(|cold| cold.extra.as_mut())
            && extra.out_of_order.as_ref().is_some_and(|late| late.is_empty())
        {
            extra.out_of_order = None;
        }
        if !has_data(series) {
            remains.empty.push(number * PAGE_SERIES as u32 + at as u32);
            continue;
        }
        if let Some(first) = series.first_in_order_t_ms() {
            remains.min_ms = remains.min_ms.min(first);
        }
        let stored = series.cold.iter().flat_map(|cold| &cold.chunks).map(|chunk| chunk.chunk);
        let late = series.out_of_order();
        let late_chunks = late.iter().flat_map(|late| &late.chunks).map(|chunk| chunk.chunk);
        if let Some(file) = stored.chain(late_chunks).map(ChunkRef::file).min() {
            remains.first_file = remains.first_file.min(file);
        }
        if let Some((min_ms, max_ms)) = late.and_then(|late| late.bounds()) {
            let so_far = remains.late.unwrap_or((i64::MAX, i64::MIN));
            remains.late = Some((so_far.0.min(min_ms), so_far.1.max(max_ms)));
        }
    }
}

/// Drops complete chunks, and the open one, that end before `t_ms`; returns how many.
fn drop_chunks_before(series: &mut Series, last_t_ms: i64, t_ms: i64) -> u64 {
    let open_min_ms = series.open_chunk().map(|(_, _, min_ms)| min_ms);
    let mut dropped = 0;
    if open_min_ms.is_some() && last_t_ms < t_ms && last_t_ms != NO_SAMPLE {
        series.xor = None;
        if let Some(extra) = series.cold.as_mut().and_then(|cold| cold.extra.as_mut()) {
            extra.open = None;
        }
        dropped += 1;
    }
    let Some(cold) = &mut series.cold else { return dropped };
    let end = open_min_ms.unwrap_or(last_t_ms.saturating_add(1));
    // A chunk ends before the next one begins.
    let next = |i: usize| cold.chunks.get(i + 1).map_or(end, |next| next.min_ms);
    let old = (0..cold.chunks.len()).take_while(|&i| next(i) <= t_ms).count();
    if old > 0 {
        cold.chunks.drain(..old);
        cold.chunks.shrink_to(cold.chunks.len() + 2);
    }
    dropped + old as u64
}
