//! Aggregations of the series of each step.

use std::cmp::Ordering;

use hashbrown::HashMap;
use model::number::{FloatFormat, push_float};

use super::series::Line;
use crate::ast::{Grouping, VectorAggregation, VectorOp};
use crate::labels::LabelSet;

/// Aggregates series.
pub(super) fn aggregate(aggregation: &VectorAggregation, lines: Vec<Line>, steps: usize) -> Vec<Line> {
    let grouping = aggregation.grouping.as_ref();
    match aggregation.op {
        VectorOp::Sort | VectorOp::SortDesc => sorted(lines, aggregation.op == VectorOp::SortDesc, steps),
        VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk => {
            let is_top = aggregation.op != VectorOp::Bottomk;
            chosen(lines, aggregation.count, is_top, grouping, steps)
        }
        VectorOp::CountValues => {
            let label = aggregation.label.as_deref().unwrap_or_default();
            counted_values(&lines, label, grouping, steps)
        }
        op => grouped(&lines, grouping)
            .into_iter()
            .map(|(labels, members)| {
                let values = (0..steps).map(|step| {
                    let mut values =
                        members.iter().filter_map(|&member| lines[member].values[step]).peekable();
                    values.peek().is_some().then_some(()).map(|()| combine(op, values))
                });
                Line { labels, values: values.collect() }
            })
            .collect(),
    }
}

/// How many series of each group have each value, which becomes a label.
fn counted_values(lines: &[Line], label: &str, grouping: Option<&Grouping>, steps: usize) -> Vec<Line> {
    let mut counts: HashMap<LabelSet, Vec<Option<f64>>> = HashMap::new();
    let mut text = String::new();
    for line in lines {
        let group = group_of(&line.labels, grouping);
        for (step, value) in line.values.iter().enumerate() {
            let Some(value) = value else { continue };
            text.clear();
            push_float(&mut text, *value, FloatFormat::Plain);
            let labels = group.with(label, Some(&text));
            *counts.entry(labels).or_insert_with(|| vec![None; steps])[step].get_or_insert(0.0) += 1.0;
        }
    }
    let mut counted: Vec<Line> = counts.into_iter().map(|(labels, values)| Line { labels, values }).collect();
    counted.sort_by(|a, b| a.labels.cmp(&b.labels));
    counted
}

/// The labels of groups, and which series are in each, in the order in which they come.
fn grouped(lines: &[Line], grouping: Option<&Grouping>) -> Vec<(LabelSet, Vec<usize>)> {
    let mut places: HashMap<LabelSet, usize> = HashMap::new();
    let mut groups: Vec<(LabelSet, Vec<usize>)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let labels = group_of(&line.labels, grouping);
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(at);
    }
    groups
}

/// The labels of the group of a series.
pub(super) fn group_of(labels: &LabelSet, grouping: Option<&Grouping>) -> LabelSet {
    match grouping {
        None => LabelSet::default(),
        Some(grouping) => labels.project(&grouping.names, grouping.without),
    }
}

fn combine(op: VectorOp, values: impl Iterator<Item = f64>) -> f64 {
    match op {
        VectorOp::Sum => values.sum(),
        VectorOp::Count => values.count() as f64,
        VectorOp::Max => {
            values.fold(f64::NAN, |max, value| if max < value || max.is_nan() { value } else { max })
        }
        VectorOp::Min => {
            values.fold(f64::NAN, |min, value| if min > value || min.is_nan() { value } else { min })
        }
        VectorOp::Avg => mean_and_variance(values).0,
        VectorOp::Stdvar => mean_and_variance(values).1,
        VectorOp::Stddev => mean_and_variance(values).1.sqrt(),
        _ => f64::NAN,
    }
}

/// Mean and population variance in one pass.
pub(super) fn mean_and_variance(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    (mean, squares / count)
}

/// Numbers before NaN, whichever way they are sorted.
fn compare(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if descending => b.total_cmp(&a),
        _ => a.total_cmp(&b),
    }
}

/// Series by their last value: only instants have an order of series.
fn sorted(mut lines: Vec<Line>, descending: bool, steps: usize) -> Vec<Line> {
    if steps == 1 {
        lines.retain(|line| line.values[0].is_some());
        lines.sort_by(|a, b| {
            let value = |line: &Line| line.values[0].unwrap_or(f64::NAN);
            compare(value(a), value(b), descending).then_with(|| a.labels.cmp(&b.labels))
        });
    }
    lines
}

/// The series with the largest or smallest values of each group and step.
fn chosen(
    lines: Vec<Line>,
    count: usize,
    is_top: bool,
    grouping: Option<&Grouping>,
    steps: usize,
) -> Vec<Line> {
    let mut out: Vec<Line> =
        lines.iter().map(|line| Line { labels: line.labels.clone(), values: vec![None; steps] }).collect();
    let mut order = Vec::new();
    for (_, members) in grouped(&lines, grouping) {
        for step in 0..steps {
            let mut present: Vec<(usize, f64)> =
                members.iter().filter_map(|&at| lines[at].values[step].map(|value| (at, value))).collect();
            present.sort_by(|a, b| {
                compare(a.1, b.1, is_top).then_with(|| lines[a.0].labels.cmp(&lines[b.0].labels))
            });
            for &(at, value) in present.iter().take(count) {
                out[at].values[step] = Some(value);
                if steps == 1 {
                    order.push(at);
                }
            }
        }
    }
    if steps == 1 {
        return order.into_iter().map(|at| out[at].clone()).collect();
    }
    out.retain(|line| line.values.iter().any(Option::is_some));
    out
}
