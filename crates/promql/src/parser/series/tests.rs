use super::*;
use model::CounterResetHint;

fn floats(text: &str) -> Vec<Option<f64>> {
    let value = |v: &SequenceValue| match v {
        SequenceValue::Omitted => None,
        SequenceValue::Float(f) => Some(*f),
        SequenceValue::Histogram { .. } => panic!("histogram in {text}"),
    };
    parse_values(text).unwrap().iter().map(value).collect()
}

#[test]
fn repetitions_include_the_first_value_except_for_omitted_ones() {
    assert_eq!(floats("1 2.5 -3"), [Some(1.0), Some(2.5), Some(-3.0)]);
    assert_eq!(floats("1x2"), [Some(1.0); 3]);
    assert_eq!(floats("1+2x2 -1-1x1"), [Some(1.0), Some(3.0), Some(5.0), Some(-1.0), Some(-2.0)]);
    assert_eq!(floats("_ _x2 1"), [None, None, None, Some(1.0)]);
    assert_eq!(floats("0+1e3x1 +Inf"), [Some(0.0), Some(1000.0), Some(f64::INFINITY)]);
    assert!(floats("NaN")[0].unwrap().is_nan());
    assert_eq!(floats("stale")[0].unwrap().to_bits(), model::STALE_NAN_BITS);
    assert_eq!(floats("stalex2").len(), 3);
    assert_eq!(floats("Infx1"), [Some(f64::INFINITY); 2]);
    assert_eq!(floats("0x1"), [Some(0.0); 2]);
}

#[test]
fn the_metric_is_read_with_and_without_braces() {
    let series = parse_series(r#"up{job="a", "my.label"='b'} 1 2"#).unwrap();
    assert_eq!(series.labels, Labels::from_pairs([("__name__", "up"), ("job", "a"), ("my.label", "b")]));
    assert_eq!(series.values.len(), 2);
    assert_eq!(parse_series("sum 1").unwrap().labels.metric_name(), "sum");
    assert_eq!(parse_series(r#"{"my.metric", a="b"} 1"#).unwrap().labels.metric_name(), "my.metric");
    assert_eq!(parse_series("a:b").unwrap().values, []);
    assert_eq!(parse_metric(r#"x{a="b",}"#).unwrap(), Labels::from_pairs([("__name__", "x"), ("a", "b")]));
}

#[test]
fn histogram_literals() {
    let text = "{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 \
                n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}}";
    let values = parse_values(text).unwrap();
    let [SequenceValue::Histogram { histogram, hint_given: true }] = values.as_slice() else { panic!() };
    assert_eq!(histogram.schema, 1);
    assert_eq!((histogram.sum, histogram.count), (-0.3, 3.1));
    assert_eq!(histogram.positive_buckets, [5.1, 10.0, 7.0]);
    assert_eq!(histogram.positive_spans, [model::Span { offset: -3, length: 3 }]);
    assert_eq!(histogram.negative_spans, [model::Span { offset: -5, length: 2 }]);
    assert_eq!(histogram.counter_reset_hint, CounterResetHint::Gauge);

    let values =
        parse_values("{{}} {{ sum:1 }}x1 {{count:1 buckets:[1]}}+{{count:2 buckets:[2]}}x2").unwrap();
    assert_eq!(values.len(), 6);
    let SequenceValue::Histogram { histogram, hint_given: false } = &values[5] else { panic!() };
    assert_eq!((histogram.count, histogram.positive_buckets.as_slice()), (5.0, &[5.0][..]));
    let values = parse_values("{{schema:-53 custom_values:[5 10] buckets:[1 2 3]}}").unwrap();
    let SequenceValue::Histogram { histogram, .. } = &values[0] else { panic!() };
    assert_eq!(histogram.custom_values.as_deref(), Some(&[5.0, 10.0][..]));
}

#[test]
fn malformed_descriptions_are_errors_with_a_place() {
    for (text, message) in [
        (
            "x bar",
            "1:3: parse error: unexpected identifier \"bar\" in series values, expected number or \"stale\"",
        ),
        ("x 1+2", "1:6: parse error: unexpected end of input in series values"),
        (
            "x 1x",
            "1:5: parse error: invalid repetition in series values: cannot parse integer from empty string",
        ),
        ("x 1x99999999999", "1:16: parse error: more than 1000000 values in one series"),
        ("x {{sum:1 sum:2}}", "1:11: parse error: duplicate key \"sum\" in histogram"),
        ("x {{sum:1", "1:10: parse error: histogram description incomplete unexpected: end of input"),
        ("x {{foo:1}}", "1:5: parse error: bad histogram descriptor found: \"foo\""),
        ("x {{sum 1}}", "1:5: parse error: missing `:` for histogram descriptor"),
        ("x {{}}y", "1:7: parse error: unexpected \"y\" in series values"),
        ("x 1..2", "1:3: parse error: bad number syntax: \"1..\""),
        ("x{a=1} 1", "1:5: parse error: unexpected character inside braces: '1'"),
        ("x{a} 1", "1:4: parse error: unexpected \"}\" in label set, expected \"=\""),
    ] {
        assert_eq!(parse_series(text).unwrap_err().to_string(), message, "{text}");
    }
}
