//! The threads that flush, compact and clean up while entries come in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::LogDb;

/// Threads that work on an engine until they are stopped.
pub struct Background {
    db: Arc<LogDb>,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    is_asked: Mutex<bool>,
    asked: Condvar,
}

impl Stop {
    /// Waits; true when it is time to stop.
    fn wait(&self, time: Duration) -> bool {
        let mut is_asked = self.is_asked.lock();
        if !*is_asked {
            self.asked.wait_for(&mut is_asked, time);
        }
        *is_asked
    }
}

/// How often is looked whether a memtable is old enough.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// After a failed flush. Each day that fails waits for itself, and longer.
const FLUSH_AGAIN: Duration = Duration::from_secs(1);
/// How often is looked whether there is something to compact.
const COMPACT_EVERY: Duration = Duration::from_secs(15);
/// How often is looked whether there is something to delete, and what others did.
const MAINTAIN_EVERY: Duration = Duration::from_secs(5);
/// After a panic a thread rests for that long before it goes on.
const AFTER_PANIC: Duration = Duration::from_secs(5);

impl Background {
    /// Begins to work on an engine.
    pub fn start(db: Arc<LogDb>) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let spawn = |name: &'static str, work: fn(&LogDb, &Stop)| {
            let (db, stop) = (db.clone(), stop.clone());
            thread::Builder::new().name(name.to_owned()).spawn(move || keep_working(name, &db, &stop, work))
        };
        let threads = vec![
            spawn("logs-flush", flush_loop)?,
            spawn("logs-compact", compact_loop)?,
            spawn("logs-upkeep", maintain_loop)?,
        ];
        Ok(Self { db, stop, threads })
    }

    /// Ends the work, refuses entries from now on, and brings what there is to the bucket. When that fails it stays in
    /// the log, and is there after the next start.
    pub fn stop(self) {
        *self.stop.is_asked.lock() = true;
        self.db.is_stopping.store(true, Ordering::Release);
        self.stop.asked.notify_all();
        self.db.tell_room();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the logs engine panicked");
            }
        }
        self.db.close();
    }
}

/// Begins again after a panic: a flaw that one object brings to light must not keep all others from being stored.
fn keep_working(name: &str, db: &LogDb, stop: &Stop, work: fn(&LogDb, &Stop)) {
    while catch_unwind(AssertUnwindSafe(|| work(db, stop))).is_err() {
        db.metrics.panics.inc();
        tracing::error!(thread = name, "a thread of the logs engine panicked and begins again");
        if stop.wait(AFTER_PANIC) {
            return;
        }
    }
}

fn flush_loop(db: &LogDb, stop: &Stop) {
    loop {
        db.mend_log();
        db.seal_if_old();
        let wait = match db.flush_due() {
            Ok(_) => {
                db.wait_for_sealed(FLUSH_EVERY);
                Duration::ZERO
            }
            // Told where it happened.
            Err(_) => FLUSH_AGAIN,
        };
        if stop.wait(wait) {
            return;
        }
    }
}

fn compact_loop(db: &LogDb, stop: &Stop) {
    while !stop.wait(COMPACT_EVERY) {
        db.compact_all();
    }
}

fn maintain_loop(db: &LogDb, stop: &Stop) {
    while !stop.wait(MAINTAIN_EVERY) {
        db.maintain();
    }
}

impl LogDb {
    /// Waits until a memtable was sealed, or something else changed, but not for long.
    fn wait_for_sealed(&self, time: Duration) {
        let mut epoch = self.room.epoch.lock();
        if self.state.read().sealed.is_empty() {
            self.room.changed.wait_for(&mut epoch, time);
        }
    }

    /// Refuses entries from now on and brings what there is to the bucket, if it can.
    pub fn close(&self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "what could not be flushed stays in the log");
        }
        self.close_log();
    }
}
