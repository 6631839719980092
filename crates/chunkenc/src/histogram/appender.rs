//! Appending histograms, and deciding when one does not fit its chunk.

use model::{CounterResetHint, Span, is_stale_nan};

use super::cell::Cell;
use super::layout::bucket_count;
use super::native::{Fit, NativeHistogram};
use super::reader::{HistogramReader, set_hint};
use super::spans::{Difference, counter_difference, difference, union, widen};
use super::state::State;
use crate::bits::BitWriter;
use crate::encoding::{ChunkError, Encoding, ST_COUNT_MASK};
use crate::start_time::StartTimes;

/// Appends samples to a histogram chunk.
#[derive(Debug, Clone)]
pub struct Appender<H: NativeHistogram> {
    writer: BitWriter,
    state: State<H>,
    starts: StartTimes,
    encoding: Encoding,
}

/// What became of an appended histogram.
#[derive(Debug)]
#[must_use]
pub enum AppendOutcome<H: NativeHistogram> {
    /// It is in the chunk. The bytes written before stand.
    Appended,
    /// It is in the chunk, which was written anew with more buckets.
    Recoded,
    /// It did not fit: it starts this new chunk, and the old one is finished.
    Cut(Box<Appender<H>>),
}

/// Whether a histogram fits a chunk, and what must be done first.
enum Verdict {
    /// It fits; differences of the positive and the negative layout.
    Fits([Difference; 2]),
    /// It starts a new chunk whose header says this.
    Cut(CounterResetHint),
}

impl<H: NativeHistogram> Appender<H> {
    /// An appender of a new chunk, with room for start timestamps or without.
    pub fn new(start_times: bool) -> Self {
        let encoding = H::encoding(start_times);
        let writer = BitWriter::with_header(encoding.header_bytes());
        Self { writer, state: State::default(), starts: StartTimes::default(), encoding }
    }

    /// An appender that goes on with an existing chunk.
    pub fn from_bytes(bytes: &[u8], encoding: Encoding) -> Result<Self, ChunkError> {
        let mut reader = HistogramReader::<H>::new(bytes, encoding)?;
        if reader.samples() == 0 {
            return Ok(Self::new(encoding == H::encoding(true)));
        }
        while reader.advance()? {}
        let writer = BitWriter::resume(bytes, reader.bit_len())?;
        Ok(Self { writer, state: reader.state, starts: reader.starts, encoding })
    }

    /// Appends a histogram, or starts a new chunk with it when it does not fit: another schema, zero
    /// threshold or custom bounds, a counter reset, the other of counter and gauge, anything after a
    /// stale marker, or a full chunk.
    ///
    /// `previous` is the chunk before this one, if this one is empty: whether the histogram continues
    /// its counters is noted in the header. `start_ms` is kept only by chunks with start timestamps.
    pub fn append(
        &mut self,
        previous: Option<&Self>,
        start_ms: i64,
        t_ms: i64,
        h: &H,
    ) -> Result<AppendOutcome<H>, ChunkError> {
        for negative in [false, true] {
            let (spans, buckets) = h.side(negative);
            let described = bucket_count(spans);
            if described != buckets.len() as u64 {
                return Err(ChunkError::BucketMismatch { buckets: buckets.len(), described });
            }
        }
        if self.samples() == 0 {
            let hint = self.first_hint(previous, h);
            self.put(start_ms, t_ms, h);
            self.set_hint(hint);
            return Ok(AppendOutcome::Appended);
        }
        let mut verdict = self.verdict(h);
        if self.samples() == self.capacity() && matches!(verdict, Verdict::Fits(_)) {
            let gauge = h.hint() == CounterResetHint::Gauge;
            verdict =
                Verdict::Cut(if gauge { CounterResetHint::Gauge } else { CounterResetHint::NotCounterReset });
        }
        match verdict {
            Verdict::Cut(hint) => {
                let mut next = Self::new(self.encoding == H::encoding(true));
                next.put(start_ms, t_ms, h);
                next.set_hint(hint);
                Ok(AppendOutcome::Cut(Box::new(next)))
            }
            Verdict::Fits(differences) => self.append_fitting(differences, start_ms, t_ms, h),
        }
    }

    fn append_fitting(
        &mut self,
        differences: [Difference; 2],
        start_ms: i64,
        t_ms: i64,
        h: &H,
    ) -> Result<AppendOutcome<H>, ChunkError> {
        let missing = differences.iter().any(|d| d.missing);
        let added = differences.iter().any(|d| d.added);
        if !missing && !added {
            self.put(start_ms, t_ms, h);
            return Ok(AppendOutcome::Appended);
        }
        let mut h = h.clone();
        if missing {
            for (negative, side) in [(false, differences[0]), (true, differences[1])] {
                let target = self.target_spans(negative, side, added, &h);
                let (spans, buckets) = h.side(negative);
                let buckets = widen::<H>(spans, buckets, &target);
                h.set_side(negative, target, buckets);
            }
        }
        if added {
            *self = self.recoded(h.side(false).0, h.side(true).0)?;
        }
        self.put(start_ms, t_ms, &h);
        Ok(if added { AppendOutcome::Recoded } else { AppendOutcome::Appended })
    }

    /// The spans a histogram that lacks buckets of the chunk is widened to.
    fn target_spans(&self, negative: bool, side: Difference, added: bool, h: &H) -> Vec<Span> {
        let (own, new) = (self.state.side(negative).0, h.side(negative).0);
        if h.hint() == CounterResetHint::Gauge || (added && side.missing) {
            union(own, new)
        } else if added {
            new.to_vec()
        } else {
            own.to_vec()
        }
    }

    /// The header of a chunk that starts with `h`.
    fn first_hint(&self, previous: Option<&Self>, h: &H) -> CounterResetHint {
        match (h.hint(), previous) {
            (hint @ (CounterResetHint::Gauge | CounterResetHint::CounterReset), _) => hint,
            (_, None) => CounterResetHint::Unknown,
            (_, Some(previous)) => match previous.counter_verdict(h) {
                Verdict::Cut(hint) if H::PRECISE_HINTS || hint == CounterResetHint::CounterReset => hint,
                _ => CounterResetHint::NotCounterReset,
            },
        }
    }

    fn verdict(&self, h: &H) -> Verdict {
        if h.hint() == CounterResetHint::Gauge { self.gauge_verdict(h) } else { self.counter_verdict(h) }
    }

    fn gauge_verdict(&self, h: &H) -> Verdict {
        let cut = Verdict::Cut(CounterResetHint::Gauge);
        if self.samples() > 0 && self.hint() != CounterResetHint::Gauge {
            return cut;
        }
        if is_stale_nan(h.sum()) {
            return Verdict::Fits([Difference::default(); 2]);
        }
        if self.state.is_stale() || h.fits(&self.state.layout) != Fit::Same {
            return cut;
        }
        Verdict::Fits(
            [false, true].map(|negative| difference(self.state.side(negative).0, h.side(negative).0)),
        )
    }

    fn counter_verdict(&self, h: &H) -> Verdict {
        let reset = Verdict::Cut(CounterResetHint::CounterReset);
        if self.samples() > 0 && self.hint() == CounterResetHint::Gauge {
            let precise =
                if H::PRECISE_HINTS { CounterResetHint::NotCounterReset } else { CounterResetHint::Unknown };
            return Verdict::Cut(precise);
        }
        if h.hint() == CounterResetHint::CounterReset {
            return reset;
        }
        if is_stale_nan(h.sum()) {
            return Verdict::Fits([Difference::default(); 2]);
        }
        if self.state.is_stale() {
            return Verdict::Cut(CounterResetHint::Unknown);
        }
        let (count, zero_count) = h.totals();
        if H::total_decreased(self.state.count.raw(), count) {
            return reset;
        }
        match h.fits(&self.state.layout) {
            Fit::OtherSchema => return Verdict::Cut(CounterResetHint::Unknown),
            Fit::OtherBounds => return reset,
            Fit::Same => {}
        }
        if H::total_decreased(self.state.zero_count.raw(), zero_count) {
            return reset;
        }
        let side = |negative| counter_difference::<H>(self.state.side(negative), h.side(negative));
        match (side(false), side(true)) {
            (Some(positive), Some(negative)) => Verdict::Fits([positive, negative]),
            _ => reset,
        }
    }

    /// The chunk so far, written anew with wider layouts.
    fn recoded(&self, positive: &[Span], negative: &[Span]) -> Result<Self, ChunkError> {
        let mut reader = HistogramReader::<H>::new(self.bytes(), self.encoding)?;
        let mut recoded = Self::new(self.encoding == H::encoding(true));
        while reader.advance()? {
            let mut h = reader.histogram();
            for (is_negative, target) in [(false, positive), (true, negative)] {
                let (spans, buckets) = h.side(is_negative);
                let buckets = widen::<H>(spans, buckets, target);
                h.set_side(is_negative, target.to_vec(), buckets);
            }
            recoded.put(reader.start_ms(), reader.t_ms(), &h);
        }
        recoded.set_hint(self.hint());
        Ok(recoded)
    }

    fn put(&mut self, start_ms: i64, t_ms: i64, h: &H) {
        let stale;
        let h = if is_stale_nan(h.sum()) {
            // The buckets of a stale marker do not matter and are not stored.
            stale = H::stale(h.sum());
            &stale
        } else {
            h
        };
        let index = self.samples();
        let previous_t_ms = self.state.t_ms;
        match index {
            0 => self.state.write_first(&mut self.writer, t_ms, h),
            _ => self.state.write_next(&mut self.writer, t_ms, h),
        }
        if self.encoding == H::encoding(true) {
            self.starts.write(&mut self.writer, index, t_ms, previous_t_ms, start_ms);
        }
        let hint = self.hint();
        self.writer.bytes_mut()[..2].copy_from_slice(&(index + 1).to_be_bytes());
        self.set_hint(hint);
    }

    fn capacity(&self) -> u16 {
        if self.encoding == H::encoding(true) { ST_COUNT_MASK } else { u16::MAX }
    }

    fn set_hint(&mut self, hint: CounterResetHint) {
        set_hint(self.writer.bytes_mut(), self.encoding, hint);
    }

    /// What the header says about a counter reset at the first sample, or that samples are gauges.
    pub fn hint(&self) -> CounterResetHint {
        super::hint_from_bits(self.bytes()[super::hint_at(self.encoding)] >> super::HINT_SHIFT)
    }

    /// Number of samples.
    pub fn samples(&self) -> u16 {
        let bytes = self.writer.bytes();
        u16::from_be_bytes([bytes[0], bytes[1]]) & self.capacity()
    }

    /// The encoding of the chunk.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The timestamp of the last sample; meaningless while there is none.
    pub fn last_t_ms(&self) -> i64 {
        self.state.t_ms
    }

    /// The sum of the last histogram, which tells whether it was stale.
    pub fn last_sum(&self) -> f64 {
        self.state.sum()
    }

    /// Whether the last sample equals `h`, counter-reset hint aside: a duplicate to be ignored.
    pub fn last_equals(&self, h: &H) -> bool
    where
        H: PartialEq,
    {
        if self.state.is_stale() || is_stale_nan(h.sum()) {
            return self.state.sum().to_bits() == h.sum().to_bits();
        }
        H::assemble(h.hint(), &self.state.layout, self.state.counts()) == *h
    }

    /// The chunk so far.
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// Heap bytes in use.
    pub fn heap_bytes(&self) -> usize {
        self.writer.capacity_bytes() + self.state.heap_bytes()
    }

    /// The finished chunk, without slack.
    pub fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }
}
