//! The database: head and blocks of one data directory as one storage.
//!
//! In reading order: [`options`], [`Db`], and behind it `lock` (one process a directory), `catalog`
//! (the blocks), `maintenance` (what is to be done from time to time), `schedule` (what of that is due) and
//! `uploads` (what must wait for others).

mod catalog;
mod lock;
mod maintenance;
pub mod options;
mod schedule;
mod uploads;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::SharedClock;
use base::metrics::Registry;
use model::{
    Appendable, Appender, Exemplar, LabelRequest, Labels, Matcher, Projection, QueryContext, SelectRequest,
    SeriesSet, SeriesSource, SourceError, TenantId, TimeRange,
};
use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;

use crate::block::{Block, BlockMeta};
use crate::compact::Compactor;
use crate::compact::retention::Retention;
use crate::error::TsdbError;
use crate::head::Head;
use crate::merge::{MergedSet, Part, merge_sorted};
use catalog::Catalog;
pub(crate) use lock::DirLock;
use maintenance::MaintenanceMetrics;
use schedule::Schedule;
use uploads::Uploads;

pub use catalog::QUARANTINE_DIR;
pub use maintenance::Maintained;
pub use options::Options;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    clock: SharedClock,
    head: Head,
    catalog: Catalog,
    compactor: Compactor,
    /// Widths of blocks.
    ranges_ms: Vec<i64>,
    compact_overlaps: bool,
    uploads: Option<Uploads>,
    retention: RwLock<Retention>,
    schedule: Schedule,
    metrics: MaintenanceMetrics,
    /// Held by whatever changes the set of blocks or their content.
    changing: Mutex<()>,
    /// Released when the last handle is gone.
    _lock: DirLock,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

impl Db {
    /// Opens the data directory `dir`, creating it if there is none: locks it, sets damaged blocks
    /// aside and replays the head's log. It starts no threads: call [`Db::maintain`] from time to time.
    pub fn open(
        dir: &Path,
        options: Options,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, TsdbError> {
        let options = options.normalized();
        std::fs::create_dir_all(dir).map_err(TsdbError::io("create", dir))?;
        let lock = DirLock::take(dir, options.no_lockfile, "tsdb", registry)?;
        let catalog = Catalog::open(dir, registry)?;
        // Sizes of the head are not known yet; what is too much is dropped by the first maintenance.
        let by_time = Retention { duration_ms: options.retention.duration_ms, ..Retention::default() };
        catalog.reload(&by_time, 0, true)?;
        let min_valid_ms = catalog.in_order_end_ms().unwrap_or(i64::MIN);
        let head = Head::open(dir, options.head(), min_valid_ms, clock.clone(), registry)?;
        let ranges_ms =
            crate::compact::plan::block_ranges(options.min_block_duration_ms, options.max_block_duration_ms);
        let inner = Arc::new(Inner {
            dir: dir.to_path_buf(),
            compactor: Compactor::new(clock.clone(), options.max_chunk_segment_bytes, registry),
            uploads: options.uploads_file.map(|path| Uploads::new(path, clock.clone())),
            clock,
            head,
            catalog,
            ranges_ms,
            compact_overlaps: options.compact_overlaps,
            retention: RwLock::new(Retention::default()),
            schedule: Schedule::new(options.compaction_delay_ms, options.stale_series_threshold),
            metrics: MaintenanceMetrics::new(registry),
            changing: Mutex::new(()),
            _lock: lock,
        });
        let db = Self { inner };
        db.set_retention(options.retention);
        db.publish_lowest_time(registry);
        Ok(db)
    }

    fn publish_lowest_time(&self, registry: &Registry) {
        let inner = Arc::downgrade(&self.inner);
        registry.collect_with(move |families| {
            use base::metrics::{Family, Kind};
            let Some(inner) = inner.upgrade() else { return };
            let lowest_ms = Self { inner }.lowest_ms();
            let help =
                "Lowest timestamp value stored in the database. The unit is decided by the library consumer.";
            families.push(
                Family::new("prometheus_tsdb_lowest_timestamp", help, Kind::Gauge)
                    .with(&[], lowest_ms as f64),
            );
            let help = "Lowest timestamp value stored in the database.";
            let seconds = (lowest_ms as f64 / 1000.0).trunc();
            families.push(
                Family::new("prometheus_tsdb_lowest_timestamp_seconds", help, Kind::Gauge).with(&[], seconds),
            );
        });
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.inner.head
    }

    /// The descriptions of all blocks, by start of their range.
    pub fn blocks(&self) -> Vec<BlockMeta> {
        self.inner.catalog.blocks().iter().map(Block::meta).collect()
    }

    /// The open blocks, by start of their range.
    pub fn open_blocks(&self) -> Arc<Vec<Block>> {
        self.inner.catalog.blocks()
    }

    /// The start of the oldest block, or of the head when there is none.
    pub fn lowest_ms(&self) -> i64 {
        let blocks = self.inner.catalog.blocks();
        blocks.first().map_or_else(|| self.inner.head.min_ms(), |block| block.range().start_ms)
    }

    /// What is kept.
    pub fn retention(&self) -> Retention {
        *self.inner.retention.read()
    }

    /// Changes what is kept, from the next maintenance on.
    pub fn set_retention(&self, retention: Retention) {
        *self.inner.retention.write() = retention;
        self.inner.metrics.publish_retention(&retention);
    }

    /// Changes the share of stale series at which they leave the head; 0 for never.
    pub fn set_stale_series_threshold(&self, share: f64) {
        self.inner.schedule.set_stale_threshold(share);
    }

    /// Marks samples of the matching series in the closed `range` as deleted. Atomic for each block.
    pub fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), TsdbError> {
        let _changing = self.inner.changing.lock();
        for block in self.inner.catalog.blocks().iter() {
            if block.range().overlaps(&range) {
                block.delete(range, matchers)?;
            }
        }
        if self.inner.head.overlaps(Some(range)) {
            self.inner.head.delete(range, matchers)?;
        }
        Ok(())
    }

    /// Makes everything durable. Further commits fail.
    pub fn close(&self) -> Result<(), TsdbError> {
        let _changing = self.inner.changing.lock();
        Ok(self.inner.head.close()?)
    }
}

impl SeriesSource for Db {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        let inner = &self.inner;
        let full = SelectRequest {
            projection: Projection::All,
            // A part may leave out a series another part has, unless both are in order.
            limit: if request.sorted { request.limit } else { 0 },
            ..request.clone()
        };
        // The head goes first: what it no longer shows by then is in a block that is listed next.
        let in_head = inner.head.overlaps(Some(request.range));
        let alone = inner.catalog.overlapping(request.range).is_empty();
        let head = match in_head {
            true => Some(inner.head.select_head(if alone { request } else { &full }, ctx)?),
            false => None,
        };
        let blocks = inner.catalog.overlapping(request.range);
        match (head, &blocks[..]) {
            (Some(head), []) => Ok(Box::new(head)),
            (None, [block]) => block.select(request, ctx),
            (head, blocks) => {
                let head = match head {
                    // A block appeared meanwhile.
                    Some(_) if alone => Some(inner.head.select_head(&full, ctx)?),
                    head => head,
                };
                let parts = blocks.par_iter().map(|block| block.select_part(&full, ctx));
                let mut parts: Vec<Part> = parts.collect::<Result<_, SourceError>>()?;
                parts.retain(|part| !part.set.is_empty());
                if let Some(head) = head.filter(|head| !head.is_empty()) {
                    let hashes = head.label_hashes();
                    parts.push(Part { set: Box::new(head), hashes, end_ms: i64::MAX });
                }
                let (projection, sorted, limit) = (request.projection.clone(), request.sorted, request.limit);
                Ok(Box::new(MergedSet::new(parts, projection, sorted, limit, ctx)?))
            }
        }
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        let lists = self.ask_all(request.range, |source| source.label_names(request, ctx))?;
        Ok(merge_sorted(lists, request.limit))
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        let lists = self.ask_all(request.range, |source| source.label_values(name, request, ctx))?;
        Ok(merge_sorted(lists, request.limit))
    }

    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        self.inner.head.exemplars(range, matcher_sets, ctx)
    }
}

impl Db {
    /// Asks the head and all blocks that touch `range`.
    fn ask_all<T>(
        &self,
        range: Option<TimeRange>,
        ask: impl Fn(&dyn SeriesSource) -> Result<T, SourceError>,
    ) -> Result<Vec<T>, SourceError> {
        let mut answers = Vec::new();
        if self.inner.head.overlaps(range) {
            answers.push(ask(&self.inner.head)?);
        }
        for block in self.inner.catalog.blocks().iter() {
            if range.is_none_or(|range| block.range().overlaps(&range)) {
                answers.push(ask(block)?);
            }
        }
        Ok(answers)
    }
}

impl Appendable for Db {
    fn appender(&self, tenant: &TenantId) -> Box<dyn Appender> {
        self.inner.head.appender(tenant)
    }
}

#[cfg(test)]
mod tests;
