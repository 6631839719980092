//! One rule: its expression, what it makes of the result, and how its last evaluation went.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base::CancelFlag;
use gotmpl::Functions;
use model::{Labels, LabelsBuilder, METRIC_NAME, SeriesRef};
use parking_lot::Mutex;

use crate::alert::{Alerting, EvalTimes};
use crate::expression::{Expression, Language, Queries, QueryFailure, Sample};
use crate::file::{RuleGroup, RuleSpec};
use crate::template::Environment;

/// Why a rule has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The query failed.
    #[error(transparent)]
    Query(#[from] QueryFailure),
    /// The rule's labels made two series one.
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    DuplicateSeries,
    /// The rule's labels made two alerts one.
    #[error("vector contains metrics with the same labelset after applying alert labels")]
    DuplicateAlerts,
    /// More than the limit of the group.
    #[error("exceeded limit of {limit} with {count} {what}")]
    Limit {
        /// The limit.
        limit: i64,
        /// How many there are.
        count: i64,
        /// Of what.
        what: &'static str,
    },
    /// The storage did not take the result.
    #[error("{0}")]
    Append(String),
    /// The storage did not take some samples: the rule itself was evaluated well.
    #[error("{0}")]
    Discarded(String),
}

/// How the last evaluation of a rule went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// There was none.
    #[default]
    Unknown,
    /// Well.
    Ok,
    /// Badly.
    Err,
}

impl Health {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// The last evaluation of a rule.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// How it went.
    pub health: Health,
    /// Why it failed, if it did.
    pub error: Option<RuleError>,
    /// How long it took.
    pub duration: Duration,
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: Option<i64>,
}

/// What a rule makes.
pub enum Kind {
    /// A series.
    Recording,
    /// Alerts.
    Alerting(Alerting),
}

/// A rule.
pub struct Rule {
    /// The name of the metric or alert.
    pub name: String,
    /// What is evaluated.
    pub expression: Expression,
    /// Labels as written, those of the group among them.
    pub labels: Labels,
    /// What it makes.
    pub kind: Kind,
    /// The labels, with those of empty values, which remove labels.
    label_pairs: Vec<(String, String)>,
    status: Mutex<Status>,
    /// What the last evaluation wrote; those missing in the next one have ended.
    pub(crate) written: Mutex<HashMap<Labels, SeriesRef>>,
}

/// What rules of a group are made with.
pub(crate) struct Making<'m> {
    pub language: &'m dyn Language,
    pub environment: &'m Arc<Environment>,
    pub functions: &'m Functions,
    pub restored: bool,
}

impl Rule {
    /// The rule `spec` of `group`. The error is that of its expression.
    pub(crate) fn new(spec: &RuleSpec, group: &RuleGroup, with: &Making<'_>) -> Result<Self, String> {
        let label_pairs = spec.label_pairs_in(group);
        let kind = if spec.alert.is_empty() {
            Kind::Recording
        } else {
            let (functions, environment) = (with.functions, with.environment.clone());
            Kind::Alerting(Alerting::new(spec, &label_pairs, functions, environment, with.restored))
        };
        Ok(Self {
            name: spec.name().to_owned(),
            expression: with.language.parse(&spec.expr)?,
            labels: spec.labels_in(group),
            kind,
            label_pairs,
            status: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// The alerts, of an alerting rule.
    pub fn alerting(&self) -> Option<&Alerting> {
        match &self.kind {
            Kind::Alerting(alerting) => Some(alerting),
            Kind::Recording => None,
        }
    }

    /// How the last evaluation went.
    pub fn status(&self) -> Status {
        self.status.lock().clone()
    }

    pub(crate) fn set_outcome(&self, outcome: &Result<(), RuleError>) {
        let mut status = self.status.lock();
        status.health = if outcome.is_ok() { Health::Ok } else { Health::Err };
        status.error = outcome.as_ref().err().cloned();
    }

    pub(crate) fn set_timing(&self, began_ms: i64, duration: Duration) {
        let mut status = self.status.lock();
        status.began_ms = Some(began_ms);
        status.duration = duration;
    }

    /// What identifies the rule among those of its group, across reloads.
    pub(crate) fn identity(&self) -> (String, Labels) {
        (self.name.clone(), self.labels.clone())
    }

    /// Evaluates the rule: the samples to be written.
    pub(crate) fn evaluate(
        &self,
        queries: &dyn Queries,
        times: EvalTimes,
        limit: i64,
        cancel: &CancelFlag,
    ) -> Result<Vec<Sample>, RuleError> {
        let samples = queries.instant(&self.expression.text, times.sample_ms(), cancel)?;
        match &self.kind {
            Kind::Alerting(alerting) => alerting.evaluate(&samples, times, limit),
            Kind::Recording => self.record(samples, limit),
        }
    }

    fn record(&self, mut samples: Vec<Sample>, limit: i64) -> Result<Vec<Sample>, RuleError> {
        let mut seen = HashSet::with_capacity(samples.len());
        for sample in &mut samples {
            let mut builder = LabelsBuilder::from_labels(&sample.labels);
            builder.set(METRIC_NAME, &self.name);
            self.label_pairs.iter().for_each(|(name, value)| {
                builder.set(name, value);
            });
            sample.labels = builder.build();
            if !seen.insert(sample.labels.clone()) {
                return Err(RuleError::DuplicateSeries);
            }
        }
        let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
        if limit > 0 && count > limit {
            return Err(RuleError::Limit { limit, count, what: "series" });
        }
        Ok(samples)
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).field("expression", &self.expression.text).finish()
    }
}
