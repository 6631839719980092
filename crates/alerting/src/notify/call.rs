//! One request of a notification, and what its answer means.

use std::time::Duration;

use httpclient::{Client, ClientError, HeaderName, HeaderValue, Method, Request, header};
use serde_json::Value as Json;

use super::SendError;

/// The most that is read of an answer that was good, and of one that was not.
const MAX_ANSWER_BYTES: usize = 1 << 20;
const MAX_ERROR_BYTES: usize = 64 << 10;

/// How the body of an answer is judged that has a good status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    /// The status says it all.
    Status,
    /// Slack: `ok`, or JSON with `ok`.
    Slack,
    /// Rocket.Chat: JSON with `success`.
    Success,
    /// WeChat: JSON with an error code.
    Wechat,
    /// Telegram: JSON with `ok`.
    Ok,
}

/// One request of a notification.
#[derive(Debug)]
pub(super) struct Call {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Vec<u8>,
    /// Statuses besides 5xx after which another attempt is worth it.
    pub retry_on: &'static [u16],
    /// Whether another attempt is worth it whatever the answer is.
    pub retries_all: bool,
    pub judge: Judge,
    /// A limit of its own for the request.
    pub timeout: Option<Duration>,
    /// What goes before messages about it.
    pub about: String,
    /// What an answer with a status and a body that is no success says.
    pub details: fn(u16, &[u8]) -> String,
}

/// The whole of an answer.
fn whole(_: u16, body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().to_owned()
}

impl Call {
    pub fn json(url: impl Into<String>, body: &Json) -> Self {
        Self {
            method: Method::POST,
            url: url.into(),
            headers: vec![(header::CONTENT_TYPE, "application/json".to_owned())],
            body: crate::template::go_json(body).into_bytes(),
            retry_on: &[],
            retries_all: false,
            judge: Judge::Status,
            timeout: None,
            about: String::new(),
            details: whole,
        }
    }

    pub fn explained_by(mut self, details: fn(u16, &[u8]) -> String) -> Self {
        self.details = details;
        self
    }

    pub fn retry_on(mut self, statuses: &'static [u16]) -> Self {
        self.retry_on = statuses;
        self
    }

    pub fn judged_by(mut self, judge: Judge) -> Self {
        self.judge = judge;
        self
    }

    /// Sends the request within `limit`; the answer's body when it was accepted.
    pub async fn send(self, client: &Client, limit: Duration) -> Result<Json, SendError> {
        let limit = self.timeout.map_or(limit, |own| own.min(limit));
        let mut request = Request::new(self.method, self.url, limit).body(self.body);
        let agent = HeaderValue::from_static(concat!("Bartizan/", env!("CARGO_PKG_VERSION")));
        request = request.header(header::USER_AGENT, agent);
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).map_err(|error| SendError::fatal(error.to_string()))?;
            request = request.header(name, value);
        }
        let mut response = client.send(request).await.map_err(|error| unsent(&error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let is_accepted = (200..300).contains(&status);
        let most = if is_accepted { MAX_ANSWER_BYTES } else { MAX_ERROR_BYTES };
        match response.read_body(&mut body, most).await {
            Ok(()) | Err(ClientError::BodyTooLarge { .. }) => {}
            // Where the status decides, what is wrong with the rest must not have it told again.
            Err(_) if is_accepted && matches!(self.judge, Judge::Status) => {}
            Err(error) => return Err(unsent(&error)),
        }
        let about = if self.about.is_empty() { String::new() } else { format!("{}: ", self.about) };
        if !is_accepted {
            let details = (self.details)(status, &body);
            let details = if details.is_empty() { details } else { format!(": {details}") };
            return Err(SendError {
                message: format!("{about}unexpected status code {status}{details}"),
                retry: status / 100 == 5 || self.retries_all || self.retry_on.contains(&status),
                reason: reason_of(status),
                // A proxy says so when it lost whoever it asked.
                perhaps_told: matches!(status, 502 | 504),
            });
        }
        let is_json =
            response.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
        judge(self.judge, &body, is_json).map_err(|error| SendError {
            message: format!("{about}{}", error.message),
            retry: error.retry || self.retries_all,
            ..error
        })
    }
}

/// A request that got no answer. The URL, which may be a secret, is not repeated.
fn unsent(error: &ClientError) -> SendError {
    let message = match error {
        ClientError::Exchange { method, cause, .. } => format!("{method} \"<redacted>\": {cause}"),
        ClientError::Timeout { method, .. } => format!("{method} \"<redacted>\": context deadline exceeded"),
        other => other.to_string(),
    };
    let reason = if error.is_timeout() { "contextDeadlineExceeded" } else { "other" };
    SendError { message, retry: true, reason, perhaps_told: error.may_have_arrived() }
}

fn reason_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "authError",
        429 => "rateLimited",
        400..500 => "clientError",
        500..600 => "serverError",
        _ => "other",
    }
}

fn judge(judge: Judge, body: &[u8], is_json: bool) -> Result<Json, SendError> {
    let text = || String::from_utf8_lossy(body).into_owned();
    let parsed: Option<Json> = serde_json::from_slice(body).ok();
    let refusal = |message: String, retry| {
        Err(SendError { message, retry, reason: "clientError", perhaps_told: false })
    };
    let refused = |message: String| refusal(message, false);
    let field = |name: &str| parsed.as_ref().map_or(&Json::Null, |json| &json[name]);
    match judge {
        Judge::Status => {}
        Judge::Slack if !is_json && body == b"ok" => {}
        Judge::Slack if !is_json => {
            return refused(format!("received an error response from Slack: {}", text()));
        }
        Judge::Slack | Judge::Success | Judge::Wechat | Judge::Ok if parsed.is_none() => {
            let message = format!("could not unmarshal JSON response {:?}", text());
            return Err(SendError::passing(message).perhaps_told(true));
        }
        Judge::Slack if field("ok") != true => {
            return refused(format!(
                "error response from Slack: {}",
                field("error").as_str().unwrap_or_default()
            ));
        }
        Judge::Success if field("success") != true => {
            return refused(format!(
                "error response from Rocketchat: {}",
                field("error").as_str().unwrap_or_default()
            ));
        }
        Judge::Ok if field("ok") != true => {
            return refused(format!("error response: {}", field("description").as_str().unwrap_or_default()));
        }
        Judge::Wechat if field("errcode") != 0 => {
            let message = field("errmsg").as_str().unwrap_or_default().to_owned();
            // The token has expired; it is dropped and the next attempt fetches another.
            let retry = field("errcode") == 42001;
            return refusal(message, retry);
        }
        Judge::Slack | Judge::Success | Judge::Wechat | Judge::Ok => {}
    }
    Ok(parsed.unwrap_or(Json::Null))
}
