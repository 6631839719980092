//! Reloads while something is under way.

use super::*;

fn reload(world: &mut World) {
    world.core.reload(&settings(CONFIG), [integration(true)], from_ms(world.now));
}

/// A world in which one delivery is under way on an alert that is ten minutes old.
fn sending() -> (World, Delivery) {
    let mut world = World::new(true);
    let old = alert(&[("alertname", "Down")], 0, FAR);
    world.now = 10 * MINUTE;
    world.core.post(vec![old], from_ms(world.now));
    let (mut deliveries, _) = world.core.poll(from_ms(world.now));
    (world, deliveries.pop().unwrap())
}

#[test]
fn what_is_being_sent_is_waited_for_and_not_sent_again() {
    let (mut world, delivery) = sending();
    reload(&mut world);
    world.post(&[("alertname", "Down")], FAR);
    world.now += MINUTE;
    assert!(world.core.poll(from_ms(world.now)).0.is_empty());
    let (more, entries) = world.core.finish(delivery.job, Outcome::Sent(Notes::new()), from_ms(world.now));
    assert_eq!((more.len(), entries.len()), (0, 1));
    world.run_until(60 * MINUTE);
    assert_eq!(world.told(), []);
}

#[test]
fn a_group_that_is_due_waits_for_what_an_older_configuration_sends() {
    let (mut world, delivery) = sending();
    reload(&mut world);
    world.post(&[("alertname", "Down"), ("i", "2")], FAR);
    // The group is due again, and still the old attempt goes on.
    world.now = 15 * MINUTE + SECOND;
    assert!(world.core.poll(from_ms(world.now)).0.is_empty());
    let (more, _) = world.core.finish(delivery.job, Outcome::Sent(Notes::new()), from_ms(world.now));
    let [next] = more.as_slice() else { panic!("{more:?}") };
    assert_eq!((next.reason, next.alerts.len()), (Reason::NewAlerts, 2));
}

#[test]
fn what_fails_after_a_reload_is_decided_anew_and_not_repeated() {
    let (mut world, delivery) = sending();
    reload(&mut world);
    let later = from_ms(world.now + SECOND);
    let (more, entries) =
        world.core.finish(delivery.job, Outcome::Retry(Failure::of("503", "serverError")), later);
    assert!(more.is_empty() && entries.is_empty());
    world.run_until(60 * MINUTE);
    // At once, once, and not by two jobs for ever.
    assert_eq!(world.told(), [(10 * MINUTE + SECOND, 1, 0)]);
    assert_eq!(world.sent[0].1.attempt, 1);
}

#[test]
fn what_waits_to_be_tried_again_is_tried_at_once_by_the_new_configuration() {
    let (mut world, delivery) = sending();
    let now = from_ms(world.now);
    world.core.finish(delivery.job, Outcome::Retry(Failure::of("503", "serverError")), now);
    reload(&mut world);
    world.run_until(60 * MINUTE);
    assert_eq!(world.told(), [(10 * MINUTE, 1, 0)]);
}

#[test]
fn two_reloads_wait_for_the_same_attempt() {
    let (mut world, delivery) = sending();
    reload(&mut world);
    world.now = 15 * MINUTE + SECOND;
    assert!(world.core.poll(from_ms(world.now)).0.is_empty(), "it waits");
    reload(&mut world);
    world.core.finish(delivery.job, Outcome::Sent(Notes::new()), from_ms(world.now));
    world.run_until(60 * MINUTE);
    assert_eq!(world.told(), []);
}

#[test]
fn a_group_of_another_receiver_is_new() {
    let mut world = World::new(true);
    world.post(&[("alertname", "Down")], FAR);
    world.run_until(MINUTE);
    let other = CONFIG.replace("team", "crew");
    let key = IntegrationKey { receiver: "crew".to_owned(), kind: "webhook", index: 0 };
    let integration = Integration { key: Arc::new(key), sends_resolved: true };
    world.core.reload(&settings(&other), [integration], from_ms(world.now));
    world.run_until(2 * MINUTE);
    assert_eq!(world.told(), [(30 * SECOND, 1, 0), (MINUTE, 1, 0)], "it has not heard of it");
}

#[test]
fn an_attempt_that_never_ends_does_not_end_its_group() {
    let (mut world, delivery) = sending();
    world.run_until(30 * MINUTE);
    assert!(!world.told().is_empty(), "the group goes on");
    assert_eq!(world.core.tallies().values().map(|tally| tally.failed["other"]).sum::<u64>(), 1);
    // Whatever comes of it later is nobody's.
    let late = world.core.finish(delivery.job, Outcome::Sent(Notes::new()), from_ms(world.now));
    assert!(late.0.is_empty() && late.1.is_empty());
}

#[test]
fn a_receiver_that_is_down_counts_as_failed_once_for_each_notification() {
    let mut world = World::new(true);
    world.answer = |_| Outcome::Retry(Failure::of("503", "serverError"));
    world.post(&[("alertname", "Down")], FAR);
    world.run_until(3 * MINUTE);
    let tally = world.core.tallies().values().next().unwrap();
    assert_eq!((tally.begun, tally.failed.get("serverError")), (1, None));
    world.run_until(5 * MINUTE + 29 * SECOND);
    let tally = world.core.tallies().values().next().unwrap();
    assert_eq!(tally.failed.get("serverError"), Some(&1));
    assert_eq!(tally.failed.len(), 1);
}
