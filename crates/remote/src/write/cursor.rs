//! The durable cursor of a destination: everything in the log before it was acknowledged, or dropped on purpose.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tsdb::wal::Position;
use xxhash_rust::xxh3::xxh3_64;

/// Why a cursor could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The content of a cursor file; `docs/formats/remote-write-cursor.md`.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    version: u32,
    destination: String,
    url: String,
    segment: u32,
    offset: u64,
}

const VERSION: u32 = 1;

/// The file one destination's cursor is kept in.
#[derive(Debug, Clone)]
pub struct CursorFile {
    path: PathBuf,
    destination: String,
    url: String,
}

/// The directory of cursors in a data directory.
pub const CURSOR_DIR: &str = "remote_write";

impl CursorFile {
    /// The file of the destination `key` in a data directory. `url` is noted for operators.
    pub fn new(data_dir: &Path, key: &str, url: &str) -> Self {
        Self {
            path: data_dir.join(CURSOR_DIR).join(file_name(key)),
            destination: key.to_owned(),
            url: url.to_owned(),
        }
    }

    /// The cursor, if there is one.
    pub fn load(&self) -> Result<Option<Position>, CursorError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("read")(error)),
        };
        let damaged = |reason: String| CursorError::Damaged { path: self.path.clone(), reason };
        let content: Content = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if content.version != VERSION {
            return Err(damaged(format!("version {} is not known", content.version)));
        }
        Ok(Some(Position::new(content.segment, content.offset)))
    }

    /// Replaces the cursor. When this returns the new one survives a crash; when it fails the old one is still there.
    pub fn save(&self, position: Position) -> Result<(), CursorError> {
        let content = Content {
            version: VERSION,
            destination: self.destination.clone(),
            url: self.url.clone(),
            segment: position.segment,
            offset: position.offset,
        };
        let mut bytes = serde_json::to_vec(&content).unwrap_or_default();
        bytes.push(b'\n');
        let directory = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(self.io("create directory of"))?;
        let unfinished = self.path.with_extension("json.tmp");
        let mut file = File::create(&unfinished).map_err(self.io("create"))?;
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(self.io("write"))?;
        std::fs::rename(&unfinished, &self.path).map_err(self.io("replace"))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(self.io("sync directory of"))
    }

    /// The file beside it with the progress of shards.
    pub fn progress_path(&self) -> PathBuf {
        self.path.with_extension("progress")
    }

    /// Forgets the cursor, and the progress of shards with it.
    pub fn delete(&self) -> Result<(), CursorError> {
        for path in [&self.path, &self.progress_path()] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.io("delete")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn io(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> CursorError {
        let path = self.path.clone();
        move |source| CursorError::Io { action, path, source }
    }
}

/// Names are arbitrary text: what is no plain file name is replaced, and a hash keeps different names apart.
fn file_name(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let readable: String = key.chars().take(64).map(plain).collect();
    format!("{readable}-{:08x}.json", xxh3_64(key.as_bytes()) as u32)
}

/// Deletes the files in a data directory that belong to none of the destinations `keys`.
pub fn delete_others<'a>(data_dir: &Path, keys: impl Iterator<Item = &'a str>) -> Result<(), CursorError> {
    let directory = data_dir.join(CURSOR_DIR);
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let kept: Vec<String> = keys.map(|key| stem(&file_name(key))).collect();
    let Ok(entries) = std::fs::read_dir(&directory) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.contains(".json") || name.contains(".progress");
        if is_ours && !kept.contains(&stem(&name)) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|source| CursorError::Io {
                action: "delete",
                path,
                source,
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_and_different_names_have_different_files() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (CursorFile::new(dir.path(), "a/b", "u"), CursorFile::new(dir.path(), "a_b", "u"));
        assert_eq!(a.load().unwrap(), None);
        a.save(Position::new(3, 700)).unwrap();
        a.save(Position::new(4, 7)).unwrap();
        b.save(Position::new(1, 0)).unwrap();
        assert_eq!(a.load().unwrap(), Some(Position::new(4, 7)));
        assert_eq!(b.load().unwrap(), Some(Position::new(1, 0)));
        delete_others(dir.path(), ["a_b"].into_iter()).unwrap();
        assert_eq!((a.load().unwrap(), b.load().unwrap()), (None, Some(Position::new(1, 0))));
        b.delete().unwrap();
        b.delete().unwrap();
        assert_eq!(b.load().unwrap(), None);
    }

    #[test]
    fn a_damaged_cursor_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = CursorFile::new(dir.path(), "a", "u");
        file.save(Position::new(3, 700)).unwrap();
        for content in ["", "{}", r#"{"version":2,"destination":"a","url":"u","segment":1,"offset":1}"#] {
            std::fs::write(&file.path, content).unwrap();
            assert!(matches!(file.load(), Err(CursorError::Damaged { .. })), "{content}");
        }
    }

    #[test]
    fn the_first_version_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let file = CursorFile::new(dir.path(), "central", "http://central/api/v1/write");
        std::fs::create_dir_all(dir.path().join(CURSOR_DIR)).unwrap();
        std::fs::write(&file.path, include_bytes!("../../testdata/cursor-v1.json")).unwrap();
        assert_eq!(file.load().unwrap(), Some(Position::new(12, 3_456)));
    }
}
