//! How long a line takes to parse: new series, and series known from the scrape before.
#![allow(clippy::disallowed_methods, reason = "a measurement of real time")]

use std::time::Instant;

use wire::exposition::{NothingKnown, OpenMetricsParser, TextParser};
use wire::{Entry, Exposition, KnownSeries, ParseOptions};

const LINES: usize = 200_000;

/// Knows all series by position, as a collector does, but by the text itself.
struct InOrder<'a> {
    texts: &'a [Vec<u8>],
    at: usize,
}

impl KnownSeries for InOrder<'_> {
    fn known_len(&mut self, rest: &[u8]) -> usize {
        let text = &self.texts[self.at];
        self.at += 1;
        if rest.starts_with(text) { text.len() } else { 0 }
    }
}

fn body() -> String {
    let mut body = String::from("# TYPE http_requests_total counter\n");
    for i in 0..LINES {
        body += &format!(
            "http_requests_total{{method=\"GET\",handler=\"/api/v1/query_range\",instance=\"10.0.{}.{}:9090\",job=\"api-server\",status=\"200\",shard=\"{i}\"}} {}\n",
            i % 256,
            i % 250,
            i as f64 * 1.25
        );
    }
    body
}

fn run<P: Exposition>(mut parser: P, known: &mut impl KnownSeries) -> (usize, f64) {
    let (mut series, mut sum) = (0, 0.0);
    while let Some(entry) = parser.next(known).expect("a valid body") {
        if matches!(entry, Entry::Series | Entry::KnownSeries) {
            series += parser.series().len();
            sum += parser.value();
        }
    }
    (series, sum)
}

fn main() {
    let text = body();
    let open_metrics = format!("{text}# EOF\n");
    let texts: Vec<Vec<u8>> = text.lines().skip(1).map(|l| l[..l.rfind(' ').unwrap_or(0)].into()).collect();
    let options = ParseOptions::default();
    let report = |name: &str, work: &dyn Fn() -> (usize, f64)| {
        let best = (0..10).map(|_| {
            let start = Instant::now();
            std::hint::black_box(work());
            start.elapsed()
        });
        let best = best.min().unwrap_or_default();
        println!("{name:20} {:6.1} ns/line", best.as_nanos() as f64 / LINES as f64);
    };
    println!("{} bytes/line", text.len() / LINES);
    report("text, new", &|| run(TextParser::new(text.as_bytes(), &options), &mut NothingKnown));
    report("open metrics, new", &|| {
        run(OpenMetricsParser::new(open_metrics.as_bytes(), &options), &mut NothingKnown)
    });
    report("text, known", &|| {
        run(TextParser::new(text.as_bytes(), &options), &mut InOrder { texts: &texts, at: 0 })
    });
}
