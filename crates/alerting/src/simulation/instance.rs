//! One simulated instance: what runs, and what is on its disk.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::alertmanager::{AlertmanagerSettings, Matcher};
use jiff::Timestamp;

use super::BEGIN_MS;
use crate::alert::{Alert, after, from_ms};
use crate::cluster::membership::MembershipOptions;
use crate::cluster::peer::TAKES_TURNS;
use crate::cluster::{Peer, PeerOptions};
use crate::core::{Core, CoreOptions, Integration};
use crate::nflog::{IntegrationKey, LogEntry};
use crate::silence::{Silence, SilenceRecord};

const CONFIG: &str = "
route:
  receiver: team
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1h
receivers: [{name: team}]
";

pub fn settings() -> AlertmanagerSettings {
    crate::testing::settings(CONFIG)
}

/// Two integrations of the one receiver.
pub fn integrations() -> Vec<Integration> {
    let key = |index| IntegrationKey { receiver: "team".to_owned(), kind: "webhook", index };
    (0..2).map(|index| Integration { key: Arc::new(key(index)), sends_resolved: true }).collect()
}

/// An alert of a group.
pub fn alert(group: usize, number: usize, starts_at: Timestamp, ends_at: Timestamp) -> Alert {
    let (name, number) = (group_name(group), number.to_string());
    let labels = [("alertname", name.as_str()), ("i", number.as_str())];
    crate::testing::alert(&labels, starts_at.as_millisecond(), ends_at.as_millisecond())
}

pub fn group_name(group: usize) -> String {
    format!("G{group}")
}

/// The records that make a silence on a group.
pub fn silence(core: &Core, group: usize, id: String, now: Timestamp, lasts: Duration) -> Vec<SilenceRecord> {
    let silence = Silence {
        id: String::new(),
        matcher_sets: vec![vec![Matcher::equal("alertname", group_name(group))]],
        starts_at: now,
        ends_at: after(now, lasts),
        updated_at: now,
        created_by: String::new(),
        comment: String::new(),
        annotations: std::collections::BTreeMap::new(),
    };
    core.silences().plan_set(silence, || id, now).expect("a silence that makes sense")
}

/// What survives a crash.
#[derive(Debug, Default)]
pub struct Disk {
    pub silences: Vec<SilenceRecord>,
    pub entries: Vec<LogEntry>,
}

/// A process.
#[derive(Debug)]
pub struct Running {
    pub core: Core,
    pub peer: Peer,
    /// It is being stopped, and begins nothing any more.
    pub stops: bool,
    pub polled_at: Duration,
}

/// An instance.
#[derive(Debug)]
pub struct Instance {
    index: usize,
    count: usize,
    skew_ms: i64,
    pub life: u64,
    pub disk: Disk,
    pub loses_state: bool,
    pub running: Option<Running>,
}

impl Instance {
    pub fn new(index: usize, count: usize, skew_ms: i64, seed: u64, now: Duration) -> Self {
        let disk = Disk::default();
        let mut instance = Self { index, count, skew_ms, life: 0, disk, loses_state: false, running: None };
        instance.start(seed, now);
        instance
    }

    pub fn address(index: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, index as u8 + 1], 9094))
    }

    pub fn others(&self) -> Vec<SocketAddr> {
        (0..self.count).filter(|index| *index != self.index).map(Self::address).collect()
    }

    pub fn wall(&self, now: Duration) -> Timestamp {
        from_ms(BEGIN_MS + self.skew_ms + now.as_millis() as i64)
    }

    pub fn start(&mut self, seed: u64, now: Duration) {
        self.life += 1;
        if std::mem::take(&mut self.loses_state) {
            self.disk = Disk::default();
        }
        let wall = self.wall(now);
        let mut core = Core::new(&settings(), integrations(), CoreOptions::default());
        for record in &self.disk.silences {
            core.silences_mut().merge(record.clone(), wall);
        }
        for entry in &self.disk.entries {
            core.log_mut().merge(entry.clone(), wall);
        }
        let options = PeerOptions {
            membership: MembershipOptions {
                // Made up anew with each start, and so in another order.
                name: format!("{:03}-{}-{}", seed % 1000, self.index, self.life),
                address: Self::address(self.index),
                meta: TAKES_TURNS.to_vec(),
                label: String::new(),
                gossip_interval: Duration::from_millis(200),
                push_pull_interval: Duration::from_secs(30),
                probe_interval: Duration::from_secs(2),
                probe_timeout: Duration::from_secs(1),
                fan_out: 3,
            },
            peer_timeout: Duration::from_secs(15),
            settle_timeout: Duration::from_secs(60),
            reconnect_interval: Duration::from_secs(10),
            reconnect_timeout: Duration::from_secs(6 * 3600),
        };
        let mut peer = Peer::new(options, seed, now);
        peer.know(&self.others(), true, now);
        self.running = Some(Running { core, peer, stops: false, polled_at: now });
    }

    pub fn stop(&mut self) {
        self.running = None;
        self.life += 1;
    }

    /// When something is due next.
    pub fn next_timer(&self) -> Option<Duration> {
        let running = self.running.as_ref()?;
        let peer = running.peer.next_timer();
        let core = running.core.next_timer().filter(|_| running.peer.is_settled() && !running.stops);
        let core = core.map(|at| {
            let ms = at.as_millisecond() - BEGIN_MS - self.skew_ms;
            // Rounded up, and never before what was done already: a moment has parts below what is counted here.
            Duration::from_millis(ms.max(0) as u64 + u64::from(at.subsec_nanosecond() % 1_000_000 != 0))
        });
        Some(core.map_or(peer, |core| core.min(peer)))
    }
}
