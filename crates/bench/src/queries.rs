//! The query set, and timing it.

use std::time::Instant;

use serde::Serialize;

use crate::http;
use crate::program::Kind;
use crate::report::median;
use crate::scenario::BenchError;

/// One query of the set.
pub struct Query {
    /// What it stands for.
    pub name: &'static str,
    /// The expression.
    pub text: &'static str,
    /// Seconds before the end of the data to start at, and the step; `None` asks for one instant.
    pub range: Option<(u64, u64)>,
}

/// Queries over a live head of minutes.
pub const LIVE: [Query; 9] = [
    Query {
        name: "rate and sum by",
        text: "sum by (namespace) (rate(container_cpu_usage_seconds_total[1m]))",
        range: Some((180, 15)),
    },
    Query {
        name: "histogram quantile",
        text: "histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket[1m])))",
        range: Some((180, 15)),
    },
    Query { name: "topk", text: "topk(10, rate(container_network_receive_bytes_total[1m]))", range: None },
    Query {
        name: "join",
        text: "sum by (namespace) (container_memory_working_set_bytes / on (namespace, pod, container, instance) container_spec_memory_limit_bytes)",
        range: Some((180, 15)),
    },
    Query {
        name: "subquery",
        text: "max_over_time(sum by (namespace) (rate(container_network_transmit_bytes_total[1m]))[2m:10s])",
        range: None,
    },
    Query { name: "high-cardinality count", text: "count by (__name__) ({__name__!=\"\"})", range: None },
    Query {
        name: "regex",
        text: "sum by (handler) (rate({__name__=~\"http_requests_.+\", handler=~\"/api/v1/.*\", code=~\"5..\"}[1m]))",
        range: Some((180, 15)),
    },
    Query {
        name: "one target",
        text: "container_memory_working_set_bytes{instance=\"10.0.0.7:8080\"}",
        range: Some((180, 15)),
    },
    Query { name: "alert rule", text: "rate(http_requests_total{code=~\"5..\"}[1m]) > 4", range: None },
];

/// Queries over hours of stored history.
pub const HISTORY: [Query; 5] = [
    Query {
        name: "long range rate and sum by",
        text: "sum by (namespace) (rate(container_cpu_usage_seconds_total[5m]))",
        range: Some((22 * 3600, 120)),
    },
    Query {
        name: "long range histogram quantile",
        text: "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
        range: Some((22 * 3600, 120)),
    },
    Query {
        name: "long range subquery",
        text: "max_over_time(sum(rate(http_requests_total[5m]))[1h:1m])",
        range: Some((20 * 3600, 600)),
    },
    Query {
        name: "a day of averages",
        text: "avg_over_time(container_memory_working_set_bytes[12h])",
        range: Some((10 * 3600, 600)),
    },
    Query { name: "long range plain", text: "container_cpu_load_average_10s", range: Some((22 * 3600, 300)) },
];

/// How one query did.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// The query's name.
    pub name: &'static str,
    /// Every repetition, in milliseconds.
    pub all_ms: Vec<f64>,
    /// Their median.
    pub median_ms: f64,
    /// Series in the answer.
    pub series: usize,
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

/// Runs `queries` with `end_s` as the end of the data, each once unmeasured and `repeat` times measured.
pub fn run(kind: Kind, port: u16, queries: &[Query], end_s: u64, repeat: usize) -> Vec<Timing> {
    queries.iter().map(|query| time(kind, port, query, end_s, repeat)).collect()
}

fn time(kind: Kind, port: u16, query: &Query, end_s: u64, repeat: usize) -> Timing {
    let path = match query.range {
        None => format!("/api/v1/query?query={}&time={end_s}", http::encode(query.text)),
        Some((back_s, step_s)) => format!(
            "/api/v1/query_range?query={}&start={}&end={end_s}&step={step_s}",
            http::encode(query.text),
            end_s - back_s
        ),
    };
    let path = path + kind.uncached();
    let mut timing =
        Timing { name: query.name, all_ms: Vec::new(), median_ms: f64::NAN, series: 0, error: None };
    match repeat_query(port, &path, repeat) {
        Ok((series, all_ms)) => {
            timing.series = series;
            timing.median_ms = median(&all_ms);
            timing.all_ms = all_ms;
        }
        Err(error) => timing.error = Some(error.to_string()),
    }
    timing
}

fn repeat_query(port: u16, path: &str, repeat: usize) -> Result<(usize, Vec<f64>), BenchError> {
    let series = http::query(port, path)?.len();
    let mut all_ms = Vec::new();
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        http::get(port, path)?;
        all_ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok((series, all_ms))
}
