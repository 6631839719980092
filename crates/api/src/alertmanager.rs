//! Alertmanager's API, version 2, and what stands around it in its seat.
//!
//! The paths and shapes are those of Alertmanager's OpenAPI description. Failures are a text as JSON, as it
//! says. One path is ours: `explain`. In reading order: [`query`] (parameters), [`alerts`], [`silences`], [`explain`].

mod alerts;
mod explain;
mod query;
mod silences;

use std::sync::Arc;

use alerting::Alertmanager;
use axum::Router;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use query::Query;

/// The version of Alertmanager whose API this is.
const ALERTMANAGER_VERSION: &str = "0.34.0";
/// The largest body that is taken.
const MAX_BODY_BYTES: usize = 64 << 20;

type Shared = State<Arc<Alertmanager>>;

/// A failure: a status, and what is wrong as a JSON text.
#[derive(Debug)]
struct Failure(StatusCode, String);

impl Failure {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, message.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, axum::Json(Json::String(self.1))).into_response()
    }
}

type Answer = Result<axum::Json<Json>, Failure>;

/// The API below `/api/v2`.
pub fn api_v2(manager: Arc<Alertmanager>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/receivers", get(receivers))
        .route("/silences", get(silences::list).post(silences::set))
        .route("/silence/{id}", get(silences::get).delete(silences::expire))
        .route("/alerts", get(alerts::list).post(alerts::post))
        .route("/alerts/groups", get(alerts::groups))
        .route("/explain", get(explain::explain))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::map_response(no_store))
        .with_state(manager)
}

/// All paths of an Alertmanager's seat but its metrics, below the route prefix.
pub fn seat(manager: Arc<Alertmanager>, prefix: &str) -> Router {
    let routes = Router::new()
        .nest("/api/v2", api_v2(manager.clone()))
        .route("/api/v1/{*rest}", axum::routing::any(api_v1_is_gone))
        .merge(lifecycle(manager));
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

async fn status(State(manager): Shared) -> axum::Json<Json> {
    axum::Json(json!({
        "cluster": {"status": "disabled", "peers": []},
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

/// Labels as a JSON object.
fn show_labels(labels: &model::Labels) -> Json {
    labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect()
}

/// A moment of a request; an empty text and the year 1 are none.
fn read_time(value: &Json, field: &str) -> Result<Option<Timestamp>, Failure> {
    let wrong = || Failure::bad(format!("{field} in body must be of type date-time: {value}"));
    match value {
        Json::Null => Ok(None),
        Json::String(text) if text.is_empty() => Ok(None),
        Json::String(text) => {
            let at: Timestamp = text.parse().map_err(|_| wrong())?;
            Ok(Some(at).filter(|at| at.as_second() > -62_135_596_800))
        }
        _ => Err(wrong()),
    }
}

/// A JSON object of texts as pairs.
fn read_labels(value: &Json, field: &str) -> Result<model::Labels, Failure> {
    let wrong = || Failure::bad(format!("{field} in body must be an object of strings"));
    let entries = match value {
        Json::Null => return Ok(model::Labels::empty()),
        Json::Object(entries) => entries,
        _ => return Err(wrong()),
    };
    let mut pairs = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        pairs.push((name.as_str(), value.as_str().ok_or_else(wrong)?));
    }
    Ok(model::Labels::from_pairs(pairs))
}

/// A text of a request; absent, it is empty.
fn read_text(value: &Json, field: &str) -> Result<String, Failure> {
    match value {
        Json::Null => Ok(String::new()),
        Json::String(text) => Ok(text.clone()),
        _ => Err(Failure::bad(format!("{field} in body must be of type string"))),
    }
}

/// The document of a request.
fn read_body(body: &[u8]) -> Result<Json, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad(format!("parsing body from \"\" failed, because {error}")))
}

#[cfg(test)]
mod tests;
