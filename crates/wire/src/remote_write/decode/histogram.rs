//! Native histograms, whose messages have the same fields in both versions.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::schema;
use crate::protobuf::{ProtobufError, Reader, zigzag};

/// A histogram sample.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Timestamp in milliseconds.
    pub t_ms: i64,
    /// Start timestamp in milliseconds, 0 when unknown.
    pub start_ms: i64,
    /// The histogram, as sent: it has yet to be validated.
    pub value: AnyHistogram,
}

/// A histogram of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyHistogram {
    /// With integer counts.
    Integer(Histogram),
    /// With float counts.
    Float(FloatHistogram),
}

/// The fields of a message: which of them count is known only at its end.
#[derive(Default)]
struct Fields {
    count_int: u64,
    count_float: f64,
    is_float: bool,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count_int: u64,
    zero_count_float: f64,
    negative_spans: Vec<Span>,
    negative_deltas: Vec<i64>,
    negative_counts: Vec<f64>,
    positive_spans: Vec<Span>,
    positive_deltas: Vec<i64>,
    positive_counts: Vec<f64>,
    reset_hint: CounterResetHint,
    custom_values: Vec<f64>,
}

/// Reads a histogram message.
pub(crate) fn read(mut reader: Reader<'_>) -> Result<HistogramSample, ProtobufError> {
    let mut fields = Fields::default();
    let (mut t_ms, mut start_ms) = (0, 0);
    while let Some(field) = reader.field()? {
        match field {
            // The counts are alternatives: the one given last holds.
            1 => (fields.count_int, fields.is_float) = (reader.uint()?, false),
            2 => (fields.count_float, fields.is_float) = (reader.double()?, true),
            3 => fields.sum = reader.double()?,
            4 => fields.schema = reader.sint()? as i32,
            5 => fields.zero_threshold = reader.double()?,
            6 => (fields.zero_count_int, fields.zero_count_float) = (reader.uint()?, 0.0),
            7 => (fields.zero_count_float, fields.zero_count_int) = (reader.double()?, 0),
            8 => fields.negative_spans.push(span(reader.message(&schema::SPAN)?)?),
            9 => push_sints(&mut reader, &mut fields.negative_deltas)?,
            10 => push_doubles(&mut reader, &mut fields.negative_counts)?,
            11 => fields.positive_spans.push(span(reader.message(&schema::SPAN)?)?),
            12 => push_sints(&mut reader, &mut fields.positive_deltas)?,
            13 => push_doubles(&mut reader, &mut fields.positive_counts)?,
            14 => fields.reset_hint = hint(reader.uint()?),
            15 => t_ms = reader.int()?,
            16 => push_doubles(&mut reader, &mut fields.custom_values)?,
            17 => start_ms = reader.int()?,
            _ => reader.skip()?,
        }
    }
    Ok(HistogramSample { t_ms, start_ms, value: fields.finish() })
}

fn push_sints(reader: &mut Reader<'_>, out: &mut Vec<i64>) -> Result<(), ProtobufError> {
    reader.uints(|value| {
        out.push(zigzag(value));
        Ok(())
    })
}

fn push_doubles(reader: &mut Reader<'_>, out: &mut Vec<f64>) -> Result<(), ProtobufError> {
    reader.doubles(|value| {
        out.push(value);
        Ok(())
    })
}

fn span(mut reader: Reader<'_>) -> Result<Span, ProtobufError> {
    let mut span = Span::default();
    while let Some(field) = reader.field()? {
        match field {
            1 => span.offset = reader.sint()? as i32,
            2 => span.length = reader.uint()? as u32,
            _ => reader.skip()?,
        }
    }
    Ok(span)
}

fn hint(number: u64) -> CounterResetHint {
    match number {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

impl Fields {
    fn finish(self) -> AnyHistogram {
        let custom_values = match self.custom_values.is_empty() {
            true => None,
            false => Some(Arc::from(self.custom_values)),
        };
        if self.is_float {
            return AnyHistogram::Float(FloatHistogram {
                counter_reset_hint: self.reset_hint,
                schema: self.schema,
                zero_threshold: self.zero_threshold,
                zero_count: self.zero_count_float,
                count: self.count_float,
                sum: self.sum,
                positive_spans: self.positive_spans,
                negative_spans: self.negative_spans,
                positive_buckets: self.positive_counts,
                negative_buckets: self.negative_counts,
                custom_values,
            });
        }
        AnyHistogram::Integer(Histogram {
            counter_reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count_int,
            count: self.count_int,
            sum: self.sum,
            positive_spans: self.positive_spans,
            negative_spans: self.negative_spans,
            positive_buckets: self.positive_deltas,
            negative_buckets: self.negative_deltas,
            custom_values,
        })
    }
}
