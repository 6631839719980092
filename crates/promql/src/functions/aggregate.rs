//! Accumulators of aggregations: one per group, fed with one series after another, each at all steps.
//!
//! State is kept in columns, one slot per step, so that adding a series of floats is one pass over plain
//! arrays. Series must be added in their order: sums depend on it in their last bits.

use std::sync::Arc;

use model::histogram::HistogramError;
use model::kahan::kahan_step;
use smol_str::SmolStr;

use super::histogram_sum::HistogramSum;
use super::over_time::Mean;
use super::quantile::quantile_of;
use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::engine::value::{ABSENT, StepValue, StepVector, is_absent};

/// An aggregation that gives one series per group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `quantile`
    Quantile,
}

impl Aggregation {
    fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Quantile => "quantile",
        }
    }
}

/// The accumulator of one group.
#[derive(Debug)]
pub struct Accumulator {
    aggregation: Aggregation,
    steps: usize,
    state: State,
    /// The histograms of `sum` and `avg`; empty as long as there are none.
    histograms: Vec<HistogramSlot>,
}

/// What is known of the floats of each step.
#[derive(Debug)]
enum State {
    Sum {
        sums: Vec<f64>,
        compensations: Vec<f64>,
        seen: Vec<bool>,
    },
    Avg(Vec<Option<Mean>>),
    /// The extreme so far, [`ABSENT`] where there is none.
    Extreme(Vec<f64>),
    /// The number of values.
    Count(Vec<u32>),
    /// Variance by Welford's method.
    Spread(Vec<Spread>),
    /// All values, series by series.
    All(Vec<f64>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }
}

/// The histograms of one step.
#[derive(Debug, Default)]
enum HistogramSlot {
    /// None so far.
    #[default]
    Empty,
    /// Their sum or mean.
    Sum(Box<HistogramSum>),
    /// Some came after floats: there is no result, so they are not added up.
    AfterFloats,
    /// They cannot be combined. Nothing more is looked at.
    Incompatible { reconciled: bool },
}

impl Accumulator {
    /// An empty accumulator for `steps` steps.
    pub fn new(aggregation: Aggregation, steps: usize) -> Self {
        let state = match aggregation {
            Aggregation::Sum => State::Sum {
                sums: vec![0.0; steps],
                compensations: vec![0.0; steps],
                seen: vec![false; steps],
            },
            Aggregation::Avg => State::Avg(vec![None; steps]),
            Aggregation::Min | Aggregation::Max => State::Extreme(vec![ABSENT; steps]),
            Aggregation::Count | Aggregation::Group => State::Count(vec![0; steps]),
            Aggregation::Stddev | Aggregation::Stdvar => State::Spread(vec![Spread::default(); steps]),
            Aggregation::Quantile => State::All(Vec::new()),
        };
        Self { aggregation, steps, state, histograms: Vec::new() }
    }

    /// Adds a series, whose metric name `metric_name` tells if asked. `start` is where the aggregated
    /// expression stands in the query.
    pub fn add<'n>(
        &mut self,
        series: &StepVector,
        metric_name: impl Fn() -> &'n str,
        start: usize,
        annotations: &mut Annotations,
    ) {
        debug_assert_eq!(series.len(), self.steps, "a series has as many steps as its group");
        if series.has_histograms() || !self.histograms.is_empty() {
            self.add_mixed(series, metric_name, start, annotations);
        } else {
            self.add_floats(&series.values);
        }
    }

    fn add_floats(&mut self, values: &[f64]) {
        let is_min = self.aggregation == Aggregation::Min;
        match &mut self.state {
            State::Sum { sums, compensations, seen } => {
                for (((&value, sum), compensation), seen) in
                    values.iter().zip(sums).zip(compensations).zip(seen)
                {
                    // Adding zero changes nothing, which spares a branch.
                    let present = !is_absent(value);
                    *seen |= present;
                    (*sum, *compensation) =
                        kahan_step(if present { value } else { 0.0 }, *sum, *compensation);
                }
            }
            State::Avg(means) => {
                for (mean, &value) in means.iter_mut().zip(values) {
                    if !is_absent(value) {
                        add_to_mean(mean, value);
                    }
                }
            }
            State::Extreme(extremes) if is_min => fold_extreme(extremes, values, |new, best| new < best),
            State::Extreme(extremes) => fold_extreme(extremes, values, |new, best| new > best),
            State::Count(counts) => {
                for (count, &value) in counts.iter_mut().zip(values) {
                    *count += u32::from(!is_absent(value));
                }
            }
            State::Spread(spreads) => {
                for (spread, &value) in spreads.iter_mut().zip(values) {
                    if !is_absent(value) {
                        spread.add(value);
                    }
                }
            }
            State::All(all) => all.extend_from_slice(values),
        }
    }

    fn add_mixed<'n>(
        &mut self,
        series: &StepVector,
        metric_name: impl Fn() -> &'n str,
        start: usize,
        annotations: &mut Annotations,
    ) {
        if matches!(self.aggregation, Aggregation::Sum | Aggregation::Avg) {
            self.histograms.resize_with(self.steps, HistogramSlot::default);
        }
        let mut floats = series.values.clone();
        for (step, float) in floats.iter_mut().enumerate() {
            match series.get(step) {
                None => {}
                Some(StepValue::Float(_)) => {
                    if let Some(HistogramSlot::Incompatible { .. }) = self.histograms.get(step) {
                        *float = ABSENT;
                    }
                }
                Some(StepValue::Histogram(histogram)) => match self.aggregation {
                    // A histogram counts as one value, whatever it is.
                    Aggregation::Count | Aggregation::Group => {}
                    Aggregation::Sum | Aggregation::Avg => {
                        *float = ABSENT;
                        let added = self.add_histogram(step, histogram);
                        if added == Err(HistogramError::IncompatibleSchema) {
                            let metric = SmolStr::new(metric_name());
                            annotations.add(Annotation::MixedExponentialCustomHistograms(metric), start);
                        }
                    }
                    other => {
                        *float = ABSENT;
                        annotations.add(Annotation::HistogramIgnoredInAggregation(other.name()), start);
                    }
                },
            }
        }
        self.add_floats(&floats);
    }

    fn has_float(&self, step: usize) -> bool {
        match &self.state {
            State::Sum { seen, .. } => seen[step],
            State::Avg(means) => means[step].is_some(),
            _ => false,
        }
    }

    fn add_histogram(
        &mut self,
        step: usize,
        histogram: &model::FloatHistogram,
    ) -> Result<(), HistogramError> {
        let has_float = self.has_float(step);
        let slot = &mut self.histograms[step];
        match slot {
            HistogramSlot::Empty if has_float => *slot = HistogramSlot::AfterFloats,
            HistogramSlot::Empty => {
                let is_mean = self.aggregation == Aggregation::Avg;
                *slot = HistogramSlot::Sum(Box::new(HistogramSum::new(histogram, is_mean)));
            }
            HistogramSlot::Sum(sum) => {
                if let Err(error) = sum.add(histogram) {
                    *slot = HistogramSlot::Incompatible { reconciled: sum.has_reconciled_bounds() };
                    return Err(error);
                }
            }
            HistogramSlot::AfterFloats | HistogramSlot::Incompatible { .. } => {}
        }
        Ok(())
    }

    /// Writes the group's values to `out`, which is reset first. `quantiles` has one value per step for
    /// `quantile`; else it is not looked at.
    pub fn finish(
        mut self,
        quantiles: &[f64],
        start: usize,
        out: &mut StepVector,
        annotations: &mut Annotations,
    ) {
        out.reset(self.steps);
        let histograms = std::mem::take(&mut self.histograms);
        self.finish_floats(quantiles, out);
        for (step, slot) in histograms.into_iter().enumerate() {
            finish_histogram(slot, step, start, out, annotations);
        }
    }

    fn finish_floats(self, quantiles: &[f64], out: &mut StepVector) {
        let values = out.values.iter_mut();
        match self.state {
            State::Sum { sums, compensations, seen } => {
                for (((out, sum), compensation), seen) in values.zip(sums).zip(compensations).zip(seen) {
                    if seen {
                        *out = sum + compensation;
                    }
                }
            }
            State::Avg(means) => {
                for (out, mean) in values.zip(means) {
                    if let Some(mean) = mean {
                        *out = mean.value();
                    }
                }
            }
            State::Extreme(extremes) => out.values = extremes,
            State::Count(counts) => {
                let is_group = self.aggregation == Aggregation::Group;
                for (out, count) in values.zip(counts).filter(|(_, count)| *count > 0) {
                    *out = if is_group { 1.0 } else { f64::from(count) };
                }
            }
            State::Spread(spreads) => {
                let is_stddev = self.aggregation == Aggregation::Stddev;
                for (out, spread) in values.zip(spreads).filter(|(_, spread)| spread.count > 0.0) {
                    let variance = spread.squares / spread.count;
                    *out = if is_stddev { variance.sqrt() } else { variance };
                }
            }
            State::All(all) => {
                let mut of_step = Vec::with_capacity(all.len() / self.steps.max(1));
                for (step, out) in values.enumerate() {
                    of_step.clear();
                    of_step.extend(
                        all[step.min(all.len())..].iter().step_by(self.steps).filter(|v| !is_absent(**v)),
                    );
                    if !of_step.is_empty() {
                        *out = quantile_of(quantiles[step], &mut of_step);
                    }
                }
            }
        }
    }

    /// Bytes in use, for budgets. Only `quantile` and histograms grow with the number of series.
    pub fn memory_bytes(&self) -> usize {
        let state = match &self.state {
            State::Sum { .. } => self.steps * 17,
            State::Avg(_) => self.steps * size_of::<Option<Mean>>(),
            State::Extreme(_) => self.steps * 8,
            State::Count(_) => self.steps * 4,
            State::Spread(_) => self.steps * size_of::<Spread>(),
            State::All(all) => all.capacity() * 8,
        };
        let histograms = self.histograms.iter().map(|slot| match slot {
            HistogramSlot::Sum(sum) => sum.memory_bytes() + size_of::<HistogramSlot>(),
            _ => size_of::<HistogramSlot>(),
        });
        state + histograms.sum::<usize>()
    }
}

#[inline]
fn add_to_mean(mean: &mut Option<Mean>, value: f64) {
    match mean {
        Some(mean) => mean.add(value),
        None => *mean = Some(Mean::new(value)),
    }
}

/// Replaces each extreme that is NaN (which [`ABSENT`] is too) or worse than the new value.
fn fold_extreme(extremes: &mut [f64], values: &[f64], is_better: impl Fn(f64, f64) -> bool) {
    for (best, &value) in extremes.iter_mut().zip(values) {
        let replace = !is_absent(value) & (is_better(value, *best) | best.is_nan());
        *best = if replace { value } else { *best };
    }
}

fn finish_histogram(
    slot: HistogramSlot,
    step: usize,
    start: usize,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    let reconciled = match &slot {
        HistogramSlot::Sum(sum) => sum.has_reconciled_bounds(),
        HistogramSlot::Incompatible { reconciled } => *reconciled,
        HistogramSlot::Empty | HistogramSlot::AfterFloats => false,
    };
    if reconciled {
        annotations.add(Annotation::MismatchedCustomBuckets(HistogramOperation::Aggregation), start);
    }
    let has_histogram = !matches!(slot, HistogramSlot::Empty);
    if has_histogram && out.is_present(step) {
        out.clear_step(step);
        annotations.add(Annotation::MixedFloatsHistogramsAggregation, start);
        return;
    }
    if let HistogramSlot::Sum(sum) = slot {
        if sum.has_reset_collision() {
            annotations.add(Annotation::CounterResetCollision(HistogramOperation::Aggregation), start);
        }
        let mut histogram = sum.finish();
        histogram.compact(0);
        out.set_histogram(step, Arc::new(histogram));
    }
}

#[cfg(test)]
mod tests {
    use model::histogram::CUSTOM_BUCKETS_SCHEMA;
    use model::{CounterResetHint, FloatHistogram, Span};

    use super::*;

    fn aggregate(aggregation: Aggregation, series: &[StepVector]) -> (StepVector, Vec<String>) {
        let steps = series[0].len();
        let mut annotations = Annotations::default();
        let mut accumulator = Accumulator::new(aggregation, steps);
        for one in series {
            accumulator.add(one, || "m", 0, &mut annotations);
        }
        let mut out = StepVector::default();
        accumulator.finish(&vec![0.5; steps], 0, &mut out, &mut annotations);
        (out, annotations.iter().map(ToString::to_string).collect())
    }

    /// Three series, four steps; the last step is empty.
    fn floats() -> Vec<StepVector> {
        let of = |values: [f64; 4]| StepVector { values: values.to_vec(), histograms: Vec::new() };
        vec![
            of([1.0, ABSENT, f64::NAN, ABSENT]),
            of([3.0, 7.0, 2.0, ABSENT]),
            of([5.0, ABSENT, f64::INFINITY, ABSENT]),
        ]
    }

    fn assert_values(aggregation: Aggregation, expected: [f64; 3]) {
        let (out, notes) = aggregate(aggregation, &floats());
        for (step, expected) in expected.into_iter().enumerate() {
            let got = out.values[step];
            assert!(
                !is_absent(got) && (got == expected || got.is_nan() && expected.is_nan()),
                "{aggregation:?} {got}"
            );
        }
        assert!(is_absent(out.values[3]), "{aggregation:?}");
        assert!(notes.is_empty());
    }

    #[test]
    fn floats_aggregate_per_step() {
        assert_values(Aggregation::Sum, [9.0, 7.0, f64::NAN]);
        assert_values(Aggregation::Avg, [3.0, 7.0, f64::NAN]);
        assert_values(Aggregation::Min, [1.0, 7.0, 2.0]);
        assert_values(Aggregation::Max, [5.0, 7.0, f64::INFINITY]);
        assert_values(Aggregation::Count, [3.0, 1.0, 3.0]);
        assert_values(Aggregation::Group, [1.0, 1.0, 1.0]);
        assert_values(Aggregation::Stdvar, [8.0 / 3.0, 0.0, f64::NAN]);
        // Infinity by a weight of zero.
        assert_values(Aggregation::Quantile, [3.0, 7.0, f64::NAN]);
    }

    #[test]
    fn a_mean_survives_the_overflow_of_the_sum() {
        let big = StepVector::constant(f64::MAX, 1);
        let (out, _) = aggregate(Aggregation::Avg, &[big.clone(), big.clone()]);
        assert_eq!(out.values, [f64::MAX]);
        let (out, _) = aggregate(Aggregation::Sum, &[big.clone(), big]);
        assert_eq!(out.values, [f64::INFINITY]);
    }

    fn histogram(counts: &[f64], schema: i32, hint: CounterResetHint) -> StepVector {
        let mut vector = StepVector::absent(1);
        vector.set_histogram(
            0,
            Arc::new(FloatHistogram {
                counter_reset_hint: hint,
                schema,
                count: counts.iter().sum(),
                sum: 1.0,
                positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
                positive_buckets: counts.to_vec(),
                custom_values: (schema == CUSTOM_BUCKETS_SCHEMA).then(|| Arc::from([1.0, 2.0])),
                ..FloatHistogram::default()
            }),
        );
        vector
    }

    #[test]
    fn histograms_are_summed_and_averaged() {
        let series = [
            histogram(&[1.0, 2.0], 0, CounterResetHint::Unknown),
            histogram(&[3.0, 0.0, 4.0], 0, CounterResetHint::Unknown),
        ];
        let (out, notes) = aggregate(Aggregation::Sum, &series);
        assert_eq!(out.histogram(0).unwrap().positive_buckets, [4.0, 2.0, 4.0]);
        assert!(notes.is_empty());
        let (out, _) = aggregate(Aggregation::Avg, &series);
        assert_eq!(out.histogram(0).unwrap().count, 5.0);
        let (out, _) = aggregate(Aggregation::Count, &series);
        assert_eq!(out.values, [2.0]);
        assert!(out.histogram(0).is_none());
    }

    #[test]
    fn what_cannot_be_aggregated_is_told() {
        let one = histogram(&[1.0], 0, CounterResetHint::Unknown);
        let custom = histogram(&[1.0], CUSTOM_BUCKETS_SCHEMA, CounterResetHint::Unknown);
        let float = StepVector::constant(1.0, 1);

        for series in [[one.clone(), float.clone()], [float.clone(), one.clone()]] {
            let (out, notes) = aggregate(Aggregation::Sum, &series);
            assert!(out.is_all_absent());
            assert_eq!(notes, ["PromQL warning: encountered a mix of histograms and floats for aggregation"]);
        }
        let (out, notes) = aggregate(Aggregation::Avg, &[one.clone(), custom, one.clone()]);
        assert!(out.is_all_absent());
        assert_eq!(notes.len(), 1);
        assert!(notes[0].ends_with("exponential and custom buckets schemas for metric name \"m\""));

        let (out, notes) = aggregate(Aggregation::Max, &[one, float]);
        assert_eq!(out.values, [1.0]);
        assert_eq!(notes, ["PromQL info: ignored histogram in max aggregation"]);
    }

    #[test]
    fn contradicting_reset_hints_are_told() {
        let series = [
            histogram(&[1.0], 0, CounterResetHint::CounterReset),
            histogram(&[1.0], 0, CounterResetHint::NotCounterReset),
        ];
        let (out, notes) = aggregate(Aggregation::Sum, &series);
        assert_eq!(out.histogram(0).unwrap().count, 2.0);
        assert_eq!(notes, ["PromQL warning: conflicting counter resets during histogram aggregation"]);
    }
}
