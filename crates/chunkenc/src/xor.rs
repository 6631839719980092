//! XOR chunks: floats, the encoding nearly all samples are stored in.

use crate::bits::{BitReader, BitWriter};
use crate::encoding::{ChunkError, Encoding, num_samples};
use crate::varbit::{fits, sign_extend};
use crate::window::{Window, XOR_PREFIXES};

/// Bits of the smallest sample after the first.
const MIN_SAMPLE_BITS: usize = 2;
/// Bits of the smallest first sample: a varint and a float.
const MIN_FIRST_SAMPLE_BITS: usize = 8 + 64;

/// Appends samples to an XOR chunk.
///
/// There is one for every active series, so it is small: 48 bytes and the chunk itself, which grows
/// in small steps.
#[derive(Debug, Clone)]
pub struct XorAppender {
    writer: BitWriter,
    t_ms: i64,
    value: f64,
    /// Distance of the last two timestamps; arithmetic on it wraps.
    delta_ms: u64,
}

impl Default for XorAppender {
    fn default() -> Self {
        Self::new()
    }
}

impl XorAppender {
    /// An appender of a new chunk.
    pub fn new() -> Self {
        let writer = BitWriter::with_header(Encoding::Xor.header_bytes());
        Self { writer, t_ms: i64::MIN, value: 0.0, delta_ms: 0 }
    }

    /// An appender that goes on with an existing chunk.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkError> {
        let end = walk(bytes, usize::MAX, |_, _| true)?;
        if end.samples == 0 {
            return Ok(Self::new());
        }
        let mut writer = BitWriter::resume(bytes, end.bit_len)?;
        writer.window = end.window;
        writer.samples = end.samples as u16;
        Ok(Self { writer, t_ms: end.t_ms, value: f64::from_bits(end.bits), delta_ms: end.delta_ms })
    }

    /// Appends a sample; timestamps should ascend. Fails when the chunk holds 65535 samples.
    #[inline]
    pub fn append(&mut self, t_ms: i64, value: f64) -> Result<(), ChunkError> {
        let samples = self.samples();
        let delta_ms = t_ms.wrapping_sub(self.t_ms) as u64;
        match samples {
            0 => {
                self.writer.put_varint(t_ms);
                self.writer.put(value.to_bits(), 64);
                self.delta_ms = 0;
            }
            1 => {
                self.writer.put_uvarint(delta_ms);
                self.put_value(value);
                self.delta_ms = delta_ms;
            }
            u16::MAX => return Err(ChunkError::Full),
            _ => {
                if delta_ms == self.delta_ms && value.to_bits() == self.value.to_bits() {
                    self.writer.put(0, 2);
                } else {
                    put_delta_of_delta(&mut self.writer, delta_ms.wrapping_sub(self.delta_ms) as i64);
                    self.put_value(value);
                    self.delta_ms = delta_ms;
                }
            }
        }
        self.t_ms = t_ms;
        self.value = value;
        self.writer.samples = samples + 1;
        self.writer.bytes_mut()[..2].copy_from_slice(&(samples + 1).to_be_bytes());
        Ok(())
    }

    #[inline]
    fn put_value(&mut self, value: f64) {
        let delta = value.to_bits() ^ self.value.to_bits();
        if delta == 0 {
            return self.writer.put(0, 1);
        }
        self.writer.window = self.writer.put_delta(self.writer.window, delta, &XOR_PREFIXES);
    }

    /// Number of samples.
    #[inline]
    pub fn samples(&self) -> u16 {
        self.writer.samples
    }

    /// Starts loading the memory that the next [`Self::append`] writes to.
    #[inline]
    pub fn prefetch(&self) {
        self.writer.prefetch_end();
    }

    /// The timestamp of the last sample; meaningless while there is none.
    pub fn last_t_ms(&self) -> i64 {
        self.t_ms
    }

    /// The value of the last sample; meaningless while there is none.
    pub fn last_value(&self) -> f64 {
        self.value
    }

    /// The chunk so far.
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// Heap bytes in use.
    pub fn heap_bytes(&self) -> usize {
        self.writer.capacity_bytes()
    }

    /// The finished chunk, without slack.
    pub fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }
}

#[inline]
fn put_delta_of_delta(writer: &mut BitWriter, dod: i64) {
    let bits = dod as u64;
    if dod == 0 {
        writer.put(0, 1);
    } else if fits(dod, 14) {
        writer.put((0b10 << 14) | (bits & 0x3fff), 16);
    } else if fits(dod, 17) {
        writer.put((0b110 << 17) | (bits & 0x1_ffff), 20);
    } else if fits(dod, 20) {
        writer.put((0b1110 << 20) | (bits & 0xf_ffff), 24);
    } else {
        writer.put(0b1111, 4);
        writer.put(bits, 64);
    }
}

#[inline]
fn read_delta_of_delta(reader: &mut BitReader<'_>) -> i64 {
    let ones = (!reader.peek()).leading_zeros();
    let (prefix, width) = match ones {
        0 => {
            reader.pos += 1;
            return 0;
        }
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => (4, 64),
    };
    reader.pos += prefix;
    let bits = reader.read(width);
    if width == 64 { bits as i64 } else { sign_extend(bits, width) }
}

/// Where a walk over a chunk ended.
pub(crate) struct End {
    pub(crate) samples: usize,
    t_ms: i64,
    bits: u64,
    delta_ms: u64,
    window: Window,
    bit_len: usize,
}

/// Checks a header's sample count against the size of the chunk, which bounds what decoding
/// allocates.
pub(crate) fn plausible_samples(bytes: &[u8], encoding: Encoding) -> Result<usize, ChunkError> {
    let samples = usize::from(num_samples(bytes, encoding)?);
    let bits = (bytes.len() - encoding.header_bytes()) * 8;
    if samples > 0 && bits < MIN_FIRST_SAMPLE_BITS + (samples - 1) {
        return Err(ChunkError::Truncated);
    }
    Ok(samples)
}

/// Calls `visit` with each of the first `max_samples` samples until it answers false.
#[inline]
pub(crate) fn walk(
    bytes: &[u8],
    max_samples: usize,
    mut visit: impl FnMut(i64, f64) -> bool,
) -> Result<End, ChunkError> {
    let promised = plausible_samples(bytes, Encoding::Xor)?;
    if promised > 1 && (bytes.len() - 2) * 8 < MIN_FIRST_SAMPLE_BITS + (promised - 1) * MIN_SAMPLE_BITS {
        return Err(ChunkError::Truncated);
    }
    let samples = promised.min(max_samples);
    let mut reader = BitReader::new(bytes, Encoding::Xor.header_bytes());
    let mut end = End { samples, t_ms: 0, bits: 0, delta_ms: 0, window: Window::default(), bit_len: 0 };
    if samples == 0 {
        return Ok(end);
    }
    end.t_ms = reader.read_varint()?;
    end.bits = reader.read(64);
    let mut go_on = visit(end.t_ms, f64::from_bits(end.bits));
    if go_on && samples > 1 {
        end.delta_ms = reader.read_uvarint()?;
        end.t_ms = end.t_ms.wrapping_add(end.delta_ms as i64);
        read_value(&mut reader, &mut end)?;
        go_on = visit(end.t_ms, f64::from_bits(end.bits));
    }
    if go_on {
        walk_rest(&mut reader, &mut end, samples, visit)?;
    }
    reader.check()?;
    end.bit_len = reader.pos;
    Ok(end)
}

/// The samples from the third on. Four in five samples of real data are on schedule, and half of
/// those repeat the value before: both are decided on one peeked word.
#[inline]
fn walk_rest(
    reader: &mut BitReader<'_>,
    end: &mut End,
    samples: usize,
    mut visit: impl FnMut(i64, f64) -> bool,
) -> Result<(), ChunkError> {
    let (mut t_ms, mut delta_ms, mut bits) = (end.t_ms, end.delta_ms, end.bits);
    let mut width = end.window.bits();
    let mut trailing = end.window.trailing();
    for _ in 2..samples {
        let mut word = reader.peek();
        if word >> 63 == 0 {
            reader.pos += 1;
            word <<= 1;
        } else {
            delta_ms = delta_ms.wrapping_add(read_delta_of_delta(reader) as u64);
            word = reader.peek();
        }
        t_ms = t_ms.wrapping_add(delta_ms as i64);
        // 56 bits of `word` are valid here.
        match word >> 62 {
            0b00 | 0b01 => reader.pos += 1,
            0b10 if width <= 54 => {
                reader.pos += 2 + width as usize;
                bits ^= ((word << 2) >> (64 - width)) << trailing;
            }
            0b10 => {
                reader.pos += 2;
                bits ^= reader.read(width) << trailing;
            }
            _ => {
                reader.pos += 2;
                end.window = Window::read(reader)?;
                (width, trailing) = (end.window.bits(), end.window.trailing());
                bits ^= end.window.read_delta(reader);
            }
        }
        if !visit(t_ms, f64::from_bits(bits)) {
            break;
        }
    }
    (end.t_ms, end.delta_ms, end.bits) = (t_ms, delta_ms, bits);
    Ok(())
}

fn read_value(reader: &mut BitReader<'_>, end: &mut End) -> Result<(), ChunkError> {
    let head = reader.peek();
    if head >> 63 == 0 {
        reader.pos += 1;
        return Ok(());
    }
    reader.pos += 2;
    if head >> 62 == 0b11 {
        end.window = Window::read(reader)?;
    }
    end.bits ^= end.window.read_delta(reader);
    Ok(())
}

#[cfg(test)]
mod tests;
