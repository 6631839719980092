//! Start timestamps for counters whose targets tell none.
//!
//! The first sample of a series is not stored: its time becomes the start, and its value is subtracted
//! from all that follow, until a counter reset gives a new start. Increases stay what they were, and each
//! is known to have begun at zero.

use std::borrow::Cow;
use std::collections::HashMap;

use model::{FloatHistogram, Histogram, MetricType};

use super::cache::SeriesKey;
use super::ingest::Value;

/// Whether series of this name in a family of this type only go up.
pub(super) fn is_cumulative(series: &str, metric_type: MetricType) -> bool {
    match metric_type {
        MetricType::Counter | MetricType::Histogram => true,
        // The quantiles of a summary go up and down.
        MetricType::Summary => series.ends_with("_count") || series.ends_with("_sum"),
        _ => false,
    }
}

/// The starts of a target's cumulative series.
#[derive(Debug, Default)]
pub(super) struct Starts {
    series: HashMap<SeriesKey, Start>,
    iteration: u64,
}

#[derive(Debug)]
struct Start {
    start_ms: i64,
    last_ms: i64,
    /// Whether the sample now at hand is the first to be stored.
    is_unused: bool,
    progress: Progress,
    seen: u64,
}

/// The value seen last, and the one to subtract.
#[derive(Debug)]
enum Progress {
    Float { previous: f64, base: f64 },
    Histogram(Box<Histograms>),
}

#[derive(Debug)]
struct Histograms {
    previous: FloatHistogram,
    base: Option<FloatHistogram>,
}

/// What is stored of a sample.
#[derive(Debug)]
pub(super) struct Started<'a> {
    pub value: Value<'a>,
    pub start_ms: i64,
    /// No sample of the series was stored before.
    pub is_first: bool,
}

/// The sample is older than one the series has had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overtaken;

impl Starts {
    pub fn contains(&self, key: SeriesKey) -> bool {
        self.series.contains_key(&key)
    }

    /// Begins a series with a sample that is not stored.
    pub fn begin(&mut self, key: SeriesKey, value: &Value<'_>, t_ms: i64) {
        let progress = Progress::begin(value);
        let seen = self.iteration;
        self.series.insert(key, Start { start_ms: t_ms, last_ms: t_ms, is_unused: true, progress, seen });
    }

    /// The next sample of a series that has begun; `None` for others.
    pub fn advance<'a>(
        &mut self,
        key: SeriesKey,
        value: Value<'a>,
        t_ms: i64,
    ) -> Option<Result<Started<'a>, Overtaken>> {
        let start = self.series.get_mut(&key)?;
        start.seen = self.iteration;
        if t_ms < start.last_ms {
            return Some(Err(Overtaken));
        }
        start.last_ms = t_ms;
        let (value, was_reset) = start.progress.advance(value);
        if was_reset {
            // It happened at some time since the sample before: the latest is the least risky guess.
            start.start_ms = t_ms - 1;
        }
        let is_first = std::mem::replace(&mut start.is_unused, false);
        Some(Ok(Started { value, start_ms: start.start_ms, is_first }))
    }

    /// The series begins anew with its next sample: one of its samples was not stored.
    pub fn forget(&mut self, key: SeriesKey) {
        self.series.remove(&key);
    }

    /// Ends a scrape; series that a success did not show are forgotten.
    pub fn finish(&mut self, succeeded: bool) {
        if self.series.is_empty() {
            return;
        }
        if succeeded {
            let iteration = self.iteration;
            self.series.retain(|_, start| start.seen == iteration);
        }
        self.iteration += 1;
    }
}

impl Progress {
    fn begin(value: &Value<'_>) -> Self {
        let histogram = |previous: FloatHistogram| {
            let base = Some(previous.clone());
            Self::Histogram(Box::new(Histograms { previous, base }))
        };
        match value {
            Value::Float(value) => Self::Float { previous: *value, base: *value },
            Value::Histogram(value) => histogram(value.to_float()),
            Value::FloatHistogram(value) => histogram(value.clone().into_owned()),
        }
    }

    /// The value to store, and whether there was a counter reset.
    fn advance<'a>(&mut self, value: Value<'a>) -> (Value<'a>, bool) {
        match (&mut *self, value) {
            (Self::Float { previous, base }, Value::Float(value)) => {
                let was_reset = value < *previous;
                if was_reset {
                    *base = 0.0;
                }
                *previous = value;
                (Value::Float(value - *base), was_reset)
            }
            (Self::Histogram(seen), Value::Histogram(value)) => {
                let was_reset = seen.replace(value.to_float());
                let value = match seen.without_base() {
                    Some(rest) => Cow::Owned(to_integer(&rest, &value)),
                    None => value,
                };
                (Value::Histogram(value), was_reset)
            }
            (Self::Histogram(seen), Value::FloatHistogram(value)) => {
                let was_reset = seen.replace(value.clone().into_owned());
                let value = seen.without_base().map_or(value, Cow::Owned);
                (Value::FloatHistogram(value), was_reset)
            }
            // The series turned from a number into a histogram or back: nothing is left of what it was.
            (progress, value) => {
                *progress = match Self::begin(&value) {
                    Self::Float { previous, .. } => Self::Float { previous, base: 0.0 },
                    Self::Histogram(mut seen) => {
                        seen.base = None;
                        Self::Histogram(seen)
                    }
                };
                (value, true)
            }
        }
    }
}

impl Histograms {
    /// Makes `now` the histogram seen last; true on a counter reset, after which nothing is subtracted.
    fn replace(&mut self, now: FloatHistogram) -> bool {
        let was_reset = now.detect_reset(&self.previous);
        if was_reset {
            self.base = None;
        }
        self.previous = now;
        was_reset
    }

    /// The histogram seen last without the base, if there is one that can be subtracted.
    fn without_base(&self) -> Option<FloatHistogram> {
        let mut rest = self.previous.clone();
        rest.sub(self.base.as_ref()?).ok()?;
        rest.compact(0);
        Some(rest)
    }
}

/// A difference of integer histograms as one. Counts beyond 2^53 are rounded.
fn to_integer(rest: &FloatHistogram, like: &Histogram) -> Histogram {
    let deltas = |counts: &[f64]| {
        let mut before = 0_i64;
        let delta = |&count: &f64| {
            let count = count as i64;
            count - std::mem::replace(&mut before, count)
        };
        counts.iter().map(delta).collect()
    };
    Histogram {
        counter_reset_hint: like.counter_reset_hint,
        schema: rest.schema,
        zero_threshold: rest.zero_threshold,
        zero_count: rest.zero_count as u64,
        count: rest.count as u64,
        sum: rest.sum,
        positive_spans: rest.positive_spans.clone(),
        negative_spans: rest.negative_spans.clone(),
        positive_buckets: deltas(&rest.positive_buckets),
        negative_buckets: deltas(&rest.negative_buckets),
        custom_values: rest.custom_values.clone(),
    }
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::*;

    const KEY: SeriesKey = SeriesKey([1, 2]);

    fn floats(samples: &[(i64, f64)]) -> Vec<Option<(i64, f64)>> {
        let mut starts = Starts::default();
        let store = |&(t_ms, value): &(i64, f64)| {
            let stored = starts.advance(KEY, Value::Float(value), t_ms);
            starts.iteration += 1;
            let Some(stored) = stored else {
                starts.begin(KEY, &Value::Float(value), t_ms);
                return None;
            };
            let Ok(Started { start_ms, value: Value::Float(value), .. }) = stored else {
                panic!("{stored:?}")
            };
            Some((start_ms, value))
        };
        samples.iter().map(store).collect()
    }

    fn histogram(count: u64, buckets: &[i64]) -> Histogram {
        let positive_spans = vec![Span { offset: 0, length: buckets.len() as u32 }];
        let positive_buckets = buckets.to_vec();
        Histogram { count, sum: count as f64, positive_spans, positive_buckets, ..Histogram::default() }
    }

    #[test]
    fn floats_count_from_their_first_sample_and_from_zero_after_a_reset() {
        assert_eq!(
            floats(&[(1000, 5.0), (2000, 7.0), (3000, 7.0), (4000, 2.0), (5000, 6.0)]),
            [None, Some((1000, 2.0)), Some((1000, 2.0)), Some((3999, 2.0)), Some((3999, 6.0))]
        );
    }

    #[test]
    fn histograms_lose_what_they_had_at_first() {
        let mut starts = Starts::default();
        let own = |histogram: Histogram| Value::Histogram(Cow::Owned(histogram));
        starts.begin(KEY, &own(histogram(3, &[1, 1])), 1000);
        let mut next = |value: Histogram, t_ms| {
            let started = starts.advance(KEY, own(value), t_ms).unwrap().unwrap();
            let Value::Histogram(value) = started.value else { panic!("another kind") };
            (value.into_owned(), started.start_ms, started.is_first)
        };
        let mut rest = histogram(4, &[4]);
        rest.positive_spans = vec![Span { offset: 1, length: 1 }];
        assert_eq!(next(histogram(7, &[1, 5]), 2000), (rest, 1000, true));
        // Fewer than before: a reset, and nothing is subtracted from then on.
        assert_eq!(next(histogram(2, &[1, 0]), 3000), (histogram(2, &[1, 0]), 2999, false));
        assert_eq!(next(histogram(4, &[2, 0]), 4000), (histogram(4, &[2, 0]), 2999, false));
    }

    #[test]
    fn overtaken_samples_are_refused_and_vanished_series_forgotten() {
        let mut starts = Starts::default();
        starts.begin(KEY, &Value::Float(1.0), 2000);
        let early = starts.advance(KEY, Value::Float(1.0), 1000).unwrap();
        assert_eq!(early.err(), Some(Overtaken));
        starts.finish(true);
        assert!(starts.contains(KEY));
        starts.finish(false);
        assert!(starts.contains(KEY), "a failed scrape shows nothing");
        starts.finish(true);
        assert!(!starts.contains(KEY));
    }

    #[test]
    fn only_series_that_go_up_have_a_start() {
        for (series, metric_type, expected) in [
            ("a_total", MetricType::Counter, true),
            ("h_bucket", MetricType::Histogram, true),
            ("s_sum", MetricType::Summary, true),
            ("s", MetricType::Summary, false),
            ("g", MetricType::Gauge, false),
            ("g_bucket", MetricType::GaugeHistogram, false),
            ("u", MetricType::Unknown, false),
        ] {
            assert_eq!(is_cumulative(series, metric_type), expected, "{series}");
        }
    }
}
