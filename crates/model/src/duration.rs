//! Durations as text: Prometheus's (`1h30m`, units from milliseconds to years) and Go's (`1h30m0s`,
//! fractions, units from nanoseconds to hours).

use std::fmt::Write as _;

use crate::labels::Quoted;

mod go;
#[cfg(test)]
mod tests;

pub use go::{GoDurationError, format_go_duration, parse_go_duration};

/// A text that is no Prometheus duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing is written.
    #[error("empty duration string")]
    Empty,
    /// Not of the form `1y2w3d4h5m6s7ms`.
    #[error("not a valid duration string: {}", Quoted(.0))]
    Syntax(String),
    /// A number is followed by letters that are no unit.
    #[error("unknown unit {} in duration {}", Quoted(unit), Quoted(duration))]
    UnknownUnit {
        /// The letters.
        unit: String,
        /// The whole text.
        duration: String,
    },
    /// More than 2^63 nanoseconds (292 years), the longest duration Prometheus holds.
    #[error("duration out of range")]
    Range,
}

/// Units in the order they must be written in, with their milliseconds. Years have 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 60 * 60 * 1000),
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Durations are held as nanoseconds in 64 bits by every program that shares the syntax.
const MAX_MS: i64 = i64::MAX / 1_000_000;

/// Reads a Prometheus duration, in milliseconds. `0` needs no unit. Units appear at most once, largest
/// first.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let invalid = || DurationError::Syntax(text.to_owned());
    let (mut rest, mut units, mut total_ms) = (text, UNITS.iter(), 0_i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        if number.is_empty() || unit.is_empty() {
            return Err(invalid());
        }
        if UNITS.iter().all(|&(name, _)| name != unit) {
            return Err(DurationError::UnknownUnit { unit: unit.to_owned(), duration: text.to_owned() });
        }
        let &(_, unit_ms) = units.find(|&&(name, _)| name == unit).ok_or_else(invalid)?;
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let part = i64::try_from(number).ok().and_then(|n| n.checked_mul(unit_ms));
        let sum = part.and_then(|ms| total_ms.checked_add(ms)).filter(|&ms| ms <= MAX_MS);
        total_ms = sum.ok_or(DurationError::Range)?;
        rest = tail;
    }
    Ok(total_ms)
}

/// As [`parse_duration_ms`], with an optional minus sign in front.
pub fn parse_signed_duration_ms(text: &str) -> Result<i64, DurationError> {
    match text.strip_prefix('-') {
        Some(magnitude) => parse_duration_ms(magnitude).map(|ms| -ms),
        None => parse_duration_ms(text),
    }
}

/// Writes milliseconds as a Prometheus duration. Years and weeks are used only where nothing remains:
/// `8d` is easier to read than `1w1d`.
pub fn format_duration_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if duration_ms < 0 {
        out.push('-');
    }
    let mut rest = duration_ms.unsigned_abs();
    for (unit, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        let exact_only = matches!(unit, "y" | "w");
        if rest < unit_ms || exact_only && !rest.is_multiple_of(unit_ms) {
            continue;
        }
        write!(out, "{}{unit}", rest / unit_ms).expect("writing to a string cannot fail");
        rest %= unit_ms;
    }
    out
}
