//! Both Alertmanagers, asked the same.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// The real one.
    Real,
    /// Ours.
    Ours,
}

impl Seat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Real, Self::Ours];

    /// A word for paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Ours => "ours",
        }
    }
}

/// Both at work; dropping them kills them.
pub struct Seats {
    running: Vec<(Seat, Child, SocketAddr)>,
    dir: tempfile::TempDir,
}

impl Seats {
    /// Starts both with their configurations and these templates; `None`, and a word about it, where there is no real one.
    pub fn start(test: &str, config: impl Fn(Seat) -> String, templates: &str) -> Option<Self> {
        let real = crate::support::program("prometheus-alertmanager", test)?;
        let dir = tempfile::tempdir().unwrap();
        let mut seats = Self { running: Vec::new(), dir };
        for seat in Seat::ALL {
            let home = seats.dir.path().join(seat.name());
            std::fs::create_dir(&home).unwrap();
            std::fs::write(home.join("alertmanager.yml"), config(seat)).unwrap();
            std::fs::write(home.join("told.tmpl"), templates).unwrap();
            let mut command = match seat {
                Seat::Real => Command::new(&real),
                Seat::Ours => crate::support::command(),
            };
            if seat == Seat::Ours {
                command.arg("alertmanager");
            }
            let (child, address) = launch(command, &home);
            seats.running.push((seat, child, address));
        }
        Some(seats)
    }

    /// Does something with each.
    pub fn each(&self, mut work: impl FnMut(Seat, SocketAddr)) {
        self.running.iter().for_each(|(seat, _, address)| work(*seat, *address));
    }

    /// Posts a document to both; what they answered.
    pub fn post_all(&self, path: &str, document: &Value) -> Vec<Value> {
        let mut answers = Vec::new();
        self.each(|_, address| answers.push(send(address, "POST", path, document)));
        answers
    }
}

fn launch(mut command: Command, home: &Path) -> (Child, SocketAddr) {
    let address = free_address();
    let log = std::fs::File::create(home.join("log")).unwrap();
    let mut child = command
        .arg(format!("--config.file={}", home.join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", home.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .args([
            "--cluster.listen-address=",
            "--web.external-url=http://am.example.org",
            "--web.route-prefix=/",
        ])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    wait_for("the Alertmanager", || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended: {}", std::fs::read_to_string(home.join("log")).unwrap());
        exchange(address, "GET", "/-/ready", "", b"").filter(|(status, _)| *status == 200)
    });
    (child, address)
}

/// Sends a request that must succeed; what was answered, if that was a document.
pub fn send(address: SocketAddr, method: &str, path: &str, document: &Value) -> Value {
    let body = if document.is_null() { String::new() } else { document.to_string() };
    let (status, answer) =
        exchange(address, method, path, "content-type: application/json\r\n", body.as_bytes()).unwrap();
    assert_eq!(status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer));
    serde_json::from_slice(&answer).unwrap_or_default()
}

impl Drop for Seats {
    fn drop(&mut self) {
        for (seat, child, _) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let log = std::fs::read_to_string(self.dir.path().join(seat.name()).join("log"));
                eprintln!("{seat:?} said:\n{}", log.unwrap_or_default());
            }
        }
    }
}
