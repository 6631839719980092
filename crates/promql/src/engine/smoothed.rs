//! Instant vector selectors with `smoothed`: values between samples are interpolated.

use std::sync::Arc;

use model::histogram::HistogramError;
use model::{CounterResetHint, FloatHistogram, Labels, SampleColumns};

use super::env::{Env, Scratch};
use super::error::EvalResult;
use super::operator::Operator;
use super::range::remove_stale;
use super::selector::{SelectedSeries, TimeShift};
use super::value::{StepGrid, StepVector};
use crate::annotations::{Annotation, Annotations};
use crate::functions::extended::{interpolate, interpolate_histograms};

/// A `smoothed` instant vector selector.
pub(crate) struct SmoothedSelector {
    pub env: Arc<Env>,
    pub series: SelectedSeries,
    pub grid: StepGrid,
    pub shift: TimeShift,
    /// Where it starts in the query.
    pub start: usize,
}

impl SmoothedSelector {
    /// Sets `step` from the samples `lo..hi` around `at_ms`.
    fn take(
        &self,
        columns: &SampleColumns,
        (lo, hi): (usize, usize),
        at_ms: i64,
        name: &str,
        annotations: &mut Annotations,
        (step, out): (usize, &mut StepVector),
    ) {
        let histograms = (lo..hi).filter(|&i| columns.histogram(i).is_some()).count();
        if histograms > 0 && histograms < hi - lo {
            annotations.add(Annotation::MixedFloatsHistograms(name.into()), self.start);
            return;
        }
        let times = &columns.timestamps_ms;
        let next = lo + times[lo..hi].partition_point(|&t| t < at_ms);
        let exact = next < hi && times[next] == at_ms;
        if !exact && next == lo {
            return;
        }
        let is_last = next == hi;
        if histograms == 0 {
            let point = |i: usize| (times[i], columns.values[i]);
            out.set_float(
                step,
                match () {
                    () if exact => columns.values[next],
                    () if is_last => columns.values[next - 1],
                    () => interpolate(point(next - 1), point(next), at_ms, false),
                },
            );
            return;
        }
        let at = |i: usize| columns.histogram(i).map(|h| (times[i], h));
        let found = match (at(next - usize::from(!exact)), if exact || is_last { None } else { at(next) }) {
            (Some((_, histogram)), None) if exact => Some(histogram.clone()),
            (Some((_, before)), None) => {
                // The hint is about two neighbours, and this is a value of its own.
                let mut carried = before.clone();
                Arc::make_mut(&mut carried).counter_reset_hint = CounterResetHint::Unknown;
                Some(carried)
            }
            (Some((from_ms, from)), Some((to_ms, to))) => {
                self.between((from_ms, from), (to_ms, to), at_ms, name, annotations).map(Arc::new)
            }
            (None, _) => None,
        };
        if let Some(histogram) = found {
            out.set_histogram(step, histogram);
        }
    }

    fn between(
        &self,
        from: (i64, &FloatHistogram),
        to: (i64, &FloatHistogram),
        at_ms: i64,
        name: &str,
        annotations: &mut Annotations,
    ) -> Option<FloatHistogram> {
        let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
        let counter = !(is_gauge(from.1) && is_gauge(to.1));
        let result = if from.1.uses_custom_buckets() == to.1.uses_custom_buckets() {
            interpolate_histograms(from, to, at_ms, counter)
        } else {
            Err(HistogramError::IncompatibleSchema)
        };
        match result {
            Ok((histogram, reconciled)) => {
                for operation in reconciled {
                    annotations.add(Annotation::MismatchedCustomBuckets(operation), self.start);
                }
                Some(histogram)
            }
            Err(error) => {
                if error == HistogramError::IncompatibleSchema {
                    annotations.add(Annotation::MixedExponentialCustomHistograms(name.into()), self.start);
                }
                None
            }
        }
    }
}

impl Operator for SmoothedSelector {
    fn len(&self) -> usize {
        self.series.set.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series.set.labels(i)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.series.set.visit_labels(i, visit);
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.series.name.is_some() && !self.env.settings.type_and_unit_labels
    }

    fn fixed_name(&self) -> Option<&str> {
        self.series.name.as_deref()
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        out.reset(self.grid.len);
        let mut columns = scratch.columns();
        self.series.read(i, self.series.range, &mut columns, &self.env)?;
        scratch.reserve_columns(&self.env, &columns)?;
        remove_stale(&mut columns);
        let labels = self.labels(i);
        let lookback_ms = self.env.settings.lookback_ms;
        let (mut lo, mut hi) = (0, 0);
        for step in 0..self.grid.len {
            let at_ms = self.shift.apply(self.grid.time_ms(step));
            let times = &columns.timestamps_ms;
            while hi < times.len() && times[hi] <= at_ms.saturating_add(lookback_ms) {
                hi += 1;
            }
            while lo < hi && times[lo] <= at_ms.saturating_sub(lookback_ms) {
                lo += 1;
            }
            if lo < hi {
                let name = labels.metric_name();
                self.take(&columns, (lo, hi), at_ms, name, &mut scratch.annotations, (step, out));
            }
        }
        scratch.held += out.values.iter().filter(|&&v| !super::value::is_absent(v)).count() as i64;
        scratch.put_columns(columns);
        Ok(())
    }
}
