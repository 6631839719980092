//! One store with a clock, a bucket and a disk, and numbered entries to put into it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::SimClock;
use base::metrics::{Registry, Value};
use blob::fault::FaultyBucket;
use blob::{Bucket, MemoryBucket};
use model::labels::Labels;
use model::logs::LogAppender;
use model::source::TenantId;

use super::{Row, SimDisk, batches_of, everything, read_all, small_options};
use crate::{LogDb, Options};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Store {
    pub clock: Arc<SimClock>,
    pub bucket: Arc<MemoryBucket>,
    pub disk: SimDisk,
    pub registry: Registry,
}

impl Store {
    pub fn new() -> Self {
        let clock = SimClock::at(1_768_478_400_000);
        let bucket = Arc::new(MemoryBucket::new(clock.clone()));
        Self { clock, bucket, disk: SimDisk::new(1), registry: Registry::new() }
    }

    pub fn open(&self) -> LogDb {
        self.open_with(small_options(1))
    }

    pub fn open_with(&self, options: Options) -> LogDb {
        self.open_on(options, &self.disk, self.bucket.clone())
    }

    pub fn open_on(&self, options: Options, disk: &SimDisk, bucket: blob::SharedBucket) -> LogDb {
        LogDb::open(options, Arc::new(disk.clone()), bucket, self.clock.clone(), &self.registry).unwrap()
    }

    pub fn keys(&self, ending: &str) -> Vec<String> {
        let objects = self.bucket.list("").unwrap();
        objects.into_iter().map(|object| object.key).filter(|key| key.ends_with(ending)).collect()
    }

    pub fn metric(&self, name: &str) -> f64 {
        let family = self.registry.gather().into_iter().find(|family| family.name == name).unwrap();
        family
            .points
            .iter()
            .map(|point| match point.value {
                Value::Number(number) => number,
                _ => 0.0,
            })
            .sum()
    }
}

/// The entry of a number, all of one stream and one nanosecond apart.
pub(super) fn row(n: i64) -> Row {
    (Labels::from_pairs([("app", "a")]), 1_768_478_400_000_000_000 + n, format!("line {n}"))
}

pub(super) fn append(db: &LogDb, rows: impl Iterator<Item = i64>) {
    let rows: Vec<Row> = rows.map(row).collect();
    db.append(&TenantId::default(), batches_of(&rows)).unwrap();
}

pub(super) fn lines(db: &LogDb) -> Vec<String> {
    let mut lines: Vec<String> = read_all(db, &everything()).unwrap().into_iter().map(|row| row.2).collect();
    lines.sort();
    lines
}

pub(super) fn expected(rows: impl Iterator<Item = i64>) -> Vec<String> {
    let mut lines: Vec<String> = rows.map(|n| row(n).2).collect();
    lines.sort();
    lines
}

/// How often a bucket fails, and says that what failed is done; in thousandths.
pub(super) fn set(faulty: &FaultyBucket, fail: u32, lie_ok: u32) {
    faulty.rates().fail.store(fail, Ordering::Relaxed);
    faulty.rates().lie_ok.store(lie_ok, Ordering::Relaxed);
}
