//! What templates see of a notification.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::time::Time;
use gotmpl::{List, Map, Object, Type, Value};
use jiff::Timestamp;
use model::Labels;

use crate::alert::ALERT_NAME;
use crate::annotations::Annotations;
use crate::core::{Delivery, GroupView, Told};

/// The reason of what is shown without a notification.
pub(super) const UNKNOWN_REASON: &str = "unknown";

/// The data of a notification.
#[derive(Debug, Clone)]
pub struct Data {
    /// The receiver, with the characters quoted that mean something in a pattern.
    pub receiver: String,
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// The alerts.
    pub alerts: Arc<Vec<Arc<AlertData>>>,
    /// Why it is sent.
    pub reason: &'static str,
    /// The labels of the group.
    pub group_labels: Labels,
    /// Labels all alerts have.
    pub common_labels: Labels,
    /// Annotations all alerts have.
    pub common_annotations: BTreeMap<String, String>,
    /// The labels of the route, rendered.
    pub route_labels: BTreeMap<String, String>,
    /// Where this server is.
    pub external_url: String,
}

/// An alert in a notification.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertData {
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Annotations,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// Until when it fired.
    pub ends_at: Option<Timestamp>,
    /// Where it comes from.
    pub generator_url: Arc<str>,
    /// What it is known by.
    pub fingerprint: String,
}

/// `firing` or `resolved`.
pub fn status(resolved: bool) -> &'static str {
    if resolved { "resolved" } else { "firing" }
}

impl From<&Told> for AlertData {
    fn from(told: &Told) -> Self {
        let alert = &told.alert;
        Self {
            status: status(told.resolved),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at.filter(|_| told.resolved),
            generator_url: alert.generator_url.clone(),
            fingerprint: alert.fingerprint().to_string(),
        }
    }
}

/// The pairs that are in all sets.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    let mut pairs: Vec<(&str, &str)> = first.iter().collect();
    for set in sets {
        pairs.retain(|(name, value)| set.get(name) == Some(*value));
    }
    Labels::from_sorted(pairs.into_iter())
}

/// The annotations that all have.
fn common_annotations<'a>(mut sets: impl Iterator<Item = &'a Annotations>) -> BTreeMap<String, String> {
    let Some(first) = sets.next() else { return BTreeMap::new() };
    let mut common: Vec<(&str, &str)> = first.iter().collect();
    for set in sets {
        common.retain(|(name, text)| set.get(name) == Some(*text));
    }
    common.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// The entries of a map, as texts.
fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// A text with the characters quoted that mean something in a pattern.
fn quote_pattern(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

impl Data {
    /// The data of a delivery on some alerts of its; the labels of the route are still as configured.
    pub fn new(delivery: &Delivery, alerts: &[Told], external_url: &str) -> Self {
        let alerts: Vec<Arc<AlertData>> = alerts.iter().map(|told| Arc::new(told.into())).collect();
        Self {
            receiver: quote_pattern(&delivery.integration.receiver),
            status: status(alerts.iter().all(|alert| alert.status == "resolved")),
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common_annotations(alerts.iter().map(|alert| &alert.annotations)),
            alerts: Arc::new(alerts),
            reason: delivery.reason.as_str(),
            group_labels: delivery.group_labels.clone(),
            route_labels: (*delivery.route_labels).clone(),
            external_url: external_url.to_owned(),
        }
    }

    /// The data of a group as it stands, for what is shown of it without a notification.
    pub fn of_group(
        group: &GroupView,
        route_labels: &BTreeMap<String, String>,
        external_url: &str,
        now: Timestamp,
    ) -> Self {
        let told = |alert: &Arc<crate::alert::Alert>| {
            let resolved = alert.is_resolved(now);
            Arc::new(AlertData::from(&Told { alert: alert.clone(), resolved }))
        };
        let alerts: Vec<Arc<AlertData>> = group.alerts.iter().map(told).collect();
        Self {
            receiver: quote_pattern(&group.receiver),
            status: status(alerts.iter().all(|alert| alert.status == "resolved")),
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common_annotations(alerts.iter().map(|alert| &alert.annotations)),
            alerts: Arc::new(alerts),
            reason: UNKNOWN_REASON,
            group_labels: group.labels.clone(),
            route_labels: route_labels.clone(),
            external_url: external_url.to_owned(),
        }
    }

    /// The data as templates see it.
    pub fn value(self: &Arc<Self>) -> Value {
        Value::Object(Arc::new(Root(self.clone())))
    }

    /// The alerts that fire.
    pub fn firing(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.status == "firing").count()
    }
}

/// A list of a named type.
fn list(items: Vec<Value>, element: &'static str) -> Value {
    Value::List(Arc::new(List { items, element: Type::Named(element) }))
}

#[derive(Debug)]
struct Root(Arc<Data>);

impl Object for Root {
    fn type_name(&self) -> &'static str {
        "*template.Data"
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn fields(&self) -> &'static [&'static str] {
        &[
            "Receiver",
            "Status",
            "Alerts",
            "NotificationReason",
            "GroupLabels",
            "CommonLabels",
            "CommonAnnotations",
            "RouteLabels",
            "ExternalURL",
        ]
    }

    fn field(&self, name: &str) -> Option<Value> {
        let data = &self.0;
        Some(match name {
            "Receiver" => data.receiver.as_str().into(),
            "Status" => data.status.into(),
            "Alerts" => Value::Object(Arc::new(Alerts(data.alerts.clone()))),
            "NotificationReason" => data.reason.into(),
            "GroupLabels" => Pairs::map(data.group_labels.iter()),
            "CommonLabels" => Pairs::map(data.common_labels.iter()),
            "CommonAnnotations" => Pairs::map(pairs(&data.common_annotations)),
            "RouteLabels" => Pairs::map(pairs(&data.route_labels)),
            "ExternalURL" => data.external_url.as_str().into(),
            _ => return None,
        })
    }
}

/// The alerts of a notification.
#[derive(Debug)]
struct Alerts(Arc<Vec<Arc<AlertData>>>);

impl Alerts {
    fn of(&self, status: &str) -> Value {
        let chosen = self.0.iter().filter(|alert| alert.status == status);
        list(chosen.map(alert_value).collect(), "template.Alert")
    }
}

fn alert_value(alert: &Arc<AlertData>) -> Value {
    Value::Object(Arc::new(One(alert.clone())))
}

impl Object for Alerts {
    fn type_name(&self) -> &'static str {
        "template.Alerts"
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        match (name, arguments.len()) {
            ("Firing", 0) => Some(Ok(self.of("firing"))),
            ("Resolved", 0) => Some(Ok(self.of("resolved"))),
            ("Firing" | "Resolved", got) => {
                Some(Err(format!("wrong number of args for {name}: want 0 got {got}")))
            }
            _ => None,
        }
    }

    fn underlying(&self) -> Value {
        list(self.0.iter().map(alert_value).collect(), "template.Alert")
    }
}

/// One alert.
#[derive(Debug)]
pub(super) struct One(pub Arc<AlertData>);

/// A moment, or the one that stands for none.
fn time(at: Option<Timestamp>) -> Time {
    at.map_or_else(Time::zero, Time::utc)
}

impl Object for One {
    fn type_name(&self) -> &'static str {
        "template.Alert"
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn fields(&self) -> &'static [&'static str] {
        &["Status", "Labels", "Annotations", "StartsAt", "EndsAt", "GeneratorURL", "Fingerprint"]
    }

    fn field(&self, name: &str) -> Option<Value> {
        let alert = &self.0;
        Some(match name {
            "Status" => alert.status.into(),
            "Labels" => Pairs::map(alert.labels.iter()),
            "Annotations" => Pairs::map(alert.annotations.iter()),
            "StartsAt" => time(Some(alert.starts_at)).value(),
            "EndsAt" => time(alert.ends_at).value(),
            "GeneratorURL" => (*alert.generator_url).into(),
            "Fingerprint" => alert.fingerprint.as_str().into(),
            _ => return None,
        })
    }
}

/// Names and values: as a map, or as a list of pairs in order, the name of the alert first.
#[derive(Debug)]
struct Pairs {
    pairs: Vec<(String, String)>,
    is_map: bool,
}

impl Pairs {
    fn map<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Value {
        let mut pairs: Vec<(String, String)> =
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // A stable sort: all others keep the order of their names.
        pairs.sort_by_key(|(name, _)| name != ALERT_NAME);
        Value::Object(Arc::new(Self { pairs, is_map: true }))
    }

    fn strings<'a>(texts: impl Iterator<Item = &'a String>) -> Value {
        let texts = texts.map(|text| text.as_str().into()).collect();
        Value::Object(Arc::new(Strings(texts)))
    }
}

impl Object for Pairs {
    fn type_name(&self) -> &'static str {
        if self.is_map { "template.KV" } else { "template.Pairs" }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let wanted = usize::from(name == "Remove");
        let known = matches!(name, "SortedPairs" | "Names" | "Values" | "Remove" | "String");
        if known && arguments.len() != wanted {
            let got = arguments.len();
            return Some(Err(format!("wrong number of args for {name}: want {wanted} got {got}")));
        }
        Some(Ok(match name {
            "SortedPairs" if self.is_map => {
                Value::Object(Arc::new(Self { pairs: self.pairs.clone(), is_map: false }))
            }
            "Names" => Self::strings(self.pairs.iter().map(|(name, _)| name)),
            "Values" => Self::strings(self.pairs.iter().map(|(_, value)| value)),
            "Remove" if self.is_map => {
                let gone = match arguments.first().map(gotmpl::library::texts) {
                    Some(Ok(gone)) => gone,
                    Some(Err(error)) => return Some(Err(error)),
                    None => Vec::new(),
                };
                let stays = |name: &str| !gone.iter().any(|text| text == name.as_bytes());
                let pairs = self.pairs.iter().filter(|(name, _)| stays(name)).cloned().collect();
                Value::Object(Arc::new(Self { pairs, is_map: true }))
            }
            "String" => self.text().unwrap_or_default().into(),
            _ => return None,
        }))
    }

    fn underlying(&self) -> Value {
        if self.is_map {
            return Value::string_map(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        let pair = |(name, value): &(String, String)| {
            Value::Object(Arc::new(Pair { name: name.clone(), value: value.clone() }))
        };
        list(self.pairs.iter().map(pair).collect(), "template.Pair")
    }

    fn text(&self) -> Option<String> {
        let pairs: Vec<String> = self.pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(pairs.join(", "))
    }
}

/// A name and a value.
#[derive(Debug)]
struct Pair {
    name: String,
    value: String,
}

impl Object for Pair {
    fn type_name(&self) -> &'static str {
        "template.Pair"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some(self.name.as_str().into()),
            "Value" => Some(self.value.as_str().into()),
            _ => None,
        }
    }

    fn fields(&self) -> &'static [&'static str] {
        &["Name", "Value"]
    }
}

/// A list of texts that can be joined.
#[derive(Debug)]
struct Strings(Vec<Value>);

impl Object for Strings {
    fn type_name(&self) -> &'static str {
        "template.Strings"
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        if name != "Join" {
            return None;
        }
        let separator = arguments.first().and_then(Value::as_bytes).unwrap_or_default().to_vec();
        let texts: Vec<Vec<u8>> = self.0.iter().filter_map(Value::as_bytes).map(<[u8]>::to_vec).collect();
        Some(Ok(texts.join(&separator[..]).into()))
    }

    fn underlying(&self) -> Value {
        Value::list(self.0.clone(), Type::String)
    }
}

/// A map of the JSON of templates.
pub(super) fn json(value: &Value) -> Result<serde_json::Value, String> {
    use serde_json::Value as Json;
    if let Value::Object(object) = value {
        let any = object.as_any();
        if let Some(One(alert)) = any.and_then(|any| any.downcast_ref::<One>()) {
            return Ok(alert.json());
        }
        if let Some(at) = any.and_then(|any| any.downcast_ref::<Time>()) {
            return Ok(Json::from(show_time(at.timestamp())));
        }
        if let Some(Root(data)) = any.and_then(|any| any.downcast_ref::<Root>()) {
            return Ok(data.json());
        }
    }
    if let Value::Object(object) = value
        && object.type_name() == "template.Pair"
    {
        let field = |name: &str| json(&object.field(name).unwrap_or(Value::Nil));
        return Ok(serde_json::json!({"Name": field("Name")?, "Value": field("Value")?}));
    }
    Ok(match value.underlying() {
        Value::Missing | Value::Nil => Json::Null,
        Value::Bool(value) => Json::from(value),
        Value::Int(value, _) => Json::from(value),
        Value::Uint(value, _) => Json::from(value),
        Value::Float(value) if value.is_finite() => Json::from(value),
        Value::Float(value) => return Err(format!("json: unsupported value: {value}")),
        Value::String(text) => Json::from(String::from_utf8_lossy(&text)),
        Value::List(list) => Json::Array(list.items.iter().map(json).collect::<Result<_, _>>()?),
        Value::Map(map) => Json::Object(map_json(&map)?),
        Value::Object(object) => return Err(format!("json: unsupported type: {}", object.type_name())),
        Value::Function(_) => return Err("json: unsupported type: func()".to_owned()),
    })
}

fn map_json(map: &Map) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let entry = |(key, value): (&gotmpl::Key, &Value)| {
        let name = match key {
            gotmpl::Key::Int(number) => number.to_string(),
            gotmpl::Key::String(text) => String::from_utf8_lossy(text).into_owned(),
        };
        Ok((name, json(value)?))
    };
    map.entries.iter().map(entry).collect()
}

/// A moment as JSON has it: RFC 3339, as fine as it is.
pub(crate) fn show_time(at: Timestamp) -> String {
    at.to_string()
}

fn set_json<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> serde_json::Value {
    pairs.map(|(name, value)| (name.to_owned(), serde_json::Value::from(value))).collect()
}

impl AlertData {
    /// The alert as webhooks get it.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "status": self.status,
            "labels": set_json(self.labels.iter()),
            "annotations": set_json(self.annotations.iter()),
            "startsAt": show_time(self.starts_at),
            "endsAt": self.ends_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), show_time),
            "generatorURL": *self.generator_url,
            "fingerprint": self.fingerprint,
        })
    }
}

impl Data {
    /// The data as webhooks get it.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "receiver": self.receiver,
            "status": self.status,
            "alerts": self.alerts.iter().map(|alert| alert.json()).collect::<Vec<_>>(),
            "notification_reason": self.reason,
            "groupLabels": set_json(self.group_labels.iter()),
            "commonLabels": set_json(self.common_labels.iter()),
            "commonAnnotations": self.common_annotations,
            "routeLabels": self.route_labels,
            "externalURL": self.external_url,
        })
    }

    /// Data that are given as webhooks get them. The error says which part is of the wrong form.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, String> {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let alerts = json["alerts"].as_array().map_or(&[][..], Vec::as_slice);
        let alerts: Result<Vec<_>, String> =
            alerts.iter().map(|alert| AlertData::from_json(alert).map(Arc::new)).collect();
        Ok(Self {
            receiver: text("receiver"),
            status: status(json["status"] == "resolved"),
            alerts: Arc::new(alerts?),
            reason: UNKNOWN_REASON,
            group_labels: Labels::from_pairs(texts_of(json, "groupLabels")?),
            common_labels: Labels::from_pairs(texts_of(json, "commonLabels")?),
            common_annotations: texts_of(json, "commonAnnotations")?,
            route_labels: texts_of(json, "routeLabels")?,
            external_url: text("externalURL"),
        })
    }
}

/// Texts by name in a field of a JSON object.
fn texts_of(json: &serde_json::Value, field: &str) -> Result<BTreeMap<String, String>, String> {
    let entries = json[field].as_object().into_iter().flatten();
    let entry = |(name, value): (&String, &serde_json::Value)| {
        let text = value.as_str().ok_or_else(|| format!("{field}.{name} is no text"))?;
        Ok((name.clone(), text.to_owned()))
    };
    entries.map(entry).collect()
}

impl AlertData {
    fn from_json(json: &serde_json::Value) -> Result<Self, String> {
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        let time = |name: &str| match text(name) {
            "" | "0001-01-01T00:00:00Z" => Ok(None),
            text => text.parse().map(Some).map_err(|error| format!("{name}: {error}")),
        };
        Ok(Self {
            status: status(json["status"] == "resolved"),
            labels: Labels::from_pairs(texts_of(json, "labels")?),
            annotations: texts_of(json, "annotations")?.into_iter().collect(),
            starts_at: time("startsAt")?.unwrap_or(Timestamp::UNIX_EPOCH),
            ends_at: time("endsAt")?,
            generator_url: text("generatorURL").into(),
            fingerprint: text("fingerprint").to_owned(),
        })
    }
}
