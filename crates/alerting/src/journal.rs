//! A snapshot and a log of what changed since: how state survives a kill at any moment.
//!
//! The snapshot `name` holds all records and is replaced as a whole; it is the file Alertmanager keeps under the
//! same name. Between two snapshots every record goes to `name.journal`, which is synced before the change counts
//! as made. A frame there is the length and the CRC-32C of a record, four little-endian bytes each, and the
//! record. The journal is emptied only after the snapshot that holds its records is on disk; reading both again
//! does no harm, because records merge.
//!
//! What is damaged costs only itself: reading goes on at the next frame whose sum holds, and a copy of the damaged
//! file is kept before anything of it is removed. The journal is locked while it is open.

mod disk;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::record;
use disk::{Disk, Files, sync_dir, write_synced};

/// A record is never larger; what claims to be is damage.
const LARGEST_RECORD_BYTES: usize = 64 << 20;
/// Behind damage only frames up to this size are looked for: beginnings that chance made are many.
const LARGEST_FOUND_BYTES: usize = 1 << 20;
/// The most bytes that sums are taken of in looking for frames.
const SEARCH_BYTES: usize = 1 << 32;
/// Copies of damaged files that are kept of each.
const MOST_COPIES: u32 = 100;

/// A snapshot and its journal.
#[derive(Debug)]
pub struct Journal {
    snapshot: PathBuf,
    disk: Box<dyn Disk>,
    /// Where the next frame goes: behind the last one that is whole.
    end: u64,
    /// Whether something may lie behind the end that would hide what is appended.
    is_littered: bool,
    snapshot_bytes: u64,
}

/// What was found on disk.
#[derive(Debug, Default)]
pub struct Recovered {
    /// All records, those of the snapshot first.
    pub records: Vec<Vec<u8>>,
    /// What could not be read, in words; a copy of it was set aside.
    pub damage: Vec<String>,
}

impl Journal {
    /// Opens, or creates, the state `name` in a directory, and reads it.
    pub fn open(dir: &Path, name: &str) -> io::Result<(Self, Recovered)> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(format!("{name}.journal"));
        let mut log = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        lock(&log, &path)?;
        let snapshot = dir.join(name);
        let mut found = Recovered::default();
        let bytes = match std::fs::read(&snapshot) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let (records, damaged) = record::split(&bytes);
        found.records.extend(records.into_iter().map(<[u8]>::to_vec));
        if let Some(at) = damaged {
            let aside = keep_copy(&snapshot, &bytes)?;
            let (from, to) = (snapshot.display(), aside.display());
            found.damage.push(format!("{from} is damaged from byte {at} on; a copy is kept as {to}"));
        }
        let mut frames = Vec::new();
        log.read_to_end(&mut frames)?;
        let read = read_frames(&frames);
        found.records.extend(read.records.iter().map(|range| frames[range.clone()].to_vec()));
        if read.damaged_bytes > 0 {
            let aside = keep_copy(&path, &frames)?;
            let (from, to) = (path.display(), aside.display());
            let damaged = read.damaged_bytes;
            found.damage.push(format!("{damaged} bytes of {from} are damaged; a copy is kept as {to}"));
        }
        if read.torn_bytes > 0 {
            // Nobody was told that it is there, and yet it may be of use.
            let torn = path.with_extension("journal.torn");
            write_synced(&torn, &frames[read.end..])?;
            let bytes = read.torn_bytes;
            found.damage.push(format!(
                "the last {bytes} bytes of {name}.journal are torn; they are kept in {}",
                torn.display()
            ));
        }
        let mut journal = Self {
            disk: Box::new(Files { log, snapshot: snapshot.clone() }),
            snapshot,
            end: read.end as u64,
            is_littered: true,
            snapshot_bytes: bytes.len() as u64,
        };
        sync_dir(dir)?;
        journal.cut()?;
        Ok((journal, found))
    }

    /// Removes what lies behind the last whole frame.
    fn cut(&mut self) -> io::Result<()> {
        self.disk.cut_log(self.end)?;
        self.is_littered = false;
        Ok(())
    }

    /// Adds records; they are on disk when this returns. After an error none of them is there.
    pub fn append<'r>(&mut self, records: impl IntoIterator<Item = &'r [u8]>) -> io::Result<()> {
        let mut frames = Vec::new();
        records.into_iter().for_each(|record| put_frame(&mut frames, record));
        if self.is_littered {
            // Half a frame in the middle would hide all that comes after it.
            self.cut()?;
        }
        self.is_littered = true;
        if let Err(error) = self.disk.write_log(self.end, &frames).and_then(|()| self.disk.sync_log()) {
            // If that fails too, the next call does it, or fails.
            let _ = self.cut();
            return Err(error);
        }
        self.end += frames.len() as u64;
        self.is_littered = false;
        Ok(())
    }

    /// Replaces the snapshot by these records, then empties the journal. They must hold everything that was
    /// appended.
    pub fn replace(&mut self, records: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
        let bytes = record::join(records);
        self.disk.replace_snapshot(&bytes)?;
        self.snapshot_bytes = bytes.len() as u64;
        self.end = 0;
        self.is_littered = true;
        self.cut()?;
        self.disk.sync_log()
    }

    /// Keeps records that nobody can read, as frames at the end of `name.unreadable`.
    pub fn set_aside(&self, records: &[&[u8]]) -> io::Result<()> {
        let path = self.snapshot.with_extension("unreadable");
        let mut frames = Vec::new();
        records.iter().for_each(|record| put_frame(&mut frames, record));
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(&frames)?;
        file.sync_all()?;
        path.parent().map_or(Ok(()), sync_dir)
    }

    /// Bytes of the journal: how much a restart has to read again.
    pub fn journal_bytes(&self) -> u64 {
        self.end
    }

    /// Bytes of the last snapshot.
    pub fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes
    }
}

/// Takes the lock of a journal: two processes would write over each other's records.
fn lock(log: &File, path: &Path) -> io::Result<()> {
    match log.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let path = path.display();
            Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("another process uses it and holds a lock on {path}"),
            ))
        }
    }
}

/// Keeps the bytes of a file under a name that is still free. Where there are too many copies the last is written
/// over.
fn keep_copy(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let named = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{n}"));
        PathBuf::from(name)
    };
    let free = (1..MOST_COPIES).map(named).find(|copy| !copy.exists()).unwrap_or_else(|| named(MOST_COPIES));
    write_synced(&free, bytes)?;
    Ok(free)
}

fn put_frame(frames: &mut Vec<u8>, record: &[u8]) {
    frames.extend_from_slice(&(record.len() as u32).to_le_bytes());
    frames.extend_from_slice(&crc32c::crc32c(record).to_le_bytes());
    frames.extend_from_slice(record);
}

/// What frames were found.
#[derive(Debug, Default)]
struct Frames {
    /// Where the records are.
    records: Vec<std::ops::Range<usize>>,
    /// Where the last whole frame ends.
    end: usize,
    /// Bytes that are no frames, and have frames behind them or look like whole ones.
    damaged_bytes: usize,
    /// Bytes at the end that are the beginning of a frame.
    torn_bytes: usize,
}

/// The frame at an offset, if it is whole and at most so large.
fn frame_at(bytes: &[u8], at: usize, largest: usize, search: &mut usize) -> Option<std::ops::Range<usize>> {
    let head = bytes.get(at..)?.first_chunk::<8>()?;
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if len == 0 || len > largest || len > *search {
        return None;
    }
    let record = bytes.get(at + 8..at + 8 + len)?;
    *search -= len;
    (crc32c::crc32c(record) == sum).then_some(at + 8..at + 8 + len)
}

/// Whether the bytes from an offset on can be a frame that was not written to its end.
fn is_torn(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    rest.first_chunk::<4>().is_none_or(|head| {
        let len = u32::from_le_bytes(*head) as usize;
        len <= LARGEST_RECORD_BYTES && rest.len() < len + 8
    })
}

/// Reads all frames that are whole, also behind damage.
fn read_frames(bytes: &[u8]) -> Frames {
    let mut found = Frames::default();
    let (mut search, mut unlimited) = (SEARCH_BYTES, usize::MAX);
    while found.end < bytes.len() {
        let at = found.end;
        if let Some(range) = frame_at(bytes, at, LARGEST_RECORD_BYTES, &mut unlimited) {
            found.end = range.end;
            found.records.push(range);
            continue;
        }
        let next = (at + 1..bytes.len()).find_map(|at| frame_at(bytes, at, LARGEST_FOUND_BYTES, &mut search));
        match next {
            Some(range) => {
                found.damaged_bytes += range.start - 8 - at;
                found.end = range.end;
                found.records.push(range);
            }
            None if is_torn(bytes, at) => {
                found.torn_bytes = bytes.len() - at;
                break;
            }
            None => {
                found.damaged_bytes += bytes.len() - at;
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
