//! Setting damaged segments aside.
//!
//! A real Prometheus that finds a damaged record deletes everything after it. So that going back to it
//! loses nothing, a damaged segment is rewritten without its damage, and the original is kept in a
//! quarantine directory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::WalError;
use super::batch::RecordBatch;
use super::compression::Compression;
use super::damage::Damages;
use super::frame::append_framed;
use super::reader::{ReadEvent, SegmentReader};
use super::segment::sync_dir;

/// Cuts a torn end off a segment.
pub fn cut_end(path: &Path, len: u64) -> Result<(), WalError> {
    let file = OpenOptions::new().write(true).open(path).map_err(WalError::io("open", path))?;
    file.set_len(len).and_then(|()| file.sync_all()).map_err(WalError::io("truncate", path))
}

/// Rewrites the segment at `path` with the records that can be read and moves the original into
/// `quarantine`. Returns where it went.
pub fn rewrite_without_damage(path: &Path, quarantine: &Path) -> Result<PathBuf, WalError> {
    let repaired = path.with_extension("repair");
    write_readable_records(path, &repaired)?;
    let kept = move_aside(path, quarantine, &name_with_parent(path))?;
    std::fs::rename(&repaired, path).map_err(WalError::io("rename", &repaired))?;
    if let Some(dir) = path.parent() {
        sync_dir(dir)?;
    }
    Ok(kept)
}

/// Sets aside what is damaged, so that other programs and the next start find a sound log. What fails is
/// logged: reading works all the same, now and at the next start.
pub fn mend(damages: &Damages, quarantine: &Path) {
    for segment in damages.segments() {
        let damage = &segment.first;
        tracing::warn!(places = segment.places, first = %damage, "damage in the write-ahead log is skipped");
        let mended = if damage.is_cut_off() {
            // Half a commit that nobody was told about: there is nothing to keep.
            cut_end(&damage.path, damage.offset).map(|()| None)
        } else if damage.torn_end {
            copy_aside(&damage.path, quarantine, &name_with_parent(&damage.path))
                .and_then(|kept| cut_end(&damage.path, damage.offset).map(|()| Some(kept)))
        } else {
            rewrite_without_damage(&damage.path, quarantine).map(Some)
        };
        match mended {
            Ok(Some(kept)) => tracing::warn!(kept = %kept.display(), "damaged log segment is set aside"),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "damaged log segment could not be repaired"),
        }
    }
}

fn write_readable_records(from: &Path, to: &Path) -> Result<(), WalError> {
    let mut reader = SegmentReader::open(from)?;
    let mut file = File::create(to).map_err(WalError::io("create", to))?;
    let mut batch = RecordBatch::new(Compression::Snappy);
    let (mut framed, mut offset) = (Vec::new(), 0);
    loop {
        match reader.next()? {
            ReadEvent::End => break,
            ReadEvent::Damage(_) => continue,
            ReadEvent::Record(record) => batch.push(|out| out.extend_from_slice(record))?,
        }
        framed.clear();
        for (how, record) in batch.records() {
            (offset, _) = append_framed(&mut framed, offset, how, record);
        }
        batch.clear();
        file.write_all(&framed).map_err(WalError::io("write", to))?;
    }
    file.sync_all().map_err(WalError::io("sync", to))
}

/// Moves a file or directory into `quarantine` as `name`, or the next name that is free. Returns where it went.
pub fn move_aside(path: &Path, quarantine: &Path, name: &str) -> Result<PathBuf, WalError> {
    let kept = free_name(quarantine, name)?;
    std::fs::rename(path, &kept).map_err(WalError::io("move to quarantine", path))?;
    Ok(kept)
}

/// As [`move_aside`], but the file also stays where it is.
pub fn copy_aside(path: &Path, quarantine: &Path, name: &str) -> Result<PathBuf, WalError> {
    let kept = free_name(quarantine, name)?;
    std::fs::copy(path, &kept).map_err(WalError::io("copy to quarantine", path))?;
    Ok(kept)
}

/// The name of a file with that of its directory: files of several directories have the same names.
pub fn name_with_parent(path: &Path) -> String {
    let parent = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{parent}-{}", path.file_name().unwrap_or_default().to_string_lossy())
}

fn free_name(quarantine: &Path, name: &str) -> Result<PathBuf, WalError> {
    std::fs::create_dir_all(quarantine).map_err(WalError::io("create", quarantine))?;
    let mut candidate = quarantine.join(name);
    let mut attempt = 1;
    while candidate.exists() {
        candidate = quarantine.join(format!("{name}.{attempt}"));
        attempt += 1;
    }
    Ok(candidate)
}
