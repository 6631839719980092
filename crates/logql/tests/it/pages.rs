//! What is read of pages, and what is told without reading.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::SimClock;
use bytes::Bytes;
use logql::ast::Expr;
use logql::engine::series::{Series, Values};
use logql::engine::{LineParams, Steps};
use logql::{Direction, Engine, Limits, QueryError};
use model::logs::{
    LogAppender, LogBatch, LogColumns, LogEntry, LogRange, LogRequest, LogSource, Page, PageGroup,
    PageReader, StreamVolume,
};
use model::{Labels, Matcher, QueryContext, QueryStop, SourceError, TenantId};
use testkit::logs::MemoryLogs;

const SECOND: i64 = 1_000_000_000;

/// A line a second in two streams.
fn store(lines: i64) -> MemoryLogs {
    let logs = MemoryLogs::default();
    for app in ["a", "b"] {
        let entry = |n: i64| LogEntry {
            timestamp_ns: n * SECOND,
            line: Bytes::from(format!("n={n} app={app} took={}ms", n % 100)),
            metadata: vec![(Arc::from("trace"), Arc::from(format!("t{}", n % 3)))],
        };
        let batch =
            LogBatch { stream: Labels::from_pairs([("app", app)]), entries: (0..lines).map(entry).collect() };
        logs.append(&TenantId::default(), vec![batch]).unwrap();
    }
    logs
}

fn metric(text: &str) -> logql::ast::MetricExpr {
    match logql::parse(text).unwrap() {
        Expr::Metric(metric) => metric,
        Expr::Log(_) => panic!("{text} selects lines"),
    }
}

fn series(engine: &Engine<'_>, text: &str, steps: Steps) -> Vec<Series> {
    match engine.series(&metric(text), steps).unwrap().values {
        Values::Series(series) => series,
        Values::Scalar(value) => panic!("{text} is {value}"),
    }
}

#[test]
fn what_lies_in_one_window_is_counted_without_reading() {
    let (logs, ctx) = (store(2000), QueryContext::unbounded());
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let steps = Steps::instant(1999 * SECOND);
    let counted = series(&engine, "sum by (app) (count_over_time({app=~\".+\"}[1h]))", steps);
    assert_eq!(counted.iter().map(|series| series.samples[0].value).collect::<Vec<_>>(), [2000.0, 2000.0]);
    assert_eq!((engine.cost.summary().groups_found, engine.cost.summary().groups_read), (8, 0));
    // Metadata may be asked for by name, so that must be read.
    let by_trace = series(&engine, "sum by (trace) (count_over_time({app=\"a\"}[1h]))", steps);
    assert_eq!(by_trace.iter().map(|series| series.samples[0].value).sum::<f64>(), 2000.0);
    assert_eq!(engine.cost.summary().groups_read, 4);
}

#[test]
fn windows_that_overlap_count_each_line_in_each() {
    let (logs, ctx) = (store(300), QueryContext::unbounded());
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let steps = Steps { start_ns: 0, end_ns: 400 * SECOND, step_ns: 7 * SECOND };
    for text in [
        "sum by (app) (count_over_time({app=\"a\"}[60s]))",
        "sum by (app) (count_over_time({app=\"a\"} |= \"n=\" [60s]))",
        "sum by (app) (sum_over_time({app=\"a\"} | label_format one=\"1\" | unwrap one [60s]))",
    ] {
        let found = series(&engine, text, steps);
        for sample in &found[0].samples {
            let t = sample.timestamp_ns / SECOND;
            let expected = (0..300).filter(|n| t - 60 < *n && *n <= t).count() as f64;
            assert_eq!(sample.value, expected, "{text} at {t}");
        }
        assert_eq!(found[0].samples.len(), 52, "{text}");
    }
}

#[test]
fn the_newest_lines_are_found_without_reading_the_oldest() {
    let (logs, ctx) = (store(20_000), QueryContext::unbounded());
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let Expr::Log(query) = logql::parse("{app=\"a\"} | logfmt | took > 90ms").unwrap() else { panic!() };
    let params = LineParams {
        range: LogRange { start_ns: 0, end_ns: i64::MAX },
        limit: 3,
        direction: Direction::Backward,
        interval_ns: 0,
        categorize: false,
    };
    let found = engine.lines(&query, &params).unwrap();
    let mut lines: Vec<String> = found
        .streams
        .iter()
        .flat_map(|(_, entries)| {
            entries.iter().map(|entry| String::from_utf8_lossy(&entry.line).into_owned())
        })
        .collect();
    lines.sort();
    assert_eq!(lines, ["n=19997 app=a took=97ms", "n=19998 app=a took=98ms", "n=19999 app=a took=99ms"]);
    assert!(engine.cost.summary().groups_read < engine.cost.summary().groups_found);
}

#[test]
fn queries_stop_when_they_are_told_to_and_when_memory_is_short() {
    let logs = store(2000);
    let ctx = QueryContext::unbounded();
    ctx.cancel.cancel();
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let error =
        engine.series(&metric("sum(rate({app=\"a\"} |= \"x\" [5m]))"), Steps::instant(0)).unwrap_err();
    assert!(matches!(error, QueryError::Source(SourceError::Stopped(QueryStop::Canceled(_)))), "{error}");

    let budget = base::ByteBudget::new("query.max-memory", 10_000);
    let mut ctx = QueryContext::unbounded();
    ctx.budget = budget;
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let query = metric("sum_over_time({app=\"a\"} | logfmt | unwrap n [1h])");
    let error = engine.series(&query, Steps::instant(1999 * SECOND)).unwrap_err();
    assert!(error.to_string().contains("query.max-memory"), "{error}");
}

#[test]
fn too_many_series_are_refused() {
    let (logs, ctx) = (store(600), QueryContext::unbounded());
    let engine = Engine::new(&logs, Limits { max_series: 100, ..Limits::default() }, &ctx);
    let query = metric("count_over_time({app=\"a\"} | logfmt [1h])");
    let error = engine.series(&query, Steps::instant(599 * SECOND)).unwrap_err();
    assert!(error.to_string().starts_with("maximum number of series (100) reached"), "{error}");
    let total =
        series(&engine, "sum(count_over_time({app=\"a\"} | logfmt [1h]))", Steps::instant(599 * SECOND));
    assert_eq!(total[0].samples[0].value, 600.0);
}

/// Logs of which each page takes a second to read, and which note what is read.
struct Slow {
    logs: MemoryLogs,
    clock: Arc<SimClock>,
    read: Read,
}

type Read = Arc<Mutex<Vec<LogColumns>>>;

struct SlowPage {
    inner: Arc<dyn PageReader>,
    clock: Arc<SimClock>,
    read: Read,
}

impl PageReader for SlowPage {
    fn read(&self, columns: LogColumns, ctx: &QueryContext) -> Result<Page, SourceError> {
        self.clock.advance(Duration::from_secs(1));
        self.read.lock().unwrap().push(columns);
        self.inner.read(columns, ctx)
    }
}

impl LogSource for Slow {
    fn select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError> {
        let slow = |group: PageGroup| PageGroup {
            reader: Arc::new(SlowPage {
                inner: group.reader.clone(),
                clock: self.clock.clone(),
                read: self.read.clone(),
            }),
            ..group
        };
        // Groups reach beyond the range, as those of objects do.
        let everything = LogRange { start_ns: i64::MIN, end_ns: i64::MAX };
        let mut groups = self.logs.select(&LogRequest { range: everything, ..request.clone() }, ctx)?;
        groups.retain(|group| group.runs.iter().any(|run| request.range.overlaps(run.first_ns, run.last_ns)));
        Ok(groups.into_iter().map(slow).collect())
    }

    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError> {
        self.logs.streams(range, matcher_sets, ctx)
    }

    fn volumes(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SourceError> {
        self.logs.volumes(range, matchers, ctx)
    }
}

#[test]
fn what_was_found_in_time_is_told_without_gaps_and_that_it_is_not_all() {
    let clock = SimClock::at(0);
    let slow = Slow { logs: store(50_000), clock: clock.clone(), read: Read::default() };
    let Expr::Log(query) = logql::parse("{app=\"a\"} |= \"took=7ms\"").unwrap() else { panic!() };
    let ask = |seconds: u64, direction: Direction| {
        let budget = base::ByteBudget::unlimited();
        let ctx = QueryContext::new(clock.clone(), Duration::from_secs(seconds), budget);
        let engine = Engine::new(&slow, Limits::default(), &ctx);
        let range = LogRange { start_ns: 0, end_ns: i64::MAX };
        let params = LineParams { range, limit: 5000, direction, interval_ns: 0, categorize: false };
        let found = engine.lines(&query, &params)?;
        let entries = found.streams.iter().flat_map(|(_, entries)| entries);
        let mut seconds: Vec<i64> = entries.map(|entry| entry.timestamp_ns / SECOND).collect();
        seconds.sort_unstable();
        Ok::<_, QueryError>((seconds, ctx.take_warnings()))
    };
    let all: Vec<i64> = (0..50_000).filter(|n| n % 100 == 7).collect();
    assert_eq!(ask(1000, Direction::Forward).unwrap(), (all.clone(), Vec::new()));
    let (found, warnings) = ask(50, Direction::Forward).unwrap();
    assert!(found.len() > 10 && found.len() < all.len() && all.starts_with(&found), "{found:?}");
    assert!(warnings[0].contains("timed out") && warnings[0].contains("entries after"), "{warnings:?}");
    let (found, warnings) = ask(50, Direction::Backward).unwrap();
    assert!(found.len() > 10 && found.len() < all.len() && all.ends_with(&found), "{found:?}");
    assert!(warnings[0].contains("entries before"), "{warnings:?}");
    let error = ask(0, Direction::Forward).unwrap_err();
    assert!(matches!(error, QueryError::Source(SourceError::Stopped(QueryStop::Timeout(_)))), "{error}");
}

#[test]
fn times_of_lines_are_read_only_where_they_are_needed() {
    let read = Read::default();
    let slow = Slow { logs: store(2000), clock: SimClock::at(0), read: read.clone() };
    let ctx = QueryContext::unbounded();
    let engine = Engine::new(&slow, Limits::default(), &ctx);
    // How many groups were read for a query over the last of the lines, and of how many the times.
    let count = |filter: &str, range: &str| {
        read.lock().unwrap().clear();
        let query = format!("sum(count_over_time({{app=\"a\"}} {filter} [{range}]))");
        let found = series(&engine, &query, Steps::instant(1999 * SECOND));
        let lines = found.first().map_or(0.0, |series| series.samples[0].value);
        let read = read.lock().unwrap();
        let with = |wanted: fn(&LogColumns) -> bool| read.iter().filter(|columns| wanted(columns)).count();
        (lines, with(|columns| columns.lines), with(|columns| columns.timestamps))
    };
    assert_eq!(count("|= \"nowhere\"", "1h"), (0.0, 4, 0));
    assert_eq!(count("|= \"n=1999 \"", "1h"), (1.0, 4, 1));
    // The range begins inside the first group it reaches into.
    assert_eq!(count("|= \"nowhere\"", "900s"), (0.0, 2, 1));
    assert_eq!(count("|= \"took=7ms\"", "900s"), (9.0, 2, 2));
}

#[test]
fn ranges_at_a_fixed_time_do_not_reach_further_back_than_is_allowed() {
    let (logs, ctx) = (store(600), QueryContext::unbounded());
    let limits = Limits { oldest_ns: 300 * SECOND, ..Limits::default() };
    let engine = Engine::new(&logs, limits, &ctx);
    let count = |text: &str| {
        let Expr::Metric(query) = logql::parse_with(text, logql::Features::ALL).unwrap() else { panic!() };
        let Values::Series(series) = engine.series(&query, Steps::instant(599 * SECOND)).unwrap().values
        else {
            panic!()
        };
        series.first().map(|series| series.samples[0].value)
    };
    for filter in ["", "|= \"n=\"", "| label_format x=\"y\""] {
        let by_app = |range: &str| format!("sum by (app) (count_over_time({{app=\"a\"}} {filter} {range}))");
        assert_eq!(count(&by_app("[1h]")), Some(300.0), "{filter}");
        assert_eq!(count(&by_app("[1h] @ 350")), Some(51.0), "{filter}");
        assert_eq!(count(&by_app("[1h] @ 299")), None, "{filter}");
        assert_eq!(count(&by_app("[1h] offset 300s")), None, "{filter}");
    }
}
