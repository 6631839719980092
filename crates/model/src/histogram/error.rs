//! What can be wrong with a histogram.

use crate::number::general;

/// Which buckets an error concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Buckets of positive observations.
    Positive,
    /// Buckets of negative observations.
    Negative,
    /// Buckets with custom bounds.
    Custom,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive side",
            Self::Negative => "negative side",
            Self::Custom => "custom buckets",
        })
    }
}

/// An invalid histogram, or an operation that cannot be applied. Texts are Prometheus's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// A finding about one side's buckets.
    #[error("{0}: {1}")]
    In(Side, Box<HistogramError>),
    /// A NaN was observed, yet the buckets hold more observations than the count says.
    #[error(
        "{in_buckets} observations found in buckets, but the Count field is {count}: histogram's observation \
         count should be at least the number of observations found in the buckets"
    )]
    CountNotBigEnough {
        /// Observations in all buckets.
        in_buckets: u64,
        /// The declared count.
        count: u64,
    },
    /// The buckets hold another number of observations than the count says.
    #[error(
        "{in_buckets} observations found in buckets, but the Count field is {count}: histogram's observation \
         count should equal the number of observations found in the buckets (in absence of NaN)"
    )]
    CountMismatch {
        /// Observations in all buckets.
        in_buckets: u64,
        /// The declared count.
        count: u64,
    },
    /// The count is below zero.
    #[error("observation count is  {}: histogram's observation count is negative", general(*.0))]
    NegativeCount(f64),
    /// The zero bucket's count is below zero.
    #[error(
        "zero bucket has observation count of {}: histogram has a bucket whose observation count is negative",
        general(*.0)
    )]
    NegativeZeroCount(f64),
    /// A bucket's count is below zero.
    #[error(
        "bucket number {number} has observation count of {count}: histogram has a bucket whose observation count \
         is negative"
    )]
    NegativeBucketCount {
        /// Place of the bucket, from 1.
        number: usize,
        /// Its count, as written.
        count: String,
    },
    /// A span begins before the end of the one before.
    #[error("span number {number} with offset {offset}: histogram has a span whose offset is negative")]
    SpanNegativeOffset {
        /// Place of the span, from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// The spans cover another number of buckets than there are.
    #[error(
        "spans need {needed} buckets, have {have} buckets: histogram spans specify different number of buckets \
         than provided"
    )]
    SpansBucketsMismatch {
        /// Buckets the spans cover.
        needed: u64,
        /// Buckets there are.
        have: usize,
    },
    /// The spans reach beyond the custom bounds.
    #[error(
        "only {bounds} custom bounds defined which is insufficient to cover total span length of {needed}: \
         histogram custom bounds are too few"
    )]
    CustomBoundsTooFew {
        /// Bounds there are.
        bounds: usize,
        /// Buckets the spans reach over.
        needed: u64,
    },
    /// Custom bounds do not ascend.
    #[error(
        "previous bound is {previous:.6} and current is {current:.6}: histogram custom bounds must be in strictly \
         increasing order"
    )]
    CustomBoundsNotAscending {
        /// The bound before.
        previous: f64,
        /// The bound that is not above it.
        current: f64,
    },
    /// The bound `+Inf` is implied and must not be listed.
    #[error("last +Inf bound must not be explicitly defined: histogram custom bounds must be finite")]
    CustomBoundInfinite,
    /// A custom bound is NaN.
    #[error("histogram custom bounds must not be NaN")]
    CustomBoundNaN,
    /// One operand has custom buckets, the other exponential ones.
    #[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
    IncompatibleSchema,
    /// Custom buckets have no zero bucket.
    #[error("custom buckets: must have zero count of 0")]
    CustomZeroCount,
    /// Custom buckets have no zero bucket.
    #[error("custom buckets: must have zero threshold of 0")]
    CustomZeroThreshold,
    /// Custom buckets have no negative side.
    #[error("custom buckets: must not have negative spans")]
    CustomNegativeSpans,
    /// Custom buckets have no negative side.
    #[error("custom buckets: must not have negative buckets")]
    CustomNegativeBuckets,
    /// Exponential buckets have no listed bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    ExponentialCustomBounds,
    /// The schema is not one this program computes with.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for \
         custom buckets, got schema {0}"
    )]
    InvalidSchema(i32),
    /// The schema is not even reserved for later use.
    #[error(
        "histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for \
         custom buckets, got schema {0}"
    )]
    UnknownSchema(i32),
    /// Custom buckets have no resolution to reduce.
    #[error("cannot reduce resolution when there are custom buckets")]
    ReduceCustomBuckets,
    /// The target of a reduction must be exponential.
    #[error("cannot reduce resolution to custom buckets schema")]
    ReduceToCustomBuckets,
    /// The target of a reduction must be coarser.
    #[error("cannot reduce resolution from schema {from} to {to}")]
    ReduceNotCoarser {
        /// The histogram's schema.
        from: i32,
        /// The wanted one.
        to: i32,
    },
}
