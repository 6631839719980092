//! Waking the thread that reads the log, without waking it for every commit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Rung when the log grew, or when something else is to be looked at.
#[derive(Debug, Default)]
pub struct Bell {
    log_grew: AtomicBool,
    listening: AtomicBool,
    /// Whether something other than the log asks for attention.
    called: Mutex<bool>,
    condvar: Condvar,
}

impl Bell {
    /// Asks for attention at once.
    pub fn call(&self) {
        *self.called.lock() = true;
        self.condvar.notify_all();
    }

    /// Waits until the log grew, somebody calls, or the time is over.
    pub fn wait(&self, at_most: Duration) {
        let mut called = self.called.lock();
        // Whoever lets the log grow from here on sees that it must notify; whoever did before is seen here.
        self.listening.store(true, Ordering::SeqCst);
        if !*called && !self.log_grew.load(Ordering::SeqCst) {
            self.condvar.wait_for(&mut called, at_most);
        }
        self.listening.store(false, Ordering::SeqCst);
        *called = false;
        self.log_grew.store(false, Ordering::SeqCst);
    }

    /// Waits until somebody calls or the time is over; the log may grow meanwhile.
    pub fn wait_for_call(&self, at_most: Duration) {
        let mut called = self.called.lock();
        if !*called {
            self.condvar.wait_for(&mut called, at_most);
        }
        *called = false;
    }
}

impl tsdb::wal::tail::Wake for Bell {
    fn wake(&self) {
        if !self.log_grew.swap(true, Ordering::SeqCst) && self.listening.load(Ordering::SeqCst) {
            drop(self.called.lock());
            self.condvar.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tsdb::wal::tail::Wake;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_rung_before_is_not_missed() {
        let bell = Bell::default();
        bell.wake();
        bell.wait(LONG);
        bell.call();
        bell.wait(LONG);
        bell.wake();
        bell.call();
        bell.wait_for_call(LONG);
        bell.wait(LONG);
    }

    #[test]
    fn a_waiting_thread_is_woken() {
        for _ in 0..200 {
            let bell = Arc::new(Bell::default());
            let waiting = bell.clone();
            let thread = std::thread::spawn(move || waiting.wait(LONG));
            bell.wake();
            thread.join().unwrap();
        }
    }
}
