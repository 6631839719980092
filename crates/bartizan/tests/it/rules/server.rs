//! Rules on the running program.

use serde_json::Value;

use crate::faults::server::Home;
use crate::faults::wait_for;

const RULES: &str = "groups:\n- name: fast\n  interval: 1s\n  labels: {team: a}\n  rules:\n  - {record: two, expr: '1 + 1', labels: {kind: x}}\n  - {record: four, expr: 'two * 2'}\n  - alert: Always\n    expr: four > 3\n    labels: {severity: page}\n    annotations: {text: 'is {{ $value }}'}\n  - {alert: Later, expr: 'vector(1)', for: 1h}\n- name: other\n  interval: 1s\n  rules:\n  - {record: bad, expr: '\"text\"'}\n";

/// A reload applies what is in the files now.
fn reload(server: &crate::faults::server::Server) -> u16 {
    crate::peer::exchange(server.address(), "POST", "/-/reload", "", b"").unwrap().0
}

#[test]
fn rules_are_evaluated_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.rules.yml"), RULES).unwrap();
    let home = Home::new(dir.path(), "rule_files: ['*.rules.yml']\n").flag("--web.enable-lifecycle");
    let server = home.start();
    wait_for("the recorded series", || server.number("four{team=\"a\"}").filter(|value| *value == 4.0));
    wait_for("the alert", || server.number("ALERTS{alertname=\"Always\",alertstate=\"firing\"}"));
    wait_for("its state", || server.number("ALERTS_FOR_STATE{alertname=\"Always\"}"));
    let file = dir.path().join("a.rules.yml").display().to_string();

    let (status, json) = server.api("rules", &[]);
    assert_eq!(status, 200);
    let groups = json["data"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!((&groups[0]["name"], &groups[0]["file"]), (&Value::from("fast"), &Value::from(file.clone())));
    assert_eq!(groups[0]["interval"], 1.0);
    let rules = groups[0]["rules"].as_array().unwrap();
    assert_eq!(rules[0]["labels"], serde_json::json!({"kind": "x", "team": "a"}));
    assert_eq!((&rules[0]["type"], &rules[0]["health"]), (&Value::from("recording"), &Value::from("ok")));
    assert_eq!((&rules[2]["state"], &rules[2]["query"]), (&Value::from("firing"), &Value::from("four > 3")));
    let alert = &rules[2]["alerts"][0];
    assert_eq!(alert["annotations"]["text"], "is 4");
    assert_eq!((&alert["value"], &alert["state"]), (&Value::from("4e+00"), &Value::from("firing")));
    assert_eq!((&rules[3]["state"], &rules[3]["duration"]), (&Value::from("pending"), &Value::from(3600.0)));
    let bad = &groups[1]["rules"][0];
    assert_eq!(
        (&bad["health"], &bad["lastError"]),
        (&Value::from("err"), &Value::from("rule result is not a vector or scalar"))
    );

    let names = |params: &[(&str, &str)]| -> Vec<String> {
        let (_, json) = server.api("rules", params);
        let groups = json["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[("type", "alert")]), ["Always", "Later"]);
    assert_eq!(names(&[("type", "record"), ("rule_group[]", "fast")]), ["two", "four"]);
    assert_eq!(names(&[("rule_name[]", "two"), ("rule_name[]", "bad")]), ["two", "bad"]);
    assert_eq!(names(&[("file[]", "none")]), [""; 0]);
    assert_eq!(names(&[("match[]", "{severity=\"page\"}")]), ["Always"]);
    let (_, first) = server.api("rules", &[("group_limit", "1")]);
    let token = first["data"]["groupNextToken"].as_str().unwrap();
    assert_eq!(names(&[("group_limit", "1"), ("group_next_token", token)]), ["bad"]);
    let (status, _) = server.api("rules", &[("group_limit", "1"), ("group_next_token", "x")]);
    assert_eq!(status, 400);
    let (_, hidden) = server.api("rules", &[("exclude_alerts", "true"), ("type", "alert")]);
    assert!(hidden["data"]["groups"][0]["rules"][0]["alerts"].is_null());

    let (_, json) = server.api("alerts", &[]);
    assert_eq!(json["data"]["alerts"].as_array().unwrap().len(), 2);
    assert!(server.own_metric("prometheus_rule_evaluations_total") >= 5.0);
    assert!(server.own_metric("prometheus_rule_evaluation_failures_total") >= 1.0);
    assert_eq!(server.own_metric("prometheus_rule_group_rules"), 5.0);
}

#[test]
fn a_reload_changes_only_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.yml");
    let text = |value: u8, more: &str| {
        format!(
            "groups:\n- name: same\n  interval: 1s\n  rules: [{{alert: A, expr: vector(1), for: 1h}}]\n- name: changing\n  interval: 1s\n  rules:\n  - {{record: r, expr: 'vector({value})'}}\n{more}"
        )
    };
    std::fs::write(&file, text(1, "  - {record: gone, expr: 'vector(1)'}\n")).unwrap();
    let server = Home::new(dir.path(), "rule_files: [r.yml]\n").flag("--web.enable-lifecycle").start();
    wait_for("the first value", || server.number("r").filter(|value| *value == 1.0));
    wait_for("the other series", || server.number("gone"));
    let active_at = || server.api("alerts", &[]).1["data"]["alerts"][0]["activeAt"].clone();
    let before = wait_for("the alert", || Some(active_at()).filter(|at| !at.is_null()));

    std::fs::write(&file, text(2, "")).unwrap();
    assert_eq!(reload(&server), 200);
    wait_for("the new value", || server.number("r").filter(|value| *value == 2.0));
    // It is marked as ended, long before it would be forgotten.
    wait_for("the end of what is gone", || server.number("gone").is_none().then_some(()));
    assert_eq!(active_at(), before);

    std::fs::write(&file, "groups:\n- nme: x\n").unwrap();
    assert_eq!(reload(&server), 500);
    server.wait_for_log(&["loading groups failed", "field nme not found"]);
    assert_eq!(server.api("rules", &[]).1["data"]["groups"].as_array().unwrap().len(), 2);
}

#[test]
fn rules_that_do_not_load_keep_the_server_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.yml"), "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'sum('}\n")
        .unwrap();
    let (status, log) =
        Home::new(dir.path(), "rule_files: [r.yml]\n").try_start().err().expect("it does not start");
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("could not parse expression"), "{log}");
}

#[test]
fn alerts_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.yml");
    // What an alert would have written that has been active for half an hour.
    let recorded = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {record: ALERTS_FOR_STATE, expr: 'vector(time() - 1800)', labels: {alertname: A}}\n";
    std::fs::write(&file, recorded).unwrap();
    let home = Home::new(dir.path(), "rule_files: [r.yml]\n").flag("--rules.alert.for-grace-period=1m");
    let server = home.start();
    wait_for("the state", || server.number("ALERTS_FOR_STATE"));
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");

    let rules = "groups:\n- name: g\n  interval: 1s\n  rules: [{alert: A, expr: 'vector(1)', for: 1h}]\n";
    std::fs::write(&file, rules).unwrap();
    let server = home.start();
    // Nothing is written about alerts before their state is taken up.
    wait_for("the alert to go on", || server.number("ALERTS{alertstate=\"pending\"}"));
    let active_s = server.number("time() - ALERTS_FOR_STATE").unwrap();
    // The outage counts for nothing.
    assert!((1790.0..1900.0).contains(&active_s), "{active_s}");
}

#[test]
fn the_embedded_default_watches_itself_and_its_host() {
    let dir = tempfile::tempdir().unwrap();
    let address = crate::peer::free_address();
    let child = crate::support::command()
        .args(["up", "--scrape-interval-s", "1", "--listen-address", &address.to_string()])
        .arg("--data-dir")
        .arg(dir.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let guard = Killed(child);
    let rules = wait_for("the rules", || {
        let (status, body) = crate::peer::exchange(address, "GET", "/api/v1/rules", "", b"")?;
        (status == 200).then(|| serde_json::from_slice::<Value>(&body).unwrap())
    });
    let groups = rules["data"]["groups"].as_array().unwrap();
    let files: Vec<_> = groups.iter().map(|group| group["file"].as_str().unwrap()).collect();
    assert!(files.contains(&"embedded/self.yml") && files.contains(&"embedded/host.yml"), "{files:?}");
    drop(guard);
}

/// Kills the process when dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
