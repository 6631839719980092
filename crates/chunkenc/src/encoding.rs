//! The kinds of chunks, and what can be wrong with one.

/// How the samples of a chunk are encoded; the number is what is stored beside the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Histograms of integer counts.
    Histogram = 2,
    /// Histograms of float counts.
    FloatHistogram = 3,
    /// Floats with optional start timestamps.
    Xor2 = 4,
    /// Histograms of integer counts with optional start timestamps.
    HistogramSt = 5,
    /// Histograms of float counts with optional start timestamps.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// The encoding with this stored number.
    pub fn from_byte(byte: u8) -> Result<Self, ChunkError> {
        Ok(match byte {
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            4 => Self::Xor2,
            5 => Self::HistogramSt,
            6 => Self::FloatHistogramSt,
            other => return Err(ChunkError::UnknownEncoding(other)),
        })
    }

    /// The stored number.
    pub fn as_byte(self) -> u8 {
        self as u8
    }

    /// Bytes before the first encoded bit.
    pub(crate) fn header_bytes(self) -> usize {
        match self {
            Self::Xor => 2,
            _ => 3,
        }
    }

    /// Whether the samples are floats.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Xor | Self::Xor2)
    }
}

/// A chunk that cannot be decoded, or a sample that cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The data ends before the samples the header promises.
    #[error("chunk ends before its last sample")]
    Truncated,
    /// No chunk has this encoding number.
    #[error("invalid chunk encoding {0}")]
    UnknownEncoding(u8),
    /// A field has a value no encoder writes.
    #[error("damaged chunk: {0}")]
    Corrupt(&'static str),
    /// The histogram's schema is neither exponential nor custom buckets.
    #[error("histogram has an unknown schema, got schema {0}")]
    UnknownSchema(i64),
    /// The histogram to append does not have as many buckets as its spans say.
    #[error("histogram has {buckets} buckets but its spans describe {described}")]
    BucketMismatch {
        /// Number of bucket values.
        buckets: usize,
        /// Number of buckets by the spans.
        described: u64,
    },
    /// The chunk holds as many samples as its header can count.
    #[error("chunk is full")]
    Full,
}

/// High bits of the sample count that hold the counter-reset hint in histogram chunks with start
/// timestamps.
pub(crate) const ST_COUNT_MASK: u16 = 0x3fff;

/// Number of samples in a chunk, as its header says.
pub fn num_samples(bytes: &[u8], encoding: Encoding) -> Result<u16, ChunkError> {
    if bytes.len() < encoding.header_bytes() {
        return Err(ChunkError::Truncated);
    }
    let count = u16::from_be_bytes([bytes[0], bytes[1]]);
    Ok(match encoding {
        Encoding::HistogramSt | Encoding::FloatHistogramSt => count & ST_COUNT_MASK,
        _ => count,
    })
}
