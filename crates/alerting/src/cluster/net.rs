//! The cluster on sockets: packets over UDP and streams over TCP, or both over TLS.

mod stream;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use parking_lot::Mutex;
use ring::rand::SecureRandom as _;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::address::{advertised, resolve, split};
use super::counts::TransportCounts;
use super::membership::{MembershipOptions, Output};
use super::message::{MAX_LABEL_BYTES, StreamMessage};
use super::peer::{Effects, Now, Peer, PeerOptions, TAKES_TURNS};
use crate::alert::from_ms;
use crate::core::Core;
use crate::nflog::LogEntry;
use crate::silence::SilenceRecord;

pub use tls::ClusterTls;

/// How often the addresses of peers are looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(15);
/// How often they are as long as not all were found.
const LOOK_UP_SOON: Duration = Duration::from_secs(1);
/// The most streams at once, in each direction.
const MAX_STREAMS: usize = 128;
/// The most packets that wait to be sent; more are lost, as packets may be.
const MAX_WAITING_PACKETS: usize = 4096;
/// Packets that are taken together.
const PACKETS_AT_ONCE: usize = 64;
/// How long the last words to the others may take.
const FAREWELL: Duration = Duration::from_secs(3);
/// The largest packet that is read. Others may be configured to send larger ones.
const MAX_READ_BYTES: usize = 65_536;

/// How an instance belongs to a cluster; names are those of the flags.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Where it listens, as `host:port`.
    pub listen_address: String,
    /// Where others reach it; empty to find out.
    pub advertise_address: String,
    /// Peers, as `host:port`; a name may have several addresses.
    pub peers: Vec<String>,
    /// Its name; empty for one that is made up.
    pub name: String,
    /// The label of the cluster; empty for none.
    pub label: String,
    /// How long an instance waits for each that comes before it.
    pub peer_timeout: Duration,
    /// How long looking up the addresses of a peer may take.
    pub resolve_timeout: Duration,
    /// How often gossip is sent.
    pub gossip_interval: Duration,
    /// How often all state is exchanged with another.
    pub push_pull_interval: Duration,
    /// How long a stream may take.
    pub tcp_timeout: Duration,
    /// How long a ping may take.
    pub probe_timeout: Duration,
    /// How often another is pinged.
    pub probe_interval: Duration,
    /// How long to wait for the others at the start, at most.
    pub settle_timeout: Duration,
    /// How often lost peers are tried again.
    pub reconnect_interval: Duration,
    /// How long lost peers are tried.
    pub reconnect_timeout: Duration,
    /// Whether a public address may be advertised that was not given.
    pub allow_public_address: bool,
    /// TLS, if it is wanted.
    pub tls: Option<ClusterTls>,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A flag makes no sense.
    #[error("{0}")]
    Options(String),
    /// The sockets cannot be opened.
    #[error("listening on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        error: io::Error,
    },
}

/// What an instance does with what it hears.
pub trait Host: Send + Sync + 'static {
    /// Works with the decisions. The lock is held for as long.
    fn with_core_mut(&self, work: &mut dyn FnMut(&mut Core));
    /// Writes down what was heard and told, and sends what is to be sent. `outputs` and `streams` are gone.
    fn carry_out(self: Arc<Self>, effects: Effects);
    /// Looks at once what is due: timers changed, or now something may be told.
    fn wake(&self);
}

/// A member of a cluster.
pub struct Cluster {
    options: ClusterOptions,
    clock: SharedClock,
    peer: Mutex<Peer>,
    packets: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    sockets: Mutex<Option<Sockets>>,
    streams: Arc<Semaphore>,
    wake: Notify,
    address: SocketAddr,
    name: String,
    pub(super) transport: TransportCounts,
}

struct Sockets {
    udp: Option<UdpSocket>,
    listener: TcpListener,
    to_send: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("options", &self.options).finish_non_exhaustive()
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Where the system has no random numbers the name is not unique, which the others notice.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    bytes
}

/// A name as Alertmanager makes them up: a ULID, which sorts by the time of its making.
fn made_up_name(now_ms: i64) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let random = u128::from_be_bytes(random()) & ((1 << 80) - 1);
    let id = (now_ms.max(0) as u128) << 80 | random;
    (0..26).rev().map(|place| char::from(ALPHABET[(id >> (5 * place)) as usize & 31])).collect()
}

impl Cluster {
    /// Opens the sockets and looks up the peers.
    pub async fn open(options: ClusterOptions, clock: SharedClock) -> Result<Arc<Self>, ClusterError> {
        let invalid = |what: &str| ClusterError::Options(what.to_owned());
        if options.label.len() > MAX_LABEL_BYTES {
            return Err(invalid("--cluster.label is longer than 255 bytes"));
        }
        for peer in &options.peers {
            split(peer).ok_or_else(|| invalid(&format!("--cluster.peer={peer}: give host:port")))?;
        }
        let (udp, listener, bound) = bind(&options).await?;
        let found = resolve(&options.peers, options.resolve_timeout).await;
        let given = &options.advertise_address;
        let address = advertised(bound, given, &found.addresses, options.allow_public_address)
            .map_err(|error| invalid(&error))?;
        if address.ip().is_loopback() && found.addresses.iter().any(|peer| !peer.ip().is_loopback()) {
            tracing::warn!(%address, "this node advertises itself on an unroutable address and will be unreachable in the cluster; give --cluster.advertise-address");
        }
        let name = match options.name.as_str() {
            "" => made_up_name(clock.now_ms()),
            name => name.to_owned(),
        };
        let peer_options = PeerOptions {
            membership: MembershipOptions {
                name: name.clone(),
                address,
                meta: TAKES_TURNS.to_vec(),
                label: options.label.clone(),
                gossip_interval: options.gossip_interval,
                push_pull_interval: options.push_pull_interval,
                probe_interval: options.probe_interval,
                probe_timeout: options.probe_timeout,
                fan_out: (options.peers.len() / 2).max(3),
            },
            peer_timeout: options.peer_timeout,
            settle_timeout: options.settle_timeout,
            reconnect_interval: options.reconnect_interval,
            reconnect_timeout: options.reconnect_timeout,
        };
        let [seed, ..] = random().map(u64::from);
        let seed = seed << 56 ^ u64::from_be_bytes(random()[..8].try_into().unwrap_or_default());
        let mut peer = Peer::new(peer_options, seed, clock.monotonic());
        peer.know(&found.addresses, found.missing.is_empty(), clock.monotonic());
        tracing::info!(%address, name, peers = found.addresses.len(), "joining the cluster");
        let (packets, to_send) = mpsc::channel(MAX_WAITING_PACKETS);
        Ok(Arc::new(Self {
            clock,
            peer: Mutex::new(peer),
            packets,
            sockets: Mutex::new(Some(Sockets { udp, listener, to_send })),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            wake: Notify::new(),
            address,
            name,
            transport: TransportCounts::default(),
            options,
        }))
    }

    /// Whether members speak TLS.
    pub fn has_tls(&self) -> bool {
        self.options.tls.is_some()
    }

    /// The name of this instance.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where others reach this instance.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the others were found, or waited for long enough.
    pub fn is_settled(&self) -> bool {
        self.peer.lock().is_settled()
    }

    /// Looks at what is known of the others.
    pub fn with_peer<T>(&self, look: impl FnOnce(&Peer) -> T) -> T {
        look(&self.peer.lock())
    }

    fn now(&self) -> Now {
        Now { mono: self.clock.monotonic(), wall: from_ms(self.clock.now_ms()) }
    }

    /// Works with this instance and the decisions, and does what comes of it.
    ///
    /// The lock may be held for a while by who decides: that is not waited for where others want to go on.
    async fn work(
        self: &Arc<Self>,
        host: &Arc<impl Host>,
        work: impl FnOnce(&mut Peer, &mut Core, Now) -> Effects + Send + 'static,
    ) {
        let (cluster, host) = (self.clone(), host.clone());
        let _ = tokio::task::spawn_blocking(move || cluster.work_here(&host, work)).await;
    }

    fn work_here(
        self: &Arc<Self>,
        host: &Arc<impl Host>,
        work: impl FnOnce(&mut Peer, &mut Core, Now) -> Effects,
    ) {
        let (mut work, mut effects, mut timers_changed) = (Some(work), Effects::default(), false);
        // Always the core first, then the peer.
        host.with_core_mut(&mut |core| {
            if let Some(work) = work.take() {
                let before = core.next_timer();
                effects = work(&mut self.peer.lock(), core, self.now());
                timers_changed = core.next_timer() != before;
            }
        });
        self.carry_out(host, effects);
        if timers_changed {
            host.wake();
        }
    }

    fn carry_out(self: &Arc<Self>, host: &Arc<impl Host>, mut effects: Effects) {
        for output in std::mem::take(&mut effects.outputs) {
            match output {
                Output::Packet { to, bytes } => drop(self.packets.try_send((to, bytes))),
                Output::PushPull { to, join } => {
                    tokio::spawn(self.clone().exchange(host.clone(), to, join));
                }
                Output::StreamPing { to, ping, limit } => {
                    tokio::spawn(self.clone().ping(to, ping, limit));
                }
            }
        }
        for (to, part) in std::mem::take(&mut effects.streams) {
            tokio::spawn(self.clone().send_user(to, part));
        }
        let Effects { deliveries, entries, heard, silences, .. } = &effects;
        if !(deliveries.is_empty() && entries.is_empty() && heard.is_empty() && silences.is_empty()) {
            host.clone().carry_out(effects);
        }
    }

    /// Tells the others what was told here, and what the core wrote to them. To be called after each decision.
    pub fn told(&self, entries: &[LogEntry]) {
        if !entries.is_empty() {
            let mut peer = self.peer.lock();
            entries.iter().for_each(|entry| peer.told(entry));
        }
        self.wake.notify_one();
    }

    /// Tells the others of silences made here.
    pub fn silenced(&self, records: &[SilenceRecord]) {
        let mut peer = self.peer.lock();
        records.iter().for_each(|record| peer.silenced(record));
        drop(peer);
        self.wake.notify_one();
    }

    /// All that is known here, to be sent to another.
    async fn push(self: &Arc<Self>, host: &Arc<impl Host>, join: bool) -> Option<StreamMessage> {
        let (cluster, host) = (self.clone(), host.clone());
        let encode = move || {
            let mut message = None;
            host.with_core_mut(&mut |core| message = Some(cluster.peer.lock().push(core, join)));
            message
        };
        tokio::task::spawn_blocking(encode).await.ok().flatten()
    }

    /// Takes part until `shutdown` completes, and then says farewell.
    pub async fn run(self: Arc<Self>, host: Arc<impl Host>, shutdown: impl Future<Output = ()>) {
        let Some(Sockets { udp, listener, to_send }) = self.sockets.lock().take() else { return };
        let mut tasks = JoinSet::new();
        match udp {
            Some(udp) => {
                let udp = Arc::new(udp);
                tasks.spawn(send_packets(udp.clone(), to_send));
                tasks.spawn(self.clone().receive_packets(host.clone(), udp));
            }
            None => _ = tasks.spawn(self.clone().send_tls_packets(to_send)),
        }
        tasks.spawn(self.clone().accept(host.clone(), listener));
        tasks.spawn(self.clone().look_up());
        tokio::pin!(shutdown);
        let mut was_settled = false;
        loop {
            self.work(&host, Peer::poll).await;
            let (next, settled) = self.with_peer(|peer| (peer.next_timer(), peer.is_settled()));
            if settled && !std::mem::replace(&mut was_settled, true) {
                host.wake();
            }
            // Changes that come in meanwhile bring timers of their own, none of them sooner than this.
            let wait = next.saturating_sub(self.clock.monotonic()).min(self.options.gossip_interval);
            tokio::select! {
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                () = self.wake.notified() => {}
                () = &mut shutdown => break,
            }
        }
        let _ = tokio::time::timeout(FAREWELL, self.clone().farewell(host)).await;
    }

    /// Gives the others all that is known here, and says that this instance goes.
    async fn farewell(self: Arc<Self>, host: Arc<impl Host>) {
        let others = self.with_peer(|peer| {
            peer.membership().others().map(|member| member.alive.address).collect::<Vec<_>>()
        });
        let mut exchanges: JoinSet<()> =
            others.into_iter().map(|to| self.clone().exchange(host.clone(), to, false)).collect();
        let all = async { while exchanges.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL - Duration::from_secs(1), all).await;
        self.work(&host, Peer::leave).await;
        // The packets lie in a queue that another task empties.
        while self.packets.capacity() < MAX_WAITING_PACKETS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    async fn receive_packets(self: Arc<Self>, host: Arc<impl Host>, udp: Arc<UdpSocket>) {
        let mut buffer = vec![0; MAX_READ_BYTES];
        loop {
            match udp.recv_from(&mut buffer).await {
                Ok((len, from)) => {
                    let mut packets = vec![(from, buffer[..len].to_vec())];
                    // What came in meanwhile is taken along.
                    while packets.len() < PACKETS_AT_ONCE
                        && let Ok((len, from)) = udp.try_recv_from(&mut buffer)
                    {
                        packets.push((from, buffer[..len].to_vec()));
                    }
                    self.take_packets(&host, packets).await;
                }
                // An earlier packet reached nobody; or the system is short of memory, which passes.
                Err(error) => {
                    tracing::debug!("receiving a packet: {error}");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }

    async fn take_packets(self: &Arc<Self>, host: &Arc<impl Host>, packets: Vec<(SocketAddr, Vec<u8>)>) {
        let (cluster, host) = (self.clone(), host.clone());
        let take = move || {
            for (from, packet) in packets {
                cluster.work_here(&host, |peer, core, now| peer.packet(core, from, &packet, now));
            }
        };
        let _ = tokio::task::spawn_blocking(take).await;
        // Others may have brought timers, or answers that are waited for.
        self.wake.notify_one();
    }

    /// Looks up the addresses of peers again and again: they may change, or not be there yet.
    async fn look_up(self: Arc<Self>) {
        if self.options.peers.is_empty() {
            return;
        }
        let mut soon = !self.is_settled();
        loop {
            tokio::time::sleep(if soon { LOOK_UP_SOON } else { LOOK_UP_EVERY }).await;
            let found = resolve(&self.options.peers, self.options.resolve_timeout).await;
            soon = !self.is_settled();
            self.peer.lock().know(&found.addresses, found.missing.is_empty(), self.clock.monotonic());
            self.wake.notify_one();
        }
    }
}

async fn send_packets(udp: Arc<UdpSocket>, mut to_send: mpsc::Receiver<(SocketAddr, Vec<u8>)>) {
    while let Some((to, bytes)) = to_send.recv().await {
        if let Err(error) = udp.send_to(&bytes, to).await {
            tracing::debug!(%to, "sending a packet: {error}");
        }
    }
}

/// Opens the sockets. Both are on one port; with TLS there is only one.
async fn bind(
    options: &ClusterOptions,
) -> Result<(Option<UdpSocket>, TcpListener, SocketAddr), ClusterError> {
    let given = &options.listen_address;
    let (host, port) = split(given)
        .ok_or_else(|| ClusterError::Options(format!("invalid listen address {given:?}: give host:port")))?;
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let failed = |error| ClusterError::Listen { address: given.clone(), error };
    // A port that is picked for one protocol may be taken for the other.
    let mut attempts = if port == 0 { 10 } else { 1 };
    loop {
        attempts -= 1;
        let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        if options.tls.is_some() {
            return Ok((None, listener, bound));
        }
        match UdpSocket::bind(bound).await {
            Ok(udp) => return Ok((Some(udp), listener, bound)),
            Err(_) if attempts > 0 => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_made_up_are_ulids() {
        let (early, late) = (made_up_name(1_700_000_000_000), made_up_name(1_700_000_000_001));
        assert!(early.len() == 26 && early < late && early.starts_with("01HF7"), "{early} {late}");
    }
}
