//! The routing tree and the inhibition rules.

use std::collections::BTreeMap;

use model::labels::{Quoted, is_legacy_label_name};
use model::matcher::MatchOp;

use super::matchers::{Matcher, Matchers, is_valid_name};
use crate::decode::{At, Cx, Setting, scalar_text};
use crate::error::Fault;
use crate::scalar::PromDuration;
use crate::section::{Check, Shape, section};
use crate::yaml::{Node, Out};

section! {
    /// A node of the routing tree. What is absent is as in the node above.
    pub struct Route ("route", "config.plain") {
        /// The receiver alerts are sent to.
        set receiver: String;
        /// The labels whose values make a group; `...` for all of them.
        set group_by: Option<Vec<String>>;
        /// Deprecated: labels and the values they must have; use `matchers`.
        set r#match: BTreeMap<String, String>;
        /// Deprecated: labels and the patterns they must match; use `matchers`.
        set match_re: Patterns;
        /// What an alert must satisfy to get here.
        set matchers: Matchers;
        /// Time intervals in which nothing is sent.
        set mute_time_intervals: Vec<String>;
        /// The only time intervals in which something is sent.
        set active_time_intervals: Vec<String>;
        /// Whether an alert that matched here is offered to the next sibling too.
        always r#continue: bool;
        /// The nodes below, tried in order.
        set routes: Vec<Route>;
        /// How long to wait for more alerts before the first notification of a group.
        set group_wait: Option<PromDuration>;
        /// How long to wait before a notification on changes of a group.
        set group_interval: Option<PromDuration>;
        /// How long to wait before a notification is repeated.
        set repeat_interval: Option<PromDuration>;
        /// Labels of the route, for templates; values may be templates.
        set labels: BTreeMap<String, String>;
    }
}

section! {
    /// Alerts that match the target are not sent while one that matches the source fires.
    pub struct InhibitRule ("inhibit rule", "config.plain") {
        /// A name for messages and metrics.
        set name: String;
        /// Deprecated: use `source_matchers`.
        set source_match: BTreeMap<String, String>;
        /// Deprecated: use `source_matchers`.
        set source_match_re: Patterns;
        /// What an alert must satisfy to inhibit others.
        set source_matchers: Matchers;
        /// Deprecated: use `target_matchers`.
        set target_match: BTreeMap<String, String>;
        /// Deprecated: use `target_matchers`.
        set target_match_re: Patterns;
        /// What an alert must satisfy to be inhibited.
        set target_matchers: Matchers;
        /// Labels that must have the same values in both.
        set equal: Vec<String>;
    }
}

/// Labels and the patterns they must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns(pub BTreeMap<String, String>);

impl Setting for Patterns {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let mut patterns = BTreeMap::<String, String>::decode(node, cx)?;
        for (key, value) in node.entries() {
            let name = scalar_text(key, "string")?;
            if !is_legacy_label_name(name) {
                let message = format!("invalid label name {}", Quoted(name));
                return Err(Fault::new(key.pos, message).remedy("use matchers, which take any name"));
            }
            if value.is_null() {
                let message = format!("invalid regexp value for {}", Quoted(name));
                return Err(Fault::new(key.pos, message).remedy("write a pattern"));
            }
            let pattern = patterns.get(name).cloned().unwrap_or_default();
            Matcher::new(MatchOp::Regex, name, &pattern)
                .map_err(|message| Fault::new(value.pos, message).remedy("correct the pattern"))?;
            patterns.insert(name.to_owned(), pattern);
        }
        Ok(Self(patterns))
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Out {
        self.0.emit()
    }

    fn shape() -> Shape {
        Shape::Scalar("map of name to pattern")
    }
}

/// Old and new conditions as one sorted list.
fn joined(equal: &BTreeMap<String, String>, patterns: &Patterns, matchers: &Matchers) -> Matchers {
    let mut all: Vec<Matcher> = equal.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    // Patterns that do not compile were refused when the file was read.
    all.extend(patterns.0.iter().filter_map(|(name, value)| Matcher::new(MatchOp::Regex, name, value).ok()));
    all.extend(matchers.0.iter().cloned());
    all.sort();
    Matchers(all)
}

fn check_match(at: At<'_>, key: &str) -> Result<(), Fault> {
    for (name, _) in at.value(key).map_or(&[][..], Node::entries) {
        let text = name.text().unwrap_or_default();
        if !is_legacy_label_name(text) {
            let message = format!("invalid label name {}", Quoted(text));
            return Err(Fault::new(name.pos, message).remedy("use matchers, which take any name"));
        }
    }
    Ok(())
}

impl Route {
    /// Whether alerts are grouped by all their labels.
    pub fn groups_by_all(&self) -> bool {
        self.group_by.as_ref().is_some_and(|names| names.iter().any(|name| name == "..."))
    }

    /// What an alert must satisfy, old and new notation joined, sorted.
    pub fn all_matchers(&self) -> Matchers {
        joined(&self.r#match, &self.match_re, &self.matchers)
    }
}

impl InhibitRule {
    /// What an alert must satisfy to inhibit others, old and new notation joined.
    pub fn source(&self) -> Matchers {
        joined(&self.source_match, &self.source_match_re, &self.source_matchers)
    }

    /// What an alert must satisfy to be inhibited, old and new notation joined.
    pub fn target(&self) -> Matchers {
        joined(&self.target_match, &self.target_match_re, &self.target_matchers)
    }
}

impl Check for Route {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        check_match(at, "match")?;
        let mode = cx.matcher_mode();
        for (name, _) in at.value("labels").map_or(&[][..], Node::entries) {
            let text = name.text().unwrap_or_default();
            if !is_valid_name(text, mode) {
                let message = format!("invalid label name {} in route labels", Quoted(text));
                return Err(Fault::new(name.pos, message).remedy("write the name of a label"));
            }
        }
        let all = self.groups_by_all();
        let mut seen: Vec<&str> = Vec::new();
        for item in at.items("group_by") {
            let name = item.text().unwrap_or_default();
            if name == "..." {
                continue;
            }
            if !is_valid_name(name, mode) {
                let message = format!("invalid label name {} in group_by list", Quoted(name));
                return Err(Fault::new(item.pos, message).remedy("write the name of a label"));
            }
            if all {
                let message = "cannot have wildcard group_by (`...`) and other labels at the same time";
                return Err(
                    Fault::new(item.pos, message).remedy("keep only the wildcard, or only the labels")
                );
            }
            if seen.contains(&name) {
                let message = format!("duplicated label {} in group_by", Quoted(name));
                return Err(Fault::new(item.pos, message).remedy("keep one of them"));
            }
            seen.push(name);
        }
        for (key, interval) in
            [("group_interval", self.group_interval), ("repeat_interval", self.repeat_interval)]
        {
            if interval.is_some_and(|interval| interval.get().is_zero()) {
                return Err(at
                    .fault(key, format!("{key} cannot be zero"))
                    .remedy("write a duration like 5m"));
            }
        }
        Ok(())
    }
}

impl Check for InhibitRule {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        check_match(at, "source_match")?;
        check_match(at, "target_match")?;
        for item in at.items("equal") {
            let name = item.text().unwrap_or_default();
            if !is_valid_name(name, cx.matcher_mode()) {
                let message = format!("invalid label name {} in equal list", Quoted(name));
                return Err(Fault::new(item.pos, message).remedy("write the name of a label"));
            }
        }
        Ok(())
    }
}
