use std::sync::Arc;

use base::metrics::{Family, Kind, Point, Value};
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{FloatHistogram, Labels, Span};

use super::*;
use crate::escape::Escaping;
use crate::exposition::{Entry, Exposition, HistogramSample, NothingKnown, ParseOptions, Parser, RawLabels};
use crate::negotiate::MediaType;

fn families() -> Vec<Family> {
    let mut histogram = Family::new("h_seconds", "Back\\slash\nand \"quote\".", Kind::Histogram);
    let value = Value::Histogram { buckets: vec![(0.5, 1), (1e6, 3)], sum: 2.5, count: 4 };
    histogram.points.push(Point { labels: vec![("a".into(), "x\"\n\\".into())], value });
    let mut summary = Family::new("s", "", Kind::Summary);
    let value = Value::Summary { quantiles: vec![(0.5, f64::NAN), (1.0, 3.0)], sum: 3.0, count: 1 };
    summary.points.push(Point { labels: Vec::new(), value });
    vec![
        Family::new("c_total", "Counts.", Kind::Counter).with(&[("code", "200")], 1_000_000.0),
        Family::new("my.gauge", "G.", Kind::Gauge).with(&[("l.b", "v")], 0.25),
        histogram,
        summary,
        Family::new("u", "U.", Kind::Untyped).with(&[], f64::INFINITY),
    ]
}

fn encode(format: Format, escaping: Escaping) -> Vec<u8> {
    let encoder = Encoder::new(Negotiated { format, escaping });
    let mut out = Vec::new();
    encoder.families(&families(), &mut out);
    encoder.finish(&mut out);
    out
}

#[test]
fn text_is_written_as_the_field_expects_it() {
    let expected = r#"# HELP c_total Counts.
# TYPE c_total counter
c_total{code="200"} 1e+06
# HELP my_gauge G.
# TYPE my_gauge gauge
my_gauge{l_b="v"} 0.25
# HELP h_seconds Back\\slash\nand "quote".
# TYPE h_seconds histogram
h_seconds_bucket{a="x\"\n\\",le="0.5"} 1
h_seconds_bucket{a="x\"\n\\",le="1e+06"} 3
h_seconds_bucket{a="x\"\n\\",le="+Inf"} 4
h_seconds_sum{a="x\"\n\\"} 2.5
h_seconds_count{a="x\"\n\\"} 4
# HELP s 
# TYPE s summary
s{quantile="0.5"} NaN
s{quantile="1"} 3
s_sum 3
s_count 1
# HELP u U.
# TYPE u untyped
u +Inf
"#;
    assert_eq!(String::from_utf8(encode(Format::Text0_0_4, Escaping::Underscores)).unwrap(), expected);
}

#[test]
fn open_metrics_is_written_strictly() {
    let body = String::from_utf8(encode(Format::OpenMetrics1_0_0, Escaping::AllowUtf8)).unwrap();
    for line in [
        "# TYPE c counter\n",
        "c_total{code=\"200\"} 1e+06\n",
        "# HELP \"my.gauge\" G.\n",
        "{\"my.gauge\",\"l.b\"=\"v\"} 0.25\n",
        "# HELP h_seconds Back\\\\slash\\nand \\\"quote\\\".\n",
        "h_seconds_bucket{a=\"x\\\"\\n\\\\\",le=\"+Inf\"} 4\n",
        "s{quantile=\"1.0\"} 3.0\n",
        "# TYPE u unknown\n",
    ] {
        assert!(body.contains(line), "{line}\n{body}");
    }
    assert!(body.ends_with("# EOF\n"));
    crate::lint::validate_open_metrics(body.as_bytes()).unwrap();
}

/// `labels value` of every sample.
fn samples(body: &[u8], media_type: MediaType) -> Vec<String> {
    let mut parser = Parser::of(body, media_type, &ParseOptions::default());
    let mut all = Vec::new();
    let mut labels = RawLabels::default();
    while let Some(entry) = parser.next(&mut NothingKnown).unwrap() {
        if matches!(entry, Entry::Series) {
            parser.labels_into(&mut labels);
            all.push(format!("{} {} {:?}", labels.to_labels(), parser.value(), parser.timestamp_ms()));
        } else if entry == Entry::Histogram
            && let Some(HistogramSample::Float(histogram)) = parser.histogram()
        {
            parser.labels_into(&mut labels);
            all.push(format!("{} {histogram:?}", labels.to_labels()));
        }
    }
    all.sort();
    all
}

#[test]
fn every_format_reads_back_to_the_same_samples() {
    let expected = samples(&encode(Format::Text1_0_0, Escaping::AllowUtf8), MediaType::Text);
    assert_eq!(expected.len(), 12);
    let open_metrics = encode(Format::OpenMetrics0_0_1, Escaping::AllowUtf8);
    assert_eq!(samples(&open_metrics, MediaType::OpenMetrics), expected);
    assert_eq!(samples(&encode(Format::Protobuf, Escaping::AllowUtf8), MediaType::Protobuf), expected);
}

#[test]
fn federation_adds_external_labels_and_converts_what_it_must() {
    let sample = |labels: &[(&str, &str)], value| FederatedSample {
        labels: Labels::from_pairs(labels.iter().copied()),
        timestamp_ms: 1500,
        value,
    };
    let custom = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 5.0,
        sum: 7.5,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_buckets: vec![2.0, 3.0],
        custom_values: Some([1.0, 2.0].into()),
        ..FloatHistogram::default()
    };
    let native = FloatHistogram {
        schema: 1,
        count: 3.0,
        sum: 4.0,
        positive_spans: vec![Span { offset: -2, length: 1 }],
        positive_buckets: vec![3.0],
        ..FloatHistogram::default()
    };
    let samples_in = [
        sample(&[("__name__", "z"), ("zone", "own")], FederatedValue::Float(2.0)),
        sample(&[("__name__", "h")], FederatedValue::Histogram(Arc::new(custom))),
        sample(&[("__name__", "n")], FederatedValue::Histogram(Arc::new(native))),
        sample(&[("__name__", "a"), ("instance", "i")], FederatedValue::Float(1.0)),
        sample(&[("__name__", "gone")], FederatedValue::Float(model::stale_nan())),
        sample(&[("nameless", "x")], FederatedValue::Float(1.0)),
    ];
    let external = [("zone".to_owned(), "ie".to_owned())];
    let encode = |format| {
        let mut out = Vec::new();
        let encoder = Encoder::new(Negotiated { format, escaping: Escaping::Underscores });
        encoder.federation(&samples_in, &external, &mut out);
        encoder.finish(&mut out);
        out
    };
    let expected = "# TYPE a untyped\na{instance=\"i\",zone=\"ie\"} 1 1500\n# TYPE h histogram\n\
                    h_bucket{instance=\"\",zone=\"ie\",le=\"1\"} 0 1500\nh_bucket{instance=\"\",zone=\"ie\",le=\"2\"} 2 1500\n\
                    h_bucket{instance=\"\",zone=\"ie\",le=\"+Inf\"} 5 1500\nh_sum{instance=\"\",zone=\"ie\"} 7.5 1500\n\
                    h_count{instance=\"\",zone=\"ie\"} 5 1500\n# TYPE z untyped\nz{zone=\"own\",instance=\"\"} 2 1500\n";
    assert_eq!(String::from_utf8(encode(Format::Text0_0_4)).unwrap(), expected);
    let read = samples(&encode(Format::Protobuf), MediaType::Protobuf);
    let native = read.iter().find(|s| s.contains("\"n\"")).unwrap();
    assert!(native.contains("schema: 1") && native.contains("positive_buckets: [3.0]"), "{native}");
}
