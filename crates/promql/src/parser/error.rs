//! What is wrong with a query, and where.

use std::fmt;

use syntax::{LineColumn, Span};

/// A query that is not well-formed or not well-typed. Shown as `line:column: parse error: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What it is about.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// The text that was parsed.
    pub query: String,
}

impl ParseError {
    pub(crate) fn new(query: &str, span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), query: query.to_owned() }
    }

    /// The message with the line it is about and a caret under the place.
    pub fn rendered(&self) -> String {
        syntax::diagnostic::render(&self.query, self.span, &format!("parse error: {}", self.message))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match LineColumn::locate(&self.query, self.span.start) {
            _ if self.query.is_empty() => f.write_str("unknown position")?,
            Some(place) => write!(f, "{place}")?,
            None => f.write_str("invalid position")?,
        }
        write!(f, ": parse error: {}", self.message)
    }
}

impl std::error::Error for ParseError {}
