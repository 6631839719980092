//! Serves the generated targets over HTTP on one loopback port: target `i` at `/t/i`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::shape::{self, Block};

/// A running server of targets; stops accepting when dropped.
pub struct Targets {
    shared: Arc<Shared>,
    port: u16,
}

struct Shared {
    targets: usize,
    series_per_target: usize,
    churn_percent: u64,
    start: Instant,
    samples_served: AtomicU64,
    scrapes_served: AtomicU64,
    stop: AtomicBool,
}

impl Targets {
    /// Starts serving `series` series over `targets` targets.
    pub fn serve(series: usize, targets: usize, churn_percent: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            targets,
            series_per_target: series.div_ceil(targets),
            churn_percent,
            start: Instant::now(),
            samples_served: AtomicU64::new(0),
            scrapes_served: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { shared, port })
    }

    /// Samples handed out so far.
    pub fn samples_served(&self) -> u64 {
        self.shared.samples_served.load(Ordering::Relaxed)
    }

    /// Scrapes answered so far.
    pub fn scrapes_served(&self) -> u64 {
        self.shared.scrapes_served.load(Ordering::Relaxed)
    }

    /// Writes the file-discovery document that names all targets.
    pub fn write_discovery(&self, path: &Path) -> std::io::Result<()> {
        let groups: Vec<_> = (0..self.shared.targets)
            .map(|i| {
                json!({
                    "targets": [format!("127.0.0.1:{}", self.port)],
                    "labels": {
                        "__metrics_path__": format!("/t/{i}"),
                        "instance": format!("10.{}.{}.{}:8080", i >> 16, (i >> 8) & 255, i & 255),
                        "cluster": "prod-eu-1",
                        "zone": format!("eu-1{}", ["a", "b", "c"][i % 3]),
                    },
                })
            })
            .collect();
        std::fs::write(path, serde_json::to_vec(&groups)?)
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread so that it sees the flag; a failure means it is gone already.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = shared.clone();
        let spawned = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            // A scraper that hangs up ends its connection's thread, nothing else.
            let _ = answer(stream, &shared);
        });
        if let Err(error) = spawned {
            eprintln!("bench: cannot serve a connection: {error}");
        }
    }
}

/// Answers the requests of one keep-alive connection, one after another.
fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut line = String::new();
    let mut known: Option<(usize, u64, Vec<Block>)> = None;
    let mut body = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let target: usize =
            line.split(' ').nth(1).and_then(|path| path.strip_prefix("/t/")?.parse().ok()).unwrap_or(0);
        while reader.read_line(&mut line)? > 2 {}
        let elapsed_s = shared.start.elapsed().as_secs_f64();
        let generation = shared.generation(target, elapsed_s);
        if known.as_ref().is_none_or(|(t, g, _)| (*t, *g) != (target, generation)) {
            known = Some((target, generation, shape::target(target, generation, shared.series_per_target)));
        }
        let Some((_, _, blocks)) = &known else { continue };
        body.clear();
        let samples = render(blocks, elapsed_s, &mut body);
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        writer.write_all(&body)?;
        shared.samples_served.fetch_add(samples, Ordering::Relaxed);
        shared.scrapes_served.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Which generation of pods a target shows: each minute another `churn_percent` of the targets move on.
    fn generation(&self, target: usize, elapsed_s: f64) -> u64 {
        if self.churn_percent == 0 {
            return 0;
        }
        let minutes = (elapsed_s / 60.0) as u64;
        let period_minutes = 100 / self.churn_percent.clamp(1, 100);
        (minutes + period_minutes - 1 - target as u64 % period_minutes) / period_minutes
    }
}

fn render(blocks: &[Block], elapsed_s: f64, body: &mut Vec<u8>) -> u64 {
    let (mut whole, mut fraction) = (itoa::Buffer::new(), ryu::Buffer::new());
    let mut samples = 0;
    for block in blocks {
        body.extend_from_slice(block.meta.as_bytes());
        for series in &block.series {
            body.extend_from_slice(series.head.as_bytes());
            let value = series.value(elapsed_s);
            let text = if value.fract() == 0.0 && value.abs() < 1e15 {
                whole.format(value as i64)
            } else {
                fraction.format(value)
            };
            body.extend_from_slice(text.as_bytes());
            body.push(b'\n');
        }
        samples += block.series.len() as u64;
    }
    samples
}
