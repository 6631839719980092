//! The series about a scrape itself: `up` and its companions.

use model::{AppendError, Appender, Metadata, MetricType, SampleValue, SeriesRef};

use super::rules::SampleRules;

/// A series about a scrape.
struct Definition {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
}

/// Of these the last three are only stored if asked for.
const DEFINITIONS: [Definition; 8] = [
    Definition {
        name: "up",
        unit: "targets",
        help: "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.",
    },
    Definition {
        name: "scrape_duration_seconds",
        unit: "seconds",
        help: "Duration of the last scrape in seconds.",
    },
    Definition { name: "scrape_samples_scraped", unit: "samples", help: "Number of samples last scraped." },
    Definition {
        name: "scrape_samples_post_metric_relabeling",
        unit: "samples",
        help: "Number of samples remaining after metric relabeling was applied.",
    },
    Definition { name: "scrape_series_added", unit: "series", help: "Number of series in the last scrape." },
    Definition {
        name: "scrape_timeout_seconds",
        unit: "seconds",
        help: "The configured scrape timeout for a target.",
    },
    Definition {
        name: "scrape_sample_limit",
        unit: "samples",
        help: "The configured sample limit for a target. Returns zero if there is no limit configured.",
    },
    Definition {
        name: "scrape_body_size_bytes",
        unit: "bytes",
        help: "The uncompressed size of the last scrape response, if successful. Scrapes failing because \
               body_size_limit is exceeded report -1, other scrape failures report 0.",
    },
];

/// Those that are always stored.
const BASIC: usize = 5;

/// The values of a report, in the order of the definitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub values: [f64; 8],
}

impl Report {
    /// A report that ends the series.
    pub fn stale() -> Self {
        Self { values: [model::stale_nan(); 8] }
    }
}

/// The references of a target's report series.
#[derive(Debug, Clone, Default)]
pub(super) struct ReportSeries([Option<SeriesRef>; 8]);

impl ReportSeries {
    /// Appends a report. Samples that exist or were overtaken are passed over: a target may come back.
    pub fn append(
        &mut self,
        report: &Report,
        rules: &SampleRules,
        options: ReportOptions,
        appender: &mut dyn Appender,
        t_ms: i64,
    ) -> Result<(), AppendError> {
        let count = if options.extra { DEFINITIONS.len() } else { BASIC };
        for (at, (definition, value)) in DEFINITIONS.iter().zip(report.values).take(count).enumerate() {
            let result = self.append_one(at, value, rules, appender, t_ms);
            match result {
                Ok(is_new) if is_new && options.metadata => self.append_metadata(at, definition, appender),
                Ok(_)
                | Err(
                    AppendError::OutOfOrder
                    | AppendError::DuplicateTimestamp { .. }
                    | AppendError::TooOld
                    | AppendError::SeriesLimit { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Appends one value; true if its series was not known.
    fn append_one(
        &mut self,
        at: usize,
        value: f64,
        rules: &SampleRules,
        appender: &mut dyn Appender,
        t_ms: i64,
    ) -> Result<bool, AppendError> {
        let sample = SampleValue::Float(value);
        if let Some(series) = self.0[at] {
            match appender.append_in_order(series, t_ms, sample) {
                Err(AppendError::UnknownSeries) => {}
                other => return other.map(|()| false),
            }
        }
        let series = appender.resolve(&rules.report_labels(DEFINITIONS[at].name))?;
        appender.append_in_order(series, t_ms, sample)?;
        Ok(self.0[at].replace(series).is_none())
    }

    fn append_metadata(&self, at: usize, definition: &Definition, appender: &mut dyn Appender) {
        let Some(series) = self.0[at] else { return };
        let metadata = Metadata {
            metric_type: MetricType::Gauge,
            unit: definition.unit.into(),
            help: definition.help.into(),
        };
        if let Err(error) = appender.update_metadata(series, &metadata) {
            tracing::debug!(%error, "metadata of a report series not stored");
        }
    }
}

/// Which reports are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReportOptions {
    /// The extra scrape metrics too.
    pub extra: bool,
    /// Their metadata too.
    pub metadata: bool,
}
