//! The arithmetic of functions over the values of a window.

use super::range::Windows;
use super::vector::mean_and_variance;
use crate::ast::RangeOp;

/// The value that a function, which may have a parameter, has in each window; `values` are sorted by time.
pub(super) fn values(
    function: (RangeOp, Option<f64>),
    values: &[(i64, f64)],
    windows: &Windows,
    steps: usize,
) -> Vec<Option<f64>> {
    let (mut first, mut last) = (0, 0);
    let value = |step: usize| {
        let end_ns = windows.end_ns(step);
        let start_ns = end_ns.saturating_sub(windows.range_ns());
        while values.get(last).is_some_and(|(at, _)| *at <= end_ns) {
            last += 1;
        }
        while first < last && values[first].0 <= start_ns {
            first += 1;
        }
        let inside = &values[first..last];
        if inside.is_empty() { None } else { of_window(function, inside, start_ns, end_ns) }
    };
    (0..steps).map(value).collect()
}

fn of_window(
    (op, parameter): (RangeOp, Option<f64>),
    inside: &[(i64, f64)],
    start_ns: i64,
    end_ns: i64,
) -> Option<f64> {
    let numbers = || inside.iter().map(|(_, value)| *value);
    let seconds = (end_ns - start_ns) as f64 / 1e9;
    Some(match op {
        RangeOp::SumOverTime => numbers().sum(),
        RangeOp::Rate => numbers().sum::<f64>() / seconds,
        RangeOp::RateCounter => return counter_rate(inside, start_ns, end_ns),
        RangeOp::AvgOverTime => average(numbers()),
        RangeOp::StdvarOverTime => mean_and_variance(numbers()).1,
        RangeOp::StddevOverTime => mean_and_variance(numbers()).1.sqrt(),
        RangeOp::MinOverTime => {
            numbers().fold(f64::NAN, |min, v| if v < min || min.is_nan() { v } else { min })
        }
        RangeOp::MaxOverTime => {
            numbers().fold(f64::NAN, |max, v| if v > max || max.is_nan() { v } else { max })
        }
        RangeOp::FirstOverTime => inside[0].1,
        RangeOp::LastOverTime => inside[inside.len() - 1].1,
        RangeOp::QuantileOverTime => quantile(parameter.unwrap_or(f64::NAN), numbers().collect()),
        _ => inside.len() as f64,
    })
}

/// The mean of values. One that is infinite stays so, whatever number is added; the opposite and NaN make it NaN.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean) = (0.0, 0.0_f64);
    for value in values {
        count += 1.0;
        let keeps = mean.is_infinite() && (value.is_finite() || value == mean);
        if !keeps {
            mean += value / count - mean / count;
        }
    }
    mean
}

/// The quantile of values, NaN being the smallest, between the two nearest by their distance.
fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then_with(|| a.total_cmp(b)));
    let rank = q * (values.len() - 1) as f64;
    let (lower, upper) = (rank.floor() as usize, (rank.floor() as usize + 1).min(values.len() - 1));
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The increase of a counter that may begin anew, a second, carried on to the borders of the window where the values
/// come close to them.
fn counter_rate(inside: &[(i64, f64)], start_ns: i64, end_ns: i64) -> Option<f64> {
    let (&(first_ns, first), &(last_ns, last)) = (inside.first()?, inside.last()?);
    if inside.len() < 2 {
        return Some(0.0);
    }
    let resets = inside.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1);
    let increase = last - first + resets.sum::<f64>();
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1e9;
    let (mut before, after) = (seconds(start_ns, first_ns), seconds(last_ns, end_ns));
    let sampled = seconds(first_ns, last_ns);
    let between = sampled / (inside.len() - 1) as f64;
    if increase > 0.0 && first >= 0.0 {
        // A counter does not go below zero, also not before its first value.
        before = before.min(sampled * (first / increase));
    }
    let threshold = between * 1.1;
    let extended = |gap: f64| if gap < threshold { gap } else { between / 2.0 };
    let whole = sampled + extended(before) + extended(after);
    Some(increase * (whole / sampled) / seconds(start_ns, end_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_values() {
        assert_eq!(quantile(0.5, vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(quantile(1.0, vec![1.0, 3.0]), 3.0);
        assert_eq!(quantile(1.5, vec![1.0]), f64::INFINITY);
        assert_eq!(quantile(1.0, vec![f64::NAN, 1.0, 3.0]), 3.0);
        assert!(quantile(0.0, vec![1.0, f64::NAN, 3.0]).is_nan());
    }

    #[test]
    fn means_stay_infinite() {
        let infinite = f64::INFINITY;
        assert_eq!(average([1.0, 2.0, 6.0].into_iter()), 3.0);
        assert_eq!(average([1.0, infinite, 2.0, infinite].into_iter()), infinite);
        assert!(average([infinite, -infinite].into_iter()).is_nan());
        assert!(average([infinite, f64::NAN].into_iter()).is_nan());
    }

    #[test]
    fn counters_begin_anew() {
        let second = 1_000_000_000;
        let values: Vec<(i64, f64)> =
            [(1, 5.0), (2, 8.0), (3, 2.0), (4, 4.0)].map(|(t, v)| (t * second, v)).to_vec();
        let rate = counter_rate(&values, 0, 4 * second).unwrap();
        assert!((rate - (7.0 * (4.0 / 3.0) / 4.0)).abs() < 1e-12, "{rate}");
    }
}
