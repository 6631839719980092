//! Failures as clients see them: an error type, a status code and a text.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::ErrorKind;
use model::SourceError;
use promql::engine::QueryError;

/// The `errorType` of a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// The request is wrong.
    BadData,
    /// The query failed.
    Execution,
    /// The client went away.
    Canceled,
    /// The query took too long.
    Timeout,
    /// The server failed.
    Internal,
    /// Not available now, or switched off.
    Unavailable,
    /// There is no such thing.
    NotFound,
    /// No representation the client accepts.
    NotAcceptable,
}

impl ErrorType {
    fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::NotFound => "not_found",
            Self::NotAcceptable => "not_acceptable",
        }
    }

    /// The status code that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // Nobody reads it any more; 499 is what access logs know for that.
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal | Self::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        }
    }
}

/// A failed request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of failure it is.
    pub error_type: ErrorType,
    /// What happened, and how to mend it where the client can.
    pub message: String,
}

impl ApiError {
    /// An error of any type.
    pub fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self { error_type, message: message.into() }
    }

    /// The request is wrong.
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, message)
    }

    /// A parameter of the request is wrong.
    pub fn invalid_parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {problem}"))
    }

    /// The server failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorType::Internal, message)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let error_type = match error.kind() {
            ErrorKind::InvalidInput => ErrorType::BadData,
            ErrorKind::Timeout => ErrorType::Timeout,
            ErrorKind::Canceled => ErrorType::Canceled,
            ErrorKind::Corruption | ErrorKind::Storage | ErrorKind::Internal => ErrorType::Internal,
            _ => ErrorType::Execution,
        };
        match error {
            QueryError::Invalid(message) => Self::invalid_parameter("query", message),
            // The language's own text does not say what to change.
            QueryError::TooManySamples => Self::new(error_type, format!("{error} (limit query.max-samples)")),
            other => Self::new(error_type, other.to_string()),
        }
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        Self::from(QueryError::from(error))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "status": "error",
            "errorType": self.error_type.as_str(),
            "error": self.message,
        });
        let headers = [(header::CONTENT_TYPE, "application/json")];
        (self.error_type.status(), headers, body.to_string()).into_response()
    }
}

/// A failure outside the API proper: a line of plain text that no browser takes for anything else.
pub fn plain(status: StatusCode, message: impl std::fmt::Display) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, format!("{message}\n")).into_response()
}
