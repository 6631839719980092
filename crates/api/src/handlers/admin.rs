//! Administration of the storage engine.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Shared;
use super::status::spawn;
use crate::envelope::success;
use crate::error::{ApiError, ErrorType};
use crate::params::Params;

fn require_enabled(state: &Shared) -> Result<(), ApiError> {
    if state.options.enable_admin_api {
        return Ok(());
    }
    Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled"))
}

/// `POST|PUT /admin/tsdb/delete_series`
pub async fn delete_series(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    require_enabled(&state)?;
    params.well_formed()?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = params.range()?;
    let mut sets = Vec::new();
    for text in params.all("match[]") {
        let matchers = crate::params::selector(text);
        let matchers = matchers.map_err(|error| ApiError::invalid_parameter("match[]", error))?;
        // `{}` names no series; it must not be taken for all of them.
        if !matchers.is_empty() {
            sets.push(matchers);
        }
    }
    spawn(move || sets.iter().try_for_each(|matchers| state.storage.delete(range, matchers))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST|PUT /admin/tsdb/clean_tombstones`
pub async fn clean_tombstones(State(state): State<Shared>) -> Result<Response, ApiError> {
    require_enabled(&state)?;
    spawn(move || state.storage.clean_tombstones()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST|PUT /admin/tsdb/snapshot`
pub async fn snapshot(State(state): State<Shared>, params: Params) -> Result<Response, ApiError> {
    require_enabled(&state)?;
    let skip_head = match params.boolean("skip_head") {
        None => false,
        Some(Ok(skip)) => skip,
        Some(Err(())) => {
            let text = params.get("skip_head");
            let problem =
                format!("unable to parse boolean: strconv.ParseBool: parsing {text:?}: invalid syntax");
            return Err(ApiError::invalid_parameter("skip_head", problem));
        }
    };
    let name = spawn(move || state.storage.snapshot(skip_head)).await?;
    Ok(success(&json!({ "name": name })))
}
