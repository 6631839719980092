//! The door logs come through: limits, validation, storage.

use std::sync::Arc;
use std::time::Duration;

use base::ErrorKind;
use base::clock::SharedClock;
use hashbrown::HashMap;
use model::TenantId;
use model::logs::{LogAppendError, LogAppender};
use parking_lot::Mutex;
use wire::loki::PushRequest;

use super::limits::LogLimits;
use super::prepare::{Prepared, Problem, prepare};
use crate::limits::{Limits, Refused, TokenBucket};

/// Tenants whose rate is remembered.
const MAX_TENANTS: usize = 10_000;
/// What a request is told that holds no stream.
const NO_STREAM: &str = "error at least one valid stream is required for ingestion";

/// Stores what is pushed.
pub struct LogReceiver {
    appender: Arc<dyn LogAppender>,
    limits: LogLimits,
    clock: SharedClock,
    rates: Mutex<HashMap<TenantId, TokenBucket>>,
}

/// Why a request was not stored, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the sender can do.
    pub kind: ErrorKind,
    /// Whether there was nothing to store.
    pub is_empty: bool,
    /// What is wrong, for the sender.
    pub text: String,
    /// When to come again, where that helps.
    pub retry_after: Option<Duration>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { kind: problem.kind, is_empty: false, text: problem.text, retry_after: None }
    }
}

impl LogReceiver {
    /// A door to `appender`.
    pub fn new(appender: Arc<dyn LogAppender>, limits: LogLimits, clock: SharedClock) -> Self {
        Self { appender, limits, clock, rates: Mutex::default() }
    }

    fn now_ns(&self) -> i64 {
        self.clock.now_ms().saturating_mul(1_000_000)
    }

    /// Stores a request as log shippers send it. Blocks.
    pub fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<(), Refusal> {
        if request.streams.is_empty() {
            return Err(nothing());
        }
        self.store(tenant, prepare(request, &self.limits, self.now_ns())?)
    }

    /// Stores a request of OpenTelemetry in protobuf. Blocks.
    pub fn push_otlp(&self, tenant: &TenantId, body: &[u8]) -> Result<(), Refusal> {
        let prepared = super::otlp::prepare(body, &self.limits, self.now_ns())?;
        if prepared.entries == 0 && prepared.problem.is_none() {
            return Err(nothing());
        }
        self.store(tenant, prepared)
    }

    fn store(&self, tenant: &TenantId, prepared: Prepared) -> Result<(), Refusal> {
        if prepared.entries > 0 {
            self.take(tenant, &prepared)?;
            self.appender
                .append(tenant, prepared.batches)
                .inspect_err(|error| {
                    if let LogAppendError::Storage(problem) = error {
                        tracing::error!(error = problem, "logs cannot be stored");
                    }
                })
                .map_err(|error| Refusal {
                    kind: match error {
                        LogAppendError::Busy(_) => ErrorKind::Unavailable,
                        LogAppendError::Storage(_) => ErrorKind::Internal,
                    },
                    is_empty: false,
                    text: error.to_string(),
                    retry_after: Some(Duration::from_secs(1)),
                })?;
        }
        prepared.problem.map_or(Ok(()), |problem| Err(problem.into()))
    }

    /// Takes the bytes of a request from what the tenant may push.
    fn take(&self, tenant: &TenantId, prepared: &Prepared) -> Result<(), Refusal> {
        if self.limits.ingestion_rate_bytes <= 0.0 {
            return Ok(());
        }
        let limits = Limits {
            ingestion_rate: self.limits.ingestion_rate_bytes,
            ingestion_burst_size: self.limits.ingestion_burst_bytes,
            ..Limits::NONE
        };
        let mut rates = self.rates.lock();
        if rates.len() >= MAX_TENANTS && !rates.contains_key(tenant) {
            rates.clear();
        }
        let refused =
            rates.entry(tenant.clone()).or_default().take(prepared.bytes, &limits, self.clock.monotonic());
        refused.map_err(|refused| Refusal {
            kind: ErrorKind::LimitExceeded,
            is_empty: false,
            text: format!(
                "ingestion rate limit exceeded for user {} (limit: {} bytes/sec) while attempting to ingest '{}' lines totaling '{}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased",
                tenant.0, self.limits.ingestion_rate_bytes, prepared.entries, prepared.bytes
            ),
            retry_after: match refused {
                Refused::Wait(wait) => Some(wait),
                Refused::Never => None,
            },
        })
    }
}

fn nothing() -> Refusal {
    Refusal { kind: ErrorKind::InvalidInput, is_empty: true, text: NO_STREAM.to_owned(), retry_after: None }
}
