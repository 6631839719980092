//! Integers and strings as log records hold them: big-endian fixed width, and varints as Protocol Buffers
//! define them (zig-zag for signed ones).

use super::record::RecordError;

/// Appends an unsigned varint.
#[inline]
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed varint, zig-zag encoded.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends eight big-endian bytes.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends eight big-endian bytes.
#[inline]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends the eight big-endian bytes of a float's bits.
#[inline]
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    put_u64(out, value.to_bits());
}

/// Appends a length as varint and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the `put_*` functions wrote; every method fails at the end of the input instead of
/// panicking.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A decoder over `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], RecordError> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(RecordError::Truncated);
        };
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, RecordError> {
        let Some((&first, rest)) = self.rest.split_first() else {
            return Err(RecordError::Truncated);
        };
        self.rest = rest;
        Ok(first)
    }

    /// Eight big-endian bytes.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, RecordError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<8>() else {
            return Err(RecordError::Truncated);
        };
        self.rest = rest;
        Ok(u64::from_be_bytes(*bytes))
    }

    /// Eight big-endian bytes, signed.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(self.u64()? as i64)
    }

    /// The eight big-endian bytes of a float.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, RecordError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// An unsigned varint of at most 64 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u64, RecordError> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(RecordError::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift > 63 {
                return Err(RecordError::Varint);
            }
        }
    }

    /// A zig-zag varint.
    #[inline]
    pub fn varint(&mut self) -> Result<i64, RecordError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A count of items that take at least `item_bytes` each: more than could follow is refused before
    /// anything is allocated.
    pub fn count(&mut self, item_bytes: usize) -> Result<usize, RecordError> {
        let count = self.uvarint()?;
        match usize::try_from(count) {
            Ok(n) if n <= self.rest.len() / item_bytes.max(1) => Ok(n),
            _ => Err(RecordError::Truncated),
        }
    }

    /// Bytes with their length before them.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let len = self.uvarint()?;
        self.take(usize::try_from(len).map_err(|_| RecordError::Truncated)?)
    }

    /// A UTF-8 string with its length before it.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| RecordError::Utf8)
    }
}
