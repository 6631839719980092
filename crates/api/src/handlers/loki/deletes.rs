//! `delete`: requests that entries be gone.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use logql::ast::{LineFilter, LineOp, LogExpr, Stage};
use logql::engine::stream_matchers;
use model::logs::LogRange;
use model::{Matcher, TenantId};

use super::limits::DeletionMode;
use super::params::time;
use super::respond::Failure;
use super::{LogState, Logs, encode, json, run};
use crate::params::Params;

const SECOND_NS: i64 = 1_000_000_000;

/// Which entries are to be gone.
#[derive(Debug, Clone)]
pub struct LogDelete {
    /// All must match the labels of the stream. Never none.
    pub matchers: Vec<Matcher>,
    /// What each line must contain, or must not where that is false.
    pub lines: Vec<(String, bool)>,
    /// Times of the entries.
    pub range: LogRange,
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRequested {
    /// Its name.
    pub id: String,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: i64,
    /// First nanosecond.
    pub start_ns: i64,
    /// First nanosecond after.
    pub end_ns: i64,
    /// What it is about, in LogQL.
    pub query: String,
    /// Whether objects have no such entries any more.
    pub is_done: bool,
}

/// Why a request cannot be made or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteProblem {
    /// It is wrong.
    Invalid(String),
    /// There is none of that name.
    NotFound,
    /// The storage failed.
    Failed(String),
}

/// Deletes entries. Calls block.
pub trait LogDeletes: Send + Sync {
    /// Asks for entries to be gone; no query sees them any more when this answers.
    fn add(&self, tenant: &TenantId, request: &LogDelete) -> Result<String, DeleteProblem>;

    /// The requests of a tenant.
    fn all(&self, tenant: &TenantId) -> Result<Vec<DeleteRequested>, DeleteProblem>;

    /// Takes a request back.
    fn cancel(&self, tenant: &TenantId, id: &str) -> Result<(), DeleteProblem>;
}

impl From<DeleteProblem> for Failure {
    fn from(problem: DeleteProblem) -> Self {
        match problem {
            DeleteProblem::Invalid(text) => Self::bad(text),
            DeleteProblem::NotFound => Self::new(404, "could not find delete request with given id"),
            DeleteProblem::Failed(text) => {
                tracing::error!(error = text, "a request to delete log entries failed");
                Self::new(500, text)
            }
        }
    }
}

/// Who deletes, where the tenant may ask for it.
fn deleter<'s>(state: &'s LogState, tenant: &TenantId) -> Result<&'s dyn LogDeletes, Failure> {
    if state.limits_of(tenant).deletion == DeletionMode::Disabled {
        return Err(Failure::new(403, "deletion is not available for this tenant"));
    }
    let deletes = state.deletes.as_deref();
    deletes.ok_or_else(|| Failure::new(404, "deletion is not available: this storage of logs cannot delete"))
}

/// `POST /delete`, `PUT /delete`
pub(super) async fn add(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    run(&state, &headers, move |state, ctx| {
        let deletes = deleter(state, &ctx.tenant)?;
        let request = requested(&params, state.now_ns())?;
        let id = deletes.add(&ctx.tenant, &request)?;
        tracing::info!(tenant = %ctx.tenant.0, id, query = params.get("query"), "log entries are deleted by request");
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn requested(params: &Params, now_ns: i64) -> Result<LogDelete, Failure> {
    let text = params.get("query");
    if text.is_empty() {
        return Err(Failure::bad("query not set"));
    }
    if params.get("start").is_empty() {
        return Err(Failure::bad("start time not set"));
    }
    let at = |name: &str, default: i64| {
        time(params, name, default)
            .map_err(|_| Failure::bad(format!("invalid {name} time: require unix seconds or RFC3339 format")))
    };
    let (start_ns, end_ns) = (at("start", 0)?, at("end", now_ns)?);
    if end_ns > now_ns.saturating_add(SECOND_NS) {
        return Err(Failure::bad("deletes in the future are not allowed"));
    }
    if start_ns > end_ns {
        return Err(Failure::bad("start time can't be greater than end time"));
    }
    let query = logql::parse_log(text)?;
    let lines = conditions(&query)?;
    // The last second is meant as a whole.
    let end_ns = end_ns.saturating_add(if end_ns % SECOND_NS == 0 { SECOND_NS } else { 1 });
    Ok(LogDelete { matchers: stream_matchers(&query.matchers), lines, range: LogRange { start_ns, end_ns } })
}

/// What lines must contain: tombstones are asked of each line of each query, so that only what is quick is taken.
fn conditions(query: &LogExpr) -> Result<Vec<(String, bool)>, Failure> {
    let mut conditions = Vec::new();
    for stage in &query.stages {
        let filter = match stage {
            Stage::LineFilter(filter) if is_plain(filter) => filter,
            other => {
                return Err(Failure::bad(format!(
                    "delete requests take a selector of streams and the line filters |= and != with one text each; '{other}' cannot be used"
                )));
            }
        };
        let operand = filter.alternatives.first().map(|operand| operand.text.clone()).unwrap_or_default();
        conditions.push((operand, filter.op == LineOp::Contains));
    }
    Ok(conditions)
}

fn is_plain(filter: &LineFilter) -> bool {
    matches!(filter.op, LineOp::Contains | LineOp::NotContains)
        && matches!(&filter.alternatives[..], [operand] if !operand.is_ip)
}

/// `GET /delete`
pub(super) async fn list(State(state): State<Logs>, headers: HeaderMap) -> Result<Response, Failure> {
    let body = run(&state, &headers, |state, ctx| {
        let requests = deleter(state, &ctx.tenant)?.all(&ctx.tenant)?;
        let mut out = String::from("[");
        encode::list(&mut out, &requests, |out, request| {
            out.push_str("{\"request_id\":");
            encode::string(out, &request.id);
            let seconds = |ns: i64| ns.div_euclid(SECOND_NS);
            let _ = write!(
                out,
                ",\"start_time\":{},\"end_time\":{},\"query\":",
                seconds(request.start_ns),
                seconds(request.end_ns.saturating_sub(1))
            );
            encode::string(out, &request.query);
            let status = if request.is_done { "processed" } else { "received" };
            let created = request.created_ms.div_euclid(1000);
            let _ = write!(out, ",\"status\":\"{status}\",\"created_at\":{created}}}");
        });
        out.push(']');
        Ok(out)
    });
    Ok(json(body.await?))
}

/// `DELETE /delete`
pub(super) async fn cancel(
    State(state): State<Logs>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    run(&state, &headers, move |state, ctx| {
        let deletes = deleter(state, &ctx.tenant)?;
        let id = params.get("request_id");
        if id.is_empty() {
            return Err(Failure::bad("request_id not set"));
        }
        let known = deletes.all(&ctx.tenant)?.into_iter().find(|request| request.id == id);
        // What is gone from the objects does not come back.
        if known.is_some_and(|request| request.is_done) && params.get("force") != "true" {
            return Err(Failure::bad(
                "deletion of request which is in process or already processed is not allowed",
            ));
        }
        Ok(deletes.cancel(&ctx.tenant, id)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
