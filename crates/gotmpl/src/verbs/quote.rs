//! Quoted texts and characters, as Go writes them.

use crate::escape::is_printable;

/// A text in double quotes; with `ascii`, everything else is escaped.
pub(super) fn double(text: &[u8], ascii: bool) -> Vec<u8> {
    let mut out = String::from("\"");
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut out, c, '"', ascii));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out.into_bytes()
}

/// A character in single quotes.
pub(super) fn single(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    push(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

/// Whether the text can stand in backquotes as it is.
pub(super) fn fits_backquotes(text: &[u8]) -> bool {
    let fits = |c: char| c == '\t' || !(c.is_control() || c == '`' || c == '\u{feff}');
    std::str::from_utf8(text).is_ok_and(|text| text.chars().all(fits))
}

fn push(out: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if c.is_ascii() && !c.is_control() => out.push(c),
        c if !ascii && !c.is_ascii() && is_printable(c) => out.push(c),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", c as u32)),
        c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}
