//! Who is reading and who is writing: what makes a commit visible at once, and what truncation waits for.
//!
//! Commits are applied one after the other and numbered in that order. A reader notes the number of the
//! last complete commit and, for each series it selects, the newest timestamp that commit could see; in a
//! series timestamps only ascend, so that bound hides everything later. A series remembers its last two
//! commits, which is enough unless several commits hit the same series while a reader is selecting it;
//! then the reader selects again while no commit is being applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Whether commit `a` is later than commit `b`; both are low 32 bits.
#[inline]
pub fn is_later(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Readers and appenders that are at work.
#[derive(Debug, Default)]
pub struct Activity {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    /// First timestamp each reader may look at.
    readers: BTreeMap<u64, i64>,
    appenders: BTreeMap<u64, ()>,
}

/// A reader or appender; dropping it ends its registration.
#[derive(Debug)]
pub struct Registration {
    activity: Arc<Activity>,
    id: u64,
    is_reader: bool,
}

impl Activity {
    /// Registers a reader of samples from `start_ms` on.
    pub fn reader(self: &Arc<Self>, start_ms: i64) -> Registration {
        let mut state = self.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.readers.insert(id, start_ms);
        Registration { activity: self.clone(), id, is_reader: true }
    }

    /// Registers an appender.
    pub fn appender(self: &Arc<Self>) -> Registration {
        let mut state = self.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.appenders.insert(id, ());
        Registration { activity: self.clone(), id, is_reader: false }
    }

    /// Waits until no reader may look at samples before `t_ms`.
    pub fn wait_for_readers_before(&self, t_ms: i64) {
        let mut state = self.state.lock();
        while state.readers.values().any(|&start_ms| start_ms < t_ms) {
            self.ended.wait(&mut state);
        }
    }

    /// Waits until all readers registered before this call have ended.
    pub fn wait_for_current_readers(&self) {
        let mut state = self.state.lock();
        let last = state.next_id;
        while state.readers.first_key_value().is_some_and(|(&id, _)| id <= last) {
            self.ended.wait(&mut state);
        }
    }

    /// Waits until all appenders registered before this call have ended.
    pub fn wait_for_current_appenders(&self) {
        self.wait_for_appenders_before(|| {});
    }

    /// Makes a change, and waits until all appenders have ended that were registered before it. Those registered afterwards see it.
    pub fn wait_for_appenders_before(&self, change: impl FnOnce()) {
        let mut state = self.state.lock();
        change();
        let last = state.next_id;
        while state.appenders.first_key_value().is_some_and(|(&id, _)| id <= last) {
            self.ended.wait(&mut state);
        }
    }

    /// Number of open appenders.
    pub fn appenders(&self) -> usize {
        self.state.lock().appenders.len()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.activity.state.lock();
        if self.is_reader {
            state.readers.remove(&self.id);
        } else {
            state.appenders.remove(&self.id);
        }
        drop(state);
        self.activity.ended.notify_all();
    }
}
