//! The map of the house: every role, in the order of its start, and the settings they run with.
//!
//! | order | role | starts | stops |
//! |---|---|---|---|
//! | 1 | [`web`] | binds the listener, answers "not ready" | last, after requests in flight |
//! | 2 | [`storage`] | locks the data directory, replays the log | makes everything durable |
//! | 2 | [`logs`] | the same for logs, in a folder of their own | brings what is in memory to the bucket |
//! | 3 | [`sending`] | a reader of the log for each destination, before anything is scraped | sends what is left of the log |
//! | 3 | [`scraping`] | discovery, then scrape loops | writes staleness markers, ends its loops |
//! | 3 | [`receiving`], [`otlp`] | take what is pushed, once the storage is open | with the listener |
//! | 1 | [`alertmanager`] | in the embedded default: takes alerts, tells receivers | behind rules: it takes their alerts |
//! | 1 | [`cluster`] | in Alertmanager's seat, or where flags ask for it: finds the other instances | with the Alertmanager, after what is under way |
//! | 1 | [`screens`], [`provisioning`] | in the embedded default: users and dashboards, and the door around all paths | with the listener |
//! | 3 | [`rules`] | evaluation of rules and delivery of alerts, once there is something to read | before scraping: it reads what is scraped |
//! | 3 | [`log_rules`] | the same for rules about logs | before rules: it tells alerts through them |
//! | 3 | [`ruler`] | in Loki's seat: what rules about logs need there | before the storage of logs |
//! | 3 | [`host_logs`] | reading this host's logs, once there is a place for them | before their storage; what it has read is stored |
//! | 4 | [`upkeep`] | compaction, retention, reload on change | after the running step |
//!
//! They stop in the reverse order.

mod agent;
mod alertmanager;
mod cluster;
pub mod features;
mod host_logs;
mod log_rules;
mod logs;
mod loki;
mod otlp;
mod process;
mod provisioning;
mod querying;
mod reading;
mod receiving;
mod ruler;
mod rules;
mod scraping;
mod screens;
mod sending;
mod settings;
mod signals;
mod storage;
mod system;
mod upkeep;
mod web;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use base::metrics::Registry;

use crate::cli::{PrometheusArgs, UpArgs};
use crate::logging;
use settings::{ConfigSource, Settings};
pub use web::tls_options;

/// `bartizan prometheus`: the seat of Prometheus.
pub fn prometheus(args: &PrometheusArgs, given: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
    if let Some(refusal) = crate::cli::prometheus::misplaced_flags(given) {
        eprintln!("{refusal}");
        return Ok(ExitCode::from(crate::cli::prometheus::MISPLACED_STATUS));
    }
    logging::start(args.log_level, args.log_format);
    for warning in crate::cli::prometheus::flag_warnings(given) {
        tracing::warn!("{warning}");
    }
    run(Settings::of_prometheus(args, crate::cli::prometheus::flag_values(given))?)
}

/// `bartizan up`: the embedded default.
pub fn up(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::of_up(args)?;
    logging::start(crate::cli::prometheus::LogLevel::Info, crate::cli::prometheus::LogFormat::Logfmt);
    run(settings)
}

/// `bartizan alertmanager`: the seat of Alertmanager.
pub fn alertmanager(args: &crate::cli::AlertmanagerArgs) -> anyhow::Result<ExitCode> {
    alertmanager::run(args)
}

/// `bartizan loki`: the seat of Loki.
pub fn loki(args: &crate::cli::LokiArgs) -> anyhow::Result<ExitCode> {
    loki::run(args)
}

fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(start_and_stop(settings));
    // What still runs on blocking threads is a query nobody waits for any more.
    runtime.shutdown_background();
    outcome
}

/// The exit status of Prometheus for a configuration that does not load.
const BAD_CONFIGURATION_STATUS: u8 = 2;

fn opening_failed(settings: &Settings) -> String {
    let flag = if settings.args.agent.agent { "storage.agent.path" } else { "storage.tsdb.path" };
    format!("opening the storage (--{flag}={})", settings.storage_path.display())
}

async fn start_and_stop(settings: Settings) -> anyhow::Result<ExitCode> {
    let clock: base::clock::SharedClock = Arc::new(base::SystemClock::new());
    let registry = Registry::new();
    process::publish(&registry, &clock);
    let started_ms = clock.now_ms();
    let config = match settings.config.load(&settings).with_context(|| settings.config.told()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("bartizan: {error:#}");
            return Ok(ExitCode::from(BAD_CONFIGURATION_STATUS));
        }
    };
    let system = Arc::new(system::System::new(&settings, config, clock.clone(), &registry, started_ms));
    let signals = signals::Signals::listen(&system)?;

    // 1. The listener: mistakes in flags show before anything else happens, and a long replay is seen
    // from outside.
    let opened = storage::Opened::default();
    let scraping = scraping::Scraping::new(&settings, &registry, clock.clone(), opened.clone());
    let receiving = receiving::Receiving::new(&settings, &registry, clock.clone(), opened.clone())?;
    let otlp = otlp::Otlp::new(&settings, &registry, clock.clone(), opened.clone())?;
    let reading = reading::Reading::new(&settings, &registry, clock.clone(), &opened);
    let sending = sending::Sending::new(&settings, &registry, clock.clone(), &opened, &scraping);
    let querying = querying::Querying::new(&settings, clock.clone());
    let sources =
        rules::Sources { opened: &opened, reading: &reading, querying: &querying, scraping: &scraping };
    let rules = rules::Rules::new(&settings, &registry, clock.clone(), &sources);
    let logs = settings.logs.as_ref().map(|settings| {
        logs::Logs::new(settings, clock.clone(), (&querying.budget, &querying.queries), &registry)
    });
    let log_rules = settings.log_rules.clone().zip(logs.as_ref()).map(|(place, logs)| {
        let opened = opened.clone();
        let sources = log_rules::Sources {
            logs: logs.source(),
            storage: Box::new(move |_| Ok(opened.clone())),
            sink: rules.sink_linking_to(Arc::new(|text| log_rules::explore_link("", text))),
            budget: querying.rules_budget.clone(),
            clock: clock.clone(),
        };
        log_rules::LogRules::new(place, log_rules::Evaluation::of(&settings), &registry, sources)
    });
    let asked = (&reading, &querying, &rules, &logs);
    let alerts = match &settings.alerts {
        Some(alerts) => {
            let (url, clock) = (&settings.external_url, clock.clone());
            Some(alertmanager::Running::beside(alerts, url, clock, &registry).await?)
        }
        None => None,
    };
    let more = alerts.as_ref().map(|alerts| alerts.routes(&settings.route_prefix)).unwrap_or_default();
    let more = log_rules.iter().fold(more, |more, rules| more.merge(rules.routes()));
    let screens = settings.screens.as_ref();
    let screens =
        screens.map(|own| screens::Screens::start(own, clock.clone(), &settings.route_prefix)).transpose()?;
    let web = web::Web::bind(
        &settings,
        &system,
        &opened,
        asked,
        &scraping,
        (&receiving, &otlp),
        (&registry, more, screens.as_ref()),
    )
    .await?;
    for address in web.addresses() {
        tracing::info!(%address, "listening");
    }

    // 2. Storage. Replay is long work, so it runs beside the listener; a signal may interrupt it.
    let opening = {
        let (settings, clock, registry) = (settings.clone(), clock.clone(), registry.clone());
        let (config, progress) = (system.config(), opened.progress());
        let logs = logs.clone();
        tokio::task::spawn_blocking(move || {
            let store = storage::open(&settings, &config, clock.clone(), &registry, progress)
                .with_context(|| opening_failed(&settings))?;
            if let (Some(logs), Some(place)) = (logs, &settings.logs) {
                logs.open(place, clock, &registry)?;
            }
            anyhow::Ok(store)
        })
    };
    tokio::select! {
        db = opening => opened.set(db??),
        () = system.quit_requested() => {
            tracing::warn!("asked to end while the log was being replayed");
            return Ok(ExitCode::SUCCESS);
        }
    }

    // 3. Sending, then scraping, at last what reads what they bring.
    system.on_reload(sending.clone());
    system.on_reload(scraping.clone());
    system.on_reload(opened.clone());
    system.on_reload(receiving);
    system.on_reload(otlp);
    system.on_reload(reading);
    system.on_reload(rules.clone());
    if let Some(log_rules) = &log_rules {
        system.on_reload(log_rules.clone());
    }
    if let Some(alerts) = &alerts {
        system.on_reload(alerts.follower());
    }
    let applying = system.clone();
    let failed = tokio::task::spawn_blocking(move || applying.apply()).await?;
    // At start, as opposed to a reload, there is nothing to go on with: what was asked for would silently be missing.
    anyhow::ensure!(failed.is_empty(), "{}: {}", settings.config.told(), failed.join("; "));
    let host_logs = start_host_logs(&settings, logs.as_ref(), &clock, &registry).await?;
    // 4. Upkeep.
    let upkeep = upkeep::start(&settings, opened.clone(), system.clone());
    system.set_ready();
    let took_ms = clock.now_ms() - started_ms;
    tracing::info!(took_ms, "server is ready to receive web requests");
    if settings.alerts.as_ref().is_some_and(|alerts| alerts.config_file.is_none()) {
        tracing::warn!(
            shown_at = %settings.external_url,
            "nobody is told of alerts, they are only shown: name receivers in an alertmanager.yml and start with \
             --alertmanager-config=FILE (README.md, \"Alert\", has the least that sends mail)"
        );
    }

    let mut alerts = alerts;
    let failure = match &mut alerts {
        None => {
            system.quit_requested().await;
            None
        }
        Some(alerts) => tokio::select! {
            () = system.quit_requested() => None,
            error = alerts.failed() => Some(error),
        },
    };
    tracing::info!("stopping");
    drop(signals);
    upkeep.stop().await;
    if let Some(log_rules) = &log_rules {
        log_rules.stop().await;
    }
    rules.stop().await;
    if let Some(alerts) = alerts {
        alerts.stop().await;
    }
    scraping.stop().await;
    sending.stop().await;
    let closed = tokio::task::spawn_blocking(move || {
        host_logs.into_iter().for_each(collect::logs::HostLogs::stop);
        logs.iter().for_each(logs::Logs::close);
        opened.close()
    });
    let closed = closed.await?;
    web.stop().await;
    if let Some(screens) = screens {
        screens.stop().await;
    }
    closed.context("closing the storage")?;
    tracing::info!("see you next time");
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Begins to read this host's logs, where they are stored.
async fn start_host_logs(
    settings: &Settings,
    logs: Option<&logs::Logs>,
    clock: &base::clock::SharedClock,
    registry: &Registry,
) -> anyhow::Result<Option<collect::logs::HostLogs>> {
    let Some((options, logs)) = settings.host_logs.clone().zip(logs) else { return Ok(None) };
    let (receiver, clock, registry) = (logs.receiver(), clock.clone(), registry.clone());
    let starting = tokio::task::spawn_blocking(move || host_logs::start(options, receiver, clock, &registry));
    starting.await?.map(Some)
}

impl ConfigSource {
    /// Loads the configuration, telling what has no effect and refusing what cannot be honoured.
    fn load(&self, settings: &Settings) -> anyhow::Result<Arc<config::Config>> {
        let config = self.read(settings)?;
        if settings.args.agent.agent {
            agent::check(&config)?;
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let mut refused = Vec::new();
        for section in config.unsupported() {
            match section.consequence {
                config::Consequence::Ignore => tracing::warn!("{section}"),
                config::Consequence::Refuse => refused.push(section.to_string()),
            }
        }
        anyhow::ensure!(refused.is_empty(), "{}", refused.join("\n"));
        Ok(Arc::new(config))
    }
}
