//! The engine: what is in memory and in the bucket as one state, and the work that moves entries from one to the other.
//!
//! An entry is at any moment in exactly one of: the active memtable, a sealed one, a pending object (encoded, in memory, not yet
//! named by the manifest) or an object of the catalog. Each step replaces the one by the next under one lock, so that a
//! query, which takes what it reads under that lock, sees every entry once.

mod append;
mod background;
mod catalog;
mod flush;
mod recover;
mod upkeep;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::clock::SharedClock;
use base::metrics::Registry;
use blob::SharedBucket;
use hashbrown::HashMap;
use model::source::TenantId;
use parking_lot::{Condvar, Mutex, RwLock};
use ulid::Ulid;

use crate::cache::SegmentCache;
use crate::day::Day;
use crate::deletes::Tombstones;
use crate::manifest::{CommitError, ManifestError, ObjectMeta};
use crate::memtable::MemTable;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::segment::Segment;
use crate::wal::{Disk, SegmentLog};

pub use background::Background;
pub(crate) use catalog::{Catalog, meta_of};

/// Why the engine, or a part of its work, failed.
#[derive(Debug, thiserror::Error)]
pub enum LogDbError {
    /// The disk with the log failed.
    #[error("the log of entries: {0}")]
    Disk(#[from] io::Error),
    /// The bucket failed.
    #[error(transparent)]
    Blob(#[from] blob::BlobError),
    /// A manifest could not be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A manifest could not be changed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Request(&'static str),
    /// An object could not be read.
    #[error("object {0}: {1}")]
    Segment(String, crate::segment::reader::SegmentError),
}

/// The logs engine. All calls block; share it between threads.
pub struct LogDb {
    pub(crate) options: Options,
    pub(crate) clock: SharedClock,
    pub(crate) bucket: SharedBucket,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) metrics: Metrics,
    pub(crate) ids: Ids,
    pub(crate) writer: String,
    pub(crate) state: RwLock<State>,
    pub(crate) segments: SegmentCache,
    commits: append::Commits,
    /// The segment being written. Whoever holds it may also change which memtable is active.
    log: Mutex<Option<SegmentLog>>,
    /// One flush at a time, so that generations reach the manifest in order.
    flushing: Mutex<()>,
    room: Room,
}

/// Tells those who wait that something was flushed, and flushing that there is something to do.
#[derive(Default)]
struct Room {
    epoch: Mutex<u64>,
    changed: Condvar,
}

/// All entries there are. Changed under its lock in single steps, from one place to the next.
#[derive(Default)]
pub(crate) struct State {
    pub active: MemTable,
    pub generation: u64,
    /// When the first entry of the active memtable came.
    pub active_since: Option<Duration>,
    pub sealed: Vec<Arc<Sealed>>,
    pub pending: Vec<Arc<Pending>>,
    pub catalog: Catalog,
    /// Requests to delete entries.
    pub tombstones: HashMap<TenantId, Arc<Tombstones>>,
    /// Segments of the log that are still needed, and their lengths.
    pub logs: HashMap<u64, u64>,
}

/// A memtable that takes no more entries.
pub(crate) struct Sealed {
    pub generation: u64,
    pub table: MemTable,
    pub since: Duration,
}

/// An object in memory that is not in the manifest yet.
pub(crate) struct Pending {
    pub tenant: TenantId,
    pub day: Day,
    pub generation: u64,
    pub meta: ObjectMeta,
    pub segment: Arc<Segment>,
    pub data: bytes::Bytes,
    pub since: Duration,
}

impl State {
    fn unflushed_bytes(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|sealed| sealed.table.memory_bytes()).sum();
        let pending: usize =
            self.pending.iter().map(|p| p.data.len() + p.segment.index().memory_bytes()).sum();
        self.active.memory_bytes() + sealed + pending
    }

    fn log_bytes(&self) -> u64 {
        self.logs.values().sum()
    }
}

/// Makes names of objects and numbers nobody can guess.
pub(crate) struct Ids {
    clock: SharedClock,
    next: AtomicU64,
}

impl Ids {
    pub fn new(clock: SharedClock, seed: u64) -> Self {
        Self { clock, next: AtomicU64::new(seed) }
    }

    pub fn number(&self) -> u64 {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes())
    }

    pub fn ulid(&self) -> Ulid {
        let time_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        Ulid::from_parts(time_ms, u128::from(self.number()) << 16 | u128::from(self.number() & 0xffff))
    }
}

impl LogDb {
    /// Opens the engine: its log on `disk`, which is replayed, its objects in `bucket`.
    pub fn open(
        options: Options,
        disk: Arc<dyn Disk>,
        bucket: SharedBucket,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, LogDbError> {
        let ids = Ids::new(clock.clone(), options.seed);
        let writer = recover::writer_id(&*disk, &ids)?;
        let db = Self {
            segments: SegmentCache::new(bucket.clone(), options.index_cache_bytes),
            metrics: Metrics::new(registry),
            ids,
            writer,
            state: RwLock::default(),
            commits: append::Commits::default(),
            log: Mutex::new(None),
            flushing: Mutex::new(()),
            room: Room::default(),
            options,
            clock,
            bucket,
            disk,
        };
        db.load_catalog()?;
        db.replay()?;
        Ok(db)
    }

    /// The settings it runs with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// All objects that are read, as far as they are known here.
    pub fn objects(&self) -> Vec<(TenantId, Day, ObjectMeta)> {
        let state = self.state.read();
        let objects = |(tenant, day, manifest): (&TenantId, Day, &Arc<crate::manifest::Manifest>)| {
            let tenant = tenant.clone();
            manifest.objects.clone().into_iter().map(move |object| (tenant.clone(), day, object))
        };
        state.catalog.all().flat_map(objects).collect()
    }

    /// Bytes of entries that are in memory and not in the bucket.
    pub fn unflushed_bytes(&self) -> usize {
        self.state.read().unflushed_bytes()
    }

    pub(crate) fn tell_room(&self) {
        *self.room.epoch.lock() += 1;
        self.room.changed.notify_all();
    }

    /// Puts what the gauges show up to date.
    pub(crate) fn publish(&self) {
        let state = self.state.read();
        self.metrics.memory_bytes.set(state.unflushed_bytes() as f64);
        let streams: usize = state.active.tenants().map(|(_, streams)| streams.len()).sum();
        self.metrics.memory_streams.set(streams as f64);
        self.metrics.wal_bytes.set(state.log_bytes() as f64);
        self.metrics.pending.set((state.pending.len() + state.sealed.len()) as f64);
    }
}
