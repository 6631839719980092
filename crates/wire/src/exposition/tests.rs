use model::{Labels, MetricType};

use super::*;

/// One entry, as a test sees it.
#[derive(Debug, Clone, PartialEq, Default)]
struct Seen {
    kind: &'static str,
    text: String,
    value: f64,
    time: Option<i64>,
    labels: String,
    exemplars: Vec<String>,
    start_ms: i64,
}

fn describe(parser: &mut impl Exposition, entry: Entry) -> Seen {
    match entry {
        Entry::Help => Seen {
            kind: "help",
            text: format!("{} {}", parser.family_name(), parser.help()),
            ..Seen::default()
        },
        Entry::Type => {
            let text = format!("{} {}", parser.family_name(), parser.metric_type().as_str());
            Seen { kind: "type", text, ..Seen::default() }
        }
        Entry::Unit => Seen {
            kind: "unit",
            text: format!("{} {}", parser.family_name(), parser.unit()),
            ..Seen::default()
        },
        Entry::Comment => Seen {
            kind: "comment",
            text: String::from_utf8_lossy(parser.comment()).into(),
            ..Seen::default()
        },
        Entry::Series | Entry::KnownSeries | Entry::Histogram => {
            let mut labels = RawLabels::default();
            parser.labels_into(&mut labels);
            let start_ms = parser.start_timestamp_ms();
            let mut exemplars = Vec::new();
            while let Some(exemplar) = parser.next_exemplar() {
                let time = if exemplar.has_timestamp {
                    format!(" {}", exemplar.timestamp_ms)
                } else {
                    String::new()
                };
                exemplars.push(format!("{} {}{time}", exemplar.labels, exemplar.value));
            }
            let text = match parser.histogram() {
                None => String::from_utf8_lossy(parser.series()).into_owned(),
                Some(HistogramSample::Integer(h)) => {
                    format!("{} {} {:?} {:?}", h.count, h.sum, h.positive_buckets, h.custom_bounds())
                }
                Some(HistogramSample::Float(h)) => {
                    format!("{} {} {:?} {:?}", h.count, h.sum, h.positive_buckets, h.custom_bounds())
                }
            };
            let kind = if entry == Entry::Histogram { "histogram" } else { "series" };
            let value = if entry == Entry::Histogram { 0.0 } else { parser.value() };
            let (time, labels) = (parser.timestamp_ms(), labels.to_labels().to_string());
            Seen { kind, text, value, time, labels, exemplars, start_ms }
        }
    }
}

fn read_all(parser: &mut impl Exposition) -> Result<Vec<Seen>, ParseError> {
    let mut seen = Vec::new();
    while let Some(entry) = parser.next(&mut NothingKnown)? {
        let described = describe(parser, entry);
        seen.push(described);
    }
    Ok(seen)
}

fn text(body: &str, options: &ParseOptions) -> Vec<Seen> {
    read_all(&mut TextParser::new(body.as_bytes(), options)).unwrap()
}

fn open_metrics(body: &str, options: &ParseOptions) -> Vec<Seen> {
    read_all(&mut OpenMetricsParser::new(body.as_bytes(), options)).unwrap()
}

fn series_of(seen: &[Seen]) -> Vec<&Seen> {
    seen.iter().filter(|s| s.kind == "series").collect()
}

#[test]
fn text_entries_keep_the_raw_series_and_normalise_bounds() {
    let body = "# HELP d A summary.\n# \tTYPE d summary\nd{quantile=\"0\"} 4.9351e-05\nd{quantile=\"0.25\",} 7.4e-05\n\
                d { quantile = \"2\" a = \"b\" } 8.3835e-05\n#\n# HELP nohelp\n\n  g 33  \t123123\n\
                t{label=\"\\\"bar\\\"\"} 1\nt{le=\"10\"} NaN\n# HELP metric foo\0bar\\n\\\\\"\nn{a=\"abc\0\"} +Inf";
    let seen = text(body, &ParseOptions::default());
    let texts: Vec<_> = seen.iter().map(|s| (s.kind, s.text.as_str())).collect();
    assert_eq!(
        texts,
        [
            ("help", "d A summary."),
            ("type", "d summary"),
            ("series", "d{quantile=\"0\"}"),
            ("series", "d{quantile=\"0.25\",}"),
            ("series", "d { quantile = \"2\" a = \"b\" }"),
            ("comment", "#"),
            ("help", "nohelp "),
            ("series", "g"),
            ("series", "t{label=\"\\\"bar\\\"\"}"),
            ("series", "t{le=\"10\"}"),
            ("help", "metric foo\0bar\n\\\""),
            ("series", "n{a=\"abc\0\"}"),
        ]
    );
    assert_eq!(seen[2].labels, r#"{__name__="d", quantile="0.0"}"#);
    assert_eq!(seen[4].labels, r#"{__name__="d", a="b", quantile="2.0"}"#);
    assert_eq!((seen[7].value, seen[7].time), (33.0, Some(123_123)));
    assert_eq!(seen[9].labels, r#"{__name__="t", le="10"}"#);
}

#[test]
fn utf8_names_stand_in_quotes_and_braces() {
    let body = "# TYPE \"go.gc\" summary\n{\"go.gc\",quantile=\"1\"} 1\n{ q=\"0.9\", \"http.status\" , a= \"b\", } 2\n\
                {\"Heizöl 10€ \\\"x\\\" {a\\nb}\",\"strange©™\"=\"6\"} 10.0";
    let seen = text(body, &ParseOptions::default());
    assert_eq!(seen[0].text, "go.gc summary");
    assert_eq!(seen[1].labels, r#"{__name__="go.gc", quantile="1.0"}"#);
    assert_eq!(seen[2].labels, r#"{__name__="http.status", a="b", q="0.9"}"#);
    let labels = Labels::from_pairs([("__name__", "Heizöl 10€ \"x\" {a\nb}"), ("strange©™", "6")]);
    assert_eq!(seen[3].labels, labels.to_string());
}

#[test]
fn type_and_unit_labels_replace_those_of_the_target() {
    let options = ParseOptions { type_and_unit_labels: true, ..ParseOptions::default() };
    let seen = text("# TYPE a gauge\na{__type__=\"counter\",__unit__=\"x\"} 1\n", &options);
    assert_eq!(seen[1].labels, r#"{__name__="a", __type__="gauge", __unit__="x"}"#);
    let body = "# TYPE a_s gauge\n# UNIT a_s s\na_s 1\n# TYPE b unknown\nb{__type__=\"x\"} 1\n# EOF\n";
    let seen = open_metrics(body, &options);
    assert_eq!(seen[2].labels, r#"{__name__="a_s", __type__="gauge", __unit__="s"}"#);
    assert_eq!(seen[4].labels, r#"{__name__="b", __type__="x"}"#);
}

#[test]
fn text_errors_say_what_was_expected() {
    for (input, expected) in [
        ("a", r#"expected value after metric, got "\n" ("INVALID") while parsing: "a\n""#),
        ("a{b='c'} 1\n", r#"expected label value, got "'" ("INVALID") while parsing: "a{b='""#),
        ("a{b=\n", r#"expected label value, got "\n" ("INVALID") while parsing: "a{b=\n""#),
        (
            "{\"a\", \"b = \"c\"}",
            r#"expected equal, got "c\"" ("LNAME") while parsing: "{\"a\", \"b = \"c\"""#,
        ),
        ("{\"a\",b\\nc=\"d\"} 1", r#"expected equal, got "\\" ("INVALID") while parsing: "{\"a\",b\\""#),
        ("a true\n", r#"strconv.ParseFloat: parsing "true": invalid syntax while parsing: "a true""#),
        (
            "something_weird{problem=\"",
            r#"expected label value, got "\"\n" ("INVALID") while parsing: "something_weird{problem=\"\n""#,
        ),
        ("e{=\"\"} 0", r#"expected label name, got "=\"" ("EQUAL") while parsing: "e{=\"""#),
        ("{A}0", r#"expected equal, got "}0" ("BCLOSE") while parsing: "{A}0""#),
        ("foo 1_2\n", r#"unsupported character in float while parsing: "foo 1_2""#),
        ("foo 0x1p-3\n", r#"unsupported character in float while parsing: "foo 0x1p-3""#),
        (
            "foo 0 1_2\n",
            r#"expected next entry after timestamp, got "_" ("INVALID") while parsing: "foo 0 1_""#,
        ),
        ("{a=\"ok\"} 1", r#"metric name not set while parsing: "{a=\"ok\"} 1""#),
        (
            "# TYPE #\n#EOF\n",
            r##"expected metric name after TYPE, got "#" ("INVALID") while parsing: "# TYPE #""##,
        ),
        (
            "# HELP #\n#EOF\n",
            r##"expected metric name after HELP, got "#" ("INVALID") while parsing: "# HELP #""##,
        ),
        ("# TYPE a x\n", r#"invalid metric type "x""#),
        ("a{b=\0\"ssss\"} 1\n", r#"expected label value, got "\x00" ("INVALID") while parsing: "a{b=\x00""#),
        ("a{b=\"\0", r#"expected label value, got "\"\x00\n" ("INVALID") while parsing: "a{b=\"\x00\n""#),
        ("a{b\0=\"hiih\"}\t1", r#"expected equal, got "\x00" ("INVALID") while parsing: "a{b\x00""#),
        ("a\0{b=\"ddd\"} 1", r#"expected value after metric, got "\x00" ("INVALID") while parsing: "a\x00""#),
        (
            "a 0 1\0",
            r#"expected next entry after timestamp, got "\x00" ("INVALID") while parsing: "a 0 1\x00""#,
        ),
        ("a 1 -5\n", r#"expected timestamp or new record, got "-" ("INVALID") while parsing: "a 1 -""#),
        (
            "a 1 99999999999999999999\n",
            r#"strconv.ParseInt: parsing "99999999999999999999": value out of range while parsing: "a 1 99999999999999999999""#,
        ),
        ("a{\"b\"} 1\n", r#"metric name already set while parsing: "a{\"b\"}""#),
    ] {
        let error = read_all(&mut TextParser::new(input.as_bytes(), &ParseOptions::default())).unwrap_err();
        assert_eq!(error.to_string(), expected, "{input:?}");
    }
    for (input, expected) in [
        (
            &b"a{\xff=\"foo\"} 1\n"[..],
            r#"expected label name, got "\xff" ("INVALID") while parsing: "a{\xff""#,
        ),
        (b"a{b=\"\xff\"} 1\n", r#"invalid UTF-8 label value: "\"\xff\"""#),
        (b"# HELP a \xff\n", r#"help text "\xff" is not a valid utf8 string"#),
        (b"{\"\xff\"} 1\n", r#"invalid UTF-8 metric or label name: "\"\xff\"""#),
    ] {
        let error = read_all(&mut TextParser::new(input, &ParseOptions::default())).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn open_metrics_errors_say_what_was_expected() {
    for (input, expected) in [
        ("", "data does not end with # EOF"),
        ("\n", r#"expected a valid start token, got "\n" ("INVALID") while parsing: "\n""#),
        ("metric", r#"expected value after metric, got "metric" ("EOF") while parsing: "metric""#),
        ("metric 1", "data does not end with # EOF"),
        ("metric 1\n", "data does not end with # EOF"),
        ("metric_total 1 # {aa=\"bb\"} 4", "data does not end with # EOF"),
        ("a\n#EOF\n", r#"expected value after metric, got "\n" ("INVALID") while parsing: "a\n""#),
        (" a 1\n#EOF\n", r#"expected a valid start token, got " " ("INVALID") while parsing: " ""#),
        ("9\n#EOF\n", r#"expected a valid start token, got "9" ("INVALID") while parsing: "9""#),
        ("# TYPE u untyped\n#EOF\n", r#"invalid metric type "untyped""#),
        ("# TYPE c counter \n#EOF\n", r#"invalid metric type "counter ""#),
        (
            "#  TYPE c counter\n",
            r##"expected a valid start token, got "#  " ("INVALID") while parsing: "#  ""##,
        ),
        (
            "# TYPE \n#EOF\n",
            r##"expected metric name after TYPE, got "\n" ("INVALID") while parsing: "# TYPE \n""##,
        ),
        ("# TYPE m\n#EOF\n", "expected text in TYPE"),
        ("# UNIT metric suffix\n#EOF\n", r#"unit "suffix" not a suffix of metric "metric""#),
        ("# UNIT metricsuffix suffix\n#EOF\n", r#"unit "suffix" not a suffix of metric "metricsuffix""#),
        ("# HELP m\n#EOF\n", "expected text in HELP"),
        ("a\t1\n#EOF\n", r#"expected value after metric, got "\t" ("INVALID") while parsing: "a\t""#),
        ("a 1\t2\n", r#"strconv.ParseFloat: parsing "1\t2": invalid syntax while parsing: "a 1\t2""#),
        (
            "a 1 2 \n",
            r#"expected next entry after timestamp, got " \n" ("INVALID") while parsing: "a 1 2 \n""#,
        ),
        (
            "a 1 2 #\n",
            r##"expected next entry after timestamp, got " #\n" ("TIMESTAMP") while parsing: "a 1 2 #\n""##,
        ),
        ("a 1 1z\n", r#"strconv.ParseFloat: parsing "1z": invalid syntax while parsing: "a 1 1z""#),
        ("# EOF\na 1", "unexpected data after # EOF"),
        ("# EOF\n\n", "unexpected data after # EOF"),
        ("# EOFa 1", "unexpected data after # EOF"),
        (
            "#\tTYPE c counter\n",
            r##"expected a valid start token, got "#\t" ("INVALID") while parsing: "#\t""##,
        ),
        (
            "a 1 1 1\n",
            r#"expected next entry after timestamp, got " 1\n" ("TIMESTAMP") while parsing: "a 1 1 1\n""#,
        ),
        ("a{,b=\"c\"} 1\n", r#"expected label name, got ",b" ("COMMA") while parsing: "a{,b""#),
        (
            "a{b=\"c\"d=\"e\"} 1\n",
            r#"expected comma or brace close, got "d=" ("LNAME") while parsing: "a{b=\"c\"d=""#,
        ),
        ("a{b=\n# EOF\n", r#"expected label value, got "\n" ("INVALID") while parsing: "a{b=\n""#),
        ("w{p=\"\n# EOF\n", r#"expected label value, got "\"\n" ("INVALID") while parsing: "w{p=\"\n""#),
        ("{A}0\n# EOF\n", r#"expected equal, got "}0" ("BCLOSE") while parsing: "{A}0""#),
        ("foo 0 1_2\n\n", r#"unsupported character in float while parsing: "foo 0 1_2""#),
        ("c 1 # {aa=bb}\n", r##"expected label value, got "b" ("INVALID") while parsing: "c 1 # {aa=b""##),
        (
            "c 1 # {aa=\"bb\"}\n",
            r##"expected value after exemplar labels, got "\n" ("INVALID") while parsing: "c 1 # {aa=\"bb\"}\n""##,
        ),
        (
            "c 1 # {aa=\"bb\"}",
            r##"expected value after exemplar labels, got "}" ("EOF") while parsing: "c 1 # {aa=\"bb\"}""##,
        ),
        ("c 1 # {bb}", r##"expected equal, got "}" ("BCLOSE") while parsing: "c 1 # {bb}""##),
        ("c 1 # {bb, a=\"dd\"}", r##"expected equal, got ", " ("COMMA") while parsing: "c 1 # {bb, ""##),
        (
            "c 1 # {aa=\"bb\",,cc=\"dd\"} 1",
            r##"expected label name, got ",c" ("COMMA") while parsing: "c 1 # {aa=\"bb\",,c""##,
        ),
        (
            "c 1 # {aa=\"bb\"} 1_2",
            r##"unsupported character in float while parsing: "c 1 # {aa=\"bb\"} 1_2""##,
        ),
        (
            "c 1 # {aa=\"bb\",cc=}",
            r##"expected label value, got "}" ("INVALID") while parsing: "c 1 # {aa=\"bb\",cc=}""##,
        ),
        ("{b=\"c\",} 1", r#"metric name not set while parsing: "{b=\"c\",} 1""#),
        ("a 1 NaN", "invalid timestamp NaN"),
        ("a 1 -Inf", "invalid timestamp -Inf"),
        ("a 1 Inf", "invalid timestamp +Inf"),
        ("h_bucket{le=\"+Inf\"} 1 # {aa=\"bb\"} 4 NaN", "invalid exemplar timestamp NaN"),
        ("a{b=\"\0", r#"expected label value, got "\"\x00" ("INVALID") while parsing: "a{b=\"\x00""#),
        ("a\0{b=\"ddd\"} 1", r#"expected value after metric, got "\x00" ("INVALID") while parsing: "a\x00""#),
        ("#", r##"expected a valid start token, got "#" ("INVALID") while parsing: "#""##),
        ("# H", r##"expected a valid start token, got "# H" ("INVALID") while parsing: "# H""##),
        (
            "c 1 # {b=\"\0ss\"} 1\n",
            r##"expected label value, got "\"\x00" ("INVALID") while parsing: "c 1 # {b=\"\x00""##,
        ),
    ] {
        let options = ParseOptions { skip_created_series: true, ..ParseOptions::default() };
        let error = read_all(&mut OpenMetricsParser::new(input.as_bytes(), &options)).unwrap_err();
        assert_eq!(error.to_string(), expected, "{input:?}");
    }
    for input in ["# EOF", "# EOF\n"] {
        assert_eq!(open_metrics(input, &ParseOptions::default()), []);
    }
}

#[test]
fn open_metrics_exemplars_units_and_escapes() {
    let body = "# HELP help2 escape \\ \\n \\\\ \\\" \\x chars\n# UNIT g_seconds seconds\n\
                g_bucket{le=\"+Inf\"} 1 123.123 # {id=\"x\",\"i.d\"=\"y\"} 4 123.123\ng_count 1 # {} 4\n# EOF\n";
    let seen = open_metrics(body, &ParseOptions::default());
    assert_eq!(seen[0].text, "help2 escape \\ \n \\ \" \\x chars");
    assert_eq!(seen[1].text, "g_seconds seconds");
    assert_eq!(seen[2].exemplars, [r#"{"i.d"="y", id="x"} 4 123123"#]);
    assert_eq!(seen[2].time, Some(123_123));
    assert_eq!(seen[3].exemplars, ["{} 4"]);
}

#[test]
fn created_series_become_start_timestamps() {
    let body = "# TYPE foo counter\nfoo_total 17.0 1520879607.789\nfoo_created 1520872607.123\nfoo_total{a=\"b\"} 17.0\n\
                foo_created{a=\"b\"} 1520872608.123\nfoo_total{le=\"1\"} 10.0\n# TYPE bar summary\nbar_count 17.0\n\
                bar_sum 3.0\nbar{quantile=\"0.95\"} 1.7\nbar_created 1520872608.124\n# TYPE fizz_created gauge\n\
                fizz_created 17.0\n# TYPE baz histogram\nbaz_count 1\nbaz_created 1520430001\nbaz_bucket{le=\"+Inf\"} 18\n\
                # TYPE first counter\nfirst_created 1520430001\nfirst_total 1\n# EOF\n";
    let options = ParseOptions { skip_created_series: true, ..ParseOptions::default() };
    let seen = open_metrics(body, &options);
    let starts: Vec<_> = series_of(&seen).iter().map(|s| (s.text.clone(), s.start_ms)).collect();
    let expected = [
        ("foo_total", 1_520_872_607_123),
        ("foo_total{a=\"b\"}", 1_520_872_608_123),
        ("foo_total{le=\"1\"}", 0),
        ("bar_count", 1_520_872_608_124),
        ("bar_sum", 1_520_872_608_124),
        ("bar{quantile=\"0.95\"}", 1_520_872_608_124),
        ("fizz_created", 0),
        ("baz_count", 1_520_430_001_000),
        ("baz_bucket{le=\"+Inf\"}", 1_520_430_001_000),
        ("first_total", 0),
    ];
    assert_eq!(starts, expected.map(|(text, start)| (text.to_owned(), start)));
}

#[test]
fn classic_histograms_become_native_ones() {
    let body = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 2 # {id=\"x\"} 0.5\nh_bucket{a=\"1\",le=\"+Inf\"} 5\n\
                h_sum{a=\"1\"} 7.5\nh_count{a=\"1\"} 5\nh_bucket{a=\"2\",le=\"1\"} 0.5\nh_count{a=\"2\"} 1\n\
                h_bucket{a=\"3\",le=\"1\"} 9\nh_count{a=\"3\"} 1\nother 4\n# EOF\n";
    let options = ParseOptions { convert_classic_to_nhcb: true, ..ParseOptions::default() };
    let seen = read_all(&mut Parser::of(body.as_bytes(), MediaType::OpenMetrics, &options)).unwrap();
    let texts: Vec<_> = seen.iter().map(|s| (s.kind, s.text.as_str(), s.labels.as_str())).collect();
    assert_eq!(
        texts,
        [
            ("type", "h histogram", ""),
            ("histogram", "5 7.5 [2, 1] [1.0]", r#"{__name__="h", a="1"}"#),
            ("histogram", "1 0 [0.5, 0.5] [1.0]", r#"{__name__="h", a="2"}"#),
            ("series", "other", r#"{__name__="other"}"#),
        ]
    );
    assert_eq!(seen[1].exemplars, [r#"{id="x"} 0.5"#]);
    let options = ParseOptions { keep_classic: true, ..options };
    let kept = read_all(&mut Parser::of(body.as_bytes(), MediaType::OpenMetrics, &options)).unwrap();
    assert_eq!(kept.iter().filter(|s| s.kind == "series").count(), 9);
    assert_eq!(kept.iter().filter(|s| s.kind == "histogram").count(), 2);
}

/// Recognises series by the texts of the scrape before, in order.
struct Expected(std::vec::IntoIter<Vec<u8>>);

impl KnownSeries for Expected {
    fn known_len(&mut self, rest: &[u8]) -> usize {
        self.0.next().filter(|text| rest.starts_with(text)).map_or(0, |text| text.len())
    }
}

#[test]
fn known_series_are_taken_whole_or_not_at_all() {
    let known = ["a{b=\"c\"}", "up", "up", "name", "x { }"].map(|s| s.as_bytes().to_vec()).to_vec();
    let body = b"a{b=\"c\"} 1 5\nup 1\nup {a=\"b\"} 2\nname_longer 3\nx { } 4\n";
    let mut parser = TextParser::new(body, &ParseOptions::default());
    let mut expected = Expected(known.into_iter());
    let mut seen = Vec::new();
    while let Some(entry) = parser.next(&mut expected).unwrap() {
        seen.push((entry, String::from_utf8_lossy(parser.series()).into_owned(), parser.value()));
    }
    let text = |s: &str| s.to_owned();
    assert_eq!(
        seen,
        [
            (Entry::KnownSeries, text("a{b=\"c\"}"), 1.0),
            (Entry::KnownSeries, text("up"), 1.0),
            (Entry::Series, text("up {a=\"b\"}"), 2.0),
            (Entry::Series, text("name_longer"), 3.0),
            (Entry::KnownSeries, text("x { }"), 4.0),
        ]
    );
}

#[test]
fn parsers_report_their_format() {
    for (content_type, matches) in
        [("text/plain", 0), ("application/openmetrics-text", 1), ("application/vnd.google.protobuf", 2)]
    {
        let (parser, warning) = Parser::new(b"", content_type, &ParseOptions::default()).unwrap();
        assert!(warning.is_none());
        let got = match parser {
            Parser::Text(_) => 0,
            Parser::OpenMetrics(_) => 1,
            _ => 2,
        };
        assert_eq!(got, matches);
    }
    assert_eq!(MetricType::Unknown.as_str(), "unknown");
}
