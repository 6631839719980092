//! Durations as the field writes them: `1h30m`, `5m`, `1y2w`.

use std::fmt::Write;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
const YEAR_MS: i64 = 365 * DAY_MS;

/// Units in the order in which they must follow each other.
const UNITS: [(&str, i64); 7] = [
    ("y", YEAR_MS),
    ("w", WEEK_MS),
    ("d", DAY_MS),
    ("h", HOUR_MS),
    ("m", MINUTE_MS),
    ("s", SECOND_MS),
    ("ms", 1),
];

/// The longest duration: the field's tools count nanoseconds in 64 bits.
const MAX_MS: i64 = i64::MAX / 1_000_000;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DurationError {
    /// There is no text.
    Empty,
    /// It is not numbers with units in descending order, each unit at most once.
    Invalid(String),
    /// It is longer than 292 years.
    OutOfRange,
}

impl std::error::Error for DurationError {}

impl std::fmt::Display for DurationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("empty duration string"),
            Self::Invalid(text) => write!(f, "not a valid duration string: {text:?}"),
            Self::OutOfRange => f.write_str("duration out of range"),
        }
    }
}

/// Milliseconds of a duration such as `1h30m`. `0` needs no unit.
pub fn parse_ms(text: &str) -> Result<i64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let (mut rest, mut next_unit, mut total_ms) = (text, 0, 0i64);
    let mut in_range = true;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at(letters);
        let place = UNITS[next_unit..].iter().position(|&(name, _)| name == unit).ok_or_else(invalid)?;
        if number.is_empty() {
            return Err(invalid());
        }
        let unit_ms = UNITS[next_unit + place].1;
        let part_ms = number.parse::<i64>().ok().and_then(|count| count.checked_mul(unit_ms));
        match part_ms.and_then(|part| total_ms.checked_add(part)).filter(|&sum| sum <= MAX_MS) {
            Some(sum) => total_ms = sum,
            None => in_range = false,
        }
        next_unit += place + 1;
        rest = after;
    }
    if in_range { Ok(total_ms) } else { Err(DurationError::OutOfRange) }
}

/// `duration_ms` in the largest units: `1h30m`. Years, weeks and days are used only where nothing
/// smaller remains, since `90d` reads better than `12w6d`. Zero is `0s`.
pub fn format_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if duration_ms < 0 {
        out.push('-');
    }
    let mut rest = duration_ms.unsigned_abs();
    for (name, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        if unit_ms >= DAY_MS.unsigned_abs() && rest % unit_ms != 0 {
            continue;
        }
        let count = rest / unit_ms;
        if count > 0 {
            rest -= count * unit_ms;
            // Writing to a string cannot fail.
            let _ = write!(out, "{count}{name}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_in_descending_order() {
        assert_eq!(parse_ms("1h30m"), Ok(5_400_000));
        assert_eq!(parse_ms("4s180ms"), Ok(4180));
        assert_eq!(parse_ms("1y2w3d"), Ok(YEAR_MS + 2 * WEEK_MS + 3 * DAY_MS));
        assert_eq!(parse_ms("0"), Ok(0));
        for bad in ["1", "m", "1m1h", "1h1h", "1.5h", "-1m", "1 m", "1ms1s", "5x"] {
            assert_eq!(parse_ms(bad), Err(DurationError::Invalid(bad.to_owned())), "{bad}");
        }
        assert_eq!(parse_ms("300y"), Err(DurationError::OutOfRange));
        assert_eq!(parse_ms("99999999999999999999y"), Err(DurationError::OutOfRange));
        assert_eq!(parse_ms(""), Err(DurationError::Empty));
    }

    #[test]
    fn formatting_prefers_readable_units() {
        let day = DAY_MS;
        for (ms, text) in [
            (0, "0s"),
            (5 * MINUTE_MS, "5m"),
            (90 * MINUTE_MS, "1h30m"),
            (90 * day, "90d"),
            (14 * day, "2w"),
            (730 * day, "2y"),
            (day + 1, "24h1ms"),
            (-1500, "-1s500ms"),
        ] {
            assert_eq!(format_ms(ms), text);
        }
    }
}
