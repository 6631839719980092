use model::stale_nan;

use super::*;

fn levels(fixture: &Fixture) -> [f64; 3] {
    ["stale_series", "native_histogram_series", "native_histogram_buckets"]
        .map(|name| fixture.metric(&format!("prometheus_tsdb_head_{name}")))
}

fn put(head: &Head, name: &str, t_ms: i64, value: SampleValue<'_>) {
    let mut appender = Box::new(head.head_appender());
    let series = appender.resolve(&series(name, 0)).unwrap();
    appender.append(series, 0, t_ms, value).unwrap();
    appender.commit().unwrap();
}

#[test]
fn histograms_and_stale_series_are_counted_by_their_newest_sample() {
    let mut fixture = Fixture::new(HeadOptions { snapshot_on_shutdown: true, ..options() });
    let head = fixture.head().clone();
    put(&head, "a", 1_000, SampleValue::Histogram(&integer_histogram(1)));
    put(&head, "b", 1_000, SampleValue::FloatHistogram(&float_histogram(1)));
    put(&head, "c", 1_000, SampleValue::Float(1.0));
    assert_eq!(levels(&fixture), [0.0, 2.0, 8.0]);
    let mut wider = integer_histogram(2);
    wider.positive_spans[1].length = 3;
    wider.positive_buckets.push(1);
    wider.count += 4;
    put(&head, "a", 2_000, SampleValue::Histogram(&wider));
    assert_eq!(levels(&fixture), [0.0, 2.0, 9.0]);
    put(&head, "c", 2_000, SampleValue::Float(stale_nan()));
    // The staleness marker of a histogram is a histogram without buckets.
    put(&head, "b", 2_000, SampleValue::Float(stale_nan()));
    assert_eq!(levels(&fixture), [2.0, 2.0, 5.0]);
    drop(head);
    fixture.open();
    assert_eq!(levels(&fixture), [2.0, 2.0, 5.0]);
    let head = fixture.head().clone();
    put(&head, "a", 3_000, SampleValue::Float(1.0));
    assert_eq!(levels(&fixture), [2.0, 1.0, 0.0]);
    put(&head, "c", 3_000, SampleValue::Float(1.0));
    assert_eq!(levels(&fixture), [1.0, 1.0, 0.0]);
    head.close().unwrap();
    drop(head);
    fixture.open();
    assert_eq!(levels(&fixture), [1.0, 1.0, 0.0]);
    fixture.head().truncate(100_000).unwrap();
    assert_eq!(levels(&fixture), [0.0, 0.0, 0.0]);
}

#[test]
fn the_head_tells_of_its_files_exemplars_and_lateness() {
    let mut fixture =
        Fixture::new(HeadOptions { max_exemplars: 7, out_of_order_window_ms: 3_600_000, ..options() });
    for t in 0..300 {
        commit(fixture.head(), &[(series("m", 0), t * 1_000, t as f64)]);
    }
    fixture.head().close().unwrap();
    assert!(fixture.metric("prometheus_tsdb_head_chunks_storage_size_bytes") > 100.0);
    assert_eq!(fixture.metric("prometheus_tsdb_exemplar_max_exemplars"), 7.0);
    assert_eq!(fixture.metric("prometheus_tsdb_isolation_high_watermark"), 300.0);
    fixture.open();
    commit(fixture.head(), &[(series("m", 0), 59_500, 1.0)]);
    let families = fixture.registry.gather();
    let lateness = families.iter().find(|family| family.name == "prometheus_tsdb_sample_ooo_delta").unwrap();
    match &lateness.points[0].value {
        Value::Histogram { sum, count, buckets } => {
            assert_eq!((*sum, *count, buckets.len()), (239.5, 1, 7));
        }
        other => panic!("{other:?}"),
    }
}
