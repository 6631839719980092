//! The queries that run, and the slowest of late: what an operator looks at when the server is busy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use base::{ByteBudget, CancelFlag};
use parking_lot::Mutex;
use serde::Serialize;

/// How long a query that has ended is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How many are: the slowest.
const MAX_REMEMBERED: usize = 50;
/// Bytes of a query's text that are shown; machines write long ones.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// Which times a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum QueryKind {
    /// One moment.
    Instant,
    /// Steps from one moment to another; times and step in milliseconds.
    Range {
        /// The first step.
        start_ms: i64,
        /// The last step is not after this.
        end_ms: i64,
        /// From one step to the next.
        step_ms: i64,
    },
}

/// How a query was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// For which times.
    pub kind: QueryKind,
    /// By which user, if it was one.
    pub asker: Option<String>,
}

/// A query, while it runs and afterwards.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryView {
    /// Names it until the process ends.
    pub id: u64,
    /// Its text, perhaps cut.
    pub query: String,
    /// Which times it is about.
    #[serde(flatten)]
    pub kind: QueryKind,
    /// Which user asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asker: Option<String>,
    /// When it came, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// How long ago that is, or how long it took, waiting for its turn included.
    pub seconds: f64,
    /// Whether it waits for its turn.
    pub is_waiting: bool,
    /// The most memory it has held so far.
    pub peak_bytes: usize,
    /// Samples it has read; known when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The queries that run, and the slowest of the last hour. Its handles share it.
pub struct QueryList {
    clock: SharedClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, Running>,
    /// The slowest first.
    ended: Vec<Ended>,
}

struct Running {
    view: QueryView,
    began: Duration,
    cancel: CancelFlag,
    budget: Option<ByteBudget>,
    peak_bytes: usize,
}

struct Ended {
    view: QueryView,
    at: Duration,
}

impl Running {
    fn view(&self, now: Duration) -> QueryView {
        let held = self.budget.as_ref().map_or(0, ByteBudget::peak_bytes);
        QueryView {
            seconds: now.saturating_sub(self.began).as_secs_f64(),
            is_waiting: self.budget.is_none(),
            peak_bytes: self.peak_bytes.max(held),
            ..self.view.clone()
        }
    }
}

/// Stands for a query that runs, which ends when this is dropped.
pub struct RunningQuery {
    id: u64,
    clock: SharedClock,
    state: Arc<Mutex<State>>,
}

impl QueryList {
    /// An empty list.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Notes a query that came; raising `cancel` ends it.
    pub fn begin(&self, query: &str, asked: Asked, cancel: CancelFlag) -> RunningQuery {
        let mut text = query.to_owned();
        if text.len() > MAX_TEXT_BYTES {
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
            text.push('\u{2026}');
        }
        let mut state = self.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        let view = QueryView {
            id,
            query: text,
            kind: asked.kind,
            asker: asked.asker,
            started_ms: self.clock.now_ms(),
            seconds: 0.0,
            is_waiting: true,
            peak_bytes: 0,
            samples: None,
            error: None,
        };
        let running = Running { view, began: self.clock.monotonic(), cancel, budget: None, peak_bytes: 0 };
        state.running.insert(id, running);
        RunningQuery { id, clock: self.clock.clone(), state: self.state.clone() }
    }

    /// The queries that run or wait for their turn, in the order they came.
    pub fn running(&self) -> Vec<QueryView> {
        let now = self.clock.monotonic();
        self.state.lock().running.values().map(|running| running.view(now)).collect()
    }

    /// The slowest that ended within the last hour, the slowest first.
    pub fn slowest(&self) -> Vec<QueryView> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        state.forget(now);
        state.ended.iter().map(|ended| ended.view.clone()).collect()
    }

    /// Ends a query that runs; whether there was one of that name.
    pub fn cancel(&self, id: u64) -> bool {
        let state = self.state.lock();
        let running = state.running.get(&id);
        running.inspect(|running| running.cancel.cancel()).is_some()
    }
}

impl State {
    fn forget(&mut self, now: Duration) {
        self.ended.retain(|ended| now.saturating_sub(ended.at) < REMEMBERED);
    }
}

impl RunningQuery {
    /// It is its turn, and it takes memory from `budget`; once more when it is tried again.
    pub fn runs_in(&self, budget: ByteBudget) {
        self.change(|running| {
            let before = running.budget.replace(budget);
            running.peak_bytes = running.peak_bytes.max(before.map_or(0, |budget| budget.peak_bytes()));
        });
    }

    /// It has a result.
    pub fn succeeded(&self, samples: u64) {
        self.change(|running| running.view.samples = Some(samples));
    }

    /// It failed.
    pub fn failed(&self, error: &str) {
        self.change(|running| running.view.error = Some(error.to_owned()));
    }

    fn change(&self, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.state.lock().running.get_mut(&self.id) {
            change(running);
        }
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let Some(running) = state.running.remove(&self.id) else { return };
        let view = QueryView { is_waiting: false, ..running.view(now) };
        state.forget(now);
        let place = state.ended.partition_point(|other| other.view.seconds >= view.seconds);
        state.ended.insert(place, Ended { view, at: now });
        state.ended.truncate(MAX_REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use base::SimClock;

    use super::*;

    const ASKED: Asked = Asked { kind: QueryKind::Instant, asker: None };

    #[test]
    fn queries_are_seen_while_they_run_and_can_be_ended() {
        let clock = SimClock::at(1_000);
        let list = QueryList::new(clock.clone());
        let cancel = CancelFlag::new();
        let first = list.begin("up", ASKED, cancel.clone());
        let second = list.begin("down", ASKED, CancelFlag::new());
        clock.advance(Duration::from_secs(2));
        let budget = ByteBudget::new("test", 1000);
        first.runs_in(budget.clone());
        drop(budget.reserve(300).unwrap());
        let running = list.running();
        let seen: Vec<_> = running.iter().map(|q| (&*q.query, q.is_waiting, q.peak_bytes)).collect();
        assert_eq!(seen, [("up", false, 300), ("down", true, 0)]);
        assert_eq!((running[0].seconds, running[0].started_ms), (2.0, 1_000));
        assert!(list.cancel(running[0].id) && cancel.is_canceled());
        first.failed("canceled");
        let id = running[0].id;
        drop((first, second));
        assert!(list.running().is_empty() && !list.cancel(id));
        assert_eq!(list.slowest()[0].error.as_deref(), Some("canceled"));
    }

    #[test]
    fn the_slowest_of_the_last_hour_are_remembered() {
        let clock = SimClock::at(0);
        let list = QueryList::new(clock.clone());
        for seconds in 1..=60 {
            let query = list.begin(&format!("q{seconds}"), ASKED, CancelFlag::new());
            clock.advance(Duration::from_secs(seconds));
            query.succeeded(seconds);
        }
        let slowest = list.slowest();
        assert_eq!(slowest.len(), MAX_REMEMBERED);
        assert_eq!((&*slowest[0].query, slowest[0].samples), ("q60", Some(60)));
        assert_eq!(slowest[MAX_REMEMBERED - 1].query, "q11");
        clock.advance(Duration::from_secs(3601));
        assert!(list.slowest().is_empty());
    }

    #[test]
    fn long_texts_are_cut() {
        let list = QueryList::new(SimClock::at(0));
        let _running = list.begin(&"ü".repeat(MAX_TEXT_BYTES), ASKED, CancelFlag::new());
        assert!(list.running()[0].query.len() < MAX_TEXT_BYTES + 8);
    }
}
