//! Two servers, one behind the other, over a bad network, killed again and again: every sample of the first is in the
//! second, once.

use std::collections::BTreeMap;

use super::proxy::{Mischief, Proxy};
use super::{count, counters, difference, now, samples, sending};
use crate::faults::server::{Home, Server};
use crate::faults::wait_for;

const SERIES: usize = 150;
const ROUNDS: u64 = 6;
const SEED: u64 = 20_260;

/// What is scraped, and what tells of it.
const ALL: &str = "{job=\"load\"}[1h]";

fn receiver(dir: &std::path::Path) -> Home {
    std::fs::create_dir_all(dir).unwrap();
    Home::new(dir, "global:\n  scrape_interval: 1h\n").flag("--web.enable-remote-write-receiver")
}

/// Waits until the second has so many samples more.
fn wait_for_more(what: &str, server: &Server, by: usize) {
    let before = count(&samples(server, ALL, &now()));
    wait_for(what, || (count(&samples(server, ALL, &now())) >= before + by).then_some(()));
}

/// Waits until both have the same samples up to now.
fn wait_for_equality(first: &Server, second: &Server) {
    let time = now();
    let (mut series, mut last) = (0, String::new());
    let equal = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("all samples to arrive", || {
            // A scrape of before may be committed only now.
            let (theirs, found) = (samples(first, ALL, &time), samples(second, ALL, &time));
            (series, last) = (theirs.len(), difference(&theirs, &found));
            (found == theirs).then_some(())
        });
    }));
    assert!(equal.is_ok(), "{last}\n{}", first.log());
    assert!(series >= SERIES, "{last}");
}

fn survive(seed: u64, message: &str) {
    let dir = tempfile::tempdir().unwrap();
    let target = counters(SERIES);
    let proxy = Proxy::start(seed, 40);
    let more = format!("  protobuf_message: {message}\n");
    std::fs::create_dir_all(dir.path().join("first")).unwrap();
    let config = sending(target.address(), "100ms", &proxy.url(), &more);
    let (first_home, second_home) =
        (Home::new(&dir.path().join("first"), &config), receiver(&dir.path().join("second")));
    let mut second = second_home.start();
    proxy.forward_to(Some(second.address()));
    let mut first = first_home.start();
    for round in 0..ROUNDS {
        wait_for_more("samples to come through", &second, 5 * SERIES);
        if (seed ^ round).is_multiple_of(2) {
            first.kill();
            first = first_home.start();
        } else {
            proxy.forward_to(None);
            second.kill();
            wait_for_more("samples to gather", &first, 5 * SERIES);
            second = second_home.start();
            proxy.forward_to(Some(second.address()));
        }
    }
    wait_for_more("samples to come through", &second, 2 * SERIES);
    wait_for_equality(&first, &second);
    let done = proxy.done();
    assert!(done.len() > 6 && done[&Mischief::DropAfter] > 0, "{done:?}");
    assert_eq!(first.own_metric("prometheus_remote_storage_wal_segments_lost_total"), 0.0);
}

#[test]
fn every_sample_arrives_once_over_a_bad_network_and_kills_of_either_side() {
    survive(SEED, "prometheus.WriteRequest");
}

#[test]
fn every_sample_arrives_once_in_version_two_as_well() {
    survive(SEED + 1, "io.prometheus.write.v2.Request");
}

#[test]
fn a_clean_end_leaves_nothing_to_send() {
    let dir = tempfile::tempdir().unwrap();
    let target = counters(SERIES);
    let second = receiver(&dir.path().join("second")).start();
    std::fs::create_dir_all(dir.path().join("first")).unwrap();
    let url = format!("http://{}/api/v1/write", second.address());
    let home = Home::new(&dir.path().join("first"), &sending(target.address(), "100ms", &url, ""));
    let first = home.start();
    wait_for_more("samples to come through", &second, 3 * SERIES);
    let (status, log) = first.stop();
    assert!(status.success() && log.contains("unsent_requests=0"), "{log}");
    drop(target);
    // Without a target, the next start shows what the first had.
    let nothing = home.start();
    let time = now();
    let theirs = samples(&nothing, "requests_total[1h]", &time);
    assert!(count(&theirs) > 0);
    wait_for("both to have the same", || {
        let found = samples(&second, "requests_total[1h]", &time);
        (found == samples(&nothing, "requests_total[1h]", &time)).then_some(())
    });
}

/// The samples of the counters in the log of an agent, staleness markers left out.
fn logged(agent: &Home) -> BTreeMap<String, Vec<(i64, f64)>> {
    let mut all = crate::agent::logged(&agent.data);
    all.retain(|labels, _| labels.contains("__name__=requests_total"));
    all.values_mut().for_each(|samples| samples.retain(|(_, value)| !value.is_nan()));
    all
}

/// The samples of the counters a store has, in the form of [`logged`].
fn stored(store: &Server) -> BTreeMap<String, Vec<(i64, f64)>> {
    let found = samples(store, "requests_total[1h]", &now());
    let series = found.into_iter().map(|(metric, values)| {
        let labels: BTreeMap<String, String> = serde_json::from_str(&metric).unwrap();
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (labels.join(","), super::pairs(&values))
    });
    series.collect()
}

#[test]
fn what_an_agent_scraped_arrives_once_though_it_and_its_store_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let target = counters(SERIES);
    let proxy = Proxy::start(SEED + 2, 20);
    let (agent_dir, store_home) = (dir.path().join("agent"), receiver(&dir.path().join("store")));
    std::fs::create_dir_all(&agent_dir).unwrap();
    let home = Home::new(&agent_dir, &sending(target.address(), "100ms", &proxy.url(), "")).agent();
    let mut store = store_home.start();
    proxy.forward_to(Some(store.address()));
    let mut agent = home.start();
    for round in 0..6 {
        wait_for_more("samples to come through", &store, 5 * SERIES);
        if round % 2 == 0 {
            agent.kill();
            agent = home.start();
        } else {
            proxy.forward_to(None);
            store.kill();
            store = store_home.start();
            proxy.forward_to(Some(store.address()));
        }
    }
    drop(target);
    agent.kill();
    let expected = logged(&home);
    assert_eq!(expected.len(), SERIES);
    // What was not sent when it was killed is sent after it starts again.
    let _agent = home.start();
    wait_for("everything to arrive", || (stored(&store) == expected).then_some(()));
}
