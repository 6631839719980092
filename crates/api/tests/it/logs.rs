//! The API of logs against what the reference answered: the data set pushed, every query asked, every push tried.

mod bounds;
mod compare;
mod engine;
mod watched;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use api::handlers::loki::{Followers, LogOptions, LogParts, LogPush, LogQueryLimits, LogState, router};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use base::{ByteBudget, Reservation, SystemClock};
use base64::Engine as _;
use ingest::{LogLimits, LogReceiver};
use model::TenantId;
use model::logs::{LogAppender, LogSource, PushRefusal};
use serde_json::Value;
use testkit::logs::MemoryLogs;
use tower_service::Service;
use wire::loki::PushRequest;

/// Where the reference is not followed, and why.
const DIFFERENCES: [(&str, &str); 4] = [
    ("decolorize/003", "a line filter behind `decolorize` sees the line without colours, as it is written"),
    ("label-filters/055", "`1.2MiB` is not rounded to `1.3MB` on the way"),
    ("label-filters/059", "`64KiB` is not rounded to `66kB` on the way"),
    ("push-json/015", "entries of any age are stored, however far behind the newest of their stream"),
];

struct Door(Arc<LogReceiver>);

impl LogPush for Door {
    fn push(
        &self,
        tenant: &TenantId,
        request: PushRequest,
        memory: &mut Reservation,
    ) -> Result<(), PushRefusal> {
        self.0.push_within(tenant, request, memory)
    }

    fn push_otlp(&self, tenant: &TenantId, body: &[u8], memory: &mut Reservation) -> Result<(), PushRefusal> {
        self.0.push_otlp(tenant, body, memory)
    }
}

fn server(limits: LogLimits) -> Router {
    let store = MemoryLogs::default();
    server_of(Arc::new(store.clone()), Arc::new(store), limits)
}

fn server_of(source: Arc<dyn LogSource>, appender: Arc<dyn LogAppender>, limits: LogLimits) -> Router {
    let budget = ByteBudget::new("logs.max-push-memory", 256 << 20);
    router(state_of(source, appender, limits, budget))
}

fn state_of(
    source: Arc<dyn LogSource>,
    appender: Arc<dyn LogAppender>,
    limits: LogLimits,
    body_budget: ByteBudget,
) -> Arc<LogState> {
    let parts = parts_of(source, appender, limits, body_budget);
    LogState::new(parts, LogOptions::default(), LogQueryLimits::default())
}

fn parts_of(
    source: Arc<dyn LogSource>,
    appender: Arc<dyn LogAppender>,
    limits: LogLimits,
    body_budget: ByteBudget,
) -> LogParts {
    let (clock, followers) = (SystemClock::shared(), Arc::<Followers>::default());
    let receiver = LogReceiver::new(appender, limits, clock.clone()).observed_by(followers.clone());
    LogParts {
        source,
        receiver: Arc::new(Door(Arc::new(receiver))),
        clock: clock.clone(),
        query_budget: ByteBudget::new("query.max-memory", 1 << 30),
        body_budget,
        followers,
        running: Arc::new(api::queries::QueryList::new(clock.clone())),
        deletes: None,
        metrics: None,
    }
}

async fn send(
    server: &Router,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> (u16, String) {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = server.clone().call(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn headers(case: &Value) -> BTreeMap<String, String> {
    let pairs = case["headers"].as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The request a query case stands for.
fn target(case: &Value) -> (&'static str, String, BTreeMap<String, String>, Vec<u8>) {
    let name = match (case["kind"].as_str().unwrap(), &case["label"], &case["field"]) {
        (_, Value::String(label), _) => format!("label/{}/values", encoded(label)),
        (_, _, Value::String(field)) => format!("detected_field/{}/values", encoded(field)),
        ("instant", ..) => "query".to_owned(),
        ("range", ..) => "query_range".to_owned(),
        ("stats", ..) => "index/stats".to_owned(),
        ("volume", ..) => "index/volume".to_owned(),
        ("volume_range", ..) => "index/volume_range".to_owned(),
        ("format", ..) => "format_query".to_owned(),
        (kind, ..) => kind.to_owned(),
    };
    let mut pairs = Vec::new();
    if let Some(query) = case["query"].as_str() {
        pairs.push(format!("query={}", encoded(query)));
    }
    for (name, value) in case["params"].as_object().into_iter().flatten() {
        let values = value.as_array().map_or_else(|| vec![value], |values| values.iter().collect());
        pairs.extend(
            values
                .iter()
                .map(|value| format!("{}={}", encoded(name), encoded(value.as_str().unwrap_or_default()))),
        );
    }
    let (path, form, mut headers) = (format!("/loki/api/v1/{name}"), pairs.join("&"), headers(case));
    if case["method"] == "POST" {
        headers.entry("Content-Type".to_owned()).or_insert("application/x-www-form-urlencoded".to_owned());
        return ("POST", path, headers, form.into_bytes());
    }
    ("GET", format!("{path}?{form}"), headers, Vec::new())
}

async fn ask(server: &Router, case: &Value) -> Option<String> {
    let (method, path, headers, body) = target(case);
    let (status, text) = send(server, method, &path, &headers, body).await;
    compare::check(case, status, &text)
}

async fn push(server: &Router, case: &Value) -> Option<String> {
    for first in case["before"].as_array().into_iter().flatten() {
        let body = first["body"].as_str().unwrap().as_bytes().to_vec();
        let (status, text) =
            send(server, "POST", first["path"].as_str().unwrap(), &headers(first), body).await;
        if status != 204 {
            return Some(format!("the request before it: {status} {text}"));
        }
    }
    let body = match case["body_base64"].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        None => case["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    let method = case["method"].as_str().unwrap_or("POST");
    let (status, text) = send(server, method, case["path"].as_str().unwrap(), &headers(case), body).await;
    let mut found = compare::check(case, status, &text);
    for after in case["then"].as_array().into_iter().flatten() {
        if found.is_none() {
            found = ask(server, after).await.map(|problem| format!("what was stored: {problem}"));
        }
    }
    found
}

fn topics(folder: &Path) -> Vec<Vec<Value>> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    files.iter().map(|path| read(path)["cases"].as_array().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_reference() {
    if let Some(folder) = testkit::conformance::folder("logql", "answers_are_those_of_the_reference") {
        follows_the_reference(&server(LogLimits::default()), &folder).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_answers_so_wherever_entries_are() {
    let name = "the_engine_answers_so_wherever_entries_are";
    let Some(folder) = testkit::conformance::folder("logql", name) else { return };
    for place in engine::PLACES {
        println!("entries are {place:?}");
        let engine = Arc::new(engine::Engine::open(place));
        follows_the_reference(&server_of(engine.source(), engine.clone(), LogLimits::default()), &folder)
            .await;
        engine.check();
    }
}

async fn follows_the_reference(server: &Router, folder: &Path) {
    let json = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    for number in 1..=3 {
        let body = std::fs::read(folder.join(format!("dataset/push-{number}.json"))).unwrap();
        let (status, text) = send(server, "POST", "/loki/api/v1/push", &json, body).await;
        assert_eq!(status, 204, "{text}");
    }
    let (mut asked, mut failures) = (0, Vec::new());
    for case in topics(&folder.join("cases")).iter().flatten() {
        asked += 1;
        failures
            .extend(ask(server, case).await.map(|found| (case["id"].as_str().unwrap().to_owned(), found)));
    }
    for case in topics(&folder.join("ingest")).iter().flatten() {
        asked += 1;
        failures
            .extend(push(server, case).await.map(|found| (case["id"].as_str().unwrap().to_owned(), found)));
    }
    assert!(asked > 1000, "only {asked} cases");
    let is_known = |id: &str| DIFFERENCES.iter().any(|(known, _)| *known == id);
    let unknown: Vec<_> = failures.iter().filter(|(id, _)| !is_known(id)).collect();
    assert!(unknown.is_empty(), "{} of {asked} cases: {unknown:#?}", unknown.len());
    for (id, reason) in DIFFERENCES {
        assert!(
            failures.iter().any(|(failed, _)| failed == id),
            "{id} is as in the reference after all: {reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_pushes_too_much_is_told_to_wait() {
    let limits = LogLimits { ingestion_rate_bytes: 10.0, ingestion_burst_bytes: 10, ..LogLimits::default() };
    let server = server(limits);
    let json = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    let body = |line: &str| {
        format!("{{\"streams\":[{{\"stream\":{{\"a\":\"b\"}},\"values\":[[\"1\",\"{line}\"]]}}]}}")
    };
    let first = send(&server, "POST", "/loki/api/v1/push", &json, body("12345678").into_bytes()).await;
    assert_eq!(first.0, 204, "{}", first.1);
    let second = send(&server, "POST", "/loki/api/v1/push", &json, body("87654321").into_bytes()).await;
    assert_eq!(second.0, 429);
    assert!(
        second.1.contains("ingestion rate limit exceeded for user anonymous (limit: 10 bytes/sec)"),
        "{}",
        second.1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_clients_push_and_read_in_their_own_shape() {
    let server = server(LogLimits::default());
    let json = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    let body = r#"{"streams":[{"labels":"{app=\"old\"}","entries":[{"ts":"2026-01-15T12:00:00Z","line":"hello"}]}]}"#;
    let (status, text) = send(&server, "POST", "/api/prom/push", &json, body.as_bytes().to_vec()).await;
    assert_eq!(status, 204, "{text}");
    let path = "/api/prom/query?query=%7Bapp%3D%22old%22%7D&start=1768478400&end=1768478401";
    let (status, text) = send(&server, "GET", path, &BTreeMap::new(), Vec::new()).await;
    assert_eq!(status, 200);
    assert_eq!(
        text,
        r#"{"streams":[{"labels":"{app=\"old\", detected_level=\"unknown\", service_name=\"old\"}","entries":[{"ts":"2026-01-15T12:00:00Z","line":"hello"}]}]}"#
    );
}

/// Reads one message of a server's WebSocket.
async fn message(stream: &mut tokio::net::TcpStream) -> (u8, String) {
    use tokio::io::AsyncReadExt;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let len = match head[1] {
        126 => usize::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap() as usize,
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).await.unwrap();
    (head[0] & 0xf, String::from_utf8_lossy(&payload).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_lines_come_over_a_web_socket() {
    use api::server::{Security, Server, ServerOptions};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let routes = server(LogLimits::default());
    let options = ServerOptions {
        listen_addresses: vec!["127.0.0.1:0".to_owned()],
        max_connections: 8,
        read_timeout: std::time::Duration::from_secs(30),
        tls: None,
    };
    let bound =
        Server::bind(options, Arc::new(arc_swap::ArcSwap::from_pointee(Security::default()))).await.unwrap();
    let address = bound.addresses()[0];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(bound.run(routes.clone(), async {
        let _ = stopped.await;
    }));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = "GET /loki/api/v1/tail?query=%7Bapp%3D%22live%22%7D%20%7C%3D%20%22wanted%22&start=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    let json = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    let body = r#"{"streams":[{"stream":{"app":"live"},"values":[["1768478400000000000","other"],["1768478401000000000","wanted"]]}]}"#;
    let (status, text) = send(&routes, "POST", "/loki/api/v1/push", &json, body.as_bytes().to_vec()).await;
    assert_eq!(status, 204, "{text}");
    let (kind, text) = message(&mut stream).await;
    let expected = r#"{"streams":[{"stream":{"app":"live","detected_level":"unknown","service_name":"live"},"values":[["1768478401000000000","wanted"]]}]}"#;
    assert_eq!((kind, text.as_str()), (1, expected));
    // What is stored later comes, however old it says it is; the lines are those that pass.
    let body = r#"{"streams":[{"stream":{"app":"live"},"values":[["1768478300000000000","wanted and late"],["1768478500000000000","other"]]}]}"#;
    let (status, text) = send(&routes, "POST", "/loki/api/v1/push", &json, body.as_bytes().to_vec()).await;
    assert_eq!(status, 204, "{text}");
    let (_, text) = message(&mut stream).await;
    assert!(text.contains(r#"[["1768478300000000000","wanted and late"]]"#), "{text}");
    // A ping (masked, empty) is answered; after a goodbye the connection ends.
    stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(message(&mut stream).await.0, 0xA);
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    stop.send(()).unwrap();
    running.await.unwrap();
}
