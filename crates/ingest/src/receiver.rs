//! The door everything pushed comes through: tenants, limits, memory.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base::ByteBudget;
use base::ErrorKind;
use base::budget::BudgetExceeded;
use base::clock::SharedClock;
use base::metrics::Registry;
use model::{Appendable, TenantId};
use parking_lot::Mutex;
use wire::protobuf::ProtobufError;

use crate::cache::Secret;
use crate::limits::{Limits, LimitsBook, Refused};
use crate::metrics::Metrics;
use crate::tenant::{InvalidTenant, Tenant, Tenants, check_tenant_name};

/// How far in the future a sample's timestamp may lie.
pub(crate) const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// Settings of everything that is pushed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most bytes of a request after decompression, unless a tenant's limit is lower.
    pub max_request_bytes: usize,
    /// Series remembered for each tenant, so that their labels need not be read again.
    pub cached_series: usize,
    /// Tenants that are told apart at a time.
    pub max_tenants: usize,
    /// Whether start timestamps are stored with samples.
    pub start_timestamps: bool,
    /// Whether a zero is stored at the start timestamp of a series.
    pub zero_at_start: bool,
    /// Whether type and unit become labels.
    pub type_and_unit_labels: bool,
    /// Whether metadata is written to the log.
    pub append_metadata: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_request_bytes: 32 << 20,
            cached_series: 4 << 20,
            max_tenants: 1000,
            start_timestamps: false,
            zero_at_start: false,
            type_and_unit_labels: false,
            append_metadata: false,
        }
    }
}

/// Why a request, or part of it, was not stored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PushError {
    /// The body is not what its headers say.
    #[error("{0}")]
    Encoding(String),
    /// The message does not follow its schema. Nothing was stored.
    #[error(transparent)]
    Malformed(#[from] ProtobufError),
    /// The body would be too large once decompressed. Nothing was stored.
    #[error("decoded size exceeds the {limit_bytes} bytes limit ({name})")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
        /// Its name.
        name: &'static str,
    },
    /// Some samples were refused, for reasons in the text, a line each; all others are stored.
    #[error("{0}")]
    Refused(String),
    /// The tenant pushes too fast. Nothing was stored.
    #[error(
        "limits.ingestion_rate: tenant {tenant:?} may push {rate} samples a second, {burst} at once; this request \
         has {samples}"
    )]
    TooFast {
        /// The tenant.
        tenant: String,
        /// Samples a second.
        rate: f64,
        /// Samples at once.
        burst: f64,
        /// Samples of the request.
        samples: usize,
        /// When the request would pass; never, if it is larger than the burst.
        retry_after: Option<Duration>,
    },
    /// Requests hold all the memory they may. Nothing was stored.
    #[error(transparent)]
    Memory(#[from] BudgetExceeded),
    /// The tenant's name is none. Nothing was stored.
    #[error(transparent)]
    Tenant(#[from] InvalidTenant),
    /// Too many tenants push. Nothing was stored.
    #[error("{tenants} tenants push to this server, which is as many as it tells apart")]
    TooManyTenants {
        /// The limit.
        tenants: usize,
    },
    /// The storage failed. Nothing was stored.
    #[error("{0}")]
    Storage(String),
}

impl PushError {
    /// What the sender can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Encoding(_)
            | Self::Malformed(_)
            | Self::Tenant(_)
            | Self::TooLarge { .. }
            | Self::Refused(_) => ErrorKind::InvalidInput,
            Self::TooFast { retry_after: None, .. } => ErrorKind::InvalidInput,
            Self::TooFast { .. } => ErrorKind::LimitExceeded,
            // What would not fit even alone will not fit later.
            Self::Memory(exceeded) if exceeded.wanted_bytes > exceeded.limit_bytes => ErrorKind::InvalidInput,
            Self::Memory(_) | Self::TooManyTenants { .. } => ErrorKind::Unavailable,
            Self::Storage(_) => ErrorKind::Storage,
        }
    }

    /// When to try again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooFast { retry_after, .. } => *retry_after,
            Self::Memory(_) | Self::TooManyTenants { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

/// Takes in what is pushed. Calls block; any number may run at once.
pub struct Receiver {
    pub(crate) storage: Arc<dyn Appendable>,
    pub(crate) clock: SharedClock,
    pub(crate) options: Options,
    pub(crate) budget: ByteBudget,
    pub(crate) metrics: Metrics,
    pub(crate) secret: Secret,
    limits: ArcSwap<LimitsBook>,
    tenants: Arc<Tenants>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver that stores in `storage`. Requests hold at most what `budget` gives. `secret` should be random: with
    /// it, nobody can craft labels that are taken for others.
    pub fn new(
        storage: Arc<dyn Appendable>,
        clock: SharedClock,
        options: Options,
        budget: ByteBudget,
        secret: Secret,
        registry: &Registry,
    ) -> Self {
        let tenants = Arc::new(Tenants::new(options.max_tenants, options.cached_series));
        let metrics = Metrics::new(registry, &tenants, &budget);
        let (limits, buffers) = (ArcSwap::default(), Mutex::default());
        Self { storage, clock, options, budget, metrics, secret, limits, tenants, buffers }
    }

    /// The memory requests share.
    pub fn budget(&self) -> &ByteBudget {
        &self.budget
    }

    /// Puts new limits in force.
    pub fn set_limits(&self, limits: LimitsBook) {
        if **self.limits.load() == limits {
            return;
        }
        self.limits.store(Arc::new(limits));
        // Series that are remembered are not checked again: what was allowed may be so no longer.
        self.tenants.all().iter().for_each(|tenant| tenant.cache.clear());
    }

    /// The tenant and its limits.
    pub(crate) fn tenant(&self, id: &TenantId, now_ms: i64) -> Result<(Arc<Tenant>, Limits), PushError> {
        check_tenant_name(&id.0)?;
        let Some(tenant) = self.tenants.get(id, now_ms) else {
            return Err(PushError::TooManyTenants { tenants: self.tenants.max_tenants() });
        };
        tenant.age(now_ms);
        Ok((tenant, self.limits.load().of(&id.0)))
    }

    /// Takes samples from what the tenant may push at its rate.
    pub(crate) fn take(&self, tenant: &Tenant, limits: &Limits, samples: usize) -> Result<(), PushError> {
        let refused = match tenant.take(samples, limits, self.clock.monotonic()) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        self.metrics.discard(&tenant.id.0, "rate_limited", samples);
        Err(PushError::TooFast {
            tenant: tenant.id.0.to_string(),
            rate: limits.ingestion_rate,
            burst: limits.burst(),
            samples,
            retry_after: match refused {
                Refused::Wait(time) => Some(time),
                Refused::Never => None,
            },
        })
    }

    /// A buffer of `len` bytes, whose content is arbitrary.
    pub(crate) fn buffer(&self, len: usize) -> Vec<u8> {
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        buffer
    }

    /// Keeps a buffer for later requests, unless it is large or there are enough.
    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        const KEPT: usize = 8;
        const KEPT_BYTES: usize = 2 << 20;
        let mut buffers = self.buffers.lock();
        if buffers.len() < KEPT && buffer.capacity() <= KEPT_BYTES {
            buffers.push(buffer);
        }
    }
}
