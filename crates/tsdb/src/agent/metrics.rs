//! What an agent's log publishes about itself, under Prometheus's names.

use base::metrics::{Counter, Gauge, Registry, Summary};

/// The metrics.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are named as the metrics are")]
pub struct AgentMetrics {
    pub active_series: Gauge,
    pub deleted_series: Gauge,
    pub floats_appended: Counter,
    pub histograms_appended: Counter,
    pub exemplars_appended: Counter,
    pub out_of_order: Counter,
    pub truncate_seconds: Summary,
    pub corruptions: Counter,
    pub replay_seconds: Gauge,
    pub checkpoint_deletions_failed: Counter,
    pub checkpoint_deletions: Counter,
    pub checkpoints_failed: Counter,
    pub checkpoints: Counter,
}

impl AgentMetrics {
    /// Publishes the metrics.
    pub fn new(registry: &Registry) -> Self {
        let name = |suffix: &str| format!("prometheus_agent_{suffix}");
        let counter = |suffix: &str, help: &str| registry.counter(&name(suffix), help, &[]);
        let gauge = |suffix: &str, help: &str| registry.gauge(&name(suffix), help, &[]);
        let samples = |kind: &str| {
            let help = "Total number of samples appended to the storage";
            registry.counter(&name("samples_appended_total"), help, &[("type", kind)])
        };
        Self {
            active_series: gauge("active_series", "Number of active series being tracked by the WAL storage"),
            deleted_series: gauge("deleted_series", "Number of series pending deletion from the WAL"),
            floats_appended: samples("float"),
            histograms_appended: samples("histogram"),
            exemplars_appended: counter(
                "exemplars_appended_total",
                "Total number of exemplars appended to the storage",
            ),
            out_of_order: counter(
                "out_of_order_samples_total",
                "Total number of out of order samples ingestion failed attempts.",
            ),
            truncate_seconds: registry.summary(
                &name("truncate_duration_seconds"),
                "Duration of WAL truncation.",
                &[],
                &[],
            ),
            corruptions: counter("corruptions_total", "Total number of WAL corruptions."),
            replay_seconds: gauge("data_replay_duration_seconds", "Time taken to replay the data on disk."),
            checkpoint_deletions_failed: counter(
                "checkpoint_deletions_failed_total",
                "Total number of checkpoint deletions that failed.",
            ),
            checkpoint_deletions: counter(
                "checkpoint_deletions_total",
                "Total number of checkpoint deletions attempted.",
            ),
            checkpoints_failed: counter(
                "checkpoint_creations_failed_total",
                "Total number of checkpoint creations that failed.",
            ),
            checkpoints: counter(
                "checkpoint_creations_total",
                "Total number of checkpoint creations attempted.",
            ),
        }
    }
}
