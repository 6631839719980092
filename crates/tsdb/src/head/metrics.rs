//! What the head publishes about itself, under Prometheus's names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Registry, Summary};
use parking_lot::Mutex;

use super::Inner;
use crate::wal::{Compression, WalMetrics};

const HOUR_S: f64 = 3600.0;
/// From ten minutes to half a day.
const LATENESS_BOUNDS: [f64; 7] =
    [HOUR_S / 6.0, HOUR_S / 2.0, HOUR_S, 2.0 * HOUR_S, 3.0 * HOUR_S, 6.0 * HOUR_S, 12.0 * HOUR_S];

/// Entries of a log that name a series the log does not, by type of entry.
#[derive(Debug, Default)]
pub struct UnknownRefs(Mutex<BTreeMap<&'static str, u64>>);

impl UnknownRefs {
    /// Counts are published for the log `wal` or `wbl`; a type that never occurred is left out.
    fn publish(registry: &Registry, log: &str) -> Arc<Self> {
        let counts = Arc::new(Self::default());
        let name = format!("prometheus_tsdb_{log}_replay_unknown_refs_total");
        let help = format!(
            "Total number of unknown series references encountered during {} replay.",
            log.to_uppercase()
        );
        let published = counts.clone();
        registry.collect_with(move |families| {
            let counts = published.0.lock();
            let family = Family::new(name.clone(), &help, Kind::Counter);
            let with = |family: Family, (entry, count): (&&str, &u64)| {
                family.with(&[("type", entry)], *count as f64)
            };
            families.push(counts.iter().fold(family, with));
        });
        counts
    }

    /// Counts `count` entries of this type.
    pub fn add(&self, entry: &'static str, count: u64) {
        if count > 0 {
            *self.0.lock().entry(entry).or_default() += count;
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.lock().values().sum()
    }
}

/// Counters by sample type.
#[derive(Debug, Clone)]
pub struct ByType {
    /// Floats.
    pub float: Counter,
    /// Histograms.
    pub histogram: Counter,
}

impl ByType {
    fn new(registry: &Registry, name: &str, help: &str) -> Self {
        Self {
            float: registry.counter(name, help, &[("type", "float")]),
            histogram: registry.counter(name, help, &[("type", "histogram")]),
        }
    }
}

/// Gauges that are kept as plain integers and read when published.
#[derive(Debug, Default)]
pub struct Levels {
    /// Series in the head.
    pub series: AtomicU64,
    /// Series whose newest sample is a staleness marker.
    pub stale_series: AtomicI64,
    /// Series whose newest sample is a histogram.
    pub histogram_series: AtomicI64,
    /// Buckets of those samples.
    pub histogram_buckets: AtomicI64,
    /// Chunks, open and complete.
    pub chunks: AtomicI64,
    /// Earliest time in the head; `i64::MAX` when empty.
    pub min_ms: AtomicI64,
    /// Latest time in the head; `i64::MIN` when empty.
    pub max_ms: AtomicI64,
    /// Open appenders.
    pub appenders: AtomicI64,
    /// Exemplars kept.
    pub exemplars: AtomicU64,
    /// Series with exemplars.
    pub exemplar_series: AtomicU64,
}

/// The instruments of the head.
#[derive(Debug, Clone)]
pub struct HeadMetrics {
    /// See [`Levels`].
    pub levels: Arc<Levels>,
    /// Appenders opened.
    pub appenders_created: Counter,
    /// Series created.
    pub series_created: Counter,
    /// Series removed.
    pub series_removed: Counter,
    /// Appends to references that are not valid any more.
    pub series_not_found: Counter,
    /// New series refused because of the series limit.
    pub series_refused: Counter,
    /// Chunks begun.
    pub chunks_created: Counter,
    /// Chunks removed.
    pub chunks_removed: Counter,
    /// Chunks written to `chunks_head`.
    pub chunks_stored: Counter,
    /// Runtime of garbage collections.
    pub gc_seconds: Summary,
    /// Samples appended.
    pub samples_appended: ByType,
    /// Out-of-order samples appended.
    pub out_of_order_appended: ByType,
    /// Samples refused: older than the head accepts.
    pub out_of_bounds: ByType,
    /// Samples refused: out of order.
    pub out_of_order: ByType,
    /// Samples refused: older than the out-of-order window.
    pub too_old: ByType,
    /// Runtime of log truncations.
    pub wal_truncate_seconds: Summary,
    /// Damaged places found in the log.
    pub wal_corruptions: Counter,
    /// Runtime of the replay at start.
    pub replay_seconds: Gauge,
    /// Truncations attempted.
    pub truncations: Counter,
    /// Truncations that failed.
    pub truncations_failed: Counter,
    /// Checkpoints attempted.
    pub checkpoints: Counter,
    /// Checkpoints that failed.
    pub checkpoints_failed: Counter,
    /// Deletions of old checkpoints attempted.
    pub checkpoint_deletions: Counter,
    /// Deletions of old checkpoints that failed.
    pub checkpoint_deletions_failed: Counter,
    /// Damaged places found in `chunks_head`.
    pub chunk_corruptions: Counter,
    /// Snapshots that could not be loaded.
    pub snapshot_errors: Counter,
    /// How far samples out of order are behind the newest of the head.
    pub lateness_seconds: Histogram,
    /// Entries of the log that name a series the log does not.
    pub unknown_refs: Arc<UnknownRefs>,
    /// Entries of the out-of-order log that do.
    pub unknown_late_refs: Arc<UnknownRefs>,
    /// Exemplars kept.
    pub exemplars_appended: Counter,
    /// Exemplars refused for their order.
    pub exemplars_out_of_order: Counter,
    /// The log's own metrics.
    pub wal: WalMetrics,
    /// The out-of-order log's own metrics.
    pub wbl: WalMetrics,
}

impl HeadMetrics {
    /// Instruments published through `registry`.
    pub fn new(registry: &Registry, compression: Compression) -> Self {
        let levels = Arc::new(Levels::default());
        levels.min_ms.store(i64::MAX, Ordering::Relaxed);
        levels.max_ms.store(i64::MIN, Ordering::Relaxed);
        publish_levels(registry, levels.clone());
        let counter =
            |name: &str, help: &str| registry.counter(&format!("prometheus_tsdb_{name}"), help, &[]);
        let by_type =
            |name: &str, help: &str| ByType::new(registry, &format!("prometheus_tsdb_{name}"), help);
        let summary =
            |name: &str, help: &str| registry.summary(&format!("prometheus_tsdb_{name}"), help, &[], &[]);
        Self {
            levels,
            appenders_created: counter(
                "head_appenders_created_total",
                "Total number of appender transactions created.",
            ),
            series_created: counter(
                "head_series_created_total",
                "Total number of series created in the head",
            ),
            series_removed: counter(
                "head_series_removed_total",
                "Total number of series removed in the head",
            ),
            series_not_found: counter(
                "head_series_not_found_total",
                "Total number of requests for series that were not found.",
            ),
            series_refused: counter(
                "head_series_refused_total",
                "Total number of new series refused because the series limit was reached.",
            ),
            chunks_created: counter(
                "head_chunks_created_total",
                "Total number of chunks created in the head",
            ),
            chunks_removed: counter(
                "head_chunks_removed_total",
                "Total number of chunks removed in the head",
            ),
            chunks_stored: counter("mmap_chunks_total", "Total number of chunks that were memory-mapped."),
            gc_seconds: summary(
                "head_gc_duration_seconds",
                "Runtime of garbage collection in the head block.",
            ),
            samples_appended: by_type("head_samples_appended_total", "Total number of appended samples."),
            out_of_order_appended: by_type(
                "head_out_of_order_samples_appended_total",
                "Total number of appended out of order samples.",
            ),
            out_of_bounds: by_type(
                "out_of_bound_samples_total",
                "Total number of out of bound samples ingestion failed attempts with out of order support disabled.",
            ),
            out_of_order: by_type(
                "out_of_order_samples_total",
                "Total number of out of order samples ingestion failed attempts due to out of order being disabled.",
            ),
            too_old: by_type(
                "too_old_samples_total",
                "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.",
            ),
            wal_truncate_seconds: summary("wal_truncate_duration_seconds", "Duration of WAL truncation."),
            wal_corruptions: counter("wal_corruptions_total", "Total number of WAL corruptions."),
            replay_seconds: registry.gauge(
                "prometheus_tsdb_data_replay_duration_seconds",
                "Time taken to replay the data on disk.",
                &[],
            ),
            truncations: counter("head_truncations_total", "Total number of head truncations attempted."),
            truncations_failed: counter(
                "head_truncations_failed_total",
                "Total number of head truncations that failed.",
            ),
            checkpoints: counter(
                "checkpoint_creations_total",
                "Total number of checkpoint creations attempted.",
            ),
            checkpoints_failed: counter(
                "checkpoint_creations_failed_total",
                "Total number of checkpoint creations that failed.",
            ),
            checkpoint_deletions: counter(
                "checkpoint_deletions_total",
                "Total number of checkpoint deletions attempted.",
            ),
            checkpoint_deletions_failed: counter(
                "checkpoint_deletions_failed_total",
                "Total number of checkpoint deletions that failed.",
            ),
            chunk_corruptions: counter(
                "mmap_chunk_corruptions_total",
                "Total number of memory-mapped chunk corruptions.",
            ),
            snapshot_errors: counter(
                "snapshot_replay_error_total",
                "Total number snapshot replays that failed.",
            ),
            lateness_seconds: registry.histogram(
                "prometheus_tsdb_sample_ooo_delta",
                "Delta in seconds by which a sample is considered out of order (reported regardless of OOO time window and whether sample is accepted or not).",
                &[],
                &LATENESS_BOUNDS,
            ),
            unknown_refs: UnknownRefs::publish(registry, "wal"),
            unknown_late_refs: UnknownRefs::publish(registry, "wbl"),
            exemplars_appended: counter(
                "exemplar_exemplars_appended_total",
                "Total number of appended exemplars.",
            ),
            exemplars_out_of_order: counter(
                "exemplar_out_of_order_exemplars_total",
                "Total number of out of order exemplar ingestion failed attempts.",
            ),
            wal: WalMetrics::new(registry, "prometheus_tsdb_wal_", compression),
            wbl: WalMetrics::new(registry, "prometheus_tsdb_out_of_order_wbl_", compression),
        }
    }
}

fn publish_levels(registry: &Registry, levels: Arc<Levels>) {
    registry.collect_with(move |families| {
        let mut gauge = |name: &str, help: &str, value: f64| {
            let family = Family::new(format!("prometheus_tsdb_{name}"), help, Kind::Gauge);
            families.push(family.with(&[], value));
        };
        let count = |level: &AtomicU64| level.load(Ordering::Relaxed) as f64;
        let level = |level: &AtomicI64| level.load(Ordering::Relaxed) as f64;
        gauge("head_series", "Total number of series in the head block.", count(&levels.series));
        gauge(
            "head_stale_series",
            "Total number of stale series in the head block.",
            level(&levels.stale_series),
        );
        gauge(
            "head_native_histogram_series",
            "Total number of native histogram series in the head block. A series is a native histogram series if its most recent sample is a native histogram.",
            level(&levels.histogram_series),
        );
        gauge(
            "head_native_histogram_buckets",
            "Total number of native histogram buckets in the head block, summed over the most recent sample of each native histogram series.",
            level(&levels.histogram_buckets),
        );
        gauge("head_chunks", "Total number of chunks in the head block.", level(&levels.chunks));
        gauge(
            "head_active_appenders",
            "Number of currently active appender transactions",
            level(&levels.appenders),
        );
        let (min_ms, max_ms) = (level(&levels.min_ms), level(&levels.max_ms));
        gauge("head_min_time", "Minimum time bound of the head block.", min_ms);
        gauge("head_max_time", "Maximum timestamp of the head block.", max_ms);
        gauge("head_min_time_seconds", "Minimum time bound of the head block.", (min_ms / 1000.0).floor());
        gauge("head_max_time_seconds", "Maximum timestamp of the head block.", (max_ms / 1000.0).floor());
        gauge(
            "exemplar_exemplars_in_storage",
            "Number of exemplars currently in circular storage.",
            count(&levels.exemplars),
        );
        gauge(
            "exemplar_series_with_exemplars_in_storage",
            "Number of series with exemplars currently in circular storage.",
            count(&levels.exemplar_series),
        );
    });
}

/// Publishes what is looked up in an open head.
pub(super) fn publish_state(registry: &Registry, inner: &Arc<Inner>) {
    let inner = Arc::downgrade(inner);
    registry.collect_with(move |families| {
        let Some(inner) = inner.upgrade() else { return };
        let mut gauge = |name: &str, help: &str, value: f64| {
            let family = Family::new(format!("prometheus_tsdb_{name}"), help, Kind::Gauge);
            families.push(family.with(&[], value));
        };
        gauge(
            "head_chunks_storage_size_bytes",
            "Size of the chunks_head directory.",
            inner.store.size_bytes() as f64,
        );
        // Commits are numbered as they are applied, and a reader is done with the number once it selected.
        let commit = inner.visible.load(Ordering::Relaxed) as f64;
        gauge("isolation_low_watermark", "The lowest TSDB append ID that is still referenced.", commit);
        gauge("isolation_high_watermark", "The highest TSDB append ID that has been given out.", commit);
        let exemplars = inner.exemplars.read();
        gauge(
            "exemplar_max_exemplars",
            "Total number of exemplars the exemplar storage can store, resizeable.",
            exemplars.capacity() as f64,
        );
        gauge(
            "exemplar_last_exemplars_timestamp_seconds",
            "The timestamp of the oldest exemplar stored in circular storage. Useful to check for what time range the current exemplar buffer limit allows.",
            exemplars.oldest_added_ms().unwrap_or(0) as f64 / 1000.0,
        );
    });
}
