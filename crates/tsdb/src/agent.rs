//! A storage that is only a log: what an agent scrapes is kept until it is sent on, and is never queried.
//!
//! In reading order: [`table`] (what is known of a series: a hash and a timestamp), [`append`] (the write
//! path), `replay` (starting), `truncate` (forgetting), [`metrics`]. The log is that of the head, so that
//! whoever tails one tails the other, and other programs read both.

pub mod append;
pub mod metrics;
mod replay;
pub mod table;
mod truncate;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base::clock::SharedClock;
use base::metrics::Registry;
use hashbrown::HashMap;
use model::{
    Exemplar, LabelRequest, Labels, Matcher, QueryContext, SelectRequest, SeriesSet, SeriesSource,
    SourceError, TimeRange,
};
use parking_lot::Mutex;

use crate::db::DirLock;
use crate::error::TsdbError;
use crate::head::isolation::Activity;
use crate::wal::{Compression, LogTail, RecordBatch, ReplayProgress, Wal, WalError, WalMetrics, WalOptions};
use metrics::AgentMetrics;
use table::SeriesTable;

/// How an agent's log works.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Compression of log records.
    pub wal_compression: Compression,
    /// Bytes after which a new log segment is started.
    pub wal_segment_bytes: u64,
    /// Time between truncations of the log, in milliseconds.
    pub truncate_interval_ms: i64,
    /// How long a series without samples is remembered, in milliseconds.
    pub min_idle_ms: i64,
    /// The same while somebody has not read its last samples.
    pub max_idle_ms: i64,
    /// Whether the directory is not locked.
    pub no_lockfile: bool,
    /// How far behind the newest sample others may be, in milliseconds.
    pub out_of_order_window_ms: i64,
    /// Series beyond which new ones are refused; 0 for no limit.
    pub series_limit: usize,
    /// Whether metadata is written to the log.
    pub metadata_records: bool,
    /// Whether start timestamps are written to the log.
    pub start_timestamps: bool,
    /// Where those who wait see how far the log is read at start.
    pub replay_progress: ReplayProgress,
}

impl Default for AgentOptions {
    fn default() -> Self {
        const MINUTE_MS: i64 = 60_000;
        Self {
            wal_compression: Compression::Snappy,
            wal_segment_bytes: crate::wal::segment::SEGMENT_BYTES,
            truncate_interval_ms: 120 * MINUTE_MS,
            min_idle_ms: 5 * MINUTE_MS,
            max_idle_ms: 240 * MINUTE_MS,
            no_lockfile: false,
            out_of_order_window_ms: 0,
            series_limit: 0,
            metadata_records: false,
            start_timestamps: false,
            replay_progress: ReplayProgress::default(),
        }
    }
}

impl AgentOptions {
    /// Bounds that contradict each other give way to the longer one.
    fn normalized(mut self) -> Self {
        self.max_idle_ms = self.max_idle_ms.max(self.min_idle_ms).max(self.truncate_interval_ms);
        self
    }
}

/// An agent's log. Clones share it.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    dir: PathBuf,
    options: AgentOptions,
    clock: SharedClock,
    metrics: AgentMetrics,
    table: SeriesTable,
    wal: Wal,
    /// One transaction at a time is written; the batch is for the series it brings.
    commit: Mutex<RecordBatch>,
    /// Series created but not yet in the log.
    unlogged: Mutex<Vec<(u64, Labels)>>,
    /// The last exemplar of each series that has any, as a hash.
    exemplars: Mutex<HashMap<u64, u64>>,
    /// The metadata logged last of each series that has any, as a hash.
    metadata: Mutex<HashMap<u64, u64>>,
    /// Until which segment the log may have samples of series that are gone.
    gone: Mutex<HashMap<u64, u32>>,
    activity: Arc<Activity>,
    out_of_order_window_ms: AtomicI64,
    buffers: Mutex<Vec<append::Buffers>>,
    /// When the log was truncated last; held while it is.
    truncated: Mutex<Duration>,
    _lock: DirLock,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

impl Agent {
    /// Opens the log in `dir`, creating it if there is none: locks the directory and reads which series there
    /// are. Damage is reported, counted and set aside. It starts no threads: call [`Agent::maintain`] from time
    /// to time.
    pub fn open(
        dir: &Path,
        options: AgentOptions,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, TsdbError> {
        let options = options.normalized();
        std::fs::create_dir_all(dir).map_err(TsdbError::io("create", dir))?;
        let lock = DirLock::take(dir, options.no_lockfile, "agent", registry)?;
        let metrics = AgentMetrics::new(registry);
        let table = SeriesTable::new(random()?);
        let gone = replay::replay(dir, &table, &metrics, &clock, &options.replay_progress)?;
        let compression = options.wal_compression;
        let wal_options = WalOptions { compression, segment_bytes: options.wal_segment_bytes };
        let wal_metrics = WalMetrics::new(registry, "prometheus_tsdb_wal_", compression);
        let wal = Wal::open(dir.join("wal"), wal_options, clock.clone(), wal_metrics)?;
        metrics.active_series.set(table.len() as f64);
        metrics.deleted_series.set(gone.len() as f64);
        let inner = Inner {
            dir: dir.to_owned(),
            metrics,
            table,
            wal,
            commit: Mutex::new(RecordBatch::new(compression)),
            unlogged: Mutex::default(),
            exemplars: Mutex::default(),
            metadata: Mutex::default(),
            gone: Mutex::new(gone),
            activity: Arc::default(),
            out_of_order_window_ms: AtomicI64::new(options.out_of_order_window_ms),
            buffers: Mutex::default(),
            truncated: Mutex::new(clock.monotonic()),
            clock,
            options,
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The directory, without that of the log in it.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The log, for those who read along.
    pub fn log(&self) -> &LogTail {
        self.inner.wal.tail()
    }

    /// Number of series.
    pub fn series_count(&self) -> usize {
        self.inner.table.len()
    }

    /// Changes how far out of order samples may be, in milliseconds; 0 refuses them.
    pub fn set_out_of_order_window_ms(&self, window_ms: i64) {
        self.inner.out_of_order_window_ms.store(window_ms.max(0), Ordering::Relaxed);
    }

    /// Makes everything durable. Further commits fail.
    pub fn close(&self) -> Result<(), WalError> {
        let _truncated = self.inner.truncated.lock();
        self.inner.wal.close()
    }
}

/// A number nobody else knows: hashes of labels cannot be chosen to collide.
fn random() -> Result<u64, TsdbError> {
    let mut bytes = [0; 8];
    let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    read.map_err(|error| TsdbError::io("read", "random numbers")(error.into()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads fail with the reference's text.
const NO_READS: &str = "unsupported operation with WAL-only storage";

fn no_reads<T>() -> Result<T, SourceError> {
    Err(SourceError::Storage(NO_READS.to_owned()))
}

impl SeriesSource for Agent {
    fn select(&self, _: &SelectRequest, _: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        no_reads()
    }

    fn label_names(&self, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        no_reads()
    }

    fn label_values(&self, _: &str, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        no_reads()
    }

    fn exemplars(
        &self,
        _: TimeRange,
        _: &[Vec<Matcher>],
        _: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        no_reads()
    }
}
