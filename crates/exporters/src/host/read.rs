//! Reading the kernel's small text files.

use std::path::{Path, PathBuf};

/// Why a collector failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file or directory could not be read.
    #[error("couldn't read {path}: {source}", path = path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not have the form the kernel documents.
    #[error("couldn't parse {what} in {path}: {text:?}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What was found.
        text: String,
    },
    /// The kernel or its configuration does not offer this.
    #[error("{0} is not available on this host")]
    Unavailable(&'static str),
}

/// Bytes read of one file at most. The largest, `/proc/stat` of a host with thousands of interrupts,
/// stays well below.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The text of a file; bytes that are not UTF-8 are replaced.
pub(super) fn text(path: &Path) -> Result<String, CollectError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes))
        .map_err(|source| CollectError::Read { path: path.to_owned(), source })?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The trimmed text of a file that may be missing or unreadable, as many in sysfs are.
pub(super) fn optional_text(path: &Path) -> Option<String> {
    text(path).ok().map(|text| text.trim().to_owned())
}

/// The names in a directory, sorted.
pub(super) fn names(path: &Path) -> Result<Vec<String>, CollectError> {
    let entries =
        std::fs::read_dir(path).map_err(|source| CollectError::Read { path: path.to_owned(), source })?;
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

/// The number that stands at `field` of `line`, counted from 0.
pub(super) fn number(path: &Path, what: &'static str, field: Option<&str>) -> Result<f64, CollectError> {
    let text = field.unwrap_or_default();
    text.parse().map_err(|_| CollectError::Parse { path: path.to_owned(), what, text: text.to_owned() })
}
