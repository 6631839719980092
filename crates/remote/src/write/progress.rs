//! How far each shard is, to the sample: noted before and after each request, so that a restart after a kill repeats
//! nothing but requests that were under way, and those as they were.
//!
//! What is written is not synced: it survives the end of the process, not that of the machine. After that the
//! synced cursor holds (`cursor`), which lies before.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tsdb::wal::Position;
use xxhash_rust::xxh3::xxh3_64;

/// Where a sample stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Its record.
    pub record: Position,
    /// Its number in the record.
    pub index: u32,
}

impl Place {
    /// The place behind it.
    pub fn next(self) -> Self {
        Self { index: self.index.saturating_add(1), ..self }
    }
}

/// How far a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardProgress {
    /// All samples of the shard before this place are done.
    pub from: Place,
    /// The last sample of the request that begins there, if that may have been sent.
    pub last: Option<Place>,
}

/// The file of all shards of a destination; `docs/formats/remote-write-cursor.md`.
#[derive(Debug)]
pub struct ProgressFile(File);

const MAGIC: [u8; 4] = *b"BZP1";
/// Shards of a file that is believed.
const MAX_SHARDS: usize = 1 << 16;
/// Each shard has a piece of its own, after the head; no piece crosses a page.
const PIECE_BYTES: usize = 64;
const PLACE_BYTES: usize = 16;
const SUM_AT: usize = 2 * PLACE_BYTES;
const SUM_BYTES: usize = 8;

impl ProgressFile {
    /// What the file says; nothing when there is none or it is damaged.
    pub fn load(path: &Path) -> Vec<ShardProgress> {
        std::fs::read(path).ok().and_then(|bytes| parse(&bytes)).unwrap_or_default()
    }

    /// Replaces the file.
    pub fn create(path: &Path, shards: &[ShardProgress]) -> std::io::Result<Self> {
        let mut bytes = vec![0; PIECE_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&(shards.len() as u32).to_le_bytes());
        for shard in shards {
            let start = bytes.len();
            bytes.extend_from_slice(&piece(*shard));
            bytes.resize(start + PIECE_BYTES, 0);
        }
        let unfinished = path.with_extension("progress.tmp");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        file.write_all_at(&bytes, 0)?;
        std::fs::rename(&unfinished, path)?;
        Ok(Self(file))
    }

    /// Notes how far a shard is.
    pub fn set(&self, shard: usize, progress: ShardProgress) -> std::io::Result<()> {
        self.0.write_all_at(&piece(progress), ((shard + 1) * PIECE_BYTES) as u64)
    }
}

/// The end of time: no place is there.
const NOWHERE: Place = Place { record: Position::new(u32::MAX, u64::MAX), index: u32::MAX };

fn piece(progress: ShardProgress) -> [u8; SUM_AT + SUM_BYTES] {
    let mut bytes = [0; SUM_AT + SUM_BYTES];
    let places = [progress.from, progress.last.unwrap_or(NOWHERE)];
    for (place, out) in places.iter().zip(bytes.chunks_exact_mut(PLACE_BYTES)) {
        out[..4].copy_from_slice(&place.record.segment.to_le_bytes());
        out[4..12].copy_from_slice(&place.record.offset.to_le_bytes());
        out[12..].copy_from_slice(&place.index.to_le_bytes());
    }
    let sum = xxh3_64(&bytes[..SUM_AT]);
    bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Option<Vec<ShardProgress>> {
    let shards = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    if bytes[..4] != MAGIC || shards > MAX_SHARDS || bytes.len() < (shards + 1) * PIECE_BYTES {
        return None;
    }
    bytes.chunks_exact(PIECE_BYTES).skip(1).take(shards).map(parse_piece).collect()
}

fn parse_piece(bytes: &[u8]) -> Option<ShardProgress> {
    let sum = u64::from_le_bytes(bytes[SUM_AT..SUM_AT + SUM_BYTES].try_into().ok()?);
    if xxh3_64(&bytes[..SUM_AT]) != sum {
        return None;
    }
    let place = |bytes: &[u8]| {
        let segment = u32::from_le_bytes(bytes[..4].try_into().ok()?);
        let offset = u64::from_le_bytes(bytes[4..12].try_into().ok()?);
        let index = u32::from_le_bytes(bytes[12..16].try_into().ok()?);
        Some(Place { record: Position::new(segment, offset), index })
    };
    let (from, last) = (place(&bytes[..PLACE_BYTES])?, place(&bytes[PLACE_BYTES..SUM_AT])?);
    Some(ShardProgress { from, last: Some(last).filter(|&last| last != NOWHERE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u32, offset: u64, index: u32) -> Place {
        Place { record: Position::new(segment, offset), index }
    }

    #[test]
    fn progress_survives_and_damage_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.progress");
        assert_eq!(ProgressFile::load(&path), []);
        let under_way = ShardProgress { from: at(3, 700, 5), last: Some(at(3, 900, 0)) };
        let file = ProgressFile::create(&path, &[ShardProgress::default(); 3]).unwrap();
        file.set(1, under_way).unwrap();
        let done = ShardProgress { from: at(3, 900, 0).next(), last: None };
        file.set(2, done).unwrap();
        assert_eq!(ProgressFile::load(&path), [ShardProgress::default(), under_way, done]);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 5, 2 * PIECE_BYTES + 3, 3 * PIECE_BYTES + SUM_AT] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(ProgressFile::load(&path), [], "{at}");
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(ProgressFile::load(&path), []);
    }
}
