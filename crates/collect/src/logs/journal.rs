//! The systemd journal, read from its files: no library and no `journalctl` is needed, so it works in containers, too.
//!
//! Every file is followed on its own, by the id in its header, which stays when the daemon renames it. Timestamps are
//! those of the journal, so an entry that is read again is the same entry.
//!
//! In reading order: [`mod@file`] (the format), [`entry`] (what becomes of an entry), this file (which files, and a turn).

mod entry;
pub mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use parking_lot::Mutex;
use wire::loki::{PushEntry, PushLabels, PushRequest, PushStream};

use super::files::Turn;
use super::metrics::LogMetrics;
use super::positions::{Change, JournalPosition, Positions};
use super::sink::{Delivered, LogSink, Signal, deliver};
use file::{JournalError, JournalFile};

/// Where journals are: of this boot alone, and kept.
pub const DIRECTORIES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

const BATCH_BYTES: usize = 1 << 20;
const BATCH_ENTRIES: usize = 10_000;
const DISCOVER_EVERY: Duration = Duration::from_secs(5);
/// Files that are open at a time.
const MAX_FILES: usize = 256;
/// How long what is stored may be unknown to the positions.
const SAVE_AFTER: Duration = Duration::from_secs(1);
const REFRESH_MS: i64 = 86_400_000;

/// Which journal is read, and how.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// Directories with journal files, or with one directory of them for each machine.
    pub directories: Vec<PathBuf>,
    /// Entries older than this are not read of a file that is met for the first time.
    pub max_age: Duration,
    /// Bytes of a message; what is longer ends there.
    pub max_bytes: usize,
    /// Labels of every stream, beside those of the entry.
    pub labels: Vec<(String, String)>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            directories: DIRECTORIES.iter().map(PathBuf::from).collect(),
            max_age: Duration::from_secs(7 * 3600),
            max_bytes: 256 << 10,
            labels: vec![("job".to_owned(), "systemd-journal".to_owned())],
        }
    }
}

/// The files of the journal.
pub struct Journal {
    options: JournalOptions,
    clock: SharedClock,
    positions: Arc<Mutex<Positions>>,
    metrics: LogMetrics,
    /// By their ids.
    open: BTreeMap<String, Followed>,
    /// Files that are read to their end and will not grow, by their ids.
    done: BTreeSet<String>,
    told: BTreeSet<PathBuf>,
    discovered_at: Option<Duration>,
    saved_at: Duration,
}

struct Followed {
    path: PathBuf,
    file: JournalFile,
    stored: JournalPosition,
    is_unsaved: bool,
}

#[derive(Default)]
struct Batch {
    streams: BTreeMap<Vec<(String, String)>, Vec<PushEntry>>,
    bytes: usize,
    entries: usize,
    /// Where each file stands, and the cursor of its last entry.
    ends: Vec<(String, u64, String)>,
}

impl Journal {
    /// Nothing is read before the first turn.
    pub fn new(
        options: JournalOptions,
        clock: SharedClock,
        positions: Arc<Mutex<Positions>>,
        metrics: LogMetrics,
    ) -> Self {
        let saved_at = clock.monotonic();
        let (open, done, told) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { options, clock, positions, metrics, open, done, told, discovered_at: None, saved_at }
    }

    /// Delivers one batch of what is new.
    pub fn turn(&mut self, sink: &dyn LogSink, signal: &Signal) -> io::Result<Turn> {
        self.discover_if_due()?;
        let batch = self.gather();
        let bytes = batch.bytes;
        if batch.entries > 0 {
            let stream = |(labels, entries)| PushStream { labels: PushLabels::Pairs(labels), entries };
            let request = PushRequest { streams: batch.streams.into_iter().map(stream).collect() };
            match deliver(sink, &request, signal) {
                Delivered::Unknown => return Ok(Turn::Stopped),
                Delivered::Partly(problem) => {
                    tracing::warn!(error = problem, "some entries of the journal were refused for good");
                    self.metrics.dropped.inc();
                }
                Delivered::Whole => {}
            }
            self.metrics.sent(batch.entries, bytes);
            self.metrics.journal_lines.add(batch.entries as u64);
        }
        for (id, entries, cursor) in batch.ends {
            let Some(followed) = self.open.get_mut(&id) else { continue };
            followed.stored = JournalPosition { entries, cursor, seen_ms: self.clock.now_ms() };
            followed.is_unsaved = true;
        }
        self.save(false)?;
        Ok(if bytes > 0 { Turn::Delivered { bytes } } else { Turn::Idle })
    }

    /// Notes on disk all that is stored.
    pub fn save(&mut self, now: bool) -> io::Result<()> {
        let at = self.clock.monotonic();
        if !now && at.saturating_sub(self.saved_at) < SAVE_AFTER {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let mut change = Change::default();
        for (id, followed) in &mut self.open {
            if followed.is_unsaved || now_ms - followed.stored.seen_ms >= REFRESH_MS {
                followed.stored.seen_ms = now_ms;
                change.journal(id, followed.stored.clone());
                followed.is_unsaved = false;
            }
        }
        self.saved_at = at;
        self.positions.lock().write(change)
    }

    /// The directories whose changes matter.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        self.open.values().filter_map(|followed| followed.path.parent().map(PathBuf::from)).collect()
    }

    fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        let max_bytes = self.options.max_bytes;
        for (id, followed) in &mut self.open {
            // A batch that was not stored is read again.
            if followed.file.position() != followed.stored.entries {
                followed.file.seek(followed.stored.entries);
            }
            let mut cursor = None;
            while batch.bytes < BATCH_BYTES && batch.entries < BATCH_ENTRIES {
                match followed.file.read(entry::is_wanted) {
                    Ok(Some(entry)) => {
                        match entry::line(&entry, max_bytes) {
                            Some((labels, line)) => batch.add(&self.options.labels, labels, line),
                            None => self.metrics.journal_without_message.inc(),
                        }
                        cursor = Some(entry.cursor(&followed.file.header().seqnum_id));
                    }
                    Ok(None) => break,
                    Err(JournalError::Damaged { offset, problem }) => {
                        if self.told.insert(followed.path.clone()) {
                            let path = followed.path.display();
                            tracing::warn!(%path, offset, problem, "a journal file is damaged; the rest of it is read");
                        }
                        self.metrics.journal_damaged.inc();
                        cursor.get_or_insert_with(|| followed.stored.cursor.clone());
                    }
                    Err(error) => {
                        if self.told.insert(followed.path.clone()) {
                            tracing::warn!(path = %followed.path.display(), %error, "a journal file cannot be read");
                        }
                        break;
                    }
                }
            }
            if let Some(cursor) = cursor {
                batch.ends.push((id.clone(), followed.file.position(), cursor));
            }
        }
        batch
    }

    fn discover_if_due(&mut self) -> io::Result<()> {
        let now = self.clock.monotonic();
        if self.discovered_at.is_some_and(|at| now.saturating_sub(at) < DISCOVER_EVERY) {
            return Ok(());
        }
        self.discovered_at = Some(now);
        let mut there = BTreeSet::new();
        for path in journal_files(&self.options.directories) {
            let opened = File::open(&path).map_err(JournalError::from);
            match opened.and_then(|file| JournalFile::open(file, 0)) {
                Ok(file) => {
                    let id = file.header().file_id.clone();
                    there.insert(id.clone());
                    if let Some(followed) = self.open.get_mut(&id) {
                        followed.path = path;
                    } else if !self.done.contains(&id) && self.open.len() < MAX_FILES {
                        self.follow(id, path, file);
                    }
                }
                Err(error) => self.tell(&path, &error),
            }
        }
        self.done.retain(|id| there.contains(id));
        self.leave(&there)
    }

    fn tell(&mut self, path: &Path, error: &JournalError) {
        if self.told.insert(path.to_owned()) {
            tracing::warn!(path = %path.display(), %error, "a journal file cannot be read");
        }
    }

    /// Lets go of files that are read and will not grow.
    fn leave(&mut self, there: &BTreeSet<String>) -> io::Result<()> {
        let mut change = Change::default();
        let mut left = Vec::new();
        for (id, followed) in &mut self.open {
            let has_more = followed.file.refresh().unwrap_or(false);
            let is_closed = followed.file.header().is_archived || is_set_aside(&followed.path);
            let is_read = !has_more && followed.stored.entries == followed.file.position();
            if is_read && (is_closed || !there.contains(id)) {
                change.journal(id, followed.stored.clone());
                left.push(id.clone());
            }
        }
        for id in left {
            self.open.remove(&id);
            self.done.insert(id);
        }
        self.positions.lock().write(change)
    }

    fn follow(&mut self, id: String, path: PathBuf, file: JournalFile) {
        match self.opened(&id, &path, file) {
            Ok(followed) => drop(self.open.insert(id, followed)),
            Err(error) => self.tell(&path, &error),
        }
    }

    fn opened(&self, id: &str, path: &Path, mut file: JournalFile) -> Result<Followed, JournalError> {
        let stored = match self.positions.lock().state().journals.get(id).cloned() {
            Some(stored) => stored,
            None => {
                let oldest_ms = self.clock.now_ms() - self.options.max_age.as_millis() as i64;
                let oldest_us = u64::try_from(oldest_ms).unwrap_or(0) * 1000;
                match file.seek_time(oldest_us) {
                    // Damage is met again where it is.
                    Err(JournalError::Damaged { .. }) => file.seek(0),
                    other => other?,
                }
                JournalPosition {
                    entries: file.position(),
                    cursor: String::new(),
                    seen_ms: self.clock.now_ms(),
                }
            }
        };
        file.seek(stored.entries);
        Ok(Followed { path: path.to_owned(), file, stored, is_unsaved: true })
    }
}

impl Batch {
    fn add(&mut self, fixed: &[(String, String)], mut labels: Vec<(String, String)>, line: PushEntry) {
        let metadata: usize = line.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.bytes += line.line.len() + metadata + 1;
        self.entries += 1;
        labels.extend_from_slice(fixed);
        self.streams.entry(labels).or_default().push(line);
    }
}

/// Journal files in these directories and in those below them.
fn journal_files(directories: &[PathBuf]) -> BTreeSet<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).collect()
    };
    let is_journal = |path: &PathBuf| path.to_string_lossy().trim_end_matches('~').ends_with(".journal");
    let top = directories.iter().flat_map(|dir| list(dir));
    let (below, mut files): (Vec<PathBuf>, Vec<PathBuf>) = top.partition(|path| path.is_dir());
    files.extend(below.iter().flat_map(|dir| list(dir)));
    files.into_iter().filter(is_journal).collect()
}

/// The daemon sets files aside that were not closed, with a tilde.
fn is_set_aside(path: &Path) -> bool {
    path.to_string_lossy().ends_with('~')
}
