//! Which path goes to which handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, any, get, on, post, put};
use model::regex::AnchoredRegex;
use tower_http::compression::predicate::NotForContentType;
use tower_http::compression::{CompressionLayer, DefaultPredicate, Predicate as _};
use tower_http::services::ServeDir;

use crate::error::{ApiError, ErrorType, plain};
use crate::handlers::{
    Shared, admin, exemplars, expression, federate, notifications, operations, otlp, query, read, rules,
    search, series, status, system, targets, write,
};
use crate::metrics::{HttpMetrics, measure};
use crate::openapi::document::{Version, render};
use crate::openapi::{Endpoint, Verbs, endpoints};
use crate::params::Params;
use crate::state::ApiState;
use crate::ui;

/// Remote read streams what is compressed already.
const NOT_CHUNKS: NotForContentType = NotForContentType::const_new("application/x-streamed-protobuf");

/// All routes, below the route prefix.
pub fn router(state: Arc<ApiState>) -> Router {
    let prefix = state.options.route_prefix.clone();
    let ready = middleware::from_fn_with_state(state.clone(), require_ready);
    let metrics = HttpMetrics::new(&state);
    let mut routes = Router::new()
        .nest("/api/v1", api(&state))
        .nest("/api/operations", operations::routes().layer(ready.clone()))
        .route("/federate", get(federate::federate).layer(ready))
        .route("/metrics", get(system::metrics))
        .route("/version", get(system::version))
        .route("/-/healthy", get(system::healthy))
        .route("/-/ready", get(system::ready))
        .route("/-/reload", post(system::reload).merge(put(system::reload)).get(system::only_post))
        .route("/-/quit", post(system::quit).merge(put(system::quit)).get(system::only_post))
        .merge(ui::routes());
    // Probes that are told of a path with a slash at its end are sent on.
    for path in ["/federate", "/metrics", "/version", "/-/healthy", "/-/ready"] {
        let target = format!("{prefix}{path}");
        routes = routes.route(&format!("{path}/"), get(move |uri: Uri| moved(target, uri)));
    }
    if let Some(directory) = &state.options.user_assets {
        routes = routes.nest_service("/user", ServeDir::new(directory));
    }
    let routes = routes
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
            .route(&home.clone(), get(ui::page))
            .route("/", get(move || async move { (StatusCode::FOUND, [(header::LOCATION, home)]) }))
            .nest(&prefix, routes.route("/{*rest}", any(not_found)))
    };
    let routed: Router = routed.fallback(not_found).merge(grpc).with_state(state);
    // A layer of the same router would not see which methods a path allows.
    Router::new().fallback_service(routed).layer(middleware::from_fn(answer_plainly))
}

/// The API with all that is around it.
fn api(state: &Shared) -> Router<Shared> {
    let cors = Cors::new(&state.options.cors_origin);
    api_v1(state)
        .layer(middleware::from_fn_with_state(state.clone(), refuse_in_agents))
        .layer(middleware::from_fn_with_state(state.clone(), require_ready))
        .layer(middleware::from_fn_with_state(Arc::new(cors), add_cors))
}

/// Paths of the API as they are described.
struct Described {
    router: Router<Shared>,
    endpoints: Vec<Endpoint>,
}

impl Described {
    fn serve<H, T>(mut self, endpoint: Endpoint, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        let filter = match endpoint.verbs {
            Verbs::Get => MethodFilter::GET,
            Verbs::GetPost => MethodFilter::GET.or(MethodFilter::POST),
            Verbs::Post => MethodFilter::POST,
            Verbs::PostPut => MethodFilter::POST.or(MethodFilter::PUT),
        };
        self.endpoints.push(endpoint);
        Self { router: self.router.route(endpoint.path, on(filter, handler)), ..self }
    }
}

fn api_v1(state: &Shared) -> Router<Shared> {
    let described = Described { router: Router::new(), endpoints: vec![endpoints::OPENAPI] }
        .serve(endpoints::QUERY, query::instant)
        .serve(endpoints::QUERY_RANGE, query::range)
        .serve(endpoints::QUERY_EXEMPLARS, exemplars::query_exemplars)
        .serve(endpoints::FORMAT_QUERY, expression::format_query)
        .serve(endpoints::PARSE_QUERY, expression::parse_query)
        .serve(endpoints::LABELS, series::label_names)
        .serve(endpoints::LABEL_VALUES, series::label_values)
        .serve(endpoints::SERIES, series::series)
        .serve(endpoints::READ, read::read)
        .serve(endpoints::WRITE, write::write)
        .serve(endpoints::PUSH, write::write)
        .serve(endpoints::OTLP_METRICS, otlp::metrics)
        .serve(endpoints::SEARCH_METRIC_NAMES, search::metric_names)
        .serve(endpoints::SEARCH_LABEL_NAMES, search::label_names)
        .serve(endpoints::SEARCH_LABEL_VALUES, search::label_values)
        .serve(endpoints::METADATA, targets::metadata)
        .serve(endpoints::SCRAPE_POOLS, targets::scrape_pools)
        .serve(endpoints::SCRAPE_POOL_CONFIG, targets::scrape_pool_config)
        .serve(endpoints::TARGETS, targets::targets)
        .serve(endpoints::TARGET_METADATA, targets::target_metadata)
        .serve(endpoints::RELABEL_STEPS, targets::relabel_steps)
        .serve(endpoints::RULES, rules::rules)
        .serve(endpoints::ALERTS, rules::alerts)
        .serve(endpoints::ALERTMANAGERS, rules::alertmanagers)
        .serve(endpoints::STATUS_CONFIG, status::config)
        .serve(endpoints::STATUS_FLAGS, status::flags)
        .serve(endpoints::STATUS_BUILD_INFO, status::build_info)
        .serve(endpoints::STATUS_RUNTIME_INFO, status::runtime_info)
        .serve(endpoints::STATUS_TSDB, status::tsdb)
        .serve(endpoints::STATUS_TSDB_BLOCKS, status::tsdb_blocks)
        .serve(endpoints::STATUS_WAL_REPLAY, status::wal_replay)
        .serve(endpoints::STATUS_SELF_METRICS, status::self_metrics)
        .serve(endpoints::FEATURES, status::features)
        .serve(endpoints::NOTIFICATIONS, notifications::notifications)
        .serve(endpoints::NOTIFICATIONS_LIVE, notifications::live)
        .serve(endpoints::DELETE_SERIES, admin::delete_series)
        .serve(endpoints::CLEAN_TOMBSTONES, admin::clean_tombstones)
        .serve(endpoints::SNAPSHOT, admin::snapshot);
    let program = state.system.build_info().version;
    let document = |version| Bytes::from(render(&described.endpoints, &state.options, &program, version));
    let documents = [document(Version::V31), document(Version::V32)];
    let serve_document = move |params: Params| {
        let version = Version::from_parameter(params.get("openapi_version"));
        let headers = [
            (header::CONTENT_TYPE, "application/yaml; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        ];
        std::future::ready((headers, documents[usize::from(version == Version::V32)].clone()))
    };
    described.router.route(endpoints::OPENAPI.path, get(serve_document)).fallback(not_found)
}

/// Sends a client on to `path` for good.
async fn moved(path: String, uri: Uri) -> Response {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, format!("{path}{query}"))]).into_response()
}

async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "404 page not found")
}

/// Answers what no handler does: paths that lead elsewhere once they are cleaned, what is not there, and
/// methods a path does not know.
async fn answer_plainly(request: Request, next: Next) -> Response {
    if let Some(location) = cleaned(request.uri()) {
        return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response();
    }
    let asks_methods = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let allowed = response.headers_mut().remove(header::ALLOW).map(|allowed| with_options(&allowed));
    let is_bare = !response.headers().contains_key(header::CONTENT_TYPE);
    response = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED if asks_methods => StatusCode::OK.into_response(),
        StatusCode::METHOD_NOT_ALLOWED if is_bare => {
            plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        }
        StatusCode::NOT_FOUND if is_bare => return not_found().await,
        _ => response,
    };
    if let Some(allowed) = allowed {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Where a path with empty steps or steps up leads: clients that join an address with a slash at its end
/// and a path with one at its start make such.
fn cleaned(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let is_odd = |step: &str| matches!(step, "" | "." | "..");
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() && path.len() < 2 || !inner.split('/').any(is_odd) {
        return None;
    }
    let mut steps = Vec::new();
    for step in inner.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    let end = if path.ends_with('/') && !steps.is_empty() { "/" } else { "" };
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("/{}{end}{query}", steps.join("/")))
}

/// Methods as a client asking for them is told: all of them, sorted.
fn with_options(allowed: &HeaderValue) -> HeaderValue {
    let mut methods: Vec<&str> = allowed.to_str().unwrap_or_default().split(',').map(str::trim).collect();
    methods.push("OPTIONS");
    methods.retain(|method| !method.is_empty());
    methods.sort_unstable();
    methods.dedup();
    HeaderValue::from_str(&methods.join(", ")).unwrap_or_else(|_| allowed.clone())
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
    system::not_ready()
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
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    // Caches must know that answers differ, whoever asked first.
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Some(allowed) = cors.allows(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        let cases = [
            ("/", None),
            ("/a/b", None),
            ("/user/", None),
            ("/a.b/..c", None),
            ("//", Some("/")),
            ("//api/v1/query?q=a//b", Some("/api/v1/query?q=a//b")),
            ("/api//v1/", Some("/api/v1/")),
            ("/a/../../b/./c", Some("/b/c")),
            ("//evil.example/..", Some("/")),
        ];
        for (path, expected) in cases {
            assert_eq!(cleaned(&path.parse().unwrap()).as_deref(), expected, "{path}");
        }
    }
}
