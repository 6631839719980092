//! What the language can do beyond the reference: fixed times, subqueries, lines that differ in some labels.

use hashbrown::{HashMap, HashSet};

use super::lines::{Direction, Entry, LineParams, LogResult};
use super::range::Windows;
use super::series::{Line, Steps, Value};
use super::{Engine, window};
use crate::ast::{At, Grouping, LogExpr, MetricExpr, RangeAggregation, RangeOp, Subquery};
use crate::error::QueryError;
use crate::labels::LabelSet;

/// Nanoseconds between the values of a subquery that does not say it.
const DEFAULT_STEP_NS: i64 = 60 * 1_000_000_000;
/// Values of one series of a subquery.
const MAX_STEPS: usize = 100_000;

impl Engine<'_> {
    /// A range aggregation whose range may lie at a fixed time.
    pub(super) fn range_at(
        &self,
        range: &RangeAggregation,
        outer: Option<&Grouping>,
        steps: Steps,
    ) -> Result<Vec<Line>, QueryError> {
        match range.at {
            Some(at) => {
                let once = self.range(range, outer, Steps::instant(time_of(at, steps)))?;
                self.repeated(once, steps)
            }
            None => self.range(range, outer, steps),
        }
    }

    /// The values of a function over the values of an expression.
    pub(super) fn subquery(&self, subquery: &Subquery, steps: Steps) -> Result<Vec<Line>, QueryError> {
        let outer = subquery.at.map_or(steps, |at| Steps::instant(time_of(at, steps)));
        let first_ns = outer.start_ns.saturating_sub(subquery.offset_ns);
        let windows = Windows::over(first_ns, subquery.range_ns, outer);
        let covered = windows.covered();
        let step_ns = subquery.step_ns.unwrap_or(DEFAULT_STEP_NS).max(1);
        // The same times whenever the query is asked: multiples of the step.
        let start_ns = covered.start_ns.saturating_add(step_ns - 1).div_euclid(step_ns) * step_ns;
        let inner = Steps { start_ns, end_ns: covered.end_ns.saturating_sub(1), step_ns };
        if inner.len() > MAX_STEPS {
            let problem = format!(
                "a subquery would be evaluated at {} times; the most are {MAX_STEPS}: take a longer step or a shorter range",
                inner.len()
            );
            return Err(QueryError::Execution(problem));
        }
        let lines = match self.evaluate(&subquery.inner, inner)? {
            Value::Lines(lines) => lines,
            Value::Scalar(value) => {
                vec![Line { labels: LabelSet::default(), values: vec![Some(value); inner.len()] }]
            }
        };
        let value_bytes = size_of::<(i64, f64)>() + size_of::<Option<f64>>();
        let held = self.ctx.reserve(lines.len() * (inner.len() + outer.len()) * value_bytes)?;
        let reduced = lines.into_iter().map(|line| {
            let points = line.values.iter().enumerate();
            let values: Vec<(i64, f64)> =
                points.filter_map(|(step, value)| value.map(|value| (inner.at(step), value))).collect();
            let values = window::values((subquery.op, subquery.parameter), &values, &windows, outer.len());
            Line { labels: line.labels, values }
        });
        let mut lines: Vec<Line> = reduced.collect();
        drop(held);
        if subquery.op == RangeOp::AbsentOverTime {
            let is_absent = |step: usize| lines.iter().all(|line| line.values[step].is_none());
            let values = (0..outer.len()).map(|step| is_absent(step).then_some(1.0)).collect();
            lines = vec![Line { labels: LabelSet::default(), values }];
        }
        if subquery.at.is_some() { self.repeated(lines, steps) } else { Ok(lines) }
    }

    /// The values of one time at all steps.
    fn repeated(&self, once: Vec<Line>, steps: Steps) -> Result<Vec<Line>, QueryError> {
        let _held = self.ctx.reserve(once.len() * steps.len() * size_of::<Option<f64>>())?;
        let repeat = |line: Line| {
            let value = line.values.first().copied().flatten();
            Line { labels: line.labels, values: vec![value; steps.len()] }
        };
        Ok(once.into_iter().map(repeat).collect())
    }
}

fn time_of(at: At, steps: Steps) -> i64 {
    match at {
        At::Time(ns) => ns,
        At::Start => steps.start_ns,
        At::End => steps.end_ns,
    }
}

/// The expression with the edges of the query written as times: inside of a subquery they are still those of the query.
/// Nothing if there are none.
pub(super) fn with_edges(query: &MetricExpr, steps: Steps) -> Option<MetricExpr> {
    let mut has_edges = false;
    visit(query, &mut |at| has_edges |= matches!(at, At::Start | At::End));
    if !has_edges {
        return None;
    }
    let mut query = query.clone();
    visit_mut(&mut query, &mut |at| *at = At::Time(time_of(*at, steps)));
    Some(query)
}

fn visit(expr: &MetricExpr, see: &mut impl FnMut(At)) {
    match expr {
        MetricExpr::Range(range) => range.at.into_iter().for_each(see),
        MetricExpr::Subquery(subquery) => {
            subquery.at.into_iter().for_each(&mut *see);
            visit(&subquery.inner, see);
        }
        MetricExpr::Vector(vector) => visit(&vector.inner, see),
        MetricExpr::Binary(binary) => {
            visit(&binary.left, see);
            visit(&binary.right, see);
        }
        MetricExpr::LabelReplace(replace) => visit(&replace.inner, see),
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => {}
    }
}

fn visit_mut(expr: &mut MetricExpr, change: &mut impl FnMut(&mut At)) {
    match expr {
        MetricExpr::Range(range) => range.at.iter_mut().for_each(change),
        MetricExpr::Subquery(subquery) => {
            subquery.at.iter_mut().for_each(&mut *change);
            visit_mut(&mut subquery.inner, change);
        }
        MetricExpr::Vector(vector) => visit_mut(&mut vector.inner, change),
        MetricExpr::Binary(binary) => {
            visit_mut(&mut binary.left, change);
            visit_mut(&mut binary.right, change);
        }
        MetricExpr::LabelReplace(replace) => visit_mut(&mut replace.inner, change),
        MetricExpr::Literal(_) | MetricExpr::Constant(_) => {}
    }
}

/// Lines that are looked at at a time for those that differ.
const PAGE_LINES: usize = 5000;

impl Engine<'_> {
    /// Of lines with equal values of some labels, the first one in the direction of the query.
    pub(super) fn distinct_lines(
        &self,
        query: &LogExpr,
        params: &LineParams,
    ) -> Result<LogResult, QueryError> {
        let names = &query.distinct;
        let inner = LogExpr { distinct: Vec::new(), ..query.clone() };
        let is_forward = params.direction == Direction::Forward;
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        let mut found: HashMap<LabelSet, Vec<Entry>> = HashMap::new();
        let mut held = self.ctx.reserve(0)?;
        let mut asked = LineParams { limit: PAGE_LINES, interval_ns: 0, ..*params };
        let mut page = self.lines(&inner, &asked)?;
        loop {
            let count = page.entries;
            let streams = std::mem::take(&mut page.streams);
            let mut entries: Vec<(LabelSet, Entry)> = streams
                .into_iter()
                .flat_map(|(labels, entries)| entries.into_iter().map(move |entry| (labels.clone(), entry)))
                .collect();
            entries.sort_by_key(|(_, entry)| {
                if is_forward { entry.timestamp_ns } else { entry.timestamp_ns.saturating_neg() }
            });
            let last_ns = entries.last().map(|(_, entry)| entry.timestamp_ns);
            for (labels, entry) in entries {
                let key = key_of(names, &labels, &entry);
                if seen.len() >= params.limit || seen.contains(&key) {
                    continue;
                }
                held.absorb(self.ctx.reserve(key.len() + entry.line.len() + labels.bytes() + 128)?);
                seen.insert(key);
                found.entry(labels).or_default().push(entry);
            }
            let Some(last_ns) = last_ns.filter(|_| count >= asked.limit && seen.len() < params.limit) else {
                break;
            };
            // Lines of the last moment come again, and are known then.
            let before = asked.range;
            match is_forward {
                true => asked.range.start_ns = last_ns,
                false => asked.range.end_ns = last_ns.saturating_add(1),
            }
            if asked.range == before {
                asked.limit = asked.limit.saturating_mul(4);
            }
            page = self.lines(&inner, &asked)?;
        }
        page.entries = seen.len();
        page.streams = found.into_iter().collect();
        page.streams.sort_by_cached_key(|(labels, _)| labels.to_string());
        page.cost = self.cost.summary();
        Ok(page)
    }
}

/// The values of some labels, so that different ones differ; one that is missing is empty.
fn key_of(names: &[String], labels: &LabelSet, entry: &Entry) -> Vec<u8> {
    let mut key = Vec::new();
    for name in names {
        let extra = || {
            entry
                .extra
                .as_ref()
                .and_then(|(metadata, parsed)| parsed.get(name).or_else(|| metadata.get(name)))
        };
        let value = extra().or_else(|| labels.get(name)).unwrap_or_default().as_bytes();
        key.extend_from_slice(&(value.len() as u64).to_le_bytes());
        key.extend_from_slice(value);
    }
    key
}
