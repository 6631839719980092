//! Damaged files of the head: the start succeeds, names and counts the damage, keeps the original, and has
//! the rest; the next start finds nothing to complain about.

use std::fs;

use super::*;
use crate::wal::record::{Kind, begin, put_series};
use crate::wal::{Compression, RecordBatch, ReplayStatus, Wal, WalMetrics, WalOptions};

const WAL_METRIC: &str = "prometheus_tsdb_wal_corruptions_total";
const CHUNKS_METRIC: &str = "prometheus_tsdb_mmap_chunk_corruptions_total";
const SNAPSHOT_METRIC: &str = "prometheus_tsdb_snapshot_replay_error_total";

fn fill(head: &Head, from: i64, to: i64) {
    for t in from..to {
        let samples: Vec<_> = (0..20).map(|i| (series("m", i), t * 500, (t * 3 + i as i64) as f64)).collect();
        commit(head, &samples);
    }
}

/// Changes a bit of a file; returns what was damaged.
fn flip(path: &Path, at: impl FnOnce(usize) -> usize) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0x10;
    fs::write(path, &bytes).unwrap();
    bytes
}

/// Starts with a damaged file and checks all but what is left of the samples, which it returns.
#[track_caller]
fn check(fixture: &mut Fixture, damaged: &Path, content: &[u8], metric: &str, kept: &str) -> String {
    let found = dump(fixture.open());
    let damages = fixture.head().replay_report().damages;
    assert!(!damages.is_empty());
    let name = damaged.display().to_string();
    assert!(damages.iter().all(|damage| damage.contains(&name)), "{damages:?}");
    assert_eq!(fixture.metric(metric), damages.len() as f64);
    assert!(
        fs::read(fixture.path().join("quarantine").join(kept)).unwrap() == content,
        "the original is kept"
    );
    assert_eq!(dump(fixture.open()), found);
    assert_eq!(fixture.head().replay_report().damages, Vec::<String>::new());
    assert_eq!(fixture.metric(metric), 0.0);
    commit(fixture.head(), &[(series("new", 0), 5_000_000, 1.0)]);
    assert_eq!(dump(fixture.open()).lines().count(), found.lines().count() + 2);
    found
}

fn count(dump: &str) -> usize {
    dump.lines().filter(|line| line.starts_with("  ")).count()
}

/// A head with a checkpoint that has the series and some samples of the segments it replaced.
fn with_checkpoint() -> (Fixture, PathBuf) {
    // Small segments, so that there are several.
    let mut fixture = Fixture::new(HeadOptions { wal_segment_bytes: 64 << 10, ..options() });
    fill(fixture.head(), 0, 1_200);
    fixture.head().truncate(100_000).unwrap();
    fixture.head().close().unwrap();
    fixture.head = None;
    let entries = fs::read_dir(fixture.path().join("wal")).unwrap().map(|entry| entry.unwrap().path());
    let checkpoints: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert_eq!(checkpoints.len(), 1);
    let segment = checkpoints[0].join("00000000");
    (fixture, segment)
}

#[test]
fn a_damaged_checkpoint_costs_at_most_the_damaged_records() {
    let (mut fixture, path) = with_checkpoint();
    let whole = count(&dump(fixture.open()));
    fixture.head = None;
    let parent = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    // Behind the series, in the samples.
    let content = flip(&path, |len| len * 3 / 4);
    let kept = format!("{parent}-00000000");
    let found = check(&mut fixture, &path, &content, WAL_METRIC, &kept);
    assert!(
        count(&found) > whole / 2 && found.matches("__name__").count() >= 20,
        "{} of {whole}",
        count(&found)
    );
}

#[test]
fn a_checkpoint_whose_series_are_damaged_costs_what_is_only_there() {
    let (mut fixture, path) = with_checkpoint();
    let parent = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let content = flip(&path, |_| 20);
    let kept = format!("{parent}-00000000");
    let found = check(&mut fixture, &path, &content, WAL_METRIC, &kept);
    assert_eq!(count(&found), 0, "all series were in that record");
}

#[test]
fn a_damaged_out_of_order_log_costs_at_most_a_page() {
    let late = HeadOptions { out_of_order_window_ms: 10_000_000, out_of_order_capacity: 30, ..options() };
    let mut fixture = Fixture::new(late);
    fill(fixture.head(), 1_000, 1_010);
    for t in (0..1_000).rev() {
        commit(fixture.head(), &(0..20).map(|i| (series("m", i), t * 500 + 7, 1.5)).collect::<Vec<_>>());
    }
    fixture.head().close().unwrap();
    let whole = count(&dump(fixture.head()));
    fixture.head = None;
    // Without chunks the log is all there is.
    fs::remove_dir_all(fixture.path().join("chunks_head")).unwrap();
    let path = fixture.path().join("wbl/00000000");
    let content = flip(&path, |len| len / 2);
    let in_page = whole * (32 << 10) / content.len();
    let found = count(&check(&mut fixture, &path, &content, WAL_METRIC, "wbl-00000000"));
    assert!(found < whole && found + in_page + 600 > whole, "{found} of {whole}, {in_page} in a page");
}

#[test]
fn a_head_chunk_file_with_a_damaged_header_costs_nothing() {
    let mut fixture = Fixture::new(options());
    fill(fixture.head(), 0, 900);
    fixture.head().close().unwrap();
    let before = dump(fixture.head());
    fixture.head = None;
    let path = fixture.path().join("chunks_head/000001");
    let content = flip(&path, |_| 1);
    let found = check(&mut fixture, &path, &content, CHUNKS_METRIC, "chunks_head-000001");
    assert_eq!(found, before);
}

#[test]
fn a_damaged_snapshot_costs_nothing_and_is_set_aside() {
    let mut fixture = Fixture::new(HeadOptions { snapshot_on_shutdown: true, ..options() });
    fill(fixture.head(), 0, 300);
    fixture.head().close().unwrap();
    let before = dump(fixture.head());
    fixture.head = None;
    let entries = fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().path());
    let is_snapshot =
        |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("chunk_snapshot.");
    let snapshot = entries.filter(is_snapshot).collect::<Vec<_>>().pop().unwrap();
    let content = flip(&snapshot.join("00000000"), |len| len.min(500));
    let kept = format!("{}/00000000", snapshot.file_name().unwrap().to_string_lossy());
    assert_eq!(check(&mut fixture, &snapshot, &content, SNAPSHOT_METRIC, &kept), before);
    assert!(!snapshot.exists());
}

thread_local! {
    /// What this thread has logged since its test began to listen.
    static LOG: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Writes to the log of the thread that logs.
struct ThreadLog;

impl std::io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that are logged while `work` runs on this thread.
///
/// One subscriber serves the whole process: with one per thread, a place in the code that another
/// test's thread reaches first, without a subscriber, is switched off for all.
fn logged(work: impl FnOnce()) -> Vec<String> {
    static SUBSCRIBER: std::sync::Once = std::sync::Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(|| ThreadLog).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LOG.take();
    work();
    String::from_utf8(LOG.take()).unwrap().lines().map(str::to_owned).collect()
}

#[track_caller]
fn told_once(lines: &[String], text: &str, count: &str) {
    let told: Vec<_> = lines.iter().filter(|line| line.contains(text)).collect();
    assert!(told.len() == 1 && told[0].contains(count), "{text} {count}: {lines:?}");
}

#[test]
fn what_is_wrong_a_thousand_times_is_told_once() {
    let mut fixture = Fixture::new(options());
    commit(fixture.head(), &[(series("m", 0), 1, 1.0)]);
    fixture.head = None;
    let metrics = WalMetrics::new(&Registry::new(), "log_", Compression::None);
    let wal_dir = fixture.path().join("wal");
    let wal = Wal::open(wal_dir, WalOptions::default(), SystemClock::shared(), metrics).unwrap();
    let mut batch = RecordBatch::new(Compression::None);
    for i in 0..1_000 {
        let clash = |out: &mut Vec<u8>| {
            begin(out, Kind::Series);
            put_series(out, 77, &series("clash", i));
        };
        batch.push(clash).unwrap();
        // Samples that end before the first one does.
        batch.push(|out| out.extend_from_slice(&[2, 0, 0])).unwrap();
    }
    wal.append(&[&batch]).unwrap();
    drop(wal);
    let lines = logged(|| drop(fixture.open().clone()));
    told_once(&lines, "one reference to two series", "series=999");
    told_once(&lines, "do not decode", "records=1000");
    assert!(lines.len() < 10, "{lines:?}");
    let damages = fixture.head().replay_report().damages;
    assert!(damages.len() == 1 && damages[0].ends_with(", and 999 more"), "{damages:?}");
    assert_eq!(fixture.metric(WAL_METRIC), 1_000.0);
    assert_eq!(dump(fixture.head()).matches("__name__").count(), 1, "the rest is there");
}

#[test]
fn a_segment_full_of_damage_is_told_once() {
    let mut fixture = Fixture::new(options());
    fill(fixture.head(), 0, 3_000);
    fixture.head().close().unwrap();
    fixture.head = None;
    let path = fixture.path().join("wal/00000000");
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.chunks(32 << 10).count() - 1;
    for page in 1..pages {
        bytes[page * (32 << 10) + 1_000] ^= 0x10;
    }
    fs::write(&path, &bytes).unwrap();
    assert!(pages > 5);
    let lines = logged(|| drop(fixture.open().clone()));
    told_once(&lines, "damage in the write-ahead log is skipped", &format!("places={}", pages - 1));
    let damages = fixture.head().replay_report().damages;
    let rest = format!(", and {} more places of this segment", pages - 2);
    assert!(damages.len() == 1 && damages[0].ends_with(&rest), "{damages:?}");
    assert_eq!(fixture.metric(WAL_METRIC), (pages - 1) as f64);
    assert_eq!(fixture.open().replay_report().damages, Vec::<String>::new());
}

#[test]
fn replay_says_how_far_it_is() {
    let (mut fixture, _) = with_checkpoint();
    let segments = crate::wal::segment::list_segments(&fixture.path().join("wal")).unwrap();
    let (first, last) = (segments[0] - 1, *segments.last().unwrap());
    assert!(last > first + 1);
    fixture.options.replay_progress = Default::default();
    fixture.open();
    let status = fixture.options.replay_progress.status();
    assert_eq!(status, ReplayStatus { first, last, current: last });
}
