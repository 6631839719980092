use super::*;
use crate::alert::from_ms;
use crate::testing::{alert, settings};

fn inhibitor(rules: &str) -> Inhibitor {
    let yaml = format!("route: {{receiver: r}}\nreceivers: [{{name: r}}]\ninhibit_rules:\n{rules}");
    Inhibitor::new(&settings(&yaml).inhibit_rules)
}

const RULE: &str = "- source_matchers: ['severity=\"critical\"']\n  target_matchers: ['severity=~\"warning|critical\"']\n  equal: [cluster, zone]\n";

#[test]
fn a_source_inhibits_targets_with_equal_labels() {
    let mut inhibitor = inhibitor(RULE);
    let source =
        Arc::new(alert(&[("alertname", "Down"), ("severity", "critical"), ("cluster", "a")], 0, 100));
    inhibitor.observe(&source);
    let target = |cluster: &str| Labels::from_pairs([("severity", "warning"), ("cluster", cluster)]);
    let found = inhibitor.inhibits(&target("a"), from_ms(50)).unwrap();
    assert_eq!((found.rule.as_str(), found.source), ("#1", source.fingerprint()));
    assert_eq!(inhibitor.inhibits(&target("b"), from_ms(50)), None);
    assert_eq!(inhibitor.inhibits(&target("a"), from_ms(100)), None, "resolved by then");
    inhibitor.forget(&[source]);
    assert_eq!(inhibitor.inhibits(&target("a"), from_ms(50)), None);
}

#[test]
fn alerts_on_both_sides_do_not_inhibit_each_other() {
    let mut inhibitor = inhibitor(RULE);
    let one = Arc::new(alert(&[("alertname", "A"), ("severity", "critical")], 0, 100));
    let two = Arc::new(alert(&[("alertname", "B"), ("severity", "critical")], 0, 100));
    inhibitor.observe(&one);
    inhibitor.observe(&two);
    assert_eq!(inhibitor.inhibits(&one.labels, from_ms(1)), None);
    assert_eq!(inhibitor.inhibits(&two.labels, from_ms(1)), None);
}

#[test]
fn one_source_of_several_is_enough() {
    let mut inhibitor = inhibitor(RULE);
    let long = Arc::new(alert(&[("alertname", "A"), ("severity", "critical")], 0, 100));
    let short = Arc::new(alert(&[("alertname", "B"), ("severity", "critical")], 0, 10));
    inhibitor.observe(&long);
    inhibitor.observe(&short);
    let target = Labels::from_pairs([("severity", "warning")]);
    assert_eq!(inhibitor.inhibits(&target, from_ms(50)).unwrap().source, long.fingerprint());
}
