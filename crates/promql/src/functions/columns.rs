//! The samples of one series by type, and the windows of the steps in each type's own column.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use model::{FloatHistogram, SampleColumns};

use crate::engine::value::WindowBounds;

/// The float samples and the histogram samples of one series, in columns of their own.
///
/// A series of floats alone, which nearly all are, is borrowed as it is.
#[derive(Debug)]
pub(crate) struct TypedColumns<'a> {
    pub(crate) float_times_ms: Cow<'a, [i64]>,
    pub(crate) floats: Cow<'a, [f64]>,
    pub(crate) histogram_times_ms: Vec<i64>,
    pub(crate) histograms: Vec<&'a Arc<FloatHistogram>>,
    /// Start timestamps of the histograms; empty when unknown.
    pub(crate) histogram_starts_ms: Vec<i64>,
    /// Start timestamps of the floats; empty when unknown.
    pub(crate) float_starts_ms: Cow<'a, [i64]>,
    /// How many of the first `i` samples are floats; empty when all are.
    floats_before: Vec<u32>,
}

impl<'a> TypedColumns<'a> {
    /// Splits the samples by type.
    pub(crate) fn new(samples: &'a SampleColumns) -> Self {
        if samples.histograms.is_empty() {
            return Self {
                float_times_ms: Cow::Borrowed(&samples.timestamps_ms),
                floats: Cow::Borrowed(&samples.values),
                histogram_times_ms: Vec::new(),
                histograms: Vec::new(),
                histogram_starts_ms: Vec::new(),
                float_starts_ms: Cow::Borrowed(&samples.start_timestamps_ms),
                floats_before: Vec::new(),
            };
        }
        Self::split(samples)
    }

    fn split(samples: &'a SampleColumns) -> Self {
        let (mut float_times, mut floats, mut float_starts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut histogram_times, mut histograms, mut histogram_starts) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut floats_before = Vec::with_capacity(samples.len() + 1);
        for (i, &t_ms) in samples.timestamps_ms.iter().enumerate() {
            floats_before.push(floats.len() as u32);
            let start_ms = samples.start_timestamps_ms.get(i);
            match samples.histogram(i) {
                Some(histogram) => {
                    histogram_times.push(t_ms);
                    histograms.push(histogram);
                    histogram_starts.extend(start_ms);
                }
                None => {
                    float_times.push(t_ms);
                    floats.push(samples.values[i]);
                    float_starts.extend(start_ms);
                }
            }
        }
        floats_before.push(floats.len() as u32);
        Self {
            float_times_ms: Cow::Owned(float_times),
            floats: Cow::Owned(floats),
            histogram_times_ms: histogram_times,
            histograms,
            histogram_starts_ms: histogram_starts,
            float_starts_ms: Cow::Owned(float_starts),
            floats_before,
        }
    }

    /// The float samples of a window, as a range of the float columns.
    #[inline]
    pub(crate) fn float_range(&self, window: WindowBounds) -> Range<usize> {
        if self.floats_before.is_empty() {
            return window.range();
        }
        self.floats_before[window.lo as usize] as usize..self.floats_before[window.hi as usize] as usize
    }

    /// The histogram samples of a window, as a range of the histogram columns.
    #[inline]
    pub(crate) fn histogram_range(&self, window: WindowBounds) -> Range<usize> {
        if self.floats_before.is_empty() {
            return 0..0;
        }
        let floats = self.float_range(window);
        window.lo as usize - floats.start..window.hi as usize - floats.end
    }
}

/// Ascending positions, looked up for ranges whose ends never decrease.
#[derive(Debug)]
pub(crate) struct Positions<'a> {
    positions: &'a [u32],
    first: usize,
    last: usize,
}

impl<'a> Positions<'a> {
    pub(crate) fn new(positions: &'a [u32]) -> Self {
        Self { positions, first: 0, last: 0 }
    }

    /// The positions `p` with `after < p < before`.
    #[inline]
    pub(crate) fn between(&mut self, after: usize, before: usize) -> &'a [u32] {
        while self.first < self.positions.len() && self.positions[self.first] as usize <= after {
            self.first += 1;
        }
        self.last = self.last.max(self.first);
        while self.last < self.positions.len() && (self.positions[self.last] as usize) < before {
            self.last += 1;
        }
        &self.positions[self.first..self.last]
    }
}

/// Whether the counter started anew between two samples, as far as their start timestamps (0 where
/// unknown) tell.
///
/// A start at or after the sample itself is invalid or means "unknown". A start exactly at the sample
/// before is a reset for a delta series, whose every sample starts where the one before ended, but not
/// for a cumulative series of unknown start; the two differ in whether the sample before knows its own
/// start.
#[inline]
pub(crate) fn is_start_time_reset(prev_start_ms: i64, prev_ms: i64, start_ms: i64, t_ms: i64) -> bool {
    if start_ms == 0 || start_ms >= t_ms || start_ms < prev_ms {
        return false;
    }
    start_ms > prev_ms || (prev_start_ms != 0 && prev_start_ms < prev_ms)
}

/// Whether a sample claims to start before the end of the sample before without sharing its start.
#[inline]
pub(crate) fn is_start_time_overlap(prev_start_ms: i64, prev_ms: i64, start_ms: i64) -> bool {
    start_ms != 0 && start_ms < prev_ms && start_ms != prev_start_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixed_series_is_split_and_windows_follow() {
        let mut samples = SampleColumns::default();
        samples.push_float(1, 10.0);
        samples.push_histogram(2, Arc::new(FloatHistogram::default()));
        samples.push_histogram(3, Arc::new(FloatHistogram::default()));
        samples.push_float(4, 40.0);
        let columns = TypedColumns::new(&samples);
        assert_eq!(*columns.floats, [10.0, 40.0]);
        assert_eq!(columns.histogram_times_ms, [2, 3]);
        let window = WindowBounds { lo: 1, hi: 4 };
        assert_eq!(columns.float_range(window), 1..2);
        assert_eq!(columns.histogram_range(window), 0..2);
    }

    #[test]
    fn positions_slide() {
        let mut positions = Positions::new(&[2, 5, 6, 9]);
        assert_eq!(positions.between(0, 6), [2, 5]);
        assert_eq!(positions.between(2, 7), [5, 6]);
        assert_eq!(positions.between(7, 8), []);
        assert_eq!(positions.between(8, 12), [9]);
    }

    #[test]
    fn start_times_tell_of_resets() {
        // Unknown, invalid, equal to the sample's own time, before the sample before.
        for start in [0, 31, 30, 19] {
            assert!(!is_start_time_reset(10, 20, start, 30), "{start}");
        }
        assert!(is_start_time_reset(10, 20, 21, 30));
        // A delta series; a cumulative one of unknown start; one with an invalid start before.
        assert!(is_start_time_reset(10, 20, 20, 30));
        assert!(!is_start_time_reset(0, 20, 20, 30));
        assert!(!is_start_time_reset(20, 20, 20, 30));
        assert!(!is_start_time_reset(25, 20, 20, 30));

        assert!(is_start_time_overlap(10, 20, 15));
        assert!(!is_start_time_overlap(10, 20, 10));
        assert!(!is_start_time_overlap(10, 20, 20));
        assert!(!is_start_time_overlap(10, 20, 0));
    }
}
