//! Fetching the body of a scrape.

use std::sync::Arc;
use std::time::Duration;

use config::{EscapingScheme, ScrapeConfig, ScrapeProtocol};
use httpclient::{Client, ClientError, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::decompress::{Compression, DecompressError, SizeLimit, decompress};
use wire::{Escaping, MediaType};

/// What bounds a body where no `body_size_limit` does: no target may fill the memory.
const MAX_BODY_BYTES: usize = 256 << 20;
/// Larger bodies wait for each other, so that many targets together do not fill the memory either.
const LARGE_BODY_BYTES: usize = 32 << 20;
/// How many of these may be in memory at once.
const LARGE_BODIES: usize = 4;
/// Bodies up to this size are decompressed on the reactor.
const SMALL_BODY_BYTES: usize = 1 << 20;

/// Why a scrape brought no body.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The target answered with an error.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The body is larger than `body_size_limit`.
    #[error("body size limit exceeded")]
    BodySizeLimit,
    /// The body is larger than any may be for which no limit is configured.
    #[error("body size limit exceeded: set body_size_limit to take more than {MAX_BODY_BYTES} bytes")]
    BuiltInLimit,
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
    /// Whether `max_bytes` was configured.
    is_configured: bool,
}

/// A body and what the target says it is.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub body: Vec<u8>,
    pub content_type: String,
    /// Held, and never looked at, as long as a large body is in memory.
    _large: Option<OwnedSemaphorePermit>,
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
            limit => usize::try_from(limit - 1).unwrap_or(usize::MAX),
        };
        Ok(Self { client, request, max_bytes, is_configured: config.body_size_limit.bytes() > 0 })
    }

    /// Fetches a body into a buffer of `buffers`, which the caller gives back.
    pub async fn fetch(&self, buffers: &Buffers, expected_bytes: usize) -> Result<Fetched, FetchError> {
        let mut response = self.client.send(self.request.clone()).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status_line()));
        }
        let content_type = response.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let encoding = response.header(header::CONTENT_ENCODING).unwrap_or_default().to_owned();
        let mut large = None;
        let mut body = buffers.take(expected_bytes);
        if let Err(error) = self.read(&mut response, buffers, &mut body, &mut large).await {
            buffers.give_back(body);
            return Err(error);
        }
        if let Some(compression) = Compression::of_content_encoding(&encoding) {
            body = self.decompress(compression, body, buffers, expected_bytes, &mut large).await?;
        }
        Ok(Fetched { body, content_type, _large: large })
    }

    fn too_large(&self) -> FetchError {
        if self.is_configured { FetchError::BodySizeLimit } else { FetchError::BuiltInLimit }
    }

    /// Reads the body as it was sent.
    async fn read(
        &self,
        response: &mut Response,
        buffers: &Buffers,
        out: &mut Vec<u8>,
        large: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<(), FetchError> {
        while let Some(chunk) = response.chunk().await? {
            let len = out.len() + chunk.len();
            if len > self.max_bytes {
                return Err(self.too_large());
            }
            if len > LARGE_BODY_BYTES && large.is_none() {
                *large = buffers.large_body().await;
            }
            if len > out.capacity() {
                // A large body is moved once and not with every growth, for which it would have to be in
                // memory twice. Memory that is reserved and not written to is not taken.
                let rest = self.max_bytes.min(MAX_BODY_BYTES).saturating_sub(out.len());
                let step = if large.is_some() && rest > 0 { rest } else { out.len() / 2 };
                out.reserve_exact(step.max(chunk.len()));
            }
            out.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// Decompresses a body: a small one at once, anything else off the reactor.
    async fn decompress(
        &self,
        compression: Compression,
        sent: Vec<u8>,
        buffers: &Buffers,
        expected_bytes: usize,
        large: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Vec<u8>, FetchError> {
        let limit = |bytes: usize| SizeLimit { name: "body_size_limit", bytes: bytes.min(self.max_bytes) };
        let mut body = buffers.take(expected_bytes);
        let small = limit(SMALL_BODY_BYTES);
        let mut result = match expected_bytes <= small.bytes {
            true => decompress(compression, &sent, small, &mut body),
            false => Err(small.exceeded()),
        };
        let (sent, mut tried) = (Arc::new(sent), small.bytes);
        for tier in [limit(LARGE_BODY_BYTES), limit(usize::MAX)] {
            // What looks damaged may need a larger window than so small a body may have.
            if result.is_ok() || tried == self.max_bytes {
                break;
            }
            tried = tier.bytes;
            if tier.bytes > LARGE_BODY_BYTES && large.is_none() {
                *large = buffers.large_body().await;
            }
            let (input, mut out) = (sent.clone(), std::mem::take(&mut body));
            if large.is_some() {
                // As above: one byte more tells that a body is too large.
                out = Vec::with_capacity(tier.bytes.min(MAX_BODY_BYTES) + 1);
            }
            let work = move || (decompress(compression, &input, tier, &mut out), out);
            let done = tokio::task::spawn_blocking(work).await;
            (result, body) = done.map_err(|error| FetchError::Damaged(error.to_string()))?;
        }
        if let Some(sent) = Arc::into_inner(sent) {
            buffers.give_back(sent);
        }
        match result {
            Ok(()) => Ok(body),
            Err(error) => {
                buffers.give_back(body);
                Err(match error {
                    DecompressError::LimitExceeded { .. } => self.too_large(),
                    DecompressError::Damaged(reason) => FetchError::Damaged(reason),
                    DecompressError::Memory(exceeded) => FetchError::Damaged(exceeded.to_string()),
                })
            }
        }
    }
}

/// Buffers for bodies, shared by all targets, so that memory follows the scrapes in flight and not the
/// number of targets.
#[derive(Debug, Clone)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    large_bodies: Arc<Semaphore>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { free: Arc::default(), large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)) }
    }
}

/// Buffers that are kept for the next scrapes, and their size together.
const KEPT_BUFFERS: usize = 16;
const KEPT_BYTES: usize = 64 << 20;

impl Buffers {
    /// An empty buffer, if possible one that holds `expected_bytes` already.
    pub fn take(&self, expected_bytes: usize) -> Vec<u8> {
        let mut free = self.free.lock();
        let fitting = free.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= expected_bytes);
        match fitting.min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at) {
            Some(at) => free.swap_remove(at),
            None => free.pop().unwrap_or_default(),
        }
    }

    /// Waits until there may be one more large body. Those that are there go when they are stored or
    /// their scrape times out.
    async fn large_body(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.large_bodies.clone().acquire_owned().await.ok()
    }

    /// Gives a buffer back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.free.lock();
        let kept: usize = free.iter().map(Vec::capacity).sum();
        if free.len() < KEPT_BUFFERS && kept + buffer.capacity() <= KEPT_BYTES {
            free.push(buffer);
        }
    }
}
