//! Runs the providers of all jobs and hands on their groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use config::ScrapeConfig;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::TargetGroup;
use crate::metrics::Metrics;
use crate::provider::{self, ProviderConfig};

/// The groups of every job, by job name. A job without targets is there with an empty list.
pub type Groups = Arc<BTreeMap<String, Vec<TargetGroup>>>;

/// Changes this close together are one update.
const SETTLE: Duration = Duration::from_millis(20);
/// The pause after the first update of a burst; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The usual longest pause between updates, and the quiet time after which a burst is over.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a job keeps the targets it had while its changed providers have not reported yet.
const PATIENCE: Duration = Duration::from_secs(10);
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

#[derive(Default)]
struct Shared {
    jobs: Mutex<BTreeMap<String, Job>>,
    changed: Notify,
}

/// The providers of one job.
#[derive(Default)]
struct Job {
    providers: Vec<Running>,
    /// What the job's providers before the last change had found, and until when that counts.
    before: Option<(Vec<TargetGroup>, Instant)>,
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
        self.shared.jobs.lock().clear();
    }
}

impl Job {
    /// The groups to scrape now. A reload that changes a provider must not lose its targets for the
    /// moment the new one needs to find them again, so the old ones count until then.
    fn groups(&mut self, now: Instant) -> Vec<TargetGroup> {
        let all_reported = self.providers.iter().all(|provider| provider.found.lock().is_some());
        match &self.before {
            Some((groups, until)) if !all_reported && now < *until => groups.clone(),
            _ => {
                self.before = None;
                self.found()
            }
        }
    }

    fn found(&self) -> Vec<TargetGroup> {
        self.providers.iter().flat_map(|provider| provider.found.lock().clone().unwrap_or_default()).collect()
    }
}

impl Manager {
    /// A manager without jobs, which lets at most `longest_pause` pass between updates while changes go on.
    /// Must be called within a tokio runtime.
    pub fn new(metrics: Metrics, clock: SharedClock, longest_pause: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let (sender, groups) = watch::channel(Groups::default());
        let sending = send_updates(shared.clone(), sender, metrics.clone(), clock.clone(), longest_pause);
        let sender = tokio::spawn(sending);
        Self { shared, groups, metrics, clock, sender }
    }

    /// The groups of all jobs, updated as they change: soon after a quiet time, once in the
    /// longest pause while changes go on.
    pub fn groups(&self) -> watch::Receiver<Groups> {
        self.groups.clone()
    }

    /// Makes the providers those of `jobs`: unchanged ones go on, others start or end.
    pub fn apply(&self, jobs: &[Arc<ScrapeConfig>]) {
        let until = Instant::now() + PATIENCE;
        let mut running = self.shared.jobs.lock();
        let mut old_jobs = std::mem::take(&mut *running);
        self.metrics.failed_configs.set(0.0);
        for job in jobs {
            let old = old_jobs.remove(&job.job_name);
            let before = old.as_ref().map(|old| (old.found(), until));
            let mut old_providers = old.map(|old| old.providers).unwrap_or_default();
            let wanted = ProviderConfig::of_job(&job.discovery);
            let providers = wanted.into_iter().map(|config| {
                match old_providers.iter().position(|provider| provider.config == config) {
                    Some(at) => old_providers.swap_remove(at),
                    None => self.start(config, &job.job_name),
                }
            });
            let providers = providers.collect();
            running.insert(job.job_name.clone(), Job { providers, before });
        }
        drop(running);
        self.shared.changed.notify_one();
    }

    fn start(&self, config: ProviderConfig, job: &str) -> Running {
        let found = Arc::new(Mutex::new(None));
        let (updates, mut received) = mpsc::channel(UPDATES_WAITING);
        let (slot, shared, metrics) = (found.clone(), self.shared.clone(), self.metrics.clone());
        let provider =
            provider::run(config.clone(), job.to_owned(), updates, metrics.clone(), self.clock.clone());
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

/// Sends the groups on whenever they changed.
async fn send_updates(
    shared: Arc<Shared>,
    sender: watch::Sender<Groups>,
    metrics: Metrics,
    clock: SharedClock,
    longest_pause: Duration,
) {
    let first_pause = FIRST_PAUSE.min(longest_pause);
    let (mut pause, mut last_sent) = (first_pause, Instant::now());
    loop {
        match shared.patience_ends() {
            Some(end) => {
                let _ = tokio::time::timeout_at(end, shared.changed.notified()).await;
            }
            None => shared.changed.notified().await,
        }
        if last_sent.elapsed() > longest_pause {
            pause = first_pause;
        }
        tokio::time::sleep(SETTLE).await;
        let groups = shared.groups(Instant::now());
        metrics.sent_updates.inc();
        metrics.set_discovered(&groups, clock.now_ms());
        sender.send_replace(Arc::new(groups));
        last_sent = Instant::now();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest_pause);
    }
}

impl Shared {
    /// What is to be scraped.
    fn groups(&self, now: Instant) -> BTreeMap<String, Vec<TargetGroup>> {
        let mut jobs = self.jobs.lock();
        jobs.iter_mut().map(|(name, job)| (name.clone(), job.groups(now))).collect()
    }

    /// When a job gives up the targets it had before, if one waits.
    fn patience_ends(&self) -> Option<Instant> {
        self.jobs.lock().values().filter_map(|job| job.before.as_ref().map(|(_, until)| *until)).min()
    }
}

#[cfg(test)]
mod tests {
    use config::{Config, LoadOptions};

    use super::*;

    fn jobs(text: &str) -> Vec<Arc<ScrapeConfig>> {
        let text = format!("scrape_configs:\n{text}");
        Config::from_bytes("test.yml".as_ref(), text.as_bytes(), &LoadOptions::default()).unwrap().jobs
    }

    fn manager() -> Manager {
        manager_with(LONGEST_PAUSE)
    }

    fn manager_with(longest_pause: Duration) -> Manager {
        let metrics = Metrics::new(&base::metrics::Registry::new());
        Manager::new(metrics, base::SystemClock::shared(), longest_pause)
    }

    fn count(groups: &BTreeMap<String, Vec<TargetGroup>>, job: &str) -> usize {
        groups.get(job).map_or(0, |groups| groups.iter().map(|group| group.targets.len()).sum())
    }

    async fn wait_for(groups: &mut watch::Receiver<Groups>, job: &str, targets: usize) -> Groups {
        let fits = |groups: &Groups| groups.contains_key(job) && count(groups, job) == targets;
        groups.wait_for(fits).await.unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_come_change_and_go() {
        let manager = manager();
        let mut groups = manager.groups();
        manager.apply(&jobs("- job_name: a\n  static_configs:\n  - targets: [x:1, y:1]\n"));
        wait_for(&mut groups, "a", 2).await;
        manager.apply(&jobs(
            "- job_name: a\n  static_configs:\n  - targets: [x:1]\n- job_name: b\n  static_configs:\n  - targets: [z:1]\n    labels: {env: dev}\n",
        ));
        let both = wait_for(&mut groups, "b", 1).await;
        assert_eq!(both["a"][0].targets.len(), 1);
        assert_eq!(both["b"][0].labels.get("env"), Some("dev"));
        manager.apply(&jobs("- job_name: b\n  static_configs:\n  - targets: [z:1]\n"));
        let last = groups.wait_for(|groups| !groups.contains_key("a")).await.unwrap().clone();
        assert_eq!(last.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unchanged_provider_goes_on_and_a_changed_one_is_replaced() {
        let manager = manager();
        let tasks = || -> Vec<_> {
            let jobs = manager.shared.jobs.lock();
            jobs.values().flat_map(|job| job.providers.iter().map(|provider| provider.task.id())).collect()
        };
        let text =
            "- job_name: a\n  static_configs: [{targets: [x:1]}]\n  dns_sd_configs: [{names: [a.invalid]}]\n";
        manager.apply(&jobs(text));
        let first = tasks();
        manager.apply(&jobs(&format!("{text}  scrape_interval: 7s\n")));
        assert_eq!(tasks(), first);
        manager.apply(&jobs(&text.replace("x:1", "y:1")));
        let third = tasks();
        assert!(third[0] != first[0] && third[1] == first[1], "{first:?} {third:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn targets_stay_until_a_changed_provider_reports_but_not_for_ever() {
        let manager = manager();
        let mut groups = manager.groups();
        manager.apply(&jobs("- job_name: a\n  static_configs: [{targets: [x:1, y:1]}]\n"));
        wait_for(&mut groups, "a", 2).await;
        // Nothing answers there, so the new provider never reports.
        manager.apply(&jobs(
            "- job_name: a\n  http_sd_configs: [{url: 'http://127.0.0.1:1/', refresh_interval: 1h}]\n",
        ));
        let now = Instant::now();
        assert_eq!(count(&manager.shared.groups(now), "a"), 2);
        assert_eq!(count(&manager.shared.groups(now + PATIENCE), "a"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_changes_becomes_few_updates() {
        // Twenty seconds of changes: pauses of 0.1, 0.2, ... 3.2, then 5 s each.
        let sent = updates_of_twenty_seconds(&manager()).await;
        assert!((7..=12).contains(&sent), "{sent} updates");
        // Pauses of 0.1, 0.2, 0.4, 0.8, then 1 s each.
        let sent = updates_of_twenty_seconds(&manager_with(Duration::from_secs(1))).await;
        assert!((18..=25).contains(&sent), "{sent} updates");
    }

    async fn updates_of_twenty_seconds(manager: &Manager) -> u64 {
        for i in 0..200 {
            manager.apply(&jobs(&format!("- job_name: a\n  static_configs: [{{targets: [x:{i}]}}]\n")));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        manager.metrics.sent_updates.get()
    }
}
