//! One request to a destination, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::RemoteWriteConfig;
use httpclient::sigv4::Signer;
use httpclient::{
    Client, ClientError, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header,
};
use wire::remote_write::{EXEMPLARS_WRITTEN, HISTOGRAMS_WRITTEN, MessageType, SAMPLES_WRITTEN};

/// What the receiver says it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Float samples.
    pub samples: usize,
    /// Histogram samples.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A success; what was written if the answer tells.
    Accepted(Option<Written>),
    /// It may succeed later, after this time if the receiver says so.
    Later {
        /// Why.
        error: String,
        /// The answer's `Retry-After`.
        after: Option<Duration>,
    },
    /// It never will; what was written all the same, if the answer tells.
    Refused {
        /// Why.
        error: String,
        /// What the receiver wrote.
        written: Option<Written>,
    },
}

/// The client of one destination.
#[derive(Debug)]
pub struct WriteClient {
    http: Client,
    url: String,
    headers: HeaderMap,
    timeout: Duration,
    retry_on_429: bool,
    signer: Option<Arc<Signer>>,
}

const USER_AGENT: &str = concat!("Bartizan/", env!("CARGO_PKG_VERSION"));
/// The service that requests are signed for where nothing else is said.
const AMAZON_PROMETHEUS: &str = "aps";
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const RETRY_ATTEMPT: HeaderName = HeaderName::from_static("retry-attempt");
/// Bytes of an error's body that are kept for the log.
const ERROR_BYTES: usize = 1024;
/// A receiver cannot ask for more patience than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

impl WriteClient {
    /// A client for `config`.
    pub fn new(
        config: &RemoteWriteConfig,
        message: MessageType,
        clock: base::clock::SharedClock,
    ) -> Result<Self, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(message.content_type()));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(VERSION, HeaderValue::from_static(message.version()));
        for (name, value) in &config.headers {
            let invalid = || ClientError::Request(format!("{name:?} is not a valid header"));
            let name = HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
            headers.insert(name, HeaderValue::try_from(value.as_str()).map_err(|_| invalid())?);
        }
        let signer = match &config.sigv4 {
            Some(settings) => Some(Arc::new(
                Signer::new(settings, AMAZON_PROMETHEUS, clock.clone())
                    .map_err(|error| ClientError::Request(error.to_string()))?,
            )),
            None => None,
        };
        let http = match config.round_robin_dns {
            true => Client::round_robin(&config.http, clock)?,
            false => Client::new(&config.http, clock)?,
        };
        Ok(Self {
            http,
            url: config.url.as_str().to_owned(),
            headers,
            timeout: Duration::from_millis(config.remote_timeout.as_ms().max(0) as u64),
            retry_on_429: config.queue_config.retry_on_http_429,
            signer,
        })
    }

    /// Sends `body` for the `attempt`th time, counted from 0.
    pub async fn store(&self, body: Bytes, attempt: u32, now_ms: i64) -> Outcome {
        let mut request = Request::new(Method::POST, self.url.as_str(), self.timeout).headers(&self.headers);
        if attempt > 0 {
            request = request.header(RETRY_ATTEMPT, HeaderValue::from(attempt));
        }
        if let Some(signer) = &self.signer {
            match signer.sign(&self.url, &self.headers, &body) {
                Ok(signed) => request = request.headers(&signed),
                Err(error) => return Outcome::Later { error: error.to_string(), after: None },
            }
        }
        match self.http.send(request.body(body)).await {
            Ok(response) => self.judge(response, now_ms).await,
            // Nothing is known about what the receiver did: the request is repeated.
            Err(error) => Outcome::Later { error: error.to_string(), after: None },
        }
    }

    async fn judge(&self, mut response: Response, now_ms: i64) -> Outcome {
        let written = written(response.headers());
        let status = response.status();
        let mut body = Vec::new();
        // The connection can be used again only when the body was read; what is in it matters for errors alone.
        let _ = response.read_body(&mut body, 64 << 10).await;
        if status.is_success() {
            return Outcome::Accepted(written);
        }
        body.truncate(ERROR_BYTES);
        let text = String::from_utf8_lossy(&body);
        let error = format!("server returned HTTP status {}: {}", response.status_line(), text.trim_end());
        if status.is_server_error() || (status.as_u16() == 429 && self.retry_on_429) {
            let after = response.header(header::RETRY_AFTER).and_then(|text| retry_after(text, now_ms));
            return Outcome::Later { error, after };
        }
        Outcome::Refused { error, written }
    }
}

/// The written-count headers, if there are any.
fn written(headers: &HeaderMap) -> Option<Written> {
    let count = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<usize>().ok();
    let counts = (count(SAMPLES_WRITTEN), count(HISTOGRAMS_WRITTEN), count(EXEMPLARS_WRITTEN));
    if counts == (None, None, None) {
        return None;
    }
    Some(Written {
        samples: counts.0.unwrap_or(0),
        histograms: counts.1.unwrap_or(0),
        exemplars: counts.2.unwrap_or(0),
    })
}

/// The time a `Retry-After` header asks for: seconds, or a date. `None` when it is in the past or makes no sense.
pub fn retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    let text = text.trim();
    let wait_ms = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            u64::try_from(date.timestamp().as_millisecond().saturating_sub(now_ms)).ok()?
        }
    };
    let wait = Duration::from_millis(wait_ms).min(LONGEST_RETRY_AFTER);
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 21 Oct 2015 07:28:00 GMT.
        let at_ms = 1_445_412_480_000;
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after("120", 0), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(date, at_ms - 5_000), Some(Duration::from_secs(5)));
        assert_eq!(retry_after(date, at_ms + 1), None);
        assert_eq!(retry_after("0", 0), None);
        assert_eq!(retry_after("-3", 0), None);
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("99999999999", 0), Some(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn written_counts_are_known_when_any_header_is_there() {
        let mut headers = HeaderMap::new();
        assert_eq!(written(&headers), None);
        headers.insert(SAMPLES_WRITTEN, HeaderValue::from(7));
        assert_eq!(written(&headers), Some(Written { samples: 7, histograms: 0, exemplars: 0 }));
    }
}
