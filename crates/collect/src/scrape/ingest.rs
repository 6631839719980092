//! From the bytes of a scrape to samples in a transaction.

use std::sync::Arc;

use config::ScrapeConfig;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
use model::{
    AppendError, Appender, CounterResetHint, Exemplar, FloatHistogram, Histogram, Labels, SampleValue,
    SeriesRef,
};
use parking_lot::Mutex;
use wire::exposition::HistogramSample;
use wire::negotiate::NegotiationError;
use wire::{Entry, Exposition, ParseError, ParseOptions, Parser, RawLabels};

use super::ScrapeOptions;
use super::cache::{Lookup, SeriesCache, SlotId};
use super::metadata::{MetadataCache, TextPool, is_part_of_family};
use super::metrics::ScrapeMetrics;
use super::report::ReportSeries;
use super::rules::{LabelError, SampleRules};
use super::target::Target;

/// How far in the future a sample's own timestamp may lie.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Why the samples of a scrape are refused as a whole.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IngestError {
    /// The format is not known.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The body does not follow its format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A sample's labels are not allowed.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// More samples than `sample_limit`.
    #[error("sample limit exceeded")]
    SampleLimit,
    /// A histogram has too many buckets even at the coarsest resolution.
    #[error("histogram bucket limit exceeded")]
    BucketLimit,
    /// The storage refused a sample in a way that concerns them all.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a scrape brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Samples in the body.
    pub scraped: usize,
    /// Samples left by relabelling.
    pub kept: usize,
    /// Samples of series that were not known.
    pub series_added: usize,
}

/// How the samples of one target are taken in.
#[derive(Debug)]
pub(super) struct IngestSettings {
    pub rules: SampleRules,
    honor_timestamps: bool,
    track_timestamps_staleness: bool,
    pub sample_limit: u64,
    bucket_limit: u64,
    max_schema: i32,
    parse: ParseOptions,
    append_metadata: bool,
    zero_at_start: bool,
    start_timestamps: bool,
}

impl IngestSettings {
    pub fn new(config: &ScrapeConfig, target: &Target, options: &ScrapeOptions) -> Self {
        let start_timestamps = options.start_timestamps || options.start_timestamp_zero_ingestion;
        Self {
            rules: SampleRules::new(config, target.labels()),
            honor_timestamps: config.honor_timestamps,
            track_timestamps_staleness: config.track_timestamps_staleness,
            sample_limit: config.sample_limit,
            bucket_limit: config.native_histogram_bucket_limit,
            max_schema: coarsest_schema_for(config.native_histogram_min_bucket_factor),
            parse: ParseOptions {
                type_and_unit_labels: options.type_and_unit_labels,
                ignore_native_histograms: !target.native_histograms(),
                convert_classic_to_nhcb: target.convert_classic(),
                keep_classic: target.always_classic(),
                skip_created_series: start_timestamps,
                fallback: config.fallback_scrape_protocol.map(super::fetch::media_type),
            },
            append_metadata: options.append_metadata,
            zero_at_start: options.start_timestamp_zero_ingestion,
            start_timestamps,
        }
    }
}

/// The finest schema whose buckets grow by at least `factor`.
fn coarsest_schema_for(factor: f64) -> i32 {
    if factor <= 1.0 {
        return EXPONENTIAL_SCHEMA_MAX;
    }
    let schema = -factor.log2().log2();
    schema.floor().clamp(f64::from(EXPONENTIAL_SCHEMA_MIN), f64::from(EXPONENTIAL_SCHEMA_MAX)) as i32
}

/// What is remembered of a target from scrape to scrape.
#[derive(Debug)]
pub(super) struct TargetState {
    pub cache: SeriesCache,
    pub metadata: Arc<Mutex<MetadataCache>>,
    pub report: ReportSeries,
    raw: RawLabels,
    /// When the scrape before was, or the earliest time.
    previous_ms: i64,
}

impl TargetState {
    pub fn new(texts: TextPool) -> Self {
        Self {
            cache: SeriesCache::default(),
            metadata: Arc::new(Mutex::new(MetadataCache::new(texts))),
            report: ReportSeries::default(),
            raw: RawLabels::default(),
            previous_ms: i64::MIN,
        }
    }
}

/// Samples the storage refused one by one.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    pub out_of_order: usize,
    pub duplicate: usize,
    pub out_of_bounds: usize,
    pub exemplars_out_of_order: usize,
    pub series_limit: SeriesRefusals,
}

/// New series the storage refused because of its limit.
#[derive(Debug, Clone, Default)]
pub(super) struct SeriesRefusals {
    limit: usize,
    pub count: usize,
    /// The metrics seen first, with how many series each.
    pub by_metric: Vec<(String, usize)>,
}

/// How many metrics of a scrape are named when their series are refused.
const NAMED_METRICS: usize = 10;

impl SeriesRefusals {
    fn add(&mut self, limit: usize, metric: &str) {
        self.limit = limit;
        self.count += 1;
        let metric = super::rules::cut(metric);
        let has_room = self.by_metric.len() < NAMED_METRICS;
        match self.by_metric.iter_mut().find(|(name, _)| *name == metric) {
            Some((_, count)) => *count += 1,
            None if has_room => self.by_metric.push((metric, 1)),
            None => {}
        }
    }

    /// What happened, most refused metrics first; `None` if nothing was refused.
    pub fn explain(&self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let mut metrics: Vec<_> = self.by_metric.iter().collect();
        metrics.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let metrics: Vec<_> = metrics.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        Some(format!(
            "storage.tsdb.max-series: limit of {} series reached, {} new series not stored, of metrics: {}",
            self.limit,
            self.count,
            metrics.join(", ")
        ))
    }
}

/// One scrape being taken in.
pub(super) struct Ingest<'a> {
    settings: &'a IngestSettings,
    state: &'a mut TargetState,
    appender: &'a mut dyn Appender,
    metrics: &'a ScrapeMetrics,
    t_ms: i64,
    latest_ms: i64,
    pub counts: Counts,
    pub refusals: Refusals,
    appended: u64,
    sample_limit_hit: bool,
    bucket_limit_hit: bool,
    /// The metric family declared last.
    family: String,
}

/// The value of a sample, owned where limits changed it.
enum Value<'a> {
    Float(f64),
    Integer(&'a Histogram),
    FloatHistogram(&'a FloatHistogram),
    ReducedInteger(Histogram),
    ReducedFloat(FloatHistogram),
}

impl Value<'_> {
    fn as_sample(&self) -> SampleValue<'_> {
        match self {
            Self::Float(value) => SampleValue::Float(*value),
            Self::Integer(histogram) => SampleValue::Histogram(histogram),
            Self::FloatHistogram(histogram) => SampleValue::FloatHistogram(histogram),
            Self::ReducedInteger(histogram) => SampleValue::Histogram(histogram),
            Self::ReducedFloat(histogram) => SampleValue::FloatHistogram(histogram),
        }
    }
}

impl<'a> Ingest<'a> {
    /// Begins a scrape at `t_ms`; `now_ms` is the time on the clock.
    pub fn new(
        settings: &'a IngestSettings,
        state: &'a mut TargetState,
        appender: &'a mut dyn Appender,
        metrics: &'a ScrapeMetrics,
        (t_ms, now_ms): (i64, i64),
    ) -> Self {
        Self {
            settings,
            state,
            appender,
            metrics,
            t_ms,
            latest_ms: now_ms.saturating_add(MAX_AHEAD_MS),
            counts: Counts::default(),
            refusals: Refusals::default(),
            appended: 0,
            sample_limit_hit: false,
            bucket_limit_hit: false,
            family: String::new(),
        }
    }

    /// Takes in a whole body.
    pub fn run(&mut self, body: &[u8], content_type: &str) -> Result<(), IngestError> {
        let (parser, warning) = Parser::new(body, content_type, &self.settings.parse)?;
        if let Some(warning) = warning {
            tracing::debug!(%warning, "invalid content type on scrape, using fallback setting");
        }
        match parser {
            Parser::Text(parser) => self.samples(parser),
            Parser::OpenMetrics(parser) => self.samples(parser),
            Parser::Protobuf(parser) => self.samples(*parser),
            Parser::TextNhcb(parser) => self.samples(*parser),
            Parser::OpenMetricsNhcb(parser) => self.samples(*parser),
        }?;
        self.state.previous_ms = self.t_ms;
        if self.sample_limit_hit {
            self.metrics.exceeded_sample_limit.inc();
        }
        if self.bucket_limit_hit {
            self.metrics.exceeded_bucket_limit.inc();
        }
        match (self.sample_limit_hit, self.bucket_limit_hit) {
            (true, _) => Err(IngestError::SampleLimit),
            (_, true) => Err(IngestError::BucketLimit),
            _ => Ok(()),
        }
    }

    fn samples(&mut self, mut parser: impl Exposition) -> Result<(), IngestError> {
        while let Some(entry) = parser.next(&mut self.state.cache)? {
            let lookup = match entry {
                Entry::Series | Entry::Histogram => self.state.cache.look_up(parser.series()),
                Entry::KnownSeries => self.state.cache.recognised(),
                Entry::Comment => continue,
                Entry::Help | Entry::Type | Entry::Unit => {
                    self.metadata(entry, &parser);
                    continue;
                }
            };
            self.sample(&mut parser, entry == Entry::Histogram, lookup)?;
        }
        Ok(())
    }

    fn metadata(&mut self, entry: Entry, parser: &impl Exposition) {
        let name = parser.family_name();
        let mut metadata = self.state.metadata.lock();
        match entry {
            Entry::Help => metadata.set_help(&name, &parser.help()),
            Entry::Type => metadata.set_type(&name, parser.metric_type()),
            _ => metadata.set_unit(&name, parser.unit()),
        }
        if self.settings.append_metadata {
            self.family.clear();
            self.family.push_str(&name);
        }
    }

    #[inline]
    fn sample(
        &mut self,
        parser: &mut impl Exposition,
        is_histogram: bool,
        lookup: Lookup,
    ) -> Result<(), IngestError> {
        self.counts.scraped += 1;
        let own_time = parser.timestamp_ms().filter(|_| self.settings.honor_timestamps);
        let t_ms = own_time.unwrap_or(self.t_ms);
        let known = match lookup {
            Lookup::Dropped => return Ok(()),
            Lookup::Known { again: true, .. } if own_time.is_none() => {
                self.refused(parser, &AppendError::DuplicateTimestamp { existing: 0.0, new: 0.0 });
                self.counts.kept += 1;
                return Ok(());
            }
            Lookup::Known { slot, series, .. } => Some((slot, series)),
            Lookup::New => None,
        };
        let labels = match known {
            Some(_) => None,
            None => match self.labels(parser)? {
                Some(labels) => Some(labels),
                None => {
                    self.state.cache.add_dropped(parser.series());
                    return Ok(());
                }
            },
        };
        let start_ms = if self.settings.start_timestamps { parser.start_timestamp_ms() } else { 0 };
        let appended = self.append(parser, is_histogram, known, labels, (start_ms, t_ms));
        self.counts.kept += usize::from(appended.is_ok());
        let Some((series, added)) = appended? else { return Ok(()) };

        let slot = match (known, added) {
            (Some((slot, _)), _) => Some(slot),
            (None, true) => {
                self.counts.series_added += usize::from(!self.sample_limit_hit && !self.bucket_limit_hit);
                Some(self.state.cache.add(parser.series(), series))
            }
            (None, false) => None,
        };
        if added {
            // Series with their own timestamps do not vanish with the scrape, unless that is asked for.
            if let Some(slot) = slot
                && (own_time.is_none() || self.settings.track_timestamps_staleness)
            {
                self.state.cache.track(slot);
            }
        }
        if let Some(first) = parser.next_exemplar() {
            self.exemplars(parser, first, series, t_ms, is_histogram);
        }
        if self.settings.append_metadata {
            self.append_metadata(parser, series, known.is_none());
        }
        Ok(())
    }

    fn labels(&mut self, parser: &impl Exposition) -> Result<Option<Labels>, LabelError> {
        parser.labels_into(&mut self.state.raw);
        let labels = self.settings.rules.apply(&self.state.raw);
        if labels.as_ref().is_err_and(LabelError::is_limit) {
            self.metrics.exceeded_label_limits.inc();
        }
        labels
    }

    /// Appends a sample; the series and whether the sample was taken, or nothing if the series could not
    /// even be created.
    #[inline]
    fn append(
        &mut self,
        parser: &impl Exposition,
        is_histogram: bool,
        known: Option<(SlotId, SeriesRef)>,
        labels: Option<Labels>,
        (start_ms, t_ms): (i64, i64),
    ) -> Result<Option<(SeriesRef, bool)>, IngestError> {
        let value = if is_histogram {
            match self.histogram(parser) {
                Some(value) => value,
                None => return Ok(None),
            }
        } else {
            Value::Float(parser.value())
        };
        self.appended += 1;
        if self.settings.sample_limit > 0 && self.appended > self.settings.sample_limit {
            self.sample_limit_hit = true;
            return Ok(None);
        }
        if t_ms > self.latest_ms {
            self.refused(parser, &AppendError::OutOfBounds);
            return Ok(None);
        }
        let series = match (known, &labels) {
            (Some((_, series)), _) => series,
            (None, Some(labels)) => match self.resolve(parser, labels)? {
                Some(series) => series,
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        if self.settings.zero_at_start && start_ms != 0 {
            self.append_zero(series, start_ms, t_ms, &value, known.is_none());
        }
        match self.appender.append(series, start_ms, t_ms, value.as_sample()) {
            Ok(()) => Ok(Some((series, true))),
            Err(AppendError::UnknownSeries) => self.append_again(parser, known, (start_ms, t_ms), &value),
            Err(error) if self.refused(parser, &error) => Ok(Some((series, false))),
            Err(error) => Err(error.into()),
        }
    }

    /// The storage has dropped the series: resolves its labels again.
    #[cold]
    fn append_again(
        &mut self,
        parser: &impl Exposition,
        known: Option<(SlotId, SeriesRef)>,
        (start_ms, t_ms): (i64, i64),
        value: &Value<'_>,
    ) -> Result<Option<(SeriesRef, bool)>, IngestError> {
        let Some(labels) = self.labels(parser)? else { return Ok(None) };
        let Some(series) = self.resolve(parser, &labels)? else { return Ok(None) };
        if let Some((slot, _)) = known {
            self.state.cache.set_series(slot, series);
        }
        match self.appender.append(series, start_ms, t_ms, value.as_sample()) {
            Ok(()) => Ok(Some((series, true))),
            Err(error) if self.refused(parser, &error) => Ok(Some((series, false))),
            Err(error) => Err(error.into()),
        }
    }

    /// The series of these labels; `None` if the storage takes no more series.
    fn resolve(
        &mut self,
        parser: &impl Exposition,
        labels: &Labels,
    ) -> Result<Option<SeriesRef>, IngestError> {
        match self.appender.resolve(labels) {
            Ok(series) => Ok(Some(series)),
            Err(error) if self.refused(parser, &error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Counts an error that concerns one sample alone; false if it concerns more.
    #[cold]
    fn refused(&mut self, parser: &impl Exposition, error: &AppendError) -> bool {
        match error {
            AppendError::OutOfOrder | AppendError::TooOld => {
                self.refusals.out_of_order += 1;
                self.metrics.out_of_order.inc();
            }
            AppendError::DuplicateTimestamp { .. } => {
                self.refusals.duplicate += 1;
                self.metrics.duplicate_timestamp.inc();
            }
            AppendError::OutOfBounds => {
                self.refusals.out_of_bounds += 1;
                self.metrics.out_of_bounds.inc();
            }
            AppendError::SeriesLimit { limit, metric } => self.refusals.series_limit.add(*limit, metric),
            _ => return false,
        }
        tracing::debug!(series = %String::from_utf8_lossy(parser.series()), %error, "sample refused");
        true
    }

    /// The native histogram of a sample, made coarser where limits ask for it; `None` if that is not enough.
    fn histogram<'p>(&mut self, parser: &'p impl Exposition) -> Option<Value<'p>> {
        let (schema, buckets) = match parser.histogram()? {
            HistogramSample::Integer(h) => (h.schema, h.positive_buckets.len() + h.negative_buckets.len()),
            HistogramSample::Float(h) => (h.schema, h.positive_buckets.len() + h.negative_buckets.len()),
        };
        let is_exponential = schema != CUSTOM_BUCKETS_SCHEMA;
        let too_fine = is_exponential && schema > self.settings.max_schema;
        let too_many = self.settings.bucket_limit > 0 && buckets as u64 > self.settings.bucket_limit;
        if !too_fine && !too_many {
            return Some(match parser.histogram()? {
                HistogramSample::Integer(histogram) => Value::Integer(histogram),
                HistogramSample::Float(histogram) => Value::FloatHistogram(histogram),
            });
        }
        let reduced = match parser.histogram()? {
            HistogramSample::Integer(histogram) => self.reduced_integer(histogram.clone()),
            HistogramSample::Float(histogram) => self.reduced_float(histogram.clone()),
        };
        self.bucket_limit_hit |= reduced.is_none();
        reduced
    }

    fn reduced_integer(&self, mut histogram: Histogram) -> Option<Value<'static>> {
        let limit = self.settings.bucket_limit;
        if histogram.schema > self.settings.max_schema {
            histogram.reduce_resolution(self.settings.max_schema).ok()?;
        }
        while limit > 0
            && (histogram.positive_buckets.len() + histogram.negative_buckets.len()) as u64 > limit
        {
            if histogram.schema <= EXPONENTIAL_SCHEMA_MIN {
                return None;
            }
            histogram.reduce_resolution(histogram.schema - 1).ok()?;
        }
        Some(Value::ReducedInteger(histogram))
    }

    fn reduced_float(&self, mut histogram: FloatHistogram) -> Option<Value<'static>> {
        let limit = self.settings.bucket_limit;
        if histogram.schema > self.settings.max_schema {
            histogram.reduce_resolution(self.settings.max_schema).ok()?;
        }
        while limit > 0
            && (histogram.positive_buckets.len() + histogram.negative_buckets.len()) as u64 > limit
        {
            if histogram.schema <= EXPONENTIAL_SCHEMA_MIN {
                return None;
            }
            histogram.reduce_resolution(histogram.schema - 1).ok()?;
        }
        Some(Value::ReducedFloat(histogram))
    }

    /// Adds a zero at the start of a counter, so that its first increase is seen. Only a start after the
    /// scrape before is news.
    fn append_zero(&mut self, series: SeriesRef, start_ms: i64, t_ms: i64, value: &Value<'_>, is_new: bool) {
        if start_ms >= t_ms || (!is_new && start_ms <= self.state.previous_ms) {
            return;
        }
        let result = match value {
            Value::Float(_) => self.appender.append(series, 0, start_ms, SampleValue::Float(0.0)),
            Value::Integer(h) => self.append_zero_histogram(series, start_ms, h),
            Value::ReducedInteger(h) => self.append_zero_histogram(series, start_ms, h),
            Value::FloatHistogram(h) => self.append_zero_float(series, start_ms, h),
            Value::ReducedFloat(h) => self.append_zero_float(series, start_ms, h),
        };
        if let Err(error) = result.filter_out_of_order() {
            tracing::debug!(%error, start_ms, t_ms, "start timestamp not stored");
        }
    }

    fn append_zero_histogram(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        like: &Histogram,
    ) -> Result<(), AppendError> {
        let zero = Histogram {
            counter_reset_hint: CounterResetHint::CounterReset,
            schema: like.schema,
            zero_threshold: like.zero_threshold,
            custom_values: like.custom_values.clone(),
            ..Histogram::default()
        };
        self.appender.append(series, 0, start_ms, SampleValue::Histogram(&zero))
    }

    fn append_zero_float(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        like: &FloatHistogram,
    ) -> Result<(), AppendError> {
        let zero = FloatHistogram {
            counter_reset_hint: CounterResetHint::CounterReset,
            schema: like.schema,
            zero_threshold: like.zero_threshold,
            custom_values: like.custom_values.clone(),
            ..FloatHistogram::default()
        };
        self.appender.append(series, 0, start_ms, SampleValue::FloatHistogram(&zero))
    }

    /// Appends the exemplars of a sample in time order; targets repeat those they have shown before.
    fn exemplars(
        &mut self,
        parser: &mut impl Exposition,
        first: Exemplar,
        series: SeriesRef,
        t_ms: i64,
        is_histogram: bool,
    ) {
        let mut exemplars = vec![first];
        exemplars.extend(std::iter::from_fn(|| parser.next_exemplar()));
        // Without their own time, those of a native histogram could not be told from new ones next time.
        exemplars.retain(|exemplar| exemplar.has_timestamp || !is_histogram);
        for exemplar in exemplars.iter_mut().filter(|exemplar| !exemplar.has_timestamp) {
            exemplar.timestamp_ms = t_ms;
        }
        exemplars.sort_by(|a, b| {
            a.timestamp_ms
                .cmp(&b.timestamp_ms)
                .then(a.value.total_cmp(&b.value))
                .then_with(|| a.labels.cmp(&b.labels))
        });
        let mut refused = 0;
        for exemplar in &exemplars {
            match self.appender.append_exemplar(series, exemplar) {
                Ok(()) => {}
                Err(AppendError::InvalidExemplar(reason)) if reason.starts_with("out of order") => {
                    refused += 1
                }
                Err(error) => tracing::debug!(%error, "exemplar refused"),
            }
        }
        // Some being old is the normal case: the target repeats them.
        if refused > 0 && refused == exemplars.len() {
            self.refusals.exemplars_out_of_order += refused;
            self.metrics.exemplar_out_of_order.add(refused as u64);
        }
    }

    fn append_metadata(&mut self, parser: &impl Exposition, series: SeriesRef, is_new: bool) {
        let metadata = self.state.metadata.lock();
        if self.family.is_empty() || !(is_new || metadata.is_changed(&self.family)) {
            return;
        }
        let Some((metadata, _)) = metadata.get(&self.family) else { return };
        parser.labels_into(&mut self.state.raw);
        let name = self.state.raw.get(model::METRIC_NAME).unwrap_or_default();
        if !is_part_of_family(name, &self.family, metadata.metric_type) {
            return;
        }
        if let Err(error) = self.appender.update_metadata(series, &metadata) {
            tracing::debug!(%error, "metadata not stored");
        }
    }
}

/// Errors that mean a sample is there already or was overtaken.
trait FilterOutOfOrder {
    /// The error unless it is one of those.
    fn filter_out_of_order(self) -> Self;
}

impl FilterOutOfOrder for Result<(), AppendError> {
    fn filter_out_of_order(self) -> Self {
        match self {
            Err(
                AppendError::OutOfOrder
                | AppendError::TooOld
                | AppendError::OutOfBounds
                | AppendError::DuplicateTimestamp { .. },
            ) => Ok(()),
            other => other,
        }
    }
}

/// Marks every series stale that the scrape before had and this one has not.
pub(super) fn append_stale_markers(
    cache: &SeriesCache,
    appender: &mut dyn Appender,
    t_ms: i64,
) -> Result<(), AppendError> {
    let mut failed = Ok(());
    cache.for_each_stale(|series| {
        if failed.is_err() {
            return;
        }
        let marker = SampleValue::Float(model::stale_nan());
        match appender.append_in_order(series, t_ms, marker).filter_out_of_order() {
            // A series the storage has dropped needs no marker.
            Ok(()) | Err(AppendError::UnknownSeries) => {}
            Err(error) => failed = Err(error),
        }
    });
    failed
}
