//! Queries that do not parse, and what is said about them.

use crate::parser::{ParseOptions, parse};

fn error_with(query: &str, options: &ParseOptions) -> String {
    match parse(query, options) {
        Ok(expr) => panic!("{query} is accepted as {expr}"),
        Err(error) => error.to_string().replace("parse error: ", ""),
    }
}

fn assert_errors(cases: &[(&str, &str)]) {
    for (query, message) in cases {
        assert_eq!(error_with(query, &ParseOptions::ALL), *message, "{query}");
    }
}

#[test]
fn words_that_cannot_stand_where_they_do() {
    assert_errors(&[
        ("", "unknown position: no expression found in input"),
        ("  # nothing\n", "1:1: no expression found in input"),
        ("1 +", "1:4: unexpected end of input"),
        ("1 + + ", "1:7: unexpected end of input"),
        ("*1", "1:1: unexpected <op:*>"),
        ("foo bar", "1:5: unexpected identifier \"bar\""),
        ("foo:a bar:b", "1:7: unexpected metric identifier \"bar:b\""),
        ("foo\n  by", "2:3: unexpected <by>"),
        ("foo 1m", "1:5: unexpected duration \"1m\""),
        ("foo \"a long string\"", "1:5: unexpected string \"\\\"a long st\"..."),
        ("foo,", "1:4: unexpected \",\""),
        ("sum(foo bar)", "1:9: unexpected identifier \"bar\" in aggregation"),
        ("sum(rate(foo[5m] sum))", "1:18: unexpected <aggr:sum> in aggregation"),
        ("sum(foo) without (a) by (b)", "1:22: unexpected <by>"),
        ("rate(foo bar)", "1:10: unexpected identifier \"bar\""),
        ("rate(foo,)", "1:9: trailing commas not allowed in function call args"),
        ("a + group_left b", "1:5: unexpected <group_left>"),
        ("a + on b", "1:8: unexpected identifier \"b\" in grouping opts, expected \"(\""),
        ("sum by (a b) (x)", "1:11: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""),
        ("sum by (1) (x)", "1:9: unexpected number \"1\" in grouping opts, expected label"),
        ("sum by (without) (x)", "1:9: unexpected <without> in grouping opts, expected label"),
        ("sum by (\"\") (x)", "1:9: invalid label name for grouping: \"\""),
        ("a + fill(b) c", "1:10: unexpected identifier \"b\""),
    ]);
}

#[test]
fn selectors() {
    assert_errors(&[
        ("foo{a}", "1:6: unexpected \"}\" in label matching, expected label matching operator"),
        ("foo{a=}", "1:7: unexpected \"}\" in label matching, expected string"),
        ("foo{a=b}", "1:7: unexpected identifier \"b\" in label matching, expected string"),
        (
            "foo{a=\"b\" c=\"d\"}",
            "1:11: unexpected identifier \"c\" in label matching, expected \",\" or \"}\"",
        ),
        ("foo{,}", "1:5: unexpected \",\" in label matching, expected identifier or \"}\""),
        ("foo{a=\"b\"", "1:10: unexpected end of input inside braces"),
        ("foo{1}", "1:5: unexpected character inside braces: '1'"),
        ("foo{a!b}", "1:6: unexpected character after '!' inside braces: 'b'"),
        ("foo{{", "1:5: unexpected left brace '{'"),
        ("{}", "1:1: vector selector must contain at least one non-empty matcher"),
        ("sum({a=~\".*\"})", "1:5: vector selector must contain at least one non-empty matcher"),
        ("foo{__name__=\"bar\"}", "1:1: metric name must not be set twice: \"foo\" or \"bar\""),
        (
            "foo offset",
            "1:11: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        (
            "foo offset bar",
            "1:12: unexpected identifier \"bar\" in offset, expected number, duration, step(), or range()",
        ),
        ("foo offset 1m offset 2m", "1:1: offset may not be set multiple times"),
        (
            "1 offset 1m",
            "1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("foo @", "1:6: unexpected end of input in @, expected timestamp"),
        ("foo @ start", "1:12: unexpected end of input in @, expected timestamp"),
        ("foo @ NaN", "1:1: timestamp out of bounds for @ modifier: NaN"),
        ("foo @ 1 @ 2", "1:1: @ <timestamp> may not be set multiple times"),
        (
            "sum(foo) @ 1",
            "1:1: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("foo anchored smoothed", "1:1: anchored and smoothed modifiers cannot be used together"),
        ("foo[5m:] smoothed", "1:1: smoothed modifier is not supported for subqueries"),
        ("1 anchored", "1:1: anchored modifier not implemented"),
    ]);
}

#[test]
fn ranges() {
    assert_errors(&[
        ("foo[", "1:5: unexpected end of input in duration expression"),
        (
            "foo[]",
            "1:5: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("foo[0m]", "1:5: duration must be greater than 0"),
        ("foo[-5m]", "1:5: duration must be greater than 0"),
        ("foo[5m", "1:7: unclosed left bracket"),
        ("foo[5mm]", "1:5: bad number or duration syntax: \"5mm\""),
        ("foo[5s5m]", "1:5: not a valid duration string: \"5s5m\""),
        ("foo[5y1hs]", "1:5: unknown unit \"hs\" in duration \"5y1hs\""),
        ("foo[300y]", "1:5: duration out of range"),
        ("foo[x]", "1:5: unexpected character in duration expression: 'x'"),
        ("foo[5m x]", "1:8: unexpected character: 'x', expected ':'"),
        ("foo[:5m]", "1:6: unexpected colon before duration in duration expression"),
        ("foo[5m:5m:5m]", "1:10: unexpected colon ':'"),
        ("foo[5m:x]", "1:8: unexpected character: 'x', expected ':'"),
        (
            "foo[5m:,]",
            "1:8: unexpected \",\" in subquery selector, expected number, duration, step(), range(), or \"]\"",
        ),
        ("foo[5m:1m,]", "1:10: unexpected \",\" in subquery selector, expected \"]\""),
        ("foo[5m,]", "1:7: unexpected \",\" in subquery or range, expected \":\" or \"]\""),
        ("foo[5m][5m]", "1:8: ranges only allowed for vector selectors"),
        ("(foo)[5m]", "1:6: ranges only allowed for vector selectors"),
        ("foo offset 1m [5m]", "1:15: no offset modifiers allowed before range"),
        ("foo @ 1 [5m]", "1:9: no @ modifiers allowed before range"),
        ("foo[5m / 0]", "1:8: division by zero"),
        ("foo[5m % 0s]", "1:8: modulo by zero"),
    ]);
}

#[test]
fn characters_and_literals() {
    assert_errors(&[
        ("a $ b", "1:3: unexpected character: '$'"),
        ("(a", "1:3: unclosed left parenthesis"),
        ("a)", "1:3: unexpected right parenthesis ')'"),
        ("a]", "1:2: unexpected right bracket ']'"),
        ("a =~ b", "1:3: unexpected character after '=': '~'"),
        ("a ! b", "1:3: unexpected character after '!': ' '"),
        ("a = b", "1:3: unexpected \"=\""),
        ("\"abc", "1:1: unterminated quoted string"),
        ("`abc", "1:1: unterminated raw string"),
        ("\"\\q\"", "1:1: unknown escape sequence U+0071 'q'"),
        ("\"\\xg1\"", "1:1: illegal character U+0067 'g' in escape sequence"),
        ("'\\u12", "1:1: escape sequence not terminated"),
        ("\"\\ud800\"", "1:1: escape sequence is an invalid Unicode code point"),
        ("1..2", "1:1: bad number or duration syntax: \"1..\""),
        ("1_", "1:1: bad number or duration syntax: \"1_\""),
        ("0x", "1:1: error parsing number: strconv.ParseFloat: parsing \"0x\": invalid syntax"),
        ("1e999", "1:1: error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range"),
    ]);
}

#[test]
fn types() {
    assert_errors(&[
        ("foo()", "1:1: unknown function with name \"foo\""),
        ("Rate(x[5m])", "1:1: unknown function with name \"Rate\""),
        ("rate()", "1:1: expected 1 argument(s) in call to \"rate\", got 0"),
        ("label_join(x)", "1:1: expected at least 3 argument(s) in call to \"label_join\", got 1"),
        ("round(x, 1, 2)", "1:1: expected at most 2 argument(s) in call to \"round\", got 3"),
        ("rate(x)", "1:6: expected type range vector in call to function \"rate\", got instant vector"),
        ("abs(x[5m])", "1:5: expected type instant vector in call to function \"abs\", got range vector"),
        (
            "label_join(x, \"a\", \"b\", 1)",
            "1:25: expected type string in call to function \"label_join\", got scalar",
        ),
        ("sum()", "1:1: no arguments for aggregate expression provided"),
        ("sum(a, b)", "1:1: wrong number of arguments for aggregate expression provided, expected 1, got 2"),
        ("topk(a)", "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("sum(x[5m])", "1:5: expected type instant vector in aggregation expression, got range vector"),
        ("topk(\"a\", x)", "1:6: expected type scalar in aggregation parameter, got string"),
        ("count_values(1, x)", "1:14: expected type string in aggregation parameter, got scalar"),
        (
            "-\"a\"",
            "1:1: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        ("1[5m:]", "1:1: subquery is only allowed on instant vector, got scalar instead"),
        ("1 == 1", "1:3: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: bool modifier can only be used on comparison operators"),
        ("1 and a", "1:1: set operator \"and\" not allowed in binary scalar expression"),
        ("a and on (x) group_left (y) b", "1:1: no grouping allowed for \"and\" operation"),
        ("a + on (x) 1", "1:1: vector matching only allowed between instant vectors"),
        ("a + fill (1) 2", "1:1: filling in missing series only allowed between instant vectors"),
        ("a or fill (1) b", "1:1: filling in missing series not allowed for set operators"),
        ("a + on (x) group_left (x) b", "1:3: label \"x\" must not occur in ON and GROUP clause at once"),
        ("a[5m] + b", "1:1: binary expression must contain only scalar and instant vector types"),
        ("a + \"b\"", "1:5: binary expression must contain only scalar and instant vector types"),
        ("info(a, b)", "1:9: expected label selectors only, got vector selector instead"),
        ("info(a, sum({x=\"y\"}))", "1:9: expected label selectors only"),
    ]);
}

#[test]
fn experimental_parts_are_refused_unless_enabled() {
    let feature = "--enable-feature=promql-experimental-functions";
    for (query, message) in [
        ("mad_over_time(x[5m])", "1:1: function \"mad_over_time\" is not enabled".to_owned()),
        ("step()", "1:1: function \"step\" is not enabled".to_owned()),
        ("limitk(1, x)", format!("1:1: limitk() is experimental and must be enabled with {feature}")),
        ("x[5m + 1m]", "1:3: experimental duration expression is not enabled".to_owned()),
        ("x[step()]", "1:3: experimental duration expression is not enabled".to_owned()),
        ("x offset (5m)", "1:11: experimental duration expression is not enabled".to_owned()),
        ("x smoothed", "1:1: smoothed modifier is experimental and not enabled".to_owned()),
        ("a + fill (1) b", "1:1: binop fill modifiers are experimental and not enabled".to_owned()),
    ] {
        assert_eq!(error_with(query, &ParseOptions::default()), message, "{query}");
        parse(query, &ParseOptions::ALL).unwrap();
    }
}

#[test]
fn errors_are_shown_in_the_text() {
    let error = parse("sum(\n  rate(x)\n)", &ParseOptions::default()).unwrap_err();
    let message = "expected type range vector in call to function \"rate\", got instant vector";
    assert_eq!(error.rendered(), format!("2:8: parse error: {message}\n    rate(x)\n         ^"));
}
