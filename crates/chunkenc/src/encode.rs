//! Any samples of one series into chunks.

use model::{FloatHistogram, Histogram, SampleValue};

use crate::decode::{RawSample, RawValue};
use crate::encoding::{ChunkError, Encoding};
use crate::histogram::{AppendOutcome, FloatHistogramAppender, HistogramAppender};
use crate::xor::XorAppender;
use crate::xor2::Xor2Appender;

/// Samples after which a chunk is cut.
pub const SAMPLES_PER_CHUNK: u16 = 120;

/// A finished chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    /// Its encoding.
    pub encoding: Encoding,
    /// The timestamp of the first sample.
    pub min_ms: i64,
    /// The timestamp of the last sample.
    pub max_ms: i64,
    /// Number of samples.
    pub samples: u16,
    /// The chunk, header included.
    pub bytes: Vec<u8>,
}

/// Encodes the samples of one series, given in ascending time, into chunks of at most
/// [`SAMPLES_PER_CHUNK`] samples: a new one where the sample type changes or a histogram does not fit.
#[derive(Debug, Default)]
pub struct SeriesEncoder {
    open: Option<Open>,
    min_ms: i64,
    max_ms: i64,
    done: Vec<EncodedChunk>,
}

#[derive(Debug)]
enum Open {
    Xor(XorAppender),
    Xor2(Xor2Appender),
    Histogram(Box<HistogramAppender>),
    FloatHistogram(Box<FloatHistogramAppender>),
}

impl Open {
    fn samples(&self) -> u16 {
        match self {
            Self::Xor(a) => a.samples(),
            Self::Xor2(a) => a.samples(),
            Self::Histogram(a) => a.samples(),
            Self::FloatHistogram(a) => a.samples(),
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            Self::Xor(_) => Encoding::Xor,
            Self::Xor2(_) => Encoding::Xor2,
            Self::Histogram(a) => a.encoding(),
            Self::FloatHistogram(a) => a.encoding(),
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Xor(a) => a.into_bytes(),
            Self::Xor2(a) => a.into_bytes(),
            Self::Histogram(a) => a.into_bytes(),
            Self::FloatHistogram(a) => a.into_bytes(),
        }
    }

    fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Xor => Self::Xor(XorAppender::new()),
            Encoding::Xor2 => Self::Xor2(Xor2Appender::new()),
            Encoding::Histogram => Self::Histogram(Box::new(HistogramAppender::new(false))),
            Encoding::HistogramSt => Self::Histogram(Box::new(HistogramAppender::new(true))),
            Encoding::FloatHistogram => Self::FloatHistogram(Box::new(FloatHistogramAppender::new(false))),
            Encoding::FloatHistogramSt => Self::FloatHistogram(Box::new(FloatHistogramAppender::new(true))),
        }
    }
}

/// The encoding a sample needs: start timestamps take the encodings that can hold them.
fn wanted(value: SampleValue<'_>, start_ms: i64) -> Encoding {
    match (value, start_ms != 0) {
        (SampleValue::Float(_), false) => Encoding::Xor,
        (SampleValue::Float(_), true) => Encoding::Xor2,
        (SampleValue::Histogram(_), false) => Encoding::Histogram,
        (SampleValue::Histogram(_), true) => Encoding::HistogramSt,
        (SampleValue::FloatHistogram(_), false) => Encoding::FloatHistogram,
        (SampleValue::FloatHistogram(_), true) => Encoding::FloatHistogramSt,
    }
}

/// Whether an open chunk can take a sample that would by itself take the encoding `wanted`.
fn accepts(open: Encoding, wanted: Encoding) -> bool {
    open == wanted || (open == Encoding::Xor2 && wanted == Encoding::Xor)
}

impl SeriesEncoder {
    /// An encoder without samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample.
    pub fn append(&mut self, start_ms: i64, t_ms: i64, value: SampleValue<'_>) -> Result<(), ChunkError> {
        let wanted = wanted(value, start_ms);
        let go_on = self.open.as_ref();
        if go_on.is_none_or(|open| open.samples() >= SAMPLES_PER_CHUNK || !accepts(open.encoding(), wanted)) {
            self.cut();
        }
        let starts_chunk = self.open.is_none();
        let cut = match (self.open.get_or_insert_with(|| Open::new(wanted)), value) {
            (Open::Xor(a), SampleValue::Float(v)) => a.append(t_ms, v).map(|()| None)?,
            (Open::Xor2(a), SampleValue::Float(v)) => a.append(start_ms, t_ms, v).map(|()| None)?,
            (Open::Histogram(a), SampleValue::Histogram(h)) => match a.append(None, start_ms, t_ms, h)? {
                AppendOutcome::Cut(next) => Some(Open::Histogram(next)),
                AppendOutcome::Appended | AppendOutcome::Recoded => None,
            },
            (Open::FloatHistogram(a), SampleValue::FloatHistogram(h)) => {
                match a.append(None, start_ms, t_ms, h)? {
                    AppendOutcome::Cut(next) => Some(Open::FloatHistogram(next)),
                    AppendOutcome::Appended | AppendOutcome::Recoded => None,
                }
            }
            _ => return Err(ChunkError::Corrupt("sample type does not match the open chunk")),
        };
        if let Some(next) = cut {
            self.cut();
            self.open = Some(next);
            self.min_ms = t_ms;
        } else if starts_chunk {
            self.min_ms = t_ms;
        }
        self.max_ms = t_ms;
        Ok(())
    }

    /// Adds a sample read from another chunk.
    pub fn append_raw(&mut self, sample: &RawSample) -> Result<(), ChunkError> {
        let value = match &sample.value {
            RawValue::Float(v) => SampleValue::Float(*v),
            RawValue::Histogram(h) => SampleValue::Histogram(&h.0),
            RawValue::FloatHistogram(h) => SampleValue::FloatHistogram(h),
        };
        self.append(sample.start_ms, sample.t_ms, value)
    }

    fn cut(&mut self) {
        if let Some(open) = self.open.take() {
            let (encoding, samples) = (open.encoding(), open.samples());
            let bytes = open.into_bytes();
            self.done.push(EncodedChunk {
                encoding,
                min_ms: self.min_ms,
                max_ms: self.max_ms,
                samples,
                bytes,
            });
        }
    }

    /// The chunks, in order of time. The encoder is empty afterwards.
    pub fn finish(&mut self) -> Vec<EncodedChunk> {
        self.cut();
        std::mem::take(&mut self.done)
    }
}

/// A hint at the types of the two histogram kinds, for callers that hold owned samples.
impl From<Histogram> for RawValue {
    fn from(h: Histogram) -> Self {
        Self::Histogram(Box::new(crate::decode::IntegerHistogram(h)))
    }
}

impl From<FloatHistogram> for RawValue {
    fn from(h: FloatHistogram) -> Self {
        Self::FloatHistogram(Box::new(h))
    }
}

impl From<f64> for RawValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}
