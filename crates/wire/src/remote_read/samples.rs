//! The answer that is one message: `prometheus.ReadResponse`, as a Snappy block.

use model::{FloatHistogram, Histogram};

use super::{Place, put_labels};
use crate::protobuf::{ProtobufError, Reader, Schema, put_double, put_message, put_uint, put_varint};
use crate::remote_write::decode::{HistogramSample, histogram, schema};
use crate::remote_write::encode::HistogramRef;
use crate::remote_write::encode::histogram::put;

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
pub fn put_histogram(out: &mut Vec<u8>, t_ms: i64, histogram: &Histogram) {
    put(out, 4, 0, t_ms, HistogramRef::Integer(histogram));
}

/// Appends a histogram sample of float counts to a series.
pub fn put_float_histogram(out: &mut Vec<u8>, t_ms: i64, histogram: &FloatHistogram) {
    put(out, 4, 0, t_ms, HistogramRef::Float(histogram));
}
