use model::stale_nan;

use super::*;
use crate::chunk_source::ChunkSource;

fn stale(series: Labels, t_ms: i64) -> (Labels, i64, f64) {
    (series, t_ms, stale_nan())
}

/// Ten series with a few samples, of which the first five have ended.
fn fill(head: &Head) {
    for t in 0..30 {
        commit(head, &(0..10).map(|i| (series("m", i), t * 1_000, t as f64)).collect::<Vec<_>>());
    }
    commit(head, &(0..5).map(|i| stale(series("m", i), 30_000)).collect::<Vec<_>>());
}

fn names(head: &Head) -> Vec<String> {
    read(head, vec![], TimeRange::ALL).iter().map(|(labels, _)| labels.get("i").unwrap().to_owned()).collect()
}

#[test]
fn ended_series_leave_the_head_and_stay_away_after_a_restart() {
    let mut fixture = Fixture::new(options());
    let head = fixture.head();
    fill(head);
    assert_eq!(head.stale_share(), 0.5);
    let ended = head.stale_series();
    assert_eq!((ended.len(), ended.range()), (5, Some(TimeRange::new(0, 30_000))));
    let mut source = head.stale_source(&ended, TimeRange::new(0, 99_999));
    let mut in_block = 0;
    while let Some(series) = source.next_series().unwrap() {
        in_block += 1;
        assert_eq!((series.chunks[0].min_ms, series.chunks[0].max_ms), (0, 30_000));
    }
    assert_eq!(in_block, 5);
    assert_eq!(head.evict(&ended).unwrap(), 5);
    assert_eq!(names(head), ["5", "6", "7", "8", "9"]);
    assert_eq!((head.series_count(), head.stale_share()), (5, 0.0));
    assert_eq!(fixture.metric("prometheus_tsdb_head_series_removed_total"), 5.0);
    assert_eq!(fixture.metric("prometheus_tsdb_head_chunks"), 5.0);
    // One comes back as another series.
    commit(head, &[(series("m", 3), 40_000, 7.0)]);
    let back = read(head, vec![Matcher::equal("i", "3")], TimeRange::ALL);
    assert_eq!(back[0].1.timestamps_ms, [40_000]);
    let before = dump(head);
    assert_eq!(dump(fixture.open()), before);
    assert_eq!(fixture.head().series_count(), 6);
    assert_eq!(fixture.metric("prometheus_tsdb_head_stale_series"), 0.0);
    assert_eq!(fixture.head().replay_report().unknown_refs, 0);
    fixture.head().close().unwrap();
    assert_eq!(dump(fixture.open()), before);
}

#[test]
fn series_that_came_back_meanwhile_stay() {
    let fixture = Fixture::new(HeadOptions { out_of_order_window_ms: 50_000, ..options() });
    let head = fixture.head();
    fill(head);
    commit(head, &[(series("m", 4), 12_345, 1.0)]);
    let ended = head.stale_series();
    assert_eq!(ended.len(), 4, "what has samples out of order is not listed");
    commit(head, &[(series("m", 0), 31_000, 1.0), (series("m", 1), 12_345, 1.0)]);
    assert_eq!(head.evict(&ended).unwrap(), 2);
    assert_eq!(names(head), ["0", "1", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_transaction_that_is_open_is_waited_for_and_one_that_begins_holds_its_series() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    fill(head);
    let ended = head.stale_series();
    let mut open = Box::new(head.head_appender());
    let kept = open.resolve(&series("m", 0)).unwrap();
    append(&mut *open, kept, 31_000, 1.0).unwrap();
    std::thread::scope(|scope| {
        let evicting = scope.spawn(|| head.evict(&ended).unwrap());
        while !head.inner.pin_all.load(std::sync::atomic::Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let mut late = Box::new(head.head_appender());
        let held = late.resolve(&series("m", 1)).unwrap();
        open.commit().unwrap();
        assert_eq!(evicting.join().unwrap(), 3);
        append(&mut *late, held, 32_000, 2.0).unwrap();
        late.commit().unwrap();
    });
    assert_eq!(names(head), ["0", "1", "5", "6", "7", "8", "9"]);
    let back = read(head, vec![Matcher::equal("i", "1")], TimeRange::ALL);
    assert_eq!(back[0].1.timestamps_ms.last(), Some(&32_000));
}

#[test]
fn a_reader_keeps_what_it_selected() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    fill(head);
    let ended = head.stale_series();
    let ctx = QueryContext::unbounded();
    let set = head.select_head(&request(vec![Matcher::equal("i", "2")]), &ctx).unwrap();
    std::thread::scope(|scope| {
        let evicting = scope.spawn(|| head.evict(&ended).unwrap());
        while !read(head, vec![Matcher::equal("i", "2")], TimeRange::ALL).is_empty() {
            std::thread::yield_now();
        }
        let mut out = SampleColumns::default();
        set.read(0, TimeRange::ALL, &mut out, &ctx).unwrap();
        assert_eq!((set.labels(0), out.len()), (series("m", 2), 31));
        drop(set);
        assert_eq!(evicting.join().unwrap(), 5);
    });
}
