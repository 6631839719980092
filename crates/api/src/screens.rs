//! What the screens need beyond the APIs of the seats: who is asking, and what people keep.
//!
//! All paths lie below `/api/ui`; bodies are JSON with names in camel case, times milliseconds since the
//! Unix epoch, and a failure is `{"error": "…"}`. In reading order: [`access`] (which role a request
//! needs), [`caller`] (which one it has), [`throttle`], [`remembered`], [`session`] (logging in and out), [`users`],
//! [`dashboards`], [`folders`], [`preferences`], [`history`] (queries that were run), [`sources`] and [`proxy`] (other servers).

pub mod access;
pub mod caller;
mod dashboards;
mod folders;
mod history;
mod preferences;
mod proxy;
mod remembered;
mod session;
mod sources;
mod throttle;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base::ErrorKind;
use base::clock::SharedClock;
use serde_json::json;
use state::{Role, StateError, Store};
use tokio::sync::Semaphore;

pub use access::guard;

/// The largest body that is taken: a dashboard, and JSON's escapes around it.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Passwords hashed at a time; each takes 19 MiB and a core.
const HASHES_AT_ONCE: usize = 2;

/// How requests are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessOptions {
    /// What somebody may do who has not logged in; `None` is nothing.
    pub anonymous: Option<Role>,
    /// Whether programs (requests that come from no browser) may do everything without credentials, as
    /// the programs of the seats let them.
    pub open_to_programs: bool,
    /// Whether cookies are for encrypted connections only.
    pub secure_cookies: bool,
    /// What this process itself shows where it is its own client (`Authorization: Bearer`).
    pub own_token: Option<String>,
}

/// What the handlers share.
pub struct Screens {
    store: Store,
    options: AccessOptions,
    clock: SharedClock,
    prefix: String,
    version: String,
    throttle: throttle::Throttle,
    remembered: remembered::Remembered,
    hashes: Semaphore,
    clients: proxy::Clients,
    /// Places for connections to data sources that stay open.
    live: Arc<Semaphore>,
}

type Shared = axum::extract::State<Arc<Screens>>;

impl Screens {
    /// The screens' side of a store; `prefix` is the path of all routes, without a slash at its end, and
    /// `version` that of the program.
    pub fn new(
        store: Store,
        options: AccessOptions,
        clock: SharedClock,
        (prefix, version): (&str, &str),
    ) -> Self {
        Self {
            store,
            options,
            throttle: throttle::Throttle::new(clock.clone()),
            remembered: remembered::Remembered::new(clock.clone()),
            clients: proxy::Clients::new(clock.clone()),
            live: Arc::new(Semaphore::new(proxy::MAX_LIVE)),
            clock,
            prefix: prefix.to_owned(),
            version: version.to_owned(),
            hashes: Semaphore::new(HASHES_AT_ONCE),
        }
    }

    /// Data sources were changed by others than the handlers here.
    pub fn sources_changed(&self) {
        self.clients.forget_all();
    }

    /// Runs what writes to the disk or takes time on a thread that may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Failure> {
        let screens = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&screens.store)).await;
        Ok(done.map_err(|error| Failure::internal(&error))??)
    }

    /// The same for what hashes a password.
    async fn hashing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Failure> {
        let _permit = self.hashes.acquire().await.map_err(|error| Failure::internal(&error))?;
        self.blocking(work).await
    }
}

/// The paths of this module, below the route prefix. [`guard`] has to stand around them.
pub fn routes(screens: &Arc<Screens>) -> Router {
    let routes = Router::new()
        .route("/session", get(session::current).delete(session::log_out))
        .route("/login", post(session::log_in))
        .route("/user/password", put(session::change_password))
        .route("/user/sessions", get(session::list).delete(session::end_others))
        .route("/user/preferences", get(preferences::own).put(preferences::set_own))
        .route("/user/history", get(history::list).post(history::add))
        .route("/user/history/{id}", put(history::change).delete(history::remove))
        .route("/user/stars/{uid}", put(dashboards::star).delete(dashboards::unstar))
        .route("/preferences", get(preferences::everybody).put(preferences::set_everybody))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", put(users::change).delete(users::remove))
        .route("/users/{id}/sessions", get(users::sessions).delete(users::end_sessions))
        .route("/search", get(dashboards::search))
        .route("/tags", get(dashboards::tags))
        .route("/dashboards", post(dashboards::save))
        .route("/dashboards/{uid}", get(dashboards::get).delete(dashboards::remove))
        .route("/dashboards/{uid}/folder", put(dashboards::relocate))
        .route("/dashboards/{uid}/versions", get(dashboards::versions))
        .route("/dashboards/{uid}/versions/{version}", get(dashboards::version))
        .route("/dashboards/{uid}/restore/{version}", post(dashboards::restore))
        .route("/folders", get(folders::list).post(folders::create))
        .route("/folders/{uid}", put(folders::rename).delete(folders::remove))
        .route("/folders/{uid}/parent", put(folders::relocate))
        .route("/datasources", get(sources::list).post(sources::create))
        .route("/datasources/test", post(proxy::test))
        .route("/datasources/{uid}", put(sources::change).delete(sources::remove))
        .route("/proxy/{uid}/{*path}", get(proxy::forward).post(proxy::forward).delete(proxy::forward))
        .fallback(|| async { Failure(StatusCode::NOT_FOUND, "there is no such path".to_owned()) })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::map_response(no_store))
        .with_state(screens.clone());
    Router::new().nest(&format!("{}/api/ui", screens.prefix), routes)
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A failure: a status, and what is wrong.
#[derive(Debug)]
struct Failure(StatusCode, String);

impl Failure {
    fn internal(error: &dyn std::error::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let status = match (&error, error.kind()) {
            (StateError::Conflict(_), _) => StatusCode::CONFLICT,
            (_, ErrorKind::InvalidInput) => StatusCode::BAD_REQUEST,
            (_, ErrorKind::NotFound) => StatusCode::NOT_FOUND,
            (_, ErrorKind::Storage) => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(%error, "users and dashboards");
        }
        Self(status, error.to_string())
    }
}

impl From<axum::extract::rejection::JsonRejection> for Failure {
    fn from(rejection: axum::extract::rejection::JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({ "error": self.1 }))).into_response()
    }
}

/// A body that is JSON, or a failure that says where it is not.
struct Body<T>(T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> axum::extract::FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        let axum::Json(body) = axum::Json::<T>::from_request(request, state).await?;
        Ok(Self(body))
    }
}

type Answer<T> = Result<axum::Json<T>, Failure>;
