//! Who follows what is stored, and what waits to be sent to each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::clock::SharedClock;
use logql::engine::live::Live;
use model::logs::{LogBatch, LogObserver};
use model::{Labels, TenantId};
use parking_lot::{Mutex, RwLock};

/// Followers there may be in all.
const MAX_FOLLOWERS: usize = 1024;
/// Bytes that wait for one follower; what comes beyond is left out, and the follower is told.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// Entries that were left out of which is told: one of each of the first streams.
const MAX_DROPPED: usize = 10;
/// What an entry takes besides its line.
const ENTRY_BYTES: usize = 128;

/// Those who follow. It is told of what is stored as an observer of the storage's door.
#[derive(Default)]
pub struct Followers {
    all: RwLock<Vec<Arc<Follower>>>,
    is_followed: AtomicBool,
}

/// One who follows.
pub(super) struct Follower {
    tenant: TenantId,
    pub live: Live,
    clock: SharedClock,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Waited>,
    bytes: usize,
    dropped: Vec<Dropped>,
}

/// Entries with the time at which they came.
pub(super) struct Waited {
    pub came: Duration,
    pub batch: Arc<LogBatch>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    pub stream: Labels,
    pub timestamp_ns: i64,
}

/// What was taken of what waited.
#[derive(Default)]
pub(super) struct News {
    pub waited: Vec<Waited>,
    pub dropped: Vec<Dropped>,
}

/// Follows as long as it lives.
pub(super) struct Following {
    followers: Arc<Followers>,
    pub follower: Arc<Follower>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut all = self.followers.all.write();
        all.retain(|other| !Arc::ptr_eq(other, &self.follower));
        self.followers.is_followed.store(!all.is_empty(), Ordering::Release);
    }
}

impl Followers {
    /// Begins to follow, unless `max` of the same tenant do; the error is how many do.
    pub(super) fn follow(
        self: &Arc<Self>,
        tenant: TenantId,
        live: Live,
        clock: SharedClock,
        max: usize,
    ) -> Result<Following, usize> {
        let mut all = self.all.write();
        let own = all.iter().filter(|other| other.tenant == tenant).count();
        if all.len() >= MAX_FOLLOWERS || (max > 0 && own >= max) {
            return Err(own);
        }
        let follower = Arc::new(Follower { tenant, live, clock, waiting: Mutex::default() });
        all.push(Arc::clone(&follower));
        self.is_followed.store(true, Ordering::Release);
        Ok(Following { followers: Arc::clone(self), follower })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.is_followed.load(Ordering::Acquire)
    }
}

impl LogObserver for Followers {
    fn choose(&self, tenant: &TenantId, batches: &[LogBatch]) -> Vec<LogBatch> {
        if self.is_empty() {
            return Vec::new();
        }
        let all = self.all.read();
        let own: Vec<&Arc<Follower>> = all.iter().filter(|follower| follower.tenant == *tenant).collect();
        let is_followed = |batch: &&LogBatch| own.iter().any(|follower| follower.live.selects(&batch.stream));
        batches.iter().filter(is_followed).cloned().collect()
    }

    fn stored(&self, tenant: &TenantId, chosen: Vec<LogBatch>) {
        let all = self.all.read();
        for batch in chosen.into_iter().map(Arc::new) {
            for follower in all.iter().filter(|follower| follower.tenant == *tenant) {
                if follower.live.selects(&batch.stream) {
                    follower.put(&batch);
                }
            }
        }
    }
}

impl Follower {
    fn put(&self, batch: &Arc<LogBatch>) {
        let bytes = bytes_of(batch);
        let mut waiting = self.waiting.lock();
        if waiting.bytes + bytes > MAX_WAITING_BYTES {
            let is_told = waiting.dropped.iter().any(|dropped| dropped.stream == batch.stream);
            if !is_told && waiting.dropped.len() < MAX_DROPPED {
                let timestamp_ns = batch.entries.first().map_or(0, |entry| entry.timestamp_ns);
                waiting.dropped.push(Dropped { stream: batch.stream.clone(), timestamp_ns });
            }
            return;
        }
        waiting.bytes += bytes;
        waiting.batches.push_back(Waited { came: self.clock.monotonic(), batch: Arc::clone(batch) });
    }

    /// Takes what came until `until`, and what was left out.
    pub fn take(&self, until: Duration) -> News {
        let mut waiting = self.waiting.lock();
        let mut news = News { dropped: std::mem::take(&mut waiting.dropped), ..News::default() };
        while waiting.batches.front().is_some_and(|waited| waited.came <= until) {
            let Some(waited) = waiting.batches.pop_front() else { break };
            waiting.bytes -= bytes_of(&waited.batch);
            news.waited.push(waited);
        }
        news
    }
}

fn bytes_of(batch: &LogBatch) -> usize {
    let metadata = |pairs: &[(Arc<str>, Arc<str>)]| -> usize {
        pairs.iter().map(|(name, value)| 32 + name.len() + value.len()).sum()
    };
    batch.entries.iter().map(|entry| ENTRY_BYTES + entry.line.len() + metadata(&entry.metadata)).sum()
}

#[cfg(test)]
mod tests {
    use base::{Clock, SimClock};
    use bytes::Bytes;
    use model::logs::LogEntry;

    use super::*;

    fn live(query: &str) -> Live {
        Live::new(&logql::parse_log(query).unwrap(), false).unwrap()
    }

    fn batch(app: &str, line_bytes: usize) -> LogBatch {
        let entry =
            LogEntry { timestamp_ns: 7, line: Bytes::from(vec![b'x'; line_bytes]), metadata: Vec::new() };
        LogBatch { stream: Labels::from_pairs([("app", app)]), entries: vec![entry] }
    }

    #[test]
    fn each_hears_of_its_streams_as_long_as_it_follows() {
        let (followers, clock) = (Arc::<Followers>::default(), SimClock::at(1000));
        let (own, other) = (TenantId::default(), TenantId("other".into()));
        assert!(followers.choose(&own, &[batch("a", 1)]).is_empty());
        let first = followers.follow(own.clone(), live(r#"{app="a"}"#), clock.clone(), 1).unwrap();
        assert_eq!(followers.follow(own.clone(), live(r#"{app="a"}"#), clock.clone(), 1).err(), Some(1));
        let chosen = followers.choose(&own, &[batch("a", 1), batch("b", 1)]);
        assert_eq!(chosen, [batch("a", 1)]);
        assert!(followers.choose(&other, &[batch("a", 1)]).is_empty());
        followers.stored(&own, chosen);
        let early = first.follower.take(clock.monotonic().saturating_sub(Duration::from_secs(1)));
        assert!(early.waited.is_empty());
        assert_eq!(*first.follower.take(clock.monotonic()).waited[0].batch, batch("a", 1));
        drop(first);
        assert!(followers.is_empty());
    }

    #[test]
    fn who_does_not_keep_up_is_told_what_was_left_out() {
        let (followers, clock) = (Arc::<Followers>::default(), SimClock::at(1000));
        let following =
            followers.follow(TenantId::default(), live(r#"{app=~".+"}"#), clock.clone(), 0).unwrap();
        for _ in 0..10 {
            followers.stored(&TenantId::default(), vec![batch("a", 1 << 20), batch("b", 1 << 20)]);
        }
        let news = following.follower.take(clock.monotonic());
        assert_eq!(news.waited.len(), 3);
        let streams: Vec<_> = news.dropped.iter().map(|dropped| dropped.stream.to_string()).collect();
        assert_eq!(streams, [r#"{app="b"}"#, r#"{app="a"}"#]);
        followers.stored(&TenantId::default(), vec![batch("a", 1)]);
        assert_eq!(following.follower.take(clock.monotonic()).waited.len(), 1);
    }
}
