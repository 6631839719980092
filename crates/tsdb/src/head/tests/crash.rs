use std::fs;

use proptest::prelude::*;

use super::*;
use crate::full_disk::{in_own_process, limit_files};

fn fill(head: &Head, from: i64, to: i64) {
    for t in from..to {
        let samples: Vec<_> = (0..20).map(|i| (series("m", i), t * 500, (t * 3 + i as i64) as f64)).collect();
        commit(head, &samples);
    }
}

/// The samples of one series as text, to tell subsets.
fn lines(dump: &str) -> std::collections::BTreeSet<String> {
    let mut current = String::new();
    let mut all = std::collections::BTreeSet::new();
    for line in dump.lines() {
        match line.strip_prefix("  ") {
            Some(sample) => {
                all.insert(format!("{current} {sample}"));
            }
            None => current = line.to_owned(),
        }
    }
    all
}

#[test]
fn a_killed_process_loses_nothing_it_committed() {
    let mut fixture = Fixture::new(options());
    for round in 0..5 {
        fill(fixture.head(), round * 150, round * 150 + 150);
        let before = dump(fixture.head());
        // Dropped, not closed: what was not written is lost.
        assert_eq!(dump(fixture.open()), before);
        assert_eq!(fixture.head().replay_report().damages, Vec::<String>::new());
    }
    fixture.head().close().unwrap();
    let before = dump(fixture.head());
    assert_eq!(dump(fixture.open()), before);
}

#[test]
fn a_torn_end_costs_only_the_commit_that_was_being_written() {
    let mut fixture = Fixture::new(options());
    fill(fixture.head(), 0, 100);
    let before = dump(fixture.head());
    let path = fixture.path().join("wal/00000000");
    fixture.head = None;
    let whole = fs::read(&path).unwrap();
    let end = whole.iter().rposition(|&b| b != 0).unwrap() + 1;
    fs::write(&path, &whole[..end - 3]).unwrap();
    let after = dump(fixture.open());
    let (before, after) = (lines(&before), lines(&after));
    assert!(after.is_subset(&before));
    assert_eq!(before.len() - after.len(), 20);
    assert_eq!(fixture.head().replay_report().damages.len(), 1);
    assert_eq!(fixture.metric("prometheus_tsdb_wal_corruptions_total"), 1.0);
    let repaired = dump(fixture.open());
    assert_eq!(lines(&repaired), after);
    assert_eq!(fixture.head().replay_report().damages, Vec::<String>::new());
}

#[test]
fn damaged_chunks_come_back_from_the_log() {
    let mut fixture = Fixture::new(options());
    fill(fixture.head(), 0, 900);
    fixture.head().close().unwrap();
    let before = dump(fixture.head());
    fixture.head = None;
    let path = fixture.path().join("chunks_head/000001");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 8;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(dump(fixture.open()), before);
    assert_eq!(fixture.head().replay_report().damages.len(), 1);
    assert_eq!(fixture.metric("prometheus_tsdb_mmap_chunk_corruptions_total"), 1.0);
    assert_eq!(fs::read(fixture.path().join("quarantine/chunks_head-000001")).unwrap(), bytes);
    assert_eq!(dump(fixture.open()), before);
}

#[test]
fn a_commit_that_cannot_be_logged_leaves_nothing_and_later_ones_log_its_series() {
    let mut fixture = Fixture::new(options());
    commit(fixture.head(), &[(series("m", 0), 1, 1.0)]);
    fixture.head().inner.wal.get().unwrap().close().unwrap();
    let mut appender = Box::new(fixture.head().head_appender());
    let (old, new) =
        (appender.resolve(&series("m", 0)).unwrap(), appender.resolve(&series("new", 0)).unwrap());
    append(&mut *appender, old, 2, 2.0).unwrap();
    append(&mut *appender, new, 2, 2.0).unwrap();
    assert!(matches!(appender.commit(), Err(AppendError::Storage(_))));
    let all = read(fixture.head(), vec![], TimeRange::ALL);
    assert_eq!((all.len(), all[0].1.len()), (1, 1));
    assert_eq!(fixture.head().inner.unlogged.lock().len(), 1);
    assert_eq!(dump(fixture.open()).lines().count(), 2);
}

#[test]
fn a_snapshot_starts_without_the_log_and_a_damaged_one_is_not_trusted() {
    let mut fixture =
        Fixture::new(HeadOptions { snapshot_on_shutdown: true, max_exemplars: 10, ..options() });
    fill(fixture.head(), 0, 300);
    let mut appender = Box::new(fixture.head().head_appender());
    let h = appender.resolve(&series("h", 0)).unwrap();
    appender.append(h, 0, 150_000, SampleValue::Histogram(&integer_histogram(4))).unwrap();
    let f = appender.resolve(&series("f", 0)).unwrap();
    appender.append(f, 0, 150_000, SampleValue::FloatHistogram(&float_histogram(4))).unwrap();
    let exemplar = model::Exemplar {
        labels: Labels::from_pairs([("trace_id", "x")]),
        value: 2.5,
        timestamp_ms: 150_000,
        has_timestamp: true,
    };
    appender.append_exemplar(h, &exemplar).unwrap();
    appender.commit().unwrap();
    fixture.head().delete(TimeRange::new(0, 1_000), &[Matcher::equal("i", "3")]).unwrap();
    fixture.head().close().unwrap();
    let before = dump(fixture.head());
    let head = fixture.open();
    assert_eq!(dump(head), before);
    let report = head.replay_report();
    assert!(report.from_snapshot && report.samples == 0, "{report:?}");
    assert_eq!(head.inner.exemplars.read().len(), 1);
    fill(fixture.head(), 301, 400);
    let before = dump(fixture.head());
    assert_eq!(dump(fixture.open()), before, "snapshot and the log after it");
    fixture.head().close().unwrap();
    fixture.head = None;
    let snapshots = || {
        fs::read_dir(fixture.dir.path())
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with("chunk_snapshot."))
    };
    assert_eq!(snapshots().count(), 1);
    let segment = snapshots().next().unwrap().path().join("00000000");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let head = fixture.open();
    assert!(!head.replay_report().from_snapshot);
    assert_eq!(dump(head), before);
    assert_eq!(fixture.metric("prometheus_tsdb_snapshot_replay_error_total"), 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_is_damaged_the_head_opens_and_makes_nothing_up(
        flips in prop::collection::vec((0..4_usize, any::<prop::sample::Index>(), 0..8_u8), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut fixture =
            Fixture::new(HeadOptions { out_of_order_window_ms: 50_000, out_of_order_capacity: 4, ..options() });
        fill(fixture.head(), 0, 500);
        commit(fixture.head(), &(0..9).map(|i| (series("m", 0), 230_001 + i, 7.0)).collect::<Vec<_>>());
        fixture.head().close().unwrap();
        let before = lines(&dump(fixture.head()));
        fixture.head = None;
        let files = ["wal/00000000", "chunks_head/000001", "wbl/00000000", "wal/00000000"];
        for (file, at, bit) in flips {
            let path = fixture.path().join(files[file]);
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
        }
        if let Some(cut) = cut {
            let path = fixture.path().join("wal/00000000");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..cut.index(bytes.len())]).unwrap();
        }
        let after = lines(&dump(fixture.open()));
        prop_assert!(after.is_subset(&before), "made up: {:?}", after.difference(&before).next());
        commit(fixture.head(), &[(series("m", 0), 300_000, 1.0)]);
        let with_new = dump(fixture.head());
        prop_assert_eq!(dump(fixture.open()), with_new, "a second start sees the same");
    }
}

#[test]
fn on_a_full_disk_commits_fail_whole_and_ingestion_resumes_when_there_is_space() {
    let name = "on_a_full_disk_commits_fail_whole_and_ingestion_resumes_when_there_is_space";
    if !in_own_process(module_path!(), name) {
        return;
    }
    let mut fixture = Fixture::new(options());
    let head = fixture.open().clone();
    limit_files(Some(2 << 20));
    let mut expected = 0;
    let mut failed = false;
    let mut t = 0;
    let mut step = |head: &Head| {
        let mut appender = Box::new(head.head_appender());
        for i in 0..500 {
            let r = appender.resolve(&series("m", i)).unwrap();
            append(&mut *appender, r, t * 1_000, (t * i as i64) as f64 * 1.37).unwrap();
        }
        // Series that are new when there is no space must be known after a restart too.
        let new = appender.resolve(&series("new", t as usize)).unwrap();
        append(&mut *appender, new, t * 1_000, 1.0).unwrap();
        t += 1;
        appender.commit()
    };
    for _ in 0..20_000 {
        match step(&head) {
            Ok(()) => expected += 1,
            Err(AppendError::Storage(_)) => {
                failed = true;
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(failed);
    assert!(step(&head).is_err());
    let count = |head: &Head| {
        read(head, vec![Matcher::equal("i", "0"), Matcher::equal("__name__", "m")], TimeRange::ALL)[0].1.len()
    };
    assert_eq!(count(&head), expected);
    limit_files(None);
    for _ in 0..5 {
        step(&head).unwrap();
    }
    assert_eq!(count(&head), expected + 5);
    let before = dump(&head);
    drop(head);
    assert_eq!(dump(fixture.open()), before);
    assert_eq!(fixture.head().replay_report().damages, Vec::<String>::new());
}

#[test]
fn a_head_whose_log_cannot_be_written_at_start_opens_and_takes_samples_when_it_can() {
    let mut fixture = Fixture::new(options());
    fixture.head = None;
    let wal = fixture.path().join("wal");
    fs::remove_dir_all(&wal).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &wal).unwrap();
    let head = fixture.open();
    let mut appender = Box::new(head.head_appender());
    let m = appender.resolve(&series("m", 0)).unwrap();
    append(&mut *appender, m, 1, 1.0).unwrap();
    assert!(matches!(appender.commit(), Err(AppendError::Storage(_))));
    assert_eq!(dump(head), "");
    fs::remove_file(&wal).unwrap();
    assert_eq!(commit(head, &[(series("m", 0), 2, 2.0)]), [Ok(())]);
    let before = dump(head);
    assert_eq!(dump(fixture.open()), before);
}
