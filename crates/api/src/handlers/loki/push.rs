//! `push`, the push of old, and OpenTelemetry.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use wire::decompress::{Compression, SizeLimit, decompress};
use wire::loki::{PushError, PushRequest};
use wire::otlp::answer::{Code, Status};

use super::respond::Failure;
use super::{LogPushProblem, LogState, Logs};
use crate::handlers::write::{ask_to_come_again, plain, read_body};

const LIMIT_NAME: &str = "server.max-push-bytes";

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Protobuf,
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type of a request, without its parameters.
fn media_type(headers: &HeaderMap) -> Result<&str, &'static str> {
    let content_type = text(headers, header::CONTENT_TYPE);
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if media_type.is_empty() {
        return Err("mime: no media type");
    }
    let is_parameter =
        |part: &str| part.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty());
    if parts.any(|part| !part.is_empty() && !is_parameter(part)) {
        return Err("mime: invalid media parameter");
    }
    Ok(media_type)
}

/// Unpacks a body as its headers say.
fn unpack(state: &LogState, body: Vec<u8>, encoding: &str) -> Result<Bytes, Failure> {
    let limit = SizeLimit { name: LIMIT_NAME, bytes: state.options.max_unpacked_bytes };
    let compression = match encoding {
        "" | "identity" => return Ok(body.into()),
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        "deflate" => Compression::Deflate,
        "snappy" => Compression::SnappyBlock,
        other => return Err(Failure::bad(format!("Content-Encoding {other:?} not supported"))),
    };
    let mut out = Vec::new();
    decompress(compression, &body, limit, &mut out).map_err(|error| Failure::bad(error.to_string()))?;
    Ok(out.into())
}

fn unpack_snappy(state: &LogState, body: &[u8]) -> Result<Bytes, Failure> {
    let limit = SizeLimit { name: LIMIT_NAME, bytes: state.options.max_unpacked_bytes };
    let mut out = Vec::new();
    decompress(Compression::SnappyBlock, body, limit, &mut out).map_err(|error| match error {
        wire::decompress::DecompressError::Damaged(_) => Failure::bad("snappy: corrupt input"),
        other => Failure::bad(other.to_string()),
    })?;
    Ok(out.into())
}

/// A body as it came, with its headers.
struct Received {
    headers: HeaderMap,
    body: Vec<u8>,
    _memory: crate::handlers::write::ReceivedBody,
}

async fn receive(state: &Logs, request: Request) -> Result<Received, Response> {
    let headers = request.headers().clone();
    let mut received = read_body(request, &state.body_budget, state.options.max_body_bytes)
        .await
        .map_err(IntoResponse::into_response)?;
    let body = std::mem::take(&mut received.bytes);
    Ok(Received { headers, body, _memory: received })
}

type Decode = fn(&[u8]) -> Result<PushRequest, PushError>;

async fn store(state: Logs, request: Request, decode: Decode) -> Response {
    let form = match media_type(request.headers()) {
        Ok("application/json") => Form::Json,
        Ok(_) => Form::Protobuf,
        Err(problem) => return plain(StatusCode::BAD_REQUEST, problem),
    };
    let received = match receive(&state, request).await {
        Ok(received) => received,
        Err(response) => return response,
    };
    let done = tokio::task::spawn_blocking(move || {
        let tenant = state.tenant(&received.headers)?;
        let encoding = text(&received.headers, header::CONTENT_ENCODING).to_owned();
        let request = match form {
            Form::Json => decode(&unpack(&state, received.body, &encoding)?),
            Form::Protobuf => wire::loki::protobuf::decode(&unpack_snappy(&state, &received.body)?),
        };
        let request = request.map_err(|error| Failure::bad(error.to_string()))?;
        Ok::<_, Failure>(state.receiver.push(&tenant, request))
    });
    match done.await {
        Ok(Ok(Ok(()))) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(Err(problem))) => refused(&problem),
        Ok(Err(failure)) => failure.into_response(),
        Err(error) => Failure::new(500, format!("push failed: {error}")).into_response(),
    }
}

fn refused(problem: &LogPushProblem) -> Response {
    let mut response = Failure::new(problem.status(), problem.text.clone()).into_response();
    ask_to_come_again(&mut response, problem.retry_after);
    response
}

/// `POST /loki/api/v1/push`
pub(super) async fn push(State(state): State<Logs>, request: Request) -> Response {
    store(state, request, wire::loki::json::decode).await
}

/// `POST /api/prom/push`
pub(super) async fn push_legacy(State(state): State<Logs>, request: Request) -> Response {
    store(state, request, wire::loki::json::decode_legacy).await
}

/// `POST /otlp/v1/logs`
pub(super) async fn otlp(State(state): State<Logs>, request: Request) -> Response {
    let given = text(request.headers(), header::CONTENT_TYPE).to_owned();
    let form = match given.split(';').next().unwrap_or_default().trim() {
        "application/json" => Form::Json,
        "application/x-protobuf" => Form::Protobuf,
        _ => return status(400, &format!("content type: {given} is not supported")),
    };
    let received = match receive(&state, request).await {
        Ok(received) => received,
        Err(response) => return response,
    };
    let done = tokio::task::spawn_blocking(move || {
        let tenant = state.tenant(&received.headers)?;
        let encoding = text(&received.headers, header::CONTENT_ENCODING).to_owned();
        let body = unpack(&state, received.body, &encoding)?;
        let body = match form {
            Form::Protobuf => body,
            Form::Json => wire::otlp::logs::json_to_protobuf(&body)
                .map_err(|error| Failure::bad(error.to_string()))?
                .into(),
        };
        Ok::<_, Failure>(state.receiver.push_otlp(&tenant, &body))
    });
    match done.await {
        Ok(Ok(Ok(()))) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(Err(problem))) => {
            let mut response = status(problem.status(), &problem.text);
            ask_to_come_again(&mut response, problem.retry_after);
            response
        }
        Ok(Err(failure)) => status(failure.status, &failure.text),
        Err(error) => status(500, &format!("push failed: {error}")),
    }
}

/// A failure as senders of OpenTelemetry read it.
fn status(code: u16, message: &str) -> Response {
    let kind = match code {
        400..=422 => Code::InvalidArgument,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        _ => Code::Internal,
    };
    let body = Status { code: kind, message: message.to_owned() }.to_protobuf();
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/octet-stream")], body).into_response()
}
