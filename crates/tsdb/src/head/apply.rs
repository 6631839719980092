//! Putting samples into series: which samples are admissible, when chunks are cut.

use chunkenc::histogram::NativeHistogram;
use chunkenc::{AppendOutcome, ChunkError, XorAppender};
use chunkenc::{FloatHistogramAppender, HistogramAppender, Xor2Appender};
use model::is_stale_nan;

use super::chunk_store::{ChunkRecord, ChunkStore};
use super::table::{
    CommitSpan, LastKind, NO_SAMPLE, OpenChunk, OpenKind, Page, Series, StoredChunk, first_t_ms,
};
use crate::wal::histogram::AnyHistogram;

/// A plain float chunk beyond this is cut before the next sample: no sample takes more than 19 bytes, and
/// chunks stay within 1024.
const MAX_FLOAT_CHUNK_BYTES: usize = 1024 - 19;
/// Histogram chunks are cut by size, not by number of samples.
const TARGET_HISTOGRAM_CHUNK_BYTES: usize = 1024;
/// But not before this many samples, unless a chunk range ends.
const MIN_HISTOGRAM_CHUNK_SAMPLES: u16 = 10;

/// How chunks are made.
#[derive(Debug, Clone, Copy)]
pub struct ChunkOptions {
    /// No chunk crosses a multiple of this, in milliseconds.
    pub range_ms: i64,
    /// Samples a float chunk should have.
    pub samples_per_chunk: u16,
    /// Whether start timestamps are stored.
    pub with_start: bool,
}

/// What becomes of a sample at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is newer than all samples of the series.
    InOrder,
    /// There is a sample at that time: fine if it is the same.
    SameTime,
    /// It goes to the out-of-order samples.
    OutOfOrder,
    /// Out of order, and out-of-order samples are not taken.
    Disordered,
    /// Older than the out-of-order window.
    TooOld,
    /// Older than the head takes samples.
    OutOfBounds,
}

/// The times an appender accepts.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// In-order samples are not older.
    pub min_valid_ms: i64,
    /// The newest time of the head when the appender was opened.
    pub head_max_ms: i64,
    /// How far out-of-order samples may be behind `head_max_ms`; 0 when they are not taken.
    pub out_of_order_window_ms: i64,
}

impl Bounds {
    /// Decides about a sample at `t_ms` of a series whose newest sample is at `last_t_ms`.
    #[inline]
    pub fn admit(&self, last_t_ms: i64, t_ms: i64) -> Admission {
        if t_ms >= self.min_valid_ms {
            if t_ms > last_t_ms {
                return Admission::InOrder;
            }
            if t_ms == last_t_ms {
                return Admission::SameTime;
            }
        }
        if self.out_of_order_window_ms > 0 {
            let oldest = self.head_max_ms.saturating_sub(self.out_of_order_window_ms);
            return if t_ms >= oldest { Admission::OutOfOrder } else { Admission::TooOld };
        }
        if t_ms < self.min_valid_ms { Admission::OutOfBounds } else { Admission::Disordered }
    }
}

/// What applying a commit, or part of the log, changed.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Earliest in-order timestamp added.
    pub min_ms: i64,
    /// Latest in-order timestamp added.
    pub max_ms: i64,
    /// Chunks begun.
    pub chunks_created: u64,
    /// Chunks written to `chunks_head`.
    pub chunks_stored: u64,
    /// Change in the number of stale series.
    pub stale_series: i64,
    /// Change in the number of series whose newest sample is a histogram.
    pub histogram_series: i64,
    /// Change in the number of buckets of those samples.
    pub histogram_buckets: i64,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            min_ms: i64::MAX,
            max_ms: i64::MIN,
            chunks_created: 0,
            chunks_stored: 0,
            stale_series: 0,
            histogram_series: 0,
            histogram_buckets: 0,
        }
    }
}

impl Changes {
    /// Adds what another part changed.
    pub fn merge(&mut self, other: &Self) {
        self.min_ms = self.min_ms.min(other.min_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
        self.chunks_created += other.chunks_created;
        self.chunks_stored += other.chunks_stored;
        self.stale_series += other.stale_series;
        self.histogram_series += other.histogram_series;
        self.histogram_buckets += other.histogram_buckets;
    }
}

/// Appends in-order samples on behalf of one commit.
#[derive(Debug)]
pub struct Applier<'a> {
    /// The commit (low 32 bits); 0 while replaying.
    pub commit: u32,
    /// How chunks are made.
    pub options: ChunkOptions,
    /// Where complete chunks go.
    pub store: &'a ChunkStore,
    /// What was changed.
    pub changes: Changes,
}

/// The place of a series: its page, its index there, and its reference in the log.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The page, whose lock is held.
    pub page: &'a Page,
    /// The index in the page.
    pub at: usize,
    /// The reference in the log.
    pub series_ref: u64,
}

impl Applier<'_> {
    /// Appends a float newer than all samples of the series.
    #[inline]
    pub fn float(
        &mut self,
        place: Place<'_>,
        series: &mut Series,
        start_ms: i64,
        t_ms: i64,
        value: f64,
    ) -> Result<(), ChunkError> {
        if self.options.with_start {
            return self.float_with_start(place, series, start_ms, t_ms, value);
        }
        match &mut series.xor {
            Some(xor) => {
                let samples = xor.samples();
                if samples == self.options.samples_per_chunk / 4 {
                    let first = first_t_ms(xor.bytes());
                    series.next_at_ms = predicted_end(first, xor.last_t_ms(), series.next_at_ms, 4.0);
                }
                let full = t_ms >= series.next_at_ms
                    || samples >= self.options.samples_per_chunk * 2
                    || xor.bytes().len() > MAX_FLOAT_CHUNK_BYTES;
                if full && self.store_open_chunk(place, series) {
                    self.open_float_chunk(series, t_ms);
                }
            }
            None => {
                self.store_open_chunk(place, series);
                self.open_float_chunk(series, t_ms);
            }
        }
        if let Some(xor) = &mut series.xor {
            xor.append(t_ms, value)?;
        }
        self.note(place, series, t_ms, LastKind::Float, is_stale_nan(value));
        Ok(())
    }

    fn open_float_chunk(&mut self, series: &mut Series, t_ms: i64) {
        series.xor = Some(XorAppender::new());
        self.begin_chunk(series, t_ms);
    }

    fn begin_chunk(&mut self, series: &mut Series, t_ms: i64) {
        series.next_at_ms = range_end(t_ms, self.options.range_ms);
        series.end_predicted = false;
        self.changes.chunks_created += 1;
    }

    /// Records what a sample appended in order means for its series.
    #[inline]
    fn note(&mut self, place: Place<'_>, series: &mut Series, t_ms: i64, kind: LastKind, stale: bool) {
        let before = place.page.last_t_ms(place.at);
        if series.last_commit != self.commit {
            series.previous_commit = series.last_commit;
            series.last_commit = self.commit;
            series.commit_span_ms = CommitSpan::between(before, t_ms);
        } else if let Some(start) = series.commit_span_ms.before(before) {
            series.commit_span_ms = CommitSpan::between(start, t_ms);
        }
        place.page.set_last_t_ms(place.at, t_ms);
        if series.last_kind != kind {
            self.note_kind(series, kind);
        }
        if series.stale != stale {
            self.changes.stale_series += if stale { 1 } else { -1 };
            series.stale = stale;
        }
        self.changes.min_ms = self.changes.min_ms.min(t_ms);
        self.changes.max_ms = self.changes.max_ms.max(t_ms);
    }

    #[cold]
    fn note_kind(&mut self, series: &mut Series, kind: LastKind) {
        self.changes.histogram_series +=
            i64::from(kind.is_histogram()) - i64::from(series.last_kind.is_histogram());
        series.last_kind = kind;
        if !kind.is_histogram() {
            self.note_buckets(series, 0);
        }
    }

    /// Records the number of buckets of a series' newest sample.
    fn note_buckets(&mut self, series: &mut Series, buckets: u32) {
        if series.histogram_buckets() != buckets {
            let extra = series.extra_mut();
            self.changes.histogram_buckets += i64::from(buckets) - i64::from(extra.histogram_buckets);
            extra.histogram_buckets = buckets;
        }
    }

    /// Moves the open chunk to `chunks_head`. When that is impossible the chunk stays open, and false is
    /// returned: it grows beyond its size rather than losing samples.
    pub fn store_open_chunk(&mut self, place: Place<'_>, series: &mut Series) -> bool {
        let Some((encoding, data, min_ms)) = series.open_chunk() else {
            series.xor = None;
            return true;
        };
        let max_ms = place.page.last_t_ms(place.at);
        let record =
            ChunkRecord { series: place.series_ref, min_ms, max_ms, encoding, out_of_order: false, data };
        let chunk = match self.store.append(&record) {
            Ok(chunk) => chunk,
            // The store has told; the chunk stays open.
            Err(_) => return false,
        };
        series.xor = None;
        let cold = series.cold.get_or_insert_default();
        if let Some(extra) = &mut cold.extra {
            extra.open = None;
        }
        if cold.chunks.len() == cold.chunks.capacity() {
            cold.chunks.reserve_exact((cold.chunks.len() / 2).max(2));
        }
        cold.chunks.push(StoredChunk { min_ms, chunk });
        self.changes.chunks_stored += 1;
        true
    }

    fn float_with_start(
        &mut self,
        place: Place<'_>,
        series: &mut Series,
        start_ms: i64,
        t_ms: i64,
        value: f64,
    ) -> Result<(), ChunkError> {
        let last_t_ms = place.page.last_t_ms(place.at);
        let mut fits = false;
        if let Some(OpenChunk { min_ms, kind: OpenKind::Xor2(chunk) }) =
            series.cold.as_mut().and_then(|cold| cold.extra.as_mut()).and_then(|extra| extra.open.as_mut())
        {
            if chunk.samples() == self.options.samples_per_chunk / 4 {
                series.next_at_ms = predicted_end(*min_ms, last_t_ms, series.next_at_ms, 4.0);
            }
            fits = t_ms < series.next_at_ms
                && chunk.samples() < self.options.samples_per_chunk * 2
                && chunk.bytes().len() <= MAX_FLOAT_CHUNK_BYTES;
        }
        if !fits && (self.store_open_chunk(place, series) || !series.has_open_xor2()) {
            let kind = OpenKind::Xor2(Xor2Appender::new());
            series.extra_mut().open = Some(OpenChunk { min_ms: t_ms, kind });
            self.begin_chunk(series, t_ms);
        }
        if let Some(OpenChunk { kind: OpenKind::Xor2(chunk), .. }) = &mut series.extra_mut().open {
            chunk.append(start_ms, t_ms, value)?;
        }
        self.note(place, series, t_ms, LastKind::Float, is_stale_nan(value));
        Ok(())
    }

    /// Appends a histogram newer than all samples of the series.
    pub fn histogram(
        &mut self,
        place: Place<'_>,
        series: &mut Series,
        start_ms: i64,
        t_ms: i64,
        value: &AnyHistogram,
    ) -> Result<(), ChunkError> {
        let (kind, buckets) = match value {
            AnyHistogram::Integer(h) => {
                self.native::<model::Histogram>(place, series, start_ms, t_ms, h)?;
                (LastKind::Histogram, h.positive_buckets.len() + h.negative_buckets.len())
            }
            AnyHistogram::Float(h) => {
                self.native::<model::FloatHistogram>(place, series, start_ms, t_ms, h)?;
                (LastKind::FloatHistogram, h.positive_buckets.len() + h.negative_buckets.len())
            }
        };
        self.note(place, series, t_ms, kind, is_stale_nan(value.sum()));
        self.note_buckets(series, buckets as u32);
        Ok(())
    }

    fn native<H: OpenHistogram>(
        &mut self,
        place: Place<'_>,
        series: &mut Series,
        start_ms: i64,
        t_ms: i64,
        h: &H,
    ) -> Result<(), ChunkError> {
        let with_start = self.options.with_start;
        let mut previous = None;
        let goes_on = self.histogram_chunk_goes_on::<H>(place, series, t_ms);
        if !goes_on {
            previous = H::open_in(series).cloned();
            if self.store_open_chunk(place, series) || previous.is_none() {
                let kind = H::wrap(chunkenc::histogram::Appender::new(with_start));
                series.extra_mut().open = Some(OpenChunk { min_ms: t_ms, kind });
                self.begin_chunk(series, t_ms);
            } else {
                previous = None;
            }
        }
        let Some(appender) = H::open_in(series) else { return Err(ChunkError::Full) };
        match appender.append(previous.as_ref(), start_ms, t_ms, h)? {
            AppendOutcome::Appended | AppendOutcome::Recoded => {}
            AppendOutcome::Cut(next) => {
                if !self.store_open_chunk(place, series) {
                    return Err(ChunkError::Full);
                }
                series.extra_mut().open = Some(OpenChunk { min_ms: t_ms, kind: H::wrap(*next) });
                self.begin_chunk(series, t_ms);
            }
        }
        Ok(())
    }

    /// Whether the open chunk is of the right kind and has room; predicts its end once it is a quarter
    /// full.
    fn histogram_chunk_goes_on<H: OpenHistogram>(
        &mut self,
        place: Place<'_>,
        series: &mut Series,
        t_ms: i64,
    ) -> bool {
        let Some((_, _, min_ms)) = series.open_chunk() else { return false };
        let Some(chunk) = H::open_in(series) else { return false };
        let (samples, bytes) = (chunk.samples(), chunk.bytes().len());
        // Before a prediction the end is a range's end, or was set to force a cut after a restart.
        let hard_end_ms =
            if series.end_predicted { range_end(min_ms, self.options.range_ms) } else { series.next_at_ms };
        if !series.end_predicted && bytes >= TARGET_HISTOGRAM_CHUNK_BYTES / 4 {
            let ratio = TARGET_HISTOGRAM_CHUNK_BYTES as f64 / bytes as f64;
            let last_t_ms = place.page.last_t_ms(place.at);
            series.next_at_ms = predicted_end(min_ms, last_t_ms, series.next_at_ms, ratio);
            series.end_predicted = true;
        }
        let wants_cut = t_ms >= series.next_at_ms || bytes >= TARGET_HISTOGRAM_CHUNK_BYTES * 2;
        !(wants_cut && (samples >= MIN_HISTOGRAM_CHUNK_SAMPLES || t_ms >= hard_end_ms))
    }
}

/// A histogram type that [`OpenKind`] has a variant for.
trait OpenHistogram: NativeHistogram + Sized {
    fn wrap(appender: chunkenc::histogram::Appender<Self>) -> OpenKind;
    fn open_in(series: &mut Series) -> Option<&mut chunkenc::histogram::Appender<Self>>;
}

impl OpenHistogram for model::Histogram {
    fn wrap(appender: HistogramAppender) -> OpenKind {
        OpenKind::Histogram(appender)
    }

    fn open_in(series: &mut Series) -> Option<&mut HistogramAppender> {
        match series.open_other_mut()? {
            OpenKind::Histogram(appender) => Some(appender),
            _ => None,
        }
    }
}

impl OpenHistogram for model::FloatHistogram {
    fn wrap(appender: FloatHistogramAppender) -> OpenKind {
        OpenKind::FloatHistogram(appender)
    }

    fn open_in(series: &mut Series) -> Option<&mut FloatHistogramAppender> {
        match series.open_other_mut()? {
            OpenKind::FloatHistogram(appender) => Some(appender),
            _ => None,
        }
    }
}

impl Series {
    fn open_other_mut(&mut self) -> Option<&mut OpenKind> {
        let open = self.cold.as_mut()?.extra.as_mut()?.open.as_mut()?;
        Some(&mut open.kind)
    }

    fn has_open_xor2(&self) -> bool {
        let open = self.extra().and_then(|extra| extra.open.as_ref());
        open.is_some_and(|open| matches!(open.kind, OpenKind::Xor2(_)))
    }

    /// Whether a float at the time of the newest sample is that sample; when the newest sample's value is
    /// not in memory, it is taken to be. The answer is the stored value when it differs.
    pub fn same_float(&self, value: f64) -> Result<(), f64> {
        let stored = match (&self.xor, self.last_kind) {
            (Some(xor), LastKind::Float) => xor.last_value(),
            (_, LastKind::Histogram | LastKind::FloatHistogram) => return Err(f64::NAN),
            (None, LastKind::Float) => match self.extra().and_then(|extra| extra.open.as_ref()) {
                Some(open) => super::read::last_float(open).unwrap_or(value),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        if stored.to_bits() == value.to_bits() { Ok(()) } else { Err(stored) }
    }

    /// Whether a histogram at the time of the newest sample is that sample.
    pub fn same_histogram(&self, value: &AnyHistogram) -> bool {
        let open = self.extra().and_then(|extra| extra.open.as_ref()).map(|open| &open.kind);
        match (open, value) {
            (Some(OpenKind::Histogram(chunk)), AnyHistogram::Integer(h)) => chunk.last_equals(h),
            (Some(OpenKind::FloatHistogram(chunk)), AnyHistogram::Float(h)) => chunk.last_equals(h),
            (None, _) => self.last_kind == LastKind::Unknown,
            _ => false,
        }
    }
}

/// The end of the chunk range that `t_ms` lies in.
pub fn range_end(t_ms: i64, range_ms: i64) -> i64 {
    (t_ms / range_ms) * range_ms + range_ms
}

/// Where to end a chunk that began at `start_ms` and has reached `current_ms` when it is one
/// `ratio_to_full`th full, so that the rest of the range up to `max_ms` divides into equal chunks.
fn predicted_end(start_ms: i64, current_ms: i64, max_ms: i64, ratio_to_full: f64) -> i64 {
    let whole = max_ms.saturating_sub(start_ms) as f64;
    let chunks = whole / ((current_ms - start_ms + 1) as f64 * ratio_to_full);
    if chunks <= 1.0 {
        return max_ms;
    }
    (start_ms as f64 + whole / chunks.floor()) as i64
}

/// Whether a series has had any in-order sample.
pub fn has_sample(last_t_ms: i64) -> bool {
    last_t_ms != NO_SAMPLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_full_chunk_predicts_equal_chunks_up_to_the_end_of_the_range() {
        assert_eq!(predicted_end(0, 250, 1_000, 4.0), 1_000);
        assert_eq!(predicted_end(100, 200, 1_000, 4.0), 550);
        assert_eq!(predicted_end(95, 100, 1_000, 4.0), 119);
        assert_eq!(range_end(7, 10), 10);
        assert_eq!(range_end(10, 10), 20);
    }

    #[test]
    fn admission_follows_order_window_and_bounds() {
        let strict = Bounds { min_valid_ms: 100, head_max_ms: 1_000, out_of_order_window_ms: 0 };
        assert_eq!(strict.admit(500, 501), Admission::InOrder);
        assert_eq!(strict.admit(500, 500), Admission::SameTime);
        assert_eq!(strict.admit(500, 499), Admission::Disordered);
        assert_eq!(strict.admit(NO_SAMPLE, 99), Admission::OutOfBounds);
        let lenient = Bounds { out_of_order_window_ms: 300, ..strict };
        assert_eq!(lenient.admit(900, 700), Admission::OutOfOrder);
        assert_eq!(lenient.admit(900, 699), Admission::TooOld);
        assert_eq!(lenient.admit(500, 600), Admission::InOrder);
    }
}
