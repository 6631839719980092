//! From memory to the bucket: a sealed memtable becomes objects, these are stored, and manifests name them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blob::memory::MemoryObject;
use blob::{BlobError, PutIf};
use hashbrown::{HashMap, HashSet};
use model::labels::Labels;
use model::source::TenantId;

use super::catalog::meta_of;
use super::{LogDb, LogDbError, Pending, Sealed};
use crate::day::Day;
use crate::deletes::SOON;
use crate::manifest::{CommitError, Edit, ObjectMeta, manifest_key, object_key};
use crate::memtable::StreamRows;
use crate::segment::index::Resolutions;
use crate::segment::{Segment, SegmentOptions, SegmentWriter};
use crate::wal::segment::{damaged_name_of, name_of};

/// After a failure a day is left alone for that long, and at most that long after many.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// After so many failures in one go the rest waits.
const FAILURES_AT_ONCE: usize = 3;
/// So often an object is stored under another name.
const MAX_NAMES: usize = 5;

/// What flushing remembers.
#[derive(Default)]
pub(super) struct Flushing {
    failing: HashMap<(TenantId, Day), Failing>,
}

/// A day of which something could not be stored.
struct Failing {
    wait: Duration,
    again_at: Duration,
}

impl Flushing {
    /// The days to leave alone at this time.
    fn waiting(&self, now: Duration) -> HashSet<(TenantId, Day)> {
        let waits = |(_, failing): &(_, &Failing)| failing.again_at > now;
        self.failing.iter().filter(waits).map(|(day, _)| day.clone()).collect()
    }

    /// Notes that a day failed, and returns for how long it is left alone.
    fn failed(&mut self, day: (TenantId, Day), now: Duration) -> Duration {
        let failing = self.failing.entry(day).or_insert(Failing { wait: AGAIN.0 / 2, again_at: now });
        failing.wait = (failing.wait * 2).min(AGAIN.1);
        failing.again_at = now + failing.wait;
        failing.wait
    }
}

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
        let mut flushing = self.flushing.lock();
        flushing.failing.values_mut().for_each(|failing| failing.again_at = Duration::ZERO);
        self.flush_holding(&mut flushing)
    }

    /// Like [`Self::flush_sealed`], but leaves alone for a while what failed a short while ago.
    pub(crate) fn flush_due(&self) -> Result<Flushed, LogDbError> {
        self.flush_holding(&mut self.flushing.lock())
    }

    fn flush_holding(&self, flushing: &mut Flushing) -> Result<Flushed, LogDbError> {
        let mut flushed = Flushed::default();
        let mut failure = None;
        loop {
            // What is pending takes far less memory than what is sealed, so it can wait if it must.
            let next = self.state.read().sealed.first().cloned();
            if let Some(sealed) = next {
                self.encode_sealed(&sealed).inspect_err(|error| {
                    self.metrics.flush_failures.inc();
                    tracing::error!(%error, "entries could not be encoded; they stay in memory and in the log");
                })?;
                self.tell_room();
            }
            match self.store_pending(flushing) {
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
        failure.map_or(Ok(flushed), Err)
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
            let mut by_day: BTreeMap<Day, Vec<(&Labels, &StreamRows)>> = BTreeMap::new();
            for (labels, rows) in streams {
                for day in days_of(rows) {
                    by_day.entry(day).or_default().push((labels, rows));
                }
            }
            for (day, streams) in by_day {
                // A manifest may name them already, when entries were replayed that had reached the bucket.
                if !self.is_stored(tenant, day, sealed.generation) {
                    pending.extend(self.encode_day(sealed, tenant, day, streams)?.map(Arc::new));
                }
            }
        }
        let mut state = self.state.write();
        state.sealed.retain(|other| !Arc::ptr_eq(other, sealed));
        state.pending.extend(pending);
        state.recount();
        Ok(())
    }

    fn encode_day(
        &self,
        sealed: &Sealed,
        tenant: &TenantId,
        day: Day,
        mut streams: Vec<(&Labels, &StreamRows)>,
    ) -> Result<Option<Pending>, LogDbError> {
        streams.sort_by(|a, b| a.0.cmp(b.0));
        let mut resolutions = Resolutions::default();
        for run in streams.iter().flat_map(|(_, rows)| rows.runs()) {
            let of_day = run.between(day.first_ns(), day.last_ns());
            run.timestamps()[of_day].iter().for_each(|&time| resolutions.count(time));
        }
        let options = SegmentOptions {
            zstd_level: self.options.flush_zstd_level,
            // Compaction reads many of them at once.
            group_bytes: self.options.group_bytes / 4,
            bits_per_gram: self.options.bits_per_gram,
            unit: resolutions.unit(),
            ..Default::default()
        };
        let mut writer = SegmentWriter::new(options, Vec::new())?;
        let (tombstones, heard) = {
            let state = self.state.read();
            (state.tombstones.get(tenant).cloned().unwrap_or_default(), state.heard.get(tenant).copied())
        };
        for (labels, rows) in streams {
            writer.begin_stream(labels);
            let gone = tombstones.of_stream(labels);
            // One stream after the other: all of them in order at once would take the memory once more.
            let (rows, of_day) = rows.merged(day.first_ns(), day.last_ns());
            for row in of_day {
                let time = rows.timestamps()[row];
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
        let Some(meta) = meta_of(id, &segment) else { return Ok(None) };
        Ok(Some(Pending {
            tenant: tenant.clone(),
            day,
            generation: sealed.generation,
            meta: ObjectMeta { deletes: tombstones.followed_by(sealed.begun_ms), ..meta },
            segment,
            data,
            since: sealed.since,
            heard,
        }))
    }

    /// Stores pending objects, oldest generation first, and names them in the manifests. A day that fails keeps no other from being
    /// stored.
    fn store_pending(&self, flushing: &mut Flushing) -> Result<usize, LogDbError> {
        let mut pending = self.state.read().pending.clone();
        pending.sort_by_key(|p| p.generation);
        let (mut objects, mut failure, mut failures) = (0, None, 0);
        // The manifest knows the last generation only: an earlier one that failed must not be overtaken.
        let now = self.clock.monotonic();
        let mut left_out: HashSet<(TenantId, Day)> = flushing.waiting(now);
        for object in pending {
            let day = (object.tenant.clone(), object.day);
            if left_out.contains(&day) {
                continue;
            }
            match self.store_one(&object) {
                Ok(()) => {
                    objects += 1;
                    flushing.failing.remove(&day);
                    self.metrics.flushed_bytes.add(object.data.len() as u64);
                    let now_ms = self.clock.now_ms();
                    self.metrics.chunks.stored(&object.meta, now_ms, self.options.memtable_bytes);
                    let took = self.clock.monotonic().saturating_sub(object.since);
                    self.metrics.flush_seconds.observe(took.as_secs_f64());
                }
                Err(error) => {
                    let wait = flushing.failed(day.clone(), self.clock.monotonic());
                    self.metrics.flush_failures.inc();
                    tracing::warn!(
                        %error, tenant = %day.0.0, day = %day.1, again_in = ?wait,
                        "flushing entries failed; they stay in memory and in the log"
                    );
                    left_out.insert(day);
                    failure = Some(error);
                    failures += 1;
                    // A bucket that is away fails for all, each after its time-out.
                    if failures == FAILURES_AT_ONCE {
                        break;
                    }
                }
            }
        }
        self.metrics.stuck_days.set(flushing.failing.len() as f64);
        failure.map_or(Ok(objects), Err)
    }

    fn store_one(&self, object: &Pending) -> Result<(), LogDbError> {
        let Pending { tenant, day, generation, meta, .. } = object;
        self.follow_deletes(object)?;
        let mut floor = self.state.read().catalog.get(tenant, *day).and_then(|manifest| manifest.floor);
        for _ in 0..MAX_NAMES {
            // A new name each time: a try that seemed to fail may appear later, and is an orphan then.
            let id = self.ids.ulid_after(floor);
            self.put_object(&object_key(tenant, *day, id), object)?;
            let meta = ObjectMeta { id, ..meta.clone() };
            let named = self.commit_manifest(tenant, *day, |manifest| {
                if manifest.has_generation(&self.writer, *generation) {
                    return Edit::Done;
                }
                if manifest.refuses(id) {
                    floor = manifest.floor;
                    return Edit::Impossible;
                }
                manifest.add(meta.clone());
                manifest.writers.insert(self.writer.clone(), *generation);
                Edit::Change
            });
            match named {
                // It took so long that it may have been deleted as one nobody names.
                Err(LogDbError::Commit(CommitError::Impossible)) => {}
                other => return other,
            }
        }
        Err(BlobError::unavailable(&manifest_key(tenant, *day), "objects are deleted before they are named")
            .into())
    }

    /// Stores an object, and looks whether it is there: the log of its entries goes when it is named.
    fn put_object(&self, key: &str, object: &Pending) -> Result<(), LogDbError> {
        match self.bucket.put(key, object.data.clone(), &PutIf::Absent) {
            Ok(_) => {}
            Err(BlobError::Conflict(_)) => {
                return Err(BlobError::unavailable(key, "the name is taken").into());
            }
            Err(error) => return Err(error.into()),
        }
        let (stored, sent) = (self.bucket.open(key)?.len_bytes(), object.data.len() as u64);
        if stored != sent {
            let message = format!("{stored} bytes are there of {sent} that were stored");
            return Err(BlobError::unavailable(key, message).into());
        }
        Ok(())
    }

    /// A request to delete may have come and been done since the object was encoded. Then it is to be done again.
    fn follow_deletes(&self, object: &Pending) -> Result<(), LogDbError> {
        if object.heard.is_none_or(|heard| self.clock.monotonic().saturating_sub(heard) > SOON) {
            self.refresh_deletes(&object.tenant)?;
        }
        let ObjectMeta { deletes, first_ns, last_ns, .. } = object.meta;
        self.reopen_deletes(&object.tenant, deletes, (first_ns, last_ns))
    }

    /// Deletes segments of the log nobody needs any more. Such as are damaged are kept under another name.
    pub(super) fn drop_logs(&self) {
        let is_begun = self.log.lock().is_some();
        let unneeded: BTreeMap<u64, bool> = {
            let state = self.state.read();
            // The number of the last one says where the next begins: it stays until that one is there.
            let before = state.logs.keys().copied().filter(|&generation| generation < state.generation);
            let last = if is_begun { None } else { before.max() };
            let mut needed: HashSet<u64> = state.sealed.iter().map(|sealed| sealed.generation).collect();
            needed.extend(state.pending.iter().map(|pending| pending.generation));
            let is_needed = |generation: u64| {
                generation >= state.generation || needed.contains(&generation) || last == Some(generation)
            };
            let logs = state.logs.iter().filter(|(generation, _)| !is_needed(**generation));
            logs.map(|(&generation, log)| (generation, log.is_damaged)).collect()
        };
        for (generation, is_damaged) in unneeded {
            let name = name_of(generation);
            let gone = if is_damaged {
                let kept = damaged_name_of(generation);
                self.disk.rename(&name, &kept).inspect(|()| {
                    self.metrics.wal_kept.inc();
                    tracing::error!(segment = kept, "a damaged segment of the log is set aside");
                })
            } else {
                self.disk.remove(&name)
            };
            match gone {
                Ok(()) => drop(self.state.write().logs.remove(&generation)),
                Err(error) => tracing::warn!(%error, generation, "deleting a segment of the log failed"),
            }
        }
    }
}

fn days_of(rows: &StreamRows) -> BTreeSet<Day> {
    let mut days = BTreeSet::new();
    for run in rows.runs() {
        let times = run.timestamps();
        let mut at = 0;
        while let Some(&time) = times.get(at) {
            let day = Day::of_ns(time);
            days.insert(day);
            at += times[at..].partition_point(|&time| time <= day.last_ns());
        }
    }
    days
}
