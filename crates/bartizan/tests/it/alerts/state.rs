//! Silences and what was told, through kills, full disks and damage.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc;

use serde_json::{Value, json};

use super::{CONFIG, Seat};
use crate::cluster::seats::Hook;
use crate::faults::disk::Disk;
use crate::faults::wait_for;
use crate::peer::exchange;

const JSON: &str = "Content-Type: application/json\r\n";

/// Asks for a silence; its id, or the status of the refusal. `None` where nobody answers.
fn silence(address: SocketAddr, value: &str) -> Option<Result<String, u16>> {
    let silence = json!({
        "matchers": [{"name": "silenced", "value": value, "isRegex": false}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z",
        "createdBy": "me", "comment": "c",
    });
    let (status, body) = exchange(address, "POST", "/api/v2/silences", JSON, silence.to_string().as_bytes())?;
    if status != 200 {
        return Some(Err(status));
    }
    let made: Value = serde_json::from_slice(&body).ok()?;
    Some(Ok(made["silenceID"].as_str()?.to_owned()))
}

fn silences(seat: &Seat) -> BTreeSet<String> {
    let all = seat.get("/api/v2/silences");
    all.as_array().unwrap().iter().map(|silence| silence["id"].as_str().unwrap().to_owned()).collect()
}

fn post(address: SocketAddr, names: impl Iterator<Item = String>) -> Option<()> {
    let alerts: Vec<Value> = names.map(|name| json!({"labels": {"alertname": name}})).collect();
    let body = json!(alerts).to_string();
    exchange(address, "POST", "/api/v2/alerts", JSON, body.as_bytes()).map(|_| ())
}

fn groups(hook: &Hook) -> Vec<String> {
    hook.told().iter().map(|told| told["groupLabels"]["alertname"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn kills_at_any_time_lose_no_silence_and_repeat_nothing_that_was_written_down() {
    const KILLS: usize = 6;
    let hook = Hook::start("127.0.0.1:0");
    let mut seat = Seat::start_with(&format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\n\
         receivers: [{{name: hook, webhook_configs: [{{url: 'http://{}/'}}]}}]\n",
        hook.address
    ));
    let (mut acknowledged, mut noted) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..KILLS {
        let address = seat.address;
        let (heard, ids) = mpsc::channel();
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let heard = heard.clone();
                // Until nobody answers any more.
                std::thread::spawn(move || {
                    while let Some(Ok(id)) = silence(address, "all") {
                        heard.send(id).unwrap();
                    }
                })
            })
            .collect();
        drop(heard);
        // Those of before go on, and each round has new ones.
        post(address, (0..(round + 1) * 10).map(|n| format!("A{n}"))).unwrap();
        let told = wait_for("notifications", || {
            let told: BTreeSet<String> = groups(&hook).into_iter().collect();
            (told.len() >= round * 10 + 1 + round).then_some(told)
        });
        acknowledged.extend(ids.iter().take(7 * (round + 1)));
        seat.kill();
        clients.into_iter().for_each(|client| client.join().unwrap());
        acknowledged.extend(ids.try_iter());
        // What the files name by now must not be told again; what is told besides may have to be.
        let files =
            ["nflog", "nflog.journal"].map(|name| std::fs::read(seat.data.join(name)).unwrap_or_default());
        let files = String::from_utf8_lossy(&files.concat()).into_owned();
        noted.extend(told.into_iter().filter(|name| files.contains(&format!("alertname=\"{name}\""))));
        let before = groups(&hook).len();
        seat.run();
        let kept = silences(&seat);
        assert!(acknowledged.is_subset(&kept), "{} of {}", kept.len(), acknowledged.len());
        post(seat.address, (0..(round + 1) * 10).map(|n| format!("A{n}"))).unwrap();
        wait_for("all to be told", || {
            let told: BTreeSet<String> = groups(&hook).into_iter().collect();
            (told.len() == (round + 1) * 10).then_some(())
        });
        let again: Vec<String> =
            groups(&hook).split_off(before).into_iter().filter(|name| noted.contains(name)).collect();
        assert!(again.is_empty(), "told again: {again:?}");
    }
    assert!(noted.len() >= KILLS, "{}", noted.len());
}

#[test]
fn a_full_disk_refuses_silences_and_loses_none() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) =
        Disk::mount(place.path().join("disk"), "1m", "a_full_disk_refuses_silences_and_loses_none")
    else {
        return;
    };
    let mut seat = Seat::start_in(tempfile::tempdir().unwrap(), disk.data(), CONFIG);
    let mut made = BTreeSet::from([silence(seat.address, "before").unwrap().unwrap()]);
    disk.fill();
    // Some may find room in what the file has of its last page.
    let refused = (0..200).find_map(|_| match silence(seat.address, "meanwhile").unwrap() {
        Ok(id) => {
            made.insert(id);
            None
        }
        Err(status) => Some(status),
    });
    assert_eq!(refused, Some(500));
    assert_eq!(silences(&seat), made, "what was refused does not hold");
    disk.empty();
    made.insert(silence(seat.address, "after").unwrap().unwrap());
    seat.kill();
    seat.run();
    assert_eq!(silences(&seat), made);
}

#[test]
fn damaged_state_is_named_set_aside_and_counted_and_the_rest_is_served() {
    let mut seat = Seat::start();
    let made: Vec<String> = (0..5).map(|n| silence(seat.address, &n.to_string()).unwrap().unwrap()).collect();
    seat.kill();
    let journal = seat.data.join("silences.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&journal, &bytes).unwrap();
    // And half a snapshot, as a disk that lies about its syncs leaves it.
    std::fs::write(seat.data.join("nflog"), [200, 1, 10]).unwrap();
    seat.run();
    let kept = silences(&seat);
    assert!(kept.len() == 4 && kept.iter().all(|id| made.contains(id)), "{kept:?}");
    assert_eq!(seat.metric("alertmanager_silences_damaged_total"), 1.0);
    assert_eq!(seat.metric("alertmanager_nflog_damaged_total"), 1.0);
    let aside = seat.data.join("silences.journal.damaged-1");
    assert_eq!(std::fs::read(&aside).unwrap(), bytes);
    assert_eq!(std::fs::read(seat.data.join("nflog.damaged-1")).unwrap(), [200, 1, 10]);
    assert!(seat.log().contains(&aside.display().to_string()), "{}", seat.log());
    // What is left is whole again, and goes on.
    let id = silence(seat.address, "after").unwrap().unwrap();
    seat.kill();
    seat.run();
    assert!(silences(&seat).contains(&id) && silences(&seat).len() == 5);
    assert_eq!(seat.metric("alertmanager_silences_damaged_total"), 0.0);
}
