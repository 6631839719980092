//! Out-of-order samples of a series: a small sorted buffer, and chunks it was written to when full.

use chunkenc::encode::SeriesEncoder;
use model::SampleValue;

use super::chunk_store::{ChunkRecord, ChunkRef, ChunkStore};
use crate::wal::WalError;
use crate::wal::histogram::AnyHistogram;

/// Out-of-order samples of one series.
#[derive(Debug, Default)]
pub struct OutOfOrder {
    /// Samples not yet in a chunk, by time, each time once.
    pub buffer: Vec<OutOfOrderSample>,
    /// Chunks in `chunks_head`, as written; their times overlap.
    pub chunks: Vec<OutOfOrderChunk>,
}

/// One out-of-order sample.
#[derive(Debug, Clone)]
pub struct OutOfOrderSample {
    /// Timestamp.
    pub t_ms: i64,
    /// Start timestamp, 0 when unknown.
    pub start_ms: i64,
    /// Value.
    pub value: Value,
    /// The commit that added it (low 32 bits).
    pub commit: u32,
}

/// A value of any sample type.
#[derive(Debug, Clone)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(AnyHistogram),
}

impl Value {
    /// The value as the model passes it.
    pub fn as_sample_value(&self) -> SampleValue<'_> {
        match self {
            Self::Float(value) => SampleValue::Float(*value),
            Self::Histogram(AnyHistogram::Integer(h)) => SampleValue::Histogram(h),
            Self::Histogram(AnyHistogram::Float(h)) => SampleValue::FloatHistogram(h),
        }
    }
}

/// A chunk of out-of-order samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfOrderChunk {
    /// First timestamp.
    pub min_ms: i64,
    /// Last timestamp.
    pub max_ms: i64,
    /// Where it is.
    pub chunk: ChunkRef,
    /// The newest commit with a sample in it (low 32 bits).
    pub commit: u32,
}

/// What [`OutOfOrder::insert`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// False when there already was a sample at that time.
    pub added: bool,
    /// Chunks the full buffer was written to before; `None` when it was not full. Empty when the buffer
    /// is the series' first.
    pub flushed: Option<Vec<ChunkRef>>,
}

impl OutOfOrder {
    /// Adds a sample; a buffer of `capacity` samples is written to chunks before.
    pub fn insert(
        &mut self,
        sample: OutOfOrderSample,
        capacity: usize,
        series: u64,
        store: &ChunkStore,
    ) -> Result<Inserted, WalError> {
        let flushed = if self.buffer.is_empty() {
            Some(Vec::new())
        } else if self.buffer.len() >= capacity {
            Some(self.flush(series, store)?)
        } else {
            None
        };
        let at = self.buffer.partition_point(|other| other.t_ms < sample.t_ms);
        let added = self.buffer.get(at).is_none_or(|other| other.t_ms != sample.t_ms);
        if added {
            self.buffer.insert(at, sample);
        }
        Ok(Inserted { added, flushed })
    }

    /// Writes the buffer to chunks and empties it.
    pub fn flush(&mut self, series: u64, store: &ChunkStore) -> Result<Vec<ChunkRef>, WalError> {
        let mut encoder = SeriesEncoder::default();
        for sample in &self.buffer {
            let pushed = encoder.append(sample.start_ms, sample.t_ms, sample.value.as_sample_value());
            if let Err(error) = pushed {
                // Histograms are validated before they get here; one that cannot be encoded is left out.
                tracing::error!(%error, series, "out-of-order sample cannot be encoded");
            }
        }
        let newest = |a: u32, b: u32| if (b.wrapping_sub(a) as i32) > 0 { b } else { a };
        let commit = self.buffer.iter().map(|sample| sample.commit).reduce(newest).unwrap_or(0);
        let mut written = Vec::new();
        for chunk in encoder.finish() {
            let at = store.append(&ChunkRecord {
                series,
                min_ms: chunk.min_ms,
                max_ms: chunk.max_ms,
                encoding: chunk.encoding,
                out_of_order: true,
                data: &chunk.bytes,
            })?;
            written.push(at);
            self.chunks.push(OutOfOrderChunk {
                min_ms: chunk.min_ms,
                max_ms: chunk.max_ms,
                chunk: at,
                commit,
            });
        }
        self.buffer.clear();
        Ok(written)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.chunks.is_empty()
    }

    /// First and last timestamp of all samples.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        let buffered = self.buffer.first().zip(self.buffer.last()).map(|(a, b)| (a.t_ms, b.t_ms));
        let stored = self.chunks.iter().map(|chunk| (chunk.min_ms, chunk.max_ms));
        stored.chain(buffered).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}
