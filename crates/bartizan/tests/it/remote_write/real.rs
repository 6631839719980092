//! A real Prometheus that pushes what it scrapes.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::sender::now_ms;
use super::{CONFIG, receiving};
use crate::faults::server::Server;
use crate::faults::wait_for;

/// A running Prometheus; dropping it kills it.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    fn start(program: &Path, dir: &Path, receiver: &Server) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "global:\n  scrape_interval: 250ms\n  external_labels: {{replica: a}}\nscrape_configs:\n\
             - job_name: self\n  static_configs:\n  - targets: ['127.0.0.1:{port}']\n\
             remote_write:\n- url: http://{}/api/v1/write\n  send_exemplars: true\n  send_native_histograms: true\n  \
             queue_config: {{batch_send_deadline: 100ms}}\n",
            receiver.address()
        );
        std::fs::write(dir.join("sender.yml"), config).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", dir.join("sender.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("sender").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    /// The series a query finds, without the labels the sender adds.
    fn query(&self, query: &str, time: &str) -> Option<Vec<Value>> {
        let params = [("query", query), ("time", time)];
        let params = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let address = ([127, 0, 0, 1], self.port).into();
        let (status, body) = crate::faults::server::get(address, &format!("/api/v1/query?{params}"))?;
        let json: Value = serde_json::from_str(&body).ok()?;
        (status == 200).then(|| json["data"]["result"].as_array().unwrap().clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Labels and samples of each series, sorted.
fn sorted(series: Vec<Value>) -> Vec<(String, String)> {
    let mut sorted: Vec<_> = series
        .into_iter()
        .map(|mut series| {
            series["metric"].as_object_mut().unwrap().remove("replica");
            (series["metric"].to_string(), series["values"].to_string())
        })
        .collect();
    sorted.sort();
    sorted
}

#[test]
fn a_real_prometheus_pushes_every_sample_it_has() {
    let Some(program) = crate::support::program("prometheus", "a_real_prometheus_pushes_every_sample_it_has")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    let sender = Prometheus::start(&program, dir.path(), &server);
    wait_for("ten scrapes to arrive", || {
        server.number("count_over_time(up{replica=\"a\"}[1h])").filter(|count| *count >= 10.0)
    });
    // Up to this time all has been scraped; the sample behind it shows that it has been sent.
    let end_ms = now_ms();
    let time = format!("{:.3}", end_ms as f64 / 1e3);
    wait_for("what was scraped later to arrive", || {
        let newest = server.query("timestamp(up{replica=\"a\"})");
        let newest: f64 = newest.first()?["value"][1].as_str()?.parse().ok()?;
        (newest * 1e3 > end_ms as f64 + 500.0).then_some(())
    });
    // Series are sent over several connections, which may be one batch apart.
    let all = "{job=\"self\"}[10m]";
    let theirs = sorted(wait_for("the sender to answer", || sender.query(all, &time)));
    let received = || {
        let (_, json) = server.api("query", &[("query", all), ("time", &time)]);
        sorted(json["data"]["result"].as_array().unwrap().clone())
    };
    wait_for("all of it to arrive", || (received() == theirs).then_some(()));
    assert!(theirs.len() > 200, "{}", theirs.len());
    assert_eq!(server.number("count(count_over_time({job=\"self\",replica!=\"a\"}[1h]))"), None);
    assert_eq!(server.own_metric("prometheus_api_remote_write_invalid_labels_samples_total"), 0.0);
}
