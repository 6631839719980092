//! What scraping publishes about itself, under the names dashboards know.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::metrics::{Counter, Family, Histogram, Kind, Registry, Summary};
use parking_lot::Mutex;

const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];
const DURATION_BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters of the scrape manager. Clones share them.
#[derive(Debug, Clone)]
pub struct ScrapeMetrics {
    registry: Registry,
    pub(super) pools_created: Counter,
    pub(super) pools_failed: Counter,
    pub(super) pool_reloads: Counter,
    pub(super) pool_reloads_failed: Counter,
    pub(super) exceeded_target_limit: Counter,
    pub(super) exceeded_label_limits: Counter,
    pub(super) exceeded_body_size_limit: Counter,
    pub(super) exceeded_sample_limit: Counter,
    pub(super) exceeded_bucket_limit: Counter,
    pub(super) cache_flush_forced: Counter,
    pub(super) duplicate_timestamp: Counter,
    pub(super) out_of_order: Counter,
    pub(super) out_of_bounds: Counter,
    pub(super) exemplar_out_of_order: Counter,
    pub(super) scrape_duration: Histogram,
    pools: Arc<Mutex<BTreeMap<String, PoolMetrics>>>,
    refused: Arc<Mutex<BTreeMap<RefusedKey, u64>>>,
    by_interval: Arc<Mutex<BTreeMap<String, Summary>>>,
    reload_length: Arc<Mutex<BTreeMap<String, Summary>>>,
    sync_length: Arc<Mutex<BTreeMap<String, Summary>>>,
}

/// Pool, target and metric of series that were refused.
type RefusedKey = (String, String, String);

/// How many such are told apart. What comes later is counted together, without names.
const MAX_REFUSED_KEYS: usize = 100;

/// Figures of one pool.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PoolMetrics {
    pub target_limit: u64,
    pub targets: usize,
    pub syncs: u64,
    pub sync_failed: u64,
    pub metadata_entries: usize,
    pub metadata_bytes: usize,
}

impl ScrapeMetrics {
    /// Publishes the metrics in `registry`.
    pub fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(name, help, &[]);
        let metrics = Self {
            pools_created: counter(
                "prometheus_target_scrape_pools_total",
                "Total number of scrape pool creation attempts.",
            ),
            pools_failed: counter(
                "prometheus_target_scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
            ),
            pool_reloads: counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
            ),
            pool_reloads_failed: counter(
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
            ),
            exceeded_target_limit: counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            exceeded_label_limits: counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            exceeded_body_size_limit: counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            exceeded_sample_limit: counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_bucket_limit: counter(
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
            ),
            cache_flush_forced: counter(
                "prometheus_target_scrapes_cache_flush_forced_total",
                "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
            ),
            duplicate_timestamp: counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_order: counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            out_of_bounds: counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            exemplar_out_of_order: counter(
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Total number of exemplar rejected due to not being out of the expected order.",
            ),
            scrape_duration: registry.histogram(
                "prometheus_target_scrape_duration_seconds",
                "Total duration of the scrape from start to commit completion in seconds.",
                &[],
                &DURATION_BOUNDS,
            ),
            registry: registry.clone(),
            pools: Arc::default(),
            refused: Arc::default(),
            by_interval: Arc::default(),
            reload_length: Arc::default(),
            sync_length: Arc::default(),
        };
        let pools = metrics.pools.clone();
        registry.collect_with(move |families| collect_pools(&pools.lock(), families));
        let refused = metrics.refused.clone();
        registry.collect_with(move |families| {
            let help =
                "Number of new series that were not stored because of the series limit, each scrape anew.";
            let mut family = Family::new("bartizan_scrape_series_refused_total", help, Kind::Counter);
            for ((pool, target, metric), &count) in &*refused.lock() {
                let labels = [("metric", &**metric), ("scrape_job", &**pool), ("target", &**target)];
                family.push(&labels, count as f64);
            }
            families.push(family);
        });
        metrics
    }

    /// Counts series of a target that were refused, by metric.
    pub(super) fn series_refused(&self, pool: &str, target: &str, by_metric: &[(String, usize)]) {
        let mut refused = self.refused.lock();
        for (metric, count) in by_metric {
            let mut key = (pool.to_owned(), target.to_owned(), metric.clone());
            if refused.len() >= MAX_REFUSED_KEYS && !refused.contains_key(&key) {
                key = RefusedKey::default();
            }
            *refused.entry(key).or_default() += *count as u64;
        }
    }

    /// Changes the figures of a pool.
    pub(super) fn pool(&self, name: &str, change: impl FnOnce(&mut PoolMetrics)) {
        let mut pools = self.pools.lock();
        if !pools.contains_key(name) {
            pools.insert(name.to_owned(), PoolMetrics::default());
        }
        if let Some(pool) = pools.get_mut(name) {
            change(pool);
        }
    }

    /// Stops publishing a pool.
    pub(super) fn remove_pool(&self, name: &str) {
        self.pools.lock().remove(name);
    }

    /// The actual time between two scrapes, by configured interval.
    pub(super) fn interval_length(&self, interval: &str) -> Summary {
        let help = "Actual intervals between scrapes.";
        self.summary(
            &self.by_interval,
            "prometheus_target_interval_length_seconds",
            help,
            "interval",
            interval,
        )
    }

    /// How long a reload of a pool took, by its interval.
    pub(super) fn reload_length(&self, interval: &str) -> Summary {
        let help = "Actual interval to reload the scrape pool with a given configuration.";
        self.summary(
            &self.reload_length,
            "prometheus_target_reload_length_seconds",
            help,
            "interval",
            interval,
        )
    }

    /// How long a sync of a pool took.
    pub(super) fn sync_length(&self, pool: &str) -> Summary {
        let help = "Actual interval to sync the scrape pool.";
        self.summary(&self.sync_length, "prometheus_target_sync_length_seconds", help, "scrape_job", pool)
    }

    fn summary(
        &self,
        known: &Mutex<BTreeMap<String, Summary>>,
        name: &str,
        help: &str,
        label: &str,
        value: &str,
    ) -> Summary {
        let mut known = known.lock();
        if let Some(summary) = known.get(value) {
            return summary.clone();
        }
        let summary = self.registry.summary(name, help, &[(label, value)], &QUANTILES);
        known.insert(value.to_owned(), summary.clone());
        summary
    }
}

/// An interval as label values have it: `1m0s`.
pub(super) fn interval_text(interval: std::time::Duration) -> String {
    model::duration::format_go_duration(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX))
}

fn collect_pools(pools: &BTreeMap<String, PoolMetrics>, families: &mut Vec<Family>) {
    let mut add = |name: &str, help: &str, kind, value: &dyn Fn(&PoolMetrics) -> f64| {
        let mut family = Family::new(name, help, kind);
        for (pool, figures) in pools {
            family.push(&[("scrape_job", pool.as_str())], value(figures));
        }
        families.push(family);
    };
    add(
        "prometheus_target_scrape_pool_target_limit",
        "Maximum number of targets allowed in this scrape pool.",
        Kind::Gauge,
        &|p| p.target_limit as f64,
    );
    add(
        "prometheus_target_scrape_pool_targets",
        "Current number of targets in this scrape pool.",
        Kind::Gauge,
        &|p| p.targets as f64,
    );
    add(
        "prometheus_target_scrape_pool_sync_total",
        "Total number of syncs that were executed on a scrape pool.",
        Kind::Counter,
        &|p| p.syncs as f64,
    );
    add(
        "prometheus_target_sync_failed_total",
        "Total number of target sync failures.",
        Kind::Counter,
        &|p| p.sync_failed as f64,
    );
    add(
        "prometheus_target_metadata_cache_entries",
        "Total number of metric metadata entries in the cache",
        Kind::Gauge,
        &|p| p.metadata_entries as f64,
    );
    add(
        "prometheus_target_metadata_cache_bytes",
        "The number of bytes that are currently used for storing metric metadata in the cache",
        Kind::Gauge,
        &|p| p.metadata_bytes as f64,
    );
}
