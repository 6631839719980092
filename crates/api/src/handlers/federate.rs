//! Federation: the last sample of every matching series, as an exposition.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::Reservation;
use model::{
    Labels, Matcher, Projection, QueryContext, SampleColumns, SelectRequest, SourceError, TimeRange,
};
use promql::engine::QueryError;
use wire::encode::{Encoder, FederatedSample, FederatedValue};

use super::series::labels_bytes;
use super::{Shared, blocking, context};
use crate::envelope::held_body;
use crate::error::{ApiError, plain};
use crate::params::{Params, selector};

/// Series between two looks at whether the request may go on.
const STEP: usize = 1024;

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
    let shared = state.clone();
    let found = blocking(&state, ctx, move |ctx| {
        let (samples, mut memory) = last_samples(&shared, &sets, ctx)?;
        let encoder = Encoder::new(negotiated);
        let mut body = Vec::new();
        memory.grow(samples.iter().map(encoding_bytes).sum()).map_err(QueryError::from)?;
        encoder.federation(&samples, &external_labels, &mut body);
        encoder.finish(&mut body);
        drop(samples);
        memory.shrink_to(body.capacity());
        memory.grow(body.capacity() - memory.bytes()).map_err(QueryError::from)?;
        Ok((body, memory))
    });
    match found.await {
        Ok(((body, memory), held)) => {
            let body = held_body(body, (memory, held));
            ([(header::CONTENT_TYPE, negotiated.content_type())], body).into_response()
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// The last sample within the lookback of each series that matches any of `sets`; the encoder leaves out what is
/// stale, which expositions cannot express.
fn last_samples(
    state: &Shared,
    sets: &[Vec<Matcher>],
    ctx: &QueryContext,
) -> Result<(Vec<FederatedSample>, Reservation), ApiError> {
    let now_ms = state.clock.now_ms();
    let lookback_ms = i64::try_from(state.options.lookback_delta.as_millis()).unwrap_or(i64::MAX);
    let range = TimeRange::new(now_ms.saturating_sub(lookback_ms), now_ms);
    let mut found: BTreeMap<Labels, FederatedSample> = BTreeMap::new();
    let mut columns = SampleColumns::default();
    let mut pending_bytes = 0;
    let mut memory = ctx.reserve(0).map_err(SourceError::from)?;
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
            pending_bytes += held_bytes(&sample);
            found.insert(labels, sample);
            if (i + 1) % STEP == 0 || i + 1 == set.len() {
                memory.grow(std::mem::take(&mut pending_bytes)).map_err(QueryError::from)?;
                ctx.check("federation").map_err(SourceError::from)?;
            }
        }
    }
    Ok((found.into_values().collect(), memory))
}

/// What a sample takes while it is collected: in a map by labels, and in a list made of that.
fn held_bytes(sample: &FederatedSample) -> usize {
    let value = match &sample.value {
        FederatedValue::Float(_) => 0,
        FederatedValue::Histogram(histogram) => histogram.memory_bytes(),
    };
    size_of::<Labels>() + 2 * size_of::<FederatedSample>() + labels_bytes(&sample.labels) + value
}

/// What a sample takes while it is written, and in the answer, which grows by doubling.
fn encoding_bytes(sample: &FederatedSample) -> usize {
    const LINE_BYTES: usize = 128;
    let buckets = match &sample.value {
        FederatedValue::Float(_) => 0,
        FederatedValue::Histogram(histogram) => histogram.memory_bytes(),
    };
    LINE_BYTES + 2 * (sample.labels.as_bytes().len() + buckets)
}
