//! What a directory as a bucket needs of a file system, as a trait, so that a simulation can lose power.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

/// Files and folders by path. A new, renamed or removed name is durable when its folder was synced.
pub trait Files: Send + Sync {
    /// Makes a folder; an error when there is something of that name.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder; an error when it is not empty.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// What is in a folder, in no order.
    fn read_folder(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// A new, empty file; an error when there is something of that name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;
    /// A file to read.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>>;
    /// Gives a file another name in its folder, in the place of whatever has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Does something while no other user of the directory, in whatever process, does.
    fn exclusively(&self, act: &mut dyn FnMut()) -> io::Result<()>;
}

/// What a folder tells of something in it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is; `None` for what is neither file nor folder, or gone meanwhile.
    pub kind: Option<Kind>,
}

/// What something in a folder is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its length.
        size_bytes: u64,
        /// When it was last written to, milliseconds since the epoch.
        modified_ms: i64,
    },
}

/// A file that is being written.
pub trait NewFile: Send {
    /// Adds bytes at the end.
    fn write(&mut self, data: &[u8]) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is read.
pub trait StoredFile: Send + Sync {
    /// Its length.
    fn len_bytes(&self) -> io::Result<u64>;
    /// Fills `data` with what stands at a position; an error when the file ends earlier.
    fn read_at(&self, data: &mut [u8], at: u64) -> io::Result<()>;
}

/// The file system of the machine.
pub(super) struct SystemFiles {
    /// Locks of one file do not exclude threads of one process that share it.
    lock: Mutex<File>,
}

impl SystemFiles {
    /// Files below a directory that is there; users of it exclude each other by a lock on `lock_path`.
    pub fn open(lock_path: &PathBuf) -> io::Result<Self> {
        let lock = OpenOptions::new().create(true).write(true).truncate(false).open(lock_path)?;
        Ok(Self { lock: Mutex::new(lock) })
    }
}

impl Files for SystemFiles {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn read_folder(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // What was deleted meanwhile is nothing.
            let kind = entry.file_type().ok().and_then(|kind| {
                if kind.is_dir() {
                    return Some(Kind::Folder);
                }
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let modified_ms = modified.map_or(0, |since| since.as_millis() as i64);
                Some(Kind::File { size_bytes: metadata.len(), modified_ms })
            });
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(OpenOptions::new().create_new(true).write(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StoredFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn exclusively(&self, act: &mut dyn FnMut()) -> io::Result<()> {
        let lock = self.lock.lock();
        flock(&*lock, FlockOperation::LockExclusive)?;
        act();
        // An unlock that fails is made up for when the process ends.
        let _ = flock(&*lock, FlockOperation::Unlock);
        Ok(())
    }
}

impl NewFile for File {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.write_all(data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl StoredFile for File {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    // Not mapped into memory: a file that someone cuts short is an error here, and would be a signal there.
    fn read_at(&self, data: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(data, at)
    }
}

/// Makes a directory and those above it, as far as they are missing, all durable.
pub fn create_folders(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && above.is_some() => {
            create_folders(above.unwrap_or(path))?;
            match fs::create_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        // Whoever made it may not have come to syncing it; but a directory above that cannot be read is not ours to sync.
        Err(_) if path.is_dir() => {
            let _ = File::open(above.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}
