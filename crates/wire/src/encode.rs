//! Writing the exposition formats: our own metrics, and samples for federation.

mod open_metrics;
pub(crate) mod protobuf;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

use base::metrics::{Family, Kind, Point, Value};
use model::{CounterResetHint, FloatHistogram, Labels, METRIC_NAME};

use crate::negotiate::{Format, Negotiated};

/// One metric as the writers take it.
#[derive(Debug, Clone)]
struct Metric<'a> {
    labels: Vec<(Cow<'a, str>, &'a str)>,
    timestamp_ms: Option<i64>,
    value: MetricValue<'a>,
}

#[derive(Debug, Clone)]
enum MetricValue<'a> {
    Number(f64),
    /// Cumulative counts by upper bound, without `+Inf`.
    Classic {
        buckets: Cow<'a, [(f64, f64)]>,
        sum: f64,
        count: f64,
    },
    Summary {
        quantiles: &'a [(f64, f64)],
        sum: f64,
        count: u64,
    },
    /// Only protobuf can express it.
    Native(&'a FloatHistogram),
}

/// A metric name with what all its metrics share.
#[derive(Debug, Clone)]
struct Head<'a> {
    name: Cow<'a, str>,
    /// Absent in federation, where it is not known.
    help: Option<&'a str>,
    kind: HeadKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadKind {
    Counter,
    Gauge,
    Untyped,
    Summary,
    Histogram,
    GaugeHistogram,
}

impl From<Kind> for HeadKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Histogram => Self::Histogram,
            Kind::Summary => Self::Summary,
            Kind::Untyped => Self::Untyped,
        }
    }
}

/// A sample offered for federation.
#[derive(Debug, Clone)]
pub struct FederatedSample {
    /// The labels of the series; without a metric name it is left out.
    pub labels: Labels,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The value.
    pub value: FederatedValue,
}

/// The value of a [`FederatedSample`].
#[derive(Debug, Clone)]
pub enum FederatedValue {
    /// A float.
    Float(f64),
    /// A histogram. The text formats carry only those with custom buckets, as classic ones.
    Histogram(std::sync::Arc<FloatHistogram>),
}

/// Writes families in a negotiated format. Call [`Encoder::finish`] after the last.
#[derive(Debug, Clone, Copy)]
pub struct Encoder {
    negotiated: Negotiated,
}

impl Encoder {
    /// A writer of this format and escaping.
    pub fn new(negotiated: Negotiated) -> Self {
        Self { negotiated }
    }

    /// Appends our own families.
    pub fn families(&self, families: &[Family], out: &mut Vec<u8>) {
        for family in families {
            let name = self.negotiated.escaping.apply(&family.name);
            let head = Head { name, help: Some(&family.help), kind: family.kind.into() };
            let metrics: Vec<_> = family.points.iter().map(|point| self.point(point)).collect();
            self.write(&head, &metrics, out);
        }
    }

    /// Appends samples for federation, with `external_labels` where a series has no such label of its own.
    /// A missing `instance` label is written as an empty one, so that a scrape that honours labels does
    /// not take the instance of this server for that of the series.
    pub fn federation(
        &self,
        samples: &[FederatedSample],
        external_labels: &[(String, String)],
        out: &mut Vec<u8>,
    ) {
        let mut external: Vec<(&str, &str)> =
            external_labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if external.iter().all(|(name, _)| *name != "instance") {
            external.push(("instance", ""));
        }
        external.sort_unstable();
        let mut order: Vec<&FederatedSample> = samples.iter().filter(|s| self.can_federate(s)).collect();
        order.sort_by(|a, b| a.labels.metric_name().cmp(b.labels.metric_name()));
        let head_of = |sample: &FederatedSample| {
            let kind = match &sample.value {
                FederatedValue::Float(_) => HeadKind::Untyped,
                FederatedValue::Histogram(h) if h.counter_reset_hint == CounterResetHint::Gauge => {
                    HeadKind::GaugeHistogram
                }
                FederatedValue::Histogram(_) => HeadKind::Histogram,
            };
            (sample.labels.metric_name().to_owned(), kind)
        };
        for group in order.chunk_by(|a, b| head_of(a) == head_of(b)) {
            let (name, kind) = head_of(group[0]);
            let head = Head { name: self.negotiated.escaping.apply(&name), help: None, kind };
            let metrics: Vec<_> = group.iter().map(|sample| self.federated(sample, &external)).collect();
            self.write(&head, &metrics, out);
        }
    }

    /// Appends what ends an exposition.
    pub fn finish(&self, out: &mut Vec<u8>) {
        if matches!(self.negotiated.format, Format::OpenMetrics0_0_1 | Format::OpenMetrics1_0_0) {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    fn can_federate(&self, sample: &FederatedSample) -> bool {
        let expressible = match &sample.value {
            FederatedValue::Float(value) => !model::is_stale_nan(*value),
            FederatedValue::Histogram(histogram) => {
                !histogram.is_stale()
                    && (histogram.uses_custom_buckets() || self.negotiated.format == Format::Protobuf)
            }
        };
        expressible && !sample.labels.metric_name().is_empty()
    }

    fn federated<'a>(&self, sample: &'a FederatedSample, external: &[(&'a str, &'a str)]) -> Metric<'a> {
        let escaping = self.negotiated.escaping;
        let own = sample.labels.iter().filter(|(name, _)| *name != METRIC_NAME);
        let missing = external.iter().copied().filter(|(name, _)| sample.labels.get(name).is_none());
        let labels = own.chain(missing).map(|(name, value)| (escaping.apply(name), value)).collect();
        let value = match &sample.value {
            FederatedValue::Float(value) => MetricValue::Number(*value),
            FederatedValue::Histogram(histogram) if histogram.uses_custom_buckets() => classic_of(histogram),
            FederatedValue::Histogram(histogram) => MetricValue::Native(histogram),
        };
        Metric { labels, timestamp_ms: Some(sample.timestamp_ms), value }
    }

    fn point<'a>(&self, point: &'a Point) -> Metric<'a> {
        let escaping = self.negotiated.escaping;
        let labels =
            point.labels.iter().map(|(name, value)| (escaping.apply(name), value.as_str())).collect();
        let value = match &point.value {
            Value::Number(value) => MetricValue::Number(*value),
            Value::Histogram { buckets, sum, count } => MetricValue::Classic {
                buckets: buckets.iter().map(|&(bound, count)| (bound, count as f64)).collect(),
                sum: *sum,
                count: *count as f64,
            },
            Value::Summary { quantiles, sum, count } => {
                MetricValue::Summary { quantiles, sum: *sum, count: *count }
            }
        };
        Metric { labels, timestamp_ms: None, value }
    }

    fn write(&self, head: &Head<'_>, metrics: &[Metric<'_>], out: &mut Vec<u8>) {
        match self.negotiated.format {
            Format::Text0_0_4 | Format::Text1_0_0 => text::write(head, metrics, out),
            Format::OpenMetrics0_0_1 | Format::OpenMetrics1_0_0 => open_metrics::write(head, metrics, out),
            Format::Protobuf => protobuf::write(head, metrics, out),
        }
    }
}

/// A histogram with custom buckets as a classic one.
fn classic_of(histogram: &FloatHistogram) -> MetricValue<'_> {
    let mut own = vec![0.0; histogram.custom_bounds().len() + 1];
    let mut at = 0usize;
    let mut counts = histogram.positive_buckets.iter();
    for span in &histogram.positive_spans {
        at = at.saturating_add_signed(span.offset as isize);
        for _ in 0..span.length {
            if let (Some(slot), Some(count)) = (own.get_mut(at), counts.next()) {
                *slot = *count;
            }
            at += 1;
        }
    }
    let mut cumulative = 0.0;
    let buckets = histogram.custom_bounds().iter().zip(own).map(|(&bound, count)| {
        cumulative += count;
        (bound, cumulative)
    });
    MetricValue::Classic { buckets: buckets.collect(), sum: histogram.sum, count: histogram.count }
}
