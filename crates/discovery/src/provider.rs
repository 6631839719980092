//! One source of target groups.

use std::time::Duration;

use base::clock::SharedClock;
use config::{DnsSd, FileSd, HttpSd, ServiceDiscovery, StaticGroup};
use tokio::sync::mpsc;

use crate::metrics::Metrics;
use crate::{TargetGroup, dns, file, http};

/// Why a provider has no new groups; those it had before stay.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DiscoveryError(pub String);

/// The settings of one provider. Equal settings mean that a running provider need not be restarted.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderConfig {
    /// Targets listed in the configuration.
    Static(Vec<StaticGroup>),
    /// Targets listed in files.
    File(FileSd),
    /// Targets listed by an HTTP server.
    Http(Box<HttpSd>),
    /// Targets found by DNS queries.
    Dns(DnsSd),
}

impl ProviderConfig {
    /// The providers of one job.
    pub fn of_job(discovery: &ServiceDiscovery) -> Vec<Self> {
        let mut all = Vec::new();
        if !discovery.static_configs.is_empty() {
            all.push(Self::Static(discovery.static_configs.clone()));
        }
        all.extend(discovery.file_sd_configs.iter().cloned().map(Self::File));
        all.extend(discovery.http_sd_configs.iter().cloned().map(|http| Self::Http(Box::new(http))));
        all.extend(discovery.dns_sd_configs.iter().cloned().map(Self::Dns));
        all
    }

    /// The mechanism's name, in messages.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::File(_) => "file",
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
        }
    }
}

/// Where a provider puts all its groups, each time they may have changed.
pub type Updates = mpsc::Sender<Vec<TargetGroup>>;

/// What a running provider works with.
#[derive(Debug)]
pub(crate) struct Session<'s> {
    /// The job, for metrics and messages.
    pub(crate) job: &'s str,
    /// Where groups go.
    pub(crate) updates: &'s Updates,
    pub(crate) metrics: &'s Metrics,
}

/// Runs a provider of `job` until the receiver of its updates is gone.
pub async fn run(
    config: ProviderConfig,
    job: String,
    updates: Updates,
    metrics: Metrics,
    clock: SharedClock,
) {
    let session = Session { job: &job, updates: &updates, metrics: &metrics };
    let outcome = match &config {
        ProviderConfig::Static(groups) => {
            let _ = updates.send(static_groups(groups)).await;
            return;
        }
        ProviderConfig::File(settings) => {
            file::run(settings, &session, &clock).await;
            return;
        }
        ProviderConfig::Http(settings) => http::run(settings, &session, &clock).await,
        ProviderConfig::Dns(settings) => dns::run(settings, &session, &clock).await,
    };
    if let Err(error) = outcome {
        metrics.failed_configs.add(1.0);
        tracing::error!(mechanism = config.mechanism(), job, %error, "cannot create service discovery");
    }
}

fn static_groups(groups: &[StaticGroup]) -> Vec<TargetGroup> {
    let group = |(i, group): (usize, &StaticGroup)| {
        TargetGroup::of_addresses(i.to_string(), group.labels.to_labels(), &group.targets)
    };
    groups.iter().enumerate().map(group).collect()
}

/// Finds all groups anew each time it is asked.
pub(crate) trait Refresh: Send {
    /// All groups as they are now; an error keeps those found before.
    fn refresh(&mut self) -> impl Future<Output = Result<Vec<TargetGroup>, DiscoveryError>> + Send;
}

/// Asks for the groups now and every `interval`, until nobody listens any more.
pub(crate) async fn refresh_every(
    interval: Duration,
    session: &Session<'_>,
    mechanism: &'static str,
    clock: &SharedClock,
    mut provider: impl Refresh,
) {
    let Session { job, updates, metrics } = session;
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = updates.closed() => return,
        }
        let began = clock.monotonic();
        let refreshed = provider.refresh().await;
        metrics.refreshed(mechanism, job, clock.monotonic().saturating_sub(began), refreshed.is_ok());
        match refreshed {
            Ok(groups) => {
                if updates.send(groups).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!(mechanism, job, %error, "unable to refresh target groups"),
        }
    }
}
