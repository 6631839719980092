//! The embedded default as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::command;

/// `bartizan up`; dropping it kills it.
pub struct Up {
    child: Child,
    pub address: SocketAddr,
}

impl Up {
    /// Starts it with data in `dir` and its log at `dir/log`, and waits until it is ready.
    pub fn start<S: AsRef<std::ffi::OsStr>>(dir: &Path, flags: impl IntoIterator<Item = S>) -> Self {
        Self::start_at(free_address(), dir, flags)
    }

    /// As [`Up::start`], at an address of which others know.
    pub fn start_at<S: AsRef<std::ffi::OsStr>>(
        address: SocketAddr,
        dir: &Path,
        flags: impl IntoIterator<Item = S>,
    ) -> Self {
        let child = command()
            .arg("up")
            .arg(format!("--data-dir={}", dir.join("data").display()))
            .arg(format!("--listen-address={address}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let up = Self { child, address };
        wait_for("the server to be ready", || (up.ask("GET", "/-/ready", "", "")?.0 == 200).then_some(()));
        up
    }

    /// Status and body of an answer; `None` if there was none.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, String)> {
        let (status, body) = exchange(self.address, method, path, headers, body.as_bytes())?;
        Some((status, String::from_utf8(body).unwrap()))
    }
}

impl Up {
    /// The JSON of an answer that must be good.
    #[track_caller]
    pub fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.ask("GET", path, "", "").unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.ask("GET", "/metrics", "", "")?;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(|value| value.parse().unwrap())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
