//! Which files there are: those that match, and older parts of their logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Files;
use super::tail::Tail;
use crate::logs::archive::Stream;
use crate::logs::mark::{Likeness, Mark};
use crate::logs::positions::{Change, FileId, FilePosition, LogPosition};
use crate::logs::rotation::{self, Compression};

/// How often files are looked for.
const DISCOVER_EVERY: Duration = Duration::from_secs(5);
/// How long a rotated file has to stay as it is before it counts as complete.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Files that are remembered as not to be read.
const MAX_PASSED: usize = 16_384;
/// Positions a rotated file is compared with.
const MAX_CANDIDATES: usize = 64;

/// An older part of a log.
struct Sibling {
    path: PathBuf,
    log: String,
    compression: Compression,
    id: FileId,
    size: u64,
    modified_ms: i64,
}

/// What a rotated file nobody knows turns out to be.
enum Kind {
    /// What was read of another file and goes on, or a new one.
    From(FilePosition),
    /// Nothing that has to be read.
    Pass,
    /// That cannot be told yet.
    Wait,
}

impl Files {
    pub(super) fn discover_if_due(&mut self) -> io::Result<()> {
        let now = self.clock.monotonic();
        let is_due = self.discovered_at.is_none_or(|at| now.saturating_sub(at) >= DISCOVER_EVERY);
        if !is_due {
            return Ok(());
        }
        self.discovered_at = Some(now);
        let mut found = BTreeSet::new();
        self.options.include.iter().for_each(|pattern| pattern.find(&mut found));
        found.retain(|path| !self.options.exclude.iter().any(|pattern| pattern.matches(path)));
        // What is compressed is not a text that grows.
        found.retain(|path| Compression::of(&path.to_string_lossy()).1 == Compression::None);
        for path in &found {
            let path = path.to_string_lossy();
            if !self.live.contains_key(&*path) {
                self.follow(&path)?;
            }
        }
        self.siblings()
    }

    /// Follows the file a path is about now, if there is one.
    pub(super) fn follow(&mut self, path: &str) -> io::Result<()> {
        let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
        let id = FileId::of(&metadata);
        if !metadata.is_file() {
            return Ok(());
        }
        if let Some(tail) = self.tails.get_mut(&id) {
            // The file has another name as well; one of them is enough. If it has lost its old one, it was renamed.
            tail.path = if tail.is_live { tail.path.clone() } else { path.into() };
            return Ok(());
        }
        let known = self.known(id);
        let is_elsewhere =
            |position: &FilePosition| position.log != path && Path::new(&position.log).exists();
        let is_renamed = known.as_ref().is_some_and(is_elsewhere);
        if is_renamed && self.passed.get(&id) == Some(&metadata.len()) {
            return Ok(());
        }
        if self.tails.len() >= self.options.max_files {
            if self.told.insert(PathBuf::new()) {
                let limit = self.options.max_files;
                tracing::warn!(limit, path, "more log files than may be followed at a time");
            }
            return Ok(());
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                if self.told.insert(path.into()) {
                    tracing::warn!(path, %error, "a log file cannot be read");
                }
                return Ok(());
            }
        };
        let is_first = !self.logs.contains_key(path);
        let now_ms = self.clock.now_ms();
        let position = match known {
            Some(position) => {
                let position = self.resume(id, &file, position)?;
                if is_renamed && position.offset >= metadata.len() {
                    // An older part of another log that is read to its end.
                    self.passed.insert(id, metadata.len());
                    return Ok(());
                }
                position
            }
            None => {
                let offset = if is_first && self.options.from_end { metadata.len() } else { 0 };
                FilePosition {
                    log: path.to_owned(),
                    offset,
                    mark: Mark::of(&file, offset)?,
                    pending: None,
                    is_done: false,
                    seen_ms: now_ms,
                }
            }
        };
        let mut change = Change::default();
        if is_first {
            let log = LogPosition { since_ms: now_ms, last_ns: 0 };
            self.logs.insert(path.to_owned(), log);
            change.log(path, log);
        }
        let position = FilePosition { seen_ms: now_ms, ..position };
        change.file(id, position.clone());
        self.positions.lock().write(change)?;
        let tail =
            Tail::new(id, path.into(), position, Compression::None, !is_renamed, self.clock.monotonic());
        self.tails.insert(id, tail.with_file(file));
        if !is_renamed {
            self.live.insert(path.to_owned(), id);
        }
        Ok(())
    }

    /// Where a known file goes on: at its beginning, if it does not hold any more what was read.
    fn resume(&mut self, id: FileId, file: &File, position: FilePosition) -> io::Result<FilePosition> {
        if position.mark.compare(file, position.offset)? == Likeness::Same {
            let size = file.metadata()?.len();
            if position.pending.is_none_or(|pending| pending.to <= size) {
                return Ok(position);
            }
        }
        self.follow_copy(id, &position)?;
        Ok(FilePosition { offset: 0, mark: Mark::nothing(), pending: None, ..position })
    }

    /// A file that is read has lost what was read of it: what was not read yet may be in a copy.
    pub(super) fn truncated(&mut self, id: FileId) -> io::Result<()> {
        let now_ms = self.clock.now_ms();
        let Some(tail) = self.tails.get(&id) else { return Ok(()) };
        let position = tail.position(now_ms, None);
        tracing::debug!(path = %tail.path.display(), offset = tail.offset, size = tail.size, "a log file was truncated");
        self.metrics.truncated.inc();
        self.follow_copy(id, &position)?;
        let Some(tail) = self.tails.get_mut(&id) else { return Ok(()) };
        tail.restart();
        let mut change = Change::default();
        change.file(id, tail.position(now_ms, None));
        self.positions.lock().write(change)
    }

    /// Goes on reading in a copy of a file that was emptied.
    fn follow_copy(&mut self, id: FileId, position: &FilePosition) -> io::Result<()> {
        let log = Path::new(&position.log);
        let Some(dir) = log.parent() else { return Ok(()) };
        let logs = BTreeSet::from([position.log.clone()]);
        for sibling in list(dir, &logs) {
            if sibling.id == id || self.tails.contains_key(&sibling.id) {
                continue;
            }
            let is_copy = matches!(compare(&sibling, position), Ok(Likeness::Same));
            if is_copy {
                return self.adopt(sibling, position.clone());
            }
        }
        Ok(())
    }

    /// Reads a rotated file from a position on.
    fn adopt(&mut self, sibling: Sibling, position: FilePosition) -> io::Result<()> {
        let rotated = self.tails.values().filter(|tail| !tail.is_live).count();
        if self.tails.len() >= self.options.max_files || rotated >= self.options.max_open {
            return Ok(());
        }
        let position = FilePosition { seen_ms: self.clock.now_ms(), ..position };
        let mut change = Change::default();
        change.file(sibling.id, position.clone());
        self.positions.lock().write(change)?;
        let Sibling { path, id, compression, .. } = sibling;
        let now = self.clock.monotonic();
        let mut tail = Tail::new(id, path.clone(), position, compression, false, now);
        if compression == Compression::None {
            match File::open(&path) {
                Ok(file) => tail = tail.with_file(file),
                Err(_) => return Ok(()),
            }
        }
        self.tails.insert(id, tail);
        Ok(())
    }

    /// Looks at older parts of all logs.
    fn siblings(&mut self) -> io::Result<()> {
        let mut by_dir: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for log in self.logs.keys() {
            let path = Path::new(log);
            let is_wanted = self.options.include.iter().any(|pattern| pattern.matches(path))
                && !self.options.exclude.iter().any(|pattern| pattern.matches(path));
            if let Some(dir) = path.parent().filter(|_| is_wanted) {
                by_dir.entry(dir.to_owned()).or_default().insert(log.clone());
            }
        }
        let mut seen = BTreeSet::new();
        for (dir, logs) in by_dir {
            for sibling in list(&dir, &logs) {
                seen.insert(sibling.id);
                self.sibling(sibling)?;
            }
        }
        if self.passed.len() > MAX_PASSED {
            // What is among it still is looked at again.
            self.passed.clear();
        }
        self.settling.retain(|id, _| seen.contains(id));
        Ok(())
    }

    fn sibling(&mut self, sibling: Sibling) -> io::Result<()> {
        if let Some(tail) = self.tails.get_mut(&sibling.id) {
            if !tail.is_live {
                tail.path = sibling.path;
            }
            return Ok(());
        }
        if let Some(position) = self.known(sibling.id).filter(|position| position.log == sibling.log) {
            return self.known_sibling(sibling, position);
        }
        if self.passed.get(&sibling.id) == Some(&sibling.size) || !self.is_settled(&sibling) {
            return Ok(());
        }
        match self.kind(&sibling) {
            Kind::From(position) => self.adopt(sibling, position),
            Kind::Pass => {
                self.passed.insert(sibling.id, sibling.size);
                Ok(())
            }
            Kind::Wait => Ok(()),
        }
    }

    fn known_sibling(&mut self, sibling: Sibling, position: FilePosition) -> io::Result<()> {
        let is_unread = match sibling.compression {
            Compression::None => sibling.size > position.offset,
            _ => !position.is_done,
        };
        if is_unread {
            // The inode of a file that is gone may be that of another one now.
            return match compare(&sibling, &position) {
                Ok(Likeness::Same) => self.adopt(sibling, position),
                Ok(_) => {
                    let mut change = Change::default();
                    change.forget(sibling.id);
                    self.positions.lock().write(change)
                }
                Err(_) => Ok(()),
            };
        }
        let now_ms = self.clock.now_ms();
        let mut change = Change::default();
        if now_ms - position.seen_ms >= super::REFRESH_MS {
            change.file(sibling.id, FilePosition { seen_ms: now_ms, ..position });
        }
        self.positions.lock().write(change)
    }

    fn is_settled(&mut self, sibling: &Sibling) -> bool {
        let now = self.clock.monotonic();
        let (size, since) = self.settling.entry(sibling.id).or_insert((sibling.size, now));
        if *size != sibling.size {
            (*size, *since) = (sibling.size, now);
        }
        now.saturating_sub(*since) >= SETTLED_AFTER
    }

    fn kind(&self, sibling: &Sibling) -> Kind {
        let state = self.positions.lock().state().files.clone();
        let mut candidates: Vec<(FileId, FilePosition)> = state
            .into_iter()
            .filter(|(_, position)| position.log == sibling.log && position.offset > 0)
            .collect();
        candidates.sort_by_key(|(_, position)| std::cmp::Reverse(position.offset));
        for (id, position) in candidates.into_iter().take(MAX_CANDIDATES) {
            match compare(sibling, &position) {
                Ok(Likeness::Same) => {
                    return match self.tails.get(&id) {
                        // A copy of what is read anyway.
                        Some(tail) if tail.is_live => Kind::Pass,
                        Some(_) => Kind::Wait,
                        None => Kind::From(FilePosition { is_done: false, ..position }),
                    };
                }
                Ok(Likeness::Shorter) => return Kind::Pass,
                Ok(Likeness::Other) => {}
                Err(error) => {
                    let path = sibling.path.display();
                    tracing::warn!(%path, %error, "a rotated log file cannot be read");
                    self.metrics.damaged.inc();
                    return Kind::Pass;
                }
            }
        }
        let since_ms = self.logs.get(&sibling.log).map_or(i64::MAX, |log| log.since_ms);
        if sibling.modified_ms < since_ms {
            return Kind::Pass;
        }
        Kind::From(FilePosition {
            log: sibling.log.clone(),
            offset: 0,
            mark: Mark::nothing(),
            pending: None,
            is_done: false,
            seen_ms: self.clock.now_ms(),
        })
    }
}

fn compare(sibling: &Sibling, position: &FilePosition) -> io::Result<Likeness> {
    let file = File::open(&sibling.path)?;
    match sibling.compression {
        Compression::None => position.mark.compare(&file, position.offset),
        compression => position.mark.compare_stream(&mut Stream::open(file, compression)?, position.offset),
    }
}

/// The older parts of these logs in a directory, the oldest first.
fn list(dir: &Path, logs: &BTreeSet<String>) -> Vec<Sibling> {
    let sibling = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let (live, compression) = rotation::live_name(name.to_str()?)?;
        let log = dir.join(live).to_string_lossy().into_owned();
        let metadata: Metadata = logs.contains(&log).then(|| entry.path().metadata().ok())??;
        metadata.is_file().then(|| Sibling {
            path: entry.path(),
            log,
            compression,
            id: FileId::of(&metadata),
            size: metadata.len(),
            modified_ms: metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000,
        })
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<Sibling> = entries.filter_map(sibling).collect();
    found.sort_by_key(|sibling| sibling.modified_ms);
    found
}
