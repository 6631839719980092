//! Services where people read messages.

use super::super::global::not_both;
use super::super::values::{GoDuration, HttpUrl, SecretUrl};
use super::{exactly_one, template};
use crate::decode::{At, Cx, Setting as _};
use crate::error::Fault;
use crate::scalar::Secret;
use crate::section::{Check, section};
use crate::sections::http::HttpClientConfig;

section! {
    /// Notifications by Discord.
    pub struct DiscordConfig ("discord", "discord.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the webhook.
        set webhook_url: SecretUrl;
        /// A file with that URL.
        set webhook_url_file: String;
        /// The text above the message.
        set content: String;
        /// The title.
        set title: String = template("discord.default.title");
        /// The message.
        set message: String = template("discord.default.message");
        /// The name it comes under.
        set username: String;
        /// The picture it comes with.
        set avatar_url: String;
    }
}

impl Check for DiscordConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let url = ("webhook_url", !self.webhook_url.is_zero());
        exactly_one(at, url, ("webhook_url_file", &self.webhook_url_file))
    }
}

section! {
    /// Notifications by Slack and what speaks its language.
    pub struct SlackConfig ("slack", "config.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of an incoming webhook.
        set api_url: SecretUrl;
        /// A file with that URL.
        set api_url_file: String;
        /// The token of an app.
        set app_token: Secret;
        /// A file with the token of an app.
        set app_token_file: String;
        /// Where messages of an app are posted.
        set app_url: HttpUrl;
        /// The channel or user.
        set channel: String;
        /// The name it comes under.
        set username: String = template("slack.default.username");
        /// The colour of the bar.
        set color: String = template("slack.default.color");
        /// The title.
        set title: String = template("slack.default.title");
        /// Where the title leads.
        set title_link: String = template("slack.default.titlelink");
        /// The text above the attachment.
        set pretext: String = template("slack.default.pretext");
        /// The text.
        set text: String = template("slack.default.text");
        /// The text of the message itself.
        set message_text: String;
        /// Fields of the attachment.
        set fields: Vec<SlackField>;
        /// Whether fields stand next to each other unless they say otherwise.
        set short_fields: bool;
        /// The footer.
        set footer: String = template("slack.default.footer");
        /// The text for what cannot show attachments.
        set fallback: String = template("slack.default.fallback");
        /// The identifier of actions.
        set callback_id: String = template("slack.default.callbackid");
        /// The emoji it comes with.
        set icon_emoji: String = template("slack.default.iconemoji");
        /// The picture it comes with.
        set icon_url: String = template("slack.default.iconurl");
        /// An image.
        set image_url: String;
        /// A small image.
        set thumb_url: String;
        /// Whether names become links.
        set link_names: bool;
        /// Which parts are read as Slack's markup.
        set mrkdwn_in: Vec<String>;
        /// Buttons.
        set actions: Vec<SlackAction>;
        /// Whether an earlier message of the group is updated in place of a new one; needs an app.
        set update_message: bool;
        /// How long a request may take; 0 for no limit of its own.
        set timeout: GoDuration;
    }
}

section! {
    /// A field of an attachment.
    pub struct SlackField ("slack field", "config.plain") {
        /// The title.
        set title: String;
        /// The value.
        set value: String;
        /// Whether it may stand next to others.
        set short: Option<bool>;
    }
}

section! {
    /// A button of an attachment.
    pub struct SlackAction ("slack action", "config.plain") {
        /// The kind, `button`.
        set r#type: String;
        /// The text.
        set text: String;
        /// Where it leads.
        set url: String;
        /// The style.
        set style: String;
        /// The name of what it does.
        set name: String;
        /// The value sent.
        set value: String;
        /// The question asked before.
        set confirm: Option<SlackConfirm>;
    }
}

section! {
    /// The question asked before an action.
    pub struct SlackConfirm ("slack confirmation", "config.plain") {
        /// The text.
        set text: String;
        /// The title.
        set title: String;
        /// The text of the button that goes on.
        set ok_text: String;
        /// The text of the button that stops.
        set dismiss_text: String;
    }
}

fn required(at: At<'_>, key: &str, value: &str, what: &str) -> Result<(), Fault> {
    if value.is_empty() {
        return Err(at.fault(key, format!("missing {key} in {what}")).remedy(format!("add {key}")));
    }
    Ok(())
}

impl Check for SlackField {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        required(at, "title", &self.title, "Slack field configuration")?;
        required(at, "value", &self.value, "Slack field configuration")
    }
}

impl Check for SlackAction {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        required(at, "type", &self.r#type, "Slack action configuration")?;
        required(at, "text", &self.text, "Slack action configuration")?;
        if !self.url.is_empty() {
            // A link does nothing but lead somewhere.
            self.name.clear();
            self.value.clear();
            self.confirm = None;
        } else if self.name.is_empty() {
            let message = "missing name or url in Slack action configuration";
            return Err(at.fault("url", message).remedy("add url or name"));
        }
        Ok(())
    }
}

impl Check for SlackConfirm {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        required(at, "text", &self.text, "Slack confirmation configuration")
    }
}

impl Check for SlackConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let url = !self.api_url.is_zero();
        let token = !self.app_token.is_zero();
        not_both(at, ("api_url", url), ("api_url_file", &self.api_url_file))?;
        not_both(at, ("app_token", token), ("app_token_file", &self.app_token_file))?;
        if (url || !self.api_url_file.is_empty()) && (token || !self.app_token_file.is_empty()) {
            let message = "at most one of api_url/api_url_file & app_token/app_token_file must be configured";
            return Err(at.fault("api_url", message).remedy("remove the URL or the token"));
        }
        if self.update_message && self.api_url.expose() != super::super::global::SLACK_APP_URL {
            let message = "update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage";
            return Err(at
                .fault("update_message", message)
                .remedy("remove update_message, or set that api_url"));
        }
        Ok(())
    }
}

section! {
    /// Notifications by Mattermost.
    pub struct MattermostConfig ("mattermost", "mattermost.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of an incoming webhook.
        set webhook_url: SecretUrl;
        /// A file with that URL.
        set webhook_url_file: String;
        /// The channel or user.
        set channel: String;
        /// The name it comes under.
        set username: String = template("mattermost.default.username");
        /// The text.
        set text: String = template("mattermost.default.text");
        /// The text for what cannot show attachments.
        set fallback: String = template("mattermost.default.fallback");
        /// The colour of the bar.
        set color: String = template("mattermost.default.color");
        /// The text above the attachment.
        set pretext: String;
        /// The name of the author.
        set author_name: String;
        /// Where the author's name leads.
        set author_link: String;
        /// The author's picture.
        set author_icon: String;
        /// The title.
        set title: String = template("mattermost.default.title");
        /// Where the title leads.
        set title_link: String = template("mattermost.default.titlelink");
        /// Fields of the attachment.
        set fields: Vec<MattermostField>;
        /// A small image.
        set thumb_url: String;
        /// The footer.
        set footer: String;
        /// The picture of the footer.
        set footer_icon: String;
        /// An image.
        set image_url: String;
        /// The picture it comes with.
        set icon_url: String;
        /// The emoji it comes with.
        set icon_emoji: String;
        /// Attachments of your own in place of the one made of the settings above.
        set attachments: Vec<MattermostAttachment>;
        /// The type of the post.
        set r#type: String;
        /// Properties of the post.
        set props: Option<MattermostProps>;
        /// The priority of the post.
        set priority: Option<MattermostPriority>;
    }
}

section! {
    /// A field of an attachment.
    pub struct MattermostField ("mattermost field", "mattermost.plain") {
        /// The title.
        set title: String;
        /// The value.
        set value: String;
        /// Whether it may stand next to others.
        set short: Option<bool>;
    }
}

section! {
    /// An attachment.
    pub struct MattermostAttachment ("mattermost attachment", "mattermost.MattermostAttachment") {
        /// The text for what cannot show attachments.
        set fallback: String;
        /// The colour of the bar.
        set color: String;
        /// The text above.
        set pretext: String;
        /// The text.
        set text: String;
        /// The name of the author.
        set author_name: String;
        /// Where the author's name leads.
        set author_link: String;
        /// The author's picture.
        set author_icon: String;
        /// The title.
        set title: String;
        /// Where the title leads.
        set title_link: String;
        /// Fields.
        set fields: Vec<MattermostField>;
        /// A small image.
        set thumb_url: String;
        /// The footer.
        set footer: String;
        /// The picture of the footer.
        set footer_icon: String;
        /// An image.
        set image_url: String;
    }
}

section! {
    /// Properties of a post.
    pub struct MattermostProps ("mattermost props", "mattermost.MattermostProps") {
        /// The text in the side bar.
        set card: String;
    }
}

section! {
    /// The priority of a post.
    pub struct MattermostPriority ("mattermost priority", "mattermost.MattermostPriority") {
        /// The priority.
        set priority: String;
        /// Whether readers are asked to confirm.
        set requested_ack: bool;
        /// Whether readers are told again and again.
        set persistent_notifications: bool;
    }
}

impl Check for MattermostAttachment {}
impl Check for MattermostProps {}
impl Check for MattermostPriority {}

impl Check for MattermostField {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        required(at, "title", &self.title, "Mattermost field configuration")?;
        required(at, "value", &self.value, "Mattermost field configuration")
    }
}

impl Check for MattermostConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let url = ("webhook_url", !self.webhook_url.is_zero());
        not_both(at, url, ("webhook_url_file", &self.webhook_url_file))
    }
}

section! {
    /// Notifications by connectors of Microsoft Teams.
    pub struct MsTeamsConfig ("msteams", "msteams.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the webhook.
        set webhook_url: SecretUrl;
        /// A file with that URL.
        set webhook_url_file: String;
        /// The title.
        set title: String = template("msteams.default.title");
        /// The summary.
        set summary: String = template("msteams.default.summary");
        /// The text.
        set text: String = template("msteams.default.text");
    }
}

impl Check for MsTeamsConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let url = ("webhook_url", !self.webhook_url.is_zero());
        exactly_one(at, url, ("webhook_url_file", &self.webhook_url_file))
    }
}

section! {
    /// Notifications by workflows of Microsoft Teams.
    pub struct MsTeamsV2Config ("msteamsv2", "msteamsv2.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the webhook.
        set webhook_url: SecretUrl;
        /// A file with that URL.
        set webhook_url_file: String;
        /// The title.
        set title: String = template("msteamsv2.default.title");
        /// The text.
        set text: String = template("msteamsv2.default.text");
    }
}

impl Check for MsTeamsV2Config {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let url = ("webhook_url", !self.webhook_url.is_zero());
        exactly_one(at, url, ("webhook_url_file", &self.webhook_url_file))
    }
}

section! {
    /// Notifications by Rocket.Chat.
    pub struct RocketchatConfig ("rocketchat", "rocketchat.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the server.
        set api_url: HttpUrl;
        /// The id of the token.
        set token_id: Secret;
        /// A file with the id of the token.
        set token_id_file: String;
        /// The token.
        set token: Secret;
        /// A file with the token.
        set token_file: String;
        /// The channel or user.
        set channel: String;
        /// The colour of the bar.
        set color: String = "{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}".to_owned();
        /// The title.
        set title: String = template("rocketchat.default.title");
        /// Where the title leads.
        set title_link: String = template("rocketchat.default.titlelink");
        /// The text.
        set text: String = template("rocketchat.default.text");
        /// Fields of the attachment.
        set fields: Vec<RocketchatField>;
        /// Whether fields stand next to each other unless they say otherwise.
        set short_fields: bool;
        /// The emoji it comes with.
        set emoji: String = template("rocketchat.default.emoji");
        /// The picture it comes with.
        set icon_url: String = template("rocketchat.default.iconurl");
        /// An image.
        set image_url: String;
        /// A small image.
        set thumb_url: String;
        /// Whether names become links.
        set link_names: bool;
        /// Buttons.
        set actions: Vec<RocketchatAction>;
    }
}

section! {
    /// A field of an attachment.
    pub struct RocketchatField ("rocketchat field", "rocketchat.RocketchatAttachmentField") {
        /// Whether it may stand next to others.
        set short: Option<bool>;
        /// The title.
        set title: String;
        /// The value.
        set value: String;
    }
}

section! {
    /// A button of an attachment.
    pub struct RocketchatAction ("rocketchat action", "rocketchat.RocketchatAttachmentAction") {
        /// The kind.
        set r#type: String;
        /// The text.
        set text: String;
        /// Where it leads.
        set url: String;
        /// An image in place of the text.
        set imageurl: String;
        /// Whether the link opens inside.
        set iswebview: bool;
        /// How high what opens is.
        set webviewheightratio: String;
        /// The message it writes.
        set msg: String;
        /// Whether the message is written to the chat.
        set msginchatwindow: bool;
        /// `sendMessage` or `respondWithMessage`.
        set msgprocessingtype: String;
    }
}

impl Check for RocketchatField {}
impl Check for RocketchatAction {}

impl Check for RocketchatConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        not_both(at, ("token", !self.token.is_zero()), ("token_file", &self.token_file))?;
        not_both(at, ("token_id", !self.token_id.is_zero()), ("token_id_file", &self.token_id_file))
    }
}

section! {
    /// Notifications by Telegram.
    pub struct TelegramConfig ("telegram", "telegram.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the API.
        set api_url: HttpUrl;
        /// The token of the bot.
        set bot_token: Secret;
        /// A file with the token of the bot.
        set bot_token_file: String;
        /// The chat.
        set chat_id: i64;
        /// A file with the id of the chat.
        set chat_id_file: String;
        /// The topic within the chat.
        set message_thread_id: i64;
        /// The message.
        set message: String = template("telegram.default.message");
        /// Whether it comes without a sound.
        set disable_notifications: bool;
        /// `MarkdownV2`, `Markdown`, `HTML` or nothing.
        set parse_mode: String = "HTML".to_owned();
    }
}

impl Check for TelegramConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        not_both(at, ("bot_token", !self.bot_token.is_zero()), ("bot_token_file", &self.bot_token_file))?;
        if self.chat_id == 0 && self.chat_id_file.is_empty() {
            let message = "missing chat_id or chat_id_file on telegram_config";
            return Err(at.fault("chat_id", message).remedy("add chat_id"));
        }
        not_both(at, ("chat_id", self.chat_id != 0), ("chat_id_file", &self.chat_id_file))?;
        if !matches!(self.parse_mode.as_str(), "" | "Markdown" | "MarkdownV2" | "HTML") {
            let message =
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string";
            return Err(at.fault("parse_mode", message).remedy("write one of them"));
        }
        Ok(())
    }
}

section! {
    /// Notifications by Webex.
    pub struct WebexConfig ("webex", "config.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool = true;
        /// How to connect; `authorization` is required.
        set http_config: Option<HttpClientConfig>;
        /// The URL of the API.
        set api_url: HttpUrl;
        /// The message.
        set message: String = template("webex.default.message");
        /// The room.
        set room_id: String;
    }
}

impl Check for WebexConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.room_id.is_empty() {
            return Err(at.fault("room_id", "missing room_id on webex_config").remedy("add room_id"));
        }
        if self.http_config.as_ref().is_none_or(|http| http.authorization.is_none()) {
            let message = "missing webex_configs.http_config.authorization";
            return Err(at.fault("http_config", message).remedy("add http_config with authorization"));
        }
        Ok(())
    }
}

section! {
    /// Notifications by WeChat.
    pub struct WechatConfig ("wechat", "config.plain") {
        /// Whether resolved alerts are told too.
        always send_resolved: bool;
        /// How to connect.
        set http_config: Option<HttpClientConfig>;
        /// The secret.
        set api_secret: Secret;
        /// A file with the secret.
        set api_secret_file: String;
        /// The corporation's id.
        set corp_id: String;
        /// The message.
        set message: String = template("wechat.default.message");
        /// The URL of the API.
        set api_url: HttpUrl;
        /// The users.
        set to_user: String = template("wechat.default.to_user");
        /// The parties.
        set to_party: String = template("wechat.default.to_party");
        /// The tags.
        set to_tag: String = template("wechat.default.to_tag");
        /// The agent.
        set agent_id: String = template("wechat.default.agent_id");
        /// `text` or `markdown`.
        set message_type: String;
    }
}

impl Check for WechatConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.message_type.is_empty() {
            self.message_type = "text".to_owned();
        }
        if !matches!(self.message_type.as_str(), "text" | "markdown") {
            let message = format!(
                "weChat message type {} does not match valid options ^(text|markdown)$",
                model::labels::Quoted(&self.message_type)
            );
            return Err(at.fault("message_type", message).remedy("write text or markdown"));
        }
        not_both(at, ("api_secret", !self.api_secret.is_zero()), ("api_secret_file", &self.api_secret_file))
    }
}
