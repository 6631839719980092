//! Federation: the last sample of every matching series, as an exposition.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Labels, Matcher, Projection, QueryContext, SampleColumns, SelectRequest, TimeRange};
use wire::encode::{Encoder, FederatedSample, FederatedValue};

use super::{Shared, blocking, context};
use crate::error::{ApiError, plain};
use crate::params::{Params, selector};

/// Errors here are plain text, as scrapers expect.
pub async fn federate(State(state): State<Shared>, headers: HeaderMap, params: Params) -> Response {
    let sets: Result<Vec<_>, _> = params.all("match[]").map(selector).collect();
    let sets = match sets {
        Ok(sets) => sets,
        Err(problem) => return plain(StatusCode::BAD_REQUEST, problem),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let negotiated = wire::negotiate::negotiate(accept, false);
    let ctx = context(&state, &headers, None);
    let external_labels = state.system.external_labels();
    let found = blocking(ctx, move |ctx| {
        let samples = last_samples(&state, &sets, ctx)?;
        let encoder = Encoder::new(negotiated);
        let mut body = Vec::new();
        encoder.federation(&samples, &external_labels, &mut body);
        encoder.finish(&mut body);
        Ok(body)
    });
    match found.await {
        Ok(body) => ([(header::CONTENT_TYPE, negotiated.content_type())], body).into_response(),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// The last sample within the lookback of each series that matches any of `sets`; the encoder leaves out what is
/// stale, which expositions cannot express.
fn last_samples(
    state: &Shared,
    sets: &[Vec<Matcher>],
    ctx: &QueryContext,
) -> Result<Vec<FederatedSample>, ApiError> {
    let now_ms = state.clock.now_ms();
    let lookback_ms = i64::try_from(state.options.lookback_delta.as_millis()).unwrap_or(i64::MAX);
    let range = TimeRange::new(now_ms.saturating_sub(lookback_ms), now_ms);
    let mut found: BTreeMap<Labels, FederatedSample> = BTreeMap::new();
    let mut columns = SampleColumns::default();
    // `{}` names no series.
    for matchers in sets.iter().filter(|matchers| !matchers.is_empty()) {
        let matchers = matchers.clone();
        let request = SelectRequest { range, matchers, projection: Projection::All, sorted: false, limit: 0 };
        let set = state.local.select(&request, ctx)?;
        for i in 0..set.len() {
            columns.clear();
            set.read_last(i, range, &mut columns, ctx)?;
            let Some(last) = columns.len().checked_sub(1) else { continue };
            let value = match columns.histogram(last) {
                Some(histogram) => FederatedValue::Histogram(histogram.clone()),
                None => FederatedValue::Float(columns.values[last]),
            };
            let labels = set.labels(i);
            let sample =
                FederatedSample { labels: labels.clone(), timestamp_ms: columns.timestamps_ms[last], value };
            found.insert(labels, sample);
        }
        ctx.check("federation").map_err(model::SourceError::from)?;
    }
    Ok(found.into_values().collect())
}
