//! Services that call people or keep track of incidents.

use config::alertmanager::receivers::duty::{
    IncidentioConfig, OpsgenieConfig, PagerdutyConfig, PushoverConfig, VictoropsConfig,
};
use config::alertmanager::values::GoDuration;
use httpclient::{Method, header};
use serde_json::{Map, Value as Json, json};

use super::{Call, Render, SendError, cut, form, given, object, secret, webhook};

/// The settings of one of the services.
#[derive(Debug, Clone)]
pub(super) enum Settings {
    Incidentio(IncidentioConfig),
    Opsgenie(OpsgenieConfig),
    Pagerduty(PagerdutyConfig),
    Pushover(PushoverConfig),
    Victorops(VictoropsConfig),
}

impl Settings {
    /// The requests of a notification, in order.
    pub fn calls(&self, render: &Render<'_>) -> Result<Vec<Call>, SendError> {
        Ok(match self {
            Self::Incidentio(config) => vec![incidentio(config, render)?],
            Self::Opsgenie(config) => return opsgenie(config, render),
            Self::Pagerduty(config) => vec![pagerduty(config, render)?],
            Self::Pushover(config) => vec![pushover(config, render)?],
            Self::Victorops(config) => vec![victorops(config, render)?],
        })
    }
}

/// What an answer of incident.io says of an error.
fn incidentio_error(_: u16, body: &[u8]) -> String {
    let Ok(said) = serde_json::from_slice::<Json>(body) else { return String::new() };
    let all = texts(&said["errors"], ", ");
    let parts = [said["message"].as_str(), said["error"].as_str(), Some(all.as_str())];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// What an answer of PagerDuty says of an event it does not take.
fn pagerduty_error(status: u16, body: &[u8]) -> String {
    match serde_json::from_slice::<Json>(body) {
        Ok(said) if status == 400 => {
            format!("{}: {}", said["message"].as_str().unwrap_or_default(), texts(&said["errors"], ","))
        }
        _ => String::new(),
    }
}

fn texts(list: &Json, separator: &str) -> String {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(separator)
}

fn own_limit(timeout: GoDuration) -> Option<std::time::Duration> {
    Some(timeout.get()).filter(|timeout| !timeout.is_zero())
}

fn incidentio(config: &IncidentioConfig, render: &Render<'_>) -> Result<Call, SendError> {
    const LARGEST_BYTES: usize = 512 * 1024;
    let mut body = webhook::document(render, "1");
    let url = secret(config.url.as_str(), &config.url_file)?;
    let mut call = Call::json(url.as_str(), &body);
    if call.body.len() > LARGEST_BYTES
        && let Some(alerts) = body["alerts"].as_array_mut()
    {
        // One alert makes the incident; the others are good to have.
        alerts.truncate(1);
        call = Call::json(url, &body);
    }
    call = call.retry_on(&[429]).explained_by(incidentio_error);
    if !given(&config.alert_source_token).is_empty() || !config.alert_source_token_file.is_empty() {
        let token = secret(given(&config.alert_source_token), &config.alert_source_token_file)?;
        call.headers.push((header::AUTHORIZATION, format!("Bearer {token}")));
    }
    call.timeout = own_limit(config.timeout);
    Ok(call)
}

fn pagerduty(config: &PagerdutyConfig, render: &Render<'_>) -> Result<Call, SendError> {
    const LARGEST_BYTES: usize = 512_000;
    let is_old = !given(&config.service_key).is_empty() || !config.service_key_file.is_empty();
    let mut details = Map::new();
    for (name, value) in &config.details {
        let value = render.any(value);
        let value = value.map_err(|error| SendError::fatal(format!("failed to render details: {error}")))?;
        details.insert(name.clone(), value);
    }
    let mut body = pagerduty_event(config, render, is_old, Json::Object(details))?;
    if body.to_string().len() > LARGEST_BYTES {
        let why = json!({"error": "Custom details have been removed because the original event exceeds the maximum size of 512KB"});
        body = pagerduty_event(config, render, is_old, why)?;
    }
    let key = if is_old { "service_key" } else { "routing_key" };
    if body[key].as_str().is_none_or(str::is_empty) {
        return Err(SendError::fatal(format!("{} cannot be empty", key.replace('_', " "))));
    }
    let (url, retry_on): (&str, &'static [u16]) = if is_old {
        ("https://events.pagerduty.com/generic/2010-04-15/create_event.json", &[403])
    } else {
        (config.url.as_str(), &[429])
    };
    let mut call = Call::json(url, &body).retry_on(retry_on).explained_by(pagerduty_error);
    call.timeout = own_limit(config.timeout);
    Ok(call)
}

fn pagerduty_event(
    config: &PagerdutyConfig,
    render: &Render<'_>,
    is_old: bool,
    details: Json,
) -> Result<Json, SendError> {
    let text = |text: &str| render.text(text).map(Json::from);
    let event = if render.is_resolved() { "resolve" } else { "trigger" };
    let description = cut(render.text(&config.description)?, 1024);
    if is_old {
        let key = secret(given(&config.service_key), &config.service_key_file)?;
        let (client, url) = match event {
            "trigger" => (text(&config.client)?, text(&config.client_url)?),
            _ => (Json::Null, Json::Null),
        };
        return Ok(object([
            ("service_key", text(&key)?),
            ("incident_key", render.key_hash().into()),
            ("event_type", event.into()),
            ("description", description.into()),
            ("client", client),
            ("client_url", url),
            ("details", details),
        ]));
    }
    let key = secret(given(&config.routing_key), &config.routing_key_file)?;
    let (mut images, mut links) = (Vec::new(), Vec::new());
    for image in &config.images {
        let [src, alt, href] = [&image.src, &image.alt, &image.href].map(|part| render.text(part));
        let (src, alt, href) = (src?, alt?, href?);
        if !src.is_empty() {
            images.push(json!({"src": src, "alt": alt, "href": href}));
        }
    }
    for link in &config.links {
        let (href, text) = (render.text(&link.href)?, render.text(&link.text)?);
        if !href.is_empty() {
            links.push(json!({"href": href, "text": text}));
        }
    }
    let severity = if config.severity.is_empty() { "error" } else { config.severity.as_str() };
    let mut payload = object([
        ("class", text(&config.class)?),
        ("component", text(&config.component)?),
        ("group", text(&config.group)?),
        ("custom_details", details),
    ]);
    payload["summary"] = description.into();
    payload["source"] = text(&config.source)?;
    payload["severity"] = text(severity)?;
    Ok(object([
        ("routing_key", text(&key)?),
        ("dedup_key", render.key_hash().into()),
        ("event_action", event.into()),
        ("payload", payload),
        ("client", text(&config.client)?),
        ("client_url", text(&config.client_url)?),
        ("images", Json::Array(images)),
        ("links", Json::Array(links)),
    ]))
}

/// The parts of a list that are not empty.
fn parts(list: &str) -> Json {
    list.trim().split(',').filter(|part| !part.is_empty()).map(Json::from).collect()
}

fn opsgenie(config: &OpsgenieConfig, render: &Render<'_>) -> Result<Vec<Call>, SendError> {
    let text = |text: &str| render.text(text).map(Json::from);
    let (base, alias) = (config.api_url.as_str(), render.key_hash());
    let of_alert = |what: &str| format!("{base}v2/alerts/{alias}/{what}?identifierType=alias");
    let mut calls = Vec::new();
    if render.is_resolved() {
        calls.push(Call::json(of_alert("close"), &json!({"source": render.text(&config.source)?})));
    } else {
        let message = cut(render.text(&config.message)?, 130);
        let description = render.text(&config.description)?;
        let mut details: Map<String, Json> =
            render.data.common_labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        for (name, value) in &config.details {
            details.insert(name.clone(), text(value)?);
        }
        let mut body = object([
            ("description", description.as_str().into()),
            ("responders", responders(config, render)?),
            ("tags", parts(&render.text(&config.tags)?)),
            ("note", text(&config.note)?),
            ("priority", text(&config.priority)?),
            ("entity", text(&config.entity)?),
            ("actions", parts(&render.text(&config.actions)?)),
        ]);
        body["alias"] = alias.as_str().into();
        body["message"] = message.as_str().into();
        body["details"] = Json::Object(details);
        body["source"] = text(&config.source)?;
        calls.push(Call::json(format!("{base}v2/alerts"), &body));
        if config.update_alerts {
            for (what, value) in [("message", message), ("description", description)] {
                let mut update = Call::json(of_alert(what), &object([(what, value.into())]));
                update.method = Method::PUT;
                calls.push(update);
            }
        }
    }
    let key = render.text(&secret(given(&config.api_key), &config.api_key_file)?)?;
    for call in &mut calls {
        call.headers.push((header::AUTHORIZATION, format!("GenieKey {}", key.trim())));
        call.retry_on = &[429];
    }
    Ok(calls)
}

fn responders(config: &OpsgenieConfig, render: &Render<'_>) -> Result<Json, SendError> {
    let mut found = Vec::new();
    for responder in &config.responders {
        let kind = render.text(&responder.r#type)?.to_lowercase();
        let name = render.text(&responder.name)?;
        if kind == "teams" {
            let teams = name.trim().split(',').filter(|team| !team.is_empty());
            found.extend(teams.map(|team| json!({"name": team, "type": "team"})));
            continue;
        }
        let one = object([
            ("id", render.text(&responder.id)?.into()),
            ("name", name.into()),
            ("username", render.text(&responder.username)?.into()),
            ("type", kind.into()),
        ]);
        // A responder whose templates give nothing is none.
        if one.as_object().is_some_and(|fields| !fields.is_empty()) {
            found.push(one);
        }
    }
    Ok(Json::Array(found))
}

fn pushover(config: &PushoverConfig, render: &Render<'_>) -> Result<Call, SendError> {
    let token = render.text(&secret(given(&config.token), &config.token_file)?)?;
    let user = render.text(&secret(given(&config.user_key), &config.user_key_file)?)?;
    let message = if config.html { render.html(&config.message)? } else { render.text(&config.message)? };
    let message = cut(message, 1024).trim().to_owned();
    let message = if message.is_empty() { "(no details)".to_owned() } else { message };
    let mut parameters = vec![
        ("token", token),
        ("user", user),
        ("title", cut(render.text(&config.title)?, 250)),
        ("message", message),
        ("url", cut(render.text(&config.url)?, 512)),
        ("url_title", render.text(&config.url_title)?),
        ("priority", render.text(&config.priority)?),
        ("retry", config.retry.get().as_secs().to_string()),
        ("expire", config.expire.get().as_secs().to_string()),
        ("device", render.text(&config.device)?),
        ("sound", render.text(&config.sound)?),
    ];
    let flags = [("html", config.html), ("monospace", config.monospace)];
    parameters.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, "1".to_owned())));
    if config.ttl.get().as_secs() > 0 {
        parameters.push(("ttl", config.ttl.get().as_secs().to_string()));
    }
    let mut call = Call::json("https://api.pushover.net/1/messages.json", &Json::Null);
    // In the body, where no proxy writes them down.
    call.body = form(parameters.iter().map(|(name, value)| (*name, value.as_str()))).into_bytes();
    call.headers = vec![(header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
    // Statuses of the fives only: Pushover asks not to repeat what it refused.
    Ok(call)
}

fn victorops(config: &VictoropsConfig, render: &Render<'_>) -> Result<Call, SendError> {
    let key = secret(given(&config.api_key), &config.api_key_file)?;
    let url = format!("{}{key}/{}", config.api_url.as_str(), render.text(&config.routing_key)?);
    let kind = render.text(&config.message_type)?;
    let kind = match kind.as_str() {
        _ if render.is_resolved() => "RECOVERY",
        known @ ("INFO" | "WARNING" | "CRITICAL") => known,
        _ => "CRITICAL",
    };
    let mut body = json!({
        "message_type": kind,
        "entity_id": render.key_hash(),
        "entity_display_name": render.text(&config.entity_display_name)?,
        "state_message": cut(render.text(&config.state_message)?, 20_480),
        "monitoring_tool": render.text(&config.monitoring_tool)?,
    });
    for (name, value) in &config.custom_fields {
        body[name.as_str()] = render.text(value)?.into();
    }
    Ok(Call::json(url, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_the_words_of_the_service() {
        let said = br#"{"status":"invalid event","message":"Event object is invalid","errors":["a","b"]}"#;
        assert_eq!(pagerduty_error(400, said), "Event object is invalid: a,b");
        assert_eq!(
            (pagerduty_error(429, said), pagerduty_error(400, b"<html>")),
            (String::new(), String::new())
        );
        assert_eq!(incidentio_error(422, br#"{"message":"m","error":"e","errors":["a","b"]}"#), "m: e: a, b");
        assert_eq!(incidentio_error(500, br#"{"errors":["a"]}"#), "a");
        assert_eq!(incidentio_error(500, b"oops"), "");
    }
}
