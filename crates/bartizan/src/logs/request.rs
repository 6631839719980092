//! Asking a server of logs: the range of time, the address, and failures in its own words.

use std::time::Duration;

use anyhow::{Context, bail};
use base::Clock;
use httpclient::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::Common;

/// How long a question may take.
const TIMEOUT: Duration = Duration::from_secs(300);
const TENANT_HEADER: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Names and values of a request.
pub(super) type Parameters = Vec<(&'static str, String)>;

/// The beginning and the end, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub start_ns: i64,
    pub end_ns: i64,
}

impl Range {
    pub fn parameters(self) -> Parameters {
        vec![("start", self.start_ns.to_string()), ("end", self.end_ns.to_string())]
    }
}

impl Common {
    /// The range that is asked for.
    pub(super) fn range(&self) -> anyhow::Result<Range> {
        self.range_at(base::SystemClock::new().now_ms().saturating_mul(1_000_000))
    }

    fn range_at(&self, now_ns: i64) -> anyhow::Result<Range> {
        let end_ns =
            self.to.as_deref().map_or(Ok(now_ns), |to| moment(to, now_ns)).context("reading --to")?;
        let start_ns = match &self.from {
            Some(from) => moment(from, now_ns).context("reading --from")?,
            None => end_ns.saturating_sub(duration_ns(&self.since).context("reading --since")?),
        };
        anyhow::ensure!(start_ns < end_ns, "the range is empty: it begins at its end, or after it");
        Ok(Range { start_ns, end_ns })
    }

    /// The address of a path of the API with parameters.
    pub(super) fn address(&self, path: &[&str], parameters: &Parameters) -> anyhow::Result<url::Url> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} cannot be a server's address", self.server))?
            .pop_if_empty()
            .extend(["loki", "api", "v1"])
            .extend(path);
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }

    /// What every request carries.
    pub(super) fn headers(&self) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(tenant) = &self.tenant {
            let value = HeaderValue::from_str(tenant).context("reading --tenant")?;
            headers.insert(TENANT_HEADER, value);
        }
        Ok(headers)
    }

    /// Asks, and reads the answer.
    pub(super) fn ask(&self, path: &[&str], parameters: &Parameters) -> anyhow::Result<Value> {
        let url = self.address(path, parameters)?;
        let (status, body) =
            crate::client::fetch(&url, self.http_config.as_deref(), &self.headers()?, TIMEOUT)
                .with_context(|| format!("asking {}", self.server))?;
        if !status.is_success() {
            bail!("{}", refusal(&self.server, status, &body));
        }
        let answer: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{} did not answer as a server of logs does", self.server))?;
        for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            eprintln!("warning: {warning}");
        }
        Ok(answer)
    }
}

/// What the server said, or what its status means.
pub(super) fn refusal(server: &url::Url, status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let is_page = text.is_empty() || text.starts_with('<');
    match status.as_u16() {
        404 if is_page || text.contains("page not found") => {
            format!("{server} answers, but not to questions about logs (404): is --server right?")
        }
        401 => format!("{server} wants to know who asks (401): see --http-config and --tenant"),
        _ if is_page => format!("{server} answered {status}"),
        _ => text.to_owned(),
    }
}

fn duration_ns(text: &str) -> anyhow::Result<i64> {
    let ms = model::duration::parse_duration_ms(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(ms.saturating_mul(1_000_000))
}

/// RFC 3339, seconds since the epoch, nanoseconds since the epoch, or a duration before now.
fn moment(text: &str, now_ns: i64) -> anyhow::Result<i64> {
    if text == "now" {
        return Ok(now_ns);
    }
    // What is too large for seconds of this millennium are nanoseconds.
    if let Ok(number) = text.parse::<f64>() {
        let is_ns = number.abs() > 1e14;
        return match text.parse::<i64>() {
            Ok(ns) if is_ns => Ok(ns),
            _ => Ok((number * 1e9) as i64),
        };
    }
    if let Ok(back_ns) = duration_ns(text) {
        return Ok(now_ns.saturating_sub(back_ns));
    }
    let time: jiff::Timestamp = text.parse().with_context(|| {
        format!("{text:?} is neither RFC 3339, nor seconds since the Unix epoch, nor a duration")
    })?;
    i64::try_from(time.as_nanosecond()).context("the time is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_several_forms() {
        const NOW_NS: i64 = 1_800_000_000_000_000_000;
        for (text, expected) in [
            ("now", NOW_NS),
            ("1h", NOW_NS - 3_600_000_000_000),
            ("1700000000", 1_700_000_000_000_000_000),
            ("1700000000.5", 1_700_000_000_500_000_000),
            ("1700000000000000001", 1_700_000_000_000_000_001),
            ("1970-01-01T00:00:01.5Z", 1_500_000_000),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            assert_eq!(moment(text, NOW_NS).unwrap(), expected, "{text}");
        }
        assert!(moment("yesterday", NOW_NS).is_err());
    }

    #[test]
    fn refusals_are_told_in_words_that_help() {
        let server: url::Url = "http://h:1".parse().unwrap();
        let told = |status: u16, body: &str| {
            refusal(&server, StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert_eq!(told(400, "parse error : x\n"), "parse error : x");
        assert!(told(404, "404 page not found").contains("--server"));
        assert!(told(401, "no org id").contains("--tenant"));
        assert_eq!(told(502, "<html>"), "http://h:1/ answered 502 Bad Gateway");
    }
}
