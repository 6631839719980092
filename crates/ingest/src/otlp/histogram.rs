//! Histograms as native ones.

use std::sync::Arc;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN};
use model::{CounterResetHint, Histogram, Span};
use wire::otlp::{Buckets, ExponentialPoint, HistogramPoint, Temporality};

/// The width of the zero bucket: the protocol's own is not taken over, as in Prometheus, so that a series keeps one
/// layout wherever it is received.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Gaps of as many empty buckets are cheaper written out than as a span of their own.
const MAX_GAP: i64 = 2;

/// Why a point is no native histogram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// It is coarser than any native histogram.
    #[error(
        "cannot convert exponential to native histogram. Scale must be >= {EXPONENTIAL_SCHEMA_MIN}, was {0}"
    )]
    TooCoarse(i32),
    /// A count or an index is larger than native histograms have them.
    #[error("cannot convert to native histogram: {0} does not fit")]
    TooLarge(&'static str),
}

/// A histogram with exponential bounds as a native one.
pub fn from_exponential(
    point: &ExponentialPoint<'_>,
    temporality: Temporality,
) -> Result<Histogram, ConversionError> {
    if point.scale < EXPONENTIAL_SCHEMA_MIN {
        return Err(ConversionError::TooCoarse(point.scale));
    }
    let schema = point.scale.min(EXPONENTIAL_SCHEMA_MAX);
    // Each step of scale joins two buckets; after so many all indexes are 0 or -1.
    let shift = point.scale.abs_diff(schema).min(63);
    if point.head.no_recorded_value {
        return Ok(stale(schema, None));
    }
    // There, bucket 0 begins at one; here, it ends there.
    let (positive_spans, positive_buckets) = layout(populated(&point.positive, shift, 1))?;
    let (negative_spans, negative_buckets) = layout(populated(&point.negative, shift, 1))?;
    Ok(Histogram {
        counter_reset_hint: hint(temporality),
        schema,
        zero_threshold: ZERO_THRESHOLD,
        zero_count: point.zero_count,
        count: point.count,
        sum: point.sum.unwrap_or(0.0),
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values: None,
    })
}

/// A histogram with listed bounds as a native one with these bounds.
pub fn from_explicit(
    point: &HistogramPoint<'_>,
    temporality: Temporality,
) -> Result<Histogram, ConversionError> {
    let custom_values: Option<Arc<[f64]>> = Some(point.explicit_bounds.as_slice().into());
    if point.head.no_recorded_value {
        return Ok(stale(CUSTOM_BUCKETS_SCHEMA, custom_values));
    }
    let counts = (0..).zip(point.bucket_counts.iter().copied()).filter(|(_, count)| *count > 0);
    let (positive_spans, positive_buckets) = layout(counts)?;
    Ok(Histogram {
        counter_reset_hint: hint(temporality),
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: point.count,
        sum: point.sum.unwrap_or(0.0),
        positive_spans,
        positive_buckets,
        custom_values,
        ..Histogram::default()
    })
}

/// Deltas are no running counter: as gauges they are not searched for resets.
fn hint(temporality: Temporality) -> CounterResetHint {
    match temporality {
        Temporality::Delta => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn stale(schema: i32, custom_values: Option<Arc<[f64]>>) -> Histogram {
    Histogram { schema, custom_values, sum: model::stale_nan(), ..Histogram::default() }
}

/// Populated buckets with their indexes, ascending, after joining `2^shift` buckets each.
fn populated(buckets: &Buckets, shift: u32, base: i64) -> impl Iterator<Item = (i64, u64)> {
    let offset = i64::from(buckets.offset);
    let mut all = (offset..).zip(buckets.counts.iter().copied()).peekable();
    std::iter::from_fn(move || {
        let (index, mut count) = all.by_ref().find(|(_, count)| *count > 0)?;
        let joined = index >> shift;
        while let Some((_, more)) = all.next_if(|(index, _)| index >> shift == joined) {
            count = count.saturating_add(more);
        }
        Some((joined + base, count))
    })
}

type Layout = (Vec<Span>, Vec<i64>);

/// Spans and differences of counts.
fn layout(buckets: impl Iterator<Item = (i64, u64)>) -> Result<Layout, ConversionError> {
    let (mut spans, mut deltas) = (Vec::<Span>::new(), Vec::new());
    let (mut next, mut before) = (0_i64, 0_i64);
    for (index, count) in buckets {
        let gap = index - next;
        let count = i64::try_from(count).map_err(|_| ConversionError::TooLarge("a count"))?;
        match spans.last_mut() {
            Some(span) if gap <= MAX_GAP => {
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
                span.length += gap as u32 + 1;
            }
            _ => {
                let offset = i32::try_from(gap).map_err(|_| ConversionError::TooLarge("an index"))?;
                spans.push(Span { offset, length: 1 });
            }
        }
        deltas.push(count - before);
        before = count;
        next = index + 1;
    }
    Ok((spans, deltas))
}
