//! Who is asking.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use state::{Role, User};

use super::{Failure, Screens};

/// The cookie that has the token of a session.
pub const COOKIE: &str = "bartizan_session";

/// Who is asking, and what they may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who logged in or gave a name and a password.
    pub user: Option<User>,
    /// What they may do.
    pub role: Option<Role>,
    /// Whether a browser asks, which also sends what pages of others make it send.
    pub is_browser: bool,
    /// The token of the session.
    pub session: Option<String>,
    /// What requests of this session's pages show to tell them from those of other pages.
    pub csrf_token: Option<String>,
}

impl Caller {
    /// The name under which changes are kept.
    pub fn login(&self) -> &str {
        self.user.as_ref().map_or("anonymous", |user| user.login.as_str())
    }

    pub(super) fn role_name(&self) -> &'static str {
        self.role.map_or("nobody", Role::as_str)
    }

    /// The user, for what only users have.
    pub(super) fn require_user(&self) -> Result<&User, Failure> {
        let refusal = || Failure(StatusCode::UNAUTHORIZED, "log in: this is kept for each user".to_owned());
        self.user.as_ref().ok_or_else(refusal)
    }
}

/// Finds out who sent a request.
pub(super) async fn identify(screens: &Arc<Screens>, headers: &HeaderMap) -> Result<Caller, Failure> {
    let session = cookie(headers, COOKIE).map(str::to_owned);
    let from_browser =
        ["origin", "sec-fetch-site", "sec-fetch-mode"].iter().any(|name| headers.contains_key(*name));
    let is_browser = session.is_some() || from_browser;
    if let Some(token) = session {
        let asked = token.clone();
        if let Some(user) = screens.blocking(move |store| store.session_user(&asked)).await? {
            let csrf_token = Some(csrf_token(&token));
            return Ok(Caller {
                role: Some(user.role),
                user: Some(user),
                is_browser,
                session: Some(token),
                csrf_token,
            });
        }
    }
    if is_own(screens.options.own_token.as_deref(), headers) {
        return Ok(Caller {
            user: None,
            role: Some(Role::Admin),
            is_browser: false,
            session: None,
            csrf_token: None,
        });
    }
    if let Some((login, password)) = basic(headers).filter(|_| !is_browser) {
        let user = program(screens, &login, password).await?;
        let role = user.role;
        return Ok(Caller {
            user: Some(user),
            role: Some(role),
            is_browser,
            session: None,
            csrf_token: None,
        });
    }
    let is_open = screens.options.open_to_programs && !is_browser;
    let role = if is_open { Some(Role::Admin) } else { screens.options.anonymous };
    Ok(Caller { user: None, role, is_browser, session: None, csrf_token: None })
}

/// Known to who has the token of a session, and of no use to who only sees it.
pub(super) fn csrf_token(session: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("csrf {session}").as_bytes()))
}

/// The user of a name and a password that come with every request.
async fn program(screens: &Arc<Screens>, login: &str, password: String) -> Result<User, Failure> {
    let generation = match screens.remembered.user(login, &password) {
        Ok(id) => {
            let user = screens.blocking(move |store| store.user(id)).await?.filter(|user| !user.is_disabled);
            return user
                .ok_or_else(|| Failure(StatusCode::UNAUTHORIZED, "wrong name or password".to_owned()));
        }
        Err(generation) => generation,
    };
    let user = super::session::authenticate(screens, login, password.clone()).await?;
    screens.remembered.note((login, &password), user.id, generation);
    Ok(user)
}

/// Whether this process itself is asking.
fn is_own(token: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return false };
    let shown = authorization(headers).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    // Hashes are compared, so that the time it takes says nothing about the token.
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    shown.is_some_and(|(_, shown)| hash(shown).as_ref() == hash(token).as_ref())
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value).filter(|value| !value.is_empty())
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some((scheme, rest.trim()))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (_, encoded) = authorization(headers).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(login, password)| (login.to_owned(), password.to_owned()))
}
