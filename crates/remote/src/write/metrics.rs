//! What a destination publishes about itself, under the names operators know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Point, Registry};
use parking_lot::Mutex;
use tsdb::wal::LogTail;
use wire::remote_write::encode::Counts;

/// A number for each kind of what is sent.
#[derive(Debug, Default)]
pub struct ByKind {
    /// Float samples.
    pub samples: Counter,
    /// Histogram samples.
    pub histograms: Counter,
    /// Exemplars.
    pub exemplars: Counter,
}

impl ByKind {
    /// Adds these.
    pub fn add(&self, counts: Counts) {
        self.samples.add(counts.samples as u64);
        self.histograms.add(counts.histograms as u64);
        self.exemplars.add(counts.exemplars as u64);
    }

    fn each(&self) -> [(&'static str, u64); 3] {
        [
            ("samples", self.samples.get()),
            ("histograms", self.histograms.get()),
            ("exemplars", self.exemplars.get()),
        ]
    }
}

/// How many of each kind wait, which goes down as well.
#[derive(Debug, Default)]
pub struct Pending {
    samples: AtomicI64,
    histograms: AtomicI64,
    exemplars: AtomicI64,
}

impl Pending {
    /// These wait from now on.
    pub fn add(&self, counts: Counts) {
        self.change(counts, 1);
    }

    /// These do not wait any more.
    pub fn remove(&self, counts: Counts) {
        self.change(counts, -1);
    }

    fn change(&self, counts: Counts, sign: i64) {
        self.samples.fetch_add(sign * counts.samples as i64, Ordering::Relaxed);
        self.histograms.fetch_add(sign * counts.histograms as i64, Ordering::Relaxed);
        self.exemplars.fetch_add(sign * counts.exemplars as i64, Ordering::Relaxed);
    }

    /// All that wait.
    pub fn total(&self) -> u64 {
        let all = [&self.samples, &self.histograms, &self.exemplars];
        all.iter().map(|count| count.load(Ordering::Relaxed).max(0) as u64).sum()
    }

    fn each(&self) -> [(&'static str, i64); 3] {
        [
            ("samples", self.samples.load(Ordering::Relaxed)),
            ("histograms", self.histograms.load(Ordering::Relaxed)),
            ("exemplars", self.exemplars.load(Ordering::Relaxed)),
        ]
    }
}

/// Why something read from the log is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is older than `sample_age_limit`.
    TooOld,
    /// Relabelling dropped its series.
    DroppedSeries,
    /// The log never named its series.
    UnknownSeries,
    /// Version 1.0 has no histograms with custom buckets.
    CustomBuckets,
    /// The receiver refused what was sent before a crash and not noted: it has it.
    AlreadySent,
}

impl DropReason {
    const ALL: [Self; 5] =
        [Self::TooOld, Self::DroppedSeries, Self::UnknownSeries, Self::CustomBuckets, Self::AlreadySent];

    fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::DroppedSeries => "dropped_series",
            Self::UnknownSeries => "unintentionally_dropped_series",
            Self::CustomBuckets => "nhcb_in_rw1_not_supported",
            Self::AlreadySent => "already_sent",
        }
    }
}

/// The highest of the timestamps it was told.
#[derive(Debug, Default)]
pub struct Highest(AtomicI64);

impl Highest {
    /// Takes `t_ms` in.
    pub fn raise(&self, t_ms: i64) {
        self.0.fetch_max(t_ms, Ordering::Relaxed);
    }

    /// The highest in milliseconds, 0 before the first.
    pub fn ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn seconds(&self) -> f64 {
        (self.ms() / 1000) as f64
    }
}

/// Upper bounds of the time a request takes, in seconds.
const DURATION_BOUNDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0];

/// The metrics of one destination.
#[derive(Debug)]
pub struct QueueMetrics {
    name: String,
    url: String,
    /// Attempted to send.
    pub sent: ByKind,
    /// Given up.
    pub failed: ByKind,
    /// Sent again.
    pub retried: ByKind,
    /// Read, but not sent, by reason.
    dropped: [ByKind; DropReason::ALL.len()],
    /// In queues or open batches.
    pub pending: Pending,
    /// Metadata sent, given up and sent again.
    pub metadata: [Counter; 3],
    /// Times the reader waited for room in a queue.
    pub enqueue_retries: Counter,
    /// Time each request took.
    pub batch_seconds: Histogram,
    /// The latest timestamp that was put into a queue.
    pub highest_queued: Highest,
    /// The latest timestamp that was sent.
    pub highest_sent: Highest,
    /// Bytes of requests with samples, and with metadata.
    pub sent_bytes: [Counter; 2],
    /// Capacity, shards, most, fewest and wanted shards, and samples of a request.
    pub levels: Levels,
    /// The reading of the log.
    pub watcher: WatcherMetrics,
    /// Segments that were deleted before they were sent.
    pub lost_segments: Counter,
}

/// Settings and state of a queue.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "fields are named as the metrics are")]
pub struct Levels {
    pub shard_capacity: Gauge,
    pub shards: Gauge,
    pub shards_max: Gauge,
    pub shards_min: Gauge,
    pub shards_desired: Gauge,
    pub max_samples_per_send: Gauge,
    pub wal_backlog_bytes: Gauge,
    pub wal_hold_limit_bytes: Gauge,
}

/// Kinds of records that are counted.
pub const RECORD_KINDS: [&str; 5] = ["series", "samples", "histogram_samples", "exemplars", "metadata"];

/// The reading of the log.
#[derive(Debug, Default)]
pub struct WatcherMetrics {
    /// Records read, in the order of [`RECORD_KINDS`].
    pub records: [Counter; 5],
    /// Records that do not decode, and places that are damaged.
    pub failures: Counter,
    /// Sample records read before the end of the log was reached for the first time.
    pub pre_tailing: Counter,
    /// The segment that is read.
    pub segment: AtomicU64,
    /// Damaged places.
    pub corruptions: Counter,
}

impl QueueMetrics {
    fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            sent: ByKind::default(),
            failed: ByKind::default(),
            retried: ByKind::default(),
            dropped: Default::default(),
            pending: Pending::default(),
            metadata: Default::default(),
            enqueue_retries: Counter::default(),
            batch_seconds: Histogram::new(&DURATION_BOUNDS),
            highest_queued: Highest::default(),
            highest_sent: Highest::default(),
            sent_bytes: Default::default(),
            levels: Levels::default(),
            watcher: WatcherMetrics::default(),
            lost_segments: Counter::default(),
        }
    }

    /// What was not sent for `reason`.
    pub fn dropped(&self, reason: DropReason) -> &ByKind {
        &self.dropped[reason as usize]
    }

    fn collect(&self, out: &mut Vec<Family>) {
        let labels = [("remote_name", self.name.as_str()), ("url", self.url.as_str())];
        let mut add = |name: String, help: String, kind: Kind, value: f64| {
            out.push(
                Family::new(format!("prometheus_remote_storage_{name}"), help, kind).with(&labels, value),
            );
        };
        let groups = [
            (&self.sent, "", "sent to remote storage."),
            (&self.failed, "_failed", "which failed on send to remote storage, non-recoverable errors."),
            (
                &self.retried,
                "_retried",
                "which failed on send to remote storage but were retried because the send error was recoverable.",
            ),
        ];
        for (group, suffix, what) in groups {
            for (kind, count) in group.each() {
                let help = format!("Total number of {kind} {what}");
                add(format!("{kind}{suffix}_total"), help, Kind::Counter, count as f64);
            }
        }
        let metadata = [
            ("metadata_total", "sent to"),
            ("metadata_failed_total", "which failed on send to"),
            ("metadata_retried_total", "sent again to"),
        ];
        for ((name, what), count) in metadata.iter().zip(&self.metadata) {
            let help = format!("Total number of metadata entries {what} remote storage.");
            add((*name).to_owned(), help, Kind::Counter, count.get() as f64);
        }
        for (kind, count) in self.pending.each() {
            let help = format!(
                "The number of {kind} pending in the queues shards to be sent to the remote storage."
            );
            add(format!("{kind}_pending"), help, Kind::Gauge, count as f64);
        }
        let levels = &self.levels;
        let gauges = [
            (
                "shard_capacity",
                "The capacity of each shard of the queue used for parallel sending to the remote storage.",
                levels.shard_capacity.get(),
            ),
            (
                "shards",
                "The number of shards used for parallel sending to the remote storage.",
                levels.shards.get(),
            ),
            (
                "shards_max",
                "The maximum number of shards that the queue is allowed to run.",
                levels.shards_max.get(),
            ),
            (
                "shards_min",
                "The minimum number of shards that the queue is allowed to run.",
                levels.shards_min.get(),
            ),
            (
                "shards_desired",
                "The number of shards that the queues shard calculation wants to run based on the rate of samples in vs. samples out.",
                levels.shards_desired.get(),
            ),
            (
                "max_samples_per_send",
                "The maximum number of samples to be sent, in a single request, to the remote storage. Note that, when sending of exemplars over remote write is enabled, exemplars count towards this limit.",
                levels.max_samples_per_send.get(),
            ),
            (
                "wal_backlog_bytes",
                "Bytes of the write-ahead log that are kept for this destination and not read yet.",
                levels.wal_backlog_bytes.get(),
            ),
            (
                "wal_hold_limit_bytes",
                "The size up to which the write-ahead log is kept for destinations that have not got all of it.",
                levels.wal_hold_limit_bytes.get(),
            ),
            (
                "queue_highest_timestamp_seconds",
                "Highest timestamp that was enqueued, in seconds since epoch. Initialized to 0 when no data has been received yet.",
                self.highest_queued.seconds(),
            ),
            (
                "queue_highest_sent_timestamp_seconds",
                "Highest timestamp successfully sent by this queue, in seconds since epoch. Initialized to 0 when no data has been sent yet.",
                self.highest_sent.seconds(),
            ),
        ];
        for (name, help, value) in gauges {
            add(name.to_owned(), help.to_owned(), Kind::Gauge, value);
        }
        let counters = [
            (
                "bytes_total",
                "The total number of bytes of data (not metadata) sent by the queue after compression.",
                self.sent_bytes[0].get(),
            ),
            (
                "metadata_bytes_total",
                "The total number of bytes of metadata sent by the queue after compression.",
                self.sent_bytes[1].get(),
            ),
            (
                "enqueue_retries_total",
                "Total number of times enqueue has failed because a shards queue was full.",
                self.enqueue_retries.get(),
            ),
            (
                "wal_segments_lost_total",
                "Segments of the write-ahead log that were deleted before their samples were sent, because more was held than allowed.",
                self.lost_segments.get(),
            ),
        ];
        for (name, help, value) in counters {
            add(name.to_owned(), help.to_owned(), Kind::Counter, value as f64);
        }
        self.collect_dropped(&labels, out);
        let mut family = Family::new(
            "prometheus_remote_storage_sent_batch_duration_seconds",
            "Duration of send calls to the remote storage.",
            Kind::Histogram,
        );
        let labels = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        family.points.push(Point { labels, value: self.batch_seconds.value() });
        out.push(family);
        self.watcher.collect(&self.name, out);
    }

    fn collect_dropped(&self, labels: &[(&str, &str)], out: &mut Vec<Family>) {
        for (reason, group) in DropReason::ALL.iter().zip(&self.dropped) {
            for (kind, count) in group.each() {
                let help = format!(
                    "Total number of {kind} which were dropped after being read from the WAL before being sent via remote write, either via relabelling, due to being too old or unintentionally because of an unknown reference ID."
                );
                let name = format!("prometheus_remote_storage_{kind}_dropped_total");
                let labels: Vec<_> =
                    [("reason", reason.as_str())].into_iter().chain(labels.iter().copied()).collect();
                out.push(Family::new(name, help, Kind::Counter).with(&labels, count as f64));
            }
        }
    }
}

impl WatcherMetrics {
    fn collect(&self, consumer: &str, out: &mut Vec<Family>) {
        let labels = [("consumer", consumer)];
        let family = |name: &str, help: &str, kind: Kind| {
            Family::new(format!("prometheus_wal_watcher_{name}"), help, kind)
        };
        let mut records = family(
            "records_read_total",
            "Number of records read by the WAL watcher from the WAL.",
            Kind::Counter,
        );
        for (kind, count) in RECORD_KINDS.iter().zip(&self.records) {
            records.push(&[("consumer", consumer), ("type", kind)], count.get() as f64);
        }
        out.push(records);
        let help = "Number of records read by the WAL watcher that resulted in an error when decoding.";
        out.push(
            family("record_decode_failures_total", help, Kind::Counter)
                .with(&labels, self.failures.get() as f64),
        );
        let help = "Number of sample records read by the WAL watcher and sent to remote write during replay of existing WAL.";
        out.push(
            family("samples_sent_pre_tailing_total", help, Kind::Counter)
                .with(&labels, self.pre_tailing.get() as f64),
        );
        let help = "Current segment the WAL watcher is reading records from.";
        let segment = self.segment.load(Ordering::Relaxed) as f64;
        out.push(family("current_segment", help, Kind::Gauge).with(&labels, segment));
        let help = "The number of WAL write notifications that the Watcher has skipped due to already being in a WAL read routine.";
        out.push(family("notifications_skipped_total", help, Kind::Counter).with(&labels, 0.0));
    }
}

/// The metrics of all destinations there are.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<BTreeMap<String, Arc<QueueMetrics>>>,
    log: Mutex<Option<LogTail>>,
}

impl Metrics {
    /// Publishes the metrics of whatever destinations there will be.
    pub fn new(registry: &Registry) -> Self {
        let metrics = Self::default();
        let shared = metrics.clone();
        registry.collect_with(move |families| {
            let queues: Vec<_> = shared.0.queues.lock().values().cloned().collect();
            queues.iter().for_each(|queue| queue.collect(families));
            shared.collect_log(families);
            let corrupt = queues.iter().map(|queue| queue.watcher.corruptions.get()).sum::<u64>();
            let help = "Errors encountered when reading the WAL.";
            let name = "prometheus_tsdb_wal_reader_corruption_errors_total";
            families.push(Family::new(name, help, Kind::Counter).with(&[], corrupt as f64));
        });
        metrics
    }

    /// From now on this log is told of.
    pub fn set_log(&self, log: &LogTail) {
        *self.0.log.lock() = Some(log.clone());
    }

    /// What there is to send, whether it is sent or not: a destination that is behind shows against it.
    fn collect_log(&self, out: &mut Vec<Family>) {
        let Some(appended) = self.0.log.lock().as_ref().map(LogTail::appended) else { return };
        let mut add = |name: &str, help: &str, kind: Kind, value: f64| {
            let name = format!("prometheus_remote_storage_{name}");
            out.push(Family::new(name, help, kind).with(&[], value));
        };
        let counts = [
            ("samples", "Samples", appended.floats),
            ("histograms", "HistogramSamples", appended.histograms),
            ("exemplars", "Exemplars", appended.exemplars),
        ];
        for (kind, title, count) in counts {
            let help = format!("{title} in to remote storage, compare to {kind} out for queue managers.");
            add(&format!("{kind}_in_total"), &help, Kind::Counter, count as f64);
        }
        let help = "Highest timestamp that has come into the remote storage via the Appender interface, in seconds since epoch. Initialized to 0 when no data has been received yet.";
        add("highest_timestamp_in_seconds", help, Kind::Gauge, (appended.highest_ms.max(0) / 1000) as f64);
    }

    /// The metrics of the destination `key`, from zero unless it has some already.
    pub fn of(&self, key: &str, name: &str, url: &str) -> Arc<QueueMetrics> {
        let mut queues = self.0.queues.lock();
        queues.entry(key.to_owned()).or_insert_with(|| Arc::new(QueueMetrics::new(name, url))).clone()
    }

    /// The destination is gone.
    pub fn remove(&self, key: &str) {
        self.0.queues.lock().remove(key);
    }
}
