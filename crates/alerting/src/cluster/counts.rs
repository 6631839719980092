//! What is counted about the cluster.

use std::collections::BTreeMap;

use base::metrics::{Counter, Histogram};

use super::membership::Event;
use super::peer::Why;

/// Upper bounds of how long a ping takes, in seconds.
const PING_S: [f64; 7] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];
/// The most peers that are counted by name.
const MAX_NAMES: usize = 1000;

/// Messages of one kind: how many, and how many bytes.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// How many.
    pub messages: Counter,
    /// How many bytes.
    pub bytes: Counter,
}

impl Traffic {
    fn add(&self, bytes: usize) {
        self.messages.inc();
        self.bytes.add(bytes as u64);
    }
}

/// What is counted of messages of one key that are too large for packets.
#[derive(Debug, Clone)]
pub struct Oversized {
    /// Those that were sent, or tried to be.
    pub sent: Counter,
    /// Those of them that did not arrive.
    pub failed: Counter,
    /// How long the others took, in seconds.
    pub took: Histogram,
}

impl Default for Oversized {
    fn default() -> Self {
        const BOUNDS_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self { sent: Counter::default(), failed: Counter::default(), took: Histogram::new(&BOUNDS_S) }
    }
}

/// What is counted of sockets.
#[derive(Debug, Clone, Default)]
pub struct TransportCounts {
    /// Large silences.
    pub silences: Oversized,
    /// Large entries of the log of notifications.
    pub log: Oversized,
    /// Bytes of packets sent over TLS.
    pub packet_bytes_sent: Counter,
    /// Bytes of packets received over TLS.
    pub packet_bytes_received: Counter,
    /// Streams opened over TLS.
    pub streams_sent: Counter,
    /// Streams accepted over TLS.
    pub streams_received: Counter,
    /// Failures to read from connections by TLS.
    pub read_errors: Counter,
    /// Failures to send packets by TLS.
    pub packet_errors: Counter,
    /// Failures to open streams by TLS.
    pub stream_errors: Counter,
}

/// Counts of what happened in the cluster.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Silences heard of and passed on.
    pub silences_passed_on: Counter,
    /// Entries of the log of notifications heard of and passed on.
    pub entries_passed_on: Counter,
    /// Full states received.
    pub states_received: Traffic,
    /// Full states sent.
    pub states_sent: Traffic,
    /// Single changes received.
    pub updates_received: Traffic,
    /// Single changes sent.
    pub updates_sent: Traffic,
    /// Peers that joined.
    pub joined: Counter,
    /// Peers that left.
    pub left: Counter,
    /// Peers that said something else of themselves.
    pub updated: Counter,
    /// Times two peers had one name.
    pub conflicts: Counter,
    /// Lost peers that were reached again.
    pub reconnections: Counter,
    /// Attempts at that which failed.
    pub reconnections_failed: Counter,
    /// Peers reached because their address was found anew.
    pub refreshed: Counter,
    /// Attempts at that which failed.
    pub refresh_failed: Counter,
    /// How often each peer said that it lives.
    pub alive: BTreeMap<String, u64>,
    /// How long each peer took to answer pings.
    pub pings: BTreeMap<String, Histogram>,
}

impl Counts {
    pub(super) fn full_state_sent(&self, bytes: usize) {
        self.states_sent.add(bytes);
    }

    pub(super) fn full_state_received(&self, bytes: usize) {
        self.states_received.add(bytes);
    }

    pub(super) fn update_sent(&self, bytes: usize) {
        self.updates_sent.add(bytes);
    }

    pub(super) fn update_received(&self, bytes: usize) {
        self.updates_received.add(bytes);
    }

    pub(super) fn exchanged(&self, why: Option<Why>, succeeded: bool) {
        let (good, bad) = match why {
            Some(Why::Reconnect) => (&self.reconnections, &self.reconnections_failed),
            Some(Why::Refresh) => (&self.refreshed, &self.refresh_failed),
            _ => return,
        };
        if succeeded { good.inc() } else { bad.inc() }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Joined(_) => self.joined.inc(),
            Event::Left(name) => {
                self.left.inc();
                // Names are made up anew with each start: those that are gone must not add up.
                self.alive.remove(name);
                self.pings.remove(name);
            }
            Event::Updated(_) => self.updated.inc(),
            Event::Conflict(_) => self.conflicts.inc(),
            Event::Alive(name) => {
                if self.alive.len() < MAX_NAMES {
                    *self.alive.entry(name.clone()).or_default() += 1;
                }
            }
            Event::Answered(name, took) => {
                if self.pings.len() < MAX_NAMES {
                    let histogram = self.pings.entry(name.clone()).or_insert_with(|| Histogram::new(&PING_S));
                    histogram.observe(took.as_secs_f64());
                }
            }
        }
    }
}
