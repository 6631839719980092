//! What goes wrong only seldom: each case made to happen, and mended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blob::fault::FaultyBucket;
use blob::{Bucket, PutIf};
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppendError, LogAppender, LogRange, LogSource, LogSteps};
use model::source::TenantId;

use super::hook::HookedBucket;
use super::store::{DAY, HOUR, Store, append, expected, lines, row, set};
use super::{Row, SimDisk, batches_of, everything, read_told, small_options};
use crate::wal::Disk;
use crate::{LogDb, Options};

#[test]
fn a_damaged_segment_of_the_log_is_kept_when_it_is_not_needed_any_more() {
    for at in [3, 20, 60] {
        let store = Store::new();
        let db = store.open();
        for n in 0..10 {
            append(&db, n..n + 1);
        }
        drop(db);
        store.disk.damage("0000000000000001.wal", |data| data[at] ^= 1);
        let db = store.open();
        let seen = lines(&db);
        assert!(seen.len() >= 9, "{at}");
        assert_eq!(store.metric("loki_ingester_wal_corruptions_total"), 1.0, "{at}");
        db.flush().unwrap();
        assert_eq!(lines(&db), seen);
        assert_eq!(
            store.disk.list().unwrap(),
            ["0000000000000001.wal.damaged", "0000000000000002.wal", "writer"]
        );
        drop(db);
        assert_eq!(lines(&store.open()), seen, "{at}: it is not read again");
    }
}

#[test]
fn it_opens_though_the_bucket_is_away() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..10);
    db.flush().unwrap();
    append(&db, 10..20);
    drop(db);
    let faulty = FaultyBucket::new(store.bucket.clone(), 1);
    set(&faulty, 1000, 0);
    let db = store.open_on(small_options(2), &store.disk, Arc::new(faulty.clone()));
    append(&db, 20..30);
    assert!(db.flush().is_err());
    let (rows, warnings) = read_told(&db, &everything()).unwrap();
    assert_eq!((rows.len(), warnings.len()), (20, 1), "{warnings:?}");
    set(&faulty, 0, 0);
    db.upkeep();
    let (rows, warnings) = read_told(&db, &everything()).unwrap();
    assert_eq!((rows.len(), warnings.len()), (30, 0), "{warnings:?}");
    db.flush().unwrap();
    assert_eq!(lines(&db), expected(0..30));
}

#[test]
fn it_opens_and_is_read_though_the_disk_is_full_and_takes_entries_when_there_is_room() {
    let store = Store::new();
    // Nothing of it is there yet, not even its name.
    store.disk.fail_sometimes(1000);
    let db = store.open();
    let refused = db.append(&TenantId::default(), batches_of(&[row(0)])).unwrap_err();
    assert!(
        matches!(&refused, LogAppendError::Busy(text) if text.contains("cannot be written")),
        "{refused}"
    );
    assert!(db.lack_of_room().is_some());
    store.disk.fail_sometimes(0);
    db.mend_log();
    append(&db, 0..10);
    db.flush().unwrap();
    append(&db, 10..20);
    drop(db);
    let before = store.disk.read("writer").unwrap();
    store.disk.fail_sometimes(1000);
    let db = store.open();
    db.mend_log();
    assert_eq!(lines(&db), expected(0..20));
    assert!(db.append(&TenantId::default(), batches_of(&[row(20)])).is_err());
    assert_eq!(lines(&db), expected(0..20));
    store.disk.fail_sometimes(0);
    db.mend_log();
    append(&db, 20..30);
    assert_eq!(store.disk.read("writer").unwrap(), before);
    drop(db);
    let db = store.open();
    assert_eq!(lines(&db), expected(0..30));
    db.flush().unwrap();
    assert_eq!((lines(&db), db.unflushed_bytes()), (expected(0..30), 0));
}

#[test]
fn a_writer_whose_log_was_taken_away_is_another_one() {
    let store = Store::new();
    let db = store.open();
    for n in 0..5 {
        append(&db, n..n + 1);
        db.flush().unwrap();
    }
    drop(db);
    let disk = SimDisk::new(2);
    disk.replace("writer", &store.disk.read("writer").unwrap()).unwrap();
    // Its generations begin anew, and the bucket cannot be asked for those that were.
    let faulty = FaultyBucket::new(store.bucket.clone(), 1);
    set(&faulty, 1000, 0);
    let db = store.open_on(small_options(2), &disk, Arc::new(faulty.clone()));
    append(&db, 5..6);
    set(&faulty, 0, 0);
    db.flush().unwrap();
    db.load_catalog().unwrap();
    assert_eq!(lines(&db), expected(0..6));
}

#[test]
fn a_log_that_was_flushed_while_it_was_replayed_goes_on_behind_what_was_flushed() {
    let store = Store::new();
    let tomorrow = |n: i64| (row(n).0, row(n).1 + 86_400_000_000_000, row(n).2);
    let append_tomorrow = |db: &LogDb, rows: std::ops::Range<i64>| {
        let rows: Vec<Row> = rows.map(tomorrow).collect();
        db.append(&TenantId::default(), batches_of(&rows)).unwrap();
    };
    let faulty = FaultyBucket::new(store.bucket.clone(), 1);
    let db = store.open_with(Options { memtable_bytes: 1 << 20, ..small_options(1) });
    append(&db, 0..10);
    db.seal();
    append_tomorrow(&db, 10..60);
    drop(db);
    // The first segment cannot be flushed, the second one is. Killed before the third one is there.
    faulty.fail_only("2026-01-15/");
    set(&faulty, 1000, 0);
    store.disk.panic_once();
    let open = || store.open_on(small_options(2), &store.disk, Arc::new(faulty.clone()));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(open)).is_err());
    assert_eq!(store.keys("/manifest"), ["logs/v1/anonymous/2026-01-16/manifest"]);
    store.disk.remove("0000000000000003.wal").unwrap();
    // The manifest, which knows what was flushed, cannot be read.
    faulty.fail_only("");
    let db = store.open_on(small_options(3), &store.disk, Arc::new(faulty.clone()));
    append_tomorrow(&db, 60..70);
    set(&faulty, 0, 0);
    db.upkeep();
    db.flush().unwrap();
    assert_eq!(lines(&db), expected(0..70));
}

#[test]
fn an_object_that_is_named_late_is_stored_again() {
    let store = Store::new();
    let other = store.open_on(small_options(7), &SimDisk::new(7), store.bucket.clone());
    append(&other, 0..1);
    other.flush().unwrap();
    let other = Arc::new(other);
    let calls = Arc::new(AtomicU64::new(0));
    let (clock, at) = (store.clock.clone(), calls.clone());
    let collector = other.clone();
    // After the object was put and before it is named, the machine sleeps for a day, and someone else cleans up.
    let hook = move || {
        if at.fetch_add(1, Ordering::Relaxed) == 3 {
            clock.advance(DAY);
            collector.upkeep();
        }
    };
    let bucket = Arc::new(HookedBucket { inner: store.bucket.clone(), hook: Arc::new(hook) });
    let db = store.open_on(small_options(1), &store.disk, bucket);
    append(&db, 1..10);
    calls.store(0, Ordering::Relaxed);
    db.flush().unwrap();
    assert_eq!(store.metric("loki_compactor_orphans_deleted_total"), 1.0);
    other.load_catalog().unwrap();
    assert_eq!(lines(&other), expected(0..10));
    assert_eq!(read_told(&other, &everything()).unwrap().1, Vec::<String>::new());
}

#[test]
fn a_bucket_that_says_what_is_not_loses_nothing() {
    for seed in 0..50 {
        let store = Store::new();
        let faulty = FaultyBucket::new(store.bucket.clone(), seed);
        let db = store.open_on(small_options(seed), &store.disk, Arc::new(faulty.clone()));
        for n in 0..6 {
            append(&db, n..n + 1);
            set(&faulty, 0, 400);
            // Each answer must be true, whether it is good or bad.
            while db.flush().is_err() {}
            let _ = db.compact_once();
            set(&faulty, 0, 0);
            let fresh = store.open_on(small_options(seed), &SimDisk::new(9), store.bucket.clone());
            assert_eq!(lines(&fresh), expected(0..n + 1), "seed {seed}");
        }
    }
}

#[test]
fn a_day_that_cannot_be_stored_keeps_no_other_from_it() {
    let store = Store::new();
    let faulty = FaultyBucket::new(store.bucket.clone(), 1);
    let db = store.open_on(small_options(1), &store.disk, Arc::new(faulty.clone()));
    let (_, today, _) = row(0);
    let of_day =
        |day: i64| (Labels::from_pairs([("app", "a")]), today + day * 86_400_000_000_000, format!("{day}"));
    let rows: Vec<Row> = (0..4).map(of_day).collect();
    db.append(&TenantId::default(), batches_of(&rows)).unwrap();
    faulty.fail_only("2026-01-16");
    set(&faulty, 1000, 0);
    assert!(db.flush().is_err());
    assert_eq!(store.keys("/manifest").len(), 3);
    assert_eq!(store.metric("loki_ingester_flush_stuck_days"), 1.0);
    assert!(db.flush_due().is_ok(), "it is left alone for a while");
    store.clock.advance(Duration::from_secs(2));
    assert!(db.flush_due().is_err());
    set(&faulty, 0, 0);
    store.clock.advance(Duration::from_secs(5));
    db.flush_due().unwrap();
    assert_eq!((store.keys("/manifest").len(), db.unflushed_bytes()), (4, 0));
    assert_eq!(store.metric("loki_ingester_flush_stuck_days"), 0.0);
    let long = TenantId("ä".repeat(100).into());
    assert!(db.append(&long, batches_of(&rows)).is_err(), "nobody could ever store it");
}

#[test]
fn what_is_stored_is_told_in_numbers() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..10);
    let tenant = TenantId::default();
    let before = db.overview(&tenant);
    assert!(before.memory_streams > 0 && before.memory_bytes > 0 && before.wal_bytes > 0, "{before:?}");
    assert!(before.days.is_empty());
    db.flush().unwrap();
    let after = db.overview(&tenant);
    let (objects, day) = (db.objects(), &after.days[0]);
    assert_eq!((after.memory_streams, after.waiting, day.day), (0, 0, objects[0].1));
    assert_eq!(after.days.iter().map(|day| day.entries).sum::<u64>(), 10);
    let bytes: u64 = objects.iter().map(|(_, _, object)| object.size_bytes).sum();
    assert_eq!(after.days.iter().map(|day| day.size_bytes).sum::<u64>(), bytes);
    assert_eq!((&*day.levels, day.quarantined), (&[day.objects][..], 0));
    assert!(db.overview(&TenantId("nobody".into())).days.is_empty());
}

#[test]
fn an_object_is_lost_when_it_is_missing_again_and_again_and_taken_back_when_it_is_there() {
    let store = Store::new();
    let db = store.open();
    for part in [0..10, 10..20] {
        append(&db, part);
        db.flush().unwrap();
    }
    drop(db);
    let db = store.open();
    let key = &store.keys(".parquet")[0];
    let data = store.bucket.get(key, u64::MAX).unwrap().0;
    store.bucket.delete(key).unwrap();
    let (rows, warnings) = read_told(&db, &everything()).unwrap();
    assert!(rows.len() == 10 && warnings.len() == 1, "{warnings:?}");
    db.upkeep();
    assert_eq!(db.objects().len(), 2, "once proves nothing");
    for _ in 0..3 {
        store.clock.advance(Duration::from_secs(61));
        db.upkeep();
    }
    assert_eq!(db.objects().len(), 1);
    store.bucket.put(key, data, &PutIf::Absent).unwrap();
    store.clock.advance(DAY + HOUR);
    db.upkeep();
    assert_eq!(lines(&db), expected(0..20));
}

#[test]
fn objects_with_many_entries_past_their_time_are_written_anew() {
    let store = Store::new();
    let rule = crate::RetentionRule {
        tenant: None,
        matchers: vec![model::Matcher::equal("app", "short")],
        period: Some(DAY),
    };
    let retention = crate::Retention { default: Some(DAY * 30), rules: Arc::new(vec![rule]) };
    let db = store.open_with(Options { retention, ..small_options(1) });
    let short = |n: i64| (Labels::from_pairs([("app", "short")]), row(n).1, format!("brief {n}"));
    db.append(&TenantId::default(), batches_of(&(0..10).map(short).collect::<Vec<_>>())).unwrap();
    append(&db, 0..10);
    db.flush().unwrap();
    // The day is over, and its object is as it should be.
    store.clock.advance(DAY + HOUR * 3);
    db.upkeep();
    let rows = |db: &LogDb| db.objects().iter().map(|(_, _, object)| object.rows).sum::<u64>();
    assert_eq!(rows(&db), 10, "compaction leaves out what is past its time");
    let short = |n: i64| {
        (Labels::from_pairs([("app", "short")]), row(n).1 + 86_400_000_000_000, format!("brief {n}"))
    };
    db.append(&TenantId::default(), batches_of(&(0..10).map(short).collect::<Vec<_>>())).unwrap();
    db.flush().unwrap();
    store.clock.advance(HOUR * 20);
    db.upkeep();
    assert_eq!(rows(&db), 20);
    store.clock.advance(HOUR * 10);
    db.upkeep();
    assert_eq!(rows(&db), 10, "a final object, too");
}

#[test]
fn an_entry_past_its_time_is_not_seen_though_others_of_its_run_are() {
    let store = Store::new();
    let retention = crate::Retention { default: Some(HOUR), ..Default::default() };
    let db = store.open_with(Options { retention, ..small_options(1) });
    let minutes =
        |n: i64| (Labels::from_pairs([("app", "a")]), row(0).1 + n * 60_000_000_000, format!("{n}"));
    db.append(&TenantId::default(), batches_of(&(0..10).map(minutes).collect::<Vec<_>>())).unwrap();
    for _ in 0..2 {
        assert_eq!(lines(&db).len(), 10);
        db.flush().unwrap();
    }
    store.clock.advance(HOUR + Duration::from_secs(4 * 60));
    assert_eq!(lines(&db), ["4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_day_of_many_small_objects_is_written_anew_a_few_times_only() {
    let store = Store::new();
    let options = Options {
        target_object_bytes: 10 << 20,
        max_compaction_inputs: 4,
        compaction_inputs: 3,
        ..small_options(1)
    };
    let db = store.open_with(options);
    for first in 0..100 {
        append(&db, first * 10..(first + 1) * 10);
        db.flush().unwrap();
    }
    let flushed: u64 = db.objects().iter().map(|(_, _, object)| object.size_bytes).sum();
    store.clock.advance(DAY * 2);
    while db.compact_once().unwrap() {}
    assert_eq!(db.objects().len(), 1);
    assert_eq!(lines(&db), expected(0..1000));
    // Each time four become one at least: a hundred are one after four times, and filters and indices become fewer.
    let written = store.metric("loki_compactor_written_bytes_total");
    assert!(written < flushed as f64 * 4.0, "{written} bytes were written of {flushed}");
}

#[test]
fn late_entries_do_not_have_a_day_written_anew_each_time() {
    let store = Store::new();
    let roomy = Options {
        max_unflushed_bytes: 10 << 20,
        memtable_bytes: 10 << 20,
        target_object_bytes: 10 << 20,
        ..small_options(1)
    };
    let db = store.open_with(roomy);
    append(&db, 0..100_000);
    db.flush().unwrap();
    store.clock.advance(DAY * 2);
    db.upkeep();
    let written = |db: &LogDb| db.objects().iter().map(|(_, _, object)| object.id).min().unwrap();
    let first = written(&db);
    for n in 100_000..100_006 {
        append(&db, n..n + 1);
        db.flush().unwrap();
        store.clock.advance(Duration::from_secs(60));
        db.upkeep();
        assert_eq!(written(&db), first, "the object of the day stays");
    }
    assert!(db.objects().len() < 6, "late entries are taken together");
    store.clock.advance(HOUR * 2);
    db.upkeep();
    assert_eq!(db.objects().len(), 1);
    assert_eq!(lines(&db), expected(0..100_006));
}

#[test]
fn whoever_waits_is_answered_when_the_one_who_writes_panics() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..1);
    store.disk.panic_once();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| append(&db, 1..2)));
    assert!(outcome.is_err());
    append(&db, 2..3);
    assert_eq!(lines(&db), expected([0, 2].into_iter()));
    db.flush().unwrap();
    assert_eq!(lines(&db), expected([0, 2].into_iter()));
}

#[test]
fn volumes_count_each_entry_once_and_steps_are_parts_of_them() {
    let store = Store::new();
    let (db, other) = (store.open(), store.open_on(small_options(9), &SimDisk::new(9), store.bucket.clone()));
    append(&db, 0..50);
    db.flush().unwrap();
    append(&other, 25..75);
    other.flush().unwrap();
    append(&db, 70..80);
    db.load_catalog().unwrap();
    let ctx = QueryContext::unbounded();
    let matchers = [model::Matcher::equal("app", "a")];
    let range = LogRange { start_ns: row(0).1, end_ns: row(80).1 };
    let all = db.volumes(range, &matchers, &ctx).unwrap();
    assert_eq!(all.iter().map(|volume| volume.entries).sum::<u64>(), 80);
    for step_ns in [1, 3, 7, 1000].map(|rows| rows * (row(1).1 - row(0).1)) {
        let steps = LogSteps { range, step_ns };
        let mut by_step = vec![0; steps.count()];
        db.volumes_by_step(steps, &matchers, &ctx, &mut |_, step, bytes| {
            by_step[step] += bytes;
            Ok(())
        })
        .unwrap();
        for (step, bytes) in by_step.iter().enumerate() {
            let asked = db.volumes(steps.at(step), &matchers, &ctx).unwrap();
            assert_eq!(*bytes, asked.iter().map(|volume| volume.bytes).sum::<u64>(), "{step} of {step_ns}");
        }
    }
}

#[test]
fn retention_that_changes_holds_at_once() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..10);
    db.flush().unwrap();
    store.clock.advance(DAY * 2);
    assert_eq!(lines(&db), expected(0..10));
    db.set_retention(crate::Retention { default: Some(DAY), ..crate::Retention::default() });
    assert_eq!(lines(&db), Vec::<String>::new());
    db.set_retention(crate::Retention::default());
    assert_eq!(lines(&db), expected(0..10));
    db.set_retention(crate::Retention { default: Some(HOUR), ..crate::Retention::default() });
    db.retain().unwrap();
    assert!(db.objects().is_empty());
}
