//! `/api/v1/write` and `/api/v1/push`: remote write, versions 1.0 and 2.0.
//!
//! Errors are plain text, as senders expect. Bodies are read into memory that all requests share: when there is
//! no more, senders are asked to come again.

mod body;
mod media;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::ErrorKind;
use model::TenantId;
use wire::remote_write::{EXEMPLARS_WRITTEN, HISTOGRAMS_WRITTEN, MessageType, SAMPLES_WRITTEN};

pub use self::body::{BodyRefused, ReceivedBody, read_body};
use super::Shared;
use crate::state::{PushOutcome, PushProblem, RemoteWriteRequest};

/// The tenant a request is for: that of its header, or the default one. A name that is no text is kept as one that
/// is nobody's.
pub fn tenant_of(headers: &HeaderMap) -> TenantId {
    match headers.get("x-scope-orgid").map(|value| value.as_bytes()) {
        None | Some(b"") => TenantId::default(),
        Some(name) => TenantId(String::from_utf8_lossy(name).into()),
    }
}

/// A plain-text error.
pub(super) fn plain(status: StatusCode, text: impl std::fmt::Display) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, format!("{text}\n")).into_response()
}

/// `POST /write`, `POST /push`
pub async fn write(State(state): State<Shared>, request: Request) -> Response {
    let Some(write) = &state.write else {
        let text = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";
        return plain(StatusCode::NOT_FOUND, text);
    };
    let message = match media::message_type(request.headers(), &write.accepted) {
        Ok(message) => message,
        Err(problem) => return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem),
    };
    let tenant = tenant_of(request.headers());
    let body = match read_body(request, &write.budget, write.max_body_bytes).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let receiver = write.receiver.clone();
    // Decompressing, decoding and storing are work and wait for the disk.
    let stored = tokio::task::spawn_blocking(move || {
        receiver.remote_write(RemoteWriteRequest { tenant, message, body: &body.bytes })
    });
    match stored.await {
        Ok(outcome) => answer(message, &outcome),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("remote write failed: {error}")),
    }
}

fn answer(message: MessageType, outcome: &PushOutcome) -> Response {
    let mut response = match &outcome.problem {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(problem) => problem_response(problem),
    };
    // With a success, some senders of the first version were led astray by these. With an error they tell that what is
    // not refused is stored, so that it need not be sent again in parts.
    if message == MessageType::V2 || outcome.problem.is_some() {
        let counts = [
            (SAMPLES_WRITTEN, outcome.samples),
            (HISTOGRAMS_WRITTEN, outcome.histograms),
            (EXEMPLARS_WRITTEN, outcome.exemplars),
        ];
        for (name, count) in counts {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
        }
    }
    response
}

/// A problem with what was pushed, as its sender sees it.
pub(super) fn problem_response(problem: &PushProblem) -> Response {
    let status = match problem.kind {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = problem.message, "pushed samples cannot be stored");
    }
    let mut response = plain(status, &problem.message);
    ask_to_come_again(&mut response, problem.retry_after);
    response
}

/// Says when a request may succeed: in whole seconds, and never sooner than it can.
pub(super) fn ask_to_come_again(response: &mut Response, after: Option<std::time::Duration>) {
    if let Some(after) = after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
}
