//! From the bytes of an uncompressed request to samples.
//!
//! [`decode`] walks a body once and notes where things are: labels, histograms and exemplars stay bytes until they
//! are asked for, since a receiver that knows a series by the bytes of its labels never needs to. What is
//! noted is counted against a reservation as it grows, for a body of a few bytes an element can stand for much
//! more memory than it takes itself.

pub(crate) mod histogram;
pub mod hostile;
pub(crate) mod schema;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use base::Reservation;
use base::budget::BudgetExceeded;
use model::MetricType;

pub use self::histogram::{AnyHistogram, HistogramSample};
use super::MessageType;
use crate::protobuf::{ProtobufError, Reader};

/// Why a body is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It does not follow its schema.
    #[error(transparent)]
    Malformed(#[from] ProtobufError),
    /// What is in it takes more memory than is left for requests.
    #[error(transparent)]
    Memory(#[from] BudgetExceeded),
}

/// A float sample.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// The value, bit for bit.
    pub value: f64,
    /// Timestamp in milliseconds.
    pub t_ms: i64,
    /// Start timestamp in milliseconds, 0 when unknown.
    pub start_ms: i64,
}

/// A stretch of the body, or of the label references.
type Place = (u32, u32);

/// What one element of `timeseries` holds; the lists begin where those of the series before end.
#[derive(Debug, Clone, Copy)]
struct Entry {
    labels: Place,
    samples_end: u32,
    histograms_end: u32,
    exemplars_end: u32,
    help_ref: u32,
    unit_ref: u32,
    metric_type: MetricType,
    /// The labels were not in one piece: they are among the joined ones.
    joined: bool,
}

const _: () = assert!(size_of::<Entry>() <= 32, "requests of many series must stay small");

/// A decoded request; it borrows the body.
#[derive(Debug)]
pub struct WriteRequest<'a> {
    message: MessageType,
    body: &'a [u8],
    entries: Vec<Entry>,
    samples: Vec<Sample>,
    histograms: Vec<Place>,
    exemplars: Vec<Place>,
    families: Vec<Place>,
    symbols: Vec<Place>,
    references: Vec<u32>,
    /// Labels of series whose labels were not in one piece.
    joined: Vec<u8>,
    /// Series that hold nothing, which version 1.0 allows.
    empty_series: usize,
}

/// Reads a body. `memory` is grown by what the result holds besides the body.
pub fn decode<'a>(
    message: MessageType,
    body: &'a [u8],
    memory: &mut Reservation,
) -> Result<WriteRequest<'a>, DecodeError> {
    let request = WriteRequest {
        message,
        body,
        entries: Vec::new(),
        samples: Vec::new(),
        histograms: Vec::new(),
        exemplars: Vec::new(),
        families: Vec::new(),
        symbols: Vec::new(),
        references: Vec::new(),
        joined: Vec::new(),
        empty_series: 0,
    };
    let mut building = Building { request, memory };
    match message {
        MessageType::V1 => v1::read(body, &mut building)?,
        MessageType::V2 => v2::read(body, &mut building)?,
    }
    Ok(building.request)
}

/// A request under construction.
struct Building<'a, 'm> {
    request: WriteRequest<'a>,
    memory: &'m mut Reservation,
}

/// Adds to a list whose memory is reserved before it grows.
#[inline]
fn push<T>(list: &mut Vec<T>, item: T, memory: &mut Reservation) -> Result<(), DecodeError> {
    if list.len() == list.capacity() {
        grow(list, memory)?;
    }
    list.push(item);
    Ok(())
}

#[cold]
fn grow<T>(list: &mut Vec<T>, memory: &mut Reservation) -> Result<(), DecodeError> {
    const FIRST: usize = 64;
    let (have, more) = (list.capacity(), list.capacity().max(FIRST));
    // While it moves, the list is there twice.
    memory.grow((have + more) * size_of::<T>())?;
    list.reserve_exact(more);
    memory.shrink_to(memory.bytes() - have * size_of::<T>());
    Ok(())
}

/// Bodies are far below 4 GiB: callers cap them.
#[inline]
fn place((start, end): (usize, usize)) -> Place {
    (start as u32, end as u32)
}

fn usizes((start, end): Place) -> (usize, usize) {
    (start as usize, end as usize)
}

/// How the labels of a series are written: equal bytes or references mean equal labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawLabels<'r> {
    /// The label fields of version 1.0, as they are.
    Fields(&'r [u8]),
    /// Names and values of version 2.0 in turn, as places in the symbol table.
    References(&'r [u32]),
}

/// Labels that name what is not in the symbol table. Texts are Prometheus's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// A name without a value.
    #[error("invalid labelRefs length {0}")]
    OddReferences(usize),
    /// A label refers to no symbol.
    #[error("labelRefs {name} (name) = {value} (value) outside of symbols table (size {symbols})")]
    Label {
        /// Reference of the name.
        name: u32,
        /// Reference of the value.
        value: u32,
        /// Symbols there are.
        symbols: usize,
    },
    /// The unit refers to no symbol.
    #[error("metadata unit_ref {unit} outside of symbols table (size {symbols})")]
    Unit {
        /// The reference.
        unit: u32,
        /// Symbols there are.
        symbols: usize,
    },
    /// The help text refers to no symbol.
    #[error("metadata help_ref {help} outside of symbols table (size {symbols})")]
    Help {
        /// The reference.
        help: u32,
        /// Symbols there are.
        symbols: usize,
    },
}

/// Why labels cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// The request as a whole is damaged.
    #[error(transparent)]
    Malformed(#[from] ProtobufError),
    /// This series or exemplar alone is wrong.
    #[error(transparent)]
    Symbols(#[from] SymbolError),
}

/// A name and a value, which may be any bytes.
pub type RawPair<'r> = (&'r [u8], &'r [u8]);

/// What a series says about its metric family. Texts may be any bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawMetadata<'r> {
    /// The type.
    pub metric_type: MetricType,
    /// The unit.
    pub unit: &'r [u8],
    /// The help text.
    pub help: &'r [u8],
}

/// An exemplar, its labels still to be read.
#[derive(Debug, Clone, Copy)]
pub struct RawExemplar<'r> {
    request: &'r WriteRequest<'r>,
    place: Place,
    /// The observed value.
    pub value: f64,
    /// Timestamp in milliseconds, 0 when unknown.
    pub t_ms: i64,
}

/// One series of a request.
#[derive(Debug, Clone, Copy)]
pub struct Series<'r> {
    request: &'r WriteRequest<'r>,
    entry: &'r Entry,
    samples: &'r [Sample],
    histograms: &'r [Place],
    exemplars: &'r [Place],
}

impl<'a> WriteRequest<'a> {
    /// The message it came in.
    pub fn message(&self) -> MessageType {
        self.message
    }

    /// Series that hold something to store; version 2.0 has an error for those that do not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Float samples of all series.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Histogram samples of all series.
    pub fn histograms(&self) -> usize {
        self.histograms.len()
    }

    /// Exemplars of all series.
    pub fn exemplars(&self) -> usize {
        self.exemplars.len()
    }

    /// Series of version 1.0 that held nothing and were passed over.
    pub fn empty_series(&self) -> usize {
        self.empty_series
    }

    /// Symbols of version 2.0, in order.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.symbols.iter().map(|&at| self.bytes(at))
    }

    /// The series at place `i`.
    #[inline]
    pub fn series(&self, i: usize) -> Series<'_> {
        let entry = &self.entries[i];
        let (samples, histograms, exemplars) = match i.checked_sub(1).map(|before| &self.entries[before]) {
            Some(before) => (before.samples_end, before.histograms_end, before.exemplars_end),
            None => (0, 0, 0),
        };
        Series {
            request: self,
            entry,
            samples: &self.samples[samples as usize..entry.samples_end as usize],
            histograms: &self.histograms[histograms as usize..entry.histograms_end as usize],
            exemplars: &self.exemplars[exemplars as usize..entry.exemplars_end as usize],
        }
    }

    /// What version 1.0 says about metric families: `(family, metadata)`, apart from series.
    pub fn families(&self) -> impl Iterator<Item = Result<(&[u8], RawMetadata<'_>), ProtobufError>> {
        self.families.iter().map(|&at| v1::family(Reader::at(self.body, usizes(at), &schema::FAMILY)))
    }

    fn bytes(&self, (start, end): Place) -> &[u8] {
        &self.body[start as usize..end as usize]
    }

    fn symbol(&self, reference: u32) -> Option<&[u8]> {
        self.symbols.get(reference as usize).map(|&at| self.bytes(at))
    }

    /// Hands on name and value of each pair of references.
    fn for_each_pair<'r>(
        &'r self,
        references: &[u32],
        mut visit: impl FnMut(RawPair<'r>),
    ) -> Result<(), SymbolError> {
        if !references.len().is_multiple_of(2) {
            return Err(SymbolError::OddReferences(references.len()));
        }
        for pair in references.chunks_exact(2) {
            let (name, value) = (pair[0], pair[1]);
            match (self.symbol(name), self.symbol(value)) {
                (Some(name), Some(value)) => visit((name, value)),
                _ => return Err(SymbolError::Label { name, value, symbols: self.symbols.len() }),
            }
        }
        Ok(())
    }
}

impl<'r> Series<'r> {
    /// The labels as they are written.
    #[inline]
    pub fn raw_labels(&self) -> RawLabels<'r> {
        let (start, end) = usizes(self.entry.labels);
        match self.request.message {
            MessageType::V1 if self.entry.joined => RawLabels::Fields(&self.request.joined[start..end]),
            MessageType::V1 => RawLabels::Fields(&self.request.body[start..end]),
            MessageType::V2 => RawLabels::References(&self.request.references[start..end]),
        }
    }

    /// Hands on the labels as given: perhaps unsorted, repeated, empty or no text.
    pub fn for_each_label(&self, mut visit: impl FnMut(RawPair<'r>)) -> Result<(), LabelsError> {
        let at = usizes(self.entry.labels);
        match self.request.message {
            MessageType::V1 => {
                let body = if self.entry.joined { &self.request.joined } else { self.request.body };
                v1::for_each_label(Reader::at(body, at, &schema::SERIES_V1), visit)?;
            }
            MessageType::V2 => {
                self.request.for_each_pair(&self.request.references[at.0..at.1], &mut visit)?
            }
        }
        Ok(())
    }

    /// The float samples.
    #[inline]
    pub fn samples(&self) -> &'r [Sample] {
        self.samples
    }

    /// How many histogram samples there are.
    #[inline]
    pub fn histogram_count(&self) -> usize {
        self.histograms.len()
    }

    /// The histogram samples.
    pub fn histograms(&self) -> impl Iterator<Item = Result<HistogramSample, ProtobufError>> {
        let schema = match self.request.message {
            MessageType::V1 => &schema::HISTOGRAM_V1,
            MessageType::V2 => &schema::HISTOGRAM_V2,
        };
        let body = self.request.body;
        self.histograms.iter().map(move |&at| histogram::read(Reader::at(body, usizes(at), schema)))
    }

    /// How many exemplars there are.
    #[inline]
    pub fn exemplar_count(&self) -> usize {
        self.exemplars.len()
    }

    /// The exemplars.
    pub fn exemplars(&self) -> impl Iterator<Item = Result<RawExemplar<'r>, ProtobufError>> {
        let request = self.request;
        self.exemplars.iter().map(move |&place| {
            // Both versions have the same fields but for the labels.
            let (value, t_ms) = v1::exemplar(request.exemplar_reader(place))?;
            Ok(RawExemplar { request, place, value, t_ms })
        })
    }

    /// What the series says about its metric family; nothing in version 1.0.
    pub fn metadata(&self) -> Result<RawMetadata<'r>, SymbolError> {
        let (request, entry) = (self.request, self.entry);
        if request.message == MessageType::V1 {
            return Ok(RawMetadata { metric_type: MetricType::Unknown, unit: b"", help: b"" });
        }
        let symbols = request.symbols.len();
        let unit =
            request.symbol(entry.unit_ref).ok_or(SymbolError::Unit { unit: entry.unit_ref, symbols })?;
        let help =
            request.symbol(entry.help_ref).ok_or(SymbolError::Help { help: entry.help_ref, symbols })?;
        Ok(RawMetadata { metric_type: entry.metric_type, unit, help })
    }
}

impl WriteRequest<'_> {
    fn exemplar_reader(&self, at: Place) -> Reader<'_> {
        let schema = match self.message {
            MessageType::V1 => &schema::EXEMPLAR_V1,
            MessageType::V2 => &schema::EXEMPLAR_V2,
        };
        Reader::at(self.body, usizes(at), schema)
    }
}

impl<'r> RawExemplar<'r> {
    /// Hands on the labels as given: perhaps unsorted, repeated, empty or no text.
    pub fn for_each_label(&self, mut visit: impl FnMut(RawPair<'r>)) -> Result<(), LabelsError> {
        let reader = self.request.exemplar_reader(self.place);
        match self.request.message {
            MessageType::V1 => v1::for_each_label(reader, visit)?,
            MessageType::V2 => {
                let references = v2::references(reader)?;
                self.request.for_each_pair(&references, &mut visit)?;
            }
        }
        Ok(())
    }
}
