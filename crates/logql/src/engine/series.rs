//! Queries that compute series.

use super::{CostSummary, Engine, beyond, binary, vector};
use crate::ast::{LabelReplace, MetricExpr, RangeOp, VectorOp};
use crate::error::QueryError;
use crate::labels::LabelSet;

/// The times a query is evaluated at, in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first.
    pub start_ns: i64,
    /// None is later.
    pub end_ns: i64,
    /// The time between two.
    pub step_ns: i64,
}

impl Steps {
    /// One time.
    pub fn instant(at_ns: i64) -> Self {
        Self { start_ns: at_ns, end_ns: at_ns, step_ns: 1 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let span = self.end_ns.saturating_sub(self.start_ns);
        if span < 0 { 0 } else { (span / self.step_ns.max(1)) as usize + 1 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    pub fn at(&self, step: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64))
    }
}

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Nanoseconds since the epoch.
    pub timestamp_ns: i64,
    /// The value.
    pub value: f64,
}

/// A series of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: LabelSet,
    /// In ascending order of time, at least one.
    pub samples: Vec<Sample>,
}

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct SeriesResult {
    /// What was computed.
    pub values: Values,
    /// What it cost.
    pub cost: CostSummary,
}

/// What was computed.
#[derive(Debug, Clone)]
pub enum Values {
    /// A number without labels.
    Scalar(f64),
    /// Series, sorted by labels unless the query sorts them.
    Series(Vec<Series>),
}

/// A series while it is computed: a value or none for each step.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub labels: LabelSet,
    pub values: Vec<Option<f64>>,
}

/// The value of an expression.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(f64),
    Lines(Vec<Line>),
}

impl Engine<'_> {
    /// Computes series.
    pub fn series(&self, query: &MetricExpr, steps: Steps) -> Result<SeriesResult, QueryError> {
        let resolved = beyond::with_edges(query, steps);
        let query = resolved.as_ref().unwrap_or(query);
        let mut lines = match self.evaluate(query, steps)? {
            Value::Scalar(value) => {
                return Ok(SeriesResult { values: Values::Scalar(value), cost: self.cost.summary() });
            }
            Value::Lines(lines) => lines,
        };
        lines.retain(|line| line.values.iter().any(Option::is_some));
        self.check_series(lines.len())?;
        let is_sorted = matches!(query, MetricExpr::Vector(vector)
            if matches!(vector.op, VectorOp::Sort | VectorOp::SortDesc | VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk))
            && steps.len() == 1;
        if !is_sorted {
            lines.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        let series = lines.into_iter().map(|line| {
            let samples = line.values.iter().enumerate().filter_map(|(step, value)| {
                value.map(|value| Sample { timestamp_ns: steps.at(step), value })
            });
            Series { samples: samples.collect(), labels: line.labels }
        });
        Ok(SeriesResult { values: Values::Series(series.collect()), cost: self.cost.summary() })
    }

    fn check_series(&self, count: usize) -> Result<(), QueryError> {
        let limit = self.limits.max_series;
        if limit > 0 && count > limit { Err(QueryError::TooManySeries(limit)) } else { Ok(()) }
    }

    pub(super) fn evaluate(&self, expr: &MetricExpr, steps: Steps) -> Result<Value, QueryError> {
        self.ctx.check("log query evaluation")?;
        Ok(match expr {
            MetricExpr::Literal(value) => Value::Scalar(*value),
            MetricExpr::Constant(value) => Value::Lines(vec![Line {
                labels: LabelSet::default(),
                values: vec![Some(*value); steps.len()],
            }]),
            MetricExpr::Range(range) => Value::Lines(self.range_at(range, None, steps)?),
            MetricExpr::Subquery(subquery) => Value::Lines(self.subquery(subquery, steps)?),
            MetricExpr::Vector(aggregation) => {
                let inner = match &aggregation.inner {
                    MetricExpr::Range(range) if aggregation.op == VectorOp::Sum && sums_like(range.op) => {
                        let everything = crate::ast::Grouping { names: Vec::new(), without: false };
                        let grouping = aggregation.grouping.as_ref().unwrap_or(&everything);
                        self.range_at(range, Some(grouping), steps)?
                    }
                    other => match self.evaluate(other, steps)? {
                        Value::Lines(lines) => lines,
                        Value::Scalar(value) => {
                            vec![Line { labels: LabelSet::default(), values: vec![Some(value); steps.len()] }]
                        }
                    },
                };
                if aggregation.op.takes_count() {
                    // Aggregations that only choose series do not make a query of too many series a smaller one.
                    self.check_series(inner.len())?;
                }
                Value::Lines(vector::aggregate(aggregation, inner, steps.len()))
            }
            MetricExpr::Binary(binary) => {
                let left = self.evaluate(&binary.left, steps)?;
                let right = self.evaluate(&binary.right, steps)?;
                binary::apply(binary, left, right, steps.len())?
            }
            MetricExpr::LabelReplace(replace) => match self.evaluate(&replace.inner, steps)? {
                Value::Lines(lines) => Value::Lines(label_replace(replace, lines)?),
                scalar => scalar,
            },
        })
    }
}

/// Whether series of a function can be summed while lines are read.
fn sums_like(op: RangeOp) -> bool {
    matches!(
        op,
        RangeOp::CountOverTime
            | RangeOp::Rate
            | RangeOp::BytesOverTime
            | RangeOp::BytesRate
            | RangeOp::SumOverTime
    )
}

fn label_replace(replace: &LabelReplace, lines: Vec<Line>) -> Result<Vec<Line>, QueryError> {
    let mut out: Vec<Line> = Vec::with_capacity(lines.len());
    let mut seen = hashbrown::HashSet::new();
    for mut line in lines {
        let source = line.labels.get(&replace.source).unwrap_or_default();
        if let Some(captures) = replace.regex.captures(source) {
            let mut value = String::new();
            captures.expand(&replace.replacement, &mut value);
            line.labels = line.labels.with(&replace.destination, (!value.is_empty()).then_some(&value));
        }
        if !seen.insert(line.labels.clone()) {
            return Err(QueryError::Execution(
                "vector cannot contain metrics with the same labelset".to_owned(),
            ));
        }
        out.push(line);
    }
    Ok(out)
}
