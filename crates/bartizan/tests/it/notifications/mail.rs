//! A real mail server: aiosmtpd, from PyPI.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Prints its port, then each mail as one line of JSON; what differs from mail to mail is left out.
const SERVER: &str = r#"
import json, socket, sys
from email import message_from_bytes
from email.policy import default
from aiosmtpd.controller import Controller

class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=default)
        headers = {name: str(value) for name, value in mail.items()}
        told = {name: headers[name] for name in ("From", "To", "Subject", "X-Team", "MIME-Version") if name in headers}
        print(json.dumps({
            "hello": session.host_name, "from": envelope.mail_from, "to": envelope.rcpt_tos, "headers": told,
            "names": sorted(name for name in headers), "type": mail.get_content_type(),
            "parts": [[part.get_content_type(), part.get_content()] for part in mail.iter_parts()],
        }), flush=True)
        return "250 OK"

probe = socket.socket(); probe.bind(("127.0.0.1", 0)); port = probe.getsockname()[1]; probe.close()
controller = Controller(Handler(), hostname="127.0.0.1", port=port)
controller.start()
print(json.dumps(port), flush=True)
sys.stdin.read()
"#;

/// A running mail server; dropping it ends it.
pub struct MailServer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// Where it listens on loopback.
    pub port: u64,
}

impl MailServer {
    /// One for each Alertmanager; `None`, and a word about it, where there is no such server.
    pub fn start_all(test: &str) -> Option<[Self; 2]> {
        let python = python(test)?;
        Some([Self::start(&python), Self::start(&python)])
    }

    fn start(python: &Path) -> Self {
        let mut command = Command::new(python);
        let mut child =
            command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Self { child, lines, port: 0 };
        server.port = server.next().as_u64().unwrap();
        server
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// Waits for so many mails.
    pub fn received(&mut self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.next()).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(test: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python");
    let has = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import aiosmtpd"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = [tools, PathBuf::from("python3")].into_iter().find(has);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{test}: no Python with aiosmtpd");
        println!("skipped: {test}: no Python with aiosmtpd (make setup)");
    }
    found
}
