//! Compressed parts of logs, read as a stream.

use std::fs::File;
use std::io::{self, BufReader, Read};

use super::mark::Follower;
use super::rotation::Compression;

/// Memory a Zstandard window may take, as a power of two.
const MAX_WINDOW_LOG: u32 = 27;

/// A compressed file, or one that is not, as one stream of bytes.
pub struct Stream(Box<dyn Read + Send>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl Stream {
    /// The content of a file from its beginning.
    pub fn open(file: File, compression: Compression) -> io::Result<Self> {
        let file = BufReader::with_capacity(64 << 10, file);
        Ok(Self(match compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(file)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Box::new(decoder)
            }
        }))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A compressed file that is being read: what was decompressed and is not stored yet is kept.
#[derive(Debug)]
pub struct Archive {
    stream: Stream,
    /// Bytes from the offset on.
    held: Vec<u8>,
    /// What lies before the offset.
    before: Follower,
    is_at_end: bool,
}

impl Archive {
    /// Opens a file and goes to an offset. A file that is shorter ends there.
    pub fn open(file: File, compression: Compression, offset: u64) -> io::Result<Self> {
        let mut stream = Stream::open(file, compression)?;
        let mut before = Follower::default();
        let is_at_end = before.read(&mut stream, offset)? < offset;
        Ok(Self { stream, held: Vec::new(), before, is_at_end })
    }

    /// Up to `limit` bytes from the offset on, and whether nothing comes behind them.
    pub fn peek(&mut self, limit: usize) -> io::Result<(&[u8], bool)> {
        while self.held.len() < limit && !self.is_at_end {
            let from = self.held.len();
            self.held.resize(limit, 0);
            let read = self.stream.read(&mut self.held[from..]);
            self.held.truncate(from + *read.as_ref().unwrap_or(&0));
            self.is_at_end = read? == 0;
        }
        let seen = limit.min(self.held.len());
        Ok((&self.held[..seen], self.is_at_end && seen == self.held.len()))
    }

    /// Moves the offset.
    pub fn advance(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held.len());
        self.before.take(&self.held[..bytes]);
        self.held.drain(..bytes);
    }

    /// The mark of what lies `ahead` bytes behind the offset.
    pub fn mark(&self, ahead: usize) -> super::mark::Mark {
        let mut follower = self.before.clone();
        follower.take(&self.held[..ahead.min(self.held.len())]);
        follower.mark()
    }
}
