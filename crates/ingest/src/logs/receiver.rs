//! The door logs come through: limits, validation, storage, and word to those who follow.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base::clock::SharedClock;
use base::metrics::Registry;
use base::{ByteBudget, Reservation};
use model::TenantId;
use model::logs::{LogAppendError, LogAppender, LogObserver, PushRefusal, RefusalKind};
use wire::loki::PushRequest;

use super::limits::{LogLimits, LogLimitsBook};
use super::metrics::{Amount, LogMetrics, Received};
use super::otlp::Room;
use super::prepare::{Prepared, prepare};
use super::tenants::{StreamRefused, Tenant, Tenants};
use crate::limits::Refused;

/// What a request is told that holds no stream.
const NO_STREAM: &str = "error at least one valid stream is required for ingestion";
/// Bytes of lines and metadata of one push, unless another limit is set.
const MAX_PUSH_BYTES: usize = 60 << 20;

/// Stores what is pushed.
pub struct LogReceiver {
    appender: Arc<dyn LogAppender>,
    observer: Option<Arc<dyn LogObserver>>,
    limits: ArcSwap<LogLimitsBook>,
    max_push_bytes: usize,
    clock: SharedClock,
    tenants: Arc<Tenants>,
    metrics: LogMetrics,
}

impl LogReceiver {
    /// A door to `appender`.
    pub fn new(appender: Arc<dyn LogAppender>, limits: impl Into<LogLimitsBook>, clock: SharedClock) -> Self {
        Self {
            appender,
            observer: None,
            limits: ArcSwap::from_pointee(limits.into()),
            max_push_bytes: MAX_PUSH_BYTES,
            clock,
            tenants: Arc::default(),
            metrics: LogMetrics::default(),
        }
    }

    /// The door, with someone who is told of what is stored.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn LogObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The door, with counters of what comes that `registry` publishes.
    #[must_use]
    pub fn published_by(self, registry: &Registry) -> Self {
        self.metrics.publish(registry, self.tenants.clone());
        self
    }

    /// The door, with another limit of what lines and metadata of one push may have.
    #[must_use]
    pub fn with_max_push_bytes(mut self, max_push_bytes: usize) -> Self {
        self.max_push_bytes = max_push_bytes;
        self
    }

    /// Goes on with other limits.
    pub fn set_limits(&self, limits: LogLimitsBook) {
        self.limits.store(Arc::new(limits));
    }

    fn now_ns(&self) -> i64 {
        self.clock.now_ms().saturating_mul(1_000_000)
    }

    /// Why nothing can be stored now without waiting. Does not block.
    pub fn lack_of_room(&self) -> Option<String> {
        self.appender.lack_of_room()
    }

    /// Stores a request of this process. Blocks.
    pub fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<(), PushRefusal> {
        let memory = ByteBudget::unlimited().reserve(0);
        let mut memory = memory.map_err(|exceeded| PushRefusal::busy(exceeded.to_string()))?;
        self.push_within(tenant, request, &mut memory)
    }

    /// Stores a request as log shippers send it; `memory` holds what it takes, and is grown by what storing it takes.
    /// Blocks.
    pub fn push_within(
        &self,
        tenant: &TenantId,
        request: PushRequest,
        memory: &mut Reservation,
    ) -> Result<(), PushRefusal> {
        if request.streams.is_empty() {
            return Err(nothing());
        }
        let limits = self.limits.load().of(tenant);
        if let Some(status) = self.blocked(&limits) {
            let lines = |stream: &wire::loki::PushStream| {
                let bytes = stream.entries.iter().map(|entry| entry.line.len() as u64).sum();
                Amount { entries: stream.entries.len() as u64, bytes }
            };
            let mut amount = Amount::default();
            request.streams.iter().for_each(|stream| amount.add(lines(stream)));
            return self.refuse_blocked(tenant, &limits, status, amount);
        }
        let prepared = prepare(request, tenant, &limits, self.now_ns())?;
        self.store(tenant, &limits, prepared, memory)
    }

    /// Stores a request of OpenTelemetry in protobuf; `memory` is grown by what that takes. Blocks.
    pub fn push_otlp(
        &self,
        tenant: &TenantId,
        body: &[u8],
        memory: &mut Reservation,
    ) -> Result<(), PushRefusal> {
        let limits = self.limits.load().of(tenant);
        let room = Room { max_bytes: self.max_push_bytes, memory };
        let prepared = super::otlp::prepare(body, tenant, &limits, self.now_ns(), room)?;
        if let Some(status) = self.blocked(&limits) {
            let amount = prepared.amount;
            return self.refuse_blocked(tenant, &limits, status, amount);
        }
        if prepared.amount.entries == 0 && prepared.problem.is_none() {
            return Err(nothing());
        }
        self.store(tenant, &limits, prepared, memory)
    }

    /// The status with which pushes of a tenant are refused now, if they are.
    fn blocked(&self, limits: &LogLimits) -> Option<u16> {
        (self.now_ns() < limits.blocked_until_ns).then_some(limits.blocked_status)
    }

    fn refuse_blocked(
        &self,
        tenant: &TenantId,
        limits: &LogLimits,
        status: u16,
        amount: Amount,
    ) -> Result<(), PushRefusal> {
        self.metrics.discarded(&tenant.0, "blocked_ingestion", amount);
        if status == 200 {
            return Ok(());
        }
        let until = jiff::Timestamp::from_nanosecond(i128::from(limits.blocked_until_ns)).unwrap_or_default();
        let text =
            format!("ingestion blocked for user {} until '{until}' with status code '{status}'", tenant.0);
        Err(PushRefusal::new(RefusalKind::Blocked(status), text))
    }

    fn store(
        &self,
        tenant: &TenantId,
        limits: &LogLimits,
        mut prepared: Prepared,
        memory: &mut Reservation,
    ) -> Result<(), PushRefusal> {
        self.count(tenant, &prepared);
        if prepared.amount.entries > 0 {
            let known = self.tenants.get(tenant);
            self.check_size(tenant, &prepared)?;
            self.take(&known, tenant, limits, &prepared)?;
            self.leave_out_streams(&known, tenant, limits, &mut prepared);
            // The record of the log is a copy of everything.
            let copy = prepared.amount.bytes as usize + prepared.metadata_bytes;
            memory.grow(copy).map_err(|exceeded| PushRefusal::busy(exceeded.to_string()))?;
            self.append(tenant, std::mem::take(&mut prepared.batches))?;
        }
        prepared.problem.map_or(Ok(()), Err)
    }

    fn append(&self, tenant: &TenantId, batches: Vec<model::logs::LogBatch>) -> Result<(), PushRefusal> {
        let chosen = self.observer.as_ref().map(|observer| (observer, observer.choose(tenant, &batches)));
        self.appender.append(tenant, batches).map_err(|error| match error {
            LogAppendError::Busy(text) => PushRefusal::busy(text),
            LogAppendError::TooLarge(text) => PushRefusal::new(RefusalKind::TooLarge, text),
            LogAppendError::Storage(text) => {
                tracing::error!(error = text, "logs cannot be stored");
                PushRefusal { kind: RefusalKind::Failed, ..PushRefusal::busy(text) }
            }
        })?;
        if let Some((observer, chosen)) = chosen.filter(|(_, chosen)| !chosen.is_empty()) {
            observer.stored(tenant, chosen);
        }
        Ok(())
    }

    /// Counts what came, and what of it is refused already.
    fn count(&self, tenant: &TenantId, prepared: &Prepared) {
        let metadata_bytes = prepared.metadata_bytes as u64;
        let mut all = prepared.amount;
        all.bytes += metadata_bytes;
        prepared.discarded.values().for_each(|amount| all.add(*amount));
        self.metrics.received(&tenant.0, Received { all, metadata_bytes, truncated: prepared.truncated });
        for (reason, amount) in &prepared.discarded {
            self.metrics.discarded(&tenant.0, reason, *amount);
        }
    }

    fn check_size(&self, tenant: &TenantId, prepared: &Prepared) -> Result<(), PushRefusal> {
        let size = prepared.amount.bytes as usize + prepared.metadata_bytes;
        if size <= self.max_push_bytes {
            return Ok(());
        }
        self.metrics.discarded(&tenant.0, "request_too_large", prepared.amount);
        let text = format!(
            "the lines and metadata of the request have {size} bytes, more than the {} that can be stored at once",
            self.max_push_bytes
        );
        Err(PushRefusal::new(RefusalKind::TooLarge, text))
    }

    /// Takes the bytes of a request from what the tenant may push.
    fn take(
        &self,
        known: &Tenant,
        tenant: &TenantId,
        limits: &LogLimits,
        prepared: &Prepared,
    ) -> Result<(), PushRefusal> {
        let amount = prepared.amount;
        let taken = known.take(amount.bytes as usize, limits, self.clock.monotonic());
        taken.map_err(|refused| {
            self.metrics.discarded(&tenant.0, "rate_limited", amount);
            let text = format!(
                "ingestion rate limit exceeded for user {} (limit: {} bytes/sec) while attempting to ingest '{}' lines totaling '{}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased",
                tenant.0, limits.ingestion_rate_bytes, amount.entries, amount.bytes
            );
            limited(text, refused)
        })
    }

    /// Leaves out streams that are too many, or get too much. Of others nothing is lost.
    fn leave_out_streams(
        &self,
        known: &Tenant,
        tenant: &TenantId,
        limits: &LogLimits,
        prepared: &mut Prepared,
    ) {
        let (now, Prepared { batches, amount, problem, .. }) = (self.clock.monotonic(), prepared);
        batches.retain(|batch| {
            let bytes: usize = batch.entries.iter().map(|entry| entry.line.len()).sum();
            let taken = known.take_of_stream(batch.stream.hash64(), bytes, limits, now);
            let Err(refused) = taken else { return true };
            let left_out = Amount { entries: batch.entries.len() as u64, bytes: bytes as u64 };
            amount.entries -= left_out.entries;
            amount.bytes -= left_out.bytes;
            let (reason, refusal) = refused_stream(refused, tenant, &batch.stream, bytes, limits);
            self.metrics.discarded(&tenant.0, reason, left_out);
            problem.get_or_insert(refusal);
            false
        });
    }
}

fn refused_stream(
    refused: StreamRefused,
    tenant: &TenantId,
    stream: &model::Labels,
    bytes: usize,
    limits: &LogLimits,
) -> (&'static str, PushRefusal) {
    match refused {
        StreamRefused::TooMany => {
            let text = format!(
                "Maximum active stream limit exceeded when trying to create stream {stream}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: '{}'",
                tenant.0
            );
            ("stream_limit", PushRefusal::new(RefusalKind::Limited, text))
        }
        StreamRefused::Rate(refused) => {
            let text = format!(
                "Per stream rate limit exceeded (limit: {}B/sec) while attempting to ingest for stream '{stream}' totaling {bytes}B, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased",
                limits.stream_rate_bytes
            );
            ("per_stream_rate_limit", limited(text, refused))
        }
    }
}

fn limited(text: String, refused: Refused) -> PushRefusal {
    let retry_after: Option<Duration> = match refused {
        Refused::Wait(wait) => Some(wait),
        Refused::Never => None,
    };
    PushRefusal { kind: RefusalKind::Limited, text, retry_after }
}

fn nothing() -> PushRefusal {
    PushRefusal::new(RefusalKind::Empty, NO_STREAM)
}
