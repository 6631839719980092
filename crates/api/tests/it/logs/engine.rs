//! The real engine behind the API, with entries kept in one place: in memory, in objects as they are flushed, or in objects
//! that were compacted. All are small, so that queries meet many of them.

use std::sync::Arc;

use base::SystemClock;
use base::metrics::Registry;
use blob::MemoryBucket;
use logdb::wal::LocalDisk;
use logdb::{LogDb, Options, Retention};
use model::TenantId;
use model::logs::{LogAppendError, LogAppender, LogBatch, LogSource};

/// Where entries are when they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Memory,
    Flushed,
    Compacted,
    /// Each push in parts, some of which stay in memory while others are flushed or compacted, so that streams lie
    /// across each other everywhere.
    Scattered,
}

pub const PLACES: [Place; 4] = [Place::Memory, Place::Flushed, Place::Compacted, Place::Scattered];

/// In parts of so many entries pushes are scattered.
const PART_ENTRIES: usize = 37;

/// An engine that brings entries to their place before it acknowledges them.
pub struct Engine {
    place: Place,
    db: Arc<LogDb>,
    _dir: tempfile::TempDir,
}

impl Engine {
    pub fn open(place: Place) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(LocalDisk::open(dir.path()).unwrap());
        let clock = SystemClock::shared();
        let options = Options {
            group_bytes: 4 << 10,
            compaction_inputs: 2,
            retention: Retention::default(),
            ..Options::default()
        };
        let bucket = Arc::new(MemoryBucket::new(clock.clone()));
        let db = Arc::new(LogDb::open(options, disk, bucket, clock, &Registry::new()).unwrap());
        Self { place, db, _dir: dir }
    }

    pub fn source(&self) -> Arc<dyn LogSource> {
        self.db.clone()
    }

    /// That entries were where they should be: a test of another place would prove nothing.
    pub fn check(&self) {
        let objects = self.db.objects();
        let is_compacted = objects.iter().any(|(_, _, object)| object.level > 0);
        let is_found = (self.db.unflushed_bytes() > 0, !objects.is_empty(), is_compacted);
        let wanted = match self.place {
            Place::Memory => (true, false, false),
            Place::Flushed => (false, true, false),
            Place::Compacted => (false, true, true),
            Place::Scattered => (true, true, true),
        };
        assert_eq!(is_found, wanted, "in memory, in objects, compacted");
    }

    fn scatter(&self, tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        let entries = batches.into_iter().flat_map(|batch| {
            let LogBatch { stream, entries } = batch;
            entries.into_iter().map(move |entry| LogBatch { stream: stream.clone(), entries: vec![entry] })
        });
        let entries: Vec<LogBatch> = entries.collect();
        for (number, part) in entries.chunks(PART_ENTRIES).enumerate() {
            self.db.append(tenant, part.to_vec())?;
            match number % 7 {
                0 => drop(self.db.seal()),
                2 | 3 => drop(self.db.flush().unwrap()),
                5 => drop(self.db.compact_once().unwrap()),
                _ => {}
            }
        }
        Ok(())
    }
}

impl LogAppender for Engine {
    fn append(&self, tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        if self.place == Place::Scattered {
            return self.scatter(tenant, batches);
        }
        self.db.append(tenant, batches)?;
        if self.place != Place::Memory {
            self.db.flush().unwrap();
        }
        if self.place == Place::Compacted {
            while self.db.compact_once().unwrap() {}
        }
        Ok(())
    }
}
