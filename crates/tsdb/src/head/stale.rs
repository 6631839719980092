//! Series that ended: out of memory ahead of the samples around them, once they are in a block.

use std::sync::atomic::Ordering;

use hashbrown::HashSet;
use model::TimeRange;

use super::source::HeadSource;
use super::table::{NO_SERIES, Series, Slot, locate};
use super::{Head, Inner};
use crate::wal::record::{self, Tombstone};
use crate::wal::{RecordBatch, WalError};

/// Series whose newest sample is a staleness marker and that have nothing out of order.
#[derive(Debug, Default)]
pub struct StaleSeries {
    /// Slot and newest timestamp of each, by slot.
    series: Vec<(Slot, i64)>,
    range: Option<TimeRange>,
}

impl StaleSeries {
    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// From the first to the last of their samples.
    pub fn range(&self) -> Option<TimeRange> {
        self.range
    }
}

impl Head {
    /// The share of stale series among all, from 0 to 1; 0 for an empty head.
    pub fn stale_share(&self) -> f64 {
        let levels = &self.inner.metrics.levels;
        let stale = levels.stale_series.load(Ordering::Relaxed).max(0);
        match self.series_count() {
            0 => 0.0,
            all => stale as f64 / all as f64,
        }
    }

    /// The series that are stale now.
    pub fn stale_series(&self) -> StaleSeries {
        let mut found = StaleSeries::default();
        let live = self.inner.table.live_slots();
        self.inner.table.for_each(&live, |_, slot, series, last_t_ms| {
            let Some(first) = series.first_in_order_t_ms().filter(|_| has_ended(series)) else { return };
            found.series.push((slot, last_t_ms));
            let so_far = found.range.unwrap_or(TimeRange::new(first, last_t_ms));
            found.range = Some(TimeRange::new(so_far.start_ms.min(first), so_far.end_ms.max(last_t_ms)));
        });
        found
    }

    /// The samples of these series in `range`, for a block.
    pub fn stale_source(&self, stale: &StaleSeries, range: TimeRange) -> HeadSource {
        let slots: Vec<Slot> = stale.series.iter().map(|&(slot, _)| slot).collect();
        HeadSource::of_series(self.inner.clone(), range, &slots)
    }

    /// Forgets those of the series that are as they were when they were listed; all their samples must be
    /// in blocks that readers see. Waits for open transactions and for readers. Returns how many went.
    pub fn evict(&self, stale: &StaleSeries) -> Result<usize, WalError> {
        const BATCH: usize = 4096;
        let inner = &self.inner;
        let _maintenance = inner.maintenance.lock();
        // Transactions that begin from now on hold whatever they append to; those that began before may
        // have samples of these series, and are waited for.
        inner.activity.wait_for_appenders_before(|| inner.pin_all.store(true, Ordering::SeqCst));
        let (mut hidden, mut logged) = (Vec::new(), Ok(()));
        for batch in stale.series.chunks(BATCH) {
            logged = logged.and(inner.hide(batch, &mut hidden));
        }
        inner.pin_all.store(false, Ordering::SeqCst);
        // Readers that selected before keep reading; later ones find the samples in the blocks.
        inner.activity.wait_for_current_readers();
        inner.clear_series(&hidden);
        logged.map(|()| hidden.len())
    }
}

fn has_ended(series: &Series) -> bool {
    series.stale && series.out_of_order().is_none()
}

impl Inner {
    /// Takes series out of sight of new readers and transactions, and tells the log. While this holds the
    /// commit lock no series with the same labels can be logged: in the log the end of the old one comes
    /// first.
    fn hide(&self, batch: &[(Slot, i64)], hidden: &mut Vec<Slot>) -> Result<(), WalError> {
        let _commit = self.commit.lock();
        let start = hidden.len();
        {
            let mut state = self.index.write();
            let pinned = self.pinned.lock();
            for &(slot, newest_ms) in batch.iter().filter(|(slot, _)| !pinned.contains_key(slot)) {
                let (number, at) = locate(slot);
                let Some(page) = self.table.page(number) else { continue };
                let all = page.series.write();
                if page.last_t_ms(at) != newest_ms || !has_ended(&all[at]) {
                    continue;
                }
                page.set_last_t_ms(at, NO_SERIES);
                if let Some(cold) = &all[at].cold {
                    state.index.unlink(&cold.labels, slot);
                }
                hidden.push(slot);
            }
        }
        let Some(wal) = self.wal.get().filter(|_| hidden.len() > start) else { return Ok(()) };
        let ends = hidden[start..].iter().map(|&slot| Tombstone {
            series: self.series_ref(slot),
            start_ms: i64::MIN,
            end_ms: i64::MAX,
        });
        let ends: Vec<_> = ends.collect();
        let mut records = RecordBatch::new(wal.compression());
        records.push(|out| record::put_tombstones(out, &ends))?;
        wal.append(&[&records]).map(|_| ())
    }

    /// Forgets series that are already unlinked, with all they have.
    pub(super) fn clear_series(&self, slots: &[Slot]) {
        let (mut gone, mut cleared, mut chunks) = (Vec::new(), HashSet::new(), 0);
        for &slot in slots {
            let (number, at) = locate(slot);
            let Some(page) = self.table.page(number) else { continue };
            let mut all = page.series.write();
            let series = std::mem::take(&mut all[at]);
            page.set_last_t_ms(at, NO_SERIES);
            drop(all);
            chunks += u64::from(series.open_chunk().is_some());
            self.count_removed(&series);
            let Some(cold) = series.cold else { continue };
            chunks += cold.chunks.len() as u64;
            if !cold.labels.is_empty() {
                gone.push(cold.labels);
                cleared.insert(slot);
            }
        }
        self.metrics.chunks_removed.add(chunks);
        self.metrics.levels.chunks.fetch_sub(chunks as i64, Ordering::Relaxed);
        self.forget_series(&gone, &cleared);
    }
}
