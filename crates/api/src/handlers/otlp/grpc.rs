//! The metrics service over gRPC: one method, one message in, one out.
//!
//! gRPC is HTTP/2 with a prefix of five bytes before each message and the outcome in trailers. For the one unary
//! method that OTLP has this page is less than the generated code of a framework, adds nothing to build, and lets
//! the request be walked in place as over plain HTTP.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame};
use wire::decompress::Compression;
use wire::otlp::answer::{Code, Status};

use super::super::Shared;
use super::super::write::{plain, read_body, tenant_of};
use super::unpack::Form;
use super::{SWITCHED_OFF, body_status, compression_of, log, store};

/// Where senders find the method, whatever prefix other routes have.
pub const PATH: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// A flag and a length of four bytes before each message.
const PREFIX_BYTES: usize = 5;
/// Bytes of a message in trailers: senders take few in all of them.
const MAX_MESSAGE_BYTES: usize = 2048;

/// `Export` of the metrics service.
pub async fn export(State(state): State<Shared>, request: Request) -> Response {
    let headers = request.headers().clone();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_grpc(text("content-type")) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected content type {GRPC}"));
    }
    if request.version() != Version::HTTP_2 {
        return plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2");
    }
    let outcome = match timeout(text("grpc-timeout")) {
        Err(status) => Err(status),
        Ok(None) => answer(state, request, &headers).await,
        Ok(Some(limit)) => match tokio::time::timeout(limit, answer(state, request, &headers)).await {
            Ok(outcome) => outcome,
            // What is being stored is stored all the same: nobody is told.
            Err(_) => Err(status(Code::DeadlineExceeded, "deadline exceeded")),
        },
    };
    match outcome {
        Ok(message) => done(&message),
        Err(status) => {
            log(&status);
            failed(&status)
        }
    }
}

fn status(code: Code, message: impl Into<String>) -> Status {
    Status { code, message: message.into() }
}

/// `application/grpc` with or without the name of the one encoding there is.
fn is_grpc(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    matches!(media_type.strip_prefix(GRPC), Some("" | "+proto"))
}

async fn answer(state: Shared, request: Request, headers: &HeaderMap) -> Result<Vec<u8>, Status> {
    let Some(otlp) = state.otlp.clone() else { return Err(status(Code::Unimplemented, SWITCHED_OFF)) };
    if !state.system.is_ready() {
        return Err(status(Code::Unavailable, "Service Unavailable"));
    }
    let encoding = headers.get("grpc-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let compression = compression_of(encoding)
        .map_err(|()| status(Code::Unimplemented, format!("compression {encoding:?} is not supported")))?;
    let tenant = tenant_of(headers);
    let max_bytes = otlp.max_body_bytes.saturating_add(PREFIX_BYTES);
    let mut body = read_body(request, &otlp.budget, max_bytes).await.map_err(|error| body_status(&error))?;
    let compression = message_compression(&body.bytes, compression)?;
    body.bytes.drain(..PREFIX_BYTES);
    let response = store(otlp, tenant, body, compression, Form::Protobuf).await?;
    Ok(response.to_protobuf())
}

/// How the one message in a body is compressed.
fn message_compression(body: &[u8], named: Option<Compression>) -> Result<Option<Compression>, Status> {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(status(Code::Internal, "the request ends before its message"));
    };
    let [flag, length @ ..] = *prefix;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if message.len() < length {
        return Err(status(Code::Internal, "the request ends within its message"));
    }
    if message.len() > length {
        return Err(status(Code::Internal, "something follows the message of the request"));
    }
    match (flag, named) {
        (0, _) => Ok(None),
        (1, Some(compression)) => Ok(Some(compression)),
        (1, None) => Err(status(Code::Internal, "the message is compressed, but no encoding is named")),
        (flag, _) => Err(status(Code::Internal, format!("unknown flag {flag} of a message"))),
    }
}

/// The time a sender waits: at most eight digits and a unit.
fn timeout(text: &str) -> Result<Option<Duration>, Status> {
    let Some(unit) = text.chars().next_back() else { return Ok(None) };
    let digits = &text[..text.len() - unit.len_utf8()];
    let number = digits.parse::<u64>().ok().filter(|_| digits.len() <= 8);
    let limit = number.and_then(|number| match unit {
        'H' => Some(Duration::from_secs(number * 3600)),
        'M' => Some(Duration::from_secs(number * 60)),
        'S' => Some(Duration::from_secs(number)),
        'm' => Some(Duration::from_millis(number)),
        'u' => Some(Duration::from_micros(number)),
        'n' => Some(Duration::from_nanos(number)),
        _ => None,
    });
    limit.map(Some).ok_or_else(|| status(Code::Internal, format!("invalid grpc-timeout {text:?}")))
}

fn done(message: &[u8]) -> Response {
    let mut framed = Vec::with_capacity(PREFIX_BYTES + message.len());
    framed.push(0);
    // Texts in answers are short.
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(0))]);
    let body = Unary { message: Some(framed.into()), trailers: Some(trailers) };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(GRPC)), accept_encoding()];
    (headers, Body::new(body)).into_response()
}

/// A failure is told in the headers, and there is no body.
fn failed(status: &Status) -> Response {
    let message = percent_encoded(&status.message);
    let message = HeaderValue::from_str(&message).unwrap_or_else(|_| HeaderValue::from_static(""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(GRPC)),
        accept_encoding(),
        (GRPC_STATUS, HeaderValue::from(status.code as u16)),
        (GRPC_MESSAGE, message),
    ];
    (headers, Body::empty()).into_response()
}

fn accept_encoding() -> (HeaderName, HeaderValue) {
    (GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip,zstd"))
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if out.len() > MAX_MESSAGE_BYTES {
            break;
        }
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// One message and what follows it.
struct Unary {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl HttpBody for Unary {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let message = self.message.take().map(Frame::data);
        Poll::Ready(message.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_units() {
        assert_eq!(timeout("").unwrap(), None);
        assert_eq!(timeout("10S").unwrap(), Some(Duration::from_secs(10)));
        assert_eq!(timeout("99999999H").unwrap(), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(timeout("250m").unwrap(), Some(Duration::from_millis(250)));
        for wrong in ["S", "1", "100000000S", "1é", "-1S", "1.5S"] {
            assert_eq!(timeout(wrong).unwrap_err().code, Code::Internal, "{wrong}");
        }
    }

    #[test]
    fn a_body_is_one_whole_message() {
        let told = |body: &[u8], named| message_compression(body, named).map_err(|status| status.message);
        assert_eq!(told(&[0, 0, 0, 0, 1, 7], Some(Compression::Gzip)), Ok(None));
        assert_eq!(told(&[1, 0, 0, 0, 1, 7], Some(Compression::Zstd)), Ok(Some(Compression::Zstd)));
        assert_eq!(told(&[0, 0, 0, 0], None), Err("the request ends before its message".to_owned()));
        assert_eq!(told(&[0, 0, 0, 0, 2, 7], None), Err("the request ends within its message".to_owned()));
        assert!(told(&[0, 0xff, 0xff, 0xff, 0xff], None).is_err());
        assert!(told(&[0, 0, 0, 0, 0, 7], None).unwrap_err().starts_with("something follows"));
        assert!(told(&[1, 0, 0, 0, 1, 7], None).unwrap_err().contains("no encoding"));
        assert_eq!(told(&[2, 0, 0, 0, 0], None), Err("unknown flag 2 of a message".to_owned()));
    }

    #[test]
    fn messages_are_made_fit_for_trailers() {
        assert_eq!(percent_encoded("100% of \"é\"\n"), "100%25 of \"%C3%A9\"%0A");
        assert!(percent_encoded(&"é".repeat(100_000)).len() < MAX_MESSAGE_BYTES + 4);
    }

    #[test]
    fn other_encodings_of_messages_are_not_taken() {
        assert!(is_grpc("application/grpc") && is_grpc("application/grpc+proto; x=y"));
        assert!(!is_grpc("application/grpc+json") && !is_grpc("application/grpc-web") && !is_grpc(""));
    }
}
