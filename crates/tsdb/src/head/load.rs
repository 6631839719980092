//! Starting: complete chunks, a snapshot and the logs back into memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use base::clock::SharedClock;
use hashbrown::HashMap;
use model::Exemplar;
use parking_lot::{Mutex, RwLock};

use super::chunk_store::{ChunkRecord, ChunkRef, ChunkStore};
use super::exemplars::Exemplars;
use super::index::Index;
use super::isolation::Activity;
use super::metrics::HeadMetrics;
use super::ooo::OutOfOrderChunk;
use super::read::kind_of;
use super::replay::{Replay, Source, replay_out_of_order};
use super::table::{Cold, NO_SAMPLE, NO_SERIES, Series, SeriesTable, Slot, StoredChunk, locate};
use super::{CommitState, Head, HeadOptions, IndexState, Inner, snapshot};
use crate::block::tombstones::Tombstones;
use crate::wal::segment::{
    delete_unfinished_checkpoints, existing_segment_path, last_checkpoint, list_segments,
};
use crate::wal::{Damages, RecordBatch, Wal, WalError, WalOptions, repair};

/// Slots from here on are for series whose references do not fit the head's numbering.
pub const FOREIGN_SLOTS: Slot = 0xf000_0000;

/// What was found at start.
#[derive(Debug, Clone, Default)]
pub struct ReplayReport {
    /// Time it took.
    pub duration: Duration,
    /// Whether a snapshot was used.
    pub from_snapshot: bool,
    /// Float and histogram samples put into open chunks.
    pub samples: u64,
    /// Complete chunks found.
    pub chunks: u64,
    /// Entries that name a series the log does not.
    pub unknown_refs: u64,
    /// What is damaged: a line for each file, and one for records that make no sense.
    pub damages: Vec<String>,
}

/// From references in the log to slots.
#[derive(Debug, Default)]
pub(super) struct SlotMap {
    pub(super) base: Option<u64>,
    foreign: HashMap<u64, Slot>,
    /// References of series that were created again, under another reference.
    pub(super) aliases: HashMap<u64, Slot>,
    next: Slot,
    next_foreign: Slot,
}

impl SlotMap {
    /// The slot of a reference.
    #[inline]
    pub(super) fn slot(&mut self, series: u64) -> Slot {
        if !self.aliases.is_empty()
            && let Some(&slot) = self.aliases.get(&series)
        {
            return slot;
        }
        let base = *self.base.get_or_insert_with(|| series.saturating_sub(1 << 30) & !((1 << 30) - 1));
        match series.checked_sub(base) {
            Some(slot) if slot < u64::from(FOREIGN_SLOTS) => {
                self.next = self.next.max(slot as Slot + 1);
                slot as Slot
            }
            _ => {
                let next = &mut self.next_foreign;
                *self.foreign.entry(series).or_insert_with(|| {
                    *next += 1;
                    FOREIGN_SLOTS + *next - 1
                })
            }
        }
    }

    pub(super) fn base(&self) -> u64 {
        self.base.unwrap_or(0)
    }
}

/// Opens a head; see [`Head::open`].
pub(super) fn open(
    dir: &Path,
    options: HeadOptions,
    min_valid_ms: i64,
    clock: SharedClock,
    metrics: HeadMetrics,
) -> Result<Head, WalError> {
    let start = clock.monotonic();
    let quarantine = dir.join("quarantine");
    let mut report = ReplayReport::default();
    let mut loader = Loader::new(min_valid_ms, options.chunk_range_ms);
    let restored = match options.snapshot_on_shutdown && options.wal {
        true => snapshot::load(dir, &quarantine, &mut loader, &metrics, &mut report),
        false => None,
    };
    let (store, damages) =
        ChunkStore::open(&dir.join("chunks_head"), &quarantine, |at, chunk| loader.chunk(at, chunk))?;
    for damage in &damages {
        tracing::warn!(%damage, "damaged head chunks are set aside; the log has their samples");
        metrics.chunk_corruptions.inc();
        report.damages.push(damage.to_string());
    }
    report.chunks = loader.chunks;
    let inner = loader.into_inner(dir, options, clock, metrics, store);
    // Damaged chunks may be newer than what a snapshot leaves to the log.
    let restored = restored.filter(|_| damages.is_empty());
    report.from_snapshot = restored.is_some();
    if inner.inner.options.wal {
        replay_logs(inner, restored, &quarantine, &mut report, start)
    } else {
        finish(inner, report, start)
    }
}

/// What is known before the logs are read.
pub(super) struct Loader {
    pub(super) table: SeriesTable,
    pub(super) index: Index,
    pub(super) slots: SlotMap,
    pub(super) tombstones: Tombstones,
    pub(super) exemplars: Vec<(Slot, Exemplar)>,
    min_valid_ms: i64,
    pub(super) chunk_range_ms: i64,
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    late: (i64, i64),
    chunks: u64,
}

/// A head whose logs are still to be read.
pub(super) struct Opening {
    pub(super) inner: Arc<Inner>,
    pub(super) slots: SlotMap,
}

impl Loader {
    fn new(min_valid_ms: i64, chunk_range_ms: i64) -> Self {
        Self {
            table: SeriesTable::default(),
            index: Index::default(),
            slots: SlotMap::default(),
            tombstones: Tombstones::default(),
            exemplars: Vec::new(),
            min_valid_ms,
            chunk_range_ms,
            min_ms: i64::MAX,
            max_ms: i64::MIN,
            late: (i64::MAX, i64::MIN),
            chunks: 0,
        }
    }

    /// Forgets everything, to start again without a snapshot.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.min_valid_ms, self.chunk_range_ms);
    }

    /// Attaches a complete chunk to its series, whose labels may not be known yet.
    fn chunk(&mut self, at: ChunkRef, chunk: &ChunkRecord<'_>) {
        if !chunk.out_of_order && chunk.max_ms < self.min_valid_ms {
            return;
        }
        let slot = self.slots.slot(chunk.series);
        let (number, place) = locate(slot);
        let page = self.table.page_or_new(number);
        let mut all = page.series.write();
        let series = &mut all[place];
        self.chunks += 1;
        if chunk.out_of_order {
            if page.last_t_ms(place) == NO_SERIES {
                page.set_last_t_ms(place, NO_SAMPLE);
            }
            let late = series.extra_mut().out_of_order.get_or_insert_default();
            let (min_ms, max_ms) = (chunk.min_ms, chunk.max_ms);
            late.chunks.push(OutOfOrderChunk { min_ms, max_ms, chunk: at, commit: 0 });
            self.late = (self.late.0.min(min_ms), self.late.1.max(max_ms));
            return;
        }
        let last_t_ms = match page.last_t_ms(place) {
            NO_SERIES => NO_SAMPLE,
            last_t_ms => last_t_ms,
        };
        if let Some((_, _, open_min_ms)) = series.open_chunk() {
            // The chunk a snapshot has open was completed after all.
            if chunk.max_ms < open_min_ms {
                push_chunk(series.cold.get_or_insert_default(), at, chunk);
                self.widen(chunk.min_ms, chunk.max_ms);
                return;
            }
            series.xor = None;
            series.extra_mut().open = None;
        } else if chunk.min_ms <= last_t_ms {
            self.chunks -= 1;
            return;
        }
        push_chunk(series.cold.get_or_insert_default(), at, chunk);
        series.last_kind = kind_of(chunk.encoding);
        page.set_last_t_ms(place, chunk.max_ms);
        self.widen(chunk.min_ms, chunk.max_ms);
    }

    pub(super) fn widen(&mut self, min_ms: i64, max_ms: i64) {
        self.min_ms = self.min_ms.min(min_ms);
        self.max_ms = self.max_ms.max(max_ms);
    }

    fn into_inner(
        self,
        dir: &Path,
        options: HeadOptions,
        clock: SharedClock,
        metrics: HeadMetrics,
        store: ChunkStore,
    ) -> Opening {
        let commit = CommitState {
            series_batch: RecordBatch::new(options.wal_compression),
            out_of_order: Default::default(),
        };
        metrics.levels.chunks.store(self.chunks as i64, Ordering::Relaxed);
        let exemplars = Exemplars::new(options.max_exemplars, options.out_of_order_window_ms);
        let inner = Inner {
            dir: dir.to_owned(),
            clock,
            table: self.table,
            index: RwLock::new(IndexState { index: self.index, next_slot: 0 }),
            store,
            wal: std::sync::OnceLock::new(),
            wbl: RwLock::new(None),
            commit: Mutex::new(commit),
            visible: AtomicU64::new(0),
            activity: Arc::new(Activity::default()),
            ref_base: AtomicU64::new(0),
            min_valid_ms: AtomicI64::new(self.min_valid_ms),
            min_out_of_order_ms: AtomicI64::new(self.late.0),
            max_out_of_order_ms: AtomicI64::new(self.late.1),
            out_of_order_window_ms: AtomicI64::new(options.out_of_order_window_ms),
            series_limit: AtomicUsize::new(options.series_limit),
            truncated_ms: AtomicI64::new(i64::MIN),
            pin_all: AtomicBool::new(false),
            last_wal_truncation_ms: AtomicI64::new(i64::MIN),
            held_truncation_ms: AtomicI64::new(i64::MIN),
            maintenance: Mutex::new(()),
            pinned: Mutex::default(),
            unlogged: Mutex::default(),
            exemplars: RwLock::new(exemplars),
            tombstones: RwLock::new(Arc::new(self.tombstones)),
            metadata: RwLock::default(),
            expiries: Mutex::default(),
            refused: Mutex::default(),
            buffers: Mutex::default(),
            report: Mutex::default(),
            options,
            metrics,
        };
        inner.widen_bounds(self.min_ms, self.max_ms);
        for (slot, exemplar) in self.exemplars {
            if let Some(labels) = inner.labels_of(slot) {
                let _ = inner.exemplars.write().add(&labels, exemplar);
            }
        }
        Opening { inner: Arc::new(inner), slots: self.slots }
    }
}

fn push_chunk(cold: &mut Cold, at: ChunkRef, chunk: &ChunkRecord<'_>) {
    if cold.chunks.len() == cold.chunks.capacity() {
        cold.chunks.reserve_exact((cold.chunks.len() / 2).max(2));
    }
    cold.chunks.push(StoredChunk { min_ms: chunk.min_ms, chunk: at });
}

fn replay_logs(
    mut opening: Opening,
    restored: Option<(u32, u64)>,
    quarantine: &Path,
    report: &mut ReplayReport,
    start: Duration,
) -> Result<Head, WalError> {
    let wal_dir = opening.inner.dir.join("wal");
    if let Err(error) = delete_unfinished_checkpoints(&wal_dir) {
        tracing::warn!(%error, "unfinished checkpoint could not be deleted");
    }
    let mut sources = Vec::new();
    let mut from = 0;
    if let Some((covered, path)) = last_checkpoint(&wal_dir)? {
        from = covered + 1;
        // A snapshot taken later has everything a checkpoint says.
        if restored.is_none_or(|(segment, _)| covered >= segment) {
            let parts = list_segments(&path)?.into_iter().map(|part| existing_segment_path(&path, part));
            sources.extend(parts.map(|path| Source { segment: covered, path, offset: 0 }));
        }
    }
    let (from, offset) = match restored {
        Some((segment, offset)) if segment >= from => (segment, offset),
        _ => (from, 0),
    };
    for segment in list_segments(&wal_dir)?.into_iter().filter(|&segment| segment >= from) {
        let path = existing_segment_path(&wal_dir, segment);
        sources.push(Source { segment, path, offset: if segment == from { offset } else { 0 } });
    }
    let mut replay = Replay::new(&mut opening);
    replay.run(&sources)?;
    let mut totals = replay.finish();
    let wbl_dir = opening.inner.dir.join("wbl");
    let late_segments = list_segments(&wbl_dir)?.into_iter();
    let late_sources: Vec<_> = late_segments
        .map(|segment| Source { segment, path: existing_segment_path(&wbl_dir, segment), offset: 0 })
        .collect();
    replay_out_of_order(&mut opening, &late_sources, &mut totals)?;
    totals.tell();
    let metrics = &opening.inner.metrics;
    report.samples = totals.samples;
    report.unknown_refs = metrics.unknown_refs.total() + metrics.unknown_late_refs.total();
    report.damages.extend(totals.undecodable.found().map(|_| totals.undecodable.to_string()));
    if report.unknown_refs > 0 {
        tracing::warn!(entries = report.unknown_refs, "log entries name series the log does not");
    }
    set_damage_aside(&opening.inner, &totals.damages, quarantine, report);
    start_logs(&opening, totals.doomed)?;
    finish(opening, std::mem::take(report), start)
}

/// Opens new log segments, and logs the series that got new references.
fn start_logs(opening: &Opening, doomed: Vec<Slot>) -> Result<(), WalError> {
    let inner = &opening.inner;
    let options = WalOptions {
        compression: inner.options.wal_compression,
        segment_bytes: inner.options.wal_segment_bytes,
    };
    let wal = Wal::open(inner.dir.join("wal"), options, inner.clock.clone(), inner.metrics.wal.clone())?;
    // Which segments their samples were read from is not known, only that there are no later ones.
    let last = wal.position().0;
    inner.expiries.lock().values_mut().for_each(|expiry| expiry.segment = expiry.segment.min(last));
    // Nothing else could have set it: the head is not shared yet.
    let _ = inner.wal.set(wal);
    if inner.options.out_of_order_window_ms > 0 || inner.dir.join("wbl").exists() {
        *inner.wbl.write() = Some(Arc::new(inner.open_wbl()?));
    }
    inner.clear_series(&doomed);
    let foreign = opening.slots.foreign.values().copied();
    let renumbered = foreign.filter_map(|slot| Some((slot, inner.labels_of(slot)?)));
    inner.unlogged.lock().extend(renumbered);
    Ok(())
}

fn finish(opening: Opening, mut report: ReplayReport, start: Duration) -> Result<Head, WalError> {
    let Opening { inner, slots } = opening;
    {
        let mut state = inner.index.write();
        state.index.sort_postings();
        state.next_slot = slots.next.max(1);
        inner.ref_base.store(slots.base(), Ordering::Relaxed);
        inner.metrics.levels.series.store(state.index.len() as u64, Ordering::Relaxed);
    }
    drop_nameless(&inner);
    recount(&inner);
    let min_valid_ms = inner.min_valid_ms.load(Ordering::Relaxed);
    inner.metrics.levels.min_ms.fetch_max(min_valid_ms, Ordering::Relaxed);
    inner.collect_garbage(min_valid_ms);
    inner.publish_exemplars();
    report.duration = inner.clock.monotonic() - start;
    inner.metrics.replay_seconds.set(report.duration.as_secs_f64());
    tracing::info!(
        duration_ms = report.duration.as_millis() as u64,
        series = inner.metrics.levels.series.load(Ordering::Relaxed),
        samples = report.samples,
        chunks = report.chunks,
        "head replayed"
    );
    *inner.report.lock() = report;
    Ok(Head { inner })
}

/// Drops slots whose chunks were found but whose labels the log does not have.
fn drop_nameless(inner: &Inner) {
    let mut dropped = 0;
    for (_, page) in inner.table.pages() {
        let mut all = page.series.write();
        for (at, series) in all.iter_mut().enumerate() {
            if page.last_t_ms(at) != NO_SERIES
                && series.cold.as_ref().is_none_or(|cold| cold.labels.is_empty())
            {
                *series = Series::default();
                page.set_last_t_ms(at, NO_SERIES);
                dropped += 1;
            }
        }
    }
    if dropped > 0 {
        tracing::warn!(series = dropped, "head chunks of series the log does not know are left out");
        inner.metrics.unknown_refs.add("series", dropped);
    }
}

/// Counts from the start what appending keeps count of: neither a snapshot nor chunks found say it.
fn recount(inner: &Inner) {
    let (mut stale, mut histograms, mut buckets) = (0, 0, 0);
    for (_, page) in inner.table.pages() {
        let all = page.series.read();
        for (at, series) in all.iter().enumerate() {
            if page.last_t_ms(at) != NO_SERIES {
                stale += i64::from(series.stale);
                histograms += i64::from(series.last_kind.is_histogram());
                buckets += i64::from(series.histogram_buckets());
            }
        }
    }
    let levels = &inner.metrics.levels;
    levels.stale_series.store(stale, Ordering::Relaxed);
    levels.histogram_series.store(histograms, Ordering::Relaxed);
    levels.histogram_buckets.store(buckets, Ordering::Relaxed);
}

fn set_damage_aside(inner: &Inner, damages: &Damages, quarantine: &Path, report: &mut ReplayReport) {
    repair::mend(damages, quarantine);
    inner.metrics.wal_corruptions.add(damages.places());
    report.damages.extend(damages.segments().iter().map(ToString::to_string));
}
