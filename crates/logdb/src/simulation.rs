//! The engine in a world that breaks: a clock that is told, disks that tear writes and lose what was not synced, and a
//! bucket that fails and loses answers. Everything follows from a seed; a failure names it.

mod damage;
mod disk;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::SimClock;
use base::metrics::Registry;
use blob::fault::FaultyBucket;
use blob::{MemoryBucket, SharedBucket};
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppender, LogBatch, LogColumns, LogEntry, LogHint, LogRange, LogRequest, LogSource};
use model::source::{SourceError, TenantId};

use crate::{LogDb, Options, Retention};
pub(crate) use disk::SimDisk;

/// A stream, a time and a line.
pub(crate) type Row = (Labels, i64, String);

/// Numbers that follow from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(crate) fn small_options(seed: u64) -> Options {
    Options {
        memtable_bytes: 3000,
        max_unflushed_bytes: 20_000,
        max_wait: Duration::ZERO,
        group_bytes: 600,
        target_object_bytes: 20_000,
        compaction_inputs: 3,
        removal_grace: Duration::from_secs(20),
        orphan_age: Duration::from_secs(60),
        index_cache_bytes: 3000,
        final_zstd_level: 1,
        retention: Retention::default(),
        seed,
        ..Options::default()
    }
}

pub(crate) const RANGE: LogRange = LogRange { start_ns: i64::MIN, end_ns: i64::MAX };

/// All rows a query sees; an error when any is there twice, or counts are not those of the rows.
pub(crate) fn read_all(db: &LogDb, request: &LogRequest) -> Result<Vec<Row>, SourceError> {
    let ctx = QueryContext::unbounded();
    let mut rows = Vec::new();
    for group in db.select(request, &ctx)? {
        let page = group.reader.read(LogColumns { lines: true, metadata: true }, &ctx)?;
        for run in &group.runs {
            let times = &page.timestamps_ns[run.rows.clone()];
            assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
            assert_eq!((times.first(), times.last()), (Some(&run.first_ns), Some(&run.last_ns)));
            let mut bytes = 0;
            for row in run.rows.clone() {
                let line = page.lines.get(row);
                bytes += line.len() as u64;
                // Each line tells its own metadata.
                let line = String::from_utf8(line.to_vec()).expect("lines of the simulation are text");
                let metadata: Vec<_> =
                    page.metadata.row(row).map(|(name, value)| (&**name, value)).collect();
                assert_eq!(metadata, [("line", line.as_bytes())]);
                rows.push(((*run.stream).clone(), page.timestamps_ns[row], line));
            }
            assert_eq!(bytes, run.line_bytes);
        }
    }
    Ok(rows)
}

pub(crate) fn everything() -> LogRequest {
    LogRequest { range: RANGE, matchers: Vec::new(), hints: Vec::new() }
}

pub(crate) fn batches_of(rows: &[Row]) -> Vec<LogBatch> {
    let entry = |(stream, timestamp_ns, line): &Row| LogBatch {
        stream: stream.clone(),
        entries: vec![LogEntry {
            timestamp_ns: *timestamp_ns,
            line: line.clone().into(),
            metadata: vec![("line".into(), line.as_str().into())],
        }],
    };
    rows.iter().map(entry).collect()
}

struct Writer {
    disk: SimDisk,
    db: Option<LogDb>,
    acknowledged: BTreeSet<Row>,
}

struct World {
    seed: u64,
    random: Random,
    clock: Arc<SimClock>,
    bucket: FaultyBucket,
    writers: Vec<Writer>,
    acknowledged: BTreeSet<Row>,
    /// Sent, and answered by an error or not at all.
    uncertain: BTreeSet<Row>,
    sent: u64,
}

const START_MS: i64 = 1_768_521_590_000;

impl World {
    fn new(seed: u64) -> Self {
        let clock = SimClock::at(START_MS);
        let memory: SharedBucket = Arc::new(MemoryBucket::new(clock.clone()));
        let mut random = Random::new(seed);
        let writers = 1 + random.below(3);
        let writer = |n| Writer { disk: SimDisk::new(seed * 8 + n), db: None, acknowledged: BTreeSet::new() };
        Self {
            seed,
            clock,
            bucket: FaultyBucket::new(memory, seed),
            writers: (0..writers).map(writer).collect(),
            random,
            acknowledged: BTreeSet::new(),
            uncertain: BTreeSet::new(),
            sent: 0,
        }
    }

    fn set_faults(&self, fail: u32, lie: u32) {
        self.bucket.rates().fail.store(fail, Ordering::Relaxed);
        self.bucket.rates().lie.store(lie, Ordering::Relaxed);
    }

    fn open(&mut self, at: usize) -> bool {
        let options = small_options(self.random.next());
        let disk = Arc::new(self.writers[at].disk.clone());
        let bucket = Arc::new(self.bucket.clone());
        match LogDb::open(options, disk, bucket, self.clock.clone(), &Registry::new()) {
            Ok(db) => {
                self.writers[at].db = Some(db);
                true
            }
            Err(_) => false,
        }
    }

    fn some_rows(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        for _ in 0..=self.random.below(6) {
            if self.random.below(8) == 0 && !self.acknowledged.is_empty() {
                // Sent again.
                let nth = self.random.below(self.acknowledged.len() as u64) as usize;
                rows.extend(self.acknowledged.iter().nth(nth).cloned());
                continue;
            }
            let stream = Labels::from_pairs([("app", format!("a{}", self.random.below(4)))]);
            // Around midnight, often at equal times, out of order.
            let timestamp_ns = START_MS * 1_000_000 + self.random.below(40) as i64 * 500_000_000;
            self.sent += 1;
            rows.push((stream, timestamp_ns, format!("line {} of seed {}", self.sent, self.seed)));
        }
        rows
    }

    fn append(&mut self, at: usize) {
        let rows = self.some_rows();
        let writer = &mut self.writers[at];
        let Some(db) = &writer.db else { return };
        match db.append(&TenantId::default(), batches_of(&rows)) {
            Ok(()) => {
                writer.acknowledged.extend(rows.iter().cloned());
                self.acknowledged.extend(rows);
            }
            Err(_) => self.uncertain.extend(rows),
        }
    }

    /// A writer sees what it acknowledged, once, and nothing that was not sent.
    fn check(&mut self, at: usize) {
        let writer = &self.writers[at];
        let Some(db) = &writer.db else { return };
        let hint = writer.acknowledged.iter().nth(self.random.below(50) as usize).map(|row| row.2.clone());
        match read_all(db, &everything()) {
            Ok(rows) => self.is_once_and_holds(rows, &writer.acknowledged),
            Err(error) => assert!(matches!(error, SourceError::Storage(_)), "seed {}: {error}", self.seed),
        }
        if let Some(line) = hint {
            let hints = match self.random.below(2) {
                0 => vec![LogHint::LineContains(vec![line.clone().into()])],
                _ => vec![LogHint::Metadata { name: "line".to_owned(), value: line.clone() }],
            };
            let found = read_all(db, &LogRequest { hints, ..everything() });
            let copies = found.map(|rows| rows.iter().filter(|row| row.2 == line).count());
            assert!(
                copies.as_ref().is_err() || copies.as_ref().ok() == Some(&1),
                "seed {}: {copies:?}",
                self.seed
            );
        }
    }

    fn is_once_and_holds(&self, rows: Vec<Row>, wanted: &BTreeSet<Row>) {
        let count = rows.len();
        let set: BTreeSet<Row> = rows.into_iter().collect();
        assert_eq!(set.len(), count, "seed {}: an entry is there twice", self.seed);
        let lost: Vec<_> = wanted.difference(&set).collect();
        assert!(lost.is_empty(), "seed {}: lost {lost:?}", self.seed);
        let alien =
            set.iter().find(|row| !self.acknowledged.contains(*row) && !self.uncertain.contains(*row));
        assert!(alien.is_none(), "seed {}: nobody sent {alien:?}", self.seed);
    }

    fn step(&mut self) {
        let at = self.random.below(self.writers.len() as u64) as usize;
        if self.writers[at].db.is_none() && !self.open(at) {
            return;
        }
        let action = self.random.below(100);
        if action < 45 {
            return self.append(at);
        }
        let Some(db) = &self.writers[at].db else { return };
        // Failures are part of the world: what matters is what is seen afterwards.
        match action {
            45..55 => drop(db.flush()),
            55..58 => drop(db.seal()),
            58..62 => drop(db.flush_sealed()),
            62..72 => drop(db.compact_once()),
            72..76 => drop(db.load_catalog()),
            76..80 => db.upkeep(&|| false),
            80..84 => self.clock.advance(Duration::from_secs(self.random.below(30))),
            84..88 => {
                let (fail, lie) = (self.random.below(3) * 60, self.random.below(3) * 40);
                self.set_faults(fail as u32, lie as u32);
            }
            88..91 => {
                self.writers[at].db = None;
                self.writers[at].disk.crash(&mut self.random);
            }
            91..93 => self.writers[at].disk.fail_sometimes(self.random.below(2) as u32 * 100),
            _ => self.check(at),
        }
    }

    fn finish(mut self) {
        self.set_faults(0, 0);
        for at in 0..self.writers.len() {
            self.writers[at].disk.fail_sometimes(0);
            self.writers[at].db = None;
            self.writers[at].disk.crash(&mut self.random);
            assert!(self.open(at), "seed {}: does not open", self.seed);
            let writer = &self.writers[at];
            let db = writer.db.as_ref().expect("it was opened");
            let rows = read_all(db, &everything()).expect("nothing fails any more");
            self.is_once_and_holds(rows, &writer.acknowledged);
            db.flush().expect("nothing fails any more");
        }
        let db = self.writers[0].db.as_ref().expect("it was opened");
        db.load_catalog().expect("nothing fails any more");
        for round in 0..2 {
            let rows = read_all(db, &everything()).expect("nothing fails any more");
            self.is_once_and_holds(rows, &self.acknowledged);
            if round == 0 {
                self.clock.advance(Duration::from_secs(4 * 86_400));
                db.upkeep(&|| false);
                assert_eq!(db.compact_once().ok(), Some(false), "seed {}", self.seed);
            }
        }
        let objects: u64 =
            db.state.read().catalog.all().map(|(_, _, manifest)| manifest.objects.len() as u64).sum();
        assert!(objects <= 2 * (1 + self.sent / 150), "seed {}: {objects} objects", self.seed);
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    let steps = 40 + world.random.below(160);
    for _ in 0..steps {
        world.step();
    }
    world.finish();
}

/// `LOGDB_SEEDS=from..to` runs other seeds, or more of them.
#[test]
fn acknowledged_entries_are_there_once_whatever_breaks() {
    let given = std::env::var("LOGDB_SEEDS").ok();
    let parse = |text: String| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    let seeds = given.and_then(parse).unwrap_or(0_u64..300);
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "failed with seed {seed}");
    }
}
