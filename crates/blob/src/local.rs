//! A directory as a bucket.
//!
//! An object is a file at the path its key names. It is written under another name, synced, renamed, and its folder
//! synced, so that a crash leaves it whole or absent; folders above it that are new are synced before. Compare-and-swap holds
//! an exclusive lock on a file in the directory while it compares and renames: all processes that share the directory take the
//! same lock. Of the file system [`files`] tells what is needed, and [`power`] has one that loses power.

mod files;
pub mod power;

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use crate::bucket::{BlobError, Bucket, Object, ObjectInfo, PutIf, Upload, Version, check_key, check_prefix};
pub use files::{Entry, Files, Kind, NewFile, StoredFile, create_folders};

/// Files that are being written begin with this, which no key part may.
const UNFINISHED: &str = "~";
const LOCK_FILE: &str = "~lock";
/// Folders, and what was stored, known to be durable; beyond that many all are asked for again.
const MAX_KNOWN: usize = 10_000;

/// A directory as a bucket. Clones share it.
#[derive(Clone)]
pub struct LocalBucket {
    root: PathBuf,
    files: Arc<dyn Files>,
    durable: Arc<Mutex<Durable>>,
}

/// What is known of names.
#[derive(Default)]
struct Durable {
    /// Folders whose names are durable.
    folders: HashSet<PathBuf>,
    /// What was stored, and is durable since. Of anything else nothing is known: another process may have given it its name and
    /// not have been able to sync the folder, which another sync would not mend, as the kernel tells of what it could not write
    /// once.
    stored: HashMap<PathBuf, Version>,
}

impl LocalBucket {
    /// The bucket in the directory `root`, which is created.
    pub fn open(root: &Path) -> io::Result<Self> {
        create_folders(root)?;
        let files = files::SystemFiles::open(&root.join(LOCK_FILE))?;
        Ok(Self::on(root, Arc::new(files)))
    }

    /// The bucket in a directory of some file system, which is there.
    pub fn on(root: &Path, files: Arc<dyn Files>) -> Self {
        Self { root: root.to_owned(), files, durable: Arc::default() }
    }

    fn path(&self, key: &str) -> Result<PathBuf, BlobError> {
        check_key(key)?;
        Ok(self.root.join(key))
    }

    fn folder_of<'a>(&'a self, path: &'a Path) -> &'a Path {
        path.parent().unwrap_or(&self.root)
    }

    /// Makes a folder and those above it below the root, all durable.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || self.durable.lock().folders.contains(folder) {
            return Ok(());
        }
        let above = self.folder_of(folder);
        self.make_folder(above)?;
        match self.files.create_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                self.durable.lock().folders.remove(above);
                return Err(error);
            }
            _ => {}
        }
        if let Err(error) = self.files.sync_folder(above) {
            // Made again, it is a new name. One that is in use is not removed.
            let _ = self.files.remove_folder(folder);
            return Err(error);
        }
        let mut durable = self.durable.lock();
        if durable.folders.len() >= MAX_KNOWN {
            durable.folders.clear();
        }
        durable.folders.insert(folder.to_owned());
        Ok(())
    }

    fn unfinished(&self, key: &str) -> Result<(Box<dyn NewFile>, PathBuf), BlobError> {
        let path = self.path(key)?;
        let folder = self.folder_of(&path);
        let mut tries = 0;
        loop {
            let temporary = folder.join(format!("{UNFINISHED}{}", ulid::Ulid::new()));
            match self.make_folder(folder).and_then(|()| self.files.create(&temporary)) {
                Ok(file) => return Ok((file, temporary)),
                // Someone removed the folder when its last object went.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 10 => {
                    self.durable.lock().folders.remove(folder);
                    tries += 1;
                }
                Err(error) => return Err(failure(key, &error)),
            }
        }
    }

    /// Gives what was written its name, durably.
    fn finish(&self, temporary: &Path, path: &Path, version: Option<Version>) -> io::Result<()> {
        self.durable.lock().stored.remove(path);
        self.files.rename(temporary, path)?;
        // A folder that was taken for empty between its making and this name has it again.
        self.files.sync_folder(self.folder_of(path))?;
        if let Some(version) = version {
            let mut durable = self.durable.lock();
            if durable.stored.len() >= MAX_KNOWN {
                durable.stored.clear();
            }
            durable.stored.insert(path.to_owned(), version);
        }
        Ok(())
    }

    fn read(&self, path: &Path, limit_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let file = self.files.open(path)?;
        let len = file.len_bytes()?;
        if len > limit_bytes {
            return Ok(None);
        }
        let mut data = vec![0; len as usize];
        file.read_at(&mut data, 0)?;
        Ok(Some(data))
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

    /// Writes once more what is there, which nobody changes meanwhile but by a put without a condition.
    fn store_again(&self, key: &str, path: &Path) -> Result<(), BlobError> {
        let mut outcome = Ok(());
        let locked = self.files.exclusively(&mut || {
            outcome = match self.read(path, u64::MAX) {
                Ok(data) => self.store(key, &data.unwrap_or_default(), path),
                // It was deleted since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(failure(key, &error)),
            };
        });
        locked.map_err(|error| failure(key, &error)).and(outcome)
    }

    fn store(&self, key: &str, data: &[u8], path: &Path) -> Result<(), BlobError> {
        let (mut file, temporary) = self.unfinished(key)?;
        let finish = || self.finish(&temporary, path, Some(version_of(data)));
        let stored = file.write(data).and_then(|()| file.sync()).and_then(|()| finish());
        stored.map_err(|error| {
            let _ = self.files.remove(&temporary);
            failure(key, &error)
        })
    }

    /// Calls `found` for each file below a prefix, with its key.
    fn walk(&self, prefix: &str, found: &mut dyn FnMut(ObjectInfo, &str)) -> Result<(), BlobError> {
        let entries = match self.files.read_folder(&self.root.join(prefix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| failure(prefix, &error))?,
        };
        for Entry { name, kind } in entries {
            let key = format!("{prefix}{name}");
            match kind {
                Some(Kind::Folder) => self.walk(&format!("{key}/"), found)?,
                Some(Kind::File { size_bytes, modified_ms }) => {
                    found(ObjectInfo { key, size_bytes, modified_ms }, &name);
                }
                None => {}
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

impl Bucket for LocalBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        let path = self.path(key)?;
        if *condition == PutIf::Always {
            return self.store(key, &data, &path).map(|()| version_of(&data));
        }
        let (mut file, temporary) = self.unfinished(key)?;
        let mut outcome = file.write(&data).and_then(|()| file.sync()).map_err(|error| failure(key, &error));
        if outcome.is_ok() {
            let locked = self.files.exclusively(&mut || {
                outcome = match self.is_allowed(key, condition) {
                    Ok(true) => {
                        let finished = self.finish(&temporary, &path, Some(version_of(&data)));
                        finished.map_err(|error| failure(key, &error))
                    }
                    Ok(false) => Err(BlobError::Conflict(key.to_owned())),
                    Err(error) => Err(error),
                };
            });
            outcome = locked.map_err(|error| failure(key, &error)).and(outcome);
        }
        if outcome.is_err() {
            let _ = self.files.remove(&temporary);
        }
        outcome.map(|()| version_of(&data))
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        let (file, temporary) = self.unfinished(key)?;
        let (key, path) = (key.to_owned(), self.path(key)?);
        Ok(Box::new(LocalUpload { bucket: self.clone(), key, file, temporary, path, is_finished: false }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        let data = self.read(&self.path(key)?, limit_bytes).map_err(|error| failure(key, &error))?;
        let data = data.ok_or_else(|| BlobError::failed(key, format!("larger than {limit_bytes} bytes")))?;
        let version = version_of(&data);
        Ok((data.into(), version))
    }

    fn settle(&self, key: &str) -> Result<(), BlobError> {
        let path = self.path(key)?;
        let is_known = |version: &Version| self.durable.lock().stored.get(&path) == Some(version);
        match self.get(key, u64::MAX) {
            Ok((_, version)) if is_known(&version) => Ok(()),
            Ok(_) => self.store_again(key, &path),
            Err(BlobError::NotFound(_)) => match self.files.sync_folder(self.folder_of(&path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure(key, &error)),
                _ => Ok(()),
            },
            Err(error) => Err(error),
        }
    }

    fn delete_unfinished(&self, before_ms: i64) -> Result<usize, BlobError> {
        let mut old = Vec::new();
        self.walk("", &mut |info, name| {
            if name.starts_with(UNFINISHED) && name != LOCK_FILE && info.modified_ms < before_ms {
                old.push(info.key);
            }
        })?;
        for key in &old {
            match self.files.remove(&self.root.join(key)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failure(key, &error)),
                _ => {}
            }
        }
        Ok(old.len())
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        let open = |path: PathBuf| {
            let file = self.files.open(&path)?;
            Ok((file.len_bytes()?, file))
        };
        let (len_bytes, file) = open(self.path(key)?).map_err(|error| failure(key, &error))?;
        Ok(Arc::new(LocalObject { key: key.to_owned(), file, len_bytes }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        check_prefix(prefix)?;
        let mut found = Vec::new();
        self.walk(prefix, &mut |info, name| {
            if !name.starts_with(UNFINISHED) && check_key(&info.key).is_ok() {
                found.push(info);
            }
        })?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        check_prefix(prefix)?;
        let entries = match self.files.read_folder(&self.root.join(prefix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failure(prefix, &error))?,
        };
        let folders = entries.into_iter().filter(|entry| matches!(entry.kind, Some(Kind::Folder)));
        let mut names: Vec<String> = folders.map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        let path = self.path(key)?;
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failure(key, &error)),
            _ => {}
        }
        self.durable.lock().stored.remove(&path);
        // Folders that are empty now go, too; one that is not cannot be removed.
        let mut folder = self.folder_of(&path);
        while folder != self.root && self.files.remove_folder(folder).is_ok() {
            self.durable.lock().folders.remove(folder);
            folder = self.folder_of(folder);
        }
        Ok(())
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }
}

struct LocalObject {
    key: String,
    file: Arc<dyn StoredFile>,
    len_bytes: u64,
}

impl Object for LocalObject {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    #[expect(
        clippy::slow_vector_initialization,
        reason = "for `vec![0; n]` allocators take fresh pages, which cost more than zeroing used ones"
    )]
    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        if range.start > range.end || range.end > self.len_bytes {
            let message = format!("bytes {range:?} of {} were asked for", self.len_bytes);
            return Err(BlobError::failed(&self.key, message));
        }
        let mut data = Vec::with_capacity((range.end - range.start) as usize);
        data.resize(data.capacity(), 0);
        self.file.read_at(&mut data, range.start).map_err(|error| failure(&self.key, &error))?;
        Ok(data.into())
    }
}

struct LocalUpload {
    bucket: LocalBucket,
    key: String,
    file: Box<dyn NewFile>,
    temporary: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl Upload for LocalUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.file.write(&data).map_err(|error| failure(&self.key, &error))
    }

    fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        let finished = self.file.sync().and_then(|()| self.bucket.finish(&self.temporary, &self.path, None));
        let outcome = finished.map_err(|error| failure(&self.key, &error));
        self.is_finished = outcome.is_ok();
        outcome
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.bucket.files.remove(&self.temporary);
        }
    }
}
