//! The silences that alerts are matched against, found by the labels of an alert.

use std::collections::HashMap;
use std::sync::Arc;

use config::alertmanager::Matcher;
use jiff::Timestamp;
use model::Labels;
use model::matcher::MatchOp;

use super::{Silence, SilenceState};

/// Silences that are not expired. Most ask for one value of one label and are found by it; only the others are
/// tried on each alert.
#[derive(Debug, Clone, Default)]
pub struct LiveSilences {
    /// By name, then value.
    by_label: HashMap<String, HashMap<String, Vec<Arc<Silence>>>>,
    others: Vec<Arc<Silence>>,
}

/// For each set of matchers the one that asks for a value; `None` when a set has none.
fn demands(silence: &Silence) -> Option<Vec<&Matcher>> {
    let demand = |set: &'_ Vec<Matcher>| {
        set.iter().position(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty())
    };
    silence.matcher_sets.iter().map(|set| demand(set).map(|at| &set[at])).collect()
}

impl LiveSilences {
    pub(super) fn add(&mut self, silence: &Arc<Silence>) {
        match demands(silence) {
            None => self.others.push(silence.clone()),
            Some(demands) => {
                for matcher in demands {
                    let values = self.by_label.entry(matcher.name.clone()).or_default();
                    values.entry(matcher.value.clone()).or_default().push(silence.clone());
                }
            }
        }
    }

    pub(super) fn remove(&mut self, silence: &Silence) {
        let Some(demands) = demands(silence) else {
            return self.others.retain(|other| other.id != silence.id);
        };
        for matcher in demands {
            let Some(values) = self.by_label.get_mut(&matcher.name) else { continue };
            if let Some(found) = values.get_mut(&matcher.value) {
                found.retain(|other| other.id != silence.id);
                if found.is_empty() {
                    values.remove(&matcher.value);
                }
            }
            if values.is_empty() {
                self.by_label.remove(&matcher.name);
            }
        }
    }

    /// Those that have expired.
    pub(super) fn expired(&self, now: Timestamp) -> Vec<Arc<Silence>> {
        let by_label = self.by_label.values().flat_map(HashMap::values).flatten();
        let all = by_label.chain(&self.others);
        all.filter(|silence| silence.state(now) == SilenceState::Expired).cloned().collect()
    }

    /// The active silences an alert of these labels satisfies; one may come twice.
    fn matching<'s>(&'s self, labels: &'s Labels, now: Timestamp) -> impl Iterator<Item = &'s Arc<Silence>> {
        let demanded =
            labels.iter().filter_map(|(name, value)| self.by_label.get(name)?.get(value)).flatten();
        demanded
            .chain(&self.others)
            .filter(move |silence| silence.state(now) == SilenceState::Active && silence.matches(labels))
    }

    /// Whether an alert of these labels is silenced.
    pub fn is_silenced(&self, labels: &Labels, now: Timestamp) -> bool {
        self.matching(labels, now).next().is_some()
    }

    /// Ids of the active silences an alert of these labels satisfies, sorted.
    pub fn silencing(&self, labels: &Labels, now: Timestamp) -> Vec<String> {
        let mut ids: Vec<String> = self.matching(labels, now).map(|silence| silence.id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
