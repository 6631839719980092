//! Webhooks of one's own: the data of the notification as JSON, version 4.

use config::alertmanager::receivers::duty::WebhookConfig;
use config::alertmanager::values::Any;
use serde_json::Value as Json;

use super::{Call, Render, SendError, secret};

/// The document: the data, its version, and how much was left out of it.
pub(super) fn document(render: &Render<'_>, version: &str) -> Json {
    let mut document = render.data.json();
    document["version"] = version.into();
    document["groupKey"] = render.group_key.into();
    document["truncatedAlerts"] = render.truncated.into();
    document
}

pub(super) fn calls(config: &WebhookConfig, render: &Render<'_>) -> Result<Vec<Call>, SendError> {
    let body = match &config.payload {
        Any::Null => document(render, "4"),
        payload => render
            .any(payload)
            .map_err(|error| SendError::fatal(format!("failed to render custom payload: {error}")))?,
    };
    let url = render.text(&secret(config.url.expose(), &config.url_file)?)?;
    if url.is_empty() {
        return Err(SendError::fatal("webhook URL is empty after templating"));
    }
    let mut call = Call::json(url, &body);
    call.timeout = Some(config.timeout.get()).filter(|timeout| !timeout.is_zero());
    Ok(vec![call])
}
