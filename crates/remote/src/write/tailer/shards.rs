//! The shards of a destination: how many there are, and where each goes on after a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wire::remote_write::encode::Batch;

use super::{Measurement, Open, Tailer};
use crate::write::progress::{Place, ProgressFile, ShardProgress};
use crate::write::queue::Shard;
use crate::write::reshard::{self, Measured};
use crate::write::series::Known;

impl Tailer {
    /// What the shards had done when the process ended, as far as it holds for this log and these settings.
    pub(super) fn known_progress(&self) -> Vec<ShardProgress> {
        let mut known = ProgressFile::load(&self.cursor_file.progress_path());
        let (fewest, most) = self.options.shards;
        if !(fewest..=most).contains(&known.len()) {
            known.clear();
        }
        // Nothing is known of places the log has not: whatever is written there comes later.
        let end = Place { record: self.reader.end(), index: 0 };
        for shard in &mut known {
            shard.from = shard.from.min(end);
            shard.last = shard.last.filter(|last| *last < end);
        }
        known
    }

    /// Whether a sample is still to be sent. The request that was under way is made again as it was.
    #[cold]
    pub(super) fn resumes_with(&mut self, reference: u64, place: Place) -> bool {
        let Known::Sent(_, hash) = self.series.get(reference) else { return true };
        let shard = hash as usize % self.shards.len();
        let Some(resume) = self.shards[shard].1.resume else { return true };
        if place < resume.from {
            return false;
        }
        if resume.last.is_none_or(|last| place > last) {
            self.end_resuming_of(shard);
        }
        !self.ended
    }

    #[cold]
    pub(super) fn end_resuming(&mut self) {
        (0..self.shards.len()).for_each(|shard| self.end_resuming_of(shard));
        self.resuming = false;
    }

    pub(super) fn end_resuming_of(&mut self, shard: usize) {
        if self.shards[shard].1.resume.is_some() {
            if self.shards[shard].1.first.is_some() {
                self.send_off(shard);
            }
            self.shards[shard].1.resume = None;
        }
    }

    /// Starts as many shards as there are in `known`, each from where it was.
    pub(super) fn start_shards(&mut self, known: &[ShardProgress]) {
        self.tasks.clear();
        self.shards.clear();
        let file = ProgressFile::create(&self.cursor_file.progress_path(), known).map(Arc::new);
        let file = file.inspect_err(|error| {
            tracing::warn!(
                remote_name = self.delivery.name,
                %error,
                "progress of shards cannot be noted; after a kill more is sent again"
            );
        });
        let file = file.ok();
        for (number, &progress) in known.iter().enumerate() {
            let shard = Arc::new(Shard::new(number, file.clone()));
            self.tasks.push(self.runtime.spawn(self.delivery.clone().run(shard.clone())));
            let batch = Batch::new(self.delivery.message);
            let resume = Some(progress).filter(|_| self.resuming);
            self.shards.push((shard, Open { batch, first: None, last: Place::default(), resume }));
        }
        self.metrics().levels.shards.set(known.len() as f64);
    }

    pub(super) fn measure(&self) -> Measurement {
        Measurement {
            at: self.now(),
            log_bytes: self.reader.written_bytes(),
            read_bytes: self.reader.read_bytes(),
            read: self.counts,
            ended: self.delivery.ended.load(Ordering::Relaxed),
            busy_ns: self.delivery.busy_ns.load(Ordering::Relaxed),
        }
    }

    pub(super) fn think_over_shards(&mut self) {
        let (now, before) = (self.measure(), self.measured_at);
        self.measured_at = now;
        let measured = Measured {
            elapsed: now.at.saturating_sub(before.at),
            log_bytes: now.log_bytes - before.log_bytes,
            read_bytes: now.read_bytes.saturating_sub(before.read_bytes),
            read: now.read.samples - before.read.samples,
            dropped: now.read.dropped - before.read.dropped,
            sent: now.ended - before.ended,
            sending: Duration::from_nanos(now.busy_ns - before.busy_ns),
            backlog_bytes: self.reader.backlog_bytes(),
            queued: self.metrics().pending.total(),
        };
        let (wanted, shards) = self.resharder.tick(&measured, self.shards.len(), self.options.shards);
        self.metrics().levels.shards_desired.set(wanted);
        if shards == self.shards.len() {
            return;
        }
        let now_ms = i64::try_from(now.at.as_millis()).unwrap_or(i64::MAX);
        let recent_ms = now_ms - i64::try_from(reshard::INTERVAL.as_millis()).unwrap_or(0);
        let idle = self.delivery.last_end_ms.load(Ordering::Relaxed) < recent_ms;
        let waiting = now_ms < self.delivery.no_reshard_until_ms.load(Ordering::Relaxed);
        if idle || waiting {
            tracing::warn!(remote_name = self.delivery.name, shards, "not resharding while requests fail");
            return;
        }
        self.wanted_shards = Some(shards);
    }

    /// Changes the number of shards once everything queued is sent, so that a series' samples stay in order.
    pub(super) fn reshard(&mut self, count: usize) {
        tracing::info!(remote_name = self.delivery.name, from = self.shards.len(), to = count, "resharding");
        if self.drain() {
            self.close_shards();
            // All queues are empty: what was read is done.
            let from = Place { record: self.reader.position(), index: 0 };
            self.start_shards(&vec![ShardProgress { from, last: None }; count.max(1)]);
        }
    }

    /// Sends off all batches and waits until all queues are empty; false when the destination ends before.
    pub(super) fn drain(&mut self) -> bool {
        (0..self.shards.len()).for_each(|shard| self.encode(shard));
        let queues: Vec<_> = self.shards.iter().map(|(queue, _)| queue.clone()).collect();
        self.wait_until(|| queues.iter().all(|queue| queue.len() == 0))
    }

    pub(super) fn close_shards(&mut self) {
        self.shards.iter().for_each(|(queue, _)| queue.close());
    }
}
