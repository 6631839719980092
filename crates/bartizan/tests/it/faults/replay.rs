//! A log that takes long to read.

use serde_json::json;

use super::server::Home;
use super::wait_for;

#[test]
fn a_long_replay_says_how_far_it_is_and_can_be_ended() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), "scrape_configs: []\n");
    let wal = home.data.join("wal");
    std::fs::create_dir_all(&wal).unwrap();
    for segment in ["00000003", "00000004"] {
        std::fs::write(wal.join(segment), "").unwrap();
    }
    // Nobody ever writes to this pipe, so reading it never ends.
    let made = std::process::Command::new("mkfifo").arg(wal.join("00000005")).status().unwrap();
    assert!(made.success());

    let server = home.start_listening();
    wait_for("two of three segments to be read", || {
        let (status, answer) = server.api("status/walreplay", &[]);
        (status == 200 && answer["data"] == json!({ "min": 3, "max": 5, "current": 4 })).then_some(())
    });
    assert_eq!(server.get("/-/healthy").unwrap().0, 200);
    assert_eq!(server.get("/-/ready").unwrap(), (503, "Service Unavailable".to_owned()));
    assert_eq!(server.get_api("query", &[("query", "up")]).0, 503);
    let (_, told) = server.api("notifications", &[]);
    let text = told["data"][0]["text"].as_str().unwrap();
    assert!(text.contains("replaying the write-ahead log"), "{told}");
    let (status, log) = server.stop();
    assert!(status.success(), "{status} {log}");
    assert!(log.contains("asked to end while the log was being replayed"), "{log}");
}
