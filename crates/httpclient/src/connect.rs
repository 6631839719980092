//! From a URI to a connection: TCP, a proxy where one is needed, TLS where the scheme asks for it.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::proxy::Proxies;

/// How long a TCP connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer to a CONNECT request.
const CONNECT_ANSWER_BYTES: usize = 16 << 10;

/// Opens connections for hyper. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Arc<ClientConfig>,
    /// TLS to an `https` proxy: the same trust, without HTTP/2.
    pub(crate) proxy_tls: Arc<ClientConfig>,
    /// The name certificates must be for, if not the host's.
    pub(crate) server_name: Option<String>,
    pub(crate) proxies: Arc<Proxies>,
    /// Headers of CONNECT requests, as lines.
    pub(crate) proxy_headers: Arc<str>,
    /// The socket that stands for every host, if there is one.
    pub(crate) socket: Option<Arc<Path>>,
    /// Counts connections, if each is to go to the next address of a host.
    pub(crate) turn: Option<Arc<AtomicUsize>>,
}

/// A stream that is either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    http2: bool,
    /// Requests name the whole URL because a proxy reads them.
    through_proxy: bool,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Link>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> io::Result<Link> {
        let url = Url::parse(&uri.to_string())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let https = url.scheme() == "https";
        let host = url.host().map(|host| host.to_owned()).ok_or_else(|| invalid("no Host in request URL"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let (stream, through_proxy) = match self.proxies.for_target(https, &host, port) {
            None => (self.dial(&host, port).await?, false),
            Some(proxy) => self.through(proxy, &host, port, https).await?,
        };
        if !https {
            return Ok(Link { stream, http2: false, through_proxy });
        }
        let name = self.server_name.clone().unwrap_or_else(|| bare(&host));
        let (stream, http2) = encrypt(stream, &self.tls, name).await?;
        Ok(Link { stream, http2, through_proxy: false })
    }

    /// A connection to a host, or to the socket that stands for it.
    async fn dial(&self, host: &Host<String>, port: u16) -> io::Result<Box<dyn Stream>> {
        match &self.socket {
            Some(path) => Ok(Box::new(dial_socket(path).await?)),
            None => Ok(Box::new(dial(host, port, self.turn.as_deref()).await?)),
        }
    }

    /// Connects through `proxy`; answers whether requests must name the whole URL.
    async fn through(
        &self,
        proxy: &Url,
        host: &Host<String>,
        port: u16,
        https: bool,
    ) -> io::Result<(Box<dyn Stream>, bool)> {
        let proxy_host =
            proxy.host().map(|host| host.to_owned()).ok_or_else(|| invalid("proxy without host"))?;
        let default = if proxy.scheme().starts_with("socks5") { 1080 } else { 80 };
        let proxy_port = proxy.port_or_known_default().unwrap_or(default);
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("proxyconnect tcp: {error}"));
        let mut stream = self.dial(&proxy_host, proxy_port).await.map_err(failed)?;
        match proxy.scheme() {
            "socks5" | "socks5h" => {
                socks5(&mut stream, proxy, host, port).await.map_err(failed)?;
                return Ok((stream, false));
            }
            "https" => stream = encrypt(stream, &self.proxy_tls, bare(&proxy_host)).await.map_err(failed)?.0,
            _ => {}
        }
        if !https {
            return Ok((stream, true));
        }
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(basic) = basic(proxy) {
            request.push_str(&format!("Proxy-Authorization: {basic}\r\n"));
        }
        request.push_str(&self.proxy_headers);
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        read_connect_answer(&mut stream).await.map_err(failed)?;
        Ok((stream, false))
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.to_owned())
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &Host<String>) -> String {
    match host {
        Host::Ipv6(ip) => ip.to_string(),
        host => host.to_string(),
    }
}

/// User and password of a proxy's URL as a header value.
pub(crate) fn basic(proxy: &Url) -> Option<String> {
    if proxy.username().is_empty() && proxy.password().is_none() {
        return None;
    }
    let pair = format!("{}:{}", decode(proxy.username()), decode(proxy.password().unwrap_or_default()));
    Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

/// Percent-decoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex.filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Connects to a Unix domain socket.
async fn dial_socket(path: &Path) -> io::Result<UnixStream> {
    let failed = |kind, cause: &str| io::Error::new(kind, format!("dial unix {}: {cause}", path.display()));
    match tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(error.kind(), &format!("connect: {}", reason(&error)))),
        Err(_) => Err(failed(io::ErrorKind::TimedOut, "i/o timeout")),
    }
}

/// Opens a TCP connection to the first address that answers; with `turn`, beginning at another one each time.
async fn dial(host: &Host<String>, port: u16, turn: Option<&AtomicUsize>) -> io::Result<TcpStream> {
    let mut addresses: Vec<std::net::SocketAddr> = match host {
        Host::Ipv4(ip) => vec![std::net::SocketAddr::new((*ip).into(), port)],
        Host::Ipv6(ip) => vec![std::net::SocketAddr::new((*ip).into(), port)],
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            found
                .map_err(|_| {
                    io::Error::new(io::ErrorKind::NotFound, format!("dial tcp: lookup {name}: no such host"))
                })?
                .collect()
        }
    };
    if let (Some(turn), false) = (turn, addresses.is_empty()) {
        let first = turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
        addresses.rotate_left(first);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("dial tcp: lookup {host}: no such host"));
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => {
                last =
                    io::Error::new(error.kind(), format!("dial tcp {address}: connect: {}", reason(&error)))
            }
            Err(_) => {
                last = io::Error::new(io::ErrorKind::TimedOut, format!("dial tcp {address}: i/o timeout"))
            }
        }
    }
    Err(last)
}

/// The system's reason without Rust's number behind it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

async fn encrypt(
    stream: Box<dyn Stream>,
    tls: &Arc<ClientConfig>,
    name: String,
) -> io::Result<(Box<dyn Stream>, bool)> {
    let name = ServerName::try_from(name.clone())
        .map_err(|_| invalid(&format!("tls: invalid server name {name:?}")))?;
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("tls: {error}"));
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(failed)?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Box::new(stream), http2))
}

/// Reads the head of the answer to CONNECT, byte by byte so that nothing behind it is taken.
async fn read_connect_answer(stream: &mut Box<dyn Stream>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= CONNECT_ANSWER_BYTES {
            return Err(io::Error::other("the proxy's answer is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default().split_once(' ').map_or("", |(_, status)| status);
    if status.starts_with("200") { Ok(()) } else { Err(io::Error::other(status.trim().to_owned())) }
}

/// The SOCKS 5 handshake (RFC 1928), with user and password (RFC 1929) if the URL has them. Names are
/// resolved by the proxy.
async fn socks5(stream: &mut Box<dyn Stream>, proxy: &Url, host: &Host<String>, port: u16) -> io::Result<()> {
    let (user, password) = (decode(proxy.username()), decode(proxy.password().unwrap_or_default()));
    let method = if user.is_empty() { 0 } else { 2 };
    stream.write_all(&[5, 1, method]).await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    if answer != [5, method] {
        return Err(io::Error::other("the SOCKS proxy accepts no authentication method offered"));
    }
    let short = |text: &str| u8::try_from(text.len()).map_err(|_| invalid("too long for SOCKS"));
    if method == 2 {
        let mut login = vec![1, short(&user)?];
        login.extend_from_slice(user.as_bytes());
        login.push(short(&password)?);
        login.extend_from_slice(password.as_bytes());
        stream.write_all(&login).await?;
        stream.read_exact(&mut answer).await?;
        if answer[1] != 0 {
            return Err(io::Error::other("the SOCKS proxy refused user and password"));
        }
    }
    let mut request = vec![5, 1, 0];
    match host {
        Host::Ipv4(ip) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Host::Ipv6(ip) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        Host::Domain(name) => {
            request.extend_from_slice(&[3, short(name)?]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    if head[1] != 0 {
        return Err(io::Error::other(format!("the SOCKS proxy could not connect (code {})", head[1])));
    }
    let address_len = match head[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(stream.read_u8().await?),
    };
    let mut bound = vec![0; address_len + 2];
    stream.read_exact(&mut bound).await.map(drop)
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.through_proxy);
        if self.http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
