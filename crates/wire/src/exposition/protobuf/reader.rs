//! The wire encoding of protobuf, read in place.

use crate::exposition::ParseError;

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// Iterates over the fields of a message.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    pos: usize,
}

#[cold]
fn truncated() -> ParseError {
    ParseError::other("protobuf: unexpected EOF")
}

/// Reads a varint at `pos` and moves it on.
#[inline]
pub(super) fn varint(bytes: &[u8], pos: &mut usize) -> Result<u64, ParseError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*pos).ok_or_else(truncated)?;
        *pos += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ParseError::other("protobuf: integer overflow"))
}

/// Reads a length and as many bytes.
pub(super) fn length_delimited<'a>(bytes: &'a [u8], pos: &mut usize) -> Result<&'a [u8], ParseError> {
    let len = usize::try_from(varint(bytes, pos)?).map_err(|_| truncated())?;
    let end = pos.checked_add(len).ok_or_else(truncated)?;
    let slice = bytes.get(*pos..end).ok_or_else(truncated)?;
    *pos = end;
    Ok(slice)
}

impl<'a> Fields<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    /// The fields from offset `pos` on.
    pub fn from_offset(bytes: &'a [u8], pos: usize) -> Self {
        Self { bytes, pos }
    }

    /// The offset of the next field.
    pub fn offset(&self) -> usize {
        self.pos
    }

    /// The next field's number and value.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, ParseError> {
        if self.pos >= self.bytes.len() {
            return Ok(None);
        }
        let tag = varint(self.bytes, &mut self.pos)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(self.bytes, &mut self.pos)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => Value::Bytes(length_delimited(self.bytes, &mut self.pos)?),
            5 => self.fixed::<4>().map(|_| Value::Fixed32)?,
            other => return Err(ParseError::other(format!("protobuf: illegal wireType {other}"))),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let bytes =
            self.bytes.get(self.pos..).and_then(|rest| rest.first_chunk::<N>()).ok_or_else(truncated)?;
        self.pos += N;
        Ok(*bytes)
    }
}

impl<'a> Value<'a> {
    #[cold]
    fn wrong_type() -> ParseError {
        ParseError::other("protobuf: wrong wireType of a field")
    }

    pub fn bytes(self) -> Result<&'a [u8], ParseError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Self::wrong_type()),
        }
    }

    pub fn text(self) -> Result<&'a str, ParseError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|_| ParseError::other(format!("invalid UTF-8 string: {}", crate::quote::quoted(bytes))))
    }

    pub fn uint(self) -> Result<u64, ParseError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(Self::wrong_type()),
        }
    }

    pub fn double(self) -> Result<f64, ParseError> {
        match self {
            Self::Fixed64(bits) => Ok(double(bits)),
            _ => Err(Self::wrong_type()),
        }
    }

    pub fn sint(self) -> Result<i64, ParseError> {
        self.uint().map(zigzag)
    }

    /// Appends the numbers of a repeated `sint64`, packed or not.
    pub fn push_sints(self, out: &mut Vec<i64>) -> Result<(), ParseError> {
        let Self::Bytes(packed) = self else {
            out.push(self.sint()?);
            return Ok(());
        };
        let mut pos = 0;
        while pos < packed.len() {
            out.push(zigzag(varint(packed, &mut pos)?));
        }
        Ok(())
    }

    /// Appends the numbers of a repeated `double`, packed or not.
    pub fn push_doubles(self, out: &mut Vec<f64>) -> Result<(), ParseError> {
        let Self::Bytes(packed) = self else {
            out.push(self.double()?);
            return Ok(());
        };
        let (doubles, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(truncated());
        }
        out.extend(doubles.iter().map(|bytes| double(u64::from_le_bytes(*bytes))));
        Ok(())
    }
}

/// No target can forge a staleness marker: every NaN becomes the ordinary one.
fn double(bits: u64) -> f64 {
    let value = f64::from_bits(bits);
    if value.is_nan() { f64::from_bits(crate::number::NORMAL_NAN_BITS) } else { value }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
