//! Alerts: what an alerting rule makes of the samples its expression has, and how they come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gotmpl::Functions;
use model::{Labels, LabelsBuilder, METRIC_NAME};
use parking_lot::Mutex;

use crate::expression::Sample;
use crate::file::RuleSpec;
use crate::rule::RuleError;
use crate::template::{Environment, Template, alert_data};

/// The metric that says which alerts are pending or firing.
pub const ALERTS: &str = "ALERTS";
/// The metric that remembers since when an alert is active, for the time after a restart.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label with the name of an alert.
pub const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";

/// A resolved alert is told for this long: a notification that was lost, or an Alertmanager that restarted
/// before it told anybody, must not leave the alert firing there.
const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;
/// Alerts stay valid for so many intervals without being sent again: two evaluations or sends may fail.
const VALID_INTERVALS: i64 = 4;

/// How an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Its rule has not been evaluated.
    Unknown,
    /// Neither pending nor firing.
    Inactive,
    /// Active, but not for long enough.
    Pending,
    /// Active for long enough.
    Firing,
}

impl AlertState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// Names and texts, sorted by name; unlike labels, texts may be empty.
pub type Annotations = Arc<[(String, String)]>;

/// One alert. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// How it is.
    pub state: AlertState,
    /// What identifies it.
    pub labels: Labels,
    /// What is told with it.
    pub annotations: Annotations,
    /// The value when its expression had one last.
    pub value: f64,
    /// Since when it is active.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub fired_at_ms: Option<i64>,
    /// When it ended.
    pub resolved_at_ms: Option<i64>,
    /// When it was sent last.
    pub last_sent_ms: Option<i64>,
    /// Until when those it was sent to take it for firing.
    pub valid_until_ms: i64,
    /// Since when it only fires because it was told to go on.
    pub keep_firing_since_ms: Option<i64>,
}

impl Alert {
    fn needs_sending(&self, t_ms: i64, resend_delay_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(last_sent_ms) = self.last_sent_ms else { return true };
        // One that ended since is told at once.
        self.resolved_at_ms.is_some_and(|resolved_ms| resolved_ms > last_sent_ms)
            || last_sent_ms.saturating_add(resend_delay_ms) < t_ms
    }
}

/// The part of a rule that makes alerts.
pub struct Alerting {
    name: String,
    /// How long an alert is pending.
    pub hold_ms: i64,
    /// How long an alert goes on firing after its expression had it last.
    pub keep_firing_for_ms: i64,
    /// Labels as written.
    pub labels: Labels,
    /// Annotations as written.
    pub annotations: Annotations,
    label_templates: Vec<(String, Template)>,
    annotation_templates: Vec<(String, Template)>,
    environment: Arc<Environment>,
    restored: AtomicBool,
    active: Mutex<BTreeMap<Labels, Alert>>,
}

/// What one evaluation works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvalTimes {
    /// When the group was due.
    pub t_ms: i64,
    /// How far before that its rules look.
    pub query_offset_ms: i64,
}

impl EvalTimes {
    /// The time of the samples that are read and written.
    pub fn sample_ms(self) -> i64 {
        self.t_ms - self.query_offset_ms
    }
}

impl Alerting {
    /// The alerts of a rule with these labels, those of its group among them. Until it is restored, a rule that
    /// is to be so does not write its state: that would hide what it was before.
    pub fn new(
        spec: &RuleSpec,
        labels: &[(String, String)],
        functions: &Functions,
        environment: Arc<Environment>,
        restored: bool,
    ) -> Self {
        let template =
            |(name, text): (&str, &str)| (name.to_owned(), Template::new(&spec.alert, text, functions));
        Self {
            name: spec.alert.clone(),
            hold_ms: spec.hold.as_ms(),
            keep_firing_for_ms: spec.keep_firing_for.as_ms(),
            label_templates: labels.iter().map(|(name, text)| template((name, text))).collect(),
            annotation_templates: spec
                .annotations
                .iter()
                .map(|(name, text)| template((name, text)))
                .collect(),
            annotations: spec.annotations.iter().map(|(name, text)| (name.clone(), text.clone())).collect(),
            labels: Labels::from_pairs(labels.iter().map(|(name, text)| (name, text))),
            environment,
            restored: AtomicBool::new(restored),
            active: Mutex::default(),
        }
    }

    /// Whether the state from before a restart is known.
    pub fn is_restored(&self) -> bool {
        self.restored.load(Ordering::Acquire)
    }

    /// Says that the state from before a restart is known.
    pub fn set_restored(&self) {
        self.restored.store(true, Ordering::Release);
    }

    /// All alerts that have not ended, by labels.
    pub fn active_alerts(&self) -> Vec<Alert> {
        self.active.lock().values().filter(|alert| alert.resolved_at_ms.is_none()).cloned().collect()
    }

    /// The number of alerts kept, ended ones among them.
    pub fn len(&self) -> usize {
        self.active.lock().len()
    }

    /// Whether there is no alert.
    pub fn is_empty(&self) -> bool {
        self.active.lock().is_empty()
    }

    /// The state of the alert that matters most; inactive without any.
    pub fn state(&self) -> AlertState {
        let active = self.active.lock();
        active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    /// Takes over the alerts of the rule this one replaces.
    pub(crate) fn take_over(&self, from: &Self) {
        let alerts = from.active.lock().clone();
        self.active.lock().extend(alerts);
    }

    /// Calls `change` for each alert.
    pub(crate) fn for_each(&self, mut change: impl FnMut(&mut Alert)) {
        self.active.lock().values_mut().for_each(&mut change);
    }

    /// What the samples of the expression make of the alerts, and the samples that are written about it.
    pub(crate) fn evaluate(
        &self,
        samples: &[Sample],
        times: EvalTimes,
        limit: i64,
    ) -> Result<Vec<Sample>, RuleError> {
        let mut found = self.candidates(samples, times)?;
        let mut active = self.active.lock();
        let mut count = 0_i64;
        active.retain(|labels, alert| {
            let now = found.remove(labels);
            let is_new = now.is_some() && alert.state == AlertState::Inactive;
            match now {
                // One that had ended begins anew.
                Some(now) if is_new => *alert = now,
                Some(now) => {
                    alert.value = now.value;
                    alert.annotations = now.annotations;
                    alert.keep_firing_since_ms = None;
                }
                None => match self.without_sample(alert, times.t_ms) {
                    Ended::No => {}
                    Ended::Remembered => return true,
                    Ended::Forgotten => return false,
                },
            }
            count += 1;
            self.advance(alert, times.t_ms);
            true
        });
        for (labels, mut alert) in found {
            count += 1;
            self.advance(&mut alert, times.t_ms);
            active.insert(labels, alert);
        }
        if limit > 0 && count > limit {
            active.clear();
            return Err(RuleError::Limit { limit, count, what: "alerts" });
        }
        Ok(if self.is_restored() { self.state_samples(&active) } else { Vec::new() })
    }

    /// The alerts the samples stand for, as new ones.
    fn candidates(&self, samples: &[Sample], times: EvalTimes) -> Result<BTreeMap<Labels, Alert>, RuleError> {
        let mut found = BTreeMap::new();
        for sample in samples {
            let data = alert_data(&self.environment, sample);
            let expand = |template: &Template| self.environment.expand(template, &data, &self.name);
            let mut builder = LabelsBuilder::from_labels(&sample.labels);
            builder.remove(METRIC_NAME);
            for (name, template) in &self.label_templates {
                builder.set(name, &expand(template));
            }
            builder.set(ALERT_NAME, &self.name);
            let labels = builder.build();
            let annotations =
                self.annotation_templates.iter().map(|(name, template)| (name.clone(), expand(template)));
            let alert = Alert {
                state: AlertState::Pending,
                labels: labels.clone(),
                annotations: annotations.collect(),
                value: sample.value,
                active_at_ms: times.t_ms,
                fired_at_ms: None,
                resolved_at_ms: None,
                last_sent_ms: None,
                valid_until_ms: 0,
                keep_firing_since_ms: None,
            };
            if found.insert(labels, alert).is_some() {
                return Err(RuleError::DuplicateAlerts);
            }
        }
        Ok(found)
    }

    /// What becomes of an alert its expression no longer has.
    fn without_sample(&self, alert: &mut Alert, t_ms: i64) -> Ended {
        if alert.state == AlertState::Firing && self.keep_firing_for_ms > 0 {
            let since_ms = *alert.keep_firing_since_ms.get_or_insert(t_ms);
            if t_ms - since_ms < self.keep_firing_for_ms {
                return Ended::No;
            }
        }
        let is_old =
            alert.resolved_at_ms.is_some_and(|resolved_ms| t_ms - resolved_ms > RESOLVED_RETENTION_MS);
        if alert.state == AlertState::Pending || is_old {
            return Ended::Forgotten;
        }
        if alert.state != AlertState::Inactive {
            alert.state = AlertState::Inactive;
            alert.resolved_at_ms = Some(t_ms);
        }
        Ended::Remembered
    }

    /// From pending to firing once it is time, and back where a rule was told to hold longer.
    fn advance(&self, alert: &mut Alert, t_ms: i64) {
        let is_due = t_ms - alert.active_at_ms >= self.hold_ms;
        match alert.state {
            AlertState::Pending if is_due => {
                alert.state = AlertState::Firing;
                alert.fired_at_ms = Some(t_ms);
            }
            AlertState::Firing if !is_due => {
                alert.state = AlertState::Pending;
                alert.fired_at_ms = None;
                alert.last_sent_ms = None;
                alert.keep_firing_since_ms = None;
            }
            _ => {}
        }
    }

    fn state_samples(&self, active: &BTreeMap<Labels, Alert>) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(2 * active.len());
        for alert in active.values().filter(|alert| alert.state != AlertState::Inactive) {
            let mut builder = LabelsBuilder::from_labels(&self.labels);
            alert.labels.iter().for_each(|(name, value)| {
                builder.set(name, value);
            });
            builder.set(METRIC_NAME, ALERTS_FOR_STATE).set(ALERT_NAME, &self.name);
            let for_state = builder.build();
            builder.set(METRIC_NAME, ALERTS).set(ALERT_STATE, alert.state.as_str());
            let of = |labels, value| Sample { labels, value, histogram: None };
            samples.push(of(builder.build(), 1.0));
            samples.push(of(for_state, alert.active_at_ms.div_euclid(1000) as f64));
        }
        samples
    }

    /// The alerts that are to be sent now; they count as sent.
    pub(crate) fn to_send(&self, t_ms: i64, resend_delay_ms: i64, interval_ms: i64) -> Vec<Alert> {
        let valid_ms = VALID_INTERVALS.saturating_mul(interval_ms.max(resend_delay_ms));
        let mut active = self.active.lock();
        let due = active.values_mut().filter(|alert| alert.needs_sending(t_ms, resend_delay_ms));
        due.map(|alert| {
            alert.last_sent_ms = Some(t_ms);
            alert.valid_until_ms = t_ms.saturating_add(valid_ms);
            alert.clone()
        })
        .collect()
    }

    /// The labels every series of [`ALERTS_FOR_STATE`] of the rule has. Those made by templates differ from alert
    /// to alert, and are left out.
    pub(crate) fn state_labels(&self) -> Labels {
        let mut builder = LabelsBuilder::from_labels(&self.labels);
        builder.retain(|_, text| !text.contains("{{"));
        builder.set(METRIC_NAME, ALERTS_FOR_STATE).set(ALERT_NAME, &self.name).build()
    }
}

/// What becomes of an alert without a sample.
enum Ended {
    /// It goes on.
    No,
    /// It ended, and those who were told of it are told again.
    Remembered,
    /// Nobody needs to know any more.
    Forgotten,
}
