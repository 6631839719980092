use std::sync::Arc;

use testkit::memory::MemoryStorage;

use super::*;

fn memory() -> Result<TestStorage, String> {
    let storage = Arc::new(MemoryStorage::new());
    Ok(TestStorage { appendable: storage.clone(), source: storage, keep: None })
}

fn options() -> TestOptions<'static> {
    TestOptions {
        storage: &memory,
        engine: EngineOptions::default(),
        only: None,
        diff: false,
        ignore_unknown_fields: false,
        debug: false,
    }
}

const RULES: &str = "groups:\n- name: g\n  rules:\n  - record: ahead\n    expr: x offset -1m\n  - record: job:up:sum\n    expr: sum by (job) (up)\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    labels: {severity: page}\n    annotations: {text: '{{ $labels.instance }} at {{ $externalURL }} in {{ $externalLabels.dc }}'}\n";

fn run(tests: &str, options: &TestOptions<'_>) -> FileOutcome {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
    let path = dir.path().join("test.yml");
    std::fs::write(&path, format!("rule_files: [rules.yml]\n{tests}")).unwrap();
    run_file(&path, options)
}

fn failures(tests: &str) -> Vec<String> {
    run(tests, &options()).failures().map(str::to_owned).collect()
}

const TEST: &str = "tests:\n- name: t\n  interval: 1m\n  external_labels: {dc: eu}\n  external_url: http://here\n  input_series:\n  - {series: 'up{job=\"a\",instance=\"i\"}', values: '1 0x10'}\n  - {series: 'up{job=\"a\",instance=\"j\"}', values: '1x11'}\n";

#[test]
fn what_is_expected_passes_and_what_is_not_is_shown() {
    let good = "  alert_rule_test:\n  - {eval_time: 2m, alertname: Down}\n  - eval_time: 3m30s\n    alertname: Down\n    exp_alerts:\n    - exp_labels: {severity: page, job: a, instance: i}\n      exp_annotations: {text: 'i at http://here in eu'}\n  promql_expr_test:\n  - expr: job:up:sum\n    eval_time: 4m\n    exp_samples:\n    - {labels: 'job:up:sum{job=\"a\"}', value: 1}\n";
    assert_eq!(failures(&format!("{TEST}{good}")), Vec::<String>::new());
    let bad = "  alert_rule_test:\n  - {eval_time: 3m, alertname: Down}\n  promql_expr_test:\n  - expr: job:up:sum\n    eval_time: 4m\n    exp_samples:\n    - {labels: 'job:up:sum{job=\"a\"}', value: 2}\n";
    let expected = [
        "    name: t,\n    alertname: Down, time: 3m, \n        exp:[], \n        got:[\n            0:\n              Labels:{alertname=\"Down\", instance=\"i\", job=\"a\", severity=\"page\"}\n              Annotations:{text=\"i at http://here in eu\"}\n            ]",
        "    expr: \"job:up:sum\", time: 4m,\n        exp: {__name__=\"job:up:sum\", job=\"a\"} 2E+00\n        got: {__name__=\"job:up:sum\", job=\"a\"} 1E+00",
    ];
    assert_eq!(failures(&format!("{TEST}{bad}")), expected);
    let diff = TestOptions { diff: true, ..options() };
    let shown = run(&format!("{TEST}{bad}"), &diff);
    assert!(shown.failures().next().unwrap().contains("+   \"instance\": \"i\""));
}

#[test]
fn files_that_cannot_be_used_are_told() {
    assert_eq!(
        failures("tests:\n- nme: x\n"),
        ["yaml: unmarshal errors:\n  line 3: field nme not found in type main.testGroup"]
    );
    assert_eq!(failures("group_eval_order: [g, g]\n"), ["group name repeated in evaluation order: g"]);
    let nameless = "tests:\n- alert_rule_test: [{eval_time: 1m}]\n";
    assert_eq!(
        failures(nameless),
        ["an item under alert_rule_test misses required attribute alertname at eval_time 1m"]
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.yml");
    std::fs::write(&path, "rule_files: [none.yml]\ntests: []\n").unwrap();
    let outcome = run_file(&path, &options());
    assert!(outcome.is_success() && outcome.warnings[0].starts_with("no file match pattern"));
    assert!(!run_file(&dir.path().join("no.yml"), &options()).is_success());
}

#[test]
fn tests_are_chosen_by_name_and_reported() {
    let two = format!("{TEST}- name: other\n  promql_expr_test: [{{expr: '1 +', eval_time: 1m}}]\n");
    let only = TestOptions { only: Some(Regex::new("^oth").unwrap()), ..options() };
    let outcome = run(&two, &only);
    assert_eq!(outcome.cases.len(), 1);
    let xml = report::junit(&[outcome], "2026-01-01T00:00:00");
    assert!(
        xml.contains("tests=\"1\" failures=\"1\" errors=\"0\"")
            && xml.contains("<testcase name=\"other\"><failure>    expr: &#34;1 +&#34;"),
        "{xml}"
    );
}

#[test]
fn tests_may_begin_at_any_time() {
    let test = "tests:\n- start_timestamp: 2022-01-01T00:00:00Z\n  input_series: [{series: x, values: '1 2 3'}]\n  promql_expr_test:\n  - {expr: 'x + time()', eval_time: 2m, exp_samples: [{labels: '{}', value: 1640995323}]}\n- start_timestamp: 1640995200\n  promql_expr_test:\n  - {expr: time(), eval_time: 1m, exp_samples: [{value: 1640995260, labels: '{}'}]}\n";
    assert_eq!(failures(test), Vec::<String>::new());
}

#[test]
fn rules_see_nothing_that_is_still_to_come() {
    let test = "tests:\n- input_series: [{series: x, values: '1 2 3 4'}]\n  promql_expr_test:\n  - {expr: ahead, eval_time: 1m, exp_samples: [{labels: ahead, value: 2}]}\n  - {expr: x, eval_time: 3m, exp_samples: [{labels: x, value: 4}]}\n";
    assert_eq!(failures(test), Vec::<String>::new());
}
