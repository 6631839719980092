//! Against the real programs, where they are installed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::*;

/// A configuration that scrapes one target every second.
fn job(target: &str) -> String {
    format!(
        "scrape_configs: [{{job_name: test, scrape_interval: 1s, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
}

/// A part of the configuration that takes samples out of order.
const OUT_OF_ORDER: &str = "storage: {tsdb: {out_of_order_time_window: 2h}}\n";

/// A target whose samples carry timestamps, each scrape's ten seconds before those of the scrape before.
fn backwards_target(newest_ms: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for (scrape, stream) in (0..).zip(listener.incoming()) {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                request.push(byte[0]);
            }
            let t_ms = newest_ms - scrape * 10_000;
            let body: String = (0..20).map(|i| format!("late{{i=\"{i}\"}} {scrape} {t_ms}\n")).collect();
            let head =
                "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    address
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

struct Peer {
    process: Child,
    port: u16,
}

impl Peer {
    /// Starts it on the data in `dir`; with `scrape`, it scrapes itself.
    fn start(dir: &Path, scrape: bool, features: &str) -> Option<Self> {
        let jobs = |port| if scrape { job(&format!("127.0.0.1:{port}")) } else { String::new() };
        Self::start_with(dir, jobs, features)
    }

    /// Starts it with the configuration for the port it listens on.
    fn start_with(dir: &Path, config_for: impl Fn(u16) -> String, features: &str) -> Option<Self> {
        let prometheus = program("prometheus", "peers")?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, config_for(port)).unwrap();
        let process = Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--storage.tsdb.retention.time=100y")
            .arg(format!("--enable-feature={features}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Self { process, port };
        peer.wait_for("/-/ready", "is Ready");
        Some(peer)
    }

    fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return String::new() };
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        let mut response = String::new();
        let _ = stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_string(&mut response).map(|_| ()));
        response
    }

    fn wait_for(&self, path: &str, text: &str) -> String {
        let clock = SystemClock::shared();
        let start = clock.monotonic();
        loop {
            let answer = self.get(path);
            if answer.contains(text) {
                return answer;
            }
            assert!((clock.monotonic() - start).as_secs() < 60, "no {text:?} in {answer:?}");
            std::thread::yield_now();
        }
    }
}

impl Peer {
    /// Ends it as a service manager does.
    fn stop(mut self) {
        let done = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(done.unwrap().success());
        self.process.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn encode(query: &str) -> String {
    query.bytes().map(|b| format!("%{b:02x}")).collect()
}

#[test]
fn prometheus_carries_on_with_our_log_and_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let now = clock.now_ms();
    let options = HeadOptions { snapshot_on_shutdown: false, ..HeadOptions::default() };
    let open =
        |min| Head::open(&dir.path().join("data"), options.clone(), min, clock.clone(), &Registry::new());
    let head = open(i64::MIN).unwrap();
    let samples = 600;
    for t in 0..samples {
        let all: Vec<_> = (0..50)
            .map(|i| (series("ours", i), now - (samples - t) * 5_000, (t * i as i64) as f64))
            .collect();
        assert!(commit(&head, &all).iter().all(Result::is_ok));
    }
    head.close().unwrap();
    let expected = dump(&head);
    drop(head);
    let Some(peer) = Peer::start(dir.path(), false, "") else { return };
    let query = |text: &str| peer.get(&format!("/api/v1/query?query={}", encode(text)));
    let counted = query("sum(count_over_time(ours[2h]))");
    assert!(counted.contains(&format!("\"{}\"]", samples * 50)), "{counted}");
    let last = query("sum(last_over_time(ours[2h]))");
    assert!(last.contains(&format!("\"{}\"]", (samples - 1) * (0..50).sum::<i64>())), "{last}");
    let metrics = peer.get("/metrics");
    for name in ["wal_corruptions_total", "mmap_chunk_corruptions_total"] {
        assert!(metrics.contains(&format!("prometheus_tsdb_{name} 0\n")), "{name}");
    }
    assert!(!metrics.contains("prometheus_tsdb_head_chunks 50\n"), "our complete chunks are used");
    drop(peer);
    // And back again.
    let head = open(i64::MIN).unwrap();
    assert_eq!(dump(&head), expected);
    assert_eq!(head.replay_report().damages, Vec::<String>::new());
}

#[test]
fn the_log_of_a_running_prometheus_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(peer) = Peer::start(dir.path(), true, "") else { return };
    let query = format!("/api/v1/query?query={}", encode("count_over_time(up[5m])>3"));
    peer.wait_for(&query, "\"metric\"");
    let copy = dir.path().join("copy");
    copy_dir(&dir.path().join("data/wal"), &copy.join("wal"));
    let clock = SystemClock::shared();
    let head = Head::open(&copy, HeadOptions::default(), i64::MIN, clock, &Registry::new()).unwrap();
    let up = read(&head, vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
    assert_eq!(up.len(), 1);
    assert!(up[0].1.len() > 3);
    assert!(up[0].1.values.contains(&1.0));
    assert!(head.series_count() > 100);
    assert!(head.replay_report().damages.iter().all(|damage| damage.contains("torn")));
}

#[test]
fn snapshots_are_taken_over_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let now = clock.now_ms();
    let options = HeadOptions { snapshot_on_shutdown: true, ..HeadOptions::default() };
    let open =
        || Head::open(&dir.path().join("data"), options.clone(), i64::MIN, clock.clone(), &Registry::new());
    let head = open().unwrap();
    for t in 0..100 {
        let mut appender = Box::new(head.head_appender());
        for i in 0..20 {
            let r = appender.resolve(&series("ours", i)).unwrap();
            append(&mut *appender, r, now - (100 - t) * 5_000, (t * i as i64) as f64).unwrap();
        }
        let h = appender.resolve(&series("histogram", 0)).unwrap();
        appender
            .append(h, 0, now - (100 - t) * 5_000, SampleValue::Histogram(&integer_histogram(t as u64)))
            .unwrap();
        appender.commit().unwrap();
    }
    let deleted = TimeRange::new(now - 60_000, now - 50_001);
    head.delete(deleted, &[Matcher::equal("i", "3")]).unwrap();
    head.close().unwrap();
    let expected = dump(&head);
    drop(head);
    let Some(peer) = Peer::start(dir.path(), false, "memory-snapshot-on-shutdown,native-histograms") else {
        return;
    };
    let metrics = peer.get("/metrics");
    assert!(metrics.contains("prometheus_tsdb_snapshot_replay_error_total 0\n"));
    let query = |text: &str| peer.get(&format!("/api/v1/query?query={}", encode(text)));
    assert!(query("sum(count_over_time(ours[2h]))").contains("\"1998\"]"));
    assert!(query("histogram_count(histogram)").contains("\"500\"]"));
    peer.stop();
    let head = open().unwrap();
    let report = head.replay_report();
    assert!(report.from_snapshot, "{report:?}");
    assert_eq!(report.damages, Vec::<String>::new());
    assert_eq!(dump(&head), expected);
}

#[test]
fn the_out_of_order_log_of_a_killed_prometheus_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let target = backwards_target(clock.now_ms());
    let config = |_| format!("{OUT_OF_ORDER}{}", job(&target));
    let Some(peer) = Peer::start_with(dir.path(), config, "") else { return };
    let query = format!("/api/v1/query?query={}", encode("count_over_time(late{i='0'}[1h])>4"));
    peer.wait_for(&query, "\"metric\"");
    // Killed, so that nothing but the logs tells.
    drop(peer);
    let options = HeadOptions { out_of_order_window_ms: 7_200_000, ..HeadOptions::default() };
    let data = dir.path().join("data");
    let head = Head::open(&data, options, i64::MIN, clock, &Registry::new()).unwrap();
    let late = read(&head, vec![Matcher::equal("__name__", "late")], TimeRange::ALL);
    assert_eq!(late.len(), 20);
    for (labels, samples) in &late {
        let (times, values) = (&samples.timestamps_ms, &samples.values);
        assert!(times.len() > 4, "{labels}: {times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 10_000), "{labels}: {times:?}");
        assert_eq!(values.last(), Some(&0.0));
        assert!(values.windows(2).all(|pair| pair[0] == pair[1] + 1.0), "{labels}: {values:?}");
    }
    assert!(head.out_of_order_bounds().is_some());
    assert_eq!(head.replay_report().unknown_refs, 0);
}

#[test]
fn prometheus_reads_our_out_of_order_log() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let now = clock.now_ms();
    let options = HeadOptions { out_of_order_window_ms: 7_200_000, ..HeadOptions::default() };
    let open =
        || Head::open(&dir.path().join("data"), options.clone(), i64::MIN, clock.clone(), &Registry::new());
    let head = open().unwrap();
    let all = |t_ms, value| (0..20).map(|i| (series("late", i), t_ms, value)).collect::<Vec<_>>();
    commit(&head, &all(now, 0.0));
    // Enough for several chunks and for a buffer that is only in the log.
    for back in 1..=100 {
        assert!(commit(&head, &all(now - back * 10_000, back as f64)).iter().all(Result::is_ok));
    }
    head.close().unwrap();
    let expected = dump(&head);
    drop(head);
    let Some(peer) = Peer::start_with(dir.path(), |_| OUT_OF_ORDER.to_owned(), "") else { return };
    let query = |text: &str| peer.get(&format!("/api/v1/query?query={}", encode(text)));
    let counted = query("sum(count_over_time(late[2h]))");
    assert!(counted.contains(&format!("\"{}\"]", 101 * 20)), "{counted}");
    let summed = query("sum(sum_over_time(late[2h]))");
    assert!(summed.contains(&format!("\"{}\"]", 5_050 * 20)), "{summed}");
    let metrics = peer.get("/metrics");
    assert!(metrics.contains("prometheus_tsdb_wal_corruptions_total 0\n"));
    assert!(metrics.contains("prometheus_tsdb_mmap_chunk_corruptions_total 0\n"));
    drop(peer);
    let head = open().unwrap();
    assert_eq!(dump(&head), expected);
    assert_eq!(head.replay_report().damages, Vec::<String>::new());
}
