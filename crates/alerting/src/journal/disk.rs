//! The files of a journal: the little that is done to them, so that tests can have it fail.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What a journal does to its files.
pub(super) trait Disk: std::fmt::Debug + Send {
    /// Writes to the log, from an offset on. After an error any part may be there.
    fn write_log(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has everything written so far survive a loss of power.
    fn sync_log(&mut self) -> io::Result<()>;

    /// Removes everything from an offset on.
    fn cut_log(&mut self, len: u64) -> io::Result<()>;

    /// Puts another snapshot in place of the old one; when this returns, it survives a loss of power. After an error
    /// it is the one or the other.
    fn replace_snapshot(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Files of the system.
#[derive(Debug)]
pub(super) struct Files {
    pub log: File,
    pub snapshot: PathBuf,
}

impl Disk for Files {
    fn write_log(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.log.seek(SeekFrom::Start(at))?;
        self.log.write_all(bytes)
    }

    fn sync_log(&mut self) -> io::Result<()> {
        self.log.sync_data()
    }

    fn cut_log(&mut self, len: u64) -> io::Result<()> {
        self.log.set_len(len)
    }

    fn replace_snapshot(&mut self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.snapshot.with_extension("tmp");
        if let Err(error) = write_synced(&temporary, bytes) {
            // Where the disk is full, half a file keeps others from their space.
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        std::fs::rename(&temporary, &self.snapshot)?;
        self.snapshot.parent().map_or(Ok(()), sync_dir)
    }
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
