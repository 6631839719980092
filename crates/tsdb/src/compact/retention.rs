//! Which blocks to drop.

use std::collections::BTreeSet;
use std::path::Path;

use ulid::Ulid;

use crate::block::meta::BlockMeta;

/// What to keep.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Retention {
    /// Blocks that end this much before the newest one go; 0 keeps them.
    pub duration_ms: i64,
    /// The oldest blocks go while everything together is larger; 0 keeps them.
    pub max_bytes: u64,
    /// As `max_bytes`, in percent of the disk, and in its place when not 0.
    pub max_percent: f64,
}

impl Retention {
    /// The most bytes of everything together, 0 for any number. `disk_bytes` is the size of the file system, 0 when
    /// unknown.
    pub fn limit_bytes(&self, disk_bytes: u64) -> u64 {
        match self.max_percent > 0.0 && disk_bytes > 0 {
            true => (disk_bytes as f64 * self.max_percent / 100.0) as u64,
            false => self.max_bytes,
        }
    }
}

/// Size of the file system a directory is on, 0 when unknown.
pub fn disk_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// The blocks to drop, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// All of them.
    pub blocks: BTreeSet<Ulid>,
    /// Some are too old.
    pub by_time: bool,
    /// Some are too much.
    pub by_size: bool,
}

/// Applies the rules to blocks and their sizes. `head_bytes` is what the head keeps on disk, and
/// `disk_bytes` the size of the file system, 0 when unknown.
pub fn blocks_to_drop(
    blocks: &[(BlockMeta, u64)],
    retention: &Retention,
    head_bytes: u64,
    disk_bytes: u64,
) -> Dropped {
    let mut newest_first: Vec<&(BlockMeta, u64)> = blocks.iter().collect();
    newest_first.sort_by_key(|(meta, _)| std::cmp::Reverse(meta.max_ms));
    let mut dropped = Dropped::default();
    dropped
        .blocks
        .extend(blocks.iter().filter(|(meta, _)| meta.compaction.deletable).map(|(meta, _)| meta.ulid));
    let Some((newest, _)) = newest_first.first() else { return dropped };

    let too_old = |meta: &BlockMeta| newest.max_ms.saturating_sub(meta.max_ms) >= retention.duration_ms;
    if retention.duration_ms > 0
        && let Some(at) = newest_first.iter().skip(1).position(|(meta, _)| too_old(meta))
    {
        dropped.by_time = true;
        dropped.blocks.extend(newest_first[at + 1..].iter().map(|(meta, _)| meta.ulid));
    }

    let limit = retention.limit_bytes(disk_bytes);
    let mut total = head_bytes;
    let mut exceeds = |&(_, bytes): &&(BlockMeta, u64)| {
        total += bytes;
        total > limit
    };
    if limit > 0
        && let Some(at) = newest_first.iter().copied().position(|block| exceeds(&block))
    {
        dropped.by_size = true;
        dropped.blocks.extend(newest_first[at..].iter().map(|(meta, _)| meta.ulid));
    }
    dropped
}
