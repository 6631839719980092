//! After a start: what the log holds and the bucket does not.

use std::io;
use std::sync::Arc;

use hashbrown::HashMap;
use model::logs::LogBatch;
use model::source::TenantId;

use super::{Ids, LogDb, LogDbError, LogFile, Sealed};
use crate::day::Day;
use crate::manifest::Manifest;
use crate::memtable::MemTable;
use crate::wal::{Disk, record, segment};

const WRITER_FILE: &str = "writer";

/// The name of this writer in manifests: one that stays with the directory of its log. False when it is new and could not be
/// written.
pub(super) fn writer_id(disk: &dyn Disk, ids: &Ids) -> io::Result<(String, bool)> {
    // The newest segment is never removed. Without any, generations would begin anew, and manifests would take them for such as they
    // have: a writer whose log was taken away is another one.
    let has_log = disk.list()?.iter().any(|name| segment::generation_of(name).is_some());
    match disk.read(WRITER_FILE) {
        Ok(_) if !has_log => {}
        Ok(data) => {
            let text = String::from_utf8(data).ok();
            let known = text.and_then(|text| Some(ulid::Ulid::from_string(text.trim()).ok()?.to_string()));
            if let Some(id) = known {
                return Ok((id, true));
            }
            tracing::warn!("the name of this writer of logs is damaged: taking a new one");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = ids.ulid().to_string();
    let is_kept = match write_writer(disk, &id) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "the name of this writer of logs cannot be written yet");
            false
        }
    };
    Ok((id, is_kept))
}

fn write_writer(disk: &dyn Disk, id: &str) -> io::Result<()> {
    disk.replace(WRITER_FILE, format!("{id}\n").as_bytes())
}

/// What keeps the log from going on since the start: a full disk, mostly. What there is can be read meanwhile.
pub(super) struct Hindrance {
    cause: String,
    has_writer: bool,
}

impl LogDb {
    /// Reads the segments of the log, one after the other. Each becomes a memtable as it was, and objects if there is
    /// more than memory should hold.
    pub(super) fn replay(&self, has_writer: bool) -> Result<(), LogDbError> {
        let names = self.disk.list()?;
        let mut generations: Vec<u64> =
            names.iter().filter_map(|name| segment::generation_of(name)).collect();
        generations.sort_unstable();
        // Generations must grow though segments are gone: manifests remember those that were flushed.
        let flushed = {
            let state = self.state.read();
            let of_writer =
                |(_, _, manifest): (_, _, &Arc<Manifest>)| manifest.writers.get(&self.writer).copied();
            state.catalog.all().filter_map(of_writer).max()
        };
        let kept = names.iter().filter_map(|name| segment::damaged_generation_of(name)).max();
        let last = generations.last().copied().max(flushed).max(kept).unwrap_or(0);
        // New entries go behind all that is replayed.
        self.state.write().generation = last + 1;
        let mut stored = Stored { db: self, known: HashMap::new() };
        for &generation in &generations {
            self.replay_segment(generation, &mut stored)?;
            if let Err(error) = self.reopen_replayed() {
                tracing::warn!(%error, "requests to delete could not be looked at");
            }
            if self.state.read().unflushed_bytes() > self.options.memtable_bytes
                && let Err(error) = self.flush_sealed()
            {
                tracing::warn!(%error, "entries of the log stay in memory");
            }
        }
        if !self.begins_log(last + 1, has_writer) {
            let cause = self.hindrance.lock().as_ref().map(|hindrance| hindrance.cause.clone());
            tracing::error!(
                cause,
                "the log of entries cannot be written: entries are refused, and what there is can be read"
            );
        }
        self.publish();
        Ok(())
    }

    /// Begins the first segment after a start; notes what hinders it.
    fn begins_log(&self, generation: u64, has_writer: bool) -> bool {
        let kept = if has_writer { Ok(()) } else { write_writer(&*self.disk, &self.writer) };
        let has_writer = kept.is_ok();
        let begun = kept.and_then(|()| self.begin_log(generation));
        let cause = begun.err().map(|error| format!("the log of entries cannot be written: {error}"));
        let is_begun = cause.is_none();
        *self.hindrance.lock() = cause.map(|cause| Hindrance { cause, has_writer });
        is_begun
    }

    /// Tries again to begin the log, if it could not be begun at the start.
    pub(crate) fn mend_log(&self) {
        let Some(has_writer) = self.hindrance.lock().as_ref().map(|hindrance| hindrance.has_writer) else {
            return;
        };
        let generation = {
            let state = self.state.read();
            state.next_generation.max(state.generation)
        };
        if self.begins_log(generation, has_writer) {
            tracing::info!("the log of entries can be written again: entries are taken");
            self.tell_room();
        }
    }

    /// Why no entries can be taken since the start.
    pub(super) fn hindrance(&self) -> Option<String> {
        self.hindrance.lock().as_ref().map(|hindrance| hindrance.cause.clone())
    }

    fn replay_segment(&self, generation: u64, stored: &mut Stored<'_>) -> Result<(), LogDbError> {
        let name = segment::name_of(generation);
        let data = self.disk.read(&name)?;
        let len_bytes = data.len() as u64;
        let replayed = segment::replay(data);
        let mut damaged = replayed.damaged_parts;
        let mut table = MemTable::default();
        for bytes in &replayed.records {
            match record::decode(bytes) {
                Ok((tenant, batches)) => stored.restore(&mut table, generation, &tenant, batches),
                Err(_) => damaged += 1,
            }
        }
        if damaged > 0 {
            self.metrics.wal_damaged.add(damaged);
            tracing::error!(
                segment = name,
                parts = damaged,
                "the log of entries is damaged: the rest of it is taken, and the segment will be kept"
            );
        }
        if replayed.torn_bytes > 0 && damaged == 0 {
            let bytes = replayed.torn_bytes;
            tracing::info!(segment = name, bytes, "the log of entries ends unfinished, as after a crash");
        }
        self.metrics.wal_replayed.add(table.rows());
        let since = self.clock.monotonic();
        // Segments of the first version do not say it.
        let begun_ms = replayed.begun_ms.unwrap_or(i64::MAX);
        let mut state = self.state.write();
        state.logs.insert(generation, LogFile { len_bytes, is_damaged: damaged > 0 });
        if !table.is_empty() {
            state.sealed.push(Arc::new(Sealed { generation, table, since, begun_ms }));
        }
        state.recount();
        Ok(())
    }
}

/// Which entries of the log the bucket has.
struct Stored<'a> {
    db: &'a LogDb,
    /// By tenant and day the last generation that is there durably.
    known: HashMap<(TenantId, Day), Option<u64>>,
}

impl Stored<'_> {
    /// Puts entries into memory, but for those of days for which this generation is in the bucket.
    fn restore(&mut self, table: &mut MemTable, generation: u64, tenant: &TenantId, batches: Vec<LogBatch>) {
        for mut batch in batches {
            let mut last = None;
            batch.entries.retain(|entry| {
                let day = Day::of_ns(entry.timestamp_ns);
                let (_, is_stored) = match last {
                    Some(known @ (of, _)) if of == day => known,
                    _ => *last.insert((day, self.has(tenant, day, generation))),
                };
                !is_stored
            });
            if !batch.entries.is_empty() {
                table.insert(tenant, &batch.stream, &batch.entries);
            }
        }
    }

    fn has(&mut self, tenant: &TenantId, day: Day, generation: u64) -> bool {
        let db = self.db;
        let last = self.known.entry((tenant.clone(), day)).or_insert_with(|| {
            let last = {
                let state = db.state.read();
                state.catalog.get(tenant, day)?.writers.get(&db.writer).copied()?
            };
            db.is_stored(tenant, day, last).then_some(last)
        });
        last.is_some_and(|last| last >= generation)
    }
}
