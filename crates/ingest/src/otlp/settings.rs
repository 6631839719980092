//! How metrics become series: what the configuration file says, and what the flags say.

use std::time::Duration;

/// How names become names of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Illegal characters become underscores; unit and type are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Illegal characters become underscores; nothing is appended.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay as they are; unit and type are appended.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

/// Which attributes of a resource become labels of its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// These.
    Only(Vec<String>),
    /// All but these.
    AllBut(Vec<String>),
}

impl Promotion {
    /// Whether the attribute becomes a label.
    pub fn includes(&self, attribute: &str) -> bool {
        match self {
            Self::Only(listed) => listed.iter().any(|name| name == attribute),
            Self::AllBut(listed) => listed.iter().all(|name| name != attribute),
        }
    }
}

/// The section `otlp` of the configuration; it may change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// How names become names of series.
    pub strategy: Strategy,
    /// Which attributes of a resource become labels of its series.
    pub promotion: Promotion,
    /// Whether `service.name`, `service.namespace` and `service.instance.id` stay in `target_info` too.
    pub keep_identifying_resource_attributes: bool,
    /// Whether histograms with listed bounds become native ones.
    pub convert_histograms_to_nhcb: bool,
    /// Whether name, version, schema and attributes of the scope become labels.
    pub promote_scope_metadata: bool,
    /// Whether `key` is put before labels that begin with one underscore.
    pub label_name_underscore_sanitization: bool,
    /// Whether runs of underscores in label names are kept.
    pub label_name_preserve_multiple_underscores: bool,
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            promotion: Promotion::Only(Vec::new()),
            keep_identifying_resource_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
        }
    }
}

/// What happens to sums and histograms that count since the point before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeltaMode {
    /// They are refused.
    #[default]
    Refuse,
    /// They are added up.
    Accumulate,
    /// They are stored as they are, as metrics of no known type.
    Store,
}

/// What does not change while the server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// What happens to deltas.
    pub delta: DeltaMode,
    /// Streams of deltas that are added up at once; more are refused. 0 for no limit.
    pub max_delta_streams: usize,
    /// How far back queries look for a sample: `target_info` is repeated twice as often.
    pub lookback: Duration,
    /// Whether type and unit become labels.
    pub type_and_unit_labels: bool,
    /// Whether a zero is stored where a point's start is known.
    pub zero_at_start: bool,
    /// Whether the storage keeps metadata.
    pub append_metadata: bool,
    /// Series whose references are remembered.
    pub cached_series: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            delta: DeltaMode::default(),
            max_delta_streams: 1_000_000,
            lookback: Duration::from_secs(300),
            type_and_unit_labels: false,
            zero_at_start: false,
            append_metadata: false,
            cached_series: 1_000_000,
        }
    }
}
