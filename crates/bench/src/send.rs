//! Remote write to a sink that only counts: what sending a sample adds to scraping and storing it.
//!
//! Each program runs twice on the same load, with and without a destination. The difference of CPU time is the
//! sender's. The sink answers 204 to everything and looks into the bodies, so that nobody saves work by sending less.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wire::decompress::{Compression, SizeLimit, decompress};
use wire::protobuf::{Reader, Schema};

use crate::Send;
use crate::program::{Kind, Running};
use crate::report::{self, Figures};
use crate::scenario::{BenchError, READY_LIMIT, fresh_dir, write_config};
use crate::targets::Targets;

/// Runs each program in turn.
pub fn run(options: &Send) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for &kind in options.common.programs.iter().filter(|kind| kind.reads_prometheus_config()) {
        eprintln!("bench: {} ...", kind.name());
        let without = one(kind, options, false)?;
        let with = one(kind, options, true)?;
        let mut figures = with.figures;
        let per_sample = |run: f64, samples: u64| run * 1e6 / samples as f64;
        figures.cpu_us_per_sample = per_sample(without.cpu_s, without.figures.samples);
        // Both runs are charged for the samples they scraped: the rest is what sending cost.
        let storing_s = without.cpu_s * figures.samples as f64 / without.figures.samples as f64;
        figures.sender_cpu_us_per_sample = per_sample(with.cpu_s - storing_s, with.sent);
        figures.sent_bytes_per_sample = with.bytes as f64 / with.sent as f64;
        eprintln!("{}", serde_json::to_string(&figures)?);
        all.push(figures);
    }
    let setting = format!(
        "remote write to a sink that answers 204: {} series on {} targets, scraped every {} s; {} s of warm-up, {} s \
         measured, once with and once without a destination; {}",
        options.series,
        options.targets,
        options.interval_s,
        options.warmup_s,
        options.duration_s,
        if options.remote_write.is_empty() { "default settings" } else { &options.remote_write }
    );
    report::publish("send", &setting, &all, options.common.out.as_deref())
}

struct Outcome {
    figures: Figures,
    cpu_s: f64,
    sent: u64,
    bytes: u64,
}

fn one(kind: Kind, options: &Send, sends: bool) -> Result<Outcome, BenchError> {
    let dir = fresh_dir(&options.common, kind)?;
    let data = dir.join("data");
    let targets = Targets::serve(options.series, options.targets, 0)?;
    let config = write_config(&dir, options.interval_s, Some(&targets))?;
    let sink = Sink::serve()?;
    if sends {
        add_destination(&config, sink.port, &options.remote_write)?;
    }
    let mut program = Running::start(kind, &options.common.bartizan, &config, &data)?;
    let mut figures = Figures::new(kind);
    figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
    std::thread::sleep(std::time::Duration::from_secs(options.warmup_s));
    let (cpu, served) = (program.cpu_seconds()?, targets.samples_served());
    let (sent, bytes) = sink.counts();
    std::thread::sleep(std::time::Duration::from_secs(options.duration_s));
    let cpu_s = program.cpu_seconds()? - cpu;
    figures.samples = targets.samples_served() - served;
    figures.samples_per_s = figures.samples as f64 / options.duration_s as f64;
    figures.memory = program.memory()?;
    figures.memory_bytes_per_series = figures.memory.rss_bytes as f64 / options.series as f64;
    let (sent_after, bytes_after) = sink.counts();
    let outcome = Outcome { figures, cpu_s, sent: sent_after - sent, bytes: bytes_after - bytes };
    if sends && outcome.sent < outcome.figures.samples * 9 / 10 {
        let (sent, served) = (outcome.sent, outcome.figures.samples);
        return Err(BenchError::Answer(format!("{}: {sent} samples sent of {served}", kind.name())));
    }
    drop(program);
    std::fs::remove_dir_all(&dir)?;
    Ok(outcome)
}

fn add_destination(config: &Path, port: u16, settings: &str) -> Result<(), BenchError> {
    let mut text = std::fs::read_to_string(config)?;
    text.push_str(&format!("remote_write:\n  - url: http://127.0.0.1:{port}/api/v1/write\n"));
    for line in settings.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str(&format!("    {line}\n"));
    }
    Ok(std::fs::write(config, text)?)
}

/// A receiver that counts; stops accepting when dropped.
struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    samples: AtomicU64,
    bytes: AtomicU64,
    stop: AtomicBool,
}

impl Sink {
    fn serve() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = accepting.clone();
                // A sender that hangs up ends its connection's thread, nothing else.
                std::thread::spawn(move || drop(answer(stream, &shared)));
            }
        });
        Ok(Self { port, shared })
    }

    /// Samples and bytes so far.
    fn counts(&self) -> (u64, u64) {
        (self.shared.samples.load(Ordering::Relaxed), self.shared.bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread so that it sees the flag; a failure means it is gone already.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let (mut line, mut body, mut raw) = (String::new(), Vec::new(), Vec::new());
    loop {
        let (mut length, mut is_v2) = (0, false);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            is_v2 |= header.contains("io.prometheus.write.v2.request");
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        raw.clear();
        let limit = SizeLimit { name: "body", bytes: 256 << 20 };
        let series = match decompress(Compression::SnappyBlock, &body, limit, &mut raw) {
            Ok(()) => count_series(&raw, if is_v2 { 5 } else { 1 }),
            Err(_) => 0,
        };
        if series > 0 {
            shared.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        shared.samples.fetch_add(series, Ordering::Relaxed);
        let headers = format!("X-Prometheus-Remote-Write-Samples-Written: {series}\r\n");
        let headers = if is_v2 { headers.as_str() } else { "" };
        writer.write_all(format!("HTTP/1.1 204 No Content\r\n{headers}\r\n").as_bytes())?;
    }
}

static REQUEST: Schema = Schema { message: "request", fields: &[] };

/// Series of a request; senders put one sample into each.
fn count_series(raw: &[u8], series_field: u32) -> u64 {
    let (mut reader, mut count) = (Reader::new(raw, &REQUEST), 0);
    while let Ok(Some(field)) = reader.field() {
        count += u64::from(field == series_field);
        if reader.skip().is_err() {
            return 0;
        }
    }
    count
}
