//! Queries of logs while they run: who sees them, with what they have read, and how they are ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::handlers::loki::{LogOptions, LogQueryLimits, LogState, router};
use base::ByteBudget;
use ingest::LogLimits;
use model::logs::{LogColumns, LogRange, LogRequest, LogSource, Page, PageGroup, PageReader, StreamVolume};
use model::{Labels, Matcher, QueryContext, SourceError};
use serde_json::{Value, json};
use testkit::logs::MemoryLogs;

use super::{encoded, parts_of, send};
use crate::server::TestServer;

/// A source whose every page group has a twin that is never read to its end.
struct Endless(MemoryLogs);

struct NeverRead;

impl PageReader for NeverRead {
    fn read(&self, _: LogColumns, ctx: &QueryContext) -> Result<Page, SourceError> {
        loop {
            ctx.check("hanging")?;
            std::thread::yield_now();
        }
    }
}

impl LogSource for Endless {
    fn select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError> {
        let mut groups = self.0.select(request, ctx)?;
        let twins: Vec<_> =
            groups.iter().map(|group| PageGroup { reader: Arc::new(NeverRead), ..group.clone() }).collect();
        groups.extend(twins);
        Ok(groups)
    }

    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError> {
        self.0.streams(range, matcher_sets, ctx)
    }

    fn volumes(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SourceError> {
        self.0.volumes(range, matchers, ctx)
    }
}

/// The queries that run, once `is_so` holds of them.
async fn running(server: &TestServer, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    loop {
        let running = server.get("/api/operations/queries").await.data()["running"].take();
        let running = running.as_array().unwrap().clone();
        if is_so(&running) {
            return running;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn queries_of_logs_are_seen_with_what_they_read_and_can_be_ended() {
    let server = TestServer::start().await;
    let store = MemoryLogs::default();
    let budget = ByteBudget::new("logs.max-push-memory", 8 << 20);
    let source = Arc::new(Endless(store.clone()));
    let mut parts = parts_of(source, Arc::new(store), LogLimits::default(), budget);
    parts.running = server.queries.clone();
    let options = LogOptions { max_queries: 1, ..LogOptions::default() };
    let logs = router(LogState::new(parts, options, LogQueryLimits::default()));
    let json = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    let body =
        br#"{"streams":[{"stream":{"a":"b"},"values":[["1000000000","one"],["2000000000","three"]]}]}"#;
    assert_eq!(send(&logs, "POST", "/loki/api/v1/push", &json, body.to_vec()).await.0, 204);

    let ask = |path: String| {
        let logs = logs.clone();
        tokio::spawn(async move { send(&logs, "GET", &path, &BTreeMap::new(), Vec::new()).await })
    };
    let lines = encoded("{a=\"b\"} |~ \"o|t\"");
    let first = ask(format!("/loki/api/v1/query_range?query={lines}&start=0&end=10"));
    let seen = running(&server, |running| running.first().is_some_and(|query| query["lines"] == 2)).await;
    assert_eq!((&seen[0]["query"], &seen[0]["language"]), (&json!("{a=\"b\"} |~ \"o|t\""), &json!("logql")));
    assert_eq!(
        (&seen[0]["kind"], &seen[0]["startMs"], &seen[0]["endMs"]),
        (&json!("lines"), &json!(0), &json!(10_000))
    );
    // Lines of eight bytes, with their level.
    assert!(seen[0]["bytes"].as_u64().unwrap() >= 8);
    assert_eq!(seen[0]["isWaiting"], false);

    // One that waits for its turn is seen and ended, too.
    let count = encoded("count_over_time({a=\"b\"} |= \"o\" [1m])");
    let second = ask(format!("/loki/api/v1/query_range?query={count}&start=0&end=60&step=30"));
    let seen = running(&server, |running| running.len() == 2).await;
    assert_eq!(
        (&seen[1]["kind"], &seen[1]["stepMs"], &seen[1]["isWaiting"]),
        (&json!("range"), &json!(30_000), &json!(true))
    );
    let end = |query: &Value| format!("/api/operations/queries/{}", query["id"]);
    assert_eq!(server.send("DELETE", &end(&seen[1]), &[], "").await.status, 204);
    let (status, text) = second.await.unwrap();
    assert_eq!((status, text.contains("canceled while it waited")), (499, true), "{text}");

    assert_eq!(server.send("DELETE", &end(&seen[0]), &[], "").await.status, 204);
    let (status, text) = first.await.unwrap();
    assert_eq!((status, text.contains("query was canceled in hanging")), (499, true), "{text}");
    running(&server, <[Value]>::is_empty).await;
    let slowest = server.get("/api/operations/queries").await.data()["slowest"].take();
    // The clock stands: of equally slow ones the one that ended first is first.
    assert_eq!(
        (&slowest[1]["lines"], &slowest[1]["error"]),
        (&json!(2), &json!("query was canceled in hanging"))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_looks_for_fields_and_patterns_is_seen_as_well() {
    let server = TestServer::start().await;
    let store = MemoryLogs::default();
    let budget = ByteBudget::new("logs.max-push-memory", 8 << 20);
    let mut parts = parts_of(Arc::new(store.clone()), Arc::new(store), LogLimits::default(), budget);
    parts.running = server.queries.clone();
    let logs = router(LogState::new(parts, LogOptions::default(), LogQueryLimits::default()));
    let query = encoded("{a=\"b\"}");
    for path in [
        "/loki/api/v1/detected_fields",
        "/loki/api/v1/detected_field/x/values",
        "/loki/api/v1/patterns",
        "/loki/api/v1/query_range",
        "/api/prom/query",
    ] {
        let path = format!("{path}?query={query}&start=1&end=10");
        let (status, text) = send(&logs, "GET", &path, &BTreeMap::new(), Vec::new()).await;
        assert_eq!(status, 200, "{path}: {text}");
    }
    let moment = format!("/loki/api/v1/query?query={}", encoded("count_over_time({a=\"b\"}[1m])"));
    assert_eq!(send(&logs, "GET", &moment, &BTreeMap::new(), Vec::new()).await.0, 200);
    let slowest = server.get("/api/operations/queries").await.data()["slowest"].take();
    let mut kinds: Vec<&str> =
        slowest.as_array().unwrap().iter().map(|query| query["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["instant", "lines", "lines", "lines", "lines", "lines"]);
    server.stop().await;
}
