//! Histograms with float counts, the form queries compute with.

use std::sync::Arc;

use super::{CounterResetHint, Span};

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

/// Equal bit for bit in every field but the counter-reset hint.
impl PartialEq for FloatHistogram {
    fn eq(&self, other: &Self) -> bool {
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        self.schema == other.schema
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && bits(&self.positive_buckets) == bits(&other.positive_buckets)
            && bits(&self.negative_buckets) == bits(&other.negative_buckets)
            && self.custom_values.as_deref().map(bits) == other.custom_values.as_deref().map(bits)
    }
}

impl FloatHistogram {
    /// Heap and inline bytes, for budgets.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + (self.positive_spans.len() + self.negative_spans.len()) * size_of::<Span>()
            + (self.positive_buckets.len() + self.negative_buckets.len()) * 8
    }
}
