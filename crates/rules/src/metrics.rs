//! What the evaluation of rules publishes about itself, under Prometheus's names.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Registry, Summary};
use parking_lot::Mutex;

use crate::template::Expansions;

/// Bounds of the histograms of durations, in seconds.
const BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// All of it. Clones share the values.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) rule_duration: Summary,
    pub(crate) rule_duration_histogram: Histogram,
    pub(crate) group_duration: Summary,
    pub(crate) group_duration_histogram: Histogram,
    pub(crate) expansions: Expansions,
    groups: Groups,
}

type Groups = Arc<Mutex<BTreeMap<String, Arc<GroupMetrics>>>>;

/// What is published about one group.
#[derive(Debug, Default)]
pub(crate) struct GroupMetrics {
    pub missed: Counter,
    pub scheduled: Counter,
    pub evaluations: Counter,
    pub failures: Counter,
    pub last_time: Gauge,
    pub last_duration: Gauge,
    pub last_rule_duration_sum: Gauge,
    pub last_restore_duration: Gauge,
    pub rules: Gauge,
    pub samples: Gauge,
    pub interval: Gauge,
}

type Read = fn(&GroupMetrics) -> f64;

const OF_GROUPS: [(&str, &str, Kind, Read); 11] = [
    (
        "prometheus_rule_evaluation_failures_total",
        "The total number of rule evaluation failures.",
        Kind::Counter,
        |group| group.failures.get() as f64,
    ),
    ("prometheus_rule_evaluations_total", "The total number of rule evaluations.", Kind::Counter, |group| {
        group.evaluations.get() as f64
    }),
    ("prometheus_rule_group_interval_seconds", "The interval of a rule group.", Kind::Gauge, |group| {
        group.interval.get()
    }),
    (
        "prometheus_rule_group_iterations_missed_total",
        "The total number of rule group evaluations missed due to slow rule group evaluation.",
        Kind::Counter,
        |group| group.missed.get() as f64,
    ),
    (
        "prometheus_rule_group_iterations_total",
        "The total number of scheduled rule group evaluations, whether executed or missed.",
        Kind::Counter,
        |group| group.scheduled.get() as f64,
    ),
    (
        "prometheus_rule_group_last_duration_seconds",
        "The duration of the last rule group evaluation.",
        Kind::Gauge,
        |group| group.last_duration.get(),
    ),
    (
        "prometheus_rule_group_last_evaluation_samples",
        "The number of samples returned during the last rule group evaluation.",
        Kind::Gauge,
        |group| group.samples.get(),
    ),
    (
        "prometheus_rule_group_last_evaluation_timestamp_seconds",
        "The timestamp of the last rule group evaluation in seconds.",
        Kind::Gauge,
        |group| group.last_time.get(),
    ),
    (
        "prometheus_rule_group_last_restore_duration_seconds",
        "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.",
        Kind::Gauge,
        |group| group.last_restore_duration.get(),
    ),
    (
        "prometheus_rule_group_last_rule_duration_sum_seconds",
        "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency. This should be higher than the group duration if rules are evaluated concurrently.",
        Kind::Gauge,
        |group| group.last_rule_duration_sum.get(),
    ),
    ("prometheus_rule_group_rules", "The number of rules.", Kind::Gauge, |group| group.rules.get()),
];

impl Metrics {
    /// Publishes in `registry` what the seat of Prometheus does.
    pub fn new(registry: &Registry) -> Self {
        Self::with_prefix(registry, "")
    }

    /// Publishes in `registry` under names that begin with `prefix`.
    pub fn with_prefix(registry: &Registry, prefix: &'static str) -> Self {
        let tails = [0.5, 0.9, 0.99];
        let named = |name: &str| format!("{prefix}{name}");
        let metrics = Self {
            rule_duration: registry.summary(
                &named("prometheus_rule_evaluation_duration_seconds"),
                "The duration for a rule to execute.",
                &[],
                &tails,
            ),
            rule_duration_histogram: registry.histogram(
                &named("prometheus_rule_evaluation_duration_histogram_seconds"),
                "The duration for a rule to execute.",
                &[],
                &BOUNDS,
            ),
            group_duration: registry.summary(
                &named("prometheus_rule_group_duration_seconds"),
                "The duration of rule group evaluations.",
                &[],
                &[0.01, 0.05, 0.5, 0.9, 0.99],
            ),
            group_duration_histogram: registry.histogram(
                &named("prometheus_rule_group_duration_histogram_seconds"),
                "The duration of rule group evaluations.",
                &[],
                &BOUNDS,
            ),
            expansions: Expansions {
                total: registry.counter(
                    &named("prometheus_template_text_expansions_total"),
                    "The total number of template text expansions.",
                    &[],
                ),
                failed: registry.counter(
                    &named("prometheus_template_text_expansion_failures_total"),
                    "The total number of template text expansion failures.",
                    &[],
                ),
            },
            groups: Arc::default(),
        };
        let groups = metrics.groups.clone();
        registry.collect_with(move |families| publish(prefix, &groups.lock(), families));
        metrics
    }

    /// The metrics of the group `key`.
    pub(crate) fn group(&self, key: &str) -> Arc<GroupMetrics> {
        self.groups.lock().entry(key.to_owned()).or_default().clone()
    }

    /// No longer publishes anything about the group `key`.
    pub(crate) fn forget(&self, key: &str) {
        self.groups.lock().remove(key);
    }
}

fn publish(prefix: &str, groups: &BTreeMap<String, Arc<GroupMetrics>>, families: &mut Vec<Family>) {
    if groups.is_empty() {
        return;
    }
    for (name, help, kind, read) in OF_GROUPS {
        let mut family = Family::new(format!("{prefix}{name}"), help, kind);
        groups.iter().for_each(|(key, group)| family.push(&[("rule_group", key)], read(group)));
        families.push(family);
    }
}
