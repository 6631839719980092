//! `rate`, `increase` and `delta` over `anchored` and `smoothed` ranges, and the interpolation they share
//! with smoothed selectors.
//!
//! Nothing is extrapolated. An anchored range takes the last sample at or before its start for the value
//! there; a smoothed one interpolates between the samples around each of its ends.

use std::ops::Range;
use std::sync::Arc;

use model::histogram::HistogramError;
use model::{CounterResetHint, FloatHistogram};

use super::columns::TypedColumns;
use super::range::{RangeContext, RateKind};
use super::rate::range_seconds;
use super::rate_histogram::{add, subtract};
use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::engine::value::{RangeExtension, RangeInput, StepVector};

/// `rate`, `increase` and `delta` of all windows.
pub(super) fn rate(
    kind: RateKind,
    context: &RangeContext<'_>,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    let smoothed = input.extension == RangeExtension::Smoothed;
    let seconds = range_seconds(input.range_ms);
    for (step, &window) in input.windows.iter().enumerate() {
        let (floats, histograms) = (columns.float_range(window), columns.histogram_range(window));
        let (start_ms, end_ms) = (input.window_start_ms(step), input.window_end_ms(step));
        let bounds = Bounds { start_ms, end_ms, smoothed };
        match (floats.is_empty(), histograms.is_empty()) {
            (true, true) => {}
            (false, false) => context.note(annotations, Annotation::MixedFloatsHistograms),
            (false, true) => {
                let (times_ms, values) = (&columns.float_times_ms[floats.clone()], &columns.floats[floats]);
                if let Some(mut increase) = float_increase(kind, times_ms, values, bounds) {
                    if kind.is_per_second() {
                        increase /= seconds;
                    }
                    out.set_float(step, increase);
                }
            }
            (true, false) => {
                let points = HistogramPoints {
                    times_ms: &columns.histogram_times_ms[histograms.clone()],
                    histograms: &columns.histograms[histograms],
                };
                if let Some(mut increase) = points.increase(kind, bounds, context, annotations) {
                    if kind.is_per_second() {
                        increase.div(seconds);
                    }
                    increase.counter_reset_hint = CounterResetHint::Gauge;
                    increase.compact(0);
                    out.set_histogram(step, Arc::new(increase));
                }
            }
        }
    }
}

/// The window proper, inside of what was loaded around it.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    start_ms: i64,
    end_ms: i64,
    smoothed: bool,
}

impl Bounds {
    /// The first and the last sample that count, both included: those around or at the ends. `None`
    /// when no sample lies behind the start.
    fn sample_range(&self, times_ms: &[i64]) -> Option<(usize, usize)> {
        let mut last = times_ms.len() - 1;
        let first = times_ms[..last].partition_point(|&t| t <= self.start_ms).saturating_sub(1);
        if self.smoothed {
            last = times_ms[..last].partition_point(|&t| t < self.end_ms);
        }
        (times_ms[last] > self.start_ms).then_some((first, last))
    }

    /// Whether all that was found lies behind the window: no value is known for its end.
    fn is_before(&self, times_ms: &[i64]) -> bool {
        self.smoothed && times_ms[0] > self.end_ms
    }

    /// The values at both ends of the window.
    fn end_values(
        &self,
        times_ms: &[i64],
        values: &[f64],
        counter: bool,
    ) -> Option<(EndValues, Range<usize>)> {
        let (first, last) = self.sample_range(times_ms)?;
        let between = |i: usize, t_ms| {
            interpolate((times_ms[i], values[i]), (times_ms[i + 1], values[i + 1]), t_ms, counter)
        };
        let left = if self.smoothed && times_ms[first] < self.start_ms {
            between(first, self.start_ms)
        } else {
            values[first]
        };
        let right = if self.smoothed && last > 0 && times_ms[last] > self.end_ms {
            between(last - 1, self.end_ms)
        } else {
            values[last]
        };
        let inside_from = first + usize::from(times_ms[first] <= self.start_ms);
        let inside_to = last + usize::from(times_ms[last] < self.end_ms);
        Some((EndValues { left, right }, inside_from..inside_to.max(inside_from)))
    }
}

struct EndValues {
    left: f64,
    right: f64,
}

fn float_increase(kind: RateKind, times_ms: &[i64], values: &[f64], bounds: Bounds) -> Option<f64> {
    let counter = kind.is_counter();
    if bounds.is_before(times_ms) {
        return None;
    }
    let (EndValues { left, right }, inside) = bounds.end_values(times_ms, values, counter)?;
    let mut increase = right - left;
    if counter {
        // Resets at the ends are taken care of by the interpolation.
        let mut lost = 0.0;
        let mut before = left;
        for &value in values[inside].iter().chain([&right]) {
            if value < before {
                lost += before;
            }
            before = value;
        }
        increase += lost;
    }
    Some(increase)
}

/// The value at `t_ms` on the line through two points. A counter that was reset between them is taken
/// to have started at zero at the first.
pub fn interpolate(from: (i64, f64), to: (i64, f64), t_ms: i64, counter: bool) -> f64 {
    let start = if counter && to.1 < from.1 { 0.0 } else { from.1 };
    start + (to.1 - start) * (t_ms - from.0) as f64 / (to.0 - from.0) as f64
}

/// The samples of an anchored or smoothed range as a selector shows them: a value at each end of the
/// window and the samples between. Empty when there are none. Times and values are columns of equal
/// length.
pub fn extend_floats(
    times_ms: &[i64],
    values: &[f64],
    start_ms: i64,
    end_ms: i64,
    smoothed: bool,
) -> (Vec<i64>, Vec<f64>) {
    let bounds = Bounds { start_ms, end_ms, smoothed };
    let ends = if times_ms.is_empty() { None } else { bounds.end_values(times_ms, values, false) };
    let Some((EndValues { left, right }, inside)) = ends else { return (Vec::new(), Vec::new()) };
    let mut out_times = vec![start_ms];
    let mut out_values = vec![left];
    out_times.extend_from_slice(&times_ms[inside.clone()]);
    out_values.extend_from_slice(&values[inside]);
    out_times.push(end_ms);
    out_values.push(right);
    (out_times, out_values)
}

/// The histogram at `t_ms` between two points, see [`interpolate`], and the operations in which custom
/// bucket bounds had to be reconciled.
pub fn interpolate_histograms(
    from: (i64, &FloatHistogram),
    to: (i64, &FloatHistogram),
    t_ms: i64,
    counter: bool,
) -> Result<(FloatHistogram, Vec<HistogramOperation>), HistogramError> {
    let ((from_ms, from), (to_ms, to)) = (from, to);
    if t_ms == from_ms {
        return Ok((from.clone(), Vec::new()));
    }
    let mut result = to.clone();
    if t_ms == to_ms {
        return Ok((result, Vec::new()));
    }
    let fraction = (t_ms - from_ms) as f64 / (to_ms - from_ms) as f64;
    if counter && to.detect_reset(from) {
        result.mul(fraction);
        return Ok((result, Vec::new()));
    }
    let mut reconciled = Vec::new();
    if result.sub(from)?.custom_bounds {
        reconciled.push(HistogramOperation::Subtraction);
    }
    result.mul(fraction);
    if result.add(from)?.custom_bounds {
        reconciled.push(HistogramOperation::Addition);
    }
    Ok((result, reconciled))
}

/// The histograms of one widened window.
struct HistogramPoints<'a> {
    times_ms: &'a [i64],
    histograms: &'a [&'a Arc<FloatHistogram>],
}

impl HistogramPoints<'_> {
    fn increase(
        &self,
        kind: RateKind,
        bounds: Bounds,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> Option<FloatHistogram> {
        let counter = kind.is_counter();
        if bounds.is_before(self.times_ms) {
            return None;
        }
        let (first, last) = bounds.sample_range(self.times_ms)?;
        if !self.is_valid(first, last, counter, context, annotations) {
            return None;
        }
        let interpolates_left = bounds.smoothed && self.times_ms[first] < bounds.start_ms;
        let left = if interpolates_left {
            self.between(first, bounds.start_ms, counter, context, annotations)?
        } else {
            FloatHistogram::clone(self.histograms[first])
        };
        let right = if bounds.smoothed && last > 0 && self.times_ms[last] > bounds.end_ms {
            self.between(last - 1, bounds.end_ms, counter, context, annotations)?
        } else {
            FloatHistogram::clone(self.histograms[last])
        };
        let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
        let both_gauges = is_gauge(&left) && is_gauge(&right);
        if !counter && !both_gauges {
            context.note(annotations, Annotation::NativeHistogramNotGauge);
        }
        let mut increase = right.clone();
        if !subtract(&mut increase, &left, context, annotations) {
            return None;
        }
        if counter {
            let from = self.after_left(first, interpolates_left);
            let lost = self.lost_in_resets(from, last, &left, &right, context, annotations)?;
            if let Some(lost) = lost
                && !add(&mut increase, &lost, context, annotations)
            {
                return None;
            }
        }
        Some(increase)
    }

    /// Whether all points can be combined; tells of gauges where a counter is wanted.
    fn is_valid(
        &self,
        first: usize,
        last: usize,
        counter: bool,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> bool {
        let points = &self.histograms[first..=last];
        let custom = points[0].uses_custom_buckets();
        for point in points {
            if point.uses_custom_buckets() != custom {
                context.note(annotations, Annotation::MixedExponentialCustomHistograms);
                return false;
            }
            if counter && point.counter_reset_hint == CounterResetHint::Gauge {
                context.note(annotations, Annotation::NativeHistogramNotCounter);
            }
        }
        true
    }

    /// The histogram at `t_ms`, between point `i` and the next.
    fn between(
        &self,
        i: usize,
        t_ms: i64,
        counter: bool,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> Option<FloatHistogram> {
        let point = |i: usize| (self.times_ms[i], &**self.histograms[i]);
        match interpolate_histograms(point(i), point(i + 1), t_ms, counter) {
            Ok((histogram, reconciled)) => {
                for operation in reconciled {
                    super::rate::note_reconciled(operation, context, annotations);
                }
                Some(histogram)
            }
            Err(error) => {
                if error == HistogramError::IncompatibleSchema {
                    context.note(annotations, Annotation::MixedExponentialCustomHistograms);
                }
                None
            }
        }
    }

    /// The first point to look for resets at, and whether the point before it, instead of the value at
    /// the left end, is what it is compared with: an interpolation across a reset has dealt with it.
    fn after_left(&self, first: usize, interpolates_left: bool) -> (usize, bool) {
        let spans_reset =
            interpolates_left && self.histograms[first + 1].detect_reset(self.histograms[first]);
        (first + 1 + usize::from(spans_reset), spans_reset)
    }

    /// What resets between the ends of the window lost, summed up. The last point is represented by
    /// the value at the right end, which has its reset hint.
    #[allow(clippy::option_option, reason = "outer: could be combined; inner: there was a reset")]
    fn lost_in_resets(
        &self,
        (from, spans_reset): (usize, bool),
        last: usize,
        left: &FloatHistogram,
        right: &FloatHistogram,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> Option<Option<FloatHistogram>> {
        let mut lost: Option<FloatHistogram> = None;
        // Both ends between the same two points: no point between them.
        if from > last {
            return Some(lost);
        }
        let mut before: &FloatHistogram = if spans_reset { self.histograms[from - 1] } else { left };
        let points = self.histograms[from..last].iter().map(|point| &***point);
        for point in points.chain([right]) {
            if point.detect_reset(before) {
                match &mut lost {
                    None => lost = Some(before.clone()),
                    Some(lost) => {
                        if !add(lost, before, context, annotations) {
                            return None;
                        }
                    }
                }
            }
            before = point;
        }
        Some(lost)
    }
}
