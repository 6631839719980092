//! The files under `testdata/journal` were written by `systemd-journal-remote` of systemd 252: `compact` with offsets of
//! 32 bits and Zstandard, `keyed` with Zstandard, `plain` without either and with the old hash.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use base::SimClock;

use super::file::*;
use super::*;
use crate::logs::tests::Memory;

/// When the first entry of the files came.
const FIRST_MS: i64 = 1_790_000_000_000;

fn restored(name: &str, dir: &Path) -> PathBuf {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/journal").join(format!("{name}.journal.zst"));
    let path = dir.join(format!("{name}.journal"));
    std::fs::write(&path, zstd::decode_all(File::open(source).unwrap()).unwrap()).unwrap();
    path
}

fn all(path: &Path) -> Vec<JournalEntry> {
    let mut file = JournalFile::open(File::open(path).unwrap(), 0).unwrap();
    std::iter::from_fn(|| file.read(|_| true).unwrap()).collect()
}

fn field<'a>(entry: &'a JournalEntry, name: &str) -> &'a [u8] {
    entry.fields.iter().find(|(field, _)| field == name).map_or(b"", |(_, value)| value)
}

#[test]
fn files_of_every_kind_hold_the_same_entries() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["compact", "keyed", "plain"] {
        let entries = all(&restored(name, dir.path()));
        assert_eq!(entries.len(), 120, "{name}");
        for (i, entry) in entries.iter().enumerate() {
            assert_eq!(entry.seqnum, i as u64 + 1);
            assert_eq!(entry.realtime_us, FIRST_MS as u64 * 1000 + i as u64 * 1000);
            assert_eq!(entry.boot_id, "0123456789abcdef0123456789abcdef");
            let expected = match i {
                10 => format!("long {}", "abcdefgh ".repeat(2000)).into_bytes(),
                11 => b"two\nlines".to_vec(),
                12 => b"not \xff text\x01".to_vec(),
                13 => Vec::new(),
                i => format!("message {i}").into_bytes(),
            };
            assert_eq!(field(entry, "MESSAGE"), expected, "{name} {i}");
            assert_eq!(field(entry, "_HOSTNAME"), b"box");
            assert_eq!(field(entry, "PRIORITY"), (i % 8).to_string().as_bytes());
        }
    }
    // As `journalctl --show-cursor` told it.
    let last = all(&dir.path().join("compact.journal")).pop().unwrap();
    assert_eq!(
        last.cursor("a3d16c890c5947c58ecda9e2ed58d35e"),
        "s=a3d16c890c5947c58ecda9e2ed58d35e;i=78;b=0123456789abcdef0123456789abcdef;m=111318;t=65bfeda27b0d8;x=df9a445fd0561b32"
    );
}

#[test]
fn entries_are_found_by_place_and_by_time() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["compact", "plain"] {
        let mut file = JournalFile::open(File::open(restored(name, dir.path())).unwrap(), 100).unwrap();
        let mut next = || file.read(|name| name == "MESSAGE").unwrap().map(|entry| entry.seqnum);
        assert_eq!((next(), next()), (Some(101), Some(102)));
        for (ms, expected) in [(0, 0), (FIRST_MS + 50, 50), (FIRST_MS + 119, 119), (i64::MAX / 1000, 120)] {
            file.seek_time(ms as u64 * 1000).unwrap();
            assert_eq!(file.position(), expected);
        }
        file.seek(3);
        assert_eq!(file.read(|_| false).unwrap().unwrap().seqnum, 4);
    }
}

#[test]
fn damage_is_an_error_and_never_more() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["compact", "keyed"] {
        let path = restored(name, dir.path());
        let content = std::fs::read(&path).unwrap();
        let used = content.iter().rposition(|&byte| byte != 0).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        // A generator of our own: the same damage every time.
        let mut seed = 7_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        for _ in 0..400 {
            let at = random() as usize % used;
            let bytes = random().to_le_bytes();
            file.write_all_at(&bytes, at as u64).unwrap();
            if let Ok(mut journal) = JournalFile::open(File::open(&path).unwrap(), 0) {
                // It ends, whatever the header says.
                (0..300).for_each(|_| drop(journal.read(|_| true)));
                let _ = journal.seek_time(FIRST_MS as u64 * 1000 + 5);
            }
            let whole = &content[at..(at + 8).min(content.len())];
            file.write_all_at(whole, at as u64).unwrap();
        }
        assert_eq!(all(&path).len(), 120);
        for len in [0, 7, 100, 207, 208, 1000, used / 2] {
            std::fs::write(&path, &content[..len]).unwrap();
            if let Ok(mut journal) = JournalFile::open(File::open(&path).unwrap(), 0) {
                (0..300).for_each(|_| drop(journal.read(|_| true)));
            }
        }
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    store: Arc<Memory>,
    journal: Journal,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("journal/machine")).unwrap();
        let clock = SimClock::at(FIRST_MS + 1000);
        let journal = journal(&dir, &clock);
        Self { dir, clock, store: Memory::new(), journal }
    }

    fn machine(&self) -> PathBuf {
        self.dir.path().join("journal/machine")
    }

    fn drain(&mut self) {
        self.clock.advance(Duration::from_secs(6));
        while self.journal.turn(&*self.store, &Signal::default()).unwrap() != Turn::Idle {}
    }

    fn count(&self) -> usize {
        self.store.lines("job", "systemd-journal").len()
    }
}

fn journal(dir: &tempfile::TempDir, clock: &Arc<SimClock>) -> Journal {
    let options =
        JournalOptions { directories: vec![dir.path().join("journal")], ..JournalOptions::default() };
    let positions = Positions::open(&dir.path().join("positions.log")).unwrap();
    Journal::new(options, clock.clone(), Arc::new(Mutex::new(positions)), LogMetrics::default())
}

#[test]
fn entries_become_lines_with_unit_and_level() {
    let mut bench = Bench::new();
    restored("compact", &bench.machine());
    bench.drain();
    assert_eq!(bench.count(), 119);
    assert_eq!(bench.store.lines("unit", "nginx.service")[0], "message 2");
    assert_eq!(bench.store.lines("level", "error")[..2], ["message 3", "two\nlines"]);
    assert!(bench.store.lines("level", "warning").contains(&"not \u{fffd} text\u{1}".to_owned()));
    let first: Vec<String> = bench.store.streams()[0].iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(first, ["host=box", "job=systemd-journal", "level=alert"]);
    assert_eq!(bench.store.times()[0], FIRST_MS * 1_000_000 + 1);
}

#[test]
fn a_file_is_read_once_under_all_its_names() {
    let mut bench = Bench::new();
    let path = restored("compact", &bench.machine());
    bench.drain();
    std::fs::rename(&path, bench.machine().join("compact@0001.journal")).unwrap();
    restored("plain", &bench.machine());
    bench.drain();
    // Both hold the same entries.
    assert_eq!(bench.store.delivered(), 119 * 2);
    bench.journal.save(true).unwrap();
    bench.journal = journal(&bench.dir, &bench.clock);
    bench.drain();
    assert_eq!(bench.store.delivered(), 119 * 2);
}

#[test]
fn a_kill_repeats_entries_as_they_were() {
    let mut bench = Bench::new();
    restored("compact", &bench.machine());
    bench.store.loses_answers.store(true, Ordering::SeqCst);
    let signal = bench.store.signal.clone();
    assert_eq!(bench.journal.turn(&*bench.store, &signal).unwrap(), Turn::Stopped);
    bench.store.loses_answers.store(false, Ordering::SeqCst);
    bench.journal = journal(&bench.dir, &bench.clock);
    bench.drain();
    assert_eq!((bench.count(), bench.store.repeated()), (119, 119));
}

#[test]
fn old_entries_of_a_new_file_are_left_out() {
    let mut bench = Bench::new();
    restored("compact", &bench.machine());
    bench.journal.options.max_age = Duration::from_millis(1000 - 100 + 6000);
    bench.drain();
    assert_eq!(bench.count(), 20);
}

/// The daemon's own writer appends while we read.
#[test]
fn a_file_that_grows_is_followed() {
    let writer = Path::new("/lib/systemd/systemd-journal-remote");
    if !writer.exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "systemd-journal-remote is not installed");
        println!("skipped: a_file_that_grows_is_followed: systemd-journal-remote is not installed");
        return;
    }
    let mut bench = Bench::new();
    let path = bench.machine().join("growing.journal");
    for round in 0..5 {
        let export: String = (0..200)
            .map(|i| {
                let time_us = FIRST_MS * 1000 + round * 1000 + i;
                format!(
                    "__REALTIME_TIMESTAMP={time_us}\n__MONOTONIC_TIMESTAMP={time_us}\n_BOOT_ID={:032x}\nMESSAGE={round} {i}\n\n",
                    7
                )
            })
            .collect();
        let source = bench.dir.path().join("export");
        std::fs::write(&source, export).unwrap();
        let done = std::process::Command::new(writer).arg("-o").arg(&path).arg(&source).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        bench.drain();
        assert_eq!(bench.count() as i64, (round + 1) * 200);
    }
    assert_eq!(bench.store.repeated(), 0);
}
