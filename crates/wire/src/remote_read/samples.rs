//! The answer that is one message: `prometheus.ReadResponse`, as a Snappy block.

use model::{FloatHistogram, Histogram, Span};

use super::{Place, put_labels};
use crate::protobuf::{
    ProtobufError, Reader, Schema, put_bytes, put_double, put_message, put_uint, put_varint, to_zigzag,
};
use crate::remote_write::decode::{HistogramSample, histogram, schema};

static RESPONSE: Schema = Schema { message: "prometheus.ReadResponse", fields: &[(1, "results")] };
static RESULT: Schema = Schema { message: "prometheus.QueryResult", fields: &[(1, "timeseries")] };

/// Hands on where each series lies, with the number of its query, and tells how many queries were
/// answered.
pub fn for_each_series<E: From<ProtobufError>>(
    body: &[u8],
    mut visit: impl FnMut(usize, Place) -> Result<(), E>,
) -> Result<usize, E> {
    let mut results = 0;
    let mut reader = Reader::new(body, &RESPONSE);
    while let Some(field) = reader.field()? {
        if field != 1 {
            reader.skip()?;
            continue;
        }
        let mut result = reader.message(&RESULT)?;
        while let Some(field) = result.field()? {
            match field {
                1 => visit(results, result.place()?)?,
                _ => result.skip()?,
            }
        }
        results += 1;
    }
    Ok(results)
}

/// One sample of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// A float: timestamp and value.
    Float(i64, f64),
    /// A histogram, not validated yet.
    Histogram(Box<HistogramSample>),
}

/// Hands on the samples of the series at `place`, in the order they were sent: floats and histograms are
/// each sorted by time, but not together.
pub fn for_each_sample<E: From<ProtobufError>>(
    body: &[u8],
    place: Place,
    mut visit: impl FnMut(Sample) -> Result<(), E>,
) -> Result<(), E> {
    let mut series = Reader::at(body, place, &schema::SERIES_V1);
    while let Some(field) = series.field()? {
        match field {
            2 => {
                let mut sample = series.message(&schema::SAMPLE_V1)?;
                let (mut t_ms, mut value) = (0, 0.0);
                while let Some(field) = sample.field()? {
                    match field {
                        1 => value = sample.double()?,
                        2 => t_ms = sample.int()?,
                        _ => sample.skip()?,
                    }
                }
                visit(Sample::Float(t_ms, value))?;
            }
            4 => {
                let read = histogram::read(series.message(&schema::HISTOGRAM_V1)?)?;
                visit(Sample::Histogram(Box::new(read)))?;
            }
            _ => series.skip()?,
        }
    }
    Ok(())
}

/// Writes the results of queries, one after the other, series by series.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    /// Where the open result begins.
    result: usize,
}

impl Writer {
    /// Bytes in memory so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Appends a series to the open result; `put` appends its samples with [`put_float`],
    /// [`put_histogram`] and [`put_float_histogram`].
    pub fn series<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        put: impl FnOnce(&mut Vec<u8>),
    ) {
        put_message(&mut self.out, 1, |out| {
            put_labels(out, labels);
            put(out);
        });
    }

    /// Ends the open result, and opens the next one.
    pub fn end_result(&mut self) {
        let len = self.out.len() - self.result;
        let mut head = Vec::with_capacity(11);
        put_varint(&mut head, u64::from(crate::protobuf::key(1, crate::protobuf::BYTES)));
        put_varint(&mut head, len as u64);
        self.out.splice(self.result..self.result, head);
        self.result = self.out.len();
    }

    /// The series of the open result alone, which are also those of a `prometheus.WriteRequest`.
    pub fn into_open_result(mut self) -> Vec<u8> {
        self.out.split_off(self.result)
    }

    /// The whole message.
    pub fn finish(self) -> Vec<u8> {
        debug_assert_eq!(self.result, self.out.len(), "the last result is not ended");
        self.out
    }
}

/// Appends a float sample to a series.
#[inline]
pub fn put_float(out: &mut Vec<u8>, t_ms: i64, value: f64) {
    put_message(out, 2, |out| {
        put_double(out, 1, value);
        put_uint(out, 2, t_ms as u64);
    });
}

/// Appends a histogram sample of integer counts to a series.
pub fn put_histogram(out: &mut Vec<u8>, t_ms: i64, h: &Histogram) {
    put_message(out, 4, |out| {
        put_uint(out, 1, h.count);
        put_double(out, 3, h.sum);
        put_uint(out, 4, to_zigzag(i64::from(h.schema)));
        put_double(out, 5, h.zero_threshold);
        put_uint(out, 6, h.zero_count);
        put_spans(out, 8, &h.negative_spans);
        put_sints(out, 9, &h.negative_buckets);
        put_spans(out, 11, &h.positive_spans);
        put_sints(out, 12, &h.positive_buckets);
        put_uint(out, 14, h.counter_reset_hint as u64);
        put_uint(out, 15, t_ms as u64);
        put_doubles(out, 16, h.custom_values.as_deref().unwrap_or_default());
    });
}

/// Appends a histogram sample of float counts to a series.
pub fn put_float_histogram(out: &mut Vec<u8>, t_ms: i64, h: &FloatHistogram) {
    put_message(out, 4, |out| {
        put_double(out, 2, h.count);
        put_double(out, 3, h.sum);
        put_uint(out, 4, to_zigzag(i64::from(h.schema)));
        put_double(out, 5, h.zero_threshold);
        put_double(out, 7, h.zero_count);
        put_spans(out, 8, &h.negative_spans);
        put_doubles(out, 10, &h.negative_buckets);
        put_spans(out, 11, &h.positive_spans);
        put_doubles(out, 13, &h.positive_buckets);
        put_uint(out, 14, h.counter_reset_hint as u64);
        put_uint(out, 15, t_ms as u64);
        put_doubles(out, 16, h.custom_values.as_deref().unwrap_or_default());
    });
}

fn put_spans(out: &mut Vec<u8>, field: u32, spans: &[Span]) {
    for span in spans {
        put_message(out, field, |out| {
            put_uint(out, 1, to_zigzag(i64::from(span.offset)));
            put_uint(out, 2, u64::from(span.length));
        });
    }
}

fn put_sints(out: &mut Vec<u8>, field: u32, values: &[i64]) {
    if !values.is_empty() {
        put_message(out, field, |out| values.iter().for_each(|&value| put_varint(out, to_zigzag(value))));
    }
}

fn put_doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if !values.is_empty() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        put_bytes(out, field, &bytes);
    }
}
