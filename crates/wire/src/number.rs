//! Numbers as the exposition formats write them, with the acceptance and the errors of Go's `strconv`,
//! which every client library was written against.

use model::number::{FloatFormat, push_float};

/// Why a number was refused. The texts are those of Go's `strconv`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not a number.
    #[error("strconv.{function}: parsing {text}: invalid syntax")]
    Syntax {
        /// The Go function the text is known under.
        function: &'static str,
        /// The refused text, quoted.
        text: String,
    },
    /// A number beyond what the type can hold.
    #[error("strconv.{function}: parsing {text}: value out of range")]
    Range {
        /// The Go function the text is known under.
        function: &'static str,
        /// The refused text, quoted.
        text: String,
    },
    /// Hexadecimal floats and digit separators, which the formats exclude.
    #[error("unsupported character in float")]
    Unsupported,
}

/// Powers of ten a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The largest integer below which every integer is a double.
const EXACT_MANTISSA: u64 = 1 << 53;

/// The value of a float. Any NaN becomes the one ordinary NaN, so that no text can forge a staleness
/// marker.
#[inline]
pub fn parse_float(text: &[u8]) -> Result<f64, NumberError> {
    match parse_short_decimal(text) {
        Some(value) => Ok(value),
        None => parse_any_float(text),
    }
}

/// Decimals of few digits, which is nearly all of them: mantissa and power of ten are exact doubles, so
/// one division or multiplication rounds correctly.
#[inline]
fn parse_short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    // 18 digits cannot overflow the mantissa, whatever they are.
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut mantissa = 0u64;
    let mut at = 0;
    while at < digits.len() && digits[at].is_ascii_digit() {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digits[at] - b'0'));
        at += 1;
    }
    let mut fraction_digits = 0;
    let mut seen = at;
    if at < digits.len() && digits[at] == b'.' {
        let fraction = &digits[at + 1..];
        while fraction_digits < fraction.len() && fraction[fraction_digits].is_ascii_digit() {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(fraction[fraction_digits] - b'0'));
            fraction_digits += 1;
        }
        seen += fraction_digits;
        at += 1 + fraction_digits;
    }
    if seen == 0 || seen > 18 {
        return None;
    }
    let mut power = -(fraction_digits as i32);
    if at < digits.len() {
        power += parse_short_exponent(&digits[at..])?;
    }
    if mantissa > EXACT_MANTISSA || !(-22..=22).contains(&power) {
        return None;
    }
    let scale = EXACT_POWERS[power.unsigned_abs() as usize];
    let magnitude = if power < 0 { mantissa as f64 / scale } else { mantissa as f64 * scale };
    Some(if negative { -magnitude } else { magnitude })
}

#[inline]
fn parse_short_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'e' | b'E', b'+', digits @ ..] => (1, digits),
        [b'e' | b'E', b'-', digits @ ..] => (-1, digits),
        [b'e' | b'E', digits @ ..] => (1, digits),
        _ => return None,
    };
    match digits {
        [a] if a.is_ascii_digit() => Some(sign * i32::from(a - b'0')),
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => {
            Some(sign * (i32::from(a - b'0') * 10 + i32::from(b - b'0')))
        }
        _ => None,
    }
}

#[cold]
fn parse_any_float(text: &[u8]) -> Result<f64, NumberError> {
    let function = "ParseFloat";
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err(NumberError::Unsupported);
    }
    let syntax = || NumberError::Syntax { function, text: crate::quote::quoted(text) };
    let text_str = std::str::from_utf8(text).map_err(|_| syntax())?;
    let value: f64 = text_str.parse().map_err(|_| syntax())?;
    let has_digits = text.iter().any(u8::is_ascii_digit);
    if value.is_infinite() && has_digits {
        return Err(NumberError::Range { function, text: crate::quote::quoted(text) });
    }
    if value.is_nan() {
        // Go knows no signed NaN.
        return if text.len() == 3 { Ok(f64::from_bits(NORMAL_NAN_BITS)) } else { Err(syntax()) };
    }
    Ok(value)
}

/// The bits of the NaN that stands for "not a number" in samples.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The value of a decimal integer with an optional sign.
#[inline]
pub fn parse_int(text: &[u8]) -> Result<i64, NumberError> {
    let function = "ParseInt";
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::Syntax { function, text: crate::quote::quoted(text) });
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let next = value.checked_mul(10);
        let next = next.and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) });
        value = next.ok_or_else(|| NumberError::Range { function, text: crate::quote::quoted(text) })?;
    }
    Ok(value)
}

/// Appends `value` as the text format writes values: the shortest text that reads back equal.
pub fn push_value(out: &mut String, value: f64) {
    push_float(out, value, FloatFormat::General);
}

/// Appends `value` as OpenMetrics writes `le`, `quantile` and floats: like [`push_value`], but whole
/// numbers keep a `.0`.
pub fn push_open_metrics_float(out: &mut String, value: f64) {
    let start = out.len();
    push_float(out, value, FloatFormat::General);
    let is_whole = out[start..].bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if is_whole {
        out.push_str(".0");
    }
}

/// [`push_open_metrics_float`] as a new string.
pub fn open_metrics_float(value: f64) -> String {
    let mut out = String::new();
    push_open_metrics_float(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_and_refuses_what_go_does() {
        for (text, value) in [
            ("0", 0.0),
            ("-0.0", -0.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("+3", 3.0),
            ("1e5", 1e5),
            ("1E-7", 1e-7),
            ("7.424100000000001e-05", 7.424_100_000_000_001e-5),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("+infinity", f64::INFINITY),
            ("0000000000000000000000000000000000000001.2e-1", 0.12),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
        for text in ["", "-", ".", "e5", "1e", "1e+", "true", "0x10", "1 ", "+nan", "infi", "1.1.1", "--1"] {
            assert!(matches!(parse_float(text.as_bytes()), Err(NumberError::Syntax { .. })), "{text}");
        }
        assert!(matches!(parse_float(b"1e999"), Err(NumberError::Range { .. })));
        assert_eq!(parse_float(b"1_0"), Err(NumberError::Unsupported));
        assert_eq!(parse_float(b"nAn").map(f64::to_bits), Ok(NORMAL_NAN_BITS));
        assert_eq!(parse_int(b"-9223372036854775808"), Ok(i64::MIN));
        assert!(matches!(parse_int(b"9223372036854775808"), Err(NumberError::Range { .. })));
    }

    #[test]
    fn bounds_keep_a_fraction_in_open_metrics() {
        for (value, text) in [
            (0.0, "0.0"),
            (-1.0, "-1.0"),
            (1e6, "1e+06"),
            (100_000.0, "100000.0"),
            (0.25, "0.25"),
            (f64::INFINITY, "+Inf"),
            (1e-5, "1e-05"),
        ] {
            assert_eq!(open_metrics_float(value), text);
        }
    }

    proptest! {
        #[test]
        fn the_short_path_agrees_with_the_exact_one(m in -99_999_999_999i64..99_999_999_999, p in -25i32..25) {
            let text = format!("{m}e{p}");
            prop_assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn any_printed_float_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut text = String::new();
            push_value(&mut text, value);
            prop_assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), bits);
        }
    }
}
