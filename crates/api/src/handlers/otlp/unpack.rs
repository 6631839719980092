//! From a body to the bytes of a request, in memory that all requests share.

use base::Reservation;
use wire::decompress::{Compression, DecompressError, SizeLimit, decompress};
use wire::otlp::answer::{Code, Status};

use super::super::write::ReceivedBody;
use crate::state::OtlpState;

/// The setting that limits a request, for errors.
const MAX_REQUEST_SIZE: &str = "ingest.max-request-size";
/// How much larger bodies are, most often, than they are compressed.
const USUAL_RATIO: usize = 16;
/// A digit and a comma in JSON are eight bytes.
const JSON_RATIO: usize = 4;

/// The encoding of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Protobuf.
    Protobuf,
    /// JSON.
    Json,
}

/// A request and the memory it holds.
pub struct Unpacked {
    body: ReceivedBody,
    /// What the body became, if it was no plain request.
    unpacked: Option<Vec<u8>>,
    _memory: Option<Reservation>,
}

impl Unpacked {
    pub fn bytes(&self) -> &[u8] {
        self.unpacked.as_deref().unwrap_or(&self.body.bytes)
    }
}

/// Decompresses a body and turns JSON into protobuf.
pub fn unpack(
    otlp: &OtlpState,
    body: ReceivedBody,
    compression: Option<Compression>,
    form: Form,
) -> Result<Unpacked, Status> {
    let mut unpacked = Unpacked { body, unpacked: None, _memory: None };
    if let Some(compression) = compression {
        let (bytes, memory) = decompressed(otlp, &unpacked.body.bytes, compression)?;
        unpacked = Unpacked { unpacked: Some(bytes), _memory: Some(memory), ..unpacked };
    }
    if form == Form::Json {
        let memory = reserve(otlp, unpacked.bytes().len().saturating_mul(JSON_RATIO))?;
        let request = wire::otlp::json::to_protobuf(unpacked.bytes());
        let request =
            request.map_err(|error| Status { code: Code::InvalidArgument, message: error.to_string() })?;
        unpacked = Unpacked { unpacked: Some(request), _memory: Some(memory), ..unpacked };
    }
    Ok(unpacked)
}

/// The size is not known before, so memory is taken as most bodies need it, and all there may be for the others.
fn decompressed(
    otlp: &OtlpState,
    body: &[u8],
    compression: Compression,
) -> Result<(Vec<u8>, Reservation), Status> {
    let max_bytes = otlp.max_body_bytes;
    let mut bytes = body.len().saturating_mul(USUAL_RATIO).clamp(64 << 10, max_bytes.max(64 << 10));
    loop {
        let bytes_now = bytes.min(max_bytes);
        let mut memory = reserve(otlp, bytes_now)?;
        let (limit, mut out) = (SizeLimit { name: MAX_REQUEST_SIZE, bytes: bytes_now }, Vec::new());
        match decompress(compression, body, limit, &mut out) {
            Ok(()) => {
                memory.shrink_to(out.capacity());
                return Ok((out, memory));
            }
            Err(DecompressError::LimitExceeded { .. }) if bytes_now < max_bytes => bytes = max_bytes,
            Err(error @ DecompressError::LimitExceeded { .. }) => {
                return Err(Status { code: Code::InvalidArgument, message: error.to_string() });
            }
            Err(DecompressError::Damaged(message)) => {
                return Err(Status { code: Code::InvalidArgument, message });
            }
            Err(DecompressError::Memory(exceeded)) => {
                return Err(Status { code: Code::Unavailable, message: exceeded.to_string() });
            }
        }
    }
}

fn reserve(otlp: &OtlpState, bytes: usize) -> Result<Reservation, Status> {
    let reserved = otlp.budget.reserve(bytes);
    reserved.map_err(|error| Status { code: Code::Unavailable, message: error.to_string() })
}
