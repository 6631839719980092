//! Discovery and scrape loops, and their view for the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::state::{ActiveTarget, DroppedTarget, RelabelStep, ScrapeCost, TargetMetadata, UnusableTarget};
use base::clock::SharedClock;
use base::metrics::Registry;
use collect::scrape::{Manager, PoolView, ScrapeOptions, ScrapedTarget};
use config::Config;
use discovery::metrics::Metrics as DiscoveryMetrics;
use model::Labels;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// Discovery and scraping. Clones share it.
#[derive(Clone)]
pub struct Scraping(Arc<Inner>);

struct Inner {
    discovery: discovery::Manager,
    scrape: Arc<Manager>,
    running: JoinHandle<()>,
    clock: SharedClock,
    discovery_metrics: DiscoveryMetrics,
}

impl Scraping {
    /// Nothing is scraped until a configuration is applied.
    pub fn new(settings: &Settings, registry: &Registry, clock: SharedClock, storage: Opened) -> Self {
        let features = &settings.features;
        let options = ScrapeOptions {
            append_metadata: features.metadata_wal_records,
            start_timestamp_zero_ingestion: features.created_timestamp_zero_ingestion,
            start_timestamps: features.st_storage,
            start_timestamp_synthesis: features.st_synthesis,
            type_and_unit_labels: features.type_and_unit_labels,
            timestamp_tolerance: settings.args.tuning.timestamp_tolerance(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            ..ScrapeOptions::default()
        };
        let metrics = DiscoveryMetrics::new(registry);
        let pause = settings.args.tuning.discovery_reload_interval();
        let discovery_metrics = metrics.clone();
        let discovery = discovery::Manager::new(metrics, clock.clone(), pause);
        let scrape = Manager::new(Arc::new(storage), options, clock.clone(), registry);
        let running = tokio::spawn(scrape.clone().run(discovery.groups()));
        Self(Arc::new(Inner { discovery, scrape, running, clock, discovery_metrics }))
    }

    /// The clock of the process.
    pub fn clock(&self) -> SharedClock {
        self.0.clock.clone()
    }

    /// What discovery counts.
    pub fn discovery_metrics(&self) -> &DiscoveryMetrics {
        &self.0.discovery_metrics
    }

    /// Ends discovery and all scrape loops.
    pub async fn stop(&self) {
        self.0.running.abort();
        self.0.scrape.stop().await;
    }

    fn targets(&self) -> impl Iterator<Item = (String, ScrapedTarget)> {
        let pools = self.0.scrape.pools().into_iter();
        pools.flat_map(|(name, pool)| pool.active.into_iter().map(move |target| (name.clone(), target)))
    }
}

impl Reloadable for Scraping {
    /// Runs on a blocking thread, as reloads do.
    fn reload(&self, _: &Settings, config: &Config) -> Result<(), String> {
        let applied = Handle::current().block_on(self.0.scrape.apply(&config.jobs, &config.external_labels));
        let _runtime = Handle::current().enter();
        self.0.discovery.apply(&config.jobs);
        applied
    }
}

impl api::state::Targets for Scraping {
    fn pools(&self) -> Vec<String> {
        self.0.scrape.pools().into_keys().collect()
    }

    fn active(&self) -> Vec<ActiveTarget> {
        let view = |(pool, scraped): (String, ScrapedTarget)| {
            let target = &scraped.target;
            let last = target.last_scrape();
            ActiveTarget {
                pool,
                discovered_labels: target.discovered_labels(),
                labels: target.labels().clone(),
                scrape_url: target.url().to_owned(),
                last_error: last.error,
                last_scrape_ms: last.began_ms,
                last_scrape_duration: last.duration,
                health: last.health.as_str(),
                scrape_interval: target.interval_text().to_owned(),
                scrape_timeout: target.timeout_text().to_owned(),
                cost: ScrapeCost {
                    samples: last.cost.samples,
                    samples_kept: last.cost.samples_kept,
                    series_added: last.cost.series_added,
                    body_bytes: last.cost.body_bytes,
                },
            }
        };
        self.targets().map(view).collect()
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        let of_pool = |(name, pool): (String, PoolView)| {
            let view = move |discovered_labels| DroppedTarget { pool: name.clone(), discovered_labels };
            pool.dropped.into_iter().map(view)
        };
        self.0.scrape.pools().into_iter().flat_map(of_pool).collect()
    }

    fn dropped_counts(&self) -> BTreeMap<String, usize> {
        self.0.scrape.pools().into_iter().map(|(name, pool)| (name, pool.dropped_count)).collect()
    }

    fn metadata(&self, family: &str) -> Vec<TargetMetadata> {
        let mut all = Vec::new();
        for (_, scraped) in self.targets() {
            let mut families = match family {
                "" => scraped.metadata(),
                family => scraped.metadata_of(family).map(|m| (family.to_owned(), m)).into_iter().collect(),
            };
            families.sort_by(|a, b| a.0.cmp(&b.0));
            let target = scraped.target.labels();
            all.extend(families.into_iter().map(|(family, metadata)| TargetMetadata {
                target: target.clone(),
                family,
                metadata,
            }));
        }
        all
    }

    fn pool_config(&self, pool: &str) -> Option<String> {
        Some(self.0.scrape.pool(pool)?.config.to_yaml())
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let config = self.0.scrape.pool(pool)?.config;
        Some(steps(&config.relabel_configs, labels))
    }

    fn metric_relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let config = self.0.scrape.pool(pool)?.config;
        Some(steps(&config.metric_relabel_configs, labels))
    }

    fn unusable(&self) -> Vec<UnusableTarget> {
        let of_pool = |(name, pool): (String, PoolView)| {
            let view = move |error| UnusableTarget { pool: name.clone(), error };
            pool.unusable.into_iter().map(view)
        };
        self.0.scrape.pools().into_iter().flat_map(of_pool).collect()
    }
}

/// What rules do with labels, one by one.
fn steps(rules: &[config::RelabelConfig], labels: &Labels) -> Vec<RelabelStep> {
    let steps = discovery::relabel::explain(labels, rules);
    let step = |(rule, step): (&config::RelabelConfig, discovery::relabel::Step)| RelabelStep {
        rule: rule_json(rule),
        output: step.output,
        keep: step.keep,
    };
    rules.iter().zip(steps).map(step).collect()
}

fn rule_json(rule: &config::RelabelConfig) -> serde_json::Value {
    serde_json::json!({
        "source_labels": rule.source_labels.0,
        "separator": rule.separator,
        "regex": rule.regex.pattern(),
        "modulus": rule.modulus,
        "target_label": rule.target_label,
        "replacement": rule.replacement,
        "action": rule.action.as_str(),
    })
}
