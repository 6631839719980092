//! Log entries, and the traits in which log storage and log queries meet.
//!
//! Times of logs are nanoseconds since the epoch and ranges are half open: a start is in, an end is not.
//! A query reads **page groups**: a few megabytes of lines, stored together, of one stream or of many. What a group
//! holds is known before it is read, so that a query skips what cannot match, counts what it need not look at, and
//! reads the rest in parallel, as columns.

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

/// Which columns of a page group to read. Timestamps are always read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogColumns {
    /// The lines.
    pub lines: bool,
    /// The structured metadata.
    pub metadata: bool,
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
    /// Structured metadata by name, in the order of names; each has a value or none for each row.
    pub metadata: Vec<MetadataColumn>,
    /// What holds the memory of the page, for as long as it lives.
    pub reservation: Option<base::Reservation>,
}

/// The values of one name of structured metadata.
#[derive(Debug, Clone)]
pub struct MetadataColumn {
    /// The name.
    pub name: Arc<str>,
    /// One for each row; empty where the row has none.
    pub values: ByteColumn,
    /// Which rows have a value; `None` where all have.
    pub present: Option<Vec<bool>>,
}

impl MetadataColumn {
    /// The value of a row, if it has one.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        match &self.present {
            Some(present) if !present[row] => None,
            _ => Some(self.values.get(row)),
        }
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
}

/// Why entries were not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogAppendError {
    /// The storage has no room now; the sender should come again.
    #[error("{0}")]
    Busy(String),
    /// The storage failed or is closed.
    #[error("{0}")]
    Storage(String),
}
