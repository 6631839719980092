//! What queries and requests cost, under Prometheus's names.

mod http;

pub use http::{HttpMetrics, measure};

use std::time::Duration;

use base::metrics::{Counter, Histogram, Registry, Summary};
use promql::engine::QueryStats;

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];

/// Costs of queries.
#[derive(Debug, Clone)]
pub struct QueryMetrics {
    queue: Summary,
    prepare: Summary,
    evaluate: Summary,
    sort: Summary,
    total: Histogram,
    samples: Counter,
}

impl QueryMetrics {
    /// Publishes in `registry`; `max_concurrency` is the number of queries admitted at once.
    pub fn new(registry: &Registry, max_concurrency: usize) -> Self {
        let slice = |slice: &str| {
            let (name, help) = ("prometheus_engine_query_duration_seconds", "Query timings.");
            registry.summary(name, help, &[("slice", slice)], &QUANTILES)
        };
        let help = "The max number of concurrent queries.";
        registry.gauge("prometheus_engine_queries_concurrent_max", help, &[]).set(max_concurrency as f64);
        Self {
            queue: slice("queue_time"),
            prepare: slice("prepare_time"),
            evaluate: slice("inner_eval"),
            sort: slice("result_sort"),
            total: registry.histogram(
                "prometheus_engine_query_duration_histogram_seconds",
                "Time queries took in all.",
                &[],
                &SECONDS,
            ),
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries.",
                &[],
            ),
        }
    }

    /// Records a query that waited for `queued`.
    pub fn observe(&self, stats: &QueryStats, queued: Duration) {
        self.queue.observe(queued.as_secs_f64());
        self.prepare.observe(stats.timings.preparation.as_secs_f64());
        self.evaluate.observe(stats.timings.inner_eval.as_secs_f64());
        self.sort.observe(stats.timings.result_sort.as_secs_f64());
        self.total.observe((stats.timings.exec_total + queued).as_secs_f64());
        self.samples.add(stats.total_queryable_samples);
    }
}
