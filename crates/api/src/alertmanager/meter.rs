//! Requests to the seat: how long they take and how large the answers are.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base::metrics::{Histogram, Registry};
use hyper::body::Body as _;
use parking_lot::Mutex;
use tokio::time::Instant;

const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BYTES: [f64; 7] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

/// Costs of requests, by path as routed, of which there are few whatever clients ask for.
pub(super) struct Meter {
    registry: Registry,
    prefix: String,
    durations: Mutex<HashMap<(String, String, u16), Histogram>>,
    sizes: Mutex<HashMap<(String, String), Histogram>>,
}

impl Meter {
    pub fn new(registry: &Registry, prefix: &str) -> Arc<Self> {
        Arc::new(Self {
            registry: registry.clone(),
            prefix: prefix.to_owned(),
            durations: Mutex::default(),
            sizes: Mutex::default(),
        })
    }

    fn observe(&self, path: &str, method: &str, response: &Response, seconds: f64) {
        let code = response.status().as_u16();
        let mut durations = self.durations.lock();
        let duration = durations.entry((path.to_owned(), method.to_owned(), code)).or_insert_with(|| {
            self.registry.histogram(
                "alertmanager_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests.",
                &[("handler", path), ("method", method), ("code", &code.to_string())],
                &SECONDS,
            )
        });
        duration.observe(seconds);
        drop(durations);
        let Some(bytes) = response.body().size_hint().exact() else { return };
        let mut sizes = self.sizes.lock();
        let size = sizes.entry((path.to_owned(), method.to_owned())).or_insert_with(|| {
            self.registry.histogram(
                "alertmanager_http_response_size_bytes",
                "Histogram of response size for HTTP requests.",
                &[("handler", path), ("method", method)],
                &BYTES,
            )
        });
        size.observe(bytes as f64);
    }
}

/// Measures a request until its answer begins.
pub(super) async fn measure(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return next.run(request).await };
    let path = path.as_str();
    let path = path.strip_prefix(&meter.prefix).unwrap_or(path).to_owned();
    // Methods are made up freely; the table must not grow with them.
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "DELETE" | "PUT" | "HEAD" | "OPTIONS" | "PATCH") => known.to_lowercase(),
        _ => "unknown".to_owned(),
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    meter.observe(&path, &method, &response, begun.elapsed().as_secs_f64());
    response
}
