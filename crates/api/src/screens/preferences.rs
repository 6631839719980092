//! Preferences of users, and of everybody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use state::preferences::{Preferences, Whose};

use super::caller::Caller;
use super::{Answer, Body, Failure, Shared};

/// `GET /user/preferences`: what the user who is asking has set.
pub(super) async fn own(State(screens): Shared, Extension(caller): Extension<Caller>) -> Answer<Preferences> {
    let whose = Whose::User(caller.require_user()?.id);
    Ok(Json(screens.blocking(move |store| store.preferences(whose)).await?))
}

/// `PUT /user/preferences`.
pub(super) async fn set_own(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Body(preferences): Body<Preferences>,
) -> Result<StatusCode, Failure> {
    let whose = Whose::User(caller.require_user()?.id);
    screens.blocking(move |store| store.set_preferences(whose, &preferences)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /preferences`: what holds for who has set nothing.
pub(super) async fn everybody(State(screens): Shared) -> Answer<Preferences> {
    Ok(Json(screens.blocking(|store| store.preferences(Whose::Everybody)).await?))
}

/// `PUT /preferences`.
pub(super) async fn set_everybody(
    State(screens): Shared,
    Body(preferences): Body<Preferences>,
) -> Result<StatusCode, Failure> {
    screens.blocking(move |store| store.set_preferences(Whose::Everybody, &preferences)).await?;
    Ok(StatusCode::NO_CONTENT)
}
