//! XOR2 chunks: floats whose timestamp and value share one control prefix, with optional start
//! timestamps.

use model::{STALE_NAN_BITS, is_stale_nan};

use crate::bits::{BitReader, BitWriter};
use crate::encoding::{ChunkError, Encoding};
use crate::start_time::StartTimes;
use crate::window::{Prefixes, Window};
use crate::xor::plausible_samples;

/// A value after a timestamp off schedule.
const OFF_SCHEDULE: Prefixes = Prefixes { reuse: (0b10, 2), fresh: (0b110, 3) };
/// A value after a timestamp on schedule, known to differ from the one before.
const ON_SCHEDULE: Prefixes = Prefixes { reuse: (0, 1), fresh: (1, 1) };

/// Appends samples to an XOR2 chunk.
#[derive(Debug, Clone)]
pub struct Xor2Appender {
    writer: BitWriter,
    t_ms: i64,
    delta_ms: u64,
    /// The last value that was not the staleness marker: the base of the next XOR.
    base_bits: u64,
    starts: StartTimes,
    /// Whether the last value was the staleness marker.
    is_stale: bool,
}

impl Default for Xor2Appender {
    fn default() -> Self {
        Self::new()
    }
}

impl Xor2Appender {
    /// An appender of a new chunk.
    pub fn new() -> Self {
        let writer = BitWriter::with_header(Encoding::Xor2.header_bytes());
        Self {
            writer,
            t_ms: i64::MIN,
            delta_ms: 0,
            base_bits: 0,
            starts: StartTimes::default(),
            is_stale: false,
        }
    }

    /// An appender that goes on with an existing chunk.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut cursor = Cursor::new(bytes)?;
        if cursor.samples == 0 {
            return Ok(Self::new());
        }
        let mut is_stale = false;
        while let Some((_, _, value)) = cursor.next()? {
            is_stale = is_stale_nan(value);
        }
        let mut writer = BitWriter::resume(bytes, cursor.reader.pos)?;
        writer.window = cursor.window;
        let Cursor { t_ms, delta_ms, base_bits, starts, .. } = cursor;
        Ok(Self { writer, t_ms, delta_ms, base_bits, starts, is_stale })
    }

    /// Appends a sample; `start_ms` is its start timestamp, 0 when unknown. Fails when the chunk
    /// holds 65535 samples.
    pub fn append(&mut self, start_ms: i64, t_ms: i64, value: f64) -> Result<(), ChunkError> {
        let samples = self.samples();
        let delta_ms = t_ms.wrapping_sub(self.t_ms) as u64;
        match samples {
            0 => {
                self.writer.put_varint(t_ms);
                self.writer.put(value.to_bits(), 64);
            }
            1 => {
                self.writer.put_uvarint(delta_ms);
                self.put_value(value);
                self.delta_ms = delta_ms;
            }
            u16::MAX => return Err(ChunkError::Full),
            _ => {
                self.put_joint(delta_ms.wrapping_sub(self.delta_ms) as i64, value);
                self.delta_ms = delta_ms;
            }
        }
        self.starts.write(&mut self.writer, samples, t_ms, self.t_ms, start_ms);
        self.t_ms = t_ms;
        self.is_stale = is_stale_nan(value);
        if !self.is_stale {
            self.base_bits = value.to_bits();
        }
        self.writer.bytes_mut()[..2].copy_from_slice(&(samples + 1).to_be_bytes());
        Ok(())
    }

    fn put_joint(&mut self, dod: i64, value: f64) {
        let bits = dod as u64;
        if dod == 0 {
            let delta = value.to_bits() ^ self.base_bits;
            if is_stale_nan(value) {
                self.writer.put(0b11111, 5);
            } else if delta == 0 {
                self.writer.put(0, 1);
            } else {
                self.writer.put(0b10, 2);
                self.writer.window = self.writer.put_delta(self.writer.window, delta, &ON_SCHEDULE);
            }
            return;
        }
        if (-(1 << 12)..1 << 12).contains(&dod) {
            self.writer.put((0b110 << 13) | (bits & 0x1fff), 16);
        } else if (-(1 << 19)..1 << 19).contains(&dod) {
            self.writer.put((0b1110 << 20) | (bits & 0xf_ffff), 24);
        } else {
            self.writer.put(0b11110, 5);
            self.writer.put(bits, 64);
        }
        self.put_value(value);
    }

    fn put_value(&mut self, value: f64) {
        let delta = value.to_bits() ^ self.base_bits;
        if is_stale_nan(value) {
            self.writer.put(0b111, 3);
        } else if delta == 0 {
            self.writer.put(0, 1);
        } else {
            self.writer.window = self.writer.put_delta(self.writer.window, delta, &OFF_SCHEDULE);
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> u16 {
        let bytes = self.writer.bytes();
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    /// The timestamp of the last sample; meaningless while there is none.
    pub fn last_t_ms(&self) -> i64 {
        self.t_ms
    }

    /// The value of the last sample; meaningless while there is none.
    pub fn last_value(&self) -> f64 {
        f64::from_bits(if self.is_stale { STALE_NAN_BITS } else { self.base_bits })
    }

    /// The start timestamp of the last sample, 0 when unknown; meaningless while there is none.
    pub fn last_start_ms(&self) -> i64 {
        self.starts.start_ms
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

/// Reads an XOR2 chunk sample by sample.
pub(crate) struct Cursor<'a> {
    reader: BitReader<'a>,
    pub(crate) samples: usize,
    index: usize,
    t_ms: i64,
    delta_ms: u64,
    base_bits: u64,
    window: Window,
    pub(crate) starts: StartTimes,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let samples = plausible_samples(bytes, Encoding::Xor2)?;
        let reader = BitReader::new(bytes, Encoding::Xor2.header_bytes());
        let starts = StartTimes::from_header(bytes);
        let window = Window::default();
        Ok(Self { reader, samples, index: 0, t_ms: 0, delta_ms: 0, base_bits: 0, window, starts })
    }

    /// The next sample: start timestamp, timestamp, value.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(i64, i64, f64)>, ChunkError> {
        if self.index == self.samples {
            return Ok(None);
        }
        let previous_t_ms = self.t_ms;
        let bits = match self.index {
            0 => {
                self.t_ms = self.reader.read_varint()?;
                let bits = self.reader.read(64);
                if bits != STALE_NAN_BITS {
                    self.base_bits = bits;
                }
                bits
            }
            1 => {
                self.delta_ms = self.reader.read_uvarint()?;
                self.t_ms = self.t_ms.wrapping_add(self.delta_ms as i64);
                self.read_value()?
            }
            _ => self.read_joint()?,
        };
        self.starts.read(&mut self.reader, self.index, self.t_ms, previous_t_ms)?;
        self.reader.check()?;
        self.index += 1;
        Ok(Some((self.starts.start_ms, self.t_ms, f64::from_bits(bits))))
    }

    #[inline]
    fn read_joint(&mut self) -> Result<u64, ChunkError> {
        let ones = (!self.reader.peek()).leading_zeros().min(5);
        self.reader.pos += (ones + 1).min(5) as usize;
        match ones {
            2 => self.shift_schedule(13),
            3 => self.shift_schedule(20),
            4 => self.shift_schedule(64),
            _ => {}
        }
        self.t_ms = self.t_ms.wrapping_add(self.delta_ms as i64);
        match ones {
            0 => Ok(self.base_bits),
            1 => {
                if self.reader.read(1) == 1 {
                    self.window = Window::read(&mut self.reader)?;
                }
                self.base_bits ^= self.window.read_delta(&mut self.reader);
                Ok(self.base_bits)
            }
            5 => Ok(STALE_NAN_BITS),
            _ => self.read_value(),
        }
    }

    fn shift_schedule(&mut self, width: u32) {
        let bits = self.reader.read(width);
        // Two's complement, unlike the fields of XOR chunks.
        let dod = ((bits << (64 - width)) as i64) >> (64 - width);
        self.delta_ms = self.delta_ms.wrapping_add(dod as u64);
    }

    fn read_value(&mut self) -> Result<u64, ChunkError> {
        let ones = (!self.reader.peek()).leading_zeros().min(3);
        self.reader.pos += (ones + 1).min(3) as usize;
        match ones {
            0 => return Ok(self.base_bits),
            3 => return Ok(STALE_NAN_BITS),
            2 => self.window = Window::read(&mut self.reader)?,
            _ => {}
        }
        self.base_bits ^= self.window.read_delta(&mut self.reader);
        Ok(self.base_bits)
    }
}
