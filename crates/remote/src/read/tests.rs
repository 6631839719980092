use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use base::metrics::Registry;
use base::{ByteBudget, CancelFlag};
use chunkenc::SeriesEncoder;
use model::{Projection, SampleColumns, SampleValue};
use wire::decompress::compress_snappy;
use wire::remote_read::chunks::{Chunk, put_message_of_series};
use wire::remote_read::samples::{Writer, put_float, put_histogram};
use wire::remote_read::{CHUNKS_CONTENT_TYPE, ReadRequest, SAMPLES_CONTENT_TYPE, put_frame};

use super::*;

fn env(local_start_ms: Option<i64>) -> (tokio::runtime::Runtime, Registry, ReadEnv) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let registry = Registry::new();
    let env = ReadEnv {
        clock: base::SystemClock::shared(),
        runtime: runtime.handle().clone(),
        metrics: ReadMetrics::new(&registry),
        local_start: Arc::new(move || local_start_ms),
    };
    (runtime, registry, env)
}

fn section(url: &str) -> RemoteReadConfig {
    let url = config::Url::parse(url).unwrap();
    RemoteReadConfig { url, read_recent: true, ..RemoteReadConfig::default() }
}

fn request(matchers: Vec<Matcher>) -> SelectRequest {
    let range = TimeRange::new(1000, 5000);
    SelectRequest { range, matchers, projection: Projection::All, sorted: true, limit: 0 }
}

/// Answers one request with these bytes, and hands out what was asked.
fn serve(content_type: &str, body: Vec<u8>) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    serve_status("200 OK", content_type, body)
}

fn serve_status(
    status: &str,
    content_type: &str,
    body: Vec<u8>,
) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/read", listener.local_addr().unwrap());
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        let sent = loop {
            let read = stream.read(&mut piece).unwrap();
            asked.extend_from_slice(&piece[..read]);
            let Some(end) = asked.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&asked[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if asked.len() == end + 4 + length.parse::<usize>().unwrap() {
                break asked[end + 4..].to_vec();
            }
        };
        stream.write_all(head.as_bytes()).unwrap();
        // A client that has enough hangs up.
        let _ = stream.write_all(&body);
        sent
    });
    (url, served)
}

fn histogram() -> model::Histogram {
    model::Histogram {
        schema: 1,
        count: 3,
        sum: 4.5,
        positive_spans: vec![model::Span { offset: 0, length: 2 }],
        positive_buckets: vec![1, 1],
        ..Default::default()
    }
}

fn read(set: &dyn SeriesSet, i: usize) -> SampleColumns {
    let mut out = SampleColumns::default();
    set.read(i, TimeRange::ALL, &mut out, &QueryContext::unbounded()).unwrap();
    out
}

#[test]
fn a_server_is_asked_only_for_what_is_missing_here() {
    let (_runtime, _, env) = env(Some(3000));
    let mut section = section("http://localhost:1/read");
    section.read_recent = false;
    section.required_matchers.0.insert("job".to_owned(), "a".to_owned());
    let external = Labels::from_pairs([("dc", "here"), ("replica", "1")]);
    let source = ReadSource::new(&section, &external, &env).unwrap();
    assert_eq!(source.remote_part(TimeRange::new(3001, 5000)), None);
    assert_eq!(source.remote_part(TimeRange::new(3000, 5000)), Some(TimeRange::new(3000, 3000)));
    assert_eq!(source.remote_part(TimeRange::new(1000, 2000)), Some(TimeRange::new(1000, 2000)));
    assert!(source.is_asked(&[Matcher::equal("job", "a"), Matcher::equal("x", "y")]));
    assert!(!source.is_asked(&[Matcher::new(MatchOp::Regex, "job", "a").unwrap()]));
    let (sent, added) = source.matchers(&[Matcher::equal("dc", "there")]);
    assert_eq!(sent, [Matcher::equal("dc", "there"), Matcher::equal("replica", "1")]);
    assert_eq!(added, ["replica"]);
    // Nothing listens there: only a server that is not asked gives an empty answer.
    let ctx = QueryContext::unbounded();
    assert_eq!(source.select(&request(vec![Matcher::equal("job", "b")]), &ctx).unwrap().len(), 0);
    assert!(source.select(&request(vec![Matcher::equal("job", "a")]), &ctx).is_err());
}

#[test]
fn samples_are_read_in_order_of_time_and_without_added_labels() {
    let mut writer = Writer::default();
    writer.series([("__name__", "b"), ("dc", "here")].into_iter(), |out| {
        put_float(out, 500, 0.5);
        put_float(out, 1000, 1.0);
        put_float(out, 3000, 3.0);
        put_histogram(out, 2000, &histogram());
        put_histogram(out, 3000, &histogram());
    });
    writer.series([("__name__", "a"), ("dc", "here")].into_iter(), |out| put_float(out, 2000, 2.0));
    writer.end_result();
    let body = compress_snappy(&writer.finish()).unwrap();
    let (url, served) = serve(SAMPLES_CONTENT_TYPE, body);
    let (_runtime, registry, env) = env(None);
    let source = ReadSource::new(&section(&url), &Labels::from_pairs([("dc", "here")]), &env).unwrap();
    let set = source.select(&request(vec![Matcher::equal("x", "")]), &QueryContext::unbounded()).unwrap();
    let names: Vec<_> = (0..set.len()).map(|i| set.labels(i)).collect();
    assert_eq!(names, [Labels::from_pairs([("__name__", "a")]), Labels::from_pairs([("__name__", "b")])]);
    let samples = read(&*set, 1);
    assert_eq!(samples.timestamps_ms, [1000, 2000, 3000]);
    assert_eq!((samples.values[2], samples.histogram(2)), (3.0, None));
    assert_eq!(**samples.histogram(1).unwrap(), histogram().to_float());
    let asked = wire_request(&served.join().unwrap());
    assert_eq!(asked, "1000 5000 [(0, \"x\", \"\"), (0, \"dc\", \"here\")] [1, 0]");
    let families = registry.gather();
    let total = families.iter().find(|f| f.name == "prometheus_remote_read_client_queries_total").unwrap();
    assert_eq!(total.points[0].value, base::metrics::Value::Number(1.0));
    assert!(total.points[0].labels.contains(&("response_type".to_owned(), "sampled".to_owned())));
}

fn wire_request(compressed: &[u8]) -> String {
    let mut body = Vec::new();
    let limit = wire::decompress::SizeLimit { name: "test", bytes: 1 << 20 };
    wire::decompress::decompress(wire::decompress::Compression::SnappyBlock, compressed, limit, &mut body)
        .unwrap();
    let mut memory = ByteBudget::unlimited().reserve(0).unwrap();
    let request = ReadRequest::decode(&body, &mut memory).unwrap();
    let query = &request.queries[0];
    let matchers: Vec<_> = query.matchers.iter().map(|m| (m.kind, m.name, m.value)).collect();
    format!("{} {} {matchers:?} {:?}", query.start_ms, query.end_ms, request.accepted)
}

fn chunked(series: &[(&str, &[(i64, f64)])]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (name, samples) in series {
        let mut encoder = SeriesEncoder::new();
        for &(t_ms, value) in *samples {
            encoder.append(0, t_ms, SampleValue::Float(value)).unwrap();
        }
        let encoded = encoder.finish();
        let chunks: Vec<_> = encoded
            .iter()
            .map(|c| Chunk { min_ms: c.min_ms, max_ms: c.max_ms, encoding: 1, data: &c.bytes })
            .collect();
        let mut message = Vec::new();
        put_message_of_series(&mut message, 0, [("__name__", *name)].into_iter(), &chunks);
        put_frame(&mut stream, &message);
    }
    stream
}

#[test]
fn streams_are_read_and_the_pieces_of_a_series_joined() {
    let body = chunked(&[
        ("b", &[(900, 0.0), (1000, 1.0)]),
        ("b", &[(2000, 2.0), (6000, 6.0)]),
        ("a", &[(3000, 3.0)]),
    ]);
    let (url, served) = serve(CHUNKS_CONTENT_TYPE, body);
    let (_runtime, _, env) = env(None);
    let source = ReadSource::new(&section(&url), &Labels::empty(), &env).unwrap();
    let set = source.select(&request(Vec::new()), &QueryContext::unbounded()).unwrap();
    served.join().unwrap();
    assert_eq!((set.len(), set.labels(0).metric_name().to_owned()), (2, "a".to_owned()));
    assert_eq!(read(&*set, 1).timestamps_ms, [1000, 2000]);
}

/// The error of an answer.
fn failure(
    answer: (String, std::thread::JoinHandle<Vec<u8>>),
    change: impl FnOnce(&mut RemoteReadConfig),
) -> String {
    let (_runtime, _, env) = env(None);
    let mut section = section(&answer.0);
    change(&mut section);
    let source = ReadSource::new(&section, &Labels::empty(), &env).unwrap();
    let error = source.select(&request(Vec::new()), &QueryContext::unbounded()).err().unwrap().to_string();
    answer.1.join().unwrap();
    error.replace(&answer.0, "URL")
}

#[test]
fn what_is_wrong_with_an_answer_is_told() {
    let stream = chunked(&[("a", &[(1000, 1.0)])]);
    assert_eq!(
        failure(serve_status("503 Service Unavailable", "text/plain", b"too busy\n".to_vec()), |_| ()),
        "remote_read: remote server URL returned http status 503 Service Unavailable: too busy"
    );
    assert_eq!(
        failure(serve("text/html", b"<p>".to_vec()), |_| ()),
        "remote_read: unsupported content type: text/html"
    );
    assert_eq!(
        failure(serve(CHUNKS_CONTENT_TYPE, stream.clone()), |section| section.chunked_read_limit = 5),
        format!(
            "remote_read: chunkedReader: message size exceeded the limit 5 bytes; got: {} bytes",
            stream[0]
        )
    );
    assert_eq!(
        failure(serve(CHUNKS_CONTENT_TYPE, stream[..stream.len() - 1].to_vec()), |_| ()),
        "remote_read: unexpected EOF"
    );
    let lying = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    assert!(
        failure(serve(SAMPLES_CONTENT_TYPE, lying.to_vec()), |_| ())
            .starts_with("remote_read: error reading response")
    );
    let two = [0x0a, 0, 0x0a, 0];
    assert_eq!(
        failure(serve(SAMPLES_CONTENT_TYPE, compress_snappy(&two).unwrap()), |_| ()),
        "remote_read: responses: want 1, got 2"
    );
}

#[test]
fn an_answer_beyond_the_budget_of_the_query_ends_it() {
    let mut writer = Writer::default();
    writer.series([("__name__", "a")].into_iter(), |out| (0..100_000).for_each(|t| put_float(out, t, 1.0)));
    writer.end_result();
    let (url, served) = serve(SAMPLES_CONTENT_TYPE, compress_snappy(&writer.finish()).unwrap());
    let (_runtime, _, env) = env(None);
    let source = ReadSource::new(&section(&url), &Labels::empty(), &env).unwrap();
    let mut ctx = QueryContext::unbounded();
    ctx.budget = ByteBudget::new("query.max-memory", 1 << 20);
    let error = source.select(&request(Vec::new()), &ctx).err().unwrap();
    assert!(matches!(&error, SourceError::Stopped(QueryStop::Budget(_))), "{error}");
    assert_eq!(ctx.budget.used_bytes(), 0);
    served.join().unwrap();
}

#[test]
fn a_query_that_ends_does_not_wait_for_the_server() {
    // Accepted by the system, answered by nobody.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (_runtime, registry, env) = env(None);
    let source = ReadSource::new(&section(&url), &Labels::empty(), &env).unwrap();
    let mut ctx = QueryContext::unbounded();
    ctx.cancel = CancelFlag::new();
    let asked = std::thread::spawn({
        let ctx = ctx.clone();
        move || source.select(&request(Vec::new()), &ctx).err().unwrap()
    });
    let queries = || {
        let families = registry.gather();
        let found = families.iter().find(|f| f.name == "prometheus_remote_read_client_queries");
        found.is_some_and(|family| family.points[0].value == base::metrics::Value::Number(1.0))
    };
    while !queries() {
        std::thread::yield_now();
    }
    ctx.cancel.cancel();
    let error = asked.join().unwrap();
    assert!(matches!(error, SourceError::Stopped(QueryStop::Canceled(_))), "{error}");
    let ctx = QueryContext::new(base::SystemClock::shared(), Duration::ZERO, ByteBudget::unlimited());
    let source = ReadSource::new(&section(&url), &Labels::empty(), &env).unwrap();
    let error = source.select(&request(Vec::new()), &ctx).err().unwrap();
    assert!(matches!(error, SourceError::Stopped(QueryStop::Timeout(_))), "{error}");
}

#[test]
fn equal_sections_are_refused() {
    let (_runtime, _, env) = env(None);
    let twice = vec![section("http://user:pw@a/"), section("http://user:pw@a/")];
    let error = sources(&twice, &Labels::empty(), &env).err().unwrap();
    assert!(
        error.starts_with(
            "duplicate remote read configs are not allowed, found duplicate for URL: http://user:"
        )
    );
    assert!(!error.contains("pw"), "{error}");
}
