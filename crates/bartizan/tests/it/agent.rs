//! Agent mode: what is scraped goes to the log, survives a kill, and is a real agent's to take over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tsdb::wal::record::{Kind, for_each_float, for_each_series};
use tsdb::wal::segment::{existing_segment_path, last_checkpoint, list_segments};
use tsdb::wal::{ReadEvent, SegmentReader};

use crate::faults::server::{Home, Server};
use crate::faults::target::{Target, config, respond};
use crate::faults::wait_for;
use crate::peer::{Api, Prometheus, below, exchange};

/// A target of `series` counters that go up with each scrape.
fn target(series: usize) -> (Target, Arc<AtomicU64>) {
    let scrapes = Arc::new(AtomicU64::new(0));
    let counted = scrapes.clone();
    let target = Target::start(move |stream, _| {
        let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let body: String = (0..series).map(|i| format!("work_total{{part=\"{i}\"}} {n}\n")).collect();
        respond(stream, "", body.as_bytes());
    });
    (target, scrapes)
}

/// The float samples of a log by series, in the order of the log; damage at the end of a segment is what a
/// kill leaves.
pub fn logged(dir: &Path) -> BTreeMap<String, Vec<(i64, f64)>> {
    let wal = dir.join("wal");
    let mut sources = Vec::new();
    if let Some((_, path)) = last_checkpoint(&wal).unwrap() {
        sources.extend(list_segments(&path).unwrap().into_iter().map(|i| existing_segment_path(&path, i)));
    }
    sources.extend(list_segments(&wal).unwrap().into_iter().map(|i| existing_segment_path(&wal, i)));
    let mut names = BTreeMap::new();
    let mut samples: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for path in sources {
        let mut reader = SegmentReader::open(&path).unwrap();
        loop {
            let record = match reader.next().unwrap() {
                ReadEvent::End => break,
                ReadEvent::Damage(damage) if damage.is_cut_off() => break,
                ReadEvent::Damage(damage) => panic!("{damage}"),
                ReadEvent::Record(record) => record,
            };
            match Kind::of(record) {
                Some(Kind::Series) => for_each_series(record, |series, pairs| {
                    let name: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    names.insert(series, name.join(","));
                })
                .unwrap(),
                Some(Kind::Samples) => for_each_float(record, |sample| {
                    let name = names.get(&sample.series).expect("a sample stands behind its series");
                    samples.entry(name.clone()).or_default().push((sample.t_ms, sample.value));
                })
                .unwrap(),
                other => panic!("unexpected record {other:?}"),
            }
        }
    }
    samples
}

fn work(dir: &Path) -> BTreeMap<String, Vec<(i64, f64)>> {
    let mut all = logged(dir);
    all.retain(|name, _| name.contains("work_total"));
    all
}

#[track_caller]
fn wait_for_scrapes(agent: &Server, scrapes: &AtomicU64, more: u64) {
    let wanted = agent.own_metric("prometheus_agent_samples_appended_total") + more as f64;
    let _ = scrapes;
    wait_for("samples to be appended", || {
        (agent.own_metric("prometheus_agent_samples_appended_total") >= wanted).then_some(())
    });
}

#[test]
fn what_is_scraped_is_in_the_log_once_also_after_kills() {
    let dir = tempfile::tempdir().unwrap();
    let series = 50;
    let (target, scrapes) = target(series);
    let home = Home::new(dir.path(), &config(target.address(), "100ms")).agent();
    for _ in 0..4 {
        let agent = home.start();
        wait_for_scrapes(&agent, &scrapes, 300);
        // What was acknowledged is in the log.
        let appended = agent.own_metric("prometheus_agent_samples_appended_total");
        assert!(appended > 0.0);
        agent.kill();
    }
    let agent = home.start();
    assert!(agent.own_metric("prometheus_agent_active_series") >= series as f64);
    wait_for_scrapes(&agent, &scrapes, 300);
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    let found = work(&home.data);
    assert_eq!(found.len(), series);
    let first: Vec<f64> = found.values().next().unwrap().iter().map(|&(_, value)| value).collect();
    for (name, samples) in &found {
        assert!(samples.is_sorted_by(|a, b| a.0 < b.0), "{name}: a sample is there twice");
        // Every scrape is there as a whole; only the last one before a stop ends in markers.
        let numbers: Vec<f64> = samples.iter().map(|&(_, value)| value).filter(|v| !v.is_nan()).collect();
        let expected: Vec<f64> = first.iter().copied().filter(|v| !v.is_nan()).collect();
        assert_eq!(numbers, expected, "{name}");
    }
}

#[test]
fn an_agent_answers_what_it_can_and_says_what_it_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let (target, scrapes) = target(3);
    let home = Home::new(dir.path(), &config(target.address(), "100ms")).agent();
    let agent = home.flag("--web.enable-admin-api").start();
    wait_for_scrapes(&agent, &scrapes, 3);
    let refused = [
        ("GET", "query?query=up"),
        ("POST", "query_range"),
        ("GET", "labels"),
        ("GET", "label/job/values"),
        ("GET", "series?match[]=up"),
        ("GET", "rules"),
        ("GET", "alerts"),
        ("GET", "status/tsdb"),
        ("GET", "parse_query?query=up"),
        ("POST", "admin/tsdb/snapshot"),
    ];
    for (method, path) in refused {
        let (status, body) = exchange(agent.address(), method, &format!("/api/v1/{path}"), "", &[]).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, 422, "{path}: {body}");
        assert!(body.contains("unavailable with Prometheus Agent"), "{path}: {body}");
    }
    let read = exchange(agent.address(), "GET", "/federate?match[]=up", "", &[]).unwrap();
    assert_eq!(read.0, 500);
    assert!(String::from_utf8_lossy(&read.1).contains("unsupported operation with WAL-only storage"));
    let targets = agent.json("targets", &[]);
    assert_eq!(targets["data"]["activeTargets"][0]["health"], "up");
    for path in ["metadata", "status/config", "status/flags", "status/runtimeinfo", "status/walreplay"] {
        assert_eq!(agent.json(path, &[])["status"], "success", "{path}");
    }
    assert_eq!(agent.json("features", &[])["data"]["prometheus"]["agent_mode"], true);
    assert!(!dir.path().join("data/chunks_head").exists());
}

#[test]
fn what_does_not_go_with_the_mode_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = |flags: &[&str]| {
        let data = format!("--storage.agent.path={}", dir.path().join("data").display());
        let config = format!("--config.file={}", dir.path().join("prometheus.yml").display());
        let flags = ["prometheus", &config, "--web.listen-address=127.0.0.1:0", &data]
            .into_iter()
            .chain(flags.iter().copied());
        crate::support::bartizan(flags.collect::<Vec<_>>())
    };
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let both = run(&["--agent", "--query.timeout=1m", "--storage.tsdb.path=x"]);
    assert_eq!(both.code, 3);
    assert_eq!(
        both.err.trim_end(),
        r#"The following flag(s) can not be used in agent mode: ["--storage.tsdb.path" "--query.timeout"]"#
    );
    let server = run(&[]);
    assert_eq!(server.code, 3);
    assert_eq!(
        server.err.trim_end(),
        r#"The following flag(s) can only be used in agent mode: ["--storage.agent.path"]"#
    );
    for (section, field) in [
        ("rule_files: [a.yml]", "rule_files"),
        ("remote_read: [{url: 'http://localhost/'}]", "remote_read"),
        ("alerting: {alertmanagers: [{static_configs: [{targets: ['a:1']}]}]}", "alerting"),
    ] {
        std::fs::write(dir.path().join("prometheus.yml"), section).unwrap();
        let refused = run(&["--agent"]);
        assert_eq!(refused.code, 2, "{section}");
        assert!(
            refused.err.contains(&format!("field {field} is not allowed in agent mode")),
            "{}",
            refused.err
        );
    }
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let small = run(&["--agent", "--storage.agent.wal-segment-size=1MB"]);
    assert!(small.err.contains("must be set between 10MB and 256MB"), "{}", small.err);
}

/// The value of one of the real program's own metrics.
fn metric(real: &Prometheus, name: &str) -> Option<f64> {
    let (_, text) = exchange(real.address, "GET", "/metrics", "", &[])?;
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_real_agent_takes_our_directory_over_and_we_take_it_back() {
    let test = "a_real_agent_takes_our_directory_over_and_we_take_it_back";
    let dir = tempfile::tempdir().unwrap();
    let (target, scrapes) = target(40);
    let scraping = config(target.address(), "100ms");
    let home = Home::new(dir.path(), &scraping).agent();
    let agent = home.start();
    wait_for_scrapes(&agent, &scrapes, 200);
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    let ours = work(&home.data);

    let path = format!("--storage.agent.path={}", home.data.display());
    let flags = ["--enable-feature=agent", path.as_str()];
    let Some(real) = Prometheus::start(test, &dir.path().join("real"), &scraping, &flags) else { return };
    assert!(metric(&real, "prometheus_agent_active_series").unwrap() >= 40.0);
    assert_eq!(metric(&real, "prometheus_agent_corruptions_total"), Some(0.0));
    let before = scrapes.load(Ordering::SeqCst);
    wait_for("the real agent to scrape", || (scrapes.load(Ordering::SeqCst) > before + 3).then_some(()));
    real.stop();
    let log = std::fs::read_to_string(below(dir.path(), "real/log")).unwrap();
    assert!(!log.contains("level=error") && !log.contains("repair"), "{log}");
    let theirs = work(&home.data);
    assert_eq!(theirs.len(), 40);
    for (name, samples) in &theirs {
        assert_eq!(samples[..ours[name].len()], ours[name], "{name}");
        assert!(samples.len() > ours[name].len() && samples.is_sorted_by(|a, b| a.0 < b.0), "{name}");
    }

    let agent = home.start();
    assert_eq!(agent.own_metric("prometheus_agent_corruptions_total"), 0.0);
    assert!(agent.own_metric("prometheus_agent_active_series") >= 40.0);
    wait_for_scrapes(&agent, &scrapes, 100);
    drop(agent);
    let again = work(&home.data);
    assert!(again.iter().all(|(name, samples)| samples.len() > theirs[name].len()));
    assert!(again.values().all(|samples| samples.is_sorted_by(|a, b| a.0 < b.0)));
}

#[test]
fn two_agents_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), "").agent();
    let _first = home.start();
    let (status, log) = home.try_start().err().expect("the directory is in use");
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("locked by another process"), "{log}");
}
