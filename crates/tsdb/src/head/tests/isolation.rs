use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Writers commit the same value to all their series; readers must never see two values at one time.
#[test]
fn a_reader_never_sees_half_a_commit() {
    const SERIES: usize = 400;
    let fixture = Fixture::new(HeadOptions { wal: false, out_of_order_window_ms: 50_000, ..options() });
    let head = fixture.head();
    let done = AtomicBool::new(false);
    let (writers, done) = (4, &done);
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for writer in 0..writers {
            running.push(scope.spawn(move || {
                let name = format!("w{writer}");
                let mut appender = Box::new(head.head_appender());
                let refs: Vec<_> =
                    (0..SERIES).map(|i| appender.resolve(&series(&name, i)).unwrap()).collect();
                drop(appender);
                for t in 1..150_i64 {
                    let mut appender = Box::new(head.head_appender());
                    for &r in &refs {
                        append(&mut *appender, r, t * 100, t as f64).unwrap();
                        if t % 7 == 0 {
                            append(&mut *appender, r, t * 100 - 650, t as f64).unwrap();
                        }
                    }
                    appender.commit().unwrap();
                }
            }));
        }
        for reader in 0..2 {
            scope.spawn(move || {
                let mut round = reader;
                let mut last_seen = [0; 4];
                while !done.load(Ordering::Relaxed) {
                    let writer = round % writers;
                    let name = format!("w{writer}");
                    round += 1;
                    let all = read(head, vec![Matcher::equal("__name__", name.as_str())], TimeRange::ALL);
                    let Some((_, first)) = all.first() else { continue };
                    assert_eq!(all.len(), SERIES, "some series of a commit are missing");
                    for (labels, samples) in &all {
                        assert_eq!(samples, first, "{labels} differs from the first series");
                    }
                    let newest = *first.timestamps_ms.last().unwrap();
                    assert!(newest >= last_seen[writer], "time goes backwards");
                    last_seen[writer] = newest;
                }
            });
        }
        for writer in running {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let all = read(head, vec![Matcher::equal("__name__", "w0")], TimeRange::ALL);
    assert_eq!(all[0].1.len(), 149 + 149 / 7);
}

#[test]
fn a_set_does_not_see_commits_after_it_however_many_come() {
    let fixture = Fixture::new(HeadOptions { wal: false, ..options() });
    let head = fixture.head();
    commit(head, &[(series("m", 0), 1, 1.0), (series("m", 1), 1, 1.0)]);
    let ctx = QueryContext::unbounded();
    let set = head.select_head(&request(vec![]), &ctx).unwrap();
    for t in 2..500 {
        commit(head, &[(series("m", 0), t * 10, t as f64), (series("m", 1), t * 10, t as f64)]);
    }
    for i in 0..2 {
        let (mut all, mut last) = (SampleColumns::default(), SampleColumns::default());
        set.read(i, TimeRange::ALL, &mut all, &ctx).unwrap();
        set.read_last(i, TimeRange::ALL, &mut last, &ctx).unwrap();
        assert_eq!((all.timestamps_ms, last.timestamps_ms), (vec![1], vec![1]));
    }
}
