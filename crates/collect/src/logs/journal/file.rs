//! The format of journal files, read directly: a header, a chain of arrays with the offsets of entries, entries with
//! the offsets of their fields, and fields, compressed or not. The daemon maps the file and appends to it while we read;
//! what a header counts is complete.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use hashbrown::HashMap;

const SIGNATURE: &[u8; 8] = b"LPKSHHRH";
/// Bytes of the header that are read; all versions have them.
const HEADER_BYTES: usize = 208;
const OBJECT_HEADER_BYTES: u64 = 16;

const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;

const XZ: u8 = 1;
const LZ4: u8 = 2;
const ZSTD: u8 = 4;
/// Bits of features a reader has to know: three compressions, keyed hashes, and offsets of 32 bits.
const KNOWN_FEATURES: u32 = 0b1_1111;
const COMPACT: u32 = 0b1_0000;

/// Bytes an entry has at least.
const MIN_ENTRY_BYTES: u64 = 64;
/// Bytes of one object that are believed.
const MAX_OBJECT_BYTES: u64 = 64 << 20;
/// Bytes of one field that are read.
const MAX_FIELD_BYTES: usize = 1 << 20;
/// Fields of one entry that are read.
const MAX_FIELDS: usize = 1024;
/// Bytes of fields that are remembered: most entries share most of their fields.
const CACHE_BYTES: usize = 4 << 20;
/// Longer fields are not shared by many.
const CACHED_FIELD_BYTES: usize = 256;

/// Why a file, or a part of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system does not let us.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no journal, or of a kind we do not know.
    #[error("{0}")]
    Unknown(String),
    /// Something in it is wrong.
    #[error("damaged at byte {offset}: {problem}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What.
        problem: &'static str,
    },
}

type Result<T> = std::result::Result<T, JournalError>;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The id of this file, whatever its name, as hexadecimal digits.
    pub file_id: String,
    /// The id numbers of entries belong to.
    pub seqnum_id: String,
    /// Whether the daemon has ended with it.
    pub is_archived: bool,
    /// Number of entries.
    pub entries: u64,
    first_array: u64,
    is_compact: bool,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalEntry {
    /// Number of the entry.
    pub seqnum: u64,
    /// When it came, in microseconds since the epoch.
    pub realtime_us: u64,
    /// The same since boot.
    pub monotonic_us: u64,
    /// The boot, as hexadecimal digits.
    pub boot_id: String,
    /// Names and values, in the order of the file; only those that were wanted.
    pub fields: Vec<(String, Vec<u8>)>,
    xor_hash: u64,
}

impl JournalEntry {
    /// The entry as `journalctl --cursor` takes it.
    pub fn cursor(&self, seqnum_id: &str) -> String {
        let Self { seqnum, boot_id, monotonic_us, realtime_us, xor_hash, .. } = self;
        format!("s={seqnum_id};i={seqnum:x};b={boot_id};m={monotonic_us:x};t={realtime_us:x};x={xor_hash:x}")
    }
}

/// A journal file that is read from one entry to the next.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    header: Header,
    /// The array that holds the next entry, how many entries are before it, and how many fit into it.
    array: Option<(u64, u64, u64)>,
    /// Number of the next entry in the file.
    next: u64,
    cache: HashMap<u64, Option<(String, Vec<u8>)>>,
    cached_bytes: usize,
}

impl JournalFile {
    /// Opens a file and goes behind `skip` entries.
    pub fn open(file: File, skip: u64) -> Result<Self> {
        let header = read_header(&file)?;
        let next = skip.min(header.entries);
        Ok(Self { file, header, array: None, next, cache: HashMap::new(), cached_bytes: 0 })
    }

    /// What the header said when it was last read.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// How many entries are behind.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Goes to an entry by its place in the file.
    pub fn seek(&mut self, entry: u64) {
        self.next = entry.min(self.header.entries);
        self.array = None;
    }

    /// Goes to the first entry that came at `realtime_us` or later.
    pub fn seek_time(&mut self, realtime_us: u64) -> Result<()> {
        let (mut low, mut high) = (0, self.header.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            self.seek(middle);
            let offset = self.next_offset()?;
            if self.realtime(offset)? < realtime_us {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.seek(low);
        Ok(())
    }

    /// Reads the header again; returns whether there are entries to read.
    pub fn refresh(&mut self) -> Result<bool> {
        self.header = read_header(&self.file)?;
        Ok(self.next < self.header.entries)
    }

    /// Reads the next entry with the fields that are wanted. After damage it goes on behind the entry.
    pub fn read(&mut self, is_wanted: impl Fn(&str) -> bool) -> Result<Option<JournalEntry>> {
        if self.next >= self.header.entries && !self.refresh()? {
            return Ok(None);
        }
        let offset = self.next_offset();
        self.next += 1;
        self.entry(offset?, is_wanted).map(Some)
    }

    /// Where the next entry is.
    fn next_offset(&mut self) -> Result<u64> {
        let item_bytes = if self.header.is_compact { 4 } else { 8 };
        let (mut at, mut before, mut room) = match self.array {
            Some(array) if array.1 <= self.next => array,
            _ => (self.header.first_array, 0, 0),
        };
        let mut followed = 0_u32;
        loop {
            let (kind, _, size) = self.object(at)?;
            if kind != ENTRY_ARRAY {
                return Err(damaged(at, "no array of entries"));
            }
            room = match room {
                0 => size.saturating_sub(OBJECT_HEADER_BYTES + 8) / item_bytes,
                room => room,
            };
            if self.next < before + room {
                break;
            }
            let next = self.u64_at(at + OBJECT_HEADER_BYTES)?;
            followed += 1;
            // Arrays are at least four entries long and grow.
            if next <= at || followed > 1 << 20 {
                return Err(damaged(at, "the chain of arrays ends early"));
            }
            (at, before, room) = (next, before + room, 0);
        }
        self.array = Some((at, before, room));
        let place = at + OBJECT_HEADER_BYTES + 8 + (self.next - before) * item_bytes;
        let offset = match self.header.is_compact {
            true => u64::from(self.u32_at(place)?),
            false => self.u64_at(place)?,
        };
        if offset == 0 { Err(damaged(place, "an entry is missing")) } else { Ok(offset) }
    }

    fn realtime(&self, offset: u64) -> Result<u64> {
        match self.object(offset)?.0 {
            ENTRY => self.u64_at(offset + 24),
            _ => Err(damaged(offset, "no entry")),
        }
    }

    fn entry(&mut self, offset: u64, is_wanted: impl Fn(&str) -> bool) -> Result<JournalEntry> {
        const FIXED: usize = MIN_ENTRY_BYTES as usize;
        let (kind, _, size) = self.object(offset)?;
        if kind != ENTRY || size < FIXED as u64 {
            return Err(damaged(offset, "no entry"));
        }
        let item_bytes = if self.header.is_compact { 4 } else { 16 };
        let len = (size as usize).min(FIXED + MAX_FIELDS * item_bytes);
        let bytes = self.bytes(offset, len)?;
        let mut entry = JournalEntry {
            seqnum: u64_of(&bytes[16..]),
            realtime_us: u64_of(&bytes[24..]),
            monotonic_us: u64_of(&bytes[32..]),
            boot_id: hexadecimal(&bytes[40..56]),
            xor_hash: u64_of(&bytes[56..]),
            fields: Vec::new(),
        };
        for item in bytes[FIXED..].chunks_exact(item_bytes) {
            let field = match item_bytes {
                4 => u64::from(u32_of(item)),
                _ => u64_of(item),
            };
            entry.fields.extend(self.field(field, &is_wanted)?);
        }
        Ok(entry)
    }

    /// A field, if it is wanted.
    fn field(&mut self, offset: u64, is_wanted: &impl Fn(&str) -> bool) -> Result<Option<(String, Vec<u8>)>> {
        if let Some(cached) = self.cache.get(&offset) {
            return Ok(cached.clone());
        }
        let (kind, flags, size) = self.object(offset)?;
        let head = if self.header.is_compact { 72 } else { 64 };
        if kind != DATA || size < head {
            return Err(damaged(offset, "no field"));
        }
        let stored = (size - head) as usize;
        // A field that is not compressed is not read further than it is kept.
        let len = if flags & (XZ | LZ4 | ZSTD) == 0 { stored.min(MAX_FIELD_BYTES) } else { stored };
        let payload = self.bytes(offset + head, len)?;
        let payload = decompress(payload, flags).map_err(|problem| damaged(offset, problem))?;
        let equals = memchr::memchr(b'=', &payload).ok_or(damaged(offset, "a field without a name"))?;
        let name = String::from_utf8_lossy(&payload[..equals]).into_owned();
        let field = is_wanted(&name).then(|| (name, payload[equals + 1..].to_vec()));
        let bytes = field.as_ref().map_or(0, |(name, value)| name.len() + value.len()) + 64;
        if bytes <= CACHED_FIELD_BYTES {
            if self.cached_bytes + bytes > CACHE_BYTES {
                self.cache.clear();
                self.cached_bytes = 0;
            }
            self.cached_bytes += bytes;
            self.cache.insert(offset, field.clone());
        }
        Ok(field)
    }

    /// Kind, flags and size of an object.
    fn object(&self, offset: u64) -> Result<(u8, u8, u64)> {
        if offset == 0 || !offset.is_multiple_of(8) {
            return Err(damaged(offset, "no object begins here"));
        }
        let bytes = self.bytes(offset, OBJECT_HEADER_BYTES as usize)?;
        let size = u64_of(&bytes[8..]);
        if !(OBJECT_HEADER_BYTES..=MAX_OBJECT_BYTES).contains(&size) {
            return Err(damaged(offset, "an object of impossible size"));
        }
        Ok((bytes[0], bytes[1], size))
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damaged(offset, "the file ends before"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn u64_at(&self, offset: u64) -> Result<u64> {
        Ok(u64_of(&self.bytes(offset, 8)?))
    }

    fn u32_at(&self, offset: u64) -> Result<u32> {
        Ok(u32_of(&self.bytes(offset, 4)?))
    }
}

fn damaged(offset: u64, problem: &'static str) -> JournalError {
    JournalError::Damaged { offset, problem }
}

fn read_header(file: &File) -> Result<Header> {
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) if bytes.starts_with(SIGNATURE) => {}
        Ok(()) => return Err(JournalError::Unknown("this is no journal file".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(JournalError::Unknown("this is no journal file: it is too short".to_owned()));
        }
        Err(error) => return Err(error.into()),
    }
    let features = u32_of(&bytes[12..]);
    if features & !KNOWN_FEATURES != 0 {
        let unknown = features & !KNOWN_FEATURES;
        return Err(JournalError::Unknown(format!("the journal file has unknown features ({unknown:#x})")));
    }
    let entries = u64_of(&bytes[152..]);
    if entries > file.metadata()?.len() / MIN_ENTRY_BYTES {
        return Err(damaged(152, "there is no room for so many entries"));
    }
    Ok(Header {
        file_id: hexadecimal(&bytes[24..40]),
        seqnum_id: hexadecimal(&bytes[72..88]),
        is_archived: bytes[16] == 2,
        entries,
        first_array: u64_of(&bytes[176..]),
        is_compact: features & COMPACT != 0,
    })
}

fn u64_of(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The payload of an object, at most [`MAX_FIELD_BYTES`] of it.
fn decompress(payload: Vec<u8>, flags: u8) -> std::result::Result<Vec<u8>, &'static str> {
    match flags & (XZ | LZ4 | ZSTD) {
        0 => Ok(payload),
        ZSTD => {
            let broken = "a field that is not Zstandard";
            let decoder = zstd::Decoder::with_buffer(&payload[..]).map_err(|_| broken)?;
            let mut field = Vec::new();
            decoder.take(MAX_FIELD_BYTES as u64).read_to_end(&mut field).map_err(|_| broken)?;
            Ok(field)
        }
        LZ4 => {
            let broken = "a field that is not LZ4";
            let (size, block) = payload.split_at_checked(8).ok_or(broken)?;
            let size = usize::try_from(u64_of(size)).unwrap_or(usize::MAX);
            // A block does not grow by more than 255; what claims to is not believed.
            if size > MAX_OBJECT_BYTES as usize || size / 255 > block.len() + 16 {
                return Err(broken);
            }
            let mut field = lz4_flex::block::decompress(block, size).map_err(|_| broken)?;
            field.truncate(MAX_FIELD_BYTES);
            Ok(field)
        }
        XZ => {
            let mut field = Limited(Vec::new());
            let ended = lzma_rs::xz_decompress(&mut &payload[..], &mut field);
            // What is beyond the limit is left out.
            match ended {
                Err(_) if field.0.len() < MAX_FIELD_BYTES => Err("a field that is not XZ"),
                _ => Ok(field.0),
            }
        }
        _ => Err("a field with several compressions"),
    }
}

/// Takes no more than a field may have.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_FIELD_BYTES - self.0.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::Error::other("enough"));
        }
        let taken = room.min(bytes.len());
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compression_is_read_and_bounded() {
        let text = format!("MESSAGE={}", "squeezed ".repeat(20)).into_bytes();
        assert_eq!(decompress(text.clone(), 0), Ok(text.clone()));
        assert_eq!(decompress(zstd::encode_all(&text[..], 1).unwrap(), ZSTD), Ok(text.clone()));
        let lz4 =
            |text: &[u8]| [&(text.len() as u64).to_le_bytes(), &lz4_flex::block::compress(text)[..]].concat();
        assert_eq!(decompress(lz4(&text), LZ4), Ok(text.clone()));
        let xz = b"\xfd7zXZ\x00\x00\x00\xff\x12\xd9A\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\xe0\x00\xbb\x00\x18]\
            \x00&\x91F\xc0\xd1\x94W\xe4\x95(V*\xcb\x14}\x90u\x9e\x8f\xe4\xea\x00\x00\x00\x00\x00\x01,\xbc\x01\x00\
            \x00\x00\xe0\x93\xb0\xde\xa8\x00\n\xfc\x02\x00\x00\x00\x00\x00YZ";
        assert_eq!(decompress(xz.to_vec(), XZ), Ok(text));
        let bomb = vec![b'='; 20 << 20];
        assert_eq!(decompress(zstd::encode_all(&bomb[..], 1).unwrap(), ZSTD).unwrap().len(), MAX_FIELD_BYTES);
        assert_eq!(decompress(lz4(&bomb), LZ4).unwrap().len(), MAX_FIELD_BYTES);
        let lie = [&u64::MAX.to_le_bytes()[..], &[0; 8]].concat();
        for (bytes, flags) in
            [(lie, LZ4), (vec![1, 2], LZ4), (vec![9; 9], ZSTD), (vec![9; 9], XZ), (vec![], 7)]
        {
            assert!(decompress(bytes, flags).is_err());
        }
    }
}
