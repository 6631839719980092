//! Series as they came: kept encoded, and read when they are asked for.

use std::collections::HashMap;
use std::sync::Arc;

use base::Reservation;
use chunkenc::{Encoding, decode_into};
use model::histogram::EXPONENTIAL_SCHEMA_MAX;
use model::{FloatHistogram, Labels, QueryContext, SampleColumns, SeriesSet, SourceError, TimeRange};
use wire::protobuf::ProtobufError;
use wire::remote_read::samples::Sample;
use wire::remote_read::{Place, ResponseType, chunks, labels, samples};
use wire::remote_write::decode::AnyHistogram;

use super::ReadError;
use super::client::{Answer, STAGE};

/// Series between two looks whether the query may go on.
const CHECK_STEP: usize = 1024;

/// The series of one answer.
#[derive(Debug)]
pub(super) struct RemoteSet {
    messages: Vec<Box<[u8]>>,
    kind: ResponseType,
    series: Vec<Series>,
    range: TimeRange,
    _memory: Vec<Reservation>,
}

#[derive(Debug)]
struct Series {
    labels: Labels,
    /// Where its samples are: a stream may spread a series over several messages.
    pieces: Vec<Piece>,
}

/// The number of a message, and a place in it.
type Piece = (u32, Place);

/// What a sample could not be read for.
#[derive(Debug, thiserror::Error)]
enum DecodeError {
    #[error(transparent)]
    Message(#[from] ProtobufError),
    #[error(transparent)]
    Chunk(#[from] chunkenc::ChunkError),
    #[error(transparent)]
    Histogram(#[from] model::histogram::HistogramError),
    #[error("unknown schema {0}")]
    Schema(i32),
}

impl From<DecodeError> for SourceError {
    fn from(error: DecodeError) -> Self {
        Self::Storage(format!("remote_read: {error}"))
    }
}

impl RemoteSet {
    /// No series.
    pub fn empty() -> Self {
        Self {
            messages: Vec::new(),
            kind: ResponseType::Samples,
            series: Vec::new(),
            range: TimeRange::ALL,
            _memory: Vec::new(),
        }
    }

    /// Lists the series of an answer, without the labels `taken_off`.
    pub fn new(
        answer: Answer,
        range: TimeRange,
        taken_off: &[String],
        ctx: &QueryContext,
    ) -> Result<Self, ReadError> {
        let Answer { messages, kind, memory } = answer;
        let mut listed = Listing {
            taken_off,
            known: HashMap::new(),
            series: Vec::new(),
            memory: ctx.budget.reserve(0)?,
            ctx,
        };
        let mut answered = 1;
        for (number, message) in messages.iter().enumerate() {
            match kind {
                ResponseType::Samples => {
                    answered = samples::for_each_series(message, |_, place| {
                        listed.add(message, number as u32, place)
                    })?;
                }
                ResponseType::StreamedXorChunks => {
                    chunks::for_each_series(message, |place| listed.add(message, number as u32, place))?;
                }
            }
        }
        if answered != 1 {
            return Err(ReadError::Answers(answered));
        }
        let Listing { series, memory: listing, .. } = listed;
        Ok(Self { messages, kind, series, range, _memory: vec![memory, listing] })
    }

    /// Puts the series in label order.
    pub fn sort(&mut self) {
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }

    /// Leaves out all series after the first `limit`.
    pub fn truncate(&mut self, limit: usize) {
        self.series.truncate(limit);
    }

    fn read_samples(
        &self,
        message: &[u8],
        place: Place,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), DecodeError> {
        samples::for_each_sample(message, place, |sample| {
            match sample {
                Sample::Float(t_ms, value) if range.contains(t_ms) => out.push_float(t_ms, value),
                Sample::Histogram(sample) if range.contains(sample.t_ms) => {
                    out.push_histogram(sample.t_ms, Arc::new(checked(sample.value)?));
                    out.set_last_start_timestamp(sample.start_ms);
                }
                Sample::Float(..) | Sample::Histogram(_) => {}
            }
            Ok(())
        })
    }

    fn read_chunks(
        &self,
        message: &[u8],
        place: Place,
        range: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), DecodeError> {
        chunks::for_each_chunk(message, place, |chunk| {
            let encoding = Encoding::from_byte(u8::try_from(chunk.encoding).unwrap_or(u8::MAX))?;
            // Its bounds are told by the other side: only the samples themselves count.
            decode_into(chunk.data, encoding, range, usize::MAX, out)?;
            Ok(())
        })
    }
}

/// A histogram that can be computed with, at a resolution that is known here.
fn checked(histogram: AnyHistogram) -> Result<FloatHistogram, DecodeError> {
    let mut float = match histogram {
        AnyHistogram::Integer(mut h) => {
            known_schema(h.schema)?;
            if h.schema > EXPONENTIAL_SCHEMA_MAX {
                h.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)?;
            }
            h.validate()?;
            return Ok(h.to_float());
        }
        AnyHistogram::Float(h) => h,
    };
    known_schema(float.schema)?;
    if float.schema > EXPONENTIAL_SCHEMA_MAX {
        float.reduce_resolution(EXPONENTIAL_SCHEMA_MAX)?;
    }
    float.validate()?;
    Ok(float)
}

fn known_schema(schema: i32) -> Result<(), DecodeError> {
    if model::histogram::is_known_schema(schema) { Ok(()) } else { Err(DecodeError::Schema(schema)) }
}

/// The series found so far.
struct Listing<'a> {
    taken_off: &'a [String],
    known: HashMap<Labels, usize>,
    series: Vec<Series>,
    memory: Reservation,
    ctx: &'a QueryContext,
}

impl Listing<'_> {
    fn add(&mut self, message: &[u8], number: u32, place: Place) -> Result<(), ReadError> {
        let mut pairs = Vec::new();
        labels(message, place, &mut pairs)?;
        pairs.retain(|(name, _)| !self.taken_off.iter().any(|off| off == name));
        let labels = Labels::from_pairs(pairs);
        let piece = (number, place);
        self.memory.grow(2 * size_of::<Piece>())?;
        // The pieces of a series follow one another, unless the server is a strange one.
        if let Some(last) = self.series.last_mut().filter(|last| last.labels == labels) {
            last.pieces.push(piece);
            return Ok(());
        }
        if self.series.len().is_multiple_of(CHECK_STEP) {
            self.ctx.check(STAGE)?;
        }
        if let Some(&at) = self.known.get(&labels) {
            self.series[at].pieces.push(piece);
            return Ok(());
        }
        let bytes = labels.as_bytes().len() + 3 * size_of::<Series>() + 2 * size_of::<(Labels, usize)>();
        self.memory.grow(bytes)?;
        self.known.insert(labels.clone(), self.series.len());
        self.series.push(Series { labels, pieces: vec![piece] });
        Ok(())
    }
}

impl SeriesSet for RemoteSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series[i].labels.clone()
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        self.series[i].labels.iter().for_each(|(name, value)| visit(name, value));
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        ctx.check(STAGE)?;
        let (start_ms, end_ms) =
            (range.start_ms.max(self.range.start_ms), range.end_ms.min(self.range.end_ms));
        let range = TimeRange::new(start_ms, end_ms);
        let mut read = SampleColumns::default();
        let first = out.len();
        // Into columns of its own where the order has to be looked at.
        let target = if first == 0 { &mut *out } else { &mut read };
        for &(number, place) in &self.series[i].pieces {
            let message = &self.messages[number as usize];
            match self.kind {
                ResponseType::Samples => self.read_samples(message, place, range, target)?,
                ResponseType::StreamedXorChunks => self.read_chunks(message, place, range, target)?,
            }
        }
        if !target.timestamps_ms.is_sorted_by(|a, b| a < b) {
            *target = in_order(target);
        }
        if first > 0 {
            (0..read.len()).for_each(|at| push_from(&read, at, out));
        }
        Ok(())
    }
}

/// The samples by time; of several at one time a float is taken before a histogram, then the first.
fn in_order(columns: &SampleColumns) -> SampleColumns {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&at| (columns.timestamps_ms[at], columns.histogram(at).is_some()));
    order.dedup_by_key(|at| columns.timestamps_ms[*at]);
    let mut out = SampleColumns::default();
    order.into_iter().for_each(|at| push_from(columns, at, &mut out));
    out
}

fn push_from(from: &SampleColumns, at: usize, out: &mut SampleColumns) {
    match from.histogram(at) {
        Some(histogram) => out.push_histogram(from.timestamps_ms[at], histogram.clone()),
        None => out.push_float(from.timestamps_ms[at], from.values[at]),
    }
    out.set_last_start_timestamp(from.start_timestamp_ms(at));
}
