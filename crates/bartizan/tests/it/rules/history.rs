//! `test rules --against`: rules over stored samples.

use crate::faults::server::Home;
use crate::faults::wait_for;
use crate::support::bartizan;

const RULES: &str = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - {record: twos, expr: 'two + 0'}\n  - {alert: Two, expr: twos == 2, for: 1s}\n  - {alert: Never, expr: twos == 3}\n";

#[test]
fn rules_are_evaluated_on_a_server_and_on_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let recorded = "groups:\n- name: g\n  interval: 1s\n  rules: [{record: two, expr: '1 + 1'}]\n";
    std::fs::write(dir.path().join("r.yml"), recorded).unwrap();
    let home = Home::new(dir.path(), "rule_files: [r.yml]\n");
    let server = home.start();
    wait_for("some samples", || server.number("count_over_time(two[1m])").filter(|count| *count >= 5.0));
    let rules = dir.path().join("tested.yml");
    std::fs::write(&rules, RULES).unwrap();
    let rules = rules.to_str().unwrap();
    let run = |against: &str| {
        bartizan(["test", "rules", "--against", against, "--from", "1m", "-o", "json", rules])
    };
    let check = |against: &str| {
        let done = run(against);
        assert_eq!(done.code, 0, "{done:?}");
        let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        let alerts = json["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "{json}");
        assert_eq!(alerts[0]["labels"]["alertname"], "Two");
        assert!(alerts[0]["firedAt"].is_string());
    };
    check(&format!("http://{}", server.address()));
    // A server that runs does not mind.
    check(dir.path().join("data").to_str().unwrap());
    let shown = bartizan([
        "test",
        "rules",
        "--against",
        dir.path().join("data").to_str().unwrap(),
        "--from",
        "1m",
        rules,
    ]);
    assert!(shown.out.starts_with("ALERT") && shown.out.contains("1 alerts would have fired"), "{shown:?}");
    assert_eq!(run("/nowhere").code, 1);
}
