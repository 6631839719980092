//! Reading the log from a cursor on, as it grows.

use tsdb::wal::record::{Kind, for_each_metadata, for_each_series};
use tsdb::wal::segment::{existing_segment_path, last_checkpoint, list_segments};
use tsdb::wal::{Damage, LogTail, Position, ReadEvent, SegmentReader, WalError};
use wire::remote_write::MessageType;

use super::metrics::QueueMetrics;
use super::series::{LabelRules, SeriesTable};

/// What [`LogReader::next`] found.
#[derive(Debug)]
pub enum Step<'a> {
    /// A record, and where it begins.
    Record(&'a [u8], Position),
    /// A segment is done; the next one begins.
    NextSegment,
    /// Everything written so far is read.
    End,
}

/// Reads one log.
#[derive(Debug)]
pub struct LogReader {
    tail: LogTail,
    segment: u32,
    reader: Option<SegmentReader>,
    /// Where reading goes on in `segment` when `reader` is opened.
    offset: u64,
    /// The last checkpoint that was looked at.
    checkpoint: Option<u32>,
    /// Bytes read of segments that are done.
    done_bytes: u64,
}

/// Where reading starts, and what of the log was gone by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The first record to be read.
    pub at: Position,
    /// Segments between the cursor and that which are gone.
    pub lost_segments: u32,
}

impl LogReader {
    /// A reader of the records behind `cursor`, or of those still to come without one.
    pub fn new(tail: LogTail, cursor: Option<Position>) -> Result<(Self, Start), WalError> {
        let end = tail.end();
        let checkpoint = last_checkpoint(tail.dir())?.map(|(index, _)| index);
        let first = list_segments(tail.dir())?.first().copied().unwrap_or(end.segment);
        let first = first.max(checkpoint.map_or(0, |covered| covered + 1));
        let start = match cursor {
            None => Start { at: end, lost_segments: 0 },
            // The log was begun anew: all of it is younger than the cursor.
            Some(cursor) if cursor > end => Start { at: Position::new(first, 0), lost_segments: 0 },
            Some(cursor) if cursor.segment < first => {
                Start { at: Position::new(first, 0), lost_segments: first - cursor.segment }
            }
            Some(cursor) => Start { at: cursor, lost_segments: 0 },
        };
        let Position { segment, offset } = start.at;
        Ok((Self { tail, segment, reader: None, offset, checkpoint, done_bytes: 0 }, start))
    }

    /// Where the next record begins.
    pub fn position(&self) -> Position {
        let offset = self.reader.as_ref().map_or(self.offset, SegmentReader::offset);
        Position::new(self.segment, offset)
    }

    /// Bytes of log read so far.
    pub fn read_bytes(&self) -> u64 {
        self.done_bytes + self.position().offset
    }

    /// Where the log ends.
    pub fn end(&self) -> Position {
        self.tail.end()
    }

    /// Bytes written to the log since it was opened.
    pub fn written_bytes(&self) -> u64 {
        self.tail.written_bytes()
    }

    /// Bytes the log may grow to for what is not sent yet.
    pub fn limit_bytes(&self) -> u64 {
        self.tail.hold_bytes()
    }

    /// Bytes of log between here and its end; what segments between take is their files' size.
    pub fn backlog_bytes(&self) -> u64 {
        let (end, here) = (self.tail.end(), self.position());
        if here.segment >= end.segment {
            return end.offset.saturating_sub(here.offset);
        }
        let size = |segment| {
            let path = existing_segment_path(self.tail.dir(), segment);
            std::fs::metadata(path).map_or(0, |metadata| metadata.len())
        };
        let whole: u64 = (here.segment..end.segment).map(size).sum();
        whole.saturating_sub(here.offset) + end.offset
    }

    /// Learns the series that records from here on may name: those of the last checkpoint, and of the segments before.
    /// `go_on` is asked between segments. If the cursor's offset is no start of a record any more, because
    /// the segment was rewritten to set damage aside, reading goes on at the start of the segment.
    pub fn learn_series(
        &mut self,
        series: &mut SeriesTable,
        rules: &LabelRules,
        metrics: &QueueMetrics,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), WalError> {
        let dir = self.tail.dir().to_owned();
        let mut learner = Learner { series, rules, metrics, refresh: false };
        let mut from = 0;
        if let Some((covered, path)) = last_checkpoint(&dir)? {
            for index in list_segments(&path)? {
                learner.segment(&existing_segment_path(&path, index), covered, u64::MAX)?;
            }
            from = covered + 1;
        }
        for segment in list_segments(&dir)?.into_iter().filter(|s| (from..self.segment).contains(s)) {
            if !go_on() {
                return Ok(());
            }
            learner.segment(&existing_segment_path(&dir, segment), segment, u64::MAX)?;
        }
        if self.offset > 0 {
            let path = existing_segment_path(&dir, self.segment);
            let found = match path.exists() {
                true => learner.segment(&path, self.segment, self.offset)?,
                false => true,
            };
            if !found {
                tracing::warn!(
                    segment = self.segment,
                    "log segment was rewritten; it is sent from its start"
                );
                self.offset = 0;
            }
        }
        Ok(())
    }

    /// Looks whether there is a new checkpoint; if so, learns which series it keeps and forgets all others that no
    /// later segment names.
    pub fn forget_series(
        &mut self,
        series: &mut SeriesTable,
        rules: &LabelRules,
        metrics: &QueueMetrics,
    ) -> Result<(), WalError> {
        let Some((covered, path)) = last_checkpoint(self.tail.dir())? else { return Ok(()) };
        if self.checkpoint.is_some_and(|known| known >= covered) || covered >= self.segment {
            return Ok(());
        }
        let mut learner = Learner { series, rules, metrics, refresh: true };
        for index in list_segments(&path)? {
            learner.segment(&existing_segment_path(&path, index), covered, u64::MAX)?;
        }
        series.forget_before(covered);
        self.checkpoint = Some(covered);
        Ok(())
    }

    /// The next record, as far as the log is written.
    pub fn next(&mut self, metrics: &QueueMetrics) -> Result<Step<'_>, WalError> {
        let end = self.tail.end();
        if self.reader.is_none() {
            let path = existing_segment_path(self.tail.dir(), self.segment);
            if self.segment == end.segment && !path.exists() {
                // It is made when the first batch comes.
                return Ok(Step::End);
            }
            self.reader = Some(SegmentReader::open_at(&path, self.offset)?);
            metrics.watcher.segment.store(u64::from(self.segment), std::sync::atomic::Ordering::Relaxed);
        }
        let reader = self.reader.as_mut().expect("opened above when there was none");
        reader.set_limit(if self.segment == end.segment { end.offset } else { u64::MAX });
        let found = loop {
            match reader.next()? {
                ReadEvent::Damage(damage) => note_damage(&damage, metrics),
                ReadEvent::Record(_) => break true,
                ReadEvent::End => break false,
            }
        };
        if found {
            let reader = self.reader.as_ref().expect("it has just been read from");
            return Ok(Step::Record(reader.record(), Position::new(self.segment, reader.record_start())));
        }
        if self.segment >= end.segment {
            return Ok(Step::End);
        }
        self.done_bytes += reader.offset();
        (self.reader, self.offset) = (None, 0);
        self.segment += 1;
        Ok(Step::NextSegment)
    }

    /// Goes on at the first segment at or after `segment` that is there; how many are skipped.
    pub fn skip_to(&mut self, segment: u32) -> Result<u32, WalError> {
        let segments = list_segments(self.tail.dir())?;
        let end = self.tail.end().segment;
        let next = segments.into_iter().find(|&there| there >= segment).unwrap_or(end).max(segment);
        let skipped = next.saturating_sub(self.segment);
        if skipped > 0 {
            (self.segment, self.offset, self.reader) = (next, 0, None);
        }
        Ok(skipped)
    }
}

/// Damage is skipped; a record cut off at the end of a segment is what a crash leaves and was never acknowledged.
fn note_damage(damage: &Damage, metrics: &QueueMetrics) {
    if damage.is_cut_off() {
        return;
    }
    metrics.watcher.corruptions.inc();
    metrics.watcher.failures.inc();
    tracing::warn!(%damage, "damaged place in the write-ahead log is not sent");
}

struct Learner<'a> {
    series: &'a mut SeriesTable,
    rules: &'a LabelRules,
    metrics: &'a QueueMetrics,
    /// Series that are known keep the labels they have.
    refresh: bool,
}

impl Learner<'_> {
    /// Learns from a segment up to `end`; false when no record begins or ends there.
    fn segment(&mut self, path: &std::path::Path, index: u32, end: u64) -> Result<bool, WalError> {
        let mut reader = SegmentReader::open(path)?;
        let mut found = end == u64::MAX;
        loop {
            let at = reader.offset();
            found |= at == end;
            if at >= end {
                return Ok(found);
            }
            match reader.next()? {
                ReadEvent::End => return Ok(found || end >= reader.offset()),
                ReadEvent::Damage(_) => {}
                ReadEvent::Record(record) => match Kind::of(record) {
                    Some(Kind::Series) => {
                        learn(self.series, self.rules, (index, self.refresh), record, self.metrics);
                    }
                    Some(Kind::Metadata) => learn_metadata(self.series, record, self.metrics),
                    _ => {}
                },
            }
            if reader.record_start() == end {
                return Ok(true);
            }
        }
    }
}

/// Takes in the series of a record found in `segment`; with `refresh`, those that are known keep their labels.
pub fn learn(
    series: &mut SeriesTable,
    rules: &LabelRules,
    (segment, refresh): (u32, bool),
    record: &[u8],
    metrics: &QueueMetrics,
) {
    metrics.watcher.records[0].inc();
    let decoded = for_each_series(record, |reference, pairs| {
        if !refresh || !series.touch(reference, segment) {
            series.store(reference, segment, pairs, rules);
        }
    });
    if let Err(error) = decoded {
        metrics.watcher.failures.inc();
        tracing::warn!(%error, "series record of the write-ahead log does not decode");
    }
}

/// Takes in the metadata of a record; only version 2.0 sends it.
pub fn learn_metadata(series: &mut SeriesTable, record: &[u8], metrics: &QueueMetrics) {
    if series.message() != MessageType::V2 {
        return;
    }
    metrics.watcher.records[4].inc();
    if let Err(error) = for_each_metadata(record, |entry| series.set_metadata(&entry)) {
        metrics.watcher.failures.inc();
        tracing::warn!(%error, "metadata record of the write-ahead log does not decode");
    }
}
