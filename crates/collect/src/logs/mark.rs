//! What tells contents apart: hashes of the first bytes that were read and of the last ones.
//!
//! Inodes are given to new files again, and rotation may copy a file and empty it. A mark says whether a file still, or
//! whether a copy or a compressed one as well, begins with what was read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes at either end that are looked at.
pub const MARK_BYTES: u64 = 1024;

/// Hashes of the bytes before an offset: of the first ones and of the last ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// XXH3 of the first bytes, at most [`MARK_BYTES`].
    pub head: u64,
    /// XXH3 of the last bytes before the offset, at most [`MARK_BYTES`].
    pub tail: u64,
}

/// How contents compare with a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// They are others.
    Other,
    /// They begin the same, but end before the offset.
    Shorter,
    /// They hold what was read.
    Same,
}

/// How many bytes before an offset are looked at.
pub fn window(offset: u64) -> usize {
    offset.min(MARK_BYTES) as usize
}

impl Mark {
    /// The mark of nothing, at the beginning of a file.
    pub fn nothing() -> Self {
        Self { head: xxh3_64(&[]), tail: xxh3_64(&[]) }
    }

    /// The mark behind `bytes`, of which `ahead` lie before the place this is the mark of. They have to begin
    /// [`MARK_BYTES`] before that place, or at the beginning of the file.
    pub fn behind(&self, bytes: &[u8], ahead: usize) -> Self {
        let limit = MARK_BYTES as usize;
        let head = if ahead == limit { self.head } else { xxh3_64(&bytes[..bytes.len().min(limit)]) };
        Self { head, tail: xxh3_64(&bytes[bytes.len().saturating_sub(limit)..]) }
    }

    /// Whether bytes are the last ones before the place this is the mark of.
    pub fn ends_with(&self, bytes: &[u8]) -> bool {
        xxh3_64(bytes) == self.tail
    }

    /// The mark of what lies before `offset`.
    pub fn of(file: &File, offset: u64) -> io::Result<Self> {
        let mut bytes = vec![0; window(offset)];
        file.read_exact_at(&mut bytes, 0)?;
        let head = xxh3_64(&bytes);
        file.read_exact_at(&mut bytes, offset - window(offset) as u64)?;
        Ok(Self { head, tail: xxh3_64(&bytes) })
    }

    /// Whether a file holds what was read up to `offset`.
    pub fn compare(&self, file: &File, offset: u64) -> io::Result<Likeness> {
        let len = file.metadata()?.len();
        let mut bytes = vec![0; window(offset)];
        if len < bytes.len() as u64 {
            return Ok(Likeness::Other);
        }
        file.read_exact_at(&mut bytes, 0)?;
        if xxh3_64(&bytes) != self.head {
            return Ok(Likeness::Other);
        }
        if len < offset {
            // Few bytes say nothing.
            let is_long = bytes.len() as u64 == MARK_BYTES;
            return Ok(if is_long { Likeness::Shorter } else { Likeness::Other });
        }
        file.read_exact_at(&mut bytes, offset - window(offset) as u64)?;
        Ok(if xxh3_64(&bytes) == self.tail { Likeness::Same } else { Likeness::Other })
    }

    /// The same of what can only be read once; afterwards it stands at `offset` if it is the same.
    pub fn compare_stream(&self, stream: &mut impl Read, offset: u64) -> io::Result<Likeness> {
        let mut follower = Follower::default();
        let reached = follower.read(stream, window(offset) as u64)?;
        if reached < window(offset) as u64 || xxh3_64(&follower.last) != self.head {
            return Ok(Likeness::Other);
        }
        if follower.read(stream, offset)? < offset {
            let is_long = offset >= MARK_BYTES;
            return Ok(if is_long { Likeness::Shorter } else { Likeness::Other });
        }
        Ok(if xxh3_64(&follower.last) == self.tail { Likeness::Same } else { Likeness::Other })
    }
}

/// The last bytes of what is read one after the other, for marks of streams.
#[derive(Debug, Default, Clone)]
pub struct Follower {
    head: Vec<u8>,
    last: Vec<u8>,
    read: u64,
}

impl Follower {
    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        let limit = MARK_BYTES as usize;
        let missing = (limit - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        let kept = &bytes[bytes.len().saturating_sub(limit)..];
        let surplus = (self.last.len() + kept.len()).saturating_sub(limit);
        self.last.drain(..surplus);
        self.last.extend_from_slice(kept);
        self.read += bytes.len() as u64;
    }

    /// The mark of all that was taken.
    pub fn mark(&self) -> Mark {
        Mark { head: xxh3_64(&self.head), tail: xxh3_64(&self.last) }
    }

    /// Reads up to `until` bytes in total; returns how many were read in total.
    pub fn read(&mut self, stream: &mut impl Read, until: u64) -> io::Result<u64> {
        let mut buffer = [0; 16 << 10];
        while self.read < until {
            let wanted = (until - self.read).min(buffer.len() as u64) as usize;
            match stream.read(&mut buffer[..wanted]) {
                Ok(0) => break,
                Ok(read) => self.take(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_and_streams_have_the_same_marks() {
        let content: Vec<u8> = (0..5000_u32).flat_map(|i| i.to_le_bytes()).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        for offset in [0, 1, 700, 1024, 1025, 3000, 20_000_usize] {
            let mark = Mark::of(&file, offset as u64).unwrap();
            let mut follower = Follower::default();
            follower.read(&mut &content[..], offset as u64).unwrap();
            assert_eq!(follower.mark(), mark, "{offset}");
            let compared = |bytes: &[u8]| {
                let mut other = tempfile::tempfile().unwrap();
                other.write_all(bytes).unwrap();
                let stream = mark.compare_stream(&mut &*bytes, offset as u64).unwrap();
                assert_eq!(mark.compare(&other, offset as u64).unwrap(), stream, "{offset}");
                stream
            };
            assert_eq!(compared(&content), Likeness::Same);
            assert_eq!(compared(&content[..offset]), Likeness::Same);
            if offset > 0 {
                assert_eq!(compared(&[&[9], &content[1..]].concat()), Likeness::Other);
                let shorter = if offset > 1024 { Likeness::Shorter } else { Likeness::Other };
                assert_eq!(compared(&content[..offset - 1]), shorter);
                let mut changed = content.clone();
                changed[offset - 1] ^= 1;
                assert_eq!(compared(&changed), Likeness::Other);
            }
        }
    }
}
