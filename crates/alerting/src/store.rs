//! The alerts known, by fingerprint.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::alert::{Alert, Fingerprint};
use crate::annotations::SharedTexts;

/// How many alerts are taken; 0 for no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreLimits {
    /// In all.
    pub all: usize,
    /// Of one name.
    pub per_name: usize,
}

/// What was found out about an alert when its group was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unprocessed,
    Active,
    Suppressed,
}

#[derive(Debug)]
struct Known {
    alert: Arc<Alert>,
    mark: Mark,
}

/// How many alerts fire, by what was last found out about them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marked {
    /// Those that are told.
    pub active: usize,
    /// Those that are silenced or inhibited.
    pub suppressed: usize,
    /// Those whose groups have not been looked at yet.
    pub unprocessed: usize,
}

/// The alerts known. Nothing of it is kept on disk: who sends alerts sends them again.
#[derive(Debug, Default)]
pub struct AlertStore {
    alerts: HashMap<Fingerprint, Known>,
    texts: SharedTexts,
    limits: StoreLimits,
    per_name: BTreeMap<String, usize>,
    limited: u64,
}

impl AlertStore {
    /// An empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes an alert, merged with the one of its labels that is known. `None` when there are too many.
    pub fn put(&mut self, mut alert: Alert, now: Timestamp) -> Option<Arc<Alert>> {
        let fingerprint = alert.fingerprint();
        if let Some(known) = self.alerts.get_mut(&fingerprint) {
            self.texts.share(&mut alert, Some(&known.alert));
            let merged = if alert.overlaps(&known.alert) { known.alert.merge(&alert, now) } else { alert };
            known.alert = Arc::new(merged);
            return Some(known.alert.clone());
        }
        let of_name = self.per_name.get(alert.name()).copied().unwrap_or_default();
        let is_full = |limit: usize, count: usize| limit > 0 && count >= limit;
        if is_full(self.limits.per_name, of_name) || is_full(self.limits.all, self.alerts.len()) {
            self.limited += 1;
            return None;
        }
        *self.per_name.entry(alert.name().to_owned()).or_default() += 1;
        self.texts.share(&mut alert, None);
        let alert = Arc::new(alert);
        self.alerts.insert(fingerprint, Known { alert: alert.clone(), mark: Mark::Unprocessed });
        Some(alert)
    }

    /// Notes what was found out about an alert.
    pub fn mark(&mut self, fingerprint: Fingerprint, suppressed: bool) {
        if let Some(known) = self.alerts.get_mut(&fingerprint) {
            known.mark = if suppressed { Mark::Suppressed } else { Mark::Active };
        }
    }

    /// How many alerts fire, by what was last found out about them.
    pub fn marked(&self, now: Timestamp) -> Marked {
        let mut marked = Marked::default();
        for known in self.alerts.values().filter(|known| !known.alert.is_resolved(now)) {
            *match known.mark {
                Mark::Active => &mut marked.active,
                Mark::Suppressed => &mut marked.suppressed,
                Mark::Unprocessed => &mut marked.unprocessed,
            } += 1;
        }
        marked
    }

    /// The alert of a fingerprint.
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&Arc<Alert>> {
        self.alerts.get(&fingerprint).map(|known| &known.alert)
    }

    /// All alerts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.alerts.values().map(|known| &known.alert)
    }

    /// Number of alerts.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// The limits.
    pub fn limits(&self) -> StoreLimits {
        self.limits
    }

    /// How many alerts were refused because there were too many.
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Forgets resolved alerts. Groups keep those they have yet to tell about.
    pub fn forget_resolved(&mut self, now: Timestamp) -> Vec<Arc<Alert>> {
        // What was forgotten the last time is dropped by now.
        self.texts.forget_unused();
        let gone: Vec<Arc<Alert>> = self
            .alerts
            .extract_if(|_, known| known.alert.is_resolved(now))
            .map(|(_, known)| known.alert)
            .collect();
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
