//! Requests in JSON, turned into the bytes they would have been in protobuf.
//!
//! So there is one reader of requests. [`super::schema`] lists the messages; [`scan`] takes JSON apart. The rules are
//! those of protobuf's JSON with OTLP's exceptions: names in either case, 64-bit numbers also as texts,
//! enumerations by name or number, trace and span ids in hexadecimal, unknown fields ignored.

mod scan;

use std::borrow::Cow;

use self::scan::{Scanner, Token};
use super::schema::{Field, Kind, Message, REQUEST};
use super::{DecodeError, MAX_BUCKETS, Result};
use crate::protobuf::{put_bytes, put_double, put_message, put_uint, put_varint, to_zigzag};

/// How deep objects and arrays may lie in each other.
const MAX_JSON_DEPTH: usize = 128;

/// The request in `body` in the encoding that [`super::Request`] reads.
pub fn to_protobuf(body: &[u8]) -> Result<Vec<u8>> {
    to_protobuf_as(body, &REQUEST)
}

/// As [`to_protobuf`], of a body that is this message.
pub(super) fn to_protobuf_as(body: &[u8], of: &Message) -> Result<Vec<u8>> {
    let mut scanner = Scanner::new(body);
    let mut out = Vec::with_capacity(body.len() / 2);
    message(&mut scanner, of, &mut out, MAX_JSON_DEPTH)?;
    scanner.end()?;
    Ok(out)
}

/// Appends the object that comes next as the fields of a message.
fn message(scanner: &mut Scanner<'_>, message: &Message, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let depth = deeper(scanner, depth)?;
    if scanner.null()? {
        return Ok(());
    }
    scanner.open(Token::Object)?;
    let mut is_first = true;
    while let Some(name) = scanner.next_name(&mut is_first)? {
        match message.fields.iter().find(|field| field.is_named(&name)) {
            None => scanner.skip(depth)?,
            Some(field) if !field.is_repeated => {
                if !scanner.null()? {
                    item(scanner, field, out, depth)?;
                }
            }
            Some(field) => repeated(scanner, field, out, depth)?,
        }
    }
    Ok(())
}

fn deeper(scanner: &Scanner<'_>, depth: usize) -> Result<usize> {
    let offset = scanner.offset();
    depth.checked_sub(1).ok_or(DecodeError::TooDeep { limit: MAX_JSON_DEPTH, offset })
}

/// Appends the array that comes next as a repeated field.
fn repeated(scanner: &mut Scanner<'_>, field: &Field, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let depth = deeper(scanner, depth)?;
    if scanner.null()? {
        return Ok(());
    }
    scanner.open(Token::Array)?;
    let (mut is_first, mut count) = (true, 0);
    while scanner.next_item(&mut is_first)? {
        count += 1;
        // Numbers grow when they are turned to bytes; messages do not.
        if count > MAX_BUCKETS && !matches!(field.kind, Kind::Message(_)) {
            let offset = scanner.offset();
            return Err(DecodeError::TooMany { what: "numbers in a list", limit: MAX_BUCKETS, offset });
        }
        item(scanner, field, out, depth)?;
    }
    Ok(())
}

/// Appends the value that comes next as one field.
fn item(scanner: &mut Scanner<'_>, field: &Field, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let offset = scanner.offset();
    let wrong = |problem: String| DecodeError::Json { problem, offset };
    match field.kind {
        Kind::Message(schema) => {
            let mut outcome = Ok(());
            put_message(out, field.number, |out| outcome = message(scanner, schema(), out, depth));
            outcome?;
        }
        Kind::Text => put_bytes(out, field.number, scanner.text()?.as_bytes()),
        Kind::Base64 => {
            let bytes = base64(&scanner.text()?).ok_or_else(|| wrong("invalid base64".to_owned()))?;
            put_bytes(out, field.number, &bytes);
        }
        Kind::Hex => {
            let bytes = hex(&scanner.text()?).ok_or_else(|| wrong("invalid hexadecimal id".to_owned()))?;
            put_bytes(out, field.number, &bytes);
        }
        Kind::Bool => put_uint(out, field.number, u64::from(scanner.bool()?)),
        Kind::Double => {
            let text = scanner.number_or_text()?;
            let value = double(&text).ok_or_else(|| wrong(format!("{text:?} is not a number")))?;
            put_double(out, field.number, value);
        }
        Kind::Fixed32 | Kind::Fixed64 | Kind::Uint | Kind::SignedFixed64 | Kind::Int | Kind::Sint => {
            let text = scanner.number_or_text()?;
            let value = integer(&text, field.kind)
                .ok_or_else(|| wrong(format!("{text:?} is not a number that fits here")))?;
            put_integer(out, field, value);
        }
        Kind::Enumeration(names) => {
            let text = scanner.number_or_text()?;
            let known = names.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
            let number = known.or_else(|| text.parse().ok());
            let number = number.ok_or_else(|| wrong(format!("unknown name {text:?}")))?;
            put_uint(out, field.number, number);
        }
    }
    Ok(())
}

/// Appends a number; also a zero, for some fields tell it from nothing.
fn put_integer(out: &mut Vec<u8>, field: &Field, value: u64) {
    match field.kind {
        // The same eight bytes as a double's.
        Kind::Fixed64 | Kind::SignedFixed64 => put_double(out, field.number, f64::from_bits(value)),
        Kind::Fixed32 => {
            const FOUR_BYTES: u64 = 5;
            put_varint(out, u64::from(field.number) << 3 | FOUR_BYTES);
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        Kind::Sint => put_uint(out, field.number, to_zigzag(value as i64)),
        _ => put_uint(out, field.number, value),
    }
}

/// A whole number as its bits. Some writers put a point or an exponent into whole numbers.
fn integer(text: &str, kind: Kind) -> Option<u64> {
    let is_signed = matches!(kind, Kind::SignedFixed64 | Kind::Int | Kind::Sint);
    let whole = if is_signed { text.parse::<i64>().map(|value| value as u64) } else { text.parse::<u64>() };
    whole.ok().or_else(|| {
        /// Every whole number up to here is a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let value: f64 = text.parse().ok()?;
        let fits = value.trunc() == value && value.abs() <= EXACT && (is_signed || value >= 0.0);
        fits.then_some(value as i64 as u64)
    })
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => model::number::parse_float(text).ok(),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}

/// Standard base64 or the one for URLs, padded or not: protobuf's JSON allows all of them.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let (mut out, mut bits, mut have) = (Vec::with_capacity(digits.len() * 3 / 4), 0_u32, 0);
    for &digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    // Six bits left over are half a character too many.
    (have < 6).then_some(out)
}

/// What [`Scanner`] gives for names and texts.
type Text<'a> = Cow<'a, str>;
