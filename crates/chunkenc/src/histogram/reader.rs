//! Reading histogram chunks sample by sample.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX};
use model::{CounterResetHint, FloatHistogram};

use super::native::NativeHistogram;
use super::resolution::coarsen;
use super::state::State;
use super::{counter_reset_hint, hint_at};
use crate::bits::BitReader;
use crate::encoding::{ChunkError, Encoding, num_samples};
use crate::start_time::StartTimes;

/// Bits of the smallest histogram sample: one each for time, count, zero count and sum.
const MIN_SAMPLE_BITS: usize = 4;

/// Reads the histograms of a chunk in order.
#[derive(Debug, Clone)]
pub struct HistogramReader<'a, H: NativeHistogram> {
    reader: BitReader<'a>,
    pub(crate) state: State<H>,
    pub(crate) starts: StartTimes,
    hint: CounterResetHint,
    samples: usize,
    index: usize,
    has_start_times: bool,
}

impl<'a, H: NativeHistogram> HistogramReader<'a, H> {
    /// A reader of a chunk; `encoding` must be one of `H`.
    pub fn new(bytes: &'a [u8], encoding: Encoding) -> Result<Self, ChunkError> {
        let has_start_times = H::encoding(true) == encoding;
        if !has_start_times && H::encoding(false) != encoding {
            return Err(ChunkError::Corrupt("a chunk of another sample type"));
        }
        let samples = usize::from(num_samples(bytes, encoding)?);
        let header = encoding.header_bytes();
        if samples.saturating_sub(1) * MIN_SAMPLE_BITS > (bytes.len() - header) * 8 {
            return Err(ChunkError::Truncated);
        }
        let starts = if has_start_times { StartTimes::from_header(bytes) } else { StartTimes::default() };
        let hint = counter_reset_hint(bytes, encoding)?;
        let reader = BitReader::new(bytes, header);
        Ok(Self { reader, state: State::default(), starts, hint, samples, index: 0, has_start_times })
    }

    /// Number of samples in the chunk.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Moves to the next sample; false after the last.
    pub fn advance(&mut self) -> Result<bool, ChunkError> {
        if self.index == self.samples {
            return Ok(false);
        }
        let previous_t_ms = self.state.t_ms;
        match self.index {
            0 => self.state.read_first(&mut self.reader)?,
            _ => self.state.read_next(&mut self.reader)?,
        }
        if self.has_start_times {
            self.starts.read(&mut self.reader, self.index, self.state.t_ms, previous_t_ms)?;
        }
        self.reader.check()?;
        self.index += 1;
        Ok(true)
    }

    /// The timestamp of the current sample.
    pub fn t_ms(&self) -> i64 {
        self.state.t_ms
    }

    /// The start timestamp of the current sample, 0 when unknown.
    pub fn start_ms(&self) -> i64 {
        self.starts.start_ms
    }

    /// The current sample.
    pub fn histogram(&self) -> H {
        if self.state.is_stale() {
            return H::stale(self.state.sum());
        }
        let mut h = H::assemble(self.sample_hint(), &self.state.layout, self.state.counts());
        if self.is_too_fine() {
            let schema = self.state.layout.schema;
            for negative in [false, true] {
                let (spans, buckets) = h.side(negative);
                let (spans, buckets) = coarsen::<H>(schema, spans, buckets);
                h.set_side(negative, spans, buckets);
            }
            h.set_schema(EXPONENTIAL_SCHEMA_MAX);
        }
        h
    }

    /// The current sample with float counts.
    pub fn float_histogram(&self) -> FloatHistogram {
        self.histogram().into_float()
    }

    /// The first sample cannot rely on the chunk before it still existing; later samples of a counter
    /// chunk are known not to be resets.
    fn sample_hint(&self) -> CounterResetHint {
        match self.hint {
            CounterResetHint::Gauge => CounterResetHint::Gauge,
            _ if self.index > 1 => CounterResetHint::NotCounterReset,
            _ => CounterResetHint::Unknown,
        }
    }

    fn is_too_fine(&self) -> bool {
        self.state.layout.schema > EXPONENTIAL_SCHEMA_MAX && self.state.layout.schema != CUSTOM_BUCKETS_SCHEMA
    }

    /// Bits read so far.
    pub(crate) fn bit_len(&self) -> usize {
        self.reader.pos
    }
}

/// Sets the counter-reset hint in a chunk's header.
pub(super) fn set_hint(bytes: &mut [u8], encoding: Encoding, hint: CounterResetHint) {
    let byte = &mut bytes[hint_at(encoding)];
    *byte = (*byte & 0x3f) | (super::hint_bits(hint) << super::HINT_SHIFT);
}
