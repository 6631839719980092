//! Both versions of the protocol, and how the server tells which it speaks.

use wire::protobuf::{put_bytes, put_double, put_message, put_uint, to_zigzag};
use wire::remote_write::MessageType;

use super::sender::{Request, now_ms, one_sample, put_histogram, v1};
use super::{CONFIG, receiving};
use crate::faults::server::Home;

const SYMBOLS: [&str; 12] = [
    "",
    "__name__",
    "http_requests_total",
    "job",
    "api",
    "trace_id",
    "abc123",
    "latency",
    "Requests.",
    "requests",
    "bounds",
    "counted",
];

/// One counter with an exemplar and a start, one exponential and one custom histogram, one float histogram.
fn v2(t_ms: i64) -> Vec<u8> {
    let mut body = Vec::new();
    SYMBOLS.iter().for_each(|symbol| put_bytes(&mut body, 4, symbol.as_bytes()));
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[1, 2, 3, 4]);
        put_message(out, 2, |out| {
            put_double(out, 1, 7.0);
            put_uint(out, 2, t_ms as u64);
            put_uint(out, 3, t_ms as u64 - 30_000);
        });
        put_message(out, 4, |out| {
            put_bytes(out, 1, &[5, 6]);
            put_double(out, 2, 0.25);
            put_uint(out, 3, t_ms as u64);
        });
        put_message(out, 5, |out| {
            put_uint(out, 1, 1);
            put_uint(out, 3, 8);
            put_uint(out, 4, 9);
        });
    });
    put_histogram(&mut body, &[1, 7], t_ms);
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[1, 10]);
        put_message(out, 3, |out| {
            put_uint(out, 1, 2);
            put_double(out, 3, 2.5);
            put_uint(out, 4, to_zigzag(-53));
            put_message(out, 11, |out| put_uint(out, 2, 2));
            put_bytes(out, 12, &[to_zigzag(1) as u8, to_zigzag(0) as u8]);
            put_uint(out, 15, t_ms as u64);
            put_bytes(out, 16, &[1.0_f64, 5.0].map(f64::to_le_bytes).concat());
        });
    });
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[1, 11]);
        put_message(out, 3, |out| {
            put_double(out, 2, 2.5);
            put_double(out, 3, 1.0);
            put_message(out, 11, |out| put_uint(out, 2, 1));
            put_bytes(out, 13, &2.5_f64.to_le_bytes());
            put_uint(out, 14, 3);
            put_uint(out, 15, t_ms as u64);
        });
    });
    body
}

#[test]
fn version_two_carries_histograms_exemplars_and_starts() {
    let dir = tempfile::tempdir().unwrap();
    let features = "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion,metadata-wal-records";
    let server = receiving(dir.path(), CONFIG).flag(features).start();
    let t_ms = now_ms() - 1000;
    let answer = Request::of(MessageType::V2, &v2(t_ms)).send(server.address()).unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
    let written = |kind: &str| answer.headers[&format!("x-prometheus-remote-write-{kind}-written")].clone();
    assert_eq!([written("samples"), written("histograms"), written("exemplars")], ["1", "3", "1"]);

    assert_eq!(server.number("http_requests_total"), Some(7.0));
    assert_eq!(server.number("count_over_time(http_requests_total[1m])"), Some(2.0), "the zero at the start");
    assert_eq!(server.number("histogram_count(latency)"), Some(3.0));
    assert_eq!(server.number("histogram_sum(bounds)"), Some(2.5));
    assert_eq!(server.number("histogram_quantile(1, bounds)"), Some(5.0));
    assert_eq!(server.number("histogram_count(counted)"), Some(2.5));
    let range = [("query", "http_requests_total"), ("start", "0"), ("end", "9999999999")];
    let (_, exemplars) = server.api("query_exemplars", &range);
    let found = &exemplars["data"][0];
    assert_eq!(found["seriesLabels"]["job"], "api");
    assert_eq!(found["exemplars"][0]["labels"]["trace_id"], "abc123");
}

#[test]
fn partial_writes_are_told_with_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    let mut body = v2(now_ms() - 1000);
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[3, 4]);
        put_message(out, 2, |out| put_uint(out, 2, 1));
    });
    let answer = Request::of(MessageType::V2, &body).send(server.address()).unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, "invalid metric name or labels, got {job=\"api\"}\n");
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["x-prometheus-remote-write-samples-written"], "1");
    assert_eq!(server.number("http_requests_total"), Some(7.0));
}

#[test]
fn a_server_that_does_not_receive_says_how_to_make_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Home::new(dir.path(), CONFIG).start();
    for path in ["/api/v1/write", "/api/v1/push"] {
        let answer = one_sample("up", now_ms(), 1.0).path(path).send(server.address()).unwrap();
        assert_eq!(answer.status, 404);
        let told = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n";
        assert_eq!(answer.body, told);
    }
}

#[test]
fn requests_say_what_they_carry() {
    let dir = tempfile::tempdir().unwrap();
    let home = receiving(dir.path(), CONFIG);
    let server =
        home.flag("--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest").start();
    let send = |request: Request| {
        let answer = request.send(server.address()).unwrap();
        (answer.status, answer.body)
    };
    let t_ms = now_ms() - 1000;
    let (status, told) = send(Request::of(MessageType::V2, &v2(t_ms)));
    assert_eq!(status, 415);
    assert_eq!(
        told,
        "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts \
         prometheus.WriteRequest\n"
    );
    assert_eq!(send(one_sample("up", t_ms, 1.0).header("content-type", "text/plain")).0, 415);
    assert_eq!(send(one_sample("up", t_ms, 1.0).header("content-encoding", "gzip")).0, 415);
    let mut nothing_said = one_sample("up", t_ms, 1.0).path("/api/v1/push");
    nothing_said.headers.clear();
    assert_eq!(send(nothing_said), (204, String::new()));
    assert_eq!(server.number("up"), Some(1.0));
    let (status, _) = server.get("/api/v1/write").unwrap();
    assert_eq!(status, 405);
}

#[test]
fn what_is_out_of_order_is_refused_or_taken_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let windowed = "global:\n  scrape_interval: 1h\nstorage:\n  tsdb:\n    out_of_order_time_window: 10m\n";
    for (name, config, expected) in [("strict", CONFIG, 400), ("windowed", windowed, 204)] {
        let dir = dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let server = receiving(&dir, config).start();
        let t_ms = now_ms() - 1000;
        assert_eq!(one_sample("m", t_ms, 1.0).send(server.address()).unwrap().status, 204);
        // The same once more is no error, as senders repeat what they had no answer for.
        assert_eq!(one_sample("m", t_ms, 1.0).send(server.address()).unwrap().status, 204);
        let late = one_sample("m", t_ms - 60_000, 0.5).send(server.address()).unwrap();
        assert_eq!(late.status, expected, "{late:?}");
        let ahead = one_sample("m", t_ms + 700_000, 0.5).send(server.address()).unwrap();
        assert_eq!(ahead.status, 400);
        assert!(
            ahead.body.starts_with("out of bounds: timestamp is too far in the future"),
            "{}",
            ahead.body
        );
        let stored = if expected == 204 { 2.0 } else { 1.0 };
        assert_eq!(server.number("count_over_time(m[5m])"), Some(stored));
    }
}

#[test]
fn staleness_markers_end_a_series() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    let t_ms = now_ms() - 5000;
    let samples = [(t_ms, 1.0), (t_ms + 1000, model::stale_nan())];
    let body = v1(&[(&[("__name__", "gone")], &samples), (&[("__name__", "here")], &samples[..1])]);
    assert_eq!(Request::of(MessageType::V1, &body).send(server.address()).unwrap().status, 204);
    assert_eq!(server.number("gone"), None);
    assert_eq!(server.number("here"), Some(1.0));
}
