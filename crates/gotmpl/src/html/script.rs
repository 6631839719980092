//! Places in a script: whether a value stands in code, in a string, in a pattern or in a comment.

use crate::value::Value;

/// Where in a script the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    /// In a string between these quotes.
    Quoted(u8),
    /// In a string between backquotes.
    Template,
    /// In a pattern; in a class of characters a slash does not end it.
    Pattern {
        in_class: bool,
    },
    LineComment,
    BlockComment,
}

/// Follows the text of a script.
#[derive(Debug, Clone)]
pub(super) struct Script {
    place: Place,
    /// Whether the next byte is escaped by a backslash.
    is_escaped: bool,
    /// The last bytes of code that are no space: whether a slash divides or begins a pattern depends on them.
    before: Vec<u8>,
    previous: u8,
    /// For each `${` in a string that is open, the braces open in it.
    holes: Vec<u32>,
}

impl Default for Script {
    fn default() -> Self {
        Self { place: Place::Code, is_escaped: false, before: Vec::new(), previous: 0, holes: Vec::new() }
    }
}

/// Words after which a value begins, although they look like one.
const BEFORE_VALUE: [&[u8]; 12] = [
    b"return",
    b"typeof",
    b"case",
    b"in",
    b"of",
    b"do",
    b"else",
    b"delete",
    b"void",
    b"throw",
    b"new",
    b"instanceof",
];

impl Script {
    /// Takes the next byte of literal text.
    pub fn step(&mut self, byte: u8) {
        let previous = std::mem::replace(&mut self.previous, byte);
        if std::mem::take(&mut self.is_escaped) {
            return;
        }
        match self.place {
            Place::Code => self.code(byte, previous),
            Place::LineComment if matches!(byte, b'\n' | b'\r') => self.place = Place::Code,
            Place::BlockComment if byte == b'/' && previous == b'*' => {
                self.place = Place::Code;
                self.previous = 0;
            }
            Place::LineComment | Place::BlockComment => {}
            _ if byte == b'\\' => self.is_escaped = true,
            Place::Quoted(quote) if byte == quote || byte == b'\n' => self.value_ends(),
            Place::Template if byte == b'`' => self.value_ends(),
            Place::Template if byte == b'{' && previous == b'$' => {
                self.holes.push(0);
                self.place = Place::Code;
                self.before.clear();
            }
            Place::Pattern { in_class } => match byte {
                b'/' if !in_class => self.value_ends(),
                b'\n' => self.value_ends(),
                b'[' => self.place = Place::Pattern { in_class: true },
                b']' => self.place = Place::Pattern { in_class: false },
                _ => {}
            },
            Place::Quoted(_) | Place::Template => {}
        }
    }

    fn value_ends(&mut self) {
        self.place = Place::Code;
        self.before = b")".to_vec();
    }

    fn code(&mut self, byte: u8, previous: u8) {
        match byte {
            b'"' | b'\'' => self.place = Place::Quoted(byte),
            b'`' => self.place = Place::Template,
            b'/' if previous == b'/' && self.before.ends_with(b"/") => self.place = Place::LineComment,
            // Two slashes begin a comment, and so does this: it cannot be told before the second byte.
            b'*' if previous == b'/' && self.before.ends_with(b"/") => {
                self.place = Place::BlockComment;
                self.previous = 0;
            }
            b'{' => {
                if let Some(open) = self.holes.last_mut() {
                    *open += 1;
                }
                self.push(byte);
            }
            b'}' => match self.holes.last_mut() {
                Some(0) => {
                    self.holes.pop();
                    self.place = Place::Template;
                }
                Some(open) => {
                    *open -= 1;
                    self.push(byte);
                }
                None => self.push(byte),
            },
            byte if byte.is_ascii_whitespace() => {
                // A word ends here.
                if !self.before.ends_with(b" ") && !self.before.is_empty() {
                    self.push(b' ');
                }
            }
            byte => self.push(byte),
        }
    }

    fn push(&mut self, byte: u8) {
        self.before.push(byte);
        if self.before.len() > 64 {
            self.before.drain(..32);
        }
    }

    /// Takes a slash in code, knowing the byte behind it.
    pub fn slash(&mut self, next: Option<u8>) {
        if self.place == Place::Code
            && !self.is_escaped
            && !matches!(next, Some(b'/' | b'*'))
            && self.begins_value()
            && !self.before.ends_with(b"/")
        {
            self.place = Place::Pattern { in_class: false };
            self.previous = b'/';
            return;
        }
        self.step(b'/');
    }

    /// Whether a value, and not an operator, comes next.
    fn begins_value(&self) -> bool {
        let before = self.before.trim_ascii_end();
        let Some(last) = before.last() else { return true };
        match last {
            b')' | b']' => false,
            b'+' | b'-' => !before.ends_with(&[*last, *last]),
            last if last.is_ascii_alphanumeric() || matches!(last, b'_' | b'$') || !last.is_ascii() => {
                let start = before
                    .iter()
                    .rposition(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || !b.is_ascii()))
                    .map_or(0, |at| at + 1);
                BEFORE_VALUE.contains(&&before[start..])
            }
            _ => true,
        }
    }

    /// What is written for a value, which is `text` when printed.
    pub fn value(&mut self, text: &[u8], value: &Value) -> Vec<u8> {
        match self.place {
            Place::Code => {
                self.before = b")".to_vec();
                match value {
                    Value::Int(..) | Value::Uint(..) | Value::Float(_) | Value::Bool(_) => {
                        [b" ", text, b" "].concat()
                    }
                    Value::Nil | Value::Missing => b" null ".to_vec(),
                    _ => [b"\"", &in_json(text)[..], b"\""].concat(),
                }
            }
            Place::Quoted(_) => in_string(text, b""),
            Place::Template => in_string(text, b"${}"),
            Place::Pattern { .. } if text.is_empty() => b"(?:)".to_vec(),
            Place::Pattern { .. } => in_pattern(text),
            // A comment says nothing to anybody.
            Place::LineComment | Place::BlockComment => Vec::new(),
        }
    }

    /// Whether another text may go on where this one ends.
    pub fn is_like(&self, other: &Self) -> bool {
        self.place == other.place && self.holes == other.holes
    }
}

fn unicode(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
}

/// A text between double quotes in code.
fn in_json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => unicode(&mut out, c),
            c if c < ' ' => unicode(&mut out, c),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// A text in a string of any quotes; `more` are further characters that mean something there.
fn in_string(text: &[u8], more: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '\\' | '/' => out.extend_from_slice(&[b'\\', c as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{b}' | '"' | '`' | '&' | '\'' | '+' | '<' | '>' | '\u{2028}' | '\u{2029}' => {
                unicode(&mut out, c)
            }
            '\u{c}' => out.extend_from_slice(b"\\f"),
            c if c < ' ' || c.is_ascii() && more.contains(&(c as u8)) => unicode(&mut out, c),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// A text in a pattern, which it stands for literally.
fn in_pattern(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '$' | '(' | ')' | '*' | '-' | '.' | '/' | '?' | '[' | '\\' | ']' | '^' | '{' | '|' | '}' => {
                out.extend_from_slice(&[b'\\', c as u8]);
            }
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '"' | '&' | '\'' | '+' | '<' | '>' | '`' | '\u{2028}' | '\u{2029}' => unicode(&mut out, c),
            c if c < ' ' => unicode(&mut out, c),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}
