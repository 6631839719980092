//! Delivery of alerts to Alertmanagers.
//!
//! Each Alertmanager has a queue and a task of its own, so that one that is dead or slow holds up nobody: its
//! queue loses the oldest alerts, which are told again as long as they fire. In reading order: this file (from
//! alerts to all sets of Alertmanagers), `set` (the Alertmanagers of one section of the configuration), `queue` (one
//! Alertmanager), `wire` (what is sent), `metrics`.

mod metrics;
mod queue;
mod set;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::clock::SharedClock;
use base::metrics::Registry;
use config::{AlertmanagerConfig, Config, RelabelConfig};
use discovery::metrics::Metrics as DiscoveryMetrics;
use discovery::relabel::process;
use model::{Labels, LabelsBuilder};
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::alert::{Alert, Annotations};
use crate::group::AlertSink;
use crate::template::table_link;
use metrics::NotifyMetrics;
use queue::Sending;
use set::Set;

/// Settings of delivery; names are those of the flags.
#[derive(Debug, Clone)]
pub struct NotifyOptions {
    /// Alerts that may wait for one Alertmanager.
    pub queue_capacity: usize,
    /// The most alerts of one request.
    pub max_batch_size: usize,
    /// Whether what waits is sent before the end.
    pub drain_on_shutdown: bool,
    /// Where users reach this server.
    pub external_url: String,
}

/// An alert on its way. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// What identifies it.
    pub labels: Labels,
    /// What is told with it.
    pub annotations: Annotations,
    /// Since when it fires.
    pub starts_at_ms: i64,
    /// When it ended, or until when it counts as firing if nothing more is heard of it.
    pub ends_at_ms: i64,
    /// Where its expression can be looked at.
    pub generator_url: String,
}

/// Delivers alerts. Clones share it.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    options: NotifyOptions,
    shared: Arc<Shared>,
    discovery: discovery::Manager,
    following: JoinHandle<()>,
    runtime: Handle,
    clock: SharedClock,
    /// The number of the next set: what one found must never be taken for another's.
    next_set: AtomicUsize,
}

/// What the task that follows discovery shares.
struct Shared {
    state: RwLock<State>,
    metrics: NotifyMetrics,
}

#[derive(Default)]
struct State {
    sets: Vec<Arc<Set>>,
    external_labels: Labels,
    relabel: Vec<RelabelConfig>,
    stopped: bool,
}

/// The Alertmanagers that are told, and those that relabelling dropped, as URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownAlertmanagers {
    /// Those that are told.
    pub active: Vec<String>,
    /// Those that are not.
    pub dropped: Vec<String>,
}

impl Notifier {
    /// Delivers nothing until a configuration is applied. Must be called within a tokio runtime.
    pub fn new(
        options: NotifyOptions,
        clock: SharedClock,
        discovery_metrics: DiscoveryMetrics,
        registry: &Registry,
    ) -> Self {
        let pause = discovery::manager::LONGEST_PAUSE;
        let discovery = discovery::Manager::new(discovery_metrics, clock.clone(), pause);
        let metrics = NotifyMetrics::new(registry, options.queue_capacity);
        let shared = Arc::new(Shared { state: RwLock::default(), metrics });
        let follower = shared.clone();
        let mut groups = discovery.groups();
        let following = tokio::spawn(async move {
            // The sender lives as long as the notifier.
            while groups.changed().await.is_ok() {
                let found = groups.borrow_and_update().clone();
                follower.follow(&found);
            }
        });
        let runtime = Handle::current();
        let next_set = AtomicUsize::new(0);
        Self(Arc::new(Inner { options, shared, discovery, following, runtime, clock, next_set }))
    }

    /// Makes the Alertmanagers those of `config`. Sets whose section did not change keep their queues.
    pub fn apply(&self, config: &Config) -> Result<(), String> {
        let inner = &self.0;
        let _runtime = inner.runtime.enter();
        let alerting = &config.file.alerting;
        let mut old = inner.shared.state.read().sets.clone();
        let mut sets = Vec::with_capacity(alerting.alertmanagers.len());
        for section in &alerting.alertmanagers {
            let kept = old.iter().position(|set| set.is_of(section)).map(|at| old.swap_remove(at));
            sets.push(match kept {
                Some(kept) => kept,
                None => {
                    let set = Arc::new(self.set(section)?);
                    if let Some(before) = old.iter().find(|set| set.is_found_as(section)) {
                        set.begin_as(before);
                    }
                    set
                }
            });
        }
        let jobs: Vec<_> = sets.iter().map(|set| set.job()).collect();
        {
            let mut state = inner.shared.state.write();
            state.sets = sets;
            state.external_labels = config.external_labels.clone();
            state.relabel = alerting.alert_relabel_configs.clone();
        }
        old.iter().for_each(|gone| gone.end());
        inner.discovery.apply(&jobs);
        inner.shared.count();
        Ok(())
    }

    fn set(&self, section: &AlertmanagerConfig) -> Result<Set, String> {
        let inner = &self.0;
        let client = httpclient::Client::new(&section.http, inner.clock.clone());
        let client = client.map_err(|error| error.to_string())?;
        let (options, metrics) = (inner.options.clone(), inner.shared.metrics.clone());
        let name = format!("config-{}", inner.next_set.fetch_add(1, Ordering::Relaxed));
        let sending =
            Sending { client, timeout: section.timeout.get(), options, metrics, clock: inner.clock.clone() };
        Ok(Set::new(name, section.clone(), sending))
    }

    /// Queues alerts for all Alertmanagers.
    pub fn notify(&self, alerts: Vec<Notification>) {
        let state = self.0.shared.state.read();
        if state.stopped {
            return;
        }
        let alerts = relabelled(&state.relabel, &state.external_labels, alerts);
        if !alerts.is_empty() {
            state.sets.iter().for_each(|set| set.send(&alerts));
        }
    }

    /// The Alertmanagers, in the order of the configuration.
    pub fn alertmanagers(&self) -> KnownAlertmanagers {
        let mut known = KnownAlertmanagers::default();
        for set in &self.0.shared.state.read().sets {
            set.add_known(&mut known);
        }
        known
    }

    /// Ends delivery; with `drain_on_shutdown`, after what waits was sent or has failed.
    pub async fn stop(&self) {
        let sets = {
            let mut state = self.0.shared.state.write();
            state.stopped = true;
            std::mem::take(&mut state.sets)
        };
        self.0.following.abort();
        sets.iter().for_each(|set| set.end());
        for set in sets {
            set.stop().await;
        }
    }
}

/// The path below the server's URL at which an expression can be looked at.
pub type Link = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A [`Notifier`] for rules whose expressions are looked at elsewhere than those of metrics.
#[derive(Clone)]
pub struct LinkingTo {
    notifier: Notifier,
    link: Link,
}

impl AlertSink for LinkingTo {
    fn send(&self, expression: &str, alerts: Vec<Alert>) {
        self.notifier.send_linking_to(&(self.link)(expression), alerts);
    }
}

impl AlertSink for Notifier {
    fn send(&self, expression: &str, alerts: Vec<Alert>) {
        self.send_linking_to(&table_link(expression), alerts);
    }
}

impl Notifier {
    /// The same way to the Alertmanagers, with other links in alerts.
    pub fn linking_to(&self, link: Link) -> LinkingTo {
        LinkingTo { notifier: self.clone(), link }
    }

    fn send_linking_to(&self, path: &str, alerts: Vec<Alert>) {
        let external_url = self.0.options.external_url.trim_end_matches('/');
        let generator_url = format!("{external_url}{path}");
        let notification = |alert: Alert| Notification {
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
            ends_at_ms: alert.resolved_at_ms.unwrap_or(alert.valid_until_ms),
            generator_url: generator_url.clone(),
        };
        self.notify(alerts.into_iter().map(notification).collect());
    }
}

impl Shared {
    /// Brings all sets up to date with what discovery found.
    fn follow(&self, found: &discovery::Groups) {
        let state = self.state.read();
        for set in &state.sets {
            if let Some(groups) = found.get(set.name()) {
                set.follow(groups);
            }
        }
        drop(state);
        self.count();
    }

    fn count(&self) {
        self.metrics.set_discovered(self.state.read().sets.iter().map(|set| set.len()).sum());
    }
}

/// Alerts with `external` labels where they have none of the name, after relabelling.
fn relabelled(
    rules: &[RelabelConfig],
    external: &Labels,
    alerts: Vec<Notification>,
) -> Vec<Arc<Notification>> {
    let keep = |mut alert: Notification| {
        if rules.is_empty() && external.is_empty() {
            return Some(Arc::new(alert));
        }
        let mut builder = LabelsBuilder::from_labels(&alert.labels);
        for (name, value) in external {
            if alert.labels.get(name).is_none() {
                builder.set(name, value);
            }
        }
        if !process(&mut builder, rules) {
            return None;
        }
        alert.labels = builder.build();
        Some(Arc::new(alert))
    };
    alerts.into_iter().filter_map(keep).collect()
}
