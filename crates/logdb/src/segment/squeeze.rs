//! Compression of pages.

use blob::BlobError;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// From this level on text is compressed in two ways, and the better result is kept.
const THOROUGH_LEVEL: i32 = 6;
/// Text that quick compression makes no smaller than this share of it has nothing that a longer search would find.
const WILD_SHARE: f64 = 0.5;
/// A result that is this much larger is kept if it is quicker to read: it has fewer matches.
const QUICK_SHARE: f64 = 1.01;
/// The shortest match of a thorough search. Shorter ones, which numbers in text have many of, save less than they take to
/// write down, and cost time when they are read.
const MIN_MATCH: u32 = 6;

/// Compresses pages as frames of zstd.
pub struct Squeezer {
    plain: Compressor<'static>,
    quick: Compressor<'static>,
    thorough: Option<Compressor<'static>>,
    stored: Vec<u8>,
    other: Vec<u8>,
}

fn failed(error: std::io::Error) -> BlobError {
    BlobError::failed("zstd", error)
}

fn compressor(level: i32) -> Result<Compressor<'static>, BlobError> {
    let mut compressor = Compressor::new(level).map_err(failed)?;
    compressor.include_checksum(false).map_err(failed)?;
    Ok(compressor)
}

fn compress(compressor: &mut Compressor<'_>, raw: &[u8], out: &mut Vec<u8>) -> Result<(), BlobError> {
    out.clear();
    out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
    compressor.compress_to_buffer(raw, out).map(drop).map_err(failed)
}

impl Squeezer {
    /// Compresses at a level of zstd.
    pub fn new(level: i32) -> Result<Self, BlobError> {
        let thorough = match level {
            THOROUGH_LEVEL.. => {
                let mut thorough = compressor(level)?;
                thorough.set_parameter(CParameter::MinMatch(MIN_MATCH)).map_err(failed)?;
                Some(thorough)
            }
            _ => None,
        };
        let plain = compressor(level.min(THOROUGH_LEVEL))?;
        Ok(Self { plain, quick: compressor(1)?, thorough, stored: Vec::new(), other: Vec::new() })
    }

    /// Numbers, levels and everything small.
    pub fn pack(&mut self, raw: &[u8]) -> Result<&[u8], BlobError> {
        compress(&mut self.plain, raw, &mut self.stored)?;
        Ok(&self.stored)
    }

    /// Text: lines and values.
    pub fn pack_text(&mut self, raw: &[u8]) -> Result<&[u8], BlobError> {
        compress(&mut self.quick, raw, &mut self.stored)?;
        if let Some(thorough) = &mut self.thorough
            && (self.stored.len() as f64) < raw.len() as f64 * WILD_SHARE
        {
            compress(thorough, raw, &mut self.other)?;
            if self.other.len() as f64 * QUICK_SHARE < self.stored.len() as f64 {
                std::mem::swap(&mut self.stored, &mut self.other);
            }
        }
        Ok(&self.stored)
    }

    /// Whether numbers are better written as whole bytes, when both ways were tried.
    pub fn prefers(&mut self, bits: &[u8], bytes: &[u8]) -> Result<bool, BlobError> {
        let bits = self.pack(bits)?.len();
        Ok(self.pack(bytes)?.len() < bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_in_any_way() {
        let words = |n: u64| format!("{:x} ", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let wild: String = (0..3000).map(words).collect();
        let tame: String = (0..3000).map(|n| format!("line {} took {} ms\n", n, n % 17)).collect();
        for level in [1, 9] {
            let mut squeezer = Squeezer::new(level).unwrap();
            for raw in [wild.as_bytes(), tame.as_bytes(), b""] {
                let unpack = |stored: &[u8]| zstd::bulk::decompress(stored, raw.len()).unwrap();
                assert_eq!(unpack(squeezer.pack_text(raw).unwrap()), raw);
                assert_eq!(unpack(squeezer.pack(raw).unwrap()), raw);
            }
        }
        let mut thorough = Squeezer::new(9).unwrap();
        let quick = Squeezer::new(1).unwrap().pack_text(tame.as_bytes()).unwrap().len();
        assert!(thorough.pack_text(tame.as_bytes()).unwrap().len() < quick);
    }
}
