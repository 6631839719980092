//! Exponential histograms, added up.

use wire::otlp::{Buckets, ExponentialPoint};

/// Buckets a side may have; a total that needs more is kept coarser.
const MAX_BUCKETS: i64 = 160;
/// After so many steps of scale all indexes, which have 32 bits, are 0 or -1.
const MAX_STEPS: u32 = 32;

/// What was added up of an exponential histogram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exponential {
    scale: i32,
    count: u64,
    sum: Option<f64>,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
}

impl Exponential {
    pub fn of(point: &ExponentialPoint<'_>) -> Self {
        Self {
            scale: point.scale,
            count: point.count,
            sum: point.sum,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: point.positive.clone(),
            negative: point.negative.clone(),
        }
    }

    pub fn store_in(&self, point: &mut ExponentialPoint<'_>) {
        (point.scale, point.count, point.sum) = (self.scale, self.count, self.sum);
        (point.zero_count, point.zero_threshold) = (self.zero_count, self.zero_threshold);
        point.positive.clone_from(&self.positive);
        point.negative.clone_from(&self.negative);
    }

    /// The sum of both, as fine as both are and the buckets allow.
    pub fn plus(&self, mut more: Self) -> Self {
        let mut total = self.clone();
        let scale = total.scale.min(more.scale);
        total.coarsen_to(scale);
        more.coarsen_to(scale);
        let sides = [(&total.positive, &more.positive), (&total.negative, &more.negative)];
        let fits = |by: &u32| sides.iter().all(|(a, b)| width(a, b, *by) <= MAX_BUCKETS);
        let by = (0..MAX_STEPS).find(fits).unwrap_or(MAX_STEPS);
        let scale = scale.saturating_sub_unsigned(by);
        total.coarsen_to(scale);
        more.coarsen_to(scale);
        let zero_threshold = total.zero_threshold.max(more.zero_threshold);
        total.widen_zero(zero_threshold);
        more.widen_zero(zero_threshold);
        total.positive = joined(&total.positive, &more.positive);
        total.negative = joined(&total.negative, &more.negative);
        total.count = total.count.wrapping_add(more.count);
        total.zero_count = total.zero_count.wrapping_add(more.zero_count);
        total.sum = total.sum.zip(more.sum).map(|(a, b)| a + b);
        total
    }

    fn coarsen_to(&mut self, scale: i32) {
        let by = self.scale.abs_diff(scale).min(63);
        if scale >= self.scale {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            *side = collected(populated(side).map(|(index, count)| (index >> by, count)));
        }
        self.scale = scale;
    }

    /// Takes buckets that reach no further than `threshold` into the zero bucket, and the one it lies in.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold.partial_cmp(&self.zero_threshold) != Some(std::cmp::Ordering::Greater) {
            return;
        }
        let last = index_of(threshold, self.scale);
        for side in [&mut self.positive, &mut self.negative] {
            let inside = populated(side).filter(|(index, _)| *index <= last);
            let swallowed = inside.fold(0_u64, |sum, (_, count)| sum.wrapping_add(count));
            self.zero_count = self.zero_count.wrapping_add(swallowed);
            *side = collected(populated(side).filter(|(index, _)| *index > last));
        }
        // The whole bucket is gone, so the zero bucket ends where it did.
        self.zero_threshold = upper_bound(last, self.scale).max(threshold);
    }
}

/// Populated buckets with their indexes, ascending.
fn populated(side: &Buckets) -> impl Iterator<Item = (i64, u64)> {
    (i64::from(side.offset)..).zip(side.counts.iter().copied()).filter(|(_, count)| *count > 0)
}

/// How many buckets hold all of both sides once `2^by` of them are joined.
fn width(a: &Buckets, b: &Buckets, by: u32) -> i64 {
    let indexes = populated(a).chain(populated(b)).map(|(index, _)| index >> by);
    let (low, high) = indexes.fold((i64::MAX, i64::MIN), |(low, high), i| (low.min(i), high.max(i)));
    if low > high { 0 } else { high - low + 1 }
}

fn joined(a: &Buckets, b: &Buckets) -> Buckets {
    let mut all: Vec<_> = populated(a).chain(populated(b)).collect();
    all.sort_by_key(|(index, _)| *index);
    collected(all.into_iter())
}

/// Buckets in ascending order as a dense list. There are few: see [`MAX_BUCKETS`].
fn collected(buckets: impl Iterator<Item = (i64, u64)>) -> Buckets {
    let mut out = Buckets::default();
    for (index, count) in buckets {
        if out.counts.is_empty() {
            out.offset = i32::try_from(index).unwrap_or(if index < 0 { i32::MIN } else { i32::MAX });
        }
        let at = usize::try_from(index - i64::from(out.offset)).unwrap_or(0);
        if at >= out.counts.len() {
            out.counts.resize(at + 1, 0);
        }
        out.counts[at] = out.counts[at].wrapping_add(count);
    }
    out
}

/// The bucket that `value` falls into: the one whose upper bound is the first not below it.
fn index_of(value: f64, scale: i32) -> i64 {
    let index = value.log2() * f64::from(scale).exp2();
    // An exact bound belongs to the bucket below it; rounding must not lift others onto one.
    index.ceil() as i64 - 1
}

fn upper_bound(index: i64, scale: i32) -> f64 {
    ((index + 1) as f64 * f64::from(-scale).exp2()).exp2()
}
