use super::*;
use crate::promql::engine::script_options;
use crate::promql::storage::InMemory;
use promql::engine::Engine;

fn run(text: &str) -> Report {
    run_text("x.test", text, &InMemory, &Engine::new(script_options()))
}

fn only_failure(text: &str) -> String {
    let report = run(text);
    assert_eq!((report.passed, report.failed.len()), (0, 1), "{report:?}");
    report.failed[0].to_string()
}

#[test]
fn scripts_load_evaluate_and_clear() {
    let report = run(r#"
# A comment.
load 1m
  up{job="a"} 1 1 0
  up{job="b"} 1+0x2

eval instant at 2m up
  up{job="a"} 0
  up{job="b"} 1

eval range from 0 to 2m step 1m sum(up)
  {} 2 2 1

eval instant at 1m time()
  60

eval instant at 0 ("text")
  expect string "text"

eval instant at 1m up{job="a"}[2m]
  expect range vector from 0 to 1m step 1m
  up{job="a"} 1 1

eval_ordered instant at 2m sort_desc(up)
  up{job="b"} 1
  up{job="a"} 0

clear

eval instant at 2m up
"#);
    assert_eq!(report.failed, []);
    assert_eq!(report.passed, 7);
    assert_eq!(report.to_string(), "7 passed, 0 failed");
}

#[test]
fn failures_name_file_and_line() {
    let load = "load 1m\n  up 1 2\n\n";
    for (eval, message) in [
        (
            "eval instant at 1m up\n  up 3",
            "x.test:4: up at 60000 ms: expected 3 for {__name__=\"up\"} but got 2",
        ),
        (
            "eval instant at 1m up",
            "x.test:4: up at 60000 ms: unexpected metric {__name__=\"up\"} in result, has value 2",
        ),
        (
            "eval instant at 1m up\n  up 2\n  down 1",
            "x.test:4: up at 60000 ms: expected metric {__name__=\"down\"} not found",
        ),
        (
            "eval range from 0 to 1m step 1m up\n  up 1",
            "x.test:4: up: expected 1 points, but got 2 for {__name__=\"up\"} (result has 1 @[0] 2 @[60000])",
        ),
        ("eval instant at 1m 1\n  2", "x.test:4: 1 at 60000 ms: expected scalar 2 but got 1"),
        ("eval instant at 1m up\n  expect fail", " at 60000 ms: up: expected an error but got none"),
        ("eval instant at 1m up\n  expect warn\n  up 2", "expected warn annotations but none were found"),
    ] {
        let failure = only_failure(&format!("{load}{eval}"));
        assert!(failure.ends_with(message) && failure.starts_with("x.test:4: "), "{failure}");
    }
}

#[test]
fn malformed_scripts_are_not_run() {
    for (text, message) in [
        ("laod 1m", "x.test:1: invalid command \"laod 1m\""),
        ("load 1x\n", "x.test:1: invalid step definition \"1x\": unknown unit \"x\" in duration \"1x\""),
        ("\neval instant at 1m sum(\n", "x.test:2: 2:24: parse error: unclosed left parenthesis"),
        ("load 1m\n  up 1\n  up{ 2\n", "x.test:3: 1:5: parse error: unexpected character inside braces: '2'"),
        (
            "eval instant at 0 up\n  expect nothing\n",
            "x.test:2: invalid expect statement, must match `expect <type> <match_type>: <string>` format",
        ),
        (
            "eval instant at 0 up\n  expect info\n  expect no_info\n",
            "x.test:3: invalid expect lines, info and no_info cannot be used together",
        ),
    ] {
        assert_eq!(only_failure(text), message);
    }
}

#[test]
fn queries_of_the_current_time_are_not_pinned() {
    let pinned = |query: &str| {
        let expr = promql::parser::parse(query, &promql::parser::ParseOptions::ALL).unwrap();
        pin_to(&expr, 5000).map(|expr| expr.to_string())
    };
    assert_eq!(pinned("sum(x) + rate(y[5m:1m])").as_deref(), Some("sum(x @ 5.000) + rate(y[5m:1m] @ 5.000)"));
    assert_eq!(pinned("rate(x[1m] @ 7)").as_deref(), Some("rate(x[1m] @ 7.000)"));
    assert_eq!(pinned("x + time()"), None);
}
