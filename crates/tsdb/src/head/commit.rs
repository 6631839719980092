//! Making a transaction durable and visible: log first, then the head, one transaction at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chunkenc::ChunkError;
use hashbrown::HashSet;
use model::is_stale_nan;

use super::Inner;
use super::append::{Batch, Buffers, FloatEntry, stale_histogram};
use super::apply::{Admission, Applier, Bounds, Changes, Place};
use super::chunk_store::ChunkRef;
use super::ooo::{OutOfOrderSample, Value};
use super::table::{LastKind, NO_SERIES, Page, Series, Slot, locate};
use crate::trouble::Tally;
use crate::wal::histogram::{AnyHistogram, HISTOGRAM_KINDS, HistogramSample, put_histograms};
use crate::wal::record::{self, ExemplarEntry, FloatSample, FloatWriter, Kind, MetadataEntry, MmapMarker};
use crate::wal::{Appended, RecordBatch, WalError};

/// How many samples ahead chunks are loaded: their memory is all over the heap.
pub(super) const PREFETCH_AHEAD: usize = 6;

/// How many samples of a commit went where.
#[derive(Debug, Default)]
struct Counts {
    floats: u64,
    histograms: u64,
    out_of_order_floats: u64,
    out_of_order_histograms: u64,
    refused: [[u64; 2]; 3],
}

impl Inner {
    /// Commits what a transaction gathered. On failure nothing of it is kept.
    pub(super) fn commit(&self, bounds: &Bounds, buffers: &mut Buffers) -> Result<(), WalError> {
        if self.wal.get().is_some() {
            self.encode(buffers)?;
        }
        let mut state = self.commit.lock();
        let state = &mut *state;
        if let Some(wal) = self.wal.get() {
            // Whichever transaction comes first logs the series all others created so far: a sample never
            // stands in the log before its series.
            let created = std::mem::take(&mut *self.unlogged.lock());
            let written = self
                .encode_series(&created, &mut state.series_batch)
                .and_then(|()| wal.append(&[&state.series_batch, &buffers.records]));
            state.series_batch.clear();
            if let Err(error) = written {
                self.unlogged.lock().extend(created);
                return Err(error);
            }
        } else {
            self.unlogged.lock().clear();
        }
        if buffers.is_empty() {
            return Ok(());
        }
        let commit = self.visible.load(Ordering::Relaxed) + 1;
        let mut counts = Counts::default();
        let mut applier = Applier {
            commit: commit as u32,
            options: self.chunk_options(),
            store: &self.store,
            changes: Changes::default(),
        };
        for batch in &mut buffers.batches {
            self.apply_floats(bounds, batch, &mut applier, &mut counts, &mut state.out_of_order);
            self.apply_histograms(bounds, batch, &mut applier, &mut counts, &mut state.out_of_order);
        }
        self.note_changes(&applier.changes);
        self.log_out_of_order(&mut state.out_of_order);
        self.visible.store(commit, Ordering::Release);
        self.count(&counts);
        if let Some(wal) = self.wal.get() {
            wal.tail().note_appended(Appended {
                floats: counts.floats + counts.out_of_order_floats,
                histograms: counts.histograms + counts.out_of_order_histograms,
                exemplars: buffers.exemplars.len() as u64,
                highest_ms: applier.changes.max_ms,
            });
        }
        self.keep_exemplars(buffers);
        self.keep_metadata(buffers);
        Ok(())
    }

    fn encode(&self, buffers: &mut Buffers) -> Result<(), WalError> {
        let with_start = self.options.start_timestamps;
        let Buffers { batches, exemplars, metadata, records, .. } = buffers;
        for entries in metadata.chunks(10_000) {
            let entries: Vec<_> = entries
                .iter()
                .map(|(slot, m)| MetadataEntry {
                    series: self.series_ref(*slot),
                    metric_type: m.metric_type,
                    unit: m.unit.to_string(),
                    help: m.help.to_string(),
                })
                .collect();
            records.push(|out| record::put_metadata(out, &entries))?;
        }
        for batch in batches.iter() {
            records.push(|out| self.encode_floats(&batch.floats, with_start, out))?;
            if batch.histograms.is_empty() {
                continue;
            }
            let samples: Vec<_> = batch
                .histograms
                .iter()
                .map(|h| HistogramSample {
                    series: self.series_ref(h.slot),
                    start_ms: h.start_ms,
                    t_ms: h.t_ms,
                    value: h.value.clone(),
                })
                .collect();
            push_histogram_records(records, &samples, with_start)?;
        }
        if !exemplars.is_empty() {
            let entries: Vec<_> = exemplars
                .iter()
                .map(|(slot, e)| ExemplarEntry {
                    series: self.series_ref(*slot),
                    t_ms: e.timestamp_ms,
                    value: e.value,
                    labels: e.labels.clone(),
                })
                .collect();
            records.push(|out| record::put_exemplars(out, &entries))?;
        }
        Ok(())
    }

    fn encode_floats(&self, floats: &[FloatEntry], with_start: bool, out: &mut Vec<u8>) {
        let Some(first) = floats.first() else { return };
        if with_start {
            let samples: Vec<_> = floats
                .iter()
                .map(|f| FloatSample {
                    series: self.series_ref(f.slot),
                    start_ms: f.start_ms,
                    t_ms: f.t_ms,
                    value: f.value,
                })
                .collect();
            return record::put_floats(out, &samples, true);
        }
        let base = self.ref_base.load(Ordering::Relaxed);
        out.reserve(20 + floats.len() * 12);
        let writer = FloatWriter::begin(out, base + u64::from(first.slot), first.t_ms);
        for float in floats {
            writer.put(out, base + u64::from(float.slot), float.t_ms, float.value);
        }
    }

    pub(super) fn encode_series(
        &self,
        created: &[(Slot, model::Labels)],
        batch: &mut RecordBatch,
    ) -> Result<(), WalError> {
        // Records of bounded size keep replay's memory bounded.
        for part in created.chunks(5_000) {
            batch.push(|out| {
                record::begin(out, Kind::Series);
                for (slot, labels) in part {
                    record::put_series(out, self.series_ref(*slot), labels);
                }
            })?;
        }
        Ok(())
    }

    fn apply_floats(
        &self,
        bounds: &Bounds,
        batch: &mut Batch,
        applier: &mut Applier<'_>,
        counts: &mut Counts,
        late: &mut OutOfOrderLog,
    ) {
        let Batch { floats, histograms } = batch;
        let mut rest = floats.as_slice();
        while let Some(first) = rest.first() {
            let (number, _) = locate(first.slot);
            let run = rest.iter().take_while(|float| locate(float.slot).0 == number).count();
            let (now, after) = rest.split_at(run);
            rest = after;
            let Some(page) = self.table.page(number) else { continue };
            let mut all = page.series.write();
            for (i, float) in now.iter().enumerate() {
                if let Some(ahead) = now.get(i + PREFETCH_AHEAD) {
                    all[locate(ahead.slot).1].prefetch();
                }
                let at = locate(float.slot).1;
                let series = &mut all[at];
                let last_t_ms = page.last_t_ms(at);
                if last_t_ms == NO_SERIES {
                    continue;
                }
                if is_stale_nan(float.value)
                    && matches!(series.last_kind, LastKind::Histogram | LastKind::FloatHistogram)
                {
                    let value = stale_histogram(series.last_kind, float.value);
                    let &FloatEntry { t_ms, start_ms, slot, order, .. } = float;
                    histograms.push(super::append::HistogramEntry { t_ms, start_ms, slot, order, value });
                    continue;
                }
                let place = Place { page: &page, at, series_ref: self.series_ref(float.slot) };
                match float.order.admit(bounds, last_t_ms, float.t_ms) {
                    Admission::InOrder => {
                        let done = applier.float(place, series, float.start_ms, float.t_ms, float.value);
                        counts.floats += u64::from(done.is_ok());
                    }
                    Admission::SameTime => {}
                    Admission::OutOfOrder => {
                        let value = Value::Float(float.value);
                        let sample = late_sample(float.t_ms, float.start_ms, value, applier.commit);
                        counts.out_of_order_floats +=
                            u64::from(self.insert_late(place, series, float.slot, sample, late));
                    }
                    other => counts.refused[refusal_row(other)][0] += 1,
                }
            }
        }
    }

    fn apply_histograms(
        &self,
        bounds: &Bounds,
        batch: &Batch,
        applier: &mut Applier<'_>,
        counts: &mut Counts,
        late: &mut OutOfOrderLog,
    ) {
        for entry in &batch.histograms {
            let (number, at) = locate(entry.slot);
            let Some(page) = self.table.page(number) else { continue };
            let mut all = page.series.write();
            let series = &mut all[at];
            let last_t_ms = page.last_t_ms(at);
            if last_t_ms == NO_SERIES {
                continue;
            }
            let place = Place { page: &page, at, series_ref: self.series_ref(entry.slot) };
            match entry.order.admit(bounds, last_t_ms, entry.t_ms) {
                Admission::InOrder => {
                    let done = applier.histogram(place, series, entry.start_ms, entry.t_ms, &entry.value);
                    match done {
                        Ok(()) => counts.histograms += 1,
                        Err(error) => tracing::error!(%error, "histogram cannot be encoded"),
                    }
                }
                Admission::SameTime => {}
                Admission::OutOfOrder => {
                    let value = Value::Histogram(entry.value.clone());
                    let sample = late_sample(entry.t_ms, entry.start_ms, value, applier.commit);
                    counts.out_of_order_histograms +=
                        u64::from(self.insert_late(place, series, entry.slot, sample, late));
                }
                other => counts.refused[refusal_row(other)][1] += 1,
            }
        }
    }

    /// Adds an out-of-order sample; true when there was none at its time.
    fn insert_late(
        &self,
        place: Place<'_>,
        series: &mut Series,
        slot: Slot,
        sample: OutOfOrderSample,
        late: &mut OutOfOrderLog,
    ) -> bool {
        let capacity = self.options.out_of_order_capacity;
        let samples = series.extra_mut().out_of_order.get_or_insert_default();
        let logged = sample.clone();
        let inserted = match samples.insert(sample, capacity, place.series_ref, &self.store) {
            Ok(inserted) => inserted,
            Err(error) => {
                late.lost.add(|| error.to_string());
                return false;
            }
        };
        if let Some(chunks) = &inserted.flushed {
            late.mark(slot, place.series_ref, chunks);
        }
        if inserted.added {
            self.min_out_of_order_ms.fetch_min(logged.t_ms, Ordering::Relaxed);
            self.max_out_of_order_ms.fetch_max(logged.t_ms, Ordering::Relaxed);
            late.add(slot, place.series_ref, logged);
        }
        inserted.added
    }

    fn log_out_of_order(&self, late: &mut OutOfOrderLog) {
        if let Some((samples, error)) = std::mem::take(&mut late.lost).found() {
            tracing::warn!(samples, error, "out-of-order samples are not kept: chunks cannot be stored");
        }
        if late.is_empty() {
            return;
        }
        let wbl = self.wbl.read().clone();
        if let Some(wbl) = wbl {
            let mut records = RecordBatch::new(self.options.wal_compression);
            // The samples are in the main log too, and in memory: failing here must not fail the commit.
            let logged = late
                .encode(self.options.start_timestamps, &mut records)
                .and_then(|()| wbl.append(&[&records]));
            if let Err(error) = logged {
                tracing::error!(%error, "out-of-order samples could not be logged");
            }
        }
        late.clear();
    }

    pub(super) fn note_changes(&self, changes: &Changes) {
        let metrics = &self.metrics;
        if changes.min_ms <= changes.max_ms {
            self.widen_bounds(changes.min_ms, changes.max_ms);
        }
        metrics.chunks_created.add(changes.chunks_created);
        metrics.chunks_stored.add(changes.chunks_stored);
        metrics.levels.chunks.fetch_add(changes.chunks_created as i64, Ordering::Relaxed);
        metrics.levels.stale_series.fetch_add(changes.stale_series, Ordering::Relaxed);
        metrics.levels.histogram_series.fetch_add(changes.histogram_series, Ordering::Relaxed);
        metrics.levels.histogram_buckets.fetch_add(changes.histogram_buckets, Ordering::Relaxed);
    }

    fn count(&self, counts: &Counts) {
        let metrics = &self.metrics;
        metrics.samples_appended.float.add(counts.floats + counts.out_of_order_floats);
        metrics.samples_appended.histogram.add(counts.histograms + counts.out_of_order_histograms);
        metrics.out_of_order_appended.float.add(counts.out_of_order_floats);
        metrics.out_of_order_appended.histogram.add(counts.out_of_order_histograms);
        let rows = [&metrics.out_of_order, &metrics.out_of_bounds, &metrics.too_old];
        for (by_type, [floats, histograms]) in rows.into_iter().zip(counts.refused) {
            by_type.float.add(floats);
            by_type.histogram.add(histograms);
        }
    }

    fn keep_exemplars(&self, buffers: &Buffers) {
        if buffers.exemplars.is_empty() {
            return;
        }
        for (slot, exemplar) in &buffers.exemplars {
            let Some(labels) = self.labels_of(*slot) else { continue };
            match self.exemplars.write().add(&labels, exemplar.clone()) {
                Ok(()) => self.metrics.exemplars_appended.inc(),
                Err(super::exemplars::ExemplarError::OutOfOrder) => self.metrics.exemplars_out_of_order.inc(),
                Err(_) => {}
            }
        }
        self.publish_exemplars();
    }

    fn keep_metadata(&self, buffers: &Buffers) {
        if buffers.metadata.is_empty() {
            return;
        }
        let mut known = self.metadata.write();
        for (slot, metadata) in &buffers.metadata {
            known.insert(*slot, Arc::new(metadata.clone()));
        }
    }
}

fn late_sample(t_ms: i64, start_ms: i64, value: Value, commit: u32) -> OutOfOrderSample {
    OutOfOrderSample { t_ms, start_ms, value, commit }
}

fn refusal_row(admission: Admission) -> usize {
    match admission {
        Admission::OutOfBounds => 1,
        Admission::TooOld => 2,
        _ => 0,
    }
}

/// Adds one record for each kind of histogram among the samples.
pub(crate) fn push_histogram_records(
    records: &mut RecordBatch,
    samples: &[HistogramSample],
    with_start: bool,
) -> Result<(), WalError> {
    for kind in HISTOGRAM_KINDS {
        let has_start = matches!(kind, Kind::HistogramsWithStart | Kind::FloatHistogramsWithStart);
        if has_start == with_start {
            records.push(|out| {
                put_histograms(out, kind, samples);
            })?;
        }
    }
    Ok(())
}

/// What one commit adds to the out-of-order log: groups of markers followed by samples, such that a
/// marker stands behind exactly those samples of its series that are in the chunk it names.
#[derive(Debug, Default)]
pub(crate) struct OutOfOrderLog {
    groups: Vec<Group>,
    /// Series that have a marker or samples in the last group.
    in_last: HashSet<Slot>,
    /// Samples that could not be kept.
    lost: Tally,
}

#[derive(Debug, Default)]
struct Group {
    markers: Vec<MmapMarker>,
    floats: Vec<FloatSample>,
    histograms: Vec<HistogramSample>,
}

impl OutOfOrderLog {
    fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.in_last.clear();
    }

    fn last(&mut self) -> &mut Group {
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        let last = self.groups.len() - 1;
        &mut self.groups[last]
    }

    fn mark(&mut self, slot: Slot, series: u64, chunks: &[ChunkRef]) {
        if self.in_last.contains(&slot) {
            self.groups.push(Group::default());
            self.in_last.clear();
        }
        self.in_last.insert(slot);
        let markers = &mut self.last().markers;
        if chunks.is_empty() {
            markers.push(MmapMarker { series, chunk: 0 });
        }
        markers.extend(chunks.iter().map(|chunk| MmapMarker { series, chunk: chunk.0 }));
    }

    fn add(&mut self, slot: Slot, series: u64, sample: OutOfOrderSample) {
        self.in_last.insert(slot);
        let OutOfOrderSample { t_ms, start_ms, value, .. } = sample;
        match value {
            Value::Float(value) => self.last().floats.push(FloatSample { series, start_ms, t_ms, value }),
            Value::Histogram(value) => {
                self.last().histograms.push(HistogramSample { series, start_ms, t_ms, value });
            }
        }
    }

    fn encode(&self, with_start: bool, records: &mut RecordBatch) -> Result<(), WalError> {
        for group in &self.groups {
            if !group.markers.is_empty() {
                records.push(|out| record::put_mmap_markers(out, &group.markers))?;
            }
            records.push(|out| record::put_floats(out, &group.floats, with_start))?;
            push_histogram_records(records, &group.histograms, with_start)?;
        }
        Ok(())
    }
}

/// Appends a float while replaying: a staleness marker takes the type of the series' newest sample, as it
/// did when it was committed.
pub(super) fn replay_float(
    applier: &mut Applier<'_>,
    page: &Page,
    at: usize,
    series: &mut Series,
    series_ref: u64,
    sample: &FloatSample,
) -> Result<(), ChunkError> {
    let place = Place { page, at, series_ref };
    let kind = series.last_kind;
    if is_stale_nan(sample.value) && matches!(kind, LastKind::Histogram | LastKind::FloatHistogram) {
        let value: AnyHistogram = stale_histogram(kind, sample.value);
        applier.histogram(place, series, sample.start_ms, sample.t_ms, &value)
    } else {
        applier.float(place, series, sample.start_ms, sample.t_ms, sample.value)
    }
}
