//! What can be wrong with a query, in the words users of the language know.

use model::QueryStop;
use model::source::SourceError;
use syntax::{LineColumn, Span};

/// A text that is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Where, if it is about a place.
    pub span: Option<Span>,
    place: Option<(usize, usize)>,
    problem: String,
}

impl ParseError {
    /// An error at a place of `text`. Without `has_line` the line is told as 0, as the reference does where it has
    /// looked ahead.
    pub(crate) fn at(text: &str, span: Span, has_line: bool, problem: String) -> Self {
        let place = LineColumn::locate(text, span.start).map(|at| {
            // Columns count characters here.
            let start = span.start - (at.column - 1);
            let column = text[start..span.start].chars().count() + 1;
            (if has_line { at.line } else { 0 }, column)
        });
        Self { span: Some(span), place, problem }
    }

    /// An error about the query as a whole.
    pub(crate) fn general(problem: impl Into<String>) -> Self {
        Self { span: None, place: None, problem: problem.into() }
    }

    /// The text of the query with the place marked below it, where there is a place.
    pub fn render(&self, text: &str) -> String {
        match self.span {
            Some(span) => syntax::diagnostic::render(text, span, &self.problem),
            None => self.to_string(),
        }
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "parse error at line {line}, col {column}: {}", self.problem),
            None => write!(f, "parse error : {}", self.problem),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The text is no query.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query asks for what it may not have.
    #[error("{0}")]
    Refused(String),
    /// A series of a metric query has an error.
    #[error(
        "pipeline error: '{error}' for series: '{series}'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"{error}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    )]
    Pipeline {
        /// The kind of the error.
        error: String,
        /// The labels of the series.
        series: String,
    },
    /// More series than a query may have.
    #[error(
        "maximum number of series ({0}) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()"
    )]
    TooManySeries(usize),
    /// The evaluation failed.
    #[error("{0}")]
    Execution(String),
    /// The storage failed, or the query was stopped.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<QueryStop> for QueryError {
    fn from(stop: QueryStop) -> Self {
        Self::Source(SourceError::Stopped(stop))
    }
}
