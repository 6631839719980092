//! Aggregations that select some series of each group: `topk`, `bottomk`, `limitk` and `limit_ratio`.

use model::Labels;

use crate::annotations::{Annotation, Annotations};
use crate::engine::value::{StepVector, is_absent};

/// Which end of the order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepEnd {
    /// `topk`
    Largest,
    /// `bottomk`
    Smallest,
}

impl KeepEnd {
    fn name(self) -> &'static str {
        match self {
            Self::Largest => "topk",
            Self::Smallest => "bottomk",
        }
    }

    /// Whether `a` is to be dropped before `b`. NaNs go first.
    #[inline]
    fn is_worse(self, a: f64, b: f64) -> bool {
        a.is_nan()
            || match self {
                Self::Largest => a < b,
                Self::Smallest => a > b,
            }
    }
}

/// One selected series and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selected {
    /// The number of the series.
    pub series: u32,
    /// Its value at the step.
    pub value: f64,
}

/// The `k` largest or smallest values of one group at each step.
#[derive(Debug)]
pub struct TopK {
    keep: KeepEnd,
    limits: std::sync::Arc<[usize]>,
    /// For each step a binary heap with the worst of the kept values at its root.
    heaps: Vec<Vec<Selected>>,
}

impl TopK {
    /// Selects up to `limits[step]` series at each step.
    pub fn new(keep: KeepEnd, limits: std::sync::Arc<[usize]>) -> Self {
        let heaps = vec![Vec::new(); limits.len()];
        Self { keep, limits, heaps }
    }

    /// Offers the floats of a series; its histograms are left out with an annotation. `start` is where
    /// the aggregation stands in the query.
    pub fn add(&mut self, series: u32, values: &StepVector, start: usize, annotations: &mut Annotations) {
        let keep = self.keep;
        for (step, &value) in values.values.iter().enumerate() {
            if is_absent(value) {
                continue;
            }
            let limit = self.limits[step];
            if limit == 0 {
                continue;
            }
            if values.histogram(step).is_some() {
                annotations.add(Annotation::HistogramIgnoredInAggregation(keep.name()), start);
                continue;
            }
            let heap = &mut self.heaps[step];
            let new = Selected { series, value };
            if heap.len() < limit {
                heap.push(new);
                sift_up(heap, keep);
            } else {
                let worst = heap[0].value;
                // Of equal values the one that came first stays.
                let better = keep.is_worse(worst, value) && !(worst.is_nan() && value.is_nan());
                if better {
                    heap[0] = new;
                    sift_down(heap, keep);
                }
            }
        }
    }

    /// The selected series of a step, best first.
    pub fn take(&mut self, step: usize) -> Vec<Selected> {
        let mut selected = std::mem::take(&mut self.heaps[step]);
        let keep = self.keep;
        selected.sort_by(|a, b| {
            let worse = |a: f64, b: f64| keep.is_worse(a, b) && !(a.is_nan() && b.is_nan());
            worse(a.value, b.value).cmp(&worse(b.value, a.value))
        });
        selected
    }

    /// Bytes in use, for budgets.
    pub fn memory_bytes(&self) -> usize {
        self.heaps
            .iter()
            .map(|heap| size_of::<Vec<Selected>>() + heap.capacity() * size_of::<Selected>())
            .sum()
    }
}

/// Moves the last element up to its place.
fn sift_up(heap: &mut [Selected], keep: KeepEnd) {
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !keep.is_worse(heap[at].value, heap[parent].value) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Moves the root down to its place.
fn sift_down(heap: &mut [Selected], keep: KeepEnd) {
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        if left >= heap.len() {
            break;
        }
        let right = left + 1;
        let child = if right < heap.len() && keep.is_worse(heap[right].value, heap[left].value) {
            right
        } else {
            left
        };
        if !keep.is_worse(heap[child].value, heap[at].value) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}

/// Whether `limit_ratio` with `ratio` (-1 to 1) selects the series with these labels.
///
/// The labels' hash decides, so it is the same series at every step and in every query, and the series
/// left out by `ratio` are those selected by `ratio - 1`.
pub fn is_in_ratio(ratio: f64, labels: &Labels) -> bool {
    let offset = ratio_offset(labels);
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

/// Where a label set lies between 0 and 1.
pub fn ratio_offset(labels: &Labels) -> f64 {
    reference_hash(labels) as f64 / u64::MAX as f64
}

/// The hash that the reference gives a label set, over its own encoding: names and values, each after
/// its length in one byte, or from 255 bytes on in a byte 255 and three more.
fn reference_hash(labels: &Labels) -> u64 {
    let mut encoded = Vec::with_capacity(labels.as_bytes().len());
    for (name, value) in labels {
        for text in [name, value] {
            match u8::try_from(text.len()) {
                Ok(len) if len < 255 => encoded.push(len),
                _ => {
                    encoded.push(255);
                    encoded.extend_from_slice(&text.len().to_le_bytes()[..3]);
                }
            }
            encoded.extend_from_slice(text.as_bytes());
        }
    }
    xxhash_rust::xxh64::xxh64(&encoded, 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::FloatHistogram;

    use super::*;
    use crate::engine::value::ABSENT;

    fn select(keep: KeepEnd, k: usize, values: &[f64]) -> Vec<u32> {
        let mut top = TopK::new(keep, Arc::from([k]));
        let mut annotations = Annotations::default();
        for (series, &value) in values.iter().enumerate() {
            top.add(
                series as u32,
                &StepVector { values: vec![value], histograms: Vec::new() },
                0,
                &mut annotations,
            );
        }
        assert!(annotations.is_empty());
        top.take(0).iter().map(|s| s.series).collect()
    }

    #[test]
    fn the_best_are_selected_in_order() {
        let values = [3.0, f64::NAN, 9.0, -1.0, ABSENT, 7.0, f64::INFINITY];
        assert_eq!(select(KeepEnd::Largest, 3, &values), [6, 2, 5]);
        assert_eq!(select(KeepEnd::Smallest, 3, &values), [3, 0, 5]);
        assert_eq!(select(KeepEnd::Largest, 10, &values), [6, 2, 5, 0, 3, 1]);
        assert_eq!(select(KeepEnd::Smallest, 10, &values), [3, 0, 5, 2, 6, 1]);
        assert_eq!(select(KeepEnd::Largest, 0, &values), []);
    }

    #[test]
    fn of_equals_the_first_stay() {
        assert_eq!(select(KeepEnd::Largest, 2, &[1.0; 5]), [0, 1]);
        assert_eq!(select(KeepEnd::Smallest, 1, &[f64::NAN, f64::NAN]), [0]);
        assert_eq!(select(KeepEnd::Largest, 1, &[f64::NAN, -1.0]), [1]);
    }

    #[test]
    fn histograms_are_left_out_and_told() {
        let mut top = TopK::new(KeepEnd::Smallest, Arc::from([2]));
        let mut annotations = Annotations::default();
        let mut vector = StepVector::absent(1);
        vector.set_histogram(0, Arc::new(FloatHistogram::default()));
        top.add(0, &vector, 0, &mut annotations);
        assert!(top.take(0).is_empty());
        let notes: Vec<_> = annotations.iter().map(ToString::to_string).collect();
        assert_eq!(notes, ["PromQL info: ignored histogram in bottomk aggregation"]);
    }

    #[test]
    fn a_ratio_and_its_complement_split_the_series() {
        let sets: Vec<Labels> = (0..1000).map(|i| Labels::from_pairs([("i", i.to_string())])).collect();
        let selected = |ratio| sets.iter().filter(|labels| is_in_ratio(ratio, labels)).count();
        assert_eq!(selected(1.0), 1000);
        assert_eq!(selected(0.0), 0);
        assert!((250..350).contains(&selected(0.3)));
        assert!(sets.iter().all(|labels| is_in_ratio(0.3, labels) != is_in_ratio(-0.7, labels)));
        let long = Labels::from_pairs([("a", "x".repeat(300))]);
        assert!((0.0..=1.0).contains(&ratio_offset(&long)));
    }
}
