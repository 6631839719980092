//! What the tests share: a receiver that records, and a running Alertmanager.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use alerting::engine::PostedAlert;
use alerting::{Alertmanager, EngineOptions};
use base::metrics::Registry;
use config::alertmanager::MatcherMode;
use model::Labels;
use serde_json::Value as Json;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path.
    pub line: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// What a receiver answers to the n-th request of a line: a status and a body of JSON or text. With status 0 it closes
/// the connection instead.
pub type Answer = fn(usize, &Received) -> (u16, String);

/// Listens on loopback, answers and records.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    requests: mpsc::Receiver<Received>,
}

impl Receiver {
    /// Starts listening.
    pub fn start(answer: Answer) -> Self {
        Self::start_short(answer, 0)
    }

    /// Starts listening; answers lack so many bytes of what they promise.
    pub fn start_short(answer: Answer, missing_bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let Some(request) = read(&mut stream) else { continue };
                let (status, body) = answer(n, &request);
                let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len() + missing_bytes
                );
                if status > 0 {
                    let _ = stream.write_all(format!("{head}{body}").as_bytes());
                }
                drop(stream);
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { address, requests }
    }

    /// The next request.
    pub fn next(&self) -> Received {
        self.requests.recv_timeout(PATIENCE).expect("a request within a minute")
    }
}

fn read(stream: &mut std::net::TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = head_end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut lines = head.lines();
            let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let len = headers.iter().find(|(name, _)| name == "content-length");
            let len: usize = len.map_or(0, |(_, value)| value.parse().unwrap());
            if bytes.len() >= end + 4 + len {
                return Some(Received { line, headers, body: bytes[end + 4..end + 4 + len].to_vec() });
            }
        }
        let count = stream.read(&mut buffer).ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// The settings of an Alertmanager in a directory.
pub fn options(dir: &Path) -> EngineOptions {
    EngineOptions {
        config_file: dir.join("alertmanager.yml"),
        storage_path: dir.join("data"),
        retention: Duration::from_secs(3600),
        maintenance_interval: Duration::from_secs(900),
        gc_interval: Duration::from_secs(900),
        max_silences: 0,
        max_silence_bytes: 0,
        alerts_per_name: 0,
        max_alerts: 0,
        max_groups: 0,
        receivers_in_metrics: false,
        log_silences: false,
        start_delay: Duration::ZERO,
        external_url: "http://am:9093".to_owned(),
        mode: MatcherMode::Fallback,
    }
}

/// An Alertmanager with receivers given in YAML, all of them told at once.
pub fn start(dir: &Path, receivers: &str, runtime: &tokio::runtime::Runtime) -> Arc<Alertmanager> {
    let head = "route: {receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n";
    start_with(dir, &format!("{head}receivers:\n- name: team\n{receivers}"), runtime)
}

/// An Alertmanager with a configuration.
pub fn start_with(dir: &Path, config: &str, runtime: &tokio::runtime::Runtime) -> Arc<Alertmanager> {
    std::fs::write(dir.join("alertmanager.yml"), config).unwrap();
    let manager = Alertmanager::open(options(dir), base::SystemClock::shared(), &Registry::new()).unwrap();
    runtime.spawn(manager.clone().run(std::future::pending()));
    manager
}

/// An alert that fires.
pub fn alert(name: &str, resolved: bool) -> PostedAlert {
    let now = alerting::alert::from_ms(base::Clock::now_ms(&base::SystemClock::new()));
    PostedAlert {
        labels: Labels::from_pairs([("alertname", name), ("severity", "critical"), ("job", "api")]),
        annotations: [("summary", "5 < 6 & so on")].into_iter().collect(),
        starts_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        ends_at: resolved.then_some(now),
        generator_url: "http://prom/graph".into(),
    }
}

/// A runtime for the Alertmanager.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
