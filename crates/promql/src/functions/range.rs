//! Functions over range vectors.
//!
//! A [`RangeKernel`] is made once per query and thread; it evaluates a function for all steps of one
//! series in one call, so that what neighbouring windows share is computed once: positions of counter
//! resets, sliding extremes, counts of changes.

use model::number::{FloatFormat, Formatted};
use smol_str::SmolStr;

use super::columns::TypedColumns;
use super::{changes, extended, over_time, over_time_histogram, rate, rate_histogram, regression};
use crate::annotations::{Annotation, Annotations};
use crate::engine::value::{RangeExtension, RangeInput, StepVector};

/// A function over a range vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RangeFunction {
    /// `rate`, `increase` and `delta`.
    Extrapolated(RateKind),
    /// `irate`.
    Irate,
    /// `idelta`.
    Idelta,
    /// `avg_over_time`.
    Avg,
    /// `sum_over_time`.
    Sum,
    /// `min_over_time`.
    Min,
    /// `max_over_time`.
    Max,
    /// `count_over_time`.
    Count,
    /// `first_over_time`.
    First,
    /// `last_over_time`.
    Last,
    /// `present_over_time`; also what `absent_over_time` is the complement of.
    Present,
    /// `stddev_over_time`.
    Stddev,
    /// `stdvar_over_time`.
    Stdvar,
    /// `quantile_over_time`; its parameter is the quantile.
    Quantile,
    /// `mad_over_time`.
    Mad,
    /// `ts_of_min_over_time`.
    TimeOfMin,
    /// `ts_of_max_over_time`.
    TimeOfMax,
    /// `ts_of_first_over_time`.
    TimeOfFirst,
    /// `ts_of_last_over_time`.
    TimeOfLast,
    /// `deriv`.
    Deriv,
    /// `predict_linear`; its parameter is how far ahead, in seconds.
    PredictLinear,
    /// `double_exponential_smoothing`; its parameters are smoothing and trend factor.
    DoubleExponentialSmoothing,
    /// `changes`.
    Changes,
    /// `resets`.
    Resets,
}

/// What `rate`, `increase` and `delta` differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateKind {
    /// Per second, of a counter.
    Rate,
    /// Over the range, of a counter.
    Increase,
    /// Over the range, of a gauge.
    Delta,
}

impl RateKind {
    /// Whether decreases are resets.
    pub(crate) fn is_counter(self) -> bool {
        !matches!(self, Self::Delta)
    }

    /// Whether the result is per second.
    pub(crate) fn is_per_second(self) -> bool {
        matches!(self, Self::Rate)
    }
}

impl RangeFunction {
    /// The function of this name, if it is one of a range vector. `absent_over_time` is
    /// [`RangeFunction::Present`], whose result the caller inverts over all series.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Extrapolated(RateKind::Rate),
            "increase" => Self::Extrapolated(RateKind::Increase),
            "delta" => Self::Extrapolated(RateKind::Delta),
            "irate" => Self::Irate,
            "idelta" => Self::Idelta,
            "avg_over_time" => Self::Avg,
            "sum_over_time" => Self::Sum,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "count_over_time" => Self::Count,
            "first_over_time" => Self::First,
            "last_over_time" => Self::Last,
            "present_over_time" | "absent_over_time" => Self::Present,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "quantile_over_time" => Self::Quantile,
            "mad_over_time" => Self::Mad,
            "ts_of_min_over_time" => Self::TimeOfMin,
            "ts_of_max_over_time" => Self::TimeOfMax,
            "ts_of_first_over_time" => Self::TimeOfFirst,
            "ts_of_last_over_time" => Self::TimeOfLast,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "double_exponential_smoothing" => Self::DoubleExponentialSmoothing,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            _ => return None,
        })
    }

    /// Whether the metric's name stays: the value is one of the metric's own samples.
    pub fn keeps_metric_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// Whether the start timestamps of samples matter, where that feature is on.
    pub fn uses_start_timestamps(self) -> bool {
        matches!(self, Self::Extrapolated(RateKind::Rate | RateKind::Increase) | Self::Irate | Self::Resets)
    }

    /// Whether the window may be widened to the sample before its start.
    pub fn allows_anchored(self) -> bool {
        self.allows_smoothed() || matches!(self, Self::Changes | Self::Resets)
    }

    /// Whether the window may be widened on both sides, with interpolation at its ends.
    pub fn allows_smoothed(self) -> bool {
        matches!(self, Self::Extrapolated(_))
    }

    /// Whether every window is looked at from its first sample to its last; the others slide from one to the next. Those of
    /// histograms never slide.
    pub fn looks_at_all(self, has_histograms: bool) -> bool {
        match self {
            Self::Sum | Self::Avg | Self::TimeOfMin | Self::TimeOfMax | Self::Stddev | Self::Stdvar => true,
            Self::Quantile | Self::Mad | Self::Deriv | Self::PredictLinear => true,
            Self::DoubleExponentialSmoothing => true,
            Self::Extrapolated(_) => has_histograms,
            _ => false,
        }
    }

    /// Whether the value depends on the evaluation time, even when the window does not.
    pub fn depends_on_evaluation_time(self) -> bool {
        matches!(self, Self::PredictLinear)
    }
}

/// Who is evaluated, for annotations and for features of the query.
#[derive(Debug, Clone, Copy)]
pub struct RangeContext<'a> {
    /// The metric's name, or the empty string.
    pub metric_name: &'a str,
    /// The `__type__` label (empty when absent), where counters are known by it rather than by name.
    pub type_label: Option<&'a str>,
    /// Where the function's first argument starts in the query, in bytes.
    pub argument_start: usize,
    /// Whether the start timestamps of samples count.
    pub start_timestamps: bool,
}

impl RangeContext<'_> {
    pub(crate) fn metric(&self) -> SmolStr {
        SmolStr::new(self.metric_name)
    }

    /// Adds an annotation about the metric to `annotations`.
    pub(crate) fn note(&self, annotations: &mut Annotations, of_metric: fn(SmolStr) -> Annotation) {
        annotations.add(of_metric(self.metric()), self.argument_start);
    }
}

/// A scalar argument that the function does not accept; the query fails with this text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// Outside of the open interval from 0 to 1.
    #[error("invalid smoothing factor. Expected: 0 < sf < 1, got: {}", Formatted(*.0, FloatFormat::Fixed(6)))]
    SmoothingFactor(f64),
    /// Outside of the open interval from 0 to 1.
    #[error("invalid trend factor. Expected: 0 < tf < 1, got: {}", Formatted(*.0, FloatFormat::Fixed(6)))]
    TrendFactor(f64),
}

/// Memory that evaluation reuses from one series to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) floats: Vec<f64>,
    pub(crate) positions: Vec<u32>,
    pub(crate) more_positions: Vec<u32>,
    pub(crate) deque: std::collections::VecDeque<u32>,
}

/// Evaluates one function over one series after another.
#[derive(Debug)]
pub struct RangeKernel {
    function: RangeFunction,
    scratch: Scratch,
}

impl RangeKernel {
    /// A kernel for `function`.
    pub fn new(function: RangeFunction) -> Self {
        Self { function, scratch: Scratch::default() }
    }

    /// The function.
    pub fn function(&self) -> RangeFunction {
        self.function
    }

    /// Evaluates the function at all steps of `input` into `out`, which is reset first.
    pub fn evaluate(
        &mut self,
        context: &RangeContext<'_>,
        input: &RangeInput<'_>,
        out: &mut StepVector,
        annotations: &mut Annotations,
    ) -> Result<(), ParameterError> {
        out.reset(input.grid.len);
        let scratch = &mut self.scratch;
        match self.function {
            RangeFunction::Extrapolated(kind) => {
                evaluate_rate(kind, context, input, scratch, out, annotations);
            }
            RangeFunction::Irate => rate::instant_rate(true, context, input, out, annotations),
            RangeFunction::Idelta => rate::instant_rate(false, context, input, out, annotations),
            RangeFunction::Changes => changes::changes(input, scratch, out),
            RangeFunction::Resets => changes::resets(context, input, scratch, out),
            RangeFunction::Count => over_time::count(input, out),
            RangeFunction::Present => over_time::present(input, out),
            RangeFunction::First => over_time::first(input, out),
            RangeFunction::Last => over_time::last(input, out),
            RangeFunction::TimeOfFirst => over_time::time_of_first(input, out),
            RangeFunction::TimeOfLast => over_time::time_of_last(input, out),
            RangeFunction::Sum | RangeFunction::Avg => {
                let columns = TypedColumns::new(input.samples);
                let is_avg = self.function == RangeFunction::Avg;
                over_time::sum_or_avg(is_avg, &columns, input, scratch, out);
                over_time_histogram::sum_or_avg(is_avg, context, &columns, input, out, annotations);
            }
            _ => {
                let columns = TypedColumns::new(input.samples);
                self.evaluate_floats(&columns, input, out)?;
                note_ignored_histograms(self.function, context, &columns, input, annotations);
            }
        }
        Ok(())
    }

    /// The functions that look at floats alone.
    fn evaluate_floats(
        &mut self,
        columns: &TypedColumns<'_>,
        input: &RangeInput<'_>,
        out: &mut StepVector,
    ) -> Result<(), ParameterError> {
        let scratch = &mut self.scratch;
        match self.function {
            RangeFunction::Min => over_time::min(columns, input, scratch, out),
            RangeFunction::Max => over_time::max(columns, input, scratch, out),
            RangeFunction::TimeOfMin => over_time::time_of_min(columns, input, out),
            RangeFunction::TimeOfMax => over_time::time_of_max(columns, input, out),
            RangeFunction::Stddev => over_time::variance(columns, input, out, f64::sqrt),
            RangeFunction::Stdvar => over_time::variance(columns, input, out, |variance| variance),
            RangeFunction::Quantile => over_time::quantile(columns, input, scratch, out),
            RangeFunction::Mad => over_time::median_absolute_deviation(columns, input, scratch, out),
            RangeFunction::Deriv => regression::deriv(columns, input, out),
            RangeFunction::PredictLinear => regression::predict_linear(columns, input, out),
            RangeFunction::DoubleExponentialSmoothing => regression::smooth(columns, input, out)?,
            _ => unreachable!("functions that look at histograms too are dispatched before"),
        }
        Ok(())
    }
}

fn evaluate_rate(
    kind: RateKind,
    context: &RangeContext<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
    annotations: &mut Annotations,
) {
    let columns = TypedColumns::new(input.samples);
    match input.extension {
        RangeExtension::None => {
            rate::extrapolated(kind, context, &columns, input, scratch, out, annotations);
            rate_histogram::extrapolated(kind, context, &columns, input, out, annotations);
        }
        RangeExtension::Anchored | RangeExtension::Smoothed => {
            extended::rate(kind, context, &columns, input, out, annotations);
        }
    }
    if kind.is_counter() {
        note_possible_non_counter(context, out, annotations);
    }
}

/// Tells when a counter function gave floats for a metric that does not look like a counter.
fn note_possible_non_counter(context: &RangeContext<'_>, out: &StepVector, annotations: &mut Annotations) {
    let name = context.metric_name;
    let gave_float = || (0..out.len()).any(|i| out.is_present(i) && out.histogram(i).is_none());
    if name.is_empty() {
        return;
    }
    let annotation = match context.type_label {
        Some("counter" | "histogram") => return,
        Some(label) => {
            Annotation::PossibleNonCounterLabel { metric: context.metric(), type_label: SmolStr::new(label) }
        }
        None if ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) => return,
        None => Annotation::PossibleNonCounter(context.metric()),
    };
    if gave_float() {
        annotations.add(annotation, context.argument_start);
    }
}

/// Tells of histograms beside floats that a float function left out, and of quantiles out of range.
fn note_ignored_histograms(
    function: RangeFunction,
    context: &RangeContext<'_>,
    columns: &TypedColumns<'_>,
    input: &RangeInput<'_>,
    annotations: &mut Annotations,
) {
    if function == RangeFunction::Quantile {
        for (step, &window) in input.windows.iter().enumerate() {
            let q = input.param(0, step);
            if !(0.0..=1.0).contains(&q) && !columns.float_range(window).is_empty() {
                annotations.add(Annotation::invalid_quantile(q), context.argument_start);
            }
        }
    }
    if columns.histograms.is_empty() {
        return;
    }
    let is_mixed =
        |window| !columns.float_range(window).is_empty() && !columns.histogram_range(window).is_empty();
    if input.windows.iter().any(|&window| is_mixed(window)) {
        context.note(annotations, Annotation::HistogramIgnoredInMixedRange);
    }
}

#[cfg(test)]
mod tests;
