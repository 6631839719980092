//! The decisions, without any I/O: events and the time go in, deliveries and records come out.
//!
//! Alerts that are posted are routed into groups. A group is looked at `group_wait` after its first alert, then
//! every `group_interval`: what is inhibited, outside its hours or silenced is set aside, and for each integration
//! of the receiver the log of notifications says whether it has to be told ([`crate::nflog::decide`]). If so a
//! [`Delivery`] comes out; its [`Outcome`] comes back by [`Core::finish`]. What failed for now is tried again
//! with growing pauses until the group is due anew; what was told goes to the log.
//!
//! Nothing here reads a clock or waits: [`Core::next_timer`] says when [`Core::poll`] has something to do. So a
//! simulator can run several of these against each other in any order.

mod explain;
mod group;
mod job;
mod times;
pub mod turns;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use config::alertmanager::{AlertmanagerSettings, TimeInterval};
use jiff::Timestamp;
use model::Labels;

use crate::alert::{Alert, Fingerprint, after};
use crate::inhibit::{Inhibition, Inhibitor};
use crate::nflog::{IntegrationKey, LogEntry, Notes, NotificationLog, Reason};
use crate::route::RouteTree;
use crate::silence::{SilenceOptions, Silences};
use crate::store::{AlertStore, StoreLimits};

pub use explain::{Explanation, RouteExplanation, Told as ToldBefore};
pub use group::GroupView;
use group::{Carried, Group};
pub use job::{Attempt, Tally, UnderWay};
use job::{Flush, Job, Line, Orphans};
pub use times::QueryTimes;
pub use view::{Suppressors, View};

/// Attempts that are remembered to explain what happened.
const REMEMBERED_ATTEMPTS: usize = 2000;

/// Limits and lifetimes.
#[derive(Debug, Clone)]
pub struct CoreOptions {
    /// How long the log of notifications is kept at most.
    pub retention: Duration,
    /// Limits and lifetimes of silences.
    pub silences: SilenceOptions,
    /// How many alerts are taken.
    pub alerts: StoreLimits,
    /// How many groups there may be; 0 for no limit.
    pub max_groups: usize,
    /// Nothing is sent before this moment.
    pub start_at: Timestamp,
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(120 * 3600),
            silences: SilenceOptions::default(),
            alerts: StoreLimits::default(),
            max_groups: 0,
            start_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// One way in which a receiver is told, as far as decisions go.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Which one.
    pub key: Arc<IntegrationKey>,
    /// Whether resolved alerts are told too.
    pub sends_resolved: bool,
}

/// An alert in a notification. Whether it is resolved is decided once for the whole notification.
#[derive(Debug, Clone)]
pub struct Told {
    /// The alert.
    pub alert: Arc<Alert>,
    /// Whether it was resolved when the group was looked at.
    pub resolved: bool,
}

/// A notification to be sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// To be given back with the outcome.
    pub job: u64,
    /// By which integration.
    pub integration: Arc<IntegrationKey>,
    /// The key of the group.
    pub group_key: Arc<str>,
    /// The labels of the group.
    pub group_labels: Labels,
    /// The labels of the route; values may be templates.
    pub route_labels: Arc<BTreeMap<String, String>>,
    /// The alerts, in order.
    pub alerts: Vec<Told>,
    /// All alerts of the group that nothing suppresses: labels of the route are rendered on them, whichever of them
    /// the integration is told of.
    pub group_alerts: Arc<[Told]>,
    /// Why it is sent.
    pub reason: Reason,
    /// What the integration kept about the group.
    pub notes: Notes,
    /// When the group was looked at.
    pub at: Timestamp,
    /// When sending must have ended.
    pub deadline: Timestamp,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In words, not many.
    pub message: String,
    /// The kind, as metrics name it.
    pub reason: &'static str,
    /// Whether the receiver may have taken the notification nevertheless: it had it, and its answer did not come.
    pub perhaps_told: bool,
}

impl Failure {
    /// The kind of what has no kind of its own.
    pub const OTHER: &str = "other";
    /// The longest message that is kept: receivers may answer with whole pages.
    const LONGEST_BYTES: usize = 1024;

    /// A failure of no particular kind.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(message, Self::OTHER)
    }

    /// A failure of a kind.
    pub fn of(message: impl Into<String>, reason: &'static str) -> Self {
        let mut message = message.into();
        if message.len() > Self::LONGEST_BYTES {
            message.truncate(message.floor_char_boundary(Self::LONGEST_BYTES));
            message.push('\u{2026}');
        }
        Self { message, reason, perhaps_told: false }
    }

    /// The same, of a receiver that may have taken the notification nevertheless, or may not.
    pub fn perhaps_told(mut self, perhaps: bool) -> Self {
        self.perhaps_told = perhaps;
        self
    }
}

/// How an attempt to send ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was accepted; what the integration wants to keep about the group.
    Sent(Notes),
    /// It failed and may succeed later.
    Retry(Failure),
    /// It failed for good.
    Failed(Failure),
}

/// What keeps an alert from being told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suppression {
    /// Ids of silences.
    pub silenced_by: Vec<String>,
    /// The rule and alert that inhibit it.
    pub inhibited_by: Option<Inhibition>,
}

/// How many alerts were not told, by reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Suppressed {
    /// Silenced ones.
    pub silence: u64,
    /// Inhibited ones.
    pub inhibition: u64,
    /// Those in a mute time interval.
    pub mute_interval: u64,
    /// Those outside the active time intervals.
    pub active_interval: u64,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Group(u64),
    Job(u64),
}

/// All state, and the decisions on it.
#[derive(Debug)]
pub struct Core {
    options: CoreOptions,
    tree: Arc<RouteTree>,
    integrations: HashMap<String, Vec<Integration>>,
    intervals: HashMap<String, Vec<TimeInterval>>,
    inhibitor: Inhibitor,
    resolve_timeout: Duration,
    alerts: AlertStore,
    silences: Silences,
    log: NotificationLog,
    groups: HashMap<u64, Group>,
    group_of: HashMap<(usize, Labels), u64>,
    jobs: HashMap<u64, Job>,
    /// What was under way when the configuration was taken.
    orphans: HashMap<Line, Orphans>,
    /// What the groups of the time before a reload hand on to those in their place.
    carried: HashMap<(Arc<str>, String), Carried>,
    tallies: BTreeMap<Arc<IntegrationKey>, Tally>,
    /// How many times the log was asked.
    log_queries: u64,
    /// How many times silences were asked about an alert.
    silence_queries: u64,
    /// How many times an alert had no group because there are too many.
    groups_refused: u64,
    timers: BTreeSet<(Timestamp, Due)>,
    next_id: u64,
    attempts: VecDeque<Attempt>,
    suppressed: Suppressed,
    /// How long to give those before this instance to tell first; nothing when it is alone.
    peer_wait: Duration,
    turns: turns::Turns,
    times: Option<QueryTimes>,
}

impl Core {
    /// A core without state. `integrations` are those of the receivers of `settings`, in the order they are told.
    pub fn new(
        settings: &AlertmanagerSettings,
        integrations: impl IntoIterator<Item = Integration>,
        options: CoreOptions,
    ) -> Self {
        let mut core = Self {
            tree: Arc::new(RouteTree::new(&settings.route)),
            integrations: HashMap::new(),
            intervals: HashMap::new(),
            inhibitor: Inhibitor::default(),
            resolve_timeout: Duration::ZERO,
            alerts: AlertStore::new(options.alerts),
            silences: Silences::new(options.silences),
            log: NotificationLog::new(options.retention),
            groups: HashMap::new(),
            group_of: HashMap::new(),
            jobs: HashMap::new(),
            orphans: HashMap::new(),
            carried: HashMap::new(),
            tallies: BTreeMap::new(),
            log_queries: 0,
            silence_queries: 0,
            groups_refused: 0,
            timers: BTreeSet::new(),
            next_id: 1,
            attempts: VecDeque::new(),
            suppressed: Suppressed::default(),
            peer_wait: Duration::ZERO,
            turns: turns::Turns::default(),
            times: None,
            options,
        };
        core.configure(settings, integrations);
        core
    }

    fn configure(
        &mut self,
        settings: &AlertmanagerSettings,
        integrations: impl IntoIterator<Item = Integration>,
    ) {
        self.tree = Arc::new(RouteTree::new(&settings.route));
        self.inhibitor = Inhibitor::new(&settings.inhibit_rules);
        self.resolve_timeout = settings.global.resolve_timeout.get();
        self.intervals = settings
            .intervals
            .iter()
            .map(|interval| (interval.name.clone(), interval.time_intervals.clone()))
            .collect();
        self.integrations.clear();
        for integration in integrations {
            self.integrations.entry(integration.key.receiver.clone()).or_default().push(integration);
        }
    }

    /// Takes a new configuration. Groups are formed anew from all alerts, those that wait to be told as resolved
    /// among them. A group that is in the place of an older one keeps its times. What is being sent goes on, its
    /// outcome is noted, and only then it is decided what to tell the same integration of the same group.
    pub fn reload(
        &mut self,
        settings: &AlertmanagerSettings,
        integrations: impl IntoIterator<Item = Integration>,
        now: Timestamp,
    ) {
        let before = self.integrations.clone();
        let receivers: Vec<String> = self.tree.iter().map(|route| route.receiver.clone()).collect();
        self.configure(settings, integrations);
        self.timers.clear();
        let interrupted: BTreeSet<u64> = self.orphan_jobs().into_iter().collect();
        self.tidy_turns();
        let mut alerts: BTreeMap<Fingerprint, Arc<Alert>> = BTreeMap::new();
        for (id, group) in std::mem::take(&mut self.groups) {
            let receiver = &receivers[group.route];
            if same_integrations(before.get(receiver), self.integrations.get(receiver)) {
                let place = (group.key.clone(), receiver.clone());
                let carried = group.carry(interrupted.contains(&id));
                self.carried.entry(place).and_modify(|known| known.join(&carried)).or_insert(carried);
            }
            alerts.extend(group.into_alerts());
        }
        // What is in the store is at least as new as what is in groups. A resolved alert that is in no group has
        // been told; in a new group it would be told once more.
        for alert in self.alerts.iter() {
            let fingerprint = alert.fingerprint();
            if !alert.is_resolved(now) || alerts.contains_key(&fingerprint) {
                alerts.insert(fingerprint, alert.clone());
            }
        }
        self.group_of.clear();
        self.alerts.iter().for_each(|alert| self.inhibitor.observe(alert));
        alerts.values().for_each(|alert| self.group(alert, now));
        self.carried.clear();
    }

    /// How long this instance waits for those before it.
    pub fn set_peer_wait(&mut self, wait: Duration) {
        self.peer_wait = wait;
    }

    /// Takes alerts as they were received, without an end or a start where none was given; `now` is when. Says how
    /// many were refused because there are too many.
    pub fn post(&mut self, alerts: Vec<Alert>, now: Timestamp) -> usize {
        let mut refused = 0;
        for alert in alerts {
            let before = self.alerts.get(alert.fingerprint()).cloned();
            match self.alerts.put(alert, now) {
                Some(alert) => {
                    self.inhibitor.observe(&alert);
                    // What was resolved is posted for a while. Its groups have it, or have told it.
                    let is_old = before.is_some_and(|before| {
                        before.is_resolved(now)
                            && (before.starts_at, before.ends_at) == (alert.starts_at, alert.ends_at)
                    });
                    if !is_old {
                        self.group(&alert, now);
                    }
                }
                None => refused += 1,
            }
        }
        refused
    }

    /// After this time without news an alert counts as resolved.
    pub fn resolve_timeout(&self) -> Duration {
        self.resolve_timeout
    }

    /// When [`Core::poll`] has something to do next.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due. Log entries are to be written down; they are in the log already.
    pub fn poll(&mut self, now: Timestamp) -> (Vec<Delivery>, Vec<LogEntry>) {
        self.poll_some(now, usize::MAX)
    }

    /// As [`Core::poll`], for at most so many timers, so that others can have the lock in between.
    pub fn poll_some(&mut self, now: Timestamp, most: usize) -> (Vec<Delivery>, Vec<LogEntry>) {
        let mut work = Work::default();
        for _ in 0..most {
            let Some(&(at, due)) = self.timers.first().filter(|(at, _)| *at <= now) else { break };
            self.timers.remove(&(at, due));
            match due {
                Due::Group(id) => self.flush(id, now, &mut work),
                Due::Job(id) => self.resume(id, now, &mut work),
            }
        }
        (work.deliveries, work.entries)
    }

    /// Takes the outcome of a delivery.
    pub fn finish(&mut self, job: u64, outcome: Outcome, now: Timestamp) -> (Vec<Delivery>, Vec<LogEntry>) {
        let mut work = Work::default();
        self.finished(job, outcome, now, &mut work);
        (work.deliveries, work.entries)
    }

    /// What keeps an alert of these labels from being told, whatever its routes say.
    pub fn suppression(&self, labels: &Labels, now: Timestamp) -> Suppression {
        Suppression {
            silenced_by: self.silences.silencing(labels, now),
            inhibited_by: self.inhibitor.inhibits(labels, now),
        }
    }

    /// Forgets resolved alerts, and what has expired of silences and log.
    pub fn forget(&mut self, now: Timestamp) {
        let gone = self.alerts.forget_resolved(now);
        self.inhibitor.forget(&gone);
        self.silences.forget_expired(now);
        self.log.forget_expired(now);
        self.tidy_turns();
    }

    /// The alerts known.
    pub fn alerts(&self) -> &AlertStore {
        &self.alerts
    }

    /// The silences.
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// The silences, to merge records into.
    pub fn silences_mut(&mut self) -> &mut Silences {
        &mut self.silences
    }

    /// The log of notifications.
    pub fn log(&self) -> &NotificationLog {
        &self.log
    }

    /// The log of notifications, to merge entries into.
    pub fn log_mut(&mut self) -> &mut NotificationLog {
        &mut self.log
    }

    /// The routing tree.
    pub fn tree(&self) -> &RouteTree {
        &self.tree
    }

    /// The ways in which a receiver is told, in the order it is.
    pub fn integrations_of(&self, receiver: &str) -> &[Integration] {
        self.integrations.get(receiver).map_or(&[], Vec::as_slice)
    }

    /// The attempts to tell that are remembered, the oldest first.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.iter()
    }

    /// Number of groups.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many alerts were not told, by reason.
    pub fn suppressed(&self) -> Suppressed {
        self.suppressed
    }

    /// How many notifications there were, by integration.
    pub fn tallies(&self) -> &BTreeMap<Arc<IntegrationKey>, Tally> {
        &self.tallies
    }

    /// How many times the log, and silences, were asked.
    pub fn queries(&self) -> (u64, u64) {
        (self.log_queries, self.silence_queries)
    }

    /// How many times an alert was left without a group because there are too many.
    pub fn groups_refused(&self) -> u64 {
        self.groups_refused
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn remember(&mut self, attempt: Attempt) {
        if self.attempts.len() == REMEMBERED_ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(attempt);
    }

    fn set_timer(&mut self, at: Timestamp, due: Due) {
        self.timers.insert((at.max(self.options.start_at), due));
    }

    /// Names of the intervals among `names` that contain the moment.
    fn intervals_now(&self, names: &[String], now: Timestamp) -> Vec<String> {
        let contains = |name: &&String| {
            let intervals = self.intervals.get(*name).map_or(&[][..], Vec::as_slice);
            intervals.iter().any(|interval| interval.contains_ms(now.as_millisecond()))
        };
        names.iter().filter(contains).cloned().collect()
    }
}

/// Whether a receiver is told in the same ways as before.
fn same_integrations(before: Option<&Vec<Integration>>, now: Option<&Vec<Integration>>) -> bool {
    let keys = |integrations: Option<&Vec<Integration>>| -> Vec<Arc<IntegrationKey>> {
        integrations.into_iter().flatten().map(|integration| integration.key.clone()).collect()
    };
    keys(before) == keys(now)
}

/// What came of a call.
#[derive(Debug, Default)]
struct Work {
    deliveries: Vec<Delivery>,
    entries: Vec<LogEntry>,
}

/// The pause before an attempt: half a second at first, growing by half each time up to a minute. A part that
/// depends on the job keeps those that failed together from trying again together.
fn pause(job: u64, attempt: u32) -> Duration {
    let base_ms = (500.0 * 1.5_f64.powi(attempt.min(40) as i32 - 1)).min(60_000.0);
    let spread = xxhash_rust::xxh3::xxh3_64(&[job.to_le_bytes(), u64::from(attempt).to_le_bytes()].concat());
    let factor = 0.5 + (spread % 1000) as f64 / 1000.0;
    Duration::from_millis((base_ms * factor) as u64)
}

/// When sending must have ended: when the group is due again, but never at once.
fn deadline(now: Timestamp, group_interval: Duration, wait: Duration) -> Timestamp {
    const LEAST: Duration = Duration::from_secs(10);
    after(now, group_interval.max(LEAST) + wait)
}

#[cfg(test)]
mod tests;
