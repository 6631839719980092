//! State that outlives the process, however it ends.

use alerting::Alertmanager;
use alerting::silence::Silence;
use base::clock::SimClock;
use base::metrics::Registry;
use config::alertmanager::Matcher;

use crate::support::{Receiver, alert, options, runtime, start};

#[test]
fn silences_are_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let config = "route: {receiver: a}\nreceivers: [{name: a}]\n";
    std::fs::write(dir.path().join("alertmanager.yml"), config).unwrap();
    let clock = SimClock::at(1_000_000);
    let open = || Alertmanager::open(options(dir.path()), clock.clone(), &Registry::new()).unwrap();
    let manager = open();
    let silence = |name: &str| Silence {
        id: String::new(),
        matcher_sets: vec![vec![Matcher::equal("alertname", name)]],
        starts_at: manager.now(),
        ends_at: alerting::alert::after(manager.now(), std::time::Duration::from_secs(60)),
        updated_at: manager.now(),
        created_by: "me".to_owned(),
        comment: "ö".to_owned(),
        annotations: Default::default(),
    };
    let ids: Vec<String> = ["a", "b", "c"].map(|name| manager.set_silence(silence(name)).unwrap()).into();
    manager.maintain();
    manager.expire_silence(&ids[1]).unwrap();
    let late = manager.set_silence(silence("d")).unwrap();
    let before: Vec<_> = manager.with_core(|core| {
        let mut all: Vec<Silence> = core.silences().iter().map(|silence| (**silence).clone()).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    });
    // Nothing is told to end: what was acknowledged is on disk.
    drop(manager);
    let again = open();
    let after: Vec<_> = again.with_core(|core| {
        let mut all: Vec<Silence> = core.silences().iter().map(|silence| (**silence).clone()).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    });
    assert_eq!(before, after);
    assert!(after.iter().any(|silence| silence.id == late));
}

#[test]
fn what_was_told_is_not_told_again_after_a_restart() {
    let receiver = Receiver::start(|_, _| (200, String::new()));
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!("  webhook_configs: [{{url: 'http://{}/'}}]\n", receiver.address);
    let first = runtime();
    let manager = start(dir.path(), &yaml, &first);
    manager.post(vec![alert("Down", false)]).unwrap();
    assert_eq!(receiver.next().json()["status"], "firing");
    // The answer is noted once the log has the entry; then the process ends without a word.
    let journal = dir.path().join("data/nflog.journal");
    while std::fs::metadata(&journal).map_or(0, |meta| meta.len()) == 0 {
        std::thread::yield_now();
    }
    first.shutdown_background();
    drop(manager);
    // What a kill leaves is what is on disk now; the first may still hold its lock.
    let after = tempfile::tempdir().unwrap();
    std::fs::create_dir(after.path().join("data")).unwrap();
    for entry in std::fs::read_dir(dir.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), after.path().join("data").join(entry.file_name())).unwrap();
    }
    let second = runtime();
    let manager = start(after.path(), &yaml, &second);
    manager.post(vec![alert("Down", false)]).unwrap();
    manager.post(vec![alert("Other", false)]).unwrap();
    let next = receiver.next().json();
    assert_eq!(next["groupLabels"]["alertname"], "Other", "only what is new is told");
    manager.post(vec![alert("Down", true)]).unwrap();
    let next = receiver.next().json();
    assert_eq!(
        (next["status"].as_str(), next["groupLabels"]["alertname"].as_str()),
        (Some("resolved"), Some("Down"))
    );
}
