//! The routing tree, and what was told: what an operator looks at beside the alerts themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use alerting::core::{Attempt, Core};
use alerting::nflog::LogEntry;
use alerting::route::{Route, RouteTree};
use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::query::Query;
use super::{Answer, Failure, Shared, computed, show_time};

/// Notifications that are listed unless `limit` says otherwise.
const DEFAULT_LIMIT: usize = 200;

/// Groups of a route, and alerts in them.
type Load = BTreeMap<usize, (usize, usize)>;

/// `GET /routes`: the tree from its root, each node with what it takes from those above it.
///
/// `{"root": {"id", "matchers": ["job=\"db\""], "receiver", "continues", "groupBy": [..], "groupsByAll",
/// "groupWaitSeconds", "groupIntervalSeconds", "repeatIntervalSeconds", "muteTimeIntervals", "activeTimeIntervals",
/// "groups": 1, "alerts": 2, "routes": [..]}, "receivers": [{"name", "integrations": ["webhook[0]"]}], "intervals":
/// ["nights"]}`
pub(super) async fn tree(State(manager): Shared) -> Answer {
    computed(move || {
        let settings = manager.settings();
        let names = settings.receivers.iter().map(|receiver| receiver.name.clone());
        let (groups, tree, receivers) = manager.with_core(|core| {
            let (groups, tree, _) = core.view_groups();
            (groups, tree, names.map(|name| receiver(core, name)).collect::<Vec<_>>())
        });
        let mut load = Load::new();
        for group in &groups {
            let (count, alerts) = load.entry(group.route).or_default();
            *count += 1;
            *alerts += group.alerts.len();
        }
        let intervals: Vec<&str> = settings.intervals.iter().map(|interval| interval.name.as_str()).collect();
        Ok(axum::Json(json!({
            "root": node(&tree, tree.root(), &load),
            "receivers": receivers,
            "intervals": intervals,
        })))
    })
    .await
}

fn receiver(core: &Core, name: String) -> Json {
    let integrations = core.integrations_of(&name).iter();
    let integrations: Vec<String> = integrations.map(|integration| integration.key.to_string()).collect();
    json!({"name": name, "integrations": integrations})
}

fn node(tree: &RouteTree, route: &Route, load: &Load) -> Json {
    let children = route.children.iter().filter_map(|&index| tree.get(index));
    let (groups, alerts) = load.get(&route.index).copied().unwrap_or_default();
    let seconds = Duration::as_secs_f64;
    json!({
        "id": route.id,
        "matchers": route.matchers.0.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "receiver": route.receiver,
        "continues": route.continues,
        "groupBy": route.group_by,
        "groupsByAll": route.group_by_all,
        "groupWaitSeconds": seconds(&route.group_wait),
        "groupIntervalSeconds": seconds(&route.group_interval),
        "repeatIntervalSeconds": seconds(&route.repeat_interval),
        "muteTimeIntervals": route.mute_intervals,
        "activeTimeIntervals": route.active_intervals,
        "groups": groups,
        "alerts": alerts,
        "routes": children.map(|child| node(tree, child, load)).collect::<Vec<_>>(),
    })
}

/// `GET /notifications?receiver=…&failed=true&limit=…`: attempts to tell that are remembered since the start, and
/// what each integration was told last about each group, the latest first.
///
/// `{"attempts": [{"at", "receiver", "integration", "groupKey", "attempt", "reason", "error", "isRepeated"}],
/// "told": [{"at", "receiver", "integration", "groupKey", "firing", "resolved", "forgottenAt"}], "total": {"attempts",
/// "told"}}`
pub(super) async fn notifications(State(manager): Shared, RawQuery(raw): RawQuery) -> Answer {
    let query = Query::parse(raw.as_deref(), &["receiver", "failed", "limit"])?;
    let wanted = query.all("receiver").next().unwrap_or_default().to_owned();
    let only_failed = query.all("failed").next().is_some_and(|_| query.flag("failed"));
    let limit = match query.all("limit").next() {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().map_err(|_| Failure::bad("limit must be a number"))?,
    };
    computed(move || {
        let is_wanted = |receiver: &str| wanted.is_empty() || wanted == receiver;
        let (attempts, mut told) = manager.with_core(|core| {
            let attempts = core.attempts().rev().filter(|attempt| {
                is_wanted(&attempt.integration.receiver) && (!only_failed || attempt.error.is_some())
            });
            let told = core.log().iter().filter(|entry| is_wanted(&entry.integration.0));
            (attempts.cloned().collect::<Vec<_>>(), told.cloned().collect::<Vec<_>>())
        });
        told.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.group_key.cmp(&b.group_key)));
        Ok(axum::Json(json!({
            "attempts": attempts.iter().take(limit).map(show_attempt).collect::<Vec<_>>(),
            "told": told.iter().take(limit).map(|entry| show_told(entry)).collect::<Vec<_>>(),
            "total": {"attempts": attempts.len(), "told": told.len()},
        })))
    })
    .await
}

fn show_attempt(attempt: &Attempt) -> Json {
    json!({
        "at": show_time(attempt.at),
        "receiver": attempt.integration.receiver,
        "integration": attempt.integration.to_string(),
        "groupKey": *attempt.group_key,
        "attempt": attempt.number,
        "reason": attempt.reason.as_str(),
        "error": attempt.error,
        "isRepeated": attempt.again,
    })
}

fn show_told(entry: &LogEntry) -> Json {
    let (receiver, kind, index) = &entry.integration;
    let forgotten: Timestamp = entry.expires_at;
    json!({
        "at": show_time(entry.at),
        "receiver": receiver,
        "integration": format!("{kind}[{index}]"),
        "groupKey": entry.group_key,
        "firing": entry.firing.len(),
        "resolved": entry.resolved.len(),
        "forgottenAt": show_time(forgotten),
    })
}
