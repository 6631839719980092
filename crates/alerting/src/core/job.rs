//! Jobs: one notification on one group by one integration, from the decision to the last attempt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::Labels;

use super::{Core, Delivery, Due, Failure, Group, Integration, Outcome, Told, Work, pause};
use crate::alert::after;
use crate::nflog::{IntegrationKey, LogEntry, Notes, Reason, decide, line};
use crate::route::Route;

/// How long after its deadline an attempt is given up of which nothing is heard.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// What remains at least for a notification that had to wait for an older one.
const LEAST: Duration = Duration::from_secs(10);

/// What a look at a group found: the same for all integrations.
#[derive(Debug)]
pub(super) struct Flush {
    /// The alerts that are not suppressed, in order.
    pub alerts: Arc<[Told]>,
    /// Hashes of those that fire, sorted.
    firing: Vec<u64>,
    /// Hashes of those that are resolved, sorted.
    resolved: Vec<u64>,
    pub at: Timestamp,
    pub deadline: Timestamp,
}

impl Flush {
    pub fn new(alerts: Vec<Told>, at: Timestamp, deadline: Timestamp) -> Self {
        let of = |resolved: bool| {
            let chosen = alerts.iter().filter(|told| told.resolved == resolved);
            let mut hashes: Vec<u64> = chosen.map(|told| told.alert.log_hash()).collect();
            hashes.sort_unstable();
            hashes.dedup();
            hashes
        };
        let (firing, resolved) = (of(false), of(true));
        Self { alerts: alerts.into(), firing, resolved, at, deadline }
    }
}

#[derive(Debug)]
pub(super) struct Job {
    /// The group, unless a reload has ended it while the attempt was under way.
    group: Option<u64>,
    group_key: Arc<str>,
    group_labels: Labels,
    route_labels: Arc<BTreeMap<String, String>>,
    repeat_interval: Duration,
    integration: Integration,
    flush: Arc<Flush>,
    deadline: Timestamp,
    state: State,
    /// Its timer, if it has one.
    timer: Option<Timestamp>,
}

#[derive(Debug)]
enum State {
    /// It is to be decided whether there is something to tell.
    Waiting,
    /// An attempt is under way, or the next one waits.
    Telling { reason: Reason, notes: Notes, attempt: u32, last: Option<Failure>, sending: bool },
}

/// What an integration is told of a group: the key by which the log knows it.
pub(super) type Line = (Arc<str>, Arc<IntegrationKey>);

/// Attempts on a group and integration that a reload found under way.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    under_way: usize,
    /// Jobs of the new group that are decided once those are over.
    waiting: Vec<u64>,
}

/// An attempt to send a notification, remembered to explain what happened.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// The group.
    pub group_key: Arc<str>,
    /// The integration.
    pub integration: Arc<IntegrationKey>,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// Why the notification was to be sent.
    pub reason: Reason,
    /// Why it failed; `None` when it did not.
    pub error: Option<String>,
    /// Whether it is tried again.
    pub again: bool,
}

/// What a group's integration is about to be told, or is being told.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// The integration.
    pub integration: Arc<IntegrationKey>,
    /// Which attempt it is; 0 when nothing was tried yet.
    pub attempt: u32,
    /// Whether an attempt is under way now.
    pub sending: bool,
    /// When it is tried next, or decided; when it is given up while an attempt is under way.
    pub next: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// How many notifications of an integration there were.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Those that were begun.
    pub begun: u64,
    /// Those that failed after all attempts, by the reason of the last.
    pub failed: BTreeMap<&'static str, u64>,
}

impl Job {
    pub fn new(id: u64, group: &Group, route: &Route, integration: Integration, flush: Arc<Flush>) -> Self {
        Self {
            group: Some(id),
            group_key: group.key.clone(),
            group_labels: group.labels.clone(),
            route_labels: route.labels.clone(),
            repeat_interval: route.repeat_interval,
            integration,
            deadline: flush.deadline,
            flush,
            state: State::Waiting,
            timer: None,
        }
    }

    /// Whether an attempt is under way.
    fn is_sending(&self) -> bool {
        matches!(self.state, State::Telling { sending: true, .. })
    }

    /// By what the log knows what is told.
    pub fn line(&self) -> Line {
        (self.group_key.clone(), self.integration.key.clone())
    }
}

impl Core {
    /// Ends all jobs but those of which an attempt is under way: those lose their group, and what comes after
    /// them waits for their outcome. Gives the groups that had something to tell and do not now.
    pub(super) fn orphan_jobs(&mut self) -> Vec<u64> {
        let mut interrupted = Vec::new();
        self.jobs.retain(|_, job| {
            if !job.is_sending() {
                interrupted.extend(job.group);
            }
            job.is_sending()
        });
        self.orphans.clear();
        for (id, job) in &mut self.jobs {
            job.group = None;
            self.orphans.entry(job.line()).or_default().under_way += 1;
            self.timers.extend(job.timer.map(|at| (at, Due::Job(*id))));
        }
        interrupted
    }

    /// Begins a job: at once, after those of other instances, or after an older one that is under way.
    pub(super) fn begin_job(&mut self, job: Job, now: Timestamp, work: &mut Work) {
        let (id, line) = (self.id(), job.line());
        self.jobs.insert(id, job);
        if let Some(orphans) = self.orphans.get_mut(&line) {
            orphans.waiting.push(id);
        } else if self.peer_wait.is_zero() {
            self.resume(id, now, work);
        } else {
            self.set_job_timer(id, after(now, self.peer_wait));
        }
    }

    pub(super) fn set_job_timer(&mut self, id: u64, at: Timestamp) {
        self.clear_job_timer(id);
        let at = at.max(self.options.start_at);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.timer = Some(at);
            self.timers.insert((at, Due::Job(id)));
        }
    }

    pub(super) fn clear_job_timer(&mut self, id: u64) {
        if let Some(at) = self.jobs.get_mut(&id).and_then(|job| job.timer.take()) {
            self.timers.remove(&(at, Due::Job(id)));
        }
    }

    /// Goes on with a job that waited: decides whether to tell, or tries again.
    pub(super) fn resume(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let is_asking = self.is_asking(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match &mut job.state {
            // Another instance was at it all the time; the group is looked at again.
            State::Telling { sending: false, .. } if is_asking && now >= job.deadline => {
                self.end_job(id, false, now, work);
            }
            State::Telling { sending: false, .. } if is_asking => self.go_on(id, now, work),
            // Whoever was to send it is gone; the group must not wait for ever.
            State::Telling { sending: true, .. } => {
                let failure = Failure::new("nothing was heard of the attempt until long after its deadline");
                let failure = failure.perhaps_told(true);
                self.finished(id, Outcome::Failed(failure), now, work);
            }
            State::Telling { attempt, last, .. } if now >= job.deadline => {
                let error = last.as_ref().map_or("", |failure| failure.message.as_str());
                tracing::error!(integration = %job.integration.key, receiver = job.integration.key.receiver, group = &*job.group_key, "notification failed: gave up after {attempt} attempts: {error}");
                self.end_job(id, false, now, work);
            }
            State::Telling { attempt, .. } => {
                *attempt += 1;
                if self.still_due(id, now, work) {
                    self.take_turn(id, now, work);
                }
            }
            State::Waiting => self.decide(id, now, work),
        }
    }

    fn decide(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.state = State::Telling {
            reason: Reason::First,
            notes: Notes::new(),
            attempt: 1,
            last: None,
            sending: false,
        };
        if self.still_due(id, now, work) {
            self.take_turn(id, now, work);
        }
    }

    /// Whether there is something to tell, by what is in the log now; the job ends otherwise. What another
    /// instance told meanwhile is not told again, and what it told of later than the group was looked at here is
    /// not gone back on: the group is looked at again.
    pub(super) fn still_due(&mut self, id: u64, now: Timestamp, work: &mut Work) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        let flush = job.flush.clone();
        self.log_queries += 1;
        let begun = self.stopwatch();
        let entry = self.log.get(&job.group_key, &job.integration.key);
        self.queried(|times| &times.log, begun);
        let sends_resolved = job.integration.sends_resolved;
        let reason = decide(
            entry.map(AsRef::as_ref),
            (&flush.firing, &flush.resolved),
            sends_resolved,
            job.repeat_interval,
            flush.at,
        );
        // A first notification starts from nothing, whatever was kept of an earlier life of the group.
        let notes = match entry {
            Some(entry) if reason != Some(Reason::First) => entry.notes.clone(),
            _ => Notes::new(),
        };
        let Some(reason) = reason else {
            self.end_job(id, true, now, work);
            return false;
        };
        if self.is_overtaken(id, flush.at) {
            self.end_job(id, false, now, work);
            return false;
        }
        if flush.firing.is_empty() && !sends_resolved {
            // Nothing to send, and yet the log has to know that nothing fires any more.
            self.note_told(id, notes, now, work);
            self.end_job(id, true, now, work);
            return false;
        }
        if let Some(State::Telling { reason: why, notes: kept, .. }) =
            self.jobs.get_mut(&id).map(|job| &mut job.state)
        {
            (*why, *kept) = (reason, notes);
        }
        true
    }

    /// The line of the log a job is about.
    pub(super) fn line_of(&self, id: u64) -> Option<String> {
        self.jobs.get(&id).map(|job| line(&job.group_key, &job.integration.key))
    }

    pub(super) fn send(&mut self, id: u64, work: &mut Work) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Telling { reason, notes, attempt, sending, .. } = &mut job.state else { return };
        *sending = true;
        if *attempt == 1 {
            self.tallies.entry(job.integration.key.clone()).or_default().begun += 1;
        }
        let told = job.flush.alerts.iter().filter(|told| job.integration.sends_resolved || !told.resolved);
        let deadline = job.deadline;
        work.deliveries.push(Delivery {
            job: id,
            integration: job.integration.key.clone(),
            group_key: job.group_key.clone(),
            group_labels: job.group_labels.clone(),
            route_labels: job.route_labels.clone(),
            alerts: told.cloned().collect(),
            group_alerts: job.flush.alerts.clone(),
            reason: *reason,
            notes: notes.clone(),
            at: job.flush.at,
            deadline,
            attempt: *attempt,
        });
        self.set_job_timer(id, after(deadline, SILENT_FOR));
    }

    /// Takes the outcome of an attempt.
    pub(super) fn finished(&mut self, id: u64, outcome: Outcome, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Telling { reason, attempt, last, sending, .. } = &mut job.state else { return };
        *sending = false;
        let again = after(now, pause(id, *attempt));
        // Of a group that is no more nothing is repeated: the group in its place decides anew.
        let may_repeat = job.group.is_some() && again < job.deadline;
        let retries = matches!(outcome, Outcome::Retry(_)) && may_repeat;
        let failure = match &outcome {
            Outcome::Sent(_) => None,
            Outcome::Retry(failure) | Outcome::Failed(failure) => Some(failure.clone()),
        };
        let perhaps_told = failure.as_ref().is_some_and(|failure| failure.perhaps_told);
        if let Some(failure) = &failure {
            // The same error again is no news.
            if last.as_ref().is_none_or(|last| last.message != failure.message) {
                tracing::warn!(integration = %job.integration.key, receiver = job.integration.key.receiver, group = &*job.group_key, attempt, retries, "notification attempt failed: {}", failure.message);
            }
            *last = Some(failure.clone());
        }
        let remembered = Attempt {
            at: now,
            group_key: job.group_key.clone(),
            integration: job.integration.key.clone(),
            number: *attempt,
            reason: *reason,
            error: failure.map(|failure| failure.message),
            again: retries,
        };
        self.clear_job_timer(id);
        self.end_turn(id);
        self.remember(remembered);
        if perhaps_told {
            self.note_perhaps(id, now, work);
        }
        match outcome {
            Outcome::Sent(notes) => {
                self.note_told(id, notes, now, work);
                self.end_job(id, true, now, work);
            }
            Outcome::Retry(_) if retries => self.set_job_timer(id, again),
            Outcome::Retry(_) | Outcome::Failed(_) => self.end_job(id, false, now, work),
        }
    }

    /// Writes to the log what the integration knows now.
    fn note_told(&mut self, id: u64, notes: Notes, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get(&id) else { return };
        let hashes = (job.flush.firing.clone(), job.flush.resolved.clone());
        let entry =
            self.log.entry(&job.group_key, &job.integration.key, hashes, notes, job.repeat_interval, now);
        if self.log.merge(entry.clone(), now) {
            work.entries.push(entry);
        }
    }

    /// Writes to the log that the integration may know what it was not known to accept: should that end before an
    /// attempt succeeds, it hears so.
    fn note_perhaps(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get(&id) else { return };
        let firing = &job.flush.firing;
        let entry = self.log.perhaps(&job.group_key, &job.integration.key, firing, job.repeat_interval, now);
        if let Some(entry) = entry
            && self.log.merge(entry.clone(), now)
        {
            work.entries.push(entry);
        }
    }

    /// Writes to the log what attempts that are under way may have told, because their outcome will not be known.
    pub fn abandon(&mut self, now: Timestamp) -> Vec<LogEntry> {
        let mut work = Work::default();
        let under_way = self.jobs.iter().filter(|(_, job)| job.is_sending()).map(|(id, _)| *id);
        for id in under_way.collect::<Vec<_>>() {
            self.note_perhaps(id, now, &mut work);
        }
        work.entries
    }

    fn end_job(&mut self, id: u64, succeeded: bool, now: Timestamp, work: &mut Work) {
        self.clear_job_timer(id);
        self.end_turn(id);
        let Some(job) = self.jobs.remove(&id) else { return };
        // What was left to another instance did not fail.
        if let State::Telling { last: Some(failure), .. } = &job.state
            && !succeeded
        {
            let tally = self.tallies.entry(job.integration.key.clone()).or_default();
            *tally.failed.entry(failure.reason).or_default() += 1;
        }
        match job.group {
            Some(group) => self.job_done(group, succeeded, now, work),
            None => self.orphan_done(&job, succeeded, now, work),
        }
    }

    /// Lets what waited for an attempt of the time before a reload go on, once there is no other. When it failed,
    /// the group is looked at now.
    fn orphan_done(&mut self, job: &Job, succeeded: bool, now: Timestamp, work: &mut Work) {
        let line = job.line();
        let Some(orphans) = self.orphans.get_mut(&line) else { return };
        orphans.under_way = orphans.under_way.saturating_sub(1);
        if orphans.under_way > 0 {
            return;
        }
        let waiting = std::mem::take(&mut orphans.waiting);
        self.orphans.remove(&line);
        if !succeeded && waiting.is_empty() {
            self.hasten(&job.group_key, now);
        }
        for id in waiting {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.deadline = job.deadline.max(after(now, LEAST));
            }
            self.resume(id, now, work);
        }
    }

    /// What is under way on a group.
    pub(super) fn under_way(&self, group_key: &str) -> Vec<UnderWay> {
        let mut found: Vec<UnderWay> = self
            .jobs
            .values()
            .filter(|job| *job.group_key == *group_key)
            .map(|job| {
                let (attempt, sending, last) = match &job.state {
                    State::Waiting => (0, false, None),
                    State::Telling { attempt, sending, last, .. } => (*attempt, *sending, last.as_ref()),
                };
                UnderWay {
                    integration: job.integration.key.clone(),
                    attempt,
                    sending,
                    next: job.timer,
                    last_error: last.map(|failure| failure.message.clone()),
                }
            })
            .collect();
        found.sort_by(|a, b| a.integration.cmp(&b.integration));
        found
    }
}
