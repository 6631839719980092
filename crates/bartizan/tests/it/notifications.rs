//! What is told to whom, by the real Alertmanager and by ours: the same configuration, the same alerts at the same
//! times, on a short clock. Receivers of all kinds that the real one has are played by this process; mails go to a real
//! mail server. What arrives must be the same, notification by notification, within each group.
//!
//! In reading order: this file (the script), [`seats`] (both programs), [`recorder`] (who is told), [`mail`].

mod mail;
pub mod recorder;
pub mod seats;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base::Clock;
use serde_json::{Value, json};

use crate::faults::wait_for;
use mail::MailServer;
use recorder::Recorder;
use seats::{Seat, Seats};

/// Everything is told at `/<seat>/<receiver>`. Groups wait for a second, and are looked at each second; what repeats
/// does so at the third look.
const CONFIG: &str = r#"
global:
  smtp_smarthost: '127.0.0.1:$MAIL'
  smtp_from: am@example.org
  smtp_hello: am.example.org
  smtp_require_tls: false
  slack_api_url: '$URL/slack'
  pagerduty_url: '$URL/pagerduty'
  opsgenie_api_url: '$URL/opsgenie/'
  opsgenie_api_key: key
  victorops_api_url: '$URL/victorops/'
  victorops_api_key: key
templates: ['*.tmpl']
route:
  receiver: rest
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
  routes:
  - {matchers: [case=grouping], receiver: grouping, group_by: [service]}
  - {matchers: ['case=~"con(tinue|sole)"'], receiver: first, continue: true}
  - {matchers: [case=continue], receiver: second}
  - {matchers: [case=joined], receiver: joined}
  - {matchers: [case=resolved], receiver: resolved, continue: true}
  - {matchers: [case=resolved], receiver: unresolved}
  - {matchers: [case=repeated], receiver: repeated, repeat_interval: 2500ms}
  - {matchers: [case=inhibited], receiver: inhibited, group_by: [severity]}
  - {matchers: [case=silenced], receiver: silenced}
  - {matchers: [case=each], receiver: each, group_by: ['...']}
  - {matchers: [case=muted], receiver: muted, mute_time_intervals: [always]}
  - {matchers: [case=active], receiver: active, active_time_intervals: [always]}
  - {matchers: [case=inactive], receiver: inactive, active_time_intervals: [never]}
  - {matchers: [case=many], receiver: many}
  - matchers: [case=formats]
    receiver: formats
    routes:
    - {matchers: [nobody=knows], receiver: rest}
  - {matchers: [case=last], receiver: last, group_by: ['...'], group_wait: 2s}
inhibit_rules:
- {source_matchers: [case=inhibited, severity=critical], target_matchers: [case=inhibited, severity=warning], equal: [service]}
time_intervals:
- name: always
  time_intervals: [{weekdays: ['sunday:saturday']}]
- name: never
  time_intervals: [{years: ['1999']}]
receivers:
- {name: rest, webhook_configs: [{url: '$URL/rest'}]}
- {name: grouping, webhook_configs: [{url: '$URL/grouping'}]}
- {name: first, webhook_configs: [{url: '$URL/first'}]}
- {name: second, webhook_configs: [{url: '$URL/second'}, {url: '$URL/second-too'}]}
- {name: joined, webhook_configs: [{url: '$URL/joined'}]}
- {name: resolved, webhook_configs: [{url: '$URL/resolved'}]}
- {name: unresolved, webhook_configs: [{url: '$URL/unresolved', send_resolved: false}]}
- {name: repeated, webhook_configs: [{url: '$URL/repeated'}]}
- {name: inhibited, webhook_configs: [{url: '$URL/inhibited'}]}
- {name: silenced, webhook_configs: [{url: '$URL/silenced'}]}
- {name: each, webhook_configs: [{url: '$URL/each'}]}
- {name: muted, webhook_configs: [{url: '$URL/muted'}]}
- {name: active, webhook_configs: [{url: '$URL/active'}]}
- {name: inactive, webhook_configs: [{url: '$URL/inactive'}]}
- {name: many, webhook_configs: [{url: '$URL/many', max_alerts: 2}]}
- {name: last, webhook_configs: [{url: '$URL/last'}]}
- name: formats
  email_configs:
  - to: 'you@example.org, {{ .CommonLabels.owner }}@example.org'
    headers: {Subject: '{{ template "told.title" . }}', X-Team: '{{ .GroupLabels.alertname | toUpper }}'}
    html: '<b>{{ range .Alerts }}{{ .Labels.service }}<br>{{ end }}</b>'
    text: '{{ template "told.text" . }}'
  slack_configs:
  - channel: '#{{ .CommonLabels.owner }}'
    color: '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'
    username: am
    title: '{{ template "told.title" . }}'
    title_link: 'http://wiki/{{ .GroupLabels.alertname | toLower }}'
    pretext: p
    text: '{{ template "told.text" . }}'
    fallback: f
    footer: 'foot'
    short_fields: true
    fields: [{title: Status, value: '{{ .Status }}'}, {title: Count, value: '{{ .Alerts | len }}', short: false}]
    actions: [{type: button, text: 'Runbook {{ .Status }}', url: 'http://runbook', style: danger}]
    icon_emoji: ':fire:'
    mrkdwn_in: [text]
  pagerduty_configs:
  - routing_key: k
    description: '{{ template "told.title" . }}'
    severity: '{{ .CommonLabels.severity }}'
    class: c
    component: '{{ .CommonLabels.service }}'
    group: g
    client: am
    client_url: http://am
    details: {firing: 'word {{ .Alerts.Firing | len }}', resolved: 'r', num_firing: 'f', num_resolved: 'm', own: '{{ .ExternalURL }}'}
    links: [{href: 'http://x/{{ .Status }}', text: t}]
    images: [{src: 'http://i', alt: a, href: 'http://h'}]
  opsgenie_configs:
  - message: '{{ template "told.title" . }}'
    description: '{{ template "told.text" . }}'
    source: s
    tags: 'a,{{ .Status }}'
    note: n
    priority: P2
    details: {own: '{{ .CommonLabels.owner }}'}
    responders: [{name: ops, type: team}]
    entity: e
    actions: 'x, y'
  victorops_configs:
  - routing_key: team
    message_type: CRITICAL
    entity_display_name: '{{ template "told.title" . }}'
    state_message: '{{ template "told.text" . }}'
    monitoring_tool: am
    custom_fields: {owner: '{{ .CommonLabels.owner }}'}
  discord_configs:
  - {webhook_url: '$URL/discord', title: '{{ template "told.title" . }}', message: '{{ template "told.text" . }}'}
  telegram_configs:
  - {api_url: '$URL/telegram', bot_token: abc, chat_id: -42, message: '{{ template "told.text" . }}', parse_mode: ''}
"#;

const TEMPLATES: &str = r#"
{{ define "told.title" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }}{{ end }}
{{ define "told.text" }}{{ range .Alerts }}{{ .Labels.SortedPairs.Names | join "," }} & "{{ .Annotations.summary }}" {{ .Fingerprint }} {{ .GeneratorURL }} {{ (index .Labels "service") | title }}
{{ end }}{{ .CommonAnnotations.Names | join "+" }} {{ .ExternalURL }} {{ .Receiver }} {{ reReplaceAll "s(.*)" "<$1>" .CommonLabels.service }}{{ end }}
"#;

/// When all alerts began: now, for groups of older ones do not wait. Both programs are told the same.
static BEGAN_MS: LazyLock<i64> = LazyLock::new(|| base::SystemClock::new().now_ms());

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}

/// An alert of a case that fires.
fn firing(case: &str, more: Value) -> Value {
    let mut labels = json!({ "alertname": format!("Of{case}"), "case": case });
    labels.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "labels": labels,
        "annotations": { "summary": format!("about \"{case}\" & <more>"), "empty": "" },
        "startsAt": time(*BEGAN_MS),
        "endsAt": "2199-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph?g0.expr=a%3E1&g0.tab=1",
    })
}

/// The same, ended.
fn ended(case: &str, more: Value) -> Value {
    let mut alert = firing(case, more);
    alert["endsAt"] = json!(time(*BEGAN_MS + 1));
    alert
}

fn first_alerts() -> Value {
    let none = || json!({});
    let critical = json!({ "severity": "critical", "service": "a" });
    json!([
        firing("grouping", json!({ "service": "a", "instance": "2" })),
        firing("grouping", json!({ "service": "b", "instance": "1" })),
        firing("grouping", json!({ "service": "a", "instance": "1", "job": "z" })),
        firing("continue", none()),
        firing("console", none()),
        firing("joined", json!({ "n": "2" })),
        firing("resolved", json!({ "n": "1" })),
        firing("resolved", json!({ "n": "2" })),
        firing("repeated", none()),
        firing("inhibited", critical),
        firing("inhibited", json!({ "severity": "warning", "service": "a" })),
        firing("silenced", json!({ "n": "1" })),
        firing("each", json!({ "n": "1" })),
        firing("each", json!({ "n": "2" })),
        firing("muted", none()),
        firing("active", none()),
        firing("inactive", none()),
        firing("many", json!({ "n": "3" })),
        firing("many", json!({ "n": "1", "odd": "yes" })),
        firing("many", json!({ "n": "2" })),
        firing("formats", json!({ "service": "shop", "owner": "ops", "severity": "critical", "n": "1" })),
        firing("formats", json!({ "service": "shop", "owner": "ops", "severity": "critical", "n": "2" })),
        firing("unknown", none()),
        firing("last", json!({ "n": "1" })),
    ])
}

const FORMATS: [&str; 6] = [
    "slack",
    "pagerduty",
    "opsgenie/v2/alerts",
    "victorops/key/team",
    "discord",
    "telegram/botabc/sendMessage",
];

/// How often each receiver is told at least, when everything of a step has arrived.
type Counts = BTreeMap<&'static str, usize>;

fn await_told(recorder: &Recorder, counts: &Counts) {
    for (receiver, count) in counts {
        for seat in Seat::ALL {
            let told = || recorder.told(seat, receiver).len();
            wait_for(&format!("{receiver} to be told {count} times by {seat:?}"), || {
                (told() >= *count).then_some(())
            });
        }
    }
}

#[test]
fn receivers_hear_what_they_hear_from_the_real_alertmanager() {
    let test = "receivers_hear_what_they_hear_from_the_real_alertmanager";
    let Some(mut mails) = MailServer::start_all(test) else { return };
    let recorder = Recorder::start();
    let config = |seat: Seat| {
        let url = format!("{}/{}", recorder.url(), seat.name());
        CONFIG.replace("$URL", &url).replace("$MAIL", &mails[seat as usize].port.to_string())
    };
    let Some(seats) = Seats::start(test, config, TEMPLATES) else { return };

    let silence = json!({
        "matchers": [{ "name": "case", "value": "silen.*", "isRegex": true, "isEqual": true }],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2199-01-01T00:00:00Z", "createdBy": "me", "comment": "quiet",
    });
    let silences = seats.post_all("/api/v2/silences", &silence);
    seats.post_all("/api/v2/alerts", &first_alerts());
    let mut counts: Counts = [
        ("grouping", 2),
        ("first", 2),
        ("second", 1),
        ("second-too", 1),
        ("joined", 1),
        ("resolved", 1),
        ("unresolved", 1),
        ("repeated", 1),
        ("inhibited", 1),
        ("each", 2),
        ("active", 1),
        ("many", 1),
        ("rest", 1),
        ("last", 1),
    ]
    .into();
    counts.extend(FORMATS.map(|format| (format, 1)));
    await_told(&recorder, &counts);

    // More of what is known, one more of a group, and some that end.
    let mut alerts = first_alerts().as_array().unwrap().clone();
    alerts.retain(|alert| {
        !["last", "resolved", "formats"].contains(&alert["labels"]["case"].as_str().unwrap())
    });
    alerts.extend([
        firing("joined", json!({ "n": "1" })),
        ended("resolved", json!({ "n": "1" })),
        ended("resolved", json!({ "n": "2" })),
        ended("formats", json!({ "service": "shop", "owner": "ops", "severity": "critical", "n": "1" })),
        ended("formats", json!({ "service": "shop", "owner": "ops", "severity": "critical", "n": "2" })),
        firing("last", json!({ "n": "2" })),
    ]);
    seats.post_all("/api/v2/alerts", &alerts.into());
    // The others are not told of ends unless they ask for it.
    let ends = ["resolved", "pagerduty", "victorops/key/team", "discord", "telegram/botabc/sendMessage"];
    counts.extend(ends.map(|receiver| (receiver, 2)));
    counts.extend([("joined", 2), ("last", 2)]);
    await_told(&recorder, &counts);
    // At Opsgenie an alert is closed under its own path.
    let closed = || recorder.receivers().into_iter().find(|receiver| receiver.ends_with("/close"));
    wait_for("the alert at Opsgenie to be closed by both", || {
        let closed = closed()?;
        Seat::ALL.iter().all(|seat| !recorder.told(*seat, &closed).is_empty()).then_some(())
    });

    // What held others back ends.
    seats.each(|seat, address| {
        let id = silences[seat as usize]["silenceID"].as_str().unwrap().to_owned();
        seats::send(address, "DELETE", &format!("/api/v2/silence/{id}"), &Value::Null);
    });
    let critical = json!({ "severity": "critical", "service": "a" });
    seats.post_all(
        "/api/v2/alerts",
        &json!([ended("inhibited", critical), firing("last", json!({ "n": "3" }))]),
    );
    counts.extend([("silenced", 1), ("inhibited", 3), ("last", 3)]);
    await_told(&recorder, &counts);

    // A reload forms all groups anew, and tells nobody twice.
    seats.post_all("/-/reload", &Value::Null);
    seats.post_all("/api/v2/alerts", &json!([firing("last", json!({ "n": "4" }))]));
    counts.extend([("repeated", 3), ("last", 4)]);
    await_told(&recorder, &counts);

    for receiver in recorder.receivers() {
        let [mut real, mut ours] = Seat::ALL.map(|seat| by_group(recorder.told(seat, &receiver)));
        if receiver == "repeated" {
            // How many more there were depends on when the end came.
            real.values_mut().chain(ours.values_mut()).for_each(|of_group| of_group.truncate(3));
        }
        if receiver == "inhibited" {
            // The real one may tell a group again that it told before it knew of what inhibits it.
            real.values_mut().chain(ours.values_mut()).for_each(Vec::dedup);
        }
        assert_eq!(ours, real, "what {receiver} was told");
    }
    let closed = recorder.receivers().iter().filter(|receiver| receiver.ends_with("/close")).count();
    assert_eq!(closed, 1, "the alert at Opsgenie");
    for (receiver, count) in
        counts.iter().filter(|(receiver, _)| !["repeated", "inhibited"].contains(receiver))
    {
        assert_eq!(
            recorder.told(Seat::Real, receiver).len(),
            *count,
            "as often as this test means it: {receiver}"
        );
    }
    let [real, ours] = Seat::ALL.map(|seat| mails[seat as usize].received(1));
    assert_eq!(ours, real);
}

/// What a receiver was told about each group, in order: groups are told when their timers end, which is in any order.
fn by_group(told: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in told {
        let key = one["body"]["groupKey"].as_str().unwrap_or_default().to_owned();
        groups.entry(key).or_default().push(one);
    }
    groups
}
