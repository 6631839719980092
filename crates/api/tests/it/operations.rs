//! What pages for operators ask.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::server::{Answer, TestServer, exchange};

#[tokio::test]
async fn targets_are_told_with_what_their_scrapes_cost() {
    let server = TestServer::start().await;
    let data = server.get("/api/operations/targets").await.data();
    let cost = json!({"samples": 7, "samplesKept": 5, "seriesAdded": 1, "bodyBytes": 900});
    assert_eq!((&data["active"][0]["cost"], &data["active"][0]["health"]), (&cost, &json!("up")));
    assert_eq!(data["dropped"][0]["scrapePool"], "api");
    assert_eq!(data["droppedCounts"], json!({"api": 1}));
    assert_eq!(
        data["unusable"],
        json!([{"scrapePool": "api", "error": "instance 0 in group x: no address"}])
    );
    let path = "/api/operations/metric_relabel_steps?scrapePool=node&labels=%7B%22a%22:%22b%22%7D";
    let expected = json!({"steps": [{"rule": {"action": "drop"}, "output": {}, "keep": false}]});
    assert_eq!(server.get(path).await.data(), expected);
    for path in [
        "/api/operations/metric_relabel_steps?scrapePool=node",
        "/api/operations/metric_relabel_steps?scrapePool=node&labels=no",
        "/api/operations/metric_relabel_steps?scrapePool=none&labels=%7B%7D",
    ] {
        assert_eq!(server.get(path).await.status, 400, "{path}");
    }
    server.stop().await;
}

/// Asks a query that runs until it is ended.
fn ask_what_hangs(server: &TestServer) -> JoinHandle<Answer> {
    let address = server.address;
    tokio::spawn(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let path = "/api/v1/query_range?query=hangs&start=0&end=60&step=30";
        exchange(stream, "GET", path, &[], "").await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_runs_is_seen_and_can_be_ended() {
    let server = TestServer::start().await;
    let asking = ask_what_hangs(&server);
    while !server.calls.hanging.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let data = server.get("/api/operations/queries").await.data();
    let running = &data["running"][0];
    assert_eq!((&running["query"], &running["kind"]), (&json!("hangs"), &json!("range")));
    assert_eq!((&running["stepMs"], &running["isWaiting"]), (&json!(30_000), &json!(false)));
    assert_eq!((&data["slots"], &data["freeSlots"]), (&json!(4), &json!(3)));
    assert!(data["memoryBytes"].as_u64().unwrap() > 0);
    let path = format!("/api/operations/queries/{}", running["id"]);
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    let answer = asking.await.unwrap();
    assert!(answer.text().contains("query was canceled in hanging"), "{}", answer.text());

    // It may still be on its way out when its answer is here.
    let ended = loop {
        let data = server.get("/api/operations/queries").await.data();
        if data["running"] == json!([]) {
            break data;
        }
    };
    assert_eq!(ended["slowest"][0]["error"], "query was canceled in hanging");
    let answer = server.send("DELETE", &path, &[], "").await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_waits_for_its_turn_can_be_ended() {
    let server = TestServer::start().await;
    let asking: Vec<_> = (0..5).map(|_| ask_what_hangs(&server)).collect();
    let (waiting, others) = loop {
        let data = server.get("/api/operations/queries").await.data();
        let (waiting, others): (Vec<_>, Vec<_>) =
            data["running"].as_array().unwrap().iter().cloned().partition(|q| q["isWaiting"] == json!(true));
        if let ([one], 4) = (&waiting[..], others.len()) {
            break (one.clone(), others);
        }
    };
    let end = async |query: &Value| {
        let path = format!("/api/operations/queries/{}", query["id"]);
        assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    };
    end(&waiting).await;
    let (answer, _, running) = futures_util::future::select_all(asking).await;
    let answer = answer.unwrap();
    assert!(answer.text().contains("query was canceled in query queue"), "{}", answer.text());

    // The others do not notice.
    assert_eq!(server.get("/api/operations/queries").await.data()["freeSlots"], 0);
    for query in &others {
        end(query).await;
    }
    for answer in futures_util::future::join_all(running).await {
        assert!(answer.unwrap().text().contains("query was canceled in hanging"));
    }
    server.stop().await;
}

#[tokio::test]
async fn series_are_counted_beside_those_of_a_time_before() {
    let server = TestServer::start().await;
    let (now, before) = (1_700_000, 100_000);
    for i in 0..3 {
        server.append(&format!("new_total{{pod=\"p{i}\"}}"), &[(now, 1.0)]);
    }
    server.append("old_total{pod=\"p0\"}", &[(before, 1.0), (now, 1.0)]);
    server.append("gone_total{pod=\"p9\"}", &[(before, 1.0)]);
    let path = "/api/operations/cardinality?start=1600&end=1800&offset=1600";
    let data = server.get(path).await.data();
    assert_eq!((&data["series"], &data["seriesBefore"]), (&json!(4), &json!(2)));
    assert_eq!(
        data["metrics"],
        json!([
            {"name": "new_total", "series": 3, "before": 0},
            {"name": "old_total", "series": 1, "before": 1},
        ])
    );
    assert_eq!(data["grownMetrics"], json!([{"name": "new_total", "series": 3, "before": 0}]));
    assert_eq!(data["pairs"][0], json!({"name": "pod", "value": "p0", "series": 2, "before": 1}));
    let labels = &data["labels"];
    assert_eq!(labels[0], json!({"name": "pod", "values": 3, "valuesBefore": 2, "series": 4, "before": 2}));
    let one = server.get(&format!("{path}&match[]=new_total&limit=1")).await.data();
    assert_eq!((&one["series"], one["pairs"].as_array().unwrap().len()), (&json!(3), 1));
    let alone = server.get("/api/operations/cardinality?start=1600&end=1800").await.data();
    assert_eq!((&alone["series"], &alone["seriesBefore"]), (&json!(4), &json!(0)));
    for wrong in
        ["start=1&end=2&limit=0", "start=1&end=2&limit=5000", "end=2", "start=1&end=2&match[]=a&match[]=b"]
    {
        assert_eq!(server.get(&format!("/api/operations/cardinality?{wrong}")).await.status, 400, "{wrong}");
    }
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_told_before_the_storage_is_open() {
    let server = TestServer::start().await;
    server.calls.ready.store(false, Ordering::SeqCst);
    assert_eq!(server.get("/api/operations/targets").await.status, 503);
    server.stop().await;
}
