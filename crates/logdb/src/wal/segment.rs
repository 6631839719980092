//! A segment of the log: records with checksums.
//!
//! A checksum begins with a number that is the segment's own, so that bytes which a sender made look like a record are
//! none when a damaged part is searched for the next one.

use std::io;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};

const HEADER_MAGIC: &[u8; 8] = b"BZLOGWA1";
const HEADER_BYTES: usize = 24;
const RECORD_MAGIC: [u8; 4] = *b"\xb5LR\xa7";
const FRAME_BYTES: usize = 12;

/// The name of the segment of a generation.
pub fn name_of(generation: u64) -> String {
    format!("{generation:016}.wal")
}

/// The generation of a segment; `None` when a file is none.
pub fn generation_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    digits.parse().ok()
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
    /// Begins the segment of a generation. `salt` is a number nobody can guess. On an error there is no such segment.
    pub fn create(disk: &dyn Disk, generation: u64, salt: u64) -> io::Result<Self> {
        let name = name_of(generation);
        Self::begin(disk, &name, generation, salt).inspect_err(|error| {
            // The next try takes the same name.
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = disk.remove(&name);
            }
        })
    }

    fn begin(disk: &dyn Disk, name: &str, generation: u64, salt: u64) -> io::Result<Self> {
        let mut file = disk.create(name)?;
        let mut header = HEADER_MAGIC.to_vec();
        header.extend_from_slice(&salt.to_le_bytes());
        header.extend_from_slice(&generation.to_le_bytes());
        file.append(&header)?;
        file.sync()?;
        Ok(Self { file, salt, len: HEADER_BYTES as u64, is_broken: false, buffer: Vec::new() })
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
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// Parts that are no records, with whole records behind them. What stands at the end unfinished is none of them.
    pub damaged_parts: u64,
    /// Bytes of no record at the end.
    pub torn_bytes: u64,
}

/// Reads the records of a segment. A damaged one is left out, and never those behind it.
pub fn replay(data: Vec<u8>) -> Replayed {
    let data = Bytes::from(data);
    let mut replayed = Replayed::default();
    if data.len() < HEADER_BYTES || &data[..8] != HEADER_MAGIC {
        replayed.torn_bytes = data.len() as u64;
        return replayed;
    }
    let mut salt = [0; 8];
    salt.copy_from_slice(&data[8..16]);
    let salt = u64::from_le_bytes(salt);
    let mut at = HEADER_BYTES;
    while at < data.len() {
        if let Some(end) = record_at(&data, at, salt) {
            replayed.records.push(data.slice(at + FRAME_BYTES..end));
            at = end;
            continue;
        }
        let candidates =
            memchr::memmem::find_iter(&data[at + 1..], &RECORD_MAGIC).map(|found| at + 1 + found);
        match candidates.into_iter().find(|&next| record_at(&data, next, salt).is_some()) {
            Some(next) => {
                replayed.damaged_parts += 1;
                at = next;
            }
            None => {
                replayed.torn_bytes = (data.len() - at) as u64;
                break;
            }
        }
    }
    replayed
}

/// Where the record that begins at `at` ends, if there is one.
fn record_at(data: &[u8], at: usize, salt: u64) -> Option<usize> {
    let frame = data.get(at..at + FRAME_BYTES)?;
    let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let end = (at + FRAME_BYTES).checked_add(number(&frame[4..8]) as usize)?;
    let record = data.get(at + FRAME_BYTES..end)?;
    (frame[..4] == RECORD_MAGIC && checksum(salt, record) == number(&frame[8..])).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::disk::LocalDisk;

    fn records() -> Vec<Vec<u8>> {
        (0..20).map(|i| format!("record {i} {}", "x".repeat(i * 7)).into_bytes()).collect()
    }

    fn segment() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let disk = LocalDisk::open(dir.path()).unwrap();
        let mut log = SegmentLog::create(&disk, 3, 0x1234_5678).unwrap();
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
        let error = SegmentLog::create(&FullDisk(&disk), 3, 1).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        SegmentLog::create(&disk, 3, 1).unwrap();
        // One that is there is not begun again.
        let error = SegmentLog::create(&disk, 3, 1).err().unwrap();
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
            assert_eq!(replayed.damaged_parts + u64::from(replayed.torn_bytes > 0), 1);
        }
    }

    #[test]
    fn a_line_that_looks_like_a_record_is_none() {
        let mut forged = RECORD_MAGIC.to_vec();
        forged.extend_from_slice(&3_u32.to_le_bytes());
        forged.extend_from_slice(&crc32c::crc32c(b"abc").to_le_bytes());
        forged.extend_from_slice(b"abc");
        let dir = tempfile::tempdir().unwrap();
        let disk = LocalDisk::open(dir.path()).unwrap();
        SegmentLog::create(&disk, 0, 99).unwrap().append([forged, b"next".to_vec()].iter()).unwrap();
        let mut data = disk.read(&name_of(0)).unwrap();
        data[HEADER_BYTES + 5] ^= 1;
        assert_eq!(replay(data).records, [&b"next"[..]]);
    }
}
