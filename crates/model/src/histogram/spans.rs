//! Sparse bucket layouts: walking, building, merging, compacting and coarsening them.
//!
//! A layout is a list of spans and, beside it, one count per bucket the spans cover. Everything here
//! works on a walk of `(bucket index, count)` in ascending index. Indices are 64-bit on the way, so
//! that absurd offsets cannot overflow, and layouts whose spans and counts disagree end early instead
//! of failing.

use std::ops::Range;
use std::slice;

use super::Span;
use super::bounds::index_at_schema;

/// The index ranges the spans cover, from both ends.
#[derive(Debug, Clone)]
struct Runs<'a> {
    spans: slice::Iter<'a, Span>,
    /// Where the last range taken from the front ended.
    front: i64,
    /// Where the next range taken from the back will end.
    back: i64,
}

impl<'a> Runs<'a> {
    fn new(spans: &'a [Span]) -> Self {
        let back = spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
        Self { spans: spans.iter(), front: 0, back }
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<i64>;

    fn next(&mut self) -> Option<Range<i64>> {
        let span = self.spans.next()?;
        let start = self.front + i64::from(span.offset);
        self.front = start + i64::from(span.length);
        Some(start..self.front)
    }
}

impl DoubleEndedIterator for Runs<'_> {
    fn next_back(&mut self) -> Option<Range<i64>> {
        let span = self.spans.next_back()?;
        let end = self.back;
        let start = end - i64::from(span.length);
        self.back = start - i64::from(span.offset);
        Some(start..end)
    }
}

/// Buckets as `(index, count)`, from both ends.
#[derive(Debug, Clone)]
pub(crate) struct Walk<'a, T> {
    indices: std::iter::Flatten<Runs<'a>>,
    counts: slice::Iter<'a, T>,
}

impl<'a, T> Walk<'a, T> {
    pub(crate) fn new(spans: &'a [Span], counts: &'a [T]) -> Self {
        Self { indices: Runs::new(spans).flatten(), counts: counts.iter() }
    }
}

impl<T: Copy> Iterator for Walk<'_, T> {
    type Item = (i64, T);

    #[inline]
    fn next(&mut self) -> Option<(i64, T)> {
        let &count = self.counts.next()?;
        Some((self.indices.next()?, count))
    }
}

impl<T: Copy> DoubleEndedIterator for Walk<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<(i64, T)> {
        let &count = self.counts.next_back()?;
        Some((self.indices.next_back()?, count))
    }
}

/// Builds a layout from buckets pushed in ascending index; neighbours share a span.
#[derive(Debug)]
pub(crate) struct LayoutBuilder<T> {
    pub(crate) spans: Vec<Span>,
    pub(crate) counts: Vec<T>,
    /// The index behind the last bucket.
    next: i64,
}

impl<T: Copy + Default> LayoutBuilder<T> {
    pub(crate) fn with_capacity(buckets: usize) -> Self {
        Self { spans: Vec::new(), counts: Vec::with_capacity(buckets), next: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, index: i64, count: T) {
        let gap = index - self.next;
        match self.spans.last_mut() {
            Some(span) if gap == 0 => span.length += 1,
            _ => self.spans.push(Span { offset: saturated(gap), length: 1 }),
        }
        self.counts.push(count);
        self.next = index + 1;
    }

    /// As `push`, but a gap of at most `max_gap` buckets is bridged by empty ones.
    fn push_bridging(&mut self, index: i64, count: T, max_gap: u32) {
        if let Some(span) = self.spans.last_mut()
            && let Ok(gap) = u32::try_from(index - self.next)
            && gap <= max_gap
        {
            span.length += gap;
            self.counts.extend(std::iter::repeat_n(T::default(), gap as usize));
            self.next = index;
        }
        self.push(index, count);
    }

    /// The place of the last bucket if it has this index.
    fn last_at(&mut self, index: i64) -> Option<&mut T> {
        if self.next == index + 1 { self.counts.last_mut() } else { None }
    }
}

fn saturated(offset: i64) -> i32 {
    i32::try_from(offset).unwrap_or(if offset < 0 { i32::MIN } else { i32::MAX })
}

/// Whether two span lists describe the same layout: spans of length zero only shift the next one.
pub(crate) fn same_layout(a: &[Span], b: &[Span]) -> bool {
    a == b || without_empty_spans(a).eq(without_empty_spans(b))
}

fn without_empty_spans(spans: &[Span]) -> impl Iterator<Item = (i64, u32)> {
    let mut shift = 0;
    spans.iter().filter_map(move |span| {
        shift += i64::from(span.offset);
        (span.length > 0).then(|| (std::mem::take(&mut shift), span.length))
    })
}

/// Removes empty buckets, except runs of at most `max_gap` between populated ones, which are made
/// explicit even where they were a gap between spans.
pub(crate) fn compact<T: Copy + Default>(
    spans: &mut Vec<Span>,
    counts: &mut Vec<T>,
    max_gap: u32,
    is_empty: impl Fn(&T) -> bool,
) {
    let small = |span: &Span| i64::from(span.offset) <= i64::from(max_gap) || span.length == 0;
    if !counts.iter().any(&is_empty)
        && !spans.iter().skip(1).any(small)
        && spans.first().is_none_or(|s| s.length > 0)
    {
        return;
    }
    let mut built = LayoutBuilder::with_capacity(counts.len());
    for (index, count) in Walk::new(spans, counts).filter(|(_, count)| !is_empty(count)) {
        built.push_bridging(index, count, max_gap);
    }
    (*spans, *counts) = (built.spans, built.counts);
}

/// Adds the buckets of `other` (ascending) to a layout with `add`; those it lacks are inserted.
pub(crate) fn merge<T: Copy + Default>(
    spans: &mut Vec<Span>,
    counts: &mut Vec<T>,
    other: impl Iterator<Item = (i64, T)>,
    add: impl Fn(T, T) -> T,
    insert: impl Fn(T) -> T,
) {
    let mut built = LayoutBuilder::with_capacity(counts.len());
    let mut mine = Walk::new(spans, counts).peekable();
    for (index, count) in other {
        while let Some((before, kept)) = mine.next_if(|&(i, _)| i < index) {
            built.push(before, kept);
        }
        match mine.next_if(|&(i, _)| i == index) {
            Some((_, kept)) => built.push(index, add(kept, count)),
            None => built.push(index, insert(count)),
        }
    }
    for (index, kept) in mine {
        built.push(index, kept);
    }
    (*spans, *counts) = (built.spans, built.counts);
}

/// The layout at the coarser schema `to`; buckets that fall together are joined with `add`.
pub(crate) fn coarsen<T: Copy + Default>(
    buckets: impl Iterator<Item = (i64, T)>,
    from: i32,
    to: i32,
    add: impl Fn(T, T) -> T,
) -> LayoutBuilder<T> {
    let mut built = LayoutBuilder::with_capacity(0);
    for (index, count) in buckets {
        let index = index_at_schema(index, from, to);
        match built.last_at(index) {
            Some(joined) => *joined = add(*joined, count),
            None => built.push(index, count),
        }
    }
    built
}

/// Turns counts written as differences into absolute ones.
pub(crate) fn deltas_to_counts(buckets: &mut [i64]) {
    let mut count = 0_i64;
    for bucket in buckets {
        count = count.wrapping_add(*bucket);
        *bucket = count;
    }
}

/// Turns absolute counts into differences.
pub(crate) fn counts_to_deltas(buckets: &mut [i64]) {
    let mut before = 0_i64;
    for bucket in buckets {
        let count = *bucket;
        *bucket = count.wrapping_sub(before);
        before = count;
    }
}
