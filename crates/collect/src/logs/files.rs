//! The tailer: follows the files that match patterns, through rotation, truncation and compression.
//!
//! A file is its device and inode together with what it holds ([`super::mark`]); a *log* is a path that files come and
//! go under. Files that are renamed away, copied away or compressed are read to their end under the name of their log.
//! One turn looks at all files, reads a batch, notes which bytes it holds, delivers it, and moves the offsets.
//!
//! In reading order: this file (a turn), [`tail`] (reading one file), [`discover`] (which files there are).

mod discover;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use parking_lot::Mutex;
use wire::loki::{PushEntry, PushLabels, PushRequest, PushStream};

use super::entries::{EntryOptions, Multiline, text};
use super::glob::Glob;
use super::metrics::LogMetrics;
use super::positions::{Change, FileId, FilePosition, LogPosition, Pending, Positions};
use super::sink::{Delivered, LogSink, Signal, deliver};
use tail::{Read, Tail};

/// Bytes one batch gathers before it leaves.
const BATCH_BYTES: usize = 1 << 20;
/// Entries one batch gathers before it leaves.
const BATCH_ENTRIES: usize = 20_000;
/// How long what is stored may be unknown to the positions. Only repeats depend on it.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// How often files nobody writes to are noted as seen.
const REFRESH_MS: i64 = 86_400_000;
/// A clock that is set back further than this is followed, for stores refuse what lies in the future.
const MAX_AHEAD_NS: i64 = 300 * 1_000_000_000;

/// What is followed, and how.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// Files that match any of these are followed.
    pub include: Vec<Glob>,
    /// But not those that match any of these.
    pub exclude: Vec<Glob>,
    /// How bytes become entries.
    pub entries: EntryOptions,
    /// How lines of some files are joined: of those that match a pattern, the first that fits, in place of what `entries` says.
    pub multiline: Vec<(Glob, Multiline)>,
    /// How long lines may wait for others that belong to them.
    pub multiline_timeout: Duration,
    /// Whether files that are there when a log is first followed are read from their end.
    pub from_end: bool,
    /// Files that are followed at a time.
    pub max_files: usize,
    /// Files that are open at a time.
    pub max_open: usize,
    /// Labels of every stream, beside `filename`.
    pub labels: Vec<(String, String)>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            entries: EntryOptions { max_bytes: 256 << 10, multiline: None },
            multiline: Vec::new(),
            multiline_timeout: Duration::from_secs(3),
            from_end: false,
            max_files: 4096,
            max_open: 256,
            labels: Vec::new(),
        }
    }
}

impl FileOptions {
    /// How the bytes of a log, which is known by its path, become entries.
    fn entries_of(&self, log: &str) -> EntryOptions {
        let own = self.multiline.iter().find(|(glob, _)| glob.matches(Path::new(log)));
        let multiline = own.map(|(_, multiline)| multiline).or(self.entries.multiline.as_ref());
        EntryOptions { max_bytes: self.entries.max_bytes, multiline: multiline.cloned() }
    }
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A batch is stored; there may be more.
    Delivered {
        /// Bytes of the batch.
        bytes: usize,
    },
    /// There was nothing to read.
    Idle,
    /// It is time to end.
    Stopped,
}

/// The files that are followed.
pub struct Files {
    options: FileOptions,
    clock: SharedClock,
    positions: Arc<Mutex<Positions>>,
    metrics: LogMetrics,
    /// The file under each path that matches.
    live: BTreeMap<String, FileId>,
    tails: BTreeMap<FileId, Tail>,
    logs: BTreeMap<String, LogPosition>,
    /// Rotated files that are not read, as they were when that was found.
    passed: HashMap<FileId, u64>,
    /// Rotated files that may still be written: their size, and since when they have it.
    settling: HashMap<FileId, (u64, Duration)>,
    /// Problems that were told.
    told: BTreeSet<PathBuf>,
    discovered_at: Option<Duration>,
    saved_at: Duration,
}

/// Entries of several files that leave together.
#[derive(Default)]
struct Batch {
    request: PushRequest,
    change: Change,
    parts: Vec<(FileId, Read)>,
    bytes: usize,
    entries: usize,
}

impl Files {
    /// Nothing is read before the first turn.
    pub fn new(
        options: FileOptions,
        clock: SharedClock,
        positions: Arc<Mutex<Positions>>,
        metrics: LogMetrics,
    ) -> Self {
        let logs = positions.lock().state().logs.clone();
        let saved_at = clock.monotonic();
        Self {
            options,
            clock,
            positions,
            metrics,
            live: BTreeMap::new(),
            tails: BTreeMap::new(),
            logs,
            passed: HashMap::new(),
            settling: HashMap::new(),
            told: BTreeSet::new(),
            discovered_at: None,
            saved_at,
        }
    }

    /// Looks at all files and delivers one batch of what is new. An error says that positions cannot be written; then
    /// nothing is delivered.
    pub fn turn(&mut self, sink: &dyn LogSink, signal: &Signal) -> io::Result<Turn> {
        self.discover_if_due()?;
        self.look()?;
        let mut batch = self.gather()?;
        self.publish();
        if batch.parts.is_empty() {
            self.finish()?;
            self.close_surplus();
            self.save(false)?;
            return Ok(Turn::Idle);
        }
        self.positions.lock().write(std::mem::take(&mut batch.change))?;
        match deliver(sink, &batch.request, signal) {
            Delivered::Unknown => return Ok(Turn::Stopped),
            Delivered::Partly(problem) => {
                tracing::warn!(error = problem, "some lines of files were refused for good");
                self.metrics.dropped.inc();
            }
            Delivered::Whole => {}
        }
        self.metrics.sent(batch.entries, batch.bytes);
        for (id, read) in batch.parts {
            let Some(tail) = self.tails.get_mut(&id) else { continue };
            self.metrics.read(
                &tail.log,
                read.bytes.len() - read.ahead,
                read.cut.entries.len(),
                read.cut.split,
            );
            tail.advance(&read);
        }
        self.close_surplus();
        Ok(Turn::Delivered { bytes: batch.bytes })
    }

    /// Notes on disk all that is stored.
    pub fn save(&mut self, now: bool) -> io::Result<()> {
        let at = self.clock.monotonic();
        if !now && at.saturating_sub(self.saved_at) < SAVE_AFTER {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let mut change = Change::default();
        for (id, tail) in &mut self.tails {
            if tail.is_unsaved || now_ms - tail.saved_ms >= REFRESH_MS {
                change.file(*id, tail.position(now_ms, None));
                tail.is_unsaved = false;
                tail.saved_ms = now_ms;
            }
        }
        self.saved_at = at;
        self.positions.lock().write(change)
    }

    /// The directories whose changes matter.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let dir = |path: &String| std::path::Path::new(path).parent().map(PathBuf::from);
        self.live.keys().filter_map(dir).collect()
    }

    fn gather(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        // What was rotated away is older than what took its place.
        let mut order: Vec<(bool, Duration, FileId)> =
            self.tails.iter().map(|(id, tail)| (tail.is_live, tail.read_at, *id)).collect();
        order.sort_unstable();
        let mut unfinished: BTreeSet<String> = BTreeSet::new();
        let now = self.clock.monotonic();
        for (is_live, _, id) in order {
            if batch.bytes >= BATCH_BYTES || batch.entries >= BATCH_ENTRIES {
                break;
            }
            let Some(tail) = self.tails.get_mut(&id) else { continue };
            if is_live && unfinished.contains(&tail.log) {
                continue;
            }
            let mut found = tail.read(&self.options, now);
            if matches!(found, Ok(tail::Found::Truncated)) {
                self.truncated(id)?;
                let Some(tail) = self.tails.get_mut(&id) else { continue };
                found = tail.read(&self.options, now);
            }
            let Some(tail) = self.tails.get(&id) else { continue };
            match found {
                // Emptied again already: the next turn sees to it.
                Ok(tail::Found::Nothing | tail::Found::Truncated) => {}
                Ok(tail::Found::Entries(read)) => {
                    if !is_live {
                        unfinished.insert(tail.log.clone());
                    }
                    self.add(&mut batch, id, read);
                }
                Err(error) => self.unreadable(id, &error)?,
            }
        }
        Ok(batch)
    }

    fn add(&mut self, batch: &mut Batch, id: FileId, read: Read) {
        let now_ms = self.clock.now_ms();
        let Some(tail) = self.tails.get_mut(&id) else { return };
        let log = self.logs.entry(tail.log.clone()).or_insert(LogPosition { since_ms: now_ms, last_ns: 0 });
        let now_ns = now_ms.saturating_mul(1_000_000);
        let next_ns = log.last_ns.saturating_add(1);
        let fresh_ns = if next_ns - now_ns > MAX_AHEAD_NS { now_ns } else { next_ns.max(now_ns) };
        let first_ns = tail.pending.map_or(fresh_ns, |pending| pending.first_ns);
        let count = read.cut.entries.len();
        log.last_ns = log.last_ns.max(first_ns + count as i64 - 1);
        let max_bytes = self.options.entries.max_bytes;
        let entry = |(range, timestamp_ns): (&std::ops::Range<usize>, i64)| PushEntry {
            timestamp_ns,
            line: text(&read.bytes, range.start + read.ahead..range.end + read.ahead, max_bytes),
            metadata: Vec::new(),
        };
        let entries: Vec<PushEntry> = read.cut.entries.iter().zip(first_ns..).map(entry).collect();
        let mut labels = self.options.labels.clone();
        labels.push(("filename".to_owned(), tail.log.clone()));
        batch.bytes += entries.iter().map(|entry| entry.line.len() + 1).sum::<usize>();
        batch.entries += count;
        batch.request.streams.push(PushStream { labels: PushLabels::Pairs(labels), entries });
        let pending = Pending { to: tail.offset + read.cut.consumed as u64, first_ns };
        batch.change.log(&tail.log, *log);
        batch.change.file(id, tail.position(now_ms, Some(pending)));
        tail.read_at = self.clock.monotonic();
        batch.parts.push((id, read));
    }

    /// Notices what paths are about now, and drops what is read to its end.
    fn look(&mut self) -> io::Result<()> {
        let mut moved = Vec::new();
        for (path, id) in &self.live {
            match std::fs::metadata(path) {
                Ok(metadata) if FileId::of(&metadata) == *id => {}
                _ => moved.push(path.clone()),
            }
        }
        for path in &moved {
            let Some(id) = self.live.remove(path) else { continue };
            match self.tails.get_mut(&id) {
                Some(tail) if tail.is_open() => tail.leave(self.clock.monotonic()),
                _ => {
                    // It was closed to save descriptors: whatever name it has now, it is looked for.
                    self.save(true)?;
                    self.tails.remove(&id);
                }
            }
            self.follow(path)?;
            self.discovered_at = None;
        }
        Ok(())
    }

    /// Lets go of files that are read to their end.
    fn finish(&mut self) -> io::Result<()> {
        let (now, now_ms) = (self.clock.monotonic(), self.clock.now_ms());
        let mut change = Change::default();
        self.tails.retain(|id, tail| {
            let is_over = tail.is_over(now);
            if is_over {
                change.file(*id, tail.position(now_ms, None));
            }
            !is_over
        });
        self.positions.lock().write(change)
    }

    /// Closes the files that nothing was read from for the longest time.
    fn close_surplus(&mut self) {
        let mut open: Vec<&mut Tail> = self.tails.values_mut().filter(|tail| tail.is_open()).collect();
        let surplus = open.len().saturating_sub(self.options.max_open);
        open.sort_by_key(|tail| (!tail.is_live, tail.read_at));
        // A file without a name cannot be opened again.
        open.into_iter().filter(|tail| tail.is_live).take(surplus).for_each(Tail::close);
    }

    /// A file cannot be read: told once, and tried again when files are looked for.
    fn unreadable(&mut self, id: FileId, error: &io::Error) -> io::Result<()> {
        let Some(tail) = self.tails.remove(&id) else { return Ok(()) };
        self.live.retain(|_, live| *live != id);
        if self.told.insert(tail.path.clone()) {
            tracing::warn!(path = %tail.path.display(), %error, "a log file cannot be read");
        }
        let mut position = tail.position(self.clock.now_ms(), tail.pending);
        if tail.is_archive() {
            // What is damaged stays so.
            position.is_done = true;
            self.metrics.damaged.inc();
        }
        let mut change = Change::default();
        change.file(id, position);
        self.positions.lock().write(change)
    }

    fn publish(&self) {
        let sizes =
            self.tails.values().filter(|tail| tail.is_live).map(|tail| (tail.log.as_str(), tail.size));
        self.metrics.active(sizes);
    }

    fn known(&self, id: FileId) -> Option<FilePosition> {
        self.positions.lock().state().files.get(&id).cloned()
    }
}
