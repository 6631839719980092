//! Remote writes: what a pushed sample costs the receiver.
//!
//! Bodies are prepared once. Before each round the generator moves their timestamps and values on in
//! place and compresses them; what that costs is its own and is not counted. As from a real sender, a request
//! holds one sample of each of its series, and each connection has its own series.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use wire::decompress::compress_snappy;
use wire::protobuf::{put_bytes, put_double, put_message, put_uint};

use crate::program::{Kind, Memory, Running, disk_bytes};
use crate::report::{self, Figures};
use crate::scenario::{BenchError, READY_LIMIT, fresh_dir, now_s, write_config};
use crate::shape::{self, Series};
use crate::{Receive, http};

/// Runs each program in turn.
pub fn run(options: &Receive) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for &kind in options.common.programs.iter().filter(|kind| kind.stores_samples()) {
        eprintln!("bench: {} ...", kind.name());
        let figures = one(kind, options)?;
        eprintln!("{}", serde_json::to_string(&figures)?);
        all.push(figures);
    }
    let setting = format!(
        "remote write 1.0: {} series over {} connections, {} samples a request, {} samples of each series {} s apart; \
         the first of them, which make the series, are measured apart",
        options.series, options.connections, options.samples_per_request, options.rounds, options.interval_s
    );
    report::publish("receive", &setting, &all, options.common.out.as_deref())
}

fn one(kind: Kind, options: &Receive) -> Result<Figures, BenchError> {
    let dir = fresh_dir(&options.common, kind)?;
    let data = dir.join("data");
    let config = write_config(&dir, 15, None)?;
    let mut program = Running::start_receiving(kind, &options.common.bartizan, &config, &data)?;
    let mut figures = Figures::new(kind);
    figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
    let mut load = Load::new(options, program.port, now_s() - options.rounds * options.interval_s)?;

    let before = program.cpu_seconds()?;
    load.rounds(0..1)?;
    std::thread::sleep(Duration::from_secs(options.settle_s));
    let after = program.cpu_seconds()?;
    figures.first_cpu_us_per_sample = (after - before) * 1e6 / options.series as f64;

    let started = Instant::now();
    load.rounds(1..options.rounds)?;
    let took_s = started.elapsed().as_secs_f64();
    // Some programs answer first and work later.
    std::thread::sleep(Duration::from_secs(options.settle_s));
    let cpu_s = program.cpu_seconds()? - after;
    figures.samples = options.series as u64 * (options.rounds - 1);
    figures.samples_per_s = figures.samples as f64 / took_s;
    figures.cpu_us_per_sample = cpu_s * 1e6 / figures.samples as f64;
    figures.memory = program.memory()?;
    figures.memory_bytes_per_series = per_series(figures.memory, options.series);
    figures.disk_bytes_per_sample =
        disk_bytes(&data)? as f64 / (options.series as u64 * options.rounds) as f64;
    figures.failed_requests = load.failed();
    check_count(&mut program, kind, options, &load.names)?;
    drop(program);
    if !options.keep {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(figures)
}

fn per_series(memory: Memory, series: usize) -> f64 {
    memory.rss_bytes as f64 / series as f64
}

/// Every sample must have arrived: a program that drops some would look cheap.
fn check_count(
    program: &mut Running,
    kind: Kind,
    options: &Receive,
    names: &BTreeSet<String>,
) -> Result<(), BenchError> {
    let expected = options.series as u64 * options.rounds;
    let count = |port| names.iter().map(|name| count_of(port, kind, options, name)).sum::<u64>();
    // Some programs show what they received a little later.
    let all_there = program.wait_for(Duration::from_secs(60), |port| count(port) == expected);
    all_there.map(drop).map_err(|_| {
        let found = count(program.port);
        BenchError::Answer(format!("{}: {found} samples stored of {expected}", kind.name()))
    })
}

/// Samples of one metric.
fn count_of(port: u16, kind: Kind, options: &Receive, name: &str) -> u64 {
    let range_s = options.rounds * options.interval_s + 3600;
    let query = format!("sum(count_over_time({name}{{job=\"load\"}}[{range_s}s]))");
    let path = format!("/api/v1/query?query={}&time={}{}", http::encode(&query), now_s(), kind.uncached());
    let result = http::query(port, &path).unwrap_or_default();
    result.first().and_then(|sample| sample["value"][1].as_str()?.parse().ok()).unwrap_or(0)
}

/// All connections and what they send.
struct Load {
    senders: Vec<Sender>,
    names: BTreeSet<String>,
    start_s: u64,
    interval_s: u64,
}

impl Load {
    fn new(options: &Receive, port: u16, start_s: u64) -> Result<Self, BenchError> {
        const SERIES_OF_A_TARGET: usize = 1000;
        let mut series = Vec::with_capacity(options.series);
        for target in 0.. {
            for one in shape::target(target, 0, SERIES_OF_A_TARGET).into_iter().flat_map(|block| block.series)
            {
                if series.len() < options.series {
                    series.push((target, one));
                }
            }
            if series.len() >= options.series {
                break;
            }
        }
        let name = |head: &str| head.split(['{', ' ']).next().unwrap_or_default().to_owned();
        let names = series.iter().map(|(_, one)| name(&one.head)).collect();
        let share = series.len().div_ceil(options.connections.max(1));
        let mut senders = Vec::new();
        for part in series.chunks(share) {
            let bodies = part.chunks(options.samples_per_request.max(1)).map(Body::new).collect();
            senders.push(Sender { connection: Connection::open(port)?, bodies, failed: 0 });
        }
        Ok(Self { senders, names, start_s, interval_s: options.interval_s })
    }

    /// Sends the samples of these rounds.
    fn rounds(&mut self, rounds: std::ops::Range<u64>) -> Result<(), BenchError> {
        let (start_s, interval_s) = (self.start_s, self.interval_s);
        std::thread::scope(|scope| {
            let running: Vec<_> = self
                .senders
                .iter_mut()
                .map(|sender| {
                    let rounds = rounds.clone();
                    scope.spawn(move || sender.send(rounds, start_s, interval_s))
                })
                .collect();
            for sender in running {
                sender.join().map_err(|_| BenchError::Answer("a sender panicked".to_owned()))??;
            }
            Ok(())
        })
    }

    fn failed(&self) -> u64 {
        self.senders.iter().map(|sender| sender.failed).sum()
    }
}

struct Sender {
    connection: Connection,
    bodies: Vec<Body>,
    failed: u64,
}

impl Sender {
    fn send(
        &mut self,
        rounds: std::ops::Range<u64>,
        start_s: u64,
        interval_s: u64,
    ) -> Result<(), BenchError> {
        for round in rounds {
            for body in &mut self.bodies {
                body.move_to(round * interval_s, start_s);
                let packed = compress_snappy(&body.bytes)
                    .map_err(|error| BenchError::Answer(format!("compressing a request: {error}")))?;
                let status = self.connection.post("/api/v1/write", &packed)?;
                self.failed += u64::from(!(200..300).contains(&status));
            }
        }
        Ok(())
    }
}

/// One request, its samples at known places.
struct Body {
    bytes: Vec<u8>,
    series: Vec<Series>,
    /// Where the value of each sample stands; its timestamp stands right behind.
    places: Vec<usize>,
}

/// The integers of timestamps of this age take six bytes.
const TIMESTAMP_BYTES: usize = 6;

impl Body {
    fn new(part: &[(usize, Series)]) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (target, series) in part {
            put_message(&mut bytes, 1, |out| {
                for (name, value) in labels(&series.head, *target) {
                    put_message(out, 1, |out| {
                        put_bytes(out, 1, name.as_bytes());
                        put_bytes(out, 2, value.as_bytes());
                    });
                }
                put_message(out, 2, |out| {
                    put_double(out, 1, 0.5);
                    put_uint(out, 2, 1_700_000_000_000);
                });
            });
            ends.push(bytes.len());
        }
        // The sample ends its series: eight bytes of value, a key, and the timestamp.
        let places = ends.into_iter().map(|end| end - TIMESTAMP_BYTES - 1 - 8).collect();
        Self { bytes, series: part.iter().map(|(_, series)| series.clone()).collect(), places }
    }

    fn move_to(&mut self, elapsed_s: u64, start_s: u64) {
        let t_ms = (start_s + elapsed_s) * 1000 + 123;
        let mut timestamp = [0; TIMESTAMP_BYTES];
        for (i, byte) in timestamp.iter_mut().enumerate() {
            let more = if i + 1 < TIMESTAMP_BYTES { 0x80 } else { 0 };
            *byte = (t_ms >> (7 * i)) as u8 & 0x7f | more;
        }
        for (series, &at) in self.series.iter().zip(&self.places) {
            self.bytes[at..at + 8].copy_from_slice(&series.value(elapsed_s as f64).to_bits().to_le_bytes());
            self.bytes[at + 9..at + 9 + TIMESTAMP_BYTES].copy_from_slice(&timestamp);
        }
    }
}

/// The labels of a series as a server that scraped it sends them, sorted.
fn labels(head: &str, target: usize) -> Vec<(String, String)> {
    let head = head.trim_end();
    let (name, rest) = head.split_once('{').unwrap_or((head, ""));
    let mut labels = vec![
        ("__name__".to_owned(), name.to_owned()),
        ("cluster".to_owned(), "production-eu-1".to_owned()),
        ("instance".to_owned(), format!("10.4.{}.{}:9090", target / 250, target % 250)),
        ("job".to_owned(), "load".to_owned()),
        ("prometheus".to_owned(), "monitoring/k8s".to_owned()),
        ("prometheus_replica".to_owned(), "prometheus-k8s-0".to_owned()),
    ];
    for pair in rest.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty()) {
        if let Some((name, value)) = pair.split_once("=\"") {
            labels.push((name.to_owned(), value.trim_end_matches('"').to_owned()));
        }
    }
    labels.sort();
    labels
}

/// A connection that is kept.
pub struct Connection {
    stream: BufReader<TcpStream>,
    port: u16,
}

impl Connection {
    /// Connects to a server on loopback.
    pub fn open(port: u16) -> Result<Self, BenchError> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), port })
    }

    /// Sends a request; the status of the answer.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Result<u16, BenchError> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/x-protobuf\r\n\
             Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| BenchError::Answer(format!("no status: {line:?}")))?;
        let mut content_len = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(len) = header.strip_prefix("content-length:") {
                content_len = len.trim().parse().unwrap_or(0);
            }
        }
        let mut content = vec![0; content_len];
        self.stream.read_exact(&mut content)?;
        if status >= 300 {
            eprintln!("bench: {status}: {}", String::from_utf8_lossy(&content).trim_end());
        }
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_moved_in_place() {
        let part: Vec<_> = shape::target(3, 0, 50)
            .into_iter()
            .flat_map(|block| block.series)
            .map(|series| (3, series))
            .collect();
        let mut body = Body::new(&part);
        body.move_to(30, 1_700_000_000);
        let mut memory = base::ByteBudget::unlimited().reserve(0).expect("there is no limit");
        let message = wire::remote_write::MessageType::V1;
        let request =
            wire::remote_write::decode::decode(message, &body.bytes, &mut memory).expect("it is one");
        assert_eq!(request.len(), part.len());
        for (i, (_, series)) in part.iter().enumerate() {
            let sample = request.series(i).samples()[0];
            assert_eq!(sample.t_ms, 1_700_000_030_123);
            assert_eq!(sample.value.to_bits(), series.value(30.0).to_bits());
        }
    }
}
