//! The process: its configuration, readiness, reload and end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use api::notifications::NotificationBoard;
use api::state::{BuildInfo, RuntimeInfo};
use arc_swap::ArcSwap;
use base::clock::SharedClock;
use base::metrics::{Gauge, Registry};
use config::Config;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::settings::Settings;

/// The version of Prometheus whose behaviour this is; clients switch features by it.
pub const PROMETHEUS_VERSION: &str = "3.14.0";

/// What the operator is told.
const STARTING: &str = "Prometheus is starting and replaying the write-ahead log (WAL).";
const RELOAD_FAILED: &str = "Configuration reload has failed.";
const STOPPING: &str = "Prometheus is shutting down and gracefully stopping all operations.";

/// What follows the configuration.
pub trait Reloadable: Send + Sync {
    /// Makes a new configuration the one in force. An error leaves what it concerns as it was.
    fn reload(&self, settings: &Settings, config: &Config) -> Result<(), String>;
}

/// The process.
pub struct System {
    settings: Settings,
    clock: SharedClock,
    config: ArcSwap<Config>,
    started_ms: i64,
    ready: AtomicBool,
    quit: watch::Sender<bool>,
    followers: Mutex<Vec<Arc<dyn Reloadable>>>,
    reload_succeeded: AtomicBool,
    config_loaded_ms: AtomicI64,
    success_gauge: Gauge,
    success_time_gauge: Gauge,
    ready_gauge: Gauge,
    notifications: Arc<NotificationBoard>,
    registry: Registry,
}

impl System {
    /// A process that is not ready yet.
    pub fn new(
        settings: &Settings,
        config: Arc<Config>,
        clock: SharedClock,
        registry: &Registry,
        started_ms: i64,
    ) -> Self {
        let gauge = |name, help| registry.gauge(name, help, &[]);
        let listeners = settings.args.max_notifications_subscribers;
        let system = Self {
            notifications: Arc::new(NotificationBoard::new(clock.clone(), listeners, registry)),
            settings: settings.clone(),
            config: ArcSwap::new(config),
            started_ms,
            ready: AtomicBool::new(false),
            quit: watch::channel(false).0,
            followers: Mutex::default(),
            reload_succeeded: AtomicBool::new(true),
            config_loaded_ms: AtomicI64::new(clock.now_ms()),
            success_gauge: gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            success_time_gauge: gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
            ready_gauge: gauge(
                "prometheus_ready",
                "Whether Prometheus startup was fully completed and the server is ready for normal operation.",
            ),
            clock,
            registry: registry.clone(),
        };
        system.note_success();
        system.notifications.post(STARTING);
        system
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// From now on requests can be served.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
        self.ready_gauge.set(1.0);
        self.notifications.withdraw(STARTING);
    }

    /// Adds what is to follow the configuration.
    pub fn on_reload(&self, follower: impl Reloadable + 'static) {
        self.followers.lock().push(Arc::new(follower));
    }

    /// Makes the configuration in force known to all followers; what fails is logged.
    pub fn apply(&self) -> Vec<String> {
        let config = self.config();
        let followers = self.followers.lock().clone();
        let failed = followers.iter().filter_map(|follower| follower.reload(&self.settings, &config).err());
        failed.inspect(|problem| tracing::error!(problem, "failed to apply configuration")).collect()
    }

    /// Completes when the process is asked to end.
    pub async fn quit_requested(&self) {
        let mut asked = self.quit.subscribe();
        // The sender lives as long as the process.
        let _ = asked.wait_for(|&quit| quit).await;
    }

    /// Loads the configuration again and applies it. One that cannot be loaded changes nothing.
    pub fn reload(&self) -> Result<(), String> {
        tracing::info!("loading configuration");
        let outcome = match self.settings.config.load(&self.settings) {
            Ok(config) => {
                self.config.store(config);
                let failed = self.apply();
                if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
            }
            Err(error) => Err(format!("{error:#}")),
        };
        match &outcome {
            Ok(()) => self.note_success(),
            Err(problem) => {
                tracing::error!(problem, "error reloading config");
                self.reload_succeeded.store(false, Ordering::Release);
                self.success_gauge.set(0.0);
                self.notifications.post(RELOAD_FAILED);
            }
        }
        outcome
    }

    /// Damaged places found in the log so far, as the storage counts them.
    fn log_corruptions(&self) -> u64 {
        let families = self.registry.gather();
        let counts = families.iter().find(|family| family.name == "prometheus_tsdb_wal_corruptions_total");
        let number = |point: &base::metrics::Point| match point.value {
            base::metrics::Value::Number(number) => number,
            _ => 0.0,
        };
        counts.map_or(0.0, |family| family.points.iter().map(number).sum()) as u64
    }

    fn note_success(&self) {
        let now_ms = self.clock.now_ms();
        self.reload_succeeded.store(true, Ordering::Release);
        self.config_loaded_ms.store(now_ms, Ordering::Release);
        self.success_gauge.set(1.0);
        self.notifications.withdraw(RELOAD_FAILED);
        self.success_time_gauge.set(now_ms as f64 / 1e3);
    }

    /// Asks the process to end.
    pub fn request_quit(&self) {
        self.notifications.post(STOPPING);
        self.quit.send_replace(true);
    }
}

impl api::state::System for System {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn config_yaml(&self) -> String {
        self.config().to_yaml()
    }

    fn external_labels(&self) -> Vec<(String, String)> {
        self.config().external_labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    fn flags(&self) -> BTreeMap<String, String> {
        self.settings.flags.clone()
    }

    fn features(&self) -> BTreeMap<String, BTreeMap<String, bool>> {
        let auto_reload = self.settings.auto_reload.is_some();
        self.settings.features.report(&self.settings.args, auto_reload)
    }

    fn build_info(&self) -> BuildInfo {
        BuildInfo {
            version: PROMETHEUS_VERSION.to_owned(),
            revision: option_env!("BARTIZAN_REVISION").unwrap_or_default().to_owned(),
            branch: String::new(),
            build_user: format!("bartizan@{}", env!("CARGO_PKG_VERSION")),
            build_date: String::new(),
            go_version: String::new(),
        }
    }

    fn runtime_info(&self) -> RuntimeInfo {
        let directory = std::env::current_dir().unwrap_or_default();
        RuntimeInfo {
            start_time_ms: self.started_ms,
            working_directory: directory.display().to_string(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            reload_succeeded: self.reload_succeeded.load(Ordering::Acquire),
            last_config_ms: self.config_loaded_ms.load(Ordering::Acquire),
            corruption_count: self.log_corruptions(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            storage_retention: super::storage::retention_text(&self.settings, &self.config()),
        }
    }

    fn reload(&self) -> Result<(), String> {
        Self::reload(self)
    }

    fn quit(&self) {
        tracing::warn!("received termination request via web service, exiting gracefully");
        self.request_quit();
    }

    fn notifications(&self) -> &Arc<NotificationBoard> {
        &self.notifications
    }
}
