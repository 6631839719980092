//! Histogram records.

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::codec::{Decoder, put_f64, put_i64, put_u64, put_uvarint, put_varint};
use super::record::{Kind, RecordError, StartChain, begin};

/// A histogram of either count type.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyHistogram {
    /// Integer counts.
    Integer(Arc<Histogram>),
    /// Float counts.
    Float(Arc<FloatHistogram>),
}

impl AnyHistogram {
    /// Whether bucket bounds are custom.
    pub fn has_custom_buckets(&self) -> bool {
        self.schema() == CUSTOM_BUCKETS_SCHEMA
    }

    /// The bucket schema.
    pub fn schema(&self) -> i32 {
        match self {
            Self::Integer(h) => h.schema,
            Self::Float(h) => h.schema,
        }
    }

    /// The sum of observations, which carries the staleness marker.
    pub fn sum(&self) -> f64 {
        match self {
            Self::Integer(h) => h.sum,
            Self::Float(h) => h.sum,
        }
    }

    /// Number of bucket entries.
    pub fn bucket_count(&self) -> usize {
        match self {
            Self::Integer(h) => h.positive_buckets.len() + h.negative_buckets.len(),
            Self::Float(h) => h.positive_buckets.len() + h.negative_buckets.len(),
        }
    }
}

/// One histogram sample of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// The series.
    pub series: u64,
    /// Start timestamp, 0 when unknown.
    pub start_ms: i64,
    /// Timestamp.
    pub t_ms: i64,
    /// Value.
    pub value: AnyHistogram,
}

/// The record kind a histogram sample belongs into.
pub fn kind_of(value: &AnyHistogram, with_start: bool) -> Kind {
    match (value, with_start, value.has_custom_buckets()) {
        (AnyHistogram::Integer(_), true, _) => Kind::HistogramsWithStart,
        (AnyHistogram::Float(_), true, _) => Kind::FloatHistogramsWithStart,
        (AnyHistogram::Integer(_), false, false) => Kind::Histograms,
        (AnyHistogram::Float(_), false, false) => Kind::FloatHistograms,
        (AnyHistogram::Integer(_), false, true) => Kind::CustomHistograms,
        (AnyHistogram::Float(_), false, true) => Kind::CustomFloatHistograms,
    }
}

/// All kinds that hold histograms, in the order they are written within a batch.
pub const HISTOGRAM_KINDS: [Kind; 6] = [
    Kind::Histograms,
    Kind::CustomHistograms,
    Kind::HistogramsWithStart,
    Kind::FloatHistograms,
    Kind::CustomFloatHistograms,
    Kind::FloatHistogramsWithStart,
];

/// Appends a record of `kind` with those samples that belong into it; false, and nothing appended, when
/// there is none.
pub fn put_histograms(out: &mut Vec<u8>, kind: Kind, samples: &[HistogramSample]) -> bool {
    let with_start = matches!(kind, Kind::HistogramsWithStart | Kind::FloatHistogramsWithStart);
    let mut of_kind = samples.iter().filter(|s| kind_of(&s.value, with_start) == kind).peekable();
    let Some(&first) = of_kind.peek() else { return false };
    begin(out, kind);
    let mut chain = StartChain::default();
    if !with_start {
        put_u64(out, first.series);
        put_i64(out, first.t_ms);
    }
    for sample in of_kind {
        if with_start {
            chain.put(out, sample.series, sample.start_ms, sample.t_ms);
        } else {
            put_varint(out, sample.series.wrapping_sub(first.series) as i64);
            put_varint(out, sample.t_ms.wrapping_sub(first.t_ms));
        }
        put_histogram(out, &sample.value);
    }
    true
}

/// Hands every histogram sample of a record, of any histogram kind, to `each`. Samples of a schema this
/// version cannot store are skipped.
pub fn for_each_histogram(record: &[u8], mut each: impl FnMut(HistogramSample)) -> Result<(), RecordError> {
    let kind = match Kind::of(record) {
        Some(kind) if HISTOGRAM_KINDS.contains(&kind) => kind,
        _ => return Err(RecordError::Kind(record.first().copied().unwrap_or(0))),
    };
    let with_start = matches!(kind, Kind::HistogramsWithStart | Kind::FloatHistogramsWithStart);
    let float =
        matches!(kind, Kind::FloatHistograms | Kind::CustomFloatHistograms | Kind::FloatHistogramsWithStart);
    let mut decoder = Decoder::new(&record[1..]);
    if decoder.is_empty() {
        return Ok(());
    }
    let (base_series, base_t) = if with_start { (0, 0) } else { (decoder.u64()?, decoder.i64()?) };
    let mut chain = StartChain::default();
    while !decoder.is_empty() {
        let (series, start_ms, t_ms) = if with_start {
            chain.read(&mut decoder)?
        } else {
            let series = base_series.wrapping_add(decoder.varint()? as u64);
            (series, 0, base_t.wrapping_add(decoder.varint()?))
        };
        let value = if float {
            AnyHistogram::Float(Arc::new(read_float_histogram(&mut decoder)?))
        } else {
            AnyHistogram::Integer(Arc::new(read_integer_histogram(&mut decoder)?))
        };
        if is_storable(value.schema()) {
            each(HistogramSample { series, start_ms, t_ms, value });
        }
    }
    Ok(())
}

fn is_storable(schema: i32) -> bool {
    use model::histogram::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
    schema == CUSTOM_BUCKETS_SCHEMA || (EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).contains(&schema)
}

/// Appends one histogram, without series and time.
pub fn put_histogram(out: &mut Vec<u8>, value: &AnyHistogram) {
    match value {
        AnyHistogram::Integer(h) => {
            out.push(h.counter_reset_hint as u8);
            put_varint(out, i64::from(h.schema));
            put_f64(out, h.zero_threshold);
            put_uvarint(out, h.zero_count);
            put_uvarint(out, h.count);
            put_f64(out, h.sum);
            put_spans(out, &h.positive_spans);
            put_spans(out, &h.negative_spans);
            for buckets in [&h.positive_buckets, &h.negative_buckets] {
                put_uvarint(out, buckets.len() as u64);
                buckets.iter().for_each(|&delta| put_varint(out, delta));
            }
            put_custom_values(out, h.schema, h.custom_values.as_deref());
        }
        AnyHistogram::Float(h) => {
            out.push(h.counter_reset_hint as u8);
            put_varint(out, i64::from(h.schema));
            put_f64(out, h.zero_threshold);
            put_f64(out, h.zero_count);
            put_f64(out, h.count);
            put_f64(out, h.sum);
            put_spans(out, &h.positive_spans);
            put_spans(out, &h.negative_spans);
            put_float_list(out, &h.positive_buckets);
            put_float_list(out, &h.negative_buckets);
            put_custom_values(out, h.schema, h.custom_values.as_deref());
        }
    }
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_uvarint(out, spans.len() as u64);
    for span in spans {
        put_varint(out, i64::from(span.offset));
        put_uvarint(out, u64::from(span.length));
    }
}

fn put_float_list(out: &mut Vec<u8>, values: &[f64]) {
    put_uvarint(out, values.len() as u64);
    values.iter().for_each(|&value| put_f64(out, value));
}

fn put_custom_values(out: &mut Vec<u8>, schema: i32, values: Option<&[f64]>) {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        put_float_list(out, values.unwrap_or_default());
    }
}

/// Reads a histogram of integer counts as [`put_histogram`] writes it.
pub fn read_integer_histogram(decoder: &mut Decoder<'_>) -> Result<Histogram, RecordError> {
    let counter_reset_hint = hint_of(decoder.u8()?);
    let schema = decoder.varint()? as i32;
    let zero_threshold = decoder.f64()?;
    let (zero_count, count, sum) = (decoder.uvarint()?, decoder.uvarint()?, decoder.f64()?);
    let (positive_spans, negative_spans) = (read_spans(decoder)?, read_spans(decoder)?);
    let (positive_buckets, negative_buckets) = (read_deltas(decoder)?, read_deltas(decoder)?);
    let custom_values = read_custom_values(decoder, schema)?;
    Ok(Histogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values,
    })
}

/// Reads a histogram of float counts as [`put_histogram`] writes it.
pub fn read_float_histogram(decoder: &mut Decoder<'_>) -> Result<FloatHistogram, RecordError> {
    let counter_reset_hint = hint_of(decoder.u8()?);
    let schema = decoder.varint()? as i32;
    let zero_threshold = decoder.f64()?;
    let (zero_count, count, sum) = (decoder.f64()?, decoder.f64()?, decoder.f64()?);
    let (positive_spans, negative_spans) = (read_spans(decoder)?, read_spans(decoder)?);
    let (positive_buckets, negative_buckets) = (read_float_list(decoder)?, read_float_list(decoder)?);
    let custom_values = read_custom_values(decoder, schema)?;
    Ok(FloatHistogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values,
    })
}

fn hint_of(code: u8) -> CounterResetHint {
    match code {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn read_spans(decoder: &mut Decoder<'_>) -> Result<Vec<Span>, RecordError> {
    let count = decoder.count(2)?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        spans.push(Span { offset: decoder.varint()? as i32, length: decoder.uvarint()? as u32 });
    }
    Ok(spans)
}

fn read_deltas(decoder: &mut Decoder<'_>) -> Result<Vec<i64>, RecordError> {
    let count = decoder.count(1)?;
    (0..count).map(|_| decoder.varint()).collect()
}

fn read_float_list(decoder: &mut Decoder<'_>) -> Result<Vec<f64>, RecordError> {
    let count = decoder.count(8)?;
    (0..count).map(|_| decoder.f64()).collect()
}

fn read_custom_values(decoder: &mut Decoder<'_>, schema: i32) -> Result<Option<Arc<[f64]>>, RecordError> {
    if schema != CUSTOM_BUCKETS_SCHEMA {
        return Ok(None);
    }
    Ok(Some(read_float_list(decoder)?.into()))
}
