//! What bodies of requests hold. What is checked, and in which order, is what Alertmanager's clients know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::failure::Failure;

/// A body or part of one, and what it is called in failures.
#[derive(Clone, Copy)]
pub(super) struct Part<'j> {
    /// The body, as failures to read it call it.
    body: &'static str,
    value: &'j Json,
}

/// The document of a body, called `what`.
pub(super) fn document(what: &'static str, body: &[u8]) -> Result<Json, Failure> {
    if body.is_empty() {
        return Err(Failure::required(what));
    }
    // What stands behind the document is not looked at.
    let mut documents = serde_json::Deserializer::from_slice(body).into_iter();
    let first = documents.next().unwrap_or(Ok(Json::Null));
    first.map_err(|error| Failure::unreadable(&format!("{what} body"), error))
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

impl<'j> Part<'j> {
    /// The whole of a document.
    pub fn whole(body: &'static str, value: &'j Json) -> Self {
        Self { body, value }
    }

    fn wrong(&self, field: &str, wanted: &str) -> Failure {
        let got = kind(self.value);
        let of = if field.is_empty() { String::new() } else { format!(" in field {field}") };
        Failure::unreadable(
            &format!("{} body", self.body),
            format_args!("there is a JSON {got}{of} that should be {wanted}"),
        )
    }

    /// Whether there is nothing.
    pub fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    /// A field of an object, found whatever the case of its letters is; nothing where there is nothing.
    pub fn field(&self, name: &str) -> Result<Self, Failure> {
        let value = match self.value {
            Json::Null => &Json::Null,
            Json::Object(fields) => fields
                .get(name)
                .or_else(|| fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, v)| v))
                .unwrap_or(&Json::Null),
            _ => return Err(self.wrong("", "an object")),
        };
        Ok(Self { body: self.body, value })
    }

    /// The elements of a list; none where there is nothing.
    pub fn items(&self, field: &str) -> Result<impl Iterator<Item = Self>, Failure> {
        let items = match self.value {
            Json::Null => &[][..],
            Json::Array(items) => items,
            _ => return Err(self.wrong(field, "an array")),
        };
        let body = self.body;
        Ok(items.iter().map(move |value| Self { body, value }))
    }

    /// A text.
    pub fn text(&self, field: &str) -> Result<Option<&'j str>, Failure> {
        match self.value {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text)),
            _ => Err(self.wrong(field, "a string")),
        }
    }

    /// A truth value.
    pub fn flag(&self, field: &str) -> Result<Option<bool>, Failure> {
        match self.value {
            Json::Null => Ok(None),
            Json::Bool(value) => Ok(Some(*value)),
            _ => Err(self.wrong(field, "a bool")),
        }
    }

    /// Texts by name.
    pub fn texts(&self, field: &str) -> Result<BTreeMap<String, String>, Failure> {
        let own = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        Ok(self.pairs(field)?.into_iter().map(own).collect())
    }

    /// Names and texts, as they stand in the body.
    pub fn pairs(&self, field: &str) -> Result<Vec<(&'j str, &'j str)>, Failure> {
        let entries = match self.value {
            Json::Null => return Ok(Vec::new()),
            Json::Object(entries) => entries,
            _ => return Err(self.wrong(field, "an object")),
        };
        let entry = |(name, value): (&'j String, &'j Json)| {
            let value = Self { body: self.body, value }.text(field)?;
            Ok((name.as_str(), value.unwrap_or_default()))
        };
        entries.iter().map(entry).collect()
    }

    /// A moment. An empty text and the year 1 stand for none.
    pub fn time(&self, field: &str) -> Result<Time, Failure> {
        let Some(text) = self.text(field)? else { return Ok(Time::Absent) };
        if text.is_empty() {
            return Ok(Time::Zero);
        }
        let parsed = moment(text).ok_or_else(|| {
            let text = model::labels::Quoted(text);
            let what = format!("{} body", self.body);
            Failure::unreadable(&what, format_args!("the time {text} in field {field} cannot be parsed"))
        })?;
        Ok(if parsed.as_second() <= FIRST_S { Time::Zero } else { Time::At(parsed) })
    }
}

/// The first moment of the year 1, which stands for none, in seconds.
const FIRST_S: i64 = -62_135_596_800;

/// A moment in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// The field is not there.
    Absent,
    /// It is there and names no moment.
    Zero,
    /// It names one.
    At(Timestamp),
}

impl Time {
    /// The moment, if one is named.
    pub fn get(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Absent | Self::Zero => None,
        }
    }
}

/// A date and time of day; without an offset it is that of UTC.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        // A date alone is no moment.
        let local: DateTime = text.parse().ok().filter(|_| text.len() > "2006-01-02".len())?;
        local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// Whether a text is an absolute URI or an absolute path.
pub(super) fn is_uri(text: &str) -> bool {
    let bytes = text.as_bytes();
    let well_escaped =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
            bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        });
    if text.contains(char::is_control) || !well_escaped {
        return false;
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let mut letters = scheme.bytes();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    text.starts_with('/') || is_scheme
}

/// Whether a text is a UUID.
pub(super) fn is_uuid(text: &str) -> bool {
    let at = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(at)
}
