//! The head: the newest samples, in memory and in the log, until they become a block.
//!
//! In reading order: [`table`] (where series live), [`symbols`], [`postings`], [`index`] and [`matching`]
//! (how they are found), [`chunk_store`] (complete chunks), [`apply`] (samples into chunks), [`ooo`]
//! (out-of-order samples), [`exemplars`], [`isolation`], [`append`] and [`commit`] (the write path),
//! [`read`] and [`labels`], [`load`], [`replay`] and [`snapshot`] (starting), [`truncate`] (forgetting),
//! [`source`] (becoming a block), [`stale`] (series that ended), [`stats`].
//!
//! The order of locks: commit, index, pinned series, page, chunk store.

pub mod append;
pub mod apply;
pub mod chunk_store;
pub mod commit;
pub mod exemplars;
pub mod index;
pub mod isolation;
pub mod labels;
pub mod load;
pub mod matching;
pub mod metrics;
pub mod ooo;
pub mod postings;
pub mod read;
pub mod replay;
pub mod snapshot;
pub mod source;
pub mod stale;
pub mod stats;
pub mod symbols;
pub mod table;
pub mod truncate;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use base::clock::SharedClock;
use base::metrics::Registry;
use hashbrown::HashMap;
use model::{Labels, Metadata};
use parking_lot::{Mutex, RwLock};

use crate::block::tombstones::Tombstones;
use crate::wal::{Compression, RecordBatch, ReplayProgress, Wal, WalError, WalOptions};
use apply::ChunkOptions;
use chunk_store::ChunkStore;
use exemplars::Exemplars;
use index::Index;
use isolation::Activity;
use metrics::HeadMetrics;
use table::{SeriesTable, Slot};

pub use load::ReplayReport;
pub use stats::{HeadStats, LabelCount};

/// How a head works.
#[derive(Debug, Clone)]
pub struct HeadOptions {
    /// Range of the blocks the head is cut into, in milliseconds; no chunk crosses a multiple of it.
    pub chunk_range_ms: i64,
    /// Samples a float chunk should have.
    pub samples_per_chunk: u16,
    /// Whether there is a log; without one a restart forgets the head.
    pub wal: bool,
    /// Compression of log records.
    pub wal_compression: Compression,
    /// Bytes after which a new log segment is started.
    pub wal_segment_bytes: u64,
    /// How far behind the newest sample out-of-order samples may be, in milliseconds; 0 refuses them.
    pub out_of_order_window_ms: i64,
    /// Out-of-order samples of a series kept before they become a chunk.
    pub out_of_order_capacity: usize,
    /// Exemplars kept; 0 for none.
    pub max_exemplars: usize,
    /// Series beyond which new ones are refused; 0 for no limit.
    pub series_limit: usize,
    /// Whether metadata is written to the log.
    pub metadata_records: bool,
    /// Whether start timestamps are stored.
    pub start_timestamps: bool,
    /// Whether a clean shutdown leaves a snapshot for a fast start.
    pub snapshot_on_shutdown: bool,
    /// Threads that apply the log at start; 0 for one per core.
    pub replay_threads: usize,
    /// Where those who wait see how far the log is read.
    pub replay_progress: ReplayProgress,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            chunk_range_ms: 2 * 3_600 * 1_000,
            samples_per_chunk: 120,
            wal: true,
            wal_compression: Compression::Snappy,
            wal_segment_bytes: crate::wal::segment::SEGMENT_BYTES,
            out_of_order_window_ms: 0,
            out_of_order_capacity: 32,
            max_exemplars: 0,
            series_limit: 0,
            metadata_records: false,
            start_timestamps: false,
            snapshot_on_shutdown: false,
            replay_threads: 0,
            replay_progress: ReplayProgress::default(),
        }
    }
}

/// The newest samples of the database. Clones share it.
///
/// Whoever reads head and blocks must select from the head **first** and list the blocks afterwards: what
/// the head no longer shows then is in a block.
#[derive(Debug, Clone)]
pub struct Head {
    inner: Arc<Inner>,
}

/// The state all handles share.
pub(crate) struct Inner {
    dir: PathBuf,
    options: HeadOptions,
    clock: SharedClock,
    metrics: HeadMetrics,
    table: SeriesTable,
    index: RwLock<IndexState>,
    store: ChunkStore,
    wal: std::sync::OnceLock<Wal>,
    wbl: RwLock<Option<Arc<Wal>>>,
    commit: Mutex<CommitState>,
    /// Number of the last complete commit.
    visible: AtomicU64,
    activity: Arc<Activity>,
    /// What a slot is added to to give the series' reference in the log.
    ref_base: AtomicU64,
    min_valid_ms: AtomicI64,
    min_out_of_order_ms: AtomicI64,
    max_out_of_order_ms: AtomicI64,
    out_of_order_window_ms: AtomicI64,
    series_limit: AtomicUsize,
    /// In-order samples before this are in blocks; series without later ones may be removed.
    truncated_ms: AtomicI64,
    /// Whether transactions that begin must hold every series they append to.
    pin_all: AtomicBool,
    last_wal_truncation_ms: AtomicI64,
    /// The truncation of the log that waits for a reader.
    held_truncation_ms: AtomicI64,
    /// Only one of truncation, checkpoint and snapshot at a time.
    maintenance: Mutex<()>,
    /// Series that open appenders hold although they look removable.
    pinned: Mutex<HashMap<Slot, usize>>,
    /// Series created but not yet in the log.
    unlogged: Mutex<Vec<(Slot, Labels)>>,
    exemplars: RwLock<Exemplars>,
    tombstones: RwLock<Arc<Tombstones>>,
    metadata: RwLock<HashMap<Slot, Arc<Metadata>>>,
    /// Until when the log must keep the records of series that are gone, by reference.
    expiries: Mutex<HashMap<u64, Expiry>>,
    refused: Mutex<HashMap<String, u64>>,
    buffers: Mutex<Vec<append::Buffers>>,
    report: Mutex<ReplayReport>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// When the log can forget a series that is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    /// None of its samples is later.
    until_ms: i64,
    /// None of its samples is in a later segment.
    segment: u32,
}

impl Expiry {
    /// Whether samples of the series may remain beside a checkpoint of the segments up to `to` that keeps samples
    /// at or after `t_ms`.
    fn is_needed(&self, t_ms: i64, to: u32) -> bool {
        self.until_ms >= t_ms || self.segment > to
    }
}

/// The index and the next free slot, under one lock.
#[derive(Debug, Default)]
pub(crate) struct IndexState {
    index: Index,
    next_slot: Slot,
}

/// What the one commit at a time works with.
pub(crate) struct CommitState {
    series_batch: RecordBatch,
    out_of_order: commit::OutOfOrderLog,
}

impl Head {
    /// Opens the head in the data directory `dir` and replays what its logs hold at or after
    /// `min_valid_ms`, where the blocks end. Damage is reported, counted and set aside in
    /// `dir/quarantine`, and the rest is used; only failures to read or write the disk are errors.
    pub fn open(
        dir: &Path,
        options: HeadOptions,
        min_valid_ms: i64,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, WalError> {
        let metrics = HeadMetrics::new(registry, options.wal_compression);
        let head = load::open(dir, options, min_valid_ms, clock, metrics)?;
        metrics::publish_state(registry, &head.inner);
        Ok(head)
    }

    /// What was found at start.
    pub fn replay_report(&self) -> ReplayReport {
        self.inner.report.lock().clone()
    }

    /// The earliest in-order time; `i64::MAX` when the head never had a sample.
    pub fn min_ms(&self) -> i64 {
        self.inner.metrics.levels.min_ms.load(Ordering::Relaxed)
    }

    /// The latest time; `i64::MIN` when the head never had a sample.
    pub fn max_ms(&self) -> i64 {
        self.inner.metrics.levels.max_ms.load(Ordering::Relaxed)
    }

    /// The earliest and latest out-of-order time, if there is any out-of-order sample.
    pub fn out_of_order_bounds(&self) -> Option<(i64, i64)> {
        let min_ms = self.inner.min_out_of_order_ms.load(Ordering::Relaxed);
        let max_ms = self.inner.max_out_of_order_ms.load(Ordering::Relaxed);
        (min_ms <= max_ms).then_some((min_ms, max_ms))
    }

    /// Number of series.
    pub fn series_count(&self) -> u64 {
        self.inner.metrics.levels.series.load(Ordering::Relaxed)
    }

    /// Whether enough time is in the head to cut a block off it: one and a half chunk ranges.
    pub fn compactable(&self) -> bool {
        let (min_ms, max_ms) = (self.min_ms(), self.max_ms());
        let range_ms = self.inner.options.chunk_range_ms;
        min_ms <= max_ms && max_ms.saturating_sub(min_ms) > range_ms / 2 * 3
    }

    /// In-order samples before this are refused, unless out-of-order ingestion takes them. `None` while
    /// the head is empty.
    pub fn appendable_min_valid_ms(&self) -> Option<i64> {
        (self.max_ms() != i64::MIN).then(|| self.inner.appendable_min_valid_ms())
    }

    /// Changes the series limit; 0 for none.
    pub fn set_series_limit(&self, limit: usize) {
        self.inner.series_limit.store(limit, Ordering::Relaxed);
    }

    /// Changes how far out of order samples may be, in milliseconds; 0 refuses them.
    pub fn set_out_of_order_window_ms(&self, window_ms: i64) -> Result<(), WalError> {
        let window_ms = window_ms.max(0);
        let inner = &self.inner;
        if window_ms > 0 && inner.options.wal {
            let mut wbl = inner.wbl.write();
            if wbl.is_none() {
                *wbl = Some(Arc::new(inner.open_wbl()?));
            }
        }
        inner.out_of_order_window_ms.store(window_ms, Ordering::Relaxed);
        inner.exemplars.write().set_out_of_order_window_ms(window_ms);
        Ok(())
    }

    /// Changes how many exemplars are kept.
    pub fn set_max_exemplars(&self, max_exemplars: usize) {
        self.inner.exemplars.write().resize(max_exemplars);
        self.inner.publish_exemplars();
    }

    /// Metrics whose new series were refused because of the series limit, with how many, most first.
    pub fn refused_series(&self) -> Vec<(String, u64)> {
        let mut refused: Vec<_> =
            self.inner.refused.lock().iter().map(|(metric, &count)| (metric.clone(), count)).collect();
        refused.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        refused
    }

    /// Bytes on disk: logs and chunks.
    pub fn size_bytes(&self) -> u64 {
        let logs = [&self.inner.dir.join("wal"), &self.inner.dir.join("wbl")];
        let logs: u64 = logs.iter().map(|dir| crate::wal::segment::directory_bytes(dir)).sum();
        logs + self.inner.store.size_bytes()
    }

    /// Makes everything durable; with the option on, leaves a snapshot. Further commits fail.
    pub fn close(&self) -> Result<(), WalError> {
        let inner = &self.inner;
        if let Err(error) = inner.store.flush() {
            tracing::warn!(%error, "head chunks are not written out; the log has their samples");
        }
        let _maintenance = inner.maintenance.lock();
        if let Some(wal) = inner.wal.get() {
            // Closed first: the snapshot is named after the end of the log.
            wal.close()?;
            if inner.options.snapshot_on_shutdown {
                snapshot::write(inner)?;
            }
        }
        if let Some(wbl) = &*inner.wbl.read() {
            wbl.close()?;
        }
        Ok(())
    }
}

impl Inner {
    pub(crate) fn chunk_options(&self) -> ChunkOptions {
        ChunkOptions {
            range_ms: self.options.chunk_range_ms,
            samples_per_chunk: self.options.samples_per_chunk,
            with_start: self.options.start_timestamps,
        }
    }

    /// The reference of a slot's series in the log.
    #[inline]
    pub(crate) fn series_ref(&self, slot: Slot) -> u64 {
        self.ref_base.load(Ordering::Relaxed) + u64::from(slot)
    }

    /// Appends stay ahead of the blocks and of the window that may be compacted meanwhile.
    pub(crate) fn appendable_min_valid_ms(&self) -> i64 {
        let max_ms = self.metrics.levels.max_ms.load(Ordering::Relaxed);
        let window_end_ms = max_ms.saturating_sub(self.options.chunk_range_ms / 2);
        window_end_ms.max(self.min_valid_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn open_wbl(&self) -> Result<Wal, WalError> {
        let options = WalOptions {
            compression: self.options.wal_compression,
            segment_bytes: self.options.wal_segment_bytes,
        };
        Wal::open(self.dir.join("wbl"), options, self.clock.clone(), self.metrics.wbl.clone())
    }

    pub(crate) fn publish_exemplars(&self) {
        let exemplars = self.exemplars.read();
        self.metrics.levels.exemplars.store(exemplars.len() as u64, Ordering::Relaxed);
        self.metrics.levels.exemplar_series.store(exemplars.series() as u64, Ordering::Relaxed);
    }

    /// Widens the head's time bounds.
    pub(crate) fn widen_bounds(&self, min_ms: i64, max_ms: i64) {
        self.metrics.levels.min_ms.fetch_min(min_ms, Ordering::Relaxed);
        self.metrics.levels.max_ms.fetch_max(max_ms, Ordering::Relaxed);
    }
}
