//! Requests to delete: what they want gone is gone wherever it is, and stays so.

use std::path::Path;
use std::sync::Arc;

use blob::fault::FaultyBucket;
use blob::local::power::PowerlessFiles;
use blob::{Bucket, LocalBucket};
use model::labels::Labels;
use model::logs::{LogAppender, LogRange};
use model::source::TenantId;

use super::store::{DAY, HOUR, Store, append, expected, lines, row, set};
use super::{SimDisk, batches_of, small_options};
use crate::{DeleteRequest, LogDb, Options};

fn delete(db: &LogDb, first: i64, last: i64) {
    let range = LogRange { start_ns: row(first).1, end_ns: row(last).1 };
    let matchers = vec![model::Matcher::equal("app", "a")];
    db.delete(&TenantId::default(), &DeleteRequest { matchers, lines: vec![], range }).unwrap();
}

#[test]
fn entries_that_are_only_in_the_log_stay_deleted_after_a_crash() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..20);
    delete(&db, 5, 15);
    assert_eq!(lines(&db), expected((0..5).chain(15..20)));
    drop(db);
    let db = store.open();
    assert_eq!(lines(&db), expected((0..5).chain(15..20)));
    db.flush().unwrap();
    assert_eq!(lines(&db), expected((0..5).chain(15..20)));
}

#[test]
fn entries_that_are_only_in_memory_follow_what_another_writer_was_asked() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..20);
    // All of the bucket is read then, which is due again in an hour.
    db.upkeep();
    let other = store.open_on(small_options(2), &SimDisk::new(2), store.bucket.clone());
    delete(&other, 5, 15);
    let every = db.options().refresh_every.unwrap();
    store.clock.advance(every);
    db.upkeep();
    assert_eq!(lines(&db), expected((0..5).chain(15..20)));
}

#[test]
fn a_request_is_followed_by_whoever_heard_of_one_that_was_lost_with_the_power() {
    let root = Path::new("/bucket");
    let mut seen = 0;
    for seed in 0..40 {
        let store = Store::new();
        let files = PowerlessFiles::new(root, seed, store.clock.clone());
        let open = |disk: &SimDisk, options| {
            store.open_on(options, disk, Arc::new(LocalBucket::on(root, Arc::new(files.clone()))))
        };
        let db = open(&store.disk, small_options(1));
        append(&db, 0..10);
        db.flush().unwrap();
        let other = open(&SimDisk::new(2), small_options(2));
        delete(&other, 50, 60);
        files.fail_sometimes(500);
        let range = LogRange { start_ns: row(30).1, end_ns: row(40).1 };
        let matchers = vec![model::Matcher::equal("app", "a")];
        let failed =
            other.delete(&TenantId::default(), &DeleteRequest { matchers, lines: vec![], range }).is_err();
        files.fail_sometimes(0);
        db.load_catalog().unwrap();
        seen += usize::from(failed && db.deletes(&TenantId::default()).len() == 2);
        append(&db, 10..20);
        db.flush().unwrap();
        files.lose_power();
        let db = open(&store.disk, small_options(3));
        delete(&db, 5, 15);
        assert_eq!(lines(&db), expected((0..5).chain(15..20)), "seed {seed}");
    }
    assert!(seen > 0, "the request is seen though it failed");
}

#[test]
fn a_request_that_is_done_is_opened_again_for_entries_in_the_memory_of_another_writer() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..20);
    let other = store.open_on(small_options(2), &SimDisk::new(2), store.bucket.clone());
    delete(&other, 5, 15);
    store.clock.advance(HOUR * 2);
    other.upkeep();
    assert!(other.deletes(&TenantId::default())[0].is_done);
    // It hears of the request only now.
    db.upkeep();
    assert!(!db.deletes(&TenantId::default())[0].is_done);
    assert_eq!(lines(&db), expected((0..5).chain(15..20)));
    db.flush().unwrap();
    other.load_catalog().unwrap();
    assert_eq!(lines(&other), expected((0..5).chain(15..20)));
    store.clock.advance(HOUR * 2);
    db.upkeep();
    assert!(db.deletes(&TenantId::default())[0].is_done);
    // What comes afterwards is not what was meant.
    append(&db, 8..9);
    assert_eq!(lines(&db), expected((0..5).chain(8..9).chain(15..20)));
    db.flush().unwrap();
    assert_eq!(lines(&db), expected((0..5).chain(8..9).chain(15..20)));
}

#[test]
fn a_request_to_delete_is_not_done_while_an_object_cannot_be_read() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..20);
    db.flush().unwrap();
    let faulty = FaultyBucket::new(store.bucket.clone(), 1);
    let other = store.open_on(small_options(2), &SimDisk::new(2), Arc::new(faulty.clone()));
    delete(&other, 5, 15);
    faulty.fail_only(".parquet");
    set(&faulty, 1000, 0);
    store.clock.advance(HOUR * 2);
    other.upkeep();
    assert!(!other.deletes(&TenantId::default())[0].is_done);
    set(&faulty, 0, 0);
    other.upkeep();
    assert!(other.deletes(&TenantId::default())[0].is_done);
    assert_eq!(lines(&other), expected((0..5).chain(15..20)));
}

#[test]
fn whoever_hears_that_a_request_is_done_reads_what_was_written_anew() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..20);
    db.flush().unwrap();
    delete(&db, 5, 15);
    let other = store.open_on(small_options(2), &SimDisk::new(2), store.bucket.clone());
    assert_eq!(lines(&other), expected((0..5).chain(15..20)));
    store.clock.advance(HOUR * 2);
    db.upkeep();
    assert!(db.deletes(&TenantId::default())[0].is_done);
    // It still knows the object from before, which is still there.
    delete(&other, 30, 40);
    assert_eq!(lines(&other), expected((0..5).chain(15..20)));
}

#[test]
fn a_request_to_delete_is_not_done_while_entries_from_before_wait() {
    let store = Store::new();
    let faulty = FaultyBucket::new(store.bucket.clone(), 1);
    let db = store.open_on(small_options(1), &store.disk, Arc::new(faulty.clone()));
    let of_tomorrow = (Labels::from_pairs([("app", "a")]), row(0).1 + 86_400_000_000_000, row(0).2);
    db.append(&TenantId::default(), batches_of(&[of_tomorrow])).unwrap();
    db.flush().unwrap();
    append(&db, 10..20);
    // Encoded before the request; the folder of the day fails, and not the requests.
    faulty.fail_only("2026-01-15/");
    set(&faulty, 1000, 0);
    db.flush().unwrap_err();
    delete(&db, 10, 15);
    assert_eq!(lines(&db), expected((0..1).chain(15..20)));
    store.clock.advance(HOUR * 2);
    db.upkeep();
    assert!(!db.deletes(&TenantId::default())[0].is_done);
    let other = store.open_on(small_options(2), &SimDisk::new(2), store.bucket.clone());
    other.upkeep();
    assert!(!other.deletes(&TenantId::default())[0].is_done, "the writer has opened it again");
    // Someone else who hears nothing of the writer for long says that it is done.
    store.clock.advance(HOUR * 2);
    other.upkeep();
    assert!(other.deletes(&TenantId::default())[0].is_done);
    set(&faulty, 0, 0);
    db.flush().unwrap();
    assert_eq!(lines(&db), expected((0..1).chain(15..20)));
    other.load_catalog().unwrap();
    assert_eq!(lines(&other), expected((0..1).chain(15..20)));
    other.upkeep();
    store.clock.advance(HOUR * 2);
    other.upkeep();
    assert!(other.deletes(&TenantId::default())[0].is_done);
    assert_eq!(lines(&other), expected((0..1).chain(15..20)));
}

#[test]
fn entries_of_the_log_follow_requests_that_are_done() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..1);
    db.flush().unwrap();
    append(&db, 10..20);
    drop(db);
    // While the writer is down someone else is asked to delete, and finds nothing left to do.
    let other = store.open_on(small_options(2), &SimDisk::new(2), store.bucket.clone());
    delete(&other, 10, 15);
    store.clock.advance(HOUR * 2);
    other.upkeep();
    assert!(other.deletes(&TenantId::default())[0].is_done);
    let db = store.open();
    assert_eq!(lines(&db), expected((0..1).chain(15..20)));
    db.flush().unwrap();
    other.load_catalog().unwrap();
    assert_eq!(lines(&other), expected((0..1).chain(15..20)));
}

#[test]
fn damaged_documents_bring_nothing_back() {
    let store = Store::new();
    let db = store.open();
    for part in [0..10, 10..20, 20..30] {
        append(&db, part);
        db.flush().unwrap();
    }
    let damaged = store.keys(".parquet")[0].clone();
    store.bucket.damage(&damaged, |data| data.truncate(20));
    drop(db);
    let db = store.open();
    assert_eq!(lines(&db), expected(10..30));
    db.upkeep();
    delete(&db, 10, 15);
    db.upkeep();
    store.clock.advance(HOUR * 2);
    db.upkeep();
    assert!(db.deletes(&TenantId::default())[0].is_done);
    assert_eq!(lines(&db), expected(15..30));
    drop(db);
    // All at once: the manifest, and what was deleted.
    for key in [&store.keys("/manifest")[0], &store.keys("/deletes")[0]] {
        store.bucket.damage(key, |data| data[40] ^= 1);
    }
    let db = store.open();
    assert_eq!(lines(&db), expected(15..30));
    assert_eq!(store.metric("loki_store_damaged_documents_total"), 2.0);
    for _ in 0..3 {
        store.clock.advance(HOUR * 2);
        db.upkeep();
        assert_eq!(lines(&db), expected(15..30));
    }
    assert!(store.keys(".parquet").contains(&damaged), "what is damaged is never deleted");
}

#[test]
fn documents_do_not_grow_for_ever() {
    let store = Store::new();
    let retention = crate::Retention { default: Some(DAY * 3), ..Default::default() };
    let db = store.open_with(Options { retention, ..small_options(1) });
    append(&db, 0..10);
    db.flush().unwrap();
    delete(&db, 0, 5);
    db.upkeep();
    store.clock.advance(HOUR * 2);
    db.upkeep();
    assert!(db.deletes(&TenantId::default())[0].is_done);
    store.clock.advance(DAY * 5);
    db.upkeep();
    store.clock.advance(HOUR);
    db.upkeep();
    assert_eq!((store.keys(".parquet").len(), store.keys("/manifest").len()), (0, 1));
    store.clock.advance(DAY * 30);
    db.upkeep();
    db.upkeep();
    assert!(db.deletes(&TenantId::default()).is_empty());
    assert_eq!(store.bucket.list_folders("logs/v1/anonymous/").unwrap(), Vec::<String>::new());
    // Late entries make the day anew.
    append(&db, 0..3);
    db.flush().unwrap();
    assert_eq!(store.keys("/manifest").len(), 1);
}
