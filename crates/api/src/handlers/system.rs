//! Health, lifecycle, self-metrics and the landing page.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base::metrics::Registry;

use super::Shared;
use crate::error::plain;

/// `GET|HEAD /-/healthy`
pub async fn healthy() -> &'static str {
    "Prometheus Server is Healthy.\n"
}

/// `GET|HEAD /-/ready`
pub async fn ready(State(state): State<Shared>) -> Response {
    if state.system.is_ready() {
        return "Prometheus Server is Ready.\n".into_response();
    }
    not_ready()
}

/// What is answered to all that must wait until the log is replayed.
pub fn not_ready() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [("x-prometheus-stopping", "false")], "Service Unavailable")
        .into_response()
}

/// `GET /version`
pub async fn version(State(state): State<Shared>) -> Response {
    match serde_json::to_string(&state.system.build_info()) {
        Ok(text) => format!("{text}\n").into_response(),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// `POST|PUT /-/reload`
pub async fn reload(State(state): State<Shared>) -> Response {
    if !state.options.enable_lifecycle {
        return lifecycle_disabled();
    }
    match tokio::task::spawn_blocking(move || state.system.reload()).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(problem)) => {
            let text = format!("failed to reload config: {problem}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `POST|PUT /-/quit`
pub async fn quit(State(state): State<Shared>) -> Response {
    if !state.options.enable_lifecycle {
        return lifecycle_disabled();
    }
    state.system.quit();
    "Requesting termination... Goodbye!".into_response()
}

/// `GET /-/quit` and `GET /-/reload`
pub async fn only_post() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed").into_response()
}

fn lifecycle_disabled() -> Response {
    (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.").into_response()
}

/// `GET /metrics`
pub async fn metrics(State(state): State<Shared>, headers: HeaderMap) -> Response {
    exposition(&state.registry, &headers)
}

/// A route that exposes another registry.
pub fn metrics_route(path: &str, registry: Registry) -> Router {
    Router::new().route(path, get(move |headers: HeaderMap| async move { exposition(&registry, &headers) }))
}

fn exposition(registry: &Registry, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let negotiated = wire::negotiate::negotiate(accept, true);
    let encoder = wire::encode::Encoder::new(negotiated);
    let mut body = Vec::new();
    encoder.families(&registry.gather(), &mut body);
    encoder.finish(&mut body);
    ([(header::CONTENT_TYPE, negotiated.content_type())], body).into_response()
}

/// `GET /`
pub async fn landing(State(state): State<Shared>) -> Html<String> {
    let title = escape_html(&state.options.page_title);
    let prefix = escape_html(&state.options.route_prefix);
    let links = [
        ("/api/v1/query?query=up", "Query API: <code>up</code>"),
        ("/api/v1/targets", "Targets"),
        ("/api/v1/status/tsdb", "TSDB status"),
        ("/api/v1/status/config", "Configuration"),
        ("/api/v1/status/flags", "Flags"),
        ("/api/v1/status/runtimeinfo", "Runtime information"),
        ("/metrics", "Metrics of this process"),
        ("/-/healthy", "Health"),
        ("/-/ready", "Readiness"),
    ];
    let items: String = links
        .iter()
        .map(|(path, text)| format!("<li><a href=\"{prefix}{path}\">{text}</a></li>\n"))
        .collect();
    Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}}</style>\n\
         </head>\n<body>\n<h1>Bartizan</h1>\n<p>{title}</p>\n\
         <p>This program was built without its screens: <code>make ui</code> before <code>cargo build</code> \
         puts them in.</p>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
    ))
}

/// Text as it stands in HTML, also within the quotes of an attribute.
pub fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
