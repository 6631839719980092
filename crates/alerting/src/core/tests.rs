use super::*;
use crate::alert::from_ms;
use crate::testing::{alert, settings};

const CONFIG: &str = r#"
route:
  receiver: team
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
  routes:
  - matchers: ['severity="office"']
    mute_time_intervals: [always]
inhibit_rules:
- source_matchers: ['severity="critical"']
  target_matchers: ['severity="warning"']
time_intervals:
- name: always
  time_intervals: [{years: ['1970:3000']}]
receivers: [{name: team}]
"#;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const FAR: i64 = 1000 * 60 * MINUTE;

fn integration(sends_resolved: bool) -> Integration {
    let key = IntegrationKey { receiver: "team".to_owned(), kind: "webhook", index: 0 };
    Integration { key: Arc::new(key), sends_resolved }
}

/// A core and the time, and what was sent so far.
struct World {
    core: Core,
    now: i64,
    sent: Vec<(i64, Delivery)>,
    /// What the receiver answers.
    answer: fn(&Delivery) -> Outcome,
    entries: Vec<LogEntry>,
}

impl World {
    fn new(sends_resolved: bool) -> Self {
        let core = Core::new(&settings(CONFIG), [integration(sends_resolved)], CoreOptions::default());
        Self { core, now: 0, sent: Vec::new(), answer: |_| Outcome::Sent(Notes::new()), entries: Vec::new() }
    }

    fn post(&mut self, labels: &[(&str, &str)], end: i64) {
        let mut alert = alert(labels, self.now, end);
        alert.updated_at = from_ms(self.now);
        self.core.post(vec![alert], from_ms(self.now));
    }

    /// Lets time pass, answering deliveries at once.
    fn run_until(&mut self, end: i64) {
        while let Some(at) = self.core.next_timer().filter(|at| *at <= from_ms(end)) {
            self.now = at.as_millisecond().max(self.now);
            let mut work = self.core.poll(from_ms(self.now));
            while let Some(delivery) = work.0.pop() {
                self.entries.append(&mut work.1);
                let outcome = (self.answer)(&delivery);
                self.sent.push((self.now, delivery.clone()));
                let more = self.core.finish(delivery.job, outcome, from_ms(self.now));
                work.0.extend(more.0);
                work.1.extend(more.1);
            }
            self.entries.append(&mut work.1);
        }
        self.now = end;
    }

    /// When what was sent, how many alerts fired and how many were resolved.
    fn told(&self) -> Vec<(i64, usize, usize)> {
        let count = |delivery: &Delivery, resolved| {
            delivery.alerts.iter().filter(|told| told.resolved == resolved).count()
        };
        self.sent.iter().map(|(at, delivery)| (*at, count(delivery, false), count(delivery, true))).collect()
    }
}

#[test]
fn a_group_waits_changes_repeats_and_is_resolved() {
    let mut world = World::new(true);
    world.post(&[("alertname", "Down"), ("i", "1")], FAR);
    world.run_until(10 * SECOND);
    world.post(&[("alertname", "Down"), ("i", "2")], FAR);
    world.run_until(20 * MINUTE);
    assert_eq!(world.told(), [(30 * SECOND, 2, 0)], "both in one, and then nothing new");
    world.post(&[("alertname", "Down"), ("i", "3")], FAR);
    world.run_until(85 * MINUTE);
    // Changes wait for the interval; an hour after that it is repeated.
    assert_eq!(world.told()[1..], [(20 * MINUTE + 30 * SECOND, 3, 0)]);
    world.run_until(86 * MINUTE);
    assert_eq!(world.told()[2..], [(85 * MINUTE + 30 * SECOND, 3, 0)]);
    for i in ["1", "2", "3"] {
        let now = world.now;
        world.post(&[("alertname", "Down"), ("i", i)], now);
    }
    world.run_until(200 * MINUTE);
    assert_eq!(world.told()[3..], [(90 * MINUTE + 30 * SECOND, 0, 3)]);
    assert_eq!(world.core.group_count(), 0, "a group without alerts ends");
    let reasons: Vec<&str> = world.sent.iter().map(|(_, delivery)| delivery.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["first notification", "new alerts added", "repeat interval elapsed", "all alerts resolved"]
    );
}

#[test]
fn an_alert_that_is_old_is_told_at_once() {
    let mut world = World::new(true);
    world.now = 10 * MINUTE;
    let old = alert(&[("alertname", "Down")], 0, FAR);
    world.core.post(vec![old], from_ms(world.now));
    world.run_until(11 * MINUTE);
    assert_eq!(world.told(), [(10 * MINUTE, 1, 0)]);
}

#[test]
fn who_does_not_hear_of_resolved_alerts_is_still_known_to_have_nothing_firing() {
    let mut world = World::new(false);
    world.post(&[("alertname", "Down")], 2 * MINUTE);
    world.run_until(20 * MINUTE);
    assert_eq!(world.told(), [(30 * SECOND, 1, 0)]);
    assert!(world.entries.last().unwrap().firing.is_empty());
    world.post(&[("alertname", "Down")], FAR);
    world.run_until(30 * MINUTE);
    assert_eq!(world.sent.last().unwrap().1.reason, Reason::First, "it fires anew");
}

#[test]
fn what_fails_for_now_is_tried_until_the_group_is_due_again() {
    let mut world = World::new(true);
    world.answer = |_| Outcome::Retry(Failure::of("503", "serverError"));
    world.post(&[("alertname", "Down")], FAR);
    world.run_until(30 * MINUTE);
    let attempts: Vec<u32> = world.sent.iter().map(|(_, delivery)| delivery.attempt).collect();
    let flushes = attempts.iter().filter(|attempt| **attempt == 1).count();
    assert_eq!(flushes, 6, "{attempts:?}");
    assert!(attempts.iter().all(|attempt| *attempt < 40) && attempts.contains(&8), "{attempts:?}");
    // The receiver is back: one notification, not one for each that failed.
    world.answer = |_| Outcome::Sent(Notes::new());
    let before = world.sent.len();
    world.run_until(60 * MINUTE);
    assert_eq!(world.sent.len(), before + 1);
}

#[test]
fn what_failed_for_good_is_tried_when_the_group_is_due_again() {
    let mut world = World::new(true);
    world.answer = |_| Outcome::Failed(Failure::new("404"));
    world.post(&[("alertname", "Down")], 2 * MINUTE);
    world.run_until(9 * MINUTE);
    assert_eq!(world.told(), [(30 * SECOND, 1, 0)], "nobody knows it fired, so nobody hears it was resolved");
    assert_eq!(world.core.group_count(), 0);
}

#[test]
fn silenced_inhibited_and_muted_alerts_are_not_told() {
    let mut world = World::new(true);
    let silence = crate::silence::Silence {
        id: String::new(),
        matcher_sets: vec![vec![config::alertmanager::Matcher::equal("i", "silenced")]],
        starts_at: from_ms(0),
        ends_at: from_ms(60 * MINUTE),
        updated_at: from_ms(0),
        created_by: String::new(),
        comment: String::new(),
        annotations: BTreeMap::new(),
    };
    let records = world.core.silences().plan_set(silence, || "s".to_owned(), from_ms(0)).unwrap();
    records.into_iter().for_each(|record| assert!(world.core.silences_mut().merge(record, from_ms(0))));
    world.post(&[("alertname", "A"), ("i", "silenced")], FAR);
    world.post(&[("alertname", "B"), ("severity", "warning")], FAR);
    world.post(&[("alertname", "C"), ("severity", "office")], FAR);
    world.post(&[("alertname", "D"), ("severity", "critical")], 30 * MINUTE);
    world.run_until(MINUTE);
    let names: Vec<&str> = world.sent.iter().map(|(_, delivery)| delivery.alerts[0].alert.name()).collect();
    assert_eq!(names, ["D"]);
    let suppressed = world.core.suppressed();
    assert_eq!((suppressed.silence, suppressed.inhibition, suppressed.mute_interval), (1, 1, 1));
    let office =
        world.core.groups().into_iter().find(|group| group.labels.get("alertname") == Some("C")).unwrap();
    assert_eq!(office.muted_by, ["always"]);
    // The source is resolved, and later the silence is over.
    world.run_until(70 * MINUTE);
    let mut names: Vec<&str> =
        world.sent.iter().map(|(_, delivery)| delivery.alerts[0].alert.name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["A", "B", "D", "D"], "{:?}", world.told());
}

#[test]
fn a_reload_loses_nothing_and_repeats_nothing() {
    let mut world = World::new(true);
    world.post(&[("alertname", "Down"), ("i", "1")], FAR);
    world.post(&[("alertname", "Down"), ("i", "2")], 2 * MINUTE);
    world.run_until(3 * MINUTE);
    assert_eq!(world.told(), [(30 * SECOND, 2, 0)]);
    // The store forgets what is resolved; the group has not told of it yet.
    world.core.forget(from_ms(world.now));
    world.core.reload(&settings(CONFIG), [integration(true)], from_ms(world.now));
    world.run_until(60 * MINUTE);
    // A reload is no reason to tell of changes before their time.
    assert_eq!(world.told()[1..], [(5 * MINUTE + 30 * SECOND, 1, 1)], "that one is resolved, once");
}

#[test]
fn a_delivery_under_way_during_a_reload_is_not_sent_again() {
    let mut world = World::new(true);
    world.post(&[("alertname", "Down")], FAR);
    world.now = 30 * SECOND;
    let (deliveries, _) = world.core.poll(from_ms(world.now));
    assert_eq!(deliveries.len(), 1);
    world.core.reload(&settings(CONFIG), [integration(true)], from_ms(world.now));
    let (_, entries) = world.core.finish(deliveries[0].job, Outcome::Sent(Notes::new()), from_ms(world.now));
    assert_eq!(entries.len(), 1);
    world.run_until(50 * MINUTE);
    assert_eq!(world.told(), []);
}

#[test]
fn after_a_restart_the_log_knows_what_was_told() {
    let mut world = World::new(true);
    world.post(&[("alertname", "Down")], FAR);
    world.run_until(MINUTE);
    let mut restarted = World::new(true);
    restarted.now = 2 * MINUTE;
    for entry in world.entries {
        assert!(restarted.core.log_mut().merge(entry, from_ms(restarted.now)));
    }
    restarted.post(&[("alertname", "Down")], FAR);
    restarted.run_until(10 * MINUTE);
    assert_eq!(restarted.told(), []);
    let now = restarted.now;
    restarted.post(&[("alertname", "Down")], now);
    restarted.run_until(20 * MINUTE);
    assert_eq!(restarted.told().len(), 1, "resolved, once");
    assert_eq!(restarted.told()[0].2, 1);
}

#[test]
fn an_explanation_says_which_route_what_suppresses_and_what_was_told() {
    let mut world = World::new(true);
    world.post(&[("alertname", "D"), ("severity", "critical")], FAR);
    world.run_until(MINUTE);
    let labels = Labels::from_pairs([("alertname", "D"), ("severity", "critical")]);
    let explanation = world.core.explain(&labels, from_ms(world.now));
    assert!(explanation.known && explanation.firing);
    let route = &explanation.routes[0];
    assert_eq!(route.group_key, "{}:{alertname=\"D\"}");
    assert_eq!(
        route.not_taken,
        [("{}/{severity=\"office\"}/0".to_owned(), "severity=\"office\"".to_owned())]
    );
    assert_eq!(route.due_at, Some(from_ms(5 * MINUTE + 30 * SECOND)));
    assert!(route.told[0].knows_firing);
    assert_eq!(route.told[0].repeats_after, Some(from_ms(60 * MINUTE + 30 * SECOND)));
    assert_eq!(route.attempts.len(), 1);
    let other = Labels::from_pairs([("alertname", "X"), ("severity", "warning")]);
    let explanation = world.core.explain(&other, from_ms(world.now));
    assert_eq!(explanation.suppression.inhibited_by.unwrap().rule, "#1");
    assert_eq!(explanation.routes[0].due_at, None);
}

mod perhaps;
mod random;
mod reload;
