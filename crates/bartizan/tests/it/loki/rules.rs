//! Rules in Loki's seat: from files and from clients, told to an Alertmanager, recorded in another server.

use std::path::Path;

use serde_json::Value;

use super::{Loki, config, now_ns};
use crate::faults::wait_for;
use crate::up::Up;

const FILE: &str = "groups:
- name: errors
  interval: 1s
  rules:
  - record: app:errors:count
    expr: 'sum by (app) (count_over_time({app=~\".+\"} |= \"error\" [1h]))'
  - alert: Errors
    expr: 'sum by (app) (count_over_time({app=\"shop\"} |= \"error\" [1h])) > 1'
    for: 3s
    labels: {severity: page}
";

fn with_rules(dir: &Path, up: &Up) -> String {
    let more = format!(
        "ruler:
  storage: {{type: local, local: {{directory: {}}}}}
  poll_interval: 1s
  evaluation_interval: 1s
  for_grace_period: 0s
  alertmanager_url: http://{}
  external_url: http://grafana.example/
  external_labels: {{cluster: here}}
  datasource_uid: logs-of-a
  remote_write: {{enabled: true, clients: {{up: {{url: 'http://{}/api/v1/write'}}}}}}
limits_config: {{ruler_max_rules_per_rule_group: 1}}
",
        dir.join("files").display(),
        up.address,
        up.address
    );
    config(dir, &more)
}

/// Since when the alert is active, once it fires.
fn firing_since(loki: &Loki) -> String {
    wait_for("the alert to fire", || {
        let (_, body) = loki.ask("a", "GET", "/prometheus/api/v1/alerts", "");
        let alerts: Value = serde_json::from_str(&body).ok()?;
        let alert = &alerts["data"]["alerts"][0];
        (alert["state"] == "firing").then(|| alert["activeAt"].as_str().unwrap().to_owned())
    })
}

#[test]
fn rules_are_evaluated_told_recorded_elsewhere_and_taken_up_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (of_up, of_loki) = (dir.path().join("up"), dir.path().join("loki"));
    std::fs::create_dir_all(&of_up).unwrap();
    std::fs::create_dir_all(of_loki.join("files/a/.data")).unwrap();
    std::fs::write(of_loki.join("files/a/team.yaml"), FILE).unwrap();
    let up = Up::start(&of_up, ["--no-host-logs"]);
    let loki = Loki::start(&of_loki, &with_rules(&of_loki, &up));
    let now = now_ns();
    assert_eq!(loki.push("a", "shop", &[(now, "an error"), (now + 1, "another error")]).0, 204);
    assert_eq!(loki.push("b", "shop", &[(now, "the error of others")]).0, 204);

    let recorded = wait_for("what is recorded to arrive", || {
        let found = up.json("/api/v1/query?query=app%3Aerrors%3Acount");
        found["data"]["result"].as_array()?.first().cloned()
    });
    assert_eq!((&recorded["metric"]["app"], &recorded["value"][1]), (&"shop".into(), &"2".into()));
    let told = wait_for("the alert to be told", || {
        up.json("/api/v2/alerts?filter=alertname%3DErrors").as_array()?.first().cloned()
    });
    assert_eq!((&told["labels"]["cluster"], &told["labels"]["severity"]), (&"here".into(), &"page".into()));
    let link = told["generatorURL"].as_str().unwrap();
    assert!(link.starts_with("http://grafana.example/explore?left=") && link.contains("logs-of-a"), "{link}");
    let since = firing_since(&loki);

    // Files are what they are; clients add others, within the limits of their tenant.
    let (_, rules) = loki.ask("a", "GET", "/loki/api/v1/rules", "");
    assert!(rules.starts_with("team.yaml:\n- name: errors\n"), "{rules}");
    let group = "{name: g, rules: [{record: of_client, expr: 'vector(3)'}]}";
    let (status, text) = loki.ask("a", "POST", "/loki/api/v1/rules/team.yaml", group);
    assert_eq!((status, text.contains("is a file")), (400, true), "{text}");
    let (status, text) = loki.ask(
        "b",
        "POST",
        "/loki/api/v1/rules/mine",
        "{name: g, rules: [{record: a, expr: 'vector(3)'}, {record: b, expr: 'vector(3)'}]}",
    );
    let limit = "per-user rules per rule group limit (limit: 1 actual: 2) exceeded";
    assert_eq!((status, text.contains(limit)), (400, true), "{text}");
    assert_eq!(loki.ask("b", "POST", "/loki/api/v1/rules/mine", group).0, 202);
    assert_eq!(loki.ask("a", "GET", "/loki/api/v1/rules/mine", "").0, 404);
    wait_for("what the client's rule gives", || {
        let found = up.json("/api/v1/query?query=of_client");
        (found["data"]["result"][0]["value"][1] == "3").then_some(())
    });

    // What is in memory is written out on request where logs are beside everything else, too.
    assert_eq!(up.ask("POST", "/flush", "", "").unwrap().0, 204);

    // A change of a file is seen, and so is the state of alerts after a restart.
    std::fs::write(
        of_loki.join("files/a/more.yaml"),
        "groups: [{name: more, rules: [{record: more, expr: 'vector(4)'}]}]\n",
    )
    .unwrap();
    wait_for("the new file", || {
        loki.ask("a", "GET", "/prometheus/api/v1/rules", "").1.contains("\"more.yaml\"").then_some(())
    });
    drop(loki);
    let loki = Loki::start(&of_loki, &with_rules(&of_loki, &up));
    assert_eq!(firing_since(&loki)[..19], since[..19]);
    assert_eq!(loki.ask("b", "GET", "/loki/api/v1/rules/mine/g", "").0, 200);
}

#[test]
fn queries_and_pushes_that_are_not_wanted_are_refused_and_retention_follows_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let overrides = dir.path().join("overrides.yaml");
    std::fs::write(&overrides, "overrides: {free: {required_labels: [], blocked_queries: []}}\n").unwrap();
    let more = format!(
        "compactor: {{retention_enabled: true}}
limits_config:
  reject_old_samples: false
  required_labels: [app]
  enforced_labels: [app]
  blocked_queries: [{{pattern: '.*prod.*', regex: true}}]
runtime_config: {{file: {}, period: 1s}}
",
        overrides.display()
    );
    let loki = Loki::start(dir.path(), &config(dir.path(), &more));
    let refused = |query: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        loki.ask("a", "GET", &format!("/loki/api/v1/query_range?query={query}"), "")
    };
    assert_eq!(refused("{app=\"prod\"}"), (400, "query blocked by policy\n".to_owned()));
    let (status, text) = refused("sum(rate({env=\"a\"}[1m]))");
    let expected =
        "stream selector is missing required matchers [app], labels present in the query were [env]";
    assert_eq!((status, text.trim_end()), (400, expected));
    let now = now_ns();
    let body = format!(r#"{{"streams":[{{"stream":{{"env":"x"}},"values":[["{now}","l"]]}}]}}"#);
    let (status, text) = loki.ask("a", "POST", "/loki/api/v1/push", &body);
    assert_eq!(
        (status, text.starts_with("missing required labels app for user a for stream {")),
        (400, true),
        "{text}"
    );
    // Behind the limits of the file the tenant is free, and `@` is not there unless it is switched on.
    assert_eq!(loki.push("free", "prod", &[(now - 40 * super::DAY_NS, "old"), (now, "new")]).0, 204);
    let all = |loki: &Loki| {
        let start = (now - 50 * super::DAY_NS) / 1_000_000_000;
        let query =
            url::form_urlencoded::byte_serialize(b"count_over_time({app=\"prod\"}[50d])").collect::<String>();
        let path = format!("/loki/api/v1/query?query={query}&time={}", now / 1_000_000_000 + 1);
        let (status, body) = loki.ask("free", "GET", &path, "");
        assert_eq!(status, 200, "{start}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
    };
    assert_eq!(all(&loki), "2");
    std::fs::write(
        &overrides,
        "overrides: {free: {required_labels: [], blocked_queries: [], retention_period: 24h}}\n",
    )
    .unwrap();
    wait_for("the new retention", || (all(&loki) == "1").then_some(()));
    std::fs::write(
        &overrides,
        "overrides: {free: {required_labels: [], blocked_queries: [], block_ingestion_until: 2100-01-01T00:00:00Z}}\n",
    )
    .unwrap();
    wait_for("the end of pushes", || (loki.push("free", "prod", &[(now, "x")]).0 == 260).then_some(()));
}
