//! Probing: pings, also through others and over streams, and what follows when none is answered.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Event, MemberState, Membership, Message, Output, Ping};

/// How many others are asked to ping a member that does not answer.
const HELPERS: usize = 3;
/// The most pings made for others at once.
const MAX_RELAYS: usize = 1000;

/// A probe of one member.
#[derive(Debug)]
pub(super) struct Probe {
    sequence: u32,
    node: String,
    began: Duration,
    /// When others are asked; `None` once they are.
    escalates_at: Option<Duration>,
    ends_at: Duration,
    /// How many of those that were asked are to say so when they get no answer.
    helpers: u32,
    nacks: u32,
    /// Whether it answered over a stream.
    streamed: bool,
}

impl Probe {
    pub fn next_at(&self) -> Duration {
        self.escalates_at.unwrap_or(self.ends_at)
    }
}

/// A ping made for another member.
#[derive(Debug)]
pub(super) struct Relay {
    /// What the other one calls it.
    sequence: u32,
    answer_to: SocketAddr,
    nack: bool,
    pub until: Duration,
}

impl Membership {
    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn ping(&self, sequence: u32, node: &str) -> Ping {
        Ping {
            sequence,
            node: node.to_owned(),
            answer_to: Some(self.options.address),
            from: self.options.name.clone(),
        }
    }

    pub(super) fn poll_probe(&mut self, now: Duration) {
        if let Some(probe) = &self.probe {
            if probe.escalates_at.is_some_and(|at| at <= now) {
                self.escalate();
            } else if probe.ends_at <= now {
                self.end_probe(now);
            }
        }
        if self.probe_at <= now {
            self.probe_at = now + self.options.probe_interval;
            if self.probe.is_none() {
                self.begin_probe(now);
            }
        }
        let missed: Vec<Relay> =
            self.relays.extract_if(|_, relay| relay.until <= now).map(|(_, relay)| relay).collect();
        for relay in missed.into_iter().filter(|relay| relay.nack) {
            self.send(relay.answer_to, &[Message::Nack(relay.sequence).encode()]);
        }
    }

    fn begin_probe(&mut self, now: Duration) {
        let Some(node) = self.next_to_probe(now) else { return };
        let sequence = self.next_sequence();
        let Some(member) = self.get(&node) else { return };
        let (to, is_suspect) = (member.alive.address, member.state == MemberState::Suspect);
        let mut messages = vec![Message::Ping(self.ping(sequence, &node)).encode()];
        if is_suspect {
            // It shall hear of it, to object.
            messages.push(Message::Suspect(self.claim(&member.alive)).encode());
        }
        self.send(to, &messages);
        self.probe = Some(Probe {
            sequence,
            node,
            began: now,
            escalates_at: Some(now + self.options.probe_timeout),
            ends_at: now + (self.options.probe_interval * (1 + self.health)).max(self.options.probe_timeout),
            helpers: 0,
            nacks: 0,
            streamed: false,
        });
    }

    /// Members are probed in turn, each once in a round, in an order that changes with each round.
    fn next_to_probe(&mut self, now: Duration) -> Option<String> {
        for _ in 0..2 {
            while let Some(name) = self.order.pop() {
                if name != self.options.name && self.get(&name).is_some() {
                    return Some(name);
                }
            }
            self.forget_gone(now);
            self.order = self.members.keys().cloned().collect();
            self.random.shuffle(&mut self.order);
        }
        None
    }

    fn escalate(&mut self) {
        let Some(mut probe) = self.probe.take() else { return };
        probe.escalates_at = None;
        let Some(member) = self.get(&probe.node) else { return };
        let (target, ping) = (member.alive.address, self.ping(probe.sequence, &probe.node));
        let node = probe.node.clone();
        let helpers =
            self.pick(HELPERS, |other| other.state == MemberState::Alive && other.alive.node != node);
        for helper in helpers {
            let nack = helper.versions.get(1).is_some_and(|highest| *highest >= 4);
            probe.helpers += u32::from(nack);
            let message = Message::IndirectPing { ping: ping.clone(), target, nack };
            self.send(helper.address, &[message.encode()]);
        }
        let limit = probe.ends_at.saturating_sub(probe.began + self.options.probe_timeout);
        self.outputs.push(Output::StreamPing { to: target, ping, limit });
        self.probe = Some(probe);
    }

    fn end_probe(&mut self, now: Duration) {
        let Some(probe) = self.probe.take() else { return };
        if probe.streamed {
            tracing::warn!(
                peer = probe.node,
                "the peer answers over TCP only; UDP between the two does not work"
            );
            return;
        }
        // Others would have said that they got no answer either: if they did not, the trouble may be here.
        self.worsen(if probe.helpers > 0 { probe.helpers.saturating_sub(probe.nacks) } else { 1 });
        if let Some(member) = self.get(&probe.node) {
            let claim = self.claim(&member.alive);
            self.suspect(&claim, now);
        }
    }

    pub(super) fn answer(&mut self, from: SocketAddr, ping: &Ping) {
        if ping.node.is_empty() || ping.node == self.options.name {
            self.send(ping.answer_to.unwrap_or(from), &[Message::Ack(ping.sequence).encode()]);
        }
    }

    pub(super) fn relay(
        &mut self,
        from: SocketAddr,
        ping: &Ping,
        target: SocketAddr,
        nack: bool,
        now: Duration,
    ) {
        if self.relays.len() >= MAX_RELAYS {
            return;
        }
        let sequence = self.next_sequence();
        let answer_to = ping.answer_to.unwrap_or(from);
        let until = now + self.options.probe_timeout;
        self.relays.insert(sequence, Relay { sequence: ping.sequence, answer_to, nack, until });
        let message = Message::Ping(self.ping(sequence, &ping.node));
        self.send(target, &[message.encode()]);
    }

    pub(super) fn answered(&mut self, sequence: u32, now: Duration) {
        if let Some(relay) = self.relays.remove(&sequence) {
            return self.send(relay.answer_to, &[Message::Ack(relay.sequence).encode()]);
        }
        if let Some(probe) = self.probe.take_if(|probe| probe.sequence == sequence) {
            self.health = self.health.saturating_sub(1);
            self.events.push(Event::Answered(probe.node, now.saturating_sub(probe.began)));
        }
    }

    pub(super) fn not_answered(&mut self, sequence: u32) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.sequence == sequence) {
            probe.nacks += 1;
        }
    }

    /// A ping over a stream was answered.
    pub fn stream_answered(&mut self, sequence: u32) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.sequence == sequence) {
            probe.streamed = true;
        }
    }
}
