//! Requests to data sources, made by this server on behalf of who is asking.
//!
//! A browser never learns secrets of a data source nor where it is, and what is not allowed on this server's own
//! paths is not allowed on those of others. [`live`] passes on what stays open: live logs.

mod live;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base::clock::SharedClock;
use config::{BasicAuth, HttpClientConfig, Secret};
use httpclient::{Client, ClientError};
use parking_lot::Mutex;
use serde_json::Value;
use state::sources::{Source, SourceKind};

use super::access::{Need, need};
use super::caller::Caller;
use super::{Failure, Shared};
use crate::websocket;

pub(super) use live::MAX_CONNECTIONS as MAX_LIVE;

/// How long a data source may take, unless its setting `timeout` (seconds) says otherwise.
const DEFAULT_TIMEOUT_S: u64 = 60;
const MAX_TIMEOUT_S: u64 = 10 * 60;
/// What of a request is sent on; in particular no cookies.
const SENT: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    // Whether servers of logs tell labels apart by where they come from.
    HeaderName::from_static("x-loki-response-encoding-flags"),
];
/// What of an answer comes back.
const RETURNED: [HeaderName; 3] = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::RETRY_AFTER];

/// A client for each data source: with its connections, and what it logs in with.
pub struct Clients {
    clock: SharedClock,
    clients: Mutex<HashMap<String, Arc<Target>>>,
}

/// A data source that can be asked.
struct Target {
    client: Client,
    /// The same without HTTP/2, in which a connection does not change its protocol.
    live_client: Client,
    kind: SourceKind,
    /// Without a slash at its end.
    url: String,
    headers: HeaderMap,
    timeout: Duration,
}

impl Clients {
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, clients: Mutex::default() }
    }

    /// Has the next request use what is stored of a data source by then.
    pub fn forget(&self, uid: &str) {
        self.clients.lock().remove(uid);
    }

    /// The same for all.
    pub fn forget_all(&self) {
        self.clients.lock().clear();
    }

    fn known(&self, uid: &str) -> Option<Arc<Target>> {
        self.clients.lock().get(uid).cloned()
    }

    fn make(&self, source: &Source, secrets: &BTreeMap<String, String>) -> Result<Arc<Target>, Failure> {
        let target = Arc::new(Target::new(source, secrets, self.clock.clone())?);
        self.clients.lock().insert(source.uid.clone(), target.clone());
        Ok(target)
    }
}

impl Target {
    fn new(source: &Source, secrets: &BTreeMap<String, String>, clock: SharedClock) -> Result<Self, Failure> {
        if source.url.is_empty() {
            return Err(Failure::bad(format!(
                "{:?} is this server itself: ask it without the proxy",
                source.name
            )));
        }
        let text = |key: &str| source.settings.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_set = |key: &str| source.settings.get(key).and_then(Value::as_bool).unwrap_or_default();
        let secret = |key: &str| Secret::new(secrets.get(key).cloned().unwrap_or_default());
        let mut config = HttpClientConfig::default();
        if !text("basicAuthUser").is_empty() {
            let username = text("basicAuthUser").to_owned();
            config.basic_auth =
                Some(BasicAuth { username, password: secret("basicAuthPassword"), ..BasicAuth::default() });
        }
        config.tls_config.insecure_skip_verify = is_set("tlsSkipVerify");
        if is_set("tlsAuthWithCACert") {
            config.tls_config.ca = secret("tlsCACert").expose().to_owned();
        }
        if is_set("tlsAuth") {
            config.tls_config.cert = secret("tlsClientCert").expose().to_owned();
            config.tls_config.key = secret("tlsClientKey");
        }
        if is_set("tlsAuth") || is_set("tlsAuthWithCACert") {
            config.tls_config.server_name = text("serverName").to_owned();
        }
        let bad = |what: &str, error: &dyn std::fmt::Display| {
            Failure(StatusCode::BAD_GATEWAY, format!("data source {:?}: {what}: {error}", source.name))
        };
        let make = |config: &HttpClientConfig| {
            Client::new(config, clock.clone()).map_err(|error| bad("its settings", &error))
        };
        let client = make(&config)?;
        config.enable_http2 = false;
        let live_client = make(&config)?;
        let mut headers = HeaderMap::new();
        // `httpHeaderName1` and the secret `httpHeaderValue1`, and so on.
        for (key, name) in source.settings.iter().filter(|(key, _)| key.starts_with("httpHeaderName")) {
            let name = name.as_str().unwrap_or_default().trim();
            if name.is_empty() {
                continue;
            }
            let value = secrets.get(&key.replace("Name", "Value")).map(String::as_str).unwrap_or_default();
            let name = HeaderName::try_from(name).map_err(|error| bad(key, &error))?;
            headers.append(name, HeaderValue::from_str(value).map_err(|error| bad(key, &error))?);
        }
        let seconds = source
            .settings
            .get("timeout")
            .and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let timeout = Duration::from_secs(seconds.unwrap_or(DEFAULT_TIMEOUT_S).clamp(1, MAX_TIMEOUT_S));
        let url = source.url.trim_end_matches('/').to_owned();
        Ok(Self { client, live_client, kind: source.kind, url, headers, timeout })
    }

    /// The headers of a request for it: those of the settings, and some of those that came.
    fn sent(&self, came: &HeaderMap) -> HeaderMap {
        let mut sent = self.headers.clone();
        for name in SENT {
            if let (false, Some(value)) = (sent.contains_key(&name), came.get(&name)) {
                sent.insert(name, value.clone());
            }
        }
        sent
    }

    /// A path of the API that every server of a kind answers, and that costs it nothing.
    fn probe(&self) -> &'static str {
        match self.kind {
            SourceKind::Prometheus => "/api/v1/status/buildinfo",
            SourceKind::Loki => "/loki/api/v1/labels",
            SourceKind::Alertmanager => "/api/v2/status",
        }
    }

    /// Below which path the API of a kind lies.
    fn api(&self) -> &'static str {
        match self.kind {
            SourceKind::Prometheus => "/api/v1/",
            SourceKind::Loki => "/loki/api/v1/",
            SourceKind::Alertmanager => "/api/v2/",
        }
    }
}

/// `/proxy/{uid}/{path}`: asks a data source.
pub(super) async fn forward(
    State(screens): Shared,
    Extension(caller): Extension<Caller>,
    Path((uid, _)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let target = match screens.clients.known(&uid) {
        Some(target) => target,
        None => {
            let asked = uid.clone();
            let (source, secrets) = screens.blocking(move |store| store.source(&asked)).await?;
            screens.clients.make(&source, &secrets)?
        }
    };
    // As it was sent: what is escaped stays escaped.
    let path = inner_path(request.uri().path())?;
    if !path.starts_with(target.api()) {
        return Err(Failure::bad(format!("only paths below {} are asked, not {path}", target.api())));
    }
    let (Need::Read(role) | Need::Change(role)) = need(request.method(), path) else {
        return Err(Failure::bad(format!("{path} is not asked for others")));
    };
    if caller.role.is_none_or(|has| has < role) {
        let why = format!("this needs {}, not {}", role.as_str(), caller.role_name());
        return Err(Failure(StatusCode::FORBIDDEN, why));
    }
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let url = format!("{}{path}{query}", target.url);
    let sent = target.sent(request.headers());
    if websocket::key(request.headers()).is_some() {
        return live::pass(&screens, &target, request, &uid, (url, sent)).await;
    }
    let method = request.method().clone();
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|rejection| Failure(rejection.status(), rejection.body_text()))?;
    let request = httpclient::Request::new(method, url, target.timeout);
    let answer = target.client.send(request.headers(&sent).body(body)).await;
    Ok(returned(answer.map_err(|error| unanswered(&uid, &error))?))
}

/// Why a data source did not answer.
fn unanswered(uid: &str, error: &ClientError) -> Failure {
    let status = if error.is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
    Failure(status, format!("data source {uid:?}: {error}"))
}

/// How long a test of a data source may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that a test reads.
const MAX_TESTED_BYTES: usize = 1 << 20;
/// What is shown of an answer that is none.
const MAX_SHOWN_BYTES: usize = 300;

/// `POST /datasources/test`: asks a server as a data source with these settings would, without storing anything.
/// Secrets that are not given are those that are stored under the same identifier. `{"message": "…"}`, or a failure
/// that says what went wrong.
pub(super) async fn test(
    State(screens): Shared,
    super::Body(asked): super::Body<super::sources::ToStore>,
) -> super::Answer<Value> {
    let (source, given) = (asked.source, asked.secrets);
    let uid = source.uid.clone();
    let stored = screens.blocking(move |store| store.source(&uid)).await;
    // What was typed for another address must not be sent to this one.
    let stored = stored.ok().filter(|(stored, _)| stored.url == source.url);
    let mut secrets = stored.map(|(_, secrets)| secrets).unwrap_or_default();
    secrets.extend(given);
    let target = Target::new(&source, &secrets, screens.clock.clone())?;
    let url = format!("{}{}", target.url, target.probe());
    let timeout = target.timeout.min(TEST_TIMEOUT);
    let request = httpclient::Request::new(Method::GET, url.clone(), timeout).headers(&target.headers);
    let failed = |why: String| Failure(StatusCode::BAD_GATEWAY, format!("{url}: {why}"));
    let mut answer = target.client.send(request).await.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(error.to_string()))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_TESTED_BYTES {
            return Err(failed("the answer is longer than that of such a server".to_owned()));
        }
    }
    let text = String::from_utf8_lossy(&body);
    if !status.is_success() {
        let shown: String = text.chars().take(MAX_SHOWN_BYTES).collect();
        return Err(failed(format!("the server answered with status {status}: {shown}")));
    }
    let parsed: Result<Value, _> = serde_json::from_slice(&body);
    let parsed = parsed.map_err(|_| failed("the answer is no JSON: is it the right address?".to_owned()))?;
    let version =
        ["/data/version", "/versionInfo/version"].iter().find_map(|at| parsed.pointer(at)?.as_str());
    let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
    Ok(axum::Json(serde_json::json!({ "message": format!("the server answers{version}") })))
}

fn returned(answer: httpclient::Response) -> Response {
    let mut headers = HeaderMap::new();
    for name in RETURNED {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let status = match answer.status() {
        // It is this server that did not get in, not who is asking: their browser would send them to log in.
        StatusCode::UNAUTHORIZED => StatusCode::BAD_GATEWAY,
        status => status,
    };
    let chunks = futures_util::stream::try_unfold(answer, async |mut answer| {
        Ok::<_, httpclient::ClientError>(answer.chunk().await?.map(|chunk| (chunk, answer)))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What stands behind the identifier in `…/proxy/{uid}/…`, with a slash before it.
fn inner_path(path: &str) -> Result<&str, Failure> {
    let inner = path.split_once("/proxy/").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let inner = inner.ok_or_else(|| Failure::bad("the path of the data source is missing"))?;
    let lowered = inner.to_ascii_lowercase().replace("%2e", ".");
    if lowered.split(['/', '\\']).any(|step| matches!(step, "." | "..")) {
        return Err(Failure::bad("a path with steps up or to itself is not asked"));
    }
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::inner_path;

    #[test]
    fn paths_stay_below_the_data_source() {
        assert_eq!(inner_path("/proxy/a/api/v1/query").ok(), Some("/api/v1/query"));
        assert_eq!(
            inner_path("/x/api/ui/proxy/a/api/v1/label/a%2Fb/values").ok(),
            Some("/api/v1/label/a%2Fb/values")
        );
        for path in ["/proxy/a/api/v1/../admin", "/proxy/a/api/v1/%2E%2e/x", "/proxy/a/./b", "/proxy/a"] {
            assert!(inner_path(path).is_err(), "{path}");
        }
    }
}
