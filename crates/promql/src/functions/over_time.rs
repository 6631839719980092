//! Functions that summarise the samples of a window, of floats; histograms are left out or have their
//! own kernels.

use std::ops::Range;
use std::sync::Arc;

use model::kahan::{KahanSum, kahan_step};

use super::columns::TypedColumns;
use super::quantile::quantile_of;
use super::range::Scratch;
use crate::engine::value::{RangeInput, StepVector, WindowBounds};

/// The number of samples of any type.
pub(super) fn count(input: &RangeInput<'_>, out: &mut StepVector) {
    for_windows(input, |step, window| out.set_float(step, window.len() as f64));
}

/// 1 where there is any sample.
pub(super) fn present(input: &RangeInput<'_>, out: &mut StepVector) {
    for_windows(input, |step, _| out.set_float(step, 1.0));
}

/// The oldest sample.
pub(super) fn first(input: &RangeInput<'_>, out: &mut StepVector) {
    for_windows(input, |step, window| take_sample(input, window.lo as usize, step, out));
}

/// The newest sample.
pub(super) fn last(input: &RangeInput<'_>, out: &mut StepVector) {
    for_windows(input, |step, window| take_sample(input, window.hi as usize - 1, step, out));
}

/// When the oldest sample was, in seconds.
pub(super) fn time_of_first(input: &RangeInput<'_>, out: &mut StepVector) {
    for_windows(input, |step, window| {
        out.set_float(step, input.samples.timestamps_ms[window.lo as usize] as f64 / 1000.0);
    });
}

/// When the newest sample was, in seconds.
pub(super) fn time_of_last(input: &RangeInput<'_>, out: &mut StepVector) {
    for_windows(input, |step, window| {
        out.set_float(step, input.samples.timestamps_ms[window.hi as usize - 1] as f64 / 1000.0);
    });
}

fn take_sample(input: &RangeInput<'_>, i: usize, step: usize, out: &mut StepVector) {
    match input.samples.histogram(i) {
        Some(histogram) => out.set_histogram(step, Arc::clone(histogram)),
        None => out.set_float(step, input.samples.values[i]),
    }
}

/// Calls `f` for every step whose window holds a sample.
fn for_windows(input: &RangeInput<'_>, mut f: impl FnMut(usize, WindowBounds)) {
    for (step, &window) in input.windows.iter().enumerate() {
        if !window.is_empty() {
            f(step, window);
        }
    }
}

/// Calls `f` with the floats of every window that holds any.
fn for_floats<'a>(
    columns: &'a TypedColumns<'_>,
    input: &RangeInput<'_>,
    mut f: impl FnMut(usize, &'a [f64]),
) {
    for (step, &window) in input.windows.iter().enumerate() {
        let range = columns.float_range(window);
        if !range.is_empty() {
            f(step, &columns.floats[range]);
        }
    }
}

/// Windows summed side by side: one compensated sum waits for its own last addition, several
/// independent ones fill the waiting time.
const LANES: usize = 8;
/// Up to this magnitude every whole number is a float.
const EXACT_UP_TO: f64 = 9_007_199_254_740_992.0;

/// `sum_over_time` or `avg_over_time` of the windows that hold floats alone.
pub(super) fn sum_or_avg(
    is_avg: bool,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
) {
    let in_windows: usize = input.windows.iter().map(|w| w.len()).sum();
    let overlap = in_windows > 2 * columns.floats.len();
    let is_exact = overlap && sum_up_exactly(&columns.floats, &mut scratch.floats);
    let mut pending: [(usize, Range<usize>); LANES] = std::array::from_fn(|_| (0, 0..0));
    let mut filled = 0;
    for (step, &window) in input.windows.iter().enumerate() {
        let range = columns.float_range(window);
        if range.is_empty() || !columns.histogram_range(window).is_empty() {
            continue;
        }
        if is_exact {
            let sum = KahanSum::new(scratch.floats[range.end] - scratch.floats[range.start]);
            finish_sum(is_avg, step, &columns.floats[range], sum, out);
            continue;
        }
        pending[filled] = (step, range);
        filled += 1;
        if filled == LANES {
            let sums = sum_lanes(&columns.floats, &pending);
            for ((step, range), sum) in pending.iter().zip(sums) {
                finish_sum(is_avg, *step, &columns.floats[range.clone()], sum, out);
            }
            filled = 0;
        }
    }
    for (step, range) in &pending[..filled] {
        let mut sum = KahanSum::default();
        let values = &columns.floats[range.clone()];
        values.iter().for_each(|&v| sum.add(v));
        finish_sum(is_avg, *step, values, sum, out);
    }
}

/// Fills `sums` with the sum of the first `i` values for each `i`, if no sum of any of them can be rounded:
/// when all are whole numbers and not too large. A compensated sum then is the plain one, in any order.
fn sum_up_exactly(values: &[f64], sums: &mut Vec<f64>) -> bool {
    sums.clear();
    sums.reserve(values.len() + 1);
    sums.push(0.0);
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for &value in values {
        magnitude += value.abs();
        // Conversion is exact in the range that counts, and takes part of the test for numbers outside.
        if !(magnitude <= EXACT_UP_TO && (value as i64) as f64 == value) {
            return false;
        }
        sum += value;
        sums.push(sum);
    }
    true
}

/// The sums of windows whose starts and ends ascend. Each lane adds its own values in their order.
fn sum_lanes(values: &[f64], windows: &[(usize, Range<usize>); LANES]) -> [KahanSum; LANES] {
    let (first, last) = (&windows[0].1, &windows[LANES - 1].1);
    let shared = last.start..first.end;
    if 2 * shared.len() < first.len() {
        return sum_side_by_side(values, windows);
    }
    // What all windows share is added to all at once.
    let mut sums = [KahanSum::default(); LANES];
    for (sum, (_, window)) in sums.iter_mut().zip(windows) {
        values[window.start..shared.start].iter().for_each(|&v| sum.add(v));
    }
    let (mut totals, mut lost) = (sums.map(|sum| sum.sum), sums.map(|sum| sum.compensation));
    for &value in &values[shared.clone()] {
        for lane in 0..LANES {
            (totals[lane], lost[lane]) = kahan_step(value, totals[lane], lost[lane]);
        }
    }
    std::array::from_fn(|lane| {
        let mut sum = KahanSum { sum: totals[lane], compensation: lost[lane] };
        values[shared.end..windows[lane].1.end].iter().for_each(|&v| sum.add(v));
        sum
    })
}

fn sum_side_by_side(values: &[f64], windows: &[(usize, Range<usize>); LANES]) -> [KahanSum; LANES] {
    let windows: [&[f64]; LANES] = std::array::from_fn(|lane| &values[windows[lane].1.clone()]);
    let common = windows.iter().map(|values| values.len()).min().unwrap_or(0);
    let heads = windows.map(|values| &values[..common]);
    let (mut sums, mut lost) = ([0.0; LANES], [0.0; LANES]);
    #[allow(clippy::needless_range_loop, reason = "one index into all windows")]
    for i in 0..common {
        for lane in 0..LANES {
            (sums[lane], lost[lane]) = kahan_step(heads[lane][i], sums[lane], lost[lane]);
        }
    }
    std::array::from_fn(|lane| {
        let mut sum = KahanSum { sum: sums[lane], compensation: lost[lane] };
        windows[lane][common..].iter().for_each(|&v| sum.add(v));
        sum
    })
}

fn finish_sum(is_avg: bool, step: usize, values: &[f64], sum: KahanSum, out: &mut StepVector) {
    let value = if !is_avg {
        sum.value()
    } else if sum.sum.is_finite() {
        let count = values.len() as f64;
        sum.sum / count + sum.compensation / count
    } else {
        mean(values)
    };
    out.set_float(step, value);
}

/// The mean. It is the sum by the count, as long as the sum does not overflow; from there on the mean
/// is moved sample by sample, which cannot overflow.
fn mean(values: &[f64]) -> f64 {
    let mut mean = Mean::new(values[0]);
    values[1..].iter().for_each(|&v| mean.add(v));
    mean.value()
}

/// A running mean, see [`mean`]. Shared with the aggregation of series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    /// The sum of the values; once it would overflow, their mean.
    accumulator: KahanSum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(crate) fn new(first: f64) -> Self {
        Self { accumulator: KahanSum::new(first), count: 1.0, incremental: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let before = self.count;
        self.count += 1.0;
        let KahanSum { sum, compensation } = self.accumulator;
        if !self.incremental {
            let (sum, compensation) = kahan_step(value, sum, compensation);
            if !sum.is_infinite() {
                self.accumulator = KahanSum { sum, compensation };
                return;
            }
            self.incremental = true;
            self.accumulator.sum /= before;
            self.accumulator.compensation /= before;
        }
        let KahanSum { sum, compensation } = self.accumulator;
        let share = before / self.count;
        let (sum, compensation) = kahan_step(value / self.count, share * sum, share * compensation);
        self.accumulator = KahanSum { sum, compensation };
    }

    pub(crate) fn value(&self) -> f64 {
        let KahanSum { sum, compensation } = self.accumulator;
        if self.incremental { sum + compensation } else { sum / self.count + compensation / self.count }
    }
}

/// From how many samples a window on average the sliding extreme beats looking at all of them.
const DEQUE_FROM_SAMPLES: usize = 32;

/// The smallest float; NaN only if there is no other.
pub(super) fn min(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
) {
    extreme(columns, input, scratch, out, |new, best| new < best);
}

/// The largest float; NaN only if there is no other.
pub(super) fn max(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
) {
    extreme(columns, input, scratch, out, |new, best| new > best);
}

fn extreme(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
    is_better: impl Fn(f64, f64) -> bool,
) {
    let in_windows: usize = input.windows.iter().map(|w| w.len()).sum();
    if in_windows >= DEQUE_FROM_SAMPLES * input.windows.len().max(2) {
        return sliding_extreme(columns, input, scratch, out, is_better);
    }
    for_floats(columns, input, |step, values| {
        let mut best = values[0];
        for &value in values {
            if is_better(value, best) || best.is_nan() {
                best = value;
            }
        }
        out.set_float(step, best);
    });
}

/// Keeps the samples that can still become the extreme of a later window: each is better than all
/// after it. The front is the extreme of the current window, the oldest among equals.
fn sliding_extreme(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
    is_better: impl Fn(f64, f64) -> bool,
) {
    let (candidates, values) = (&mut scratch.deque, &*columns.floats);
    candidates.clear();
    let mut seen = 0;
    for (step, &window) in input.windows.iter().enumerate() {
        let range = columns.float_range(window);
        for i in seen.max(range.start)..range.end {
            if values[i].is_nan() {
                continue;
            }
            while candidates.back().is_some_and(|&back| is_better(values[i], values[back as usize])) {
                candidates.pop_back();
            }
            candidates.push_back(i as u32);
        }
        seen = seen.max(range.end);
        while candidates.front().is_some_and(|&front| (front as usize) < range.start) {
            candidates.pop_front();
        }
        if !range.is_empty() {
            out.set_float(step, candidates.front().map_or(f64::NAN, |&front| values[front as usize]));
        }
    }
}

/// When the smallest float was, in seconds; the newest of equals.
pub(super) fn time_of_min(columns: &TypedColumns<'_>, input: &RangeInput<'_>, out: &mut StepVector) {
    time_of_extreme(columns, input, out, |new, best| new <= best);
}

/// When the largest float was, in seconds; the newest of equals.
pub(super) fn time_of_max(columns: &TypedColumns<'_>, input: &RangeInput<'_>, out: &mut StepVector) {
    time_of_extreme(columns, input, out, |new, best| new >= best);
}

fn time_of_extreme(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
    is_better: impl Fn(f64, f64) -> bool,
) {
    for (step, &window) in input.windows.iter().enumerate() {
        let range = columns.float_range(window);
        if range.is_empty() {
            continue;
        }
        let mut best = range.start;
        for i in range {
            if is_better(columns.floats[i], columns.floats[best]) || columns.floats[best].is_nan() {
                best = i;
            }
        }
        out.set_float(step, columns.float_times_ms[best] as f64 / 1000.0);
    }
}

/// The population variance, or what `finish` makes of it; Welford's method with compensated sums.
pub(super) fn variance(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
    finish: impl Fn(f64) -> f64,
) {
    for_floats(columns, input, |step, values| {
        let mut count = 0.0;
        let (mut mean, mut squares) = (KahanSum::default(), KahanSum::default());
        for &value in values {
            count += 1.0;
            let delta = value - mean.value();
            mean.add(delta / count);
            squares.add(delta * (value - mean.value()));
        }
        out.set_float(step, finish(squares.value() / count));
    });
}

/// The quantile of the floats.
pub(super) fn quantile(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
) {
    for_floats(columns, input, |step, values| {
        scratch.floats.clear();
        scratch.floats.extend_from_slice(values);
        out.set_float(step, quantile_of(input.param(0, step), &mut scratch.floats));
    });
}

/// The median distance from the median; NaN if any sample is.
pub(super) fn median_absolute_deviation(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
) {
    for_floats(columns, input, |step, values| {
        if values.iter().any(|v| v.is_nan()) {
            out.set_float(step, f64::NAN);
            return;
        }
        let work = &mut scratch.floats;
        work.clear();
        work.extend_from_slice(values);
        let median = quantile_of(0.5, work);
        work.iter_mut().for_each(|v| *v = (*v - median).abs());
        out.set_float(step, quantile_of(0.5, work));
    });
}
