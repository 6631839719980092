//! Giving two histograms zero buckets of the same width.

use super::FloatHistogram;
use super::spans::compact;
use crate::kahan::KahanSum;

/// Where a widened zero bucket ends and what it holds.
pub(super) struct WidenedZero {
    pub(super) count: KahanSum,
    pub(super) threshold: f64,
}

impl FloatHistogram {
    /// What the zero bucket would be if it reached at least to `threshold`, which must not be below the
    /// present one. A populated bucket is never split: where the new edge falls into one, the edge
    /// moves outwards to that bucket's far bound and its count is included.
    ///
    /// `compensation` is the rounding error that goes with this histogram, in the same layout.
    pub(super) fn widened_zero(&self, threshold: f64, compensation: Option<&Self>) -> WidenedZero {
        let count =
            KahanSum { sum: self.zero_count, compensation: compensation.map_or(0.0, |c| c.zero_count) };
        if threshold <= self.zero_threshold {
            return WidenedZero { count, threshold: self.zero_threshold };
        }
        let errors = compensation
            .map_or((&[][..], &[][..]), |c| (c.positive_buckets.as_slice(), c.negative_buckets.as_slice()));
        let mut widened = WidenedZero { count, threshold };
        loop {
            widened.count = count;
            widened.swallow(self.iter_positive().map(|b| (b.lower, b.upper, b.count)), errors.0);
            let edge = widened.threshold;
            widened.swallow(self.iter_negative().map(|b| (-b.upper, -b.lower, b.count)), errors.1);
            // A negative bucket moved the edge after the positive ones were counted: count again.
            if widened.threshold == edge {
                return widened;
            }
        }
    }

    /// Widens both zero buckets to a common threshold: this one's in place, and returns what the count
    /// of the other's would be. Repeats because each side may push the edge further out.
    pub(super) fn reconcile_zero_buckets(
        &mut self,
        other: &Self,
        mut compensation: Option<&mut Self>,
    ) -> KahanSum {
        let mut theirs =
            WidenedZero { count: KahanSum::new(other.zero_count), threshold: other.zero_threshold };
        while theirs.threshold != self.zero_threshold {
            if self.zero_threshold > theirs.threshold {
                theirs = other.widened_zero(self.zero_threshold, None);
            } else if theirs.threshold > self.zero_threshold {
                self.widen_zero(theirs.threshold, compensation.as_deref_mut());
            } else {
                // A threshold is NaN, and no widening can make them equal.
                break;
            }
        }
        theirs.count
    }

    fn widen_zero(&mut self, threshold: f64, compensation: Option<&mut Self>) {
        let widened = self.widened_zero(threshold, compensation.as_deref());
        self.zero_count = widened.count.sum;
        self.zero_threshold = widened.threshold;
        let inside = (
            self.iter_positive().take_while(|b| b.lower < widened.threshold).count(),
            self.iter_negative().take_while(|b| b.upper > -widened.threshold).count(),
        );
        self.positive_buckets[..inside.0].fill(0.0);
        self.negative_buckets[..inside.1].fill(0.0);
        let Some(compensation) = compensation else {
            self.compact(0);
            return;
        };
        compensation.zero_count = widened.count.compensation;
        compensation.zero_threshold = widened.threshold;
        compensation.positive_buckets.iter_mut().take(inside.0).for_each(|c| *c = 0.0);
        compensation.negative_buckets.iter_mut().take(inside.1).for_each(|c| *c = 0.0);
        self.compact_with(compensation);
    }

    /// Removes buckets that are empty here and in the compensation, from both.
    fn compact_with(&mut self, compensation: &mut Self) {
        let sides = [
            (&mut self.positive_spans, &mut self.positive_buckets, &mut compensation.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets, &mut compensation.negative_buckets),
        ];
        for (spans, sums, errors) in sides {
            let mut pairs: Vec<_> = sums.iter().copied().zip(errors.iter().copied()).collect();
            compact(spans, &mut pairs, 0, |&(sum, error)| sum == 0.0 && error == 0.0);
            (*sums, *errors) = pairs.into_iter().unzip();
        }
        compensation.positive_spans.clone_from(&self.positive_spans);
        compensation.negative_spans.clone_from(&self.negative_spans);
    }
}

impl WidenedZero {
    /// Takes in the buckets of one side, as `(near bound, far bound, count)` by absolute value.
    fn swallow(&mut self, buckets: impl Iterator<Item = (f64, f64, f64)>, errors: &[f64]) {
        for (at, (near, far, count)) in buckets.enumerate() {
            if near >= self.threshold {
                return;
            }
            self.count.add(count);
            if let Some(&error) = errors.get(at) {
                self.count.add(error);
            }
            if far > self.threshold {
                if count != 0.0 {
                    self.threshold = far;
                }
                return;
            }
        }
    }
}
