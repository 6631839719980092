//! `rate`, `increase` and `delta` of floats, and `irate` and `idelta` of both sample types.

use std::ops::Range;
use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::columns::{Positions, TypedColumns, is_start_time_overlap, is_start_time_reset};
use super::range::{RangeContext, RateKind, Scratch};
use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::engine::value::{RangeInput, StepVector};

/// The range in seconds, rounded as the reference rounds it.
pub(super) fn range_seconds(range_ms: i64) -> f64 {
    (range_ms / 1000) as f64 + (range_ms % 1000 * 1_000_000) as f64 / 1e9
}

/// What of a window decides how far an increase between samples is extrapolated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) window_start_ms: i64,
    pub(super) window_end_ms: i64,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Number of samples.
    pub(super) samples: usize,
    /// The first sample's start, where it lies inside the window: the counter was zero then, so the
    /// increase counts from there and nothing is extrapolated to the left.
    pub(super) known_start_ms: Option<i64>,
}

impl Extent {
    /// The start timestamp of the first sample, where it lies between window start and first sample.
    pub(super) fn known_start(start_ms: i64, window_start_ms: i64, first_ms: i64) -> Option<i64> {
        (start_ms != 0 && start_ms > window_start_ms && start_ms < first_ms).then_some(start_ms)
    }

    /// What to multiply the increase between the samples by for the increase over the window.
    ///
    /// Samples near a boundary of the window (nearer than 110 % of their mean distance) mean that the
    /// series goes on there: the increase is extrapolated to the boundary. Otherwise the series
    /// probably begins or ends half a distance away. A counter is never extrapolated below zero:
    /// `first_and_increase` gives its first value and its increase, both non-negative, if it is one.
    pub(super) fn factor(&self, first_and_increase: Option<(f64, f64)>) -> f64 {
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let sampled = seconds(self.first_ms, self.last_ms);
        let mean_distance = if self.samples > 1 { sampled / (self.samples - 1) as f64 } else { 0.0 };
        let threshold = mean_distance * 1.1;
        let (sampled, to_start) = match self.known_start_ms {
            Some(start_ms) => (seconds(start_ms, self.last_ms), 0.0),
            None => {
                let mut to_start = seconds(self.window_start_ms, self.first_ms);
                if to_start >= threshold {
                    to_start = mean_distance / 2.0;
                }
                if let Some((first, increase)) = first_and_increase {
                    let to_zero = sampled * (first / increase);
                    if to_zero < to_start {
                        to_start = to_zero;
                    }
                }
                (sampled, to_start)
            }
        };
        let mut to_end = seconds(self.last_ms, self.window_end_ms);
        if to_end >= threshold {
            to_end = mean_distance / 2.0;
        }
        if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
    }
}

/// `rate`, `increase` and `delta` of the windows that hold floats alone; of the others, tells that
/// they are mixed.
pub(super) fn extrapolated(
    kind: RateKind,
    context: &RangeContext<'_>,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    let counter = kind.is_counter();
    let starts_ms: &[i64] = if counter && context.start_timestamps { &columns.float_starts_ms } else { &[] };
    find_resets(counter, columns, starts_ms, scratch);
    let mut resets = Positions::new(&scratch.positions);
    let mut overlaps = Positions::new(&scratch.more_positions);
    let per_second = kind.is_per_second().then(|| range_seconds(input.range_ms));
    let (times_ms, values) = (&*columns.float_times_ms, &*columns.floats);
    for (step, &window) in input.windows.iter().enumerate() {
        let Range { start: lo, end: hi } = columns.float_range(window);
        if lo == hi {
            continue;
        }
        if !columns.histogram_range(window).is_empty() {
            context.note(annotations, Annotation::MixedFloatsHistograms);
            continue;
        }
        let mut increase = values[hi - 1] - values[lo];
        for &reset in resets.between(lo, hi) {
            increase += values[reset as usize - 1];
        }
        if !overlaps.between(lo, hi).is_empty() {
            context.note(annotations, Annotation::StartTimeOverlap);
        }
        let window_start_ms = input.window_start_ms(step);
        let start_ms = starts_ms.get(lo).copied().unwrap_or(0);
        let extent = Extent {
            window_start_ms,
            window_end_ms: input.window_end_ms(step),
            first_ms: times_ms[lo],
            last_ms: times_ms[hi - 1],
            samples: hi - lo,
            known_start_ms: Extent::known_start(start_ms, window_start_ms, times_ms[lo]),
        };
        if extent.known_start_ms.is_some() {
            increase += values[lo];
        } else if extent.samples < 2 {
            continue;
        }
        let grew = counter && increase > 0.0 && values[lo] >= 0.0;
        let mut factor = extent.factor(grew.then_some((values[lo], increase)));
        if let Some(seconds) = per_second {
            factor /= seconds;
        }
        out.set_float(step, increase * factor);
    }
}

/// Finds once per series where a counter was reset and where start times overlap.
fn find_resets(counter: bool, columns: &TypedColumns<'_>, starts_ms: &[i64], scratch: &mut Scratch) {
    let (resets, overlaps) = (&mut scratch.positions, &mut scratch.more_positions);
    resets.clear();
    overlaps.clear();
    if !counter {
        return;
    }
    let values = &*columns.floats;
    if starts_ms.is_empty() {
        for (i, pair) in values.windows(2).enumerate() {
            if pair[1] < pair[0] {
                resets.push(i as u32 + 1);
            }
        }
        return;
    }
    let times_ms = &*columns.float_times_ms;
    for i in 1..values.len() {
        let (prev_start, prev_ms, start_ms) = (starts_ms[i - 1], times_ms[i - 1], starts_ms[i]);
        if is_start_time_overlap(prev_start, prev_ms, start_ms) {
            overlaps.push(i as u32);
        }
        if values[i] < values[i - 1] || is_start_time_reset(prev_start, prev_ms, start_ms, times_ms[i]) {
            resets.push(i as u32);
        }
    }
}

/// `irate` (per second, of a counter) or `idelta`: between the last two samples of each window.
pub(super) fn instant_rate(
    is_rate: bool,
    context: &RangeContext<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    let samples = input.samples;
    for (step, &window) in input.windows.iter().enumerate() {
        if window.len() < 2 {
            continue;
        }
        let last = window.hi as usize - 1;
        let (times_ms, values) = (&samples.timestamps_ms, &samples.values);
        let seconds = (times_ms[last] - times_ms[last - 1]) as f64 / 1000.0;
        if seconds == 0.0 {
            continue;
        }
        let started_anew = || {
            context.start_timestamps
                && is_start_time_reset(
                    samples.start_timestamp_ms(last - 1),
                    times_ms[last - 1],
                    samples.start_timestamp_ms(last),
                    times_ms[last],
                )
        };
        match (samples.histogram(last - 1), samples.histogram(last)) {
            (None, None) => {
                let (before, now) = (values[last - 1], values[last]);
                let reset = is_rate && (now < before || started_anew());
                let increase = if reset { now } else { now - before };
                out.set_float(step, if is_rate { increase / seconds } else { increase });
            }
            (Some(before), Some(now)) => {
                let reset = || started_anew() || now.detect_reset(before);
                let Some(mut increase) = instant_increase(is_rate, before, now, reset, context, annotations)
                else {
                    continue;
                };
                if is_rate {
                    increase.div(seconds);
                }
                out.set_histogram(step, Arc::new(increase));
            }
            _ => context.note(annotations, Annotation::MixedFloatsHistograms),
        }
    }
}

/// The increase between two histograms; `None` when they cannot be combined.
fn instant_increase(
    is_rate: bool,
    before: &FloatHistogram,
    now: &FloatHistogram,
    reset: impl FnOnce() -> bool,
    context: &RangeContext<'_>,
    annotations: &mut Annotations,
) -> Option<FloatHistogram> {
    let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if is_rate && (is_gauge(before) || is_gauge(now)) {
        context.note(annotations, Annotation::NativeHistogramNotCounter);
    }
    let both_gauges = is_gauge(before) && is_gauge(now);
    if !is_rate && !both_gauges {
        context.note(annotations, Annotation::NativeHistogramNotGauge);
    }
    let mut increase = now.clone();
    let from_zero = is_rate && reset();
    if !from_zero && !super::rate_histogram::subtract(&mut increase, before, context, annotations) {
        return None;
    }
    increase.counter_reset_hint = CounterResetHint::Gauge;
    increase.compact(0);
    Some(increase)
}

/// The annotation for custom buckets reconciled in `operation`.
pub(super) fn note_reconciled(
    operation: HistogramOperation,
    context: &RangeContext<'_>,
    annotations: &mut Annotations,
) {
    annotations.add(Annotation::MismatchedCustomBuckets(operation), context.argument_start);
}
