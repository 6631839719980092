//! Random lives of a core: alerts that come and go, receivers that are down or slow, reloads, restarts that keep the
//! log. Whatever happens, no notification is sent twice, and none is missing.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A small generator: the same seed gives the same life.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 29)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

const GROUPS: u64 = 3;
const ALERTS: u64 = 3;
const GROUP_INTERVAL: i64 = 5 * MINUTE;
const REPEAT_INTERVAL: i64 = 60 * MINUTE;
/// How late something may be told: the wait and the interval of the group, and one more interval because it may
/// have been looked at just before; the last is what is rounded.
const PATIENCE: i64 = 30 * SECOND + 2 * GROUP_INTERVAL + SECOND;

/// What a delivery says: whether each alert fires.
type Content = BTreeMap<String, bool>;

struct Life {
    random: Random,
    core: Core,
    now: i64,
    /// The log as it is on disk.
    disk: Vec<LogEntry>,
    /// Attempts under way, and when they end.
    under_way: Vec<(i64, Delivery)>,
    /// Whether the receiver accepts, and since when.
    is_well: bool,
    well_since: i64,
    /// What was accepted last on each group, and when.
    told: BTreeMap<String, (i64, Content)>,
    /// Alerts that fire, by group, and since when that is known here.
    firing: BTreeMap<(u64, u64), i64>,
    /// When the core was last restarted.
    restarted: i64,
    seed: u64,
}

fn content(delivery: &Delivery) -> Content {
    let one = |told: &Told| (told.alert.labels.get_or_empty("i").to_owned(), !told.resolved);
    delivery.alerts.iter().map(one).collect()
}

impl Life {
    fn new(seed: u64) -> Self {
        let core = Core::new(&settings(CONFIG), [integration(true)], CoreOptions::default());
        Self {
            random: Random(seed),
            core,
            now: 0,
            disk: Vec::new(),
            under_way: Vec::new(),
            is_well: true,
            well_since: 0,
            told: BTreeMap::new(),
            firing: BTreeMap::new(),
            restarted: 0,
            seed,
        }
    }

    fn at(&self) -> Timestamp {
        from_ms(self.now)
    }

    fn post(&mut self, (group, i): (u64, u64), fires: bool) {
        let (name, i) = (format!("G{group}"), i.to_string());
        let end = if fires { self.now + 30 * MINUTE } else { self.now };
        let mut posted = alert(&[("alertname", &name), ("i", &i)], self.now, end);
        posted.updated_at = self.at();
        let now = self.at();
        self.core.post(vec![posted], now);
    }

    /// Something happens to alerts, the receiver or the process.
    fn happen(&mut self) {
        match self.random.below(20) {
            0..=7 => {
                let alert = (self.random.below(GROUPS), self.random.below(ALERTS));
                let fires = self.random.one_in(2);
                match fires {
                    true => drop(self.firing.entry(alert).or_insert(self.now)),
                    false => drop(self.firing.remove(&alert)),
                }
                self.post(alert, fires);
            }
            8..=9 => {
                self.is_well = !self.is_well;
                self.well_since = self.now;
            }
            10..=12 => {
                let now = self.at();
                // A shorter interval makes groups due while older attempts go on.
                let interval =
                    if self.random.one_in(2) { "group_interval: 1m" } else { "group_interval: 5m" };
                let config = CONFIG.replace("group_interval: 5m", interval);
                self.core.reload(&settings(&config), [integration(true)], now);
            }
            13 => self.restart(),
            14 => {
                let now = self.at();
                self.core.forget(now);
            }
            _ => {}
        }
        // Who sends alerts sends those that fire again and again.
        let firing: Vec<(u64, u64)> = self.firing.keys().copied().collect();
        firing.into_iter().for_each(|alert| self.post(alert, true));
    }

    /// The process ends; what was under way may have been accepted or not, and nobody notes it.
    fn restart(&mut self) {
        if !self.under_way.is_empty() {
            // Here a notification may be sent twice; that is another statement's matter.
            return;
        }
        self.core = Core::new(&settings(CONFIG), [integration(true)], CoreOptions::default());
        for entry in self.disk.clone() {
            let now = self.at();
            self.core.log_mut().merge(entry, now);
        }
        self.restarted = self.now;
    }

    fn begin(&mut self, work: (Vec<Delivery>, Vec<LogEntry>)) {
        self.disk.extend(work.1);
        for delivery in work.0 {
            // Most are quick; some take longer than the group's interval.
            let takes = if self.random.one_in(4) { self.random.below(400) } else { self.random.below(3) };
            let ends = (self.now + takes as i64 * SECOND).min(delivery.deadline.as_millisecond());
            self.under_way.push((ends, delivery));
        }
    }

    fn end(&mut self, delivery: Delivery) {
        let outcome = if self.is_well {
            self.accept(&delivery);
            Outcome::Sent(Notes::new())
        } else if self.random.one_in(5) {
            Outcome::Failed(Failure::new("404"))
        } else {
            Outcome::Retry(Failure::new("503"))
        };
        let now = self.at();
        let work = self.core.finish(delivery.job, outcome, now);
        self.begin(work);
    }

    /// First statement: no two equal notifications in a row within the interval of repetition.
    fn accept(&mut self, delivery: &Delivery) {
        let (key, said) = (delivery.group_key.to_string(), content(delivery));
        if let Some((at, before)) = self.told.get(&key) {
            let is_soon = self.now - at < REPEAT_INTERVAL;
            assert!(
                !(is_soon && *before == said),
                "seed {}: {key} was told {said:?} at {at} and again at {} ({:?})",
                self.seed,
                self.now,
                delivery.reason
            );
        }
        self.told.insert(key, (self.now, said));
    }

    /// Second statement: what fires for long enough, with a receiver that is well for long enough, was told.
    fn check(&self) {
        let since = self.well_since.max(self.restarted);
        if !self.is_well || self.now - since < PATIENCE {
            return;
        }
        for ((group, i), fires_since) in &self.firing {
            if self.now - fires_since < PATIENCE {
                continue;
            }
            let told = self.told.get(&format!("{{}}:{{alertname=\"G{group}\"}}"));
            let knows = told.is_some_and(|(_, said)| said.get(&i.to_string()) == Some(&true));
            assert!(
                knows,
                "seed {}: alert {i} of group {group} fires since {fires_since} and is not told at {}: {told:?}",
                self.seed, self.now
            );
        }
    }

    fn run_until(&mut self, end: i64) {
        loop {
            let timer = self.core.next_timer().map(|at| at.as_millisecond());
            let ends = self.under_way.iter().map(|(at, _)| *at).min();
            let Some(next) = timer.into_iter().chain(ends).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if ends == Some(next) {
                let at = self.under_way.iter().position(|(at, _)| *at == next).unwrap();
                let (_, delivery) = self.under_way.swap_remove(at);
                self.end(delivery);
            } else {
                let now = self.at();
                let work = self.core.poll(now);
                self.begin(work);
            }
        }
        self.now = end;
    }
}

#[test]
fn nothing_is_told_twice_and_nothing_is_missing() {
    let mut notifications = 0;
    let mut kinds = BTreeSet::new();
    for seed in 0..400 {
        let mut life = Life::new(seed);
        for _ in 0..150 {
            let pause = if life.random.one_in(6) { 20 * MINUTE } else { 90 * SECOND };
            let until = life.now + 1 + life.random.below(pause as u64) as i64;
            life.run_until(until);
            life.check();
            life.happen();
        }
        // In the end all is well, and everybody knows.
        life.is_well = true;
        life.well_since = life.now;
        for _ in 0..20 {
            life.firing
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|alert| life.post(alert, true));
            let until = life.now + MINUTE;
            life.run_until(until);
        }
        life.check();
        notifications += life.told.len();
        kinds.extend(life.core.attempts.iter().map(|attempt| attempt.reason.as_str()));
    }
    assert!(notifications > 1000 && kinds.len() >= 4, "{notifications}, {kinds:?}");
}
