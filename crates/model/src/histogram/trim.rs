//! Cutting observations above or below a value off a histogram, as the operators `</` and `>/` do.

use super::{Bucket, FloatHistogram};

/// Which observations a trim keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those at or below the value.
    Below,
    /// Those at or above the value.
    Above,
}

/// What is kept of one bucket: how many observations, and the value they are taken to have in the sum.
#[derive(Clone, Copy)]
struct Kept {
    count: f64,
    midpoint: f64,
}

/// Which side of zero and which interpolation a bucket is subject to.
#[derive(Clone, Copy)]
struct Shape {
    positive: bool,
    linear: bool,
}

impl FloatHistogram {
    /// Removes the observations beyond `limit`. A bucket that contains it is interpolated; of buckets
    /// that reach to infinity nothing is known, so they are removed where that is the safer guess. Count
    /// and sum are then estimated from the buckets, unless nothing was removed.
    pub fn trim(&mut self, limit: f64, keep: Keep) {
        let linear = self.uses_custom_buckets();
        let mut trim = Trim { limit, keep, count: 0.0, sum: 0.0, changed: false };
        let has_positive = trim.side(
            &self.iter_positive().collect::<Vec<_>>(),
            &mut self.positive_buckets,
            Shape { positive: true, linear },
        );
        let has_negative = trim.side(
            &self.iter_negative().collect::<Vec<_>>(),
            &mut self.negative_buckets,
            Shape { positive: false, linear },
        );
        if self.zero_count > 0.0 {
            let mut zero = self.zero_bucket();
            // With observations on one side only, the zero bucket holds none of the other side's.
            match (has_negative, has_positive) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            let kept = kept_of_zero(&zero, limit, keep);
            trim.changed |= self.zero_count != kept.count;
            self.zero_count = kept.count;
            trim.take(kept);
        }
        if trim.changed {
            (self.count, self.sum) = (trim.count, trim.sum);
            self.compact(0);
        }
    }
}

struct Trim {
    limit: f64,
    keep: Keep,
    count: f64,
    sum: f64,
    changed: bool,
}

impl Trim {
    fn take(&mut self, kept: Kept) {
        self.count += kept.count;
        self.sum += kept.midpoint * kept.count;
    }

    /// Trims one side and says whether it has observations at all.
    fn side(&mut self, buckets: &[Bucket<f64>], counts: &mut [f64], shape: Shape) -> bool {
        let mut populated = false;
        for (bucket, count) in buckets.iter().zip(counts).filter(|(bucket, _)| bucket.count != 0.0) {
            populated = true;
            let limit = self.limit;
            let (all_kept, some_kept) = match self.keep {
                Keep::Below => (bucket.upper <= limit, bucket.lower < limit),
                Keep::Above => (bucket.lower >= limit, bucket.upper > limit),
            };
            let kept = if all_kept {
                Kept { count: bucket.count, midpoint: midpoint(bucket.lower, bucket.upper, shape) }
            } else if some_kept {
                kept_of_split(bucket, limit, self.keep, shape)
            } else {
                Kept { count: 0.0, midpoint: 0.0 }
            };
            self.changed |= !all_kept && *count != kept.count;
            *count = kept.count;
            self.take(kept);
        }
        populated
    }
}

/// What is kept of a bucket that contains the limit.
fn kept_of_split(bucket: &Bucket<f64>, limit: f64, keep: Keep, shape: Shape) -> Kept {
    if bucket.lower == f64::NEG_INFINITY {
        return kept_of_lowest(bucket, limit, keep);
    }
    if bucket.upper == f64::INFINITY {
        // Observations above the limit are all there is to be sure of; how many are below is unknown.
        let lower = if bucket.lower.is_infinite() { 0.0 } else { bucket.lower };
        return match keep {
            Keep::Above if limit >= bucket.lower => Kept { count: bucket.count, midpoint: limit },
            Keep::Above | Keep::Below => Kept { count: 0.0, midpoint: lower },
        };
    }
    let below = bucket.count * bucket.fraction_below(limit, shape.linear);
    match keep {
        Keep::Below => Kept { count: below, midpoint: midpoint(bucket.lower, limit, shape) },
        Keep::Above => Kept { count: bucket.count - below, midpoint: midpoint(limit, bucket.upper, shape) },
    }
}

/// What is kept of a bucket that begins at `-Inf`. If it ends above zero (only custom buckets do), it is
/// taken to begin at zero, as quantile estimation takes it.
fn kept_of_lowest(bucket: &Bucket<f64>, limit: f64, keep: Keep) -> Kept {
    let Bucket { upper, count, .. } = *bucket;
    let unknown = Kept { count: 0.0, midpoint: if upper.is_infinite() { 0.0 } else { upper } };
    match keep {
        Keep::Below if limit >= upper => Kept { count, midpoint: 0.0 },
        Keep::Below if limit > 0.0 && upper > 0.0 && upper.is_finite() => {
            Kept { count: count * limit / upper, midpoint: limit / 2.0 }
        }
        Keep::Below if upper <= 0.0 => Kept { count, midpoint: limit },
        Keep::Above if limit == f64::NEG_INFINITY => Kept { count, midpoint: 0.0 },
        Keep::Above if limit >= 0.0 && upper > limit && upper.is_finite() => {
            Kept { count: count * (1.0 - limit / upper), midpoint: (limit + upper) / 2.0 }
        }
        Keep::Below | Keep::Above => unknown,
    }
}

fn kept_of_zero(zero: &Bucket<f64>, limit: f64, keep: Keep) -> Kept {
    let Bucket { lower, upper, count, .. } = *zero;
    let (all, none) = match keep {
        Keep::Below => (limit >= upper && limit > lower, limit <= lower),
        Keep::Above => (limit <= lower, limit >= upper && limit > lower),
    };
    if none {
        return Kept { count: 0.0, midpoint: 0.0 };
    }
    if all {
        return Kept { count, midpoint: (lower + upper) / 2.0 };
    }
    let (from, to) = match keep {
        Keep::Below => (lower, limit),
        Keep::Above => (limit, upper),
    };
    Kept { count: count * ((to - from) / (upper - lower)), midpoint: (from + to) / 2.0 }
}

/// The value that stands for all observations between two bounds: the arithmetic mean where they are
/// taken as spread evenly, else the geometric one; beside an infinite bound, the finite one.
fn midpoint(lower: f64, upper: f64, shape: Shape) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if shape.linear => (lower + upper) / 2.0,
        (false, false) => {
            let mean = (lower * upper).abs().sqrt();
            if shape.positive { mean } else { -mean }
        }
    }
}
