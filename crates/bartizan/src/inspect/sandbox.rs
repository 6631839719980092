//! Replaying the head of a data directory without touching it.
//!
//! Opening a head repairs its files and starts new ones. So that neither happens to a directory that is
//! only looked at, or that a running server writes to, the head's files are copied and opened elsewhere.

use std::io;
use std::path::Path;

use anyhow::Context;
use base::metrics::Registry;
use tempfile::TempDir;
use tsdb::head::{Head, HeadOptions};

/// What a head consists of.
const PARTS: [&str; 3] = ["chunks_head", "wal", "wbl"];
/// A running server may remove files while they are copied.
const ATTEMPTS: usize = 5;

/// A copy of a head's files, removed when dropped.
pub struct Sandbox {
    copy: TempDir,
}

impl Sandbox {
    /// Copies the head of the data directory `dir` to a new directory in `root`, or in the system's
    /// directory for temporary files. `None` when there is no head.
    pub fn of(dir: &Path, root: Option<&Path>) -> anyhow::Result<Option<Self>> {
        if !PARTS.iter().any(|part| dir.join(part).is_dir()) {
            return Ok(None);
        }
        let mut attempt = 1;
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix("bartizan-head-");
            let copy = match root {
                Some(root) => builder.tempdir_in(root),
                None => builder.tempdir(),
            };
            let copy = copy.context("create a sandbox for the head")?;
            match PARTS.iter().try_for_each(|part| copy_tree(&dir.join(part), &copy.path().join(part))) {
                Ok(()) => return Ok(Some(Self { copy })),
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => attempt += 1,
                Err(error) => {
                    let place = copy.path().display().to_string();
                    return Err(error).context(format!(
                        "copy the head of {} to {place} (--sandbox-dir-root chooses another place)",
                        dir.display()
                    ));
                }
            }
        }
    }

    /// Replays the head; what blocks hold, up to `min_valid_ms`, is left out. What is damaged is named on
    /// the standard error stream and left out.
    pub fn open_head(&self, dir: &Path, min_valid_ms: i64) -> anyhow::Result<Head> {
        let (clock, registry) = (base::SystemClock::shared(), Registry::new());
        let head = Head::open(self.copy.path(), HeadOptions::default(), min_valid_ms, clock, &registry)
            .with_context(|| format!("replay the head of {}", dir.display()))?;
        let (copy, original) = (self.copy.path().display().to_string(), dir.display().to_string());
        for damage in head.replay_report().damages {
            eprintln!("damage left out: {}", damage.replace(&copy, original.trim_end_matches('/')));
        }
        Ok(head)
    }
}

/// Copies a directory; one that does not exist is an empty one.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
