//! Basic authentication with bcrypt hashes.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use parking_lot::Mutex;

use super::Security;

/// Somebody who may use the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The bcrypt hash of the password.
    pub password_hash: String,
}

/// Outcomes remembered; a hash takes tens of milliseconds to check, a scraper sends it every time.
const REMEMBERED: usize = 100;

/// A well-formed hash of no password, checked for unknown users so that they take as long as known ones.
const NOBODY_HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Checks credentials.
pub struct Authenticator {
    security: Arc<ArcSwap<Security>>,
    remembered: Mutex<HashMap<(String, String, String), bool>>,
}

impl Authenticator {
    /// An authenticator of the users in `security`, as they are at each request.
    pub fn new(security: Arc<ArcSwap<Security>>) -> Self {
        Self { security, remembered: Mutex::new(HashMap::new()) }
    }

    async fn admits(&self, headers: &HeaderMap) -> bool {
        let security = self.security.load_full();
        if security.users.is_empty() {
            return true;
        }
        let Some((name, password)) = credentials(headers) else { return false };
        let user = security.users.iter().find(|user| user.name == name);
        let hash = user.map_or(NOBODY_HASH, |user| &user.password_hash).to_owned();
        let key = (name, password, hash);
        if let Some(&outcome) = self.remembered.lock().get(&key) {
            return outcome;
        }
        let (password, hash) = (key.1.clone(), key.2.clone());
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let outcome = check.await.unwrap_or(false) && user.is_some();
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, outcome);
        outcome
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Lets a request pass if its user is admitted.
pub async fn require_user(
    State(authenticator): State<Arc<Authenticator>>,
    request: Request,
    next: Next,
) -> Response {
    if authenticator.admits(request.headers()).await {
        return next.run(request).await;
    }
    let headers = [(header::WWW_AUTHENTICATE, "Basic")];
    (StatusCode::UNAUTHORIZED, headers, "Unauthorized\n").into_response()
}
