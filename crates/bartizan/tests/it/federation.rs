//! Federation: what one server has last, another one scrapes; between ours and a real Prometheus either way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use wire::protobuf::put_bytes;
use wire::remote_write::MessageType;

use crate::faults::server::Home;
use crate::faults::target::{Target, config, respond};
use crate::faults::wait_for;
use crate::peer::{Api, Prometheus};
use crate::remote_write::sender::{Request, now_ms, put_histogram};

const SERIES: usize = 30;
const WANTED: &str = "{__name__=~\"requests_total|temperature\"}[1h]";

/// A target of counters and of gauges with every kind of value.
fn target() -> Target {
    let scrapes = AtomicU64::new(0);
    Target::start(move |stream, _| {
        let scrape = scrapes.fetch_add(1, Ordering::Relaxed);
        let mut body = String::from("# HELP requests_total All requests.\n# TYPE requests_total counter\n");
        for i in 0..SERIES as u64 {
            writeln!(body, "requests_total{{path=\"/{i}\",quote=\"a\\\"b\\\\c\\nd\"}} {}", scrape * i)
                .unwrap();
        }
        body.push_str("# TYPE temperature gauge\n");
        for (place, value) in [("a", "NaN"), ("b", "+Inf"), ("c", "-Inf"), ("d", "-1.5e-300"), ("e", "36.6")]
        {
            writeln!(body, "temperature{{place=\"{place}\"}} {value}").unwrap();
        }
        respond(stream, "", body.as_bytes());
    })
}

/// The configuration of a server that scrapes all jobs another one has.
fn federating(from: SocketAddr, more: &str) -> String {
    format!(
        "scrape_configs:\n- job_name: federation\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  \
         honor_labels: true\n  metrics_path: /federate\n  params: {{'match[]': ['{{job=~\"load|push\"}}']}}\n{more}  \
         static_configs:\n  - targets: ['{from}']\n"
    )
}

/// A server that scrapes the target and has labels of its own.
fn scraping(target: &Target) -> String {
    config(target.address(), "200ms")
        .replace("global:\n", "global:\n  external_labels: {dc: west, job: never}\n")
}

type Samples = BTreeMap<String, Vec<(i64, String)>>;

/// Time and value of all samples by labels.
fn samples(of: &impl Api) -> Samples {
    let json = of.json("query", &[("query", WANTED)]);
    let found = json["data"]["result"].as_array().cloned().unwrap_or_default();
    let pair = |pair: &Value| {
        ((pair[0].as_f64().unwrap() * 1e3).round() as i64, pair[1].as_str().unwrap().to_owned())
    };
    let series = found.iter().map(|series| {
        let values = series["values"].as_array().unwrap().iter().map(pair).collect();
        (series["metric"].to_string(), values)
    });
    series.collect()
}

/// What `follower` has is what `leader` had, with its external labels and at its times, and that of every series.
#[track_caller]
fn compare(leader: &impl Api, follower: &impl Api) {
    let all = SERIES + 5;
    let found = wait_for("every series to come a few times", || {
        let found = samples(follower);
        (found.len() == all && found.values().all(|samples| samples.len() > 3)).then_some(found)
    });
    let mut stored = samples(leader);
    for (labels, samples) in found {
        let mut of_leader: serde_json::Map<String, Value> = serde_json::from_str(&labels).unwrap();
        assert_eq!(of_leader.remove("dc"), Some("west".into()), "{labels}");
        assert_eq!(of_leader["job"], "load", "{labels}");
        let theirs = stored.remove(&Value::from(of_leader).to_string()).unwrap_or_default();
        for sample in samples {
            assert!(theirs.contains(&sample), "{labels}: {sample:?} is not in {theirs:?}");
        }
    }
    assert_eq!(stored.len(), 0);
}

fn home(dir: &Path, config: &str) -> Home {
    std::fs::create_dir_all(dir).unwrap();
    Home::new(dir, config)
}

#[test]
fn a_real_prometheus_federates_from_us() {
    let dir = tempfile::tempdir().unwrap();
    let target = target();
    let ours = home(&dir.path().join("ours"), &scraping(&target)).start();
    let test = "a_real_prometheus_federates_from_us";
    let config = federating(ours.address(), "");
    let Some(real) = Prometheus::start(test, &dir.path().join("real"), &config, &[]) else { return };
    compare(&ours, &real);
    let metadata = real.json("targets/metadata", &[("match_target", "{job=\"federation\"}")]);
    let types: BTreeMap<_, _> = metadata["data"].as_array().unwrap().iter().map(metric_and_type).collect();
    // What was a counter is not known to whoever has only its samples.
    assert_eq!(types.get("requests_total").map(String::as_str), Some("unknown"), "{metadata}");
}

fn metric_and_type(entry: &Value) -> (String, String) {
    (entry["metric"].as_str().unwrap().to_owned(), entry["type"].as_str().unwrap().to_owned())
}

#[test]
fn we_federate_from_a_real_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let target = target();
    let test = "we_federate_from_a_real_prometheus";
    let Some(real) = Prometheus::start(test, &dir.path().join("real"), &scraping(&target), &[]) else {
        return;
    };
    let ours = home(&dir.path().join("ours"), &federating(real.address, "")).start();
    compare(&real, &ours);
}

#[test]
fn one_of_us_federates_from_another_histograms_included() {
    let dir = tempfile::tempdir().unwrap();
    let target = target();
    let leader =
        home(&dir.path().join("a"), &scraping(&target)).flag("--web.enable-remote-write-receiver").start();
    let t_ms = now_ms() - 2_000;
    assert_eq!(histogram(t_ms).send(leader.address()).unwrap().status, 204);
    let more = "  scrape_native_histograms: true\n  scrape_protocols: [PrometheusProto]\n";
    let follower = home(&dir.path().join("b"), &federating(leader.address(), more)).start();
    compare(&leader, &follower);
    let latency = wait_for("the histogram to come", || {
        follower.query("latency[1h]").first().map(|series| series["histograms"][0].clone())
    });
    let stored = leader.query("latency[1h]")[0]["histograms"][0].clone();
    assert_eq!(latency, stored);
    assert_eq!(latency[0].as_f64().map(|t_s| (t_s * 1e3).round() as i64), Some(t_ms));
}

/// A native histogram, pushed.
fn histogram(t_ms: i64) -> Request {
    let mut body = Vec::new();
    let symbols = ["", "__name__", "latency", "job", "push"];
    symbols.iter().for_each(|symbol| put_bytes(&mut body, 4, symbol.as_bytes()));
    put_histogram(&mut body, &[1, 2, 3, 4], t_ms);
    Request::of(MessageType::V2, &body)
}
