//! The memory that requests which read share: they wait for it in turn, and give it back however they end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{
    Exemplar, LabelRequest, Labels, Matcher, QueryContext, SampleColumns, SelectRequest, SeriesSet,
    SeriesSource, SourceError, TimeRange,
};
use testkit::memory::MemoryStorage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Calls, TestServer};

/// A storage in which the metric `hangs` ends when the client has gone, and the metric `panics` has a bug.
pub struct Fragile {
    pub storage: MemoryStorage,
    pub calls: Arc<Calls>,
}

impl Fragile {
    fn look(&self, matchers: &[Matcher], ctx: &QueryContext) -> Result<(), SourceError> {
        let names = |value: &str| matchers.iter().any(|matcher| matcher.value == value);
        let _held = ctx.reserve(1 << 20).inspect_err(|_| self.calls.lacking.store(true, Ordering::SeqCst))?;
        assert!(!names("panics"), "as it was asked to");
        if names("hangs") {
            self.calls.hanging.store(true, Ordering::SeqCst);
            loop {
                ctx.check("hanging")?;
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

/// The series of a set that have samples in a range: what storages that know their times select.
struct Within {
    set: Box<dyn SeriesSet>,
    series: Vec<usize>,
}

impl SeriesSet for Within {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.set.labels(self.series[i])
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        self.set.read(self.series[i], range, out, ctx)
    }

    fn warnings(&self) -> Vec<String> {
        self.set.warnings()
    }
}

impl SeriesSource for Fragile {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        self.look(&request.matchers, ctx)?;
        let set = self.storage.select(request, ctx)?;
        let has_samples = |&i: &usize| {
            let mut samples = SampleColumns::default();
            set.read(i, request.range, &mut samples, ctx).is_ok() && !samples.timestamps_ms.is_empty()
        };
        let series = (0..set.len()).filter(has_samples).collect();
        Ok(Box::new(Within { set, series }))
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        self.look(&request.matchers, ctx)?;
        self.storage.label_names(request, ctx)
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        self.look(&request.matchers, ctx)?;
        self.storage.label_values(name, request, ctx)
    }

    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        self.storage.exemplars(range, matcher_sets, ctx)
    }
}

/// Requests that read `metric`, one of each kind.
fn requests(metric: &str) -> [String; 6] {
    [
        format!("/api/v1/query?query={metric}"),
        format!("/api/v1/query_range?query={metric}&start=0&end=60&step=1"),
        format!("/api/v1/series?match[]={metric}"),
        format!("/api/v1/labels?match[]={metric}"),
        format!("/api/v1/label/i/values?match[]={metric}"),
        format!("/federate?match[]={metric}"),
    ]
}

async fn with_series(count: usize) -> TestServer {
    let server = TestServer::start().await;
    for i in 0..count {
        server.append(&format!("m{{i=\"{i}\"}}"), &[(1_700_000, i as f64)]);
    }
    server
}

impl TestServer {
    /// Waits until no request holds memory or a slot.
    async fn rest(&self) {
        while self.query_budget.used_bytes() > 0 || self.query_slots.available_permits() < 4 {
            tokio::task::yield_now().await;
        }
    }

    /// Sends a request, and reads nothing.
    async fn begin(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_comes_back_after_answers_and_errors() {
    let server = with_series(10).await;
    for path in requests("m") {
        assert_eq!(server.get(&path).await.status, 200, "{path}");
        server.rest().await;
    }
    let ambiguous = "/api/v1/query?query=m%20%2B%20on()%20m";
    assert_eq!(server.get(ambiguous).await.status, 422);
    server.rest().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_comes_back_after_panics() {
    let server = with_series(10).await;
    for path in requests("panics") {
        assert_eq!(server.get(&path).await.status, 500, "{path}");
        server.rest().await;
    }
    assert_eq!(server.get("/api/v1/query?query=m").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_comes_back_when_clients_go_while_they_wait() {
    let server = with_series(10).await;
    for path in requests("hangs") {
        server.calls.hanging.store(false, Ordering::SeqCst);
        let stream = server.begin(&path).await;
        while !server.calls.hanging.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        assert!(server.query_budget.used_bytes() > 0, "{path}");
        drop(stream);
        server.rest().await;
    }
    // Also while it is not their turn yet.
    let all = server.query_budget.reserve(server.query_budget.limit_bytes()).unwrap();
    let waiting = server.begin("/api/v1/query?query=m").await;
    while server.query_slots.available_permits() == 4 {
        tokio::task::yield_now().await;
    }
    drop(waiting);
    while server.query_slots.available_permits() < 4 {
        tokio::task::yield_now().await;
    }
    drop(all);
    assert_eq!(server.get("/api/v1/query?query=m").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_comes_back_when_clients_go_while_they_are_answered() {
    let server = with_series(2000).await;
    // More than the buffers between here and there hold.
    let long =
        format!("/api/v1/query?query=label_replace(m,%22a%22,%22{}%22,%22i%22,%22.*%22)", "x".repeat(8000));
    for path in [&*long, "/api/v1/series?match[]=m", "/federate?match[]=m"] {
        let mut stream = server.begin(path).await;
        let mut first = [0; 1000];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200 OK"), "{path}");
        drop(stream);
        server.rest().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_their_turn() {
    let server = with_series(10).await;
    for path in requests("m") {
        let all = server.query_budget.reserve(server.query_budget.limit_bytes()).unwrap();
        let late = format!("{path}&timeout=10ms");
        if path.contains("query") {
            let (status, kind, text) = server.get(&late).await.error();
            assert_eq!((status, &*kind, &*text), (503, "timeout", "query timed out in query queue"));
        }
        let (answer, ()) = tokio::join!(server.get(&path), async { drop(all) });
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        server.rest().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_others_left_too_little_is_answered_when_they_have_ended() {
    let server = with_series(10).await;
    for path in requests("m") {
        // Enough to begin, too little for what it reads.
        let others = server.query_budget.reserve(server.query_budget.limit_bytes() - (5 << 19)).unwrap();
        let ended = async {
            while !server.calls.lacking.swap(false, Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            drop(others);
        };
        let (answer, ()) = tokio::join!(server.get(&path), ended);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        server.rest().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_all_memory_is_refused_by_the_name_of_the_limit() {
    let server = with_series(2000).await;
    let large = format!("query=label_replace(m,%22a%22,%22{}%22,%22i%22,%22.*%22)", "x".repeat(40_000));
    let (status, kind, text) = server.post("/api/v1/query", &large).await.error();
    assert_eq!((status, &*kind), (422, "execution"), "{text}");
    assert!(text.starts_with("query.max-memory: limit of 67108864 bytes exceeded"), "{text}");
    server.rest().await;
    server.stop().await;
}
