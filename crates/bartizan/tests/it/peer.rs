//! Real programs beside ours, and what both are asked and told over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use crate::faults::server::Server;
use crate::faults::{DEADLINE, wait_for};

/// A real Prometheus; dropping it kills it.
pub struct Prometheus {
    child: Child,
    pub address: SocketAddr,
}

impl Prometheus {
    /// Starts it with this configuration; `None`, and a word about it, where it is not installed.
    pub fn start(test: &str, dir: &Path, config: &str, flags: &[&str]) -> Option<Self> {
        let program = crate::support::program("prometheus", test)?;
        std::fs::create_dir_all(dir).unwrap();
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let address = free_address();
        // Distributions have defaults of their own.
        let is_agent = flags.contains(&"--enable-feature=agent");
        let mut child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--web.listen-address={address}"))
            .args((!is_agent).then(|| format!("--storage.tsdb.path={}", dir.join("data").display())))
            .args(flags)
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for("the real prometheus to be ready", || {
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(dir.join("log")).unwrap();
            assert!(ended.is_none(), "the real prometheus ended: {}", log());
            let (status, _) = exchange(address, "GET", "/-/ready", "", &[])?;
            (status == 200).then_some(())
        });
        Some(Self { child, address })
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address nobody listens on, and nobody is given by the system: those are above.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    // Tests that run at once in other processes begin elsewhere.
    let own = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let next = (own + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", FIRST + next)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// Something that answers Prometheus's API.
pub trait Api {
    fn at(&self) -> SocketAddr;

    /// The JSON of an answer.
    #[track_caller]
    fn json(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let params = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let (_, body) = exchange(self.at(), "GET", &format!("/api/v1/{path}?{params}"), "", &[]).unwrap();
        serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
    }

    /// The series of a range query, in the order of their labels, and the warnings.
    #[track_caller]
    fn range(&self, query: &str, start_s: i64, end_s: i64, step_s: i64) -> (Vec<Value>, Value) {
        let (start, end, step) = (start_s.to_string(), end_s.to_string(), step_s.to_string());
        let json =
            self.json("query_range", &[("query", query), ("start", &start), ("end", &end), ("step", &step)]);
        assert_eq!(json["status"], "success", "{query}: {json}");
        let mut found = json["data"]["result"].as_array().unwrap().clone();
        found.sort_by_key(|series| series["metric"].to_string());
        (found, json["warnings"].clone())
    }
}

impl Api for Prometheus {
    fn at(&self) -> SocketAddr {
        self.address
    }
}

impl Api for Server {
    fn at(&self) -> SocketAddr {
        self.address()
    }
}

/// Sends a request; the status and the body of the answer, unless nobody answers.
pub fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    // An answer to this version is not cut in chunks.
    let head =
        format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_off(end + 4)))
}

/// The file of a directory that must be there.
pub fn below(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path
}
