use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use base::clock::Clock;
use base::metrics::Registry;
use config::{Config, LoadOptions};
use discovery::TargetGroup;
use discovery::manager::Groups;
use model::{
    AppendError, Appendable, Appender, Exemplar, Labels, Metadata, SampleValue, SeriesRef, TenantId,
    is_stale_nan,
};
use parking_lot::Mutex;

use super::*;

/// Time that follows tokio's and starts at a known moment.
struct TokioClock(tokio::time::Instant);

const START_MS: i64 = 1_700_000_000_000;

impl Clock for TokioClock {
    fn now_ms(&self) -> i64 {
        START_MS + self.0.elapsed().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What was committed, series by series.
#[derive(Debug, Default)]
struct Stored {
    refs: Vec<Option<Labels>>,
    samples: BTreeMap<String, Vec<(i64, String)>>,
    exemplars: Vec<String>,
    metadata: BTreeMap<String, Metadata>,
    resolved: usize,
}

#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Stored>>);

struct MemoryAppender {
    memory: Memory,
    pending: Vec<(String, i64, String)>,
    exemplars: Vec<String>,
    metadata: Vec<(String, Metadata)>,
}

impl Appendable for Memory {
    fn appender(&self, _: &TenantId) -> Box<dyn Appender> {
        let memory = self.clone();
        Box::new(MemoryAppender { memory, pending: Vec::new(), exemplars: Vec::new(), metadata: Vec::new() })
    }
}

impl MemoryAppender {
    fn name(&self, series: SeriesRef) -> Result<String, AppendError> {
        let stored = self.memory.0.lock();
        let labels = stored.refs.get(series.0 as usize).and_then(Option::as_ref);
        labels.map(Labels::to_string).ok_or(AppendError::UnknownSeries)
    }
}

impl Appender for MemoryAppender {
    fn resolve(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let mut stored = self.memory.0.lock();
        stored.resolved += 1;
        if let Some(at) = stored.refs.iter().position(|known| known.as_ref() == Some(labels)) {
            return Ok(SeriesRef(at as u64));
        }
        stored.refs.push(Some(labels.clone()));
        Ok(SeriesRef(stored.refs.len() as u64 - 1))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        start_ms: i64,
        t_ms: i64,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        let name = self.name(series)?;
        let stored = self.memory.0.lock();
        let last = stored.samples.get(&name).and_then(|samples| samples.last());
        match last {
            Some((last_ms, _)) if *last_ms > t_ms => return Err(AppendError::OutOfOrder),
            Some((last_ms, _)) if *last_ms == t_ms => {
                return Err(AppendError::DuplicateTimestamp { existing: 0.0, new: 1.0 });
            }
            _ => {}
        }
        let text = match value {
            SampleValue::Float(value) if is_stale_nan(value) => "stale".to_owned(),
            SampleValue::Float(value) => value.to_string(),
            SampleValue::Histogram(h) => format!("histogram {} schema {}", h.count, h.schema),
            SampleValue::FloatHistogram(h) => format!("float histogram {} schema {}", h.count, h.schema),
        };
        let text = if start_ms == 0 { text } else { format!("{text} since {start_ms}") };
        drop(stored);
        self.pending.push((name, t_ms, text));
        Ok(())
    }

    fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let name = self.name(series)?;
        self.exemplars
            .push(format!("{name} {} {} {}", exemplar.labels, exemplar.value, exemplar.timestamp_ms));
        Ok(())
    }

    fn update_metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        let name = self.name(series)?;
        self.metadata.push((name, metadata.clone()));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        let mut stored = self.memory.0.lock();
        for (name, t_ms, text) in self.pending {
            stored.samples.entry(name).or_default().push((t_ms, text));
        }
        stored.exemplars.extend(self.exemplars);
        stored.metadata.extend(self.metadata);
        Ok(())
    }
}

impl Memory {
    /// The values of a series, oldest first.
    fn values(&self, series: &str) -> Vec<String> {
        let stored = self.0.lock();
        stored.samples.get(series).map(|s| s.iter().map(|(_, v)| v.clone()).collect()).unwrap_or_default()
    }

    fn last(&self, series: &str) -> Option<String> {
        self.values(series).pop()
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().samples.keys().cloned().collect()
    }
}

/// What the target under test answers with.
#[derive(Debug, Clone)]
struct Page {
    status: StatusCode,
    content_type: &'static str,
    encoding: &'static str,
    body: Vec<u8>,
    delay: Duration,
}

impl Page {
    fn text(body: &str) -> Self {
        let (content_type, encoding) = ("text/plain; version=0.0.4", "");
        Self { status: StatusCode::OK, content_type, encoding, body: body.into(), delay: Duration::ZERO }
    }
}

#[derive(Debug, Clone)]
struct Server {
    page: Arc<Mutex<Page>>,
    seen: Arc<Mutex<HeaderMap>>,
    requests: Arc<AtomicU64>,
    address: String,
}

impl Server {
    async fn start(page: Page) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self {
            page: Arc::new(Mutex::new(page)),
            seen: Arc::default(),
            requests: Arc::default(),
            address,
        };
        let app = axum::Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    fn show(&self, body: &str) {
        self.page.lock().body = body.into();
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap) -> impl IntoResponse {
    *server.seen.lock() = headers;
    server.requests.fetch_add(1, Ordering::SeqCst);
    let page = server.page.lock().clone();
    if !page.delay.is_zero() {
        tokio::time::sleep(page.delay).await;
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, page.content_type.parse().unwrap());
    if !page.encoding.is_empty() {
        headers.insert(header::CONTENT_ENCODING, page.encoding.parse().unwrap());
    }
    (page.status, headers, page.body)
}

/// A manager with one job that scrapes one server.
struct Bench {
    memory: Memory,
    manager: Arc<Manager>,
    registry: Registry,
    server: Server,
}

fn jobs(yaml: &str) -> Config {
    let yaml = format!(
        "global: {{scrape_interval: 10s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: j\n{yaml}"
    );
    Config::from_bytes("test.yml".as_ref(), yaml.as_bytes(), &LoadOptions::default()).unwrap()
}

fn groups(address: &str) -> Groups {
    let group = TargetGroup::of_addresses("static".into(), Labels::empty(), &[address]);
    Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))
}

impl Bench {
    async fn start(page: Page, yaml: &str, options: ScrapeOptions) -> Self {
        let server = Server::start(page).await;
        let (memory, registry) = (Memory::default(), Registry::new());
        let clock = Arc::new(TokioClock(tokio::time::Instant::now()));
        let manager = Manager::new(Arc::new(memory.clone()), options, clock, &registry);
        let bench = Self { memory, manager, registry, server };
        bench.manager.apply(&jobs(yaml).jobs, &Labels::empty()).await.unwrap();
        bench.manager.sync(groups(&bench.server.address)).await;
        bench
    }

    fn series(&self, name: &str, labels: &[(&str, &str)]) -> String {
        let own = [("__name__", name), ("instance", self.server.address.as_str()), ("job", "j")];
        Labels::from_pairs(own.into_iter().chain(labels.iter().copied())).to_string()
    }

    /// Waits for the scrape after those there were.
    async fn scrape(&self) {
        let up = self.series("up", &[]);
        let before = self.memory.values(&up).len();
        while self.memory.values(&up).len() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn counter(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name == name).unwrap();
        match family.points[0].value {
            base::metrics::Value::Number(value) => value,
            _ => panic!("{name} is not a number"),
        }
    }

    fn error(&self) -> String {
        self.manager.pools()["j"].active[0].target.last_scrape().error
    }
}

#[tokio::test]
async fn a_scrape_stores_samples_report_and_metadata() {
    let body = "# HELP m Help of m.\n# TYPE m counter\nm{a=\"1\"} 1\nm{a=\"2\",job=\"own\"} 2\nplain 3 1700000000123\n";
    let options = ScrapeOptions { append_metadata: true, ..ScrapeOptions::default() };
    let bench = Bench::start(
        Page::text(body),
        "  extra_scrape_metrics: true\n  scrape_interval: 50ms\n  scrape_timeout: 50ms\n",
        options,
    )
    .await;
    bench.scrape().await;
    assert_eq!(bench.memory.values(&bench.series("m", &[("a", "1")]))[0], "1");
    assert_eq!(bench.memory.values(&bench.series("m", &[("a", "2"), ("exported_job", "own")]))[0], "2");
    assert_eq!(
        bench.memory.0.lock().samples[&bench.series("plain", &[])],
        [(1_700_000_000_123, "3".to_owned())]
    );
    for (name, value) in [
        ("up", "1"),
        ("scrape_samples_scraped", "3"),
        ("scrape_samples_post_metric_relabeling", "3"),
        ("scrape_series_added", "3"),
        ("scrape_timeout_seconds", "0.05"),
        ("scrape_sample_limit", "0"),
        ("scrape_body_size_bytes", &body.len().to_string()),
    ] {
        assert_eq!(bench.memory.values(&bench.series(name, &[]))[0], value, "{name}");
    }
    let metadata = bench.memory.0.lock().metadata[&bench.series("m", &[("a", "1")])].clone();
    assert_eq!((metadata.metric_type.as_str(), metadata.help.as_str()), ("counter", "Help of m."));
    let view = bench.manager.pool("j").unwrap();
    assert_eq!(view.active[0].metadata_of("m").unwrap(), metadata);
    assert_eq!(view.active[0].target.last_scrape().health, Health::Up);
    let seen = bench.server.seen.lock().clone();
    assert_eq!(seen["x-prometheus-scrape-timeout-seconds"], "0.05");
    assert!(
        seen[header::ACCEPT]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,")
    );
    // Known series are not resolved again.
    bench.scrape().await;
    let resolved = bench.memory.0.lock().resolved;
    bench.scrape().await;
    assert_eq!(bench.memory.0.lock().resolved, resolved);
    assert_eq!(bench.memory.last(&bench.series("scrape_series_added", &[])).unwrap(), "0");
    bench.manager.stop().await;
}

const FAST: &str = "  scrape_interval: 50ms\n  scrape_timeout: 50ms\n";

#[tokio::test]
async fn vanished_series_and_failed_scrapes_are_marked_stale() {
    let bench = Bench::start(Page::text("a 1\nb 2\n"), FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    bench.server.show("a 1\n");
    while bench.memory.last(&bench.series("b", &[])).as_deref() != Some("stale") {
        bench.scrape().await;
    }
    bench.scrape().await;
    let b = bench.memory.values(&bench.series("b", &[]));
    assert_eq!(b.iter().filter(|v| *v == "stale").count(), 1);
    bench.server.page.lock().status = StatusCode::SERVICE_UNAVAILABLE;
    while bench.memory.last(&bench.series("a", &[])).as_deref() != Some("stale") {
        bench.scrape().await;
    }
    assert_eq!(bench.memory.last(&bench.series("up", &[])).unwrap(), "0");
    assert_eq!(bench.error(), "server returned HTTP status 503 Service Unavailable");
    bench.server.page.lock().status = StatusCode::OK;
    while bench.memory.last(&bench.series("a", &[])).as_deref() != Some("1") {
        bench.scrape().await;
    }
    // A body that breaks off counts as none at all.
    bench.server.show("a 7\nb{\n");
    while bench.memory.last(&bench.series("a", &[])).as_deref() != Some("stale") {
        bench.scrape().await;
    }
    assert!(!bench.memory.values(&bench.series("a", &[])).contains(&"7".to_owned()));
    assert!(bench.error().starts_with("expected label name, got"), "{}", bench.error());
    bench.manager.stop().await;
}

#[tokio::test]
async fn limits_fail_the_scrape_by_name_and_count() {
    for (yaml, error, metric, samples) in [
        (
            "  sample_limit: 1\n",
            "sample limit exceeded",
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "2",
        ),
        (
            "  label_limit: 3\n",
            "label_limit exceeded (metric: m, number of labels: 4, limit: 3)",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
            "1",
        ),
        (
            "  body_size_limit: 10B\n",
            "body size limit exceeded",
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "0",
        ),
        ("  target_limit: 0\n", "", "prometheus_target_scrape_pools_total", "2"),
    ] {
        let bench = Bench::start(
            Page::text("m{a=\"1\"} 1\nn 2\n"),
            &format!("{FAST}{yaml}"),
            ScrapeOptions::default(),
        )
        .await;
        bench.scrape().await;
        assert_eq!(bench.error(), error);
        assert!(bench.counter(metric) >= 1.0, "{metric}");
        assert_eq!(bench.memory.values(&bench.series("scrape_samples_scraped", &[]))[0], samples, "{yaml}");
        assert_eq!(bench.memory.values(&bench.series("m", &[("a", "1")])).is_empty(), !error.is_empty());
        bench.manager.stop().await;
    }
}

#[tokio::test]
async fn too_many_targets_fail_them_all() {
    let bench =
        Bench::start(Page::text("a 1\n"), &format!("{FAST}  target_limit: 1\n"), ScrapeOptions::default())
            .await;
    let addresses = [bench.server.address.clone(), "127.0.0.1:1".to_owned()];
    let group = TargetGroup::of_addresses("static".into(), Labels::empty(), &addresses);
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))).await;
    bench.scrape().await;
    bench.scrape().await;
    let expected = "target_limit exceeded (number of targets: 2, limit: 1)";
    let view = bench.manager.pool("j").unwrap();
    assert!(view.active.iter().any(|active| active.target.last_scrape().error == expected));
    bench.manager.stop().await;
}

#[tokio::test]
async fn metric_relabelling_drops_and_renames_once() {
    let rules = "  metric_relabel_configs:\n  - {source_labels: [__name__], regex: gone, action: drop}\n\
                 \x20 - {source_labels: [a], regex: (.+), target_label: b}\n";
    let bench = Bench::start(
        Page::text("gone 1\nm{a=\"x\"} 2\n"),
        &format!("{FAST}{rules}"),
        ScrapeOptions::default(),
    )
    .await;
    bench.scrape().await;
    bench.scrape().await;
    assert_eq!(bench.memory.values(&bench.series("m", &[("a", "x"), ("b", "x")]))[0], "2");
    assert!(bench.memory.names().iter().all(|name| !name.contains("gone")));
    assert_eq!(bench.memory.values(&bench.series("scrape_samples_post_metric_relabeling", &[]))[0], "1");
    bench.manager.stop().await;
}

#[tokio::test]
async fn compressed_bodies_exemplars_and_start_timestamps() {
    let body = "# TYPE c counter\nc_total 5 # {id=\"b\"} 2 1700000000.5\nc_created 1600000000\n# EOF\n";
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
    let page = Page {
        content_type: "application/openmetrics-text; version=1.0.0",
        encoding: "gzip",
        body: encoder.finish().unwrap(),
        ..Page::text("")
    };
    let options = ScrapeOptions {
        start_timestamps: true,
        start_timestamp_zero_ingestion: true,
        ..ScrapeOptions::default()
    };
    let bench = Bench::start(page, FAST, options).await;
    bench.scrape().await;
    bench.scrape().await;
    let name = bench.series("c_total", &[]);
    let values = bench.memory.values(&name);
    assert_eq!(values[..3], ["0", "5 since 1600000000000", "5 since 1600000000000"]);
    assert_eq!(bench.memory.0.lock().exemplars[0], format!("{name} {{id=\"b\"}} 2 1700000000500"));
    assert!(bench.memory.names().iter().all(|name| !name.contains("c_created")));
    bench.manager.stop().await;
}

#[tokio::test]
async fn a_series_the_storage_forgot_is_resolved_again() {
    let bench = Bench::start(Page::text("a 1\n"), FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    bench.scrape().await;
    {
        let mut stored = bench.memory.0.lock();
        stored.refs.iter_mut().for_each(|labels| *labels = None);
    }
    let before = bench.memory.values(&bench.series("a", &[])).len();
    bench.scrape().await;
    bench.scrape().await;
    let values = bench.memory.values(&bench.series("a", &[]));
    assert!(values.len() > before && values.iter().all(|v| v == "1"), "{values:?}");
    bench.manager.stop().await;
}

#[tokio::test]
async fn unknown_formats_duplicates_and_future_samples() {
    let future = START_MS + 3_600_000;
    let page = Page { content_type: "text/html", ..Page::text("a 1\n") };
    let bench = Bench::start(page, FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    assert_eq!(
        bench.error(),
        "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target"
    );
    {
        let mut page = bench.server.page.lock();
        page.content_type = "text/plain";
        page.body = format!("a 1\na 2\nb 3 {future}\n").into();
    }
    while bench.memory.last(&bench.series("a", &[])).is_none() {
        bench.scrape().await;
    }
    assert_eq!(bench.memory.values(&bench.series("a", &[]))[0], "1");
    assert!(bench.memory.values(&bench.series("b", &[])).is_empty());
    assert!(bench.counter("prometheus_target_scrapes_sample_duplicate_timestamp_total") >= 1.0);
    assert!(bench.counter("prometheus_target_scrapes_sample_out_of_bounds_total") >= 1.0);
    bench.manager.stop().await;
}

#[tokio::test]
async fn a_removed_target_ends_its_series_and_a_reload_does_not() {
    let bench = Bench::start(Page::text("a 1\n"), FAST, ScrapeOptions::default()).await;
    bench.scrape().await;
    // Only what does not concern series changed: the task goes on with what it knows.
    bench.manager.apply(&jobs(&format!("{FAST}  sample_limit: 9\n")).jobs, &Labels::empty()).await.unwrap();
    bench.scrape().await;
    bench.scrape().await;
    assert_eq!(bench.memory.last(&bench.series("scrape_series_added", &[])).unwrap(), "0");
    assert!(!bench.memory.values(&bench.series("a", &[])).contains(&"stale".to_owned()));
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![])]))).await;
    assert!(bench.manager.pool("j").unwrap().active.is_empty());
    while bench.memory.last(&bench.series("up", &[])).as_deref() != Some("stale") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.memory.last(&bench.series("a", &[])).unwrap(), "stale");
    bench.manager.stop().await;
}

#[tokio::test]
async fn timeouts_and_refused_connections_say_so_and_are_logged_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("failures.json");
    let page = Page { delay: Duration::from_secs(60), ..Page::text("a 1\n") };
    let yaml = format!("{FAST}  scrape_failure_log_file: {}\n", log.display());
    let bench = Bench::start(page, &yaml, ScrapeOptions::default()).await;
    bench.scrape().await;
    let expected = format!("Get \"http://{}/metrics\": context deadline exceeded", bench.server.address);
    assert_eq!(bench.error(), expected);
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(&log).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((line["msg"].as_str(), line["job_name"].as_str()), (Some(expected.as_str()), Some("j")));
    bench.manager.stop().await;
}

#[tokio::test]
async fn dropped_targets_are_shown_up_to_the_limit() {
    let yaml = "  keep_dropped_targets: 1\n  relabel_configs:\n  - {source_labels: [__address__], regex: '.*:2', action: drop}\n";
    let bench = Bench::start(Page::text("a 1\n"), yaml, ScrapeOptions::default()).await;
    let addresses = ["a:1", "b:2", "c:2", "a:1"];
    let group = TargetGroup::of_addresses("static".into(), Labels::empty(), &addresses);
    bench.manager.sync(Arc::new(BTreeMap::from([("j".to_owned(), vec![group])]))).await;
    let view = bench.manager.pool("j").unwrap();
    assert_eq!((view.active.len(), view.dropped.len(), view.dropped_count), (1, 1, 2));
    assert_eq!(view.dropped[0].get("__address__"), Some("b:2"));
    assert_eq!(view.active[0].target.url(), "http://a:1/metrics");
    bench.manager.stop().await;
}
