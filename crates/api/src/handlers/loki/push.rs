//! `push`, the push of old, and OpenTelemetry.
//!
//! The memory of a push is taken from what all pushes share: its body as it arrives, unpacked as it grows, and what it
//! stands for as it is read. Where others hold that memory, the sender is asked to come again; what would not even fit
//! alone is too large.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::Reservation;
use base::budget::BudgetExceeded;
use bytes::Bytes;
use model::logs::{PushRefusal, RefusalKind};
use wire::decompress::{Compression, DecompressError, SizeLimit, decompress_within};
use wire::loki::{PushError, PushRequest};
use wire::otlp::answer::{Code, Status};

use super::respond::Failure;
use super::{LogState, Logs, admission, crashed};
use crate::handlers::write::{ReceivedBody, ask_to_come_again, plain, read_body};

const LIMIT_NAME: &str = "server.max-push-bytes";
/// How often is looked whether there is room again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Protobuf,
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type of a request in small letters, without its parameters.
fn media_type(headers: &HeaderMap) -> Result<String, &'static str> {
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
    Ok(media_type.to_ascii_lowercase())
}

/// A body as it came, with its headers and what it holds of memory.
struct Received {
    headers: HeaderMap,
    body: ReceivedBody,
}

impl Received {
    /// The body as its headers say it is packed, and its memory. What is unpacked takes the place of what came.
    fn unpacked(self, state: &LogState, form: Form) -> Result<(Bytes, Reservation), Refused> {
        let (bytes, memory) = match text(&self.headers, header::CONTENT_ENCODING) {
            // Protobuf is always packed so, whether shippers say it or not, and nothing else is.
            "" | "snappy" => {
                let (bytes, memory) = self.body.into_parts();
                (Bytes::from(bytes), memory)
            }
            name => unpack(state, &self.body.bytes, named(name)?, |problem| problem)?,
        };
        match form {
            Form::Json => Ok((bytes, memory)),
            Form::Protobuf => {
                unpack(state, &bytes, Compression::SnappyBlock, |_| "snappy: corrupt input".to_owned())
            }
        }
    }

    /// The same of OpenTelemetry, whose protobuf is packed as it says.
    fn unpacked_otlp(self, state: &LogState) -> Result<(Bytes, Reservation), Refused> {
        match text(&self.headers, header::CONTENT_ENCODING) {
            "" | "identity" => {
                let (bytes, memory) = self.body.into_parts();
                Ok((bytes.into(), memory))
            }
            name => {
                let compression = named(name)?;
                unpack(state, &self.body.bytes, compression, |problem| problem)
            }
        }
    }
}

fn named(encoding: &str) -> Result<Compression, Failure> {
    Ok(match encoding {
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        "deflate" => Compression::Deflate,
        "snappy" => Compression::SnappyBlock,
        other => return Err(Failure::bad(format!("Content-Encoding {other:?} not supported"))),
    })
}

fn unpack(
    state: &LogState,
    packed: &[u8],
    compression: Compression,
    damaged: impl Fn(String) -> String,
) -> Result<(Bytes, Reservation), Refused> {
    let limit = SizeLimit { name: LIMIT_NAME, bytes: state.options.max_body_bytes };
    let nothing = state.body_budget.reserve(0).map_err(|exceeded| lacking(&exceeded, 0));
    let mut memory = nothing?;
    match decompress_within(compression, packed, limit, &mut memory) {
        Ok(unpacked) => Ok((unpacked.into(), memory)),
        Err(DecompressError::Damaged(problem)) => Err(Failure::bad(damaged(problem)).into()),
        Err(error @ DecompressError::LimitExceeded { .. }) => {
            Err(Refused::Push(PushRefusal::new(RefusalKind::TooLarge, error.to_string())))
        }
        Err(DecompressError::Memory(exceeded)) => Err(lacking(&exceeded, memory.bytes())),
    }
}

/// Why a push is not taken.
enum Refused {
    /// Before it could be looked at.
    Early(Failure),
    /// By whoever stores it.
    Push(PushRefusal),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Early(failure)
    }
}

impl From<PushRefusal> for Refused {
    fn from(refusal: PushRefusal) -> Self {
        Self::Push(refusal)
    }
}

/// There is not the memory a push wants that has `own_bytes` already.
fn lacking(exceeded: &BudgetExceeded, own_bytes: usize) -> Refused {
    let fits_alone = own_bytes.saturating_add(exceeded.wanted_bytes) <= exceeded.limit_bytes;
    let refusal = if fits_alone {
        PushRefusal::busy(exceeded.to_string())
    } else {
        PushRefusal::new(RefusalKind::TooLarge, exceeded.to_string())
    };
    Refused::Push(refusal)
}

fn status_of(kind: RefusalKind) -> u16 {
    match kind {
        RefusalKind::Invalid => 400,
        RefusalKind::TooLarge => 413,
        RefusalKind::Empty => 422,
        RefusalKind::Limited => 429,
        RefusalKind::Failed => 500,
        RefusalKind::Busy => 503,
        RefusalKind::Blocked(status) => status,
    }
}

impl Refused {
    fn parts(self) -> (u16, String, Option<Duration>) {
        match self {
            Self::Early(failure) => (failure.status, failure.text, None),
            Self::Push(refusal) => (status_of(refusal.kind), refusal.text, refusal.retry_after),
        }
    }
}

/// Waits until there is room and a thread, without holding one.
async fn turn(state: &Logs) -> Result<tokio::sync::OwnedSemaphorePermit, Refused> {
    let patience = state.options.push_patience;
    let until = tokio::time::Instant::now() + patience;
    while let Some(lack) = state.receiver.lack_of_room() {
        if tokio::time::Instant::now() >= until {
            return Err(PushRefusal::busy(lack).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let left = until.saturating_duration_since(tokio::time::Instant::now());
    state.pushes.turn(left).await.map_err(|_: admission::Refused| {
        PushRefusal::busy("too many pushes are worked on, come again in a second").into()
    })
}

async fn receive(state: &Logs, request: Request) -> Result<Received, Response> {
    let headers = request.headers().clone();
    let body = read_body(request, &state.body_budget, state.options.max_body_bytes);
    Ok(Received { headers, body: body.await.map_err(IntoResponse::into_response)? })
}

/// Takes a body in, waits for its turn, and works on it.
async fn work(
    state: Logs,
    received: Received,
    work: impl FnOnce(&LogState, Received) -> Result<(), Refused> + Send + 'static,
) -> Result<(), Refused> {
    let turn = turn(&state).await?;
    let metrics = state.metrics.clone();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(&state, received)
    });
    done.await.unwrap_or_else(|error| Err(crashed(metrics.as_ref(), "push", &error).into()))
}

type Decode = fn(&[u8], &mut Reservation) -> Result<PushRequest, PushError>;

async fn store(state: Logs, request: Request, decode: Decode) -> Response {
    let form = match media_type(request.headers()) {
        Ok(json) if json == "application/json" => Form::Json,
        Ok(_) => Form::Protobuf,
        Err(problem) => return plain(StatusCode::BAD_REQUEST, problem),
    };
    let received = match receive(&state, request).await {
        Ok(received) => received,
        Err(response) => return response,
    };
    let done = work(state, received, move |state, received| {
        let tenant = state.tenant(&received.headers)?;
        let (body, mut memory) = received.unpacked(state, form)?;
        let request = match form {
            Form::Json => decode(&body, &mut memory),
            Form::Protobuf => wire::loki::protobuf::decode(&body, &mut memory),
        };
        let request = request.map_err(|error| match error {
            PushError::Memory(exceeded) => lacking(&exceeded, memory.bytes()),
            error => Failure::bad(error.to_string()).into(),
        })?;
        Ok(state.receiver.push(&tenant, request, &mut memory)?)
    });
    match done.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => {
            let (status, text, retry_after) = refused.parts();
            let mut response = Failure::new(status, text).into_response();
            ask_to_come_again(&mut response, retry_after);
            response
        }
    }
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
    let done = work(state, received, move |state, received| {
        let tenant = state.tenant(&received.headers)?;
        let (mut body, mut memory) = received.unpacked_otlp(state)?;
        if form == Form::Json {
            // The same in protobuf is not longer.
            memory.grow(body.len()).map_err(|exceeded| lacking(&exceeded, memory.bytes()))?;
            let translated = wire::otlp::logs::json_to_protobuf(&body);
            body = translated.map_err(|error| Failure::bad(error.to_string()))?.into();
        }
        Ok(state.receiver.push_otlp(&tenant, &body, &mut memory)?)
    });
    match done.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => {
            let (code, text, retry_after) = refused.parts();
            let mut response = status(code, &text);
            ask_to_come_again(&mut response, retry_after);
            response
        }
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
