//! JSON, taken apart piece by piece.

use std::borrow::Cow;

use super::super::{DecodeError, Result};
use super::{MAX_JSON_DEPTH, Text};

/// Walks over a JSON text. Each method takes what comes next or says why it cannot.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    pos: usize,
}

/// What contains values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Object,
    Array,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    /// Where in the body reading stands.
    pub fn offset(&self) -> usize {
        self.pos
    }

    #[cold]
    fn wrong<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(DecodeError::Json { problem: problem.into(), offset: self.pos })
    }

    /// The first byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.pos) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.pos += 1;
        }
        None
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.pos += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.take(wanted) {
            return Ok(());
        }
        match self.peek() {
            Some(byte) => {
                self.wrong(format!("expected {:?}, found {:?}", char::from(wanted), char::from(byte)))
            }
            None => self.wrong("unexpected end"),
        }
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_some() { self.wrong("something follows the end") } else { Ok(()) }
    }

    /// Takes a null if there is one.
    pub fn null(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| true),
            _ => Ok(false),
        }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.bytes[self.pos..].starts_with(word.as_bytes()) {
            self.pos += word.len();
            return Ok(());
        }
        self.wrong(format!("expected {word}"))
    }

    pub fn open(&mut self, token: Token) -> Result<()> {
        self.expect(if token == Token::Object { b'{' } else { b'[' })
    }

    /// The name of the next member of an object; `None` at its end, which is taken.
    pub fn next_name(&mut self, is_first: &mut bool) -> Result<Option<Text<'a>>> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !std::mem::take(is_first) {
            self.expect(b',')?;
        }
        self.peek();
        let name = self.text()?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Whether another item of an array follows; otherwise its end is taken.
    pub fn next_item(&mut self, is_first: &mut bool) -> Result<bool> {
        if self.take(b']') {
            return Ok(false);
        }
        if !std::mem::take(is_first) {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// A truth.
    pub fn bool(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => self.wrong("expected true or false"),
        }
    }

    /// A number as it is written, be it in quotes.
    pub fn number_or_text(&mut self) -> Result<Text<'a>> {
        match self.peek() {
            Some(b'"') => self.text(),
            _ => self.number().map(Cow::Borrowed),
        }
    }

    fn number(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.pos..];
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let len = rest.iter().take_while(is_part).count();
        match std::str::from_utf8(&rest[..len]) {
            Ok(number) if len > 0 => {
                self.pos += len;
                Ok(number)
            }
            _ => self.wrong("expected a number"),
        }
    }

    /// A text.
    pub fn text(&mut self) -> Result<Text<'a>> {
        self.expect(b'"')?;
        let start = self.pos;
        let Some(len) = memchr::memchr2(b'"', b'\\', &self.bytes[start..]) else {
            return self.wrong("a text without end");
        };
        let plain = self.utf8(start, start + len)?;
        self.pos = start + len;
        if self.bytes[self.pos] == b'"' {
            self.pos += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            self.escape(&mut text)?;
            let from = self.pos;
            let Some(len) = memchr::memchr2(b'"', b'\\', &self.bytes[from..]) else {
                return self.wrong("a text without end");
            };
            text.push_str(self.utf8(from, from + len)?);
            self.pos = from + len;
            if self.bytes[self.pos] == b'"' {
                self.pos += 1;
                return Ok(Cow::Owned(text));
            }
        }
    }

    fn utf8(&self, from: usize, to: usize) -> Result<&'a str> {
        std::str::from_utf8(&self.bytes[from..to]).map_err(|error| DecodeError::Json {
            problem: "invalid UTF-8".to_owned(),
            offset: from + error.valid_up_to(),
        })
    }

    /// What the backslash that comes next means.
    fn escape(&mut self, text: &mut String) -> Result<()> {
        let Some(&what) = self.bytes.get(self.pos + 1) else { return self.wrong("unexpected end") };
        self.pos += 2;
        text.push(match what {
            b'"' | b'\\' | b'/' => char::from(what),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return self.wrong("unknown escape"),
        });
        Ok(())
    }

    /// The character of `\uXXXX`, or of two of them; what is no character becomes the one for that.
    fn code_point(&mut self) -> Result<char> {
        let high = self.four_digits()?;
        let mut code = high;
        if (0xd800..0xdc00).contains(&high) && self.bytes[self.pos..].starts_with(b"\\u") {
            let after_high = self.pos;
            self.pos += 2;
            let low = self.four_digits()?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            } else {
                self.pos = after_high;
            }
        }
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.bytes.get(self.pos..self.pos + 4).unwrap_or_default();
        let value = digits.iter().try_fold(0, |value, &b| Some(value << 4 | char::from(b).to_digit(16)?));
        match value {
            Some(value) if !digits.is_empty() => {
                self.pos += 4;
                Ok(value)
            }
            _ => self.wrong("expected four hexadecimal digits"),
        }
    }

    /// Passes over one value of any type.
    pub fn skip(&mut self, depth: usize) -> Result<()> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(DecodeError::TooDeep { limit: MAX_JSON_DEPTH, offset: self.pos });
        };
        let mut is_first = true;
        match self.peek() {
            Some(b'{') => {
                self.pos += 1;
                while self.next_name(&mut is_first)?.is_some() {
                    self.skip(deeper)?;
                }
                Ok(())
            }
            Some(b'[') => {
                self.pos += 1;
                while self.next_item(&mut is_first)? {
                    self.skip(deeper)?;
                }
                Ok(())
            }
            Some(b'"') => self.text().map(drop),
            Some(b't' | b'f') => self.bool().map(drop),
            Some(b'n') => self.word("null"),
            _ => self.number().map(drop),
        }
    }
}
