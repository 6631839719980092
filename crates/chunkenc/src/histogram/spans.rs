//! Comparing and joining bucket layouts.

use model::Span;

use super::cell::Cell;
use super::native::NativeHistogram;

/// The raw count of a histogram kind.
pub(crate) type Raw<H> = <<H as NativeHistogram>::Cell as Cell>::Raw;

/// The indices of all buckets in spans, in order.
pub(crate) fn indices(spans: &[Span]) -> impl Iterator<Item = i64> + '_ {
    let mut next = 0;
    spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    })
}

/// How the buckets of two layouts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Difference {
    /// The new layout has buckets the old one lacks: the chunk must be recoded.
    pub(crate) added: bool,
    /// The new layout lacks buckets the old one has: the histogram must be widened.
    pub(crate) missing: bool,
}

/// Compares layouts alone, as for gauges.
pub(crate) fn difference(old: &[Span], new: &[Span]) -> Difference {
    if old == new {
        return Difference::default();
    }
    let mut found = Difference::default();
    merge(indices(old), indices(new), |_, in_old, in_new| {
        found.added |= !in_old;
        found.missing |= !in_new;
        true
    });
    found
}

/// Compares layouts and counts, as for counters; `None` means a counter reset: some bucket went down
/// or a used bucket is gone.
pub(crate) fn counter_difference<H: NativeHistogram>(
    (old_spans, old): (&[Span], &[H::Cell]),
    (new_spans, new): (&[Span], &[Raw<H>]),
) -> Option<Difference> {
    let mut found = Difference::default();
    let mut reset = false;
    let (mut old_counts, mut new_counts) = (old.iter(), new.iter());
    let (mut before, mut after) = (H::zero(), H::zero());
    merge(indices(old_spans), indices(new_spans), |_, in_old, in_new| {
        if in_old && let Some(cell) = old_counts.next() {
            before = H::absolute(before, cell.raw());
        }
        if in_new && let Some(&raw) = new_counts.next() {
            after = H::absolute(after, raw);
        }
        reset = match (in_old, in_new) {
            (true, true) => H::bucket_decreased(before, after),
            (true, false) => !H::is_zero(before),
            _ => false,
        };
        found.added |= !in_old;
        found.missing |= !in_new;
        !reset
    });
    (!reset).then_some(found)
}

/// Visits the union of two ascending sequences until `visit` answers false.
fn merge(
    old: impl Iterator<Item = i64>,
    new: impl Iterator<Item = i64>,
    mut visit: impl FnMut(i64, bool, bool) -> bool,
) {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let (index, in_old, in_new) = match (old.peek(), new.peek()) {
            (Some(&a), Some(&b)) => (a.min(b), a <= b, b <= a),
            (Some(&a), None) => (a, true, false),
            (None, Some(&b)) => (b, false, true),
            (None, None) => return,
        };
        if in_old {
            old.next();
        }
        if in_new {
            new.next();
        }
        if !visit(index, in_old, in_new) {
            return;
        }
    }
}

/// The layout with the buckets of both, in its shortest form.
pub(crate) fn union(old: &[Span], new: &[Span]) -> Vec<Span> {
    let mut builder = SpanBuilder::default();
    merge(indices(old), indices(new), |index, _, _| {
        builder.push(index);
        true
    });
    builder.spans
}

/// Builds spans from ascending bucket indices.
#[derive(Debug, Default)]
pub(crate) struct SpanBuilder {
    pub(crate) spans: Vec<Span>,
    end: i64,
}

impl SpanBuilder {
    pub(crate) fn push(&mut self, index: i64) {
        let gap = index - self.end;
        self.end = index + 1;
        match self.spans.last_mut() {
            Some(last) if gap == 0 => last.length += 1,
            _ => self.spans.push(Span { offset: gap as i32, length: 1 }),
        }
    }
}

/// The counts of `buckets` spread over a wider layout; buckets it lacks are empty.
pub(crate) fn widen<H: NativeHistogram>(from: &[Span], buckets: &[Raw<H>], to: &[Span]) -> Vec<Raw<H>> {
    let mut counts = buckets.iter();
    let mut absolute = H::zero();
    let mut before = H::zero();
    let mut widened = Vec::new();
    merge(indices(from), indices(to), |_, in_from, in_to| {
        let mut count = H::zero();
        if in_from && let Some(&raw) = counts.next() {
            absolute = H::absolute(absolute, raw);
            count = absolute;
        }
        if in_to {
            widened.push(H::relative(before, count));
            before = count;
        }
        true
    });
    widened
}
