//! Jobs: one notification on one group by one integration, from the decision to the last attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::Labels;

use super::{Core, Delivery, Due, Group, Integration, Outcome, Told, Work, pause};
use crate::alert::after;
use crate::nflog::{IntegrationKey, Notes, Reason, decide};
use crate::route::Route;

#[derive(Debug)]
pub(super) struct Job {
    group: u64,
    group_key: Arc<str>,
    group_labels: Labels,
    route_labels: Arc<BTreeMap<String, String>>,
    repeat_interval: Duration,
    integration: Integration,
    alerts: Arc<[Told]>,
    at: Timestamp,
    deadline: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It is to be decided whether there is something to tell.
    Waiting,
    /// An attempt is under way, or the next one waits.
    Telling { reason: Reason, notes: Notes, attempt: u32, last_error: String, sending: bool },
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

impl Job {
    pub fn new(
        id: u64,
        group: &Group,
        route: &Route,
        integration: Integration,
        alerts: Arc<[Told]>,
        at: Timestamp,
        deadline: Timestamp,
    ) -> Self {
        Self {
            group: id,
            group_key: group.key.clone(),
            group_labels: group.labels.clone(),
            route_labels: Arc::new(route.labels.clone()),
            repeat_interval: route.repeat_interval,
            integration,
            alerts,
            at,
            deadline,
            state: State::Waiting,
        }
    }

    /// Whether an attempt is under way.
    pub fn is_sending(&self) -> bool {
        matches!(self.state, State::Telling { sending: true, .. })
    }

    /// Hashes of the alerts that fire, and of those that are resolved.
    fn hashes(&self) -> (Vec<u64>, Vec<u64>) {
        let of = |resolved: bool| {
            let chosen = self.alerts.iter().filter(move |told| told.resolved == resolved);
            chosen.map(|told| told.alert.log_hash()).collect()
        };
        (of(false), of(true))
    }
}

impl Core {
    /// Goes on with a job that waited: decides whether to tell, or tries again.
    pub(super) fn resume(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match &mut job.state {
            State::Telling { sending: true, .. } => {}
            State::Telling { attempt, last_error, .. } if now >= job.deadline => {
                let message = format!("gave up after {attempt} attempts: {last_error}");
                tracing::error!(integration = %job.integration.key, receiver = job.integration.key.receiver, group = &*job.group_key, "notification failed: {message}");
                let group = job.group;
                self.jobs.remove(&id);
                self.job_done(group, false, now, work);
            }
            State::Telling { attempt, sending, .. } => {
                *attempt += 1;
                *sending = true;
                work.deliveries.extend(self.delivery(id));
            }
            State::Waiting => self.decide(id, now, work),
        }
    }

    fn decide(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (firing, resolved) = job.hashes();
        let sets: [BTreeSet<u64>; 2] = [firing.iter().copied().collect(), resolved.iter().copied().collect()];
        let entry = self.log.get(&job.group_key, &job.integration.key);
        let sends_resolved = job.integration.sends_resolved;
        let reason =
            decide(entry.map(AsRef::as_ref), &sets[0], &sets[1], sends_resolved, job.repeat_interval, job.at);
        let Some(reason) = reason else { return self.end_job(id, true, now, work) };
        // A first notification starts from nothing, whatever was kept of an earlier life of the group.
        let notes = match entry {
            Some(entry) if reason != Reason::First => entry.notes.clone(),
            _ => Notes::new(),
        };
        if firing.is_empty() && !sends_resolved {
            // Nothing to send, and yet the log has to know that nothing fires any more.
            self.note_told(id, notes, now, work);
            return self.end_job(id, true, now, work);
        }
        job.state = State::Telling { reason, notes, attempt: 1, last_error: String::new(), sending: true };
        work.deliveries.extend(self.delivery(id));
    }

    fn delivery(&self, id: u64) -> Option<Delivery> {
        let job = self.jobs.get(&id)?;
        let State::Telling { reason, notes, attempt, .. } = &job.state else { return None };
        let sent = job.alerts.iter().filter(|told| job.integration.sends_resolved || !told.resolved);
        Some(Delivery {
            job: id,
            integration: job.integration.key.clone(),
            group_key: job.group_key.clone(),
            group_labels: job.group_labels.clone(),
            route_labels: job.route_labels.clone(),
            alerts: sent.cloned().collect(),
            reason: *reason,
            notes: notes.clone(),
            at: job.at,
            deadline: job.deadline,
            attempt: *attempt,
        })
    }

    /// Takes the outcome of an attempt.
    pub(super) fn finished(&mut self, id: u64, outcome: Outcome, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Telling { reason, attempt, last_error, sending, .. } = &mut job.state else { return };
        *sending = false;
        let again = after(now, pause(id, *attempt));
        let retries = matches!(outcome, Outcome::Retry(_)) && again < job.deadline;
        let error = match &outcome {
            Outcome::Sent(_) => None,
            Outcome::Retry(error) | Outcome::Failed(error) => Some(error.clone()),
        };
        if let Some(error) = &error {
            // The same error again is no news.
            if *error != *last_error {
                tracing::warn!(integration = %job.integration.key, receiver = job.integration.key.receiver, group = &*job.group_key, attempt, retries, "notification attempt failed: {error}");
            }
            error.clone_into(last_error);
        }
        let remembered = Attempt {
            at: now,
            group_key: job.group_key.clone(),
            integration: job.integration.key.clone(),
            number: *attempt,
            reason: *reason,
            error,
            again: retries,
        };
        self.remember(remembered);
        match outcome {
            Outcome::Sent(notes) => {
                self.note_told(id, notes, now, work);
                self.end_job(id, true, now, work);
            }
            Outcome::Retry(_) if retries => self.set_timer(again, Due::Job(id)),
            Outcome::Retry(_) | Outcome::Failed(_) => self.end_job(id, false, now, work),
        }
    }

    /// Writes to the log what the integration knows now.
    fn note_told(&mut self, id: u64, notes: Notes, now: Timestamp, work: &mut Work) {
        let Some(job) = self.jobs.get(&id) else { return };
        let hashes = job.hashes();
        let entry =
            self.log.entry(&job.group_key, &job.integration.key, hashes, notes, job.repeat_interval, now);
        if self.log.merge(entry.clone(), now) {
            work.entries.push(entry);
        }
    }

    fn end_job(&mut self, id: u64, succeeded: bool, now: Timestamp, work: &mut Work) {
        if let Some(job) = self.jobs.remove(&id) {
            self.job_done(job.group, succeeded, now, work);
        }
    }
}
