//! What is remembered of each tenant that pushes logs: how much came lately, and to which streams.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use model::TenantId;
use parking_lot::Mutex;

use super::limits::LogLimits;
use crate::limits::{Limits, Refused, TokenBucket};

/// Tenants that are remembered.
const MAX_TENANTS: usize = 10_000;
/// Streams of a tenant without a limit whose rates are remembered.
const MAX_STREAMS: usize = 1 << 20;
/// After this time, and at most twice this time, a stream that gets nothing is forgotten.
const GENERATION: Duration = Duration::from_secs(10 * 60);

/// One tenant.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    rate: Mutex<TokenBucket>,
    streams: Mutex<Streams>,
}

/// The streams a tenant feeds, by the hash of their labels, in two generations.
#[derive(Debug, Default)]
struct Streams {
    young: HashMap<u64, TokenBucket>,
    old: HashMap<u64, TokenBucket>,
    since: Duration,
}

/// Why a stream gets nothing now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum StreamRefused {
    /// There are too many others.
    TooMany,
    /// It got too much.
    Rate(Refused),
}

impl Tenant {
    /// Takes bytes from what the tenant may push.
    pub fn take(&self, bytes: usize, limits: &LogLimits, now: Duration) -> Result<(), Refused> {
        if limits.ingestion_rate_bytes <= 0.0 {
            return Ok(());
        }
        let rate = rate(limits.ingestion_rate_bytes, limits.ingestion_burst_bytes);
        self.rate.lock().take(bytes, &rate, now)
    }

    /// Takes bytes from what one of its streams may get.
    pub fn take_of_stream(
        &self,
        stream: u64,
        bytes: usize,
        limits: &LogLimits,
        now: Duration,
    ) -> Result<(), StreamRefused> {
        if limits.max_streams == 0 && limits.stream_rate_bytes <= 0.0 {
            return Ok(());
        }
        let mut streams = self.streams.lock();
        streams.age(now);
        let bucket = streams.bucket(stream, limits.max_streams).ok_or(StreamRefused::TooMany)?;
        if limits.stream_rate_bytes <= 0.0 {
            return Ok(());
        }
        let rate = rate(limits.stream_rate_bytes, limits.stream_burst_bytes);
        bucket.take(bytes, &rate, now).map_err(StreamRefused::Rate)
    }

    /// Streams that got something lately, as far as they are counted.
    pub fn active_streams(&self) -> usize {
        let streams = self.streams.lock();
        streams.young.len() + streams.old.len()
    }
}

fn rate(bytes: f64, burst: u64) -> Limits {
    Limits { ingestion_rate: bytes, ingestion_burst_size: burst, ..Limits::NONE }
}

impl Streams {
    fn age(&mut self, now: Duration) {
        if now.saturating_sub(self.since) >= GENERATION {
            let is_long_ago = now.saturating_sub(self.since) >= 2 * GENERATION;
            self.old = std::mem::take(&mut self.young);
            if is_long_ago {
                self.old.clear();
            }
            self.since = now;
        }
    }

    fn bucket(&mut self, stream: u64, max_streams: usize) -> Option<&mut TokenBucket> {
        if !self.young.contains_key(&stream) {
            let known = self.old.remove(&stream);
            let count = self.young.len() + self.old.len();
            if known.is_none() && max_streams > 0 && count >= max_streams {
                return None;
            }
            if known.is_none() && count >= MAX_STREAMS {
                self.old.clear();
                self.young.clear();
            }
            self.young.insert(stream, known.unwrap_or_default());
        }
        self.young.get_mut(&stream)
    }
}

/// All tenants that pushed lately.
#[derive(Debug, Default)]
pub(super) struct Tenants(Mutex<HashMap<TenantId, Arc<Tenant>>>);

impl Tenants {
    /// The tenant of this name.
    pub fn get(&self, id: &TenantId) -> Arc<Tenant> {
        let mut tenants = self.0.lock();
        if let Some(tenant) = tenants.get(id) {
            return Arc::clone(tenant);
        }
        if tenants.len() >= MAX_TENANTS {
            // All begin anew with full buckets: rather that than a tenant without any.
            tenants.clear();
        }
        Arc::clone(tenants.entry(id.clone()).or_default())
    }

    /// All of them.
    pub fn all(&self) -> Vec<(TenantId, Arc<Tenant>)> {
        self.0.lock().iter().map(|(id, tenant)| (id.clone(), Arc::clone(tenant))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_count_until_they_get_nothing_for_two_generations() {
        let (tenant, limits) = (Tenant::default(), LogLimits { max_streams: 2, ..LogLimits::default() });
        let take = |stream, at| tenant.take_of_stream(stream, 1, &limits, at);
        let start = Duration::from_secs(1_000_000);
        assert_eq!((take(1, start), take(2, start), take(1, start)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(take(3, start), Err(StreamRefused::TooMany));
        assert_eq!(take(1, start + GENERATION), Ok(()));
        assert_eq!(take(3, start + GENERATION), Err(StreamRefused::TooMany));
        assert_eq!(take(3, start + 2 * GENERATION), Ok(()));
        assert_eq!(tenant.active_streams(), 2);
    }

    #[test]
    fn each_stream_has_a_rate_of_its_own() {
        let limits = LogLimits { stream_rate_bytes: 10.0, stream_burst_bytes: 20, ..LogLimits::default() };
        let (tenant, at) = (Tenant::default(), Duration::from_secs(5));
        assert_eq!(tenant.take_of_stream(1, 20, &limits, at), Ok(()));
        let refused = tenant.take_of_stream(1, 10, &limits, at);
        assert_eq!(refused, Err(StreamRefused::Rate(Refused::Wait(Duration::from_secs(1)))));
        assert_eq!(tenant.take_of_stream(2, 20, &limits, at), Ok(()));
    }
}
