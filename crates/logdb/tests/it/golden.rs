//! Data of earlier versions, which every later one must read: a bucket, and a log with entries that are in no object.

use std::path::Path;

use model::context::QueryContext;
use model::logs::{LogColumns, LogRange, LogRequest, LogSource};
use model::matcher::Matcher;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn version_1_is_read() {
    // Two entries are in the log only.
    let golden = ["level=warn second", "level=info first"];
    is_read("v1", 3026 + 92 + 2, &golden);
}

#[test]
fn version_2_is_read() {
    is_read("v2", 3026 + 92, &[]);
}

fn is_read(version: &str, entries: usize, golden: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(version), dir.path());
    let db = super::open(dir.path(), super::keep_for_ever());
    let ctx = QueryContext::unbounded();
    let range = LogRange { start_ns: i64::MIN, end_ns: i64::MAX };
    let count = |matchers: Vec<Matcher>| {
        let groups = db.select(&LogRequest { range, matchers, hints: vec![] }, &ctx).unwrap();
        let columns = LogColumns::ALL;
        let mut lines = Vec::new();
        for group in groups {
            let page = group.reader.read(columns, &ctx).unwrap();
            let rows = group.runs.iter().flat_map(|run| run.rows.clone());
            lines.extend(rows.map(|row| String::from_utf8_lossy(page.lines.get(row)).into_owned()));
        }
        lines
    };
    assert_eq!(count(vec![Matcher::equal("app", "golden")]), golden);
    assert_eq!(count(vec![]).len(), entries);
    let bucket = blob::LocalBucket::open(&dir.path().join("bucket")).unwrap();
    for (tenant, day) in logdb::inspect::days(&bucket).unwrap() {
        assert_eq!(logdb::inspect::verify(&bucket, &tenant, day).unwrap().problems, []);
    }
}
