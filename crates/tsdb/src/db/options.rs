//! Settings of the database.

use std::path::PathBuf;

use crate::compact::retention::Retention;
use crate::head::HeadOptions;
use crate::wal::{Compression, ReplayProgress};

const HOUR_MS: i64 = 3_600_000;

/// How the database works; the fields are Prometheus's `--storage.tsdb.*` flags and settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to keep. Without any limit set, 15 days.
    pub retention: Retention,
    /// Width of the blocks the head is written to, in milliseconds.
    pub min_block_duration_ms: i64,
    /// Greatest width of compacted blocks, in milliseconds.
    pub max_block_duration_ms: i64,
    /// Size at which chunk segments of blocks are cut.
    pub max_chunk_segment_bytes: u64,
    /// Whether overlapping blocks are joined.
    pub compact_overlaps: bool,
    /// A JSON file that lists the blocks someone has uploaded; blocks written from the head are joined only
    /// once they are in it.
    pub uploads_file: Option<PathBuf>,
    /// Whether the lock file is left alone.
    pub no_lockfile: bool,
    /// Whether there is a write-ahead log.
    pub wal: bool,
    /// Compression of log records.
    pub wal_compression: Compression,
    /// Bytes after which a new log segment is started.
    pub wal_segment_bytes: u64,
    /// Samples a float chunk should have.
    pub samples_per_chunk: u16,
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
    /// How long a head that is due waits before it is written to a block, in milliseconds: servers with the
    /// same data then do not all work at once.
    pub compaction_delay_ms: i64,
    /// The share of stale series, from 0 to 1, at which they are written to blocks of their own and leave
    /// the head; 0 for never.
    pub stale_series_threshold: f64,
}

impl Default for Options {
    fn default() -> Self {
        let head = HeadOptions::default();
        Self {
            retention: Retention { duration_ms: 15 * 24 * HOUR_MS, ..Retention::default() },
            min_block_duration_ms: 2 * HOUR_MS,
            // A tenth of the retention, at most a month.
            max_block_duration_ms: 36 * HOUR_MS,
            max_chunk_segment_bytes: crate::block::chunk_files::MAX_SEGMENT_BYTES,
            compact_overlaps: true,
            uploads_file: None,
            no_lockfile: false,
            wal: head.wal,
            wal_compression: head.wal_compression,
            wal_segment_bytes: head.wal_segment_bytes,
            samples_per_chunk: head.samples_per_chunk,
            out_of_order_window_ms: head.out_of_order_window_ms,
            out_of_order_capacity: head.out_of_order_capacity,
            max_exemplars: head.max_exemplars,
            series_limit: head.series_limit,
            metadata_records: head.metadata_records,
            start_timestamps: head.start_timestamps,
            snapshot_on_shutdown: head.snapshot_on_shutdown,
            replay_threads: head.replay_threads,
            replay_progress: head.replay_progress,
            compaction_delay_ms: 0,
            stale_series_threshold: 0.0,
        }
    }
}

impl Options {
    /// The settings of the head among these.
    pub fn head(&self) -> HeadOptions {
        HeadOptions {
            chunk_range_ms: self.min_block_duration_ms,
            samples_per_chunk: self.samples_per_chunk,
            wal: self.wal,
            wal_compression: self.wal_compression,
            wal_segment_bytes: self.wal_segment_bytes,
            out_of_order_window_ms: self.out_of_order_window_ms,
            out_of_order_capacity: self.out_of_order_capacity,
            max_exemplars: self.max_exemplars,
            series_limit: self.series_limit,
            metadata_records: self.metadata_records,
            start_timestamps: self.start_timestamps,
            snapshot_on_shutdown: self.snapshot_on_shutdown,
            replay_threads: self.replay_threads,
            replay_progress: self.replay_progress.clone(),
        }
    }

    /// The same with impossible values made possible.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        if self.min_block_duration_ms <= 0 {
            self.min_block_duration_ms = 2 * HOUR_MS;
        }
        self.max_block_duration_ms = self.max_block_duration_ms.max(self.min_block_duration_ms);
        self.out_of_order_window_ms = self.out_of_order_window_ms.max(0);
        self
    }
}
