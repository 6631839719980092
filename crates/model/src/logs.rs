//! Log entries, and the traits in which log storage and log queries meet.
//!
//! Times of logs are nanoseconds since the epoch and ranges are half open: a start is in, an end is not.
//! A query reads **page groups**: a few megabytes of lines, stored together, of one stream or of many. What a group
//! holds is known before it is read, so that a query skips what cannot match, counts what it need not look at, and
//! reads the rest in parallel, as columns.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::context::QueryContext;
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::source::{SourceError, TenantId};

/// One log entry to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Nanoseconds since the epoch.
    pub timestamp_ns: i64,
    /// The line, as it was sent. Not always UTF-8.
    pub line: Bytes,
    /// Structured metadata: names and values, sorted by name, each name once.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// Entries of one stream to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The labels of the stream.
    pub stream: Labels,
    /// In the order in which they were sent.
    pub entries: Vec<LogEntry>,
}

/// A time range, start included, end not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogRange {
    /// First nanosecond inside.
    pub start_ns: i64,
    /// First nanosecond after.
    pub end_ns: i64,
}

impl LogRange {
    /// Whether an instant lies inside.
    pub fn contains(&self, timestamp_ns: i64) -> bool {
        self.start_ns <= timestamp_ns && timestamp_ns < self.end_ns
    }

    /// Whether anything from `first_ns` to `last_ns`, both included, lies inside.
    pub fn overlaps(&self, first_ns: i64, last_ns: i64) -> bool {
        self.start_ns <= last_ns && first_ns < self.end_ns
    }
}

/// Where logs are read from.
pub trait LogSource: Send + Sync {
    /// The page groups that may hold what is asked for, pinned: however long the caller takes, they show one state,
    /// in which each entry is exactly once. Groups and streams that cannot match are left out as far as can be told
    /// without reading lines.
    fn select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError>;

    /// The labels of the streams with entries inside the range that match any of the matcher sets (all streams when
    /// there is no set), sorted, each once.
    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError>;

    /// What the matching streams hold inside the range, as precisely as can be told without reading lines.
    fn volumes(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SourceError>;

    /// Tells `add` the bytes matching streams hold in each step, as [`Self::volumes`] does: a stream, the number of a step
    /// and bytes, in any order and any number of times.
    fn volumes_by_step(
        &self,
        steps: LogSteps,
        matchers: &[Matcher],
        ctx: &QueryContext,
        add: &mut dyn FnMut(&Labels, usize, u64) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        for step in 0..steps.count() {
            for volume in self.volumes(steps.at(step), matchers, ctx)? {
                add(&volume.stream, step, volume.bytes)?;
            }
        }
        Ok(())
    }
}

/// A range in steps of one length, the last of which may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSteps {
    /// All of it.
    pub range: LogRange,
    /// The length of a step in nanoseconds, at least 1.
    pub step_ns: i64,
}

impl LogSteps {
    /// How many steps there are.
    pub fn count(&self) -> usize {
        let length = i128::from(self.range.end_ns) - i128::from(self.range.start_ns);
        let step = i128::from(self.step_ns.max(1));
        usize::try_from((length + step - 1).div_euclid(step).max(0)).unwrap_or(usize::MAX)
    }

    /// The step an instant inside the range lies in.
    pub fn of(&self, timestamp_ns: i64) -> usize {
        let from_start = i128::from(timestamp_ns) - i128::from(self.range.start_ns);
        usize::try_from(from_start.div_euclid(i128::from(self.step_ns.max(1))).max(0)).unwrap_or(usize::MAX)
    }

    /// The range of a step.
    pub fn at(&self, step: usize) -> LogRange {
        let offset = i64::try_from(step).unwrap_or(i64::MAX).saturating_mul(self.step_ns.max(1));
        let start_ns = self.range.start_ns.saturating_add(offset).min(self.range.end_ns);
        let end_ns = start_ns.saturating_add(self.step_ns.max(1)).min(self.range.end_ns);
        LogRange { start_ns, end_ns }
    }
}

/// What a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamVolume {
    /// The stream.
    pub stream: Labels,
    /// Number of stored units (chunks, in Loki's words) it was found in.
    pub chunks: u64,
    /// Number of entries.
    pub entries: u64,
    /// Bytes of lines and structured metadata, before compression.
    pub bytes: u64,
}

/// What to select.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// Entries outside are not needed.
    pub range: LogRange,
    /// All must match the labels of the stream.
    pub matchers: Vec<Matcher>,
    /// What every entry of interest is known to hold. Sources use it to skip; they need not filter by it.
    pub hints: Vec<LogHint>,
}

/// Something that every entry of interest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogHint {
    /// The line contains at least one of these byte strings.
    LineContains(Vec<Bytes>),
    /// The structured metadata `name` is `value`; a stream label of that name with that value would do, too.
    Metadata {
        /// The name, as stored.
        name: String,
        /// The value.
        value: String,
    },
}

/// Which columns of a page group to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogColumns {
    /// The times of the entries.
    pub timestamps: bool,
    /// The lines.
    pub lines: bool,
    /// The structured metadata.
    pub metadata: bool,
}

impl LogColumns {
    /// Everything there is.
    pub const ALL: Self = Self { timestamps: true, lines: true, metadata: true };
    /// Times and nothing else.
    pub const TIMESTAMPS: Self = Self { timestamps: true, lines: false, metadata: false };
}

/// Entries that are stored and read together.
#[derive(Clone)]
pub struct PageGroup {
    /// The streams in it that match, with where their rows are. Rows of other streams may lie between.
    pub runs: Vec<PageRun>,
    /// Reads it.
    pub reader: Arc<dyn PageReader>,
}

/// The rows of one stream in a page group, in ascending order of time.
#[derive(Debug, Clone)]
pub struct PageRun {
    /// The labels of the stream, shared between the groups of one selection.
    pub stream: Arc<Labels>,
    /// Rows of the group.
    pub rows: Range<usize>,
    /// Time of the first row.
    pub first_ns: i64,
    /// Time of the last row.
    pub last_ns: i64,
    /// Bytes of its lines.
    pub line_bytes: u64,
}

/// Reads one page group. Safe to use from many threads; blocks while it reads.
pub trait PageReader: Send + Sync {
    /// The columns of all rows. Memory is reserved from the budget of the query and given back with the page.
    fn read(&self, columns: LogColumns, ctx: &QueryContext) -> Result<Page, SourceError>;
}

/// The rows of a page group as columns. Columns that were not asked for are empty.
#[derive(Debug, Default)]
pub struct Page {
    /// One for each row.
    pub timestamps_ns: Vec<i64>,
    /// One for each row.
    pub lines: ByteColumn,
    /// Structured metadata of each row.
    pub metadata: Metadata,
    /// What holds the memory of the page, for as long as it lives.
    pub reservation: Option<base::Reservation>,
}

/// Structured metadata of rows: what each row has, by the numbers of the names there are.
///
/// What it takes grows with what is there, and not with rows times names: a page in which each row has names of its own is
/// no larger than another.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    names: Vec<Arc<str>>,
    /// Where the entries of each row begin, and where the last end; empty when no row has any.
    starts: Vec<u32>,
    entries: Vec<MetadataEntry>,
    bytes: Bytes,
}

#[derive(Debug, Clone, Copy)]
struct MetadataEntry {
    name: u32,
    start: u32,
    end: u32,
}

impl Metadata {
    /// Whether no row has any.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of names and values, as often as they are there.
    pub fn bytes(&self) -> usize {
        let of = |entry: &MetadataEntry| self.names[entry.name as usize].len() + entry.value_bytes();
        self.entries.iter().map(of).sum()
    }

    /// The names rows may have.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether a row may have this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| **known == *name)
    }

    /// Names and values of a row, sorted by name.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (&Arc<str>, &[u8])> {
        let entries = match (self.starts.get(row), self.starts.get(row + 1)) {
            (Some(&start), Some(&end)) => &self.entries[start as usize..end as usize],
            _ => &[],
        };
        let value = |entry: &MetadataEntry| &self.bytes[entry.start as usize..entry.end as usize];
        entries.iter().map(move |entry| (&self.names[entry.name as usize], value(entry)))
    }
}

impl MetadataEntry {
    fn value_bytes(&self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Gathers structured metadata, row by row. Values are parts of one byte string, of fewer than four gibibytes.
#[derive(Debug, Default)]
pub struct MetadataBuilder {
    metadata: Metadata,
    places: HashMap<Arc<str>, u32>,
}

impl MetadataBuilder {
    /// Room for that many rows and entries.
    pub fn with_capacity(rows: usize, entries: usize) -> Self {
        let mut builder = Self::default();
        builder.metadata.starts.reserve(rows + 1);
        builder.metadata.starts.push(0);
        builder.metadata.entries.reserve(entries);
        builder
    }

    /// The number of a name.
    pub fn name(&mut self, name: &str) -> u32 {
        // Rows tend to repeat the few names there are.
        if let Some(at) = self.metadata.names.iter().take(4).position(|known| **known == *name) {
            return at as u32;
        }
        if let Some(&at) = self.places.get(name) {
            return at;
        }
        let (at, name) = (self.metadata.names.len() as u32, Arc::<str>::from(name));
        self.metadata.names.push(Arc::clone(&name));
        self.places.insert(name, at);
        at
    }

    /// Adds an entry to the row that is being gathered; its value is this part of the bytes that [`Self::finish`] is given.
    pub fn push(&mut self, name: u32, value: Range<u32>) {
        self.metadata.entries.push(MetadataEntry { name, start: value.start, end: value.end });
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        let Metadata { names, starts, entries, .. } = &mut self.metadata;
        if starts.is_empty() {
            starts.push(0);
        }
        let begin = starts.last().copied().unwrap_or(0) as usize;
        let row = &mut entries[begin..];
        let order = |entry: &MetadataEntry| &*names[entry.name as usize];
        if row.windows(2).any(|pair| order(&pair[0]) > order(&pair[1])) {
            row.sort_by(|a, b| order(a).cmp(order(b)));
        }
        starts.push(entries.len() as u32);
    }

    /// What was gathered. `None` when a value is no part of `bytes`.
    pub fn finish(mut self, bytes: Bytes) -> Option<Metadata> {
        let fits = |entry: &MetadataEntry| entry.start <= entry.end && entry.end as usize <= bytes.len();
        if !self.metadata.entries.iter().all(fits) {
            return None;
        }
        self.metadata.bytes = bytes;
        Some(self.metadata)
    }
}

/// Byte strings, one after the other.
#[derive(Debug, Clone)]
pub struct ByteColumn {
    /// All values without separators.
    pub bytes: Bytes,
    /// Where each begins, and where the last ends: one more than there are values.
    pub offsets: Vec<u32>,
}

impl Default for ByteColumn {
    fn default() -> Self {
        Self { bytes: Bytes::new(), offsets: vec![0] }
    }
}

impl ByteColumn {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value.
    pub fn get(&self, row: usize) -> &[u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// Where logs are written to.
pub trait LogAppender: Send + Sync {
    /// Stores entries. When this answers, they are durable and visible; an error says that none of them is stored. Blocks.
    fn append(&self, tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError>;

    /// Why entries could not be taken now without waiting; `None` when they could. Does not block.
    fn lack_of_room(&self) -> Option<String> {
        None
    }
}

/// Is told of entries once they are stored, wherever they came from. Does not block.
pub trait LogObserver: Send + Sync {
    /// Copies what this observer wants to be told of, before it is stored.
    fn choose(&self, tenant: &TenantId, batches: &[LogBatch]) -> Vec<LogBatch>;

    /// What was chosen is stored.
    fn stored(&self, tenant: &TenantId, chosen: Vec<LogBatch>);
}

/// Why a push was refused, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRefusal {
    /// What the sender can do.
    pub kind: RefusalKind,
    /// What is wrong, for the sender.
    pub text: String,
    /// When to come again, where that helps.
    pub retry_after: Option<std::time::Duration>,
}

/// What a sender can do about a refused push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Nothing: it, or a part of it, is wrong. What is not wrong is stored.
    Invalid,
    /// Nothing: there was nothing to store.
    Empty,
    /// Send less at a time. Nothing is stored.
    TooLarge,
    /// Send more slowly, or ask for higher limits. What is within the limits is stored.
    Limited,
    /// Come again. Nothing is stored.
    Busy,
    /// Come again when the storage is mended. Nothing is stored.
    Failed,
    /// Nothing until an operator allows it again: pushes are answered with this status. Nothing is stored.
    Blocked(u16),
}

impl PushRefusal {
    /// A refusal that coming again at a certain time does not help.
    pub fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), retry_after: None }
    }

    /// A refusal of what may be taken in a second.
    pub fn busy(text: impl Into<String>) -> Self {
        let retry_after = Some(std::time::Duration::from_secs(1));
        Self { kind: RefusalKind::Busy, text: text.into(), retry_after }
    }
}

/// Why entries were not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogAppendError {
    /// The storage has no room now; the sender should come again.
    #[error("{0}")]
    Busy(String),
    /// They are more than can be stored at once; the sender should send less at a time.
    #[error("{0}")]
    TooLarge(String),
    /// The storage failed or is closed.
    #[error("{0}")]
    Storage(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_that_of_its_row_in_the_order_of_names() {
        let mut builder = MetadataBuilder::with_capacity(3, 3);
        let (b, a) = (builder.name("b"), builder.name("a"));
        builder.push(b, 0..1);
        builder.push(a, 1..3);
        builder.end_row();
        builder.end_row();
        builder.push(a, 0..0);
        builder.end_row();
        assert_eq!((builder.name("b"), builder.name("a")), (b, a));
        let metadata = builder.finish(Bytes::from_static(b"xyz")).unwrap();
        let row = |row| metadata.row(row).map(|(name, value)| (&**name, value)).collect::<Vec<_>>();
        assert_eq!(row(0), [("a", &b"yz"[..]), ("b", b"x")]);
        assert_eq!(row(1), []);
        assert_eq!(row(2), [("a", &b""[..])]);
        assert_eq!(row(3), []);
        assert_eq!(metadata.bytes(), 6);
        let mut beyond = MetadataBuilder::default();
        let name = beyond.name("n");
        beyond.push(name, 2..4);
        beyond.end_row();
        assert!(beyond.finish(Bytes::from_static(b"xyz")).is_none());
    }
}
