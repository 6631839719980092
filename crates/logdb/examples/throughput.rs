//! How fast entries go in, are scanned and are found: `throughput DIRECTORY MEGABYTES [access|json|diverse]`.
//!
//! Prints one figure a line, each beside what zstd and a search alone take on the same machine.

#![allow(clippy::disallowed_methods, reason = "a program that measures time")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base::SystemClock;
use base::metrics::Registry;
use blob::LocalBucket;
use logdb::wal::LocalDisk;
use logdb::{LogDb, Options, Retention};
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppender, LogBatch, LogColumns, LogEntry, LogHint, LogRange, LogRequest, LogSource};
use model::source::TenantId;

const START_NS: i64 = 1_768_435_200_000_000_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        // Some are far more frequent than others, as in life.
        let n = choices.len() as u64;
        let (a, b) = (self.next() % n, self.next() % n);
        choices[a.min(b) as usize]
    }
}

fn line(kind: &str, random: &mut Random, second: u64) -> String {
    let clock = format!("{:02}:{:02}:{:02}", second / 3600 % 24, second / 60 % 60, second % 60);
    match kind {
        "access" => format!(
            "{}.{}.{}.{} - - [15/Jan/2026:{clock} +0000] \"{} {}/{} HTTP/1.1\" {} {} \"-\" \"{}\" {:.3}",
            random.next() % 223 + 1, random.next() % 256, random.next() % 256, random.next() % 256,
            random.of(&["GET", "POST", "PUT"]),
            random.of(&["/api/v1/items", "/static/js", "/login", "/api/v2/users", "/health", "/search"]),
            random.next() % 5000,
            random.of(&["200", "304", "404", "500", "301"]),
            random.next() % 30_000,
            random.of(&[
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0",
                "curl/8.5.0",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
            ]),
            (random.next() % 4000) as f64 / 1000.0,
        ),
        "json" => format!(
            "{{\"time\":\"2026-01-15T{clock}Z\",\"level\":\"{}\",\"msg\":\"{}\",\"request_id\":\"{:016x}\",\"user\":{},\"duration_ms\":{},\"path\":\"{}\"}}",
            random.of(&["info", "debug", "warn", "error"]),
            random.of(&["request handled", "cache miss", "connection reset by peer", "retrying upstream call"]),
            random.next(), random.next() % 100_000, random.next() % 3000,
            random.of(&["/v1/orders", "/v1/orders/items", "/v1/cart", "/healthz"]),
        ),
        _ => {
            let words: Vec<String> = (0..8 + random.next() % 12).map(|_| format!("{:x}", random.next() >> (random.next() % 50))).collect();
            words.join(" ")
        }
    }
}

fn batch(kind: &str, random: &mut Random, n: &mut u64, megabytes: u64) -> (Vec<LogBatch>, u64) {
    let mut bytes = 0;
    let mut batches: Vec<LogBatch> = (0..10)
        .map(|i| LogBatch {
            stream: Labels::from_pairs([
                ("app", kind.to_owned()),
                ("pod", format!("pod-{i}")),
                ("namespace", "prod".into()),
            ]),
            entries: Vec::new(),
        })
        .collect();
    // The whole set is spread over a day.
    let gap_ns = 86_000_000_000_000 / (megabytes * 6000).max(1) as i64;
    while bytes < 1 << 20 {
        let timestamp_ns = START_NS + *n as i64 * gap_ns + (random.next() % 1000) as i64;
        let line = line(kind, random, (timestamp_ns - START_NS) as u64 / 1_000_000_000);
        bytes += line.len() as u64;
        let level: Arc<str> = random.of(&["info", "warn", "error"]).into();
        let entry =
            LogEntry { timestamp_ns, line: line.into(), metadata: vec![("detected_level".into(), level)] };
        batches[(random.next() % 10) as usize].entries.push(entry);
        *n += 1;
    }
    (batches, bytes)
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a directory");
    let megabytes: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(256);
    let kind = args.next().unwrap_or_else(|| "access".to_owned());
    let dir = Path::new(&dir);
    let open = || {
        let disk = LocalDisk::open(&dir.join("wal")).expect("the directory of the log");
        let bucket = LocalBucket::open(&dir.join("bucket")).expect("the bucket");
        let options = Options { retention: Retention::default(), ..Options::default() };
        LogDb::open(options, Arc::new(disk), Arc::new(bucket), SystemClock::shared(), &Registry::new())
            .expect("it opens")
    };
    let db = open();
    let (mut random, mut n, mut raw) = (Random(7), 0, 0_u64);
    let mut sample = Vec::new();
    let (mut wall, mut cpu) = (0.0, 0.0);
    while raw < megabytes << 20 {
        let (batches, bytes) = batch(&kind, &mut random, &mut n, megabytes);
        if sample.len() < 2 << 20 {
            batches.iter().flat_map(|b| &b.entries).for_each(|e| sample.extend_from_slice(&e.line));
        }
        raw += bytes;
        let (started, used) = (Instant::now(), cpu_seconds());
        db.append(&TenantId::default(), batches).expect("there is room");
        if db.unflushed_bytes() > 60 << 20 {
            db.flush_sealed().expect("it flushes");
        }
        wall += started.elapsed().as_secs_f64();
        cpu += cpu_seconds() - used;
    }
    let (started, used) = (Instant::now(), cpu_seconds());
    db.flush().expect("it flushes");
    wall += started.elapsed().as_secs_f64();
    cpu += cpu_seconds() - used;
    let mb = raw as f64 / 1e6;
    println!("{kind}: {n} lines, {mb:.0} MB");
    println!("ingest and flush: {:.0} MB/s, {:.0} MB/s of CPU", mb / wall, mb / cpu);
    let started = Instant::now();
    while db.compact_once().expect("it compacts") {}
    println!("compaction: {:.0} MB/s", mb / started.elapsed().as_secs_f64());
    println!("peak memory: {} MB", peak_memory_mb());

    let objects = db.objects();
    let stored: u64 = objects.iter().map(|(_, _, object)| object.size_bytes).sum();
    println!("objects: {} of {} MB in all", objects.len(), stored >> 20);
    let reference = zstd::bulk::compress(&sample, 9).expect("zstd").len() as f64 / sample.len() as f64;
    println!(
        "size: 1/{:.1} of raw; zstd -9 of 2 MB alone 1/{:.1}; {:.2} of that",
        mb * 1e6 / stored as f64,
        1.0 / reference,
        stored as f64 / (mb * 1e6 * reference)
    );

    let ctx = QueryContext::unbounded();
    let everything = LogRequest {
        range: LogRange { start_ns: i64::MIN, end_ns: i64::MAX },
        matchers: vec![],
        hints: vec![],
    };
    for attempt in ["cold", "warm"] {
        let started = Instant::now();
        let groups = db.select(&everything, &ctx).expect("it selects");
        let selected = started.elapsed();
        let finder = memchr::memmem::Finder::new("no such needle anywhere");
        let mut found = 0;
        for group in &groups {
            let page =
                group.reader.read(LogColumns { lines: true, metadata: false }, &ctx).expect("it reads");
            found += usize::from(finder.find(&page.lines.bytes).is_some());
        }
        let took = started.elapsed().as_secs_f64();
        println!(
            "scan ({attempt}, one thread): {:.2} GB/s, {} groups, select {:?}, {found} found",
            mb / 1e3 / took,
            groups.len(),
            selected
        );
    }
    let started = Instant::now();
    let mut rows = 0;
    for group in db.select(&everything, &ctx).expect("it selects") {
        rows += group.runs.iter().map(|run| run.rows.len()).sum::<usize>();
    }
    println!("counting by index: {:?} for {rows} rows", started.elapsed());
    for needle in ["10.255.254.1", "f3e1a9c07b", "0123456789", "Zanzibar"] {
        let request = LogRequest {
            hints: vec![LogHint::LineContains(vec![needle.as_bytes().to_vec().into()])],
            ..everything.clone()
        };
        let started = Instant::now();
        let groups = db.select(&request, &ctx).expect("it selects");
        println!("needle {needle}: {} groups left, {:?}", groups.len(), started.elapsed());
    }
}
