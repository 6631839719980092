//! Why an exposition was refused. The texts are those targets' owners know from Prometheus.

use crate::number::NumberError;
use crate::quote::quoted;

/// An exposition does not follow its format. The scrape fails as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ParseError(Box<Fault>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("{expected}, got {got} ({token:?}) while parsing: {context}")]
    Unexpected { expected: String, got: String, token: &'static str, context: String },
    #[error("{error} while parsing: {context}")]
    Number { error: NumberError, context: String },
    #[error("{message} while parsing: {context}")]
    Line { message: &'static str, context: String },
    #[error("{0}")]
    Other(String),
}

impl From<Fault> for ParseError {
    fn from(fault: Fault) -> Self {
        Self(Box::new(fault))
    }
}

impl ParseError {
    #[cold]
    pub(super) fn other(message: impl Into<String>) -> Self {
        Fault::Other(message.into()).into()
    }
}

/// The bytes of an exposition, with what their end stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    pub bytes: &'a [u8],
    /// Whether the end of input counts as the end of a line.
    pub end_is_newline: bool,
}

impl<'a> Input<'a> {
    /// The byte at `pos`; beyond the end a newline, or NUL where that would be wrong.
    #[inline(always)]
    pub fn at(&self, pos: usize) -> u8 {
        match self.bytes.get(pos) {
            Some(&byte) => byte,
            None if self.end_is_newline => b'\n',
            None => 0,
        }
    }

    /// `from..to` quoted, with the newline the end stands for.
    pub fn quoted(&self, from: usize, to: usize) -> String {
        let within = self.bytes.len();
        let mut shown = self.bytes[from.min(within)..to.min(within)].to_vec();
        if to > within && self.end_is_newline {
            shown.push(b'\n');
        }
        quoted(&shown)
    }

    /// A token was found where the format has another: it starts at `start`, and `end` is its end, or
    /// the byte at which no token was possible any more.
    #[cold]
    pub fn unexpected(
        &self,
        line: usize,
        expected: impl Into<String>,
        token: &'static str,
        start: usize,
        end: usize,
    ) -> ParseError {
        let (got, context) = (self.quoted(start, end + 1), self.quoted(line, end + 1));
        Fault::Unexpected { expected: expected.into(), got, token, context }.into()
    }

    /// A number is not one; `end` is its end.
    #[cold]
    pub fn bad_number(&self, line: usize, end: usize, error: NumberError) -> ParseError {
        Fault::Number { error, context: self.quoted(line, end) }.into()
    }

    /// The line up to `end` makes no sense.
    #[cold]
    pub fn bad_line(&self, line: usize, end: usize, message: &'static str) -> ParseError {
        Fault::Line { message, context: self.quoted(line, end) }.into()
    }
}
