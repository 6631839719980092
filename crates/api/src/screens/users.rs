//! Users, for administrators.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use state::User;
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
