//! Why an alert is, or is not, told.

use std::sync::Arc;

use jiff::Timestamp;
use model::Labels;

use super::{Attempt, Core, Suppression, UnderWay};
use crate::alert::{Fingerprint, log_hash};
use crate::nflog::LogEntry;
use crate::route::Route;

/// What becomes of an alert, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What suppresses it on all routes.
    pub suppression: Suppression,
    /// Whether it is known and fires.
    pub firing: bool,
    /// Whether it is known at all.
    pub known: bool,
    /// The routes it takes.
    pub routes: Vec<RouteExplanation>,
}

/// What becomes of an alert on one route.
#[derive(Debug, Clone)]
pub struct RouteExplanation {
    /// The route's id: the matchers from the root to it, with places.
    pub route_id: String,
    /// The matchers on the way, each of which the alert satisfies.
    pub path: Vec<String>,
    /// Why none of the routes below took it: for each, the first matcher that does not hold.
    pub not_taken: Vec<(String, String)>,
    /// The receiver.
    pub receiver: String,
    /// The key of the group.
    pub group_key: String,
    /// When the group is looked at next; `None` when there is no such group.
    pub due_at: Option<Timestamp>,
    /// Names of time intervals that mute the route now.
    pub muted_by: Vec<String>,
    /// What each integration was told last.
    pub told: Vec<Told>,
    /// What is under way on the group, or waits to be tried again.
    pub under_way: Vec<UnderWay>,
    /// Attempts on the group that are remembered, the oldest first.
    pub attempts: Vec<Attempt>,
}

/// What an integration was told last.
#[derive(Debug, Clone)]
pub struct Told {
    /// The integration.
    pub integration: String,
    /// What was told, if anything was.
    pub entry: Option<Arc<LogEntry>>,
    /// Whether the alert was told as firing.
    pub knows_firing: bool,
    /// Whether it may have been told as firing, by an attempt that got no answer.
    pub perhaps_firing: bool,
    /// When the notification is repeated if nothing changes.
    pub repeats_after: Option<Timestamp>,
}

impl Core {
    /// Why an alert of these labels is, or is not, told.
    pub fn explain(&self, labels: &Labels, now: Timestamp) -> Explanation {
        let known = self.alerts.get(Fingerprint::of(labels));
        let routes = self.tree.matching(labels);
        Explanation {
            suppression: self.suppression(labels, now),
            firing: known.is_some_and(|alert| !alert.is_resolved(now)),
            known: known.is_some(),
            routes: routes.into_iter().map(|route| self.explain_route(route, labels, now)).collect(),
        }
    }

    fn explain_route(&self, route: &Route, labels: &Labels, now: Timestamp) -> RouteExplanation {
        let group_labels = route.group_labels(labels);
        let group_key = format!("{}:{}", route.key, crate::alert::show_set(&group_labels));
        let group = self.group_at(route.index, &group_labels);
        let active = &route.active_intervals;
        let is_active = active.is_empty() || !self.intervals_now(active, now).is_empty();
        let muted_by =
            if is_active { self.intervals_now(&route.mute_intervals, now) } else { active.clone() };
        let hash = log_hash(labels);
        let told = self.integrations_of(&route.receiver).iter().map(|integration| {
            let entry = self.log.get(&group_key, &integration.key).cloned();
            Told {
                integration: integration.key.to_string(),
                knows_firing: entry.as_ref().is_some_and(|entry| entry.firing.binary_search(&hash).is_ok()),
                perhaps_firing: entry
                    .as_ref()
                    .is_some_and(|entry| entry.perhaps.binary_search(&hash).is_ok()),
                repeats_after: entry
                    .as_ref()
                    .map(|entry| crate::alert::after(entry.at, route.repeat_interval)),
                entry,
            }
        });
        let children = route.children.iter().filter_map(|&index| self.tree.get(index));
        let not_taken = children.filter_map(|child| {
            let fails = child.matchers.0.iter().find(|m| !m.matches(labels.get_or_empty(&m.name)))?;
            Some((child.id.clone(), fails.to_string()))
        });
        RouteExplanation {
            route_id: route.id.clone(),
            path: route.key.split('/').map(str::to_owned).collect(),
            not_taken: not_taken.collect(),
            receiver: route.receiver.clone(),
            due_at: group.map(|group| group.due_at),
            muted_by,
            told: told.collect(),
            under_way: self.under_way(&group_key),
            attempts: self
                .attempts
                .iter()
                .filter(|attempt| *attempt.group_key == *group_key)
                .cloned()
                .collect(),
            group_key,
        }
    }
}
