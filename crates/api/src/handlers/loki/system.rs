//! What tells about this server: limits, version, readiness, and writing out what is in memory.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::respond::Failure;
use super::{Logs, encode, json, run};
use crate::handlers::write::plain;

/// `GET /drilldown-limits`
pub(super) async fn drilldown_limits(
    State(state): State<Logs>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let limits = state.limits_of(&state.tenant(&headers)?);
    let duration = |ns: i64| model::duration::format_duration_ms(ns / 1_000_000);
    let mut out = format!(
        concat!(
            "{{\"limits\":{{\"discover_log_levels\":true,\"discover_service_name\":[\"service\",\"app\",\"application\",\"app_name\",\"name\",",
            "\"app_kubernetes_io_name\",\"container\",\"container_name\",\"k8s_container_name\",\"component\",\"workload\",\"job\",\"k8s_job_name\"],",
            "\"log_level_fields\":[\"level\",\"LEVEL\",\"Level\",\"log.level\",\"severity\",\"SEVERITY\",\"Severity\",\"SeverityText\",\"lvl\",\"LVL\",\"Lvl\",\"severity_text\"],",
            "\"max_entries_limit_per_query\":{},\"max_line_size_truncate\":false,\"max_query_bytes_read\":\"{}B\",\"max_query_length\":\"{}\",",
            "\"max_query_lookback\":\"{}\",\"max_query_range\":\"{}\",\"max_query_series\":{},\"metric_aggregation_enabled\":false,",
            "\"pattern_persistence_enabled\":false,\"query_timeout\":\"{}\",\"retention_period\":\"{}\",\"volume_enabled\":{},\"volume_max_series\":{}}},",
            "\"pattern_ingester_enabled\":true,\"version\":"
        ),
        limits.max_entries,
        limits.max_bytes_read,
        duration(limits.max_length_ns),
        duration(limits.max_lookback_ns),
        duration(limits.max_range_ns),
        limits.max_series,
        model::duration::format_duration_ms(i64::try_from(limits.query_timeout.as_millis()).unwrap_or(0)),
        duration(limits.retention_ns),
        limits.volume_enabled,
        limits.volume_max_series,
    );
    encode::string(&mut out, &state.options.version);
    out.push('}');
    Ok(json(out))
}

/// `GET /status/buildinfo`
pub(super) async fn build_info(State(state): State<Logs>) -> Response {
    let mut out = String::new();
    let pairs = [
        ("version", state.options.version.as_str()),
        ("revision", ""),
        ("branch", ""),
        ("buildDate", ""),
        ("buildUser", ""),
        ("goVersion", ""),
    ];
    encode::pairs(&mut out, pairs);
    json(out)
}

/// `POST /flush`
pub(super) async fn flush(State(state): State<Logs>, headers: HeaderMap) -> Result<Response, Failure> {
    run(&state, &headers, |state, _| state.receiver.flush().map_err(|problem| Failure::new(500, problem)))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /ready`
pub(super) async fn ready(State(state): State<Logs>) -> Response {
    if state.receiver.is_ready() {
        plain(StatusCode::OK, "ready")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "Ingester not ready: waiting for the log to be replayed")
    }
}

/// `GET /services`
pub(super) async fn services(State(state): State<Logs>) -> Response {
    let status = if state.receiver.is_ready() { "Running" } else { "Starting" };
    let names = ["server", "distributor", "ingester", "querier", "compactor"];
    plain(StatusCode::OK, names.map(|name| format!("{name} => {status}")).join("\n"))
}
