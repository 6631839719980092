//! From a point to its series.

use model::labels::Quoted;
use model::number::{FloatFormat, format_float};
use model::{AppendError, Exemplar, Labels, METRIC_NAME, MetricType, SampleValue, SeriesRef, stale_nan};
use wire::otlp::answer::Code;
use wire::otlp::{Attributes, PointHead};

use super::super::context::{MetricContext, ResourceLabels, put_attributes, unit_label};
use super::super::labels::LabelText;
use super::super::sink::{Sample, SampleError, Warning};
use super::{Translator, Trouble};
use crate::cache::{Key, Known, identity};

/// Bytes the labels of a series may have.
const MAX_LABELS_BYTES: usize = 1 << 20;
/// Bytes the labels of all new series of a request may have; the rest is new with the next request.
const MAX_NEW_LABELS_BYTES: usize = 64 << 20;

/// A point's series on their way.
pub(super) struct PointSeries<'p, 'a> {
    attributes: &'p Attributes<'a>,
    key: Key,
    /// Whether the labels at hand are those of this point.
    has_labels: bool,
}

/// Which of a point's series.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Whole,
    Sum,
    Count,
    Bucket(f64),
    Quantile(f64),
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Self::Whole | Self::Quantile(_) => "",
            Self::Sum => "_sum",
            Self::Count => "_count",
            Self::Bucket(_) => "_bucket",
        }
    }

    fn key(self) -> (u64, u64) {
        match self {
            Self::Whole => (0, 0),
            Self::Sum => (1, 0),
            Self::Count => (2, 0),
            Self::Bucket(bound) => (3, bound.to_bits()),
            Self::Quantile(quantile) => (4, quantile.to_bits()),
        }
    }

    /// The label that tells it from its like.
    fn label(self) -> Option<(&'static str, String)> {
        match self {
            Self::Bucket(bound) => Some(("le", format_float(bound, FloatFormat::Plain))),
            Self::Quantile(quantile) => Some(("quantile", format_float(quantile, FloatFormat::Plain))),
            _ => None,
        }
    }
}

impl Translator<'_> {
    pub(super) fn series_of<'p, 'a>(
        &mut self,
        context: &MetricContext<'_>,
        head: &'p PointHead<'a>,
    ) -> PointSeries<'p, 'a> {
        let attributes = &head.attributes;
        let key = self.key_text.begin(context.key).attributes(attributes).key(&self.shared.secret);
        PointSeries { attributes, key, has_labels: false }
    }

    pub(super) fn put_float(
        &mut self,
        context: &MetricContext<'_>,
        series: &mut PointSeries<'_, '_>,
        head: &PointHead<'_>,
        part: Part,
        value: f64,
        exemplars: &[Exemplar],
    ) -> Result<(), Trouble> {
        let value = SampleValue::Float(if head.no_recorded_value { stale_nan() } else { value });
        let sample = Sample { start_ms: head.start_ms(), t_ms: head.time_ms(), value };
        self.put(context, series, part, &sample, exemplars)
    }

    /// Appends to one of a point's series, which most often is known by the bytes of its attributes.
    pub(super) fn put(
        &mut self,
        context: &MetricContext<'_>,
        series: &mut PointSeries<'_, '_>,
        part: Part,
        sample: &Sample<'_>,
        exemplars: &[Exemplar],
    ) -> Result<(), Trouble> {
        self.sink.check_time(sample.t_ms)?;
        let (tag, bits) = part.key();
        let key = self.key_text.begin(series.key).number(tag).number(bits).key(&self.shared.secret);
        if let Some(found) = self.shared.cache.find(key) {
            match self.sink.append(found.known.series, sample, exemplars, &context.description) {
                // Dropped by the storage since: it is made again.
                Err(SampleError::Append(AppendError::UnknownSeries)) => {}
                done => return Ok(done?),
            }
        }
        let labels = self.series_labels(context, series, part)?;
        self.check_size(&labels)?;
        let known =
            Known { series: self.resolve(&labels)?, identity: identity(&labels, &self.shared.secret) };
        self.shared.cache.insert(key, known);
        Ok(self.sink.append(known.series, sample, exemplars, &context.description)?)
    }

    /// The buckets of a histogram repeat its attributes: a small request must not become large memory.
    fn check_size(&mut self, labels: &Labels) -> Result<(), Trouble> {
        let bytes = labels.as_bytes().len();
        if bytes > MAX_LABELS_BYTES {
            let message = format!("labels of a series have {bytes} bytes, more than {MAX_LABELS_BYTES}");
            return Err(Trouble::Refused(Code::InvalidArgument, message));
        }
        self.new_labels_bytes += bytes;
        if self.new_labels_bytes > MAX_NEW_LABELS_BYTES {
            let message =
                format!("new series of one request have more than {MAX_NEW_LABELS_BYTES} bytes of labels");
            return Err(Trouble::Refused(Code::ResourceExhausted, message));
        }
        Ok(())
    }

    pub(super) fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, Trouble> {
        Ok(self.sink.resolve(labels)?)
    }

    fn series_labels(
        &mut self,
        context: &MetricContext<'_>,
        series: &mut PointSeries<'_, '_>,
        part: Part,
    ) -> Result<Labels, Trouble> {
        if !series.has_labels {
            self.point_labels(context, series.attributes)?;
            series.has_labels = true;
        }
        let name = format!("{}{}", context.family(&self.in_force.namer)?, part.suffix());
        Ok(match part.label() {
            Some((label, value)) => self.labels.build(&[(METRIC_NAME, &name), (label, &value)]),
            None => self.labels.build(&[(METRIC_NAME, &name)]),
        })
    }

    /// Makes the labels at hand those of a point: its own attributes give way to what says who sent them.
    fn point_labels(
        &mut self,
        context: &MetricContext<'_>,
        attributes: &Attributes<'_>,
    ) -> Result<(), Trouble> {
        self.attribute_labels(attributes, &[METRIC_NAME], "data point")?;
        let (labels, resource) = (&mut self.labels, context.resource);
        for (name, value) in &resource.promoted {
            labels.set_if_absent(name, value);
        }
        identify(labels, resource);
        for (name, value) in context.scope.iter() {
            labels.set(name, value);
        }
        if self.shared.options.type_and_unit_labels {
            if context.kind != MetricType::Unknown {
                labels.set("__type__", context.kind.as_str());
            }
            let unit = unit_label(context.unit, &self.in_force.namer);
            // An empty one says nothing, and does not take away what a sender says.
            if !unit.is_empty() {
                labels.set("__unit__", &unit);
            }
        }
        Ok(())
    }

    pub(super) fn attribute_labels(
        &mut self,
        attributes: &Attributes<'_>,
        ignored: &[&str],
        source: &str,
    ) -> Result<(), Trouble> {
        let (collided, mut news) = (&mut self.collided, Vec::new());
        self.labels.clear();
        put_attributes(attributes, ignored, &self.in_force.namer, &mut self.labels, |name, keys| {
            if collided.insert(name.to_owned()) {
                let keys: Vec<_> = keys.iter().map(|key| Quoted(key).to_string()).collect();
                let (keys, name) = (keys.join(", "), Quoted(name));
                news.push(format!(
                    "OTLP {source} attributes {keys} collide as label {name} after name sanitization, values are \
                     concatenated with ';'"
                ));
            }
        })?;
        for message in news {
            self.warn(Warning::LabelNameCollision, message);
        }
        Ok(())
    }
}

/// Job and instance are the resource's, whatever its points say.
pub(super) fn identify(labels: &mut LabelText, resource: &ResourceLabels) {
    for (name, value) in [("job", &resource.job), ("instance", &resource.instance)] {
        if !value.is_empty() {
            labels.set(name, value);
        }
    }
}
