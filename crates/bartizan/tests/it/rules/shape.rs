//! What programs that read rules and alerts rely on: the shape of both paths and of what Alertmanagers are sent, beside
//! the real program with the rules of the compliance suite.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::faults::server::Home;
use crate::faults::wait_for;
use crate::notifications::recorder::Recorder;
use crate::notifications::seats::Seat;
use crate::peer::{Prometheus, exchange};

const RULES: &str = "
groups:
- name: recording
  interval: 1s
  rules:
  - {record: two, expr: '1 + 1', labels: {kind: x}}
- name: alerting
  interval: 1s
  limit: 10
  rules:
  - {alert: Fires, expr: 'vector(1) > 0', labels: {severity: page, value: '{{ $value }}'}, annotations: {text: 'is {{ $value }}', more: '{{ $labels }}'}}
  - {alert: Kept, expr: 'vector(1)', keep_firing_for: 5m}
  - {alert: Pends, expr: 'vector(1)', for: 1h}
  - {alert: Sleeps, expr: 'vector(1) > 2'}
  - {alert: Fails, expr: 'label_replace(vector(1), \"a\", \"\", \"b\", \"(\")'}
";

/// The path and kind of everything in a document; items of lists are one.
fn shape(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| shape(value, &format!("{path}.{name}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, &format!("{path}[]"), found)),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {
            found.insert(format!("{path}: moment"));
        }
        Value::String(_) => drop(found.insert(format!("{path}: text"))),
        Value::Number(_) => drop(found.insert(format!("{path}: number"))),
        Value::Bool(_) => drop(found.insert(format!("{path}: flag"))),
        Value::Null => {}
    }
}

fn of(values: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    values.iter().for_each(|value| shape(value, "", &mut found));
    found
}

fn config(recorder: &Recorder, seat: Seat) -> String {
    let address = recorder.url().trim_start_matches("http://").to_owned();
    format!(
        "global: {{evaluation_interval: 1s, external_labels: {{cluster: c}}}}\nrule_files: [r.yml]\n\
         alerting: {{alertmanagers: [{{path_prefix: /{}/am, static_configs: [{{targets: ['{address}']}}]}}]}}\n",
        seat.name()
    )
}

#[test]
fn rules_alerts_and_what_alertmanagers_are_sent_have_the_shape_of_the_real_ones() {
    let test = "rules_alerts_and_what_alertmanagers_are_sent_have_the_shape_of_the_real_ones";
    let recorder = Recorder::start();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for dir in &dirs {
        std::fs::write(dir.path().join("r.yml"), RULES).unwrap();
    }
    let resend = "--rules.alert.resend-delay=1s";
    let Some(real) = Prometheus::start(test, dirs[0].path(), &config(&recorder, Seat::Real), &[resend])
    else {
        return;
    };
    let ours = Home::new(dirs[1].path(), &config(&recorder, Seat::Ours)).flag(resend).start();
    let get = |seat: Seat, path: &str| -> Option<Value> {
        let address = match seat {
            Seat::Real => real.address,
            Seat::Ours => ours.address(),
        };
        let (status, body) = exchange(address, "GET", path, "", b"")?;
        (status == 200).then(|| serde_json::from_slice(&body).unwrap())
    };
    for seat in Seat::ALL {
        wait_for("the alerts", || {
            let alerts = get(seat, "/api/v1/alerts")?;
            (alerts["data"]["alerts"].as_array()?.len() == 3).then_some(())
        });
        wait_for("all rules to be evaluated", || {
            let rules = get(seat, "/api/v1/rules")?.to_string();
            (!rules.contains("\"unknown\"")).then_some(())
        });
        wait_for("a second notification", || {
            (recorder.told(seat, "am/api/v2/alerts").len() > 1).then_some(())
        });
    }
    for path in ["/api/v1/rules", "/api/v1/rules?type=alert", "/api/v1/rules?type=record", "/api/v1/alerts"] {
        let [theirs, own] = Seat::ALL.map(|seat| of(&[get(seat, path).unwrap()]));
        let missing: Vec<_> = theirs.difference(&own).collect();
        assert!(missing.is_empty() && theirs.len() > 5, "{path} lacks {missing:?}");
    }
    let [theirs, own] = Seat::ALL.map(|seat| recorder.told(seat, "am/api/v2/alerts"));
    assert_eq!(of(&own), of(&theirs));
    let labels = |told: &[Value]| -> BTreeSet<String> {
        let posts = told.iter().flat_map(|post| post["body"].as_array().unwrap());
        let annotations = |alert: &Value| {
            // Older ones write null where there are none.
            alert["annotations"].as_object().map(|found| json!(found)).unwrap_or(json!({}))
        };
        posts.map(|alert| format!("{} {}", alert["labels"], annotations(alert))).collect()
    };
    assert_eq!(labels(&own), labels(&theirs));
}
