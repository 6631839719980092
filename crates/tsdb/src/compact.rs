//! Compaction: fewer and larger blocks out of many small ones, and blocks out of the head.
//!
//! In reading order: [`plan`] (which blocks to join, decided on descriptions alone), [`retention`]
//! (which to drop), [`source`] (several blocks as one source of series) and [`Compactor`], which
//! writes.

pub mod plan;
pub mod retention;
pub mod source;

use std::path::Path;

use base::clock::SharedClock;
use base::metrics::{Counter, Gauge, Histogram, Registry};
use model::TimeRange;
use ulid::Ulid;

use crate::block::meta::{BlockMeta, HINT_OUT_OF_ORDER, PARTIAL_HINTS};
use crate::block::{Block, write_block};
use crate::chunk_source::ChunkSource;
use crate::error::TsdbError;
use source::MergedSource;

/// Writes blocks.
pub struct Compactor {
    clock: SharedClock,
    max_segment_bytes: u64,
    metrics: CompactorMetrics,
}

impl std::fmt::Debug for Compactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compactor").field("max_segment_bytes", &self.max_segment_bytes).finish()
    }
}

/// What a compaction counts.
struct CompactorMetrics {
    ran: Counter,
    populating: Gauge,
    vertical: Counter,
    duration_seconds: Histogram,
    chunk_bytes: Histogram,
    chunk_samples: Histogram,
    chunk_seconds: Histogram,
}

/// Bounds of a histogram, each `factor` times the one before.
pub(crate) fn exponential(start: f64, factor: f64, count: i32) -> Vec<f64> {
    (0..count).map(|i| start * factor.powi(i)).collect()
}

impl CompactorMetrics {
    fn new(registry: &Registry) -> Self {
        let histogram = |name, help, bounds: Vec<f64>| registry.histogram(name, help, &[], &bounds);
        Self {
            ran: registry.counter(
                "prometheus_tsdb_compactions_total",
                "Total number of compactions that were executed for the partition.",
                &[],
            ),
            populating: registry.gauge(
                "prometheus_tsdb_compaction_populating_block",
                "Set to 1 when a block is currently being written to the disk.",
                &[],
            ),
            vertical: registry.counter(
                "prometheus_tsdb_vertical_compactions_total",
                "Total number of compactions done on overlapping blocks.",
                &[],
            ),
            duration_seconds: histogram(
                "prometheus_tsdb_compaction_duration_seconds",
                "Duration of compaction runs",
                exponential(1.0, 2.0, 14),
            ),
            chunk_bytes: histogram(
                "prometheus_tsdb_compaction_chunk_size_bytes",
                "Final size of chunks on their first compaction",
                exponential(32.0, 1.5, 12),
            ),
            chunk_samples: histogram(
                "prometheus_tsdb_compaction_chunk_samples",
                "Final number of samples on their first compaction",
                exponential(4.0, 1.5, 12),
            ),
            chunk_seconds: histogram(
                "prometheus_tsdb_compaction_chunk_range_seconds",
                "Final time range of chunks on their first compaction",
                exponential(100.0, 4.0, 10),
            ),
        }
    }
}

impl Compactor {
    /// A compactor that cuts chunk segments at `max_segment_bytes`.
    pub fn new(clock: SharedClock, max_segment_bytes: u64, registry: &Registry) -> Self {
        Self { clock, max_segment_bytes, metrics: CompactorMetrics::new(registry) }
    }

    /// A name for a new block.
    fn new_ulid(&self) -> Ulid {
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        Ulid::from_parts(now_ms, Ulid::new().random())
    }

    /// Writes a block of the series of `source` in the half-open range that begins at `min_ms` and
    /// ends before `max_ms`; `None` when there are no samples in it.
    pub fn write(
        &self,
        dir: &Path,
        source: &mut dyn ChunkSource,
        (min_ms, max_ms): (i64, i64),
        hints: &[&str],
    ) -> Result<Option<BlockMeta>, TsdbError> {
        let mut meta = BlockMeta::level_one(self.new_ulid(), min_ms, max_ms);
        hints.iter().for_each(|hint| meta.add_hint(hint));
        self.run(dir, meta, source)
    }

    /// Writes a block anew without its deleted samples; `None` when nothing is left.
    pub fn rewrite(&self, dir: &Path, block: &Block) -> Result<Option<BlockMeta>, TsdbError> {
        let old = block.meta();
        let mut meta = BlockMeta::level_one(self.new_ulid(), old.min_ms, old.max_ms);
        meta.compaction.parents = vec![old.desc()];
        meta.compaction.hints = old.compaction.hints;
        self.run(dir, meta, &mut block.source()?)
    }

    fn run(
        &self,
        dir: &Path,
        meta: BlockMeta,
        source: &mut dyn ChunkSource,
    ) -> Result<Option<BlockMeta>, TsdbError> {
        let started = self.clock.monotonic();
        self.metrics.populating.set(1.0);
        let first_time = meta.compaction.level == 1;
        let written = write_block(dir, meta, source, self.max_segment_bytes, &mut |chunk| {
            if first_time {
                self.metrics.chunk_bytes.observe(chunk.bytes.len() as f64);
                self.metrics.chunk_samples.observe(f64::from(chunk.samples));
                // The name says seconds, the reference observes milliseconds, and dashboards know it so.
                self.metrics.chunk_seconds.observe((chunk.max_ms - chunk.min_ms) as f64);
            }
        });
        self.metrics.populating.set(0.0);
        self.metrics.ran.inc();
        let took = self.clock.monotonic().saturating_sub(started);
        self.metrics.duration_seconds.observe(took.as_secs_f64());
        if let Ok(Some(meta)) = &written {
            tracing::info!(
                ulid = %meta.ulid, min_ms = meta.min_ms, max_ms = meta.max_ms, level = meta.compaction.level,
                series = meta.stats.num_series, samples = meta.stats.num_samples,
                duration_ms = took.as_millis() as u64, "block written"
            );
        }
        written
    }

    /// Joins blocks into one in `dir`. When nothing is left of them, no block is written and they are
    /// marked as deletable. When they cannot be read they are marked so as not to be tried again.
    pub fn compact(&self, dir: &Path, blocks: &[Block]) -> Result<Option<BlockMeta>, TsdbError> {
        let mut blocks = blocks.to_vec();
        blocks.sort_by_key(|block| block.meta().min_ms);
        let metas: Vec<BlockMeta> = blocks.iter().map(Block::meta).collect();
        if plan::any_overlap(&metas) {
            self.metrics.vertical.inc();
        }
        let meta = joined_meta(self.new_ulid(), &metas);
        let written = MergedSource::new(&blocks).and_then(|mut source| self.run(dir, meta, &mut source));
        match &written {
            Ok(Some(_)) => {}
            Ok(None) => {
                blocks.iter().try_for_each(|b| b.update_meta(|meta| meta.compaction.deletable = true))?
            }
            Err(TsdbError::Corrupt { .. } | TsdbError::Invalid(_)) => {
                for block in &blocks {
                    if let Err(error) = block.update_meta(|meta| meta.compaction.failed = true) {
                        tracing::error!(dir = %block.dir().display(), %error, "mark block as not compactable");
                    }
                }
            }
            // A full disk passes: try again later.
            Err(_) => {}
        }
        written
    }
}

/// The description of a block made of others.
fn joined_meta(ulid: Ulid, blocks: &[BlockMeta]) -> BlockMeta {
    let min_ms = blocks.iter().map(|meta| meta.min_ms).min().unwrap_or(0);
    let max_ms = blocks.iter().map(|meta| meta.max_ms).max().unwrap_or(0);
    let mut joined = BlockMeta::level_one(ulid, min_ms, max_ms);
    joined.compaction.level = blocks.iter().map(|meta| meta.compaction.level).max().unwrap_or(0) + 1;
    joined.compaction.sources =
        blocks.iter().flat_map(|meta| meta.compaction.sources.iter().copied()).collect();
    joined.compaction.sources.sort();
    joined.compaction.sources.dedup();
    joined.compaction.parents = blocks.iter().map(BlockMeta::desc).collect();
    for hint in PARTIAL_HINTS {
        if blocks.iter().any(|meta| meta.has_hint(hint)) {
            joined.add_hint(hint);
        }
    }
    // Only a block made of nothing else may be ignored when the head decides what it has lost.
    if blocks.iter().all(|meta| meta.has_hint(HINT_OUT_OF_ORDER)) {
        joined.add_hint(HINT_OUT_OF_ORDER);
    }
    joined
}

/// The half-open ranges, aligned to `width_ms`, that a closed range of time touches.
pub fn aligned_ranges(range: TimeRange, width_ms: i64) -> impl Iterator<Item = (i64, i64)> {
    let first = range.start_ms.div_euclid(width_ms) * width_ms;
    let mut next = Some(first).filter(|_| !range.is_empty());
    std::iter::from_fn(move || {
        let start = next.filter(|&start| start <= range.end_ms)?;
        next = start.checked_add(width_ms);
        Some((start, start.saturating_add(width_ms)))
    })
}

#[cfg(test)]
mod tests;
