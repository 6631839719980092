//! Appending batches to the log.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::clock::SharedClock;
use base::metrics::{Counter, Family, Gauge, Kind, Registry, Summary};
use parking_lot::Mutex;

use super::WalError;
use super::batch::RecordBatch;
use super::compression::Compression;
use super::frame::{PAGE_BYTES, append_framed, framed_bound};
use super::segment::{
    SEGMENT_BYTES, directory_bytes, existing_segment_path, list_segments, segment_path, sync_dir,
};
use super::tail::{LogTail, Position};

/// How a log is written.
#[derive(Debug, Clone, Copy)]
pub struct WalOptions {
    /// Compression of records.
    pub compression: Compression,
    /// Bytes after which a new segment is started; a multiple of the page size.
    pub segment_bytes: u64,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self { compression: Compression::default(), segment_bytes: SEGMENT_BYTES }
    }
}

/// What a log publishes about itself.
#[derive(Debug, Clone)]
pub struct WalMetrics {
    fsync_seconds: Summary,
    page_flushes: Counter,
    pages_completed: Counter,
    truncations_failed: Counter,
    truncations: Counter,
    segment_current: Gauge,
    writes_failed: Counter,
    record_parts: Counter,
    record_parts_bytes: Counter,
    bytes_saved: Counter,
    size_bytes: Arc<AtomicU64>,
}

impl WalMetrics {
    /// Metrics under `prefix` (`prometheus_tsdb_wal_` or `prometheus_tsdb_out_of_order_wbl_`).
    pub fn new(registry: &Registry, prefix: &str, compression: Compression) -> Self {
        let name = |suffix: &str| format!("{prefix}{suffix}");
        let counter = |suffix: &str, help: &str| registry.counter(&name(suffix), help, &[]);
        let label = match compression {
            Compression::None => "none",
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
        };
        let size_bytes = Arc::new(AtomicU64::new(0));
        let shared = size_bytes.clone();
        let size_name = name("storage_size_bytes");
        registry.collect_with(move |families| {
            let size = shared.load(Ordering::Relaxed) as f64;
            let family = Family::new(size_name.clone(), "Size of the write log directory.", Kind::Gauge);
            families.push(family.with(&[], size));
        });
        Self {
            fsync_seconds: registry.summary(
                &name("fsync_duration_seconds"),
                "Duration of write log fsync.",
                &[],
                &[0.5, 0.9, 0.99],
            ),
            page_flushes: counter("page_flushes_total", "Total number of page flushes."),
            pages_completed: counter("completed_pages_total", "Total number of completed pages."),
            truncations_failed: counter(
                "truncations_failed_total",
                "Total number of write log truncations that failed.",
            ),
            truncations: counter("truncations_total", "Total number of write log truncations attempted."),
            segment_current: registry.gauge(
                &name("segment_current"),
                "Write log segment index that TSDB is currently writing to.",
                &[],
            ),
            writes_failed: counter("writes_failed_total", "Total number of write log writes that failed."),
            record_parts: counter(
                "record_part_writes_total",
                "Total number of record parts written before flushing.",
            ),
            record_parts_bytes: counter(
                "record_parts_bytes_written_total",
                "Total number of record part bytes written before flushing, including CRC and compression headers.",
            ),
            bytes_saved: registry.counter(
                &name("record_bytes_saved_total"),
                "Total number of bytes saved by the optional record compression.",
                &[("compression", label)],
            ),
            size_bytes,
        }
    }
}

/// A log that is appended to. Every process run starts a segment of its own, so that a torn end is never
/// written over.
pub struct Wal {
    dir: PathBuf,
    options: WalOptions,
    clock: SharedClock,
    metrics: WalMetrics,
    tail: LogTail,
    state: Mutex<State>,
}

struct State {
    file: Option<Arc<File>>,
    segment: u32,
    offset: u64,
    framed: Vec<u8>,
    /// Bytes after `offset` could not be removed when a write failed: the segment must not be added to.
    tail_is_dirty: bool,
    closed: bool,
}

impl State {
    /// The file of the current segment, made if that failed before.
    fn file(&mut self, dir: &Path) -> Result<Arc<File>, WalError> {
        if self.closed {
            return Err(WalError::Closed);
        }
        if self.file.is_none() {
            self.file = Some(Arc::new(create_segment(dir, self.segment)?));
        }
        self.file.clone().ok_or(WalError::Closed)
    }
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal").field("dir", &self.dir).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Wal {
    /// Opens the log in `dir`, which is created if missing, with a new segment after those that exist.
    pub fn open(
        dir: impl Into<PathBuf>,
        options: WalOptions,
        clock: SharedClock,
        metrics: WalMetrics,
    ) -> Result<Self, WalError> {
        let dir = dir.into();
        let segment = match list_segments(&dir)?.last() {
            Some(last) => last + 1,
            None => 0,
        };
        // A disk that is full or read-only must not keep what there is from being served: the segment is
        // made when the first batch comes.
        let file = create_segment(&dir, segment)
            .inspect_err(|error| tracing::warn!(%error, "log segment cannot be made for now"))
            .ok();
        metrics.segment_current.set(f64::from(segment));
        metrics.size_bytes.store(directory_bytes(&dir), Ordering::Relaxed);
        let state = State {
            file: file.map(Arc::new),
            segment,
            offset: 0,
            framed: Vec::new(),
            tail_is_dirty: false,
            closed: false,
        };
        let tail = LogTail::new(&dir, Position::new(segment, 0));
        Ok(Self { dir, options, clock, metrics, tail, state: Mutex::new(state) })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The log as its readers see it.
    pub fn tail(&self) -> &LogTail {
        &self.tail
    }

    /// How records are compressed.
    pub fn compression(&self) -> Compression {
        self.options.compression
    }

    /// Appends the batches with one write. On failure nothing of them stays in the log.
    pub fn append(&self, batches: &[&RecordBatch]) -> Result<(), WalError> {
        if batches.iter().all(|batch| batch.is_empty()) {
            return Ok(());
        }
        let mut state = self.state.lock();
        let written = self.append_locked(&mut state, batches);
        if written.is_err() {
            self.metrics.writes_failed.inc();
        }
        written
    }

    fn append_locked(&self, state: &mut State, batches: &[&RecordBatch]) -> Result<(), WalError> {
        let records = || batches.iter().flat_map(|batch| batch.records());
        let bound: u64 = records().map(|(_, record)| framed_bound(record.len())).sum();
        if state.tail_is_dirty || (state.offset > 0 && state.offset + bound > self.options.segment_bytes) {
            self.next_segment_locked(state)?;
        }
        let file = state.file(&self.dir)?;
        let mut framed = std::mem::take(&mut state.framed);
        framed.clear();
        let (mut end, mut parts) = (state.offset, 0);
        for (how, record) in records() {
            let (after, fragments) = append_framed(&mut framed, end, how, record);
            (end, parts) = (after, parts + fragments);
        }
        let result = file.write_all_at(&framed, state.offset);
        let written = framed.len() as u64;
        framed.shrink_to(1 << 20);
        state.framed = framed;
        if let Err(error) = result {
            // What part of it reached the file must not be read as a record after the next start.
            state.tail_is_dirty = file.set_len(state.offset).is_err();
            return Err(WalError::io("write", segment_path(&self.dir, state.segment))(error));
        }
        let page = PAGE_BYTES as u64;
        self.metrics.pages_completed.add(end / page - state.offset / page);
        self.metrics.page_flushes.inc();
        self.metrics.record_parts.add(parts);
        self.metrics.record_parts_bytes.add(written);
        self.metrics.bytes_saved.add(batches.iter().map(|batch| batch.saved_bytes()).sum());
        self.metrics.size_bytes.fetch_add(written, Ordering::Relaxed);
        state.offset = end;
        self.tail.advance(Position::new(state.segment, end), written);
        Ok(())
    }

    /// Starts a new segment and returns its number. Segments before it are complete.
    pub fn next_segment(&self) -> Result<u32, WalError> {
        let mut state = self.state.lock();
        self.next_segment_locked(&mut state)?;
        Ok(state.segment)
    }

    fn next_segment_locked(&self, state: &mut State) -> Result<(), WalError> {
        let previous = state.file(&self.dir)?;
        let next = create_segment(&self.dir, state.segment + 1)?;
        let page = PAGE_BYTES as u64;
        if !state.tail_is_dirty && !state.offset.is_multiple_of(page) {
            // Readers of other programs expect whole pages; the file's end reads as zeros. It is no loss
            // when this fails: a partial last page is valid too.
            let _ = previous.set_len(state.offset.next_multiple_of(page));
        }
        state.file = Some(Arc::new(next));
        state.segment += 1;
        state.offset = 0;
        state.tail_is_dirty = false;
        self.metrics.segment_current.set(f64::from(state.segment));
        self.tail.advance(Position::new(state.segment, 0), 0);
        self.sync_in_background(previous);
        Ok(())
    }

    /// Commits must not wait for the disk when a segment is complete.
    fn sync_in_background(&self, file: Arc<File>) {
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        let sync = move || {
            let start = clock.monotonic();
            if let Err(error) = file.sync_data() {
                tracing::error!(%error, "sync of a completed write-ahead log segment failed");
            }
            metrics.fsync_seconds.observe((clock.monotonic() - start).as_secs_f64());
        };
        // A segment that could not be synced now is synced by the system in its own time.
        let _ = std::thread::Builder::new().name("wal-sync".to_owned()).spawn(sync);
    }

    /// The current segment and the bytes in it.
    pub fn position(&self) -> (u32, u64) {
        let state = self.state.lock();
        (state.segment, state.offset)
    }

    /// Makes everything appended durable against power loss.
    pub fn sync(&self) -> Result<(), WalError> {
        let (file, segment) = {
            let mut state = self.state.lock();
            (state.file(&self.dir)?, state.segment)
        };
        let start = self.clock.monotonic();
        file.sync_data().map_err(WalError::io("sync", segment_path(&self.dir, segment)))?;
        self.metrics.fsync_seconds.observe((self.clock.monotonic() - start).as_secs_f64());
        Ok(())
    }

    /// Deletes the segments before `index`.
    pub fn truncate_before(&self, index: u32) -> Result<(), WalError> {
        self.metrics.truncations.inc();
        let truncated = list_segments(&self.dir).and_then(|segments| {
            for old in segments.into_iter().filter(|&old| old < index) {
                let path = existing_segment_path(&self.dir, old);
                std::fs::remove_file(&path).map_err(WalError::io("delete", &path))?;
            }
            sync_dir(&self.dir)
        });
        if truncated.is_err() {
            self.metrics.truncations_failed.inc();
        }
        self.metrics.size_bytes.store(directory_bytes(&self.dir), Ordering::Relaxed);
        truncated
    }

    /// Makes everything durable and refuses further appends. Closing twice does nothing.
    pub fn close(&self) -> Result<(), WalError> {
        let mut state = self.state.lock();
        state.closed = true;
        let Some(file) = state.file.take() else { return Ok(()) };
        let page = PAGE_BYTES as u64;
        if !state.tail_is_dirty && !state.offset.is_multiple_of(page) {
            let _ = file.set_len(state.offset.next_multiple_of(page));
        }
        file.sync_all().map_err(WalError::io("sync", segment_path(&self.dir, state.segment)))
    }
}

fn create_segment(dir: &Path, index: u32) -> Result<File, WalError> {
    std::fs::create_dir_all(dir).map_err(WalError::io("create", dir))?;
    let path = segment_path(dir, index);
    let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    match created {
        // A segment left behind by a failed start of a new one holds nothing we wrote.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).write(true).truncate(true).open(&path)
        }
        other => other,
    }
    .map_err(WalError::io("create", path))
}
