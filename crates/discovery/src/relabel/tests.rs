use config::{Config, LoadOptions};
use model::Labels;

use super::*;

/// The rules of a configuration text, through the real loader.
fn rules(yaml: &str) -> Vec<RelabelConfig> {
    let indented: String = yaml.lines().map(|line| format!("      {line}\n")).collect();
    let text = format!("scrape_configs:\n  - job_name: test\n    relabel_configs:\n{indented}");
    let config = Config::from_bytes("test.yml".as_ref(), text.as_bytes(), &LoadOptions::default());
    config.unwrap_or_else(|error| panic!("{error}")).jobs[0].relabel_configs.clone()
}

fn run(labels: &[(&str, &str)], yaml: &str) -> Option<String> {
    let mut builder = LabelsBuilder::from_labels(&Labels::from_pairs(labels.iter().copied()));
    process(&mut builder, &rules(yaml)).then(|| builder.build().to_string())
}

const ABC: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];

#[test]
fn replace_takes_captures_into_target_and_replacement() {
    let got =
        run(ABC, "- source_labels: [a]\n  regex: f(.*)\n  target_label: d\n  replacement: ch${1}-ch${1}");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz", d="choo-choo"}"#);
    let got =
        run(ABC, "- source_labels: [a, b]\n  regex: f(.*);(.*)r\n  target_label: $1\n  replacement: x$2");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz", oo="xba"}"#);
}

#[test]
fn replace_without_a_match_changes_nothing_and_an_empty_replacement_removes() {
    let got = run(ABC, "- source_labels: [a]\n  regex: nothing\n  target_label: a\n  replacement: x");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz"}"#);
    let got = run(ABC, "- source_labels: [a]\n  target_label: a\n  replacement: ''");
    assert_eq!(got.unwrap(), r#"{b="bar", c="baz"}"#);
}

#[test]
fn keep_and_drop_look_at_the_joined_source() {
    assert!(run(ABC, "- source_labels: [a, b]\n  regex: foo;bar\n  action: drop").is_none());
    assert!(
        run(ABC, "- source_labels: [a, b]\n  separator: '-'\n  regex: foo-bar\n  action: keep").is_some()
    );
    assert!(run(ABC, "- source_labels: [a]\n  regex: fo\n  action: keep").is_none());
}

#[test]
fn equality_compares_with_the_target_label() {
    let same = &[("a", "x"), ("b", "x")];
    assert!(run(same, "- source_labels: [a]\n  target_label: b\n  action: dropequal").is_none());
    assert!(run(same, "- source_labels: [a]\n  target_label: b\n  action: keepequal").is_some());
    assert!(run(ABC, "- source_labels: [a]\n  target_label: b\n  action: keepequal").is_none());
}

#[test]
fn hashmod_is_the_tail_of_the_md5() {
    let got = run(ABC, "- source_labels: [c]\n  target_label: d\n  modulus: 1000\n  action: hashmod");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz", d="976"}"#);
}

#[test]
fn names_are_mapped_dropped_and_kept() {
    let labels = &[("__meta_x_env", "prod"), ("__meta_x_zone", "1"), ("job", "j")];
    let got =
        run(labels, "- regex: __meta_x_(.+)\n  action: labelmap\n- regex: __meta.*\n  action: labeldrop");
    assert_eq!(got.unwrap(), r#"{env="prod", job="j", zone="1"}"#);
    assert_eq!(run(labels, "- regex: job\n  action: labelkeep").unwrap(), r#"{job="j"}"#);
}

#[test]
fn case_is_changed() {
    let got = run(
        &[("a", "FoO")],
        "- source_labels: [a]\n  target_label: l\n  action: lowercase\n- source_labels: [a]\n  target_label: u\n  action: uppercase",
    );
    assert_eq!(got.unwrap(), r#"{a="FoO", l="foo", u="FOO"}"#);
}

#[test]
fn explain_shows_each_step_and_where_the_target_is_dropped() {
    let rules = rules(
        "- target_label: x\n  replacement: '1'\n- source_labels: [a]\n  regex: foo\n  action: drop\n- target_label: y\n  replacement: '2'",
    );
    let steps = explain(&Labels::from_pairs([("a", "foo")]), &rules);
    assert_eq!(steps[0], Step { output: Labels::from_pairs([("a", "foo"), ("x", "1")]), keep: true });
    assert_eq!(
        steps[1..],
        [Step { output: Labels::empty(), keep: false }, Step { output: Labels::empty(), keep: false }]
    );
}

#[test]
fn plain_copies_and_fixed_values_need_no_captures() {
    let got = run(ABC, "- source_labels: [a, b]\n  target_label: d\n- target_label: e\n  replacement: fixed");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz", d="foo;bar", e="fixed"}"#);
    let got = run(ABC, "- source_labels: [missing]\n  target_label: a");
    assert_eq!(got.unwrap(), r#"{b="bar", c="baz"}"#);
}

#[test]
fn labels_may_have_any_name_and_an_expansion_that_is_none_changes_nothing() {
    let got = run(ABC, "- source_labels: [a]\n  target_label: 'größe/1'\n  replacement: x");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz", "größe/1"="x"}"#);
    let got = run(ABC, "- source_labels: [a]\n  regex: 'f(x?).*'\n  target_label: $1\n  replacement: x");
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz"}"#);
    let got = run(&[("x_", "1")], "- regex: 'x_(.*)'\n  action: labelmap");
    assert_eq!(got.unwrap(), r#"{x_="1"}"#);
}

#[test]
fn named_groups_and_dollar_signs_expand() {
    let got = run(
        ABC,
        "- source_labels: [a]\n  regex: '(?P<first>.)(.*)'\n  target_label: d\n  replacement: '${first}-$2-$$1-$9'",
    );
    assert_eq!(got.unwrap(), r#"{a="foo", b="bar", c="baz", d="f-oo-$1-"}"#);
}
