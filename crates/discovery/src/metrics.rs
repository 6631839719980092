//! What discovery publishes about itself, under Prometheus's names.

use base::metrics::{Counter, Gauge, Registry};

/// Counters of all providers.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Updates handed to the consumer.
    pub sent_updates: Counter,
    /// Updates received from providers.
    pub received_updates: Counter,
    /// Jobs whose providers could not be started.
    pub failed_configs: Gauge,
    /// Targets found in all.
    pub discovered_targets: Gauge,
    /// Files that could not be read.
    pub file_read_errors: Counter,
    /// Directories that could not be watched.
    pub file_watcher_errors: Counter,
    /// Fetches over HTTP that failed.
    pub http_failures: Counter,
    /// DNS queries.
    pub dns_lookups: Counter,
    /// DNS queries that failed.
    pub dns_failures: Counter,
}

impl Metrics {
    /// Publishes in `registry`.
    pub fn new(registry: &Registry) -> Self {
        let scrape = [("name", "scrape")];
        let counter = |name: &str, help: &str, labels: &[(&str, &str)]| registry.counter(name, help, labels);
        Self {
            sent_updates: counter(
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
                &scrape,
            ),
            received_updates: counter(
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
                &scrape,
            ),
            failed_configs: registry.gauge(
                "prometheus_sd_failed_configs",
                "Current number of service discovery configurations that failed to load.",
                &scrape,
            ),
            discovered_targets: registry.gauge(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                &scrape,
            ),
            file_read_errors: counter(
                "prometheus_sd_file_read_errors_total",
                "The number of File-SD read errors.",
                &[],
            ),
            file_watcher_errors: counter(
                "prometheus_sd_file_watcher_errors_total",
                "The number of File-SD errors caused by filesystem watch failures.",
                &[],
            ),
            http_failures: counter(
                "prometheus_sd_http_failures_total",
                "Number of HTTP service discovery refresh failures.",
                &[],
            ),
            dns_lookups: counter("prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups.", &[]),
            dns_failures: counter(
                "prometheus_sd_dns_lookup_failures_total",
                "The number of DNS-SD lookup failures.",
                &[],
            ),
        }
    }
}
