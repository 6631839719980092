//! A target that suddenly has far too many series.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::server::Home;
use super::target::{self, Target, respond};
use super::wait_for;

const LIMIT: usize = 100;
const EXPLOSION: usize = 1000;

#[test]
fn the_series_limit_sheds_new_series_only_and_names_who_has_them() {
    let (exploding, scrapes) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let explode = exploding.clone();
    let target = Target::start(move |stream, _| {
        let number = scrapes.fetch_add(1, Ordering::SeqCst);
        let mut body = String::new();
        (0..50).for_each(|i| writeln!(body, "calm{{i=\"{i}\"}} {number}").unwrap());
        if explode.load(Ordering::SeqCst) {
            (0..EXPLOSION).for_each(|i| writeln!(body, "explosion{{user=\"{i}\"}} {number}").unwrap());
        }
        respond(stream, "", body.as_bytes());
    });
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), &target::config(target.address(), "100ms"))
        .flag(format!("--storage.tsdb.max-series={LIMIT}"));
    let server = home.start();
    wait_for("calm scrapes", || (server.number("count(calm)")? == 50.0).then_some(()));
    assert_eq!(server.target("/metrics").unwrap()["lastError"], "");

    exploding.store(true, Ordering::SeqCst);
    let told = wait_for("the limit to be told", || {
        let target = server.target("/metrics")?;
        let told = target["lastError"].as_str().unwrap().to_owned();
        assert_eq!(target["health"], "up");
        (!told.is_empty()).then_some(told)
    });
    assert!(told.contains("storage.tsdb.max-series") && told.contains("explosion"), "{told}");
    let before = server.number("max(calm)").unwrap();
    wait_for("old series to be fed", || (server.number("min(calm)")? > before + 3.0).then_some(()));
    let kept = server.number("count(explosion)").unwrap_or(0.0);
    assert!(kept > 0.0 && kept < LIMIT as f64, "{kept}");
    assert_eq!(server.own_metric("prometheus_tsdb_head_series"), LIMIT as f64);

    assert!(server.own_metric("prometheus_tsdb_head_series_refused_total") > 0.0);
    let (_, metrics) = server.get("/metrics").unwrap();
    let address = target.address().to_string();
    let names_both = |line: &str| line.contains("metric=\"explosion\"") && line.contains(&address);
    let refusals = "bartizan_scrape_series_refused_total{";
    assert!(metrics.lines().any(|line| line.starts_with(refusals) && names_both(line)), "{metrics}");
    server.wait_for_log(&["explosion", &address]);

    exploding.store(false, Ordering::SeqCst);
    wait_for("the complaint to end", || (server.target("/metrics")?["lastError"] == "").then_some(()));
}
