//! Histograms with float counts, the form queries compute with.

use std::sync::Arc;

use super::spans::{Walk, coarsen, compact, same_layout};
use super::{CounterResetHint, HistogramError, Span, is_custom_schema};

/// A native histogram with float counts; bucket counts are absolute.
///
/// With [`super::CUSTOM_BUCKETS_SCHEMA`] only the positive side, `custom_values`, count and sum are used.
#[derive(Debug, Clone, Default)]
pub struct FloatHistogram {
    /// What is known about counter resets.
    pub counter_reset_hint: CounterResetHint,
    /// Exponential schema -4..=8, or [`super::CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of observations; the staleness marker for a stale histogram.
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<Span>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<Span>,
    /// Absolute positive counts.
    pub positive_buckets: Vec<f64>,
    /// Absolute negative counts.
    pub negative_buckets: Vec<f64>,
    /// Ascending upper bounds of custom buckets without `+Inf`; `None` for exponential schemas.
    pub custom_values: Option<Arc<[f64]>>,
}

/// Equality of data, not of numbers: counts and the sum are compared bit for bit (the staleness marker
/// is a NaN), empty buckets count, spans of length zero do not, and the counter-reset hint is ignored.
impl PartialEq for FloatHistogram {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let all_same =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same(a, b));
        self.schema == other.schema
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && self.zero_threshold == other.zero_threshold
            && same(self.zero_count, other.zero_count)
            && (!self.uses_custom_buckets() || self.custom_bounds() == other.custom_bounds())
            && same_layout(&self.negative_spans, &other.negative_spans)
            && same_layout(&self.positive_spans, &other.positive_spans)
            && all_same(&self.negative_buckets, &other.negative_buckets)
            && all_same(&self.positive_buckets, &other.positive_buckets)
    }
}

impl FloatHistogram {
    /// Whether buckets have listed bounds.
    pub fn uses_custom_buckets(&self) -> bool {
        is_custom_schema(self.schema)
    }

    /// The listed upper bounds; none for exponential schemas.
    pub fn custom_bounds(&self) -> &[f64] {
        self.custom_values.as_deref().unwrap_or_default()
    }

    /// Whether this is a staleness marker rather than a histogram.
    pub fn is_stale(&self) -> bool {
        crate::sample::is_stale_nan(self.sum)
    }

    /// Heap and inline bytes, for budgets.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + (self.positive_spans.len() + self.negative_spans.len()) * size_of::<Span>()
            + (self.positive_buckets.len() + self.negative_buckets.len()) * size_of::<f64>()
            + size_of_val(self.custom_bounds())
    }

    /// Bytes as the query limits of the field count them: a fixed 168 for the histogram itself and 8
    /// for each span, bucket and custom bound. Divided by 16 this is how many float samples a
    /// histogram weighs in `--query.max-samples`.
    pub fn size_bytes(&self) -> usize {
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let buckets = self.positive_buckets.len() + self.negative_buckets.len();
        168 + 8 * (spans + buckets + self.custom_bounds().len())
    }

    /// Whether a count, the sum or a bound has become infinite.
    pub fn has_overflow(&self) -> bool {
        let scalars = [self.zero_count, self.count, self.sum];
        let buckets = self.positive_buckets.iter().chain(&self.negative_buckets);
        scalars.iter().chain(buckets).chain(self.custom_bounds()).any(|v| v.is_infinite())
    }

    /// Removes empty buckets, but keeps runs of up to `max_empty_buckets` between populated ones where
    /// that saves a span. 0 is the normal form that equality and results are stated in.
    pub fn compact(&mut self, max_empty_buckets: u32) {
        let empty = |count: &f64| *count == 0.0;
        compact(&mut self.positive_spans, &mut self.positive_buckets, max_empty_buckets, empty);
        compact(&mut self.negative_spans, &mut self.negative_buckets, max_empty_buckets, empty);
    }

    /// Joins buckets to those of a coarser exponential schema.
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        super::validate::check_reduction(self.schema, schema)?;
        super::validate::check_spans(&self.positive_spans, self.positive_buckets.len())?;
        super::validate::check_spans(&self.negative_spans, self.negative_buckets.len())?;
        self.coarsen_to(schema);
        Ok(())
    }

    /// A copy at an equal or coarser exponential schema.
    pub fn to_schema(&self, schema: i32) -> Result<Self, HistogramError> {
        let mut copy = self.clone();
        if schema != self.schema {
            copy.reduce_resolution(schema)?;
            copy.counter_reset_hint = CounterResetHint::Unknown;
        }
        Ok(copy)
    }

    pub(super) fn coarsen_to(&mut self, schema: i32) {
        let sides = [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ];
        for (spans, buckets) in sides {
            let built = coarsen(Walk::new(spans, buckets), self.schema, schema, |a, b| a + b);
            (*spans, *buckets) = (built.spans, built.counts);
        }
        self.schema = schema;
    }

    /// Multiplies counts and sum. A negative factor makes it a gauge.
    pub fn mul(&mut self, factor: f64) {
        self.scale(factor, |value| value * factor);
    }

    /// Divides counts and sum. A negative divisor makes it a gauge; division by zero leaves no buckets,
    /// for they would hold NaN where they were empty.
    pub fn div(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
        self.scale(divisor, |value| value / divisor);
    }

    fn scale(&mut self, by: f64, scaled: impl Fn(f64) -> f64) {
        for scalar in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *scalar = scaled(*scalar);
        }
        for bucket in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *bucket = scaled(*bucket);
        }
        if by < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }
}
