//! Sums and means of native histograms, over series and over time.

use model::histogram::HistogramError;
use model::{CounterResetHint, FloatHistogram};

/// Adds up histograms with compensated summation; a mean is the sum by the count, until the sum would
/// overflow, and from there on moved step by step.
#[derive(Debug, Clone)]
pub(crate) struct HistogramSum {
    /// The sum; of an incremental mean, the mean.
    value: FloatHistogram,
    compensation: Option<FloatHistogram>,
    is_mean: bool,
    incremental: bool,
    count: f64,
    reset_seen: bool,
    no_reset_seen: bool,
    bounds_reconciled: bool,
}

impl HistogramSum {
    /// The sum or mean of `first` alone.
    pub(crate) fn new(first: &FloatHistogram, is_mean: bool) -> Self {
        let mut sum = Self {
            value: first.clone(),
            compensation: None,
            is_mean,
            incremental: false,
            count: 1.0,
            reset_seen: false,
            no_reset_seen: false,
            bounds_reconciled: false,
        };
        sum.track_hint(first);
        sum
    }

    fn track_hint(&mut self, histogram: &FloatHistogram) {
        match histogram.counter_reset_hint {
            CounterResetHint::CounterReset => self.reset_seen = true,
            CounterResetHint::NotCounterReset => self.no_reset_seen = true,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
    }

    /// Adds a histogram. After an error there is no result.
    pub(crate) fn add(&mut self, histogram: &FloatHistogram) -> Result<(), HistogramError> {
        self.track_hint(histogram);
        self.count += 1.0;
        if !self.is_mean {
            self.bounds_reconciled |= self.value.kahan_add(histogram, &mut self.compensation)?.custom_bounds;
            return Ok(());
        }
        if !self.incremental {
            let (mut value, mut compensation) = (self.value.clone(), self.compensation.clone());
            self.bounds_reconciled |= value.kahan_add(histogram, &mut compensation)?.custom_bounds;
            if !value.has_overflow() {
                (self.value, self.compensation) = (value, compensation);
                return Ok(());
            }
            self.incremental = true;
            self.scale(|h, count| h.div(count - 1.0));
        }
        self.scale(|h, count| h.mul((count - 1.0) / count));
        let mut share = histogram.clone();
        share.div(self.count);
        self.bounds_reconciled |= self.value.kahan_add(&share, &mut self.compensation)?.custom_bounds;
        Ok(())
    }

    fn scale(&mut self, scale: impl Fn(&mut FloatHistogram, f64)) {
        scale(&mut self.value, self.count);
        if let Some(compensation) = &mut self.compensation {
            scale(compensation, self.count);
        }
    }

    /// Whether hints of histograms contradicted each other.
    pub(crate) fn has_reset_collision(&self) -> bool {
        self.reset_seen && self.no_reset_seen
    }

    /// Whether custom bucket bounds had to be reconciled.
    pub(crate) fn has_reconciled_bounds(&self) -> bool {
        self.bounds_reconciled
    }

    /// The sum or mean.
    pub(crate) fn finish(mut self) -> FloatHistogram {
        if self.is_mean && !self.incremental {
            self.scale(FloatHistogram::div);
        }
        if let Some(compensation) = self.compensation {
            // It has gone through the same reconciliations, so it fits.
            let _ = self.value.add(&compensation);
        }
        self.value
    }

    /// Bytes in use, for budgets.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.value.memory_bytes() + self.compensation.as_ref().map_or(0, FloatHistogram::memory_bytes)
    }
}
