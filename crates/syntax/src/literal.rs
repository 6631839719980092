//! String and integer literals in Go's syntax.

/// A string literal that is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidLiteral;

/// The value of a literal in double quotes, single quotes or backquotes, quotes included.
///
/// Escapes are `\a \b \f \n \r \t \v \\`, the quote itself, `\ooo`, `\xhh`, `\uhhhh` and `\Uhhhhhhhh`;
/// backquoted text has none. Bytes written as escapes that are not UTF-8 become U+FFFD.
pub fn unquote(literal: &str) -> Result<String, InvalidLiteral> {
    let bytes = unquote_bytes(literal)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// As [`unquote`], with bytes that are not UTF-8 as they were written.
pub fn unquote_bytes(literal: &str) -> Result<Vec<u8>, InvalidLiteral> {
    let quote = literal.chars().next().ok_or(InvalidLiteral)?;
    let inner =
        literal.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).ok_or(InvalidLiteral)?;
    match quote {
        '`' if !inner.contains('`') => Ok(inner.replace('\r', "").into_bytes()),
        '"' | '\'' => unescape(inner, quote),
        _ => Err(InvalidLiteral),
    }
}

fn unescape(inner: &str, quote: char) -> Result<Vec<u8>, InvalidLiteral> {
    if inner.contains('\n') {
        return Err(InvalidLiteral);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    let mut buffer = [0; 4];
    while let Some(c) = chars.next() {
        if c == quote {
            return Err(InvalidLiteral);
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        match chars.next().ok_or(InvalidLiteral)? {
            'a' => out.push(0x07),
            'b' => out.push(0x08),
            'f' => out.push(0x0c),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(0x0b),
            '\\' => out.push(b'\\'),
            c if c == quote => out.push(c as u8),
            first @ '0'..='7' => {
                let high = first.to_digit(8).ok_or(InvalidLiteral)?;
                let value = high * 64 + digits(&mut chars, 2, 8)?;
                out.push(u8::try_from(value).map_err(|_| InvalidLiteral)?);
            }
            'x' => out.push(u8::try_from(digits(&mut chars, 2, 16)?).map_err(|_| InvalidLiteral)?),
            'u' => push_code_point(&mut out, digits(&mut chars, 4, 16)?)?,
            'U' => push_code_point(&mut out, digits(&mut chars, 8, 16)?)?,
            _ => return Err(InvalidLiteral),
        }
    }
    Ok(out)
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, base: u32) -> Result<u32, InvalidLiteral> {
    let mut value = 0u32;
    for _ in 0..count {
        let digit = chars.next().and_then(|c| c.to_digit(base)).ok_or(InvalidLiteral)?;
        value = value.checked_mul(base).and_then(|v| v.checked_add(digit)).ok_or(InvalidLiteral)?;
    }
    Ok(value)
}

fn push_code_point(out: &mut Vec<u8>, value: u32) -> Result<(), InvalidLiteral> {
    let c = char::from_u32(value).ok_or(InvalidLiteral)?;
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

/// An integer literal: decimal, or with the prefix `0x`, `0b`, `0o` or `0` (octal); underscores may
/// separate digits. `None` when the text is no such literal or does not fit 64 bits.
pub fn parse_integer(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (base, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    // An underscore may follow the prefix, so only a prefixed body may begin with one.
    let after_prefix = if base == 10 { body } else { body.strip_prefix('_').unwrap_or(body) };
    let misplaced =
        after_prefix.starts_with('_') || after_prefix.ends_with('_') || after_prefix.contains("__");
    if after_prefix.is_empty() || misplaced || after_prefix.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(&after_prefix.replace('_', ""), base).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// A character in single quotes with Go's escapes, as error messages show one.
pub fn quote_char(c: char) -> String {
    match c {
        '\'' => r"'\''".to_owned(),
        '\\' => r"'\\'".to_owned(),
        '\u{7}' => r"'\a'".to_owned(),
        '\u{8}' => r"'\b'".to_owned(),
        '\u{c}' => r"'\f'".to_owned(),
        '\n' => r"'\n'".to_owned(),
        '\r' => r"'\r'".to_owned(),
        '\t' => r"'\t'".to_owned(),
        '\u{b}' => r"'\v'".to_owned(),
        c if c == ' ' || !(c.is_control() || c.is_whitespace()) => format!("'{c}'"),
        c if (c as u32) < 0x80 => format!("'\\x{:02x}'", c as u32),
        c if (c as u32) < 0x1_0000 => format!("'\\u{:04x}'", c as u32),
        c => format!("'\\U{:08x}'", c as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        for (literal, value) in [
            (r#""a\nb\t\\\"c""#, "a\nb\t\\\"c"),
            (r"'it\'s'", "it's"),
            (r"`raw\n`", "raw\\n"),
            (r#""\x41\101\u00e4\U0001F600""#, "AAä😀"),
            (r#""\xc3\xa4""#, "ä"),
            (r#""\xff""#, "\u{fffd}"),
            ("''", ""),
        ] {
            assert_eq!(unquote(literal).as_deref(), Ok(value), "{literal}");
        }
        for bad in ["", "\"", "'a\"", r#""\'""#, r#""\400""#, r#""\ud800""#, r#""\x4""#, "\"a\nb\"", "`a`b`"]
        {
            assert_eq!(unquote(bad), Err(InvalidLiteral), "{bad}");
        }
    }

    #[test]
    fn integers_have_go_prefixes() {
        for (text, value) in [
            ("42", Some(42)),
            ("0x1F", Some(31)),
            ("0755", Some(493)),
            ("0b11", Some(3)),
            ("0o17", Some(15)),
            ("1_000", Some(1000)),
            ("0x_1", Some(1)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("08", None),
            ("1__0", None),
            ("1_", None),
            ("0x", None),
            ("0", Some(0)),
            ("1.5", None),
        ] {
            assert_eq!(parse_integer(text), value, "{text}");
        }
    }
}
