//! A snapshot and a log of what changed since: how state survives a kill at any moment.
//!
//! The snapshot `name` holds all records and is replaced as a whole; it is the file Alertmanager keeps under the
//! same name. Between two snapshots every record goes to `name.journal`, which is synced before the change counts
//! as made. A frame there is the length and the CRC-32C of a record, four little-endian bytes each, and the
//! record. The journal is emptied only after the snapshot that holds its records is on disk; reading both again
//! does no harm, because records merge.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::record;

/// A record is never larger; what claims to be is damage.
const LARGEST_RECORD_BYTES: usize = 64 << 20;

/// A snapshot and its journal.
#[derive(Debug)]
pub struct Journal {
    snapshot: PathBuf,
    log: File,
    /// Where the next frame goes: behind the last one that is whole.
    end: u64,
    snapshot_bytes: u64,
}

/// What was found on disk.
#[derive(Debug, Default)]
pub struct Recovered {
    /// All records, those of the snapshot first.
    pub records: Vec<Vec<u8>>,
    /// What could not be read, in words; it was set aside or is the torn end of the journal.
    pub damage: Vec<String>,
}

impl Journal {
    /// Opens, or creates, the state `name` in a directory, and reads it.
    pub fn open(dir: &Path, name: &str) -> io::Result<(Self, Recovered)> {
        std::fs::create_dir_all(dir)?;
        let snapshot = dir.join(name);
        let mut found = Recovered::default();
        let bytes = match std::fs::read(&snapshot) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let (records, damaged) = record::split(&bytes);
        found.records.extend(records.into_iter().map(<[u8]>::to_vec));
        if let Some(at) = damaged {
            let aside = dir.join(format!("{name}.damaged"));
            std::fs::copy(&snapshot, &aside)?;
            let (from, to) = (snapshot.display(), aside.display());
            found.damage.push(format!("{from} is damaged from byte {at} on; a copy is kept as {to}"));
        }
        let path = dir.join(format!("{name}.journal"));
        let mut log = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut frames = Vec::new();
        log.read_to_end(&mut frames)?;
        let end = read_frames(&frames, &mut found.records);
        if end < frames.len() {
            let torn = frames.len() - end;
            found.damage.push(format!("the last {torn} bytes of {name}.journal are torn and were dropped"));
        }
        let mut journal = Self { snapshot, log, end: end as u64, snapshot_bytes: bytes.len() as u64 };
        journal.cut()?;
        sync_dir(dir)?;
        Ok((journal, found))
    }

    /// Removes what lies behind the last whole frame.
    fn cut(&mut self) -> io::Result<()> {
        self.log.set_len(self.end)?;
        self.log.seek(SeekFrom::Start(self.end)).map(|_| ())
    }

    /// Adds records; they are on disk when this returns. After an error none of them is there.
    pub fn append<'r>(&mut self, records: impl IntoIterator<Item = &'r [u8]>) -> io::Result<()> {
        let mut frames = Vec::new();
        for record in records {
            frames.extend_from_slice(&(record.len() as u32).to_le_bytes());
            frames.extend_from_slice(&crc32c::crc32c(record).to_le_bytes());
            frames.extend_from_slice(record);
        }
        let written = self.log.write_all(&frames).and_then(|()| self.log.sync_data());
        match written {
            Ok(()) => {
                self.end += frames.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a frame in the middle would hide all that comes after it.
                self.cut()?;
                Err(error)
            }
        }
    }

    /// Replaces the snapshot by these records, then empties the journal. They must hold everything that was
    /// appended.
    pub fn replace(&mut self, records: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
        let bytes = record::join(records);
        let temporary = self.snapshot.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.snapshot)?;
        if let Some(dir) = self.snapshot.parent() {
            sync_dir(dir)?;
        }
        self.snapshot_bytes = bytes.len() as u64;
        self.end = 0;
        self.cut()?;
        self.log.sync_data()
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

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads whole frames, and tells where they end.
fn read_frames(bytes: &[u8], records: &mut Vec<Vec<u8>>) -> usize {
    let mut at = 0;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let Some(record) = bytes.get(at + 8..).and_then(|rest| rest.get(..len)) else { break };
        if len > LARGEST_RECORD_BYTES || len == 0 || crc32c::crc32c(record) != sum {
            break;
        }
        records.push(record.to_vec());
        at += 8 + len;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(dir: &Path) -> Vec<Vec<u8>> {
        Journal::open(dir, "silences").unwrap().1.records
    }

    #[test]
    fn what_was_appended_is_there_after_any_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(dir.path(), "silences").unwrap();
        assert!(found.records.is_empty() && found.damage.is_empty());
        journal.append([&b"one"[..], b"two"]).unwrap();
        let acknowledged = journal.journal_bytes();
        journal.append([&b"three"[..]]).unwrap();
        drop(journal);
        let path = dir.path().join("silences.journal");
        let whole = std::fs::read(&path).unwrap();
        for len in acknowledged as usize..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(records(dir.path()), [b"one".to_vec(), b"two".to_vec()], "cut at {len}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(records(dir.path()).len(), 3);
    }

    #[test]
    fn a_snapshot_takes_the_place_of_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), "silences").unwrap();
        journal.append([&b"one"[..]]).unwrap();
        journal.replace([b"one".to_vec()]).unwrap();
        assert_eq!(journal.journal_bytes(), 0);
        journal.append([&b"two"[..]]).unwrap();
        drop(journal);
        assert_eq!(records(dir.path()), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn damage_is_set_aside_and_costs_only_what_it_hit() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), "silences").unwrap();
        journal.replace([b"one".to_vec(), b"two".to_vec()]).unwrap();
        drop(journal);
        let path = dir.path().join("silences");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4] = 200;
        std::fs::write(&path, bytes).unwrap();
        let (_, found) = Journal::open(dir.path(), "silences").unwrap();
        assert_eq!(found.records, [b"one".to_vec()]);
        assert_eq!(found.damage.len(), 1);
        assert!(dir.path().join("silences.damaged").exists());
    }
}
