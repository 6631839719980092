//! Slack, and what takes its incoming webhooks.

use config::alertmanager::receivers::chat::SlackConfig;
use serde_json::{Value as Json, json};

use super::{Call, Judge, Render, SendError, cut, object, url_of};
use crate::nflog::{Note, Notes};

/// Slack cuts titles itself, without saying so.
const LONGEST_TITLE: usize = 1024;

/// The attachment all settings go to.
fn attachment(config: &SlackConfig, render: &Render<'_>) -> Result<Json, SendError> {
    let text = |text: &str| render.text(text).map(Json::from);
    let mut fields = Vec::new();
    for field in &config.fields {
        let short = field.short.unwrap_or(config.short_fields);
        fields.push(object([
            ("title", text(&field.title)?),
            ("value", text(&field.value)?),
            ("short", short.into()),
        ]));
    }
    let mut actions = Vec::new();
    for action in &config.actions {
        let confirm = match &action.confirm {
            None => Json::Null,
            Some(confirm) => object([
                ("text", text(&confirm.text)?),
                ("title", text(&confirm.title)?),
                ("ok_text", text(&confirm.ok_text)?),
                ("dismiss_text", text(&confirm.dismiss_text)?),
            ]),
        };
        actions.push(object([
            ("type", text(&action.r#type)?),
            ("text", text(&action.text)?),
            ("url", text(&action.url)?),
            ("style", text(&action.style)?),
            ("name", text(&action.name)?),
            ("value", text(&action.value)?),
            ("confirm", confirm),
        ]));
    }
    let markup = if config.mrkdwn_in.is_empty() {
        json!(["fallback", "pretext", "text"])
    } else {
        json!(config.mrkdwn_in)
    };
    let mut attachment = object([
        ("title", cut(render.text(&config.title)?, LONGEST_TITLE).into()),
        ("title_link", text(&config.title_link)?),
        ("pretext", text(&config.pretext)?),
        ("fields", Json::Array(fields)),
        ("actions", Json::Array(actions)),
        ("image_url", text(&config.image_url)?),
        ("thumb_url", text(&config.thumb_url)?),
        ("color", text(&config.color)?),
        ("mrkdwn_in", markup),
    ]);
    // These are there even when empty.
    for (name, value) in [
        ("text", &config.text),
        ("fallback", &config.fallback),
        ("callback_id", &config.callback_id),
        ("footer", &config.footer),
    ] {
        attachment[name] = text(value)?;
    }
    Ok(attachment)
}

/// The request of a notification; `notes` say which message the group has already.
pub(super) fn call(config: &SlackConfig, render: &Render<'_>, notes: &Notes) -> Result<Call, SendError> {
    let mut url = url_of(config.api_url.expose(), &config.api_url_file)?;
    let mut channel = render.text(&config.channel)?;
    let mut timestamp = Json::Null;
    if config.update_message
        && let (Some(Note::Text(thread)), Some(Note::Text(id))) =
            (notes.get("threadTs"), notes.get("channelId"))
    {
        // The group has a message already: it is changed in place.
        "https://slack.com/api/chat.update".clone_into(&mut url);
        timestamp = thread.as_str().into();
        channel.clone_from(id);
    }
    let text = |text: &str| render.text(text).map(Json::from);
    let link_names = if config.link_names { Json::Bool(true) } else { Json::Null };
    let mut body = object([
        ("channel", channel.as_str().into()),
        ("ts", timestamp),
        ("username", text(&config.username)?),
        ("icon_emoji", text(&config.icon_emoji)?),
        ("icon_url", text(&config.icon_url)?),
        ("link_names", link_names),
        ("text", text(&config.message_text)?),
    ]);
    body["attachments"] = json!([attachment(config, render)?]);
    let mut call = Call::json(url, &body).judged_by(Judge::Slack);
    call.about = format!("channel {channel:?}");
    call.timeout = Some(config.timeout.get()).filter(|timeout| !timeout.is_zero());
    Ok(call)
}

/// Keeps which message the answer is about.
pub(super) fn keep_message(answer: &Json, notes: &mut Notes) {
    if let (Some(thread), Some(id)) = (answer["ts"].as_str(), answer["channel"].as_str()) {
        notes.insert("threadTs".to_owned(), Note::Text(thread.to_owned()));
        notes.insert("channelId".to_owned(), Note::Text(id.to_owned()));
    }
}
