//! Texts that mean harm: queries and lines.

use std::sync::Arc;

use bytes::Bytes;
use logql::ast::Expr;
use logql::engine::{LineParams, Steps};
use logql::{Direction, Engine, Limits};
use model::logs::{LogAppender, LogBatch, LogEntry, LogRange};
use model::{Labels, QueryContext, TenantId};
use proptest::prelude::*;
use testkit::logs::MemoryLogs;

const QUERIES: [&str; 12] = [
    r#"{a="b"} | json"#,
    r#"{a="b"} | json x="a.b[0]", y="[\"c d\"]""#,
    r#"{a="b"} | logfmt --strict --keep-empty"#,
    r#"{a="b"} | logfmt x="y""#,
    r#"{a="b"} | unpack"#,
    r#"{a="b"} | decolorize |= "x""#,
    r#"{a="b"} | pattern "<x> <_> <y>""#,
    r#"{a="b"} | regexp "(?P<x>.*)=(?P<y>.*)""#,
    r#"{a="b"} |= ip("10.0.0.0/8") or "x" != ip("::/0")"#,
    r#"{a="b"} |> "<_> x <_>" !~ "(a|b)+""#,
    r#"{a="b"} | line_format "{{ __line__ | fromJson }}{{ alignLeft 5 __line__ }}" | label_format z="{{ .x | trunc 3 | upper }}""#,
    r#"{a="b"} | logfmt | x > 5 or y < 5s or z = 5KB | keep x | drop y"#,
];

fn run(line: &[u8], query: &str) {
    let logs = MemoryLogs::default();
    let entry = LogEntry {
        timestamp_ns: 1,
        line: Bytes::copy_from_slice(line),
        metadata: vec![(Arc::from("m"), Arc::from("v"))],
    };
    let batch = LogBatch { stream: Labels::from_pairs([("a", "b")]), entries: vec![entry] };
    logs.append(&TenantId::default(), vec![batch]).unwrap();
    let ctx = QueryContext::unbounded();
    let engine = Engine::new(&logs, Limits::default(), &ctx);
    match logql::parse(query).unwrap() {
        Expr::Log(query) => {
            let params = LineParams {
                range: LogRange { start_ns: 0, end_ns: 10 },
                limit: 10,
                direction: Direction::Forward,
                interval_ns: 0,
                categorize: true,
            };
            engine.lines(&query, &params).unwrap();
        }
        Expr::Metric(query) => drop(engine.series(&query, Steps::instant(5))),
    }
}

#[test]
fn lines_that_mean_harm_are_lines() {
    let deep = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    let lists = format!("{{\"a\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let wide: String = (0..20_000).map(|n| format!("k{n}=v ")).collect();
    for query in QUERIES {
        for line in [
            &deep,
            &lists,
            &wide,
            "\u{0}\"=\\\"{",
            "{\"a\":\"\\ud800\\u\"}",
            "\u{1b}[\u{1b}[1;31m\u{1b}",
            "=",
        ] {
            run(line.as_bytes(), query);
        }
        run(&[0xff, b'=', 0xfe, b'"', 0x80], query);
    }
}

#[test]
fn queries_that_nest_too_deep_are_refused() {
    for text in [
        "(".repeat(50_000),
        format!("{{a=\"b\"}} | {}", "(".repeat(50_000)),
        format!("count_over_time({}", "(".repeat(50_000)),
        "sum(".repeat(30_000),
        "1^".repeat(40_000),
        format!("1{}", "+1".repeat(40_000)),
        format!("{{a=\"b\"}} |= \"x\"{}", " or \"y\"".repeat(10_000)),
        format!("{{a=\"b\"}}{}", "|= \"x\"".repeat(10_000)),
        "x".repeat(1 << 20),
    ] {
        drop(logql::parse(&text));
    }
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_an_error(text in "\\PC{0,60}") {
        if let Ok(query) = logql::parse(&text) {
            prop_assert!(logql::parse(&query.to_string()).is_ok(), "{query}");
        }
    }

    #[test]
    fn pieces_of_queries_in_any_order_do_no_harm(pieces in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "a", "=", "=~", "\"b\"", "`.+`", "|", "|=", "!~", "json", "logfmt", "unwrap", "[5m]", "sum", "rate", "(", ")",
        "by", ",", "5", "5s", "5KB", "offset", "or", "and", "-", "ip", "topk", "label_format", "keep", "{a=\"b\"}", "vector", "> bool",
        "on", "group_left", "#", "\n", "quantile_over_time", "'", "drop", "--strict",
    ]), 0..14)) {
        let text = pieces.join(" ");
        if let Ok(query) = logql::parse(&text) {
            let written = query.to_string();
            let again = logql::parse(&written);
            prop_assert!(again.is_ok(), "{text} -> {written}: {again:?}");
            prop_assert_eq!(again.map(|query| query.to_string()).unwrap_or_default(), written);
        }
    }

    #[test]
    fn any_line_passes_any_parser(line in prop::collection::vec(any::<u8>(), 0..80), query in prop::sample::select(QUERIES.to_vec())) {
        run(&line, query);
    }

    #[test]
    fn broken_json_and_logfmt_do_no_harm(line in "[{}\\[\\]\",:=\\\\ a1ntu]{0,40}", query in prop::sample::select(QUERIES.to_vec())) {
        run(line.as_bytes(), query);
    }
}

#[test]
fn what_fuzzing_begins_with_is_understood_and_what_is_near_to_it_does_no_harm() {
    for (name, seed) in testkit::seeds::of("logql") {
        let text = String::from_utf8(seed).unwrap();
        let query = logql::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let printed = logql::format::pretty(&query);
        assert_eq!(logql::format::pretty(&logql::parse(&printed).unwrap()), printed, "{name}");
        for near in testkit::seeds::near(text.as_bytes(), 300) {
            let _ = logql::parse_with(&String::from_utf8_lossy(&near), logql::Features::ALL);
        }
    }
    for (_, seed) in testkit::seeds::of("log_stages") {
        let cut = seed.iter().position(|byte| *byte == b'\n').unwrap();
        let own = format!("{{a=\"b\"}} {}", std::str::from_utf8(&seed[..cut]).unwrap());
        run(&seed[cut + 1..], &own);
        for near in testkit::seeds::near(&seed[cut + 1..], 100) {
            QUERIES.iter().copied().chain([own.as_str()]).for_each(|query| run(&near, query));
        }
    }
}
