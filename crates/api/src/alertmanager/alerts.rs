//! Alerts and groups of them.

use std::collections::HashMap;

use alerting::Alert;
use alerting::alert::Fingerprint;
use alerting::core::{Core, GroupView, Suppression, Suppressors};
use alerting::engine::{PostError, PostedAlert};
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use base::ByteBudget;
use config::alertmanager::Matcher;
use jiff::Timestamp;
use model::Labels;
use model::regex::AnchoredRegex;

use super::query::{Query, satisfies};
use super::read::{Part, document, is_uri};
use super::shown::{Listed, Named, ShownAlert, ShownGroup, Written};
use super::{Failure, Shared, body, computed};

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
        Ok(Self {
            matchers: query.matchers("filter", mode).map_err(Failure::bad)?,
            active: query.flag("active"),
            silenced: query.flag("silenced"),
            inhibited: query.flag("inhibited"),
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
    fn passes(&self, suppressors: &Suppressors, alert: &Alert, now: Timestamp) -> Option<Suppression> {
        let is_over = alert.ends_at.is_some_and(|end| end < now);
        if is_over || !satisfies(&self.matchers, |name| alert.labels.get(name)) {
            return None;
        }
        let by = suppressors.of(&alert.labels, now);
        let is_active = by.silenced_by.is_empty() && by.inhibited_by.is_none();
        let left_out = !self.active && is_active
            || !self.silenced && !by.silenced_by.is_empty()
            || !self.inhibited && by.inhibited_by.is_some();
        (!left_out).then_some(by)
    }
}

pub(super) async fn list(State(manager): Shared, RawQuery(raw): RawQuery) -> Result<Written, Failure> {
    let query = Query::parse(raw.as_deref(), &PARAMETERS)?;
    let filter = Filter::of(&query, &manager)?;
    computed(move || {
        let now = manager.now();
        let mut view = manager.with_core(Core::view);
        view.alerts.sort_by_key(|alert| alert.fingerprint());
        let found = view.alerts.iter().filter_map(|alert| {
            let routes = view.tree.matching(&alert.labels);
            let receivers: Vec<&str> = routes.into_iter().map(|route| route.receiver.as_str()).collect();
            let taken = receivers.iter().any(|name| filter.takes_receiver(name))
                && receivers.iter().any(|name| filter.takes_labels_of(name));
            let by = if taken { filter.passes(&view.suppressors, alert, now)? } else { return None };
            Some((alert, by, receivers))
        });
        let found: Vec<_> = found.collect();
        let shown = found
            .iter()
            .map(|(alert, by, receivers)| ShownAlert::new(alert, by, receivers.iter().copied(), &[]));
        Written::of(&Listed::new(shown))
    })
    .await
}

pub(super) async fn groups(State(manager): Shared, RawQuery(raw): RawQuery) -> Result<Written, Failure> {
    let query = Query::parse(raw.as_deref(), &PARAMETERS)?;
    let filter = Filter::of(&query, &manager)?;
    let show_muted = query.flag("muted");
    computed(move || show_groups(&manager, &filter, show_muted)).await
}

fn show_groups(
    manager: &alerting::Alertmanager,
    filter: &Filter,
    show_muted: bool,
) -> Result<Written, Failure> {
    let now = manager.now();
    let (mut groups, tree, suppressors) = manager.with_core(Core::view_groups);
    groups.retain(|group| filter.takes_receiver(&group.receiver) && filter.takes_labels_of(&group.receiver));
    GroupView::sort_all(&mut groups);
    let mut found: Vec<(GroupView, Vec<Suppression>)> = Vec::new();
    for mut group in groups {
        group.sort();
        let mut suppressions = Vec::new();
        group.alerts.retain(|alert| {
            let by = filter.passes(&suppressors, alert, now);
            suppressions.extend(by.clone());
            by.is_some()
        });
        if !group.alerts.is_empty() {
            found.push((group, suppressions));
        }
    }
    // Each alert with the receivers of all groups it is in.
    let mut receivers: HashMap<Fingerprint, Vec<&str>> = HashMap::new();
    for (group, _) in &found {
        for alert in &group.alerts {
            receivers.entry(alert.fingerprint()).or_default().push(&group.receiver);
        }
    }
    receivers.values_mut().for_each(|names| names.sort_unstable());
    let templates = manager.templates();
    let external_url = &manager.options().external_url;
    let shown = found.iter().filter(|(group, _)| show_muted || group.muted_by.is_empty());
    let shown = shown.map(|(group, suppressions)| {
        let route_labels = tree.get(group.route).map(|route| route.labels.clone()).unwrap_or_default();
        let data = alerting::template::Data::of_group(group, &route_labels, external_url, now);
        let alerts = group.alerts.iter().zip(suppressions).map(|(alert, by)| {
            let names = receivers.get(&alert.fingerprint()).map_or(&[][..], Vec::as_slice);
            ShownAlert::new(alert, by, names.iter().copied(), &group.muted_by)
        });
        ShownGroup {
            alerts: alerts.collect(),
            labels: &group.labels,
            receiver: Named { name: &group.receiver },
            route_labels: templates.route_labels(&route_labels, &data),
        }
    });
    Written::of(&Listed::new(shown))
}

pub(super) async fn post(
    State(manager): Shared,
    State(budget): State<ByteBudget>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let (body, memory) = body(request, &budget).await?;
    computed(move || {
        let document = document("alerts", &body)?;
        let alerts = read(Part::whole("alerts", &document))?;
        drop((document, body));
        let posted = manager.post(alerts);
        drop(memory);
        posted.map(|()| StatusCode::OK).map_err(|error| match error {
            PostError::Invalid(_) => Failure::bad(error.to_string()),
            PostError::Full { .. } => Failure::Text(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
        })
    })
    .await
}

fn read(body: Part<'_>) -> Result<Vec<PostedAlert>, Failure> {
    let mut alerts = Vec::new();
    // What cannot be read comes before what is missing, wherever it stands.
    let mut invalid = None;
    for (i, item) in body.items("")?.enumerate() {
        let labels = item.field("labels")?;
        let url = item.field("generatorURL")?.text("generatorURL")?.unwrap_or_default();
        let alert = PostedAlert {
            labels: Labels::from_pairs(labels.pairs("labels")?),
            annotations: item.field("annotations")?.pairs("annotations")?.into_iter().collect(),
            starts_at: item.field("startsAt")?.time("startsAt")?.get(),
            ends_at: item.field("endsAt")?.time("endsAt")?.get(),
            generator_url: url.into(),
        };
        if invalid.is_none() && !url.is_empty() && !is_uri(url) {
            invalid = Some(Failure::format(&format!("{i}.generatorURL"), "body", "uri", url));
        }
        if invalid.is_none() && labels.is_absent() {
            invalid = Some(Failure::required(&format!("{i}.labels")));
        }
        alerts.push(alert);
    }
    invalid.map_or(Ok(alerts), Err)
}
