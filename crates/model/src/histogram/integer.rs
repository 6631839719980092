//! Histograms with integer counts.

use std::sync::Arc;

use super::{CounterResetHint, Span};

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
