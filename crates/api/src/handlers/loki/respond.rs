//! Failures as senders see them: plain text, with the codes they know.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use logql::{LogQueryError, ParseError, QueryError};
use model::{QueryStop, SourceError};

use super::admission::Refused;
use crate::handlers::write::plain;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub status: u16,
    pub text: String,
}

impl Failure {
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The request is wrong.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        plain(status, self.text)
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<LogQueryError> for Failure {
    fn from(error: LogQueryError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        if matches!(error, SourceError::Corruption(_) | SourceError::Storage(_)) {
            tracing::error!(%error, "logs cannot be read");
        }
        let status = match &error {
            SourceError::Stopped(QueryStop::Timeout(_)) => 504,
            SourceError::Stopped(QueryStop::Canceled(_)) => 499,
            SourceError::Stopped(QueryStop::Budget(_)) => 400,
            SourceError::Corruption(_) | SourceError::Storage(_) => 500,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooManyWait => Self::new(429, "too many outstanding requests"),
            Refused::Timeout => Self::new(504, "query timed out while it waited for other queries to end"),
        }
    }
}

impl From<QueryStop> for Failure {
    fn from(stop: QueryStop) -> Self {
        SourceError::Stopped(stop).into()
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Source(error) => error.into(),
            QueryError::Execution(text) => Self::new(500, text),
            other => Self::bad(other.to_string()),
        }
    }
}
