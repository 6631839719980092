//! `load <interval>` and the series below it.

use std::sync::Arc;

use model::duration::parse_duration_ms;
use model::{FloatHistogram, Labels};
use promql::parser::series::{MAX_VALUES, SequenceValue, parse_metric, parse_series};

use super::{Lines, ScriptError};
use crate::promql::nhcb;

/// Samples to append.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// The series in the order written, then those derived from classic histograms.
    pub series: Vec<LoadedSeries>,
}

/// One series to append.
#[derive(Debug, Clone)]
pub struct LoadedSeries {
    /// The labels.
    pub labels: Labels,
    /// The samples in ascending time.
    pub samples: Vec<LoadedSample>,
}

/// One sample to append.
#[derive(Debug, Clone)]
pub struct LoadedSample {
    /// Milliseconds since the Unix epoch: scripts start at zero.
    pub t_ms: i64,
    /// The start timestamp, 0 when none is given.
    pub start_ms: i64,
    /// The float, when it is no histogram.
    pub value: f64,
    /// The histogram.
    pub histogram: Option<Arc<FloatHistogram>>,
}

/// Start timestamps given on a line of their own, ahead of the series they belong to.
struct StartLine {
    line: usize,
    labels: Labels,
    /// Milliseconds relative to the sample; `None` where the sample has none.
    offsets_ms: Vec<Option<i64>>,
}

pub(super) fn parse(head: &str, line: usize, lines: &mut Lines<'_>) -> Result<Load, ScriptError> {
    let usage = || ScriptError::new(line, "invalid load command. (load[_with_nhcb] <step:duration>)");
    let (command, interval) = head.split_once([' ', '\t']).ok_or_else(usage)?;
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(usage()),
    };
    let interval = interval.trim();
    let interval_ms = parse_duration_ms(interval)
        .map_err(|error| ScriptError::new(line, format!("invalid step definition {interval:?}: {error}")))?;
    let mut load = Load::default();
    let mut starts: Option<StartLine> = None;
    while let Some((line, text)) = lines.next_of_command() {
        if let Some(next) = start_line(text, line)? {
            if let Some(unused) = starts.replace(next) {
                return Err(unused.without_samples());
            }
            continue;
        }
        let described = parse_series(text).map_err(|error| ScriptError::new(line, error.to_string()))?;
        let starts = starts.take();
        if let Some(starts) = &starts {
            starts.check(&described.labels, described.values.len())?;
        }
        let offset = |i: usize| starts.as_ref().and_then(|starts| starts.offsets_ms[i]);
        let samples = described.values.iter().enumerate().filter_map(|(i, value)| {
            let t_ms = interval_ms.saturating_mul(i64::try_from(i).unwrap_or(i64::MAX));
            let start_ms = offset(i).map_or(0, |offset_ms| t_ms.saturating_add(offset_ms));
            let (value, histogram) = match value {
                SequenceValue::Omitted => return None,
                SequenceValue::Float(value) => (*value, None),
                SequenceValue::Histogram { histogram, .. } => (0.0, Some(histogram.clone())),
            };
            Some(LoadedSample { t_ms, start_ms, value, histogram })
        });
        let series = LoadedSeries { labels: described.labels, samples: samples.collect() };
        // A series described twice has the values of the later description.
        load.series.retain(|other| other.labels != series.labels);
        load.series.push(series);
    }
    if let Some(unused) = starts {
        return Err(unused.without_samples());
    }
    if with_nhcb {
        let derived = nhcb::derive(&load.series).map_err(|message| ScriptError::new(line, message))?;
        load.series.extend(derived);
    }
    Ok(load)
}

impl StartLine {
    fn without_samples(&self) -> ScriptError {
        ScriptError::new(self.line, "@st line has no following sample line")
    }

    fn check(&self, labels: &Labels, values: usize) -> Result<(), ScriptError> {
        if *labels != self.labels {
            let message = "@st metric does not match the following sample line metric";
            return Err(ScriptError::new(self.line, message));
        }
        let starts = self.offsets_ms.len();
        if starts != values {
            let message = format!("@st line has {starts} values but sample line has {values}");
            return Err(ScriptError::new(self.line, message));
        }
        Ok(())
    }
}

/// `metric{labels}@st -1m _ 0s+1sx3`: offsets of start timestamps from their samples.
fn start_line(text: &str, line: usize) -> Result<Option<StartLine>, ScriptError> {
    let Some((metric, offsets)) = text.split_once([' ', '\t']) else { return Ok(None) };
    let Some(metric) = metric.strip_suffix("@st") else { return Ok(None) };
    let labels = parse_metric(metric)
        .map_err(|error| ScriptError::new(line, format!("invalid @st line metric {metric:?}: {error}")))?;
    let mut offsets_ms = Vec::new();
    for item in offsets.split_whitespace() {
        let invalid = |why: String| ScriptError::new(line, format!("invalid @st sequence: {item:?}: {why}"));
        start_item(item, &mut offsets_ms).map_err(invalid)?;
    }
    Ok(Some(StartLine { line, labels, offsets_ms }))
}

/// `_`, `_x3`, `-1m`, `-1mx3` or `-1m+10sx3`.
fn start_item(item: &str, out: &mut Vec<Option<i64>>) -> Result<(), String> {
    let (body, times) = match item.rsplit_once('x') {
        Some((body, times)) => {
            (body, Some(times.parse::<usize>().map_err(|_| "invalid repeat count".to_owned())?))
        }
        None => (item, None),
    };
    if out.len().saturating_add(times.unwrap_or(0)) > MAX_VALUES {
        return Err("too many values".to_owned());
    }
    if body == "_" {
        out.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Ok(());
    }
    // The sign in front belongs to the first duration.
    let split =
        body.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map_or(body.len(), |(at, _)| at);
    let (base, step) = body.split_at(split);
    if !step.is_empty() && times.is_none() {
        return Err("expected 'x<count>' after step duration".to_owned());
    }
    let (base_ms, step_ms) = (signed_ms(base)?, if step.is_empty() { 0 } else { signed_ms(step)? });
    let mut offset_ms = base_ms;
    for _ in 0..=times.unwrap_or(0) {
        out.push(Some(offset_ms));
        offset_ms = offset_ms.saturating_add(step_ms);
    }
    Ok(())
}

fn signed_ms(text: &str) -> Result<i64, String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let ms = parse_duration_ms(unsigned).map_err(|error| error.to_string())?;
    Ok(if negative { -ms } else { ms })
}
