//! Reading the head: selecting series at one commit, and their samples later.

mod chunks;
mod identity;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Reservation;
use chunkenc::{Encoding, decode_into, decode_last};
use hashbrown::HashMap;
use model::{
    Labels, Projection, QueryContext, RawChunk, SampleColumns, SelectRequest, SeriesSet, SourceError,
    TimeRange,
};

use super::chunk_store::{ChunkDamage, ChunkRef};
use super::isolation::{Registration, is_later};
use super::labels::{label_order, label_order_bytes};
use super::matching::matching_series;
use super::ooo::{OutOfOrderChunk, OutOfOrderSample, Value};
use super::table::{LastKind, NO_SAMPLE, NO_SERIES, OpenChunk, OpenKind, Series, Slot, locate};
use super::{Head, Inner};
use crate::block::tombstones::Tombstones;
use crate::wal::histogram::AnyHistogram;

pub(super) const STAGE: &str = "reading the head";

/// Series of the head as they were at one commit.
pub struct HeadSeriesSet {
    inner: Arc<Inner>,
    range: TimeRange,
    projection: Projection,
    slots: Vec<Slot>,
    /// The newest in-order timestamp that may be seen of each series.
    newest_ms: Vec<i64>,
    late: HashMap<usize, Late>,
    tombstones: Arc<Tombstones>,
    _registration: Registration,
    memory: Reservation,
}

/// The out-of-order samples of a series that may be seen.
#[derive(Debug, Clone, Default)]
struct Late {
    samples: Vec<OutOfOrderSample>,
    chunks: Vec<OutOfOrderChunk>,
}

impl std::fmt::Debug for HeadSeriesSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeadSeriesSet").field("series", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Head {
    /// As [`SeriesSource::select`], with the type of the set.
    pub fn select_head(
        &self,
        request: &SelectRequest,
        ctx: &QueryContext,
    ) -> Result<HeadSeriesSet, SourceError> {
        let inner = &self.inner;
        let (registration, range) = inner.register_reader(request.range);
        let slots = if range.is_empty() {
            Vec::new()
        } else {
            matching_series(&inner.index.read().index, &inner.table, &request.matchers)
        };
        ctx.check(STAGE)?;
        // What matches is there still while what has samples in range is chosen.
        let memory = ctx.reserve(slots.len() * (2 * size_of::<Slot>() + size_of::<i64>()))?;
        let mut set = HeadSeriesSet {
            inner: inner.clone(),
            range,
            projection: request.projection.clone(),
            slots,
            newest_ms: Vec::new(),
            late: HashMap::new(),
            tombstones: inner.tombstones.read().clone(),
            _registration: registration,
            memory,
        };
        set.pin_newest();
        let bytes = set.slots.capacity() * size_of::<Slot>() + set.newest_ms.capacity() * size_of::<i64>();
        set.memory.shrink_to(bytes);
        if request.sorted {
            let _sorting = ctx.reserve(label_order_bytes(inner, &set.slots))?;
            set.sort();
        }
        if request.limit > 0 && set.slots.len() > request.limit {
            set.slots.truncate(request.limit);
            set.newest_ms.truncate(request.limit);
        }
        Ok(set)
    }
}

impl Inner {
    /// Registers a reader, and moves its start behind what a truncation is moving into a block.
    fn register_reader(&self, range: TimeRange) -> (Registration, TimeRange) {
        let mut range = range;
        loop {
            let registration = self.activity.reader(range.start_ms);
            // Read after registering: a truncation announces itself before it looks at the readers.
            let truncated_ms = self.truncated_ms.load(Ordering::SeqCst);
            if range.start_ms >= truncated_ms {
                return (registration, range);
            }
            range.start_ms = truncated_ms;
        }
    }

    /// The labels of a series.
    pub(super) fn labels_of(&self, slot: Slot) -> Option<Labels> {
        let state = self.index.read();
        let (number, at) = locate(slot);
        let page = self.table.page(number)?;
        let series = page.series.read();
        Some(state.index.labels(&series[at].cold.as_ref()?.labels))
    }
}

impl HeadSeriesSet {
    /// Fixes what may be seen of each series, and drops those with nothing in range.
    fn pin_newest(&mut self) {
        let visible = self.inner.visible.load(Ordering::Acquire);
        if self.pin_at(visible as u32) {
            return;
        }
        // Several commits hit one series in the meantime. While no commit is applied there is nothing to
        // tell apart.
        let inner = self.inner.clone();
        let _commit = inner.commit.lock();
        let visible = inner.visible.load(Ordering::Acquire);
        let pinned = self.pin_at(visible as u32);
        debug_assert!(pinned, "a series knows of a commit that is not complete, and none is running");
    }

    /// Tries to fix what commit `visible` could see; false when the series do not know it any more.
    fn pin_at(&mut self, visible: u32) -> bool {
        let slots = std::mem::take(&mut self.slots);
        let mut kept = Vec::with_capacity(slots.len());
        let mut newest_ms = Vec::with_capacity(slots.len());
        let mut late = HashMap::new();
        let mut known = true;
        let range = self.range;
        self.inner.table.for_each(&slots, |_, slot, series, last_t_ms| {
            let Some(newest) = newest_visible(series, last_t_ms, visible) else {
                known = false;
                return;
            };
            let in_order = newest != NO_SAMPLE
                && newest >= range.start_ms
                // Looking up the first sample costs a visit to the chunk: not needed when the last is early enough.
                && (newest <= range.end_ms
                    || series.first_in_order_t_ms().is_some_and(|first| first <= range.end_ms));
            let late_here = match series.out_of_order() {
                Some(all) => match visible_late(all, visible, range) {
                    Some(here) => here,
                    None => {
                        known = false;
                        return;
                    }
                },
                None => None,
            };
            if in_order || late_here.is_some() {
                if let Some(here) = late_here {
                    late.insert(kept.len(), here);
                }
                kept.push(slot);
                newest_ms.push(newest);
            }
        });
        if !known {
            self.slots = slots;
            return false;
        }
        (self.slots, self.newest_ms, self.late) = (kept, newest_ms, late);
        true
    }

    fn sort(&mut self) {
        let order = label_order(&self.inner, &self.slots);
        self.slots = order.iter().map(|&i| self.slots[i]).collect();
        self.newest_ms = order.iter().map(|&i| self.newest_ms[i]).collect();
        let late = order.iter().enumerate().filter_map(|(to, from)| Some((to, self.late.remove(from)?)));
        self.late = late.collect();
    }

    /// The range of series `i` that in-order samples may be taken from.
    fn in_order_range(&self, i: usize, range: TimeRange) -> TimeRange {
        TimeRange::new(range.start_ms.max(self.range.start_ms), range.end_ms.min(self.newest_ms[i]))
    }

    fn read_in_order(&self, i: usize, range: TimeRange, out: &mut SampleColumns) -> Result<(), SourceError> {
        if range.is_empty() {
            return Ok(());
        }
        with_scratch(|scratch| {
            if !scratch.take(&self.inner, self.slots[i], range) {
                return Ok(());
            }
            for &chunk in &scratch.stored {
                self.decode_stored(chunk, range, out)?;
            }
            if let Some(encoding) = scratch.open_encoding {
                decode_into(&scratch.open, encoding, range, usize::MAX, out).map_err(corrupt)?;
            }
            Ok(())
        })
    }

    fn decode_stored(
        &self,
        chunk: ChunkRef,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        let decoded = self
            .inner
            .store
            .with_chunk(chunk, |c| decode_into(c.data, c.encoding, range, usize::MAX, out))
            .map_err(|damage: ChunkDamage| SourceError::Corruption(damage.to_string()))?;
        decoded.map_err(corrupt)
    }

    fn read_late(
        &self,
        late: &Late,
        range: TimeRange,
        in_order: SampleColumns,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        let mut parts = vec![in_order];
        for chunk in &late.chunks {
            if chunk.min_ms <= range.end_ms && range.start_ms <= chunk.max_ms {
                let mut part = SampleColumns::default();
                self.decode_stored(chunk.chunk, range, &mut part)?;
                parts.push(part);
            }
        }
        let mut part = SampleColumns::default();
        for sample in late.samples.iter().filter(|sample| range.contains(sample.t_ms)) {
            push_late(&mut part, sample);
        }
        parts.push(part);
        merge_into(&parts, out);
        Ok(())
    }
}

impl SeriesSet for HeadSeriesSet {
    fn len(&self) -> usize {
        self.slots.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let state = self.inner.index.read();
        let (number, at) = locate(self.slots[i]);
        let Some(page) = self.inner.table.page(number) else { return Labels::empty() };
        let series = page.series.read();
        let Some(cold) = &series[at].cold else { return Labels::empty() };
        let pairs = state.index.pairs(&cold.labels);
        match &self.projection {
            Projection::All => Labels::from_sorted(pairs),
            Projection::Only(names) => {
                Labels::from_sorted(pairs.filter(|(n, _)| names.iter().any(|k| k == n)))
            }
            Projection::Without(names) => {
                Labels::from_sorted(pairs.filter(|(n, _)| !names.iter().any(|k| k == n)))
            }
        }
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        let state = self.inner.index.read();
        let (number, at) = locate(self.slots[i]);
        let Some(page) = self.inner.table.page(number) else { return };
        let series = page.series.read();
        let Some(cold) = &series[at].cold else { return };
        for (name, value) in state.index.pairs(&cold.labels) {
            let is_projected = match &self.projection {
                Projection::All => true,
                Projection::Only(names) => names.iter().any(|k| k == name),
                Projection::Without(names) => !names.iter().any(|k| k == name),
            };
            if is_projected {
                visit(name, value);
            }
        }
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        _ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let deleted = self.tombstones.get(u64::from(self.slots[i]));
        let in_order = self.in_order_range(i, range);
        match self.late.get(&i) {
            None if deleted.is_empty() => self.read_in_order(i, in_order, out),
            None => {
                let mut all = SampleColumns::default();
                self.read_in_order(i, in_order, &mut all)?;
                append_undeleted(&all, deleted, out);
                Ok(())
            }
            Some(late) => {
                let mut first = SampleColumns::default();
                self.read_in_order(i, in_order, &mut first)?;
                let mut all = SampleColumns::default();
                self.read_late(late, range, first, &mut all)?;
                append_undeleted(&all, deleted, out);
                Ok(())
            }
        }
    }

    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let slot = self.slots[i];
        let simple = !self.late.contains_key(&i) && self.tombstones.get(u64::from(slot)).is_empty();
        if simple {
            return self.read_last_in_order(slot, self.in_order_range(i, range), out);
        }
        let mut all = SampleColumns::default();
        self.read(i, range, &mut all, ctx)?;
        if let Some(last) = all.len().checked_sub(1) {
            push_from(&all, last, out);
        }
        Ok(())
    }

    fn chunks(
        &self,
        i: usize,
        range: TimeRange,
        _ctx: &QueryContext,
    ) -> Result<Option<Vec<RawChunk>>, SourceError> {
        self.encoded(i, range).map(Some)
    }
}

impl HeadSeriesSet {
    fn read_last_in_order(
        &self,
        slot: Slot,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        if range.is_empty() {
            return Ok(());
        }
        let (number, at) = locate(slot);
        let Some(page) = self.inner.table.page(number) else { return Ok(()) };
        let mut stored = Vec::new();
        {
            let all = page.series.read();
            let series = &all[at];
            let last_t_ms = page.last_t_ms(at);
            // The newest sample is kept beside the chunk: no need to decode it.
            if let Some(xor) = &series.xor
                && xor.samples() > 0
                && range.contains(last_t_ms)
            {
                out.push_float(last_t_ms, xor.last_value());
                return Ok(());
            }
            if let Some(open) = series.extra().and_then(|extra| extra.open.as_ref())
                && let OpenKind::Xor2(xor2) = &open.kind
                && xor2.samples() > 0
                && range.contains(last_t_ms)
            {
                out.push_float(last_t_ms, xor2.last_value());
                out.set_last_start_timestamp(xor2.last_start_ms());
                return Ok(());
            }
            if let Some((encoding, bytes, min_ms)) = series.open_chunk()
                && min_ms <= range.end_ms
                && decode_last(bytes, encoding, range, usize::MAX, out).map_err(corrupt)?
            {
                return Ok(());
            }
            if let Some(cold) = &series.cold {
                let older = cold.chunks.iter().rev().filter(|chunk| chunk.min_ms <= range.end_ms);
                stored.extend(older.map(|chunk| chunk.chunk));
            }
        }
        for chunk in stored {
            let found = self
                .inner
                .store
                .with_chunk(chunk, |c| {
                    if c.max_ms < range.start_ms {
                        return Ok(None);
                    }
                    decode_last(c.data, c.encoding, range, usize::MAX, out).map(Some)
                })
                .map_err(|damage| SourceError::Corruption(damage.to_string()))?
                .map_err(corrupt)?;
            if found != Some(false) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn corrupt(error: chunkenc::ChunkError) -> SourceError {
    SourceError::Corruption(format!("head chunk: {error}"))
}

/// The newest timestamp of a series that commit `visible` could see; `None` when the series does not
/// know it any more.
fn newest_visible(series: &Series, last_t_ms: i64, visible: u32) -> Option<i64> {
    if !is_later(series.last_commit, visible) {
        return Some(last_t_ms);
    }
    if is_later(series.previous_commit, visible) {
        return None;
    }
    series.commit_span_ms.before(last_t_ms)
}

/// What commit `visible` could see of out-of-order samples, if anything in `range`; the outer `None` when
/// it is not known any more.
fn visible_late(all: &super::ooo::OutOfOrder, visible: u32, range: TimeRange) -> Option<Option<Late>> {
    let mut late = Late::default();
    for chunk in &all.chunks {
        if is_later(chunk.commit, visible) {
            return None;
        }
        if chunk.min_ms <= range.end_ms && range.start_ms <= chunk.max_ms {
            late.chunks.push(*chunk);
        }
    }
    let seen = all.buffer.iter().filter(|s| range.contains(s.t_ms) && !is_later(s.commit, visible));
    late.samples.extend(seen.cloned());
    let any = !late.chunks.is_empty() || !late.samples.is_empty();
    Some(any.then_some(late))
}

/// The value of the last sample of an open float chunk with start timestamps.
pub(super) fn last_float(open: &OpenChunk) -> Option<f64> {
    match &open.kind {
        OpenKind::Xor2(chunk) if chunk.samples() > 0 => Some(chunk.last_value()),
        _ => None,
    }
}

fn push_late(out: &mut SampleColumns, sample: &OutOfOrderSample) {
    match &sample.value {
        Value::Float(value) => out.push_float(sample.t_ms, *value),
        Value::Histogram(AnyHistogram::Integer(h)) => {
            out.push_histogram(sample.t_ms, Arc::new(h.to_float()));
        }
        Value::Histogram(AnyHistogram::Float(h)) => out.push_histogram(sample.t_ms, h.clone()),
    }
    out.set_last_start_timestamp(sample.start_ms);
}

/// Appends sample `i` of `from`.
fn push_from(from: &SampleColumns, i: usize, out: &mut SampleColumns) {
    match from.histogram(i) {
        Some(histogram) => out.push_histogram(from.timestamps_ms[i], histogram.clone()),
        None => out.push_float(from.timestamps_ms[i], from.values[i]),
    }
    out.set_last_start_timestamp(from.start_timestamp_ms(i));
}

fn append_undeleted(from: &SampleColumns, deleted: &[TimeRange], out: &mut SampleColumns) {
    for i in 0..from.len() {
        if !deleted.iter().any(|interval| interval.contains(from.timestamps_ms[i])) {
            push_from(from, i, out);
        }
    }
}

/// Joins samples by time; of several at one time the first part's is taken.
fn merge_into(parts: &[SampleColumns], out: &mut SampleColumns) {
    let places = parts.iter().enumerate().flat_map(|(p, part)| (0..part.len()).map(move |i| (p, i)));
    let mut order: Vec<_> = places.map(|(p, i)| (parts[p].timestamps_ms[i], p, i)).collect();
    order.sort_unstable();
    order.dedup_by_key(|&mut (t_ms, _, _)| t_ms);
    for (_, p, i) in order {
        push_from(&parts[p], i, out);
    }
}

/// Copies of what a series' lock protects, so that decoding does not hold it.
#[derive(Default)]
struct Scratch {
    stored: Vec<ChunkRef>,
    open: Vec<u8>,
    open_encoding: Option<Encoding>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => work(&mut scratch),
        Err(_) => work(&mut Scratch::default()),
    })
}

impl Scratch {
    /// Copies what overlaps `range`; false when the series is gone.
    fn take(&mut self, inner: &Inner, slot: Slot, range: TimeRange) -> bool {
        self.stored.clear();
        self.open.clear();
        self.open_encoding = None;
        let (number, at) = locate(slot);
        let Some(page) = inner.table.page(number) else { return false };
        let all = page.series.read();
        let series = &all[at];
        let open = series.open_chunk();
        let Some(cold) = &series.cold else { return false };
        let chunks = &cold.chunks;
        for (i, chunk) in chunks.iter().enumerate() {
            if chunk.min_ms > range.end_ms {
                break;
            }
            // A chunk ends before the next one begins.
            let next = chunks.get(i + 1).map(|next| next.min_ms).or(open.map(|(_, _, min_ms)| min_ms));
            if next.is_none_or(|next| next > range.start_ms) {
                self.stored.push(chunk.chunk);
            }
        }
        if let Some((encoding, bytes, min_ms)) = open
            && min_ms <= range.end_ms
            && page.last_t_ms(at) >= range.start_ms
        {
            self.open.extend_from_slice(bytes);
            self.open_encoding = Some(encoding);
        }
        true
    }
}

/// Whether a slot holds a series.
pub(super) fn is_live(inner: &Inner, slot: Slot) -> bool {
    let (number, at) = locate(slot);
    inner.table.page(number).is_some_and(|page| page.last_t_ms(at) != NO_SERIES)
}

/// The kind of sample a chunk holds.
pub(super) fn kind_of(encoding: Encoding) -> LastKind {
    match encoding {
        Encoding::Xor | Encoding::Xor2 => LastKind::Float,
        Encoding::Histogram | Encoding::HistogramSt => LastKind::Histogram,
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => LastKind::FloatHistogram,
    }
}
