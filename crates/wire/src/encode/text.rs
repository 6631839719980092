//! Prometheus text.

use model::labels::{is_legacy_label_name, is_legacy_metric_name};
use model::number::{FloatFormat, push_float};

use super::{Head, HeadKind, Metric, MetricValue};
use crate::number::push_value;

/// How a text format writes what differs between them.
pub(super) trait Style {
    /// A float value.
    fn push_float(out: &mut String, value: f64);
    /// A bucket bound or quantile.
    fn push_bound(out: &mut String, bound: f64);
    /// A timestamp.
    fn push_time(out: &mut String, time_ms: i64);
}

struct Plain;

impl Style for Plain {
    fn push_float(out: &mut String, value: f64) {
        push_value(out, value);
    }

    fn push_bound(out: &mut String, bound: f64) {
        push_value(out, bound);
    }

    fn push_time(out: &mut String, time_ms: i64) {
        out.push_str(&time_ms.to_string());
    }
}

fn type_name(kind: HeadKind) -> &'static str {
    match kind {
        HeadKind::Counter => "counter",
        HeadKind::Gauge => "gauge",
        HeadKind::Untyped => "untyped",
        HeadKind::Summary => "summary",
        HeadKind::Histogram | HeadKind::GaugeHistogram => "histogram",
    }
}

pub(super) fn write(head: &Head<'_>, metrics: &[Metric<'_>], out: &mut Vec<u8>) {
    let mut text = String::new();
    if let Some(help) = head.help {
        text.push_str("# HELP ");
        push_name(&mut text, &head.name);
        text.push(' ');
        push_escaped(&mut text, help, false);
        text.push('\n');
    }
    text.push_str("# TYPE ");
    push_name(&mut text, &head.name);
    text.push(' ');
    text.push_str(type_name(head.kind));
    text.push('\n');
    for metric in metrics {
        push_samples::<Plain>(&mut text, &head.name, "", metric);
    }
    out.extend_from_slice(text.as_bytes());
}

/// All samples of one metric; `suffix` belongs to the name of plain numbers.
pub(super) fn push_samples<S: Style>(out: &mut String, name: &str, suffix: &str, metric: &Metric<'_>) {
    let mut line = |suffix: &str, bound: Option<(&str, f64)>, value: &dyn Fn(&mut String)| {
        push_series::<S>(out, name, suffix, metric, bound);
        out.push(' ');
        value(out);
        if let Some(time_ms) = metric.timestamp_ms {
            out.push(' ');
            S::push_time(out, time_ms);
        }
        out.push('\n');
    };
    match &metric.value {
        MetricValue::Number(value) => line(suffix, None, &|out| S::push_float(out, *value)),
        MetricValue::Classic { buckets, sum, count } => {
            for &(bound, count) in buckets.iter() {
                line("_bucket", Some(("le", bound)), &|out| push_count::<S>(out, count));
            }
            line("_bucket", Some(("le", f64::INFINITY)), &|out| push_count::<S>(out, *count));
            line("_sum", None, &|out| S::push_float(out, *sum));
            line("_count", None, &|out| push_count::<S>(out, *count));
        }
        MetricValue::Summary { quantiles, sum, count } => {
            for &(quantile, value) in *quantiles {
                line("", Some(("quantile", quantile)), &|out| S::push_float(out, value));
            }
            line("_sum", None, &|out| S::push_float(out, *sum));
            line("_count", None, &|out| out.push_str(&count.to_string()));
        }
        // The text formats have no native histograms: the encoder does not offer them.
        MetricValue::Native(_) => {}
    }
}

/// Whole counts have no fraction and no exponent.
fn push_count<S: Style>(out: &mut String, count: f64) {
    if count.fract() == 0.0 && count.abs() < 9e15 {
        push_float(out, count, FloatFormat::Plain);
    } else {
        S::push_float(out, count);
    }
}

fn push_series<S: Style>(
    out: &mut String,
    name: &str,
    suffix: &str,
    metric: &Metric<'_>,
    bound: Option<(&str, f64)>,
) {
    let legacy = is_legacy_metric_name(name);
    let mut open = "{";
    if legacy {
        out.push_str(name);
        out.push_str(suffix);
    } else {
        out.push_str("{\"");
        push_escaped(out, name, true);
        out.push_str(suffix);
        out.push('"');
        open = ",";
    }
    for (label, value) in &metric.labels {
        out.push_str(open);
        open = ",";
        if is_legacy_label_name(label) {
            out.push_str(label);
        } else {
            out.push('"');
            push_escaped(out, label, true);
            out.push('"');
        }
        out.push_str("=\"");
        push_escaped(out, value, true);
        out.push('"');
    }
    if let Some((label, bound)) = bound {
        out.push_str(open);
        open = ",";
        out.push_str(label);
        out.push_str("=\"");
        S::push_bound(out, bound);
        out.push('"');
    }
    if open == "," {
        out.push('}');
    }
}

/// A name, in quotes where it needs them.
pub(super) fn push_name(out: &mut String, name: &str) {
    if is_legacy_metric_name(name) {
        out.push_str(name);
        return;
    }
    out.push('"');
    push_escaped(out, name, true);
    out.push('"');
}

/// Text with backslash, newline and, in quotes, the quote escaped.
pub(super) fn push_escaped(out: &mut String, text: &str, in_quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if in_quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}
