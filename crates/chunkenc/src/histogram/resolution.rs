//! Halving the resolution of histograms finer than queries compute with.

use model::Span;
use model::histogram::EXPONENTIAL_SCHEMA_MAX;

use super::native::NativeHistogram;
use super::spans::{Raw, SpanBuilder, indices};

/// One side of a histogram of `schema`, joined into the buckets of the finest schema we know.
pub(crate) fn coarsen<H: NativeHistogram>(
    schema: i32,
    spans: &[Span],
    buckets: &[Raw<H>],
) -> (Vec<Span>, Vec<Raw<H>>) {
    let shift = schema - EXPONENTIAL_SCHEMA_MAX;
    let mut builder = SpanBuilder::default();
    let mut totals: Vec<Raw<H>> = Vec::new();
    let mut last = None;
    let mut absolute = H::zero();
    for (index, &raw) in indices(spans).zip(buckets) {
        absolute = H::absolute(absolute, raw);
        // A bucket covers its upper bound, hence the shift by one around the division.
        let target = ((index - 1) >> shift) + 1;
        match totals.last_mut() {
            Some(total) if last == Some(target) => *total = H::add(*total, absolute),
            _ => {
                builder.push(target);
                totals.push(absolute);
                last = Some(target);
            }
        }
    }
    let mut before = H::zero();
    let relative = |absolute| {
        let raw = H::relative(before, absolute);
        before = absolute;
        raw
    };
    (builder.spans, totals.into_iter().map(relative).collect())
}
