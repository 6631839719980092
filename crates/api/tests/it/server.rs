//! A server on a free port, with a storage in memory and stand-ins for the rest of the process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::handlers::read::{ReadOptions, ReadService};
use api::metrics::QueryMetrics;
use api::notifications::NotificationBoard;
use api::queries::QueryList;
use api::server::{Security, Server, ServerOptions};
use api::state::{
    ActiveTarget, BuildInfo, DroppedTarget, HeadStatus, OtlpState, RelabelStep, RuntimeInfo, ScrapeCost,
    Storage, System, TargetMetadata, Targets, UnusableTarget,
};
use api::{ApiOptions, ApiState, router};
use arc_swap::ArcSwap;
use base::metrics::Registry;
use base::{ByteBudget, SimClock};
use model::{
    Appendable, Exemplar, FloatHistogram, Labels, Matcher, Metadata, MetricType, SampleValue, TenantId,
    TimeRange,
};
use parking_lot::Mutex;
use promql::engine::Engine;
use testkit::memory::MemoryStorage;
use testkit::promql::engine::script_options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::memory::Fragile;

/// Now, in all tests: half an hour after the epoch.
pub const NOW_MS: i64 = 1_800_000;

/// What the stand-ins were asked to do.
#[derive(Default)]
pub struct Calls {
    pub ready: AtomicBool,
    pub reload_fails: AtomicBool,
    pub hanging: AtomicBool,
    pub lacking: AtomicBool,
    pub done: Mutex<Vec<String>>,
}

struct StandIn(Arc<Calls>, Arc<NotificationBoard>);

impl StandIn {
    fn note(&self, what: impl Into<String>) {
        self.0.done.lock().push(what.into());
    }
}

impl Targets for StandIn {
    fn pools(&self) -> Vec<String> {
        vec!["api".to_owned(), "node".to_owned()]
    }

    fn active(&self) -> Vec<ActiveTarget> {
        vec![ActiveTarget {
            pool: "node".to_owned(),
            discovered_labels: Labels::from_pairs([("__address__", "localhost:9100")]),
            labels: Labels::from_pairs([("job", "node"), ("instance", "localhost:9100")]),
            scrape_url: "http://localhost:9100/metrics".to_owned(),
            last_error: String::new(),
            last_scrape_ms: Some(1_000),
            last_scrape_duration: Duration::from_millis(250),
            health: "up",
            scrape_interval: "15s".to_owned(),
            scrape_timeout: "10s".to_owned(),
            cost: ScrapeCost { samples: 7, samples_kept: 5, series_added: 1, body_bytes: 900 },
        }]
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        let discovered_labels = Labels::from_pairs([("__address__", "gone:80")]);
        vec![DroppedTarget { pool: "api".to_owned(), discovered_labels }]
    }

    fn dropped_counts(&self) -> BTreeMap<String, usize> {
        BTreeMap::from([("api".to_owned(), 1)])
    }

    fn metadata(&self, family: &str) -> Vec<TargetMetadata> {
        let one = |family: &str, metric_type, help: &str| TargetMetadata {
            target: Labels::from_pairs([("job", "node")]),
            family: family.to_owned(),
            metadata: Metadata { metric_type, unit: "".into(), help: help.into() },
        };
        let all = vec![one("up", MetricType::Gauge, "Up."), one("x_total", MetricType::Counter, "X.")];
        all.into_iter().filter(|entry| family.is_empty() || entry.family == family).collect()
    }

    fn pool_config(&self, pool: &str) -> Option<String> {
        (pool == "node").then(|| "job_name: node\n".to_owned())
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let rule = serde_json::json!({ "action": "keep" });
        (pool == "node").then(|| vec![RelabelStep { rule, output: labels.clone(), keep: true }])
    }

    fn metric_relabel_steps(&self, pool: &str, _: &Labels) -> Option<Vec<RelabelStep>> {
        let rule = serde_json::json!({ "action": "drop" });
        (pool == "node").then(|| vec![RelabelStep { rule, output: Labels::empty(), keep: false }])
    }

    fn unusable(&self) -> Vec<UnusableTarget> {
        vec![UnusableTarget { pool: "api".to_owned(), error: "instance 0 in group x: no address".to_owned() }]
    }
}

impl Storage for StandIn {
    fn head_status(&self, limit: usize) -> Result<HeadStatus, String> {
        Ok(HeadStatus { series: limit as u64, ..HeadStatus::default() })
    }

    fn blocks(&self) -> Result<Vec<serde_json::Value>, String> {
        Ok(vec![serde_json::json!({ "ulid": "01ABC" })])
    }

    fn wal_replay(&self) -> (u64, u64, u64) {
        (1, 7, 3)
    }

    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), String> {
        let matchers: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        self.note(format!("delete {} {} {}", range.start_ms, range.end_ms, matchers.join(",")));
        Ok(())
    }

    fn clean_tombstones(&self) -> Result<(), String> {
        Err("disk is full".to_owned())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, String> {
        Ok(format!("snapshot-{skip_head}"))
    }
}

impl System for StandIn {
    fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::SeqCst)
    }

    fn config_yaml(&self) -> String {
        "global: {}\n".to_owned()
    }

    fn external_labels(&self) -> Vec<(String, String)> {
        vec![("region".to_owned(), "eu".to_owned())]
    }

    fn flags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("web.port".to_owned(), "9090".to_owned())])
    }

    fn features(&self) -> BTreeMap<String, BTreeMap<String, bool>> {
        BTreeMap::from([("promql".to_owned(), BTreeMap::from([("offset".to_owned(), true)]))])
    }

    fn build_info(&self) -> BuildInfo {
        let text = str::to_owned;
        BuildInfo {
            version: text("3.14.0"),
            revision: text("abc"),
            branch: text("main"),
            build_user: text("me"),
            build_date: text("today"),
            go_version: text("none"),
        }
    }

    fn runtime_info(&self) -> RuntimeInfo {
        RuntimeInfo {
            start_time_ms: 0,
            working_directory: "/".to_owned(),
            hostname: "host".to_owned(),
            reload_succeeded: true,
            last_config_ms: 0,
            corruption_count: 0,
            threads: 2,
            storage_retention: "15d".to_owned(),
        }
    }

    fn reload(&self) -> Result<(), String> {
        if self.0.reload_fails.load(Ordering::SeqCst) {
            return Err("line 3: no".to_owned());
        }
        self.note("reload");
        Ok(())
    }

    fn quit(&self) {
        self.note("quit");
    }

    fn notifications(&self) -> &Arc<NotificationBoard> {
        &self.1
    }
}

/// A running server; dropping it ends it.
pub struct TestServer {
    pub address: SocketAddr,
    pub calls: Arc<Calls>,
    pub notifications: Arc<NotificationBoard>,
    pub storage: MemoryStorage,
    pub query_budget: ByteBudget,
    pub query_slots: Arc<Semaphore>,
    pub queries: Arc<QueryList>,
    shutdown: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

pub fn options() -> ApiOptions {
    ApiOptions {
        agent: false,
        enable_admin_api: true,
        enable_lifecycle: true,
        enable_search: true,
        search_max_limit: 1000,
        cors_origin: "https?://.*\\.example".to_owned(),
        route_prefix: String::new(),
        external_url: "https://prom.example:8443/".parse().unwrap(),
        listen_address: "0.0.0.0:9090".to_owned(),
        query_max_concurrency: 4,
        query_timeout: Duration::from_secs(60),
        lookback_delta: Duration::from_secs(300),
        page_title: "Test <server>".to_owned(),
        user_assets: None,
    }
}

pub fn server_options() -> ServerOptions {
    ServerOptions {
        listen_addresses: vec!["127.0.0.1:0".to_owned()],
        max_connections: 16,
        read_timeout: Duration::from_secs(30),
        tls: None,
    }
}

impl TestServer {
    /// A server with usual options.
    pub async fn start() -> Self {
        Self::start_with(options(), server_options(), Security::default()).await
    }

    pub async fn start_with(options: ApiOptions, listen: ServerOptions, security: Security) -> Self {
        Self::start_receiving(options, listen, security, None).await
    }

    /// A server that takes in OpenTelemetry metrics.
    pub async fn start_receiving(
        options: ApiOptions,
        listen: ServerOptions,
        security: Security,
        otlp: Option<Arc<OtlpState>>,
    ) -> Self {
        let calls = Arc::new(Calls::default());
        calls.ready.store(true, Ordering::SeqCst);
        let storage = MemoryStorage::new();
        let registry = Registry::new();
        let notifications = Arc::new(NotificationBoard::new(SimClock::at(NOW_MS), 2, &registry));
        let stand_in = || Arc::new(StandIn(calls.clone(), notifications.clone()));
        let source = Arc::new(Fragile { storage: storage.clone(), calls: calls.clone() });
        let query_budget = ByteBudget::new("query.max-memory", 64 << 20);
        let queries = Arc::new(QueryList::new(SimClock::at(NOW_MS)));
        let query_slots = Arc::new(Semaphore::new(options.query_max_concurrency));
        let state = Arc::new(ApiState {
            clock: SimClock::at(NOW_MS),
            source: source.clone(),
            local: source,
            engine: Arc::new(Engine::new(script_options())),
            query_metrics: QueryMetrics::new(&registry, options.query_max_concurrency),
            queries: queries.clone(),
            query_budget: query_budget.clone(),
            query_slots: query_slots.clone(),
            read: ReadService::new(ReadOptions::default(), &registry),
            write: None,
            otlp,
            targets: stand_in(),
            storage: stand_in(),
            rules: Arc::new(api::state::NoRules),
            system: stand_in(),
            registry,
            options,
        });
        let server = Server::bind(listen, Arc::new(ArcSwap::from_pointee(security))).await.unwrap();
        let address = server.addresses()[0];
        let (shutdown, ended) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(router(state), async move {
            let _ = ended.await;
        }));
        let shutdown = Some(shutdown);
        Self { address, calls, notifications, storage, query_budget, query_slots, queries, shutdown, running }
    }

    /// Ends the server and waits until it has.
    pub async fn stop(mut self) {
        drop(self.shutdown.take());
        (&mut self.running).await.unwrap();
    }

    /// Appends float samples `(t_ms, value)` of one series.
    pub fn append(&self, series: &str, samples: &[(i64, f64)]) {
        let labels = promql::parser::series::parse_metric(series).unwrap();
        let mut appender = self.storage.appender(&TenantId::default());
        let series = appender.resolve(&labels).unwrap();
        for &(t_ms, value) in samples {
            appender.append(series, 0, t_ms, SampleValue::Float(value)).unwrap();
        }
        appender.commit().unwrap();
    }

    pub fn append_histogram(&self, series: &str, t_ms: i64, histogram: &FloatHistogram) {
        let labels = promql::parser::series::parse_metric(series).unwrap();
        let mut appender = self.storage.appender(&TenantId::default());
        let series = appender.resolve(&labels).unwrap();
        appender.append(series, 0, t_ms, SampleValue::FloatHistogram(histogram)).unwrap();
        appender.commit().unwrap();
    }

    pub fn append_exemplar(&self, series: &str, exemplar: &Exemplar) {
        let labels = promql::parser::series::parse_metric(series).unwrap();
        let mut appender = self.storage.appender(&TenantId::default());
        let series = appender.resolve(&labels).unwrap();
        appender.append_exemplar(series, exemplar).unwrap();
        appender.commit().unwrap();
    }

    /// The answer to a GET without headers.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// The answer to a form.
    pub async fn post(&self, path: &str, form: &str) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], form).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        exchange(stream, method, path, headers, body).await
    }
}

/// Sends one request and reads until the connection ends: HTTP/1.0 needs no framing.
pub async fn exchange(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A TLS peer may end without saying so; what was read stands.
    let _ = stream.read_to_end(&mut bytes).await;
    Answer::parse(&bytes)
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a response has a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The `data` of a successful answer.
    pub fn data(&self) -> serde_json::Value {
        let mut json = self.json();
        assert_eq!((self.status, &json["status"]), (200, &serde_json::json!("success")), "{json}");
        json["data"].take()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Status, error type and error of a failed answer.
    pub fn error(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(json["status"], "error", "{json}");
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (self.status, text("errorType"), text("error"))
    }
}
