//! The Alertmanagers of one section of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{AlertmanagerConfig, ScrapeConfig};
use discovery::TargetGroup;
use discovery::group::ADDRESS;
use discovery::relabel::process;
use model::{Labels, LabelsBuilder};
use parking_lot::Mutex;

use super::queue::{Queue, Sending};
use super::{KnownAlertmanagers, Notification, relabelled};

const SCHEME: &str = "__scheme__";
const PATH: &str = "__alerts_path__";

/// Alertmanagers that are reached in the same way.
pub(super) struct Set {
    name: String,
    section: AlertmanagerConfig,
    sending: Arc<Sending>,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    /// In the order they were found.
    active: Vec<String>,
    dropped: Vec<String>,
    queues: BTreeMap<String, Queue>,
    /// What discovery found.
    found: Vec<TargetGroup>,
}

impl Set {
    /// The Alertmanagers of `section`, which discovery knows as `name`.
    pub fn new(name: String, section: AlertmanagerConfig, sending: Sending) -> Self {
        Self { name, section, sending: Arc::new(sending), members: Mutex::default() }
    }

    /// What discovery calls the set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What discovery is to find. It runs jobs, of which only this part counts.
    pub fn job(&self) -> Arc<ScrapeConfig> {
        Arc::new(ScrapeConfig {
            job_name: self.name.clone(),
            discovery: self.section.discovery.clone(),
            ..ScrapeConfig::default()
        })
    }

    /// Whether the set is that of `section`.
    pub fn is_of(&self, section: &AlertmanagerConfig) -> bool {
        self.section == *section
    }

    /// Takes over what discovery found for a set that is no more, where it would find the same: until it has answered
    /// anew, alerts are told.
    pub fn begin_as(&self, before: &Self) {
        if self.section.discovery == before.section.discovery {
            let found = before.members.lock().found.clone();
            self.follow(&found);
        }
    }

    /// Whether discovery looks at the same places for both.
    pub fn is_found_as(&self, section: &AlertmanagerConfig) -> bool {
        self.section.discovery == section.discovery
    }

    /// The number of Alertmanagers that are told.
    pub fn len(&self) -> usize {
        self.members.lock().active.len()
    }

    /// Starts queues for Alertmanagers that came, and ends those of Alertmanagers that went.
    pub fn follow(&self, groups: &[TargetGroup]) {
        let (mut active, mut dropped) = (Vec::new(), Vec::new());
        for labels in groups.iter().flat_map(TargetGroup::target_labels) {
            match self.endpoint(&labels) {
                Ok(Endpoint::Active(url)) if !active.contains(&url) => active.push(url),
                Ok(Endpoint::Active(_)) => {}
                Ok(Endpoint::Dropped(url)) => dropped.push(url),
                Err(problem) => tracing::error!(problem, "creating discovered Alertmanagers failed"),
            }
        }
        let mut members = self.members.lock();
        for url in &active {
            members.queues.entry(url.clone()).or_insert_with(|| Queue::start(url, &self.sending));
        }
        members.queues.retain(|url, queue| {
            let stays = active.contains(url);
            if !stays {
                queue.end();
            }
            stays
        });
        members.found = groups.to_vec();
        members.active = active;
        members.dropped = dropped;
    }

    /// Where alerts are posted to for a target.
    fn endpoint(&self, target: &Labels) -> Result<Endpoint, String> {
        let mut builder = LabelsBuilder::from_labels(target);
        builder.set(SCHEME, &self.section.scheme).set(PATH, &self.path());
        let before = url_of(&builder);
        if !process(&mut builder, &self.section.relabel_configs) {
            return Ok(Endpoint::Dropped(before));
        }
        let address = builder.get(ADDRESS).unwrap_or_default();
        if address.contains('/') {
            return Err(format!("{address:?} is not a valid hostname"));
        }
        Ok(Endpoint::Active(url_of(&builder)))
    }

    fn path(&self) -> String {
        let path = format!("/{}/api/{}/alerts", self.section.path_prefix, self.section.api_version);
        let steps = path.split('/').filter(|step| !step.is_empty() && *step != ".");
        steps.fold(String::new(), |path, step| format!("{path}/{step}"))
    }

    /// Queues alerts for all Alertmanagers of the set.
    pub fn send(&self, alerts: &[Arc<Notification>]) {
        let changed;
        let alerts = if self.section.alert_relabel_configs.is_empty() {
            alerts
        } else {
            let owned = alerts.iter().map(|alert| (**alert).clone()).collect();
            changed = relabelled(&self.section.alert_relabel_configs, &Labels::empty(), owned);
            &changed
        };
        if !alerts.is_empty() {
            self.members.lock().queues.values().for_each(|queue| queue.add(alerts));
        }
    }

    /// Adds the Alertmanagers to those known.
    pub fn add_known(&self, known: &mut KnownAlertmanagers) {
        let members = self.members.lock();
        known.active.extend(members.active.iter().cloned());
        known.dropped.extend(members.dropped.iter().cloned());
    }

    /// Asks all queues to end.
    pub fn end(&self) {
        self.members.lock().queues.values_mut().for_each(Queue::end);
    }

    /// Ends all queues, and waits for them.
    pub async fn stop(&self) {
        let queues = std::mem::take(&mut self.members.lock().queues);
        let mut ending = Vec::with_capacity(queues.len());
        for (_, mut queue) in queues {
            queue.end();
            ending.push(queue);
        }
        for queue in ending {
            queue.ended().await;
        }
    }
}

enum Endpoint {
    Active(String),
    Dropped(String),
}

fn url_of(labels: &LabelsBuilder) -> String {
    let of = |name: &str| labels.get(name).unwrap_or_default();
    format!("{}://{}{}", of(SCHEME), of(ADDRESS), of(PATH))
}
