//! Many processes on one bucket of a real server that speaks S3: writers and compactors, killed at random. Every acknowledged
//! entry is there once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base::SystemClock;
use base::metrics::Registry;
use blob::{RemoteBucket, RemoteOptions, RetryingBucket, SharedBucket};
use logdb::wal::LocalDisk;
use logdb::{LogDb, Options};
use model::labels::Labels;
use model::logs::{LogAppender, LogBatch, LogEntry};
use model::source::TenantId;
use parking_lot::{Condvar, Mutex};
use testkit::s3::S3Server;

const ENDPOINT: &str = "LOGDB_S3_ENDPOINT";
const DIRECTORY: &str = "LOGDB_S3_DIRECTORY";
const ROLE: &str = "LOGDB_S3_ROLE";
/// How many processes are killed; more of them by `LOGDB_S3_KILLS`.
const KILLS: usize = 8;
const WRITERS: usize = 3;
const COMPACTORS: usize = 2;

fn options() -> Options {
    Options {
        memtable_bytes: 20_000,
        group_bytes: 4000,
        compaction_inputs: 3,
        removal_grace: Duration::from_secs(2),
        orphan_age: Duration::from_secs(5),
        ..super::keep_for_ever()
    }
}

fn bucket(endpoint: &str, runtime: &tokio::runtime::Runtime) -> SharedBucket {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = RemoteOptions {
        settings: vec![
            setting("endpoint", endpoint),
            setting("region", "us-east-1"),
            setting("allow_http", "true"),
            setting("access_key_id", "any"),
            setting("secret_access_key", "any"),
        ],
        from_environment: false,
        ..RemoteOptions::new("s3://logs/store")
    };
    let remote = RemoteBucket::open(&options, SystemClock::shared(), runtime.handle().clone()).unwrap();
    Arc::new(RetryingBucket::new(Arc::new(remote), Default::default()))
}

fn open(endpoint: &str, directory: &Path, runtime: &tokio::runtime::Runtime) -> LogDb {
    let disk = LocalDisk::open(directory).unwrap();
    let bucket = bucket(endpoint, runtime);
    LogDb::open(options(), Arc::new(disk), bucket, SystemClock::shared(), &Registry::new()).unwrap()
}

/// The child: a writer that tells each entry that was acknowledged, or a compactor, until it is killed.
#[test]
fn child_that_is_killed() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let (directory, role) = (std::env::var(DIRECTORY).unwrap(), std::env::var(ROLE).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = open(&endpoint, Path::new(&directory), &runtime);
    if role == "compactor" {
        println!("stored nothing: at work");
        loop {
            // What fails now, because another was faster or the server is slow, is done the next time.
            let _ = db.load_catalog();
            db.upkeep();
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let _ = db.flush();
            }
        });
        for n in 0_i64.. {
            let line = format!("{role} {n}");
            // Over two days, in streams that all writers share.
            let timestamp_ns = 1_768_521_599_000_000_000 + n / 3 * 50_000_000;
            let entry = LogEntry { timestamp_ns, line: line.clone().into(), metadata: vec![] };
            let stream = Labels::from_pairs([("part", (n % 2).to_string())]);
            if db.append(&TenantId::default(), vec![LogBatch { stream, entries: vec![entry] }]).is_ok() {
                println!("stored {line}");
            }
        }
    });
}

/// A child and what it tells.
struct Role {
    name: String,
    lives: usize,
    child: Child,
    reader: JoinHandle<()>,
}

struct Stage<'a> {
    endpoint: String,
    dir: &'a Path,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    told: Arc<AtomicUsize>,
}

impl Stage<'_> {
    fn start(&self, name: &str, lives: usize) -> Role {
        let role =
            if name.starts_with("compactor") { "compactor".to_owned() } else { format!("{name} {lives}") };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "s3::child_that_is_killed", "--nocapture"])
            .env(ENDPOINT, &self.endpoint)
            .env(DIRECTORY, self.dir.join(name))
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (acknowledged, told) = (self.acknowledged.clone(), self.told.clone());
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).unwrap_or(0) > 0 {
                // The compactor tells that it works; that is no entry.
                if !line.contains("nothing: at work") && super::crash::tell(&mut acknowledged.lock(), &line) {
                    told.fetch_add(1, Ordering::Relaxed);
                }
                line.clear();
            }
        });
        Role { name: name.to_owned(), lives, child, reader }
    }

    fn kill(&self, mut role: Role) {
        role.child.kill().unwrap();
        role.child.wait().unwrap();
        role.reader.join().unwrap();
    }

    /// Waits until so many more entries are acknowledged.
    fn wait_for_more(&self, entries: usize) {
        let (wait, wanted) = (Condvar::new(), self.told.load(Ordering::Relaxed) + entries);
        let is_done = (0..6000).any(|_| {
            wait.wait_for(&mut Mutex::new(()).lock(), Duration::from_millis(10));
            self.told.load(Ordering::Relaxed) >= wanted
        });
        assert!(is_done, "entries are not acknowledged any more");
    }
}

#[test]
fn processes_that_share_a_bucket_lose_nothing_when_they_are_killed() {
    let name = "processes_that_share_a_bucket_lose_nothing_when_they_are_killed";
    let Some(server) = S3Server::start(name) else { return };
    server.make_bucket("logs");
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage {
        endpoint: server.endpoint(),
        dir: dir.path(),
        acknowledged: Arc::default(),
        told: Arc::default(),
    };
    let writers = (0..WRITERS).map(|n| format!("writer{n}"));
    let names: Vec<String> = writers.chain((0..COMPACTORS).map(|n| format!("compactor{n}"))).collect();
    let mut roles: Vec<Role> = names.iter().map(|name| stage.start(name, 0)).collect();
    let kills = std::env::var("LOGDB_S3_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        stage.wait_for_more(50 + (random >> 40 & 127) as usize);
        let role = roles.swap_remove((random >> 33) as usize % roles.len());
        let (name, lives) = (role.name.clone(), role.lives + 1);
        stage.kill(role);
        roles.push(stage.start(&name, lives));
    }
    stage.wait_for_more(50);
    roles.into_iter().for_each(|role| stage.kill(role));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in &names {
        // What is in its log only comes to the bucket now.
        open(&stage.endpoint, &dir.path().join(name), &runtime).flush().unwrap();
    }
    let reader = open(&stage.endpoint, &dir.path().join("reader"), &runtime);
    for round in ["as it was left", "compacted"] {
        let stored = super::crash::lines_of(&reader);
        let distinct: BTreeSet<_> = stored.iter().cloned().collect();
        assert_eq!(distinct.len(), stored.len(), "an entry is there twice, {round}");
        let acknowledged = stage.acknowledged.lock();
        let lost: Vec<_> = acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "lost {lost:?}, {round}");
        while reader.compact_once().unwrap() {}
    }
    let bucket = bucket(&stage.endpoint, &runtime);
    for (tenant, day) in logdb::inspect::days(&*bucket).unwrap() {
        assert_eq!(logdb::inspect::verify(&*bucket, &tenant, day).unwrap().problems, []);
    }
}
