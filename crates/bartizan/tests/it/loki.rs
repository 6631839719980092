//! The seat of Loki: its configuration, its API, its limits, and those who push to it.

mod bucket;
mod proxied;
mod rules;
mod senders;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use base::Clock;
use serde_json::{Value, json};

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::{bartizan, command};

/// `bartizan loki`; dropping it kills it.
struct Loki {
    child: Child,
    address: SocketAddr,
}

/// A configuration as container images of Loki have it.
fn config(dir: &Path, more: &str) -> String {
    format!(
        "auth_enabled: true
common:
  path_prefix: {}
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
schema_config:
  configs:
  - {{from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
{more}",
        dir.display()
    )
}

impl Loki {
    fn start(dir: &Path, config: &str) -> Self {
        let file = dir.join("loki.yaml");
        std::fs::write(&file, config).unwrap();
        let address = free_address();
        let child = command()
            .arg("loki")
            .arg(format!("-config.file={}", file.display()))
            .args(["-config.expand-env=true", "-target=all", "-server.http-listen-address=127.0.0.1"])
            .arg(format!("-server.http-listen-port={}", address.port()))
            .env("LINE_LIMIT", "1KB")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let loki = Self { child, address };
        wait_for("the seat to be ready", || {
            let (status, _) = exchange(loki.address, "GET", "/ready", "", &[])?;
            (status == 200).then_some(())
        });
        loki
    }

    fn ask(&self, tenant: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let headers = format!("x-scope-orgid: {tenant}\r\ncontent-type: application/json\r\n");
        let (status, body) = exchange(self.address, method, path, &headers, body.as_bytes()).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    fn push(&self, tenant: &str, app: &str, lines: &[(i64, &str)]) -> (u16, String) {
        let values: Vec<_> = lines.iter().map(|(ns, line)| json!([ns.to_string(), line])).collect();
        let body = json!({ "streams": [{ "stream": { "app": app }, "values": values }] }).to_string();
        self.ask(tenant, "POST", "/loki/api/v1/push", &body)
    }

    /// The lines a query finds.
    fn lines(&self, tenant: &str, query: &str) -> Vec<String> {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let path = format!("/loki/api/v1/query_range?query={query}&direction=forward&limit=1000");
        let (status, body) = self.ask(tenant, "GET", &path, "");
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let streams = answer["data"]["result"].as_array().unwrap().clone();
        let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone());
        values.map(|value| value[1].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Loki {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now_ns() -> i64 {
    base::SystemClock::new().now_ms() * 1_000_000
}

const DAY_NS: i64 = 86_400 * 1_000_000_000;

#[test]
fn a_configuration_of_loki_is_honoured_and_what_is_pushed_survives() {
    let dir = tempfile::tempdir().unwrap();
    let more = "limits_config: {max_line_size: '${LINE_LIMIT}', max_line_size_truncate: true}\n";
    let loki = Loki::start(dir.path(), &config(dir.path(), more));
    let now = now_ns();
    assert_eq!(loki.push("a", "web", &[(now, "one"), (now + 1, "two")]).0, 204);
    assert_eq!(loki.push("b", "web", &[(now, &"x".repeat(2000))]).0, 204);
    assert_eq!(loki.lines("a", r#"{app="web"}"#), ["one", "two"]);
    assert_eq!(loki.lines("b", r#"{app="web"}"#), ["x".repeat(1024)]);
    // Whose logs they are must be said, and be a name.
    let (status, _) = exchange(loki.address, "GET", "/loki/api/v1/labels", "", &[]).unwrap();
    assert_eq!(status, 401);
    let (status, text) = loki.ask("a/b", "GET", "/loki/api/v1/labels", "");
    assert_eq!((status, text.contains("unsupported character '/'")), (400, true), "{text}");
    let (status, text) = loki.push("a", "web", &[(now - 8 * DAY_NS, "last week")]);
    assert_eq!((status, text.contains("has timestamp too old")), (400, true), "{text}");
    for path in ["/config", "/services", "/loki/api/v1/status/buildinfo"] {
        assert_eq!(loki.ask("a", "GET", path, "").0, 200, "{path}");
    }
    assert_eq!(loki.ask("a", "POST", "/flush", "").0, 204);
    let (_, metrics) = loki.ask("a", "GET", "/metrics", "");
    for expected in [
        "loki_request_duration_seconds_count{method=\"POST\",route=\"loki_api_v1_push\",status_code=\"204\",ws=\"false\"} 2",
        "loki_distributor_lines_received_total{tenant=\"b\"} 1",
        "loki_discarded_samples_total{reason=\"greater_than_max_sample_age\",tenant=\"a\"} 1",
        "loki_build_info{",
    ] {
        assert!(metrics.contains(expected), "{expected} is not in {metrics}");
    }
    // Nothing of ours lies where a Loki would take it for its own.
    assert!(dir.path().join("chunks/bartizan").is_dir() && dir.path().join("wal/bartizan").is_dir());
    assert_eq!(loki.push("a", "web", &[(now + 2, "three")]).0, 204);
    drop(loki);
    let loki = Loki::start(dir.path(), &config(dir.path(), more));
    assert_eq!(loki.lines("a", r#"{app="web"}"#), ["one", "two", "three"]);
}

#[test]
fn entries_are_deleted_by_request_and_limits_follow_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let overrides = dir.path().join("overrides.yaml");
    std::fs::write(&overrides, "overrides: {small: {max_streams_per_user: 1}}\n").unwrap();
    let more = format!(
        "compactor: {{retention_enabled: true}}\nlimits_config: {{retention_period: 72h}}\nruntime_config: {{file: {}, period: 1s}}\n",
        overrides.display()
    );
    let loki = Loki::start(dir.path(), &config(dir.path(), &more));
    let now = now_ns();
    assert_eq!(loki.push("a", "web", &[(now, "secret"), (now + 1, "public")]).0, 204);
    let (status, text) = loki.push("a", "web", &[(now - 4 * DAY_NS, "older than retention")]);
    assert_eq!((status, text.contains("oldest acceptable timestamp")), (400, true), "{text}");
    let start = now / 1_000_000_000 - 60;
    let path =
        format!("/loki/api/v1/delete?query=%7Bapp%3D%22web%22%7D%20%7C%3D%20%22secret%22&start={start}");
    assert_eq!(loki.ask("a", "POST", &path, ""), (204, String::new()));
    assert_eq!(loki.lines("a", r#"{app="web"}"#), ["public"]);
    let (_, list) = loki.ask("a", "GET", "/loki/api/v1/delete", "");
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["query"], r#"{app="web"} |= "secret""#);
    assert_eq!((list[0]["status"].as_str(), list[0]["start_time"].as_i64()), (Some("received"), Some(start)));
    let id = list[0]["request_id"].as_str().unwrap();
    assert_eq!(loki.ask("a", "DELETE", &format!("/loki/api/v1/delete?request_id={id}"), "").0, 204);
    assert_eq!(loki.lines("a", r#"{app="web"}"#), ["secret", "public"]);
    for (path, problem) in [
        ("start=1", "query not set"),
        ("query=%7Bapp%3D%22web%22%7D", "start time not set"),
        ("query=%7Bapp%3D%22web%22%7D%20%7C%20json&start=1", "cannot be used"),
    ] {
        let (status, text) = loki.ask("a", "PUT", &format!("/loki/api/v1/delete?{path}"), "");
        assert_eq!((status, text.contains(problem)), (400, true), "{text}");
    }
    assert_eq!(loki.push("small", "one", &[(now, "x")]).0, 204);
    let (status, text) = loki.push("small", "two", &[(now, "x")]);
    assert_eq!((status, text.contains("Maximum active stream limit exceeded")), (429, true), "{text}");
    std::fs::write(&overrides, "overrides: {small: {max_streams_per_user: 2, deletion_mode: disabled}}\n")
        .unwrap();
    wait_for("the new limits", || (loki.push("small", "two", &[(now, "x")]).0 == 204).then_some(()));
    assert_eq!(loki.ask("small", "GET", "/loki/api/v1/delete", "").0, 403);
}

#[test]
fn what_would_mean_something_else_keeps_it_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("loki.yaml");
    let check = |more: &str, flags: &[&str]| {
        std::fs::write(&file, config(dir.path(), more)).unwrap();
        let given = format!("-config.file={}", file.display());
        bartizan(["loki", &given, "-verify-config"].iter().chain(flags))
    };
    let fine = check("query_range: {cache_results: true}\n", &["-print-config-stderr"]);
    assert_eq!(fine.code, 0, "{}", fine.err);
    assert!(fine.err.contains("ingestion_rate_mb") || fine.err.contains("path_prefix"), "{}", fine.err);
    let refused = check("ingester: {wal: {enabled: false}}\n", &[]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("loki.yaml:9:") && refused.err.contains("ingester.wal.enabled"),
        "{}",
        refused.err
    );
    assert_eq!(check("", &["-target=read"]).code, 1);
    let version = bartizan(["loki", "-version"]);
    assert!(version.out.starts_with("loki, version "), "{}", version.out);
}
