//! What delivery publishes about itself, under Prometheus's names.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Point, Registry, Summary, Value};
use parking_lot::Mutex;

/// All of it. Clones share the values.
#[derive(Clone)]
pub(super) struct NotifyMetrics {
    discovered: Gauge,
    peers: Arc<Mutex<BTreeMap<String, Arc<PeerMetrics>>>>,
}

/// What is published about one Alertmanager.
#[derive(Debug)]
pub(super) struct PeerMetrics {
    pub latency: Summary,
    pub latency_histogram: Histogram,
    pub errors: Counter,
    pub sent: Counter,
    pub dropped: Counter,
    pub queue_length: Gauge,
}

impl Default for PeerMetrics {
    fn default() -> Self {
        Self {
            latency: Summary::new(&[0.5, 0.9, 0.99]),
            latency_histogram: Histogram::new(&[0.01, 0.1, 1.0, 10.0]),
            errors: Counter::default(),
            sent: Counter::default(),
            dropped: Counter::default(),
            queue_length: Gauge::default(),
        }
    }
}

type Read = fn(&PeerMetrics) -> Value;

const OF_PEERS: [(&str, &str, Kind, Read); 6] = [
    (
        "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.",
        Kind::Counter,
        |peer| Value::Number(peer.dropped.get() as f64),
    ),
    (
        "prometheus_notifications_errors_total",
        "Total number of sent alerts affected by errors.",
        Kind::Counter,
        |peer| Value::Number(peer.errors.get() as f64),
    ),
    (
        "prometheus_notifications_latency_histogram_seconds",
        "Latency histogram for sending alert notifications.",
        Kind::Histogram,
        |peer| peer.latency_histogram.value(),
    ),
    (
        "prometheus_notifications_latency_seconds",
        "Latency quantiles for sending alert notifications.",
        Kind::Summary,
        |peer| peer.latency.value(),
    ),
    (
        "prometheus_notifications_queue_length",
        "The number of alert notifications in the queue.",
        Kind::Gauge,
        |peer| Value::Number(peer.queue_length.get()),
    ),
    ("prometheus_notifications_sent_total", "Total number of alerts sent.", Kind::Counter, |peer| {
        Value::Number(peer.sent.get() as f64)
    }),
];

impl NotifyMetrics {
    pub fn new(registry: &Registry, queue_capacity: usize) -> Self {
        let capacity = registry.gauge(
            "prometheus_notifications_queue_capacity",
            "The capacity of the alert notifications queue.",
            &[],
        );
        capacity.set(queue_capacity as f64);
        let discovered = registry.gauge(
            "prometheus_notifications_alertmanagers_discovered",
            "The number of alertmanagers discovered and active.",
            &[],
        );
        let metrics = Self { discovered, peers: Arc::default() };
        let peers = metrics.peers.clone();
        registry.collect_with(move |families| publish(&peers.lock(), families));
        metrics
    }

    pub fn set_discovered(&self, count: usize) {
        self.discovered.set(count as f64);
    }

    /// The metrics of the Alertmanager at `url`.
    pub fn peer(&self, url: &str) -> Arc<PeerMetrics> {
        self.peers.lock().entry(url.to_owned()).or_default().clone()
    }

    /// No longer publishes anything about the Alertmanager at `url`.
    pub fn forget(&self, url: &str) {
        let mut peers = self.peers.lock();
        // Another set may tell the same Alertmanager: the map and that queue hold it besides this one.
        if peers.get(url).is_some_and(|peer| Arc::strong_count(peer) <= 2) {
            peers.remove(url);
        }
    }
}

fn publish(peers: &BTreeMap<String, Arc<PeerMetrics>>, families: &mut Vec<Family>) {
    if peers.is_empty() {
        return;
    }
    for (name, help, kind, read) in OF_PEERS {
        let mut family = Family::new(name, help, kind);
        family.points = peers
            .iter()
            .map(|(url, peer)| Point {
                labels: vec![("alertmanager".to_owned(), url.clone())],
                value: read(peer),
            })
            .collect();
        families.push(family);
    }
}
