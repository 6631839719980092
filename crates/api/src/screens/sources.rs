//! Data sources.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use state::sources::Source;

use super::{Answer, Body, Failure, Shared};

/// A data source to be stored, with its secrets. Those that are not named stay as they are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ToStore {
    pub(super) source: Source,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
}

/// `GET /datasources`: without their secrets.
pub(super) async fn list(State(screens): Shared) -> Answer<Vec<Source>> {
    Ok(Json(screens.blocking(|store| store.sources()).await?))
}

/// `POST /datasources`.
pub(super) async fn create(
    State(screens): Shared,
    Body(to_store): Body<ToStore>,
) -> Result<(StatusCode, Json<Source>), Failure> {
    let made = screens.blocking(move |store| store.put_source(&to_store.source, &to_store.secrets)).await?;
    screens.clients.forget(&made.uid);
    Ok((StatusCode::CREATED, Json(made)))
}

/// `PUT /datasources/{uid}`.
pub(super) async fn change(
    State(screens): Shared,
    Path(uid): Path<String>,
    Body(to_store): Body<ToStore>,
) -> Answer<Source> {
    let source = Source { uid: uid.clone(), ..to_store.source };
    let stored = screens.blocking(move |store| {
        store.source(&source.uid)?;
        store.put_source(&source, &to_store.secrets)
    });
    let stored = stored.await?;
    screens.clients.forget(&uid);
    Ok(Json(stored))
}

/// `DELETE /datasources/{uid}`.
pub(super) async fn remove(State(screens): Shared, Path(uid): Path<String>) -> Result<StatusCode, Failure> {
    let gone = uid.clone();
    screens.blocking(move |store| store.delete_source(&gone)).await?;
    screens.clients.forget(&uid);
    Ok(StatusCode::NO_CONTENT)
}
