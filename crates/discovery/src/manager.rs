//! Runs the providers of all jobs and hands on their groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use config::ScrapeConfig;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::TargetGroup;
use crate::metrics::Metrics;
use crate::provider::{self, ProviderConfig};

/// The groups of every job, by job name.
pub type Groups = Arc<BTreeMap<String, Vec<TargetGroup>>>;

/// The least time between two updates, so that a storm of changes is one.
const UPDATE_INTERVAL: Duration = Duration::from_secs(5);
/// Updates of one provider that may wait.
const UPDATES_WAITING: usize = 1;

/// Runs providers; dropping it ends them.
pub struct Manager {
    shared: Arc<Shared>,
    groups: watch::Receiver<Groups>,
    metrics: Metrics,
    clock: SharedClock,
    sender: JoinHandle<()>,
}

struct Shared {
    jobs: Mutex<BTreeMap<String, Vec<Running>>>,
    changed: Notify,
}

/// A provider and what it found last; `None` until it has reported for the first time.
struct Running {
    config: ProviderConfig,
    found: Arc<Mutex<Option<Vec<TargetGroup>>>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

impl Manager {
    /// A manager without jobs. Must be called within a tokio runtime.
    pub fn new(metrics: Metrics, clock: SharedClock) -> Self {
        let shared = Arc::new(Shared { jobs: Mutex::default(), changed: Notify::new() });
        let (sender, groups) = watch::channel(Groups::default());
        let sender = tokio::spawn(send_updates(shared.clone(), sender, metrics.clone()));
        Self { shared, groups, metrics, clock, sender }
    }

    /// The groups of all jobs, updated as they change.
    pub fn groups(&self) -> watch::Receiver<Groups> {
        self.groups.clone()
    }

    /// Makes the providers those of `jobs`: unchanged ones go on, others start or end.
    pub fn apply(&self, jobs: &[Arc<ScrapeConfig>]) {
        let mut running = self.shared.jobs.lock();
        let mut before = std::mem::take(&mut *running);
        self.metrics.failed_configs.set(0.0);
        for job in jobs {
            let mut old = before.remove(&job.job_name).unwrap_or_default();
            let wanted = ProviderConfig::of_job(&job.discovery);
            let providers = wanted.into_iter().map(|config| {
                match old.iter().position(|provider| provider.config == config) {
                    Some(at) => old.swap_remove(at),
                    None => self.start(config),
                }
            });
            let providers: Vec<Running> = providers.collect();
            running.insert(job.job_name.clone(), providers);
        }
        drop(running);
        self.shared.changed.notify_one();
    }

    fn start(&self, config: ProviderConfig) -> Running {
        let found = Arc::new(Mutex::new(None));
        let (updates, mut received) = mpsc::channel(UPDATES_WAITING);
        let (slot, shared, metrics) = (found.clone(), self.shared.clone(), self.metrics.clone());
        let provider = provider::run(config.clone(), updates, metrics.clone(), self.clock.clone());
        let task = tokio::spawn(async move {
            let receive = async {
                while let Some(groups) = received.recv().await {
                    metrics.received_updates.inc();
                    *slot.lock() = Some(groups);
                    shared.changed.notify_one();
                }
            };
            tokio::join!(provider, receive);
        });
        Running { config, found, task }
    }
}

/// Sends the groups on whenever they changed: at once after a quiet time, else when the interval is over.
async fn send_updates(shared: Arc<Shared>, sender: watch::Sender<Groups>, metrics: Metrics) {
    loop {
        shared.changed.notified().await;
        let groups = current(&shared);
        let targets: usize = groups.values().flatten().map(|group| group.targets.len()).sum();
        metrics.discovered_targets.set(targets as f64);
        metrics.sent_updates.inc();
        let is_first = sender.borrow().is_empty();
        sender.send_replace(Arc::new(groups));
        // Until there is something to scrape nobody is spared by waiting.
        if !is_first || targets > 0 {
            tokio::time::sleep(UPDATE_INTERVAL).await;
        }
    }
}

/// What every job's providers found so far.
fn current(shared: &Shared) -> BTreeMap<String, Vec<TargetGroup>> {
    let jobs = shared.jobs.lock();
    let groups = |providers: &Vec<Running>| {
        providers.iter().flat_map(|provider| provider.found.lock().clone().unwrap_or_default()).collect()
    };
    jobs.iter().map(|(job, providers)| (job.clone(), groups(providers))).collect()
}

#[cfg(test)]
mod tests {
    use config::{Config, LoadOptions};

    use super::*;

    fn jobs(text: &str) -> Vec<Arc<ScrapeConfig>> {
        Config::from_bytes("test.yml".as_ref(), text.as_bytes(), &LoadOptions::default()).unwrap().jobs
    }

    async fn wait_for(groups: &mut watch::Receiver<Groups>, job: &str, targets: usize) -> Groups {
        let count = |groups: &Groups| groups.get(job).map_or(0, |g| g.iter().map(|g| g.targets.len()).sum());
        groups.wait_for(|groups| groups.contains_key(job) && count(groups) == targets).await.unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_come_change_and_go() {
        let manager =
            Manager::new(Metrics::new(&base::metrics::Registry::new()), base::SystemClock::shared());
        let mut groups = manager.groups();
        manager.apply(&jobs("scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [x:1, y:1]\n"));
        wait_for(&mut groups, "a", 2).await;
        manager.apply(&jobs(
            "scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [x:1]\n- job_name: b\n  static_configs:\n  - targets: [z:1]\n    labels: {env: dev}\n",
        ));
        let both = wait_for(&mut groups, "b", 1).await;
        assert_eq!(both["a"][0].targets.len(), 1);
        assert_eq!(both["b"][0].labels.get("env"), Some("dev"));
        manager.apply(&jobs("scrape_configs:\n- job_name: b\n  static_configs:\n  - targets: [z:1]\n"));
        let last = groups.wait_for(|groups| !groups.contains_key("a")).await.unwrap().clone();
        assert_eq!(last.len(), 1);
    }
}
