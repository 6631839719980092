//! What scraping publishes about itself, under the names dashboards know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::metrics::{Counter, Family, Histogram, Kind, Point, Registry, Summary, Value};
use parking_lot::Mutex;

const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];
/// Bounds of the histograms of lengths.
const LENGTH_BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
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
    by_interval: Arc<Mutex<BTreeMap<String, Length>>>,
    reload_length: Arc<Mutex<BTreeMap<String, Length>>>,
}

/// Pool, target and metric of series that were refused.
type RefusedKey = (String, String, String);

/// How many such are told apart. What comes later is counted together, without names.
const MAX_REFUSED_KEYS: usize = 100;

/// Figures of one pool.
#[derive(Debug)]
pub(super) struct PoolMetrics {
    pub target_limit: u64,
    pub targets: usize,
    pub syncs: u64,
    pub sync_failed: u64,
    pub metadata_entries: usize,
    pub metadata_bytes: usize,
    /// How long syncs took.
    pub sync_length: Length,
}

impl Default for PoolMetrics {
    fn default() -> Self {
        Self {
            target_limit: 0,
            targets: 0,
            syncs: 0,
            sync_failed: 0,
            metadata_entries: 0,
            metadata_bytes: 0,
            sync_length: Length {
                summary: Summary::new(&QUANTILES),
                histogram: Some(Histogram::new(&LENGTH_BOUNDS)),
            },
        }
    }
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
    pub(super) fn interval_length(&self, interval: &str) -> Length {
        let mut known = self.by_interval.lock();
        if let Some(length) = known.get(interval) {
            return length.clone();
        }
        let (help, labels) = ("Actual intervals between scrapes.", [("interval", interval)]);
        let summary = "prometheus_target_interval_length_seconds";
        let histogram = "prometheus_target_interval_length_histogram_seconds";
        let length = Length {
            summary: self.registry.summary(summary, help, &labels, &QUANTILES),
            histogram: Some(self.registry.histogram(histogram, help, &labels, &LENGTH_BOUNDS)),
        };
        known.insert(interval.to_owned(), length.clone());
        length
    }

    /// How long a reload of a pool took, by its interval.
    pub(super) fn reload_length(&self, interval: &str) -> Length {
        let mut known = self.reload_length.lock();
        if let Some(length) = known.get(interval) {
            return length.clone();
        }
        let help = "Actual interval to reload the scrape pool with a given configuration.";
        let (name, labels) = ("prometheus_target_reload_length_seconds", [("interval", interval)]);
        let length =
            Length { summary: self.registry.summary(name, help, &labels, &QUANTILES), histogram: None };
        known.insert(interval.to_owned(), length.clone());
        length
    }
}

/// Observed durations: a summary, and for some a histogram too.
#[derive(Debug, Clone)]
pub(super) struct Length {
    summary: Summary,
    histogram: Option<Histogram>,
}

impl Length {
    /// Records one duration.
    pub fn observe(&self, length: Duration) {
        self.summary.observe(length.as_secs_f64());
        if let Some(histogram) = &self.histogram {
            histogram.observe(length.as_secs_f64());
        }
    }
}

/// An interval as label values have it: `1m0s`.
pub(super) fn interval_text(interval: Duration) -> String {
    model::duration::format_go_duration(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX))
}

fn collect_pools(pools: &BTreeMap<String, PoolMetrics>, families: &mut Vec<Family>) {
    let mut add = |name: &str, help: &str, kind, value: &dyn Fn(&PoolMetrics) -> Option<Value>| {
        let mut family = Family::new(name, help, kind);
        for (pool, figures) in pools {
            let labels = vec![("scrape_job".to_owned(), pool.clone())];
            family.points.extend(value(figures).map(|value| Point { labels, value }));
        }
        families.push(family);
    };
    let length_help = "Actual interval to sync the scrape pool.";
    add("prometheus_target_sync_length_seconds", length_help, Kind::Summary, &|p| {
        Some(p.sync_length.summary.value())
    });
    add("prometheus_target_sync_length_histogram_seconds", length_help, Kind::Histogram, &|p| {
        p.sync_length.histogram.as_ref().map(Histogram::value)
    });
    let mut add = |name: &str, help: &str, kind, value: &dyn Fn(&PoolMetrics) -> f64| {
        add(name, help, kind, &|pool| Some(Value::Number(value(pool))));
    };
    // Labels are interned by the storage and not by pools, so that this is what it is in the usual build
    // of the program the name comes from.
    add(
        "prometheus_target_scrape_pool_symboltable_items",
        "Current number of symbols in table for this scrape pool.",
        Kind::Gauge,
        &|_| 0.0,
    );
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
