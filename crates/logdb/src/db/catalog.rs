//! The manifests of all tenants and days, as they were last seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::source::TenantId;

use super::{LogDb, LogDbError};
use crate::day::Day;
use crate::manifest::{self, Document, Edit, Manifest, ManifestError, ObjectMeta};
use crate::segment::Segment;

/// The manifests of all tenants and days.
#[derive(Default, Clone)]
pub(crate) struct Catalog {
    tenants: HashMap<TenantId, BTreeMap<Day, Arc<Manifest>>>,
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

    /// Takes over a manifest, unless a newer one is known.
    pub fn install(&mut self, tenant: &TenantId, day: Day, manifest: Manifest) {
        let days = self.tenants.entry(tenant.clone()).or_default();
        if days.get(&day).is_none_or(|known| known.revision < manifest.revision) {
            days.insert(day, Arc::new(manifest));
        }
    }

    /// Forgets a day.
    pub fn forget(&mut self, tenant: &TenantId, day: Day) {
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
    pub(crate) fn install(&self, tenant: &TenantId, day: Day, manifest: Manifest) {
        let mut state = self.state.write();
        let writer = &self.writer;
        let is_stored = |generation| manifest.has_generation(writer, generation);
        state.pending.retain(|p| !(p.tenant == *tenant && p.day == day && is_stored(p.generation)));
        state.catalog.install(tenant, day, manifest);
    }

    /// Reads all manifests. One that is damaged is set aside and made anew.
    pub fn load_catalog(&self) -> Result<(), LogDbError> {
        // A day that is first flushed while the bucket is listed is not in the list, and not gone.
        let state = self.state.read();
        let known: Vec<_> =
            state.catalog.all().map(|(tenant, day, m)| (tenant.clone(), day, m.revision)).collect();
        drop(state);
        let days = crate::inspect::days(&*self.bucket)?;
        for (tenant, day) in &days {
            self.refresh_day(tenant, *day)?;
        }
        let mut tenants: Vec<&TenantId> = days.iter().map(|(tenant, _)| tenant).collect();
        tenants.dedup();
        for tenant in tenants {
            self.refresh_deletes(tenant)?;
        }
        // What someone else's retention took away as a whole.
        let mut state = self.state.write();
        for (tenant, day, revision) in known {
            let is_unchanged = state.catalog.get(&tenant, day).is_some_and(|now| now.revision == revision);
            let place = (tenant, day);
            if is_unchanged && !days.contains(&place) {
                state.catalog.forget(&place.0, day);
            }
        }
        Ok(())
    }

    /// Reads the manifest of a day again.
    pub(crate) fn refresh_day(&self, tenant: &TenantId, day: Day) -> Result<(), LogDbError> {
        match manifest::load(&*self.bucket, tenant, day) {
            Ok(Some((manifest, _))) => self.install(tenant, day, manifest),
            Ok(None) => {}
            Err(ManifestError::Damaged(key, damaged)) => {
                tracing::error!(key, %damaged, "a manifest is damaged: setting it aside and making it anew");
                self.remake_manifest(tenant, day)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Makes the manifest of a day from the objects there are. Objects that were replaced but not deleted yet come back
    /// with it; queries and compaction leave out what is there twice.
    fn remake_manifest(&self, tenant: &TenantId, day: Day) -> Result<(), LogDbError> {
        let folder = manifest::folder_of(tenant, day);
        let mut objects = Vec::new();
        for info in self.bucket.list(&folder)? {
            let Some(id) = manifest::object_id(&folder, &info.key) else { continue };
            let object = self.bucket.open(&info.key)?;
            match Segment::open(object) {
                Ok(segment) => objects.extend(meta_of(id, &segment)),
                Err(error) if error.is_damage() => {
                    self.metrics.damaged_objects.inc();
                    tracing::error!(key = info.key, %error, "an object is damaged and left out");
                }
                Err(error) => return Err(LogDbError::Segment(info.key, error)),
            }
        }
        let key = manifest::manifest_key(tenant, day);
        let (data, version) = self.bucket.get(&key, u64::MAX)?;
        if Manifest::decode(&data).is_err() {
            let aside = format!("{key}.damaged-{}", self.ids.ulid());
            self.bucket.put(&aside, data, &blob::PutIf::Always)?;
            let mut made = Manifest { revision: self.clock.now_ms().unsigned_abs(), ..Default::default() };
            objects.into_iter().for_each(|object| made.add(object));
            match self.bucket.put(&key, made.encode().into(), &blob::PutIf::Unchanged(version)) {
                // Who was faster has made it, too.
                Ok(_) | Err(blob::BlobError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some((manifest, _)) = manifest::load(&*self.bucket, tenant, day)? {
            self.install(tenant, day, manifest);
        }
        Ok(())
    }

    /// Changes the manifest of a day in the bucket and here.
    pub(crate) fn commit_manifest(
        &self,
        tenant: &TenantId,
        day: Day,
        edit: impl FnMut(&mut Manifest) -> Edit,
    ) -> Result<(), LogDbError> {
        let now = self.clock.now_ms().unsigned_abs();
        let key = manifest::manifest_key(tenant, day);
        let manifest = manifest::commit(&*self.bucket, &key, now, edit)?;
        self.install(tenant, day, manifest);
        Ok(())
    }
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
