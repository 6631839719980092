//! Native histograms, whose messages have the same fields in both versions, and in remote read.

use model::{CounterResetHint, Span};

use super::HistogramRef;
use crate::protobuf::{BYTES, key, put_double, put_message, put_uint, put_varint, to_zigzag};

/// Appends a histogram as the field `field`; a start timestamp of 0 is left out.
pub fn put(out: &mut Vec<u8>, field: u32, start_ms: i64, t_ms: i64, histogram: HistogramRef<'_>) {
    put_message(out, field, |out| match histogram {
        HistogramRef::Integer(h) => {
            put_uint(out, 1, h.count);
            put_shape(out, h.sum, h.schema, h.zero_threshold);
            put_uint(out, 6, h.zero_count);
            put_spans(out, 8, &h.negative_spans);
            put_deltas(out, 9, &h.negative_buckets);
            put_spans(out, 11, &h.positive_spans);
            put_deltas(out, 12, &h.positive_buckets);
            put_end(out, h.counter_reset_hint, start_ms, t_ms, h.custom_values.as_deref());
        }
        HistogramRef::Float(h) => {
            put_double(out, 2, h.count);
            put_shape(out, h.sum, h.schema, h.zero_threshold);
            put_double(out, 7, h.zero_count);
            put_spans(out, 8, &h.negative_spans);
            put_doubles(out, 10, &h.negative_buckets);
            put_spans(out, 11, &h.positive_spans);
            put_doubles(out, 13, &h.positive_buckets);
            put_end(out, h.counter_reset_hint, start_ms, t_ms, h.custom_values.as_deref());
        }
    });
}

fn put_shape(out: &mut Vec<u8>, sum: f64, schema: i32, zero_threshold: f64) {
    put_double(out, 3, sum);
    if schema != 0 {
        put_uint(out, 4, to_zigzag(i64::from(schema)));
    }
    put_double(out, 5, zero_threshold);
}

fn put_end(out: &mut Vec<u8>, hint: CounterResetHint, start_ms: i64, t_ms: i64, custom: Option<&[f64]>) {
    if hint != CounterResetHint::Unknown {
        put_uint(out, 14, hint as u64);
    }
    put_uint(out, 15, t_ms as u64);
    put_doubles(out, 16, custom.unwrap_or_default());
    if start_ms != 0 {
        put_uint(out, 17, start_ms as u64);
    }
}

fn put_spans(out: &mut Vec<u8>, field: u32, spans: &[Span]) {
    for span in spans {
        put_message(out, field, |out| {
            put_uint(out, 1, to_zigzag(i64::from(span.offset)));
            put_uint(out, 2, u64::from(span.length));
        });
    }
}

fn put_deltas(out: &mut Vec<u8>, field: u32, deltas: &[i64]) {
    if !deltas.is_empty() {
        put_message(out, field, |out| deltas.iter().for_each(|&delta| put_varint(out, to_zigzag(delta))));
    }
}

fn put_doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    put_varint(out, u64::from(key(field, BYTES)));
    put_varint(out, (values.len() * 8) as u64);
    values.iter().for_each(|value| out.extend_from_slice(&value.to_bits().to_le_bytes()));
}
