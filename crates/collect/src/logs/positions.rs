//! How far each source is read, in a file that survives everything (`docs/formats/log-positions.md`).
//!
//! The file is a log of lines, each the CRC-32C of a JSON object and the object. What is appended is synced before the
//! call returns. When it has grown, and at every start, it is written anew.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mark::Mark;

const VERSION: u32 = 1;
/// Bytes below which the file is not written anew.
const SMALL_BYTES: u64 = 1 << 20;
/// Files that are remembered after they are gone.
const MAX_GONE: usize = 4096;
/// How long they are remembered: compression may come weeks after rotation.
const GONE_MS: i64 = 30 * 86_400_000;

/// A file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

impl FileId {
    /// The file this is about.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self { dev: metadata.dev(), ino: metadata.ino() }
    }
}

/// How far a file is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// The path of the log it is, or was, a part of: the label `filename`.
    pub log: String,
    /// Bytes, uncompressed, whose entries are stored.
    pub offset: u64,
    /// What lies before the offset.
    pub mark: Mark,
    /// Bytes on their way when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Whether it is compressed and read to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_done: bool,
    /// When it was last seen, in milliseconds.
    pub seen_ms: i64,
}

/// Bytes that may be stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Where they end; they begin at the offset.
    pub to: u64,
    /// The timestamp of their first entry; each next one is a nanosecond later.
    pub first_ns: i64,
}

/// What is known of a log, a path that files come and go under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// When it was first followed, in milliseconds. Files last written earlier are not read.
    pub since_ms: i64,
    /// The timestamp of the last entry, or one behind it.
    pub last_ns: i64,
}

/// How far a file of the journal is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPosition {
    /// Entries that are stored, counted from the first one of the file.
    pub entries: u64,
    /// The last of them, as `journalctl --cursor` takes it. For people.
    pub cursor: String,
    /// When the file was last seen, in milliseconds.
    pub seen_ms: i64,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Record {
    Version {
        version: u32,
    },
    File {
        #[serde(flatten)]
        id: FileId,
        #[serde(flatten)]
        position: FilePosition,
    },
    Log {
        path: String,
        #[serde(flatten)]
        position: LogPosition,
    },
    Journal {
        file_id: String,
        #[serde(flatten)]
        position: JournalPosition,
    },
    ForgetFile {
        #[serde(flatten)]
        id: FileId,
    },
}

/// All positions, as they are on disk.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct State {
    /// By file.
    pub files: BTreeMap<FileId, FilePosition>,
    /// By path.
    pub logs: BTreeMap<String, LogPosition>,
    /// By the id in the header of the file.
    pub journals: BTreeMap<String, JournalPosition>,
}

/// The file of positions.
#[derive(Debug)]
pub struct Positions {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    bytes: u64,
    /// Bytes after it was last written anew.
    fresh_bytes: u64,
    /// Whether there may be half a line at the end.
    is_torn: bool,
    state: State,
}

/// What changes together.
#[derive(Debug, Default)]
pub struct Change(Vec<Record>);

impl Change {
    /// A file is read so far.
    pub fn file(&mut self, id: FileId, position: FilePosition) {
        self.0.push(Record::File { id, position });
    }

    /// A log is followed.
    pub fn log(&mut self, path: &str, position: LogPosition) {
        self.0.push(Record::Log { path: path.to_owned(), position });
    }

    /// A file of the journal is read so far.
    pub fn journal(&mut self, file_id: &str, position: JournalPosition) {
        self.0.push(Record::Journal { file_id: file_id.to_owned(), position });
    }

    /// A file is another one now.
    pub fn forget(&mut self, id: FileId) {
        self.0.push(Record::ForgetFile { id });
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl State {
    fn apply(&mut self, record: Record) {
        match record {
            Record::Version { .. } => {}
            Record::File { id, position } => drop(self.files.insert(id, position)),
            Record::Log { path, position } => drop(self.logs.insert(path, position)),
            Record::Journal { file_id, position } => drop(self.journals.insert(file_id, position)),
            Record::ForgetFile { id } => drop(self.files.remove(&id)),
        }
    }

    /// Drops what was last seen long before the rest: time in which nobody looked does not count.
    fn forget_gone(&mut self) {
        let files = self.files.values().map(|file| file.seen_ms);
        let journals = self.journals.values().map(|journal| journal.seen_ms);
        let Some(now_ms) = files.chain(journals).max() else { return };
        self.files.retain(|_, file| now_ms - file.seen_ms < GONE_MS);
        self.journals.retain(|_, journal| now_ms - journal.seen_ms < GONE_MS);
        if self.files.len() > MAX_GONE {
            let mut seen: Vec<i64> = self.files.values().map(|file| file.seen_ms).collect();
            seen.sort_unstable();
            let oldest = seen[seen.len() - MAX_GONE];
            self.files.retain(|_, file| file.seen_ms >= oldest);
        }
        let known: std::collections::BTreeSet<&str> =
            self.files.values().map(|file| file.log.as_str()).collect();
        self.logs.retain(|path, log| known.contains(path.as_str()) || now_ms - log.since_ms < GONE_MS);
    }

    fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Version { version: VERSION }];
        let logs = self.logs.iter().map(|(path, log)| Record::Log { path: path.clone(), position: *log });
        records.extend(logs);
        let files = self.files.iter().map(|(id, file)| Record::File { id: *id, position: file.clone() });
        records.extend(files);
        records.extend(self.journals.iter().map(|(file_id, journal)| Record::Journal {
            file_id: file_id.clone(),
            position: journal.clone(),
        }));
        records
    }
}

fn lines(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        let text = serde_json::to_string(record)?;
        writeln!(bytes, "{:08x} {text}", crc32c::crc32c(text.as_bytes()))?;
    }
    Ok(bytes)
}

fn read_line(line: &[u8]) -> Option<Record> {
    let (sum, text) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (crc32c::crc32c(text) == sum).then(|| serde_json::from_slice(text).ok())?
}

impl Positions {
    /// Opens, or creates, the file, and reads it. Damaged lines are told, counted and passed over.
    pub fn open(path: &Path) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let mut state = State::default();
        let mut damaged = 0;
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match read_line(line) {
                Some(Record::Version { version }) if version != VERSION => {
                    let told = path.display();
                    return Err(io::Error::other(format!("{told} is of version {version}, not {VERSION}")));
                }
                Some(record) => state.apply(record),
                None => damaged += 1,
            }
        }
        if damaged > 0 {
            let aside = path.with_extension("damaged");
            std::fs::copy(path, &aside)?;
            tracing::warn!(path = %path.display(), lines = damaged, copy = %aside.display(),
                "positions of logs are damaged or torn; the rest of them is used");
        }
        state.forget_gone();
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let (file, bytes) = rewrite(path, &state)?;
        Ok(Self { path: path.to_owned(), file, bytes, fresh_bytes: bytes, is_torn: false, state })
    }

    /// The positions.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Changes positions; they are on disk when this returns. After an error nothing has changed.
    pub fn write(&mut self, change: Change) -> io::Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.is_torn = false;
        }
        let bytes = lines(&change.0)?;
        self.is_torn = true;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.is_torn = false;
        self.bytes += bytes.len() as u64;
        change.0.into_iter().for_each(|record| self.state.apply(record));
        if self.bytes > SMALL_BYTES && self.bytes > self.fresh_bytes * 4 {
            self.state.forget_gone();
            match rewrite(&self.path, &self.state) {
                Ok((file, bytes)) => (self.file, self.bytes, self.fresh_bytes) = (file, bytes, bytes),
                // What changed is on disk already.
                Err(error) => tracing::warn!(%error, "positions of logs cannot be written anew"),
            }
        }
        Ok(())
    }
}

fn rewrite(path: &Path, state: &State) -> io::Result<(File, u64)> {
    let temporary = path.with_extension("tmp");
    let bytes = lines(&state.records())?;
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir)?.sync_all()?;
    }
    Ok((OpenOptions::new().append(true).open(path)?, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: u64, seen_ms: i64) -> FilePosition {
        let pending = Some(Pending { to: offset + 9, first_ns: 77 });
        FilePosition {
            log: "/l/a.log".to_owned(),
            offset,
            mark: Mark { head: 1, tail: u64::MAX },
            pending,
            is_done: false,
            seen_ms,
        }
    }

    const ID: FileId = FileId { dev: 1, ino: u64::MAX };

    #[test]
    fn what_was_written_is_there_after_a_restart_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.log");
        let mut positions = Positions::open(&path).unwrap();
        let mut change = Change::default();
        change.file(ID, position(5, 1));
        change.log("/l/ü\"\n.log", LogPosition { since_ms: 3, last_ns: 4 });
        change.journal("ab", JournalPosition { entries: 3, cursor: "s=1".to_owned(), seen_ms: 0 });
        positions.write(change).unwrap();
        let mut change = Change::default();
        change.file(ID, position(6, 1));
        positions.write(change).unwrap();
        let expected = positions.state().clone();
        assert_eq!(expected.files[&ID].offset, 6);
        drop(positions);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"01234567 {\"kind\":\"fi");
        std::fs::write(&path, &bytes).unwrap();
        let reopened = Positions::open(&path).unwrap();
        assert_eq!(reopened.state(), &expected);
        assert!(path.with_extension("damaged").exists());
    }

    #[test]
    fn a_damaged_line_does_not_take_others_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.log");
        let mut positions = Positions::open(&path).unwrap();
        for ino in 0..3 {
            let mut change = Change::default();
            change.file(FileId { dev: 1, ino }, position(ino, 0));
            positions.write(change).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap().replace("\"ino\":1", "\"ino\":7");
        std::fs::write(&path, text).unwrap();
        let state = Positions::open(&path).unwrap().state().clone();
        assert_eq!(state.files.keys().map(|id| id.ino).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn the_file_stays_small_and_what_is_long_gone_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.log");
        let mut positions = Positions::open(&path).unwrap();
        for offset in 0..6000 {
            let mut change = Change::default();
            change.file(ID, position(offset, GONE_MS));
            change.file(FileId { dev: 2, ino: 2 }, position(offset, 0));
            positions.write(change).unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() < 2 * SMALL_BYTES);
        }
        drop(positions);
        let state = Positions::open(&path).unwrap().state().clone();
        assert_eq!(state.files.keys().collect::<Vec<_>>(), [&ID]);
    }

    #[test]
    fn another_version_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.log");
        let text = br#"{"kind":"version","version":9}"#;
        let line = format!("{:08x} {}\n", crc32c::crc32c(text), std::str::from_utf8(text).unwrap());
        std::fs::write(&path, &line).unwrap();
        assert!(Positions::open(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
    }
}
