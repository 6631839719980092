//! Which path goes to which handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, any, get, on, post, put};
use model::regex::AnchoredRegex;
use tower_http::compression::predicate::NotForContentType;
use tower_http::compression::{CompressionLayer, DefaultPredicate, Predicate as _};

use crate::error::{ApiError, ErrorType};
use crate::handlers::{
    Shared, admin, exemplars, expression, federate, otlp, query, read, search, series, status, system,
    targets, write,
};
use crate::metrics::{HttpMetrics, measure};
use crate::state::ApiState;

fn get_post<H, T>(handler: H) -> MethodRouter<Shared>
where
    H: axum::handler::Handler<T, Shared>,
    T: 'static,
{
    on(axum::routing::MethodFilter::GET.or(axum::routing::MethodFilter::POST), handler)
}

fn post_put<H, T>(handler: H) -> MethodRouter<Shared>
where
    H: axum::handler::Handler<T, Shared>,
    T: 'static,
{
    on(axum::routing::MethodFilter::POST.or(axum::routing::MethodFilter::PUT), handler)
}

/// Remote read streams what is compressed already.
const NOT_CHUNKS: NotForContentType = NotForContentType::const_new("application/x-streamed-protobuf");

/// All routes, below the route prefix.
pub fn router(state: Arc<ApiState>) -> Router {
    let prefix = state.options.route_prefix.clone();
    let cors = Cors::new(&state.options.cors_origin);
    let ready = middleware::from_fn_with_state(state.clone(), require_ready);
    let api = api_v1()
        .layer(middleware::from_fn_with_state(state.clone(), refuse_in_agents))
        .layer(ready.clone())
        .layer(middleware::from_fn_with_state(Arc::new(cors), add_cors));
    let metrics = HttpMetrics::new(&state);
    let routes = Router::new()
        .nest("/api/v1", api)
        .route("/federate", get(federate::federate).layer(ready.clone()))
        .route("/metrics", get(system::metrics))
        .route("/-/healthy", get(system::healthy))
        .route("/-/ready", get(system::ready))
        .route("/-/reload", post(system::reload).merge(put(system::reload)).get(system::only_post))
        .route("/-/quit", post(system::quit).merge(put(system::quit)).get(system::only_post))
        .route("/", get(system::landing))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(NOT_CHUNKS)))
        .layer(middleware::from_fn_with_state(metrics.clone(), measure));
    // Senders of gRPC know no prefix.
    let grpc = Router::new()
        .route(otlp::grpc::PATH, post(otlp::grpc::export))
        .layer(middleware::from_fn_with_state(metrics, measure));
    let routed = if prefix.is_empty() {
        routes
    } else {
        let home = format!("{prefix}/");
        Router::new()
            .route(&home.clone(), get(system::landing))
            .route("/", get(move || async move { Redirect::temporary(&home) }))
            .nest(&prefix, routes.route("/{*rest}", any(not_found)))
    };
    routed.merge(grpc).with_state(state)
}

fn api_v1() -> Router<Shared> {
    Router::new()
        .route("/query", get_post(query::instant))
        .route("/query_range", get_post(query::range))
        .route("/query_exemplars", get_post(exemplars::query_exemplars))
        .route("/format_query", get_post(expression::format_query))
        .route("/parse_query", get_post(expression::parse_query))
        .route("/labels", get_post(series::label_names))
        .route("/label/{name}/values", get(series::label_values))
        .route("/series", get_post(series::series))
        .route("/read", post(read::read))
        .route("/write", post(write::write))
        .route("/push", post(write::write))
        .route("/otlp/v1/metrics", post(otlp::metrics))
        .route("/search/metric_names", get_post(search::metric_names))
        .route("/search/label_names", get_post(search::label_names))
        .route("/search/label_values", get_post(search::label_values))
        .route("/metadata", get(targets::metadata))
        .route("/scrape_pools", get(targets::scrape_pools))
        .route("/scrape_pools/config", get(targets::scrape_pool_config))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/targets/relabel_steps", get(targets::relabel_steps))
        .route("/rules", get(status::rules))
        .route("/alerts", get(status::alerts))
        .route("/alertmanagers", get(status::alertmanagers))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::tsdb_blocks))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/status/self_metrics", get(status::self_metrics))
        .route("/features", get(status::features))
        .route("/notifications", get(status::notifications))
        .route("/notifications/live", get(status::notifications_live))
        .route("/admin/tsdb/delete_series", post_put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post_put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post_put(admin::snapshot))
        .fallback(not_found)
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// What an agent cannot answer, below `/api/v1`.
const NOT_IN_AGENTS: [&str; 15] = [
    "/query",
    "/query_range",
    "/query_exemplars",
    "/format_query",
    "/parse_query",
    "/labels",
    "/label/",
    "/series",
    "/search/",
    "/alertmanagers",
    "/alerts",
    "/rules",
    "/status/tsdb",
    "/status/tsdb/blocks",
    "/admin/tsdb/",
];

/// An agent has nothing to query.
async fn refuse_in_agents(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_refused = |refused: &str| match refused.strip_suffix('/') {
        Some(parent) => path.starts_with(parent) && path[parent.len()..].starts_with('/'),
        None => path == refused,
    };
    if state.options.agent && NOT_IN_AGENTS.iter().any(|refused| is_refused(refused)) {
        let error = ApiError::new(ErrorType::Execution, "unavailable with Prometheus Agent");
        return error.into_response();
    }
    next.run(request).await
}

/// Until the log is replayed only what tells about that is answered.
async fn require_ready(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let always = ["/status/walreplay", "/notifications", "/notifications/live"];
    if state.system.is_ready() || always.iter().any(|path| request.uri().path().ends_with(path)) {
        return next.run(request).await;
    }
    let mut response = ApiError::new(ErrorType::Unavailable, "Service Unavailable").into_response();
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Which origins may call from a browser.
struct Cors {
    any: bool,
    pattern: Option<AnchoredRegex>,
}

impl Cors {
    fn new(pattern: &str) -> Self {
        Self { any: pattern == ".*", pattern: AnchoredRegex::new(pattern).ok() }
    }

    fn allows(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let is_match = origin.to_str().is_ok_and(|o| self.pattern.as_ref().is_some_and(|p| p.is_match(o)));
        is_match.then(|| origin.clone())
    }
}

async fn add_cors(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let allowed = request.headers().get(header::ORIGIN).and_then(|origin| cors.allows(origin));
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = allowed {
        let fixed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
            (header::VARY, "Origin"),
        ];
        let headers = response.headers_mut();
        headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}
