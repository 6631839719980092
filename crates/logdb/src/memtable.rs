//! Entries in memory: of one generation, by tenant and stream, until they are in objects.
//!
//! A stream is a few runs of rows, each in order of time. Entries that come in order go to the end of the last run; runs
//! that got small because entries came out of order, or a query held the last one, are merged. Runs are shared with
//! queries and never change once they are: what a query sees stays as it was.

mod rows;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use model::labels::Labels;
use model::logs::LogEntry;
use model::source::TenantId;

pub use rows::Rows;

/// A run with this many bytes is full.
const FULL_RUN_BYTES: usize = 1 << 20;
/// That many runs of about one size are merged.
const MERGED_RUNS: usize = 8;
/// What a stream takes besides its rows.
const STREAM_BYTES: usize = 256;

/// Entries of one generation.
#[derive(Debug, Default)]
pub struct MemTable {
    tenants: BTreeMap<TenantId, HashMap<Labels, StreamRows>>,
    bytes: usize,
    rows: u64,
}

/// Entries of one stream.
#[derive(Debug, Default, Clone)]
pub struct StreamRows {
    runs: Vec<Arc<Rows>>,
}

impl MemTable {
    /// Memory the entries take.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Number of entries.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds entries of one stream, leaving out those that are there already. Returns how many were added.
    pub fn insert(&mut self, tenant: &TenantId, stream: &Labels, entries: &[LogEntry]) -> u64 {
        let streams = match self.tenants.get_mut(tenant) {
            Some(streams) => streams,
            None => self.tenants.entry(tenant.clone()).or_default(),
        };
        let rows = match streams.get_mut(stream) {
            Some(rows) => rows,
            None => {
                self.bytes += STREAM_BYTES + stream.as_bytes().len();
                streams.entry(stream.clone()).or_default()
            }
        };
        let before = rows.memory_bytes();
        let added = rows.insert(entries);
        self.bytes = self.bytes + rows.memory_bytes() - before;
        self.rows += added;
        added
    }

    /// The tenants there are.
    pub fn tenants(&self) -> impl Iterator<Item = (&TenantId, &HashMap<Labels, StreamRows>)> {
        self.tenants.iter()
    }

    /// Whether a tenant has entries.
    pub fn has(&self, tenant: &TenantId) -> bool {
        self.tenants.contains_key(tenant)
    }

    /// The streams of a tenant.
    pub fn streams(&self, tenant: &TenantId) -> impl Iterator<Item = (&Labels, &StreamRows)> {
        self.tenants.get(tenant).into_iter().flatten()
    }
}

impl StreamRows {
    /// Its runs, each in order of time; of equal times the earlier run was first.
    pub fn runs(&self) -> &[Arc<Rows>] {
        &self.runs
    }

    /// Rows in order of time, of which some are from one time up to another, with both: those.
    pub fn merged(&self, first_ns: i64, last_ns: i64) -> (Arc<Rows>, Range<usize>) {
        let mut found = self.runs.iter().filter(|run| !run.between(first_ns, last_ns).is_empty());
        match (found.next(), found.next()) {
            (Some(only), None) => (only.clone(), only.between(first_ns, last_ns)),
            _ => {
                let merged = Rows::merge_between(&self.runs, first_ns, last_ns);
                let rows = 0..merged.len();
                (Arc::new(merged), rows)
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        self.runs.iter().map(|run| run.memory_bytes()).sum()
    }

    fn insert(&mut self, entries: &[LogEntry]) -> u64 {
        let in_order = entries.windows(2).all(|pair| pair[0].timestamp_ns <= pair[1].timestamp_ns);
        if in_order {
            return self.insert_sorted(entries.iter());
        }
        let mut sorted: Vec<&LogEntry> = entries.iter().collect();
        sorted.sort_by_key(|entry| entry.timestamp_ns);
        self.insert_sorted(sorted.into_iter())
    }

    fn insert_sorted<'a>(&mut self, entries: impl Iterator<Item = &'a LogEntry>) -> u64 {
        let mut added = 0;
        // The run that takes the entries: the last one, once it is known to be ours and not full.
        let mut is_open = false;
        for entry in entries {
            if self.has(entry) {
                continue;
            }
            if !is_open || !self.last_takes(entry.timestamp_ns) {
                is_open = true;
                if !self.last_takes(entry.timestamp_ns) {
                    if let Some(full) = self.runs.last_mut().and_then(Arc::get_mut) {
                        full.shrink();
                    }
                    self.runs.push(Arc::default());
                }
            }
            if let Some(last) = self.runs.last_mut().and_then(Arc::get_mut) {
                last.push_entry(entry);
                added += 1;
            }
        }
        self.merge_small_runs();
        added
    }

    /// Whether an entry of that time can go to the end of the last run.
    fn last_takes(&mut self, timestamp_ns: i64) -> bool {
        self.runs.last_mut().and_then(Arc::get_mut).is_some_and(|run| {
            run.content_bytes() < FULL_RUN_BYTES && run.last_ns().is_none_or(|last| last <= timestamp_ns)
        })
    }

    fn has(&self, entry: &LogEntry) -> bool {
        self.runs.iter().any(|run| run.has(entry.timestamp_ns, &entry.line))
    }

    fn merge_small_runs(&mut self) {
        let class = |run: &Arc<Rows>| (run.content_bytes() as u64 / 1024 + 1).ilog2() / 3;
        loop {
            let Some(last) = self.runs.last() else { return };
            let of_class = self.runs.iter().rev().take_while(|run| class(run) <= class(last)).count();
            let is_full = |run: &Arc<Rows>| run.content_bytes() >= FULL_RUN_BYTES;
            if of_class < MERGED_RUNS || self.runs[self.runs.len() - of_class..].iter().all(is_full) {
                return;
            }
            let tail = self.runs.split_off(self.runs.len() - of_class);
            self.runs.push(Arc::new(Rows::merge(&tail)));
        }
    }
}
