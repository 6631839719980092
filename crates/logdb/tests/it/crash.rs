//! kill -9 under load: every acknowledged entry is there once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use logdb::{Background, Options};
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogAppender, LogBatch, LogColumns, LogEntry, LogRange, LogRequest, LogSource};
use model::source::TenantId;

const DIRECTORY: &str = "LOGDB_CRASH_DIRECTORY";
const ROUND: &str = "LOGDB_CRASH_ROUND";

fn options() -> Options {
    // Small, so that a short life has flushes and compactions in it.
    Options { memtable_bytes: 40_000, group_bytes: 4000, compaction_inputs: 3, ..super::keep_for_ever() }
}

/// The child: appends from several threads and tells each entry that was acknowledged, until it is killed.
#[test]
fn child_that_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let round = std::env::var(ROUND).unwrap();
    let db = Arc::new(super::open(Path::new(&directory), options()));
    let _background = Background::start(db.clone()).unwrap();
    let upkeep = db.clone();
    std::thread::spawn(move || while upkeep.compact_once().is_ok() {});
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (db, round) = (db.clone(), &round);
            scope.spawn(move || {
                for n in 0_i64.. {
                    let line = format!("{round} {thread} {n}");
                    let timestamp_ns = 1_768_478_400_000_000_000 + n / 3;
                    let entry = LogEntry { timestamp_ns, line: line.clone().into(), metadata: vec![] };
                    let stream = Labels::from_pairs([("thread", (thread % 2).to_string())]);
                    let batch = LogBatch { stream, entries: vec![entry] };
                    if db.append(&TenantId::default(), vec![batch]).is_ok() {
                        println!("stored {line}");
                    }
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_is_killed", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let wanted = 100 + round * 150;
        let mut line = String::new();
        let mut told = 0;
        while told < wanted && output.read_line(&mut line).unwrap() > 0 {
            told += usize::from(tell(&mut acknowledged, &line));
            line.clear();
        }
        child.kill().unwrap();
        // What it told before it died counts, too; a line cut short does not.
        while output.read_line(&mut line).unwrap() > 0 {
            tell(&mut acknowledged, &line);
            line.clear();
        }
        child.wait().unwrap();
        assert!(told >= wanted, "the child ended by itself");

        let db = super::open(dir.path(), options());
        let stored = lines_of(&db);
        let distinct: BTreeSet<_> = stored.iter().cloned().collect();
        assert_eq!(distinct.len(), stored.len(), "an entry is there twice");
        let lost: Vec<_> = acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "lost in round {round}: {lost:?}");
    }
}

pub(super) fn tell(acknowledged: &mut BTreeSet<String>, line: &str) -> bool {
    // The test harness writes a name before the first line of the child.
    let told = line.strip_suffix('\n').and_then(|line| line.split_once("stored "));
    told.is_some_and(|(_, line)| acknowledged.insert(line.to_owned()))
}

pub(super) fn lines_of(db: &logdb::LogDb) -> Vec<String> {
    let ctx = QueryContext::unbounded();
    let range = LogRange { start_ns: i64::MIN, end_ns: i64::MAX };
    let request = LogRequest { range, matchers: vec![], hints: vec![] };
    let mut lines = Vec::new();
    for group in db.select(&request, &ctx).unwrap() {
        let page = group.reader.read(LogColumns { metadata: false, ..LogColumns::ALL }, &ctx).unwrap();
        let rows = group.runs.iter().flat_map(|run| run.rows.clone());
        lines.extend(rows.map(|row| String::from_utf8(page.lines.get(row).to_vec()).unwrap()));
    }
    lines
}
