//! Objects that were opened, with their indices, as many as memory is given for.

use std::collections::BTreeMap;
use std::sync::Arc;

use blob::SharedBucket;
use hashbrown::{HashMap, HashSet};
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
    groups: Arc<DamagedGroups>,
}

/// Page groups that could not be read because they are damaged. The rest of their objects is served.
#[derive(Default)]
pub(crate) struct DamagedGroups(Mutex<HashMap<Ulid, BTreeMap<usize, String>>>);

impl DamagedGroups {
    /// Notes that a page group is damaged, and tells it once.
    pub fn note(&self, id: Ulid, group: usize, key: &str, reason: &str) {
        if self.0.lock().entry(id).or_default().insert(group, reason.to_owned()).is_none() {
            tracing::error!(object = key, group, reason, "a page group is damaged and left out");
        }
    }

    /// What is known to be wrong with the page groups of an object.
    pub fn of(&self, id: Ulid) -> BTreeMap<usize, String> {
        self.0.lock().get(&id).cloned().unwrap_or_default()
    }

    fn has_any(&self, id: Ulid) -> bool {
        self.0.lock().contains_key(&id)
    }
}

#[derive(Default)]
struct State {
    open: HashMap<Ulid, Entry>,
    bytes: usize,
    uses: u64,
    damaged: HashMap<Ulid, String>,
    /// Objects whose index leaves no room for that of another.
    full: HashSet<Ulid>,
}

struct Entry {
    segment: Arc<Segment>,
    bytes: usize,
    used: u64,
}

impl SegmentCache {
    pub fn new(bucket: SharedBucket, limit_bytes: usize) -> Self {
        Self { bucket, limit_bytes, state: Mutex::default(), groups: Arc::default() }
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
        state.uses += 1;
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
        state.full.remove(&id);
        drop(state);
        self.groups.0.lock().remove(&id);
    }

    /// Notes that an object cannot be made one with others, because of its index.
    pub fn note_full(&self, id: Ulid) {
        self.state.lock().full.insert(id);
    }

    /// Whether an object cannot be made one with others.
    pub fn is_full(&self, id: Ulid) -> bool {
        self.state.lock().full.contains(&id)
    }

    /// Page groups that are damaged.
    pub fn groups(&self) -> &Arc<DamagedGroups> {
        &self.groups
    }

    /// Number of page groups that are damaged.
    pub fn damaged_groups(&self) -> usize {
        self.groups.0.lock().values().map(BTreeMap::len).sum()
    }

    /// Whether an object, or a part of it, is damaged: what is left of it must not be given up for a copy.
    pub fn is_damaged(&self, id: Ulid) -> bool {
        self.damage_of(id).is_some() || self.groups.has_any(id)
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
