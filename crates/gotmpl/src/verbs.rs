//! `printf` and its kin, as Go's `fmt` writes values.

use crate::escape::is_printable;
use crate::value::{Object, Value};

mod float;
mod quote;

/// What an action writes that has no value.
const NO_VALUE: &str = "<no value>";

/// The widest field and the most digits a format may ask for.
const MAX_WIDTH: usize = 1_000_000;

/// Writes a value as an action does.
pub(crate) fn print_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Missing | Value::Nil => out.extend_from_slice(NO_VALUE.as_bytes()),
        Value::String(text) => out.extend_from_slice(text),
        other => Verb::default().value(out, other, 'v', 0),
    }
}

/// The values as `print` writes them: with spaces between neighbours that are no texts.
pub fn print(values: &[Value]) -> Vec<u8> {
    let is_text = |value: &Value| matches!(value, Value::String(_));
    let mut out = Vec::new();
    for (i, value) in values.iter().enumerate() {
        if i > 0 && !is_text(value) && !is_text(&values[i - 1]) {
            out.push(b' ');
        }
        Verb::default().value(&mut out, value, 'v', 0);
    }
    out
}

/// The values as [`print`], with what is not there as the text an action shows for it.
pub(crate) fn print_shown(values: &[Value]) -> Vec<u8> {
    let shown = |value: &Value| if value.is_nil() { Value::from(NO_VALUE) } else { value.clone() };
    print(&values.iter().map(shown).collect::<Vec<_>>())
}

/// The values as `println` writes them: with a space between all, and a line feed.
pub(crate) fn println(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        Verb::default().value(&mut out, value, 'v', 0);
    }
    out.push(b'\n');
    out
}

/// Flags, width and precision of one verb.
#[derive(Debug, Clone, Copy, Default)]
struct Verb {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%#v`
    sharp_v: bool,
    /// `%+v`
    plus_v: bool,
}

/// The arguments of a format, and where it is in them.
struct Cursor<'a> {
    values: &'a [Value],
    at: usize,
    /// An index was given that makes no sense.
    bad_index: bool,
    /// The order was left by an index: surplus arguments are not reported.
    reordered: bool,
}

/// The values as `format` says.
pub fn sprintf(format: &[u8], values: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(format.len());
    let mut cursor = Cursor { values, at: 0, bad_index: false, reordered: false };
    let mut rest = format;
    while let Some(percent) = rest.iter().position(|&b| b == b'%') {
        out.extend_from_slice(&rest[..percent]);
        rest = &rest[percent + 1..];
        one(&mut out, &mut rest, &mut cursor);
    }
    out.extend_from_slice(rest);
    if !cursor.reordered && cursor.at < values.len() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (i, value) in values[cursor.at..].iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            match value.is_nil() {
                true => out.extend_from_slice(b"<nil>"),
                false => {
                    out.extend_from_slice(value.type_name().as_bytes());
                    out.push(b'=');
                    Verb::default().value(&mut out, value, 'v', 0);
                }
            }
        }
        out.push(b')');
    }
    out
}

/// Writes what one `%` asks for; `rest` begins behind it.
fn one(out: &mut Vec<u8>, rest: &mut &[u8], cursor: &mut Cursor<'_>) {
    let mut verb = Verb::default();
    while let Some(flag) = rest.first() {
        match flag {
            b'#' => verb.sharp = true,
            b'0' => verb.zero = true,
            b'+' => verb.plus = true,
            b'-' => verb.minus = true,
            b' ' => verb.space = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    cursor.bad_index = false;
    let mut indexed = cursor.index(rest);
    if take(rest, b'*') {
        match cursor.size() {
            Some(size) => {
                verb.minus |= size < 0;
                verb.width = Some(size.unsigned_abs());
            }
            None => out.extend_from_slice(b"%!(BADWIDTH)"),
        }
        indexed = false;
    } else {
        verb.width = number(rest);
        // An index must stand directly before what it is for.
        cursor.bad_index |= indexed && verb.width.is_some();
    }
    if take(rest, b'.') {
        cursor.bad_index |= indexed;
        indexed = cursor.index(rest);
        if take(rest, b'*') {
            match cursor.size() {
                Some(size) => verb.precision = usize::try_from(size).ok(),
                None => out.extend_from_slice(b"%!(BADPREC)"),
            }
            indexed = false;
        } else {
            verb.precision = Some(number(rest).unwrap_or(0));
        }
    }
    if !indexed {
        cursor.index(rest);
    }
    let Some(c) = take_char(rest) else {
        out.extend_from_slice(b"%!(NOVERB)");
        return;
    };
    let bad = |out: &mut Vec<u8>, what: &str| out.extend_from_slice(format!("%!{c}({what})").as_bytes());
    if c == '%' {
        out.push(b'%');
    } else if cursor.bad_index {
        bad(out, "BADINDEX");
    } else if let Some(value) = cursor.values.get(cursor.at) {
        cursor.at += 1;
        if c == 'v' {
            // A plus asks for names of fields, not for signs.
            (verb.sharp_v, verb.plus_v) = (verb.sharp, verb.plus);
            (verb.sharp, verb.plus) = (false, false);
        }
        verb.value(out, value, c, 0);
    } else {
        bad(out, "MISSING");
    }
}

impl Cursor<'_> {
    /// Takes `[n]`, if it is there.
    fn index(&mut self, rest: &mut &[u8]) -> bool {
        if rest.first() != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let Some(end) = rest.iter().position(|&b| b == b']') else {
            self.bad_index = true;
            *rest = &rest[1..];
            return false;
        };
        let index = std::str::from_utf8(&rest[1..end]).ok().and_then(|text| text.parse::<usize>().ok());
        *rest = &rest[end + 1..];
        match index.and_then(|i| i.checked_sub(1)).filter(|&i| i < self.values.len()) {
            Some(at) => {
                self.at = at;
                true
            }
            None => {
                self.bad_index = true;
                false
            }
        }
    }

    /// The argument of a `*`.
    fn size(&mut self) -> Option<isize> {
        let value = self.values.get(self.at)?;
        self.at += 1;
        let size = value.as_integer().and_then(|size| isize::try_from(size).ok())?;
        (size.unsigned_abs() <= MAX_WIDTH).then_some(size)
    }
}

fn take(rest: &mut &[u8], byte: u8) -> bool {
    let is_here = rest.first() == Some(&byte);
    if is_here {
        *rest = &rest[1..];
    }
    is_here
}

fn take_char(rest: &mut &[u8]) -> Option<char> {
    let chunk = rest.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(c) => {
            *rest = &rest[c.len_utf8()..];
            Some(c)
        }
        None => {
            *rest = &rest[1..];
            Some(char::REPLACEMENT_CHARACTER)
        }
    }
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let text = std::str::from_utf8(&rest[..digits]).ok()?;
    *rest = &rest[digits..];
    text.parse().ok().filter(|&number| number <= MAX_WIDTH)
}

/// How deep values may nest and still be printed.
const MAX_DEPTH: usize = 100;

impl Verb {
    /// Writes `value` as verb `c`.
    fn value(self, out: &mut Vec<u8>, value: &Value, c: char, depth: usize) {
        if c == 'T' {
            return self.padded(out, value.type_name().as_bytes());
        }
        if depth > MAX_DEPTH {
            return out.extend_from_slice(b"...");
        }
        match value {
            Value::Missing | Value::Nil => match c {
                'v' => self.padded(out, b"<nil>"),
                _ => out.extend_from_slice(format!("%!{c}(<nil>)").as_bytes()),
            },
            Value::Bool(is) if matches!(c, 'v' | 't') => {
                self.padded(out, if *is { b"true" } else { b"false" });
            }
            Value::Int(number, _) => self.integer(out, value, number.unsigned_abs(), *number < 0, c),
            Value::Uint(number, _) => self.integer(out, value, *number, false, c),
            Value::Float(number) => self.float(out, value, *number, c),
            Value::String(text) => self.text(out, value, text, c),
            Value::List(list) => {
                let open = if self.sharp_v { format!("{}{{", value.type_name()) } else { "[".to_owned() };
                out.extend_from_slice(open.as_bytes());
                for (i, item) in list.items.iter().enumerate() {
                    self.separate(out, i);
                    self.value(out, item, c, depth + 1);
                }
                out.push(if self.sharp_v { b'}' } else { b']' });
            }
            Value::Map(map) => {
                let open = if self.sharp_v { format!("{}{{", value.type_name()) } else { "map[".to_owned() };
                out.extend_from_slice(open.as_bytes());
                for (i, (key, item)) in map.entries.iter().enumerate() {
                    self.separate(out, i);
                    self.value(out, &key.value(), c, depth + 1);
                    out.push(b':');
                    self.value(out, item, c, depth + 1);
                }
                out.push(if self.sharp_v { b'}' } else { b']' });
            }
            Value::Object(object) => match object.text() {
                Some(text) if matches!(c, 'v' | 's' | 'q' | 'x' | 'X') && !self.sharp_v => {
                    self.text(out, value, text.as_bytes(), c);
                }
                _ if !object.fields().is_empty() => self.record(out, &**object, c, depth),
                _ => self.value(out, &object.underlying(), c, depth + 1),
            },
            _ => self.bad(out, value, c),
        }
    }

    fn record(self, out: &mut Vec<u8>, record: &dyn Object, c: char, depth: usize) {
        out.push(b'{');
        for (i, name) in record.fields().iter().enumerate() {
            self.separate(out, i);
            if self.plus_v || self.sharp_v {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
            }
            self.value(out, &record.field(name).unwrap_or(Value::Nil), c, depth + 1);
        }
        out.push(b'}');
    }

    fn separate(self, out: &mut Vec<u8>, i: usize) {
        if i > 0 {
            out.extend_from_slice(if self.sharp_v { b", " } else { b" " });
        }
    }

    /// A verb that is not for the type.
    fn bad(self, out: &mut Vec<u8>, value: &Value, c: char) {
        out.extend_from_slice(format!("%!{c}({}=", value.type_name()).as_bytes());
        self.value(out, value, 'v', 0);
        out.push(b')');
    }

    /// Pads to the width, counting characters.
    fn padded(self, out: &mut Vec<u8>, text: &[u8]) {
        let len: usize =
            text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum();
        let pad = self.width.unwrap_or(0).saturating_sub(len);
        let fill = if self.zero && !self.minus { b'0' } else { b' ' };
        if !self.minus {
            out.extend(std::iter::repeat_n(fill, pad));
        }
        out.extend_from_slice(text);
        if self.minus {
            out.extend(std::iter::repeat_n(b' ', pad));
        }
    }

    fn text(self, out: &mut Vec<u8>, value: &Value, text: &[u8], c: char) {
        let cut = self.truncated(text);
        match c {
            'v' if self.sharp_v => self.padded(out, &quote::double(cut, false)),
            'v' | 's' => self.padded(out, cut),
            'q' if self.sharp && quote::fits_backquotes(cut) => {
                self.padded(out, &[b"`", cut, b"`"].concat());
            }
            'q' => self.padded(out, &quote::double(cut, self.plus)),
            'x' | 'X' => self.hex(out, &text[..self.precision.unwrap_or(text.len()).min(text.len())], c),
            _ => self.bad(out, value, c),
        }
    }

    /// The first characters, as many as the precision says.
    fn truncated(self, text: &[u8]) -> &[u8] {
        let Some(limit) = self.precision else { return text };
        let mut end = 0;
        for _ in 0..limit {
            let Some(chunk) = text[end..].utf8_chunks().next() else { break };
            end += chunk.valid().chars().next().map_or(1, char::len_utf8);
        }
        &text[..end.min(text.len())]
    }

    fn hex(self, out: &mut Vec<u8>, bytes: &[u8], c: char) {
        let mut text = String::new();
        for (i, byte) in bytes.iter().enumerate() {
            if self.space && i > 0 {
                text.push(' ');
            }
            if self.sharp && (i == 0 || self.space) {
                text.push_str(if c == 'x' { "0x" } else { "0X" });
            }
            text.push_str(&if c == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
        }
        self.padded(out, text.as_bytes());
    }

    fn integer(self, out: &mut Vec<u8>, value: &Value, magnitude: u64, negative: bool, c: char) {
        let unsigned = matches!(value, Value::Uint(..));
        let (digits, prefix) = match c {
            'v' if self.sharp_v && unsigned => (format!("{magnitude:x}"), "0x"),
            'v' | 'd' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), if self.sharp { "0b" } else { "" }),
            'o' => (format!("{magnitude:o}"), if self.sharp { "0" } else { "" }),
            'O' => (format!("{magnitude:o}"), "0o"),
            'x' => (format!("{magnitude:x}"), if self.sharp { "0x" } else { "" }),
            'X' => (format!("{magnitude:X}"), if self.sharp { "0X" } else { "" }),
            'c' | 'q' | 'U' => return self.character(out, magnitude, negative, c),
            _ => return self.bad(out, value, c),
        };
        let sign = match negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        };
        let mut least = self.precision.unwrap_or(0);
        if self.precision.is_none() && self.zero && !self.minus {
            least = self.width.unwrap_or(0).saturating_sub(sign.len());
        }
        if self.precision == Some(0) && magnitude == 0 {
            return Self { zero: false, ..self }.padded(out, b"");
        }
        let text = format!("{sign}{prefix}{digits:0>least$}");
        Self { zero: false, ..self }.padded(out, text.as_bytes());
    }

    fn character(self, out: &mut Vec<u8>, magnitude: u64, negative: bool, c: char) {
        let code = u32::try_from(magnitude).ok().filter(|_| !negative);
        let symbol = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
        let text = match c {
            'c' => symbol.to_string(),
            'q' => quote::single(symbol, self.plus),
            _ => {
                let places = self.precision.unwrap_or(4).max(4);
                let mut text = format!("U+{magnitude:0places$X}");
                if self.sharp && code.is_some() && is_printable(symbol) {
                    text.push_str(&format!(" '{symbol}'"));
                }
                text
            }
        };
        Self { zero: false, ..self }.padded(out, text.as_bytes());
    }
}
