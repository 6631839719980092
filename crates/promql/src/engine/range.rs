//! Functions over range vectors, whose samples come from a selector or from a subquery.

use std::sync::Arc;

use model::{CounterResetHint, Labels, SampleColumns, is_stale_nan};

use super::env::{Env, HeldBytes, Scratch, Tally, histogram_weight};
use super::error::{EvalResult, QueryError};
use super::names::{LabelEffect, TYPE_LABEL};
use super::operator::{Operator, SharedOperator};
use super::selector::{SelectedSeries, TimeShift};
use super::value::{RangeExtension, RangeInput, StepGrid, StepVector, WindowBounds};
use crate::functions::range::{ParameterError, RangeContext, RangeFunction, RangeKernel};

/// Where the samples of a range vector come from.
pub(crate) enum RangeSource {
    /// A selector.
    Stored(SelectedSeries),
    /// A subquery: an expression evaluated at the steps of a grid of its own.
    Subquery {
        /// The expression.
        inner: SharedOperator,
        /// When it is evaluated.
        grid: StepGrid,
        _held: HeldBytes,
    },
}

impl RangeSource {
    pub fn len(&self) -> usize {
        match self {
            Self::Stored(series) => series.set.len(),
            Self::Subquery { inner, .. } => inner.len(),
        }
    }

    pub fn labels(&self, i: usize) -> Labels {
        match self {
            Self::Stored(series) => series.set.labels(i),
            Self::Subquery { inner, .. } => inner.labels(i),
        }
    }

    pub fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        match self {
            Self::Stored(series) => series.set.visit_labels(i, visit),
            Self::Subquery { inner, .. } => inner.visit_labels(i, visit),
        }
    }

    pub fn drop_name(&self, i: usize) -> bool {
        match self {
            Self::Stored(_) => false,
            Self::Subquery { inner, .. } => inner.drop_name(i),
        }
    }

    pub fn fixed_name(&self) -> Option<&str> {
        match self {
            Self::Stored(series) => series.name.as_deref(),
            Self::Subquery { inner, .. } => inner.fixed_name(),
        }
    }

    pub fn is_unique_without_metadata(&self, env: &Env) -> bool {
        match self {
            Self::Stored(series) => series.name.is_some() && !env.settings.type_and_unit_labels,
            Self::Subquery { inner, .. } => inner.is_unique_without_metadata(),
        }
    }

    /// Appends the samples of series `i` without staleness markers to `columns`.
    pub fn load(
        &self,
        i: usize,
        env: &Env,
        scratch: &mut Scratch,
        columns: &mut SampleColumns,
    ) -> EvalResult<()> {
        match self {
            Self::Stored(series) => {
                series.read(i, series.range, columns, env)?;
                scratch.reserve_columns(env, columns)?;
                remove_stale(columns);
                scratch.counts.read += samples_in(columns, 0..columns.len());
            }
            Self::Subquery { inner, grid, .. } => {
                let mut values = scratch.vector(grid.len);
                inner.evaluate(i, scratch, &mut values)?;
                append_steps(&values, grid, columns);
                scratch.put_vector(values);
            }
        }
        Ok(())
    }
}

pub(crate) fn remove_stale(columns: &mut SampleColumns) {
    let Some(first) = columns.values.iter().position(|&v| is_stale_nan(v)) else { return };
    let mut kept = first;
    for i in first..columns.len() {
        if is_stale_nan(columns.values[i]) {
            continue;
        }
        columns.timestamps_ms[kept] = columns.timestamps_ms[i];
        columns.values[kept] = columns.values[i];
        if !columns.histograms.is_empty() {
            columns.histograms.swap(kept, i);
        }
        if !columns.start_timestamps_ms.is_empty() {
            columns.start_timestamps_ms[kept] = columns.start_timestamps_ms[i];
        }
        kept += 1;
    }
    columns.timestamps_ms.truncate(kept);
    columns.values.truncate(kept);
    columns.histograms.truncate(kept);
    columns.start_timestamps_ms.truncate(kept);
}

/// Turns steps into samples. What a histogram says about resets since the sample before does not hold
/// between steps, which may leave samples out or repeat them.
pub(crate) fn append_steps(values: &StepVector, grid: &StepGrid, columns: &mut SampleColumns) {
    for step in 0..values.len() {
        if !values.is_present(step) {
            continue;
        }
        let t_ms = grid.time_ms(step);
        match values.histogram(step) {
            None => columns.push_float(t_ms, values.values[step]),
            Some(histogram) => {
                let mut histogram = histogram.clone();
                if matches!(
                    histogram.counter_reset_hint,
                    CounterResetHint::CounterReset | CounterResetHint::NotCounterReset
                ) {
                    Arc::make_mut(&mut histogram).counter_reset_hint = CounterResetHint::Unknown;
                }
                columns.push_histogram(t_ms, histogram);
            }
        }
    }
}

/// Samples among `range`, with histograms by weight.
pub(crate) fn samples_in(columns: &SampleColumns, range: std::ops::Range<usize>) -> u64 {
    if columns.histograms.is_empty() {
        return range.len() as u64;
    }
    range.map(|i| columns.histogram(i).map_or(1, |h| histogram_weight(h))).sum()
}

/// The shape of a range vector: its windows at the steps of a grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windowing {
    pub grid: StepGrid,
    pub shift: TimeShift,
    pub range_ms: i64,
    pub extension: RangeExtension,
    pub lookback_ms: i64,
}

impl Windowing {
    /// The window of the step at `t_ms`: start exclusive, end inclusive, widened.
    fn window_ms(&self, t_ms: i64) -> (i64, i64) {
        let end_ms = self.shift.apply(t_ms);
        let start_ms = end_ms.saturating_sub(self.range_ms);
        match self.extension {
            RangeExtension::None => (start_ms, end_ms),
            RangeExtension::Anchored => (start_ms.saturating_sub(self.lookback_ms), end_ms),
            RangeExtension::Smoothed => {
                (start_ms.saturating_sub(self.lookback_ms), end_ms.saturating_add(self.lookback_ms))
            }
        }
    }

    /// All times inside some window or between two.
    pub fn total_range(&self) -> model::TimeRange {
        let (start_ms, _) = self.window_ms(self.grid.start_ms);
        let (_, end_ms) = self.window_ms(self.grid.end_ms());
        model::TimeRange::new(start_ms.saturating_add(1), end_ms)
    }

    /// Appends the window of every step to `windows`.
    pub fn bounds(&self, times: &[i64], windows: &mut Vec<WindowBounds>) {
        let (mut start_ms, mut end_ms) = self.window_ms(self.grid.start_ms);
        let step_ms = if self.shift.at_ms.is_some() { 0 } else { self.grid.step_ms };
        let (mut lo, mut hi) = (Edge::default(), Edge::default());
        windows.extend((0..self.grid.len).map(|_| {
            let bounds =
                WindowBounds { lo: lo.advance(times, start_ms) as u32, hi: hi.advance(times, end_ms) as u32 };
            start_ms = start_ms.saturating_add(step_ms);
            end_ms = end_ms.saturating_add(step_ms);
            bounds
        }));
    }
}

/// Where the samples up to some time end. It moves forwards, mostly by as much as the last time, for samples
/// are mostly regular.
#[derive(Debug, Default)]
struct Edge {
    at: usize,
    stride: usize,
}

impl Edge {
    /// The number of `times` up to `t_ms`, which is not before the one asked for last.
    #[inline]
    fn advance(&mut self, times: &[i64], t_ms: i64) -> usize {
        let guess = (self.at + self.stride).min(times.len());
        let is_reached = guess == 0 || times[guess - 1] <= t_ms;
        if is_reached && times.get(guess).is_none_or(|&next| next > t_ms) {
            self.at = guess;
            return guess;
        }
        let from = if is_reached { guess } else { self.at };
        let end = from + times[from..].iter().take_while(|&&t| t <= t_ms).count();
        self.stride = end - self.at;
        self.at = end;
        end
    }
}

/// Samples of windows, each counted in every window it is in, that are worked on between two looks at whether the query
/// has to end: a few tens of milliseconds.
const SAMPLES_PER_CHECK: usize = if cfg!(test) { 1 << 10 } else { 8 << 20 };

/// Whether the windows of one series take so long that it is worth looking in between.
fn is_long(windows: &[WindowBounds]) -> bool {
    steps_of_part(windows) < windows.len()
}

/// How many windows, one at least, are worked on until the next look.
fn steps_of_part(windows: &[WindowBounds]) -> usize {
    let mut samples = 0;
    let is_within = |window: &&WindowBounds| {
        samples += window.len();
        samples <= SAMPLES_PER_CHECK
    };
    windows.iter().take_while(is_within).count().max(1)
}

fn execution(error: ParameterError) -> QueryError {
    QueryError::Execution(error.to_string())
}

/// A function over a range vector.
pub(crate) struct RangeCall {
    pub env: Arc<Env>,
    pub source: RangeSource,
    pub function: RangeFunction,
    pub windowing: Windowing,
    /// Its scalar arguments: one value per step each.
    pub params: Vec<Arc<[f64]>>,
    /// Where its first argument starts in the query.
    pub argument_start: usize,
    pub kernel: usize,
    pub tally: Tally,
    /// What it does to labels, before delayed name removal is considered.
    pub effect: LabelEffect,
    pub is_unique: bool,
}

impl RangeCall {
    /// Counts the samples of all windows.
    fn count(
        &self,
        columns: &SampleColumns,
        windows: &[WindowBounds],
        scratch: &mut Scratch,
    ) -> EvalResult<()> {
        let per_step = self.env.settings.per_step_stats;
        let mut largest = 0;
        if per_step || !columns.histograms.is_empty() {
            largest = windows.iter().map(|w| samples_in(columns, w.range())).max().unwrap_or(0);
            scratch
                .counts
                .add(self.tally, per_step, windows.len(), |step| samples_in(columns, windows[step].range()));
        } else {
            let mut total = 0;
            for window in windows {
                let samples = window.len() as u64;
                total += samples;
                largest = largest.max(samples);
            }
            scratch.counts.add(self.tally, false, 1, |_| total);
        }
        self.env.samples.check_more(largest.cast_signed())
    }

    fn call(
        &self,
        i: usize,
        columns: &SampleColumns,
        windows: &[WindowBounds],
        scratch: &mut Scratch,
        out: &mut StepVector,
    ) -> EvalResult<()> {
        let settings = &self.env.settings;
        let labels;
        let (metric_name, type_label) = match self.source.fixed_name() {
            Some(name) if !settings.type_and_unit_labels => (name, None),
            _ => {
                labels = self.source.labels(i);
                let type_label = settings.type_and_unit_labels.then(|| labels.get_or_empty(TYPE_LABEL));
                (labels.metric_name(), type_label)
            }
        };
        let context = RangeContext {
            metric_name,
            type_label,
            argument_start: self.argument_start,
            start_timestamps: settings.start_timestamps,
        };
        let params: Vec<&[f64]> = self.params.iter().map(|p| &p[..]).collect();
        let whole = RangeInput {
            samples: columns,
            windows,
            grid: self.windowing.grid,
            range_ms: self.windowing.range_ms,
            offset_ms: self.windowing.shift.offset_ms,
            fixed_end_ms: self.windowing.shift.at_ms.map(|at_ms| at_ms - self.windowing.shift.offset_ms),
            extension: self.windowing.extension,
            params: &params,
        };
        let mut kernel = scratch.kernel(self.kernel, self.function);
        let in_parts = self.function.looks_at_all(!columns.histograms.is_empty()) && is_long(windows);
        let result = if in_parts {
            self.in_parts(&whole, &context, &mut kernel, scratch, out)
        } else {
            kernel.evaluate(&context, &whole, out, &mut scratch.annotations).map_err(execution)
        };
        scratch.put_kernel(self.kernel, kernel);
        result
    }

    /// Evaluates some windows after the other: one series may take so long that a query has to end in its midst.
    fn in_parts(
        &self,
        whole: &RangeInput<'_>,
        context: &RangeContext<'_>,
        kernel: &mut RangeKernel,
        scratch: &mut Scratch,
        out: &mut StepVector,
    ) -> EvalResult<()> {
        let grid = whole.grid;
        out.reset(grid.len);
        let mut part = scratch.vector(0);
        let mut first = 0;
        while first < grid.len {
            self.env.check()?;
            let steps = first..first + steps_of_part(&whole.windows[first..]);
            let params: Vec<&[f64]> = whole.params.iter().map(|of_steps| &of_steps[steps.clone()]).collect();
            let input = RangeInput {
                samples: whole.samples,
                windows: &whole.windows[steps.clone()],
                grid: StepGrid { start_ms: grid.time_ms(first), len: steps.len(), ..grid },
                params: &params,
                ..*whole
            };
            kernel.evaluate(context, &input, &mut part, &mut scratch.annotations).map_err(execution)?;
            out.place(first, &mut part);
            first = steps.end;
        }
        scratch.put_vector(part);
        Ok(())
    }
}

impl Operator for RangeCall {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn labels(&self, i: usize) -> Labels {
        super::operator::effective(&self.env, self.effect).apply(self.source.labels(i))
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        let effect = super::operator::effective(&self.env, self.effect);
        effect.visit(visit, |visit| self.source.visit_labels(i, visit));
    }

    fn drop_name(&self, i: usize) -> bool {
        self.effect != LabelEffect::Keep || self.source.drop_name(i)
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.is_unique
    }

    fn fixed_name(&self) -> Option<&str> {
        // Once the name is removed, it is the empty one.
        let dropped = super::operator::effective(&self.env, self.effect) != LabelEffect::Keep;
        if dropped { Some("") } else { self.source.fixed_name() }
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let mut columns = scratch.columns();
        let mut windows = scratch.windows();
        self.source.load(i, &self.env, scratch, &mut columns)?;
        if columns.is_empty() {
            out.reset(self.windowing.grid.len);
        } else {
            self.windowing.bounds(&columns.timestamps_ms, &mut windows);
            self.count(&columns, &windows, scratch)?;
            self.call(i, &columns, &windows, scratch, out)?;
            scratch.held += out.values.iter().filter(|&&v| !super::value::is_absent(v)).count() as i64;
        }
        scratch.put_windows(windows);
        scratch.put_columns(columns);
        Ok(())
    }
}
