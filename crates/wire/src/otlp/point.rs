//! Data points and exemplars. Each is read into buffers that the next one reuses.

use super::schema::{BUCKETS, EXEMPLAR, VALUE_AT_QUANTILE};
use super::{Attributes, DecodeError, MAX_BUCKETS, MAX_EXEMPLARS, Result};
use crate::protobuf::Reader;

/// The bit of `flags` that says that there is no value: the series ended.
const NO_RECORDED_VALUE: u64 = 1;

/// What all points have.
#[derive(Debug, Clone, Default)]
pub struct PointHead<'a> {
    /// Which series of the metric it belongs to.
    pub attributes: Attributes<'a>,
    /// Since when is counted, in nanoseconds since the Unix epoch; 0 when unknown.
    pub start_ns: u64,
    /// When the value held, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Whether the series ended rather than having a value.
    pub no_recorded_value: bool,
    exemplars: Vec<Reader<'a>>,
}

/// Where the fields lie that not all points have in the same place.
struct Layout {
    attributes: u32,
    exemplars: u32,
    flags: u32,
}

const NUMBER: Layout = Layout { attributes: 7, exemplars: 5, flags: 8 };
const HISTOGRAM: Layout = Layout { attributes: 9, exemplars: 8, flags: 10 };
const EXPONENTIAL: Layout = Layout { attributes: 1, exemplars: 11, flags: 10 };
const SUMMARY: Layout = Layout { attributes: 7, exemplars: 0, flags: 8 };

impl<'a> PointHead<'a> {
    fn clear(&mut self) {
        self.attributes.clear();
        self.exemplars.clear();
        (self.start_ns, self.time_ns, self.no_recorded_value) = (0, 0, false);
    }

    /// Takes the field if it is one of those all points have, and passes over it otherwise.
    #[inline]
    fn take(&mut self, field: u32, reader: &mut Reader<'a>, layout: &Layout) -> Result<()> {
        match field {
            2 => self.start_ns = reader.fixed64()?,
            3 => self.time_ns = reader.fixed64()?,
            _ if field == layout.attributes => self.attributes.push(reader)?,
            _ if field == layout.flags => self.no_recorded_value = reader.uint()? & NO_RECORDED_VALUE != 0,
            _ if field == layout.exemplars => {
                if self.exemplars.len() >= MAX_EXEMPLARS {
                    return Err(too_many("exemplars", MAX_EXEMPLARS, reader));
                }
                self.exemplars.push(reader.message(&EXEMPLAR.schema)?);
            }
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// The exemplars.
    pub fn exemplars(&self) -> impl ExactSizeIterator<Item = Result<Exemplar<'a>>> {
        self.exemplars.iter().map(|reader| Exemplar::read(*reader))
    }

    /// When the value held, in milliseconds.
    pub fn time_ms(&self) -> i64 {
        milliseconds(self.time_ns)
    }

    /// Since when is counted, in milliseconds; 0 when unknown.
    pub fn start_ms(&self) -> i64 {
        milliseconds(self.start_ns)
    }
}

/// Milliseconds of nanoseconds, which are signed wherever they are computed with.
fn milliseconds(ns: u64) -> i64 {
    (ns as i64) / 1_000_000
}

#[cold]
fn too_many(what: &'static str, limit: usize, reader: &Reader<'_>) -> DecodeError {
    DecodeError::TooMany { what, limit, offset: reader.field_offset() }
}

/// A whole number or a float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A float.
    Double(f64),
}

impl Number {
    /// The value, rounded where a float cannot hold it.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// A point of a gauge or a sum.
#[derive(Debug, Clone, Default)]
pub struct NumberPoint<'a> {
    /// What all points have.
    pub head: PointHead<'a>,
    /// The value, if there is one.
    pub value: Option<Number>,
}

impl<'a> NumberPoint<'a> {
    /// Takes over the point in `reader`.
    pub fn read(&mut self, mut reader: Reader<'a>) -> Result<()> {
        self.head.clear();
        self.value = None;
        while let Some(field) = reader.field()? {
            match field {
                4 => self.value = Some(Number::Double(reader.double()?)),
                6 => self.value = Some(Number::Int(reader.fixed64()? as i64)),
                _ => self.head.take(field, &mut reader, &NUMBER)?,
            }
        }
        Ok(())
    }
}

/// A point of a histogram with listed bounds.
#[derive(Debug, Clone, Default)]
pub struct HistogramPoint<'a> {
    /// What all points have.
    pub head: PointHead<'a>,
    /// Observations.
    pub count: u64,
    /// Their sum, if it makes sense.
    pub sum: Option<f64>,
    /// Observations in each bucket; one more than bounds, or none.
    pub bucket_counts: Vec<u64>,
    /// Upper bounds of the buckets but the last.
    pub explicit_bounds: Vec<f64>,
}

impl<'a> HistogramPoint<'a> {
    /// Takes over the point in `reader`.
    pub fn read(&mut self, mut reader: Reader<'a>) -> Result<()> {
        self.head.clear();
        (self.count, self.sum) = (0, None);
        self.bucket_counts.clear();
        self.explicit_bounds.clear();
        while let Some(field) = reader.field()? {
            match field {
                4 => self.count = reader.fixed64()?,
                5 => self.sum = Some(reader.double()?),
                // Eight bytes a number, like doubles.
                6 => doubles(&mut reader, &mut self.bucket_counts, f64::to_bits)?,
                7 => doubles(&mut reader, &mut self.explicit_bounds, |bound| bound)?,
                _ => self.head.take(field, &mut reader, &HISTOGRAM)?,
            }
        }
        Ok(())
    }
}

/// Appends the numbers of a repeated field, as many as are allowed.
fn doubles<T>(reader: &mut Reader<'_>, out: &mut Vec<T>, number: impl Fn(f64) -> T) -> Result<()> {
    let mut is_full = false;
    reader.doubles(|value| {
        is_full |= out.len() >= MAX_BUCKETS;
        if !is_full {
            out.push(number(value));
        }
        Ok(())
    })?;
    if is_full { Err(too_many("buckets", MAX_BUCKETS, reader)) } else { Ok(()) }
}

/// A point of a histogram with exponential bounds.
#[derive(Debug, Clone, Default)]
pub struct ExponentialPoint<'a> {
    /// What all points have.
    pub head: PointHead<'a>,
    /// Observations.
    pub count: u64,
    /// Their sum, if it makes sense.
    pub sum: Option<f64>,
    /// Buckets grow by `2^(2^-scale)`.
    pub scale: i32,
    /// Observations about zero.
    pub zero_count: u64,
    /// What counts as zero.
    pub zero_threshold: f64,
    /// Observations above zero.
    pub positive: Buckets,
    /// Observations below zero.
    pub negative: Buckets,
}

/// Exponential buckets of one sign: bucket `i` holds what lies above `base^(offset+i)` and not above
/// `base^(offset+i+1)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The index of the first bucket.
    pub offset: i32,
    /// Observations in each bucket.
    pub counts: Vec<u64>,
}

impl Buckets {
    fn clear(&mut self) {
        self.offset = 0;
        self.counts.clear();
    }

    fn read(&mut self, mut reader: Reader<'_>) -> Result<()> {
        while let Some(field) = reader.field()? {
            match field {
                1 => self.offset = reader.sint()? as i32,
                2 => {
                    let (counts, mut is_full) = (&mut self.counts, false);
                    reader.uints(|count| {
                        is_full |= counts.len() >= MAX_BUCKETS;
                        if !is_full {
                            counts.push(count);
                        }
                        Ok(())
                    })?;
                    if is_full {
                        return Err(too_many("buckets", MAX_BUCKETS, &reader));
                    }
                }
                _ => reader.skip()?,
            }
        }
        Ok(())
    }
}

impl<'a> ExponentialPoint<'a> {
    /// Takes over the point in `reader`.
    pub fn read(&mut self, mut reader: Reader<'a>) -> Result<()> {
        self.head.clear();
        (self.count, self.sum, self.scale) = (0, None, 0);
        (self.zero_count, self.zero_threshold) = (0, 0.0);
        self.positive.clear();
        self.negative.clear();
        while let Some(field) = reader.field()? {
            match field {
                4 => self.count = reader.fixed64()?,
                5 => self.sum = Some(reader.double()?),
                6 => self.scale = reader.sint()? as i32,
                7 => self.zero_count = reader.fixed64()?,
                8 => self.positive.read(reader.message(&BUCKETS.schema)?)?,
                9 => self.negative.read(reader.message(&BUCKETS.schema)?)?,
                14 => self.zero_threshold = reader.double()?,
                _ => self.head.take(field, &mut reader, &EXPONENTIAL)?,
            }
        }
        Ok(())
    }
}

/// A point of a summary.
#[derive(Debug, Clone, Default)]
pub struct SummaryPoint<'a> {
    /// What all points have.
    pub head: PointHead<'a>,
    /// Observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// `(quantile, value)`.
    pub quantiles: Vec<(f64, f64)>,
}

impl<'a> SummaryPoint<'a> {
    /// Takes over the point in `reader`.
    pub fn read(&mut self, mut reader: Reader<'a>) -> Result<()> {
        self.head.clear();
        (self.count, self.sum) = (0, 0.0);
        self.quantiles.clear();
        while let Some(field) = reader.field()? {
            match field {
                4 => self.count = reader.fixed64()?,
                5 => self.sum = reader.double()?,
                6 => {
                    if self.quantiles.len() >= MAX_BUCKETS {
                        return Err(too_many("quantiles", MAX_BUCKETS, &reader));
                    }
                    self.quantiles.push(quantile(reader.message(&VALUE_AT_QUANTILE.schema)?)?);
                }
                _ => self.head.take(field, &mut reader, &SUMMARY)?,
            }
        }
        Ok(())
    }
}

fn quantile(mut reader: Reader<'_>) -> Result<(f64, f64)> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(field) = reader.field()? {
        match field {
            1 => quantile = reader.double()?,
            2 => value = reader.double()?,
            _ => reader.skip()?,
        }
    }
    Ok((quantile, value))
}

/// An observation that stands for others, most often with the trace it was part of.
#[derive(Debug, Clone, Default)]
pub struct Exemplar<'a> {
    /// Attributes that the series does not have.
    pub attributes: Attributes<'a>,
    /// When it was observed, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The value, if there is one.
    pub value: Option<Number>,
    /// The span; 8 bytes, or none.
    pub span_id: &'a [u8],
    /// The trace; 16 bytes, or none.
    pub trace_id: &'a [u8],
}

impl<'a> Exemplar<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self> {
        let mut exemplar = Self::default();
        while let Some(field) = reader.field()? {
            match field {
                2 => exemplar.time_ns = reader.fixed64()?,
                3 => exemplar.value = Some(Number::Double(reader.double()?)),
                4 => exemplar.span_id = id(&mut reader, 8)?,
                5 => exemplar.trace_id = id(&mut reader, 16)?,
                6 => exemplar.value = Some(Number::Int(reader.fixed64()? as i64)),
                7 => exemplar.attributes.push(&mut reader)?,
                _ => reader.skip()?,
            }
        }
        Ok(exemplar)
    }

    /// When it was observed, in milliseconds.
    pub fn time_ms(&self) -> i64 {
        milliseconds(self.time_ns)
    }
}

/// An id of so many bytes; all zeros stand for none.
fn id<'a>(reader: &mut Reader<'a>, len: usize) -> Result<&'a [u8]> {
    let bytes = reader.bytes()?;
    if !bytes.is_empty() && bytes.len() != len {
        let (what, offset) = (if len == 8 { "span id" } else { "trace id" }, reader.field_offset());
        return Err(DecodeError::WrongId { what, len: bytes.len(), offset });
    }
    Ok(if bytes.iter().all(|byte| *byte == 0) { &[] } else { bytes })
}
