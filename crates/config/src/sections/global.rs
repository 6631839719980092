//! Defaults of all jobs, and the process's own settings.

use std::path::PathBuf;

use model::labels::Quoted;

use super::relabel::NameValidation;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::{ByteSize, LabelMap, PromDuration};
use crate::section::{Check, choice, section};

choice! {
    /// An exposition format to ask targets for.
    pub enum ScrapeProtocol {
        /// Protobuf, delimited.
        PrometheusProto = "PrometheusProto",
        /// OpenMetrics 1.0.0.
        OpenMetricsText1_0_0 = "OpenMetricsText1.0.0",
        /// OpenMetrics 0.0.1.
        OpenMetricsText0_0_1 = "OpenMetricsText0.0.1",
        /// Text 1.0.0.
        PrometheusText1_0_0 = "PrometheusText1.0.0",
        /// Text 0.0.4.
        PrometheusText0_0_4 = "PrometheusText0.0.4",
    }
    wrong |word| {
        let mut known = ScrapeProtocol::WORDS.to_vec();
        known.sort_unstable();
        format!("unknown scrape protocol {word}, supported: [{}]", known.join(" "))
    }
}

/// What targets are asked for, most wanted first.
pub const DEFAULT_SCRAPE_PROTOCOLS: [ScrapeProtocol; 4] = [
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

/// What targets are asked for when native histograms or start timestamps are wanted.
pub const PROTO_FIRST_SCRAPE_PROTOCOLS: [ScrapeProtocol; 5] = [
    ScrapeProtocol::PrometheusProto,
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

impl ScrapeProtocol {
    /// The value of the `Accept` header for the format, without parameters of negotiation.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }
}

choice! {
    /// How names that are not legacy names are asked for.
    pub enum EscapingScheme {
        /// As they are.
        AllowUtf8 = "allow-utf-8",
        /// With underscores for what is not legal.
        Underscores = "underscores",
        /// With `_dot_` for dots and so on.
        Dots = "dots",
        /// With `U__` and code points.
        Values = "values",
    }
    wrong |word| format!(
        "unknown scrape config name escaping method specified, must be one of '{}', got {}",
        EscapingScheme::WORDS.join("', '").replace(", 'values", ", or 'values"),
        Quoted(word),
    )
}

section! {
    /// Defaults of all scrape jobs and of rule evaluation, and what marks this server's data.
    pub struct GlobalConfig ("global", "config.plain") {
        /// How often targets are scraped.
        set scrape_interval: PromDuration = PromDuration::from_secs(60);
        /// How long a scrape may take; at most the interval. Default: 10s or the interval, whichever is shorter.
        set scrape_timeout: PromDuration;
        /// Exposition formats to ask targets for, most wanted first.
        set scrape_protocols: Vec<ScrapeProtocol>;
        /// How often rules are evaluated.
        set evaluation_interval: PromDuration = PromDuration::from_secs(60);
        /// How far into the past rules are evaluated, so that late data has arrived.
        set rule_query_offset: PromDuration;
        /// The file queries are logged to.
        set query_log_file: PathBuf;
        /// The file failed scrapes are logged to.
        set scrape_failure_log_file: PathBuf;
        /// Labels added to series, alerts and queries that leave this server. `$NAME` and `${NAME}` are replaced from the environment.
        set external_labels: LabelMap;
        /// The largest uncompressed body of a scrape; 0 for no limit.
        set body_size_limit: ByteSize;
        /// The most samples of a scrape; 0 for no limit.
        set sample_limit: u64;
        /// The most targets of a job; 0 for no limit.
        set target_limit: u64;
        /// The most labels of a sample; 0 for no limit.
        set label_limit: u64;
        /// The longest label name in bytes; 0 for no limit.
        set label_name_length_limit: u64;
        /// The longest label value in bytes; 0 for no limit.
        set label_value_length_limit: u64;
        /// The most dropped targets of a job that are kept for display; 0 for no limit.
        set keep_dropped_targets: u64;
        /// Which names of metrics and labels are accepted.
        set metric_name_validation_scheme: Option<NameValidation>;
        /// How names that are not legacy names are asked for.
        set metric_name_escaping_scheme: Option<EscapingScheme>;
        /// Whether native histograms are scraped.
        set scrape_native_histograms: Option<bool>;
        /// Whether classic histograms are stored as native ones with custom buckets.
        set convert_classic_histograms_to_nhcb: bool;
        /// Whether classic histograms are stored even beside native ones.
        set always_scrape_classic_histograms: bool;
        /// Whether `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes` are stored.
        set extra_scrape_metrics: Option<bool>;
    }
}

impl GlobalConfig {
    /// The name validation scheme in force.
    pub fn name_validation(&self) -> NameValidation {
        self.metric_name_validation_scheme.unwrap_or_default()
    }

    /// The escaping scheme in force.
    pub fn escaping(&self) -> EscapingScheme {
        self.metric_name_escaping_scheme.unwrap_or(match self.name_validation() {
            NameValidation::Utf8 => EscapingScheme::AllowUtf8,
            NameValidation::Legacy => EscapingScheme::Underscores,
        })
    }

    /// Fills in what the file left out.
    pub(crate) fn complete(&mut self, defaults: &Defaults) {
        if self.scrape_interval.get().is_zero() {
            self.scrape_interval = PromDuration::from_secs(60);
        }
        if self.scrape_timeout.get().is_zero() {
            self.scrape_timeout = self.scrape_interval.min(PromDuration::from_secs(10));
        }
        if self.evaluation_interval.get().is_zero() {
            self.evaluation_interval = PromDuration::from_secs(60);
        }
        if self.scrape_protocols.is_empty() {
            self.scrape_protocols.clone_from(&defaults.scrape_protocols);
        }
        self.metric_name_validation_scheme.get_or_insert(NameValidation::Utf8);
        self.scrape_native_histograms.get_or_insert(defaults.scrape_native_histograms);
        self.extra_scrape_metrics.get_or_insert(defaults.extra_scrape_metrics);
    }
}

/// Defaults that feature flags change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// Exposition formats; empty for the built-in choice, which depends on each job.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// Whether native histograms are scraped.
    pub scrape_native_histograms: bool,
    /// Whether extra scrape metrics are stored.
    pub extra_scrape_metrics: bool,
}

/// Checks a list of formats; `of` ends the message.
pub(crate) fn check_protocols(protocols: &[ScrapeProtocol], at: At<'_>, of: &str) -> Result<(), Fault> {
    if at.value("scrape_protocols").is_some() && protocols.is_empty() {
        return Err(at
            .fault("scrape_protocols", format!("scrape_protocols cannot be empty{of}"))
            .remedy("remove the line for the default"));
    }
    let repeated = protocols.iter().enumerate().find(|(i, protocol)| protocols[..*i].contains(protocol));
    match repeated {
        Some((i, _)) => {
            let all = protocols.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(" ");
            let pos = at.item("scrape_protocols", i).node.pos;
            let message = format!("duplicated protocol in scrape_protocols, got [{all}]{of}");
            Err(Fault::new(pos, message).remedy("name each protocol once"))
        }
        None => Ok(()),
    }
}

impl Check for GlobalConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let scheme = self.name_validation();
        let wrong = |name: &&String| !scheme.is_valid_label_name(name);
        if let Some(name) = self.external_labels.0.keys().find(wrong) {
            let pos = at.child("external_labels").node.entry(name).map_or(at.place(), |(key, _)| key.pos);
            return Err(Fault::new(pos, format!("{} is not a valid label name", Quoted(name)))
                .remedy("use letters, digits and underscores, or metric_name_validation_scheme: utf8"));
        }
        let interval = if self.scrape_interval.get().is_zero() {
            PromDuration::from_secs(60)
        } else {
            self.scrape_interval
        };
        if self.scrape_timeout > interval {
            return Err(at
                .fault("scrape_timeout", "global scrape timeout greater than scrape interval")
                .remedy(format!("write {interval} or less, or raise scrape_interval")));
        }
        check_protocols(&self.scrape_protocols, at, " for global config")
    }

    fn explain(mut fault: Fault, _: At<'_>) -> Fault {
        if fault.message.starts_with("unknown scrape protocol") {
            fault.message = format!("scrape_protocols: {} for global config", fault.message);
        }
        fault.message = fault.message.replace("unknown scrape config name", "unknown global name");
        fault
    }
}

section! {
    /// Settings of the process.
    pub struct RuntimeConfig ("runtime", "config.plain") {
        /// The garbage collection target of the reference; read and shown, without effect here.
        set gogc: i64 = 75;
    }
}

impl Check for RuntimeConfig {}
