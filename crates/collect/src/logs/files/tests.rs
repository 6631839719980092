use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use base::SimClock;

use super::*;
use crate::logs::entries::Multiline;
use crate::logs::tests::Memory;

/// A directory with logs, a store, and a tailer that can be killed.
struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    store: Arc<Memory>,
    options: FileOptions,
    files: Files,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut FileOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        // Times of files are those of the system; rotation compares them with the clock.
        let clock = SimClock::at(1_000);
        let mut options = FileOptions {
            include: vec![Glob::new(&format!("{}/log/*.log", dir.path().display())).unwrap()],
            labels: vec![("job".to_owned(), "varlogs".to_owned())],
            ..FileOptions::default()
        };
        change(&mut options);
        let files = files(&dir, &clock, &options);
        Self { dir, clock, store: Memory::new(), options, files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("log").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Takes turns until there is nothing to do.
    fn drain(&mut self) {
        for _ in 0..100 {
            let turn = self.files.turn(&*self.store, &Signal::default()).unwrap();
            if turn == Turn::Idle {
                return;
            }
        }
        panic!("there is always something to read");
    }

    fn later(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.drain();
        }
    }

    /// Ends without a word, and starts again.
    fn kill(&mut self) {
        self.files = files(&self.dir, &self.clock, &self.options);
    }

    /// Delivers one batch whose answer is lost, and dies.
    fn kill_in_delivery(&mut self) {
        self.store.loses_answers.store(true, Ordering::SeqCst);
        let signal = self.store.signal.clone();
        while self.files.turn(&*self.store, &signal).unwrap() != Turn::Stopped {}
        self.store.loses_answers.store(false, Ordering::SeqCst);
        self.kill();
    }

    fn lines(&self, log: &str) -> Vec<String> {
        self.store.lines("filename", &format!("/log/{log}"))
    }
}

fn files(dir: &tempfile::TempDir, clock: &Arc<SimClock>, options: &FileOptions) -> Files {
    let positions = Positions::open(&dir.path().join("positions.log")).unwrap();
    let positions = Arc::new(Mutex::new(positions));
    Files::new(options.clone(), clock.clone(), positions, LogMetrics::default())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn lines_are_delivered_as_they_are_written() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\ntwo\nthr");
    bench.drain();
    assert_eq!(bench.lines("a.log"), ["one", "two"]);
    bench.append("a.log", "ee\n");
    bench.append("b.log", "b\n");
    bench.later(6);
    assert_eq!(bench.lines("a.log"), ["one", "two", "three"]);
    assert_eq!(bench.lines("b.log"), ["b"]);
    let path = bench.path("a.log").to_string_lossy().into_owned();
    let expected = vec![("filename".to_owned(), path), ("job".to_owned(), "varlogs".to_owned())];
    assert_eq!(bench.store.streams()[0], expected);
    // Entries of one moment keep their order.
    assert_eq!(&bench.store.times()[..2], [1_000_000_000, 1_000_000_001]);
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\n");
    bench.drain();
    bench.files.save(true).unwrap();
    bench.kill();
    bench.append("a.log", "two\n");
    bench.later(1);
    assert_eq!(bench.lines("a.log"), ["one", "two"]);
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn a_kill_at_any_moment_repeats_entries_as_they_were() {
    let mut bench = Bench::new();
    for round in 0..20 {
        bench.append("a.log", &format!("a{round}\nsame\nsame\n"));
        bench.append("b.log", &format!("b{round}\n"));
        bench.clock.advance(Duration::from_millis(137));
        match round % 4 {
            0 => bench.kill_in_delivery(),
            // Stored, but not noted.
            1 => {
                bench.files.turn(&*bench.store, &Signal::default()).unwrap();
                bench.kill();
            }
            2 => bench.kill(),
            _ => bench.later(2),
        }
    }
    bench.later(6);
    let lines = bench.lines("a.log");
    assert_eq!(lines.len(), 60, "{lines:?}");
    let numbered: Vec<&String> = lines.iter().filter(|line| *line != "same").collect();
    assert_eq!(
        numbered,
        (0..20).map(|round| format!("a{round}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    assert_eq!(bench.lines("b.log").len(), 20);
    assert!(bench.store.repeated() > 0);
}

#[test]
fn a_renamed_file_is_read_to_its_end_under_its_first_name() {
    let mut bench = Bench::new();
    bench.append("a.log", "1\n");
    bench.drain();
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "3\n");
    bench.drain();
    // Its writer has not noticed yet.
    bench.append("a.log.1", "late\nunfinished");
    bench.later(2);
    assert_eq!(bench.lines("a.log"), ["1", "2", "3", "late"]);
    bench.later(15);
    assert_eq!(bench.lines("a.log"), ["1", "2", "3", "late", "unfinished"]);
    assert_eq!(bench.files.tails.len(), 1);
    bench.append("a.log.1", "very late\n");
    bench.later(6);
    assert_eq!(bench.lines("a.log").last().unwrap(), "very late");
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn what_happened_while_nobody_looked_is_read_as_well() {
    let mut bench = Bench::new();
    bench.append("a.log", "1\n");
    bench.drain();
    bench.files.save(true).unwrap();
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.2");
    bench.append("a.log.1", "3\n4\n");
    bench.append("a.log", "5\n");
    bench.kill();
    bench.later(25);
    let mut lines = bench.lines("a.log");
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4", "5"]);
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn a_file_that_is_emptied_is_read_anew() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    bench.drain();
    File::create(bench.path("a.log")).unwrap().write_all(b"3\n").unwrap();
    bench.drain();
    // As long as before, or longer.
    File::create(bench.path("a.log")).unwrap().write_all(b"4\n5\n6\n").unwrap();
    bench.drain();
    assert_eq!(bench.lines("a.log"), ["one", "two", "3", "4", "5", "6"]);
}

#[test]
fn what_was_copied_before_a_file_was_emptied_is_read_in_the_copy() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\n");
    bench.drain();
    bench.append("a.log", "two\nthree\n");
    std::fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    File::create(bench.path("a.log")).unwrap().write_all(b"four\n").unwrap();
    bench.later(30);
    let mut lines = bench.lines("a.log");
    lines.sort();
    assert_eq!(lines, ["four", "one", "three", "two"]);
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn a_batch_on_its_way_is_found_again_in_the_copy() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    bench.kill_in_delivery();
    std::fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    File::create(bench.path("a.log")).unwrap();
    bench.later(30);
    assert_eq!(bench.lines("a.log"), ["one", "two"]);
}

#[test]
fn a_copy_of_what_is_read_is_not_read_again() {
    let mut bench = Bench::new();
    bench.append("a.log", &"a line\n".repeat(300));
    bench.drain();
    std::fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    std::fs::write(bench.path("a.log.2.gz"), gzip(&"a line\n".repeat(300))).unwrap();
    bench.later(30);
    bench.append("a.log", "more\n");
    bench.later(30);
    assert_eq!(bench.lines("a.log").len(), 301);
}

#[test]
fn compressed_files_are_read_once_and_only_what_was_not_read() {
    let mut bench = Bench::new();
    bench.append("a.log", "1\n2\n");
    bench.drain();
    // Rotated and compressed with a rest nobody has seen.
    bench.files.save(true).unwrap();
    bench.append("a.log", "3\n");
    std::fs::write(bench.path("a.log.2.gz"), gzip("1\n2\n3\n")).unwrap();
    std::fs::remove_file(bench.path("a.log")).unwrap();
    bench.append("other", "keeps the inode from being used again");
    std::fs::write(bench.path("a.log.1.zst"), zstd::encode_all(&b"4\n5"[..], 1).unwrap()).unwrap();
    bench.append("a.log", "6\n");
    bench.kill();
    bench.later(40);
    let mut lines = bench.lines("a.log");
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "6"]);
    bench.rename("a.log.2.gz", "a.log.3.gz");
    bench.rename("a.log.1.zst", "a.log.2.zst");
    bench.later(20);
    bench.kill();
    bench.later(20);
    assert_eq!(bench.lines("a.log").len(), 6);
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn a_batch_of_a_compressed_file_is_repeated_as_it_was() {
    let mut bench = Bench::new();
    bench.append("a.log", "live\n");
    bench.drain();
    let text: String = (0..200_000).map(|line| format!("line {line}\n")).collect();
    std::fs::write(bench.path("a.log.1.gz"), gzip(&text)).unwrap();
    bench.later(9);
    for _ in 0..3 {
        bench.clock.advance(Duration::from_secs(20));
        bench.files.discover_if_due().unwrap();
        bench.clock.advance(Duration::from_secs(20));
        bench.kill_in_delivery();
    }
    bench.later(30);
    let lines = bench.lines("a.log");
    assert_eq!(lines.len(), 200_001);
    assert!(bench.store.repeated() > 0);
}

#[test]
fn history_and_damage_are_passed_over() {
    let mut bench = Bench::new();
    // The clock is past the times of these files.
    bench.clock.advance(Duration::from_secs(4_000_000_000));
    bench.append("a.log.1", "old\n");
    std::fs::write(bench.path("a.log.2.gz"), gzip("older\n")).unwrap();
    bench.append("a.log", "new\n");
    bench.later(30);
    assert_eq!(bench.lines("a.log"), ["new"]);

    let mut bench = Bench::new();
    bench.append("a.log", "new\n");
    let whole = gzip(&"lost\n".repeat(1000));
    std::fs::write(bench.path("a.log.1.gz"), &whole[..whole.len() / 2]).unwrap();
    bench.later(30);
    bench.kill();
    bench.later(30);
    assert!(bench.lines("a.log").contains(&"new".to_owned()));
}

#[test]
fn lines_of_one_entry_wait_for_each_other() {
    let mut bench =
        Bench::with(|options| options.entries.multiline = Some(Multiline::new("^[0-9]", 128).unwrap()));
    bench.append("a.log", "1 error\n  at a\n");
    bench.drain();
    assert!(bench.lines("a.log").is_empty());
    bench.append("a.log", "  at b\n2 next\n");
    bench.drain();
    assert_eq!(bench.lines("a.log"), ["1 error\n  at a\n  at b"]);
    bench.later(5);
    assert_eq!(bench.lines("a.log").last().unwrap(), "2 next");
    bench.append("a.log", "3 killed\n  at c\n4\n");
    bench.kill_in_delivery();
    bench.later(5);
    assert_eq!(bench.lines("a.log")[2..], ["3 killed\n  at c", "4"]);
}

#[test]
fn each_log_has_its_own_way_to_begin_an_entry() {
    let mut bench = Bench::with(|options| {
        options.entries.multiline = Some(Multiline::new("^[0-9]", 2).unwrap());
        options.multiline = vec![
            (Glob::new("/**/java*.log").unwrap(), Multiline::new("^\\S", 0).unwrap()),
            (Glob::new("/**/*.log").unwrap(), Multiline::new("^#", 128).unwrap()),
        ];
    });
    let long = "  at x\n".repeat(200);
    bench.append("java1.log", &format!("Exception\n{long}next\n"));
    bench.append("other.log", "#1\n2\n3\n#4\n");
    bench.later(5);
    assert_eq!(bench.lines("java1.log"), [format!("Exception\n{}", long.trim_end()), "next".to_owned()]);
    assert_eq!(bench.lines("other.log"), ["#1\n2\n3", "#4"]);
}

#[test]
fn few_files_are_open_and_those_that_were_closed_are_found_again() {
    let mut bench = Bench::with(|options| options.max_open = 2);
    for i in 0..10 {
        bench.append(&format!("{i}.log"), "first\n");
    }
    bench.drain();
    assert!(bench.files.tails.values().filter(|tail| tail.is_open()).count() <= 2);
    for i in 0..10 {
        bench.append(&format!("{i}.log"), "second\n");
        bench.rename(&format!("{i}.log"), &format!("{i}.log.1"));
        bench.append(&format!("{i}.log"), "third\n");
    }
    // Rotated files take turns, too.
    bench.later(120);
    for i in 0..10 {
        let mut lines = bench.lines(&format!("{i}.log"));
        lines.sort();
        assert_eq!(lines, ["first", "second", "third"], "{i}");
    }
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn a_file_that_matches_under_its_new_name_is_not_read_again() {
    let mut bench = Bench::new();
    bench.append("a.log", "1\n");
    bench.drain();
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a-20260101.log");
    bench.append("a.log", "3\n");
    bench.later(30);
    let before = std::fs::metadata(bench.dir.path().join("positions.log")).unwrap().len();
    bench.later(60);
    // Nothing happens, so nothing is noted.
    assert_eq!(std::fs::metadata(bench.dir.path().join("positions.log")).unwrap().len(), before);
    assert_eq!(bench.lines("a.log"), ["1", "2", "3"]);
    bench.append("a-20260101.log", "late\n");
    bench.later(10);
    assert_eq!(bench.lines("a.log").len(), 4);
    assert_eq!(bench.store.repeated(), 0);
}

#[test]
fn what_is_excluded_or_one_too_many_is_not_followed() {
    let mut bench = Bench::with(|options| {
        options.exclude = vec![Glob::new("**/secret*.log").unwrap()];
        options.max_files = 2;
    });
    for name in ["a.log", "b.log", "c.log", "secret.log"] {
        bench.append(name, "x\n");
    }
    bench.drain();
    assert_eq!(bench.store.streams().len(), 2);
    assert!(bench.lines("secret.log").is_empty());
}

#[test]
fn reading_may_begin_at_the_end() {
    let mut bench = Bench::with(|options| options.from_end = true);
    bench.append("a.log", "old\n");
    bench.drain();
    bench.append("a.log", "new\n");
    bench.drain();
    assert_eq!(bench.lines("a.log"), ["new"]);
}

#[test]
fn a_large_file_goes_in_batches_and_long_lines_in_pieces() {
    let mut bench = Bench::with(|options| options.entries.max_bytes = 1000);
    bench.append("a.log", &format!("{}\n{}", "x".repeat(2500), "0123456789abcdef\n".repeat(200_000)));
    bench.drain();
    let lines = bench.lines("a.log");
    assert_eq!(lines.len(), 200_003);
    assert_eq!(lines[..3].iter().map(String::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    assert!(bench.store.pushes() > 3);
    assert!(bench.store.times().windows(2).all(|pair| pair[0] < pair[1]));
}
