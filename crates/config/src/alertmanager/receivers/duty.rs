//! Services that call people or keep track of incidents, and webhooks.

use std::collections::BTreeMap;

use super::super::global::not_both;
use super::super::values::{Any, GoDuration, HttpUrl, TemplateUrl, check_template};
use super::{exactly_one, template};
use crate::decode::{At, Cx, Setting};
use crate::error::Fault;
use crate::scalar::{PromDuration, Secret};
use crate::section::{Check, Shape, section};
use crate::sections::http::HttpClientConfig;
use crate::sections::remote::SigV4Config;
use crate::yaml::{Node, Out};

section! {
    /// Notifications to a webhook of your own.
    pub struct WebhookConfig ("webhook", "webhook.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// Where notifications are posted; may be a template.
        set url: TemplateUrl;
        /// A file with that URL.
        set url_file: String;
        /// The most alerts in one notification; 0 for no limit.
        set max_alerts: u64;
        /// How long a request may take; 0 for no limit of its own.
        set timeout: GoDuration;
        /// The body, in place of the usual one; its texts are templates.
        set payload: Any;
    }
}

impl Check for WebhookConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        exactly_one(at, ("url", !self.url.is_zero()), ("url_file", &self.url_file))
    }
}

section! {
    /// Notifications by incident.io.
    pub struct IncidentioConfig ("incidentio", "incidentio.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// Where notifications are posted.
        set url: HttpUrl;
        /// A file with that URL.
        set url_file: String;
        /// The token of the alert source.
        set alert_source_token: Secret;
        /// A file with the token of the alert source.
        set alert_source_token_file: String;
        /// The most alerts in one notification; 0 for no limit.
        set max_alerts: u64;
        /// How long a request may take; 0 for no limit of its own.
        set timeout: GoDuration;
    }
}

impl Check for IncidentioConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        exactly_one(at, ("url", !self.url.is_zero()), ("url_file", &self.url_file))?;
        let token = !self.alert_source_token.is_zero();
        let file = ("alert_source_token_file", self.alert_source_token_file.as_str());
        not_both(at, ("alert_source_token", token), file)?;
        let any_token = token || !self.alert_source_token_file.is_empty();
        match &self.http_config {
            Some(http) if http.authorization.is_some() && any_token => {
                let message = "cannot specify alert_source_token or alert_source_token_file when using http_config.authorization";
                Err(at.fault("http_config", message).remedy("remove the token, or the authorization"))
            }
            Some(http) if http.authorization.is_none() && !any_token => {
                let message = "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured";
                Err(at.fault("http_config", message).remedy("add alert_source_token"))
            }
            _ => Ok(()),
        }
    }
}

section! {
    /// Notifications by PagerDuty.
    pub struct PagerdutyConfig ("pagerduty", "pagerduty.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The key of an integration of type Prometheus.
        set service_key: Secret;
        /// A file with that key.
        set service_key_file: String;
        /// The key of an integration of type Events API v2.
        set routing_key: Secret;
        /// A file with that key.
        set routing_key_file: String;
        /// The URL of the API.
        set url: HttpUrl;
        /// The name of the sender.
        set client: String = template("pagerduty.default.client");
        /// Where the sender is.
        set client_url: String = template("pagerduty.default.clientURL");
        /// What happened.
        set description: String = template("pagerduty.default.description");
        /// Further facts; texts are templates.
        set details: BTreeMap<String, Any>;
        /// Images.
        set images: Vec<PagerdutyImage>;
        /// Links.
        set links: Vec<PagerdutyLink>;
        /// What is affected; as `client` when absent.
        set source: String;
        /// `critical`, `error`, `warning` or `info`.
        set severity: String;
        /// The class of the event.
        set class: String;
        /// The component.
        set component: String;
        /// The group of components.
        set group: String;
        /// How long a request may take; 0 for no limit of its own.
        set timeout: GoDuration;
    }
}

section! {
    /// A link.
    pub struct PagerdutyLink ("pagerduty link", "pagerduty.PagerdutyLink") {
        /// Where it leads.
        set href: String;
        /// The text.
        set text: String;
    }
}

section! {
    /// An image.
    pub struct PagerdutyImage ("pagerduty image", "pagerduty.PagerdutyImage") {
        /// The image.
        set src: String;
        /// The text for who cannot see it.
        set alt: String;
        /// Where it leads.
        set href: String;
    }
}

impl Check for PagerdutyLink {}
impl Check for PagerdutyImage {}

/// Facts every notification has unless the configuration says otherwise.
const PAGERDUTY_DETAILS: [(&str, &str); 4] = [
    ("firing", "{{ .Alerts.Firing | toJson }}"),
    ("resolved", "{{ .Alerts.Resolved | toJson }}"),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];

impl Check for PagerdutyConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let (service, routing) = (!self.service_key.is_zero(), !self.routing_key.is_zero());
        if !service && !routing && self.service_key_file.is_empty() && self.routing_key_file.is_empty() {
            let message = "missing service or routing key in PagerDuty config";
            return Err(at.fault("routing_key", message).remedy("add routing_key or service_key"));
        }
        not_both(at, ("routing_key", routing), ("routing_key_file", &self.routing_key_file))?;
        not_both(at, ("service_key", service), ("service_key_file", &self.service_key_file))?;
        if self.source.is_empty() {
            self.source.clone_from(&self.client);
        }
        for (name, text) in PAGERDUTY_DETAILS {
            self.details.entry(name.to_owned()).or_insert_with(|| Any::Text(text.to_owned()));
        }
        Ok(())
    }
}

section! {
    /// Notifications by Opsgenie.
    pub struct OpsgenieConfig ("opsgenie", "opsgenie.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The key.
        set api_key: Secret;
        /// A file with the key.
        set api_key_file: String;
        /// The URL of the API.
        set api_url: HttpUrl;
        /// What happened.
        set message: String = template("opsgenie.default.message");
        /// More about it.
        set description: String = template("opsgenie.default.description");
        /// Where it comes from.
        set source: String = template("opsgenie.default.source");
        /// Further facts.
        set details: BTreeMap<String, String>;
        /// What is affected.
        set entity: String;
        /// Who has to act.
        set responders: Vec<OpsgenieResponder>;
        /// What can be done, separated by commas.
        set actions: String;
        /// Tags, separated by commas.
        set tags: String;
        /// A note.
        set note: String;
        /// `P1` to `P5`.
        set priority: String;
        /// Whether message and description of an open alert are updated.
        set update_alerts: bool;
    }
}

section! {
    /// Who has to act.
    pub struct OpsgenieResponder ("opsgenie responder", "opsgenie.OpsGenieConfigResponder") {
        /// The id.
        set id: String;
        /// The name.
        set name: String;
        /// The name of a user.
        set username: String;
        /// `team`, `teams`, `user`, `escalation` or `schedule`.
        set r#type: String;
    }
}

impl Check for OpsgenieResponder {}

impl Check for OpsgenieConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        not_both(at, ("api_key", !self.api_key.is_zero()), ("api_key_file", &self.api_key_file))?;
        for (i, responder) in self.responders.iter().enumerate() {
            let at = at.item("responders", i);
            let OpsgenieResponder { id, name, username, r#type } = responder;
            let shown = format!("{{{id} {name} {username} {type}}}");
            if id.is_empty() && name.is_empty() && username.is_empty() {
                let message = format!(
                    "opsGenieConfig responder {shown} has to have at least one of id, username or name specified"
                );
                return Err(at.fault("id", message).remedy("add id, name or username"));
            }
            if r#type.contains("{{") {
                check_template(r#type).map_err(|error| {
                    let message = format!(
                        "opsGenieConfig responder {shown} type contains invalid template syntax: {error}"
                    );
                    at.fault("type", message)
                })?;
            } else {
                let lower = r#type.to_lowercase();
                let known = ["team", "teams", "user", "escalation", "schedule"];
                if !known.contains(&lower.as_str()) {
                    let shown = format!("{{{id} {name} {username} {lower}}}");
                    let message = format!(
                        "opsGenieConfig responder {shown} type does not match valid options ^(team|teams|user|escalation|schedule)$"
                    );
                    return Err(at.fault("type", message).remedy("write one of the types"));
                }
            }
        }
        Ok(())
    }
}

section! {
    /// Notifications by Pushover.
    pub struct PushoverConfig ("pushover", "pushover.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The key of the user or group.
        set user_key: Secret;
        /// A file with the key of the user or group.
        set user_key_file: String;
        /// The token of the application.
        set token: Secret;
        /// A file with the token of the application.
        set token_file: String;
        /// The title.
        set title: String = template("pushover.default.title");
        /// The message.
        set message: String = template("pushover.default.message");
        /// A link.
        set url: String = template("pushover.default.url");
        /// The text of the link.
        set url_title: String;
        /// The device.
        set device: String;
        /// The sound.
        set sound: String;
        /// The priority.
        set priority: String = "{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}".to_owned();
        /// How often an emergency is repeated.
        set retry: GoDuration = GoDuration::from_secs(60);
        /// How long an emergency is repeated.
        set expire: GoDuration = GoDuration::from_secs(3600);
        /// How long the message is kept.
        set ttl: GoDuration;
        /// Whether the message is HTML.
        set html: bool;
        /// Whether the message is shown in a fixed width.
        set monospace: bool;
    }
}

impl Check for PushoverConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        exactly_one(at, ("user_key", !self.user_key.is_zero()), ("user_key_file", &self.user_key_file))?;
        exactly_one(at, ("token", !self.token.is_zero()), ("token_file", &self.token_file))?;
        if self.html && self.monospace {
            let message = "at most one of monospace & html must be configured";
            return Err(at.fault("html", message).remedy("remove one of them"));
        }
        Ok(())
    }
}

section! {
    /// Notifications by Amazon SNS.
    pub struct SnsConfig ("sns", "sns.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the API; made of the region when absent.
        set api_url: String;
        /// How requests are signed.
        set sigv4: SigV4Config;
        /// The topic.
        set topic_arn: String;
        /// The telephone number.
        set phone_number: String;
        /// The endpoint.
        set target_arn: String;
        /// The subject.
        set subject: String = template("sns.default.subject");
        /// The message.
        set message: String = template("sns.default.message");
        /// Attributes of the message.
        set attributes: BTreeMap<String, String>;
        /// Taken and without effect: there is one HTTP client.
        set use_aws_http_client: bool;
    }
}

impl Check for SnsConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        // Read like this, one of the three or all of them pass.
        let unset = [&self.target_arn, &self.topic_arn, &self.phone_number].map(|text| text.is_empty());
        if (unset[0] != unset[1]) != unset[2] {
            let message = "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config";
            return Err(at
                .fault("topic_arn", message)
                .remedy("give exactly one of target_arn, topic_arn, phone_number"));
        }
        Ok(())
    }
}

section! {
    /// Notifications by VictorOps.
    pub struct VictoropsConfig ("victorops", "config.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The key.
        set api_key: Secret;
        /// A file with the key.
        set api_key_file: String;
        /// The URL of the API.
        set api_url: HttpUrl;
        /// The key that maps to a team.
        set routing_key: String;
        /// `CRITICAL`, `WARNING` or `INFO`.
        set message_type: String = "CRITICAL".to_owned();
        /// What happened.
        set state_message: String = template("victorops.default.state_message");
        /// What is affected.
        set entity_display_name: String = template("victorops.default.entity_display_name");
        /// Where it comes from.
        set monitoring_tool: String = template("victorops.default.monitoring_tool");
        /// Further fields.
        set custom_fields: BTreeMap<String, String>;
    }
}

impl Check for VictoropsConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        const OWN: [&str; 7] = [
            "routing_key",
            "message_type",
            "state_message",
            "entity_display_name",
            "monitoring_tool",
            "entity_id",
            "entity_state",
        ];
        if self.routing_key.is_empty() {
            let message = "missing Routing key in VictorOps config";
            return Err(at.fault("routing_key", message).remedy("add routing_key"));
        }
        not_both(at, ("api_key", !self.api_key.is_zero()), ("api_key_file", &self.api_key_file))?;
        if let Some(field) = OWN.into_iter().find(|field| self.custom_fields.contains_key(*field)) {
            let message = format!(
                "victorOps config contains custom field {field} which cannot be used as it conflicts with the fixed/static fields"
            );
            return Err(at.child("custom_fields").fault(field, message).remedy("choose another name"));
        }
        Ok(())
    }
}

section! {
    /// Notifications by Jira: one issue for each group.
    pub struct JiraConfig ("jira", "jira.plain") {
        /// Whether issues are resolved with their alerts.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the API.
        set api_url: HttpUrl;
        /// `auto`, `cloud` or `datacenter`.
        set api_type: String = "auto".to_owned();
        /// The project.
        set project: String;
        /// The summary of the issue.
        set summary: JiraField = JiraField::of("jira.default.summary");
        /// The description of the issue.
        set description: JiraField = JiraField::of("jira.default.description");
        /// Labels of the issue.
        set labels: Vec<String>;
        /// The priority.
        set priority: String = template("jira.default.priority");
        /// The type of the issue.
        set issue_type: String;
        /// The transition that opens a resolved issue again.
        set reopen_transition: String;
        /// The transition that resolves an issue.
        set resolve_transition: String;
        /// Issues resolved so are not opened again.
        set wont_fix_resolution: String;
        /// How long a resolved issue may be opened again.
        set reopen_duration: PromDuration;
        /// Further fields; texts are templates.
        set fields: BTreeMap<String, Any>;
    }
}

/// A field of an issue: a template, and whether it changes with the alerts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JiraField {
    /// The template.
    pub template: String,
    /// Whether an existing issue is updated.
    pub enable_update: Option<bool>,
}

impl JiraField {
    fn of(name: &str) -> Self {
        Self { template: template(name), enable_update: None }
    }
}

section! {
    /// A field of an issue.
    pub struct JiraFieldText ("jira field", "jira.plain") {
        /// The template.
        set template: String;
        /// Whether an existing issue is updated.
        set enable_update: Option<bool>;
    }
}

impl Check for JiraFieldText {}

impl Setting for JiraField {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        if let Some(text) = node.text() {
            return Ok(Self { template: text.to_owned(), enable_update: None });
        }
        let JiraFieldText { template, enable_update } = JiraFieldText::decode(node, cx)?;
        Ok(Self { template, enable_update })
    }

    fn is_zero(&self) -> bool {
        self.template.is_empty() && self.enable_update.is_none()
    }

    fn emit(&self) -> Out {
        let Self { template, enable_update } = self.clone();
        match enable_update {
            None => Out::Text(template),
            Some(_) => JiraFieldText { template, enable_update }.emit(),
        }
    }

    fn shape() -> Shape {
        JiraFieldText::shape()
    }
}

impl Check for JiraConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        for (key, value) in [("project", &self.project), ("issue_type", &self.issue_type)] {
            if value.is_empty() {
                return Err(at
                    .fault(key, format!("missing {key} in jira_config"))
                    .remedy(format!("add {key}")));
            }
        }
        if !matches!(self.api_type.as_str(), "auto" | "cloud" | "datacenter") {
            let message = "unknown api_type on jira_config, must be auto, cloud or datacenter";
            return Err(at.fault("api_type", message).remedy("write one of them"));
        }
        Ok(())
    }
}
