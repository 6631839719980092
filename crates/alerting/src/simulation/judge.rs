//! Says whether what receivers were told is what they should have been.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::{MINUTE, SECOND};
use crate::core::Delivery;

/// What a receiver knows of a group.
#[derive(Debug, Clone, Default)]
struct Known {
    /// What fired when it was told last.
    firing: BTreeSet<u64>,
    /// For each alert it was ever told of: whether it fired, and since when.
    alerts: BTreeMap<u64, (bool, Timestamp)>,
    told_at: Option<Duration>,
}

/// A group and an integration.
pub type Line = (String, u32);

/// Keeps what receivers know.
#[derive(Debug, Default)]
pub struct Judge {
    known: BTreeMap<Line, Known>,
    /// What was accepted, by its line.
    pub accepted: Vec<Line>,
    /// Notifications that told nothing new and had no excuse.
    pub redundant: Vec<String>,
    /// How many times of each line a repetition is excused: somebody died before it could tell the others.
    excused: HashMap<Line, usize>,
    /// Attempts under way: who makes them, and of which line.
    sending: HashMap<(usize, u64), Line>,
    /// What was accepted of late, and from whom.
    fresh: Vec<(Duration, usize, Line)>,
    /// Until when repetitions are excused, because the instances do not reach each other.
    parted_until: Option<Duration>,
    silences: Vec<(usize, Duration, Duration)>,
    /// Notifications on groups that were silenced.
    pub despite_silence: Vec<String>,
}

pub fn show(delivery: &Delivery) -> String {
    let count = |resolved| delivery.alerts.iter().filter(|told| told.resolved == resolved).count();
    format!(
        "{} {}: {} firing, {} resolved, {}",
        delivery.group_key,
        delivery.integration,
        count(false),
        count(true),
        delivery.reason.as_str()
    )
}

fn line(delivery: &Delivery) -> Line {
    (delivery.group_key.to_string(), delivery.integration.index)
}

impl Judge {
    pub fn under_way(&mut self, from: usize, delivery: &Delivery) {
        self.sending.insert((from, delivery.job), line(delivery));
    }

    pub fn ended(&mut self, from: usize, job: u64) {
        self.sending.remove(&(from, job));
    }

    pub fn is_sending(&self, from: usize) -> bool {
        self.sending.keys().any(|(of, _)| *of == from)
    }

    /// An instance is gone: what it was sending, and what it may not have told the others yet, may be repeated.
    pub fn stopped(&mut self, index: usize, now: Duration, abruptly: bool) {
        let under_way = self.sending.extract_if(|(of, _), _| *of == index).map(|(_, line)| line);
        let fresh =
            self.fresh.iter().filter(|(at, of, _)| abruptly && *of == index && now < *at + 2 * SECOND);
        let lines: BTreeSet<Line> = under_way.chain(fresh.map(|(_, _, line)| line.clone())).collect();
        for line in lines {
            *self.excused.entry(line).or_default() += 1;
        }
    }

    /// The answer to a notification was lost: each of so many instances may repeat it.
    pub fn excuse(&mut self, delivery: &Delivery, instances: usize) {
        *self.excused.entry(line(delivery)).or_default() += instances;
    }

    pub fn partitioned(&mut self, now: Duration, was_whole: bool, is_whole: bool) {
        if !is_whole {
            self.parted_until = Some(Duration::MAX);
        } else if !was_whole {
            // They have to find each other again.
            self.parted_until = Some(now + MINUTE);
        }
    }

    /// Whether a group was silenced at any time.
    pub fn was_silenced(&self, group: usize) -> bool {
        self.silences.iter().any(|(silenced, ..)| *silenced == group)
    }

    pub fn silenced(&mut self, group: usize, now: Duration, lasts: Duration) {
        self.silences.push((group, now, now + lasts));
    }

    pub fn accept(&mut self, now: Duration, from: usize, delivery: &Delivery) {
        let line = line(delivery);
        let text = format!("{:9.3} from {from}: {}", now.as_secs_f64(), show(delivery));
        let known = self.known.entry(line.clone()).or_default();
        if !known.learns(delivery, now) {
            let parted = self.parted_until.is_some_and(|until| now < until);
            match self.excused.get_mut(&line).filter(|count| **count > 0) {
                _ if parted => {}
                Some(count) => *count -= 1,
                None => self.redundant.push(text.clone()),
            }
        }
        // A silence needs a moment to be known everywhere, and what was decided before goes on.
        for (group, begin, end) in &self.silences {
            let is_meant = line.0.ends_with(&format!("\"{}\"}}", super::instance::group_name(*group)));
            if is_meant && *begin + 2 * MINUTE < now && now + SECOND < *end && self.parted_until.is_none() {
                self.despite_silence.push(text.clone());
            }
        }
        self.fresh.retain(|(at, ..)| now < *at + 2 * SECOND);
        self.fresh.push((now, from, line.clone()));
        self.accepted.push(line);
    }

    /// What fires in a group, as an integration was told last.
    pub fn knows(&self, group: usize, index: u32) -> BTreeSet<u64> {
        let key = format!("{{}}:{{alertname=\"{}\"}}", super::instance::group_name(group));
        self.known.get(&(key, index)).map(|known| known.firing.clone()).unwrap_or_default()
    }
}

impl Known {
    /// Takes a notification. Says whether it has any news, or repeats when it is time.
    fn learns(&mut self, delivery: &Delivery, now: Duration) -> bool {
        // Instances look at their groups at different times.
        const REPEATS_AFTER: Duration = Duration::from_secs(3600 - 90);
        let mut news = self.told_at.is_none_or(|at| now > at + REPEATS_AFTER);
        self.told_at = Some(now);
        self.firing.clear();
        for told in &delivery.alerts {
            let (hash, fires) = (told.alert.log_hash(), !told.resolved);
            let knew = self.alerts.insert(hash, (fires, told.alert.starts_at));
            news |= match knew {
                None => true,
                Some((fired, since)) if fires => !fired || since != told.alert.starts_at,
                Some((fired, since)) => fired || since != told.alert.starts_at,
            };
            if fires {
                self.firing.insert(hash);
            }
        }
        news
    }
}
