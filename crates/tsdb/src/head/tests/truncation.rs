use std::sync::mpsc;

use model::{LabelRequest, SeriesSource};

use super::*;
use crate::chunk_source::ChunkSource;

/// Series that live all the time, and one that ends early.
fn fill(head: &Head, from: i64, to: i64) {
    for t in from..to {
        let mut samples: Vec<_> = (0..5).map(|i| (series("m", i), t * 1_000, t as f64)).collect();
        if t < 100 {
            samples.push((series("ended", 0), t * 1_000, t as f64));
        }
        commit(head, &samples);
    }
}

#[test]
fn truncation_forgets_samples_series_strings_and_files() {
    let mut fixture = Fixture::new(options());
    for from in (0..1_000).step_by(100) {
        fill(fixture.head(), from, from + 100);
        fixture.head().inner.wal.get().unwrap().next_segment().unwrap();
    }
    let head = fixture.head().clone();
    assert!(head.compactable());
    head.truncate(700_000).unwrap();
    assert_eq!((head.min_ms(), head.max_ms()), (700_000, 999_000));
    assert_eq!(head.series_count(), 5);
    let names = head.label_values("__name__", &LabelRequest::default(), &QueryContext::unbounded()).unwrap();
    assert_eq!(names, ["m"]);
    assert!(head.inner.index.read().index.symbols.find("ended").is_none());
    let kept = read(&head, vec![], TimeRange::ALL);
    assert_eq!(kept.len(), 5);
    assert_eq!(kept[0].1.timestamps_ms, (700..1_000).map(|t| t * 1_000).collect::<Vec<_>>());
    assert_eq!(commit(&head, &[(series("m", 0), 699_999, 1.0)]), [Err(AppendError::OutOfBounds)]);
    let checkpoints = crate::wal::segment::list_checkpoints(&fixture.path().join("wal")).unwrap();
    assert_eq!(checkpoints.len(), 1);
    // The series may come back, as another one.
    assert_eq!(commit(&head, &[(series("ended", 0), 1_000_000, 5.0)]), [Ok(())]);
    let before = dump(&head);
    assert_eq!(dump(fixture.open_from(700_000)), before);
    fill(fixture.head(), 1_001, 1_400);
    fixture.head().truncate(1_200_000).unwrap();
    assert_eq!(fixture.head().series_count(), 5);
    let before = dump(fixture.head());
    assert_eq!(dump(fixture.open_from(1_200_000)), before);
    assert_eq!(fixture.metric("prometheus_tsdb_wal_replay_unknown_refs_total"), 0.0);
}

#[test]
fn a_reference_is_unknown_once_its_series_is_gone_but_not_while_an_appender_holds_it() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    fill(head, 0, 300);
    let mut appender = Box::new(head.head_appender());
    let ended = appender.resolve(&series("ended", 0)).unwrap();
    drop(appender);
    head.truncate(200_000).unwrap();
    let mut appender = Box::new(head.head_appender());
    assert_eq!(append(&mut *appender, ended, 300_000, 1.0), Err(AppendError::UnknownSeries));
    let again = appender.resolve(&series("ended", 0)).unwrap();
    assert_ne!(again, ended);
    // Nothing of the new series is committed yet; it must survive a collection all the same.
    head.inner.collect_garbage(200_000);
    append(&mut *appender, again, 300_000, 9.0).unwrap();
    appender.commit().unwrap();
    let found = read(head, vec![Matcher::equal("__name__", "ended")], TimeRange::ALL);
    assert_eq!(found[0].1.values, [9.0]);
}

#[test]
fn truncation_waits_for_readers_of_what_goes_and_not_for_others() {
    let fixture = Fixture::new(options());
    let head = fixture.head();
    fill(head, 0, 300);
    let ctx = QueryContext::unbounded();
    let old = head.select_head(&request(vec![]), &ctx).unwrap();
    let recent = SelectRequest { range: TimeRange::new(250_000, 300_000), ..request(vec![]) };
    let recent = head.select_head(&recent, &ctx).unwrap();
    std::thread::scope(|scope| {
        let (sender, truncated) = mpsc::channel();
        scope.spawn(move || {
            head.truncate(200_000).unwrap();
            sender.send(()).unwrap();
        });
        // Once the truncation has announced itself, new readers do not hold it up.
        while head.inner.truncated_ms.load(std::sync::atomic::Ordering::SeqCst) < 200_000 {
            std::thread::yield_now();
        }
        let later = head.select_head(&request(vec![]), &ctx).unwrap();
        let mut out = SampleColumns::default();
        old.read(0, TimeRange::ALL, &mut out, &ctx).unwrap();
        assert_eq!(out.timestamps_ms[0], 0);
        assert!(truncated.try_recv().is_err());
        drop(old);
        truncated.recv().unwrap();
        for set in [&later, &recent] {
            let mut out = SampleColumns::default();
            set.read(0, TimeRange::ALL, &mut out, &ctx).unwrap();
            assert!(out.timestamps_ms[0] >= 200_000);
        }
    });
}

#[test]
fn deleted_samples_are_hidden_at_once_and_after_a_restart() {
    let mut fixture = Fixture::new(options());
    fill(fixture.head(), 0, 50);
    let matchers = [Matcher::equal("i", "1")];
    assert_eq!(fixture.head().delete(TimeRange::new(10_000, 45_000), &matchers).unwrap(), 1);
    assert_eq!(fixture.head().delete(TimeRange::new(100_000, 145_000), &matchers).unwrap(), 0);
    let check = |head: &Head| {
        let found = read(head, matchers.to_vec(), TimeRange::ALL);
        let expected: Vec<i64> = (0..10).chain(46..50).map(|t| t * 1_000).collect();
        assert_eq!(found[0].1.timestamps_ms, expected);
        assert_eq!(read(head, vec![Matcher::equal("i", "2")], TimeRange::ALL)[0].1.len(), 50);
    };
    check(fixture.head());
    check(fixture.open());
    let mut source = fixture.head().block_source(TimeRange::new(0, 99_999));
    let mut deleted = Vec::new();
    while let Some(series) = source.next_series().unwrap() {
        deleted.push(series.deleted);
    }
    assert_eq!(deleted.iter().flatten().copied().collect::<Vec<_>>(), [TimeRange::new(10_000, 45_000)]);
}

#[test]
fn the_block_source_yields_all_samples_in_label_order() {
    let fixture = Fixture::new(options());
    fill(fixture.head(), 0, 300);
    let range = TimeRange::new(0, 99_999);
    let mut source = fixture.head().block_source(range);
    let mut symbols = Vec::new();
    source
        .symbols(&mut |symbol| {
            symbols.push(symbol.to_owned());
            Ok(())
        })
        .unwrap();
    assert_eq!(symbols, ["0", "1", "2", "3", "4", "__name__", "ended", "i", "job", "m", "test"]);
    let mut seen = Vec::new();
    while let Some(series) = source.next_series().unwrap() {
        let mut out = SampleColumns::default();
        for chunk in &series.chunks {
            chunkenc::decode_into(&chunk.bytes, chunk.encoding, range, usize::MAX, &mut out).unwrap();
        }
        assert_eq!(out.timestamps_ms, (0..100).map(|t| t * 1_000).collect::<Vec<_>>());
        seen.push(series.labels);
    }
    assert!(seen.is_sorted());
    assert_eq!(seen.len(), 6);
}
