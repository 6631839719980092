//! One metric: its labels and its value of any type.

use model::{CounterResetHint, FloatHistogram, Histogram, MetricType, Span};

use super::message::{Label, has_timestamp, timestamp_ms};
use super::reader::{Fields, Value};
use crate::exposition::ParseError;
use crate::exposition::nhcb::{ClassicHistogram, NativeHistogram};

/// The type of a family as encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MetricKind {
    #[default]
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
    Other(u64),
}

impl MetricKind {
    pub fn of(number: u64) -> Self {
        match number {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Summary,
            3 => Self::Untyped,
            4 => Self::Histogram,
            5 => Self::GaugeHistogram,
            other => Self::Other(other),
        }
    }

    pub fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Summary => MetricType::Summary,
            Self::Histogram => MetricType::Histogram,
            Self::GaugeHistogram => MetricType::GaugeHistogram,
            Self::Untyped | Self::Other(_) => MetricType::Unknown,
        }
    }

    /// The field of a metric that holds values of this type.
    fn field(self) -> u64 {
        match self {
            Self::Gauge => 2,
            Self::Counter => 3,
            Self::Summary => 4,
            Self::Untyped | Self::Other(_) => 5,
            Self::Histogram | Self::GaugeHistogram => 7,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Quantile {
    pub quantile: f64,
    pub value: f64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket<'a> {
    pub upper_bound: f64,
    whole_count: u64,
    float_count: f64,
    pub exemplar: Option<&'a [u8]>,
}

impl Bucket<'_> {
    /// The cumulative count.
    pub fn count(&self) -> f64 {
        if self.float_count == 0.0 { self.whole_count as f64 } else { self.float_count }
    }
}

/// A metric, decoded into buffers that the next one reuses.
#[derive(Debug, Default)]
pub(super) struct Metric<'a> {
    pub labels: Vec<Label<'a>>,
    pub timestamp_ms: i64,
    pub start_ms: i64,
    pub value: f64,
    pub sum: f64,
    whole_count: u64,
    float_count: f64,
    pub exemplar: Option<&'a [u8]>,
    pub quantiles: Vec<Quantile>,
    pub buckets: Vec<Bucket<'a>>,
    schema: i32,
    zero_threshold: f64,
    whole_zero_count: u64,
    float_zero_count: f64,
    negative: Side,
    positive: Side,
    exemplars: Vec<&'a [u8]>,
}

/// The native buckets of one sign.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl Side {
    fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }

    fn push_span(&mut self, message: &[u8]) -> Result<(), ParseError> {
        let mut span = Span::default();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => span.offset = value.sint()? as i32,
                2 => span.length = value.uint()? as u32,
                _ => {}
            }
        }
        self.spans.push(span);
        Ok(())
    }

    fn check(&self, side: &str, buckets: usize) -> Result<(), String> {
        let required: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        if required == buckets as u64 {
            return Ok(());
        }
        Err(format!("{side} side: spans require {required} buckets, have {buckets}"))
    }
}

impl<'a> Metric<'a> {
    fn clear(&mut self) {
        self.labels.clear();
        (self.timestamp_ms, self.start_ms, self.schema) = (0, 0, 0);
        (self.value, self.sum, self.float_count, self.float_zero_count) = (0.0, 0.0, 0.0, 0.0);
        (self.whole_count, self.whole_zero_count, self.zero_threshold) = (0, 0, 0.0);
        self.exemplar = None;
        self.quantiles.clear();
        self.buckets.clear();
        self.negative.clear();
        self.positive.clear();
        self.exemplars.clear();
    }

    /// Overwrites this metric with the encoded one of a family of type `kind`.
    pub fn decode(&mut self, message: &'a [u8], kind: MetricKind) -> Result<(), ParseError> {
        self.clear();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.labels.push(Label::decode(value.bytes()?)?),
                6 => self.timestamp_ms = value.uint()? as i64,
                number if number == kind.field() => match kind {
                    MetricKind::Summary => self.decode_summary(value.bytes()?)?,
                    MetricKind::Histogram | MetricKind::GaugeHistogram => {
                        self.decode_histogram(value.bytes()?)?
                    }
                    _ => self.decode_value(value.bytes()?)?,
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn decode_value(&mut self, message: &'a [u8]) -> Result<(), ParseError> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.value = value.double()?,
                2 => self.exemplar = Some(value.bytes()?),
                3 => self.start_ms = timestamp_ms(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn decode_summary(&mut self, message: &'a [u8]) -> Result<(), ParseError> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.whole_count = value.uint()?,
                2 => self.sum = value.double()?,
                3 => {
                    let mut quantile = Quantile { quantile: 0.0, value: 0.0 };
                    let mut parts = Fields::of(value.bytes()?);
                    while let Some((number, value)) = parts.next()? {
                        match number {
                            1 => quantile.quantile = value.double()?,
                            2 => quantile.value = value.double()?,
                            _ => {}
                        }
                    }
                    self.quantiles.push(quantile);
                }
                4 => self.start_ms = timestamp_ms(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn decode_histogram(&mut self, message: &'a [u8]) -> Result<(), ParseError> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.whole_count = value.uint()?,
                2 => self.sum = value.double()?,
                3 => self.buckets.push(decode_bucket(value)?),
                4 => self.float_count = value.double()?,
                5 => self.schema = value.sint()? as i32,
                6 => self.zero_threshold = value.double()?,
                7 => self.whole_zero_count = value.uint()?,
                8 => self.float_zero_count = value.double()?,
                9 => self.negative.push_span(value.bytes()?)?,
                10 => value.push_sints(&mut self.negative.deltas)?,
                11 => value.push_doubles(&mut self.negative.counts)?,
                12 => self.positive.push_span(value.bytes()?)?,
                13 => value.push_sints(&mut self.positive.deltas)?,
                14 => value.push_doubles(&mut self.positive.counts)?,
                15 => self.start_ms = timestamp_ms(value.bytes()?)?,
                16 => self.exemplars.push(value.bytes()?),
                _ => {}
            }
        }
        Ok(())
    }

    /// The count of a summary or histogram.
    pub fn count(&self) -> f64 {
        if self.float_count == 0.0 { self.whole_count as f64 } else { self.float_count }
    }

    /// Whether there is a native part. Without observations a client marks one by an empty span.
    pub fn is_native_histogram(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.whole_zero_count > 0
    }

    /// The native histogram; fails if spans and buckets do not fit together.
    pub fn native_histogram(&self, is_gauge: bool) -> Result<NativeHistogram, String> {
        let counter_reset_hint = if is_gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
        let (positive, negative) = (&self.positive, &self.negative);
        if self.float_count > 0.0 || self.float_zero_count > 0.0 {
            positive.check("positive", positive.counts.len())?;
            negative.check("negative", negative.counts.len())?;
            let mut histogram = FloatHistogram {
                counter_reset_hint,
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                zero_count: self.float_zero_count,
                count: self.float_count,
                sum: self.sum,
                positive_spans: positive.spans.clone(),
                negative_spans: negative.spans.clone(),
                positive_buckets: positive.counts.clone(),
                negative_buckets: negative.counts.clone(),
                custom_values: None,
            };
            histogram.compact(0);
            return Ok(NativeHistogram::Float(histogram));
        }
        positive.check("positive", positive.deltas.len())?;
        negative.check("negative", negative.deltas.len())?;
        let mut histogram = Histogram {
            counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.whole_zero_count,
            count: self.whole_count,
            sum: self.sum,
            positive_spans: positive.spans.clone(),
            negative_spans: negative.spans.clone(),
            positive_buckets: positive.deltas.clone(),
            negative_buckets: negative.deltas.clone(),
            custom_values: None,
        };
        histogram.compact(0);
        Ok(NativeHistogram::Integer(histogram))
    }

    /// The classic buckets as a native histogram with custom buckets.
    pub fn converted(
        &self,
        classic: &mut ClassicHistogram,
        is_gauge: bool,
    ) -> Result<NativeHistogram, &'static str> {
        classic.clear();
        classic.set_count(self.count());
        classic.set_sum(self.sum);
        for bucket in &self.buckets {
            classic.set_bucket(bucket.upper_bound, bucket.count());
        }
        let mut native = classic.convert()?;
        if is_gauge {
            match &mut native {
                NativeHistogram::Integer(histogram) => histogram.counter_reset_hint = CounterResetHint::Gauge,
                NativeHistogram::Float(histogram) => histogram.counter_reset_hint = CounterResetHint::Gauge,
            }
        }
        Ok(native)
    }

    /// The first exemplar at or after position `from` that has a timestamp, and the position after it. A
    /// native histogram has its own; where it has none, those of the classic buckets count.
    pub fn timed_exemplar(&self, from: usize, own: bool) -> Option<(&'a [u8], usize)> {
        let timed = |message: &&'a [u8]| has_timestamp(message).unwrap_or(false);
        let find = |all: &mut dyn Iterator<Item = (usize, &'a [u8])>| {
            all.skip(from).find(|(_, message)| timed(message)).map(|(at, message)| (message, at + 1))
        };
        if own && !self.exemplars.is_empty() {
            return find(&mut self.exemplars.iter().copied().enumerate());
        }
        find(&mut self.buckets.iter().map(|bucket| bucket.exemplar.unwrap_or_default()).enumerate())
    }
}

fn decode_bucket(value: Value<'_>) -> Result<Bucket<'_>, ParseError> {
    let mut bucket = Bucket::default();
    let mut fields = Fields::of(value.bytes()?);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => bucket.whole_count = value.uint()?,
            2 => bucket.upper_bound = value.double()?,
            3 => bucket.exemplar = Some(value.bytes()?),
            4 => bucket.float_count = value.double()?,
            _ => {}
        }
    }
    Ok(bucket)
}
