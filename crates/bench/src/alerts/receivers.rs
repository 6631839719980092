//! Who is told: a webhook receiver that counts, and a mail server that says when it accepted a mail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::scenario::BenchError;

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

/// A receiver of webhooks that takes everything.
pub struct Hook {
    /// The loopback port it listens on.
    pub port: u16,
    requests: Arc<AtomicUsize>,
}

impl Hook {
    /// Serves until the process ends.
    pub fn serve() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = counted.clone();
                // One that hangs up ends its connection's thread, nothing else.
                std::thread::spawn(move || answer(stream, &counted).ok());
            }
        });
        Ok(Self { port, requests })
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits until there were so many requests.
    pub fn wait_for(&self, requests: usize, limit: Duration) -> Result<(), BenchError> {
        let began = Instant::now();
        while self.requests() < requests {
            if began.elapsed() > limit {
                let got = self.requests();
                return Err(BenchError::Answer(format!(
                    "{got} notifications after {limit:?}, not {requests}"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until no request came for so long.
    pub fn wait_quiet(&self, quiet: Duration) {
        let (mut seen, mut since) = (self.requests(), Instant::now());
        while since.elapsed() < quiet {
            std::thread::sleep(Duration::from_millis(50));
            if self.requests() != seen {
                (seen, since) = (self.requests(), Instant::now());
            }
        }
    }
}

fn answer(stream: TcpStream, counted: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        counted.fetch_add(1, Ordering::Relaxed);
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// Prints its port, then the time each mail was accepted at, in milliseconds since the Unix epoch.
const SERVER: &str = r#"
import socket, sys, time
from aiosmtpd.controller import Controller

class Handler:
    async def handle_DATA(self, server, session, envelope):
        print(time.time() * 1000, flush=True)
        return "250 OK"

probe = socket.socket(); probe.bind(("127.0.0.1", 0)); port = probe.getsockname()[1]; probe.close()
controller = Controller(Handler(), hostname="127.0.0.1", port=port)
controller.start()
print(port, flush=True)
sys.stdin.read()
"#;

/// A running aiosmtpd; ended when dropped.
pub struct MailServer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// The loopback port it listens on.
    pub port: u16,
}

impl MailServer {
    /// Starts it with a Python that has the library.
    pub fn start(python: &Path) -> Result<Self, BenchError> {
        let mut command = Command::new(python);
        let child = command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            child.map_err(|error| BenchError::Start("python with aiosmtpd (make setup)", error))?;
        let Some(out) = child.stdout.take() else {
            return Err(BenchError::Answer("the mail server has no output".into()));
        };
        let mut server = Self { child, lines: BufReader::new(out).lines(), port: 0 };
        server.port = server.next()? as u16;
        Ok(server)
    }

    fn next(&mut self) -> Result<f64, BenchError> {
        let line = self.lines.next().transpose()?.unwrap_or_default();
        line.trim().parse().map_err(|_| BenchError::Answer(format!("the mail server said {line:?}")))
    }

    /// Waits for the next mail; when it was accepted.
    pub fn next_accepted_ms(&mut self) -> Result<f64, BenchError> {
        self.next()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
