use super::super::message::open_packet;
use super::*;

fn address(i: usize) -> SocketAddr {
    format!("10.0.0.{}:9094", i + 1).parse().unwrap()
}

fn options(i: usize) -> MembershipOptions {
    MembershipOptions {
        name: format!("n{i}"),
        address: address(i),
        meta: Vec::new(),
        label: "blue".to_owned(),
        gossip_interval: Duration::from_millis(200),
        push_pull_interval: Duration::from_secs(60),
        probe_interval: Duration::from_secs(1),
        probe_timeout: Duration::from_millis(500),
        fan_out: 3,
    }
}

/// Members whose packets arrive at once, or not at all.
struct World {
    members: Vec<Membership>,
    now: Duration,
    /// Whether packets go from one to another.
    connected: fn(usize, usize) -> bool,
    /// Whether streams do.
    streams: bool,
    events: Vec<(usize, Event)>,
}

impl World {
    fn new(count: usize) -> Self {
        let members = (0..count).map(|i| Membership::new(options(i), i as u64, Duration::ZERO)).collect();
        let mut world =
            Self { members, now: Duration::ZERO, connected: |_, _| true, streams: false, events: vec![] };
        (1..count).for_each(|i| world.push_pull(i, 0));
        world
    }

    fn push_pull(&mut self, from: usize, to: usize) {
        let (mine, theirs) = (self.members[from].records(), self.members[to].records());
        self.members[to].merge(mine, self.now);
        self.members[from].merge(theirs, self.now);
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.now += Duration::from_millis(10);
            for i in 0..self.members.len() {
                self.members[i].poll(self.now);
            }
            while (0..self.members.len()).any(|i| self.deliver(i)) {}
        }
    }

    /// Carries out what one member wants; whether there was anything.
    fn deliver(&mut self, from: usize) -> bool {
        let outputs = self.members[from].take_outputs();
        self.events.extend(self.members[from].take_events().into_iter().map(|event| (from, event)));
        let any = !outputs.is_empty();
        for output in outputs {
            let place = match &output {
                Output::Packet { to, .. } | Output::PushPull { to, .. } | Output::StreamPing { to, .. } => {
                    *to
                }
            };
            let Some(to) = (0..self.members.len()).find(|i| address(*i) == place) else { continue };
            let reached = (self.connected)(from, to);
            match output {
                Output::Packet { bytes, .. } if reached => {
                    let (messages, error) = open_packet(&bytes, "blue");
                    assert_eq!(error, None);
                    for message in messages {
                        self.members[to].receive(address(from), message, self.now);
                    }
                }
                Output::PushPull { .. } if reached => self.push_pull(from, to),
                Output::StreamPing { ping, .. } if reached || self.streams => {
                    self.members[from].stream_answered(ping.sequence);
                }
                _ => {}
            }
        }
        any
    }

    fn sees(&self, i: usize) -> Vec<&str> {
        self.members[i].working().map(|member| member.alive.node.as_str()).collect()
    }
}

#[test]
fn all_find_each_other_through_one() {
    let mut world = World::new(5);
    world.run(2);
    for i in 0..5 {
        assert_eq!(world.sees(i), ["n0", "n1", "n2", "n3", "n4"]);
        assert_eq!(world.members[i].position(), i);
    }
    world.run(60);
    assert!(world.events.iter().all(|(_, event)| !matches!(event, Event::Left(_) | Event::Conflict(_))));
    assert!(world.events.iter().any(|(_, event)| matches!(event, Event::Answered(..))));
    assert!(world.members.iter().all(|member| member.health() == 0 && member.queue().is_empty()));
}

#[test]
fn who_does_not_answer_is_dropped_and_comes_back() {
    let mut world = World::new(3);
    world.run(5);
    world.connected = |from, to| from != 2 && to != 2;
    world.run(15);
    assert_eq!(world.sees(0), ["n0", "n1"]);
    assert_eq!(world.sees(1), ["n0", "n1"]);
    assert_eq!(world.sees(2), ["n2"]);
    // The dead are told for a while, and object.
    world.connected = |_, _| true;
    world.push_pull(2, 0);
    world.run(5);
    (0..3).for_each(|i| assert_eq!(world.sees(i), ["n0", "n1", "n2"]));
}

#[test]
fn one_connection_that_fails_harms_nobody() {
    let mut world = World::new(4);
    world.run(2);
    world.connected = |from, to| (from, to) != (0, 1) && (from, to) != (1, 0);
    world.run(120);
    (0..4).for_each(|i| assert_eq!(world.sees(i).len(), 4, "{:?}", world.sees(i)));
}

#[test]
fn streams_keep_members_together_whose_packets_are_lost() {
    let mut world = World::new(2);
    world.streams = true;
    world.connected = |_, _| false;
    world.run(60);
    (0..2).for_each(|i| assert_eq!(world.sees(i), ["n0", "n1"]));
}

#[test]
fn who_leaves_is_gone_at_once_and_may_return_elsewhere() {
    let mut world = World::new(3);
    world.run(2);
    let now = world.now;
    world.members[1].leave(now);
    world.run(1);
    assert_eq!(world.sees(0), ["n0", "n2"]);
    assert_eq!(world.sees(2), ["n0", "n2"]);
    assert_eq!(world.members[2].position(), 1);
    let again = MembershipOptions { name: "n1".to_owned(), ..options(7) };
    let again = Membership::new(again, 9, now).records();
    world.members[0].merge(again, now);
    assert_eq!(world.members[0].get("n1").unwrap().alive.address, address(7));
}

#[test]
fn a_restarted_member_of_the_same_name_and_place_takes_up_its_life() {
    let mut world = World::new(2);
    world.run(30);
    world.members[1] =
        Membership::new(MembershipOptions { meta: b"new".to_vec(), ..options(1) }, 5, world.now);
    world.push_pull(1, 0);
    world.run(5);
    assert_eq!(world.members[0].get("n1").unwrap().alive.meta, b"new");
}

#[test]
fn two_of_one_name_are_noticed() {
    let mut world = World::new(2);
    let imposter = MembershipOptions { name: "n0".to_owned(), ..options(5) };
    world.members[1].merge(Membership::new(imposter, 1, Duration::ZERO).records(), Duration::ZERO);
    world.run(1);
    assert!(world.events.contains(&(1, Event::Conflict("n0".to_owned()))));
    assert_eq!(world.members[1].get("n0").unwrap().alive.address, address(0));
}

#[test]
fn members_of_other_versions_are_not_taken() {
    let mut member = Membership::new(options(0), 0, Duration::ZERO);
    for versions in [vec![0, 5, 2, 0, 0, 0], vec![3, 5, 4, 0, 0, 0], vec![1, 1, 1, 0, 0, 0]] {
        let alive = Alive { incarnation: 1, node: "x".into(), address: address(3), meta: vec![], versions };
        member.receive(address(3), Message::Alive(alive), Duration::ZERO);
    }
    assert_eq!(member.working().count(), 1);
}
