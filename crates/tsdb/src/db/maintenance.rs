//! What is to be done from time to time: writing the head to blocks, joining blocks, dropping old ones.

use std::path::Path;

use base::metrics::{Counter, Gauge, Histogram, Registry};
use model::TimeRange;

use super::{Db, Inner};
use crate::block::Block;
use crate::block::meta::{HINT_OUT_OF_ORDER, HINT_STALE_SERIES};
use crate::compact::retention::Retention;
use crate::compact::{aligned_ranges, exponential, plan};
use crate::error::TsdbError;

/// What one maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Blocks written from the head.
    pub head_blocks: usize,
    /// Compactions of blocks.
    pub compactions: usize,
    /// Series that had ended and left the head.
    pub evicted_series: usize,
}

pub(super) struct MaintenanceMetrics {
    triggered: Counter,
    failed: Counter,
    cleanup_seconds: Histogram,
    stale_triggered: Counter,
    stale_failed: Counter,
    stale_seconds: Histogram,
    limit_bytes: Gauge,
    limit_percent: Gauge,
    limit_seconds: Gauge,
}

impl MaintenanceMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        let gauge = |name, help| registry.gauge(name, help, &[]);
        // Published for dashboards; compaction is never switched off here.
        counter(
            "prometheus_tsdb_compactions_skipped_total",
            "Total number of skipped compactions due to disabled auto compaction.",
        );
        // Nothing here moves chosen series out of the head: they stay at zero.
        counter(
            "prometheus_tsdb_selected_series_compactions_triggered_total",
            "Total number of triggered selected series compactions.",
        );
        counter(
            "prometheus_tsdb_selected_series_compactions_failed_total",
            "Total number of selected series compactions that failed.",
        );
        registry.histogram(
            "prometheus_tsdb_selected_series_compaction_duration_seconds",
            "Duration of selected series compaction runs.",
            &[],
            &exponential(1.0, 2.0, 14),
        );
        Self {
            triggered: counter(
                "prometheus_tsdb_compactions_triggered_total",
                "Total number of triggered compactions for the partition.",
            ),
            failed: counter(
                "prometheus_tsdb_compactions_failed_total",
                "Total number of compactions that failed for the partition.",
            ),
            cleanup_seconds: registry.histogram(
                "prometheus_tsdb_tombstone_cleanup_seconds",
                "The time taken to recompact blocks to remove tombstones.",
                &[],
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            ),
            stale_triggered: counter(
                "prometheus_tsdb_stale_series_compactions_triggered_total",
                "Total number of triggered stale series compactions.",
            ),
            stale_failed: counter(
                "prometheus_tsdb_stale_series_compactions_failed_total",
                "Total number of stale series compactions that failed.",
            ),
            stale_seconds: registry.histogram(
                "prometheus_tsdb_stale_series_compaction_duration_seconds",
                "Duration of stale series compaction runs.",
                &[],
                &exponential(1.0, 2.0, 14),
            ),
            limit_bytes: gauge(
                "prometheus_tsdb_retention_limit_bytes",
                "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
            ),
            limit_percent: gauge(
                "prometheus_tsdb_retention_limit_percentage",
                "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 means disabled",
            ),
            limit_seconds: gauge(
                "prometheus_tsdb_retention_limit_seconds",
                "How long to retain samples in storage.",
            ),
        }
    }

    pub(super) fn publish_retention(&self, retention: &Retention) {
        self.limit_bytes.set(retention.max_bytes as f64);
        self.limit_percent.set(retention.max_percent);
        self.limit_seconds.set(retention.duration_ms as f64 / 1000.0);
    }
}

impl Db {
    /// Does what is due: writes the head to blocks, joins blocks, drops old ones. Call it every minute
    /// or so, not on a thread that answers requests; it may take long. Concurrent calls wait.
    pub fn maintain(&self) -> Result<Maintained, TsdbError> {
        let inner = &self.inner;
        let _changing = inner.changing.lock();
        inner.metrics.triggered.inc();
        let done = inner.maintain();
        if done.is_err() {
            inner.metrics.failed.inc();
        }
        done
    }

    /// Rewrites all blocks in which something is deleted, so that the deleted samples are gone from disk.
    pub fn clean_tombstones(&self) -> Result<(), TsdbError> {
        let inner = &self.inner;
        let _changing = inner.changing.lock();
        let started = inner.clock.monotonic();
        for block in inner.catalog.blocks().iter().filter(|block| !block.tombstones().is_empty()) {
            if inner.compactor.rewrite(&inner.dir, block)?.is_none() {
                block.update_meta(|meta| meta.compaction.deletable = true)?;
            }
            inner.reload()?;
        }
        let took = inner.clock.monotonic().saturating_sub(started);
        inner.metrics.cleanup_seconds.observe(took.as_secs_f64());
        Ok(())
    }

    /// Copies all blocks, as hard links where possible, to `dir`, and with `with_head` writes the head
    /// there as a block of its own.
    pub fn snapshot(&self, dir: &Path, with_head: bool) -> Result<(), TsdbError> {
        let inner = &self.inner;
        if dir == inner.dir {
            return Err(TsdbError::Invalid("cannot snapshot into base directory".to_owned()));
        }
        let _changing = inner.changing.lock();
        let existed = dir.exists();
        let written = inner.write_snapshot(dir, with_head);
        if written.is_err() && !existed {
            // Half a copy must not be taken for a whole one.
            if let Err(error) = std::fs::remove_dir_all(dir) {
                tracing::error!(dir = %dir.display(), %error, "unfinished snapshot cannot be removed");
            }
        }
        written
    }
}

impl Inner {
    fn write_snapshot(&self, dir: &Path, with_head: bool) -> Result<(), TsdbError> {
        std::fs::create_dir_all(dir).map_err(TsdbError::io("create", dir))?;
        self.catalog.blocks().iter().try_for_each(|block| block.snapshot(dir))?;
        let (min_ms, max_ms) = (self.head.min_ms(), self.head.max_ms());
        if with_head && min_ms <= max_ms {
            let mut source = self.head.block_source(TimeRange::new(min_ms, max_ms));
            // A block ends one millisecond behind its last sample.
            self.compactor.write(dir, &mut source, (min_ms, max_ms.saturating_add(1)), &[])?;
        }
        Ok(())
    }

    fn maintain(&self) -> Result<Maintained, TsdbError> {
        let mut done = Maintained { head_blocks: self.compact_head()?, ..Maintained::default() };
        if done.head_blocks > 0 {
            done.head_blocks += self.compact_out_of_order()?;
        }
        self.reload()?;
        self.head.shorten_held_log()?;
        done.compactions = self.compact_blocks()?;
        done.evicted_series = self.compact_stale_series();
        Ok(done)
    }

    /// Whether the head is to be written now.
    fn head_goes(&self) -> bool {
        self.schedule.head_goes(self.head.compactable(), self.clock.monotonic())
    }

    pub(super) fn reload(&self) -> Result<(), TsdbError> {
        let retention = *self.retention.read();
        self.catalog.reload(&retention, self.head.size_bytes(), false)
    }

    /// Writes what is old enough in the head to blocks.
    fn compact_head(&self) -> Result<usize, TsdbError> {
        let mut written = 0;
        let width_ms = self.ranges_ms[0];
        while self.head_goes() {
            self.schedule.head_written(self.clock.monotonic());
            let min_ms = self.head.min_ms();
            let end_ms = min_ms.div_euclid(width_ms).saturating_add(1).saturating_mul(width_ms);
            let mut source = self.head.block_source(TimeRange::new(min_ms, end_ms.saturating_sub(1)));
            if self.compactor.write(&self.dir, &mut source, (min_ms, end_ms), &[])?.is_some() {
                written += 1;
            }
            drop(source);
            // The block is visible before the head forgets: a query may see samples twice, never none.
            self.reload()?;
            self.head.truncate(end_ms)?;
        }
        Ok(written)
    }

    /// Writes all out-of-order samples to blocks.
    fn compact_out_of_order(&self) -> Result<usize, TsdbError> {
        let Some(cut) = self.head.cut_out_of_order()? else { return Ok(0) };
        let mut written = 0;
        for (start_ms, end_ms) in aligned_ranges(cut.range, self.ranges_ms[0]) {
            let mut source =
                self.head.out_of_order_source(&cut, TimeRange::new(start_ms, end_ms.saturating_sub(1)));
            let hints = &[HINT_OUT_OF_ORDER];
            if self.compactor.write(&self.dir, &mut source, (start_ms, end_ms), hints)?.is_some() {
                written += 1;
            }
        }
        self.reload()?;
        self.head.truncate_out_of_order(cut.chunk, cut.wbl_segment)?;
        Ok(written)
    }

    /// When enough series of the head have ended, writes those to blocks and forgets them. A failure is
    /// tried again and keeps nothing else from being done.
    fn compact_stale_series(&self) -> usize {
        let started = self.clock.monotonic();
        if !self.schedule.stale_series_go(self.head.stale_share(), self.ranges_ms[0], started) {
            return 0;
        }
        self.metrics.stale_triggered.inc();
        match self.try_compact_stale_series() {
            Ok(series) => {
                let took = self.clock.monotonic().saturating_sub(started);
                self.metrics.stale_seconds.observe(took.as_secs_f64());
                tracing::info!(series, duration_ms = took.as_millis() as u64, "stale series left the head");
                series
            }
            Err(error) => {
                self.metrics.stale_failed.inc();
                tracing::error!(%error, "stale series stay in the head for now");
                0
            }
        }
    }

    fn try_compact_stale_series(&self) -> Result<usize, TsdbError> {
        let stale = self.head.stale_series();
        let Some(range) = stale.range() else { return Ok(0) };
        for (start_ms, end_ms) in aligned_ranges(range, self.ranges_ms[0]) {
            let part = TimeRange::new(start_ms, end_ms.saturating_sub(1));
            let mut source = self.head.stale_source(&stale, part);
            self.compactor.write(&self.dir, &mut source, (start_ms, end_ms), &[HINT_STALE_SERIES])?;
        }
        self.reload()?;
        Ok(self.head.evict(&stale)?)
    }

    /// Joins blocks until there is nothing left to join, or the head is due again.
    fn compact_blocks(&self) -> Result<usize, TsdbError> {
        let mut compactions = 0;
        while !self.head_goes() {
            let blocks = self.catalog.blocks();
            let mut metas: Vec<_> = blocks.iter().map(Block::meta).collect();
            if let Some(uploads) = &self.uploads {
                metas.truncate(uploads.released(&metas));
            }
            let planned = plan::plan(&metas, &self.ranges_ms, self.compact_overlaps);
            if planned.is_empty() {
                break;
            }
            let chosen: Vec<Block> =
                blocks.iter().filter(|block| planned.contains(&block.meta().ulid)).cloned().collect();
            self.compactor.compact(&self.dir, &chosen)?;
            compactions += 1;
            self.reload()?;
        }
        Ok(compactions)
    }
}
