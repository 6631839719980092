//! How records lie in the pages of a segment: fragments with a seven-byte header each.

use super::compression::Compression;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 32 * 1024;
/// Bytes before each fragment: type, length, checksum.
pub const HEADER_BYTES: usize = 7;

const SNAPPY_FLAG: u8 = 1 << 3;
const ZSTD_FLAG: u8 = 1 << 4;
const POSITION_MASK: u8 = SNAPPY_FLAG - 1;

/// Which part of a record a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The page ends here; zeros follow.
    PageEnd,
    /// A whole record.
    Full,
    /// The first fragment.
    First,
    /// Neither first nor last.
    Middle,
    /// The last fragment.
    Last,
}

/// The header of a fragment.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Which part of the record it is.
    pub position: Position,
    /// How the record is compressed.
    pub compression: Compression,
    /// Bytes of the fragment.
    pub len: usize,
    /// CRC-32C of the fragment.
    pub checksum: u32,
}

/// The position and compression that a type byte tells; `None` when it is not a valid one.
pub fn read_type(byte: u8) -> Option<(Position, Compression)> {
    let position = match byte & POSITION_MASK {
        0 => Position::PageEnd,
        1 => Position::Full,
        2 => Position::First,
        3 => Position::Middle,
        4 => Position::Last,
        _ => return None,
    };
    let compression = match byte & !POSITION_MASK {
        0 => Compression::None,
        SNAPPY_FLAG => Compression::Snappy,
        ZSTD_FLAG => Compression::Zstd,
        _ => return None,
    };
    Some((position, compression))
}

/// Reads a header; `None` when its type byte is not valid.
pub fn read_header(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
    let (position, compression) = read_type(bytes[0])?;
    let len = usize::from(u16::from_be_bytes([bytes[1], bytes[2]]));
    let checksum = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]);
    Some(Header { position, compression, len, checksum })
}

/// Appends `record` (already compressed as told) to `out`, in the form it has at `offset` of a segment.
/// Returns the offset after it and the number of fragments.
pub fn append_framed(
    out: &mut Vec<u8>,
    mut offset: u64,
    compression: Compression,
    record: &[u8],
) -> (u64, u64) {
    let flag = match compression {
        Compression::None => 0,
        Compression::Snappy => SNAPPY_FLAG,
        Compression::Zstd => ZSTD_FLAG,
    };
    let (mut rest, mut fragments) = (record, 0);
    loop {
        let left = PAGE_BYTES - (offset % PAGE_BYTES as u64) as usize;
        debug_assert!(left >= HEADER_BYTES, "a page too full for a header was not ended");
        let (part, after) = rest.split_at(rest.len().min(left - HEADER_BYTES));
        let position: u8 = match (fragments == 0, after.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        out.push(position | flag);
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
        out.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
        out.extend_from_slice(part);
        offset += (HEADER_BYTES + part.len()) as u64;
        fragments += 1;
        let left = PAGE_BYTES - (offset % PAGE_BYTES as u64) as usize;
        if left < HEADER_BYTES {
            out.resize(out.len() + left, 0);
            offset += left as u64;
        }
        rest = after;
        if rest.is_empty() {
            return (offset, fragments);
        }
    }
}

/// An upper bound of the bytes a record of `len` bytes takes in a segment.
pub fn framed_bound(len: usize) -> u64 {
    let pages = len / (PAGE_BYTES - HEADER_BYTES) + 2;
    (len + pages * 2 * HEADER_BYTES) as u64
}
