//! Telling: one [`Channel`] for each integration of each receiver turns a delivery into requests or a mail.
//!
//! A notification is first composed, then sent. Composing renders all templates and reads all files, on a thread
//! that may compute; it gives a [`Plan`], which sending carries out without either.
//!
//! Nearly all services take one JSON document by HTTP. What they have in common is in [`call::Call`]: which answers
//! are successes, which are worth another attempt, which are final. A module for each family of services says
//! what the document holds.

mod call;
mod chat;
mod duty;
mod email;
mod jira;
mod slack;
mod smtp;
mod sns;
mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::clock::SharedClock;
use config::HttpClientConfig;
use config::Secret;
use config::alertmanager::Receiver;
use httpclient::Client;
use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio::sync::Semaphore;

use crate::core::{Delivery, Failure, Integration, Outcome};
use crate::nflog::{IntegrationKey, Notes};
use crate::template::{ClockDebug, Data, Renderer, TemplateSet};

use call::{Call, Judge};

/// Notifications that one integration is sent at once; more wait. One that never answers keeps only itself waiting.
const MAX_AT_ONCE: usize = 64;
/// Turns to compose, over all channels: it only computes, and each thread that ever did keeps memory.
static COMPOSING: Semaphore = Semaphore::const_new(4);

/// Why a notification was not accepted.
#[derive(Debug, Clone)]
pub struct SendError {
    /// In words.
    pub message: String,
    /// Whether another attempt may succeed.
    pub retry: bool,
    /// The kind, as metrics name it.
    pub reason: &'static str,
    /// Whether it may have been accepted nevertheless, or in part.
    pub perhaps_told: bool,
}

impl SendError {
    /// A failure that no other attempt will mend.
    fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: false, reason: "other", perhaps_told: false }
    }

    /// A failure that may pass.
    fn passing(message: impl Into<String>) -> Self {
        Self { retry: true, ..Self::fatal(message) }
    }

    /// A failure of ours that should not be possible.
    pub(crate) fn defect(error: &tokio::task::JoinError) -> Self {
        Self::passing(format!("sending ended by a defect: {error}")).perhaps_told(true)
    }

    fn perhaps_told(mut self, perhaps: bool) -> Self {
        self.perhaps_told = perhaps;
        self
    }
}

/// What rendering needs.
struct Render<'r> {
    renderer: Renderer,
    data: Arc<Data>,
    group_key: &'r str,
    /// How many alerts the notification leaves out.
    truncated: usize,
}

impl Render<'_> {
    fn text(&self, text: &str) -> Result<String, SendError> {
        self.renderer.text(text).map_err(SendError::fatal)
    }

    fn html(&self, text: &str) -> Result<String, SendError> {
        self.renderer.html(text).map_err(SendError::fatal)
    }

    fn any(&self, value: &config::alertmanager::values::Any) -> Result<Json, String> {
        self.renderer.any(value)
    }

    fn is_resolved(&self) -> bool {
        self.data.status == "resolved"
    }

    /// A key for the group that services can take: of fixed length.
    fn key_hash(&self) -> String {
        hex(ring::digest::digest(&ring::digest::SHA256, self.group_key.as_bytes()).as_ref())
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A form as the body of a request.
fn form<'n>(fields: impl IntoIterator<Item = (&'n str, &'n str)>) -> String {
    let escape = gotmpl::library::query_escape;
    let pairs: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
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
    Wechat(config::alertmanager::receivers::chat::WechatConfig),
    Chat(chat::Settings),
    Duty(duty::Settings),
    Jira(config::alertmanager::receivers::duty::JiraConfig),
    Sns(config::alertmanager::receivers::duty::SnsConfig),
}

impl Settings {
    /// The most alerts a notification holds; the others are only counted in it.
    fn most_alerts(&self) -> usize {
        let most = match self {
            Self::Webhook(config) => config.max_alerts,
            Self::Duty(duty::Settings::Incidentio(config)) => config.max_alerts,
            _ => 0,
        };
        if most == 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) }
    }
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
    clock: ClockDebug,
    /// Notifications that may be sent now.
    slots: Semaphore,
    /// What lets one send to WeChat, for as long as it does.
    token: Mutex<Option<chat::Token>>,
}

/// A notification, rendered.
#[derive(Debug)]
enum Plan {
    /// Requests, one after the other.
    Calls(Vec<Call>),
    /// A mail.
    Mail(Box<smtp::Job>),
    /// A message that may take the place of an older one.
    Slack { call: Box<Call>, keeps_message: bool },
    /// An issue that is looked for first.
    Jira(Box<jira::Plan>),
    /// A message that needs a token.
    Wechat(Box<chat::WechatPlan>),
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
    each!(wechat_configs, "wechat", Settings::Wechat);
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
        channels.push(Channel {
            key,
            sends_resolved,
            settings,
            client,
            templates,
            external_url,
            clock: ClockDebug(clock),
            slots: Semaphore::new(MAX_AT_ONCE),
            token: Mutex::default(),
        });
    }
    Ok(channels)
}

impl Channel {
    /// The integration, for decisions.
    pub fn integration(&self) -> Integration {
        Integration { key: self.key.clone(), sends_resolved: self.sends_resolved }
    }

    /// Sends a notification within `limit`, whatever it takes: waiting for others on the same channel, rendering, and
    /// all requests. What the integration wants to keep about the group comes back.
    pub async fn send(self: Arc<Self>, delivery: Delivery, limit: Duration) -> Result<Notes, SendError> {
        let has_begun = AtomicBool::new(false);
        let sending = async {
            let Ok(_slot) = self.slots.acquire().await else { return Err(timed_out()) };
            let (channel, notes) = (self.clone(), delivery.notes.clone());
            let plan = {
                let Ok(_turn) = COMPOSING.acquire().await else { return Err(timed_out()) };
                tokio::task::spawn_blocking(move || channel.compose(&delivery)).await
            };
            let plan = plan.unwrap_or_else(|error| Err(SendError::defect(&error)))?;
            has_begun.store(true, Ordering::Relaxed);
            self.carry_out(plan, notes, limit).await
        };
        let sent = tokio::time::timeout(limit, sending).await;
        sent.unwrap_or_else(|_| Err(timed_out().perhaps_told(has_begun.load(Ordering::Relaxed))))
    }

    /// Renders a notification. This computes, and reads files.
    fn compose(&self, delivery: &Delivery) -> Result<Plan, SendError> {
        let shown = &delivery.alerts[..self.settings.most_alerts().min(delivery.alerts.len())];
        let mut data = Data::new(delivery, shown, &self.external_url);
        data.route_labels = self.templates.labels_of_route(delivery, &self.external_url);
        let data = Arc::new(data);
        let render = Render {
            renderer: self.templates.renderer(&data),
            data,
            group_key: &delivery.group_key,
            truncated: delivery.alerts.len() - shown.len(),
        };
        Ok(match &self.settings {
            Settings::Email(config) => {
                let mail = email::compose(config, &render, &self.clock.0)?;
                Plan::Mail(Box::new(smtp::Job::new(config, mail)?))
            }
            Settings::Slack(config) => Plan::Slack {
                call: Box::new(slack::call(config, &render, &delivery.notes)?),
                keeps_message: config.update_message,
            },
            Settings::Jira(config) => Plan::Jira(Box::new(jira::Plan::new(config, &render)?)),
            Settings::Wechat(config) => Plan::Wechat(Box::new(chat::WechatPlan::new(config, &render)?)),
            Settings::Sns(config) => Plan::Calls(vec![sns::call(config, &render, &self.clock.0)?]),
            Settings::Webhook(config) => Plan::Calls(webhook::calls(config, &render)?),
            Settings::Chat(settings) => Plan::Calls(vec![settings.call(&render)?]),
            Settings::Duty(settings) => Plan::Calls(settings.calls(&render)?),
        })
    }

    async fn carry_out(&self, plan: Plan, mut notes: Notes, limit: Duration) -> Result<Notes, SendError> {
        match plan {
            Plan::Calls(calls) => {
                for (index, call) in calls.into_iter().enumerate() {
                    let sent = call.send(&self.client, limit).await;
                    // Of several requests the first makes the alert known.
                    sent.map_err(|error| SendError {
                        perhaps_told: error.perhaps_told || index > 0,
                        ..error
                    })?;
                }
            }
            Plan::Mail(job) => job.send().await?,
            Plan::Slack { call, keeps_message } => {
                let answer = call.send(&self.client, limit).await?;
                if keeps_message {
                    slack::keep_message(&answer, &mut notes);
                }
            }
            Plan::Jira(plan) => plan.send(&self.client, limit).await?,
            Plan::Wechat(plan) => plan.send(&self.client, limit, &self.token, &self.clock.0).await?,
        }
        Ok(notes)
    }
}

fn timed_out() -> SendError {
    SendError {
        message: "context deadline exceeded".to_owned(),
        retry: true,
        reason: "contextDeadlineExceeded",
        perhaps_told: false,
    }
}

impl From<Result<Notes, SendError>> for Outcome {
    fn from(sent: Result<Notes, SendError>) -> Self {
        let failure =
            |error: SendError| Failure::of(error.message, error.reason).perhaps_told(error.perhaps_told);
        match sent {
            Ok(notes) => Self::Sent(notes),
            Err(error) if error.retry => Self::Retry(failure(error)),
            Err(error) => Self::Failed(failure(error)),
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
