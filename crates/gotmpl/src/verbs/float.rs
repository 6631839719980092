//! Floating-point numbers, as Go writes them.

use model::number::{FloatFormat, format_float};

use super::Verb;
use crate::value::Value;

/// Bits of a float's mantissa but for the leading one, which is not stored.
const MANTISSA_BITS: u32 = 52;
/// What is added to the exponents of floats as they are stored.
const BIAS: i32 = 1023;

impl Verb {
    pub(super) fn float(self, out: &mut Vec<u8>, value: &Value, number: f64, c: char) {
        let decimal = |format| format_float(number, format);
        let mut text = match (c, self.precision) {
            ('v' | 'g' | 'G', None) => decimal(FloatFormat::General),
            ('v' | 'g' | 'G', Some(places)) => decimal(FloatFormat::Significant(places)),
            ('f' | 'F', places) => decimal(FloatFormat::Fixed(places.unwrap_or(6))),
            ('e' | 'E', places) => decimal(FloatFormat::FixedExponent(places.unwrap_or(6))),
            ('b' | 'x' | 'X', _) if !number.is_finite() => decimal(FloatFormat::General),
            ('b', _) => binary(number),
            ('x' | 'X', places) => hexadecimal(number, places),
            _ => return self.bad(out, value, c),
        };
        if matches!(c, 'G' | 'E' | 'X') {
            text = text.to_uppercase().replace("INF", "Inf").replace("NAN", "NaN");
        }
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("", text.as_str()),
        };
        let sign = match sign {
            "-" => "-",
            _ if self.plus => "+",
            _ if self.space => " ",
            // Only infinities carry a sign of their own.
            "+" => "+",
            _ => "",
        };
        let completed = (self.sharp && c != 'b' && number.is_finite()).then(|| self.completed(digits, c));
        let digits = completed.as_deref().unwrap_or(digits);
        let zero = self.zero && number.is_finite();
        if zero && !self.minus {
            let least = self.width.unwrap_or(0).saturating_sub(sign.len());
            out.extend_from_slice(format!("{sign}{digits:0>least$}").as_bytes());
        } else {
            Self { zero: false, ..self }.padded(out, format!("{sign}{digits}").as_bytes());
        }
    }

    /// `#` asks for a point always, and for zeros behind it where the other digits are few.
    fn completed(self, digits: &str, c: char) -> String {
        let mark = if matches!(c, 'x' | 'X') { ['p', 'P'] } else { ['e', 'E'] };
        let (number, exponent) = digits.split_at(digits.find(mark).unwrap_or(digits.len()));
        let wanted = if matches!(c, 'v' | 'g' | 'G' | 'x') { self.precision.unwrap_or(6) } else { 0 };
        let mut there = number.chars().filter(|&c| c != '.').skip_while(|&c| c == '0').count();
        let mut out = number.to_owned();
        if !number.contains('.') {
            there += usize::from(number == "0");
            out.push('.');
        }
        out.extend(std::iter::repeat_n('0', wanted.saturating_sub(there)));
        out + exponent
    }
}

fn sign_of(number: f64) -> &'static str {
    if number.is_sign_negative() { "-" } else { "" }
}

/// The mantissa as a whole number, and the power of two it is multiplied by.
fn parts(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    // Eleven bits.
    let exponent = (bits >> MANTISSA_BITS & 0x7ff) as i32;
    match exponent {
        0 => (mantissa, 1 - BIAS - MANTISSA_BITS as i32),
        _ => (mantissa | 1 << MANTISSA_BITS, exponent - BIAS - MANTISSA_BITS as i32),
    }
}

/// `4503599627370496p-52`
fn binary(number: f64) -> String {
    let (mantissa, exponent) = parts(number);
    format!("{}{mantissa}p{exponent:+}", sign_of(number))
}

/// `0x1.8p+01`, with as many digits behind the point as there are or as `places` says, rounded to even.
fn hexadecimal(number: f64, places: Option<usize>) -> String {
    let (mantissa, mut exponent) = parts(number);
    // One digit before the point, and sixteen behind it in the bits below.
    let mut digits = u128::from(mantissa) << 64 >> MANTISSA_BITS;
    exponent = if digits == 0 { 0 } else { exponent + MANTISSA_BITS as i32 };
    while digits != 0 && digits >> 64 == 0 {
        digits <<= 1;
        exponent -= 1;
    }
    if let Some(places) = places.filter(|&places| places < 16) {
        let cut = 64 - 4 * places as u32;
        let (below, half) = (digits & ((1 << cut) - 1), 1 << (cut - 1));
        digits >>= cut;
        digits += u128::from(below > half || (below == half && digits & 1 == 1));
        digits <<= cut;
        if digits >> 65 != 0 {
            digits >>= 1;
            exponent += 1;
        }
    }
    let behind = format!("{:016x}", digits & u128::from(u64::MAX));
    let behind = match places {
        None => behind.trim_end_matches('0').to_owned(),
        Some(places) => format!("{behind:0<places$}")[..places].to_owned(),
    };
    let point = if behind.is_empty() { "" } else { "." };
    let (first, toward) = (digits >> 64, if exponent < 0 { '-' } else { '+' });
    format!("{}0x{first}{point}{behind}p{toward}{:02}", sign_of(number), exponent.abs())
}
