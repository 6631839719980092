//! OpenTelemetry metrics: `/api/v1/otlp/v1/metrics`, and the same service over gRPC.
//!
//! Answers come in the encoding of the request, as OTLP over HTTP wants it: what was refused in part with status 200,
//! and failures as the status message of gRPC.

pub mod grpc;
mod unpack;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::TenantId;
use wire::decompress::Compression;
use wire::otlp::answer::{Code, ExportResponse, Status};

use self::unpack::{Form, unpack};
use super::Shared;
use super::write::{BodyRefused, ReceivedBody, plain, read_body, tenant_of};
use crate::state::OtlpState;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
/// What is said where the receiver is switched off.
const SWITCHED_OFF: &str = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver";

/// `POST /otlp/v1/metrics`
pub async fn metrics(State(state): State<Shared>, request: Request) -> Response {
    let Some(otlp) = state.otlp.clone() else { return plain(StatusCode::NOT_FOUND, SWITCHED_OFF) };
    let (form, compression) = match encoding(request.headers()) {
        Ok(encoding) => encoding,
        Err(problem) => return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem),
    };
    let tenant = tenant_of(request.headers());
    let body = match read_body(request, &otlp.budget, otlp.max_body_bytes).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    match store(otlp, tenant, body, compression, form).await {
        Ok(response) => accepted(&response, form),
        Err(status) => refused(&status, form),
    }
}

/// How a request is written and compressed; the error is for its sender.
fn encoding(headers: &HeaderMap) -> Result<(Form, Option<Compression>), String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content_type, content_encoding) = (text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING));
    let form = match content_type.split(';').next().unwrap_or_default().trim() {
        JSON => Form::Json,
        PROTOBUF => Form::Protobuf,
        _ => {
            return Err(format!("unsupported content type: {content_type}, supported: [{JSON}, {PROTOBUF}]"));
        }
    };
    let compression = compression_of(content_encoding).map_err(|()| {
        format!(
            "unsupported compression: {content_encoding}. Only \"gzip\", \"zstd\" or no compression supported"
        )
    })?;
    Ok((form, compression))
}

/// The compression of this name; an error for one that is not known here.
fn compression_of(name: &str) -> Result<Option<Compression>, ()> {
    match name {
        "" | "identity" => Ok(None),
        "gzip" => Ok(Some(Compression::Gzip)),
        "zstd" => Ok(Some(Compression::Zstd)),
        _ => Err(()),
    }
}

/// Unpacks and stores a request: work that also waits for the disk.
async fn store(
    otlp: Arc<OtlpState>,
    tenant: TenantId,
    body: ReceivedBody,
    compression: Option<Compression>,
    form: Form,
) -> Result<ExportResponse, Status> {
    let stored = tokio::task::spawn_blocking(move || {
        let unpacked = unpack(&otlp, body, compression, form)?;
        otlp.receiver.export(&tenant, unpacked.bytes())
    });
    stored.await.unwrap_or_else(|error| {
        Err(Status { code: Code::Internal, message: format!("storing OTLP metrics failed: {error}") })
    })
}

fn accepted(response: &ExportResponse, form: Form) -> Response {
    match form {
        Form::Json => ([(header::CONTENT_TYPE, JSON)], response.to_json()).into_response(),
        Form::Protobuf => ([(header::CONTENT_TYPE, PROTOBUF)], response.to_protobuf()).into_response(),
    }
}

fn refused(status: &Status, form: Form) -> Response {
    let code = match status.code {
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    log(status);
    let mut response = match form {
        Form::Json => (code, [(header::CONTENT_TYPE, JSON)], status.to_json()).into_response(),
        Form::Protobuf => (code, [(header::CONTENT_TYPE, PROTOBUF)], status.to_protobuf()).into_response(),
    };
    if code == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
    }
    response
}

/// What is wrong here is logged; what is wrong with a request its sender is told.
fn log(status: &Status) {
    if matches!(status.code, Code::Internal | Code::Unavailable) {
        tracing::error!(error = status.message, "OTLP metrics cannot be stored");
    }
}

/// A body that was not read, as a status.
fn body_status(refused: &BodyRefused) -> Status {
    let code = match refused {
        BodyRefused::TooLarge(_) => Code::ResourceExhausted,
        BodyRefused::Memory(_) => Code::Unavailable,
        BodyRefused::TooSlow => Code::DeadlineExceeded,
        BodyRefused::Broken(_) => Code::Canceled,
    };
    Status { code, message: refused.to_string() }
}
