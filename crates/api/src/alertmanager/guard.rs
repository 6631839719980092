//! What stands before the handlers: the form of requests, and how many there may be at once.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::metrics::{Counter, Gauge, Registry};
use tokio::sync::Semaphore;

use super::failure::Failure;

/// The methods of a path below the API; none when there is no such path.
pub(super) fn methods(path: &str) -> &'static [&'static str] {
    match path {
        "/status"
        | "/receivers"
        | "/alerts/groups"
        | "/explain"
        | "/routes"
        | "/notifications"
        | super::description::PATH => &["GET"],
        "/silences" | "/alerts" => &["GET", "POST"],
        _ => match path.strip_prefix("/silence/") {
            Some(id) if !id.is_empty() && !id.contains('/') => &["DELETE", "GET"],
            _ => &[],
        },
    }
}

/// Refuses what is of no form the API knows.
pub(super) async fn check_form(request: Request, next: Next) -> Response {
    let allowed = methods(request.uri().path());
    if allowed.is_empty() {
        let path = request
            .extensions()
            .get::<OriginalUri>()
            .map_or_else(|| request.uri().path().to_owned(), |OriginalUri(uri)| uri.path().to_owned());
        let message = format!("path {path} was not found");
        return Failure::Object(StatusCode::NOT_FOUND, 404, message).into_response();
    }
    if !allowed.contains(&request.method().as_str()) {
        return Failure::Method(request.method().to_string(), allowed).into_response();
    }
    if request.method() == Method::POST
        && let Err(failure) = check_type(&request)
    {
        return failure.into_response();
    }
    next.run(request).await
}

fn check_type(request: &Request) -> Result<(), Failure> {
    let given = request.headers().get(header::CONTENT_TYPE);
    let given = given.map_or("application/octet-stream", |kind| kind.to_str().unwrap_or_default());
    let mut parts = given.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    if let Some(part) = parts.find(|part| !part.contains('=')) {
        let why = format!("failed, because {part:?} is no parameter");
        let given = model::labels::Quoted(given);
        let message = format!("parsing Content-Type header from {given} {why}");
        return Err(Failure::Object(StatusCode::BAD_REQUEST, 400, message));
    }
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("unsupported media type {:?}, only [application/json] are allowed", kind);
    Err(Failure::Object(StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, message))
}

/// Limits of requests.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// How many that look at something may be answered at once.
    pub concurrent_gets: usize,
    /// How long one may take; zero for no limit.
    pub timeout: Duration,
}

impl RequestLimits {
    /// The limits of flags: a number that is not positive stands for one that fits the machine.
    pub fn new(concurrent_gets: i64, timeout: Duration) -> Self {
        let fitting = || std::thread::available_parallelism().map_or(8, |cores| cores.get().max(8));
        let given = usize::try_from(concurrent_gets).ok().filter(|count| *count > 0);
        Self { concurrent_gets: given.unwrap_or_else(fitting), timeout }
    }
}

/// What keeps requests within their limits.
#[derive(Debug)]
pub(super) struct Gate {
    limits: RequestLimits,
    slots: Semaphore,
    in_flight: Gauge,
    refused: Counter,
}

impl Gate {
    pub fn new(limits: RequestLimits, registry: &Registry) -> Arc<Self> {
        let labels = [("method", "get")];
        Arc::new(Self {
            limits,
            slots: Semaphore::new(limits.concurrent_gets),
            in_flight: registry.gauge(
                "alertmanager_http_requests_in_flight",
                "Current number of HTTP requests being processed.",
                &labels,
            ),
            refused: registry.counter(
                "alertmanager_http_concurrency_limit_exceeded_total",
                "Total number of times an HTTP request failed because the concurrency limit was reached.",
                &labels,
            ),
        })
    }
}

/// A request that looks at something, while it does.
struct InFlight<'g>(&'g Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

/// Keeps requests within their limits.
pub(super) async fn limit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut slot = None;
    let mut in_flight = None;
    if request.method() == Method::GET {
        slot = gate.slots.try_acquire().ok();
        if slot.is_none() {
            gate.refused.inc();
            let most = gate.limits.concurrent_gets;
            let message = format!("Limit of concurrent GET requests reached ({most}), try again later.\n");
            return (StatusCode::SERVICE_UNAVAILABLE, message).into_response();
        }
        gate.in_flight.add(1.0);
        in_flight = Some(InFlight(&gate.in_flight));
    }
    let timeout = gate.limits.timeout;
    let answer = if timeout.is_zero() {
        next.run(request).await
    } else {
        match tokio::time::timeout(timeout, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let timeout = config::alertmanager::values::GoDuration::from_secs(timeout.as_secs());
                let message = format!("Exceeded configured timeout of {timeout}.\n");
                (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
            }
        }
    };
    drop((slot, in_flight));
    answer
}
