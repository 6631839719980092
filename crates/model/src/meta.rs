//! Metric metadata and exemplars.

use smol_str::SmolStr;

use crate::labels::Labels;

/// The type a metric family declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricType {
    /// Nothing is declared.
    #[default]
    Unknown,
    /// A counter.
    Counter,
    /// A gauge.
    Gauge,
    /// A histogram, classic or native.
    Histogram,
    /// A gauge histogram (OpenMetrics).
    GaugeHistogram,
    /// A summary.
    Summary,
    /// An info metric (OpenMetrics).
    Info,
    /// A state set (OpenMetrics).
    StateSet,
}

impl MetricType {
    /// The name used in exposition formats and the HTTP API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// What a target says about a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// The declared type.
    pub metric_type: MetricType,
    /// The declared unit, or empty.
    pub unit: SmolStr,
    /// The help text, or empty.
    pub help: SmolStr,
}

/// One recorded example of an observation, usually pointing to a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Labels such as `trace_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When it was observed, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Whether the target gave the timestamp, rather than the scrape.
    pub has_timestamp: bool,
}
