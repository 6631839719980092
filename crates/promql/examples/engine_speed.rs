//! How fast the engine itself is: queries over synthetic series that cost next to nothing to read.
//!
//! `cargo run --release -p promql --example engine_speed [series]`

use std::time::Duration;

use base::{Clock, SystemClock};
use model::{
    Exemplar, LabelRequest, Labels, Matcher, QueryContext, SampleColumns, SelectRequest, SeriesSet,
    SeriesSource, SourceError, TimeRange,
};
use promql::engine::{Engine, EngineOptions, QueryOptions};
use promql::parser::ParseOptions;

/// Milliseconds between samples.
const INTERVAL_MS: i64 = 15_000;

/// Series of counters that go up by their own rate.
struct Synthetic {
    labels: Vec<Labels>,
}

impl Synthetic {
    fn new(series: usize) -> Self {
        let label = |i: usize| {
            Labels::from_pairs([
                ("__name__", if i.is_multiple_of(10) { "limit" } else { "requests_total" }.to_owned()),
                ("cluster", format!("cluster-{}", i % 3)),
                ("instance", format!("10.0.{}.{}:9100", i / 250 % 250, i % 250)),
                ("job", format!("job-{}", i % 20)),
                ("le", format!("{}", 1 << (i / 20 % 10))),
                ("path", format!("/api/v1/resource/{}", i / 200)),
            ])
        };
        Self { labels: (0..series).map(label).collect() }
    }
}

struct Selected(Vec<(usize, Labels)>);

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0[i].1.clone()
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        _ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let rate = (self.0[i].0 % 100) as f64;
        let first = range.start_ms.div_euclid(INTERVAL_MS) + 1;
        let last = range.end_ms.div_euclid(INTERVAL_MS);
        for n in first..=last {
            out.push_float(n * INTERVAL_MS, n as f64 * rate);
        }
        Ok(())
    }

    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        _ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let n = range.end_ms.div_euclid(INTERVAL_MS);
        out.push_float(n * INTERVAL_MS, n as f64 * (self.0[i].0 % 100) as f64);
        Ok(())
    }
}

impl SeriesSource for Synthetic {
    fn select(
        &self,
        request: &SelectRequest,
        _ctx: &QueryContext,
    ) -> Result<Box<dyn SeriesSet>, SourceError> {
        let matches =
            |labels: &Labels| request.matchers.iter().all(|m| m.matches(labels.get_or_empty(&m.name)));
        let selected = self.labels.iter().enumerate().filter(|(_, labels)| matches(labels));
        Ok(Box::new(Selected(selected.map(|(i, labels)| (i, labels.clone())).collect())))
    }

    fn label_names(&self, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn exemplars(
        &self,
        _: TimeRange,
        _: &[Vec<Matcher>],
        _: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        Ok(Vec::new())
    }
}

/// A query and the number of its steps; an instant query has one.
const QUERIES: [(&str, i64); 14] = [
    ("count(requests_total)", 1),
    ("count by (job) (requests_total)", 1),
    ("count by (path) (requests_total)", 1),
    ("sum by (job) (rate(requests_total[5m]))", 1),
    ("sum by (job) (rate(requests_total[5m]))", 60),
    ("topk(10, requests_total)", 1),
    ("topk(10, rate(requests_total[5m]))", 60),
    ("histogram_quantile(0.9, sum by (le, job) (rate(requests_total[5m])))", 60),
    ("histogram_quantile(0.9, rate(requests_total[5m]))", 1),
    ("sum(requests_total / on (path) group_left max by (path) (limit))", 1),
    ("requests_total * 2", 1),
    ("max_over_time(sum by (job) (rate(requests_total[1m]))[30m:1m])", 1),
    ("sum(max_over_time(requests_total[1h]))", 1),
    ("sum by (job) (avg_over_time(requests_total[10m]))", 60),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let series = std::env::args().nth(1).map_or(Ok(1_000_000), |arg| arg.parse())?;
    let source = Synthetic::new(series);
    let options =
        EngineOptions { max_samples: u64::MAX, parse: ParseOptions::ALL, ..EngineOptions::default() };
    let engine = Engine::new(options);
    let clock = SystemClock::new();
    let ctx =
        QueryContext::new(SystemClock::shared(), Duration::from_secs(600), base::ByteBudget::unlimited());
    let end_ms = 100_000 * INTERVAL_MS;
    let only = std::env::args().nth(2);
    for (query, steps) in QUERIES {
        if only.as_ref().is_some_and(|only| !query.contains(only.as_str())) {
            continue;
        }
        let begin = clock.monotonic();
        let result = if steps == 1 {
            engine.instant(&source, query, end_ms, QueryOptions::default(), &ctx)?
        } else {
            let start_ms = end_ms - (steps - 1) * 60_000;
            engine.range(&source, query, start_ms, end_ms, 60_000, QueryOptions::default(), &ctx)?
        };
        let took = clock.monotonic() - begin;
        let per_series = took.as_nanos() as f64 / series as f64;
        let samples = result.stats.samples_read;
        println!(
            "{:9.1} ms {per_series:8.0} ns/series {samples:12} samples {steps:4} steps  {query}",
            took.as_secs_f64() * 1e3
        );
    }
    Ok(())
}
