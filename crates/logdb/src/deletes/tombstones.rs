//! Requests to delete that are not done, ready to be asked.

use memchr::memmem;
use model::labels::Labels;
use model::logs::LogRange;
use model::matcher::{MatchOp, Matcher};
use ulid::Ulid;

use super::document::{Deletes, LineCondition, StoredDelete};
use crate::manifest::ObjectMeta;
use crate::segment::SegmentIndex;

/// The requests of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    /// The revision of the document they are from.
    pub revision: u64,
    /// All of them.
    pub stored: Vec<StoredDelete>,
    /// Those that are not done.
    pub open: Vec<Tombstone>,
}

/// A request that is not done.
#[derive(Debug)]
pub(crate) struct Tombstone {
    pub id: Ulid,
    revision: u64,
    /// When it was made, or found to be done again.
    pub opened_ms: i64,
    range: LogRange,
    matchers: Vec<Matcher>,
    lines: Vec<LineCondition>,
}

impl Tombstones {
    pub fn new(deletes: Deletes) -> Self {
        let open =
            deletes.requests.iter().filter(|request| !request.is_done).filter_map(Tombstone::new).collect();
        Self { revision: deletes.revision, stored: deletes.requests, open }
    }

    /// The requests that concern a stream between two times, both included, and that are newer than a revision.
    pub fn concerning(&self, labels: &Labels, first_ns: i64, last_ns: i64, after: u64) -> Vec<&Tombstone> {
        let concerns = |tombstone: &&Tombstone| {
            tombstone.revision > after
                && tombstone.range.overlaps(first_ns, last_ns)
                && tombstone.matches_stream(labels)
        };
        self.open.iter().filter(concerns).collect()
    }

    /// The last revision that entries follow which came at some instant or later, when those of the requests that are not done
    /// are left out of them.
    pub fn followed_by(&self, came_ms: i64) -> u64 {
        let missed = self.stored.iter().filter(|request| request.is_missed_since(came_ms));
        missed.map(|request| request.revision.saturating_sub(1)).fold(self.revision, u64::min)
    }

    /// The last revision that brought a request that is done.
    pub fn newest_done(&self) -> Option<u64> {
        self.stored.iter().filter(|request| request.is_done).map(|request| request.revision).max()
    }

    /// Whether there is no request that is not done.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// All requests that concern a stream.
    pub fn of_stream(&self, labels: &Labels) -> Vec<&Tombstone> {
        self.concerning(labels, i64::MIN, i64::MAX, 0)
    }

    /// The requests that an object may not follow: whoever wrote it did not know of them.
    pub fn news_for(&self, object: &ObjectMeta) -> Vec<&Tombstone> {
        let is_news = |tombstone: &&Tombstone| {
            tombstone.revision > object.deletes && tombstone.range.overlaps(object.first_ns, object.last_ns)
        };
        self.open.iter().filter(is_news).collect()
    }
}

/// Whether an object may hold what one of some requests wants gone.
pub fn touches(index: &SegmentIndex, tombstones: &[&Tombstone]) -> bool {
    tombstones.iter().any(|tombstone| {
        let matching: Vec<bool> =
            index.streams.iter().map(|labels| tombstone.matches_stream(labels)).collect();
        let mut runs = index.groups.iter().flat_map(|group| &group.runs);
        runs.any(|run| matching[run.stream as usize] && tombstone.range.overlaps(run.first_ns, run.last_ns))
    })
}

impl Tombstone {
    fn new(stored: &StoredDelete) -> Option<Self> {
        let matcher = |(op, name, value): &(String, String, String)| {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let op = ops.into_iter().find(|known| known.as_str() == op)?;
            Matcher::new(op, name.clone(), value.clone()).ok()
        };
        let matchers: Option<Vec<Matcher>> = stored.matchers.iter().map(matcher).collect();
        let range = stored.range();
        let (id, revision) = (stored.id, stored.revision);
        let opened_ms = stored.opened_ms();
        let lines = stored.lines.clone();
        // One whose matchers are not understood must not delete more than it should: it deletes nothing.
        Some(Self { id, revision, opened_ms, range, matchers: matchers?, lines })
    }

    fn matches_stream(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.get_or_empty(&matcher.name)))
    }

    /// Whether all entries of a stream that matches between two times, both included, are to be gone.
    pub fn covers_all(&self, first_ns: i64, last_ns: i64) -> bool {
        self.lines.is_empty() && self.range.contains(first_ns) && self.range.contains(last_ns)
    }

    /// Whether an entry of a stream that matches is to be gone.
    pub fn covers(&self, timestamp_ns: i64, line: &[u8]) -> bool {
        let holds = |condition: &LineCondition| match condition {
            LineCondition::Contains(text) => memmem::find(line, text.as_bytes()).is_some(),
            LineCondition::Lacks(text) => memmem::find(line, text.as_bytes()).is_none(),
        };
        self.range.contains(timestamp_ns) && self.lines.iter().all(holds)
    }
}
