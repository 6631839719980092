//! Operators between series.

use hashbrown::{HashMap, HashSet};

use super::arithmetic;
use super::series::{Line, Value};
use crate::ast::{Binary, BinaryOp, Matching, Side};
use crate::error::QueryError;
use crate::labels::LabelSet;

/// Carries out an operation.
pub(super) fn apply(binary: &Binary, left: Value, right: Value, steps: usize) -> Result<Value, QueryError> {
    let op = binary.op;
    Ok(match (left, right) {
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(arithmetic::literals(op, a, b)),
        (Value::Lines(lines), Value::Scalar(b)) => {
            Value::Lines(each(lines, |a| arithmetic::apply(op, a, b, binary.returns_bool)))
        }
        (Value::Scalar(a), Value::Lines(lines)) => Value::Lines(each(lines, |b| {
            let value = arithmetic::apply(op, a, b, binary.returns_bool)?;
            // A comparison that only filters keeps the value of the series.
            Some(if op.comparison().is_some() && !binary.returns_bool { b } else { value })
        })),
        (Value::Lines(left), Value::Lines(right)) if op.is_set() => {
            Value::Lines(sets(op, &binary.matching, left, right, steps))
        }
        (Value::Lines(left), Value::Lines(right)) => Value::Lines(joined(binary, left, right, steps)?),
    })
}

fn each(lines: Vec<Line>, call: impl Fn(f64) -> Option<f64>) -> Vec<Line> {
    let mapped = lines.into_iter().map(|line| Line {
        values: line.values.iter().map(|value| value.and_then(&call)).collect(),
        labels: line.labels,
    });
    mapped.collect()
}

/// The labels by which series of two sides belong together.
fn signature(labels: &LabelSet, matching: &Matching) -> LabelSet {
    labels.project(&matching.names, !matching.on)
}

fn sets(op: BinaryOp, matching: &Matching, left: Vec<Line>, right: Vec<Line>, steps: usize) -> Vec<Line> {
    let mut out = Vec::new();
    let present = |lines: &[Line], step: usize| -> HashSet<LabelSet> {
        let there = lines.iter().filter(|line| line.values[step].is_some());
        there.map(|line| signature(&line.labels, matching)).collect()
    };
    let (kept, tested) = if op == BinaryOp::Or { (right, left) } else { (left, right) };
    let tests: Vec<HashSet<LabelSet>> = (0..steps).map(|step| present(&tested, step)).collect();
    let wanted = op == BinaryOp::And;
    for mut line in kept {
        let signature = signature(&line.labels, matching);
        for (value, test) in line.values.iter_mut().zip(&tests) {
            if test.contains(&signature) != wanted {
                *value = None;
            }
        }
        out.push(line);
    }
    if op == BinaryOp::Or {
        // A series that both sides have, each at its times, is one.
        let mut all = tested;
        for line in out {
            match all.iter_mut().find(|other| other.labels == line.labels) {
                Some(other) => {
                    for (value, more) in other.values.iter_mut().zip(line.values) {
                        *value = value.or(more);
                    }
                }
                None => all.push(line),
            }
        }
        return all;
    }
    out
}

const MANY_TO_MANY: &str = "many-to-many matching not allowed: matching labels must be unique on one side";

fn joined(binary: &Binary, left: Vec<Line>, right: Vec<Line>, steps: usize) -> Result<Vec<Line>, QueryError> {
    let matching = &binary.matching;
    let is_swapped = matching.many == Some(Side::Right);
    let (many, one) = if is_swapped { (right, left) } else { (left, right) };
    let mut ones: HashMap<LabelSet, Vec<&Line>> = HashMap::new();
    for line in &one {
        ones.entry(signature(&line.labels, matching)).or_default().push(line);
    }
    let mut out: HashMap<LabelSet, Line> = HashMap::new();
    let mut order = Vec::new();
    for line in &many {
        let Some(partners) = ones.get(&signature(&line.labels, matching)) else { continue };
        for step in 0..steps {
            let Some(value) = line.values[step] else { continue };
            let mut there = partners.iter().filter_map(|partner| partner.values[step].map(|v| (*partner, v)));
            let Some((partner, other)) = there.next() else { continue };
            if there.next().is_some() {
                let side = if is_swapped { "left" } else { "right" };
                return Err(QueryError::Execution(format!(
                    "found duplicate series on the {side} hand-side;{MANY_TO_MANY}"
                )));
            }
            let (a, b) = if is_swapped { (other, value) } else { (value, other) };
            let Some(result) = arithmetic::apply(binary.op, a, b, binary.returns_bool) else { continue };
            let labels = result_labels(binary, &line.labels, &partner.labels);
            let target = out.entry(labels).or_insert_with_key(|labels| {
                order.push(labels.clone());
                Line { labels: labels.clone(), values: vec![None; steps] }
            });
            if target.values[step].replace(result).is_some() {
                let problem = if matching.many.is_some() {
                    "multiple matches for labels: grouping labels must ensure unique matches"
                } else {
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                };
                return Err(QueryError::Execution(problem.to_owned()));
            }
        }
    }
    Ok(order.into_iter().filter_map(|labels| out.remove(&labels)).collect())
}

/// The labels of a result: those of the side of many, or those by which both sides were matched.
fn result_labels(binary: &Binary, many: &LabelSet, one: &LabelSet) -> LabelSet {
    let matching = &binary.matching;
    if matching.many.is_none() {
        return if matching.is_explicit { signature(many, matching) } else { many.clone() };
    }
    let mut labels = many.clone();
    for name in &matching.include {
        labels = labels.with(name, one.get(name).filter(|value| !value.is_empty()));
    }
    labels
}
