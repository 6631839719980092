//! The Alertmanager's seat, alone or beside everything else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alerting::engine::EngineError;
use alerting::{Alertmanager, EngineOptions};
use anyhow::Context;
use api::Server;
use api::alertmanager::RequestLimits;
use api::server::{Security, ServerOptions};
use arc_swap::ArcSwap;
use axum::Router;
use base::ByteBudget;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::WebConfig;
use config::alertmanager::{AlertmanagerSettings, MatcherMode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::settings::Settings;
use super::system::Reloadable;
use crate::cli::alertmanager::AlertmanagerArgs;
use crate::cli::alertmanager::cluster::ClusterArgs;

/// Connections served at once.
const MAX_CONNECTIONS: usize = 1024;

/// The most memory that alerts and silences may take while they are received.
const PUSH_BYTES: usize = 256 << 20;
/// The most alerts and groups beside everything else: enough for any one machine's rules, and no more than it can hold.
const MAX_ALERTS: usize = 1_000_000;
const MAX_GROUPS: usize = 200_000;

/// What an Alertmanager without a configuration file does: it takes alerts, groups and shows them.
const EMBEDDED: &str =
    "route:\n  receiver: nobody\n  group_by: [alertname, job]\nreceivers:\n- name: nobody\n";

/// Alertmanager's settings beside everything else.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// The configuration file; without one nobody is told.
    pub config_file: Option<PathBuf>,
    /// Where silences and the log of notifications are kept.
    pub path: PathBuf,
    /// The cluster it belongs to, if it does.
    pub cluster: Option<ClusterArgs>,
}

/// An Alertmanager at work.
pub struct Running {
    manager: Arc<Alertmanager>,
    end: watch::Sender<bool>,
    task: JoinHandle<Result<(), EngineError>>,
}

fn push_budget() -> ByteBudget {
    ByteBudget::new("alerts.max-push-memory", PUSH_BYTES)
}

impl Running {
    fn start(manager: Arc<Alertmanager>) -> Self {
        let (end, mut ended) = watch::channel(false);
        let shutdown = async move {
            // A sender that is gone has nothing more to say either.
            let _ = ended.wait_for(|ended| *ended).await;
        };
        let task = tokio::spawn(manager.clone().run(shutdown));
        Self { manager, end, task }
    }

    /// The Alertmanager beside everything else.
    pub async fn beside(
        alerts: &AlertSettings,
        external_url: &url::Url,
        clock: SharedClock,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let options = EngineOptions {
            config_file: alerts.config_file.clone().unwrap_or_default(),
            storage_path: alerts.path.clone(),
            retention: Duration::from_secs(120 * 3600),
            maintenance_interval: Duration::from_secs(15 * 60),
            gc_interval: Duration::from_secs(30 * 60),
            max_silences: 0,
            max_silence_bytes: 0,
            alerts_per_name: 0,
            max_alerts: MAX_ALERTS,
            max_groups: MAX_GROUPS,
            receivers_in_metrics: false,
            log_silences: false,
            start_delay: Duration::ZERO,
            external_url: external_url.as_str().trim_end_matches('/').to_owned(),
            mode: MatcherMode::Fallback,
        };
        let manager = match &alerts.config_file {
            Some(_) => Alertmanager::open(options, clock.clone(), registry),
            None => {
                let settings =
                    AlertmanagerSettings::from_bytes("embedded".as_ref(), EMBEDDED.as_bytes(), options.mode)?;
                Alertmanager::open_with(settings, options, clock.clone(), registry)
            }
        };
        let manager = manager.context("starting the Alertmanager")?;
        if let Some(args) = &alerts.cluster
            && let Some(cluster) = super::cluster::open(args, clock).await?
        {
            manager.join(cluster, registry);
        }
        Ok(Self::start(manager))
    }

    /// Its API, below the prefix of all routes.
    pub fn routes(&self, prefix: &str) -> Router {
        Router::new()
            .nest(&format!("{prefix}/api/v2"), api::alertmanager::api_v2(self.manager.clone(), push_budget()))
    }

    /// What loads its configuration file anew with everything else.
    pub fn follower(&self) -> impl Reloadable + use<> {
        Follower(self.manager.clone())
    }

    /// Completes when it works no more although nobody ended it, with why: a defect.
    pub async fn failed(&mut self) -> anyhow::Error {
        let why = match (&mut self.task).await {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow::anyhow!("the Alertmanager tells nobody any more: {why}")
    }

    /// Ends it; what was told and silenced is on disk afterwards.
    pub async fn stop(self) {
        let _ = self.end.send(true);
        if !self.task.is_finished() {
            let _ = self.task.await;
        }
    }
}

struct Follower(Arc<Alertmanager>);

impl Reloadable for Follower {
    fn reload(&self, _: &Settings, _: &config::Config) -> Result<(), String> {
        self.0.reload().map_err(|error| error.to_string())
    }
}

/// `bartizan alertmanager`: the seat of Alertmanager.
pub fn run(args: &AlertmanagerArgs) -> anyhow::Result<ExitCode> {
    crate::logging::start(args.log_level, args.log_format);
    for warning in args.ignored.warnings() {
        tracing::warn!("{warning}");
    }
    let options = EngineOptions {
        config_file: args.config_file.clone(),
        storage_path: args.storage_path.clone(),
        retention: args.retention,
        maintenance_interval: args.maintenance_interval,
        gc_interval: args.gc_interval,
        max_silences: usize::try_from(args.max_silences).unwrap_or(0),
        max_silence_bytes: usize::try_from(args.max_silence_bytes).unwrap_or(0),
        alerts_per_name: usize::try_from(args.alerts_per_name).unwrap_or(0),
        max_alerts: usize::try_from(args.max_alerts).unwrap_or(0),
        max_groups: usize::try_from(args.max_groups).unwrap_or(0),
        receivers_in_metrics: args.has_feature("receiver-name-in-metrics"),
        log_silences: args.log_silences,
        start_delay: args.start_delay,
        external_url: external_url(args)?.as_str().trim_end_matches('/').to_owned(),
        mode: args.matcher_mode()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(args, options));
    runtime.shutdown_background();
    outcome
}

fn external_url(args: &AlertmanagerArgs) -> anyhow::Result<url::Url> {
    let given = args.external_url.trim_end_matches('/');
    if !given.is_empty() {
        let url = url::Url::parse(given).with_context(|| format!("--web.external-url={given}: not a URL"))?;
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https"),
            "--web.external-url={given}: give a URL of scheme http or https"
        );
        return Ok(url);
    }
    let port = args.listen_address.first().and_then(|address| address.rsplit(':').next()).unwrap_or("9093");
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    url::Url::parse(&format!("http://{host}:{port}/"))
        .or_else(|_| url::Url::parse(&format!("http://localhost:{port}/")))
        .with_context(|| format!("--web.listen-address: {port:?} is no port"))
}

/// The prefix of all routes, without a slash at its end.
fn route_prefix(args: &AlertmanagerArgs, external_url: &str) -> String {
    let path = url::Url::parse(external_url).map(|url| url.path().to_owned()).unwrap_or_default();
    let prefix = if args.route_prefix.is_empty() { path } else { args.route_prefix.clone() };
    let trimmed = prefix.trim_matches('/');
    if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") }
}

/// The sockets that systemd hands over.
fn handed_over() -> anyhow::Result<Vec<std::net::TcpListener>> {
    let mut given = listenfd::ListenFd::from_env();
    let count = given.len();
    let sockets = (0..count).filter_map(|index| given.take_tcp_listener(index).transpose());
    let sockets: Vec<_> = sockets.collect::<Result<_, _>>().context("--web.systemd-socket")?;
    anyhow::ensure!(
        !sockets.is_empty(),
        "--web.systemd-socket: no socket was handed over (LISTEN_FDS and LISTEN_PID are not set for this process)"
    );
    Ok(sockets)
}

async fn serve(args: &AlertmanagerArgs, options: EngineOptions) -> anyhow::Result<ExitCode> {
    let clock: SharedClock = Arc::new(base::SystemClock::new());
    let registry = Registry::new();
    super::process::publish(&registry, &clock);
    let prefix = route_prefix(args, &options.external_url);
    let cluster = super::cluster::open(&args.cluster, clock.clone()).await?;
    let manager = match Alertmanager::open(options, clock, &registry) {
        Ok(manager) => manager,
        Err(error) => {
            tracing::error!("loading the configuration failed: {error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(cluster) = cluster {
        manager.join(cluster, &registry);
    }
    let web_config = match args.web_config_file.as_str() {
        "" => None,
        path => Some(WebConfig::load(Path::new(path))?),
    };
    let tls =
        web_config.as_ref().and_then(|config| super::tls_options(Path::new(&args.web_config_file), config));
    let security: Security = web_config.as_ref().map(super::web::security).transpose()?.unwrap_or_default();
    let server_options = ServerOptions {
        listen_addresses: args.listen_address.clone(),
        max_connections: MAX_CONNECTIONS,
        read_timeout: Duration::from_secs(300),
        tls,
    };
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let security = Arc::new(ArcSwap::from_pointee(security));
    let server = if args.systemd_socket {
        Server::adopt(handed_over()?, server_options, security)?
    } else {
        Server::bind(server_options, security).await?
    };
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    let metrics = api::handlers::system::metrics_route(&format!("{prefix}/metrics"), registry.clone());
    let limits = RequestLimits::new(args.get_concurrency, args.web_timeout);
    let router =
        api::alertmanager::seat(manager.clone(), &prefix, push_budget(), limits, &registry).merge(metrics);
    let mut running = Running::start(manager.clone());
    let mut failure = None;
    let (end, mut ended) = watch::channel(false);
    let web = tokio::spawn(server.run(router, async move {
        let _ = ended.wait_for(|ended| *ended).await;
    }));
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                let manager = manager.clone();
                // The outcome is logged where it is found out.
                let _ = tokio::task::spawn_blocking(move || manager.reload()).await;
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            error = running.failed() => {
                failure = Some(error);
                break;
            }
        }
    }
    match &failure {
        Some(error) => tracing::error!("{error:#}"),
        None => tracing::info!("received an OS signal, exiting gracefully"),
    }
    let _ = end.send(true);
    let _ = web.await;
    running.stop().await;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}
