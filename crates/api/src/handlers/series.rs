//! Label names, label values and series.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base::Reservation;
use model::labels::Labels;
use model::{LabelRequest, Projection, QueryContext, SelectRequest, SeriesSet, SourceError};
use promql::engine::QueryError;

use super::{Shared, blocking, context};
use crate::envelope::{ANSWER_BYTES, Notes, success_streamed, success_with};
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
    let source = state.source.clone();
    let names = blocking(&state, ctx, move |ctx| {
        let mut all = LabelSet::new(ctx)?;
        for request in &requests {
            all.add(source.label_names(request, ctx)?)?;
        }
        Ok((all, ctx.take_warnings()))
    });
    let (names, _held) = names.await?;
    Ok(limited(names, limit))
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
    let source = state.source.clone();
    let values = blocking(&state, ctx, move |ctx| {
        let mut all = LabelSet::new(ctx)?;
        for request in &requests {
            all.add(source.label_values(&name, request, ctx)?)?;
        }
        Ok((all, ctx.take_warnings()))
    });
    let (values, _held) = values.await?;
    Ok(limited(values, limit))
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

/// Names or values of labels, each once, in memory that is accounted for.
pub(super) struct LabelSet {
    pub(super) texts: BTreeSet<String>,
    memory: Reservation,
}

/// What an entry of a set takes beside its text, which is copied once more into the answer.
const ENTRY_BYTES: usize = 2 * size_of::<String>();

impl LabelSet {
    pub(super) fn new(ctx: &QueryContext) -> Result<Self, ApiError> {
        let memory = ctx.reserve(0).map_err(SourceError::from)?;
        Ok(Self { texts: BTreeSet::new(), memory })
    }

    pub(super) fn add(&mut self, texts: Vec<String>) -> Result<(), ApiError> {
        let bytes = texts.iter().map(|text| 2 * text.len() + ENTRY_BYTES).sum();
        self.memory.grow(bytes).map_err(QueryError::from)?;
        self.texts.extend(texts);
        Ok(())
    }
}

fn limited((all, warnings): (LabelSet, Vec<String>), limit: usize) -> Response {
    let mut notes = Notes::warnings(warnings);
    let LabelSet { texts, memory: _memory } = all;
    let mut shown: Vec<String> = texts.into_iter().collect();
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
    let source = state.source.clone();
    let found = blocking(&state, ctx, move |ctx| {
        let mut found = Found::new(ctx)?;
        let limit = if limit == 0 { 0 } else { limit.saturating_add(1) };
        for matchers in sets.iter().cloned() {
            let request = SelectRequest { range, matchers, projection: Projection::All, sorted: true, limit };
            found.add(&*source.select(&request, ctx)?, ctx)?;
        }
        found.warnings.extend(ctx.take_warnings());
        Ok(found.finish())
    });
    let (found, held) = found.await?;
    let Found { labels: mut found, warnings, memory, .. } = found;
    let mut notes = Notes::warnings(warnings);
    if limit > 0 && found.len() > limit {
        found.truncate(limit);
        notes.add_truncated();
    }
    Ok(success_streamed(notes, move |out, piece| {
        json::array(out, &found, |out, labels| {
            json::labels(out, labels);
            piece(out);
        });
        drop((found, memory, held));
    })
    .await)
}

/// Series between two looks at whether the request may go on.
const STEP: usize = 1024;

/// The union of several selections, each in label order, in memory that is accounted for.
struct Found {
    labels: Vec<Labels>,
    selections: usize,
    warnings: Vec<String>,
    memory: Reservation,
}

impl Found {
    fn new(ctx: &QueryContext) -> Result<Self, ApiError> {
        let memory = ctx.reserve(ANSWER_BYTES).map_err(SourceError::from)?;
        Ok(Self { labels: Vec::new(), selections: 0, warnings: Vec::new(), memory })
    }

    fn add(&mut self, set: &dyn SeriesSet, ctx: &QueryContext) -> Result<(), ApiError> {
        self.memory.grow(set.len() * size_of::<Labels>()).map_err(QueryError::from)?;
        self.labels.reserve_exact(set.len());
        for first in (0..set.len()).step_by(STEP) {
            ctx.check("series lookup").map_err(SourceError::from)?;
            let from = self.labels.len();
            self.labels.extend((first..set.len().min(first + STEP)).map(|i| set.labels(i)));
            let bytes = self.labels[from..].iter().map(labels_bytes).sum();
            self.memory.grow(bytes).map_err(QueryError::from)?;
        }
        self.warnings.extend(set.warnings());
        self.selections += 1;
        Ok(())
    }

    fn finish(mut self) -> Self {
        if self.selections > 1 {
            self.labels.sort_unstable();
            self.labels.dedup();
        }
        self
    }
}

/// What a label set takes where it is stored.
pub(super) fn labels_bytes(labels: &Labels) -> usize {
    // Two counters of references, and what the allocator rounds up.
    labels.as_bytes().len() + 32
}
