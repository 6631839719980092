//! Samples on their way into one transaction of the storage.

use std::sync::atomic::{AtomicU64, Ordering};

use base::metrics::{Counter, Family, Kind, Registry};
use model::{
    AppendError, Appender, CounterResetHint, Exemplar, Histogram, Labels, SampleValue, SeriesRef,
    is_stale_nan,
};

use super::context::Description;

/// Clocks of senders may be ahead by as much.
const MAX_AHEAD_MS: i64 = 10 * 60_000;

/// What is counted, under Prometheus's names where it has one.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    without_metadata: Counter,
    bad_exemplars: Counter,
    warnings: std::sync::Arc<[AtomicU64; Warning::ALL.len()]>,
    pub accepted: Counter,
    pub rejected: Counter,
}

/// What was odd about metrics that were stored nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warning {
    EmptyDataPoints,
    LabelNameCollision,
    ZeroCountNonZeroSum,
}

impl Warning {
    const ALL: [Self; 3] = [Self::EmptyDataPoints, Self::LabelNameCollision, Self::ZeroCountNonZeroSum];

    fn category(self) -> &'static str {
        match self {
            Self::EmptyDataPoints => "empty_data_points",
            Self::LabelNameCollision => "label_name_collision",
            Self::ZeroCountNonZeroSum => "histogram_zero_count_non_zero_sum",
        }
    }
}

impl Metrics {
    pub fn new(registry: &Registry) -> Self {
        let warnings = std::sync::Arc::new(Warning::ALL.map(|_| AtomicU64::new(0)));
        let counts = warnings.clone();
        registry.collect_with(move |families| {
            let name = "prometheus_api_otlp_translation_warnings_total";
            let help = "The total number of warnings produced while translating OTLP metrics to the \
                        Prometheus model, by category.";
            let mut family = Family::new(name, help, Kind::Counter);
            for (warning, count) in Warning::ALL.into_iter().zip(counts.iter()) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    family.push(&[("category", warning.category())], count as f64);
                }
            }
            // Without any, the family is not there, as a vector of counters without members is not.
            if !family.points.is_empty() {
                families.push(family);
            }
        });
        Self {
            without_metadata: registry.counter(
                "prometheus_api_otlp_appended_samples_without_metadata_total",
                "The total number of samples ingested from OTLP without corresponding metadata.",
                &[],
            ),
            bad_exemplars: registry.counter(
                "prometheus_api_otlp_out_of_order_exemplars_total",
                "The total number of received OTLP exemplars which were rejected because they were out of order.",
                &[],
            ),
            warnings,
            accepted: registry.counter(
                "bartizan_otlp_data_points_accepted_total",
                "Data points received by OTLP and stored.",
                &[],
            ),
            rejected: registry.counter(
                "bartizan_otlp_data_points_rejected_total",
                "Data points received by OTLP and refused.",
                &[],
            ),
        }
    }

    pub fn warn(&self, warning: Warning) {
        self.warnings[warning as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// A sample to append.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub start_ms: i64,
    pub t_ms: i64,
    pub value: SampleValue<'a>,
}

/// Why a sample is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum SampleError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("out of bounds: timestamp is too far in the future")]
    TooFarAhead,
}

/// One transaction and what goes with it.
pub(super) struct Sink {
    appender: Box<dyn Appender>,
    max_ms: i64,
    zero_at_start: bool,
    metrics: Metrics,
}

impl Sink {
    pub fn new(appender: Box<dyn Appender>, now_ms: i64, zero_at_start: bool, metrics: Metrics) -> Self {
        Self { appender, max_ms: now_ms.saturating_add(MAX_AHEAD_MS), zero_at_start, metrics }
    }

    /// Whether the storage would take a sample of this time as not too far ahead.
    pub fn check_time(&self, t_ms: i64) -> Result<(), SampleError> {
        if t_ms > self.max_ms { Err(SampleError::TooFarAhead) } else { Ok(()) }
    }

    pub fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, SampleError> {
        Ok(self.appender.resolve(labels)?)
    }

    /// Appends a sample with all that belongs to it.
    pub fn append(
        &mut self,
        series: SeriesRef,
        sample: &Sample<'_>,
        exemplars: &[Exemplar],
        description: &Description,
    ) -> Result<(), SampleError> {
        self.check_time(sample.t_ms)?;
        if self.zero_at_start && sample.start_ms != 0 && sample.start_ms < sample.t_ms {
            self.append_zero(series, sample);
        }
        self.appender.append(series, sample.start_ms, sample.t_ms, sample.value)?;
        if description.is_empty {
            self.metrics.without_metadata.inc();
        }
        if is_stale(&sample.value) {
            return Ok(());
        }
        for exemplar in exemplars {
            match self.appender.append_exemplar(series, exemplar) {
                Ok(()) => {}
                Err(AppendError::InvalidExemplar(_)) => self.metrics.bad_exemplars.inc(),
                Err(error) => return Err(error.into()),
            }
        }
        match &description.metadata {
            Some(metadata) => Ok(self.appender.update_metadata(series, metadata)?),
            None => Ok(()),
        }
    }

    /// Adds a zero where counting began, so that the first increase is seen. Most points repeat a start that is
    /// known: that it is not news is no error.
    fn append_zero(&mut self, series: SeriesRef, sample: &Sample<'_>) {
        let start_ms = sample.start_ms;
        let appended = match sample.value {
            SampleValue::Histogram(like) => {
                let zero = Histogram {
                    counter_reset_hint: CounterResetHint::CounterReset,
                    schema: like.schema,
                    zero_threshold: like.zero_threshold,
                    custom_values: like.custom_values.clone(),
                    ..Histogram::default()
                };
                self.appender.append_in_order(series, start_ms, SampleValue::Histogram(&zero))
            }
            _ => self.appender.append_in_order(series, start_ms, SampleValue::Float(0.0)),
        };
        match appended {
            Ok(()) | Err(AppendError::OutOfOrder | AppendError::DuplicateTimestamp { .. }) => {}
            Err(error) => {
                tracing::debug!(%error, start_ms, t_ms = sample.t_ms, "start of a series not stored")
            }
        }
    }

    /// Makes everything visible and durable.
    pub fn commit(self) -> Result<(), AppendError> {
        self.appender.commit()
    }
}

fn is_stale(value: &SampleValue<'_>) -> bool {
    match value {
        SampleValue::Float(value) => is_stale_nan(*value),
        SampleValue::Histogram(histogram) => histogram.is_stale(),
        SampleValue::FloatHistogram(histogram) => histogram.is_stale(),
    }
}
