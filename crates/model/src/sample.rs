//! Samples in columns, time ranges and staleness markers.

use std::sync::Arc;

use crate::histogram::FloatHistogram;

/// The bits of the NaN that marks a series as stale (ended, not merely unknown).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker as a value.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the staleness marker; ordinary NaNs are not.
#[inline]
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A closed interval of milliseconds since the Unix epoch: both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first millisecond.
    pub start_ms: i64,
    /// The last millisecond.
    pub end_ms: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };

    /// The interval from `start_ms` to `end_ms`, both included.
    pub const fn new(start_ms: i64, end_ms: i64) -> Self {
        Self { start_ms, end_ms }
    }

    /// Whether `t_ms` lies in the interval.
    #[inline]
    pub const fn contains(&self, t_ms: i64) -> bool {
        self.start_ms <= t_ms && t_ms <= self.end_ms
    }

    /// Whether the intervals share a millisecond.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start_ms <= other.end_ms && other.start_ms <= self.end_ms
    }

    /// Whether the interval is empty.
    pub const fn is_empty(&self) -> bool {
        self.start_ms > self.end_ms
    }
}

/// Samples of one series in ascending time, as columns of equal length.
///
/// For a histogram sample `values` holds the histogram's sum, so that the staleness marker is found
/// in `values` for both sample types. `histograms` and `start_timestamps_ms` are **empty** when no
/// sample has one, which lets float-only code look at two dense columns alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SampleColumns {
    /// Timestamps in milliseconds since the Unix epoch, ascending.
    pub timestamps_ms: Vec<i64>,
    /// Float values, or the sum of the histogram at the same place.
    pub values: Vec<f64>,
    /// The histogram, for samples that are one; empty when all are floats.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
    /// Start timestamps, 0 where unknown; empty when none is known.
    pub start_timestamps_ms: Vec<i64>,
}

impl SampleColumns {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.timestamps_ms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty()
    }

    /// Removes all samples and keeps the allocations.
    pub fn clear(&mut self) {
        self.timestamps_ms.clear();
        self.values.clear();
        self.histograms.clear();
        self.start_timestamps_ms.clear();
    }

    /// Appends a float sample.
    #[inline]
    pub fn push_float(&mut self, t_ms: i64, value: f64) {
        self.timestamps_ms.push(t_ms);
        self.values.push(value);
        if !self.histograms.is_empty() {
            self.histograms.push(None);
        }
        if !self.start_timestamps_ms.is_empty() {
            self.start_timestamps_ms.push(0);
        }
    }

    /// Appends a histogram sample.
    pub fn push_histogram(&mut self, t_ms: i64, histogram: Arc<FloatHistogram>) {
        self.histograms.resize(self.timestamps_ms.len(), None);
        self.timestamps_ms.push(t_ms);
        self.values.push(histogram.sum);
        self.histograms.push(Some(histogram));
        if !self.start_timestamps_ms.is_empty() {
            self.start_timestamps_ms.push(0);
        }
    }

    /// Sets the start timestamp of the sample appended last; 0 means unknown.
    pub fn set_last_start_timestamp(&mut self, start_ms: i64) {
        if start_ms == 0 && self.start_timestamps_ms.is_empty() {
            return;
        }
        self.start_timestamps_ms.resize(self.timestamps_ms.len(), 0);
        if let Some(last) = self.start_timestamps_ms.last_mut() {
            *last = start_ms;
        }
    }

    /// The histogram of sample `i`, if it is one.
    #[inline]
    pub fn histogram(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(i).and_then(Option::as_ref)
    }

    /// The start timestamp of sample `i`, 0 when unknown.
    #[inline]
    pub fn start_timestamp_ms(&self, i: usize) -> i64 {
        self.start_timestamps_ms.get(i).copied().unwrap_or(0)
    }

    /// Heap bytes in use, for budgets.
    pub fn memory_bytes(&self) -> usize {
        let histograms = self.histograms.iter().flatten().map(|h| h.memory_bytes()).sum::<usize>();
        self.len() * 16 + self.histograms.len() * 8 + self.start_timestamps_ms.len() * 8 + histograms
    }
}
