//! The HTTP client every outgoing connection goes through: Prometheus's HTTP client options on hyper
//! and rustls.
//!
//! It must not know what is fetched. In reading order: [`client`] (requests, redirects, capped bodies),
//! `auth` (the `Authorization` header and OAuth 2.0 tokens), `files` (secrets and certificates read
//! anew when they change), `tls`, `proxy` (which proxy a URL needs), `connect` (TCP, proxies, TLS),
//! [`sigv4`] (signatures AWS asks for), [`error`].
//!
//! ```no_run
//! # async fn example() -> Result<(), httpclient::ClientError> {
//! use std::time::Duration;
//!
//! let client = httpclient::Client::new(&config::HttpClientConfig::default(), base::SystemClock::shared())?;
//! let request = httpclient::Request::get("http://localhost:9090/metrics", Duration::from_secs(10));
//! let mut response = client.send(request).await?;
//! let mut body = Vec::new();
//! response.read_body(&mut body, 10 << 20).await?;
//! # Ok(())
//! # }
//! ```

mod auth;
pub mod client;
mod connect;
pub mod error;
mod files;
mod proxy;
pub mod sigv4;
mod tls;

pub use client::{Client, Request, Response};
pub use error::ClientError;
/// The TLS of a connection that is not HTTP, from the same options; files are read now.
pub fn tls_config(config: &config::TlsConfig) -> Result<std::sync::Arc<rustls::ClientConfig>, ClientError> {
    tls::build(config, &[]).map(|built| built.rustls)
}

pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
