mod full_disk;
mod stale;

use std::time::Duration;

use base::SimClock;
use model::{MatchOp, SampleValue};

use super::*;
use crate::block::meta::HINT_OUT_OF_ORDER;
use crate::block::tests::{Contents, block_of, contents, series};

const HOUR_MS: i64 = 3_600_000;
/// A multiple of every block width used here.
const START_MS: i64 = 1_749_600_000_000 / (54 * HOUR_MS) * (54 * HOUR_MS);

struct World {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    options: Options,
    /// What was written, the truth to compare with.
    written: Contents,
}

impl World {
    fn new() -> Self {
        let options = Options { max_block_duration_ms: 18 * HOUR_MS, ..Options::default() };
        let dir = tempfile::tempdir().unwrap();
        Self { dir, clock: SimClock::at(START_MS), options, written: Contents::new() }
    }

    fn open(&self) -> Db {
        self.open_with(&Registry::new())
    }

    fn open_with(&self, registry: &Registry) -> Db {
        Db::open(self.dir.path(), self.options.clone(), self.clock.clone(), registry).unwrap()
    }

    /// Appends a sample a minute to three series over `hours` from `from_hour` on.
    fn scrape(&mut self, db: &Db, from_hour: i64, hours: i64) {
        for minute in from_hour * 60..(from_hour + hours) * 60 {
            self.append(db, START_MS + minute * 60_000);
        }
    }

    fn append(&mut self, db: &Db, t_ms: i64) {
        let mut appender = db.appender(&TenantId::default());
        for name in ["a", "b", "c"] {
            let labels = labels(name);
            let value = (t_ms / 60_000 % 1000) as f64;
            let series = appender.resolve(&labels).unwrap();
            appender.append(series, 0, t_ms, SampleValue::Float(value)).unwrap();
            let samples = self.written.entry(labels).or_default();
            samples.push((t_ms, value));
            samples.sort_by_key(|s| s.0);
        }
        appender.commit().unwrap();
        self.clock.advance(Duration::from_millis(1));
    }

    fn assert_all_there(&self, db: &Db) {
        assert_eq!(contents(db, any(), TimeRange::ALL), self.written);
        for from_hour in [0, 3, 5] {
            let range =
                TimeRange::new(START_MS + from_hour * HOUR_MS + 30_000, START_MS + (from_hour + 3) * HOUR_MS);
            let inside =
                |samples: &Vec<(i64, f64)>| samples.iter().copied().filter(|s| range.contains(s.0)).collect();
            let mut wanted: Contents = self.written.iter().map(|(l, s)| (l.clone(), inside(s))).collect();
            wanted.retain(|_, samples| !samples.is_empty());
            let mut found = contents(db, any(), range);
            found.retain(|_, samples| !samples.is_empty());
            assert_eq!(found, wanted);
        }
    }
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "test")])
}

fn any() -> Vec<Matcher> {
    vec![Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()]
}

fn shape(db: &Db) -> Vec<(i64, i64, u32)> {
    let hours = |t_ms: i64| (t_ms - START_MS).div_euclid(HOUR_MS);
    db.blocks().iter().map(|m| (hours(m.min_ms), hours(m.max_ms), m.compaction.level)).collect()
}

#[test]
fn the_head_becomes_blocks_and_no_sample_is_lost_or_doubled() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    assert_eq!(db.maintain().unwrap().head_blocks, 2);
    assert_eq!(shape(&db), [(0, 2, 1), (2, 4, 1)]);
    world.assert_all_there(&db);
    assert_eq!(db.maintain().unwrap(), Maintained::default());
    for block in db.open_blocks().iter() {
        block.verify().unwrap();
    }
    db.close().unwrap();
    drop(db);
    let db = world.open();
    world.assert_all_there(&db);
    let ctx = QueryContext::unbounded();
    let names = db.label_names(&LabelRequest::default(), &ctx).unwrap();
    assert_eq!(names, ["__name__", "job"]);
    assert_eq!(db.label_values("__name__", &LabelRequest::default(), &ctx).unwrap(), ["a", "b", "c"]);
    assert_eq!(db.lowest_ms(), START_MS);
}

#[test]
fn blocks_are_joined_by_level() {
    let mut world = World::new();
    let db = world.open();
    for step in 0..13 {
        world.scrape(&db, step * 2, 2);
        db.maintain().unwrap();
    }
    world.assert_all_there(&db);
    assert_eq!(shape(&db), [(0, 18, 3), (18, 20, 1), (20, 22, 1), (22, 24, 1)]);
    // Only the directories of these blocks are left.
    let dirs = std::fs::read_dir(world.dir.path()).unwrap();
    let blocks = dirs.filter(|e| e.as_ref().unwrap().file_name().len() == 26).count();
    assert_eq!(blocks, 4);
}

#[test]
fn old_blocks_are_dropped() {
    let mut world = World::new();
    world.options.retention = Retention { duration_ms: 6 * HOUR_MS, ..Retention::default() };
    let db = world.open();
    for step in 0..9 {
        world.scrape(&db, step * 2, 2);
        db.maintain().unwrap();
    }
    let first = db.blocks()[0].clone();
    assert!(first.max_ms > START_MS + 8 * HOUR_MS, "{:?}", shape(&db));
    db.set_retention(Retention { max_bytes: 1, ..Retention::default() });
    db.maintain().unwrap();
    assert_eq!(shape(&db), []);
}

#[test]
fn out_of_order_samples_are_kept_across_compaction_and_restart() {
    let mut world = World::new();
    world.options.out_of_order_window_ms = 24 * HOUR_MS;
    let db = world.open();
    world.scrape(&db, 4, 6);
    for minute in [0, 1, 130, 5 * 60 + 1] {
        // Between the samples that came in order.
        world.append(&db, START_MS + minute * 60_000 + 7);
    }
    world.assert_all_there(&db);
    db.maintain().unwrap();
    world.assert_all_there(&db);
    assert!(db.head().out_of_order_bounds().is_none());
    db.close().unwrap();
    drop(db);
    let db = world.open();
    world.assert_all_there(&db);
    // Blocks of late samples were joined with those they overlap.
    assert_eq!(shape(&db), [(0, 6, 3), (6, 8, 1)]);
    assert!(db.blocks().iter().all(|meta| !meta.has_hint(HINT_OUT_OF_ORDER)));
    // Samples older than what the head has given to blocks stay visible too.
    world.append(&db, START_MS + HOUR_MS + 11);
    world.assert_all_there(&db);
}

#[test]
fn overlapping_blocks_from_elsewhere_are_joined() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    let extra: Vec<_> = (0..100).map(|i| (START_MS + HOUR_MS + i * 1000 + 500, -1.0)).collect();
    let late = labels("late");
    block_of(world.dir.path(), 77, (START_MS + HOUR_MS, START_MS + 3 * HOUR_MS), vec![series(&late, &extra)]);
    world.written.insert(late, extra);
    let done = db.maintain().unwrap();
    assert_eq!(done.compactions, 1);
    assert_eq!(shape(&db), [(0, 4, 2)]);
    world.assert_all_there(&db);
}

#[test]
fn overlapping_blocks_stay_apart_where_others_join_them() {
    let mut world = World::new();
    world.options.compact_overlaps = false;
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    let extra: Vec<_> = (0..100).map(|i| (START_MS + HOUR_MS + i * 1000 + 500, -1.0)).collect();
    let late = labels("late");
    block_of(world.dir.path(), 77, (START_MS + HOUR_MS, START_MS + 3 * HOUR_MS), vec![series(&late, &extra)]);
    world.written.insert(late, extra);
    assert_eq!(db.maintain().unwrap().compactions, 0);
    assert_eq!(shape(&db), [(0, 2, 1), (1, 3, 1), (2, 4, 1)]);
    world.assert_all_there(&db);
}

#[test]
fn blocks_removed_by_hand_are_missed_from_then_on() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    let first = db.open_blocks()[0].dir().to_path_buf();
    std::fs::remove_dir_all(first).unwrap();
    world.assert_all_there(&db);
    db.maintain().unwrap();
    assert_eq!(shape(&db), [(2, 4, 1)]);
    for samples in world.written.values_mut() {
        samples.retain(|s| s.0 >= START_MS + 2 * HOUR_MS);
    }
    world.assert_all_there(&db);
}

#[test]
fn blocks_are_joined_once_they_are_uploaded() {
    let mut world = World::new();
    let list = world.dir.path().join("thanos.shipper.json");
    std::fs::write(&list, r#"{"version":1,"uploaded":[]}"#).unwrap();
    world.options.uploads_file = Some(list.clone());
    let db = world.open();
    for step in 0..7 {
        world.scrape(&db, step * 2, 2);
        db.maintain().unwrap();
    }
    assert!(db.blocks().iter().all(|meta| meta.compaction.level == 1), "{:?}", shape(&db));
    let uploaded: Vec<_> = db.blocks()[..4].iter().map(|meta| meta.ulid.to_string()).collect();
    std::fs::write(&list, serde_json::json!({ "uploaded": uploaded }).to_string()).unwrap();
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(db.maintain().unwrap().compactions, 1);
    assert_eq!(shape(&db)[..2], [(0, 6, 2), (6, 8, 1)]);
    world.assert_all_there(&db);
}

#[test]
fn deleted_samples_are_gone_from_head_and_blocks() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    let range = TimeRange::new(START_MS + HOUR_MS, START_MS + 6 * HOUR_MS);
    db.delete(range, &[Matcher::equal("__name__", "b")]).unwrap();
    world.written.get_mut(&labels("b")).unwrap().retain(|s| !range.contains(s.0));
    world.assert_all_there(&db);
    db.clean_tombstones().unwrap();
    assert!(db.open_blocks().iter().all(|block| block.tombstones().is_empty()));
    world.assert_all_there(&db);
    db.close().unwrap();
    drop(db);
    let db = world.open();
    world.assert_all_there(&db);
    // What is left of the head goes into a block without the deleted samples.
    world.scrape(&db, 7, 4);
    db.maintain().unwrap();
    world.assert_all_there(&db);
}

#[test]
fn a_block_of_which_everything_is_deleted_is_removed() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    db.delete(TimeRange::new(i64::MIN, START_MS + 2 * HOUR_MS - 1), &any()).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(shape(&db), [(2, 4, 1)]);
}

#[test]
fn a_snapshot_holds_everything() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    assert!(db.snapshot(world.dir.path(), true).is_err());
    let target = tempfile::tempdir().unwrap();
    db.snapshot(target.path(), true).unwrap();
    let copy = Db::open(target.path(), world.options.clone(), world.clock.clone(), &Registry::new()).unwrap();
    world.assert_all_there(&copy);
    let blocks_only = tempfile::tempdir().unwrap();
    db.snapshot(blocks_only.path(), false).unwrap();
    let copy =
        Db::open(blocks_only.path(), world.options.clone(), world.clock.clone(), &Registry::new()).unwrap();
    assert_eq!(shape(&copy), [(0, 2, 1), (2, 4, 1)]);
}

#[test]
fn damaged_blocks_are_set_aside_and_the_rest_is_served() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 9);
    db.maintain().unwrap();
    let dirs: Vec<_> = db.open_blocks().iter().map(|block| block.dir().to_path_buf()).collect();
    assert_eq!(dirs.len(), 3);
    db.close().unwrap();
    drop(db);
    std::fs::write(dirs[0].join("meta.json"), "{").unwrap();
    let index = dirs[1].join("index");
    let mut bytes = std::fs::read(&index).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&index, bytes).unwrap();
    let registry = Registry::new();
    let db = world.open_with(&registry);
    assert_eq!(shape(&db), [(4, 6, 1)]);
    for dir in &dirs[..2] {
        assert!(!dir.exists());
        assert!(world.dir.path().join(QUARANTINE_DIR).join(dir.file_name().unwrap()).join("index").exists());
    }
    let families = registry.gather();
    let family = families.iter().find(|f| f.name == "bartizan_tsdb_blocks_quarantined_total").unwrap();
    assert_eq!(family.points[0].value, base::metrics::Value::Number(2.0));
    for samples in world.written.values_mut() {
        samples.retain(|s| s.0 >= START_MS + 4 * HOUR_MS);
    }
    world.assert_all_there(&db);
}

#[test]
fn blocks_replaced_before_a_crash_and_leftovers_are_removed_at_start() {
    let mut world = World::new();
    let db = world.open();
    world.scrape(&db, 0, 7);
    db.maintain().unwrap();
    // A compaction whose process died before it removed the parents.
    let blocks = db.open_blocks();
    db.inner.compactor.compact(world.dir.path(), &blocks).unwrap().unwrap();
    let leftover = world.dir.path().join("01JWS713P2E4MQW7T643GYGD69.tmp-for-creation");
    std::fs::create_dir(&leftover).unwrap();
    drop(blocks);
    db.close().unwrap();
    drop(db);
    let db = world.open();
    assert_eq!(shape(&db), [(0, 4, 2)]);
    assert!(!leftover.exists());
    world.assert_all_there(&db);
}

#[test]
fn the_directory_is_locked() {
    let world = World::new();
    let db = world.open();
    let second = Db::open(world.dir.path(), world.options.clone(), world.clock.clone(), &Registry::new());
    assert!(matches!(second, Err(TsdbError::Locked(_))));
    let unlocked = Options { no_lockfile: true, wal: false, ..world.options.clone() };
    Db::open(world.dir.path(), unlocked, world.clock.clone(), &Registry::new()).unwrap();
    db.close().unwrap();
    drop(db);
    assert!(!world.dir.path().join("lock").exists());
    world.open();
}
