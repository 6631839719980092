//! The records of the log and their encodings. Decoders hand each entry to a closure, so that replay
//! allocates nothing per entry.

use model::{Labels, MetricType};

use super::codec::{Decoder, put_bytes, put_f64, put_i64, put_u64, put_uvarint, put_varint};

/// What a record holds: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// New series: reference and labels.
    Series = 1,
    /// Float samples.
    Samples = 2,
    /// Deleted intervals.
    Tombstones = 3,
    /// Exemplars.
    Exemplars = 4,
    /// Out-of-order chunks that went to `chunks_head`; only in the out-of-order log.
    MmapMarkers = 5,
    /// Metadata.
    Metadata = 6,
    /// Histograms of integer counts, exponential buckets.
    Histograms = 7,
    /// Histograms of float counts, exponential buckets.
    FloatHistograms = 8,
    /// Histograms of integer counts, custom buckets.
    CustomHistograms = 9,
    /// Histograms of float counts, custom buckets.
    CustomFloatHistograms = 10,
    /// Float samples with start timestamps.
    SamplesWithStart = 11,
    /// Histograms of integer counts with start timestamps, any buckets.
    HistogramsWithStart = 12,
    /// Histograms of float counts with start timestamps, any buckets.
    FloatHistogramsWithStart = 13,
}

impl Kind {
    /// The kind of a record; `None` for an empty record or a kind this version does not know.
    pub fn of(record: &[u8]) -> Option<Self> {
        Some(match record.first()? {
            1 => Self::Series,
            2 => Self::Samples,
            3 => Self::Tombstones,
            4 => Self::Exemplars,
            5 => Self::MmapMarkers,
            6 => Self::Metadata,
            7 => Self::Histograms,
            8 => Self::FloatHistograms,
            9 => Self::CustomHistograms,
            10 => Self::CustomFloatHistograms,
            11 => Self::SamplesWithStart,
            12 => Self::HistogramsWithStart,
            13 => Self::FloatHistogramsWithStart,
            _ => return None,
        })
    }
}

/// Why a record does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It ends too early.
    #[error("record is truncated")]
    Truncated,
    /// A varint does not fit 64 bits.
    #[error("varint overflows 64 bits")]
    Varint,
    /// A string is not UTF-8.
    #[error("string is not valid UTF-8")]
    Utf8,
    /// It is of another kind than expected.
    #[error("unexpected record type {0}")]
    Kind(u8),
    /// Labels are out of order, repeated or empty.
    #[error("labels of a series are not sorted and unique")]
    Labels,
}

/// One float sample of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FloatSample {
    /// The series.
    pub series: u64,
    /// Start timestamp, 0 when unknown.
    pub start_ms: i64,
    /// Timestamp.
    pub t_ms: i64,
    /// Value.
    pub value: f64,
}

/// A deleted interval of a series; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The series.
    pub series: u64,
    /// First deleted millisecond.
    pub start_ms: i64,
    /// Last deleted millisecond.
    pub end_ms: i64,
}

/// An exemplar of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct ExemplarEntry {
    /// The series.
    pub series: u64,
    /// Timestamp.
    pub t_ms: i64,
    /// Value.
    pub value: f64,
    /// The exemplar's labels.
    pub labels: Labels,
}

/// Metadata of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataEntry {
    /// The series.
    pub series: u64,
    /// Declared type.
    pub metric_type: MetricType,
    /// Declared unit.
    pub unit: String,
    /// Help text.
    pub help: String,
}

/// All out-of-order samples of a series logged so far are in the chunk `chunk` of `chunks_head`, if that
/// exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmapMarker {
    /// The series.
    pub series: u64,
    /// File number in the upper, offset in the lower four bytes; 0 when no chunk was written.
    pub chunk: u64,
}

fn open<'a>(record: &'a [u8], kinds: &[Kind]) -> Result<(Kind, Decoder<'a>), RecordError> {
    let first = *record.first().ok_or(RecordError::Truncated)?;
    match Kind::of(record) {
        Some(kind) if kinds.contains(&kind) => Ok((kind, Decoder::new(&record[1..]))),
        _ => Err(RecordError::Kind(first)),
    }
}

/// Appends the entry of one series to a series record begun with [`begin`].
pub fn put_series(out: &mut Vec<u8>, series: u64, labels: &Labels) {
    put_u64(out, series);
    put_labels(out, labels);
}

/// Starts a record.
pub fn begin(out: &mut Vec<u8>, kind: Kind) {
    out.push(kind as u8);
}

/// Appends labels: their number, then names and values.
pub fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// Reads labels into `pairs`, which is cleared before. They must be sorted and unique; empty values are
/// dropped.
pub fn read_labels<'a>(
    decoder: &mut Decoder<'a>,
    pairs: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), RecordError> {
    pairs.clear();
    let count = decoder.count(2)?;
    for _ in 0..count {
        let (name, value) = (decoder.str()?, decoder.str()?);
        if pairs.last().is_some_and(|&(last, _)| last >= name) {
            return Err(RecordError::Labels);
        }
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    Ok(())
}

/// Hands every series of a series record to `each`: reference and sorted label pairs.
pub fn for_each_series(record: &[u8], mut each: impl FnMut(u64, &[(&str, &str)])) -> Result<(), RecordError> {
    let (_, mut decoder) = open(record, &[Kind::Series])?;
    let mut pairs = Vec::new();
    while !decoder.is_empty() {
        let series = decoder.u64()?;
        read_labels(&mut decoder, &mut pairs)?;
        each(series, &pairs);
    }
    Ok(())
}

/// Writes float samples without start timestamps, entry by entry.
#[derive(Debug)]
pub struct FloatWriter {
    series: u64,
    t_ms: i64,
}

impl FloatWriter {
    /// Starts a record whose first entry will be of `series` at `t_ms`.
    pub fn begin(out: &mut Vec<u8>, series: u64, t_ms: i64) -> Self {
        begin(out, Kind::Samples);
        put_u64(out, series);
        put_i64(out, t_ms);
        Self { series, t_ms }
    }

    /// Appends one entry.
    #[inline]
    pub fn put(&self, out: &mut Vec<u8>, series: u64, t_ms: i64, value: f64) {
        put_varint(out, series.wrapping_sub(self.series) as i64);
        put_varint(out, t_ms.wrapping_sub(self.t_ms));
        put_f64(out, value);
    }
}

/// The parts of an entry that records with start timestamps share: reference, timestamp and start, each
/// relative to the entries before.
#[derive(Debug, Default)]
pub struct StartChain {
    first: Option<(i64, i64)>,
    series: u64,
    start_ms: i64,
}

/// How a start timestamp is given.
const START_NONE: u8 = 0;
const START_SAME: u8 = 1;
const START_EXPLICIT: u8 = 2;

impl StartChain {
    /// Appends the head of an entry; its value follows.
    pub fn put(&mut self, out: &mut Vec<u8>, series: u64, start_ms: i64, t_ms: i64) {
        match self.first {
            None => {
                put_varint(out, series as i64);
                put_varint(out, t_ms);
                put_varint(out, start_ms);
                self.first = Some((t_ms, start_ms));
            }
            Some((first_t, first_start)) => {
                put_varint(out, series.wrapping_sub(self.series) as i64);
                put_varint(out, t_ms.wrapping_sub(first_t));
                if start_ms == 0 {
                    out.push(START_NONE);
                } else if start_ms == self.start_ms {
                    out.push(START_SAME);
                } else {
                    out.push(START_EXPLICIT);
                    put_varint(out, start_ms.wrapping_sub(first_start));
                }
            }
        }
        (self.series, self.start_ms) = (series, start_ms);
    }

    /// Reads the head of an entry: series, start timestamp, timestamp.
    pub fn read(&mut self, decoder: &mut Decoder<'_>) -> Result<(u64, i64, i64), RecordError> {
        let (series, start_ms, t_ms) = match self.first {
            None => {
                let (series, t_ms, start_ms) = (decoder.varint()?, decoder.varint()?, decoder.varint()?);
                self.first = Some((t_ms, start_ms));
                (series as u64, start_ms, t_ms)
            }
            Some((first_t, first_start)) => {
                let series = self.series.wrapping_add(decoder.varint()? as u64);
                let t_ms = first_t.wrapping_add(decoder.varint()?);
                let start_ms = match decoder.u8()? {
                    START_NONE => 0,
                    START_SAME => self.start_ms,
                    _ => first_start.wrapping_add(decoder.varint()?),
                };
                (series, start_ms, t_ms)
            }
        };
        (self.series, self.start_ms) = (series, start_ms);
        Ok((series, start_ms, t_ms))
    }
}

/// Appends a record of float samples; `with_start` chooses the kind that keeps start timestamps.
pub fn put_floats(out: &mut Vec<u8>, samples: &[FloatSample], with_start: bool) {
    let Some(first) = samples.first() else { return };
    if with_start {
        begin(out, Kind::SamplesWithStart);
        let mut chain = StartChain::default();
        for s in samples {
            chain.put(out, s.series, s.start_ms, s.t_ms);
            put_f64(out, s.value);
        }
    } else {
        let writer = FloatWriter::begin(out, first.series, first.t_ms);
        for s in samples {
            writer.put(out, s.series, s.t_ms, s.value);
        }
    }
}

/// Hands every float sample of a record, with or without start timestamps, to `each`.
#[inline]
pub fn for_each_float(record: &[u8], mut each: impl FnMut(FloatSample)) -> Result<(), RecordError> {
    let (kind, mut decoder) = open(record, &[Kind::Samples, Kind::SamplesWithStart])?;
    if kind == Kind::SamplesWithStart {
        let mut chain = StartChain::default();
        while !decoder.is_empty() {
            let (series, start_ms, t_ms) = chain.read(&mut decoder)?;
            each(FloatSample { series, start_ms, t_ms, value: decoder.f64()? });
        }
        return Ok(());
    }
    if decoder.is_empty() {
        return Ok(());
    }
    let (base_series, base_t) = (decoder.u64()?, decoder.i64()?);
    while !decoder.is_empty() {
        let series = base_series.wrapping_add(decoder.varint()? as u64);
        let t_ms = base_t.wrapping_add(decoder.varint()?);
        each(FloatSample { series, start_ms: 0, t_ms, value: decoder.f64()? });
    }
    Ok(())
}

/// Appends a record of tombstones.
pub fn put_tombstones(out: &mut Vec<u8>, stones: &[Tombstone]) {
    begin(out, Kind::Tombstones);
    for stone in stones {
        put_u64(out, stone.series);
        put_varint(out, stone.start_ms);
        put_varint(out, stone.end_ms);
    }
}

/// Hands every tombstone of a record to `each`.
pub fn for_each_tombstone(record: &[u8], mut each: impl FnMut(Tombstone)) -> Result<(), RecordError> {
    let (_, mut decoder) = open(record, &[Kind::Tombstones])?;
    while !decoder.is_empty() {
        let (series, start_ms, end_ms) = (decoder.u64()?, decoder.varint()?, decoder.varint()?);
        each(Tombstone { series, start_ms, end_ms });
    }
    Ok(())
}

/// Appends a record of exemplars.
pub fn put_exemplars(out: &mut Vec<u8>, exemplars: &[ExemplarEntry]) {
    begin(out, Kind::Exemplars);
    put_exemplar_entries(out, exemplars);
}

/// Appends the body of an exemplar record: snapshots use it under a record type of their own.
pub fn put_exemplar_entries(out: &mut Vec<u8>, exemplars: &[ExemplarEntry]) {
    let Some(first) = exemplars.first() else { return };
    put_u64(out, first.series);
    put_i64(out, first.t_ms);
    for e in exemplars {
        put_varint(out, e.series.wrapping_sub(first.series) as i64);
        put_varint(out, e.t_ms.wrapping_sub(first.t_ms));
        put_f64(out, e.value);
        put_labels(out, &e.labels);
    }
}

/// Hands every exemplar of a record to `each`.
pub fn for_each_exemplar(record: &[u8], each: impl FnMut(ExemplarEntry)) -> Result<(), RecordError> {
    let (_, mut decoder) = open(record, &[Kind::Exemplars])?;
    read_exemplar_entries(&mut decoder, each)
}

/// Reads the body of an exemplar record.
pub fn read_exemplar_entries(
    decoder: &mut Decoder<'_>,
    mut each: impl FnMut(ExemplarEntry),
) -> Result<(), RecordError> {
    if decoder.is_empty() {
        return Ok(());
    }
    let (base_series, base_t) = (decoder.u64()?, decoder.i64()?);
    let mut pairs = Vec::new();
    while !decoder.is_empty() {
        let series = base_series.wrapping_add(decoder.varint()? as u64);
        let t_ms = base_t.wrapping_add(decoder.varint()?);
        let value = decoder.f64()?;
        read_labels(decoder, &mut pairs)?;
        each(ExemplarEntry { series, t_ms, value, labels: Labels::from_sorted(pairs.iter().copied()) });
    }
    Ok(())
}

/// Appends a record of markers.
pub fn put_mmap_markers(out: &mut Vec<u8>, markers: &[MmapMarker]) {
    begin(out, Kind::MmapMarkers);
    for marker in markers {
        put_u64(out, marker.series);
        put_u64(out, marker.chunk);
    }
}

/// Hands every marker of a record to `each`.
pub fn for_each_mmap_marker(record: &[u8], mut each: impl FnMut(MmapMarker)) -> Result<(), RecordError> {
    let (_, mut decoder) = open(record, &[Kind::MmapMarkers])?;
    while !decoder.is_empty() {
        each(MmapMarker { series: decoder.u64()?, chunk: decoder.u64()? });
    }
    Ok(())
}

const UNIT_FIELD: &str = "UNIT";
const HELP_FIELD: &str = "HELP";

/// Appends a record of metadata.
pub fn put_metadata(out: &mut Vec<u8>, entries: &[MetadataEntry]) {
    begin(out, Kind::Metadata);
    for entry in entries {
        put_uvarint(out, entry.series);
        out.push(metric_type_code(entry.metric_type));
        put_uvarint(out, 2);
        put_bytes(out, UNIT_FIELD.as_bytes());
        put_bytes(out, entry.unit.as_bytes());
        put_bytes(out, HELP_FIELD.as_bytes());
        put_bytes(out, entry.help.as_bytes());
    }
}

/// Hands every metadata entry of a record to `each`. Fields of other names are skipped, as the format
/// asks.
pub fn for_each_metadata(record: &[u8], mut each: impl FnMut(MetadataEntry)) -> Result<(), RecordError> {
    let (_, mut decoder) = open(record, &[Kind::Metadata])?;
    while !decoder.is_empty() {
        let series = decoder.uvarint()?;
        let metric_type = metric_type_of_code(decoder.u8()?);
        let (mut unit, mut help) = (String::new(), String::new());
        for _ in 0..decoder.count(2)? {
            let (name, value) = (decoder.str()?, decoder.str()?);
            match name {
                UNIT_FIELD => unit = value.to_owned(),
                HELP_FIELD => help = value.to_owned(),
                _ => {}
            }
        }
        each(MetadataEntry { series, metric_type, unit, help });
    }
    Ok(())
}

const METRIC_TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

fn metric_type_code(metric_type: MetricType) -> u8 {
    METRIC_TYPES.iter().position(|&t| t == metric_type).map_or(0, |at| at as u8)
}

fn metric_type_of_code(code: u8) -> MetricType {
    METRIC_TYPES.get(usize::from(code)).copied().unwrap_or_default()
}
