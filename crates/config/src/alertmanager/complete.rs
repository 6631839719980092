//! What receivers take from `global`, and what must be there once they did.

use model::labels::Quoted;

use super::global::{AlertGlobal, ROCKETCHAT_URL, SLACK_APP_URL};
use super::receivers::Receiver;
use super::receivers::chat::SlackConfig;
use super::receivers::mail::EmailConfig;
use super::values::{HttpUrl, SecretUrl};
use crate::decode::{At, Setting};
use crate::error::Fault;
use crate::sections::http::{Authorization, HttpClientConfig};

/// Completes all receivers.
pub(super) fn receivers(receivers: &mut [Receiver], global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
    for i in 0..receivers.len() {
        let at = at.item("receivers", i);
        let (before, rest) = receivers.split_at_mut(i);
        let receiver = &mut rest[0];
        if before.iter().any(|other| other.name == receiver.name) {
            let message = format!("notification config name {} is not unique", Quoted(&receiver.name));
            return Err(at.fault("name", message).remedy("choose another name"));
        }
        receiver.complete(global, at)?;
    }
    Ok(())
}

/// Takes the value of `global` when there is none.
fn inherit<T: Setting + Clone>(own: &mut T, global: &T) {
    if own.is_zero() {
        own.clone_from(global);
    }
}

/// Takes a secret and the file with it from `global` when neither is there.
fn inherit_both<T: Setting + Clone>(own: (&mut T, &mut String), global: (&T, &str)) {
    if own.0.is_zero() && own.1.is_empty() {
        own.0.clone_from(global.0);
        global.1.clone_into(own.1);
    }
}

/// Takes the URL of `global` and ends it with a slash, for APIs whose paths are put behind it.
fn base_url(own: &mut HttpUrl, global: &HttpUrl, missing: &str, at: At<'_>) -> Result<(), Fault> {
    inherit(own, global);
    if own.is_zero() {
        return Err(at.fault("api_url", missing).remedy("add api_url"));
    }
    if !own.as_str().ends_with('/') && !own.as_str().contains('?') {
        *own = HttpUrl::fixed(&format!("{}/", own.as_str()));
    }
    Ok(())
}

impl Receiver {
    fn complete(&mut self, global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
        let http = &global.http_config;
        let present = |key: &str, what: &str| at.no_null_items(key, &format!("missing {what} config"));
        present("webhook_configs", "webhook")?;
        self.webhook_configs.iter_mut().for_each(|config| inherit(&mut config.http_config, http));
        present("email_configs", "email")?;
        for (i, config) in self.email_configs.iter_mut().enumerate() {
            config.complete(global, at.item("email_configs", i))?;
        }
        for (i, config) in self.slack_configs.iter_mut().enumerate() {
            config.complete(global, at.item("slack_configs", i))?;
        }
        present("pushover_configs", "pushover")?;
        self.pushover_configs.iter_mut().for_each(|config| inherit(&mut config.http_config, http));
        present("pagerduty_configs", "pagerduty")?;
        for (i, config) in self.pagerduty_configs.iter_mut().enumerate() {
            inherit(&mut config.http_config, http);
            inherit(&mut config.url, &global.pagerduty_url);
            if config.url.is_zero() {
                let at = at.item("pagerduty_configs", i);
                return Err(at.fault("url", "no global PagerDuty URL set").remedy("add url"));
            }
        }
        present("incidentio_configs", "incidentio")?;
        self.incidentio_configs.iter_mut().for_each(|config| inherit(&mut config.http_config, http));
        self.complete_keyed(global, at)?;
        present("sns_configs", "sns")?;
        self.sns_configs.iter_mut().for_each(|config| inherit(&mut config.http_config, http));
        self.complete_chats(global, at)
    }

    /// Opsgenie, WeChat and VictorOps, which need a key and have APIs of several paths.
    fn complete_keyed(&mut self, global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
        let http = &global.http_config;
        for (i, config) in self.opsgenie_configs.iter_mut().enumerate() {
            let at = at.item("opsgenie_configs", i);
            inherit(&mut config.http_config, http);
            base_url(&mut config.api_url, &global.opsgenie_api_url, "no global OpsGenie URL set", at)?;
            inherit(&mut config.api_key, &global.opsgenie_api_key);
            inherit(&mut config.api_key_file, &global.opsgenie_api_key_file);
            if config.api_key.is_zero() && config.api_key_file.is_empty() {
                let message = "no global OpsGenie API Key set either inline or in a file";
                return Err(at
                    .fault("api_key", message)
                    .remedy("add api_key, or opsgenie_api_key to global"));
            }
        }
        for (i, config) in self.wechat_configs.iter_mut().enumerate() {
            let at = at.item("wechat_configs", i);
            inherit(&mut config.http_config, http);
            if config.message_type.is_empty() {
                config.message_type = "text".to_owned();
            }
            inherit_both(
                (&mut config.api_secret, &mut config.api_secret_file),
                (&global.wechat_api_secret, &global.wechat_api_secret_file),
            );
            if config.api_secret.is_zero() && config.api_secret_file.is_empty() {
                let message = "no global Wechat Api Secret set either inline or in a file";
                return Err(at
                    .fault("api_secret", message)
                    .remedy("add api_secret, or wechat_api_secret to global"));
            }
            inherit(&mut config.corp_id, &global.wechat_api_corp_id);
            if config.corp_id.is_empty() {
                let message = "no global Wechat CorpID set";
                return Err(at
                    .fault("corp_id", message)
                    .remedy("add corp_id, or wechat_api_corp_id to global"));
            }
            base_url(&mut config.api_url, &global.wechat_api_url, "no global Wechat URL set", at)?;
        }
        at.no_null_items("victorops_configs", "missing victorops config")?;
        for (i, config) in self.victorops_configs.iter_mut().enumerate() {
            let at = at.item("victorops_configs", i);
            inherit(&mut config.http_config, http);
            base_url(&mut config.api_url, &global.victorops_api_url, "no global VictorOps URL set", at)?;
            inherit(&mut config.api_key, &global.victorops_api_key);
            inherit(&mut config.api_key_file, &global.victorops_api_key_file);
            if config.api_key.is_zero() && config.api_key_file.is_empty() {
                let message = "no global VictorOps API Key set";
                return Err(at
                    .fault("api_key", message)
                    .remedy("add api_key, or victorops_api_key to global"));
            }
        }
        Ok(())
    }

    fn complete_chats(&mut self, global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
        let http = &global.http_config;
        let present = |key: &str, what: &str| at.no_null_items(key, &format!("missing {what} config"));
        present("telegram_configs", "telegram")?;
        for (i, config) in self.telegram_configs.iter_mut().enumerate() {
            inherit(&mut config.http_config, http);
            inherit(&mut config.api_url, &global.telegram_api_url);
            inherit_both(
                (&mut config.bot_token, &mut config.bot_token_file),
                (&global.telegram_bot_token, &global.telegram_bot_token_file),
            );
            if config.bot_token.is_zero() && config.bot_token_file.is_empty() {
                let message = "missing bot_token or bot_token_file on telegram_config";
                let at = at.item("telegram_configs", i);
                return Err(at
                    .fault("bot_token", message)
                    .remedy("add bot_token, or telegram_bot_token to global"));
            }
        }
        present("discord_configs", "discord")?;
        self.discord_configs.iter_mut().for_each(|config| inherit(&mut config.http_config, http));
        present("webex_configs", "webex")?;
        for config in &mut self.webex_configs {
            inherit(&mut config.http_config, http);
            inherit(&mut config.api_url, &global.webex_api_url);
        }
        present("msteams_configs", "msteams")?;
        self.msteams_configs.iter_mut().for_each(|config| inherit(&mut config.http_config, http));
        present("msteamsv2_configs", "msteamsv2")?;
        for config in &mut self.msteamsv2_configs {
            match (&mut config.http_config, http) {
                // Here options of its own still go through the proxy of all.
                (Some(own), Some(global)) => inherit(&mut own.proxy.proxy_url, &global.proxy.proxy_url),
                (own, global) => inherit(own, global),
            }
        }
        present("jira_configs", "jira")?;
        for (i, config) in self.jira_configs.iter_mut().enumerate() {
            inherit(&mut config.http_config, http);
            inherit(&mut config.api_url, &global.jira_api_url);
            if config.api_url.is_zero() {
                let at = at.item("jira_configs", i);
                return Err(at.fault("api_url", "no global Jira Cloud URL set").remedy("add api_url"));
            }
        }
        self.complete_rocketchat(global, at)?;
        present("mattermost_configs", "mattermost")?;
        for (i, config) in self.mattermost_configs.iter_mut().enumerate() {
            inherit(&mut config.http_config, http);
            inherit_both(
                (&mut config.webhook_url, &mut config.webhook_url_file),
                (&global.mattermost_webhook_url, &global.mattermost_webhook_url_file),
            );
            if config.webhook_url.is_zero() && config.webhook_url_file.is_empty() {
                let message = "missing webhook_url or webhook_url_file on mattermost_config";
                return Err(at
                    .item("mattermost_configs", i)
                    .fault("webhook_url", message)
                    .remedy("add webhook_url"));
            }
        }
        Ok(())
    }

    fn complete_rocketchat(&mut self, global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
        for (i, config) in self.rocketchat_configs.iter_mut().enumerate() {
            let at = at.item("rocketchat_configs", i);
            inherit(&mut config.http_config, &global.http_config);
            inherit(&mut config.api_url, &global.rocketchat_api_url);
            inherit(&mut config.api_url, &HttpUrl::fixed(ROCKETCHAT_URL));
            inherit(&mut config.token_id, &global.rocketchat_token_id);
            inherit(&mut config.token_id_file, &global.rocketchat_token_id_file);
            inherit(&mut config.token, &global.rocketchat_token);
            inherit(&mut config.token_file, &global.rocketchat_token_file);
            for (key, missing, what) in [
                ("token_id", config.token_id.is_zero() && config.token_id_file.is_empty(), "TokenID"),
                ("token", config.token.is_zero() && config.token_file.is_empty(), "Token"),
            ] {
                if missing {
                    let message = format!("no global Rocketchat {what} set either inline or in a file");
                    return Err(at
                        .fault(key, message)
                        .remedy(format!("add {key}, or rocketchat_{key} to global")));
                }
            }
        }
        Ok(())
    }
}

impl EmailConfig {
    fn complete(&mut self, global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
        inherit(&mut self.tls_config, &global.smtp_tls_config);
        inherit(&mut self.smarthost, &global.smtp_smarthost);
        if self.smarthost.is_empty() {
            let message = "no global SMTP smarthost set";
            return Err(at.fault("smarthost", message).remedy("add smarthost, or smtp_smarthost to global"));
        }
        inherit(&mut self.from, &global.smtp_from);
        if self.from.is_empty() {
            let message = "no global SMTP from set";
            return Err(at.fault("from", message).remedy("add from, or smtp_from to global"));
        }
        inherit(&mut self.hello, &global.smtp_hello);
        inherit(&mut self.auth_username, &global.smtp_auth_username);
        inherit_both(
            (&mut self.auth_password, &mut self.auth_password_file),
            (&global.smtp_auth_password, &global.smtp_auth_password_file),
        );
        inherit_both(
            (&mut self.auth_secret, &mut self.auth_secret_file),
            (&global.smtp_auth_secret, &global.smtp_auth_secret_file),
        );
        inherit(&mut self.auth_identity, &global.smtp_auth_identity);
        self.require_tls = self.require_tls.or(Some(global.smtp_require_tls));
        self.force_implicit_tls = self.force_implicit_tls.or(global.smtp_force_implicit_tls);
        Ok(())
    }
}

impl SlackConfig {
    fn complete(&mut self, global: &AlertGlobal, at: At<'_>) -> Result<(), Fault> {
        let no_url = self.api_url.is_zero() && self.api_url_file.is_empty();
        let no_token = |config: &Self| config.app_token.is_zero() && config.app_token_file.is_empty();
        let own_authorization = self.http_config.as_ref().is_some_and(|http| http.authorization.is_some());
        if no_url && no_token(self) && !own_authorization {
            self.app_token.clone_from(&global.slack_app_token);
            self.app_token_file.clone_from(&global.slack_app_token_file);
        }
        if no_url && no_token(self) {
            self.api_url.clone_from(&global.slack_api_url);
            self.api_url_file.clone_from(&global.slack_api_url_file);
            if self.api_url.is_zero() && self.api_url_file.is_empty() {
                let message = "no Slack API URL nor App token set either inline or in a file";
                return Err(at.fault("api_url", message).remedy("add api_url, or slack_api_url to global"));
            }
        }
        inherit(&mut self.http_config, &global.http_config);
        if no_token(self) {
            return Ok(());
        }
        let http = self.http_config.get_or_insert_with(HttpClientConfig::default);
        if http.authorization.is_some() {
            let message = "http authorization can't be set when using Slack App tokens";
            return Err(at.fault("http_config", message).remedy("remove the authorization, or the token"));
        }
        http.authorization = Some(Authorization {
            credentials: self.app_token.clone(),
            credentials_file: (&self.app_token_file).into(),
            ..Authorization::default()
        });
        inherit(&mut self.app_url, &global.slack_app_url);
        inherit(&mut self.app_url, &HttpUrl::fixed(SLACK_APP_URL));
        self.api_url = SecretUrl::of(&self.app_url);
        Ok(())
    }
}
