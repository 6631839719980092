//! Packets and streams over TLS, in frames: four bytes of length, the lowest first, and a message that is a packet
//! or says that a stream follows.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wire::protobuf::{Reader, Schema, put_bytes, put_uint};

use super::{Cluster, Host, MAX_READ_BYTES};

const VERSION: &str = "v0.1.0";
const PACKET: u64 = 1;
/// A connection for packets over which nothing was sent for so long is closed.
const IDLE: Duration = Duration::from_secs(300);
/// Packets that wait for a connection.
const MAX_WAITING: usize = 256;

static FRAME: Schema = Schema {
    message: "clusterpb.MemberlistMessage",
    fields: &[(1, "version"), (2, "kind"), (3, "from_addr"), (4, "msg")],
};

/// TLS between the members of a cluster, in which each shows the other its certificate.
#[derive(Clone)]
pub struct ClusterTls {
    /// Accepts connections.
    pub acceptor: TlsAcceptor,
    /// Makes connections.
    pub connector: TlsConnector,
    /// The name the certificates of others must be for; their address if there is none.
    pub server_name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for ClusterTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl ClusterTls {
    async fn connect(&self, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let name = self.server_name.clone().unwrap_or_else(|| ServerName::IpAddress(to.ip().into()));
        self.connector.connect(name, TcpStream::connect(to).await?).await
    }

    /// A connection for a stream.
    pub(super) async fn connect_stream(&self, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let mut stream = self.connect(to).await?;
        stream.write_all(&frame(None, &[])).await?;
        // The other implementation loses what comes in one record with this frame.
        stream.flush().await?;
        Ok(stream)
    }
}

/// The frame of a packet from an address, or the one that says that a stream follows.
fn frame(from: Option<SocketAddr>, packet: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    put_bytes(&mut out, 1, VERSION.as_bytes());
    if let Some(from) = from {
        put_uint(&mut out, 2, PACKET);
        put_bytes(&mut out, 3, from.to_string().as_bytes());
        put_bytes(&mut out, 4, packet);
    }
    let len = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out
}

/// A packet, and where it says it comes from.
type FramedPacket = (Option<SocketAddr>, Vec<u8>);

/// The packet of a frame; `None` when a stream follows.
fn open(frame: &[u8]) -> Result<Option<FramedPacket>, String> {
    let (mut version, mut kind, mut from, mut packet) = ("", 0, "", &[][..]);
    let mut read = || {
        let mut reader = Reader::new(frame, &FRAME);
        while let Some(field) = reader.field()? {
            match field {
                1 => version = reader.text()?,
                2 => kind = reader.uint()?,
                3 => from = reader.text()?,
                4 => packet = reader.bytes()?,
                _ => reader.skip()?,
            }
        }
        Ok::<_, wire::protobuf::ProtobufError>(())
    };
    read().map_err(|error| error.to_string())?;
    match (version, kind) {
        (VERSION, 0) => Ok(None),
        (VERSION, PACKET) => Ok(Some((from.parse().ok(), packet.to_vec()))),
        (VERSION, other) => Err(format!("a frame of unknown kind {other}")),
        (other, _) => Err(format!("a frame of another version: {other:?}")),
    }
}

impl Cluster {
    /// Sends packets, each over the connection to where it goes.
    pub(super) async fn send_tls_packets(
        self: Arc<Self>,
        mut to_send: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
    ) {
        let mut connections: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
        while let Some((to, bytes)) = to_send.recv().await {
            let bytes = match connections.get(&to) {
                None => bytes,
                Some(connection) => match connection.try_send(bytes) {
                    // What does not fit is lost, as packets may be.
                    Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => continue,
                    Err(mpsc::error::TrySendError::Closed(bytes)) => bytes,
                },
            };
            connections.retain(|_, connection| !connection.is_closed());
            let (sender, receiver) = mpsc::channel(MAX_WAITING);
            let _ = sender.try_send(bytes);
            connections.insert(to, sender);
            tokio::spawn(self.clone().send_over(to, receiver));
        }
    }

    async fn send_over(self: Arc<Self>, to: SocketAddr, mut packets: mpsc::Receiver<Vec<u8>>) {
        let Some(tls) = self.options.tls.clone() else { return };
        let connected = tokio::time::timeout(self.options.tcp_timeout, tls.connect(to)).await;
        let mut stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.transport.packet_errors.inc();
                return tracing::debug!(peer = %to, "connecting by TLS: {error}");
            }
            Err(_) => return self.transport.packet_errors.inc(),
        };
        while let Ok(Some(packet)) = tokio::time::timeout(IDLE, packets.recv()).await {
            let sent = async {
                stream.write_all(&frame(Some(self.address), &packet)).await?;
                stream.flush().await
            };
            if !matches!(tokio::time::timeout(self.options.tcp_timeout, sent).await, Ok(Ok(()))) {
                return self.transport.packet_errors.inc();
            }
            self.transport.packet_bytes_sent.add(packet.len() as u64);
        }
        let _ = stream.shutdown().await;
    }

    /// Takes packets from a connection, or answers what comes over it as a stream.
    pub(super) async fn serve_tls(
        self: &Arc<Self>,
        tls: &ClusterTls,
        host: Arc<impl Host>,
        stream: TcpStream,
    ) -> io::Result<()> {
        let limit = self.options.tcp_timeout;
        let peer = stream.peer_addr()?;
        let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
        let mut stream =
            tokio::time::timeout(limit, tls.acceptor.accept(stream)).await.map_err(timed_out)??;
        loop {
            let next = async {
                let len = stream.read_u32_le().await? as usize;
                if len > MAX_READ_BYTES + 256 {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large"));
                }
                let mut frame = vec![0; len];
                stream.read_exact(&mut frame).await?;
                open(&frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            };
            match tokio::time::timeout(2 * IDLE, next).await.map_err(timed_out)?? {
                Some((from, packet)) => {
                    let from = from.unwrap_or(peer);
                    self.transport.packet_bytes_received.add(packet.len() as u64);
                    self.take_packets(&host, vec![(from, packet)]).await;
                }
                None => {
                    self.transport.streams_received.inc();
                    return tokio::time::timeout(limit, self.serve(host, stream)).await.map_err(timed_out)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive() {
        let from: SocketAddr = "10.0.0.1:9094".parse().unwrap();
        let framed = frame(Some(from), b"packet");
        assert_eq!(framed[..4], ((framed.len() - 4) as u32).to_le_bytes());
        assert_eq!(open(&framed[4..]), Ok(Some((Some(from), b"packet".to_vec()))));
        assert_eq!(frame(None, &[]), b"\x08\0\0\0\x0a\x06v0.1.0");
        assert_eq!(open(&frame(None, &[])[4..]), Ok(None));
        assert!(open(b"\x0a\x06v0.2.0").is_err());
    }
}
