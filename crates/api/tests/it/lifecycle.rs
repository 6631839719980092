//! Health, administration, self-metrics, federation and prefixes.

use std::sync::atomic::Ordering;

use api::server::Security;
use serde_json::json;

use crate::server::{NOW_MS, TestServer, options, server_options};

#[tokio::test]
async fn health_and_readiness() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/-/healthy").await.text(), "Prometheus Server is Healthy.\n");
    assert_eq!(server.get("/-/ready").await.status, 200);
    assert_eq!(server.send("HEAD", "/-/ready", &[], "").await.status, 200);
    server.calls.ready.store(false, Ordering::SeqCst);
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.get("/-/ready").await.status, 503);
    assert_eq!(server.get("/api/v1/query?query=1").await.status, 503);
    assert_eq!(server.get("/federate?match[]=up").await.status, 503);
    assert_eq!(server.get("/api/v1/status/walreplay").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn reload_and_quit() {
    let server = TestServer::start().await;
    assert_eq!(server.post("/-/reload", "").await.status, 200);
    server.calls.reload_fails.store(true, Ordering::SeqCst);
    let failed = server.send("PUT", "/-/reload", &[], "").await;
    assert_eq!((failed.status, failed.text()), (500, "failed to reload config: line 3: no\n"));
    assert_eq!(server.get("/-/reload").await.status, 405);
    assert_eq!(server.post("/-/quit", "").await.text(), "Requesting termination... Goodbye!");
    assert_eq!(*server.calls.done.lock(), ["reload", "quit"]);
    server.stop().await;

    let disabled = crate::server::options();
    let disabled = api::ApiOptions { enable_lifecycle: false, enable_admin_api: false, ..disabled };
    let server = TestServer::start_with(disabled, server_options(), Security::default()).await;
    let refused = server.post("/-/quit", "").await;
    assert_eq!((refused.status, refused.text()), (403, "Lifecycle API is not enabled."));
    let refused = server.post("/api/v1/admin/tsdb/snapshot", "").await.error();
    assert_eq!((refused.1.as_str(), refused.2.as_str()), ("unavailable", "admin APIs disabled"));
    server.stop().await;
}

#[tokio::test]
async fn administration() {
    let server = TestServer::start().await;
    let path = "/api/v1/admin/tsdb/delete_series";
    assert_eq!(server.post(path, "match[]=up%7Ba=%22b%22%7D&start=1&end=2").await.status, 204);
    assert_eq!(*server.calls.done.lock(), ["delete 1000 2000 a=\"b\",__name__=\"up\""]);
    assert_eq!(server.send("PUT", &format!("{path}?match[]=x"), &[], "").await.status, 204);
    assert_eq!(server.post(path, "").await.error().2, "no match[] parameter provided");
    assert_eq!(server.get(path).await.status, 405);
    let snapshot = server.post("/api/v1/admin/tsdb/snapshot", "skip_head=true").await.data();
    assert_eq!(snapshot, json!({ "name": "snapshot-true" }));
    let failed = server.post("/api/v1/admin/tsdb/clean_tombstones", "").await.error();
    assert_eq!(failed, (500, "internal".to_owned(), "disk is full".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn self_metrics_and_federation() {
    let server = TestServer::start().await;
    server.append("up{job=\"a\"}", &[(NOW_MS - 1000, 1.0)]);
    server.append("up{job=\"old\"}", &[(NOW_MS - 3_000_000, 1.0)]);
    let metrics = server.get("/metrics").await;
    assert!(metrics.text().contains("prometheus_engine_queries_concurrent_max 4"), "{}", metrics.text());
    assert_eq!(server.get("/api/v1/label/job/values").await.status, 200);
    assert_eq!(server.get("/api/v1/query?query=(").await.status, 400);
    // A request counts when its answer has been sent, which may be just after the client has read it.
    let counted = async {
        loop {
            let text = server.get("/metrics").await.text().to_owned();
            let wanted = [
                "prometheus_http_requests_total{code=\"200\",handler=\"/api/v1/label/:name/values\"} 1",
                "prometheus_http_requests_total{code=\"400\",handler=\"/api/v1/query\"} 1",
                "prometheus_http_request_duration_seconds_count{handler=\"/api/v1/query\"} 1",
                "prometheus_http_response_size_bytes_bucket{handler=\"/api/v1/label/:name/values\",le=\"100\"} 1",
            ];
            if wanted.iter().all(|line| text.contains(line)) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), counted).await.unwrap();
    let federated = server.get("/federate?match[]=up").await;
    let expected =
        format!("# TYPE up untyped\nup{{job=\"a\",instance=\"\",region=\"eu\"}} 1 {}\n", NOW_MS - 1000);
    assert_eq!(federated.text(), expected);
    let wrong = server.get("/federate?match[]=up%7B").await;
    assert_eq!(wrong.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn everything_is_below_the_prefix() {
    let options = api::ApiOptions { route_prefix: "/prom".to_owned(), ..options() };
    let server = TestServer::start_with(options, server_options(), Security::default()).await;
    let home = server.get("/").await;
    assert_eq!(home.header("location"), Some("/prom/"));
    assert!(server.get("/prom/").await.text().contains("Test &lt;server&gt;"));
    assert_eq!(server.get("/prom/api/v1/query?query=1").await.status, 200);
    assert_eq!(server.get("/prom/-/healthy").await.status, 200);
    assert_eq!(server.get("/api/v1/query?query=1").await.status, 404);
    server.stop().await;
}
