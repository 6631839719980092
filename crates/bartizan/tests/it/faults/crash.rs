//! Killed again and again under load.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::server::{Home, Server};
use super::target::{self, Target, respond};
use super::wait_for;

pub const SERIES: usize = 300;
const KILLS: usize = 5;
/// Scrapes that must have been stored before the next kill.
const SCRAPES_BETWEEN: u64 = 12;

/// Time and value of all samples, by series.
pub type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// Every scrape says its own number in every series.
pub fn counting_target() -> (Target, Arc<AtomicU64>) {
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    let target = Target::start(move |stream, _| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let mut body = String::new();
        (0..SERIES).for_each(|i| writeln!(body, "load{{i=\"{i}\"}} {number}").unwrap());
        respond(stream, "", body.as_bytes());
    });
    (target, served)
}

pub fn samples(server: &Server) -> Samples {
    let found = server.query("load[1h]");
    let of_series = |series: &serde_json::Value| {
        let values = series["values"].as_array().unwrap().iter().map(|pair| {
            let t_ms = (pair[0].as_f64().unwrap() * 1e3).round() as i64;
            (t_ms, pair[1].as_str().unwrap().parse().unwrap())
        });
        (series["metric"]["i"].as_str().unwrap().to_owned(), values.collect())
    };
    found.iter().map(of_series).collect()
}

/// What was known at a kill: everything a query had shown, and how many scrapes the target had answered.
struct Kill {
    acknowledged: Samples,
    served: u64,
}

pub fn newest(samples: &Samples) -> u64 {
    samples.values().flatten().map(|&(_, number)| number).max().unwrap_or(0)
}

/// Kills the server again and again; what was known then, and the samples in the end.
fn kill_in_a_loop(home: &Home, served: &AtomicU64) -> (Vec<Kill>, Samples, f64) {
    let mut kills: Vec<Kill> = Vec::new();
    for _ in 0..KILLS {
        let server = home.start();
        let from = served.load(Ordering::SeqCst);
        let acknowledged = wait_for("scrapes to be stored", || {
            let stored = server.number("max(load)")?;
            (stored >= (from + SCRAPES_BETWEEN) as f64).then(|| samples(&server))
        });
        server.kill();
        kills.push(Kill { acknowledged, served: served.load(Ordering::SeqCst) });
    }
    let server = home.start();
    let last = kills.last().unwrap().served;
    let all = wait_for("scrapes after the last kill", || {
        let all = samples(&server);
        (newest(&all) > last).then_some(all)
    });
    // A scrape that took too long is missing too, and says so.
    let failed = server.number("sum(count_over_time((up == 0)[1h:10ms]))").unwrap_or(0.0);
    (kills, all, failed)
}

fn check(kills: &[Kill], all: &Samples, failed_scrapes: f64) {
    assert_eq!(all.len(), SERIES);
    let scrapes = all.values().next().unwrap();
    for (series, samples) in all {
        assert_eq!(samples, scrapes, "series {series} has other scrapes than the first");
        let ascends = |pair: &[(i64, u64)]| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1;
        assert!(samples.windows(2).all(ascends), "a sample is there twice: {samples:?}");
    }
    for Kill { acknowledged, .. } in kills {
        for (series, samples) in acknowledged {
            let kept: BTreeSet<_> = all[series].iter().collect();
            let lost: Vec<_> = samples.iter().filter(|sample| !kept.contains(sample)).collect();
            assert!(lost.is_empty(), "series {series} lost samples a query had shown: {lost:?}");
        }
    }
    let numbers: BTreeSet<u64> = scrapes.iter().map(|&(_, number)| number).collect();
    let in_flight = |number: &u64| {
        kills.iter().any(|kill| (newest(&kill.acknowledged) + 1..=kill.served).contains(number))
    };
    let last = *numbers.last().unwrap();
    let gaps: Vec<u64> = (1..=last).filter(|n| !numbers.contains(n)).filter(|n| !in_flight(n)).collect();
    assert!(gaps.len() as f64 <= failed_scrapes, "scrapes {gaps:?} are missing and were never in danger");
}

#[test]
fn nothing_a_query_has_shown_is_lost_or_doubled_by_kills() {
    let (target, served) = counting_target();
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), &target::config(target.address(), "100ms"));
    let (kills, all, failed) = kill_in_a_loop(&home, &served);
    check(&kills, &all, failed);
}

#[test]
fn nor_by_kills_while_blocks_are_written() {
    let (target, served) = counting_target();
    let dir = tempfile::tempdir().unwrap();
    // Blocks this short are due with every start, and are joined soon.
    let home = Home::new(dir.path(), &target::config(target.address(), "100ms"))
        .flag("--storage.tsdb.min-block-duration=1s")
        .flag("--storage.tsdb.max-block-duration=10s");
    let (kills, all, failed) = kill_in_a_loop(&home, &served);
    check(&kills, &all, failed);
    let is_block =
        |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path().join("meta.json").is_file();
    assert!(std::fs::read_dir(&home.data).unwrap().any(is_block), "no block was written");
}
