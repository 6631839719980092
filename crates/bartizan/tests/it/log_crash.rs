//! kill -9 of the whole program while logs are pushed: what it acknowledged is there once after it is started again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::Clock;
use serde_json::Value;

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::command;

/// Who pushes at once.
const SENDERS: usize = 4;
/// Lines of one push.
const LINES: usize = 5;
/// After so many pushes each life of the program ends.
const PUSHES: [usize; 4] = [40, 90, 15, 120];

/// `bartizan up`; dropping it kills it.
struct Up {
    child: Child,
    address: SocketAddr,
}

impl Up {
    fn start(dir: &Path) -> Self {
        let address = free_address();
        let child = command()
            .args(["up", "--no-host-logs", "--data-dir"])
            .arg(dir)
            .arg(format!("--listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let up = Self { child, address };
        // Queries are refused until the log was read.
        wait_for("the server to be ready", || {
            let (status, _) = exchange(up.address, "GET", "/loki/api/v1/labels", "", b"")?;
            (status == 200).then_some(())
        });
        up
    }
}

impl Up {
    /// Ends it by force: at once, or in the midst of what it does when it is asked to end, which is to store everything.
    fn end(mut self, asks_first: bool, dir: &Path) {
        if asks_first {
            let before = files_below(dir);
            let pid = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            wait_for("something to be stored", || {
                let has_ended = self.child.try_wait().unwrap().is_some();
                (has_ended || files_below(dir) > before).then_some(())
            });
        }
    }
}

/// How many files the bucket of logs has.
fn files_below(dir: &Path) -> usize {
    let days = std::fs::read_dir(dir.join("logs/bucket/logs/v1/anonymous")).into_iter().flatten();
    let files = days.flatten().filter_map(|day| Some(std::fs::read_dir(day.path()).ok()?.count()));
    files.sum()
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was sent, and what of it was acknowledged.
#[derive(Default)]
struct Ledger {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

/// Pushes lines until the program is dead. Some are of another day, so that a flush makes several objects.
fn push_on(
    address: SocketAddr,
    sender: usize,
    round: usize,
    first_ns: i64,
    ledger: &Mutex<Ledger>,
    done: &AtomicUsize,
) {
    for push in 0.. {
        let line = |n: usize| format!("sender {sender} round {round} push {push} line {n}");
        let lines: Vec<String> = (0..LINES).map(line).collect();
        let days_back = (push % 3) as i64;
        let value = |(n, line): (usize, &String)| {
            let time = first_ns + (push * LINES + n) as i64 - days_back * 86_400_000_000_000;
            serde_json::json!([time.to_string(), line])
        };
        let values: Vec<Value> = lines.iter().enumerate().map(value).collect();
        let stream = serde_json::json!({"app": "crash", "sender": sender.to_string()});
        let body = serde_json::json!({"streams": [{"stream": stream, "values": values}]}).to_string();
        ledger.lock().unwrap().sent.extend(lines.iter().cloned());
        let json = "content-type: application/json\r\n";
        match exchange(address, "POST", "/loki/api/v1/push", json, body.as_bytes()) {
            Some((204, _)) => ledger.lock().unwrap().acknowledged.extend(lines),
            // It was asked to end.
            Some((503 | 500, _)) => return,
            Some((status, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
            None => return,
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// All lines of a sender, as often as they are there.
fn lines_of(address: SocketAddr, sender: usize, first_ns: i64) -> Vec<String> {
    let (start, end) = (first_ns - 4 * 86_400_000_000_000, first_ns + 3_600_000_000_000);
    let query = format!("{{app=\"crash\", sender=\"{sender}\"}}");
    let pairs = [
        ("query", query.as_str()),
        ("start", &start.to_string()),
        ("end", &end.to_string()),
        ("limit", "5000"),
    ];
    let params = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let path = format!("/loki/api/v1/query_range?{params}");
    let (status, body) = exchange(address, "GET", &path, "", b"").expect("the server answers");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let json: Value = serde_json::from_slice(&body).unwrap();
    let streams = json["data"]["result"].as_array().unwrap();
    let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap());
    let lines: Vec<String> = values.map(|value| value[1].as_str().unwrap().to_owned()).collect();
    assert!(lines.len() < 5000, "the test asks for fewer than there may be");
    lines
}

#[test]
fn acknowledged_lines_outlive_kills_of_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let first_ns = base::SystemClock::new().now_ms() * 1_000_000;
    let ledger = Mutex::new(Ledger::default());
    for (round, pushes) in PUSHES.into_iter().enumerate() {
        let up = Up::start(dir.path());
        let (address, done) = (up.address, AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (ledger, done) = (&ledger, &done);
                scope.spawn(move || {
                    push_on(address, sender, round, first_ns + round as i64 * 1_000_000_000, ledger, done)
                });
            }
            wait_for("pushes to be acknowledged", || (done.load(Ordering::Relaxed) >= pushes).then_some(()));
            up.end(round % 2 == 1, dir.path());
        });
        let up = Up::start(dir.path());
        let ledger = ledger.lock().unwrap();
        let mut stored = BTreeSet::new();
        for line in (0..SENDERS).flat_map(|sender| lines_of(up.address, sender, first_ns)) {
            assert!(ledger.sent.contains(&line), "nobody sent {line:?}");
            assert!(stored.insert(line.clone()), "round {round}: {line:?} is there twice");
        }
        let lost: Vec<_> = ledger.acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        assert!(ledger.acknowledged.len() >= pushes * LINES);
    }
    assert!(files_below(dir.path()) > 0, "nothing ever came to the bucket");
}
