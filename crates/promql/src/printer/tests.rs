use super::pretty::prettify_to_width;
use super::*;
use crate::parser::{ParseOptions, parse};

fn reprinted(query: &str) -> String {
    parse(query, &ParseOptions::ALL).unwrap_or_else(|error| panic!("{query}: {error}")).to_string()
}

#[test]
fn queries_are_written_in_one_way() {
    for (query, printed) in [
        ("sum(a)by(b)", "sum by (b) (a)"),
        ("sum by() (a)", "sum(a)"),
        ("sum without() (a)", "sum without () (a)"),
        ("topk(5,a)by(\"b c\")", "topk by (\"b c\") (5, a)"),
        ("count_values('x',a)", "count_values(\"x\", a)"),
        ("a+on(b)group_left()c", "a + on (b) group_left () c"),
        ("a+ignoring()c", "a + c"),
        ("a+on()c", "a + on () c"),
        ("a*ignoring(x)group_right(y)b", "a * ignoring (x) group_right (y) b"),
        ("a<=bool b", "a <= bool b"),
        ("a+fill(1)b", "a + fill (1) b"),
        ("a+fill_right(1e9)fill_left(-2)b", "a + fill_left (-2) fill_right (1e+09) b"),
        ("rate(a[300s]offset 90m)", "rate(a[5m] offset 1h30m)"),
        ("a[1h:300]@end()", "a[1h:5m] @ end()"),
        ("a[1h:]offset -5", "a[1h:] offset -5s"),
        ("a@1.23456", "a @ 1.235"),
        ("a smoothed offset 1d@start()", "a @ start() smoothed offset 1d"),
        ("a[5m]anchored@1", "a[5m] anchored @ 1.000"),
        ("a[5m*2+step()]", "a[5m * 2 + step()]"),
        ("a offset -(1m+max_of(step(),2))", "a offset -(1m + max_of(step(), 2))"),
        ("a[((1m))]", "a[(1m)]"),
        ("{a=\"b\",__name__=\"c\"}", "{__name__=\"c\",a=\"b\"}"),
        ("a{c=\"d\",\"x.y\"=\"\\n\"}", "a{\"x.y\"=\"\\n\",c=\"d\"}"),
        ("a{}", "a"),
        ("1e3 + -.5", "1000 + -0.5"),
        ("Inf - inf", "+Inf - +Inf"),
        ("-1h30m", "-1h30m"),
        ("- (a)", "-(a)"),
        ("'a\"b'", "\"a\\\"b\""),
        ("\"\\xff\\x41\"", "\"\\xffA\""),
        ("time ( )", "time()"),
    ] {
        assert_eq!(reprinted(query), printed, "{query}");
        assert_eq!(reprinted(printed), printed, "{printed}");
    }
}

#[test]
fn long_expressions_are_split_and_short_ones_are_not() {
    let expr =
        parse("sum by (a) (rate(foo[5m])) / -topk(3, (b offset 1h)) > bool on (x) c", &ParseOptions::ALL);
    let expr = expr.unwrap();
    assert_eq!(prettify(&expr), expr.to_string());
    let pretty = "    sum by (a) (
      rate(
        foo[5m]
      )
    )
  /
    -topk(
      3,
      (
        b offset 1h
      )
    )
> bool on (x)
  c";
    assert_eq!(prettify_to_width(&expr, 10), pretty);
    assert_eq!(parse(pretty, &ParseOptions::ALL).unwrap().to_string(), expr.to_string());
}
