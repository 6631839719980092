//! What the program sends by remote write: through a bad network, to real receivers, and to one that is down.
//!
//! In reading order: [`proxy`] (a bad network), [`chain`], [`peers`], [`down`], [`versions`], [`reload`].

mod chain;
mod down;
mod peers;
mod proxy;
mod reload;
mod versions;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::faults::target::{Target, respond};
use crate::peer::Api;

/// A target of this many counters, which go up with each scrape.
fn counters(series: usize) -> Target {
    let scrapes = Arc::new(AtomicU64::new(0));
    Target::start(move |stream, _| {
        let scrape = scrapes.fetch_add(1, Ordering::Relaxed);
        let mut body = String::from("# HELP requests_total All requests.\n# TYPE requests_total counter\n");
        for i in 0..series as u64 {
            writeln!(body, "requests_total{{path=\"/{i}\",code=\"{}\"}} {}", 200 + i % 3, scrape * i)
                .unwrap();
        }
        respond(stream, "", body.as_bytes());
    })
}

/// A configuration that scrapes `target` and sends all of it to `url`, in small requests without delay.
fn sending(target: SocketAddr, interval: &str, url: &str, more: &str) -> String {
    let scraping = crate::faults::target::config(target, interval);
    format!(
        "{scraping}remote_write:\n- url: {url}\n  name: next\n  remote_timeout: 5s\n  queue_config:\n    \
         batch_send_deadline: 50ms\n    max_samples_per_send: 100\n    capacity: 500\n    min_shards: 3\n    \
         max_shards: 3\n    min_backoff: 10ms\n    max_backoff: 100ms\n    retry_on_http_429: true\n{more}"
    )
}

/// All samples a selector finds, by labels.
fn samples(of: &impl Api, selector: &str, time: &str) -> BTreeMap<String, Value> {
    let json = of.json("query", &[("query", selector), ("time", time)]);
    let Some(found) = json["data"]["result"].as_array() else { return BTreeMap::new() };
    found.iter().map(|series| (series["metric"].to_string(), series["values"].clone())).collect()
}

/// Times and values of the samples of an answer.
fn pairs(values: &Value) -> Vec<(i64, f64)> {
    let pair = |pair: &Value| {
        let t_ms = (pair[0].as_f64().unwrap() * 1e3).round() as i64;
        (t_ms, pair[1].as_str().unwrap().parse().unwrap())
    };
    values.as_array().unwrap().iter().map(pair).collect()
}

/// Number of samples in all series.
fn count(samples: &BTreeMap<String, Value>) -> usize {
    samples.values().map(|values| values.as_array().map_or(0, Vec::len)).sum()
}

/// What one side has and the other does not, in a few words.
fn difference(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> String {
    let differing = a.iter().find(|(labels, values)| b.get(*labels) != Some(*values));
    let series = differing.map_or(String::new(), |(labels, values)| {
        let other = b.get(labels).map_or_else(|| "nothing".to_owned(), ToString::to_string);
        format!("; {labels}: {values}\nagainst {other}")
    });
    format!("{} samples of {} series against {} of {}{series}", count(a), a.len(), count(b), b.len())
}

/// The time now, in seconds.
fn now() -> String {
    use base::Clock;
    format!("{:.3}", base::SystemClock::new().now_ms() as f64 / 1e3)
}
