//! Places in a query's text.

use std::fmt;

/// A half-open range of bytes of the text a node or token was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The range from the start of `self` to the end of `last`.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }

    /// The text of the range; empty when it does not lie in `text`.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// A line and a column, both counted from one. Columns count bytes, as the field's tools do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineColumn {
    /// The line.
    pub line: usize,
    /// The column in bytes.
    pub column: usize,
}

impl LineColumn {
    /// Where byte `at` of `text` lies; `None` when it lies behind the end of the text.
    pub fn locate(text: &str, at: usize) -> Option<Self> {
        let before = text.as_bytes().get(..at)?;
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
        Some(Self { line, column: at - line_start + 1 })
    }
}

impl fmt::Display for LineColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_start_anew_on_each_line() {
        let text = "sum(\n  foo)";
        assert_eq!(LineColumn::locate(text, 0).unwrap().to_string(), "1:1");
        assert_eq!(LineColumn::locate(text, 4).unwrap().to_string(), "1:5");
        assert_eq!(LineColumn::locate(text, 7).unwrap().to_string(), "2:3");
        assert_eq!(LineColumn::locate(text, text.len()).unwrap().to_string(), "2:7");
        assert_eq!(LineColumn::locate(text, text.len() + 1), None);
    }
}
