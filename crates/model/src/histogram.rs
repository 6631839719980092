//! Native histograms: integer counts as scraped and stored, float counts as queries compute with.
//!
//! In reading order: `integer` and `float` (the two types), `bounds` and `bucket` (what a bucket index
//! means), `spans` (sparse layouts), `validate`, `arithmetic` with `zero_bucket` and `custom` (adding
//! histograms of different shape), `reset` (counter resets), `trim`, `text`.

mod arithmetic;
mod bounds;
mod bucket;
mod custom;
mod error;
mod float;
mod integer;
mod reset;
mod spans;
mod text;
mod trim;
mod validate;
mod zero_bucket;

#[cfg(test)]
mod tests;

pub use arithmetic::Reconciled;
pub use bucket::{Bucket, SideBuckets};
pub use error::{HistogramError, Side};
pub use float::FloatHistogram;
pub use integer::Histogram;
pub use trim::Keep;

/// The schema number of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The lowest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
/// The highest exponential schema.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;
/// The lowest exponential schema reserved for later use; such histograms are read and reduced.
pub const EXPONENTIAL_SCHEMA_MIN_RESERVED: i32 = -9;
/// The highest exponential schema reserved for later use.
pub const EXPONENTIAL_SCHEMA_MAX_RESERVED: i32 = 52;

/// Whether buckets have listed bounds.
pub const fn is_custom_schema(schema: i32) -> bool {
    schema == CUSTOM_BUCKETS_SCHEMA
}

/// Whether the schema is an exponential one this program computes with.
pub const fn is_exponential_schema(schema: i32) -> bool {
    schema >= EXPONENTIAL_SCHEMA_MIN && schema <= EXPONENTIAL_SCHEMA_MAX
}

/// Whether the schema is exponential, be it only by reservation.
pub const fn is_reserved_exponential_schema(schema: i32) -> bool {
    schema >= EXPONENTIAL_SCHEMA_MIN_RESERVED && schema <= EXPONENTIAL_SCHEMA_MAX_RESERVED
}

/// Whether histograms of this schema can be stored as they are.
pub const fn is_valid_schema(schema: i32) -> bool {
    is_custom_schema(schema) || is_exponential_schema(schema)
}

/// Whether histograms of this schema are accepted, perhaps after reducing their resolution.
pub const fn is_known_schema(schema: i32) -> bool {
    is_custom_schema(schema) || is_reserved_exponential_schema(schema)
}

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
