//! `info`: adds labels of info series to the series of a vector.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::env::HeldBytes;
use super::error::{EvalResult, QueryError};
use super::open::{Opener, Scope};
use super::operator::{
    Collision, HeldRows, HeldSeries, Materialized, Operator, SharedOperator, count_samples, hold_all,
    merge_equal_labels,
};
use super::plan::{NodeId, Selector};
use super::selector::{Facet, TimeShift, VectorSelector};
use super::value::{RangeExtension, StepVector};

/// The info metric that is meant when none is named.
const DEFAULT_INFO_METRIC: &str = "target_info";
/// The labels by which an info series is found.
const IDENTIFYING_LABELS: [&str; 2] = ["instance", "job"];

/// Opens `info`.
pub(crate) fn open_info(
    opener: &mut Opener<'_>,
    input: NodeId,
    conditions: Option<&[Matcher]>,
    shift: TimeShift,
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let steps = scope.grid.len;
    let before = opener.env.samples.current();
    let input = opener.vector(input, scope)?;
    let held_base = hold_all(&*input, &opener.env, steps)?;
    let base = &held_base.series[..];
    let conditions = Conditions::new(conditions);
    let is_info: Vec<bool> =
        base.iter().map(|series| conditions.is_info(series.labels.metric_name())).collect();
    let held_info = select_info(opener, base, &is_info, &conditions, shift, scope)?;
    let info: Vec<InfoSeries<'_>> = held_info
        .series
        .iter()
        .map(|series| InfoSeries { labels: &series.labels, sample_times: &series.values })
        .collect();
    // Groups of either side: a few label sets and lists each.
    let joined = (base.len() + info.len()) * 256;
    let held = HeldBytes::of(&opener.env, joined)?;
    let results = HeldRows::new(&opener.env)?;
    let mut join = InfoJoin::new(base, &is_info, &info, &conditions, steps, results);
    for step in 0..steps {
        opener.env.check()?;
        join.step(step)?;
    }
    let mut rows = join.results;
    drop(held);
    merge_equal_labels(&opener.env, &mut rows, Collision::MergeSteps)?;
    opener.env.samples.settle(before, count_samples(&rows.series))?;
    Ok(Materialized::new(rows).shared())
}

/// The second argument of `info`.
struct Conditions {
    /// On the name of the info metric.
    names: Vec<Matcher>,
    /// On the labels to be added. When there are any, only labels they name are added.
    labels: Vec<Matcher>,
}

impl Conditions {
    fn new(conditions: Option<&[Matcher]>) -> Self {
        let (mut names, labels): (Vec<Matcher>, Vec<Matcher>) =
            conditions.unwrap_or_default().iter().cloned().partition(|m| m.name == METRIC_NAME);
        let is_positive = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_INFO_METRIC));
        } else if !names.iter().any(is_positive) {
            let any_info = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info");
            names.insert(0, any_info.expect("the pattern is constant and valid"));
        }
        Self { names, labels }
    }

    fn is_info(&self, metric_name: &str) -> bool {
        self.names.iter().all(|m| m.matches(metric_name))
    }

    fn adds(&self, label: &str) -> bool {
        label != METRIC_NAME && (self.labels.is_empty() || self.labels.iter().any(|m| m.name == label))
    }

    /// Whether a series without info series stays.
    fn allow_missing(&self) -> bool {
        self.labels.iter().all(Matcher::matches_empty)
    }
}

/// An info series: its labels, and at each step the time of the sample it shows.
struct InfoSeries<'a> {
    labels: &'a Labels,
    sample_times: &'a StepVector,
}

fn select_info(
    opener: &mut Opener<'_>,
    base: &[HeldSeries],
    is_info: &[bool],
    conditions: &Conditions,
    shift: TimeShift,
    scope: Scope,
) -> EvalResult<HeldRows> {
    let mut matchers = Vec::new();
    for label in IDENTIFYING_LABELS {
        let enriched = base.iter().zip(is_info).filter(|(_, is_info)| !**is_info);
        let values: HashSet<&str> = enriched.filter_map(|(series, _)| series.labels.get(label)).collect();
        if !values.is_empty() {
            let mut values: Vec<String> = values.into_iter().map(quote_pattern).collect();
            values.sort_unstable();
            let matcher = Matcher::new(MatchOp::Regex, label, values.join("|"));
            matchers.push(matcher.map_err(|error| QueryError::Execution(error.to_string()))?);
        }
    }
    if matchers.is_empty() {
        return HeldRows::new(&opener.env);
    }
    matchers.extend(conditions.labels.iter().chain(&conditions.names).cloned());
    let selector = Selector { matchers, shift, extension: RangeExtension::None, statistics: false };
    let range = shift.range_with_lookback(&scope.grid, opener.env.settings.lookback_ms);
    let series = opener.select(&selector, range)?;
    let set = series.set.clone();
    let (env, grid, tally) = (opener.env.clone(), scope.grid, scope.tally);
    let times = VectorSelector { env: env.clone(), series, grid, shift, facet: Facet::Timestamp, tally };
    refuse_histograms(&env, &times, &set)?;
    hold_all(&times, &env, grid.len)
}

fn refuse_histograms(
    env: &Arc<super::env::Env>,
    times: &VectorSelector,
    set: &Arc<dyn model::SeriesSet>,
) -> EvalResult<()> {
    let mut columns = model::SampleColumns::default();
    for i in 0..times.len() {
        columns.clear();
        set.read_last(i, times.series.range, &mut columns, &env.ctx)?;
        if !columns.histograms.is_empty() {
            let text = format!("this should be an info metric, with float samples: {}", set.labels(i));
            return Err(QueryError::Execution(text));
        }
    }
    Ok(())
}

/// `text` as a pattern that matches it alone.
fn quote_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

struct InfoJoin<'a> {
    base: &'a [HeldSeries],
    is_info: &'a [bool],
    info: &'a [InfoSeries<'a>],
    conditions: &'a Conditions,
    /// The groups (metric name and identifying labels) of info series, by number.
    of_info: Vec<usize>,
    groups: usize,
    /// The groups each base series may be enriched from.
    of_base: Vec<Vec<usize>>,
    results: HeldRows,
    by_source: HashMap<(usize, Vec<usize>), usize>,
    steps: usize,
}

impl<'a> InfoJoin<'a> {
    fn new(
        base: &'a [HeldSeries],
        is_info: &'a [bool],
        info: &'a [InfoSeries<'a>],
        conditions: &'a Conditions,
        steps: usize,
        results: HeldRows,
    ) -> Self {
        let mut numbers: HashMap<Labels, usize> = HashMap::new();
        let mut by_identity: HashMap<Labels, Vec<usize>> = HashMap::new();
        let mut of_info = Vec::with_capacity(info.len());
        for series in info {
            let identity = series.labels.keep(&IDENTIFYING_LABELS);
            let key = series.labels.keep(&[METRIC_NAME, IDENTIFYING_LABELS[0], IDENTIFYING_LABELS[1]]);
            let next = numbers.len();
            let group = *numbers.entry(key).or_insert(next);
            if group == next {
                by_identity.entry(identity).or_default().push(group);
            }
            of_info.push(group);
        }
        let of_base = base
            .iter()
            .map(|series| {
                by_identity.get(&series.labels.keep(&IDENTIFYING_LABELS)).cloned().unwrap_or_default()
            })
            .collect();
        let groups = numbers.len();
        let by_source = HashMap::new();
        Self { base, is_info, info, conditions, of_info, groups, of_base, results, by_source, steps }
    }

    fn step(&mut self, step: usize) -> EvalResult<()> {
        if !self.base.iter().any(|series| series.values.is_present(step)) {
            return Ok(());
        }
        let newest = self.newest_of_groups(step)?;
        for b in 0..self.base.len() {
            let base = self.base;
            if !base[b].values.is_present(step) {
                continue;
            }
            let sources: Vec<usize> = if self.is_info[b] {
                Vec::new()
            } else {
                self.of_base[b].iter().filter_map(|&group| newest[group]).collect()
            };
            if sources.is_empty() && !self.is_info[b] && !self.conditions.allow_missing() {
                continue;
            }
            let result = self.result_of(b, sources)?;
            self.results.series[result].values.copy_step(step, &base[b].values, step);
        }
        Ok(())
    }

    /// The info series of each group with the newest sample.
    fn newest_of_groups(&self, step: usize) -> EvalResult<Vec<Option<usize>>> {
        let mut newest: Vec<Option<usize>> = vec![None; self.groups];
        let time = |i: usize| self.info[i].sample_times.values[step];
        for i in 0..self.info.len() {
            if !self.info[i].sample_times.is_present(step) {
                continue;
            }
            let slot = &mut newest[self.of_info[i]];
            match *slot {
                Some(other) if time(other) > time(i) => {}
                Some(other) if time(other) == time(i) => {
                    let at_ms = (time(i) * 1000.0) as i64;
                    return Err(QueryError::Execution(format!(
                        "found duplicate series for info metric: existing {} @ {at_ms}, new {} @ {at_ms}",
                        self.info[other].labels, self.info[i].labels
                    )));
                }
                _ => *slot = Some(i),
            }
        }
        Ok(newest)
    }

    fn result_of(&mut self, base: usize, sources: Vec<usize>) -> EvalResult<usize> {
        if let Some(&known) = self.by_source.get(&(base, sources.clone())) {
            return Ok(known);
        }
        let labels = &self.base[base].labels;
        let mut added = LabelsBuilder::default();
        for &source in &sources {
            for (name, value) in self.info[source].labels {
                if !self.conditions.adds(name) {
                    continue;
                }
                if added.get(name).is_some_and(|other| other != value) {
                    return Err(QueryError::Execution(format!("conflicting label: {name}")));
                }
                if labels.get(name).is_none() {
                    added.set(name, value);
                }
            }
        }
        let mut builder = LabelsBuilder::from_labels(labels);
        added.iter().for_each(|(name, value)| {
            builder.set(name, value);
        });
        let drop_name = self.base[base].drop_name;
        // The entry below: its key, a list of few sources, and the place.
        self.results.bytes.add(2 * size_of::<((usize, Vec<usize>), usize)>() + 32)?;
        let result = self.results.push_absent(builder.build(), drop_name, self.steps)?;
        self.by_source.insert((base, sources), result);
        Ok(result)
    }
}
