//! Rules, alerts, and who is told of them.

use axum::extract::State;
use axum::response::Response;
use model::number::{FloatFormat, format_float};
use model::{Labels, Matcher};
use serde_json::{Map, Value, json};

use super::Shared;
use super::status::rfc3339;
use crate::envelope::success;
use crate::error::ApiError;
use crate::params::Params;
use crate::state::{AlertView, AlertingView, RuleGroupView, RuleView};

/// Go's zero time, which is what clients see before the first evaluation.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// `GET /rules`
pub async fn rules(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    // There may be very many alerts.
    let answer =
        tokio::task::spawn_blocking(move || rules_answer(&params, |with| state.rules.groups(with))).await;
    answer.map_err(|error| ApiError::internal(error.to_string()))?
}

/// The answer about groups that `groups` gives, with the alerts of each rule or without.
pub(super) fn rules_answer(
    params: &Params,
    groups: impl FnOnce(bool) -> Vec<RuleGroupView>,
) -> Result<Response, ApiError> {
    params.well_formed()?;
    let wanted = Wanted::of(params)?;
    let page = Page::of(params)?;
    let groups = groups(wanted.alerts_shown);
    let start = match &page.token {
        Some(wanted) => groups.iter().position(|group| token(group) == *wanted).ok_or_else(|| {
            let problem = format!("invalid group_next_token '{wanted}'. were rule groups changed?");
            ApiError::invalid_parameter("group_next_token", problem)
        })?,
        None => 0,
    };
    let (mut shown, mut next) = (Vec::new(), None);
    for group in &groups[start..] {
        let Some(json) = wanted.group(group) else { continue };
        if page.limit.is_some_and(|limit| shown.len() == limit) {
            next = Some(token(group));
            break;
        }
        shown.push(json);
    }
    let mut data = json!({ "groups": shown });
    if let Some(next) = next {
        data["groupNextToken"] = next.into();
    }
    Ok(success(&data))
}

/// What a request asks for.
struct Wanted<'p> {
    alerting: bool,
    recording: bool,
    alerts_shown: bool,
    names: Vec<&'p str>,
    groups: Vec<&'p str>,
    files: Vec<&'p str>,
    matcher_sets: Vec<Vec<Matcher>>,
}

impl<'p> Wanted<'p> {
    fn of(params: &'p Params) -> Result<Self, ApiError> {
        let matcher_sets = params.matcher_sets()?;
        let kind = params.get("type").to_lowercase();
        if !matches!(&*kind, "" | "alert" | "record") {
            return Err(ApiError::invalid_parameter("type", format!("not supported value {kind:?}")));
        }
        let alerts_hidden = match params.boolean("exclude_alerts") {
            Some(Err(())) => {
                let text = params.get("exclude_alerts").to_lowercase();
                let problem = format!(
                    "error converting exclude_alerts: strconv.ParseBool: parsing {text:?}: invalid syntax"
                );
                return Err(ApiError::invalid_parameter("exclude_alerts", problem));
            }
            Some(Ok(hidden)) => hidden,
            None => false,
        };
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            alerts_shown: !alerts_hidden,
            names: params.all("rule_name[]").collect(),
            groups: params.all("rule_group[]").collect(),
            files: params.all("file[]").collect(),
            matcher_sets,
        })
    }

    /// A group with the rules that are wanted; `None` when none is.
    fn group(&self, group: &RuleGroupView) -> Option<Value> {
        let is_among = |wanted: &[&str], name: &str| wanted.is_empty() || wanted.contains(&name);
        if !is_among(&self.groups, &group.name) || !is_among(&self.files, &group.file) {
            return None;
        }
        let wanted = group.rules.iter().filter(|rule| is_among(&self.names, &rule.name) && self.has(rule));
        let rules: Vec<Value> = wanted.map(|rule| rule_json(rule, self.alerts_shown)).collect();
        if rules.is_empty() {
            return None;
        }
        Some(json!({
            "name": group.name,
            "file": group.file,
            "rules": rules,
            "interval": group.interval.as_secs_f64(),
            "limit": group.limit,
            "evaluationTime": group.evaluation_time.as_secs_f64(),
            "lastEvaluation": time(group.last_evaluation_ms),
        }))
    }

    fn has(&self, rule: &RuleView) -> bool {
        let of_kind = if rule.alerting.is_some() { self.alerting } else { self.recording };
        let matches = |set: &Vec<Matcher>| set.iter().all(|m| m.matches(rule.labels.get_or_empty(&m.name)));
        of_kind && (self.matcher_sets.is_empty() || self.matcher_sets.iter().any(matches))
    }
}

/// Which part of the groups a request asks for.
struct Page {
    limit: Option<usize>,
    token: Option<String>,
}

impl Page {
    fn of(params: &Params) -> Result<Self, ApiError> {
        let (text, token) = (params.get("group_limit"), params.get("group_next_token"));
        if text.is_empty() {
            return match token {
                "" => Ok(Self { limit: None, token: None }),
                _ => {
                    let problem = "group_limit needs to be present in order to paginate over the groups";
                    Err(ApiError::invalid_parameter("group_next_token", problem))
                }
            };
        }
        let refused = |problem: String| Err(ApiError::invalid_parameter("group_limit", problem));
        match text.parse::<i32>() {
            Ok(limit) if limit > 0 => {
                let token = (!token.is_empty()).then(|| token.to_owned());
                Ok(Self { limit: usize::try_from(limit).ok(), token })
            }
            Ok(_) => refused("group_limit needs to be greater than 0".to_owned()),
            Err(error) => {
                use std::num::IntErrorKind::{NegOverflow, PosOverflow};
                let problem = match error.kind() {
                    PosOverflow | NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                refused(format!(
                    "group_limit needs to be a valid number: strconv.ParseInt: parsing {text:?}: {problem}"
                ))
            }
        }
    }
}

/// What names a group across requests.
fn token(group: &RuleGroupView) -> String {
    let text = format!("{};{}", group.file, group.name);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rule_json(rule: &RuleView, alerts_shown: bool) -> Value {
    let mut json = json!({
        "name": rule.name,
        "query": rule.query,
        "labels": object(&rule.labels),
        "health": rule.health,
        "evaluationTime": rule.evaluation_time.as_secs_f64(),
        "lastEvaluation": time(rule.last_evaluation_ms),
        "type": if rule.alerting.is_some() { "alerting" } else { "recording" },
    });
    if !rule.last_error.is_empty() {
        json["lastError"] = rule.last_error.as_str().into();
    }
    if let Some(alerting) = &rule.alerting {
        add_alerting(&mut json, alerting, alerts_shown);
    }
    json
}

fn add_alerting(json: &mut Value, alerting: &AlertingView, alerts_shown: bool) {
    json["state"] = alerting.state.into();
    json["duration"] = alerting.hold.as_secs_f64().into();
    json["keepFiringFor"] = alerting.keep_firing_for.as_secs_f64().into();
    json["annotations"] = texts(&alerting.annotations);
    json["alerts"] = match alerts_shown {
        true => alerting.alerts.iter().map(alert_json).collect(),
        false => Value::Null,
    };
}

fn alert_json(alert: &AlertView) -> Value {
    let mut json = json!({
        "labels": object(&alert.labels),
        "annotations": texts(&alert.annotations),
        "state": alert.state,
        "activeAt": rfc3339(alert.active_at_ms),
        "value": format_float(alert.value, FloatFormat::Exponent),
    });
    if let Some(since_ms) = alert.keep_firing_since_ms {
        json["keepFiringSince"] = rfc3339(since_ms).into();
    }
    json
}

fn object(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn texts(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(n, v)| (n.clone(), v.as_str().into())).collect::<Map<_, _>>())
}

fn time(ms: Option<i64>) -> String {
    ms.map_or_else(|| NEVER.to_owned(), rfc3339)
}

/// `GET /alerts`
pub async fn alerts(State(state): State<Shared>) -> Result<Response, ApiError> {
    let answer = tokio::task::spawn_blocking(move || alerts_answer(&state.rules.groups(true)));
    answer.await.map_err(|error| ApiError::internal(error.to_string()))
}

/// The answer about the alerts of groups.
pub(super) fn alerts_answer(groups: &[RuleGroupView]) -> Response {
    let of_rules = groups.iter().flat_map(|group| &group.rules).filter_map(|rule| rule.alerting.as_ref());
    let alerts = of_rules.flat_map(|alerting| alerting.alerts.iter().map(alert_json));
    success(&json!({ "alerts": alerts.collect::<Vec<_>>() }))
}

/// `GET /alertmanagers`
pub async fn alertmanagers(State(state): State<Shared>) -> Response {
    let known = state.rules.alertmanagers();
    let list = |urls: &[String]| urls.iter().map(|url| json!({ "url": url })).collect::<Vec<_>>();
    success(&json!({
        "activeAlertmanagers": list(&known.active),
        "droppedAlertmanagers": list(&known.dropped),
    }))
}
