//! The times at which a target is due, an interval apart.

use std::time::Duration;

/// Puts scrapes that begin close to when they are due at that time: evenly spaced timestamps compress better.
#[derive(Debug)]
pub(super) struct Grid {
    interval_ms: i64,
    /// How late a scrape may be to count as punctual; `None` keeps all times as they are.
    tolerance_ms: Option<i64>,
    /// When the target was due last.
    due_ms: i64,
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Grid {
    /// A grid of which `start_ms` is a point. A tolerance beyond a hundredth of the interval is cut to that.
    pub(super) fn new(start_ms: i64, interval: Duration, tolerance: Option<Duration>) -> Self {
        let tolerance_ms = tolerance.map(|tolerance| whole_ms(tolerance.min(interval / 100)));
        Self { interval_ms: whole_ms(interval).max(1), tolerance_ms, due_ms: start_ms }
    }

    /// The timestamp of the scrape that begins at `now_ms`.
    pub(super) fn place(&mut self, now_ms: i64) -> i64 {
        let Some(tolerance_ms) = self.tolerance_ms else { return now_ms };
        if now_ms < self.due_ms.saturating_sub(tolerance_ms) {
            // The clock was set back: what was due by the old one would come again and again.
            self.due_ms = now_ms;
        }
        let passed = now_ms.saturating_sub(self.due_ms).max(0) / self.interval_ms;
        self.due_ms += passed * self.interval_ms;
        if now_ms.saturating_sub(self.due_ms) <= tolerance_ms { self.due_ms } else { now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn placed(tolerance: Option<Duration>, times_ms: &[i64]) -> Vec<i64> {
        let mut grid = Grid::new(10_000, SECOND, tolerance);
        times_ms.iter().map(|&now_ms| grid.place(now_ms)).collect()
    }

    #[test]
    fn scrapes_within_the_tolerance_are_put_on_the_grid() {
        let times_ms = [10_000, 11_002, 11_999, 12_003, 15_001];
        assert_eq!(placed(Some(2 * SECOND / 1000), &times_ms), [10_000, 11_000, 11_999, 12_003, 15_000]);
        assert_eq!(placed(Some(3 * SECOND / 1000), &times_ms), [10_000, 11_000, 11_999, 12_000, 15_000]);
        assert_eq!(placed(None, &times_ms), times_ms);
    }

    #[test]
    fn the_tolerance_is_at_most_a_hundredth_of_the_interval() {
        assert_eq!(placed(Some(SECOND), &[11_010, 12_011]), [11_000, 12_011]);
    }

    #[test]
    fn a_clock_that_was_set_back_starts_a_new_grid() {
        assert_eq!(placed(Some(SECOND), &[10_000, 4_000, 5_001]), [10_000, 4_000, 5_000]);
    }
}
