//! A storage in memory, a real HTTP server, and a manager that scrapes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use base::clock::Clock;
use base::metrics::Registry;
use config::{Config, LoadOptions};
use discovery::TargetGroup;
use discovery::manager::Groups;
use model::{
    AppendError, Appendable, Appender, Exemplar, Labels, Metadata, SampleValue, SeriesRef, TenantId,
    is_stale_nan,
};
use parking_lot::{Mutex, MutexGuard};

use crate::scrape::{Manager, ScrapeOptions};

/// A job whose targets are scraped as often as a test can wait for.
pub const FAST: &str = "  scrape_interval: 50ms\n  scrape_timeout: 50ms\n";

/// Time that follows tokio's and starts at a known moment.
struct TokioClock(tokio::time::Instant);

pub const START_MS: i64 = 1_700_000_000_000;

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
pub struct Stored {
    pub refs: Vec<Option<Labels>>,
    pub samples: BTreeMap<String, Vec<(i64, String)>>,
    pub exemplars: Vec<String>,
    pub metadata: BTreeMap<String, Metadata>,
    pub resolved: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Stored>>);

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
            SampleValue::Histogram(h) => {
                let buckets = h.positive_buckets.len() + h.negative_buckets.len();
                format!("histogram {} schema {} buckets {buckets}", h.count, h.schema)
            }
            SampleValue::FloatHistogram(h) => {
                let buckets = h.positive_buckets.len() + h.negative_buckets.len();
                format!("float histogram {} schema {} buckets {buckets}", h.count, h.schema)
            }
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
    pub fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock()
    }

    /// The values of a series, oldest first.
    pub fn values(&self, series: &str) -> Vec<String> {
        let stored = self.0.lock();
        stored.samples.get(series).map(|s| s.iter().map(|(_, v)| v.clone()).collect()).unwrap_or_default()
    }

    pub fn last(&self, series: &str) -> Option<String> {
        self.values(series).pop()
    }

    pub fn names(&self) -> Vec<String> {
        self.0.lock().samples.keys().cloned().collect()
    }
}

/// What the target under test answers with.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub encoding: &'static str,
    pub body: Vec<u8>,
    pub delay: Duration,
}

impl Page {
    pub fn text(body: &str) -> Self {
        let (content_type, encoding) = ("text/plain; version=0.0.4", "");
        Self { status: StatusCode::OK, content_type, encoding, body: body.into(), delay: Duration::ZERO }
    }
}

#[derive(Debug, Clone)]
pub struct Server {
    pub page: Arc<Mutex<Page>>,
    pub seen: Arc<Mutex<HeaderMap>>,
    /// Path and query of the last request.
    pub asked: Arc<Mutex<String>>,
    pub requests: Arc<AtomicU64>,
    pub address: String,
}

impl Server {
    pub async fn start(page: Page) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self {
            page: Arc::new(Mutex::new(page)),
            seen: Arc::default(),
            asked: Arc::default(),
            requests: Arc::default(),
            address,
        };
        let app = axum::Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    pub fn show(&self, body: &str) {
        self.page.lock().body = body.into();
    }
}

async fn answer(State(server): State<Server>, uri: Uri, headers: HeaderMap) -> Response {
    *server.asked.lock() = uri.to_string();
    *server.seen.lock() = headers;
    server.requests.fetch_add(1, Ordering::SeqCst);
    let page = server.page.lock().clone();
    if !page.delay.is_zero() {
        tokio::time::sleep(page.delay).await;
    }
    let mut headers = HeaderMap::new();
    if !page.content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, page.content_type.parse().unwrap());
    }
    if !page.encoding.is_empty() {
        headers.insert(header::CONTENT_ENCODING, page.encoding.parse().unwrap());
    }
    let mut response = Response::new(axum::body::Body::from(page.body));
    *response.status_mut() = page.status;
    *response.headers_mut() = headers;
    response
}

/// A manager with one job that scrapes one server.
pub struct Bench {
    pub memory: Memory,
    pub manager: Arc<Manager>,
    pub registry: Registry,
    pub server: Server,
}

pub fn jobs(yaml: &str) -> Config {
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
    pub async fn start(page: Page, yaml: &str, options: ScrapeOptions) -> Self {
        let server = Server::start(page).await;
        let (memory, registry) = (Memory::default(), Registry::new());
        let clock = Arc::new(TokioClock(tokio::time::Instant::now()));
        let manager = Manager::new(Arc::new(memory.clone()), options, clock, &registry);
        let bench = Self { memory, manager, registry, server };
        bench.manager.apply(&jobs(yaml).jobs, &Labels::empty()).await.unwrap();
        bench.manager.sync(groups(&bench.server.address)).await;
        bench
    }

    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> String {
        let own = [("__name__", name), ("instance", self.server.address.as_str()), ("job", "j")];
        Labels::from_pairs(own.into_iter().chain(labels.iter().copied())).to_string()
    }

    /// Shows a page and waits until a scrape that has seen it is stored.
    pub async fn scrape_page(&self, page: Page) {
        *self.server.page.lock() = page;
        // The scrape in flight may have seen the page before.
        self.scrape().await;
        self.scrape().await;
    }

    /// The first stored value of a report series.
    pub fn reported(&self, name: &str) -> String {
        self.memory.last(&self.series(name, &[])).unwrap()
    }

    /// Waits for the scrape after those there were.
    pub async fn scrape(&self) {
        let up = self.series("up", &[]);
        let before = self.memory.values(&up).len();
        while self.memory.values(&up).len() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn counter(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name == name).unwrap();
        match family.points[0].value {
            base::metrics::Value::Number(value) => value,
            _ => panic!("{name} is not a number"),
        }
    }

    pub fn error(&self) -> String {
        self.manager.pools()["j"].active[0].target.last_scrape().error
    }
}
