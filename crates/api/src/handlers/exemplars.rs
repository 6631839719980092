//! Exemplars of the series a query names.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Shared, blocking, context};
use crate::envelope::{Notes, success_written};
use crate::error::ApiError;
use crate::json;
use crate::params::Params;

/// `GET|POST /query_exemplars`
pub async fn query_exemplars(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let range = params.range()?;
    if range.is_empty() {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = super::parse(&state, &params).map_err(|e| ApiError::bad_data(e.to_string()))?;
    let selectors = expr.matcher_sets();
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ctx = context(&state, &headers, None);
    let source = state.source.clone();
    let found = blocking(&state, ctx, move |ctx| Ok(source.exemplars(range, &selectors, ctx)?));
    let (found, _held) = found.await?;
    Ok(success_written(&Notes::default(), |out| {
        json::array(out, &found, |out, (labels, exemplars)| {
            out.extend_from_slice(b"{\"seriesLabels\":");
            json::labels(out, labels);
            out.extend_from_slice(b",\"exemplars\":");
            json::array(out, exemplars, json::exemplar);
            out.push(b'}');
        });
    }))
}
