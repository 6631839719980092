//! Logging in and out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use state::preferences::Whose;
use state::sessions::{MAX_AGE_MS, Session};
use state::{Role, User};

use super::caller::{COOKIE, Caller, csrf_token};
use super::{Answer, Body, Failure, Screens, Shared};

/// Name and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    login: String,
    password: String,
}

/// A change of the own password.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PasswordChange {
    old_password: String,
    new_password: String,
}

/// The user of a name and a password; wrong ones make the name wait.
pub(super) async fn authenticate(
    screens: &Arc<Screens>,
    login: &str,
    password: String,
) -> Result<User, Failure> {
    if let Some(wait) = screens.throttle.wait(login) {
        let why = format!("too many wrong passwords for {login:?}: try again in {} s", wait.as_secs() + 1);
        return Err(Failure(StatusCode::TOO_MANY_REQUESTS, why));
    }
    let asked = login.to_owned();
    let found = screens.hashing(move |store| store.authenticate(&asked, &password)).await?;
    let Some(user) = found else {
        screens.throttle.note_failure(login);
        tracing::warn!(login, "wrong name or password");
        return Err(Failure(StatusCode::UNAUTHORIZED, "wrong name or password".to_owned()));
    };
    screens.throttle.note_success(login);
    Ok(user)
}

/// `POST /login`: begins a session.
pub(super) async fn log_in(
    State(screens): Shared,
    headers: HeaderMap,
    Body(credentials): Body<Credentials>,
) -> Result<Response, Failure> {
    let user = authenticate(&screens, &credentials.login, credentials.password).await?;
    let client =
        headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let id = user.id;
    let token = screens.blocking(move |store| store.begin_session(id, &client)).await?;
    tracing::info!(login = user.login, "logged in");
    let cookie = cookie(&screens, &token, MAX_AGE_MS / 1000)?;
    let told = told(&screens, Some(user.role), Some(&user), Some(csrf_token(&token))).await?;
    Ok(([(header::SET_COOKIE, cookie)], Json(told)).into_response())
}

/// `DELETE /session`: ends the session.
pub(super) async fn log_out(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Failure> {
    if let Some(token) = caller.session {
        screens.blocking(move |store| store.end_session(&token)).await?;
    }
    let cookie = cookie(&screens, "", 0)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `GET /session`: who is asking, and what the application needs to begin.
pub(super) async fn current(State(screens): Shared, Extension(caller): Extension<Caller>) -> Answer<Value> {
    Ok(Json(told(&screens, caller.role, caller.user.as_ref(), caller.csrf_token.clone()).await?))
}

/// `PUT /user/password`: a new password for who is asking. It ends all their sessions but begins none.
pub(super) async fn change_password(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, Failure> {
    let id = caller.require_user()?.id;
    screens
        .hashing(move |store| store.change_password(id, &change.old_password, &change.new_password))
        .await?;
    screens.remembered.forget();
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /user/sessions`: the sessions of who is asking.
pub(super) async fn list(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
) -> Answer<Vec<Session>> {
    let id = caller.require_user()?.id;
    Ok(Json(screens.blocking(move |store| store.sessions(id)).await?))
}

/// `DELETE /user/sessions`: ends the other sessions of who is asking.
pub(super) async fn end_others(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
) -> Answer<Value> {
    let id = caller.require_user()?.id;
    let kept = caller.session.unwrap_or_default();
    let ended = screens.blocking(move |store| store.end_other_sessions(id, &kept)).await?;
    Ok(Json(json!({ "ended": ended })))
}

async fn told(
    screens: &Arc<Screens>,
    role: Option<Role>,
    user: Option<&User>,
    csrf_token: Option<String>,
) -> Result<Value, Failure> {
    let id = user.map(|user| user.id);
    let preferences = screens.blocking(move |store| {
        let everybody = store.preferences(Whose::Everybody)?;
        let own = id.map(|id| store.preferences(Whose::User(id))).transpose()?.unwrap_or_default();
        Ok(own.or(everybody))
    });
    Ok(json!({
        "user": user,
        "role": role,
        "csrfToken": csrf_token,
        "preferences": preferences.await?,
        "version": screens.version,
        "nowMs": screens.clock.now_ms(),
    }))
}

fn cookie(screens: &Screens, token: &str, max_age_s: i64) -> Result<HeaderValue, Failure> {
    let path = if screens.prefix.is_empty() { "/" } else { &screens.prefix };
    let secure = if screens.options.secure_cookies { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|error| Failure::internal(&error))
}
