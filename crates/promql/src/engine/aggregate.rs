//! Aggregations. Their input streams; only their result is held.

use std::collections::HashMap;
use std::sync::Arc;

use model::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME};

use super::env::{Env, HeldBytes};
use super::error::{EvalResult, QueryError};
use super::grouping::{Groups, group_series};
use super::names::{is_metadata_label, is_valid_label_name};
use super::open::{Opener, Scope};
use super::operator::{
    HeldRows, HeldSeries, Materialized, Operator, SharedOperator, count_samples, drive, take_row,
};
use super::plan::{Grouping, Node, NodeId};
use super::value::{StepValue, StepVector};
use crate::annotations::{Annotation, Annotations};
use crate::ast::AggregateOp;
use crate::functions::aggregate::{Accumulator, Aggregation};
use crate::functions::math;
use crate::functions::select::{KeepEnd, Selected, TopK, ratio_offset};

/// One aggregation while it runs.
struct Run<'a> {
    env: &'a Arc<Env>,
    input: SharedOperator,
    grouping: &'a Grouping,
    steps: usize,
    /// Where the aggregated expression starts in the query.
    input_start: usize,
}

/// Evaluates an aggregation.
pub(crate) fn open_aggregate(
    opener: &mut Opener<'_>,
    node: &Node,
    op: AggregateOp,
    grouping: &Grouping,
    param: Option<NodeId>,
    input: NodeId,
    scope: Scope,
) -> EvalResult<SharedOperator> {
    let start_of = |arg: usize| node.arg_spans.get(arg).map_or(node.span.start, |span| span.start);
    let steps = scope.grid.len;
    if op == AggregateOp::CountValues {
        let label =
            param.map(|param| super::calls::string_arg(opener, param)).transpose()?.unwrap_or_default();
        if !is_valid_label_name(&label) {
            let literal = node.arg_spans.get(1).map_or("", |span| span.of(opener.query));
            return Err(QueryError::Execution(format!("invalid label name {literal}")));
        }
        let input = opener.vector(input, scope)?;
        let env = opener.env.clone();
        return Run { env: &env, input, grouping, steps, input_start: start_of(0) }.count_values(&label);
    }
    let before = opener.env.samples.current();
    let params = match param {
        Some(param) => opener.scalar(param, scope)?,
        None => Arc::from([]),
    };
    let input = opener.vector(input, scope)?;
    let env = opener.env.clone();
    let run = Run { env: &env, input, grouping, steps, input_start: start_of(0) };
    let rows = match op {
        AggregateOp::Topk => run.top(KeepEnd::Largest, &params, node.span.start)?,
        AggregateOp::Bottomk => run.top(KeepEnd::Smallest, &params, node.span.start)?,
        AggregateOp::Limitk => run.limit(&params)?,
        AggregateOp::LimitRatio => run.ratio(&params, start_of(1))?,
        _ => run.fold(aggregation(op), &params, start_of(1))?,
    };
    env.samples.settle(before, count_samples(&rows.series))?;
    let is_unique = match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
            run.input.is_unique_without_metadata()
        }
        _ => run.groups_differ_without_metadata(),
    };
    Ok(Materialized::new(rows).unique_without_metadata(is_unique).shared())
}

fn aggregation(op: AggregateOp) -> Aggregation {
    match op {
        AggregateOp::Avg => Aggregation::Avg,
        AggregateOp::Min => Aggregation::Min,
        AggregateOp::Max => Aggregation::Max,
        AggregateOp::Count => Aggregation::Count,
        AggregateOp::Group => Aggregation::Group,
        AggregateOp::Stddev => Aggregation::Stddev,
        AggregateOp::Stdvar => Aggregation::Stdvar,
        AggregateOp::Quantile => Aggregation::Quantile,
        _ => Aggregation::Sum,
    }
}

/// What the values of a parameter at all steps have in common.
struct ParamRange {
    min: f64,
    max: f64,
    has_nan: bool,
}

impl ParamRange {
    fn of(params: &[f64]) -> Self {
        Self {
            min: params.iter().copied().fold(f64::MAX, math::min),
            max: params.iter().copied().fold(f64::MIN, math::max),
            has_nan: params.iter().any(|v| v.is_nan()),
        }
    }
}

impl Run<'_> {
    fn groups_differ_without_metadata(&self) -> bool {
        if self.grouping.without {
            !self.env.settings.type_and_unit_labels
        } else {
            !self.grouping.labels.iter().any(|name| is_metadata_label(name))
        }
    }

    fn groups(&self) -> EvalResult<Groups> {
        if self.grouping.is_single() {
            return Ok(Groups::single(self.input.len()));
        }
        group_series(self.env, &*self.input, self.grouping)
    }

    /// Aggregations with one result per group.
    fn fold(&self, aggregation: Aggregation, params: &[f64], param_start: usize) -> EvalResult<HeldRows> {
        if aggregation == Aggregation::Quantile {
            self.env.annotate(|annotations| note_quantiles(params, param_start, annotations));
        }
        let groups = self.groups()?;
        let slots = groups.first_series.len() * (size_of::<Option<Accumulator>>() + size_of::<bool>());
        let mut reserved = HeldBytes::of(self.env, slots)?;
        let mut accumulators: Vec<Option<Accumulator>> = Vec::new();
        accumulators.resize_with(groups.first_series.len(), || None);
        let mut drop_name = vec![false; groups.first_series.len()];
        let mut annotations = Annotations::default();
        let mut bytes = slots;
        let input = &*self.input;
        let delayed = self.env.settings.delayed_name_removal;
        drive(input, self.env, self.steps, |first, rows| {
            for (offset, row) in rows.iter().enumerate() {
                if row.is_all_absent() {
                    continue;
                }
                let i = first + offset;
                let group = groups.of_series.get(i).map_or(0, |&group| group as usize);
                drop_name[group] |= delayed && input.drop_name(i);
                let accumulator = accumulators[group].get_or_insert_with(|| {
                    let accumulator = Accumulator::new(aggregation, self.steps);
                    bytes += accumulator.memory_bytes();
                    accumulator
                });
                if aggregation == Aggregation::Quantile {
                    bytes += self.steps * 8;
                }
                let labels = std::cell::OnceCell::new();
                let name = || labels.get_or_init(|| input.labels(i)).metric_name();
                accumulator.add(row, name, self.input_start, &mut annotations);
            }
            reserved.raise_to(bytes)
        })?;
        let mut held = HeldRows::new(self.env)?;
        for (group, accumulator) in accumulators.into_iter().enumerate() {
            let Some(accumulator) = accumulator else { continue };
            let mut values = StepVector::default();
            accumulator.finish(params, self.input_start, &mut values, &mut annotations);
            if !values.is_all_absent() {
                let labels = self.group_labels(groups.first_series[group]);
                held.push(HeldSeries { labels, drop_name: drop_name[group], values })?;
            }
        }
        self.env.annotate(|all| all.merge(annotations));
        Ok(held)
    }

    fn group_labels(&self, first_series: usize) -> Labels {
        if self.grouping.is_single() {
            return Labels::empty();
        }
        self.grouping.labels_of(&self.input.labels(first_series))
    }

    /// How many series each step keeps of a group; `None` when none at all.
    fn limits(&self, params: &[f64]) -> EvalResult<Option<Arc<[usize]>>> {
        let range = ParamRange::of(params);
        if range.max < 1.0 {
            return Ok(None);
        }
        if range.has_nan {
            return Err(QueryError::Execution("Parameter value is NaN".to_owned()));
        }
        let shown = |value: f64| model::number::general(value);
        // The largest floats that an i64 holds.
        if range.min <= -9_223_372_036_854_775_808.0 {
            return Err(QueryError::Execution(format!("Scalar value {} underflows int64", shown(range.min))));
        }
        if range.max >= 9_223_372_036_854_774_784.0 {
            return Err(QueryError::Execution(format!("Scalar value {} overflows int64", shown(range.max))));
        }
        let series = self.input.len();
        Ok(Some(params.iter().map(|&k| if k < 1.0 { 0 } else { (k as usize).min(series) }).collect()))
    }

    /// `topk` and `bottomk`.
    fn top(&self, keep: KeepEnd, params: &[f64], start: usize) -> EvalResult<HeldRows> {
        let Some(limits) = self.limits(params)? else { return HeldRows::new(self.env) };
        let groups = self.groups()?;
        // A heap for each group and step, and as much in them as has come in or as they keep.
        let heaps = groups.first_series.len() * self.steps;
        let largest = limits.iter().copied().max().unwrap_or(0);
        let mut reserved = HeldBytes::new(self.env)?;
        let heap_bytes = heaps * size_of::<Vec<Selected>>() + groups.first_series.len() * size_of::<TopK>();
        reserved.add(heap_bytes)?;
        let mut tops: Vec<TopK> =
            groups.first_series.iter().map(|_| TopK::new(keep, limits.clone())).collect();
        let mut annotations = Annotations::default();
        drive(&*self.input, self.env, self.steps, |first, rows| {
            for (offset, row) in rows.iter().enumerate() {
                let i = first + offset;
                let group = groups.of_series.get(i).map_or(0, |&group| group as usize);
                tops[group].add(i as u32, row, start, &mut annotations);
            }
            let come_in = (first + rows.len()).saturating_mul(self.steps);
            let kept = come_in.min(heaps.saturating_mul(largest));
            // Heaps grow by doubling.
            reserved.raise_to(heap_bytes + kept * 2 * size_of::<Selected>())
        })?;
        self.env.annotate(|all| all.merge(annotations));
        let mut kept = Kept::new(self.env, &*self.input, self.steps)?;
        for top in &mut tops {
            for step in 0..self.steps {
                for selected in top.take(step) {
                    kept.row(selected.series as usize)?.set_float(step, selected.value);
                }
            }
        }
        Ok(kept.rows)
    }

    /// `limitk`: the first series of each group.
    fn limit(&self, params: &[f64]) -> EvalResult<HeldRows> {
        let Some(limits) = self.limits(params)? else { return HeldRows::new(self.env) };
        let groups = self.groups()?;
        let slots = groups.first_series.len() * self.steps;
        let _taken = HeldBytes::of(self.env, slots.saturating_mul(size_of::<usize>()))?;
        let mut taken = vec![0_usize; groups.first_series.len() * self.steps];
        let mut by_group = ByGroup::new(self.env)?;
        let input = &*self.input;
        drive(input, self.env, self.steps, |first, rows| {
            for (offset, row) in rows.iter_mut().enumerate() {
                let i = first + offset;
                let group = groups.of_series.get(i).copied().unwrap_or(0);
                let taken = &mut taken[group as usize * self.steps..][..self.steps];
                for step in 0..self.steps {
                    if !row.is_present(step) {
                        continue;
                    }
                    if taken[step] < limits[step] {
                        taken[step] += 1;
                    } else {
                        row.clear_step(step);
                    }
                }
                if !row.is_all_absent() {
                    by_group.push(group, take_row(input, i, row))?;
                }
            }
            Ok(())
        })?;
        by_group.finish()
    }

    /// `limit_ratio`: the series whose hash lies in the ratio.
    fn ratio(&self, params: &[f64], param_start: usize) -> EvalResult<HeldRows> {
        let range = ParamRange::of(params);
        if range.max == 0.0 && range.min == 0.0 {
            return HeldRows::new(self.env);
        }
        if range.has_nan {
            return Err(QueryError::Execution("Ratio value is NaN".to_owned()));
        }
        self.env.annotate(|annotations| {
            if range.max > 1.0 {
                annotations.add(Annotation::invalid_ratio(range.max, 1.0), param_start);
            }
            if range.min < -1.0 {
                annotations.add(Annotation::invalid_ratio(range.min, -1.0), param_start);
            }
        });
        let mut by_group = ByGroup::new(self.env)?;
        let groups = self.groups()?;
        let input = &*self.input;
        drive(input, self.env, self.steps, |first, rows| {
            for (offset, row) in rows.iter_mut().enumerate() {
                let i = first + offset;
                let offset = ratio_offset(&input.labels(i));
                for (step, &ratio) in params.iter().enumerate() {
                    let ratio = ratio.clamp(-1.0, 1.0);
                    let selected = if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio };
                    if !selected {
                        row.clear_step(step);
                    }
                }
                if !row.is_all_absent() {
                    let group = groups.of_series.get(i).copied().unwrap_or(0);
                    by_group.push(group, take_row(input, i, row))?;
                }
            }
            Ok(())
        })?;
        by_group.finish()
    }

    /// `count_values`: one result per group and value, the value in `label`.
    fn count_values(&self, label: &str) -> EvalResult<SharedOperator> {
        let before = self.env.samples.current();
        let mut labels = self.grouping.labels.clone();
        if self.grouping.without && !labels.iter().any(|name| name == label) {
            labels.push(label.to_owned());
            labels.sort_unstable();
        }
        let base = Grouping { labels, without: self.grouping.without };
        let is_removed = self.grouping.without
            && (self.grouping.labels.iter().any(|l| l == label) || label == METRIC_NAME);
        let groups = group_series(self.env, &*self.input, &base)?;
        let mut counted: HashMap<(u32, CountedValue), usize> = HashMap::new();
        let mut held = HeldRows::new(self.env)?;
        let input = &*self.input;
        drive(input, self.env, self.steps, |first, rows| {
            for (offset, row) in rows.iter().enumerate() {
                let group = groups.of_series[first + offset];
                for step in 0..self.steps {
                    let Some(value) = row.get(step) else { continue };
                    let key = (group, CountedValue::of(value));
                    let at = match counted.get(&key) {
                        Some(&known) => known,
                        None => {
                            let labels = base.labels_of(&input.labels(groups.first_series[group as usize]));
                            let text = if is_removed { String::new() } else { value_text(value) };
                            let labels = LabelsBuilder::from_labels(&labels).set(label, &text).build();
                            held.bytes.make_table_room(&mut counted, 1)?;
                            held.bytes.add(key.1.memory_bytes())?;
                            let at = held.push_absent(labels, false, self.steps)?;
                            counted.insert(key, at);
                            at
                        }
                    };
                    let count = &mut held.series[at].values;
                    let so_far = if count.is_present(step) { count.values[step] } else { 0.0 };
                    count.set_float(step, so_far + 1.0);
                }
            }
            Ok(())
        })?;
        drop(counted);
        // Values that are written alike count together.
        add_up_equal_labels(self.env, &mut held)?;
        self.env.samples.settle(before, count_samples(&held.series))?;
        Ok(Materialized::new(held).shared())
    }
}

fn note_quantiles(params: &[f64], start: usize, annotations: &mut Annotations) {
    let range = ParamRange::of(params);
    if range.has_nan {
        annotations.add(Annotation::invalid_quantile(f64::NAN), start);
    }
    if range.max > 1.0 {
        annotations.add(Annotation::invalid_quantile(range.max), start);
    }
    if range.min < 0.0 {
        annotations.add(Annotation::invalid_quantile(range.min), start);
    }
}

/// Selected series with their groups.
struct ByGroup {
    rows: HeldRows,
    group_of: Vec<u32>,
}

impl ByGroup {
    fn new(env: &Env) -> EvalResult<Self> {
        Ok(Self { rows: HeldRows::new(env)?, group_of: Vec::new() })
    }

    fn push(&mut self, group: u32, series: HeldSeries) -> EvalResult<()> {
        self.rows.bytes.make_room(&mut self.group_of, 1)?;
        self.group_of.push(group);
        self.rows.push(series)
    }

    /// The series in the order of their groups.
    fn finish(mut self) -> EvalResult<HeldRows> {
        if !self.group_of.is_sorted() {
            let HeldRows { series, bytes } = &mut self.rows;
            // Once more while they are sorted.
            let moved = series.len() * 2 * size_of::<(&u32, HeldSeries)>();
            bytes.add(moved)?;
            let mut pairs: Vec<_> = self.group_of.iter().zip(series.drain(..)).collect();
            pairs.sort_by_key(|(group, _)| **group);
            series.extend(pairs.into_iter().map(|(_, series)| series));
            bytes.give_back(moved);
        }
        Ok(self.rows)
    }
}

/// The series that were selected at some step, in the order in which they first were.
struct Kept<'a> {
    input: &'a dyn Operator,
    steps: usize,
    place: HashMap<usize, usize>,
    rows: HeldRows,
}

impl<'a> Kept<'a> {
    fn new(env: &Env, input: &'a dyn Operator, steps: usize) -> EvalResult<Self> {
        Ok(Self { input, steps, place: HashMap::new(), rows: HeldRows::new(env)? })
    }

    fn row(&mut self, series: usize) -> EvalResult<&mut StepVector> {
        let at = match self.place.get(&series) {
            Some(&known) => known,
            None => {
                self.rows.bytes.make_table_room(&mut self.place, 1)?;
                let (labels, drop_name) = (self.input.labels(series), self.input.drop_name(series));
                let at = self.rows.push_absent(labels, drop_name, self.steps)?;
                self.place.insert(series, at);
                at
            }
        };
        Ok(&mut self.rows.series[at].values)
    }
}

/// A value as a key.
#[derive(Debug, PartialEq, Eq, Hash)]
enum CountedValue {
    Float(u64),
    Histogram(String),
}

impl CountedValue {
    fn of(value: StepValue<'_>) -> Self {
        match value {
            StepValue::Float(value) => Self::Float(value.to_bits()),
            StepValue::Histogram(histogram) => Self::Histogram(FloatHistogram::to_string(histogram)),
        }
    }

    /// Bytes besides those of the value itself.
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Float(_) => 0,
            Self::Histogram(text) => text.capacity(),
        }
    }
}

fn value_text(value: StepValue<'_>) -> String {
    match value {
        StepValue::Float(value) => model::number::format_float(value, model::number::FloatFormat::Plain),
        StepValue::Histogram(histogram) => histogram.to_string(),
    }
}

fn add_up_equal_labels(env: &Env, held: &mut HeldRows) -> EvalResult<()> {
    let series = &mut held.series;
    let mut bytes = HeldBytes::new(env)?;
    let mut place: HashMap<Labels, usize> = HashMap::new();
    bytes.make_table_room(&mut place, series.len())?;
    let mut kept = 0;
    for i in 0..series.len() {
        let at = *place.entry(series[i].labels.clone()).or_insert(kept);
        if at == kept {
            series.swap(kept, i);
            kept += 1;
            continue;
        }
        let (added, rest) = series.split_at_mut(i);
        let (sum, one) = (&mut added[at].values, &rest[0].values);
        for step in (0..one.len()).filter(|&step| one.is_present(step)) {
            let so_far = if sum.is_present(step) { sum.values[step] } else { 0.0 };
            sum.set_float(step, so_far + one.values[step]);
        }
    }
    series.truncate(kept);
    Ok(())
}
