//! Numbers, characters and texts as they are written in templates.

use super::Parsed;
use crate::lex::Kind;
use crate::node::OperandKind;
use crate::value::{Type, Value};

/// A number. Whole ones are of type `int`, those with a point or exponent are floats.
pub(super) fn number(text: &str) -> Parsed<OperandKind> {
    let bad = || format!("illegal number syntax: {text:?}");
    if text.ends_with('i') {
        return Err(format!("complex numbers are not supported: {text:?}"));
    }
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.contains("__") || digits.ends_with('_') || digits.starts_with('_') {
        return Err(bad());
    }
    let lower = digits.to_ascii_lowercase();
    let radix = match lower.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    let is_float = if radix == 16 { lower.contains(['.', 'p']) } else { lower.contains(['.', 'e']) };
    if is_float {
        return model::number::parse_float(text)
            .map(|value| OperandKind::Constant(Value::Float(value)))
            .map_err(|_| bad());
    }
    let (radix, body) = match radix {
        // A leading zero alone makes a number octal.
        10 if lower.len() > 1 && lower.starts_with('0') => (8, lower[1..].replace('_', "")),
        10 => (10, lower.replace('_', "")),
        radix => (radix, lower[2..].replace('_', "")),
    };
    match i128::from_str_radix(&body, radix) {
        Ok(magnitude) => {
            let value = if negative { -magnitude } else { magnitude };
            match i64::try_from(value) {
                // Go takes an `e` behind a sign for an exponent, also where it is a digit.
                Ok(value) if radix == 16 && digits.len() < text.len() && lower.contains('e') => {
                    Ok(OperandKind::Constant(Value::Float(value as f64)))
                }
                Ok(value) => Ok(OperandKind::Constant(Value::Int(value, Type::Int))),
                Err(_) if u64::try_from(value).is_ok() => Ok(OperandKind::Overflow),
                Err(_) => Err(format!("integer overflow: {text:?}")),
            }
        }
        Err(_) if body.bytes().all(|b| b.is_ascii_digit()) && !body.is_empty() => {
            Err(format!("integer overflow: {text:?}"))
        }
        Err(_) => Err(bad()),
    }
}

/// The code of a character in single quotes.
pub(super) fn rune(quoted: &[u8]) -> Parsed<i64> {
    let malformed = || format!("malformed character constant: {}", String::from_utf8_lossy(quoted));
    let body = &quoted[1..quoted.len() - 1];
    let mut rest = body;
    let unit = unescape(&mut rest, b'\'').ok_or_else(malformed)?;
    if !rest.is_empty() {
        return Err(malformed());
    }
    Ok(match unit {
        Unit::Byte(byte) => i64::from(byte),
        Unit::Char(c) => i64::from(u32::from(c)),
    })
}

/// The bytes of a text in double quotes or backquotes.
pub(super) fn text(kind: Kind, quoted: &[u8]) -> Parsed<Vec<u8>> {
    let body = &quoted[1..quoted.len() - 1];
    if kind == Kind::Raw {
        return Ok(body.iter().copied().filter(|&b| b != b'\r').collect());
    }
    let (mut rest, mut out) = (body, Vec::with_capacity(body.len()));
    while !rest.is_empty() {
        match unescape(&mut rest, b'"').ok_or("invalid syntax")? {
            Unit::Byte(byte) => out.push(byte),
            Unit::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(out)
}

enum Unit {
    /// A byte given as such.
    Byte(u8),
    Char(char),
}

/// Takes one character or escape sequence from `rest`.
fn unescape(rest: &mut &[u8], quote: u8) -> Option<Unit> {
    let (&first, tail) = rest.split_first()?;
    if first != b'\\' {
        if first.is_ascii() {
            *rest = tail;
            return Some(Unit::Char(char::from(first)));
        }
        let valid = rest.utf8_chunks().next()?.valid();
        return match valid.chars().next() {
            Some(c) => {
                *rest = &rest[c.len_utf8()..];
                Some(Unit::Char(c))
            }
            None => {
                *rest = tail;
                Some(Unit::Byte(first))
            }
        };
    }
    let (&escape, tail) = tail.split_first()?;
    *rest = tail;
    let simple = match escape {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'x' => return coded(rest, 2, 16).and_then(|code| u8::try_from(code).ok()).map(Unit::Byte),
        b'u' => return coded(rest, 4, 16).and_then(char::from_u32).map(Unit::Char),
        b'U' => return coded(rest, 8, 16).and_then(char::from_u32).map(Unit::Char),
        b'0'..=b'7' => {
            let mut digits = [escape, 0, 0];
            digits[1..].copy_from_slice(rest.get(..2)?);
            *rest = &rest[2..];
            let code = u32::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?;
            return u8::try_from(code).ok().map(Unit::Byte);
        }
        other if other == quote => quote,
        _ => return None,
    };
    Some(Unit::Char(char::from(simple)))
}

fn coded(rest: &mut &[u8], digits: usize, radix: u32) -> Option<u32> {
    let text = rest.get(..digits)?;
    if !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    *rest = &rest[digits..];
    u32::from_str_radix(std::str::from_utf8(text).ok()?, radix).ok()
}
