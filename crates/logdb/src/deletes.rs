//! Entries that are to be gone: at once for queries, and in the bucket when objects are written anew.
//!
//! A request is done when no object has such entries any more. Whoever has such in memory, or an object of such on its way,
//! opens it again: others cannot know. In reading order: [`document`] (as requests are stored), [`tombstones`] (asking them),
//! this file (the work).

mod document;
mod tombstones;

use std::sync::Arc;
use std::time::Duration;

use blob::{BlobError, PutIf};
use hashbrown::HashSet;
use model::logs::LogRange;
use model::matcher::Matcher;
use model::source::TenantId;
use ulid::Ulid;

use crate::codec::Damaged;
use crate::day::Day;
use crate::db::{LogDb, LogDbError};
use crate::manifest::{
    CommitError, Document, Edit, Manifest, ManifestError, ObjectMeta, commit, folder_of_tenant, load_document,
};
use document::Deletes;
pub use document::{DeleteRequest, LineCondition, StoredDelete};
pub(crate) use tombstones::{Tombstone, Tombstones};

/// Requests of one tenant that are not done yet.
const MAX_OPEN: usize = 1000;
/// Requests that are done are forgotten after that time. Whatever they concern has long been written anew or deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// Of requests that are done the newest are kept.
const MAX_DONE: usize = 5000;
/// For so long other writers may not have heard of a request.
const SETTLES_AFTER: Duration = Duration::from_secs(3600);
/// No request is done that soon after it was made or opened again.
pub(crate) const SOON: Duration = Duration::from_secs(30 * 60);

/// What is in no object of the bucket yet.
struct Waiting {
    /// When the first of the entries came that are in no object at all, or before; milliseconds since the epoch.
    since_ms: i64,
    /// Objects on their way.
    pending: Vec<ObjectMeta>,
    now_ms: i64,
}

impl Waiting {
    /// Whether a request is done that concerns it.
    fn misses(&self, request: &StoredDelete) -> bool {
        let misses = |object: &ObjectMeta| {
            request.is_missed(object.deletes, (object.first_ns, object.last_ns), self.now_ms)
        };
        request.is_missed_since(self.since_ms) || self.pending.iter().any(misses)
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

    /// Changes the requests of a tenant, and opens those again that are done and concern what waits here.
    fn change_deletes(
        &self,
        tenant: &TenantId,
        mut edit: impl FnMut(&mut Deletes) -> Edit,
    ) -> Result<(), LogDbError> {
        let (now_ms, key) = (self.clock.now_ms(), key_of(tenant));
        let first_revision = now_ms.unsigned_abs();
        // Nobody else knows what waits here.
        let waiting = self.waiting(tenant);
        let mut edit = |deletes: &mut Deletes| match edit(deletes) {
            Edit::Impossible => Edit::Impossible,
            _ if deletes.reopen(|request| waiting.misses(request), now_ms) => Edit::Change,
            edited => edited,
        };
        let mut changed = commit::<Deletes>(&*self.bucket, &key, first_revision, &mut edit);
        if let Err(CommitError::Manifest(ManifestError::Damaged(_, damaged))) = &changed {
            self.remake_deletes(tenant, damaged)?;
            changed = commit::<Deletes>(&*self.bucket, &key, first_revision, &mut edit);
        }
        let (deletes, _) = changed?;
        // For the day on which the document is damaged: what was deleted must not come back.
        let copied = self.bucket.put(&copy_key_of(tenant), deletes.encode().into(), &PutIf::Always);
        if let Err(error) = copied {
            tracing::warn!(%error, "copying the requests to delete failed");
        }
        self.install_deletes(tenant, deletes)
    }

    /// Follows the requests of a tenant from now on.
    fn install_deletes(&self, tenant: &TenantId, deletes: Deletes) -> Result<(), LogDbError> {
        // Objects that others wrote anew must not be read any more when their entries are not left out.
        let days = self.days_of_done(tenant, &deletes);
        for day in &days {
            self.refresh_day(tenant, *day)?;
        }
        if !days.is_empty()
            && let Some((newer, _)) = load_document::<Deletes>(&*self.bucket, &key_of(tenant))?
            && newer.revision > deletes.revision
        {
            // Perhaps they are open again, for an object that appeared meanwhile.
            return self.hear_of_deletes(tenant, newer);
        }
        let mut state = self.state.write();
        state.heard.insert(tenant.clone(), self.clock.monotonic());
        let known = state.tombstones.get(tenant).map_or(0, |known| known.revision);
        if deletes.revision > known {
            state.tombstones.insert(tenant.clone(), Arc::new(Tombstones::new(deletes)));
        }
        Ok(())
    }

    /// The days requests are about of which it was not known here that they are done.
    fn days_of_done(&self, tenant: &TenantId, deletes: &Deletes) -> Vec<Day> {
        let tombstones = self.tombstones(tenant);
        if deletes.revision <= tombstones.revision {
            return Vec::new();
        }
        let known = tombstones.stored.iter().filter(|request| request.is_done).map(|request| request.id);
        let known: HashSet<Ulid> = known.collect();
        let done = deletes.requests.iter().filter(|request| request.is_done && !known.contains(&request.id));
        let done: Vec<LogRange> = done.map(StoredDelete::range).collect();
        let state = self.state.read();
        let days = state.catalog.all().filter(|(of, ..)| *of == tenant).map(|(_, day, _)| day);
        let is_concerned = |day: &Day| done.iter().any(|range| range.overlaps(day.first_ns(), day.last_ns()));
        days.filter(is_concerned).collect()
    }

    /// Reads the requests of a tenant again. A document that is damaged is set aside and made anew.
    pub(crate) fn refresh_deletes(&self, tenant: &TenantId) -> Result<(), LogDbError> {
        match load_document::<Deletes>(&*self.bucket, &key_of(tenant)) {
            Ok(Some((deletes, _))) => self.hear_of_deletes(tenant, deletes),
            Ok(None) => self.install_deletes(tenant, Deletes::default()),
            Err(ManifestError::Damaged(_, damaged)) => self.remake_deletes(tenant, &damaged),
            Err(error) => Err(error.into()),
        }
    }

    /// Follows the requests of a tenant. Those that are done and concern what waits here are opened again first.
    fn hear_of_deletes(&self, tenant: &TenantId, deletes: Deletes) -> Result<(), LogDbError> {
        if deletes.revision > self.tombstones(tenant).revision {
            // Objects will say that they follow it: it must not be another one that has this revision after a crash.
            self.bucket.settle(&key_of(tenant))?;
        }
        let waiting = self.waiting(tenant);
        if deletes.requests.iter().any(|request| waiting.misses(request)) {
            return self.change_deletes(tenant, |_| Edit::Done);
        }
        self.install_deletes(tenant, deletes)
    }

    fn waiting(&self, tenant: &TenantId) -> Waiting {
        let state = self.state.read();
        let active = state.active_since.filter(|_| state.active.has(tenant)).map(|since| self.wall_ms(since));
        let sealed = state.sealed.iter().filter(|sealed| sealed.table.has(tenant)).map(|s| s.begun_ms);
        let pending = state.pending.iter().filter(|pending| pending.tenant == *tenant);
        Waiting {
            since_ms: sealed.chain(active).min().unwrap_or(i64::MAX),
            pending: pending.map(|pending| pending.meta.clone()).collect(),
            now_ms: self.clock.now_ms(),
        }
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
            self.hear_of_deletes(tenant, deletes)?;
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
        let now_ms = self.clock.now_ms();
        let is_missed = |request: &StoredDelete| request.is_missed(after, times, now_ms);
        if !self.tombstones(tenant).stored.iter().any(is_missed) {
            return Ok(());
        }
        self.change_deletes(tenant, |deletes| match deletes.reopen(is_missed, now_ms) {
            true => Edit::Change,
            false => Edit::Done,
        })
    }

    /// Opens requests again that are done and concern entries of the log, which were in no object when it was looked whether they are.
    pub(crate) fn reopen_replayed(&self) -> Result<(), LogDbError> {
        let tenants = self.state.read().tenants();
        for tenant in &tenants {
            let waiting = self.waiting(tenant);
            if self.tombstones(tenant).stored.iter().any(|request| waiting.misses(request)) {
                self.change_deletes(tenant, |_| Edit::Done)?;
            }
        }
        Ok(())
    }

    /// Notes the requests for which no object has entries any more, and forgets those that were done long ago.
    pub(crate) fn settle_deletes(&self) -> Result<(), LogDbError> {
        let tenants: Vec<(TenantId, Arc<Tombstones>)> = {
            let state = self.state.read();
            state.tombstones.iter().map(|(tenant, known)| (tenant.clone(), known.clone())).collect()
        };
        let now_ms = self.clock.now_ms();
        for (tenant, tombstones) in tenants {
            let has_settled = |opened_ms: i64| now_ms.saturating_sub(opened_ms) > ms(SETTLES_AFTER);
            let due = tombstones.open.iter().filter(|request| has_settled(request.opened_ms));
            let mut due: Vec<Ulid> = due.map(|request| request.id).collect();
            if !due.is_empty() && !self.is_all_gone(&tenant, &tombstones)? {
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
                // Perhaps someone has opened it again since it was looked at.
                let open = deletes.requests.iter_mut().filter(|request| {
                    !request.is_done && due.contains(&request.id) && has_settled(request.opened_ms())
                });
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

    /// Whether no entry is left, here or in the bucket, that requests want gone.
    fn is_all_gone(&self, tenant: &TenantId, tombstones: &Tombstones) -> Result<bool, LogDbError> {
        if !self.has_stored(tenant, tombstones) || self.is_anything_left(tenant, tombstones) {
            return Ok(false);
        }
        // As far as is known here. Others may have stored something of a day that is looked at seldom.
        match self.load_days(tenant)? {
            (_, Some(failure)) => Err(failure),
            (_, None) => Ok(!self.is_anything_left(tenant, tombstones)),
        }
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
    fn has_stored(&self, tenant: &TenantId, tombstones: &Tombstones) -> bool {
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
        self.find_object(tenant, tombstones, |day, object, news| {
            !self.segments.is_damaged(object.id)
                && self
                    .segments
                    .open(tenant, day, object.id)
                    .is_ok_and(|it| tombstones::touches(it.index(), news))
        })
    }

    /// Whether any object may hold what requests want gone: one that cannot be read now may.
    fn is_anything_left(&self, tenant: &TenantId, tombstones: &Tombstones) -> bool {
        let found = self.find_object(tenant, tombstones, |day, object, news| {
            self.segments
                .open(tenant, day, object.id)
                .map_or(true, |it| tombstones::touches(it.index(), news))
        });
        found.is_some()
    }

    /// The first object for which it is so, with the requests that it may not follow. Objects that follow all are not asked about.
    fn find_object(
        &self,
        tenant: &TenantId,
        tombstones: &Tombstones,
        is_it: impl Fn(Day, &ObjectMeta, &[&Tombstone]) -> bool,
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
            let found = manifest.objects.iter().find(|object| {
                let news = tombstones.news_for(object);
                !news.is_empty() && is_it(*day, object, &news)
            });
            found.map(|object| (*day, object.clone()))
        })
    }
}
