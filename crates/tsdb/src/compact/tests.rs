use base::SimClock;
use model::{Labels, Matcher};

use super::plan::{block_ranges, plan};
use super::retention::{Dropped, Retention, blocks_to_drop};
use super::*;
use crate::block::tests::{Contents, block_of, contents, series};

fn meta(number: u64, min_ms: i64, max_ms: i64) -> BlockMeta {
    BlockMeta::level_one(Ulid::from_parts(number, 0), min_ms, max_ms)
}

fn planned(metas: &[BlockMeta], ranges: &[i64]) -> Vec<u64> {
    plan(metas, ranges, true).iter().map(Ulid::timestamp_ms).collect()
}

#[test]
fn ranges_grow_threefold_up_to_the_maximum() {
    assert_eq!(block_ranges(2, 18), [2, 6, 18]);
    assert_eq!(block_ranges(2, 17), [2, 6]);
    assert_eq!(block_ranges(2, 1), [2]);
    assert_eq!(block_ranges(7_200_000, i64::MAX).len(), 10);
}

#[test]
fn neighbours_are_joined_when_their_range_is_full_or_left_behind() {
    let ranges = [20, 60, 180, 540, 1620];
    type Case = (&'static [(i64, i64)], &'static [u64]);
    let cases: [Case; 9] = [
        (&[(0, 20)], &[]),
        (&[(0, 20), (20, 40)], &[]),
        // Three blocks fill a range, but the newest never takes part.
        (&[(0, 20), (20, 40), (40, 60)], &[]),
        (&[(0, 20), (20, 40), (40, 60), (60, 80)], &[1, 2, 3]),
        // A gap does not matter once a later block exists beyond the range.
        (&[(0, 20), (20, 40), (60, 80), (80, 100)], &[1, 2]),
        (&[(0, 20), (60, 80), (80, 100)], &[]),
        // Larger blocks join into larger ranges.
        (&[(0, 60), (60, 120), (120, 180), (180, 200)], &[1, 2, 3]),
        // Overlap comes first, with everything it drags in.
        (&[(0, 20), (19, 40), (40, 60)], &[1, 2]),
        (&[(0, 20), (20, 50), (30, 40), (45, 60), (60, 80)], &[2, 3, 4]),
    ];
    for (blocks, expected) in cases {
        let metas: Vec<_> = blocks.iter().zip(1..).map(|(&(a, b), i)| meta(i, a, b)).collect();
        assert_eq!(planned(&metas, &ranges), expected, "{blocks:?}");
    }
}

#[test]
fn failed_and_partial_blocks_are_kept_apart() {
    let ranges = [20, 60];
    let mut metas: Vec<_> = (0..4).map(|i| meta(i as u64 + 1, i * 20, i * 20 + 20)).collect();
    metas[1].compaction.failed = true;
    assert!(planned(&metas, &ranges).is_empty());
    metas[1].compaction.failed = false;
    metas[1].add_hint(PARTIAL_HINTS[0]);
    assert_eq!(planned(&metas, &ranges), [1, 3]);
}

#[test]
fn blocks_with_many_deletions_are_rewritten() {
    let ranges = [20, 60, 180];
    let mut metas = vec![meta(1, 0, 180), meta(2, 180, 360), meta(3, 360, 380)];
    metas[0].stats.num_series = 100;
    metas[0].stats.num_tombstones = 5;
    assert!(planned(&metas, &ranges).is_empty());
    metas[0].stats.num_tombstones = 6;
    assert_eq!(planned(&metas, &ranges), [1]);
}

#[test]
fn retention_drops_the_oldest() {
    let blocks: Vec<_> = (0..4).map(|i| (meta(i as u64 + 1, i * 10, i * 10 + 10), 100)).collect();
    let drop = |retention: Retention, head, disk| blocks_to_drop(&blocks, &retention, head, disk);
    let numbers = |d: &Dropped| d.blocks.iter().map(Ulid::timestamp_ms).collect::<Vec<_>>();
    assert_eq!(drop(Retention::default(), 0, 0), Dropped::default());
    let by_time = drop(Retention { duration_ms: 20, ..Default::default() }, 0, 0);
    assert_eq!((numbers(&by_time), by_time.by_time, by_time.by_size), (vec![1, 2], true, false));
    let by_size = drop(Retention { max_bytes: 350, ..Default::default() }, 50, 0);
    assert_eq!((numbers(&by_size), by_size.by_size), (vec![1], true));
    let percent = Retention { max_bytes: 1_000_000, max_percent: 50.0, ..Default::default() };
    assert_eq!(numbers(&drop(percent, 0, 500)), [1, 2]);
    assert!(drop(percent, 0, 0).blocks.is_empty());
    let limit = |retention: Retention, disk| retention.limit_bytes(disk);
    assert_eq!(
        (limit(percent, 500), limit(percent, 0), limit(Retention::default(), 500)),
        (250, 1_000_000, 0)
    );
}

#[test]
fn aligned_ranges_cover_the_time() {
    let ranges = |a, b| aligned_ranges(TimeRange::new(a, b), 10).collect::<Vec<_>>();
    assert_eq!(ranges(-5, 10), [(-10, 0), (0, 10), (10, 20)]);
    assert_eq!(ranges(3, 3), [(0, 10)]);
    assert_eq!(ranges(4, 3), []);
}

#[test]
fn joining_overlapping_blocks_keeps_every_sample_once() {
    let dir = tempfile::tempdir().unwrap();
    let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
    let run = |from: i64, to: i64, step: i64, v: f64| {
        (from..to).step_by(step as usize).map(|t| (t, v)).collect::<Vec<_>>()
    };
    let first = block_of(
        dir.path(),
        1,
        (0, 1000),
        vec![series(&labels("a"), &run(0, 1000, 10, 1.0)), series(&labels("b"), &run(0, 500, 10, 1.0))],
    );
    let second = block_of(
        dir.path(),
        2,
        (500, 2000),
        vec![series(&labels("a"), &run(505, 2000, 5, 2.0)), series(&labels("c"), &run(600, 700, 10, 2.0))],
    );
    first.delete(TimeRange::new(700, 799), &[Matcher::equal("__name__", "a")]).unwrap();
    let registry = Registry::new();
    let compactor = Compactor::new(SimClock::at(5_000), 1 << 20, &registry);
    let written = compactor.compact(dir.path(), &[second.clone(), first.clone()]).unwrap().unwrap();
    assert_eq!(written.compaction.level, 2);
    assert_eq!(written.compaction.parents.len(), 2);
    assert_eq!((written.min_ms, written.max_ms), (0, 2000));
    let joined = Block::open(&dir.path().join(written.ulid.to_string())).unwrap();
    joined.verify().unwrap();
    let any = || vec![Matcher::new(model::MatchOp::NotEqual, "__name__", "").unwrap()];
    let found = contents(&joined, any(), TimeRange::ALL);
    let mut wanted = Contents::new();
    let mut a: std::collections::BTreeMap<i64, f64> = run(505, 2000, 5, 2.0).into_iter().collect();
    a.extend(run(0, 1000, 10, 1.0).into_iter().filter(|s| !(700..800).contains(&s.0)));
    wanted.insert(labels("a"), a.into_iter().collect());
    wanted.insert(labels("b"), run(0, 500, 10, 1.0));
    wanted.insert(labels("c"), run(600, 700, 10, 2.0));
    assert_eq!(found, wanted);
    assert_eq!(written.stats.num_series, 3);
}

#[test]
fn a_block_of_which_nothing_is_left_is_marked_deletable() {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::from_pairs([("__name__", "a")]);
    let block = block_of(dir.path(), 1, (0, 100), vec![series(&labels, &[(1, 1.0), (2, 2.0)])]);
    block.delete(TimeRange::ALL, &[Matcher::equal("__name__", "a")]).unwrap();
    let compactor = Compactor::new(SimClock::at(5_000), 1 << 20, &Registry::new());
    assert_eq!(compactor.compact(dir.path(), std::slice::from_ref(&block)).unwrap(), None);
    assert!(Block::open(block.dir()).unwrap().meta().compaction.deletable);
}

#[test]
fn a_damaged_block_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::from_pairs([("__name__", "a")]);
    let block = block_of(dir.path(), 1, (0, 100), vec![series(&labels, &[(1, 1.0), (2, 2.0)])]);
    let chunks = block.dir().join("chunks/000001");
    let mut bytes = std::fs::read(&chunks).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&chunks, bytes).unwrap();
    let block = Block::open(block.dir()).unwrap();
    let compactor = Compactor::new(SimClock::at(5_000), 1 << 20, &Registry::new());
    let error = compactor.compact(dir.path(), std::slice::from_ref(&block)).unwrap_err();
    assert!(error.to_string().contains("chunks/000001"), "{error}");
    assert!(Block::open(block.dir()).unwrap().meta().compaction.failed);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
