//! Remote read between two of us, and between one of us and a real Prometheus, either way.

use std::net::SocketAddr;

use base::Clock;
use model::{CounterResetHint, Histogram, Span};
use serde_json::Value;
use wire::decompress::{Compression, SizeLimit, compress_snappy, decompress};
use wire::remote_read::samples::{Writer, put_float, put_histogram};
use wire::remote_read::{FrameReader, Query, RawMatcher, ReadHints, ReadRequest, chunks, labels, samples};

use crate::faults::server::{Home, Server};
use crate::peer::{Api, Prometheus, exchange};

const STEP_MS: i64 = 15_000;
const SAMPLES: i64 = 120;
const SERIES: usize = 20;

/// Half an hour ago, on a whole minute.
fn start_ms() -> i64 {
    (base::SystemClock::new().now_ms() - 1_800_000) / 60_000 * 60_000
}

/// Remote-writes float and histogram series to a server; the message is that of a read answer's result.
fn fill(address: SocketAddr, start_ms: i64) {
    let mut writer = Writer::default();
    for i in 0..SERIES {
        let instance = format!("host-{i}");
        let labels = [("__name__", "requests_total"), ("instance", &instance), ("job", "api")];
        writer.series(labels.into_iter(), |out| {
            for n in 0..SAMPLES {
                // The counter of every third series is reset half way.
                let n_since = if i % 3 == 0 && n > 60 { n - 60 } else { n };
                put_float(out, start_ms + n * STEP_MS, (n_since * (i as i64 + 1)) as f64 + 0.25);
            }
        });
    }
    writer.series([("__name__", "latency"), ("job", "api")].into_iter(), |out| {
        for n in 0..SAMPLES {
            put_histogram(out, start_ms + n * STEP_MS, &histogram(n as u64));
        }
    });
    let body = compress_snappy(&writer.into_open_result()).unwrap();
    let headers = "content-encoding: snappy\r\ncontent-type: application/x-protobuf\r\nx-prometheus-remote-write-version: 0.1.0\r\n";
    let (status, text) = exchange(address, "POST", "/api/v1/write", headers, &body).unwrap();
    assert!(status < 300, "{status} {}", String::from_utf8_lossy(&text));
}

fn histogram(n: u64) -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::Unknown,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: n,
        count: n * 6 + 3,
        sum: n as f64 * 1.5,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 2, length: 1 }],
        negative_spans: vec![Span { offset: -1, length: 1 }],
        positive_buckets: vec![n as i64, n as i64 + 1, 1 - n as i64],
        negative_buckets: vec![n as i64],
        custom_values: None,
    }
}

const RECEIVER: &str = "--web.enable-remote-write-receiver";

fn home(dir: &std::path::Path, config: &str) -> Home {
    std::fs::create_dir_all(dir).unwrap();
    Home::new(dir, config)
}

/// The configuration of a server that reads from another one.
fn reading(address: SocketAddr, more: &str) -> String {
    format!("remote_read:\n- url: http://{address}/api/v1/read\n  read_recent: true\n{more}")
}

const OF_FLOATS: [&str; 5] = [
    "requests_total",
    "sum by (job) (rate(requests_total[2m]))",
    "requests_total{instance=~\"host-1.*\",job!=\"db\"}",
    "requests_total{instance!~\"host-.\"} > 100",
    "count(requests_total) + absent(no_such_metric)",
];
/// Quantiles are not among them: how they are interpolated depends on the version.
const OF_HISTOGRAMS: [&str; 3] = ["latency", "rate(latency[1m])", "histogram_sum(increase(latency[5m]))"];

/// Both answer every query alike, and there is something to answer.
#[track_caller]
fn compare(reader: &impl Api, stored: &impl Api, start_ms: i64, queries: &[&str]) {
    // Versions disagree about samples at the very ends of ranges, and at the start of a counter.
    let (start_s, end_s) = (start_ms / 1000 + 367, (start_ms + SAMPLES * STEP_MS) / 1000);
    for &query in queries {
        let (expected, _) = stored.range(query, start_s, end_s, 30);
        let (found, warnings) = reader.range(query, start_s, end_s, 30);
        assert!(!expected.is_empty(), "{query}");
        let (found, expected) = (Value::Array(found), Value::Array(expected));
        assert!(are_alike(&found, &expected), "{query}: {found} is not {expected}; {warnings}");
    }
}

/// Whether two answers are equal but for the last digits of numbers: versions sum in different orders.
fn are_alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| are_alike(a, b)))
        }
        (Value::String(a), Value::String(b)) if a != b => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
            _ => false,
        },
        _ => a == b,
    }
}

#[test]
fn a_real_prometheus_reads_from_us() {
    let test = "a_real_prometheus_reads_from_us";
    let dir = tempfile::tempdir().unwrap();
    let ours = home(&dir.path().join("ours"), "").flag(RECEIVER).start();
    let start_ms = start_ms();
    fill(ours.address(), start_ms);
    let flags = ["--enable-feature=native-histograms"];
    let config = reading(ours.address(), "");
    let Some(real) = Prometheus::start(test, &dir.path().join("real"), &config, &flags) else { return };
    // That version passes over the histograms of an answer.
    compare(&real, &ours, start_ms, &OF_FLOATS);
    assert!(ours.own_metric("prometheus_http_requests_total") > 0.0);
}

#[test]
fn we_read_from_a_real_prometheus() {
    let test = "we_read_from_a_real_prometheus";
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--enable-feature=native-histograms", RECEIVER];
    let Some(real) = Prometheus::start(test, &dir.path().join("real"), "", &flags) else { return };
    let start_ms = start_ms();
    fill(real.address, start_ms);
    let ours = home(&dir.path().join("ours"), &reading(real.address, "")).start();
    compare(&ours, &real, start_ms, &[&OF_FLOATS[..], &OF_HISTOGRAMS].concat());
    let (_, text) = ours.get("/metrics").unwrap();
    let answered = text.lines().find(|line| line.starts_with("prometheus_remote_read_client_queries_total"));
    assert!(answered.unwrap().contains("response_type=\"chunked\""), "{answered:?}");
}

#[test]
fn one_of_us_reads_from_another_and_joins_what_both_have() {
    let dir = tempfile::tempdir().unwrap();
    let stored =
        home(&dir.path().join("a"), "global:\n  external_labels: {dc: west}\n").flag(RECEIVER).start();
    let start_ms = start_ms();
    fill(stored.address(), start_ms);
    let config = format!("global:\n  external_labels: {{dc: west}}\n{}", reading(stored.address(), ""));
    let reader = home(&dir.path().join("b"), &config).flag(RECEIVER).start();
    compare(&reader, &stored, start_ms, &[&OF_FLOATS[..], &OF_HISTOGRAMS].concat());
    // The same samples here and there are one.
    fill(reader.address(), start_ms);
    compare(&reader, &stored, start_ms, &[&OF_FLOATS[..], &OF_HISTOGRAMS].concat());
    let end_s = (start_ms + SAMPLES * STEP_MS) / 1000;
    let (all, _) = reader.range("count_over_time(requests_total[1h])", end_s, end_s, 1);
    assert_eq!(all.len(), SERIES);
    let wanted = SAMPLES.to_string();
    let is_whole = |series: &Value| series["values"][0][1].as_str() == Some(&wanted);
    assert!(all.iter().all(is_whole), "{all:?}");
    // Labels of others cannot be listed.
    let listed = reader.json("labels", &[]);
    assert!(listed["warnings"][0].as_str().unwrap().starts_with("remote_read: "), "{listed}");
    let (start, end) = ((start_ms / 1000).to_string(), end_s.to_string());
    let series = reader.json("series", &[("match[]", "requests_total"), ("start", &start), ("end", &end)]);
    assert_eq!(series["data"].as_array().unwrap().len(), SERIES);
}

#[test]
fn external_labels_are_those_of_the_server_that_is_read_from() {
    let dir = tempfile::tempdir().unwrap();
    let stored =
        home(&dir.path().join("a"), "global:\n  external_labels: {dc: west}\n").flag(RECEIVER).start();
    let start_ms = start_ms();
    fill(stored.address(), start_ms);
    let at_s = (start_ms + 60_000) / 1000;
    let count = |config: &str, query: &str| {
        let name = format!("b{}", config.len() + query.len());
        let reader = home(&dir.path().join(name), config).start();
        let (found, _) = reader.range(query, at_s, at_s, 1);
        found.first().map(|series| series["values"][0][1].as_str().unwrap().to_owned())
    };
    let plain = reading(stored.address(), "");
    let all = Some(SERIES.to_string());
    // Seen from elsewhere the series have the label.
    assert_eq!(count(&plain, "count(requests_total{dc=\"west\"})"), all);
    assert_eq!(count(&plain, "count(requests_total{dc=\"east\"})"), None);
    // One's own external labels are asked for, and taken off.
    let of_east = format!("global:\n  external_labels: {{dc: east}}\n{plain}");
    assert_eq!(count(&of_east, "count(requests_total)"), None);
    assert_eq!(count(&of_east, "count(requests_total{dc=\"west\"})"), all);
    let unfiltered = format!("{of_east}  filter_external_labels: false\n");
    assert_eq!(count(&unfiltered, "count(requests_total)"), all);
    let required = format!("{plain}  required_matchers: {{job: api}}\n");
    assert_eq!(count(&required, "count(requests_total)"), None);
    assert_eq!(count(&required, "count(requests_total{job=\"api\"})"), all);
}

#[test]
fn a_server_that_cannot_be_read_from_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = crate::peer::free_address();
    let reader = home(&dir.path().join("b"), &reading(nobody, "")).flag(RECEIVER).start();
    let start_ms = start_ms();
    fill(reader.address(), start_ms);
    let at_s = (start_ms + 60_000) / 1000;
    let (found, warnings) = reader.range("count(requests_total)", at_s, at_s, 1);
    assert_eq!(found.len(), 1);
    let warning = warnings[0].as_str().unwrap();
    assert!(warning.starts_with("remote_read: error sending request: Post "), "{warning}");
    assert!(warning.ends_with("connection refused") || warning.contains("Connection refused"), "{warning}");
}

#[test]
fn what_is_stored_here_in_full_is_not_read_elsewhere_and_a_reload_changes_who_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let stored = home(&dir.path().join("a"), "").flag(RECEIVER).start();
    let start_ms = start_ms();
    fill(stored.address(), start_ms);
    let at_s = (start_ms + 60_000) / 1000;
    let reader_dir = dir.path().join("b");
    let reader = home(&reader_dir, "").flag("--web.enable-lifecycle").start();
    let found = |reader: &Server| reader.range("count(requests_total)", at_s, at_s, 1).0.len();
    assert_eq!(found(&reader), 0);
    let reload = |config: &str| {
        std::fs::write(reader_dir.join("prometheus.yml"), config).unwrap();
        let (status, text) = exchange(reader.address(), "POST", "/-/reload", "", &[]).unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&text));
    };
    reload(&reading(stored.address(), ""));
    assert_eq!(found(&reader), 1);
    // An empty storage has everything from a while after its start on: what is older is read.
    let not_recent = reading(stored.address(), "").replace("read_recent: true", "read_recent: false");
    reload(&not_recent);
    assert_eq!(found(&reader), 1);
    let soon_s = at_s + 10 * 3600;
    let before = stored.own_metric("prometheus_http_requests_total");
    let (none, warnings) = reader.range("count(requests_total)", soon_s, soon_s, 1);
    assert_eq!((none.len(), warnings), (0, Value::Null));
    let own_questions = 1.0;
    assert!(stored.own_metric("prometheus_http_requests_total") <= before + own_questions);
    reload("");
    assert_eq!(found(&reader), 0);
}

/// Asks for series directly.
fn read(address: SocketAddr, request: &ReadRequest<'_>) -> (u16, Vec<u8>) {
    let mut message = Vec::new();
    request.encode(&mut message);
    exchange(address, "POST", "/api/v1/read", "", &compress_snappy(&message).unwrap()).unwrap()
}

fn ask<'a>(start_ms: i64, name: &'a str, accepted: &[u64]) -> ReadRequest<'a> {
    let matchers = vec![RawMatcher { kind: 0, name: "__name__", value: name }];
    let query = Query { start_ms, end_ms: start_ms + SAMPLES * STEP_MS, matchers, hints: None };
    ReadRequest { queries: vec![query], accepted: accepted.to_vec() }
}

fn text((status, body): (u16, Vec<u8>)) -> (u16, String) {
    (status, String::from_utf8(body).unwrap())
}

#[test]
fn answers_keep_counts_of_integers_and_limits_hold() {
    let dir = tempfile::tempdir().unwrap();
    let server = home(dir.path(), "")
        .flag(RECEIVER)
        .flag("--storage.remote.read-sample-limit=1000")
        .flag("--storage.remote.read-max-bytes-in-frame=300")
        .start();
    let start_ms = start_ms();
    fill(server.address(), start_ms);
    let (status, body) = read(server.address(), &ask(start_ms, "latency", &[]));
    assert_eq!(status, 200);
    let mut message = Vec::new();
    let limit = SizeLimit { name: "test", bytes: 1 << 20 };
    decompress(Compression::SnappyBlock, &body, limit, &mut message).unwrap();
    let mut found = Vec::new();
    samples::for_each_series(&message, |_, place| {
        samples::for_each_sample(&message, place, |sample| {
            found.push(sample);
            Ok::<_, wire::protobuf::ProtobufError>(())
        })
    })
    .unwrap();
    assert_eq!(found.len(), SAMPLES as usize);
    let samples::Sample::Histogram(last) = found.last().unwrap() else { panic!("{:?}", found.last()) };
    let expected = histogram(SAMPLES as u64 - 1);
    assert_eq!(last.value, wire::remote_write::decode::AnyHistogram::Integer(expected));

    let too_many = text(read(server.address(), &ask(start_ms, "requests_total", &[0])));
    assert_eq!(too_many, (400, "exceeded sample limit (1000)\n".to_owned()));
    // Streams are not limited; a series takes several frames.
    let (status, stream) = read(server.address(), &ask(start_ms, "requests_total", &[9, 1]));
    assert_eq!(status, 200);
    let mut frames = FrameReader::new(10_000);
    frames.push(&stream);
    let mut pieces: Vec<String> = Vec::new();
    let mut chunk_count = 0;
    while let Some(message) = frames.next().unwrap() {
        chunks::for_each_series(message, |place| {
            let mut pairs = Vec::new();
            labels(message, place, &mut pairs)?;
            pieces.push(format!("{pairs:?}"));
            chunks::for_each_chunk(message, place, |chunk| {
                assert!(chunk.min_ms >= start_ms && chunk.encoding == 1);
                chunk_count += 1;
                Ok::<_, wire::protobuf::ProtobufError>(())
            })
        })
        .unwrap();
    }
    frames.finish().unwrap();
    assert!(pieces.is_sorted(), "{pieces:?}");
    assert!(chunk_count >= SERIES && pieces.len() >= SERIES, "{chunk_count} {}", pieces.len());
    pieces.dedup();
    assert_eq!(pieces.len(), SERIES);
}

#[test]
fn bad_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = home(dir.path(), "").start();
    let post = |body: &[u8]| text(exchange(server.address(), "POST", "/api/v1/read", "", body).unwrap());
    assert_eq!(post(b"no snappy").0, 400);
    // A block that says it holds four gigabytes.
    let (status, message) = post(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    assert_eq!(status, 400, "{message}");
    let (status, message) = post(&compress_snappy(&[0x0a, 5, 1]).unwrap());
    assert_eq!((status, message.contains("prometheus.ReadRequest")), (400, true), "{message}");
    let ask = |matcher: RawMatcher<'static>| {
        let hints = Some(ReadHints::default());
        let query = Query { start_ms: 0, end_ms: 1, matchers: vec![matcher], hints };
        text(read(server.address(), &ReadRequest { queries: vec![query], accepted: vec![1] }))
    };
    let wrong = ask(RawMatcher { kind: 9, name: "a", value: "b" });
    assert_eq!(wrong, (500, "invalid matcher type\n".to_owned()));
    assert_eq!(ask(RawMatcher { kind: 2, name: "a", value: "(" }).0, 500);
    let unknown = ReadRequest { queries: Vec::new(), accepted: vec![7] };
    let (status, message) = text(read(server.address(), &unknown));
    assert_eq!(
        (status, message.as_str()),
        (
            400,
            "server does not support any of the requested response types: [7]; supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]\n"
        )
    );
    assert_eq!(exchange(server.address(), "GET", "/api/v1/read", "", &[]).unwrap().0, 405);
}
