//! Instant vector selectors: at each step the last sample within the lookback.

use std::sync::Arc;

use model::{Labels, SampleColumns, SeriesSet, TimeRange, is_stale_nan};

use super::env::{Env, Scratch, Tally, histogram_weight};
use super::error::EvalResult;
use super::operator::Operator;
use super::value::{StepGrid, StepVector, is_absent};
use crate::functions::statistics::drop_buckets;

/// When a selector looks at its data, seen from the step it is evaluated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct TimeShift {
    /// The time pinned by `@`, instead of the step's.
    pub at_ms: Option<i64>,
    /// How far before that.
    pub offset_ms: i64,
}

impl TimeShift {
    /// When the data is looked at for a step at `t_ms`.
    #[inline]
    pub fn apply(&self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms).saturating_sub(self.offset_ms)
    }

    /// First and last time looked at over a grid.
    pub fn ends(&self, grid: &StepGrid) -> (i64, i64) {
        (self.apply(grid.start_ms), self.apply(grid.end_ms()))
    }
}

/// The series of a selector and what evaluation needs to know of them.
#[derive(Clone)]
pub(crate) struct SelectedSeries {
    pub set: Arc<dyn SeriesSet>,
    /// The samples that were asked for.
    pub range: TimeRange,
    /// The metric name, when a matcher requires it.
    pub name: Option<String>,
    /// Whether of histograms only count and sum are looked at.
    pub statistics: bool,
}

impl SelectedSeries {
    /// Appends the samples of series `i` within `range` to the empty `columns`.
    pub fn read(&self, i: usize, range: TimeRange, columns: &mut SampleColumns, env: &Env) -> EvalResult<()> {
        self.set.read(i, range, columns, &env.ctx)?;
        if self.statistics {
            drop_buckets(columns);
        }
        Ok(())
    }

    /// Appends the last sample of series `i` within `range` to the empty `columns`, and perhaps some
    /// before it.
    pub fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        columns: &mut SampleColumns,
        env: &Env,
    ) -> EvalResult<()> {
        self.set.read_last(i, range, columns, &env.ctx)?;
        if self.statistics && !columns.histograms.is_empty() {
            // Only the samples before it tell whether there was a counter reset.
            columns.clear();
            return self.read(i, range, columns, env);
        }
        Ok(())
    }
}

/// What is taken from the sample a selector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facet {
    /// Its value.
    Value,
    /// Its timestamp in seconds.
    Timestamp,
    /// Its start timestamp in seconds.
    StartTimestamp,
}

/// An instant vector selector; also `timestamp` and `start_timestamp` of one.
pub(crate) struct VectorSelector {
    pub env: Arc<Env>,
    pub series: SelectedSeries,
    pub grid: StepGrid,
    pub shift: TimeShift,
    pub facet: Facet,
    pub tally: Tally,
}

impl VectorSelector {
    /// One step: ask the storage for one sample.
    fn evaluate_instant(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let end_ms = self.shift.apply(self.grid.start_ms);
        let range = TimeRange::new(end_ms.saturating_sub(self.env.settings.lookback_ms - 1), end_ms);
        let mut columns = scratch.columns();
        self.series.read_last(i, range, &mut columns, &self.env)?;
        if !columns.is_empty() {
            self.take(&columns, columns.len() - 1, 0, out);
        }
        scratch.put_columns(columns);
        Ok(())
    }

    fn evaluate_range(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        let mut columns = scratch.columns();
        self.series.read(i, self.series.range, &mut columns, &self.env)?;
        scratch.reserve_columns(&self.env, &columns)?;
        let lookback_ms = self.env.settings.lookback_ms;
        let times = &columns.timestamps_ms[..];
        let floats_only = columns.histograms.is_empty() && self.facet == Facet::Value;
        let mut seen = 0;
        for step in 0..self.grid.len {
            let at_ms = self.shift.apply(self.grid.time_ms(step));
            while seen < times.len() && times[seen] <= at_ms {
                seen += 1;
            }
            if seen == 0 || times[seen - 1] <= at_ms.saturating_sub(lookback_ms) {
                continue;
            }
            if floats_only {
                // A staleness marker is also what marks a step without value.
                out.values[step] = columns.values[seen - 1];
            } else {
                self.take(&columns, seen - 1, step, out);
            }
        }
        scratch.put_columns(columns);
        Ok(())
    }

    fn take(&self, columns: &SampleColumns, sample: usize, step: usize, out: &mut StepVector) {
        if is_stale_nan(columns.values[sample]) {
            return;
        }
        match self.facet {
            Facet::Value => match columns.histogram(sample) {
                Some(histogram) => out.set_histogram(step, histogram.clone()),
                None => out.set_float(step, columns.values[sample]),
            },
            Facet::Timestamp => out.set_float(step, columns.timestamps_ms[sample] as f64 / 1000.0),
            Facet::StartTimestamp => out.set_float(step, columns.start_timestamp_ms(sample) as f64 / 1000.0),
        }
    }

    fn count(&self, scratch: &mut Scratch, out: &StepVector) {
        let weigh = |step: usize| {
            if is_absent(out.values[step]) {
                0
            } else {
                out.histogram(step).map_or(1, |h| histogram_weight(h))
            }
        };
        let loaded: u64 = (0..out.len()).map(weigh).sum();
        scratch.counts.read += loaded;
        scratch.held += loaded.cast_signed();
        scratch.counts.add(self.tally, self.env.settings.per_step_stats, out.len(), weigh);
    }
}

impl Operator for VectorSelector {
    fn len(&self) -> usize {
        self.series.set.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series.set.labels(i)
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.series.set.visit_labels(i, visit);
    }

    fn is_unique_without_metadata(&self) -> bool {
        self.series.name.is_some() && !self.env.settings.type_and_unit_labels
    }

    fn fixed_name(&self) -> Option<&str> {
        self.series.name.as_deref()
    }

    fn evaluate(&self, i: usize, scratch: &mut Scratch, out: &mut StepVector) -> EvalResult<()> {
        out.reset(self.grid.len);
        if self.grid.len == 1 {
            self.evaluate_instant(i, scratch, out)?;
        } else {
            self.evaluate_range(i, scratch, out)?;
        }
        self.count(scratch, out);
        Ok(())
    }
}
