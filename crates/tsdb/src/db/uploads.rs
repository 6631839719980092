//! Blocks that must stay as they are until someone else has uploaded them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use base::clock::SharedClock;
use parking_lot::Mutex;

use crate::block::BlockMeta;

/// How long what the file said counts.
const FRESH: Duration = Duration::from_secs(60);

/// The file in which an uploader, such as the Thanos sidecar, notes what it has uploaded.
pub(super) struct Uploads {
    path: PathBuf,
    clock: SharedClock,
    /// The names in the file, and when it was read, on the monotonic clock.
    known: Mutex<Option<(Duration, HashSet<String>)>>,
}

#[derive(serde::Deserialize)]
struct UploadsFile {
    #[serde(default)]
    uploaded: Vec<String>,
}

impl Uploads {
    pub(super) fn new(path: PathBuf, clock: SharedClock) -> Self {
        Self { path, clock, known: Mutex::default() }
    }

    /// How many of `blocks`, by time, may be joined: those before the first one from the head that is not
    /// uploaded yet. Later ones would leave it behind, alone. Without a readable file nothing waits.
    pub(super) fn released(&self, blocks: &[BlockMeta]) -> usize {
        let mut known = self.known.lock();
        let now = self.clock.monotonic();
        if known.as_ref().is_none_or(|(read, _)| now.saturating_sub(*read) >= FRESH) {
            *known = match self.read() {
                Ok(uploaded) => Some((now, uploaded)),
                Err(error) => {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "list of uploaded blocks cannot be read; no block waits");
                    None
                }
            };
        }
        let Some((_, uploaded)) = known.as_ref() else { return blocks.len() };
        let waits =
            |meta: &BlockMeta| meta.compaction.level <= 1 && !uploaded.contains(&meta.ulid.to_string());
        blocks.iter().position(waits).unwrap_or(blocks.len())
    }

    fn read(&self) -> std::io::Result<HashSet<String>> {
        let file: UploadsFile = serde_json::from_slice(&std::fs::read(&self.path)?)?;
        Ok(file.uploaded.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use base::SimClock;
    use ulid::Ulid;

    use super::*;

    fn block(number: u64, level: u32) -> BlockMeta {
        let start_ms = i64::try_from(number).unwrap() * 10;
        let mut meta = BlockMeta::level_one(Ulid::from_parts(number, 0), start_ms, start_ms + 10);
        meta.compaction.level = level;
        meta
    }

    #[test]
    fn blocks_from_the_head_wait_until_the_file_names_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        let clock = SimClock::at(0);
        let uploads = Uploads::new(path.clone(), clock.clone());
        let blocks = [block(1, 2), block(2, 1), block(3, 1), block(4, 3)];
        let write = |names: &[&BlockMeta]| {
            let names: Vec<_> = names.iter().map(|meta| meta.ulid.to_string()).collect();
            let text = serde_json::json!({"version": 1, "uploaded": names}).to_string();
            std::fs::write(&path, text).unwrap();
        };
        assert_eq!(uploads.released(&blocks), 4, "there is no file");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(uploads.released(&blocks), 4, "it is not whole");
        write(&[]);
        assert_eq!(uploads.released(&blocks), 1, "compacted blocks do not wait");
        write(&[&blocks[1]]);
        assert_eq!(uploads.released(&blocks), 1, "it is not read again at once");
        clock.advance(FRESH);
        assert_eq!(uploads.released(&blocks), 2);
        write(&[&blocks[1], &blocks[2]]);
        clock.advance(FRESH);
        assert_eq!(uploads.released(&blocks), 4);
    }
}
