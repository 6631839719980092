//! `deriv`, `predict_linear` and `double_exponential_smoothing`.

use std::ops::Range;

use model::kahan::KahanSum;

use super::columns::TypedColumns;
use super::range::ParameterError;
use crate::engine::value::{RangeInput, StepVector};

/// The line fitted through samples by least squares.
#[derive(Debug, Clone, Copy)]
struct Line {
    slope_per_second: f64,
    intercept: f64,
}

/// Fits a line; its intercept is the value at `origin_ms`. Needs at least one sample.
fn fit(times_ms: &[i64], values: &[f64], origin_ms: i64) -> Line {
    let first = values[0];
    if values[1..].iter().all(|&v| v == first) {
        // A constant needs no arithmetic that could round; of infinities nothing is known.
        return if first.is_infinite() {
            Line { slope_per_second: f64::NAN, intercept: f64::NAN }
        } else {
            Line { slope_per_second: 0.0, intercept: first }
        };
    }
    let (mut sum_x, mut sum_y) = (KahanSum::default(), KahanSum::default());
    let (mut sum_xy, mut sum_x2) = (KahanSum::default(), KahanSum::default());
    for (&t_ms, &y) in times_ms.iter().zip(values) {
        let x = (t_ms - origin_ms) as f64 / 1e3;
        sum_x.add(x);
        sum_y.add(y);
        sum_xy.add(x * y);
        sum_x2.add(x * x);
    }
    let n = values.len() as f64;
    let (sum_x, sum_y) = (sum_x.value(), sum_y.value());
    let covariance = sum_xy.value() - sum_x * sum_y / n;
    let variance = sum_x2.value() - sum_x * sum_x / n;
    let slope_per_second = covariance / variance;
    Line { slope_per_second, intercept: sum_y / n - slope_per_second * sum_x / n }
}

/// Calls `f` for every step whose window holds at least two floats.
fn for_two_floats(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    mut f: impl FnMut(usize, Range<usize>),
) {
    for (step, &window) in input.windows.iter().enumerate() {
        let range = columns.float_range(window);
        if range.len() >= 2 {
            f(step, range);
        }
    }
}

/// The slope per second.
pub(super) fn deriv(columns: &TypedColumns<'_>, input: &RangeInput<'_>, out: &mut StepVector) {
    for_two_floats(columns, input, |step, range| {
        let times_ms = &columns.float_times_ms[range.clone()];
        // The first sample as origin keeps the numbers small, and so the rounding errors.
        out.set_float(step, fit(times_ms, &columns.floats[range], times_ms[0]).slope_per_second);
    });
}

/// The line's value some seconds after the evaluation time.
pub(super) fn predict_linear(columns: &TypedColumns<'_>, input: &RangeInput<'_>, out: &mut StepVector) {
    for_two_floats(columns, input, |step, range| {
        let times_ms = &columns.float_times_ms[range.clone()];
        let line = fit(times_ms, &columns.floats[range], input.eval_ms(step));
        out.set_float(step, line.slope_per_second * input.param(0, step) + line.intercept);
    });
}

/// Holt's linear smoothing: a level and a trend, each a weighted mean of what is new and what was.
pub(super) fn smooth(
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
) -> Result<(), ParameterError> {
    for (step, &window) in input.windows.iter().enumerate() {
        if window.is_empty() {
            continue;
        }
        let (smoothing, trend_factor) = (input.param(0, step), input.param(1, step));
        if smoothing <= 0.0 || smoothing >= 1.0 {
            return Err(ParameterError::SmoothingFactor(smoothing));
        }
        if trend_factor <= 0.0 || trend_factor >= 1.0 {
            return Err(ParameterError::TrendFactor(trend_factor));
        }
        let values = &columns.floats[columns.float_range(window)];
        if let [first, second, ..] = *values {
            let (mut level_before, mut level) = (0.0, first);
            let mut trend = second - first;
            for (i, &value) in values[1..].iter().enumerate() {
                if i > 0 {
                    trend = trend_factor * (level - level_before) + (1.0 - trend_factor) * trend;
                }
                let next = smoothing * value + (1.0 - smoothing) * (level + trend);
                (level_before, level) = (level, next);
            }
            out.set_float(step, level);
        }
    }
    Ok(())
}
