//! Services where people read messages.

use std::time::Duration;

use base::clock::SharedClock;
use config::alertmanager::receivers::chat::{
    DiscordConfig, MattermostConfig, MattermostField, MsTeamsConfig, MsTeamsV2Config, RocketchatConfig,
    TelegramConfig, WebexConfig, WechatConfig,
};
use httpclient::{Client, HeaderName, Method};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use super::{Call, Judge, Render, SendError, cut, form, given, object, secret, url_of};

/// The settings of one of the services.
#[derive(Debug, Clone)]
pub(super) enum Settings {
    Discord(DiscordConfig),
    Mattermost(MattermostConfig),
    MsTeams(MsTeamsConfig),
    MsTeamsV2(MsTeamsV2Config),
    Rocketchat(RocketchatConfig),
    Telegram(TelegramConfig),
    Webex(WebexConfig),
}

impl Settings {
    /// The request of a notification.
    pub fn call(&self, render: &Render<'_>) -> Result<Call, SendError> {
        match self {
            Self::Discord(config) => discord(config, render),
            Self::Mattermost(config) => mattermost(config, render),
            Self::MsTeams(config) => teams(config, render),
            Self::MsTeamsV2(config) => teams_v2(config, render),
            Self::Rocketchat(config) => rocketchat(config, render),
            Self::Telegram(config) => telegram(config, render),
            Self::Webex(config) => webex(config, render),
        }
    }
}

fn discord(config: &DiscordConfig, render: &Render<'_>) -> Result<Call, SendError> {
    const RED: u32 = 0x99_2d22;
    const GREEN: u32 = 0x2e_cc71;
    let color = if render.is_resolved() { GREEN } else { RED };
    let mut body = json!({
        "content": cut(render.text(&config.content)?, 2000),
        "embeds": [{
            "title": cut(render.text(&config.title)?, 256),
            "description": cut(render.text(&config.message)?, 4096),
            "color": color,
        }],
    });
    for (name, value) in [("username", &config.username), ("avatar_url", &config.avatar_url)] {
        if !value.is_empty() {
            body[name] = value.as_str().into();
        }
    }
    Ok(Call::json(url_of(config.webhook_url.expose(), &config.webhook_url_file)?, &body))
}

fn mattermost_fields(fields: &[MattermostField], render: &Render<'_>) -> Result<Json, SendError> {
    let field = |field: &MattermostField| {
        Ok(object([
            ("title", render.text(&field.title)?.into()),
            ("value", render.text(&field.value)?.into()),
            ("short", field.short.map_or(Json::Null, Json::from)),
        ]))
    };
    fields.iter().map(field).collect::<Result<Vec<_>, SendError>>().map(Json::from)
}

fn mattermost(config: &MattermostConfig, render: &Render<'_>) -> Result<Call, SendError> {
    let text = |text: &str| render.text(text).map(Json::from);
    let message = render.text(&config.text)?;
    macro_rules! attachment {
        ($of:expr, $text:expr) => {
            object([
                ("text", $text),
                ("fallback", text(&$of.fallback)?),
                ("color", text(&$of.color)?),
                ("pretext", text(&$of.pretext)?),
                ("author_name", text(&$of.author_name)?),
                ("author_link", text(&$of.author_link)?),
                ("author_icon", text(&$of.author_icon)?),
                ("title", text(&$of.title)?),
                ("title_link", text(&$of.title_link)?),
                ("fields", mattermost_fields(&$of.fields, render)?),
                ("thumb_url", text(&$of.thumb_url)?),
                ("footer", text(&$of.footer)?),
                ("footer_icon", text(&$of.footer_icon)?),
                ("image_url", text(&$of.image_url)?),
            ])
        };
    }
    let mut attachments = Vec::new();
    for own in &config.attachments {
        attachments.push(attachment!(own, text(&own.text)?));
    }
    // With attachments of one's own the text stands above them, otherwise in the one made here.
    let above = if attachments.is_empty() {
        attachments.push(attachment!(config, message.as_str().into()));
        String::new()
    } else {
        cut(message, 4000)
    };
    let card = config.props.as_ref().map_or("", |props| props.card.as_str());
    let channel = render.text(&config.channel)?;
    let body = object([
        ("text", above.into()),
        ("channel", channel.as_str().into()),
        ("username", text(&config.username)?),
        ("icon_url", text(&config.icon_url)?),
        ("icon_emoji", text(&config.icon_emoji)?),
        ("attachments", Json::Array(attachments)),
        ("type", text(&config.r#type)?),
        ("props", object([("card", text(card)?)])),
        ("priority", mattermost_priority(config, render)?),
    ]);
    let url = url_of(config.webhook_url.expose(), &config.webhook_url_file)?;
    if url.is_empty() {
        return Err(SendError::fatal("webhook url missing"));
    }
    let mut call = Call::json(url, &body);
    call.about = format!("channel {channel:?}");
    Ok(call)
}

/// The priority, made one that exists, with only those demands that it allows.
fn mattermost_priority(config: &MattermostConfig, render: &Render<'_>) -> Result<Json, SendError> {
    let Some(priority) = config.priority.as_ref().filter(|priority| !priority.priority.is_empty()) else {
        return Ok(Json::Null);
    };
    let name = render.text(&priority.priority)?.to_lowercase();
    let name = if matches!(name.as_str(), "urgent" | "important") { name } else { "standard".to_owned() };
    let yes = |holds: bool| if holds { Json::Bool(true) } else { Json::Null };
    Ok(object([
        ("requested_ack", yes(priority.requested_ack && name != "standard")),
        ("persistent_notifications", yes(priority.persistent_notifications && name == "urgent")),
        ("priority", name.into()),
    ]))
}

fn teams(config: &MsTeamsConfig, render: &Render<'_>) -> Result<Call, SendError> {
    let body = json!({
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": render.text(&config.title)?,
        "summary": render.text(&config.summary)?,
        "text": render.text(&config.text)?,
        "themeColor": if render.is_resolved() { "2DC72D" } else { "8C1A1A" },
    });
    Ok(Call::json(url_of(config.webhook_url.expose(), &config.webhook_url_file)?, &body))
}

fn teams_v2(config: &MsTeamsV2Config, render: &Render<'_>) -> Result<Call, SendError> {
    let color = if render.is_resolved() { "Good" } else { "Attention" };
    let title = json!({
        "type": "TextBlock", "text": render.text(&config.title)?, "weight": "Bolder", "size": "Medium", "wrap": true,
        "style": "heading", "color": color,
    });
    let text = json!({"type": "TextBlock", "text": render.text(&config.text)?, "wrap": true});
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.2",
        "body": [title, text], "msteams": {"width": "full"},
    });
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        }],
    });
    Ok(Call::json(url_of(config.webhook_url.expose(), &config.webhook_url_file)?, &body))
}

fn rocketchat(config: &RocketchatConfig, render: &Render<'_>) -> Result<Call, SendError> {
    let text = |text: &str| render.text(text).map(Json::from);
    let mut fields = Vec::new();
    for field in &config.fields {
        let short = field.short.unwrap_or(config.short_fields);
        fields.push(object([
            ("short", short.into()),
            ("title", text(&field.title)?),
            ("value", text(&field.value)?),
        ]));
    }
    let mut actions = Vec::new();
    for action in &config.actions {
        let texts = [("text", text(&action.text)?), ("url", text(&action.url)?), ("msg", text(&action.msg)?)];
        let mut action = object(texts);
        action["type"] = "button".into();
        action["is_webview"] = false.into();
        action["msg_in_chat_window"] = false.into();
        actions.push(action);
    }
    let attachment = object([
        ("title", cut(render.text(&config.title)?, 1024).into()),
        ("title_link", text(&config.title_link)?),
        ("text", text(&config.text)?),
        ("image_url", text(&config.image_url)?),
        ("thumb_url", text(&config.thumb_url)?),
        ("color", text(&config.color)?),
        ("fields", Json::Array(fields)),
        ("actions", Json::Array(actions)),
    ]);
    let channel = render.text(&config.channel)?;
    let body = object([
        ("channel", channel.as_str().into()),
        ("emoji", text(&config.emoji)?),
        ("avatar", text(&config.icon_url)?),
        ("attachments", json!([attachment])),
    ]);
    let url = format!("{}/api/v1/chat.postMessage", config.api_url.as_str().trim_end_matches('/'));
    let mut call = Call::json(url, &body).judged_by(Judge::Success);
    for (name, value, file) in [
        ("x-auth-token", given(&config.token), &config.token_file),
        ("x-user-id", given(&config.token_id), &config.token_id_file),
    ] {
        call.headers.push((HeaderName::from_static(name), secret(value, file)?));
    }
    call.about = format!("channel {channel:?}");
    Ok(call)
}

fn telegram(config: &TelegramConfig, render: &Render<'_>) -> Result<Call, SendError> {
    const LONGEST: usize = 4096;
    let text = if config.parse_mode == "HTML" {
        let text = render.html(&config.message)?;
        // Cut HTML would not be HTML any more.
        if text.chars().count() > LONGEST {
            "The notification is longer than Telegram allows; the template of its message has to be shortened.".to_owned()
        } else {
            text
        }
    } else {
        cut(render.text(&config.message)?, LONGEST)
    };
    // A file that is not there may come; so may the right chat.
    let again = |error: SendError| SendError { retry: true, ..error };
    let token = secret(given(&config.bot_token), &config.bot_token_file).map_err(again)?;
    let chat = match config.chat_id {
        0 => {
            let text = secret("", &config.chat_id_file).map_err(again)?;
            text.parse().map_err(|_| {
                SendError::passing(format!("could not parse chat_id from {}", config.chat_id_file))
            })?
        }
        id => id,
    };
    // All values are texts, as in a form.
    let yes = |holds: bool| if holds { "true" } else { "" };
    let thread = match config.message_thread_id {
        0 => String::new(),
        id => id.to_string(),
    };
    let body = object([
        ("chat_id", chat.to_string().into()),
        ("text", text.into()),
        ("parse_mode", config.parse_mode.as_str().into()),
        ("disable_notification", yes(config.disable_notifications).into()),
        ("disable_web_page_preview", yes(true).into()),
        ("message_thread_id", thread.into()),
    ]);
    let url = format!("{}/bot{token}/sendMessage", config.api_url.as_str().trim_end_matches('/'));
    let mut call = Call::json(url, &body).judged_by(Judge::Ok);
    call.retries_all = true;
    Ok(call)
}

fn webex(config: &WebexConfig, render: &Render<'_>) -> Result<Call, SendError> {
    const LONGEST_BYTES: usize = 7439;
    let mut text = render.text(&config.message)?;
    if text.len() > LONGEST_BYTES {
        let end = (0..=LONGEST_BYTES - 3).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('\u{2026}');
    }
    let body = object([("markdown", text.into()), ("roomId", render.text(&config.room_id)?.into())]);
    Ok(Call::json(config.api_url.as_str(), &body))
}

/// How long a token of WeChat is used. It holds for as long; how often one may ask for another is limited.
const TOKEN_LIFE: Duration = Duration::from_secs(2 * 3600);

/// What lets one send messages to WeChat.
#[derive(Debug, Clone)]
pub(super) struct Token {
    text: String,
    /// Until when it is used, on the monotonic clock.
    until: Duration,
}

/// A message to WeChat: a token for the secret, unless there is one, then the message.
#[derive(Debug)]
pub(super) struct WechatPlan {
    base: String,
    corporation: String,
    secret: String,
    body: Json,
}

impl WechatPlan {
    pub fn new(config: &WechatConfig, render: &Render<'_>) -> Result<Self, SendError> {
        let text = |text: &str| render.text(text).map(Json::from);
        let kind = if config.message_type == "markdown" { "markdown" } else { "text" };
        let body = object([
            (kind, json!({"content": render.text(&config.message)?})),
            ("touser", text(&config.to_user)?),
            ("toparty", text(&config.to_party)?),
            ("totag", text(&config.to_tag)?),
            ("agentid", text(&config.agent_id)?),
            ("safe", "0".into()),
            ("msgtype", kind.into()),
        ]);
        Ok(Self {
            base: config.api_url.as_str().to_owned(),
            corporation: render.text(&config.corp_id)?,
            secret: render.text(&secret(given(&config.api_secret), &config.api_secret_file)?)?,
            body,
        })
    }

    async fn fetch_token(&self, client: &Client, limit: Duration) -> Result<String, SendError> {
        let query = form([("corpid", self.corporation.as_str()), ("corpsecret", &self.secret)]);
        let mut fetch =
            Call::json(format!("{}gettoken?{query}", self.base), &Json::Null).judged_by(Judge::Wechat);
        (fetch.method, fetch.body) = (Method::GET, Vec::new());
        let answer = fetch.send(client, limit).await?;
        match answer["access_token"].as_str() {
            Some(token) if !token.is_empty() => Ok(token.to_owned()),
            _ => Err(SendError::fatal(format!("invalid APISecret for CorpID: {}", self.corporation))),
        }
    }

    pub async fn send(
        &self,
        client: &Client,
        limit: Duration,
        kept: &Mutex<Option<Token>>,
        clock: &SharedClock,
    ) -> Result<(), SendError> {
        let known = kept.lock().clone().filter(|token| clock.monotonic() < token.until);
        let token = match known {
            Some(token) => token.text,
            None => {
                let fetched = self.fetch_token(client, limit).await;
                let text = fetched.map_err(|error| error.perhaps_told(false))?;
                *kept.lock() = Some(Token { text: text.clone(), until: clock.monotonic() + TOKEN_LIFE });
                text
            }
        };
        let url = format!("{}message/send?{}", self.base, form([("access_token", token.as_str())]));
        let sent = Call::json(url, &self.body).judged_by(Judge::Wechat).send(client, limit).await;
        if sent.is_err() {
            // It may be the token that is not good any more; the next attempt fetches another.
            kept.lock().take_if(|kept| kept.text == token);
        }
        sent.map(|_| ())
    }
}
