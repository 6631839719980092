//! Objects that overlap in time: made as seldom as can be, and compared at little cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppender, LogSource};
use model::source::TenantId;

use super::hook::HookedBucket;
use super::store::{Store, append};
use super::{Row, batches_of, everything, read_all, small_options};
use crate::{LogDb, Options};

const PODS: i64 = 40;

fn roomy() -> Options {
    Options {
        max_unflushed_bytes: 10 << 20,
        memtable_bytes: 10 << 20,
        target_object_bytes: 10 << 20,
        group_bytes: 1 << 20,
        index_cache_bytes: 10 << 20,
        ..small_options(1)
    }
}

/// A line of each pod at these seconds.
fn of_pods(seconds: impl Iterator<Item = i64> + Clone) -> Vec<Row> {
    let row = |pod: i64, second: i64| {
        let labels = Labels::from_pairs([("app", "a".to_owned()), ("pod", format!("{pod:02}"))]);
        (labels, 1_768_478_400_000_000_000 + second * 1_000_000_000, format!("{pod} {second}"))
    };
    (0..PODS).flat_map(|pod| seconds.clone().map(move |second| row(pod, second))).collect()
}

fn store(db: &LogDb, rows: &[Row]) {
    db.append(&TenantId::default(), batches_of(rows)).unwrap();
    db.flush().unwrap();
}

#[test]
fn neighbours_in_time_are_compacted_together() {
    let store = Store::new();
    let db = store.open_with(Options { compaction_inputs: 4, max_compaction_inputs: 4, ..roomy() });
    // By size they would not be neighbours.
    let mut first = 0;
    for part in 0..8 {
        let rows = if part % 2 == 0 { 60 } else { 40 };
        append(&db, first..first + rows);
        first += rows;
        db.flush().unwrap();
    }
    while db.compact_once().unwrap() {}
    let mut spans: Vec<(i64, i64)> = db.objects().iter().map(|(.., o)| (o.first_ns, o.last_ns)).collect();
    spans.sort_unstable();
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans[0].1 < spans[1].0, "{spans:?}");
    assert_eq!(read_all(&db, &everything()).unwrap().len() as i64, first);
}

#[test]
fn objects_of_any_sizes_are_compacted_without_overlaps() {
    let store = Store::new();
    let db = store.open_with(Options { compaction_inputs: 4, max_compaction_inputs: 8, ..roomy() });
    let mut first = 0;
    for part in 0..60 {
        let rows = [1, 300, 5, 2000, 40][part % 5];
        append(&db, first..first + rows);
        first += rows;
        db.flush().unwrap();
        let before = db.objects().len();
        while db.compact_once().unwrap() {}
        let mut spans: Vec<(i64, i64)> = db.objects().iter().map(|(.., o)| (o.first_ns, o.last_ns)).collect();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0), "{before} objects became {spans:?}");
    }
    assert!(db.objects().len() < 20, "{} objects", db.objects().len());
    store.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    while db.compact_once().unwrap() {}
    assert_eq!(db.objects().len(), 1);
    assert_eq!(read_all(&db, &everything()).unwrap().len() as i64, first);
}

#[test]
fn only_page_groups_that_overlap_are_compared_and_each_is_read_once() {
    let sim = Store::new();
    let reads = Arc::new(AtomicU64::new(0));
    let counted = reads.clone();
    let hook = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let bucket = Arc::new(HookedBucket { inner: sim.bucket.clone(), hook: Arc::new(hook) });
    let db = sim.open_on(roomy(), &sim.disk, bucket);
    let reads_of_selecting = || {
        let everything = everything();
        // Objects are open after the first time.
        db.select(&everything, &QueryContext::unbounded()).unwrap();
        reads.store(0, Ordering::Relaxed);
        db.select(&everything, &QueryContext::unbounded()).unwrap();
        reads.load(Ordering::Relaxed)
    };
    store(&db, &of_pods((0..20).step_by(2)));
    store(&db, &of_pods((20..40).step_by(2)));
    assert_eq!(db.objects().len(), 2);
    assert_eq!(reads_of_selecting(), 0, "one is behind the other");
    // All pods again, between the others in time: one page group of times each, for each thread.
    store(&db, &of_pods((1..20).step_by(2)));
    let of_three = reads_of_selecting();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(2) as u64;
    assert!((2..=2 * threads.min(PODS as u64 / 2)).contains(&of_three), "{of_three}");
    // Some of them once more, sent again.
    store(&db, &of_pods(10..30));
    let rows = read_all(&db, &everything()).unwrap();
    let mut expected = of_pods((0..20).chain((20..40).step_by(2)).chain((21..30).step_by(2)));
    let mut found = rows;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}
