//! Start timestamps that targets do not tell.

use std::time::Duration;

use super::support::{Bench, FAST, Page};
use crate::scrape::ScrapeOptions;

fn synthesis() -> ScrapeOptions {
    ScrapeOptions { start_timestamp_synthesis: true, ..ScrapeOptions::default() }
}

fn page(counter: u64, gauge: u64) -> Page {
    Page::text(&format!("# TYPE c_total counter\nc_total {counter}\n# TYPE g gauge\ng {gauge}\n"))
}

/// The values of a series and its starts, without repetitions.
fn distinct(bench: &Bench, name: &str) -> Vec<String> {
    let mut values = bench.memory.values(&bench.series(name, &[]));
    values.dedup();
    values
}

#[tokio::test]
async fn counters_begin_with_their_second_sample_and_gauges_with_the_first() {
    let bench = Bench::start(page(100, 7), FAST, synthesis()).await;
    bench.scrape().await;
    let up = bench.series("up", &[]);
    let first_ms = bench.memory.lock().samples[&up][0].0;
    bench.scrape_page(page(130, 7)).await;
    bench.scrape_page(page(10, 7)).await;
    bench.scrape_page(page(15, 7)).await;
    assert_eq!(distinct(&bench, "g"), ["7"]);
    let stored = bench.memory.lock().samples[&bench.series("c_total", &[])].clone();
    assert!(stored[0].0 > first_ms, "the first sample is not stored");
    let values = distinct(&bench, "c_total");
    let reset_ms = stored.iter().find(|(_, value)| value.starts_with("10 ")).unwrap().0 - 1;
    let expected = [
        format!("0 since {first_ms}"),
        format!("30 since {first_ms}"),
        format!("10 since {reset_ms}"),
        format!("15 since {reset_ms}"),
    ];
    // Whether the first value was scraped twice is a matter of time.
    let skipped = usize::from(!values[0].starts_with("0 "));
    assert_eq!(values, expected[skipped..]);
    bench.manager.stop().await;
}

#[tokio::test]
async fn a_synthesized_start_may_be_a_zero_sample_too() {
    let options = ScrapeOptions { start_timestamp_zero_ingestion: true, ..synthesis() };
    let bench = Bench::start(page(100, 7), FAST, options).await;
    bench.scrape().await;
    let first_ms = bench.memory.lock().samples[&bench.series("up", &[])][0].0;
    bench.scrape_page(page(120, 7)).await;
    let stored = bench.memory.lock().samples[&bench.series("c_total", &[])].clone();
    assert_eq!(stored[0], (first_ms, "0".to_owned()));
    assert!(stored[1].1.ends_with(&format!("since {first_ms}")), "{stored:?}");
    assert_eq!(stored.iter().filter(|(t_ms, _)| *t_ms == first_ms).count(), 1);
    bench.manager.stop().await;
}

#[tokio::test]
async fn a_counter_that_vanished_begins_anew() {
    let bench = Bench::start(page(100, 7), FAST, synthesis()).await;
    bench.scrape().await;
    bench.scrape_page(page(110, 7)).await;
    bench.scrape_page(Page::text("# TYPE g gauge\ng 7\n")).await;
    let name = bench.series("c_total", &[]);
    assert_eq!(bench.memory.last(&name).unwrap(), "stale");
    bench.server.page.lock().body = page(500, 7).body;
    while bench.memory.last(&name).unwrap() == "stale" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(bench.memory.last(&name).unwrap().starts_with("0 since "));
    bench.manager.stop().await;
}
