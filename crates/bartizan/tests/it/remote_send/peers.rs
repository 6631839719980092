//! Real receivers: Prometheus and VictoriaMetrics.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{count, counters, difference, now, pairs, samples, sending};
use crate::faults::server::Home;
use crate::faults::wait_for;
use crate::peer::{Prometheus, exchange, free_address};

const SERIES: usize = 300;
const ALL: &str = "{job=\"load\"}[1h]";

#[test]
fn a_real_prometheus_stores_every_sample() {
    let dir = tempfile::tempdir().unwrap();
    let test = "a_real_prometheus_stores_every_sample";
    let flags = ["--web.enable-remote-write-receiver"];
    let config = "global:\n  scrape_interval: 1h\n";
    let Some(prometheus) = Prometheus::start(test, &dir.path().join("real"), config, &flags) else { return };
    let target = counters(SERIES);
    let url = format!("http://{}/api/v1/write", prometheus.address);
    let server = Home::new(dir.path(), &sending(target.address(), "100ms", &url, "")).start();
    wait_for("scrapes to arrive", || (count(&samples(&prometheus, ALL, &now())) > 20 * SERIES).then_some(()));
    let time = now();
    wait_for("all samples to arrive", || {
        // A scrape of before may be committed only now: what is received is asked for first.
        let found = samples(&prometheus, ALL, &time);
        let ours = samples(&server, ALL, &time);
        assert!(count(&found) <= count(&ours), "{}", difference(&ours, &found));
        (found == ours).then_some(())
    });
    assert_eq!(server.own_metric("prometheus_remote_storage_samples_failed_total"), 0.0);
}

struct VictoriaMetrics(Child);

impl Drop for VictoriaMetrics {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_victoria_metrics_stores_every_sample() {
    let test = "a_real_victoria_metrics_stores_every_sample";
    let Some(program) = crate::support::program("victoria-metrics", test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let child = Command::new(program)
        .arg(format!("-storageDataPath={}", dir.path().join("real").display()))
        .arg(format!("-httpListenAddr={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = VictoriaMetrics(child);
    wait_for("victoria-metrics to be ready", || exchange(address, "GET", "/health", "", &[]));
    let target = counters(SERIES);
    let url = format!("http://{address}/api/v1/write");
    let server = Home::new(dir.path(), &sending(target.address(), "100ms", &url, "")).start();
    wait_for("scrapes to be stored", || (count(&samples(&server, ALL, &now())) > 20 * SERIES).then_some(()));
    let time = now();
    let ours = || -> BTreeMap<String, Vec<(i64, f64)>> {
        samples(&server, "requests_total[1h]", &time).into_iter().map(|(k, v)| (k, pairs(&v))).collect()
    };
    let end_ms = (time.parse::<f64>().unwrap() * 1e3) as i64;
    wait_for("all samples to arrive", || {
        exchange(address, "GET", "/internal/force_flush", "", &[])?;
        let path = "/api/v1/export?match%5B%5D=requests_total";
        let (_, body) = exchange(address, "GET", path, "", &[])?;
        (exported(&body, end_ms) == ours()).then_some(())
    });
}

/// What VictoriaMetrics exports: a line of JSON a series, in the form of [`pairs`].
fn exported(body: &[u8], end_ms: i64) -> BTreeMap<String, Vec<(i64, f64)>> {
    let lines = String::from_utf8_lossy(body).into_owned();
    let series = lines.lines().filter_map(|line| {
        let json: Value = serde_json::from_str(line).ok()?;
        let times = json["timestamps"].as_array()?.iter().filter_map(Value::as_i64);
        let values = json["values"].as_array()?.iter().filter_map(Value::as_f64);
        let samples = times.zip(values).filter(|(t_ms, _)| *t_ms <= end_ms).collect();
        Some((json["metric"].to_string(), samples))
    });
    series.collect()
}
