//! Remote write, both versions.
//!
//! A request is one transaction. Samples that break a rule are refused one by one, and the rest is stored: the
//! answer is an error then, but sending the request again would not help. When the storage fails, nothing is
//! stored and the sender tries again. Version 1.0 of the reference gives up the whole request with its first bad
//! sample; here, as with version 2.0, one bad sample does not cost the others.

mod append;
mod refusals;

#[cfg(test)]
mod tests;

use model::TenantId;
use wire::decompress;
use wire::remote_write::MessageType;
use wire::remote_write::decode::{DecodeError, WriteRequest, decode};

use self::append::Append;
use crate::limits::Limits;
use crate::receiver::{PushError, Receiver};

/// What was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Float samples.
    pub samples: usize,
    /// Histogram samples.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What is stored, and in the log.
    pub written: Written,
    /// Why not everything is.
    pub error: Option<PushError>,
}

impl From<PushError> for Outcome {
    /// Nothing was stored.
    fn from(error: PushError) -> Self {
        Self { written: Written::default(), error: Some(error) }
    }
}

impl From<DecodeError> for PushError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed(error) => Self::Malformed(error),
            DecodeError::Memory(error) => Self::Memory(error),
        }
    }
}

impl Receiver {
    /// Stores a request: `body` as it came, one Snappy block.
    pub fn remote_write(&self, tenant: &TenantId, message: MessageType, body: &[u8]) -> Outcome {
        self.decompressed(tenant, message, body).unwrap_or_else(Outcome::from)
    }

    fn decompressed(
        &self,
        tenant: &TenantId,
        message: MessageType,
        body: &[u8],
    ) -> Result<Outcome, PushError> {
        let now_ms = self.clock.now_ms();
        let (tenant, limits) = self.tenant(tenant, now_ms)?;
        let damaged = |error: decompress::DecompressError| PushError::Encoding(error.to_string());
        let len = decompress::snappy_len(body).map_err(damaged)?;
        self.check_len(len, &limits)?;
        let mut memory = self.budget.reserve(len)?;
        let mut buffer = self.buffer(len);
        let outcome = decompress::snappy_into(body, &mut buffer[..len]).map_err(damaged).and_then(|len| {
            let request = decode(message, &buffer[..len], &mut memory)?;
            let samples = request.samples() + request.histograms() + request.exemplars();
            self.take(&tenant, &limits, samples)?;
            self.store(&tenant, &limits, &request, now_ms)
        });
        self.give_back(buffer);
        outcome
    }

    fn check_len(&self, len: usize, limits: &Limits) -> Result<(), PushError> {
        let own = usize::try_from(limits.max_request_bytes).unwrap_or(usize::MAX);
        let (limit_bytes, name) = match own {
            0 => (self.options.max_request_bytes, "ingest.max-request-size"),
            own if own > self.options.max_request_bytes => {
                (self.options.max_request_bytes, "ingest.max-request-size")
            }
            own => (own, "limits.max_request_size"),
        };
        if len > limit_bytes { Err(PushError::TooLarge { limit_bytes, name }) } else { Ok(()) }
    }

    fn store(
        &self,
        tenant: &crate::tenant::Tenant,
        limits: &Limits,
        request: &WriteRequest<'_>,
        now_ms: i64,
    ) -> Result<Outcome, PushError> {
        let appender = self.storage.appender(&tenant.id);
        Append::new(self, tenant, limits, request, appender, now_ms).run()
    }
}
