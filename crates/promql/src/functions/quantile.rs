//! Quantiles of numbers and of classic histograms.

use std::cmp::Ordering;

use crate::annotations::MonotonicityFix;

/// The quantile `q` of `values`, which are reordered.
///
/// Between two values it is interpolated linearly. NaNs count as the smallest values. NaN for no values
/// or a NaN `q`; an infinity for a `q` outside of 0..=1.
pub fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let weight = rank - rank.floor();
    // Only two neighbours in the order are needed: no full sort.
    let (_, &mut lower_value, above) = values.select_nth_unstable_by(lower, nan_first);
    let upper_value = above.iter().copied().min_by(nan_first).unwrap_or(lower_value);
    lower_value * (1.0 - weight) + upper_value * weight
}

/// Ascending order with NaNs at the front.
pub(crate) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// One bucket of a classic histogram: how many observations are at or below its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassicBucket {
    /// The value of `le`.
    pub upper_bound: f64,
    /// Observations up to it.
    pub count: f64,
}

/// Differences of counts below this share of the counts are rounding errors, not observations.
const COUNT_TOLERANCE: f64 = 1e-12;

/// The quantile `q` of a classic histogram, interpolated linearly inside its bucket, and how the counts
/// had to be changed for that, if they had to be. `buckets` are reordered and changed.
///
/// The lowest bucket is taken to start at zero unless its bound is negative or zero; then, and in the
/// highest bucket, the nearest finite bound is returned. NaN if there is no observation, no bucket
/// `+Inf` or no other bucket; an infinity for a `q` outside of 0..=1.
pub fn classic_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<MonotonicityFix>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !sort_and_merge(buckets) {
        return (f64::NAN, None);
    }
    let fix = make_ascending(buckets);
    (ascending_quantile(q, buckets), fix)
}

/// The quantile of at least one bucket with ascending bounds and counts, the last bound `+Inf`.
fn ascending_quantile(q: f64, buckets: &[ClassicBucket]) -> f64 {
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return f64::NAN;
    }
    let rank = q * observations;
    // A NaN reaches no rank, and a NaN rank is never reached.
    let reaches_rank = |b: &ClassicBucket| b.count >= rank;
    let at = buckets[..last].partition_point(|b| !reaches_rank(b));
    if at == last {
        return buckets[last - 1].upper_bound;
    }
    let ClassicBucket { upper_bound, count } = buckets[at];
    if at == 0 {
        return if upper_bound <= 0.0 { upper_bound } else { upper_bound * (rank / count) };
    }
    let below = buckets[at - 1];
    let share = (rank - below.count) / (count - below.count);
    below.upper_bound + (upper_bound - below.upper_bound) * share
}

/// Sorts by bound and adds up buckets with the same bound; false if there is no bucket `+Inf`.
fn sort_and_merge(buckets: &mut Vec<ClassicBucket>) -> bool {
    if !buckets.is_sorted_by(|a, b| a.upper_bound <= b.upper_bound) {
        // Stable: counts of equal bounds are added in the order they came in.
        buckets.sort_by(|a, b| a.upper_bound.total_cmp(&b.upper_bound));
    }
    if buckets.last().is_none_or(|b| b.upper_bound != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper_bound == kept.upper_bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

/// Makes counts ascend, by raising those that are lower than one before. Differences within the
/// tolerance are levelled silently in both directions.
///
/// Counts may fail to ascend because of broken targets, remote writes that arrive in parts, and rounding;
/// the search for the quantile's bucket would then find anything.
fn make_ascending(buckets: &mut [ClassicBucket]) -> Option<MonotonicityFix> {
    let mut fix: Option<MonotonicityFix> = None;
    let mut highest = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == highest {
            continue;
        }
        if almost_equal(highest, count, COUNT_TOLERANCE) {
            bucket.count = highest;
        } else if count < highest {
            bucket.count = highest;
            let fix = fix.get_or_insert(MonotonicityFix {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            fix.min_bucket = fix.min_bucket.min(bucket.upper_bound);
            fix.max_bucket = fix.max_bucket.max(bucket.upper_bound);
            fix.max_diff = fix.max_diff.max(highest - count);
        } else {
            highest = count;
        }
    }
    fix
}

/// Whether two numbers differ by at most `tolerance` of their sum of magnitudes; NaNs are equal.
pub fn almost_equal(a: f64, b: f64, tolerance: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < tolerance
}

/// The share of observations of a classic histogram between `lower` and `upper`, interpolated linearly
/// in finite buckets. `buckets` are reordered. NaN if there is no observation or no bucket `+Inf`.
pub fn classic_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if !sort_and_merge(buckets) {
        return f64::NAN;
    }
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value: f64| {
        let below = observations_below(value, buckets);
        if below > observations { observations } else { below }
    };
    (rank(upper) - rank(lower)) / observations
}

/// How many observations are below `value`; the count of the last bucket if it lies above all.
fn observations_below(value: f64, buckets: &[ClassicBucket]) -> f64 {
    // With a positive first bound all observations are taken to be positive.
    let mut lower_bound = if buckets[0].upper_bound > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let mut below = 0.0;
    for bucket in buckets {
        if value <= lower_bound {
            return below;
        }
        if value < bucket.upper_bound {
            // A bucket without a lower end counts as lying at its upper one, and a bucket without an
            // upper end contributes nothing, which the division by infinity takes care of.
            return if lower_bound == f64::NEG_INFINITY {
                bucket.count
            } else {
                let width = bucket.upper_bound - lower_bound;
                below + (bucket.count - below) * (value - lower_bound) / width
            };
        }
        below = bucket.count;
        lower_bound = bucket.upper_bound;
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(of: &[(f64, f64)]) -> Vec<ClassicBucket> {
        of.iter().map(|&(upper_bound, count)| ClassicBucket { upper_bound, count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_of_numbers() {
        assert!(quantile_of(0.5, &mut []).is_nan());
        assert!(quantile_of(f64::NAN, &mut [1.0]).is_nan());
        assert_eq!(quantile_of(-0.1, &mut [1.0]), -INF);
        assert_eq!(quantile_of(1.1, &mut [1.0]), INF);
        assert_eq!(quantile_of(0.7, &mut [4.0]), 4.0);
        assert_eq!(quantile_of(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile_of(0.75, &mut [4.0, 1.0, 3.0, 2.0]), 3.25);
        assert_eq!(quantile_of(1.0, &mut [4.0, 1.0, 3.0, 2.0]), 4.0);
        assert!(quantile_of(0.0, &mut [1.0, f64::NAN, 0.0]).is_nan());
        assert_eq!(quantile_of(1.0, &mut [1.0, f64::NAN, 0.0]), 1.0);
    }

    #[test]
    fn classic_quantiles_interpolate_linearly() {
        let of = [(1.0, 10.0), (2.0, 20.0), (4.0, 40.0), (INF, 40.0)];
        let quantile = |q: f64| classic_quantile(q, &mut buckets(&of)).0;
        assert_eq!(quantile(0.0), 0.0);
        assert_eq!(quantile(0.125), 0.5);
        assert_eq!(quantile(0.25), 1.0);
        assert_eq!(quantile(0.75), 3.0);
        assert_eq!(quantile(1.0), 4.0);
        assert_eq!(quantile(-1.0), -INF);
        assert_eq!(quantile(2.0), INF);
        assert!(quantile(f64::NAN).is_nan());
    }

    #[test]
    fn classic_quantiles_at_the_edges() {
        let quantile = |q: f64, of: &[(f64, f64)]| classic_quantile(q, &mut buckets(of)).0;
        assert!(quantile(0.5, &[]).is_nan());
        assert!(quantile(0.5, &[(1.0, 1.0)]).is_nan());
        assert!(quantile(0.5, &[(INF, 1.0)]).is_nan());
        assert!(quantile(0.5, &[(1.0, 0.0), (INF, 0.0)]).is_nan());
        assert_eq!(quantile(0.9, &[(1.0, 1.0), (INF, 10.0)]), 1.0);
        assert_eq!(quantile(0.1, &[(-1.0, 5.0), (INF, 10.0)]), -1.0);
        assert_eq!(quantile(0.5, &[(1.0, f64::NAN), (2.0, f64::NAN), (INF, f64::NAN)]), 2.0);
        // Equal bounds, in any order, are one bucket.
        assert_eq!(quantile(0.5, &[(INF, 4.0), (1.0, 1.0), (1.0, 3.0)]), 0.5);
    }

    #[test]
    fn counts_that_fall_are_raised_and_reported() {
        let mut of = buckets(&[(1.0, 10.0), (2.0, 8.0), (3.0, 9.0), (4.0, 20.0), (INF, 20.0)]);
        let (value, fix) = classic_quantile(0.75, &mut of);
        assert_eq!(value, 3.5);
        assert_eq!(fix, Some(MonotonicityFix { min_bucket: 2.0, max_bucket: 3.0, max_diff: 2.0 }));
        let mut rounding = buckets(&[(1.0, 10.0), (2.0, 10.0 - 1e-13), (INF, 20.0)]);
        assert_eq!(classic_quantile(0.75, &mut rounding), (2.0, None));
    }

    #[test]
    fn classic_fractions() {
        let of = [(1.0, 10.0), (2.0, 20.0), (4.0, 40.0), (INF, 50.0)];
        let fraction = |lower: f64, upper: f64| classic_fraction(lower, upper, &mut buckets(&of));
        assert_eq!(fraction(-INF, INF), 1.0);
        assert_eq!(fraction(0.0, 2.0), 0.4);
        assert_eq!(fraction(0.5, 3.0), 0.5);
        assert_eq!(fraction(5.0, INF), 0.2);
        assert_eq!(fraction(2.0, 1.0), 0.0);
        assert!(fraction(f64::NAN, 1.0).is_nan());
        assert!(classic_fraction(0.0, 1.0, &mut buckets(&[(1.0, 1.0)])).is_nan());
    }
}
