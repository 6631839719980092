//! Inhibition: alerts that are not told because a graver one fires.

use std::collections::HashMap;
use std::sync::Arc;

use config::alertmanager::{InhibitRule, Matchers};
use jiff::Timestamp;
use model::Labels;

use crate::alert::{Alert, Fingerprint};

/// The rules, each with the alerts that satisfy its source.
#[derive(Debug, Clone, Default)]
pub struct Inhibitor {
    /// A copy shares them until one changes.
    rules: Vec<Arc<Rule>>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    source: Matchers,
    target: Matchers,
    equal: Vec<String>,
    /// Alerts of the source by the values of the labels that must be equal, so that a target finds its sources
    /// without looking at all.
    sources: HashMap<Labels, HashMap<Fingerprint, Arc<Alert>>>,
}

/// Why an alert is inhibited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhibition {
    /// The name of the rule, or its number when it has none.
    pub rule: String,
    /// The alert that inhibits.
    pub source: Fingerprint,
}

fn matches(matchers: &Matchers, labels: &Labels) -> bool {
    matchers.matches(|name| labels.get_or_empty(name))
}

impl Rule {
    fn key(&self, labels: &Labels) -> Labels {
        labels.keep(&self.equal)
    }

    fn forget(&mut self, key: &Labels, alert: Fingerprint) {
        if let Some(sources) = self.sources.get_mut(key) {
            sources.remove(&alert);
            if sources.is_empty() {
                self.sources.remove(key);
            }
        }
    }
}

impl Inhibitor {
    /// The rules of a configuration, without any alerts.
    pub fn new(rules: &[InhibitRule]) -> Self {
        let rule = |(i, rule): (usize, &InhibitRule)| {
            Arc::new(Rule {
                name: if rule.name.is_empty() { format!("#{}", i + 1) } else { rule.name.clone() },
                source: rule.source(),
                target: rule.target(),
                equal: rule.equal.clone(),
                sources: HashMap::new(),
            })
        };
        Self { rules: rules.iter().enumerate().map(rule).collect() }
    }

    /// Takes note of an alert.
    pub fn observe(&mut self, alert: &Arc<Alert>) {
        for rule in &mut self.rules {
            if matches(&rule.source, &alert.labels) {
                let key = rule.key(&alert.labels);
                Arc::make_mut(rule)
                    .sources
                    .entry(key)
                    .or_default()
                    .insert(alert.fingerprint(), alert.clone());
            }
        }
    }

    /// Forgets alerts.
    pub fn forget(&mut self, alerts: &[Arc<Alert>]) {
        for rule in &mut self.rules {
            for alert in alerts {
                let key = rule.key(&alert.labels);
                if rule.sources.get(&key).is_some_and(|sources| sources.contains_key(&alert.fingerprint())) {
                    Arc::make_mut(rule).forget(&key, alert.fingerprint());
                }
            }
        }
    }

    /// Whether, and why, an alert of these labels is inhibited.
    ///
    /// An alert that satisfies both sides of a rule cannot be inhibited by another that does: such alerts would
    /// silence each other.
    pub fn inhibits(&self, labels: &Labels, now: Timestamp) -> Option<Inhibition> {
        self.rules.iter().filter(|rule| matches(&rule.target, labels)).find_map(|rule| {
            let both_sides = matches(&rule.source, labels);
            let sources = rule.sources.get(&rule.key(labels))?;
            let inhibits = |source: &&Arc<Alert>| {
                !(source.is_resolved(now) || both_sides && matches(&rule.target, &source.labels))
            };
            // The one that lasts longest, so that the answer is the same each time.
            let source = sources
                .values()
                .filter(inhibits)
                .max_by_key(|source| (source.ends_at, source.fingerprint()))?;
            Some(Inhibition { rule: rule.name.clone(), source: source.fingerprint() })
        })
    }
}

#[cfg(test)]
mod tests;
