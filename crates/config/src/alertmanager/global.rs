//! What all receivers start from.

use super::values::{HostPort, HttpUrl, MASK, SecretUrl};
use crate::decode::{At, Setting as _};
use crate::error::Fault;
use crate::scalar::{PromDuration, Secret};
use crate::section::{Check, section};
use crate::sections::http::{HttpClientConfig, TlsConfig};

/// Where Slack takes messages of apps.
pub(crate) const SLACK_APP_URL: &str = "https://slack.com/api/chat.postMessage";
/// Where Rocket.Chat is, unless said otherwise.
pub(crate) const ROCKETCHAT_URL: &str = "https://open.rocket.chat/";

section! {
    /// What all receivers start from. Paths of secrets are seen from the working directory.
    pub struct AlertGlobal ("global", "config.plain") {
        /// After this time without news an alert counts as resolved.
        always resolve_timeout: PromDuration = PromDuration::from_secs(300);
        /// How to connect to receivers.
        set http_config: Option<HttpClientConfig>;
        /// The URL of Jira's API.
        set jira_api_url: HttpUrl;
        /// The sender of mails.
        set smtp_from: String;
        /// The name given in the greeting of the mail server.
        set smtp_hello: String = "localhost".to_owned();
        /// The mail server.
        set smtp_smarthost: HostPort;
        /// The user to authenticate as to the mail server.
        set smtp_auth_username: String;
        /// The password, for LOGIN and PLAIN.
        set smtp_auth_password: Secret;
        /// A file with the password.
        set smtp_auth_password_file: String;
        /// The secret, for CRAM-MD5.
        set smtp_auth_secret: Secret;
        /// A file with the secret.
        set smtp_auth_secret_file: String;
        /// The identity, for PLAIN.
        set smtp_auth_identity: String;
        /// Whether mails are only sent over TLS.
        always smtp_require_tls: bool = true;
        /// TLS of the connection to the mail server.
        set smtp_tls_config: Option<TlsConfig>;
        /// Whether the connection begins with TLS; absent, it does at port 465.
        set smtp_force_implicit_tls: Option<bool>;
        /// The URL of an incoming webhook of Slack.
        set slack_api_url: SecretUrl;
        /// A file with that URL.
        set slack_api_url_file: String;
        /// The token of a Slack app.
        set slack_app_token: Secret;
        /// A file with the token of a Slack app.
        set slack_app_token_file: String;
        /// Where messages of a Slack app are posted; `https://slack.com/api/chat.postMessage` when empty.
        set slack_app_url: HttpUrl;
        /// The URL of PagerDuty's API.
        set pagerduty_url: HttpUrl = HttpUrl::fixed("https://events.pagerduty.com/v2/enqueue");
        /// The URL of Opsgenie's API.
        set opsgenie_api_url: HttpUrl = HttpUrl::fixed("https://api.opsgenie.com/");
        /// The key for Opsgenie.
        set opsgenie_api_key: Secret;
        /// A file with the key for Opsgenie.
        set opsgenie_api_key_file: String;
        /// The URL of WeChat's API.
        set wechat_api_url: HttpUrl = HttpUrl::fixed("https://qyapi.weixin.qq.com/cgi-bin/");
        /// The secret for WeChat.
        set wechat_api_secret: Secret;
        /// A file with the secret for WeChat.
        set wechat_api_secret_file: String;
        /// The corporation's id at WeChat.
        set wechat_api_corp_id: String;
        /// The URL of VictorOps's API.
        set victorops_api_url: HttpUrl = HttpUrl::fixed("https://alert.victorops.com/integrations/generic/20131114/alert/");
        /// The key for VictorOps.
        set victorops_api_key: Secret;
        /// A file with the key for VictorOps.
        set victorops_api_key_file: String;
        /// The URL of Telegram's API.
        set telegram_api_url: HttpUrl = HttpUrl::fixed("https://api.telegram.org");
        /// The token of the Telegram bot.
        set telegram_bot_token: Secret;
        /// A file with the token of the Telegram bot.
        set telegram_bot_token_file: String;
        /// The URL of Webex's API.
        set webex_api_url: HttpUrl = HttpUrl::fixed("https://webexapis.com/v1/messages");
        /// The URL of Rocket.Chat; `https://open.rocket.chat/` when empty.
        set rocketchat_api_url: HttpUrl;
        /// The token for Rocket.Chat.
        set rocketchat_token: Secret;
        /// A file with the token for Rocket.Chat.
        set rocketchat_token_file: String;
        /// The id of the token for Rocket.Chat.
        set rocketchat_token_id: Secret;
        /// A file with the id of the token for Rocket.Chat.
        set rocketchat_token_id_file: String;
        /// The URL of an incoming webhook of Mattermost.
        set mattermost_webhook_url: SecretUrl;
        /// A file with that URL.
        set mattermost_webhook_url_file: String;
    }
}

impl Check for AlertGlobal {}

/// Fails when both a value and a file with it are given.
pub(super) fn not_both(at: At<'_>, value: (&str, bool), file: (&str, &str)) -> Result<(), Fault> {
    if value.1 && !file.1.is_empty() {
        let message = format!("at most one of {} & {} must be configured", value.0, file.0);
        return Err(at.fault(file.0, message).remedy(format!("remove {} or {}", value.0, file.0)));
    }
    Ok(())
}

impl AlertGlobal {
    /// Checks settings that exclude each other, in the reference's order.
    pub(super) fn check_pairs(&self, at: At<'_>) -> Result<(), Fault> {
        let pair =
            |value: &str, set: bool, file_key: &str, file: &str| not_both(at, (value, set), (file_key, file));
        let has = |secret: &Secret| !secret.is_zero();
        pair(
            "slack_app_token",
            has(&self.slack_app_token),
            "slack_app_token_file",
            &self.slack_app_token_file,
        )?;
        let (url, url_file) = (!self.slack_api_url.is_zero(), !self.slack_api_url_file.is_empty());
        pair("slack_api_url", url, "slack_api_url_file", &self.slack_api_url_file)?;
        let token = has(&self.slack_app_token) || !self.slack_app_token_file.is_empty();
        // An API URL that is the app's own is an old way to say the same.
        let app_url = if self.slack_app_url.is_zero() { SLACK_APP_URL } else { self.slack_app_url.as_str() };
        let same = [app_url, MASK].contains(&self.slack_api_url.expose());
        if token && (url || url_file) && !same {
            let message = "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured";
            return Err(at.fault("slack_api_url", message).remedy("remove the token or the URL"));
        }
        pair(
            "opsgenie_api_key",
            has(&self.opsgenie_api_key),
            "opsgenie_api_key_file",
            &self.opsgenie_api_key_file,
        )?;
        pair(
            "victorops_api_key",
            has(&self.victorops_api_key),
            "victorops_api_key_file",
            &self.victorops_api_key_file,
        )?;
        pair(
            "telegram_bot_token",
            has(&self.telegram_bot_token),
            "telegram_bot_token_file",
            &self.telegram_bot_token_file,
        )?;
        pair(
            "smtp_auth_password",
            has(&self.smtp_auth_password),
            "smtp_auth_password_file",
            &self.smtp_auth_password_file,
        )?;
        pair(
            "rocketchat_token",
            has(&self.rocketchat_token),
            "rocketchat_token_file",
            &self.rocketchat_token_file,
        )?;
        pair(
            "rocketchat_token_id",
            has(&self.rocketchat_token_id),
            "rocketchat_token_id_file",
            &self.rocketchat_token_id_file,
        )?;
        pair(
            "smtp_auth_secret",
            has(&self.smtp_auth_secret),
            "smtp_auth_secret_file",
            &self.smtp_auth_secret_file,
        )?;
        pair(
            "wechat_api_secret",
            has(&self.wechat_api_secret),
            "wechat_api_secret_file",
            &self.wechat_api_secret_file,
        )?;
        let url = !self.mattermost_webhook_url.is_zero();
        pair("mattermost_webhook_url", url, "mattermost_webhook_url_file", &self.mattermost_webhook_url_file)
    }
}
