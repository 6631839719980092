//! Writing a whole block from a source of series.

use std::path::Path;

use chunkenc::decode::RawSample;
use chunkenc::{EncodedChunk, SeriesEncoder};
use model::TimeRange;

use super::chunk_files::{CHUNKS_DIR, ChunkWriter};
use super::index_reader::ChunkMeta;
use super::index_writer::IndexWriter;
use super::meta::{BlockMeta, sync_dir};
use super::tombstones::{Tombstones, covers, subtract};
use crate::chunk_source::{ChunkSource, SourceChunk, SourceSeries};
use crate::error::TsdbError;

/// The suffix of directories of blocks that are being written.
pub const CREATION_SUFFIX: &str = ".tmp-for-creation";

/// Writes a block of the series of `source` into `dir`, named and ranged as `meta` says, and returns
/// its final description; `None`, and no block, when there are no samples in the range.
///
/// The block appears in one step, complete and durable, or not at all. `observe` sees every chunk.
pub fn write_block(
    dir: &Path,
    mut meta: BlockMeta,
    source: &mut dyn ChunkSource,
    max_segment_bytes: u64,
    observe: &mut dyn FnMut(&EncodedChunk),
) -> Result<Option<BlockMeta>, TsdbError> {
    let target = dir.join(meta.ulid.to_string());
    let temporary = dir.join(format!("{}{CREATION_SUFFIX}", meta.ulid));
    let removed = TemporaryDir(temporary.clone());
    std::fs::create_dir_all(&temporary).map_err(TsdbError::io("create", &temporary))?;
    populate(&temporary, &mut meta, source, max_segment_bytes, observe)?;
    if meta.stats.num_samples == 0 {
        return Ok(None);
    }
    Tombstones::default().write(&temporary)?;
    meta.write(&temporary)?;
    sync_dir(&temporary)?;
    std::fs::rename(&temporary, &target).map_err(TsdbError::io("rename", &temporary))?;
    drop(removed);
    sync_dir(dir)?;
    Ok(Some(meta))
}

/// Removes a directory that was not renamed.
struct TemporaryDir(std::path::PathBuf);

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        // After success it is gone; what cannot be removed now is removed at the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn populate(
    dir: &Path,
    meta: &mut BlockMeta,
    source: &mut dyn ChunkSource,
    max_segment_bytes: u64,
    observe: &mut dyn FnMut(&EncodedChunk),
) -> Result<(), TsdbError> {
    let mut chunks = ChunkWriter::create(&dir.join(CHUNKS_DIR), max_segment_bytes)?;
    let mut index = IndexWriter::create(dir)?;
    source.symbols(&mut |symbol| index.add_symbol(symbol))?;
    // A block's range ends before `max_ms`; samples exactly there belong to the next block.
    let range = TimeRange::new(meta.min_ms, meta.max_ms.saturating_sub(1));
    let stats = &mut meta.stats;
    let mut metas = Vec::new();
    while let Some(series) = source.next_series()? {
        let labels = series.labels.clone();
        metas.clear();
        for chunk in fit_chunks(series, range)? {
            let reference = chunks.write(chunk.encoding, &chunk.bytes)?;
            metas.push(ChunkMeta { min_ms: chunk.min_ms, max_ms: chunk.max_ms, reference });
            stats.num_samples += u64::from(chunk.samples);
            match chunk.encoding.is_float() {
                true => stats.num_float_samples += u64::from(chunk.samples),
                false => stats.num_histogram_samples += u64::from(chunk.samples),
            }
            observe(&chunk);
        }
        if !metas.is_empty() {
            index.add_series(&labels, &metas)?;
            stats.num_chunks += metas.len() as u64;
            stats.num_series += 1;
        }
    }
    chunks.finish()?;
    index.finish()
}

/// The chunks of a series as they are to be stored: within the range, without deleted samples, and
/// not overlapping. A chunk that already is all that passes through as it is.
pub(crate) fn fit_chunks(series: SourceSeries, range: TimeRange) -> Result<Vec<EncodedChunk>, TsdbError> {
    let SourceSeries { labels, chunks, deleted } = series;
    let failed = |error| TsdbError::Invalid(format!("series {labels}: {error}"));
    let mut fitted = Vec::with_capacity(chunks.len());
    let mut chunks = chunks.into_iter().peekable();
    while let Some(first) = chunks.next() {
        let mut span = TimeRange::new(first.min_ms, first.max_ms);
        let mut group = vec![first];
        while let Some(next) = chunks.next_if(|next| next.min_ms <= span.end_ms) {
            span.end_ms = span.end_ms.max(next.max_ms);
            // The same chunk from two blocks is no overlap to resolve.
            if !group.contains(&next) {
                group.push(next);
            }
        }
        if !span.overlaps(&range) || covers(&deleted, span) {
            continue;
        }
        let inside = range.start_ms <= span.start_ms && span.end_ms <= range.end_ms;
        let intact = inside && !deleted.iter().any(|hole| hole.overlaps(&span));
        if let ([_], true) = (&group[..], intact) {
            fitted.extend(group.pop().map(pass_through).transpose().map_err(failed)?);
        } else {
            fitted.extend(reencode(&group, range, &deleted).map_err(failed)?);
        }
    }
    Ok(fitted)
}

fn pass_through(chunk: SourceChunk) -> Result<EncodedChunk, chunkenc::ChunkError> {
    let SourceChunk { encoding, min_ms, max_ms, bytes } = chunk;
    let samples = chunkenc::num_samples(&bytes, encoding)?;
    Ok(EncodedChunk { encoding, min_ms, max_ms, samples, bytes })
}

/// Joins chunks sample by sample. Of samples at the same time the one from the chunk that comes first
/// is kept.
fn reencode(
    group: &[SourceChunk],
    range: TimeRange,
    deleted: &[TimeRange],
) -> Result<Vec<EncodedChunk>, chunkenc::ChunkError> {
    let kept: Vec<TimeRange> = subtract(range, deleted).collect();
    let mut samples: Vec<RawSample> = Vec::new();
    for chunk in group {
        chunkenc::for_each(&chunk.bytes, chunk.encoding, |sample| {
            if kept.iter().any(|range| range.contains(sample.t_ms)) {
                samples.push(sample);
            }
            Ok::<_, chunkenc::ChunkError>(())
        })?;
    }
    if group.len() > 1 {
        samples.sort_by_key(|sample| sample.t_ms);
        samples.dedup_by_key(|sample| sample.t_ms);
    }
    let mut encoder = SeriesEncoder::new();
    samples.iter().try_for_each(|sample| encoder.append_raw(sample))?;
    Ok(encoder.finish())
}
