//! Why an alert is, or is not, told.

use std::sync::Arc;

use alerting::core::{Attempt, Explanation, RouteExplanation, ToldBefore, UnderWay};
use alerting::silence::Silence;
use axum::extract::{RawQuery, State};
use config::alertmanager::Matchers;
use jiff::Timestamp;
use model::Labels;
use model::matcher::MatchOp;
use serde_json::{Value as Json, json};

use super::query::Query;
use super::{Answer, Failure, Shared, computed, show_pairs, show_time};

/// The most alerts that are explained at once.
const MAX_EXPLAINED: usize = 50;

fn show_told(told: &ToldBefore, now: Timestamp) -> Json {
    json!({
        "integration": told.integration,
        // What was never told for sure counts as written at the beginning of all times.
        "toldAt": told.entry.as_ref().filter(|entry| entry.at.as_second() > 0).map(|entry| show_time(entry.at)),
        "knowsFiring": told.knows_firing,
        "perhapsKnowsFiring": told.perhaps_firing,
        "firing": told.entry.as_ref().map_or(0, |entry| entry.firing.len()),
        "resolved": told.entry.as_ref().map_or(0, |entry| entry.resolved.len()),
        "repeatsAfter": told.repeats_after.filter(|at| *at > now).map(show_time),
    })
}

fn show_attempt(attempt: &Attempt) -> Json {
    json!({
        "at": show_time(attempt.at),
        "integration": attempt.integration.to_string(),
        "attempt": attempt.number,
        "reason": attempt.reason.as_str(),
        "error": attempt.error,
        "isRepeated": attempt.again,
    })
}

fn show_route(route: &RouteExplanation, now: Timestamp) -> Json {
    let not_taken = |(id, matcher): &(String, String)| json!({"route": id, "matcher": matcher});
    json!({
        "route": route.route_id,
        "path": route.path,
        "notTaken": route.not_taken.iter().map(not_taken).collect::<Vec<_>>(),
        "receiver": route.receiver,
        "groupKey": route.group_key,
        "nextLook": route.due_at.map(show_time),
        "mutedBy": route.muted_by,
        "told": route.told.iter().map(|told| show_told(told, now)).collect::<Vec<_>>(),
        "underWay": route.under_way.iter().map(show_under_way).collect::<Vec<_>>(),
        "attempts": route.attempts.iter().map(show_attempt).collect::<Vec<_>>(),
    })
}

fn show_under_way(job: &UnderWay) -> Json {
    json!({
        "integration": job.integration.to_string(),
        "attempt": job.attempt,
        "isSending": job.sending,
        "next": job.next.filter(|_| !job.sending).map(show_time),
        "lastError": job.last_error,
    })
}

/// What suppresses an alert.
struct By {
    silences: Vec<Arc<Silence>>,
    /// The alert that inhibits it.
    inhibitor: Option<Labels>,
}

fn show(labels: &Labels, explanation: &Explanation, found: &By, now: Timestamp) -> Json {
    let by = &explanation.suppression;
    let inhibited_by = by.inhibited_by.as_ref().map(|inhibition| {
        json!({
            "rule": inhibition.rule,
            "fingerprint": inhibition.source.to_string(),
            "labels": found.inhibitor.as_ref().map(|labels| show_pairs(labels.iter())),
        })
    });
    json!({
        "labels": show_pairs(labels.iter()),
        "isKnown": explanation.known,
        "isFiring": explanation.firing,
        "silencedBy": by.silenced_by,
        "silences": found.silences.iter().map(|silence| super::silences::show(silence, now)).collect::<Vec<_>>(),
        "inhibitedBy": inhibited_by,
        "routes": explanation.routes.iter().map(|route| show_route(route, now)).collect::<Vec<_>>(),
    })
}

pub(super) async fn explain(State(manager): Shared, RawQuery(raw): RawQuery) -> Answer {
    let query = Query::parse(raw.as_deref(), &["labels"])?;
    let Some(text) = query.all("labels").next() else {
        return Err(Failure::bad(
            "labels in query is required: matchers like alertname=\"Down\",job=\"api\"",
        ));
    };
    let matchers = Matchers::parse(text, manager.options().mode).map_err(Failure::bad)?;
    computed(move || Ok(axum::Json(Json::Array(explained(&manager, &matchers))))).await
}

fn explained(manager: &alerting::Alertmanager, matchers: &Matchers) -> Vec<Json> {
    let now = manager.now();
    let alerts = manager.with_core(|core| core.view().alerts);
    let known = alerts.iter().filter(|alert| matchers.matches(|name| alert.labels.get_or_empty(name)));
    let mut sets: Vec<Labels> = known.map(|alert| alert.labels.clone()).collect();
    sets.sort();
    sets.truncate(MAX_EXPLAINED);
    if sets.is_empty() && matchers.0.iter().all(|matcher| matcher.op == MatchOp::Equal) {
        // Nobody has sent such an alert; what would become of one?
        sets.push(Labels::from_pairs(matchers.0.iter().map(|matcher| (&matcher.name, &matcher.value))));
    }
    let explain = |labels: Labels| {
        let (explanation, found) = manager.with_core(|core| {
            let explanation = core.explain(&labels, now);
            let by = &explanation.suppression;
            let silences = by.silenced_by.iter().filter_map(|id| core.silences().get(id).cloned()).collect();
            let inhibitor = by.inhibited_by.as_ref().and_then(|by| core.alerts().get(by.source));
            let inhibitor = inhibitor.map(|alert| alert.labels.clone());
            (explanation, By { silences, inhibitor })
        });
        show(&labels, &explanation, &found, now)
    };
    sets.into_iter().map(explain).collect()
}
