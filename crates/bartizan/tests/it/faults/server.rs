//! The program as a running server.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use super::{DEADLINE, wait_for};

/// Where a server keeps its configuration and its data.
pub struct Home {
    pub config: PathBuf,
    pub data: PathBuf,
    flags: Vec<String>,
    agent: bool,
}

impl Home {
    /// A home in `dir` with this configuration.
    pub fn new(dir: &Path, config: &str) -> Self {
        let path = dir.join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        Self { config: path, data: dir.join("data"), flags: Vec::new(), agent: false }
    }

    /// The same with its data elsewhere.
    pub fn data(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data = dir.into();
        self
    }

    /// The same in agent mode.
    pub fn agent(mut self) -> Self {
        self.agent = true;
        self
    }

    /// The same with another flag.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Starts the program and waits until it is ready.
    #[track_caller]
    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|(status, log)| panic!("the server ended with {status}: {log}"))
    }

    /// Starts the program; how it ended and what it said if it does not become ready.
    #[track_caller]
    pub fn try_start(&self) -> Result<Server, (ExitStatus, String)> {
        let mut server = self.launch();
        let ended = wait_for("the server to be ready", || {
            if let Some(status) = server.child.try_wait().unwrap() {
                return Some(Some(status));
            }
            server.address = server.listening()?;
            (server.get("/-/ready")?.0 == 200).then_some(None)
        });
        match ended {
            None => Ok(server),
            Some(status) => Err((status, server.whole_log())),
        }
    }

    /// Starts the program and waits until it listens.
    #[track_caller]
    pub fn start_listening(&self) -> Server {
        let mut server = self.launch();
        server.address = wait_for("the server to listen", || server.listening());
        server
    }

    fn launch(&self) -> Server {
        let mut child = crate::support::command()
            .arg("prometheus")
            .arg(format!("--config.file={}", self.config.display()))
            .args(self.agent.then_some("--agent"))
            .arg(format!(
                "--storage.{}.path={}",
                if self.agent { "agent" } else { "tsdb" },
                self.data.display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(&self.flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (log, reader) = follow(&mut child);
        Server { child, address: ([127, 0, 0, 1], 0).into(), log, reader: Some(reader) }
    }
}

/// Reads what the program logs, so that it never waits for a reader.
fn follow(child: &mut Child) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let log = Arc::new(Mutex::new(String::new()));
    let (lines, into) = (BufReader::new(child.stderr.take().unwrap()).lines(), log.clone());
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            writeln!(into.lock().unwrap(), "{line}").unwrap();
        }
    });
    (log, reader)
}

/// The status and body of an answer, if there was one.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // An answer to this version is not cut in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A running server; dropping it kills it.
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    fn listening(&self) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("msg=listening"))?;
        line.rsplit_once("address=")?.1.trim().parse().ok()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a line is logged that has all of this; a query may be answered before it is read here.
    #[track_caller]
    pub fn wait_for_log(&self, parts: &[&str]) {
        let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
        wait_for(&format!("{parts:?} to be logged"), || self.log().lines().any(has_all).then_some(()));
    }

    /// The whole log of a process that ended.
    fn whole_log(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.log()
    }

    /// The status and body of an answer, if there was one.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.address, path)
    }

    /// The status and the body of an answer of the API.
    #[track_caller]
    pub fn get_api(&self, path: &str, params: &[(&str, &str)]) -> (u16, String) {
        let params = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        self.get(&format!("/api/v1/{path}?{params}")).expect("the server answers")
    }

    /// The status and the JSON of an answer of the API.
    #[track_caller]
    pub fn api(&self, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        let (status, body) = self.get_api(path, params);
        let json = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {status} {body}"));
        (status, json)
    }

    /// The whole answer to an instant query, which must succeed.
    #[track_caller]
    pub fn answer(&self, query: &str) -> Value {
        let (status, json) = self.api("query", &[("query", query)]);
        assert_eq!(status, 200, "{query}: {json}");
        json
    }

    /// The series an instant query finds.
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<Value> {
        self.answer(query)["data"]["result"].as_array().unwrap().clone()
    }

    /// The one number an instant query finds, if it finds any.
    #[track_caller]
    pub fn number(&self, query: &str) -> Option<f64> {
        let found = self.query(query);
        assert!(found.len() <= 1, "{query}: {found:?}");
        Some(found.first()?["value"][1].as_str().unwrap().parse().unwrap())
    }

    /// The sum of the values of a metric the server publishes about itself.
    #[track_caller]
    pub fn own_metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").expect("the server answers");
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        text.lines().filter(is_it).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// The state of the target whose address ends in this path.
    #[track_caller]
    pub fn target(&self, path: &str) -> Option<Value> {
        let (_, json) = self.api("targets", &[("state", "active")]);
        let targets = json["data"]["activeTargets"].as_array().unwrap();
        targets.iter().find(|target| target["scrapeUrl"].as_str().unwrap().ends_with(path)).cloned()
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// Memory in use now.
    pub fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that was ever in use.
    pub fn peak_memory_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Ends the process with no chance to do anything about it.
    #[track_caller]
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    /// Asks the process to end; returns how it did, and its log.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        (status, self.whole_log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
