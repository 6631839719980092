use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn late_options() -> HeadOptions {
    HeadOptions { out_of_order_window_ms: 80_000, out_of_order_capacity: 4, ..options() }
}

#[test]
fn late_samples_are_merged_and_survive_a_restart() {
    let mut fixture = Fixture::new(late_options());
    let m = series("m", 0);
    commit(fixture.head(), &[(m.clone(), 100_000, 1.0)]);
    for t in (90_000..99_000).rev().step_by(500) {
        assert_eq!(commit(fixture.head(), &[(m.clone(), t, t as f64)]), [Ok(())]);
    }
    assert_eq!(commit(fixture.head(), &[(m.clone(), 19_999, 1.0)]), [Err(AppendError::TooOld)]);
    let mut appender = Box::new(fixture.head().head_appender());
    let r = appender.resolve(&m).unwrap();
    appender.append(r, 0, 50_000, SampleValue::Histogram(&integer_histogram(1))).unwrap();
    appender.append(r, 0, 50_001, SampleValue::FloatHistogram(&float_histogram(2))).unwrap();
    appender.commit().unwrap();
    let before = dump(fixture.head());
    assert_eq!(before.lines().count(), 1 + 18 + 1 + 2);
    assert_eq!(fixture.metric("prometheus_tsdb_head_out_of_order_samples_appended_total"), 20.0);
    assert_eq!(dump(fixture.open()), before);
    assert_eq!(dump(fixture.open()), before);
    assert_eq!(fixture.head().out_of_order_bounds(), Some((50_000, 98_999)));
}

#[test]
fn compacted_late_samples_are_forgotten_with_their_log() {
    let mut fixture = Fixture::new(late_options());
    let m = series("m", 0);
    commit(fixture.head(), &[(m.clone(), 100_000, 1.0)]);
    for t in 0..10 {
        commit(fixture.head(), &[(m.clone(), 90_000 + t, 2.0)]);
    }
    let cut = fixture.head().cut_out_of_order().unwrap().unwrap();
    assert_eq!((cut.range.start_ms, cut.range.end_ms), (90_000, 90_009));
    commit(fixture.head(), &[(m.clone(), 95_000, 3.0)]);
    let mut source = fixture.head().out_of_order_source(&cut, cut.range);
    use crate::chunk_source::ChunkSource;
    let taken = source.next_series().unwrap().unwrap();
    assert_eq!(taken.labels, m);
    let samples: u32 =
        taken.chunks.iter().map(|c| u32::from(chunkenc::num_samples(&c.bytes, c.encoding).unwrap())).sum();
    assert_eq!(samples, 10);
    assert_eq!(source.next_series().unwrap(), None);
    fixture.head().truncate_out_of_order(cut.chunk, cut.wbl_segment).unwrap();
    let times = |head: &Head| read(head, vec![], TimeRange::ALL)[0].1.timestamps_ms.clone();
    assert_eq!(times(fixture.head()), [95_000, 100_000]);
    assert_eq!(times(fixture.open()), [95_000, 100_000]);
}

proptest! {
    #[test]
    fn samples_in_any_order_equal_a_map_before_and_after_replay(
        steps in prop::collection::vec((0..3_usize, 0..80_i64), 1..150),
    ) {
        let mut fixture = Fixture::new(late_options());
        let mut expected: BTreeMap<Labels, BTreeMap<i64, f64>> = BTreeMap::new();
        for (i, (which, t)) in steps.into_iter().enumerate() {
            let labels = series("m", which);
            let (t_ms, value) = (t * 500, i as f64);
            let known = expected.entry(labels.clone()).or_default();
            if known.contains_key(&t_ms) {
                continue;
            }
            if commit(fixture.head(), &[(labels, t_ms, value)])[0].is_ok() {
                known.insert(t_ms, value);
            }
        }
        expected.retain(|_, samples| !samples.is_empty());
        let check = |head: &Head| {
            let got: BTreeMap<_, BTreeMap<_, _>> = read(head, vec![], TimeRange::ALL)
                .into_iter()
                .map(|(l, s)| (l, s.timestamps_ms.iter().copied().zip(s.values.iter().copied()).collect()))
                .collect();
            assert_eq!(got, expected);
        };
        check(fixture.head());
        check(fixture.open());
    }
}

#[test]
fn a_sample_that_must_be_in_order_is_refused_even_where_late_ones_are_taken() {
    let fixture = Fixture::new(HeadOptions { out_of_order_window_ms: 60_000, ..options() });
    let head = fixture.head();
    commit(head, &[(series("m", 0), 50_000, 1.0)]);
    let mut appender = Box::new(head.head_appender());
    let m = appender.resolve(&series("m", 0)).unwrap();
    assert_eq!(appender.append_in_order(m, 40_000, SampleValue::Float(2.0)), Err(AppendError::OutOfOrder));
    let histogram = integer_histogram(1);
    let late = appender.append_in_order(m, 40_000, SampleValue::Histogram(&histogram));
    assert_eq!(late, Err(AppendError::OutOfOrder));
    assert_eq!(appender.append_in_order(m, -20_000, SampleValue::Float(2.0)), Err(AppendError::TooOld));
    // Only at the commit does it turn out that another transaction was faster.
    appender.append_in_order(m, 60_000, SampleValue::Float(3.0)).unwrap();
    append(&mut *appender, m, 41_000, 4.0).unwrap();
    commit(head, &[(series("m", 0), 70_000, 5.0)]);
    appender.commit().unwrap();
    let all = read(head, vec![], TimeRange::ALL);
    assert_eq!(all[0].1.timestamps_ms, [41_000, 50_000, 70_000]);
    assert_eq!(fixture.metric("prometheus_tsdb_out_of_order_samples_total"), 3.0);
    let before = dump(head);
    let mut fixture = fixture;
    assert_eq!(dump(fixture.open()), before);
}
