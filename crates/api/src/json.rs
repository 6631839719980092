//! JSON of labels, samples, histograms and results, written as they are walked.

use model::labels::Labels;
use model::number::{FloatFormat, format_float};
use model::{Exemplar, FloatHistogram, SampleColumns};
use promql::engine::{MatrixSeries, QueryValue, VectorSample};
use rayon::prelude::*;

/// Appends `text` as a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    for (i, &byte) in text.as_bytes().iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => {
                out.extend_from_slice(&text.as_bytes()[plain..i]);
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                plain = i + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..i]);
        out.extend_from_slice(escape);
        plain = i + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

/// Appends `items` as a JSON array.
pub fn array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// Appends labels as an object.
pub fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

/// Appends a timestamp as seconds, with milliseconds only where there are any.
pub fn timestamp(out: &mut Vec<u8>, t_ms: i64) {
    if t_ms < 0 {
        out.push(b'-');
    }
    let magnitude = t_ms.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(magnitude / 1000).as_bytes());
    let fraction = (magnitude % 1000) as u16;
    if fraction > 0 {
        let digit = |place: u16| b'0' + (fraction / place % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

/// Appends a sample value as a string.
pub fn value(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    let magnitude = value.abs();
    // Most values are whole or of middling size: their shortest digits need no exponent, and the general
    // writer need not look at them.
    if value.fract() == 0.0 && magnitude < 1e15 && value.to_bits() != (-0.0_f64).to_bits() {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if (1e-4..1e15).contains(&magnitude) {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(format_float(value, FloatFormat::Api).as_bytes());
    }
    out.push(b'"');
}

/// Appends a histogram: count, sum and its non-empty buckets.
pub fn histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    value(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    value(out, histogram.sum);
    let mut first = true;
    for bucket in histogram.iter_all() {
        if bucket.count == 0.0 {
            continue;
        }
        out.extend_from_slice(if first { b",\"buckets\":[[" } else { b",[" });
        first = false;
        // The rule tells which bounds belong to the bucket: 0 the upper, 1 the lower, 2 none, 3 both.
        out.push(match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => b'0',
            (true, false) => b'1',
            (false, false) => b'2',
            (true, true) => b'3',
        });
        for bound in [bucket.lower, bucket.upper, bucket.count] {
            out.push(b',');
            value(out, bound);
        }
        out.push(b']');
    }
    if !first {
        out.push(b']');
    }
    out.push(b'}');
}

/// Appends an element of an instant vector.
pub fn vector_sample(out: &mut Vec<u8>, sample: &VectorSample) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &sample.labels);
    match &sample.histogram {
        None => {
            out.extend_from_slice(b",\"value\":");
            float_point(out, sample.t_ms, sample.value);
        }
        Some(h) => {
            out.extend_from_slice(b",\"histogram\":");
            histogram_point(out, sample.t_ms, h);
        }
    }
    out.push(b'}');
}

/// Appends a series of a matrix: its float points and its histogram points apart.
pub fn matrix_series(out: &mut Vec<u8>, series: &MatrixSeries) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &series.labels);
    let samples = &series.samples;
    points(out, samples, "values", |i| samples.histogram(i).is_none());
    points(out, samples, "histograms", |i| samples.histogram(i).is_some());
    out.push(b'}');
}

fn points(out: &mut Vec<u8>, samples: &SampleColumns, name: &str, wanted: impl Fn(usize) -> bool) {
    let mut wanted = (0..samples.len()).filter(|&i| wanted(i)).peekable();
    if wanted.peek().is_none() {
        return;
    }
    out.extend_from_slice(format!(",\"{name}\":").as_bytes());
    array(out, wanted, |out, i| match samples.histogram(i) {
        None => float_point(out, samples.timestamps_ms[i], samples.values[i]),
        Some(h) => histogram_point(out, samples.timestamps_ms[i], h),
    });
}

fn float_point(out: &mut Vec<u8>, t_ms: i64, v: f64) {
    out.push(b'[');
    timestamp(out, t_ms);
    out.push(b',');
    value(out, v);
    out.push(b']');
}

fn histogram_point(out: &mut Vec<u8>, t_ms: i64, h: &FloatHistogram) {
    out.push(b'[');
    timestamp(out, t_ms);
    out.push(b',');
    histogram(out, h);
    out.push(b']');
}

/// Appends an exemplar.
pub fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.extend_from_slice(b"{\"labels\":");
    labels(out, &exemplar.labels);
    out.extend_from_slice(b",\"value\":");
    value(out, exemplar.value);
    out.extend_from_slice(b",\"timestamp\":");
    timestamp(out, exemplar.timestamp_ms);
    out.push(b'}');
}

/// The `resultType` of a query's value.
pub fn result_type(value: &QueryValue) -> &'static str {
    match value {
        QueryValue::Scalar { .. } => "scalar",
        QueryValue::String { .. } => "string",
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix(_) => "matrix",
    }
}

/// Writes the `result` of a query piece by piece: `piece` is called for the buffer whenever a series
/// has been added to it, and may take what is there.
pub fn result(out: &mut Vec<u8>, result: &QueryValue, mut piece: impl FnMut(&mut Vec<u8>)) {
    match result {
        QueryValue::Scalar { t_ms, value } => {
            // Scalars never have an exponent, other than samples.
            let text = model::number::format_float(*value, model::number::FloatFormat::Plain);
            out.push(b'[');
            timestamp(out, *t_ms);
            out.push(b',');
            string(out, &text);
            out.push(b']');
        }
        QueryValue::String { t_ms, value } => {
            out.push(b'[');
            timestamp(out, *t_ms);
            out.push(b',');
            string(out, value);
            out.push(b']');
        }
        QueryValue::Vector(samples) => array(out, samples, |out, sample| {
            vector_sample(out, sample);
            piece(out);
        }),
        QueryValue::Matrix(series) => matrix(out, series, piece),
    }
}

/// Points of a matrix that are written side by side: some 400 KiB.
const BATCH_POINTS: usize = 16 << 10;

/// Appends the series of a matrix, several of which are written at once.
fn matrix(out: &mut Vec<u8>, mut series: &[MatrixSeries], mut piece: impl FnMut(&mut Vec<u8>)) {
    out.push(b'[');
    let mut is_first = true;
    while !series.is_empty() {
        let mut points = 0;
        let fitting = series.iter().take_while(|series| {
            points += series.samples.len();
            points <= BATCH_POINTS
        });
        let (batch, rest) = series.split_at(fitting.count().max(1));
        let write = |series: &MatrixSeries| {
            let mut text = Vec::with_capacity(256 + 32 * series.samples.len());
            matrix_series(&mut text, series);
            text
        };
        let texts: Vec<Vec<u8>> = batch.par_iter().with_min_len(4).map(write).collect();
        for text in texts {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(&text);
            piece(out);
        }
        series = rest;
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(text(|o| string(o, "a\"b\\c\n\u{1}é")), "\"a\\\"b\\\\c\\n\\u0001é\"");
    }

    #[test]
    fn timestamps_have_milliseconds_only_where_needed() {
        for (t_ms, expected) in [(0, "0"), (1_500, "1.500"), (2_000, "2"), (-1, "-0.001"), (12_010, "12.010")]
        {
            assert_eq!(text(|o| timestamp(o, t_ms)), expected);
        }
    }

    #[test]
    fn values_are_written_as_the_general_writer_writes_them() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let check =
            |v: f64| assert_eq!(text(|o| value(o, v)), format!("\"{}\"", format_float(v, FloatFormat::Api)));
        for v in [
            0.0,
            -0.0,
            0.1,
            1e-4,
            9.999e-5,
            1e15,
            1e15 - 0.125,
            123.456,
            0.3,
            5e-324,
            f64::MAX,
            f64::NAN,
            1e21,
        ] {
            check(v);
            check(-v);
        }
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Exponents from -20 to 60 and few or many digits.
            let v = f64::from_bits((state >> 12) | ((1003 + (state % 80)) << 52));
            check(v);
            check((v * 1e4).round() / 1e4);
        }
    }

    #[test]
    fn a_series_lists_floats_and_histograms_apart() {
        let mut samples = SampleColumns::default();
        samples.push_float(1_000, 1.5);
        let histogram = FloatHistogram { count: 2.0, sum: 3.0, zero_count: 2.0, ..FloatHistogram::default() };
        samples.push_histogram(2_000, Arc::new(histogram));
        let series = MatrixSeries { labels: Labels::from_pairs([("a", "b")]), samples };
        let expected = concat!(
            r#"{"metric":{"a":"b"},"values":[[1,"1.5"]],"#,
            r#""histograms":[[2,{"count":"2","sum":"3","buckets":[[3,"0","0","2"]]}]]}"#
        );
        assert_eq!(text(|o| matrix_series(o, &series)).replace("\"-0\"", "\"0\""), expected);
    }
}
