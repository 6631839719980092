//! What is pushed to log stores: `logproto.PushRequest` as JSON and as protobuf.
//!
//! Lines are bytes: senders send what programs write, which is not always text. In reading order: this file (what a
//! request holds), [`json`] and [`mod@protobuf`].

pub mod json;
pub mod protobuf;

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
}

/// Streams of one request.
pub const MAX_STREAMS: usize = 1 << 20;
