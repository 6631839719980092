//! The queries that run, and the slowest of late: what an operator looks at when the server is busy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use base::{ByteBudget, CancelFlag};
use model::{QueryContext, QueryProgress};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

/// How long a query that has ended is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How many are: the slowest.
const MAX_REMEMBERED: usize = 50;
/// Bytes of a query's text that are shown; machines write long ones.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// What a query is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Metrics are asked for.
    PromQl,
    /// Logs are.
    LogQl,
}

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
    /// What lies between two moments, lines of logs; times in milliseconds.
    Lines {
        /// The first moment.
        start_ms: i64,
        /// The moment behind the last.
        end_ms: i64,
    },
}

/// How a query was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In which language.
    pub language: Language,
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
    /// What it is written in.
    pub language: Language,
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
    /// Samples of metrics it has read so far.
    pub samples: u64,
    /// Lines of logs it has looked at so far.
    pub lines: u64,
    /// The bytes of these lines.
    pub bytes: u64,
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
    ended: Arc<Notify>,
    progress: Arc<QueryProgress>,
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
            samples: self.progress.samples(),
            lines: self.progress.lines(),
            bytes: self.progress.bytes(),
            ..self.view.clone()
        }
    }
}

/// Stands for a query that runs, which ends when this is dropped.
pub struct RunningQuery {
    id: u64,
    clock: SharedClock,
    ended: Arc<Notify>,
    state: Arc<Mutex<State>>,
}

impl QueryList {
    /// An empty list.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Notes a query that came; `ctx` tells what it has read, and through it it is ended.
    pub fn begin(&self, query: &str, asked: Asked, ctx: &QueryContext) -> RunningQuery {
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
            language: asked.language,
            kind: asked.kind,
            asker: asked.asker,
            started_ms: self.clock.now_ms(),
            seconds: 0.0,
            is_waiting: true,
            peak_bytes: 0,
            samples: 0,
            lines: 0,
            bytes: 0,
            error: None,
        };
        let ended = Arc::<Notify>::default();
        let running = Running {
            view,
            began: self.clock.monotonic(),
            cancel: ctx.cancel.clone(),
            ended: ended.clone(),
            progress: ctx.progress.clone(),
            budget: None,
            peak_bytes: 0,
        };
        state.running.insert(id, running);
        RunningQuery { id, clock: self.clock.clone(), ended, state: self.state.clone() }
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
        let Some(running) = state.running.get(&id) else { return false };
        running.cancel.cancel();
        running.ended.notify_one();
        true
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

    /// What `waiting` gives, or `None` when somebody ends the query before it does. One may wait at a time.
    pub async fn unless_ended<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended.notified() => None,
            waited = waiting => Some(waited),
        }
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

    const ASKED: Asked = Asked { language: Language::PromQl, kind: QueryKind::Instant, asker: None };

    fn begin(list: &QueryList, query: &str) -> RunningQuery {
        list.begin(query, ASKED, &QueryContext::unbounded())
    }

    #[test]
    fn queries_are_seen_while_they_run_and_can_be_ended() {
        let clock = SimClock::at(1_000);
        let list = QueryList::new(clock.clone());
        let ctx = QueryContext::unbounded();
        let first = list.begin("up", ASKED, &ctx);
        let second = begin(&list, "down");
        ctx.progress.add_samples(70);
        ctx.progress.add_lines(5, 600);
        clock.advance(Duration::from_secs(2));
        let budget = ByteBudget::new("test", 1000);
        first.runs_in(budget.clone());
        drop(budget.reserve(300).unwrap());
        let running = list.running();
        let seen: Vec<_> = running.iter().map(|q| (&*q.query, q.is_waiting, q.peak_bytes)).collect();
        assert_eq!(seen, [("up", false, 300), ("down", true, 0)]);
        assert_eq!((running[0].seconds, running[0].started_ms), (2.0, 1_000));
        assert_eq!((running[0].samples, running[0].lines, running[0].bytes), (70, 5, 600));
        assert!(list.cancel(running[0].id) && ctx.cancel.is_canceled());
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
            let _query = begin(&list, &format!("q{seconds}"));
            clock.advance(Duration::from_secs(seconds));
        }
        let slowest = list.slowest();
        assert_eq!(slowest.len(), MAX_REMEMBERED);
        assert_eq!((&*slowest[0].query, slowest[0].seconds), ("q60", 60.0));
        assert_eq!(slowest[MAX_REMEMBERED - 1].query, "q11");
        clock.advance(Duration::from_secs(3601));
        assert!(list.slowest().is_empty());
    }

    #[tokio::test]
    async fn a_query_that_is_ended_does_not_wait_any_more() {
        let list = QueryList::new(SimClock::at(0));
        let query = begin(&list, "up");
        assert_eq!(query.unless_ended(async { 7 }).await, Some(7));
        // It is ended before it waits, so it never does.
        assert!(list.cancel(list.running()[0].id));
        assert_eq!(query.unless_ended(std::future::pending::<()>()).await, None);
    }

    #[test]
    fn long_texts_are_cut() {
        let list = QueryList::new(SimClock::at(0));
        let _running = begin(&list, &"ü".repeat(MAX_TEXT_BYTES));
        assert!(list.running()[0].query.len() < MAX_TEXT_BYTES + 8);
    }
}
