use std::sync::Arc;

use base::CancelFlag;
use model::Labels;

use super::*;

/// Answers `metric` with two series and fails otherwise.
struct Fixed;

impl Queries for Fixed {
    fn instant(&self, expression: &str, t_ms: i64, _: &CancelFlag) -> Result<Vec<Sample>, QueryFailure> {
        let sample = |instance: &str, value: f64| Sample {
            labels: Labels::from_pairs([("__name__", "metric"), ("instance", instance), ("__value__", "a")]),
            value,
            histogram: None,
        };
        match expression {
            "metric" => Ok(vec![sample("b", 21.0), sample("a", 11.0)]),
            "now" => Ok(vec![sample("t", t_ms as f64)]),
            "none" => Ok(Vec::new()),
            _ => Err(QueryFailure { message: "no such query".to_owned(), canceled: false }),
        }
    }
}

fn expand_with(text: &str, value: f64) -> Result<String, String> {
    let external = Labels::from_pairs([("cluster", "eu")]);
    let environment = Environment::new(
        &external,
        "http://testhost:9090/path/prefix",
        Arc::new(Fixed),
        CancelFlag::new(),
        Expansions::default(),
    );
    environment.set_now_ms(1_500_000);
    let sample = Sample { labels: Labels::from_pairs([("job", "api")]), value, histogram: None };
    let data = alert_data(&environment, &sample);
    Template::new("X", text, &environment.functions()).expand(&data)
}

fn expand(text: &str) -> String {
    expand_with(text, 1.5).unwrap_or_else(|error| error)
}

#[test]
fn templates_see_the_sample_and_the_server() {
    let cases = [
        ("plain text", "plain text"),
        ("{{ $labels.job }} {{ .Labels.job }} [{{ $labels.none }}]", "api api []"),
        ("{{ $value }} {{ .Value }}", "1.5 1.5"),
        ("{{ $externalLabels.cluster }}", "eu"),
        ("{{ $externalURL }}", "http://testhost:9090/path/prefix"),
        ("{{ externalURL }}|{{ pathPrefix }}", "http://testhost:9090/path/prefix|/path/prefix"),
        ("{{ now }}", "1500"),
        ("{{ \"now\" | query | first | value }}", "1.5e+06"),
        ("{{ query \"metric\" | first | value }}", "21"),
        (
            "{{ range query \"metric\" | sortByLabel \"instance\" }}{{.Labels.instance}}:{{.Value}}:{{ end }}",
            "a:11:b:21:",
        ),
        ("{{ query \"metric\" | first | label \"instance\" }}", "b"),
        ("{{ query \"metric\" | first | strvalue }}", "a"),
        ("{{ if query \"none\" }}yes{{ else }}no{{ end }}", "no"),
        ("{{define \"x\"}}{{.arg0}}-{{.arg1}}{{end}}{{template \"x\" (args 1 \"b\")}}", "1-b"),
        ("{{ graphLink \"up{a=\\\"b\\\"}\" }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0"),
        ("{{ tableLink \"up\" }}", "/graph?g0.expr=up&g0.tab=1"),
        ("{{ urlQueryEscape \"a b&c*d~\" }}", "a+b%26c%2Ad~"),
        ("{{ title \"aa bB CC\" }} {{ toUpper \"aa\" }} {{ toLower \"AA\" }}", "Aa BB CC AA aa"),
        ("{{ match \"a+\" \"aa\" }} {{ match \"a+\" \"b\" }}", "true false"),
        ("{{ reReplaceAll \"(a)b\" \"x$1\" \"ab\" }}", "xa"),
        (
            "{{ \"1.2.3.4:9\" | stripPort }} {{ \"[::1]:9\" | stripPort }} {{ \"a\" | stripPort }}",
            "1.2.3.4 ::1 a",
        ),
        (
            "{{ \"a.b:9\" | stripDomain }} {{ \"a.b\" | stripDomain }} {{ \"1.2.3.4:9\" | stripDomain }}",
            "a:9 a 1.2.3.4:9",
        ),
        ("{{ parseDuration \"1h2m10ms\" }} {{ parseDuration \"-1m\" }}", "3720.01 -60"),
        ("{{ (toTime 1435065584.128).Year }}", "2015"),
        ("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ humanizeTimestamp \"NaN\" }}", "NaN"),
        ("{{ toDuration 1800 }}", "30m0s"),
    ];
    for (text, expected) in cases {
        assert_eq!(expand(text), expected, "{text}");
    }
}

#[test]
fn numbers_are_written_for_people() {
    let cases = [
        (0.0, "0 0 0s 0%"),
        (1.0, "1 1 1s 100%"),
        (1_234_567.0, "1.235M 1.177Mi 14d 6h 56m 7s 1.235e+08%"),
        (0.12, "120m 0.12 120ms 12%"),
        (f64::NAN, "NaN NaN NaN NaN%"),
        (f64::INFINITY, "+Inf +Inf +Inf +Inf%"),
        (-1024.0, "-1.024k -1ki -17m 4s -1.024e+05%"),
        (61.0, "61 61 1m 1s 6100%"),
    ];
    let text = "{{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }}";
    for (value, expected) in cases {
        assert_eq!(expand_with(text, value).unwrap(), expected);
    }
}

#[test]
fn failures_stand_where_the_text_would() {
    let cases = [
        ("{{ query \"none\" | first }}", "error calling first: first() called on vector with no elements>"),
        ("{{ query \"missing\" }}", "error calling query: no such query>"),
        ("{{ humanize \"x\" }}", "strconv.ParseFloat: parsing \"x\": invalid syntax>"),
        ("{{ .Nothing }}", "can't evaluate field Nothing in type"),
        (
            "{{ if }}",
            "<error expanding template: error parsing template __alert_X: template: __alert_X:1: missing value for if>",
        ),
    ];
    for (text, expected) in cases {
        let error = expand_with(text, 0.0).unwrap_err();
        assert!(
            error.starts_with("<error expanding template: error ") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn the_names_of_functions_are_known() {
    let names = function_names();
    for name in ["query", "humanizePercentage", "stripDomain", "toDuration", "now"] {
        assert!(names.contains(&name), "{name}");
    }
}
