//! Targets listed by an HTTP server.

use std::time::Duration;

use base::clock::SharedClock;
use config::HttpSd;
use config::yaml::{Limits, parse_bytes};
use httpclient::{Client, HeaderName, HeaderValue, Request, StatusCode, header};

use crate::TargetGroup;
use crate::group::read_groups;
use crate::metrics::Metrics;
use crate::provider::{DiscoveryError, Refresh, Session, refresh_every};

/// The label that names the URL a target was listed at.
const URL_LABEL: &str = "__meta_url";
/// The largest document that is read.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Who is asking.
const USER_AGENT: &str = concat!("Bartizan/", env!("CARGO_PKG_VERSION"));
const REFRESH_INTERVAL_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Fetches the groups now and every refresh interval.
pub(crate) async fn run(
    settings: &HttpSd,
    session: &Session<'_>,
    clock: &SharedClock,
) -> Result<(), DiscoveryError> {
    let client =
        Client::new(&settings.http, clock.clone()).map_err(|error| DiscoveryError(error.to_string()))?;
    let interval = settings.refresh_interval.get();
    let provider = Fetcher { client, url: settings.url.as_str(), interval, metrics: session.metrics };
    refresh_every(interval, session, "http", clock, provider).await;
    Ok(())
}

struct Fetcher<'a> {
    client: Client,
    url: &'a str,
    interval: Duration,
    metrics: &'a Metrics,
}

impl Refresh for Fetcher<'_> {
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, DiscoveryError> {
        let fetched = fetch(&self.client, self.url, self.interval).await;
        fetched.inspect_err(|_| self.metrics.http_failures.inc())
    }
}

async fn fetch(client: &Client, url: &str, interval: Duration) -> Result<Vec<TargetGroup>, DiscoveryError> {
    let failed = |problem: String| DiscoveryError(problem);
    let seconds = interval.as_secs_f64().to_string();
    let seconds = HeaderValue::from_str(&seconds).map_err(|error| failed(error.to_string()))?;
    let request = Request::get(url, interval.max(Duration::from_secs(1)))
        .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .header(REFRESH_INTERVAL_HEADER, seconds);
    let mut response = client.send(request).await.map_err(|error| failed(error.to_string()))?;
    if response.status() != StatusCode::OK {
        return Err(failed(format!("server returned HTTP status {}", response.status_line())));
    }
    let content_type = response.header(header::CONTENT_TYPE).unwrap_or_default().trim().to_owned();
    if !is_json(&content_type) {
        return Err(failed(format!("unsupported content type {content_type:?}")));
    }
    let mut body = Vec::new();
    response.read_body(&mut body, MAX_BODY_BYTES).await.map_err(|error| failed(error.to_string()))?;
    // A large document takes its time, and others wait for this thread.
    let url = url.to_owned();
    let parsed = tokio::task::spawn_blocking(move || read(&body, &url)).await;
    parsed.map_err(|error| failed(error.to_string()))?
}

/// `application/json`, in UTF-8 if it says what it is in.
fn is_json(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let (media_type, parameter) = lower.split_once(';').unwrap_or((&lower, ""));
    media_type.trim_end() == "application/json"
        && matches!(parameter.trim(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}

fn read(body: &[u8], url: &str) -> Result<Vec<TargetGroup>, DiscoveryError> {
    let failed = |problem: String| DiscoveryError(format!("{url}: {problem}"));
    serde_json::from_slice::<serde_json::Value>(body).map_err(|error| failed(error.to_string()))?;
    let root = parse_bytes(body, Limits::default())
        .map_err(|fault| failed(format!("line {}: {}", fault.pos.line, fault.message)))?;
    read_groups(&root, url, &[(URL_LABEL, url)]).map_err(failed)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `response` and hands back what was asked.
    async fn serve_once(response: String) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/targets", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap();
            stream.write_all(response.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (url, task)
    }

    async fn fetch_from(
        status: &str,
        content_type: &str,
        body: &str,
    ) -> (Result<Vec<TargetGroup>, String>, String) {
        let length = body.len();
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let (url, task) = serve_once(response).await;
        let client = Client::new(&config::HttpClientConfig::default(), base::SystemClock::shared()).unwrap();
        let fetched = fetch(&client, &url, Duration::from_secs(60)).await.map_err(|error| error.to_string());
        (fetched, task.await.unwrap())
    }

    #[tokio::test]
    async fn groups_are_fetched_with_the_interval_in_a_header() {
        let body = r#"[{"targets": ["a:1"], "labels": {"env": "x"}}]"#;
        let (groups, asked) = fetch_from("200 OK", "application/json; charset=UTF-8", body).await;
        let labels = groups.unwrap()[0].target_labels().next().unwrap();
        assert_eq!(labels.get("env"), Some("x"));
        assert!(labels.get_or_empty("__meta_url").ends_with("/targets"));
        assert!(asked.to_lowercase().contains("x-prometheus-refresh-interval-seconds: 60\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn what_is_not_a_list_of_targets_is_refused() {
        let (status, _) = fetch_from("400 Bad Request", "application/json", "[]").await;
        assert_eq!(status.unwrap_err(), "server returned HTTP status 400 Bad Request");
        let (kind, _) = fetch_from("200 OK", "text/plain", "[]").await;
        assert_eq!(kind.unwrap_err(), "unsupported content type \"text/plain\"");
        let (body, _) = fetch_from("200 OK", "application/json", "{bad").await;
        assert!(body.is_err());
    }
}
