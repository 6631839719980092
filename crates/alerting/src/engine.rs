//! The running Alertmanager: decisions, state on disk and deliveries joined.
//!
//! One lock guards the decisions ([`Core`]); nothing waits while holding it. A silence is on disk before it counts
//! and before its maker hears of it. What was told goes to disk as soon as it was told: a kill in between can
//! repeat a notification, and never loses one. Nothing that computes for long or waits for the disk runs on a thread
//! of the reactor.
//!
//! In reading order: [`posted`] (what comes in), `run` (the loop and the deliveries), `state` (what is on disk),
//! `metrics`.

mod cluster;
mod metrics;
pub mod posted;
mod run;
mod state;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::alertmanager::{AlertmanagerSettings, MatcherMode};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

use crate::alert::{after, from_ms};
use crate::cluster::Cluster;
use crate::core::{Core, CoreOptions};
use crate::journal::Journal;
use crate::nflog::{self, IntegrationKey, LogEntry};
use crate::notify::{Channel, ChannelOptions, channels};
use crate::silence::{self, SilenceError, SilenceOptions};
use crate::store::StoreLimits;
use crate::template::TemplateSet;

use metrics::Metrics;
pub use posted::{PostError, PostedAlert};

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
    /// The most alerts; 0 for no limit.
    pub max_alerts: usize,
    /// The most groups; 0 for no limit.
    pub max_groups: usize,
    /// Whether metrics of notifications name the receiver.
    pub receivers_in_metrics: bool,
    /// Whether each change of a silence is logged.
    pub log_silences: bool,
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
    /// Deliveries under way.
    under_way: watch::Sender<usize>,
    /// Held while a configuration is taken: two at once could leave parts of both in force.
    reloading: Mutex<()>,
    is_maintaining: AtomicBool,
    metrics: Metrics,
    started_at: Timestamp,
    ready: AtomicBool,
    cluster: OnceLock<Arc<Cluster>>,
    /// Nothing new is begun.
    is_ending: AtomicBool,
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

/// Checks that a configuration's templates and receivers can be used. How many integrations there are.
pub fn check(settings: &AlertmanagerSettings) -> Result<usize, String> {
    let clock = base::SystemClock::shared();
    let templates = Arc::new(TemplateSet::load(&settings.templates, clock.clone())?);
    let options = ChannelOptions { templates, external_url: String::new(), clock };
    settings.receivers.iter().map(|receiver| channels(receiver, &options).map(|found| found.len())).sum()
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
            alerts: StoreLimits { all: options.max_alerts, per_name: options.alerts_per_name },
            max_groups: options.max_groups,
            start_at: after(now, options.start_delay),
        };
        let integrations = ordered.iter().map(|channel| channel.integration());
        let mut core = Core::new(&loaded.settings, integrations, core_options);
        core.measure(clock.clone());
        let dir = options.storage_path.clone();
        let failed = |error| EngineError::State { path: dir.clone(), error };
        let metrics = Metrics::default();
        let silences = state::recover(&dir, "silences", &metrics.silences, |bytes| {
            silence::decode(bytes).map(|record| core.silences_mut().merge(record, now)).map(|_| ())
        })
        .map_err(failed)?;
        let log = state::recover(&dir, "nflog", &metrics.log, |bytes| {
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
            under_way: watch::Sender::new(0),
            reloading: Mutex::new(()),
            is_maintaining: AtomicBool::new(false),
            metrics,
            started_at: now,
            ready: AtomicBool::new(false),
            cluster: OnceLock::new(),
            is_ending: AtomicBool::new(false),
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

    /// Loads the configuration file anew. When it cannot be used, the old one stays in force.
    pub fn reload(&self) -> Result<(), EngineError> {
        if self.options.config_file.as_os_str().is_empty() {
            // An embedded configuration cannot have changed.
            return Ok(());
        }
        let _one_at_a_time = self.reloading.lock();
        let outcome = AlertmanagerSettings::load(&self.options.config_file, self.options.mode)
            .map_err(EngineError::from)
            .and_then(|settings| setup(settings, &self.options, &self.clock));
        match outcome {
            Ok((loaded, ordered)) => {
                let settings = loaded.settings.clone();
                let integrations: Vec<_> = ordered.iter().map(|channel| channel.integration()).collect();
                let now = self.now();
                let mut core = self.core.lock();
                // Decisions and channels change together: what is decided is sent by what it was decided for.
                self.loaded.store(Arc::new(loaded));
                core.reload(&settings, integrations, now);
                drop(core);
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
}
