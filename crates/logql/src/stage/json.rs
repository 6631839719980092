//! `| json` and `| unpack`.
//!
//! Objects are walked where they stand; what is wrong is told at the place where it stops the walk, and labels found
//! before stay. In reading order: this file, and [`quotes`] (where strings end).

mod quotes;

use std::borrow::Cow;

use quotes::Quotes;

use super::hints::Hints;
use crate::labels::{RowLabels, is_name, sanitize_into};

/// What a line is marked with that is no JSON object.
pub(crate) const JSON_ERROR: &str = "JSONParserErr";
/// How deep objects may nest.
const MAX_DEPTH: usize = 64;
/// The key of a packed line.
const ENTRY: &str = "_entry";

const NO_OBJECT_END: &str = "Value looks like object, but can't find closing '}' symbol";
const NO_ARRAY_END: &str = "Value is array, but can't find closing ']' symbol";
const NO_STRING_END: &str = "Value is string, but can't find closing '\"' symbol";
const NO_VALUE_END: &str = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol";
const MALFORMED: &str = "Malformed JSON error";
const UNKNOWN_VALUE: &str = "Unknown value type";
const BAD_ESCAPE: &str = "Encountered an invalid escape sequence in a string";

/// A value in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Without quotes, escapes as they are.
    String(&'a str),
    /// With brackets.
    Array(&'a str),
    /// With brackets.
    Object(&'a str),
    /// A number or a truth value.
    Plain(&'a str),
    Null,
}

/// Why a walk ended early.
enum Stop {
    /// The text is wrong.
    Problem(&'static str),
    /// Nothing more is wanted.
    Enough,
}

type Walk = Result<(), Stop>;

/// Takes all fields of an object as labels; those of objects in it joined with `_`.
#[derive(Debug)]
pub(crate) struct Json;

struct Extraction<'r> {
    labels: &'r mut RowLabels,
    hints: &'r Hints,
    name: String,
    found: usize,
}

impl Json {
    pub fn run(&self, line: &str, labels: &mut RowLabels, hints: &Hints) {
        if hints.wants_nothing() {
            return;
        }
        let mut extraction = Extraction { labels, hints, name: String::new(), found: 0 };
        if let Err(Stop::Problem(problem)) = extraction.object(line, MAX_DEPTH) {
            fail(labels, Some(problem.to_owned()), hints);
        }
    }
}

impl Extraction<'_> {
    fn object(&mut self, text: &str, depth: usize) -> Walk {
        each_field(text, |key, value| {
            let prefix = self.name.len();
            if prefix == 0 && depth > 0 && !self.hints.may_want_key(key) {
                return Ok(());
            }
            // Most keys are names as they stand.
            if prefix == 0 && !matches!(value, Value::Object(_)) && is_name(key) {
                return self.label(key, value);
            }
            if prefix > 0 {
                self.name.push('_');
            }
            sanitize_into(&mut self.name, key, prefix == 0);
            let walk = self.field(value, depth);
            self.name.truncate(prefix);
            walk
        })
    }

    /// Takes a field whose name has been put together.
    fn field(&mut self, value: Value<'_>, depth: usize) -> Walk {
        let Value::Object(inner) = value else {
            let name = std::mem::take(&mut self.name);
            let walk = self.label(&name, value);
            self.name = name;
            return walk;
        };
        if depth == 0 {
            return Err(Stop::Problem("nested too deep"));
        }
        if self.hints.wants_prefix(&self.name) { self.object(inner, depth - 1) } else { Ok(()) }
    }

    /// Takes a value that is no object.
    fn label(&mut self, name: &str, value: Value<'_>) -> Walk {
        if name.is_empty() || !self.hints.wants(name) {
            return Ok(());
        }
        let text = match value {
            Value::Object(_) | Value::Array(_) | Value::Null => return Ok(()),
            Value::String(raw) => unescaped(raw),
            Value::Plain(text) => Cow::Borrowed(text),
        };
        let name = self.labels.free_name(name);
        if self.labels.parsed_has(&name) {
            return Ok(());
        }
        self.labels.set(&name, &text);
        self.found += 1;
        if self.hints.is_satisfied(self.found) { Err(Stop::Enough) } else { Ok(()) }
    }
}

/// Takes the string fields of a packed line as labels, and its entry as the line.
#[derive(Debug)]
pub(crate) struct Unpack;

impl Unpack {
    /// The line that was packed, if the line is a packed one.
    pub fn run(&self, line: &str, labels: &mut RowLabels, hints: &Hints) -> Option<String> {
        let trimmed = line.trim_start();
        if line.is_empty() {
            return None;
        }
        if !trimmed.starts_with('{') {
            fail(labels, Some("expecting json object(6), but it is not".to_owned()), hints);
            return None;
        }
        let (mut entry, mut fields) = (None, Vec::new());
        let walk = each_field(line, |key, value| {
            if let Value::String(raw) = value {
                let text = unescaped(raw).into_owned();
                if key == ENTRY {
                    entry = Some(text);
                } else {
                    let mut name = String::new();
                    sanitize_into(&mut name, key, true);
                    fields.push((name, text));
                }
            }
            Ok(())
        });
        if let Err(Stop::Problem(problem)) = walk {
            fail(labels, Some(problem.to_owned()), hints);
            return None;
        }
        // Without an entry it was not packed, and the fields are not labels.
        let entry = entry?;
        for (name, text) in fields {
            let name = labels.free_name(&name);
            if hints.wants(&name) && !labels.parsed_has(&name) {
                labels.set(&name, &text);
            }
        }
        Some(entry)
    }
}

pub(crate) fn fail(labels: &mut RowLabels, details: Option<String>, hints: &Hints) {
    labels.set_error(JSON_ERROR, details);
    if hints.preserves_errors {
        labels.preserve_error();
    }
}

fn problem<T>(text: &'static str) -> Result<T, Stop> {
    Err(Stop::Problem(text))
}

/// Calls `visit` with the key and value of each field of the object `text` begins with.
fn each_field<'a>(text: &'a str, mut visit: impl FnMut(&str, Value<'a>) -> Walk) -> Walk {
    let bytes = text.as_bytes();
    let Some(mut at) = token(bytes, 0).filter(|&at| bytes[at] == b'{') else { return problem(NO_OBJECT_END) };
    at += 1;
    match token(bytes, at) {
        None => return problem(MALFORMED),
        Some(next) if bytes[next] == b'}' => return Ok(()),
        Some(next) => at = next,
    }
    let mut quotes = Quotes::new(bytes);
    loop {
        match bytes[at] {
            b'"' => {}
            b'}' => return Ok(()),
            _ => return problem(NO_OBJECT_END),
        }
        let Some(end) = quotes.next(at + 1) else { return problem(NO_STRING_END) };
        let raw = &text[at + 1..end];
        let unescaped;
        let key = if quotes.has_escapes() && raw.contains('\\') {
            let Some(key) = unescape(raw) else { return problem(BAD_ESCAPE) };
            unescaped = key;
            &*unescaped
        } else {
            raw
        };
        let Some(colon) = token(bytes, end + 1).filter(|&at| bytes[at] == b':') else {
            return problem(MALFORMED);
        };
        let Some(begin) = token(bytes, colon + 1) else { return problem(MALFORMED) };
        // Most values are one of the first two: they are told here, where nothing is handed over in memory.
        let (value, end) = match bytes[begin] {
            b'"' => {
                let Some(end) = quotes.next(begin + 1) else { return problem(NO_STRING_END) };
                (Value::String(&text[begin + 1..end]), end + 1)
            }
            b'0'..=b'9' | b'-' => {
                let end = word_end(bytes, begin);
                (Value::Plain(&text[begin..end]), end)
            }
            _ => value_at(text, begin).map_err(Stop::Problem)?,
        };
        visit(key, value)?;
        let Some(next) = token(bytes, end) else { return problem(NO_ARRAY_END) };
        match bytes[next] {
            b'}' => return Ok(()),
            b',' => {}
            _ => return problem(NO_OBJECT_END),
        }
        match token(bytes, next + 1) {
            Some(next) => at = next,
            None => return problem(NO_OBJECT_END),
        }
    }
}

/// The value at a place, and where it ends.
#[inline]
pub(crate) fn value_at(text: &str, at: usize) -> Result<(Value<'_>, usize), &'static str> {
    let bytes = text.as_bytes();
    let Some(at) = token(bytes, at) else { return Err(MALFORMED) };
    match bytes[at] {
        b'"' => {
            let end = string_end(bytes, at + 1).ok_or(NO_STRING_END)?;
            Ok((Value::String(&text[at + 1..end]), end + 1))
        }
        b'{' => {
            let end = block_end(bytes, at, b'{', b'}').ok_or(NO_OBJECT_END)?;
            Ok((Value::Object(&text[at..end]), end))
        }
        b'[' => {
            let end = block_end(bytes, at, b'[', b']').ok_or(NO_ARRAY_END)?;
            Ok((Value::Array(&text[at..end]), end))
        }
        _ => {
            let end = word_end(bytes, at);
            let word = text.get(at..end).ok_or(UNKNOWN_VALUE)?;
            match word.as_bytes().first() {
                None => Err(NO_VALUE_END),
                Some(b't') if word == "true" => Ok((Value::Plain(word), end)),
                Some(b'f') if word == "false" => Ok((Value::Plain(word), end)),
                Some(b'n') if word == "null" => Ok((Value::Null, end)),
                Some(b'0'..=b'9' | b'-') => Ok((Value::Plain(word), end)),
                Some(_) => Err(UNKNOWN_VALUE),
            }
        }
    }
}

/// Where a number or a truth value ends.
#[inline]
fn word_end(bytes: &[u8], begin: usize) -> usize {
    let is_end = |b: &u8| ENDS_WORD[usize::from(*b)];
    bytes[begin..].iter().position(is_end).map_or(bytes.len(), |len| begin + len)
}

/// The bytes a number or a truth value ends before.
const ENDS_WORD: [bool; 256] = {
    let (mut ends, mut i, bytes) = ([false; 256], 0, b" \n\r\t,}]");
    while i < bytes.len() {
        ends[bytes[i] as usize] = true;
        i += 1;
    }
    ends
};

/// The first byte from a place on that is no blank.
#[inline]
pub(crate) fn token(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    // Programs mostly write no blanks.
    if rest.first().is_some_and(|&first| first > b' ') {
        return Some(from);
    }
    rest.iter().position(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t')).map(|at| from + at)
}

/// The quote that ends a string that begins before a place.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Behind the bracket that closes the one at a place.
fn block_end(bytes: &[u8], mut at: usize, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        at += memchr::memchr3(b'"', open, close, bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => at = string_end(bytes, at + 1)?,
            b if b == open => depth += 1,
            _ => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
        }
        at += 1;
    }
}

/// A string's value; what cannot be read is empty.
pub(crate) fn unescaped(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        if !raw.contains('\u{fffd}') {
            return Cow::Borrowed(raw);
        }
        return Cow::Owned(raw.replace('\u{fffd}', " "));
    }
    Cow::Owned(unescape(raw).unwrap_or_default().replace('\u{fffd}', " "))
}

/// Resolves the escapes of JSON strings.
pub(crate) fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        let mut len = 2;
        match escape {
            b'"' | b'\\' | b'/' | b'\'' => out.push(escape as char),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let high = u32::from_str_radix(rest.get(at + 2..at + 6)?, 16).ok()?;
                len = 6;
                let low = rest.get(at + 6..at + 12).and_then(|low| low.strip_prefix("\\u"));
                let low = low.and_then(|low| u32::from_str_radix(low, 16).ok());
                let code = match (high, low) {
                    (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
                        len = 12;
                        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    }
                    _ => high,
                };
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            _ => return None,
        }
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    Some(out)
}

/// Calls `visit` for the fields of an object; false when the text is none.
pub(crate) fn fields_of(text: &str, mut visit: impl FnMut(&str, Value<'_>)) -> bool {
    each_field(text, |key, value| {
        visit(key, value);
        Ok(())
    })
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use std::sync::Arc;

    fn parsed(line: &str) -> String {
        let mut labels = RowLabels::new(Arc::new(Labels::from_pairs([("app", "x")])));
        Json.run(line, &mut labels, &Hints::default());
        labels.collect(|name, _| name != "app").to_string()
    }

    #[test]
    fn objects_are_flattened() {
        assert_eq!(
            parsed(r#"{"a":{"b-c":"\u00e9\"","d":[1,{"x":2}]},"n":null,"t":true,"app":1.50 , "9":"q"}"#),
            r#"{_9="q", a_b_c="é\"", app_extracted="1.50", t="true"}"#
        );
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for before in 0..40 {
            for after in [0, 1, 7, 8, 30] {
                let plain = "é#!\u{a2}]".chars().cycle().take(before).collect::<String>();
                let text = format!("{plain}\"{}", "\"\\x".repeat(after));
                assert_eq!(string_end(text.as_bytes(), 0), Some(plain.len()), "{text}");
                let escaped = format!("{plain}\\\"{plain}\"{}", "\\".repeat(after));
                assert_eq!(string_end(escaped.as_bytes(), 0), Some(plain.len() * 2 + 2), "{escaped}");
                assert_eq!(string_end(plain.as_bytes(), 0), None);
                assert_eq!(string_end(format!("{plain}\\").as_bytes(), 0), None);
            }
        }
    }

    #[test]
    fn keys_that_become_wanted_names_are_taken_however_they_are_written() {
        let query = r#"{app="x"} | json | a_b="1" | _9="2" | _x="3""#;
        let stages = crate::parse_log(query).unwrap().stages;
        let grouping = crate::ast::Grouping { without: false, names: vec!["z".to_owned()] };
        let hints = Hints::grouped(&stages, None, Some(&grouping));
        for line in [
            r#"{"x":0,"a":{"c":0,"b":1},"b":4,"9":2,"\u00e9x":3,"zz":1,"q":{"a_b":7}}"#,
            r#"{" a.b ":1,"_9":2,"-x":3}"#,
        ] {
            let mut labels = RowLabels::new(Arc::new(Labels::from_pairs([("app", "x")])));
            Json.run(line, &mut labels, &hints);
            let taken = labels.collect(|name, _| name != "app").to_string();
            assert_eq!(taken, r#"{_9="2", _x="3", a_b="1"}"#, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_what_was_found_stays() {
        let error = |details: &str| {
            format!("__error__=\"JSONParserErr\", __error_details__={}", model::labels::Quoted(details))
        };
        assert_eq!(parsed("plain"), format!("{{{}}}", error(NO_OBJECT_END)));
        assert_eq!(parsed(r#"{"a":"b""#), format!("{{{}, a=\"b\"}}", error(NO_ARRAY_END)));
        assert_eq!(parsed(r#"{"a":"b"#), format!("{{{}}}", error(NO_STRING_END)));
        for line in [
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":[",
            "{\"a\":{",
            "{\"a\":tru}",
            "{,",
            "{\"\\x\":1}",
            "{\"a\":\"\\",
        ] {
            assert!(parsed(line).contains("JSONParserErr"), "{line}");
        }
    }
}
