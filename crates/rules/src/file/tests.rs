use super::*;
use crate::expression::PromQlLanguage;

fn options() -> FileOptions<'static> {
    const LANGUAGE: &PromQlLanguage = &PromQlLanguage {
        options: promql::parser::ParseOptions {
            experimental_functions: false,
            duration_expressions: false,
            extended_range_selectors: false,
            fill_modifiers: false,
        },
    };
    FileOptions { language: LANGUAGE, names: NameValidation::Utf8, ignore_unknown_fields: false }
}

fn faults_with(text: &str, options: &FileOptions<'_>) -> Vec<String> {
    let found = RuleFile::parse(text, options).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

fn faults(text: &str) -> Vec<String> {
    faults_with(text, &options())
}

#[test]
fn a_file_keeps_all_that_is_written() {
    let text = "groups:\n- name: g\n  interval: 1m\n  query_offset: 30s\n  limit: 5\n  labels: {team: a, tier: x}\n  rules:\n  - record: a:b\n    expr: sum(a)\n    labels: {tier: y}\n  - alert: A\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 2m\n    annotations: {summary: '{{ $labels.job }} is down'}\n";
    let file = RuleFile::parse(text, &options()).unwrap();
    let group = &file.groups[0];
    assert_eq!((group.interval.as_ms(), group.limit), (60_000, 5));
    assert_eq!(group.query_offset.map(PromDuration::as_ms), Some(30_000));
    assert_eq!(group.rules[0].labels_in(group).to_string(), "{team=\"a\", tier=\"y\"}");
    assert_eq!((group.rules[1].hold.as_ms(), group.rules[1].keep_firing_for.as_ms()), (300_000, 120_000));
    let again = RuleFile::parse(&file.to_yaml(), &options()).unwrap();
    assert_eq!(again.to_yaml(), file.to_yaml());
    assert_eq!(again.rule_count(), 2);
}

#[test]
fn faults_are_worded_and_placed_as_by_prometheus() {
    let cases = [
        ("groups:\n- name: a\n- name: a\n", "3:3: groupname: \"a\" is repeated in the same file"),
        ("groups:\n- rules: []\n", "2:3: Groupname must not be empty"),
        (
            "groups:\n- name: yolo\n  rules:\n  - record: yolo\n    expr: 'rate(hi)'\n",
            "5:11: group \"yolo\", rule 1, \"yolo\": could not parse expression: 1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - record: hi\n    alert: hello\n    expr: hi\n",
            "4:13: 5:12: group \"yolo\", rule 1, \"hello\": only one of 'record' and 'alert' must be set",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - expr: 1\n",
            "0:0: 0:0: group \"yolo\", rule 1, \"\": one of 'record' or 'alert' must be set",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - record: ylo\n",
            "0:0: group \"yolo\", rule 1, \"ylo\": field 'expr' must be set in rule",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - record: 'strawberry{flavor=\"sweet\"}'\n    expr: 1\n",
            "4:13: group \"yolo\", rule 1, \"strawberry{flavor=\\\"sweet\\\"}\": braces present in the recording rule name; should it be in expr?: strawberry{flavor=\"sweet\"}",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - record: a\n    expr: 1\n    for: 1m\n",
            "4:13: group \"yolo\", rule 1, \"a\": invalid field 'for' in recording rule",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - alert: a\n    expr: 1\n    labels: {__name__: x}\n",
            "group \"yolo\", rule 1, \"a\": invalid label name: __name__",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - alert: a\n    expr: 1\n    annotations: {s: '{{ $label.x }}'}\n",
            "group \"yolo\", rule 1, \"a\": annotation \"s\": template: __alert_a:1: undefined variable \"$label\"",
        ),
        (
            "groups:\n- name: yolo\n  rules:\n  - alert: hola\n    expr: 1\n    annotation: {ghi: hey}\n",
            "yaml: unmarshal errors:\n  line 6: field annotation not found in type rulefmt.Rule",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn legacy_names_are_asked_for_where_they_are_wanted() {
    let text =
        "groups:\n- name: g\n  rules:\n  - alert: a\n    expr: up\n    annotations: {ins-tance: localhost}\n";
    assert!(faults(text).is_empty());
    let legacy = FileOptions { names: NameValidation::Legacy, ..options() };
    assert_eq!(
        faults_with(text, &legacy),
        ["group \"g\", rule 1, \"a\": invalid annotation name: ins-tance"]
    );
}

#[test]
fn unknown_keys_may_be_passed_over_and_further_documents_are_told() {
    let text = "x: 1\ngroups:\n- name: g\n  owner: me\n  rules:\n  - record: a\n    expr: 1\n    note: y\n";
    assert_eq!(faults(text).len(), 1);
    let lenient = FileOptions { ignore_unknown_fields: true, ..options() };
    assert!(faults_with(text, &lenient).is_empty());
    let two = "---\ngroups: []\n---\ngroups: []\n";
    assert_eq!(RuleFile::parse(two, &options()).unwrap().warnings.len(), 1);
    assert!(RuleFile::parse("---\ngroups: []\n", &options()).unwrap().warnings.is_empty());
    assert!(RuleFile::parse("", &options()).unwrap().groups.is_empty());
}

#[test]
fn rules_that_write_the_same_series_are_found() {
    let text = "groups:\n- name: a\n  rules:\n  - {record: m, expr: 1, labels: {b: c}}\n- name: b\n  labels: {b: c}\n  rules:\n  - {record: m, expr: 2}\n  - {record: m, expr: 3}\n  - {record: n, expr: 3}\n";
    let file = RuleFile::parse(text, &options()).unwrap();
    assert_eq!(
        lint::duplicates_text(&file).unwrap(),
        "lint error 1 duplicate rule(s) found.\nMetric: m\nLabel(s):\n\tb: c\nMight cause inconsistency while recording expressions"
    );
}

/// The files of a folder of the conformance data; `None` when it is not there.
fn conformance(folder: &str) -> Option<Vec<std::path::PathBuf>> {
    let root = std::env::var_os("BARTIZAN_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        std::path::PathBuf::from,
    );
    match std::fs::read_dir(root.join(folder)) {
        Ok(entries) => {
            let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            files.retain(|path| path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml"));
            files.sort();
            Some(files)
        }
        Err(error) => {
            assert!(std::env::var("CI").is_err(), "{folder}: {error}");
            println!("skipped: conformance/{folder} is not there");
            None
        }
    }
}

#[test]
fn rule_files_of_prometheus_load_or_fail_as_there() {
    for folder in ["prometheus-rules", "prometheus-cmd/rules", "alert-generator"] {
        let Some(files) = conformance(folder) else { return };
        assert!(!files.is_empty());
        for path in files {
            let outcome = RuleFile::load(&path, &options());
            let name = path.file_name().unwrap().to_str().unwrap();
            let bad = name.starts_with("invalid");
            assert_eq!(outcome.is_err(), bad, "{name}: {outcome:?}");
        }
    }
}

#[test]
fn rules_of_kube_prometheus_load() {
    let Some(files) = conformance("rules/kube-prometheus") else { return };
    let mut rules = 0;
    for path in files {
        // The groups are the `spec` of an object: what is indented below that line.
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, spec) = text.split_once("\nspec:\n").unwrap();
        let spec: String =
            spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        let file = RuleFile::parse(&spec, &options());
        rules += file.unwrap_or_else(|faults| panic!("{}: {}", path.display(), faults[0])).rule_count();
    }
    assert!(rules > 150, "{rules}");
}
