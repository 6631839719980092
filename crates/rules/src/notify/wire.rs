//! Alerts as version 2 of the Alertmanager's API takes them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Notification;

/// The body of a request.
pub(super) fn payload(alerts: &[Arc<Notification>]) -> Vec<u8> {
    let alerts: Vec<Value> = alerts.iter().map(|alert| postable(alert)).collect();
    Value::Array(alerts).to_string().into_bytes()
}

fn postable(alert: &Notification) -> Value {
    let labels: Map<String, Value> =
        alert.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let annotations: Map<String, Value> =
        alert.annotations.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    json!({
        "annotations": annotations,
        "endsAt": time(alert.ends_at_ms),
        "startsAt": time(alert.starts_at_ms),
        "generatorURL": alert.generator_url,
        "labels": labels,
    })
}

fn time(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
