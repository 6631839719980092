//! Starting: chunks, snapshot and logs back into memory.
//!
//! One thread reads and decompresses the log, one decodes it and creates series, the others append
//! samples, each to pages of its own. What lies between them is bounded, so that starting takes little
//! more memory than running.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use base::clock::SharedClock;
use hashbrown::HashMap;
use model::{Exemplar, Labels, TimeRange};
use parking_lot::{Mutex, RwLock};

use super::apply::{Applier, ChunkOptions, Place};
use super::chunk_store::{ChunkRecord, ChunkRef, ChunkStore};
use super::commit::{PREFETCH_AHEAD, replay_float};
use super::exemplars::Exemplars;
use super::index::Index;
use super::isolation::Activity;
use super::metrics::HeadMetrics;
use super::ooo::{OutOfOrderChunk, OutOfOrderSample, Value};
use super::read::kind_of;
use super::table::{Cold, NO_SAMPLE, NO_SERIES, Page, Series, SeriesTable, Slot, StoredChunk, locate};
use super::{CommitState, Head, HeadOptions, IndexState, Inner, snapshot};
use crate::block::tombstones::Tombstones;
use crate::wal::histogram::{HistogramSample, for_each_histogram};
use crate::wal::reader::{Damage, ReadEvent, SegmentReader};
use crate::wal::record::{self, FloatSample, Kind, RecordError};
use crate::wal::segment::{
    delete_unfinished_checkpoints, existing_segment_path, last_checkpoint, list_segments,
};
use crate::wal::{RecordBatch, Wal, WalError, WalOptions, repair};

/// Slots from here on are for series whose references do not fit the head's numbering.
pub const FOREIGN_SLOTS: Slot = 0xf000_0000;

/// What was found at start.
#[derive(Debug, Clone, Default)]
pub struct ReplayReport {
    /// Time it took.
    pub duration: Duration,
    /// Whether a snapshot was used.
    pub from_snapshot: bool,
    /// Float and histogram samples put into open chunks.
    pub samples: u64,
    /// Complete chunks found.
    pub chunks: u64,
    /// Entries that name a series the log does not.
    pub unknown_refs: u64,
    /// Damaged places, each named with its file.
    pub damages: Vec<String>,
}

/// From references in the log to slots.
#[derive(Debug, Default)]
pub(super) struct SlotMap {
    base: Option<u64>,
    foreign: HashMap<u64, Slot>,
    /// References of series that were created again, under another reference.
    aliases: HashMap<u64, Slot>,
    next: Slot,
    next_foreign: Slot,
}

impl SlotMap {
    /// The slot of a reference.
    #[inline]
    pub(super) fn slot(&mut self, series: u64) -> Slot {
        if !self.aliases.is_empty()
            && let Some(&slot) = self.aliases.get(&series)
        {
            return slot;
        }
        let base = *self.base.get_or_insert_with(|| series.saturating_sub(1 << 30) & !((1 << 30) - 1));
        match series.checked_sub(base) {
            Some(slot) if slot < u64::from(FOREIGN_SLOTS) => {
                self.next = self.next.max(slot as Slot + 1);
                slot as Slot
            }
            _ => {
                let next = &mut self.next_foreign;
                *self.foreign.entry(series).or_insert_with(|| {
                    *next += 1;
                    FOREIGN_SLOTS + *next - 1
                })
            }
        }
    }

    fn base(&self) -> u64 {
        self.base.unwrap_or(0)
    }
}

/// Opens a head; see [`Head::open`].
pub(super) fn open(
    dir: &Path,
    options: HeadOptions,
    min_valid_ms: i64,
    clock: SharedClock,
    metrics: HeadMetrics,
) -> Result<Head, WalError> {
    let start = clock.monotonic();
    let quarantine = dir.join("quarantine");
    let mut report = ReplayReport::default();
    let mut loader = Loader::new(min_valid_ms, options.chunk_range_ms);
    let restored = match options.snapshot_on_shutdown && options.wal {
        true => snapshot::load(dir, &mut loader, &metrics, &mut report),
        false => None,
    };
    let (store, damages) =
        ChunkStore::open(&dir.join("chunks_head"), &quarantine, |at, chunk| loader.chunk(at, chunk))?;
    for damage in &damages {
        tracing::warn!(%damage, "damaged head chunks are set aside; the log has their samples");
        metrics.chunk_corruptions.inc();
        report.damages.push(damage.to_string());
    }
    report.chunks = loader.chunks;
    let inner = loader.into_inner(dir, options, clock, metrics, store);
    // Damaged chunks may be newer than what a snapshot leaves to the log.
    let restored = restored.filter(|_| damages.is_empty());
    report.from_snapshot = restored.is_some();
    if inner.inner.options.wal {
        replay_logs(inner, restored, &quarantine, &mut report, start)
    } else {
        finish(inner, report, start)
    }
}

/// What is known before the logs are read.
pub(super) struct Loader {
    pub(super) table: SeriesTable,
    pub(super) index: Index,
    pub(super) slots: SlotMap,
    pub(super) tombstones: Tombstones,
    pub(super) exemplars: Vec<(Slot, Exemplar)>,
    min_valid_ms: i64,
    pub(super) chunk_range_ms: i64,
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    late: (i64, i64),
    chunks: u64,
}

/// A head whose logs are still to be read.
struct Opening {
    inner: Arc<Inner>,
    slots: SlotMap,
}

impl Loader {
    fn new(min_valid_ms: i64, chunk_range_ms: i64) -> Self {
        Self {
            table: SeriesTable::default(),
            index: Index::default(),
            slots: SlotMap::default(),
            tombstones: Tombstones::default(),
            exemplars: Vec::new(),
            min_valid_ms,
            chunk_range_ms,
            min_ms: i64::MAX,
            max_ms: i64::MIN,
            late: (i64::MAX, i64::MIN),
            chunks: 0,
        }
    }

    /// Forgets everything, to start again without a snapshot.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.min_valid_ms, self.chunk_range_ms);
    }

    /// Attaches a complete chunk to its series, whose labels may not be known yet.
    fn chunk(&mut self, at: ChunkRef, chunk: &ChunkRecord<'_>) {
        if !chunk.out_of_order && chunk.max_ms < self.min_valid_ms {
            return;
        }
        let slot = self.slots.slot(chunk.series);
        let (number, place) = locate(slot);
        let page = self.table.page_or_new(number);
        let mut all = page.series.write();
        let series = &mut all[place];
        self.chunks += 1;
        if chunk.out_of_order {
            if page.last_t_ms(place) == NO_SERIES {
                page.set_last_t_ms(place, NO_SAMPLE);
            }
            let late = series.extra_mut().out_of_order.get_or_insert_default();
            let (min_ms, max_ms) = (chunk.min_ms, chunk.max_ms);
            late.chunks.push(OutOfOrderChunk { min_ms, max_ms, chunk: at, commit: 0 });
            self.late = (self.late.0.min(min_ms), self.late.1.max(max_ms));
            return;
        }
        let last_t_ms = match page.last_t_ms(place) {
            NO_SERIES => NO_SAMPLE,
            last_t_ms => last_t_ms,
        };
        if let Some((_, _, open_min_ms)) = series.open_chunk() {
            // The chunk a snapshot has open was completed after all.
            if chunk.max_ms < open_min_ms {
                push_chunk(series.cold.get_or_insert_default(), at, chunk);
                self.widen(chunk.min_ms, chunk.max_ms);
                return;
            }
            series.xor = None;
            series.extra_mut().open = None;
        } else if chunk.min_ms <= last_t_ms {
            self.chunks -= 1;
            return;
        }
        push_chunk(series.cold.get_or_insert_default(), at, chunk);
        series.last_kind = kind_of(chunk.encoding);
        page.set_last_t_ms(place, chunk.max_ms);
        self.widen(chunk.min_ms, chunk.max_ms);
    }

    pub(super) fn widen(&mut self, min_ms: i64, max_ms: i64) {
        self.min_ms = self.min_ms.min(min_ms);
        self.max_ms = self.max_ms.max(max_ms);
    }

    fn into_inner(
        self,
        dir: &Path,
        options: HeadOptions,
        clock: SharedClock,
        metrics: HeadMetrics,
        store: ChunkStore,
    ) -> Opening {
        let commit = CommitState {
            series_batch: RecordBatch::new(options.wal_compression),
            out_of_order: Default::default(),
        };
        metrics.levels.chunks.store(self.chunks as i64, Ordering::Relaxed);
        let exemplars = Exemplars::new(options.max_exemplars, options.out_of_order_window_ms);
        let inner = Inner {
            dir: dir.to_owned(),
            clock,
            table: self.table,
            index: RwLock::new(IndexState { index: self.index, next_slot: 0 }),
            store,
            wal: std::sync::OnceLock::new(),
            wbl: RwLock::new(None),
            commit: Mutex::new(commit),
            visible: AtomicU64::new(0),
            activity: Arc::new(Activity::default()),
            ref_base: AtomicU64::new(0),
            min_valid_ms: AtomicI64::new(self.min_valid_ms),
            min_out_of_order_ms: AtomicI64::new(self.late.0),
            max_out_of_order_ms: AtomicI64::new(self.late.1),
            out_of_order_window_ms: AtomicI64::new(options.out_of_order_window_ms),
            series_limit: AtomicUsize::new(options.series_limit),
            truncated_ms: AtomicI64::new(i64::MIN),
            last_wal_truncation_ms: AtomicI64::new(i64::MIN),
            maintenance: Mutex::new(()),
            pinned: Mutex::default(),
            unlogged: Mutex::default(),
            exemplars: RwLock::new(exemplars),
            tombstones: RwLock::new(Arc::new(self.tombstones)),
            metadata: RwLock::default(),
            expiries: Mutex::default(),
            refused: Mutex::default(),
            buffers: Mutex::default(),
            report: Mutex::default(),
            options,
            metrics,
        };
        inner.widen_bounds(self.min_ms, self.max_ms);
        for (slot, exemplar) in self.exemplars {
            if let Some(labels) = inner.labels_of(slot) {
                let _ = inner.exemplars.write().add(&labels, exemplar);
            }
        }
        Opening { inner: Arc::new(inner), slots: self.slots }
    }
}

fn push_chunk(cold: &mut Cold, at: ChunkRef, chunk: &ChunkRecord<'_>) {
    if cold.chunks.len() == cold.chunks.capacity() {
        cold.chunks.reserve_exact((cold.chunks.len() / 2).max(2));
    }
    cold.chunks.push(StoredChunk { min_ms: chunk.min_ms, chunk: at });
}

fn replay_logs(
    mut opening: Opening,
    restored: Option<(u32, u64)>,
    quarantine: &Path,
    report: &mut ReplayReport,
    start: Duration,
) -> Result<Head, WalError> {
    let wal_dir = opening.inner.dir.join("wal");
    delete_unfinished_checkpoints(&wal_dir)?;
    let mut sources = Vec::new();
    let mut from = 0;
    if let Some((covered, path)) = last_checkpoint(&wal_dir)? {
        from = covered + 1;
        // A snapshot taken later has everything a checkpoint says.
        if restored.is_none_or(|(segment, _)| covered >= segment) {
            sources.extend(list_segments(&path)?.into_iter().map(|i| (existing_segment_path(&path, i), 0)));
        }
    }
    let (from, offset) = match restored {
        Some((segment, offset)) if segment >= from => (segment, offset),
        _ => (from, 0),
    };
    for segment in list_segments(&wal_dir)?.into_iter().filter(|&segment| segment >= from) {
        let path = existing_segment_path(&wal_dir, segment);
        sources.push((path, if segment == from { offset } else { 0 }));
    }
    let mut replay = Replay::new(&mut opening);
    replay.run(&sources)?;
    let mut totals = replay.finish();
    let late_sources: Vec<_> = list_segments(&opening.inner.dir.join("wbl"))?
        .into_iter()
        .map(|segment| (existing_segment_path(&opening.inner.dir.join("wbl"), segment), 0))
        .collect();
    replay_out_of_order(&mut opening, &late_sources, &mut totals)?;
    opening.inner.metrics.unknown_refs.add(totals.unknown_refs);
    report.samples = totals.samples;
    report.unknown_refs = totals.unknown_refs;
    report.damages.append(&mut totals.undecodable);
    if totals.unknown_refs > 0 {
        tracing::warn!(entries = totals.unknown_refs, "log entries name series the log does not");
    }
    set_damage_aside(&opening.inner, &totals.damages, quarantine, report);
    start_logs(&opening, totals.doomed)?;
    finish(opening, std::mem::take(report), start)
}

/// Opens new log segments, and logs the series that got new references.
fn start_logs(opening: &Opening, doomed: Vec<Slot>) -> Result<(), WalError> {
    let inner = &opening.inner;
    let options = WalOptions {
        compression: inner.options.wal_compression,
        segment_bytes: inner.options.wal_segment_bytes,
    };
    let wal = Wal::open(inner.dir.join("wal"), options, inner.clock.clone(), inner.metrics.wal.clone())?;
    // Nothing else could have set it: the head is not shared yet.
    let _ = inner.wal.set(wal);
    if inner.options.out_of_order_window_ms > 0 || inner.dir.join("wbl").exists() {
        *inner.wbl.write() = Some(Arc::new(inner.open_wbl()?));
    }
    inner.remove_series(&doomed);
    let foreign = opening.slots.foreign.values().copied();
    let renumbered = foreign.filter_map(|slot| Some((slot, inner.labels_of(slot)?)));
    inner.unlogged.lock().extend(renumbered);
    Ok(())
}

fn finish(opening: Opening, mut report: ReplayReport, start: Duration) -> Result<Head, WalError> {
    let Opening { inner, slots } = opening;
    {
        let mut state = inner.index.write();
        state.index.sort_postings();
        state.next_slot = slots.next.max(1);
        inner.ref_base.store(slots.base(), Ordering::Relaxed);
        inner.metrics.levels.series.store(state.index.len() as u64, Ordering::Relaxed);
    }
    drop_nameless(&inner);
    let min_valid_ms = inner.min_valid_ms.load(Ordering::Relaxed);
    inner.metrics.levels.min_ms.fetch_max(min_valid_ms, Ordering::Relaxed);
    inner.collect_garbage(min_valid_ms);
    inner.publish_exemplars();
    report.duration = inner.clock.monotonic() - start;
    inner.metrics.replay_seconds.set(report.duration.as_secs_f64());
    tracing::info!(
        duration_ms = report.duration.as_millis() as u64,
        series = inner.metrics.levels.series.load(Ordering::Relaxed),
        samples = report.samples,
        chunks = report.chunks,
        "head replayed"
    );
    *inner.report.lock() = report;
    Ok(Head { inner })
}

/// Drops slots whose chunks were found but whose labels the log does not have.
fn drop_nameless(inner: &Inner) {
    let mut dropped = 0;
    for (_, page) in inner.table.pages() {
        let mut all = page.series.write();
        for (at, series) in all.iter_mut().enumerate() {
            if page.last_t_ms(at) != NO_SERIES
                && series.cold.as_ref().is_none_or(|cold| cold.labels.is_empty())
            {
                *series = Series::default();
                page.set_last_t_ms(at, NO_SERIES);
                dropped += 1;
            }
        }
    }
    if dropped > 0 {
        tracing::warn!(series = dropped, "head chunks of series the log does not know are left out");
        inner.metrics.unknown_refs.add(dropped);
    }
}

fn set_damage_aside(inner: &Inner, damages: &[Damage], quarantine: &Path, report: &mut ReplayReport) {
    let mut rewritten: Vec<&PathBuf> = Vec::new();
    for damage in damages {
        tracing::warn!(%damage, "damaged place in the write-ahead log is skipped");
        inner.metrics.wal_corruptions.inc();
        report.damages.push(damage.to_string());
        let repaired = if damage.torn_end {
            repair::cut_end(&damage.path, damage.offset).map(|()| None)
        } else if rewritten.contains(&&damage.path) {
            continue;
        } else {
            rewritten.push(&damage.path);
            repair::rewrite_without_damage(&damage.path, quarantine).map(Some)
        };
        match repaired {
            Ok(Some(kept)) => tracing::warn!(kept = %kept.display(), "damaged log segment is set aside"),
            Ok(None) => {}
            // Reading works all the same, now and at the next start.
            Err(error) => tracing::error!(%error, "damaged log segment could not be repaired"),
        }
    }
}

/// Records of a log, in order, ready to be decoded.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    places: Vec<(u32, u64)>,
}

const RECORDS_BYTES: usize = 1 << 20;
const SAMPLES_PER_MESSAGE: usize = 4096;
const MESSAGES_QUEUED: usize = 8;

fn read_sources(
    sources: &[(PathBuf, u64)],
    out: &SyncSender<Records>,
    damages: &mut Vec<Damage>,
) -> Result<(), WalError> {
    let mut records = Records::default();
    for (i, (path, offset)) in sources.iter().enumerate() {
        let mut reader = SegmentReader::open_at(path, *offset)?;
        loop {
            match reader.next()? {
                ReadEvent::End => break,
                ReadEvent::Damage(damage) => damages.push(damage),
                ReadEvent::Record(record) => {
                    records.bytes.extend_from_slice(record);
                    records.ends.push(records.bytes.len());
                    records.places.push((i as u32, reader.record_start()));
                }
            }
            if records.bytes.len() >= RECORDS_BYTES && out.send(std::mem::take(&mut records)).is_err() {
                return Ok(());
            }
        }
    }
    // The receiver is only gone when it failed, which it reports itself.
    let _ = out.send(records);
    Ok(())
}

#[derive(Default)]
struct Totals {
    samples: u64,
    unknown_refs: u64,
    damages: Vec<Damage>,
    /// Records that are whole but make no sense.
    undecodable: Vec<String>,
    /// Series that a tombstone removed altogether.
    doomed: Vec<Slot>,
}

/// Work for the threads that append.
enum Work {
    Floats(Vec<(Slot, FloatSample)>),
    Histograms(Vec<(Slot, HistogramSample)>),
    /// A series was created again: what the first life had is in blocks, the chunks of the second life are
    /// in the slot `from`.
    Restart {
        slot: Slot,
        from: Slot,
    },
}

struct Replay<'a> {
    inner: Arc<Inner>,
    slots: &'a mut SlotMap,
    min_valid_ms: i64,
    page: Option<(u32, Arc<Page>)>,
    floats: Vec<Vec<(Slot, FloatSample)>>,
    histograms: Vec<Vec<(Slot, HistogramSample)>>,
    totals: Totals,
}

impl<'a> Replay<'a> {
    fn new(opening: &'a mut Opening) -> Self {
        let inner = opening.inner.clone();
        let threads = match inner.options.replay_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(16),
            threads => threads,
        };
        Self {
            min_valid_ms: inner.min_valid_ms.load(Ordering::Relaxed),
            inner,
            slots: &mut opening.slots,
            page: None,
            floats: (0..threads).map(|_| Vec::new()).collect(),
            histograms: (0..threads).map(|_| Vec::new()).collect(),
            totals: Totals::default(),
        }
    }

    fn run(&mut self, sources: &[(PathBuf, u64)]) -> Result<(), WalError> {
        let threads = self.floats.len();
        let samples = AtomicU64::new(0);
        let inner = self.inner.clone();
        let mut damages = Vec::new();
        std::thread::scope(|scope| {
            let (record_sender, records) = sync_channel(3);
            let damages = &mut damages;
            let reader = scope.spawn(move || read_sources(sources, &record_sender, damages));
            let mut senders = Vec::new();
            for _ in 0..threads {
                let (sender, work) = sync_channel(MESSAGES_QUEUED);
                senders.push(sender);
                let (inner, samples) = (&inner, &samples);
                // References are stored with complete chunks: the base must be known by then.
                scope.spawn(move || apply_work(inner, &work, samples));
            }
            for batch in &records {
                let mut start = 0;
                for (&end, &(source, offset)) in batch.ends.iter().zip(&batch.places) {
                    if let Err(error) = self.record(&batch.bytes[start..end], &senders) {
                        let (path, _) = &sources[source as usize];
                        let reason = error.to_string();
                        let damage = Damage { path: path.clone(), offset, torn_end: false, reason };
                        tracing::warn!(%damage, "record of the write-ahead log does not decode");
                        self.inner.metrics.wal_corruptions.inc();
                        self.totals.undecodable.push(damage.to_string());
                    }
                    start = end;
                }
            }
            for shard in 0..threads {
                self.send_floats(shard, &senders);
                self.send_histograms(shard, &senders);
            }
            drop(senders);
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.totals.damages.append(&mut damages);
        self.totals.samples += samples.into_inner();
        Ok(())
    }

    fn finish(self) -> Totals {
        self.totals
    }

    fn record(&mut self, bytes: &[u8], senders: &[SyncSender<Work>]) -> Result<(), RecordError> {
        match Kind::of(bytes) {
            Some(Kind::Series) => record::for_each_series(bytes, |series, pairs| {
                self.series(series, &Labels::from_sorted(pairs.iter().copied()), senders);
            }),
            Some(Kind::Samples | Kind::SamplesWithStart) => {
                record::for_each_float(bytes, |sample| self.float(sample, senders))
            }
            Some(
                Kind::Histograms
                | Kind::FloatHistograms
                | Kind::CustomHistograms
                | Kind::CustomFloatHistograms
                | Kind::HistogramsWithStart
                | Kind::FloatHistogramsWithStart,
            ) => for_each_histogram(bytes, |sample| self.histogram(sample, senders)),
            Some(Kind::Tombstones) => record::for_each_tombstone(bytes, |stone| self.tombstone(&stone)),
            Some(Kind::Exemplars) => record::for_each_exemplar(bytes, |entry| self.exemplar(entry)),
            Some(Kind::Metadata) => record::for_each_metadata(bytes, |entry| self.metadata(entry)),
            Some(Kind::MmapMarkers) | None => Ok(()),
        }
    }

    fn series(&mut self, series: u64, labels: &Labels, senders: &[SyncSender<Work>]) {
        if labels.is_empty() {
            return;
        }
        let slot = self.slots.slot(series);
        if self.slots.base.is_some_and(|base| self.inner.ref_base.load(Ordering::Relaxed) != base) {
            self.inner.ref_base.store(self.slots.base(), Ordering::Relaxed);
        }
        let inner = self.inner.clone();
        let mut state = inner.index.write();
        if let Some(existing) = state.index.find(labels, &self.inner.table) {
            if existing != slot {
                self.slots.aliases.insert(series, existing);
                let shard = shard_of(existing, senders.len());
                self.send_floats(shard, senders);
                self.send_histograms(shard, senders);
                let _ = senders[shard].send(Work::Restart { slot: existing, from: slot });
            }
            return;
        }
        let (number, at) = locate(slot);
        let page = self.inner.table.page_or_new(number);
        let mut all = page.series.write();
        let cold = all[at].cold.get_or_insert_default();
        if !cold.labels.is_empty() {
            drop(all);
            tracing::warn!(series, %labels, "log gives one reference to two series: the second is left out");
            return;
        }
        cold.labels = state.index.insert(labels, slot);
        if page.last_t_ms(at) == NO_SERIES {
            page.set_last_t_ms(at, NO_SAMPLE);
        }
    }

    /// The slot of a sample's series, if the sample is to be appended.
    #[inline]
    fn admit(&mut self, series: u64, t_ms: i64) -> Option<Slot> {
        if t_ms < self.min_valid_ms {
            return None;
        }
        let slot = self.slots.slot(series);
        let (number, at) = locate(slot);
        if !self.page.as_ref().is_some_and(|(n, _)| *n == number) {
            self.page = self.inner.table.page(number).map(|page| (number, page));
        }
        let last_t_ms = self.page.as_ref().map_or(NO_SERIES, |(_, page)| page.last_t_ms(at));
        if last_t_ms == NO_SERIES {
            self.totals.unknown_refs += 1;
            return None;
        }
        if !self.slots.aliases.is_empty() && self.slots.aliases.contains_key(&series) {
            // Its record must stay in the log as long as its samples do.
            let mut expiries = self.inner.expiries.lock();
            let until = expiries.entry(series).or_insert(t_ms);
            *until = (*until).max(t_ms);
            return Some(slot);
        }
        // Samples only ascend: what is not newer now will not be when it is its turn.
        (t_ms > last_t_ms).then_some(slot)
    }

    #[inline]
    fn float(&mut self, sample: FloatSample, senders: &[SyncSender<Work>]) {
        let Some(slot) = self.admit(sample.series, sample.t_ms) else { return };
        let shard = shard_of(slot, senders.len());
        let queue = &mut self.floats[shard];
        queue.push((slot, sample));
        if queue.len() >= SAMPLES_PER_MESSAGE {
            self.send_floats(shard, senders);
        }
    }

    fn histogram(&mut self, sample: HistogramSample, senders: &[SyncSender<Work>]) {
        let Some(slot) = self.admit(sample.series, sample.t_ms) else { return };
        let shard = shard_of(slot, senders.len());
        // Floats of the same series that came before must be appended before.
        self.send_floats(shard, senders);
        let queue = &mut self.histograms[shard];
        queue.push((slot, sample));
        self.send_histograms(shard, senders);
    }

    fn send_floats(&mut self, shard: usize, senders: &[SyncSender<Work>]) {
        if !self.floats[shard].is_empty() {
            let queue = std::mem::replace(&mut self.floats[shard], Vec::with_capacity(SAMPLES_PER_MESSAGE));
            // A worker only ends early by panicking, which the scope passes on.
            let _ = senders[shard].send(Work::Floats(queue));
        }
    }

    fn send_histograms(&mut self, shard: usize, senders: &[SyncSender<Work>]) {
        if !self.histograms[shard].is_empty() {
            let _ = senders[shard].send(Work::Histograms(std::mem::take(&mut self.histograms[shard])));
        }
    }

    fn tombstone(&mut self, stone: &record::Tombstone) {
        let slot = self.slots.slot(stone.series);
        if (stone.start_ms, stone.end_ms) == (i64::MIN, i64::MAX) {
            // The series was removed; one with the same labels that comes later is another one.
            let mut state = self.inner.index.write();
            let (number, at) = locate(slot);
            let Some(page) = self.inner.table.page(number) else { return };
            let all = page.series.read();
            if let Some(cold) = all[at].cold.as_ref().filter(|cold| !cold.labels.is_empty()) {
                state.index.unlink(&cold.labels, slot);
                self.totals.doomed.push(slot);
            }
            return;
        }
        if stone.end_ms < self.min_valid_ms {
            return;
        }
        let mut tombstones = self.inner.tombstones.write();
        Arc::make_mut(&mut tombstones).add(u64::from(slot), TimeRange::new(stone.start_ms, stone.end_ms));
    }

    fn exemplar(&mut self, entry: record::ExemplarEntry) {
        if entry.t_ms < self.min_valid_ms || self.inner.options.max_exemplars == 0 {
            return;
        }
        let slot = self.slots.slot(entry.series);
        let Some(labels) = self.inner.labels_of(slot) else {
            self.totals.unknown_refs += 1;
            return;
        };
        let record::ExemplarEntry { t_ms, value, labels: exemplar_labels, .. } = entry;
        let exemplar = Exemplar { labels: exemplar_labels, value, timestamp_ms: t_ms, has_timestamp: true };
        // Exemplars the ring refuses now it refused when they came.
        let _ = self.inner.exemplars.write().add(&labels, exemplar);
    }

    fn metadata(&mut self, entry: record::MetadataEntry) {
        let slot = self.slots.slot(entry.series);
        let metadata = model::Metadata {
            metric_type: entry.metric_type,
            unit: entry.unit.into(),
            help: entry.help.into(),
        };
        self.inner.metadata.write().insert(slot, Arc::new(metadata));
    }
}

#[inline]
fn shard_of(slot: Slot, shards: usize) -> usize {
    locate(slot).0 as usize % shards
}

fn apply_work(inner: &Inner, work: &Receiver<Work>, samples: &AtomicU64) {
    let options: ChunkOptions = inner.chunk_options();
    let mut applier = Applier { commit: 0, options, store: &inner.store, changes: Default::default() };
    let mut count = 0;
    for work in work {
        match work {
            Work::Floats(floats) => count += apply_floats(inner, &mut applier, &floats),
            Work::Histograms(histograms) => {
                for (slot, sample) in histograms {
                    count += u64::from(apply_histogram(inner, &mut applier, slot, &sample));
                }
            }
            Work::Restart { slot, from } => restart_series(inner, slot, from),
        }
    }
    inner.note_changes(&applier.changes);
    samples.fetch_add(count, Ordering::Relaxed);
}

fn apply_floats(inner: &Inner, applier: &mut Applier<'_>, floats: &[(Slot, FloatSample)]) -> u64 {
    let (mut rest, mut count) = (floats, 0);
    while let Some(&(first, _)) = rest.first() {
        let (number, _) = locate(first);
        let run = rest.iter().take_while(|(slot, _)| locate(*slot).0 == number).count();
        let (now, after) = rest.split_at(run);
        rest = after;
        let Some(page) = inner.table.page(number) else { continue };
        let mut all = page.series.write();
        for (i, &(slot, ref sample)) in now.iter().enumerate() {
            if let Some(&(ahead, _)) = now.get(i + PREFETCH_AHEAD) {
                all[locate(ahead).1].prefetch();
            }
            let at = locate(slot).1;
            if sample.t_ms > page.last_t_ms(at) {
                replay_float(applier, &page, at, &mut all[at], inner.series_ref(slot), sample);
                count += 1;
            }
        }
    }
    count
}

fn apply_histogram(inner: &Inner, applier: &mut Applier<'_>, slot: Slot, sample: &HistogramSample) -> bool {
    let (number, at) = locate(slot);
    let Some(page) = inner.table.page(number) else { return false };
    let mut all = page.series.write();
    if sample.t_ms <= page.last_t_ms(at) {
        return false;
    }
    let place = Place { page: &page, at, series_ref: inner.series_ref(slot) };
    let done = applier.histogram(place, &mut all[at], sample.start_ms, sample.t_ms, &sample.value);
    if let Err(error) = &done {
        tracing::error!(%error, "replayed histogram cannot be encoded");
    }
    done.is_ok()
}

/// Takes over the chunks that were found under a series' second reference.
fn restart_series(inner: &Inner, slot: Slot, from: Slot) {
    let (number, at) = locate(from);
    let mut second = (Series::default(), NO_SERIES);
    if let Some(page) = inner.table.page(number) {
        let mut all = page.series.write();
        if all[at].cold.as_ref().is_some_and(|cold| cold.labels.is_empty()) {
            second = (std::mem::take(&mut all[at]), page.last_t_ms(at));
            page.set_last_t_ms(at, NO_SERIES);
        }
    }
    let (number, at) = locate(slot);
    let Some(page) = inner.table.page(number) else { return };
    let mut all = page.series.write();
    let labels = all[at].cold.as_mut().map(|cold| std::mem::take(&mut cold.labels)).unwrap_or_default();
    let (mut series, last_t_ms) = second;
    series.cold.get_or_insert_default().labels = labels;
    all[at] = series;
    page.set_last_t_ms(at, if last_t_ms == NO_SERIES { NO_SAMPLE } else { last_t_ms });
}

fn replay_out_of_order(
    opening: &mut Opening,
    sources: &[(PathBuf, u64)],
    totals: &mut Totals,
) -> Result<(), WalError> {
    let inner = opening.inner.clone();
    let first_file = inner.store.first_file();
    for (path, _) in sources {
        let mut reader = SegmentReader::open(path)?;
        loop {
            let record = match reader.next()? {
                ReadEvent::End => break,
                ReadEvent::Damage(damage) => {
                    totals.damages.push(damage);
                    continue;
                }
                ReadEvent::Record(record) => record,
            };
            let mut insert = |series: u64, t_ms: i64, start_ms: i64, value: Value| {
                let slot = opening.slots.slot(series);
                totals.unknown_refs += u64::from(!insert_late(
                    &inner,
                    slot,
                    OutOfOrderSample { t_ms, start_ms, value, commit: 0 },
                ));
            };
            let read = match Kind::of(record) {
                Some(Kind::Samples | Kind::SamplesWithStart) => record::for_each_float(record, |s| {
                    insert(s.series, s.t_ms, s.start_ms, Value::Float(s.value));
                }),
                Some(Kind::MmapMarkers) => record::for_each_mmap_marker(record, |marker| {
                    let slot = opening.slots.slot(marker.series);
                    with_series(&inner, slot, |series| forget_stored(series, &marker, first_file));
                }),
                Some(_) => {
                    let histogram =
                        |s: HistogramSample| insert(s.series, s.t_ms, s.start_ms, Value::Histogram(s.value));
                    for_each_histogram(record, histogram)
                }
                None => Ok(()),
            };
            if let Err(error) = read {
                tracing::warn!(%error, path = %path.display(), "record of the out-of-order log does not decode");
                inner.metrics.wal_corruptions.inc();
            }
        }
    }
    Ok(())
}

/// Drops the samples of a series that are in the chunk a marker names, if that chunk made it to the disk
/// or was compacted since.
fn forget_stored(series: &mut Series, marker: &record::MmapMarker, first_file: u32) {
    let chunk = ChunkRef(marker.chunk);
    let Some(late) = series.extra_mut().out_of_order.as_mut() else { return };
    let is_stored = chunk.file() < first_file || late.chunks.iter().any(|stored| stored.chunk == chunk);
    if marker.chunk != 0 && is_stored {
        late.buffer.clear();
    }
}

fn with_series(inner: &Inner, slot: Slot, work: impl FnOnce(&mut Series)) -> bool {
    let (number, at) = locate(slot);
    let Some(page) = inner.table.page(number) else { return false };
    let mut all = page.series.write();
    let is_series = all[at].cold.as_ref().is_some_and(|cold| !cold.labels.is_empty());
    if is_series {
        work(&mut all[at]);
    }
    is_series
}

fn insert_late(inner: &Inner, slot: Slot, sample: OutOfOrderSample) -> bool {
    let (capacity, t_ms) = (inner.options.out_of_order_capacity, sample.t_ms);
    with_series(inner, slot, |series| {
        let late = series.extra_mut().out_of_order.get_or_insert_default();
        match late.insert(sample, capacity, inner.series_ref(slot), &inner.store) {
            Ok(_) => {
                inner.min_out_of_order_ms.fetch_min(t_ms, Ordering::Relaxed);
                inner.max_out_of_order_ms.fetch_max(t_ms, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(%error, "replayed out-of-order sample is not kept"),
        }
    })
}
