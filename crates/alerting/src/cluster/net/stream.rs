//! Streams: exchanges of all state, pings where packets get lost, and messages too large for packets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::message::{MAX_STREAM_BYTES, MessageError, Ping, StreamMessage};
use super::super::state::{LOG, Part, SILENCES};
use super::{Cluster, Host};

/// The most bytes that are read for one message: the state, and as much of members.
const MAX_MESSAGE_BYTES: usize = 2 * MAX_STREAM_BYTES;
/// How many bytes are read at once.
const READ_BYTES: usize = 64 << 10;

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// Reads one message.
async fn read(stream: &mut impl Stream, label: &str) -> io::Result<StreamMessage> {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; READ_BYTES]);
    let mut needed = 1;
    loop {
        while bytes.len() < needed {
            match stream.read(&mut chunk).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => bytes.extend_from_slice(&chunk[..len]),
            }
        }
        match StreamMessage::decode(&bytes, label) {
            Ok(message) => return Ok(message),
            Err(MessageError::Short(missing)) if bytes.len() + missing <= MAX_MESSAGE_BYTES => {
                needed = bytes.len() + missing;
            }
            Err(MessageError::Short(_)) => return Err(invalid(MessageError::Large)),
            Err(error) => return Err(invalid(error)),
        }
    }
}

async fn write(stream: &mut impl Stream, message: &StreamMessage, label: &str) -> io::Result<()> {
    stream.write_all(&message.encode(label)).await?;
    stream.flush().await
}

impl Cluster {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Stream>> {
        match &self.options.tls {
            None => Ok(Box::new(TcpStream::connect(to).await?)),
            Some(tls) => {
                let connected = tls.connect_stream(to).await;
                let counts = &self.transport;
                if connected.is_ok() {
                    counts.streams_sent.inc()
                } else {
                    counts.stream_errors.inc()
                }
                Ok(Box::new(connected?))
            }
        }
    }

    /// Does something within a time.
    async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Exchanges all state with another.
    pub(super) async fn exchange(self: Arc<Self>, host: Arc<impl Host>, to: SocketAddr, join: bool) {
        let asked = async {
            let mut stream = self.connect(to).await?;
            if let Some(message) = self.push(&host, join).await {
                write(&mut stream, &message, &self.options.label).await?;
            }
            read(&mut stream, &self.options.label).await
        };
        match Self::within(self.options.tcp_timeout, asked).await {
            Ok(StreamMessage::PushPull { members, state, .. }) => {
                self.work(&host, move |peer, core, now| peer.pulled(core, Some(to), members, &state, now))
                    .await;
                self.wake.notify_one();
                return;
            }
            Ok(StreamMessage::Error(error)) => tracing::warn!(peer = %to, "the peer refuses: {error}"),
            Ok(_) => tracing::warn!(peer = %to, "the peer answers something else than its state"),
            Err(error) => tracing::debug!(peer = %to, "exchanging state: {error}"),
        }
        self.peer.lock().exchange_failed(to);
    }

    /// Pings another over a stream.
    pub(super) async fn ping(self: Arc<Self>, to: SocketAddr, ping: Ping, limit: Duration) {
        let sequence = ping.sequence;
        let asked = async {
            let mut stream = self.connect(to).await?;
            write(&mut stream, &StreamMessage::Ping(ping), &self.options.label).await?;
            read(&mut stream, &self.options.label).await
        };
        if let Ok(StreamMessage::Ack(answered)) = Self::within(limit, asked).await
            && answered == sequence
        {
            self.peer.lock().stream_answered(sequence);
        }
    }

    /// Sends a message that is too large for packets.
    pub(super) async fn send_user(self: Arc<Self>, to: SocketAddr, part: Vec<u8>) {
        let Ok(_slot) = self.streams.clone().acquire_owned().await else { return };
        let counts = match Part::decode(&part) {
            Ok(Part { key: LOG, .. }) => Some(&self.transport.log),
            Ok(Part { key: SILENCES, .. }) => Some(&self.transport.silences),
            _ => None,
        };
        let begun = self.clock.monotonic();
        counts.inspect(|counts| counts.sent.inc());
        let message = StreamMessage::User(part.clone());
        let sent = async {
            let mut stream = self.connect(to).await?;
            write(&mut stream, &message, &self.options.label).await?;
            stream.shutdown().await
        };
        match Self::within(self.options.tcp_timeout, sent).await {
            Ok(()) => {
                let took = self.clock.monotonic().saturating_sub(begun);
                counts.inspect(|counts| counts.took.observe(took.as_secs_f64()));
            }
            Err(error) => {
                // The next exchange of state makes up for it.
                counts.inspect(|counts| counts.failed.inc());
                tracing::debug!(peer = %to, "sending a large message: {error}");
            }
        }
    }

    /// Accepts connections.
    pub(super) async fn accept(self: Arc<Self>, host: Arc<impl Host>, listener: TcpListener) {
        let slots = Arc::new(tokio::sync::Semaphore::new(super::MAX_STREAMS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!("accepting a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let (cluster, host) = (self.clone(), host.clone());
            tokio::spawn(async move {
                let served = match cluster.options.tls.clone() {
                    None => {
                        let limit = cluster.options.tcp_timeout;
                        Self::within(limit, cluster.serve(host, stream)).await
                    }
                    Some(tls) => cluster.serve_tls(&tls, host, stream).await,
                };
                if let Err(error) = served {
                    cluster.transport.read_errors.inc();
                    tracing::debug!(peer = %from, "serving a connection: {error}");
                }
                drop(slot);
            });
        }
    }

    /// Answers what comes over a stream.
    pub(super) async fn serve(
        self: &Arc<Self>,
        host: Arc<impl Host>,
        mut stream: impl Stream,
    ) -> io::Result<()> {
        let label = &self.options.label;
        let message = match read(&mut stream, label).await {
            Ok(message) => message,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let _ = write(&mut stream, &StreamMessage::Error(error.to_string()), label).await;
                }
                return Err(error);
            }
        };
        match message {
            StreamMessage::PushPull { join, members, state } => {
                if let Some(mine) = self.push(&host, join).await {
                    write(&mut stream, &mine, label).await?;
                }
                self.work(&host, move |peer, core, now| peer.pulled(core, None, members, &state, now)).await;
                self.wake.notify_one();
            }
            StreamMessage::Ping(ping) if ping.node.is_empty() || ping.node == self.name => {
                write(&mut stream, &StreamMessage::Ack(ping.sequence), label).await?;
            }
            StreamMessage::User(part) => {
                self.work(&host, move |peer, core, now| peer.user_message(core, &part, now)).await;
            }
            StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::Error(_) => {}
        }
        stream.shutdown().await
    }
}
