//! Alerts and groups of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alerting::Alert;
use alerting::alert::Fingerprint;
use alerting::core::{Core, Suppression};
use alerting::engine::PostedAlert;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use config::alertmanager::Matcher;
use jiff::Timestamp;
use model::regex::AnchoredRegex;
use serde_json::{Value as Json, json};

use super::query::{Query, satisfies};
use super::{Answer, Failure, Shared, read_body, read_labels, read_text, read_time, show_labels, show_time};

/// What a list is narrowed down by.
struct Filter {
    matchers: Vec<Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
    receiver: Option<AnchoredRegex>,
    /// The receivers whose labels satisfy what is asked of them; all when nothing is.
    receivers: Option<Vec<String>>,
}

const PARAMETERS: [&str; 8] =
    ["filter", "active", "silenced", "inhibited", "unprocessed", "muted", "receiver", "receiver_matchers"];

impl Filter {
    fn of(query: &Query, manager: &alerting::Alertmanager) -> Result<Self, Failure> {
        let mode = manager.options().mode;
        let asked = query
            .matchers("receiver_matchers", mode)
            .map_err(|error| Failure::bad(format!("failed to parse receiver_matchers param: {error}")))?;
        let receivers = (!asked.is_empty()).then(|| {
            let settings = manager.settings();
            let fits = |receiver: &&config::alertmanager::Receiver| {
                let labels = receiver.all_labels();
                satisfies(&asked, |name| labels.get(name).map(String::as_str))
            };
            settings.receivers.iter().filter(fits).map(|receiver| receiver.name.clone()).collect()
        });
        query.flag("unprocessed")?;
        Ok(Self {
            matchers: query.matchers("filter", mode).map_err(Failure::bad)?,
            active: query.flag("active")?,
            silenced: query.flag("silenced")?,
            inhibited: query.flag("inhibited")?,
            receiver: query.receiver()?,
            receivers,
        })
    }

    fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    fn takes_labels_of(&self, name: &str) -> bool {
        self.receivers.as_ref().is_none_or(|receivers| receivers.iter().any(|receiver| receiver == name))
    }

    /// What suppresses an alert that passes; `None` when it does not pass.
    fn passes(&self, core: &Core, alert: &Alert, now: Timestamp) -> Option<Suppression> {
        let is_over = alert.ends_at.is_some_and(|end| end < now);
        if is_over || !satisfies(&self.matchers, |name| alert.labels.get(name)) {
            return None;
        }
        let by = core.suppression(&alert.labels, now);
        let is_active = by.silenced_by.is_empty() && by.inhibited_by.is_none();
        let left_out = !self.active && is_active
            || !self.silenced && !by.silenced_by.is_empty()
            || !self.inhibited && by.inhibited_by.is_some();
        (!left_out).then_some(by)
    }
}

fn show(alert: &Alert, by: &Suppression, receivers: &[String], muted_by: &[String]) -> Json {
    let inhibited_by: Vec<String> =
        by.inhibited_by.iter().map(|inhibition| inhibition.source.to_string()).collect();
    let is_suppressed = !by.silenced_by.is_empty() || !inhibited_by.is_empty() || !muted_by.is_empty();
    let mut shown = json!({
        "labels": show_labels(&alert.labels),
        "annotations": show_labels(&alert.annotations),
        "startsAt": show_time(alert.starts_at),
        "endsAt": show_time(alert.ends_at.unwrap_or(alert.starts_at)),
        "updatedAt": show_time(alert.updated_at),
        "fingerprint": alert.fingerprint().to_string(),
        "receivers": receivers.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "status": {
            "state": if is_suppressed { "suppressed" } else { "active" },
            "silencedBy": by.silenced_by,
            "inhibitedBy": inhibited_by,
            "mutedBy": muted_by,
        },
    });
    if !alert.generator_url.is_empty() {
        shown["generatorURL"] = alert.generator_url.as_str().into();
    }
    shown
}

pub(super) async fn list(State(manager): Shared, RawQuery(raw): RawQuery) -> Answer {
    let query = Query::parse(raw.as_deref(), &PARAMETERS)?;
    let filter = Filter::of(&query, &manager)?;
    let now = manager.now();
    let found: BTreeMap<String, Json> = manager.with_core(|core| {
        let shown = core.alerts().iter().filter_map(|alert| {
            let routes = core.tree().matching(&alert.labels);
            let receivers: Vec<String> = routes.into_iter().map(|route| route.receiver.clone()).collect();
            let taken = receivers.iter().any(|name| filter.takes_receiver(name))
                && receivers.iter().any(|name| filter.takes_labels_of(name));
            let by = filter.passes(core, alert, now).filter(|_| taken)?;
            Some((alert.fingerprint().to_string(), show(alert, &by, &receivers, &[])))
        });
        shown.collect()
    });
    Ok(axum::Json(found.into_values().collect()))
}

pub(super) async fn groups(State(manager): Shared, RawQuery(raw): RawQuery) -> Answer {
    let query = Query::parse(raw.as_deref(), &PARAMETERS)?;
    let filter = Filter::of(&query, &manager)?;
    let show_muted = query.flag("muted")?;
    let now = manager.now();
    // Each alert with the receivers of all groups it is in.
    let mut receivers: HashMap<Fingerprint, Vec<String>> = HashMap::new();
    let mut found = Vec::new();
    manager.with_core(|core| {
        for group in core.groups() {
            if !filter.takes_receiver(&group.receiver) || !filter.takes_labels_of(&group.receiver) {
                continue;
            }
            let passes = |alert: &Arc<Alert>| filter.passes(core, alert, now).map(|by| (alert.clone(), by));
            let alerts: Vec<_> = group.alerts.iter().filter_map(passes).collect();
            for (alert, _) in &alerts {
                receivers.entry(alert.fingerprint()).or_default().push(group.receiver.clone());
            }
            if !alerts.is_empty() {
                let labels =
                    core.tree().get(group.route).map(|route| route.labels.clone()).unwrap_or_default();
                found.push((group, labels, alerts));
            }
        }
    });
    receivers.values_mut().for_each(|names| names.sort());
    let templates = manager.templates();
    let external_url = &manager.options().external_url;
    let shown = found.into_iter().filter(|(group, ..)| show_muted || group.muted_by.is_empty());
    let shown = shown.map(|(group, route_labels, alerts)| {
        let data = alerting::template::Data::of_group(&group, &route_labels, external_url, now);
        let one = |(alert, by): &(Arc<Alert>, Suppression)| {
            let names = receivers.get(&alert.fingerprint()).map_or(&[][..], Vec::as_slice);
            show(alert, by, names, &group.muted_by)
        };
        json!({
            "labels": show_labels(&group.labels),
            "routeLabels": templates.route_labels(&route_labels, &data),
            "receiver": {"name": group.receiver},
            "alerts": alerts.iter().map(one).collect::<Vec<_>>(),
        })
    });
    Ok(axum::Json(shown.collect()))
}

pub(super) async fn post(State(manager): Shared, body: Bytes) -> Result<StatusCode, Failure> {
    let Json::Array(items) = read_body(&body)? else {
        return Err(Failure::bad("alerts in body must be of type array"));
    };
    let mut alerts = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let of = |field: &str| format!("{i}.{field}");
        if !item.is_object() {
            return Err(Failure::bad(format!("{i} in body must be of type object")));
        }
        if !item["labels"].is_object() {
            return Err(Failure::bad(format!("{i}.labels in body is required")));
        }
        alerts.push(PostedAlert {
            labels: read_labels(&item["labels"], &of("labels"))?,
            annotations: read_labels(&item["annotations"], &of("annotations"))?,
            starts_at: read_time(&item["startsAt"], &of("startsAt"))?,
            ends_at: read_time(&item["endsAt"], &of("endsAt"))?,
            generator_url: read_text(&item["generatorURL"], &of("generatorURL"))?,
        });
    }
    manager.post(alerts).map_err(|errors| Failure::bad(errors.join("\n")))?;
    Ok(StatusCode::OK)
}
