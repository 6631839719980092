//! Tree to text, laid out as operators know it from the reference: two blanks of indentation, list
//! items at the indentation of their key, strings quoted only where they need it.

use std::fmt::Write as _;

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// `null`
    Null,
    /// A number, boolean or duration: written as it is.
    Bare(String),
    /// A string: quoted when it would be read as something else.
    Text(String),
    /// A list, one item a line.
    List(Vec<Out>),
    /// A list of scalars on one line.
    Flow(Vec<Out>),
    /// A mapping in this order.
    Map(Vec<(String, Out)>),
}

/// The text of a document.
pub fn to_string(root: &Out) -> String {
    let mut text = String::new();
    match root {
        Out::Map(entries) if !entries.is_empty() => write_map(&mut text, entries, 0),
        Out::List(items) if !items.is_empty() => write_list(&mut text, items, 0),
        other => write_inline(&mut text, other, 0),
    }
    text
}

fn write_map(text: &mut String, entries: &[(String, Out)], indent: usize) {
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 {
            pad(text, indent);
        }
        write_string(text, key, indent);
        text.push(':');
        match value {
            Out::Map(inner) if !inner.is_empty() => {
                text.push('\n');
                pad(text, indent + 2);
                write_map(text, inner, indent + 2);
            }
            Out::List(items) if !items.is_empty() => {
                text.push('\n');
                pad(text, indent);
                write_list(text, items, indent);
            }
            other => {
                text.push(' ');
                write_inline(text, other, indent + 2);
            }
        }
    }
}

fn write_list(text: &mut String, items: &[Out], indent: usize) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            pad(text, indent);
        }
        text.push_str("- ");
        match item {
            Out::Map(inner) if !inner.is_empty() => write_map(text, inner, indent + 2),
            Out::List(inner) if !inner.is_empty() => write_list(text, inner, indent + 2),
            other => write_inline(text, other, indent + 2),
        }
    }
}

/// Writes what fits behind a key, with its line break.
fn write_inline(text: &mut String, value: &Out, indent: usize) {
    match value {
        Out::Null => text.push_str("null"),
        Out::Bare(bare) => text.push_str(bare),
        Out::Text(string) if string.contains('\n') && literal_fits(string) => {
            return write_literal(text, string, indent);
        }
        Out::Text(string) => write_string(text, string, indent),
        Out::Map(_) => text.push_str("{}"),
        Out::List(_) => text.push_str("[]"),
        Out::Flow(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i == 0 { "" } else { ", " });
                match item {
                    Out::Text(string) => write_flow_string(text, string),
                    Out::Bare(bare) => text.push_str(bare),
                    _ => text.push_str("null"),
                }
            }
            text.push(']');
        }
    }
    text.push('\n');
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a text of many lines survives as a literal block.
fn literal_fits(string: &str) -> bool {
    !string.starts_with([' ', '\n']) && string.chars().all(|c| c == '\n' || is_printable(c))
}

fn write_literal(text: &mut String, string: &str, indent: usize) {
    let trailing = string.len() - string.trim_end_matches('\n').len();
    text.push_str(match trailing {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    let body = string.strip_suffix('\n').unwrap_or(string);
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(text, indent);
            text.push_str(line);
        }
        text.push('\n');
    }
}

fn write_string(text: &mut String, string: &str, _indent: usize) {
    let reads_as_other = plain_tag(string) != "!!str" || string == "<<";
    if reads_as_other || !string.chars().all(is_printable) {
        write_double_quoted(text, string);
    } else if plain_fits(string) {
        text.push_str(string);
    } else {
        write_single_quoted(text, string);
    }
}

fn write_flow_string(text: &mut String, string: &str) {
    if plain_fits(string) && string.contains([',', '?', '[', ']', '{', '}']) {
        write_single_quoted(text, string);
    } else {
        write_string(text, string, 0);
    }
}

fn write_single_quoted(text: &mut String, string: &str) {
    text.push('\'');
    text.push_str(&string.replace('\'', "''"));
    text.push('\'');
}

fn write_double_quoted(text: &mut String, string: &str) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\0' => text.push_str("\\0"),
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{b}' => text.push_str("\\v"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '\u{1b}' => text.push_str("\\e"),
            c if is_printable(c) => text.push(c),
            c => {
                let code = c as u32;
                let escaped = match code {
                    0..=0xff => write!(text, "\\x{code:02X}"),
                    0x100..=0xffff => write!(text, "\\u{code:04X}"),
                    _ => write!(text, "\\U{code:08X}"),
                };
                escaped.expect("writing to a String cannot fail");
            }
        }
    }
    text.push('"');
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Whether a string may stand without quotes in block context.
fn plain_fits(string: &str) -> bool {
    let mut chars = string.chars();
    let (Some(first), second) = (chars.next(), chars.next()) else { return false };
    if string.starts_with("---") || string.starts_with("...") {
        return false;
    }
    let bad_first = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
            true
        }
        '?' | ':' | '-' => second.is_none_or(|c| c == ' '),
        ' ' => true,
        _ => false,
    };
    !bad_first
        && !string.ends_with([' ', ':'])
        && !string.contains(": ")
        && !string.contains(" #")
        && !string.contains('\n')
}

/// The tag a reader gives a plain scalar: YAML 1.1's idea of numbers and booleans, which is what the
/// files of this world are written for.
pub(super) fn plain_tag(text: &str) -> &'static str {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return "!!null",
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO" | "off"
        | "Off" | "OFF" | "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return "!!bool",
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return "!!float",
        _ => {}
    }
    if parse_int(text).is_some() {
        return "!!int";
    }
    let starts = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let numeric =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E' | b'_'));
    if starts
        && numeric
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.replace('_', "").parse::<f64>().is_ok()
    {
        return "!!float";
    }
    match text {
        text if is_timestamp(text) => "!!timestamp",
        // Readers of YAML 1.1 may take it for a number to the base of 60.
        text if is_sexagesimal(text) => "!!float",
        _ => "!!str",
    }
}

/// `12:30`, `1:02:03.5`: digits, then groups below 60.
fn is_sexagesimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut parts = text.strip_prefix(['-', '+']).unwrap_or(text).split(':');
    let leads =
        parts.next().is_some_and(|first| digits(first) && first.starts_with(|c: char| c.is_ascii_digit()));
    let mut groups = 0;
    let all = parts.all(|part| {
        groups += 1;
        let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
        whole.len() <= 2
            && whole.parse::<u8>().is_ok_and(|n| n < 60)
            && (fraction.is_empty() || digits(fraction))
    });
    leads && all && groups > 0
}

/// Integers as YAML 1.1 writes them: decimal, `0x`, `0b`, `0o` and the old leading zero, with `_`.
pub(crate) fn parse_int(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i128::from_str_radix(octal, 8)
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| (b'0'..b'8').contains(&b))
    {
        i128::from_str_radix(&digits[1..], 8)
    } else if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse()
    } else {
        return None;
    };
    value.ok().map(|v| if negative { -v } else { v })
}

/// `2001-01-01`, alone or followed by a time: a date to YAML 1.1, so it must be quoted to stay text.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let date = digits(0..4)
        && bytes.get(4) == Some(&b'-')
        && digits(5..7)
        && bytes.get(7) == Some(&b'-')
        && digits(8..10);
    date && (bytes.len() == 10
        || matches!(bytes[10], b'T' | b't' | b' ') && digits(11..13) && bytes.get(13) == Some(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Limits, Node, parse};

    fn text(string: &str) -> Out {
        Out::Text(string.to_owned())
    }

    #[test]
    fn layout_is_the_familiar_one() {
        let map = |entries: Vec<(&str, Out)>| {
            Out::Map(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        };
        let root = map(vec![
            ("global", map(vec![("scrape_interval", Out::Bare("15s".to_owned()))])),
            (
                "jobs",
                Out::List(vec![
                    map(vec![("name", text("a")), ("targets", Out::List(vec![text("x:1")]))]),
                    map(vec![("labels", Out::Flow(vec![text("__name__"), text("a,b")]))]),
                ]),
            ),
        ]);
        let expected = "global:\n  scrape_interval: 15s\njobs:\n- name: a\n  targets:\n  - x:1\n- labels: [__name__, 'a,b']\n";
        assert_eq!(to_string(&root), expected);
    }

    #[test]
    fn strings_are_quoted_only_where_needed() {
        let cases = [
            ("plain", "plain"),
            ("123", "\"123\""),
            ("yes", "\"yes\""),
            ("", "\"\""),
            ("(.*)", "(.*)"),
            ("*", "'*'"),
            ("a: b", "'a: b'"),
            ("it's", "it's"),
            ("@x", "'@x'"),
            ("tab\there", "\"tab\\there\""),
            ("2024-01-01", "\"2024-01-01\""),
            ("12:30", "\"12:30\""),
            ("localhost:9090", "localhost:9090"),
            ("12:99", "12:99"),
            ("<secret>", "<secret>"),
        ];
        for (string, expected) in cases {
            assert_eq!(to_string(&text(string)).trim_end(), expected, "{string:?}");
        }
    }

    #[test]
    fn every_string_reads_back() {
        for string in [
            "", " lead", "a\nb", "a\nb\n", "a\nb\n\n", "\n", "- x", "? y", "a #b", "#b", "k:", "é", "\u{7f}",
            "'", "\"", "---", "a\\b", "0x10", "1e3", ".5", "~",
        ] {
            let root = Out::Map(vec![("k".to_owned(), text(string))]);
            let written = to_string(&root);
            let read = parse(&written, Limits::default()).unwrap();
            assert_eq!(read.get("k").and_then(Node::text), Some(string), "{written:?}");
        }
    }
}
