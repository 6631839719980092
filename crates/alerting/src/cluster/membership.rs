//! Who belongs to the cluster and lives, found out by SWIM with the refinements of Lifeguard, without any I/O.
//!
//! Every probe interval one member is pinged. If it does not answer in time, others are asked to ping it and a
//! stream is tried; if nothing comes back it is suspected, which it may refute by saying that it lives, in a new
//! incarnation; and if it does not, it is held to be dead. What is learned is gossiped. Packets and answers go in
//! with the time, and [`Output`]s and [`Event`]s come out.

mod probe;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::message::{Alive, Claim, MemberRecord, MemberState, Message, Ping, VERSIONS, packets, room};
use super::queue::{Queue, transmissions};
use super::random::Random;

use probe::{Probe, Relay};

/// How long a dead member is still told what happens, so that it can object.
const GOSSIP_TO_THE_DEAD: Duration = Duration::from_secs(30);
/// How long a suspect may take to object, in probe intervals; with more members it is more.
const SUSPICION_INTERVALS: u32 = 4;
/// How much longer that is as long as nobody else suspects it too.
const SUSPICION_STRETCH: u32 = 6;
/// The most members known.
const MAX_MEMBERS: usize = 1000;

/// How a member behaves.
#[derive(Debug, Clone)]
pub struct MembershipOptions {
    /// Its name, unique in the cluster.
    pub name: String,
    /// Where others reach it.
    pub address: SocketAddr,
    /// What it says of itself to the others.
    pub meta: Vec<u8>,
    /// The label of the cluster; empty for none.
    pub label: String,
    /// How often gossip is sent.
    pub gossip_interval: Duration,
    /// How often all state is exchanged with another member; never if zero.
    pub push_pull_interval: Duration,
    /// How often a member is probed.
    pub probe_interval: Duration,
    /// How long a ping may take.
    pub probe_timeout: Duration,
    /// To how many members gossip goes at once, and how often, by the number of members.
    pub fan_out: usize,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A packet is to be sent.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// All state is to be exchanged.
    PushPull {
        /// With whom.
        to: SocketAddr,
        /// Whether this member joins by it.
        join: bool,
    },
    /// A ping is to be sent over a stream; [`Membership::stream_answered`] when it is answered.
    StreamPing {
        /// Where to.
        to: SocketAddr,
        /// What.
        ping: Ping,
        /// How long it may take.
        limit: Duration,
    },
}

/// What happened to members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One joined, or came back.
    Joined(String),
    /// One left, or died.
    Left(String),
    /// One says something else of itself.
    Updated(String),
    /// One said that it lives.
    Alive(String),
    /// Two have the same name.
    Conflict(String),
    /// One answered a ping.
    Answered(String, Duration),
}

/// What is known of a member.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it says of itself.
    pub alive: Alive,
    /// The state it is held to be in.
    pub state: MemberState,
    changed_at: Duration,
    suspicion: Option<Suspicion>,
}

impl Member {
    /// Whether it counts as one that works.
    pub fn is_member(&self) -> bool {
        matches!(self.state, MemberState::Alive | MemberState::Suspect)
    }
}

#[derive(Debug, Clone)]
struct Suspicion {
    began: Duration,
    least: Duration,
    /// How many others must confirm it for the time to become the least.
    wanted: usize,
    from: BTreeSet<String>,
}

impl Suspicion {
    fn ends_at(&self) -> Duration {
        if self.wanted == 0 {
            return self.began + self.least;
        }
        let confirmed = (self.from.len() - 1).min(self.wanted) as f64;
        let share = (confirmed + 1.0).ln() / (self.wanted as f64 + 1.0).ln();
        let most = self.least * SUSPICION_STRETCH;
        self.began + most.saturating_sub((most - self.least).mul_f64(share)).max(self.least)
    }
}

/// The members of the cluster, as this one sees them.
#[derive(Debug)]
pub struct Membership {
    options: MembershipOptions,
    members: BTreeMap<String, Member>,
    queue: Queue,
    random: Random,
    /// Members in the order in which they are probed.
    order: Vec<String>,
    sequence: u32,
    probe: Option<Probe>,
    relays: HashMap<u32, Relay>,
    /// How badly this member itself seems to do; 0 is well.
    health: u32,
    left: bool,
    gossip_at: Duration,
    probe_at: Duration,
    push_pull_at: Duration,
    outputs: Vec<Output>,
    events: Vec<Event>,
}

impl Membership {
    /// A cluster of one.
    pub fn new(options: MembershipOptions, seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let mut within = |interval: Duration| now + interval.mul_f64(random.below(1000) as f64 / 1000.0);
        let (gossip_at, probe_at) = (now, within(options.probe_interval));
        let push_pull_at = within(options.push_pull_interval);
        let alive = Alive {
            incarnation: 1,
            node: options.name.clone(),
            address: options.address,
            meta: options.meta.clone(),
            versions: VERSIONS.to_vec(),
        };
        let mut queue = Queue::default();
        queue.add(Some(&alive.node), Message::Alive(alive.clone()).encode());
        let me = Member { alive, state: MemberState::Alive, changed_at: now, suspicion: None };
        Self {
            members: BTreeMap::from([(options.name.clone(), me)]),
            queue,
            random,
            order: Vec::new(),
            sequence: 0,
            probe: None,
            relays: HashMap::new(),
            health: 0,
            left: false,
            gossip_at,
            probe_at,
            push_pull_at,
            outputs: Vec::new(),
            events: Vec::new(),
            options,
        }
    }

    /// The name of this member.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Where others reach this member.
    pub fn address(&self) -> SocketAddr {
        self.options.address
    }

    /// The label of the cluster.
    pub fn label(&self) -> &str {
        &self.options.label
    }

    /// The members that work, by name, this one among them.
    pub fn working(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.is_member())
    }

    /// The other members that work.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        self.working().filter(|member| member.alive.node != self.options.name)
    }

    /// A member that works.
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.members.get(name).filter(|member| member.is_member())
    }

    /// Where a member is, or was.
    pub fn place_of(&self, name: &str) -> Option<SocketAddr> {
        self.members.get(name).map(|member| member.alive.address)
    }

    /// How many members that work come before this one.
    pub fn position(&self) -> usize {
        self.working().take_while(|member| member.alive.node != self.options.name).count()
    }

    /// How badly this member itself seems to do; 0 is well.
    pub fn health(&self) -> u32 {
        self.health
    }

    /// Messages that wait to be gossiped.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// All members, for a push-pull.
    pub fn records(&self) -> Vec<MemberRecord> {
        let record = |member: &Member| MemberRecord { alive: member.alive.clone(), state: member.state };
        self.members.values().map(record).collect()
    }

    /// What is to be done.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// What happened.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Gossips a message of what is built on this. It must fit into a packet.
    pub fn gossip(&mut self, message: Vec<u8>) {
        self.queue.add(None, message);
    }

    /// Sends messages to one member at once.
    pub fn send(&mut self, to: SocketAddr, messages: &[Vec<u8>]) {
        let packets = packets(messages, &self.options.label);
        self.outputs.extend(packets.into_iter().map(|bytes| Output::Packet { to, bytes }));
    }

    /// When [`Membership::poll`] has something to do next.
    pub fn next_timer(&self) -> Duration {
        let mut next = self.probe_at;
        if !self.queue.is_empty() {
            next = next.min(self.gossip_at);
        }
        if !self.options.push_pull_interval.is_zero() {
            next = next.min(self.push_pull_at);
        }
        let suspicions = self.members.values().filter_map(|member| member.suspicion.as_ref());
        next = suspicions.map(Suspicion::ends_at).fold(next, Duration::min);
        next = self.relays.values().map(|relay| relay.until).fold(next, Duration::min);
        self.probe.iter().map(Probe::next_at).fold(next, Duration::min)
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Duration) {
        self.poll_probe(now);
        let over: Vec<Claim> = self
            .members
            .values()
            .filter(|member| member.suspicion.as_ref().is_some_and(|suspicion| suspicion.ends_at() <= now))
            .map(|member| self.claim(&member.alive))
            .collect();
        over.iter().for_each(|claim| self.dead(claim, now));
        if self.gossip_at <= now {
            self.gossip_at = now + self.options.gossip_interval;
            self.send_gossip(now);
        }
        if self.push_pull_at <= now && !self.options.push_pull_interval.is_zero() {
            self.push_pull_at = now + self.options.push_pull_interval;
            if let Some(to) = self.pick(1, |member| member.state == MemberState::Alive).pop() {
                self.outputs.push(Output::PushPull { to: to.address, join: false });
            }
        }
    }

    fn claim(&self, alive: &Alive) -> Claim {
        Claim { incarnation: alive.incarnation, node: alive.node.clone(), from: self.options.name.clone() }
    }

    fn send_gossip(&mut self, now: Duration) {
        if self.queue.is_empty() {
            return;
        }
        let hears = |member: &Member| {
            member.is_member()
                || member.state == MemberState::Dead && now < member.changed_at + GOSSIP_TO_THE_DEAD
        };
        let times = transmissions(self.options.fan_out, self.members.len());
        for alive in self.pick(self.options.fan_out, hears) {
            let messages = self.queue.take(room(&self.options.label), times);
            if messages.is_empty() {
                break;
            }
            self.send(alive.address, &messages);
        }
    }

    /// Picks other members at random.
    fn pick(&mut self, count: usize, of: impl Fn(&Member) -> bool) -> Vec<Alive> {
        let eligible = |member: &&Member| member.alive.node != self.options.name && of(member);
        let mut found: Vec<Alive> =
            self.members.values().filter(eligible).map(|member| member.alive.clone()).collect();
        self.random.shuffle(&mut found);
        found.truncate(count);
        found
    }

    /// Takes a message of a packet from an address; one that is not about members is given back.
    pub fn receive(&mut self, from: SocketAddr, message: Message, now: Duration) -> Option<Vec<u8>> {
        match message {
            Message::Ping(ping) => self.answer(from, &ping),
            Message::IndirectPing { ping, target, nack } => self.relay(from, &ping, target, nack, now),
            Message::Ack(sequence) => self.answered(sequence, now),
            Message::Nack(sequence) => self.not_answered(sequence),
            Message::Suspect(claim) => self.suspect(&claim, now),
            Message::Alive(alive) => self.alive(alive, now),
            Message::Dead(claim) => self.dead(&claim, now),
            Message::User(bytes) => return Some(bytes),
        }
        None
    }

    /// Takes what another member knows of the members.
    pub fn merge(&mut self, records: Vec<MemberRecord>, now: Duration) {
        for MemberRecord { alive, state } in records {
            let claim = self.claim(&alive);
            match state {
                MemberState::Alive => self.alive(alive, now),
                // That it is dead is for this member to find out.
                MemberState::Dead | MemberState::Suspect => self.suspect(&claim, now),
                MemberState::Left => self.dead(&Claim { from: alive.node, ..claim }, now),
            }
        }
    }

    fn alive(&mut self, alive: Alive, now: Duration) {
        let is_me = alive.node == self.options.name;
        if is_me && self.left || !versions_fit(&alive.versions) {
            return;
        }
        self.events.push(Event::Alive(alive.node.clone()));
        if is_me {
            return self.heard_of_me(&alive);
        }
        let known = self.members.get(&alive.node);
        let (news, joins) = match known {
            None => (self.members.len() < MAX_MEMBERS, true),
            Some(known) if known.alive.address == alive.address => {
                (alive.incarnation > known.alive.incarnation, !known.is_member())
            }
            // The place of a member that is gone may be taken by one of its name elsewhere.
            Some(known) if !known.is_member() => (true, true),
            Some(_) => {
                self.events.push(Event::Conflict(alive.node.clone()));
                return;
            }
        };
        if !news {
            return;
        }
        let updated = !joins && known.is_some_and(|known| known.alive.meta != alive.meta);
        let changed_at = known.filter(|known| known.state == MemberState::Alive);
        let changed_at = changed_at.map_or(now, |known| known.changed_at);
        if known.is_none() {
            let at = self.random.below(self.order.len() + 1);
            self.order.insert(at, alive.node.clone());
        }
        self.queue.add(Some(&alive.node), Message::Alive(alive.clone()).encode());
        if joins {
            self.events.push(Event::Joined(alive.node.clone()));
        } else if updated {
            self.events.push(Event::Updated(alive.node.clone()));
        }
        let member = Member { state: MemberState::Alive, changed_at, suspicion: None, alive };
        self.members.insert(member.alive.node.clone(), member);
    }

    /// Takes what is said of this member: by itself, by an earlier life of it, or by another of the same name.
    fn heard_of_me(&mut self, alive: &Alive) {
        let Some(me) = self.members.get(&self.options.name) else { return };
        if alive.address != me.alive.address {
            self.events.push(Event::Conflict(alive.node.clone()));
            return;
        }
        let same = alive.meta == me.alive.meta && alive.versions == me.alive.versions;
        if alive.incarnation > me.alive.incarnation || alive.incarnation == me.alive.incarnation && !same {
            self.refute(alive.incarnation);
        }
    }

    /// Says that this member lives, after something else was said in an incarnation.
    fn refute(&mut self, incarnation: u32) {
        let Some(me) = self.members.get_mut(&self.options.name) else { return };
        me.alive.incarnation = me.alive.incarnation.max(incarnation).saturating_add(1);
        let message = Message::Alive(me.alive.clone()).encode();
        self.queue.add(Some(&self.options.name), message);
        self.worsen(1);
    }

    fn suspect(&mut self, claim: &Claim, now: Duration) {
        let count = self.members.len();
        let Some(member) = self.members.get_mut(&claim.node) else { return };
        if claim.incarnation < member.alive.incarnation {
            return;
        }
        if let Some(suspicion) = &mut member.suspicion {
            let counts = suspicion.from.len() <= suspicion.wanted;
            if counts && suspicion.from.insert(claim.from.clone()) {
                self.queue.add(Some(&claim.node), Message::Suspect(claim.clone()).encode());
            }
            return;
        }
        if member.state != MemberState::Alive {
            return;
        }
        if claim.node == self.options.name {
            if !self.left {
                self.refute(claim.incarnation);
            }
            return;
        }
        let wanted = if count >= 4 { 2 } else { 0 };
        let scale = (count as f64).log10().max(1.0);
        let least = (self.options.probe_interval * SUSPICION_INTERVALS).mul_f64(scale);
        let from = BTreeSet::from([claim.from.clone()]);
        member.alive.incarnation = claim.incarnation;
        member.state = MemberState::Suspect;
        member.changed_at = now;
        member.suspicion = Some(Suspicion { began: now, least, wanted, from });
        self.queue.add(Some(&claim.node), Message::Suspect(claim.clone()).encode());
    }

    fn dead(&mut self, claim: &Claim, now: Duration) {
        let Some(member) = self.members.get_mut(&claim.node) else { return };
        if claim.incarnation < member.alive.incarnation || !member.is_member() {
            return;
        }
        if claim.node == self.options.name && !self.left {
            return self.refute(claim.incarnation);
        }
        member.alive.incarnation = claim.incarnation;
        member.state = if claim.node == claim.from { MemberState::Left } else { MemberState::Dead };
        member.changed_at = now;
        member.suspicion = None;
        self.queue.add(Some(&claim.node), Message::Dead(claim.clone()).encode());
        self.events.push(Event::Left(claim.node.clone()));
    }

    /// Says farewell to all members.
    pub fn leave(&mut self, now: Duration) {
        self.left = true;
        let Some(me) = self.members.get(&self.options.name) else { return };
        let claim = self.claim(&me.alive);
        let message = Message::Dead(claim.clone()).encode();
        let places: Vec<SocketAddr> = self.others().map(|member| member.alive.address).collect();
        places.into_iter().for_each(|to| self.send(to, std::slice::from_ref(&message)));
        self.dead(&claim, now);
    }

    /// Forgets members that have been gone for long.
    fn forget_gone(&mut self, now: Duration) {
        let me = &self.options.name;
        self.members.retain(|name, member| {
            member.is_member() || name == me || now < member.changed_at + GOSSIP_TO_THE_DEAD
        });
        self.order.retain(|name| self.members.contains_key(name));
    }

    fn worsen(&mut self, by: u32) {
        const WORST: u32 = 7;
        self.health = (self.health + by).min(WORST);
    }
}

/// Whether a member that speaks these versions can be understood.
fn versions_fit(versions: &[u8]) -> bool {
    let [lowest, highest, ..] = versions else { return true };
    *lowest > 0 && lowest <= highest && *lowest <= VERSIONS[2] && *highest >= VERSIONS[2]
}

#[cfg(test)]
mod tests;
