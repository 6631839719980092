//! Reducing histograms to count and sum, for queries that look at nothing else.
//!
//! Operators on the way are then spared all buckets. What buckets tell about counter resets is found out
//! before they go, and kept as a hint.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, SampleColumns};

/// Takes the buckets off all histograms of a series, whose samples are in their stored order. Hints that
/// are unknown are replaced by what comparing with the histogram before tells; of the first nothing is
/// known.
pub fn drop_buckets(samples: &mut SampleColumns) {
    let mut previous: Option<Arc<FloatHistogram>> = None;
    for slot in samples.histograms.iter_mut().flatten() {
        if slot.is_stale() {
            continue;
        }
        let hint = match (slot.counter_reset_hint, &previous) {
            (CounterResetHint::Unknown, Some(previous)) if slot.detect_reset(previous) => {
                CounterResetHint::CounterReset
            }
            (CounterResetHint::Unknown, Some(_)) => CounterResetHint::NotCounterReset,
            (hint, _) => hint,
        };
        let reduced = FloatHistogram {
            counter_reset_hint: hint,
            schema: slot.schema,
            count: slot.count,
            sum: slot.sum,
            ..FloatHistogram::default()
        };
        previous = Some(std::mem::replace(slot, Arc::new(reduced)));
    }
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::*;

    fn histogram(buckets: [f64; 2], hint: CounterResetHint) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            counter_reset_hint: hint,
            count: buckets.iter().sum(),
            sum: 1.5,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: buckets.to_vec(),
            ..FloatHistogram::default()
        })
    }

    #[test]
    fn resets_seen_in_buckets_alone_are_kept_as_hints() {
        let mut samples = SampleColumns::default();
        samples.push_histogram(1, histogram([1.0, 2.0], CounterResetHint::Unknown));
        samples.push_histogram(2, histogram([2.0, 2.0], CounterResetHint::Unknown));
        // More observations in all, but fewer in the first bucket.
        samples.push_histogram(3, histogram([1.0, 9.0], CounterResetHint::Unknown));
        samples.push_float(4, 7.0);
        samples.push_histogram(5, histogram([1.0, 9.0], CounterResetHint::Gauge));
        drop_buckets(&mut samples);
        let hints: Vec<_> = samples.histograms.iter().flatten().map(|h| h.counter_reset_hint).collect();
        use CounterResetHint::*;
        assert_eq!(hints, [Unknown, NotCounterReset, CounterReset, Gauge]);
        let last = samples.histogram(4).unwrap();
        assert_eq!((last.count, last.sum, last.positive_buckets.len()), (10.0, 1.5, 0));
    }
}
