//! `rate`, `increase` and `delta` of native histograms.

use std::ops::Range;
use std::sync::Arc;

use model::histogram::HistogramError;
use model::{CounterResetHint, FloatHistogram};

use super::columns::{TypedColumns, is_start_time_overlap, is_start_time_reset};
use super::range::{RangeContext, RateKind};
use super::rate::{Extent, note_reconciled, range_seconds};
use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::engine::value::{RangeInput, StepVector};

/// `rate`, `increase` and `delta` of the windows that hold histograms alone. Mixed windows are told of
/// by the kernel for floats.
pub(super) fn extrapolated(
    kind: RateKind,
    context: &RangeContext<'_>,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    if columns.histograms.is_empty() {
        return;
    }
    let counter = kind.is_counter();
    for (step, &window) in input.windows.iter().enumerate() {
        let range = columns.histogram_range(window);
        if range.is_empty() || !columns.float_range(window).is_empty() {
            continue;
        }
        let points = Points::new(columns, range, counter && context.start_timestamps);
        let mut increase = None;
        if points.len() > 1 {
            increase = Some(match points.increase(counter, context, annotations) {
                Some(increase) => increase,
                None => continue,
            });
        }
        if let Some(rate) = extrapolate(kind, &points, increase, step, input, context, annotations) {
            out.set_histogram(step, Arc::new(rate));
        }
    }
}

/// Scales the increase between samples to the window.
fn extrapolate(
    kind: RateKind,
    points: &Points<'_>,
    increase: Option<FloatHistogram>,
    step: usize,
    input: &RangeInput<'_>,
    context: &RangeContext<'_>,
    annotations: &mut Annotations,
) -> Option<FloatHistogram> {
    let first = points.histograms[0];
    let window_start_ms = input.window_start_ms(step);
    let extent = Extent {
        window_start_ms,
        window_end_ms: input.window_end_ms(step),
        first_ms: points.times_ms[0],
        last_ms: points.times_ms[points.len() - 1],
        samples: points.len(),
        known_start_ms: Extent::known_start(points.start_ms(0), window_start_ms, points.times_ms[0]),
    };
    let mut increase = match (increase, extent.known_start_ms) {
        (None, None) => return None,
        (None, Some(_)) => FloatHistogram::clone(first),
        (Some(increase), None) => increase,
        (Some(mut increase), Some(_)) => {
            if !add(&mut increase, first, context, annotations) {
                return None;
            }
            increase
        }
    };
    let grew = kind.is_counter() && increase.count > 0.0 && first.count >= 0.0;
    let mut factor = extent.factor(grew.then_some((first.count, increase.count)));
    if kind.is_per_second() {
        factor /= range_seconds(input.range_ms);
    }
    increase.mul(factor);
    Some(increase)
}

/// The histograms of one window.
struct Points<'a> {
    times_ms: &'a [i64],
    histograms: &'a [&'a Arc<FloatHistogram>],
    /// Empty when start timestamps do not count.
    starts_ms: &'a [i64],
}

impl<'a> Points<'a> {
    fn new(columns: &'a TypedColumns<'a>, range: Range<usize>, start_timestamps: bool) -> Self {
        Self {
            times_ms: &columns.histogram_times_ms[range.clone()],
            histograms: &columns.histograms[range.clone()],
            starts_ms: if start_timestamps && !columns.histogram_starts_ms.is_empty() {
                &columns.histogram_starts_ms[range]
            } else {
                &[]
            },
        }
    }

    fn len(&self) -> usize {
        self.histograms.len()
    }

    fn start_ms(&self, i: usize) -> i64 {
        self.starts_ms.get(i).copied().unwrap_or(0)
    }

    /// Whether the counter was reset between point `i` and the one before, which is taken to be `before`.
    fn is_reset(&self, i: usize, before: &FloatHistogram) -> bool {
        let (prev_start, prev_ms) = (self.start_ms(i - 1), self.times_ms[i - 1]);
        is_start_time_reset(prev_start, prev_ms, self.start_ms(i), self.times_ms[i])
            || self.histograms[i].detect_reset(before)
    }

    /// The increase from the first to the last of at least two points; `None` when they cannot be
    /// combined.
    fn increase(
        &self,
        counter: bool,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> Option<FloatHistogram> {
        let last = self.histograms[self.len() - 1];
        // After a reset right behind the first point its buckets do not matter, nor whether they fit.
        let zero;
        let mut first: &FloatHistogram = self.histograms[0];
        let starts_with_gauge = is_gauge(first);
        if counter && self.is_reset(1, first) {
            let second = self.histograms[1];
            zero = FloatHistogram {
                schema: second.schema,
                custom_values: second.custom_values.clone(),
                ..FloatHistogram::default()
            };
            first = &zero;
        }
        if counter && (starts_with_gauge || is_gauge(last)) {
            context.note(annotations, Annotation::NativeHistogramNotCounter);
        }
        let schema = self.common_schema(counter, first, context, annotations)?;
        let Ok(mut increase) = last.to_schema(schema) else {
            context.note(annotations, Annotation::MixedExponentialCustomHistograms);
            return None;
        };
        // Contradicting hints do not matter here: resets are dealt with one by one.
        if !subtract(&mut increase, first, context, annotations) {
            return None;
        }
        if counter {
            self.add_before_resets(&mut increase, first, context, annotations)?;
        } else if !is_gauge(self.histograms[0]) || !is_gauge(last) {
            context.note(annotations, Annotation::NativeHistogramNotGauge);
        }
        increase.counter_reset_hint = CounterResetHint::Gauge;
        increase.compact(0);
        Some(increase)
    }

    /// The coarsest schema of the points that count; `None` when custom and exponential ones are mixed.
    fn common_schema(
        &self,
        counter: bool,
        first: &FloatHistogram,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> Option<i32> {
        let last = self.histograms[self.len() - 1];
        let custom = first.uses_custom_buckets();
        let mut schema = first.schema.min(last.schema);
        let mut fits = last.uses_custom_buckets() == custom;
        if counter && fits {
            for point in &self.histograms[1..self.len() - 1] {
                if is_gauge(point) {
                    context.note(annotations, Annotation::NativeHistogramNotCounter);
                }
                schema = schema.min(point.schema);
                fits &= point.uses_custom_buckets() == custom;
            }
        }
        if !fits {
            context.note(annotations, Annotation::MixedExponentialCustomHistograms);
        }
        fits.then_some(schema)
    }

    /// Adds the last value before each reset; `None` when it cannot be combined.
    fn add_before_resets(
        &self,
        increase: &mut FloatHistogram,
        first: &FloatHistogram,
        context: &RangeContext<'_>,
        annotations: &mut Annotations,
    ) -> Option<()> {
        let mut before = first;
        let mut overlaps = false;
        for i in 1..self.len() {
            overlaps |= is_start_time_overlap(self.start_ms(i - 1), self.times_ms[i - 1], self.start_ms(i));
            if self.is_reset(i, before) && !add(increase, before, context, annotations) {
                return None;
            }
            before = self.histograms[i];
        }
        if overlaps {
            context.note(annotations, Annotation::StartTimeOverlap);
        }
        Some(())
    }
}

fn is_gauge(histogram: &FloatHistogram) -> bool {
    histogram.counter_reset_hint == CounterResetHint::Gauge
}

/// Adds `other`; false, with an annotation, when it cannot be combined.
pub(super) fn add(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    context: &RangeContext<'_>,
    annotations: &mut Annotations,
) -> bool {
    let result = base.add(other).map(|done| done.custom_bounds);
    conclude(result, HistogramOperation::Addition, context, annotations)
}

/// Subtracts `other`; false, with an annotation, when it cannot be combined.
pub(super) fn subtract(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    context: &RangeContext<'_>,
    annotations: &mut Annotations,
) -> bool {
    let result = base.sub(other).map(|done| done.custom_bounds);
    conclude(result, HistogramOperation::Subtraction, context, annotations)
}

fn conclude(
    result: Result<bool, HistogramError>,
    operation: HistogramOperation,
    context: &RangeContext<'_>,
    annotations: &mut Annotations,
) -> bool {
    match result {
        Ok(reconciled) => {
            if reconciled {
                note_reconciled(operation, context, annotations);
            }
            true
        }
        Err(error) => {
            if error == HistogramError::IncompatibleSchema {
                context.note(annotations, Annotation::MixedExponentialCustomHistograms);
            }
            false
        }
    }
}
