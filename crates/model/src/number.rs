//! Numbers as text, the way Go writes and reads them: `strconv` formats and `ParseFloat`.
//!
//! Every API, exposition format and error message of the field shows floats in one of these forms.

use std::fmt::{self, Write as _};

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
    let (mut buffer, mut long) = (ryu::Buffer::new(), String::new());
    match format {
        FloatFormat::Fixed(places) => return write!(out, "{value:.places$}"),
        FloatFormat::FixedExponent(places) => write!(long, "{value:.places$e}")?,
        FloatFormat::Significant(places) => write!(long, "{value:.*e}", places.max(1) - 1)?,
        _ => {}
    }
    let mut digits = Scratch::default();
    let mut decimal = match format {
        FloatFormat::FixedExponent(_) | FloatFormat::Significant(_) => Decimal::read_long(&mut long),
        // Of two shortest forms equally near, the one with the even digit, as Go does.
        _ => Decimal::read(buffer.format_finite(value), &mut digits)?,
    };
    match format {
        FloatFormat::Plain => decimal.write_plain(out),
        FloatFormat::General => decimal.write_general(out, SHORTEST_GENERAL_PLACES),
        FloatFormat::Api if wants_exponent => decimal.write_exponent(out, 2),
        FloatFormat::Json if wants_exponent => decimal.write_exponent(out, 1),
        FloatFormat::Api | FloatFormat::Json => decimal.write_plain(out),
        FloatFormat::Significant(places) => {
            decimal.digits = trimmed_zeros(decimal.digits);
            decimal.write_general(out, places.max(1))
        }
        FloatFormat::Exponent | FloatFormat::FixedExponent(_) | FloatFormat::Fixed(_) => {
            decimal.write_exponent(out, 2)
        }
    }
}

/// With shortest digits, `%g` decides on an exponent as if six places had been asked for.
const SHORTEST_GENERAL_PLACES: usize = 6;

/// Text on the stack: the shortest form of a float has 17 digits, a point and an exponent.
#[derive(Default)]
struct Scratch {
    bytes: [u8; 32],
    len: usize,
}

impl Scratch {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Scratch {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// A finite, non-negative number as `0.DIGITS * 10^point`.
struct Decimal<'d> {
    digits: &'d str,
    point: i32,
}

fn trimmed_zeros(digits: &str) -> &str {
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() { "0" } else { trimmed }
}

impl<'d> Decimal<'d> {
    /// Takes `1.25e-7`, `0.0125` or `125.0` apart, with `digits` to hold the digits.
    fn read(text: &str, digits: &'d mut Scratch) -> Result<Self, fmt::Error> {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        digits.write_str(whole)?;
        digits.write_str(fraction)?;
        let exponent = exponent.parse::<i32>().unwrap_or(0);
        let significant = digits.text().trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self { digits: "0", point: 1 });
        }
        let leading_zeros = digits.len - significant.len();
        let point = whole.len() as i32 - leading_zeros as i32 + exponent;
        Ok(Self { digits: trimmed_zeros(significant), point })
    }

    /// As `read`, for as many digits as were asked for, in place.
    fn read_long(scientific: &'d mut String) -> Self {
        let at = scientific.find('e').unwrap_or(scientific.len());
        let point = scientific.get(at + 1..).and_then(|text| text.parse::<i32>().ok()).unwrap_or(0) + 1;
        scientific.truncate(at);
        scientific.retain(|c| c != '.');
        Self { digits: scientific, point }
    }

    fn text(&self, from: usize, to: usize) -> &str {
        &self.digits[from..to]
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
        let exponent = if self.digits == "0" { 0 } else { self.point - 1 };
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
