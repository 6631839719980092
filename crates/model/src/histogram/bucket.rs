//! Buckets with their bounds, and iterators over them.

use std::fmt;

use super::bounds::upper_bound;
use super::spans::Walk;
use super::{FloatHistogram, Histogram, Span, is_custom_schema};
use crate::number::general;

/// One bucket: an interval and how many observations fell into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket<C> {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to the bucket.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to the bucket.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: C,
    /// Place within schema and sign; 0 for the zero bucket.
    pub index: i64,
}

impl<C> Bucket<C> {
    fn new(index: i64, count: C, schema: i32, positive: bool, custom_values: &[f64]) -> Self {
        let far = upper_bound(index, schema, custom_values);
        let near = upper_bound(index - 1, schema, custom_values);
        let (lower, upper) = if positive { (near, far) } else { (-far, -near) };
        let (lower_inclusive, upper_inclusive) =
            if is_custom_schema(schema) { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
        Self { lower, upper, lower_inclusive, upper_inclusive, count, index }
    }

    fn zero(threshold: f64, count: C) -> Self {
        let (lower, upper) = (-threshold, threshold);
        Self { lower, upper, lower_inclusive: true, upper_inclusive: true, count, index: 0 }
    }

    /// The fraction (0 to 1) of the bucket's width at or below `value`, which must lie between finite
    /// bounds. Custom and zero buckets are interpolated linearly, exponential ones on a logarithmic
    /// scale.
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper) = (self.lower.abs().log2(), self.upper.abs().log2());
        let value_log = value.abs().log2();
        if value > 0.0 {
            (value_log - lower) / (upper - lower)
        } else {
            1.0 - (value_log - upper) / (lower - upper)
        }
    }
}

impl Bucket<f64> {
    /// Where the bucket overlaps the zero bucket, cuts it off at the zero threshold.
    fn clipped(mut self, zero_threshold: f64) -> Self {
        if self.upper < 0.0 && self.upper > -zero_threshold {
            self.upper = -zero_threshold;
        } else if self.lower > 0.0 && self.lower < zero_threshold {
            self.lower = zero_threshold;
        }
        self
    }
}

/// `[lower,upper]:count` in the usual notation of open and closed intervals.
impl fmt::Display for Bucket<f64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_interval(f)?;
        write!(f, ":{}", general(self.count))
    }
}

/// `[lower,upper]:count` in the usual notation of open and closed intervals.
impl fmt::Display for Bucket<u64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_interval(f)?;
        write!(f, ":{}", self.count)
    }
}

impl<C> Bucket<C> {
    fn fmt_interval(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        write!(f, "{open}{},{}{close}", general(self.lower), general(self.upper))
    }
}

/// The buckets of one side, from the zero bucket outwards; reversible.
#[derive(Debug, Clone)]
pub struct SideBuckets<'a> {
    walk: Walk<'a, f64>,
    schema: i32,
    positive: bool,
    custom_values: &'a [f64],
}

impl SideBuckets<'_> {
    fn bucket(&self, (index, count): (i64, f64)) -> Bucket<f64> {
        Bucket::new(index, count, self.schema, self.positive, self.custom_values)
    }
}

impl Iterator for SideBuckets<'_> {
    type Item = Bucket<f64>;

    fn next(&mut self) -> Option<Bucket<f64>> {
        self.walk.next().map(|at| self.bucket(at))
    }
}

impl DoubleEndedIterator for SideBuckets<'_> {
    fn next_back(&mut self) -> Option<Bucket<f64>> {
        self.walk.next_back().map(|at| self.bucket(at))
    }
}

impl FloatHistogram {
    /// The positive buckets in ascending order. `rev()` walks them from the highest down.
    pub fn iter_positive(&self) -> SideBuckets<'_> {
        SideBuckets {
            walk: Walk::new(&self.positive_spans, &self.positive_buckets),
            schema: self.schema,
            positive: true,
            custom_values: self.custom_bounds(),
        }
    }

    /// The negative buckets in descending order: from the zero bucket outwards. `rev()` walks them
    /// from the lowest up.
    pub fn iter_negative(&self) -> SideBuckets<'_> {
        SideBuckets {
            walk: Walk::new(&self.negative_spans, &self.negative_buckets),
            schema: self.schema,
            positive: false,
            custom_values: &[],
        }
    }

    /// The zero bucket. Custom buckets have none: theirs is empty, of width zero.
    pub fn zero_bucket(&self) -> Bucket<f64> {
        Bucket::zero(self.zero_threshold, self.zero_count)
    }

    /// All buckets in ascending order, the zero bucket included if populated; `rev()` for descending.
    /// Buckets that overlap the zero bucket are cut off at the zero threshold.
    pub fn iter_all(&self) -> impl DoubleEndedIterator<Item = Bucket<f64>> + Clone + '_ {
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        let threshold = self.zero_threshold;
        let negative = self.iter_negative().rev().map(move |b| b.clipped(threshold));
        let positive = self.iter_positive().map(move |b| b.clipped(threshold));
        negative.chain(zero).chain(positive)
    }
}

impl Histogram {
    /// The positive buckets in ascending order, with absolute counts.
    pub fn iter_positive(&self) -> impl Iterator<Item = Bucket<u64>> + '_ {
        integer_side(&self.positive_spans, &self.positive_buckets, self.schema, true, self.custom_bounds())
    }

    /// The negative buckets in descending order: from the zero bucket outwards.
    pub fn iter_negative(&self) -> impl Iterator<Item = Bucket<u64>> + '_ {
        integer_side(&self.negative_spans, &self.negative_buckets, self.schema, false, &[])
    }

    /// The zero bucket. Custom buckets have none: theirs is empty, of width zero.
    pub fn zero_bucket(&self) -> Bucket<u64> {
        Bucket::zero(self.zero_threshold, self.zero_count)
    }
}

fn integer_side<'a>(
    spans: &'a [Span],
    deltas: &'a [i64],
    schema: i32,
    positive: bool,
    custom_values: &'a [f64],
) -> impl Iterator<Item = Bucket<u64>> + 'a {
    let mut count = 0_i64;
    Walk::new(spans, deltas).map(move |(index, delta)| {
        count = count.wrapping_add(delta);
        Bucket::new(index, count.cast_unsigned(), schema, positive, custom_values)
    })
}
