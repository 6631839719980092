//! Which rules of a group must wait for others.
//!
//! Rules evaluated at once must give what they give one after the other. So a rule waits for every earlier rule
//! whose output it reads, for every earlier rule that reads its own output (that one is to see what there was
//! before), and for every earlier rule that writes under the same name (of equal series the first one holds).

use std::collections::HashMap;

use model::{METRIC_NAME, MatchOp, Matcher};

use crate::alert::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE};
use crate::rule::{Kind, Rule};

/// Indices of rules that may be evaluated at once; the batches follow each other.
pub(crate) type Batches = Vec<Vec<usize>>;

/// The batches of a group.
pub(crate) fn batches<R: AsRef<Rule>>(rules: &[R]) -> Batches {
    let rules: Vec<&Rule> = rules.iter().map(AsRef::as_ref).collect();
    // A selector without a name may read anything.
    if rules.iter().any(|rule| rule.expression.selectors.iter().any(|s| matcher(s, METRIC_NAME).is_none())) {
        return (0..rules.len()).map(|i| vec![i]).collect();
    }
    let mut seen = Seen::default();
    let mut batches: Batches = Vec::new();
    for (i, rule) in rules.iter().enumerate() {
        let level = seen.level(rule);
        seen.add(rule, level);
        if batches.len() <= level {
            batches.resize_with(level + 1, Vec::new);
        }
        batches[level].push(i);
    }
    batches
}

fn matcher<'s>(selector: &'s [Matcher], label: &str) -> Option<&'s Matcher> {
    selector.iter().find(|matcher| matcher.name == label)
}

/// A level that is free after all that were noted.
#[derive(Debug, Clone, Copy, Default)]
struct Free(usize);

impl Free {
    fn after(&mut self, level: usize) {
        self.0 = self.0.max(level + 1);
    }
}

/// Earlier rules by what they write and read: groups may have tens of thousands of rules, so nothing looks at all
/// pairs. Conditions that are no equality are kept once each, however many rules have them.
#[derive(Default)]
struct Seen<'r> {
    records: Side<'r>,
    alerts: Side<'r>,
}

/// What earlier rules write and read of one kind: names of metrics that are recorded, or names of alerts.
#[derive(Default)]
struct Side<'r> {
    /// By the name that is written.
    writers: HashMap<&'r str, Free>,
    /// By the one name that is read.
    readers: HashMap<&'r str, Free>,
    /// Readers of whatever fulfils a condition.
    choosers: HashMap<(MatchOp, &'r str), (&'r Matcher, Free)>,
    /// Readers of everything.
    readers_of_all: Free,
}

impl<'r> Side<'r> {
    /// The level of one that reads what `wanted` allows; `None` allows all.
    fn after_writers(&self, wanted: Option<&Matcher>) -> usize {
        let all = |allows: &dyn Fn(&str) -> bool| {
            let allowed = self.writers.iter().filter(|(name, _)| allows(name));
            allowed.map(|(_, free)| free.0).max().unwrap_or(0)
        };
        match wanted {
            None => all(&|_| true),
            Some(one) if one.op == MatchOp::Equal => {
                self.writers.get(one.value.as_str()).map_or(0, |free| free.0)
            }
            Some(some) => all(&|name| some.matches(name)),
        }
    }

    /// The level of one that writes under `name`.
    fn after_all_about(&self, name: &str) -> usize {
        let named = [&self.writers, &self.readers].map(|by_name| by_name.get(name).map_or(0, |free| free.0));
        let chosen = self.choosers.values().filter(|(matcher, _)| matcher.matches(name));
        let chosen = chosen.map(|(_, free)| free.0).max().unwrap_or(0);
        named[0].max(named[1]).max(chosen).max(self.readers_of_all.0)
    }

    fn add_reader(&mut self, wanted: Option<&'r Matcher>, level: usize) {
        match wanted {
            None => self.readers_of_all.after(level),
            Some(one) if one.op == MatchOp::Equal => {
                self.readers.entry(&one.value).or_default().after(level);
            }
            Some(some) => {
                let known = self.choosers.entry((some.op, &some.value));
                known.or_insert((some, Free::default())).1.after(level);
            }
        }
    }
}

impl<'r> Seen<'r> {
    /// The first batch a rule may be in.
    fn level(&self, rule: &Rule) -> usize {
        let read = rule.expression.selectors.iter().map(|selector| {
            let records = self.records.after_writers(matcher(selector, METRIC_NAME));
            let alerts = match reads_alerts(selector) {
                true => self.alerts.after_writers(matcher(selector, ALERT_NAME)),
                false => 0,
            };
            records.max(alerts)
        });
        let written = match rule.kind {
            Kind::Recording => self.records.after_all_about(&rule.name),
            Kind::Alerting(_) => self.alerts.after_all_about(&rule.name),
        };
        read.max().unwrap_or(0).max(written)
    }

    fn add(&mut self, rule: &'r Rule, level: usize) {
        for selector in &rule.expression.selectors {
            self.records.add_reader(matcher(selector, METRIC_NAME), level);
            if reads_alerts(selector) {
                self.alerts.add_reader(matcher(selector, ALERT_NAME), level);
            }
        }
        let side = match rule.kind {
            Kind::Recording => &mut self.records,
            Kind::Alerting(_) => &mut self.alerts,
        };
        side.writers.entry(&rule.name).or_default().after(level);
    }
}

/// Whether a selector may read what alerting rules write.
fn reads_alerts(selector: &[Matcher]) -> bool {
    matcher(selector, METRIC_NAME).is_none_or(|name| name.matches(ALERTS) || name.matches(ALERTS_FOR_STATE))
}
