use super::*;
use crate::encode::protobuf::Message;
use crate::exposition::NothingKnown;

/// A family with one histogram: classic buckets 1 and 4, a native part, exemplars and a start.
fn histogram_family(kind: u64, deltas: &[i64]) -> Vec<u8> {
    let mut family = Message::default();
    family.text(1, "h").text(2, "Help.").text(5, "s").uint(3, kind);
    let exemplar = |message: &mut Message, id: &str, seconds: Option<u64>| {
        message.message(1, |label| {
            label.text(1, "id").text(2, id);
        });
        message.double(2, 0.5);
        if let Some(seconds) = seconds {
            message.message(3, |time| {
                time.uint(1, seconds).uint(2, 500_000_000);
            });
        }
    };
    family.message(4, |metric| {
        metric.message(1, |label| {
            label.text(1, "a").text(2, "b");
        });
        metric.uint(6, 1234);
        metric.message(7, |h| {
            h.uint(1, 5).double(2, 7.5).sint(5, 3).double(6, 0.001).uint(7, 1);
            h.message(3, |bucket| {
                bucket.uint(1, 2).double(2, 1.0).message(3, |e| exemplar(e, "classic", Some(7)));
            });
            h.message(3, |bucket| {
                bucket.uint(1, 5).double(2, 4.0);
            });
            h.message(12, |span| {
                span.sint(1, -1).uint(2, 2);
            });
            for &delta in deltas {
                h.sint(13, delta);
            }
            h.message(15, |time| {
                time.uint(1, 1000).uint(2, 2_000_000);
            });
            h.message(16, |e| exemplar(e, "untimed", None));
            h.message(16, |e| exemplar(e, "timed", Some(9)));
        });
    });
    let mut out = Vec::new();
    family.delimited(&mut out);
    out
}

fn read(body: &[u8], options: &ParseOptions) -> Result<Vec<String>, ParseError> {
    let mut parser = ProtobufParser::new(body, options);
    let (mut seen, mut labels) = (Vec::new(), RawLabels::default());
    let mut keys = std::collections::HashSet::new();
    while let Some(entry) = parser.next(&mut NothingKnown)? {
        match entry {
            Entry::Help | Entry::Type | Entry::Unit | Entry::Comment => seen.push(format!("{entry:?}")),
            Entry::Series | Entry::KnownSeries | Entry::Histogram => {
                assert!(keys.insert(parser.series().to_vec()), "two series have one key");
                parser.labels_into(&mut labels);
                assert_eq!((parser.timestamp_ms(), parser.start_timestamp_ms()), (Some(1234), 1_000_002));
                let value = match parser.histogram() {
                    Some(HistogramSample::Integer(h)) => {
                        format!("{:?} {:?}", h.positive_buckets, h.custom_bounds())
                    }
                    other => format!("{} {}", parser.value(), other.is_some()),
                };
                let exemplars: Vec<_> = std::iter::from_fn(|| parser.next_exemplar())
                    .map(|e| format!("{}@{}", e.labels.get_or_empty("id"), e.timestamp_ms))
                    .collect();
                seen.push(format!("{} {value} {}", labels.to_labels(), exemplars.join(",")));
            }
        }
    }
    Ok(seen)
}

const NATIVE: &str = r#"{__name__="h", a="b"} [2, 0] [] timed@9500"#;
const CLASSIC: [&str; 5] = [
    r#"{__name__="h_count", a="b"} 5 false "#,
    r#"{__name__="h_sum", a="b"} 7.5 false "#,
    r#"{__name__="h_bucket", a="b", le="1.0"} 2 false classic@7500"#,
    r#"{__name__="h_bucket", a="b", le="4.0"} 5 false "#,
    r#"{__name__="h_bucket", a="b", le="+Inf"} 5 false "#,
];

#[test]
fn options_choose_between_native_and_classic() {
    let body = histogram_family(4, &[2, 0]);
    let all = |options: ParseOptions| read(&body, &options).unwrap()[3..].to_vec();
    assert_eq!(read(&body, &ParseOptions::default()).unwrap(), ["Help", "Unit", "Type", NATIVE]);
    let both: Vec<&str> = [NATIVE].into_iter().chain(CLASSIC).collect();
    assert_eq!(all(ParseOptions { keep_classic: true, ..ParseOptions::default() }), both);
    assert_eq!(all(ParseOptions { ignore_native_histograms: true, ..ParseOptions::default() }), CLASSIC);
    let converted = r#"{__name__="h", a="b"} [2, 1] [1.0, 4.0] classic@7500"#;
    let convert = ParseOptions {
        ignore_native_histograms: true,
        convert_classic_to_nhcb: true,
        ..ParseOptions::default()
    };
    assert_eq!(all(convert.clone()), [converted]);
    let both: Vec<&str> = CLASSIC.into_iter().chain([converted]).collect();
    assert_eq!(all(ParseOptions { keep_classic: true, ..convert }), both);
}

#[test]
fn spans_and_buckets_must_agree_and_types_be_known() {
    let error = |body: &[u8]| read(body, &ParseOptions::default()).unwrap_err().to_string();
    assert_eq!(
        error(&histogram_family(4, &[2])),
        "histogram \"h\": positive side: spans require 2 buckets, have 1"
    );
    assert_eq!(error(&histogram_family(9, &[2, 0])), "unknown metric type for metric \"h\": 9");
    let body = histogram_family(4, &[2, 0]);
    assert_eq!(error(&body[..body.len() - 1]), "protobuf: unexpected EOF");
}

#[test]
fn gauge_histograms_carry_their_hint() {
    let body = histogram_family(5, &[2, 0]);
    let mut parser = ProtobufParser::new(&body, &ParseOptions::default());
    while parser.next(&mut NothingKnown).unwrap() != Some(Entry::Histogram) {}
    let Some(HistogramSample::Integer(histogram)) = parser.histogram() else { panic!("a native histogram") };
    assert_eq!(histogram.counter_reset_hint, model::CounterResetHint::Gauge);
    assert_eq!(parser.metric_type(), MetricType::GaugeHistogram);
}
