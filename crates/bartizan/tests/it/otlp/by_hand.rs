//! Requests as no SDK sends them, and what the program says about them.

use base::Clock;
use serde_json::{Value, json};

use super::{CONFIG, found, receiving};
use crate::faults::server::{Home, Server};
use crate::peer::exchange;

const METRICS: &str = "/api/v1/otlp/v1/metrics";

/// Now, in nanoseconds.
fn now_ns() -> i64 {
    base::SystemClock::new().now_ms() * 1_000_000
}

fn gauge(name: &str, time_ns: i64, value: i64) -> Value {
    let attributes = json!([{"key": "http.route", "value": {"stringValue": "/"}}]);
    json!({"name": name, "unit": "By", "gauge": {"dataPoints": [
        {"timeUnixNano": time_ns.to_string(), "asInt": value, "attributes": attributes}]}})
}

fn request(metrics: &[Value]) -> Vec<u8> {
    let attributes = json!([{"key": "service.name", "value": {"stringValue": "by-hand"}},
        {"key": "deployment.zone", "value": {"stringValue": "a"}}]);
    let request = json!({"resourceMetrics": [
        {"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": metrics}]}]});
    request.to_string().into_bytes()
}

/// The status and the JSON of the answer.
#[track_caller]
fn post(server: &Server, headers: &str, body: &[u8]) -> (u16, Value) {
    let headers = format!("content-type: application/json\r\n{headers}");
    let (status, body) = exchange(server.address(), "POST", METRICS, &headers, body).unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn what_is_refused_is_told_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    let now = now_ns();
    assert_eq!(post(&server, "", &request(&[gauge("a", now, 1), gauge("b", now, 1)])), (200, json!({})));
    // The same again is nothing new; another value at the same time is not possible.
    assert_eq!(post(&server, "", &request(&[gauge("a", now, 1)])), (200, json!({})));
    let (status, told) = post(&server, "", &request(&[gauge("a", now, 2), gauge("b", now + 1_000_000, 2)]));
    assert_eq!(status, 200);
    assert_eq!(told["partialSuccess"]["rejectedDataPoints"], "1");
    let message = told["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("duplicate sample for timestamp"), "{message}");
    let (status, told) = post(&server, "", &request(&[gauge("a", now - 1_000_000, 3)]));
    assert_eq!((status, told), (400, json!({"code": 3, "message": "out of order sample (metric \"a\")"})));
    let (status, told) = post(&server, "", &request(&[gauge("a", now + 3_600_000_000_000, 3)]));
    assert_eq!(status, 400);
    assert!(
        told["message"].as_str().unwrap().starts_with("out of bounds: timestamp is too far in the future")
    );
    assert_eq!(server.number("a_bytes"), Some(1.0));
    assert_eq!(server.number("b_bytes offset -1s"), Some(2.0));
}

#[test]
fn compressed_requests_are_taken_and_bombs_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).flag("--ingest.max-request-size=1MB").start();
    let body = request(&[gauge("a", now_ns(), 1)]);
    let packed = zstd::encode_all(&body[..], 1).unwrap();
    assert_eq!(post(&server, "content-encoding: zstd\r\n", &packed), (200, json!({})));
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 1).unwrap();
    let (status, told) = post(&server, "content-encoding: zstd\r\n", &bomb);
    assert_eq!(status, 400);
    assert!(told["message"].as_str().unwrap().starts_with("ingest.max-request-size: "), "{told}");
    let (status, told) = post(&server, "", b"{\"resourceMetrics\":[{]");
    assert_eq!((status, told["code"].as_i64()), (400, Some(3)));
    assert_eq!(server.number("a_bytes"), Some(1.0));
}

#[test]
fn a_reload_changes_how_names_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let home = receiving(dir.path(), CONFIG).flag("--web.enable-lifecycle");
    let server = home.start();
    let now = now_ns();
    post(&server, "", &request(&[gauge("mem.used", now, 1)]));
    let otlp =
        "otlp:\n  translation_strategy: NoTranslation\n  promote_resource_attributes: [deployment.zone]\n";
    std::fs::write(&home.config, format!("{CONFIG}{otlp}")).unwrap();
    assert_eq!(exchange(server.address(), "POST", "/-/reload", "", b"").unwrap().0, 200);
    post(&server, "", &request(&[gauge("mem.used", now, 2)]));
    let before = json!({"__name__": "mem_used_bytes", "http_route": "/", "job": "by-hand"});
    let after = json!({"__name__": "mem.used", "http.route": "/", "job": "by-hand", "deployment.zone": "a"});
    assert_eq!(found(&server, "{__name__=~'mem.*'}"), [(after, "2".to_owned()), (before, "1".to_owned())]);
}

#[test]
fn a_receiver_is_off_unless_it_is_switched_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Home::new(dir.path(), CONFIG).start();
    let (status, text) =
        exchange(server.address(), "POST", METRICS, "content-type: application/json\r\n", b"{}").unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        (status, text.as_str()),
        (404, "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n")
    );
    assert_eq!(server.api("features", &[]).1["data"]["api"]["otlp_write_receiver"], false);
    drop(server);
    let both = "--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion";
    let (_, log) = receiving(dir.path(), CONFIG).flag(both).try_start().err().unwrap();
    assert!(log.contains("cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion"), "{log}");
}
