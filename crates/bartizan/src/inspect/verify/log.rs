//! Verifying the logs: the write-ahead log with its checkpoint, the out-of-order log, and snapshots of the
//! head, which have the same form.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tsdb::wal::histogram::for_each_histogram;
use tsdb::wal::reader::{ReadEvent, SegmentReader};
use tsdb::wal::record::{self, Kind, RecordError};
use tsdb::wal::segment::{existing_segment_path, last_checkpoint, list_segments};

use super::{Findings, Totals};

/// Reads all logs of a data directory.
pub fn verify(dir: &Path, findings: &mut Findings<'_>, totals: &mut Totals) -> anyhow::Result<()> {
    let mut log =
        LogCheck { findings, totals, series: HashSet::new(), unknown: 0, records_have_meaning: true };
    let wal = dir.join("wal");
    let mut first = None;
    if let Some((covered, path)) = last_checkpoint(&wal)? {
        log.directory(&path, None)?;
        first = Some(covered + 1);
    }
    log.directory(&wal, first)?;
    log.directory(&dir.join("wbl"), None)?;
    if log.unknown > 0 {
        let text = format!("{} log entries are of series the log does not name", log.unknown);
        log.findings.note(format_args!("{}: {text}", wal.display()))?;
    }
    log.records_have_meaning = false;
    for path in snapshots(dir)? {
        log.directory(&path, None)?;
    }
    Ok(())
}

fn snapshots(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("chunk_snapshot.") && !name.ends_with(".tmp") && path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

struct LogCheck<'a, 'w> {
    findings: &'a mut Findings<'w>,
    totals: &'a mut Totals,
    /// References of the series named so far.
    series: HashSet<u64>,
    /// Entries of series that were not named.
    unknown: u64,
    /// Snapshots have records of their own; of those only the frames are read.
    records_have_meaning: bool,
}

impl LogCheck<'_, '_> {
    /// Reads the segments of one directory. Those from `first` on must follow one another without a gap.
    fn directory(&mut self, dir: &Path, first: Option<u32>) -> anyhow::Result<()> {
        let segments = list_segments(dir)?;
        // Segments a checkpoint covers may not have been deleted yet; they have nothing to add.
        let needed: Vec<u32> =
            segments.into_iter().filter(|&segment| first.is_none_or(|first| segment >= first)).collect();
        if let (Some(&found), Some(first)) = (needed.first(), first)
            && found != first
        {
            self.findings
                .problem_in(dir, format_args!("segment {first:08} behind the checkpoint is missing"))?;
        }
        for pair in needed.windows(2).filter(|pair| pair[1] != pair[0] + 1) {
            let text = format!("segments {:08} to {:08} are missing", pair[0] + 1, pair[1] - 1);
            self.findings.problem_in(dir, text)?;
        }
        for (i, &segment) in needed.iter().enumerate() {
            self.segment(&existing_segment_path(dir, segment), i + 1 == needed.len())?;
        }
        self.findings.end_part(dir)?;
        Ok(())
    }

    fn segment(&mut self, path: &Path, is_last: bool) -> anyhow::Result<()> {
        self.totals.segments += 1;
        let mut reader = SegmentReader::open(path)?;
        loop {
            // Records borrow from the reader: what is to be said of one is kept until it is done.
            let outcome = match reader.next()? {
                ReadEvent::End => return Ok(()),
                ReadEvent::Damage(damage) if is_last && damage.is_cut_off() => {
                    let text = format!("{damage}: a server was writing it, or ended in the middle of that");
                    self.findings.note(text)?;
                    continue;
                }
                ReadEvent::Damage(damage) => {
                    self.findings.problem(damage)?;
                    continue;
                }
                ReadEvent::Record(record) => {
                    self.totals.records += 1;
                    if !self.records_have_meaning {
                        continue;
                    }
                    match Kind::of(record) {
                        Some(kind) => decode(kind, record, &mut self.series, &mut self.unknown).map_err(Some),
                        None => Err(None),
                    }
                }
            };
            let at = reader.record_start();
            match outcome {
                Ok(()) => {}
                Err(Some(error)) => {
                    self.findings.problem_in(path, format_args!("record at offset {at}: {error}"))?
                }
                Err(None) => {
                    let text = format!(
                        "{}: record at offset {at} is of a kind this version does not know",
                        path.display()
                    );
                    self.findings.note(text)?;
                }
            }
        }
    }
}

/// Reads all entries of a record.
fn decode(kind: Kind, bytes: &[u8], series: &mut HashSet<u64>, unknown: &mut u64) -> Result<(), RecordError> {
    if kind == Kind::Series {
        return record::for_each_series(bytes, |reference, _| {
            series.insert(reference);
        });
    }
    let mut seen = |reference: u64| *unknown += u64::from(!series.contains(&reference));
    match kind {
        Kind::Series => Ok(()),
        Kind::Samples | Kind::SamplesWithStart => record::for_each_float(bytes, |entry| seen(entry.series)),
        Kind::Tombstones => record::for_each_tombstone(bytes, |entry| seen(entry.series)),
        Kind::Exemplars => record::for_each_exemplar(bytes, |entry| seen(entry.series)),
        Kind::MmapMarkers => record::for_each_mmap_marker(bytes, |entry| seen(entry.series)),
        Kind::Metadata => record::for_each_metadata(bytes, |entry| seen(entry.series)),
        Kind::Histograms
        | Kind::FloatHistograms
        | Kind::CustomHistograms
        | Kind::CustomFloatHistograms
        | Kind::HistogramsWithStart
        | Kind::FloatHistogramsWithStart => for_each_histogram(bytes, |entry| seen(entry.series)),
    }
}
