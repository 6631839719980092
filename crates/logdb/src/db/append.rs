//! Taking entries in: many pushes share one write and one sync of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::logs::{LogAppendError, LogAppender, LogBatch};
use model::source::TenantId;
use parking_lot::{Condvar, Mutex};

use super::{LogDb, LogFile, Sealed, State};
use crate::day::Day;
use crate::manifest::manifest_key;
use crate::wal::{Header, SegmentLog, record};

/// Pushes that wait to be written.
#[derive(Default)]
pub(super) struct Commits {
    queue: Mutex<Queue>,
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Arc<Push>>,
    bytes: usize,
    has_leader: bool,
}

struct Push {
    tenant: TenantId,
    batches: Vec<LogBatch>,
    record: Vec<u8>,
    is_done: AtomicBool,
    failure: Mutex<Option<LogAppendError>>,
}

/// Pushes that wait to be written may have this many bytes.
const MAX_QUEUED_BYTES: usize = 32 << 20;

impl LogAppender for LogDb {
    fn append(&self, tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        if batches.iter().all(|batch| batch.entries.is_empty()) {
            return Ok(());
        }
        let mut record = Vec::new();
        record::encode(&mut record, tenant, &batches);
        if record.len() > self.options.max_push_bytes {
            let (len, max) = (record.len(), self.options.max_push_bytes);
            return Err(LogAppendError::TooLarge(format!("a push of {len} bytes is larger than {max}")));
        }
        // What no bucket can ever store must not be acknowledged: it would keep the log for ever.
        if blob::bucket::check_key(&manifest_key(tenant, Day(0))).is_err() {
            return Err(LogAppendError::Storage(
                "the name of the tenant is too long to be stored".to_owned(),
            ));
        }
        self.wait_for_room(record.len())?;
        let (is_done, failure) = (AtomicBool::new(false), Mutex::new(None));
        let push = Arc::new(Push { tenant: tenant.clone(), batches, record, is_done, failure });
        let mut queue = self.commits.queue.lock();
        queue.bytes += push.record.len();
        queue.waiting.push(push.clone());
        // Whoever finds no leader is the leader, and writes for all who came meanwhile.
        while !push.is_done.load(Ordering::Acquire) {
            if queue.has_leader {
                self.commits.done.wait(&mut queue);
                continue;
            }
            queue.has_leader = true;
            let leader = Leader { commits: &self.commits, pushes: std::mem::take(&mut queue.waiting) };
            queue.bytes = 0;
            drop(queue);
            self.commit(&leader.pushes);
            drop(leader);
            queue = self.commits.queue.lock();
        }
        drop(queue);
        match push.failure.lock().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn lack_of_room(&self) -> Option<String> {
        self.lack_of(0)
    }
}

/// Whoever writes for others. However that ends, those who wait are answered and the next can lead.
struct Leader<'a> {
    commits: &'a Commits,
    pushes: Vec<Arc<Push>>,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut queue = self.commits.queue.lock();
        for push in &self.pushes {
            // Only a panic leaves one undone; whether it is in the log then is open.
            if !push.is_done.load(Ordering::Acquire) {
                let text = "the storage failed unexpectedly while it wrote the log of entries";
                *push.failure.lock() = Some(LogAppendError::Storage(text.to_owned()));
                push.is_done.store(true, Ordering::Release);
            }
        }
        queue.has_leader = false;
        self.commits.done.notify_all();
    }
}

impl LogDb {
    fn lack_of(&self, wanted_bytes: usize) -> Option<String> {
        if let Some(cause) = self.hindrance() {
            return Some(cause);
        }
        let state = self.state.read();
        let (unflushed, limit) = (state.unflushed_bytes(), self.options.max_unflushed_bytes);
        if unflushed + wanted_bytes > limit && unflushed > 0 {
            return Some(format!("{unflushed} bytes of entries wait to be flushed, of {limit} allowed"));
        }
        let (log, limit) = (state.log_bytes(), self.options.max_wal_bytes);
        if log + wanted_bytes as u64 > limit && log > 0 {
            return Some(format!("the log of entries has {log} bytes, of {limit} allowed"));
        }
        drop(state);
        let queued = self.commits.queue.lock().bytes;
        (queued > MAX_QUEUED_BYTES)
            .then(|| format!("{queued} bytes of entries wait to be written to the log"))
    }

    fn wait_for_room(&self, wanted_bytes: usize) -> Result<(), LogAppendError> {
        let deadline = self.clock.monotonic() + self.options.max_wait;
        loop {
            let epoch = *self.room.epoch.lock();
            let Some(lack) = self.lack_of(wanted_bytes) else { return Ok(()) };
            self.seal_if_useful();
            let left = deadline.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                self.metrics.busy.inc();
                return Err(LogAppendError::Busy(lack));
            }
            let mut now = self.room.epoch.lock();
            if *now == epoch && self.room.changed.wait_for(&mut now, left).timed_out() {
                self.metrics.busy.inc();
                return Err(LogAppendError::Busy(lack));
            }
        }
    }

    /// Writes pushes to the log and makes them visible, all or none.
    fn commit(&self, pushes: &[Arc<Push>]) {
        let mut log = self.log.lock();
        let outcome = match &mut *log {
            Some(log) => log.append(pushes.iter().map(|push| &push.record)).map(|()| log.len_bytes()),
            None => Err(std::io::Error::other("the storage is closed")),
        };
        match outcome {
            Ok(log_bytes) => {
                self.metrics.wal_commits.inc();
                self.metrics.wal_records.add(pushes.len() as u64);
                self.metrics.wal_written_bytes.add(pushes.iter().map(|push| push.record.len() as u64).sum());
                self.apply(pushes, log_bytes);
            }
            Err(error) => {
                self.metrics.wal_failures.inc();
                tracing::error!(%error, "writing the log of entries failed");
                for push in pushes {
                    *push.failure.lock() =
                        Some(LogAppendError::Storage(format!("the log of entries: {error}")));
                }
            }
        }
        let is_full = self.state.read().active.memory_bytes() >= self.options.memtable_bytes;
        let is_broken = log.as_ref().is_some_and(SegmentLog::is_broken);
        if is_full || is_broken {
            let sealed = self.seal_holding(&mut log);
            self.metrics.flushed_full.add(u64::from(sealed && is_full));
        }
        drop(log);
        pushes.iter().for_each(|push| push.is_done.store(true, Ordering::Release));
    }

    fn apply(&self, pushes: &[Arc<Push>], log_bytes: u64) {
        let now = self.clock.monotonic();
        let mut state = self.state.write();
        let State { active, active_since, generation, logs, .. } = &mut *state;
        logs.entry(*generation).or_default().len_bytes = log_bytes;
        active_since.get_or_insert(now);
        let (mut sent, mut added) = (0, 0);
        for batch in pushes.iter().flat_map(|push| push.batches.iter().map(|batch| (&push.tenant, batch))) {
            sent += batch.1.entries.len() as u64;
            added += active.insert(batch.0, &batch.1.stream, &batch.1.entries);
        }
        drop(state);
        self.metrics.entries.add(added);
        self.metrics.duplicates.add(sent - added);
    }

    /// Ends the active memtable, if nothing else is on its way to the bucket: room is wanted.
    fn seal_if_useful(&self) {
        let is_idle = {
            let state = self.state.read();
            state.sealed.is_empty() && state.pending.is_empty()
        };
        if is_idle {
            self.seal();
        }
    }

    /// Ends the active memtable; its entries can be flushed now. False when there are none, or the log cannot go on in
    /// a new segment.
    pub fn seal(&self) -> bool {
        let mut log = self.log.lock();
        self.seal_holding(&mut log)
    }

    fn seal_holding(&self, log: &mut Option<SegmentLog>) -> bool {
        let next = {
            let state = self.state.read();
            // A log that failed must be left behind though nothing was written.
            let is_broken = log.as_ref().is_some_and(SegmentLog::is_broken);
            if log.is_none() || (state.active.is_empty() && !is_broken) {
                return false;
            }
            state.next_generation.max(state.generation + 1)
        };
        match SegmentLog::create(&*self.disk, self.header(next)) {
            Ok(segment) => *log = Some(segment),
            Err(error) => {
                tracing::error!(%error, "beginning a segment of the log of entries failed");
                // What is left of it, if that could not be removed, goes with the segments before it.
                let mut state = self.state.write();
                state.logs.insert(next, LogFile::default());
                state.next_generation = next + 1;
                return false;
            }
        }
        let since = self.clock.monotonic();
        let mut state = self.state.write();
        let begun_ms = self.wall_ms(state.active_since.unwrap_or(since));
        let table = std::mem::take(&mut state.active);
        let generation = std::mem::replace(&mut state.generation, next);
        state.active_since = None;
        state.logs.insert(next, LogFile::default());
        if !table.is_empty() {
            state.sealed.push(Arc::new(Sealed { generation, table, since, begun_ms }));
        }
        state.recount();
        drop(state);
        // Flushing has something to do.
        self.tell_room();
        true
    }

    /// Refuses pushes from now on.
    pub(super) fn close_log(&self) {
        *self.log.lock() = None;
        *self.hindrance.lock() = None;
    }

    /// Begins the first segment after a replay.
    pub(super) fn begin_log(&self, generation: u64) -> std::io::Result<()> {
        let mut log = self.log.lock();
        let segment = SegmentLog::create(&*self.disk, self.header(generation)).inspect_err(|_| {
            // What is left of it, if that could not be removed, goes with the segments before it.
            let mut state = self.state.write();
            state.logs.insert(generation, LogFile::default());
            state.next_generation = generation + 1;
        })?;
        *log = Some(segment);
        let mut state = self.state.write();
        state.generation = generation;
        state.logs.insert(generation, LogFile::default());
        Ok(())
    }

    fn header(&self, generation: u64) -> Header {
        Header { generation, salt: self.ids.number(), begun_ms: Some(self.clock.now_ms()) }
    }
}
