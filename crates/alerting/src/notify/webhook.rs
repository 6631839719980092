//! Webhooks of one's own: the data of the notification as JSON, version 4.

use config::alertmanager::receivers::duty::WebhookConfig;
use config::alertmanager::values::Any;
use serde_json::Value as Json;

use super::{Call, Render, SendError, secret};

/// The document: the data, its version, and what was left out of it.
pub(super) fn document(render: &mut Render<'_>, version: &str, max_alerts: u64) -> Json {
    let count = render.data.alerts.len();
    let most = usize::try_from(max_alerts).unwrap_or(usize::MAX);
    let truncated = if most == 0 { 0 } else { count.saturating_sub(most) };
    if truncated > 0 {
        render.data.alerts = std::sync::Arc::new(render.data.alerts[..most].to_vec());
    }
    let mut document = render.data.json();
    document["version"] = version.into();
    document["groupKey"] = render.group_key.into();
    document["truncatedAlerts"] = truncated.into();
    document
}

pub(super) fn calls(config: &WebhookConfig, mut render: Render<'_>) -> Result<Vec<Call>, SendError> {
    let mut body = document(&mut render, "4", config.max_alerts);
    if config.payload != Any::Null {
        body = render
            .templates
            .any(&config.payload, &render.data)
            .map_err(|error| SendError::fatal(format!("failed to render custom payload: {error}")))?;
    }
    let url = render.text(&secret(config.url.expose(), &config.url_file)?)?;
    if url.is_empty() {
        return Err(SendError::fatal("webhook URL is empty after templating"));
    }
    let mut call = Call::json(url, &body);
    call.timeout = Some(config.timeout.get()).filter(|timeout| !timeout.is_zero());
    Ok(vec![call])
}
