//! Checkpoints: what is still needed of old segments, in fewer bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use model::Labels;

use super::WalError;
use super::batch::RecordBatch;
use super::damage::{Damage, Damages};
use super::frame::{append_framed, framed_bound};
use super::histogram::{for_each_histogram, put_histograms};
use super::reader::{ReadEvent, SegmentReader};
use super::record::{
    self, Kind, MetadataEntry, for_each_exemplar, for_each_float, for_each_metadata, for_each_series,
    for_each_tombstone,
};
use super::segment::{
    checkpoint_path, delete_unfinished_checkpoints, existing_segment_path, last_checkpoint, list_segments,
    segment_path, sync_dir,
};
use super::writer::Wal;

/// What a checkpoint was made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Series records read and kept.
    pub series: Kept,
    /// Samples of any type read and kept.
    pub samples: Kept,
    /// Tombstones read and kept.
    pub tombstones: Kept,
    /// Exemplars read and kept.
    pub exemplars: Kept,
    /// Metadata entries read and kept.
    pub metadata: Kept,
    /// Places that could not be read and were left out.
    pub damages: Damages,
}

/// How many entries were read, and how many of them kept.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Entries read.
    pub read: u64,
    /// Entries kept.
    pub kept: u64,
}

impl Kept {
    /// Counts an entry, and keeps it in `kept` if it is wanted.
    fn sift<T>(&mut self, entry: T, wanted: bool, kept: &mut Vec<T>) {
        self.read += 1;
        if wanted {
            self.kept += 1;
            kept.push(entry);
        }
    }
}

/// Flush the checkpoint's buffer at this size.
const FLUSH_BYTES: usize = 1 << 20;

/// Writes the checkpoint that replaces the last one and the segments up to `to`.
///
/// Kept are series for which `keep` is true, samples and exemplars at or after `min_t_ms`, tombstones of
/// kept series that reach `min_t_ms`, and the newest metadata of each kept series. `keep` must answer the
/// same for a series throughout.
pub fn write_checkpoint(
    wal: &Wal,
    to: u32,
    min_t_ms: i64,
    keep: &dyn Fn(u64) -> bool,
) -> Result<CheckpointStats, WalError> {
    let dir = wal.dir();
    delete_unfinished_checkpoints(dir)?;
    let mut sources = Vec::new();
    let mut from = 0;
    if let Some((covered, path)) = last_checkpoint(dir)? {
        from = covered + 1;
        sources.extend(list_segments(&path)?.into_iter().map(|index| existing_segment_path(&path, index)));
    }
    let segments = list_segments(dir)?.into_iter().filter(|index| (from..=to).contains(index));
    sources.extend(segments.map(|index| existing_segment_path(dir, index)));

    let finished = checkpoint_path(dir, to);
    let unfinished = finished.with_extension(format!("{to:08}.tmp"));
    std::fs::create_dir_all(&unfinished).map_err(WalError::io("create", &unfinished))?;
    let written = Filter::new(wal, &unfinished, min_t_ms, keep).and_then(|filter| filter.run(&sources));
    let stats = match written {
        Ok(stats) => stats,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&unfinished);
            return Err(error);
        }
    };
    if finished.exists() {
        std::fs::remove_dir_all(&finished).map_err(WalError::io("delete", &finished))?;
    }
    std::fs::rename(&unfinished, &finished).map_err(WalError::io("rename", &unfinished))?;
    sync_dir(dir)?;
    Ok(stats)
}

struct Filter<'a> {
    min_t_ms: i64,
    keep: &'a dyn Fn(u64) -> bool,
    out: Output,
    batch: RecordBatch,
    metadata: HashMap<u64, MetadataEntry>,
    stats: CheckpointStats,
}

impl<'a> Filter<'a> {
    fn new(wal: &Wal, dir: &Path, min_t_ms: i64, keep: &'a dyn Fn(u64) -> bool) -> Result<Self, WalError> {
        Ok(Self {
            min_t_ms,
            keep,
            out: Output::create(dir)?,
            batch: RecordBatch::new(wal.compression()),
            metadata: HashMap::new(),
            stats: CheckpointStats::default(),
        })
    }

    fn run(mut self, sources: &[PathBuf]) -> Result<CheckpointStats, WalError> {
        for path in sources {
            let mut reader = SegmentReader::open(path)?;
            loop {
                match reader.next()? {
                    ReadEvent::End => break,
                    ReadEvent::Damage(damage) => self.stats.damages.push(damage),
                    ReadEvent::Record(record) => match self.take(record) {
                        // It would never decode: waiting for it would keep the log growing for good.
                        Err(WalError::Record(error)) => {
                            let (path, offset) = (path.clone(), reader.record_start());
                            let reason = error.to_string();
                            self.stats.damages.push(Damage { path, offset, torn_end: false, reason });
                        }
                        taken => taken?,
                    },
                }
                if self.batch.data_bytes() > FLUSH_BYTES {
                    self.out.append(&self.batch)?;
                    self.batch.clear();
                }
            }
        }
        let mut newest: Vec<_> = std::mem::take(&mut self.metadata).into_values().collect();
        newest.sort_by_key(|entry| entry.series);
        self.stats.metadata.kept = newest.len() as u64;
        for part in newest.chunks(10_000) {
            self.batch.push(|out| record::put_metadata(out, part))?;
        }
        self.out.append(&self.batch)?;
        self.out.finish()?;
        Ok(self.stats)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), WalError> {
        match Kind::of(bytes) {
            Some(Kind::Series) => self.take_series(bytes),
            Some(Kind::Samples | Kind::SamplesWithStart) => self.take_floats(bytes),
            Some(Kind::Tombstones) => self.take_tombstones(bytes),
            Some(Kind::Exemplars) => self.take_exemplars(bytes),
            Some(Kind::Metadata) => {
                let Self { metadata, stats, keep, .. } = self;
                for_each_metadata(bytes, |entry| {
                    stats.metadata.read += 1;
                    if keep(entry.series) {
                        metadata.insert(entry.series, entry);
                    }
                })?;
                Ok(())
            }
            Some(
                kind @ (Kind::Histograms
                | Kind::FloatHistograms
                | Kind::CustomHistograms
                | Kind::CustomFloatHistograms
                | Kind::HistogramsWithStart
                | Kind::FloatHistogramsWithStart),
            ) => self.take_histograms(kind, bytes),
            Some(Kind::MmapMarkers) | None => Ok(()),
        }
    }

    fn take_series(&mut self, bytes: &[u8]) -> Result<(), WalError> {
        let Self { stats, keep, batch, .. } = self;
        let mut kept: Vec<(u64, Labels)> = Vec::new();
        for_each_series(bytes, |series, pairs| {
            stats.series.read += 1;
            if keep(series) {
                kept.push((series, Labels::from_sorted(pairs.iter().copied())));
            }
        })?;
        stats.series.kept += kept.len() as u64;
        if kept.is_empty() {
            return Ok(());
        }
        batch.push(|out| {
            record::begin(out, Kind::Series);
            for (series, labels) in &kept {
                record::put_series(out, *series, labels);
            }
        })
    }

    fn take_floats(&mut self, bytes: &[u8]) -> Result<(), WalError> {
        let Self { stats, min_t_ms, batch, .. } = self;
        let mut kept = Vec::new();
        for_each_float(bytes, |sample| stats.samples.sift(sample, sample.t_ms >= *min_t_ms, &mut kept))?;
        let with_start = Kind::of(bytes) == Some(Kind::SamplesWithStart);
        batch.push(|out| record::put_floats(out, &kept, with_start))
    }

    fn take_histograms(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), WalError> {
        let Self { stats, min_t_ms, batch, .. } = self;
        let mut kept = Vec::new();
        for_each_histogram(bytes, |sample| {
            let wanted = sample.t_ms >= *min_t_ms;
            stats.samples.sift(sample, wanted, &mut kept);
        })?;
        // Early versions put histograms with custom buckets into the general kinds.
        let kinds = match kind {
            Kind::Histograms => vec![Kind::Histograms, Kind::CustomHistograms],
            Kind::FloatHistograms => vec![Kind::FloatHistograms, Kind::CustomFloatHistograms],
            other => vec![other],
        };
        for kind in kinds {
            batch.push(|out| {
                put_histograms(out, kind, &kept);
            })?;
        }
        Ok(())
    }

    fn take_tombstones(&mut self, bytes: &[u8]) -> Result<(), WalError> {
        let Self { stats, keep, min_t_ms, batch, .. } = self;
        let mut kept = Vec::new();
        for_each_tombstone(bytes, |stone| {
            let wanted = keep(stone.series) && stone.end_ms >= *min_t_ms;
            stats.tombstones.sift(stone, wanted, &mut kept);
        })?;
        if kept.is_empty() {
            return Ok(());
        }
        batch.push(|out| record::put_tombstones(out, &kept))
    }

    fn take_exemplars(&mut self, bytes: &[u8]) -> Result<(), WalError> {
        let Self { stats, min_t_ms, batch, .. } = self;
        let mut kept = Vec::new();
        for_each_exemplar(bytes, |exemplar| {
            let wanted = exemplar.t_ms >= *min_t_ms;
            stats.exemplars.sift(exemplar, wanted, &mut kept);
        })?;
        if kept.is_empty() {
            return Ok(());
        }
        batch.push(|out| record::put_exemplars(out, &kept))
    }
}

/// The segments of a checkpoint or snapshot being written.
#[derive(Debug)]
pub struct Output {
    dir: PathBuf,
    file: std::fs::File,
    index: u32,
    offset: u64,
    framed: Vec<u8>,
}

impl Output {
    /// Starts with segment 0 in `dir`.
    pub fn create(dir: &Path) -> Result<Self, WalError> {
        let path = segment_path(dir, 0);
        let file = std::fs::File::create(&path).map_err(WalError::io("create", &path))?;
        Ok(Self { dir: dir.to_owned(), file, index: 0, offset: 0, framed: Vec::new() })
    }

    /// Appends the records of a batch.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<(), WalError> {
        use std::io::Write;
        for (how, record) in batch.records() {
            if self.offset > 0 && self.offset + framed_bound(record.len()) > super::segment::SEGMENT_BYTES {
                self.flush_segment()?;
                self.index += 1;
                let path = segment_path(&self.dir, self.index);
                self.file = std::fs::File::create(&path).map_err(WalError::io("create", &path))?;
                self.offset = 0;
            }
            self.framed.clear();
            let (end, _) = append_framed(&mut self.framed, self.offset, how, record);
            let path = || segment_path(&self.dir, self.index);
            self.file.write_all(&self.framed).map_err(WalError::io("write", path()))?;
            self.offset = end;
        }
        Ok(())
    }

    fn flush_segment(&mut self) -> Result<(), WalError> {
        let path = segment_path(&self.dir, self.index);
        self.file.sync_all().map_err(WalError::io("sync", path))
    }

    /// Makes everything durable.
    pub fn finish(mut self) -> Result<(), WalError> {
        self.flush_segment()?;
        sync_dir(&self.dir)
    }
}
