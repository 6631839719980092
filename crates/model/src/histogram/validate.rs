//! Whether a histogram is consistent.

use super::{
    FloatHistogram, Histogram, HistogramError, Side, Span, is_custom_schema, is_exponential_schema,
    is_known_schema,
};
use crate::number::general;

impl Histogram {
    /// Checks that spans, buckets, bounds and counts fit together.
    ///
    /// The count must equal the sum of all buckets, unless a NaN was observed (the sum is NaN then):
    /// that counts as an observation without falling into any bucket.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if is_custom_schema(self.schema) {
            check_custom_bounds(self.custom_bounds(), &self.positive_spans, self.positive_buckets.len())
                .map_err(within(Side::Custom))?;
            let zero = (self.zero_count == 0, self.zero_threshold);
            check_no_exponential_parts(zero, &self.negative_spans, self.negative_buckets.len())?;
        } else if is_exponential_schema(self.schema) {
            check_sides(
                (&self.positive_spans, self.positive_buckets.len()),
                (&self.negative_spans, self.negative_buckets.len()),
            )?;
        } else {
            return Err(HistogramError::InvalidSchema(self.schema));
        }
        let negative = sum_deltas(&self.negative_buckets).map_err(within(Side::Negative))?;
        if !is_custom_schema(self.schema) && self.custom_values.is_some() {
            return Err(HistogramError::ExponentialCustomBounds);
        }
        let positive = sum_deltas(&self.positive_buckets).map_err(within(Side::Positive))?;
        let in_buckets = negative.wrapping_add(positive).wrapping_add(self.zero_count);
        let count = self.count;
        if self.sum.is_nan() && in_buckets > count {
            return Err(HistogramError::CountNotBigEnough { in_buckets, count });
        }
        if !self.sum.is_nan() && in_buckets != count {
            return Err(HistogramError::CountMismatch { in_buckets, count });
        }
        Ok(())
    }
}

impl FloatHistogram {
    /// Checks that spans, buckets and bounds fit together and that no count is negative.
    ///
    /// The count is not compared with the buckets: rounding would raise false alarms.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if is_custom_schema(self.schema) {
            check_custom_bounds(self.custom_bounds(), &self.positive_spans, self.positive_buckets.len())
                .map_err(within(Side::Custom))?;
            let zero = (self.zero_count == 0.0, self.zero_threshold);
            check_no_exponential_parts(zero, &self.negative_spans, self.negative_buckets.len())?;
        } else if is_exponential_schema(self.schema) {
            check_sides(
                (&self.positive_spans, self.positive_buckets.len()),
                (&self.negative_spans, self.negative_buckets.len()),
            )?;
            check_counts(&self.negative_buckets).map_err(within(Side::Negative))?;
            if self.zero_count < 0.0 {
                return Err(HistogramError::NegativeZeroCount(self.zero_count));
            }
            if self.custom_values.is_some() {
                return Err(HistogramError::ExponentialCustomBounds);
            }
        } else {
            return Err(HistogramError::InvalidSchema(self.schema));
        }
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount(self.count));
        }
        check_counts(&self.positive_buckets).map_err(within(Side::Positive))
    }
}

/// Whether buckets of schema `from` can be joined to those of schema `to`.
pub(super) fn check_reduction(from: i32, to: i32) -> Result<(), HistogramError> {
    if is_custom_schema(from) {
        return Err(HistogramError::ReduceCustomBuckets);
    }
    if is_custom_schema(to) {
        return Err(HistogramError::ReduceToCustomBuckets);
    }
    if !is_known_schema(from) {
        return Err(HistogramError::UnknownSchema(from));
    }
    if to >= from {
        return Err(HistogramError::ReduceNotCoarser { from, to });
    }
    Ok(())
}

fn within(side: Side) -> impl Fn(HistogramError) -> HistogramError {
    move |error| HistogramError::In(side, Box::new(error))
}

fn check_no_exponential_parts(
    (zero_count_is_zero, zero_threshold): (bool, f64),
    negative_spans: &[Span],
    negative_buckets: usize,
) -> Result<(), HistogramError> {
    if !zero_count_is_zero {
        return Err(HistogramError::CustomZeroCount);
    }
    if zero_threshold != 0.0 {
        return Err(HistogramError::CustomZeroThreshold);
    }
    if !negative_spans.is_empty() {
        return Err(HistogramError::CustomNegativeSpans);
    }
    if negative_buckets > 0 {
        return Err(HistogramError::CustomNegativeBuckets);
    }
    Ok(())
}

fn check_sides(positive: (&[Span], usize), negative: (&[Span], usize)) -> Result<(), HistogramError> {
    check_spans(positive.0, positive.1).map_err(within(Side::Positive))?;
    check_spans(negative.0, negative.1).map_err(within(Side::Negative))
}

/// Only the first span may begin below the end of the one before, for that is index 0.
pub(super) fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    check_offsets(spans, 1)?;
    check_bucket_number(spans, buckets)
}

fn check_offsets(spans: &[Span], from: usize) -> Result<(), HistogramError> {
    let backward = spans.iter().enumerate().skip(from).find(|(_, span)| span.offset < 0);
    match backward {
        Some((at, span)) => Err(HistogramError::SpanNegativeOffset { number: at + 1, offset: span.offset }),
        None => Ok(()),
    }
}

fn check_bucket_number(spans: &[Span], have: usize) -> Result<(), HistogramError> {
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != have as u64 {
        return Err(HistogramError::SpansBucketsMismatch { needed, have });
    }
    Ok(())
}

fn check_custom_bounds(bounds: &[f64], spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    for (at, &current) in bounds.iter().enumerate() {
        if current.is_nan() {
            return Err(HistogramError::CustomBoundNaN);
        }
        if at > 0 && current <= bounds[at - 1] {
            return Err(HistogramError::CustomBoundsNotAscending { previous: bounds[at - 1], current });
        }
    }
    if bounds.last() == Some(&f64::INFINITY) {
        return Err(HistogramError::CustomBoundInfinite);
    }
    check_offsets(spans, 0)?;
    check_bucket_number(spans, buckets)?;
    let needed: u64 = spans.iter().map(|s| u64::from(s.length) + u64::from(s.offset.unsigned_abs())).sum();
    // One more bucket than bounds: the one up to +Inf.
    if bounds.len() as u64 + 1 < needed {
        return Err(HistogramError::CustomBoundsTooFew { bounds: bounds.len(), needed });
    }
    Ok(())
}

fn check_counts(counts: &[f64]) -> Result<(), HistogramError> {
    match counts.iter().position(|&count| count < 0.0) {
        Some(at) => Err(HistogramError::NegativeBucketCount {
            number: at + 1,
            count: general(counts[at]).to_string(),
        }),
        None => Ok(()),
    }
}

fn sum_deltas(deltas: &[i64]) -> Result<u64, HistogramError> {
    let (mut count, mut sum) = (0_i64, 0_u64);
    for (at, &delta) in deltas.iter().enumerate() {
        count = count.wrapping_add(delta);
        let Ok(absolute) = u64::try_from(count) else {
            return Err(HistogramError::NegativeBucketCount { number: at + 1, count: count.to_string() });
        };
        sum = sum.wrapping_add(absolute);
    }
    Ok(sum)
}
