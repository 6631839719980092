//! What handlers need, and the traits through which they reach the rest of the process.

mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use base::metrics::Registry;
use base::{ByteBudget, ErrorKind};
use model::{Labels, Matcher, Metadata, SeriesSource, TenantId, TimeRange};
use promql::engine::Engine;
use tokio::sync::Semaphore;
use wire::otlp::answer::{ExportResponse, Status};
use wire::remote_write::MessageType;

pub use self::rules::{AlertView, AlertingView, Alertmanagers, NoRules, RuleGroupView, RuleView, Rules};
use crate::handlers::read::ReadService;
use crate::metrics::QueryMetrics;
use crate::notifications::NotificationBoard;
use crate::queries::QueryList;

/// Settings of the HTTP surface; names are those of the flags.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Whether nothing can be queried here: an agent only scrapes and forwards.
    pub agent: bool,
    /// Whether `/api/v1/admin` may be used.
    pub enable_admin_api: bool,
    /// Whether `/-/reload` and `/-/quit` may be used.
    pub enable_lifecycle: bool,
    /// Whether the search endpoints may be used.
    pub enable_search: bool,
    /// Upper bound of `limit` in searches; 0 for none.
    pub search_max_limit: usize,
    /// Anchored pattern of the origins that may call from a browser.
    pub cors_origin: String,
    /// Path all routes are below, without a trailing slash; empty for the root.
    pub route_prefix: String,
    /// Where users reach the server.
    pub external_url: url::Url,
    /// The address listened on, to recognise targets that are this process.
    pub listen_address: String,
    /// Queries that run at once; more wait.
    pub query_max_concurrency: usize,
    /// Time a query may take.
    pub query_timeout: Duration,
    /// How far back the last sample of a series may lie.
    pub lookback_delta: Duration,
    /// Title of the landing page.
    pub page_title: String,
    /// Directory of files served below `/user`, if there are any.
    pub user_assets: Option<std::path::PathBuf>,
}

/// Everything handlers share.
pub struct ApiState {
    /// Settings.
    pub options: ApiOptions,
    /// Time.
    pub clock: SharedClock,
    /// Where metrics are read from.
    pub source: Arc<dyn SeriesSource>,
    /// Where federation reads from: what this process itself stores.
    pub local: Arc<dyn SeriesSource>,
    /// Evaluates queries.
    pub engine: Arc<Engine>,
    /// What queries cost.
    pub query_metrics: QueryMetrics,
    /// The queries that run, and the slowest of late.
    pub queries: Arc<QueryList>,
    /// The memory all queries share.
    pub query_budget: ByteBudget,
    /// Admits queries, `query_max_concurrency` at once.
    pub query_slots: Arc<Semaphore>,
    /// Answers remote reads.
    pub read: ReadService,
    /// Takes in remote writes; `None` if that is off.
    pub write: Option<RemoteWriteState>,
    /// Takes in OpenTelemetry metrics; `None` if that is off.
    pub otlp: Option<Arc<OtlpState>>,
    /// Scraping, seen from outside.
    pub targets: Arc<dyn Targets>,
    /// Rules, seen from outside.
    pub rules: Arc<dyn Rules>,
    /// The storage engine, seen from outside.
    pub storage: Arc<dyn Storage>,
    /// The process.
    pub system: Arc<dyn System>,
    /// The metrics this process publishes.
    pub registry: Registry,
}

/// How OpenTelemetry metrics are taken in.
pub struct OtlpState {
    /// Stores them.
    pub receiver: Arc<dyn OtlpReceiver>,
    /// The memory of all requests that are pushed.
    pub budget: ByteBudget,
    /// Bytes a request may have, compressed or not.
    pub max_body_bytes: usize,
}

/// Stores OpenTelemetry metrics.
pub trait OtlpReceiver: Send + Sync {
    /// Stores a request, which is protobuf. It may block. The error is about the request as a whole: nothing of
    /// it was stored.
    fn export(&self, tenant: &TenantId, request: &[u8]) -> Result<ExportResponse, Status>;
}

/// A target that is scraped.
#[derive(Debug, Clone)]
pub struct ActiveTarget {
    /// The scrape pool: the job.
    pub pool: String,
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Labels its series get.
    pub labels: Labels,
    /// What is fetched.
    pub scrape_url: String,
    /// Why the last scrape failed, or empty.
    pub last_error: String,
    /// When the last scrape began, in milliseconds; `None` before the first.
    pub last_scrape_ms: Option<i64>,
    /// How long the last scrape took.
    pub last_scrape_duration: Duration,
    /// `up`, `down` or `unknown`.
    pub health: &'static str,
    /// The interval, as configured.
    pub scrape_interval: String,
    /// The timeout, as configured.
    pub scrape_timeout: String,
    /// What the last scrape brought and took.
    pub cost: ScrapeCost,
}

/// What a scrape brought and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeCost {
    /// Samples the target exposed.
    pub samples: u64,
    /// Samples that relabelling of metrics kept.
    pub samples_kept: u64,
    /// Series that were not there the scrape before.
    pub series_added: u64,
    /// Bytes of the body, unpacked.
    pub body_bytes: u64,
}

/// A target that relabelling kept, but that cannot be scraped.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnusableTarget {
    /// The scrape pool: the job.
    #[serde(rename = "scrapePool")]
    pub pool: String,
    /// Which one it is, and why.
    pub error: String,
}

/// A target that relabelling dropped.
#[derive(Debug, Clone)]
pub struct DroppedTarget {
    /// The scrape pool: the job.
    pub pool: String,
    /// Labels before relabelling.
    pub discovered_labels: Labels,
}

/// What a target says about one metric family.
#[derive(Debug, Clone)]
pub struct TargetMetadata {
    /// Labels of the target.
    pub target: Labels,
    /// The metric family.
    pub family: String,
    /// What it says.
    pub metadata: Metadata,
}

/// The effect of one relabelling rule.
#[derive(Debug, Clone)]
pub struct RelabelStep {
    /// The rule, as configured.
    pub rule: serde_json::Value,
    /// The labels after it; empty once the target is dropped.
    pub output: Labels,
    /// Whether the target is still kept.
    pub keep: bool,
}

/// Scraping, seen from outside.
pub trait Targets: Send + Sync {
    /// Names of scrape pools, sorted.
    fn pools(&self) -> Vec<String>;
    /// All targets that are scraped, by pool.
    fn active(&self) -> Vec<ActiveTarget>;
    /// Dropped targets, by pool; not more than `keep_dropped_targets` of each.
    fn dropped(&self) -> Vec<DroppedTarget>;
    /// How many targets each pool dropped.
    fn dropped_counts(&self) -> BTreeMap<String, usize>;
    /// Metadata of `family`, or of all families when it is empty.
    fn metadata(&self, family: &str) -> Vec<TargetMetadata>;
    /// The configuration of a pool as YAML; `None` for an unknown pool.
    fn pool_config(&self, pool: &str) -> Option<String>;
    /// What the relabelling rules of a pool do with `labels`; `None` for an unknown pool.
    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>>;
    /// What the rules of a pool for metrics do with the labels of a series; `None` for an unknown pool.
    fn metric_relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>>;
    /// Targets that cannot be scraped, a few of each pool.
    fn unusable(&self) -> Vec<UnusableTarget>;
}

/// A name and a number of things that bear it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Count {
    /// The name.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// What is in the head.
#[derive(Debug, Clone, Default)]
pub struct HeadStatus {
    /// Series.
    pub series: u64,
    /// Distinct label pairs.
    pub label_pairs: u64,
    /// Chunks.
    pub chunks: u64,
    /// Earliest sample in milliseconds.
    pub min_time_ms: i64,
    /// Latest sample in milliseconds.
    pub max_time_ms: i64,
    /// Series by metric name, most first.
    pub series_by_metric: Vec<Count>,
    /// Values by label name, most first.
    pub values_by_label: Vec<Count>,
    /// Bytes of values by label name, most first.
    pub memory_by_label: Vec<Count>,
    /// Series by `name=value`, most first.
    pub series_by_pair: Vec<Count>,
}

/// The storage engine, seen from outside. Texts of errors are for the client.
pub trait Storage: Send + Sync {
    /// Cardinality of the head; each list holds at most `limit` entries.
    fn head_status(&self, limit: usize) -> Result<HeadStatus, String>;
    /// The `meta.json` of each block, oldest first.
    fn blocks(&self) -> Result<Vec<serde_json::Value>, String>;
    /// First, last and current segment of the log that is replayed at start.
    fn wal_replay(&self) -> (u64, u64, u64);
    /// Deletes samples of matching series within `range`.
    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), String>;
    /// Frees the space of deleted samples.
    fn clean_tombstones(&self) -> Result<(), String>;
    /// Makes a snapshot and returns its name.
    fn snapshot(&self, skip_head: bool) -> Result<String, String>;
}

/// What this program was built from.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// The version of the reference's behaviour, which clients use to switch features.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When it was built.
    pub build_date: String,
    /// The compiler; the key is Prometheus's.
    pub go_version: String,
}

/// The process as it runs.
#[derive(Debug, Clone)]
pub struct RuntimeInfo {
    /// When it started, in milliseconds.
    pub start_time_ms: i64,
    /// Its working directory.
    pub working_directory: String,
    /// The machine.
    pub hostname: String,
    /// Whether the last reload of the configuration succeeded.
    pub reload_succeeded: bool,
    /// When the configuration was last loaded, in milliseconds.
    pub last_config_ms: i64,
    /// Damaged records found in the log so far.
    pub corruption_count: u64,
    /// Worker threads.
    pub threads: usize,
    /// The retention, as configured.
    pub storage_retention: String,
}

/// The process, seen from outside.
pub trait System: Send + Sync {
    /// Whether requests can be served.
    fn is_ready(&self) -> bool;
    /// The configuration in force as YAML, secrets hidden.
    fn config_yaml(&self) -> String;
    /// Labels added to what leaves this server.
    fn external_labels(&self) -> Vec<(String, String)>;
    /// All flags and their values.
    fn flags(&self) -> BTreeMap<String, String>;
    /// What is switched on, by subject.
    fn features(&self) -> BTreeMap<String, BTreeMap<String, bool>>;
    /// What the program was built from.
    fn build_info(&self) -> BuildInfo;
    /// The process as it runs.
    fn runtime_info(&self) -> RuntimeInfo;
    /// Loads the configuration again.
    fn reload(&self) -> Result<(), String>;
    /// Begins the orderly end of the process.
    fn quit(&self);
    /// Messages for the operator.
    fn notifications(&self) -> &Arc<NotificationBoard>;
}

/// How remote writes are received.
#[derive(Clone)]
pub struct RemoteWriteState {
    /// Stores them.
    pub receiver: Arc<dyn RemoteWriteReceiver>,
    /// Messages that are accepted.
    pub accepted: Vec<MessageType>,
    /// The memory all requests share.
    pub budget: ByteBudget,
    /// The most bytes of a body as it comes.
    pub max_body_bytes: usize,
}

/// A remote write.
#[derive(Debug, Clone)]
pub struct RemoteWriteRequest<'a> {
    /// Who pushes.
    pub tenant: TenantId,
    /// Which message the body is.
    pub message: MessageType,
    /// The body as it came, compressed.
    pub body: &'a [u8],
}

/// What became of what was pushed.
#[derive(Debug, Clone, Default)]
pub struct PushOutcome {
    /// Float samples that are durable.
    pub samples: usize,
    /// Histogram samples that are durable.
    pub histograms: usize,
    /// Exemplars that are stored.
    pub exemplars: usize,
    /// Why there are not more.
    pub problem: Option<PushProblem>,
}

/// Why something pushed was not stored.
#[derive(Debug, Clone)]
pub struct PushProblem {
    /// What the sender can do about it.
    pub kind: ErrorKind,
    /// What happened, for the sender.
    pub message: String,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
}

/// Stores what is pushed, seen from outside.
pub trait RemoteWriteReceiver: Send + Sync {
    /// Stores a remote write. It blocks.
    fn remote_write(&self, request: RemoteWriteRequest<'_>) -> PushOutcome;
}
