//! Entries that are to be gone: at once for queries, and in the bucket when objects are written anew.

use std::sync::Arc;
use std::time::Duration;

use blob::{BlobError, PutIf};
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
    CommitError, Document, Edit, Manifest, ManifestError, ObjectMeta, commit, decode_json, encode_json,
    folder_of_tenant, load_document,
};
use crate::segment::{Segment, SegmentIndex};

const HEADER: &str = "bartizan-logs-deletes 1 crc32c=";
/// Requests of one tenant that are not done yet.
const MAX_OPEN: usize = 1000;
/// Requests that are done are forgotten after that time. Whatever they concern has long been written anew or deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// Of requests that are done the newest are kept.
const MAX_DONE: usize = 5000;
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
    /// When it was last found that it is to be done again, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened_ms: Option<i64>,
}

impl StoredDelete {
    /// Whether it is done and to be done again: entries of an object within these times, both included, may be such as it wants gone,
    /// and whoever wrote them did not know of it.
    fn is_missed(&self, after: u64, (first_ns, last_ns): (i64, i64)) -> bool {
        let range = LogRange { start_ns: self.start_ns, end_ns: self.end_ns };
        self.is_done && self.revision > after && range.overlaps(first_ns, last_ns)
    }
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
    /// When it was made, or found to be done again.
    opened_ms: i64,
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
        let (id, revision) = (stored.id, stored.revision);
        let opened_ms = stored.reopened_ms.unwrap_or(stored.created_ms);
        let lines = stored.lines.clone();
        // One whose matchers are not understood must not delete more than it should: it deletes nothing.
        Some(Self { id, revision, opened_ms, range, matchers: matchers?, lines })
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
    format!("{}deletes", folder_of_tenant(tenant))
}

fn copy_key_of(tenant: &TenantId) -> String {
    format!("{}.copy", key_of(tenant))
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
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
            reopened_ms: None,
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
        self.metrics.deletes_received.inc();
        self.publish_deletes();
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
        mut edit: impl FnMut(&mut Deletes) -> Edit,
    ) -> Result<(), LogDbError> {
        let (now, key) = (self.clock.now_ms().unsigned_abs(), key_of(tenant));
        let mut changed = commit::<Deletes>(&*self.bucket, &key, now, &mut edit);
        if let Err(CommitError::Manifest(ManifestError::Damaged(_, damaged))) = &changed {
            self.remake_deletes(tenant, damaged)?;
            changed = commit::<Deletes>(&*self.bucket, &key, now, &mut edit);
        }
        let (deletes, _) = changed?;
        // For the day on which the document is damaged: what was deleted must not come back.
        let copied = self.bucket.put(&copy_key_of(tenant), deletes.encode().into(), &PutIf::Always);
        if let Err(error) = copied {
            tracing::warn!(%error, "copying the requests to delete failed");
        }
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

    /// Reads the requests of a tenant again. A document that is damaged is set aside and made anew.
    pub(crate) fn refresh_deletes(&self, tenant: &TenantId) -> Result<(), LogDbError> {
        match load_document::<Deletes>(&*self.bucket, &key_of(tenant)) {
            Ok(Some((deletes, _))) => self.install_deletes(tenant, deletes),
            Ok(None) => {}
            Err(ManifestError::Damaged(_, damaged)) => self.remake_deletes(tenant, &damaged)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Makes the document of a tenant from its copy, or from what is known here.
    fn remake_deletes(&self, tenant: &TenantId, damaged: &Damaged) -> Result<(), LogDbError> {
        let key = key_of(tenant);
        let known = self.tombstones(tenant);
        let known = Deletes { revision: known.revision, requests: known.stored.clone() };
        let copy = match load_document::<Deletes>(&*self.bucket, &copy_key_of(tenant)) {
            Ok(copy) => copy.map(|(copy, _)| copy).unwrap_or_default(),
            Err(ManifestError::Damaged(..)) => Deletes::default(),
            Err(error) => return Err(error.into()),
        };
        let mut made = if copy.revision >= known.revision { copy } else { known };
        tracing::error!(
            key, %damaged, requests = made.requests.len(),
            "the requests to delete are damaged: setting them aside and making them anew"
        );
        // Newer than whatever the damaged one said.
        made.revision = made.revision.max(self.clock.now_ms().unsigned_abs()) + 1;
        let (data, version) = self.bucket.get(&key, u64::MAX)?;
        if Deletes::decode(&data).is_err() {
            self.metrics.damaged_documents.inc();
            self.bucket.put(&format!("{key}.damaged-{}", self.ids.ulid()), data, &PutIf::Always)?;
            match self.bucket.put(&key, made.encode().into(), &PutIf::Unchanged(version)) {
                // Who was faster has made it, too.
                Ok(_) | Err(BlobError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some((deletes, _)) = load_document::<Deletes>(&*self.bucket, &key)? {
            self.install_deletes(tenant, deletes);
        }
        Ok(())
    }

    /// Opens requests again that are done, where entries between two times, both included, appear that were written by someone who
    /// knew only the requests up to a revision.
    pub(crate) fn reopen_deletes(
        &self,
        tenant: &TenantId,
        after: u64,
        times: (i64, i64),
    ) -> Result<(), LogDbError> {
        self.reopen(tenant, &|request| request.is_missed(after, times))
    }

    /// Opens requests again that were made after entries of the log may have come: those were in no object when it was looked
    /// whether the request is done.
    pub(crate) fn reopen_replayed(&self) -> Result<(), LogDbError> {
        if !self.is_catalog_loaded() {
            return Ok(());
        }
        let replayed = std::mem::take(&mut *self.replayed.lock());
        for (tenant, begun_ms) in &replayed {
            self.reopen(tenant, &|request| request.is_done && request.created_ms >= *begun_ms)?;
        }
        Ok(())
    }

    fn reopen(&self, tenant: &TenantId, is_missed: &dyn Fn(&StoredDelete) -> bool) -> Result<(), LogDbError> {
        if !self.tombstones(tenant).stored.iter().any(is_missed) {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        self.change_deletes(tenant, |deletes| {
            let missed = deletes.requests.iter_mut().filter(|request| is_missed(request));
            let opened = missed.map(|request| {
                request.is_done = false;
                request.reopened_ms = Some(now_ms);
            });
            if opened.count() > 0 { Edit::Change } else { Edit::Done }
        })
    }

    /// Notes the requests for which no object has entries any more, and forgets those that were done long ago.
    pub(crate) fn settle_deletes(&self) -> Result<(), LogDbError> {
        let tenants: Vec<(TenantId, Arc<Tombstones>)> = {
            let state = self.state.read();
            state.tombstones.iter().map(|(tenant, known)| (tenant.clone(), known.clone())).collect()
        };
        let now_ms = self.clock.now_ms();
        for (tenant, tombstones) in tenants {
            let is_due = |t: &&Tombstone| now_ms.saturating_sub(t.opened_ms) > ms(SETTLES_AFTER);
            let mut due: Vec<Ulid> = tombstones.open.iter().filter(is_due).map(|t| t.id).collect();
            if !due.is_empty()
                && (!self.has_settled(&tenant, &tombstones)
                    || self.rewrite_for(&tenant, &tombstones).is_some())
            {
                due.clear();
            }
            let is_old = |request: &StoredDelete| {
                request.is_done && now_ms.saturating_sub(request.created_ms) > ms(FORGOTTEN_AFTER)
            };
            let done = tombstones.stored.iter().filter(|request| request.is_done).count();
            let has_old = done > MAX_DONE || tombstones.stored.iter().any(is_old);
            if !has_old && due.is_empty() {
                continue;
            }
            let mut settled = 0;
            self.change_deletes(&tenant, |deletes| {
                let open = deletes.requests.iter_mut().filter(|r| !r.is_done && due.contains(&r.id));
                let changed = open.map(|request| request.is_done = true).count();
                settled += changed;
                let before = deletes.requests.len();
                let done = deletes.requests.iter().filter(|request| request.is_done).count();
                let mut excess = done.saturating_sub(MAX_DONE);
                deletes.requests.retain(|request| {
                    let is_excess = request.is_done && excess > 0;
                    excess -= usize::from(is_excess);
                    !is_excess && !is_old(request)
                });
                if changed > 0 || deletes.requests.len() < before { Edit::Change } else { Edit::Done }
            })?;
            self.metrics.deletes_processed.add(settled as u64);
        }
        self.publish_deletes();
        Ok(())
    }

    /// Puts what the gauges show of requests up to date.
    fn publish_deletes(&self) {
        let state = self.state.read();
        let open =
            state.tombstones.values().flat_map(|of| of.stored.iter().filter(|request| !request.is_done));
        let (mut count, mut oldest_ms) = (0, None::<i64>);
        for request in open {
            count += 1;
            oldest_ms = Some(oldest_ms.map_or(request.created_ms, |oldest| oldest.min(request.created_ms)));
        }
        let age_ms = oldest_ms.map_or(0, |oldest_ms| self.clock.now_ms().saturating_sub(oldest_ms).max(0));
        self.metrics.deletes_pending.set(f64::from(count));
        self.metrics.deletes_oldest_seconds.set(age_ms as f64 / 1000.0);
    }

    /// Whether nothing here is on its way to the bucket that was written without knowing of all requests of a tenant.
    fn has_settled(&self, tenant: &TenantId, tombstones: &Tombstones) -> bool {
        let now = self.clock.monotonic();
        let state = self.state.read();
        let is_fresh = |since: Duration| now.saturating_sub(since) < SETTLES_AFTER;
        let unaware =
            |p: &Arc<crate::db::Pending>| p.tenant == *tenant && p.meta.deletes < tombstones.revision;
        self.is_catalog_loaded()
            && state.sealed.is_empty()
            && state.active_since.is_none_or(is_fresh)
            && !state.pending.iter().any(unaware)
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
            let usable = manifest.objects.iter().filter(|o| !self.segments.is_damaged(o.id));
            let open = |id| self.segments.open(tenant, *day, id).ok();
            Some((*day, tombstones.rewrite_of(usable, &open)?.clone()))
        })
    }
}
