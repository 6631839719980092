//! Durations as Go's `time` package reads and writes them.

use std::fmt::Write as _;

/// A text that is no Go duration. Texts are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoDurationError {
    /// Not a sequence of numbers with units, or out of range.
    #[error("time: invalid duration {}", quoted(.0))]
    Invalid(String),
    /// A number without unit.
    #[error("time: missing unit in duration {}", quoted(.0))]
    MissingUnit(String),
    /// A unit there is not.
    #[error("time: unknown unit {} in duration {}", quoted(.unit), quoted(.text))]
    UnknownUnit {
        /// What stands where a unit should.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// As Go's `time` quotes: anything beyond printable ASCII as bytes in hex.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', byte as char]),
            b' '..=b'~' => out.push(byte as char),
            _ => write!(out, "\\x{byte:02x}").expect("writing to a string cannot fail"),
        }
    }
    out.push('"');
    out
}

/// Units by name, in nanoseconds; both Unicode letters that look like a mu are accepted.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The magnitude of the smallest duration; the largest is one less.
const LIMIT: u64 = 1 << 63;

/// Reads a Go duration, in nanoseconds: `[-+]` and numbers with units in any order (`1h15m30.918s`), or
/// a plain `0`.
pub fn parse_go_duration(text: &str) -> Result<i64, GoDurationError> {
    let invalid = || GoDurationError::Invalid(text.to_owned());
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, tail) = Number::split(rest).ok_or_else(invalid)?;
        let end = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        if unit.is_empty() {
            return Err(GoDurationError::MissingUnit(text.to_owned()));
        }
        let Some(&(_, unit_ns)) = UNITS.iter().find(|&&(name, _)| name == unit) else {
            return Err(GoDurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        let part = number.times(unit_ns).ok_or_else(invalid)?;
        total = total.checked_add(part).filter(|&sum| sum <= LIMIT).ok_or_else(invalid)?;
        rest = tail;
    }
    if negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// A decimal number as whole part and `fraction / scale`.
struct Number {
    whole: u64,
    fraction: u64,
    scale: f64,
}

impl Number {
    /// The number `text` begins with, and what follows it.
    fn split(text: &str) -> Option<(Self, &str)> {
        let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let (whole_text, mut rest) = text.split_at(digits(text));
        let mut number = Self { whole: 0, fraction: 0, scale: 1.0 };
        for digit in whole_text.bytes().map(|b| u64::from(b - b'0')) {
            let next = number.whole.checked_mul(10).and_then(|n| n.checked_add(digit));
            number.whole = next.filter(|&n| n <= LIMIT)?;
        }
        let mut has_digits = !whole_text.is_empty();
        if let Some(after_point) = rest.strip_prefix('.') {
            let (fraction_text, tail) = after_point.split_at(digits(after_point));
            for digit in fraction_text.bytes().map(|b| u64::from(b - b'0')) {
                // Digits beyond what 63 bits hold are far below a nanosecond.
                match number.fraction.checked_mul(10).and_then(|n| n.checked_add(digit)) {
                    Some(next) if next <= LIMIT => {
                        number.fraction = next;
                        number.scale *= 10.0;
                    }
                    _ => break,
                }
            }
            has_digits |= !fraction_text.is_empty();
            rest = tail;
        }
        has_digits.then_some((number, rest))
    }

    fn times(&self, unit_ns: u64) -> Option<u64> {
        let whole = self.whole.checked_mul(unit_ns).filter(|&ns| ns <= LIMIT)?;
        let fraction = (self.fraction as f64 * (unit_ns as f64 / self.scale)) as u64;
        whole.checked_add(fraction).filter(|&ns| ns <= LIMIT)
    }
}

/// Writes nanoseconds as Go does: `1h0m0.5s`, and below a second in the largest unit that gives a whole
/// part: `1.5ms`.
pub fn format_go_duration(duration_ns: i64) -> String {
    let magnitude = duration_ns.unsigned_abs();
    let sign = if duration_ns < 0 { "-" } else { "" };
    let text = match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(magnitude, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(magnitude, 6)),
        _ => {
            let (minutes, below) = (magnitude / 60_000_000_000, magnitude % 60_000_000_000);
            let seconds = decimal(below, 9);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

/// `value / 10^places` without trailing zeros.
fn decimal(value: u64, places: u32) -> String {
    let (scale, width) = (10_u64.pow(places), places as usize);
    let text = format!("{}.{:0width$}", value / scale, value % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
