//! Files whose content may change while the process runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::error::ClientError;

/// What tells one state of a file from another without reading it. Symbolic links are followed, so the
/// swap of a mounted Kubernetes secret is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Signature {
    /// The state of `path` now; `None` when it cannot be read.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: meta.modified().ok(),
            len: meta.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&meta),
        })
    }
}

/// Reads a file of the configuration.
pub(crate) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ClientError> {
    /// More than any certificate bundle; a device or a log named by mistake stays harmless.
    const LARGEST_BYTES: u64 = 16 << 20;
    let failed = |reason: String| ClientError::File { what, path: path.to_owned(), reason };
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST_BYTES + 1), &mut content)
        .map_err(|error| failed(error.to_string()))?;
    if content.len() as u64 > LARGEST_BYTES {
        return Err(failed(format!("larger than {LARGEST_BYTES} bytes")));
    }
    Ok(content)
}

/// A text that is either given or stands in a file, which is read anew when it changed.
#[derive(Debug)]
pub(crate) enum Text {
    Given(config::Secret),
    File { what: &'static str, path: PathBuf, cached: Mutex<Option<(Signature, config::Secret)>> },
}

impl Text {
    /// The text given, or else the file, or else nothing.
    pub(crate) fn new(given: &config::Secret, what: &'static str, path: &Path) -> Self {
        if path.as_os_str().is_empty() {
            Self::Given(given.clone())
        } else {
            Self::File { what, path: path.to_owned(), cached: Mutex::default() }
        }
    }

    /// The text now, white space at the ends of a file removed.
    pub(crate) fn get(&self) -> Result<config::Secret, ClientError> {
        let (what, path, cached) = match self {
            Self::Given(text) => return Ok(text.clone()),
            Self::File { what, path, cached } => (what, path, cached),
        };
        let now = Signature::of(path);
        let mut cached = cached.lock();
        if let (Some(now), Some((then, text))) = (&now, &*cached)
            && now == then
        {
            return Ok(text.clone());
        }
        let bytes = read(what, path)?;
        let text = config::Secret::new(String::from_utf8_lossy(&bytes).trim());
        *cached = now.map(|now| (now, text.clone()));
        Ok(text)
    }
}
