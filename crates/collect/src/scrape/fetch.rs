//! Fetching the body of a scrape.

use std::sync::Arc;
use std::time::Duration;

use config::{EscapingScheme, ScrapeConfig, ScrapeProtocol};
use httpclient::{Client, ClientError, HeaderName, HeaderValue, Request, StatusCode, header};
use parking_lot::Mutex;
use wire::decompress::{Compression, DecompressError, SizeLimit, decompress};
use wire::{Escaping, MediaType};

/// What bounds a body where `body_size_limit` does not: no target may fill the memory.
const MAX_BODY_BYTES: usize = 1 << 30;

/// Why a scrape brought no body.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request failed.
    #[error(transparent)]
    Client(ClientError),
    /// The target answered with an error.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The body is larger than `body_size_limit`.
    #[error("body size limit exceeded")]
    BodySizeLimit,
    /// The body cannot be decompressed.
    #[error("{0}")]
    Damaged(String),
    /// The target's URL makes no request.
    #[error("{0}")]
    Request(String),
    /// The server is stopping.
    #[error("context canceled")]
    Canceled,
}

impl From<ClientError> for FetchError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::BodyTooLarge { .. } => Self::BodySizeLimit,
            other => Self::Client(other),
        }
    }
}

/// The parser format of a protocol.
pub(super) fn media_type(protocol: ScrapeProtocol) -> MediaType {
    wire_protocol(protocol).media_type()
}

fn wire_protocol(protocol: ScrapeProtocol) -> wire::ScrapeProtocol {
    match protocol {
        ScrapeProtocol::PrometheusProto => wire::ScrapeProtocol::PrometheusProto,
        ScrapeProtocol::OpenMetricsText1_0_0 => wire::ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1 => wire::ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::PrometheusText1_0_0 => wire::ScrapeProtocol::PrometheusText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4 => wire::ScrapeProtocol::PrometheusText0_0_4,
    }
}

fn wire_escaping(scheme: EscapingScheme) -> Escaping {
    match scheme {
        EscapingScheme::AllowUtf8 => Escaping::AllowUtf8,
        EscapingScheme::Underscores => Escaping::Underscores,
        EscapingScheme::Dots => Escaping::Dots,
        EscapingScheme::Values => Escaping::Values,
    }
}

/// Fetches the bodies of one target.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    client: Client,
    request: Request,
    max_bytes: usize,
}

/// A body and what the target says it is.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub body: Vec<u8>,
    pub content_type: String,
}

impl Fetcher {
    pub fn new(
        client: Client,
        config: &ScrapeConfig,
        url: &str,
        timeout: Duration,
    ) -> Result<Self, FetchError> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|e| FetchError::Request(e.to_string()));
        let protocols: Vec<_> = config.scrape_protocols.iter().copied().map(wire_protocol).collect();
        let accept = wire::accept_header(&protocols, wire_escaping(config.escaping()));
        let encoding = if config.enable_compression { "zstd, gzip" } else { "identity" };
        let seconds = model::number::format_float(timeout.as_secs_f64(), model::number::FloatFormat::Plain);
        let request = Request::get(url, timeout)
            .header(header::ACCEPT, value(&accept)?)
            .header(header::ACCEPT_ENCODING, value(encoding)?)
            .header(header::USER_AGENT, value(concat!("Bartizan/", env!("CARGO_PKG_VERSION")))?)
            .header(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), value(&seconds)?);
        // A body of exactly the limit exceeds it already.
        let max_bytes = match config.body_size_limit.bytes() {
            0 => MAX_BODY_BYTES,
            limit => usize::try_from(limit - 1).unwrap_or(usize::MAX).min(MAX_BODY_BYTES),
        };
        Ok(Self { client, request, max_bytes })
    }

    /// Fetches a body into a buffer of `buffers`, which the caller gives back.
    pub async fn fetch(&self, buffers: &Buffers, expected_bytes: usize) -> Result<Fetched, FetchError> {
        let mut response = self.client.send(self.request.clone()).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status_line()));
        }
        let content_type = response.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let encoding = response.header(header::CONTENT_ENCODING).unwrap_or_default().to_owned();
        let mut sent = buffers.take(expected_bytes);
        if let Err(error) = response.read_body(&mut sent, self.max_bytes).await {
            buffers.give_back(sent);
            return Err(error.into());
        }
        let Some(compression) = Compression::of_content_encoding(&encoding) else {
            return Ok(Fetched { body: sent, content_type });
        };
        let mut body = buffers.take(expected_bytes);
        let limit = SizeLimit { name: "body_size_limit", bytes: self.max_bytes };
        let result = decompress(compression, &sent, limit, &mut body);
        buffers.give_back(sent);
        match result {
            Ok(()) => Ok(Fetched { body, content_type }),
            Err(error) => {
                buffers.give_back(body);
                Err(match error {
                    DecompressError::LimitExceeded { .. } => FetchError::BodySizeLimit,
                    DecompressError::Damaged(reason) => FetchError::Damaged(reason),
                })
            }
        }
    }
}

/// Buffers for bodies, shared by all targets, so that memory follows the scrapes in flight and not the
/// number of targets.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Buffers that are kept for the next scrapes, and the largest that is.
const KEPT_BUFFERS: usize = 16;
const LARGEST_KEPT_BYTES: usize = 32 << 20;

impl Buffers {
    /// An empty buffer, if possible one that holds `expected_bytes` already.
    pub fn take(&self, expected_bytes: usize) -> Vec<u8> {
        let mut free = self.0.lock();
        let fitting = free.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= expected_bytes);
        match fitting.min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at) {
            Some(at) => free.swap_remove(at),
            None => free.pop().unwrap_or_default(),
        }
    }

    /// Gives a buffer back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.0.lock();
        if free.len() < KEPT_BUFFERS && buffer.capacity() <= LARGEST_KEPT_BYTES {
            free.push(buffer);
        }
    }
}
