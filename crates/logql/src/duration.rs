//! Durations as queries write them.

use model::duration::{format_duration_ms, parse_duration_ms, parse_go_duration};

const NS_PER_MS: i64 = 1_000_000;

/// The duration of a range, in nanoseconds: `5m`, `1h30m`, `0`.
pub(crate) fn parse_range_ns(text: &str) -> Result<i64, String> {
    let duration_ms = parse_duration_ms(text).map_err(|problem| problem.to_string())?;
    Ok(duration_ms.saturating_mul(NS_PER_MS))
}

/// A duration that is compared with, in nanoseconds.
pub(crate) fn parse_literal_ns(text: &str) -> Result<i64, ()> {
    parse_go_duration(text)
        .or_else(|_| parse_duration_ms(text).map(|ms| ms.saturating_mul(NS_PER_MS)))
        .map_err(drop)
}

/// A range as it is written back: `1m30s`.
pub(crate) fn format_range(ns: i64) -> String {
    format_duration_ms(ns / NS_PER_MS)
}
