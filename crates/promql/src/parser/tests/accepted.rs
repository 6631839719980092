//! Queries that parse, and what they mean.

use crate::ast::*;
use crate::parser::{MAX_HEIGHT, MAX_NESTING, ParseOptions, parse, parse_selector};
use model::MatchOp;

fn ok(query: &str) -> Expr {
    parse(query, &ParseOptions::ALL).unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// The query with parentheses around every operation.
fn grouped(expr: &Expr) -> String {
    match expr {
        Expr::Binary(e) => format!("({} {} {})", grouped(&e.lhs), e.op, grouped(&e.rhs)),
        Expr::Unary(e) => format!("({}{})", e.op, grouped(&e.expr)),
        other => other.to_string(),
    }
}

#[test]
fn operators_bind_as_in_arithmetic() {
    for (query, meaning) in [
        ("a + b * c ^ d ^ e", "(a + (b * (c ^ (d ^ e))))"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b % c atan2 d", "(((a / b) % c) atan2 d)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a == b + c > d", "((a == (b + c)) > d)"),
        ("a </ 1 >/ 2", "((a </ 1) >/ 2)"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-a * b", "((-a) * b)"),
        ("-a + b", "((-a) + b)"),
        ("a ^ -b * c", "((a ^ (-b)) * c)"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
        ("- -1", "1"),
        ("2 - -1", "(2 - -1)"),
        ("a offset -2 ^ 2", "(a offset -2s ^ 2)"),
        ("a offset 5m + b", "(a offset 5m + b)"),
        ("a offset step() + b", "(a offset step() + b)"),
        ("a offset -(5m) + b", "(a offset -(5m) + b)"),
        ("a + b @ 5", "(a + b @ 5.000)"),
    ] {
        assert_eq!(grouped(&ok(query)), meaning, "{query}");
    }
}

#[test]
fn numbers_have_many_forms() {
    for (query, value) in [
        ("1", 1.0),
        ("+1", 1.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("5e-3", 0.005),
        ("1_000", 1000.0),
        ("0xFf", 255.0),
        ("0x1e", 30.0),
        ("0755", 493.0),
        ("08", 8.0),
        ("5m30s", 330.0),
        ("-1w", -604_800.0),
        ("Inf", f64::INFINITY),
        ("-iNf", f64::NEG_INFINITY),
    ] {
        let Expr::Number(literal) = ok(query) else { panic!("{query}") };
        assert_eq!(literal.value, value, "{query}");
    }
    let Expr::Number(nan) = ok("NaN") else { panic!() };
    assert!(nan.value.is_nan());
}

#[test]
fn keywords_are_metric_names_where_operands_stand() {
    for query in [
        "sum",
        "by",
        "offset",
        "fill",
        "fill_left",
        "fill + fill",
        "start",
        "end + end",
        "step",
        "range",
        "anchored",
        "smoothed",
        "min_of",
        "without",
        "topk",
        "and and and",
        "or or or",
        "limitk{a=\"b\"}",
        "foo:bar",
        ":x",
    ] {
        assert_eq!(ok(query).to_string(), query);
    }
    let Expr::Aggregate(sum) = ok("sum by (by, on, bool, offset, \"my.label\", a:b,) (x)") else { panic!() };
    assert_eq!(sum.grouping, ["by", "on", "bool", "offset", "my.label", "a:b"]);
}

#[test]
fn selectors_hold_conditions_and_modifiers() {
    let query = r#"foo{a="b", "c.d"!='e', f=~`g.*`, h!~"i",} @ -1.5 offset -1h30m"#;
    let Expr::Vector(selector) = ok(query) else { panic!() };
    assert_eq!(selector.name.as_deref(), Some("foo"));
    assert_eq!(selector.at, Some(AtModifier::Timestamp(-1500)));
    assert_eq!(selector.offset, DurationSpec::literal(-5_400_000));
    assert_eq!(selector.span.of(query), query);
    let ops: Vec<_> = selector.matchers.iter().map(|m| (m.name.as_str(), m.op)).collect();
    let (equal, not_equal) = (MatchOp::Equal, MatchOp::NotEqual);
    let expected = [
        ("a", equal),
        ("c.d", not_equal),
        ("f", MatchOp::Regex),
        ("h", MatchOp::NotRegex),
        ("__name__", equal),
    ];
    assert_eq!(ops, expected);

    let Expr::Vector(selector) = ok(r#"{"my metric", a="b"}"#) else { panic!() };
    assert_eq!(selector.name, None);
    assert_eq!(selector.matchers[0].value, "my metric");

    let Expr::Matrix(matrix) = ok("foo[5m] anchored @ end() offset 1.5") else { panic!() };
    assert_eq!(matrix.range.ms, 300_000);
    assert_eq!(matrix.selector.edges, RangeEdges::Anchored);
    assert_eq!(matrix.selector.at, Some(AtModifier::End));
    assert_eq!(matrix.selector.offset.ms, 1500);

    let Expr::Subquery(subquery) = ok("foo[1h:] @ start() offset 5m") else { panic!() };
    assert_eq!((subquery.range.ms, subquery.step.is_none()), (3_600_000, true));
    assert_eq!((subquery.at, subquery.offset.ms), (Some(AtModifier::Start), 300_000));
}

#[test]
fn matching_is_kept_between_vectors_only() {
    let Expr::Binary(binary) = ok("a == bool on (x, y) b") else { panic!() };
    assert!(binary.return_bool);
    let matching = |query: &str| match ok(query) {
        Expr::Binary(binary) => binary.matching,
        other => panic!("{other}"),
    };
    let many = matching("a * on (x) group_left (z) fill_right (-1) fill_left (2) b").unwrap();
    assert_eq!((many.on, many.cardinality), (true, Cardinality::ManyToOne));
    assert_eq!((many.labels, many.include), (vec!["x".to_owned()], vec!["z".to_owned()]));
    assert_eq!((many.fill_left, many.fill_right), (Some(2.0), Some(-1.0)));
    assert_eq!(matching("a and ignoring (x) b").unwrap().cardinality, Cardinality::ManyToMany);
    assert_eq!(matching("a + b").unwrap(), VectorMatching::default());
    assert_eq!(matching("a + 1"), None);
    assert_eq!(matching("1 + 1"), None);
}

#[test]
fn aggregations_take_grouping_before_or_behind() {
    for query in ["sum by (a) (x)", "sum(x) by (a)", "SUM(x) BY (a)"] {
        assert_eq!(ok(query).to_string(), "sum by (a) (x)");
    }
    let query = "(topk without () (3, x)) + 1";
    let Expr::Binary(binary) = ok(query) else { panic!() };
    let Expr::Aggregate(topk) = binary.lhs.unparen() else { panic!() };
    assert_eq!(topk.span.of(query), "topk without () (3, x)");
    assert_eq!(topk.param.as_ref().unwrap().to_string(), "3");
    assert!(topk.without && topk.grouping.is_empty());
}

#[test]
fn spans_cover_the_text_of_their_node() {
    let query = "sum by (job) (rate(a{b=\"c\"}[5m] offset 1m)) / -time()  # comment\n";
    let Expr::Binary(binary) = ok(query) else { panic!() };
    assert_eq!(binary.op_span.of(query), "/");
    assert_eq!(binary.lhs.span().of(query), "sum by (job) (rate(a{b=\"c\"}[5m] offset 1m))");
    assert_eq!(binary.rhs.span().of(query), "-time()");
    let Expr::Aggregate(sum) = &*binary.lhs else { panic!() };
    assert_eq!(sum.expr.span().of(query), "rate(a{b=\"c\"}[5m] offset 1m)");
    let Expr::Call(rate) = &*sum.expr else { panic!() };
    assert_eq!(rate.args[0].span().of(query), "a{b=\"c\"}[5m] offset 1m");
}

#[test]
fn the_selector_of_info_may_match_everything() {
    let Expr::Call(call) = ok("info(x, {a=~\".*\"})") else { panic!() };
    let Expr::Vector(selector) = &call.args[1] else { panic!() };
    assert!(selector.label_conditions_only);
}

#[test]
fn selectors_of_the_api_may_match_everything() {
    assert_eq!(parse_selector("up", &ParseOptions::default()).unwrap()[0].value, "up");
    assert_eq!(parse_selector("{}", &ParseOptions::default()).unwrap(), []);
    for bad in ["up[5m]", "up offset 5m", "sum(up)", "1", "", "up up"] {
        assert!(parse_selector(bad, &ParseOptions::default()).is_err(), "{bad}");
    }
}

#[test]
fn nesting_and_chains_are_bounded() {
    for (open, inner, close) in [("(", "1", ")"), ("-", "x", ""), ("abs(", "x", ")"), ("2 ^ ", "2", "")] {
        let nested = |depth: usize| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        parse(&nested(MAX_NESTING / 2 - 1), &ParseOptions::ALL).unwrap();
        let error = parse(&nested(100_000), &ParseOptions::ALL).unwrap_err();
        assert_eq!(error.message, format!("nested more than {MAX_NESTING} levels deep"), "{open}");
    }
    let chain = |operands: usize| vec!["x"; operands].join(" + ");
    parse(&chain(MAX_HEIGHT), &ParseOptions::ALL).unwrap();
    let error = parse(&chain(100_000), &ParseOptions::ALL).unwrap_err();
    assert_eq!(error.message, format!("more than {MAX_HEIGHT} operations depend on each other"));
    for hostile in [
        format!("x[{}1m{}]", "(".repeat(100_000), ")".repeat(100_000)),
        format!("x[{}1m]", "-".repeat(100_000)),
        format!("x[{}1m]", "1m + ".repeat(100_000)),
        format!("x offset {}1m", "min_of(1, ".repeat(100_000)),
        format!("x{}", "[5m:]".repeat(100_000)),
    ] {
        assert!(parse(&hostile, &ParseOptions::ALL).is_err());
    }
}
