//! Frames of a stream: the length as a varint, the CRC-32C (Castagnoli) of the message in four big-endian
//! bytes, the message.

use crate::protobuf::{Problem, put_varint, varint};

/// Why a stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message is larger than allowed.
    #[error("chunkedReader: message size exceeded the limit {limit_bytes} bytes; got: {bytes} bytes")]
    TooLarge {
        /// The setting `chunked_read_limit`.
        limit_bytes: u64,
        /// The announced size.
        bytes: u64,
    },
    /// The checksum is another.
    #[error("chunkedReader: corrupted frame; checksum mismatch")]
    Checksum,
    /// The length is no number.
    #[error("chunkedReader: length of a frame overflows 64 bits")]
    Length,
    /// The stream ends within a frame.
    #[error("unexpected EOF")]
    CutOff,
}

/// Appends a message in its frame.
pub fn put_frame(out: &mut Vec<u8>, message: &[u8]) {
    put_varint(out, message.len() as u64);
    out.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
    out.extend_from_slice(message);
}

const CHECKSUM_BYTES: usize = 4;

/// Finds the messages in a stream that comes in pieces. It holds what came and was not asked for yet: at most
/// one message that is not complete, and the last piece.
#[derive(Debug)]
pub struct FrameReader {
    limit_bytes: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl FrameReader {
    /// Refuses messages of more than `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, buffer: Vec::new(), at: 0 }
    }

    /// Adds the next piece of the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// Bytes held.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next message that is complete.
    #[allow(clippy::should_implement_trait, reason = "it lends what it holds")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let rest = &self.buffer[self.at..];
        let (bytes, head) = match varint(rest, 0) {
            Ok(found) => found,
            Err(Problem::Truncated) => return Ok(None),
            Err(_) => return Err(FrameError::Length),
        };
        if bytes > self.limit_bytes {
            return Err(FrameError::TooLarge { limit_bytes: self.limit_bytes, bytes });
        }
        let Some((checksum, rest)) = rest[head..].split_first_chunk::<CHECKSUM_BYTES>() else {
            return Ok(None);
        };
        let Some(message) = usize::try_from(bytes).ok().and_then(|len| rest.get(..len)) else {
            return Ok(None);
        };
        if crc32c::crc32c(message) != u32::from_be_bytes(*checksum) {
            return Err(FrameError::Checksum);
        }
        let start = self.at + head + CHECKSUM_BYTES;
        self.at = start + message.len();
        Ok(Some(&self.buffer[start..self.at]))
    }

    /// Fails when the stream ended within a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.at == self.buffer.len() { Ok(()) } else { Err(FrameError::CutOff) }
    }
}
