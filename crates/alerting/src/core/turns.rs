//! Taking turns: of several instances only one at a time tells a receiver of a group, and none what another has
//! told already.
//!
//! Waiting by position and gossip alone leave gaps: a receiver that answers slowly is told by the next instance
//! too, and one that was down is told by all of them once it is back. So before each attempt an instance asks the
//! others. One that has told something newer answers with its entry of the log; one that is telling, or asks for
//! the same and comes first by name, that it is busy; everyone else grants it. Of two that ask for the same at
//! the same moment the one that gives way forgets what it was granted, so that no two can both have the word of
//! the other. An instance that does not answer is taken to have granted after a while: a turn can make a
//! notification late, and never keeps it back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Core, Delivery, Work};
use crate::alert::after;
use crate::nflog::LogEntry;

/// After this time a question that was not answered is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// After this time who did not answer is taken to have granted.
const PATIENCE: Duration = Duration::from_secs(2);
/// After this time one is asked anew who was busy.
const BUSY: Duration = Duration::from_millis(500);
/// How long a receiver may take to answer before another instance may try it.
const LONGEST_TURN: Duration = Duration::from_secs(60);

/// What instances write each other to take turns.
#[derive(Debug, Clone, PartialEq)]
pub enum Letter {
    /// Asks for the turn.
    Ask {
        /// To be answered with.
        id: u64,
        /// The group and integration.
        line: String,
        /// When the last notification was that the asking instance knows of.
        known_at: Option<Timestamp>,
    },
    /// Answers.
    Answer {
        /// Which question.
        id: u64,
        /// The group and integration.
        line: String,
        /// What is answered.
        verdict: Verdict,
    },
}

impl Letter {
    /// The number of the question.
    pub fn id(&self) -> u64 {
        match self {
            Self::Ask { id, .. } | Self::Answer { id, .. } => *id,
        }
    }

    /// The group and integration it is about.
    pub fn line(&self) -> &str {
        match self {
            Self::Ask { line, .. } | Self::Answer { line, .. } => line,
        }
    }
}

/// The answer to who asks for the turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go ahead.
    Granted,
    /// Another is at it.
    Busy,
    /// It was told already.
    Told(Arc<LogEntry>),
}

/// A letter and whom it is for.
pub type Addressed = (Arc<str>, Letter);

/// The others who take turns, and what was asked of them.
#[derive(Debug, Default)]
pub(super) struct Turns {
    me: Arc<str>,
    others: BTreeSet<Arc<str>>,
    /// Those who let the last question wait for too long.
    silent: BTreeSet<Arc<str>>,
    /// Jobs that ask, or wait to ask.
    asking: HashMap<u64, Asking>,
    /// The job of this instance that has the turn of a line or asks for it.
    holders: BTreeMap<String, Holder>,
    letters: Vec<Addressed>,
    next_question: u64,
    /// When an entry of the log was heard of from another, by line.
    heard: HashMap<String, Timestamp>,
}

#[derive(Debug)]
struct Asking {
    id: u64,
    line: String,
    begun: Timestamp,
    /// Those whose answer is missing; `None` while another is busy.
    missing: Option<BTreeSet<Arc<str>>>,
}

#[derive(Debug)]
struct Holder {
    job: u64,
    /// Since when it tells; `None` while it asks.
    since: Option<Timestamp>,
}

/// What comes of going on with a question.
enum Step {
    Tell,
    Wait(Timestamp),
}

impl Turns {
    fn ask(&mut self, job: u64, line: String, known_at: Option<Timestamp>, now: Timestamp) -> Step {
        let is_taken = self.holders.get(&line).is_some_and(|holder| holder.job != job);
        let missing = (!is_taken).then(|| self.others.clone());
        if missing.is_some() {
            self.holders.insert(line.clone(), Holder { job, since: None });
        }
        self.next_question += 1;
        let asking = Asking { id: self.next_question, line, begun: now, missing };
        self.asking.insert(job, asking);
        self.post(job, known_at);
        self.step(job, now)
    }

    /// Writes to all whose answer is missing.
    fn post(&mut self, job: u64, known_at: Option<Timestamp>) {
        let Some(asking) = self.asking.get(&job) else { return };
        for other in asking.missing.iter().flatten() {
            let letter = Letter::Ask { id: asking.id, line: asking.line.clone(), known_at };
            self.letters.push((other.clone(), letter));
        }
    }

    /// Whether all have answered that can be waited for.
    fn step(&mut self, job: u64, now: Timestamp) -> Step {
        let Some(asking) = self.asking.get_mut(&job) else { return Step::Tell };
        let Some(missing) = &mut asking.missing else { return Step::Wait(after(now, BUSY)) };
        missing.retain(|name| self.others.contains(name));
        let patience = if missing.is_subset(&self.silent) { ASK_AGAIN } else { PATIENCE };
        if now < after(asking.begun, patience) && !missing.is_empty() {
            return Step::Wait(after(now, ASK_AGAIN));
        }
        if !missing.is_empty() {
            tracing::warn!(peers = ?missing, line = asking.line, "no answer from peers; telling without them");
            self.silent.append(missing);
        }
        if let Some(asking) = self.asking.remove(&job) {
            self.holders.insert(asking.line, Holder { job, since: Some(now) });
        }
        Step::Tell
    }

    /// Gives way: what was granted so far is void.
    fn give_way(&mut self, job: u64) {
        if let Some(asking) = self.asking.get_mut(&job) {
            asking.missing = None;
            self.holders.remove(&asking.line);
        }
    }

    /// Ends the turn of a job, and its questions.
    fn release(&mut self, job: u64, line: &str) {
        self.asking.remove(&job);
        if self.holders.get(line).is_some_and(|holder| holder.job == job) {
            self.holders.remove(line);
        }
    }

    /// Answers who asks for the turn; the job that gives way for it, if one does.
    fn judge(&self, from: &str, line: &str, now: Timestamp) -> (Verdict, Option<u64>) {
        match self.holders.get(line) {
            Some(Holder { since: Some(since), .. }) if now < after(*since, LONGEST_TURN) => {
                (Verdict::Busy, None)
            }
            Some(Holder { since: None, .. }) if *self.me < *from => (Verdict::Busy, None),
            Some(Holder { since: None, job }) => (Verdict::Granted, Some(*job)),
            _ => (Verdict::Granted, None),
        }
    }
}

impl Core {
    /// Says who this instance is, and which others take turns with it. Alone it tells at once.
    pub fn set_turns(&mut self, me: &str, others: impl IntoIterator<Item = Arc<str>>) {
        self.turns.me = me.into();
        self.turns.others = others.into_iter().collect();
        let others = &self.turns.others;
        self.turns.silent.retain(|name| others.contains(name));
    }

    /// Letters to the others, to be sent now.
    pub fn take_letters(&mut self) -> Vec<Addressed> {
        std::mem::take(&mut self.turns.letters)
    }

    /// Takes an entry of the log from another instance, unless a later one is known. Says whether it was news.
    pub fn hear(&mut self, entry: LogEntry, now: Timestamp) -> bool {
        let line = entry.line();
        // What was only perhaps told overtakes nobody.
        let overtakes = match self.log.get_line(&line) {
            Some(known) => (&known.firing, &known.resolved) != (&entry.firing, &entry.resolved),
            None => !(entry.firing.is_empty() && entry.resolved.is_empty()),
        };
        let news = self.log.merge(entry, now);
        if news && overtakes {
            self.turns.heard.insert(line, now);
        }
        news
    }

    /// Whether another instance told something of a job's group after this one had looked at it. Then what this
    /// one saw may be older than what was told, and it looks again before it tells more.
    pub(super) fn is_overtaken(&self, job: u64, looked_at: Timestamp) -> bool {
        self.line_of(job).and_then(|line| self.turns.heard.get(&line)).is_some_and(|heard| *heard > looked_at)
    }

    /// Forgets what jobs and entries that are no more left behind.
    pub(super) fn tidy_turns(&mut self) {
        let (jobs, log, turns) = (&self.jobs, &self.log, &mut self.turns);
        turns.asking.retain(|job, _| jobs.contains_key(job));
        turns.holders.retain(|_, holder| jobs.contains_key(&holder.job));
        turns.heard.retain(|line, _| log.get_line(line).is_some());
    }

    /// Takes a letter. The entry of one that says [`Verdict::Told`] must have been merged before.
    pub fn receive_letter(
        &mut self,
        from: &str,
        letter: Letter,
        now: Timestamp,
    ) -> (Vec<Delivery>, Vec<LogEntry>) {
        let mut work = Work::default();
        let from: Arc<str> = from.into();
        self.turns.silent.remove(&from);
        match letter {
            Letter::Ask { id, line, known_at } => self.answer(from, id, line, known_at, now),
            Letter::Answer { id, line, verdict } => {
                let of_question = |(job, asking): (&u64, &Asking)| (asking.id == id).then_some(*job);
                let job = self.turns.asking.iter().find_map(of_question);
                if let Some(job) = job.filter(|job| self.turns.asking[job].line == line) {
                    self.take_verdict(job, &from, &verdict, now, &mut work);
                }
            }
        }
        (work.deliveries, work.entries)
    }

    fn answer(&mut self, from: Arc<str>, id: u64, line: String, known_at: Option<Timestamp>, now: Timestamp) {
        let told = self.log.get_line(&line).filter(|entry| known_at.is_none_or(|known| known < entry.at));
        let verdict = match told {
            Some(entry) => Verdict::Told(entry.clone()),
            None => {
                let (verdict, gives_way) = self.turns.judge(&from, &line, now);
                if let Some(job) = gives_way {
                    self.turns.give_way(job);
                    self.set_job_timer(job, after(now, BUSY));
                }
                verdict
            }
        };
        self.turns.letters.push((from, Letter::Answer { id, line, verdict }));
    }

    fn take_verdict(
        &mut self,
        job: u64,
        from: &Arc<str>,
        verdict: &Verdict,
        now: Timestamp,
        work: &mut Work,
    ) {
        match verdict {
            Verdict::Granted => {
                let missing = self.turns.asking.get_mut(&job).and_then(|asking| asking.missing.as_mut());
                if missing.is_some_and(|missing| missing.remove(from) && missing.is_empty()) {
                    self.clear_job_timer(job);
                    self.go_on(job, now, work);
                }
            }
            Verdict::Busy => {
                self.turns.give_way(job);
                self.set_job_timer(job, after(now, BUSY));
            }
            // What it says is in the log by now: there is less to tell, or nothing.
            Verdict::Told(entry)
                if self.log.get_line(&entry.line()).is_some_and(|known| known.at >= entry.at) =>
            {
                self.turns.give_way(job);
                self.set_job_timer(job, now);
            }
            // By the clock here the entry has long expired.
            Verdict::Told(_) => self.take_verdict(job, from, &Verdict::Granted, now, work),
        }
    }

    /// Makes an attempt of a job as soon as it is its turn.
    pub(super) fn take_turn(&mut self, job: u64, now: Timestamp, work: &mut Work) {
        let Some(line) = self.line_of(job) else { return };
        if self.turns.others.is_empty() && !self.turns.asking.contains_key(&job) {
            // Another may join while this one is at it.
            self.turns.holders.insert(line, Holder { job, since: Some(now) });
            return self.send(job, work);
        }
        let known_at = self.log.get_line(&line).map(|entry| entry.at);
        let step = self.turns.ask(job, line, known_at, now);
        self.follow(job, step, now, work);
    }

    /// Whether a job waits for its turn.
    pub(super) fn is_asking(&self, job: u64) -> bool {
        self.turns.asking.contains_key(&job)
    }

    /// Goes on with a job that waits for its turn.
    pub(super) fn go_on(&mut self, job: u64, now: Timestamp, work: &mut Work) {
        if !self.still_due(job, now, work) {
            return;
        }
        if self.turns.asking.get(&job).is_some_and(|asking| asking.missing.is_none()) {
            return self.take_turn(job, now, work);
        }
        let step = self.turns.step(job, now);
        if matches!(step, Step::Wait(_)) {
            let known_at = self.line_of(job).and_then(|line| self.log.get_line(&line).map(|entry| entry.at));
            self.turns.post(job, known_at);
        }
        self.follow(job, step, now, work);
    }

    fn follow(&mut self, job: u64, step: Step, now: Timestamp, work: &mut Work) {
        match step {
            Step::Tell if self.still_due(job, now, work) => self.send(job, work),
            Step::Tell => {}
            Step::Wait(until) => self.set_job_timer(job, until),
        }
    }

    /// Ends the turn of a job.
    pub(super) fn end_turn(&mut self, job: u64) {
        if let Some(line) = self.line_of(job) {
            self.turns.release(job, &line);
        }
    }
}
