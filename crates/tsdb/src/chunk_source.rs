//! Where the block writer takes series from: the head and other blocks alike.

use chunkenc::Encoding;
use model::Labels;

use crate::error::TsdbError;

/// One chunk of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceChunk {
    /// Its encoding.
    pub encoding: Encoding,
    /// The timestamp of its first sample.
    pub min_ms: i64,
    /// The timestamp of its last sample.
    pub max_ms: i64,
    /// The chunk, header included.
    pub bytes: Vec<u8>,
}

impl From<chunkenc::EncodedChunk> for SourceChunk {
    fn from(chunk: chunkenc::EncodedChunk) -> Self {
        let chunkenc::EncodedChunk { encoding, min_ms, max_ms, bytes, .. } = chunk;
        Self { encoding, min_ms, max_ms, bytes }
    }
}

/// A series and its chunks.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSeries {
    /// All labels.
    pub labels: Labels,
    /// Chunks in ascending order of `min_ms`. They may overlap one another, and may reach beyond the
    /// time range asked for: the writer trims and joins them.
    pub chunks: Vec<SourceChunk>,
    /// Closed intervals of time whose samples are deleted, ascending and apart.
    pub deleted: Vec<model::TimeRange>,
}

/// A walk over series in label order, made for one time range.
pub trait ChunkSource {
    /// Calls `visit` with every label name and value of the series to come, in ascending order and
    /// without repetition. More than occur is fine. Called once, before [`Self::next_series`].
    fn symbols(&mut self, visit: &mut dyn FnMut(&str) -> Result<(), TsdbError>) -> Result<(), TsdbError>;

    /// The next series in the order of [`Labels`], or `None` after the last.
    fn next_series(&mut self) -> Result<Option<SourceSeries>, TsdbError>;
}
