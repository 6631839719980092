//! A segment of the log: records with checksums.
//!
//! A checksum begins with a number that is the segment's own, so that bytes which a sender made look like a record are
//! none when a damaged part is searched for the next one. Without that number nothing could be found: the header has it
//! twice.

use std::cmp::Reverse;
use std::io;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};

const HEADER_MAGIC: &[u8; 8] = b"BZLOGWA2";
const HEADER_BYTES: usize = 44;
/// The header of the first version: magic, salt, generation.
const FIRST_HEADER_MAGIC: &[u8; 8] = b"BZLOGWA1";
const FIRST_HEADER_BYTES: usize = 24;
const RECORD_MAGIC: [u8; 4] = *b"\xb5LR\xa7";
const FRAME_BYTES: usize = 12;

/// The name of the segment of a generation.
pub fn name_of(generation: u64) -> String {
    format!("{generation:016}.wal")
}

/// The name under which a damaged segment is kept.
pub fn damaged_name_of(generation: u64) -> String {
    format!("{generation:016}.wal.damaged")
}

/// The generation of a segment; `None` when a file is none.
pub fn generation_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    digits.parse().ok()
}

/// The generation of a damaged segment that is kept; `None` when a file is none.
pub fn damaged_generation_of(name: &str) -> Option<u64> {
    name.strip_suffix(".damaged").and_then(generation_of)
}

/// How a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which memtable it is the log of.
    pub generation: u64,
    /// A number nobody can guess.
    pub salt: u64,
    /// When it was begun, milliseconds since the epoch; all its entries came later. Unknown in the first version.
    pub begun_ms: Option<i64>,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut out = HEADER_MAGIC.to_vec();
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.begun_ms.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// The header at the front of `data` and its length, if it is whole.
    fn decode(data: &[u8]) -> Option<(Self, usize)> {
        let header = data.get(..HEADER_BYTES).filter(|header| header.starts_with(HEADER_MAGIC));
        if let Some(header) = header.filter(|header| u32_at(header, 40) == crc32c::crc32c(&header[..40])) {
            let begun_ms = Some(u64_at(header, 24).cast_signed());
            let header = Self { generation: u64_at(header, 16), salt: u64_at(header, 8), begun_ms };
            return Some((header, HEADER_BYTES));
        }
        let first = data.get(..FIRST_HEADER_BYTES).filter(|first| first.starts_with(FIRST_HEADER_MAGIC))?;
        let header = Self { generation: u64_at(first, 16), salt: u64_at(first, 8), begun_ms: None };
        Some((header, FIRST_HEADER_BYTES))
    }
}

fn u64_at(data: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&data[at..at + 8]);
    u64::from_le_bytes(bytes)
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

/// The segment that is being written.
pub struct SegmentLog {
    file: Box<dyn DiskFile>,
    salt: u64,
    len: u64,
    is_broken: bool,
    buffer: Vec<u8>,
}

impl SegmentLog {
    /// Begins a segment. On an error there is none.
    pub fn create(disk: &dyn Disk, header: Header) -> io::Result<Self> {
        let name = name_of(header.generation);
        Self::begin(disk, &name, header).inspect_err(|error| {
            // The next try takes the same name.
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = disk.remove(&name);
            }
        })
    }

    fn begin(disk: &dyn Disk, name: &str, header: Header) -> io::Result<Self> {
        let mut file = disk.create(name)?;
        file.append(&header.encode())?;
        file.sync()?;
        Ok(Self { file, salt: header.salt, len: HEADER_BYTES as u64, is_broken: false, buffer: Vec::new() })
    }

    /// Length of the segment.
    pub fn len_bytes(&self) -> u64 {
        self.len
    }

    /// Whether a write failed and could not be undone: nothing more can be written to it.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Writes records, durably. On an error none of them is there.
    pub fn append<'a>(&mut self, records: impl Iterator<Item = &'a Vec<u8>>) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("the log failed before and takes nothing until it is opened again"));
        }
        self.buffer.clear();
        for record in records {
            self.buffer.extend_from_slice(&RECORD_MAGIC);
            self.buffer.extend_from_slice(&(record.len() as u32).to_le_bytes());
            self.buffer.extend_from_slice(&checksum(self.salt, record).to_le_bytes());
            self.buffer.extend_from_slice(record);
        }
        if let Err(error) = self.file.append(&self.buffer).and_then(|()| self.file.sync()) {
            // What is there in part must not come back at the next start: those who sent it were told it is not.
            self.is_broken = self.file.cut(self.len).is_err();
            return Err(error);
        }
        self.len += self.buffer.len() as u64;
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        Ok(())
    }
}

fn checksum(salt: u64, record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), record)
}

/// What was found in a segment.
#[derive(Debug, Default)]
pub struct Replayed {
    /// When it was begun, milliseconds since the epoch; unknown where the header is damaged or of the first version.
    pub begun_ms: Option<i64>,
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// Parts that are not as they were written: a header, and what is no record with a whole one behind it or a whole frame.
    pub damaged_parts: u64,
    /// Bytes of no record at the end, as a crash leaves them.
    pub torn_bytes: u64,
}

/// Reads the records of a segment. A damaged one is left out, and never those behind it.
pub fn replay(data: Vec<u8>) -> Replayed {
    let data = Bytes::from(data);
    if let Some((header, len)) = Header::decode(&data) {
        return Replayed { begun_ms: header.begun_ms, ..records_of(&data, len, header.salt) };
    }
    // The header is durable before anything is written behind it.
    if data.len() <= FIRST_HEADER_BYTES
        || (data.len() <= HEADER_BYTES && !data.starts_with(FIRST_HEADER_MAGIC))
    {
        return Replayed { torn_bytes: data.len() as u64, ..Replayed::default() };
    }
    let places = [(8, HEADER_BYTES), (32, HEADER_BYTES), (8, FIRST_HEADER_BYTES)];
    let places = places.into_iter().filter(|&(_, len)| data.len() > len);
    let found = places.map(|(salt, len)| records_of(&data, len, u64_at(&data, salt)));
    let best =
        found.max_by_key(|found| (found.records.len(), Reverse(found.damaged_parts))).unwrap_or_default();
    Replayed { damaged_parts: best.damaged_parts + 1, ..best }
}

fn records_of(data: &Bytes, begin: usize, salt: u64) -> Replayed {
    let mut replayed = Replayed::default();
    let mut at = begin;
    while at < data.len() {
        if let Some(end) = record_at(data, at, salt) {
            replayed.records.push(data.slice(at + FRAME_BYTES..end));
            at = end;
            continue;
        }
        let candidates =
            memchr::memmem::find_iter(&data[at + 1..], &RECORD_MAGIC).map(|found| at + 1 + found);
        match candidates.into_iter().find(|&next| record_at(data, next, salt).is_some()) {
            Some(next) => {
                replayed.damaged_parts += 1;
                at = next;
            }
            None => {
                replayed.torn_bytes = (data.len() - at) as u64;
                // What a crash cuts off is missing; what is there and not as it was written may have been acknowledged.
                replayed.damaged_parts += u64::from(frame_at(data, at).is_some());
                break;
            }
        }
    }
    replayed
}

/// Where the record that begins at `at` ends, if what stands there is the frame of one and all of it is there.
fn frame_at(data: &[u8], at: usize) -> Option<usize> {
    let frame = data.get(at..at + FRAME_BYTES).filter(|frame| frame.starts_with(&RECORD_MAGIC))?;
    let end = (at + FRAME_BYTES).checked_add(u32_at(frame, 4) as usize)?;
    (end <= data.len()).then_some(end)
}

/// Where the record that begins at `at` ends, if there is one.
fn record_at(data: &[u8], at: usize, salt: u64) -> Option<usize> {
    let end = frame_at(data, at)?;
    (checksum(salt, &data[at + FRAME_BYTES..end]) == u32_at(data, at + 8)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::disk::LocalDisk;

    fn records() -> Vec<Vec<u8>> {
        (0..20).map(|i| format!("record {i} {}", "x".repeat(i * 7)).into_bytes()).collect()
    }

    fn header(generation: u64, salt: u64) -> Header {
        Header { generation, salt, begun_ms: Some(-5) }
    }

    fn segment() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let disk = LocalDisk::open(dir.path()).unwrap();
        let mut log = SegmentLog::create(&disk, header(3, 0x1234_5678)).unwrap();
        for pair in records().chunks(2) {
            log.append(pair.iter()).unwrap();
        }
        assert_eq!(disk.list().unwrap(), [name_of(3)]);
        let data = disk.read(&name_of(3)).unwrap();
        assert_eq!(data.len() as u64, log.len_bytes());
        data
    }

    /// A disk with room for names alone.
    struct FullDisk<'a>(&'a LocalDisk);

    struct FullFile;

    impl Disk for FullDisk<'_> {
        fn list(&self) -> io::Result<Vec<String>> {
            self.0.list()
        }

        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            self.0.read(name)
        }

        fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
            self.0.create(name)?;
            Ok(Box::new(FullFile))
        }

        fn replace(&self, name: &str, data: &[u8]) -> io::Result<()> {
            self.0.replace(name, data)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            self.0.remove(name)
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.0.rename(from, to)
        }
    }

    impl DiskFile for FullFile {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn cut(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_segment_that_could_not_begin_can_be_begun_later() {
        let dir = tempfile::tempdir().unwrap();
        let disk = LocalDisk::open(dir.path()).unwrap();
        let error = SegmentLog::create(&FullDisk(&disk), header(3, 1)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        SegmentLog::create(&disk, header(3, 1)).unwrap();
        // One that is there is not begun again.
        let error = SegmentLog::create(&disk, header(3, 1)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.list().unwrap(), [name_of(3)]);
    }

    #[test]
    fn what_was_written_before_a_tear_is_read() {
        let data = segment();
        assert_eq!(replay(data.clone()).records, records());
        let mut whole = 0;
        for len in 0..data.len() {
            let replayed = replay(data[..len].to_vec());
            assert!(
                replayed.records.len() >= whole && replayed.records == records()[..replayed.records.len()]
            );
            assert_eq!(replayed.damaged_parts, 0);
            whole = replayed.records.len();
        }
        assert_eq!(whole, 19);
    }

    #[test]
    fn damage_costs_one_record_and_not_those_behind() {
        let data = segment();
        for at in HEADER_BYTES..data.len() {
            let mut damaged = data.clone();
            damaged[at] ^= 0x40;
            let replayed = replay(damaged);
            assert_eq!(replayed.records.len(), 19, "{at}");
            assert!(replayed.damaged_parts == 1 || (replayed.damaged_parts == 0 && replayed.torn_bytes > 0));
        }
        // The last record is there as a whole, so no crash cut it.
        let mut damaged = data;
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert_eq!(replay(damaged).damaged_parts, 1);
    }

    #[test]
    fn a_damaged_header_costs_no_record() {
        let data = segment();
        assert_eq!(replay(data.clone()).begun_ms, Some(-5));
        for at in 0..HEADER_BYTES {
            let mut damaged = data.clone();
            damaged[at] ^= 0x10;
            let replayed = replay(damaged);
            assert_eq!(replayed.records, records(), "{at}");
            assert_eq!((replayed.damaged_parts, replayed.begun_ms), (1, None), "{at}");
        }
        let mut damaged = data.clone();
        damaged[..HEADER_BYTES].fill(0);
        let replayed = replay(damaged);
        assert!(
            replayed.records.is_empty() && replayed.damaged_parts > 0,
            "nothing is found, and that is told"
        );
        for len in 0..HEADER_BYTES {
            assert_eq!(
                replay(data[..len].to_vec()).damaged_parts,
                0,
                "{len}: it was never written as a whole"
            );
        }
    }

    #[test]
    fn the_first_version_is_read() {
        let mut data = segment();
        let mut first = FIRST_HEADER_MAGIC.to_vec();
        first.extend_from_slice(&0x1234_5678_u64.to_le_bytes());
        first.extend_from_slice(&3_u64.to_le_bytes());
        data.splice(..HEADER_BYTES, first);
        let replayed = replay(data);
        assert_eq!(replayed.records, records());
        assert_eq!((replayed.damaged_parts, replayed.begun_ms), (0, None));
    }

    #[test]
    fn a_line_that_looks_like_a_record_is_none() {
        let mut forged = RECORD_MAGIC.to_vec();
        forged.extend_from_slice(&3_u32.to_le_bytes());
        forged.extend_from_slice(&crc32c::crc32c(b"abc").to_le_bytes());
        forged.extend_from_slice(b"abc");
        let dir = tempfile::tempdir().unwrap();
        let disk = LocalDisk::open(dir.path()).unwrap();
        SegmentLog::create(&disk, header(0, 99)).unwrap().append([forged, b"next".to_vec()].iter()).unwrap();
        let mut data = disk.read(&name_of(0)).unwrap();
        data[HEADER_BYTES + 5] ^= 1;
        assert_eq!(replay(data).records, [&b"next"[..]]);
    }
}
