//! Targets that mean harm.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use super::server::Home;
use super::target::{Target, respond};
use super::wait_for;

const MEBIBYTE: usize = 1 << 20;
/// What the memory of a server under attack stays below: four bodies of the largest size that is taken when
/// no limit is configured, and some.
const MEMORY_BYTES: u64 = (4 * 256 + 200) << 20;

/// A job, its own limit of the body, and what is said about it.
const JOBS: [(&str, &str, &[&str]); 12] = [
    ("endless", "", &["body size limit exceeded", "context deadline exceeded"]),
    ("endless-limited", "1MB", &["body size limit exceeded"]),
    ("silent", "", &["context deadline exceeded"]),
    ("gzip-bomb", "", &["body size limit exceeded"]),
    ("gzip-bomb-limited", "1MB", &["body size limit exceeded"]),
    ("zstd-bomb", "", &["body size limit exceeded"]),
    ("zstd-bomb-limited", "1MB", &["body size limit exceeded"]),
    ("utf8", "", &["UTF-8"]),
    ("label", "", &["label value"]),
    ("line", "", &["expected", "unexpected"]),
    ("braces", "", &["expected", "unexpected"]),
    ("cut", "", &["unexpected EOF"]),
];

fn config(target: &Target) -> String {
    let mut text = "global:\n  scrape_interval: 4s\n  scrape_timeout: 4s\nscrape_configs:\n".to_owned();
    for (path, limit) in JOBS.map(|(path, limit, _)| (path, limit)).into_iter().chain([("good", "")]) {
        write!(text, "- job_name: {path}\n  metrics_path: /{path}\n").unwrap();
        if !limit.is_empty() {
            writeln!(text, "  body_size_limit: {limit}").unwrap();
        }
        writeln!(text, "  static_configs:\n  - targets: ['{}']", target.address()).unwrap();
    }
    text
}

/// Half a gigabyte that is small on the wire.
fn gzip_bomb() -> &'static [u8] {
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        (0..512).for_each(|_| encoder.write_all(&vec![b'\n'; MEBIBYTE]).unwrap());
        encoder.finish().unwrap()
    });
    &BOMB
}

fn zstd_bomb() -> &'static [u8] {
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        (0..512).for_each(|_| encoder.write_all(&vec![b'\n'; MEBIBYTE]).unwrap());
        encoder.finish().unwrap()
    });
    &BOMB
}

fn endless(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\r\n");
    let lines = b"a_metric{with=\"labels\"} 12345\n".repeat(4096);
    while stream.write_all(&lines).is_ok() {}
}

fn silent(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx");
    // Until the client has had enough.
    let _ = stream.read(&mut [0]);
}

fn answer(stream: &mut TcpStream, path: &str) {
    static SCRAPES: AtomicU64 = AtomicU64::new(0);
    static LINE: OnceLock<Vec<u8>> = OnceLock::new();
    match path.trim_start_matches('/').trim_end_matches("-limited") {
        "endless" => endless(stream),
        "silent" => silent(stream),
        "gzip-bomb" => respond(stream, "content-encoding: gzip\r\n", gzip_bomb()),
        "zstd-bomb" => respond(stream, "content-encoding: zstd\r\n", zstd_bomb()),
        "utf8" => respond(stream, "", b"ok 1\nbad{a=\"\xff\xfe\"} 1\n"),
        "label" => {
            let value = "x".repeat(10 * MEBIBYTE);
            respond(stream, "", format!("huge{{value=\"{value}\"}} 1\n").as_bytes());
        }
        "line" => respond(stream, "", LINE.get_or_init(|| b"a".repeat(50 * MEBIBYTE))),
        "braces" => respond(stream, "", format!("odd{}\n", "{".repeat(100_000)).as_bytes()),
        "cut" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok 1\n");
        }
        _ => {
            let number = SCRAPES.fetch_add(1, Ordering::SeqCst);
            respond(stream, "", format!("good {number}\n").as_bytes());
        }
    }
}

#[test]
fn hostile_targets_are_down_with_a_reason_and_harm_nobody_else() {
    // Made before anybody waits for them.
    assert!(gzip_bomb().len() < 8 * MEBIBYTE && zstd_bomb().len() < 8 * MEBIBYTE);
    let target = Target::start(answer);
    let dir = tempfile::tempdir().unwrap();
    let server = Home::new(dir.path(), &config(&target)).start();
    for (path, _, reasons) in JOBS {
        let reason = wait_for(path, || {
            let target = server.target(&format!("/{path}"))?;
            (target["health"] != "unknown").then_some(target)
        });
        assert_eq!(reason["health"], "down", "{reason}");
        let text = reason["lastError"].as_str().unwrap();
        assert!(reasons.iter().any(|part| text.contains(part)), "{path}: {text}");
        assert!(text.len() < 2000, "{path} has an error of {} bytes", text.len());
    }
    let before = wait_for("the good target", || server.number("good"));
    wait_for("more scrapes of the good target", || (server.number("good")? >= before + 2.0).then_some(()));
    assert_eq!(server.number("sum(up)"), Some(1.0));
    assert_eq!(server.number("count(up)"), Some(JOBS.len() as f64 + 1.0));
    // Nothing of a body is kept when it is refused.
    assert_eq!(server.number("count({__name__=~\"ok|huge|a_metric|odd\"})"), None);
    let peak = server.peak_memory_bytes();
    assert!(peak < MEMORY_BYTES, "{} MiB", peak >> 20);
}
