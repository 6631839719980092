//! Limits of tenants.

use super::receiving;
use super::sender::{Answer, Request, now_ms, v1};
use crate::faults::server::Server;
use wire::remote_write::MessageType;

const CONFIG: &str = "\
global:
  scrape_interval: 1h
limits:
  max_label_names_per_series: 3
overrides:
  small:
    max_global_series_per_user: 1
    ingestion_rate: 0.001
    ingestion_burst_size: 4
    max_label_name_length: 8
    max_request_size: 1KB
";

fn push(server: &Server, tenant: &str, labels: &[&[(&str, &str)]]) -> Answer {
    let sample = [(now_ms(), 1.0)];
    let series: Vec<_> = labels.iter().map(|labels| (*labels, &sample[..])).collect();
    Request::of(MessageType::V1, &v1(&series)).header("x-scope-orgid", tenant).send(server.address()).unwrap()
}

#[test]
fn tenants_are_held_to_what_the_configuration_says() {
    let dir = tempfile::tempdir().unwrap();
    let home = receiving(dir.path(), CONFIG).flag("--web.enable-lifecycle");
    let server = home.start();
    let many: &[&[(&str, &str)]] =
        &[&[("__name__", "a")], &[("__name__", "b"), ("i", "1"), ("j", "2"), ("k", "3")]];
    let answer = push(&server, "large", many);
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        "limits.max_label_names_per_series: 4 labels, more than the limit of 3: series {__name__=\"b\", i=\"1\", \
         j=\"2\", k=\"3\"}\n"
    );
    let answer = push(&server, "small", &[&[("__name__", "one")], &[("__name__", "two")]]);
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.starts_with("limits.max_global_series_per_user: tenant \"small\""),
        "{}",
        answer.body
    );
    let answer = push(&server, "small", &[&[("__name__", "one"), ("too_long_name", "1")]]);
    assert!(answer.body.starts_with("limits.max_label_name_length: "), "{}", answer.body);
    // One of four is left.
    let answer = push(&server, "small", &[&[("__name__", "one")], &[("__name__", "two")]]);
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(
        answer.body,
        "limits.ingestion_rate: tenant \"small\" may push 0.001 samples a second, 4 at once; this request has 2\n"
    );
    let seconds: u64 = answer.headers["retry-after"].parse().unwrap();
    assert!((900..=1000).contains(&seconds), "{seconds}");
    let long = "x".repeat(2000);
    let answer = push(&server, "small", &[&[("__name__", &long)]]);
    assert_eq!(answer.body, "decoded size exceeds the 1024 bytes limit (limits.max_request_size)\n");
    assert_eq!(push(&server, "not|allowed", &[]).status, 400);
    assert_eq!(server.own_metric("bartizan_ingest_discarded_samples_total"), 5.0);

    std::fs::write(&home.config, "global:\n  scrape_interval: 1h\n").unwrap();
    assert_eq!(
        Request::of(MessageType::V1, &[]).path("/-/reload").send(server.address()).unwrap().status,
        200
    );
    assert_eq!(push(&server, "small", &[&[("__name__", "two")], &[("__name__", "three")]]).status, 204);
    assert_eq!(server.query("{__name__=~\"one|two|three\"}").len(), 3);
}
