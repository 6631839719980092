//! OpenMetrics text.

use model::number::{FloatFormat, push_float};

use super::text::{Style, push_escaped, push_name, push_samples};
use super::{Head, HeadKind, Metric};
use crate::number::push_open_metrics_float;

struct OpenMetrics;

impl Style for OpenMetrics {
    fn push_float(out: &mut String, value: f64) {
        push_open_metrics_float(out, value);
    }

    fn push_bound(out: &mut String, bound: f64) {
        push_open_metrics_float(out, bound);
    }

    fn push_time(out: &mut String, time_ms: i64) {
        push_float(out, time_ms as f64 / 1000.0, FloatFormat::Plain);
    }
}

fn type_name(kind: HeadKind) -> &'static str {
    match kind {
        HeadKind::Counter => "counter",
        HeadKind::Gauge => "gauge",
        HeadKind::Untyped => "unknown",
        HeadKind::Summary => "summary",
        HeadKind::Histogram => "histogram",
        HeadKind::GaugeHistogram => "gaugehistogram",
    }
}

pub(super) fn write(head: &Head<'_>, metrics: &[Metric<'_>], out: &mut Vec<u8>) {
    // The family of a counter is named without the suffix its samples have.
    let is_counter = head.kind == HeadKind::Counter;
    let (family, suffix) = match head.name.strip_suffix("_total") {
        Some(base) if is_counter => (base, "_total"),
        _ if is_counter => (&*head.name, "_total"),
        _ => (&*head.name, ""),
    };
    let mut text = String::new();
    if let Some(help) = head.help {
        text.push_str("# HELP ");
        push_name(&mut text, family);
        text.push(' ');
        push_escaped(&mut text, help, true);
        text.push('\n');
    }
    text.push_str("# TYPE ");
    push_name(&mut text, family);
    text.push(' ');
    text.push_str(type_name(head.kind));
    text.push('\n');
    for metric in metrics {
        push_samples::<OpenMetrics>(&mut text, family, suffix, metric);
    }
    out.extend_from_slice(text.as_bytes());
}
