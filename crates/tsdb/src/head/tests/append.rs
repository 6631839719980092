use std::collections::BTreeMap;

use model::{LabelRequest, MatchOp, Metadata, SeriesSource, stale_nan};
use proptest::prelude::*;

use super::*;

#[test]
fn samples_are_read_back_across_chunk_cuts() {
    let fixture = Fixture::new(options());
    for t in 0..1_000 {
        let samples: Vec<_> = (0..300).map(|i| (series("m", i), t * 100, (t * i as i64) as f64)).collect();
        assert!(commit(fixture.head(), &samples).iter().all(Result::is_ok));
    }
    assert!(fixture.metric("prometheus_tsdb_mmap_chunks_total") > 300.0 * 6.0);
    let all = read(fixture.head(), vec![Matcher::equal("__name__", "m")], TimeRange::ALL);
    assert_eq!(all.len(), 300);
    for (labels, samples) in &all {
        let i: i64 = labels.get_or_empty("i").parse().unwrap();
        assert_eq!(samples.timestamps_ms, (0..1_000).map(|t| t * 100).collect::<Vec<_>>());
        assert_eq!(samples.values, (0..1_000).map(|t| (t * i) as f64).collect::<Vec<_>>());
    }
    let some = read(fixture.head(), vec![Matcher::equal("i", "7")], TimeRange::new(25_050, 25_300));
    assert_eq!(some[0].1.timestamps_ms, [25_100, 25_200, 25_300]);
}

#[test]
fn refusals_are_those_of_the_reference() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    let m = series("m", 0);
    assert_eq!(commit(head, &[(m.clone(), 1_000_000, 1.0)]), [Ok(())]);
    assert_eq!(commit(head, &[(m.clone(), 1_000_000, 1.0)]), [Ok(())]);
    let duplicate = AppendError::DuplicateTimestamp { existing: 1.0, new: 2.0 };
    assert_eq!(commit(head, &[(m.clone(), 1_000_000, 2.0)]), [Err(duplicate)]);
    assert_eq!(commit(head, &[(m.clone(), 999_999, 2.0)]), [Err(AppendError::OutOfOrder)]);
    assert_eq!(commit(head, &[(m.clone(), 949_999, 2.0)]), [Err(AppendError::OutOfBounds)]);
    assert_eq!(commit(head, &[(series("m", 1), 950_000, 2.0)]), [Ok(())]);
    assert!(matches!(commit(head, &[(Labels::empty(), 1, 1.0)])[..], [Err(AppendError::InvalidLabels(_))]));
    let mut appender = Box::new(head.head_appender());
    assert_eq!(append(&mut *appender, SeriesRef(77), 1_000_001, 1.0), Err(AppendError::UnknownSeries));
    assert_eq!(append(&mut *appender, SeriesRef(u64::MAX), 1_000_001, 1.0), Err(AppendError::UnknownSeries));
    drop(appender);
    assert_eq!(fixture.metric("prometheus_tsdb_out_of_order_samples_total"), 1.0);
    assert_eq!(fixture.metric("prometheus_tsdb_out_of_bound_samples_total"), 1.0);
    assert_eq!(fixture.metric("prometheus_tsdb_head_samples_appended_total"), 2.0);
}

#[test]
fn a_dropped_transaction_leaves_no_sample() {
    let fixture = Fixture::new(options());
    let mut appender = Box::new(fixture.head().head_appender());
    let m = appender.resolve(&series("m", 0)).unwrap();
    append(&mut *appender, m, 1, 1.0).unwrap();
    drop(appender);
    assert_eq!(dump(fixture.head()), "");
    assert_eq!(commit(fixture.head(), &[(series("m", 0), 1, 2.0)]), [Ok(())]);
}

#[test]
fn the_series_limit_refuses_only_new_series_and_names_them() {
    let fixture = Fixture::new(HeadOptions { series_limit: 2, ..options() });
    let head = fixture.head();
    commit(head, &[(series("a", 0), 1, 1.0), (series("a", 1), 1, 1.0)]);
    let results =
        commit(head, &[(series("a", 0), 2, 1.0), (series("b", 0), 2, 1.0), (series("a", 1), 2, 1.0)]);
    let refused = AppendError::SeriesLimit { limit: 2, metric: "b".to_owned() };
    assert_eq!(results, [Ok(()), Err(refused), Ok(())]);
    assert_eq!(head.refused_series(), [("b".to_owned(), 1)]);
    head.set_series_limit(3);
    assert_eq!(commit(head, &[(series("b", 0), 3, 1.0)]), [Ok(())]);
}

#[test]
fn histograms_floats_and_staleness_markers_alternate() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    for t in 0..400_i64 {
        let mut appender = Box::new(head.head_appender());
        let m = appender.resolve(&series("m", 0)).unwrap();
        let f = appender.resolve(&series("f", 0)).unwrap();
        let h = integer_histogram(t as u64);
        match t % 100 {
            0..50 => appender.append(m, 0, t, SampleValue::Histogram(&h)).unwrap(),
            50 | 99 => append(&mut *appender, m, t, stale_nan()).unwrap(),
            51..80 => append(&mut *appender, m, t, t as f64).unwrap(),
            _ => appender.append(m, 0, t, SampleValue::FloatHistogram(&h.to_float())).unwrap(),
        }
        appender.append(f, 0, t, SampleValue::FloatHistogram(&h.to_float())).unwrap();
        appender.commit().unwrap();
    }
    let all = read(head, vec![Matcher::equal("__name__", "m")], TimeRange::ALL);
    let samples = &all[0].1;
    assert_eq!(samples.len(), 400);
    for t in 0..400_usize {
        let is_histogram = !(51..80).contains(&(t % 100));
        assert_eq!(samples.histogram(t).is_some(), is_histogram, "at {t}");
        match t % 100 {
            50 | 99 => assert!(model::is_stale_nan(samples.values[t])),
            51..80 => assert_eq!(samples.values[t], t as f64),
            _ => assert_eq!(samples.histogram(t).unwrap().count, 5.0 + t as f64 * 5.0),
        }
    }
    let invalid = model::Histogram { count: 1, ..integer_histogram(3) };
    let mut appender = Box::new(head.head_appender());
    let m = appender.resolve(&series("m", 0)).unwrap();
    let refused = appender.append(m, 0, 500, SampleValue::Histogram(&invalid));
    assert!(matches!(refused, Err(AppendError::InvalidHistogram(_))), "{refused:?}");
}

#[test]
fn start_timestamps_are_kept_when_asked_for() {
    let mut fixture = Fixture::new(HeadOptions { start_timestamps: true, ..options() });
    let head = fixture.head();
    for t in 1..300_i64 {
        let mut appender = Box::new(head.head_appender());
        let m = appender.resolve(&series("m", 0)).unwrap();
        appender.append(m, t / 50, t, SampleValue::Float(t as f64)).unwrap();
        appender.commit().unwrap();
    }
    let check = |head: &Head| {
        let all = read(head, vec![], TimeRange::ALL);
        let starts: Vec<_> = (0..299).map(|i| all[0].1.start_timestamp_ms(i)).collect();
        assert_eq!(starts, (1..300).map(|t| t / 50).collect::<Vec<_>>());
    };
    check(head);
    check(fixture.open());
}

#[test]
fn label_queries_and_stats_count_what_is_there() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    let extra = Labels::from_pairs([("__name__", "other"), ("zone", "x")]);
    let mut samples: Vec<_> = (0..10).map(|i| (series("m", i), 1, 1.0)).collect();
    samples.push((extra, 1, 1.0));
    commit(head, &samples);
    let ctx = QueryContext::unbounded();
    let all = LabelRequest::default();
    assert_eq!(head.label_names(&all, &ctx).unwrap(), ["__name__", "i", "job", "zone"]);
    assert_eq!(head.label_values("__name__", &all, &ctx).unwrap(), ["m", "other"]);
    let of_m = LabelRequest { matchers: vec![Matcher::equal("__name__", "m")], limit: 2, ..all.clone() };
    assert_eq!(head.label_names(&of_m, &ctx).unwrap(), ["__name__", "i"]);
    assert_eq!(head.label_values("i", &of_m, &ctx).unwrap(), ["0", "1"]);
    assert_eq!(head.label_values("zone", &of_m, &ctx).unwrap(), Vec::<String>::new());
    let stats = head.stats("__name__", 2);
    assert_eq!((stats.series, stats.label_pairs), (11, 14));
    let first = |counts: &[crate::head::LabelCount]| (counts[0].name.clone(), counts[0].value);
    assert_eq!(first(&stats.series_by_metric), ("m".to_owned(), 10));
    assert_eq!(first(&stats.values_by_name), ("i".to_owned(), 10));
    assert_eq!(first(&stats.series_by_pair), ("__name__=m".to_owned(), 10));
}

#[test]
fn metadata_is_logged_and_read_back() {
    let mut fixture = Fixture::new(HeadOptions { metadata_records: true, ..options() });
    let metadata = Metadata { metric_type: model::MetricType::Gauge, unit: "s".into(), help: "help".into() };
    let mut appender = Box::new(fixture.head().head_appender());
    let m = appender.resolve(&series("m", 0)).unwrap();
    append(&mut *appender, m, 1, 1.0).unwrap();
    appender.update_metadata(m, &metadata).unwrap();
    appender.commit().unwrap();
    let head = fixture.open();
    assert_eq!(**head.inner.metadata.read().values().next().unwrap(), metadata);
}

fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let name = prop_oneof![Just("__name__"), Just("a"), Just("b"), Just("missing")];
    let value = prop_oneof![
        Just(""),
        Just("0"),
        Just("1"),
        Just("2|3"),
        Just(".*"),
        Just(".+"),
        Just("[01]"),
        Just("m"),
        Just("1.*|")
    ];
    prop::collection::vec((op, name, value), 0..4)
        .prop_map(|all| all.into_iter().map(|(op, n, v)| Matcher::new(op, n, v).unwrap()).collect())
}

proptest! {
    #[test]
    fn matching_equals_asking_every_series(
        // Values enough for each way of narrowing down.
        pairs in prop::collection::btree_set((0..14_u32, 0..5_u32), 1..60),
        matchers in matchers(),
    ) {
        let fixture = Fixture::new(HeadOptions { wal: false, ..options() });
        let value = |v: u32| if v == 0 { String::new() } else { v.to_string() };
        let all: Vec<_> = pairs
            .iter()
            .map(|&(a, b)| Labels::from_pairs([("__name__", "m".to_owned()), ("a", value(a)), ("b", value(b))]))
            .collect();
        commit(fixture.head(), &all.iter().map(|l| (l.clone(), 1, 1.0)).collect::<Vec<_>>());
        let found: Vec<_> =
            read(fixture.head(), matchers.clone(), TimeRange::ALL).into_iter().map(|(labels, _)| labels).collect();
        let mut expected: Vec<_> = all
            .into_iter()
            .filter(|labels| matchers.iter().all(|m| m.matches(labels.get_or_empty(&m.name))))
            .collect();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_head_equals_a_map_and_so_does_its_replay(
        steps in prop::collection::vec((0..6_usize, 0..400_i64, any::<bool>()), 1..200),
        compress in any::<bool>(),
    ) {
        let compression =
            if compress { crate::wal::Compression::Zstd } else { crate::wal::Compression::None };
        let mut fixture = Fixture::new(HeadOptions { wal_compression: compression, ..options() });
        let mut expected: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        let (mut t_ms, mut pending) = (0, Vec::new());
        for (i, (which, step, flush)) in steps.into_iter().enumerate() {
            t_ms += step;
            pending.push((series("m", which), t_ms, i as f64));
            if flush {
                for ((labels, t_ms, value), done) in pending.iter().zip(commit(fixture.head(), &pending)) {
                    let of_series = expected.entry(labels.clone()).or_default();
                    let fresh = of_series.last().is_none_or(|&(last, _)| last < *t_ms);
                    // Within a transaction a repeated time is only noticed, and dropped, at its end.
                    if done.is_ok() && fresh {
                        of_series.push((*t_ms, *value));
                    }
                }
                pending.clear();
            }
        }
        let check = |head: &Head| {
            let got: BTreeMap<_, Vec<_>> = read(head, vec![], TimeRange::ALL)
                .into_iter()
                .map(|(l, s)| (l, s.timestamps_ms.iter().copied().zip(s.values.iter().copied()).collect()))
                .collect();
            assert_eq!(got, expected);
        };
        check(fixture.head());
        check(fixture.open());
        check(fixture.open());
    }
}
