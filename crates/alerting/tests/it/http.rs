//! Webhooks and Slack, told over HTTP.

use serde_json::json;

use crate::support::{Receiver, alert, runtime, start, start_with};

#[test]
fn a_webhook_gets_version_4_and_is_tried_again() {
    // The first answer is one that may pass.
    let receiver =
        Receiver::start(|n, _| if n == 0 { (503, "busy".to_owned()) } else { (200, String::new()) });
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!("  webhook_configs: [{{url: 'http://{}/hook'}}]\n", receiver.address);
    let manager = start(dir.path(), &yaml, &runtime);
    manager.post(vec![alert("Down", false)]).unwrap();
    let (first, second) = (receiver.next(), receiver.next());
    assert_eq!((first.line.as_str(), first.body == second.body), ("POST /hook", true));
    let body = second.json();
    assert_eq!(body["version"], "4");
    assert_eq!(body["groupKey"], "{}:{alertname=\"Down\"}");
    assert_eq!(
        (&body["status"], &body["receiver"], &body["truncatedAlerts"]),
        (&json!("firing"), &json!("team"), &json!(0))
    );
    assert_eq!(body["groupLabels"], json!({"alertname": "Down"}));
    assert_eq!(body["commonAnnotations"], json!({"summary": "5 < 6 & so on"}));
    assert_eq!(body["externalURL"], "http://am:9093");
    let told = &body["alerts"][0];
    assert_eq!(told["startsAt"], "2026-01-02T03:04:05Z");
    assert_eq!(told["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(told["fingerprint"].as_str().unwrap().len(), 16);
    // And once it is resolved, that.
    manager.post(vec![alert("Down", true)]).unwrap();
    let body = receiver.next().json();
    assert_eq!((&body["status"], &body["alerts"][0]["status"]), (&json!("resolved"), &json!("resolved")));
    assert_ne!(body["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
}

#[test]
fn what_was_accepted_is_not_told_again_because_the_answer_breaks_off() {
    let receiver = Receiver::start_short(|_, _| (200, String::new()), 10);
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!("  webhook_configs: [{{url: 'http://{}/hook'}}]\n", receiver.address);
    let manager = start(dir.path(), &yaml, &runtime);
    manager.post(vec![alert("Down", false)]).unwrap();
    assert_eq!(receiver.next().json()["status"], "firing");
    manager.post(vec![alert("Down", true)]).unwrap();
    assert_eq!(receiver.next().json()["status"], "resolved");
}

#[test]
fn what_was_taken_without_an_answer_is_told_to_be_resolved_after_a_restart() {
    let receiver = Receiver::start(|n, _| if n == 0 { (0, String::new()) } else { (200, String::new()) });
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!("  webhook_configs: [{{url: 'http://{}/hook'}}]\n", receiver.address);
    let first = runtime();
    let manager = start(dir.path(), &yaml, &first);
    manager.post(vec![alert("Down", false)]).unwrap();
    assert_eq!(receiver.next().json()["status"], "firing");
    let labels = alert("Down", false).labels;
    while !manager.with_core(|core| {
        let routes = core.explain(&labels, manager.now()).routes;
        routes[0].told[0].perhaps_firing
    }) {
        std::thread::yield_now();
    }
    // The process is killed: what the journal has by then is all there is, once its writer has got there.
    while std::fs::metadata(dir.path().join("data/nflog.journal")).unwrap().len() == 0 {
        std::thread::yield_now();
    }
    drop((manager, first));
    let second = runtime();
    let manager = start(dir.path(), &yaml, &second);
    manager.post(vec![alert("Down", true)]).unwrap();
    assert_eq!(receiver.next().json()["status"], "resolved");
}

#[test]
fn a_webhook_may_have_a_payload_of_its_own() {
    let receiver = Receiver::start(|_, _| (200, String::new()));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!(
        "  webhook_configs:\n  - url: 'http://{}/{{{{ .GroupLabels.alertname }}}}'\n    payload: {{count: '{{{{ len .Alerts }}}}', names: ['{{{{ .Status }}}}', 7]}}\n",
        receiver.address
    );
    let manager = start(dir.path(), &yaml, &runtime);
    manager.post(vec![alert("Down", false)]).unwrap();
    let request = receiver.next();
    assert_eq!(request.line, "POST /Down");
    assert_eq!(request.json(), json!({"count": 1, "names": ["firing", 7]}));
}

#[test]
fn slack_gets_an_attachment() {
    let receiver = Receiver::start(|_, _| (200, "ok".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!(
        "  slack_configs:\n  - api_url: 'http://{}/services/x'\n    channel: '#ops'\n    fields: [{{title: Job, value: '{{{{ .CommonLabels.job }}}}'}}]\n    short_fields: true\n    actions: [{{type: button, text: Silence, url: 'http://x'}}]\n",
        receiver.address
    );
    let manager = start(dir.path(), &yaml, &runtime);
    manager.post(vec![alert("Down", false)]).unwrap();
    let body = receiver.next().json();
    assert_eq!(body["channel"], "#ops");
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["title"], "[FIRING:1] Down (api critical)");
    assert_eq!(attachment["color"], "danger");
    assert_eq!(attachment["fields"], json!([{"title": "Job", "value": "api", "short": true}]));
    assert_eq!(attachment["actions"], json!([{"type": "button", "text": "Silence", "url": "http://x"}]));
    assert_eq!(attachment["mrkdwn_in"], json!(["fallback", "pretext", "text"]));
    assert_eq!((&attachment["text"], &attachment["footer"]), (&json!(""), &json!("")));
}

#[test]
fn what_a_service_refuses_is_remembered_with_its_words() {
    let receiver = Receiver::start(|_, _| (404, "channel_not_found".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!("  slack_configs: [{{api_url: 'http://{}/secret', channel: c}}]\n", receiver.address);
    let manager = start(dir.path(), &yaml, &runtime);
    manager.post(vec![alert("Down", false)]).unwrap();
    receiver.next();
    let labels = alert("Down", false).labels;
    let attempt = loop {
        let explained = manager.with_core(|core| core.explain(&labels, manager.now()));
        if let Some(attempt) = explained.routes[0].attempts.first() {
            break attempt.clone();
        }
        // The answer is on its way; the next request comes with the group's interval at the latest.
        receiver.next();
    };
    assert_eq!(
        attempt.error.as_deref(),
        Some("channel \"c\": unexpected status code 404: channel_not_found")
    );
    assert!(!attempt.again);
}

#[test]
fn a_receiver_that_never_answers_keeps_nobody_else_waiting() {
    let black_hole = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = Receiver::start(|_, _| (200, String::new()));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let config = format!(
        "route:\n  receiver: hole\n  group_by: [alertname]\n  group_wait: 0s\n  routes: [{{matchers: ['job=\"other\"'], receiver: team}}]\nreceivers:\n- name: hole\n  webhook_configs: [{{url: 'http://{}/'}}]\n- name: team\n  webhook_configs: [{{url: 'http://{}/'}}]\n",
        black_hole.local_addr().unwrap(),
        receiver.address
    );
    let manager = start_with(dir.path(), &config, &runtime);
    manager.post((0..600).map(|n| alert(&format!("Down{n}"), false)).collect()).unwrap();
    let mut other = alert("Other", false);
    other.labels = model::Labels::from_pairs([("alertname", "Other"), ("job", "other")]);
    manager.post(vec![other]).unwrap();
    // Long before the deadline of what waits for nothing.
    assert_eq!(receiver.next().json()["groupLabels"]["alertname"], "Other");
}

#[test]
fn what_is_left_out_of_a_webhook_does_not_count_in_it() {
    let receiver = Receiver::start(|_, _| (200, String::new()));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!("  webhook_configs: [{{url: 'http://{}/hook', max_alerts: 1}}]\n", receiver.address);
    let manager = start(dir.path(), &yaml, &runtime);
    let of = |i: &str| {
        let mut alert = alert("Down", false);
        alert.labels = model::Labels::from_pairs([("alertname", "Down"), ("i", i)]);
        alert
    };
    manager.post(vec![of("1"), of("2")]).unwrap();
    let body = receiver.next().json();
    assert_eq!((body["alerts"].as_array().unwrap().len(), &body["truncatedAlerts"]), (1, &json!(1)));
    assert_eq!(body["commonLabels"], json!({"alertname": "Down", "i": "1"}));
}

#[test]
fn labels_of_routes_are_the_same_for_all_integrations() {
    let receiver = Receiver::start(|_, _| (200, String::new()));
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let config = format!(
        "route:\n  receiver: team\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 1s\n  labels: {{said: '{{{{ len .Alerts }}}} {{{{ .NotificationReason }}}}'}}\nreceivers:\n- name: team\n  webhook_configs: [{{url: 'http://{}/', send_resolved: false}}]\n",
        receiver.address
    );
    let manager = start_with(dir.path(), &config, &runtime);
    let of = |i: &str, resolved: bool| {
        let mut alert = alert("Down", resolved);
        alert.labels = model::Labels::from_pairs([("alertname", "Down"), ("i", i)]);
        alert
    };
    manager.post(vec![of("1", false), of("2", false)]).unwrap();
    assert_eq!(receiver.next().json()["routeLabels"]["said"], "2 unknown");
    manager.post(vec![of("1", true), of("3", false)]).unwrap();
    let body = receiver.next().json();
    assert_eq!(
        (body["alerts"].as_array().unwrap().len(), &body["routeLabels"]["said"]),
        (2, &json!("3 unknown"))
    );
}
