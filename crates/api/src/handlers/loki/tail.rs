//! `tail`: new lines as they come, over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use logql::ast::LogExpr;
use logql::engine::LineParams;
use logql::{Direction, LogResult};
use model::TenantId;
use model::logs::LogRange;

use super::params::{integer, limit, time};
use super::query::categorizes;
use super::respond::Failure;
use super::websocket::{Received, Receiver, Sender, accept, split};
use super::{Logs, encode};
use crate::params::Params;

/// How often new lines are looked for.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How long one follower may stay.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// The longest delay a client may ask for, in seconds.
const MAX_DELAY: i64 = 5;
const HOUR_NS: i64 = 3_600_000_000_000;
/// Status codes of WebSocket.
const GOING_AWAY: u16 = 1001;
const INTERNAL_ERROR: u16 = 1011;

/// What a follower wants.
struct Follow {
    query: LogExpr,
    tenant: TenantId,
    limit: usize,
    delay_ns: i64,
    next_ns: i64,
    categorize: bool,
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
    let now_ns = state.now_ns();
    let follow = Follow {
        query: logql::parse_log(params.get("query"))?,
        tenant: state.tenant(request.headers())?,
        limit: limit(&params, 100)?,
        delay_ns: delay.max(0).saturating_mul(1_000_000_000),
        next_ns: time(&params, "start", now_ns.saturating_sub(HOUR_NS))?,
        categorize: categorizes(request.headers()),
    };
    let permit = Arc::clone(&state.tails).try_acquire_owned();
    let permit = permit.map_err(|_| Failure::new(429, "max concurrent tail requests limit exceeded"))?;
    let (response, upgrade) = accept(request)?;
    tokio::spawn(async move {
        let _permit = permit;
        if let Ok(connection) = upgrade.await {
            let (sender, receiver) = split(connection);
            follow_lines(state, follow, sender, receiver).await;
        }
    });
    Ok(response)
}

async fn follow_lines(state: Logs, mut follow: Follow, mut sender: Sender, mut receiver: Receiver) {
    let end = tokio::time::sleep(MAX_DURATION);
    tokio::pin!(end);
    let mut ticks = tokio::time::interval(POLL_EVERY);
    loop {
        tokio::select! {
            () = &mut end => {
                let _ = sender.close(GOING_AWAY, "reached tail max duration limit").await;
                return;
            }
            received = receiver.next() => match received {
                Received::Ping(payload) => {
                    if sender.pong(&payload).await.is_err() {
                        return;
                    }
                }
                Received::Other => {}
                Received::Closed => return,
            },
            _ = ticks.tick() => {
                let result = match look(&state, &mut follow).await {
                    Ok(result) => result,
                    Err(failure) => {
                        let _ = sender.close(INTERNAL_ERROR, &failure.text).await;
                        return;
                    }
                };
                // A client that does not read is left: what it does not take is not kept for it.
                if result.entries > 0 && sender.text(&message(&result, follow.categorize)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The lines since the last look.
async fn look(state: &Logs, follow: &mut Follow) -> Result<LogResult, Failure> {
    let end_ns = state.now_ns().saturating_sub(follow.delay_ns).saturating_add(1);
    let lines = LineParams {
        range: LogRange { start_ns: follow.next_ns, end_ns: end_ns.max(follow.next_ns) },
        limit: follow.limit,
        direction: Direction::Forward,
        interval_ns: 0,
        categorize: follow.categorize,
    };
    let (query, ctx, state) = (follow.query.clone(), state.context(follow.tenant.clone()), Arc::clone(state));
    let done = tokio::task::spawn_blocking(move || state.engine(&ctx).lines(&query, &lines));
    let result = done.await.map_err(|error| Failure::new(500, error.to_string()))??;
    let newest =
        result.streams.iter().flat_map(|(_, entries)| entries.iter().map(|entry| entry.timestamp_ns)).max();
    if let Some(newest) = newest {
        follow.next_ns = newest.saturating_add(1);
    }
    Ok(result)
}

fn message(result: &LogResult, categorize: bool) -> String {
    let mut out = String::from("{\"streams\":[");
    encode::list(&mut out, &result.streams, |out, (labels, entries)| {
        encode::stream_object(out, labels, entries)
    });
    out.push(']');
    if categorize {
        out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    out.push('}');
    out
}
