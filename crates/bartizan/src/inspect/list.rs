//! `tsdb list`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use model::duration::format_go_duration;
use tsdb::block::Block;

use super::directory::Blocks;
use crate::report::{binary_bytes, columns};

const HEADER: [&str; 8] =
    ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"];

/// Prints a table of the blocks.
pub fn run(dir: &Path, human_readable: bool) -> anyhow::Result<ExitCode> {
    let blocks = Blocks::open(dir)?;
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend(blocks.open.iter().map(|block| row(block, human_readable)));
    let mut out = std::io::stdout().lock();
    columns(&mut out, &rows, 13, 2)?;
    out.flush()?;
    Ok(blocks.report_damaged())
}

fn row(block: &Block, human_readable: bool) -> Vec<String> {
    let meta = block.meta();
    let time = |t_ms: i64| if human_readable { utc(t_ms) } else { t_ms.to_string() };
    let size_bytes = block.size_bytes();
    vec![
        meta.ulid.to_string(),
        time(meta.min_ms),
        time(meta.max_ms),
        format_go_duration(duration_ns(meta.min_ms, meta.max_ms)),
        meta.stats.num_samples.to_string(),
        meta.stats.num_chunks.to_string(),
        meta.stats.num_series.to_string(),
        if human_readable { binary_bytes(size_bytes) } else { size_bytes.to_string() },
    ]
}

/// The time between, in nanoseconds.
pub fn duration_ns(min_ms: i64, max_ms: i64) -> i64 {
    max_ms.saturating_sub(min_ms).saturating_mul(1_000_000)
}

/// Whole seconds, as Go prints times.
fn utc(t_ms: i64) -> String {
    match jiff::Timestamp::from_second(t_ms / 1000) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        Err(_) => t_ms.to_string(),
    }
}
