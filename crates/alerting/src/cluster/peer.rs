//! One instance among others, without any I/O: membership, the state that is shared, and the turns that are taken,
//! joined with the decisions of a [`Core`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::core::turns::Verdict;
use crate::core::{Core, Delivery};
use crate::nflog::{self, LogEntry};
use crate::silence::{self, SilenceRecord};

use super::counts::Counts;
use super::membership::{Event, Membership, MembershipOptions, Output};
use super::message::{MAX_PACKET_BYTES, MemberRecord, Message, StreamMessage, open_packet};
use super::state::{self, LETTER, LOG, Part, SILENCES};

/// What an instance says of itself so that others know that it takes turns.
pub const TAKES_TURNS: &[u8] = b"bartizan/turns/1";
/// A larger part goes over a stream to each, instead of by gossip.
const MAX_GOSSIP_BYTES: usize = MAX_PACKET_BYTES / 2;
/// To how many members news go at once, without waiting for gossip.
const TOLD_AT_ONCE: usize = 8;
/// How often the number of members must stay the same before it counts as settled.
const CALM_LOOKS: u32 = 3;
/// Failed peers are forgotten this often at most.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// How an instance behaves among others.
#[derive(Debug, Clone)]
pub struct PeerOptions {
    /// How it behaves as a member.
    pub membership: MembershipOptions,
    /// How long an instance waits for each that comes before it.
    pub peer_timeout: Duration,
    /// How long to wait for the others at the start, at most.
    pub settle_timeout: Duration,
    /// How often lost peers are tried again; never if zero.
    pub reconnect_interval: Duration,
    /// How long lost peers are tried; for ever if zero.
    pub reconnect_timeout: Duration,
}

/// The time, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since an arbitrary point; never goes backwards.
    pub mono: Duration,
    /// As people tell it.
    pub wall: Timestamp,
}

/// What is to be done after a call.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be sent.
    pub outputs: Vec<Output>,
    /// Messages that are too large for packets, to be sent over streams.
    pub streams: Vec<(SocketAddr, Vec<u8>)>,
    /// Notifications to be sent.
    pub deliveries: Vec<Delivery>,
    /// Entries of the log made here, to be written down and then given to [`Peer::told`].
    pub entries: Vec<LogEntry>,
    /// Entries heard from others, to be written down.
    pub heard: Vec<LogEntry>,
    /// Silences heard from others, to be written down.
    pub silences: Vec<SilenceRecord>,
}

/// Why state is exchanged with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Start,
    Periodic,
    Reconnect,
    Refresh,
}

/// How far an instance is with finding the others after its start.
#[derive(Debug)]
struct Settling {
    /// Known addresses with which state was not exchanged yet.
    missing: BTreeSet<SocketAddr>,
    /// Whether the addresses of the peers have been looked up.
    is_resolved: bool,
    /// Whether all of them were found.
    is_complete: bool,
    last_count: usize,
    calm_looks: u32,
    look_at: Duration,
    ends_at: Duration,
    done: bool,
}

/// One instance among others.
#[derive(Debug)]
pub struct Peer {
    options: PeerOptions,
    membership: Membership,
    settling: Settling,
    /// Peers that are known and do not belong to the cluster now, and since when.
    failed: BTreeMap<SocketAddr, Duration>,
    /// Exchanges of state that are under way.
    exchanges: BTreeMap<SocketAddr, Why>,
    reconnect_at: Duration,
    forget_at: Duration,
    counts: Counts,
    effects: Effects,
    /// Whether members changed since the core was last told.
    changed: bool,
}

impl Peer {
    /// An instance that knows no other yet. [`Peer::know`] must follow, and says whom to look for.
    pub fn new(options: PeerOptions, seed: u64, now: Duration) -> Self {
        let membership = Membership::new(options.membership.clone(), seed, now);
        let settling = Settling {
            missing: BTreeSet::new(),
            is_resolved: false,
            is_complete: false,
            last_count: 0,
            calm_looks: 0,
            look_at: now,
            ends_at: now + options.settle_timeout,
            done: false,
        };
        Self {
            membership,
            settling,
            failed: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            reconnect_at: now + options.reconnect_interval,
            forget_at: now + FORGET_EVERY,
            counts: Counts::default(),
            effects: Effects::default(),
            changed: true,
            options,
        }
    }

    /// The members.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many peers are known that do not belong to the cluster now.
    pub fn failed_count(&self) -> usize {
        self.failed.len()
    }

    /// Whether the others were found, or waited for long enough. Before, nothing must be told.
    pub fn is_settled(&self) -> bool {
        self.settling.done
    }

    /// Takes the addresses of peers, as they were found out at the start or again later; `all` says that each peer
    /// has one.
    pub fn know(&mut self, addresses: &[SocketAddr], all: bool, now: Duration) {
        let mine = self.membership.address();
        let members: BTreeSet<SocketAddr> =
            self.membership.others().map(|member| member.alive.address).collect();
        self.settling.is_resolved = true;
        let is_start = !self.settling.done && !self.settling.is_complete;
        self.settling.is_complete |= all;
        for address in addresses.iter().filter(|address| **address != mine && !members.contains(address)) {
            if is_start {
                self.settling.missing.insert(*address);
                self.failed.entry(*address).or_insert(now);
            }
            self.exchange(*address, if is_start { Why::Start } else { Why::Refresh });
        }
    }

    fn exchange(&mut self, to: SocketAddr, why: Why) {
        // A second attempt would only wait for the first.
        if self.exchanges.insert(to, why).is_none() {
            self.effects.outputs.push(Output::PushPull { to, join: why != Why::Periodic });
        }
    }

    /// When [`Peer::poll`] has something to do next.
    pub fn next_timer(&self) -> Duration {
        let mut next = self.membership.next_timer().min(self.forget_at);
        if !self.options.reconnect_interval.is_zero() && !self.failed.is_empty() {
            next = next.min(self.reconnect_at);
        }
        if !self.settling.done {
            next = next.min(self.settling.look_at).min(self.settling.ends_at);
        }
        next
    }

    /// Does what is due.
    pub fn poll(&mut self, core: &mut Core, now: Now) -> Effects {
        self.membership.poll(now.mono);
        self.settle(now.mono);
        if self.reconnect_at <= now.mono && !self.options.reconnect_interval.is_zero() {
            self.reconnect_at = now.mono + self.options.reconnect_interval;
            let failed: Vec<SocketAddr> = self.failed.keys().copied().collect();
            failed.into_iter().for_each(|address| self.exchange(address, Why::Reconnect));
        }
        if self.forget_at <= now.mono {
            self.forget_at = now.mono + FORGET_EVERY;
            let timeout = self.options.reconnect_timeout;
            self.failed.retain(|_, since| timeout.is_zero() || now.mono < *since + timeout);
        }
        self.finish(core, now)
    }

    /// Settled is who exchanged state with all known peers; or sees as many members as before three times in a
    /// row, while no exchange is under way; or has waited for too long.
    fn settle(&mut self, now: Duration) {
        let settling = &mut self.settling;
        if settling.done {
            return;
        }
        if settling.is_complete && settling.missing.is_empty() {
            settling.done = true;
            return tracing::info!("state exchanged with all peers; proceeding");
        }
        if now >= settling.ends_at {
            settling.done = true;
            return tracing::warn!(missing = ?settling.missing, "gossip not settled but continuing anyway");
        }
        if now >= settling.look_at {
            settling.look_at = now + self.options.membership.gossip_interval * 10;
            let count = self.membership.working().count();
            let calm = count == settling.last_count && settling.is_resolved && self.exchanges.is_empty();
            settling.calm_looks = if calm { settling.calm_looks + 1 } else { 0 };
            settling.last_count = count;
            if settling.calm_looks >= CALM_LOOKS {
                settling.done = true;
                tracing::info!(missing = ?settling.missing, "gossip settled; proceeding");
            }
        }
    }

    /// Takes a packet.
    pub fn packet(&mut self, core: &mut Core, from: SocketAddr, packet: &[u8], now: Now) -> Effects {
        let (messages, error) = open_packet(packet, self.membership.label());
        if let Some(error) = error {
            tracing::debug!(%from, "a packet cannot be read: {error}");
        }
        for message in messages {
            if let Some(bytes) = self.membership.receive(from, message, now.mono) {
                self.part(core, &bytes, now);
            }
        }
        self.finish(core, now)
    }

    /// Takes what came over a stream without asking for an answer.
    pub fn user_message(&mut self, core: &mut Core, bytes: &[u8], now: Now) -> Effects {
        self.part(core, bytes, now);
        self.finish(core, now)
    }

    /// All that is known here, to be sent to another.
    pub fn push(&mut self, core: &Core, join: bool) -> StreamMessage {
        let state = state::full_state(core);
        self.counts.full_state_sent(state.len());
        StreamMessage::PushPull { join, members: self.membership.records(), state }
    }

    /// Takes all another knows. `answered` is its address if it was asked.
    pub fn pulled(
        &mut self,
        core: &mut Core,
        answered: Option<SocketAddr>,
        members: Vec<MemberRecord>,
        state: &[u8],
        now: Now,
    ) -> Effects {
        self.counts.full_state_received(state.len());
        match state::parts(state) {
            Ok(parts) => parts.into_iter().for_each(|part| self.merge(core, part, false, now)),
            Err(error) => tracing::warn!("the state of a peer cannot be read: {error}"),
        }
        self.membership.merge(members, now.mono);
        if let Some(address) = answered {
            self.settling.missing.remove(&address);
            let why = self.exchanges.remove(&address);
            self.counts.exchanged(why, true);
            // It is a member, or will be by another address.
            self.failed.remove(&address);
        }
        self.settle(now.mono);
        self.finish(core, now)
    }

    /// An exchange with an address failed.
    pub fn exchange_failed(&mut self, address: SocketAddr) {
        let why = self.exchanges.remove(&address);
        self.counts.exchanged(why, false);
    }

    /// A ping over a stream was answered.
    pub fn stream_answered(&mut self, sequence: u32) {
        self.membership.stream_answered(sequence);
    }

    /// Says farewell.
    pub fn leave(&mut self, core: &mut Core, now: Now) -> Effects {
        self.membership.leave(now.mono);
        self.finish(core, now)
    }

    /// Tells the others what was told here.
    pub fn told(&mut self, entry: &LogEntry) {
        self.broadcast(state::entry_part(entry), true);
    }

    /// Tells the others of a silence made here.
    pub fn silenced(&mut self, record: &SilenceRecord) {
        self.broadcast(state::silence_part(record), true);
    }

    fn broadcast(&mut self, part: Vec<u8>, is_ours: bool) {
        if part.len() > MAX_GOSSIP_BYTES {
            // What is heard this way is not passed on: everyone got it from who made it.
            let to: Vec<SocketAddr> = self.membership.others().map(|member| member.alive.address).collect();
            if is_ours {
                self.effects.streams.extend(to.into_iter().map(|to| (to, part.clone())));
            }
            return;
        }
        let message = Message::User(part).encode();
        if is_ours {
            let others = self.membership.others().take(TOLD_AT_ONCE);
            let at_once: Vec<SocketAddr> = others.map(|member| member.alive.address).collect();
            for to in at_once {
                self.counts.update_sent(message.len());
                self.membership.send(to, std::slice::from_ref(&message));
            }
        }
        self.membership.gossip(message);
    }

    fn part(&mut self, core: &mut Core, bytes: &[u8], now: Now) {
        self.counts.update_received(bytes.len());
        match Part::decode(bytes) {
            Ok(part) => self.merge(core, part, true, now),
            Err(error) => tracing::warn!("a message of a peer cannot be read: {error}"),
        }
    }

    /// Takes a part of state; what is news and came alone is passed on.
    fn merge(&mut self, core: &mut Core, part: Part<'_>, pass_on: bool, now: Now) {
        let error = match part.key {
            SILENCES => {
                let (records, error) = state::records(part.data, silence::decode);
                for record in records {
                    if core.silences_mut().merge(record.clone(), now.wall) {
                        if pass_on {
                            self.counts.silences_passed_on.inc();
                            self.broadcast(state::silence_part(&record), false);
                        }
                        self.effects.silences.push(record);
                    }
                }
                error
            }
            LOG => {
                let (entries, error) = state::records(part.data, nflog::decode);
                entries.into_iter().for_each(|entry| self.hear(core, entry, pass_on, now));
                error
            }
            LETTER => match state::letter(part.data) {
                Ok((from, letter)) => {
                    if let crate::core::turns::Letter::Answer { verdict: Verdict::Told(entry), .. } = &letter
                    {
                        self.hear(core, LogEntry::clone(entry), false, now);
                    }
                    let (deliveries, entries) = core.receive_letter(&from, letter, now.wall);
                    self.effects.deliveries.extend(deliveries);
                    self.effects.entries.extend(entries);
                    None
                }
                Err(error) => Some(error),
            },
            other => {
                tracing::debug!(key = other, "a peer speaks of something unknown");
                None
            }
        };
        if let Some(error) = error {
            tracing::warn!(key = part.key, "part of the state of a peer cannot be read: {error}");
        }
    }

    fn hear(&mut self, core: &mut Core, entry: LogEntry, pass_on: bool, now: Now) {
        if core.hear(entry.clone(), now.wall) {
            if pass_on {
                self.counts.entries_passed_on.inc();
                self.broadcast(state::entry_part(&entry), false);
            }
            self.effects.heard.push(entry);
        }
    }

    /// What is to be done after anything happened here or in the core. To be called whenever the core may have
    /// written letters.
    pub fn finish(&mut self, core: &mut Core, now: Now) -> Effects {
        for event in self.membership.take_events() {
            self.take_event(event, now.mono);
        }
        if std::mem::take(&mut self.changed) {
            let wait = self.options.peer_timeout * self.membership.position() as u32;
            core.set_peer_wait(wait);
            let others = self.membership.others().filter(|member| member.alive.meta == TAKES_TURNS);
            let others: Vec<Arc<str>> = others.map(|member| member.alive.node.as_str().into()).collect();
            core.set_turns(self.membership.name(), others);
        }
        for (to, letter) in core.take_letters() {
            let Some(address) = self.membership.get(&to).map(|member| member.alive.address) else { continue };
            let part = state::letter_part(self.membership.name(), &letter);
            if part.len() > MAX_GOSSIP_BYTES {
                self.effects.streams.push((address, part));
            } else {
                self.counts.update_sent(part.len());
                self.membership.send(address, &[Message::User(part).encode()]);
            }
        }
        for output in self.membership.take_outputs() {
            match output {
                Output::PushPull { to, .. } => self.exchange(to, Why::Periodic),
                other => self.effects.outputs.push(other),
            }
        }
        std::mem::take(&mut self.effects)
    }

    fn take_event(&mut self, event: Event, now: Duration) {
        self.counts.event(&event);
        match event {
            Event::Joined(name) => {
                self.changed = true;
                if let Some(member) = self.membership.get(&name) {
                    let address = member.alive.address;
                    tracing::info!(peer = name, %address, "a peer joined");
                    self.failed.remove(&address);
                }
            }
            Event::Left(name) => {
                self.changed = true;
                tracing::info!(peer = name, "a peer left");
                if name != self.membership.name()
                    && let Some(address) = self.membership.place_of(&name)
                {
                    self.failed.insert(address, now);
                }
            }
            Event::Updated(_) => self.changed = true,
            Event::Conflict(name) => {
                tracing::warn!(
                    peer = name,
                    "two peers have the same name; give each its own --cluster.peer-name"
                );
            }
            Event::Alive(_) | Event::Answered(..) => {}
        }
    }
}
