//! `meta.json`: what a block holds and where it comes from.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::error::TsdbError;

/// The name of the file.
pub const META_FILE: &str = "meta.json";
/// The hint of blocks made of samples that came out of order.
pub const HINT_OUT_OF_ORDER: &str = "from-out-of-order";
/// The hint of blocks made of series that had ended.
pub const HINT_STALE_SERIES: &str = "from-stale-series";
/// Hints of blocks that hold a part of the head's series only; they are never mixed with others.
pub const PARTIAL_HINTS: [&str; 2] = [HINT_STALE_SERIES, "from-selected-series"];

/// The content of `meta.json`. Fields we do not know (such as `thanos`) are kept and written back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// The block's name, which begins with its creation time.
    pub ulid: Ulid,
    /// The first millisecond of the block's range.
    #[serde(rename = "minTime")]
    pub min_ms: i64,
    /// The end of the block's range: the first millisecond after it.
    #[serde(rename = "maxTime")]
    pub max_ms: i64,
    /// Counts of what it holds.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it comes from.
    #[serde(default)]
    pub compaction: Compaction,
    /// Version of this file's format: 1.
    #[serde(default)]
    pub version: u32,
    /// Everything else.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Counts of a block's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of all types.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Native histogram samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// The compactions a block went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// How many compactions lie between the head and this block.
    pub level: u32,
    /// The level-1 blocks whose data is in this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// Everything in it is deleted: the block may go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    /// The blocks it was made of directly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// A compaction of this block failed; it is not tried again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// What is special about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A block by name and range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDesc {
    /// The block's name.
    pub ulid: Ulid,
    /// The first millisecond of its range.
    #[serde(rename = "minTime")]
    pub min_ms: i64,
    /// The first millisecond after its range.
    #[serde(rename = "maxTime")]
    pub max_ms: i64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl BlockMeta {
    /// The description of a block made from the head.
    pub fn level_one(ulid: Ulid, min_ms: i64, max_ms: i64) -> Self {
        let compaction = Compaction { level: 1, sources: vec![ulid], ..Compaction::default() };
        let stats = BlockStats::default();
        Self { ulid, min_ms, max_ms, stats, compaction, version: 1, other: serde_json::Map::new() }
    }

    /// Reads the file of the block in `dir`.
    pub fn read(dir: &Path) -> Result<Self, TsdbError> {
        let path = dir.join(META_FILE);
        let bytes = std::fs::read(&path).map_err(TsdbError::io("read", &path))?;
        Self::parse(&bytes).map_err(|problem| TsdbError::corrupt(&path, problem))
    }

    /// Parses the content of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let meta: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if meta.version != 1 {
            return Err(format!("unexpected meta file version {}", meta.version));
        }
        if meta.min_ms > meta.max_ms {
            return Err(format!("block ends at {} before it begins at {}", meta.max_ms, meta.min_ms));
        }
        Ok(meta)
    }

    /// Replaces the file of the block in `dir` in one step.
    pub fn write(&self, dir: &Path) -> Result<(), TsdbError> {
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        self.serialize(&mut serializer).map_err(|error| TsdbError::Invalid(error.to_string()))?;
        replace_file(&dir.join(META_FILE), &bytes)
    }

    /// Whether the block has the hint.
    pub fn has_hint(&self, hint: &str) -> bool {
        self.compaction.hints.iter().any(|h| h == hint)
    }

    /// Adds a hint.
    pub fn add_hint(&mut self, hint: &str) {
        if !self.has_hint(hint) {
            self.compaction.hints.push(hint.to_owned());
            self.compaction.hints.sort();
        }
    }

    /// Name and range.
    pub fn desc(&self) -> BlockDesc {
        BlockDesc { ulid: self.ulid, min_ms: self.min_ms, max_ms: self.max_ms }
    }

    /// Whether the half-open range of the block touches a closed interval.
    pub fn overlaps_closed(&self, range: model::TimeRange) -> bool {
        self.min_ms <= range.end_ms && range.start_ms < self.max_ms
    }
}

/// Writes a file so that either the old or the new content survives a crash.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> Result<(), TsdbError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = std::path::PathBuf::from(temporary);
    let mut file = std::fs::File::create(&temporary).map_err(TsdbError::io("create", &temporary))?;
    file.write_all(content).map_err(TsdbError::io("write", &temporary))?;
    file.sync_all().map_err(TsdbError::io("sync", &temporary))?;
    std::fs::rename(&temporary, path).map_err(TsdbError::io("rename", &temporary))?;
    match path.parent() {
        Some(dir) => sync_dir(dir),
        None => Ok(()),
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), TsdbError> {
    let open = std::fs::File::open(dir).map_err(TsdbError::io("open", dir))?;
    open.sync_all().map_err(TsdbError::io("sync", dir))
}
