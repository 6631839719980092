//! Attributes: names and values of any type, and the text a value becomes as a label.

use std::borrow::Cow;

use model::number::{FloatFormat, push_float};

use super::schema::{ANY_VALUE, ARRAY_VALUE, KEY_VALUE, KEY_VALUE_LIST};
use super::{DecodeError, MAX_ATTRIBUTES, MAX_DEPTH, Result};
use crate::protobuf::{Reader, Schema};

/// A name and a value.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// The name.
    pub key: &'a str,
    /// The value.
    pub value: AnyValue<'a>,
}

/// A value of any type. Lists and maps were checked when they were read.
#[derive(Debug, Clone, Copy, Default)]
pub enum AnyValue<'a> {
    /// None was given.
    #[default]
    Empty,
    /// A text.
    Text(&'a str),
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values.
    List(Nested<'a>),
    /// Names and values.
    Map(Nested<'a>),
}

/// The items of a list or a map, as encoded.
#[derive(Debug, Clone, Copy)]
pub struct Nested<'a>(Reader<'a>);

/// Attributes as encoded. They are only read when their names and values matter: often the bytes alone tell
/// which series they belong to.
#[derive(Debug, Clone, Default)]
pub struct Attributes<'a> {
    body: &'a [u8],
    places: Vec<(usize, usize)>,
}

impl<'a> Attributes<'a> {
    /// Forgets all and keeps the memory.
    pub fn clear(&mut self) {
        self.places.clear();
    }

    /// Takes over the attribute in the current field.
    pub(super) fn push(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        if self.places.len() >= MAX_ATTRIBUTES {
            let offset = reader.field_offset();
            return Err(DecodeError::TooMany { what: "attributes", limit: MAX_ATTRIBUTES, offset });
        }
        self.places.push(reader.place()?);
        self.body = reader.body();
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Each attribute's bytes.
    pub fn encoded(&self) -> impl Iterator<Item = &'a [u8]> {
        self.places.iter().map(|&(start, end)| &self.body[start..end])
    }

    /// Each attribute, in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = Result<Attribute<'a>>> {
        let read = |place: &_| Attribute::read(Reader::at(self.body, *place, &KEY_VALUE.schema), MAX_DEPTH);
        self.places.iter().map(read)
    }
}

impl<'a> Attribute<'a> {
    fn read(mut reader: Reader<'a>, depth: usize) -> Result<Self> {
        let mut attribute = Self { key: "", value: AnyValue::Empty };
        while let Some(field) = reader.field()? {
            match field {
                1 => attribute.key = reader.text()?,
                2 => attribute.value = AnyValue::read(reader.message(&ANY_VALUE.schema)?, depth)?,
                _ => reader.skip()?,
            }
        }
        Ok(attribute)
    }
}

/// The items of a list and of a map.
const ITEM: u32 = 1;

impl<'a> AnyValue<'a> {
    fn read(mut reader: Reader<'a>, depth: usize) -> Result<Self> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(DecodeError::TooDeep { limit: MAX_DEPTH, offset: reader.pos() });
        };
        let mut value = Self::Empty;
        while let Some(field) = reader.field()? {
            value = match field {
                1 => Self::Text(reader.text()?),
                2 => Self::Bool(reader.uint()? != 0),
                3 => Self::Int(reader.int()?),
                4 => Self::Double(reader.double()?),
                5 => {
                    let items = reader.message(&ARRAY_VALUE.schema)?;
                    check_items(items, |item| Self::read(item, deeper).map(drop), &ANY_VALUE.schema)?;
                    Self::List(Nested(items))
                }
                6 => {
                    let items = reader.message(&KEY_VALUE_LIST.schema)?;
                    check_items(items, |item| Attribute::read(item, deeper).map(drop), &KEY_VALUE.schema)?;
                    Self::Map(Nested(items))
                }
                7 => Self::Bytes(reader.bytes()?),
                _ => {
                    reader.skip()?;
                    value
                }
            };
        }
        Ok(value)
    }

    /// The value in the current field.
    pub(super) fn of_field(reader: &mut Reader<'a>) -> Result<Self> {
        Self::read(reader.message(&ANY_VALUE.schema)?, MAX_DEPTH)
    }

    /// The names and values of a map, in their order; nothing where it is none.
    pub fn entries(&self) -> Vec<Attribute<'a>> {
        match self {
            Self::Map(items) => items.attributes().collect(),
            _ => Vec::new(),
        }
    }

    /// The value as the value of a label: texts as they are, lists and maps as JSON, bytes as base64.
    pub fn text(&self) -> Cow<'a, str> {
        if let Self::Text(text) = self {
            return Cow::Borrowed(text);
        }
        let mut out = String::new();
        match self {
            Self::Double(value) if value.is_nan() => out.push_str("NaN"),
            Self::Double(value) if value.is_infinite() => {
                out.push_str(if *value > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Self::Empty => {}
            Self::Bytes(bytes) => push_base64(&mut out, bytes),
            other => other.push_json(&mut out),
        }
        Cow::Owned(out)
    }

    /// The value as JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.push_json(&mut out);
        out
    }

    /// Appends the value as JSON. What JSON cannot say, an infinite number, becomes null.
    fn push_json(&self, out: &mut String) {
        match self {
            Self::Empty => out.push_str("null"),
            Self::Text(text) => push_json_text(out, text),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Double(number) if number.is_finite() => push_float(out, *number, FloatFormat::Json),
            Self::Double(_) => out.push_str("null"),
            Self::Bytes(bytes) => {
                out.push('"');
                push_base64(out, bytes);
                out.push('"');
            }
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.values().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.push_json(out);
                }
                out.push(']');
            }
            Self::Map(items) => push_json_map(out, *items),
        }
    }
}

/// The names of a map in order, so that equal maps are equal labels; the last of equal names counts.
fn push_json_map(out: &mut String, items: Nested<'_>) {
    let mut entries: Vec<_> = items.attributes().collect();
    entries.sort_by(|a, b| a.key.cmp(b.key));
    out.push('{');
    let mut first = true;
    for (i, entry) in entries.iter().enumerate() {
        if entries.get(i + 1).is_some_and(|next| next.key == entry.key) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        push_json_text(out, entry.key);
        out.push(':');
        entry.value.push_json(out);
    }
    out.push('}');
}

/// Reads all items, so that they can be taken for good afterwards.
fn check_items<'a>(
    mut items: Reader<'a>,
    check: impl Fn(Reader<'a>) -> Result<()>,
    schema: &'static Schema,
) -> Result<()> {
    let mut count = 0;
    while let Some(field) = items.field()? {
        if field != ITEM {
            items.skip()?;
            continue;
        }
        count += 1;
        if count > MAX_ATTRIBUTES {
            let offset = items.field_offset();
            return Err(DecodeError::TooMany { what: "values in a value", limit: MAX_ATTRIBUTES, offset });
        }
        check(items.message(schema)?)?;
    }
    Ok(())
}

impl<'a> Nested<'a> {
    /// Items were checked; an error would end them early.
    fn messages(self, schema: &'static Schema) -> impl Iterator<Item = Reader<'a>> {
        let mut reader = self.0;
        std::iter::from_fn(move || {
            while let Some(field) = reader.field().ok()? {
                if field == ITEM {
                    return reader.message(schema).ok();
                }
                reader.skip().ok()?;
            }
            None
        })
    }

    fn values(self) -> impl Iterator<Item = AnyValue<'a>> {
        self.messages(&ANY_VALUE.schema).filter_map(|message| AnyValue::read(message, MAX_DEPTH).ok())
    }

    fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        self.messages(&KEY_VALUE.schema).filter_map(|message| Attribute::read(message, MAX_DEPTH).ok())
    }
}

fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // Legal in JSON, but not in the scripts it is pasted into.
            c if (c as u32) < 0x20 || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = char::from(DIGITS[(group >> (18 - 6 * i) & 63) as usize]);
            out.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
}
