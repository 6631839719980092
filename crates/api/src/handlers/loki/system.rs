//! What tells about this server: limits, version, readiness, and writing out what is in memory.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::respond::Failure;
use super::{Logs, encode, json, run};
use crate::handlers::write::plain;

/// `GET /drilldown-limits`
pub(super) async fn drilldown_limits(State(state): State<Logs>) -> Response {
    let options = &state.options;
    let mut out = format!(
        concat!(
            "{{\"limits\":{{\"discover_log_levels\":true,\"discover_service_name\":[\"service\",\"app\",\"application\",\"app_name\",\"name\",",
            "\"app_kubernetes_io_name\",\"container\",\"container_name\",\"k8s_container_name\",\"component\",\"workload\",\"job\",\"k8s_job_name\"],",
            "\"log_level_fields\":[\"level\",\"LEVEL\",\"Level\",\"log.level\",\"severity\",\"SEVERITY\",\"Severity\",\"SeverityText\",\"lvl\",\"LVL\",\"Lvl\",\"severity_text\"],",
            "\"max_entries_limit_per_query\":{},\"max_line_size_truncate\":false,\"max_query_bytes_read\":\"0B\",\"max_query_length\":\"{}\",",
            "\"max_query_lookback\":\"0s\",\"max_query_range\":\"0s\",\"max_query_series\":{},\"metric_aggregation_enabled\":false,",
            "\"pattern_persistence_enabled\":false,\"query_timeout\":\"{}\",\"retention_period\":\"0s\",\"volume_enabled\":true,\"volume_max_series\":1000}},",
            "\"pattern_ingester_enabled\":true,\"version\":"
        ),
        options.max_entries,
        model::duration::format_duration_ms(options.max_query_length_ns / 1_000_000),
        options.max_series,
        model::duration::format_duration_ms(i64::try_from(options.query_timeout.as_millis()).unwrap_or(0)),
    );
    encode::string(&mut out, &options.version);
    out.push('}');
    json(out)
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
