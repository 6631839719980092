//! Compaction: many objects of a day become one, sorted by stream and time, each entry in it once.
//!
//! In reading order: this file (one compaction), [`plan`] (which objects), [`merge`] (their rows in one order).

mod merge;
mod plan;

use std::sync::Arc;

use model::source::TenantId;
use ulid::Ulid;

use crate::day::Day;
use crate::db::{LogDb, LogDbError, meta_of};
use crate::manifest::{CommitError, Edit, ObjectMeta, object_key};
use crate::segment::index::{MAX_INDEX_BYTES, Resolutions};
use crate::segment::reader::SegmentError;
use crate::segment::{Segment, SegmentIndex, SegmentOptions, SegmentWriter};

/// Objects to compact, and how thoroughly.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    tenant: TenantId,
    day: Day,
    inputs: Vec<ObjectMeta>,
    /// The level of what is made of them.
    level: u8,
}

/// The level of objects that are to be compacted again, soon or when their day is over.
const MERGED_LEVEL: u8 = 1;
/// The level of objects that were compressed well.
const FINAL_LEVEL: u8 = 2;
/// The level of objects on the way to that: made when their day was over and nothing had come for a while.
const SETTLED_LEVEL: u8 = 3;

/// A column costs something in each page group: one is made for names that so many of a hundred entries have.
const HOT_PERCENT: u64 = 5;
const MAX_HOT: usize = 8;

impl LogDb {
    /// Compacts some objects, if there are any that should be. What others compact at the same time is left to them.
    pub fn compact_once(&self) -> Result<bool, LogDbError> {
        let Some(plan) = self.plan() else { return Ok(false) };
        self.compact(&plan)?;
        Ok(true)
    }

    fn compact(&self, plan: &Plan) -> Result<(), LogDbError> {
        let Plan { tenant, day, inputs, level } = plan;
        let is_final = *level == FINAL_LEVEL;
        let mut segments: Vec<Arc<Segment>> = Vec::new();
        for input in inputs {
            match self.segments.open(tenant, *day, input.id) {
                Ok(segment) => segments.push(segment),
                Err(error) => return self.input_failed(plan, input.id, error),
            }
        }
        // What is made of them must have an index that can be read.
        let index_bytes: usize = segments.iter().map(|segment| segment.index_bytes()).sum();
        if segments.len() > 1 && index_bytes > MAX_INDEX_BYTES / 2 {
            let largest = segments.iter().zip(inputs).max_by_key(|(segment, _)| segment.index_bytes());
            largest.iter().for_each(|(_, object)| self.segments.note_full(object.id));
            return Ok(());
        }
        let id = self.ids.ulid();
        let key = object_key(tenant, *day, id);
        let mut resolutions = Resolutions::default();
        segments.iter().for_each(|segment| resolutions.count_object(segment.index()));
        let options = SegmentOptions {
            unit: resolutions.unit(),
            zstd_level: if is_final { self.options.final_zstd_level } else { self.options.flush_zstd_level },
            // While many objects become one, a page group of each is in memory.
            group_bytes: if is_final { self.options.group_bytes } else { self.options.group_bytes / 4 },
            bits_per_gram: self.options.bits_per_gram,
            hot: hot_names(segments.iter().map(|segment| segment.index())),
            ..Default::default()
        };
        let upload = self.bucket.upload(&key)?;
        let mut writer = SegmentWriter::new(options, upload)?;
        let tombstones = self.tombstones(tenant);
        let rules = |labels: &model::Labels| merge::Rules {
            oldest_ns: self.cutoff_ns(tenant, labels),
            gone: tombstones.of_stream(labels),
        };
        let dropped = match merge::merge(&segments, &mut writer, &rules, &|| self.is_stopping()) {
            Ok(dropped) => dropped,
            Err(merge::MergeError::Stopped) => return Ok(()),
            Err(merge::MergeError::Sink(error)) => return Err(error.into()),
            Err(merge::MergeError::Input(at, group, SegmentError::Damaged(damaged))) => {
                let id = inputs[at].id;
                let key = object_key(tenant, *day, id);
                self.segments.groups().note(id, group, &key, &damaged.to_string());
                return Ok(());
            }
            Err(merge::MergeError::Input(at, _, error)) => {
                return self.input_failed(plan, inputs[at].id, error);
            }
        };
        let written = writer.finish()?;
        let rows = written.index.rows();
        let made = Segment::with_index(
            Arc::new(blob::memory::MemoryObject::new(&key, bytes::Bytes::new())),
            written.index,
        );
        let meta = meta_of(id, &made).map(|meta| ObjectMeta {
            size_bytes: written.size_bytes,
            level: *level,
            deletes: tombstones.revision,
            ..meta
        });
        if rows > 0 {
            written.sink.finish()?;
        }
        if let Some(meta) = &meta {
            // What it replaces is given up: it must be there, and be readable.
            self.segments
                .open(tenant, *day, meta.id)
                .map_err(|error| LogDbError::Segment(key.clone(), error))?;
        }
        self.swap(plan, meta)?;
        self.metrics.expired_entries.add(dropped);
        self.metrics.compacted_bytes.add(written.size_bytes);
        Ok(())
    }

    /// Names the new object in the place of the old ones, if they are all still there.
    fn swap(&self, plan: &Plan, meta: Option<ObjectMeta>) -> Result<(), LogDbError> {
        let now_ms = self.clock.now_ms();
        let swapped = self.commit_manifest(&plan.tenant, plan.day, |manifest| {
            let is_gone = |input: &ObjectMeta| manifest.object(input.id).is_none();
            let is_swapped = match &meta {
                // Perhaps someone has already made another of it.
                Some(meta) => manifest.mentions(meta.id),
                None => plan.inputs.iter().all(is_gone),
            };
            if is_swapped {
                return Edit::Done;
            }
            // It took so long that it may have been deleted as one nobody names.
            if meta.as_ref().is_some_and(|meta| manifest.refuses(meta.id)) {
                return Edit::Impossible;
            }
            if plan.inputs.iter().any(|input| manifest.object(input.id).is_none()) {
                return Edit::Impossible;
            }
            for input in &plan.inputs {
                manifest.remove(input.id, now_ms);
            }
            meta.iter().for_each(|meta| manifest.add(meta.clone()));
            Edit::Change
        });
        match swapped {
            Ok(()) => {
                self.metrics.compactions.inc();
                Ok(())
            }
            Err(LogDbError::Commit(CommitError::Impossible)) => {
                self.metrics.compactions_lost.inc();
                if let Some(meta) = meta {
                    self.bucket.delete(&object_key(&plan.tenant, plan.day, meta.id))?;
                }
                // What someone else made of the inputs is worth knowing before the next plan.
                self.refresh_day(&plan.tenant, plan.day)
            }
            Err(error) => Err(error),
        }
    }

    fn input_failed(&self, plan: &Plan, id: Ulid, error: SegmentError) -> Result<(), LogDbError> {
        self.refresh_day(&plan.tenant, plan.day)?;
        let is_named =
            self.state.read().catalog.get(&plan.tenant, plan.day).is_some_and(|m| m.object(id).is_some());
        if !is_named {
            self.metrics.compactions_lost.inc();
            return Ok(());
        }
        let key = object_key(&plan.tenant, plan.day, id);
        let is_missing = matches!(error, SegmentError::Blob(blob::BlobError::NotFound(_)));
        let is_lost = is_missing && self.absences.note(id, self.clock.monotonic());
        if error.is_damage() && (is_lost || !is_missing) {
            self.suspect(id, &key, &error.to_string());
            return Ok(());
        }
        Err(LogDbError::Segment(key, error))
    }

    /// Notes that an object is damaged, and tells it once.
    pub(crate) fn suspect(&self, id: Ulid, key: &str, reason: &str) {
        if self.segments.note_damage(id, reason) {
            self.metrics.damaged_objects.inc();
            tracing::error!(object = key, reason, "an object is damaged and left out");
        }
    }

    /// Entries of a stream before this instant are past their time.
    pub(crate) fn cutoff_ns(&self, tenant: &TenantId, labels: &model::Labels) -> i64 {
        self.retention().of(tenant, labels).map_or(i64::MIN, |period| self.instant_before(period))
    }
}

/// Names of metadata that are in many rows.
fn hot_names<'a>(indices: impl Iterator<Item = &'a SegmentIndex>) -> Vec<Arc<str>> {
    let (mut rows, mut counts) = (0, std::collections::BTreeMap::<Arc<str>, u64>::new());
    for index in indices {
        rows += index.rows();
        for (name, count) in &index.names {
            *counts.entry(name.clone()).or_default() += count;
        }
    }
    let mut hot: Vec<(Arc<str>, u64)> =
        counts.into_iter().filter(|(_, count)| count * 100 >= rows * HOT_PERCENT).collect();
    hot.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    hot.truncate(MAX_HOT);
    let mut names: Vec<Arc<str>> = hot.into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}
