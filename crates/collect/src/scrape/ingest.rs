//! From the bytes of a scrape to samples in a transaction.
//!
//! In reading order: `settings`, `value` (what limits do to histograms), `refusals` (samples the storage
//! does not take).

mod refusals;
mod settings;
mod value;

use std::sync::Arc;

use model::{AppendError, Appender, Exemplar, Labels, SampleValue, SeriesRef};
use parking_lot::Mutex;
use wire::negotiate::NegotiationError;
use wire::{Entry, Exposition, ParseError, Parser, RawLabels};

pub(super) use self::refusals::Refusals;
pub(super) use self::settings::IngestSettings;
pub(super) use self::value::Value;
use super::cache::{Lookup, SeriesCache, SlotId, UNRESOLVED};
use super::metadata::{MetadataCache, TextPool, is_part_of_family};
use super::metrics::ScrapeMetrics;
use super::report::ReportSeries;
use super::rules::LabelError;
use super::synthesis::{Overtaken, Started, Starts, is_cumulative};

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

/// What is remembered of a target from scrape to scrape.
#[derive(Debug)]
pub(super) struct TargetState {
    pub cache: SeriesCache,
    pub metadata: Arc<Mutex<MetadataCache>>,
    pub report: ReportSeries,
    /// Start timestamps that targets did not give.
    pub starts: Starts,
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
            starts: Starts::default(),
            raw: RawLabels::default(),
            previous_ms: i64::MIN,
        }
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
        let parsed = match parser {
            Parser::Text(parser) => self.samples(parser),
            Parser::OpenMetrics(parser) => self.samples(parser),
            Parser::Protobuf(parser) => self.samples(*parser),
            Parser::TextNhcb(parser) => self.samples(*parser),
            Parser::OpenMetricsNhcb(parser) => self.samples(*parser),
        };
        // Limits that were hit count even if the rest of the body cannot be read.
        if self.sample_limit_hit {
            self.metrics.exceeded_sample_limit.inc();
        }
        if self.bucket_limit_hit {
            self.metrics.exceeded_bucket_limit.inc();
        }
        parsed?;
        self.state.previous_ms = self.t_ms;
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
        if self.settings.append_metadata || self.settings.synthesize_start {
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
            Lookup::Known { slot, again: true, .. } if own_time.is_none() => {
                self.refused(parser, &AppendError::DuplicateTimestamp { existing: 0.0, new: 0.0 });
                self.counts.kept += 1;
                self.forget_start(slot);
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
        let (series, slot) = match (appended?, known) {
            (Appended::Stored(series), Some((slot, _))) => (series, slot),
            (Appended::Stored(series), None) => (series, self.add_series(parser, series)),
            (Appended::Awaited, _) => return Ok(()),
            (Appended::Refused, Some((slot, _))) => {
                self.forget_start(slot);
                return Ok(());
            }
            (Appended::Refused, None) => return Ok(()),
        };
        // Series with their own timestamps do not vanish with the scrape, unless that is asked for.
        if own_time.is_none() || self.settings.track_timestamps_staleness || self.has_start(slot) {
            self.state.cache.track(slot);
        }
        if let Some(first) = parser.next_exemplar() {
            self.exemplars(parser, first, series, t_ms, is_histogram);
        }
        if self.settings.append_metadata {
            let is_new = known.is_none_or(|(_, before)| before != series);
            self.append_metadata(parser, series, is_new);
        }
        Ok(())
    }

    fn add_series(&mut self, parser: &impl Exposition, series: SeriesRef) -> SlotId {
        self.counts.series_added += usize::from(!self.sample_limit_hit && !self.bucket_limit_hit);
        self.state.cache.add(parser.series(), series)
    }

    fn labels(&mut self, parser: &impl Exposition) -> Result<Option<Labels>, LabelError> {
        parser.labels_into(&mut self.state.raw);
        let labels = self.settings.rules.apply(&self.state.raw);
        if labels.as_ref().is_err_and(LabelError::is_limit) {
            self.metrics.exceeded_label_limits.inc();
        }
        labels
    }

    /// Appends a sample, within the limits of the job.
    #[inline]
    fn append(
        &mut self,
        parser: &impl Exposition,
        is_histogram: bool,
        known: Option<(SlotId, SeriesRef)>,
        labels: Option<Labels>,
        (mut start_ms, t_ms): (i64, i64),
    ) -> Result<Appended, IngestError> {
        let mut value = match parser.histogram().filter(|_| is_histogram) {
            Some(histogram) => Value::from(histogram),
            None => Value::Float(parser.value()),
        };
        let mut is_first = known.is_none();
        if self.settings.synthesize_start && start_ms == 0 {
            match self.synthesize(parser, known, value, t_ms) {
                Synthesized::Sample(same) => value = same,
                Synthesized::Started(started) => {
                    (value, start_ms, is_first) = (started.value, started.start_ms, started.is_first);
                }
                Synthesized::Awaited => return Ok(Appended::Awaited),
                Synthesized::Overtaken => return Ok(self.refuse(parser, &AppendError::OutOfOrder)),
            }
        }
        let Ok(value) = self.settings.resolution.fit(value) else {
            self.bucket_limit_hit = true;
            return Ok(Appended::Refused);
        };
        if self.settings.sample_limit > 0 && self.exceeds_sample_limit(known.is_some(), &value) {
            self.sample_limit_hit = true;
            return Ok(Appended::Refused);
        }
        if t_ms > self.latest_ms {
            return Ok(self.refuse(parser, &AppendError::OutOfBounds));
        }
        let series = match (known, &labels) {
            (Some((_, UNRESOLVED)), _) => return self.append_again(parser, known, (start_ms, t_ms), &value),
            (Some((_, series)), _) => series,
            (None, Some(labels)) => match self.resolve(parser, labels)? {
                Some(series) => series,
                None => return Ok(Appended::Refused),
            },
            (None, None) => return Ok(Appended::Refused),
        };
        if self.settings.zero_at_start && start_ms != 0 {
            self.append_zero(series, start_ms, t_ms, &value, is_first);
        }
        match self.appender.append(series, start_ms, t_ms, value.as_sample()) {
            Ok(()) => Ok(Appended::Stored(series)),
            Err(AppendError::UnknownSeries) => self.append_again(parser, known, (start_ms, t_ms), &value),
            Err(error) if self.refused(parser, &error) => Ok(Appended::Refused),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether one more sample is too many. The end of a known series can always be stored.
    fn exceeds_sample_limit(&mut self, is_known: bool, value: &Value<'_>) -> bool {
        if is_known && value.is_stale() {
            return false;
        }
        self.appended += 1;
        self.appended > self.settings.sample_limit
    }

    /// The storage does not have the series, or no longer: resolves its labels.
    #[cold]
    fn append_again(
        &mut self,
        parser: &impl Exposition,
        known: Option<(SlotId, SeriesRef)>,
        (start_ms, t_ms): (i64, i64),
        value: &Value<'_>,
    ) -> Result<Appended, IngestError> {
        let Some(labels) = self.labels(parser)? else { return Ok(Appended::Refused) };
        let Some(series) = self.resolve(parser, &labels)? else { return Ok(Appended::Refused) };
        if let Some((slot, _)) = known {
            self.state.cache.set_series(slot, series);
        }
        if self.settings.zero_at_start && start_ms != 0 {
            self.append_zero(series, start_ms, t_ms, value, true);
        }
        match self.appender.append(series, start_ms, t_ms, value.as_sample()) {
            Ok(()) => Ok(Appended::Stored(series)),
            Err(error) if self.refused(parser, &error) => Ok(Appended::Refused),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a sample of a counter whose target tells no start one.
    #[cold]
    fn synthesize<'p>(
        &mut self,
        parser: &impl Exposition,
        known: Option<(SlotId, SeriesRef)>,
        value: Value<'p>,
        t_ms: i64,
    ) -> Synthesized<'p> {
        let key = known.map(|(slot, _)| self.state.cache.key(slot));
        if let Some(key) = key.filter(|&key| self.state.starts.contains(key)) {
            return match self.state.starts.advance(key, value, t_ms) {
                Some(Ok(started)) => Synthesized::Started(started),
                Some(Err(Overtaken)) | None => Synthesized::Overtaken,
            };
        }
        if !self.is_cumulative(parser) {
            return Synthesized::Sample(value);
        }
        let key = key.unwrap_or_else(|| {
            let slot = self.add_series(parser, UNRESOLVED);
            self.state.cache.key(slot)
        });
        self.state.starts.begin(key, &value, t_ms);
        Synthesized::Awaited
    }

    /// Whether the sample belongs to the family declared last, and that only goes up.
    fn is_cumulative(&mut self, parser: &impl Exposition) -> bool {
        let Some((metadata, _)) = self.state.metadata.lock().get(&self.family) else { return false };
        parser.labels_into(&mut self.state.raw);
        let name = self.state.raw.get(model::METRIC_NAME).unwrap_or_default();
        is_part_of_family(name, &self.family, metadata.metric_type)
            && is_cumulative(name, metadata.metric_type)
    }

    fn has_start(&self, slot: SlotId) -> bool {
        self.settings.synthesize_start && self.state.starts.contains(self.state.cache.key(slot))
    }

    fn forget_start(&mut self, slot: SlotId) {
        if self.settings.synthesize_start {
            self.state.starts.forget(self.state.cache.key(slot));
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

    fn refuse(&mut self, parser: &impl Exposition, error: &AppendError) -> Appended {
        self.refused(parser, error);
        Appended::Refused
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

    /// Adds a zero at the start of a counter, so that its first increase is seen. Only a start after the
    /// scrape before is news.
    fn append_zero(&mut self, series: SeriesRef, start_ms: i64, t_ms: i64, value: &Value<'_>, is_new: bool) {
        if start_ms >= t_ms || (!is_new && start_ms <= self.state.previous_ms) {
            return;
        }
        let zero = self.appender.append(series, 0, start_ms, value.zero().as_sample());
        if let Err(error) = zero.filter_out_of_order() {
            tracing::debug!(%error, start_ms, t_ms, "start timestamp not stored");
        }
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
            // Nor is what follows, until the next family is declared.
            self.family.clear();
            return;
        }
        if let Err(error) = self.appender.update_metadata(series, &metadata) {
            tracing::debug!(%error, "metadata not stored");
        }
    }
}

/// What became of a sample.
enum Appended {
    Stored(SeriesRef),
    /// It is not stored, and counted where that is due.
    Refused,
    /// It only tells where its series starts.
    Awaited,
}

/// A sample after the synthesis of start timestamps.
enum Synthesized<'a> {
    /// As it was: its series is not cumulative.
    Sample(Value<'a>),
    Started(Started<'a>),
    /// The first of its series, which is not stored.
    Awaited,
    /// Older than the one before.
    Overtaken,
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
