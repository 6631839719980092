//! Metrics under Alertmanager's names.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Point, Registry};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::Alertmanager;
use crate::core::Delivery;
use crate::notify::SendError;
use crate::silence::SilenceState;

/// Upper bounds of how long a request takes, in seconds.
const LATENCY_S: [f64; 6] = [1.0, 5.0, 10.0, 15.0, 20.0, 60.0];
/// Kinds of failures.
const REASONS: [&str; 7] = [
    "other",
    "clientError",
    "serverError",
    "contextCanceled",
    "contextDeadlineExceeded",
    "authError",
    "rateLimited",
];

#[derive(Debug)]
struct Sent {
    notifications: u64,
    requests: u64,
    failed_requests: u64,
    failed: BTreeMap<&'static str, u64>,
    latency: Histogram,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            notifications: 0,
            requests: 0,
            failed_requests: 0,
            failed: REASONS.iter().map(|reason| (*reason, 0)).collect(),
            latency: Histogram::new(&LATENCY_S),
        }
    }
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    firing: Counter,
    resolved: Counter,
    invalid: Counter,
    sent: Mutex<BTreeMap<&'static str, Sent>>,
    load_succeeded: Gauge,
    loaded_at_s: Gauge,
    maintenance: Counter,
    failed_silences: Counter,
    failed_log: Counter,
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

    pub fn maintained(&self) {
        self.maintenance.inc();
    }

    pub fn maintenance_failed(&self, what: &str) {
        if what == "nflog" { self.failed_log.inc() } else { self.failed_silences.inc() }
    }

    /// Notes an attempt to send.
    pub fn attempted(&self, delivery: &Delivery, error: Option<&SendError>, took: Duration) {
        let mut sent = self.sent.lock();
        let sent = sent.entry(delivery.integration.kind).or_default();
        sent.requests += 1;
        sent.notifications += u64::from(delivery.attempt == 1);
        sent.latency.observe(took.as_secs_f64());
        if let Some(error) = error {
            sent.failed_requests += 1;
            if !error.retry {
                *sent.failed.entry(error.reason).or_default() += 1;
            }
        }
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

fn collect(manager: &Alertmanager, families: &mut Vec<Family>) {
    let metrics = &manager.metrics;
    let mut add = |name: &str, help: &str, kind, points: &[(&[(&str, &str)], f64)]| {
        let mut family = Family::new(format!("alertmanager_{name}"), help, kind);
        points.iter().for_each(|(labels, value)| family.push(labels, *value));
        families.push(family);
    };
    let settings = manager.settings();
    add(
        "config_hash",
        "Hash of the currently loaded alertmanager configuration.",
        Kind::Gauge,
        &[(&[], (settings.bytes_hash() >> 16) as f64)],
    );
    add(
        "config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
        Kind::Gauge,
        &[(&[], metrics.load_succeeded.get())],
    );
    add(
        "config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
        Kind::Gauge,
        &[(&[], metrics.loaded_at_s.get())],
    );
    add(
        "alerts_received_total",
        "The total number of received alerts.",
        Kind::Counter,
        &[
            (&[("status", "firing"), ("version", "v2")], metrics.firing.get() as f64),
            (&[("status", "resolved"), ("version", "v2")], metrics.resolved.get() as f64),
        ],
    );
    add(
        "alerts_invalid_total",
        "The total number of received alerts that were invalid.",
        Kind::Counter,
        &[(&[("version", "v2")], metrics.invalid.get() as f64)],
    );
    add(
        "receivers",
        "Number of configured receivers.",
        Kind::Gauge,
        &[(&[], settings.receivers.len() as f64)],
    );
    add(
        "integrations",
        "Number of configured integrations.",
        Kind::Gauge,
        &[(&[], manager.loaded.load().channels.len() as f64)],
    );
    add("cluster_enabled", "Indicates whether the clustering is enabled or not.", Kind::Gauge, &[(&[], 0.0)]);
    let version =
        [("version", env!("CARGO_PKG_VERSION")), ("revision", ""), ("branch", ""), ("goversion", "")];
    add(
        "build_info",
        "A metric with a constant '1' value labeled by version, revision, branch and goversion.",
        Kind::Gauge,
        &[(&version, 1.0)],
    );
    let now = manager.now();
    manager.with_core(|core| {
        let count = |state: SilenceState| core.silences().count(state, now) as f64;
        add("silences", "How many silences by state.", Kind::Gauge, &[
            (&[("state", "active")], count(SilenceState::Active)),
            (&[("state", "pending")], count(SilenceState::Pending)),
            (&[("state", "expired")], count(SilenceState::Expired)),
        ]);
        let suppresses = |alert: &Arc<crate::alert::Alert>| {
            let by = core.suppression(&alert.labels, now);
            !by.silenced_by.is_empty() || by.inhibited_by.is_some()
        };
        let firing: Vec<_> = core.alerts().iter().filter(|alert| !alert.is_resolved(now)).collect();
        let suppressed = firing.iter().filter(|alert| suppresses(alert)).count();
        let active = firing.len() - suppressed;
        for name in ["alerts", "marked_alerts"] {
            add(name, "How many alerts by state.", Kind::Gauge, &[
                (&[("state", "active")], active as f64),
                (&[("state", "suppressed")], suppressed as f64),
                (&[("state", "unprocessed")], 0.0),
            ]);
        }
        add("alerts_limited_total", "Total number of alerts that were dropped due to per alert name limit.", Kind::Counter, &[(&[], core.alerts().limited() as f64)]);
        add("dispatcher_aggregation_groups", "Number of active aggregation groups.", Kind::Gauge, &[(&[], core.group_count() as f64)]);
        let by = core.suppressed();
        add("notifications_suppressed_total", "The total number of notifications suppressed for being silenced, inhibited, outside of active time intervals or within muted time intervals.", Kind::Counter, &[
            (&[("reason", "silence")], by.silence as f64),
            (&[("reason", "inhibition")], by.inhibition as f64),
            (&[("reason", "mute_time_interval")], by.mute_interval as f64),
            (&[("reason", "active_time_interval")], by.active_interval as f64),
        ]);
    });
    let (silences, log) = manager.snapshot_bytes();
    let maintained = metrics.maintenance.get() as f64;
    for (name, bytes, failed) in
        [("silences", silences, &metrics.failed_silences), ("nflog", log, &metrics.failed_log)]
    {
        add(
            &format!("{name}_snapshot_size_bytes"),
            "Size of the last snapshot in bytes.",
            Kind::Gauge,
            &[(&[], bytes as f64)],
        );
        add(
            &format!("{name}_maintenance_total"),
            "How many maintenances were executed.",
            Kind::Counter,
            &[(&[], maintained)],
        );
        add(
            &format!("{name}_maintenance_errors_total"),
            "How many maintenances were executed that failed.",
            Kind::Counter,
            &[(&[], failed.get() as f64)],
        );
    }
    sent(manager, families);
}

/// What was sent, by kind of integration; kinds that are configured are there from the start.
fn sent(manager: &Alertmanager, families: &mut Vec<Family>) {
    let mut sent = manager.metrics.sent.lock();
    manager.loaded.load().channels.keys().for_each(|key| {
        sent.entry(key.kind).or_default();
    });
    let family = |name: &str, help: &str, kind| Family::new(format!("alertmanager_{name}"), help, kind);
    let mut all =
        family("notifications_total", "The total number of attempted notifications.", Kind::Counter);
    let mut failed =
        family("notifications_failed_total", "The total number of failed notifications.", Kind::Counter);
    let mut requests = family(
        "notification_requests_total",
        "The total number of attempted notification requests.",
        Kind::Counter,
    );
    let mut failed_requests = family(
        "notification_requests_failed_total",
        "The total number of failed notification requests.",
        Kind::Counter,
    );
    let mut latency =
        family("notification_latency_seconds", "The latency of notifications in seconds.", Kind::Histogram);
    for (kind, sent) in &*sent {
        let labels = [("integration", *kind)];
        all.push(&labels, sent.notifications as f64);
        requests.push(&labels, sent.requests as f64);
        failed_requests.push(&labels, sent.failed_requests as f64);
        for (reason, count) in &sent.failed {
            failed.push(&[("integration", kind), ("reason", reason)], *count as f64);
        }
        let labels = vec![("integration".to_owned(), (*kind).to_owned())];
        latency.points.push(Point { labels, value: sent.latency.value() });
    }
    families.extend([all, failed, requests, failed_requests, latency]);
}
