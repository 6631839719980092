//! The listener: API, self-metrics and, in the embedded default, this host's metrics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use api::handlers::read::{ReadOptions, ReadService};
use api::metrics::QueryMetrics;
use api::server::{ClientDemand, Clients, Pem, Security, ServerOptions, TlsOptions, User};
use api::{ApiOptions, ApiState, Server};
use arc_swap::ArcSwap;
use base::metrics::Registry;
use config::{ClientAuth, TlsVersion, WebConfig};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::logs::Logs;
use super::otlp::Otlp;
use super::querying::Querying;
use super::reading::Reading;
use super::receiving::Receiving;
use super::rules::Rules;
use super::scraping::Scraping;
use super::screens::Screens;
use super::settings::{HOST_METRICS_PATH, Settings};
use super::storage::Opened;
use super::system::System;

/// The running listener.
pub struct Web {
    addresses: Vec<SocketAddr>,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
    system: Arc<System>,
}

impl Web {
    /// Binds the addresses and starts answering.
    pub async fn bind(
        settings: &Settings,
        system: &Arc<System>,
        opened: &Opened,
        asked: (&Reading, &Querying, &Rules, &Option<Logs>),
        scraping: &Scraping,
        (receiving, otlp): (&Receiving, &Otlp),
        (registry, more, screens): (&Registry, axum::Router, Option<&Screens>),
    ) -> anyhow::Result<Self> {
        let args = &settings.args;
        let web_config = match args.web_config_file.as_str() {
            "" => None,
            path => Some((Path::new(path), WebConfig::load(Path::new(path))?)),
        };
        let tls = web_config.as_ref().and_then(|(path, config)| tls_options(path, config));
        let security =
            web_config.as_ref().map(|(_, config)| security(config)).transpose()?.unwrap_or_default();
        let security = Arc::new(ArcSwap::from_pointee(security));
        if let Some((path, _)) = &web_config {
            system.on_reload(WebReload { path: path.to_path_buf(), security: security.clone() });
        }
        let options = ServerOptions {
            listen_addresses: args.listen_address.clone(),
            max_connections: args.max_connections,
            read_timeout: args.read_timeout.value,
            tls,
        };
        let server = Server::bind(options, security).await?;
        let addresses = server.addresses();
        let state = Arc::new(state(settings, system, opened, asked, scraping, (receiving, otlp), registry));
        let mut router = more.fallback_service(api::router(state));
        if let Some(logs) = asked.3 {
            router = router.merge(logs.routes());
        }
        if settings.host_metrics {
            router = router.merge(host_metrics(settings)?);
        }
        if let Some(screens) = screens {
            // Around everything: what stands outside would be everybody's.
            router = screens.guard(router.merge(screens.routes()));
        }
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(server.run(router, async {
            // Dropped without a word means the same.
            let _ = ended.await;
        }));
        Ok(Self { addresses, end, task, system: system.clone() })
    }

    /// The addresses in use.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ends the listener after the requests in flight.
    pub async fn stop(self) {
        // Connections that wait for news would never end.
        api::state::System::notifications(&*self.system).close();
        // The server may have ended already.
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

fn state(
    settings: &Settings,
    system: &Arc<System>,
    opened: &Opened,
    (reading, querying, rules, _): (&Reading, &Querying, &Rules, &Option<Logs>),
    scraping: &Scraping,
    (receiving, otlp): (&Receiving, &Otlp),
    registry: &Registry,
) -> ApiState {
    let (args, features) = (&settings.args, &settings.features);
    let slots = args.query_max_concurrency.max(1);
    ApiState {
        options: ApiOptions {
            agent: args.agent.agent,
            enable_admin_api: args.enable_admin_api,
            enable_lifecycle: args.enable_lifecycle,
            enable_search: features.search_api,
            search_max_limit: args.search_max_limit,
            cors_origin: args.cors_origin.clone(),
            route_prefix: settings.route_prefix.clone(),
            external_url: settings.external_url.clone(),
            listen_address: args.listen_address.first().cloned().unwrap_or_default(),
            query_max_concurrency: slots,
            query_timeout: args.query_timeout.value,
            lookback_delta: args.lookback_delta.value,
            page_title: args.page_title.clone(),
            user_assets: (!args.user_assets.is_empty()).then(|| PathBuf::from(&args.user_assets)),
        },
        clock: scraping.clock(),
        source: reading.source(),
        local: Arc::new(opened.clone()),
        engine: querying.engine.clone(),
        query_metrics: QueryMetrics::new(registry, slots),
        queries: querying.queries.clone(),
        query_budget: querying.budget.clone(),
        query_slots: Arc::new(Semaphore::new(slots)),
        read: ReadService::new(read_options(&args.reading), registry),
        write: receiving.remote_write(settings),
        otlp: otlp.state(settings, receiving),
        targets: Arc::new(scraping.clone()),
        rules: Arc::new(rules.clone()),
        storage: Arc::new(opened.clone()),
        system: system.clone(),
        registry: registry.clone(),
    }
}

fn read_options(args: &crate::cli::prometheus::ReadArgs) -> ReadOptions {
    ReadOptions {
        read_sample_limit: args.read_sample_limit,
        read_concurrent_limit: args.read_concurrent_limit,
        read_max_bytes_in_frame: args.read_max_bytes_in_frame,
    }
}

/// The route of this host's metrics.
fn host_metrics(settings: &Settings) -> anyhow::Result<axum::Router> {
    let clock = Arc::new(base::SystemClock::new());
    let host = exporters::HostMetrics::new(exporters::HostOptions::default(), clock)?;
    let registry = Registry::new();
    host.publish(&registry);
    let path = format!("{}{HOST_METRICS_PATH}", settings.route_prefix);
    Ok(api::handlers::system::metrics_route(&path, registry))
}

/// Users and headers follow the web configuration file.
struct WebReload {
    path: std::path::PathBuf,
    security: Arc<ArcSwap<Security>>,
}

impl super::system::Reloadable for WebReload {
    fn reload(&self, _: &Settings, _: &config::Config) -> Result<(), String> {
        let config = WebConfig::load(&self.path).map_err(|error| error.to_string())?;
        let security = security(&config).map_err(|error| error.to_string())?;
        self.security.store(Arc::new(security));
        Ok(())
    }
}

/// Users and headers of a web configuration.
pub(super) fn security(config: &WebConfig) -> anyhow::Result<Security> {
    let user = |(name, hash): (&String, &config::Secret)| User {
        name: name.clone(),
        password_hash: hash.expose().to_owned(),
    };
    let header = |(name, value): (&String, &String)| -> anyhow::Result<_> {
        Ok((name.parse().with_context(|| format!("header {name:?}"))?, value.parse()?))
    };
    Ok(Security {
        users: config.basic_auth_users.iter().map(user).collect(),
        headers: config.http_server_config.headers.iter().map(header).collect::<Result<_, _>>()?,
    })
}

/// What the web configuration in the file at `path` says about TLS, if it is on.
pub fn tls_options(path: &Path, config: &WebConfig) -> Option<TlsOptions> {
    let tls = config.tls_server_config.as_ref()?;
    let pem = |inline: &str, file: &PathBuf| match inline {
        "" => Pem::File(config::root::path_seen_from(path, &file.to_string_lossy())),
        inline => Pem::Inline(inline.to_owned()),
    };
    let has_authorities = !tls.client_ca.is_empty() || !tls.client_ca_file.as_os_str().is_empty();
    let authorities = has_authorities.then(|| pem(&tls.client_ca, &tls.client_ca_file));
    let demand = match tls.client_auth_type {
        None | Some(ClientAuth::NoClientCert) => ClientDemand::Nothing,
        Some(ClientAuth::RequestClientCert) => ClientDemand::Request,
        Some(ClientAuth::RequireAnyClientCert | ClientAuth::RequireClientCert) => ClientDemand::RequireAny,
        Some(ClientAuth::VerifyClientCertIfGiven) => ClientDemand::VerifyIfGiven,
        Some(ClientAuth::RequireAndVerifyClientCert) => ClientDemand::RequireAndVerify,
    };
    let is_spoken = |version: TlsVersion| {
        tls.min_version.is_none_or(|min| version >= min) && tls.max_version.is_none_or(|max| version <= max)
    };
    Some(TlsOptions {
        clients: Clients { demand, authorities, allowed_names: tls.client_allowed_sans.clone() },
        tls12: is_spoken(TlsVersion::Tls12),
        tls13: is_spoken(TlsVersion::Tls13),
        cipher_suites: tls.cipher_suites.clone(),
        curves: tls.curve_preferences.clone(),
        http2: config.http_server_config.http2,
        ..TlsOptions::new(pem(&tls.cert, &tls.cert_file), pem(tls.key.expose(), &tls.key_file))
    })
}
