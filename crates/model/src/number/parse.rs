//! Reading floats as Go's `ParseFloat` does.

use crate::labels::Quoted;

/// A text that is no float, or one beyond the range of floats.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ParseFloatError<'a> {
    /// Not a number.
    #[error("strconv.ParseFloat: parsing {}: invalid syntax", Quoted(.0))]
    Syntax(&'a str),
    /// A finite number whose nearest float would be infinite.
    #[error("strconv.ParseFloat: parsing {}: value out of range", Quoted(.0))]
    Range(&'a str),
}

/// The bits of the NaN that Go reads: unlike the staleness marker, an ordinary one.
const PARSED_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Reads decimal and hexadecimal floats, `inf`, `infinity` and `nan` in any case (`nan` without a
/// sign), with underscores between digits as Go allows them.
pub fn parse_float(text: &str) -> Result<f64, ParseFloatError<'_>> {
    // Rust's syntax is Go's, except that it takes signed NaNs and has neither underscores nor hex.
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(value) if value.is_nan() => {
            let signed = text.starts_with(['+', '-']);
            if signed { Err(ParseFloatError::Syntax(text)) } else { Ok(f64::from_bits(PARSED_NAN_BITS)) }
        }
        Ok(value) => {
            let written_out = text.bytes().any(|b| b.is_ascii_digit());
            if written_out { Err(ParseFloatError::Range(text)) } else { Ok(value) }
        }
        Err(_) => parse_uncommon(text),
    }
}

fn parse_uncommon(text: &str) -> Result<f64, ParseFloatError<'_>> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let hex = unsigned.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    if !underscores_separate_digits(unsigned, hex) {
        return Err(ParseFloatError::Syntax(text));
    }
    let digits = unsigned.replace('_', "");
    let magnitude = if hex {
        parse_hex(&digits[2..])
    } else {
        // Without underscores it has been tried; only a digit or a point may begin it.
        let starts_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        digits.parse::<f64>().ok().filter(|_| starts_well && digits.len() < unsigned.len())
    };
    match magnitude {
        None => Err(ParseFloatError::Syntax(text)),
        Some(value) if value.is_infinite() => Err(ParseFloatError::Range(text)),
        Some(value) => Ok(if negative { -value } else { value }),
    }
}

/// Whether every underscore has a digit on both sides; the hex prefix counts as one.
fn underscores_separate_digits(text: &str, hex: bool) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || hex && (b.is_ascii_hexdigit() || matches!(b, b'x' | b'X'));
    let bytes = text.as_bytes();
    let lies_between = |at: usize| {
        let before = at.checked_sub(1).and_then(|i| bytes.get(i));
        before.is_some_and(|&b| is_digit(b)) && bytes.get(at + 1).is_some_and(|&b| is_digit(b))
    };
    (0..bytes.len()).filter(|&at| bytes[at] == b'_').all(lies_between)
}

/// `DIGITS[.DIGITS]pEXPONENT`: the exponent, of two, is mandatory.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa_text, exponent_text) = text.split_once(['p', 'P'])?;
    let (mut mantissa, mut exponent, mut digits, mut after_point) = (0_u64, 0_i64, 0, false);
    for c in mantissa_text.chars() {
        if c == '.' && !after_point {
            after_point = true;
            continue;
        }
        let digit = u64::from(c.to_digit(16)?);
        digits += 1;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if after_point { 4 } else { 0 };
        } else {
            // All further digits matter only for rounding: keep that they are not zero.
            mantissa |= u64::from(digit != 0);
            exponent += if after_point { 0 } else { 4 };
        }
    }
    let unsigned = exponent_text.strip_prefix(['+', '-']).unwrap_or(exponent_text);
    if digits == 0 || unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = unsigned.parse::<i64>().unwrap_or(i64::MAX).min(1 << 32);
    exponent += if exponent_text.starts_with('-') { -magnitude } else { magnitude };
    Some(round_scaled(mantissa, exponent))
}

/// `mantissa * 2^exponent`, rounded once to the nearest float, ties to even.
fn round_scaled(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let highest_bit = 63 - i64::from(mantissa.leading_zeros());
    // The lowest bit a float of this size can hold; subnormals hold fewer.
    let shift = (highest_bit - 52).max(-1074 - exponent);
    let (rounded, exponent) = if shift <= 0 {
        (u128::from(mantissa), exponent)
    } else if shift > 64 {
        return 0.0;
    } else {
        let wide = u128::from(mantissa);
        let (kept, rest, half) = (wide >> shift, wide & ((1 << shift) - 1), 1_u128 << (shift - 1));
        let up = rest > half || rest == half && kept & 1 == 1;
        (kept + u128::from(up), exponent + shift)
    };
    // Exact from here on, or overflowing: two factors because one would not reach all exponents.
    let exponent = i32::try_from(exponent.clamp(-1100, 1100)).unwrap_or(0);
    let half = exponent / 2;
    rounded as f64 * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}
