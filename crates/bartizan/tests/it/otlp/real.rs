//! What OpenTelemetry's SDK sends becomes the series Prometheus would have.

use serde_json::json;

use super::{CONFIG, found, receiving, sdk, send};
use crate::faults::server::Server;

/// Looks at everything the script sends, except what depends on temporality.
#[track_caller]
fn check_series(server: &Server) {
    let requests = "sum by (http_status_code, method, job, instance) (http_requests_total)";
    let labels = |code: &str| json!({"http_status_code": code, "method": "GET", "job": "shop/checkout", "instance": "one"});
    let expected = [(labels("200"), "7".to_owned()), (labels("500"), "2".to_owned())];
    assert_eq!(found(server, requests), expected);
    let buckets = found(server, "sum by (le) (request_duration_seconds_bucket{method='GET'})");
    let bucket = |le: &str, value: &str| (json!({"le": le}), value.to_owned());
    assert_eq!(buckets, [bucket("+Inf", "5"), bucket("0.1", "1"), bucket("0.5", "3"), bucket("1", "4")]);
    assert_eq!(server.number("request_duration_seconds_sum"), Some(4.35));
    assert_eq!(server.number("request_duration_seconds_count"), Some(5.0));
    assert_eq!(server.number("cpu_time_seconds_total"), Some(1.5));
    assert_eq!(server.number("histogram_count(payload_size_bytes)"), Some(4.0));
    assert_eq!(server.number("histogram_sum(payload_size_bytes)"), Some(1007.0));
    assert_eq!(server.number("histogram_fraction(0, 8, payload_size_bytes)"), Some(0.75));
}

#[track_caller]
fn check_gauges(server: &Server) {
    assert_eq!(server.number("queue_length"), Some(3.0));
    let room =
        json!({"__name__": "temperature_celsius", "room": "é", "job": "shop/checkout", "instance": "one"});
    assert_eq!(found(server, "temperature_celsius"), [(room, "36.6".to_owned())]);
    let info = server.query("target_info{job='shop/checkout'}");
    assert_eq!(info[0]["metric"]["host_name"], "machine-1");
    assert_eq!(info[0]["metric"]["weights"], "[1,2]");
    assert_eq!(info[0]["metric"]["service_name"], json!(null));
}

#[test]
fn the_sdk_is_understood_over_http_and_grpc() {
    let Some(python) = sdk("the_sdk_is_understood_over_http_and_grpc") else { return };
    for (protocol, compression) in [("http", "none"), ("http", "gzip"), ("grpc", "none"), ("grpc", "gzip")] {
        let dir = tempfile::tempdir().unwrap();
        let home = receiving(dir.path(), CONFIG).flag("--enable-feature=exemplar-storage");
        let server = home.start();
        let ids = send(&python, &server, protocol, "CUMULATIVE", compression);
        check_series(&server);
        check_gauges(&server);
        let (_, exemplars) = server.api(
            "query_exemplars",
            &[("query", "request_duration_seconds_bucket"), ("start", "0"), ("end", "9999999999")],
        );
        let buckets = exemplars["data"].as_array().unwrap();
        assert!(!buckets.is_empty(), "{exemplars}");
        for exemplar in buckets.iter().flat_map(|bucket| bucket["exemplars"].as_array().unwrap()) {
            assert_eq!(exemplar["labels"]["trace_id"], ids[0]);
            assert_eq!(exemplar["labels"]["span_id"], ids[1]);
        }
        assert_eq!(server.own_metric("bartizan_otlp_data_points_rejected_total"), 0.0);
        // What was acknowledged survives.
        server.kill();
        let server = home.start();
        check_series(&server);
        check_gauges(&server);
    }
}

#[test]
fn deltas_are_refused_added_up_or_stored() {
    let Some(python) = sdk("deltas_are_refused_added_up_or_stored") else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = receiving(dir.path(), CONFIG).start();
    send(&python, &server, "http", "DELTA", "none");
    check_gauges(&server);
    assert_eq!(found(&server, "{__name__=~'http_requests.*|request_duration.*|payload.*|cpu.*'}"), []);
    assert!(server.own_metric("bartizan_otlp_data_points_rejected_total") > 0.0);

    for feature in ["otlp-deltatocumulative", "otlp-native-delta-ingestion"] {
        let dir = tempfile::tempdir().unwrap();
        let server = receiving(dir.path(), CONFIG).flag(format!("--enable-feature={feature}")).start();
        send(&python, &server, "grpc", "DELTA", "gzip");
        check_series(&server);
        check_gauges(&server);
        assert_eq!(server.own_metric("bartizan_otlp_data_points_rejected_total"), 0.0);
    }
}
