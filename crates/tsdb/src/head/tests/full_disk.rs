//! Checkpoints and snapshots for which there is no room: they leave nothing behind, and nothing is lost.

use super::*;
use crate::full_disk::{in_own_process, limit_files};
use crate::wal::Compression;

const SEGMENT_BYTES: u64 = 64 << 10;

fn small_segments() -> HeadOptions {
    HeadOptions { wal_segment_bytes: SEGMENT_BYTES, wal_compression: Compression::None, ..options() }
}

/// More series than a segment has room for, and samples that are enough for several.
fn fill(head: &Head) {
    for t in 0..12 {
        for group in 0..10 {
            let samples: Vec<_> =
                (group * 300..group * 300 + 300).map(|i| (series("m", i), t * 20_000, i as f64)).collect();
            assert!(commit(head, &samples).iter().all(Result::is_ok));
        }
    }
}

fn entries(dir: &Path, prefix: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[test]
fn a_checkpoint_without_room_leaves_the_log_as_it_was() {
    if !in_own_process(module_path!(), "a_checkpoint_without_room_leaves_the_log_as_it_was") {
        return;
    }
    let mut fixture = Fixture::new(small_segments());
    fill(fixture.head());
    let segments = entries(&fixture.path().join("wal"), "0").len();
    limit_files(Some(SEGMENT_BYTES * 3 / 2));
    let error = fixture.head().truncate(100_000).unwrap_err().to_string();
    assert!(error.contains("checkpoint.") && error.contains("File too large"), "{error}");
    assert_eq!(fixture.metric("prometheus_tsdb_checkpoint_creations_failed_total"), 1.0);
    assert_eq!(entries(&fixture.path().join("wal"), "checkpoint"), Vec::<String>::new());
    assert!(entries(&fixture.path().join("wal"), "0").len() >= segments);
    let before = dump(fixture.head());
    assert!(dump(fixture.open_from(100_000)) == before);
    limit_files(None);
    fixture.head().truncate(200_000).unwrap();
    assert_eq!(entries(&fixture.path().join("wal"), "checkpoint").len(), 1);
    let before = dump(fixture.head());
    assert!(dump(fixture.open_from(200_000)) == before);
    assert_eq!(fixture.head().replay_report().damages, Vec::<String>::new());
}

#[test]
fn a_snapshot_without_room_leaves_the_start_to_the_log() {
    if !in_own_process(module_path!(), "a_snapshot_without_room_leaves_the_start_to_the_log") {
        return;
    }
    let mut fixture = Fixture::new(HeadOptions { snapshot_on_shutdown: true, ..small_segments() });
    fill(fixture.head());
    let before = dump(fixture.head());
    limit_files(Some(SEGMENT_BYTES * 3 / 2));
    let error = fixture.head().close().unwrap_err().to_string();
    assert!(error.contains("chunk_snapshot."), "{error}");
    assert_eq!(entries(fixture.path(), "chunk_snapshot"), Vec::<String>::new());
    limit_files(None);
    assert!(dump(fixture.open()) == before);
    let report = fixture.head().replay_report();
    assert!(!report.from_snapshot && report.damages.is_empty(), "{report:?}");
    fixture.head().close().unwrap();
    assert_eq!(entries(fixture.path(), "chunk_snapshot").len(), 1);
    assert!(dump(fixture.open()) == before);
    assert!(fixture.head().replay_report().from_snapshot);
}
