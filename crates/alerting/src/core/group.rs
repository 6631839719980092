//! Groups of alerts: when they are looked at, and what is then left to tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use model::Labels;

use super::{Core, Due, Job, Told, Work, deadline};
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
}

impl Group {
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
        let id = self.id();
        let Some(node) = self.tree.get(route) else { return };
        let wait_over = after(alert.starts_at, node.group_wait) < now;
        let due_at = if wait_over { now } else { after(now, node.group_wait) };
        let group = Group {
            route,
            key: format!("{}:{}", node.key, show_set(&place.1)).into(),
            labels: place.1.clone(),
            alerts: HashMap::from([(alert.fingerprint(), alert.clone())]),
            due_at,
            running: 0,
            failed: false,
            due_again: false,
            resolved: Vec::new(),
            muted_by: Vec::new(),
        };
        self.groups.insert(id, group);
        self.group_of.insert(place, id);
        self.set_timer(due_at, Due::Group(id));
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
        }
        if integrations.is_empty() {
            return self.flushed(id, now, work);
        }
        let left: Arc<[Told]> = left.into();
        for integration in integrations {
            let job = self.id();
            let Some(group) = self.groups.get(&id) else { return };
            let Some(route) = self.tree.get(group.route) else { return };
            self.jobs.insert(job, Job::new(id, group, route, integration, left.clone(), now, until));
            if self.peer_wait.is_zero() {
                self.resume(job, now, work);
            } else {
                self.set_timer(after(now, self.peer_wait), Due::Job(job));
            }
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
        let inhibited = |told: &Told| self.inhibitor.inhibits(&told.alert.labels, now).is_some();
        let mut left: Vec<Told> = alerts.into_iter().filter(|told| !inhibited(told)).collect();
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
            left.retain(|told| self.silences.silencing(&told.alert.labels, now).is_empty());
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
                let is_same =
                    |now: &Arc<Alert>| Arc::ptr_eq(now, &alert) || now.updated_at == alert.updated_at;
                if group.alerts.get(&fingerprint).is_some_and(is_same) {
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

    /// All groups, by labels and receiver, and for each alert its receivers.
    pub fn groups(&self) -> Vec<GroupView> {
        let mut views: Vec<GroupView> = self.groups.values().filter_map(|group| self.view(group)).collect();
        views.sort_by(|a, b| order_sets(&a.labels, &b.labels).then_with(|| a.receiver.cmp(&b.receiver)));
        views
    }

    fn view(&self, group: &Group) -> Option<GroupView> {
        let route = self.tree.get(group.route)?;
        let mut alerts: Vec<Arc<Alert>> = group.alerts.values().cloned().collect();
        alerts.sort_by(|a, b| a.order(b));
        Some(GroupView {
            route: group.route,
            key: group.key.clone(),
            labels: group.labels.clone(),
            receiver: route.receiver.clone(),
            alerts,
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
