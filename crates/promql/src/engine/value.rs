//! The columns evaluation works on, and the values a query returns.
//!
//! Evaluation is columnar: every expression is evaluated for all steps of one series at a time. A
//! step without a value holds [`ABSENT`], so a float series is one dense column.

use std::sync::Arc;

use model::{FloatHistogram, Labels, STALE_NAN_BITS, SampleColumns};

/// Fills a step that has no value: the staleness marker, which no arithmetic can produce (it is a
/// signalling NaN) and which selectors never let through.
pub const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a slot of a [`StepVector`] holds no value.
#[inline(always)]
pub fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The timestamps an expression is evaluated at: `start_ms`, `start_ms + step_ms`, and so on, `len`
/// of them. An instant query has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepGrid {
    /// The first timestamp, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Distance of two timestamps; positive.
    pub step_ms: i64,
    /// Number of timestamps.
    pub len: usize,
}

impl StepGrid {
    /// The one-step grid of an instant query.
    pub const fn instant(t_ms: i64) -> Self {
        Self { start_ms: t_ms, step_ms: 1, len: 1 }
    }

    /// All timestamps from `start_ms` up to and not beyond `end_ms`; none when that lies before.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let len = if end_ms < start_ms {
            0
        } else {
            let span = end_ms.wrapping_sub(start_ms).cast_unsigned() / step_ms.cast_unsigned();
            usize::try_from(span).unwrap_or(usize::MAX - 1) + 1
        };
        Self { start_ms, step_ms, len }
    }

    /// The timestamp of step `i`.
    #[inline]
    pub fn time_ms(&self, i: usize) -> i64 {
        self.start_ms + self.step_ms * i as i64
    }

    /// The last timestamp; the first one for an empty grid.
    pub fn end_ms(&self) -> i64 {
        self.time_ms(self.len.saturating_sub(1))
    }
}

/// The values of one series at all steps of a grid.
///
/// `values` has one slot per step, [`ABSENT`] where the series has no value. Where the value is a
/// histogram, `histograms` holds it and `values` holds any number but [`ABSENT`]. `histograms` is
/// empty as long as there is none, so float-only code looks at one dense column. Meant to be reused:
/// [`StepVector::reset`] keeps the allocations.
#[derive(Debug, Clone, Default)]
pub struct StepVector {
    /// One slot per step.
    pub values: Vec<f64>,
    /// Empty, or one slot per step.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
}

impl StepVector {
    /// A vector of `len` absent steps.
    pub fn absent(len: usize) -> Self {
        Self { values: vec![ABSENT; len], histograms: Vec::new() }
    }

    /// The same float at all steps.
    pub fn constant(value: f64, len: usize) -> Self {
        Self { values: vec![value; len], histograms: Vec::new() }
    }

    /// Makes all of `len` steps absent.
    pub fn reset(&mut self, len: usize) {
        self.values.clear();
        // Exactly, because vectors of one step are many.
        self.values.reserve_exact(len);
        self.values.resize(len, ABSENT);
        self.histograms.clear();
    }

    /// Puts the steps of `part` in place of those from `first` on, which are absent.
    pub fn place(&mut self, first: usize, part: &mut Self) {
        self.values[first..first + part.len()].copy_from_slice(&part.values);
        if part.has_histograms() {
            self.histograms.resize(self.values.len(), None);
            self.histograms[first..first + part.histograms.len()].swap_with_slice(&mut part.histograms);
        }
    }

    /// Number of steps.
    #[inline]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no steps at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether step `i` has a value.
    #[inline]
    pub fn is_present(&self, i: usize) -> bool {
        !is_absent(self.values[i])
    }

    /// Whether any step is a histogram.
    #[inline]
    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// The histogram at step `i`, if it is one.
    #[inline]
    pub fn histogram(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(i).and_then(Option::as_ref)
    }

    /// Sets step `i` to a float.
    #[inline]
    pub fn set_float(&mut self, i: usize, value: f64) {
        debug_assert!(!is_absent(value), "a float is never the staleness marker");
        self.values[i] = value;
        if let Some(slot) = self.histograms.get_mut(i) {
            *slot = None;
        }
    }

    /// Sets step `i` to a histogram.
    pub fn set_histogram(&mut self, i: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.values.len(), None);
        }
        self.values[i] = 0.0;
        self.histograms[i] = Some(histogram);
    }

    /// Removes the value of step `i`.
    #[inline]
    pub fn clear_step(&mut self, i: usize) {
        self.values[i] = ABSENT;
        if let Some(slot) = self.histograms.get_mut(i) {
            *slot = None;
        }
    }

    /// The value at step `i`.
    #[inline]
    pub fn get(&self, i: usize) -> Option<StepValue<'_>> {
        let value = self.values[i];
        if is_absent(value) {
            return None;
        }
        Some(match self.histogram(i) {
            Some(histogram) => StepValue::Histogram(histogram),
            None => StepValue::Float(value),
        })
    }

    /// Copies step `from` of `other` to step `to` of this vector.
    pub fn copy_step(&mut self, to: usize, other: &StepVector, from: usize) {
        match other.histogram(from) {
            Some(histogram) => self.set_histogram(to, histogram.clone()),
            None => {
                self.values[to] = other.values[from];
                if let Some(slot) = self.histograms.get_mut(to) {
                    *slot = None;
                }
            }
        }
    }

    /// Whether no step has a value.
    pub fn is_all_absent(&self) -> bool {
        self.values.iter().all(|&v| is_absent(v))
    }

    /// Heap bytes in use, for budgets.
    pub fn memory_bytes(&self) -> usize {
        let histograms = self.histograms.iter().flatten().map(|h| h.memory_bytes()).sum::<usize>();
        (self.values.capacity() + self.histograms.capacity()) * 8 + histograms
    }
}

/// The value of one series at one step.
#[derive(Debug, Clone, Copy)]
pub enum StepValue<'a> {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(&'a Arc<FloatHistogram>),
}

/// The samples `lo..hi` of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowBounds {
    /// The first sample.
    pub lo: u32,
    /// One past the last sample.
    pub hi: u32,
}

impl WindowBounds {
    /// Number of samples.
    #[inline]
    pub fn len(self) -> usize {
        (self.hi - self.lo) as usize
    }

    /// Whether there is no sample.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.lo == self.hi
    }

    /// The bounds as a slice index.
    #[inline]
    pub fn range(self) -> std::ops::Range<usize> {
        self.lo as usize..self.hi as usize
    }
}

/// What a range function computes on: all samples of one series and the window of every step.
///
/// Staleness markers have been removed. Both bounds of the windows never decrease from one step to
/// the next, which allows evaluation by sliding. Windows are left-open: a sample at exactly
/// [`RangeInput::window_start_ms`] is outside, one at [`RangeInput::window_end_ms`] inside; but for
/// `anchored` and `smoothed` selectors the windows are wider by the lookback on one or both sides
/// ([`RangeInput::extension`]).
#[derive(Debug, Clone, Copy)]
pub struct RangeInput<'a> {
    /// The samples.
    pub samples: &'a SampleColumns,
    /// The window of each step; as many as the grid has steps.
    pub windows: &'a [WindowBounds],
    /// The evaluation timestamps.
    pub grid: StepGrid,
    /// Length of the range as written in brackets.
    pub range_ms: i64,
    /// How far the window of a step ends before the step's own timestamp.
    pub offset_ms: i64,
    /// The one end of all windows when the selector is pinned by `@`.
    pub fixed_end_ms: Option<i64>,
    /// How the windows are widened.
    pub extension: RangeExtension,
    /// The values of the function's scalar arguments, in order: one slice per argument with one value
    /// per step.
    pub params: &'a [&'a [f64]],
}

impl<'a> RangeInput<'a> {
    /// The evaluation timestamp of step `i` (not of its window).
    #[inline]
    pub fn eval_ms(&self, i: usize) -> i64 {
        self.grid.time_ms(i)
    }

    /// Where the window of step `i` ends, inclusive, before widening.
    #[inline]
    pub fn window_end_ms(&self, i: usize) -> i64 {
        self.fixed_end_ms.unwrap_or_else(|| self.grid.time_ms(i) - self.offset_ms)
    }

    /// Where the window of step `i` starts, exclusive, before widening.
    #[inline]
    pub fn window_start_ms(&self, i: usize) -> i64 {
        self.window_end_ms(i) - self.range_ms
    }

    /// The samples of the window of step `i`.
    #[inline]
    pub fn window(&self, i: usize) -> Window<'a> {
        let range = self.windows[i].range();
        let samples = self.samples;
        Window {
            timestamps_ms: &samples.timestamps_ms[range.clone()],
            values: &samples.values[range.clone()],
            histograms: if samples.histograms.is_empty() { &[] } else { &samples.histograms[range.clone()] },
            start_timestamps_ms: if samples.start_timestamps_ms.is_empty() {
                &[]
            } else {
                &samples.start_timestamps_ms[range]
            },
        }
    }

    /// The value of scalar argument `arg` at step `i`.
    #[inline]
    pub fn param(&self, arg: usize, i: usize) -> f64 {
        self.params[arg][i]
    }
}

/// How the windows of a range selector are widened beyond its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RangeExtension {
    /// Not at all.
    #[default]
    None,
    /// By the lookback delta before the start.
    Anchored,
    /// By the lookback delta on both sides.
    Smoothed,
}

/// The samples of one window, as columns; `histograms` and `start_timestamps_ms` are empty when no
/// sample of the series has one.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Timestamps in milliseconds, ascending.
    pub timestamps_ms: &'a [i64],
    /// Float values; the sum where the sample is a histogram.
    pub values: &'a [f64],
    /// Histograms, `None` where the sample is a float.
    pub histograms: &'a [Option<Arc<FloatHistogram>>],
    /// Start timestamps in milliseconds, 0 where unknown.
    pub start_timestamps_ms: &'a [i64],
}

impl<'a> Window<'a> {
    /// Number of samples.
    #[inline]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no sample.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The histogram of sample `i`, if it is one.
    #[inline]
    pub fn histogram(&self, i: usize) -> Option<&'a Arc<FloatHistogram>> {
        self.histograms.get(i).and_then(Option::as_ref)
    }

    /// The start timestamp of sample `i`, 0 when unknown.
    #[inline]
    pub fn start_timestamp_ms(&self, i: usize) -> i64 {
        self.start_timestamps_ms.get(i).copied().unwrap_or(0)
    }

    /// How many samples are floats and how many are histograms.
    pub fn count_kinds(&self) -> (usize, usize) {
        let histograms = self.histograms.iter().flatten().count();
        (self.len() - histograms, histograms)
    }
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The labels of the series.
    pub labels: Labels,
    /// The evaluation timestamp in milliseconds.
    pub t_ms: i64,
    /// The float; 0 for a histogram.
    pub value: f64,
    /// The histogram, if it is one.
    pub histogram: Option<Arc<FloatHistogram>>,
}

/// One series of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// The labels of the series.
    pub labels: Labels,
    /// Its samples in ascending time.
    pub samples: SampleColumns,
}

/// What a query evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryValue {
    /// A number.
    Scalar {
        /// The evaluation timestamp in milliseconds.
        t_ms: i64,
        /// The number.
        value: f64,
    },
    /// A string.
    String {
        /// The evaluation timestamp in milliseconds.
        t_ms: i64,
        /// The string.
        value: String,
    },
    /// An instant vector.
    Vector(Vec<VectorSample>),
    /// A range vector, or the result of a range query; sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

impl QueryValue {
    /// The type as the HTTP API names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar { .. } => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}
