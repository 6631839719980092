//! What is only there when it is switched on.

use bytes::Bytes;
use logql::ast::Expr;
use logql::engine::series::Values;
use logql::engine::{LineParams, Steps};
use logql::{Direction, Engine, Features, Limits};
use model::logs::{LogAppender, LogBatch, LogEntry, LogRange};
use model::{Labels, QueryContext, TenantId};
use testkit::logs::MemoryLogs;

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;

/// A line every ten seconds for an hour in each of two streams; `x` has one line more each minute that is a multiple of ten.
fn logs() -> MemoryLogs {
    let logs = MemoryLogs::default();
    for job in ["x", "y"] {
        let mut entries = Vec::new();
        for at in 0..360_i64 {
            let mut add = |timestamp_ns: i64, line: String| {
                entries.push(LogEntry { timestamp_ns, line: Bytes::from(line), metadata: Vec::new() });
            };
            add(at * 10 * SECOND_NS, format!("user=u{} n={at}", at % 7));
            if job == "x" && at % 60 == 0 {
                add(at * 10 * SECOND_NS + 1, format!("user=extra n={at}"));
            }
        }
        let batch = LogBatch { stream: Labels::from_pairs([("job", job)]), entries };
        logs.append(&TenantId::default(), vec![batch]).unwrap();
    }
    logs
}

/// Each series as `{labels} value at first step, at second, ...`.
fn series(query: &str, steps: Steps) -> Vec<String> {
    let logs = logs();
    let ctx = QueryContext::unbounded();
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let parsed = logql::parse_with(query, Features::ALL).unwrap_or_else(|error| panic!("{query}: {error}"));
    let again = logql::parse_with(&parsed.to_string(), Features::ALL).unwrap();
    assert_eq!(again.to_string(), parsed.to_string(), "{query} written back");
    let Expr::Metric(query) = parsed else { panic!("{query} computes series") };
    let Values::Series(series) = engine.series(&query, steps).unwrap().values else { panic!("series") };
    let shown = series.iter().map(|series| {
        let values: Vec<String> = series.samples.iter().map(|sample| sample.value.to_string()).collect();
        format!("{} {}", series.labels, values.join(" "))
    });
    shown.collect()
}

fn at(minute: i64) -> Steps {
    Steps::instant(minute * MINUTE_NS)
}

fn lines(query: &str, direction: Direction, limit: usize) -> Vec<String> {
    let logs = logs();
    let ctx = QueryContext::unbounded();
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let Expr::Log(query) = logql::parse_with(query, Features::ALL).unwrap() else { panic!("lines") };
    let range = LogRange { start_ns: 0, end_ns: 60 * MINUTE_NS };
    let params = LineParams { range, limit, direction, interval_ns: 0, categorize: false };
    let result = engine.lines(&query, &params).unwrap();
    let entries: usize = result.streams.iter().map(|(_, entries)| entries.len()).sum();
    assert_eq!(result.entries, entries);
    let mut lines: Vec<(i64, String)> = result
        .streams
        .iter()
        .flat_map(|(_, entries)| entries)
        .map(|entry| (entry.timestamp_ns, String::from_utf8(entry.line.to_vec()).unwrap()))
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn subqueries_are_functions_of_values_at_many_times() {
    let count = r#"count_over_time({job="x"}[1m])"#;
    // Six lines a minute; one more in windows that end at a multiple of ten minutes and a bit.
    assert_eq!(series(&format!("max_over_time({count}[30m:1m])"), at(30)), [r#"{job="x"} 7"#]);
    assert_eq!(series(&format!("min_over_time({count}[30m:])"), at(30)), [r#"{job="x"} 6"#]);
    assert_eq!(series(&format!("count_over_time({count}[30m:5m])"), at(30)), [r#"{job="x"} 6"#]);
    assert_eq!(series(&format!("quantile_over_time(0.5, {count}[30m:1m])"), at(30)), [r#"{job="x"} 6"#]);
    assert_eq!(series(&format!("sum(avg_over_time(({count})[10m:2m] offset 5m))"), at(35)).len(), 1);
    let nested = format!("max_over_time(max_over_time({count}[5m:1m])[20m:5m])");
    let steps = Steps { start_ns: 25 * MINUTE_NS, end_ns: 35 * MINUTE_NS, step_ns: 5 * MINUTE_NS };
    assert_eq!(series(&nested, steps), [r#"{job="x"} 7 7 7"#]);
    assert_eq!(series(r#"absent_over_time(count_over_time({job="z"}[1m])[5m:1m])"#, at(30)), ["{} 1"]);
    // Lines in parentheses are still lines.
    assert_eq!(series(r#"count_over_time(({job="x"} |= "extra")[1h])"#, at(60)).len(), 1);
}

#[test]
fn a_range_may_lie_at_a_fixed_time() {
    let steps = Steps { start_ns: 20 * MINUTE_NS, end_ns: 22 * MINUTE_NS, step_ns: MINUTE_NS };
    let query =
        |at: &str| series(&format!(r#"sum(count_over_time({{job="x"}} |= "extra" [2m] {at}))"#), steps);
    // A window does not hold its beginning, and the line is a nanosecond behind the first one.
    assert_eq!(query(""), ["{} 1 1"]);
    assert_eq!(query("@ 1201"), ["{} 1 1 1"]);
    assert_eq!(query("@ start() offset -1m"), ["{} 1 1 1"]);
    assert_eq!(query("offset 5m @ end()"), Vec::<String>::new());
    assert_eq!(query("@ 60"), ["{} 1 1 1"]);
    // Inside of a subquery the edges are those of the query.
    let inner = r#"count_over_time({job="x"}[1m] @ end())"#;
    assert_eq!(series(&format!("count_over_time({inner}[3m:1m])"), steps), [r#"{job="x"} 3 3 3"#]);
    assert_eq!(series(&format!("max_over_time({inner}[3m:1m] @ start())"), steps), [r#"{job="x"} 6 6 6"#]);
}

#[test]
fn values_are_counted() {
    let found = series(r#"count_values("lines", count_over_time({job=~"x|y"}[1h]))"#, at(60));
    assert_eq!(found, [r#"{lines="359"} 1"#, r#"{lines="365"} 1"#]);
    let found = series(r#"count_values by (job) ("n", count_over_time({job=~"x|y"}[10m]))"#, at(15));
    assert_eq!(found, [r#"{job="x", n="61"} 1"#, r#"{job="y", n="60"} 1"#]);
}

#[test]
fn of_equal_lines_the_first_one_is_taken() {
    let query = r#"{job="x"} | logfmt | distinct user"#;
    let first = lines(query, Direction::Forward, 100);
    assert_eq!(
        first,
        [
            "user=u0 n=0",
            "user=extra n=0",
            "user=u1 n=1",
            "user=u2 n=2",
            "user=u3 n=3",
            "user=u4 n=4",
            "user=u5 n=5",
            "user=u6 n=6"
        ]
    );
    let last = lines(query, Direction::Backward, 100);
    assert_eq!(last.len(), 8);
    assert_eq!((last[0].as_str(), last[7].as_str()), ("user=extra n=300", "user=u2 n=359"));
    assert_eq!(lines(query, Direction::Backward, 2), ["user=u1 n=358", "user=u2 n=359"]);
    assert_eq!(lines(r#"{job=~".+"} | logfmt | distinct user, job"#, Direction::Forward, 100).len(), 15);
    assert_eq!(lines(r#"{job="x"} | distinct none"#, Direction::Forward, 100), ["user=u0 n=0"]);
    assert_eq!(lines(query, Direction::Forward, 0), Vec::<String>::new());
}

#[test]
fn nothing_of_it_is_there_unless_it_is_switched_on() {
    for query in [
        r#"{job="x"} | distinct user"#,
        r#"max_over_time(rate({job="x"}[1m])[1h:5m])"#,
        r#"rate({job="x"}[1m] @ 5)"#,
        r#"count_values("a", rate({job="x"}[1m]))"#,
    ] {
        assert!(logql::parse(query).is_err(), "{query}");
        assert!(logql::parse_with(query, Features::ALL).is_ok(), "{query}");
    }
    for query in [
        r#"{job="x"} | distinct user | json"#,
        r#"{job="x"} | distinct"#,
        r#"count_over_time({job="x"} | distinct user [5m])"#,
        r#"rate(rate({job="x"}[1m])[1h:5m])"#,
        r#"max_over_time(rate({job="x"}[1m])[1h:5m:1m])"#,
        r#"max_over_time(5[1h:5m])"#,
        r#"rate({job="x"}[1m] @ now())"#,
        r#"rate({job="x"}[1m] @ 1e300)"#,
        r#"count_values("a-b", rate({job="x"}[1m]))"#,
        r#"count_values(5, rate({job="x"}[1m]))"#,
    ] {
        assert!(logql::parse_with(query, Features::ALL).is_err(), "{query}");
    }
}

#[test]
fn a_subquery_of_too_many_times_is_refused() {
    let logs = logs();
    let ctx = QueryContext::unbounded();
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    let query = r#"max_over_time(rate({job="x"}[1m])[1y:1s])"#;
    let Expr::Metric(query) = logql::parse_with(query, Features::ALL).unwrap() else { panic!("series") };
    let error = engine.series(&query, at(30)).unwrap_err().to_string();
    assert!(error.contains("longer step"), "{error}");
}
