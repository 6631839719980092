//! Disks that are full or cannot be written to.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crash::{SERIES, Samples, counting_target, newest, samples};
use super::server::{Home, Server};
use super::{target, wait_for};

/// A file system of its own in memory, gone with this.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts a disk of `size` at `path`; without the permission to, the test is skipped, but fails in CI.
    pub fn mount(path: PathBuf, size: &str, test: &str) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "bartizan-test"]).arg(&path);
        let why = match mount.output() {
            Ok(done) if done.status.success() => return Some(Self(path)),
            Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            Err(error) => format!("mount: {error}"),
        };
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{test} needs to mount: {why}");
        println!("skipped: {test}: {why}");
        None
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all space there is.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[1; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }

    /// Gives it back.
    pub fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Waits until scrapes fail with a text that has `why` in it.
fn wait_for_failure(server: &Server, why: &str) {
    wait_for("scrapes to fail", || {
        let target = server.target("/metrics")?;
        let failed = target["health"] == "down" && target["lastError"].as_str().unwrap().contains(why);
        failed.then_some(())
    });
}

/// Waits until scrapes are stored that were answered from now on.
fn wait_for_scrapes(server: &Server, served: &AtomicU64) -> Samples {
    let from = served.load(Ordering::SeqCst);
    wait_for("scrapes to be stored", || {
        let all = samples(server);
        let up = server.target("/metrics")?["health"] == "up";
        (up && newest(&all) > from + 3).then_some(all)
    })
}

#[track_caller]
fn assert_kept(server: &Server, acknowledged: &Samples) {
    let now = samples(server);
    assert_eq!(now.len(), SERIES);
    for (series, before) in acknowledged {
        assert!(now[series].starts_with(before), "series {series}: {:?} had {before:?}", now[series]);
    }
}

#[test]
fn a_full_disk_stops_ingestion_only_and_only_while_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let test = "a_full_disk_stops_ingestion_only_and_only_while_it_is_full";
    let Some(disk) = Disk::mount(dir.path().join("disk"), "32m", test) else { return };
    let (target, served) = counting_target();
    let home = Home::new(dir.path(), &target::config(target.address(), "100ms")).data(disk.data());
    let server = home.start();
    wait_for_scrapes(&server, &served);
    disk.fill();
    wait_for_failure(&server, "No space left on device");
    assert!(server.own_metric("prometheus_tsdb_wal_writes_failed_total") > 0.0);
    server.wait_for_log(&["scrape commit failed", "No space left on device"]);
    let before = samples(&server);
    assert_kept(&server, &before);

    disk.empty();
    let resumed = wait_for_scrapes(&server, &served);
    assert_kept(&server, &before);
    disk.fill();
    wait_for_failure(&server, "No space left on device");
    let before = samples(&server);
    assert!(newest(&before) >= newest(&resumed));

    // A start on a full disk serves all there is.
    server.kill();
    let server = home.start();
    assert_kept(&server, &before);
    wait_for_failure(&server, "No space left on device");
    disk.empty();
    wait_for_scrapes(&server, &served);
    assert_kept(&server, &before);
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    let server = home.start();
    assert_kept(&server, &before);
    assert_eq!(server.own_metric("prometheus_tsdb_wal_corruptions_total"), 0.0, "{}", server.log());
}

#[test]
fn a_read_only_disk_is_served_from() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(dir.path().join("disk"), "32m", "a_read_only_disk_is_served_from") else {
        return;
    };
    let (target, served) = counting_target();
    let home = Home::new(dir.path(), &target::config(target.address(), "100ms")).data(disk.data());
    let server = home.start();
    let before = wait_for_scrapes(&server, &served);
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    disk.remount("ro");
    let server = home.start();
    assert_kept(&server, &before);
    wait_for_failure(&server, "Read-only file system");
    disk.remount("rw");
    wait_for_scrapes(&server, &served);
    assert_kept(&server, &before);
}

#[test]
fn a_data_directory_that_cannot_be_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("data");
    for path in [file.as_path(), inside.as_path()] {
        let home = Home::new(dir.path(), "scrape_configs: []\n").data(path);
        let Err((status, log)) = home.try_start() else { panic!("started on a file") };
        assert_eq!(status.code(), Some(1));
        assert!(names(&log, path), "{log}");
    }
}

fn names(log: &str, path: &Path) -> bool {
    log.contains("opening the storage") && log.contains(&path.display().to_string())
}
