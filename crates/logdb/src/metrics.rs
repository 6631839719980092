//! What the engine tells about itself: Loki's names where dashboards and alerts use them. A chunk is an object, as flushes
//! write them.

use base::metrics::{Counter, Gauge, Histogram, Registry};

use crate::manifest::ObjectMeta;

/// Instruments of the engine.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) memory_bytes: Gauge,
    pub(crate) memory_streams: Gauge,
    pub(crate) memory_chunks: Gauge,
    pub(crate) chunks: Chunks,
    pub(crate) wal_bytes: Gauge,
    pub(crate) wal_commits: Counter,
    pub(crate) wal_records: Counter,
    pub(crate) wal_written_bytes: Counter,
    pub(crate) wal_failures: Counter,
    pub(crate) wal_damaged: Counter,
    pub(crate) wal_kept: Counter,
    pub(crate) wal_replayed: Counter,
    pub(crate) entries: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) busy: Counter,
    pub(crate) flushed_full: Counter,
    pub(crate) flushed_old: Counter,
    pub(crate) flush_failures: Counter,
    pub(crate) flush_seconds: Histogram,
    pub(crate) flushed_bytes: Counter,
    pub(crate) pending: Gauge,
    pub(crate) stuck_days: Gauge,
    pub(crate) panics: Counter,
    pub(crate) damaged_documents: Counter,
    pub(crate) compactions: Counter,
    pub(crate) compactions_lost: Counter,
    pub(crate) compaction_failures: Counter,
    pub(crate) compacted_bytes: Counter,
    pub(crate) damaged_objects: Counter,
    pub(crate) damaged_groups: Gauge,
    pub(crate) orphans: Counter,
    pub(crate) deleted_objects: Counter,
    pub(crate) expired_entries: Counter,
    pub(crate) groups_seen: Counter,
    pub(crate) groups_skipped: Counter,
    pub(crate) compacted_at: Gauge,
    pub(crate) retained_at: Gauge,
    pub(crate) deletes_received: Counter,
    pub(crate) deletes_processed: Counter,
    pub(crate) deletes_pending: Gauge,
    pub(crate) deletes_oldest_seconds: Gauge,
}

impl Metrics {
    /// Instruments that `registry` publishes.
    pub fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(name, help, &[]);
        let gauge = |name: &str, help: &str| registry.gauge(name, help, &[]);
        let flushed = |reason| {
            let help = "Total number of flushed chunks (objects, here) per reason.";
            registry.counter("loki_ingester_chunks_flushed_total", help, &[("reason", reason)])
        };
        Self {
            memory_bytes: gauge(
                "loki_ingester_memory_bytes",
                "Bytes of entries that are not in the bucket yet.",
            ),
            memory_streams: gauge("loki_ingester_memory_streams", "The total number of streams in memory."),
            memory_chunks: gauge(
                "loki_ingester_memory_chunks",
                "The total number of chunks in memory: objects that wait for the bucket, and tables of entries that become such.",
            ),
            chunks: Chunks::new(registry),
            wal_bytes: gauge("loki_ingester_wal_disk_bytes", "Size of the write-ahead log."),
            wal_commits: counter(
                "loki_ingester_wal_commits_total",
                "Writes of the log, each of which was synced.",
            ),
            wal_records: counter(
                "loki_ingester_wal_records_logged_total",
                "The total number of WAL records logged.",
            ),
            wal_written_bytes: counter(
                "loki_ingester_wal_logged_bytes_total",
                "Total number of bytes written to disk for WAL records.",
            ),
            wal_failures: counter(
                "loki_ingester_wal_disk_full_failures_total",
                "Total number of write failures of the log.",
            ),
            wal_damaged: counter(
                "loki_ingester_wal_corruptions_total",
                "Total number of damaged parts of the log that were left out.",
            ),
            wal_kept: counter(
                "loki_ingester_wal_segments_kept_total",
                "Damaged segments of the log that were set aside.",
            ),
            wal_replayed: counter(
                "loki_ingester_wal_recovered_entries_total",
                "Total number of entries recovered from the WAL.",
            ),
            entries: counter("loki_ingester_entries_total", "Entries taken in."),
            duplicates: counter("loki_ingester_duplicate_entries_total", "Entries that were there already."),
            busy: counter("loki_ingester_refused_pushes_total", "Pushes refused for want of room."),
            flushed_full: flushed("full"),
            flushed_old: flushed("max_age"),
            flush_failures: counter(
                "loki_ingester_flush_failures_total",
                "Objects that could not be stored or made known; they are tried again.",
            ),
            flush_seconds: registry.histogram(
                "loki_ingester_flush_duration_seconds",
                "Time from the end of a memtable to its entries being in the bucket.",
                &[],
                &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0],
            ),
            flushed_bytes: counter("loki_ingester_chunk_stored_bytes_total", "Total bytes stored in chunks."),
            pending: gauge(
                "loki_ingester_flush_queue_length",
                "The total number of objects pending to be flushed.",
            ),
            stuck_days: gauge(
                "loki_ingester_flush_stuck_days",
                "Days of tenants whose entries could not be flushed the last time.",
            ),
            panics: counter(
                "loki_ingester_worker_panics_total",
                "Threads of the storage that failed unexpectedly and began again.",
            ),
            damaged_documents: counter(
                "loki_store_damaged_documents_total",
                "Manifests and lists of delete requests that were damaged and made anew.",
            ),
            compactions: counter("loki_compactor_compactions_total", "Compactions that were done."),
            compactions_lost: counter(
                "loki_compactor_compactions_lost_total",
                "Compactions whose objects someone else had compacted meanwhile.",
            ),
            compaction_failures: counter(
                "loki_compactor_compaction_failures_total",
                "Compactions that failed.",
            ),
            compacted_bytes: counter("loki_compactor_written_bytes_total", "Bytes of compacted objects."),
            damaged_objects: counter(
                "loki_store_damaged_objects_total",
                "Objects that were set aside as damaged.",
            ),
            damaged_groups: gauge(
                "loki_store_damaged_page_groups",
                "Page groups that are left out of queries because they are damaged.",
            ),
            orphans: counter(
                "loki_compactor_orphans_deleted_total",
                "Objects deleted that no manifest named.",
            ),
            deleted_objects: counter(
                "loki_compactor_objects_deleted_total",
                "Objects deleted that were replaced or expired.",
            ),
            expired_entries: counter("loki_compactor_expired_entries_total", "Entries dropped by retention."),
            groups_seen: counter(
                "loki_store_page_groups_considered_total",
                "Page groups that queries considered.",
            ),
            groups_skipped: counter(
                "loki_store_page_groups_skipped_total",
                "Page groups that filters told queries not to read.",
            ),
            // The name is of another way to keep an index; alerts know no other.
            compacted_at: gauge(
                "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds",
                "Unix timestamp of the last successful compaction run.",
            ),
            retained_at: gauge(
                "loki_compactor_apply_retention_last_successful_run_timestamp_seconds",
                "Unix timestamp of the last successful retention run.",
            ),
            deletes_received: counter(
                "loki_compactor_delete_requests_received_total",
                "Number of delete requests received.",
            ),
            deletes_processed: counter(
                "loki_compactor_delete_requests_processed_total",
                "Number of delete requests of which nothing is left in any object.",
            ),
            deletes_pending: gauge(
                "loki_compactor_pending_delete_requests_count",
                "Count of delete requests that are effective, and of which objects still hold something.",
            ),
            deletes_oldest_seconds: gauge(
                "loki_compactor_oldest_pending_delete_request_age_seconds",
                "Age of the oldest of these requests in seconds.",
            ),
        }
    }
}

/// What flushed objects are like.
#[derive(Clone)]
pub(crate) struct Chunks {
    size_bytes: Histogram,
    entries: Histogram,
    age_seconds: Histogram,
    bounds_hours: Histogram,
    compression_ratio: Histogram,
    utilization: Histogram,
}

impl Chunks {
    fn new(registry: &Registry) -> Self {
        let histogram = |name: &str, help: &str, bounds: &[f64]| registry.histogram(name, help, &[], bounds);
        let doubling =
            |first: f64, buckets: i32| (0..buckets).map(|n| first * 2f64.powi(n)).collect::<Vec<_>>();
        Self {
            size_bytes: histogram(
                "loki_ingester_chunk_size_bytes",
                "Distribution of stored chunk sizes (when stored).",
                &doubling(512.0, 18),
            ),
            entries: histogram(
                "loki_ingester_chunk_entries",
                "Distribution of stored lines per chunk (when stored).",
                &doubling(16.0, 18),
            ),
            age_seconds: histogram(
                "loki_ingester_chunk_age_seconds",
                "Distribution of chunk ages (when stored), from their first entry on.",
                &[1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0],
            ),
            bounds_hours: histogram(
                "loki_ingester_chunk_bounds_hours",
                "Distribution of chunk end-start durations.",
                &[0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0],
            ),
            compression_ratio: histogram(
                "loki_ingester_chunk_compression_ratio",
                "Compression ratio of chunks (when stored): bytes of lines against those of the object, filters included.",
                &[0.75, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 24.0, 32.0],
            ),
            utilization: histogram(
                "loki_ingester_chunk_utilization",
                "Distribution of stored chunk utilization (when stored): bytes of lines against those at which a flush does not wait.",
                &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            ),
        }
    }

    /// An object was stored at a time, where flushes do not wait for more than `full_bytes`.
    pub(crate) fn stored(&self, meta: &ObjectMeta, now_ms: i64, full_bytes: usize) {
        let (line_bytes, size_bytes) = (meta.line_bytes as f64, meta.size_bytes as f64);
        let seconds = |ns: i64| ns.max(0) as f64 / 1e9;
        self.size_bytes.observe(size_bytes);
        self.entries.observe(meta.rows as f64);
        self.age_seconds.observe(seconds(now_ms.saturating_mul(1_000_000).saturating_sub(meta.first_ns)));
        self.bounds_hours.observe(seconds(meta.last_ns.saturating_sub(meta.first_ns)) / 3600.0);
        self.compression_ratio.observe(line_bytes / size_bytes.max(1.0));
        self.utilization.observe((line_bytes / full_bytes.max(1) as f64).min(1.0));
    }
}

#[cfg(test)]
mod tests {
    use base::metrics::Value;

    use super::*;

    #[test]
    fn stored_objects_are_told_as_chunks() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry);
        let meta = ObjectMeta {
            id: ulid::Ulid::nil(),
            size_bytes: 1_000,
            rows: 40,
            line_bytes: 5_000,
            first_ns: 10_000_000_000,
            last_ns: 3_610_000_000_000,
            level: 0,
            deletes: 0,
        };
        metrics.chunks.stored(&meta, 3_613_000, 10_000);
        let told: std::collections::BTreeMap<_, _> = registry
            .gather()
            .into_iter()
            .map(|family| (family.name, family.points[0].value.clone()))
            .collect();
        for (name, expected) in [
            ("size_bytes", 1000.0),
            ("entries", 40.0),
            ("age_seconds", 3603.0),
            ("bounds_hours", 1.0),
            ("compression_ratio", 5.0),
            ("utilization", 0.5),
        ] {
            let Value::Histogram { buckets, sum, count } = &told[&format!("loki_ingester_chunk_{name}")]
            else {
                panic!("{name} is a histogram");
            };
            assert_eq!((*sum, *count), (expected, 1), "{name}");
            // In the first bucket that reaches it.
            let first = buckets.iter().find(|(_, count)| *count == 1).map(|(bound, _)| *bound);
            assert_eq!(
                first,
                buckets.iter().map(|(bound, _)| *bound).find(|bound| *bound >= expected),
                "{name}"
            );
        }
    }
}
