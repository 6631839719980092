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
        let reach = Reach::new(self.spacing());
        match self.known_start_ms {
            None => reach.factor(first_and_increase),
            Some(start_ms) => {
                Reach { sampled: seconds_between(start_ms, self.last_ms), to_start: 0.0, ..reach }
                    .plain_factor()
            }
        }
    }

    fn spacing(&self) -> Spacing {
        Spacing {
            sampled_ms: self.last_ms - self.first_ms,
            to_start_ms: self.first_ms - self.window_start_ms,
            to_end_ms: self.window_end_ms - self.last_ms,
            samples: self.samples,
        }
    }
}

fn seconds_between(from_ms: i64, to_ms: i64) -> f64 {
    (to_ms - from_ms) as f64 / 1000.0
}

/// How the samples lie in a window. Windows of regular samples have it in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spacing {
    sampled_ms: i64,
    to_start_ms: i64,
    to_end_ms: i64,
    samples: usize,
}

/// From where to where an increase reaches, in seconds.
#[derive(Debug, Clone, Copy)]
struct Reach {
    /// Between first and last sample.
    sampled: f64,
    /// Before the first sample.
    to_start: f64,
    /// After the last sample.
    to_end: f64,
}

impl Reach {
    fn new(spacing: Spacing) -> Self {
        let sampled = seconds_between(0, spacing.sampled_ms);
        let mean_distance = if spacing.samples > 1 { sampled / (spacing.samples - 1) as f64 } else { 0.0 };
        let threshold = mean_distance * 1.1;
        let bounded = |distance: f64| if distance >= threshold { mean_distance / 2.0 } else { distance };
        Self {
            sampled,
            to_start: bounded(seconds_between(0, spacing.to_start_ms)),
            to_end: bounded(seconds_between(0, spacing.to_end_ms)),
        }
    }

    fn factor(self, first_and_increase: Option<(f64, f64)>) -> f64 {
        let Some((first, increase)) = first_and_increase else { return self.plain_factor() };
        let to_zero = self.sampled * (first / increase);
        if to_zero < self.to_start {
            Self { to_start: to_zero, ..self }.plain_factor()
        } else {
            self.plain_factor()
        }
    }

    fn plain_factor(self) -> f64 {
        if self.sampled == 0.0 { 1.0 } else { (self.sampled + self.to_start + self.to_end) / self.sampled }
    }
}

/// What increases are multiplied by, remembered from window to window: divisions are most of what a rate
/// costs, and regular samples need the same ones in every window.
struct Factors {
    seconds: Option<f64>,
    spacing: Spacing,
    reach: Reach,
    plain: f64,
}

impl Factors {
    /// `seconds` is the range to divide by, if the function is one per second.
    fn new(seconds: Option<f64>) -> Self {
        let spacing = Spacing { sampled_ms: 0, to_start_ms: 0, to_end_ms: 0, samples: 0 };
        let reach = Reach::new(spacing);
        let mut factors = Self { seconds, spacing, reach, plain: 0.0 };
        factors.plain = factors.per_second(reach.plain_factor());
        factors
    }

    #[inline]
    fn per_second(&self, factor: f64) -> f64 {
        self.seconds.map_or(factor, |seconds| factor / seconds)
    }

    /// As [`Extent::factor`].
    #[inline]
    fn of(&mut self, extent: &Extent, first_and_increase: Option<(f64, f64)>) -> f64 {
        if extent.known_start_ms.is_some() {
            return self.per_second(extent.factor(first_and_increase));
        }
        self.of_spacing(extent.spacing(), first_and_increase)
    }

    /// As [`Extent::factor`] of samples whose start is not known.
    #[inline]
    fn of_spacing(&mut self, spacing: Spacing, first_and_increase: Option<(f64, f64)>) -> f64 {
        if spacing != self.spacing {
            (self.spacing, self.reach) = (spacing, Reach::new(spacing));
            self.plain = self.per_second(self.reach.plain_factor());
        }
        // A counter at or above its increase was zero at least as long before the first sample as the samples
        // reach: no need to divide to see that this is beyond the start.
        match first_and_increase {
            Some((first, increase)) if !(first >= increase && self.reach.sampled >= self.reach.to_start) => {
                self.per_second(self.reach.factor(first_and_increase))
            }
            _ => self.plain,
        }
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
    if starts_ms.is_empty() && columns.histograms.is_empty() {
        return extrapolated_floats(kind, columns, input, resets, out);
    }
    let mut overlaps = Positions::new(&scratch.more_positions);
    let mut factors = Factors::new(kind.is_per_second().then(|| range_seconds(input.range_ms)));
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
        let factor = factors.of(&extent, grew.then_some((values[lo], increase)));
        out.set_float(step, increase * factor);
    }
}

/// As [`extrapolated`], of a series of floats whose start timestamps do not matter: nearly every one.
fn extrapolated_floats(
    kind: RateKind,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    mut resets: Positions<'_>,
    out: &mut StepVector,
) {
    let counter = kind.is_counter();
    let mut factors = Factors::new(kind.is_per_second().then(|| range_seconds(input.range_ms)));
    let (times_ms, values) = (&*columns.float_times_ms, &*columns.floats);
    for (step, &window) in input.windows.iter().enumerate() {
        let range = window.range();
        let ([first_ms, .., last_ms], [first, .., last]) = (&times_ms[range.clone()], &values[range.clone()])
        else {
            continue;
        };
        let mut increase = last - first;
        for &reset in resets.between(range.start, range.end) {
            increase += values[reset as usize - 1];
        }
        let spacing = Spacing {
            sampled_ms: last_ms - first_ms,
            to_start_ms: first_ms - input.window_start_ms(step),
            to_end_ms: input.window_end_ms(step) - last_ms,
            samples: range.len(),
        };
        let grew = counter && increase > 0.0 && *first >= 0.0;
        let factor = factors.of_spacing(spacing, grew.then_some((*first, increase)));
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
        // Most series have none, which is found out without a branch per sample.
        let pairs = values.iter().zip(values.iter().skip(1));
        if !pairs.fold(false, |any, (before, after)| any | (after < before)) {
            return;
        }
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
