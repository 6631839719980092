//! Forgetting: series without samples, and the part of the log nobody needs.

use std::time::Duration;

use super::{Agent, Inner};
use crate::head::truncate::checkpoint_range;
use crate::wal::WalError;
use crate::wal::checkpoint::write_checkpoint;
use crate::wal::segment::{delete_checkpoints_before, list_segments};

impl Agent {
    /// Does what is due: from time to time idle series end and the log is truncated.
    pub fn maintain(&self) -> Result<(), WalError> {
        let inner = &self.inner;
        let mut truncated = inner.truncated.lock();
        let interval = Duration::from_millis(inner.options.truncate_interval_ms.unsigned_abs());
        let now = inner.clock.monotonic();
        if now.saturating_sub(*truncated) < interval {
            return Ok(());
        }
        // Also when it fails: what fails now is tried again in the next interval.
        *truncated = now;
        inner.truncate()
    }

    /// Truncates the log now, whether it is due or not.
    pub fn truncate(&self) -> Result<(), WalError> {
        let _truncated = self.inner.truncated.lock();
        self.inner.truncate()
    }
}

impl Inner {
    fn truncate(&self) -> Result<(), WalError> {
        let began = self.clock.monotonic();
        let options = &self.options;
        let (segment, _) = self.wal.position();
        let is_behind = self.wal.tail().oldest_hold().is_some_and(|held| held < segment);
        let idle_ms = if is_behind { options.max_idle_ms } else { options.min_idle_ms };
        let before_ms = self.clock.now_ms().saturating_sub(idle_ms);
        self.end_idle(before_ms);
        let range = checkpoint_range(&list_segments(self.wal.dir())?);
        if range.is_some_and(|(_, to)| !self.wal.tail().release(to)) {
            tracing::info!("the log is not truncated: it is not sent yet");
            return Ok(());
        }
        // A new segment, so that little traffic does not keep the log longer than needed.
        self.wal.next_segment()?;
        let Some((first, to)) = range else { return Ok(()) };
        self.checkpoint(first, to, before_ms)?;
        let took = self.clock.monotonic() - began;
        self.metrics.truncate_seconds.observe(took.as_secs_f64());
        tracing::info!(first, last = to, duration_ms = took.as_millis() as u64, "log checkpoint written");
        Ok(())
    }

    /// Ends series without samples since `before_ms`. Transactions that are open may hold their references, so
    /// that these are forgotten only when all of them have ended.
    fn end_idle(&self, before_ms: i64) {
        let ended = self.table.end_idle(before_ms);
        if ended.is_empty() {
            return;
        }
        self.metrics.active_series.add(-(ended.len() as f64));
        self.activity.wait_for_current_appenders();
        // Whatever was written of them is in this segment or an earlier one.
        let (segment, _) = self.wal.position();
        {
            let (mut exemplars, mut metadata, mut gone) =
                (self.exemplars.lock(), self.metadata.lock(), self.gone.lock());
            for series in &ended {
                exemplars.remove(series);
                metadata.remove(series);
                gone.insert(*series, segment);
            }
            self.metrics.deleted_series.set(gone.len() as f64);
        }
        self.table.forget(&ended);
        tracing::info!(series = ended.len(), "idle series ended");
    }

    fn checkpoint(&self, first: u32, to: u32, before_ms: i64) -> Result<(), WalError> {
        debug_assert!(first <= to, "segments ascend");
        self.metrics.checkpoints.inc();
        let gone = self.gone.lock().clone();
        let keep =
            |series: u64| self.table.is_used(series) || gone.get(&series).is_some_and(|&last| last > to);
        let stats = write_checkpoint(&self.wal, to, before_ms, &keep)
            .inspect_err(|_| self.metrics.checkpoints_failed.inc())?;
        for segment in stats.damages.segments() {
            let (places, first) = (segment.places, &segment.first);
            tracing::warn!(places, %first, "damage in the log is left out of the checkpoint");
        }
        self.metrics.corruptions.add(stats.damages.places());
        if let Err(error) = self.wal.truncate_before(to + 1) {
            // The checkpoint stands for them; they go with the next one.
            tracing::error!(%error, "old log segments could not be deleted");
        }
        let mut gone = self.gone.lock();
        gone.retain(|_, last| *last > to);
        self.metrics.deleted_series.set(gone.len() as f64);
        self.metrics.checkpoint_deletions.inc();
        if let Err(error) = delete_checkpoints_before(self.wal.dir(), to) {
            tracing::error!(%error, "old checkpoints could not be deleted");
            self.metrics.checkpoint_deletions_failed.inc();
        }
        Ok(())
    }
}
