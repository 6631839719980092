//! Amazon SNS: one form, signed with AWS signature version 4.

use base::clock::SharedClock;
use config::SigV4Config;
use config::alertmanager::receivers::duty::SnsConfig;
use gotmpl::time::Time;
use httpclient::{HeaderName, header};
use ring::{digest, hmac};
use serde_json::Value as Json;

use super::{Call, Render, SendError, hex};
use crate::alert::from_ms;

/// What requests are signed with.
struct Credentials {
    region: String,
    access_key: String,
    secret_key: String,
    session_token: String,
}

/// Fails when the settings ask for a way to sign that there is not.
pub(super) fn check(settings: &SigV4Config) -> Result<(), String> {
    for (name, value) in [("role_arn", &settings.role_arn), ("profile", &settings.profile)] {
        if !value.is_empty() {
            return Err(format!("sigv4.{name} is not supported yet; give access_key and secret_key"));
        }
    }
    Ok(())
}

impl Credentials {
    /// From the settings, or else the environment.
    fn of(settings: &SigV4Config) -> Result<Self, SendError> {
        let env = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        let or = |given: &str, names: &[&str]| if given.is_empty() { env(names) } else { given.to_owned() };
        let is_given = !settings.access_key.is_empty();
        let found = Self {
            region: or(&settings.region, &["AWS_REGION", "AWS_DEFAULT_REGION"]),
            access_key: or(&settings.access_key, &["AWS_ACCESS_KEY_ID"]),
            secret_key: or(settings.secret_key.expose(), &["AWS_SECRET_ACCESS_KEY"]),
            session_token: if is_given { String::new() } else { env(&["AWS_SESSION_TOKEN"]) },
        };
        if found.region.is_empty() {
            return Err(SendError::fatal("region not configured in sns.sigv4.region or in the environment"));
        }
        if found.access_key.is_empty() || found.secret_key.is_empty() {
            return Err(SendError::fatal("no credentials in sns.sigv4 or in the environment"));
        }
        Ok(found)
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The `Authorization` header of a form that is posted to the root of a host.
fn authorization(credentials: &Credentials, host: &str, path: &str, stamp: &str, body: &[u8]) -> String {
    let Credentials { region, access_key, secret_key, session_token } = credentials;
    let (token_line, token_name) = match session_token.as_str() {
        "" => (String::new(), ""),
        token => (format!("x-amz-security-token:{token}\n"), ";x-amz-security-token"),
    };
    let signed = format!("content-type;host;x-amz-date{token_name}");
    let payload = hex(digest::digest(&digest::SHA256, body).as_ref());
    let request = format!(
        "POST\n{path}\n\ncontent-type:application/x-www-form-urlencoded\nhost:{host}\nx-amz-date:{stamp}\n{token_line}\n{signed}\n{payload}"
    );
    let scope = format!("{}/{region}/sns/aws4_request", &stamp[..8]);
    let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hash}");
    let key = [region.as_str(), "sns", "aws4_request"]
        .iter()
        .fold(mac(format!("AWS4{secret_key}").as_bytes(), &stamp[..8]), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &to_sign));
    format!("AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}")
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
    let credentials = Credentials::of(&config.sigv4)?;
    let given = render.text(&config.api_url)?;
    let url =
        if given.is_empty() { format!("https://sns.{}.amazonaws.com/", credentials.region) } else { given };
    let parsed = url::Url::parse(&url).map_err(|error| SendError::fatal(format!("api_url: {error}")))?;
    let host = parsed.host_str().unwrap_or_default();
    let host = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let body = form(config, render)?.into_bytes();
    let stamp = Time::utc(from_ms(clock.now_ms())).format("20060102T150405Z");
    let authorization = authorization(&credentials, &host, parsed.path(), &stamp, &body);
    let mut call = Call::json(parsed.as_str(), &Json::Null);
    call.body = body;
    call.headers = vec![
        (header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()),
        (HeaderName::from_static("x-amz-date"), stamp),
        (header::AUTHORIZATION, authorization),
    ];
    if !credentials.session_token.is_empty() {
        call.headers.push((HeaderName::from_static("x-amz-security-token"), credentials.session_token));
    }
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signing_key_is_derived_as_documented() {
        // The example of the documentation of signature version 4.
        let key = ["us-east-1", "iam", "aws4_request"]
            .iter()
            .fold(mac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215"), |key, part| {
                mac(&key, part)
            });
        assert_eq!(hex(&key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }
}
