//! From the metrics of a request to samples of series.

mod series;
mod target_info;

use std::cell::OnceCell;
use std::collections::HashSet;

use model::labels::Quoted;
use model::{AppendError, SampleValue};
use wire::otlp::answer::Code;
use wire::otlp::message::Messages;
use wire::otlp::{
    Data, DecodeError, ExponentialPoint, HistogramPoint, Metric, NumberPoint, PointHead, Request,
    ResourceMetrics, ScopeMetrics, SummaryPoint, Temporality,
};

use self::series::Part;
use self::target_info::TARGET_INFO;
use super::context::{
    ContextError, Description, KeyText, MetricContext, ResourceLabels, ScopeLabels, metric_type, named_as,
};
use super::delta::{DeltaRefusal, Turn};
use super::exemplar;
use super::histogram::{ConversionError, from_explicit, from_exponential};
use super::labels::LabelText;
use super::names::NameError;
use super::settings::DeltaMode;
use super::sink::{Sample, SampleError, Sink, Warning};
use super::tally::Tally;
use super::{InForce, Shared};
use crate::cache::Key;

/// Why a request ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is no request.
    Malformed(DecodeError),
    /// The storage takes nothing.
    Unavailable(String),
}

/// Why a point is not stored, or nothing more is.
#[derive(Debug)]
enum Trouble {
    Stop(Stop),
    Refused(Code, String),
}

impl From<DecodeError> for Trouble {
    fn from(error: DecodeError) -> Self {
        Self::Stop(Stop::Malformed(error))
    }
}

impl From<NameError> for Trouble {
    fn from(error: NameError) -> Self {
        Self::Refused(Code::InvalidArgument, error.to_string())
    }
}

impl From<ContextError> for Trouble {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Decode(error) => error.into(),
            ContextError::Name(error) => error.into(),
        }
    }
}

impl From<ConversionError> for Trouble {
    fn from(error: ConversionError) -> Self {
        Self::Refused(Code::InvalidArgument, error.to_string())
    }
}

impl From<SampleError> for Trouble {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Append(AppendError::Storage(message)) => Self::Stop(Stop::Unavailable(message)),
            SampleError::Append(AppendError::SeriesLimit { .. }) => {
                Self::Refused(Code::ResourceExhausted, error.to_string())
            }
            other => Self::Refused(Code::InvalidArgument, other.to_string()),
        }
    }
}

/// What a request works with.
pub(super) struct Translator<'s> {
    shared: &'s Shared,
    in_force: &'s InForce,
    pub sink: Sink,
    /// While deltas are added up.
    pub turn: Option<Turn<'s>>,
    pub tally: Tally,
    pub warnings: Vec<String>,
    /// Tells tenants apart, and what names were made by.
    root: Key,
    labels: LabelText,
    key_text: KeyText,
    collided: HashSet<String>,
    /// Bytes of labels of series that were not known.
    new_labels_bytes: usize,
    /// Samples of `target_info` by labels and time: resources may share one.
    told: HashSet<(u64, i64)>,
    /// The earliest and latest time of the resource's points.
    span: Option<(u64, u64)>,
}

impl<'s> Translator<'s> {
    pub fn new(shared: &'s Shared, in_force: &'s InForce, sink: Sink, tenant: &model::TenantId) -> Self {
        let mut key_text = KeyText::default();
        let root = key_text.begin(Key::default()).number(in_force.generation).text(tenant.0.as_bytes());
        let root = root.key(&shared.secret);
        Self {
            shared,
            in_force,
            sink,
            turn: None,
            tally: Tally::default(),
            warnings: Vec::new(),
            root,
            labels: LabelText::default(),
            key_text,
            collided: HashSet::new(),
            new_labels_bytes: 0,
            told: HashSet::new(),
            span: None,
        }
    }

    /// Appends everything a request has; what is refused is in the tally.
    pub fn request(&mut self, request: &Request<'_>) -> Result<(), Stop> {
        for resource in request.resources() {
            let resource = resource.map_err(Stop::Malformed)?;
            self.resource(&resource)?;
        }
        Ok(())
    }

    fn resource(&mut self, resource: &ResourceMetrics<'_>) -> Result<(), Stop> {
        let in_force = self.in_force;
        let labels = ResourceLabels::new(resource, &in_force.translation, &in_force.namer);
        let labels = match labels.map_err(Trouble::from) {
            Ok(labels) => labels,
            Err(trouble) => {
                let points = tally_resource(resource).map_err(Stop::Malformed)?;
                return self.settle(Err(trouble), "", points);
            }
        };
        self.span = None;
        for scope in resource.scopes() {
            let scope = scope.map_err(Stop::Malformed)?;
            self.scope(resource, &labels, &scope)?;
        }
        if let Some(span) = self.span {
            let told = self.target_info(resource, &labels, span);
            // It is no data point: that it was refused is told and counts nothing.
            self.settle(told, TARGET_INFO, 0)?;
        }
        Ok(())
    }

    fn scope(
        &mut self,
        resource: &ResourceMetrics<'_>,
        resource_labels: &ResourceLabels,
        scope: &ScopeMetrics<'_>,
    ) -> Result<(), Stop> {
        let in_force = self.in_force;
        let labels = ScopeLabels::new(scope, &in_force.translation, &in_force.namer);
        let labels = match labels.map_err(Trouble::from) {
            Ok(labels) => labels,
            Err(trouble) => {
                let points = tally_scope(scope).map_err(Stop::Malformed)?;
                return self.settle(Err(trouble), "", points);
            }
        };
        for metric in scope.metrics() {
            let metric = metric.map_err(Stop::Malformed)?;
            let done = self.metric(&metric, (resource, resource_labels), (scope, &labels));
            if let Err(trouble) = done {
                let points = tally_metric(&metric).map_err(Stop::Malformed)?;
                self.settle(Err(trouble), metric.name, points)?;
            }
        }
        Ok(())
    }

    /// An error is about the whole metric, of which nothing was stored then.
    fn metric(
        &mut self,
        metric: &Metric<'_>,
        (resource, resource_labels): (&ResourceMetrics<'_>, &ResourceLabels),
        (scope, scope_labels): (&ScopeMetrics<'_>, &ScopeLabels),
    ) -> Result<(), Trouble> {
        let Some(points) = metric.data.points() else {
            let name = Quoted(metric.name);
            return Err(Trouble::Refused(
                Code::InvalidArgument,
                format!("metric {name} has an unsupported type"),
            ));
        };
        let mut metric = metric.clone();
        let is_added_up = self.check_temporality(&metric)?;
        let delta_key = is_added_up.then(|| self.delta_key(&metric, resource, scope));
        if is_added_up {
            metric.data = cumulative(metric.data.clone());
        }
        if points.clone().next().is_none() {
            self.warn(Warning::EmptyDataPoints, format!("empty data points. {} is dropped", metric.name));
            return Ok(());
        }
        let kind = metric_type(&metric.data);
        let text = self.key_text.begin(self.root).number(kind as u64).number(named_as(&metric.data) as u64);
        text.text(metric.name.as_bytes()).text(metric.unit.as_bytes());
        text.text(resource_labels.job.as_bytes()).text(resource_labels.instance.as_bytes());
        text.pairs(resource_labels.promoted.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let key = text.pairs(scope_labels.iter()).key(&self.shared.secret);
        let context = MetricContext {
            name: metric.name,
            unit: metric.unit,
            named_as: named_as(&metric.data),
            kind,
            family: OnceCell::new(),
            description: Description::of(&metric, self.shared.options.append_metadata),
            resource: resource_labels,
            scope: scope_labels,
            key,
        };
        self.points(&context, &metric.data, delta_key).map_err(Trouble::Stop)
    }

    /// Whether deltas are to be added up; an error where they are not taken.
    fn check_temporality(&self, metric: &Metric<'_>) -> Result<bool, Trouble> {
        match (metric.data.temporality(), self.shared.options.delta) {
            (None | Some(Temporality::Cumulative), _) | (Some(Temporality::Delta), DeltaMode::Store) => {
                Ok(false)
            }
            (Some(Temporality::Delta), DeltaMode::Accumulate) => Ok(true),
            (Some(Temporality::Delta | Temporality::Unspecified), _) => {
                let name = Quoted(metric.name);
                let message = format!("invalid temporality and type combination for metric {name}");
                Err(Trouble::Refused(Code::InvalidArgument, message))
            }
        }
    }

    /// Names a stream of deltas but for the attributes of its points. Order does not matter, for senders that
    /// begin anew with each export may write the same attributes in any.
    fn delta_key(
        &mut self,
        metric: &Metric<'_>,
        resource: &ResourceMetrics<'_>,
        scope: &ScopeMetrics<'_>,
    ) -> Key {
        let kind = match metric.data {
            Data::Sum { is_monotonic, .. } => u64::from(is_monotonic),
            Data::Histogram(..) => 2,
            _ => 3,
        };
        let text = self.key_text.begin(self.root).number(kind);
        text.text(metric.name.as_bytes()).text(metric.unit.as_bytes());
        text.text(scope.name.as_bytes()).text(scope.version.as_bytes());
        text.sorted_attributes(&scope.attributes).sorted_attributes(&resource.attributes);
        text.key(&self.shared.secret)
    }

    fn points(
        &mut self,
        context: &MetricContext<'_>,
        data: &Data<'_>,
        delta: Option<Key>,
    ) -> Result<(), Stop> {
        match data {
            Data::Unknown => Ok(()),
            Data::Gauge(points) => self.numbers(context, points, false, None),
            Data::Sum { points, .. } => self.numbers(context, points, true, delta),
            Data::Histogram(points, temporality) => self.histograms(context, points, *temporality, delta),
            Data::ExponentialHistogram(points, temporality) => {
                self.exponentials(context, points, *temporality, delta)
            }
            Data::Summary(points) => self.summaries(context, points),
        }
    }

    fn numbers(
        &mut self,
        context: &MetricContext<'_>,
        points: &Messages<'_>,
        is_sum: bool,
        delta: Option<Key>,
    ) -> Result<(), Stop> {
        let mut point = NumberPoint::default();
        for message in *points {
            message.and_then(|message| point.read(message)).map_err(Stop::Malformed)?;
            if let Some(key) = self.delta_point_key(delta, &point.head)
                && let Some(turn) = &mut self.turn
                && let Err(refusal) = turn.number(key, &mut point)
            {
                self.drop_delta(refusal);
                continue;
            }
            let done = self.number(context, &point, is_sum);
            self.settle_point(done, context, &point.head)?;
        }
        Ok(())
    }

    fn number(
        &mut self,
        context: &MetricContext<'_>,
        point: &NumberPoint<'_>,
        is_sum: bool,
    ) -> Result<(), Trouble> {
        let exemplars = if is_sum { exemplar::all(&point.head)? } else { Vec::new() };
        let value = point.value.map_or(0.0, |value| value.as_f64());
        let mut series = self.series_of(context, &point.head);
        self.put_float(context, &mut series, &point.head, Part::Whole, value, &exemplars)
    }

    fn histograms(
        &mut self,
        context: &MetricContext<'_>,
        points: &Messages<'_>,
        temporality: Temporality,
        delta: Option<Key>,
    ) -> Result<(), Stop> {
        let mut point = HistogramPoint::default();
        for message in *points {
            message.and_then(|message| point.read(message)).map_err(Stop::Malformed)?;
            if let Some(key) = self.delta_point_key(delta, &point.head)
                && let Some(turn) = &mut self.turn
                && let Err(refusal) = turn.histogram(key, &mut point)
            {
                self.drop_delta(refusal);
                continue;
            }
            let done = if self.in_force.translation.convert_histograms_to_nhcb {
                self.custom_histogram(context, &point, temporality)
            } else {
                self.classic_histogram(context, &point)
            };
            self.settle_point(done, context, &point.head)?;
        }
        Ok(())
    }

    fn classic_histogram(
        &mut self,
        context: &MetricContext<'_>,
        point: &HistogramPoint<'_>,
    ) -> Result<(), Trouble> {
        let head = &point.head;
        let mut exemplars = exemplar::all(head)?;
        exemplars.sort_by(|a, b| a.value.total_cmp(&b.value));
        let mut rest = exemplars.as_slice();
        let mut series = self.series_of(context, head);
        if let Some(sum) = point.sum {
            self.put_float(context, &mut series, head, Part::Sum, sum, &[])?;
        }
        self.put_float(context, &mut series, head, Part::Count, point.count as f64, &[])?;
        let mut cumulative = 0_u64;
        for (bound, count) in point.explicit_bounds.iter().zip(&point.bucket_counts) {
            cumulative = cumulative.wrapping_add(*count);
            let within = rest.iter().take_while(|exemplar| exemplar.value <= *bound).count();
            let own;
            (own, rest) = rest.split_at(within);
            let part = Part::Bucket(*bound);
            self.put_float(context, &mut series, head, part, cumulative as f64, &exemplar::by_time(own))?;
        }
        let part = Part::Bucket(f64::INFINITY);
        self.put_float(context, &mut series, head, part, point.count as f64, &exemplar::by_time(rest))
    }

    fn custom_histogram(
        &mut self,
        context: &MetricContext<'_>,
        point: &HistogramPoint<'_>,
        temporality: Temporality,
    ) -> Result<(), Trouble> {
        let histogram = from_explicit(point, temporality)?;
        if point.count == 0 && histogram.sum != 0.0 && !point.head.no_recorded_value {
            let message =
                format!("histogram data point has zero count, but non-zero sum: {:.6}", histogram.sum);
            self.warn(Warning::ZeroCountNonZeroSum, message);
        }
        self.native(context, &point.head, SampleValue::Histogram(&histogram))
    }

    fn exponentials(
        &mut self,
        context: &MetricContext<'_>,
        points: &Messages<'_>,
        temporality: Temporality,
        delta: Option<Key>,
    ) -> Result<(), Stop> {
        let mut point = ExponentialPoint::default();
        for message in *points {
            message.and_then(|message| point.read(message)).map_err(Stop::Malformed)?;
            if let Some(key) = self.delta_point_key(delta, &point.head)
                && let Some(turn) = &mut self.turn
                && let Err(refusal) = turn.exponential(key, &mut point)
            {
                self.drop_delta(refusal);
                continue;
            }
            let done = self.exponential(context, &point, temporality);
            self.settle_point(done, context, &point.head)?;
        }
        Ok(())
    }

    fn exponential(
        &mut self,
        context: &MetricContext<'_>,
        point: &ExponentialPoint<'_>,
        temporality: Temporality,
    ) -> Result<(), Trouble> {
        let histogram = from_exponential(point, temporality)?;
        if point.count == 0 && histogram.sum != 0.0 && !point.head.no_recorded_value {
            let message = format!(
                "exponential histogram data point has zero count, but non-zero sum: {:.6}",
                histogram.sum
            );
            self.warn(Warning::ZeroCountNonZeroSum, message);
        }
        self.native(context, &point.head, SampleValue::Histogram(&histogram))
    }

    fn native(
        &mut self,
        context: &MetricContext<'_>,
        head: &PointHead<'_>,
        value: SampleValue<'_>,
    ) -> Result<(), Trouble> {
        let exemplars = exemplar::by_time(&exemplar::all(head)?);
        let mut series = self.series_of(context, head);
        let sample = Sample { start_ms: head.start_ms(), t_ms: head.time_ms(), value };
        self.put(context, &mut series, Part::Whole, &sample, &exemplars)
    }

    fn summaries(&mut self, context: &MetricContext<'_>, points: &Messages<'_>) -> Result<(), Stop> {
        let mut point = SummaryPoint::default();
        for message in *points {
            message.and_then(|message| point.read(message)).map_err(Stop::Malformed)?;
            let done = self.summary(context, &point);
            self.settle_point(done, context, &point.head)?;
        }
        Ok(())
    }

    fn summary(&mut self, context: &MetricContext<'_>, point: &SummaryPoint<'_>) -> Result<(), Trouble> {
        let head = &point.head;
        let mut series = self.series_of(context, head);
        self.put_float(context, &mut series, head, Part::Sum, point.sum, &[])?;
        self.put_float(context, &mut series, head, Part::Count, point.count as f64, &[])?;
        for &(quantile, value) in &point.quantiles {
            self.put_float(context, &mut series, head, Part::Quantile(quantile), value, &[])?;
        }
        Ok(())
    }

    /// The key of a point's stream, if its metric's deltas are added up. A point that says that the series ended
    /// adds nothing.
    fn delta_point_key(&mut self, delta: Option<Key>, head: &PointHead<'_>) -> Option<Key> {
        let delta = delta.filter(|_| !head.no_recorded_value)?;
        Some(self.key_text.begin(delta).sorted_attributes(&head.attributes).key(&self.shared.secret))
    }

    fn drop_delta(&mut self, refusal: DeltaRefusal) {
        self.shared.dropped_deltas.count(&refusal);
        self.tally.dropped_deltas += 1;
        self.tally.refuse(1, Code::InvalidArgument, refusal.to_string());
    }

    fn settle_point(
        &mut self,
        done: Result<(), Trouble>,
        context: &MetricContext<'_>,
        head: &PointHead<'_>,
    ) -> Result<(), Stop> {
        if done.is_ok() {
            self.tally.accepted += 1;
            let (first, last) = self.span.unwrap_or((head.time_ns, head.time_ns));
            self.span = Some((first.min(head.time_ns), last.max(head.time_ns)));
        }
        self.settle(done, context.name, 1)
    }

    fn settle(&mut self, done: Result<(), Trouble>, metric: &str, points: u64) -> Result<(), Stop> {
        match done {
            Ok(()) => {}
            Err(Trouble::Stop(stop)) => return Err(stop),
            Err(Trouble::Refused(code, mut message)) => {
                let name = Quoted(metric).to_string();
                if !metric.is_empty() && !message.contains(&name) {
                    message = format!("{message} (metric {name})");
                }
                self.tally.refuse(points, code, message);
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: Warning, message: String) {
        /// Texts kept for the log.
        const MAX_WARNINGS: usize = 20;
        if self.warnings.contains(&message) {
            return;
        }
        self.shared.metrics.warn(warning);
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(message);
        }
    }
}

/// The data of a metric whose points are added up.
fn cumulative(data: Data<'_>) -> Data<'_> {
    let temporality = Temporality::Cumulative;
    match data {
        Data::Sum { points, is_monotonic, .. } => Data::Sum { points, temporality, is_monotonic },
        Data::Histogram(points, _) => Data::Histogram(points, temporality),
        Data::ExponentialHistogram(points, _) => Data::ExponentialHistogram(points, temporality),
        other => other,
    }
}

fn tally_metric(metric: &Metric<'_>) -> Result<u64, DecodeError> {
    metric.data.points().map_or(Ok(0), |points| points.tally().map(|count| count as u64))
}

fn tally_scope(scope: &ScopeMetrics<'_>) -> Result<u64, DecodeError> {
    scope.metrics().try_fold(0, |sum, metric| Ok(sum + tally_metric(&metric?)?))
}

fn tally_resource(resource: &ResourceMetrics<'_>) -> Result<u64, DecodeError> {
    resource.scopes().try_fold(0, |sum, scope| Ok(sum + tally_scope(&scope?)?))
}
