//! After a start: what the log holds and the bucket does not.

use std::io;
use std::sync::Arc;

use model::logs::LogBatch;
use model::source::TenantId;

use super::{Ids, LogDb, LogDbError, Sealed};
use crate::day::Day;
use crate::memtable::MemTable;
use crate::wal::{Disk, record, segment};

const WRITER_FILE: &str = "writer";

/// The name of this writer in manifests: one that stays with the directory of its log.
pub(super) fn writer_id(disk: &dyn Disk, ids: &Ids) -> io::Result<String> {
    match disk.read(WRITER_FILE) {
        Ok(data) => {
            let text = String::from_utf8(data).ok();
            let known = text.and_then(|text| Some(ulid::Ulid::from_string(text.trim()).ok()?.to_string()));
            if let Some(id) = known {
                return Ok(id);
            }
            tracing::warn!("the name of this writer of logs is damaged: taking a new one");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = ids.ulid().to_string();
    disk.replace(WRITER_FILE, format!("{id}\n").as_bytes())?;
    Ok(id)
}

impl LogDb {
    /// Reads the segments of the log, one after the other. Each becomes a memtable as it was, and objects if there is
    /// more than memory should hold.
    pub(super) fn replay(&self) -> Result<(), LogDbError> {
        let names = self.disk.list()?;
        let mut generations: Vec<u64> =
            names.iter().filter_map(|name| segment::generation_of(name)).collect();
        generations.sort_unstable();
        // Generations must grow though all segments are gone: manifests remember those that were flushed.
        let flushed = {
            let state = self.state.read();
            state
                .catalog
                .all()
                .filter_map(|(_, _, manifest)| manifest.writers.get(&self.writer).copied())
                .max()
        };
        let last = generations.last().copied().max(flushed).unwrap_or(0);
        // New entries go behind all that is replayed.
        self.state.write().generation = last + 1;
        for &generation in &generations {
            self.replay_segment(generation)?;
            if self.state.read().unflushed_bytes() > self.options.memtable_bytes
                && let Err(error) = self.flush_sealed()
            {
                tracing::warn!(%error, "entries of the log stay in memory");
            }
        }
        self.begin_log(last + 1)?;
        self.publish();
        Ok(())
    }

    fn replay_segment(&self, generation: u64) -> Result<(), LogDbError> {
        let name = segment::name_of(generation);
        let data = self.disk.read(&name)?;
        let len = data.len() as u64;
        let replayed = segment::replay(data);
        let mut damaged = replayed.damaged_parts;
        let mut table = MemTable::default();
        for bytes in &replayed.records {
            match record::decode(bytes) {
                Ok((tenant, batches)) => self.restore(&mut table, generation, &tenant, batches),
                Err(_) => damaged += 1,
            }
        }
        if damaged > 0 {
            self.metrics.wal_damaged.add(damaged);
            tracing::error!(
                segment = name,
                parts = damaged,
                "the log of entries is damaged: the rest of it is kept"
            );
        }
        if replayed.torn_bytes > 0 {
            let bytes = replayed.torn_bytes;
            tracing::info!(segment = name, bytes, "the log of entries ends unfinished, as after a crash");
        }
        self.metrics.wal_replayed.add(table.rows());
        let since = self.clock.monotonic();
        let mut state = self.state.write();
        state.logs.insert(generation, len);
        if !table.is_empty() {
            state.sealed.push(Arc::new(Sealed { generation, table, since }));
        }
        Ok(())
    }

    /// Puts entries into memory, but for those of days for which this generation is in the bucket.
    fn restore(&self, table: &mut MemTable, generation: u64, tenant: &TenantId, batches: Vec<LogBatch>) {
        let state = self.state.read();
        for mut batch in batches {
            batch.entries.retain(|entry| {
                let manifest = state.catalog.get(tenant, Day::of_ns(entry.timestamp_ns));
                !manifest.is_some_and(|manifest| manifest.has_generation(&self.writer, generation))
            });
            if !batch.entries.is_empty() {
                table.insert(tenant, &batch.stream, &batch.entries);
            }
        }
    }
}
