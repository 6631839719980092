//! As much of MessagePack as members of a cluster speak: maps of names to numbers, texts, bytes and booleans.
//!
//! Written is the oldest form of the format, without types for texts of one byte of length and for bytes, which
//! every version of the other implementation reads. Read is any form.

/// Levels of nesting of what is skipped.
const DEEPEST: u8 = 8;

/// Why bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MsgpackError {
    /// The end is missing: so many more bytes are needed at least.
    #[error("the message is cut off")]
    Short(usize),
    /// A value has another type than it must have.
    #[error("unexpected type 0x{0:02x}")]
    Type(u8),
    /// A number is out of its range.
    #[error("a number is out of range")]
    Range,
    /// Values are nested too deeply.
    #[error("values are nested too deeply")]
    Depth,
}

/// Reads values one after another.
#[derive(Debug, Clone)]
pub struct MapReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MapReader<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], MsgpackError> {
        let left = self.bytes.len() - self.at;
        let taken = self.bytes[self.at..].get(..len).ok_or(MsgpackError::Short(len.saturating_sub(left)))?;
        self.at += len;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, MsgpackError> {
        Ok(self.take(1)?[0])
    }

    /// A big-endian number of `len` bytes, eight at most.
    fn big_endian(&mut self, len: usize) -> Result<u64, MsgpackError> {
        Ok(self.take(len)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The number of entries of the map that begins here.
    pub fn map(&mut self) -> Result<usize, MsgpackError> {
        match self.byte()? {
            tag @ 0x80..=0x8f => Ok(usize::from(tag & 0x0f)),
            0xde => Ok(self.big_endian(2)? as usize),
            0xdf => Ok(self.big_endian(4)? as usize),
            other => Err(MsgpackError::Type(other)),
        }
    }

    /// Bytes or a text; nothing counts as none.
    pub fn bytes(&mut self) -> Result<&'a [u8], MsgpackError> {
        let len = match self.byte()? {
            0xc0 => 0,
            tag @ 0xa0..=0xbf => u64::from(tag & 0x1f),
            0xd9 | 0xc4 => self.big_endian(1)?,
            0xda | 0xc5 => self.big_endian(2)?,
            0xdb | 0xc6 => self.big_endian(4)?,
            other => return Err(MsgpackError::Type(other)),
        };
        self.take(len as usize)
    }

    /// A text; what is no Unicode in it is replaced.
    pub fn text(&mut self) -> Result<String, MsgpackError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// A number that is not negative.
    pub fn uint(&mut self) -> Result<u64, MsgpackError> {
        let signed = |number: u64, bits: u32| {
            let number = (number << (64 - bits)) as i64 >> (64 - bits);
            u64::try_from(number).map_err(|_| MsgpackError::Range)
        };
        match self.byte()? {
            tag @ 0..=0x7f => Ok(u64::from(tag)),
            0xcc => self.big_endian(1),
            0xcd => self.big_endian(2),
            0xce => self.big_endian(4),
            0xcf => self.big_endian(8),
            0xd0 => signed(self.big_endian(1)?, 8),
            0xd1 => signed(self.big_endian(2)?, 16),
            0xd2 => signed(self.big_endian(4)?, 32),
            0xd3 => signed(self.big_endian(8)?, 64),
            0xe0..=0xff => Err(MsgpackError::Range),
            other => Err(MsgpackError::Type(other)),
        }
    }

    /// A number in the range of its field.
    pub fn number<T: TryFrom<u64>>(&mut self) -> Result<T, MsgpackError> {
        T::try_from(self.uint()?).map_err(|_| MsgpackError::Range)
    }

    /// A boolean.
    pub fn bool(&mut self) -> Result<bool, MsgpackError> {
        match self.byte()? {
            0xc2 | 0xc0 => Ok(false),
            0xc3 => Ok(true),
            other => Err(MsgpackError::Type(other)),
        }
    }

    /// Passes over a value of any type.
    pub fn skip(&mut self) -> Result<(), MsgpackError> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, depth: u8) -> Result<(), MsgpackError> {
        let depth = depth.checked_sub(1).ok_or(MsgpackError::Depth)?;
        let tag = self.byte()?;
        let (len, values) = match tag {
            0..=0x7f | 0xe0..=0xff | 0xc0..=0xc3 => (0, 0),
            0x80..=0x8f => (0, 2 * u64::from(tag & 0x0f)),
            0x90..=0x9f => (0, u64::from(tag & 0x0f)),
            0xa0..=0xbf => (u64::from(tag & 0x1f), 0),
            0xc4 | 0xd9 => (self.big_endian(1)?, 0),
            0xc5 | 0xda => (self.big_endian(2)?, 0),
            0xc6 | 0xdb => (self.big_endian(4)?, 0),
            // Extensions: a length, a type, the bytes.
            0xc7 => (self.big_endian(1)? + 1, 0),
            0xc8 => (self.big_endian(2)? + 1, 0),
            0xc9 => (self.big_endian(4)? + 1, 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 => (2, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd4..=0xd8 => (1 + (1 << (tag - 0xd4)), 0),
            0xdc => (0, self.big_endian(2)?),
            0xdd => (0, self.big_endian(4)?),
            0xde => (0, 2 * self.big_endian(2)?),
            0xdf => (0, 2 * self.big_endian(4)?),
        };
        self.take(len as usize)?;
        // Each value has a byte at least, so that this ends with the bytes.
        (0..values).try_for_each(|_| self.skip_within(depth))
    }
}

/// Appends the head of a map.
pub fn put_map(out: &mut Vec<u8>, entries: u8) {
    debug_assert!(entries < 16, "maps here are small");
    out.push(0x80 | entries);
}

/// Appends bytes or a text, behind the name of its field.
pub fn put_bytes(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    put_raw(out, name.as_bytes());
    put_raw(out, bytes);
}

fn put_raw(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=31 => out.push(0xa0 | len as u8),
        len @ 32..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// Appends a number, behind the name of its field.
pub fn put_uint(out: &mut Vec<u8>, name: &str, number: u64) {
    put_raw(out, name.as_bytes());
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Appends a boolean, behind the name of its field.
pub fn put_bool(out: &mut Vec<u8>, name: &str, value: bool) {
    put_raw(out, name.as_bytes());
    out.push(if value { 0xc3 } else { 0xc2 });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_survive_in_all_sizes() {
        for number in [0, 127, 128, 255, 256, 65535, 65536, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_uint(&mut out, "N", number);
            let mut reader = MapReader::new(&out);
            assert_eq!((reader.text().unwrap().as_str(), reader.uint()), ("N", Ok(number)));
        }
        for len in [0, 31, 32, 65535, 65536] {
            let mut out = Vec::new();
            put_bytes(&mut out, "B", &vec![7; len]);
            let mut reader = MapReader::new(&out);
            reader.skip().unwrap();
            assert_eq!(reader.bytes().unwrap().len(), len);
            assert_eq!(reader.position(), out.len());
        }
    }

    #[test]
    fn signed_numbers_are_read_where_they_are_not_negative() {
        assert_eq!(MapReader::new(&[0xd1, 0x01, 0x00]).uint(), Ok(256));
        assert_eq!(MapReader::new(&[0xd0, 0xff]).uint(), Err(MsgpackError::Range));
        assert_eq!(MapReader::new(&[0xff]).uint(), Err(MsgpackError::Range));
        assert_eq!(MapReader::new(&[0xcd, 0x01, 0x00]).number::<u8>(), Err(MsgpackError::Range));
    }

    #[test]
    fn anything_is_passed_over_and_nothing_read_beyond_the_end() {
        let nested =
            [0x82, 0xa1, b'a', 0x93, 1, 0xc0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1, b'b', 0xd4, 5, 6, 9];
        let mut reader = MapReader::new(&nested);
        reader.skip().unwrap();
        assert_eq!(reader.position(), nested.len() - 1);
        assert_eq!(MapReader::new(&nested[..9]).skip(), Err(MsgpackError::Short(6)));
        assert_eq!(MapReader::new(&[0x91; 20]).skip(), Err(MsgpackError::Depth));
        assert_eq!(MapReader::new(&[0xdf, 255, 255, 255, 255]).skip(), Err(MsgpackError::Short(1)));
        assert_eq!(MapReader::new(&[0xdb, 0, 0, 0, 5, 1]).bytes(), Err(MsgpackError::Short(4)));
    }
}
