//! When the head is written to blocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Stale series are not written this long before the whole head will be.
const SOON: Duration = Duration::from_secs(600);

/// Decides what is due. Times are those of the monotonic clock.
#[derive(Debug)]
pub(super) struct Schedule {
    delay: Duration,
    /// The bits of a share from 0 to 1; 0 for never.
    stale_threshold: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when the head is due.
    due_since: Option<Duration>,
    /// When the head was last written.
    last_written: Option<Duration>,
}

impl Schedule {
    pub(super) fn new(delay_ms: i64, stale_threshold: f64) -> Self {
        Self {
            delay: Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0)),
            stale_threshold: AtomicU64::new(stale_threshold.to_bits()),
            state: Mutex::default(),
        }
    }

    pub(super) fn set_stale_threshold(&self, share: f64) {
        self.stale_threshold.store(share.to_bits(), Ordering::Relaxed);
    }

    /// Whether the head is to be written now, given whether it is due.
    pub(super) fn head_goes(&self, is_due: bool, now: Duration) -> bool {
        let mut state = self.state.lock();
        if !is_due {
            state.due_since = None;
            return false;
        }
        let since = *state.due_since.get_or_insert(now);
        now.saturating_sub(since) >= self.delay
    }

    /// Notes that the head is being written.
    pub(super) fn head_written(&self, now: Duration) {
        self.state.lock().last_written = Some(now);
    }

    /// Whether stale series are to be written now, given their share and the time between writes of the
    /// whole head.
    pub(super) fn stale_series_go(&self, share: f64, range_ms: i64, now: Duration) -> bool {
        let threshold = f64::from_bits(self.stale_threshold.load(Ordering::Relaxed));
        if threshold <= 0.0 || share < threshold {
            return false;
        }
        let range = Duration::from_millis(u64::try_from(range_ms).unwrap_or(0));
        self.state.lock().last_written.is_none_or(|last| now + SOON <= last + range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_head_that_is_due_waits_for_the_delay_and_then_is_written_out_at_once() {
        let schedule = Schedule::new(180_000, 0.0);
        assert!(!schedule.head_goes(false, MINUTE));
        assert!(!schedule.head_goes(true, 2 * MINUTE));
        assert!(!schedule.head_goes(true, 4 * MINUTE));
        assert!(schedule.head_goes(true, 5 * MINUTE));
        assert!(schedule.head_goes(true, 5 * MINUTE), "until nothing is left");
        assert!(!schedule.head_goes(false, 5 * MINUTE));
        assert!(!schedule.head_goes(true, 6 * MINUTE), "the next time it waits again");
        assert!(Schedule::new(0, 0.0).head_goes(true, MINUTE));
    }

    #[test]
    fn stale_series_go_above_the_threshold_unless_the_head_goes_soon() {
        let range_ms = 2 * 3_600_000;
        let schedule = Schedule::new(0, 0.4);
        assert!(!schedule.stale_series_go(0.3, range_ms, MINUTE));
        assert!(schedule.stale_series_go(0.4, range_ms, MINUTE));
        schedule.head_written(MINUTE);
        assert!(schedule.stale_series_go(0.4, range_ms, 111 * MINUTE));
        assert!(!schedule.stale_series_go(0.4, range_ms, 112 * MINUTE));
        schedule.set_stale_threshold(0.0);
        assert!(!schedule.stale_series_go(1.0, range_ms, 2 * MINUTE));
    }
}
