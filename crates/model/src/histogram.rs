//! Native histograms: integer counts as scraped and stored, float counts as queries compute with.

mod float;
mod integer;

pub use float::FloatHistogram;
pub use integer::Histogram;

/// The schema number of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The lowest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
/// The highest exponential schema.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;

/// What is known about counter resets at a histogram sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum CounterResetHint {
    /// It must be detected by comparing with the sample before.
    #[default]
    Unknown = 0,
    /// There was a reset between the sample before and this one.
    CounterReset = 1,
    /// There was none.
    NotCounterReset = 2,
    /// A gauge histogram: resets do not apply.
    Gauge = 3,
}

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Gap to the span before; for the first span, the index of its first bucket (may be negative).
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}
