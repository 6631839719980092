//! Answers as JSON.

use std::fmt::Write;

use logql::engine::Sample;
use logql::engine::series::{Series, Values};
use logql::labels::LabelSet;
use logql::{Entry, Streams};
use model::number::{FloatFormat, push_float};

/// Appends `text` as a JSON string.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => {
                out.push_str(&text[plain..at]);
                let _ = write!(out, "\\u{byte:04x}");
                plain = at + 1;
                continue;
            }
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        out.push_str(escape);
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Appends items with commas between.
pub(super) fn list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(out, item);
    }
}

/// Appends names and values as an object.
pub(super) fn pairs<'a>(out: &mut String, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    list(out, pairs, |out, (name, value)| {
        string(out, name);
        out.push(':');
        string(out, value);
    });
    out.push('}');
}

fn labels(out: &mut String, labels: &LabelSet) {
    pairs(out, labels.iter());
}

/// Appends a time in seconds, with milliseconds where there are any.
pub(super) fn seconds(out: &mut String, ns: i64) {
    let ms = ns.div_euclid(1_000_000);
    let _ = write!(out, "{}", ms.div_euclid(1000));
    let rest = ms.rem_euclid(1000);
    if rest > 0 {
        let fraction = format!(".{rest:03}");
        out.push_str(fraction.trim_end_matches('0'));
    }
}

fn sample(out: &mut String, sample: &Sample) {
    out.push('[');
    seconds(out, sample.timestamp_ns);
    out.push_str(",\"");
    push_float(out, sample.value, FloatFormat::Plain);
    out.push_str("\"]");
}

/// Appends what is missing from an answer, and why, if anything is.
pub(super) fn warnings(out: &mut String, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    out.push_str(",\"warnings\":[");
    list(out, warnings, |out, warning| string(out, warning));
    out.push(']');
}

/// What is told about streams.
pub(super) fn streams(out: &mut String, streams: &Streams, categorize: bool) {
    out.push_str("\"resultType\":\"streams\"");
    if categorize {
        out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    out.push_str(",\"result\":[");
    list(out, streams, |out, (stream, entries)| stream_object(out, stream, entries));
    out.push(']');
}

/// Appends one stream with its entries.
pub(super) fn stream_object(out: &mut String, stream: &LabelSet, entries: &[Entry]) {
    out.push_str("{\"stream\":");
    labels(out, stream);
    out.push_str(",\"values\":[");
    list(out, entries, |out, entry| {
        let _ = write!(out, "[\"{}\",", entry.timestamp_ns);
        string(out, &logql::text::lossy(&entry.line));
        if let Some((metadata, parsed)) = &entry.extra {
            out.push_str(",{");
            let named = [("structuredMetadata", metadata), ("parsed", parsed)];
            list(out, named.into_iter().filter(|(_, set)| !set.is_empty()), |out, (name, set)| {
                string(out, name);
                out.push(':');
                labels(out, set);
            });
            out.push('}');
        }
        out.push(']');
    });
    out.push_str("]}");
}

/// What is told about the series of an instant.
pub(super) fn instant(out: &mut String, values: &Values, at_ns: i64) {
    match values {
        Values::Scalar(value) => {
            let _ = write!(out, "\"resultType\":\"scalar\",\"result\":[{},\"", at_ns.div_euclid(1_000_000));
            push_float(out, *value, FloatFormat::Plain);
            out.push_str("\"]");
        }
        Values::Series(series) => {
            out.push_str("\"resultType\":\"vector\",\"result\":[");
            list(out, series, |out, series| {
                out.push_str("{\"metric\":");
                labels(out, &series.labels);
                out.push_str(",\"value\":");
                series.samples.iter().take(1).for_each(|value| sample(out, value));
                out.push('}');
            });
            out.push(']');
        }
    }
}

/// What is told about series over time.
pub(super) fn matrix(out: &mut String, series: &[Series]) {
    out.push_str("\"resultType\":\"matrix\",\"result\":[");
    list(out, series, |out, series| {
        out.push_str("{\"metric\":");
        labels(out, &series.labels);
        out.push_str(",\"values\":[");
        list(out, &series.samples, sample);
        out.push_str("]}");
    });
    out.push(']');
}
