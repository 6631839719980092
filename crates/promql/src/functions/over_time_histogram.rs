//! `sum_over_time` and `avg_over_time` of native histograms.

use std::sync::Arc;

use model::histogram::HistogramError;

use super::columns::TypedColumns;
use super::histogram_sum::HistogramSum;
use super::range::RangeContext;
use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::engine::value::{RangeInput, StepVector};

/// Sums or means of the windows that hold histograms; of the mixed ones, tells that they are.
pub(super) fn sum_or_avg(
    is_avg: bool,
    context: &RangeContext<'_>,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    if columns.histograms.is_empty() {
        return;
    }
    for (step, &window) in input.windows.iter().enumerate() {
        let [first, rest @ ..] = &columns.histograms[columns.histogram_range(window)] else { continue };
        if !columns.float_range(window).is_empty() {
            context.note(annotations, Annotation::MixedFloatsHistograms);
            continue;
        }
        let mut sum = HistogramSum::new(first, is_avg);
        match rest.iter().try_for_each(|histogram| sum.add(histogram)) {
            Ok(()) => {
                if sum.has_reset_collision() {
                    let annotation = Annotation::CounterResetCollision(HistogramOperation::Aggregation);
                    annotations.add(annotation, context.argument_start);
                }
                if sum.has_reconciled_bounds() {
                    super::rate::note_reconciled(HistogramOperation::Aggregation, context, annotations);
                }
                out.set_histogram(step, Arc::new(sum.finish()));
            }
            Err(HistogramError::IncompatibleSchema) => {
                context.note(annotations, Annotation::MixedExponentialCustomHistograms);
            }
            // A histogram that is damaged in another way has no sum.
            Err(_) => {}
        }
    }
}
