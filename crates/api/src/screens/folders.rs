//! Folders of dashboards.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use state::folders::Folder;

use super::{Answer, Body, Failure, Shared};

/// A folder to be made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewFolder {
    #[serde(default)]
    uid: String,
    title: String,
    parent_uid: Option<String>,
}

/// Another title.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Renamed {
    title: String,
}

/// Another place; nothing is the top.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Moved {
    parent_uid: Option<String>,
}

/// `GET /folders`.
pub(super) async fn list(State(screens): Shared) -> Answer<Vec<Folder>> {
    Ok(Json(screens.blocking(|store| store.folders()).await?))
}

/// `POST /folders`.
pub(super) async fn create(
    State(screens): Shared,
    Body(new): Body<NewFolder>,
) -> Result<(StatusCode, Json<Folder>), Failure> {
    let made = screens.blocking(move |store| {
        store.create_folder(
            Some(&new.uid),
            &new.title,
            new.parent_uid.as_deref().filter(|uid| !uid.is_empty()),
        )
    });
    Ok((StatusCode::CREATED, Json(made.await?)))
}

/// `PUT /folders/{uid}`.
pub(super) async fn rename(
    State(screens): Shared,
    Path(uid): Path<String>,
    Body(renamed): Body<Renamed>,
) -> Answer<Folder> {
    Ok(Json(screens.blocking(move |store| store.rename_folder(&uid, &renamed.title)).await?))
}

/// `PUT /folders/{uid}/parent`.
pub(super) async fn relocate(
    State(screens): Shared,
    Path(uid): Path<String>,
    Body(moved): Body<Moved>,
) -> Answer<Folder> {
    let moving = screens.blocking(move |store| {
        store.move_folder(&uid, moved.parent_uid.as_deref().filter(|parent| !parent.is_empty()))
    });
    Ok(Json(moving.await?))
}

/// `DELETE /folders/{uid}`: with all that lies in it.
pub(super) async fn remove(State(screens): Shared, Path(uid): Path<String>) -> Result<StatusCode, Failure> {
    screens.blocking(move |store| store.delete_folder(&uid)).await?;
    Ok(StatusCode::NO_CONTENT)
}
