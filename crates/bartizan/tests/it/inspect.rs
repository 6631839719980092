//! `bartizan tsdb`, beside the real promtool.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base::metrics::Registry;
use model::{Appendable, Histogram, Labels, SampleValue, Span, TenantId};
use tempfile::TempDir;
use tsdb::db::{Db, Options};

use crate::support::{Done, bartizan, contents, program};

/// A moment at the start of a block.
const START_S: i64 = 1_700_006_400;

/// Two metrics, several series that come and go, over five hours.
fn exposition() -> String {
    let mut text = String::from("# TYPE requests counter\n");
    for series in 0..40 {
        let life_minutes = if series % 3 == 0 { 80 } else { 300 };
        for minute in (0..life_minutes).step_by(2) {
            let labels = format!("code=\"{}\",path=\"/p{series}\"", 200 + series % 4);
            let t_s = START_S + minute * 60;
            writeln!(text, "requests_total{{{labels}}} {} {t_s}", minute * series).unwrap();
        }
    }
    text.push_str("# TYPE up gauge\n");
    for minute in 0..300 {
        writeln!(text, "up{{job=\"ä \\\"b\\\"\"}} {} {}", minute as f64 / 7.0, START_S + minute * 60)
            .unwrap();
    }
    text.push_str("# EOF\n");
    text
}

/// A data directory whose blocks the real promtool wrote.
struct Peer {
    promtool: PathBuf,
    dir: TempDir,
}

impl Peer {
    fn new(test: &str) -> Option<Self> {
        let promtool = program("promtool", test)?;
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("input.txt");
        std::fs::write(&input, exposition()).unwrap();
        let peer = Self { promtool, dir };
        let made = Command::new(&peer.promtool)
            .args(["tsdb", "create-blocks-from", "openmetrics", "-q"])
            .arg(&input)
            .arg(peer.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Some(peer)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What the real promtool and ours print for a `tsdb` command.
    fn both(&self, arguments: &[&str]) -> (Done, Done) {
        let data = self.data();
        let arguments = ["tsdb"].iter().chain(arguments).copied().chain([data.to_str().unwrap()]);
        let real = Command::new(&self.promtool).args(arguments.clone()).output().unwrap();
        (real.into(), bartizan(arguments))
    }
}

#[test]
fn lists_are_those_of_promtool() {
    let Some(peer) = Peer::new("lists_are_those_of_promtool") else { return };
    for arguments in [&["list"][..], &["list", "-r"]] {
        let (real, ours) = peer.both(arguments);
        assert_eq!(ours.code, 0, "{ours:?}");
        assert_eq!(ours.out, real.out);
    }
    assert_eq!(bartizan(["tsdb", "list", "/no/such/directory"]).code, 1);
}

/// The lines of each list in order; promtool does not order those with equal numbers.
fn sections(text: &str) -> Vec<Vec<&str>> {
    let mut sections: Vec<Vec<&str>> = text.split("\n\n").map(|section| section.lines().collect()).collect();
    sections.iter_mut().skip(1).for_each(|lines| lines[1..].sort_unstable());
    sections
}

#[test]
fn analyses_are_those_of_promtool() {
    let Some(peer) = Peer::new("analyses_are_those_of_promtool") else { return };
    let (real, ours) = peer.both(&["analyze", "--limit=1000"]);
    assert_eq!(ours.code, 0, "{ours:?}");
    // Older versions call it so.
    let real = real.out.replace("\nSeries: ", "\nTotal Series: ");
    assert_eq!(sections(&ours.out), sections(&real));

    let data = peer.data();
    let data = data.to_str().unwrap();
    let ours = bartizan(["tsdb", "analyze", data, "--match", "up", "--extended", "--limit=1"]);
    for wanted in [
        "Matcher: up\n",
        "Matched series: 1\n",
        "Highest cardinality metric names:\n1 up\n",
        "samples per float chunk (min/avg/max): ",
    ] {
        assert!(ours.out.contains(wanted), "{wanted:?} in {}", ours.out);
    }
    let absent = bartizan(["tsdb", "analyze", data, "01HF8RAQ9Y5J4Z0000000000AB"]);
    assert!(absent.code == 1 && absent.err.contains("there is no block"), "{absent:?}");
}

/// Adds a head with samples after those of the blocks.
fn add_head(dir: &Path) {
    let db = Db::open(dir, Options::default(), base::SystemClock::shared(), &Registry::new()).unwrap();
    let mut appender = db.appender(&TenantId::default());
    for (name, job) in [("up", "ä \"b\""), ("down", "c")] {
        let labels = Labels::from_pairs([("__name__", name), ("job", job)]);
        let series = appender.resolve(&labels).unwrap();
        for minute in 0..400 {
            let t_ms = (START_S + (600 + minute) * 60) * 1000;
            appender.append(series, 0, t_ms, SampleValue::Float(minute as f64 / 3.0)).unwrap();
        }
    }
    let histogram = Histogram {
        zero_threshold: 0.001,
        zero_count: 2,
        count: 4_000_009,
        sum: 18.5,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
        positive_buckets: vec![1_000_003, 0, 999_998],
        ..Histogram::default()
    };
    let series = appender.resolve(&Labels::from_pairs([("__name__", "h"), ("job", "c")])).unwrap();
    let t_ms = (START_S + 700 * 60) * 1000;
    appender.append(series, 0, t_ms, SampleValue::Histogram(&histogram)).unwrap();
    appender.commit().unwrap();
    db.close().unwrap();
}

#[test]
fn dumps_are_those_of_promtool_and_change_nothing() {
    let Some(peer) = Peer::new("dumps_are_those_of_promtool_and_change_nothing") else { return };
    add_head(&peer.data());
    let before = contents(&peer.data());
    let part = format!("--min-time={}", (START_S + 4 * 3600) * 1000);
    for arguments in [&["dump"][..], &["dump", "--match=up"], &["dump", &part, "--match={job!=\"\"}"]] {
        let ours = bartizan(["tsdb"].iter().chain(arguments).copied().chain([peer.data().to_str().unwrap()]));
        assert_eq!((ours.code, ours.err.as_str()), (0, ""), "{arguments:?}");
        assert_eq!(contents(&peer.data()), before, "{arguments:?}");
        let (real, _) = peer.both(arguments);
        assert!(ours.out.lines().count() > 400, "{arguments:?}");
        // Versions before 2.47 leave native histograms out.
        let sorted = |text: &str| {
            let floats = text.lines().filter(|line| !line.contains("{count:"));
            let mut lines: Vec<String> = floats.map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted(&ours.out), sorted(&real.out), "{arguments:?}");
    }
    let histogram = bartizan(["tsdb", "dump", "--match=h", peer.data().to_str().unwrap()]).out;
    let expected =
        "{count:4000009, sum:18.5, [-0.001,0.001]:2, (0.5,1]:1000003, (1,2]:1000003, (4,8]:2000001}";
    assert_eq!(
        histogram,
        format!("{{__name__=\"h\", job=\"c\"}} {expected} {}\n", (START_S + 700 * 60) * 1000)
    );
}

#[test]
fn open_metrics_dumps_can_be_imported_again() {
    let Some(peer) = Peer::new("open_metrics_dumps_can_be_imported_again") else { return };
    let data = peer.data();
    let dump = |dir: &Path| bartizan(["tsdb", "dump", "--format=openmetrics", dir.to_str().unwrap()]).out;
    let text = dump(&data);
    assert!(text.ends_with("# EOF\n") && text.contains("up{job=\"ä \\\"b\\\"\"} "), "{text}");
    let (input, again) = (peer.dir.path().join("again.txt"), peer.dir.path().join("again"));
    std::fs::write(&input, &text).unwrap();
    let made = Command::new(&peer.promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", "-q"])
        .args([&input, &again])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert_eq!(dump(&again), text);
    let names = bartizan(["tsdb", "dump", "--format=seriesjson", "--match=up", data.to_str().unwrap()]).out;
    assert_eq!(names, "{\"__name__\":\"up\",\"job\":\"ä \\\"b\\\"\"}\n");
}

/// Flips a bit in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_found_in_every_kind_of_file() {
    let Some(peer) = Peer::new("damage_is_found_in_every_kind_of_file") else { return };
    let data = peer.data();
    add_head(&data);
    let verify = || bartizan(["tsdb", "verify", data.to_str().unwrap()]);
    let sound = verify();
    assert_eq!(sound.code, 0, "{sound:?}");
    assert!(sound.out.starts_with("read ") && sound.out.ends_with("no damage found\n"), "{sound:?}");
    let block = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let block = block.filter(|path| path.join("meta.json").is_file()).min().unwrap();
    let files = [
        block.join("index"),
        block.join("chunks/000001"),
        data.join("wal/00000000"),
        data.join("chunks_head/000001"),
    ];
    for file in files {
        damage(&file);
        let found = verify();
        assert_eq!(found.code, 1, "{}: {found:?}", file.display());
        assert!(found.out.contains(file.to_str().unwrap()), "{}: {found:?}", file.display());
        damage(&file);
    }
    let meta = std::fs::read(block.join("meta.json")).unwrap();
    std::fs::write(block.join("meta.json"), &meta[..meta.len() / 2]).unwrap();
    assert!(verify().out.contains("meta.json: "));
    std::fs::write(block.join("meta.json"), meta).unwrap();
    std::fs::write(block.join("tombstones"), b"no tombstones").unwrap();
    assert!(verify().out.contains("tombstones: "));
    std::fs::remove_file(block.join("tombstones")).unwrap();
    assert_eq!(verify().code, 0);
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_dir(&path, &target)
        } else {
            std::fs::write(target, std::fs::read(path).unwrap()).unwrap()
        }
    }
}

#[test]
fn blocks_of_other_programs_are_sound() {
    let Some(dir) = testkit::conformance::folder("blocks", "blocks_of_other_programs_are_sound") else {
        return;
    };
    for part in ["mimir-tsdb/anonymous", "prometheus/snapshots/20250602T205846Z-7e03e43cf46dda03"] {
        // The originals are others' too: whatever a command does wrong, it does to a copy.
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&dir.join(part), copy.path());
        let before = contents(copy.path());
        let done = bartizan(["tsdb", "verify", copy.path().to_str().unwrap()]);
        assert_eq!(done.code, 0, "{part}: {done:?}");
        assert!(done.out.contains("no damage found"), "{part}: {done:?}");
        assert!(contents(copy.path()) == before, "{part} is only read");
    }
}

#[test]
fn a_log_that_ends_in_the_middle_of_a_record_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    add_head(dir.path());
    let path = dir.path().join("wal/00000000");
    let bytes = std::fs::read(&path).unwrap();
    // Behind the last record the page is filled with zeros.
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() - 100;
    std::fs::write(&path, &bytes[..end]).unwrap();
    let done = bartizan(["tsdb", "verify", dir.path().to_str().unwrap()]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.starts_with("note: ") && done.out.contains("is cut off"), "{done:?}");
    let dump = bartizan(["tsdb", "dump", dir.path().to_str().unwrap()]);
    assert!(dump.code == 0 && dump.err.contains("wal/00000000 at offset "), "{}", dump.err);
    assert!(!dump.err.contains("bartizan-head-"), "{}", dump.err);
    assert_eq!(std::fs::read(&path).unwrap(), bytes[..end]);
}
