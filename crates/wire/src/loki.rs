//! What is pushed to log stores: `logproto.PushRequest` as JSON and as protobuf.
//!
//! Lines are bytes: senders send what programs write, which is not always text. A body of few bytes can stand for much
//! memory: what is read is paid for as it is read. In reading order: this file (what a request holds, and what it costs),
//! [`json`] and [`mod@protobuf`].

pub mod json;
pub mod protobuf;

use base::Reservation;
use base::budget::BudgetExceeded;
use bytes::Bytes;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushRequest {
    /// The streams, in the order in which they were sent.
    pub streams: Vec<PushStream>,
}

/// Entries of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushStream {
    /// The labels.
    pub labels: PushLabels,
    /// The entries, in the order in which they were sent.
    pub entries: Vec<PushEntry>,
}

/// The labels of a stream as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushLabels {
    /// Names and values; of equal names the last one counts.
    Pairs(Vec<(String, String)>),
    /// `{name="value"}`
    Text(String),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushEntry {
    /// Nanoseconds since the epoch.
    pub timestamp_ns: i64,
    /// The line.
    pub line: Bytes,
    /// Structured metadata as it was sent.
    pub metadata: Vec<(String, String)>,
}

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// There is nothing in the body.
    #[error("EOF")]
    Empty,
    /// The JSON is wrong, or does not fit.
    #[error("loghttp.PushRequest: {problem}, at byte {offset}")]
    Json {
        /// What is wrong.
        problem: &'static str,
        /// Where.
        offset: usize,
    },
    /// The protobuf is wrong.
    #[error("proto: {0}")]
    Protobuf(String),
    /// There is not the memory to read it.
    #[error(transparent)]
    Memory(#[from] BudgetExceeded),
}

/// Streams of one request.
pub const MAX_STREAMS: usize = 1 << 20;

/// What an entry costs besides its line, from its place in a request to its place in a batch that is stored.
pub const ENTRY_COST_BYTES: usize = 256;
/// What a name and its value cost besides their bytes.
pub const PAIR_COST_BYTES: usize = 224;
/// What a stream costs besides its labels.
const STREAM_COST_BYTES: usize = 512;
/// The bytes of names and values are there as they were sent, while they are brought into order, and as they are stored.
const COPIES: usize = 3;
/// Memory is taken in steps of this, not for each entry.
const STEP_BYTES: usize = 64 << 10;

/// Takes memory for what is read.
#[derive(Debug)]
pub struct Meter<'m> {
    memory: &'m mut Reservation,
    owed: usize,
}

impl<'m> Meter<'m> {
    /// Memory comes from the budget of `memory`, which it grows.
    pub fn new(memory: &'m mut Reservation) -> Self {
        Self { memory, owed: 0 }
    }

    /// Takes memory, now or with what comes.
    pub fn charge(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.owed += bytes;
        if self.owed >= STEP_BYTES { self.settle() } else { Ok(()) }
    }

    /// Takes what is owed.
    pub fn settle(&mut self) -> Result<(), BudgetExceeded> {
        self.memory.grow(std::mem::take(&mut self.owed))
    }

    fn stream(&mut self) -> Result<(), BudgetExceeded> {
        self.charge(STREAM_COST_BYTES)
    }

    fn entry(&mut self) -> Result<(), BudgetExceeded> {
        self.charge(ENTRY_COST_BYTES)
    }

    fn pair(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.charge(PAIR_COST_BYTES + COPIES * bytes)
    }
}
