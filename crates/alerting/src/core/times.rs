//! How long it takes to ask silences and the log of notifications.

use std::time::Duration;

use base::clock::SharedClock;
use base::metrics::Histogram;

use super::Core;
use crate::template::ClockDebug;

/// Upper bounds of how long a query takes, in seconds.
const QUERY_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What is measured. Decisions do not depend on it.
#[derive(Debug)]
pub struct QueryTimes {
    clock: ClockDebug,
    /// Seconds that looking up what an integration was told last took.
    pub log: Histogram,
    /// Seconds that matching the alerts of a group against silences took.
    pub silences: Histogram,
}

impl Core {
    /// Measures how long queries take from now on.
    pub fn measure(&mut self, clock: SharedClock) {
        let histogram = || Histogram::new(&QUERY_S);
        self.times = Some(QueryTimes { clock: ClockDebug(clock), log: histogram(), silences: histogram() });
    }

    /// What was measured, if anything is.
    pub fn query_times(&self) -> Option<&QueryTimes> {
        self.times.as_ref()
    }

    /// The time, if anything is measured.
    pub(super) fn stopwatch(&self) -> Duration {
        self.times.as_ref().map_or(Duration::ZERO, |times| times.clock.0.monotonic())
    }

    /// Notes that a query ended which began at `begun`.
    pub(super) fn queried(&self, which: fn(&QueryTimes) -> &Histogram, begun: Duration) {
        if let Some(times) = &self.times {
            which(times).observe(times.clock.0.monotonic().saturating_sub(begun).as_secs_f64());
        }
    }
}
