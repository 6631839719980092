//! What is on disk: silences before they count, what was told as soon as it was.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use ring::rand::SecureRandom as _;

use super::metrics::StateMetrics;
use super::{Alertmanager, SetSilenceError};
use crate::journal::Journal;
use crate::nflog::{self, LogEntry};
use crate::silence::{self, Silence, SilenceRecord};

/// A journal of this size is put into a snapshot before its time.
const LARGE_JOURNAL_BYTES: u64 = 32 << 20;

impl Alertmanager {
    /// Makes or changes a silence; its id. It is on disk when this returns.
    pub fn set_silence(&self, silence: Silence) -> Result<String, SetSilenceError> {
        // Held for the whole change: two at once could be planned on the same state.
        let mut journal = self.silences.lock();
        let now = self.now();
        let records = self.core.lock().silences().plan_set(silence, new_id, now)?;
        let id = records.last().map(|record| record.silence.id.clone()).unwrap_or_default();
        self.apply_silences(&mut journal, records, now)?;
        Ok(id)
    }

    /// Ends a silence. That it ended is on disk when this returns.
    pub fn expire_silence(&self, id: &str) -> Result<(), SetSilenceError> {
        let mut journal = self.silences.lock();
        let now = self.now();
        let record = self.core.lock().silences().plan_expire(id, now)?;
        self.apply_silences(&mut journal, record.into_iter().collect(), now)?;
        Ok(())
    }

    fn apply_silences(
        &self,
        journal: &mut Journal,
        records: Vec<SilenceRecord>,
        now: Timestamp,
    ) -> io::Result<()> {
        let encoded: Vec<Vec<u8>> = records.iter().map(silence::encode).collect();
        journal.append(encoded.iter().map(Vec::as_slice))?;
        if self.options.log_silences {
            for record in &records {
                let silence = &record.silence;
                tracing::info!(id = silence.id, created_by = silence.created_by, comment = silence.comment, starts_at = %silence.starts_at, ends_at = %silence.ends_at, "silence changed");
            }
        }
        let mut core = self.core.lock();
        for record in &records {
            core.silences_mut().merge(record.clone(), now);
        }
        drop(core);
        if let Some(cluster) = self.cluster() {
            cluster.silenced(&records);
        }
        Ok(())
    }

    pub(super) fn write_log(&self, entries: &[LogEntry]) {
        let encoded: Vec<Vec<u8>> = entries.iter().map(nflog::encode).collect();
        let mut journal = self.log.lock();
        if let Err(error) = journal.append(encoded.iter().map(Vec::as_slice)) {
            tracing::error!(%error, "cannot write down what was told; a restart may repeat it");
        }
        if journal.journal_bytes() > LARGE_JOURNAL_BYTES {
            self.snapshot_log(&mut journal);
        }
    }

    fn snapshot_log(&self, journal: &mut Journal) {
        let begun = self.clock.monotonic();
        let entries: Vec<Arc<LogEntry>> = self.core.lock().log().iter().cloned().collect();
        if let Err(error) = journal.replace(entries.iter().map(|entry| nflog::encode(entry))) {
            self.metrics.log.failed.inc();
            tracing::error!(%error, "cannot write the log of notifications");
        }
        let took = self.clock.monotonic().saturating_sub(begun);
        self.metrics.log.snapshot(journal.snapshot_bytes(), took);
    }

    /// Forgets what has expired and writes snapshots.
    pub fn maintain(&self) {
        let now = self.now();
        {
            let mut core = self.core.lock();
            let begun = self.clock.monotonic();
            core.silences_mut().forget_expired(now);
            let between = self.clock.monotonic();
            core.log_mut().forget_expired(now);
            self.metrics.silences.gc.observe(between.saturating_sub(begun).as_secs_f64());
            let took = self.clock.monotonic().saturating_sub(between);
            self.metrics.log.gc.observe(took.as_secs_f64());
        }
        self.metrics.silences.maintained.inc();
        self.metrics.log.maintained.inc();
        let mut journal = self.silences.lock();
        let begun = self.clock.monotonic();
        let records: Vec<SilenceRecord> = self.core.lock().silences().records().cloned().collect();
        if let Err(error) = journal.replace(records.iter().map(silence::encode)) {
            self.metrics.silences.failed.inc();
            tracing::error!(%error, "cannot write the silences");
        }
        let took = self.clock.monotonic().saturating_sub(begun);
        self.metrics.silences.snapshot(journal.snapshot_bytes(), took);
        drop(journal);
        self.snapshot_log(&mut self.log.lock());
    }
}

/// Opens a journal and hands on its records. Damage is told, counted and left out; a copy of it is kept.
pub(super) fn recover(
    dir: &Path,
    name: &str,
    metrics: &StateMetrics,
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> io::Result<Journal> {
    let (journal, found) = Journal::open(dir, name)?;
    found.damage.iter().for_each(|damage| tracing::warn!("{damage}"));
    let mut unreadable: Vec<&[u8]> = Vec::new();
    for record in &found.records {
        if let Err(error) = take(record) {
            tracing::warn!("a record of {name} cannot be read and is set aside: {error}");
            unreadable.push(record);
        }
    }
    if !unreadable.is_empty() {
        // The next snapshot leaves them out.
        journal.set_aside(&unreadable)?;
    }
    metrics.damaged.add((found.damage.len() + unreadable.len()) as u64);
    metrics.snapshot_bytes.store(journal.snapshot_bytes(), Ordering::Relaxed);
    Ok(journal)
}

/// A random UUID.
fn new_id() -> String {
    let mut bytes = [0_u8; 16];
    // Where the system has no random numbers nothing that needs them works, TLS least of all.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::notify::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
