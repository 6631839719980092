//! Failures, in the shapes Alertmanager's clients know: what a request's form has against it is an object with a
//! code, what its meaning has is a text as JSON.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

/// A code for what is of the wrong type or format.
const WRONG_TYPE: u16 = 601;
/// A code for what is missing.
const REQUIRED: u16 = 602;
/// A code for a list that is too short.
const TOO_FEW: u16 = 612;

/// A failure.
#[derive(Debug)]
pub(super) enum Failure {
    /// A status, and what is wrong as a JSON text.
    Text(StatusCode, String),
    /// A status, and a code and words as a JSON object.
    Object(StatusCode, u16, String),
    /// A method that the path does not have, and those it has.
    Method(String, &'static [&'static str]),
    /// There is none, without a word.
    Absent,
}

impl Failure {
    /// What is asked for makes no sense.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Text(StatusCode::BAD_REQUEST, message.into())
    }

    /// A part of a request that cannot be read, such as `alerts body`.
    pub fn unreadable(what: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("parsing {what} from \"\" failed, because {why}");
        Self::Object(StatusCode::BAD_REQUEST, 400, message)
    }

    fn invalid(code: u16, message: String) -> Self {
        Self::Object(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// A part of a body that must be there.
    pub fn required(field: &str) -> Self {
        Self::invalid(REQUIRED, format!("{field} in body is required"))
    }

    /// A list in a body that needs an element.
    pub fn empty(field: &str) -> Self {
        Self::invalid(TOO_FEW, format!("{field} in body should have at least 1 items"))
    }

    /// A text that is not of a format; `place` is `body`, `path` or `query`.
    pub fn format(field: &str, place: &str, format: &str, text: &str) -> Self {
        let text = model::labels::Quoted(text);
        Self::invalid(WRONG_TYPE, format!("{field} in {place} must be of type {format}: {text}"))
    }

    /// Something of ours that broke.
    pub fn broken(error: impl std::fmt::Display) -> Self {
        Self::Text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Text(status, message) => (status, axum::Json(Json::String(message))).into_response(),
            Self::Object(status, code, message) => {
                (status, axum::Json(json!({"code": code, "message": message}))).into_response()
            }
            Self::Method(method, allowed) => {
                let allowed = allowed.join(",");
                let message = format!("method {method} is not allowed, but [{allowed}] are");
                let mut response = Self::Object(StatusCode::METHOD_NOT_ALLOWED, 405, message).into_response();
                if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                    response.headers_mut().insert(header::ALLOW, allowed);
                }
                response
            }
            Self::Absent => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
