use proptest::prelude::*;

use super::answer::{Code, ExportResponse, Status};
use super::hostile::{read_all, read_all_json};
use super::json::to_protobuf;
use super::*;
use crate::protobuf::{put_bytes, put_message};

/// One of everything, with the names of fields in both forms.
const REQUEST: &str = r#"{
  "resourceMetrics": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}], "future": [1, {"a": null}]},
    "scopeMetrics": [{
      "scope": {"name": "lib", "version": "1.2", "attributes": [{"key": "k", "value": {"boolValue": true}}]},
      "schemaUrl": "https://schema",
      "metrics": [
        {"name": "up", "unit": "1", "description": "said \"so\" \u00e9\ud83d\ude00", "gauge": {"dataPoints": [
          {"timeUnixNano": "1700000000123456789", "asInt": "-7", "attributes": [{"key": "a", "value": {"intValue": "5"}}]},
          {"time_unix_nano": 1700000000000000000, "as_double": "NaN", "flags": 1}]}},
        {"name": "sum", "sum": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA", "isMonotonic": true,
          "dataPoints": [{"startTimeUnixNano": "5000000", "timeUnixNano": "6000000", "asDouble": 1.5, "exemplars": [
            {"timeUnixNano": "5500000", "asDouble": 0.5, "spanId": "00f067aa0ba902b7", "traceId": "4BF92F3577B34DA6A3CE929D0E0E4736",
             "filteredAttributes": [{"key": "f", "value": {"stringValue": "v"}}]},
            {"asInt": 3, "traceId": "00000000000000000000000000000000"}]}]}},
        {"name": "histogram", "histogram": {"aggregationTemporality": 2, "dataPoints": [
          {"count": "6", "sum": 0, "bucketCounts": ["1", 2, "3"], "explicitBounds": [0.5, "1"], "min": 1, "max": 2}]}},
        {"name": "exponential", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [
          {"count": 9, "scale": -2, "zeroCount": "1", "zeroThreshold": 0.001,
           "positive": {"offset": -3, "bucketCounts": ["300", "0", "4"]}, "negative": {"bucketCounts": [4]}}]}},
        {"name": "summary", "summary": {"dataPoints": [
          {"count": "3", "sum": 12.5, "quantileValues": [{"quantile": 0.5, "value": 4}]}]}},
        {"name": "none"}
      ]}]
  }]
}"#;

fn with_metrics<T>(json: &str, read: impl FnOnce(&[Metric<'_>]) -> T) -> T {
    let body = to_protobuf(json.as_bytes()).unwrap();
    let resource = Request::new(&body).resources().next().unwrap().unwrap();
    let scope = resource.scopes().next().unwrap().unwrap();
    let metrics: Vec<_> = scope.metrics().map(Result::unwrap).collect();
    read(&metrics)
}

#[test]
fn resources_and_scopes_are_read() {
    let body = to_protobuf(REQUEST.as_bytes()).unwrap();
    let resources: Vec<_> = Request::new(&body).resources().map(Result::unwrap).collect();
    assert_eq!(resources.len(), 1);
    let attribute = resources[0].attributes.iter().next().unwrap().unwrap();
    assert_eq!((attribute.key, attribute.value.text().as_ref()), ("service.name", "shop"));
    let scope = resources[0].scopes().next().unwrap().unwrap();
    assert_eq!((scope.name, scope.version, scope.schema_url), ("lib", "1.2", "https://schema"));
    assert_eq!(scope.attributes.iter().next().unwrap().unwrap().value.text(), "true");
}

#[test]
fn gauges_and_sums_are_read() {
    with_metrics(REQUEST, |metrics| {
        assert_eq!((metrics[0].name, metrics[0].unit), ("up", "1"));
        assert_eq!(metrics[0].description, "said \"so\" é😀");
        let Data::Gauge(points) = metrics[0].data else { panic!("{:?}", metrics[0]) };
        let messages: Vec<_> = points.map(Result::unwrap).collect();
        let mut point = NumberPoint::default();
        point.read(messages[0]).unwrap();
        assert_eq!(point.value, Some(Number::Int(-7)));
        assert_eq!(
            (point.head.time_ns, point.head.time_ms()),
            (1_700_000_000_123_456_789, 1_700_000_000_123)
        );
        assert_eq!(point.head.attributes.iter().next().unwrap().unwrap().value.text(), "5");
        assert!(!point.head.no_recorded_value);
        point.read(messages[1]).unwrap();
        assert!(point.value.unwrap().as_f64().is_nan());
        assert!(point.head.no_recorded_value && point.head.attributes.is_empty());

        let Data::Sum { mut points, temporality, is_monotonic } = metrics[1].data else { panic!() };
        assert!(temporality == Temporality::Delta && is_monotonic);
        point.read(points.next().unwrap().unwrap()).unwrap();
        assert_eq!((point.head.start_ms(), point.head.time_ms()), (5, 6));
        let exemplars: Vec<_> = point.head.exemplars().map(Result::unwrap).collect();
        assert_eq!(exemplars[0].value, Some(Number::Double(0.5)));
        assert_eq!(exemplars[0].span_id, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!(exemplars[0].trace_id.len(), 16);
        assert_eq!(exemplars[0].attributes.len(), 1);
        assert_eq!((exemplars[1].value, exemplars[1].trace_id), (Some(Number::Int(3)), &[][..]));
    });
}

#[test]
fn histograms_and_summaries_are_read() {
    with_metrics(REQUEST, |metrics| {
        let Data::Histogram(mut points, Temporality::Cumulative) = metrics[2].data else { panic!() };
        let mut point = HistogramPoint::default();
        point.read(points.next().unwrap().unwrap()).unwrap();
        assert_eq!((point.count, point.sum), (6, Some(0.0)));
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 2, 3][..], &[0.5, 1.0][..]));

        let Data::ExponentialHistogram(mut points, _) = metrics[3].data else { panic!() };
        let mut point = ExponentialPoint::default();
        point.read(points.next().unwrap().unwrap()).unwrap();
        assert_eq!((point.count, point.sum, point.scale), (9, None, -2));
        assert_eq!((point.zero_count, point.zero_threshold), (1, 0.001));
        assert_eq!(point.positive, Buckets { offset: -3, counts: vec![300, 0, 4] });
        assert_eq!(point.negative, Buckets { offset: 0, counts: vec![4] });

        let Data::Summary(mut points) = metrics[4].data else { panic!() };
        let mut point = SummaryPoint::default();
        point.read(points.next().unwrap().unwrap()).unwrap();
        assert_eq!((point.count, point.sum, &point.quantiles[..]), (3, 12.5, &[(0.5, 4.0)][..]));
        assert!(matches!(metrics[5].data, Data::Unknown));
    });
    assert_eq!(read_all_json(REQUEST.as_bytes()), Ok(6));
}

/// The text of an attribute value given as JSON of protobuf.
fn text_of(value: &str) -> String {
    let json =
        format!(r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"k","value":{value}}}]}}}}]}}"#);
    let body = to_protobuf(json.as_bytes()).unwrap();
    let resource = Request::new(&body).resources().next().unwrap().unwrap();
    resource.attributes.iter().next().unwrap().unwrap().value.text().into_owned()
}

#[test]
fn values_of_all_types_become_text() {
    let cases = [
        (r#"{}"#, ""),
        (r#"null"#, ""),
        (r#"{"stringValue":"plain \"text\""}"#, "plain \"text\""),
        (r#"{"boolValue":false}"#, "false"),
        (r#"{"intValue":"-9223372036854775808"}"#, "-9223372036854775808"),
        (r#"{"doubleValue":1e21}"#, "1e+21"),
        (r#"{"doubleValue":1e-7}"#, "1e-7"),
        (r#"{"doubleValue":100}"#, "100"),
        (r#"{"doubleValue":"-Infinity"}"#, "-Infinity"),
        (r#"{"doubleValue":"Infinity"}"#, "Infinity"),
        (r#"{"doubleValue":"NaN"}"#, "NaN"),
        (r#"{"bytesValue":"+/8="}"#, "+/8="),
        (r#"{"bytesValue":"-_8"}"#, "+/8="),
        (
            r#"{"arrayValue":{"values":[{"stringValue":"<a>\n\u2028"},{"intValue":1},{"doubleValue":1.5},{},{"bytesValue":"YQ=="}]}}"#,
            r#"["<a>\n\u2028",1,1.5,null,"YQ=="]"#,
        ),
        (r#"{"arrayValue":{}}"#, "[]"),
        (
            r#"{"kvlistValue":{"values":[{"key":"b","value":{"intValue":1}},{"key":"a","value":{"kvlistValue":{}}},{"key":"b","value":{"intValue":2}}]}}"#,
            r#"{"a":{},"b":2}"#,
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(text_of(value), expected, "{value}");
    }
}

#[test]
fn wrong_json_is_an_error_with_its_place() {
    let cases = [
        ("", "JSON: unexpected end at byte 0"),
        ("[]", "JSON: expected '{', found '[' at byte 0"),
        ("{} x", "JSON: something follows the end at byte 3"),
        (r#"{"a":1 "b":2}"#, "JSON: expected ',', found '\"' at byte 7"),
        (r#"{"a":tru}"#, "JSON: expected true at byte 5"),
        (r#"{"a":"\ud8"}"#, "JSON: expected four hexadecimal digits at byte 8"),
        (r#"{"a":"x"#, "JSON: a text without end at byte 6"),
        (r#"{"resourceMetrics":{}}"#, "JSON: expected '[', found '{' at byte 19"),
        (r#"{"resourceMetrics":[{"schemaUrl":5}]}"#, "JSON: expected '\"', found '5' at byte 33"),
        (
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"timeUnixNano":"-1"}]}}]}]}]}"#,
            "JSON: \"-1\" is not a number that fits here at byte 89",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(to_protobuf(json.as_bytes()).unwrap_err().to_string(), expected, "{json}");
    }
}

#[test]
fn depth_and_counts_are_bounded() {
    let deep = |n: usize| format!("{}{}", r#"{"a":"#.repeat(n) + "1", "}".repeat(n));
    assert!(to_protobuf(deep(100).as_bytes()).is_ok());
    let error = to_protobuf(deep(100_000).as_bytes()).unwrap_err();
    assert!(matches!(error, DecodeError::TooDeep { .. }), "{error}");

    // A list in a list in a list.
    let mut value = Vec::new();
    for _ in 0..MAX_DEPTH + 1 {
        let mut list = Vec::new();
        put_message(&mut list, 5, |out| put_bytes(out, 1, &value));
        value = list;
    }
    let attribute = |value: &[u8], count: usize| {
        let mut body = Vec::new();
        put_message(&mut body, 1, |out| {
            put_message(out, 1, |out| {
                (0..count).for_each(|_| put_message(out, 1, |out| put_bytes(out, 2, value)))
            });
        });
        body
    };
    assert!(matches!(read_all(&attribute(&value, 1)), Err(DecodeError::TooDeep { .. })));
    assert_eq!(read_all(&attribute(&[], MAX_ATTRIBUTES)), Ok(0));
    let error = read_all(&attribute(&[], MAX_ATTRIBUTES + 1)).unwrap_err();
    assert!(error.to_string().starts_with("more than 1024 attributes at byte "), "{error}");

    let buckets = |count: usize| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"exponentialHistogram":{{"dataPoints":[
            {{"positive":{{"bucketCounts":[1{}]}}}}]}}}}]}}]}}]}}"#,
            ",1".repeat(count - 1)
        )
    };
    assert_eq!(read_all_json(buckets(MAX_BUCKETS).as_bytes()), Ok(1));
    assert!(matches!(read_all_json(buckets(MAX_BUCKETS + 1).as_bytes()), Err(DecodeError::TooMany { .. })));
    // Packed, they are a byte each.
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_message(out, 2, |out| {
            put_message(out, 2, |out| {
                put_message(out, 10, |out| {
                    put_message(out, 1, |out| {
                        put_message(out, 8, |out| put_bytes(out, 2, &[1; MAX_BUCKETS + 1]))
                    });
                });
            });
        });
    });
    assert!(matches!(read_all(&body), Err(DecodeError::TooMany { what: "buckets", .. })));
}

#[test]
fn damage_is_told_with_its_place() {
    let body = to_protobuf(REQUEST.as_bytes()).unwrap();
    for cut in 1..body.len() {
        // A cut request is never a whole one: all of it lies in one message.
        let error = read_all(&body[..cut]).unwrap_err().to_string();
        assert!(error.contains("at byte 0: unexpected end of message"), "{cut}: {error}");
    }
    let wrong_id = REQUEST.replace("00f067aa0ba902b7", "00f067");
    assert!(read_all_json(wrong_id.as_bytes()).unwrap_err().to_string().starts_with("span id of 3 bytes"));
}

#[test]
fn answers_have_both_forms() {
    let full = ExportResponse::default();
    assert_eq!((full.to_protobuf().len(), full.to_json().as_str()), (0, "{}"));
    let partial = ExportResponse { rejected_data_points: 300, error_message: "\"x\" too old".to_owned() };
    assert_eq!(
        partial.to_json(),
        r#"{"partialSuccess":{"rejectedDataPoints":"300","errorMessage":"\"x\" too old"}}"#
    );
    let expected = [&[0x0a, 16, 0x08, 0xac, 0x02, 0x12, 11][..], b"\"x\" too old"].concat();
    assert_eq!(partial.to_protobuf(), expected);
    let status = Status { code: Code::InvalidArgument, message: "no".to_owned() };
    assert_eq!(status.to_json(), r#"{"code":3,"message":"no"}"#);
    assert_eq!(status.to_protobuf(), b"\x08\x03\x12\x02no");
}

proptest! {
    #[test]
    fn garbage_never_panics(body: Vec<u8>, at in 0_usize..600, with: u8) {
        let _ = read_all(&body);
        let _ = read_all_json(&body);
        let mut damaged = to_protobuf(REQUEST.as_bytes()).unwrap();
        let at = at % damaged.len();
        damaged[at] = with;
        let _ = read_all(&damaged);
        let mut damaged = REQUEST.as_bytes().to_vec();
        let at = (at * 7) % damaged.len();
        damaged[at] = with;
        let _ = read_all_json(&damaged);
    }
}
