//! Dashboards: found, read, stored, restored, marked.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use state::dashboards::{About, Dashboard, Save};
use state::search::{Found, Search};
use state::versions::Version;

use super::caller::Caller;
use super::{Answer, Body, Failure, Shared};
use crate::params::Params;

/// A dashboard to be stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ToSave {
    dashboard: Value,
    folder_uid: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    overwrite: bool,
}

/// Another folder; nothing is the top.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Moved {
    folder_uid: Option<String>,
}

/// `GET /search?query=&tag=&folderUid=&starred=&limit=`: `tag` may stand several times; an empty
/// `folderUid` is the top.
pub(super) async fn search(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    params: Params,
) -> Answer<Vec<Found>> {
    let text = |name: &str| params.get(name).to_owned();
    let limit = Some(params.get("limit")).filter(|text| !text.is_empty());
    let limit =
        limit.map(|text| text.parse().map_err(|_| Failure::bad(format!("limit {text:?} is no number"))));
    let search = Search {
        text: text("query"),
        tags: params.all("tag").map(str::to_owned).collect(),
        folder_uid: params.all("folderUid").next().map(str::to_owned),
        user: caller.user.map_or(0, |user| user.id),
        starred: text("starred") == "true",
        limit: limit.transpose()?,
    };
    Ok(Json(screens.blocking(move |store| store.search(&search)).await?))
}

/// `GET /tags`: tags and how many dashboards have them.
pub(super) async fn tags(State(screens): Shared) -> Answer<Value> {
    let tags = screens.blocking(|store| store.tags()).await?;
    Ok(Json(tags.into_iter().map(|(tag, count)| json!({ "tag": tag, "count": count })).collect()))
}

/// `GET /dashboards/{uid}`.
pub(super) async fn get(State(screens): Shared, Path(uid): Path<String>) -> Answer<Dashboard> {
    Ok(Json(screens.blocking(move |store| store.dashboard(&uid)).await?))
}

/// `POST /dashboards`: a new one, or the next version of one.
pub(super) async fn save(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Body(to_save): Body<ToSave>,
) -> Answer<About> {
    let saved = screens.blocking(move |store| {
        store.save_dashboard(Save {
            dashboard: to_save.dashboard,
            folder_uid: to_save.folder_uid.as_deref(),
            message: &to_save.message,
            overwrite: to_save.overwrite,
            by: caller.login(),
        })
    });
    Ok(Json(saved.await?))
}

/// `PUT /dashboards/{uid}/folder`.
pub(super) async fn relocate(
    State(screens): Shared,
    Path(uid): Path<String>,
    Body(moved): Body<Moved>,
) -> Answer<About> {
    let moving = screens.blocking(move |store| store.move_dashboard(&uid, moved.folder_uid.as_deref()));
    Ok(Json(moving.await?))
}

/// `DELETE /dashboards/{uid}`.
pub(super) async fn remove(State(screens): Shared, Path(uid): Path<String>) -> Result<StatusCode, Failure> {
    screens.blocking(move |store| store.delete_dashboard(&uid)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /dashboards/{uid}/versions`.
pub(super) async fn versions(State(screens): Shared, Path(uid): Path<String>) -> Answer<Vec<Version>> {
    Ok(Json(screens.blocking(move |store| store.versions(&uid)).await?))
}

/// `GET /dashboards/{uid}/versions/{version}`: the dashboard as it was.
pub(super) async fn version(
    State(screens): Shared,
    Path((uid, version)): Path<(String, i64)>,
) -> Answer<Value> {
    Ok(Json(screens.blocking(move |store| store.version(&uid, version)).await?))
}

/// `POST /dashboards/{uid}/restore/{version}`.
pub(super) async fn restore(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Path((uid, version)): Path<(String, i64)>,
) -> Answer<About> {
    Ok(Json(screens.blocking(move |store| store.restore_version(&uid, version, caller.login())).await?))
}

/// `PUT /user/stars/{uid}`.
pub(super) async fn star(
    screens: Shared,
    caller: Extension<Caller>,
    uid: Path<String>,
) -> Result<StatusCode, Failure> {
    set_star(screens, caller, uid, true).await
}

/// `DELETE /user/stars/{uid}`.
pub(super) async fn unstar(
    screens: Shared,
    caller: Extension<Caller>,
    uid: Path<String>,
) -> Result<StatusCode, Failure> {
    set_star(screens, caller, uid, false).await
}

async fn set_star(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Path(uid): Path<String>,
    is_starred: bool,
) -> Result<StatusCode, Failure> {
    let user = caller.require_user()?.id;
    screens.blocking(move |store| store.set_star(user, &uid, is_starred)).await?;
    Ok(StatusCode::NO_CONTENT)
}
