//! What small requests may cost, what is told where something is missing, and who may ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::handlers::loki::router;
use base::ByteBudget;
use ingest::LogLimits;
use model::logs::{LogRange, LogRequest, LogSource, PageGroup, StreamVolume};
use model::{Labels, Matcher, QueryContext, SourceError};
use testkit::logs::MemoryLogs;

use super::{send, server, state_of};

fn gzip(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_body_does_not_take_much_memory() {
    let budget = ByteBudget::new("logs.max-push-memory", 8 << 20);
    let store = MemoryLogs::default();
    let source = Arc::new(store.clone());
    let server = router(state_of(source, Arc::new(store), LogLimits::default(), budget.clone()));
    let entries = vec!["[\"1\",\"\"]"; 1_000_000].join(",");
    let bomb =
        gzip(format!("{{\"streams\":[{{\"stream\":{{\"a\":\"b\"}},\"values\":[{entries}]}}]}}").as_bytes());
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let packed = headers(&[("Content-Type", "application/json"), ("Content-Encoding", "gzip")]);
    let (status, text) = send(&server, "POST", "/loki/api/v1/push", &packed, bomb).await;
    assert_eq!((status, text.contains("logs.max-push-memory")), (413, true), "{text}");
    // Two bytes an entry.
    let mut stream = b"\x0a\x07{a=\"b\"}".to_vec();
    stream.extend([0x12, 0].repeat(1 << 20));
    let mut body = vec![0x0a];
    let mut len = stream.len();
    while len > 0x7f {
        body.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    body.push(len as u8);
    body.extend(stream);
    let snappy = wire::decompress::compress_snappy(&body).unwrap();
    let protobuf = headers(&[("Content-Type", "application/x-protobuf")]);
    let (status, text) = send(&server, "POST", "/loki/api/v1/push", &protobuf, snappy).await;
    assert_eq!((status, text.contains("logs.max-push-memory")), (413, true), "{text}");
    assert!(budget.peak_bytes() <= 8 << 20);
    assert_eq!(budget.used_bytes(), 0);
    // While others hold the memory, it is a matter of time.
    let held = budget.reserve(8 << 20).unwrap();
    let json = headers(&[("Content-Type", "application/json")]);
    let small = b"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"1\",\"x\"]]}]}";
    assert_eq!(send(&server, "POST", "/loki/api/v1/push", &json, small.to_vec()).await.0, 503);
    drop(held);
    assert_eq!(send(&server, "POST", "/loki/api/v1/push", &json, small.to_vec()).await.0, 204);
}

/// A source of which a part cannot be read.
struct Partly(MemoryLogs);

impl LogSource for Partly {
    fn select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError> {
        ctx.warn("object 01ABC is damaged and left out".to_owned());
        self.0.select(request, ctx)
    }

    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError> {
        ctx.warn("object 01ABC is damaged and left out".to_owned());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_from_an_answer_is_told_with_it() {
    let store = MemoryLogs::default();
    let budget = ByteBudget::new("logs.max-push-memory", 8 << 20);
    let source = Arc::new(Partly(store.clone()));
    let server = router(state_of(source, Arc::new(store), LogLimits::default(), budget));
    for path in [
        "query_range?query=%7Ba%3D%22b%22%7D",
        "query?query=count_over_time(%7Ba%3D%22b%22%7D%5B5m%5D)",
        "labels",
        "series?match[]=%7Ba%3D%22b%22%7D",
    ] {
        let (status, text) =
            send(&server, "GET", &format!("/loki/api/v1/{path}"), &BTreeMap::new(), Vec::new()).await;
        assert_eq!(status, 200, "{text}");
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["warnings"][0], "object 01ABC is damaged and left out", "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_read_as_their_headers_say() {
    let server = server(LogLimits::default());
    let json = b"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"1\",\"x\"]]}]}".to_vec();
    let protobuf = b"\x0a\x0b\x0a\x07{a=\"b\"}\x12\x00".to_vec();
    let snappy = wire::decompress::compress_snappy(&protobuf).unwrap();
    for (media, encoding, body, told) in [
        ("Application/JSON; charset=utf-8", "", json.clone(), (204, "")),
        ("application/json", "snappy", json.clone(), (204, "")),
        ("application/json", "identity", json.clone(), (400, "Content-Encoding \"identity\" not supported")),
        ("application/json", "gzip", gzip(&json), (204, "")),
        ("text/plain", "", json, (400, "snappy: corrupt input")),
        ("application/x-protobuf", "snappy", snappy.clone(), (204, "")),
        ("application/x-protobuf", "gzip", gzip(&snappy), (204, "")),
        ("application/x-protobuf", "br", snappy, (400, "Content-Encoding \"br\" not supported")),
        ("application/x-protobuf", "gzip", gzip(&protobuf), (400, "snappy: corrupt input")),
    ] {
        let said = headers(&[("Content-Type", media), ("Content-Encoding", encoding)]);
        let (status, text) = send(&server, "POST", "/loki/api/v1/push", &said, body).await;
        assert_eq!((status, text.trim()), told, "{media} {encoding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_is_told_where_it_is_not_there() {
    let server = server(LogLimits::default());
    let path = "/loki/api/v1/delete?query=%7Ba%3D%22b%22%7D&start=1";
    let (status, text) = send(&server, "POST", path, &BTreeMap::new(), Vec::new()).await;
    assert_eq!((status, text.contains("cannot delete")), (404, true), "{text}");
}
