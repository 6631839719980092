//! A log as those see it who read it while it is written: how far it goes, and which segments they still
//! need.
//!
//! Whoever reads along never reads beyond [`LogTail::end`]: everything before it is whole records, so a live log
//! has no torn end. Readers that must not miss anything [`LogTail::hold`] the segments they have not finished;
//! truncation asks [`LogTail::release`] before it deletes any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::segment::directory_bytes;

/// A place in a log: the start of a record, or the end of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The segment.
    pub segment: u32,
    /// Bytes from the start of the segment.
    pub offset: u64,
}

impl Position {
    /// The place `offset` bytes into `segment`.
    pub const fn new(segment: u32, offset: u64) -> Self {
        Self { segment, offset }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08}:{}", self.segment, self.offset)
    }
}

/// Who wants to know when the log grows.
pub trait Wake: Send + Sync {
    /// The log grew. Called by the thread that wrote, under its lock: it must return at once.
    fn wake(&self);
}

/// The shared view of a running log. Clones share it.
#[derive(Clone)]
pub struct LogTail(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    end: Mutex<Position>,
    written_bytes: AtomicU64,
    readers: Mutex<Vec<Weak<dyn Wake>>>,
    holds: Mutex<Holds>,
    hold_bytes: AtomicU64,
    floats: AtomicU64,
    histograms: AtomicU64,
    exemplars: AtomicU64,
    highest_ms: AtomicI64,
}

/// What was committed since the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Float samples.
    pub floats: u64,
    /// Histogram samples.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// The latest timestamp of a sample; `i64::MIN` before the first.
    pub highest_ms: i64,
}

#[derive(Default)]
struct Holds {
    next_id: u64,
    held: BTreeMap<u64, Arc<Held>>,
}

struct Held {
    name: String,
    segment: AtomicU32,
    /// Segments before this were deleted although they were held.
    lost_before: AtomicU32,
}

/// Bytes of log that holds may keep unless told otherwise.
pub const DEFAULT_HOLD_BYTES: u64 = 16 << 30;

impl std::fmt::Debug for LogTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogTail").field("dir", &self.0.dir).field("end", &self.end()).finish_non_exhaustive()
    }
}

impl LogTail {
    /// The view of a log in `dir` that ends at `end`.
    pub fn new(dir: impl Into<PathBuf>, end: Position) -> Self {
        Self(Arc::new(Inner {
            dir: dir.into(),
            end: Mutex::new(end),
            written_bytes: AtomicU64::new(0),
            readers: Mutex::default(),
            holds: Mutex::default(),
            hold_bytes: AtomicU64::new(DEFAULT_HOLD_BYTES),
            floats: AtomicU64::new(0),
            histograms: AtomicU64::new(0),
            exemplars: AtomicU64::new(0),
            highest_ms: AtomicI64::new(i64::MIN),
        }))
    }

    /// The directory of the log.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The end of what is written. Every segment before that of the end is complete.
    pub fn end(&self) -> Position {
        *self.0.end.lock()
    }

    /// Bytes written since the log was opened.
    pub fn written_bytes(&self) -> u64 {
        self.0.written_bytes.load(Ordering::Relaxed)
    }

    /// Tells what a commit added.
    pub fn note_appended(&self, more: Appended) {
        let inner = &self.0;
        inner.floats.fetch_add(more.floats, Ordering::Relaxed);
        inner.histograms.fetch_add(more.histograms, Ordering::Relaxed);
        inner.exemplars.fetch_add(more.exemplars, Ordering::Relaxed);
        inner.highest_ms.fetch_max(more.highest_ms, Ordering::Relaxed);
    }

    /// What was committed since the log was opened.
    pub fn appended(&self) -> Appended {
        let inner = &self.0;
        Appended {
            floats: inner.floats.load(Ordering::Relaxed),
            histograms: inner.histograms.load(Ordering::Relaxed),
            exemplars: inner.exemplars.load(Ordering::Relaxed),
            highest_ms: inner.highest_ms.load(Ordering::Relaxed),
        }
    }

    /// Tells that the log now ends at `end`, `bytes` later.
    pub fn advance(&self, end: Position, bytes: u64) {
        *self.0.end.lock() = end;
        self.0.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        for reader in self.0.readers.lock().iter().filter_map(Weak::upgrade) {
            reader.wake();
        }
    }

    /// From now on `reader` is woken when the log grows, as long as it lives.
    pub fn subscribe(&self, reader: Weak<dyn Wake>) {
        let mut readers = self.0.readers.lock();
        readers.retain(|known| known.strong_count() > 0);
        readers.push(reader);
    }

    /// Keeps `segment` and all later ones, and the checkpoint before them, from being deleted. `name` is who
    /// needs them, for the log.
    pub fn hold(&self, name: impl Into<String>, segment: u32) -> Hold {
        let mut holds = self.0.holds.lock();
        let held = Arc::new(Held {
            name: name.into(),
            segment: AtomicU32::new(segment),
            lost_before: AtomicU32::new(0),
        });
        let id = holds.next_id;
        holds.next_id += 1;
        holds.held.insert(id, held.clone());
        Hold { log: self.clone(), id, held }
    }

    /// The first segment somebody holds, if anybody holds any.
    pub fn oldest_hold(&self) -> Option<u32> {
        self.0.holds.lock().held.values().map(|held| held.segment.load(Ordering::Acquire)).min()
    }

    /// Limits the bytes of log that holds may keep; beyond that the oldest segments go all the same.
    pub fn set_hold_bytes(&self, bytes: u64) {
        self.0.hold_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The bytes of log that holds may keep.
    pub fn hold_bytes(&self) -> u64 {
        self.0.hold_bytes.load(Ordering::Relaxed)
    }

    /// Whether the segments up to `to` may be deleted. They may when nobody holds them, or when the log is larger
    /// than holds may keep it: then those that do lose them, which is logged by name.
    pub fn release(&self, to: u32) -> bool {
        let holds = self.0.holds.lock();
        let mut needed =
            holds.held.values().filter(|held| held.segment.load(Ordering::Acquire) <= to).peekable();
        if needed.peek().is_none() {
            return true;
        }
        let (bytes, limit_bytes) = (directory_bytes(&self.0.dir), self.hold_bytes());
        if bytes <= limit_bytes {
            return false;
        }
        for held in needed {
            let from = held.segment.load(Ordering::Acquire);
            tracing::error!(
                destination = held.name,
                from_segment = from,
                to_segment = to,
                log_bytes = bytes,
                limit_bytes,
                "the log is larger than it may be kept for this destination: its unsent samples in these \
                 segments are lost"
            );
            held.lost_before.fetch_max(to + 1, Ordering::AcqRel);
            held.segment.fetch_max(to + 1, Ordering::AcqRel);
        }
        true
    }
}

/// Segments kept for one reader, until it is dropped.
pub struct Hold {
    log: LogTail,
    id: u64,
    held: Arc<Held>,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("name", &self.held.name).field("segment", &self.held.segment).finish()
    }
}

impl Hold {
    /// The segments before `segment` are not needed any more.
    pub fn advance(&self, segment: u32) {
        self.held.segment.fetch_max(segment, Ordering::AcqRel);
    }

    /// Segments before this one were deleted although they were held; 0 if none was.
    pub fn lost_before(&self) -> u32 {
        self.held.lost_before.load(Ordering::Acquire)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.log.0.holds.lock().held.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_released_when_nobody_needs_them() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogTail::new(dir.path(), Position::new(9, 0));
        assert!(log.release(5));
        let (slow, fast) = (log.hold("slow", 3), log.hold("fast", 8));
        assert!(log.release(2));
        assert!(!log.release(3));
        slow.advance(6);
        assert!(log.release(5) && !log.release(6));
        drop(slow);
        assert!(log.release(7) && !log.release(8));
        assert_eq!(fast.lost_before(), 0);
    }

    #[test]
    fn beyond_the_limit_holds_lose_what_they_need() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("00000000"), [0; 100]).unwrap();
        let log = LogTail::new(dir.path(), Position::new(9, 0));
        log.set_hold_bytes(100);
        let (slow, fast) = (log.hold("slow", 3), log.hold("fast", 8));
        assert!(!log.release(5));
        log.set_hold_bytes(99);
        assert!(log.release(5));
        assert_eq!((slow.lost_before(), fast.lost_before()), (6, 0));
    }

    #[test]
    fn readers_are_woken_and_see_the_end() {
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let log = LogTail::new("nowhere", Position::default());
        let reader = Arc::new(Count(AtomicU32::new(0)));
        let weak = Arc::downgrade(&reader);
        log.subscribe(weak);
        log.advance(Position::new(0, 10), 10);
        log.advance(Position::new(1, 0), 0);
        assert_eq!((reader.0.load(Ordering::Relaxed), log.written_bytes()), (2, 10));
        assert_eq!(log.end(), Position::new(1, 0));
        drop(reader);
        log.advance(Position::new(1, 5), 5);
    }
}
