//! Scrape jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::labels::Quoted;

use super::global::{
    DEFAULT_SCRAPE_PROTOCOLS, EscapingScheme, GlobalConfig, PROTO_FIRST_SCRAPE_PROTOCOLS, ScrapeProtocol,
    check_protocols,
};
use super::http::HttpClientConfig;
use super::relabel::{NameValidation, RelabelConfig, validate_all};
use super::sd::ServiceDiscovery;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::{ByteSize, PromDuration};
use crate::section::{Check, section};

section! {
    /// A scrape job: where its targets come from, how they are scraped, and what becomes of their samples. Once loaded, everything the job leaves out is taken from `global`.
    pub struct ScrapeConfig ("scrape_config", "config.ScrapeConfig") {
        /// The job's name, which becomes the label `job`. Unique.
        always job_name: String;
        /// Whether labels of the scraped data win over the target's labels.
        set honor_labels: bool;
        /// Whether timestamps of the scraped data are kept.
        always honor_timestamps: bool = true;
        /// Whether series with timestamps of their own become stale when they vanish.
        always track_timestamps_staleness: bool;
        /// Parameters of the request.
        set params: BTreeMap<String, Vec<String>>;
        /// How often targets are scraped. Default: the global one.
        set scrape_interval: PromDuration;
        /// How long a scrape may take; at most the interval. Default: the global one.
        set scrape_timeout: PromDuration;
        /// Exposition formats to ask targets for, most wanted first. Default: the global ones.
        set scrape_protocols: Vec<ScrapeProtocol>;
        /// The format to assume when a target does not name a known one. Without it such a scrape fails.
        set fallback_scrape_protocol: Option<ScrapeProtocol>;
        /// Whether native histograms are scraped. Default: the global setting.
        set scrape_native_histograms: Option<bool>;
        /// Whether classic histograms are stored even beside native ones. Default: the global setting.
        set always_scrape_classic_histograms: Option<bool>;
        /// Whether classic histograms are stored as native ones with custom buckets. Default: the global setting.
        set convert_classic_histograms_to_nhcb: Option<bool>;
        /// The file failed scrapes are logged to. Default: the global one.
        set scrape_failure_log_file: PathBuf;
        /// The path metrics are fetched from.
        set metrics_path: String = "/metrics".to_owned();
        /// `http` or `https`.
        set scheme: String = "http".to_owned();
        /// Whether compressed bodies are asked for.
        always enable_compression: bool = true;
        /// The largest uncompressed body; a larger one fails the scrape. Default: the global limit.
        set body_size_limit: ByteSize;
        /// The most samples after relabelling; more fail the scrape. Default: the global limit.
        set sample_limit: u64;
        /// The most targets after relabelling; more fail all scrapes of the job. Default: the global limit.
        set target_limit: u64;
        /// The most labels of a sample. Default: the global limit.
        set label_limit: u64;
        /// The longest label name in bytes. Default: the global limit.
        set label_name_length_limit: u64;
        /// The longest label value in bytes. Default: the global limit.
        set label_value_length_limit: u64;
        /// The most buckets of a native histogram; more are merged. 0 for no limit.
        set native_histogram_bucket_limit: u64;
        /// The least growth from one bucket to the next; finer histograms are merged.
        set native_histogram_min_bucket_factor: f64;
        /// The most dropped targets that are kept for display. Default: the global limit.
        set keep_dropped_targets: u64;
        /// Which names of metrics and labels are accepted. Default: the global scheme.
        set metric_name_validation_scheme: Option<NameValidation>;
        /// How names that are not legacy names are asked for. Default: the global scheme.
        set metric_name_escaping_scheme: Option<EscapingScheme>;
        /// Whether `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes` are stored. Default: the global setting.
        set extra_scrape_metrics: Option<bool>;
        /// How to connect to targets.
        inline http: HttpClientConfig;
        /// Rules that turn discovered targets into scraped ones.
        set relabel_configs: Vec<RelabelConfig>;
        /// Rules applied to every scraped sample.
        set metric_relabel_configs: Vec<RelabelConfig>;
        /// Where the targets come from.
        inline discovery: ServiceDiscovery;
    }
}

impl ScrapeConfig {
    /// The job as YAML, completed with defaults, secrets masked.
    pub fn to_yaml(&self) -> String {
        crate::yaml::to_string(&crate::section::emit_section(self))
    }
}

impl Check for ScrapeConfig {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        if self.job_name.is_empty() {
            return Err(at.fault("job_name", "job_name is empty").remedy("name the job: job_name: my-job"));
        }
        self.http.check(at, cx)?;
        if self.relabel_configs.is_empty() {
            self.discovery.check_static_targets(at)?;
        }
        at.no_null_items("relabel_configs", "empty or null target relabeling rule in scrape config")?;
        at.no_null_items("metric_relabel_configs", "empty or null metric relabeling rule in scrape config")
    }

    fn explain(mut fault: Fault, at: At<'_>) -> Fault {
        if fault.message.starts_with("unknown scrape protocol") {
            let job = Quoted(at.text("job_name")).to_string();
            let fallback = at.value("fallback_scrape_protocol").is_some_and(|node| node.pos == fault.pos);
            fault.message = if fallback {
                format!(
                    "invalid fallback_scrape_protocol for scrape config with job name {job}: {}",
                    fault.message
                )
            } else {
                format!("scrape_protocols: {} for scrape config with job name {job}", fault.message)
            };
        }
        fault
    }
}

impl ScrapeConfig {
    /// Takes from `global` what the job leaves out, and checks what only then can be checked.
    pub(crate) fn complete(&mut self, global: &GlobalConfig, at: At<'_>) -> Result<(), Fault> {
        self.complete_timing(global, at)?;
        self.inherit_limits(global);
        if self.scrape_protocols.is_empty() && at.value("scrape_protocols").is_none() {
            self.scrape_protocols = match (&global.scrape_protocols, self.scrape_native_histograms) {
                (chosen, _) if !chosen.is_empty() => chosen.clone(),
                (_, Some(true)) => PROTO_FIRST_SCRAPE_PROTOCOLS.to_vec(),
                _ => DEFAULT_SCRAPE_PROTOCOLS.to_vec(),
            };
        }
        let of = format!(" for scrape config with job name {}", Quoted(&self.job_name));
        check_protocols(&self.scrape_protocols, at, &of)?;
        self.complete_schemes(global, at)?;
        let scheme = self.name_validation();
        validate_all(&mut self.relabel_configs, scheme, at, "relabel_configs")?;
        validate_all(&mut self.metric_relabel_configs, scheme, at, "metric_relabel_configs")
    }

    fn complete_timing(&mut self, global: &GlobalConfig, at: At<'_>) -> Result<(), Fault> {
        if self.scrape_interval.get().is_zero() {
            self.scrape_interval = global.scrape_interval;
        }
        if self.scrape_timeout > self.scrape_interval {
            let message = format!(
                "scrape timeout greater than scrape interval for scrape config with job name {}",
                Quoted(&self.job_name)
            );
            let remedy = format!("write {} or less, or raise scrape_interval", self.scrape_interval);
            return Err(at.fault("scrape_timeout", message).remedy(remedy));
        }
        if self.scrape_timeout.get().is_zero() {
            self.scrape_timeout = global.scrape_timeout.min(self.scrape_interval);
        }
        Ok(())
    }

    fn inherit_limits(&mut self, global: &GlobalConfig) {
        let inherit = |own: &mut u64, all: u64| {
            if *own == 0 {
                *own = all;
            }
        };
        inherit(&mut self.sample_limit, global.sample_limit);
        inherit(&mut self.target_limit, global.target_limit);
        inherit(&mut self.label_limit, global.label_limit);
        inherit(&mut self.label_name_length_limit, global.label_name_length_limit);
        inherit(&mut self.label_value_length_limit, global.label_value_length_limit);
        inherit(&mut self.keep_dropped_targets, global.keep_dropped_targets);
        if self.body_size_limit.0 == 0 {
            self.body_size_limit = global.body_size_limit;
        }
        if self.scrape_failure_log_file.as_os_str().is_empty() {
            self.scrape_failure_log_file.clone_from(&global.scrape_failure_log_file);
        }
        self.scrape_native_histograms = self.scrape_native_histograms.or(global.scrape_native_histograms);
        self.extra_scrape_metrics = self.extra_scrape_metrics.or(global.extra_scrape_metrics);
        self.convert_classic_histograms_to_nhcb.get_or_insert(global.convert_classic_histograms_to_nhcb);
        self.always_scrape_classic_histograms.get_or_insert(global.always_scrape_classic_histograms);
    }

    fn complete_schemes(&mut self, global: &GlobalConfig, at: At<'_>) -> Result<(), Fault> {
        let own = self.metric_name_validation_scheme;
        let validation = *self.metric_name_validation_scheme.get_or_insert(global.name_validation());
        // A job that chooses its own validation does not inherit an escaping that contradicts it.
        let escaping = self.metric_name_escaping_scheme.unwrap_or(match (own, validation) {
            (None, _) => global.escaping(),
            (_, NameValidation::Legacy) => EscapingScheme::Underscores,
            _ => EscapingScheme::AllowUtf8,
        });
        self.metric_name_escaping_scheme = Some(escaping);
        if escaping == EscapingScheme::AllowUtf8 && validation == NameValidation::Legacy {
            let message = "utf8 metric names requested but validation scheme is not set to UTF8";
            let remedy =
                "set metric_name_validation_scheme: utf8, or metric_name_escaping_scheme: underscores";
            return Err(at.fault("metric_name_escaping_scheme", message).remedy(remedy));
        }
        Ok(())
    }

    /// The name validation scheme in force.
    pub fn name_validation(&self) -> NameValidation {
        self.metric_name_validation_scheme.unwrap_or_default()
    }

    /// The escaping scheme in force.
    pub fn escaping(&self) -> EscapingScheme {
        self.metric_name_escaping_scheme.unwrap_or_default()
    }

    /// Whether native histograms are scraped.
    pub fn native_histograms(&self) -> bool {
        self.scrape_native_histograms.unwrap_or_default()
    }

    /// Whether classic histograms are stored even beside native ones.
    pub fn classic_histograms_always(&self) -> bool {
        self.always_scrape_classic_histograms.unwrap_or_default()
    }

    /// Whether classic histograms are stored as native ones with custom buckets.
    pub fn classic_to_custom_buckets(&self) -> bool {
        self.convert_classic_histograms_to_nhcb.unwrap_or_default()
    }

    /// Whether the extra scrape metrics are stored.
    pub fn extra_metrics(&self) -> bool {
        self.extra_scrape_metrics.unwrap_or_default()
    }
}

section! {
    /// A file of `scrape_config_files`.
    pub struct ScrapeFile ("scrape_config_files", "config.ScrapeConfigs") {
        /// Scrape jobs.
        set scrape_configs: Vec<ScrapeConfig>;
    }
}

impl Check for ScrapeFile {}
