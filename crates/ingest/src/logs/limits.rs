//! What a tenant may push, under the names users of log stores know.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, Matcher, TenantId};

/// Labels that may name the service of a stream, the best first.
pub const SERVICE_LABELS: [&str; 13] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// Labels and fields that hold the level of a line unless others are named.
pub const LEVEL_NAMES: [&str; 13] = [
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "log_level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "severity_text",
    "lvl",
    "LVL",
    "Lvl",
];

/// Resource attributes of OpenTelemetry that become labels of streams unless others are named.
pub const LABEL_ATTRIBUTES: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

/// Limits of one tenant; 0 is none.
#[derive(Debug, Clone)]
pub struct LogLimits {
    /// Bytes of lines a second, on average.
    pub ingestion_rate_bytes: f64,
    /// Bytes of lines that may come at once.
    pub ingestion_burst_bytes: u64,
    /// Bytes of lines a second of one stream, on average.
    pub stream_rate_bytes: f64,
    /// Bytes of lines of one stream that may come at once.
    pub stream_burst_bytes: u64,
    /// Streams that get entries at a time.
    pub max_streams: usize,
    /// Labels of a stream, the derived name of its service not counted.
    pub max_label_names: usize,
    /// Bytes of a label name.
    pub max_label_name_length: usize,
    /// Bytes of a label value.
    pub max_label_value_length: usize,
    /// Bytes of a line.
    pub max_line_bytes: usize,
    /// What longer lines end with when they are cut; without it they are refused.
    pub truncate_with: Option<String>,
    /// Whether there may be structured metadata.
    pub allow_metadata: bool,
    /// Entries of structured metadata of a line.
    pub max_metadata_entries: usize,
    /// Bytes of structured metadata of a line.
    pub max_metadata_bytes: usize,
    /// How far in the future a time stamp may lie, in nanoseconds.
    pub creation_grace_ns: i64,
    /// How old an entry may be when it comes, in nanoseconds.
    pub max_age_ns: i64,
    /// How long entries are kept. Those that would be gone at once are refused.
    pub retention: LogRetention,
    /// Different days the entries of one push may be on: each becomes an object of its own.
    pub max_days: usize,
    /// Whether an entry that has the time of the one before it in its stream gets the next nanosecond.
    pub increment_duplicate_timestamps: bool,
    /// Labels that name the service, the best first; with none, streams get no label `service_name`.
    pub service_labels: Vec<String>,
    /// Whether lines get the level they tell as structured metadata `detected_level`.
    pub discover_levels: bool,
    /// Labels and fields that hold the level of a line, the best first.
    pub level_names: Vec<String>,
    /// Resource attributes of OpenTelemetry that become labels of streams.
    pub label_attributes: Vec<String>,
    /// Labels every stream must have.
    pub enforced_labels: Vec<String>,
    /// Until when pushes are refused, in nanoseconds since the epoch.
    pub blocked_until_ns: i64,
    /// The status with which they are; with 200 they are dropped without a word.
    pub blocked_status: u16,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            ingestion_rate_bytes: 0.0,
            ingestion_burst_bytes: 0,
            stream_rate_bytes: 0.0,
            stream_burst_bytes: 0,
            max_streams: 0,
            max_label_names: 15,
            max_label_name_length: 1024,
            max_label_value_length: 2048,
            max_line_bytes: 256 << 10,
            truncate_with: None,
            allow_metadata: true,
            max_metadata_entries: 128,
            max_metadata_bytes: 64 << 10,
            creation_grace_ns: 10 * 60 * 1_000_000_000,
            max_age_ns: 0,
            retention: LogRetention::default(),
            max_days: 100,
            increment_duplicate_timestamps: false,
            service_labels: SERVICE_LABELS.map(str::to_owned).to_vec(),
            discover_levels: true,
            level_names: LEVEL_NAMES.map(str::to_owned).to_vec(),
            label_attributes: LABEL_ATTRIBUTES.map(str::to_owned).to_vec(),
            enforced_labels: Vec::new(),
            blocked_until_ns: 0,
            blocked_status: 260,
        }
    }
}

/// How long entries are kept, in nanoseconds; 0 is for ever.
#[derive(Debug, Clone, Default)]
pub struct LogRetention {
    /// Those of streams no rule matches.
    pub default_ns: i64,
    /// All matchers of a rule must match the labels of the stream; the first rule that matches decides.
    pub rules: Vec<(Vec<Matcher>, i64)>,
}

impl LogRetention {
    /// How long entries of a stream are kept; 0 is for ever.
    pub fn of(&self, stream: &Labels) -> i64 {
        let applies = |(matchers, _): &&(Vec<Matcher>, i64)| {
            matchers.iter().all(|matcher| matcher.matches(stream.get_or_empty(&matcher.name)))
        };
        self.rules.iter().find(applies).map_or(self.default_ns, |(_, period_ns)| *period_ns)
    }
}

impl LogLimits {
    /// The oldest time an entry of a stream may have.
    pub fn oldest_ns(&self, stream: &Labels, now_ns: i64) -> i64 {
        let ages = [self.max_age_ns, self.retention.of(stream)];
        ages.iter().filter(|age| **age > 0).min().map_or(i64::MIN, |age| now_ns.saturating_sub(*age))
    }
}

/// The limits of all tenants.
#[derive(Debug, Clone, Default)]
pub struct LogLimitsBook {
    /// Limits of tenants that have none of their own.
    pub default: Arc<LogLimits>,
    /// Limits of tenants by name.
    pub tenants: HashMap<TenantId, Arc<LogLimits>>,
}

impl From<LogLimits> for LogLimitsBook {
    fn from(default: LogLimits) -> Self {
        Self { default: Arc::new(default), tenants: HashMap::new() }
    }
}

impl LogLimitsBook {
    /// The limits of a tenant.
    pub fn of(&self, tenant: &TenantId) -> Arc<LogLimits> {
        Arc::clone(self.tenants.get(tenant).unwrap_or(&self.default))
    }
}
