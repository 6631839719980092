//! Groups of alerts: when they are looked at, and what is then left to tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use model::Labels;

use super::{Core, Due, Flush, Job, Told, Work, deadline};
use crate::alert::{Alert, Fingerprint, after, order_sets, show_set};

/// Alerts of one route with the same group labels.
#[derive(Debug)]
pub(super) struct Group {
    pub route: usize,
    pub labels: Labels,
    pub key: Arc<str>,
    alerts: HashMap<Fingerprint, Arc<Alert>>,
    pub due_at: Timestamp,
    /// Jobs of the current flush that have not ended.
    running: usize,
    /// Whether a job of the current flush failed.
    failed: bool,
    /// Whether the group became due while a flush was running.
    due_again: bool,
    /// The resolved alerts of the current flush, which are forgotten once told.
    resolved: Vec<Arc<Alert>>,
    /// Names of the intervals that muted the group when it was last looked at.
    pub muted_by: Vec<String>,
    /// Whether it was looked at before.
    is_known: bool,
}

/// What a group hands on over a reload.
#[derive(Debug)]
pub(super) struct Carried {
    due_at: Timestamp,
    /// Whether something was still to be told, so that it is looked at without delay.
    is_urgent: bool,
    is_known: bool,
    muted_by: Vec<String>,
}

impl Carried {
    /// Joins what two groups of one key hand on.
    pub fn join(&mut self, other: &Self) {
        self.due_at = self.due_at.min(other.due_at);
        self.is_urgent |= other.is_urgent;
        self.is_known |= other.is_known;
    }
}

impl Group {
    /// What the group hands on; `interrupted` says that one of its jobs waited for another attempt.
    pub fn carry(&self, interrupted: bool) -> Carried {
        Carried {
            due_at: self.due_at,
            is_urgent: interrupted || self.failed || self.due_again,
            is_known: self.is_known,
            muted_by: self.muted_by.clone(),
        }
    }

    /// The alerts, when the group ends.
    pub fn into_alerts(self) -> HashMap<Fingerprint, Arc<Alert>> {
        self.alerts
    }
}

/// A group as others see it.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// The index of its route.
    pub route: usize,
    /// Its key.
    pub key: Arc<str>,
    /// Its labels.
    pub labels: Labels,
    /// Its receiver.
    pub receiver: String,
    /// Its alerts, in order.
    pub alerts: Vec<Arc<Alert>>,
    /// Names of the intervals that mute it.
    pub muted_by: Vec<String>,
    /// When it is looked at next.
    pub due_at: Timestamp,
}

impl GroupView {
    /// Puts the alerts in order.
    pub fn sort(&mut self) {
        self.alerts.sort_by(|a, b| a.order(b));
    }

    /// Puts groups in order.
    pub fn sort_all(groups: &mut [Self]) {
        groups.sort_by(|a, b| order_sets(&a.labels, &b.labels).then_with(|| a.receiver.cmp(&b.receiver)));
    }
}

impl Core {
    /// Puts an alert into the groups its routes say.
    pub(super) fn group(&mut self, alert: &Arc<Alert>, now: Timestamp) {
        let places: Vec<(usize, Labels)> = self
            .tree
            .matching(&alert.labels)
            .into_iter()
            .map(|route| (route.index, route.group_labels(&alert.labels)))
            .collect();
        for (route, labels) in places {
            self.insert(route, labels, alert, now);
        }
    }

    fn insert(&mut self, route: usize, labels: Labels, alert: &Arc<Alert>, now: Timestamp) {
        let place = (route, labels);
        if let Some(group) = self.group_of.get(&place).and_then(|id| self.groups.get_mut(id)) {
            group.alerts.insert(alert.fingerprint(), alert.clone());
            return;
        }
        let most = self.options.max_groups;
        if most > 0 && self.groups.len() >= most {
            self.groups_refused += 1;
            tracing::error!(alert = %alert.name(), "too many groups (--dispatch.max-groups={most}): the alert is not told");
            return;
        }
        let id = self.id();
        let Some(node) = self.tree.get(route) else { return };
        let key: Arc<str> = format!("{}:{}", node.key, show_set(&place.1)).into();
        let carried = self.carried.get(&(key.clone(), node.receiver.clone()));
        let due_at = match carried {
            Some(carried) if carried.is_urgent => now,
            Some(carried) => {
                let longest = if carried.is_known { node.group_interval } else { node.group_wait };
                carried.due_at.min(after(now, longest))
            }
            None if after(alert.starts_at, node.group_wait) < now => now,
            None => after(now, node.group_wait),
        };
        let group = Group {
            route,
            key,
            labels: place.1.clone(),
            alerts: HashMap::from([(alert.fingerprint(), alert.clone())]),
            due_at,
            running: 0,
            failed: false,
            due_again: false,
            resolved: Vec::new(),
            muted_by: carried.map(|carried| carried.muted_by.clone()).unwrap_or_default(),
            is_known: carried.is_some_and(|carried| carried.is_known),
        };
        self.groups.insert(id, group);
        self.group_of.insert(place, id);
        self.set_timer(due_at, Due::Group(id));
    }

    /// Has groups of a key looked at now.
    pub(super) fn hasten(&mut self, key: &str, now: Timestamp) {
        let start_at = self.options.start_at;
        for (id, group) in
            self.groups.iter_mut().filter(|(_, group)| *group.key == *key && group.due_at > now)
        {
            self.timers.remove(&(group.due_at.max(start_at), Due::Group(*id)));
            group.due_at = now;
            self.timers.insert((now.max(start_at), Due::Group(*id)));
        }
    }

    /// Looks at a group that is due.
    pub(super) fn flush(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.running > 0 {
            // One flush at a time; the next follows at its heels.
            group.due_again = true;
            return;
        }
        let Some(route) = self.tree.get(group.route) else { return };
        let (interval, receiver) = (route.group_interval, route.receiver.clone());
        group.due_at = after(now, interval);
        let due_at = group.due_at;
        let told = |alert: &Arc<Alert>| Told { alert: alert.clone(), resolved: alert.is_resolved(now) };
        let mut alerts: Vec<Told> = group.alerts.values().map(told).collect();
        alerts.sort_by(|a, b| a.alert.order(&b.alert));
        group.resolved = alerts.iter().filter(|told| told.resolved).map(|told| told.alert.clone()).collect();
        self.set_timer(due_at, Due::Group(id));
        let left = self.unsuppressed(id, alerts, now);
        let integrations = if left.is_empty() {
            Vec::new()
        } else {
            self.integrations.get(&receiver).cloned().unwrap_or_default()
        };
        let until = deadline(now, interval, self.peer_wait);
        if let Some(group) = self.groups.get_mut(&id) {
            group.running = integrations.len();
            group.failed = false;
            group.is_known = true;
        }
        if integrations.is_empty() {
            return self.flushed(id, now, work);
        }
        let found = Arc::new(Flush::new(left, now, until));
        for integration in integrations {
            let Some(group) = self.groups.get(&id) else { return };
            let Some(route) = self.tree.get(group.route) else { return };
            let job = Job::new(id, group, route, integration, found.clone());
            self.begin_job(job, now, work);
        }
    }

    /// The alerts that are not inhibited, silenced or outside the hours of the route, in the order in which the
    /// reference looks at that.
    fn unsuppressed(&mut self, id: u64, alerts: Vec<Told>, now: Timestamp) -> Vec<Told> {
        let Some(route) = self.groups.get(&id).and_then(|group| self.tree.get(group.route)) else {
            return Vec::new();
        };
        let (active, mute) = (&route.active_intervals, &route.mute_intervals);
        let is_active = active.is_empty() || !self.intervals_now(active, now).is_empty();
        let muted_by = if is_active { self.intervals_now(mute, now) } else { active.clone() };
        let before = alerts.len();
        self.silence_queries += before as u64;
        let begun = self.stopwatch();
        let silences = self.silences.live();
        let all_silenced: Vec<bool> =
            alerts.iter().map(|told| silences.is_silenced(&told.alert.labels, now)).collect();
        self.queried(|times| &times.silences, begun);
        let (inhibitor, store) = (&self.inhibitor, &mut self.alerts);
        let mut is_silenced = Vec::with_capacity(before);
        let mut all_silenced = all_silenced.into_iter();
        let mut left = alerts;
        left.retain(|told| {
            let inhibited = inhibitor.inhibits(&told.alert.labels, now).is_some();
            let silenced = all_silenced.next() == Some(true);
            store.mark(told.alert.fingerprint(), inhibited || silenced);
            if !inhibited {
                is_silenced.push(silenced);
            }
            !inhibited
        });
        let after_inhibition = left.len();
        let mut counts = self.suppressed;
        counts.inhibition += (before - after_inhibition) as u64;
        if !is_active {
            counts.active_interval += after_inhibition as u64;
            left.clear();
        } else if !muted_by.is_empty() {
            counts.mute_interval += after_inhibition as u64;
            left.clear();
        } else {
            let mut is_silenced = is_silenced.into_iter();
            left.retain(|_| is_silenced.next() != Some(true));
            counts.silence += (after_inhibition - left.len()) as u64;
        }
        self.suppressed = counts;
        if let Some(group) = self.groups.get_mut(&id) {
            group.muted_by = muted_by;
        }
        left
    }

    /// Notes that a job of a group has ended.
    pub(super) fn job_done(&mut self, id: u64, succeeded: bool, now: Timestamp, work: &mut Work) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.running = group.running.saturating_sub(1);
        group.failed |= !succeeded;
        if group.running == 0 {
            self.flushed(id, now, work);
        }
    }

    /// Ends a flush: resolved alerts that everybody was told of are forgotten, unless they fired again meanwhile,
    /// and so is a group without alerts.
    fn flushed(&mut self, id: u64, now: Timestamp, work: &mut Work) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let resolved = std::mem::take(&mut group.resolved);
        if !group.failed {
            for alert in resolved {
                let fingerprint = alert.fingerprint();
                // What was posted meanwhile is another alert, even at the same moment.
                if group.alerts.get(&fingerprint).is_some_and(|now| Arc::ptr_eq(now, &alert)) {
                    group.alerts.remove(&fingerprint);
                }
            }
        }
        if group.alerts.is_empty() {
            self.timers.remove(&(group.due_at.max(self.options.start_at), Due::Group(id)));
            let place = (group.route, group.labels.clone());
            self.group_of.remove(&place);
            self.groups.remove(&id);
        } else if std::mem::take(&mut group.due_again) {
            self.flush(id, now, work);
        }
    }

    /// All groups, by labels and receiver.
    pub fn groups(&self) -> Vec<GroupView> {
        let mut views = self.raw_groups();
        views.iter_mut().for_each(GroupView::sort);
        GroupView::sort_all(&mut views);
        views
    }

    /// All groups, in no order, nor their alerts: what is cheap to do while everything waits.
    pub(super) fn raw_groups(&self) -> Vec<GroupView> {
        self.groups.values().filter_map(|group| self.view_group(group)).collect()
    }

    fn view_group(&self, group: &Group) -> Option<GroupView> {
        let route = self.tree.get(group.route)?;
        Some(GroupView {
            route: group.route,
            key: group.key.clone(),
            labels: group.labels.clone(),
            receiver: route.receiver.clone(),
            alerts: group.alerts.values().cloned().collect(),
            muted_by: group.muted_by.clone(),
            due_at: group.due_at,
        })
    }

    /// The group of a route and labels.
    pub(super) fn group_at(&self, route: usize, labels: &Labels) -> Option<&Group> {
        self.groups.get(self.group_of.get(&(route, labels.clone()))?)
    }

    /// Alerts in groups by receiver, for metrics.
    pub fn alerts_by_receiver(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for group in self.groups.values() {
            let receiver = self.tree.get(group.route).map(|route| route.receiver.clone()).unwrap_or_default();
            *counts.entry(receiver).or_default() += group.alerts.len();
        }
        counts
    }
}
