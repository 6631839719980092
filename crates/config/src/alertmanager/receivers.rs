//! Receivers: who is told, and how. One module for each family of services.

pub mod chat;
pub mod duty;
pub mod mail;

use std::collections::BTreeMap;

use model::labels::Quoted;

use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::section::{Check, section};

use chat::{
    DiscordConfig, MattermostConfig, MsTeamsConfig, MsTeamsV2Config, RocketchatConfig, SlackConfig,
    TelegramConfig, WebexConfig, WechatConfig,
};
use duty::{
    IncidentioConfig, JiraConfig, OpsgenieConfig, PagerdutyConfig, PushoverConfig, SnsConfig,
    VictoropsConfig, WebhookConfig,
};
use mail::EmailConfig;

section! {
    /// Who is told about alerts, and in which ways.
    pub struct Receiver ("receiver", "config.plain") {
        /// The name routes use.
        always name: String;
        /// Labels to find receivers by; `name` is always among them.
        set labels: BTreeMap<String, String>;
        /// Discord.
        set discord_configs: Vec<DiscordConfig>;
        /// Mail.
        set email_configs: Vec<EmailConfig>;
        /// incident.io.
        set incidentio_configs: Vec<IncidentioConfig>;
        /// PagerDuty.
        set pagerduty_configs: Vec<PagerdutyConfig>;
        /// Slack.
        set slack_configs: Vec<SlackConfig>;
        /// A webhook of your own.
        set webhook_configs: Vec<WebhookConfig>;
        /// Opsgenie.
        set opsgenie_configs: Vec<OpsgenieConfig>;
        /// WeChat.
        set wechat_configs: Vec<WechatConfig>;
        /// Pushover.
        set pushover_configs: Vec<PushoverConfig>;
        /// VictorOps.
        set victorops_configs: Vec<VictoropsConfig>;
        /// Amazon SNS.
        set sns_configs: Vec<SnsConfig>;
        /// Telegram.
        set telegram_configs: Vec<TelegramConfig>;
        /// Webex.
        set webex_configs: Vec<WebexConfig>;
        /// Microsoft Teams, by the old connectors.
        set msteams_configs: Vec<MsTeamsConfig>;
        /// Microsoft Teams, by workflows.
        set msteamsv2_configs: Vec<MsTeamsV2Config>;
        /// Jira.
        set jira_configs: Vec<JiraConfig>;
        /// Rocket.Chat.
        set rocketchat_configs: Vec<RocketchatConfig>;
        /// Mattermost.
        set mattermost_configs: Vec<MattermostConfig>;
    }
}

impl Check for Receiver {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.name.is_empty() {
            return Err(at.fault("name", "missing name in receiver").remedy("add name"));
        }
        if let Some(other) = self.labels.get("name").filter(|label| **label != self.name) {
            let message = format!(
                "receiver label \"name\" must match receiver name {}, got {}",
                Quoted(&self.name),
                Quoted(other)
            );
            return Err(at
                .child("labels")
                .fault("name", message)
                .remedy("remove the label: it is set by itself"));
        }
        Ok(())
    }
}

impl Receiver {
    /// The labels to find the receiver by, its name among them.
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("name".to_owned(), self.name.clone());
        labels
    }
}

/// Fails unless a value or a file with it is given, and when both are.
fn exactly_one(at: At<'_>, value: (&str, bool), file: (&str, &str)) -> Result<(), Fault> {
    if !value.1 && file.1.is_empty() {
        let message = format!("one of {} or {} must be configured", value.0, file.0);
        return Err(at.fault(value.0, message).remedy(format!("add {} or {}", value.0, file.0)));
    }
    super::global::not_both(at, value, file)
}

/// The text `{{ template "name" . }}`.
fn template(name: &str) -> String {
    format!("{{{{ template \"{name}\" . }}}}")
}
