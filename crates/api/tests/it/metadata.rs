//! Labels, series, targets, status and search.

use serde_json::json;

use crate::server::TestServer;

async fn with_series() -> TestServer {
    let server = TestServer::start().await;
    server.append("up{job=\"a\",instance=\"x\"}", &[(0, 1.0)]);
    server.append("up{job=\"b\",instance=\"x\"}", &[(0, 1.0)]);
    server.append("{\"my.metric\",\"my.label\"=\"v\"}", &[(600_000, 1.0)]);
    server
}

#[tokio::test]
async fn labels_values_and_series() {
    let server = with_series().await;
    let names = server.get("/api/v1/labels").await.data();
    assert_eq!(names, json!(["__name__", "instance", "job", "my.label"]));
    let names = server.post("/api/v1/labels", "match[]=up&match[]=down").await.data();
    assert_eq!(names, json!(["__name__", "instance", "job"]));
    assert_eq!(server.get("/api/v1/labels?start=500").await.data(), json!(["__name__", "my.label"]));

    assert_eq!(server.get("/api/v1/label/job/values").await.data(), json!(["a", "b"]));
    assert_eq!(server.get("/api/v1/label/U__my_2e_label/values").await.data(), json!(["v"]));
    assert_eq!(server.get("/api/v1/label/none/values").await.data(), json!([]));
    let cut = server.get("/api/v1/label/job/values?limit=1").await.json();
    assert_eq!((&cut["data"], &cut["warnings"]), (&json!(["a"]), &json!(["results truncated due to limit"])));

    let series = server.get("/api/v1/series?match[]=up%7Bjob=%22a%22%7D&match[]=up").await.data();
    let up = |job: &str| json!({ "__name__": "up", "instance": "x", "job": job });
    assert_eq!(series, json!([up("a"), up("b")]));
    let error = server.get("/api/v1/series").await.error();
    assert_eq!(error.2, "no match[] parameter provided");
    let error = server.get("/api/v1/series?match[]=%7B%7D").await.error();
    assert_eq!(error.2, "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher");
    let error = server.get("/api/v1/labels?match[]=up%7B").await.error();
    assert_eq!(error.2, "1:4: parse error: unexpected end of input inside braces");
    server.stop().await;
}

#[tokio::test]
async fn targets_and_their_metadata() {
    let server = TestServer::start().await;
    let data = server.get("/api/v1/targets").await.data();
    let target = &data["activeTargets"][0];
    assert_eq!(target["globalUrl"], "http://prom.example:9100/metrics");
    assert_eq!((&target["lastScrape"], &target["health"]), (&json!("1970-01-01T00:00:01Z"), &json!("up")));
    assert_eq!(target["lastScrapeDuration"], 0.25);
    assert_eq!(data["droppedTargetCounts"], json!({ "api": 1 }));
    let active = server.get("/api/v1/targets?state=active&scrapePool=api").await.data();
    assert_eq!((&active["activeTargets"], &active["droppedTargets"]), (&json!([]), &json!([])));

    let families = server.get("/api/v1/metadata").await.data();
    assert_eq!(families["up"], json!([{ "type": "gauge", "help": "Up.", "unit": "" }]));
    let one = server.get("/api/v1/metadata?limit=1").await.data();
    assert_eq!(one.as_object().unwrap().len(), 1);
    let of_target =
        server.get("/api/v1/targets/metadata?match_target=%7Bjob=%22node%22%7D&metric=up").await.data();
    assert_eq!(
        of_target,
        json!([{ "target": { "job": "node" }, "type": "gauge", "help": "Up.", "unit": "" }])
    );
    for (limit, entries) in [("0", 0), ("1", 2), ("2", 2), ("-1", 2)] {
        // What the last target has is listed whole.
        let listed = server.get(&format!("/api/v1/targets/metadata?limit={limit}")).await.data();
        assert_eq!(listed.as_array().unwrap().len(), entries, "{limit}");
    }
    let none = server.get("/api/v1/targets/metadata?match_target=%7Bjob=%22x%22%7D").await.data();
    assert_eq!(none, json!([]));

    assert_eq!(server.get("/api/v1/scrape_pools").await.data(), json!({ "scrapePools": ["api", "node"] }));
    let config = server.get("/api/v1/scrape_pools/config?scrapePool=node").await.data();
    assert_eq!(config, json!({ "yaml": "job_name: node\n" }));
    let steps =
        server.get("/api/v1/targets/relabel_steps?scrapePool=node&labels=%7B%22a%22:%22b%22%7D").await.data();
    assert_eq!(steps["steps"][0]["output"], json!({ "a": "b" }));
    server.stop().await;
}

#[tokio::test]
async fn status_of_the_process() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/api/v1/status/config").await.data(), json!({ "yaml": "global: {}\n" }));
    assert_eq!(server.get("/api/v1/status/flags").await.data(), json!({ "web.port": "9090" }));
    assert_eq!(server.get("/api/v1/status/buildinfo").await.data()["version"], "3.14.0");
    let runtime = server.get("/api/v1/status/runtimeinfo").await.data();
    assert_eq!(runtime["serverTime"], "1970-01-01T00:30:00Z");
    assert_eq!(runtime["storageRetention"], "15d");
    assert_eq!(server.get("/api/v1/status/tsdb?limit=7").await.data()["headStats"]["numSeries"], 7);
    let error = server.get("/api/v1/status/tsdb?limit=0").await.error();
    assert_eq!(error.2, "limit must be a positive number");
    assert_eq!(
        server.get("/api/v1/status/tsdb/blocks").await.data(),
        json!({ "blocks": [{ "ulid": "01ABC" }] })
    );
    let replay = json!({ "min": 1, "max": 7, "current": 3 });
    assert_eq!(server.get("/api/v1/status/walreplay").await.data(), replay);
    assert_eq!(server.get("/api/v1/features").await.data(), json!({ "promql": { "offset": true } }));
    assert_eq!(server.get("/api/v1/rules").await.data(), json!({ "groups": [] }));
    assert_eq!(server.get("/api/v1/alerts").await.data(), json!({ "alerts": [] }));
    let managers = json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] });
    assert_eq!(server.get("/api/v1/alertmanagers").await.data(), managers);
    assert_eq!(server.get("/api/v1/notifications").await.data(), json!([]));
    server.stop().await;
}

#[tokio::test]
async fn searches_answer_lines() {
    let server = TestServer::start().await;
    for name in ["http_requests_total", "http_errors_total", "node_load1"] {
        server.append(name, &[(crate::server::NOW_MS, 1.0)]);
    }
    let found = server.get("/api/v1/search/metric_names?search[]=http&batch_size=1").await;
    assert_eq!(found.header("content-type"), Some("application/x-ndjson; charset=utf-8"));
    let lines: Vec<serde_json::Value> =
        found.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "results": [{ "name": "http_errors_total" }] }));
    assert_eq!(lines[1], json!({ "results": [{ "name": "http_requests_total" }] }));
    assert_eq!(lines[2], json!({ "status": "success", "has_more": false }));
    let error = server.get("/api/v1/search/label_values").await.error();
    assert_eq!(error.2, "missing required parameter \"label\"");
    let error = server.get("/api/v1/search/label_names?limit=5000").await.error();
    assert!(error.2.contains("exceeds the configured maximum"), "{}", error.2);
    server.stop().await;
}
