//! The engine: what is in memory and in the bucket as one state, and the work that moves entries from one to the other.
//!
//! An entry is at any moment in exactly one of: the active memtable, a sealed one, a pending object (encoded, in memory, not yet
//! named by the manifest) or an object of the catalog. Each step replaces the one by the next under one lock, so that a
//! query, which takes what it reads under that lock, sees every entry once.

mod absences;
mod append;
mod background;
mod catalog;
mod expiry;
mod flush;
mod overview;
mod recover;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
use crate::options::{Options, Retention};
use crate::segment::Segment;
use crate::wal::{Disk, SegmentLog};

pub use background::Background;
pub(crate) use catalog::{Catalog, meta_of};
pub use overview::{DayOverview, Overview};

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
    /// What keeps the log from going on since the start.
    hindrance: Mutex<Option<recover::Hindrance>>,
    /// One flush at a time, so that generations reach the manifest in order.
    flushing: Mutex<flush::Flushing>,
    room: Room,
    /// Whether the bucket was read as a whole since the start.
    is_loaded: AtomicBool,
    /// Whether long work should end.
    pub(crate) is_stopping: AtomicBool,
    pub(crate) absences: absences::Absences,
    schedule: Mutex<upkeep::Schedule>,
    /// How long entries are kept.
    retention: RwLock<Arc<Retention>>,
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
    /// No segment of the log has this number or a higher one, or was tried to be given one.
    next_generation: u64,
    /// When the first entry of the active memtable came.
    pub active_since: Option<Duration>,
    pub sealed: Vec<Arc<Sealed>>,
    pub pending: Vec<Arc<Pending>>,
    pub catalog: Catalog,
    /// Requests to delete entries.
    pub tombstones: BTreeMap<TenantId, Arc<Tombstones>>,
    /// When the requests of tenants were last read, by the clock that never goes back.
    pub heard: HashMap<TenantId, Duration>,
    /// Segments of the log that are still needed.
    pub logs: HashMap<u64, LogFile>,
    /// What the sealed and the pending take.
    waiting_bytes: usize,
}

/// A segment of the log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogFile {
    pub len_bytes: u64,
    /// Whether a part of it could not be read: it is kept when it is not needed any more.
    pub is_damaged: bool,
}

/// A memtable that takes no more entries.
pub(crate) struct Sealed {
    pub generation: u64,
    pub table: MemTable,
    pub since: Duration,
    /// Its first entry came then or later, milliseconds since the epoch.
    pub begun_ms: i64,
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
    /// When the requests to delete that it follows were read, by the clock that never goes back.
    pub heard: Option<Duration>,
}

impl State {
    /// Counts what waits to be flushed, after that changed: each push asks for it.
    fn recount(&mut self) {
        let sealed: usize = self.sealed.iter().map(|sealed| sealed.table.memory_bytes()).sum();
        let pending: usize =
            self.pending.iter().map(|p| p.data.len() + p.segment.index().memory_bytes()).sum();
        self.waiting_bytes = sealed + pending;
    }

    fn unflushed_bytes(&self) -> usize {
        self.active.memory_bytes() + self.waiting_bytes
    }

    /// The tenants anything is known of.
    pub fn tenants(&self) -> BTreeSet<TenantId> {
        let tables = self.sealed.iter().map(|sealed| &sealed.table).chain([&self.active]);
        let waiting = tables.flat_map(|table| table.tenants().map(|(tenant, _)| tenant));
        let pending = self.pending.iter().map(|pending| &pending.tenant);
        let stored = self.catalog.all().map(|(tenant, ..)| tenant);
        waiting.chain(pending).chain(stored).chain(self.tombstones.keys()).cloned().collect()
    }

    fn log_bytes(&self) -> u64 {
        self.logs.values().map(|log| log.len_bytes).sum()
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
        self.ulid_after(None)
    }

    /// A name behind another, though the clock of whoever made that was ahead.
    pub fn ulid_after(&self, other: Option<Ulid>) -> Ulid {
        let now_ms = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        let time_ms = other.map_or(now_ms, |other| now_ms.max(other.timestamp_ms() + 1));
        Ulid::from_parts(time_ms, u128::from(self.number()) << 16 | u128::from(self.number() & 0xffff))
    }
}

impl LogDb {
    /// Opens the engine: its log on `disk`, which is replayed, its objects in `bucket`. When the bucket cannot be reached it
    /// opens all the same, takes entries and knows what is in its log; [`Self::upkeep`] goes on trying. When its log cannot be
    /// written, for the disk is full, it opens all the same and is read; it takes entries as soon as the log can.
    pub fn open(
        options: Options,
        disk: Arc<dyn Disk>,
        bucket: SharedBucket,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, LogDbError> {
        let ids = Ids::new(clock.clone(), options.seed);
        let (writer, has_writer) = recover::writer_id(&*disk, &ids)?;
        let db = Self {
            segments: SegmentCache::new(bucket.clone(), options.index_cache_bytes),
            metrics: Metrics::new(registry),
            ids,
            writer,
            state: RwLock::default(),
            commits: append::Commits::default(),
            log: Mutex::new(None),
            hindrance: Mutex::default(),
            flushing: Mutex::default(),
            room: Room::default(),
            is_loaded: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            absences: absences::Absences::default(),
            schedule: Mutex::default(),
            retention: RwLock::new(Arc::new(options.retention.clone())),
            options,
            clock,
            bucket,
            disk,
        };
        if let Err(error) = db.load_catalog() {
            tracing::error!(%error, "the bucket of logs cannot be read: going on with what is in the log of entries");
        }
        db.replay(has_writer)?;
        Ok(db)
    }

    /// The settings it runs with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How long entries are kept.
    pub fn retention(&self) -> Arc<Retention> {
        self.retention.read().clone()
    }

    /// Keeps entries for other times from now on. What is past its time is not seen any more at once; what is not gone from the
    /// bucket yet and within the new time is seen again.
    pub fn set_retention(&self, retention: Retention) {
        *self.retention.write() = Arc::new(retention);
        self.schedule.lock().expiry_looked_at.clear();
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
        self.metrics.damaged_groups.set(self.segments.damaged_groups() as f64);
        self.metrics.wal_bytes.set(state.log_bytes() as f64);
        let waiting = state.pending.len() + state.sealed.len();
        self.metrics.pending.set(waiting as f64);
        self.metrics.memory_chunks.set((waiting + usize::from(!state.active.is_empty())) as f64);
    }
}
