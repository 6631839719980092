//! The files of a log directory: numbered segments and checkpoints.

use std::path::{Path, PathBuf};

use super::WalError;

/// Bytes after which a new segment is started.
pub const SEGMENT_BYTES: u64 = 128 << 20;

const CHECKPOINT_PREFIX: &str = "checkpoint.";

/// The path of segment `index`.
pub fn segment_path(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!("{index:08}"))
}

/// The path of the checkpoint that covers the segments up to `index`.
pub fn checkpoint_path(dir: &Path, index: u32) -> PathBuf {
    dir.join(format!("{CHECKPOINT_PREFIX}{index:08}"))
}

/// The segments of a directory in order; empty when the directory does not exist.
pub fn list_segments(dir: &Path) -> Result<Vec<u32>, WalError> {
    list(dir, |name| name.parse().ok())
}

/// The last checkpoint of a directory: the last segment it covers, and its path.
pub fn last_checkpoint(dir: &Path) -> Result<Option<(u32, PathBuf)>, WalError> {
    let all = list_checkpoints(dir)?;
    Ok(all.last().map(|&index| (index, find_checkpoint(dir, index))))
}

/// Checkpoints by the last segment they cover, in order.
pub fn list_checkpoints(dir: &Path) -> Result<Vec<u32>, WalError> {
    list(dir, |name| name.strip_prefix(CHECKPOINT_PREFIX)?.parse().ok())
}

/// Old versions wrote fewer digits; the name found wins over the name we would give.
fn find_checkpoint(dir: &Path, index: u32) -> PathBuf {
    let ours = checkpoint_path(dir, index);
    let short = dir.join(format!("{CHECKPOINT_PREFIX}{index:06}"));
    if !ours.exists() && short.exists() { short } else { ours }
}

/// The path of segment `index` as it is found on disk; Prometheus accepts any number of digits.
pub fn existing_segment_path(dir: &Path, index: u32) -> PathBuf {
    let ours = segment_path(dir, index);
    let short = dir.join(format!("{index:06}"));
    if !ours.exists() && short.exists() { short } else { ours }
}

/// Bytes of all segments and checkpoints of a directory.
pub fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => directory_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Deletes the checkpoints that cover fewer segments than `index`.
pub fn delete_checkpoints_before(dir: &Path, index: u32) -> Result<(), WalError> {
    for old in list_checkpoints(dir)?.into_iter().filter(|&old| old < index) {
        let path = find_checkpoint(dir, old);
        std::fs::remove_dir_all(&path).map_err(WalError::io("delete", &path))?;
    }
    Ok(())
}

/// Deletes checkpoints that were being written when the process ended.
pub fn delete_unfinished_checkpoints(dir: &Path) -> Result<(), WalError> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(CHECKPOINT_PREFIX) && name.ends_with(".tmp") {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(WalError::io("delete", &path))?;
        }
    }
    Ok(())
}

/// Makes renames and new files in `dir` durable.
pub fn sync_dir(dir: &Path) -> Result<(), WalError> {
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(WalError::io("sync", dir))
}

fn list(dir: &Path, parse: impl Fn(&str) -> Option<u32>) -> Result<Vec<u32>, WalError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(WalError::io("list", dir)(error)),
    };
    let mut indexes = Vec::new();
    for entry in entries {
        let entry = entry.map_err(WalError::io("list", dir))?;
        if let Some(index) = entry.file_name().to_str().and_then(&parse) {
            indexes.push(index);
        }
    }
    indexes.sort_unstable();
    indexes.dedup();
    Ok(indexes)
}
