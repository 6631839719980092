//! Metrics this process publishes about itself.
//!
//! Instruments are cheap shared atomics that components hold; a [`Registry`] gathers them, together
//! with values computed when asked ([`Registry::collect_with`]), into [`Family`] values that the
//! `wire` crate encodes in any exposition format.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The type a metric family is published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up; its name ends in `_total` by convention.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Quantiles, sum and count.
    Summary,
    /// No type is known.
    Untyped,
}

/// All points of one metric name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The metric name, as published.
    pub name: String,
    /// One line of help.
    pub help: String,
    /// The published type.
    pub kind: Kind,
    /// The points, in insertion order.
    pub points: Vec<Point>,
}

/// One labelled value of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Label names and values, without the metric name.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: Value,
}

/// The value of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter, gauge or untyped value.
    Number(f64),
    /// A classic histogram: `(upper bound, cumulative count)` without `+Inf`, sum and count.
    Histogram {
        /// `(upper bound, cumulative count)`, ascending, without `+Inf`.
        buckets: Vec<(f64, u64)>,
        /// Sum of observations.
        sum: f64,
        /// Number of observations.
        count: u64,
    },
    /// A summary: `(quantile, value)`, sum and count.
    Summary {
        /// `(quantile, value)`, ascending.
        quantiles: Vec<(f64, f64)>,
        /// Sum of observations.
        sum: f64,
        /// Number of observations.
        count: u64,
    },
}

impl Family {
    /// A family without points.
    pub fn new(name: impl Into<String>, help: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), help: help.into(), kind, points: Vec::new() }
    }

    /// Adds a number with the labels given.
    pub fn push(&mut self, labels: &[(&str, &str)], value: f64) {
        self.points.push(Point { labels: owned(labels), value: Value::Number(value) });
    }

    /// The family with one more number.
    #[must_use]
    pub fn with(mut self, labels: &[(&str, &str)], value: f64) -> Self {
        self.push(labels, value);
        self
    }
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// A counter. Clones share the value.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A gauge of floating-point value. Clones share the value.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds `delta`, which may be negative.
    pub fn add(&self, delta: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + delta).to_bits());
        // The closure always returns a value, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    }

    /// The value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A classic histogram. Clones share the value.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<HistogramState>);

#[derive(Debug)]
struct HistogramState {
    bounds: Vec<f64>,
    counts: Vec<AtomicU64>,
    sum: Gauge,
    count: Counter,
}

impl Histogram {
    /// A histogram with these ascending upper bounds; `+Inf` is implied.
    pub fn new(bounds: &[f64]) -> Self {
        let counts = bounds.iter().map(|_| AtomicU64::new(0)).collect();
        let (sum, count) = (Gauge::default(), Counter::default());
        Self(Arc::new(HistogramState { bounds: bounds.to_vec(), counts, sum, count }))
    }

    /// Records one observation.
    pub fn observe(&self, value: f64) {
        let state = &*self.0;
        let at = state.bounds.partition_point(|&bound| bound < value);
        if let Some(bucket) = state.counts.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        state.sum.add(value);
        state.count.inc();
    }

    /// The buckets, sum and count now.
    pub fn value(&self) -> Value {
        let mut cumulative = 0;
        let counts = self.0.bounds.iter().zip(&self.0.counts);
        let buckets = counts.map(|(&bound, count)| {
            cumulative += count.load(Ordering::Relaxed);
            (bound, cumulative)
        });
        Value::Histogram { buckets: buckets.collect(), sum: self.0.sum.get(), count: self.0.count.get() }
    }
}

/// A summary over the whole life of the process: fixed quantiles over the last observations.
#[derive(Debug, Clone)]
pub struct Summary(Arc<Mutex<SummaryState>>);

#[derive(Debug)]
struct SummaryState {
    quantiles: Vec<f64>,
    recent: Vec<f64>,
    next: usize,
    sum: f64,
    count: u64,
}

/// Observations a [`Summary`] keeps to compute quantiles from.
const SUMMARY_WINDOW: usize = 512;

impl Summary {
    /// A summary that publishes these quantiles over its most recent observations.
    pub fn new(quantiles: &[f64]) -> Self {
        let (quantiles, recent) = (quantiles.to_vec(), Vec::new());
        Self(Arc::new(Mutex::new(SummaryState { quantiles, recent, next: 0, sum: 0.0, count: 0 })))
    }

    /// Records one observation.
    pub fn observe(&self, value: f64) {
        let mut state = self.0.lock();
        let at = state.next % SUMMARY_WINDOW;
        if state.recent.len() < SUMMARY_WINDOW {
            state.recent.push(value);
        } else {
            state.recent[at] = value;
        }
        state.next = at + 1;
        state.sum += value;
        state.count += 1;
    }

    /// The quantiles, sum and count now.
    pub fn value(&self) -> Value {
        let state = self.0.lock();
        let mut sorted = state.recent.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let rank = (q * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        let quantiles = state.quantiles.iter().map(|&q| (q, at(q))).collect();
        Value::Summary { quantiles, sum: state.sum, count: state.count }
    }
}

type Collect = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// The set of metrics one process publishes. Clones share the set.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Vec<Collect>>>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} sources)", self.0.lock().len())
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes families computed each time the registry is gathered.
    pub fn collect_with(&self, collect: impl Fn(&mut Vec<Family>) + Send + Sync + 'static) {
        self.0.lock().push(Box::new(collect));
    }

    /// A new counter under `name` with fixed labels.
    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        let counter = Counter::default();
        let shared = counter.clone();
        self.publish(name, help, Kind::Counter, labels, move || Value::Number(shared.get() as f64));
        counter
    }

    /// A new gauge under `name` with fixed labels.
    pub fn gauge(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        let gauge = Gauge::default();
        let shared = gauge.clone();
        self.publish(name, help, Kind::Gauge, labels, move || Value::Number(shared.get()));
        gauge
    }

    /// A new histogram under `name` with fixed labels and these upper bounds.
    pub fn histogram(&self, name: &str, help: &str, labels: &[(&str, &str)], bounds: &[f64]) -> Histogram {
        let histogram = Histogram::new(bounds);
        let shared = histogram.clone();
        self.publish(name, help, Kind::Histogram, labels, move || shared.value());
        histogram
    }

    /// A new summary under `name` with fixed labels and these quantiles.
    pub fn summary(&self, name: &str, help: &str, labels: &[(&str, &str)], quantiles: &[f64]) -> Summary {
        let summary = Summary::new(quantiles);
        let shared = summary.clone();
        self.publish(name, help, Kind::Summary, labels, move || shared.value());
        summary
    }

    fn publish(
        &self,
        name: &str,
        help: &str,
        kind: Kind,
        labels: &[(&str, &str)],
        value: impl Fn() -> Value + Send + Sync + 'static,
    ) {
        let (name, help, labels) = (name.to_owned(), help.to_owned(), owned(labels));
        self.collect_with(move |families| {
            let mut family = Family::new(name.clone(), help.clone(), kind);
            family.points.push(Point { labels: labels.clone(), value: value() });
            families.push(family);
        });
    }

    /// All families now, sorted by name, points of equal names joined.
    pub fn gather(&self) -> Vec<Family> {
        let mut families = Vec::new();
        for collect in self.0.lock().iter() {
            collect(&mut families);
        }
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families.dedup_by(|next, kept| {
            let same = next.name == kept.name;
            if same {
                kept.points.append(&mut next.points);
            }
            same
        });
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gather_joins_points_of_one_name_and_sorts_families() {
        let registry = Registry::new();
        let failed = registry.counter("b_total", "b", &[("code", "500")]);
        let ok = registry.counter("b_total", "b", &[("code", "200")]);
        registry.gauge("a", "a", &[]).set(1.5);
        failed.inc();
        ok.add(3);
        let families = registry.gather();
        assert_eq!(families.len(), 2);
        assert_eq!(families[0].points[0].value, Value::Number(1.5));
        let values: Vec<_> = families[1].points.iter().map(|p| p.value.clone()).collect();
        assert_eq!(values, [Value::Number(1.0), Value::Number(3.0)]);
    }

    #[test]
    fn histogram_buckets_are_cumulative_and_bounds_inclusive() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 2.0, 9.0] {
            histogram.observe(value);
        }
        let expected = Value::Histogram { buckets: vec![(1.0, 2), (2.0, 3)], sum: 12.5, count: 4 };
        assert_eq!(histogram.value(), expected);
    }
}
