//! Which rules of a group must wait for others.
//!
//! Rules evaluated at once must give what they give one after the other. So a rule waits for every earlier rule
//! whose output it reads, and for every earlier rule that reads its own output: that one is to see what there
//! was before.

use model::{METRIC_NAME, Matcher};

use crate::alert::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE};
use crate::rule::{Kind, Rule};

/// Indices of rules that may be evaluated at once; the batches follow each other.
pub(crate) type Batches = Vec<Vec<usize>>;

/// The batches of a group.
pub(crate) fn batches<R: AsRef<Rule>>(rules: &[R]) -> Batches {
    let rules: Vec<&Rule> = rules.iter().map(AsRef::as_ref).collect();
    // A selector without a name may read anything.
    if rules.iter().any(|rule| rule.expression.selectors.iter().any(|s| name_matcher(s).is_none())) {
        return (0..rules.len()).map(|i| vec![i]).collect();
    }
    let mut levels: Vec<usize> = Vec::with_capacity(rules.len());
    for (i, rule) in rules.iter().enumerate() {
        let waits_for = |earlier: &&usize| reads(rule, rules[**earlier]) || reads(rules[**earlier], rule);
        let earlier: Vec<usize> = (0..i).collect();
        let level = earlier.iter().filter(waits_for).map(|&at| levels[at] + 1).max().unwrap_or(0);
        levels.push(level);
    }
    let mut batches = vec![Vec::new(); levels.iter().max().map_or(0, |max| max + 1)];
    levels.iter().enumerate().for_each(|(i, &level)| batches[level].push(i));
    batches
}

fn name_matcher(selector: &[Matcher]) -> Option<&Matcher> {
    selector.iter().find(|matcher| matcher.name == METRIC_NAME)
}

/// Whether `reader` may read what `writer` writes.
fn reads(reader: &Rule, writer: &Rule) -> bool {
    reader.expression.selectors.iter().any(|selector| {
        let Some(name) = name_matcher(selector) else { return true };
        match writer.kind {
            Kind::Recording => name.matches(&writer.name),
            Kind::Alerting(_) => {
                let alert = selector.iter().find(|matcher| matcher.name == ALERT_NAME);
                (name.matches(ALERTS) || name.matches(ALERTS_FOR_STATE))
                    && alert.is_none_or(|alert| alert.matches(&writer.name))
            }
        }
    })
}
