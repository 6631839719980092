//! Writers that share a bucket, do things by chance and are crashed; what they acknowledged is there once, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::metrics::Registry;
use base::{Clock, SimClock};
use blob::fault::FaultyBucket;
use blob::local::power::PowerlessFiles;
use blob::{LocalBucket, MemoryBucket, SharedBucket};
use model::logs::{LogAppender, LogHint, LogRequest};
use model::source::{SourceError, TenantId};
use parking_lot::Mutex;

use super::hook::HookedBucket;
use super::scene::{APPS, START_MS, Scene, Writer, is_expired, retention, tenant_of};
use super::{Random, Row, SimDisk, batches_of, everything, read_of, small_options};
use crate::{LogDb, Options};

/// Where objects are.
enum Store {
    Memory(FaultyBucket),
    /// Each process has its own view of a directory.
    Directory(PowerlessFiles, FaultyBucket),
}

#[derive(Clone)]
struct World {
    seed: u64,
    clock: Arc<SimClock>,
    store: Arc<Store>,
    scene: Arc<Mutex<Scene>>,
}

const ROOT: &str = "/bucket";

/// What a writer can do.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Append,
    Flush,
    Seal,
    FlushSealed,
    FlushDue,
    Compact,
    Load,
    Upkeep,
    Delete,
    Check,
}

impl Act {
    fn flushes(self) -> bool {
        matches!(self, Self::Flush | Self::FlushSealed | Self::FlushDue)
    }

    fn of(number: u64) -> Self {
        match number {
            0..40 => Self::Append,
            40..50 => Self::Flush,
            50..53 => Self::Seal,
            53..56 => Self::FlushSealed,
            56..60 => Self::FlushDue,
            60..72 => Self::Compact,
            72..78 => Self::Load,
            78..86 => Self::Upkeep,
            86..89 => Self::Delete,
            _ => Self::Check,
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = SimClock::at(START_MS);
        let mut random = Random::new(seed);
        let store = if random.below(2) == 0 {
            let memory: SharedBucket = Arc::new(MemoryBucket::new(clock.clone()));
            Store::Memory(FaultyBucket::new(memory, seed))
        } else {
            let files = PowerlessFiles::new(Path::new(ROOT), seed, clock.clone());
            let bucket: SharedBucket = Arc::new(LocalBucket::on(Path::new(ROOT), Arc::new(files.clone())));
            Store::Directory(files, FaultyBucket::new(bucket, seed))
        };
        let writers = 1 + random.below(3);
        let writer = |n| Writer {
            disk: SimDisk::new(seed * 8 + n),
            db: None,
            acknowledged: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        let scene = Scene {
            writers: (0..writers).map(writer).collect(),
            random,
            acknowledged: BTreeSet::new(),
            uncertain: BTreeSet::new(),
            gone: BTreeSet::new(),
            deletes: Vec::new(),
            sent: 0,
            flushing: None,
            is_open: false,
        };
        Self { seed, clock, store: Arc::new(store), scene: Arc::new(Mutex::new(scene)) }
    }

    fn below(&self, end: u64) -> u64 {
        self.scene.lock().random.below(end)
    }

    fn bucket(&self) -> SharedBucket {
        let inner: SharedBucket = match &*self.store {
            Store::Memory(faulty) => Arc::new(faulty.clone()),
            Store::Directory(files, faulty) => {
                let bucket = LocalBucket::on(Path::new(ROOT), Arc::new(files.clone()));
                Arc::new(faulty.before(Arc::new(bucket)))
            }
        };
        let world = self.clone();
        Arc::new(HookedBucket { inner, hook: Arc::new(move || world.come_between()) })
    }

    fn set_faults(&self, [fail, lie, lie_ok, late]: [u64; 4]) {
        let (faulty, is_remote) = match &*self.store {
            Store::Memory(faulty) => (faulty, true),
            Store::Directory(files, faulty) => {
                files.fail_sometimes((fail / 2) as u32);
                (faulty, false)
            }
        };
        let rates = faulty.rates();
        rates.fail.store(fail as u32, Ordering::Relaxed);
        rates.lie.store(lie as u32, Ordering::Relaxed);
        // A directory is neither late nor does it say what is not.
        rates.lie_ok.store(if is_remote { lie_ok as u32 } else { 0 }, Ordering::Relaxed);
        rates.late.store(if is_remote { late as u32 } else { 0 }, Ordering::Relaxed);
    }

    fn open(&self, at: usize) -> bool {
        let (options, disk) = {
            let mut scene = self.scene.lock();
            let options = Options { retention: retention(), ..small_options(scene.random.next()) };
            (options, scene.writers[at].disk.clone())
        };
        let bucket = self.bucket();
        match LogDb::open(options, Arc::new(disk), bucket, self.clock.clone(), &Registry::new()) {
            Ok(db) => {
                self.scene.lock().writers[at].db = Some(Arc::new(db));
                true
            }
            Err(_) => false,
        }
    }

    /// Called around each call of the bucket: now and then someone else does something, all of it.
    fn come_between(&self) {
        let (at, db, act) = {
            let mut scene = self.scene.lock();
            if !scene.is_open || scene.random.below(12) != 0 {
                return;
            }
            let writers = scene.writers.len() as u64;
            let at = scene.random.below(writers) as usize;
            let act = Act::of(scene.random.below(100));
            let Some(db) = scene.writers[at].db.clone() else { return };
            if act.flushes() && scene.flushing == Some(at) {
                return;
            }
            scene.is_open = false;
            (at, db, act)
        };
        self.act(at, &db, act);
        self.scene.lock().is_open = true;
    }

    fn act(&self, at: usize, db: &LogDb, act: Act) {
        // Failures are part of the world: what matters is what is seen afterwards.
        match act {
            Act::Append => self.append(at, db),
            Act::Flush => drop(db.flush()),
            Act::Seal => drop(db.seal()),
            Act::FlushSealed => drop(db.flush_sealed()),
            Act::FlushDue => drop(db.flush_due()),
            Act::Compact => drop(db.compact_once()),
            Act::Load => drop(db.load_catalog()),
            Act::Upkeep => {
                db.mend_log();
                db.upkeep();
            }
            Act::Delete => self.delete(at, db),
            Act::Check => self.check(at, db),
        }
    }

    fn append(&self, at: usize, db: &LogDb) {
        let rows = self.scene.lock().some_rows(self.seed);
        let mut of_tenants: BTreeMap<TenantId, Vec<Row>> = BTreeMap::new();
        for row in rows {
            of_tenants.entry(tenant_of(row.0.get_or_empty("app"))).or_default().push(row);
        }
        of_tenants.into_iter().for_each(|(tenant, rows)| self.append_of(at, db, &tenant, rows));
    }

    fn append_of(&self, at: usize, db: &LogDb, tenant: &TenantId, rows: Vec<Row>) {
        let outcome = db.append(tenant, batches_of(&rows));
        let scene = &mut *self.scene.lock();
        // What was deleted and is sent again may be there.
        for row in &rows {
            let was_gone = scene.gone.remove(row);
            for writer in &mut scene.writers {
                writer.gone.remove(row);
            }
            if was_gone {
                scene.uncertain.insert(row.clone());
            }
        }
        match outcome {
            Ok(()) => {
                // What comes while a request waits to be done may be taken for what it is about.
                let is_wanted_gone = |row: &Row| scene.deletes.iter().any(|wanted| wanted.covers(row));
                let (doubtful, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_wanted_gone);
                scene.uncertain.extend(doubtful);
                scene.writers[at].acknowledged.extend(rows.iter().cloned());
                scene.acknowledged.extend(rows);
            }
            Err(_) => scene.uncertain.extend(rows),
        }
    }

    /// What was there before is gone when that is acknowledged, and may be when it fails.
    fn delete(&self, at: usize, db: &LogDb) {
        let (tenant, request, covered) = {
            let scene = &mut *self.scene.lock();
            let wanted = scene.some_delete();
            let (tenant, request) = (tenant_of(&wanted.app), wanted.request());
            let known = scene.acknowledged.iter().chain(&scene.uncertain);
            let covered: BTreeSet<Row> = known.filter(|row| wanted.covers(row)).cloned().collect();
            scene.acknowledged.retain(|row| !covered.contains(row));
            for writer in &mut scene.writers {
                writer.acknowledged.retain(|row| !covered.contains(row));
            }
            scene.uncertain.extend(covered.iter().cloned());
            scene.deletes.push(wanted);
            (tenant, request, covered)
        };
        if db.delete(&tenant, &request).is_ok() {
            let scene = &mut *self.scene.lock();
            scene.uncertain.retain(|row| !covered.contains(row));
            scene.writers[at].gone.extend(covered.iter().cloned());
            scene.gone.extend(covered);
        }
    }

    /// A writer sees what it acknowledged, once, and nothing that was not sent.
    fn check(&self, at: usize, db: &LogDb) {
        let (wanted, gone, hint, is_label) = {
            let mut scene = self.scene.lock();
            let nth = scene.random.below(50) as usize;
            let Writer { acknowledged, gone, .. } = &scene.writers[at];
            let (wanted, gone) = (acknowledged.clone(), gone.clone());
            let hint = wanted.iter().nth(nth).cloned();
            (wanted, gone, hint, scene.random.below(2) == 0)
        };
        match read(db) {
            Ok((rows, warnings)) => {
                // What others deleted, or sent again, while it was read may be seen or not.
                let (wanted, gone) = self.still(at, wanted, gone);
                // Whoever cannot read the bucket does not know all requests.
                let seen = rows.iter().find(|row| warnings.is_empty() && gone.contains(*row));
                assert!(seen.is_none(), "seed {}: {seen:?} was deleted", self.seed);
                self.is_once_and_holds(rows, &wanted, !warnings.is_empty());
            }
            Err(error) => assert!(matches!(error, SourceError::Storage(_)), "seed {}: {error}", self.seed),
        }
        if let Some(row) = hint {
            let line = row.2.clone();
            let hints = match is_label {
                true => vec![LogHint::LineContains(vec![line.clone().into()])],
                false => vec![LogHint::Metadata { name: "line".to_owned(), value: line.clone() }],
            };
            let found =
                read_of(db, &tenant_of(row.0.get_or_empty("app")), &LogRequest { hints, ..everything() });
            if let Ok((rows, warnings)) = found {
                let copies = rows.iter().filter(|row| row.2 == line).count();
                let may_lack = !warnings.is_empty()
                    || is_expired(&row, self.clock.now_ms())
                    || !self.scene.lock().writers[at].acknowledged.contains(&row);
                let is_good = copies == 1 || (copies == 0 && may_lack);
                assert!(is_good, "seed {}: {copies} of {line:?}", self.seed);
            }
        }
    }

    /// Of what was acknowledged by a writer, and deleted by it, what still is.
    fn still(
        &self,
        at: usize,
        mut wanted: BTreeSet<Row>,
        mut gone: BTreeSet<Row>,
    ) -> (BTreeSet<Row>, BTreeSet<Row>) {
        let scene = self.scene.lock();
        wanted.retain(|row| scene.writers[at].acknowledged.contains(row));
        gone.retain(|row| scene.writers[at].gone.contains(row));
        (wanted, gone)
    }

    fn is_once_and_holds(&self, rows: Vec<Row>, wanted: &BTreeSet<Row>, is_partial: bool) {
        let count = rows.len();
        let set: BTreeSet<Row> = rows.into_iter().collect();
        assert_eq!(set.len(), count, "seed {}: an entry is there twice", self.seed);
        let now_ms = self.clock.now_ms();
        let expired = set.iter().find(|row| is_expired(row, now_ms));
        assert!(expired.is_none(), "seed {}: {expired:?} is past its time", self.seed);
        let lost: Vec<_> = wanted.difference(&set).filter(|row| !is_expired(row, now_ms)).collect();
        assert!(lost.is_empty() || is_partial, "seed {}: lost {lost:?}", self.seed);
        let scene = self.scene.lock();
        let is_known = |row: &Row| {
            scene.acknowledged.contains(row) || scene.uncertain.contains(row) || scene.gone.contains(row)
        };
        let alien = set.iter().find(|row| !is_known(row));
        assert!(alien.is_none(), "seed {}: nobody sent {alien:?}", self.seed);
    }

    fn step(&self) {
        let writers = self.scene.lock().writers.len() as u64;
        let at = self.below(writers) as usize;
        let has_db = self.scene.lock().writers[at].db.is_some();
        if !has_db && !self.open(at) {
            return;
        }
        match self.below(100) {
            0..5 => {
                // Now and then so long that days are over, and requests to delete done.
                let most = if self.below(8) == 0 { 3 * 86_400 } else { 40 };
                self.clock.advance(Duration::from_secs(self.below(most)));
            }
            5..10 => {
                let rate = |most: u64| if self.below(2) == 0 { 0 } else { self.below(most) };
                self.set_faults([rate(150), rate(100), rate(60), rate(100)]);
            }
            10..13 => self.crash(at),
            13..14 => self.lose_power(),
            14..16 => {
                let failures = self.below(2) as u32 * 100;
                self.scene.lock().writers[at].disk.fail_sometimes(failures);
            }
            _ => {
                let (db, act) = {
                    let mut scene = self.scene.lock();
                    let act = Act::of(scene.random.below(100));
                    scene.flushing = act.flushes().then_some(at);
                    scene.is_open = true;
                    (scene.writers[at].db.clone(), act)
                };
                if let Some(db) = db {
                    self.act(at, &db, act);
                }
                let mut scene = self.scene.lock();
                (scene.is_open, scene.flushing) = (false, None);
            }
        }
    }

    fn crash(&self, at: usize) {
        let Scene { writers, random, .. } = &mut *self.scene.lock();
        writers[at].db = None;
        writers[at].disk.crash(random);
    }

    /// Of all: their disks and the directory that is the bucket.
    fn lose_power(&self) {
        let writers = self.scene.lock().writers.len();
        (0..writers).for_each(|at| self.crash(at));
        if let Store::Directory(files, _) = &*self.store {
            files.lose_power();
        }
    }

    /// Ends it, and looks whether everything is as it should be. The number tells whether two did the same.
    fn finish(self) -> u64 {
        self.set_faults([0; 4]);
        let writers = self.scene.lock().writers.len();
        for at in 0..writers {
            self.scene.lock().writers[at].disk.fail_sometimes(0);
            let running = self.scene.lock().writers[at].db.clone();
            if let Some(db) = running {
                db.mend_log();
                // Whatever happened before, nothing is stuck.
                db.flush().expect("nothing fails any more");
                assert_eq!(db.unflushed_bytes(), 0, "seed {}: something is stuck", self.seed);
                assert_eq!(db.state.read().logs.len(), 1, "seed {}: a segment is stuck", self.seed);
            }
        }
        self.lose_power();
        for at in 0..writers {
            assert!(self.open(at), "seed {}: does not open", self.seed);
            let (db, acknowledged) = self.writer(at);
            let (rows, warnings) = read(&db).expect("nothing fails any more");
            assert!(warnings.is_empty(), "seed {}: {warnings:?}", self.seed);
            self.is_once_and_holds(rows, &acknowledged, false);
            db.flush().expect("nothing fails any more");
        }
        let (db, _) = self.writer(0);
        db.load_catalog().expect("nothing fails any more");
        let acknowledged = self.scene.lock().acknowledged.clone();
        for round in 0..2 {
            let (rows, warnings) = read(&db).expect("nothing fails any more");
            assert!(warnings.is_empty(), "seed {}: {warnings:?}", self.seed);
            let gone = self.scene.lock().gone.clone();
            let back = rows.iter().find(|row| gone.contains(*row));
            assert!(back.is_none(), "seed {}: {back:?} was deleted and is back in round {round}", self.seed);
            self.is_once_and_holds(rows, &acknowledged, false);
            if round == 0 {
                // What is written anew without what was deleted keeps its day open for a while.
                for _ in 0..2 {
                    self.clock.advance(Duration::from_secs(4 * 86_400));
                    db.upkeep();
                }
                assert_eq!(db.compact_once().ok(), Some(false), "seed {}", self.seed);
            }
        }
        let objects: u64 =
            db.state.read().catalog.all().map(|(_, _, manifest)| manifest.objects.len() as u64).sum();
        // For each day of each tenant, and of each some that are large.
        let most = 6 + 2 * (self.scene.lock().sent / 150);
        assert!(objects <= most, "seed {}: {objects} objects", self.seed);
        // What the closures of the buckets hold of the world would keep it for ever.
        let mut scene = self.scene.lock();
        scene.writers.clear();
        scene.random.next()
    }

    fn writer(&self, at: usize) -> (Arc<LogDb>, BTreeSet<Row>) {
        let scene = self.scene.lock();
        let db = scene.writers[at].db.clone().expect("it was opened");
        (db, scene.writers[at].acknowledged.clone())
    }
}

/// All rows of all tenants, and what queries were warned of.
fn read(db: &LogDb) -> Result<(Vec<Row>, Vec<String>), SourceError> {
    let (mut rows, mut warnings) = (Vec::new(), Vec::new());
    for tenant in APPS.map(tenant_of).into_iter().collect::<BTreeSet<_>>() {
        let (of_tenant, told) = read_of(db, &tenant, &everything())?;
        rows.extend(of_tenant);
        warnings.extend(told);
    }
    Ok((rows, warnings))
}

fn run(seed: u64) -> u64 {
    let world = World::new(seed);
    let steps = 40 + world.below(160);
    for _ in 0..steps {
        world.step();
    }
    world.finish()
}

/// With more threads, what is done would not follow from the seed alone.
fn one_thread() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("there can be a thread")
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
    let thread = one_thread();
    for seed in seeds {
        let outcome = thread.install(|| std::panic::catch_unwind(|| run(seed)));
        assert!(outcome.is_ok(), "failed with seed {seed}");
    }
}

#[test]
fn a_seed_does_the_same_each_time() {
    let thread = one_thread();
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| thread.install(|| run(seed)));
        assert_eq!(first, second, "seed {seed}");
    }
}
