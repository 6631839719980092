//! Telling: one [`Channel`] for each integration of each receiver turns a delivery into requests or a mail.
//!
//! Nearly all services take one JSON document by HTTP. What they have in common is in [`Call`]: which answers are
//! successes, which are worth another attempt, which are final. A module for each family of services says
//! what the document holds.

mod chat;
mod duty;
mod email;
mod jira;
mod slack;
mod smtp;
mod sns;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use config::HttpClientConfig;
use config::Secret;
use config::alertmanager::Receiver;
use httpclient::{Client, ClientError, HeaderName, HeaderValue, Method, Request, header};
use serde_json::Value as Json;

use crate::core::{Delivery, Integration, Outcome};
use crate::nflog::{IntegrationKey, Notes};
use crate::template::{Data, TemplateSet};

/// The most that is read of an answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why a notification was not accepted.
#[derive(Debug, Clone)]
pub struct SendError {
    /// In words.
    pub message: String,
    /// Whether another attempt may succeed.
    pub retry: bool,
    /// The kind, as metrics name it.
    pub reason: &'static str,
}

impl SendError {
    /// A failure that no other attempt will mend.
    fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: false, reason: "other" }
    }

    /// A failure that may pass.
    fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: true, reason: "other" }
    }
}

/// What rendering needs.
struct Render<'r> {
    templates: &'r TemplateSet,
    data: Data,
    group_key: &'r str,
}

impl Render<'_> {
    fn text(&self, text: &str) -> Result<String, SendError> {
        self.templates.text(text, &self.data).map_err(SendError::fatal)
    }

    fn html(&self, text: &str) -> Result<String, SendError> {
        self.templates.html(text, &self.data).map_err(SendError::fatal)
    }

    fn is_resolved(&self) -> bool {
        self.data.status == "resolved"
    }

    /// A key for the group that services can take: of fixed length.
    fn key_hash(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.group_key.as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A secret that is given or stands in a file, whose white space at the ends does not count.
fn secret(given: &str, file: &str) -> Result<String, SendError> {
    if !given.is_empty() {
        return Ok(given.to_owned());
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| SendError::fatal(format!("could not read {file}: {error}")))?;
    Ok(text.trim().to_owned())
}

/// How the body of an answer is judged that has a good status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    /// The status says it all.
    Status,
    /// Slack: `ok`, or JSON with `ok`.
    Slack,
    /// Rocket.Chat: JSON with `success`.
    Success,
    /// WeChat: JSON with an error code.
    Wechat,
    /// Telegram: JSON with `ok`.
    Ok,
}

/// One request of a notification.
struct Call {
    method: Method,
    url: String,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
    /// Statuses besides 5xx after which another attempt is worth it.
    retry_on: &'static [u16],
    judge: Judge,
    /// A limit of its own for the request.
    timeout: Option<Duration>,
    /// What goes before messages about it.
    about: String,
}

impl Call {
    fn json(url: impl Into<String>, body: &Json) -> Self {
        Self {
            method: Method::POST,
            url: url.into(),
            headers: vec![(header::CONTENT_TYPE, "application/json".to_owned())],
            body: crate::template::go_json(body).into_bytes(),
            retry_on: &[],
            judge: Judge::Status,
            timeout: None,
            about: String::new(),
        }
    }

    fn retry_on(mut self, statuses: &'static [u16]) -> Self {
        self.retry_on = statuses;
        self
    }

    fn judged_by(mut self, judge: Judge) -> Self {
        self.judge = judge;
        self
    }

    /// Sends the request within `limit`; the answer's body when it was accepted.
    async fn send(self, client: &Client, limit: Duration) -> Result<Json, SendError> {
        let limit = self.timeout.map_or(limit, |own| own.min(limit));
        let mut request = Request::new(self.method, self.url, limit).body(self.body);
        let agent = HeaderValue::from_static(concat!("Bartizan/", env!("CARGO_PKG_VERSION")));
        request = request.header(header::USER_AGENT, agent);
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).map_err(|error| SendError::fatal(error.to_string()))?;
            request = request.header(name, value);
        }
        let mut response = client.send(request).await.map_err(|error| unsent(&error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let is_accepted = (200..300).contains(&status);
        match response.read_body(&mut body, MAX_ANSWER_BYTES).await {
            Ok(()) | Err(ClientError::BodyTooLarge { .. }) => {}
            // Where the status decides, what is wrong with the rest must not have it told again.
            Err(_) if is_accepted && matches!(self.judge, Judge::Status) => {}
            Err(error) => return Err(unsent(&error)),
        }
        let about = if self.about.is_empty() { String::new() } else { format!("{}: ", self.about) };
        if !is_accepted {
            let text = String::from_utf8_lossy(&body);
            let details = if text.is_empty() { String::new() } else { format!(": {}", text.trim()) };
            return Err(SendError {
                message: format!("{about}unexpected status code {status}{details}"),
                retry: status / 100 == 5 || self.retry_on.contains(&status),
                reason: reason_of(status),
            });
        }
        let is_json =
            response.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
        judge(self.judge, &body, is_json)
            .map_err(|error| SendError { message: format!("{about}{}", error.message), ..error })
    }
}

/// A request that got no answer. The URL, which may be a secret, is not repeated.
fn unsent(error: &ClientError) -> SendError {
    let message = match error {
        ClientError::Exchange { method, cause, .. } => format!("{method} \"<redacted>\": {cause}"),
        ClientError::Timeout { method, .. } => format!("{method} \"<redacted>\": context deadline exceeded"),
        other => other.to_string(),
    };
    let reason = if error.is_timeout() { "contextDeadlineExceeded" } else { "other" };
    SendError { message, retry: true, reason }
}

fn reason_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "authError",
        429 => "rateLimited",
        400..500 => "clientError",
        500..600 => "serverError",
        _ => "other",
    }
}

fn judge(judge: Judge, body: &[u8], is_json: bool) -> Result<Json, SendError> {
    let text = || String::from_utf8_lossy(body).into_owned();
    let parsed: Option<Json> = serde_json::from_slice(body).ok();
    let refused = |message: String| Err(SendError { message, retry: false, reason: "clientError" });
    let field = |name: &str| parsed.as_ref().map_or(&Json::Null, |json| &json[name]);
    match judge {
        Judge::Status => {}
        Judge::Slack if !is_json && body == b"ok" => {}
        Judge::Slack if !is_json => {
            return refused(format!("received an error response from Slack: {}", text()));
        }
        Judge::Slack | Judge::Success | Judge::Wechat | Judge::Ok if parsed.is_none() => {
            return Err(SendError::passing(format!("could not unmarshal JSON response {:?}", text())));
        }
        Judge::Slack if field("ok") != true => {
            return refused(format!(
                "error response from Slack: {}",
                field("error").as_str().unwrap_or_default()
            ));
        }
        Judge::Success if field("success") != true => {
            return refused(format!(
                "error response from Rocketchat: {}",
                field("error").as_str().unwrap_or_default()
            ));
        }
        Judge::Ok if field("ok") != true => {
            return refused(format!("error response: {}", field("description").as_str().unwrap_or_default()));
        }
        Judge::Wechat if field("errcode") != 0 => {
            let message = field("errmsg").as_str().unwrap_or_default().to_owned();
            // The token has expired; the next attempt fetches another.
            let retry = field("errcode") == 42001;
            return Err(SendError { message, retry, reason: "clientError" });
        }
        Judge::Slack | Judge::Success | Judge::Wechat | Judge::Ok => {}
    }
    Ok(parsed.unwrap_or(Json::Null))
}

/// A JSON object of these entries; empty texts, empty lists and nulls are left out.
fn object<'n>(entries: impl IntoIterator<Item = (&'n str, Json)>) -> Json {
    let is_there = |value: &Json| match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
        _ => true,
    };
    entries
        .into_iter()
        .filter(|(_, value)| is_there(value))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A text of at most `most` characters, the last of which says that it was cut.
fn cut(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let keep = if most <= 3 { most } else { most - 1 };
    let mut short: String = text.chars().take(keep).collect();
    if most > 3 {
        short.push('\u{2026}');
    }
    short
}

/// The settings of an integration.
#[derive(Debug, Clone)]
enum Settings {
    Webhook(config::alertmanager::receivers::duty::WebhookConfig),
    Email(config::alertmanager::receivers::mail::EmailConfig),
    Slack(config::alertmanager::receivers::chat::SlackConfig),
    Chat(chat::Settings),
    Duty(duty::Settings),
    Jira(config::alertmanager::receivers::duty::JiraConfig),
    Sns(config::alertmanager::receivers::duty::SnsConfig),
}

/// One way in which one receiver is told.
#[derive(Debug)]
pub struct Channel {
    key: Arc<IntegrationKey>,
    sends_resolved: bool,
    settings: Settings,
    client: Client,
    templates: Arc<TemplateSet>,
    external_url: String,
    clock: SharedClockDebug,
}

#[derive(Clone)]
struct SharedClockDebug(SharedClock);

impl std::fmt::Debug for SharedClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// What all channels of a configuration share.
#[derive(Clone)]
pub struct ChannelOptions {
    /// The templates.
    pub templates: Arc<TemplateSet>,
    /// Where this server is.
    pub external_url: String,
    /// The time.
    pub clock: SharedClock,
}

impl std::fmt::Debug for ChannelOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelOptions").field("external_url", &self.external_url).finish_non_exhaustive()
    }
}

/// The channels of a receiver, in the order of the reference. The error names the receiver.
pub fn channels(receiver: &Receiver, options: &ChannelOptions) -> Result<Vec<Channel>, String> {
    let mut found: Vec<(&'static str, bool, Option<HttpClientConfig>, Settings)> = Vec::new();
    macro_rules! each {
        ($list:ident, $kind:literal, $settings:expr) => {
            for config in &receiver.$list {
                found.push((
                    $kind,
                    config.send_resolved,
                    config.http_config.clone(),
                    $settings(config.clone()),
                ));
            }
        };
    }
    each!(webhook_configs, "webhook", Settings::Webhook);
    for config in &receiver.email_configs {
        found.push(("email", config.send_resolved, None, Settings::Email(config.clone())));
    }
    each!(pagerduty_configs, "pagerduty", |c| Settings::Duty(duty::Settings::Pagerduty(c)));
    each!(opsgenie_configs, "opsgenie", |c| Settings::Duty(duty::Settings::Opsgenie(c)));
    each!(wechat_configs, "wechat", |c| Settings::Chat(chat::Settings::Wechat(c)));
    each!(slack_configs, "slack", Settings::Slack);
    each!(victorops_configs, "victorops", |c| Settings::Duty(duty::Settings::Victorops(c)));
    each!(pushover_configs, "pushover", |c| Settings::Duty(duty::Settings::Pushover(c)));
    for config in &receiver.sns_configs {
        sns::check(&config.sigv4).map_err(|error| format!("receiver {:?}, sns: {error}", receiver.name))?;
    }
    each!(sns_configs, "sns", Settings::Sns);
    each!(telegram_configs, "telegram", |c| Settings::Chat(chat::Settings::Telegram(c)));
    each!(discord_configs, "discord", |c| Settings::Chat(chat::Settings::Discord(c)));
    each!(webex_configs, "webex", |c| Settings::Chat(chat::Settings::Webex(c)));
    each!(msteams_configs, "msteams", |c| Settings::Chat(chat::Settings::MsTeams(c)));
    each!(msteamsv2_configs, "msteamsv2", |c| Settings::Chat(chat::Settings::MsTeamsV2(c)));
    each!(jira_configs, "jira", Settings::Jira);
    each!(rocketchat_configs, "rocketchat", |c| Settings::Chat(chat::Settings::Rocketchat(c)));
    each!(mattermost_configs, "mattermost", |c| Settings::Chat(chat::Settings::Mattermost(c)));
    each!(incidentio_configs, "incidentio", |c| Settings::Duty(duty::Settings::Incidentio(c)));
    let mut channels: Vec<Channel> = Vec::with_capacity(found.len());
    for (kind, sends_resolved, http, settings) in found {
        let index = channels.iter().filter(|channel| channel.key.kind == kind).count() as u32;
        let key = Arc::new(IntegrationKey { receiver: receiver.name.clone(), kind, index });
        let client = Client::new(&http.unwrap_or_default(), options.clock.clone())
            .map_err(|error| format!("receiver {:?}, {key}: {error}", receiver.name))?;
        let ChannelOptions { templates, external_url, clock } = options.clone();
        let clock = SharedClockDebug(clock);
        channels.push(Channel { key, sends_resolved, settings, client, templates, external_url, clock });
    }
    Ok(channels)
}

impl Channel {
    /// The integration, for decisions.
    pub fn integration(&self) -> Integration {
        Integration { key: self.key.clone(), sends_resolved: self.sends_resolved }
    }

    /// Sends a notification within `limit`.
    pub async fn send(&self, delivery: &Delivery, limit: Duration) -> Result<Notes, SendError> {
        let mut data = Data::new(delivery, &self.external_url);
        data.route_labels = self.templates.route_labels(&data.route_labels, &data);
        let render = Render { templates: &self.templates, data, group_key: &delivery.group_key };
        let notes = delivery.notes.clone();
        let calls = match &self.settings {
            Settings::Email(config) => {
                let mail = email::compose(config, &render, &self.clock.0)?;
                return tokio::time::timeout(limit, smtp::send(config, &mail))
                    .await
                    .unwrap_or_else(|_| Err(timed_out()))
                    .map(|()| notes);
            }
            Settings::Slack(config) => {
                return slack::send(config, &render, notes, &self.client, limit).await;
            }
            Settings::Jira(config) => {
                return jira::send(config, &render, &self.client, limit).await.map(|()| notes);
            }
            Settings::Chat(chat::Settings::Wechat(config)) => {
                return chat::send_wechat(config, &render, &self.client, limit).await.map(|()| notes);
            }
            Settings::Sns(config) => vec![sns::call(config, &render, &self.clock.0)?],
            Settings::Webhook(config) => webhook::calls(config, render)?,
            Settings::Chat(settings) => settings.calls(&render)?,
            Settings::Duty(settings) => settings.calls(&render)?,
        };
        for call in calls {
            call.send(&self.client, limit).await?;
        }
        Ok(notes)
    }
}

fn timed_out() -> SendError {
    SendError {
        message: "context deadline exceeded".to_owned(),
        retry: true,
        reason: "contextDeadlineExceeded",
    }
}

impl From<Result<Notes, SendError>> for Outcome {
    fn from(sent: Result<Notes, SendError>) -> Self {
        match sent {
            Ok(notes) => Self::Sent(notes),
            Err(error) if error.retry => Self::Retry(error.message),
            Err(error) => Self::Failed(error.message),
        }
    }
}

/// The URL that is given or stands in a file.
fn url_of(given: &str, file: &str) -> Result<String, SendError> {
    secret(given, file)
}

/// A given secret, exposed.
fn given(secret: &Secret) -> &str {
    secret.expose()
}
