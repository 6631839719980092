//! Numbers as text, the way Go writes and reads them: `strconv` formats and `ParseFloat`.
//!
//! Every API, exposition format and error message of the field shows floats in one of these forms.

use std::fmt;

mod parse;
#[cfg(test)]
mod tests;

pub use parse::{ParseFloatError, parse_float};

/// The form in which a float is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FloatFormat {
    /// Shortest digits without exponent: `1000000`, `0.0000001`.
    Plain,
    /// Shortest digits with exponent: `1e+06`.
    Exponent,
    /// Shortest digits, with an exponent below 1e-04 and from 1e+06 on: `%v` and `%g`.
    General,
    /// As query results are written: plain, with an exponent below 1e-6 and from 1e+21.
    Api,
    /// As JSON numbers are written: like `Api`, with exponents of one digit where one suffices.
    Json,
    /// A fixed number of digits after the point: `%.2f`.
    Fixed(usize),
    /// A fixed number of digits after the point, with exponent: `%.6e`.
    FixedExponent(usize),
    /// At most so many significant digits, an exponent where that is shorter: `%.4g`.
    Significant(usize),
}

/// A float to be displayed in a [`FloatFormat`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Formatted(pub f64, pub FloatFormat);

/// `value` as `%v` and `%g` write it.
pub fn general(value: f64) -> Formatted {
    Formatted(value, FloatFormat::General)
}

/// `value` as `format` writes it.
pub fn format_float(value: f64, format: FloatFormat) -> String {
    let mut out = String::new();
    push_float(&mut out, value, format);
    out
}

/// Appends `value` as `format` writes it.
pub fn push_float(out: &mut String, value: f64, format: FloatFormat) {
    write_float(out, value, format).expect("writing to a string cannot fail");
}

impl fmt::Display for Formatted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_float(f, self.0, self.1)
    }
}

/// Below and from these magnitudes the API and JSON forms use an exponent.
const API_EXPONENT_BELOW: f64 = 1e-6;
const API_EXPONENT_FROM: f64 = 1e21;

fn write_float(out: &mut impl fmt::Write, value: f64, format: FloatFormat) -> fmt::Result {
    if !value.is_finite() {
        return out.write_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        });
    }
    if value.is_sign_negative() {
        out.write_char('-')?;
    }
    let value = value.abs();
    let wants_exponent = value != 0.0 && !(API_EXPONENT_BELOW..API_EXPONENT_FROM).contains(&value);
    match format {
        FloatFormat::Plain => Decimal::shortest(value).write_plain(out),
        FloatFormat::Exponent => Decimal::shortest(value).write_exponent(out, 2),
        FloatFormat::General => Decimal::shortest(value).write_general(out, SHORTEST_GENERAL_PLACES),
        FloatFormat::Api if wants_exponent => Decimal::shortest(value).write_exponent(out, 2),
        FloatFormat::Json if wants_exponent => Decimal::shortest(value).write_exponent(out, 1),
        FloatFormat::Api | FloatFormat::Json => Decimal::shortest(value).write_plain(out),
        FloatFormat::Fixed(places) => write!(out, "{value:.places$}"),
        FloatFormat::FixedExponent(places) => Decimal::rounded(value, places + 1).write_exponent(out, 2),
        FloatFormat::Significant(places) => {
            let mut decimal = Decimal::rounded(value, places.max(1));
            decimal.trim_zeros();
            decimal.write_general(out, places.max(1))
        }
    }
}

/// With shortest digits, `%g` decides on an exponent as if six places had been asked for.
const SHORTEST_GENERAL_PLACES: usize = 6;

/// A finite, non-negative number as `0.DIGITS * 10^point`.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// The fewest digits that read back as `value`.
    fn shortest(value: f64) -> Self {
        Self::from_scientific(&format!("{value:e}"))
    }

    /// Exactly `places` digits, correctly rounded.
    fn rounded(value: f64, places: usize) -> Self {
        Self::from_scientific(&format!("{value:.*e}", places - 1))
    }

    fn from_scientific(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        let exponent: i32 = exponent.parse().unwrap_or(0);
        Self { digits, point: exponent + 1 }
    }

    fn trim_zeros(&mut self) {
        while self.digits.len() > 1 && self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
    }

    fn text(&self, from: usize, to: usize) -> &str {
        std::str::from_utf8(&self.digits[from..to]).expect("only ASCII digits are stored")
    }

    fn write_plain(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let len = self.digits.len();
        match usize::try_from(self.point) {
            Ok(point) if point >= len => {
                out.write_str(self.text(0, len))?;
                (len..point).try_for_each(|_| out.write_char('0'))
            }
            Ok(point) if point > 0 => {
                out.write_str(self.text(0, point))?;
                out.write_char('.')?;
                out.write_str(self.text(point, len))
            }
            _ => {
                out.write_str("0.")?;
                (self.point..0).try_for_each(|_| out.write_char('0'))?;
                out.write_str(self.text(0, len))
            }
        }
    }

    fn write_exponent(&self, out: &mut impl fmt::Write, min_exponent_digits: usize) -> fmt::Result {
        out.write_str(self.text(0, 1))?;
        if self.digits.len() > 1 {
            out.write_char('.')?;
            out.write_str(self.text(1, self.digits.len()))?;
        }
        let exponent = if self.digits == b"0" { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:0min_exponent_digits$}", exponent.unsigned_abs())
    }

    fn write_general(&self, out: &mut impl fmt::Write, places: usize) -> fmt::Result {
        let exponent = self.point - 1;
        if exponent < -4 || exponent >= i32::try_from(places).unwrap_or(i32::MAX) {
            self.write_exponent(out, 2)
        } else {
            self.write_plain(out)
        }
    }
}
