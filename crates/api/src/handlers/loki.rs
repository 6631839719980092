//! The API of log stores: `/loki/api/v1`, `/otlp/v1/logs` and what is left of `/api/prom`.
//!
//! It meets storage in [`model::logs::LogSource`] and in the traits here. In reading order: this file (what handlers
//! need, and which path leads where), [`params`] and [`respond`] (requests in, answers out), [`query`], [`encode`],
//! [`streams`] (labels and series), [`index`] (volumes), [`detect`] (fields and patterns), [`push`], [`tail`],
//! [`legacy`].

mod detect;
mod encode;
mod index;
mod legacy;
mod params;
mod push;
mod query;
mod respond;
mod stats;
mod streams;
mod system;
mod tail;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base::clock::SharedClock;
use base::{ByteBudget, ErrorKind};
use bytes::Bytes;
use model::logs::LogSource;
use model::{QueryContext, TenantId};
use wire::loki::PushRequest;

use self::respond::Failure;
use super::CancelOnDrop;
use super::write::{plain, tenant_of};

/// Stores what is pushed.
pub trait LogPush: Send + Sync {
    /// Stores a request as log shippers send it. Blocks until it is durable.
    fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<(), LogPushProblem>;

    /// Stores a request of OpenTelemetry in protobuf. Blocks until it is durable.
    fn push_otlp(&self, tenant: &TenantId, body: &[u8]) -> Result<(), LogPushProblem>;

    /// Writes what is in memory to where it stays. Blocks.
    fn flush(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether pushes and queries are answered yet.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Why a push was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPushProblem {
    /// What the sender can do.
    pub kind: ErrorKind,
    /// Whether there was nothing to store.
    pub is_empty: bool,
    /// What is wrong.
    pub text: String,
    /// When to come again.
    pub retry_after: Option<Duration>,
}

impl LogPushProblem {
    /// The status of the answer.
    fn status(&self) -> u16 {
        match self.kind {
            _ if self.is_empty => 422,
            ErrorKind::InvalidInput => 400,
            ErrorKind::LimitExceeded => 429,
            ErrorKind::Unavailable => 503,
            _ => 500,
        }
    }
}

/// Settings of the API of logs.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Time a query may take.
    pub query_timeout: Duration,
    /// Bytes a query may hold.
    pub max_query_bytes: usize,
    /// The longest time a query may span, in nanoseconds; 0 for any.
    pub max_query_length_ns: i64,
    /// Entries of an answer.
    pub max_entries: usize,
    /// Points of a series.
    pub max_points: i64,
    /// Series of an answer.
    pub max_series: usize,
    /// Bytes of a request.
    pub max_body_bytes: usize,
    /// Bytes of a request when it is unpacked.
    pub max_unpacked_bytes: usize,
    /// Whether requests say whose data they are about.
    pub multi_tenant: bool,
    /// Followers of live logs at a time.
    pub max_tails: usize,
    /// The version that is told.
    pub version: String,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(60),
            max_query_bytes: 512 << 20,
            max_query_length_ns: 721 * 3_600_000_000_000,
            max_entries: 5000,
            max_points: 11_000,
            max_series: 500,
            max_body_bytes: 100 << 20,
            max_unpacked_bytes: 100 << 20,
            multi_tenant: false,
            max_tails: 64,
            version: "3.7.0".to_owned(),
        }
    }
}

/// What the handlers of logs need.
pub struct LogState {
    /// Where logs are read from.
    pub source: Arc<dyn LogSource>,
    /// Where they are written to.
    pub receiver: Arc<dyn LogPush>,
    /// The time.
    pub clock: SharedClock,
    /// Memory of all queries.
    pub query_budget: ByteBudget,
    /// Memory of all bodies.
    pub body_budget: ByteBudget,
    /// Settings.
    pub options: LogOptions,
    /// Followers there are.
    pub tails: Arc<tokio::sync::Semaphore>,
}

/// The state as handlers get it.
type Logs = Arc<LogState>;

/// All paths of the API of logs, where it is alone on a listener.
pub fn router(state: LogState) -> Router {
    let state = Arc::new(state);
    let alone = Router::new()
        .route("/flush", get(system::flush).post(system::flush))
        .route("/ready", get(system::ready))
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "404 page not found") })
        .with_state(state.clone());
    shared(state).merge(alone)
}

/// The paths of the API of logs that it has to itself where others are on the listener, too.
pub fn shared(state: Arc<LogState>) -> Router {
    let api = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/format_query", get(query::format).post(query::format))
        .route("/labels", get(streams::labels).post(streams::labels))
        .route("/label", get(streams::labels).post(streams::labels))
        .route("/label/{name}/values", get(streams::values).post(streams::values))
        .route("/series", get(streams::series).post(streams::series))
        .route("/index/stats", get(index::stats).post(index::stats))
        .route("/index/volume", get(index::volume).post(index::volume))
        .route("/index/volume_range", get(index::volume_range).post(index::volume_range))
        .route("/patterns", get(detect::patterns).post(detect::patterns))
        .route("/detected_labels", get(detect::labels).post(detect::labels))
        .route("/detected_fields", get(detect::fields).post(detect::fields))
        .route("/detected_field/{name}/values", get(detect::values).post(detect::values))
        .route("/drilldown-limits", get(system::drilldown_limits))
        .route("/status/buildinfo", get(system::build_info))
        .route("/tail", get(tail::tail))
        .route("/push", post(push::push));
    let old = Router::new()
        .route("/query", get(legacy::query).post(legacy::query))
        .route("/label", get(streams::labels))
        .route("/label/{name}/values", get(streams::values))
        .route("/series", get(streams::series).post(streams::series))
        .route("/tail", get(tail::tail))
        .route("/push", post(push::push_legacy));
    Router::new()
        .nest("/loki/api/v1", api)
        .nest("/api/prom", old)
        .route("/otlp/v1/logs", post(push::otlp))
        .with_state(state)
}

impl LogState {
    fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, Failure> {
        if !self.options.multi_tenant {
            return Ok(TenantId::default());
        }
        match headers.get("x-scope-orgid").map(|value| value.as_bytes()) {
            None | Some(b"") => Err(Failure::new(401, "no org id")),
            Some(_) => Ok(tenant_of(headers)),
        }
    }

    fn context(&self, tenant: TenantId) -> QueryContext {
        let budget = self.query_budget.child("query.max-memory", self.options.max_query_bytes);
        let mut ctx = QueryContext::new(self.clock.clone(), self.options.query_timeout, budget);
        ctx.tenant = tenant;
        ctx
    }

    fn now_ns(&self) -> i64 {
        self.clock.now_ms().saturating_mul(1_000_000)
    }
}

/// Runs a query on a blocking thread; it is stopped when the client goes away.
async fn run<T: Send + 'static>(
    state: &Logs,
    headers: &HeaderMap,
    work: impl FnOnce(&LogState, &QueryContext) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ctx = state.context(state.tenant(headers)?);
    let _canceled = CancelOnDrop(ctx.cancel.clone());
    let state = Arc::clone(state);
    let done = tokio::task::spawn_blocking(move || work(&state, &ctx));
    done.await.unwrap_or_else(|error| Err(Failure::new(500, format!("query failed: {error}"))))
}

/// A body in JSON.
fn json(body: impl Into<Bytes>) -> axum::response::Response {
    use axum::response::IntoResponse;
    ([(axum::http::header::CONTENT_TYPE, "application/json; charset=UTF-8")], body.into()).into_response()
}
