//! Remote read: other servers read samples, as one message or as a stream of encoded chunks.

mod series;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::metrics::{Gauge, Registry};
use base::{CancelFlag, Reservation};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use model::{Matcher, QueryContext, SourceError, TimeRange};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wire::decompress::{Compression, SizeLimit, decompress, snappy_len};
use wire::remote_read::{
    CHUNKS_CONTENT_TYPE, Query, ReadRequest, ResponseType, SAMPLES_CONTENT_TYPE, negotiate,
};

use self::series::Selected;
use super::admission::Admission;
use super::{CancelOnDrop, Shared, context};
use crate::error::{ApiError, ErrorType};

/// The largest request that is read, compressed or not.
const REQUEST_LIMIT: SizeLimit = SizeLimit { name: "remote read request", bytes: 32 << 20 };
/// Frames that wait for a slow client; the reader waits when there are more.
const FRAMES_WAITING: usize = 4;

/// Settings of remote read; names are those of the flags below `storage.remote.`.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// The most samples of one query that is answered with samples; 0 for no limit.
    pub read_sample_limit: usize,
    /// Requests that run at once, more wait; 0 for no limit.
    pub read_concurrent_limit: usize,
    /// Bytes a frame of a stream should not exceed.
    pub read_max_bytes_in_frame: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { read_sample_limit: 50_000_000, read_concurrent_limit: 10, read_max_bytes_in_frame: 1 << 20 }
    }
}

/// What all requests share.
#[derive(Debug)]
pub struct ReadService {
    options: ReadOptions,
    slots: Option<Arc<Semaphore>>,
    queries: Gauge,
}

impl ReadService {
    /// A service with these settings.
    pub fn new(options: ReadOptions, registry: &Registry) -> Self {
        let limit = options.read_concurrent_limit;
        let help = "The current number of remote read queries that are either in execution or queued on the handler.";
        Self {
            options,
            slots: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            queries: registry.gauge("prometheus_remote_read_handler_queries", help, &[]),
        }
    }

    async fn admit(&self) -> Result<Admitted, Failure> {
        let slot = match &self.slots {
            None => None,
            Some(slots) => {
                let slot = slots.clone().acquire_owned().await;
                Some(slot.map_err(|_| Failure::internal("remote read has ended"))?)
            }
        };
        self.queries.add(1.0);
        Ok(Admitted { queries: self.queries.clone(), _slot: slot })
    }
}

/// A request that is at work.
struct Admitted {
    queries: Gauge,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.queries.add(-1.0);
    }
}

/// Why a request fails; clients read it as plain text.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    fn bad_request(message: impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.to_string() }
    }

    fn internal(message: impl ToString) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.to_string() }
    }
}

impl From<ApiError> for Failure {
    fn from(ApiError { error_type, message }: ApiError) -> Self {
        Self { status: error_type.status(), message }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<base::budget::BudgetExceeded> for Failure {
    fn from(error: base::budget::BudgetExceeded) -> Self {
        Self { status: ErrorType::Execution.status(), message: error.to_string() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (self.status, headers, format!("{}\n", self.message)).into_response()
    }
}

/// `POST /read`
pub async fn read(State(state): State<Shared>, request: Request<Body>) -> Response {
    answer(state, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(state: Shared, request: Request<Body>) -> Result<Response, Failure> {
    let admitted = state.read.admit().await?;
    let (head, body) = request.into_parts();
    let ctx = read_context(&state, &head.headers);
    // It waits for its turn to begin; a stream that has begun cannot begin again with more.
    let memory_admission = Admission::wait(None, &state.query_budget, state.options.query_timeout).await?;
    let mut memory = ctx.budget.reserve(0)?;
    let compressed = read_body(body, &mut memory).await?;
    let guard = CancelOnDrop(ctx.cancel.clone());
    let (first, begun) = oneshot::channel();
    let (frames, receiver) = mpsc::channel(FRAMES_WAITING);
    tokio::task::spawn_blocking(move || {
        let _admitted = (admitted, memory_admission);
        let mut out = Output { first: Some(first), frames };
        if let Err(failure) = run(&state, compressed, memory, &ctx, &mut out) {
            out.fail(failure);
        }
    });
    match begun.await {
        Ok(First::Samples(body)) => {
            let headers =
                [(header::CONTENT_TYPE, SAMPLES_CONTENT_TYPE), (header::CONTENT_ENCODING, "snappy")];
            Ok((headers, body).into_response())
        }
        Ok(First::Stream) => {
            let body = Body::new(Frames { receiver, _guard: guard });
            Ok(([(header::CONTENT_TYPE, CHUNKS_CONTENT_TYPE)], body).into_response())
        }
        Ok(First::Failed(failure)) => Err(failure),
        Err(_) => Err(Failure::internal("remote read ended early")),
    }
}

/// A stream takes as long as its reader does; it ends when the client goes away.
fn read_context(state: &Shared, headers: &HeaderMap) -> QueryContext {
    let bounded = context(state, headers, None);
    let mut ctx = QueryContext::unbounded();
    (ctx.tenant, ctx.budget, ctx.cancel) = (bounded.tenant, bounded.budget, CancelFlag::new());
    ctx
}

async fn read_body(mut body: Body, memory: &mut Reservation) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Failure::bad_request)?.into_data() else { continue };
        if all.len() + data.len() > REQUEST_LIMIT.bytes {
            return Err(Failure::bad_request(REQUEST_LIMIT.exceeded()));
        }
        memory.grow(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// How an answer begins.
enum First {
    Samples(Vec<u8>),
    Stream,
    Failed(Failure),
}

/// Where an answer goes.
struct Output {
    first: Option<oneshot::Sender<First>>,
    frames: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

impl Output {
    fn begin(&mut self, first: First) {
        if let Some(begun) = self.first.take() {
            // A client that went away is told nothing.
            let _ = begun.send(first);
        }
    }

    /// Sends a frame; false when nobody reads any more.
    fn send(&mut self, frame: Vec<u8>) -> bool {
        self.begin(First::Stream);
        self.frames.blocking_send(Ok(frame.into())).is_ok()
    }

    /// What was sent already cannot be taken back: then the stream is cut off, which the client notices.
    fn fail(&mut self, failure: Failure) {
        if self.first.is_some() {
            return self.begin(First::Failed(failure));
        }
        tracing::warn!(error = failure.message, "remote read failed after the answer had begun");
        let _ = self.frames.blocking_send(Err(std::io::Error::other(failure.message)));
    }
}

/// Decodes a request and answers it, on a blocking thread.
fn run(
    state: &Shared,
    compressed: Vec<u8>,
    mut memory: Reservation,
    ctx: &QueryContext,
    out: &mut Output,
) -> Result<(), Failure> {
    let len = snappy_len(&compressed).map_err(Failure::bad_request)?;
    memory.grow(len.min(REQUEST_LIMIT.bytes))?;
    let mut body = Vec::new();
    decompress(Compression::SnappyBlock, &compressed, REQUEST_LIMIT, &mut body)
        .map_err(Failure::bad_request)?;
    drop(compressed);
    let request = ReadRequest::decode(&body, &mut memory).map_err(Failure::bad_request)?;
    let response = negotiate(&request.accepted).map_err(Failure::bad_request)?;
    let external = state.system.external_labels();
    let asked = request.queries.iter().map(|query| Asked::new(query, &external));
    let selected = Selected { state, external: &external, ctx };
    match response {
        ResponseType::Samples => {
            let asked = asked.collect::<Result<Vec<_>, _>>()?;
            let body = selected.samples(&asked)?;
            out.begin(First::Samples(body));
        }
        ResponseType::StreamedXorChunks => {
            for (number, asked) in asked.enumerate() {
                if !selected.stream(number, &asked?, &mut |frame| out.send(frame))? {
                    return Ok(());
                }
            }
            out.begin(First::Stream);
        }
    }
    Ok(())
}

/// One query, ready to be run.
struct Asked {
    range: TimeRange,
    matchers: Vec<Matcher>,
    /// Only the labels are wanted.
    only_labels: bool,
}

impl Asked {
    /// Stored series have no external labels: who asks for one of them asks for series without it.
    fn new(query: &Query<'_>, external: &[(String, String)]) -> Result<Self, Failure> {
        let matchers = query.matchers.iter().map(|raw| {
            let matcher = raw.compile().map_err(Failure::internal)?;
            let is_external = external.iter().any(|(name, value)| {
                matcher.op == model::MatchOp::Equal && matcher.name == *name && matcher.value == *value
            });
            Ok(if is_external { Matcher::equal(matcher.name, "") } else { matcher })
        });
        let matchers = matchers.collect::<Result<_, Failure>>()?;
        let whole = TimeRange::new(query.start_ms, query.end_ms);
        let range = match &query.hints {
            // A selector needs less than the query it stands in.
            Some(hints) if (hints.start_ms, hints.end_ms) != (0, 0) => {
                TimeRange::new(hints.start_ms, hints.end_ms)
            }
            _ => whole,
        };
        let only_labels = query.hints.as_ref().is_some_and(|hints| hints.function == "series");
        Ok(Self { range, matchers, only_labels })
    }
}

/// The frames of a stream as a body.
struct Frames {
    receiver: mpsc::Receiver<Result<Bytes, std::io::Error>>,
    _guard: CancelOnDrop,
}

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.receiver.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
