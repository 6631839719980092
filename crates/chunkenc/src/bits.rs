//! Bit streams, most significant bit first, moved a 64-bit word at a time.

use crate::encoding::ChunkError;
use crate::window::Window;

/// Appends bits to a buffer that grows in small steps: there is one for every active series, so the
/// slack of doubling would cost more than the copies it saves.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    /// Bytes beyond `bit_len` are zero.
    buf: Box<[u8]>,
    bit_len: u32,
    /// The window of the value the owner writes most. It is the owner's field; it lives here because
    /// the bytes would otherwise be padding.
    pub(crate) window: Window,
    /// Number of samples, also the owner's: asking the chunk's header would be a cache miss.
    pub(crate) samples: u16,
}

impl BitWriter {
    /// A stream that starts with `header` zero bytes, to be set through [`Self::bytes_mut`].
    pub(crate) fn with_header(header: usize) -> Self {
        let mut writer = Self::default();
        writer.grow(header);
        writer.bit_len = u32::try_from(header * 8).unwrap_or_default();
        writer
    }

    /// A stream that goes on where `bytes`, of which `bit_len` bits are used, ends.
    pub(crate) fn resume(bytes: &[u8], bit_len: usize) -> Result<Self, ChunkError> {
        let used = bit_len.div_ceil(8);
        let bit_len = u32::try_from(bit_len).map_err(|_| ChunkError::Full)?;
        let mut buf: Box<[u8]> = bytes.get(..used).ok_or(ChunkError::Truncated)?.into();
        if let (Some(last), spare @ 1..) = (buf.last_mut(), used * 8 - bit_len as usize) {
            *last &= 0xff << spare;
        }
        Ok(Self { buf, bit_len, window: Window::default(), samples: 0 })
    }

    /// The bytes written, the last one padded with zero bits.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[..self.byte_len()]
    }

    /// As [`Self::bytes`], to set header fields.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let used = self.byte_len();
        &mut self.buf[..used]
    }

    pub(crate) fn byte_len(&self) -> usize {
        (self.bit_len as usize).div_ceil(8)
    }

    /// Starts loading the place the next bits go to.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        #[cfg(target_arch = "x86_64")]
        if let Some(end) = self.buf.get((self.bit_len >> 3) as usize) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch has no effect but on the cache, and the address is that of a byte in `buf`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(end).cast()) };
        }
    }

    /// Bytes allocated.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.buf.len()
    }

    /// The bytes without slack.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let used = self.byte_len();
        let mut bytes = Vec::from(self.buf);
        bytes.truncate(used);
        bytes.shrink_to_fit();
        bytes
    }

    /// Appends the low `count` bits of `value`; `count` is 1..=64.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        debug_assert!((1..=64).contains(&count));
        if count > 56 {
            self.put_short(value >> 32, count - 32);
            self.put_short(value, 32);
        } else {
            self.put_short(value, count);
        }
    }

    #[inline]
    fn put_short(&mut self, value: u64, count: u32) {
        let at = (self.bit_len >> 3) as usize;
        // Up to 7 bits of the first byte are taken, so 57 are free in the word.
        let word = (value << (64 - count)) >> (self.bit_len & 7);
        self.bit_len += count;
        match self.buf.get_mut(at..at + 8).and_then(|w| <&mut [u8; 8]>::try_from(w).ok()) {
            Some(window) => *window = (u64::from_be_bytes(*window) | word).to_be_bytes(),
            None => self.put_at_end(at, word),
        }
    }

    #[cold]
    fn put_at_end(&mut self, at: usize, word: u64) {
        let used = self.byte_len();
        if used > self.buf.len() {
            self.grow(used);
        }
        for (byte, new) in self.buf[at..used].iter_mut().zip(word.to_be_bytes()) {
            *byte |= new;
        }
    }

    fn grow(&mut self, needed: usize) {
        // Steps of an eighth of the next power of two: the size classes of the allocator.
        let step = (needed.next_power_of_two() / 8).max(16);
        let len = needed.next_multiple_of(step);
        let mut bytes = Vec::from(std::mem::take(&mut self.buf));
        bytes.reserve_exact(len - bytes.len());
        bytes.resize(len, 0);
        self.buf = bytes.into_boxed_slice();
    }

    pub(crate) fn put_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put((value & 0x7f) | 0x80, 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    pub(crate) fn put_varint(&mut self, value: i64) {
        self.put_uvarint(((value << 1) ^ (value >> 63)) as u64);
    }
}

/// Reads bits. Past the end it yields zeros; the caller asks [`Self::check`] once per sample or once
/// per chunk, which keeps the hot loops free of error paths.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// Position in bits.
    pub(crate) pos: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8], skip_bytes: usize) -> Self {
        Self { data, pos: skip_bytes * 8 }
    }

    /// The next bits, left-aligned; at least 57 are valid, the rest is zero.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let at = self.pos >> 3;
        let word = match self.data.get(at..at + 8).and_then(|w| <[u8; 8]>::try_from(w).ok()) {
            Some(word) => u64::from_be_bytes(word),
            None => self.peek_at_end(at),
        };
        word << (self.pos & 7)
    }

    #[cold]
    fn peek_at_end(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        let rest = self.data.get(at..).unwrap_or_default();
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }

    /// Reads `count` bits, 1..=64.
    #[inline]
    pub(crate) fn read(&mut self, count: u32) -> u64 {
        if count <= 57 {
            let value = self.peek() >> (64 - count);
            self.pos += count as usize;
            return value;
        }
        let high = self.read(32);
        (high << (count - 32)) | self.read(count - 32)
    }

    /// Fails when more was read than there is.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), ChunkError> {
        if self.pos > self.data.len() * 8 { Err(ChunkError::Truncated) } else { Ok(()) }
    }

    /// Bits not yet read.
    pub(crate) fn left_bits(&self) -> usize {
        (self.data.len() * 8).saturating_sub(self.pos)
    }

    pub(crate) fn read_uvarint(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.read(8);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ChunkError::Corrupt("varint of more than ten bytes"))
    }

    pub(crate) fn read_varint(&mut self) -> Result<i64, ChunkError> {
        let raw = self.read_uvarint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_at_every_offset_reads_back() {
        for lead in 0..16u32 {
            for width in 1..=64u32 {
                let mut writer = BitWriter::with_header(0);
                for _ in 0..lead {
                    writer.put(1, 1);
                }
                let value = 0xdead_beef_cafe_f00d_u64 >> (64 - width);
                writer.put(value, width);
                writer.put(u64::MAX, 3);
                let bytes = writer.into_bytes();
                assert_eq!(bytes.len(), ((lead + width + 3) as usize).div_ceil(8));
                let mut reader = BitReader::new(&bytes, 0);
                for _ in 0..lead {
                    assert_eq!(reader.read(1), 1);
                }
                assert_eq!(reader.read(width), value);
                assert_eq!(reader.read(3), 7);
                assert_eq!(reader.check(), Ok(()));
                reader.read(8);
                assert_eq!(reader.check(), Err(ChunkError::Truncated));
            }
        }
    }

    #[test]
    fn varints_read_back() {
        for value in [0, 1, -1, 63, 64, -65, i64::MAX, i64::MIN, 1_700_000_000_000] {
            let mut writer = BitWriter::with_header(2);
            writer.put(0, 1);
            writer.put_varint(value);
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes, 2);
            reader.read(1);
            assert_eq!(reader.read_varint(), Ok(value));
        }
    }
}
