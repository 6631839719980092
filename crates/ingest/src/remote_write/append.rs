//! One request being stored.

use model::histogram::HistogramError;
use model::histogram::{EXPONENTIAL_SCHEMA_MAX, is_reserved_exponential_schema};
use model::{
    AppendError, Appender, CounterResetHint, Exemplar, FloatHistogram, Histogram, Metadata, MetricType,
    SampleValue, SeriesRef,
};
use wire::remote_write::MessageType;
use wire::remote_write::decode::{
    AnyHistogram, HistogramSample, LabelsError, RawLabels, RawMetadata, Series, WriteRequest,
};

use super::refusals::Refusals;
use super::{Outcome, Written};
use crate::cache::{self, Found, Key, Known};
use crate::labels::{LabelSet, LabelsRefused};
use crate::limits::Limits;
use crate::receiver::{MAX_AHEAD_MS, PushError, Receiver};
use crate::tenant::Tenant;

/// Series looked up at once.
const BATCH: usize = 64;
/// The label that says of which type a metric is.
const TYPE_LABEL: &str = "__type__";
/// The label that says in which unit a metric is.
const UNIT_LABEL: &str = "__unit__";

/// One request being stored.
pub(super) struct Append<'r> {
    receiver: &'r Receiver,
    tenant: &'r Tenant,
    limits: &'r Limits,
    request: &'r WriteRequest<'r>,
    appender: Box<dyn Appender>,
    now_ms: i64,
    /// The hash of each symbol, for version 2.0.
    symbols: Vec<Key>,
    /// The bytes a key is made of, where they are not in the body as they are.
    key_bytes: Vec<u8>,
    labels: LabelSet<'r>,
    written: Written,
    refusals: Refusals,
    invalid_labels: usize,
    without_metadata: usize,
}

/// A series of the request, and what the storage's reference of it is remembered by.
#[derive(Clone, Copy)]
struct Origin<'r> {
    series: Series<'r>,
    metadata: Option<RawMetadata<'r>>,
    key: Key,
}

impl Origin<'_> {
    fn samples(&self) -> usize {
        self.series.samples().len() + self.series.histogram_count()
    }
}

/// The series if its samples are gone on with.
type Admitted = Result<Option<SeriesRef>, PushError>;

impl<'r> Append<'r> {
    pub fn new(
        receiver: &'r Receiver,
        tenant: &'r Tenant,
        limits: &'r Limits,
        request: &'r WriteRequest<'r>,
        appender: Box<dyn Appender>,
        now_ms: i64,
    ) -> Self {
        let symbols = request.symbols().map(|symbol| Key::of(symbol, &receiver.secret)).collect();
        Self {
            receiver,
            tenant,
            limits,
            request,
            appender,
            now_ms,
            symbols,
            key_bytes: Vec::new(),
            labels: LabelSet::default(),
            written: Written::default(),
            refusals: Refusals::default(),
            invalid_labels: 0,
            without_metadata: 0,
        }
    }

    /// Stores what can be stored.
    pub fn run(mut self) -> Result<Outcome, PushError> {
        let mut keys = [Key::NONE; BATCH];
        let mut found = [None; BATCH];
        for start in (0..self.request.len()).step_by(BATCH) {
            let end = self.request.len().min(start + BATCH);
            let (keys, found) = (&mut keys[..end - start], &mut found[..end - start]);
            for (key, i) in keys.iter_mut().zip(start..) {
                *key = self.key(&self.request.series(i));
            }
            self.tenant.cache.find_all(keys, found);
            for (i, (key, found)) in (start..).zip(keys.iter().zip(&*found)) {
                self.series(self.request.series(i), *key, *found)?;
            }
        }
        self.appender.commit().map_err(|error| PushError::Storage(error.to_string()))?;
        let metrics = &self.receiver.metrics;
        metrics.samples.add(self.written.samples as u64);
        metrics.histograms.add(self.written.histograms as u64);
        metrics.exemplars.add(self.written.exemplars as u64);
        metrics.invalid_labels.add(self.invalid_labels as u64);
        metrics.without_metadata.add(self.without_metadata as u64);
        if let Some(first) = self.refusals.first()
            && self.tenant.may_log(self.now_ms)
        {
            let (tenant, refused) = (&self.tenant.id.0, self.refusals.len());
            tracing::warn!(%tenant, refused, first, "pushed samples are not stored");
        }
        Ok(Outcome { written: self.written, error: self.refusals.into_error() })
    }

    #[inline]
    fn series(&mut self, series: Series<'r>, key: Key, found: Option<Found>) -> Result<(), PushError> {
        let metadata = match self.request.message() {
            MessageType::V1 => None,
            MessageType::V2 => match self.metadata(&series)? {
                Some(metadata) => Some(metadata),
                None => return Ok(()),
            },
        };
        let origin = Origin { series, metadata, key };
        let known = match found {
            Some(Found { known, is_renewed: false }) => Some(known.series),
            Some(Found { known, .. }) => self.renewed(&origin, known)?,
            None => self.resolve(&origin)?,
        };
        let Some(mut at) = known else { return Ok(()) };
        let stored_before = self.written.samples + self.written.histograms;
        let mut start_ms = 0;
        for sample in series.samples() {
            let zero = std::mem::replace(&mut start_ms, sample.start_ms) != sample.start_ms;
            if zero && self.receiver.options.zero_at_start && sample.t_ms != 0 {
                self.append_zero(at, sample.start_ms, sample.t_ms, SampleValue::Float(0.0));
            }
            let value = SampleValue::Float(sample.value);
            let stored = self.append(&origin, &mut at, (sample.start_ms, sample.t_ms), value)?;
            self.written.samples += usize::from(stored);
        }
        if series.histogram_count() > 0 {
            self.histograms(&origin, &mut at)?;
        }
        if series.exemplar_count() > 0 {
            self.exemplars(&origin, at)?;
        }
        let stored = self.written.samples + self.written.histograms - stored_before;
        self.note_metadata(at, origin.metadata.as_ref(), stored);
        Ok(())
    }

    /// What version 2.0 says of the series; `None` if the series is refused.
    fn metadata(&mut self, series: &Series<'r>) -> Result<Option<RawMetadata<'r>>, PushError> {
        let samples = series.samples().len() + series.histogram_count();
        let references = match series.raw_labels() {
            RawLabels::References(references) => references,
            RawLabels::Fields(_) => &[],
        };
        // The order of these checks is the reference's.
        let symbols = self.symbols.len();
        let is_outside = |reference: &u32| *reference as usize >= symbols;
        if !references.len().is_multiple_of(2) || references.iter().any(is_outside) {
            if let Err(LabelsError::Symbols(error)) = series.for_each_label(|_| {}) {
                self.invalid_labels += samples;
                self.tenant_discards("invalid_labels", samples);
                self.refusals.add(|| format!("parsing labels for series {}: {error}", Shown(references)));
            }
            return Ok(None);
        }
        match series.metadata() {
            Ok(metadata) if samples > 0 => Ok(Some(metadata)),
            Ok(metadata) => {
                // Bad labels are told before the lack of samples.
                let origin = Origin { series: *series, metadata: Some(metadata), key: Key::NONE };
                if self.checked_labels(&origin)?.is_some() {
                    let labels = &self.labels;
                    self.refusals.add(|| {
                        format!(
                            "TimeSeries must contain at least one sample or histogram for series {labels}"
                        )
                    });
                }
                Ok(None)
            }
            Err(error) => {
                self.tenant_discards("invalid_metadata", samples);
                self.refusals.add(|| format!("parsing metadata for series {}: {error}", Shown(references)));
                Ok(None)
            }
        }
    }

    fn tenant_discards(&self, reason: &'static str, samples: usize) {
        self.receiver.metrics.discard(&self.tenant.id.0, reason, samples);
    }

    /// What the series is remembered by.
    #[inline]
    fn key(&mut self, series: &Series<'r>) -> Key {
        let secret = &self.receiver.secret;
        match series.raw_labels() {
            RawLabels::Fields(bytes) => Key::of(bytes, secret),
            RawLabels::References(references) => {
                let bytes = &mut self.key_bytes;
                bytes.clear();
                for &reference in references {
                    let Some(Key([low, high])) = self.symbols.get(reference as usize) else {
                        return Key::NONE;
                    };
                    bytes.extend_from_slice(&low.to_le_bytes());
                    bytes.extend_from_slice(&high.to_le_bytes());
                }
                if self.receiver.options.type_and_unit_labels {
                    let Ok(metadata) = series.metadata() else { return Key::NONE };
                    bytes.push(metadata.metric_type as u8);
                    bytes.extend_from_slice(metadata.unit);
                }
                Key::of(bytes, secret)
            }
        }
    }

    /// Reads labels into `self.labels`.
    fn read_labels(&mut self, origin: &Origin<'r>) -> Result<(), PushError> {
        let labels = &mut self.labels;
        labels.clear();
        origin.series.for_each_label(|pair| labels.push(pair)).map_err(|error| match error {
            LabelsError::Malformed(error) => PushError::Malformed(error),
            LabelsError::Symbols(error) => PushError::Refused(error.to_string()),
        })?;
        if let Some(metadata) = origin.metadata.filter(|_| self.receiver.options.type_and_unit_labels) {
            let is_typed = metadata.metric_type != MetricType::Unknown;
            if is_typed || !metadata.unit.is_empty() {
                labels.remove(TYPE_LABEL);
                labels.remove(UNIT_LABEL);
            }
            if is_typed {
                labels.push((TYPE_LABEL.as_bytes(), metadata.metric_type.as_str().as_bytes()));
            }
            if !metadata.unit.is_empty() {
                labels.push((UNIT_LABEL.as_bytes(), metadata.unit));
            }
        }
        labels.sort();
        Ok(())
    }

    /// The labels of a series, if it may be stored.
    fn checked_labels(&mut self, origin: &Origin<'r>) -> Result<Option<model::Labels>, PushError> {
        self.read_labels(origin)?;
        match self.labels.check(self.limits) {
            Ok(labels) => Ok(Some(labels)),
            Err(refused) => {
                self.refuse_labels(origin.samples(), &refused);
                Ok(None)
            }
        }
    }

    #[cold]
    fn refuse_labels(&mut self, samples: usize, refused: &LabelsRefused) {
        self.tenant_discards(refused.reason(), samples);
        if refused.is_limit() {
            self.refusals.add(|| refused.to_string());
            return;
        }
        match self.request.message() {
            // Version 1.0 counts and logs them, and the request succeeds.
            MessageType::V1 => {
                self.invalid_labels += 1;
                if self.tenant.may_log(self.now_ms) {
                    tracing::warn!(tenant = %self.tenant.id.0, %refused, "pushed series is not stored");
                }
            }
            MessageType::V2 => {
                self.invalid_labels += samples;
                self.refusals.add(|| refused.to_string());
            }
        }
    }

    /// A series that was not fed for some time counts again.
    #[cold]
    fn renewed(&mut self, origin: &Origin<'r>, known: Known) -> Admitted {
        match self.tenant.admit(known.identity, self.limits) {
            true => Ok(Some(known.series)),
            false => self.refuse_series(origin),
        }
    }

    #[cold]
    fn refuse_series(&mut self, origin: &Origin<'r>) -> Admitted {
        self.read_labels(origin)?;
        self.tenant_discards("per_user_series_limit", origin.samples());
        let (tenant, limit, labels) = (&self.tenant.id.0, self.limits.max_series, &self.labels);
        self.refusals.add(|| {
            format!(
                "limits.max_global_series_per_user: tenant {tenant:?} feeds as many series as its limit of {limit} \
                 allows: series {labels}"
            )
        });
        Ok(None)
    }

    /// Reads the labels of a series that is not remembered and asks the storage for it.
    #[cold]
    fn resolve(&mut self, origin: &Origin<'r>) -> Admitted {
        self.receiver.metrics.series_resolved.inc();
        let Some(labels) = self.checked_labels(origin)? else { return Ok(None) };
        let identity = cache::identity(&labels, &self.receiver.secret);
        if !self.tenant.admit(identity, self.limits) {
            return self.refuse_series(origin);
        }
        match self.appender.resolve(&labels) {
            Ok(series) => {
                self.tenant.cache.insert(origin.key, Known { series, identity });
                Ok(Some(series))
            }
            Err(AppendError::Storage(error)) => Err(PushError::Storage(error)),
            Err(error) => {
                self.tenant.forget(identity);
                self.tenant_discards("series_refused", origin.samples());
                let labels = &self.labels;
                let hint = match error {
                    AppendError::SeriesLimit { .. } => "storage.tsdb.max-series: ",
                    _ => "",
                };
                self.refusals.add(|| format!("{hint}{error} for series {labels}"));
                Ok(None)
            }
        }
    }

    /// Appends a sample; whether it will be stored.
    #[inline]
    fn append(
        &mut self,
        origin: &Origin<'r>,
        at: &mut SeriesRef,
        (start_ms, t_ms): (i64, i64),
        value: SampleValue<'_>,
    ) -> Result<bool, PushError> {
        let start_ms = if self.receiver.options.start_timestamps { start_ms } else { 0 };
        if t_ms > self.now_ms.saturating_add(MAX_AHEAD_MS) {
            self.refuse(origin, t_ms, "out of bounds: timestamp is too far in the future", "out_of_bounds")?;
            return Ok(false);
        }
        match self.appender.append(*at, start_ms, t_ms, value) {
            Ok(()) => Ok(true),
            Err(AppendError::UnknownSeries) => {
                let Some(again) = self.resolve(origin)? else { return Ok(false) };
                *at = again;
                match self.appender.append(again, start_ms, t_ms, value) {
                    Ok(()) => Ok(true),
                    Err(error) => self.refused(origin, t_ms, &error),
                }
            }
            Err(error) => self.refused(origin, t_ms, &error),
        }
    }

    /// Tells of a sample that is refused, or that the storage failed.
    #[cold]
    fn refused(&mut self, origin: &Origin<'r>, t_ms: i64, error: &AppendError) -> Result<bool, PushError> {
        match error {
            AppendError::Storage(error) => return Err(PushError::Storage(error.clone())),
            AppendError::DuplicateTimestamp { existing, new } => {
                let text = format!(
                    "duplicate sample for timestamp {t_ms}; overrides not allowed: existing {existing}, new value {new}"
                );
                self.refuse(origin, t_ms, &text, "new-value-for-timestamp")?;
            }
            AppendError::OutOfOrder => {
                self.refuse(origin, t_ms, &error.to_string(), "sample-out-of-order")?
            }
            AppendError::OutOfBounds => self.refuse(origin, t_ms, &error.to_string(), "out_of_bounds")?,
            AppendError::TooOld => self.refuse(origin, t_ms, &error.to_string(), "sample-too-old")?,
            other => self.refuse(origin, t_ms, &other.to_string(), "invalid")?,
        }
        Ok(false)
    }

    #[cold]
    fn refuse(
        &mut self,
        origin: &Origin<'r>,
        t_ms: i64,
        text: &str,
        reason: &'static str,
    ) -> Result<(), PushError> {
        self.tenant_discards(reason, 1);
        self.read_labels(origin)?;
        let labels = &self.labels;
        tracing::debug!(series = %labels, t_ms, text, "pushed sample refused");
        self.refusals.add(|| format!("{text} for series {labels}"));
        Ok(())
    }

    fn histograms(&mut self, origin: &Origin<'r>, at: &mut SeriesRef) -> Result<(), PushError> {
        let mut before_ms = 0;
        for sample in origin.series.histograms() {
            let HistogramSample { t_ms, start_ms, mut value } = sample?;
            if let Err(error) = reduce(&mut value) {
                self.refuse(origin, t_ms, &error.to_string(), "invalid")?;
                continue;
            }
            let is_new_start = std::mem::replace(&mut before_ms, start_ms) != start_ms;
            if is_new_start && self.receiver.options.zero_at_start && t_ms != 0 {
                match &value {
                    AnyHistogram::Integer(h) => {
                        self.append_zero(*at, start_ms, t_ms, SampleValue::Histogram(&zero_like(h)));
                    }
                    AnyHistogram::Float(h) => {
                        self.append_zero(
                            *at,
                            start_ms,
                            t_ms,
                            SampleValue::FloatHistogram(&zero_float_like(h)),
                        );
                    }
                }
            }
            let value = match &value {
                AnyHistogram::Integer(histogram) => SampleValue::Histogram(histogram),
                AnyHistogram::Float(histogram) => SampleValue::FloatHistogram(histogram),
            };
            let stored = self.append(origin, at, (start_ms, t_ms), value)?;
            self.written.histograms += usize::from(stored);
        }
        Ok(())
    }

    /// Adds a zero at the start of a counter, so that its first increase is seen. That it is there
    /// already, or was overtaken, is the normal case.
    #[cold]
    fn append_zero(&mut self, at: SeriesRef, start_ms: i64, t_ms: i64, zero: SampleValue<'_>) {
        if start_ms == 0 || start_ms >= t_ms {
            return;
        }
        if let Err(error) = self.appender.append_in_order(at, start_ms, zero) {
            tracing::trace!(%error, start_ms, t_ms, "start timestamp not stored");
        }
    }

    fn exemplars(&mut self, origin: &Origin<'r>, at: SeriesRef) -> Result<(), PushError> {
        for raw in origin.series.exemplars() {
            let raw = raw?;
            let mut labels = LabelSet::default();
            match raw.for_each_label(|pair| labels.push(pair)) {
                Ok(()) => {}
                Err(LabelsError::Malformed(error)) => return Err(PushError::Malformed(error)),
                Err(LabelsError::Symbols(error)) => {
                    self.read_labels(origin)?;
                    let labels = &self.labels;
                    self.refusals.add(|| format!("parsing exemplar for series {labels}: {error}"));
                    continue;
                }
            }
            labels.sort();
            let Some(labels) = labels.exemplar_labels() else { continue };
            let exemplar =
                Exemplar { labels, value: raw.value, timestamp_ms: raw.t_ms, has_timestamp: raw.t_ms != 0 };
            self.exemplar(origin, at, &exemplar)?;
        }
        Ok(())
    }

    fn exemplar(&mut self, origin: &Origin<'r>, at: SeriesRef, exemplar: &Exemplar) -> Result<(), PushError> {
        if exemplar.timestamp_ms > self.now_ms.saturating_add(MAX_AHEAD_MS) {
            tracing::debug!(t_ms = exemplar.timestamp_ms, "exemplar too far in the future");
            return Ok(());
        }
        match self.appender.append_exemplar(at, exemplar) {
            Ok(()) => self.written.exemplars += 1,
            // Only version 2.0 tells of them, and only of these: senders repeat exemplars.
            Err(AppendError::InvalidExemplar(reason))
                if reason.starts_with("out of order") && self.request.message() == MessageType::V2 =>
            {
                self.read_labels(origin)?;
                let labels = &self.labels;
                self.refusals.add(|| format!("{reason} for series {labels}"));
            }
            Err(error) => tracing::debug!(%error, "exemplar refused"),
        }
        Ok(())
    }

    fn note_metadata(&mut self, at: SeriesRef, metadata: Option<&RawMetadata<'r>>, stored: usize) {
        let Some(metadata) = metadata else {
            self.without_metadata += stored;
            return;
        };
        if !self.receiver.options.append_metadata {
            return;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        let metadata = Metadata {
            metric_type: metadata.metric_type,
            unit: text(metadata.unit),
            help: text(metadata.help),
        };
        if let Err(error) = self.appender.update_metadata(at, &metadata) {
            self.without_metadata += stored;
            tracing::debug!(%error, "metadata not stored");
        }
    }
}

/// References as the reference prints them: `[1 2 3]`.
struct Shown<'r>(&'r [u32]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MAX_SHOWN: usize = 100;
        f.write_str("[")?;
        for (i, reference) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let separator = if i == 0 { "" } else { " " };
            write!(f, "{separator}{reference}")?;
        }
        f.write_str(if self.0.len() > MAX_SHOWN { " ...]" } else { "]" })
    }
}

/// Brings a histogram of a resolution beyond those stored to the finest of those.
fn reduce(value: &mut AnyHistogram) -> Result<(), HistogramError> {
    let is_too_fine = |schema| is_reserved_exponential_schema(schema) && schema > EXPONENTIAL_SCHEMA_MAX;
    match value {
        AnyHistogram::Integer(h) if is_too_fine(h.schema) => h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX),
        AnyHistogram::Float(h) if is_too_fine(h.schema) => h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX),
        _ => Ok(()),
    }
}

/// An empty histogram of the same shape, so that no new chunk is needed after it.
fn zero_like(like: &Histogram) -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::CounterReset,
        schema: like.schema,
        zero_threshold: like.zero_threshold,
        custom_values: like.custom_values.clone(),
        ..Histogram::default()
    }
}

fn zero_float_like(like: &FloatHistogram) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: CounterResetHint::CounterReset,
        schema: like.schema,
        zero_threshold: like.zero_threshold,
        custom_values: like.custom_values.clone(),
        ..FloatHistogram::default()
    }
}
