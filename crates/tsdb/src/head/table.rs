//! The series of the head, in pages of neighbouring references.
//!
//! Scrapes append to the same series in the same order every time, and those series were created one
//! after the other: a page lock is taken once per run of neighbours, and memory is walked forwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chunkenc::{Encoding, FloatHistogramAppender, HistogramAppender, Xor2Appender, XorAppender};
use parking_lot::RwLock;

use super::chunk_store::ChunkRef;
use super::ooo::OutOfOrder;

/// Series of a page.
pub const PAGE_SERIES: usize = 128;
const PAGE_SHIFT: u32 = PAGE_SERIES.trailing_zeros();
const BLOCK_PAGES: usize = 1024;

/// `last_t_ms` of a slot that holds no series.
pub const NO_SERIES: i64 = i64::MAX;
/// `last_t_ms` of a series without in-order samples.
pub const NO_SAMPLE: i64 = i64::MIN;

/// A series' number within the head: its reference in the log, less the head's base. Never used twice.
pub type Slot = u32;

/// The page of a slot and the place in it.
#[inline]
pub fn locate(slot: Slot) -> (u32, usize) {
    (slot >> PAGE_SHIFT, slot as usize & (PAGE_SERIES - 1))
}

/// A page of series.
pub struct Page {
    /// Newest in-order timestamp of each series. Written under the lock of `series`; read without it
    /// where a slightly older answer does no harm.
    last_t_ms: [AtomicI64; PAGE_SERIES],
    /// The series themselves.
    pub series: RwLock<[Series; PAGE_SERIES]>,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

impl Page {
    fn new() -> Self {
        Self {
            last_t_ms: [const { AtomicI64::new(NO_SERIES) }; PAGE_SERIES],
            series: RwLock::new(std::array::from_fn(|_| Series::default())),
        }
    }

    /// Newest in-order timestamp of a series, or [`NO_SAMPLE`], or [`NO_SERIES`].
    #[inline]
    pub fn last_t_ms(&self, at: usize) -> i64 {
        self.last_t_ms[at].load(Ordering::Relaxed)
    }

    /// Sets the newest in-order timestamp; the caller holds the page's lock.
    #[inline]
    pub fn set_last_t_ms(&self, at: usize, t_ms: i64) {
        self.last_t_ms[at].store(t_ms, Ordering::Relaxed);
    }
}

/// What every sample of a series touches.
#[derive(Debug, Default)]
pub struct Series {
    /// The open chunk, when it is a plain float chunk: nearly always.
    pub xor: Option<XorAppender>,
    /// Everything else; `None` when the slot holds no series.
    pub cold: Option<Box<Cold>>,
    /// From this timestamp on a new chunk is started.
    pub next_at_ms: i64,
    /// The commit that appended last, and the one before it (low 32 bits).
    pub last_commit: u32,
    /// See `last_commit`.
    pub previous_commit: u32,
    /// How far `last_commit` moved the newest timestamp, in milliseconds.
    pub commit_span_ms: CommitSpan,
    /// Kind of the newest sample.
    pub last_kind: LastKind,
    /// Whether the newest sample is a staleness marker.
    pub stale: bool,
    /// Whether the open histogram chunk's end was predicted.
    pub end_predicted: bool,
}

/// How far one commit moved the newest timestamp of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitSpan(u32);

impl Default for CommitSpan {
    fn default() -> Self {
        Self::FROM_EMPTY
    }
}

impl CommitSpan {
    /// The series had no sample before.
    pub const FROM_EMPTY: Self = Self(u32::MAX - 1);
    const TOO_LONG: Self = Self(u32::MAX);

    /// The distance of two timestamps, the first of which may be [`NO_SAMPLE`].
    pub fn between(before_ms: i64, t_ms: i64) -> Self {
        if before_ms == NO_SAMPLE {
            return Self::FROM_EMPTY;
        }
        match u32::try_from(t_ms.wrapping_sub(before_ms)) {
            Ok(span) if span < u32::MAX - 1 => Self(span),
            _ => Self::TOO_LONG,
        }
    }

    /// The newest timestamp before the commit, given the one after it: [`NO_SAMPLE`] when the series was
    /// empty, `None` when the distance was too long to be kept.
    pub fn before(self, t_ms: i64) -> Option<i64> {
        match self {
            Self::TOO_LONG => None,
            Self::FROM_EMPTY => Some(NO_SAMPLE),
            Self(span) => Some(t_ms - i64::from(span)),
        }
    }
}

/// The type of a series' newest sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LastKind {
    /// There is none, or it is not known after a restart.
    #[default]
    Unknown,
    /// A float.
    Float,
    /// A histogram of integer counts.
    Histogram,
    /// A histogram of float counts.
    FloatHistogram,
}

impl LastKind {
    /// Whether it is a histogram of either kind.
    pub fn is_histogram(self) -> bool {
        matches!(self, Self::Histogram | Self::FloatHistogram)
    }
}

/// What only creation, chunk cuts and reads touch.
#[derive(Debug, Default)]
pub struct Cold {
    /// Label set as the index encodes it; empty while only chunks of the series have been found.
    pub labels: Box<[u32]>,
    /// Complete in-order chunks in `chunks_head`, oldest first.
    pub chunks: Vec<StoredChunk>,
    /// What few series have.
    pub extra: Option<Box<Extra>>,
}

/// A complete chunk. Its last timestamp is before the first of the chunk after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredChunk {
    /// First timestamp.
    pub min_ms: i64,
    /// Where it is.
    pub chunk: ChunkRef,
}

/// What few series have.
#[derive(Debug, Default)]
pub struct Extra {
    /// The open chunk when it is not a plain float chunk.
    pub open: Option<OpenChunk>,
    /// Out-of-order samples.
    pub out_of_order: Option<Box<OutOfOrder>>,
    /// Buckets of the newest sample, if that is a histogram this process has seen.
    pub histogram_buckets: u32,
}

/// An open chunk that is not a plain float chunk.
#[derive(Debug)]
pub struct OpenChunk {
    /// First timestamp.
    pub min_ms: i64,
    /// The chunk.
    pub kind: OpenKind,
}

/// The encodings of [`OpenChunk`].
#[derive(Debug)]
pub enum OpenKind {
    /// Floats with start timestamps.
    Xor2(Xor2Appender),
    /// Histograms of integer counts.
    Histogram(HistogramAppender),
    /// Histograms of float counts.
    FloatHistogram(FloatHistogramAppender),
}

impl OpenKind {
    /// Encoding and bytes of the chunk so far.
    pub fn encoded(&self) -> (Encoding, &[u8]) {
        match self {
            Self::Xor2(a) => (Encoding::Xor2, a.bytes()),
            Self::Histogram(a) => (a.encoding(), a.bytes()),
            Self::FloatHistogram(a) => (a.encoding(), a.bytes()),
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> u16 {
        match self {
            Self::Xor2(a) => a.samples(),
            Self::Histogram(a) => a.samples(),
            Self::FloatHistogram(a) => a.samples(),
        }
    }
}

impl Series {
    /// The open chunk: encoding, bytes and first timestamp.
    pub fn open_chunk(&self) -> Option<(Encoding, &[u8], i64)> {
        if let Some(xor) = &self.xor {
            return (xor.samples() > 0).then(|| (Encoding::Xor, xor.bytes(), first_t_ms(xor.bytes())));
        }
        let open = self.extra()?.open.as_ref()?;
        let (encoding, bytes) = open.kind.encoded();
        (open.kind.samples() > 0).then_some((encoding, bytes, open.min_ms))
    }

    /// Starts loading what appending a float will touch.
    #[inline]
    pub fn prefetch(&self) {
        if let Some(xor) = &self.xor {
            xor.prefetch();
        }
    }

    /// What few series have, if this one does.
    pub fn extra(&self) -> Option<&Extra> {
        self.cold.as_ref()?.extra.as_deref()
    }

    /// What few series have; made if missing.
    pub fn extra_mut(&mut self) -> &mut Extra {
        self.cold.get_or_insert_default().extra.get_or_insert_default()
    }

    /// Out-of-order samples, if there are any.
    pub fn out_of_order(&self) -> Option<&OutOfOrder> {
        self.extra()?.out_of_order.as_deref()
    }

    /// Buckets of the newest sample; 0 when that is no histogram.
    pub fn histogram_buckets(&self) -> u32 {
        self.extra().map_or(0, |extra| extra.histogram_buckets)
    }

    /// The first in-order timestamp, if there is a sample.
    pub fn first_in_order_t_ms(&self) -> Option<i64> {
        let stored = self.cold.as_ref().and_then(|cold| cold.chunks.first());
        stored.map(|chunk| chunk.min_ms).or_else(|| self.open_chunk().map(|(_, _, min_ms)| min_ms))
    }
}

/// The first timestamp of a plain float chunk: the varint behind its sample count.
pub fn first_t_ms(chunk: &[u8]) -> i64 {
    let mut decoder = crate::wal::codec::Decoder::new(chunk.get(2..).unwrap_or_default());
    decoder.varint().unwrap_or(NO_SAMPLE)
}

type Block = [Option<Arc<Page>>; BLOCK_PAGES];

/// All pages, by number.
#[derive(Debug, Default)]
pub struct SeriesTable {
    blocks: RwLock<Vec<Option<Box<Block>>>>,
}

impl SeriesTable {
    /// The page with this number, if any of its slots was ever used and it was not dropped.
    pub fn page(&self, number: u32) -> Option<Arc<Page>> {
        let (block, at) = (number as usize / BLOCK_PAGES, number as usize % BLOCK_PAGES);
        self.blocks.read().get(block)?.as_ref()?[at].clone()
    }

    /// The page with this number, made if missing.
    pub fn page_or_new(&self, number: u32) -> Arc<Page> {
        if let Some(page) = self.page(number) {
            return page;
        }
        let (block, at) = (number as usize / BLOCK_PAGES, number as usize % BLOCK_PAGES);
        let mut blocks = self.blocks.write();
        if blocks.len() <= block {
            blocks.resize_with(block + 1, || None);
        }
        let pages = blocks[block].get_or_insert_with(|| Box::new([const { None }; BLOCK_PAGES]));
        pages[at].get_or_insert_with(|| Arc::new(Page::new())).clone()
    }

    /// Drops a page none of whose slots holds a series any more.
    pub fn drop_page(&self, number: u32) {
        let (block, at) = (number as usize / BLOCK_PAGES, number as usize % BLOCK_PAGES);
        let mut blocks = self.blocks.write();
        let Some(slot) = blocks.get_mut(block) else { return };
        if let Some(pages) = slot {
            pages[at] = None;
            if pages.iter().all(Option::is_none) {
                *slot = None;
            }
        }
    }

    /// All pages in order, with their numbers.
    pub fn pages(&self) -> Vec<(u32, Arc<Page>)> {
        let blocks = self.blocks.read();
        let mut pages = Vec::new();
        for (b, block) in blocks.iter().enumerate() {
            let Some(block) = block else { continue };
            for (p, page) in block.iter().enumerate() {
                if let Some(page) = page {
                    pages.push(((b * BLOCK_PAGES + p) as u32, page.clone()));
                }
            }
        }
        pages
    }

    /// All slots that hold a series, in order.
    pub fn live_slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for (number, page) in self.pages() {
            let first = number << PAGE_SHIFT;
            slots.extend(
                (0..PAGE_SERIES).filter(|&at| page.last_t_ms(at) != NO_SERIES).map(|at| first + at as u32),
            );
        }
        slots
    }

    /// Calls `visit` with the series of each slot in `slots`, which ascend; slots without series are left
    /// out. A page is locked once for its run of slots.
    pub fn for_each(&self, slots: &[Slot], mut visit: impl FnMut(usize, Slot, &Series, i64)) {
        let mut start = 0;
        while let Some(&first) = slots.get(start) {
            let (number, _) = locate(first);
            let run = slots[start..].iter().take_while(|&&slot| locate(slot).0 == number).count();
            if let Some(page) = self.page(number) {
                let series = page.series.read();
                for (i, &slot) in slots[start..start + run].iter().enumerate() {
                    let at = locate(slot).1;
                    let last_t_ms = page.last_t_ms(at);
                    if last_t_ms != NO_SERIES {
                        visit(start + i, slot, &series[at], last_t_ms);
                    }
                }
            }
            start += run;
        }
    }
}
