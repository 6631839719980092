//! What is published about requests: Loki's names, as its dashboards and alerts use them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use base::metrics::{Family, Histogram, Kind, Point, Registry};
use parking_lot::Mutex;

use super::Logs;

/// Bounds of the durations of requests, in seconds.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0];

/// Method, route and status of requests that are counted together.
type Key = (String, String, u16);

/// Durations of requests. Clones share them.
#[derive(Debug, Clone)]
pub struct LokiMetrics(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    durations: Mutex<BTreeMap<Key, Histogram>>,
    in_flight: AtomicU64,
    followers: AtomicU64,
    panics: AtomicU64,
}

impl LokiMetrics {
    /// Durations that `registry` publishes, with the version that is told.
    pub fn new(registry: &Registry, version: &str) -> Self {
        let counts = Arc::<Counts>::default();
        let (shared, version) = (Arc::clone(&counts), version.to_owned());
        registry.collect_with(move |families| {
            families.push(durations(&shared));
            let build = [("version", version.as_str()), ("revision", ""), ("branch", ""), ("goversion", "")];
            let help = "A metric with a constant '1' value labeled by the version in whose seat this is.";
            families.push(Family::new("loki_build_info", help, Kind::Gauge).with(&build, 1.0));
            let panics = shared.panics.load(Ordering::Relaxed);
            let help = "The total number of panics triggered.";
            families.push(Family::new("loki_panic_total", help, Kind::Counter).with(&[], panics as f64));
            let gauge = |name: &str, help: &str, value: &AtomicU64| {
                Family::new(name, help, Kind::Gauge).with(&[], value.load(Ordering::Relaxed) as f64)
            };
            families.push(gauge(
                "loki_inflight_requests",
                "Current number of inflight requests.",
                &shared.in_flight,
            ));
            families.push(gauge("loki_querier_tail_active", "Number of active tailers.", &shared.followers));
        });
        Self(counts)
    }

    pub(super) fn follows(&self, followers: usize) {
        self.0.followers.store(followers as u64, Ordering::Relaxed);
    }

    pub(super) fn panicked(&self) {
        self.0.panics.fetch_add(1, Ordering::Relaxed);
    }

    fn observe(&self, key: Key, seconds: f64) {
        let mut durations = self.0.durations.lock();
        durations.entry(key).or_insert_with(|| Histogram::new(&BOUNDS)).observe(seconds);
    }
}

fn durations(counts: &Counts) -> Family {
    let help = "Time (in seconds) spent serving HTTP requests.";
    let mut family = Family::new("loki_request_duration_seconds", help, Kind::Histogram);
    for ((method, route, status), histogram) in counts.durations.lock().iter() {
        let is_live = if route.ends_with("_tail") { "true" } else { "false" };
        let status = status.to_string();
        let labels =
            [("method", method.as_str()), ("route", route), ("status_code", &status), ("ws", is_live)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        family.points.push(Point { labels, value: histogram.value() });
    }
    family
}

/// The name dashboards know a route by: `/loki/api/v1/label/{name}/values` is `loki_api_v1_label_name_values`.
fn route_name(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.trim_matches('/').chars() {
        match c {
            '{' | '}' => {}
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            _ => out.push('_'),
        }
    }
    out
}

/// Methods that are told apart: clients may send any word.
fn method_name(method: &Method) -> String {
    let known = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if known.contains(method) { method.as_str().to_owned() } else { "other".to_owned() }
}

/// One of the requests that are worked on.
struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Measures requests.
pub(super) async fn observe(State(state): State<Logs>, request: Request, next: Next) -> Response {
    let Some(metrics) = state.metrics.clone() else { return next.run(request).await };
    let route = request.extensions().get::<MatchedPath>().map(|path| route_name(path.as_str()));
    let method = method_name(request.method());
    let began = state.clock.monotonic();
    metrics.0.in_flight.fetch_add(1, Ordering::Relaxed);
    let in_flight = InFlight(&metrics.0.in_flight);
    let response = next.run(request).await;
    drop(in_flight);
    let seconds = state.clock.monotonic().saturating_sub(began).as_secs_f64();
    metrics
        .observe((method, route.unwrap_or_else(|| "other".to_owned()), response.status().as_u16()), seconds);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_the_names_dashboards_know() {
        assert_eq!(route_name("/loki/api/v1/push"), "loki_api_v1_push");
        assert_eq!(route_name("/loki/api/v1/label/{name}/values"), "loki_api_v1_label_name_values");
        assert_eq!(route_name("/otlp/v1/logs"), "otlp_v1_logs");
    }
}
