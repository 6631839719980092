//! Decompression that never holds more than it was allowed to.

use std::io::{self, Read};

use base::Reservation;
use base::budget::BudgetExceeded;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// `gzip`, of one or more members.
    Gzip,
    /// `zstd`.
    Zstd,
    /// `deflate`, without a header.
    Deflate,
    /// One Snappy block, as remote write uses it.
    SnappyBlock,
}

impl Compression {
    /// The compression a `Content-Encoding` header names.
    pub fn of_content_encoding(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "snappy" => Some(Self::SnappyBlock),
            _ => None,
        }
    }
}

/// Why a body could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// It is larger than allowed; `limit` names the setting.
    #[error("{limit}: decompressed body exceeds the limit of {limit_bytes} bytes")]
    LimitExceeded {
        /// The setting.
        limit: &'static str,
        /// Its value.
        limit_bytes: usize,
    },
    /// It is damaged.
    #[error("{0}")]
    Damaged(String),
    /// Others hold the memory it needs.
    #[error(transparent)]
    Memory(#[from] BudgetExceeded),
}

/// What a body may grow to.
#[derive(Debug, Clone, Copy)]
pub struct SizeLimit {
    /// The setting, for errors.
    pub name: &'static str,
    /// The most bytes a decompressed body may have.
    pub bytes: usize,
}

impl SizeLimit {
    /// The error of a body that is larger.
    pub fn exceeded(self) -> DecompressError {
        DecompressError::LimitExceeded { limit: self.name, limit_bytes: self.bytes }
    }
}

/// Appends the decompressed `input` to `out`, at most `limit` bytes of it.
pub fn decompress(
    compression: Compression,
    input: &[u8],
    limit: SizeLimit,
    out: &mut Vec<u8>,
) -> Result<(), DecompressError> {
    decompress_into(compression, input, limit, out, &mut |_, _| Ok(()))
}

/// The decompressed `input`, at most `limit` bytes of it, in memory that `memory` grows by as it is needed.
pub fn decompress_within(
    compression: Compression,
    input: &[u8],
    limit: SizeLimit,
    memory: &mut Reservation,
) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    decompress_into(compression, input, limit, &mut out, &mut |before, after| {
        // While they move, the bytes are there twice.
        memory.grow(after)?;
        memory.shrink_to(memory.bytes() - before);
        Ok(())
    })?;
    Ok(out)
}

/// Is told the capacity a buffer has and the one it gets, before it gets it.
type Grow<'g> = dyn FnMut(usize, usize) -> Result<(), BudgetExceeded> + 'g;

fn decompress_into(
    compression: Compression,
    input: &[u8],
    limit: SizeLimit,
    out: &mut Vec<u8>,
    grow: &mut Grow<'_>,
) -> Result<(), DecompressError> {
    match compression {
        Compression::Gzip => {
            read_capped(flate2::bufread::MultiGzDecoder::new(input), limit, out, grow, gzip_problem)
        }
        Compression::Deflate => {
            let decoder = flate2::bufread::DeflateDecoder::new(input);
            read_capped(decoder, limit, out, grow, |error| format!("deflate: {error}"))
        }
        Compression::Zstd => {
            let damaged = |error: io::Error| DecompressError::Damaged(format!("zstd: {error}"));
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(damaged)?;
            // The window is allocated before any output, so it must not be much beyond the limit. But many
            // encoders declare eight mebibytes however small the body is.
            let window_log = limit.bytes.max(1 << 10).checked_next_power_of_two().map_or(27, usize::ilog2);
            decoder.window_log_max(window_log.clamp(23, 27)).map_err(damaged)?;
            read_capped(decoder, limit, out, grow, |error| format!("zstd: {error}"))
        }
        Compression::SnappyBlock => decompress_snappy(input, limit, out, grow),
    }
}

/// How large a Snappy block says its content is: to be checked before room is made for it.
pub fn snappy_len(input: &[u8]) -> Result<usize, DecompressError> {
    snap::raw::decompress_len(input).map_err(|error| DecompressError::Damaged(error.to_string()))
}

/// A Snappy block of `input`. Fails only for 4 GiB and more.
pub fn compress_snappy(input: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let compressed = snap::raw::Encoder::new().compress_vec(input);
    compressed.map_err(|error| DecompressError::Damaged(error.to_string()))
}

/// Bytes by which a buffer grows at least.
const STEP_BYTES: usize = 64 << 10;

/// What is wrong with a gzip body, in the words operators know from targets' `lastError`.
fn gzip_problem(error: &io::Error) -> String {
    let text = error.to_string();
    match text.as_str() {
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        "incomplete deflate stream" => "unexpected EOF".to_owned(),
        "invalid gzip header" => "gzip: invalid header".to_owned(),
        "corrupt gzip stream does not have a matching checksum" => "gzip: invalid checksum".to_owned(),
        _ => format!("gzip: {text}"),
    }
}

fn read_capped(
    mut from: impl Read,
    limit: SizeLimit,
    out: &mut Vec<u8>,
    grow: &mut Grow<'_>,
    problem: impl Fn(&io::Error) -> String,
) -> Result<(), DecompressError> {
    let start = out.len();
    let mut filled = start;
    loop {
        if filled == out.len() {
            let have = filled - start;
            // One byte more than allowed tells a full body from one that is too large.
            let wanted = have.max(STEP_BYTES).min((limit.bytes - have).saturating_add(1));
            if filled + wanted > out.capacity() {
                grow(out.capacity(), filled + wanted)?;
            }
            out.reserve_exact(wanted);
            out.resize(filled + wanted, 0);
        }
        let read = match from.read(&mut out[filled..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other,
        };
        match read {
            Ok(0) => {
                out.truncate(filled);
                return Ok(());
            }
            Ok(n) => filled += n,
            Err(error) => {
                out.truncate(start);
                return Err(DecompressError::Damaged(problem(&error)));
            }
        }
        if filled - start > limit.bytes {
            out.truncate(start);
            return Err(limit.exceeded());
        }
    }
}

fn decompress_snappy(
    input: &[u8],
    limit: SizeLimit,
    out: &mut Vec<u8>,
    grow: &mut Grow<'_>,
) -> Result<(), DecompressError> {
    let damaged = |error: snap::Error| DecompressError::Damaged(error.to_string());
    let len = snap::raw::decompress_len(input).map_err(damaged)?;
    if len > limit.bytes {
        return Err(limit.exceeded());
    }
    let start = out.len();
    if start + len > out.capacity() {
        grow(out.capacity(), start + len)?;
    }
    out.reserve_exact(len);
    out.resize(start + len, 0);
    match snap::raw::Decoder::new().decompress(input, &mut out[start..]) {
        Ok(written) => out.truncate(start + written),
        Err(error) => {
            out.truncate(start);
            return Err(damaged(error));
        }
    }
    Ok(())
}

/// Decompresses a Snappy block into a buffer of at least as many bytes as it says it holds; returns how many
/// those were.
pub fn snappy_into(input: &[u8], out: &mut [u8]) -> Result<usize, DecompressError> {
    let decompressed = snap::raw::Decoder::new().decompress(input, out);
    decompressed.map_err(|error| DecompressError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compress(compression: Compression, data: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(data, 1).unwrap(),
            Compression::Deflate => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Compression::SnappyBlock => snap::raw::Encoder::new().compress_vec(data).unwrap(),
        }
    }

    const ALL: [Compression; 4] =
        [Compression::Gzip, Compression::Zstd, Compression::Deflate, Compression::SnappyBlock];

    #[test]
    fn bodies_up_to_the_limit_pass_and_bombs_name_it_without_being_unpacked() {
        let data = vec![b'a'; 300_000];
        for compression in ALL {
            let packed = compress(compression, &data);
            let mut out = b"kept".to_vec();
            decompress(compression, &packed, SizeLimit { name: "body_size_limit", bytes: 300_000 }, &mut out)
                .unwrap();
            assert_eq!(out.len(), 300_004, "{compression:?}");
            let limit = SizeLimit { name: "body_size_limit", bytes: 299_999 };
            let bomb = compress(compression, &vec![0; 64 << 20]);
            for packed in [packed, bomb] {
                let mut out = Vec::new();
                let error = decompress(compression, &packed, limit, &mut out).unwrap_err();
                assert!(error.to_string().starts_with("body_size_limit: "), "{error}");
                assert!(out.capacity() <= 300_000 + STEP_BYTES, "{}", out.capacity());
            }
        }
    }

    #[test]
    fn damaged_bodies_are_errors_and_leave_nothing_behind() {
        for compression in ALL {
            let packed = compress(compression, &vec![b'x'; 10_000]);
            for cut in [1, packed.len() / 2, packed.len() - 1] {
                let mut out = Vec::new();
                let limit = SizeLimit { name: "limit", bytes: 1 << 20 };
                let result = decompress(compression, &packed[..cut], limit, &mut out);
                assert!(matches!(result, Err(DecompressError::Damaged(_))), "{compression:?} {cut}");
                assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn problems_of_gzip_bodies_have_their_usual_names() {
        let packed = compress(Compression::Gzip, &vec![b'x'; 10_000]);
        let changed = |at: usize| {
            let mut changed = packed.clone();
            changed[at] ^= 0xff;
            changed
        };
        for (body, expected) in [
            (packed[..packed.len() - 1].to_vec(), "unexpected EOF"),
            (packed[..packed.len() / 2].to_vec(), "unexpected EOF"),
            (packed[..3].to_vec(), "unexpected EOF"),
            (changed(0), "gzip: invalid header"),
            (changed(packed.len() - 6), "gzip: invalid checksum"),
        ] {
            let limit = SizeLimit { name: "limit", bytes: 1 << 20 };
            let error = decompress(Compression::Gzip, &body, limit, &mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
