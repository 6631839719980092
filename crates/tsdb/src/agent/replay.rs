//! Starting: which series the log has, and how far each has come.

use std::path::{Path, PathBuf};

use base::clock::SharedClock;
use hashbrown::HashMap;
use model::Labels;

use super::metrics::AgentMetrics;
use super::table::{Cursor, SeriesTable};
use crate::trouble::Tally;
use crate::wal::histogram::for_each_histogram;
use crate::wal::record::{Kind, RecordError, for_each_float, for_each_series};
use crate::wal::segment::{
    delete_unfinished_checkpoints, existing_segment_path, last_checkpoint, list_segments,
};
use crate::wal::{Damages, ReadEvent, ReplayProgress, SegmentReader, WalError, repair};

struct Replay<'a> {
    table: &'a SeriesTable,
    cursor: Cursor,
    /// References of series that have another one here.
    aliases: HashMap<u64, u64>,
    /// Until which segment the log has samples of them.
    gone: HashMap<u64, u32>,
    unknown: u64,
    undecodable: Tally,
}

/// Reads the log in `dir` into `table`. References the log has beside those in the table are handed out, with
/// the last segment that may have samples of them.
pub(super) fn replay(
    dir: &Path,
    table: &SeriesTable,
    metrics: &AgentMetrics,
    clock: &SharedClock,
    progress: &ReplayProgress,
) -> Result<HashMap<u64, u32>, WalError> {
    let began = clock.monotonic();
    let wal_dir = dir.join("wal");
    if let Err(error) = delete_unfinished_checkpoints(&wal_dir) {
        tracing::warn!(%error, "unfinished checkpoint could not be deleted");
    }
    let mut sources: Vec<(u32, PathBuf)> = Vec::new();
    let mut from = 0;
    if let Some((covered, path)) = last_checkpoint(&wal_dir)? {
        from = covered + 1;
        let segments = list_segments(&path)?.into_iter();
        sources.extend(segments.map(|segment| (covered, existing_segment_path(&path, segment))));
    }
    let segments = list_segments(&wal_dir)?.into_iter().filter(|&segment| segment >= from);
    sources.extend(segments.map(|segment| (segment, existing_segment_path(&wal_dir, segment))));
    let mut replay = Replay {
        table,
        cursor: Cursor::default(),
        aliases: HashMap::new(),
        gone: HashMap::new(),
        unknown: 0,
        undecodable: Tally::default(),
    };
    let mut damages = Damages::default();
    if let (Some((first, _)), Some((last, _))) = (sources.first(), sources.last()) {
        progress.begin(*first, *last);
    }
    for (segment, path) in &sources {
        replay.read(*segment, path, &mut damages)?;
        progress.reach(*segment);
    }
    metrics.corruptions.add(damages.places());
    repair::mend(&damages, &dir.join("quarantine"));
    if let Some((records, first)) = replay.undecodable.found() {
        tracing::warn!(records, first, "records of the log do not decode");
    }
    if replay.unknown > 0 {
        tracing::warn!(samples = replay.unknown, "log entries name series the log does not");
    }
    let took = clock.monotonic() - began;
    metrics.replay_seconds.set(took.as_secs_f64());
    tracing::info!(
        series = table.len(),
        segments = sources.len(),
        duration_ms = took.as_millis() as u64,
        "log replayed"
    );
    Ok(replay.gone)
}

impl Replay<'_> {
    fn read(&mut self, segment: u32, path: &Path, damages: &mut Damages) -> Result<(), WalError> {
        let mut reader = SegmentReader::open(path)?;
        loop {
            let start = match reader.next()? {
                ReadEvent::End => return Ok(()),
                ReadEvent::Damage(damage) => {
                    damages.push(damage);
                    continue;
                }
                ReadEvent::Record(record) => self.take(segment, record),
            };
            if let Err(error) = start {
                let offset = reader.record_start();
                self.undecodable.add(|| format!("{} at offset {offset}: {error}", path.display()));
            }
        }
    }

    fn take(&mut self, segment: u32, record: &[u8]) -> Result<(), RecordError> {
        match Kind::of(record) {
            Some(Kind::Series) => for_each_series(record, |series, pairs| {
                let labels = Labels::from_sorted(pairs.iter().copied());
                let first = self.table.restore(series, &labels);
                if first != series {
                    self.aliases.insert(series, first);
                    self.gone.insert(series, segment);
                }
            }),
            Some(Kind::Samples | Kind::SamplesWithStart) => {
                for_each_float(record, |sample| self.note(segment, sample.series, sample.t_ms))
            }
            Some(
                Kind::Histograms
                | Kind::FloatHistograms
                | Kind::CustomHistograms
                | Kind::CustomFloatHistograms
                | Kind::HistogramsWithStart
                | Kind::FloatHistogramsWithStart,
            ) => for_each_histogram(record, |sample| self.note(segment, sample.series, sample.t_ms)),
            Some(Kind::Tombstones | Kind::Exemplars | Kind::Metadata | Kind::MmapMarkers) | None => Ok(()),
        }
    }

    fn note(&mut self, segment: u32, series: u64, t_ms: i64) {
        let series = match self.aliases.get(&series) {
            Some(&first) => {
                self.gone.insert(series, segment);
                first
            }
            None => series,
        };
        if self.cursor.newest_ms(self.table, series).is_none() {
            self.unknown += 1;
            return;
        }
        self.cursor.note(self.table, series, t_ms);
    }
}
