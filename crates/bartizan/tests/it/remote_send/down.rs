//! A destination that is down costs a bounded amount of memory, and nothing is lost.

use super::proxy::Proxy;
use super::{count, counters, now, samples, sending};
use crate::faults::server::Home;
use crate::faults::wait_for;

const SERIES: usize = 2_000;

#[test]
fn a_destination_that_is_down_takes_no_memory_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = counters(SERIES);
    let proxy = Proxy::start(1, 0);
    let server = Home::new(dir.path(), &sending(target.address(), "50ms", &proxy.url(), "")).start();
    let pending = || server.own_metric("prometheus_remote_storage_samples_pending");
    let appended = || server.own_metric("prometheus_tsdb_head_samples_appended_total");
    wait_for("the queues to be full", || {
        (pending() > 0.0 && appended() > 20.0 * SERIES as f64).then_some(())
    });
    let (before, memory) = (appended(), server.memory_bytes());
    // Far more than all queues hold: three of six requests of a hundred samples.
    wait_for("many more samples", || (appended() > before + 150.0 * SERIES as f64).then_some(()));
    assert!(pending() <= 3.0 * 7.0 * 100.0, "{} samples pending", pending());
    let grown = server.memory_bytes().saturating_sub(memory);
    // The storage itself grows by what it stores, two bytes a sample; a queue would take sixty.
    assert!(grown < 24 << 20, "{grown} bytes for {} samples", appended() - before);

    let receiver_dir = dir.path().join("second");
    std::fs::create_dir_all(&receiver_dir).unwrap();
    let receiver = Home::new(&receiver_dir, "global:\n  scrape_interval: 1h\n")
        .flag("--web.enable-remote-write-receiver")
        .start();
    proxy.forward_to(Some(receiver.address()));
    let one = "requests_total{path=\"/7\"}[1h]";
    let time = now();
    let ours = || samples(&server, one, &time);
    assert!(count(&ours()) > 150);
    wait_for("the backlog to arrive", || (samples(&receiver, one, &time) == ours()).then_some(()));
}
