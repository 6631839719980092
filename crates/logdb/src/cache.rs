//! Objects that were opened, with their indices, as many as memory is given for.

use std::sync::Arc;

use blob::SharedBucket;
use hashbrown::HashMap;
use model::source::TenantId;
use parking_lot::Mutex;
use ulid::Ulid;

use crate::day::Day;
use crate::manifest::object_key;
use crate::segment::Segment;
use crate::segment::reader::SegmentError;

/// Objects that were opened.
pub(crate) struct SegmentCache {
    bucket: SharedBucket,
    limit_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<Ulid, Entry>,
    bytes: usize,
    uses: u64,
    damaged: HashMap<Ulid, String>,
}

struct Entry {
    segment: Arc<Segment>,
    bytes: usize,
    used: u64,
}

impl SegmentCache {
    pub fn new(bucket: SharedBucket, limit_bytes: usize) -> Self {
        Self { bucket, limit_bytes, state: Mutex::default() }
    }

    /// An object, opened if it is not.
    pub fn open(&self, tenant: &TenantId, day: Day, id: Ulid) -> Result<Arc<Segment>, SegmentError> {
        {
            let mut state = self.state.lock();
            state.uses += 1;
            let now = state.uses;
            if let Some(entry) = state.open.get_mut(&id) {
                entry.used = now;
                return Ok(entry.segment.clone());
            }
        }
        let object = self.bucket.open(&object_key(tenant, day, id))?;
        let segment = Arc::new(Segment::open(object)?);
        let bytes = segment.index().memory_bytes();
        let mut state = self.state.lock();
        let used = state.uses;
        if state.open.insert(id, Entry { segment: segment.clone(), bytes, used }).is_none() {
            state.bytes += bytes;
        }
        while state.bytes > self.limit_bytes && state.open.len() > 1 {
            let oldest =
                state.open.iter().filter(|(other, _)| **other != id).min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(&id, _)| id) else { break };
            if let Some(entry) = state.open.remove(&oldest) {
                state.bytes -= entry.bytes;
            }
        }
        Ok(segment)
    }

    /// Forgets an object.
    pub fn forget(&self, id: Ulid) {
        let mut state = self.state.lock();
        if let Some(entry) = state.open.remove(&id) {
            state.bytes -= entry.bytes;
        }
        state.damaged.remove(&id);
    }

    /// Notes that an object is damaged; true when that is news.
    pub fn note_damage(&self, id: Ulid, reason: &str) -> bool {
        self.state.lock().damaged.insert(id, reason.to_owned()).is_none()
    }

    /// What is known to be wrong with an object.
    pub fn damage_of(&self, id: Ulid) -> Option<String> {
        self.state.lock().damaged.get(&id).cloned()
    }

    /// All objects known to be damaged.
    pub fn damaged(&self) -> Vec<(Ulid, String)> {
        self.state.lock().damaged.iter().map(|(&id, reason)| (id, reason.clone())).collect()
    }
}
