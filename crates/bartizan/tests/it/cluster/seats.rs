//! Instances of either program, and the receiver they tell.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::nets::Nets;
use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::command;

/// A receiver of webhooks that remembers what it was told.
pub struct Hook {
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Value>>>,
    /// Whether it accepts anything.
    pub up: Arc<AtomicBool>,
    /// How many notifications it refused.
    pub refused: Arc<AtomicUsize>,
}

impl Hook {
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let hook = Self {
            address: listener.local_addr().unwrap(),
            told: Arc::default(),
            up: Arc::new(AtomicBool::new(true)),
            refused: Arc::default(),
        };
        let (told, up, refused) = (hook.told.clone(), hook.up.clone(), hook.refused.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((mut stream, body)) = request(stream) else { continue };
                let status = if up.load(Ordering::Acquire) {
                    told.lock().unwrap().push(body);
                    "200 OK"
                } else {
                    refused.fetch_add(1, Ordering::AcqRel);
                    "503 Service Unavailable"
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        hook
    }

    pub fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        wait_for(&format!("{count} notifications"), || (self.count() >= count).then_some(()));
    }
}

fn request(mut stream: TcpStream) -> Option<(TcpStream, Value)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let len = stream.read(&mut chunk).ok().filter(|len| *len > 0)?;
        bytes.extend_from_slice(&chunk[..len]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
        if bytes.len() >= end + 4 + length.trim().parse::<usize>().ok()? {
            return Some((stream, serde_json::from_slice(&bytes[end + 4..]).ok()?));
        }
    }
}

/// An alert that fires, as it is posted.
pub fn alert(name: &str) -> Value {
    json!({"labels": {"alertname": name}, "annotations": {}, "startsAt": "2024-01-01T00:00:00Z",
           "endsAt": "2100-01-01T00:00:00Z"})
}

/// The same, resolved.
pub fn resolved(alert: &Value) -> Value {
    let mut alert = alert.clone();
    alert["endsAt"] = json!("2024-01-02T00:00:00Z");
    alert
}

/// Which program an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Real,
}

struct Seat {
    kind: Kind,
    web: SocketAddr,
    mesh: SocketAddr,
    dir: PathBuf,
    net: Option<String>,
    child: Option<Child>,
}

/// Instances that know each other.
pub struct Seats {
    seats: Vec<Seat>,
    flags: Vec<String>,
    dir: tempfile::TempDir,
}

impl Seats {
    /// Instances that do not run yet.
    pub fn prepare(kinds: &[Kind], hook: &Hook) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "route: {{receiver: hook, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 2h}}\n\
             receivers: [{{name: hook, webhook_configs: [{{url: 'http://{}/'}}]}}]\n",
            hook.address
        );
        std::fs::write(dir.path().join("alertmanager.yml"), config).unwrap();
        let seat = |(index, kind): (usize, &Kind)| Seat {
            kind: *kind,
            web: free_address(),
            mesh: free_address(),
            dir: dir.path().join(index.to_string()),
            net: None,
            child: None,
        };
        let seats = kinds.iter().enumerate().map(seat).collect();
        Self { seats, flags: Vec::new(), dir }
    }

    /// Instances that have found each other.
    pub fn start(kinds: &[Kind], hook: &Hook) -> Self {
        let mut seats = Self::prepare(kinds, hook);
        seats.launch_all();
        seats
    }

    /// Puts each instance into a network of its own.
    pub fn live_in(&mut self, nets: &Nets) {
        for (index, seat) in self.seats.iter_mut().enumerate() {
            let (name, address) = nets.place(index);
            seat.net = Some(name);
            seat.web = SocketAddr::new(address, 9093);
            seat.mesh = SocketAddr::new(address, 9094);
        }
    }

    /// Lets the instances speak TLS with each other, with certificates of one authority.
    pub fn use_tls(&mut self) {
        let at = |name: &str| self.dir.path().join(name);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let member = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let member = member.signed_by(&key, &issuer).unwrap();
        std::fs::write(at("ca.pem"), authority_pem).unwrap();
        std::fs::write(at("member.pem"), member.pem()).unwrap();
        std::fs::write(at("member.key"), key.serialize_pem()).unwrap();
        let config = "tls_server_config:\n  cert_file: member.pem\n  key_file: member.key\n  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n\
                      tls_client_config:\n  cert_file: member.pem\n  key_file: member.key\n  ca_file: ca.pem\n";
        std::fs::write(at("tls.yml"), config).unwrap();
        self.flags.push(format!("--cluster.tls-config={}", at("tls.yml").display()));
    }

    #[track_caller]
    pub fn launch_all(&mut self) {
        (0..self.seats.len()).for_each(|index| self.launch(index));
        self.wait_for_members(self.seats.len());
    }

    fn launch(&mut self, index: usize) {
        let peers: Vec<String> = self
            .seats
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, seat)| format!("--cluster.peer={}", seat.mesh))
            .collect();
        let seat = &mut self.seats[index];
        let program = match seat.kind {
            Kind::Ours => {
                let mut program = vec![command().get_program().to_owned()];
                program.push("alertmanager".into());
                program
            }
            Kind::Real => vec!["prometheus-alertmanager".into()],
        };
        let namespace = seat.net.iter().flat_map(|net| ["ip", "netns", "exec", net].map(Into::into));
        let line: Vec<std::ffi::OsString> = namespace.chain(program).collect();
        let config: &Path = self.dir.path();
        std::fs::create_dir_all(&seat.dir).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(seat.dir.join("log")).unwrap();
        let child = Command::new(&line[0])
            .args(&line[1..])
            .arg(format!("--config.file={}", config.join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", seat.dir.join("data").display()))
            .arg(format!("--web.listen-address={}", seat.web))
            .arg(format!("--cluster.listen-address={}", seat.mesh))
            .args(peers)
            .args(["--cluster.peer-timeout=1s", "--cluster.gossip-interval=50ms"])
            .args(["--cluster.pushpull-interval=5s", "--cluster.reconnect-interval=1s"])
            .args(["--cluster.probe-interval=500ms", "--cluster.probe-timeout=200ms"])
            .args(["--cluster.settle-timeout=20s", "--log.level=debug"])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        seat.child = Some(child);
    }

    /// Starts an instance again, as this program, and waits until it belongs to the others.
    #[track_caller]
    pub fn restart(&mut self, index: usize, kind: Kind) {
        self.seats[index].kind = kind;
        self.launch(index);
        self.wait_for_members(self.running().count());
    }

    /// Asks an instance to end, and waits until it has.
    pub fn stop(&mut self, index: usize) {
        let mut child = self.seats[index].child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log(index));
    }

    pub fn kill(&mut self, index: usize) {
        let mut child = self.seats[index].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Removes what an instance that does not run has on disk.
    pub fn lose_state(&self, index: usize) {
        std::fs::remove_dir_all(self.seats[index].dir.join("data")).unwrap();
    }

    fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.seats[index].dir.join("log")).unwrap_or_default()
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.seats.len()).filter(|index| self.seats[*index].child.is_some())
    }

    fn get(&self, index: usize, path: &str) -> Option<Value> {
        let (status, body) = exchange(self.seats[index].web, "GET", path, "", b"")?;
        (status == 200).then(|| serde_json::from_slice(&body).unwrap())
    }

    fn send(&self, index: usize, method: &str, path: &str, body: &Value) -> Value {
        let json = "content-type: application/json\r\n";
        let answer = exchange(self.seats[index].web, method, path, json, body.to_string().as_bytes());
        let (status, body) = answer.unwrap();
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// Waits until each running instance works and sees so many members.
    #[track_caller]
    pub fn wait_for_members(&self, count: usize) {
        for index in self.running() {
            wait_for(&format!("{count} members at {index}"), || {
                let status = self.get(index, "/api/v2/status")?;
                let cluster = &status["cluster"];
                let members = cluster["peers"].as_array().map_or(0, Vec::len);
                (cluster["status"] == "ready" && members == count).then_some(())
            });
        }
    }

    /// Posts alerts to all that run.
    pub fn post(&self, alerts: &[&Value]) {
        self.running().for_each(|index| _ = self.send(index, "POST", "/api/v2/alerts", &json!(alerts)));
    }

    /// The running instance that comes first by name.
    pub fn first(&self) -> usize {
        let name = |index: &usize| self.get(*index, "/api/v2/status").unwrap()["cluster"]["name"].to_string();
        self.running().min_by_key(name).unwrap()
    }

    fn metric(&self, index: usize, name: &str) -> Option<f64> {
        let (_, body) = exchange(self.seats[index].web, "GET", "/metrics", "", b"")?;
        let text = String::from_utf8(body).unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(|value| value.parse().unwrap())
    }

    /// Waits until each instance has decided again, several times, what to tell: what was not told by then will not be.
    #[track_caller]
    pub fn decide_anew(&self) {
        let asked = |index| self.metric(index, "alertmanager_nflog_queries_total");
        let before: Vec<(usize, f64)> =
            self.running().map(|index| (index, asked(index).unwrap_or_default())).collect();
        for (index, before) in before {
            // A group whose last alert is resolved is gone, and nothing is left to decide.
            wait_for(&format!("decisions at {index}"), || {
                let groups = self.get(index, "/api/v2/alerts/groups")?;
                let done = asked(index)? >= before + 4.0 || groups.as_array()?.is_empty();
                done.then_some(())
            });
        }
    }

    /// Makes a silence on alerts of a name.
    pub fn silence(&self, index: usize, name: &str) -> String {
        let silence = json!({
            "matchers": [{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}],
            "startsAt": "2024-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z",
            "createdBy": "test", "comment": "quiet",
        });
        self.send(index, "POST", "/api/v2/silences", &silence)["silenceID"].as_str().unwrap().to_owned()
    }

    pub fn expire(&self, index: usize, id: &str) {
        let (status, _) =
            exchange(self.seats[index].web, "DELETE", &format!("/api/v2/silence/{id}"), "", b"").unwrap();
        assert_eq!(status, 200);
    }

    #[track_caller]
    pub fn wait_for_silence(&self, index: usize, id: &str, state: &str) {
        wait_for(&format!("silence {id} to be {state} at {index}"), || {
            let silence = self.get(index, &format!("/api/v2/silence/{id}"))?;
            (silence["status"]["state"] == state).then_some(())
        });
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        for index in 0..self.seats.len() {
            if std::thread::panicking() {
                let log = self.log(index);
                let last: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("--- log of {index}, latest first\n{}", last.join("\n"));
            }
            if let Some(mut child) = self.seats[index].child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
