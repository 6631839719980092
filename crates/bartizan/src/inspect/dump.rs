//! `tsdb dump`: the samples of a data directory as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use model::labels::is_legacy_label_name;
use model::number::general;
use model::{
    CounterResetHint, FloatHistogram, Histogram, Labels, Matcher, Projection, QueryContext, SampleColumns,
    SelectRequest, SeriesSet, SeriesSource, TimeRange, is_stale_nan,
};
use promql::parser::{ParseOptions, parse_selector};
use tsdb::block::meta::{HINT_OUT_OF_ORDER, PARTIAL_HINTS};
use tsdb::head::Head;
use tsdb::merge::{MergedSet, Part};

use super::directory::Blocks;
use super::sandbox::Sandbox;

/// Settings of `tsdb dump`.
#[derive(clap::Args, Debug)]
pub struct DumpArgs {
    /// The data directory.
    #[arg(default_value = "data/", value_name = "DIR")]
    dir: PathBuf,
    /// The first time to print, in milliseconds since the Unix epoch.
    #[arg(long, default_value_t = i64::MIN, allow_negative_numbers = true, hide_default_value = true)]
    min_time: i64,
    /// The last time to print, in milliseconds since the Unix epoch.
    #[arg(long, default_value_t = i64::MAX, allow_negative_numbers = true, hide_default_value = true)]
    max_time: i64,
    /// Only series that match this selector. Given more than once, any may match.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Form of the output.
    #[arg(long, default_value = "prom")]
    format: Format,
    /// Where a temporary copy of the head is put; the system's directory for temporary files by default.
    #[arg(long, value_name = "DIR")]
    sandbox_dir_root: Option<PathBuf>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `{labels} value timestamp`, the timestamp in milliseconds.
    Prom,
    /// OpenMetrics text, without what it cannot express: native histograms and staleness markers.
    #[value(alias = "open-metrics")]
    Openmetrics,
    /// The labels of each series as a JSON object.
    Seriesjson,
}

/// Prints samples.
pub fn run(args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let matcher_sets = matcher_sets(&args.selectors)?;
    // The head goes first: what a server moves out of it meanwhile is in a block that is opened next.
    let sandbox = Sandbox::of(&args.dir, args.sandbox_dir_root.as_deref())?;
    let blocks = Blocks::open(&args.dir)?;
    let head = match &sandbox {
        Some(sandbox) => Some(sandbox.open_head(&args.dir, in_order_end_ms(&blocks))?),
        None => None,
    };
    let ctx = QueryContext::unbounded();
    let range = TimeRange::new(args.min_time, args.max_time);
    let set = select(&blocks, head.as_ref(), range, &matcher_sets, &ctx)?;
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    print_series(&mut out, &set, range, args.format, &ctx)?;
    out.flush()?;
    Ok(blocks.report_damaged())
}

fn matcher_sets(selectors: &[String]) -> anyhow::Result<Vec<Vec<Matcher>>> {
    if selectors.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    let parse =
        |text: &String| parse_selector(text, &ParseOptions::ALL).with_context(|| format!("--match {text}"));
    selectors.iter().map(parse).collect()
}

/// Where the in-order data of blocks ends.
fn in_order_end_ms(blocks: &Blocks) -> i64 {
    let metas = blocks.open.iter().map(|block| block.meta());
    let whole = metas
        .filter(|meta| !PARTIAL_HINTS.iter().chain([&HINT_OUT_OF_ORDER]).any(|hint| meta.has_hint(hint)));
    whole.map(|meta| meta.max_ms).max().unwrap_or(i64::MIN)
}

/// The series of all blocks and the head that match any of the matcher sets, in label order.
fn select(
    blocks: &Blocks,
    head: Option<&Head>,
    range: TimeRange,
    matcher_sets: &[Vec<Matcher>],
    ctx: &QueryContext,
) -> anyhow::Result<MergedSet> {
    let mut parts = Vec::new();
    let near = blocks.open.iter().filter(|block| block.range().overlaps(&range));
    let mut sources: Vec<(&dyn SeriesSource, i64)> =
        near.map(|block| (block as &dyn SeriesSource, block.range().end_ms)).collect();
    sources.extend(head.map(|head| (head as &dyn SeriesSource, i64::MAX)));
    for (source, end_ms) in sources {
        for matchers in matcher_sets {
            let matchers = matchers.clone();
            let request =
                SelectRequest { range, matchers, projection: Projection::All, sorted: false, limit: 0 };
            parts.push(Part::of(source.select(&request, ctx)?, end_ms));
        }
    }
    Ok(MergedSet::new(parts, Projection::All, true, 0, ctx)?)
}

fn print_series(
    out: &mut dyn Write,
    set: &dyn SeriesSet,
    range: TimeRange,
    format: Format,
    ctx: &QueryContext,
) -> anyhow::Result<()> {
    let (mut samples, mut line) = (SampleColumns::default(), String::new());
    for i in 0..set.len() {
        let labels = set.labels(i);
        if format == Format::Seriesjson {
            let object: BTreeMap<&str, &str> = labels.iter().collect();
            writeln!(out, "{}", serde_json::to_string(&object)?)?;
            continue;
        }
        samples.clear();
        set.read(i, range, &mut samples, ctx)?;
        let series = match format {
            Format::Openmetrics => open_metrics_series(&labels),
            _ => labels.to_string(),
        };
        for at in 0..samples.len() {
            line.clear();
            match format {
                Format::Openmetrics => push_open_metrics(&mut line, &series, &samples, at),
                _ => push_sample(&mut line, &series, &samples, at),
            }
            out.write_all(line.as_bytes())?;
        }
    }
    if format == Format::Openmetrics {
        writeln!(out, "# EOF")?;
    }
    Ok(())
}

fn push_sample(line: &mut String, series: &str, samples: &SampleColumns, at: usize) {
    let t_ms = samples.timestamps_ms[at];
    let written = match samples.histogram(at) {
        None => writeln!(line, "{series} {} {t_ms}", general(samples.values[at])),
        Some(histogram) => match with_integer_counts(histogram) {
            Some(histogram) => writeln!(line, "{series} {histogram} {t_ms}"),
            None => writeln!(line, "{series} {histogram} {t_ms}"),
        },
    };
    written.expect("writing to a string cannot fail");
}

/// The histogram with integer counts, if all are whole: they are then printed without exponents, as those
/// that were scraped are everywhere.
fn with_integer_counts(histogram: &FloatHistogram) -> Option<Histogram> {
    let whole =
        |count: f64| (count >= 0.0 && count.fract() == 0.0 && count < 2_f64.powi(53)).then_some(count as u64);
    let deltas = |counts: &[f64]| {
        let mut before = 0_i64;
        let delta = |&count: &f64| {
            let count = whole(count)? as i64;
            Some(count - std::mem::replace(&mut before, count))
        };
        counts.iter().map(delta).collect::<Option<Vec<i64>>>()
    };
    Some(Histogram {
        counter_reset_hint: CounterResetHint::Unknown,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: whole(histogram.zero_count)?,
        count: whole(histogram.count)?,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        positive_buckets: deltas(&histogram.positive_buckets)?,
        negative_buckets: deltas(&histogram.negative_buckets)?,
        custom_values: histogram.custom_values.clone(),
    })
}

/// `name{label="value",...}`, a name that is no legacy name inside the braces.
fn open_metrics_series(labels: &Labels) -> String {
    let name = labels.metric_name();
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{escaped}\"")
    };
    let is_plain = model::labels::is_legacy_metric_name(name);
    let mut parts = Vec::new();
    if !is_plain && !name.is_empty() {
        parts.push(quoted(name));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != model::METRIC_NAME) {
        let label = if is_legacy_label_name(label) { label.to_owned() } else { quoted(label) };
        parts.push(format!("{label}={}", quoted(value)));
    }
    format!("{}{{{}}}", if is_plain { name } else { "" }, parts.join(","))
}

fn push_open_metrics(line: &mut String, series: &str, samples: &SampleColumns, at: usize) {
    let (t_ms, value) = (samples.timestamps_ms[at], samples.values[at]);
    if samples.histogram(at).is_some() || is_stale_nan(value) {
        return;
    }
    let sign = if t_ms < 0 { "-" } else { "" };
    let (seconds, millis) = (t_ms.unsigned_abs() / 1000, t_ms.unsigned_abs() % 1000);
    writeln!(line, "{series} {} {sign}{seconds}.{millis:03}", general(value))
        .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> SampleColumns {
        let mut samples = SampleColumns::default();
        samples.push_float(-1500, 1_234_567.0);
        samples.push_float(1, model::stale_nan());
        let spans = vec![model::Span { offset: 0, length: 2 }];
        let histogram = FloatHistogram {
            count: 2_000_003.0,
            sum: 1.5,
            zero_threshold: 0.001,
            positive_spans: spans,
            positive_buckets: vec![2_000_000.0, 3.0],
            ..FloatHistogram::default()
        };
        samples.push_histogram(2, histogram.clone().into());
        samples.push_histogram(3, FloatHistogram { count: 0.5, ..histogram }.into());
        samples
    }

    #[test]
    fn samples_are_printed_as_go_prints_them() {
        let samples = columns();
        let mut text = String::new();
        (0..samples.len()).for_each(|at| push_sample(&mut text, "{a=\"b\"}", &samples, at));
        let expected = "{a=\"b\"} 1.234567e+06 -1500\n\
                        {a=\"b\"} NaN 1\n\
                        {a=\"b\"} {count:2000003, sum:1.5, (0.5,1]:2000000, (1,2]:3} 2\n\
                        {a=\"b\"} {count:0.5, sum:1.5, (0.5,1]:2e+06, (1,2]:3} 3\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn open_metrics_leaves_out_what_it_cannot_express() {
        let samples = columns();
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b"), ("ü", "1")]);
        let series = open_metrics_series(&labels);
        assert_eq!(series, r#"up{job="a\"b","ü"="1"}"#);
        let mut text = String::new();
        (0..samples.len()).for_each(|at| push_open_metrics(&mut text, &series, &samples, at));
        assert_eq!(text, format!("{series} 1.234567e+06 -1.500\n"));
        assert_eq!(open_metrics_series(&Labels::from_pairs([("__name__", "a.b")])), r#"{"a.b"}"#);
    }
}
