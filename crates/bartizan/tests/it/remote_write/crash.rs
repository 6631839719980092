//! Killed while it is pushed to, and disks that fail it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::sender::{Connection, Request, SeriesOf, now_ms, one_sample, v1};
use super::{CONFIG, receiving};
use crate::faults::disk::Disk;
use crate::faults::wait_for;
use wire::remote_write::MessageType;

const SENDERS: usize = 4;
const SERIES: usize = 50;
const KILLS: usize = 4;

/// A request with one sample of each series of a sender.
fn request(sender: usize, t_ms: i64, number: i64) -> Request {
    let (sender, ids) = (sender.to_string(), (0..SERIES).map(|i| i.to_string()).collect::<Vec<_>>());
    let labels: Vec<_> =
        ids.iter().map(|id| [("__name__", "pushed"), ("i", id), ("sender", &sender)]).collect();
    let sample = [(t_ms, number as f64)];
    let series: Vec<SeriesOf<'_>> = labels.iter().map(|labels| (&labels[..], &sample[..])).collect();
    Request::of(MessageType::V1, &v1(&series))
}

#[test]
fn what_was_answered_with_success_survives_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    let home = receiving(dir.path(), CONFIG);
    let start_ms = now_ms() - 3_000_000;
    // The last request of each sender that was acknowledged.
    let acknowledged: Vec<AtomicI64> = (0..SENDERS).map(|_| AtomicI64::new(0)).collect();
    for _ in 0..KILLS {
        let server = home.start();
        let (to, killed) = (server.address(), AtomicBool::new(false));
        let before: i64 = acknowledged.iter().map(|last| last.load(Ordering::SeqCst)).sum();
        std::thread::scope(|scope| {
            for (sender, last) in acknowledged.iter().enumerate() {
                let killed = &killed;
                scope.spawn(move || {
                    let Some(mut connection) = Connection::open(to) else { return };
                    while !killed.load(Ordering::SeqCst) {
                        let number = last.load(Ordering::SeqCst) + 1;
                        // What was sent without an answer is sent again, as a real sender does.
                        let request = request(sender, start_ms + number * 10, number);
                        let Some(answer) = connection.send(&request) else { return };
                        assert_eq!(answer.status, 204, "{answer:?}");
                        last.store(number, Ordering::SeqCst);
                    }
                });
            }
            wait_for("requests to be acknowledged", || {
                let now: i64 = acknowledged.iter().map(|last| last.load(Ordering::SeqCst)).sum();
                (now > before + 200).then_some(())
            });
            server.kill();
            killed.store(true, Ordering::SeqCst);
        });
    }
    let server = home.start();
    for (sender, last) in acknowledged.iter().enumerate() {
        let last = last.load(Ordering::SeqCst);
        let of_sender = format!("pushed{{sender=\"{sender}\"}}[2h]");
        let counts = server.query(&format!("count_over_time({of_sender})"));
        assert_eq!(counts.len(), SERIES);
        for series in server.query(&of_sender) {
            let values = series["values"].as_array().unwrap();
            let numbers: Vec<i64> =
                values.iter().map(|pair| pair[1].as_str().unwrap().parse().unwrap()).collect();
            // Each once and in order; the last may be one whose answer was lost.
            assert!(numbers.len() as i64 >= last, "{} of {last} samples", numbers.len());
            assert!(numbers.iter().enumerate().all(|(i, number)| *number == i as i64 + 1), "{numbers:?}");
        }
    }
}

#[test]
fn a_full_disk_makes_senders_come_again_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let test = "a_full_disk_makes_senders_come_again_and_loses_nothing";
    let Some(disk) = Disk::mount(dir.path().join("disk"), "8M", test) else { return };
    let server = receiving(dir.path(), CONFIG).data(disk.data()).start();
    let t_ms = now_ms() - 100_000;
    assert_eq!(one_sample("m", t_ms, 1.0).send(server.address()).unwrap().status, 204);
    disk.fill();
    // What is left of a page that was made already may take a few.
    let mut number = 1;
    let failed = wait_for("the disk to be full for the log too", || {
        let answer = request(0, t_ms + number, number).send(server.address()).unwrap();
        number += 1;
        (answer.status != 204).then_some(answer)
    });
    assert_eq!(failed.status, 500, "{failed:?}");
    assert!(failed.body.contains("No space left on device"), "{}", failed.body);
    disk.empty();
    let again = request(0, t_ms + number - 1, number - 1).send(server.address()).unwrap();
    assert_eq!(again.status, 204, "{again:?}");
    let count = server.number("max(count_over_time(pushed[1h]))");
    assert_eq!(count, Some((number - 1) as f64));
    assert_eq!(server.number("m"), Some(1.0));
}
