//! One request and its answer.

use std::time::Duration;

use base::Reservation;
use base::clock::SharedClock;
use config::RemoteReadConfig;
use httpclient::{
    Client, ClientError, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header,
};
use model::{Matcher, QueryContext, QueryStop, TimeRange};
use wire::decompress::{Compression, SizeLimit, compress_snappy, decompress, snappy_len};
use wire::remote_read::{
    CHUNKS_CONTENT_TYPE, FrameReader, Query, RawMatcher, ReadRequest, ResponseType, SAMPLES_CONTENT_TYPE,
};

use super::metrics::ClientMetrics;
use super::{ReadEnv, ReadError};

pub(super) const STAGE: &str = "remote read";
/// How often a waiting request looks whether its query goes on.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// How much of a refusal is read.
const MESSAGE_BYTES: usize = 64 << 10;
/// The protocol has no limit of its own; the query's budget ends an answer much earlier.
const ANSWER_LIMIT: SizeLimit = SizeLimit { name: "remote read response", bytes: 4 << 30 };

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    /// The messages: one of samples, or those of a stream.
    pub messages: Vec<Box<[u8]>>,
    /// What is in them.
    pub kind: ResponseType,
    /// Their memory.
    pub memory: Reservation,
}

/// Asks one server.
pub(super) struct ReadClient {
    client: Client,
    url: String,
    shown_url: String,
    headers: HeaderMap,
    timeout: Duration,
    frame_limit_bytes: u64,
    clock: SharedClock,
    metrics: ClientMetrics,
}

impl std::fmt::Debug for ReadClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadClient").field("url", &self.shown_url).finish_non_exhaustive()
    }
}

impl ReadClient {
    pub fn new(section: &RemoteReadConfig, env: &ReadEnv) -> Result<Self, ClientError> {
        let shown_url = section.url.redacted();
        let name = match section.name.as_str() {
            "" => nameless(section),
            name => name.to_owned(),
        };
        Ok(Self {
            client: Client::new(&section.http, env.clock.clone())?,
            url: section.url.as_str().to_owned(),
            metrics: env.metrics.client(&name, &shown_url),
            shown_url,
            headers: headers(section)?,
            timeout: section.remote_timeout.get(),
            frame_limit_bytes: section.chunked_read_limit,
            clock: env.clock.clone(),
        })
    }

    /// Asks for the series that match in `range`; ends early when the query does.
    pub async fn read(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Answer, ReadError> {
        let _in_flight = self.metrics.begin();
        tokio::select! {
            biased;
            stop = stopped(ctx) => Err(stop.into()),
            answer = self.exchange(range, matchers, ctx) => answer,
        }
    }

    fn request(&self, range: TimeRange, matchers: &[Matcher]) -> Result<Request, ReadError> {
        let query = Query {
            start_ms: range.start_ms,
            end_ms: range.end_ms,
            matchers: matchers.iter().map(RawMatcher::of).collect(),
            hints: None,
        };
        let accepted = ResponseType::ACCEPTED.map(ResponseType::number).to_vec();
        let mut message = Vec::new();
        ReadRequest { queries: vec![query], accepted }.encode(&mut message);
        let body = compress_snappy(&message).map_err(|error| ReadError::Damaged(error.to_string()))?;
        Ok(Request::new(Method::POST, &self.url, self.timeout).headers(&self.headers).body(body))
    }

    async fn exchange(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Answer, ReadError> {
        let request = self.request(range, matchers)?;
        let began = self.clock.monotonic();
        let mut response = self.client.send(request).await.map_err(ReadError::Send)?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let waited = (self.clock.monotonic() - began).as_secs_f64();
        let code = response.status().as_str().to_owned();
        let content_type = response.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        if content_type.starts_with(SAMPLES_CONTENT_TYPE) {
            self.metrics.answered("sampled", &code, waited);
            return samples(&mut response, ctx).await;
        }
        if content_type.starts_with(CHUNKS_CONTENT_TYPE) {
            self.metrics.waited("chunked", waited);
            let answer = self.chunks(&mut response, ctx).await;
            self.metrics.counted("chunked", if answer.is_ok() { &code } else { "aborted_stream" });
            return answer;
        }
        self.metrics.answered("unsupported", &code, waited);
        Err(ReadError::ContentType(content_type))
    }

    async fn refusal(&self, mut response: Response) -> ReadError {
        let mut text = Vec::new();
        // What came of it tells more than that there was more.
        let _ = response.read_body(&mut text, MESSAGE_BYTES).await;
        ReadError::Status {
            url: self.shown_url.clone(),
            status: response.status_line(),
            message: String::from_utf8_lossy(&text).trim_matches('\n').to_owned(),
        }
    }

    async fn chunks(&self, response: &mut Response, ctx: &QueryContext) -> Result<Answer, ReadError> {
        let mut memory = ctx.budget.reserve(0)?;
        let mut messages: Vec<Box<[u8]>> = Vec::new();
        let mut frames = FrameReader::new(self.frame_limit_bytes);
        let mut buffered = ctx.budget.reserve(0)?;
        while let Some(piece) = response.chunk().await.map_err(ReadError::Receive)? {
            buffered.grow(piece.len())?;
            frames.push(&piece);
            while let Some(message) = frames.next()? {
                memory.grow(message.len() + 2 * size_of::<Box<[u8]>>())?;
                messages.push(message.into());
            }
            // Never grown by less than what the buffer grew.
            buffered.shrink_to(frames.buffered_bytes());
        }
        frames.finish()?;
        Ok(Answer { messages, kind: ResponseType::StreamedXorChunks, memory })
    }
}

/// Reads and unpacks an answer of one message.
async fn samples(response: &mut Response, ctx: &QueryContext) -> Result<Answer, ReadError> {
    let mut held = ctx.budget.reserve(0)?;
    let mut compressed = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(ReadError::Receive)? {
        // The buffer doubles as it grows.
        held.grow(2 * piece.len())?;
        compressed.extend_from_slice(&piece);
    }
    let damaged = |error: wire::decompress::DecompressError| ReadError::Damaged(error.to_string());
    let memory = ctx.budget.reserve(snappy_len(&compressed).map_err(damaged)?)?;
    let mut message = Vec::new();
    decompress(Compression::SnappyBlock, &compressed, ANSWER_LIMIT, &mut message).map_err(damaged)?;
    Ok(Answer { messages: vec![message.into_boxed_slice()], kind: ResponseType::Samples, memory })
}

/// Completes when the query may not go on.
async fn stopped(ctx: &QueryContext) -> QueryStop {
    let mut ticks = tokio::time::interval(CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(stop) = ctx.check(STAGE) {
            return stop;
        }
    }
}

fn headers(section: &RemoteReadConfig) -> Result<HeaderMap, ClientError> {
    let fixed = [
        (header::CONTENT_ENCODING, "snappy"),
        (header::ACCEPT_ENCODING, "snappy"),
        (header::CONTENT_TYPE, "application/x-protobuf"),
        (header::USER_AGENT, concat!("Bartizan/", env!("CARGO_PKG_VERSION"))),
        (HeaderName::from_static("x-prometheus-remote-read-version"), "0.1.0"),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in &section.headers {
        let name = HeaderName::try_from(name.as_str());
        let name = name.map_err(|error| ClientError::Request(format!("headers: {error}")))?;
        let value = HeaderValue::try_from(value.as_str());
        headers.insert(name, value.map_err(|error| ClientError::Request(format!("headers: {error}")))?);
    }
    Ok(headers)
}

/// The name of a section without one: the same for the same settings.
fn nameless(section: &RemoteReadConfig) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(format!("{section:?}").as_bytes());
    format!("{:06x}", hash >> 40)
}
