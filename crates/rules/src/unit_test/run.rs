//! One test: load, evaluate, compare.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base::metrics::Registry;
use base::{ByteBudget, CancelFlag};
use model::duration::{format_duration_ms, format_go_duration};
use model::{FloatHistogram, Labels, SampleValue, TenantId};
use promql::engine::Engine;
use promql::parser::series::{SequenceValue, parse_metric, parse_series};

use super::compare::{
    Pairs, ShownAlert, ShownSample, indent, pairs, same_samples, show_alerts, show_difference, show_samples,
};
use super::format::{AlertTest, ExprTest, TestFile, TestGroup};
use super::{LoadedRules, TestOptions, TestStorage};
use crate::alert::{ALERT_NAME, AlertState};
use crate::expression::{PromQl, PromQlLanguage, Queries, QueryLimits};
use crate::group::{Evaluator, Group, GroupDefaults, NoSink, Permits};
use crate::manager::load_groups;
use crate::metrics::Metrics;

/// Text of failures is indented by this much below what they are about.
const INDENT: &str = "            ";
/// Tests do not wait for slow queries for ever.
const QUERY_TIMEOUT: Duration = Duration::from_secs(100);

/// Runs a test: what failed, and what was asked for about the run.
pub(super) fn run(
    file: &TestFile,
    test: &TestGroup,
    name: &str,
    rules: &LoadedRules,
    options: &TestOptions<'_>,
) -> (Vec<String>, Vec<String>) {
    let mut notes = Vec::new();
    if options.debug {
        notes.push(format!("DEBUG: Starting test {name}"));
    }
    let failures = Session::open(file, test, rules, options).map_or_else(
        |problem| vec![problem],
        |mut session| {
            let failures = session.run();
            if options.debug {
                notes.extend(session.dump());
            }
            failures
        },
    );
    if options.debug {
        notes.push(format!("DEBUG: Test {name} finished"));
    }
    (failures, notes)
}

/// A test that is being run.
struct Session<'t> {
    file: &'t TestFile,
    test: &'t TestGroup,
    diff: bool,
    storage: TestStorage,
    waiting: Vec<Waiting>,
    groups: Vec<Arc<Group>>,
    evaluator: Evaluator,
    queries: Arc<PromQl>,
    start_ms: i64,
    interval_ms: i64,
}

/// Samples of a series that are not loaded yet.
struct Waiting {
    labels: Labels,
    samples: VecDeque<(i64, SequenceValue)>,
}

impl<'t> Session<'t> {
    fn open(
        file: &'t TestFile,
        test: &'t TestGroup,
        rules: &LoadedRules,
        options: &TestOptions<'_>,
    ) -> Result<Self, String> {
        let storage = (options.storage)()?;
        let start_ms = test.start_timestamp.0;
        let waiting = input(test, start_ms)?;
        let mut engine = options.engine.clone();
        engine.default_subquery_step = file.evaluation_interval.get();
        let clock = base::SystemClock::shared();
        let limits = QueryLimits {
            tenant: TenantId::default(),
            timeout: QUERY_TIMEOUT,
            budget: ByteBudget::unlimited(),
            clock: clock.clone(),
        };
        let language = Arc::new(PromQlLanguage { options: engine.parse });
        let queries =
            Arc::new(PromQl::new(Arc::new(Engine::new(engine)), storage.source.clone(), limits.clone()));
        let evaluator = Evaluator {
            queries: queries.clone(),
            language,
            appendable: storage.appendable.clone(),
            source: storage.source.clone(),
            limits: limits.clone(),
            tenant: TenantId::default(),
            sink: Arc::new(NoSink),
            clock,
            metrics: Metrics::new(&Registry::new()),
            resend_delay: Duration::ZERO,
            outage_tolerance: Duration::ZERO,
            grace_period: Duration::ZERO,
            concurrency: Permits::new(0),
            cancel: CancelFlag::new(),
        };
        let defaults = GroupDefaults {
            interval_ms: test.interval.as_ms(),
            query_offset_ms: 0,
            external_labels: Labels::from_pairs(&test.external_labels),
            external_url: test.external_url.clone(),
        };
        let mut groups = load_groups(rules, &defaults, &evaluator)?;
        let order: HashMap<&str, usize> =
            file.group_eval_order.iter().enumerate().map(|(i, group)| (group.as_str(), i)).collect();
        groups.sort_by_key(|group| order.get(group.name.as_str()).copied().unwrap_or(0));
        let interval_ms = file.evaluation_interval.as_ms().max(1);
        let diff = options.diff;
        Ok(Self { file, test, diff, storage, waiting, groups, evaluator, queries, start_ms, interval_ms })
    }

    /// Since the start, in milliseconds: the last time anything is expected at.
    fn last_eval_ms(&self) -> i64 {
        let alerts = self.test.alert_rule_test.iter().map(|test| test.eval_time.as_ms());
        let exprs = self.test.promql_expr_test.iter().map(|test| test.eval_time.as_ms());
        alerts.chain(exprs).max().unwrap_or(0)
    }

    fn run(&mut self) -> Vec<String> {
        if let Some(nameless) = self.test.alert_rule_test.iter().find(|test| test.alertname.is_empty()) {
            let of = match self.test.name.as_str() {
                "" => String::new(),
                name => format!(" (in TestGroup {name})"),
            };
            let time = format_duration_ms(nameless.eval_time.as_ms());
            return vec![format!(
                "an item under alert_rule_test misses required attribute alertname at eval_time {time}{of}"
            )];
        }
        let mut expected: BTreeMap<i64, Vec<&AlertTest>> = BTreeMap::new();
        for test in &self.test.alert_rule_test {
            expected.entry(test.eval_time.as_ms()).or_default().push(test);
        }
        let mut failures = Vec::new();
        let mut since_start_ms = 0;
        while since_start_ms <= self.last_eval_ms() {
            let failed = self.evaluate(self.start_ms + since_start_ms);
            if !failed.is_empty() {
                failures.extend(failed);
                return failures;
            }
            // What is expected between two evaluations is what the first of them gave.
            let until_ms = since_start_ms + self.interval_ms;
            for tests in expected.range(since_start_ms..until_ms).map(|(_, tests)| tests) {
                failures.extend(tests.iter().filter_map(|test| self.check_alerts(test)));
            }
            since_start_ms = until_ms;
        }
        failures.extend(self.test.promql_expr_test.iter().filter_map(|test| self.check_expression(test)));
        failures
    }

    /// Loads what is due and evaluates all groups; faults of rules end the test.
    fn evaluate(&mut self, t_ms: i64) -> Vec<String> {
        if let Err(problem) = self.load_until(t_ms) {
            return vec![problem];
        }
        let mut failures = Vec::new();
        for group in &self.groups {
            group.evaluate(&self.evaluator, t_ms);
            for rule in &group.rules {
                if let Some(error) = rule.status().error {
                    let time = format_go_duration(t_ms.saturating_mul(1_000_000));
                    failures.push(format!("    rule: {}, time: {time}, err: {error}", rule.name));
                }
            }
        }
        failures
    }

    /// Loads samples up to and at `t_ms`. Later ones would show where a rule looks ahead.
    fn load_until(&mut self, t_ms: i64) -> Result<(), String> {
        let mut appender = self.storage.appendable.appender(&TenantId::default());
        for series in &mut self.waiting {
            let mut resolved = None;
            while series.samples.front().is_some_and(|(at_ms, _)| *at_ms <= t_ms) {
                let Some((at_ms, value)) = series.samples.pop_front() else { break };
                let value = match &value {
                    SequenceValue::Omitted => continue,
                    SequenceValue::Float(value) => SampleValue::Float(*value),
                    SequenceValue::Histogram { histogram, .. } => SampleValue::FloatHistogram(histogram),
                };
                let series = match resolved {
                    Some(series) => series,
                    None => {
                        let series = appender.resolve(&series.labels).map_err(|error| error.to_string())?;
                        *resolved.insert(series)
                    }
                };
                appender.append(series, 0, at_ms, value).map_err(|error| error.to_string())?;
            }
        }
        appender.commit().map_err(|error| error.to_string())
    }

    fn check_alerts(&self, test: &AlertTest) -> Option<String> {
        let mut got = Vec::new();
        for rule in
            self.groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.name == test.alertname)
        {
            let alerts = rule.alerting().map(|alerting| alerting.active_alerts()).unwrap_or_default();
            got.extend(alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| {
                ShownAlert { labels: pairs(&alert.labels), annotations: alert.annotations.to_vec() }
            }));
        }
        let expected = test.exp_alerts.iter().map(|alert| {
            let mut labels = alert.exp_labels.clone();
            // The evaluation adds it, so that tests need not say it.
            labels.insert(ALERT_NAME.to_owned(), test.alertname.clone());
            ShownAlert {
                labels: labels.into_iter().collect::<Pairs>(),
                annotations: alert.exp_annotations.clone().into_iter().collect(),
            }
        });
        let mut expected: Vec<_> = expected.collect();
        got.sort();
        expected.sort();
        if got == expected {
            return None;
        }
        let name = match self.test.name.as_str() {
            "" => String::new(),
            name => format!("    name: {name},\n"),
        };
        let time = format_duration_ms(test.eval_time.as_ms());
        let head = format!("{name}    alertname: {}, time: {time}, \n        ", test.alertname);
        Some(if self.diff {
            format!("{head}diff: \n{INDENT}{}", indent(&show_difference(&expected, &got), INDENT))
        } else {
            let (expected, got) = (show_alerts(&expected), show_alerts(&got));
            format!("{head}exp:{}, \n        got:{}", indent(&expected, INDENT), indent(&got, INDENT))
        })
    }

    fn check_expression(&self, test: &ExprTest) -> Option<String> {
        let time = format_duration_ms(test.eval_time.as_ms());
        let head = format!("    expr: {}, time: {time},", model::labels::Quoted(&test.expr));
        let t_ms = self.start_ms + test.eval_time.as_ms();
        let got = match self.queries.instant(&test.expr, t_ms, &self.evaluator.cancel) {
            Ok(samples) => samples.into_iter().map(|sample| ShownSample {
                labels: sample.labels,
                value: sample.value,
                histogram: sample.histogram.map(|histogram| histogram.test_expression()).unwrap_or_default(),
            }),
            Err(failure) => return Some(format!("{head} err: {failure}")),
        };
        let mut got: Vec<_> = got.collect();
        let mut expected = Vec::with_capacity(test.exp_samples.len());
        for sample in &test.exp_samples {
            let read =
                labels_of(&sample.labels).and_then(|labels| Ok((labels, histogram_of(&sample.histogram)?)));
            match read {
                Ok((labels, histogram)) => {
                    let (value, histogram) = match histogram {
                        Some(histogram) => (0.0, histogram.test_expression()),
                        None => (sample.value, String::new()),
                    };
                    expected.push(ShownSample { labels, value, histogram });
                }
                Err(problem) => {
                    let labels = model::labels::Quoted(&sample.labels);
                    return Some(format!("{head} err: labels {labels}: {problem}"));
                }
            }
        }
        got.sort_by(|a, b| a.labels.cmp(&b.labels));
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        // Histograms have a value of zero on both sides.
        got.iter_mut().filter(|sample| !sample.histogram.is_empty()).for_each(|sample| sample.value = 0.0);
        if same_samples(&expected, &got, self.file.fuzzy_compare) {
            return None;
        }
        let (expected, got) = (show_samples(&expected), show_samples(&got));
        Some(format!("{head}\n        exp: {expected}\n        got: {got}"))
    }

    /// All data at the end of the test.
    fn dump(&self) -> Vec<String> {
        // Queries cannot look back by fractions of a second that are written as such.
        let span_s = self.last_eval_ms().div_euclid(1000) + 1;
        let mut lines = vec![format!("DEBUG: Dump of all data (input_series and rules) at {span_s}s:")];
        let range = model::TimeRange::new(self.start_ms, self.start_ms + span_s * 1000);
        let request = model::SelectRequest {
            range,
            matchers: Vec::new(),
            projection: model::Projection::All,
            sorted: true,
            limit: 0,
        };
        let ctx = model::QueryContext::unbounded();
        let Ok(set) = self.storage.source.select(&request, &ctx) else { return lines };
        for i in 0..set.len() {
            let mut samples = model::SampleColumns::default();
            if set.read(i, range, &mut samples, &ctx).is_err() {
                continue;
            }
            lines.push(format!("{} =>", set.labels(i)));
            let shown =
                samples.timestamps_ms.iter().enumerate().map(|(at, t_ms)| match samples.histogram(at) {
                    Some(histogram) => format!("{} @[{t_ms}]", histogram.test_expression()),
                    None => format!("{} @[{t_ms}]", model::number::general(samples.values[at])),
                });
            lines.extend(shown);
        }
        lines
    }
}

/// The series a test loads.
fn input(test: &TestGroup, start_ms: i64) -> Result<Vec<Waiting>, String> {
    let interval_ms = test.interval.as_ms();
    let mut all: Vec<Waiting> = Vec::new();
    for series in &test.input_series {
        let text = format!("{} {}", series.series, series.values);
        let described = parse_series(text.trim()).map_err(|error| error.to_string())?;
        let at = |i: usize| start_ms.saturating_add(interval_ms.saturating_mul(i as i64));
        let samples = described.values.into_iter().enumerate().map(|(i, value)| (at(i), value)).collect();
        // A series described twice has the values of the later description.
        all.retain(|other| other.labels != described.labels);
        all.push(Waiting { labels: described.labels, samples });
    }
    Ok(all)
}

/// The labels of a text; an empty one has none.
fn labels_of(text: &str) -> Result<Labels, String> {
    if text.trim().is_empty() {
        return Ok(Labels::empty());
    }
    parse_metric(text).map_err(|error| error.to_string())
}

/// The histogram of a text; `None` for an empty one.
fn histogram_of(text: &str) -> Result<Option<Arc<FloatHistogram>>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let described = parse_series(&format!("{{}} {text}")).map_err(|error| error.to_string())?;
    match described.values.as_slice() {
        [SequenceValue::Histogram { histogram, .. }] => Ok(Some(histogram.clone())),
        [_] => Err("expected histogram, got a float".to_owned()),
        values => Err(format!("expected 1 value, got {}", values.len())),
    }
}
