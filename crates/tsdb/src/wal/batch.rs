//! The records of one commit, encoded and compressed before any lock is taken.

use super::WalError;
use super::compression::{Compression, Compressor};

/// Records ready to be framed and written together. Reusable.
#[derive(Debug)]
pub struct RecordBatch {
    compressor: Compressor,
    raw: Vec<u8>,
    data: Vec<u8>,
    records: Vec<(usize, Compression)>,
    saved_bytes: u64,
}

impl RecordBatch {
    /// An empty batch.
    pub fn new(compression: Compression) -> Self {
        Self {
            compressor: Compressor::new(compression),
            raw: Vec::new(),
            data: Vec::new(),
            records: Vec::new(),
            saved_bytes: 0,
        }
    }

    /// Adds the record that `encode` appends to the buffer it is given; nothing when it appends nothing.
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), WalError> {
        self.raw.clear();
        encode(&mut self.raw);
        if self.raw.is_empty() {
            return Ok(());
        }
        let before = self.data.len();
        let how = self.compressor.append(&self.raw, &mut self.data)?;
        self.saved_bytes += (self.raw.len() - (self.data.len() - before)) as u64;
        self.records.push((self.data.len(), how));
        Ok(())
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all records, compressed.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Bytes that compression saved.
    pub fn saved_bytes(&self) -> u64 {
        self.saved_bytes
    }

    /// Removes all records. Buffers grown by an unusually large batch are given back.
    pub fn clear(&mut self) {
        const KEEP_BYTES: usize = 1 << 20;
        for buffer in [&mut self.raw, &mut self.data] {
            buffer.clear();
            buffer.shrink_to(KEEP_BYTES);
        }
        self.records.clear();
        self.saved_bytes = 0;
    }

    /// The records: compression and compressed bytes.
    pub fn records(&self) -> impl Iterator<Item = (Compression, &[u8])> {
        let mut start = 0;
        self.records.iter().map(move |&(end, how)| {
            let record = &self.data[start..end];
            start = end;
            (how, record)
        })
    }
}
