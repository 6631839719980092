//! Asking a server over HTTP, from commands that do one thing and end.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use config::HttpClientConfig;
use httpclient::{Client, Request};

/// The largest answer that is read.
const MAX_BODY_BYTES: usize = 1 << 30;

/// Fetches `url` and returns the body, that of an error answer too: what it says is more use than its
/// status. An answer without a body is an error that names the status. `http_config` is a YAML file of HTTP
/// client options.
pub fn get(url: &url::Url, http_config: Option<&Path>, timeout: Duration) -> anyhow::Result<Vec<u8>> {
    let options = http_config.map_or_else(|| Ok(HttpClientConfig::default()), HttpClientConfig::load)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let client = Client::new(&options, base::SystemClock::shared())?;
        let mut response = client.send(Request::get(url.as_str(), timeout)).await?;
        let mut body = Vec::new();
        response.read_body(&mut body, MAX_BODY_BYTES).await?;
        anyhow::ensure!(!body.is_empty() || response.status().is_success(), "{}", response.status_line());
        Ok(body)
    })
}
