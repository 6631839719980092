//! Damage to what is stored: named, counted, set aside, and the rest served.

use std::sync::Arc;
use std::time::Duration;

use blob::Bucket;
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppender, LogColumns, LogSource};
use model::source::TenantId;

use super::store::{Store, append, row};
use super::{Row, batches_of, everything, read_all, small_options};
use crate::{LogDb, Options};

#[test]
fn a_damaged_object_is_set_aside_and_the_rest_served() {
    let store = Store::new();
    let db = store.open();
    for part in [0..10, 10..20] {
        append(&db, part);
        db.flush().unwrap();
    }
    let keys = store.keys(".parquet");
    store.bucket.damage(&keys[0], |data| {
        let at = data.len() - 60;
        data[at..].fill(0);
    });
    drop(db);
    let db = store.open();
    let ctx = QueryContext::unbounded();
    let rows = db.select(&everything(), &ctx).unwrap();
    assert_eq!(rows.iter().flat_map(|group| &group.runs).map(|run| run.rows.len()).sum::<usize>(), 10);
    let warnings = ctx.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains(&keys[0]), "{warnings:?}");
    assert_eq!(store.metric("loki_store_damaged_objects_total"), 1.0);
    db.upkeep();
    assert_eq!(read_all(&db, &everything()).unwrap().len(), 10);
    store.clock.advance(Duration::from_secs(86_400));
    db.upkeep();
    assert!(store.keys(".parquet").contains(&keys[0]), "what is damaged is never deleted");
}

#[test]
fn a_page_that_is_damaged_is_named() {
    let store = Store::new();
    let db = store.open();
    append(&db, 0..10);
    db.flush().unwrap();
    let groups = db.select(&everything(), &QueryContext::unbounded()).unwrap();
    let key = &store.keys(".parquet")[0];
    let segment = crate::segment::Segment::open(store.bucket.open(key).unwrap()).unwrap();
    let page = segment.index().groups[0].pages[crate::segment::index::LINE].place;
    store.bucket.damage(key, |data| data[page.at as usize] ^= 1);
    // What is open reads what was there; another start reads what is there now.
    assert_eq!(groups.len(), 1);
    drop(db);
    let db = store.open();
    let ctx = QueryContext::unbounded();
    let groups = db.select(&everything(), &ctx).unwrap();
    let error = groups[0].reader.read(LogColumns::ALL, &ctx).unwrap_err();
    assert!(error.to_string().contains(&**key), "{error}");
    // Others are told, and nothing is given up for a copy without it.
    let groups = db.select(&everything(), &ctx).unwrap();
    assert!(groups.is_empty());
    assert!(ctx.take_warnings().iter().any(|warning| warning.contains(&**key)));
    append(&db, 10..20);
    db.flush().unwrap();
    while db.compact_once().unwrap() {}
    assert!(store.keys(".parquet").contains(key));
    assert_eq!(db.select(&everything(), &ctx).unwrap().len(), 1);
}

#[test]
fn a_damaged_manifest_is_made_anew() {
    let store = Store::new();
    let db = store.open();
    for part in [0..10, 5..20] {
        append(&db, part);
        db.flush().unwrap();
    }
    append(&db, 20..25);
    drop(db);
    let manifest = &store.keys("/manifest")[0];
    store.bucket.damage(manifest, |data| data[30] ^= 1);
    let db = store.open();
    let mut rows = read_all(&db, &everything()).unwrap();
    rows.sort();
    let mut expected: Vec<Row> = (0..25).map(row).collect();
    expected.sort();
    assert_eq!(rows, expected);
    assert_eq!(store.keys("").iter().filter(|key| key.contains("manifest.damaged-")).count(), 1);
}

#[test]
fn a_damaged_record_of_the_log_costs_only_itself() {
    let store = Store::new();
    let db = store.open();
    for n in 0..10 {
        append(&db, n..n + 1);
    }
    drop(db);
    store.disk.damage("0000000000000001.wal", |data| {
        let middle = data.len() / 2;
        data[middle] ^= 1;
    });
    let db = store.open();
    assert_eq!(read_all(&db, &everything()).unwrap().len(), 9);
    assert_eq!(store.metric("loki_ingester_wal_corruptions_total"), 1.0);
    assert_eq!(store.metric("loki_ingester_wal_recovered_entries_total"), 9.0);
}

#[test]
fn pushes_are_refused_when_there_is_no_room_and_taken_when_there_is() {
    let store = Store::new();
    let bucket = blob::fault::FaultyBucket::new(store.bucket.clone(), 1);
    let options = small_options(1);
    // What the last push brings may have the memory of the table it goes to double.
    let limit = options.max_unflushed_bytes + options.memtable_bytes;
    let db = LogDb::open(
        options,
        Arc::new(store.disk.clone()),
        Arc::new(bucket.clone()),
        store.clock.clone(),
        &store.registry,
    )
    .unwrap();
    bucket.rates().fail.store(1000, std::sync::atomic::Ordering::Relaxed);
    let mut taken = 0;
    let refused = loop {
        match db.append(&TenantId::default(), batches_of(&[row(taken)])) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        // The bucket fails: this moves entries from tables to objects in memory at most.
        let _ = db.flush_sealed();
        assert!(db.unflushed_bytes() <= limit);
    };
    assert!(matches!(refused, model::logs::LogAppendError::Busy(_)), "{refused}");
    assert!(taken > 50);
    bucket.rates().fail.store(0, std::sync::atomic::Ordering::Relaxed);
    db.flush().unwrap();
    append(&db, taken..taken + 1);
    assert_eq!(read_all(&db, &everything()).unwrap().len() as i64, taken + 1);
}

#[test]
fn entries_past_their_time_are_not_seen_and_go() {
    let store = Store::new();
    let day = Duration::from_secs(86_400);
    let rule = crate::RetentionRule {
        tenant: None,
        matchers: vec![model::Matcher::equal("app", "short")],
        period: Some(day),
    };
    let retention = crate::Retention { default: Some(day * 3), rules: Arc::new(vec![rule]) };
    let db = store.open_with(Options { retention, ..small_options(1) });
    let short = (Labels::from_pairs([("app", "short")]), row(0).1, "brief".to_owned());
    db.append(&TenantId::default(), batches_of(&[short])).unwrap();
    append(&db, 0..10);
    db.flush().unwrap();
    assert_eq!(read_all(&db, &everything()).unwrap().len(), 11);
    store.clock.advance(day + Duration::from_secs(1));
    assert_eq!(read_all(&db, &everything()).unwrap().len(), 10);
    store.clock.advance(day * 3);
    assert_eq!(read_all(&db, &everything()).unwrap().len(), 0);
    db.upkeep();
    store.clock.advance(day);
    db.upkeep();
    assert_eq!(store.keys(".parquet"), Vec::<String>::new());
}

#[test]
fn what_is_deleted_is_not_seen_and_leaves_the_objects() {
    let store = Store::new();
    let db = store.open();
    let other = (Labels::from_pairs([("app", "b")]), row(3).1, "line 3 of another".to_owned());
    append(&db, 0..40);
    db.flush().unwrap();
    append(&db, 40..50);
    db.seal();
    append(&db, 50..60);
    db.append(&TenantId::default(), batches_of(std::slice::from_ref(&other))).unwrap();
    let request = |first: i64, last: i64, lines| crate::DeleteRequest {
        matchers: vec![model::Matcher::equal("app", "a")],
        lines,
        range: model::logs::LogRange { start_ns: row(first).1, end_ns: row(last).1 },
    };
    let tenant = TenantId::default();
    db.delete(&tenant, &request(10, 20, vec![])).unwrap();
    db.delete(&tenant, &request(0, 60, vec![crate::LineCondition::Contains("5".to_owned())])).unwrap();
    let back = db.delete(&tenant, &request(30, 60, vec![])).unwrap();
    assert!(db.cancel_delete(&tenant, back).unwrap() && !db.cancel_delete(&tenant, back).unwrap());
    assert!(db.delete(&tenant, &crate::DeleteRequest { matchers: vec![], ..request(0, 1, vec![]) }).is_err());
    let mut expected: Vec<Row> =
        (0..60).filter(|n| !(10..20).contains(n) && !n.to_string().contains('5')).map(row).collect();
    expected.push(other);
    expected.sort();
    let seen = |db: &LogDb| {
        let mut rows = read_all(db, &everything()).unwrap();
        rows.sort();
        rows
    };
    assert_eq!(seen(&db), expected);
    drop(db);
    let db = store.open();
    assert_eq!(seen(&db), expected, "after another start");
    db.flush().unwrap();
    assert_eq!(seen(&db), expected, "after a flush");
    db.upkeep();
    assert_eq!(seen(&db), expected, "after objects were written anew");
    let rows: u64 = db.objects().iter().map(|(_, _, object)| object.rows).sum();
    assert_eq!(rows, expected.len() as u64);
    assert!(db.deletes(&tenant).iter().all(|request| !request.is_done));
    store.clock.advance(Duration::from_secs(2 * 3600));
    db.upkeep();
    assert!(db.deletes(&tenant).len() == 2 && db.deletes(&tenant).iter().all(|request| request.is_done));
    assert_eq!(seen(&db), expected);
}
