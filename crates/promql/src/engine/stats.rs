//! What a query cost.

use std::time::Duration;

use base::clock::SharedClock;

use super::env::Env;
use super::value::StepGrid;

/// How long the parts of a query took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// Everything but sorting the result.
    pub eval_total: Duration,
    /// Sorting the result.
    pub result_sort: Duration,
    /// Parsing and planning.
    pub preparation: Duration,
    /// Selecting series and evaluating.
    pub inner_eval: Duration,
    /// Everything.
    pub exec_total: Duration,
}

/// What a query cost. Waiting for a free slot is up to the caller to measure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryStats {
    /// How long it took.
    pub timings: Timings,
    /// Samples loaded: for range vectors, every step counts its whole window.
    pub total_queryable_samples: u64,
    /// The same for each step, with its timestamp in milliseconds, when asked for.
    pub total_queryable_samples_per_step: Option<Vec<(i64, u64)>>,
    /// Samples read from storage.
    pub samples_read: u64,
    /// The most samples held at once.
    pub peak_samples: u64,
}

/// Measures the parts of a query.
pub(crate) struct Stopwatch {
    clock: SharedClock,
    started: Duration,
    prepared: Duration,
    evaluated: Option<Duration>,
}

impl Stopwatch {
    pub fn start(clock: SharedClock) -> Self {
        let started = clock.monotonic();
        Self { clock, started, prepared: started, evaluated: None }
    }

    /// Parsing and planning are done.
    pub fn prepared(&mut self) {
        self.prepared = self.clock.monotonic();
    }

    /// Evaluation is done, sorting begins.
    pub fn evaluated(&mut self) {
        self.evaluated = Some(self.clock.monotonic());
    }

    /// The statistics of the query.
    pub fn finish(self, env: &Env, grid: &StepGrid) -> QueryStats {
        let now = self.clock.monotonic();
        let evaluated = self.evaluated.unwrap_or(now);
        let counts = env.take_counts();
        let per_step = env.settings.per_step_stats.then(|| {
            let of_step = |step: usize| counts.per_step.get(step).copied().unwrap_or(0);
            (0..grid.len).map(|step| (grid.time_ms(step), of_step(step))).collect()
        });
        QueryStats {
            timings: Timings {
                eval_total: evaluated - self.started,
                result_sort: now - evaluated,
                preparation: self.prepared - self.started,
                inner_eval: evaluated - self.prepared,
                exec_total: now - self.started,
            },
            total_queryable_samples: counts.total,
            total_queryable_samples_per_step: per_step,
            samples_read: counts.read,
            peak_samples: u64::try_from(env.samples.peak()).unwrap_or(0),
        }
    }
}
