//! The lock on the data directory.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use base::metrics::Registry;

use crate::error::TsdbError;

/// The name of the file, which other programs lock as well.
const LOCK_FILE: &str = "lock";

/// Holds the data directory against other processes until dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    path: PathBuf,
    _file: Option<File>,
}

impl DirLock {
    /// Takes the lock, unless `disabled`; `storage` is what its metric is named after.
    pub(crate) fn take(
        dir: &Path,
        disabled: bool,
        storage: &str,
        registry: &Registry,
    ) -> Result<Self, TsdbError> {
        let clean_start = registry.gauge(
            &format!("prometheus_{storage}_clean_start"),
            "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean",
            &[],
        );
        let path = dir.join(LOCK_FILE);
        if disabled {
            clean_start.set(-1.0);
            return Ok(Self { path, _file: None });
        }
        clean_start.set(if path.exists() { 0.0 } else { 1.0 });
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = match opened {
            // Nobody can write there, so whoever else reads does no harm: what there is can be served.
            Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                tracing::warn!(path = %path.display(), %error, "data directory cannot be written to; serving what is there");
                return Ok(Self { path, _file: None });
            }
            opened => opened.map_err(TsdbError::io("open", &path))?,
        };
        match file.try_lock() {
            // Its last holder may have removed it after we opened it; somebody else may then lock a new one.
            Ok(()) if !is_at(&file, &path) => Err(TsdbError::Locked(path)),
            Ok(()) => Ok(Self { path, _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(TsdbError::Locked(path)),
            Err(TryLockError::Error(error)) => Err(TsdbError::io("lock", &path)(error)),
        }
    }
}

/// Whether an open file is still the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (open, there) = (file.metadata().map(identity), std::fs::metadata(path).map(identity));
    matches!((open, there), (Ok(open), Ok(there)) if open == there)
}

impl Drop for DirLock {
    fn drop(&mut self) {
        if self._file.is_some() {
            // Its absence tells the next start that this one ended well; nothing else depends on it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
