//! Amazon SNS: one form, signed with AWS signature version 4.

use base::clock::SharedClock;
use config::SigV4Config;
use config::alertmanager::receivers::duty::SnsConfig;
use httpclient::sigv4::{SigV4Error, Signer};
use httpclient::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value as Json;

use super::{Call, Render, SendError};

/// The service that requests are signed for.
const SERVICE: &str = "sns";

/// Fails when the settings ask for a way to sign that there is not.
pub(super) fn check(settings: &SigV4Config) -> Result<(), String> {
    match settings.role_arn.as_str() {
        "" => Ok(()),
        _ => {
            Err("sigv4.role_arn is not supported yet; give access_key and secret_key, or a profile"
                .to_owned())
        }
    }
}

/// The form of a notification.
fn form(config: &SnsConfig, render: &Render<'_>) -> Result<String, SendError> {
    const LARGEST_BYTES: usize = 256 * 1024;
    const LARGEST_SMS_BYTES: usize = 1600;
    let mut fields =
        vec![("Action".to_owned(), "Publish".to_owned()), ("Version".to_owned(), "2010-03-31".to_owned())];
    let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
    let mut largest = LARGEST_BYTES;
    if !config.topic_arn.is_empty() {
        let topic = render.text(&config.topic_arn)?;
        if topic.ends_with(".fifo") {
            add("MessageDeduplicationId", render.key_hash());
            add("MessageGroupId", render.key_hash());
        }
        add("TopicArn", topic);
    }
    if !config.phone_number.is_empty() {
        add("PhoneNumber", render.text(&config.phone_number)?);
        largest = LARGEST_SMS_BYTES;
    }
    if !config.target_arn.is_empty() {
        add("TargetArn", render.text(&config.target_arn)?);
    }
    let mut message = render.text(&config.message)?;
    let mut attributes = Vec::new();
    for (name, value) in &config.attributes {
        attributes.push((render.text(name)?, render.text(value)?));
    }
    if message.len() > largest {
        let end = (0..=largest).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
        message.truncate(end);
        attributes.push(("truncated".to_owned(), "true".to_owned()));
    }
    add("Message", message);
    if !config.subject.is_empty() {
        add("Subject", render.text(&config.subject)?);
    }
    for (i, (name, value)) in attributes.into_iter().enumerate() {
        let entry = format!("MessageAttributes.entry.{}", i + 1);
        add(&format!("{entry}.Name"), name);
        add(&format!("{entry}.Value.DataType"), "String".to_owned());
        add(&format!("{entry}.Value.StringValue"), value);
    }
    Ok(super::form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// The signed request of a notification.
pub(super) fn call(config: &SnsConfig, render: &Render<'_>, clock: &SharedClock) -> Result<Call, SendError> {
    let unsigned = |error: SigV4Error| SendError::fatal(format!("sns: {error}"));
    // Keys and region may be renewed by others: they are looked up for each notification.
    let signer = Signer::new(&config.sigv4, SERVICE, clock.clone()).map_err(unsigned)?;
    let given = render.text(&config.api_url)?;
    let url =
        if given.is_empty() { format!("https://sns.{}.amazonaws.com/", signer.region()) } else { given };
    let parsed = url::Url::parse(&url).map_err(|error| SendError::fatal(format!("api_url: {error}")))?;
    let body = form(config, render)?.into_bytes();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.extend(signer.sign(parsed.as_str(), &headers, &body).map_err(unsigned)?);
    let mut call = Call::json(parsed.as_str(), &Json::Null);
    call.body = body;
    // All of them were made of texts.
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| Some((name.clone(), value.to_str().ok()?.to_owned()));
    call.headers = headers.iter().filter_map(text).collect();
    Ok(call)
}
