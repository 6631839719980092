//! Integers and byte strings of the formats of this crate: little-endian, and base-128 varints.

use model::labels::Labels;

/// What is read is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub &'static str);

/// Appends an unsigned varint.
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed varint, zig-zag encoded.
pub fn put_ivarint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, zigzag(value));
}

/// Small numbers of either sign as small numbers without.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Appends a length and bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a label set: the number of labels, then names and values.
pub fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// Bytes to read from. Nothing it reads is trusted.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    rest: &'a [u8],
}

const CUT_SHORT: Damaged = Damaged("cut short");

impl<'a> Input<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, Damaged> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, Damaged> {
        let low = u64::from(self.u32()?);
        Ok(low | u64::from(self.u32()?) << 32)
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged("a number is too long"))
    }

    /// A signed varint.
    pub fn ivarint(&mut self) -> Result<i64, Damaged> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// An unsigned varint that is a size in memory.
    pub fn size(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.uvarint()?).map_err(|_| Damaged("a size is too large"))
    }

    /// The number of things that follow, each of which has at least `least_bytes`: a number that cannot be true is
    /// refused before memory is taken for it.
    pub fn count(&mut self, least_bytes: usize) -> Result<usize, Damaged> {
        let count = self.size()?;
        if count.checked_mul(least_bytes.max(1)).is_some_and(|bytes| bytes <= self.rest.len()) {
            Ok(count)
        } else {
            Err(Damaged("a count is more than can follow"))
        }
    }

    /// A length and bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.size()?;
        self.take(len)
    }

    /// A length and UTF-8.
    pub fn str(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged("not UTF-8"))
    }

    /// A label set.
    pub fn labels(&mut self) -> Result<Labels, Damaged> {
        let mut pairs = Vec::new();
        for _ in 0..self.count(2)? {
            pairs.push((self.str()?, self.str()?));
        }
        let sorted = pairs.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if sorted && pairs.iter().all(|(_, value)| !value.is_empty()) {
            Ok(Labels::from_sorted(pairs.into_iter()))
        } else {
            Err(Damaged("labels are not in order"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read_and_more_is_refused() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2")]);
        let mut out = Vec::new();
        for value in [0, 1, 127, 128, u64::MAX] {
            put_uvarint(&mut out, value);
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            put_ivarint(&mut out, value);
        }
        put_labels(&mut out, &labels);
        let mut input = Input::new(&out);
        for value in [0, 1, 127, 128, u64::MAX] {
            assert_eq!(input.uvarint(), Ok(value));
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(input.ivarint(), Ok(value));
        }
        assert_eq!(input.labels(), Ok(labels));
        assert!(input.is_empty());
        assert_eq!(input.u8(), Err(CUT_SHORT));
        assert!(Input::new(&[0xff; 11]).uvarint().is_err());
        assert!(Input::new(&[200, 1, 0]).count(1).is_err());
        assert!(Input::new(&[2, 1, b'b', 1, b'x', 1, b'a', 1, b'x']).labels().is_err());
    }
}
