//! Floats as the XOR with the float before: only a window of meaningful bits is stored.

use crate::bits::{BitReader, BitWriter};
use crate::encoding::ChunkError;

/// The bits of the XOR that are stored: all but `leading` high and `trailing` low zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// `UNSET` before the first window.
    leading: u8,
    trailing: u8,
}

const UNSET: u8 = 0xff;

impl Default for Window {
    fn default() -> Self {
        Self { leading: UNSET, trailing: 0 }
    }
}

/// The bit patterns that introduce a value: one to reuse the window, one to define a new one.
pub struct Prefixes {
    pub(crate) reuse: (u64, u32),
    pub(crate) fresh: (u64, u32),
}

/// The prefixes of XOR chunks and of all floats in histogram chunks.
pub(crate) const XOR_PREFIXES: Prefixes = Prefixes { reuse: (0b10, 2), fresh: (0b11, 2) };

impl Window {
    /// Number of stored bits. Readers treat an unset window as the full width.
    #[inline]
    pub(crate) fn bits(self) -> u32 {
        if self.leading == UNSET { 64 } else { 64 - u32::from(self.leading) - u32::from(self.trailing) }
    }

    #[inline]
    pub(crate) fn trailing(self) -> u32 {
        u32::from(self.trailing)
    }

    /// The smallest window around `delta`. The field of `leading` has five bits.
    #[inline]
    fn around(delta: u64) -> Self {
        Self { leading: delta.leading_zeros().min(31) as u8, trailing: delta.trailing_zeros() as u8 }
    }

    /// Reads the definition of a new window.
    #[inline]
    pub(crate) fn read(reader: &mut BitReader<'_>) -> Result<Self, ChunkError> {
        let field = reader.read(11);
        let leading = (field >> 6) as u8;
        // A width of 64 does not fit six bits; 0 never occurs and stands for it.
        let width = match (field & 0x3f) as u8 {
            0 => 64,
            width => width,
        };
        let trailing =
            64_u8.checked_sub(leading + width).ok_or(ChunkError::Corrupt("value wider than 64 bits"))?;
        Ok(Self { leading, trailing })
    }

    /// Reads the XOR stored in this window.
    #[inline]
    pub(crate) fn read_delta(self, reader: &mut BitReader<'_>) -> u64 {
        reader.read(self.bits()) << self.trailing
    }
}

impl BitWriter {
    /// Writes a XOR that is not zero and returns the window in force afterwards.
    #[inline]
    pub(crate) fn put_delta(&mut self, window: Window, delta: u64, prefixes: &Prefixes) -> Window {
        let wanted = Window::around(delta);
        if window.leading != UNSET && wanted.leading >= window.leading && wanted.trailing >= window.trailing {
            self.put(prefixes.reuse.0, prefixes.reuse.1);
            self.put(delta >> window.trailing, window.bits());
            return window;
        }
        let width = wanted.bits();
        let header = (prefixes.fresh.0 << 11) | (u64::from(wanted.leading) << 6) | (u64::from(width) & 0x3f);
        self.put(header, prefixes.fresh.1 + 11);
        self.put(delta >> wanted.trailing, width);
        wanted
    }
}

/// A float that is stored as the XOR with the float before.
#[derive(Debug, Clone, Copy, Default)]
pub struct XorFloat {
    pub(crate) bits: u64,
    window: Window,
}

impl XorFloat {
    pub(crate) fn new(bits: u64) -> Self {
        Self { bits, window: Window::default() }
    }

    #[inline]
    pub(crate) fn write(&mut self, writer: &mut BitWriter, bits: u64) {
        let delta = bits ^ self.bits;
        if delta == 0 {
            return writer.put(0, 1);
        }
        self.window = writer.put_delta(self.window, delta, &XOR_PREFIXES);
        self.bits = bits;
    }

    #[inline]
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        let head = reader.peek();
        if head >> 63 == 0 {
            reader.pos += 1;
            return Ok(());
        }
        reader.pos += 2;
        if head >> 62 == 0b11 {
            self.window = Window::read(reader)?;
        }
        self.bits ^= self.window.read_delta(reader);
        Ok(())
    }
}
