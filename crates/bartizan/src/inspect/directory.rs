//! The blocks of a data directory.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tsdb::TsdbError;
use tsdb::block::Block;
use ulid::Ulid;

/// The directories named like blocks, oldest name first.
pub fn block_dirs(dir: &Path) -> anyhow::Result<Vec<(Ulid, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Parsing accepts spellings that no block is named with.
        let Some(ulid) = Ulid::from_string(name).ok().filter(|ulid| ulid.to_string() == name) else {
            continue;
        };
        if path.is_dir() {
            found.push((ulid, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The blocks that can be opened, and those that cannot.
pub struct Blocks {
    /// By start of their range.
    pub open: Vec<Block>,
    damaged: Vec<TsdbError>,
}

impl Blocks {
    /// Opens the blocks of a data directory.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let mut blocks = Self { open: Vec::new(), damaged: Vec::new() };
        let mut failed = Vec::new();
        for (name, path) in block_dirs(dir)? {
            match Block::open(&path) {
                Ok(block) => blocks.open.push(block),
                Err(error) => failed.push((name, error)),
            }
        }
        // What a compaction replaced is of no interest any more.
        let replaced: Vec<Ulid> = blocks
            .open
            .iter()
            .flat_map(|block| block.meta().compaction.parents)
            .map(|parent| parent.ulid)
            .collect();
        failed.retain(|(name, _)| !replaced.contains(name));
        blocks.damaged = failed.into_iter().map(|(_, error)| error).collect();
        blocks.open.sort_by_key(|block| (block.range().start_ms, block.meta().ulid));
        Ok(blocks)
    }

    /// Names the blocks that were left out on the standard error stream; the exit code says whether there
    /// were any.
    pub fn report_damaged(&self) -> ExitCode {
        for error in &self.damaged {
            eprintln!("damaged block left out: {error}");
        }
        if self.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
