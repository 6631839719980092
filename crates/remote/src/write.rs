//! Remote write: sends what the log gains to other stores, from a durable cursor of each.
//!
//! A destination has one thread and a few tasks. The thread (`tailer`) reads the log, makes requests of it and puts
//! them into the queues of shards; a task a shard sends them one after another (`queue`). When the queues are full
//! the thread stops reading: what waits, waits in the log, which keeps its segments for that (`tsdb::wal::tail`).
//! The cursor on disk moves behind what was acknowledged, so a restart goes on where sending stopped.
//!
//! In reading order: [`RemoteWrite`], `tailer`, `reader`, `series` and `symbols`, `queue`, `client`,
//! `cursor`, `progress`, `reshard`, `metadata`, `metrics`, `bell`, `describe`.

mod bell;
mod client;
mod cursor;
mod describe;
mod metadata;
mod metrics;
mod progress;
mod queue;
mod reader;
mod reshard;
mod series;
mod symbols;
mod tailer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::RemoteWriteConfig;
use model::Labels;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tsdb::wal::LogTail;
use wire::remote_write::MessageType;
use xxhash_rust::xxh3::xxh3_64;

use bell::Bell;
use client::WriteClient;
use cursor::CursorFile;
use metadata::MetadataOptions;
use metrics::{Metrics, QueueMetrics};
use queue::{Delivery, Phase, RetryPolicy};
use series::LabelRules;
use tailer::{Tailer, TailerOptions};

pub use cursor::CURSOR_DIR;
pub use metadata::FamilySource;
pub use wire::remote_write::encode::FamilyMetadata;

/// Random numbers from 0 to 1, the latter excluded.
pub type Random = Arc<dyn Fn() -> f64 + Send + Sync>;

/// How all destinations work.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory, where cursors are kept.
    pub data_dir: PathBuf,
    /// How long an end may take.
    pub flush_deadline: Duration,
    /// Whether type and unit are labels of the series.
    pub type_and_unit_labels: bool,
}

/// What destinations need of the process.
#[derive(Clone)]
pub struct Environment {
    /// Time.
    pub clock: SharedClock,
    /// Randomness.
    pub random: Random,
    /// Where requests are sent from.
    pub runtime: Handle,
    /// Metadata of what is scraped.
    pub families: Arc<dyn FamilySource>,
}

/// All destinations.
pub struct RemoteWrite {
    options: Options,
    environment: Environment,
    metrics: Metrics,
    running: Mutex<BTreeMap<String, Running>>,
}

/// One destination.
struct Running {
    config: RemoteWriteConfig,
    external_labels: Labels,
    delivery: Arc<Delivery>,
    cursor: CursorFile,
    thread: JoinHandle<()>,
    /// Gets a message when the thread ends.
    ended: mpsc::Receiver<()>,
}

impl RemoteWrite {
    /// No destination yet.
    pub fn new(options: Options, environment: Environment, registry: &Registry) -> Self {
        Self { options, environment, metrics: Metrics::new(registry), running: Mutex::default() }
    }

    /// Makes these the destinations, reading the log `tail`. What did not change goes on undisturbed; what changed goes
    /// on from its cursor; what is new begins at the end of the log, or at the cursor it has from before. An
    /// error leaves everything as it was. Blocks until what is no longer there has ended.
    pub fn apply(
        &self,
        configs: &[RemoteWriteConfig],
        external_labels: &Labels,
        tail: &LogTail,
    ) -> Result<(), String> {
        self.metrics.set_log(tail);
        let mut wanted = BTreeMap::new();
        for config in configs {
            let key = key_of(config, |key| wanted.contains_key(key));
            let message = message_of(config);
            let client = WriteClient::new(config, message, self.environment.clock.clone())
                .map_err(|error| format!("remote_write {}: {error}", config.url.redacted()))?;
            wanted.insert(key, (config, client));
        }
        let mut running = self.running.lock();
        let mut ending = Vec::new();
        let keys: Vec<String> = running.keys().cloned().collect();
        for key in keys {
            let stays = wanted.get(&key).map(|(config, _)| {
                let now = &running[&key];
                now.config == **config && now.external_labels == *external_labels
            });
            let phase = match stays {
                Some(true) => continue,
                Some(false) => Phase::Closing,
                None => Phase::Finishing,
            };
            if let Some(old) = running.remove(&key) {
                old.announce(phase);
                ending.push((key, old, stays.is_none()));
            }
        }
        for (key, old, is_gone) in ending {
            let cursor = old.cursor.clone();
            old.end(self.options.flush_deadline);
            if is_gone {
                self.metrics.remove(&key);
                if let Err(error) = cursor.delete() {
                    tracing::warn!(remote_name = key, %error, "cursor of a removed destination stays");
                }
            }
        }
        if let Err(error) = cursor::delete_others(&self.options.data_dir, wanted.keys().map(String::as_str)) {
            tracing::warn!(%error, "cursors of removed destinations stay");
        }
        let mut failed = Vec::new();
        for (key, (config, client)) in wanted {
            if let Some(same) = running.get(&key) {
                // Files with secrets may have changed although the configuration did not.
                same.delivery.client.store(Arc::new(client));
                continue;
            }
            match self.start(&key, config, external_labels, client, tail) {
                Ok(started) => drop(running.insert(key, started)),
                Err(error) => failed.push(format!("remote_write {}: {error}", config.url.redacted())),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// Ends all destinations: what is in the log is sent, as long as requests succeed and the deadline for an end is
    /// not over. The rest is sent after the next start. Blocks.
    pub fn stop(&self) {
        let all = std::mem::take(&mut *self.running.lock());
        all.values().for_each(|destination| destination.announce(Phase::Finishing));
        let clock = &self.environment.clock;
        let deadline = clock.monotonic() + self.options.flush_deadline;
        for destination in all.into_values() {
            destination.end(deadline.saturating_sub(clock.monotonic()));
        }
    }

    fn start(
        &self,
        key: &str,
        config: &RemoteWriteConfig,
        external_labels: &Labels,
        client: WriteClient,
        tail: &LogTail,
    ) -> Result<Running, String> {
        let url = config.url.redacted();
        let metrics = self.metrics.of(key, key, &url);
        publish_settings(&metrics, config);
        let delivery = Arc::new(self.delivery(key, &url, config, client, metrics));
        let cursor = CursorFile::new(&self.options.data_dir, key, &url);
        let tailer = Tailer::new(
            tailer_options(config, external_labels, self.options.type_and_unit_labels),
            delivery.clone(),
            self.environment.runtime.clone(),
            tail.clone(),
            cursor.clone(),
        );
        let tailer = tailer.map_err(|error| error.to_string())?;
        let (end, ended) = mpsc::channel();
        let run = move || {
            tailer.run();
            // Nobody listens when the process itself ends.
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name("remote-write".to_owned()).spawn(run);
        let thread = thread.map_err(|error| error.to_string())?;
        if config.metadata_config.send && delivery.message == MessageType::V1 {
            let options = MetadataOptions {
                interval: duration(config.metadata_config.send_interval),
                batch: count(config.metadata_config.max_samples_per_send),
            };
            let families = self.environment.families.clone();
            self.environment.runtime.spawn(metadata::run(delivery.clone(), families, options));
        }
        let (config, external_labels) = (config.clone(), external_labels.clone());
        Ok(Running { config, external_labels, delivery, cursor, thread, ended })
    }

    fn delivery(
        &self,
        key: &str,
        url: &str,
        config: &RemoteWriteConfig,
        client: WriteClient,
        metrics: Arc<QueueMetrics>,
    ) -> Delivery {
        let queue = &config.queue_config;
        Delivery {
            name: key.to_owned(),
            url: url.to_owned(),
            message: message_of(config),
            client: ArcSwap::from_pointee(client),
            retry: RetryPolicy {
                min_backoff: duration(queue.min_backoff),
                max_backoff: duration(queue.max_backoff),
                sample_age_limit: duration(queue.sample_age_limit),
            },
            log_refused: config.failed_request_logging,
            clock: self.environment.clock.clone(),
            random: self.environment.random.clone(),
            metrics,
            bell: Arc::new(Bell::default()),
            reader_waits: AtomicBool::new(false),
            phase: watch::channel(Phase::Running).0,
            repeated_until: OnceLock::new(),
            last_end_ms: AtomicI64::new(-1),
            no_reshard_until_ms: AtomicI64::new(0),
            ended: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
        }
    }
}

impl Running {
    fn announce(&self, phase: Phase) {
        self.delivery.phase.send_replace(phase);
        self.delivery.bell.call();
    }

    /// Waits for the end that was announced, at most for `limit`; then what is under way is given up.
    fn end(self, limit: Duration) {
        if self.ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(
                remote_name = self.delivery.name,
                url = self.delivery.url,
                "not everything could be sent in time; the rest is sent from the log after the next start"
            );
            self.announce(Phase::Halted);
        }
        if self.thread.join().is_err() {
            tracing::error!(
                remote_name = self.delivery.name,
                "the thread of a destination ended by a defect"
            );
        }
    }
}

/// What tells a destination from all others over restarts: its name, or its URL and headers.
fn key_of(config: &RemoteWriteConfig, is_taken: impl Fn(&str) -> bool) -> String {
    if !config.name.is_empty() {
        return config.name.clone();
    }
    let identity = format!("{}\0{:?}", config.url.as_str(), config.headers);
    let hash = |n: usize| format!("{:06x}", xxh3_64(format!("{identity}\0{n}").as_bytes()) & 0xff_ffff);
    // Equal ones are told apart by their order.
    (0..).map(hash).find(|key| !is_taken(key)).unwrap_or_default()
}

fn message_of(config: &RemoteWriteConfig) -> MessageType {
    MessageType::from_name(&config.protobuf_message).unwrap_or(MessageType::V1)
}

fn tailer_options(
    config: &RemoteWriteConfig,
    external_labels: &Labels,
    type_and_unit_labels: bool,
) -> TailerOptions {
    let queue = &config.queue_config;
    let batch_samples = count(queue.max_samples_per_send);
    TailerOptions {
        rules: LabelRules {
            external: external_labels.clone(),
            relabel: config.write_relabel_configs.clone(),
        },
        type_and_unit_labels,
        exemplars: config.send_exemplars,
        histograms: config.send_native_histograms,
        batch_samples,
        queue_requests: (count(queue.capacity) / batch_samples).max(1),
        batch_deadline: duration(queue.batch_send_deadline),
        sample_age_limit: duration(queue.sample_age_limit),
        shards: (count(queue.min_shards), count(queue.max_shards)),
    }
}

fn publish_settings(metrics: &QueueMetrics, config: &RemoteWriteConfig) {
    let (levels, queue) = (&metrics.levels, &config.queue_config);
    levels.shard_capacity.set(queue.capacity as f64);
    levels.shards_max.set(queue.max_shards as f64);
    levels.shards_min.set(queue.min_shards as f64);
    levels.shards_desired.set(queue.min_shards as f64);
    levels.max_samples_per_send.set(queue.max_samples_per_send as f64);
}

fn duration(duration: config::PromDuration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_ms()).unwrap_or(0))
}

/// The configuration was checked: numbers are positive.
fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1).max(1)
}
