//! The API of log stores: `/loki/api/v1`, `/otlp/v1/logs` and what is left of `/api/prom`.
//!
//! It meets storage in [`model::logs::LogSource`] and in the traits here. In reading order: this file (what handlers
//! need, and which path leads where), [`limits`], [`policy`], [`budget`] and [`admission`] (what a tenant may ask, and how much at a time),
//! [`params`] and [`respond`] (requests in, answers out), [`watched`] (queries that others see), [`query`], [`encode`], [`streams`] (labels and series),
//! [`index`] (volumes), [`detect`] (fields and patterns), [`push`], [`tail`], [`deletes`], [`storage`] (what is kept), [`legacy`], [`metrics`].

mod admission;
mod budget;
mod deletes;
mod detect;
mod encode;
mod index;
mod legacy;
mod limits;
mod metrics;
mod params;
mod policy;
mod push;
mod query;
mod respond;
mod stats;
mod storage;
mod streams;
mod system;
mod tail;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base::clock::SharedClock;
use base::{ByteBudget, Reservation};
use bytes::Bytes;
use model::logs::{LogSource, PushRefusal};
use model::{QueryContext, TenantId};
use tokio::sync::OwnedSemaphorePermit;
use wire::loki::PushRequest;

use self::admission::Admission;
pub use self::deletes::{DeleteProblem, DeleteRequested, LogDelete, LogDeletes};
pub(super) use self::limits::check_tenant;
pub use self::limits::{DeletionMode, LogQueryLimits, LogQueryLimitsBook};
pub use self::metrics::LokiMetrics;
pub use self::policy::{BlockedQuery, BlockedText, QueryKind};
use self::respond::Failure;
pub use self::storage::{DayView, RetentionView, StorageView};
pub use self::tail::Followers;
use self::watched::Watched;
use super::CancelOnDrop;
use super::write::{plain, tenant_of};
use crate::queries::{QueryList, RunningQuery};

/// Stores what is pushed.
pub trait LogPush: Send + Sync {
    /// Stores a request as log shippers send it, which `memory` holds. Blocks until it is durable.
    fn push(
        &self,
        tenant: &TenantId,
        request: PushRequest,
        memory: &mut Reservation,
    ) -> Result<(), PushRefusal>;

    /// Stores a request of OpenTelemetry in protobuf, which `memory` holds. Blocks until it is durable.
    fn push_otlp(&self, tenant: &TenantId, body: &[u8], memory: &mut Reservation) -> Result<(), PushRefusal>;

    /// Why nothing can be stored now without waiting. Does not block.
    fn lack_of_room(&self) -> Option<String> {
        None
    }

    /// Writes what is in memory to where it stays. Blocks.
    fn flush(&self) -> Result<(), String> {
        Ok(())
    }

    /// What is stored of a tenant and where; `None` while the storage is not open. May block for a moment.
    fn storage(&self, _tenant: &TenantId) -> Option<StorageView> {
        None
    }

    /// Whether pushes and queries are answered yet.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Settings of the API of logs.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Points of a series.
    pub max_points: i64,
    /// Bytes of a request, as it comes and unpacked.
    pub max_body_bytes: usize,
    /// Whether requests say whose data they are about.
    pub multi_tenant: bool,
    /// The tenant of all requests where they do not.
    pub only_tenant: TenantId,
    /// Queries at a time.
    pub max_queries: usize,
    /// Queries that wait for others.
    pub max_waiting_queries: usize,
    /// Pushes that are worked on at a time.
    pub max_pushes: usize,
    /// How long a push waits for others, or for room, before its sender is asked to come again.
    pub push_patience: Duration,
    /// How long live logs are followed before a client has to begin anew.
    pub tail_max_duration: Duration,
    /// The version that is told.
    pub version: String,
    /// What queries may use beyond the reference.
    pub language: logql::Features,
}

impl Default for LogOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            max_points: 11_000,
            max_body_bytes: 64 << 20,
            multi_tenant: false,
            only_tenant: TenantId::default(),
            max_queries: cores.max(4),
            max_waiting_queries: 2048,
            max_pushes: 64,
            push_patience: Duration::from_secs(5),
            tail_max_duration: Duration::from_secs(3600),
            version: "3.7.0".to_owned(),
            language: logql::Features::default(),
        }
    }
}

/// Who does the work of the handlers of logs.
pub struct LogParts {
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
    /// Who follows what is stored; to be told of it as an observer of the storage's door.
    pub followers: Arc<Followers>,
    /// Where queries are seen while they run.
    pub running: Arc<QueryList>,
    /// Who deletes entries, if anybody.
    pub deletes: Option<Arc<dyn LogDeletes>>,
    /// Where requests are counted, if anywhere.
    pub metrics: Option<LokiMetrics>,
}

/// What the handlers of logs need.
pub struct LogState {
    parts: LogParts,
    options: LogOptions,
    limits: ArcSwap<LogQueryLimitsBook>,
    queries: Admission,
    pushes: Admission,
}

impl std::ops::Deref for LogState {
    type Target = LogParts;

    fn deref(&self) -> &LogParts {
        &self.parts
    }
}

/// The state as handlers get it.
type Logs = Arc<LogState>;

/// All paths of the API of logs, where it is alone on a listener.
pub fn router(state: Arc<LogState>) -> Router {
    let alone = Router::new()
        .route("/ready", get(system::ready))
        .route("/services", get(system::services))
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
        .route("/storage", get(storage::storage))
        .route("/status/buildinfo", get(system::build_info))
        .route("/tail", get(tail::tail))
        .route("/delete", get(deletes::list).post(deletes::add).put(deletes::add).delete(deletes::cancel))
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
        .route("/flush", get(system::flush).post(system::flush))
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), metrics::observe))
        .with_state(state)
}

impl LogState {
    /// The state of handlers that these parts work for.
    pub fn new(parts: LogParts, options: LogOptions, limits: impl Into<LogQueryLimitsBook>) -> Arc<Self> {
        let queries = Admission::new(options.max_queries, options.max_waiting_queries);
        // Bodies that wait hold memory, which bounds how many there are.
        let pushes = Admission::new(options.max_pushes, usize::MAX);
        let limits = ArcSwap::from_pointee(limits.into());
        Arc::new(Self { parts, options, limits, queries, pushes })
    }

    /// Goes on with other limits.
    pub fn set_limits(&self, limits: LogQueryLimitsBook) {
        self.limits.store(Arc::new(limits));
    }

    fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, Failure> {
        if !self.options.multi_tenant {
            return Ok(self.options.only_tenant.clone());
        }
        if headers.get("x-scope-orgid").is_none_or(axum::http::HeaderValue::is_empty) {
            return Err(Failure::new(401, "no org id"));
        }
        let tenant = tenant_of(headers);
        limits::check_tenant(&tenant.0).map_err(Failure::bad)?;
        Ok(tenant)
    }

    fn limits_of(&self, tenant: &TenantId) -> Arc<LogQueryLimits> {
        self.limits.load().of(tenant)
    }

    fn context(&self, tenant: TenantId) -> QueryContext {
        let limits = self.limits_of(&tenant);
        let budget = self.query_budget.child("query.max-memory", limits.max_memory_bytes);
        let mut ctx = QueryContext::new(self.clock.clone(), limits.query_timeout, budget);
        ctx.tenant = tenant;
        ctx
    }

    /// Waits for the turn of a query, unless somebody ends it meanwhile.
    async fn turn(
        &self,
        ctx: &QueryContext,
        running: Option<&RunningQuery>,
    ) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = self.queries.turn(ctx.timeout());
        let Some(running) = running else { return turn.await.map_err(Failure::from) };
        let ended = || Err(Failure::new(499, "query was canceled while it waited for other queries to end"));
        let turn = running.unless_ended(turn).await.map_or_else(ended, |turn| turn.map_err(Failure::from));
        match &turn {
            Ok(_) => running.runs_in(ctx.budget.clone()),
            Err(failure) => running.failed(&failure.text),
        }
        turn
    }

    /// What is before it may not be asked for.
    fn oldest_ns(&self, limits: &LogQueryLimits) -> i64 {
        match limits.max_lookback_ns {
            0 => i64::MIN,
            lookback_ns => self.now_ns().saturating_sub(lookback_ns),
        }
    }

    fn now_ns(&self) -> i64 {
        self.clock.now_ms().saturating_mul(1_000_000)
    }
}

/// Runs a query on a blocking thread when it is its turn; it is stopped when the client goes away.
async fn run<T: Send + 'static>(
    state: &Logs,
    headers: &HeaderMap,
    work: impl FnOnce(&LogState, &QueryContext) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    run_queued(state, headers, None, |state, ctx, _| work(state, ctx)).await
}

/// The same for a query that reads lines: others see it while it runs, and may end it. Its work is told how long it waited
/// for its turn.
async fn run_watched<T: Send + 'static>(
    state: &Logs,
    headers: &HeaderMap,
    watched: Watched,
    work: impl FnOnce(&LogState, &QueryContext, Duration) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    run_queued(state, headers, Some(watched), work).await
}

async fn run_queued<T: Send + 'static>(
    state: &Logs,
    headers: &HeaderMap,
    watched: Option<Watched>,
    work: impl FnOnce(&LogState, &QueryContext, Duration) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ctx = state.context(state.tenant(headers)?);
    if !state.receiver.is_ready() {
        return Err(Failure::new(503, "the storage of logs is not open yet"));
    }
    let running = watched.map(|watched| watched.begin(state, &ctx));
    let came = state.clock.monotonic();
    let turn = state.turn(&ctx, running.as_ref()).await?;
    let queued = state.clock.monotonic().saturating_sub(came);
    let _canceled = CancelOnDrop(ctx.cancel.clone());
    let (state, metrics) = (Arc::clone(state), state.metrics.clone());
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let done = work(&state, &ctx, queued);
        if let (Some(running), Err(failure)) = (&running, &done) {
            running.failed(&failure.text);
        }
        done
    });
    done.await.unwrap_or_else(|error| Err(crashed(metrics.as_ref(), "query", &error)))
}

/// Work on another thread did not end as it should.
fn crashed(metrics: Option<&LokiMetrics>, what: &str, error: &tokio::task::JoinError) -> Failure {
    if let Some(metrics) = metrics.filter(|_| error.is_panic()) {
        metrics.panicked();
    }
    Failure::new(500, format!("{what} failed: {error}"))
}

/// A body in JSON.
fn json(body: impl Into<Bytes>) -> axum::response::Response {
    use axum::response::IntoResponse;
    ([(axum::http::header::CONTENT_TYPE, "application/json; charset=UTF-8")], body.into()).into_response()
}
