//! Queries that the user who is asking ran in Explore.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use state::history::{Run, RunChange, RunSearch};

use super::caller::Caller;
use super::{Answer, Body, Failure, Shared};

/// What is looked for.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(super) struct Wanted {
    search: String,
    starred: bool,
    limit: Option<usize>,
}

/// A run to be kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ToKeep {
    datasource: String,
    queries: Vec<String>,
    /// For what was run before it is told.
    at_ms: Option<i64>,
}

/// What changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    starred: Option<bool>,
    comment: Option<String>,
}

/// `GET /user/history?search=…&starred=true&limit=100`: the newest first.
pub(super) async fn list(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Answer<Vec<Run>> {
    let user = caller.require_user()?.id;
    let Query(wanted) = wanted.map_err(|rejection| Failure::bad(rejection.body_text()))?;
    let search = RunSearch { text: wanted.search, starred: wanted.starred, limit: wanted.limit };
    Ok(Json(screens.blocking(move |store| store.runs(user, &search)).await?))
}

/// `POST /user/history`: what was run now, or at `atMs`. The same queries are there once.
pub(super) async fn add(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Body(run): Body<ToKeep>,
) -> Answer<Run> {
    let user = caller.require_user()?.id;
    let added = screens.blocking(move |store| store.add_run(user, &run.datasource, &run.queries, run.at_ms));
    Ok(Json(added.await?))
}

/// `PUT /user/history/{id}`: a star, a comment.
pub(super) async fn change(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<i64>,
    Body(Changed { starred, comment }): Body<Changed>,
) -> Answer<Run> {
    let user = caller.require_user()?.id;
    let change = RunChange { starred, comment };
    Ok(Json(screens.blocking(move |store| store.change_run(user, id, &change)).await?))
}

/// `DELETE /user/history/{id}`
pub(super) async fn remove(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Failure> {
    let user = caller.require_user()?.id;
    screens.blocking(move |store| store.delete_run(user, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
