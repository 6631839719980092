//! `html/template`: values are escaped as the place they are written to demands.
//!
//! The literal text of a template is trusted, values are not. Following the literal text, [`Html`] knows at each
//! action whether a value stands between elements, in an attribute, in a URL, a style or a script, and escapes it
//! so that it cannot end that place. A value that was marked ([`Safe`]) is written as it is where its kind fits.
//! Comments are left out. Where Go decides this before anything runs, here it is decided on the way, which
//! gives the same text for templates whose branches all end in places alike; others are refused ([`contexts`]).

mod contexts;
mod script;

use std::sync::Arc;

use crate::escape;
use crate::value::{Object, Value};
use crate::verbs;

use script::Script;

/// A text that an author of templates vouches for.
#[derive(Debug, Clone)]
pub struct Safe {
    text: Arc<[u8]>,
    kind: SafeKind,
}

/// Where a vouched text may stand as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SafeKind {
    /// Between elements.
    Html,
    /// In a URL, of any scheme.
    Url,
}

impl Safe {
    /// A vouched text as a value.
    pub fn value(text: &[u8], kind: SafeKind) -> Value {
        Value::Object(Arc::new(Self { text: text.into(), kind }))
    }
}

impl Object for Safe {
    fn type_name(&self) -> &'static str {
        match self.kind {
            SafeKind::Html => "template.HTML",
            SafeKind::Url => "template.URL",
        }
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }

    fn underlying(&self) -> Value {
        Value::String(self.text.clone())
    }

    fn text(&self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.text).into_owned())
    }
}

/// What an attribute's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Plain,
    Url,
    Style,
    Script,
    /// What is not followed.
    Unsafe,
}

/// What lies between the tags of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Text in which entities are read, and no tags.
    Text,
    Style,
    Script,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Between elements.
    Text,
    Comment,
    /// In a tag, before an attribute.
    Tag,
    AttributeName,
    /// Behind a name, before `=`.
    AfterName,
    /// Behind `=`.
    BeforeValue,
    /// In a value that ends with the byte, or with a space or `>` when it is 0.
    Value {
        end: u8,
        attribute: Attribute,
    },
    /// In an element whose content is not HTML.
    Raw(Content),
}

/// Follows the literal text of a template.
#[derive(Debug, Clone)]
pub(crate) struct Html {
    state: State,
    /// The name of the element of the current tag, in lower case, with its slash.
    element: String,
    /// The name of the current attribute, in lower case.
    attribute: String,
    /// The value of the current attribute so far, literal and escaped.
    value: Vec<u8>,
    /// The place in the current script.
    script: Script,
    /// Whether the script of an attribute holds what is not followed, so that nothing may be written there.
    is_lost: bool,
}

impl Default for Html {
    fn default() -> Self {
        Self {
            state: State::Text,
            element: String::new(),
            attribute: String::new(),
            value: Vec::new(),
            script: Script::default(),
            is_lost: false,
        }
    }
}

/// What Go writes in place of a value that is not safe where it stands.
const UNSAFE: &[u8] = b"ZgotmplZ";

impl Html {
    /// Writes literal text.
    pub fn literal(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            at += self.step(out, &text[at..]);
        }
    }

    /// Writes the first bytes of literal text and tells how many.
    fn step(&mut self, out: &mut Vec<u8>, rest: &[u8]) -> usize {
        let byte = rest[0];
        match &self.state {
            State::Text => return self.text(out, rest),
            State::Comment => {
                if rest.starts_with(b"-->") {
                    self.state = State::Text;
                    return 3;
                }
                return 1;
            }
            State::Raw(_) => {
                let tag = format!("</{}", self.element);
                let ends = rest.len() >= tag.len() && rest[..tag.len()].eq_ignore_ascii_case(tag.as_bytes());
                if ends {
                    out.extend_from_slice(&rest[..tag.len()]);
                    self.element = format!("/{}", self.element);
                    self.state = State::Tag;
                    return tag.len();
                }
                if self.state == State::Raw(Content::Script) {
                    self.script_byte(byte, rest.get(1).copied());
                }
            }
            State::Tag => match byte {
                b'>' => self.end_tag(),
                b'/' | b' ' | b'\t' | b'\n' | b'\r' | 12 => {}
                _ => {
                    self.attribute.clear();
                    self.attribute.push(char::from(byte.to_ascii_lowercase()));
                    self.state = State::AttributeName;
                }
            },
            State::AttributeName | State::AfterName => match byte {
                b'=' => self.state = State::BeforeValue,
                b'>' => self.end_tag(),
                b' ' | b'\t' | b'\n' | b'\r' | 12 => self.state = State::AfterName,
                _ => {
                    if self.state == State::AfterName {
                        self.attribute.clear();
                    }
                    self.attribute.push(char::from(byte.to_ascii_lowercase()));
                    self.state = State::AttributeName;
                }
            },
            State::BeforeValue => match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 12 => {}
                b'>' => self.end_tag(),
                b'"' | b'\'' => self.begin_value(byte),
                _ => {
                    self.begin_value(0);
                    self.value_byte(rest);
                }
            },
            State::Value { end, .. } => match (byte, *end) {
                (b'>', 0) => self.end_tag(),
                (b' ' | b'\t' | b'\n' | b'\r' | 12, 0) => self.state = State::Tag,
                (byte, end) if byte == end && end != 0 => self.state = State::Tag,
                _ => self.value_byte(rest),
            },
        }
        out.push(byte);
        1
    }

    fn script_byte(&mut self, byte: u8, next: Option<u8>) {
        if byte == b'/' { self.script.slash(next) } else { self.script.step(byte) }
    }

    /// Takes a literal byte of an attribute's value.
    fn value_byte(&mut self, rest: &[u8]) {
        let byte = rest[0];
        self.value.push(byte);
        if matches!(self.state, State::Value { attribute: Attribute::Script, .. }) {
            // An entity may stand for a quote.
            self.is_lost |= byte == b'&';
            self.script_byte(byte, rest.get(1).copied());
        }
    }

    fn text(&mut self, out: &mut Vec<u8>, rest: &[u8]) -> usize {
        if rest.starts_with(b"<!--") {
            self.state = State::Comment;
            return 4;
        }
        if rest[0] != b'<' {
            out.push(rest[0]);
            return 1;
        }
        let slash = usize::from(rest.get(1) == Some(&b'/'));
        let name = rest[1 + slash..]
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-'))
            .count();
        let is_tag = rest.get(1 + slash).is_some_and(u8::is_ascii_alphabetic);
        match rest.get(1) {
            _ if is_tag => {
                let len = 1 + slash + name;
                self.element = String::from_utf8_lossy(&rest[1..len]).to_ascii_lowercase();
                self.state = State::Tag;
                out.extend_from_slice(&rest[..len]);
                len
            }
            // `<!doctype` and the like are text that is left alone.
            Some(b'!' | b'?') => {
                out.push(b'<');
                1
            }
            _ => {
                out.extend_from_slice(b"&lt;");
                1
            }
        }
    }

    fn end_tag(&mut self) {
        self.state = match self.element.as_str() {
            "script" => {
                self.script = Script::default();
                State::Raw(Content::Script)
            }
            "style" => State::Raw(Content::Style),
            "title" | "textarea" => State::Raw(Content::Text),
            _ => State::Text,
        };
    }

    fn begin_value(&mut self, end: u8) {
        self.value.clear();
        let name = self.attribute.trim_start_matches("data-");
        let name = name.rsplit(':').next().unwrap_or(name);
        let attribute = match name {
            "action" | "archive" | "background" | "cite" | "classid" | "codebase" | "formaction" | "href"
            | "icon" | "longdesc" | "manifest" | "poster" | "profile" | "src" | "usemap" => Attribute::Url,
            "data" if !self.attribute.starts_with("data-") => Attribute::Url,
            // Whole documents, lists of URLs and what decides how others are read: nothing here is escaped safely.
            "srcdoc" | "srcset" | "http-equiv" | "type" | "charset" | "language" => Attribute::Unsafe,
            _ if self.attribute.starts_with("xmlns") => Attribute::Url,
            "style" => Attribute::Style,
            name if name.starts_with("on") => Attribute::Script,
            name if name.contains("src") || name.contains("uri") || name.contains("url") => Attribute::Url,
            _ => Attribute::Plain,
        };
        self.script = Script::default();
        self.is_lost = false;
        self.state = State::Value { end, attribute };
    }

    /// Notes that some value stands here.
    fn any_value(&mut self) {
        if self.state == State::BeforeValue {
            self.begin_value(0);
        }
    }

    /// Writes a value.
    pub fn value(&mut self, out: &mut Vec<u8>, value: &Value) {
        let safe = match value {
            Value::Object(object) => {
                object.as_any().and_then(|any| any.downcast_ref::<Safe>()).map(|safe| safe.kind)
            }
            _ => None,
        };
        let mut text = Vec::new();
        if !value.is_nil() {
            verbs::print_value(&mut text, value);
        }
        if self.state == State::BeforeValue {
            // A value without quotes must not end at a space of its own.
            self.begin_value(0);
        }
        match &self.state {
            State::Comment => {}
            State::Text if safe == Some(SafeKind::Html) => out.extend_from_slice(&text),
            State::Text | State::Raw(Content::Text) => out.extend_from_slice(&escaped(&text)),
            State::Raw(Content::Script) => out.extend_from_slice(&self.script.value(&text, value)),
            State::Raw(Content::Style) => out.extend_from_slice(&style(&text)),
            State::Tag | State::AttributeName | State::AfterName => {
                // Only what can be nothing but a name may stand here.
                let harmless = text.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
                let event =
                    text.to_ascii_lowercase().starts_with(b"on") || text.eq_ignore_ascii_case(b"style");
                out.extend_from_slice(if harmless && !event { &text } else { UNSAFE });
            }
            State::BeforeValue => {}
            State::Value { end, attribute } => {
                let (end, attribute) = (*end, *attribute);
                let text = match attribute {
                    Attribute::Plain if safe == Some(SafeKind::Html) => without_tags(&text),
                    Attribute::Plain => text,
                    Attribute::Url => self.url(&text, safe == Some(SafeKind::Url)),
                    Attribute::Style => style(&text),
                    Attribute::Script if self.is_lost => UNSAFE.to_vec(),
                    Attribute::Script => self.script.value(&text, value),
                    Attribute::Unsafe => UNSAFE.to_vec(),
                };
                self.value.extend_from_slice(&text);
                let text = escaped(&text);
                out.extend_from_slice(&if end == 0 { without_spaces(&text) } else { text });
            }
        }
    }

    /// A value in a URL: before the query any characters of a URL stay, in it only those that mean nothing there.
    fn url(&self, text: &[u8], is_safe: bool) -> Vec<u8> {
        if self.value.iter().any(|b| matches!(b, b'?' | b'#')) {
            return if is_safe { normal_url(text) } else { query(text) };
        }
        if self.value.is_empty() && !is_safe && !has_harmless_scheme(text) {
            return [b"#", UNSAFE].concat();
        }
        normal_url(text)
    }
}

/// Escapes text for HTML, in elements and attributes.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = escape::html(text);
    if out.contains(&b'+') {
        let plus: Vec<Vec<u8>> = out.split(|b| *b == b'+').map(<[u8]>::to_vec).collect();
        out = plus.join(&b"&#43;"[..]);
    }
    out
}

/// Whether a URL is relative or of a scheme that runs nothing.
fn has_harmless_scheme(url: &[u8]) -> bool {
    let scheme = match url.iter().position(|b| *b == b':') {
        Some(at) if !url[..at].contains(&b'/') => &url[..at],
        _ => return true,
    };
    [&b"http"[..], b"https", b"mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

fn percent(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(format!("%{byte:02x}").as_bytes());
}

/// A URL with everything encoded that may not stand in one; what is encoded already stays so.
fn normal_url(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => out.push(byte),
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@'
            | b'[' | b']' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b'%' if text.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {
                out.push(byte);
            }
            byte => percent(&mut out, byte),
        }
    }
    out
}

fn query(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                out.push(byte)
            }
            byte => percent(&mut out, byte),
        }
    }
    out
}

/// A value in a style sheet: a word, number, colour or length; anything that could do more is taken out.
fn style(text: &[u8]) -> Vec<u8> {
    let harmful = |b: &u8| {
        matches!(
            b,
            0 | b'"'
                | b'\''
                | b'('
                | b')'
                | b'/'
                | b';'
                | b'@'
                | b'['
                | b'\\'
                | b']'
                | b'`'
                | b'{'
                | b'}'
                | b'<'
                | b'>'
        )
    };
    let lower: Vec<u8> = text.to_ascii_lowercase().into_iter().filter(u8::is_ascii_alphanumeric).collect();
    let runs = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    if text.iter().any(harmful)
        || text.windows(3).any(|w| w == b"-->")
        || runs(b"expression")
        || runs(b"mozbinding")
    {
        return UNSAFE.to_vec();
    }
    text.to_vec()
}

/// Vouched HTML in an attribute: only its text.
fn without_tags(text: &[u8]) -> Vec<u8> {
    let mut in_tag = false;
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'<' => in_tag = true,
            b'>' if in_tag => in_tag = false,
            byte if !in_tag => out.push(byte),
            _ => {}
        }
    }
    out
}

/// Escaped text that may stand without quotes.
fn without_spaces(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 11 | 12 | b'=' | b'`' => {
                out.extend_from_slice(format!("&#{byte};").as_bytes());
            }
            byte => out.push(byte),
        }
    }
    out
}
