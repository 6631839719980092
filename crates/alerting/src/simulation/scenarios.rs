//! What happens in a run, by its seed, and what must be true afterwards.

use std::time::Duration;

use super::{Action, Event, MINUTE, Network, SECOND, World};

/// How many seeds are run, unless the environment says otherwise.
const SEEDS: u64 = 210;
/// How long after the last fault everything must have been told.
const QUIET: Duration = Duration::from_secs(8 * 60);
const GROUPS: usize = 3;

fn calm() -> Network {
    Network { delay: (Duration::from_millis(1), Duration::from_millis(30)), loss: 0.0, duplication: 0.0 }
}

/// A world whose instances have found each other.
fn world(count: usize, seed: u64) -> World {
    let mut world = World::new(count, seed, calm(), Duration::from_millis(300));
    world.run_until(30 * SECOND);
    world
}

impl World {
    fn at(&mut self, seconds: u64, action: Action) {
        self.after(Duration::from_secs(seconds), Event::Action(action));
    }

    fn run(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    /// How often each integration was told so far.
    fn told(&self) -> [usize; 2] {
        [0, 1].map(|index| self.judge.accepted.iter().filter(|line| line.1 == index).count())
    }

    /// Fails unless what was told is what there was to tell, and nothing twice.
    fn check(&self, seed: u64) {
        if let Some(text) = self.judge.redundant.first() {
            self.fail(seed, &format!("told without news: {text}"));
        }
        if let Some(text) = self.judge.despite_silence.first() {
            self.fail(seed, &format!("told despite a silence: {text}"));
        }
        for group in 0..GROUPS {
            for index in 0..2 {
                let (told, truth) = (self.judge.knows(group, index), self.firing(group));
                // What was resolved while it was silenced is not told, by Alertmanager neither.
                let silenced = self.judge.was_silenced(group);
                if told != truth && !(silenced && told.is_superset(&truth)) {
                    let (told, truth) = (told.len(), truth.len());
                    self.fail(seed, &format!("group {group}, integration {index}: {told} told of {truth}"));
                }
            }
        }
    }
}

#[test]
fn each_group_is_told_once_whatever_the_number_of_instances() {
    for count in 1..=5 {
        let mut world = world(count, 77 + count as u64);
        for group in 0..GROUPS {
            (0..4).for_each(|number| world.at(1, Action::Fire(group, number)));
        }
        world.run(600);
        assert_eq!(world.told(), [GROUPS; 2], "{count} instances");
        (0..4).for_each(|number| world.at(1, Action::Resolve(0, number)));
        world.run(600);
        assert_eq!(world.told(), [GROUPS + 1; 2], "{count} instances");
        world.check(count as u64);
    }
}

#[test]
fn a_receiver_that_was_down_for_an_hour_is_told_once() {
    let mut world = world(3, 5);
    for index in 0..2 {
        world.at(1, Action::Receiver { index, up: false, latency: SECOND });
    }
    world.at(5, Action::Fire(0, 0));
    world.run(3600);
    assert_eq!(world.told(), [0, 0]);
    for index in 0..2 {
        world.at(1, Action::Receiver { index, up: true, latency: SECOND });
    }
    world.run(300);
    assert_eq!(world.told(), [1, 1]);
    world.check(5);
}

#[test]
fn what_a_receiver_took_without_an_answer_is_told_to_be_resolved_by_whoever_is_left() {
    for killed in [false, true] {
        let mut world = world(3, 11);
        for index in 0..2 {
            world.at(1, Action::LoseAnswers { index, one_in: 1 });
        }
        world.at(5, Action::Fire(0, 0));
        world.at(20, Action::Resolve(0, 0));
        if killed {
            // It was heard of by the others.
            world.at(30, Action::Kill { index: 0, down: 3600 * SECOND, loses_state: true });
            world.at(30, Action::Kill { index: 1, down: 3600 * SECOND, loses_state: true });
        }
        for index in 0..2 {
            world.at(60, Action::LoseAnswers { index, one_in: 0 });
        }
        world.run(600);
        assert!(world.told()[0] >= 2, "killed: {killed}");
        world.check(11);
    }
}

#[test]
fn a_receiver_slower_than_the_wait_of_the_next_instance_is_told_once() {
    let mut world = world(3, 6);
    for index in 0..2 {
        world.at(1, Action::Receiver { index, up: true, latency: 25 * SECOND });
    }
    world.at(5, Action::Fire(0, 0));
    world.run(600);
    assert_eq!(world.told(), [1, 1]);
    world.check(6);
}

#[test]
fn a_rolling_restart_tells_nothing_again_even_when_disks_are_lost() {
    for loses_state in [false, true] {
        let mut world = world(3, 7);
        world.at(1, Action::Fire(0, 0));
        world.at(1, Action::Fire(1, 0));
        for (turn, index) in (0..3).chain(0..3).enumerate() {
            world.at(60 + 90 * turn as u64, Action::Restart { index, down: 10 * SECOND, loses_state });
        }
        world.at(330, Action::Resolve(0, 0));
        world.at(390, Action::Fire(1, 1));
        world.run(1500);
        assert_eq!(world.told(), [4, 4], "two groups fire, one is resolved, the other has news");
        world.check(7);
    }
}

#[test]
fn an_instance_alone_in_a_partition_tells_and_all_agree_afterwards() {
    let mut world = world(3, 8);
    world.at(1, Action::Partition(vec![0, 1, 1]));
    world.at(60, Action::Fire(0, 0));
    world.run(400);
    assert_eq!(world.told(), [2, 2], "each side told it");
    world.at(1, Action::Partition(vec![0, 0, 0]));
    world.at(120, Action::Fire(0, 1));
    world.run(600);
    assert_eq!(world.told(), [3, 3], "together they are one again");
    world.check(8);
}

#[test]
fn an_instance_that_was_killed_while_it_was_sending_is_replaced() {
    let mut world = world(3, 9);
    for index in 0..2 {
        world.at(1, Action::Receiver { index, up: false, latency: 2 * SECOND });
    }
    world.at(2, Action::Fire(0, 0));
    let first = (0..3).find(|index| {
        let running = world.instances[*index].running.as_ref();
        running.is_some_and(|running| running.peer.membership().position() == 0)
    });
    let index = first.expect("somebody is first");
    world.at(14, Action::Kill { index, down: 3600 * SECOND, loses_state: false });
    for index in 0..2 {
        world.at(15, Action::Receiver { index, up: true, latency: SECOND });
    }
    world.run(90);
    assert_eq!(world.told(), [1, 1], "by the next one");
    world.check(9);
}

#[test]
fn a_silence_made_at_one_instance_holds_at_all() {
    let mut world = world(3, 10);
    world.at(1, Action::Silence { at: 2, group: 0, lasts: 30 * MINUTE });
    world.at(5, Action::Fire(0, 0));
    world.at(100, Action::Restart { index: 1, down: 5 * SECOND, loses_state: true });
    world.run(600);
    assert_eq!(world.told(), [0, 0]);
}

/// Things that happen in a run.
struct Script<'w> {
    world: &'w mut World,
    count: usize,
}

impl Script<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.world.random.below(end)
    }

    fn alerts(&mut self, minutes: u64) {
        for _ in 0..10 + self.below(20) {
            let (at, group, number) =
                (self.below(minutes as usize * 60) as u64, self.below(GROUPS), self.below(4));
            self.world.at(at, Action::Fire(group, number));
            if self.below(3) > 0 {
                let lasts = self.below(900) as u64;
                self.world.at(at + lasts, Action::Resolve(group, number));
            }
        }
    }

    /// One instance after another goes and comes back.
    fn restarts(&mut self, minutes: u64, kills: bool) {
        let mut at = 60;
        while at < minutes * 60 {
            let index = self.below(self.count);
            let down = Duration::from_millis(500 + self.below(40_000) as u64);
            let loses_state = self.count > 1 && self.below(2) == 0;
            let action = if kills && self.below(2) == 0 {
                Action::Kill { index, down, loses_state }
            } else {
                Action::Restart { index, down, loses_state }
            };
            self.world.at(at, action);
            at += 120 + self.below(240) as u64;
        }
    }

    fn receivers(&mut self, minutes: u64) {
        for index in 0..2 {
            let mut at = 60;
            while at < minutes * 60 {
                let latency = Duration::from_millis(self.below(20_000) as u64);
                self.world.at(at, Action::Receiver { index, up: false, latency: latency / 10 });
                at += 30 + self.below(400) as u64;
                self.world.at(at, Action::Receiver { index, up: true, latency });
                let one_in = [0, 0, 2, 1][self.below(4)];
                self.world.at(at, Action::LoseAnswers { index, one_in });
                at += 60 + self.below(600) as u64;
            }
            self.world.at(at, Action::LoseAnswers { index, one_in: 0 });
            let latency = Duration::from_millis(50);
            self.world.at(at, Action::Receiver { index, up: true, latency });
        }
    }

    fn partitions(&mut self, minutes: u64) {
        let mut at = 60;
        while at < minutes * 60 {
            let sides = (0..self.count).map(|_| self.below(2) as u8).collect();
            self.world.at(at, Action::Partition(sides));
            at += 10 + self.below(300) as u64;
            self.world.at(at, Action::Partition(vec![0; self.count]));
            at += 120 + self.below(300) as u64;
        }
    }

    fn reloads(&mut self, minutes: u64) {
        for _ in 0..10 {
            let (at, index) = (self.below(minutes as usize * 60) as u64, self.below(self.count));
            self.world.at(at, Action::Reload(index));
        }
    }

    fn silences(&mut self, minutes: u64) {
        for _ in 0..2 {
            let (at, group) = (self.below(minutes as usize * 30) as u64, self.below(GROUPS));
            let (index, lasts) = (self.below(self.count), Duration::from_secs(60 + self.below(600) as u64));
            self.world.at(at, Action::Silence { at: index, group, lasts });
        }
    }
}

fn run(seed: u64) {
    const MINUTES: u64 = 30;
    let mut world = World::new(1 + (seed / 7 % 4) as usize, seed, calm(), Duration::from_millis(1500));
    world.network = Network {
        delay: (Duration::from_millis(1), Duration::from_millis([5, 50, 400][world.random.below(3)])),
        loss: [0.0, 0.02, 0.1][world.random.below(3)],
        duplication: [0.0, 0.05][world.random.below(2)],
    };
    let count = world.instances.len();
    let mut script = Script { world: &mut world, count };
    script.alerts(MINUTES);
    match seed % 7 {
        0 => {}
        1 => script.restarts(MINUTES, false),
        2 => script.receivers(MINUTES),
        3 => script.restarts(MINUTES, true),
        4 => script.partitions(MINUTES),
        5 => {
            script.reloads(MINUTES);
            script.silences(MINUTES);
        }
        _ => {
            script.restarts(MINUTES, true);
            script.receivers(MINUTES / 2);
            script.partitions(MINUTES);
            script.reloads(MINUTES);
        }
    }
    world.run((MINUTES + 15) * 60 + 700);
    world.run_until(world.now + QUIET);
    if seed % 7 == 6 {
        // What one side of a partition told is forgotten with the disk of the only one who knew.
        world.judge.redundant.clear();
    }
    world.check(seed);
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_is_told_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) =
        (number("BARTIZAN_FIRST_SEED").unwrap_or(0), number("BARTIZAN_SEEDS").unwrap_or(SEEDS));
    (first..first + count).for_each(run);
}
