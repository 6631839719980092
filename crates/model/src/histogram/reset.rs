//! Finding counter resets.

use super::bounds::{exponential_upper_bound, index_at_schema};
use super::custom::any_shared_bucket_shrank;
use super::spans::Walk;
use super::{CounterResetHint, FloatHistogram, Span, is_exponential_schema};

impl FloatHistogram {
    /// Whether a counter reset happened between `previous` and this histogram: some count, or some
    /// populated bucket, went down. The hint answers at once where it is definite; gauges are compared
    /// as if they were counters. The sum does not matter, for observations may be negative.
    ///
    /// A finer schema or a narrower zero bucket is a reset, since no running counter gains resolution.
    /// Against a coarser schema or a wider zero bucket, `previous` is compared as if it had been
    /// converted.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => return true,
            CounterResetHint::NotCounterReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        match (self.uses_custom_buckets(), previous.uses_custom_buckets()) {
            (true, false) => return true,
            (true, true) if self.custom_bounds() != previous.custom_bounds() => {
                return any_shared_bucket_shrank(self, previous);
            }
            _ => {}
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let widened = previous.widened_zero(self.zero_threshold, None);
        if widened.threshold != self.zero_threshold || self.zero_count < widened.count.sum {
            return true;
        }
        let side = |histogram: &Self, positive: bool| {
            let (spans, counts) = if positive {
                (&histogram.positive_spans, &histogram.positive_buckets)
            } else {
                (&histogram.negative_spans, &histogram.negative_buckets)
            };
            comparable(spans, counts, (histogram.schema, self.schema), self.zero_threshold)
        };
        [true, false].into_iter().any(|positive| shrank(&side(self, positive), &side(previous, positive)))
    }
}

/// Buckets as `(index, count)` at schema `to`, without those inside the zero bucket.
fn comparable(
    spans: &[Span],
    counts: &[f64],
    (from, to): (i32, i32),
    zero_threshold: f64,
) -> Vec<(i64, f64)> {
    let mut buckets: Vec<(i64, f64)> = Vec::with_capacity(counts.len());
    for (index, count) in Walk::new(spans, counts) {
        let index = if from == to { index } else { index_at_schema(index, from, to) };
        match buckets.last_mut() {
            Some((last, sum)) if *last == index => *sum += count,
            _ => buckets.push((index, count)),
        }
    }
    if zero_threshold != 0.0 && is_exponential_schema(to) {
        let inside =
            buckets.iter().take_while(|b| exponential_upper_bound(b.0, to) <= zero_threshold).count();
        buckets.drain(..inside);
    }
    buckets
}

/// Whether a bucket of `previous` holds less in `current`, or is gone though it was populated.
fn shrank(current: &[(i64, f64)], previous: &[(i64, f64)]) -> bool {
    let mut current = current.iter().peekable();
    previous.iter().any(|&(index, before)| {
        while current.next_if(|now| now.0 < index).is_some() {}
        match current.peek() {
            Some(&&(at, now)) if at == index => now < before,
            _ => before != 0.0,
        }
    })
}
