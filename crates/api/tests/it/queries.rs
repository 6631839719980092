//! Queries and what is said about them.

use std::io::Read;

use model::{Exemplar, FloatHistogram, Labels, Span};
use serde_json::json;

use crate::server::TestServer;

async fn with_data() -> TestServer {
    let server = TestServer::start().await;
    server.append("up{job=\"a\"}", &[(0, 1.0), (60_000, 0.5)]);
    server.append("up{job=\"b\"}", &[(0, f64::NAN), (60_000, f64::INFINITY)]);
    server
}

fn bad_data(message: &str) -> (u16, String, String) {
    (400, "bad_data".to_owned(), message.to_owned())
}

#[tokio::test]
async fn instant_queries_answer_all_types() {
    let server = with_data().await;
    let expected = json!({ "resultType": "vector", "result": [
        { "metric": { "__name__": "up", "job": "a" }, "value": [60, "0.5"] },
        { "metric": { "__name__": "up", "job": "b" }, "value": [60, "+Inf"] },
    ]});
    assert_eq!(server.get("/api/v1/query?query=up&time=60").await.data(), expected);
    assert_eq!(server.post("/api/v1/query", "query=up&time=1970-01-01T00:01:00Z").await.data(), expected);
    // The form wins over the query string.
    assert_eq!(server.post("/api/v1/query?query=down", "query=up&time=60").await.data(), expected);

    let scalar = server.get("/api/v1/query?query=time()&time=1.5").await;
    assert_eq!(
        scalar.text(),
        r#"{"status":"success","data":{"resultType":"scalar","result":[1.500,"1.5"]}}"#
    );
    assert_eq!(scalar.header("content-type"), Some("application/json"));
    let string = server.get("/api/v1/query?query=%22a%5C%22b%22&time=1").await.data();
    assert_eq!(string, json!({ "resultType": "string", "result": [1, "a\"b"] }));
    let matrix = server.get("/api/v1/query?query=up%7Bjob=%22a%22%7D%5B2m%5D&time=60").await.data();
    let values = json!([{ "metric": { "__name__": "up", "job": "a" }, "values": [[0, "1"], [60, "0.5"]] }]);
    assert_eq!(matrix, json!({ "resultType": "matrix", "result": values }));
    let nothing = server.get("/api/v1/query?query=down").await.data();
    assert_eq!(nothing, json!({ "resultType": "vector", "result": [] }));
    server.stop().await;
}

#[tokio::test]
async fn range_queries_answer_a_matrix() {
    let server = with_data().await;
    let data = server.get("/api/v1/query_range?query=sum(up)&start=0&end=90&step=30").await.data();
    let values = json!([[0, "NaN"], [30, "NaN"], [60, "+Inf"], [90, "+Inf"]]);
    assert_eq!(data, json!({ "resultType": "matrix", "result": [{ "metric": {}, "values": values }] }));
    for (params, message) in [
        (
            "query=up&start=x&end=1&step=1",
            "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp",
        ),
        ("query=up&start=0&end=&step=1", "invalid parameter \"end\": cannot parse \"\" to a valid timestamp"),
        (
            "query=up&start=2&end=1&step=1",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            "query=up&start=0&end=1&step=x",
            "invalid parameter \"step\": cannot parse \"x\" to a valid duration",
        ),
        (
            "query=up&start=0&end=1&step=0",
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            "query=up&start=0&end=11001&step=1",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query=up%5B1m%5D&start=0&end=1&step=1",
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
    ] {
        assert_eq!(server.get(&format!("/api/v1/query_range?{params}")).await.error(), bad_data(message));
    }
    server.stop().await;
}

#[tokio::test]
async fn errors_tell_what_to_change() {
    let server = with_data().await;
    let parse = server.get("/api/v1/query?query=sum(up").await.error();
    assert_eq!(parse, bad_data("invalid parameter \"query\": 1:7: parse error: unclosed left parenthesis"));
    let limit = server.get("/api/v1/query?query=up&limit=-1").await.error();
    assert_eq!(limit, bad_data("invalid parameter \"limit\": limit must be non-negative"));
    let time = server.get("/api/v1/query?query=up&time=never").await.error();
    let message = "invalid parameter \"time\": invalid time value for 'time': cannot parse \"never\" to a valid timestamp";
    assert_eq!(time, bad_data(message));
    let failed = server.get("/api/v1/query?query=up%20%2B%20on()%20up&time=0").await.error();
    assert_eq!((failed.0, failed.1.as_str()), (422, "execution"));
    assert!(failed.2.contains("many-to-many matching not allowed"), "{}", failed.2);
    let timeout = server.get("/api/v1/query?query=up&timeout=1x").await.error();
    assert_eq!(timeout, bad_data("invalid parameter \"timeout\": cannot parse \"1x\" to a valid duration"));
    assert_eq!(server.get("/api/v1/nothing").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn answers_carry_annotations_limits_and_statistics() {
    let server = with_data().await;
    let json = server.get("/api/v1/query?query=rate(up%5B2m%5D)&time=60").await.json();
    assert!(
        json["infos"][0].as_str().unwrap().starts_with("PromQL info: metric might not be a counter"),
        "{json}"
    );
    let json = server.get("/api/v1/query?query=quantile(2,up)&time=0").await.json();
    assert_eq!(
        json["warnings"],
        json!(["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"])
    );
    let json = server.get("/api/v1/query?query=up&time=0&limit=1").await.json();
    assert_eq!(json["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(json["warnings"], json!(["results truncated due to limit"]));
    let json = server.get("/api/v1/query?query=up&time=0&stats=all").await.json();
    assert_eq!(json["data"]["stats"]["samples"]["totalQueryableSamples"], 2);
    assert!(json["data"]["stats"]["timings"]["evalTotalTime"].is_number());
    let json = server.get("/api/v1/query?query=up&time=0&stats=some").await.json();
    assert!(json["warnings"][0].as_str().unwrap().contains("deprecated"));
    server.stop().await;
}

#[tokio::test]
async fn histograms_are_written_with_their_buckets() {
    let server = TestServer::start().await;
    let histogram = FloatHistogram {
        count: 6.0,
        sum: 2.5,
        zero_count: 1.0,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![2.0, 3.0],
        ..FloatHistogram::default()
    };
    server.append_histogram("h", 0, &histogram);
    let text = server.get("/api/v1/query?query=h&time=0").await;
    let expected = json!({ "metric": { "__name__": "h" }, "histogram": [0, {
        "count": "6", "sum": "2.5",
        "buckets": [[3, "-0.001", "0.001", "1"], [0, "0.5", "1", "2"], [0, "1", "2", "3"]],
    }]});
    assert_eq!(text.data()["result"][0], expected);
    server.stop().await;
}

#[tokio::test]
async fn queries_are_formatted_and_shown_as_trees() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/api/v1/format_query?query=sum(a)by(b)").await.data(), json!("sum by (b) (a)"));
    let tree = server.post("/api/v1/parse_query", "query=-a%7Bb=%22c%22%7D%5B1h:5m%5D").await.error();
    assert_eq!(tree.0, 400);
    let tree = server.get("/api/v1/parse_query?query=a%20%2B%20on(b)%20rate(c%5B5m%5D)").await.data();
    assert_eq!((&tree["type"], &tree["op"]), (&json!("binaryExpr"), &json!("+")));
    assert_eq!(tree["matching"]["card"], "one-to-one");
    assert_eq!(tree["rhs"]["args"][0]["range"], 300_000);
    assert_eq!(tree["rhs"]["func"]["name"], "rate");
    server.stop().await;
}

#[tokio::test]
async fn exemplars_come_by_series() {
    let server = TestServer::start().await;
    let labels = Labels::from_pairs([("trace_id", "abc")]);
    let exemplar = Exemplar { labels, value: 6.0, timestamp_ms: 1_500, has_timestamp: true };
    server.append_exemplar("x_total{job=\"a\"}", &exemplar);
    let data = server.get("/api/v1/query_exemplars?query=rate(x_total%5B1m%5D)&start=0&end=10").await.data();
    let exemplars = json!([{ "labels": { "trace_id": "abc" }, "value": "6", "timestamp": 1.5 }]);
    let series = json!({ "__name__": "x_total", "job": "a" });
    assert_eq!(data, json!([{ "seriesLabels": series, "exemplars": exemplars }]));
    let none = server.get("/api/v1/query_exemplars?query=x_total&start=5&end=10").await.data();
    assert_eq!(none, json!([]));
    assert_eq!(server.get("/api/v1/query_exemplars?query=1").await.status, 204);
    let error = server.get("/api/v1/query_exemplars?query=x_total&start=5&end=1").await.error();
    assert_eq!(error, bad_data("end timestamp must not be before start timestamp"));
    server.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_when_asked_for() {
    let server = TestServer::start().await;
    for i in 0..200 {
        server.append(&format!("many{{i=\"{i}\"}}"), &[(0, 1.0)]);
    }
    let plain = server.get("/api/v1/query?query=many&time=0").await;
    assert_eq!(plain.header("content-encoding"), None);
    let packed =
        server.send("GET", "/api/v1/query?query=many&time=0", &[("Accept-Encoding", "gzip")], "").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert!(packed.body.len() * 4 < plain.body.len());
    server.stop().await;
}
