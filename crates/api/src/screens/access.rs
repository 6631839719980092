//! Which role a request needs, for every path of the server, and the door that asks for it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use state::Role;

use super::caller::{Caller, identify};
use super::{Failure, Screens};
use crate::websocket;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: what is needed to log in, and to see that the server lives.
    Nothing,
    /// A role; the request changes nothing.
    Read(Role),
    /// A role; the request changes something, so that it has to be the user who wants it, not a page of somebody else.
    Change(Role),
}

use Need::{Change, Nothing, Read};
use Role::{Admin, Editor, Viewer};

/// The methods a rule is for.
#[derive(Debug, Clone, Copy)]
enum On {
    /// GET and HEAD.
    Looking,
    /// All others.
    Doing,
    /// All.
    Any,
}

/// The first rule whose path begins a request's path holds. A path that ends in `$` is meant as a whole.
/// What no rule is for is an administrator's, unless it is only looked at.
const RULES: &[(On, &str, Need)] = &[
    // The application itself, and what says that the server lives.
    (On::Looking, "/-/healthy", Nothing),
    (On::Looking, "/-/ready", Nothing),
    (On::Looking, "/ready", Nothing),
    (On::Looking, "/metrics", Nothing),
    (On::Looking, "/host/metrics", Nothing),
    (On::Looking, "/api/ui/session$", Nothing),
    // Who sends these has no session yet, so nobody can abuse one.
    (On::Doing, "/api/ui/login$", Nothing),
    (On::Doing, "/api/ui/session$", Change(Viewer)),
    (On::Any, "/api/ui/users", Change(Admin)),
    // What a path of a data source needs beyond that, the proxy looks up here again.
    (On::Any, "/api/ui/proxy/", Change(Viewer)),
    (On::Looking, "/api/ui/", Read(Viewer)),
    (On::Doing, "/api/ui/user/", Change(Viewer)),
    (On::Doing, "/api/ui/dashboards", Change(Editor)),
    (On::Doing, "/api/ui/folders", Change(Editor)),
    (On::Doing, "/api/ui/", Change(Admin)),
    // Prometheus: queries may be long, so they come in bodies, too.
    (On::Doing, "/api/v1/query", Read(Viewer)),
    (On::Doing, "/api/v1/format_query$", Read(Viewer)),
    (On::Doing, "/api/v1/parse_query$", Read(Viewer)),
    (On::Doing, "/api/v1/labels$", Read(Viewer)),
    (On::Doing, "/api/v1/series$", Read(Viewer)),
    (On::Doing, "/api/v1/search/", Read(Viewer)),
    (On::Doing, "/api/v1/read$", Read(Viewer)),
    (On::Doing, "/api/v1/write$", Change(Editor)),
    (On::Doing, "/api/v1/push$", Change(Editor)),
    (On::Doing, "/api/v1/otlp/", Change(Editor)),
    (On::Doing, "/opentelemetry.", Change(Editor)),
    // Loki.
    (On::Doing, "/loki/api/v1/push$", Change(Editor)),
    (On::Doing, "/api/prom/push$", Change(Editor)),
    (On::Doing, "/otlp/", Change(Editor)),
    (On::Doing, "/loki/api/v1/rules", Change(Editor)),
    (On::Doing, "/api/prom/rules", Change(Editor)),
    (On::Any, "/loki/api/v1/delete", Change(Admin)),
    (On::Doing, "/loki/api/v1/", Read(Viewer)),
    (On::Doing, "/api/prom/", Read(Viewer)),
    (On::Any, "/flush", Change(Admin)),
    (On::Looking, "/config", Read(Admin)),
    // Alertmanager.
    (On::Doing, "/api/v2/", Change(Editor)),
    // Everything else.
    (On::Looking, "/api/", Read(Viewer)),
    (On::Looking, "/loki/", Read(Viewer)),
    (On::Looking, "/prometheus/", Read(Viewer)),
    (On::Looking, "/federate", Read(Viewer)),
    (On::Looking, "/version", Nothing),
    // Files of the application; what is shown in it comes from the paths above.
    (On::Looking, "/", Nothing),
];

/// What a request of a method for a path (without the route prefix) needs.
pub fn need(method: &Method, path: &str) -> Need {
    let is_looking = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let fits = |(on, rule, _): &&(On, &str, Need)| {
        let is_method = match on {
            On::Looking => is_looking,
            On::Doing => !is_looking,
            On::Any => true,
        };
        is_method
            && match rule.strip_suffix('$') {
                Some(whole) => path == whole,
                None => path.starts_with(rule),
            }
    };
    match RULES.iter().find(fits) {
        // Looking changes nothing, whatever the rule says of the rest.
        Some(&(On::Any, _, Change(role))) if is_looking => Read(role),
        Some(&(_, _, need)) => need,
        None => Change(Admin),
    }
}

/// Lets a request pass whose caller has the role it needs, and notes the caller for handlers.
pub async fn guard(State(screens): State<Arc<Screens>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let path =
        path.strip_prefix(screens.prefix.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let need = need(request.method(), path);
    let caller = match identify(&screens, request.headers()).await {
        Ok(caller) => caller,
        Err(failure) => return failure.into_response(),
    };
    if let Some(refusal) = refusal(need, &caller, request.headers()) {
        return refusal;
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Why a caller may not do what they ask for, if they may not.
fn refusal(need: Need, caller: &Caller, headers: &HeaderMap) -> Option<Response> {
    let (role, changes) = match need {
        Nothing => return None,
        Read(role) => (role, false),
        Change(role) => (role, true),
    };
    let forbidden = |why: String| Some(Failure(StatusCode::FORBIDDEN, why).into_response());
    if caller.role.is_none_or(|has| has < role) {
        let why = match (&caller.user, caller.role) {
            (Some(user), _) => {
                return forbidden(format!(
                    "{} is {}, and this needs {}",
                    user.login,
                    caller.role_name(),
                    role.as_str()
                ));
            }
            (None, Some(_)) => format!("log in: this needs {}", role.as_str()),
            (None, None) => {
                "log in, or send the name and password of a user (basic authentication)".to_owned()
            }
        };
        let mut response = Failure(StatusCode::UNAUTHORIZED, why).into_response();
        if !caller.is_browser {
            let basic = HeaderValue::from_static("Basic realm=\"bartizan\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        return Some(response);
    }
    // What a WebSocket says any page may read, as nothing else of this server.
    if websocket::key(headers).is_some() && is_foreign(caller, headers) {
        return forbidden("the connection is not asked for by one of this server's own pages".to_owned());
    }
    if changes && !is_wanted(caller, headers) {
        let why = "the request does not come from this server's own pages: send the header X-CSRF-Token with the csrfToken of /api/ui/session";
        return forbidden(why.to_owned());
    }
    None
}

/// Whether it is the user who wants a change. A browser sends cookies along with requests other pages
/// make, but lets those neither read the session's token nor hide where they come from.
fn is_wanted(caller: &Caller, headers: &HeaderMap) -> bool {
    let has_token = match &caller.csrf_token {
        Some(token) => text(headers, "x-csrf-token") == Some(token),
        None => true,
    };
    !caller.is_browser || has_token && !is_foreign(caller, headers)
}

/// Whether a page of somebody else has a browser send this.
fn is_foreign(caller: &Caller, headers: &HeaderMap) -> bool {
    let is_other_site = matches!(text(headers, "sec-fetch-site"), Some("cross-site" | "same-site"));
    let is_other_origin = text(headers, "origin").is_some_and(|origin| {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        text(headers, "host") != Some(host)
    });
    caller.is_browser && (is_other_site || is_other_origin)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_needs_what_it_should() {
        for (method, path, expected) in [
            ("GET", "/", Nothing),
            ("GET", "/assets/index.js", Nothing),
            ("GET", "/d/abc", Nothing),
            ("GET", "/-/healthy", Nothing),
            ("POST", "/-/reload", Change(Admin)),
            ("PUT", "/-/quit", Change(Admin)),
            ("GET", "/api/v1/query", Read(Viewer)),
            ("POST", "/api/v1/query_range", Read(Viewer)),
            ("POST", "/api/v1/admin/tsdb/delete_series", Change(Admin)),
            ("GET", "/api/operations/queries", Read(Viewer)),
            ("DELETE", "/api/operations/queries/1", Change(Admin)),
            ("GET", "/api/ui/users/1/sessions", Read(Admin)),
            ("POST", "/api/ui/datasources/test", Change(Admin)),
            ("POST", "/api/v1/write", Change(Editor)),
            ("POST", "/api/v1/writes", Change(Admin)),
            ("GET", "/api/v2/silences", Read(Viewer)),
            ("POST", "/api/v2/silences", Change(Editor)),
            ("DELETE", "/api/v2/silence/1", Change(Editor)),
            ("POST", "/loki/api/v1/query", Read(Viewer)),
            ("POST", "/loki/api/v1/push", Change(Editor)),
            ("GET", "/loki/api/v1/delete", Read(Admin)),
            ("DELETE", "/loki/api/v1/delete", Change(Admin)),
            ("GET", "/config", Read(Admin)),
            ("GET", "/prometheus/api/v1/rules", Read(Viewer)),
            ("POST", "/api/ui/login", Nothing),
            ("GET", "/api/ui/session", Nothing),
            ("DELETE", "/api/ui/session", Change(Viewer)),
            ("GET", "/api/ui/users", Read(Admin)),
            ("PUT", "/api/ui/users/1", Change(Admin)),
            ("GET", "/api/ui/search", Read(Viewer)),
            ("PUT", "/api/ui/user/password", Change(Viewer)),
            ("POST", "/api/ui/dashboards", Change(Editor)),
            ("DELETE", "/api/ui/folders/x", Change(Editor)),
            ("POST", "/api/ui/datasources", Change(Admin)),
            ("PUT", "/api/ui/datasources/x", Change(Admin)),
            ("POST", "/api/ui/proxy/x/api/v1/query", Change(Viewer)),
            ("PUT", "/api/ui/preferences", Change(Admin)),
            ("POST", "/what/there/is/not/yet", Change(Admin)),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(need(&method, path), expected, "{method} {path}");
        }
    }
}
