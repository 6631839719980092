//! The queries that run.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::envelope::success;
use crate::error::{ApiError, ErrorType};
use crate::handlers::Shared;

/// `GET /queries`: those that run or wait for their turn, and the slowest of the last hour.
///
/// `{"running": […], "slowest": […], "slots": 20, "freeSlots": 19, "memoryBytes": 1, "maxMemoryBytes": 2}`, each of
/// the lists as [`crate::queries::QueryView`].
pub async fn list(State(state): State<Shared>) -> Response {
    success(&json!({
        "running": state.queries.running(),
        "slowest": state.queries.slowest(),
        "slots": state.options.query_max_concurrency,
        "freeSlots": state.query_slots.available_permits(),
        "memoryBytes": state.query_budget.used_bytes(),
        "maxMemoryBytes": state.query_budget.limit_bytes(),
    }))
}

/// `DELETE /queries/{id}`: ends a query; whoever asked is told that it was canceled.
pub async fn cancel(State(state): State<Shared>, Path(id): Path<u64>) -> Result<Response, ApiError> {
    if !state.queries.cancel(id) {
        return Err(ApiError::new(ErrorType::NotFound, "there is no such query: it may have ended"));
    }
    tracing::info!(id, "a query was ended by an administrator");
    Ok(StatusCode::NO_CONTENT.into_response())
}
