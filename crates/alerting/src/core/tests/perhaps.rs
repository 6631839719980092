//! Receivers that take a notification and do not answer.

use super::*;

fn cut_off(_: &Delivery) -> Outcome {
    Outcome::Retry(Failure::new("connection closed").perhaps_told(true))
}

#[test]
fn what_got_no_answer_is_told_to_be_resolved() {
    let mut world = World::new(true);
    world.answer = cut_off;
    world.post(&[("alertname", "Down")], 2 * MINUTE);
    // It fires, is sent, perhaps taken, and ends before anything is known.
    world.run_until(5 * MINUTE);
    assert!(world.told().iter().all(|told| (told.1, told.2) == (1, 0)) && !world.sent.is_empty());
    world.sent.clear();
    // Nor is what is told then answered.
    world.run_until(7 * MINUTE);
    world.sent.retain(|(at, _)| *at >= 5 * MINUTE + 30 * SECOND);
    assert!(world.told().iter().all(|told| (told.1, told.2) == (0, 1)) && world.sent.len() > 1);
    assert_eq!(world.entries.len(), 1, "what is perhaps known is written down once: {:?}", world.entries);
    assert!(world.entries[0].firing.is_empty() && world.entries[0].perhaps.len() == 1);
    world.answer = |_| Outcome::Sent(Notes::new());
    world.sent.clear();
    world.run_until(20 * MINUTE);
    assert_eq!(world.told().iter().map(|told| (told.1, told.2)).collect::<Vec<_>>(), [(0, 1)]);
    assert_eq!(world.sent[0].1.reason, Reason::AllResolved);
    assert_eq!(world.core.group_count(), 0);
    assert!(world.entries.last().unwrap().perhaps.is_empty(), "now it is sure");
}

#[test]
fn what_got_no_answer_is_told_to_be_resolved_after_a_restart() {
    let mut world = World::new(true);
    world.answer = cut_off;
    world.post(&[("alertname", "Down")], FAR);
    world.run_until(MINUTE);
    let mut after = World::new(true);
    for entry in &world.entries {
        let read = crate::nflog::decode(&crate::nflog::encode(entry)).unwrap();
        assert!(after.core.log_mut().merge(read, from_ms(MINUTE)));
    }
    after.now = 2 * MINUTE;
    after.post(&[("alertname", "Down")], 2 * MINUTE);
    after.run_until(10 * MINUTE);
    assert_eq!(after.told().iter().map(|told| (told.1, told.2)).collect::<Vec<_>>(), [(0, 1)]);
}

#[test]
fn of_what_was_refused_for_sure_nothing_is_told_once_it_is_resolved() {
    let mut world = World::new(true);
    world.answer = |_| Outcome::Retry(Failure::new("connection refused"));
    world.post(&[("alertname", "Down")], 2 * MINUTE);
    world.run_until(20 * MINUTE);
    assert!(world.entries.is_empty() && world.sent.iter().all(|(_, delivery)| !delivery.alerts[0].resolved));
}

#[test]
fn what_is_under_way_at_the_end_may_be_known() {
    let mut world = World::new(true);
    world.post(&[("alertname", "Down")], FAR);
    let (deliveries, _) = world.core.poll(from_ms(MINUTE));
    assert_eq!(deliveries.len(), 1);
    let entries = world.core.abandon(from_ms(MINUTE));
    assert_eq!(entries.iter().map(|entry| entry.perhaps.len()).collect::<Vec<_>>(), [1]);
    let known = world.core.log().get("{}:{alertname=\"Down\"}", &integration(true).key);
    assert_eq!(known.unwrap().perhaps, entries[0].perhaps, "the last snapshot has it");
}
