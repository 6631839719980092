//! What each path answers; one file a subject.

pub mod admin;
mod admission;
pub mod exemplars;
pub mod expression;
pub mod federate;
pub mod log_rules;
pub mod loki;
pub mod notifications;
pub mod operations;
pub mod otlp;
pub mod query;
pub mod read;
pub mod rules;
pub mod search;
pub mod series;
pub mod status;
pub mod system;
pub mod targets;
pub mod write;

use std::sync::Arc;

use base::Reservation;
use model::QueryContext;
use promql::ast::Expr;
use promql::parser::ParseError;

use self::admission::{Admission, time_left};
use crate::error::ApiError;
use crate::params::Params;
use crate::state::ApiState;

/// The state as handlers get it.
pub type Shared = Arc<ApiState>;

/// The parameter `query` as this server's options of the language allow.
fn parse(state: &ApiState, params: &Params) -> Result<Expr, ParseError> {
    promql::parser::parse(params.get("query"), &state.engine.options().parse)
}

/// Raises the cancellation flag of a query when the future that waits for it is dropped, which is
/// what happens when the client hangs up.
struct CancelOnDrop(base::CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs `work` on a blocking thread with a query's context, canceled when the client goes away; once more when other
/// requests left it too little memory. What is returned beside the outcome stands for its memory: keep it as long.
async fn blocking<T: Send + 'static>(
    state: &Shared,
    ctx: QueryContext,
    work: impl Fn(&QueryContext) -> Result<T, ApiError> + Send + Sync + 'static,
) -> Result<(T, Reservation), ApiError> {
    let asked = state.clock.monotonic();
    let _canceled = CancelOnDrop(ctx.cancel.clone());
    let mut admission = Admission::wait(None, &state.query_budget, ctx.timeout()).await?;
    let work = Arc::new(work);
    loop {
        let budget = admission.budget();
        let (work, mut working) = (work.clone(), ctx.clone());
        working.budget = budget.clone();
        // It owns its admission: its memory is in use until it ends, also when nobody waits any more.
        let running = tokio::task::spawn_blocking(move || (work(&working), admission));
        let (outcome, admitted) =
            running.await.map_err(|error| ApiError::internal(format!("query failed: {error}")))?;
        match (outcome, admitted.more_bytes(&budget)) {
            (Err(_), Some(bytes)) => {
                admission = admitted.wait_for_own(bytes, time_left(&ctx, asked)).await?;
            }
            (outcome, _) => return Ok((outcome?, admitted.into_held(&budget))),
        }
    }
}

/// A context for a request that reads: the tenant, the time it may take and the memory.
fn context(
    state: &ApiState,
    headers: &axum::http::HeaderMap,
    timeout: Option<std::time::Duration>,
) -> QueryContext {
    let limit = state.options.query_timeout;
    let timeout = timeout.map_or(limit, |wanted| wanted.min(limit));
    let mut ctx = QueryContext::new(state.clock.clone(), timeout, state.query_budget.clone());
    if let Some(tenant) = headers.get("x-scope-orgid").and_then(|value| value.to_str().ok()) {
        ctx.tenant = model::TenantId(tenant.into());
    }
    ctx
}
