//! Alertmanager's API, version 2, and what stands around it in its seat.
//!
//! The paths and shapes are those of Alertmanager's OpenAPI description. The paths `explain`, `routes` and
//! `notifications` are ours. In reading order: `guard` (what no handler need look at), `failure`, `query` (parameters),
//! `read` (bodies), `shown` (long lists), `alerts`, `silences`, `explain`, `routes`, `description` (of all that).

mod alerts;
mod description;
mod explain;
mod failure;
mod guard;
mod meter;
mod query;
mod read;
mod routes;
mod shown;
mod silences;

use std::sync::Arc;

use alerting::Alertmanager;
use axum::Router;
use axum::extract::{FromRef, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base::metrics::Registry;
use base::{ByteBudget, Reservation};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::handlers::write::{BodyRefused, ReceivedBody, read_body};

use failure::Failure;
pub use guard::RequestLimits;
use query::Query;

/// The version of Alertmanager whose API this is.
const ALERTMANAGER_VERSION: &str = "0.34.0";
/// The largest body that is taken.
const MAX_BODY_BYTES: usize = 64 << 20;

type Shared = State<Arc<Alertmanager>>;

/// What handlers have.
#[derive(Clone)]
struct Seat {
    manager: Arc<Alertmanager>,
    /// What bodies take their memory from.
    budget: ByteBudget,
}

impl FromRef<Seat> for Arc<Alertmanager> {
    fn from_ref(seat: &Seat) -> Self {
        seat.manager.clone()
    }
}

impl FromRef<Seat> for ByteBudget {
    fn from_ref(seat: &Seat) -> Self {
        seat.budget.clone()
    }
}

type Answer = Result<axum::Json<Json>, Failure>;

/// The API below `/api/v2`. Bodies of requests take their memory from `budget`.
pub fn api_v2(manager: Arc<Alertmanager>, budget: ByteBudget) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/receivers", get(receivers))
        .route("/silences", get(silences::list).post(silences::set))
        .route("/silence/{id}", get(silences::get).delete(silences::expire))
        .route("/alerts", get(alerts::list).post(alerts::post))
        .route("/alerts/groups", get(alerts::groups))
        .route("/explain", get(explain::explain))
        .route("/routes", get(routes::tree))
        .route("/notifications", get(routes::notifications))
        .route(description::PATH, get(description::swagger))
        .fallback(|| async { Failure::Absent })
        .layer(middleware::from_fn(guard::check_form))
        .layer(middleware::map_response(no_store))
        .with_state(Seat { manager, budget })
}

/// All paths of an Alertmanager's seat but its metrics, below the route prefix.
pub fn seat(
    manager: Arc<Alertmanager>,
    prefix: &str,
    budget: ByteBudget,
    limits: RequestLimits,
    registry: &Registry,
) -> Router {
    let gate = guard::Gate::new(limits, registry);
    let routes = Router::new()
        .nest("/api/v2", api_v2(manager.clone(), budget))
        .route("/api/v1/{*rest}", axum::routing::any(api_v1_is_gone))
        .layer(middleware::from_fn_with_state(gate, guard::limit))
        .merge(lifecycle(manager))
        .layer(middleware::from_fn_with_state(meter::Meter::new(registry, prefix), meter::measure));
    if prefix.is_empty() { routes } else { Router::new().nest(prefix, routes) }
}

fn lifecycle(manager: Arc<Alertmanager>) -> Router {
    Router::new()
        .route("/-/healthy", get(|| async { "OK" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/", get(landing))
        .with_state(manager)
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn api_v1_is_gone() -> Response {
    let body = json!({
        "status": "deprecated",
        "error": "The Alertmanager v1 API was deprecated in version 0.16.0 and is removed as of version 0.28.0 - please use the equivalent route in the v2 API",
    });
    (StatusCode::GONE, axum::Json(body)).into_response()
}

async fn ready(State(manager): Shared) -> Response {
    if manager.is_ready() {
        return "OK".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready").into_response()
}

async fn reload(State(manager): Shared) -> Response {
    let outcome = tokio::task::spawn_blocking(move || manager.reload()).await;
    match outcome {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}")).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn landing() -> Response {
    let page = "<!doctype html><title>Bartizan</title><h1>Bartizan in the seat of Alertmanager</h1>\
                <ul><li><a href=\"api/v2/alerts/groups\">Groups of alerts</a><li><a href=\"api/v2/silences\">Silences</a>\
                <li><a href=\"api/v2/status\">Status</a><li><a href=\"metrics\">Metrics</a></ul>";
    axum::response::Html(page).into_response()
}

/// How this instance sees its cluster.
fn cluster_status(manager: &Alertmanager) -> Json {
    let Some(cluster) = manager.cluster() else { return json!({"status": "disabled", "peers": []}) };
    cluster.with_peer(|peer| {
        let working = peer.membership().working();
        let show = |member: &alerting::cluster::membership::Member| {
            json!({"name": member.alive.node, "address": member.alive.address.to_string()})
        };
        json!({
            "name": cluster.name(),
            "status": if peer.is_settled() { "ready" } else { "settling" },
            "peers": working.map(show).collect::<Vec<_>>(),
        })
    })
}

async fn status(State(manager): Shared) -> axum::Json<Json> {
    axum::Json(json!({
        "cluster": cluster_status(&manager),
        "versionInfo": {
            "version": ALERTMANAGER_VERSION,
            "revision": option_env!("BARTIZAN_REVISION").unwrap_or_default(),
            "branch": "",
            "buildUser": concat!("bartizan/", env!("CARGO_PKG_VERSION")),
            "buildDate": "",
            "goVersion": "",
        },
        "config": {"original": manager.settings().to_yaml()},
        "uptime": show_time(manager.started_at()),
    }))
}

async fn receivers(State(manager): Shared, RawQuery(raw): RawQuery) -> Answer {
    let query = Query::parse(raw.as_deref(), &["receiver_matchers"])?;
    let matchers = query
        .matchers("receiver_matchers", manager.options().mode)
        .map_err(|error| Failure::bad(format!("failed to parse receiver_matchers param: {error}")))?;
    let settings = manager.settings();
    let found = settings.receivers.iter().map(|receiver| (receiver, receiver.all_labels()));
    let found =
        found.filter(|(_, labels)| query::satisfies(&matchers, |name| labels.get(name).map(String::as_str)));
    Ok(axum::Json(found.map(|(receiver, labels)| json!({"name": receiver.name, "labels": labels})).collect()))
}

/// A moment as the API writes it: RFC 3339 with milliseconds.
fn show_time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Names and texts as a JSON object.
fn show_pairs<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Json {
    pairs.map(|(name, value)| (name.to_owned(), Json::from(value))).collect()
}

/// Has something computed where it keeps nobody waiting.
async fn computed<T: Send + 'static>(
    compute: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(compute).await.unwrap_or_else(|error| Err(Failure::broken(error)))
}

/// The bytes of a request, and the share of memory they hold.
async fn body(request: Request, budget: &ByteBudget) -> Result<(Vec<u8>, Reservation), Failure> {
    let received = read_body(request, budget, MAX_BODY_BYTES).await;
    received.map(ReceivedBody::into_parts).map_err(|refused| {
        let status = match refused {
            BodyRefused::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyRefused::Memory(_) => StatusCode::SERVICE_UNAVAILABLE,
            BodyRefused::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyRefused::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Failure::Object(status, status.as_u16(), refused.to_string())
    })
}

#[cfg(test)]
mod tests;
