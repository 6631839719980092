//! Classic histograms of the text formats turned into native ones with custom buckets.

use std::borrow::Cow;
use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{Exemplar, FloatHistogram, Histogram, METRIC_NAME, MetricType, Span};

use super::error::ParseError;
use super::raw_labels::RawLabels;
use super::{Entry, Exposition, HistogramSample, KnownSeries, NothingKnown, ParseOptions};
use crate::number::parse_float;

/// The parts of a classic histogram, in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct ClassicHistogram {
    /// `(upper bound, cumulative count)`, ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
    error: Option<&'static str>,
}

impl ClassicHistogram {
    pub fn clear(&mut self) {
        self.buckets.clear();
        (self.count, self.sum, self.error) = (None, 0.0, None);
    }

    pub fn set_count(&mut self, count: f64) {
        if count < 0.0 {
            self.fail("count must be non-negative");
        }
        self.count = Some(count);
    }

    pub fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    pub fn set_bucket(&mut self, bound: f64, count: f64) {
        if bound.is_nan() {
            return self.fail("bucket boundary is NaN");
        }
        if count < 0.0 {
            return self.fail("bucket count must be non-negative");
        }
        let at = self.buckets.partition_point(|&(upper, _)| upper < bound);
        if self.buckets.get(at).is_some_and(|&(upper, _)| upper == bound) {
            return;
        }
        let falls = at.checked_sub(1).is_some_and(|below| count < self.buckets[below].1);
        let exceeds = self.buckets.get(at).is_some_and(|&(_, above)| count > above);
        if falls || exceeds {
            return self.fail("count is not cumulative");
        }
        self.buckets.insert(at, (bound, count));
    }

    fn fail(&mut self, message: &'static str) {
        self.error.get_or_insert(message);
    }

    /// The native histogram: of integer counts where all are whole.
    pub fn convert(&mut self) -> Result<NativeHistogram, &'static str> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let highest = self.buckets.last().map(|&(_, count)| count);
        let count = self.count.or(highest).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|&(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let last = self.buckets[self.buckets.len() - 1].1;
        if count != last {
            return Err("count mismatch");
        }
        let whole = |count: f64| count.fract() == 0.0 && count.abs() < 9.0e18;
        if self.buckets.iter().all(|&(_, count)| whole(count)) {
            Ok(NativeHistogram::Integer(self.to_integer(count as u64)))
        } else {
            Ok(NativeHistogram::Float(self.to_float(count)))
        }
    }

    fn bounds(&self) -> Option<Arc<[f64]>> {
        Some(self.buckets[..self.buckets.len() - 1].iter().map(|&(bound, _)| bound).collect())
    }

    fn span(&self) -> Vec<Span> {
        vec![Span { offset: 0, length: u32::try_from(self.buckets.len()).unwrap_or(u32::MAX) }]
    }

    fn to_integer(&self, count: u64) -> Histogram {
        let (mut below, mut before) = (0, 0);
        let deltas = self.buckets.iter().map(|&(_, cumulative)| {
            let own = cumulative as i64 - below;
            below = cumulative as i64;
            let delta = own - before;
            before = own;
            delta
        });
        let mut histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_buckets: deltas.collect(),
            positive_spans: self.span(),
            custom_values: self.bounds(),
            ..Histogram::default()
        };
        histogram.compact(2);
        histogram
    }

    fn to_float(&self, count: f64) -> FloatHistogram {
        let mut below = 0.0;
        let own = self.buckets.iter().map(|&(_, cumulative)| {
            let own = cumulative - below;
            below = cumulative;
            own
        });
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_buckets: own.collect(),
            positive_spans: self.span(),
            custom_values: self.bounds(),
            ..FloatHistogram::default()
        };
        histogram.compact(0);
        histogram
    }
}

/// A native histogram that owns its buckets.
#[derive(Debug, Clone, PartialEq)]
pub enum NativeHistogram {
    /// Integer counts.
    Integer(Histogram),
    /// Float counts.
    Float(FloatHistogram),
}

impl NativeHistogram {
    /// A borrowed view.
    pub fn as_sample(&self) -> HistogramSample<'_> {
        match self {
            Self::Integer(histogram) => HistogramSample::Integer(histogram),
            Self::Float(histogram) => HistogramSample::Float(histogram),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Integer(histogram) => histogram.validate().is_ok(),
            Self::Float(histogram) => histogram.validate().is_ok(),
        }
    }
}

/// The native histogram with custom buckets of cumulative `(upper bound, count)` pairs in any order, sum and
/// count; fails with the reason when they do not fit together.
pub fn convert_classic_histogram(
    buckets: &[(f64, f64)],
    sum: f64,
    count: Option<f64>,
) -> Result<NativeHistogram, &'static str> {
    let mut classic = ClassicHistogram { count, sum, ..ClassicHistogram::default() };
    for &(bound, count) in buckets {
        classic.set_bucket(bound, count);
    }
    classic.convert()
}

/// Wraps a text parser and gathers the series of each classic histogram into one native sample, which
/// follows the last of them.
#[derive(Debug)]
pub struct NhcbParser<P> {
    inner: P,
    keep_classic: bool,
    wants_start: bool,
    family: String,
    gathering: bool,
    gathered: Gathered,
    classic: ClassicHistogram,
    /// The entry of the inner parser that ended a histogram and is still to be returned.
    held: Option<Option<Entry>>,
    emitting: bool,
    native: Option<NativeHistogram>,
    exemplars: std::vec::IntoIter<Exemplar>,
    labels: RawLabels,
}

/// What a histogram's series have in common.
#[derive(Debug, Default)]
struct Gathered {
    key: Vec<u8>,
    labels: RawLabels,
    timestamp_ms: Option<i64>,
    start_ms: i64,
    exemplars: Vec<Exemplar>,
}

enum ClassicPart {
    Bucket(f64),
    Sum,
    Count,
}

impl<P: Exposition> NhcbParser<P> {
    /// A converting parser around `inner`.
    pub fn new(inner: P, options: &ParseOptions) -> Self {
        Self {
            inner,
            keep_classic: options.keep_classic,
            wants_start: options.skip_created_series,
            family: String::new(),
            gathering: false,
            gathered: Gathered::default(),
            classic: ClassicHistogram::default(),
            held: None,
            emitting: false,
            native: None,
            exemplars: Vec::new().into_iter(),
            labels: RawLabels::default(),
        }
    }

    /// Which part of the current family's histogram the series is, if any.
    fn classic_part(&self) -> Option<ClassicPart> {
        if self.inner.metric_type() != MetricType::Histogram {
            return None;
        }
        match self.labels.get(METRIC_NAME)?.strip_prefix(self.family.as_str())? {
            "_sum" => Some(ClassicPart::Sum),
            "_count" => Some(ClassicPart::Count),
            "_bucket" => {
                let bound = parse_float(self.labels.get("le")?.as_bytes()).ok()?;
                (!bound.is_nan()).then_some(ClassicPart::Bucket(bound))
            }
            _ => None,
        }
    }

    /// A key of the histogram the series belongs to: family and labels without the bound.
    fn key_of_series(&self) -> Vec<u8> {
        let mut pairs: Vec<_> =
            self.labels.iter().filter(|(name, _)| *name != METRIC_NAME && *name != "le").collect();
        pairs.sort_unstable();
        // Never the start of a series text, so that the sample is a series of its own.
        let mut key = vec![0xff];
        key.extend_from_slice(self.family.as_bytes());
        for (name, value) in pairs {
            for part in [name, value] {
                key.push(0xff);
                key.extend_from_slice(part.as_bytes());
            }
        }
        key
    }

    fn gather(&mut self, part: ClassicPart, key: Vec<u8>) {
        if !self.gathering {
            self.gathering = true;
            self.gathered.key = key;
            self.gathered.timestamp_ms = self.inner.timestamp_ms();
            self.gathered.start_ms = if self.wants_start { self.inner.start_timestamp_ms() } else { 0 };
            self.gathered.labels.clear();
            self.gathered.labels.push(METRIC_NAME, &self.family);
            for (name, value) in self.labels.iter().filter(|(n, _)| *n != METRIC_NAME && *n != "le") {
                self.gathered.labels.push(name, value);
            }
        }
        while let Some(exemplar) = self.inner.next_exemplar() {
            self.gathered.exemplars.push(exemplar);
        }
        let value = self.inner.value();
        match part {
            ClassicPart::Bucket(bound) => self.classic.set_bucket(bound, value),
            ClassicPart::Sum => self.classic.set_sum(value),
            ClassicPart::Count => self.classic.set_count(value),
        }
    }

    /// Ends the histogram being gathered; true if it became a native one.
    fn finish(&mut self) -> bool {
        if !std::mem::take(&mut self.gathering) {
            return false;
        }
        self.native = self.classic.convert().ok().filter(NativeHistogram::is_valid);
        self.classic.clear();
        self.exemplars = std::mem::take(&mut self.gathered.exemplars).into_iter();
        self.emitting = self.native.is_some();
        self.emitting
    }

    /// Returns the histogram that `entry` ended.
    fn emit_before(&mut self, entry: Option<Entry>) -> Option<Entry> {
        self.held = Some(entry);
        Some(Entry::Histogram)
    }
}

impl<P: Exposition> Exposition for NhcbParser<P> {
    fn next<K: KnownSeries>(&mut self, _: &mut K) -> Result<Option<Entry>, ParseError> {
        self.emitting = false;
        loop {
            let entry = match self.held.take() {
                Some(held) => held,
                // Every series must be looked at, so that none may be passed over as known.
                None => self.inner.next(&mut NothingKnown)?,
            };
            match entry {
                Some(Entry::Series | Entry::KnownSeries) => {
                    self.inner.labels_into(&mut self.labels);
                    let part = self.classic_part();
                    let key = part.as_ref().map(|_| self.key_of_series());
                    let continues = key.as_ref() == Some(&self.gathered.key);
                    if self.gathering && !continues && self.finish() {
                        return Ok(self.emit_before(entry));
                    }
                    if let Some((part, key)) = part.zip(key) {
                        self.gather(part, key);
                        if !self.keep_classic {
                            continue;
                        }
                    }
                    return Ok(entry);
                }
                _ if self.gathering && self.finish() => return Ok(self.emit_before(entry)),
                Some(Entry::Type) => {
                    self.family = self.inner.family_name().into_owned();
                    return Ok(entry);
                }
                _ => return Ok(entry),
            }
        }
    }

    fn family_name(&self) -> Cow<'_, str> {
        self.inner.family_name()
    }

    fn metric_type(&self) -> MetricType {
        self.inner.metric_type()
    }

    fn help(&self) -> Cow<'_, str> {
        self.inner.help()
    }

    fn unit(&self) -> &str {
        self.inner.unit()
    }

    fn comment(&self) -> &[u8] {
        self.inner.comment()
    }

    fn series(&self) -> &[u8] {
        if self.emitting { &self.gathered.key } else { self.inner.series() }
    }

    fn value(&self) -> f64 {
        self.inner.value()
    }

    fn timestamp_ms(&self) -> Option<i64> {
        if self.emitting { self.gathered.timestamp_ms } else { self.inner.timestamp_ms() }
    }

    fn histogram(&self) -> Option<HistogramSample<'_>> {
        self.native.as_ref().filter(|_| self.emitting).map(NativeHistogram::as_sample)
    }

    fn labels_into(&self, out: &mut RawLabels) {
        out.clone_from(if self.emitting { &self.gathered.labels } else { &self.labels });
    }

    fn next_exemplar(&mut self) -> Option<Exemplar> {
        if self.emitting { self.exemplars.next() } else { self.inner.next_exemplar() }
    }

    fn start_timestamp_ms(&mut self) -> i64 {
        if self.emitting { self.gathered.start_ms } else { self.inner.start_timestamp_ms() }
    }
}
