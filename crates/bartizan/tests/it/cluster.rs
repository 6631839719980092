//! Several Alertmanagers as one: real processes, real packets, a receiver that counts.

mod nets;
pub mod seats;
mod ups;

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::faults::wait_for;
use crate::support::program;

use nets::Nets;
use seats::{Hook, Kind, Seats, alert, resolved};

#[test]
fn three_instances_tell_once_through_a_rolling_restart() {
    let hook = Hook::start("127.0.0.1:0");
    let mut seats = Seats::start(&[Kind::Ours; 3], &hook);
    let down = alert("Down");
    seats.post(&[&down]);
    hook.wait_for(1);
    seats.decide_anew();
    assert_eq!(hook.count(), 1);
    for index in 0..3 {
        seats.stop(index);
        // Whoever sends alerts sends them again and again.
        seats.post(&[&down]);
        seats.restart(index, Kind::Ours);
        seats.post(&[&down]);
        seats.decide_anew();
        assert_eq!(hook.count(), 1, "after the restart of {index}: {:?}", hook.told());
    }
    // One comes back without its disk: the others know what was told.
    seats.stop(1);
    seats.lose_state(1);
    seats.restart(1, Kind::Ours);
    seats.post(&[&down]);
    seats.decide_anew();
    assert_eq!(hook.count(), 1, "after its disk was lost: {:?}", hook.told());
    seats.post(&[&resolved(&down)]);
    hook.wait_for(2);
    seats.decide_anew();
    assert_eq!(hook.count(), 2);
    assert_eq!(hook.told()[1]["status"], "resolved");
}

#[test]
fn a_receiver_that_was_down_is_told_once_though_an_instance_was_killed() {
    let hook = Hook::start("127.0.0.1:0");
    let mut seats = Seats::start(&[Kind::Ours; 3], &hook);
    hook.up.store(false, Ordering::Release);
    seats.post(&[&alert("Down")]);
    wait_for("attempts", || (hook.refused.load(Ordering::Acquire) >= 3).then_some(()));
    let first = seats.first();
    seats.kill(first);
    hook.up.store(true, Ordering::Release);
    hook.wait_for(1);
    seats.decide_anew();
    assert_eq!(hook.count(), 1, "{:?}", hook.told());
}

#[test]
fn silences_are_the_same_everywhere_and_survive_with_the_others() {
    let hook = Hook::start("127.0.0.1:0");
    let mut seats = Seats::start(&[Kind::Ours; 2], &hook);
    let id = seats.silence(0, "Quiet");
    seats.wait_for_silence(1, &id, "active");
    // A long one does not fit into a packet.
    let long = seats.silence(1, &"Long".repeat(500));
    seats.wait_for_silence(0, &long, "active");
    seats.stop(0);
    seats.lose_state(0);
    seats.restart(0, Kind::Ours);
    seats.wait_for_silence(0, &id, "active");
    seats.expire(0, &id);
    seats.wait_for_silence(1, &id, "expired");
    seats.post(&[&alert(&"Long".repeat(500)), &alert("Quiet")]);
    hook.wait_for(1);
    assert_eq!(hook.told()[0]["groupLabels"]["alertname"], "Quiet");
}

#[test]
fn members_are_found_over_tls_only() {
    let hook = Hook::start("127.0.0.1:0");
    let mut seats = Seats::prepare(&[Kind::Ours; 2], &hook);
    seats.use_tls();
    seats.launch_all();
    let id = seats.silence(0, "Quiet");
    seats.wait_for_silence(1, &id, "active");
    seats.post(&[&alert("Down")]);
    hook.wait_for(1);
    seats.decide_anew();
    assert_eq!(hook.count(), 1);
}

#[test]
fn members_of_both_programs_find_each_other_over_tls() {
    if program("prometheus-alertmanager", "members_of_both_programs_find_each_other_over_tls").is_none() {
        return;
    }
    let hook = Hook::start("127.0.0.1:0");
    let mut seats = Seats::prepare(&[Kind::Real, Kind::Ours, Kind::Ours], &hook);
    seats.use_tls();
    seats.launch_all();
    // The last is of more bytes than a packet has: those take another way.
    for (at, name) in [(0, "Theirs"), (1, "Ours"), (0, &"Long".repeat(500)), (1, &"Longer".repeat(500))] {
        let id = seats.silence(at, name);
        (0..3).for_each(|other| seats.wait_for_silence(other, &id, "active"));
        seats.expire(at, &id);
        (0..3).for_each(|other| seats.wait_for_silence(other, &id, "expired"));
    }
    let down = alert("Down");
    seats.post(&[&down]);
    hook.wait_for(1);
    seats.decide_anew();
    assert_eq!(hook.count(), 1, "{:?}", hook.told());
    // Who comes anew gets all there is at once.
    seats.stop(1);
    seats.lose_state(1);
    seats.restart(1, Kind::Real);
    seats.post(&[&down]);
    seats.decide_anew();
    assert_eq!(hook.count(), 1, "{:?}", hook.told());
    seats.post(&[&resolved(&down)]);
    hook.wait_for(2);
    seats.decide_anew();
    assert_eq!(hook.count(), 2, "{:?}", hook.told());
}

#[test]
fn a_cluster_of_the_real_program_becomes_one_of_ours_in_a_rolling_swap() {
    let name = "a_cluster_of_the_real_program_becomes_one_of_ours_in_a_rolling_swap";
    if program("prometheus-alertmanager", name).is_none() {
        return;
    }
    let hook = Hook::start("127.0.0.1:0");
    let mut seats = Seats::start(&[Kind::Real; 3], &hook);
    let down = alert("Down");
    seats.post(&[&down]);
    hook.wait_for(1);
    let old = seats.silence(2, "Old");
    seats.wait_for_silence(0, &old, "active");
    for index in 0..3 {
        seats.stop(index);
        seats.restart(index, Kind::Ours);
        seats.post(&[&down]);
        seats.decide_anew();
        assert_eq!(hook.count(), 1, "after the swap of {index}: {:?}", hook.told());
        seats.wait_for_silence(index, &old, "active");
        // Both ways while both kinds are members.
        let ours = seats.silence(index, &format!("Ours{index}"));
        let other = (index + 1) % 3;
        seats.wait_for_silence(other, &ours, "active");
        let theirs = seats.silence(other, &format!("Theirs{index}"));
        seats.wait_for_silence(index, &theirs, "active");
        seats.expire(index, &theirs);
        seats.wait_for_silence(other, &theirs, "expired");
    }
    seats.post(&[&resolved(&down)]);
    hook.wait_for(2);
    seats.decide_anew();
    assert_eq!(hook.count(), 2, "{:?}", hook.told());
}

#[test]
fn a_partition_delays_nothing_and_heals() {
    let Some(nets) = Nets::start("a_partition_delays_nothing_and_heals", 3) else { return };
    let hook = Hook::start(&format!("{}:0", nets.host()));
    let mut seats = Seats::prepare(&[Kind::Ours; 3], &hook);
    seats.live_in(&nets);
    seats.launch_all();
    seats.post(&[&alert("Before")]);
    hook.wait_for(1);
    nets.part();
    seats.wait_for_members(1);
    seats.post(&[&alert("Meanwhile")]);
    // Nobody knows of the others: each has to tell.
    hook.wait_for(4);
    let id = seats.silence(0, "Quiet");
    nets.heal();
    seats.wait_for_members(3);
    seats.wait_for_silence(1, &id, "active");
    seats.wait_for_silence(2, &id, "active");
    seats.post(&[&alert("Before"), &alert("Meanwhile"), &alert("After"), &alert("Quiet")]);
    hook.wait_for(5);
    seats.decide_anew();
    let told = hook.told();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[4]["groupLabels"], json!({"alertname": "After"}));
}
