//! What requests cost, under Prometheus's names.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Point, Registry, Value};
use parking_lot::Mutex;

const BOUNDS_SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0];

/// The metrics of all clients there are.
#[derive(Debug, Clone, Default)]
pub struct ReadMetrics(Arc<Mutex<Vec<Weak<Client>>>>);

#[derive(Debug)]
struct Client {
    name: String,
    url: String,
    queries: Gauge,
    /// By kind of answer and status code.
    total: Mutex<BTreeMap<(&'static str, String), Counter>>,
    seconds: Mutex<BTreeMap<&'static str, Histogram>>,
}

/// The metrics of one client; published as long as it lives.
#[derive(Debug)]
pub(super) struct ClientMetrics(Arc<Client>);

/// A request on its way.
#[derive(Debug)]
pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

impl ReadMetrics {
    /// Publishes the metrics of all clients to come.
    pub fn new(registry: &Registry) -> Self {
        let metrics = Self::default();
        let shared = metrics.clone();
        registry.collect_with(move |families| shared.collect(families));
        metrics
    }

    /// The metrics of a client. One that is made anew, as a reload does, goes on where the old one is.
    pub(super) fn client(&self, name: &str, url: &str) -> ClientMetrics {
        let mut clients = self.0.lock();
        clients.retain(|client| client.strong_count() > 0);
        let known = clients.iter().filter_map(Weak::upgrade).find(|c| c.name == name && c.url == url);
        let client = known.unwrap_or_else(|| {
            let client = Arc::new(Client {
                name: name.to_owned(),
                url: url.to_owned(),
                queries: Gauge::default(),
                total: Mutex::default(),
                seconds: Mutex::default(),
            });
            clients.push(Arc::downgrade(&client));
            client
        });
        ClientMetrics(client)
    }

    fn collect(&self, families: &mut Vec<Family>) {
        let clients: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        if clients.is_empty() {
            return;
        }
        let family = |name: &str, help: &str, kind| {
            Family::new(format!("prometheus_remote_read_client_{name}"), help, kind)
        };
        let mut queries = family("queries", "The number of in-flight remote read queries.", Kind::Gauge);
        let mut total = family("queries_total", "The total number of remote read queries.", Kind::Counter);
        let mut seconds = family(
            "request_duration_seconds",
            "Histogram of the latency for remote read requests. Note that for streamed responses this is only the duration of the initial call and does not include the processing of the stream.",
            Kind::Histogram,
        );
        for client in clients {
            let point = |more: &[(&str, &str)], value| {
                let own = [("remote_name", client.name.as_str()), ("url", client.url.as_str())];
                let labels = own.iter().chain(more).map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
                Point { labels: labels.collect(), value }
            };
            queries.points.push(point(&[], Value::Number(client.queries.get())));
            for ((kind, code), count) in &*client.total.lock() {
                let labels = [("response_type", *kind), ("code", code.as_str())];
                total.points.push(point(&labels, Value::Number(count.get() as f64)));
            }
            for (kind, histogram) in &*client.seconds.lock() {
                seconds.points.push(point(&[("response_type", *kind)], histogram.value()));
            }
        }
        families.extend([queries, total, seconds].into_iter().filter(|family| !family.points.is_empty()));
    }
}

impl ClientMetrics {
    pub fn begin(&self) -> InFlight {
        self.0.queries.add(1.0);
        InFlight(self.0.queries.clone())
    }

    /// An answer of this kind began after so many seconds.
    pub fn waited(&self, kind: &'static str, seconds: f64) {
        let mut all = self.0.seconds.lock();
        all.entry(kind).or_insert_with(|| Histogram::new(&BOUNDS_SECONDS)).observe(seconds);
    }

    /// An answer of this kind ended with this status.
    pub fn counted(&self, kind: &'static str, code: &str) {
        self.0.total.lock().entry((kind, code.to_owned())).or_default().inc();
    }

    pub fn answered(&self, kind: &'static str, code: &str, seconds: f64) {
        self.waited(kind, seconds);
        self.counted(kind, code);
    }
}
