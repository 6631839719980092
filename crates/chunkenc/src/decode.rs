//! Any chunk into columns, or sample by sample.

use std::sync::Arc;

use model::{FloatHistogram, Histogram, SampleColumns, TimeRange};

use crate::encoding::{ChunkError, Encoding, num_samples};
use crate::histogram::HistogramReader;
use crate::xor::walk;
use crate::xor2::Cursor;

/// The value of one sample of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    /// A float.
    Float(f64),
    /// A histogram of integer counts.
    Histogram(Box<IntegerHistogram>),
    /// A histogram of float counts.
    FloatHistogram(Box<FloatHistogram>),
}

/// A [`Histogram`] that compares field by field, floats by their bits.
#[derive(Debug, Clone)]
pub struct IntegerHistogram(pub Histogram);

impl PartialEq for IntegerHistogram {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        let bits = |v: &[f64]| v.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
        a.schema == b.schema
            && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
            && (a.zero_count, a.count, a.sum.to_bits()) == (b.zero_count, b.count, b.sum.to_bits())
            && (&a.positive_spans, &a.negative_spans) == (&b.positive_spans, &b.negative_spans)
            && (&a.positive_buckets, &a.negative_buckets) == (&b.positive_buckets, &b.negative_buckets)
            && a.custom_values.as_deref().map(bits) == b.custom_values.as_deref().map(bits)
    }
}

/// One sample of a chunk, as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSample {
    /// The start timestamp, 0 when unknown.
    pub start_ms: i64,
    /// The timestamp.
    pub t_ms: i64,
    /// The value.
    pub value: RawValue,
}

/// Appends the samples of a chunk that lie in `range` to `out`.
///
/// Only the first `max_samples` samples of the chunk are looked at: an open chunk may hold samples a
/// reader must not see yet. Samples are taken to ascend in time. On failure `out` is as before.
pub fn decode_into(
    bytes: &[u8],
    encoding: Encoding,
    range: TimeRange,
    max_samples: usize,
    out: &mut SampleColumns,
) -> Result<(), ChunkError> {
    let before = out.len();
    let (had_histograms, had_starts) = (!out.histograms.is_empty(), !out.start_timestamps_ms.is_empty());
    let decoded = match encoding {
        Encoding::Xor => decode_xor(bytes, range, max_samples, out),
        Encoding::Xor2 => decode_xor2(bytes, range, max_samples, out),
        Encoding::Histogram | Encoding::HistogramSt => {
            decode_histograms::<Histogram>(bytes, encoding, range, max_samples, out)
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            decode_histograms::<FloatHistogram>(bytes, encoding, range, max_samples, out)
        }
    };
    if decoded.is_err() {
        out.timestamps_ms.truncate(before);
        out.values.truncate(before);
        out.histograms.truncate(if had_histograms { before } else { 0 });
        out.start_timestamps_ms.truncate(if had_starts { before } else { 0 });
    }
    decoded
}

fn decode_xor(
    bytes: &[u8],
    range: TimeRange,
    max_samples: usize,
    out: &mut SampleColumns,
) -> Result<(), ChunkError> {
    if !out.histograms.is_empty() || !out.start_timestamps_ms.is_empty() {
        let push = |t_ms, value| {
            if t_ms >= range.start_ms && t_ms <= range.end_ms {
                out.push_float(t_ms, value);
            }
            t_ms <= range.end_ms
        };
        return walk(bytes, max_samples, push).map(|_| ());
    }
    // A chunk is at least a bit per sample, which `walk` checks before it calls; this only avoids
    // growing the columns step by step.
    let samples = usize::from(num_samples(bytes, Encoding::Xor)?).min(max_samples).min(bytes.len() * 8);
    let before = out.len();
    out.timestamps_ms.resize(before + samples, 0);
    out.values.resize(before + samples, 0.0);
    let mut places = out.timestamps_ms[before..].iter_mut().zip(&mut out.values[before..]);
    let mut taken = 0;
    let push = |t_ms, value| {
        if t_ms >= range.start_ms {
            if t_ms > range.end_ms {
                return false;
            }
            let Some((t_place, value_place)) = places.next() else { return false };
            (*t_place, *value_place) = (t_ms, value);
            taken += 1;
        }
        true
    };
    let walked = walk(bytes, max_samples, push);
    out.timestamps_ms.truncate(before + taken);
    out.values.truncate(before + taken);
    walked.map(|_| ())
}

fn decode_xor2(
    bytes: &[u8],
    range: TimeRange,
    max_samples: usize,
    out: &mut SampleColumns,
) -> Result<(), ChunkError> {
    let mut cursor = Cursor::new(bytes)?;
    cursor.samples = cursor.samples.min(max_samples);
    let has_starts = cursor.starts.present();
    while let Some((start_ms, t_ms, value)) = cursor.next()? {
        if t_ms > range.end_ms {
            break;
        }
        if t_ms >= range.start_ms {
            out.push_float(t_ms, value);
            if has_starts {
                out.set_last_start_timestamp(start_ms);
            }
        }
    }
    Ok(())
}

fn decode_histograms<H: crate::histogram::NativeHistogram>(
    bytes: &[u8],
    encoding: Encoding,
    range: TimeRange,
    max_samples: usize,
    out: &mut SampleColumns,
) -> Result<(), ChunkError> {
    let mut reader = HistogramReader::<H>::new(bytes, encoding)?;
    let mut left = max_samples;
    while left > 0 && reader.advance()? {
        left -= 1;
        if reader.t_ms() > range.end_ms {
            break;
        }
        if reader.t_ms() >= range.start_ms {
            out.push_histogram(reader.t_ms(), Arc::new(reader.float_histogram()));
            out.set_last_start_timestamp(reader.start_ms());
        }
    }
    Ok(())
}

/// Appends only the last sample of a chunk that lies in `range` to `out`; false when there is none.
pub fn decode_last(
    bytes: &[u8],
    encoding: Encoding,
    range: TimeRange,
    max_samples: usize,
    out: &mut SampleColumns,
) -> Result<bool, ChunkError> {
    match encoding {
        Encoding::Xor => {
            let mut last = None;
            walk(bytes, max_samples, |t_ms, value| {
                let go_on = t_ms <= range.end_ms;
                if go_on {
                    last = Some((t_ms, value));
                }
                go_on
            })?;
            let last = last.filter(|&(t_ms, _)| t_ms >= range.start_ms);
            if let Some((t_ms, value)) = last {
                out.push_float(t_ms, value);
            }
            Ok(last.is_some())
        }
        Encoding::Xor2 => {
            let mut cursor = Cursor::new(bytes)?;
            cursor.samples = cursor.samples.min(max_samples);
            let mut last = None;
            while let Some(sample) = cursor.next()? {
                if sample.1 > range.end_ms {
                    break;
                }
                last = Some(sample);
            }
            let last = last.filter(|&(_, t_ms, _)| t_ms >= range.start_ms);
            if let Some((start_ms, t_ms, value)) = last {
                out.push_float(t_ms, value);
                out.set_last_start_timestamp(start_ms);
            }
            Ok(last.is_some())
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            last_histogram::<Histogram>(bytes, encoding, range, max_samples, out)
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            last_histogram::<FloatHistogram>(bytes, encoding, range, max_samples, out)
        }
    }
}

/// Two passes: the first finds the sample, the second builds it, and only it.
fn last_histogram<H: crate::histogram::NativeHistogram>(
    bytes: &[u8],
    encoding: Encoding,
    range: TimeRange,
    max_samples: usize,
    out: &mut SampleColumns,
) -> Result<bool, ChunkError> {
    let mut reader = HistogramReader::<H>::new(bytes, encoding)?;
    let start = reader.clone();
    let mut passed = 0;
    let mut found = 0;
    while passed < max_samples && reader.advance()? && reader.t_ms() <= range.end_ms {
        passed += 1;
        if reader.t_ms() >= range.start_ms {
            found = passed;
        }
    }
    if found == 0 {
        return Ok(false);
    }
    let mut reader = start;
    for _ in 0..found {
        reader.advance()?;
    }
    out.push_histogram(reader.t_ms(), Arc::new(reader.float_histogram()));
    out.set_last_start_timestamp(reader.start_ms());
    Ok(true)
}

/// Calls `visit` with every sample of a chunk, as stored: for re-encoding and dumping.
pub fn for_each<E: From<ChunkError>>(
    bytes: &[u8],
    encoding: Encoding,
    mut visit: impl FnMut(RawSample) -> Result<(), E>,
) -> Result<(), E> {
    match encoding {
        Encoding::Xor => {
            let mut outcome = Ok(());
            walk(bytes, usize::MAX, |t_ms, value| {
                outcome = visit(RawSample { start_ms: 0, t_ms, value: RawValue::Float(value) });
                outcome.is_ok()
            })?;
            outcome
        }
        Encoding::Xor2 => {
            let mut cursor = Cursor::new(bytes)?;
            while let Some((start_ms, t_ms, value)) = cursor.next()? {
                visit(RawSample { start_ms, t_ms, value: RawValue::Float(value) })?;
            }
            Ok(())
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            let mut reader = HistogramReader::<Histogram>::new(bytes, encoding)?;
            while reader.advance()? {
                let value = RawValue::Histogram(Box::new(IntegerHistogram(reader.histogram())));
                visit(RawSample { start_ms: reader.start_ms(), t_ms: reader.t_ms(), value })?;
            }
            Ok(())
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            let mut reader = HistogramReader::<FloatHistogram>::new(bytes, encoding)?;
            while reader.advance()? {
                let value = RawValue::FloatHistogram(Box::new(reader.histogram()));
                visit(RawSample { start_ms: reader.start_ms(), t_ms: reader.t_ms(), value })?;
            }
            Ok(())
        }
    }
}

/// The timestamps of the first and last sample; `None` for an empty chunk. Reads the whole chunk.
pub fn time_range(bytes: &[u8], encoding: Encoding) -> Result<Option<TimeRange>, ChunkError> {
    let mut found: Option<TimeRange> = None;
    let mut note = |t_ms| match &mut found {
        Some(range) => range.end_ms = t_ms,
        None => found = Some(TimeRange::new(t_ms, t_ms)),
    };
    match encoding {
        Encoding::Xor => {
            walk(bytes, usize::MAX, |t_ms, _| {
                note(t_ms);
                true
            })?;
        }
        _ => for_each(bytes, encoding, |sample| {
            note(sample.t_ms);
            Ok::<_, ChunkError>(())
        })?,
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
