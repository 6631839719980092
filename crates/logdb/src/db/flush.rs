//! From memory to the bucket: a sealed memtable becomes objects, these are stored, and manifests name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use blob::memory::MemoryObject;
use blob::{BlobError, PutIf};
use model::labels::Labels;
use model::source::TenantId;

use super::catalog::meta_of;
use super::{LogDb, LogDbError, Pending, Sealed};
use crate::day::Day;
use crate::manifest::{Edit, ObjectMeta, object_key};
use crate::memtable::Rows;
use crate::segment::{Segment, SegmentOptions, SegmentWriter};

/// What one flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flushed {
    /// Objects that are in the bucket now and named there.
    pub objects: usize,
}

impl LogDb {
    /// Ends the active memtable when it is old enough.
    pub fn seal_if_old(&self) -> bool {
        let since = self.state.read().active_since;
        let is_old = since
            .is_some_and(|since| self.clock.monotonic().saturating_sub(since) >= self.options.memtable_age);
        let sealed = is_old && self.seal();
        if sealed {
            self.metrics.flushed_old.inc();
        }
        sealed
    }

    /// Brings everything that is sealed to the bucket. What failed stays, is still read from memory, and is tried
    /// again the next time.
    pub fn flush_sealed(&self) -> Result<Flushed, LogDbError> {
        let _one = self.flushing.lock();
        let mut flushed = Flushed::default();
        let mut failure = None;
        loop {
            // What is pending takes far less memory than what is sealed, so it can wait if it must.
            let next = self.state.read().sealed.first().cloned();
            if let Some(sealed) = next {
                self.encode_sealed(&sealed)?;
                self.tell_room();
            }
            match self.store_pending() {
                Ok(objects) => flushed.objects += objects,
                Err(error) => failure = Some(error),
            }
            self.drop_logs();
            self.publish();
            self.tell_room();
            if self.state.read().sealed.is_empty() {
                break;
            }
        }
        match failure {
            Some(error) => {
                self.metrics.flush_failures.inc();
                Err(error)
            }
            None => Ok(flushed),
        }
    }

    /// Brings everything there is to the bucket.
    pub fn flush(&self) -> Result<Flushed, LogDbError> {
        self.seal();
        self.flush_sealed()
    }

    /// Puts pending objects in the place of a sealed memtable.
    fn encode_sealed(&self, sealed: &Arc<Sealed>) -> Result<(), LogDbError> {
        let mut pending = Vec::new();
        for (tenant, streams) in sealed.table.tenants() {
            let mut by_day: BTreeMap<Day, Vec<(&Labels, Arc<Rows>)>> = BTreeMap::new();
            for (labels, rows) in streams {
                let rows = rows.merged();
                for day in days_of(&rows) {
                    by_day.entry(day).or_default().push((labels, rows.clone()));
                }
            }
            for (day, streams) in by_day {
                pending.extend(self.encode_day(sealed, tenant, day, streams)?.map(Arc::new));
            }
        }
        let mut state = self.state.write();
        state.sealed.retain(|other| !Arc::ptr_eq(other, sealed));
        // A manifest may name them already, when entries were replayed that had reached the bucket.
        pending.retain(|p: &Arc<Pending>| {
            let known = state.catalog.get(&p.tenant, p.day);
            !known.is_some_and(|manifest| manifest.has_generation(&self.writer, p.generation))
        });
        state.pending.extend(pending);
        Ok(())
    }

    fn encode_day(
        &self,
        sealed: &Sealed,
        tenant: &TenantId,
        day: Day,
        mut streams: Vec<(&Labels, Arc<Rows>)>,
    ) -> Result<Option<Pending>, LogDbError> {
        streams.sort_by(|a, b| a.0.cmp(b.0));
        let options = SegmentOptions {
            zstd_level: self.options.flush_zstd_level,
            group_bytes: self.options.group_bytes,
            bits_per_gram: self.options.bits_per_gram,
            ..Default::default()
        };
        let mut writer = SegmentWriter::new(options, Vec::new())?;
        let tombstones = self.tombstones(tenant);
        for (labels, rows) in streams {
            writer.begin_stream(labels);
            let gone = tombstones.of_stream(labels);
            let times = rows.timestamps();
            let begin = times.partition_point(|&time| time < day.first_ns());
            let end = times.partition_point(|&time| time <= day.last_ns());
            for (row, &time) in times.iter().enumerate().take(end).skip(begin) {
                if !gone.iter().any(|tombstone| tombstone.covers(time, rows.line(row))) {
                    writer.push(time, rows.line(row), rows.metadata_of(row))?;
                }
            }
        }
        let mut written = writer.finish()?;
        written.sink.shrink_to_fit();
        let (id, data) = (self.ids.ulid(), bytes::Bytes::from(written.sink));
        let object = Arc::new(MemoryObject::new("an object in memory", data.clone()));
        let segment = Arc::new(Segment::with_index(object, written.index));
        let (generation, since) = (sealed.generation, sealed.since);
        let meta = meta_of(id, &segment).map(|meta| ObjectMeta { deletes: tombstones.revision, ..meta });
        Ok(meta.map(|meta| Pending { tenant: tenant.clone(), day, generation, meta, segment, data, since }))
    }

    /// Stores pending objects, oldest generation first, and names them in the manifests.
    fn store_pending(&self) -> Result<usize, LogDbError> {
        let mut pending = self.state.read().pending.clone();
        pending.sort_by_key(|p| p.generation);
        let (mut objects, mut failure) = (0, None);
        let mut failed_days = Vec::new();
        for object in pending {
            let day = (object.tenant.clone(), object.day);
            // The manifest knows the last generation only: an earlier one that failed must not be overtaken.
            if failed_days.contains(&day) {
                continue;
            }
            match self.store_one(&object) {
                Ok(()) => {
                    objects += 1;
                    self.metrics.flushed_bytes.add(object.data.len() as u64);
                    let took = self.clock.monotonic().saturating_sub(object.since);
                    self.metrics.flush_seconds.observe(took.as_secs_f64());
                }
                Err(error) => {
                    tracing::warn!(%error, tenant = %object.tenant.0, day = %object.day, "flushing entries failed");
                    failed_days.push(day);
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(objects), Err)
    }

    fn store_one(&self, object: &Pending) -> Result<(), LogDbError> {
        // A new name each time: a try that seemed to fail may appear later, and is an orphan then.
        let id = self.ids.ulid();
        let key = object_key(&object.tenant, object.day, id);
        match self.bucket.put(&key, object.data.clone(), &PutIf::Absent) {
            Ok(_) => {}
            Err(BlobError::Conflict(_)) => {
                return Err(BlobError::unavailable(&key, "the name is taken").into());
            }
            Err(error) => return Err(error.into()),
        }
        let mut meta = object.meta.clone();
        meta.id = id;
        self.commit_manifest(&object.tenant, object.day, |manifest| {
            if manifest.has_generation(&self.writer, object.generation) {
                return Edit::Done;
            }
            manifest.add(meta.clone());
            manifest.writers.insert(self.writer.clone(), object.generation);
            Edit::Change
        })
    }

    /// Deletes segments of the log nobody needs any more.
    pub(super) fn drop_logs(&self) {
        let unneeded: Vec<u64> = {
            let state = self.state.read();
            let is_needed = |generation: u64| {
                generation >= state.generation
                    || state.sealed.iter().any(|sealed| sealed.generation == generation)
                    || state.pending.iter().any(|pending| pending.generation == generation)
            };
            state.logs.keys().copied().filter(|&generation| !is_needed(generation)).collect()
        };
        for generation in unneeded {
            match self.disk.remove(&crate::wal::segment::name_of(generation)) {
                Ok(()) => drop(self.state.write().logs.remove(&generation)),
                Err(error) => tracing::warn!(%error, generation, "deleting a segment of the log failed"),
            }
        }
    }
}

fn days_of(rows: &Rows) -> Vec<Day> {
    let mut days = Vec::new();
    let times = rows.timestamps();
    let mut at = 0;
    while let Some(&time) = times.get(at) {
        let day = Day::of_ns(time);
        days.push(day);
        at += times[at..].partition_point(|&time| time <= day.last_ns());
    }
    days
}
