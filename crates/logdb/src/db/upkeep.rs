//! Work that is done now and then: other writers' changes, damage, retention, and objects nobody needs.

use std::time::Duration;

use model::source::TenantId;
use ulid::Ulid;

use super::{LogDb, LogDbError};
use crate::day::Day;
use crate::manifest::{Edit, Manifest, Quarantined, folder_of, object_id, object_key};

impl LogDb {
    /// Everything that is to be done now and then. What fails is told and tried again the next time.
    pub fn upkeep(&self, is_stopping: &dyn Fn() -> bool) {
        let tell = |what: &str, outcome: Result<(), LogDbError>| {
            if let Err(error) = outcome {
                tracing::warn!(%error, "{what} failed");
            }
        };
        tell("looking for other writers' objects", self.load_catalog());
        self.retry_suspects();
        tell("setting damaged objects aside", self.quarantine());
        tell("retention", self.retain());
        while !is_stopping() {
            match self.compact_once() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.metrics.compaction_failures.inc();
                    tracing::warn!(%error, "compaction failed");
                    break;
                }
            }
        }
        tell("noting what was deleted", self.settle_deletes());
        tell("deleting what nobody needs", self.collect_garbage());
        self.publish();
    }

    fn days(&self) -> Vec<(TenantId, Day, std::sync::Arc<Manifest>)> {
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

    /// Takes days out of what is read whose entries are all past their time.
    pub fn retain(&self) -> Result<(), LogDbError> {
        let now_ms = self.clock.now_ms();
        for (tenant, day, manifest) in self.days() {
            let Some(period) = self.options.retention.longest(&tenant) else { continue };
            if day.last_ns() >= self.instant_before(period) || manifest.objects.is_empty() {
                continue;
            }
            let mut expired = 0;
            self.commit_manifest(&tenant, day, |manifest| {
                let ids: Vec<Ulid> = manifest.objects.iter().map(|object| object.id).collect();
                expired = manifest.objects.iter().map(|object| object.rows).sum();
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

    /// Now less a time, in nanoseconds since the epoch.
    pub(crate) fn instant_before(&self, time: Duration) -> i64 {
        let now_ns = self.clock.now_ms().saturating_mul(1_000_000);
        now_ns.saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Deletes objects that were replaced some time ago, and such as no manifest ever named.
    pub fn collect_garbage(&self) -> Result<(), LogDbError> {
        let now_ms = self.clock.now_ms();
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let (grace_ms, orphan_ms) = (ms(self.options.removal_grace), ms(self.options.orphan_age));
        for (tenant, day, manifest) in self.days() {
            let due = |at_ms: i64| now_ms.saturating_sub(at_ms) >= grace_ms;
            let removed: Vec<Ulid> = manifest
                .removed
                .iter()
                .filter(|removed| due(removed.at_ms))
                .map(|removed| removed.id)
                .collect();
            for &id in &removed {
                self.bucket.delete(&object_key(&tenant, day, id))?;
                self.segments.forget(id);
                self.metrics.deleted_objects.inc();
            }
            if !removed.is_empty() {
                self.commit_manifest(&tenant, day, |manifest| {
                    let before = manifest.removed.len();
                    manifest.removed.retain(|object| !removed.contains(&object.id));
                    if manifest.removed.len() == before { Edit::Done } else { Edit::Change }
                })?;
            }
            self.delete_orphans(&tenant, day, orphan_ms)?;
        }
        Ok(())
    }

    fn delete_orphans(&self, tenant: &TenantId, day: Day, orphan_ms: i64) -> Result<(), LogDbError> {
        let folder = folder_of(tenant, day);
        let old_before_ms = self.clock.now_ms().saturating_sub(orphan_ms);
        let candidates: Vec<Ulid> = {
            let objects = self.bucket.list(&folder)?;
            let old = objects.iter().filter(|info| info.modified_ms < old_before_ms);
            old.filter_map(|info| object_id(&folder, &info.key)).collect()
        };
        if candidates.is_empty() {
            return Ok(());
        }
        // The manifest after the listing: what was old then and is not named now will not be named any more, since
        // writers name an object soon after they stored it or never.
        let Some((manifest, _)) = crate::manifest::load(&*self.bucket, tenant, day)? else { return Ok(()) };
        let is_named = |id: Ulid| {
            manifest.object(id).is_some()
                || manifest.removed.iter().any(|removed| removed.id == id)
                || manifest.quarantined.iter().any(|quarantined| quarantined.object.id == id)
        };
        for id in candidates.into_iter().filter(|&id| !is_named(id)) {
            self.bucket.delete(&object_key(tenant, day, id))?;
            self.metrics.orphans.inc();
            tracing::info!(tenant = %tenant.0, %day, object = %id, "deleted an object no manifest names");
        }
        Ok(())
    }
}
