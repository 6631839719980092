//! Asking a server over HTTP, from commands that do one thing and end.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use config::HttpClientConfig;
use httpclient::{Client, HeaderMap, Request, StatusCode};

/// The largest answer that is read.
const MAX_BODY_BYTES: usize = 1 << 30;

/// Fetches `url` and returns the body, that of an error answer too: what it says is more use than its
/// status. An answer without a body is an error that names the status. `http_config` is a YAML file of HTTP
/// client options.
pub fn get(url: &url::Url, http_config: Option<&Path>, timeout: Duration) -> anyhow::Result<Vec<u8>> {
    let (status, body) = fetch(url, http_config, &HeaderMap::new(), timeout)?;
    anyhow::ensure!(!body.is_empty() || status.is_success(), "{status}");
    Ok(body)
}

/// Fetches `url` with these headers; returns status and body, whatever the status.
pub fn fetch(
    url: &url::Url,
    http_config: Option<&Path>,
    headers: &HeaderMap,
    timeout: Duration,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let options = http_config.map_or_else(|| Ok(HttpClientConfig::default()), HttpClientConfig::load)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let client = Client::new(&options, base::SystemClock::shared())?;
        let mut response = client.send(Request::get(url.as_str(), timeout).headers(headers)).await?;
        let mut body = Vec::new();
        response.read_body(&mut body, MAX_BODY_BYTES).await?;
        Ok((response.status(), body))
    })
}
