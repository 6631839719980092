//! Adding and subtracting histograms of whatever shape.

use super::bounds::exponential_upper_bound;
use super::custom::add_on_shared_bounds;
use super::spans::{Walk, coarsen, merge};
use super::{CounterResetHint, FloatHistogram, HistogramError, Span, is_exponential_schema};
use crate::kahan::kahan_step;

/// What had to be bent to make two histograms fit; callers turn it into annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// One says there was a counter reset, the other that there was none. The result's hint is unknown.
    pub counter_reset_collision: bool,
    /// Custom bounds differ. The result has only the bounds both share.
    pub custom_bounds: bool,
}

/// One side of a histogram: spans and counts.
type SideOf<'a> = (&'a mut Vec<Span>, &'a mut Vec<f64>);

impl FloatHistogram {
    /// Adds `other`. Schema and zero threshold change to the coarser and wider of both; buckets only
    /// `other` has are inserted. Empty buckets may remain: see [`FloatHistogram::compact`].
    ///
    /// Fails, changing nothing, when only one of the two has custom buckets.
    pub fn add(&mut self, other: &Self) -> Result<Reconciled, HistogramError> {
        self.add_signed(other, 1.0)
    }

    /// Subtracts `other`, else as [`FloatHistogram::add`]. For the `-` operator the caller also makes the
    /// result a gauge.
    pub fn sub(&mut self, other: &Self) -> Result<Reconciled, HistogramError> {
        self.add_signed(other, -1.0)
    }

    fn add_signed(&mut self, other: &Self, sign: f64) -> Result<Reconciled, HistogramError> {
        let mut reconciled = self.reconcile_kind(other)?;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        if self.uses_custom_buckets() && self.custom_bounds() != other.custom_bounds() {
            add_on_shared_bounds(self, None, other, sign);
            reconciled.custom_bounds = true;
            return Ok(reconciled);
        }
        if !self.uses_custom_buckets() {
            self.zero_count += sign * self.reconcile_zero_buckets(other, None).sum;
        }
        if other.schema < self.schema {
            self.coarsen_to(other.schema);
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        for (mine, theirs) in [
            (
                (&mut self.positive_spans, &mut self.positive_buckets),
                (&other.positive_spans, &other.positive_buckets),
            ),
            (
                (&mut self.negative_spans, &mut self.negative_buckets),
                (&other.negative_spans, &other.negative_buckets),
            ),
        ] {
            add_side(mine, theirs, other.schema, schema, threshold, sign);
        }
        Ok(reconciled)
    }

    /// Adds `other` and collects the rounding errors of count, sum and every bucket in `compensation`,
    /// which is created when `None` and must otherwise come from earlier additions to `self` (scaled
    /// along with it, if it was scaled). At the end the caller adds `compensation` to `self`.
    pub fn kahan_add(
        &mut self,
        other: &Self,
        compensation: &mut Option<Self>,
    ) -> Result<Reconciled, HistogramError> {
        let mut reconciled = self.reconcile_kind(other)?;
        let errors = compensation.get_or_insert_with(|| self.zeroed());
        (self.count, errors.count) = kahan_step(other.count, self.count, errors.count);
        (self.sum, errors.sum) = kahan_step(other.sum, self.sum, errors.sum);
        if self.uses_custom_buckets() && self.custom_bounds() != other.custom_bounds() {
            add_on_shared_bounds(self, Some(errors), other, 1.0);
            reconciled.custom_bounds = true;
            return Ok(reconciled);
        }
        if !self.uses_custom_buckets() {
            let theirs = self.reconcile_zero_buckets(other, Some(errors));
            let zero = kahan_step(theirs.sum, self.zero_count, errors.zero_count);
            (self.zero_count, errors.zero_count) = kahan_step(theirs.compensation, zero.0, zero.1);
        }
        let schema = self.schema.min(other.schema);
        for (mine, errors, theirs) in [
            (
                (&mut self.positive_spans, &mut self.positive_buckets),
                (&mut errors.positive_spans, &mut errors.positive_buckets),
                (&other.positive_spans, &other.positive_buckets),
            ),
            (
                (&mut self.negative_spans, &mut self.negative_buckets),
                (&mut errors.negative_spans, &mut errors.negative_buckets),
                (&other.negative_spans, &other.negative_buckets),
            ),
        ] {
            kahan_add_side(mine, errors, theirs, (self.schema, other.schema), self.zero_threshold);
        }
        self.schema = schema;
        errors.schema = schema;
        errors.zero_threshold = self.zero_threshold;
        Ok(reconciled)
    }

    /// A histogram of the same layout without observations.
    fn zeroed(&self) -> Self {
        let mut zeroed = self.clone();
        zeroed.positive_buckets.fill(0.0);
        zeroed.negative_buckets.fill(0.0);
        (zeroed.zero_count, zeroed.count, zeroed.sum) = (0.0, 0.0, 0.0);
        zeroed
    }

    fn reconcile_kind(&mut self, other: &Self) -> Result<Reconciled, HistogramError> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(HistogramError::IncompatibleSchema);
        }
        let (hint, counter_reset_collision) = joined_hint(self.counter_reset_hint, other.counter_reset_hint);
        self.counter_reset_hint = hint;
        Ok(Reconciled { counter_reset_collision, custom_bounds: false })
    }
}

/// The hint of a sum, and whether the two contradict each other. Sums are usually of gauges; with
/// counters the caller may know what it does, so that unknown stays merely unknown.
fn joined_hint(a: CounterResetHint, b: CounterResetHint) -> (CounterResetHint, bool) {
    use CounterResetHint::{Gauge, Unknown};
    match (a, b) {
        _ if a == b => (a, false),
        (Gauge, _) | (_, Gauge) => (Gauge, false),
        (Unknown, _) | (_, Unknown) => (Unknown, false),
        _ => (Unknown, true),
    }
}

/// Whether buckets from `index` on lie outside the zero bucket.
fn outside_zero(index: i64, schema: i32, zero_threshold: f64) -> bool {
    !is_exponential_schema(schema) || exponential_upper_bound(index, schema) > zero_threshold
}

/// The buckets the zero bucket has not swallowed; the others are in its count already. To be asked
/// before the buckets are coarsened: a coarse bucket may lie half inside.
fn skip_zero<T>(
    buckets: impl Iterator<Item = (i64, T)>,
    schema: i32,
    zero_threshold: f64,
) -> impl Iterator<Item = (i64, T)> {
    buckets.skip_while(move |&(index, _)| !outside_zero(index, schema, zero_threshold))
}

/// Whether the buckets of both sides correspond one to one, which is what repeated samples of one
/// histogram look like.
fn aligned(mine: &[Span], theirs: &[Span], schema: i32, zero_threshold: f64) -> bool {
    mine == theirs && mine.first().is_none_or(|s| outside_zero(i64::from(s.offset), schema, zero_threshold))
}

fn add_side(
    (spans, counts): SideOf<'_>,
    (other_spans, other_counts): (&Vec<Span>, &Vec<f64>),
    other_schema: i32,
    schema: i32,
    zero_threshold: f64,
    sign: f64,
) {
    if other_spans.is_empty() {
        return;
    }
    if schema == other_schema && aligned(spans, other_spans, schema, zero_threshold) {
        counts.iter_mut().zip(other_counts).for_each(|(mine, theirs)| *mine += sign * theirs);
        return;
    }
    let add = |mine, theirs| mine + sign * theirs;
    let insert = |theirs| sign * theirs;
    let theirs = skip_zero(Walk::new(other_spans, other_counts), other_schema, zero_threshold);
    if schema == other_schema {
        merge(spans, counts, theirs, add, insert);
    } else {
        let coarse = coarsen(theirs, other_schema, schema, |a, b| a + b);
        merge(spans, counts, Walk::new(&coarse.spans, &coarse.counts), add, insert);
    }
}

/// A count and the rounding error that goes with it.
type Compensated = (f64, f64);

fn kahan_join(mine: Compensated, theirs: Compensated) -> Compensated {
    let joined = kahan_step(theirs.0, mine.0, mine.1);
    if theirs.1 == 0.0 { joined } else { kahan_step(theirs.1, joined.0, joined.1) }
}

fn kahan_add_side(
    (spans, sums): SideOf<'_>,
    (error_spans, errors): SideOf<'_>,
    (other_spans, other_counts): (&Vec<Span>, &Vec<f64>),
    (my_schema, other_schema): (i32, i32),
    zero_threshold: f64,
) {
    if my_schema == other_schema
        && aligned(spans, other_spans, my_schema, zero_threshold)
        && errors.len() == sums.len()
    {
        for ((sum, error), &theirs) in sums.iter_mut().zip(errors).zip(other_counts) {
            (*sum, *error) = kahan_step(theirs, *sum, *error);
        }
        return;
    }
    let schema = my_schema.min(other_schema);
    let missing = std::iter::repeat(0.0);
    let mut pairs: Vec<Compensated> =
        sums.iter().copied().zip(errors.iter().copied().chain(missing)).collect();
    if my_schema > schema {
        let coarse = coarsen(Walk::new(spans, &pairs), my_schema, schema, kahan_join);
        (*spans, pairs) = (coarse.spans, coarse.counts);
    }
    let theirs = skip_zero(Walk::new(other_spans, other_counts), other_schema, zero_threshold)
        .map(|(index, count)| (index, (count, 0.0)));
    if other_schema > schema {
        let coarse = coarsen(theirs, other_schema, schema, kahan_join);
        merge(spans, &mut pairs, Walk::new(&coarse.spans, &coarse.counts), kahan_join, |theirs| theirs);
    } else {
        merge(spans, &mut pairs, theirs, kahan_join, |theirs| theirs);
    }
    (*sums, *errors) = pairs.into_iter().unzip();
    error_spans.clone_from(spans);
}
