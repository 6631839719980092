//! How far reading a log has come, for those who wait for it.

use std::sync::Arc;

use parking_lot::Mutex;

/// The progress of reading a log at start. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ReplayProgress(Arc<Mutex<ReplayStatus>>);

/// Numbers of segments of a log that is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayStatus {
    /// The first segment; a checkpoint counts as the last segment it stands for.
    pub first: u32,
    /// The last segment.
    pub last: u32,
    /// The segment that was read last.
    pub current: u32,
}

impl ReplayProgress {
    /// How far it has come.
    pub fn status(&self) -> ReplayStatus {
        *self.0.lock()
    }

    /// The segments from `first` to `last` are to be read.
    pub(crate) fn begin(&self, first: u32, last: u32) {
        *self.0.lock() = ReplayStatus { first, last, current: first };
    }

    /// A segment was read.
    pub(crate) fn reach(&self, segment: u32) {
        let mut status = self.0.lock();
        debug_assert!((status.first..=status.last).contains(&segment), "{segment} is not among {status:?}");
        status.current = segment;
        tracing::debug!(segment, last = status.last, "log segment read");
    }
}
