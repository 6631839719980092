//! What the server is, how it is configured and what it holds.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use base::metrics::{Family, Kind, Value as MetricValue};
use serde_json::{Value, json};

use super::Shared;
use crate::envelope::success;
use crate::error::ApiError;
use crate::params::Params;

/// The highest `limit` of `/status/tsdb`.
const MAX_TSDB_LIMIT: i64 = 10_000;

/// Milliseconds since the Unix epoch as RFC 3339.
pub fn rfc3339(t_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(t_ms).map_or_else(|_| t_ms.to_string(), |t| t.to_string())
}

/// `GET /status/config`
pub async fn config(State(state): State<Shared>) -> Response {
    success(&json!({ "yaml": state.system.config_yaml() }))
}

/// `GET /status/flags`
pub async fn flags(State(state): State<Shared>) -> Response {
    success(&state.system.flags())
}

/// `GET /status/buildinfo`
pub async fn build_info(State(state): State<Shared>) -> Response {
    success(&state.system.build_info())
}

/// `GET /features`
pub async fn features(State(state): State<Shared>) -> Response {
    success(&state.system.features())
}

/// `GET /status/runtimeinfo`
pub async fn runtime_info(State(state): State<Shared>) -> Response {
    let info = state.system.runtime_info();
    // Names are Prometheus's; what only exists in Go's runtime is empty.
    success(&json!({
        "startTime": rfc3339(info.start_time_ms),
        "CWD": info.working_directory,
        "hostname": info.hostname,
        "serverTime": rfc3339(state.clock.now_ms()),
        "reloadConfigSuccess": info.reload_succeeded,
        "lastConfigTime": rfc3339(info.last_config_ms),
        "corruptionCount": info.corruption_count,
        "goroutineCount": info.threads,
        "GOMAXPROCS": info.threads,
        "GOMEMLIMIT": i64::MAX,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": info.storage_retention,
    }))
}

/// `GET /status/tsdb`
pub async fn tsdb(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let problem = "limit must be a positive number";
    let limit = params.number("limit", problem)?.unwrap_or(10);
    if limit < 1 {
        return Err(ApiError::bad_data(problem));
    }
    if limit > MAX_TSDB_LIMIT {
        return Err(ApiError::bad_data(format!("limit must not exceed {MAX_TSDB_LIMIT}")));
    }
    let work = move || state.storage.head_status(usize::try_from(limit).unwrap_or(10));
    let status = spawn(work).await?;
    Ok(success(&json!({
        "headStats": {
            "numSeries": status.series,
            "numLabelPairs": status.label_pairs,
            "chunkCount": status.chunks,
            "minTime": status.min_time_ms,
            "maxTime": status.max_time_ms,
        },
        "seriesCountByMetricName": status.series_by_metric,
        "labelValueCountByLabelName": status.values_by_label,
        "memoryInBytesByLabelName": status.memory_by_label,
        "seriesCountByLabelValuePair": status.series_by_pair,
    })))
}

/// `GET /status/tsdb/blocks`
pub async fn tsdb_blocks(State(state): State<Shared>) -> Result<Response, ApiError> {
    let blocks = spawn(move || state.storage.blocks())
        .await
        .map_err(|error| ApiError::internal(format!("error getting block metadata: {}", error.message)))?;
    Ok(success(&json!({ "blocks": blocks })))
}

/// Runs work of the storage engine on a blocking thread.
pub(super) async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(ApiError::internal),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

/// `GET /status/walreplay`
pub async fn wal_replay(State(state): State<Shared>) -> Response {
    let (min, max, current) = state.storage.wal_replay();
    success(&json!({ "min": min, "max": max, "current": current }))
}

/// `GET /status/self_metrics`: the process's own metrics in the JSON form of their protobuf messages.
pub async fn self_metrics(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    let pattern = params.get("metric_name_pattern");
    let filter = match pattern {
        "" => None,
        pattern => Some(
            model::regex::AnchoredRegex::new(pattern)
                .map_err(|error| ApiError::bad_data(format!("invalid metric_name_pattern: {error}")))?,
        ),
    };
    let families = state.registry.gather();
    let wanted = families.iter().filter(|f| filter.as_ref().is_none_or(|regex| regex.is_match(&f.name)));
    Ok(success(&wanted.map(family_json).collect::<Vec<_>>()))
}

fn family_json(family: &Family) -> Value {
    let (kind, field) = match family.kind {
        Kind::Counter => ("COUNTER", "counter"),
        Kind::Gauge => ("GAUGE", "gauge"),
        Kind::Histogram => ("HISTOGRAM", "histogram"),
        Kind::Summary => ("SUMMARY", "summary"),
        Kind::Untyped => ("UNTYPED", "untyped"),
    };
    let metrics: Vec<Value> = family
        .points
        .iter()
        .map(|point| {
            let labels: Vec<Value> =
                point.labels.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            let mut metric = BTreeMap::from([(field, value_json(&point.value))]);
            if !labels.is_empty() {
                metric.insert("label", json!(labels));
            }
            json!(metric)
        })
        .collect();
    json!({ "name": family.name, "help": family.help, "type": kind, "metric": metrics })
}

fn value_json(value: &MetricValue) -> Value {
    match value {
        MetricValue::Number(number) => json!({ "value": number_json(*number) }),
        MetricValue::Histogram { buckets, sum, count } => json!({
            "sampleCount": count.to_string(),
            "sampleSum": number_json(*sum),
            "bucket": buckets
                .iter()
                .map(|(bound, count)| json!({ "cumulativeCount": count.to_string(), "upperBound": number_json(*bound) }))
                .collect::<Vec<_>>(),
        }),
        MetricValue::Summary { quantiles, sum, count } => json!({
            "sampleCount": count.to_string(),
            "sampleSum": number_json(*sum),
            "quantile": quantiles
                .iter()
                .map(|(quantile, value)| json!({ "quantile": quantile, "value": number_json(*value) }))
                .collect::<Vec<_>>(),
        }),
    }
}

/// JSON has no word for what is not finite; protobuf's JSON form uses these strings.
fn number_json(number: f64) -> Value {
    if number.is_finite() {
        return json!(number);
    }
    json!(if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    })
}
