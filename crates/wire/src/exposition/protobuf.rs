//! The protobuf format: `io.prometheus.client.MetricFamily` messages, each with its length before it.
//!
//! One metric at a time is decoded into reused buffers; families are never held as a whole.

mod message;
mod metric;
mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use model::{Exemplar, METRIC_NAME, MetricType};

use self::message::Family;
use self::metric::{Metric, MetricKind};
use super::error::ParseError;
use super::nhcb::{ClassicHistogram, NativeHistogram};
use super::raw_labels::RawLabels;
use super::series::FamilyLabels;
use super::{Entry, Exposition, HistogramSample, KnownSeries, ParseOptions};
use crate::number::open_metrics_float;

/// A parser of delimited protobuf.
#[derive(Debug)]
pub struct ProtobufParser<'a> {
    body: &'a [u8],
    pos: usize,
    family: Family<'a>,
    /// How much of the family's metrics is read.
    family_pos: usize,
    metric: Metric<'a>,
    state: State,
    /// Stands for the series of the current sample.
    key: Vec<u8>,
    native: Option<NativeHistogram>,
    classic: ClassicHistogram,
    exemplars_taken: usize,
    options: ParseOptions,
}

/// Where in a family the parser stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    BeforeFamily,
    Help,
    Unit,
    Type,
    Sample(Part),
}

/// Which sample of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    /// The one value of a counter, gauge or untyped metric.
    Only,
    /// The native histogram.
    Native,
    /// The native histogram made of the classic buckets.
    Converted,
    Count,
    Sum,
    /// A bucket, or one past the last: the bucket of `+Inf` that was left out.
    Bucket(usize),
    Quantile(usize),
}

impl<'a> ProtobufParser<'a> {
    /// A parser of `body`.
    pub fn new(body: &'a [u8], options: &ParseOptions) -> Self {
        Self {
            body,
            pos: 0,
            family: Family::default(),
            family_pos: 0,
            metric: Metric::default(),
            state: State::BeforeFamily,
            key: Vec::new(),
            native: None,
            classic: ClassicHistogram::default(),
            exemplars_taken: 0,
            options: options.clone(),
        }
    }

    /// Moves to the next family that has metrics; false at the end.
    fn next_family(&mut self) -> Result<bool, ParseError> {
        while self.pos < self.body.len() {
            let (message, end) = message::delimited(self.body, self.pos)?;
            self.pos = end;
            let family = Family::decode(message)?;
            if family.has_metrics {
                family.check()?;
                self.family = family;
                self.family_pos = 0;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Decodes the next metric of the family; false if there is none.
    fn next_metric(&mut self) -> Result<bool, ParseError> {
        let Some(message) = self.family.next_metric(&mut self.family_pos)? else { return Ok(false) };
        self.metric.decode(message, self.family.kind)?;
        Ok(true)
    }

    fn is_native(&self) -> bool {
        !self.options.ignore_native_histograms && self.metric.is_native_histogram()
    }

    /// The first sample of the metric.
    fn first_part(&self) -> Part {
        match self.family.kind {
            MetricKind::Counter | MetricKind::Gauge | MetricKind::Untyped => Part::Only,
            MetricKind::Summary => Part::Count,
            _ if self.is_native() => Part::Native,
            _ if self.options.convert_classic_to_nhcb && !self.options.keep_classic => Part::Converted,
            _ => Part::Count,
        }
    }

    /// The sample after `part`, if the metric has one.
    fn part_after(&self, part: Part) -> Option<Part> {
        let converts = self.options.convert_classic_to_nhcb && !self.is_native();
        let after_classic = || converts.then_some(Part::Converted);
        match part {
            Part::Only | Part::Converted => None,
            Part::Native => {
                (self.options.keep_classic && !self.metric.buckets.is_empty()).then_some(Part::Count)
            }
            Part::Count => Some(Part::Sum),
            Part::Sum if self.family.kind == MetricKind::Summary => {
                (!self.metric.quantiles.is_empty()).then_some(Part::Quantile(0))
            }
            Part::Sum => Some(Part::Bucket(0)),
            Part::Quantile(at) => (at + 1 < self.metric.quantiles.len()).then_some(Part::Quantile(at + 1)),
            Part::Bucket(at) => match self.metric.buckets.get(at) {
                Some(bucket) if bucket.upper_bound != f64::INFINITY => Some(Part::Bucket(at + 1)),
                _ => after_classic(),
            },
        }
    }

    /// Stands on `part` of the metric.
    fn enter(&mut self, part: Part) -> Result<Entry, ParseError> {
        self.exemplars_taken = 0;
        self.native = None;
        self.state = State::Sample(part);
        match part {
            Part::Native => {
                let native = self.metric.native_histogram(self.family.is_gauge_histogram());
                let name = self.family.name;
                self.native =
                    Some(native.map_err(|error| ParseError::other(format!("histogram {name:?}: {error}")))?);
            }
            Part::Converted => {
                let is_gauge = self.family.is_gauge_histogram();
                self.native =
                    Some(self.metric.converted(&mut self.classic, is_gauge).map_err(ParseError::other)?);
            }
            _ => {}
        }
        self.write_key(part);
        Ok(if self.native.is_some() { Entry::Histogram } else { Entry::Series })
    }

    fn suffix(&self, part: Part) -> &'static str {
        match part {
            Part::Count => "_count",
            Part::Sum => "_sum",
            Part::Bucket(_) => "_bucket",
            Part::Only | Part::Native | Part::Converted | Part::Quantile(_) => "",
        }
    }

    /// The bound that distinguishes the sample from others of its metric.
    fn bound(&self, part: Part) -> Option<(&'static str, f64)> {
        match part {
            Part::Bucket(at) => {
                Some(("le", self.metric.buckets.get(at).map_or(f64::INFINITY, |b| b.upper_bound)))
            }
            Part::Quantile(at) => self.metric.quantiles.get(at).map(|q| ("quantile", q.quantile)),
            _ => None,
        }
    }

    /// Name, suffix, labels as encoded, and bound: all that tells the series from others.
    fn write_key(&mut self, part: Part) {
        let (suffix, bound) = (self.suffix(part), self.bound(part));
        let key = &mut self.key;
        key.clear();
        key.extend_from_slice(self.family.name.as_bytes());
        key.push(0xff);
        key.extend_from_slice(suffix.as_bytes());
        for label in &self.metric.labels {
            for text in [label.name, label.value] {
                key.push(0xff);
                key.extend_from_slice(text.as_bytes());
            }
        }
        if let Some((name, value)) = bound {
            key.extend_from_slice(&[0xff, 0xff, name.as_bytes()[0]]);
            key.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        if part == Part::Native || part == Part::Converted {
            key.push(0xfe);
        }
    }

    /// The next entry within or after the current metric.
    fn advance(&mut self, part: Option<Part>) -> Result<Option<Entry>, ParseError> {
        if let Some(next) = part.and_then(|part| self.part_after(part)) {
            return self.enter(next).map(Some);
        }
        if self.next_metric()? {
            let first = self.first_part();
            return self.enter(first).map(Some);
        }
        if self.next_family()? {
            self.state = State::Help;
            return Ok(Some(Entry::Help));
        }
        self.state = State::BeforeFamily;
        Ok(None)
    }
}

impl Exposition for ProtobufParser<'_> {
    fn next<K: KnownSeries>(&mut self, _: &mut K) -> Result<Option<Entry>, ParseError> {
        match self.state {
            State::BeforeFamily => self.advance(None),
            State::Help if !self.family.unit.is_empty() => {
                self.state = State::Unit;
                Ok(Some(Entry::Unit))
            }
            State::Help | State::Unit => {
                self.state = State::Type;
                Ok(Some(Entry::Type))
            }
            State::Type => self.advance(None),
            State::Sample(part) => self.advance(Some(part)),
        }
    }

    fn family_name(&self) -> Cow<'_, str> {
        self.family.name.into()
    }

    fn metric_type(&self) -> MetricType {
        self.family.kind.metric_type()
    }

    fn help(&self) -> Cow<'_, str> {
        self.family.help.into()
    }

    fn unit(&self) -> &str {
        self.family.unit
    }

    fn comment(&self) -> &[u8] {
        &[]
    }

    fn series(&self) -> &[u8] {
        &self.key
    }

    fn value(&self) -> f64 {
        let State::Sample(part) = self.state else { return 0.0 };
        match part {
            Part::Only => self.metric.value,
            Part::Count => self.metric.count(),
            Part::Sum => self.metric.sum,
            Part::Quantile(at) => self.metric.quantiles.get(at).map_or(0.0, |q| q.value),
            Part::Bucket(at) => match self.metric.buckets.get(at) {
                Some(bucket) => bucket.count(),
                None => self.metric.count(),
            },
            Part::Native | Part::Converted => 0.0,
        }
    }

    fn timestamp_ms(&self) -> Option<i64> {
        // Clients that set no timestamp may still encode a zero.
        Some(self.metric.timestamp_ms).filter(|&t| t != 0)
    }

    fn histogram(&self) -> Option<HistogramSample<'_>> {
        self.native.as_ref().map(NativeHistogram::as_sample)
    }

    fn labels_into(&self, out: &mut RawLabels) {
        out.clear();
        let State::Sample(part) = self.state else { return };
        let name = format!("{}{}", self.family.name, self.suffix(part));
        let added = self.options.type_and_unit_labels;
        let family = FamilyLabels { metric_type: self.metric_type(), unit: self.family.unit, added };
        out.push(METRIC_NAME, &name);
        family.push_metadata(out);
        for label in &self.metric.labels {
            if !family.overrides(label.name) {
                out.push(label.name, label.value);
            }
        }
        if let Some((name, value)) = self.bound(part) {
            out.push(name, &open_metrics_float(value));
        }
    }

    fn next_exemplar(&mut self) -> Option<Exemplar> {
        let State::Sample(part) = self.state else { return None };
        let taken = self.exemplars_taken;
        let message = match part {
            Part::Only => self.metric.exemplar.filter(|_| taken == 0),
            Part::Bucket(at) => self.metric.buckets.get(at).and_then(|b| b.exemplar).filter(|_| taken == 0),
            Part::Native | Part::Converted => {
                // Without a timestamp, exemplars of a histogram could not be told apart later.
                let (message, next) = self.metric.timed_exemplar(taken, part == Part::Native)?;
                self.exemplars_taken = next;
                return message::exemplar(message).ok();
            }
            Part::Count | Part::Sum | Part::Quantile(_) => None,
        };
        self.exemplars_taken = 1;
        message::exemplar(message?).ok()
    }

    fn start_timestamp_ms(&mut self) -> i64 {
        self.metric.start_ms
    }
}
