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
/// What all queries may hold together.
const CAP_BYTES: u64 = 64 * MEBIBYTE;
/// What the process may take beyond that: threads with their stacks and caches, buffers of connections, pages of
/// the allocator that are in use in part.
const SLACK_BYTES: u64 = 32 * MEBIBYTE;
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
/// The same of queries that join or hold series first.
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
fn a_hundred_queries_beyond_the_memory_budget_stay_within_it() {
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
    for queries in [&STREAMED[..], &JOINED] {
        ask_at_once(&server, queries, end_ms);
        assert_small_queries_work(&server, end_ms);
        let grown = server.peak_memory_bytes().saturating_sub(before);
        assert!(grown < CAP_BYTES + SLACK_BYTES, "{queries:?}: grew by {} MiB", grown / MEBIBYTE);
    }
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

/// Series of each of two metrics that are joined.
const WIDE_SERIES: usize = 12_000;

/// Queries that hold series, groups, labels or tables of them.
const HOLDING: [&str; 16] = [
    "m * on (x) group_left (owner) info",
    "m + on (i) n",
    "m > bool on (i) group_right n",
    "m and on (i) n",
    "m or n",
    "m unless on (i) (n > 500)",
    "count_values(\"v\", m)",
    "label_replace(m, \"y\", \"$1\", \"path\", \"(.*)\")",
    "sort(m)",
    "topk(5000, m)",
    "topk by (i) (1, m)",
    "quantile by (i) (0.5, m)",
    "sum by (i) (m)",
    "-m or n * 2",
    "histogram_quantile(0.9, label_replace(m, \"le\", \"$1\", \"i\", \"(.*)\"))",
    "max_over_time((m + on (i) n)[30s:5s])",
];

/// Writes one sample of many series; returns its time.
fn write_wide(data: &Path) -> i64 {
    let db = tsdb::Db::open(data, tsdb::Options::default(), base::SystemClock::shared(), &Registry::new());
    let db = db.unwrap();
    let t_ms = base::SystemClock::new().now_ms();
    let mut appender = db.appender(&TenantId::default());
    let mut add = |pairs: &[(&str, &str)], value: f64| {
        let series = appender.resolve(&Labels::from_pairs(pairs.iter().copied())).unwrap();
        appender.append(series, 0, t_ms, SampleValue::Float(value)).unwrap();
    };
    for i in 0..WIDE_SERIES {
        let (number, x, path) = (i.to_string(), (i % 500).to_string(), format!("/api/v1/thing/{}", i % 50));
        for name in ["m", "n"] {
            let labels = [("__name__", name), ("i", &number), ("path", &path), ("region", "eu-1"), ("x", &x)];
            add(&labels, (i % 997) as f64);
        }
    }
    for x in 0..500 {
        add(&[("__name__", "info"), ("owner", &format!("team-{}", x % 7)), ("x", &x.to_string())], 1.0);
    }
    appender.commit().unwrap();
    db.close().unwrap();
    t_ms
}

#[test]
fn a_hundred_queries_that_fit_the_memory_budget_one_by_one_are_all_answered_within_it() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path(), CONFIG).flag("--query.max-memory=64MB");
    let t_ms = write_wide(&home.data);
    let server = home.start();
    let time = format!("{:.3}", t_ms as f64 / 1e3);
    let steady = server.memory_bytes();
    for round in 0..2 {
        for query in HOLDING {
            std::thread::scope(|scope| {
                let ask = || server.get_api("query", &[("query", query), ("time", &time)]);
                let asked: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
                for one in asked {
                    let (status, body) = one.join().unwrap();
                    assert_eq!(status, 200, "{query}: {body:.1000}");
                }
            });
            let grown = server.peak_memory_bytes().saturating_sub(steady);
            let told = format!("{query}, round {round}: grew by {} MiB", grown / MEBIBYTE);
            println!("{told}");
            assert!(grown < CAP_BYTES + SLACK_BYTES, "{told}");
        }
    }
    // One that is too large alone is not saved by waiting, and keeps no other from being answered.
    let (start, end) = (t_ms / 1000 + 1, t_ms / 1000 + 290);
    let params =
        [("query", "m or n"), ("start", &*start.to_string()), ("end", &end.to_string()), ("step", "1")];
    assert_refused(server.api("query_range", &params), "query.max-memory");
    assert_eq!(server.number("count(m)"), Some(WIDE_SERIES as f64));
}
