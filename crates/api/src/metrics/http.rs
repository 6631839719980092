//! Requests by path: how many, how long, how large.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base::clock::SharedClock;
use base::metrics::{Counter, Histogram, Registry};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

use crate::state::ApiState;

const SECONDS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
const BYTES: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Costs of requests. Clones share them.
#[derive(Clone)]
pub struct HttpMetrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    clock: SharedClock,
    route_prefix: String,
    /// By path as routed, of which there are few whatever clients ask for.
    handlers: Mutex<HashMap<String, Handler>>,
}

#[derive(Clone)]
struct Handler {
    /// By status code.
    requests: HashMap<u16, Counter>,
    duration: Histogram,
    size: Histogram,
}

impl HttpMetrics {
    /// Publishes in the state's registry.
    pub fn new(state: &ApiState) -> Self {
        let (registry, clock) = (state.registry.clone(), state.clock.clone());
        let (route_prefix, handlers) = (state.options.route_prefix.clone(), Mutex::default());
        Self { inner: Arc::new(Inner { registry, clock, route_prefix, handlers }) }
    }

    fn observe(&self, path: &str, status: u16, duration: Duration, bytes: u64) {
        let mut handlers = self.inner.handlers.lock();
        let registry = &self.inner.registry;
        let handler = handlers.entry(path.to_owned()).or_insert_with(|| {
            let labels = [("handler", path)];
            let duration =
                ("prometheus_http_request_duration_seconds", "Histogram of latencies for HTTP requests.");
            let size =
                ("prometheus_http_response_size_bytes", "Histogram of response size for HTTP requests.");
            Handler {
                requests: HashMap::new(),
                duration: registry.histogram(duration.0, duration.1, &labels, &SECONDS),
                size: registry.histogram(size.0, size.1, &labels, &BYTES),
            }
        });
        let requests = handler.requests.entry(status).or_insert_with(|| {
            let labels = [("code", &*status.to_string()), ("handler", path)];
            registry.counter("prometheus_http_requests_total", "Counter of HTTP requests.", &labels)
        });
        requests.inc();
        handler.duration.observe(duration.as_secs_f64());
        handler.size.observe(bytes as f64);
    }
}

/// Measures a request until the last byte of its answer is taken, or the client goes away.
pub async fn measure(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return next.run(request).await };
    let path = path.as_str();
    // Paths are published as Prometheus writes them: without the prefix, parameters with a colon.
    let path = path.strip_prefix(&metrics.inner.route_prefix).unwrap_or(path);
    let path = path.replace('{', ":").replace('}', "");
    let started = metrics.inner.clock.monotonic();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    response.map(|body| Body::new(Measured { body, metrics, path, status, started, bytes: 0 }))
}

/// A body that reports when it ends.
struct Measured {
    body: Body,
    metrics: HttpMetrics,
    path: String,
    status: u16,
    started: Duration,
    bytes: u64,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.bytes += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let duration = self.metrics.inner.clock.monotonic().saturating_sub(self.started);
        self.metrics.observe(&self.path, self.status, duration, self.bytes);
    }
}
