//! Compactions and copies for which there is no room.

use super::*;
use crate::full_disk::{in_own_process, limit_files};

/// What is in the data directory beside blocks, by name.
fn others(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| ulid::Ulid::from_string(name).is_err());
    names.sort();
    names
}

/// Maintains with ever more room until it works; every failure leaves nothing behind and loses nothing.
/// Returns how often it failed.
fn maintain_with_growing_room(world: &World, db: &Db) -> u32 {
    let mut failures = 0;
    for room_bytes in (0..30).map(|doubled| 16 << doubled) {
        limit_files(Some(room_bytes));
        let done = db.maintain();
        limit_files(None);
        world.assert_all_there(db);
        assert_eq!(others(world), ["chunks_head", "lock", "wal"]);
        if done.is_ok() {
            return failures;
        }
        failures += 1;
    }
    panic!("{failures} failures");
}

#[test]
fn a_compaction_without_room_leaves_everything_as_it_was() {
    if !in_own_process(module_path!(), "a_compaction_without_room_leaves_everything_as_it_was") {
        return;
    }
    let mut world = World::new();
    let registry = Registry::new();
    let db = world.open_with(&registry);
    let mut failures = 0;
    for step in 0..6 {
        world.scrape(&db, step * 2, 2);
        failures += maintain_with_growing_room(&world, &db);
    }
    assert!(failures > 10, "{failures}");
    // A failure in the middle may have left joining to a later time.
    db.maintain().unwrap();
    assert_eq!(shape(&db), [(0, 6, 2), (6, 8, 1), (8, 10, 1)]);
    let families = registry.gather();
    let failed = families.iter().find(|f| f.name == "prometheus_tsdb_compactions_failed_total").unwrap();
    assert_eq!(failed.points[0].value, base::metrics::Value::Number(f64::from(failures)));
    db.close().unwrap();
    drop(db);
    let db = world.open();
    world.assert_all_there(&db);
    assert_eq!(shape(&db), [(0, 6, 2), (6, 8, 1), (8, 10, 1)]);
}

#[test]
fn a_copy_without_room_is_not_left_half_done() {
    if !in_own_process(module_path!(), "a_copy_without_room_is_not_left_half_done") {
        return;
    }
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("copy");
    limit_files(Some(100));
    db.snapshot(&target, true).unwrap_err();
    limit_files(None);
    assert!(!target.exists());
    world.assert_all_there(&db);
    db.snapshot(&target, true).unwrap();
    let copy = Db::open(&target, world.options.clone(), world.clock.clone(), &Registry::new()).unwrap();
    world.assert_all_there(&copy);
}

#[test]
fn stale_series_without_room_stay_in_the_head() {
    if !in_own_process(module_path!(), "stale_series_without_room_stay_in_the_head") {
        return;
    }
    let mut world = World::new();
    world.options.stale_series_threshold = 0.5;
    let registry = Registry::new();
    let db = world.open_with(&registry);
    world.scrape(&db, 0, 1);
    super::stale::end(&db, &["a", "b"], START_MS + HOUR_MS);
    limit_files(Some(100));
    assert_eq!(db.maintain().unwrap(), Maintained::default());
    limit_files(None);
    assert_eq!((db.head().series_count(), others(&world).len()), (3, 3));
    let families = registry.gather();
    let name = "prometheus_tsdb_stale_series_compactions_failed_total";
    let failed = families.iter().find(|f| f.name == name).unwrap();
    assert_eq!(failed.points[0].value, base::metrics::Value::Number(1.0));
    assert_eq!(db.maintain().unwrap().evicted_series, 2);
    super::stale::assert_all_there(&world, &db);
}
