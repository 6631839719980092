//! Metrics under Alertmanager's names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Point, Registry, Summary};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::Alertmanager;
use crate::core::{Core, Failure, Tally};
use crate::nflog::IntegrationKey;
use crate::silence::SilenceState;

/// Upper bounds of how long a request takes, in seconds.
const LATENCY_S: [f64; 6] = [1.0, 5.0, 10.0, 15.0, 20.0, 60.0];
/// Kinds of failures.
const REASONS: [&str; 7] = [
    Failure::OTHER,
    "clientError",
    "serverError",
    "contextCanceled",
    "contextDeadlineExceeded",
    "authError",
    "rateLimited",
];

#[derive(Debug)]
struct Requests {
    all: u64,
    failed: u64,
    latency: Histogram,
}

impl Default for Requests {
    fn default() -> Self {
        Self { all: 0, failed: 0, latency: Histogram::new(&LATENCY_S) }
    }
}

/// What is counted of state on disk.
#[derive(Debug)]
pub(super) struct StateMetrics {
    pub maintained: Counter,
    pub failed: Counter,
    pub damaged: Counter,
    pub gc: Summary,
    pub snapshot_bytes: AtomicU64,
    snapshot: Summary,
}

impl Default for StateMetrics {
    fn default() -> Self {
        Self {
            maintained: Counter::default(),
            failed: Counter::default(),
            damaged: Counter::default(),
            gc: Summary::new(&[]),
            snapshot_bytes: AtomicU64::new(0),
            snapshot: Summary::new(&[]),
        }
    }
}

impl StateMetrics {
    /// Notes that a snapshot was written.
    pub fn snapshot(&self, bytes: u64, took: Duration) {
        self.snapshot_bytes.store(bytes, Ordering::Relaxed);
        self.snapshot.observe(took.as_secs_f64());
    }
}

/// Counts of what happened.
#[derive(Debug)]
pub(super) struct Metrics {
    firing: Counter,
    resolved: Counter,
    invalid: Counter,
    pub processing: Summary,
    requests: Mutex<BTreeMap<Arc<IntegrationKey>, Requests>>,
    load_succeeded: Gauge,
    loaded_at_s: Gauge,
    pub silences: StateMetrics,
    pub log: StateMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            firing: Counter::default(),
            resolved: Counter::default(),
            invalid: Counter::default(),
            processing: Summary::new(&[]),
            requests: Mutex::default(),
            load_succeeded: Gauge::default(),
            loaded_at_s: Gauge::default(),
            silences: StateMetrics::default(),
            log: StateMetrics::default(),
        }
    }
}

impl Metrics {
    pub fn received(&self, resolved: bool) {
        if resolved { self.resolved.inc() } else { self.firing.inc() }
    }

    pub fn invalid(&self) {
        self.invalid.inc();
    }

    pub fn loaded(&self, succeeded: bool, now: Timestamp) {
        self.load_succeeded.set(f64::from(u8::from(succeeded)));
        if succeeded {
            self.loaded_at_s.set(now.as_millisecond() as f64 / 1e3);
        }
    }

    /// Notes an attempt to send.
    pub fn attempted(&self, key: &Arc<IntegrationKey>, succeeded: bool, took: Duration) {
        let mut requests = self.requests.lock();
        let requests = requests.entry(key.clone()).or_default();
        requests.all += 1;
        requests.failed += u64::from(!succeeded);
        requests.latency.observe(took.as_secs_f64());
    }
}

/// Publishes all metrics of a manager for as long as it lives.
pub(super) fn publish(manager: &Arc<Alertmanager>, registry: &Registry) {
    let manager: Weak<Alertmanager> = Arc::downgrade(manager);
    registry.collect_with(move |families| {
        if let Some(manager) = manager.upgrade() {
            collect(&manager, families);
        }
    });
}

/// Families that are being put together.
struct Sheet<'f>(&'f mut Vec<Family>);

impl Sheet<'_> {
    fn add(&mut self, name: &str, help: &str, kind: Kind, points: &[(&[(&str, &str)], f64)]) {
        let mut family = Family::new(format!("alertmanager_{name}"), help, kind);
        points.iter().for_each(|(labels, value)| family.push(labels, *value));
        self.0.push(family);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.add(name, help, Kind::Gauge, &[(&[], value)]);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.add(name, help, Kind::Counter, &[(&[], value as f64)]);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let mut family = Family::new(format!("alertmanager_{name}"), help, Kind::Histogram);
        family.points.push(Point { labels: Vec::new(), value: histogram.value() });
        self.0.push(family);
    }

    fn summary(&mut self, name: &str, help: &str, summary: &Summary) {
        let mut family = Family::new(format!("alertmanager_{name}"), help, Kind::Summary);
        family.points.push(Point { labels: Vec::new(), value: summary.value() });
        self.0.push(family);
    }
}

fn collect(manager: &Alertmanager, families: &mut Vec<Family>) {
    let mut sheet = Sheet(families);
    of_configuration(manager, &mut sheet);
    let metrics = &manager.metrics;
    sheet.add(
        "alerts_received_total",
        "The total number of received alerts.",
        Kind::Counter,
        &[
            (&[("status", "firing"), ("version", "v2")], metrics.firing.get() as f64),
            (&[("status", "resolved"), ("version", "v2")], metrics.resolved.get() as f64),
        ],
    );
    sheet.add(
        "alerts_invalid_total",
        "The total number of received alerts that were invalid.",
        Kind::Counter,
        &[(&[("version", "v2")], metrics.invalid.get() as f64)],
    );
    sheet.summary(
        "dispatcher_alert_processing_duration_seconds",
        "Summary of latencies for the processing of alerts.",
        &metrics.processing,
    );
    let now = manager.now();
    let tallies = manager.with_core(|core| {
        of_core(core, now, &mut sheet);
        core.tallies().clone()
    });
    of_state("silences", &metrics.silences, &mut sheet);
    of_state("nflog", &metrics.log, &mut sheet);
    let (silences, entries) = manager.cluster().map_or((0, 0), |cluster| {
        cluster.with_peer(|peer| {
            let counts = peer.counts();
            (counts.silences_passed_on.get(), counts.entries_passed_on.get())
        })
    });
    let help = "Number of received gossip messages that have been further gossiped.";
    sheet.counter("silences_gossip_messages_propagated_total", help, silences);
    sheet.counter("nflog_gossip_messages_propagated_total", help, entries);
    of_notifications(manager, &tallies, families);
}

fn of_configuration(manager: &Alertmanager, sheet: &mut Sheet<'_>) {
    let (metrics, settings) = (&manager.metrics, manager.settings());
    sheet.gauge(
        "config_hash",
        "Hash of the currently loaded alertmanager configuration.",
        (settings.bytes_hash() >> 16) as f64,
    );
    sheet.gauge(
        "config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
        metrics.load_succeeded.get(),
    );
    sheet.gauge(
        "config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
        metrics.loaded_at_s.get(),
    );
    sheet.gauge("receivers", "Number of configured receivers.", settings.receivers.len() as f64);
    let integrations = manager.loaded.load().channels.len();
    sheet.gauge("integrations", "Number of configured integrations.", integrations as f64);
    sheet.gauge(
        "inhibition_rules",
        "Number of configured inhibition rules.",
        settings.inhibit_rules.len() as f64,
    );
    let is_member = f64::from(u8::from(manager.cluster().is_some()));
    sheet.gauge("cluster_enabled", "Indicates whether the clustering is enabled or not.", is_member);
    let version =
        [("version", env!("CARGO_PKG_VERSION")), ("revision", ""), ("branch", ""), ("goversion", "")];
    sheet.add(
        "build_info",
        "A metric with a constant '1' value labeled by version, revision, branch and goversion.",
        Kind::Gauge,
        &[(&version, 1.0)],
    );
}

fn of_core(core: &Core, now: Timestamp, sheet: &mut Sheet<'_>) {
    let count = |state: SilenceState| core.silences().count(state, now) as f64;
    sheet.add(
        "silences",
        "How many silences by state.",
        Kind::Gauge,
        &[
            (&[("state", "active")], count(SilenceState::Active)),
            (&[("state", "pending")], count(SilenceState::Pending)),
            (&[("state", "expired")], count(SilenceState::Expired)),
        ],
    );
    let marked = core.alerts().marked(now);
    for name in ["alerts", "marked_alerts"] {
        sheet.add(
            name,
            "How many alerts by state.",
            Kind::Gauge,
            &[
                (&[("state", "active")], marked.active as f64),
                (&[("state", "suppressed")], marked.suppressed as f64),
                (&[("state", "unprocessed")], marked.unprocessed as f64),
            ],
        );
    }
    let limits = core.alerts().limits();
    sheet.gauge(
        "alerts_per_alert_limit",
        "The most alerts of one name that are taken.",
        limits.per_name as f64,
    );
    sheet.counter(
        "alerts_limited_total",
        "Alerts that were not taken because there were too many, of their name or in all.",
        core.alerts().limited(),
    );
    sheet.gauge(
        "dispatcher_aggregation_groups",
        "Number of active aggregation groups.",
        core.group_count() as f64,
    );
    sheet.counter(
        "dispatcher_aggregation_group_limit_reached_total",
        "Number of times when dispatcher failed to create new aggregation group due to limit.",
        core.groups_refused(),
    );
    let by = core.suppressed();
    sheet.add("notifications_suppressed_total", "The total number of notifications suppressed for being silenced, inhibited, outside of active time intervals or within muted time intervals.", Kind::Counter, &[
        (&[("reason", "silence")], by.silence as f64),
        (&[("reason", "inhibition")], by.inhibition as f64),
        (&[("reason", "mute_time_interval")], by.mute_interval as f64),
        (&[("reason", "active_time_interval")], by.active_interval as f64),
    ]);
    let (log, silences) = core.queries();
    sheet.counter("nflog_queries_total", "How many times the log of notifications was asked.", log);
    sheet.counter("silences_queries_total", "How many times silences were asked about an alert.", silences);
    // Neither can fail here.
    sheet.counter("nflog_query_errors_total", "How many times asking the log of notifications failed.", 0);
    sheet.counter("silences_query_errors_total", "How many times asking silences failed.", 0);
    if let Some(times) = core.query_times() {
        let log = "How long it takes to look up what an integration was told last.";
        sheet.histogram("nflog_query_duration_seconds", log, &times.log);
        let silences = "How long it takes to match the alerts of a group against silences.";
        sheet.histogram("silences_query_duration_seconds", silences, &times.silences);
    }
    let known = core.silences().iter().count() as f64;
    sheet.gauge("silences_state_size", "The number of silences, expired ones included.", known);
}

fn of_state(name: &str, metrics: &StateMetrics, sheet: &mut Sheet<'_>) {
    let bytes = metrics.snapshot_bytes.load(Ordering::Relaxed);
    let named = |what: &str| format!("{name}_{what}");
    sheet.gauge(&named("snapshot_size_bytes"), "Size of the last snapshot in bytes.", bytes as f64);
    sheet.summary(&named("snapshot_duration_seconds"), "Duration of the last snapshot.", &metrics.snapshot);
    sheet.summary(&named("gc_duration_seconds"), "Duration of the last garbage collection.", &metrics.gc);
    sheet.counter(
        &named("maintenance_total"),
        "How many maintenances were executed.",
        metrics.maintained.get(),
    );
    sheet.counter(
        &named("maintenance_errors_total"),
        "How many maintenances were executed that failed.",
        metrics.failed.get(),
    );
    sheet.counter(
        &named("damaged_total"),
        "How many damages of files and unreadable records were found and set aside.",
        metrics.damaged.get(),
    );
}

/// What was sent; integrations that are configured are there from the start.
fn of_notifications(
    manager: &Alertmanager,
    tallies: &BTreeMap<Arc<IntegrationKey>, Tally>,
    families: &mut Vec<Family>,
) {
    let with_receiver = manager.options.receivers_in_metrics;
    let place =
        |key: &IntegrationKey| (key.kind, if with_receiver { key.receiver.clone() } else { String::new() });
    let mut told: BTreeMap<(&'static str, String), Tally> = BTreeMap::new();
    manager.loaded.load().channels.keys().for_each(|key| {
        told.entry(place(key)).or_default();
    });
    for (key, tally) in tallies {
        let sum = told.entry(place(key)).or_default();
        sum.begun += tally.begun;
        tally.failed.iter().for_each(|(reason, count)| *sum.failed.entry(reason).or_default() += count);
    }
    let family = |name: &str, help: &str, kind| Family::new(format!("alertmanager_{name}"), help, kind);
    let mut all =
        family("notifications_total", "The total number of attempted notifications.", Kind::Counter);
    let mut failed =
        family("notifications_failed_total", "The total number of failed notifications.", Kind::Counter);
    for ((kind, receiver), tally) in &told {
        let mut labels = vec![("integration", *kind)];
        if with_receiver {
            labels.push(("receiver_name", receiver));
        }
        all.push(&labels, tally.begun as f64);
        for reason in REASONS {
            labels.push(("reason", reason));
            failed.push(&labels, tally.failed.get(reason).copied().unwrap_or_default() as f64);
            labels.pop();
        }
    }
    families.extend([all, failed]);
    of_requests(manager, told.into_keys().collect(), &place, families);
}

fn of_requests(
    manager: &Alertmanager,
    places: Vec<(&'static str, String)>,
    place: &dyn Fn(&IntegrationKey) -> (&'static str, String),
    families: &mut Vec<Family>,
) {
    let family = |name: &str, help: &str, kind| Family::new(format!("alertmanager_{name}"), help, kind);
    let mut all = family(
        "notification_requests_total",
        "The total number of attempted notification requests.",
        Kind::Counter,
    );
    let mut failed = family(
        "notification_requests_failed_total",
        "The total number of failed notification requests.",
        Kind::Counter,
    );
    let mut latency =
        family("notification_latency_seconds", "The latency of notifications in seconds.", Kind::Histogram);
    let requests = manager.metrics.requests.lock();
    for (kind, receiver) in places {
        let mut labels = vec![("integration", kind)];
        if !receiver.is_empty() {
            labels.push(("receiver_name", &receiver));
        }
        let of_place = || requests.iter().filter(|(key, _)| place(key) == (kind, receiver.clone()));
        all.push(&labels, of_place().map(|(_, requests)| requests.all).sum::<u64>() as f64);
        failed.push(&labels, of_place().map(|(_, requests)| requests.failed).sum::<u64>() as f64);
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let value = joined(of_place().map(|(_, requests)| &requests.latency));
        latency.points.push(Point { labels, value });
    }
    families.extend([all, failed, latency]);
}

/// One histogram of several with the same bounds.
fn joined<'h>(histograms: impl Iterator<Item = &'h Histogram>) -> base::metrics::Value {
    use base::metrics::Value;
    let mut sum = Histogram::new(&LATENCY_S).value();
    for histogram in histograms {
        if let (
            Value::Histogram { buckets, sum, count },
            Value::Histogram { buckets: more, sum: s, count: c },
        ) = (&mut sum, histogram.value())
        {
            buckets.iter_mut().zip(more).for_each(|(bucket, more)| bucket.1 += more.1);
            *sum += s;
            *count += c;
        }
    }
    sum
}
