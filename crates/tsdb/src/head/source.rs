//! The head as a source of series for a new block.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashSet;
use model::TimeRange;

use super::chunk_store::ChunkRef;
use super::labels::label_order;
use super::table::{Slot, locate};
use super::{Head, Inner};
use crate::chunk_source::{ChunkSource, SourceChunk, SourceSeries};
use crate::error::TsdbError;

/// A walk over the series of the head, in label order.
pub struct HeadSource {
    inner: Arc<Inner>,
    range: TimeRange,
    part: Part,
    slots: Vec<Slot>,
    next: usize,
}

impl std::fmt::Debug for HeadSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadSource").field("series", &self.slots.len()).finish_non_exhaustive()
    }
}

/// Which samples to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    InOrder,
    /// Out-of-order chunks before this one.
    Late(ChunkRef),
}

/// Where the out-of-order samples were divided: what is before goes into blocks.
#[derive(Debug, Clone, Copy)]
pub struct OutOfOrderCut {
    /// Chunks before this one are covered.
    pub chunk: ChunkRef,
    /// Segments of the out-of-order log before this one are covered.
    pub wbl_segment: u32,
    /// First and last time of what is covered.
    pub range: TimeRange,
}

impl Head {
    /// The in-order samples in `range`, for a block. Waits for open transactions, which might still add to
    /// it; later ones cannot, if the range ends before [`Head::appendable_min_valid_ms`].
    pub fn block_source(&self, range: TimeRange) -> HeadSource {
        self.inner.activity.wait_for_current_appenders();
        HeadSource::new(self.inner.clone(), range, Part::InOrder, &self.inner.table.live_slots())
    }

    /// Divides the out-of-order samples: all of now become chunks. `None` when there is none.
    pub fn cut_out_of_order(&self) -> Result<Option<OutOfOrderCut>, TsdbError> {
        let inner = &self.inner;
        let Some((min_ms, max_ms)) = self.out_of_order_bounds() else { return Ok(None) };
        let _commit = inner.commit.lock();
        let wbl = inner.wbl.read().clone();
        let wbl_segment = match wbl {
            Some(wbl) => wbl.next_segment()?,
            None => 0,
        };
        for (number, page) in inner.table.pages() {
            let mut all = page.series.write();
            for (at, series) in all.iter_mut().enumerate() {
                if series.out_of_order().is_none_or(|late| late.buffer.is_empty()) {
                    continue;
                }
                let series_ref = inner.series_ref(number * super::table::PAGE_SERIES as u32 + at as u32);
                if let Some(late) = &mut series.extra_mut().out_of_order {
                    late.flush(series_ref, &inner.store)?;
                }
            }
        }
        // Files with nothing else in them go as soon as the block is there.
        inner.store.rotate()?;
        let range = TimeRange::new(min_ms, max_ms.max(inner.max_out_of_order_ms.load(Ordering::Relaxed)));
        Ok(Some(OutOfOrderCut { chunk: inner.store.end(), wbl_segment, range }))
    }

    /// The out-of-order samples in `range` that `cut` covers, for a block.
    pub fn out_of_order_source(&self, cut: &OutOfOrderCut, range: TimeRange) -> HeadSource {
        let live = self.inner.table.live_slots();
        HeadSource::new(self.inner.clone(), range, Part::Late(cut.chunk), &live)
    }
}

impl HeadSource {
    /// The in-order samples in `range` of the series of some slots, which ascend.
    pub(super) fn of_series(inner: Arc<Inner>, range: TimeRange, slots: &[Slot]) -> Self {
        Self::new(inner, range, Part::InOrder, slots)
    }

    fn new(inner: Arc<Inner>, range: TimeRange, part: Part, candidates: &[Slot]) -> Self {
        let mut slots = Vec::new();
        inner.table.for_each(candidates, |_, slot, series, last_t_ms| {
            let has_labels = series.cold.as_ref().is_some_and(|cold| !cold.labels.is_empty());
            let overlaps = match part {
                Part::InOrder => series
                    .first_in_order_t_ms()
                    .is_some_and(|first| first <= range.end_ms && last_t_ms >= range.start_ms),
                Part::Late(end) => series.out_of_order().is_some_and(|late| {
                    let mut chunks = late.chunks.iter().filter(|chunk| chunk.chunk < end);
                    chunks.any(|chunk| chunk.min_ms <= range.end_ms && chunk.max_ms >= range.start_ms)
                }),
            };
            if has_labels && overlaps {
                slots.push(slot);
            }
        });
        let order = label_order(&inner, &slots);
        let slots = order.into_iter().map(|i| slots[i]).collect();
        Self { inner, range, part, slots, next: 0 }
    }

    /// The complete chunks of a series that may overlap the range, and its open one.
    fn chunks(&self, slot: Slot) -> (Vec<ChunkRef>, Option<SourceChunk>) {
        let (number, at) = locate(slot);
        let Some(page) = self.inner.table.page(number) else { return (Vec::new(), None) };
        let all = page.series.read();
        let series = &all[at];
        let range = self.range;
        match self.part {
            Part::InOrder => {
                let stored = series.cold.iter().flat_map(|cold| &cold.chunks);
                let stored = stored.filter(|chunk| chunk.min_ms <= range.end_ms).map(|chunk| chunk.chunk);
                let last_t_ms = page.last_t_ms(at);
                let open = series
                    .open_chunk()
                    .filter(|&(_, _, min_ms)| min_ms <= range.end_ms && last_t_ms >= range.start_ms);
                let open = open.map(|(encoding, data, min_ms)| SourceChunk {
                    encoding,
                    min_ms,
                    max_ms: last_t_ms,
                    bytes: data.to_vec(),
                });
                (stored.collect(), open)
            }
            Part::Late(end) => {
                let late = series.out_of_order();
                let chunks = late.iter().flat_map(|late| &late.chunks).filter(|chunk| {
                    chunk.chunk < end && chunk.min_ms <= range.end_ms && chunk.max_ms >= range.start_ms
                });
                let mut chunks: Vec<_> = chunks.collect();
                chunks.sort_by_key(|chunk| (chunk.min_ms, chunk.chunk));
                (chunks.into_iter().map(|chunk| chunk.chunk).collect(), None)
            }
        }
    }
}

impl ChunkSource for HeadSource {
    fn symbols(&mut self, visit: &mut dyn FnMut(&str) -> Result<(), TsdbError>) -> Result<(), TsdbError> {
        let state = self.inner.index.read();
        let mut ascending = self.slots.clone();
        ascending.sort_unstable();
        let (mut values, mut shapes) = (HashSet::new(), HashSet::new());
        self.inner.table.for_each(&ascending, |_, _, series, _| {
            if let Some((&shape, used)) = series.cold.as_ref().and_then(|cold| cold.labels.split_first()) {
                shapes.insert(shape);
                values.extend(used);
            }
        });
        let index = &state.index;
        values.extend(shapes.iter().flat_map(|&shape| index.shapes.names(shape)));
        let mut texts: Vec<&str> = values.into_iter().map(|symbol| index.symbols.text(symbol)).collect();
        texts.sort_unstable();
        texts.into_iter().try_for_each(visit)
    }

    fn next_series(&mut self) -> Result<Option<SourceSeries>, TsdbError> {
        while let Some(&slot) = self.slots.get(self.next) {
            self.next += 1;
            let Some(labels) = self.inner.labels_of(slot) else { continue };
            let (stored, open) = self.chunks(slot);
            let mut chunks = Vec::with_capacity(stored.len() + 1);
            for at in stored {
                let read = self.inner.store.with_chunk(at, |chunk| {
                    (chunk.max_ms >= self.range.start_ms).then(|| SourceChunk {
                        encoding: chunk.encoding,
                        min_ms: chunk.min_ms,
                        max_ms: chunk.max_ms,
                        bytes: chunk.data.to_vec(),
                    })
                });
                match read {
                    Ok(chunk) => chunks.extend(chunk),
                    Err(damage) => return Err(TsdbError::corrupt(&damage.path, &damage)),
                }
            }
            chunks.extend(open);
            if chunks.is_empty() {
                continue;
            }
            let deleted = self.inner.tombstones.read().get(u64::from(slot)).to_vec();
            return Ok(Some(SourceSeries { labels, chunks, deleted }));
        }
        Ok(None)
    }
}
