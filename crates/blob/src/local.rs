//! A directory as a bucket.
//!
//! An object is a file at the path its key names. It is written under another name, synced, renamed, and its folder
//! synced, so that a crash leaves it whole or absent. Compare-and-swap holds an exclusive lock on a file in the
//! directory while it compares and renames: all processes that share the directory take the same lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use xxhash_rust::xxh3::xxh3_128;

use crate::bucket::{BlobError, Bucket, Object, ObjectInfo, PutIf, Upload, Version, check_key, check_prefix};

/// Files that are being written begin with this, which no key part may.
const UNFINISHED: &str = "~";
const LOCK_FILE: &str = "~lock";

/// A directory as a bucket.
pub struct LocalBucket {
    root: PathBuf,
    /// Locks of one file do not exclude threads of one process that share it.
    lock: Mutex<File>,
}

impl LocalBucket {
    /// The bucket in the directory `root`, which is created.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let lock = OpenOptions::new().create(true).write(true).truncate(false).open(root.join(LOCK_FILE))?;
        Ok(Self { root: root.to_owned(), lock: Mutex::new(lock) })
    }

    fn path(&self, key: &str) -> Result<PathBuf, BlobError> {
        check_key(key)?;
        Ok(self.root.join(key))
    }

    fn unfinished(&self, key: &str) -> Result<(File, PathBuf), BlobError> {
        let path = self.path(key)?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|error| failure(key, &error))?;
        let temporary = folder.join(format!("{UNFINISHED}{}", ulid::Ulid::new()));
        let file = OpenOptions::new().create_new(true).write(true).open(&temporary);
        Ok((file.map_err(|error| failure(key, &error))?, temporary))
    }

    fn is_allowed(&self, key: &str, condition: &PutIf) -> Result<bool, BlobError> {
        let current = match self.get(key, u64::MAX) {
            Ok((_, version)) => Some(version),
            Err(BlobError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(match condition {
            PutIf::Always => true,
            PutIf::Absent => current.is_none(),
            PutIf::Unchanged(version) => current.as_ref() == Some(version),
        })
    }

    fn walk(&self, prefix: &str, out: &mut Vec<ObjectInfo>) -> Result<(), BlobError> {
        let folder = self.root.join(prefix);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| failure(prefix, &error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failure(prefix, &error))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let key = format!("{prefix}{name}");
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                self.walk(&format!("{key}/"), out)?;
            } else if kind.is_file() && !name.starts_with(UNFINISHED) && check_key(&key).is_ok() {
                // What was deleted meanwhile is not listed.
                let Ok(metadata) = entry.metadata() else { continue };
                let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let modified_ms = modified.map_or(0, |since| since.as_millis() as i64);
                out.push(ObjectInfo { key, size_bytes: metadata.len(), modified_ms });
            }
        }
        Ok(())
    }
}

fn failure(key: &str, error: &io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound(key.to_owned()),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => BlobError::unavailable(key, error),
        _ => BlobError::failed(key, error),
    }
}

fn version_of(data: &[u8]) -> Version {
    Version(format!("{:032x}", xxh3_128(data)))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

impl Bucket for LocalBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        let (mut file, temporary) = self.unfinished(key)?;
        let path = self.path(key)?;
        let store = |file: &mut File| -> Result<(), BlobError> {
            file.write_all(&data).and_then(|()| file.sync_data()).map_err(|error| failure(key, &error))?;
            let rename = || {
                fs::rename(&temporary, &path).and_then(|()| sync_folder(&path)).map_err(|e| failure(key, &e))
            };
            if *condition == PutIf::Always {
                return rename();
            }
            let lock = self.lock.lock();
            flock(&*lock, FlockOperation::LockExclusive).map_err(|error| failure(key, &error.into()))?;
            let outcome = match self.is_allowed(key, condition) {
                Ok(true) => rename(),
                Ok(false) => Err(BlobError::Conflict(key.to_owned())),
                Err(error) => Err(error),
            };
            // An unlock that fails is made up for when the process ends.
            let _ = flock(&*lock, FlockOperation::Unlock);
            outcome
        };
        let outcome = store(&mut file);
        if outcome.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        outcome.map(|()| version_of(&data))
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        let (file, temporary) = self.unfinished(key)?;
        let path = self.path(key)?;
        Ok(Box::new(LocalUpload { key: key.to_owned(), file, temporary, path, is_finished: false }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        let read = |path: PathBuf| -> io::Result<Vec<u8>> {
            let file = File::open(path)?;
            let mut data = Vec::with_capacity(file.metadata()?.len().min(limit_bytes) as usize);
            file.take(limit_bytes.saturating_add(1)).read_to_end(&mut data)?;
            Ok(data)
        };
        let data = read(self.path(key)?).map_err(|error| failure(key, &error))?;
        if data.len() as u64 > limit_bytes {
            return Err(BlobError::failed(key, format!("larger than {limit_bytes} bytes")));
        }
        let version = version_of(&data);
        Ok((data.into(), version))
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        let open = |path: PathBuf| File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len_bytes, file) = open(self.path(key)?).map_err(|error| failure(key, &error))?;
        Ok(Arc::new(LocalObject { key: key.to_owned(), file, len_bytes }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        check_prefix(prefix)?;
        let mut found = Vec::new();
        self.walk(prefix, &mut found)?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        check_prefix(prefix)?;
        let entries = match fs::read_dir(self.root.join(prefix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failure(prefix, &error))?,
        };
        let name = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))?;
            entry.file_name().into_string().ok()
        };
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        match fs::remove_file(self.path(key)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure(key, &error)),
            _ => Ok(()),
        }
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }
}

struct LocalObject {
    key: String,
    file: File,
    len_bytes: u64,
}

impl Object for LocalObject {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        if range.start > range.end || range.end > self.len_bytes {
            let message = format!("bytes {range:?} of {} were asked for", self.len_bytes);
            return Err(BlobError::failed(&self.key, message));
        }
        // Not mapped into memory: a file that someone cuts short is an error here, and would be a signal there.
        let mut data = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut data, range.start).map_err(|error| failure(&self.key, &error))?;
        Ok(data.into())
    }
}

struct LocalUpload {
    key: String,
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl Upload for LocalUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.file.write_all(&data).map_err(|error| failure(&self.key, &error))
    }

    fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        let finish = || -> io::Result<()> {
            self.file.sync_data()?;
            fs::rename(&self.temporary, &self.path)?;
            sync_folder(&self.path)
        };
        let outcome = finish().map_err(|error| failure(&self.key, &error));
        self.is_finished = outcome.is_ok();
        outcome
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
