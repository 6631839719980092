//! `bartizan loki`: the seat of Loki in its single-binary form.
//!
//! What of its configuration applies is honoured, what cannot apply is told at start, and what would mean something else
//! keeps it from starting. Files with overrides are read again as they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::handlers::loki::LogOptions;
use api::queries::QueryList;
use api::server::{ClientDemand, Clients, Pem, Security, Server, ServerOptions, TlsOptions};
use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::get;
use base::ByteBudget;
use base::clock::SharedClock;
use base::metrics::Registry;
use blob::RemoteOptions;
use config::loki::LokiSettings;
use config::loki::limits::LokiLimits;
use config::loki::server::{Format, HttpTls, Level};
use config::loki::storage::{Bucket, ObjectPlace};
use model::TenantId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::logs::limits::{Books, Rules, books};
use super::logs::place::BucketPlace;
use super::logs::{LogSettings, Logs};
use super::ruler::Ruler;
use super::settings::quiet_time;
use crate::cli::LokiArgs;
use crate::cli::prometheus::{LogFormat, LogLevel};

/// Connections at a time, unless the configuration says otherwise.
const MAX_CONNECTIONS: usize = 4096;
/// Memory of all queries.
const QUERY_BYTES: usize = 1 << 30;
/// The tenant of all requests where they do not name one.
const ONLY_TENANT: &str = "fake";
/// The folder of what is ours where a Loki may have had its own.
const OWN_FOLDER: &str = "bartizan";

/// Runs the seat until it is asked to end.
pub fn run(args: &LokiArgs) -> anyhow::Result<ExitCode> {
    if args.version {
        let version = LogOptions::default().version;
        println!("loki, version {version} (its seat is taken by bartizan {})", env!("CARGO_PKG_VERSION"));
        return Ok(ExitCode::SUCCESS);
    }
    let settings = match load(args) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let books = match read_books(&settings) {
        Ok(books) => books,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let language = match logql::Features::from_names(args.logql_features.iter().map(String::as_str)) {
        Ok(language) => language,
        Err(problem) => {
            eprintln!("-logql-features: {problem}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let quiet_after = match quiet_time(&args.logs_quiet_time) {
        Ok(quiet_after) => quiet_after,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    if args.print_config {
        eprint!("---\n{}", settings.to_yaml());
    }
    let server = &settings.file.server;
    crate::logging::start(log_level(server.log_level), log_format(server.log_format));
    for told in &settings.without_effect {
        tracing::warn!("{told}");
    }
    if args.verify_config {
        tracing::info!("config is valid");
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(settings, books, (language, quiet_after)));
    runtime.shutdown_background();
    outcome
}

/// The configuration with what flags say in its place.
fn load(args: &LokiArgs) -> anyhow::Result<LokiSettings> {
    let mut settings = LokiSettings::load(&args.config_files(), args.expand_env)?;
    let file = &mut settings.file;
    if let Some(target) = args.target.as_deref().filter(|target| *target != "all") {
        anyhow::bail!(
            "-target={target} cannot be honoured: all components are one process; write -target=all"
        );
    }
    if let Some(port) = args.http_listen_port {
        file.server.http_listen_port = port;
    }
    if let Some(address) = &args.http_listen_address {
        file.server.http_listen_address.clone_from(address);
    }
    if let Some(auth) = args.auth_enabled {
        file.auth_enabled = auth;
    }
    if let Some(level) = &args.log_level {
        file.server.log_level =
            Level::from_word(level).with_context(|| format!("-log.level={level}: unknown level"))?;
    }
    if let Some(format) = &args.log_format {
        file.server.log_format =
            Format::from_word(format).with_context(|| format!("-log.format={format}: unknown format"))?;
    }
    Ok(settings)
}

fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

fn log_format(format: Format) -> LogFormat {
    match format {
        Format::Logfmt => LogFormat::Logfmt,
        Format::Json => LogFormat::Json,
    }
}

/// The limits of all tenants, with overrides as they are now.
fn read_books(settings: &LokiSettings) -> anyhow::Result<Books> {
    books_of(settings, &settings.read_overrides()?)
}

fn books_of(settings: &LokiSettings, overrides: &BTreeMap<String, LokiLimits>) -> anyhow::Result<Books> {
    let rules = Rules { retention_enabled: settings.file.compactor.retention_enabled };
    books(&settings.file.limits_config, overrides, rules)
}

/// Where objects are.
pub fn place_of(objects: &ObjectPlace) -> BucketPlace {
    match objects {
        // What a Loki stored there is not ours, and not touched.
        ObjectPlace::Folder(path) => BucketPlace::Folder(path.join(OWN_FOLDER)),
        ObjectPlace::Bucket(bucket) => BucketPlace::Remote(Box::new(remote_of(bucket))),
    }
}

fn remote_of(bucket: &Bucket) -> RemoteOptions {
    let settings = bucket.settings.iter().map(|(key, value)| (key.clone(), value.expose().to_owned()));
    let mut options = RemoteOptions::new(bucket.url.clone());
    options.settings = settings.collect();
    options.from_environment = bucket.from_environment;
    if !bucket.timeout.get().is_zero() {
        options.timeout = bucket.timeout.get();
    }
    options.tls.insecure_skip_verify = bucket.insecure_skip_verify;
    options.tls.ca_file = bucket.ca_file.clone().into();
    options
}

fn log_settings(
    settings: &LokiSettings,
    books: Books,
    (language, quiet_after): (logql::Features, Duration),
) -> LogSettings {
    let file = &settings.file;
    let options = LogOptions {
        multi_tenant: file.auth_enabled,
        only_tenant: TenantId(ONLY_TENANT.into()),
        max_queries: usize::try_from(file.querier.max_concurrent).unwrap_or(usize::MAX).max(1),
        tail_max_duration: file.querier.tail_max_duration.get(),
        language,
        ..LogOptions::default()
    };
    LogSettings {
        wal: settings.wal.join(OWN_FOLDER),
        bucket: place_of(&settings.objects),
        quiet_after,
        retention: books.retention,
        push_limits: books.push,
        query_limits: books.query,
        options,
    }
}

async fn serve(
    settings: LokiSettings,
    books: Books,
    flags: (logql::Features, Duration),
) -> anyhow::Result<ExitCode> {
    let clock: SharedClock = Arc::new(base::SystemClock::new());
    let registry = Registry::new();
    super::process::publish(&registry, &clock);
    let rule_limits = books.rules.clone();
    let log_settings = log_settings(&settings, books, flags);
    let budget = ByteBudget::new("query.max-memory", QUERY_BYTES);
    let queries = Arc::new(QueryList::new(clock.clone()));
    let logs = Logs::new(&log_settings, clock.clone(), (&budget, &queries), &registry);
    let only = &log_settings.options.only_tenant;
    let ruler = Ruler::new(&settings, rule_limits, only, &logs, &clock, &registry)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let server = bind(&settings).await?;
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    let (end, mut ended) = watch::channel(false);
    let web = tokio::spawn(server.run(router(&settings, &logs, &ruler, &registry), async move {
        let _ = ended.wait_for(|ended| *ended).await;
    }));
    let opening = {
        let (logs, clock, registry) = (logs.clone(), clock.clone(), registry.clone());
        let open = move || logs.open(&log_settings, clock, &registry);
        tokio::task::spawn_blocking(open)
    };
    tokio::select! {
        opened = opening => opened??,
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
    }
    ruler.begin().await?;
    tracing::info!("Loki's seat is taken: ready");
    let mut overrides = Followed::new(&settings);
    let mut looks = tokio::time::interval(settings.override_period().max(Duration::from_secs(1)));
    looks.tick().await;
    loop {
        tokio::select! {
            _ = looks.tick() => overrides.look(&settings, &logs, &ruler).await,
            _ = hangup.recv() => overrides.look(&settings, &logs, &ruler).await,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    tracing::info!("received an OS signal, exiting gracefully");
    ruler.stop().await;
    let closing = tokio::task::spawn_blocking(move || logs.close());
    let _ = end.send(true);
    let _ = web.await;
    closing.await?;
    Ok(ExitCode::SUCCESS)
}

async fn bind(settings: &LokiSettings) -> anyhow::Result<Server> {
    let section = &settings.file.server;
    let connections = usize::try_from(section.http_listen_conn_limit).unwrap_or(usize::MAX);
    let address = match section.http_listen_address.as_str() {
        v6 if v6.contains(':') && !v6.starts_with('[') => format!("[{v6}]"),
        other => other.to_owned(),
    };
    let options = ServerOptions {
        listen_addresses: vec![format!("{address}:{}", section.http_listen_port)],
        max_connections: if connections == 0 { MAX_CONNECTIONS } else { connections },
        read_timeout: section.http_server_read_timeout.get(),
        tls: tls(&section.http_tls_config)?,
    };
    Ok(Server::bind(options, Arc::new(ArcSwap::from_pointee(Security::default()))).await?)
}

fn tls(section: &HttpTls) -> anyhow::Result<Option<TlsOptions>> {
    if section.cert_file.is_empty() {
        return Ok(None);
    }
    let file = |path: &str| Pem::File(PathBuf::from(path));
    let authorities = (!section.client_ca_file.is_empty()).then(|| file(&section.client_ca_file));
    let demand = match section.client_auth_type.as_str() {
        "" | "NoClientCert" => ClientDemand::Nothing,
        "RequestClientCert" => ClientDemand::Request,
        "RequireAnyClientCert" | "RequireClientCert" => ClientDemand::RequireAny,
        "VerifyClientCertIfGiven" => ClientDemand::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientDemand::RequireAndVerify,
        other => anyhow::bail!("server.http_tls_config.client_auth_type: {other:?} is unknown"),
    };
    let clients = Clients { demand, authorities, allowed_names: Vec::new() };
    Ok(Some(TlsOptions { clients, ..TlsOptions::new(file(&section.cert_file), file(&section.key_file)) }))
}

fn router(settings: &LokiSettings, logs: &Logs, ruler: &Ruler, registry: &Registry) -> Router {
    let yaml = settings.to_yaml();
    let shown =
        move || async move { ([(axum::http::header::CONTENT_TYPE, "text/plain; charset=utf-8")], yaml) };
    let all = logs
        .seat()
        .merge(ruler.routes())
        .route("/config", get(shown))
        .merge(api::handlers::system::metrics_route("/metrics", registry.clone()));
    match settings.file.server.http_path_prefix.trim_matches('/') {
        "" => all,
        prefix => Router::new().nest(&format!("/{prefix}"), all),
    }
}

/// Files with overrides that are read again when they change.
struct Followed {
    known: Vec<Option<String>>,
}

impl Followed {
    fn new(settings: &LokiSettings) -> Self {
        Self { known: contents(&settings.override_files) }
    }

    /// Looks whether they changed; what is wrong with them leaves the limits as they are.
    async fn look(&mut self, settings: &LokiSettings, logs: &Logs, ruler: &Ruler) {
        let files = settings.override_files.clone();
        if files.is_empty() {
            return;
        }
        let Ok(now) = tokio::task::spawn_blocking(move || contents(&files)).await else { return };
        if now == self.known {
            return;
        }
        self.known = now;
        match read_books(settings) {
            Ok(books) => {
                ruler.set_limits(books.rules);
                logs.set_limits(books.push, books.query, books.retention);
                tracing::info!("limits were read again");
            }
            Err(error) => tracing::error!("limits cannot be read and stay as they are: {error:#}"),
        }
    }
}

fn contents(files: &[PathBuf]) -> Vec<Option<String>> {
    files.iter().map(|path: &PathBuf| std::fs::read_to_string::<&Path>(path).ok()).collect()
}
