//! The manifests of all tenants and days, as they were last seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blob::{BlobError, PutIf, Version};
use hashbrown::HashMap;
use model::source::TenantId;

use super::{LogDb, LogDbError};
use crate::day::Day;
use crate::inspect;
use crate::manifest::{
    self, Changed, CommitError, Document, Edit, Manifest, ManifestError, ObjectMeta, Quarantined,
};
use crate::segment::Segment;

/// The manifests of all tenants and days.
#[derive(Default, Clone)]
pub(crate) struct Catalog {
    tenants: BTreeMap<TenantId, BTreeMap<Day, Arc<Manifest>>>,
    /// Versions of the manifests, where they are known, so that what did not change is not read again.
    versions: HashMap<(TenantId, Day), Version>,
}

impl Catalog {
    /// The days of a tenant from one to another, both included.
    pub fn days(&self, tenant: &TenantId, from: Day, to: Day) -> impl Iterator<Item = (Day, &Arc<Manifest>)> {
        let days = self.tenants.get(tenant).into_iter();
        days.flat_map(move |days| days.range(from..=to.max(from)).map(|(&day, manifest)| (day, manifest)))
    }

    /// All days of all tenants.
    pub fn all(&self) -> impl Iterator<Item = (&TenantId, Day, &Arc<Manifest>)> {
        self.tenants.iter().flat_map(|(tenant, days)| days.iter().map(move |(&day, m)| (tenant, day, m)))
    }

    /// A day.
    pub fn get(&self, tenant: &TenantId, day: Day) -> Option<&Arc<Manifest>> {
        self.tenants.get(tenant)?.get(&day)
    }

    /// The version of the manifest of a day, if it is known.
    pub fn version(&self, tenant: &TenantId, day: Day) -> Option<&Version> {
        self.versions.get(&(tenant.clone(), day))
    }

    /// Takes over a manifest, unless a newer one is known.
    pub fn install(&mut self, tenant: &TenantId, day: Day, manifest: Manifest, version: Option<Version>) {
        let days = self.tenants.entry(tenant.clone()).or_default();
        if days.get(&day).is_none_or(|known| known.revision < manifest.revision) {
            days.insert(day, Arc::new(manifest));
            match version {
                Some(version) => drop(self.versions.insert((tenant.clone(), day), version)),
                None => drop(self.versions.remove(&(tenant.clone(), day))),
            }
        }
    }

    /// Forgets a day.
    pub fn forget(&mut self, tenant: &TenantId, day: Day) {
        self.versions.remove(&(tenant.clone(), day));
        if let Some(days) = self.tenants.get_mut(tenant) {
            days.remove(&day);
            if days.is_empty() {
                self.tenants.remove(tenant);
            }
        }
    }
}

impl LogDb {
    /// Takes over a manifest together with what it means for entries that were not in the bucket: both in one step.
    fn install(
        &self,
        tenant: &TenantId,
        day: Day,
        manifest: Manifest,
        version: Option<Version>,
    ) -> Result<(), LogDbError> {
        let follows_less = self.follows_less(tenant, day, &manifest);
        let mut state = self.state.write();
        let writer = &self.writer;
        let is_stored = |generation| manifest.has_generation(writer, generation);
        state.pending.retain(|p| !(p.tenant == *tenant && p.day == day && is_stored(p.generation)));
        state.catalog.install(tenant, day, manifest, version);
        state.recount();
        drop(state);
        if follows_less { self.refresh_deletes(tenant) } else { Ok(()) }
    }

    /// Whether the bucket was read as a whole since the start. Until then queries may miss what is there.
    pub(crate) fn is_catalog_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Acquire)
    }

    /// Reads all manifests. One that is damaged is set aside and made anew. What cannot be read keeps nobody from reading the rest.
    pub fn load_catalog(&self) -> Result<(), LogDbError> {
        // A day that is first flushed while the bucket is listed is not in the list, and not gone.
        let state = self.state.read();
        let known: Vec<_> =
            state.catalog.all().map(|(tenant, day, m)| (tenant.clone(), day, m.revision)).collect();
        drop(state);
        let (mut listed, mut failure) = (BTreeSet::new(), None);
        for tenant in inspect::tenants(&*self.bucket)? {
            // First: what is done then does not concern what is read afterwards.
            failure = failure.or(self.refresh_deletes(&tenant).err());
            let (days, failed) = self.load_days(&tenant)?;
            listed.extend(days.into_iter().map(|day| (tenant.clone(), day)));
            failure = failure.or(failed);
        }
        // What someone else's retention took away as a whole.
        let mut state = self.state.write();
        for (tenant, day, revision) in known {
            let is_unchanged = state.catalog.get(&tenant, day).is_some_and(|now| now.revision == revision);
            let place = (tenant, day);
            if is_unchanged && !listed.contains(&place) {
                state.catalog.forget(&place.0, day);
            }
        }
        drop(state);
        match failure {
            Some(error) => Err(error),
            None => {
                self.is_loaded.store(true, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Reads all manifests of a tenant: the days there are, and why one of them could not be read.
    pub(crate) fn load_days(&self, tenant: &TenantId) -> Result<(Vec<Day>, Option<LogDbError>), LogDbError> {
        let days = inspect::days_of(&*self.bucket, tenant)?;
        let mut failure = None;
        for day in &days {
            failure = failure.or(self.refresh_day(tenant, *day).err());
        }
        Ok((days, failure))
    }

    /// Reads what writers change all the time: the manifests of days that are not long over, and requests to delete.
    pub(super) fn refresh_recent(&self) -> Result<(), LogDbError> {
        let from = Day::of_ns(self.instant_before(RECENT));
        let (days, tenants) = {
            let state = self.state.read();
            let recent = state.catalog.all().filter(|(_, day, _)| *day >= from);
            let days: Vec<_> = recent.map(|(tenant, day, _)| (tenant.clone(), day)).collect();
            (days, state.tenants())
        };
        let mut failure = None;
        for (tenant, day) in &days {
            failure = failure.or(self.refresh_day(tenant, *day).err());
        }
        // A day that has just begun is not known yet.
        let today = Day::of_ns(self.instant_before(std::time::Duration::ZERO));
        for tenant in &tenants {
            if !days.contains(&(tenant.clone(), today)) {
                failure = failure.or(self.refresh_day(tenant, today).err());
            }
            failure = failure.or(self.refresh_deletes(tenant).err());
        }
        failure.map_or(Ok(()), Err)
    }

    /// Reads the manifest of a day again.
    pub(crate) fn refresh_day(&self, tenant: &TenantId, day: Day) -> Result<(), LogDbError> {
        let known = self.state.read().catalog.version(tenant, day).cloned();
        let key = manifest::manifest_key(tenant, day);
        match manifest::load_changed::<Manifest>(&*self.bucket, &key, known.as_ref()) {
            Ok(Changed::To(manifest, version)) => self.install_found(tenant, day, manifest, version)?,
            Ok(Changed::Same | Changed::Absent) => {}
            Err(ManifestError::Damaged(key, damaged)) => {
                tracing::error!(key, %damaged, "a manifest is damaged: setting it aside and making it anew");
                self.remake_manifest(tenant, day)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes over a manifest that was read. When it says that entries of this writer are stored which were thought not to be, that
    /// must be durable before the log of them goes.
    fn install_found(
        &self,
        tenant: &TenantId,
        day: Day,
        manifest: Manifest,
        version: Version,
    ) -> Result<(), LogDbError> {
        let frees = {
            let state = self.state.read();
            let mut of_day = state.pending.iter().filter(|p| p.tenant == *tenant && p.day == day);
            of_day.any(|p| manifest.has_generation(&self.writer, p.generation))
        };
        if frees {
            self.bucket.settle(&manifest::manifest_key(tenant, day))?;
        }
        self.install(tenant, day, manifest, Some(version))
    }

    /// Whether a manifest has objects, new here, whose writer did not know of requests that are taken for done here: it has
    /// opened them again.
    fn follows_less(&self, tenant: &TenantId, day: Day, manifest: &Manifest) -> bool {
        let state = self.state.read();
        let Some(newest) = state.tombstones.get(tenant).and_then(|tombstones| tombstones.newest_done())
        else {
            return false;
        };
        let known = state.catalog.get(tenant, day);
        let is_new = |object: &ObjectMeta| known.is_none_or(|known| known.object(object.id).is_none());
        manifest.objects.iter().any(|object| object.deletes < newest && is_new(object))
    }

    /// Whether entries of a generation of this writer are in the bucket, durably, as far as is known here.
    pub(super) fn is_stored(&self, tenant: &TenantId, day: Day, generation: u64) -> bool {
        let is_named = {
            let state = self.state.read();
            let manifest = state.catalog.get(tenant, day);
            manifest.is_some_and(|manifest| manifest.has_generation(&self.writer, generation))
        };
        is_named && self.bucket.settle(&manifest::manifest_key(tenant, day)).is_ok()
    }

    /// Makes the manifest of a day from its copy and the objects there are. Replaced objects that come back so hold entries twice,
    /// which queries and compaction leave out.
    fn remake_manifest(&self, tenant: &TenantId, day: Day) -> Result<(), LogDbError> {
        let (folder, now_ms) = (manifest::folder_of(tenant, day), self.clock.now_ms());
        // Objects that were written anew, because something was deleted from them, may come back as they were.
        self.reopen_deletes(tenant, 0, (day.first_ns(), day.last_ns()))?;
        let copy = match manifest::load_document::<Manifest>(&*self.bucket, &manifest::copy_key(tenant, day))
        {
            Ok(copy) => copy.map(|(copy, _)| copy).unwrap_or_default(),
            Err(ManifestError::Damaged(..)) => Manifest::default(),
            Err(error) => return Err(error.into()),
        };
        let mut made = Manifest { objects: Vec::new(), ..copy };
        made.revision = made.revision.max(now_ms.unsigned_abs());
        for info in self.bucket.list(&folder)? {
            let Some(id) = manifest::object_id(&folder, &info.key) else { continue };
            if made.mentions(id) {
                continue;
            }
            let object = self.bucket.open(&info.key)?;
            match Segment::open(object) {
                Ok(segment) => meta_of(id, &segment).into_iter().for_each(|object| made.add(object)),
                Err(error) if error.is_damage() => {
                    self.metrics.damaged_objects.inc();
                    let (key, reason) = (info.key, error.to_string());
                    tracing::error!(key, reason, "an object is damaged and left out");
                    made.quarantined.push(Quarantined {
                        object: unknown(id, info.size_bytes),
                        reason,
                        at_ms: now_ms,
                    });
                }
                Err(error) => return Err(LogDbError::Segment(info.key, error)),
            }
        }
        let key = manifest::manifest_key(tenant, day);
        let (data, version) = self.bucket.get(&key, u64::MAX)?;
        if Manifest::decode(&data).is_err() {
            let aside = format!("{key}.damaged-{}", self.ids.ulid());
            self.bucket.put(&aside, data, &PutIf::Always)?;
            self.metrics.damaged_documents.inc();
            match self.bucket.put(&key, made.encode().into(), &PutIf::Unchanged(version)) {
                // Who was faster has made it, too.
                Ok(_) | Err(BlobError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some((manifest, version)) = manifest::load(&*self.bucket, tenant, day)? {
            self.install_found(tenant, day, manifest, version)?;
        }
        Ok(())
    }

    /// Changes the manifest of a day in the bucket and here.
    pub(crate) fn commit_manifest(
        &self,
        tenant: &TenantId,
        day: Day,
        mut edit: impl FnMut(&mut Manifest) -> Edit,
    ) -> Result<(), LogDbError> {
        let now = self.clock.now_ms().unsigned_abs();
        let key = manifest::manifest_key(tenant, day);
        let mut committed = manifest::commit(&*self.bucket, &key, now, &mut edit);
        if let Err(CommitError::Manifest(ManifestError::Damaged(key, damaged))) = &committed {
            tracing::error!(key, %damaged, "a manifest is damaged: setting it aside and making it anew");
            self.remake_manifest(tenant, day)?;
            committed = manifest::commit(&*self.bucket, key, now, &mut edit);
        }
        let (manifest, version) = committed?;
        let takes_away = {
            let state = self.state.read();
            let known = state.catalog.get(tenant, day);
            let ends = |m: &Manifest| (m.removed.len(), m.quarantined.len(), m.floor);
            ends(&manifest) != known.map_or((0, 0, None), |known| ends(known))
        };
        if takes_away {
            // What was added can be found again, what was taken away only there.
            let copied =
                self.bucket.put(&manifest::copy_key(tenant, day), manifest.encode().into(), &PutIf::Always);
            if let Err(error) = copied {
                tracing::warn!(%error, "copying a manifest failed");
            }
        }
        self.install(tenant, day, manifest, version)
    }
}

/// Manifests of days that ended longer ago are read seldom.
const RECENT: std::time::Duration = std::time::Duration::from_secs(3 * 3600);

/// What can be said of an object that cannot be read.
fn unknown(id: ulid::Ulid, size_bytes: u64) -> ObjectMeta {
    ObjectMeta { id, size_bytes, rows: 0, line_bytes: 0, first_ns: 0, last_ns: 0, level: 0, deletes: 0 }
}

/// What a manifest says of an object; `None` when it has no rows.
pub(crate) fn meta_of(id: ulid::Ulid, segment: &Segment) -> Option<ObjectMeta> {
    let index = segment.index();
    let (first_ns, last_ns) = index.bounds_ns()?;
    let line_bytes = index.groups.iter().map(|group| group.line_bytes()).sum();
    Some(ObjectMeta {
        id,
        size_bytes: segment.size_bytes(),
        rows: index.rows(),
        line_bytes,
        first_ns,
        last_ns,
        level: 0,
        deletes: 0,
    })
}
