//! Histograms with custom buckets of different bounds: both are mapped to the bounds they share.

use std::sync::Arc;

use super::spans::{LayoutBuilder, Walk};
use super::{FloatHistogram, Span};
use crate::kahan::KahanSum;

/// The bounds two ascending lists have in common.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    let mut rest = b.iter().copied().peekable();
    let shared = a.iter().copied().filter(|&bound| {
        while rest.next_if(|&other| other < bound).is_some() {}
        rest.next_if(|&other| other == bound).is_some()
    });
    shared.collect::<Vec<_>>().into()
}

/// Counts per shared bucket; the last one reaches to `+Inf`.
struct Mapped<'a> {
    bounds: &'a [f64],
    counts: Vec<KahanSum>,
}

impl<'a> Mapped<'a> {
    fn new(bounds: &'a [f64]) -> Self {
        Self { bounds, counts: vec![KahanSum::default(); bounds.len() + 1] }
    }

    /// Adds each bucket's addends to the first shared bucket that covers it.
    fn add<const N: usize>(&mut self, own_bounds: &[f64], buckets: impl Iterator<Item = (i64, [f64; N])>) {
        let mut at = 0;
        for (index, addends) in buckets {
            let own = usize::try_from(index).ok().and_then(|i| own_bounds.get(i));
            at = match own {
                Some(&own) => at + self.bounds[at..].partition_point(|&bound| bound < own),
                None => self.bounds.len(),
            };
            addends.into_iter().for_each(|addend| self.counts[at].add(addend));
        }
    }
}

/// Adds `sign` times the custom buckets of `other` to those of `target`, on the bounds they share.
pub(super) fn add_on_shared_bounds(
    target: &mut FloatHistogram,
    compensation: Option<&mut FloatHistogram>,
    other: &FloatHistogram,
    sign: f64,
) {
    let bounds = shared_bounds(target.custom_bounds(), other.custom_bounds());
    let mut mapped = Mapped::new(&bounds);
    let errors = compensation.as_deref().map_or(&[][..], |c| &c.positive_buckets);
    let mine = Walk::new(&target.positive_spans, &target.positive_buckets);
    let with_errors =
        mine.enumerate().map(|(at, (index, count))| (index, [count, errors.get(at).copied().unwrap_or(0.0)]));
    mapped.add(target.custom_bounds(), with_errors);
    let theirs = Walk::new(&other.positive_spans, &other.positive_buckets);
    mapped.add(other.custom_bounds(), theirs.map(|(index, count)| (index, [sign * count])));

    let (spans, sums, errors) = populated(&mapped.counts);
    target.positive_spans = spans;
    target.positive_buckets = sums;
    if let Some(compensation) = compensation {
        compensation.positive_spans.clone_from(&target.positive_spans);
        compensation.positive_buckets = errors;
        compensation.custom_values = Some(bounds.clone());
    }
    target.custom_values = Some(bounds);
}

fn populated(counts: &[KahanSum]) -> (Vec<Span>, Vec<f64>, Vec<f64>) {
    let mut built = LayoutBuilder::with_capacity(counts.len());
    for (index, count) in (0_i64..).zip(counts) {
        if count.sum != 0.0 || count.compensation != 0.0 {
            built.push(index, (count.sum, count.compensation));
        }
    }
    let (sums, errors) = built.counts.into_iter().unzip();
    (built.spans, sums, errors)
}

/// Whether any bucket on the shared bounds holds less in `current` than in `previous`.
pub(super) fn any_shared_bucket_shrank(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    let bounds = shared_bounds(current.custom_bounds(), previous.custom_bounds());
    let on_shared = |histogram: &FloatHistogram| {
        let mut mapped = Mapped::new(&bounds);
        let walk = Walk::new(&histogram.positive_spans, &histogram.positive_buckets);
        mapped.add(histogram.custom_bounds(), walk.map(|(index, count)| (index, [count])));
        mapped.counts
    };
    on_shared(current).iter().zip(on_shared(previous)).any(|(now, before)| now.sum < before.sum)
}
