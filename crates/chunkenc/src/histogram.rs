//! Chunks of native histograms.
//!
//! Integer and float histograms, with and without start timestamps, share everything but the way a
//! count is written ([`cell`]): the bucket [`layout`] at the head of the chunk, the walk over samples
//! ([`reader`]) and the rules of when a histogram fits a chunk ([`appender`]), which rest on the
//! comparison of bucket layouts in [`spans`].

mod appender;
mod cell;
mod layout;
mod native;
mod reader;
mod resolution;
mod spans;
mod state;

use model::CounterResetHint;

use crate::encoding::{ChunkError, Encoding};

pub use appender::{AppendOutcome, Appender};
pub use native::NativeHistogram;
pub use reader::HistogramReader;

/// Appends histograms of integer counts.
pub type HistogramAppender = Appender<model::Histogram>;
/// Appends histograms of float counts.
pub type FloatHistogramAppender = Appender<model::FloatHistogram>;

/// The bits of a header byte that hold the counter-reset hint of the chunk's first sample.
const HINT_SHIFT: u32 = 6;

/// Where a histogram chunk keeps its counter-reset hint.
fn hint_at(encoding: Encoding) -> usize {
    match encoding {
        Encoding::HistogramSt | Encoding::FloatHistogramSt => 0,
        _ => 2,
    }
}

/// What the header of a histogram chunk says about a counter reset at its first sample, or that the
/// chunk holds gauges. Float chunks answer `Unknown`.
pub fn counter_reset_hint(bytes: &[u8], encoding: Encoding) -> Result<CounterResetHint, ChunkError> {
    if bytes.len() < encoding.header_bytes() {
        return Err(ChunkError::Truncated);
    }
    if encoding.is_float() {
        return Ok(CounterResetHint::Unknown);
    }
    Ok(hint_from_bits(bytes[hint_at(encoding)] >> HINT_SHIFT))
}

fn hint_from_bits(bits: u8) -> CounterResetHint {
    match bits {
        0b10 => CounterResetHint::CounterReset,
        0b01 => CounterResetHint::NotCounterReset,
        0b11 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn hint_bits(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0b00,
        CounterResetHint::CounterReset => 0b10,
        CounterResetHint::NotCounterReset => 0b01,
        CounterResetHint::Gauge => 0b11,
    }
}

#[cfg(test)]
mod tests;
