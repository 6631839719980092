//! What is stored: the objects a manifest names. Others were replaced, and stay a while for queries that still read them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Set;
use super::peers::Reference;
use super::table::Table;
use crate::scenario::BenchError;

/// The level of objects that are compressed for good.
const FINAL_LEVEL: u8 = 2;

/// An object that is read.
pub struct Live {
    pub path: PathBuf,
    pub size_bytes: u64,
    level: u8,
}

#[derive(Deserialize)]
struct Manifest {
    objects: Vec<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    id: String,
    size_bytes: u64,
    level: u8,
}

/// The objects that are read of a day.
pub fn live(folder: &Path) -> Result<Vec<Live>, BenchError> {
    let text = std::fs::read_to_string(folder.join("manifest"))?;
    let (_, json) = text
        .split_once('\n')
        .ok_or_else(|| BenchError::Answer(format!("{}: no manifest of objects", folder.display())))?;
    let manifest: Manifest = serde_json::from_str(json)?;
    let live = |meta: Meta| Live {
        path: folder.join(format!("{}.parquet", meta.id)),
        size_bytes: meta.size_bytes,
        level: meta.level,
    };
    Ok(manifest.objects.into_iter().map(live).collect())
}

/// Whether all that is stored is in objects that stay.
pub fn are_final(live: &[Live]) -> bool {
    !live.is_empty() && live.iter().all(|object| object.level == FINAL_LEVEL)
}

/// Compares what a kind takes with what zstd makes of its lines.
pub fn sizes(set: &Set, reference: &Reference, table: &mut Table) -> Result<(), BenchError> {
    let name = set.kind.name();
    let live = live(&set.folder)?;
    let ratio = live.iter().map(|object| object.size_bytes).sum::<u64>() as f64 / set.raw_bytes as f64;
    let what =
        format!("{} objects, filters and index included; a newline counted with each line", live.len());
    table.add(&format!("size, {name}, share of raw text"), ratio, &what);
    let what = match reference.stamped_share {
        Some(_) => "the lines alone: of the timestamps, which objects hold, the reference knows nothing",
        None => "the lines, each with the timestamp its writer put into it; at most 1.10",
    };
    table.add(&format!("size, {name}, of zstd -9 over 2 MB blocks"), ratio / reference.share, what);
    if let Some(stamped) = reference.stamped_share {
        let what = "the files as container runtimes write them, a timestamp of nanoseconds before each line; at most 1.10";
        table.add(&format!("size, {name}, of zstd -9 over 2 MB blocks of the files"), ratio / stamped, what);
    }
    Ok(())
}
