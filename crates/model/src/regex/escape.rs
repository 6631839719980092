//! Backslash escapes that stand for one character.

use super::RegexError;

/// What an escape stands for.
pub(super) enum Escaped {
    Char(char),
    /// A surrogate code point, which Go allows to be named though no text contains one.
    Surrogate,
}

/// Reads the escape `text` begins with and returns what follows it.
pub(super) fn parse_escape(text: &str) -> Result<(Escaped, &str), RegexError> {
    let mut chars = text.chars();
    chars.next();
    let Some(letter) = chars.next() else {
        return Err(RegexError::syntax("trailing backslash at end of expression", ""));
    };
    let rest = chars.as_str();
    let simple = match letter {
        '0'..='7' => return octal(text, letter, rest),
        'x' => return hex(text, rest),
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        // Punctuation may be escaped whether it needs it or not.
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(invalid(text, rest)),
    };
    Ok((Escaped::Char(simple), rest))
}

fn invalid(text: &str, rest: &str) -> RegexError {
    RegexError::syntax("invalid escape sequence", &text[..text.len() - rest.len()])
}

/// Up to three octal digits. A single one but 0 would be a backreference, which there are none of.
fn octal<'t>(text: &'t str, first: char, rest: &'t str) -> Result<(Escaped, &'t str), RegexError> {
    let more = rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
    if first != '0' && more == 0 {
        return Err(invalid(text, rest));
    }
    let value = u32::from_str_radix(&text[1..2 + more], 8).unwrap_or(0);
    Ok((Escaped::Char(char::from_u32(value).unwrap_or('\0')), &rest[more..]))
}

/// Two hex digits, or any number of them in braces.
fn hex<'t>(text: &'t str, rest: &'t str) -> Result<(Escaped, &'t str), RegexError> {
    let Some(inside) = rest.strip_prefix('{') else {
        let digits = rest.get(..2).filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(value) = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) else {
            let pair: usize = rest.chars().take(2).map(char::len_utf8).sum();
            return Err(invalid(text, &rest[pair..]));
        };
        return Ok((Escaped::Char(char::from(value)), &rest[2..]));
    };
    let (mut value, mut digits) = (0_u32, 0);
    for (at, c) in inside.char_indices() {
        let after = &inside[at + c.len_utf8()..];
        match c.to_digit(16) {
            Some(digit) => value = value * 16 + digit,
            None if c == '}' && digits > 0 => {
                let escaped = char::from_u32(value).map_or(Escaped::Surrogate, Escaped::Char);
                return Ok((escaped, after));
            }
            None => return Err(invalid(text, after)),
        }
        digits += 1;
        if value > u32::from(char::MAX) {
            return Err(invalid(text, after));
        }
    }
    Err(invalid(text, ""))
}
