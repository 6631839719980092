//! All jobs: applies configurations, takes target groups, shows what is scraped.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::clock::SharedClock;
use base::metrics::Registry;
use config::ScrapeConfig;
use discovery::manager::Groups;
use model::{Appendable, Labels, Metadata, TenantId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ScrapeOptions;
use super::fetch::Buffers;
use super::metadata::{MetadataCache, TextPool};
use super::metrics::ScrapeMetrics;
use super::pool::Pool;
use super::target::Target;
use super::task::Shared;

/// Runs all scrape pools.
pub struct Manager {
    shared: Shared,
    pools: tokio::sync::Mutex<Pools>,
    views: RwLock<BTreeMap<String, PoolView>>,
}

#[derive(Default)]
struct Pools {
    jobs: Vec<Arc<ScrapeConfig>>,
    groups: Groups,
    running: BTreeMap<String, Pool>,
    offset_seed: u64,
}

/// What a pool looks like from outside.
#[derive(Debug, Clone)]
pub struct PoolView {
    /// Its configuration.
    pub config: Arc<ScrapeConfig>,
    /// Targets that are scraped, by URL.
    pub active: Vec<ScrapedTarget>,
    /// Labels before relabelling of targets that relabelling dropped, up to `keep_dropped_targets`.
    pub dropped: Vec<Labels>,
    /// How many targets were dropped.
    pub dropped_count: usize,
    /// Why targets that relabelling kept cannot be scraped, a few of them.
    pub unusable: Vec<String>,
}

/// A target that is scraped, with what it says about its metrics.
#[derive(Debug, Clone)]
pub struct ScrapedTarget {
    /// The target.
    pub target: Arc<Target>,
    metadata: Arc<Mutex<MetadataCache>>,
}

impl ScrapedTarget {
    pub(super) fn new(target: Arc<Target>, metadata: Arc<Mutex<MetadataCache>>) -> Self {
        Self { target, metadata }
    }

    /// Metadata of one metric family.
    pub fn metadata_of(&self, family: &str) -> Option<Metadata> {
        self.metadata.lock().get(family).map(|(metadata, _)| metadata)
    }

    /// Metadata of all metric families, in no particular order.
    pub fn metadata(&self) -> Vec<(String, Metadata)> {
        self.metadata.lock().list()
    }

    fn metadata_size(&self) -> (usize, usize) {
        let metadata = self.metadata.lock();
        (metadata.len(), metadata.size_bytes())
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("pools", &self.views.read().len()).finish_non_exhaustive()
    }
}

impl Manager {
    /// A manager without jobs, which appends to `appendable` and publishes its own metrics in `registry`.
    pub fn new(
        appendable: Arc<dyn Appendable>,
        options: ScrapeOptions,
        clock: SharedClock,
        registry: &Registry,
    ) -> Arc<Self> {
        let shared = Shared {
            appendable,
            tenant: TenantId::default(),
            clock,
            metrics: ScrapeMetrics::new(registry),
            options,
            buffers: Buffers::default(),
            texts: TextPool::default(),
            shutdown: CancellationToken::new(),
        };
        Arc::new(Self { shared, pools: tokio::sync::Mutex::default(), views: RwLock::default() })
    }

    /// Takes the target groups of all jobs as they change, until [`Manager::stop`] is called.
    pub async fn run(self: Arc<Self>, mut groups: watch::Receiver<Groups>) {
        loop {
            let current = groups.borrow_and_update().clone();
            self.sync(current).await;
            tokio::select! {
                changed = groups.changed() => if changed.is_err() { return },
                () = self.shared.shutdown.cancelled() => return,
            }
        }
    }

    /// Makes the jobs those given; only changed ones restart. Errors name the jobs that could not follow
    /// and go on as they were.
    pub async fn apply(&self, jobs: &[Arc<ScrapeConfig>], external_labels: &Labels) -> Result<(), String> {
        let mut pools = self.pools.lock().await;
        let pools = &mut *pools;
        let seed = format!("{}{external_labels}", self.shared.options.host);
        pools.offset_seed = xxhash_rust::xxh3::xxh3_64(seed.as_bytes());
        pools.jobs = jobs.to_vec();
        let removed: Vec<String> = pools
            .running
            .keys()
            .filter(|name| jobs.iter().all(|job| job.job_name != **name))
            .cloned()
            .collect();
        for name in removed {
            if let Some(pool) = pools.running.remove(&name) {
                pool.stop().await;
            }
        }
        let mut failed = Vec::new();
        for job in jobs {
            let Some(pool) = pools.running.get_mut(&job.job_name) else { continue };
            pool.open_failure_log(job);
            if **pool.config() == **job {
                continue;
            }
            let groups = pools.groups.get(&job.job_name).map(Vec::as_slice).unwrap_or_default();
            if let Err(error) = pool.reload(job.clone(), groups).await {
                tracing::error!(scrape_pool = %job.job_name, %error, "error reloading scrape pool");
                failed.push(job.job_name.clone());
            }
        }
        self.publish(pools);
        if failed.is_empty() {
            return Ok(());
        }
        Err(format!("failed to apply the new configuration to scrape pools: {}", failed.join(", ")))
    }

    /// Makes the targets of all jobs those of `groups`.
    pub async fn sync(&self, groups: Groups) {
        let mut pools = self.pools.lock().await;
        let pools = &mut *pools;
        if self.shared.shutdown.is_cancelled() {
            return;
        }
        pools.groups = groups;
        for job in &pools.jobs {
            let Some(groups) = pools.groups.get(&job.job_name) else { continue };
            if !pools.running.contains_key(&job.job_name) {
                self.shared.metrics.pools_created.inc();
                match Pool::new(job.clone(), self.shared.clone(), pools.offset_seed) {
                    Ok(pool) => {
                        pools.running.insert(job.job_name.clone(), pool);
                    }
                    Err(error) => {
                        self.shared.metrics.pools_failed.inc();
                        tracing::error!(scrape_pool = %job.job_name, %error, "error creating new scrape pool");
                        continue;
                    }
                }
            }
            if let Some(pool) = pools.running.get_mut(&job.job_name) {
                pool.sync(groups).await;
            }
        }
        self.publish(pools);
    }

    /// Ends all scraping. No staleness markers are written: the server may be back soon.
    pub async fn stop(&self) {
        self.shared.shutdown.cancel();
        let mut pools = self.pools.lock().await;
        for (_, pool) in std::mem::take(&mut pools.running) {
            pool.stop().await;
        }
        self.views.write().clear();
    }

    fn publish(&self, pools: &Pools) {
        let views = pools.running.iter().map(|(name, pool)| (name.clone(), pool.view())).collect();
        *self.views.write() = views;
    }

    /// All pools by job name.
    pub fn pools(&self) -> BTreeMap<String, PoolView> {
        let views = self.views.read().clone();
        for (name, view) in &views {
            let sizes = view.active.iter().map(ScrapedTarget::metadata_size);
            let (entries, bytes) = sizes.fold((0, 0), |(e, b), (entries, bytes)| (e + entries, b + bytes));
            self.shared
                .metrics
                .pool(name, |pool| (pool.metadata_entries, pool.metadata_bytes) = (entries, bytes));
        }
        views
    }

    /// One pool.
    pub fn pool(&self, job: &str) -> Option<PoolView> {
        self.views.read().get(job).cloned()
    }
}
