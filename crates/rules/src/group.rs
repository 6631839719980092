//! A group of rules: when it is due, and one evaluation of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base::CancelFlag;
use base::clock::SharedClock;
use model::{
    AppendError, Appendable, Appender, Labels, SampleValue, SeriesRef, SeriesSource, TenantId, stale_nan,
};
use parking_lot::Mutex;

use crate::alert::{Alert, EvalTimes};
use crate::dependencies::{Batches, batches};
use crate::expression::{Language, Queries, QueryLimits, Sample};
use crate::file::{FileFault, RuleGroup};
use crate::metrics::{GroupMetrics, Metrics};
use crate::rule::{Making, Rule, RuleError};
use crate::template::Environment;

/// Who is told of alerts.
pub trait AlertSink: Send + Sync {
    /// Takes alerts of a rule with this expression. It must not block.
    fn send(&self, expression: &str, alerts: Vec<Alert>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl AlertSink for NoSink {
    fn send(&self, _: &str, _: Vec<Alert>) {}
}

/// What all groups evaluate with.
pub struct Evaluator {
    /// Answers expressions.
    pub queries: Arc<dyn Queries>,
    /// The language of expressions.
    pub language: Arc<dyn Language>,
    /// Where results are written.
    pub appendable: Arc<dyn Appendable>,
    /// Where the state of alerts is read after a restart.
    pub source: Arc<dyn SeriesSource>,
    /// What reading it may use.
    pub limits: QueryLimits,
    /// Whose series are written.
    pub tenant: TenantId,
    /// Who is told of alerts.
    pub sink: Arc<dyn AlertSink>,
    /// Time.
    pub clock: SharedClock,
    /// What is published.
    pub metrics: Metrics,
    /// How long to wait before an alert is sent again.
    pub resend_delay: Duration,
    /// How long an outage may be after which the state of alerts is taken up again.
    pub outage_tolerance: Duration,
    /// How long, at least, an alert is pending after its state was taken up.
    pub grace_period: Duration,
    /// Rules beyond the first one of each group that may be evaluated at once.
    pub concurrency: Permits,
    /// Ends all queries.
    pub cancel: CancelFlag,
}

/// So long must rules have taken the last time for another thread to help: it must save more than it costs.
const WORTH_A_THREAD: Duration = Duration::from_millis(20);

/// A number of things that may happen at once.
#[derive(Debug, Default)]
pub struct Permits {
    left: AtomicUsize,
    /// How much work another thread must save.
    worth: Duration,
}

impl Permits {
    /// `count` of them.
    pub fn new(count: usize) -> Self {
        Self { left: AtomicUsize::new(count), worth: WORTH_A_THREAD }
    }

    /// `count` of them, for however little work.
    #[cfg(test)]
    fn eager(count: usize) -> Self {
        Self { left: AtomicUsize::new(count), worth: Duration::ZERO }
    }

    /// Takes as many as there are, at most `wanted`.
    fn take(&self, wanted: usize) -> usize {
        let mut taken = 0;
        // The closure always answers, so the update cannot fail.
        let _ = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
            taken = left.min(wanted);
            Some(left - taken)
        });
        taken
    }

    /// As many as there are for `things` of which one needs none, and as many as are worth it for this much work; until
    /// what is returned is dropped.
    fn borrow(&self, things: usize, work: Duration) -> Borrowed<'_> {
        let worth = match self.worth.as_nanos() {
            0 => usize::MAX,
            worth => usize::try_from(work.as_nanos() / worth).unwrap_or(usize::MAX),
        };
        Borrowed { permits: self, count: self.take(things.saturating_sub(1).min(worth)) }
    }
}

/// Permits that go back, whatever happens to the work.
struct Borrowed<'p> {
    permits: &'p Permits,
    count: usize,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.permits.left.fetch_add(self.count, Ordering::AcqRel);
    }
}

/// What groups take from the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupDefaults {
    /// How often groups are evaluated that do not say it.
    pub interval_ms: i64,
    /// How far into the past the rules of groups look that do not say it.
    pub query_offset_ms: i64,
    /// Labels of all that leaves this server, for templates.
    pub external_labels: Labels,
    /// Where users reach this server.
    pub external_url: String,
}

/// A group of rules.
pub struct Group {
    /// Its name, unique within the file.
    pub name: String,
    /// The file.
    pub file: String,
    /// How often it is evaluated.
    pub interval_ms: i64,
    /// How far into the past its rules look.
    pub query_offset_ms: i64,
    /// The most series or alerts of a rule; 0 for no limit.
    pub limit: i64,
    /// The rules, in source order.
    pub rules: Vec<Arc<Rule>>,
    spec: RuleGroup,
    defaults: GroupDefaults,
    batches: Batches,
    environment: Arc<Environment>,
    pub(crate) metrics: Arc<GroupMetrics>,
    last: Mutex<LastEvaluation>,
    /// Series of rules that are no more, to be marked as ended.
    ended: Mutex<Vec<Labels>>,
    /// Set to end an evaluation after the running rule.
    pub(crate) stopping: AtomicBool,
}

/// When a group was evaluated last, and how long that took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LastEvaluation {
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: Option<i64>,
    /// How long it took.
    pub duration: Duration,
}

impl Group {
    /// The group `spec` of `file`. With `restored`, its alerts have no state from before a restart.
    pub fn new(
        file: &str,
        spec: &RuleGroup,
        defaults: &GroupDefaults,
        evaluator: &Evaluator,
        restored: bool,
    ) -> Result<Self, FileFault> {
        let environment = Environment::new(
            &defaults.external_labels,
            &defaults.external_url,
            evaluator.queries.clone(),
            evaluator.cancel.clone(),
            evaluator.metrics.expansions.clone(),
        );
        let functions = environment.functions();
        let with = Making {
            language: &*evaluator.language,
            environment: &environment,
            functions: &functions,
            restored,
        };
        let rule = |rule| Rule::new(rule, spec, &with).map(Arc::new);
        let rules: Result<Vec<_>, _> = spec.rules.iter().map(rule).collect();
        let rules = rules.map_err(|message| FileFault { places: Vec::new(), rule: None, message })?;
        let interval_ms = match spec.interval.as_ms() {
            0 => defaults.interval_ms.max(1),
            interval_ms => interval_ms,
        };
        let metrics = evaluator.metrics.group(&group_key(file, &spec.name));
        metrics.interval.set(interval_ms as f64 / 1e3);
        metrics.rules.set(rules.len() as f64);
        Ok(Self {
            name: spec.name.clone(),
            file: file.to_owned(),
            interval_ms,
            query_offset_ms: spec.query_offset.map_or(defaults.query_offset_ms, config::PromDuration::as_ms),
            limit: spec.limit,
            batches: batches(&rules),
            rules,
            spec: spec.clone(),
            defaults: defaults.clone(),
            environment,
            metrics,
            last: Mutex::default(),
            ended: Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Whether a reload leaves the group as it is: then it goes on without a break.
    pub fn is_same(&self, spec: &RuleGroup, defaults: &GroupDefaults) -> bool {
        let without_place = |spec: &RuleGroup| {
            let mut spec = spec.clone();
            spec.place = None;
            spec.rules.iter_mut().for_each(|rule| rule.places = Default::default());
            spec
        };
        self.defaults == *defaults && without_place(&self.spec) == without_place(spec)
    }

    /// What identifies the group among all.
    pub fn key(&self) -> String {
        group_key(&self.file, &self.name)
    }

    /// Whether alerts of the group are still to be taken up from before a restart.
    pub(crate) fn awaits_restore(&self) -> bool {
        let mut alerting = self.rules.iter().filter_map(|rule| rule.alerting());
        alerting.any(|alerting| !alerting.is_restored())
    }

    /// When the group was evaluated last.
    pub fn last_evaluation(&self) -> LastEvaluation {
        *self.last.lock()
    }

    /// The last time at or before `now_ms` at which the group is due. Groups are spread over their interval by a
    /// hash of their names, so that they are due at the same times after a restart.
    pub fn slot_before(&self, now_ms: i64) -> i64 {
        let labels = Labels::from_pairs([("name", &self.name), ("file", &self.file)]);
        let interval_ns = u64::try_from(self.interval_ms).unwrap_or(1).saturating_mul(1_000_000).max(1);
        let offset_ns = xxhash_rust::xxh64::xxh64(labels.as_bytes(), 0) % interval_ns;
        let offset_ms = i64::try_from(offset_ns / 1_000_000).unwrap_or(0);
        let shifted = now_ms - offset_ms;
        shifted - shifted.rem_euclid(self.interval_ms) + offset_ms
    }

    /// Takes over what the group this one replaces knew: alerts, and series that may have to be marked as ended.
    pub(crate) fn take_over(&self, from: &Self) {
        *self.last.lock() = from.last_evaluation();
        let mut old: BTreeMap<(String, Labels), VecDeque<&Arc<Rule>>> = BTreeMap::new();
        from.rules.iter().for_each(|rule| old.entry(rule.identity()).or_default().push_back(rule));
        for rule in &self.rules {
            let Some(before) = old.get_mut(&rule.identity()).and_then(VecDeque::pop_front) else { continue };
            *rule.written.lock() = before.written.lock().clone();
            if let (Some(alerting), Some(before)) = (rule.alerting(), before.alerting()) {
                alerting.take_over(before);
            }
        }
        let mut ended = from.ended.lock().clone();
        let gone = old.into_values().flatten();
        gone.for_each(|rule| ended.extend(rule.written.lock().keys().cloned()));
        *self.ended.lock() = ended;
    }

    /// Makes all series of the group such that are to be marked as ended: the group is no more.
    pub(crate) fn end_all(&self) {
        let mut ended = self.ended.lock();
        self.rules
            .iter()
            .for_each(|rule| ended.extend(rule.written.lock().drain().map(|(labels, _)| labels)));
    }

    /// One evaluation, due at `t_ms`. It blocks.
    pub fn evaluate(&self, evaluator: &Evaluator, t_ms: i64) {
        self.metrics.scheduled.inc();
        let (began_ms, began) = (evaluator.clock.now_ms(), evaluator.clock.monotonic());
        self.environment.set_now_ms(t_ms);
        let times = EvalTimes { t_ms, query_offset_ms: self.query_offset_ms };
        let run = Run { group: self, evaluator, times, samples: AtomicUsize::new(0) };
        let is_complete = self.batches.iter().all(|batch| run.batch(batch));
        if is_complete {
            self.metrics.samples.set(run.samples.load(Ordering::Relaxed) as f64);
            self.mark_ended(evaluator, t_ms);
        }
        let duration = evaluator.clock.monotonic().saturating_sub(began);
        let rules: f64 = self.rules.iter().map(|rule| rule.status().duration.as_secs_f64()).sum();
        evaluator.metrics.group_duration.observe(duration.as_secs_f64());
        evaluator.metrics.group_duration_histogram.observe(duration.as_secs_f64());
        self.metrics.last_rule_duration_sum.set(rules);
        self.metrics.last_duration.set(duration.as_secs_f64());
        self.metrics.last_time.set(began_ms as f64 / 1e3);
        *self.last.lock() = LastEvaluation { began_ms: Some(began_ms), duration };
    }

    /// Marks series of rules that are no more as ended.
    pub(crate) fn mark_ended(&self, evaluator: &Evaluator, t_ms: i64) {
        let mut ended = self.ended.lock();
        if ended.is_empty() {
            return;
        }
        let mut appender = evaluator.appendable.appender(&evaluator.tenant);
        for labels in ended.iter() {
            let outcome = appender
                .resolve(labels)
                .and_then(|series| append_end(&mut *appender, series, t_ms - self.query_offset_ms));
            if let Err(error) = outcome.or_else(expected) {
                tracing::warn!(group = self.name, series = %labels, %error, "marking a series as ended failed");
            }
        }
        match appender.commit() {
            Ok(()) => ended.clear(),
            Err(error) => tracing::warn!(group = self.name, %error, "marking series as ended failed"),
        }
    }
}

/// What identifies a group: names of groups need only be unique within a file.
pub fn group_key(file: &str, name: &str) -> String {
    format!("{file};{name}")
}

fn append_end(appender: &mut dyn Appender, series: SeriesRef, t_ms: i64) -> Result<(), AppendError> {
    appender.append_in_order(series, t_ms, SampleValue::Float(stale_nan()))
}

/// A series that another rule writes by now has newer samples: that is no fault.
fn expected(error: AppendError) -> Result<(), AppendError> {
    match error {
        AppendError::OutOfOrder | AppendError::TooOld | AppendError::DuplicateTimestamp { .. } => Ok(()),
        error => Err(error),
    }
}

/// One evaluation of a group.
struct Run<'g> {
    group: &'g Group,
    evaluator: &'g Evaluator,
    times: EvalTimes,
    samples: AtomicUsize,
}

impl Run<'_> {
    /// Evaluates rules that do not depend on each other; false when the group is to stop.
    fn batch(&self, batch: &[usize]) -> bool {
        let next = AtomicUsize::new(0);
        let work = || {
            while !self.group.stopping.load(Ordering::Acquire) {
                match batch.get(next.fetch_add(1, Ordering::Relaxed)) {
                    Some(&i) => self.rule(&self.group.rules[i]),
                    None => break,
                }
            }
        };
        let before: Duration = batch.iter().map(|&i| self.group.rules[i].status().duration).sum();
        let helpers = self.evaluator.concurrency.borrow(batch.len(), before);
        if helpers.count == 0 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..helpers.count {
                    let started =
                        std::thread::Builder::new().name("rules".to_owned()).spawn_scoped(scope, work);
                    if let Err(error) = started {
                        // Those that there are do it all.
                        tracing::debug!(%error, "no thread for rules that could run at once");
                        break;
                    }
                }
                work();
            });
        }
        !self.group.stopping.load(Ordering::Acquire)
    }

    fn rule(&self, rule: &Rule) {
        let clock = &self.evaluator.clock;
        let (began_ms, began) = (clock.now_ms(), clock.monotonic());
        self.group.metrics.evaluations.inc();
        let outcome = self.evaluate(rule);
        if let Err(error) = &outcome {
            // What was discarded was told where it happened, and is no failure of the evaluation.
            let discarded = matches!(error, RuleError::Discarded(_));
            if !discarded {
                self.group.metrics.failures.inc();
            }
            let canceled = matches!(error, RuleError::Query(failure) if failure.canceled);
            if !canceled && !discarded {
                let (file, group) = (&self.group.file, &self.group.name);
                tracing::warn!(file, group, rule = rule.name, %error, "evaluating rule failed");
            }
        }
        rule.set_outcome(&outcome);
        let took = clock.monotonic().saturating_sub(began);
        self.evaluator.metrics.rule_duration.observe(took.as_secs_f64());
        self.evaluator.metrics.rule_duration_histogram.observe(took.as_secs_f64());
        rule.set_timing(began_ms, took);
    }

    fn evaluate(&self, rule: &Rule) -> Result<(), RuleError> {
        let evaluator = self.evaluator;
        let samples = rule.evaluate(&*evaluator.queries, self.times, self.group.limit, &evaluator.cancel)?;
        self.samples.fetch_add(samples.len(), Ordering::Relaxed);
        if let Some(alerting) = rule.alerting() {
            let delay_ms = i64::try_from(evaluator.resend_delay.as_millis()).unwrap_or(i64::MAX);
            let alerts = alerting.to_send(self.times.t_ms, delay_ms, self.group.interval_ms);
            if !alerts.is_empty() {
                evaluator.sink.send(&rule.expression.text, alerts);
            }
        }
        self.write(rule, &samples)
    }

    /// Writes the samples, and marks the series as ended that the rule no longer has.
    fn write(&self, rule: &Rule, samples: &[Sample]) -> Result<(), RuleError> {
        let mut before = rule.written.lock();
        if samples.is_empty() && before.is_empty() {
            return Ok(());
        }
        let t_ms = self.times.sample_ms();
        let mut appender = self.evaluator.appendable.appender(&self.evaluator.tenant);
        let (mut now, mut refused) = (HashMap::with_capacity(samples.len()), Refused::default());
        for sample in samples {
            let known = before.get(&sample.labels).copied();
            match append(&mut *appender, known, sample, t_ms) {
                Ok(series) => drop(now.insert(sample.labels.clone(), series)),
                Err(error) => refused.note(error, sample),
            }
        }
        for (labels, &series) in before.iter().filter(|(labels, _)| !now.contains_key(*labels)) {
            let outcome = match append_end(&mut *appender, series, t_ms) {
                Err(AppendError::UnknownSeries) => Ok(()),
                outcome => outcome.or_else(expected),
            };
            if let Err(error) = outcome {
                tracing::warn!(rule = rule.name, series = %labels, %error, "marking a series as ended failed");
            }
        }
        appender.commit().map_err(|error| RuleError::Append(error.to_string()))?;
        *before = now;
        refused.into_result(&rule.name)
    }
}

/// Appends a sample, resolving its series only where it is not known.
fn append(
    appender: &mut dyn Appender,
    known: Option<SeriesRef>,
    sample: &Sample,
    t_ms: i64,
) -> Result<SeriesRef, AppendError> {
    let mut put = |series| match &sample.histogram {
        Some(histogram) => appender.append(series, 0, t_ms, SampleValue::FloatHistogram(histogram)),
        None => appender.append_in_order(series, t_ms, SampleValue::Float(sample.value)),
    };
    if let Some(series) = known {
        match put(series) {
            Err(AppendError::UnknownSeries) => {}
            outcome => return outcome.map(|()| series),
        }
    }
    let series = appender.resolve(&sample.labels)?;
    match &sample.histogram {
        Some(histogram) => appender.append(series, 0, t_ms, SampleValue::FloatHistogram(histogram))?,
        None => appender.append_in_order(series, t_ms, SampleValue::Float(sample.value))?,
    }
    Ok(series)
}

/// Samples the storage did not take.
#[derive(Default)]
struct Refused {
    out_of_order: usize,
    too_old: usize,
    duplicates: usize,
    last: Option<AppendError>,
}

impl Refused {
    fn note(&mut self, error: AppendError, sample: &Sample) {
        match &error {
            AppendError::OutOfOrder => self.out_of_order += 1,
            AppendError::TooOld => self.too_old += 1,
            AppendError::DuplicateTimestamp { .. } => self.duplicates += 1,
            other => {
                tracing::warn!(series = %sample.labels, error = %other, "rule evaluation result discarded")
            }
        }
        self.last = Some(error);
    }

    fn into_result(self, rule: &str) -> Result<(), RuleError> {
        let kinds = [
            (self.out_of_order, "out-of-order results of rule evaluation discarded"),
            (self.too_old, "too old results of rule evaluation discarded"),
            (self.duplicates, "results of rule evaluation with different value but same timestamp discarded"),
        ];
        for (dropped, what) in kinds.into_iter().filter(|(dropped, _)| *dropped > 0) {
            tracing::warn!(rule, dropped, "{what}");
        }
        self.last.map_or(Ok(()), |error| Err(RuleError::Discarded(error.to_string())))
    }
}

#[cfg(test)]
mod tests;
