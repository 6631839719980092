//! Start timestamps of OpenMetrics series, which stand in `_created` series further down.

use model::MetricType;

use super::error::Input;
use super::scan::{line_end, metric_name_end, starts_metric_name};
use super::series::{Piece, Pieces, Strict, scan_labels};
use crate::number::parse_float;

/// Whether series of this type have a start.
pub(super) fn has_start(metric_type: MetricType) -> bool {
    matches!(metric_type, MetricType::Counter | MetricType::Histogram | MetricType::Summary)
}

/// What reading ahead has found. One look-ahead serves all series before the place it reached, so that a
/// family is read ahead once however many series it has.
#[derive(Debug, Default)]
pub(super) struct CreatedSeries<'a> {
    found: Option<Found<'a>>,
    /// Up to here there is no `_created` series but the one in `found`.
    reached: usize,
}

#[derive(Debug)]
struct Found<'a> {
    series: &'a [u8],
    start_ms: i64,
}

impl<'a> CreatedSeries<'a> {
    /// The start of `series`, after which the parser stands at `pos`; 0 if the first `_created` series after
    /// it in its family belongs to other labels.
    pub fn start_of(
        &mut self,
        input: Input<'a>,
        pos: usize,
        series: &[u8],
        family: &[u8],
        metric_type: MetricType,
    ) -> i64 {
        if !has_start(metric_type) {
            return 0;
        }
        let matching = |found: &Option<Found<'_>>| {
            found.as_ref().filter(|f| is_start_of(f.series, series, family, metric_type)).map(|f| f.start_ms)
        };
        if let Some(start_ms) = matching(&self.found) {
            return start_ms;
        }
        if pos < self.reached {
            return 0;
        }
        self.look_ahead(input, pos);
        matching(&self.found).unwrap_or(0)
    }

    fn look_ahead(&mut self, input: Input<'a>, mut pos: usize) {
        let bytes = input.bytes;
        self.found = None;
        while let Some(&first) = bytes.get(pos)
            && (first == b'{' || starts_metric_name(first))
        {
            let mut end = if first == b'{' { pos } else { metric_name_end(bytes, pos) };
            if bytes.get(end) == Some(&b'{') {
                let mut has_name = first != b'{';
                match scan_labels::<Strict>(input, pos, end, &mut has_name) {
                    Ok(close) => end = close,
                    Err(_) => break,
                }
            }
            let newline = line_end(bytes, end);
            let series = &bytes[pos..end];
            if name_of(series).is_some_and(|name| name.ends_with("_created")) {
                self.found = start_ms(&bytes[end..newline]).map(|start_ms| Found { series, start_ms });
                self.reached = newline;
                return;
            }
            pos = newline + 1;
        }
        self.reached = pos;
    }
}

fn name_of(series: &[u8]) -> Option<&str> {
    Pieces::of(series).find_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Label(..) => None,
    })
}

/// The value after a series, in milliseconds.
fn start_ms(after_series: &[u8]) -> Option<i64> {
    let value = after_series.strip_prefix(b" ")?.split(|&b| b == b' ').next()?;
    Some((parse_float(value).ok()? * 1000.0) as i64)
}

/// Whether `created` holds the start of `series`: its name is the family's, and its labels are the same but
/// for the bound.
fn is_start_of(created: &[u8], series: &[u8], family: &[u8], metric_type: MetricType) -> bool {
    let bound = match metric_type {
        MetricType::Histogram => "le",
        MetricType::Summary => "quantile",
        _ => "",
    };
    let labels = |text| {
        Pieces::of(text).filter_map(move |piece| match piece {
            Piece::Label(name, value) if name != bound => Some((name, value)),
            _ => None,
        })
    };
    let created_base = name_of(created).and_then(|name| name.strip_suffix("_created")).unwrap_or_default();
    created_base.as_bytes() == family
        && name_of(series).is_some_and(|name| name.as_bytes().starts_with(family))
        && labels(created).eq(labels(series))
}
