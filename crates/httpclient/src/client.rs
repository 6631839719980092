//! Requests, redirects and capped bodies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use base::clock::SharedClock;
use bytes::Bytes;
use config::{HttpClientConfig, TlsConfig};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use url::Url;

use crate::auth::Auth;
use crate::connect::{Connector, basic};
use crate::error::{ClientError, chain, describe};
use crate::files::{Signature, Text};
use crate::proxy::Proxies;
use crate::tls;

/// Redirects followed before giving up.
const MAX_REDIRECTS: usize = 10;
/// How long an idle connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Idle connections kept for one host.
const IDLE_PER_HOST: usize = 1000;

/// An HTTP client with one set of options. Cloning is cheap and shares connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Route,
    follow_redirects: bool,
    auth: Auth,
    headers: Vec<(HeaderName, Text)>,
    transport: Mutex<Transport>,
}

/// How connections are opened.
#[derive(Debug)]
struct Route {
    tls: TlsConfig,
    http2: bool,
    proxies: Arc<Proxies>,
    proxy_headers: Arc<str>,
    socket: Option<Arc<Path>>,
    turn: Option<Arc<AtomicUsize>>,
}

/// Connections, and the certificate files they were opened with.
#[derive(Debug, Clone)]
struct Transport {
    pool: Pool<Connector, Full<Bytes>>,
    files: Vec<Option<Signature>>,
}

/// A request that can be sent more than once, as redirects need.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
}

impl Request {
    /// A request without body. `timeout` covers everything up to the last byte of the answer's body.
    pub fn new(method: Method, url: impl Into<String>, timeout: Duration) -> Self {
        Self { method, url: url.into(), headers: HeaderMap::new(), body: Bytes::new(), timeout }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>, timeout: Duration) -> Self {
        Self::new(Method::GET, url, timeout)
    }

    /// The request with a header; one of the same name is replaced.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The request with these headers on top.
    #[must_use]
    pub fn headers(mut self, headers: &HeaderMap) -> Self {
        self.headers.extend(headers.clone());
        self
    }

    /// The request with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    upgrade: OnUpgrade,
    deadline: Instant,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The value of a header that is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status as Go writes it: `200 OK`.
    pub fn status_line(&self) -> String {
        let reason = self.status.canonical_reason().unwrap_or_default();
        format!("{} {reason}", self.status.as_str()).trim_end().to_owned()
    }

    /// Appends the body as it was sent (a compressed one stays so) to `out`, at most `limit_bytes` of it.
    /// A larger body is an error; what was read of it is in `out`.
    pub async fn read_body(&mut self, out: &mut Vec<u8>, limit_bytes: usize) -> Result<(), ClientError> {
        let start = out.len();
        while let Some(chunk) = self.chunk().await? {
            if out.len() - start + chunk.len() > limit_bytes {
                out.extend_from_slice(&chunk[..limit_bytes - (out.len() - start)]);
                return Err(ClientError::BodyTooLarge { limit_bytes });
            }
            out.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// The connection, after the server agreed with `101 Switching Protocols` to speak another protocol on it. Ask for
    /// that without HTTP/2.
    pub async fn upgrade(self) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send, ClientError> {
        let connection = tokio::time::timeout_at(self.deadline, self.upgrade).await;
        let connection = connection.map_err(|_| ClientError::BodyTimeout)?;
        connection.map(TokioIo::new).map_err(|error| ClientError::Body(chain(&error)))
    }

    /// The next piece of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout_at(self.deadline, self.body.frame()).await;
            match frame.map_err(|_| ClientError::BodyTimeout)? {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers are not part of the body.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) if is_cut_off(&error) => {
                    return Err(ClientError::Body("unexpected EOF".to_owned()));
                }
                Some(Err(error)) => return Err(ClientError::Body(chain(&error))),
            }
        }
    }
}

impl Client {
    /// A client with these options. Fails when a certificate file cannot be used; secret files are read
    /// with each request. `clock` tells when tokens expire.
    pub fn new(config: &HttpClientConfig, clock: SharedClock) -> Result<Self, ClientError> {
        Self::build(config, clock, None, None)
    }

    /// A client as [`Client::new`] whose connections take the addresses of a host in turn.
    pub fn round_robin(config: &HttpClientConfig, clock: SharedClock) -> Result<Self, ClientError> {
        Self::build(config, clock, None, Some(Arc::default()))
    }

    /// A client as [`Client::new`] that connects to a Unix domain socket, whatever host a URL names.
    pub fn over_socket(
        config: &HttpClientConfig,
        clock: SharedClock,
        socket: &Path,
    ) -> Result<Self, ClientError> {
        Self::build(config, clock, Some(socket.into()), None)
    }

    fn build(
        config: &HttpClientConfig,
        clock: SharedClock,
        socket: Option<Arc<Path>>,
        turn: Option<Arc<AtomicUsize>>,
    ) -> Result<Self, ClientError> {
        let env = |name: &str| std::env::var(name).ok();
        let route = Route {
            tls: config.tls_config.clone(),
            http2: config.enable_http2,
            proxies: Arc::new(Proxies::new(&config.proxy, &env)?),
            proxy_headers: proxy_headers(config)?,
            socket,
            turn,
        };
        let transport = Mutex::new(route.open()?);
        Ok(Self(Arc::new(Inner {
            route,
            follow_redirects: config.follow_redirects,
            auth: Auth::new(config, &clock)?,
            headers: fixed_headers(config)?,
            transport,
        })))
    }

    /// Sends a request, following redirects if the options say so, and answers once the head of the
    /// response is there.
    pub async fn send(&self, request: Request) -> Result<Response, ClientError> {
        let deadline = Instant::now() + request.timeout;
        let method = go_method(&request.method);
        let shown =
            config::Url::parse(&request.url).map_or_else(|_| request.url.clone(), |url| url.redacted());
        match tokio::time::timeout_at(deadline, self.follow(request, &method, &shown)).await {
            Ok(Ok((head, body))) => {
                let mut response = http::Response::from_parts(head, body);
                let upgrade = hyper::upgrade::on(&mut response);
                let (head, body) = response.into_parts();
                Ok(Response { status: head.status, headers: head.headers, body, upgrade, deadline })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ClientError::Timeout { method, url: shown }),
        }
    }

    async fn follow(
        &self,
        mut request: Request,
        method: &str,
        shown: &str,
    ) -> Result<(http::response::Parts, Incoming), ClientError> {
        let exchange = |cause: String, may_have_arrived| ClientError::Exchange {
            method: method.to_owned(),
            url: shown.to_owned(),
            cause,
            may_have_arrived,
        };
        let failed = |cause: String| exchange(cause, false);
        let mut url = Url::parse(&request.url).map_err(|error| failed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed(format!("unsupported protocol scheme {:?}", url.scheme())));
        }
        let origin = url.origin();
        for _ in 0..=MAX_REDIRECTS {
            // Credentials go to the host they were meant for and nowhere else.
            let at_home = url.origin() == origin;
            let sent = self.send_once(&request, &url, at_home).await?;
            let sent = sent.map_err(|error| exchange(describe(&error), !error.is_connect()))?;
            let (head, body) = sent.into_parts();
            let location = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let keeps_method = match head.status.as_u16() {
                301..=303 => false,
                307 | 308 => true,
                _ => return Ok((head, body)),
            };
            let Some(location) = location.filter(|_| self.0.follow_redirects) else {
                return Ok((head, body));
            };
            url = url
                .join(location)
                .map_err(|error| failed(format!("failed to parse Location header {location:?}: {error}")))?;
            if !keeps_method && request.method != Method::HEAD {
                request.method = Method::GET;
                request.body = Bytes::new();
                request.headers.remove(header::CONTENT_TYPE);
            }
        }
        Err(failed(format!("stopped after {MAX_REDIRECTS} redirects")))
    }

    async fn send_once(
        &self,
        request: &Request,
        url: &Url,
        at_home: bool,
    ) -> Result<Result<http::Response<Incoming>, hyper_util::client::legacy::Error>, ClientError> {
        let inner = &*self.0;
        let mut outgoing = http::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        let (address, user_info) = without_user_info(url);
        *outgoing.uri_mut() =
            address.as_str().parse().map_err(|error| ClientError::Request(format!("{error}")))?;
        let headers = outgoing.headers_mut();
        headers.extend(request.headers.clone());
        if !at_home {
            headers.remove(header::AUTHORIZATION);
            headers.remove(header::COOKIE);
        }
        if at_home {
            for (name, text) in &inner.headers {
                headers.append(name, header_value(text.get()?.expose())?);
            }
            if !headers.contains_key(header::AUTHORIZATION)
                && let Some(value) = inner.auth.header().await?
            {
                headers.insert(header::AUTHORIZATION, value);
            }
        }
        if !headers.contains_key(header::AUTHORIZATION)
            && let Some(basic) = user_info
        {
            headers.insert(header::AUTHORIZATION, header_value(&basic)?);
        }
        self.authenticate_to_proxy(url, headers)?;
        let pool = inner.transport()?;
        Ok(pool.request(outgoing).await)
    }

    /// Requests of plain HTTP are read by the proxy, so they carry its credentials themselves.
    fn authenticate_to_proxy(&self, url: &Url, headers: &mut HeaderMap) -> Result<(), ClientError> {
        let Some(host) = url.host().map(|host| host.to_owned()).filter(|_| url.scheme() == "http") else {
            return Ok(());
        };
        let port = url.port_or_known_default().unwrap_or(80);
        let proxy = self.0.route.proxies.for_target(false, &host, port);
        if let Some(basic) = proxy.filter(|proxy| proxy.scheme().starts_with("http")).and_then(basic) {
            headers.insert(header::PROXY_AUTHORIZATION, header_value(&basic)?);
        }
        Ok(())
    }
}

impl Inner {
    /// The connections, opened anew after a certificate file changed.
    fn transport(&self) -> Result<Pool<Connector, Full<Bytes>>, ClientError> {
        let mut transport = self.transport.lock();
        if !transport.files.is_empty() && tls::signatures(&self.route.tls) != transport.files {
            *transport = self.route.open()?;
        }
        Ok(transport.pool.clone())
    }
}

impl Route {
    fn open(&self) -> Result<Transport, ClientError> {
        let alpn: &[&[u8]] = if self.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let built = tls::build(&self.tls, alpn)?;
        let mut proxy_tls = (*built.rustls).clone();
        proxy_tls.alpn_protocols.clear();
        let connector = Connector {
            tls: built.rustls,
            proxy_tls: Arc::new(proxy_tls),
            server_name: Some(self.tls.server_name.clone()).filter(|name| !name.is_empty()),
            proxies: self.proxies.clone(),
            proxy_headers: self.proxy_headers.clone(),
            socket: self.socket.clone(),
            turn: self.turn.clone(),
        };
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(connector);
        Ok(Transport { pool, files: built.files })
    }
}

/// Whether the peer ended the connection in the middle of the body.
fn is_cut_off(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    let cause = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_incomplete_message() || cause.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// `GET` as Go's errors write it: `Get`.
fn go_method(method: &Method) -> String {
    let text = method.as_str();
    text[..1].to_owned() + &text[1..].to_lowercase()
}

fn header_value(text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::try_from(text)
        .map_err(|_| ClientError::Request("a header value holds characters that no header can".to_owned()))
}

/// The URL without user and password, and those as a header value.
fn without_user_info(url: &Url) -> (Url, Option<String>) {
    let basic = basic(url);
    let mut bare = url.clone();
    if basic.is_some() {
        // These only fail for URLs without a host, which `send` has refused.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
    }
    bare.set_fragment(None);
    (bare, basic)
}

/// The headers every request carries.
fn fixed_headers(config: &HttpClientConfig) -> Result<Vec<(HeaderName, Text)>, ClientError> {
    let mut headers = Vec::new();
    for (name, values) in &config.http_headers {
        let parsed = HeaderName::try_from(name.as_str());
        let parsed =
            parsed.map_err(|_| ClientError::Request(format!("{name:?} is not a valid header name")))?;
        let given = values
            .values
            .iter()
            .map(|value| config::Secret::new(value.as_str()))
            .chain(values.secrets.iter().cloned());
        headers.extend(given.map(|value| (parsed.clone(), Text::Given(value))));
        let files =
            values.files.iter().map(|file| Text::new(&config::Secret::default(), "http header file", file));
        headers.extend(files.map(|text| (parsed.clone(), text)));
    }
    Ok(headers)
}

/// The lines added to CONNECT requests.
fn proxy_headers(config: &HttpClientConfig) -> Result<Arc<str>, ClientError> {
    let mut lines = String::new();
    for (name, values) in &config.proxy.proxy_connect_header {
        let parsed = HeaderName::try_from(name.as_str());
        parsed.map_err(|_| ClientError::Request(format!("{name:?} is not a valid header name")))?;
        for value in values {
            // Checked as a header value, so that it cannot smuggle in a line break.
            header_value(value.expose())?;
            lines.push_str(&format!("{name}: {}\r\n", value.expose()));
        }
    }
    Ok(lines.into())
}
