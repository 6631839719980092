//! Listening: connections, TLS, authentication, orderly end.

mod auth;
mod request_line;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::auth::Authenticator;
pub use self::auth::User;
use self::request_line::Escaped;
pub use self::tls::{ClientDemand, Clients, Pem, TlsOptions, acceptor};

/// How long an orderly end waits for requests in flight.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Settings of the listener; names are those of the flags and of the web configuration file.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Addresses to listen on, `host:port` or `:port`.
    pub listen_addresses: Vec<String>,
    /// Connections served at once over all addresses; more wait.
    pub max_connections: usize,
    /// Time a client may take to send its request's headers, and a connection may idle.
    pub read_timeout: Duration,
    /// TLS, if it is on.
    pub tls: Option<TlsOptions>,
}

/// What may change while the server runs.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Who may use the server; empty for everybody.
    pub users: Vec<User>,
    /// Headers added to every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is taken or not ours.
    #[error("listen on {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A certificate or key.
    #[error("{0}")]
    Tls(String),
}

/// A bound server, ready to run.
pub struct Server {
    listeners: Vec<TcpListener>,
    options: ServerOptions,
    tls: Option<tokio_rustls::TlsAcceptor>,
    security: Arc<ArcSwap<Security>>,
}

impl Server {
    /// Binds all addresses and loads the certificate, so that mistakes show before anything starts.
    pub async fn bind(options: ServerOptions, security: Arc<ArcSwap<Security>>) -> Result<Self, ServeError> {
        let mut listeners = Vec::new();
        for address in &options.listen_addresses {
            let full = if address.starts_with(':') { format!("[::]{address}") } else { address.clone() };
            let bound = TcpListener::bind(&full).await;
            // A machine without IPv6 still has every IPv4 address.
            let bound = match bound {
                Err(_) if address.starts_with(':') => TcpListener::bind(format!("0.0.0.0{address}")).await,
                other => other,
            };
            listeners.push(bound.map_err(|error| ServeError::Listen { address: address.clone(), error })?);
        }
        Self::of(listeners, options, security)
    }

    /// Takes sockets that listen already, in place of the addresses of the options.
    pub fn adopt(
        sockets: Vec<std::net::TcpListener>,
        options: ServerOptions,
        security: Arc<ArcSwap<Security>>,
    ) -> Result<Self, ServeError> {
        let adopted = |socket: std::net::TcpListener| {
            socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)).map_err(|error| {
                ServeError::Listen { address: "a socket that was handed over".to_owned(), error }
            })
        };
        let listeners = sockets.into_iter().map(adopted).collect::<Result<_, _>>()?;
        Self::of(listeners, options, security)
    }

    fn of(
        listeners: Vec<TcpListener>,
        options: ServerOptions,
        security: Arc<ArcSwap<Security>>,
    ) -> Result<Self, ServeError> {
        let tls = options.tls.as_ref().map(tls::acceptor).transpose().map_err(ServeError::Tls)?;
        Ok(Self { listeners, options, tls, security })
    }

    /// The addresses in use, with the ports that were chosen where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves `router` until `shutdown` completes, then finishes the requests in flight.
    pub async fn run(self, router: Router, shutdown: impl Future<Output = ()>) {
        let authenticator = Arc::new(Authenticator::new(self.security.clone()));
        let security = self.security.clone();
        let router = router
            .layer(middleware::from_fn_with_state(authenticator, auth::require_user))
            .layer(middleware::from_fn_with_state(security, add_headers));
        let connections = Arc::new(Connections {
            router,
            slots: Arc::new(Semaphore::new(self.options.max_connections.max(1))),
            tls: self.tls,
            stopping: watch::Sender::new(false),
            read_timeout: self.options.read_timeout,
        });
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            let connections = connections.clone();
            accepting.spawn(async move { connections.accept_all(listener).await });
        }
        shutdown.await;
        accepting.shutdown().await;
        // The accept loops have ended, and with them all other holders.
        let Ok(connections) = Arc::try_unwrap(connections) else { return };
        connections.stopping.send_replace(true);
        if tokio::time::timeout(DRAIN_LIMIT, connections.stopping.closed()).await.is_err() {
            tracing::warn!(
                limit_s = DRAIN_LIMIT.as_secs(),
                "requests were still in flight when the server ended"
            );
        }
    }
}

/// Serves a connection to its end, which comes soon once the server stops. What a connection was upgraded to lives on
/// by itself.
macro_rules! drive {
    ($connection:expr, $stopping:expr) => {{
        let (mut connection, mut stopping) = (std::pin::pin!($connection), $stopping);
        let ended = tokio::select! {
            outcome = connection.as_mut() => Some(outcome),
            _ = stopping.wait_for(|stopping| *stopping) => None,
        };
        match ended {
            Some(outcome) => outcome,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }};
}

struct Connections {
    router: Router,
    slots: Arc<Semaphore>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    /// Tells connections to end after the request they are at; closed when none is left.
    stopping: watch::Sender<bool>,
    read_timeout: Duration,
}

impl Connections {
    async fn accept_all(&self, listener: TcpListener) {
        loop {
            let Ok(slot) = self.slots.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => self.serve(stream, slot),
                Err(error) => {
                    // Out of file descriptors, most likely: waiting is all that helps.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, slot: tokio::sync::OwnedSemaphorePermit) {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.read_timeout);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(self.read_timeout));
        let service = TowerToHyperService::new(self.router.clone());
        let (tls, stopping, limit) = (self.tls.clone(), self.stopping.subscribe(), self.read_timeout);
        tokio::spawn(async move {
            let _slot = slot;
            // Without it small answers wait for the acknowledgement of the ones before; a socket that
            // refuses the option works all the same.
            let _ = stream.set_nodelay(true);
            let outcome = match tls {
                None => {
                    let io = TokioIo::new(Escaped::new(stream));
                    drive!(builder.serve_connection_with_upgrades(io, service), stopping)
                }
                Some(tls) => match tokio::time::timeout(limit, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let io = TokioIo::new(Escaped::new(stream));
                        drive!(builder.serve_connection_with_upgrades(io, service), stopping)
                    }
                    Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => return tracing::debug!("TLS handshake timed out"),
                },
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

async fn add_headers(
    axum::extract::State(security): axum::extract::State<Arc<ArcSwap<Security>>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(security.load().headers.iter().cloned());
    response
}
