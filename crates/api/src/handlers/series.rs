//! Label names, label values and series.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use model::labels::Labels;
use model::{LabelRequest, Matcher, Projection, SelectRequest, SeriesSet};

use super::{Shared, blocking, context};
use crate::envelope::{Notes, success_streamed, success_with};
use crate::error::ApiError;
use crate::json;
use crate::params::Params;

/// `GET|POST /labels`
pub async fn label_names(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let requests = label_requests(&params, limit)?;
    let ctx = context(&state, &headers, None);
    let names = blocking(ctx, move |ctx| {
        let mut all = BTreeSet::new();
        for request in &requests {
            all.extend(state.source.label_names(request, ctx)?);
        }
        Ok((all, ctx.take_warnings()))
    });
    Ok(limited(names.await?, limit))
}

/// `GET /label/{name}/values`
pub async fn label_values(
    State(state): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let Ok(Path(name)) = name else {
        return Err(ApiError::bad_data("invalid label name: not UTF-8"));
    };
    let name = wire::escape::unescape_values(&name).into_owned();
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let limit = params.limit()?;
    let requests = label_requests(&params, limit)?;
    let ctx = context(&state, &headers, None);
    let values = blocking(ctx, move |ctx| {
        let mut all = BTreeSet::new();
        for request in &requests {
            all.extend(state.source.label_values(&name, request, ctx)?);
        }
        Ok((all, ctx.take_warnings()))
    });
    Ok(limited(values.await?, limit))
}

/// One request for each `match[]`, or one for everything.
fn label_requests(params: &Params, limit: usize) -> Result<Vec<LabelRequest>, ApiError> {
    let range = Some(params.range()?);
    let mut sets = params.matcher_sets()?;
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    // One more than is shown, to know whether something was left out.
    let limit = if limit == 0 { 0 } else { limit.saturating_add(1) };
    Ok(sets.into_iter().map(|matchers| LabelRequest { range, matchers, limit }).collect())
}

fn limited((all, warnings): (BTreeSet<String>, Vec<String>), limit: usize) -> Response {
    let mut notes = Notes::warnings(warnings);
    let mut shown: Vec<String> = all.into_iter().collect();
    if limit > 0 && shown.len() > limit {
        shown.truncate(limit);
        notes.add_truncated();
    }
    success_with(&shown, &notes)
}

/// `GET|POST /series`
pub async fn series(
    State(state): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    params.well_formed()?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let range = params.range()?;
    let sets = params.matcher_sets().map_err(|e| ApiError::invalid_parameter("match[]", e.message))?;
    let ctx = context(&state, &headers, None);
    let (mut found, mut notes) = blocking(ctx, move |ctx| {
        let mut found = Found::default();
        let hint = if limit == 0 { 0 } else { limit.saturating_add(1) };
        for matchers in sets {
            found.add(&*select(&state, matchers, range, hint, ctx)?);
            ctx.check("series lookup").map_err(model::SourceError::from)?;
        }
        found.warnings.extend(ctx.take_warnings());
        Ok(found.finish())
    })
    .await?;
    if limit > 0 && found.len() > limit {
        found.truncate(limit);
        notes.add_truncated();
    }
    Ok(success_streamed(notes, move |out, piece| {
        json::array(out, &found, |out, labels| {
            json::labels(out, labels);
            piece(out);
        });
    })
    .await)
}

fn select(
    state: &Shared,
    matchers: Vec<Matcher>,
    range: model::TimeRange,
    limit: usize,
    ctx: &model::QueryContext,
) -> Result<Box<dyn SeriesSet>, ApiError> {
    let request = SelectRequest { range, matchers, projection: Projection::All, sorted: true, limit };
    Ok(state.source.select(&request, ctx)?)
}

/// The union of several selections, each in label order.
#[derive(Default)]
struct Found {
    labels: Vec<Labels>,
    selections: usize,
    warnings: Vec<String>,
}

impl Found {
    fn add(&mut self, set: &dyn SeriesSet) {
        self.labels.extend((0..set.len()).map(|i| set.labels(i)));
        self.warnings.extend(set.warnings());
        self.selections += 1;
    }

    fn finish(mut self) -> (Vec<Labels>, Notes) {
        if self.selections > 1 {
            self.labels.sort_unstable();
            self.labels.dedup();
        }
        (self.labels, Notes::warnings(self.warnings))
    }
}
