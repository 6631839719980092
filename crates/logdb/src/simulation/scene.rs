//! Who is in the world, what was sent, and what is there or gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::labels::Labels;
use model::logs::LogRange;
use model::matcher::Matcher;
use model::source::TenantId;

use super::{Random, Row, SimDisk};
use crate::{DeleteRequest, LineCondition, LogDb, Retention, RetentionRule};

pub(super) const START_MS: i64 = 1_768_521_590_000;

pub(super) struct Writer {
    pub disk: SimDisk,
    pub db: Option<Arc<LogDb>>,
    pub acknowledged: BTreeSet<Row>,
    /// What it was asked to delete, and answered that it is.
    pub gone: BTreeSet<Row>,
}

/// Applications; the last two have a tenant each, whose names are before and behind that of the others.
pub(super) const APPS: [&str; 4] = ["a0", "a1", "a2", "a3"];

/// Whose the streams of an application are.
pub(super) fn tenant_of(app: &str) -> TenantId {
    match app {
        "a2" => TenantId("above".into()),
        "a3" => TenantId("other".into()),
        _ => TenantId::default(),
    }
}

/// How long entries of some applications are kept; of others for ever.
const KEPT_FOR: Duration = Duration::from_secs(2 * 86_400);

/// Of one tenant all entries go, of another those of one stream.
pub(super) fn retention() -> Retention {
    let rule = |app, period| {
        let matchers = vec![Matcher::equal("app", app)];
        RetentionRule { tenant: Some(tenant_of(app)), matchers, period }
    };
    let rules = vec![rule("a0", None), rule("a1", Some(KEPT_FOR)), rule("a2", None)];
    Retention { default: Some(KEPT_FOR), rules: Arc::new(rules) }
}

/// Whether an entry is past its time.
pub(super) fn is_expired((stream, timestamp_ns, _): &Row, now_ms: i64) -> bool {
    let goes = matches!(stream.get_or_empty("app"), "a1" | "a3");
    goes && *timestamp_ns < now_ms * 1_000_000 - KEPT_FOR.as_nanos() as i64
}

/// A request to delete entries.
pub(super) struct Wanted {
    pub app: String,
    pub range: LogRange,
    /// What the line must hold.
    pub text: Option<String>,
}

impl Wanted {
    pub fn covers(&self, (stream, timestamp_ns, line): &Row) -> bool {
        stream.get("app") == Some(self.app.as_str())
            && self.range.contains(*timestamp_ns)
            && self.text.as_ref().is_none_or(|text| line.contains(text))
    }

    pub fn request(&self) -> DeleteRequest {
        DeleteRequest {
            matchers: vec![Matcher::equal("app", &self.app)],
            lines: self.text.clone().map(LineCondition::Contains).into_iter().collect(),
            range: self.range,
        }
    }
}

/// What changes.
pub(super) struct Scene {
    pub random: Random,
    pub writers: Vec<Writer>,
    pub acknowledged: BTreeSet<Row>,
    /// Sent, and answered by an error or not at all; or such as a request wants gone that was made before, or that failed.
    pub uncertain: BTreeSet<Row>,
    /// Asked to be gone, which was acknowledged.
    pub gone: BTreeSet<Row>,
    /// All requests to delete.
    pub deletes: Vec<Wanted>,
    pub sent: u64,
    /// The writer that flushes in the midst of whose work others go on; it cannot flush twice at a time.
    pub flushing: Option<usize>,
    /// Whether others may come between now.
    pub is_open: bool,
}

impl Scene {
    pub fn some_rows(&mut self, seed: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        for _ in 0..=self.random.below(6) {
            if self.random.below(8) == 0 && !self.acknowledged.is_empty() {
                // Sent again.
                let nth = self.random.below(self.acknowledged.len() as u64) as usize;
                rows.extend(self.acknowledged.iter().nth(nth).cloned());
                continue;
            }
            let stream = Labels::from_pairs([("app", self.some_app())]);
            // Around midnight, often at equal times, out of order.
            let timestamp_ns = START_MS * 1_000_000 + self.random.below(40) as i64 * 500_000_000;
            self.sent += 1;
            rows.push((stream, timestamp_ns, format!("line {} of seed {seed}", self.sent)));
        }
        rows
    }

    fn some_app(&mut self) -> &'static str {
        APPS[self.random.below(APPS.len() as u64) as usize]
    }

    /// A request about one stream and a part of the time in which entries lie, perhaps about some lines only.
    pub fn some_delete(&mut self) -> Wanted {
        let start_ns = START_MS * 1_000_000 + self.random.below(36) as i64 * 500_000_000;
        let end_ns = start_ns + (1 + self.random.below(8) as i64) * 500_000_000;
        let text = (self.random.below(2) == 0).then(|| format!("{} of seed", self.random.below(10)));
        let app = self.some_app().to_owned();
        Wanted { app, range: LogRange { start_ns, end_ns }, text }
    }
}
