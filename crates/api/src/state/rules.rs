//! Rules and alerts, seen from outside.

use std::time::Duration;

use model::Labels;

/// Rules, seen from outside.
pub trait Rules: Send + Sync {
    /// All groups, by file and name; with `with_alerts`, the alerts of each rule too.
    fn groups(&self, with_alerts: bool) -> Vec<RuleGroupView>;
    /// Alertmanagers, as URLs.
    fn alertmanagers(&self) -> Alertmanagers;
}

/// Alertmanagers, as URLs.
#[derive(Debug, Clone, Default)]
pub struct Alertmanagers {
    /// Those that are told.
    pub active: Vec<String>,
    /// Those that relabelling dropped.
    pub dropped: Vec<String>,
}

/// A group of rules.
#[derive(Debug, Clone)]
pub struct RuleGroupView {
    /// Its name, unique within the file.
    pub name: String,
    /// The file.
    pub file: String,
    /// How often it is evaluated.
    pub interval: Duration,
    /// The most series or alerts of a rule; 0 for no limit.
    pub limit: i64,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it began, in milliseconds; `None` before the first.
    pub last_evaluation_ms: Option<i64>,
    /// The rules, in source order.
    pub rules: Vec<RuleView>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct RuleView {
    /// The name of the metric or alert.
    pub name: String,
    /// The expression.
    pub query: String,
    /// Labels as written.
    pub labels: Labels,
    /// `ok`, `err` or `unknown`.
    pub health: &'static str,
    /// Why the last evaluation failed, or empty.
    pub last_error: String,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it began, in milliseconds; `None` before the first.
    pub last_evaluation_ms: Option<i64>,
    /// What only alerting rules have.
    pub alerting: Option<AlertingView>,
}

/// What only alerting rules have.
#[derive(Debug, Clone)]
pub struct AlertingView {
    /// `firing`, `pending`, `inactive` or `unknown`: that of the alert that matters most.
    pub state: &'static str,
    /// How long an alert is pending.
    pub hold: Duration,
    /// How long an alert goes on firing.
    pub keep_firing_for: Duration,
    /// Annotations as written, by name.
    pub annotations: Vec<(String, String)>,
    /// Alerts that are pending or firing; empty where they were not asked for.
    pub alerts: Vec<AlertView>,
}

/// An alert that is pending or firing.
#[derive(Debug, Clone)]
pub struct AlertView {
    /// What identifies it.
    pub labels: Labels,
    /// What is told with it, by name.
    pub annotations: Vec<(String, String)>,
    /// `firing` or `pending`.
    pub state: &'static str,
    /// Since when it is active, in milliseconds.
    pub active_at_ms: i64,
    /// Since when it only fires because its rule says so, in milliseconds.
    pub keep_firing_since_ms: Option<i64>,
    /// The value of its expression.
    pub value: f64,
}

/// There are no rules: nothing is evaluated and nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRules;

impl Rules for NoRules {
    fn groups(&self, _: bool) -> Vec<RuleGroupView> {
        Vec::new()
    }

    fn alertmanagers(&self) -> Alertmanagers {
        Alertmanagers::default()
    }
}
