//! Reading the logs at start.
//!
//! One thread reads and decompresses, one decodes and creates series, the others append samples, each to
//! pages of its own. What lies between them is bounded, so that starting takes little more memory than
//! running.

mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};

use hashbrown::HashSet;
use model::{Exemplar, Labels, TimeRange};
use parking_lot::Mutex;

use self::work::{Floats, Work, apply_work};
use super::chunk_store::ChunkRef;
use super::load::{Opening, SlotMap};
use super::ooo::{OutOfOrderSample, Value};
use super::table::{NO_SAMPLE, NO_SERIES, Page, Series, Slot, locate};
use super::{Expiry, Inner};
use crate::trouble::Tally;
use crate::wal::histogram::{HistogramSample, for_each_histogram};
use crate::wal::record::{self, FloatSample, Kind, RecordError};
use crate::wal::{Damage, Damages, ReadEvent, ReplayProgress, SegmentReader, WalError};

/// A part of a log to be read.
pub(super) struct Source {
    /// The number of the segment; a checkpoint has that of the last segment it stands for.
    pub(super) segment: u32,
    pub(super) path: PathBuf,
    /// Where in the file to begin.
    pub(super) offset: u64,
}

/// Tells which segments are going to be read.
fn announce(sources: &[Source], progress: &ReplayProgress) {
    if let (Some(first), Some(last)) = (sources.first(), sources.last()) {
        progress.begin(first.segment, last.segment);
    }
}

/// Records of a log, in order, ready to be decoded.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    places: Vec<(u32, u64)>,
}

impl Records {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.places.clear();
    }
}

/// Emptied buffers on their way back to who fills them: memory that is freed on one thread and asked for on
/// another would be given back to the system and be asked of it again.
#[derive(Default)]
struct Spares<T>(Mutex<Vec<T>>);

impl<T: Default> Spares<T> {
    fn take(&self) -> T {
        self.0.lock().pop().unwrap_or_default()
    }

    fn give(&self, spare: T) {
        self.0.lock().push(spare);
    }
}

const RECORDS_BYTES: usize = 1 << 20;
const SAMPLES_PER_MESSAGE: usize = 4096;
const MESSAGES_QUEUED: usize = 8;

fn read_sources(
    sources: &[Source],
    out: &SyncSender<Records>,
    spares: &Spares<Records>,
    damages: &mut Damages,
    progress: &ReplayProgress,
) -> Result<(), WalError> {
    let mut records = Records::default();
    for (i, source) in sources.iter().enumerate() {
        let mut reader = SegmentReader::open_at(&source.path, source.offset)?;
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
            if records.bytes.len() >= RECORDS_BYTES
                && out.send(std::mem::replace(&mut records, spares.take())).is_err()
            {
                return Ok(());
            }
        }
        progress.reach(source.segment);
    }
    // The receiver is only gone when it failed, which it reports itself.
    let _ = out.send(records);
    Ok(())
}

/// What was found in the logs.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) samples: u64,
    pub(super) damages: Damages,
    /// Records that are whole but make no sense.
    pub(super) undecodable: Tally,
    /// Series with a reference that another one has already.
    pub(super) clashes: Tally,
    /// Samples that were read and cannot be kept.
    pub(super) lost: Tally,
    /// Series that a tombstone removed altogether.
    pub(super) doomed: Vec<Slot>,
}

impl Totals {
    /// A record is whole but makes no sense.
    fn note_undecodable(&mut self, inner: &Inner, path: &Path, offset: u64, error: &RecordError) {
        inner.metrics.wal_corruptions.inc();
        self.undecodable.add(|| {
            let reason = error.to_string();
            Damage { path: path.to_owned(), offset, torn_end: false, reason }.to_string()
        });
    }

    /// Tells what there is to tell, however often it happened, in a line each.
    pub(super) fn tell(&self) {
        if let Some((records, first)) = self.undecodable.found() {
            tracing::warn!(records, first, "records of the log do not decode");
        }
        if let Some((series, first)) = self.clashes.found() {
            tracing::warn!(series, first, "log gives one reference to two series: the second is left out");
        }
        if let Some((samples, first)) = self.lost.found() {
            tracing::error!(samples, first, "replayed samples cannot be kept");
        }
    }
}

/// A replay of the main log.
pub(super) struct Replay<'a> {
    inner: Arc<Inner>,
    slots: &'a mut SlotMap,
    min_valid_ms: i64,
    page: Option<(u32, Arc<Page>)>,
    floats: Vec<Floats>,
    spare_floats: Arc<Spares<Floats>>,
    histograms: Vec<Vec<(Slot, HistogramSample)>>,
    /// Slots whose series the log begins a second time.
    restarted: HashSet<Slot>,
    unknown: Unknown,
    totals: Totals,
}

/// Entries that name a series the log does not.
#[derive(Default)]
struct Unknown {
    samples: u64,
    histograms: u64,
    exemplars: u64,
}

impl<'a> Replay<'a> {
    pub(super) fn new(opening: &'a mut Opening) -> Self {
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
            spare_floats: Arc::default(),
            histograms: (0..threads).map(|_| Vec::new()).collect(),
            restarted: HashSet::new(),
            unknown: Unknown::default(),
            totals: Totals::default(),
        }
    }

    /// Reads the segments, from the offset given with each.
    pub(super) fn run(&mut self, sources: &[Source]) -> Result<(), WalError> {
        let threads = self.floats.len();
        let inner = self.inner.clone();
        let progress = &inner.options.replay_progress;
        announce(sources, progress);
        let (mut damages, spare_records) = (Damages::default(), Spares::<Records>::default());
        let spare_floats = self.spare_floats.clone();
        std::thread::scope(|scope| {
            let (record_sender, records) = sync_channel(3);
            let (damages, spare_records) = (&mut damages, &spare_records);
            let reader =
                scope.spawn(move || read_sources(sources, &record_sender, spare_records, damages, progress));
            let (mut senders, mut workers) = (Vec::new(), Vec::new());
            for _ in 0..threads {
                let (sender, work) = sync_channel(MESSAGES_QUEUED);
                senders.push(sender);
                let (inner, spare_floats) = (&inner, &*spare_floats);
                // References are stored with complete chunks: the base must be known by then.
                workers.push(scope.spawn(move || apply_work(inner, &work, spare_floats)));
            }
            for mut batch in &records {
                let mut start = 0;
                for (&end, &(source, offset)) in batch.ends.iter().zip(&batch.places) {
                    if let Err(error) = self.record(&batch.bytes[start..end], &senders) {
                        let path = &sources[source as usize].path;
                        self.totals.note_undecodable(&inner, path, offset, &error);
                    }
                    start = end;
                }
                batch.clear();
                spare_records.give(batch);
            }
            for shard in 0..threads {
                self.send_floats(shard, &senders);
                self.send_histograms(shard, &senders);
            }
            drop(senders);
            for worker in workers {
                let applied = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                self.totals.samples += applied.samples;
                self.totals.lost.merge(applied.lost);
            }
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.totals.damages = damages;
        Ok(())
    }

    /// What was found.
    pub(super) fn finish(self) -> Totals {
        let (unknown, refs) = (self.unknown, &self.inner.metrics.unknown_refs);
        refs.add("samples", unknown.samples);
        refs.add("histograms", unknown.histograms);
        refs.add("exemplars", unknown.exemplars);
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
                self.restarted.insert(existing);
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
            self.totals.clashes.add(|| format!("reference {series}: {labels}"));
            return;
        }
        cold.labels = state.index.insert(labels, slot);
        if page.last_t_ms(at) == NO_SERIES {
            page.set_last_t_ms(at, NO_SAMPLE);
        }
    }

    /// The slot of a sample's series, if the sample is to be appended.
    #[inline]
    fn admit(&mut self, series: u64, t_ms: i64, unknown: impl Fn(&mut Unknown) -> &mut u64) -> Option<Slot> {
        if t_ms < self.min_valid_ms {
            return None;
        }
        let slot = self.slots.slot(series);
        let (number, at) = locate(slot);
        if self.page.as_ref().is_none_or(|(n, _)| *n != number) {
            self.page = self.inner.table.page(number).map(|page| (number, page));
        }
        let last_t_ms = self.page.as_ref().map_or(NO_SERIES, |(_, page)| page.last_t_ms(at));
        if last_t_ms == NO_SERIES {
            *unknown(&mut self.unknown) += 1;
            return None;
        }
        if !self.slots.aliases.is_empty() && self.slots.aliases.contains_key(&series) {
            // Its record must stay in the log as long as its samples do.
            let mut expiries = self.inner.expiries.lock();
            let known = expiries.entry(series).or_insert(Expiry { until_ms: t_ms, segment: u32::MAX });
            known.until_ms = known.until_ms.max(t_ms);
            return Some(slot);
        }
        // Samples only ascend: what is not newer now will not be when it is its turn.
        (t_ms > last_t_ms).then_some(slot)
    }

    #[inline]
    fn float(&mut self, sample: FloatSample, senders: &[SyncSender<Work>]) {
        let Some(slot) = self.admit(sample.series, sample.t_ms, |unknown| &mut unknown.samples) else {
            return;
        };
        let shard = shard_of(slot, senders.len());
        let queue = &mut self.floats[shard];
        queue.push((slot, sample));
        if queue.len() >= SAMPLES_PER_MESSAGE {
            self.send_floats(shard, senders);
        }
    }

    fn histogram(&mut self, sample: HistogramSample, senders: &[SyncSender<Work>]) {
        let Some(slot) = self.admit(sample.series, sample.t_ms, |unknown| &mut unknown.histograms) else {
            return;
        };
        let shard = shard_of(slot, senders.len());
        // Floats of the same series that came before must be appended before.
        self.send_floats(shard, senders);
        let queue = &mut self.histograms[shard];
        queue.push((slot, sample));
        self.send_histograms(shard, senders);
    }

    fn send_floats(&mut self, shard: usize, senders: &[SyncSender<Work>]) {
        if !self.floats[shard].is_empty() {
            let queue = std::mem::replace(&mut self.floats[shard], self.spare_floats.take());
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
            // The series was removed; one with the same labels that comes later is another one. Some writers
            // log the later one first: it must not go.
            if self.restarted.contains(&slot) && !self.slots.aliases.contains_key(&stone.series) {
                return;
            }
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
            self.unknown.exemplars += 1;
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

/// Reads the out-of-order log.
pub(super) fn replay_out_of_order(
    opening: &mut Opening,
    sources: &[Source],
    totals: &mut Totals,
) -> Result<(), WalError> {
    let inner = opening.inner.clone();
    let progress = &inner.options.replay_progress;
    announce(sources, progress);
    let first_file = inner.store.first_file();
    for source in sources {
        let mut reader = SegmentReader::open_at(&source.path, source.offset)?;
        loop {
            let record = match reader.next()? {
                ReadEvent::End => break,
                ReadEvent::Damage(damage) => {
                    totals.damages.push(damage);
                    continue;
                }
                ReadEvent::Record(record) => record,
            };
            let lost = &mut totals.lost;
            let mut insert = |series: u64, t_ms: i64, start_ms: i64, value: Value| {
                let slot = opening.slots.slot(series);
                let entry = if matches!(value, Value::Float(_)) { "samples" } else { "histograms" };
                let sample = OutOfOrderSample { t_ms, start_ms, value, commit: 0 };
                if !insert_late(&inner, slot, sample, lost) {
                    inner.metrics.unknown_late_refs.add(entry, 1);
                }
            };
            let read = match Kind::of(record) {
                Some(Kind::Samples | Kind::SamplesWithStart) => record::for_each_float(record, |s| {
                    insert(s.series, s.t_ms, s.start_ms, Value::Float(s.value));
                }),
                Some(Kind::MmapMarkers) => record::for_each_mmap_marker(record, |marker| {
                    let slot = opening.slots.slot(marker.series);
                    if !with_series(&inner, slot, |series| forget_stored(series, &marker, first_file)) {
                        inner.metrics.unknown_late_refs.add("mmap_markers", 1);
                    }
                }),
                Some(_) => {
                    let histogram =
                        |s: HistogramSample| insert(s.series, s.t_ms, s.start_ms, Value::Histogram(s.value));
                    for_each_histogram(record, histogram)
                }
                None => Ok(()),
            };
            if let Err(error) = read {
                totals.note_undecodable(&inner, &source.path, reader.record_start(), &error);
            }
        }
        progress.reach(source.segment);
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

fn insert_late(inner: &Inner, slot: Slot, sample: OutOfOrderSample, lost: &mut Tally) -> bool {
    let (capacity, t_ms) = (inner.options.out_of_order_capacity, sample.t_ms);
    with_series(inner, slot, |series| {
        let late = series.extra_mut().out_of_order.get_or_insert_default();
        match late.insert(sample, capacity, inner.series_ref(slot), &inner.store) {
            Ok(_) => {
                inner.min_out_of_order_ms.fetch_min(t_ms, Ordering::Relaxed);
                inner.max_out_of_order_ms.fetch_max(t_ms, Ordering::Relaxed);
            }
            Err(error) => lost.add(|| error.to_string()),
        }
    })
}
