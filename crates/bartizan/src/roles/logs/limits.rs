//! What a Loki's configuration says of tenants, as those understand it who hold them to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::handlers::loki::{
    BlockedQuery, BlockedText, DeletionMode, LogQueryLimits, LogQueryLimitsBook, QueryKind,
};
use config::loki::limits::{DeletionWord, LokiLimits, OtlpAction, OtlpSection};
use config::loki::values::LokiDuration;
use ingest::{LogLimits, LogLimitsBook, LogRetention};
use logdb::{Retention, RetentionRule};
use logql::engine::stream_matchers;
use model::regex::Regex;
use model::{Matcher, TenantId};
use rules::store::StoreLimits;

/// Mebibytes as bytes.
const MIB: f64 = 1_048_576.0;

/// What all tenants may do.
pub struct Books {
    /// What they may push.
    pub push: LogLimitsBook,
    /// What they may ask.
    pub query: LogQueryLimitsBook,
    /// How long their entries are kept.
    pub retention: Retention,
    /// How many rules they may have, and how far these look back.
    pub rules: RuleLimits,
}

/// How many rules tenants may have, and how far these look back.
#[derive(Debug, Clone, Default)]
pub struct RuleLimits {
    /// Of tenants without limits of their own.
    pub default: TenantRuleLimits,
    /// By tenant.
    pub tenants: BTreeMap<TenantId, TenantRuleLimits>,
}

/// How many rules a tenant may have, and how far these look back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantRuleLimits {
    /// Groups, and rules of each.
    pub store: StoreLimits,
    /// How far into the past rules look that do not say it, in milliseconds.
    pub query_offset_ms: i64,
    /// Series of the result of a rule.
    pub max_series: usize,
    /// How long one evaluation of a rule may take.
    pub query_timeout: Duration,
}

impl Default for TenantRuleLimits {
    fn default() -> Self {
        Self {
            store: StoreLimits::default(),
            query_offset_ms: 0,
            max_series: 500,
            query_timeout: Duration::from_secs(60),
        }
    }
}

impl RuleLimits {
    /// Those of a tenant.
    pub fn of(&self, tenant: &TenantId) -> TenantRuleLimits {
        self.tenants.get(tenant).copied().unwrap_or(self.default)
    }
}

/// What holds besides the limits of tenants.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Whether entries are ended by age, and may be deleted by request.
    pub retention_enabled: bool,
}

/// The limits of all tenants: those that hold for all, and what is different for some.
pub fn books(
    base: &LokiLimits,
    overrides: &BTreeMap<String, LokiLimits>,
    rules: Rules,
) -> anyhow::Result<Books> {
    let mut own = vec![];
    for (tenant, limits) in overrides {
        let limits = limits.over(base);
        let told = || format!("the overrides of tenant {tenant:?}");
        own.push((TenantId(tenant.into()), tenant_of(&limits, rules).with_context(told)?));
    }
    let all = tenant_of(base, rules).context("limits_config")?;
    let mut retention: Vec<RetentionRule> = Vec::new();
    for (tenant, limits) in &own {
        let of_tenant = |(matchers, period_ns): (Vec<Matcher>, i64)| RetentionRule {
            tenant: Some(tenant.clone()),
            matchers,
            period: period_of(period_ns),
        };
        retention.extend(limits.push.retention.rules.iter().cloned().map(of_tenant));
        // Behind its streams the tenant's own default: rules of all tenants are not its own.
        retention.push(of_tenant((Vec::new(), limits.push.retention.default_ns)));
    }
    let of_all = |(matchers, period_ns): &(Vec<Matcher>, i64)| RetentionRule {
        tenant: None,
        matchers: matchers.clone(),
        period: period_of(*period_ns),
    };
    retention.extend(all.push.retention.rules.iter().map(of_all));
    let default = period_of(all.push.retention.default_ns);
    let (mut push, mut query) = (LogLimitsBook::from(all.push), LogQueryLimitsBook::from(all.query));
    let mut rules = RuleLimits { default: all.rules, ..RuleLimits::default() };
    for (tenant, limits) in own {
        rules.tenants.insert(tenant.clone(), limits.rules);
        push.tenants.insert(tenant.clone(), Arc::new(limits.push));
        query.tenants.insert(tenant, Arc::new(limits.query));
    }
    Ok(Books { push, query, retention: Retention { default, rules: Arc::new(retention) }, rules })
}

/// The limits of one tenant.
struct Tenant {
    push: LogLimits,
    query: LogQueryLimits,
    rules: TenantRuleLimits,
}

fn tenant_of(limits: &LokiLimits, rules: Rules) -> anyhow::Result<Tenant> {
    let retention = if rules.retention_enabled { retention_of(limits)? } else { LogRetention::default() };
    let query = query_limits(limits, rules, retention.default_ns);
    let rules = rule_limits(limits, &query);
    Ok(Tenant { push: push_limits(limits, retention), query, rules })
}

fn count(value: Option<u64>, default: usize) -> usize {
    value.map_or(default, |value| usize::try_from(value).unwrap_or(usize::MAX))
}

fn ns(value: Option<LokiDuration>, default_secs: u64) -> i64 {
    value.unwrap_or(LokiDuration::from_secs(default_secs)).ns()
}

const WEEK_SECS: u64 = 7 * 86_400;

fn push_limits(limits: &LokiLimits, retention: LogRetention) -> LogLimits {
    let defaults = LogLimits::default();
    let refuses_old = limits.reject_old_samples.unwrap_or(true);
    let size = |value: Option<config::loki::values::LokiSize>, default: usize| {
        value.map_or(default, config::loki::values::LokiSize::bytes)
    };
    let streams = [count(limits.max_streams_per_user, 0), count(limits.max_global_streams_per_user, 5000)];
    let truncates = limits.max_line_size_truncate.unwrap_or(false);
    let mark = limits.max_line_size_truncate_identifier.clone().unwrap_or_default();
    LogLimits {
        ingestion_rate_bytes: limits.ingestion_rate_mb.unwrap_or(4.0) * MIB,
        ingestion_burst_bytes: (limits.ingestion_burst_size_mb.unwrap_or(6.0) * MIB) as u64,
        stream_rate_bytes: size(limits.per_stream_rate_limit, 3 << 20) as f64,
        stream_burst_bytes: size(limits.per_stream_rate_limit_burst, 15 << 20) as u64,
        max_streams: streams.into_iter().filter(|limit| *limit > 0).min().unwrap_or(0),
        max_label_names: count(limits.max_label_names_per_series, defaults.max_label_names),
        max_label_name_length: count(limits.max_label_name_length, defaults.max_label_name_length),
        max_label_value_length: count(limits.max_label_value_length, defaults.max_label_value_length),
        max_line_bytes: size(limits.max_line_size, defaults.max_line_bytes),
        truncate_with: truncates.then_some(mark),
        allow_metadata: limits.allow_structured_metadata.unwrap_or(true),
        max_metadata_entries: count(
            limits.max_structured_metadata_entries_count,
            defaults.max_metadata_entries,
        ),
        max_metadata_bytes: size(limits.max_structured_metadata_size, defaults.max_metadata_bytes),
        creation_grace_ns: ns(limits.creation_grace_period, 600),
        max_age_ns: if refuses_old { ns(limits.reject_old_samples_max_age, WEEK_SECS) } else { 0 },
        retention,
        max_days: defaults.max_days,
        increment_duplicate_timestamps: limits.increment_duplicate_timestamp.unwrap_or(false),
        service_labels: limits.discover_service_name.clone().unwrap_or(defaults.service_labels),
        discover_levels: limits.discover_log_levels.unwrap_or(true),
        level_names: limits.log_level_fields.clone().unwrap_or(defaults.level_names),
        label_attributes: label_attributes(limits.otlp_config.as_ref(), defaults.label_attributes),
        enforced_labels: limits.enforced_labels.clone().unwrap_or_default(),
        blocked_until_ns: limits.block_ingestion_until_ns(),
        blocked_status: limits
            .block_ingestion_status_code
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(defaults.blocked_status),
    }
}

fn rule_limits(limits: &LokiLimits, query: &LogQueryLimits) -> TenantRuleLimits {
    let any = |value: Option<u64>| match count(value, 0) {
        0 => usize::MAX,
        limit => limit,
    };
    TenantRuleLimits {
        store: StoreLimits {
            max_groups: any(limits.ruler_max_rule_groups_per_tenant),
            max_rules: any(limits.ruler_max_rules_per_rule_group),
        },
        query_offset_ms: ns(limits.ruler_evaluation_delay_duration, 0) / 1_000_000,
        max_series: query.max_series,
        query_timeout: query.query_timeout,
    }
}

/// Attributes of resources that become labels.
fn label_attributes(section: Option<&OtlpSection>, defaults: Vec<String>) -> Vec<String> {
    let Some(OtlpSection { resource_attributes: resources }) = section else { return defaults };
    let mut labels = if resources.ignore_defaults { Vec::new() } else { defaults };
    for rule in &resources.attributes_config {
        labels.retain(|label| !rule.attributes.contains(label));
        if rule.action == OtlpAction::IndexLabel {
            labels.extend(rule.attributes.iter().cloned());
        }
    }
    labels
}

fn query_limits(limits: &LokiLimits, rules: Rules, retention_ns: i64) -> LogQueryLimits {
    let is_disabled = limits.deletion_mode == Some(DeletionWord::Disabled) || !rules.retention_enabled;
    LogQueryLimits {
        query_timeout: limits.query_timeout.map_or(Duration::from_secs(60), LokiDuration::get),
        max_bytes_read: limits.max_query_bytes_read.map_or(0, |size| size.0),
        max_length_ns: ns(limits.max_query_length, 721 * 3600),
        max_lookback_ns: ns(limits.max_query_lookback, 0),
        max_range_ns: ns(limits.max_query_range, 0),
        max_entries: count(limits.max_entries_limit_per_query, 5000),
        max_series: count(limits.max_query_series, 500),
        max_tails: count(limits.max_concurrent_tail_requests, 10),
        volume_enabled: limits.volume_enabled.unwrap_or(true),
        volume_max_series: count(limits.volume_max_series, 1000),
        retention_ns,
        deletion: if is_disabled { DeletionMode::Disabled } else { DeletionMode::FilterAndDelete },
        required_labels: limits.required_labels.clone().unwrap_or_default(),
        min_labels: count(limits.minimum_labels_number, 0),
        max_matchers: count(limits.max_streams_matchers_per_query, 1000),
        blocked: limits.blocked_queries.iter().flatten().map(blocked).collect(),
        ..LogQueryLimits::default()
    }
}

/// A query that is refused. What cannot be read was refused with the file.
fn blocked(section: &config::loki::limits::BlockedQuery) -> BlockedQuery {
    let kind = |word: &str| match word.trim() {
        "metric" => Some(QueryKind::Metric),
        "filter" => Some(QueryKind::Filter),
        "limited" => Some(QueryKind::Limited),
        _ => None,
    };
    let text = match (section.pattern.as_str(), section.regex) {
        ("", _) => BlockedText::Any,
        (pattern, true) => Regex::new(pattern).map_or(BlockedText::Any, BlockedText::Matching),
        (pattern, false) => BlockedText::Exactly(pattern.to_owned()),
    };
    BlockedQuery {
        hash: u32::try_from(section.hash).unwrap_or(0),
        text,
        kinds: section.types.split(',').filter_map(kind).collect(),
    }
}

/// How long entries are kept: rules with the highest priority first, of equal ones those that keep longest.
fn retention_of(limits: &LokiLimits) -> anyhow::Result<LogRetention> {
    let mut streams: Vec<_> = limits.retention_stream.iter().collect();
    streams.sort_by_key(|stream| std::cmp::Reverse((stream.priority, stream.period)));
    let rule = |stream: &&config::loki::limits::StreamRetention| {
        let matchers = logql::parse_matchers(&stream.selector)
            .map_err(|error| anyhow::anyhow!("retention_stream: selector {:?}: {error}", stream.selector))?;
        anyhow::Ok((stream_matchers(&matchers), stream.period.ns()))
    };
    let rules = streams.iter().map(rule).collect::<anyhow::Result<_>>()?;
    Ok(LogRetention { default_ns: ns(limits.retention_period, 0), rules })
}

fn period_of(period_ns: i64) -> Option<Duration> {
    u64::try_from(period_ns).ok().filter(|ns| *ns > 0).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use config::loki::{LokiSettings, read_overrides};
    use model::Labels;

    use super::*;

    #[test]
    fn limits_are_lokis_unless_the_file_or_an_override_says_otherwise() {
        let text = "common: {path_prefix: /x}\nlimits_config: {ingestion_rate_mb: 1, max_streams_per_user: 7, reject_old_samples: false}\ncompactor: {retention_enabled: true}\n";
        let settings = LokiSettings::from_text("l.yaml".as_ref(), text).unwrap();
        let text = "overrides:\n  a: {retention_period: 48h, deletion_mode: disabled, retention_stream: [{selector: '{app=\"x\"}', priority: 1, period: 24h}]}\n";
        let overrides = read_overrides("o.yaml".as_ref(), text).unwrap().overrides;
        let rules = Rules { retention_enabled: settings.file.compactor.retention_enabled };
        let books = books(&settings.file.limits_config, &overrides, rules).unwrap();
        let (one, other) = (TenantId("a".into()), TenantId("b".into()));
        let push = books.push.of(&other);
        assert_eq!((push.ingestion_rate_bytes, push.ingestion_burst_bytes), (MIB, 6 << 20));
        assert_eq!((push.max_streams, push.max_age_ns, push.stream_burst_bytes), (7, 0, 15 << 20));
        assert_eq!(books.query.of(&other).deletion, DeletionMode::FilterAndDelete);
        assert_eq!(books.query.of(&one).deletion, DeletionMode::Disabled);
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let app = |name: &str| Labels::from_pairs([("app", name)]);
        let kept = |tenant: &TenantId, name: &str| books.retention.of(tenant, &app(name));
        assert_eq!((kept(&one, "x"), kept(&one, "y"), kept(&other, "x")), (days(1), days(2), None));
        assert_eq!(books.push.of(&one).retention.of(&app("x")), 86_400 * 1_000_000_000);
    }

    #[test]
    fn what_may_be_asked_and_which_rules_there_may_be_is_as_the_file_says() {
        let text = "common: {path_prefix: /x}
limits_config:
  required_labels: [app]
  minimum_labels_number: 2
  log_level_fields: [prio]
  enforced_labels: [env]
  block_ingestion_until: 2030-01-01T00:00:00Z
  ruler_max_rules_per_rule_group: 3
  ruler_evaluation_delay_duration: 1m
  query_timeout: 5s
  blocked_queries:
  - {pattern: '.*prod.*', regex: true, types: 'filter,limited'}
  - {hash: 7}
";
        let settings = LokiSettings::from_text("l.yaml".as_ref(), text).unwrap();
        let overrides = "overrides: {a: {required_labels: [], ruler_max_rule_groups_per_tenant: 1}}\n";
        let overrides = read_overrides("o.yaml".as_ref(), overrides).unwrap().overrides;
        let rules = Rules { retention_enabled: false };
        let books = books(&settings.file.limits_config, &overrides, rules).unwrap();
        let (one, other) = (TenantId("a".into()), TenantId("b".into()));
        let query = books.query.of(&other);
        assert_eq!((query.required_labels.as_slice(), query.min_labels), (&["app".to_owned()][..], 2));
        assert!(books.query.of(&one).required_labels.is_empty() && books.query.of(&one).min_labels == 2);
        assert_eq!(query.blocked[0].kinds, [QueryKind::Filter, QueryKind::Limited]);
        assert_eq!((query.blocked[1].hash, query.max_matchers), (7, 1000));
        let push = books.push.of(&other);
        assert_eq!((push.level_names.as_slice(), push.blocked_status), (&["prio".to_owned()][..], 260));
        assert_eq!(push.blocked_until_ns, 1_893_456_000 * 1_000_000_000);
        let rules = books.rules.of(&one);
        assert_eq!((rules.store.max_groups, rules.store.max_rules, rules.query_offset_ms), (1, 3, 60_000));
        assert_eq!(books.rules.of(&other).store.max_groups, usize::MAX);
        assert_eq!(rules.query_timeout, Duration::from_secs(5));
    }
}
