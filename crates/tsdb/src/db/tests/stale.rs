//! Series that ended leave the head early; compactions that wait.

use model::stale_nan;

use super::*;
use crate::block::meta::HINT_STALE_SERIES;

/// Ends these series.
pub(super) fn end(db: &Db, names: &[&str], t_ms: i64) {
    let mut appender = db.appender(&TenantId::default());
    for name in names {
        let series = appender.resolve(&labels(name)).unwrap();
        appender.append(series, 0, t_ms, SampleValue::Float(stale_nan())).unwrap();
    }
    appender.commit().unwrap();
}

/// What was written is there; staleness markers are left out, which do not equal themselves.
pub(super) fn assert_all_there(world: &World, db: &Db) {
    let mut found = contents(db, any(), TimeRange::ALL);
    found.values_mut().for_each(|samples| samples.retain(|(_, value)| !value.is_nan()));
    assert_eq!(found, world.written);
}

#[test]
fn series_that_ended_go_to_blocks_of_their_own_once_they_are_many() {
    let mut world = World::new();
    world.options.stale_series_threshold = 0.5;
    let db = world.open();
    world.scrape(&db, 0, 3);
    end(&db, &["a"], START_MS + 3 * HOUR_MS);
    assert_eq!(db.maintain().unwrap(), Maintained::default());
    end(&db, &["b"], START_MS + 3 * HOUR_MS);
    let done = db.maintain().unwrap();
    assert_eq!((done.evicted_series, done.head_blocks), (2, 0));
    assert_eq!(shape(&db), [(0, 2, 1), (2, 4, 1)]);
    assert!(db.blocks().iter().all(|meta| meta.has_hint(HINT_STALE_SERIES) && meta.stats.num_series == 2));
    assert_eq!(db.head().series_count(), 1);
    assert_all_there(&world, &db);
    db.close().unwrap();
    drop(db);
    // The blocks hold but a part of their time: the log must still give the rest.
    let db = world.open();
    assert_eq!(db.head().series_count(), 1);
    assert_all_there(&world, &db);
    // All come back.
    world.scrape(&db, 4, 4);
    db.maintain().unwrap();
    assert_all_there(&world, &db);
    db.close().unwrap();
    drop(db);
    let db = world.open();
    assert_all_there(&world, &db);
    assert!(db.blocks().iter().any(|meta| !meta.has_hint(HINT_STALE_SERIES)));
    db.set_stale_series_threshold(0.0);
    end(&db, &["a", "b", "c"], START_MS + 9 * HOUR_MS);
    assert_eq!(db.maintain().unwrap().evicted_series, 0);
}

#[test]
fn a_head_that_is_due_waits_for_the_delay() {
    let mut world = World::new();
    world.options.compaction_delay_ms = 600_000;
    let db = world.open();
    world.scrape(&db, 0, 5);
    assert_eq!(db.maintain().unwrap().head_blocks, 0);
    world.clock.advance(Duration::from_secs(599));
    assert_eq!(db.maintain().unwrap().head_blocks, 0);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(db.maintain().unwrap().head_blocks, 1);
    assert_eq!(shape(&db), [(0, 2, 1)]);
    world.assert_all_there(&db);
}
