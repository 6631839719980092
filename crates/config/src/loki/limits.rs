//! What tenants may do, and what some of them may do differently.

use std::collections::BTreeMap;

use super::values::{LokiDuration, LokiSize};
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::section::{Check, choice, section};

/// Takes what `$own` does not set from `$base`.
macro_rules! over {
    ($own:ident, $base:ident, $($field:ident),* $(,)?; $($list:ident),*) => {
        Self {
            $( $field: $own.$field.clone().or_else(|| $base.$field.clone()), )*
            $( $list: if $own.$list.is_empty() { $base.$list.clone() } else { $own.$list.clone() }, )*
            per_tenant_override_config: $base.per_tenant_override_config.clone(),
        }
    };
}

section! {
    /// What a tenant may push and ask. What is not set is as in Loki, or, in an override, as for all tenants. A limit of
    /// 0 is none.
    pub struct LokiLimits ("limits_config", "validation.Limits") {
        /// Mebibytes of lines a second; 4 by default.
        set ingestion_rate_mb: Option<f64>;
        /// Mebibytes of lines at once; 6 by default.
        set ingestion_burst_size_mb: Option<f64>;
        /// Bytes of lines a second of one stream; 3MB by default.
        set per_stream_rate_limit: Option<LokiSize>;
        /// Bytes of lines of one stream at once; 15MB by default.
        set per_stream_rate_limit_burst: Option<LokiSize>;
        /// Streams that get entries at a time.
        set max_streams_per_user: Option<u64>;
        /// The same; 5000 by default. The smaller of both counts.
        set max_global_streams_per_user: Option<u64>;
        /// Bytes of a label name; 1024 by default.
        set max_label_name_length: Option<u64>;
        /// Bytes of a label value; 2048 by default.
        set max_label_value_length: Option<u64>;
        /// Labels of a stream; 15 by default.
        set max_label_names_per_series: Option<u64>;
        /// Whether entries are refused that are older than `reject_old_samples_max_age`; they are by default.
        set reject_old_samples: Option<bool>;
        /// How old an entry may be; a week by default.
        set reject_old_samples_max_age: Option<LokiDuration>;
        /// How far in the future the time of an entry may lie; 10m by default.
        set creation_grace_period: Option<LokiDuration>;
        /// Bytes of a line; 256KB by default.
        set max_line_size: Option<LokiSize>;
        /// Whether longer lines are cut instead of refused.
        set max_line_size_truncate: Option<bool>;
        /// What a line that is cut ends with.
        set max_line_size_truncate_identifier: Option<String>;
        /// Whether an entry that has the time of the one before it gets the next nanosecond.
        set increment_duplicate_timestamp: Option<bool>;
        /// Whether there may be structured metadata; by default there may.
        set allow_structured_metadata: Option<bool>;
        /// Bytes of structured metadata of a line; 64KB by default.
        set max_structured_metadata_size: Option<LokiSize>;
        /// Entries of structured metadata of a line; 128 by default.
        set max_structured_metadata_entries_count: Option<u64>;
        /// Labels that name the service, the best first; none to have no label `service_name`.
        set discover_service_name: Option<Vec<String>>;
        /// Whether lines get the level they tell as structured metadata; by default they do.
        set discover_log_levels: Option<bool>;
        /// Labels and fields that hold the level of a line, the best first.
        set log_level_fields: Option<Vec<String>>;
        /// Labels every stream must have.
        set enforced_labels: Option<Vec<String>>;
        /// Until when pushes are refused, as RFC 3339.
        set block_ingestion_until: Option<String>;
        /// The status refused pushes are answered with until then; 260 by default. With 200 they are dropped without a word.
        set block_ingestion_status_code: Option<u64>;
        /// Which attributes of OpenTelemetry become labels.
        set otlp_config: Option<OtlpSection>;
        /// Series of an answer; 500 by default.
        set max_query_series: Option<u64>;
        /// How far back queries look.
        set max_query_lookback: Option<LokiDuration>;
        /// The longest time a query may span; 30d1h by default.
        set max_query_length: Option<LokiDuration>;
        /// The longest range of a function over time.
        set max_query_range: Option<LokiDuration>;
        /// Bytes a query may be about.
        set max_query_bytes_read: Option<LokiSize>;
        /// Labels every selector of a query must have a matcher of.
        set required_labels: Option<Vec<String>>;
        /// Labels, at least, every selector of a query must have a matcher of.
        set minimum_labels_number: Option<u64>;
        /// Queries that are refused.
        set blocked_queries: Option<Vec<BlockedQuery>>;
        /// Matchers of a selector; 1000 by default.
        set max_streams_matchers_per_query: Option<u64>;
        /// Followers of live logs at a time; 10 by default.
        set max_concurrent_tail_requests: Option<u64>;
        /// Entries of an answer; 5000 by default.
        set max_entries_limit_per_query: Option<u64>;
        /// Time a query may take; 1m by default.
        set query_timeout: Option<LokiDuration>;
        /// Whether volumes are told; by default they are.
        set volume_enabled: Option<bool>;
        /// Series of an answer about volumes; 1000 by default.
        set volume_max_series: Option<u64>;
        /// What becomes of requests to delete entries.
        set deletion_mode: Option<DeletionWord>;
        /// Groups of rules; any number by default.
        set ruler_max_rule_groups_per_tenant: Option<u64>;
        /// Rules of a group; any number by default.
        set ruler_max_rules_per_rule_group: Option<u64>;
        /// How far into the past rules look, so that late entries have come.
        set ruler_evaluation_delay_duration: Option<LokiDuration>;
        /// How long entries are kept, if `compactor.retention_enabled`; for ever by default.
        set retention_period: Option<LokiDuration>;
        /// The same of some streams.
        set retention_stream: Vec<StreamRetention>;
        /// The name of `runtime_config.file` of old.
        set per_tenant_override_config: String;
    }
}

impl Check for LokiLimits {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        for (key, rate) in [
            ("ingestion_rate_mb", self.ingestion_rate_mb),
            ("ingestion_burst_size_mb", self.ingestion_burst_size_mb),
        ] {
            if rate.is_some_and(|rate| !(rate >= 0.0 && rate.is_finite())) {
                let message = format!("{key} must be a number of mebibytes");
                return Err(at.fault(key, message).remedy("write 0 for no limit"));
            }
        }
        if self.block_ingestion_until.as_deref().is_some_and(|text| read_time(text).is_none()) {
            let message = "block_ingestion_until is not a time";
            return Err(at
                .fault("block_ingestion_until", message)
                .remedy("write it as 2026-01-31T00:00:00Z"));
        }
        if self.block_ingestion_status_code.is_some_and(|code| !(200..600).contains(&code)) {
            let message = "block_ingestion_status_code is not a status of HTTP";
            return Err(at.fault("block_ingestion_status_code", message).remedy("write 260, for example"));
        }
        Ok(())
    }
}

/// A time as nanoseconds since the epoch; 0 for none.
fn read_time(text: &str) -> Option<i64> {
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Some(0);
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX))
}

impl LokiLimits {
    /// Until when pushes are refused, in nanoseconds since the epoch; 0 for not at all.
    pub fn block_ingestion_until_ns(&self) -> i64 {
        self.block_ingestion_until.as_deref().and_then(read_time).unwrap_or(0)
    }
}

impl LokiLimits {
    /// These limits, with those of `base` where they say nothing.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        over!(
            self, base,
            ingestion_rate_mb,
            ingestion_burst_size_mb,
            per_stream_rate_limit,
            per_stream_rate_limit_burst,
            max_streams_per_user,
            max_global_streams_per_user,
            max_label_name_length,
            max_label_value_length,
            max_label_names_per_series,
            reject_old_samples,
            reject_old_samples_max_age,
            creation_grace_period,
            max_line_size,
            max_line_size_truncate,
            max_line_size_truncate_identifier,
            increment_duplicate_timestamp,
            allow_structured_metadata,
            max_structured_metadata_size,
            max_structured_metadata_entries_count,
            discover_service_name,
            discover_log_levels,
            log_level_fields,
            enforced_labels,
            block_ingestion_until,
            block_ingestion_status_code,
            otlp_config,
            required_labels,
            minimum_labels_number,
            blocked_queries,
            max_streams_matchers_per_query,
            ruler_max_rule_groups_per_tenant,
            ruler_max_rules_per_rule_group,
            ruler_evaluation_delay_duration,
            max_query_series,
            max_query_lookback,
            max_query_length,
            max_query_range,
            max_query_bytes_read,
            max_concurrent_tail_requests,
            max_entries_limit_per_query,
            query_timeout,
            volume_enabled,
            volume_max_series,
            deletion_mode,
            retention_period;
            retention_stream
        )
    }
}

section! {
    /// A query that is refused: by its hash, or by its text and kind.
    pub struct BlockedQuery ("limits_config.blocked_queries", "validation.BlockedQuery") {
        /// The text; every one if there is none.
        set pattern: String;
        /// Whether the text is a regular expression, which the whole of a query must match.
        set regex: bool;
        /// The hash of the text (FNV-1a, 32 bits), as a Loki logs it.
        set hash: u64;
        /// The kinds, separated by commas: `metric`, `filter` (lines, with stages), `limited` (lines, without); all by default.
        set types: String;
    }
}

impl Check for BlockedQuery {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let kinds = self.types.split(',').map(str::trim).filter(|kind| !kind.is_empty());
        for kind in kinds {
            if !matches!(kind, "metric" | "filter" | "limited") {
                let message = format!("blocked_queries: unknown type {kind:?}");
                return Err(at.fault("types", message).remedy("write metric, filter or limited"));
            }
        }
        if self.regex {
            model::regex::Regex::new(&self.pattern).map_err(|problem| {
                at.fault("pattern", format!("blocked_queries: {problem}"))
                    .remedy("correct the regular expression")
            })?;
        }
        Ok(())
    }
}

section! {
    /// How long the entries of some streams are kept.
    pub struct StreamRetention ("limits_config.retention_stream", "validation.StreamRetention") {
        /// Which streams.
        always selector: String;
        /// Of several that match, the one with the highest number counts.
        always priority: i64;
        /// How long.
        always period: LokiDuration;
    }
}

impl Check for StreamRetention {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.selector.trim().is_empty() {
            return Err(at
                .fault("selector", "retention_stream needs a selector")
                .remedy("write one, for example '{app=\"a\"}'"));
        }
        if self.period.get() < std::time::Duration::from_secs(86_400) {
            let message = format!("retention period must be >= 24h, was {}", self.period);
            return Err(at.fault("period", message).remedy("write 24h or more"));
        }
        Ok(())
    }
}

section! {
    /// Which attributes of OpenTelemetry become labels of streams.
    pub struct OtlpSection ("limits_config.otlp_config", "push.OTLPConfig") {
        /// Those of resources.
        set resource_attributes: OtlpResources;
    }
}

impl Check for OtlpSection {}

section! {
    /// Which attributes of resources become labels of streams; the others become structured metadata.
    pub struct OtlpResources ("limits_config.otlp_config.resource_attributes", "push.ResourceAttributesConfig") {
        /// Whether only those named here do, not those that do by default.
        set ignore_defaults: bool;
        /// Which.
        set attributes_config: Vec<OtlpAttributes>;
    }
}

impl Check for OtlpResources {}

section! {
    /// Attributes of which the same is done.
    pub struct OtlpAttributes ("limits_config.otlp_config.resource_attributes.attributes_config", "push.AttributesConfig") {
        /// What is done.
        always action: OtlpAction;
        /// Their names.
        set attributes: Vec<String>;
    }
}

impl Check for OtlpAttributes {}

choice! {
    /// What is done of attributes.
    pub enum OtlpAction {
        /// They become structured metadata.
        StructuredMetadata = "structured_metadata",
        /// They become labels of streams.
        IndexLabel = "index_label",
    }
    wrong |word| format!("unsupported action {word}, it must be one of: [index_label structured_metadata]")
}

choice! {
    /// What becomes of requests to delete entries.
    pub enum DeletionWord {
        /// Queries leave out what they are about, and objects are written anew without it.
        FilterAndDelete = "filter-and-delete",
        /// They are refused.
        Disabled = "disabled",
    }
    wrong |word| match word {
        "filter-only" => "deletion mode filter-only cannot be honoured: entries that are left out by queries are deleted, too".to_owned(),
        other => format!("invalid deletion mode {other:?}"),
    }
}

section! {
    /// A file with the limits of some tenants.
    pub struct Overrides ("overrides", "runtimeConfigValues") {
        /// Limits by tenant.
        set overrides: BTreeMap<String, LokiLimits>;
    }
}

impl Check for Overrides {}
