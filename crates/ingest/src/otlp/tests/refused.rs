//! What happens to points that cannot be stored, and to the others.

use model::AppendError;
use serde_json::json;

use super::recorder::{NOW_MS, Recorder, counter, receiver};
use super::*;

fn body(metrics: Value) -> Vec<u8> {
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]});
    let request =
        json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]});
    wire::otlp::json::to_protobuf(request.to_string().as_bytes()).unwrap()
}

fn nanoseconds(t_ms: i64) -> String {
    (t_ms * 1_000_000).to_string()
}

fn gauge(name: &str, t_ms: i64) -> Value {
    json!({"name": name, "gauge": {"dataPoints": [{"timeUnixNano": nanoseconds(t_ms), "asInt": 1}]}})
}

fn delta(t_ms: i64, value: i64) -> Value {
    let point = json!({"startTimeUnixNano": nanoseconds(NOW_MS - 60_000), "timeUnixNano": nanoseconds(t_ms), "asInt": value});
    json!({"name": "d", "sum": {"dataPoints": [point], "isMonotonic": true, "aggregationTemporality": 1}})
}

fn sent(receiver: &OtlpReceiver, metrics: Value) -> Result<ExportResponse, Status> {
    receiver.export(&TenantId::default(), &body(metrics))
}

#[test]
fn what_can_be_stored_is_and_the_rest_is_counted_and_told() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options::default(), &registry);
    recorder.refuse("old", AppendError::OutOfOrder);
    let metrics = json!([gauge("good", NOW_MS), gauge("old", NOW_MS), gauge("...", NOW_MS), delta(NOW_MS, 1),
        gauge("late", NOW_MS + 11 * 60_000), {"name": "untyped"}]);
    let answer = sent(&receiver, metrics).unwrap();
    assert_eq!(answer.rejected_data_points, 4);
    assert_eq!(
        answer.error_message.lines().collect::<Vec<_>>(),
        [
            r#"out of order sample (metric "old")"#,
            r#"normalization for metric "..." resulted in empty name"#,
            r#"invalid temporality and type combination for metric "d""#,
            r#"out of bounds: timestamp is too far in the future (metric "late")"#,
            r#"metric "untyped" has an unsupported type"#,
        ]
    );
    assert_eq!(recorder.committed().len(), 1);
    assert_eq!(counter(&registry, "bartizan_otlp_data_points_accepted_total{}"), 1.0);
    assert_eq!(counter(&registry, "bartizan_otlp_data_points_rejected_total{}"), 4.0);
}

#[test]
fn a_request_of_which_nothing_is_stored_is_refused() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options::default(), &registry);
    recorder.refuse("old", AppendError::OutOfOrder);
    let status = sent(&receiver, json!([gauge("old", NOW_MS)])).unwrap_err();
    assert_eq!(status.code, Code::InvalidArgument);
    recorder.refuse("new", AppendError::SeriesLimit { limit: 5, metric: "new".to_owned() });
    assert_eq!(sent(&receiver, json!([gauge("new", NOW_MS)])).unwrap_err().code, Code::ResourceExhausted);
    recorder.refuse("any", AppendError::Storage("disk full".to_owned()));
    let status = sent(&receiver, json!([gauge("fine", NOW_MS), gauge("any", NOW_MS)])).unwrap_err();
    assert_eq!(status, Status { code: Code::Unavailable, message: "disk full".to_owned() });
    assert!(recorder.committed().is_empty());
    assert!(sent(&receiver, json!([])).is_ok());
}

#[test]
fn a_damaged_request_leaves_nothing_behind() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options::default(), &registry);
    let mut damaged = body(json!([gauge("good", NOW_MS)]));
    // A second resource whose length lies.
    damaged.extend_from_slice(&[0x0a, 0x7f, 0]);
    let status = receiver.export(&TenantId::default(), &damaged).unwrap_err();
    assert_eq!(status.code, Code::InvalidArgument);
    assert!(status.message.contains("unexpected end of message"), "{}", status.message);
    assert!(recorder.committed().is_empty());
}

#[test]
fn known_series_are_found_without_their_labels_until_the_storage_drops_them() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options::default(), &registry);
    let histogram = json!([{"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [
        {"timeUnixNano": nanoseconds(NOW_MS), "count": 3, "sum": 1, "bucketCounts": [1, 2], "explicitBounds": [1]}]}}]);
    sent(&receiver, histogram.clone()).unwrap();
    assert_eq!(recorder.resolved(), 4);
    sent(&receiver, histogram.clone()).unwrap();
    assert_eq!(recorder.resolved(), 4);
    recorder.forget_series();
    sent(&receiver, histogram.clone()).unwrap();
    assert_eq!(recorder.resolved(), 8);
    let committed = recorder.committed();
    assert!(committed[..4] == committed[4..8] && committed[..4] == committed[8..]);
    // Another translation gives other names.
    receiver.apply(Translation { convert_histograms_to_nhcb: true, ..Translation::default() });
    sent(&receiver, histogram.clone()).unwrap();
    assert_eq!(recorder.resolved(), 9);
    receiver.export(&TenantId("other".into()), &body(histogram)).unwrap();
    assert_eq!(recorder.resolved(), 10);
}

#[test]
fn deltas_count_only_once_they_are_stored() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let options = Options { delta: DeltaMode::Accumulate, max_delta_streams: 1, ..Options::default() };
    let receiver = receiver(&recorder, options, &registry);
    sent(&receiver, json!([delta(NOW_MS - 30, 5)])).unwrap();
    recorder.fail_commit(Some(AppendError::Storage("disk full".to_owned())));
    assert_eq!(sent(&receiver, json!([delta(NOW_MS - 20, 7)])).unwrap_err().code, Code::Unavailable);
    recorder.fail_commit(None);
    sent(&receiver, json!([delta(NOW_MS - 20, 7)])).unwrap();
    // What comes again was counted: the request stands, the point does not.
    let again = sent(&receiver, json!([delta(NOW_MS - 20, 7)])).unwrap();
    assert_eq!(again.rejected_data_points, 1);
    let values: Vec<_> = recorder.committed().iter().map(|sample| sample["v"].clone()).collect();
    assert_eq!(values, ["5", "12"]);
    let mut other = delta(NOW_MS, 1);
    other["name"] = "other".into();
    let refused = sent(&receiver, json!([other])).unwrap();
    assert!(refused.error_message.starts_with("otlp.delta.max-streams: 1 streams"), "{refused:?}");
    let dropped =
        |reason: &str| counter(&registry, &format!("bartizan_otlp_deltas_dropped_total{{reason={reason}}}"));
    assert_eq!((dropped("out_of_order"), dropped("limit"), dropped("older_start")), (1.0, 1.0, 0.0));
}

#[test]
fn streams_that_end_are_forgotten() {
    let deltas = Deltas::new(10);
    let key = crate::cache::Key([1, 2]);
    let add = |now_s: u64, time_ns: u64| {
        let mut point =
            wire::otlp::NumberPoint { value: Some(wire::otlp::Number::Int(1)), ..Default::default() };
        point.head.time_ns = time_ns;
        let mut turn = deltas.begin(Duration::from_secs(now_s));
        turn.number(key, &mut point).unwrap();
        turn.keep();
        point.value
    };
    assert_eq!(add(100, 1), Some(wire::otlp::Number::Int(1)));
    assert_eq!(add(399, 2), Some(wire::otlp::Number::Int(2)));
    drop(deltas.begin(Duration::from_secs(760)));
    assert_eq!(deltas.len(), 0);
    assert_eq!(add(761, 3), Some(wire::otlp::Number::Int(1)));
}

#[test]
fn zeros_mark_where_counting_began() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options { zero_at_start: true, ..Options::default() }, &registry);
    let start_ms = NOW_MS - 1000;
    let point = json!({"startTimeUnixNano": nanoseconds(start_ms), "timeUnixNano": nanoseconds(NOW_MS), "count": 2,
        "scale": 3, "positive": {"bucketCounts": [2]}});
    let metric =
        json!({"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point]}});
    sent(&receiver, json!([metric])).unwrap();
    let committed = recorder.committed();
    assert_eq!((&committed[0]["t"], &committed[1]["t"]), (&json!(start_ms), &json!(NOW_MS)));
    assert_eq!((&committed[0]["h"]["count"], &committed[0]["h"]["schema"]), (&json!(0), &json!(3)));
    assert_eq!(committed[0]["h"]["hint"], json!(1));
}

#[test]
fn buckets_that_are_joined_stay_where_they_belong() {
    // Two empty buckets first, then two that become one.
    let point = wire::otlp::ExponentialPoint {
        scale: 9,
        count: 7,
        positive: wire::otlp::Buckets { offset: 0, counts: vec![0, 0, 3, 4] },
        ..Default::default()
    };
    let histogram = histogram::from_exponential(&point, Temporality::Cumulative).unwrap();
    assert_eq!(histogram.positive_spans, [model::Span { offset: 2, length: 1 }]);
    assert_eq!(histogram.positive_buckets, [7]);
    assert!(histogram.validate().is_ok());
}

#[test]
fn hostile_histograms_cost_little() {
    let deltas = Deltas::new(10);
    let key = crate::cache::Key([1, 2]);
    for (time_ns, (scale, offset)) in
        (1..).zip([(20, i32::MIN), (20, i32::MAX - 1), (-5, i32::MIN), (i32::MIN, 5), (i32::MAX, 5)])
    {
        let mut point = wire::otlp::ExponentialPoint {
            scale,
            zero_threshold: f64::INFINITY,
            positive: wire::otlp::Buckets { offset, counts: vec![1, 1] },
            negative: wire::otlp::Buckets { offset: -offset.saturating_abs(), counts: vec![u64::MAX, 1] },
            ..Default::default()
        };
        point.head.time_ns = time_ns;
        let mut turn = deltas.begin(Duration::ZERO);
        turn.exponential(key, &mut point).unwrap();
        turn.keep();
        assert!(point.positive.counts.len() + point.negative.counts.len() < 400);
        let _ = histogram::from_exponential(&point, Temporality::Delta);
    }
}

#[test]
fn target_info_is_bounded_however_far_apart_the_points_are() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options::default(), &registry);
    let attributes = json!([{"key": "service.name", "value": {"stringValue": "s"}}, {"key": "h", "value": {"stringValue": "1"}}]);
    let request = json!({"resourceMetrics": [{"resource": {"attributes": attributes},
        "scopeMetrics": [{"metrics": [gauge("a", 0), gauge("b", NOW_MS)]}]}]});
    let body = wire::otlp::json::to_protobuf(request.to_string().as_bytes()).unwrap();
    receiver.export(&TenantId::default(), &body).unwrap();
    let committed = recorder.committed();
    assert_eq!(committed.len(), 2 + 1001);
    assert_eq!(committed.last().unwrap()["t"], json!(NOW_MS));
}

#[test]
fn labels_are_bounded_however_often_a_histogram_repeats_them() {
    let (recorder, registry) = (Recorder::default(), Registry::new());
    let receiver = receiver(&recorder, Options::default(), &registry);
    let histogram = |value_bytes: usize, buckets: usize| {
        let bounds: Vec<_> = (0..buckets).collect();
        json!([{"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"timeUnixNano": nanoseconds(NOW_MS), "count": 0, "bucketCounts": vec![0; buckets + 1], "explicitBounds": bounds,
             "attributes": [{"key": "a", "value": {"stringValue": "x".repeat(value_bytes)}}]}]}}])
    };
    let status = sent(&receiver, histogram(1 << 20, 1)).unwrap_err();
    assert!(status.message.starts_with("labels of a series have 1048"), "{}", status.message);
    let status = sent(&receiver, histogram(1_000_000, 100)).unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted);
    assert!(recorder.resolved() < 70, "{}", recorder.resolved());
    assert!(sent(&receiver, histogram(100_000, 100)).is_ok());
}
