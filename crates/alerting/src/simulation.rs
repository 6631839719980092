//! Several instances on a simulated network, with simulated clocks, receivers, crashes and disks.
//!
//! Everything that happens follows from a seed: a run that fails is repeated by its number. What is simulated is
//! what the instances do to each other and to receivers; the decisions, the membership and the exchange of state
//! are the real ones.

mod instance;
mod judge;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::alert::{Alert, from_ms};
use crate::cluster::message::{MemberRecord, Ping, StreamMessage};
use crate::cluster::random::Random;
use crate::cluster::{Effects, Now};
use crate::core::{Delivery, Failure, Outcome};
use crate::nflog::Notes;

use instance::Instance;
use judge::Judge;

/// The time of day at which runs begin, in milliseconds.
const BEGIN_MS: i64 = 1_800_000_000_000;
/// How long a stream may take.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long deliveries that are under way are waited for when an instance is stopped.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often alerts that fire are posted again.
const RESEND: Duration = Duration::from_secs(30);
/// How long resolved alerts are posted.
const RESEND_RESOLVED: Duration = Duration::from_secs(15 * 60);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Something that happens to the world from outside.
#[derive(Debug, Clone)]
enum Action {
    /// An alert begins to fire: its group and number.
    Fire(usize, usize),
    /// It is resolved.
    Resolve(usize, usize),
    /// An integration answers, or does not; and how long it takes.
    Receiver { index: usize, up: bool, latency: Duration },
    /// Of what an integration accepts it answers one in so many not; 0 for none.
    LoseAnswers { index: usize, one_in: usize },
    /// An instance is stopped, and starts again after a while, perhaps with an empty disk.
    Restart { index: usize, down: Duration, loses_state: bool },
    /// As that, without any warning.
    Kill { index: usize, down: Duration, loses_state: bool },
    /// Instances of different numbers do not reach each other.
    Partition(Vec<u8>),
    /// An instance loads its configuration anew.
    Reload(usize),
    /// A silence on a group is made at an instance, for so long.
    Silence { at: usize, group: usize, lasts: Duration },
}

#[derive(Debug)]
enum Event {
    Action(Action),
    Post { to: usize, alerts: Vec<Alert> },
    PostAll,
    Packet { to: usize, from: usize, bytes: Vec<u8> },
    Pushed { to: usize, from: usize, life: u64, message: StreamMessage },
    Pulled { to: usize, from: usize, life: u64, members: Vec<MemberRecord>, state: Vec<u8> },
    ExchangeFailed { at: usize, with: usize, life: u64 },
    StreamPing { to: usize, from: usize, life: u64, ping: Ping },
    StreamAck { to: usize, life: u64, sequence: u32 },
    User { to: usize, part: Vec<u8> },
    Arrives { from: usize, life: u64, delivery: Box<Delivery> },
    Accepted { from: usize, life: u64, delivery: Box<Delivery> },
    Outcome { to: usize, life: u64, job: u64, outcome: Outcome },
    Farewell { at: usize, life: u64 },
    Leave { at: usize, life: u64 },
    Stop { at: usize, life: u64 },
    Start { at: usize },
}

/// What the network does.
#[derive(Debug, Clone)]
struct Network {
    delay: (Duration, Duration),
    loss: f64,
    duplication: f64,
}

/// A receiver: one integration of the one receiver there is.
#[derive(Debug, Clone)]
struct Receiver {
    up: bool,
    latency: Duration,
    loses_one_in: usize,
}

/// What an alert is doing.
#[derive(Debug, Clone, Copy)]
struct Life {
    fires: bool,
    since: Duration,
    until: Duration,
}

/// The world.
#[derive(Debug)]
struct World {
    now: Duration,
    random: Random,
    network: Network,
    /// Which instances reach each other: those of the same number.
    sides: Vec<u8>,
    instances: Vec<Instance>,
    receivers: Vec<Receiver>,
    alerts: BTreeMap<(usize, usize), Life>,
    events: BTreeMap<(Duration, u64), Event>,
    next_event: u64,
    /// When each instance gets the last post that is on its way: they come in order.
    posted_at: Vec<Duration>,
    judge: Judge,
    /// The last things that happened, to be told when a run fails.
    history: VecDeque<String>,
}

impl World {
    fn new(count: usize, seed: u64, network: Network, skew: Duration) -> Self {
        let mut random = Random::new(seed);
        let spread = |random: &mut Random| {
            let range = skew.as_millis() as usize;
            random.below(2 * range + 1) as i64 - range as i64
        };
        let skews: Vec<i64> = (0..count).map(|_| spread(&mut random)).collect();
        let mut world = Self {
            now: Duration::ZERO,
            network,
            sides: vec![0; count],
            instances: Vec::new(),
            receivers: vec![Receiver { up: true, latency: Duration::from_millis(20), loses_one_in: 0 }; 2],
            alerts: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            posted_at: vec![Duration::ZERO; count],
            judge: Judge::default(),
            history: VecDeque::new(),
            random,
        };
        for (index, skew_ms) in skews.into_iter().enumerate() {
            let seed = world.random.number();
            world.instances.push(Instance::new(index, count, skew_ms, seed, Duration::ZERO));
        }
        world.after(RESEND, Event::PostAll);
        world
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.history.len() == 200 {
            self.history.pop_front();
        }
        self.history.push_back(format!("{:9.3} {}", self.now.as_secs_f64(), what()));
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.next_event += 1;
        self.events.insert((self.now + delay, self.next_event), event);
    }

    fn delay(&mut self) -> Duration {
        let (least, most) = self.network.delay;
        least + Duration::from_micros(self.random.below((most - least).as_micros() as usize + 1) as u64)
    }

    fn clock(&self, index: usize) -> Now {
        Now { mono: self.now, wall: self.instances[index].wall(self.now) }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        self.sides[from] == self.sides[to]
    }

    /// Lets time pass until `end`.
    fn run_until(&mut self, end: Duration) {
        loop {
            let timer =
                self.instances.iter().enumerate().filter_map(|(index, instance)| {
                    instance.next_timer().map(|at| (at.max(self.now), index))
                });
            let timer = timer.min();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            match (timer, event) {
                (Some((at, index)), event) if at <= end && event.is_none_or(|event| at < event) => {
                    self.now = at;
                    self.tick(index);
                }
                (_, Some(at)) if at <= end => {
                    self.now = self.now.max(at);
                    if let Some((_, event)) = self.events.pop_first() {
                        self.happen(event);
                    }
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn tick(&mut self, index: usize) {
        let now = self.clock(index);
        let Some(running) = self.instances[index].running.as_mut() else { return };
        let effects = running.peer.poll(&mut running.core, now);
        self.carry_out(index, effects);
        let Some(running) = self.instances[index].running.as_mut() else { return };
        running.polled_at = now.mono;
        if running.peer.is_settled() && !running.stops {
            let (deliveries, entries) = running.core.poll(now.wall);
            self.carry_out(index, Effects { deliveries, entries, ..Effects::default() });
        }
    }

    /// Does what an instance wants done.
    fn carry_out(&mut self, index: usize, mut effects: Effects) {
        let now = self.clock(index);
        loop {
            let instance = &mut self.instances[index];
            let life = instance.life;
            let Some(running) = instance.running.as_mut() else { return };
            instance.disk.silences.append(&mut effects.silences);
            instance.disk.entries.extend(effects.entries.iter().chain(&effects.heard).cloned());
            effects.entries.iter().for_each(|entry| running.peer.told(entry));
            let more = running.peer.finish(&mut running.core, now);
            self.send(index, std::mem::take(&mut effects.outputs), std::mem::take(&mut effects.streams));
            for delivery in std::mem::take(&mut effects.deliveries) {
                self.begin_delivery(index, life, delivery);
            }
            effects = more;
            let Effects { outputs, streams, deliveries, entries, heard, silences } = &effects;
            let is_done = outputs.is_empty() && streams.is_empty() && deliveries.is_empty();
            if is_done && entries.is_empty() && heard.is_empty() && silences.is_empty() {
                return;
            }
        }
    }

    fn begin_delivery(&mut self, from: usize, life: u64, delivery: Delivery) {
        let stopping = self.instances[from].running.as_ref().is_none_or(|running| running.stops);
        if stopping {
            return;
        }
        self.note(|| {
            format!(
                "{from} sends {} {} attempt {}",
                delivery.group_key, delivery.integration, delivery.attempt
            )
        });
        self.judge.under_way(from, &delivery);
        let delay = self.delay();
        self.after(delay, Event::Arrives { from, life, delivery: Box::new(delivery) });
    }

    fn send(
        &mut self,
        from: usize,
        outputs: Vec<crate::cluster::membership::Output>,
        streams: Vec<(SocketAddr, Vec<u8>)>,
    ) {
        use crate::cluster::membership::Output;
        let life = self.instances[from].life;
        for output in outputs {
            match output {
                Output::Packet { to, bytes } => self.send_packet(from, to, &bytes),
                Output::PushPull { to, join } => self.push(from, life, to, join),
                Output::StreamPing { to, ping, .. } => {
                    let delay = self.delay();
                    if let Some(to) = self.find(to).filter(|to| self.reaches(from, *to)) {
                        self.after(2 * delay, Event::StreamPing { to, from, life, ping });
                    }
                }
            }
        }
        for (to, part) in streams {
            let delay = self.delay();
            if let Some(to) = self.find(to).filter(|to| self.reaches(from, *to)) {
                self.after(2 * delay, Event::User { to, part });
            }
        }
    }

    fn send_packet(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        let Some(to) = self.find(to).filter(|to| self.reaches(from, *to)) else { return };
        let copies = 1 + usize::from(self.random.chance(self.network.duplication));
        for _ in 0..copies {
            if !self.random.chance(self.network.loss) {
                let delay = self.delay();
                self.after(delay, Event::Packet { to, from, bytes: bytes.to_vec() });
            }
        }
    }

    fn push(&mut self, from: usize, life: u64, to: SocketAddr, join: bool) {
        let Some(with) = self.find(to) else { return };
        let Some(running) = self.instances[from].running.as_mut() else { return };
        let message = running.peer.push(&running.core, join);
        if self.reaches(from, with) {
            let delay = self.delay();
            self.after(2 * delay, Event::Pushed { to: with, from, life, message });
        } else {
            self.after(TCP_TIMEOUT, Event::ExchangeFailed { at: from, with, life });
        }
    }

    fn find(&self, address: SocketAddr) -> Option<usize> {
        (0..self.instances.len()).find(|index| Instance::address(*index) == address)
    }

    /// The instance, if it still is the one that was meant.
    fn alive(&mut self, index: usize, life: u64) -> Option<&mut instance::Running> {
        let instance = &mut self.instances[index];
        if instance.life == life { instance.running.as_mut() } else { None }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Action(action) => self.act(action),
            Event::PostAll => {
                self.post_all();
                self.after(RESEND, Event::PostAll);
            }
            Event::Post { to, alerts } => {
                let wall = self.clock(to).wall;
                if let Some(running) = self.instances[to].running.as_mut() {
                    let received = |alert: Alert| Alert { updated_at: wall, ..alert };
                    running.core.post(alerts.into_iter().map(received).collect(), wall);
                    self.carry_out(to, Effects::default());
                }
            }
            Event::Packet { to, from, bytes } => {
                let now = self.clock(to);
                if let Some(running) = self.instances[to].running.as_mut() {
                    let effects =
                        running.peer.packet(&mut running.core, Instance::address(from), &bytes, now);
                    self.carry_out(to, effects);
                }
            }
            Event::User { to, part } => {
                let now = self.clock(to);
                if let Some(running) = self.instances[to].running.as_mut() {
                    let effects = running.peer.user_message(&mut running.core, &part, now);
                    self.carry_out(to, effects);
                }
            }
            Event::Arrives { from, life, delivery } => self.arrive(from, life, *delivery),
            Event::Accepted { from, life, delivery } => self.accepted(from, life, &delivery),
            Event::Outcome { to, life, job, outcome } => {
                let wall = self.clock(to).wall;
                let Some(running) = self.alive(to, life) else { return };
                let (deliveries, entries) = running.core.finish(job, outcome, wall);
                self.judge.ended(to, job);
                self.carry_out(to, Effects { deliveries, entries, ..Effects::default() });
            }
            other => self.exchange(other),
        }
    }

    /// Streams, and the life of instances.
    fn exchange(&mut self, event: Event) {
        match event {
            Event::Pushed { to, from, life, message } => {
                let now = self.clock(to);
                let delay = self.delay();
                let Some(running) = self.instances[to].running.as_mut() else {
                    return self.after(delay, Event::ExchangeFailed { at: from, with: to, life });
                };
                let StreamMessage::PushPull { join, members, state } = message else { return };
                let answer = running.peer.push(&running.core, join);
                let effects = running.peer.pulled(&mut running.core, None, members, &state, now);
                if let StreamMessage::PushPull { members, state, .. } = answer {
                    self.after(delay, Event::Pulled { to: from, from: to, life, members, state });
                }
                self.carry_out(to, effects);
            }
            Event::Pulled { to, from, life, members, state } => {
                let (now, reached) = (self.clock(to), self.reaches(to, from));
                let Some(running) = self.alive(to, life) else { return };
                if !reached {
                    return running.peer.exchange_failed(Instance::address(from));
                }
                let answered = Some(Instance::address(from));
                let effects = running.peer.pulled(&mut running.core, answered, members, &state, now);
                self.carry_out(to, effects);
            }
            Event::ExchangeFailed { at, with, life } => {
                if let Some(running) = self.alive(at, life) {
                    running.peer.exchange_failed(Instance::address(with));
                }
            }
            Event::StreamPing { to, from, life, ping } => {
                let is_meant = self.instances[to]
                    .running
                    .as_ref()
                    .is_some_and(|running| running.peer.membership().name() == ping.node);
                if is_meant {
                    let delay = self.delay();
                    self.after(delay, Event::StreamAck { to: from, life, sequence: ping.sequence });
                }
            }
            Event::StreamAck { to, life, sequence } => {
                if let Some(running) = self.alive(to, life) {
                    running.peer.stream_answered(sequence);
                }
            }
            Event::Farewell { at, life } if self.alive(at, life).is_some() => {
                for to in self.instances[at].others() {
                    self.push(at, life, to, false);
                }
                self.after(SECOND, Event::Leave { at, life });
            }
            Event::Leave { at, life } => {
                let now = self.clock(at);
                if let Some(running) = self.alive(at, life) {
                    let effects = running.peer.leave(&mut running.core, now);
                    self.carry_out(at, effects);
                    self.after(Duration::from_millis(50), Event::Stop { at, life });
                }
            }
            Event::Stop { at, life } if self.instances[at].life == life => self.stop(at, false),
            Event::Start { at } if self.instances[at].running.is_none() => {
                let seed = self.random.number();
                self.note(|| format!("{at} starts"));
                self.instances[at].start(seed, self.now);
            }
            _ => {}
        }
    }

    /// A notification reaches its receiver, which takes its time, and does not accept what nobody waits for any more.
    fn arrive(&mut self, from: usize, life: u64, delivery: Delivery) {
        let Receiver { up, latency, .. } = self.receivers[delivery.integration.index as usize].clone();
        let limit = delivery.deadline.duration_since(self.clock(from).wall);
        let limit = Duration::try_from(limit).unwrap_or_default();
        let refused = match up {
            true if latency + self.network.delay.1 < limit => {
                return self.after(latency, Event::Accepted { from, life, delivery: Box::new(delivery) });
            }
            true => "timeout",
            false => "503",
        };
        let delay = latency.min(limit) + self.delay();
        let outcome = Outcome::Retry(Failure::new(refused));
        self.after(delay, Event::Outcome { to: from, life, job: delivery.job, outcome });
    }

    fn accepted(&mut self, from: usize, life: u64, delivery: &Delivery) {
        self.note(|| format!("accepted from {from}: {}", judge::show(delivery)));
        self.judge.accept(self.now, from, delivery);
        let delay = self.delay();
        let one_in = self.receivers[delivery.integration.index as usize].loses_one_in;
        let outcome = if one_in > 0 && self.random.below(one_in) == 0 {
            self.note(|| "its answer is lost".to_owned());
            self.judge.excuse(delivery, self.instances.len());
            Outcome::Retry(Failure::new("cut off").perhaps_told(true))
        } else {
            Outcome::Sent(Notes::new())
        };
        self.after(delay, Event::Outcome { to: from, life, job: delivery.job, outcome });
    }

    fn act(&mut self, action: Action) {
        self.note(|| format!("{action:?}"));
        match action {
            Action::Fire(group, number) => {
                let life = self.alerts.entry((group, number)).or_insert(Life {
                    fires: false,
                    since: self.now,
                    until: self.now,
                });
                if !life.fires {
                    *life = Life { fires: true, since: self.now, until: self.now };
                }
                self.post_all();
            }
            Action::Resolve(group, number) => {
                if let Some(life) = self.alerts.get_mut(&(group, number)).filter(|life| life.fires) {
                    *life = Life { fires: false, until: self.now, ..*life };
                }
                self.post_all();
            }
            Action::Receiver { index, up, latency } => {
                let receiver = &mut self.receivers[index];
                (receiver.up, receiver.latency) = (up, latency);
            }
            Action::LoseAnswers { index, one_in } => self.receivers[index].loses_one_in = one_in,
            Action::Restart { index, down, loses_state } => {
                let life = self.instances[index].life;
                let Some(running) = self.instances[index].running.as_mut().filter(|running| !running.stops)
                else {
                    return;
                };
                running.stops = true;
                self.instances[index].loses_state = loses_state;
                // What is under way may still end; then all is given to the others.
                let busy = self.judge.is_sending(index);
                let wait = if busy { FAREWELL } else { Duration::ZERO };
                self.after(wait, Event::Farewell { at: index, life });
                self.after(wait + SECOND + down, Event::Start { at: index });
            }
            Action::Kill { index, down, loses_state } => {
                if self.instances[index].running.is_some() {
                    self.instances[index].loses_state = loses_state;
                    self.stop(index, true);
                    self.after(down, Event::Start { at: index });
                }
            }
            Action::Partition(sides) => {
                let was_whole = self.is_whole();
                self.sides = sides;
                self.judge.partitioned(self.now, was_whole, self.is_whole());
            }
            Action::Reload(index) => {
                let wall = self.instances.get(index).map(|instance| instance.wall(self.now));
                if let (Some(wall), Some(running)) =
                    (wall, self.instances.get_mut(index).and_then(|instance| instance.running.as_mut()))
                {
                    running.core.reload(&instance::settings(), instance::integrations(), wall);
                    self.carry_out(index, Effects::default());
                }
            }
            Action::Silence { at, group, lasts } => self.silence(at, group, lasts),
        }
    }

    fn is_whole(&self) -> bool {
        self.sides.iter().collect::<BTreeSet<_>>().len() < 2
    }

    fn stop(&mut self, index: usize, abruptly: bool) {
        self.note(|| format!("{index} stops"));
        self.judge.stopped(index, self.now, abruptly);
        self.instances[index].stop();
    }

    fn silence(&mut self, at: usize, group: usize, lasts: Duration) {
        let wall = self.clock(at).wall;
        let id = format!("s{}", self.random.number());
        let Some(running) = self.instances[at].running.as_mut() else { return };
        let records = instance::silence(&running.core, group, id, wall, lasts);
        for record in &records {
            running.core.silences_mut().merge(record.clone(), wall);
            running.peer.silenced(record);
        }
        self.instances[at].disk.silences.extend(records);
        self.judge.silenced(group, self.now, lasts);
        self.carry_out(at, Effects::default());
    }

    /// Posts all alerts to all instances, each with a little delay of its own.
    fn post_all(&mut self) {
        let now = self.now;
        let wall = |at: Duration| -> Timestamp { from_ms(BEGIN_MS + at.as_millis() as i64) };
        let alerts: Vec<Alert> = self
            .alerts
            .iter()
            .filter(|(_, life)| life.fires || now < life.until + RESEND_RESOLVED)
            .map(|((group, number), life)| {
                let end = if life.fires { now + 4 * MINUTE } else { life.until };
                instance::alert(*group, *number, wall(life.since), wall(end))
            })
            .collect();
        for to in 0..self.instances.len() {
            let at = (self.now + self.delay()).max(self.posted_at[to]);
            self.posted_at[to] = at;
            self.after(at - self.now, Event::Post { to, alerts: alerts.clone() });
        }
    }

    /// What fires in a group now.
    fn firing(&self, group: usize) -> BTreeSet<u64> {
        let fires = |((of, _), life): &(&(usize, usize), &Life)| *of == group && life.fires;
        let hash = |((group, number), _): (&(usize, usize), &Life)| {
            instance::alert(*group, *number, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).log_hash()
        };
        self.alerts.iter().filter(fires).map(hash).collect()
    }

    fn fail(&self, seed: u64, what: &str) -> ! {
        let history: Vec<&str> = self.history.iter().map(String::as_str).collect();
        panic!("seed {seed}: {what}\n{}", history.join("\n"));
    }
}
