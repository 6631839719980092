//! `check rules` and `test rules` beside the real promtool.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Done, bartizan, program};

fn real(promtool: &Path, arguments: &[&str]) -> Done {
    Command::new(promtool).args(arguments).stdin(Stdio::null()).output().unwrap().into()
}

/// Both programs with the same arguments must say the same.
#[track_caller]
fn same(promtool: &Path, arguments: &[&str]) -> Done {
    let (ours, theirs) = (bartizan(arguments), real(promtool, arguments));
    assert_eq!(ours.code, theirs.code, "{arguments:?}\nours: {ours:#?}\ntheirs: {theirs:#?}");
    // Newer ones print no empty line after a failure.
    let lines =
        |out: &str| out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&ours.out), lines(&theirs.out), "{arguments:?}: {}", ours.err);
    assert_eq!(ours.err, theirs.err, "{arguments:?}");
    ours
}

const FILES: [(&str, &str); 9] = [
    (
        "good.yml",
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'sum(b)'}\n  - {alert: A, expr: a > 1, for: 5m}\n",
    ),
    ("empty.yml", ""),
    (
        "duplicates.yml",
        "groups:\n- name: g\n  rules:\n  - {record: m, expr: a, labels: {x: y}}\n  - {record: m, expr: b, labels: {x: y}}\n",
    ),
    ("group.yml", "groups:\n- name: g\n  rules: []\n- name: g\n  rules: []\n"),
    ("nameless.yml", "groups:\n- rules: []\n"),
    ("both.yml", "groups:\n- name: g\n  rules:\n  - record: a\n    alert: b\n    expr: c\n"),
    ("noexpr.yml", "groups:\n- name: g\n  rules:\n  - record: a\n"),
    (
        "for.yml",
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: b\n    for: 1m\n    keep_firing_for: 2m\n",
    ),
    (
        "template.yml",
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: b\n    annotations: {x: '{{ $label.y }}'}\n",
    ),
];

#[test]
fn rule_files_are_checked_as_promtool_checks_them() {
    let Some(promtool) = program("promtool", "rule_files_are_checked_as_promtool_checks_them") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (name, text) in FILES {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        paths.push(path.to_str().unwrap().to_owned());
    }
    for path in &paths {
        same(&promtool, &["check", "rules", path]);
    }
    let (good, duplicates) = (&paths[0], &paths[2]);
    assert_eq!(same(&promtool, &["check", "rules", good, duplicates]).code, 0);
    assert_eq!(same(&promtool, &["check", "rules", "--lint-fatal", good, duplicates]).code, 3);
    assert_eq!(same(&promtool, &["check", "rules", "--lint=none", "--lint-fatal", duplicates]).code, 0);
}

/// Every file of a folder of the conformance data.
fn files(folder: &str, test: &str) -> Vec<PathBuf> {
    let Some(dir) = testkit::conformance::folder(folder, test) else { return Vec::new() };
    let found = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        found.filter(|path| path.extension().is_some_and(|ext| ext == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn all_rule_files_there_are_are_checked_as_promtool_checks_them() {
    let test = "all_rule_files_there_are_are_checked_as_promtool_checks_them";
    let Some(promtool) = program("promtool", test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut paths = [files("prometheus-rules", test), files("alert-generator", test)].concat();
    for object in files("rules/kube-prometheus", test) {
        // The file of an object for Kubernetes is its specification.
        let text = std::fs::read_to_string(&object).unwrap();
        let Some((_, spec)) = text.split_once("\nspec:\n") else { continue };
        let lines: Vec<&str> = spec.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        let path = dir.path().join(object.file_name().unwrap());
        std::fs::write(&path, lines.join("\n")).unwrap();
        paths.push(path);
    }
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let arguments = ["check", "rules", path.to_str().unwrap()];
        if ["invalid_rules.yaml", "rules_multi_doc.yaml"].contains(&name) {
            // Newer ones have another name for the type, and warn of what they do not read.
            assert_eq!(bartizan(arguments).code, real(&promtool, &arguments).code, "{name}");
        } else {
            same(&promtool, &arguments);
        }
    }
}

/// The objects of the conformance data were made with other settings than the tests were written for: what stands there,
/// and what the tests expect.
const SETTINGS: [(&str, &str); 8] = [
    (
        "https://runbooks.prometheus-operator.dev/runbooks/kubernetes/",
        "https://github.com/kubernetes-monitoring/kubernetes-mixin/tree/master/runbook.md#alert-name-",
    ),
    ("job=\"apiserver\"", "job=\"kube-apiserver\""),
    ("job=\"kubelet\", metrics_path=\"/metrics/cadvisor\"", "job=\"cadvisor\""),
    (", metrics_path=\"/metrics\"", ""),
    (" on cluster {{ $labels.cluster }}", ""),
    ("PDB {{ $labels.cluster }}/", "PDB "),
    (" on {{ $labels.cluster }} is evicting", " is evicting"),
    ("Cluster {{ $labels.cluster }} has", "Cluster has"),
];

/// Writes the rule files the mixin's tests name, from the objects the conformance data has of them.
fn write_mixin(objects: &Path, dir: &Path) {
    let text = std::fs::read_to_string(objects.join("kubernetesControlPlane-prometheusRule.yaml")).unwrap();
    let (_, spec) = text.split_once("\nspec:\n").unwrap();
    let spec: String =
        spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    let spec = SETTINGS.iter().fold(spec, |spec, (theirs, ours)| spec.replace(theirs, ours));
    // The alerts about what a cluster was promised know one cluster only.
    let of_one_cluster =
        |alert: &str| match alert.lines().next().is_some_and(|name| name.contains("Overcommit")) {
            true => alert
                .replace(" by(cluster) (", " (")
                .replace(" by (cluster) (", " (")
                .replace("(cluster, node)", "(node)"),
            false => alert.to_owned(),
        };
    let spec = spec.split("- alert: ").map(of_one_cluster).collect::<Vec<_>>().join("- alert: ");
    for name in ["prometheus_alerts.yaml", "prometheus_rules.yaml"] {
        let group = |group: &str| {
            let records = group.contains("\n    record:");
            (records == (name == "prometheus_rules.yaml")).then(|| format!("- name:{group}"))
        };
        let groups: String = spec.split("- name:").skip(1).filter_map(group).collect();
        std::fs::write(dir.join(name), format!("groups:\n{groups}")).unwrap();
    }
}

#[test]
fn unit_tests_of_the_kubernetes_mixin_pass() {
    let test = "unit_tests_of_the_kubernetes_mixin_pass";
    let Some(tests) = testkit::conformance::folder("rule-unit-tests/kubernetes-mixin", test) else { return };
    let Some(objects) = testkit::conformance::folder("rules/kube-prometheus", test) else { return };
    let dir = tempfile::tempdir().unwrap();
    write_mixin(&objects, dir.path());
    let alerts = std::fs::read_to_string(dir.path().join("prometheus_alerts.yaml")).unwrap();
    let below = dir.path().join("tests");
    std::fs::create_dir(&below).unwrap();
    for entry in std::fs::read_dir(tests).unwrap() {
        let from = entry.unwrap().path();
        let path = below.join(from.file_name().unwrap());
        std::fs::copy(&from, &path).unwrap();
        let done = bartizan(["test", "rules", path.to_str().unwrap()]);
        if !path.ends_with("absent_alert-test.yaml") {
            assert_eq!(done.code, 0, "{}: {}", path.display(), done.err);
            continue;
        }
        // Only what the objects do not have fails.
        let failed = done.err.lines().filter_map(|line| line.trim().strip_prefix("alertname: "));
        for name in failed.map(|line| line.split(',').next().unwrap()) {
            assert!(!alerts.contains(&format!("- alert: {name}\n")), "{name}: {}", done.err);
        }
    }
}

#[test]
fn unit_tests_of_the_kubernetes_mixin_end_as_with_promtool() {
    let test = "unit_tests_of_the_kubernetes_mixin_end_as_with_promtool";
    let Some(promtool) = program("promtool", test) else { return };
    let Some(tests) = testkit::conformance::folder("rule-unit-tests/kubernetes-mixin", test) else { return };
    let Some(objects) = testkit::conformance::folder("rules/kube-prometheus", test) else { return };
    let dir = tempfile::tempdir().unwrap();
    write_mixin(&objects, dir.path());
    let below = dir.path().join("tests");
    std::fs::create_dir(&below).unwrap();
    let mut passed = 0;
    for entry in std::fs::read_dir(tests).unwrap() {
        let from = entry.unwrap().path();
        // It alone takes promtool a minute, and turns on ranges, which lost their first sample in version 3.
        if from.ends_with("tests.yaml") {
            continue;
        }
        let path = below.join(from.file_name().unwrap());
        std::fs::copy(&from, &path).unwrap();
        let path = path.to_str().unwrap();
        let (ours, theirs) = (bartizan(["test", "rules", path]), real(&promtool, &["test", "rules", path]));
        assert_eq!(ours.code, theirs.code, "{path}: {ours:?}");
        // Since version 3 a sample as old as the lookback is no part of it.
        if path.ends_with("/absent_alert-test.yaml") {
            assert!(ours.err.matches("alertname: ").count() < theirs.err.matches("alertname: ").count());
            continue;
        }
        assert_eq!(ours.err, theirs.err, "{path}");
        assert_eq!(ours.out.trim_end(), theirs.out.trim_end(), "{path}");
        passed += usize::from(ours.code == 0);
    }
    assert!(passed >= 6, "only {passed} files pass");
}

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {record: 'job:up:sum', expr: 'sum by (job) (up)'}\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    labels: {severity: page}\n    annotations: {text: '{{ $labels.instance }} has {{ $value }}'}\n";
const SERIES: &str = "tests:\n- name: t\n  interval: 1m\n  input_series:\n  - {series: 'up{job=\"a\",instance=\"i\"}', values: '1 0x10'}\n  - {series: 'up{job=\"a\",instance=\"j\"}', values: '1x11'}\n";

#[test]
fn failures_of_unit_tests_read_as_those_of_promtool() {
    let Some(promtool) = program("promtool", "failures_of_unit_tests_read_as_those_of_promtool") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
    let cases = [
        "  alert_rule_test: [{eval_time: 3m, alertname: Down}]\n",
        "  alert_rule_test:\n  - eval_time: 1m\n    alertname: Down\n    exp_alerts: [{exp_labels: {a: b}, exp_annotations: {c: 'd \"e\"'}}]\n",
        "  promql_expr_test:\n  - {expr: 'job:up:sum', eval_time: 4m, exp_samples: [{labels: 'job:up:sum{job=\"a\"}', value: 2.5}]}\n  - {expr: 'up{instance=\"none\"}', eval_time: 4m, exp_samples: [{labels: up, value: 1}]}\n  - {expr: 'up', eval_time: 4m}\n",
        "  promql_expr_test: [{expr: 'sum(', eval_time: 4m}]\n",
        "  promql_expr_test: [{expr: 'up', eval_time: 4m, exp_samples: [{labels: 'a{', value: 1}]}]\n",
    ];
    let path = dir.path().join("test.yml");
    for (i, case) in cases.iter().enumerate() {
        std::fs::write(&path, format!("rule_files: [rules.yml]\n{SERIES}{case}")).unwrap();
        let arguments = ["test", "rules", path.to_str().unwrap()];
        let (ours, theirs) = (bartizan(arguments), real(&promtool, &arguments));
        assert_eq!((ours.code, theirs.code), (1, 1), "{case}");
        // Errors of expressions are those of a newer version.
        if i < 3 {
            assert_eq!(ours.err, theirs.err, "{case}");
            assert_eq!(ours.out, theirs.out, "{case}");
        }
    }
}

#[test]
fn reports_are_written_and_tests_are_chosen() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
    let path = dir.path().join("test.yml");
    std::fs::write(&path, format!("rule_files: [rules.yml]\n{SERIES}  alert_rule_test: [{{eval_time: 3m, alertname: Down}}]\n- name: other\n")).unwrap();
    let (path, report) = (path.to_str().unwrap(), dir.path().join("junit.xml"));
    let done = bartizan(["test", "rules", "--diff", "--junit", report.to_str().unwrap(), path]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("+   \"severity\": \"page\""), "{done:?}");
    let xml = std::fs::read_to_string(report).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{xml}");
    assert_eq!(bartizan(["test", "rules", "--run", "^oth", path]).code, 0);
}
