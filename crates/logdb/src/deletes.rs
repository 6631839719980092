//! Entries that are to be gone: at once for queries, and in the bucket when objects are written anew.

use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use model::labels::Labels;
use model::logs::LogRange;
use model::matcher::{MatchOp, Matcher};
use model::source::TenantId;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::codec::Damaged;
use crate::day::Day;
use crate::db::{LogDb, LogDbError};
use crate::manifest::{
    Document, Edit, Manifest, ObjectMeta, ROOT, commit, decode_json, encode_json, load_document,
};
use crate::segment::{Segment, SegmentIndex};

const HEADER: &str = "bartizan-logs-deletes 1 crc32c=";
/// Requests of one tenant that are not done yet.
const MAX_OPEN: usize = 1000;
/// For so long other writers may not have heard of a request.
const SETTLES_AFTER: Duration = Duration::from_secs(3600);

/// What a line must hold, or must not, to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineCondition {
    /// `|=`
    Contains(String),
    /// `!=`
    Lacks(String),
}

/// Which entries are to be gone.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// All must match the labels of the stream. Never none.
    pub matchers: Vec<Matcher>,
    /// All must hold for the line.
    pub lines: Vec<LineCondition>,
    /// Times of the entries.
    pub range: LogRange,
}

/// A request as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDelete {
    /// Its name.
    pub id: Ulid,
    /// The revision that brought it: objects say which revision their writer knew.
    pub revision: u64,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: i64,
    /// First nanosecond.
    pub start_ns: i64,
    /// First nanosecond after.
    pub end_ns: i64,
    /// Operator, name and value of each matcher.
    pub matchers: Vec<(String, String, String)>,
    /// What lines must hold.
    pub lines: Vec<LineCondition>,
    /// Whether no object has such entries any more.
    pub is_done: bool,
}

/// The requests of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletes {
    /// Grows with each change.
    pub revision: u64,
    /// In the order of their names.
    pub requests: Vec<StoredDelete>,
}

impl Document for Deletes {
    fn encode(&self) -> Vec<u8> {
        encode_json(HEADER, self)
    }

    fn decode(data: &[u8]) -> Result<Self, Damaged> {
        decode_json(HEADER, data)
    }

    fn begin(first_revision: u64) -> Self {
        Self { revision: first_revision, requests: Vec::new() }
    }

    fn count_change(&mut self) {
        self.revision += 1;
    }
}

/// The requests of one tenant that are not done, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    pub revision: u64,
    pub stored: Vec<StoredDelete>,
    open: Vec<Tombstone>,
}

#[derive(Debug)]
pub(crate) struct Tombstone {
    id: Ulid,
    revision: u64,
    created_ms: i64,
    range: LogRange,
    matchers: Vec<Matcher>,
    lines: Vec<LineCondition>,
}

impl Tombstones {
    fn new(deletes: Deletes) -> Self {
        let open =
            deletes.requests.iter().filter(|request| !request.is_done).filter_map(Tombstone::new).collect();
        Self { revision: deletes.revision, stored: deletes.requests, open }
    }

    /// The requests that concern a stream between two times, both included, and that are newer than a revision.
    pub fn concerning(&self, labels: &Labels, first_ns: i64, last_ns: i64, after: u64) -> Vec<&Tombstone> {
        let concerns = |tombstone: &&Tombstone| {
            tombstone.revision > after
                && tombstone.range.overlaps(first_ns, last_ns)
                && tombstone.matches_stream(labels)
        };
        self.open.iter().filter(concerns).collect()
    }

    /// Whether there is no request that is not done.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All requests that concern a stream.
    pub fn of_stream(&self, labels: &Labels) -> Vec<&Tombstone> {
        self.concerning(labels, i64::MIN, i64::MAX, 0)
    }

    /// An object that may hold what a request wants gone, and was written by someone who did not know of it.
    pub fn rewrite_of<'a>(
        &self,
        mut objects: impl Iterator<Item = &'a ObjectMeta>,
        index_of: &dyn Fn(Ulid) -> Option<Arc<Segment>>,
    ) -> Option<&'a ObjectMeta> {
        objects.find(|object| {
            let news: Vec<&Tombstone> = self
                .open
                .iter()
                .filter(|t| t.revision > object.deletes && t.range.overlaps(object.first_ns, object.last_ns))
                .collect();
            !news.is_empty() && index_of(object.id).is_some_and(|segment| touches(segment.index(), &news))
        })
    }
}

fn touches(index: &SegmentIndex, tombstones: &[&Tombstone]) -> bool {
    tombstones.iter().any(|tombstone| {
        let matching: Vec<bool> =
            index.streams.iter().map(|labels| tombstone.matches_stream(labels)).collect();
        let mut runs = index.groups.iter().flat_map(|group| &group.runs);
        runs.any(|run| matching[run.stream as usize] && tombstone.range.overlaps(run.first_ns, run.last_ns))
    })
}

impl Tombstone {
    fn new(stored: &StoredDelete) -> Option<Self> {
        let matcher = |(op, name, value): &(String, String, String)| {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let op = ops.into_iter().find(|known| known.as_str() == op)?;
            Matcher::new(op, name.clone(), value.clone()).ok()
        };
        let matchers: Option<Vec<Matcher>> = stored.matchers.iter().map(matcher).collect();
        let range = LogRange { start_ns: stored.start_ns, end_ns: stored.end_ns };
        let (id, revision, created_ms) = (stored.id, stored.revision, stored.created_ms);
        let lines = stored.lines.clone();
        // One whose matchers are not understood must not delete more than it should: it deletes nothing.
        Some(Self { id, revision, created_ms, range, matchers: matchers?, lines })
    }

    fn matches_stream(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.get_or_empty(&matcher.name)))
    }

    /// Whether all entries of a stream that matches between two times, both included, are to be gone.
    pub fn covers_all(&self, first_ns: i64, last_ns: i64) -> bool {
        self.lines.is_empty() && self.range.contains(first_ns) && self.range.contains(last_ns)
    }

    /// Whether an entry of a stream that matches is to be gone.
    pub fn covers(&self, timestamp_ns: i64, line: &[u8]) -> bool {
        let holds = |condition: &LineCondition| match condition {
            LineCondition::Contains(text) => memmem::find(line, text.as_bytes()).is_some(),
            LineCondition::Lacks(text) => memmem::find(line, text.as_bytes()).is_none(),
        };
        self.range.contains(timestamp_ns) && self.lines.iter().all(holds)
    }
}

fn key_of(tenant: &TenantId) -> String {
    format!("{ROOT}{}/deletes", blob::bucket::key_part(&tenant.0))
}

impl LogDb {
    /// Asks for entries to be gone. When this answers, no query here sees them any more.
    pub fn delete(&self, tenant: &TenantId, request: &DeleteRequest) -> Result<Ulid, LogDbError> {
        let id = self.ids.ulid();
        let matcher = |m: &Matcher| (m.op.as_str().to_owned(), m.name.clone(), m.value.clone());
        let stored = StoredDelete {
            id,
            created_ms: self.clock.now_ms(),
            start_ns: request.range.start_ns,
            end_ns: request.range.end_ns,
            matchers: request.matchers.iter().map(matcher).collect(),
            lines: request.lines.clone(),
            revision: 0,
            is_done: false,
        };
        if request.matchers.is_empty() || request.range.start_ns >= request.range.end_ns {
            return Err(LogDbError::Request("a delete request needs a selector and a time range"));
        }
        self.change_deletes(tenant, |deletes| {
            if deletes.requests.iter().any(|known| known.id == id) {
                return Edit::Done;
            }
            if deletes.requests.iter().filter(|known| !known.is_done).count() >= MAX_OPEN {
                return Edit::Impossible;
            }
            deletes.requests.push(StoredDelete { revision: deletes.revision + 1, ..stored.clone() });
            Edit::Change
        })?;
        Ok(id)
    }

    /// The requests of a tenant.
    pub fn deletes(&self, tenant: &TenantId) -> Vec<StoredDelete> {
        self.tombstones(tenant).stored.clone()
    }

    /// Takes a request back; entries that objects still have are seen again. False when there is none of that name.
    pub fn cancel_delete(&self, tenant: &TenantId, id: Ulid) -> Result<bool, LogDbError> {
        let mut was_there = false;
        self.change_deletes(tenant, |deletes| {
            let before = deletes.requests.len();
            deletes.requests.retain(|request| request.id != id);
            was_there |= deletes.requests.len() < before;
            if deletes.requests.len() < before { Edit::Change } else { Edit::Done }
        })?;
        Ok(was_there)
    }

    pub(crate) fn tombstones(&self, tenant: &TenantId) -> Arc<Tombstones> {
        self.state.read().tombstones.get(tenant).cloned().unwrap_or_default()
    }

    fn change_deletes(
        &self,
        tenant: &TenantId,
        edit: impl FnMut(&mut Deletes) -> Edit,
    ) -> Result<(), LogDbError> {
        let now = self.clock.now_ms().unsigned_abs();
        let deletes = commit::<Deletes>(&*self.bucket, &key_of(tenant), now, edit)?;
        self.install_deletes(tenant, deletes);
        Ok(())
    }

    fn install_deletes(&self, tenant: &TenantId, deletes: Deletes) {
        let mut state = self.state.write();
        let known = state.tombstones.get(tenant).map_or(0, |known| known.revision);
        if deletes.revision > known {
            state.tombstones.insert(tenant.clone(), Arc::new(Tombstones::new(deletes)));
        }
    }

    /// Reads the requests of a tenant again.
    pub(crate) fn refresh_deletes(&self, tenant: &TenantId) -> Result<(), LogDbError> {
        if let Some((deletes, _)) = load_document::<Deletes>(&*self.bucket, &key_of(tenant))? {
            self.install_deletes(tenant, deletes);
        }
        Ok(())
    }

    /// Notes the requests for which no object has entries any more.
    pub(crate) fn settle_deletes(&self) -> Result<(), LogDbError> {
        let tenants: Vec<(TenantId, Arc<Tombstones>)> = {
            let state = self.state.read();
            state.tombstones.iter().map(|(tenant, known)| (tenant.clone(), known.clone())).collect()
        };
        let settled_ms = i64::try_from(SETTLES_AFTER.as_millis()).unwrap_or(i64::MAX);
        for (tenant, tombstones) in tenants {
            let is_due = |t: &&Tombstone| self.clock.now_ms().saturating_sub(t.created_ms) > settled_ms;
            let due: Vec<Ulid> = tombstones.open.iter().filter(is_due).map(|t| t.id).collect();
            if due.is_empty() || self.rewrite_for(&tenant, &tombstones).is_some() {
                continue;
            }
            self.change_deletes(&tenant, |deletes| {
                let open = deletes.requests.iter_mut().filter(|r| !r.is_done && due.contains(&r.id));
                let changed = open.map(|request| request.is_done = true).count();
                if changed > 0 { Edit::Change } else { Edit::Done }
            })?;
        }
        Ok(())
    }

    /// An object of a tenant that is to be written anew without what requests want gone.
    pub(crate) fn rewrite_for(
        &self,
        tenant: &TenantId,
        tombstones: &Tombstones,
    ) -> Option<(Day, ObjectMeta)> {
        if tombstones.is_empty() {
            return None;
        }
        let days: Vec<(Day, Arc<Manifest>)> = {
            let state = self.state.read();
            let all = state.catalog.all().filter(|(of, _, _)| *of == tenant);
            all.map(|(_, day, manifest)| (day, manifest.clone())).collect()
        };
        days.iter().find_map(|(day, manifest)| {
            let usable = manifest.objects.iter().filter(|o| self.segments.damage_of(o.id).is_none());
            let open = |id| self.segments.open(tenant, *day, id).ok();
            Some((*day, tombstones.rewrite_of(usable, &open)?.clone()))
        })
    }
}
