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
        let address = free_address();
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

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
