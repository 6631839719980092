//! Requests to delete as they are stored: one document for each tenant.

use model::logs::LogRange;
use model::matcher::Matcher;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{SOON, ms};
use crate::codec::Damaged;
use crate::manifest::{Document, decode_json, encode_json};

const HEADER: &str = "bartizan-logs-deletes 1 crc32c=";

/// What a line must hold, or must not, to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineCondition {
    /// `|=`
    Contains(String),
    /// `!=`
    Lacks(String),
}

/// Which entries are to be gone.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// All must match the labels of the stream. Never none.
    pub matchers: Vec<Matcher>,
    /// All must hold for the line.
    pub lines: Vec<LineCondition>,
    /// Times of the entries.
    pub range: LogRange,
}

/// A request as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDelete {
    /// Its name.
    pub id: Ulid,
    /// The revision that brought it, or opened it again: objects say which revision their writer knew.
    pub revision: u64,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: i64,
    /// First nanosecond.
    pub start_ns: i64,
    /// First nanosecond after.
    pub end_ns: i64,
    /// Operator, name and value of each matcher.
    pub matchers: Vec<(String, String, String)>,
    /// What lines must hold.
    pub lines: Vec<LineCondition>,
    /// Whether no object has such entries any more.
    pub is_done: bool,
    /// When it was last found that it is to be done again, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened_ms: Option<i64>,
}

impl StoredDelete {
    pub(super) fn range(&self) -> LogRange {
        LogRange { start_ns: self.start_ns, end_ns: self.end_ns }
    }

    /// When it was made, or found to be done again.
    pub(super) fn opened_ms(&self) -> i64 {
        self.reopened_ms.unwrap_or(self.created_ms)
    }

    /// Whether it is to be opened again for an object that appears only now: entries in it, which lie within these times, both
    /// included, may be such as it wants gone, whoever wrote them did not know of it, and it is done or may be any moment.
    pub(super) fn is_missed(&self, after: u64, (first_ns, last_ns): (i64, i64), now_ms: i64) -> bool {
        let may_be_done = self.is_done || now_ms.saturating_sub(self.opened_ms()) > ms(SOON);
        may_be_done && self.revision > after && self.range().overlaps(first_ns, last_ns)
    }

    /// Whether it is to be opened again for entries in memory, of which the first came then: it is done, and about such as came
    /// before it was made.
    pub(super) fn is_missed_since(&self, came_ms: i64) -> bool {
        self.is_done && self.created_ms >= came_ms
    }
}

/// The requests of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletes {
    /// Grows with each change.
    pub revision: u64,
    /// In the order in which they came.
    pub requests: Vec<StoredDelete>,
}

impl Deletes {
    /// Has requests done again; whether there are such. Whatever was written by someone who took them for done does not follow them:
    /// they are as new.
    pub fn reopen(&mut self, is_missed: impl Fn(&StoredDelete) -> bool, now_ms: i64) -> bool {
        let revision = self.revision + 1;
        let missed = self.requests.iter_mut().filter(|request| is_missed(request));
        let opened = missed.map(|request| {
            request.is_done = false;
            request.reopened_ms = Some(now_ms);
            request.revision = revision;
        });
        opened.count() > 0
    }
}

impl Document for Deletes {
    fn encode(&self) -> Vec<u8> {
        encode_json(HEADER, self)
    }

    fn decode(data: &[u8]) -> Result<Self, Damaged> {
        decode_json(HEADER, data)
    }

    fn begin(first_revision: u64) -> Self {
        Self { revision: first_revision, requests: Vec::new() }
    }

    fn count_change(&mut self) {
        self.revision += 1;
    }
}
