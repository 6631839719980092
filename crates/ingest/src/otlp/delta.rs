//! Deltas, added up: a point that counts since the one before becomes one that counts since the start.
//!
//! What was added up so far is kept for each stream: a metric of a resource and a scope with one set of attributes.
//! Requests with deltas take turns, and what a request adds counts only once it is stored: a
//! sender that repeats a failed request finds the state as before.

mod exponential;

use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};
use wire::otlp::{ExponentialPoint, HistogramPoint, Number, NumberPoint, PointHead};

use self::exponential::Exponential;
use crate::cache::Key;

/// A stream that was not fed for this long is forgotten: its next point begins anew.
pub const MAX_STALE: Duration = Duration::from_secs(300);
/// How often forgotten streams are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Why a delta is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaRefusal {
    /// It does not come after the last one.
    #[error(
        "out of order: dropped delta of time {time_ns} ns, because the series is already at {last_ns} ns"
    )]
    OutOfOrder {
        /// Its time.
        time_ns: u64,
        /// The time of the last one.
        last_ns: u64,
    },
    /// It began before the series did: most likely two processes send the same series.
    #[error(
        "dropped delta that starts at {start_ns} ns, because the series only starts at {series_ns} ns: \
         do several processes send this very series?"
    )]
    OlderStart {
        /// Its start.
        start_ns: u64,
        /// The start of the series.
        series_ns: u64,
    },
    /// There are too many streams.
    #[error("otlp.delta.max-streams: {0} streams are added up already, not adding another")]
    TooManyStreams(usize),
}

impl DeltaRefusal {
    /// The refusal as the label of a metric.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "out_of_order",
            Self::OlderStart { .. } => "older_start",
            Self::TooManyStreams(_) => "limit",
        }
    }
}

#[derive(Debug, Clone)]
struct Stream {
    start_ns: u64,
    time_ns: u64,
    /// When it was last fed, on the monotonic clock.
    fed: Duration,
    total: Total,
}

#[derive(Debug, Clone)]
enum Total {
    Number(Number),
    Histogram { count: u64, sum: Option<f64>, counts: Vec<u64>, bounds: Vec<f64> },
    Exponential(Box<Exponential>),
}

/// A stream by the hash of all that names it.
type Id = [u64; 2];

#[derive(Debug, Default)]
struct State {
    streams: HashMap<Id, Stream>,
    swept: Duration,
}

/// All streams.
#[derive(Debug)]
pub struct Deltas {
    state: Mutex<State>,
    max_streams: usize,
}

impl Deltas {
    /// At most `max_streams`; 0 for no limit.
    pub fn new(max_streams: usize) -> Self {
        let max_streams = if max_streams == 0 { usize::MAX } else { max_streams };
        Self { state: Mutex::default(), max_streams }
    }

    /// Streams that are added up now.
    pub fn len(&self) -> usize {
        self.state.lock().streams.len()
    }

    /// The turn of one request; `now` is the monotonic clock.
    pub fn begin(&self, now: Duration) -> Turn<'_> {
        let mut state = self.state.lock();
        if state.swept + SWEEP_EVERY <= now {
            state.swept = now;
            state.streams.retain(|_, stream| stream.fed + MAX_STALE >= now);
        }
        Turn { state, max_streams: self.max_streams, now, before: Vec::new() }
    }
}

/// The turn of one request; what it adds is taken back unless it is kept.
pub struct Turn<'s> {
    state: MutexGuard<'s, State>,
    max_streams: usize,
    now: Duration,
    /// Streams as they were before each change.
    before: Vec<(Id, Option<Stream>)>,
}

impl Turn<'_> {
    /// Makes what was added count.
    pub fn keep(mut self) {
        self.before.clear();
    }

    /// Turns a delta into the sum of all so far.
    pub fn number(&mut self, key: Key, point: &mut NumberPoint<'_>) -> Result<(), DeltaRefusal> {
        let value = point.value.unwrap_or(Number::Int(0));
        let total = self.add(key.0, &mut point.head, |total| {
            let sum = match total {
                Some(Total::Number(total)) => plus(*total, value),
                _ => value,
            };
            Total::Number(sum)
        })?;
        if let Total::Number(sum) = total {
            point.value = Some(*sum);
        }
        Ok(())
    }

    /// Turns a delta into the sum of all so far. Where bounds change the sum begins anew.
    pub fn histogram(&mut self, key: Key, point: &mut HistogramPoint<'_>) -> Result<(), DeltaRefusal> {
        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
        let (count, sum) = (point.count, point.sum);
        let total = self.add(key.0, &mut point.head, |total| match total {
            Some(Total::Histogram { count: c, sum: s, counts: added, bounds: b }) if b == bounds => {
                let mut counts_now = added.clone();
                counts_now
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(total, more)| *total = total.wrapping_add(*more));
                let sum = s.zip(sum).map(|(a, b)| a + b);
                let (count, bounds) = (c.wrapping_add(count), b.clone());
                Total::Histogram { count, sum, counts: counts_now, bounds }
            }
            _ => Total::Histogram { count, sum, counts: counts.clone(), bounds: bounds.clone() },
        })?;
        if let Total::Histogram { count, sum, counts, .. } = total {
            (point.count, point.sum) = (*count, *sum);
            point.bucket_counts.clone_from(counts);
        }
        Ok(())
    }

    /// Turns a delta into the sum of all so far.
    pub fn exponential(&mut self, key: Key, point: &mut ExponentialPoint<'_>) -> Result<(), DeltaRefusal> {
        let more = Exponential::of(point);
        let total = self.add(key.0, &mut point.head, |total| {
            Total::Exponential(Box::new(match total {
                Some(Total::Exponential(total)) => total.plus(more),
                _ => more,
            }))
        })?;
        if let Total::Exponential(total) = total {
            total.store_in(point);
        }
        Ok(())
    }

    /// Replaces the total of a stream, and dates the point as the total is.
    fn add(
        &mut self,
        id: Id,
        head: &mut PointHead<'_>,
        plus: impl FnOnce(Option<&Total>) -> Total,
    ) -> Result<&Total, DeltaRefusal> {
        let known = self.state.streams.get(&id);
        match known {
            Some(stream) if head.start_ns < stream.start_ns => {
                return Err(DeltaRefusal::OlderStart { start_ns: head.start_ns, series_ns: stream.start_ns });
            }
            Some(stream) if head.time_ns <= stream.time_ns => {
                return Err(DeltaRefusal::OutOfOrder { time_ns: head.time_ns, last_ns: stream.time_ns });
            }
            None if self.state.streams.len() >= self.max_streams => {
                return Err(DeltaRefusal::TooManyStreams(self.max_streams));
            }
            _ => {}
        }
        head.start_ns = known.map_or(head.start_ns, |stream| stream.start_ns);
        let total = plus(known.map(|stream| &stream.total));
        let stream = Stream { start_ns: head.start_ns, time_ns: head.time_ns, fed: self.now, total };
        let before = self.state.streams.insert(id, stream);
        self.before.push((id, before));
        Ok(&self.state.streams[&id].total)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for (id, before) in self.before.drain(..).rev() {
            match before {
                Some(stream) => drop(self.state.streams.insert(id, stream)),
                None => drop(self.state.streams.remove(&id)),
            }
        }
    }
}

fn plus(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => match a.checked_add(b) {
            Some(sum) => Number::Int(sum),
            None => Number::Double(a as f64 + b as f64),
        },
        (a, b) => Number::Double(a.as_f64() + b.as_f64()),
    }
}
