//! The targets of one job.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use config::{HttpClientConfig, PromDuration, ScrapeConfig};
use discovery::TargetGroup;
use httpclient::{Client, ClientError};
use model::Labels;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::failure_log::FailureLog;
use super::fetch::{FetchError, Fetcher};
use super::ingest::{IngestSettings, TargetState};
use super::manager::{PoolView, ScrapedTarget};
use super::metadata::MetadataCache;
use super::target::{Populated, Target};
use super::task::{PoolState, Shared, Stopped, Task};

/// A pool: a job with its running targets.
pub(super) struct Pool {
    config: Arc<ScrapeConfig>,
    client: Client,
    /// The clients of targets behind Unix domain sockets, by socket: connections are kept by host and port,
    /// which all sockets may share.
    socket_clients: HashMap<PathBuf, Client>,
    shared: Shared,
    state: Arc<PoolState>,
    offset_seed: u64,
    running: HashMap<u64, Running>,
    dropped: Vec<Labels>,
    dropped_count: usize,
    unusable: Vec<String>,
}

/// Reasons that are shown why targets cannot be scraped; the log has them all.
const MAX_UNUSABLE: usize = 20;

struct Running {
    target: Arc<Target>,
    metadata: Arc<Mutex<MetadataCache>>,
    stop: CancellationToken,
    task: JoinHandle<Stopped>,
}

impl Pool {
    pub fn new(config: Arc<ScrapeConfig>, shared: Shared, offset_seed: u64) -> Result<Self, ClientError> {
        let client = Client::new(&config.http, shared.clock.clone())?;
        let state = Arc::new(PoolState::default());
        *state.failure_log.lock() = open_failure_log(&config);
        shared.metrics.pool(&config.job_name, |pool| pool.target_limit = config.target_limit);
        Ok(Self {
            config,
            client,
            socket_clients: HashMap::new(),
            shared,
            state,
            offset_seed,
            running: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
            unusable: Vec::new(),
        })
    }

    /// Makes the targets those of `groups`: new ones start, vanished ones end.
    pub async fn sync(&mut self, groups: &[TargetGroup]) {
        let started = self.shared.clock.monotonic();
        let mut wanted = Vec::new();
        let mut failures = 0;
        self.dropped.clear();
        self.dropped_count = 0;
        self.unusable.clear();
        let config = self.config.clone();
        for populated in groups.iter().flat_map(|group| Target::of_group(&config, group)) {
            match populated {
                Ok(Populated::Target(target)) => wanted.push(*target),
                Ok(Populated::Dropped(labels)) => self.keep_dropped(labels),
                Err(error) => {
                    failures += 1;
                    tracing::error!(scrape_pool = %self.config.job_name, %error, "creating target failed");
                    if self.unusable.len() < MAX_UNUSABLE {
                        self.unusable.push(error);
                    }
                }
            }
        }
        self.start_and_stop(wanted).await;
        self.refresh_target_limit();
        let targets = self.running.len();
        let took = self.shared.clock.monotonic().saturating_sub(started);
        self.shared.metrics.pool(&self.config.job_name, |pool| {
            pool.targets = targets;
            pool.syncs += 1;
            pool.sync_failed += failures;
            pool.sync_length.observe(took);
        });
    }

    fn keep_dropped(&mut self, labels: Labels) {
        self.dropped_count += 1;
        let limit = self.config.keep_dropped_targets;
        if limit == 0 || (self.dropped.len() as u64) < limit {
            self.dropped.push(labels);
        }
    }

    async fn start_and_stop(&mut self, wanted: Vec<Target>) {
        let mut hashes = HashSet::new();
        let mut new = Vec::new();
        for target in wanted {
            // A target found twice is scraped once.
            if !hashes.insert(target.hash()) {
                continue;
            }
            match self.running.get(&target.hash()) {
                Some(running) => running.target.set_discovered_labels(target.discovered_labels()),
                None => new.push(target),
            }
        }
        let gone: Vec<u64> = self.running.keys().copied().filter(|hash| !hashes.contains(hash)).collect();
        let gone: Vec<Running> = gone.iter().filter_map(|hash| self.running.remove(hash)).collect();
        gone.iter().for_each(|running| running.stop.cancel());
        for target in new {
            let state = Box::new(TargetState::new(self.shared.texts.clone()));
            self.start(Arc::new(target), state);
        }
        let running = &self.running;
        self.socket_clients
            .retain(|socket, _| running.values().any(|running| running.target.unix_socket() == Some(socket)));
        // A vanished target may be back as a new one, whose samples must not meet those of a scrape still
        // in flight.
        for running in gone {
            if let Ok(stopped) = running.task.await {
                tokio::spawn(stopped.end_series());
            }
        }
    }

    fn client_of(&mut self, target: &Target) -> Result<Client, ClientError> {
        let Some(socket) = target.unix_socket() else { return Ok(self.client.clone()) };
        if let Some(client) = self.socket_clients.get(socket) {
            return Ok(client.clone());
        }
        let client = Client::over_socket(&self.config.http, self.shared.clock.clone(), socket)?;
        self.socket_clients.insert(socket.to_owned(), client.clone());
        Ok(client)
    }

    fn start(&mut self, target: Arc<Target>, state: Box<TargetState>) {
        let client = self.client_of(&target).map_err(FetchError::from);
        let fetcher =
            client.and_then(|client| Fetcher::new(client, &self.config, target.url(), target.timeout));
        let stop = CancellationToken::new();
        let metadata = state.metadata.clone();
        let task = Task {
            shared: self.shared.clone(),
            pool: self.state.clone(),
            job: self.config.job_name.clone(),
            target: target.clone(),
            fetcher: fetcher.map_err(|error| error.to_string()),
            settings: Arc::new(IngestSettings::new(&self.config, &target, &self.shared.options)),
            extra_metrics: self.config.extra_metrics(),
            offset_seed: self.offset_seed,
            stop: stop.clone(),
            state,
            last_body_bytes: 0,
        };
        let hash = target.hash();
        let task = tokio::spawn(task.run());
        self.running.insert(hash, Running { target, metadata, stop, task });
    }

    fn refresh_target_limit(&self) {
        let (count, limit) = (self.running.len(), self.config.target_limit);
        let exceeded = limit > 0 && count as u64 > limit;
        if exceeded {
            self.shared.metrics.exceeded_target_limit.inc();
        }
        *self.state.forced_error.lock() =
            exceeded.then(|| format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
    }

    /// Opens the failure log anew, for it may have been rotated away.
    pub fn open_failure_log(&self, config: &ScrapeConfig) {
        *self.state.failure_log.lock() = open_failure_log(config);
    }

    /// Goes on under another configuration: all targets are built anew at the next sync, and those that
    /// exist already go on with what they remember, if it is still valid.
    pub async fn reload(
        &mut self,
        config: Arc<ScrapeConfig>,
        groups: &[TargetGroup],
    ) -> Result<(), ClientError> {
        let started = self.shared.clock.monotonic();
        self.shared.metrics.pool_reloads.inc();
        let client = Client::new(&config.http, self.shared.clock.clone())
            .inspect_err(|_| self.shared.metrics.pool_reloads_failed.inc())?;
        let reusable = memory_survives(&self.config, &config);
        self.config = config;
        self.client = client;
        self.socket_clients.clear();
        let limit = self.config.target_limit;
        self.shared.metrics.pool(&self.config.job_name, |pool| pool.target_limit = limit);
        let before: Vec<(u64, Running)> = self.running.drain().collect();
        before.iter().for_each(|(_, running)| running.stop.cancel());
        let mut memories: HashMap<u64, Box<TargetState>> = HashMap::new();
        for (hash, running) in before {
            let Ok(stopped) = running.task.await else { continue };
            if reusable && groups_contain(&self.config, groups, hash) {
                memories.insert(hash, stopped.into_state());
            } else {
                tokio::spawn(stopped.end_series());
            }
        }
        let populated = groups.iter().flat_map(|group| Target::of_group(&self.config, group));
        let targets: Vec<Target> = populated
            .filter_map(|populated| match populated {
                Ok(Populated::Target(target)) => Some(*target),
                _ => None,
            })
            .collect();
        for target in targets {
            if let Some(memory) = memories.remove(&target.hash()) {
                self.start(Arc::new(target), memory);
            }
        }
        self.sync(groups).await;
        let interval = super::metrics::interval_text(self.config.scrape_interval.get());
        let took = self.shared.clock.monotonic().saturating_sub(started);
        self.shared.metrics.reload_length(&interval).observe(took);
        Ok(())
    }

    /// Ends all targets and waits for the scrapes in flight.
    pub async fn stop(mut self) {
        let running: Vec<Running> = self.running.drain().map(|(_, running)| running).collect();
        running.iter().for_each(|running| running.stop.cancel());
        for running in running {
            if let Ok(stopped) = running.task.await {
                tokio::spawn(stopped.end_series());
            }
        }
        self.shared.metrics.remove_pool(&self.config.job_name);
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<ScrapeConfig> {
        &self.config
    }

    /// What the API shows.
    pub fn view(&self) -> PoolView {
        let target = |running: &Running| ScrapedTarget::new(running.target.clone(), running.metadata.clone());
        let mut active: Vec<ScrapedTarget> = self.running.values().map(target).collect();
        active.sort_by(|a, b| {
            let order = a.target.url().cmp(b.target.url());
            order.then_with(|| a.target.labels().cmp(b.target.labels()))
        });
        PoolView {
            config: self.config.clone(),
            active,
            dropped: self.dropped.clone(),
            dropped_count: self.dropped_count,
            unusable: self.unusable.clone(),
        }
    }
}

fn groups_contain(config: &ScrapeConfig, groups: &[TargetGroup], hash: u64) -> bool {
    groups
        .iter()
        .flat_map(|group| Target::of_group(config, group))
        .any(|populated| matches!(populated, Ok(Populated::Target(target)) if target.hash() == hash))
}

fn open_failure_log(config: &ScrapeConfig) -> Option<FailureLog> {
    let path = &config.scrape_failure_log_file;
    if path.as_os_str().is_empty() {
        return None;
    }
    FailureLog::open(path)
        .inspect_err(|error| {
            tracing::error!(scrape_pool = %config.job_name, path = %path.display(), %error, "cannot open the scrape failure log");
        })
        .ok()
}

/// Whether what targets remember under one configuration holds under the other: only what has no influence
/// on series may differ.
fn memory_survives(before: &ScrapeConfig, after: &ScrapeConfig) -> bool {
    let essence = |config: &ScrapeConfig| ScrapeConfig {
        scrape_interval: PromDuration::default(),
        scrape_timeout: PromDuration::default(),
        sample_limit: 0,
        http: HttpClientConfig::default(),
        ..config.clone()
    };
    essence(before) == essence(after)
}
