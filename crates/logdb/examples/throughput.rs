//! What the engine alone does, without HTTP and without a query language: `throughput DIRECTORY MEGABYTES [KIND ...]`.
//!
//! For each kind of lines: how fast they go in, where their bytes go to in the final object, and how fast they are scanned and
//! skipped. `bench logs` measures the whole program.

#![allow(clippy::disallowed_methods, reason = "a program that measures time")]

#[path = "../../bench/src/logs/lines.rs"]
#[allow(dead_code, reason = "shared with the benchmark")]
mod lines;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base::SystemClock;
use base::metrics::Registry;
use blob::LocalBucket;
use lines::{Kind, Random};
use logdb::segment::Segment;
use logdb::wal::LocalDisk;
use logdb::{LogDb, Options, Retention};
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppender, LogBatch, LogColumns, LogEntry, LogHint, LogRange, LogRequest, LogSource};
use model::source::TenantId;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const START_NS: i64 = 1_768_435_200_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

/// Lines of all streams of a kind, spread over a day.
struct Source {
    kind: Kind,
    random: Random,
    streams: Vec<Labels>,
    at_ns: i64,
    gap_ns: u64,
}

impl Source {
    fn new(kind: Kind, megabytes: u64) -> Self {
        let labels = |n: u64| {
            let (namespace, pod) =
                (["prod", "staging", "infra"][(n % 3) as usize], format!("{}-{n}", kind.name()));
            Labels::from_pairs([("app", kind.name()), ("namespace", namespace), ("pod", pod.as_str())])
        };
        let lines = megabytes * 1_000_000 / 130;
        let streams = (0..kind.streams()).map(labels).collect();
        Self { kind, random: Random(7), streams, at_ns: START_NS, gap_ns: DAY_NS as u64 / lines.max(1) }
    }

    /// About a megabyte.
    fn batch(&mut self) -> (Vec<LogBatch>, u64) {
        let mut batches: Vec<LogBatch> = self
            .streams
            .iter()
            .map(|stream| LogBatch { stream: stream.clone(), entries: Vec::new() })
            .collect();
        let mut bytes = 0;
        while bytes < 1 << 20 {
            self.at_ns += self.random.below(2 * self.gap_ns) as i64;
            let stream = self.random.below(self.streams.len() as u64);
            let timestamp_ns = self.at_ns - self.at_ns % self.kind.resolution_ns();
            let mut line = String::new();
            self.kind.line(stream, timestamp_ns, &mut self.random, &mut line);
            bytes += line.len() as u64 + 1;
            let level: Arc<str> =
                ["info", "info", "info", "warn", "error"][self.random.below(5) as usize].into();
            let metadata = vec![("detected_level".into(), level)];
            batches[stream as usize].entries.push(LogEntry { timestamp_ns, line: line.into(), metadata });
        }
        (batches, bytes)
    }
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn timed<T>(what: &str, megabytes: f64, work: impl FnOnce() -> T) -> T {
    let (started, used) = (Instant::now(), cpu_seconds());
    let done = work();
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - used);
    println!("  {what}: {:.0} MB/s, {:.0} MB/s of CPU", megabytes / wall, megabytes / cpu);
    done
}

/// Bytes of columns, filters and index in the objects, for each row.
fn sizes(dir: &Path, db: &LogDb, raw: u64) {
    let mut columns = [0_u64; 8];
    let (mut filters, mut index_bytes, mut total, mut rows) = (0, 0, 0, 0);
    for (tenant, day, meta) in db.objects() {
        let key = logdb::manifest::object_key(&tenant, day, meta.id);
        let object = blob::Bucket::open(&LocalBucket::open(dir).expect("a bucket"), &key).expect("an object");
        let segment = Segment::open(object).expect("an object");
        let index = segment.index();
        for group in &index.groups {
            group
                .pages
                .iter()
                .enumerate()
                .for_each(|(i, page)| columns[i.min(7)] += u64::from(page.place.bytes));
        }
        filters += index.line_bands.iter().map(|band| band.bytes()).sum::<u64>();
        index_bytes += segment.index_bytes() as u64;
        (total, rows) = (total + meta.size_bytes, rows + index.rows());
    }
    let of = |bytes: u64| bytes as f64 / rows as f64;
    let names = ["ms", "us", "ns", "line", "key", "value", "hot", "more"];
    let all: Vec<String> =
        names.iter().zip(columns).map(|(name, n)| format!("{name} {:.2}", of(n))).collect();
    println!(
        "  {} objects, {:.2} bytes a row: {}, filters {:.2}, raw index {:.2}; 1/{:.2} of {:.0} raw",
        db.objects().len(),
        of(total),
        all.join(", "),
        of(filters),
        of(index_bytes),
        raw as f64 / total as f64,
        of(raw)
    );
}

/// What zstd makes of the lines of the objects, in blocks of 2 MB with a newline behind each line.
fn reference(db: &LogDb, everything: &LogRequest) -> f64 {
    let (mut raw, mut stored) = (0, 0);
    let mut block = Vec::new();
    let ctx = QueryContext::unbounded();
    for group in db.select(everything, &ctx).expect("it selects").iter().step_by(8) {
        let page =
            group.reader.read(LogColumns { metadata: false, ..LogColumns::ALL }, &ctx).expect("it reads");
        for row in 0..page.lines.len() {
            block.extend_from_slice(page.lines.get(row));
            block.push(b'\n');
            if block.len() >= 2 << 20 {
                raw += block.len();
                stored += zstd::bulk::compress(&block, 9).expect("zstd").len();
                block.clear();
            }
        }
    }
    raw as f64 / stored as f64
}

fn measure(kind: Kind, dir: &Path, megabytes: u64) {
    println!("{}", kind.name());
    let disk = LocalDisk::open(&dir.join("wal")).expect("the directory of the log");
    let bucket = LocalBucket::open(&dir.join("bucket")).expect("the bucket");
    let options = Options { retention: Retention::default(), ..Options::default() };
    let db = LogDb::open(options, Arc::new(disk), Arc::new(bucket), SystemClock::shared(), &Registry::new())
        .expect("it opens");
    let mut source = Source::new(kind, megabytes);
    let batches: Vec<_> = (0..megabytes).map(|_| source.batch()).collect();
    let raw: u64 = batches.iter().map(|(_, bytes)| bytes).sum();
    let mb = raw as f64 / 1e6;
    timed("ingest and flush", mb, || {
        for (batch, _) in batches {
            db.append(&TenantId::default(), batch).expect("there is room");
            if db.unflushed_bytes() > 60 << 20 {
                db.flush().expect("it flushes");
            }
        }
        db.flush().expect("it flushes");
    });
    sizes(&dir.join("bucket"), &db, raw);
    timed("compaction", mb, || while db.compact_once().expect("it compacts") {});
    sizes(&dir.join("bucket"), &db, raw);
    let ctx = QueryContext::unbounded();
    let range = LogRange { start_ns: i64::MIN, end_ns: i64::MAX };
    let everything = LogRequest { range, matchers: vec![], hints: vec![] };
    println!("  zstd -9 of 2 MB: 1/{:.2}", reference(&db, &everything));
    for _ in 0..2 {
        timed("scan by one thread", mb, || {
            let finder = memchr::memmem::Finder::new("no such needle anywhere");
            for group in db.select(&everything, &ctx).expect("it selects") {
                let page = group
                    .reader
                    .read(LogColumns { metadata: false, ..LogColumns::ALL }, &ctx)
                    .expect("it reads");
                assert!(finder.find(&page.lines.bytes).is_none());
            }
        });
    }
    let all = db.select(&everything, &ctx).expect("it selects").len();
    for needle in ["9f86d081884c7d659a2feaa0c55ad015", "a3bf4f1b2b0b822c", "10.255.254.1", "Zanzibar"] {
        let hints = vec![LogHint::LineContains(vec![needle.as_bytes().to_vec().into()])];
        let started = Instant::now();
        let left = db.select(&LogRequest { hints, ..everything.clone() }, &ctx).expect("it selects").len();
        println!("  needle {needle}: {left} of {all} groups left, {:?}", started.elapsed());
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(args.first().expect("a directory"));
    let megabytes = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(256);
    for kind in Kind::ALL {
        if args.len() < 3 || args[2..].iter().any(|name| name == kind.name()) {
            measure(kind, &dir.join(kind.name()), megabytes);
        }
    }
}
