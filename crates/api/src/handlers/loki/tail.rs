//! `tail`: lines as they are stored, over a WebSocket.
//!
//! A follower first gets the newest lines there are, then everything that is stored from the moment on at which it began
//! to follow, whatever time it says of itself.

mod followers;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use logql::Direction;
use logql::ast::LogExpr;
use logql::engine::live::Live;
use logql::engine::{Entry, LineParams, Streams};
use logql::labels::LabelSet;
use model::TenantId;
use model::logs::LogRange;
use tokio::sync::mpsc;

pub use self::followers::Followers;
use self::followers::{Dropped, Following, News};
use super::params::{Bounds, integer, limit, time};
use super::query::categorizes;
use super::respond::Failure;
use super::watched::Watched;
use super::{Logs, encode};
use crate::handlers::CancelOnDrop;
use crate::params::Params;
use crate::screens::caller::Caller;
use crate::websocket::{NotAsked, Received, Sender, accept, read_all, split};

/// How often is looked whether something came.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a client may take to read a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest delay a client may ask for, in seconds.
const MAX_DELAY: i64 = 5;
/// Entries of one message.
const MAX_ENTRIES: usize = 1000;
const HOUR_NS: i64 = 3_600_000_000_000;
/// Status codes of WebSocket.
const GOING_AWAY: u16 = 1001;
const INTERNAL_ERROR: u16 = 1011;

/// What a follower wants.
struct Follow {
    query: LogExpr,
    tenant: TenantId,
    limit: usize,
    delay: Duration,
    start_ns: i64,
    categorize: bool,
    following: Following,
    text: String,
    asker: Option<Extension<Caller>>,
}

/// `GET /tail`
pub(super) async fn tail(State(state): State<Logs>, request: Request) -> Response {
    match begin(state, request) {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

fn begin(state: Logs, request: Request) -> Result<Response, Failure> {
    let params = Params::parse(request.uri().query().unwrap_or_default());
    let delay = integer(&params, "delay_for", 0)?;
    if delay > MAX_DELAY {
        return Err(Failure::bad(format!("delay_for can't be greater than {MAX_DELAY}")));
    }
    let tenant = state.tenant(request.headers())?;
    let query = logql::parse_log(params.get("query"))?;
    let categorize = categorizes(request.headers());
    let start_ns = time(&params, "start", state.now_ns().saturating_sub(HOUR_NS))?;
    let limits = state.limits_of(&tenant);
    let most = if limits.max_entries > 0 { limits.max_entries } else { usize::MAX };
    let limit = limit(&params, 100)?.min(most);
    let live = Live::new(&query, categorize)?;
    let max = limits.max_tails;
    let following = state.followers.follow(tenant.clone(), live, state.clock.clone(), max);
    let following = following.map_err(|count| {
        let text =
            format!("max concurrent tail requests limit exceeded, count > limit ({} > {max})", count + 1);
        Failure::new(429, text)
    })?;
    let delay = Duration::from_secs(delay.max(0).unsigned_abs());
    let text = params.get("query").to_owned();
    let asker = request.extensions().get::<Caller>().cloned().map(Extension);
    let follow = Follow { query, tenant, limit, delay, start_ns, categorize, following, text, asker };
    let (response, upgrade) = accept(request)
        .map_err(|NotAsked| Failure::bad("websocket: the client is not using the websocket protocol"))?;
    tokio::spawn(async move {
        if let Some(metrics) = &state.metrics {
            metrics.follows(state.followers.len());
        }
        if let Ok(connection) = upgrade.await {
            let (sender, receiver) = split(connection);
            let (heard, inbox) = mpsc::channel(4);
            let reader = tokio::spawn(read_all(receiver, heard));
            serve(&state, follow, sender, inbox).await;
            reader.abort();
        }
        if let Some(metrics) = &state.metrics {
            metrics.follows(state.followers.len());
        }
    });
    Ok(response)
}

/// Serves a follower until it leaves, or must.
async fn serve(state: &Logs, follow: Follow, mut sender: Sender, mut inbox: mpsc::Receiver<Received>) {
    let end = tokio::time::sleep(state.options.tail_max_duration);
    tokio::pin!(end);
    let mut seen = None;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut end => {
                let _ = sent(sender.close(GOING_AWAY, "reached tail max duration limit")).await;
                return;
            }
            received = inbox.recv() => match received {
                Some(Received::Ping(payload)) => {
                    if !sent(sender.pong(&payload)).await {
                        return;
                    }
                }
                Some(Received::Other) => {}
                Some(Received::Closed) | None => return,
            },
            _ = ticks.tick() => {
                let messages = tokio::select! {
                    messages = next(state, &follow, &mut seen) => messages,
                    () = left(&mut inbox) => return,
                };
                let messages = match messages {
                    Ok(messages) => messages,
                    Err(failure) => {
                        let _ = sent(sender.close(INTERNAL_ERROR, &failure.text)).await;
                        return;
                    }
                };
                for message in messages {
                    // A client that does not read is left: what waits for it would only grow.
                    if !sent(sender.text(&message)).await {
                        return;
                    }
                }
            }
        }
    }
}

/// Whether something was sent in time.
async fn sent(sending: impl Future<Output = std::io::Result<()>>) -> bool {
    matches!(tokio::time::timeout(SEND_TIMEOUT, sending).await, Ok(Ok(())))
}

/// Ends when the client leaves. A ping that comes meanwhile is not answered: the answer to the query shows as well that
/// somebody is there.
async fn left(inbox: &mut mpsc::Receiver<Received>) {
    while !matches!(inbox.recv().await, Some(Received::Closed) | None) {}
}

/// Lines that were sent as what there was when following began. They may come once more as what is new.
struct Seen {
    hashes: HashSet<u64>,
    hasher: RandomState,
    until: Duration,
}

impl Seen {
    fn hash(&self, labels: &LabelSet, entry: &Entry) -> u64 {
        self.hasher.hash_one((labels.as_bytes(), entry.timestamp_ns, &entry.line))
    }
}

/// What to send next: first what there is, then what came since.
async fn next(state: &Logs, follow: &Follow, seen: &mut Option<Seen>) -> Result<Vec<String>, Failure> {
    let Some(history) = seen.as_mut() else {
        let streams = history(state, follow).await?;
        let (hasher, until) = (RandomState::new(), state.clock.monotonic());
        let mut begun = Seen { hashes: HashSet::new(), hasher, until };
        for (labels, entry) in
            streams.iter().flat_map(|(labels, entries)| entries.iter().map(move |e| (labels, e)))
        {
            let hash = begun.hash(labels, entry);
            begun.hashes.insert(hash);
        }
        *seen = Some(begun);
        return Ok(if streams.is_empty() {
            Vec::new()
        } else {
            vec![message(&streams, &[], follow.categorize)]
        });
    };
    let until = state.clock.monotonic().saturating_sub(follow.delay);
    let News { waited, dropped } = follow.following.follower.take(until);
    if waited.is_empty() && dropped.is_empty() {
        return Ok(Vec::new());
    }
    let is_late = waited.iter().any(|waited| waited.came > history.until);
    let follower = Arc::clone(&follow.following.follower);
    let work = move || {
        let lines = waited
            .iter()
            .flat_map(|waited| follower.live.run(&waited.batch).into_iter().map(|l| (waited.came, l)));
        let mut lines: Vec<_> = lines.collect();
        lines.sort_by_key(|(_, (_, entry))| entry.timestamp_ns);
        lines
    };
    let done = tokio::task::spawn_blocking(work).await;
    let lines = done.map_err(|error| Failure::new(500, error.to_string()))?;
    let is_new = |(came, (labels, entry)): &(Duration, (LabelSet, Entry))| {
        *came > history.until || !history.hashes.contains(&history.hash(labels, entry))
    };
    let lines: Vec<(LabelSet, Entry)> = lines.into_iter().filter(is_new).map(|(_, line)| line).collect();
    if is_late {
        // From now on nothing can come twice.
        history.hashes = HashSet::new();
    }
    let mut dropped = &dropped[..];
    let mut messages = Vec::new();
    for lines in lines.chunks(MAX_ENTRIES) {
        messages.push(message(&grouped(lines), std::mem::take(&mut dropped), follow.categorize));
    }
    if !dropped.is_empty() {
        messages.push(message(&Streams::new(), dropped, follow.categorize));
    }
    Ok(messages)
}

/// The newest lines there are, the oldest of them first.
async fn history(state: &Logs, follow: &Follow) -> Result<Streams, Failure> {
    let end_ns = state.now_ns().saturating_add(1);
    let lines = LineParams {
        range: LogRange { start_ns: follow.start_ns.min(end_ns), end_ns },
        limit: follow.limit,
        direction: Direction::Backward,
        interval_ns: 0,
        categorize: follow.categorize,
    };
    let ctx = state.context(follow.tenant.clone());
    let _canceled = CancelOnDrop(ctx.cancel.clone());
    let bounds = Bounds { start_ns: lines.range.start_ns, end_ns };
    let running = Watched::between(&follow.text, bounds, follow.asker.clone()).begin(state, &ctx);
    let turn = state.turn(&ctx, Some(&running)).await?;
    let (query, state) = (follow.query.clone(), Arc::clone(state));
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let found = state.engine(&ctx).lines(&query, &lines);
        found.inspect_err(|error| running.failed(&error.to_string()))
    });
    let mut result = done.await.map_err(|error| Failure::new(500, error.to_string()))??;
    result.streams.iter_mut().for_each(|(_, entries)| entries.reverse());
    Ok(result.streams)
}

/// Lines by their labels, in the order in which these come first.
fn grouped(lines: &[(LabelSet, Entry)]) -> Streams {
    let mut places = std::collections::HashMap::new();
    let mut streams = Streams::new();
    for (labels, entry) in lines {
        let place = *places.entry(labels).or_insert_with(|| {
            streams.push((labels.clone(), Vec::new()));
            streams.len() - 1
        });
        streams[place].1.push(entry.clone());
    }
    streams
}

fn message(streams: &Streams, dropped: &[Dropped], categorize: bool) -> String {
    let mut out = String::from("{\"streams\":[");
    encode::list(&mut out, streams, |out, (labels, entries)| encode::stream_object(out, labels, entries));
    out.push(']');
    if !dropped.is_empty() {
        out.push_str(",\"dropped_entries\":[");
        encode::list(&mut out, dropped, |out, dropped| {
            out.push_str("{\"labels\":");
            encode::pairs(out, &dropped.stream);
            out.push_str(&format!(",\"timestamp\":\"{}\"}}", dropped.timestamp_ns));
        });
        out.push(']');
    }
    if categorize {
        out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    out.push('}');
    out
}
