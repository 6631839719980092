//! What each path answers; one file a subject.

pub mod admin;
pub mod exemplars;
pub mod expression;
pub mod federate;
pub mod notifications;
pub mod otlp;
pub mod query;
pub mod read;
pub mod search;
pub mod series;
pub mod status;
pub mod system;
pub mod targets;
pub mod write;

use std::sync::Arc;

use model::QueryContext;

use promql::ast::Expr;
use promql::parser::ParseError;

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

/// Runs `work` on a blocking thread with a query's context, canceled when the client goes away.
async fn blocking<T: Send + 'static>(
    ctx: QueryContext,
    work: impl FnOnce(&QueryContext) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let guard = CancelOnDrop(ctx.cancel.clone());
    let outcome = tokio::task::spawn_blocking(move || work(&ctx)).await;
    drop(guard);
    outcome.map_err(|error| ApiError::internal(format!("query failed: {error}")))?
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
