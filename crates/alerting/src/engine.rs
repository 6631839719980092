//! The running Alertmanager: decisions, state on disk and deliveries joined.
//!
//! One lock guards the decisions ([`Core`]); nothing waits while holding it. A silence is on disk before it counts
//! and before its maker hears of it. What was told goes to disk as soon as it was told: a kill in between can
//! repeat a notification, and never loses one.

mod metrics;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::alertmanager::{AlertmanagerSettings, MatcherMode};
use jiff::Timestamp;
use parking_lot::Mutex;
use ring::rand::SecureRandom as _;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::alert::{Alert, after, from_ms};
use crate::core::{Core, CoreOptions, Delivery, Outcome};
use crate::journal::Journal;
use crate::nflog::{self, IntegrationKey, LogEntry};
use crate::notify::{Channel, ChannelOptions, channels};
use crate::silence::{self, Silence, SilenceError, SilenceOptions, SilenceRecord};
use crate::template::TemplateSet;

use metrics::Metrics;

/// Deliveries under way at once; more wait.
const MAX_DELIVERIES: usize = 512;
/// A journal of this size is put into a snapshot before its time.
const LARGE_JOURNAL_BYTES: u64 = 32 << 20;

/// How an Alertmanager runs; names are those of the flags.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The configuration file.
    pub config_file: PathBuf,
    /// Where silences and the log of notifications are kept.
    pub storage_path: PathBuf,
    /// How long silences and log are kept.
    pub retention: Duration,
    /// How often what has expired is forgotten and snapshots are written.
    pub maintenance_interval: Duration,
    /// How often resolved alerts are forgotten.
    pub gc_interval: Duration,
    /// The most silences; 0 for no limit.
    pub max_silences: usize,
    /// The most bytes of one silence; 0 for no limit.
    pub max_silence_bytes: usize,
    /// The most alerts of one name; 0 for no limit.
    pub alerts_per_name: usize,
    /// How long nothing is sent after the start.
    pub start_delay: Duration,
    /// Where this server is, as others see it.
    pub external_url: String,
    /// The notation of matchers.
    pub mode: MatcherMode,
}

/// A failure to start or to take a configuration.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration does not load.
    #[error("{0}")]
    Config(#[from] config::ConfigError),
    /// Templates or receivers cannot be used.
    #[error("{0}")]
    Setup(String),
    /// State cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    State {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Why a silence was not taken or expired.
#[derive(Debug, thiserror::Error)]
pub enum SetSilenceError {
    /// It makes no sense, or there is none.
    #[error(transparent)]
    Silence(#[from] SilenceError),
    /// It could not be written down.
    #[error("cannot write the silence down: {0}")]
    Storage(#[from] io::Error),
}

/// What a configuration turned into.
#[derive(Debug)]
struct Loaded {
    settings: Arc<AlertmanagerSettings>,
    channels: HashMap<Arc<IntegrationKey>, Arc<Channel>>,
    templates: Arc<TemplateSet>,
}

/// A running Alertmanager.
pub struct Alertmanager {
    options: EngineOptions,
    clock: SharedClock,
    core: Mutex<Core>,
    loaded: ArcSwap<Loaded>,
    silences: Mutex<Journal>,
    log: Mutex<Journal>,
    /// Wakes the loop when a timer may have been added.
    wake: Notify,
    told: mpsc::UnboundedSender<LogEntry>,
    to_write: Mutex<Option<mpsc::UnboundedReceiver<LogEntry>>>,
    slots: Arc<Semaphore>,
    metrics: Metrics,
    started_at: Timestamp,
    ready: AtomicBool,
}

impl std::fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alertmanager").field("options", &self.options).finish_non_exhaustive()
    }
}

fn setup(
    settings: AlertmanagerSettings,
    options: &EngineOptions,
    clock: &SharedClock,
) -> Result<(Loaded, Vec<Arc<Channel>>), EngineError> {
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let templates = TemplateSet::load(&settings.templates, clock.clone()).map_err(EngineError::Setup)?;
    let templates = Arc::new(templates);
    let channel_options = ChannelOptions {
        templates: templates.clone(),
        external_url: options.external_url.clone(),
        clock: clock.clone(),
    };
    let mut ordered = Vec::new();
    for receiver in &settings.receivers {
        let found = channels(receiver, &channel_options).map_err(EngineError::Setup)?;
        ordered.extend(found.into_iter().map(Arc::new));
    }
    let channels = ordered.iter().map(|channel| (channel.integration().key, channel.clone())).collect();
    Ok((Loaded { settings: Arc::new(settings), channels, templates }, ordered))
}

impl Alertmanager {
    /// Loads the configuration and the state on disk.
    pub fn open(
        options: EngineOptions,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Arc<Self>, EngineError> {
        let settings = AlertmanagerSettings::load(&options.config_file, options.mode)?;
        Self::open_with(settings, options, clock, registry)
    }

    /// As [`Alertmanager::open`], with a configuration that was loaded elsewhere.
    pub fn open_with(
        settings: AlertmanagerSettings,
        options: EngineOptions,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Arc<Self>, EngineError> {
        let (loaded, ordered) = setup(settings, &options, &clock)?;
        let now = from_ms(clock.now_ms());
        let core_options = CoreOptions {
            retention: options.retention,
            silences: SilenceOptions {
                retention: options.retention,
                max_silences: options.max_silences,
                max_silence_bytes: options.max_silence_bytes,
                mode: options.mode,
            },
            alerts_per_name: options.alerts_per_name,
            start_at: after(now, options.start_delay),
        };
        let integrations = ordered.iter().map(|channel| channel.integration());
        let mut core = Core::new(&loaded.settings, integrations, core_options);
        let dir = options.storage_path.clone();
        let failed = |error| EngineError::State { path: dir.clone(), error };
        let silences = recover(&dir, "silences", |bytes| {
            silence::decode(bytes).map(|record| core.silences_mut().merge(record, now)).map(|_| ())
        })
        .map_err(failed)?;
        let log = recover(&dir, "nflog", |bytes| {
            nflog::decode(bytes).map(|entry| core.log_mut().merge(entry, now)).map(|_| ())
        })
        .map_err(failed)?;
        let (told, to_write) = mpsc::unbounded_channel();
        let manager = Arc::new(Self {
            options,
            core: Mutex::new(core),
            loaded: ArcSwap::from_pointee(loaded),
            silences: Mutex::new(silences),
            log: Mutex::new(log),
            wake: Notify::new(),
            told,
            to_write: Mutex::new(Some(to_write)),
            slots: Arc::new(Semaphore::new(MAX_DELIVERIES)),
            metrics: Metrics::default(),
            started_at: now,
            ready: AtomicBool::new(false),
            clock,
        });
        metrics::publish(&manager, registry);
        manager.metrics.loaded(true, manager.now());
        Ok(manager)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        from_ms(self.clock.now_ms())
    }

    /// When it was started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Whether it works already.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The settings it was started with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The configuration in force.
    pub fn settings(&self) -> Arc<AlertmanagerSettings> {
        self.loaded.load().settings.clone()
    }

    /// The templates in force.
    pub fn templates(&self) -> Arc<TemplateSet> {
        self.loaded.load().templates.clone()
    }

    /// Looks at the state.
    pub fn with_core<T>(&self, look: impl FnOnce(&Core) -> T) -> T {
        look(&self.core.lock())
    }

    /// Takes alerts as they were received; those that make no sense are left out, and the errors tell why.
    pub fn post(&self, alerts: Vec<PostedAlert>) -> Result<(), Vec<String>> {
        let now = self.now();
        let (mut good, mut errors) = (Vec::with_capacity(alerts.len()), Vec::new());
        let resolve_timeout = self.core.lock().resolve_timeout();
        for posted in alerts {
            let alert = posted.complete(now, resolve_timeout);
            self.metrics.received(alert.is_resolved(now));
            match alert.validate() {
                Ok(()) => good.push(alert),
                Err(error) => {
                    self.metrics.invalid();
                    errors.push(error);
                }
            }
        }
        self.core.lock().post(good, now);
        self.wake.notify_one();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Makes or changes a silence; its id. It is on disk when this returns.
    pub fn set_silence(&self, silence: Silence) -> Result<String, SetSilenceError> {
        // Held for the whole change: two at once could be planned on the same state.
        let mut journal = self.silences.lock();
        let now = self.now();
        let records = self.core.lock().silences().plan_set(silence, new_id, now)?;
        let id = records.last().map(|record| record.silence.id.clone()).unwrap_or_default();
        self.apply_silences(&mut journal, records, now)?;
        Ok(id)
    }

    /// Ends a silence. That it ended is on disk when this returns.
    pub fn expire_silence(&self, id: &str) -> Result<(), SetSilenceError> {
        let mut journal = self.silences.lock();
        let now = self.now();
        let record = self.core.lock().silences().plan_expire(id, now)?;
        self.apply_silences(&mut journal, record.into_iter().collect(), now)?;
        Ok(())
    }

    fn apply_silences(
        &self,
        journal: &mut Journal,
        records: Vec<SilenceRecord>,
        now: Timestamp,
    ) -> io::Result<()> {
        let encoded: Vec<Vec<u8>> = records.iter().map(silence::encode).collect();
        journal.append(encoded.iter().map(Vec::as_slice))?;
        let mut core = self.core.lock();
        records.into_iter().for_each(|record| {
            core.silences_mut().merge(record, now);
        });
        Ok(())
    }

    /// Loads the configuration file anew. When it cannot be used, the old one stays in force.
    pub fn reload(&self) -> Result<(), EngineError> {
        if self.options.config_file.as_os_str().is_empty() {
            // An embedded configuration cannot have changed.
            return Ok(());
        }
        let outcome = AlertmanagerSettings::load(&self.options.config_file, self.options.mode)
            .map_err(EngineError::from)
            .and_then(|settings| setup(settings, &self.options, &self.clock));
        match outcome {
            Ok((loaded, ordered)) => {
                let settings = loaded.settings.clone();
                let now = self.now();
                self.loaded.store(Arc::new(loaded));
                let integrations = ordered.iter().map(|channel| channel.integration());
                self.core.lock().reload(&settings, integrations, now);
                self.metrics.loaded(true, now);
                self.wake.notify_one();
                tracing::info!("configuration loaded");
                Ok(())
            }
            Err(error) => {
                self.metrics.loaded(false, self.now());
                tracing::error!("configuration not loaded: {error}");
                Err(error)
            }
        }
    }

    /// Works until `shutdown` completes, then writes everything down.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let Some(mut to_write) = self.to_write.lock().take() else { return };
        let writer = {
            let manager = self.clone();
            tokio::spawn(async move {
                let mut batch = Vec::new();
                // What is told while the disk is busy is written together.
                while to_write.recv_many(&mut batch, 4096).await > 0 {
                    let (manager, entries) = (manager.clone(), std::mem::take(&mut batch));
                    let _ = tokio::task::spawn_blocking(move || manager.write_log(&entries)).await;
                }
            })
        };
        self.ready.store(true, Ordering::Release);
        let mut maintenance =
            tokio::time::interval(self.options.maintenance_interval.max(Duration::from_secs(1)));
        let mut gc = tokio::time::interval(self.options.gc_interval.max(Duration::from_secs(1)));
        tokio::pin!(shutdown);
        loop {
            self.tick();
            let next = self.core.lock().next_timer();
            let wait = next.map_or(Duration::from_secs(3600), |at| {
                Duration::try_from(at.duration_since(self.now())).unwrap_or_default()
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.wake.notified() => {}
                _ = gc.tick() => {
                    let now = self.now();
                    self.core.lock().forget(now);
                }
                _ = maintenance.tick() => {
                    let manager = self.clone();
                    let _ = tokio::task::spawn_blocking(move || manager.maintain()).await;
                }
                () = &mut shutdown => break,
            }
        }
        // What is under way may still be accepted; give it a moment, so that it is not repeated after a restart.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.slots.acquire_many(MAX_DELIVERIES as u32))
            .await;
        writer.abort();
        let manager = self.clone();
        let _ = tokio::task::spawn_blocking(move || manager.maintain()).await;
    }

    /// Does what is due.
    pub fn tick(self: &Arc<Self>) {
        let (deliveries, entries) = self.core.lock().poll(self.now());
        self.note(entries);
        deliveries.into_iter().for_each(|delivery| self.deliver(delivery));
    }

    fn note(&self, entries: Vec<LogEntry>) {
        for entry in entries {
            // The writer ends only with the process; then the snapshot has the entry.
            let _ = self.told.send(entry);
        }
    }

    fn deliver(self: &Arc<Self>, delivery: Delivery) {
        let manager = self.clone();
        tokio::spawn(async move {
            let Ok(_slot) = manager.slots.clone().acquire_owned().await else { return };
            let channel = manager.loaded.load().channels.get(&delivery.integration).cloned();
            let begun = manager.clock.monotonic();
            let limit =
                Duration::try_from(delivery.deadline.duration_since(manager.now())).unwrap_or_default();
            let outcome: Outcome = match channel {
                None => Outcome::Failed("the receiver is gone from the configuration".to_owned()),
                Some(channel) => {
                    let sent = channel.send(&delivery, limit).await;
                    let took = manager.clock.monotonic().saturating_sub(begun);
                    manager.metrics.attempted(&delivery, sent.as_ref().err(), took);
                    sent.into()
                }
            };
            let (more, entries) = manager.core.lock().finish(delivery.job, outcome, manager.now());
            manager.note(entries);
            more.into_iter().for_each(|delivery| manager.deliver(delivery));
            manager.wake.notify_one();
        });
    }

    fn write_log(&self, entries: &[LogEntry]) {
        let encoded: Vec<Vec<u8>> = entries.iter().map(nflog::encode).collect();
        let mut journal = self.log.lock();
        if let Err(error) = journal.append(encoded.iter().map(Vec::as_slice)) {
            tracing::error!(%error, "cannot write down what was told; a restart may repeat it");
        }
        if journal.journal_bytes() > LARGE_JOURNAL_BYTES {
            self.snapshot_log(&mut journal);
        }
    }

    fn snapshot_log(&self, journal: &mut Journal) {
        let entries: Vec<Arc<LogEntry>> = self.core.lock().log().iter().cloned().collect();
        if let Err(error) = journal.replace(entries.iter().map(|entry| nflog::encode(entry))) {
            self.metrics.maintenance_failed("nflog");
            tracing::error!(%error, "cannot write the log of notifications");
        }
    }

    /// Forgets what has expired and writes snapshots.
    pub fn maintain(&self) {
        let now = self.now();
        {
            let mut core = self.core.lock();
            core.silences_mut().forget_expired(now);
            core.log_mut().forget_expired(now);
        }
        self.metrics.maintained();
        let mut journal = self.silences.lock();
        let records: Vec<SilenceRecord> = self.core.lock().silences().records().cloned().collect();
        if let Err(error) = journal.replace(records.iter().map(silence::encode)) {
            self.metrics.maintenance_failed("silences");
            tracing::error!(%error, "cannot write the silences");
        }
        drop(journal);
        self.snapshot_log(&mut self.log.lock());
    }

    /// Bytes of the snapshots of silences and log.
    fn snapshot_bytes(&self) -> (u64, u64) {
        (self.silences.lock().snapshot_bytes(), self.log.lock().snapshot_bytes())
    }
}

/// Opens a journal and hands on its records; damage is told and left out.
fn recover(dir: &Path, name: &str, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> io::Result<Journal> {
    let (journal, found) = Journal::open(dir, name)?;
    found.damage.iter().for_each(|damage| tracing::warn!("{damage}"));
    let mut unreadable = 0;
    for record in &found.records {
        if let Err(error) = take(record) {
            unreadable += 1;
            tracing::warn!("a record of {name} cannot be read: {error}");
        }
    }
    if unreadable > 0 {
        // The next snapshot leaves them out.
        std::fs::copy(dir.join(name), dir.join(format!("{name}.damaged"))).ok();
    }
    Ok(journal)
}

/// A random UUID.
fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    // Where the system has no random numbers nothing that needs them works, TLS least of all.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An alert as it is received: what is not said is filled in.
#[derive(Debug, Clone, Default)]
pub struct PostedAlert {
    /// What it is known by.
    pub labels: model::Labels,
    /// What is said about it.
    pub annotations: model::Labels,
    /// Since when it fires.
    pub starts_at: Option<Timestamp>,
    /// When it was, or will be, resolved.
    pub ends_at: Option<Timestamp>,
    /// Where it comes from.
    pub generator_url: String,
}

impl PostedAlert {
    fn complete(self, now: Timestamp, resolve_timeout: Duration) -> Alert {
        Alert {
            starts_at: self.starts_at.or(self.ends_at).unwrap_or(now),
            timeout: self.ends_at.is_none(),
            ends_at: Some(self.ends_at.unwrap_or_else(|| after(now, resolve_timeout))),
            updated_at: now,
            labels: self.labels,
            annotations: self.annotations,
            generator_url: self.generator_url,
        }
    }
}
