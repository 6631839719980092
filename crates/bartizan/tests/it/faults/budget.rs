//! Queries that want more than they may have.

use std::path::Path;

use base::Clock;
use base::metrics::Registry;
use model::{Appendable, Labels, SampleValue, TenantId};

use super::server::{Home, Server};

const SERIES: usize = 4000;
const STEP_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const MEBIBYTE: u64 = 1 << 20;
const CONFIG: &str = "scrape_configs: []\n";

/// Writes an hour of samples; returns its end.
fn write(data: &Path) -> i64 {
    let db = tsdb::Db::open(data, tsdb::Options::default(), base::SystemClock::shared(), &Registry::new());
    let db = db.unwrap();
    let end_ms = base::SystemClock::new().now_ms() / HOUR_MS * HOUR_MS;
    let mut appender = db.appender(&TenantId::default());
    let labels = |i: usize| Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]);
    let series: Vec<_> = (0..SERIES).map(|i| appender.resolve(&labels(i)).unwrap()).collect();
    appender.commit().unwrap();
    for t_ms in (end_ms - HOUR_MS..end_ms).step_by(STEP_MS as usize) {
        let mut appender = db.appender(&TenantId::default());
        for (i, &series) in series.iter().enumerate() {
            let value = (t_ms / STEP_MS * (i as i64 + 7) % 1009) as f64;
            appender.append(series, 0, t_ms, SampleValue::Float(value)).unwrap();
        }
        appender.commit().unwrap();
    }
    db.close().unwrap();
    end_ms
}

/// Queries whose result alone would have 14 million values, and that evaluate series after series.
const STREAMED: [&str; 3] = ["rate(m[5m]) * 2", "m", "max_over_time(m[10m:1s])"];
/// The same of queries that join or hold series first. They are refused as well; how much memory the process
/// takes for many of them at once is not tested here.
const JOINED: [&str; 2] = ["m + on (i) m", "sum by (i) (m) > 0 or m"];

fn ask(server: &Server, query: &str, end_ms: i64) -> (u16, serde_json::Value) {
    let (start, end) = (((end_ms - HOUR_MS) / 1000).to_string(), (end_ms / 1000).to_string());
    let params = [("query", query), ("start", &*start), ("end", &*end), ("step", "1")];
    server.api("query_range", &params)
}

#[track_caller]
fn assert_refused((status, json): (u16, serde_json::Value), limit: &str) {
    assert_eq!(status, 422, "{json}");
    assert_eq!(json["errorType"], "execution");
    assert!(json["error"].as_str().unwrap().contains(limit), "{json}");
}

#[track_caller]
fn assert_small_queries_work(server: &Server, end_ms: i64) {
    let time = (end_ms / 1000).to_string();
    let (status, json) = server.api("query", &[("query", "m{i=\"7\"}"), ("time", &time)]);
    assert_eq!(status, 200, "{json}");
    assert_eq!(json["data"]["result"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hundred_streamed_queries_beyond_the_memory_budget_stay_within_it() {
    let dir = tempfile::tempdir().unwrap();
    let home =
        Home::new(dir.path(), CONFIG).flag("--query.max-memory=64MB").flag("--query.max-concurrency=20");
    let end_ms = write(&home.data);
    let server = home.start();
    assert_small_queries_work(&server, end_ms);
    let before = server.memory_bytes();
    for query in STREAMED {
        assert_refused(ask(&server, query, end_ms), "query.max-memory");
    }
    ask_at_once(&server, &STREAMED, end_ms);
    assert_small_queries_work(&server, end_ms);
    let grown = server.peak_memory_bytes().saturating_sub(before);
    // What the budget does not count: threads, buffers of single series, the allocator's own.
    assert!(grown < (64 + 64) * MEBIBYTE, "grew by {} MiB", grown / MEBIBYTE);

    ask_at_once(&server, &JOINED, end_ms);
    assert_small_queries_work(&server, end_ms);
}

/// Asks a hundred times at once.
fn ask_at_once(server: &Server, queries: &[&'static str], end_ms: i64) {
    std::thread::scope(|scope| {
        let queries = queries.iter().cycle().take(100);
        let asked: Vec<_> = queries.map(|query| scope.spawn(move || ask(server, query, end_ms))).collect();
        asked.into_iter().for_each(|one| assert_refused(one.join().unwrap(), "query.max-memory"));
    });
}

#[test]
fn a_query_of_too_many_samples_names_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), CONFIG).flag("--query.max-samples=10000");
    let end_ms = write(&home.data);
    let server = home.start();
    for query in STREAMED.into_iter().chain(JOINED) {
        assert_refused(ask(&server, query, end_ms), "query.max-samples");
    }
    let time = (end_ms / 1000).to_string();
    assert_refused(server.api("query", &[("query", "m[1h]"), ("time", &time)]), "query.max-samples");
    assert_small_queries_work(&server, end_ms);
}
