//! Compression of single records.

use std::io::Read;

use super::WalError;

/// How records of a log are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy, block format.
    #[default]
    Snappy,
    /// Zstandard.
    Zstd,
}

/// A record never decompresses to more than this: a damaged length cannot exhaust memory.
pub const MAX_RECORD_BYTES: usize = 512 << 20;

const ZSTD_LEVEL: i32 = 1;

/// Compresses records; keeps its tables between calls.
pub struct Compressor {
    how: Compression,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("how", &self.how).finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor.
    pub fn new(how: Compression) -> Self {
        Self { how, snappy: snap::raw::Encoder::new(), zstd: None }
    }

    /// Appends `record` to `out`, compressed if that makes it smaller, and tells how it was done.
    pub fn append(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<Compression, WalError> {
        let start = out.len();
        let failed = |error: &dyn std::fmt::Display| WalError::Compression(error.to_string());
        let written = match self.how {
            Compression::None => usize::MAX,
            _ if record.is_empty() => usize::MAX,
            Compression::Snappy => {
                out.resize(start + snap::raw::max_compress_len(record.len()), 0);
                self.snappy.compress(record, &mut out[start..]).map_err(|e| failed(&e))?
            }
            Compression::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = Some(zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|e| failed(&e))?);
                }
                let zstd = self.zstd.as_mut().expect("set above when it was missing");
                out.resize(start + zstd::zstd_safe::compress_bound(record.len()), 0);
                zstd.compress_to_buffer(record, &mut out[start..]).map_err(|e| failed(&e))?
            }
        };
        if written >= record.len() {
            out.truncate(start);
            out.extend_from_slice(record);
            return Ok(Compression::None);
        }
        out.truncate(start + written);
        Ok(self.how)
    }
}

/// Replaces `out` with the decompressed `data`; a text tells why that is impossible.
pub fn decompress(how: Compression, data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    match how {
        Compression::None => out.extend_from_slice(data),
        Compression::Snappy => {
            let len = snap::raw::decompress_len(data).map_err(|e| e.to_string())?;
            if len > MAX_RECORD_BYTES {
                return Err(format!("record of {len} bytes is larger than any record may be"));
            }
            out.resize(len, 0);
            snap::raw::Decoder::new().decompress(data, out).map_err(|e| e.to_string())?;
        }
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::new(data).map_err(|e| e.to_string())?;
            let limit = MAX_RECORD_BYTES as u64 + 1;
            let read = decoder.take(limit).read_to_end(out).map_err(|e| e.to_string())?;
            if read > MAX_RECORD_BYTES {
                return Err("record is larger than any record may be".to_owned());
            }
        }
    }
    Ok(())
}
