//! Users, for administrators.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use state::User;
use state::sessions::Session;
use state::users::{NewUser, UserChange};

use super::{Answer, Body, Failure, Shared};

/// `GET /users`.
pub(super) async fn list(State(screens): Shared) -> Answer<Vec<User>> {
    Ok(Json(screens.blocking(|store| store.users()).await?))
}

/// `POST /users`.
pub(super) async fn create(
    State(screens): Shared,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<User>), Failure> {
    let user = screens.hashing(move |store| store.create_user(&new)).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// `PUT /users/{id}`: changes what is given.
pub(super) async fn change(
    State(screens): Shared,
    Path(id): Path<i64>,
    Body(change): Body<UserChange>,
) -> Answer<User> {
    let user = screens.hashing(move |store| store.change_user(id, &change)).await?;
    screens.remembered.forget();
    Ok(Json(user))
}

/// `DELETE /users/{id}`.
pub(super) async fn remove(State(screens): Shared, Path(id): Path<i64>) -> Result<StatusCode, Failure> {
    screens.blocking(move |store| store.delete_user(id)).await?;
    screens.remembered.forget();
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /users/{id}/sessions`: where a user is logged in.
pub(super) async fn sessions(State(screens): Shared, Path(id): Path<i64>) -> Answer<Vec<Session>> {
    Ok(Json(screens.blocking(move |store| store.sessions(id)).await?))
}

/// `DELETE /users/{id}/sessions`: ends all of them. `{"ended": 2}`
pub(super) async fn end_sessions(State(screens): Shared, Path(id): Path<i64>) -> Answer<Value> {
    // No token is empty, so that none is kept.
    let ended = screens.blocking(move |store| store.end_other_sessions(id, "")).await?;
    Ok(Json(json!({ "ended": ended })))
}
