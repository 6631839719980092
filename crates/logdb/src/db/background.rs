//! The threads that flush, compact and clean up while entries come in.

use std::sync::Arc;
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
/// After a failed flush, and at most after many.
const FLUSH_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often is looked whether there is something to compact or to delete.
const UPKEEP_EVERY: Duration = Duration::from_secs(15);

impl Background {
    /// Begins to work on an engine.
    pub fn start(db: Arc<LogDb>) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let spawn = |name: &str, work: fn(&LogDb, &Stop)| {
            let (db, stop) = (db.clone(), stop.clone());
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&db, &stop))
        };
        let threads = vec![spawn("logs-flush", flush_loop)?, spawn("logs-upkeep", upkeep_loop)?];
        Ok(Self { db, stop, threads })
    }

    /// Ends the work, refuses entries from now on, and brings what there is to the bucket. When that fails it stays in
    /// the log, and is there after the next start.
    pub fn stop(self) {
        *self.stop.is_asked.lock() = true;
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

fn flush_loop(db: &LogDb, stop: &Stop) {
    let mut again = FLUSH_AGAIN.0;
    loop {
        db.seal_if_old();
        let wait = match db.flush_sealed() {
            Ok(flushed) => {
                if flushed.objects > 0 {
                    base::memory::release();
                }
                again = FLUSH_AGAIN.0;
                db.wait_for_sealed(FLUSH_EVERY);
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, wait = ?again, "flushing entries failed; they stay in memory and in the log");
                let wait = again;
                again = (again * 2).min(FLUSH_AGAIN.1);
                wait
            }
        };
        if stop.wait(wait) {
            return;
        }
    }
}

fn upkeep_loop(db: &LogDb, stop: &Stop) {
    while !stop.wait(UPKEEP_EVERY) {
        db.upkeep(&|| *stop.is_asked.lock());
        base::memory::release();
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
