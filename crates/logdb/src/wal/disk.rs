//! The directory of the log, as a trait, so that a simulation can tear writes and lose what was not synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files by name.
pub trait Disk: Send + Sync {
    /// The names of all files, in order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A whole file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// A new, empty file, whose name is durable.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Puts a small file in the place of another, as a whole and durably.
    fn replace(&self, name: &str, data: &[u8]) -> io::Result<()>;
    /// Deletes a file. One that is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Gives a file another name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
}

/// A file that is being written.
pub trait DiskFile: Send {
    /// Adds bytes at the end; an error leaves open how many of them are there.
    fn append(&mut self, data: &[u8]) -> io::Result<()>;
    /// Makes what was added durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file down to a length, durably.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// A directory.
pub struct LocalDisk {
    root: PathBuf,
    /// Held for as long as the directory is used.
    _lock: File,
}

const LOCK_FILE: &str = "lock";

impl LocalDisk {
    /// Opens, and creates, a directory. Fails when another process has it.
    pub fn open(root: &Path) -> io::Result<Self> {
        // Above it, too: a name that is lost with the power takes all that is below with it.
        blob::create_folders(root)?;
        let lock = OpenOptions::new().create(true).write(true).truncate(false).open(root.join(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::AddrInUse, "another process uses the directory"))
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.root)?.sync_all()
    }
}

impl Disk for LocalDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type()?.is_file()
                && name != LOCK_FILE
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.root.join(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().create_new(true).append(true).open(self.root.join(name))?;
        self.sync_folder()?;
        Ok(Box::new(LocalFile(file)))
    }

    fn replace(&self, name: &str, data: &[u8]) -> io::Result<()> {
        let temporary = self.root.join(format!("{name}.tmp"));
        let mut file = File::create(&temporary)?;
        file.write_all(data)?;
        file.sync_all()?;
        fs::rename(&temporary, self.root.join(name))?;
        self.sync_folder()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))?;
        self.sync_folder()
    }
}

struct LocalFile(File);

impl DiskFile for LocalFile {
    fn append(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.sync_all()
    }
}
