//! A snapshot of the open chunks, left by a clean shutdown so that the next start need not read the log
//! (`docs/formats/snapshot.md`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chunkenc::{Encoding, FloatHistogramAppender, HistogramAppender, RawValue, Xor2Appender, XorAppender};
use model::{Exemplar, Labels, TimeRange, is_stale_nan};

use super::Inner;
use super::apply::range_end;
use super::load::{Loader, ReplayReport};
use super::metrics::HeadMetrics;
use super::read::kind_of;
use super::table::{NO_SAMPLE, NO_SERIES, OpenChunk, OpenKind, Slot, locate};
use crate::wal::checkpoint::Output;
use crate::wal::codec::{Decoder, put_bytes, put_f64, put_i64, put_u64, put_uvarint, put_varint};
use crate::wal::frame::PAGE_BYTES;
use crate::wal::histogram::{AnyHistogram, put_histogram};
use crate::wal::reader::{ReadEvent, SegmentReader};
use crate::wal::record::{
    ExemplarEntry, RecordError, put_exemplar_entries, put_labels, read_exemplar_entries, read_labels,
};
use crate::wal::segment::{existing_segment_path, list_segments, sync_dir};
use crate::wal::{RecordBatch, WalError, repair};

const PREFIX: &str = "chunk_snapshot.";
const SERIES: u8 = 1;
const TOMBSTONES: u8 = 2;
const EXEMPLARS: u8 = 3;
const TOMBSTONES_VERSION: u8 = 1;
/// Older versions kept the last samples beside a float chunk; only the value of the last one is used.
const UNUSED_SAMPLES: usize = 3;
const FLUSH_BYTES: usize = 4 << 20;
const EXEMPLARS_PER_RECORD: usize = 10_000;

/// Writes a snapshot named after the end of the log, which is closed, and deletes older ones.
pub(super) fn write(inner: &Inner) -> Result<(), WalError> {
    let Some(wal) = inner.wal.get() else { return Ok(()) };
    let (segment, offset) = wal.position();
    let offset = offset.next_multiple_of(PAGE_BYTES as u64);
    let finished = inner.dir.join(format!("{PREFIX}{segment:06}.{offset:010}"));
    if finished.exists() {
        return Ok(());
    }
    let unfinished = finished.with_extension(format!("{offset:010}.tmp"));
    let _ = std::fs::remove_dir_all(&unfinished);
    std::fs::create_dir_all(&unfinished).map_err(WalError::io("create", &unfinished))?;
    let written = write_records(inner, &unfinished);
    if written.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    written?;
    std::fs::rename(&unfinished, &finished).map_err(WalError::io("rename", &unfinished))?;
    sync_dir(&inner.dir)?;
    for (_, _, path) in list(&inner.dir) {
        if path != finished {
            std::fs::remove_dir_all(&path).map_err(WalError::io("delete", &path))?;
        }
    }
    Ok(())
}

fn write_records(inner: &Inner, dir: &Path) -> Result<(), WalError> {
    let mut out = Output::create(dir)?;
    let mut batch = RecordBatch::new(inner.options.wal_compression);
    for (number, page) in inner.table.pages() {
        let state = inner.index.read();
        let all = page.series.read();
        for (at, series) in all.iter().enumerate() {
            let Some(cold) = series.cold.as_ref().filter(|cold| !cold.labels.is_empty()) else { continue };
            let slot = number * super::table::PAGE_SERIES as Slot + at as Slot;
            batch.push(|record| {
                record.push(SERIES);
                put_u64(record, inner.series_ref(slot));
                put_labels(record, &state.index.labels(&cold.labels));
                put_i64(record, 0);
                match series.open_chunk() {
                    Some((encoding, data, min_ms)) => {
                        put_open_chunk(record, encoding, data, min_ms, page.last_t_ms(at));
                    }
                    None => put_uvarint(record, 0),
                }
            })?;
        }
        drop(all);
        drop(state);
        if batch.data_bytes() > FLUSH_BYTES {
            out.append(&batch)?;
            batch.clear();
        }
    }
    batch.push(|record| {
        record.push(TOMBSTONES);
        put_bytes(record, &encode_tombstones(inner));
    })?;
    push_exemplars(inner, &mut batch)?;
    out.append(&batch)?;
    out.finish()
}

/// A tombstones file without what frames it.
fn encode_tombstones(inner: &Inner) -> Vec<u8> {
    let mut bytes = vec![TOMBSTONES_VERSION];
    for (slot, intervals) in inner.tombstones.read().iter() {
        for interval in intervals {
            put_uvarint(&mut bytes, inner.series_ref(slot as Slot));
            put_varint(&mut bytes, interval.start_ms);
            put_varint(&mut bytes, interval.end_ms);
        }
    }
    bytes
}

fn load_tombstones(bytes: &[u8], loader: &mut Loader) -> Result<(), RecordError> {
    let mut decoder = Decoder::new(bytes);
    match decoder.u8()? {
        TOMBSTONES_VERSION => {}
        other => return Err(RecordError::Kind(other)),
    }
    while !decoder.is_empty() {
        let (series, start_ms, end_ms) = (decoder.uvarint()?, decoder.varint()?, decoder.varint()?);
        let slot = loader.slots.slot(series);
        if start_ms <= end_ms {
            loader.tombstones.add(u64::from(slot), TimeRange::new(start_ms, end_ms));
        }
    }
    Ok(())
}

fn put_open_chunk(record: &mut Vec<u8>, encoding: Encoding, data: &[u8], min_ms: i64, max_ms: i64) {
    put_uvarint(record, 1);
    put_i64(record, min_ms);
    put_i64(record, max_ms);
    record.push(encoding.as_byte());
    put_bytes(record, data);
    let mut last = None;
    // A chunk this process wrote decodes.
    let _ = chunkenc::for_each::<chunkenc::ChunkError>(data, encoding, |sample| {
        last = Some(sample.value);
        Ok(())
    });
    match last {
        Some(RawValue::Histogram(h)) => put_histogram(record, &AnyHistogram::Integer(Arc::new(h.0))),
        Some(RawValue::FloatHistogram(h)) => put_histogram(record, &AnyHistogram::Float(Arc::new(*h))),
        Some(RawValue::Float(value)) => {
            record.extend_from_slice(&[0; UNUSED_SAMPLES * 16]);
            put_i64(record, 0);
            put_f64(record, value);
        }
        None => {}
    }
}

fn push_exemplars(inner: &Inner, batch: &mut RecordBatch) -> Result<(), WalError> {
    let state = inner.index.read();
    let exemplars = inner.exemplars.read();
    let mut entries = Vec::new();
    for (labels, exemplar) in exemplars.iter() {
        // Those of series that are gone go with them.
        let Some(slot) = state.index.find(labels, &inner.table) else { continue };
        entries.push(ExemplarEntry {
            series: inner.series_ref(slot),
            t_ms: exemplar.timestamp_ms,
            value: exemplar.value,
            labels: exemplar.labels.clone(),
        });
    }
    for part in entries.chunks(EXEMPLARS_PER_RECORD) {
        batch.push(|record| {
            record.push(EXEMPLARS);
            put_exemplar_entries(record, part);
        })?;
    }
    Ok(())
}

/// Snapshots of a data directory: segment, offset and path, oldest first.
fn list(dir: &Path) -> Vec<(u32, u64, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let parse = |name: &str| {
        let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
        Some((segment.parse().ok()?, offset.parse().ok()?))
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let (segment, offset) = parse(&entry.file_name().to_string_lossy())?;
            Some((segment, offset, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Loads the newest snapshot, if there is one that the log does not lag behind. Returns where in the log to
/// go on; `None`, with nothing loaded, when there is no usable snapshot. A damaged one is set aside.
pub(super) fn load(
    dir: &Path,
    quarantine: &Path,
    loader: &mut Loader,
    metrics: &HeadMetrics,
    report: &mut ReplayReport,
) -> Option<(u32, u64)> {
    let (segment, offset, path) = list(dir).pop()?;
    let last_segment = list_segments(&dir.join("wal")).ok().and_then(|segments| segments.last().copied());
    if last_segment.is_none_or(|last| last < segment) {
        tracing::warn!("snapshot is newer than the log: it is not used");
        return None;
    }
    match load_records(&path, loader) {
        Ok(()) => Some((segment, offset)),
        Err(reason) => {
            metrics.snapshot_errors.inc();
            report.damages.push(format!("{}: {reason}", path.display()));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match repair::move_aside(&path, quarantine, &name) {
                Ok(kept) => {
                    let (snapshot, moved_to) = (path.display(), kept.display());
                    tracing::error!(%snapshot, reason, %moved_to, "damaged snapshot set aside; the log is read instead");
                }
                Err(error) => {
                    let snapshot = path.display();
                    tracing::error!(%snapshot, reason, %error, "damaged snapshot left in place; the log is read instead");
                }
            }
            loader.reset();
            None
        }
    }
}

fn load_records(path: &Path, loader: &mut Loader) -> Result<(), String> {
    for segment in list_segments(path).map_err(|error| error.to_string())? {
        let mut reader =
            SegmentReader::open(&existing_segment_path(path, segment)).map_err(|error| error.to_string())?;
        loop {
            match reader.next().map_err(|error| error.to_string())? {
                ReadEvent::End => break,
                ReadEvent::Damage(damage) => return Err(damage.to_string()),
                ReadEvent::Record(record) => load_record(record, loader)?,
            }
        }
    }
    Ok(())
}

fn load_record(record: &[u8], loader: &mut Loader) -> Result<(), String> {
    let text = |error: RecordError| error.to_string();
    let (&kind, body) = record.split_first().ok_or("empty record")?;
    let mut decoder = Decoder::new(body);
    match kind {
        SERIES => load_series(&mut decoder, loader),
        TOMBSTONES => {
            let bytes = decoder.bytes().map_err(text)?;
            load_tombstones(bytes, loader).map_err(text)
        }
        EXEMPLARS => read_exemplar_entries(&mut decoder, |entry| {
            let slot = loader.slots.slot(entry.series);
            let ExemplarEntry { t_ms, value, labels, .. } = entry;
            let exemplar = Exemplar { labels, value, timestamp_ms: t_ms, has_timestamp: true };
            loader.exemplars.push((slot, exemplar));
        })
        .map_err(text),
        other => Err(format!("unsupported snapshot record type {other}")),
    }
}

fn load_series(decoder: &mut Decoder<'_>, loader: &mut Loader) -> Result<(), String> {
    let text = |error: RecordError| error.to_string();
    let slot = loader.slots.slot(decoder.u64().map_err(text)?);
    let mut pairs = Vec::new();
    read_labels(decoder, &mut pairs).map_err(text)?;
    let labels = Labels::from_sorted(pairs.iter().copied());
    decoder.i64().map_err(text)?;
    let open = match decoder.uvarint().map_err(text)? {
        0 => None,
        _ => {
            let (min_ms, max_ms) = (decoder.i64().map_err(text)?, decoder.i64().map_err(text)?);
            let encoding = Encoding::from_byte(decoder.u8().map_err(text)?).map_err(|e| e.to_string())?;
            Some((min_ms, max_ms, encoding, decoder.bytes().map_err(text)?))
        }
    };
    let (number, at) = locate(slot);
    let page = loader.table.page_or_new(number);
    if page.last_t_ms(at) != NO_SERIES || loader.index.find(&labels, &loader.table).is_some() {
        return Err("series occurs twice".to_owned());
    }
    let mut all = page.series.write();
    let series = &mut all[at];
    series.cold.get_or_insert_default().labels = loader.index.insert(&labels, slot);
    page.set_last_t_ms(at, NO_SAMPLE);
    let Some((min_ms, max_ms, encoding, data)) = open else { return Ok(()) };
    let failed = |error: chunkenc::ChunkError| error.to_string();
    let kind = match encoding {
        Encoding::Xor => {
            let xor = XorAppender::from_bytes(data).map_err(failed)?;
            series.stale = is_stale_nan(xor.last_value());
            series.xor = Some(xor);
            None
        }
        Encoding::Xor2 => Some(OpenKind::Xor2(Xor2Appender::from_bytes(data).map_err(failed)?)),
        Encoding::Histogram | Encoding::HistogramSt => {
            let appender = HistogramAppender::from_bytes(data, encoding).map_err(failed)?;
            series.stale = is_stale_nan(appender.last_sum());
            Some(OpenKind::Histogram(appender))
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            let appender = FloatHistogramAppender::from_bytes(data, encoding).map_err(failed)?;
            series.stale = is_stale_nan(appender.last_sum());
            Some(OpenKind::FloatHistogram(appender))
        }
    };
    if let Some(kind) = kind {
        series.extra_mut().open = Some(OpenChunk { min_ms, kind });
    }
    series.last_kind = kind_of(encoding);
    series.next_at_ms = range_end(max_ms, loader.chunk_range_ms);
    page.set_last_t_ms(at, max_ms);
    loader.widen(min_ms, max_ms);
    Ok(())
}
