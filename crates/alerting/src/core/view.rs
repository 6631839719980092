//! What others look at: copies that are cheap to make while the decisions wait, and are worked on afterwards.

use std::sync::Arc;

use jiff::Timestamp;
use model::Labels;

use super::{Core, GroupView, Suppression};
use crate::alert::Alert;
use crate::inhibit::Inhibitor;
use crate::route::RouteTree;
use crate::silence::LiveSilences;

/// The state of a moment.
#[derive(Debug, Clone)]
pub struct View {
    /// The alerts known, in no order.
    pub alerts: Vec<Arc<Alert>>,
    /// The routing tree.
    pub tree: Arc<RouteTree>,
    /// What suppresses alerts.
    pub suppressors: Suppressors,
}

/// What suppresses alerts, whatever their routes say.
#[derive(Debug, Clone)]
pub struct Suppressors {
    silences: Arc<LiveSilences>,
    inhibitor: Inhibitor,
}

impl Suppressors {
    /// What keeps an alert of these labels from being told.
    pub fn of(&self, labels: &Labels, now: Timestamp) -> Suppression {
        Suppression {
            silenced_by: self.silences.silencing(labels, now),
            inhibited_by: self.inhibitor.inhibits(labels, now),
        }
    }
}

impl Core {
    /// What suppresses alerts, as a copy.
    pub fn suppressors(&self) -> Suppressors {
        Suppressors { silences: self.silences.live().clone(), inhibitor: self.inhibitor.clone() }
    }

    /// The alerts and what becomes of them, as a copy.
    pub fn view(&self) -> View {
        View {
            alerts: self.alerts.iter().cloned().collect(),
            tree: self.tree.clone(),
            suppressors: self.suppressors(),
        }
    }

    /// The groups and what suppresses their alerts, as a copy in no order.
    pub fn view_groups(&self) -> (Vec<GroupView>, Arc<RouteTree>, Suppressors) {
        (self.raw_groups(), self.tree.clone(), self.suppressors())
    }
}
