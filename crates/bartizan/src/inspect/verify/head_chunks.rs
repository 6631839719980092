//! Verifying the complete chunks of the head.

use std::path::Path;

use model::TimeRange;
use tsdb::head::chunk_store;

use super::block::read_chunk;
use super::{Findings, Totals};

/// Reads all files of head chunks in `dir`.
pub fn verify(dir: &Path, findings: &mut Findings<'_>, totals: &mut Totals) -> anyhow::Result<()> {
    for path in chunk_store::files(dir)? {
        let mut problems = Vec::new();
        let read = chunk_store::read_file(&path, |offset, chunk| {
            totals.head_chunks += 1;
            let range = TimeRange::new(chunk.min_ms, chunk.max_ms);
            if let Err(problem) = read_chunk(chunk.data, chunk.encoding, range) {
                problems.push(format!("chunk at offset {offset} of series {}: {problem}", chunk.series));
            }
        });
        for problem in problems {
            findings.problem_in(&path, problem)?;
        }
        if let Err(damage) = read {
            findings.problem(damage)?;
        }
    }
    Ok(())
}
