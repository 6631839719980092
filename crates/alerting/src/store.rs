//! The alerts known, by fingerprint.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::alert::{Alert, Fingerprint};

/// The alerts known. Nothing of it is kept on disk: who sends alerts sends them again.
#[derive(Debug, Default)]
pub struct AlertStore {
    alerts: HashMap<Fingerprint, Arc<Alert>>,
    /// How many alerts of one name are taken; 0 for no limit.
    limit_per_name: usize,
    per_name: BTreeMap<String, usize>,
    limited: u64,
}

impl AlertStore {
    /// An empty store that takes at most `limit_per_name` alerts of one name; 0 for no limit.
    pub fn new(limit_per_name: usize) -> Self {
        Self { limit_per_name, ..Self::default() }
    }

    /// Takes an alert, merged with the one of its labels that is known. `None` when there are too many of its
    /// name.
    pub fn put(&mut self, alert: Alert, now: Timestamp) -> Option<Arc<Alert>> {
        let fingerprint = alert.fingerprint();
        let merged = match self.alerts.get(&fingerprint) {
            Some(known) if alert.overlaps(known) => known.merge(&alert, now),
            Some(_) => alert,
            None => {
                let count = self.per_name.entry(alert.name().to_owned()).or_default();
                if self.limit_per_name > 0 && *count >= self.limit_per_name {
                    self.limited += 1;
                    return None;
                }
                *count += 1;
                alert
            }
        };
        let merged = Arc::new(merged);
        self.alerts.insert(fingerprint, merged.clone());
        Some(merged)
    }

    /// The alert of a fingerprint.
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&Arc<Alert>> {
        self.alerts.get(&fingerprint)
    }

    /// All alerts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.alerts.values()
    }

    /// Number of alerts.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// How many alerts were refused because there were too many of their name.
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Forgets resolved alerts. Groups keep those they have yet to tell about.
    pub fn forget_resolved(&mut self, now: Timestamp) -> Vec<Arc<Alert>> {
        let mut gone = Vec::new();
        self.alerts.retain(|_, alert| {
            let resolved = alert.is_resolved(now);
            if resolved {
                gone.push(alert.clone());
            }
            !resolved
        });
        for alert in &gone {
            if let Some(count) = self.per_name.get_mut(alert.name()) {
                *count -= 1;
                if *count == 0 {
                    self.per_name.remove(alert.name());
                }
            }
        }
        gone
    }
}
