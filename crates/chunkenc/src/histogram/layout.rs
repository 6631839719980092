//! The bucket layout at the head of a histogram chunk, which all its samples share.

use std::sync::Arc;

use model::Span;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;

use crate::bits::{BitReader, BitWriter};
use crate::encoding::ChunkError;

/// Schemas a chunk may have: newer programs may write finer or coarser ones than we compute with.
const KNOWN_SCHEMAS: std::ops::RangeInclusive<i64> = -9..=52;

/// Zero threshold bytes between 1 and 254 are powers of two: the exponent of 1 is this.
const LOWEST_THRESHOLD_EXPONENT: i32 = -243;

/// Custom bounds up to this many thousandths are stored as a number of thousandths.
const MAX_THOUSANDTHS: f64 = 33_554_430.0;

/// Schema, zero threshold and buckets in use.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) positive_spans: Vec<Span>,
    pub(crate) negative_spans: Vec<Span>,
    pub(crate) custom_values: Option<Arc<[f64]>>,
}

/// Number of buckets in spans.
pub(crate) fn bucket_count(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

impl Layout {
    pub(crate) fn write(&self, writer: &mut BitWriter) {
        put_zero_threshold(writer, self.zero_threshold);
        writer.put_varbit_int(i64::from(self.schema));
        put_spans(writer, &self.positive_spans);
        put_spans(writer, &self.negative_spans);
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            let bounds = self.custom_values.as_deref().unwrap_or_default();
            writer.put_varbit_uint(bounds.len() as u64);
            for &bound in bounds {
                put_custom_bound(writer, bound);
            }
        }
    }

    /// Reads a layout. `min_bucket_bits` is the size of the smallest bucket count that follows, so
    /// that spans cannot promise more buckets than the chunk has room for.
    pub(crate) fn read(reader: &mut BitReader<'_>, min_bucket_bits: usize) -> Result<Self, ChunkError> {
        let zero_threshold = read_zero_threshold(reader);
        let schema = reader.read_varbit_int();
        let positive_spans = read_spans(reader)?;
        let negative_spans = read_spans(reader)?;
        if !KNOWN_SCHEMAS.contains(&schema) && schema != i64::from(CUSTOM_BUCKETS_SCHEMA) {
            return Err(ChunkError::UnknownSchema(schema));
        }
        let schema = schema as i32;
        let custom_values = match schema {
            CUSTOM_BUCKETS_SCHEMA => Some(read_custom_bounds(reader)?),
            _ => None,
        };
        let buckets = bucket_count(&positive_spans) + bucket_count(&negative_spans);
        if buckets.saturating_mul(min_bucket_bits as u64) > reader.left_bits() as u64 {
            return Err(ChunkError::Truncated);
        }
        Ok(Self { schema, zero_threshold, positive_spans, negative_spans, custom_values })
    }
}

fn put_spans(writer: &mut BitWriter, spans: &[Span]) {
    writer.put_varbit_uint(spans.len() as u64);
    for span in spans {
        writer.put_varbit_uint(u64::from(span.length));
        writer.put_varbit_int(i64::from(span.offset));
    }
}

/// The number of items a chunk promises, when it has room for them at two bits each.
fn read_len(reader: &mut BitReader<'_>) -> Result<usize, ChunkError> {
    let len = reader.read_varbit_uint();
    match usize::try_from(len) {
        Ok(len) if len <= reader.left_bits() / 2 => Ok(len),
        _ => Err(ChunkError::Truncated),
    }
}

fn read_spans(reader: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    let len = read_len(reader)?;
    let mut spans = Vec::with_capacity(len);
    for _ in 0..len {
        let length =
            u32::try_from(reader.read_varbit_uint()).map_err(|_| ChunkError::Corrupt("span length"))?;
        let offset =
            i32::try_from(reader.read_varbit_int()).map_err(|_| ChunkError::Corrupt("span offset"))?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

fn read_custom_bounds(reader: &mut BitReader<'_>) -> Result<Arc<[f64]>, ChunkError> {
    let len = read_len(reader)?;
    Ok((0..len).map(|_| read_custom_bound(reader)).collect())
}

/// Usual thresholds (zero and powers of two) take one byte.
fn put_zero_threshold(writer: &mut BitWriter, threshold: f64) {
    if threshold == 0.0 {
        return writer.put(0, 8);
    }
    let bits = threshold.to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let is_power_of_two = bits & ((1 << 52) - 1) == 0 && threshold > 0.0;
    let code = exponent - LOWEST_THRESHOLD_EXPONENT + 1;
    if is_power_of_two && (1..=254).contains(&code) {
        writer.put(code as u64, 8);
    } else {
        writer.put(255, 8);
        writer.put(bits, 64);
    }
}

fn read_zero_threshold(reader: &mut BitReader<'_>) -> f64 {
    match reader.read(8) {
        0 => 0.0,
        255 => f64::from_bits(reader.read(64)),
        code => f64::from_bits((code + (1022 + LOWEST_THRESHOLD_EXPONENT) as u64) << 52),
    }
}

fn put_custom_bound(writer: &mut BitWriter, bound: f64) {
    let scaled = bound * 1000.0;
    let whole = scaled.round();
    if (0.0..=MAX_THOUSANDTHS).contains(&scaled) && whole / 1000.0 == bound {
        // Never zero, so that zero can announce a full float.
        writer.put_varbit_uint(whole as u64 + 1);
    } else {
        writer.put(0, 1);
        writer.put(bound.to_bits(), 64);
    }
}

fn read_custom_bound(reader: &mut BitReader<'_>) -> f64 {
    match reader.read_varbit_uint() {
        0 => f64::from_bits(reader.read(64)),
        thousandths => (thousandths - 1) as f64 / 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_thresholds_take_one_byte_when_they_are_powers_of_two() {
        let cases = [
            (0.0, 1),
            (2.0_f64.powi(-128), 1),
            (2.0_f64.powi(10), 1),
            (2.0_f64.powi(-243), 1),
            (2.0_f64.powi(-244), 9),
            (2.0_f64.powi(11), 9),
            (0.3, 9),
            (-1.0, 9),
        ];
        for (threshold, bytes) in cases {
            let mut writer = BitWriter::with_header(0);
            put_zero_threshold(&mut writer, threshold);
            assert_eq!(writer.byte_len(), bytes, "{threshold}");
            let encoded = writer.into_bytes();
            assert_eq!(read_zero_threshold(&mut BitReader::new(&encoded, 0)), threshold);
        }
        // The documented example: the default threshold is stored as 116.
        let mut writer = BitWriter::with_header(0);
        put_zero_threshold(&mut writer, 2.0_f64.powi(-128));
        assert_eq!(writer.into_bytes(), [116]);
    }

    #[test]
    fn custom_bounds_are_thousandths_where_that_is_exact() {
        for (bound, bits) in
            [(0.0, 5), (0.005, 5), (0.1, 13), (33_554.43, 32), (33_554.431, 65), (-1.0, 65), (0.0001, 65)]
        {
            let mut writer = BitWriter::with_header(0);
            put_custom_bound(&mut writer, bound);
            let encoded = writer.into_bytes();
            let mut reader = BitReader::new(&encoded, 0);
            assert_eq!(read_custom_bound(&mut reader), bound);
            assert_eq!(reader.pos, bits, "{bound}");
        }
    }
}
