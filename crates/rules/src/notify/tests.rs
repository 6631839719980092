use std::time::Duration;

use config::LoadOptions;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// An Alertmanager that takes what it is told, or answers with an error.
struct Receiver {
    address: String,
    bodies: mpsc::UnboundedReceiver<(String, Value)>,
}

async fn receiver(status: &'static str) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, bodies) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
                        continue;
                    }
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    let _ = sender.send((path, serde_json::from_str(body).unwrap()));
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    bytes.clear();
                }
            });
        }
    });
    Receiver { address, bodies }
}

fn config(text: &str) -> Config {
    Config::from_bytes("p.yml".as_ref(), text.as_bytes(), &LoadOptions::default()).unwrap()
}

fn notifier_with(registry: &Registry, options: NotifyOptions) -> Notifier {
    let clock = base::SystemClock::shared();
    Notifier::new(options, clock, DiscoveryMetrics::new(&Registry::new()), registry)
}

fn options() -> NotifyOptions {
    NotifyOptions {
        queue_capacity: 100,
        max_batch_size: 2,
        drain_on_shutdown: true,
        external_url: "http://here:9090/prom/".to_owned(),
    }
}

fn alert(name: &str) -> Alert {
    Alert {
        state: crate::alert::AlertState::Firing,
        labels: Labels::from_pairs([("alertname", name), ("replica", "a")]),
        annotations: Arc::new([("summary".to_owned(), "x".to_owned())]),
        value: 1.0,
        active_at_ms: 0,
        fired_at_ms: Some(1_000),
        resolved_at_ms: None,
        last_sent_ms: None,
        valid_until_ms: 61_500,
        keep_firing_since_ms: None,
    }
}

/// The value of a metric, over all its points.
fn value(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let points = families.iter().filter(|family| family.name == name).flat_map(|family| &family.points);
    points
        .map(|point| if let base::metrics::Value::Number(number) = point.value { number } else { 0.0 })
        .sum()
}

async fn known(notifier: &Notifier, count: usize) -> KnownAlertmanagers {
    loop {
        let known = notifier.alertmanagers();
        if known.active.len() == count {
            return known;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_arrive_relabelled_in_batches_at_each_alertmanager() {
    let (mut first, mut second) = (receiver("200 OK").await, receiver("200 OK").await);
    let registry = Registry::new();
    let notifier = notifier_with(&registry, options());
    let text = format!(
        "global: {{external_labels: {{dc: eu}}}}\nalerting:\n  alert_relabel_configs: [{{action: labeldrop, regex: replica}}]\n  alertmanagers:\n  - path_prefix: /am\n    static_configs: [{{targets: ['{}']}}]\n  - alert_relabel_configs: [{{source_labels: [alertname], regex: B, action: drop}}]\n    relabel_configs: [{{source_labels: [__address__], regex: gone, action: drop}}]\n    static_configs: [{{targets: ['{}', gone]}}]\n",
        first.address, second.address
    );
    notifier.apply(&config(&text)).unwrap();
    let known = known(&notifier, 2).await;
    assert_eq!(known.active[0], format!("http://{}/am/api/v2/alerts", first.address));
    assert_eq!(known.dropped, ["http://gone/api/v2/alerts"]);
    AlertSink::send(&notifier, "up == 0", vec![alert("A"), alert("B"), alert("C")]);
    let (path, batch) = first.bodies.recv().await.unwrap();
    assert_eq!(path, "/am/api/v2/alerts");
    assert_eq!(
        batch[0],
        serde_json::json!({
            "labels": {"alertname": "A", "dc": "eu"},
            "annotations": {"summary": "x"},
            "startsAt": "1970-01-01T00:00:01.000Z",
            "endsAt": "1970-01-01T00:01:01.500Z",
            "generatorURL": "http://here:9090/prom/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        })
    );
    assert_eq!(batch.as_array().unwrap().len(), 2);
    assert_eq!(first.bodies.recv().await.unwrap().1.as_array().unwrap().len(), 1);
    let (_, batch) = second.bodies.recv().await.unwrap();
    let names: Vec<_> =
        batch.as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].clone()).collect();
    assert_eq!(names, ["A", "C"]);
    notifier.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_alertmanager_holds_up_nobody_and_its_queue_is_bounded() {
    let (mut alive, refusing) = (receiver("200 OK").await, receiver("500 Oops").await);
    // A listener nobody accepts from: requests hang until they time out.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = Registry::new();
    let notifier =
        notifier_with(&registry, NotifyOptions { queue_capacity: 4, drain_on_shutdown: false, ..options() });
    let text = format!(
        "alerting:\n  alertmanagers:\n  - timeout: 1h\n    static_configs: [{{targets: ['{}']}}]\n  - static_configs: [{{targets: ['{}', '{}']}}]\n",
        silent.local_addr().unwrap(),
        refusing.address,
        alive.address
    );
    notifier.apply(&config(&text)).unwrap();
    known(&notifier, 3).await;
    for i in 0..10 {
        AlertSink::send(&notifier, "up", vec![alert(&format!("A{i}"))]);
        let (_, batch) = alive.bodies.recv().await.unwrap();
        assert_eq!(batch[0]["labels"]["alertname"], format!("A{i}"));
    }
    // All of the refused ones, and what the silent one has no room for: at most one batch is under way.
    while value(&registry, "prometheus_notifications_dropped_total") < 14.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(value(&registry, "prometheus_notifications_dropped_total") <= 16.0);
    assert!(value(&registry, "prometheus_notifications_errors_total") >= 1.0);
    assert!(value(&registry, "prometheus_notifications_queue_length") <= 4.0);
    assert_eq!(value(&registry, "prometheus_notifications_alertmanagers_discovered"), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_did_not_change() {
    let mut receiver = receiver("200 OK").await;
    let registry = Registry::new();
    let notifier = notifier_with(&registry, options());
    let section = format!("  - static_configs: [{{targets: ['{}']}}]\n", receiver.address);
    notifier.apply(&config(&format!("alerting:\n  alertmanagers:\n{section}"))).unwrap();
    known(&notifier, 1).await;
    AlertSink::send(&notifier, "up", vec![alert("A")]);
    receiver.bodies.recv().await.unwrap();
    let sent = || value(&registry, "prometheus_notifications_sent_total");
    while sent() < 1.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let other =
        format!("alerting:\n  alertmanagers:\n  - static_configs: [{{targets: ['127.0.0.1:1']}}]\n{section}");
    notifier.apply(&config(&other)).unwrap();
    known(&notifier, 2).await;
    // Counts of the one that stayed go on.
    assert_eq!(sent(), 1.0);
    notifier.apply(&config("{}")).unwrap();
    assert_eq!(known(&notifier, 0).await, KnownAlertmanagers::default());
    AlertSink::send(&notifier, "up", vec![alert("A")]);
    assert!(receiver.bodies.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_section_tells_whom_it_told_before() {
    let mut receiver = receiver("200 OK").await;
    let notifier = notifier_with(&Registry::new(), options());
    let section = |more: &str| {
        format!(
            "alerting:\n  alertmanagers:\n  - static_configs: [{{targets: ['{}']}}]\n{more}",
            receiver.address
        )
    };
    let (before, after) = (section(""), section("    timeout: 9s\n"));
    notifier.apply(&config(&before)).unwrap();
    known(&notifier, 1).await;
    notifier.apply(&config(&after)).unwrap();
    // At once: discovery has not answered for the new section.
    AlertSink::send(&notifier, "up", vec![alert("A")]);
    assert_eq!(receiver.bodies.recv().await.unwrap().1[0]["labels"]["alertname"], "A");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_at_the_end() {
    let mut receiver = receiver("200 OK").await;
    let notifier = notifier_with(&Registry::new(), options());
    let text =
        format!("alerting:\n  alertmanagers:\n  - static_configs: [{{targets: ['{}']}}]\n", receiver.address);
    notifier.apply(&config(&text)).unwrap();
    known(&notifier, 1).await;
    AlertSink::send(&notifier, "up", (0..9).map(|i| alert(&format!("A{i}"))).collect());
    notifier.stop().await;
    let mut count = 0;
    while let Ok((_, batch)) = receiver.bodies.try_recv() {
        count += batch.as_array().unwrap().len();
    }
    assert_eq!(count, 9);
}
