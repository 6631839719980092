//! Work that is done now and then: other writers' changes, damage, retention, and objects nobody needs.

use std::collections::BTreeSet;
use std::time::Duration;

use blob::BlobError;
use model::logs::LogColumns;
use model::source::TenantId;
use ulid::Ulid;

use super::catalog::meta_of;
use super::{LogDb, LogDbError};
use crate::day::Day;
use crate::manifest::{
    Edit, Manifest, ObjectMeta, Quarantined, copy_key, folder_of, manifest_key, object_id, object_key,
};
use crate::segment::Segment;

/// All manifests are read that often, and files that were never finished are deleted.
const FULL_EVERY: Duration = Duration::from_secs(3600);
/// An object that was set aside is read again after that time: it may have been the way to it that was damaged.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(86_400);
/// The manifest of a day that holds nothing goes when its entries would be that long past their time.
const FORGET_DAY_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// When what was done last, by the clock that never goes back.
#[derive(Default)]
pub(super) struct Schedule {
    full: Duration,
    refresh: Duration,
    orphans: Duration,
    looked_at: hashbrown::HashMap<Ulid, Duration>,
    /// When objects were last looked at for entries that are past their time.
    pub(super) expiry_looked_at: hashbrown::HashMap<Ulid, Duration>,
}

/// Whether something is to be done that is done so often; if so it is noted as done.
fn is_due(last: &mut Duration, every: Duration, now: Duration) -> bool {
    let is_due = now.saturating_sub(*last) >= every;
    if is_due {
        *last = now;
    }
    is_due
}

fn tell(what: &str, outcome: Result<(), LogDbError>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what} failed");
    }
}

impl LogDb {
    /// Everything that is to be done now and then. What fails is told and tried again the next time.
    pub fn upkeep(&self) {
        self.maintain();
        self.compact_all();
        tell("noting what was deleted", self.settle_deletes());
        tell("deleting what nobody needs", self.collect_garbage());
        self.publish();
    }

    /// Everything but compaction.
    pub(super) fn maintain(&self) {
        tell("looking for other writers' objects", self.refresh());
        self.retry_suspects();
        tell("setting damaged objects aside", self.quarantine());
        tell("looking again at damaged objects", self.look_again());
        let retained = self.retain();
        if retained.is_ok() {
            self.metrics.retained_at.set(self.clock.now_ms() as f64 / 1000.0);
        }
        tell("retention", retained);
        tell("noting what was deleted", self.settle_deletes());
        tell("deleting what nobody needs", self.collect_garbage());
        self.publish();
    }

    /// Compacts until there is nothing left to do.
    pub(super) fn compact_all(&self) {
        while !self.is_stopping() {
            match self.compact_once() {
                Ok(true) => {}
                Ok(false) => {
                    self.metrics.compacted_at.set(self.clock.now_ms() as f64 / 1000.0);
                    break;
                }
                Err(error) => {
                    self.metrics.compaction_failures.inc();
                    tracing::warn!(%error, "compaction failed");
                    break;
                }
            }
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Reads what others may have changed: recent days often, all seldom.
    fn refresh(&self) -> Result<(), LogDbError> {
        let now = self.clock.monotonic();
        let (is_full, is_recent) = {
            let mut schedule = self.schedule.lock();
            let is_full = is_due(&mut schedule.full, FULL_EVERY, now) || !self.is_catalog_loaded();
            let every = self.options.refresh_every;
            (is_full, every.is_some_and(|every| is_due(&mut schedule.refresh, every, now)))
        };
        if is_full {
            self.load_catalog()
        } else if is_recent {
            self.refresh_recent()
        } else {
            Ok(())
        }
    }

    pub(super) fn days(&self) -> Vec<(TenantId, Day, std::sync::Arc<Manifest>)> {
        let state = self.state.read();
        state.catalog.all().map(|(tenant, day, manifest)| (tenant.clone(), day, manifest.clone())).collect()
    }

    fn retry_suspects(&self) {
        // What was compacted away by someone else is no damage.
        for (id, _) in self.segments.damaged() {
            let is_named =
                self.state.read().catalog.all().any(|(_, _, manifest)| manifest.object(id).is_some());
            if !is_named {
                self.segments.forget(id);
            }
        }
        // What was missing is looked for again, though no query asks for it.
        let missing = self.absences.suspects();
        if missing.is_empty() {
            return;
        }
        for (tenant, day, manifest) in self.days() {
            for &id in missing.iter().filter(|&&id| manifest.object(id).is_some()) {
                let key = object_key(&tenant, day, id);
                match self.bucket.open(&key) {
                    Ok(_) => self.absences.forget(id),
                    Err(error @ BlobError::NotFound(_)) => {
                        if self.absences.note(id, self.clock.monotonic()) {
                            self.suspect(id, &key, &error.to_string());
                        }
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// Takes objects that were found damaged out of what is read. They are kept.
    pub fn quarantine(&self) -> Result<(), LogDbError> {
        let damaged = self.segments.damaged();
        if damaged.is_empty() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        for (tenant, day, manifest) in self.days() {
            for (id, reason) in damaged.iter().filter(|(id, _)| manifest.object(*id).is_some()) {
                let set_aside =
                    self.commit_manifest(&tenant, day, |manifest| match manifest.remove(*id, now_ms) {
                        None => Edit::Done,
                        Some(object) => {
                            manifest.removed.retain(|removed| removed.id != *id);
                            manifest.quarantined.push(Quarantined {
                                object,
                                reason: reason.clone(),
                                at_ms: now_ms,
                            });
                            Edit::Change
                        }
                    });
                set_aside?;
                self.segments.forget(*id);
                tracing::error!(
                    object = object_key(&tenant, day, *id),
                    reason,
                    "an object is damaged and set aside"
                );
            }
        }
        Ok(())
    }

    /// Reads objects again that were set aside: what is whole after all is taken back.
    fn look_again(&self) -> Result<(), LogDbError> {
        let (now, now_ms) = (self.clock.monotonic(), self.clock.now_ms());
        for (tenant, day, manifest) in self.days() {
            for set_aside in &manifest.quarantined {
                let id = set_aside.object.id;
                let is_young = now_ms.saturating_sub(set_aside.at_ms) < ms(LOOK_AGAIN_AFTER);
                let last = self.schedule.lock().looked_at.get(&id).copied();
                if is_young || last.is_some_and(|last| now.saturating_sub(last) < LOOK_AGAIN_AFTER) {
                    continue;
                }
                self.schedule.lock().looked_at.insert(id, now);
                let Some(object) = self.whole_object(&tenant, day, &set_aside.object) else { continue };
                // Requests that were done meanwhile did not reach it.
                self.reopen_deletes(&tenant, object.deletes, (object.first_ns, object.last_ns))?;
                self.commit_manifest(&tenant, day, |manifest| {
                    let before = manifest.quarantined.len();
                    manifest.quarantined.retain(|quarantined| quarantined.object.id != id);
                    if manifest.quarantined.len() == before {
                        return Edit::Done;
                    }
                    manifest.add(object.clone());
                    Edit::Change
                })?;
                self.segments.forget(id);
                self.schedule.lock().looked_at.remove(&id);
                let key = object_key(&tenant, day, id);
                tracing::info!(object = key, "an object that was set aside is whole and read again");
            }
        }
        Ok(())
    }

    /// What is to be said of an object, if all of it can be read.
    fn whole_object(&self, tenant: &TenantId, day: Day, known: &ObjectMeta) -> Option<ObjectMeta> {
        let object = self.bucket.open(&object_key(tenant, day, known.id)).ok()?;
        let segment = Segment::open(object).ok()?;
        let columns = LogColumns::ALL;
        let groups = &segment.index().groups;
        let is_whole = segment.check_filters().is_ok()
            && groups.iter().all(|group| !self.is_stopping() && segment.read(group, columns).is_ok());
        let (level, deletes) = (known.level, known.deletes);
        meta_of(known.id, &segment).filter(|_| is_whole).map(|meta| ObjectMeta { level, deletes, ..meta })
    }

    /// Takes days out of what is read whose entries are all past their time.
    pub fn retain(&self) -> Result<(), LogDbError> {
        let now_ms = self.clock.now_ms();
        for (tenant, day, manifest) in self.days() {
            let Some(period) = self.retention().longest(&tenant) else { continue };
            if day.last_ns() >= self.instant_before(period) || manifest.objects.is_empty() {
                continue;
            }
            let mut expired = 0_u64;
            self.commit_manifest(&tenant, day, |manifest| {
                let ids: Vec<Ulid> = manifest.objects.iter().map(|object| object.id).collect();
                expired += manifest.objects.iter().map(|object| object.rows).sum::<u64>();
                for &id in &ids {
                    manifest.remove(id, now_ms);
                }
                if ids.is_empty() { Edit::Done } else { Edit::Change }
            })?;
            self.metrics.expired_entries.add(expired);
            tracing::info!(tenant = %tenant.0, %day, entries = expired, "a day is past its retention");
        }
        Ok(())
    }

    /// What clocks on the wall show at an instant of the clock that never goes back, if they were not set meanwhile; milliseconds
    /// since the epoch.
    pub(crate) fn wall_ms(&self, at: Duration) -> i64 {
        self.clock.now_ms() - ms(self.clock.monotonic().saturating_sub(at))
    }

    /// Now less a time, in nanoseconds since the epoch.
    pub(crate) fn instant_before(&self, time: Duration) -> i64 {
        let now_ns = self.clock.now_ms().saturating_mul(1_000_000);
        now_ns.saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Deletes objects that were replaced some time ago, and such as no manifest ever named.
    pub fn collect_garbage(&self) -> Result<(), LogDbError> {
        let (now, now_ms) = (self.clock.monotonic(), self.clock.now_ms());
        let seeks_orphans = is_due(&mut self.schedule.lock().orphans, self.options.orphan_age / 2, now);
        let mut failure = None;
        for (tenant, day, manifest) in self.days() {
            let mut collected = self.delete_removed(&tenant, day, &manifest);
            if seeks_orphans && collected.is_ok() {
                collected = self.delete_orphans(&tenant, day);
            }
            if collected.is_ok() && manifest.is_empty() {
                collected = self.forget_day(&tenant, day);
            }
            failure = failure.or(collected.err());
        }
        if seeks_orphans {
            let unfinished =
                self.bucket.delete_unfinished(now_ms.saturating_sub(ms(self.options.orphan_age)));
            failure = failure.or(unfinished.err().map(LogDbError::from));
        }
        failure.map_or(Ok(()), Err)
    }

    fn delete_removed(&self, tenant: &TenantId, day: Day, manifest: &Manifest) -> Result<(), LogDbError> {
        let (now_ms, grace_ms) = (self.clock.now_ms(), ms(self.options.removal_grace));
        let due = manifest.removed.iter().filter(|removed| now_ms.saturating_sub(removed.at_ms) >= grace_ms);
        let due: BTreeSet<Ulid> = due.map(|removed| removed.id).collect();
        if due.is_empty() {
            return Ok(());
        }
        // That they were replaced must be durable before they go.
        self.bucket.settle(&manifest_key(tenant, day))?;
        for &id in &due {
            self.bucket.delete(&object_key(tenant, day, id))?;
            self.segments.forget(id);
            self.metrics.deleted_objects.inc();
        }
        // A day that others forgot must not be made anew by this.
        if crate::manifest::load(&*self.bucket, tenant, day)?.is_none() {
            self.state.write().catalog.forget(tenant, day);
            return Ok(());
        }
        self.commit_manifest(tenant, day, |manifest| {
            let before = manifest.removed.len();
            manifest.removed.retain(|object| !due.contains(&object.id));
            if manifest.removed.len() == before { Edit::Done } else { Edit::Change }
        })
    }

    fn delete_orphans(&self, tenant: &TenantId, day: Day) -> Result<(), LogDbError> {
        let folder = folder_of(tenant, day);
        let old_before_ms = self.clock.now_ms().saturating_sub(ms(self.options.orphan_age));
        let known = self.state.read().catalog.get(tenant, day).cloned();
        let is_orphan = |id: Ulid| !known.as_ref().is_some_and(|manifest| manifest.mentions(id));
        let candidates: BTreeSet<Ulid> = {
            let objects = self.bucket.list(&folder)?;
            let old = objects.iter().filter(|info| info.modified_ms < old_before_ms);
            old.filter_map(|info| object_id(&folder, &info.key)).filter(|&id| is_orphan(id)).collect()
        };
        let Some(&last) = candidates.last() else { return Ok(()) };
        // First it is written down that nobody may name them any more, whoever is about to. What is named now stays.
        let mut orphans = Vec::new();
        self.commit_manifest(tenant, day, |manifest| {
            orphans = candidates.iter().copied().filter(|&id| !manifest.mentions(id)).collect();
            if orphans.is_empty() || manifest.floor >= Some(last) {
                return Edit::Done;
            }
            manifest.floor = Some(last);
            Edit::Change
        })?;
        for id in orphans {
            self.bucket.delete(&object_key(tenant, day, id))?;
            self.metrics.orphans.inc();
            tracing::info!(tenant = %tenant.0, %day, object = %id, "deleted an object no manifest names");
        }
        Ok(())
    }

    /// Deletes the manifest of a day that holds nothing and whose entries would long be past their time: documents of days
    /// must not become ever more.
    fn forget_day(&self, tenant: &TenantId, day: Day) -> Result<(), LogDbError> {
        let Some(period) = self.retention().longest(tenant) else { return Ok(()) };
        if day.last_ns() >= self.instant_before(period.saturating_add(FORGET_DAY_AFTER)) {
            return Ok(());
        }
        match crate::manifest::load(&*self.bucket, tenant, day)? {
            Some((manifest, _)) if !manifest.is_empty() => return self.refresh_day(tenant, day),
            _ => {}
        }
        let folder = folder_of(tenant, day);
        let own = [copy_key(tenant, day), manifest_key(tenant, day)];
        // Orphans first; what else is there, a person put there or should look at.
        if self.bucket.list(&folder)?.iter().any(|info| !own.contains(&info.key)) {
            return Ok(());
        }
        for key in own {
            self.bucket.delete(&key)?;
        }
        self.state.write().catalog.forget(tenant, day);
        Ok(())
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
