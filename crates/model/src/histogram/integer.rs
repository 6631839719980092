//! Histograms with integer counts.

use std::sync::Arc;

use super::spans::{Walk, coarsen, compact, counts_to_deltas, deltas_to_counts, same_layout};
use super::{CounterResetHint, FloatHistogram, HistogramError, Span, is_custom_schema};

/// A native histogram with integer counts, as scraped and stored.
///
/// With [`super::CUSTOM_BUCKETS_SCHEMA`] only the positive side, `custom_values`, count and sum are used.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// What is known about counter resets.
    pub counter_reset_hint: CounterResetHint,
    /// Exponential schema -4..=8, or [`super::CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Sum of observations; the staleness marker for a stale histogram.
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<Span>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<Span>,
    /// Positive counts: the first absolute, each further one as the difference from the one before.
    pub positive_buckets: Vec<i64>,
    /// Negative counts, as `positive_buckets`.
    pub negative_buckets: Vec<i64>,
    /// Ascending upper bounds of custom buckets without `+Inf`; `None` for exponential schemas.
    pub custom_values: Option<Arc<[f64]>>,
}

/// Equality of data: the sum is compared bit for bit (the staleness marker is a NaN), empty buckets
/// count, spans of length zero do not, and the counter-reset hint is ignored.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.count == other.count
            && self.sum.to_bits() == other.sum.to_bits()
            && self.zero_threshold == other.zero_threshold
            && self.zero_count == other.zero_count
            && (!self.uses_custom_buckets() || self.custom_bounds() == other.custom_bounds())
            && same_layout(&self.negative_spans, &other.negative_spans)
            && same_layout(&self.positive_spans, &other.positive_spans)
            && self.negative_buckets == other.negative_buckets
            && self.positive_buckets == other.positive_buckets
    }
}

impl Histogram {
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
            + (self.positive_buckets.len() + self.negative_buckets.len()) * size_of::<i64>()
            + size_of_val(self.custom_bounds())
    }

    /// The same histogram with float counts.
    pub fn to_float(&self) -> FloatHistogram {
        let mut float = FloatHistogram::default();
        self.to_float_into(&mut float);
        float
    }

    /// Overwrites `float` with this histogram and reuses its memory.
    pub fn to_float_into(&self, float: &mut FloatHistogram) {
        let custom = self.uses_custom_buckets();
        float.counter_reset_hint = self.counter_reset_hint;
        float.schema = self.schema;
        float.count = self.count as f64;
        float.sum = self.sum;
        float.zero_threshold = if custom { 0.0 } else { self.zero_threshold };
        float.zero_count = if custom { 0.0 } else { self.zero_count as f64 };
        float.custom_values = if custom { self.custom_values.clone() } else { None };
        float.positive_spans.clone_from(&self.positive_spans);
        float_counts(&self.positive_buckets, &mut float.positive_buckets);
        let (spans, buckets): (&[Span], &[i64]) =
            if custom { (&[], &[]) } else { (&self.negative_spans, &self.negative_buckets) };
        float.negative_spans.clear();
        float.negative_spans.extend_from_slice(spans);
        float_counts(buckets, &mut float.negative_buckets);
    }

    /// Removes empty buckets, but keeps runs of up to `max_empty_buckets` between populated ones where
    /// that saves a span.
    pub fn compact(&mut self, max_empty_buckets: u32) {
        self.with_absolute_counts(|spans, counts| compact(spans, counts, max_empty_buckets, |c| *c == 0));
    }

    /// Joins buckets to those of a coarser exponential schema.
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        super::validate::check_reduction(self.schema, schema)?;
        super::validate::check_spans(&self.positive_spans, self.positive_buckets.len())?;
        super::validate::check_spans(&self.negative_spans, self.negative_buckets.len())?;
        let from = self.schema;
        self.with_absolute_counts(|spans, counts| {
            let built = coarsen(Walk::new(spans, counts), from, schema, i64::wrapping_add);
            (*spans, *counts) = (built.spans, built.counts);
        });
        self.schema = schema;
        Ok(())
    }

    fn with_absolute_counts(&mut self, change: impl Fn(&mut Vec<Span>, &mut Vec<i64>)) {
        let sides = [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ];
        for (spans, buckets) in sides {
            deltas_to_counts(buckets);
            change(spans, buckets);
            counts_to_deltas(buckets);
        }
    }
}

fn float_counts(deltas: &[i64], counts: &mut Vec<f64>) {
    counts.clear();
    let mut count = 0.0;
    counts.extend(deltas.iter().map(|&delta| {
        count += delta as f64;
        count
    }));
}
