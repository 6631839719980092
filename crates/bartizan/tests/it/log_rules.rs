//! Rules about logs in the embedded default: made by clients, evaluated, told, and there after a crash.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use base::Clock;
use serde_json::{Value, json};

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::{bartizan, command};

const GROUP: &str = "name: errors
interval: 1s
rules:
- record: app:errors:count
  expr: 'sum by (app) (count_over_time({app=~\".+\"} |= \"error\" [1h]))'
  labels: {from: logs}
- alert: Errors
  expr: 'sum by (app) (count_over_time({app=\"shop\"} |= \"error\" [1h])) > 1'
  labels: {severity: page}
  annotations: {summary: '{{ $value }} errors of {{ $labels.app }}'}
";

/// `bartizan up`; dropping it kills it.
struct Up {
    child: Child,
    address: SocketAddr,
}

impl Up {
    fn start(dir: &Path, flags: &[String]) -> Self {
        let address = free_address();
        let child = command()
            .args(["up", "--data-dir"])
            .arg(dir)
            .arg(format!("--listen-address={address}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let up = Self { child, address };
        wait_for("the server to be ready", || (up.ask("GET", "/-/ready", "")?.0 == 200).then_some(()));
        up
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let headers = if body.starts_with('{') { "content-type: application/json\r\n" } else { "" };
        let (status, body) = exchange(self.address, method, path, headers, body.as_bytes())?;
        Some((status, String::from_utf8(body).unwrap()))
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "").unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn push(&self, app: &str, lines: &[&str]) {
        let now_ns = base::SystemClock::new().now_ms() * 1_000_000;
        let values: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(i, line)| json!([(now_ns + i as i64).to_string(), line]))
            .collect();
        let body = json!({ "streams": [{ "stream": { "app": app }, "values": values }] }).to_string();
        let (status, answer) = self.ask("POST", "/loki/api/v1/push", &body).unwrap();
        assert_eq!(status, 204, "{answer}");
    }

    /// The evaluated groups: file and name.
    fn groups(&self) -> Vec<(String, String)> {
        let groups = self.json("/prometheus/api/v1/rules")["data"]["groups"].take();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        groups.as_array().unwrap().iter().map(|group| (text(&group["file"]), text(&group["name"]))).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn rules_about_logs_are_made_evaluated_told_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.yml");
    std::fs::write(&file, "groups: [{name: still, rules: [{record: of_file, expr: 'vector(3)'}]}]\n")
        .unwrap();
    let flags = [format!("--log-rules={}", file.display())];
    let up = Up::start(&dir.path().join("data"), &flags);
    up.push("shop", &["an error", "fine", "another error"]);
    up.push("cart", &["an error"]);
    assert_eq!(up.ask("GET", "/loki/api/v1/rules", "").unwrap(), (404, "no rule groups found\n".to_owned()));
    let (status, answer) = up.ask("POST", "/loki/api/v1/rules/my%20team%2Fa", GROUP).unwrap();
    assert_eq!((status, &*answer), (202, r#"{"data":null,"error":"","errorType":"","status":"success"}"#));

    let recorded = wait_for("what is recorded", || {
        let found = up.json("/api/v1/query?query=app%3Aerrors%3Acount");
        let result = found["data"]["result"].as_array().unwrap().clone();
        (result.len() == 2).then_some(result)
    });
    assert_eq!(recorded[0]["metric"], json!({"__name__": "app:errors:count", "app": "cart", "from": "logs"}));
    assert_eq!(recorded[1]["value"][1], "2");
    let alert = wait_for("the alert to be told", || {
        let alerts = up.json("/api/v2/alerts?filter=alertname%3DErrors");
        alerts.as_array().unwrap().first().cloned()
    });
    assert_eq!(alert["labels"], json!({"alertname": "Errors", "app": "shop", "severity": "page"}));
    assert_eq!(alert["annotations"], json!({"summary": "2 errors of shop"}));
    assert!(alert["generatorURL"].as_str().unwrap().contains("/explore?left=%7B"), "{alert}");
    let shown = up.json("/prometheus/api/v1/alerts");
    assert_eq!(shown["data"]["alerts"][0]["state"], "firing");
    let (_, metrics) = up.ask("GET", "/metrics", "").unwrap();
    assert!(metrics.contains("loki_prometheus_rule_evaluations_total{rule_group=\"my team/a;errors\"}"));

    // Acknowledged is durable.
    drop(up);
    let up = Up::start(&dir.path().join("data"), &flags);
    let (_, all) = up.ask("GET", "/loki/api/v1/rules", "").unwrap();
    assert!(all.starts_with("my team/a:\n- name: errors\n  interval: 1s\n  rules:\n"), "{all}");
    assert_eq!(up.ask("GET", "/api/prom/rules/my%20team%2Fa", "").unwrap().1, all);
    let (status, group) = up.ask("GET", "/loki/api/v1/rules/my%20team%2Fa/errors", "").unwrap();
    assert_eq!((status, &group[..13]), (200, "name: errors\n"));
    let still = (file.display().to_string(), "still".to_owned());
    assert_eq!(up.groups(), [still.clone(), ("my team/a".to_owned(), "errors".to_owned())]);

    assert_eq!(up.ask("DELETE", "/loki/api/v1/rules/my%20team%2Fa/errors", "").unwrap().0, 202);
    assert_eq!(up.ask("GET", "/loki/api/v1/rules/my%20team%2Fa/errors", "").unwrap().0, 404);
    let again = up.ask("DELETE", "/loki/api/v1/rules/my%20team%2Fa", "").unwrap();
    assert_eq!(again, (404, "group namespace does not exist\n".to_owned()));
    wait_for("the group to be evaluated no more", || (up.groups() == [still.clone()]).then_some(()));
}

#[test]
fn rules_that_are_none_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let refused = |body: &str| {
        let (status, text) = up.ask("POST", "/loki/api/v1/rules/a", body).unwrap();
        assert_eq!(status, 400, "{text}");
        text
    };
    let lines = refused("name: g\nrules: [{record: a, expr: '{app=\"a\"}'}]\n");
    assert!(
        lines.contains("group \"g\", rule 1, \"a\": could not parse expression: rule result is not a vector")
    );
    assert!(refused("name: g\nrules: [{alert: A, expr: 'up == 0'}]\n").contains("parse error"));
    assert!(refused("rules: [{alert: A, expr: '1'}]\n").contains("Groupname must not be empty"));
    assert!(refused("groups: []\n").contains("groups"));
    assert_eq!(up.ask("GET", "/loki/api/v1/rules", "").unwrap().0, 404);
}

#[test]
fn rule_files_in_logql_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.yml");
    let rule = "sum(rate({app=\"a\"} | json | level=\"error\" [5m])) > 3";
    std::fs::write(&file, format!("groups: [{{name: g, rules: [{{alert: A, expr: '{rule}'}}]}}]\n")).unwrap();
    let path = file.display().to_string();
    let done = bartizan(["check", "rules", "--language=logql", &path]);
    assert_eq!((done.code, &*done.out), (0, &*format!("Checking {path}\n  SUCCESS: 1 rules found\n\n")));
    assert_eq!(bartizan(["check", "rules", &path]).code, 1);
}
