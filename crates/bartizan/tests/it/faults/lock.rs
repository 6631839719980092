//! One process a data directory.

use super::server::Home;

#[test]
fn a_second_server_is_refused_and_a_kill_leaves_no_lock_behind() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), "scrape_configs: []\n");
    let first = home.start();
    let Err((status, log)) = home.try_start() else { panic!("two servers share a directory") };
    assert_eq!(status.code(), Some(1), "{log}");
    let lock = home.data.join("lock");
    assert!(log.contains(&lock.display().to_string()) && log.contains("locked by another process"), "{log}");
    assert!(first.get("/-/ready").is_some_and(|(status, _)| status == 200), "the first one goes on");
    first.kill();
    assert!(lock.exists(), "a killed process removes nothing");
    let third = home.start();
    assert_eq!(third.own_metric("prometheus_tsdb_clean_start"), 0.0);
    let (status, log) = third.stop();
    assert!(status.success(), "{log}");
    assert!(!lock.exists());
}
