//! This host's logs in the embedded default, and `bartizan logs`: nothing is lost and nothing doubled, whenever the
//! process is killed.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use base::Clock;

use crate::faults::wait_for;
use crate::peer::{exchange, free_address};
use crate::support::{bartizan, command, program};

/// `bartizan up`; dropping it kills it.
struct Up {
    child: Child,
    address: SocketAddr,
}

impl Up {
    fn start(dir: &Path, flags: &[&str]) -> Self {
        let address = free_address();
        let child = command()
            .args(["up", "--data-dir"])
            .arg(dir.join("data"))
            .arg(format!("--listen-address={address}"))
            .arg(format!("--logs-files={}/log/**/*.log", dir.display()))
            .arg(format!("--logs-journal={}/journal", dir.display()))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let up = Self { child, address };
        wait_for("the server to be ready", || {
            (exchange(up.address, "GET", "/-/ready", "", b"")?.0 == 200).then_some(())
        });
        up
    }

    fn server(&self) -> String {
        format!("--server=http://{}", self.address)
    }

    /// What `bartizan logs` prints.
    fn logs(&self, arguments: &[&str]) -> String {
        let server = self.server();
        let done = bartizan(["logs"].iter().chain(arguments).copied().chain([server.as_str()]));
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    }

    fn lines(&self, query: &str) -> Vec<String> {
        let out = self.logs(&[query, "--output=raw", "--limit=0", "--since=2h"]);
        out.lines().map(str::to_owned).collect()
    }

    fn metric(&self, name: &str) -> f64 {
        let (_, body) = exchange(self.address, "GET", "/metrics", "", b"").unwrap();
        let text = String::from_utf8(body).unwrap();
        let values = text.lines().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("log/deep")).unwrap();
    std::fs::create_dir_all(dir.path().join("journal/machine")).unwrap();
    dir
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Lines that no other call writes.
fn numbered(name: &str, from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("level=info from={name} n={n} padding={:0>60}\n", n)).collect()
}

#[test]
fn every_line_is_stored_once_however_often_the_process_is_killed() {
    let dir = directory();
    let log = |name: &str| dir.path().join("log").join(name);
    let (mut steady, mut rotated) = (0, 0);
    for round in 0..6_usize {
        let mut up = Up::start(dir.path(), &[]);
        let before = up.lines(r#"{job="varlogs"}"#).len();
        append(&log("deep/steady.log"), &numbered("steady", steady, 3000));
        steady += 3000;
        append(&log("rotated.log"), &numbered("rotated", rotated, 500));
        rotated += 500;
        // Killed when some of it is stored, sooner or later.
        wait_for("something new to be stored", || {
            (up.lines(r#"{job="varlogs"}"#).len() > before + round * 400).then_some(())
        });
        if round % 2 == 1 {
            append(&log("rotated.log"), &numbered("rotated", rotated, 100));
            rotated += 100;
            let older = log(&format!("rotated.log.{round}"));
            std::fs::rename(log("rotated.log"), &older).unwrap();
            append(&older, &numbered("rotated", rotated, 50));
            rotated += 50;
        }
        up.child.kill().unwrap();
        up.child.wait().unwrap();
    }
    let up = Up::start(dir.path(), &[]);
    let expected = |name: &str, count: usize| {
        let mut lines: Vec<String> = numbered(name, 0, count).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for (name, count) in [("steady", steady), ("rotated", rotated)] {
        let mut stored = wait_for("all lines to be stored", || {
            let lines = up.lines(&format!(r#"{{job="varlogs"}} |= "from={name} ""#));
            (lines.len() >= count).then_some(lines)
        });
        // Sources order the lines of a file.
        if name == "steady" {
            assert!(stored.windows(2).all(|pair| pair[0] < pair[1]) || stored.len() > 9999);
        }
        stored.sort();
        assert!(stored == expected(name, count), "{name}: {} lines, not {count}", stored.len());
    }
    assert!(up.metric("promtail_read_lines_total") >= 0.0);
    assert!(up.metric("promtail_files_active_total") >= 1.0);
}

#[test]
fn the_journal_and_files_are_there_with_the_labels_people_expect() {
    let dir = directory();
    append(
        &dir.path().join("log/app.log"),
        "level=error msg=broken took=5ms\nlevel=info msg=fine took=7ms\n",
    );
    let writer = PathBuf::from("/lib/systemd/systemd-journal-remote");
    let has_journal = writer.exists();
    if has_journal {
        let now_us = base::SystemClock::new().now_ms() * 1000;
        let export = format!(
            "__REALTIME_TIMESTAMP={now_us}\n__MONOTONIC_TIMESTAMP=5\n_BOOT_ID={:032x}\n_HOSTNAME=box\n_SYSTEMD_UNIT=nginx.service\n\
             PRIORITY=4\nSYSLOG_IDENTIFIER=nginx\nMESSAGE=from the journal\n\n",
            5
        );
        std::fs::write(dir.path().join("export"), export).unwrap();
        let mut writing = std::process::Command::new(&writer);
        writing
            .arg("-o")
            .arg(dir.path().join("journal/machine/system.journal"))
            .arg(dir.path().join("export"));
        assert!(writing.output().unwrap().status.success());
    } else {
        program("systemd-journal-remote", "the_journal_and_files_are_there_with_the_labels_people_expect");
    }
    let up = Up::start(dir.path(), &[]);
    wait_for("lines of the file", || (up.lines(r#"{job="varlogs"}"#).len() == 2).then_some(()));
    let names = up.logs(&["labels"]);
    assert!(
        names.contains("filename") && names.contains("host") && names.contains("service_name"),
        "{names}"
    );
    assert!(up.logs(&["labels", "filename"]).contains("/log/app.log"));
    assert!(up.logs(&["series", r#"{job="varlogs"}"#]).starts_with("{filename="));
    assert!(up.logs(&["stats", r#"{job="varlogs"}"#]).contains("entries  2"));
    assert!(up.logs(&["fields", r#"{job="varlogs"}"#]).contains("took"));
    assert!(up.logs(&["volume", r#"{job="varlogs"}"#, "--by=job"]).contains("{job=\"varlogs\"}"));
    let shown = up.logs(&[r#"{job="varlogs"} |= "broken""#, "--color=always"]);
    assert!(shown.contains("\x1b[31mlevel=error msg=broken took=5ms\x1b[0m"), "{shown}");
    let table = up.logs(&[r#"sum by (job) (count_over_time({job="varlogs"}[1h]))"#, "--instant", "--to=0s"]);
    assert_eq!(table, "{job=\"varlogs\"}  2\n");
    let range = up.logs(&[r#"sum(count_over_time({job="varlogs"}[1h]))"#, "--output=graph"]);
    assert!(range.contains('┤'), "{range}");
    let failed = bartizan(["logs", "{job=}", up.server().as_str()]);
    assert_eq!(failed.code, 1);
    assert!(failed.err.contains("parse error at line 1, col 6"), "{}", failed.err);
    if has_journal {
        wait_for("the entry of the journal", || {
            let lines =
                up.lines(r#"{job="systemd-journal", unit="nginx.service", level="warning", host="box"}"#);
            (lines == ["from the journal"]).then_some(())
        });
    }
}

#[test]
fn a_tail_shows_lines_as_they_come() {
    let dir = directory();
    let path = dir.path().join("log/app.log");
    let up = Up::start(dir.path(), &[]);
    let mut tail = command()
        .args(["logs", "--tail", "--output=raw", r#"{job="varlogs"} |= "wanted""#, "--from=1m"])
        .arg(up.server())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    append(&path, "wanted 0\nother\n");
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "wanted 0");
    for n in 1..20 {
        append(&path, &format!("wanted {n}\nother {n}\n"));
        assert_eq!(lines.next().unwrap().unwrap(), format!("wanted {n}"));
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn the_language_goes_beyond_the_reference_where_that_is_switched_on() {
    let dir = directory();
    append(&dir.path().join("log/app.log"), "user=a n=1\nuser=b n=2\nuser=a n=3\n");
    let distinct = r#"{job="varlogs"} | logfmt | distinct user"#;
    let subquery = r#"max_over_time(sum(count_over_time({job="varlogs"}[1h]))[1h:1m])"#;
    let up = Up::start(dir.path(), &["--logql-features=distinct,subqueries"]);
    wait_for("lines of the file", || (up.lines(r#"{job="varlogs"}"#).len() == 3).then_some(()));
    assert_eq!(up.lines(distinct), ["user=b n=2", "user=a n=3"]);
    // Evaluated at full minutes: the next one but one has all lines behind it.
    let soon = format!("--to={}", base::SystemClock::new().now_ms() / 1000 + 120);
    assert_eq!(up.logs(&[subquery, "--instant", &soon]), "{}  3\n");
    assert!(up.logs(&["fmt", distinct]).contains("| distinct user"));
    drop(up);
    let up = Up::start(dir.path(), &[]);
    for query in [distinct, subquery] {
        let refused = bartizan(["logs", query, up.server().as_str()]);
        assert!(refused.code == 1 && refused.err.contains("parse error"), "{}", refused.err);
    }
    let unknown = bartizan(["up", "--logql-features=magic"]);
    assert!(unknown.err.contains("\"magic\" is none of all, distinct"), "{}", unknown.err);
}

#[test]
fn logs_of_the_host_can_be_left_out() {
    let dir = directory();
    append(&dir.path().join("log/app.log"), "x\n");
    let up = Up::start(dir.path(), &["--no-host-logs"]);
    assert!(up.lines(r#"{job=~".+"}"#).is_empty());
    assert!(!dir.path().join("data/logs/positions.log").exists());
}
